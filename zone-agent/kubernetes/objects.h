/* The Kubernetes objects of a member, pure: the intent's member and what is known of its zone -> JSON,
 * exactly as it is applied and as `atoll render` prints it. Each function makes a new object that the caller
 * destroys; a failed allocation is told by json_print(). What is not in here is somebody else's to set, and
 * left alone. */
#ifndef ATOLL_KUBERNETES_OBJECTS_H
#define ATOLL_KUBERNETES_OBJECTS_H

#include "proto/base/json.h"
#include "proto/model.h"

/* X(name, Kind, group's path, plural, of a namespace) */
#define OBJECT_KINDS(X)                                                                                      \
    X(OBJECT_VOLUME, "PersistentVolume", "/api/v1", "persistentvolumes", false)                              \
    X(OBJECT_CLAIM, "PersistentVolumeClaim", "/api/v1", "persistentvolumeclaims", true)                      \
    X(OBJECT_SERVICE, "Service", "/api/v1", "services", true)                                                \
    X(OBJECT_BUDGET, "PodDisruptionBudget", "/apis/policy/v1", "poddisruptionbudgets", true)                 \
    X(OBJECT_CONTROLLER, "ReplicationController", "/api/v1", "replicationcontrollers", true)                 \
    X(OBJECT_POD, "Pod", "/api/v1", "pods", true)                                                            \
    X(OBJECT_NODE, "Node", "/api/v1", "nodes", false)                                                        \
    X(OBJECT_SECRET, "Secret", "/api/v1", "secrets", true)

enum object_kind {
#define X(name, kind, group, plural, namespaced) name,
    OBJECT_KINDS(X)
#undef X
        OBJECT_KIND_COUNT
};

enum { OBJECT_PATH_MAX = 512, OBJECT_RANGES_MAX = 2 * RANGES_MAX };

#define LABEL_FEDERATION "atoll.dev/federation"
#define LABEL_ZONE "atoll.dev/zone"
#define LABEL_SET "atoll.dev/set"
#define LABEL_ORDINAL "atoll.dev/ordinal"
#define ANNOTATION_TEMPLATE                                                                                  \
    "atoll.dev/template"                 /* a hash of what was applied: tells our changes from others' */
#define ANNOTATION_USED "atoll.dev/used" /* of a claim: a mongod has been started on the disk */
#define ANNOTATION_ADOPTED "atoll.dev/adopted" /* of a claim: the disk existed before it was ours */
#define ANNOTATION_REPLICA_SET "atoll.dev/replica-set-id" /* of a claim: the mark that a birth leaves */
#define ANNOTATION_KEY_ID "atoll.dev/key-id"              /* of a pod: which keyfile it was started with */
#define ANNOTATION_CERTIFICATE_ID                                                                            \
    "atoll.dev/certificate-id" /* of a ReplicationController: which certificate its member's Secret holds */
#define ANNOTATION_DISK_ID "atoll.dev/disk-id" /* of a PersistentVolume: the id of its Compute disk */

/* What the templates need beside the member. */
struct object_zone {
    const char *federation, *zone, *project, *namespace_;
    /* Of the cluster's pods and nodes: kube-proxy drops a pod's packets to a load balancer's address that the
     * Service's ranges don't admit, and a mongod that can't dial its own address never finds itself in its
     * configuration (error 94). https://github.com/kubernetes/kubernetes/pull/110289 */
    const char *const *own_ranges;
    size_t own_range_count;
    int major, minor; /* of the server; 0.0: the newest */
};

const char *object_kind_name(enum object_kind kind);

/* "/api/v1/namespaces/default/services/mongo-svc-a"; `name` NULL: the collection. */
void object_path(enum object_kind kind, const struct object_zone *zone, const char *name,
                 char out[OBJECT_PATH_MAX]);

/* The disk as the cluster sees it (zones with a project alone), and the claim to it; without a project the
 * claim is one of the cluster's default StorageClass. `disk_id` of the Compute disk. */
struct json *object_volume(const struct object_zone *zone, const struct intent_member *member,
                           const char *disk_id);
struct json *object_claim(const struct object_zone *zone, const struct intent_member *member);

/* PersistentVolume or claim that is there, `live` (NULL: somewhere out of sight): what it is to be. What
 * can't be changed is as it is, what is known of the disk stays on it, and its size is as it is or, with
 * `grow`, no smaller than the intent says. */
struct json *object_disk(enum object_kind kind, const struct object_zone *zone,
                         const struct intent_member *member, const struct json *live, bool grow);
/* The same for one that was made by the above. */
void object_keep(enum object_kind kind, struct json *wanted, const struct json *live, bool grow);
/* The size that a PersistentVolume or claim says, in thousandths of a byte; -1 when it says none. */
double object_storage(enum object_kind kind, const struct json *object);
bool object_is_small(enum object_kind kind, const struct json *live, const struct intent_member *member);

struct json *object_controller(const struct object_zone *zone, const struct intent_member *member,
                               int replicas);

/* The member's keyfile, for its pod alone; it is written, and its content never read. "mongo-node1-keyfile".
 */
struct json *object_secret(const struct object_zone *zone, const struct intent_member *member);
const char *object_secret_name(const struct intent_member *member, struct arena *arena);

/* The member's certificate with its private key, and whose certificates it believes, in PEM; as above.
 * "mongo-node1-tls". */
struct json *object_tls_secret(const struct object_zone *zone, const struct intent_member *member,
                               const char *key, const char *ca);
const char *object_tls_secret_name(const struct intent_member *member, struct arena *arena);

/* `address` is the reserved one ("": none). `admitted` are the ranges that the Service has now: they stay
 * when the intent says that its own are not all (NULL: it has none). */
struct json *object_service(const struct object_zone *zone, const struct intent_member *member,
                            const char *address, const struct json *admitted);

/* Shared by the set's members in this cluster. */
struct json *object_headless(const struct object_zone *zone, const struct intent_member *member);
struct json *object_budget(const struct object_zone *zone, const struct intent_member *member);

/* "mongo-svc": of the headless Service and of the budget. */
const char *object_shared_name(const struct intent_member *member, struct arena *arena);

/* Whether `live` holds all that `wanted` says in labels, annotations and spec. Where not, the first
 * difference goes to `where`
 * ("spec.type is \"ClusterIP\", not \"LoadBalancer\""). Lists of named things are compared by their names, so
 * that what others add stays; quantities by value. */
bool object_matches(const struct json *wanted, const struct json *live, char where[static 256]);

/* Whether the object is this member's: by its labels or, where they were taken off, by their manager.
 * `shared`: it is one that the set's members in this cluster have together, so any of them will do. */
bool object_is_ours(const struct json *live, const struct object_zone *zone,
                    const struct intent_member *member, bool shared);

/* A CPU or memory quantity ("1500m", "2Gi") in thousandths; -1 when it is none. */
double object_quantity(const char *text);

#endif
