/* What the parts of the kubernetes driver share: driver.c (its table, its life), store.c (what is watched),
 * steps.c (what is done). Nobody else includes this. */
#ifndef ATOLL_KUBERNETES_DRIVER_INTERNAL_H
#define ATOLL_KUBERNETES_DRIVER_INTERNAL_H

#include "zone-agent/kubernetes/client.h"
#include "zone-agent/kubernetes/driver.h"
#include "zone-agent/kubernetes/holdings.h"
#include "zone-agent/kubernetes/watch.h"

enum {
    STORE_OBJECTS_MAX = 20000, /* nodes included; above it the zone is said to be too large */
    LOOK_MS = 5000,            /* at what isn't watched: foreign objects, a waiting pod's Secrets */
    SECRETS_LOOK_MS = 60000,   /* at the Secrets of a pod that runs */
    SECRETS_LOOKS_MOST =
        20, /* members in one look: a zone's most in a minute, and steps find room among the requests */
    REFUSED_REST_MS = 5 * 60000, /* before the API server is asked again to grow a claim */
    DISCOVER_RETRY_MS = 2000,
};

struct stored {
    enum object_kind kind;
    struct json *object;
    bool seen;        /* named since its list began */
    uint64_t version; /* another number with each change that the watch brought */
};

struct note;

/* A Secret as it was last seen: its content is never read. */
struct secret_note {
    struct note *note;
    char version[64]; /* its resourceVersion when it was written; "": not by this agent */
    bool stale;       /* gone, or not as it was written */
    uint64_t request;
};

enum { SECRET_KEYFILE, SECRET_TLS, SECRET_COUNT };

/* What is remembered of a member beside its objects. Never freed before the driver. */
struct note {
    struct kube_driver *driver;
    char set[NAME_LENGTH_MAX + 1];
    int ordinal;
    int64_t repairs;
    char last_repair[SENTENCE_LENGTH_MAX];
    char foreign[SENTENCE_LENGTH_MAX], foreign_path[OBJECT_PATH_MAX];
    char problem[SENTENCE_LENGTH_MAX], problem_code[NAME_LENGTH_MAX]; /* of disk or address; "" */
    char refusal[SENTENCE_LENGTH_MAX]; /* to grow the claim to so many bytes; 0: none */
    int64_t refused_bytes, refused_until_ms;
    struct secret_note secrets[SECRET_COUNT];
    int64_t secrets_looked_ms; /* monotonic; 0: not yet */
    bool foreign_shared;
    uint64_t foreign_request;
    bool had_volume, had_claim, had_service,
        had_controller; /* seen by this agent, and not taken away by it */
};

struct watched {
    struct kube_driver *driver;
    enum object_kind kind;
    struct kube_watch *watch;
    bool listed;
    char problem[ERROR_MESSAGE_MAX]; /* "" when it works */
    enum error_code problem_code;
};

struct job;
struct compute;

struct kube_driver {
    struct driver base;
    uv_loop_t *loop;
    uv_timer_t later, look, discover;
    struct http_client *http;
    struct kube_client *client;
    struct compute *compute; /* NULL before a zone with a project needs it */
    char compute_url[512];
    struct clock clock;
    struct random random;
    struct driver_events events;
    void (*note)(void *context, bool is_problem, const char *sentence);
    bool inside;
    char zone[NAME_LENGTH_MAX + 1], namespace_[NAME_LENGTH_MAX + 1];
    char federation[TEXT_LENGTH_MAX + 1], project[TEXT_LENGTH_MAX + 1]; /* of the intent; "" before it */
    const struct intent *intent;
    char intent_problem[ERROR_MESSAGE_MAX], server_problem[ERROR_MESSAGE_MAX];
    struct kube_server server;
    bool discovered;
    struct watched watches[OBJECT_KIND_COUNT];
    struct stored *objects;
    size_t object_count, object_room;
    bool overfull;
    uint64_t last_version;
    struct note **notes;
    size_t note_count;
    size_t secrets_next;         /* whose Secrets are looked at first: each has its turn */
    struct job *jobs, *finished; /* under way; whose end the agent has still to be told */
    bool changed, closing;
    size_t open_handles;
    void (*closed)(void *context);
    void *closed_context;
};

/* All that decisions are made from, as plain values that live until scene_finish(). */
struct scene {
    struct arena arena;
    struct object_zone zone;
    struct observed *objects;
    struct member_note *notes;
    struct holdings_input input;
};
void scene_make(struct kube_driver *driver, struct scene *scene);
void scene_finish(struct scene *scene);

/* driver.c */
void driver_changed(struct kube_driver *driver); /* the agent is told soon, from the loop */
void driver_wake(struct kube_driver *driver);
struct note *driver_note(struct kube_driver *driver, const char *set, int ordinal); /* NULL: no memory */

/* store.c */
int store_watch(struct kube_driver *driver, enum object_kind kind, struct error *err);
bool store_is_complete(const struct kube_driver *driver);
const struct watched *
store_problem(const struct kube_driver *driver); /* a watch that doesn't work, or NULL */
void store_put(struct kube_driver *driver, enum object_kind kind, const struct json *object);
/* 0 when it isn't there. Who has waited for an answer tells by it whether the watch was quicker: then the
 * answer is old news. */
uint64_t store_version(const struct kube_driver *driver, enum object_kind kind, const char *name);
void store_remove(struct kube_driver *driver, enum object_kind kind, const char *name);
void store_finish(struct kube_driver *driver);

/* steps.c */
void steps_perform(struct kube_driver *driver, const struct step *step, uint64_t step_id);
void steps_tell(struct kube_driver *driver); /* step_done for what has finished */
void steps_look_at_foreign(struct kube_driver *driver);
/* secret_looks.c */
void secrets_look(struct kube_driver *driver);
void secrets_settled(struct note *note); /* all have been written */

void steps_finish(struct kube_driver *driver); /* after the client is gone */

#endif
