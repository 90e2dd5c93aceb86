/* The list of problems of a file: adding within its bound, ordering, printing, and guessing what was meant.
 */
#include "config/spec_problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Needs no arena itself. */
#define SPEC_NO_MEMORY "the spec needs more memory than it may have"

enum { MESSAGE_MAX = 600, QUOTE_MAX = 60, SUGGEST_LENGTH_MAX = 40, SUGGEST_DISTANCE_MAX = 2 };

static struct spec_problem *place_for(struct spec_problems *problems, enum spec_severity severity)
{
    if (problems->count < SPEC_PROBLEMS_MAX)
        return &problems->items[problems->count++];
    for (size_t i = problems->count; severity == SPEC_ERROR && i-- > 0;)
        if (problems->items[i].severity == SPEC_WARNING)
            return &problems->items[i];
    return NULL;
}

int problem_add(struct spec_problems *problems, struct arena *arena, enum spec_severity severity,
                struct spec_mark mark, const char *format, ...)
{
    if (severity == SPEC_ERROR)
        problems->errors++;
    struct spec_problem *problem = place_for(problems, severity);
    if (!problem)
        return -1;
    char text[MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *message = arena_string(arena, text);
    if (!*message)
        message = SPEC_NO_MEMORY;
    *problem = (struct spec_problem){.severity = severity, .mark = mark, .message = message};
    return -1;
}

static size_t file_rank(const char *file, const struct spec_source *sources, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (file == sources[i].name)
            return i;
    return count;
}

static bool comes_before(const struct spec_problem *a, const struct spec_problem *b,
                         const struct spec_source *sources, size_t count)
{
    size_t left = file_rank(a->mark.file, sources, count), right = file_rank(b->mark.file, sources, count);
    if (left != right)
        return left < right;
    if (a->mark.line != b->mark.line)
        return a->mark.line < b->mark.line;
    return a->mark.column < b->mark.column;
}

void problems_sort(struct spec_problems *problems, const struct spec_source *sources, size_t count)
{
    for (size_t i = 1; i < problems->count; i++) {
        struct spec_problem moving = problems->items[i];
        size_t to = i;
        for (; to > 0 && comes_before(&moving, &problems->items[to - 1], sources, count); to--)
            problems->items[to] = problems->items[to - 1];
        problems->items[to] = moving;
    }
}

void spec_problem_print(const struct spec_problem *problem, struct buffer *out)
{
    const char *severity = problem->severity == SPEC_ERROR ? "error" : "warning";
    const char *file = problem->mark.file ? problem->mark.file : "spec";
    if (problem->mark.line > 0)
        buffer_printf(out, "%s:%d:%d: %s: %s", file, problem->mark.line, problem->mark.column, severity,
                      problem->message);
    else
        buffer_printf(out, "%s: %s: %s", file, severity, problem->message);
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Edits (insert, delete, replace) between two short words; both at most SUGGEST_LENGTH_MAX long. */
static int distance(const char *a, const char *b)
{
    int row[SUGGEST_LENGTH_MAX + 1];
    int width = (int)strlen(b);
    for (int j = 0; j <= width; j++)
        row[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= width; j++) {
            int above = row[j];
            int replaced = diagonal + (a[i - 1] != b[j - 1]);
            row[j] = least(least(above, row[j - 1]) + 1, replaced);
            diagonal = above;
        }
    }
    return row[width];
}

static int unlikeness(const char *word, const char *candidate)
{
    size_t length = strlen(word), other = strlen(candidate);
    if (strcasecmp(word, candidate) == 0)
        return 0;
    if (length > SUGGEST_LENGTH_MAX || other > SUGGEST_LENGTH_MAX)
        return SUGGEST_DISTANCE_MAX + 1;
    if (length >= 4 && other > length && strncasecmp(word, candidate, length) == 0)
        return 1;
    int edits = distance(word, candidate);
    return edits * 2 < (int)other ? edits : SUGGEST_DISTANCE_MAX + 1;
}

const char *problem_suggest(const char *word, const char *const *words, size_t count)
{
    const char *best = NULL;
    int best_edits = SUGGEST_DISTANCE_MAX + 1;
    for (size_t i = 0; i < count; i++) {
        int edits = unlikeness(word, words[i]);
        if (edits < best_edits) {
            best_edits = edits;
            best = words[i];
        }
    }
    return best;
}

const char *problem_quote(struct arena *arena, const char *text)
{
    char quoted[QUOTE_MAX + 8];
    size_t length = strnlen(text, QUOTE_MAX);
    bool cut = text[length] != 0;
    while (cut && length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80)
        length--; /* never within a UTF-8 sequence */
    for (size_t i = 0; i < length; i++)
        quoted[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
    memcpy(quoted + length, cut ? "…" : "", cut ? sizeof "…" : 1);
    return arena_string(arena, quoted);
}
