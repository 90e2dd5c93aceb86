/* Stories as files: reading, writing, comparing; see story.h. */
#include "tests/sim/story.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/file.h"

static const char mark[] = "* ";

static int refuse(const struct story *story, int line, struct error *err, const char *what)
{
    return error_set(err, ERROR_INVALID, "%s:%d: %s", story->path, line, what);
}

/* ---- reading ---- */

static bool is_blank(const char *line)
{
    return line[strspn(line, " ")] == '\0' || *line == '#';
}

static int take_setting(struct story *story, char *line, int number, struct error *err)
{
    char *colon = strchr(line, ':');
    if (story->setting_count == STORY_SETTINGS_MAX)
        return refuse(story, number, err, "more than STORY_SETTINGS_MAX settings");
    *colon = '\0';
    story->settings[story->setting_count].key = line;
    story->settings[story->setting_count].value = colon + 1 + strspn(colon + 1, " ");
    story->settings[story->setting_count++].line = number;
    return 0;
}

static bool is_setting(const struct story *story, const char *line)
{
    size_t word = strcspn(line, " ");
    return story->step_count == 0 && word && line[word - 1] == ':';
}

/* What was above the line stays above it. */
static char *take_before(struct buffer *kept)
{
    char *text = strdup(buffer_text(kept));
    buffer_clear(kept);
    return text;
}

static int take_line(struct story *story, char *line, int number, struct buffer *kept, struct error *err)
{
    if (is_blank(line)) {
        buffer_printf(kept, "%s\n", line);
        return 0;
    }
    if (*line == ' ') {
        if (!story->step_count)
            return refuse(story, number, err, "narration without a command above it");
        buffer_printf(&story->steps[story->step_count - 1].wanted, "%s\n", line + strspn(line, " "));
        return 0;
    }
    if (is_setting(story, line)) {
        buffer_printf(kept, "%s\n", line);
        return take_setting(story, line, number, err);
    }
    if (story->step_count == STORY_STEPS_MAX)
        return refuse(story, number, err, "more than STORY_STEPS_MAX commands");
    struct story_step *step = &story->steps[story->step_count++];
    step->line = number;
    step->before = take_before(kept);
    step->command = line;
    return 0;
}

static int take_text(struct story *story, struct error *err)
{
    struct buffer kept;
    int number = 0, result = 0;
    buffer_init(&kept, 0);
    for (char *line = story->text; *line && result == 0;) {
        char *end = line + strcspn(line, "\n"), *next = *end ? end + 1 : end;
        *end = '\0';
        result = take_line(story, line, ++number, &kept, err);
        line = next;
    }
    story->after = take_before(&kept);
    buffer_finish(&kept);
    if (result == 0 && !story->step_count)
        return refuse(story, number, err, "has no command");
    return result;
}

int story_take(const char *path, const char *text, struct story *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    out->path = path;
    out->text = strdup(text);
    if (take_text(out, err) == 0)
        return 0;
    story_finish(out);
    return -1;
}

int story_read(const char *path, struct story *out, struct error *err)
{
    struct buffer text;
    buffer_init(&text, 0);
    int result = file_read(path, STORY_BYTES_MAX, &text, err);
    if (result == 0)
        result = story_take(path, buffer_text(&text), out, err);
    buffer_finish(&text);
    return result;
}

void story_finish(struct story *story)
{
    for (size_t i = 0; i < story->step_count; i++) {
        free(story->steps[i].before);
        buffer_finish(&story->steps[i].wanted);
        buffer_finish(&story->steps[i].told);
    }
    free((char *)story->after);
    free(story->text);
    memset(story, 0, sizeof *story);
}

const char *story_setting(const struct story *story, const char *key, const char *fallback)
{
    for (size_t i = 0; i < story->setting_count; i++)
        if (strcmp(story->settings[i].key, key) == 0)
            return story->settings[i].value;
    return fallback;
}

/* ---- writing ---- */

static bool same_line(const char *a, size_t length, const char *b)
{
    return strncmp(a, b, length) == 0 && (b[length] == '\n' || b[length] == '\0');
}

/* Whether the line was marked among those that were wanted. */
static bool was_marked(const char *wanted, const char *line, size_t length)
{
    for (; *wanted; wanted += strcspn(wanted, "\n") + 1)
        if (strncmp(wanted, mark, strlen(mark)) == 0 && same_line(line, length, wanted + strlen(mark)))
            return true;
    return false;
}

void story_write(const struct story *story, struct buffer *out)
{
    for (size_t i = 0; i < story->step_count; i++) {
        const struct story_step *step = &story->steps[i];
        buffer_printf(out, "%s%s\n", step->before, step->command);
        for (const char *line = buffer_text(&step->told); *line; line += strcspn(line, "\n") + 1) {
            size_t length = strcspn(line, "\n");
            bool marked = was_marked(buffer_text(&step->wanted), line, length);
            buffer_printf(out, "    %s%.*s\n", marked ? mark : "", (int)length, line);
        }
    }
    buffer_append_text(out, story->after);
}

/* ---- comparing ---- */

static const char *without_mark(const char *line)
{
    return strncmp(line, mark, strlen(mark)) == 0 ? line + strlen(mark) : line;
}

static bool compare_step(const struct story *story, const struct story_step *step, struct buffer *out)
{
    const char *wanted = buffer_text(&step->wanted), *told = buffer_text(&step->told);
    int number = 1;
    for (;; number++) {
        const char *want = without_mark(wanted);
        size_t want_length = strcspn(want, "\n"), told_length = strcspn(told, "\n");
        if (!*wanted && !*told)
            return true;
        if (!*wanted || !*told || want_length != told_length || strncmp(want, told, told_length) != 0)
            break;
        wanted = want + want_length + 1;
        told += told_length + 1;
    }
    buffer_printf(out, "%s:%d: %s: line %d of its narration\n  wanted: %.*s\n  told:   %.*s\n", story->path,
                  step->line + number, step->command, number, (int)strcspn(without_mark(wanted), "\n"),
                  *wanted ? without_mark(wanted) : "", (int)strcspn(told, "\n"), told);
    return false;
}

bool story_compare(const struct story *story, struct buffer *out)
{
    for (size_t i = 0; i < story->step_count; i++)
        if (!compare_step(story, &story->steps[i], out))
            return false;
    return true;
}
