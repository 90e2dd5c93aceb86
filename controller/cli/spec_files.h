/* The files that -f names: read, merged, checked; and as the body of a request. */
#ifndef ATOLL_CLI_SPEC_FILES_H
#define ATOLL_CLI_SPEC_FILES_H

#include "config/spec_read.h"
#include "controller/cli/command.h"

enum { SPEC_ARENA_MAX = 256 << 20 };

struct spec_files {
    struct buffer texts[SPEC_FILES_MAX];
    struct spec_source sources[SPEC_FILES_MAX];
    size_t count;
    struct arena arena;
    struct spec spec;
    struct spec_problems problems;
    bool rewritten; /* `spec` is no longer what the files say */
};

/* Reads all -f of the invocation ("-" is standard input); says errors and warnings on standard error. NULL
 * and `err` when a file can't be read or is wrong. The caller destroys it. */
struct spec_files *spec_files_read(const struct invocation *invocation, struct error *err);
/* The same for one file. */
struct spec_files *spec_files_read_one(const char *path, struct error *err);
/* The same for one text of our own making: its warnings are no news to anybody. */
struct spec_files *spec_files_from_text(const char *name, const char *text, struct error *err);
void spec_files_destroy(struct spec_files *files);

/* The request's body and its type ("Content-Type: …"): one file as it was written, so that the controller's
 * places in it are the file's own; several merged. */
int spec_files_body(const struct spec_files *files, struct buffer *body, const char **header,
                    struct error *err);
/* Says once more what is wrong, with places: of rules that were checked after reading. How many errors there
 * are. */
size_t spec_files_say_errors(const struct spec_files *files);
/* The file's name where the body is one file, else NULL. */
const char *spec_files_name(const struct spec_files *files);

#endif
