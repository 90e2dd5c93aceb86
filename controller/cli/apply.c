/* atoll apply: make a spec the one that the controller works towards. */
#include "controller/cli/apply.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller/cli/console.h"
#include "controller/cli/context.h"
#include "controller/cli/sandbox_start.h"
#include "controller/cli/text.h"
#include "controller/cli/waiting.h"

/* The errors of a change, with the places of the files: where several were merged, or a sandbox made
 * something else of them, the controller only knows places in what it was sent. False when there is nothing
 * to say so. */
static bool say_places(struct remote *remote, struct spec_files *files)
{
    struct arena arena;
    struct buffer text;
    struct spec before;
    if (spec_files_name(files))
        return false;
    struct spec_problems *ours = calloc(1, sizeof *ours);
    struct json *applied = remote_get(remote, "/v1/federation", NULL);
    arena_init(&arena, SPEC_ARENA_MAX);
    buffer_init(&text, 0);
    bool known = ours && applied && json_print(applied, JSON_COMPACT, &text, NULL) == 0;
    struct spec_source source = {
        .name = "what is applied", .text = buffer_text(&text), .length = text.length};
    known = known && spec_read(&source, 1, &arena, &before, ours) == 0;
    bool said = known && spec_check_change(&before, &files->spec, &files->arena, &files->problems) &&
                spec_files_say_errors(files);
    json_destroy(applied);
    buffer_finish(&text);
    arena_finish(&arena);
    free(ours);
    return said;
}

struct json *apply_send(struct remote *remote, const char *method, const char *path, struct spec_files *files,
                        struct error *err)
{
    const char *headers[] = {NULL, NULL};
    struct buffer body;
    struct reply reply;
    struct json *answer = NULL;
    buffer_init(&body, 0);
    if (spec_files_body(files, &body, &headers[0], err) == 0) {
        struct request request = {.method = method,
                                  .path = path,
                                  .headers = headers,
                                  .body = body.data,
                                  .body_length = body.length};
        if (remote_call(remote, &request, &reply, err) == 0) {
            if (reply_check(&reply, err)) {
                if (reply.status != 422 || !say_places(remote, files))
                    reply_say_details(&reply, spec_files_name(files));
            } else {
                answer = reply_json(&reply, err);
            }
            reply_finish(&reply);
        }
    }
    buffer_finish(&body);
    return answer;
}

int apply_fit_sandbox(const struct remote *remote, struct spec_files *files, struct error *err)
{
    struct sandbox *sandbox = *remote->sandbox ? calloc(1, sizeof *sandbox) : NULL;
    int result = *remote->sandbox && !sandbox ? error_set(err, ERROR_NO_MEMORY, "out of memory") : 0;
    if (sandbox)
        result =
            sandbox_read(remote->sandbox, sandbox, err) || sandbox_fit_spec(sandbox, files, err) ? -1 : 0;
    free(sandbox);
    return result;
}

static bool was_said(const char *warning, const struct spec_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++)
        if (strstr(warning, problems->items[i].message))
            return true;
    return false;
}

void apply_say_warnings(const struct json *answer, const struct spec_files *files)
{
    const struct json *warnings = json_get(answer, "warnings");
    for (const struct json *warning = json_first(warnings); warning; warning = json_next(warning))
        if (json_text(warning) && !was_said(json_text(warning), &files->problems))
            console_say("%s%s", strstr(json_text(warning), "warning") ? "" : "warning: ", json_text(warning));
}

void apply_print_diff(const struct json *answer, bool colours, struct buffer *out)
{
    const struct json *lines = json_get(answer, "diff");
    for (const struct json *line = json_first(lines); line; line = json_next(line)) {
        struct buffer safe;
        buffer_init(&safe, 0);
        text_escape(json_text(line) ? json_text(line) : "", &safe);
        const char *text = buffer_text(&safe);
        enum cell_colour colour = *text == '+' || strstr(text, " added")     ? COLOUR_GOOD
                                  : *text == '-' || strstr(text, " removed") ? COLOUR_BAD
                                                                             : COLOUR_NONE;
        colour_print(colour, colours, text, out);
        buffer_append_text(out, "\n");
        buffer_finish(&safe);
    }
}

static int print_answer(const struct invocation *invocation, const struct json *answer)
{
    const char *format = invocation_text(invocation, "output");
    if (format && strcmp(format, "json") == 0)
        return console_print_json(answer, JSON_PRETTY);
    struct buffer out;
    buffer_init(&out, 0);
    apply_print_diff(answer, console_colours(STDOUT_FILENO), &out);
    long long revision = (long long)json_get_int(answer, "revision", 0);
    bool changed = json_get_bool(answer, "changed", json_count(json_get(answer, "diff")) > 0);
    if (invocation_has(invocation, "dry-run"))
        buffer_printf(&out,
                      changed ? "dry run: this would change revision %lld\n"
                              : "dry run: nothing would change (revision %lld)\n",
                      revision);
    else
        buffer_printf(&out, changed ? "applied as revision %lld\n" : "unchanged (revision %lld)\n", revision);
    int status = console_print(&out);
    buffer_finish(&out);
    return status;
}

static int wait_until_healthy(const struct invocation *invocation, struct remote *remote, int64_t revision)
{
    struct error err;
    int64_t timeout_ms = invocation_number(invocation, "timeout", WAIT_DEFAULT_SECS) * 1000;
    if (wait_for(remote, &(struct condition){.revision = revision, .reached = true, .patient = true},
                 timeout_ms, NULL, &err) == 0) {
        console_say("Every set is healthy.");
        return EXIT_DONE;
    }
    bool over = err.code == ERROR_TIMEOUT;
    error_wrap(&err, "the spec was applied, but waiting until every set is healthy failed");
    int status = console_fail(&err, "`atoll status` shows which is not, and `atoll explain` of that one why");
    return over ? EXIT_NEGATIVE : status;
}

int command_apply(const struct invocation *invocation)
{
    struct error err;
    struct remote remote;
    bool dry_run = invocation_has(invocation, "dry-run"), waits = invocation_has(invocation, "wait");
    if (invocation_has(invocation, "timeout") && !waits) {
        error_set(&err, ERROR_INVALID, "--timeout says how long --wait waits; give both");
        return console_fail(&err, NULL);
    }
    if (dry_run && waits) {
        error_set(&err, ERROR_INVALID,
                  "--dry-run changes nothing, so there is nothing to --wait for; give one of them");
        return console_fail(&err, NULL);
    }
    struct spec_files *files = spec_files_read(invocation, &err);
    if (!files)
        return console_fail(&err, "Nothing was applied");
    if (context_open(invocation, &remote, &err)) {
        spec_files_destroy(files);
        return console_fail(&err, NULL);
    }
    struct json *answer =
        apply_fit_sandbox(&remote, files, &err)
            ? NULL
            : apply_send(&remote, "PUT", dry_run ? "/v1/federation?dryRun=true" : "/v1/federation", files,
                         &err);
    int status;
    if (!answer) {
        error_wrap(&err, "applying %s", files->sources[0].name);
        status = console_fail(&err, "Nothing was applied");
    } else {
        apply_say_warnings(answer, files);
        status = print_answer(invocation, answer);
        if (status == 0 && waits)
            status = wait_until_healthy(invocation, &remote, json_get_int(answer, "revision", 0));
    }
    json_destroy(answer);
    spec_files_destroy(files);
    remote_close(&remote);
    return status;
}
