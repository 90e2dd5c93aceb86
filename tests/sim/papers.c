/* Certificates and keyfiles as members have them, and who believes whom: see model_trust.h.
 * https://www.mongodb.com/docs/manual/tutorial/configure-ssl/ (a member's certificate bears the host that the
 * others dial) https://www.mongodb.com/docs/manual/tutorial/rotate-key-replica-set/ (since 4.2 a keyfile may
 * hold two keys) mongo/src/mongo/client/authenticate.cpp, authenticateInternalClient() (who dials shows the
 * first and, refused, the second one; who answers takes either) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/hash.h"
#include "proto/mongod_versions.h"
#include "tests/sim/world.h"

/* ---- texts ---- */

/* "certificate SERIAL by ISSUER at MADE until ENDS for KEY names A B …"; addresses of the model are 10.… */
bool papers_read(const char *text, struct papers *out)
{
    long long made_ms, ends_ms;
    int end = 0;
    *out = (struct papers){.serial = 0};
    if (sscanf(text, "certificate %d by %d at %lld until %lld for %d names%n", &out->serial, &out->issuer,
               &made_ms, &ends_ms, &out->key, &end) < 5 ||
        !end)
        return false;
    out->made_ms = made_ms;
    out->ends_ms = ends_ms;
    int count = 0;
    for (const char *at = strstr(text + end, " 10."); at && count < 2; at = strstr(at + 1, " 10."))
        snprintf(out->hosts[count++], HOST_MAX, "%.*s", (int)strcspn(at + 1, " "), at + 1);
    return true;
}

int papers_serial(const char *id)
{
    return *id ? (int)strtol(id + strlen("certificate "), NULL, 10) : 0;
}

uint32_t papers_authorities(const char *text)
{
    uint32_t bits = 0;
    for (const char *at = strchr(text, ' '); at; at = strchr(at + 1, ' '))
        bits |= UINT32_C(1) << (strtol(at, NULL, 10) & 31);
    return bits;
}

static void read_keyfile(const char *text, uint64_t keys[KEYFILE_KEYS_MAX])
{
    char read[KEYFILE_KEYS_MAX][KEYFILE_KEY_MAX];
    size_t count = keyfile_read(text, read);
    for (size_t i = 0; i < KEYFILE_KEYS_MAX; i++)
        keys[i] = i < count ? hash_text(HASH_START, read[i]) : 0;
}

uint64_t papers_key(const char *keyfile)
{
    char key[KEYFILE_KEY_MAX];
    return keyfile_password(keyfile, key) ? hash_text(HASH_START, key) : 0;
}

/* ---- what a member has ---- */

/* As the real drivers do: what the intent doesn't have yet replaces nothing. */
void papers_take(struct papers *papers, const struct step *step)
{
    const struct intent_member *wanted = step->member;
    struct papers certificate;
    if (*wanted->certificate && papers_read(wanted->certificate, &certificate)) {
        certificate.believes = papers_authorities(step->ca);
        papers_load_certificate(papers, &certificate);
    }
    if (!wanted->keyfile || !*wanted->keyfile)
        return;
    read_keyfile(wanted->keyfile, papers->keys);
    snprintf(papers->key_id, sizeof papers->key_id, "%s", wanted->key_id);
}

/* The local driver gives a mongod before 4.2 the first key alone, in a file of its own. */
void papers_load(struct papers *loaded, const struct papers *brought, const char *version)
{
    *loaded = *brought;
    if (mongod_has(version, MONGOD_TWO_KEYS) == MONGOD_LACKS)
        loaded->keys[1] = 0;
}

void papers_load_certificate(struct papers *loaded, const struct papers *brought)
{
    struct papers before = *loaded;
    *loaded = *brought;
    memcpy(loaded->key_id, before.key_id, sizeof loaded->key_id);
    memcpy(loaded->keys, before.keys, sizeof loaded->keys);
}

/* ---- who believes whom ---- */

static bool is_host_of(const char *host, const char *address)
{
    size_t length = strlen(host);
    return length && strncmp(host, address, length) == 0 && address[length] == ':';
}

/* A controller whose clock was set back renews as much later; what lasts minutes here lasts months in the
 * world. */
static bool is_over(const struct world *world, const struct papers *papers)
{
    int64_t late_ms = world->clock_offset_ms < 0 ? -world->clock_offset_ms : 0;
    return papers->serial && world->now_ms - late_ms > papers->ends_ms;
}

bool papers_bear(const struct world *world, const struct papers *papers, const char *address)
{
    if (!world->tls)
        return true;
    return (is_host_of(papers->hosts[0], address) || is_host_of(papers->hosts[1], address)) &&
           !is_over(world, papers);
}

static bool believes(const struct papers *one, const struct papers *other)
{
    return other->serial == 0 || one->believes >> (other->issuer & 31) & 1;
}

/* One key that is shown, against either that is taken. */
bool papers_let_in(const struct papers *answers, uint64_t key)
{
    return key && (key == answers->keys[0] || key == answers->keys[1]);
}

static bool lets_in(const struct papers *dials, const struct papers *answers)
{
    if (!answers->keys[0])
        return !dials->keys[0];
    return papers_let_in(answers, dials->keys[0]) || papers_let_in(answers, dials->keys[1]);
}

bool papers_agree(const struct world *world, const struct papers *dials, const struct papers *answers,
                  const char *address)
{
    if (!lets_in(dials, answers) || is_over(world, dials))
        return false;
    return !world->tls || (answers->serial && papers_bear(world, answers, address) &&
                           believes(dials, answers) && believes(answers, dials));
}
