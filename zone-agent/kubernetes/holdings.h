/* What is observed of a cluster -> what the zone holds, pure. Objects come trimmed to the fields that are
 * used, so that an agent's memory does not grow with what others write into them. */
#ifndef ATOLL_KUBERNETES_HOLDINGS_H
#define ATOLL_KUBERNETES_HOLDINGS_H

#include "zone-agent/driver.h"
#include "zone-agent/kubernetes/objects.h"

enum { HOLDINGS_MEMBERS_MAX = 2 * ZONE_MEMBERS_MAX };

struct observed {
    enum object_kind kind;
    const struct json *object; /* as holdings_trim() made it */
};

/* What the driver itself remembers of a member. */
struct member_note {
    const char *set;
    int ordinal;
    int64_t repairs;
    const char *last_repair;
    const char *foreign; /* a sentence about an object of the member's name that isn't ours; "" */
    const char *problem, *problem_code; /* of its disk or address; "" */
    /* The API server has refused to grow the claim to this size, with this sentence; 0: it has not. `rests`:
     * it is not asked again yet. */
    int64_t refused_bytes;
    const char *refusal;
    bool rests;
    bool secrets_stale;
    bool had_volume,
        had_claim; /* there were, and nobody has said that they are gone: they may have lost our labels */
};

struct holdings_input {
    const struct object_zone *zone; /* federation "": not known yet, any is taken */
    const struct intent *intent;    /* NULL: none yet; then nothing is stale */
    const struct observed *objects;
    size_t object_count;
    const struct member_note *notes;
    size_t note_count;
};

/* A copy of the fields that are used; the caller destroys it. NULL when memory is out. */
struct json *holdings_trim(enum object_kind kind, const struct json *object);

/* Fills members, egress; the rest is the driver's. */
void holdings_build(const struct holdings_input *input, struct arena *arena, struct holdings *out);

/* The object of this kind and name, or NULL. */
const struct json *holdings_find(const struct holdings_input *input, enum object_kind kind, const char *name);

/* The member's pod: the youngest that runs or may run, else one that is going; NULL when there is none. */
const struct json *holdings_pod(const struct holdings_input *input, const char *set, int ordinal);

/* Where mongod is asked: by its pod's IP from within the cluster, by its Service's address from outside. */
void holdings_route(const struct holdings_input *input, const char *set, int ordinal, bool inside,
                    struct arena *arena, struct local_route *out);

/* The addresses of pods and nodes, as CIDRs: at most RANGES_MAX / 2, neighbours being put together where they
 * are more. */
size_t holdings_own_ranges(const struct holdings_input *input, struct arena *arena, const char *const **out);

/* Somebody's change to an object that was applied as it is meant to be now: `where` says what differs. False
 * when nothing does, or when our own template or the member's certificate has changed. */
bool holdings_drift(const struct json *wanted, const struct json *live, char where[static 256]);

#endif
