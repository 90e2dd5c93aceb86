/* The sets' secrets: keyfile and first administrator. They are made here, once, durable before they are used,
 * and go nowhere but into the intents of the set's zones, the commands to its members, and the answer to an
 * administrator who asks. */
#include <stdio.h>
#include <string.h>

#include "controller/controller_internal.h"
#include "proto/base/plant.h"
#include "proto/mongod_versions.h"

enum { ADMIN_PASSWORD_BYTES = 20 };

bool controller_authenticates(const struct controller *controller, const struct set_state *set)
{
    return controller->environment.random_text && set->set->auth;
}

static int remember(struct controller *controller, const char *set, const struct set_keys *keys,
                    struct error *err)
{
    struct buffer bytes;
    char key[STORE_KEY_MAX];
    buffer_init(&bytes, STORE_RECORD_BYTES_MAX);
    snprintf(key, sizeof key, RECORD_KEYS_PREFIX "%s", set);
    int result = set_keys_record_write(keys, &bytes, err);
    if (result == 0)
        result = controller_remember(controller,
                                     &(struct store_record){key, buffer_text(&bytes), bytes.length}, 1, err);
    if (bytes.data)
        explicit_bzero(bytes.data, bytes.length);
    buffer_finish(&bytes);
    return result;
}

/* Durable first, then true. */
static int replace(struct controller *controller, struct set_state *set, struct set_keys *keys,
                   struct error *err)
{
    int result = remember(controller, set->name, keys, err);
    if (result == 0)
        set->ledger->keys = *keys;
    explicit_bzero(keys, sizeof *keys);
    return result;
}

/* ---- making them, or taking them over ---- */

static int make_key(struct controller *controller, char out[KEYFILE_KEY_MAX], struct error *err)
{
    return controller->environment.random_text(KEYFILE_KEY_BYTES, out, err);
}

/* Current and spare one. */
static int make_keyfile(struct controller *controller, struct set_keys *keys, struct error *err)
{
    if (controller->environment.random_text(KEYFILE_ID_BYTES, keys->id, err) ||
        make_key(controller, keys->keys[0], err) || make_key(controller, keys->keys[1], err))
        return -1;
    keys->key_count = 2;
    return 0;
}

/* A keyfile's text back into its keys. */
static bool read_keyfile(const struct report_member *said, struct set_keys *out)
{
    if (!said->keyfile || !*said->keyfile || strlen(said->key_id) >= sizeof out->id)
        return false;
    memcpy(out->id, said->key_id, strlen(said->key_id) + 1);
    out->key_count = keyfile_read(said->keyfile, out->keys);
    return out->key_count > 0;
}

/* Zones have two files where one of them was away when an exchange began: with the newer one's first key one
 * gets in everywhere. */
static bool is_newer(const struct set_keys *keys, const struct set_keys *than)
{
    if (keys->key_count < 2 || than->key_count == 0)
        return keys->key_count > than->key_count;
    return strcmp(keys->keys[0], than->keys[than->key_count - 1]) == 0;
}

enum evidence { EVIDENCE_NONE, EVIDENCE_SILENT, EVIDENCE_FOUND, EVIDENCE_TAKEN };

/* Positive knowledge alone: a zone that was not heard may have members that know one another by a keyfile. */
static enum evidence look_for_keys(struct controller *controller, const struct set_state *set,
                                   struct set_keys *out)
{
    enum evidence found = EVIDENCE_NONE;
    for (size_t i = 0; i < set->set->member_count; i++) {
        bool heard;
        struct set_keys theirs = {.key_count = 0};
        const struct report_member *said = controller_said_of(controller, set, &set->set->members[i], &heard);
        if (said && read_keyfile(said, &theirs)) {
            if (is_newer(&theirs, out))
                *out = theirs;
            explicit_bzero(&theirs, sizeof theirs);
            found = EVIDENCE_TAKEN;
        } else if (found == EVIDENCE_TAKEN) {
            continue;
        } else if (said && said->key_id && *said->key_id) {
            found = EVIDENCE_FOUND;
        } else if (!heard && found == EVIDENCE_NONE) {
            found = EVIDENCE_SILENT;
        }
    }
    return found;
}

