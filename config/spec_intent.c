/* Spec -> intent of one member: see spec_intent.h. */
#include "config/spec_intent.h"

struct intent_member spec_intent_member(const struct spec_set *set, const struct spec_member *member,
                                        struct arena *arena)
{
    struct member_names names = spec_member_names(set, member, arena);
    return (struct intent_member){.set = set->name,
                                  .ordinal = member->ordinal,
                                  .run = RUN_UP,
                                  .node = names.node,
                                  .controller = names.controller,
                                  .service = names.service,
                                  .volume = names.volume,
                                  .disk = names.disk,
                                  .image = set->image,
                                  .port = set->port,
                                  .storage_bytes = set->storage_bytes,
                                  .storage_type = set->storage_type,
                                  .arbiter = member->arbiter_only,
                                  .disk_id = "",
                                  .replica_set_id = "",
                                  .labels = member->labels,
                                  .label_count = member->label_count,
                                  .mongod_arguments = set->mongod_arguments,
                                  .mongod_argument_count = set->mongod_argument_count,
                                  .cpu = set->cpu,
                                  .auth = set->auth,
                                  .keyfile = "",
                                  .key_id = "",
                                  .certificate = "",
                                  .certificate_id = "",
                                  .memory = set->memory};
}
