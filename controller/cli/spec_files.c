/* The files that -f names: see spec_files.h. */
#include "controller/cli/spec_files.h"

#include <stdlib.h>
#include <string.h>

#include "controller/cli/console.h"
#include "controller/cli/input.h"

static int add_file(struct spec_files *files, const char *path, struct error *err)
{
    if (files->count == SPEC_FILES_MAX)
        return error_set(err, ERROR_INVALID, "too many files: at most %d can be merged", SPEC_FILES_MAX);
    const char *name;
    struct buffer *text = &files->texts[files->count];
    buffer_init(text, 0);
    if (input_read(path, SPEC_BYTES_MAX, text, &name, err)) {
        buffer_finish(text);
        return -1;
    }
    files->sources[files->count++] =
        (struct spec_source){.name = name, .text = buffer_text(text), .length = text->length};
    return 0;
}

static void say_problems(const struct spec_problems *problems, enum spec_severity least)
{
    for (size_t i = 0; i < problems->count; i++) {
        if (problems->items[i].severity > least)
            continue;
        struct buffer line;
        buffer_init(&line, 0);
        spec_problem_print(&problems->items[i], &line);
        console_say("%.*s", (int)strcspn(buffer_text(&line), "\n"), buffer_text(&line));
        buffer_finish(&line);
    }
}

/* `least`: SPEC_WARNING says all, SPEC_ERROR errors alone. */
static int check(struct spec_files *files, enum spec_severity least, struct error *err)
{
    int result = spec_read(files->sources, files->count, &files->arena, &files->spec, &files->problems);
    say_problems(&files->problems, least);
    if (result == 0)
        return 0;
    return error_set(err, ERROR_INVALID, "%s%s %s %zu error%s", files->sources[0].name,
                     files->count > 1 ? " and its overlays" : "", files->count > 1 ? "have" : "has",
                     files->problems.errors, files->problems.errors == 1 ? "" : "s");
}

static struct spec_files *create(struct error *err)
{
    struct spec_files *files = calloc(1, sizeof *files);
    if (!files)
        error_set(err, ERROR_NO_MEMORY, "out of memory");
    else
        arena_init(&files->arena, SPEC_ARENA_MAX);
    return files;
}

struct spec_files *spec_files_read(const struct invocation *invocation, struct error *err)
{
    struct spec_files *files = create(err);
    int result = files ? 0 : -1;
    for (size_t i = 0; result == 0 && i < invocation->value_count; i++)
        if (strcmp(invocation->values[i].option->name, "file") == 0)
            result = add_file(files, invocation->values[i].text, err);
    if (result == 0 && check(files, SPEC_WARNING, err) == 0)
        return files;
    spec_files_destroy(files);
    return NULL;
}

struct spec_files *spec_files_read_one(const char *path, struct error *err)
{
    struct spec_files *files = create(err);
    if (files && add_file(files, path, err) == 0 && check(files, SPEC_WARNING, err) == 0)
        return files;
    spec_files_destroy(files);
    return NULL;
}

struct spec_files *spec_files_from_text(const char *name, const char *text, struct error *err)
{
    struct spec_files *files = create(err);
    if (files) {
        buffer_init(&files->texts[0], 0);
        buffer_append_text(&files->texts[0], text);
        files->sources[0] =
            (struct spec_source){.name = name, .text = buffer_text(&files->texts[0]), .length = strlen(text)};
        files->count = 1;
        if (check(files, SPEC_ERROR, err) == 0)
            return files;
    }
    spec_files_destroy(files);
    return NULL;
}

void spec_files_destroy(struct spec_files *files)
{
    if (!files)
        return;
    for (size_t i = 0; i < files->count; i++)
        buffer_finish(&files->texts[i]);
    arena_finish(&files->arena);
    free(files);
}

int spec_files_body(const struct spec_files *files, struct buffer *body, const char **header,
                    struct error *err)
{
    if (files->count > 1 || files->rewritten) {
        *header = "Content-Type: application/json";
        return spec_write(&files->spec, SPEC_JSON, body, err);
    }
    *header = "Content-Type: application/yaml";
    if (buffer_append(body, files->sources[0].text, files->sources[0].length))
        return error_set(err, ERROR_NO_MEMORY, "out of memory for the spec");
    return 0;
}

size_t spec_files_say_errors(const struct spec_files *files)
{
    say_problems(&files->problems, SPEC_ERROR);
    return files->problems.errors;
}

const char *spec_files_name(const struct spec_files *files)
{
    return files->count == 1 && !files->rewritten ? files->sources[0].name : NULL;
}