int controller_keys_ensure(struct controller *controller, struct set_state *set, struct error *err)
{
    struct set_keys keys = {.key_count = 0};
    if (set->ledger->keys.key_count)
        return 0;
    enum evidence evidence = look_for_keys(controller, set, &keys);
    if (evidence == EVIDENCE_SILENT || evidence == EVIDENCE_FOUND)
        return 0;
    if (evidence == EVIDENCE_NONE && make_keyfile(controller, &keys, err))
        return error_wrap(err, "the keyfile of set %s can't be made", set->name);
    if (controller->environment.random_text(ADMIN_PASSWORD_BYTES, keys.admin_password, err))
        return error_wrap(err, "the first administrator of set %s can't be made", set->name);
    if (replace(controller, set, &keys, err))
        return -1;
    if (evidence == EVIDENCE_TAKEN)
        controller_tell(controller, EVENT_KEYFILE_TAKEN_OVER, &(struct event_words){.set = set->name});
    return 0;
}

bool controller_keys_wanted(const struct controller *controller, const struct zone_state_of *zone)
{
    const struct report *report = zone->sight.has_report ? &zone->sight.report : NULL;
    for (size_t s = 0; report && s < controller->set_count; s++) {
        const struct set_state *set = controller->sets[s];
        if (!controller_authenticates(controller, set) || set->ledger->keys.key_count)
            continue;
        for (size_t m = 0; m < report->member_count; m++)
            if (strcmp(report->members[m].holding.set, set->name) == 0 && report->members[m].key_id &&
                *report->members[m].key_id)
                return true;
    }
    return false;
}

int controller_keys_load(struct controller *controller, const struct store_record *record, struct error *err)
{
    const char *set = record->key + strlen(RECORD_KEYS_PREFIX);
    struct ledger_holder *ledger = controller_ledger(controller, set);
    if (!ledger)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the keys of set %s", set);
    return set_keys_record_read(record->data, record->length, set, &ledger->keys, err);
}

/* Intents and plan are made anew with it. */
static void changed(struct controller *controller, struct set_state *set)
{
    controller_set_due(set, controller_now(controller));
    controller_wake(controller);
}

void controller_admin_made(struct controller *controller, struct set_state *set)
{
    struct set_keys keys = set->ledger->keys;
    struct error err = {0};
    keys.admin_made = true;
    replace(controller, set, &keys,
            &err); /* where the store takes it not, it is made once more: to the same password */
}

/* ---- rotation ---- */

/* Another keyfile, which shares a key with the present one: who has either understands who has the other. */
static int follow_on(struct controller *controller, struct set_keys *keys, struct error *err)
{
    keys->rounds = keys->key_count < 2 ? 2 : 1;
    if (keys->key_count == 2)
        memcpy(keys->keys[0], keys->keys[1], sizeof keys->keys[0]);
    keys->key_count = 2;
    if (PLANT(NO_SPARE_KEY) && make_key(controller, keys->keys[0], err))
        return -1;
    return controller->environment.random_text(KEYFILE_ID_BYTES, keys->id, err) ||
                   make_key(controller, keys->keys[1], err)
               ? -1
               : 0;
}

static void tell_rotating(struct controller *controller, struct set_state *set, const char *what)
{
    controller_tell(controller, EVENT_KEYFILE_ROTATING,
                    &(struct event_words){.set = set->name, .detail = what});
    changed(controller, set);
}

void controller_keys_advance(struct controller *controller, struct set_state *set)
{
    const struct plan_slot *slot = &set->slots[set->current];
    struct set_keys keys = set->ledger->keys;
    struct error err = {0};
    if (!keys.rounds || !slot->filled || !slot->plan.healthy ||
        strcmp(slot->observation.key_id, keys.id) != 0)
        return;
    bool again = keys.rounds > 1;
    keys.rounds = 0;
    if ((again && follow_on(controller, &keys, &err)) || replace(controller, set, &keys, &err))
        return; /* with the next plan */
    if (again)
        tell_rotating(controller, set, "in a second round the key goes that it held alone");
    else
        controller_tell(controller, EVENT_KEYFILE_ROTATED, &(struct event_words){.set = set->name});
}

