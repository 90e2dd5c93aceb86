/* What whoever is taken for the controller answers to the command line: nothing may crash it, and nothing
 * reaches the terminal that a terminal would obey instead of show (a member's name with an escape sequence,
 * for one). */
#include <assert.h>
#include <string.h>

#include "controller/cli/explain.h"
#include "controller/cli/status_view.h"
#include "controller/cli/text.h"
#include "controller/cli/yaml.h"

enum { ANSWER_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No control characters but line ends, valid UTF-8; then it is forgotten. */
static void check_shown(struct buffer *out)
{
    struct buffer again;
    char *at = buffer_text(out) == out->data ? out->data : NULL;
    buffer_init(&again, 0);
    for (size_t i = 0; at && i < out->length; i++)
        if (at[i] == '\n')
            at[i] = ' ';
    text_escape(buffer_text(out), &again);
    assert(strcmp(buffer_text(out), buffer_text(&again)) == 0);
    assert(strlen(buffer_text(out)) == out->length);
    buffer_finish(&again);
    buffer_clear(out);
}

static void show(const struct json *json, size_t width, struct buffer *out)
{
    const int64_t now_ms = INT64_C(1795000000000);
    struct view view = {.wide = width == 0, .width = width};
    status_view(json, &view, out);
    check_shown(out);
    status_view_set(json, &view, now_ms, out);
    check_shown(out);
    explain_print(json, now_ms, width, out);
    check_shown(out);
    wait_text(json, now_ms, out);
    check_shown(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    struct buffer out;
    struct json *json = json_parse((const char *)data, size, ANSWER_MAX, &err);
    if (!json)
        return 0;
    buffer_init(&out, 0);
    show(json, 0, &out);
    show(json, 40, &out);
    explain_why_not(json, "reconfigure", &out);
    check_shown(&out);
    yaml_write(json, &out);
    check_shown(&out);
    status_progress(json, NULL, &out);
    status_progress(json, "mongo", &out);
    (void)status_is_healthy(json);
    (void)set_is_healthy(json);
    json_destroy(json);
    buffer_finish(&out);
    return 0;
}
