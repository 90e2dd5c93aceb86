/* A keyfile's text: see keyfile.h. */
#include "proto/keyfile.h"

#include <stdio.h>
#include <string.h>

void keyfile_write(const char *const *keys, size_t count, char out[KEYFILE_TEXT_MAX])
{
    if (count == 1)
        snprintf(out, KEYFILE_TEXT_MAX, "%.*s\n", KEYFILE_KEY_MAX - 1, keys[0]);
    else
        snprintf(out, KEYFILE_TEXT_MAX, "- %.*s\n- %.*s\n", KEYFILE_KEY_MAX - 1, keys[0], KEYFILE_KEY_MAX - 1,
                 keys[1]);
}

bool keyfile_password(const char *text, char out[KEYFILE_KEY_MAX])
{
    if (!text)
        return false;
    if (strncmp(text, "- ", 2) == 0)
        text += 2;
    size_t length = strcspn(text, " \r\n");
    if (!length || length >= KEYFILE_KEY_MAX)
        return false;
    memcpy(out, text, length);
    out[length] = 0;
    return true;
}