static int check_versions(const struct set_state *set, struct error *err)
{
    const struct plan_slot *slot = &set->slots[set->current];
    const struct observation *seen = &slot->observation;
    for (size_t i = 0; i < seen->member_count; i++) {
        const char *version = seen->members[i].mongod.version;
        /* One that has left tells no version, for ever; it is healthy to have none of it. */
        if (slot->set->members[i].absent || mongod_has(version, MONGOD_TWO_KEYS) == MONGOD_HAS)
            continue;
        return error_set(err, ERROR_REFUSED,
                         "set %s has a member of version %.16s: before 4.2 a keyfile holds one key, so that "
                         "its exchange is an outage; "
                         "nothing was changed",
                         set->name, *version ? version : "unknown");
    }
    return 0;
}

/* Agents of clusters tell from the image's tag alone whether a file may hold two keys: proto/keyfile.h */
static int check_image(struct controller *controller, const struct set_state *set, struct error *err)
{
    char tag[MONGOD_VERSION_MAX];
    mongod_version_of_image(set->set->image, tag);
    for (size_t i = 0; mongod_has(tag, MONGOD_TWO_KEYS) == MONGOD_LACKS && i < set->set->member_count; i++) {
        const struct zone_state_of *zone = controller_zone(controller, set->set->members[i].zone);
        if (!zone || strcmp(zone->zone->driver, "local") == 0)
            continue;
        return error_set(err, ERROR_REFUSED,
                         "the image of set %s has the tag %.16s, which reads like a version before 4.2: its "
                         "members have one key alone, so that its exchange is an outage; nothing was changed",
                         set->name, tag);
    }
    return 0;
}

static int check_rotation(struct controller *controller, const struct set_state *set, struct error *err)
{
    const struct plan_slot *slot = &set->slots[set->current];
    if (!controller_authenticates(controller, set))
        return error_set(err, ERROR_REFUSED, "set %s has no keyfile: its spec says auth: false", set->name);
    if (set->ledger->keys.rounds)
        return error_set(
            err, ERROR_REFUSED,
            "the keyfile of set %s is being exchanged already: `atoll explain %s` says how far it is",
            set->name, set->name);
    if (!slot->filled || !slot->plan.healthy)
        return error_set(err, ERROR_REFUSED,
                         "set %s is not healthy, and each member must be restarted for it: `atoll explain "
                         "%s` says what it waits for",
                         set->name, set->name);
    return check_versions(set, err) || check_image(controller, set, err) ? -1 : 0;
}

int controller_rotate_keyfile(struct controller *controller, const char *name, struct error *err)
{
    struct set_state *set = controller_set(controller, name);
    if (!set)
        return error_set(err, ERROR_NOT_FOUND, "there is no set %.*s", NAME_LENGTH_MAX, name);
    if (check_rotation(controller, set, err))
        return -1;
    struct set_keys keys = set->ledger->keys;
    bool alone = keys.key_count == 1;
    if (follow_on(controller, &keys, err) || replace(controller, set, &keys, err))
        return error_wrap(err, "exchanging the keyfile of set %s", set->name);
    tell_rotating(controller, set,
                  alone
                      ? "it held one key alone, so that a second one comes first, and a second round follows"
                      : "its first key goes, its second one takes that place, and a new one comes");
    return 0;
}

/* ---- the first administrator ---- */

int controller_admin(struct controller *controller, const char *name, char password[KEYFILE_KEY_MAX],
                     struct error *err)
{
    struct set_state *set = controller_set(controller, name);
    if (!set)
        return error_set(err, ERROR_NOT_FOUND, "there is no set %.*s", NAME_LENGTH_MAX, name);
    if (!controller_authenticates(controller, set))
        return error_set(err, ERROR_NOT_FOUND, "set %s has no users: its spec says auth: false", set->name);
    if (!set->ledger->keys.admin_made)
        return error_set(
            err, ERROR_NOT_FOUND,
            "the first administrator of set %s was not made yet: `atoll explain %s` says what it waits for",
            set->name, set->name);
    memcpy(password, set->ledger->keys.admin_password, KEYFILE_KEY_MAX);
    return 0;
}
