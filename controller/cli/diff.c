/* atoll diff: show what apply would change. Like diff(1): 0 nothing, 1 something, more on an error. */
#include <string.h>
#include <unistd.h>

#include "controller/cli/apply.h"
#include "controller/cli/console.h"
#include "controller/cli/context.h"

/* 1 is the answer "there are differences" alone. */
static int fail(const struct error *err)
{
    int status = console_fail(err, NULL);
    return status > EXIT_NEGATIVE ? status : EXIT_USAGE;
}

static int print(const struct invocation *invocation, const struct json *answer)
{
    const char *format = invocation_text(invocation, "output");
    bool changed = json_count(json_get(answer, "diff")) > 0;
    int status;
    if (format && strcmp(format, "json") == 0) {
        status = console_print_json(answer, JSON_PRETTY);
    } else {
        struct buffer out;
        buffer_init(&out, 0);
        apply_print_diff(answer, console_colours(STDOUT_FILENO), &out);
        status = console_print(&out);
        buffer_finish(&out);
    }
    if (status)
        return EXIT_USAGE;
    return changed ? EXIT_NEGATIVE : EXIT_DONE;
}

int command_diff(const struct invocation *invocation)
{
    struct error err;
    struct remote remote;
    struct spec_files *files = spec_files_read(invocation, &err);
    if (!files)
        return fail(&err);
    if (context_open(invocation, &remote, &err)) {
        spec_files_destroy(files);
        return fail(&err);
    }
    struct json *answer = apply_fit_sandbox(&remote, files, &err)
                              ? NULL
                              : apply_send(&remote, "POST", "/v1/federation:diff", files, &err);
    int status;
    if (answer) {
        apply_say_warnings(answer, files);
        status = print(invocation, answer);
    } else {
        error_wrap(&err, "comparing %s with what is applied", files->sources[0].name);
        status = fail(&err);
    }
    json_destroy(answer);
    spec_files_destroy(files);
    remote_close(&remote);
    return status;
}
