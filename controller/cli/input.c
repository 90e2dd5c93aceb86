/* Files and standard input: see input.h. */
#include "controller/cli/input.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/file.h"

static int read_standard_input(size_t most, struct buffer *out, struct error *err)
{
    char part[65536];
    for (;;) {
        ssize_t got = read(STDIN_FILENO, part, sizeof part);
        if (got == 0)
            return 0;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, errno, "reading standard input");
        if (out->length + (size_t)got > most || buffer_append(out, part, (size_t)got))
            return error_set(err, ERROR_TOO_LARGE, "standard input holds more than %zu bytes", most);
    }
}

int input_read(const char *path, size_t most, struct buffer *out, const char **name, struct error *err)
{
    bool standard = strcmp(path, "-") == 0;
    *name = standard ? "standard input" : path;
    int result = standard ? read_standard_input(most, out, err) : file_read(path, most, out, err);
    if (result && err)
        err->code = ERROR_INVALID;
    return result;
}
