/* Gives a fuzz target the files that it is called with, and those of folders: the seeds and all that was ever
 * found are a test in every build, by any compiler. `replay_NAME PATH...` */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/base/file.h"

enum { INPUT_MAX = 1 << 20, REPLAY_PATH_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly its size, so that a sanitizer sees a read behind its end. */
static int replay_file(const char *path)
{
    struct buffer text;
    struct error err;
    buffer_init(&text, 0);
    if (file_read(path, INPUT_MAX, &text, &err)) {
        fprintf(stderr, "%s\n", err.message);
        buffer_finish(&text);
        return -1;
    }
    uint8_t *copy = malloc(text.length ? text.length : 1);
    if (!copy) {
        buffer_finish(&text);
        return -1;
    }
    if (text.length)
        memcpy(copy, text.data, text.length);
    LLVMFuzzerTestOneInput(copy, text.length);
    free(copy);
    buffer_finish(&text);
    return 1;
}

/* How many inputs there were; -1 when one can't be read. */
static int replay(const char *path)
{
    struct dirent *entry;
    DIR *folder = opendir(path);
    int count = 0;
    if (!folder)
        return replay_file(path);
    while (count >= 0 && (entry = readdir(folder))) {
        char name[REPLAY_PATH_MAX];
        if (*entry->d_name == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        int more = replay(name);
        count = more < 0 ? more : count + more;
    }
    closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++) {
        int count = replay(argv[i]);
        if (count < 0)
            return 1;
        total += count;
    }
    printf("%d inputs\n", total);
    return total ? 0 : 1; /* no seeds is no test */
}
