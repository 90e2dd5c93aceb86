/* A federation's spec as plain values: what the user wants, defaults filled in. This file and spec.c are the
 * one place of its defaults and of the names that the system makes. Values live in the arena that they were
 * read into. */
#ifndef ATOLL_CONFIG_SPEC_H
#define ATOLL_CONFIG_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/base/error.h"
#include "proto/model.h"

enum {
    SPEC_ZONES_MAX = 1000,
    SPEC_SETS_MAX = 500,
    SPEC_BYTES_MAX = 4 << 20,
    SPEC_RANGES_MAX = 256,
    SPEC_DEFAULT_PORT = 27017,
    SPEC_ORDINAL_MAX = 9999, /* ordinals are never given again, so they may pass SET_MEMBERS_MAX */
    SPEC_ARGUMENTS_BYTES_MAX =
        4096, /* of all arguments of a set, so that a full zone's intent fits its bound */
    SPEC_DEFAULT_BACKUP_KEEP = 7,
    SPEC_DEFAULT_ROLLOUT_SOAK_MS = 10 * 60 * 1000,
    SPEC_DEFAULT_ROLLOUT_MAX_LAG_MS = 10 * 1000,
};
#define SPEC_DEFAULT_STORAGE_BYTES (INT64_C(10) << 30)
#define SPEC_DEFAULT_STORAGE_TYPE "pd-ssd"
#define SPEC_DEFAULT_DRIVER "kubernetes"
#define SPEC_DEFAULT_NAMESPACE "default"

struct tree_node; /* where a thing was written, key by key: of config/ alone; NULL when it was not read from a
                     file */

/* Where a value was written; line 0: nowhere (a default). */
struct spec_mark {
    const char *file;
    int line, column;
};

struct spec_zone {
    const char *name;
    const char *driver;        /* "kubernetes" (default) or "local" */
    const char *project;       /* "": a cluster of any make, no Compute API */
    const char *namespace_;    /* default "default" */
    const char *const *egress; /* CIDRs */
    size_t egress_count;
    const struct key_value *labels;
    size_t label_count;
    struct spec_mark mark;
    const struct tree_node *node;
};

struct spec_member {
    int ordinal; /* 1, 2, 3 … */
    const char *zone;
    double priority; /* default 1; 0 for hidden, delayed and voteless ones */
    int votes;       /* default 1 */
    bool hidden, arbiter_only;
    int64_t secondary_delay_secs;
    const struct key_value *tags;
    size_t tag_count;
    const struct key_value *labels;
    size_t label_count;
    const char *disk; /* a disk of the user's to adopt; "": the system's name */
    bool absent;      /* state: absent */
    struct spec_mark mark;
    const struct tree_node *node;
};

enum spec_address { ADDRESS_EXTERNAL_IP, ADDRESS_DNS };

struct spec_set {
    const char *name;
    const char *image;
    int64_t storage_bytes;    /* default 10Gi */
    const char *storage_type; /* default "pd-ssd" */
    int port;                 /* default 27017 */
    enum spec_address address;
    const char *domain;             /* with ADDRESS_DNS */
    const char *cpu, *memory;       /* resources.requests, as written; "" none */
    bool auth;                      /* default true */
    const struct setting *settings; /* MongoDB's own names */
    size_t setting_count;
    const char *const *mongod_arguments; /* `mongod`: extra arguments */
    size_t mongod_argument_count;
    int64_t rollout_soak_ms, rollout_max_lag_ms;
    const int *rollout_order; /* ordinals; empty: by ordinal, the primary last */
    size_t rollout_order_count;
    const char *backup_schedule; /* "" none */
    int64_t backup_keep;
    bool drills_allowed;
    const char *const *source_ranges;
    size_t source_range_count;
    const struct spec_member *members; /* by ordinal, ascending */
    size_t member_count;
    bool absent; /* state: absent */
    struct spec_mark mark;
    const struct tree_node *node;
};

struct spec {
    const char *name;             /* metadata.name */
    bool tls;                     /* default true: members, with each other and with clients */
    bool access_anonymous_status; /* access.anonymousStatus */
    const struct spec_zone *zones;
    size_t zone_count;
    const struct spec_set *sets;
    size_t set_count;
    struct spec_mark mark;
    const struct tree_node *node;
};

/* Names that the system makes (design of the founding description): for set "mongo", ordinal 1. Each is
 * written into the arena. */
struct member_names {
    const char *node;       /* mongo-node1 */
    const char *controller; /* mongo-rc1 */
    const char *service;    /* mongo-svc-a; ordinal 26 is z, 27 aa, 28 ab */
    const char *volume;     /* mongo-persistent-storage1 */
    const char *disk;       /* mongodb-disk1, or the user's own */
};
/* Everything at its default, all else empty. Strings are "", never NULL. */
struct spec_zone spec_zone_default(void);
struct spec_set spec_set_default(void);
struct spec_member spec_member_default(void);
struct spec spec_default(void);

/* The priority of a member that states none: 0 when it is hidden, delayed, voteless or an arbiter, else 1. */
double spec_member_default_priority(const struct spec_member *member);

/* "" for each when the arena runs out. */
struct member_names spec_member_names(const struct spec_set *set, const struct spec_member *member,
                                      struct arena *arena);

/* The first of these alone, for those who only speak of the member: mongo-node1. */
const char *spec_node_name(const struct spec_set *set, const struct spec_member *member, struct arena *arena);

/* The headless Service over all members of a set in one cluster: mongo-svc. */
const char *spec_headless_service(const struct spec_set *set, struct arena *arena);

const struct spec_set *spec_find_set(const struct spec *spec, const char *name);
const struct spec_zone *spec_find_zone(const struct spec *spec, const char *name);
const struct spec_member *spec_find_member(const struct spec_set *set, int ordinal);

#endif
