/* Secrets of the local driver: a member's keyfile, which its mongod reads at its start. Mode 0600 in a folder
 * of mode 0700: mongod refuses one that others may read. */
#include <string.h>
#include <unistd.h>

#include "proto/base/file.h"
#include "zone-agent/local/local_internal.h"

static const char FOLDER[] = "secrets";

int local_secrets_keyfile(const struct local_member *member, char out[LOCAL_PATH_MAX], struct error *err)
{
    return local_path(member->driver, out, FOLDER, member->node, ".key", err);
}

int local_secrets_write(struct local_member *member, const struct intent_member *wanted, struct error *err)
{
    char folder[LOCAL_PATH_MAX + 16], path[LOCAL_PATH_MAX];
    if (!wanted->keyfile || !*wanted->keyfile)
        return 0;
    snprintf(folder, sizeof folder, "%s/%s", member->driver->dir, FOLDER);
    if (file_make_folders(folder, 0700, err) || local_secrets_keyfile(member, path, err) ||
        file_replace(path, wanted->keyfile, strlen(wanted->keyfile), 0600, err))
        return error_wrap(err, "the keyfile of %s can't be written", member->node);
    return 0;
}

void local_secrets_delete(struct local_member *member)
{
    char path[LOCAL_PATH_MAX];
    if (local_secrets_keyfile(member, path, NULL) == 0)
        unlink(path);
}
