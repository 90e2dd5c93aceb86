/* A member's Secrets: its keyfile, and its certificate with key and CAs. */
#include <stdio.h>
#include <string.h>

#include "proto/keyfile.h"
#include "proto/mongod_versions.h"
#include "zone-agent/kubernetes/objects_internal.h"

static void name_of(const struct intent_member *member, const char *what, char out[SECRET_NAME_MAX])
{
    snprintf(out, SECRET_NAME_MAX, "%.*s-%s", TEXT_LENGTH_MAX, member->node, what);
}

void objects_keyfile_name(const struct intent_member *member, char out[SECRET_NAME_MAX])
{
    name_of(member, "keyfile", out);
}

void objects_tls_name(const struct intent_member *member, char out[SECRET_NAME_MAX])
{
    name_of(member, "tls", out);
}

const char *object_secret_name(const struct intent_member *member, struct arena *arena)
{
    char name[SECRET_NAME_MAX];
    objects_keyfile_name(member, name);
    return arena_string(arena, name);
}

const char *object_tls_secret_name(const struct intent_member *member, struct arena *arena)
{
    char name[SECRET_NAME_MAX];
    objects_tls_name(member, name);
    return arena_string(arena, name);
}

/* Of the image's version nothing is known but its tag, as with the names of mongod's options. */
struct json *object_secret(const struct object_zone *zone, const struct intent_member *member)
{
    char name[SECRET_NAME_MAX], version[MONGOD_VERSION_MAX], first[KEYFILE_TEXT_MAX] = "";
    mongod_version_of_image(member->image, version);
    objects_keyfile_name(member, name);
    struct json *object = objects_begin(OBJECT_SECRET, zone, member, name, false);
    json_set_string(object, "type", "Opaque");
    json_set_string(json_set(object, "stringData", json_object()), KEYFILE_KEY,
                    keyfile_for_version(member->keyfile ? member->keyfile : "", version, first));
    explicit_bzero(first, sizeof first);
    return object;
}

/* mongod reads certificate and key from one file. A Secret's keys are exchanged in a pod all at once, so that
 * none is ever seen with another one's CAs. */
struct json *object_tls_secret(const struct object_zone *zone, const struct intent_member *member,
                               const char *key, const char *ca)
{
    char name[SECRET_NAME_MAX];
    struct buffer both;
    objects_tls_name(member, name);
    struct json *object = objects_begin(OBJECT_SECRET, zone, member, name, false);
    json_set_string(object, "type", "Opaque");
    struct json *data = json_set(object, "stringData", json_object());
    buffer_init(&both, 0);
    if (buffer_append_text(&both, member->certificate) || buffer_append_text(&both, key))
        json_set(data, CERTIFICATE_KEY, NULL); /* no memory: told by json_print() */
    else
        json_set_string(data, CERTIFICATE_KEY, buffer_text(&both));
    json_set_string(data, CA_KEY, ca);
    buffer_finish(&both);
    return object;
}
