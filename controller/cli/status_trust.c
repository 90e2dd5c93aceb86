/* What the status says about trust, where there is something to say: a controller without TLS, and
 * certificates that should have been renewed. See status_view.h. */
#include <stdio.h>

#include "controller/cli/status_view.h"
#include "controller/cli/text.h"

enum {
    LEAF_LATE_DAYS = 15, /* renewed by itself with 30 of 90 days to go: by then something is in the way */
    CA_LATE_DAYS = 180   /* an exchange takes a person, and every zone */
};

static const int64_t day_ms = INT64_C(86400) * 1000;

struct late {
    const struct view *view;
    int64_t now_ms;
    struct buffer *out;
};

static void say(const struct late *late, const char *sentence)
{
    text_lines(sentence, late->view->width, 0, late->out);
}

static void say_end(const struct late *late, const struct json *of, const char *key, int days,
                    const char *what, const char *advice)
{
    char duration[DURATION_TEXT_MAX], sentence[512];
    int64_t left_ms = time_from_text(json_get_text(of, key, "")) - late->now_ms;
    if (!json_get_text(of, key, NULL) || late->now_ms <= 0 || left_ms >= days * day_ms)
        return;
    struct buffer name;
    buffer_init(&name, 0);
    text_escape(json_get_text(of, "name", ""), &name);
    snprintf(sentence, sizeof sentence, "the certificate of %s%.100s %s%s: %s", what, buffer_text(&name),
             left_ms > 0 ? "ends in " : "has ended", left_ms > 0 ? duration_text(left_ms, duration) : "",
             advice);
    buffer_finish(&name);
    say(late, sentence);
}

void status_view_trust(const struct json *document, const struct view *view, struct buffer *out)
{
    const struct json *controller = json_get(document, "controller"), *sets = json_get(document, "sets");
    struct buffer said;
    buffer_init(&said, 0);
    const struct late late = {view, time_from_text(json_get_text(document, "generatedAt", "")), &said};
    if (!json_get_bool(controller, "tls", true))
        say(&late, "controller: tls: off: whoever reaches its port is an administrator, and nobody shows who "
                   "they are");
    say_end(&late, controller, "caExpiresAt", CA_LATE_DAYS, "the CA",
            "exchange it (atoll ca rotate, three times)");
    say_end(&late, controller, "certificateExpiresAt", LEAF_LATE_DAYS, "the controller",
            "it should have renewed it; its log says why not");
    for (const struct json *zone = json_first(json_get(document, "zones")); zone; zone = json_next(zone))
        say_end(&late, zone, "certificateExpiresAt", LEAF_LATE_DAYS, "the agent of zone ",
                "it should have renewed it; its log says why not");
    for (const struct json *set = json_first(sets); set; set = json_next(set))
        for (const struct json *member = json_first(json_get(set, "members")); member;
             member = json_next(member))
            say_end(&late, member, "certificateExpiresAt", LEAF_LATE_DAYS, "",
                    "it should have another; `atoll explain SET` says what is in the way");
    if (said.length) {
        buffer_append_text(out, "\n");
        buffer_append_text(out, buffer_text(&said));
    }
    buffer_finish(&said);
}
