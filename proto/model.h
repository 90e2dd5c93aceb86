/* What controller and agents both know, as plain values: what MongoDB's members say, what a zone holds, what
 * it is meant to make true (the intent) and what it reports back. Strings are never NULL ("" is: not known)
 * and live in the arena of the message that they came with. Times are milliseconds; `…_at_ms` are wall times
 * (0: never), `…_age_ms` were ages when the message was sent. */
#ifndef ATOLL_PROTO_MODEL_H
#define ATOLL_PROTO_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"

/* Named limits; readers refuse what is larger and say which. */
enum {
    NAME_LENGTH_MAX = 63,  /* Kubernetes' label and resource names (RFC 1123) */
    HOST_LENGTH_MAX = 260, /* DNS name (253) and port */
    SET_MEMBERS_MAX = 50,  /* https://www.mongodb.com/docs/manual/reference/limits/ */
    SET_VOTERS_MAX = 7,    /* the same page */
    ZONE_MEMBERS_MAX = 200,
    LABELS_MAX = 32,
    SETTINGS_MAX = 32,
    INTENT_BYTES_MAX = 4 << 20,
    REPORT_BYTES_MAX = 4 << 20,
    MONGOD_ARGUMENTS_MAX = 32,
    TEXT_LENGTH_MAX = 512, /* identifiers, versions, image names, paths */
    SENTENCE_LENGTH_MAX =
        1024, /* what people read; writers cut longer ones, so that no message is lost for its prose */
    LABEL_KEY_LENGTH_MAX = 317,    /* DNS prefix (253), slash, name (63) */
    LABEL_VALUE_LENGTH_MAX = 1024, /* tags may be longer than Kubernetes' labels */
    ARGUMENT_LENGTH_MAX = 4096,    /* one mongod argument */
    PEM_LENGTH_MAX = 8192,         /* a certificate, a request, or a CA and its successor */
    KEYFILE_LENGTH_MAX = 4096,
    RANGES_MAX = 256,      /* CIDRs that one Service admits, or that one zone leaves by */
    RANGE_LENGTH_MAX = 49, /* an IPv6 address with its prefix length */
};

/* https://www.mongodb.com/docs/manual/reference/replica-states/ : number, name */
#define MEMBER_STATES(X)                                                                                     \
    X(MEMBER_STARTUP, 0, "STARTUP")                                                                          \
    X(MEMBER_PRIMARY, 1, "PRIMARY")                                                                          \
    X(MEMBER_SECONDARY, 2, "SECONDARY")                                                                      \
    X(MEMBER_RECOVERING, 3, "RECOVERING")                                                                    \
    X(MEMBER_STARTUP2, 5, "STARTUP2")                                                                        \
    X(MEMBER_UNKNOWN, 6, "UNKNOWN")                                                                          \
    X(MEMBER_ARBITER, 7, "ARBITER")                                                                          \
    X(MEMBER_DOWN, 8, "DOWN")                                                                                \
    X(MEMBER_ROLLBACK, 9, "ROLLBACK")                                                                        \
    X(MEMBER_REMOVED, 10, "REMOVED")

enum member_state {
#define X(name, number, text) name = number,
    MEMBER_STATES(X)
#undef X
};

struct key_value {
    const char *key, *value;
};

/* A MongoDB configuration setting (settings.electionTimeoutMillis …): a number, or a boolean as 0 and 1. */
struct setting {
    const char *name;
    double value;
    bool is_bool;
};

/* A position in the oplog. Larger term wins, then larger time. */
struct optime {
    int64_t term; /* -1: none */
    uint32_t seconds, increment;
};

/* One entry of `members` in a replica set configuration.
 * https://www.mongodb.com/docs/manual/reference/replica-configuration/ */
struct config_member {
    int id;
    const char *host;
    int votes;
    double priority;
    bool hidden, arbiter_only, newly_added;
    int64_t secondary_delay_secs;
    const struct key_value *tags;
    size_t tag_count;
};

struct replica_config {
    const char *set;
    int64_t version;            /* 0: there is no configuration */
    int64_t term;               /* -1: the server has no configuration terms (before 4.4), or it was forced */
    const char *replica_set_id; /* 24 hexadecimal digits */
    const struct config_member *members;
    size_t member_count;
    const struct setting *settings; /* the numbers and booleans of `settings` */
    size_t setting_count;
};

/* What one member's mongod sees of another (replSetGetStatus.members[]). */
struct peer_view {
    int id;
    const char *host;
    enum member_state state;
    bool healthy;
    struct optime optime;
    int64_t config_version, config_term;
};

/* What one mongod said when its agent asked it by the local route. */
#define MONGOD_ANSWERS(X)                                                                                    \
    X(MONGOD_NOT_ASKED, "not-asked")             /* no pod runs, or none was asked yet */                    \
    X(MONGOD_SILENT, "silent")                   /* asked, no answer: `problem` says why */                  \
    X(MONGOD_NOT_INITIALIZED, "not-initialized") /* error 94: it has no configuration */                     \
    X(MONGOD_NOT_IN_CONFIG, "not-in-config")     /* it has a configuration that doesn't name it (REMOVED) */ \
    X(MONGOD_MEMBER, "member")                   /* a member of a set */

