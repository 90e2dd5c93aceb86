/* What the templates share: objects.c (disk, ReplicationController, Services, budget), objects_pod.c (the
 * pod) and objects_secrets.c (what its mongod reads). Nobody else includes this. */
#ifndef ATOLL_KUBERNETES_OBJECTS_INTERNAL_H
#define ATOLL_KUBERNETES_OBJECTS_INTERNAL_H

#include "zone-agent/kubernetes/objects.h"

/* The keys of a member's Secrets, which are its files' names. */
#define KEYFILE_KEY "keyfile"
#define CERTIFICATE_KEY "member.pem" /* the certificate, and after it its private key */
#define CA_KEY "ca.pem"

/* objects.c */
struct json *objects_begin(enum object_kind kind, const struct object_zone *zone,
                           const struct intent_member *member, const char *name, bool shared);
void objects_set_labels(struct json *labels, const struct object_zone *zone,
                        const struct intent_member *member, bool shared);
/* What a Service or a budget of the whole set selects by. */
void objects_set_selector(struct json *selector, const struct object_zone *zone,
                          const struct intent_member *member);
void objects_append_string(struct json *list, const char *text);

/* objects_pod.c */
void objects_set_pod(struct json *template, const struct object_zone *zone,
                     const struct intent_member *member);

/* objects_secrets.c */
enum { SECRET_NAME_MAX = TEXT_LENGTH_MAX + 16 };
void objects_keyfile_name(const struct intent_member *member, char out[SECRET_NAME_MAX]);
void objects_tls_name(const struct intent_member *member, char out[SECRET_NAME_MAX]);

#endif
