/* What the spec alone says of a member, in the form in which its zone's agent is told. */
#ifndef ATOLL_CONFIG_SPEC_INTENT_H
#define ATOLL_CONFIG_SPEC_INTENT_H

#include "config/spec.h"

/* `run` is RUN_UP; disk_id, replica_set_id and source ranges are empty: they are the planner's. Strings are
 * borrowed from the spec, or in the arena. */
struct intent_member spec_intent_member(const struct spec_set *set, const struct spec_member *member,
                                        struct arena *arena);

#endif
