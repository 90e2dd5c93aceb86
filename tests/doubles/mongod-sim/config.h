/* A replica set's configuration: parsed with the server's own checks, compared with another, printed again.
 * Immutable once parsed; shared by counting references.
 * https://www.mongodb.com/docs/manual/reference/replica-configuration/ */
#ifndef SIM_CONFIG_H
#define SIM_CONFIG_H

#include "util.h"

enum { MEMBERS_MAX = 50, VOTERS_MAX = 7, HOST_MAX = 300, SET_NAME_MAX = 128 };

struct member_config {
    int64_t id;
    char host[HOST_MAX]; /* always with a port */
    bool arbiter, build_indexes, hidden, newly_added;
    double priority; /* as written; see member_priority() */
    int votes;       /* as written; see member_votes() */
    int64_t delay_secs;
    bson_t *tags;
};

struct config {
    int references;
    int server_version;
    char set_name[SET_NAME_MAX];
    int64_t version;
    int64_t term; /* -1: none, as after a forced reconfiguration and before 4.4 */
    int64_t protocol_version;
    bool majority_journal;
    bool chaining;
    int64_t heartbeat_interval_ms, heartbeat_timeout_secs, election_timeout_ms, catch_up_timeout_ms,
        takeover_delay_ms;
    bson_t *modes, *defaults;
    bson_oid_t id;
    bool has_id;
    int count;
    struct member_config members[MEMBERS_MAX];
};

/* Reads types and unknown fields. Errors carry the server's code as detail. *out has one reference. */
int config_parse(const bson_t *doc, int server_version, struct config **out, struct error *err);
/* The rules between fields: ids, hosts, votes, priorities. */
int config_validate(const struct config *config, struct error *err);
/* May `new` follow `old`? Everything but who executes it. */
int config_compatible(const struct config *old, const struct config *new, bool force, struct error *err);

struct config *config_reference(struct config *config);
void config_release(struct config *config); /* NULL is fine */
/* A copy with one reference, to be changed before it is shared. */
struct config *config_copy(const struct config *config);

/* With `internal`, newlyAdded is shown, as members tell each other; clients don't see it. */
void config_write(const struct config *config, bool internal, bson_t *out);

/* Effective values: a member that is newlyAdded neither votes nor is elected. */
int member_votes(const struct member_config *member);
double member_priority(const struct member_config *member);
int config_find_host(const struct config *config, const char *host); /* index or -1 */
int config_find_id(const struct config *config, int64_t id);
int config_voters(const struct config *config);
int config_majority(const struct config *config);        /* of votes */
int config_writable_voters(const struct config *config); /* voters that hold data */
int config_write_majority(const struct config *config);  /* what w: "majority" waits for */
bool config_default_majority(
    const struct config *config); /* the implicit write concern is majority (5.0+), else w: 1 */
/* Orders by (term, version); where one has no term, by version alone, like the server. */
int config_compare(int64_t version_a, int64_t term_a, int64_t version_b, int64_t term_b);
/* "{version: 5, term: 1}" */
const char *config_name(const struct config *config, char *text, size_t size);

#endif