enum mongod_answer {
#define X(name, text) name,
    MONGOD_ANSWERS(X)
#undef X
};

struct mongod_view {
    enum mongod_answer answer;
    const char *problem; /* a sentence, when SILENT or when its configuration can't be read */
    int64_t age_ms;      /* since the answer, when the report was sent; -1: never answered */
    const char *version; /* "7.0.14" */
    const char *process; /* which process answered (mongod_process_text()); "": not known */
    enum member_state state;
    int self_id;                  /* its own _id in its configuration; -1: none */
    int64_t term;                 /* election term; -1: none */
    int primary_id;               /* whom it holds for primary; -1: nobody */
    struct optime optime;         /* last applied */
    struct replica_config config; /* as it has it now; version 0: none */
    bool config_committed;        /* it is primary and says that `config` is committed (4.4+) */
    bool knows_commitment;        /* it is primary and could say so at all */
    const char *certificate_id; /* the SHA-256 of the certificate that it shows to whoever connects; "": none,
                                   or not known */
    bool certificate_foreign; /* none of the CAs that the intent names has signed it: the controller has lost
                                 the one that did */
    const struct peer_view *peers; /* all members as it sees them, itself included */
    size_t peer_count;
};

#define DISK_STATES(X)                                                                                       \
    X(DISK_ABSENT, "Absent")                                                                                 \
    X(DISK_CREATING, "Creating")                                                                             \
    X(DISK_READY, "Ready")       /* exists, nobody uses it */                                                \
    X(DISK_ATTACHED, "Attached") /* a pod has it mounted */                                                  \
    X(DISK_FAILED, "Failed")

enum disk_state {
#define X(name, text) name,
    DISK_STATES(X)
#undef X
};

/* The disk of a member. Its `id` changes whenever its content is gone: another disk of the same name, or the
 * same one found empty after it had held data, has another id. So "the disk is the one that we know" is one
 * comparison. */
struct disk_holding {
    const char *name;
    const char *id;
    enum disk_state state;
    bool adopted;                   /* existed before us: may hold data that we know nothing of */
    bool used;                      /* a mongod has been started on it under this id */
    const char *replica_set_id;     /* the mark that a birth leaves on it; "" before */
    int64_t size_bytes, used_bytes; /* -1: not known */
};

struct pod_holding {
    const char *name; /* "" when there is none */
    const char *node;
    const char *image_id;
    bool running, ready, terminating;
    int64_t restarts;
    const char *last_exit; /* a sentence about how the last one ended; "" when none did */
    const char *key_id;    /* of the keyfile that it was started with; "": none */
};

/* A problem that the agent or its zone has with a member, in words for people. */
struct problem {
    const char *code;    /* stable, like "disk_quota" or "foreign_object"; "" when there is none */
    const char *message; /* what was being done, to what, what went wrong, what to do next */
    int rule;            /* the number of the agent's rule that says so; 0 when none */
};

/* All that a zone holds for one member. */
struct member_holding {
    const char *set;
    int ordinal;
    struct disk_holding disk;
    bool controller_exists; /* the ReplicationController */
    int replicas;           /* what it is set to */
    bool service_exists;
    const char *address; /* host:port that its Service is reached by from other zones; "" while it has none */
    struct pod_holding pod;
    struct problem problem; /* of the driver: the last step that failed, or an object of the member's name
                               that isn't ours */
    int64_t repairs; /* since the agent started: how often somebody's change to our fields was undone */
    const char *last_repair; /* a sentence: what was changed, and undone */
    /* Facts for the agent's own rows; not in the report. */
    bool foreign; /* an object of the member's name isn't ours: `problem` names it */
    bool disk_stale, service_stale, controller_stale; /* not as the intent says */
    bool disk_small;                                  /* smaller than the intent says, and may be grown now */
    bool secrets_stale; /* its keyfile or certificate is gone from beside its pod, or somebody else's */
};

/* ---- intent ---- */

#define MEMBER_RUNS(X)                                                                                       \
    X(RUN_UP, "up")         /* disk, Service, ReplicationController, pod */                                  \
    X(RUN_HELD, "held")     /* all but the pod: replicas 0 */                                                \
    X(RUN_ABSENT, "absent") /* no ReplicationController, no Service; the disk stays */

enum member_run {
#define X(name, text) name,
    MEMBER_RUNS(X)
#undef X
};

