/* A keyfile's text: see keyfile.h. */
#include "proto/keyfile.h"

#include <stdio.h>
#include <string.h>

#include "proto/mongod_versions.h"

static const char ITEM[] = "- ";

void keyfile_write(const char *const *keys, size_t count, char out[KEYFILE_TEXT_MAX])
{
    if (count == 1)
        snprintf(out, KEYFILE_TEXT_MAX, "%.*s\n", KEYFILE_KEY_MAX - 1, keys[0]);
    else
        snprintf(out, KEYFILE_TEXT_MAX, "%s%.*s\n%s%.*s\n", ITEM, KEYFILE_KEY_MAX - 1, keys[0], ITEM,
                 KEYFILE_KEY_MAX - 1, keys[1]);
}

static bool is_list(const char *text)
{
    return strncmp(text, ITEM, strlen(ITEM)) == 0;
}

bool keyfile_password(const char *text, char out[KEYFILE_KEY_MAX])
{
    if (!text)
        return false;
    if (is_list(text))
        text += strlen(ITEM);
    size_t length = strcspn(text, " \r\n");
    if (!length || length >= KEYFILE_KEY_MAX)
        return false;
    memcpy(out, text, length);
    out[length] = 0;
    return true;
}

size_t keyfile_read(const char *text, char out[KEYFILE_KEYS_MAX][KEYFILE_KEY_MAX])
{
    if (!keyfile_password(text, out[0]))
        return 0;
    const char *second = is_list(text) ? strstr(text, "\n- ") : NULL;
    return second && keyfile_password(second + 1, out[1]) ? 2 : 1;
}

const char *keyfile_for_version(const char *text, const char *version, char first[KEYFILE_TEXT_MAX])
{
    char key[KEYFILE_KEY_MAX];
    if (mongod_has(version, MONGOD_TWO_KEYS) != MONGOD_LACKS || !is_list(text) ||
        !keyfile_password(text, key))
        return text;
    keyfile_write(&(const char *){key}, 1, first);
    explicit_bzero(key, sizeof key);
    return first;
}
