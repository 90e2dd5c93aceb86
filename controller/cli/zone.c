/* atoll zone join-token|list|approve|remove: which zones' agents the controller listens to. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/cli/console.h"
#include "controller/cli/context.h"
#include "controller/cli/text.h"

enum { KEY_SHOWN = 16 };

static bool wants_json(const struct invocation *invocation)
{
    const char *format = invocation_text(invocation, "output");
    return format && strcmp(format, "json") == 0;
}

static const char *get(const struct json *object, const char *key)
{
    return json_get_text(object, key, "");
}

/* Sends a change of the zone. The caller destroys the answer. */
static struct json *change(const struct invocation *invocation, const char *verb, const struct json *body,
                           struct error *err)
{
    struct remote remote;
    struct buffer path;
    if (context_open(invocation, &remote, err))
        return NULL;
    buffer_init(&path, 0);
    buffer_append_text(&path, "/v1/zones/");
    path_append(&path, invocation_argument(invocation, 0));
    buffer_printf(&path, "/%s", verb);
    struct json *answer = remote_ask(&remote, "POST", buffer_text(&path), body, err);
    buffer_finish(&path);
    remote_close(&remote);
    return answer;
}

int command_zone_join_token(const struct invocation *invocation)
{
    const char *zone = invocation_argument(invocation, 0);
    struct error err;
    struct buffer out;
    struct json *body = json_object();
    bool pre_approved = invocation_has(invocation, "pre-approved");
    json_set_bool(body, "preApproved", pre_approved);
    struct json *answer = change(invocation, "join-token", body, &err);
    json_destroy(body);
    if (!answer) {
        error_wrap(&err, "making a join token for zone %s", zone);
        return console_fail(&err, NULL);
    }
    buffer_init(&out, 0);
    int status;
    if (wants_json(invocation)) {
        status = console_print_json(answer, JSON_PRETTY);
    } else {
        console_say("This is zone %s's join token. It is shown this once, works once, and until %.16sZ. Its "
                    "agent takes it from a file: "
                    "--join-token-file FILE.%s",
                    zone, get(answer, "expiresAt"),
                    pre_approved ? "" : " Then: atoll zone list, atoll zone approve.");
        text_escape(get(answer, "token"), &out);
        buffer_append_text(&out, "\n");
        status = console_print(&out);
        explicit_bzero(out.data, out.length);
    }
    buffer_finish(&out);
    json_destroy(answer);
    return status;
}

/* ---- list ---- */

static void add_minute(struct table *table, const struct json *zone, const char *key)
{
    char text[32];
    snprintf(text, sizeof text, "%.16s%s", get(zone, key), *get(zone, key) ? "Z" : "-");
    table_add(table, text, COLOUR_NONE);
}

static void add_zone(struct table *table, const struct json *zone)
{
    char key[KEY_SHOWN + 1];
    bool waits = strcmp(get(zone, "state"), "waiting") == 0;
    snprintf(key, sizeof key, "%.16s", waits ? get(zone, "waitingKey") : "-");
    table_add(table, get(zone, "name"), COLOUR_NONE);
    table_add(table, get(zone, "state"), waits ? COLOUR_WARN : COLOUR_NONE);
    table_add(table, key, COLOUR_NONE);
    table_add(table, waits ? get(zone, "waitingFrom") : "-", COLOUR_NONE);
    add_minute(table, zone, waits ? "requestedAt" : "joinedAt");
    add_minute(table, zone, "certificateExpiresAt");
}

static int print_list(const struct json *answer)
{
    static const char *const titles[] = {"ZONE", "STATE", "WAITING KEY",
                                         "FROM", "SINCE", "CERTIFICATE UNTIL"};
    struct table table;
    struct buffer out;
    const struct json *zones = json_get(answer, "zones");
    table_init(&table, titles, sizeof titles / sizeof *titles);
    buffer_init(&out, 0);
    for (const struct json *zone = json_first(zones); zone; zone = json_next(zone))
        add_zone(&table, zone);
    if (json_count(zones) == 0)
        console_say("There are no zones: no spec was applied, and nobody has enrolled.");
    else
        table_print(&table, console_width(), console_colours(STDOUT_FILENO), &out);
    int status = console_print(&out);
    buffer_finish(&out);
    table_finish(&table);
    return status;
}

int command_zone_list(const struct invocation *invocation)
{
    struct error err;
    struct remote remote;
    if (context_open(invocation, &remote, &err))
        return console_fail(&err, NULL);
    struct json *answer = remote_get(&remote, "/v1/zones", &err);
    int status;
    if (answer) {
        status = wants_json(invocation) ? console_print_json(answer, JSON_PRETTY) : print_list(answer);
    } else {
        error_wrap(&err, "reading the list of zones");
        status = console_fail(&err, NULL);
    }
    json_destroy(answer);
    remote_close(&remote);
    return status;
}

/* ---- approve, remove ---- */

int command_zone_approve(const struct invocation *invocation)
{
    const char *zone = invocation_argument(invocation, 0), *key = invocation_text(invocation, "key");
    struct error err;
    struct json *body = json_object();
    if (key)
        json_set_string(body, "key", key);
    struct json *answer = change(invocation, "approve", body, &err);
    json_destroy(body);
    if (!answer) {
        error_wrap(&err, "approving zone %s", zone);
        return console_fail(&err, NULL);
    }
    int status = EXIT_DONE;
    if (wants_json(invocation))
        status = console_print_json(answer, JSON_PRETTY);
    else
        console_say("Zone %s is approved: its agent fetches its certificate (%.16s…) by itself.", zone,
                    get(answer, "certificateSerial"));
    json_destroy(answer);
    return status;
}

int command_zone_remove(const struct invocation *invocation)
{
    const char *zone = invocation_argument(invocation, 0);
    struct error err;
    struct json *body = json_object(), *answer = change(invocation, "remove", body, &err);
    json_destroy(body);
    if (!answer) {
        error_wrap(&err, "removing zone %s", zone);
        return console_fail(&err, NULL);
    }
    int status = EXIT_DONE;
    if (wants_json(invocation))
        status = console_print_json(answer, JSON_PRETTY);
    else
        console_say("Zone %s is shut out: no certificate or join token of it counts any more. Its members go "
                    "on; the spec still names it.",
                    zone);
    json_destroy(answer);
    return status;
}
