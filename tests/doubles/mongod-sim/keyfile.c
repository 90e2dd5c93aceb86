/* Reads --keyFile, with the server's checks and sentences (src/mongo/db/auth/security_file.cpp). */
#include "keyfile.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 16384 };

static int read_file(const char *path, char *text, size_t size, struct error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "error opening file: %s", path);
    if (fstat(fd, &st) == 0 && (st.st_mode & (S_IRWXG | S_IRWXO))) {
        close(fd);
        return error_set(err, ERROR_INVALID, "permissions on %s are too open", path);
    }
    ssize_t got = read(fd, text, size - 1);
    close(fd);
    if (got < 0)
        return error_set_errno(err, errno, "error reading file: %s", path);
    text[got] = 0;
    return 0;
}

/* One key: what stands in [from, to) without white space. */
static int take_key(struct keyfile *k, const char *path, const char *from, const char *to, struct error *err)
{
    size_t length = 0;
    if (k->count == KEYFILE_KEYS_MAX)
        return error_set(err, ERROR_INVALID, "%s has more than %d keys", path, KEYFILE_KEYS_MAX);
    for (; from < to; from++) {
        if (isspace((unsigned char)*from))
            continue;
        if (!isalnum((unsigned char)*from) && !strchr("+/=", *from))
            return error_set(err, ERROR_INVALID, "invalid char in key file %s: %c", path, *from);
        if (length < KEY_LENGTH_MAX)
            k->keys[k->count][length] = *from;
        length++;
    }
    if (length < KEY_LENGTH_MIN || length > KEY_LENGTH_MAX)
        return error_set(err, ERROR_INVALID,
                         "security key in %s has length %zu, must be between 6 and 1024 chars", path, length);
    k->keys[k->count++][length] = 0;
    return 0;
}

/* "- key" lines, the next one's dash in a line's first column ends a key; quotes around a key don't count. */
static int take_list(struct keyfile *k, const char *path, char *text, struct error *err)
{
    for (char *at = text; at;) {
        char *next = strstr(at + 1, "\n- "), *end = next ? next : at + strlen(at);
        at += *at == '\n' ? 3 : 2;
        for (char *p = at; p < end; p++)
            if (*p == '"' || *p == '\'')
                *p = ' ';
        if (take_key(k, path, at, end, err))
            return -1;
        at = next;
    }
    return 0;
}

static void make_secrets(struct keyfile *k)
{
    uint8_t salt[SCRAM_SALT_MAX];
    for (int m = 0; m < SCRAM_MECHANISMS; m++) {
        if (RAND_bytes(salt, sizeof salt) != 1)
            abort();
        for (int i = 0; i < k->count; i++)
            scram_make((enum scram_mechanism)m, "__system", k->keys[i], salt, &k->secrets[m][i]);
    }
}

int keyfile_read(struct keyfile *keyfile, const char *path, int server_version, struct error *err)
{
    char text[FILE_MAX];
    keyfile->count = 0;
    if (read_file(path, text, sizeof text, err))
        return -1;
    int rc = server_version >= 5 && !strncmp(text, "- ", 2)
                 ? take_list(keyfile, path, text, err)
                 : take_key(keyfile, path, text, text + strlen(text), err);
    OPENSSL_cleanse(text, sizeof text);
    if (rc == 0)
        make_secrets(keyfile);
    return rc;
}