struct intent_member {
    const char *set;
    int ordinal;
    enum member_run run;
    const char *node, *controller, *service, *volume, *disk; /* the names that the system makes */
    const char *image;
    int port;
    int64_t storage_bytes;
    const char *storage_type;
    bool arbiter;
    /* The disk that the pod may be started on. "": any disk that was never used. A disk with another id that
     * was lost or emptied is held until the controller has taken the member's vote away and names the new id
     * here. */
    const char *disk_id;
    const char *replica_set_id;     /* to be marked on the disk; "" while the set is not born */
    const struct key_value *labels; /* of the pod: the user's own, like instance: rod */
    size_t label_count;
    const char *const *mongod_arguments;
    size_t mongod_argument_count;
    const char *cpu, *memory; /* requests, as Kubernetes writes them; "": none */
    /* Authentication: members start with the keyfile, and are asked as __system by its first key. `keyfile`
     * is a secret: it is in the intent on its way and in the agent's own file alone. `key_id` tells one
     * keyfile from another and is no secret. */
    bool auth;
    const char *keyfile, *key_id;
    /* Encryption: what was signed for the key that the agent made; "": not yet. The names in it are the
     * controller's matter. `certificate_id` is its SHA-256, which tells it from others. */
    bool tls;
    const char *certificate, *certificate_id;
    /* Who may come to the Service, but for the zone's own pods and nodes, which its agent knows. */
    const char *const *source_ranges;
    size_t source_range_count;
    bool source_ranges_partial; /* some zone's are not known now: what a Service admits already stays admitted
                                 */
};

/* The whole of what one zone must make true. Level-triggered: a newer one replaces an older one. */
struct intent {
    int64_t epoch;    /* of the controller; agents refuse a lower one than they have accepted */
    int64_t revision; /* grows with each change, within an epoch and over epochs */
    const char *federation, *zone;
    const char *project;    /* of the Compute API; "": a cluster of any make */
    const char *namespace_; /* of Kubernetes; "" for other drivers */
    const char *ca;         /* who signs members' certificates, PEM; "": nobody */
    const struct intent_member *members;
    size_t member_count;
};

/* ---- report ---- */

struct report_member {
    struct member_holding holding;
    struct mongod_view mongod;
    struct problem waiting; /* what the agent waits for with this member; code "" when for nothing */
    const char *key_id;     /* of the keyfile that its intent has; "": none */
    const char *keyfile;    /* a secret: said only to a controller that has lost it, and asked for it */
    /* For the key that the agent made for the member: the request for a certificate, and the one that it has;
     * PEM, "": none. */
    const char *certificate_request, *certificate;
};

/* The whole of what one zone's agent sees. Also members that the intent no longer names but the zone still
 * holds. */
struct report {
    const char *zone;
    const char *run_id;          /* made at each start of the agent */
    const char *version;         /* of the agent */
    int64_t sequence;            /* grows within a run */
    int64_t epoch;               /* the highest that the agent has accepted */
    int64_t revision;            /* the intent that it works on; 0: none */
    bool reached;                /* that intent is made true, as far as the zone can tell */
    const char *driver;          /* "local", "kubernetes" */
    struct problem zone_problem; /* of the zone as a whole, like an API server that doesn't answer */
    const char *const
        *egress; /* CIDRs that the zone's nodes are seen to leave by; none where only a NAT's owner knows */
    size_t egress_count;
    const struct report_member *members;
    size_t member_count;
};

/* What changes all the time without being news; sent with every heartbeat, and laid over the last report. */
struct pulse_member {
    const char *set;
    int ordinal;
    int64_t age_ms;
    struct optime optime;
    int64_t used_bytes;
};

struct heartbeat {
    const char *run_id;
    int64_t sequence; /* of the last report that the controller has acknowledged; 0: none */
    int64_t epoch, revision;
    const struct pulse_member *members;
    size_t member_count;
};

/* ---- waiting ---- */

/* Whatever is not finished carries one of these. */
struct wait {
    const char *subject;        /* `for` in JSON: what is waited for, like "address of mongo-node2" */
    const char *reason;         /* a code */
    const char *message;        /* one sentence */
    int64_t since_ms, until_ms; /* wall times; until 0: no limit */
    const char *ended_by;       /* who can end it: "zone us-east1-b", "MongoDB", "operator" … */
    int rule;                   /* the number of the decision row */
};

/* Names */
const char *member_state_name(enum member_state state);
bool member_state_from_number(int64_t number, enum member_state *out);
const char *mongod_answer_name(enum mongod_answer answer);
const char *disk_state_name(enum disk_state state);
const char *member_run_name(enum member_run run);

/* -1, 0, 1 as `a` is older than, the same as, newer than `b`. A configuration is newer by its term, then its
 * version; one without a term (-1) is compared by version alone, as the server does after a forced
 * reconfiguration. */
int replica_config_compare(const struct replica_config *a, const struct replica_config *b);
int optime_compare(struct optime a, struct optime b);

/* The entry with this _id, or NULL. */
const struct config_member *replica_config_find(const struct replica_config *config, int id);

/* Deep copies into another arena. */
struct replica_config replica_config_copy(struct arena *arena, const struct replica_config *config);
/* Names a mongod process by what its serverStatus says: no two that run at one time have host (a pod's name,
 * or a machine's) and pid in common. Whoever asks an address compares this with what the member's own agent
 * saw: addresses change hands. */
const char *mongod_process_text(struct arena *arena, const char *host, int64_t pid);

struct report report_copy(struct arena *arena, const struct report *report);
struct intent intent_copy(struct arena *arena, const struct intent *intent);

#endif
