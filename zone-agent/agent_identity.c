/* The keys and certificates of the zone's members: the agent makes the keys, which never leave the zone; the
 * controller signs. */
#include <string.h>

#include "zone-agent/agent_internal.h"

static const struct member_identity nobody = {.key = "", .request = "", .ca = ""};

static void identify(struct agent *agent, struct intent_member *member, struct member_identity *out)
{
    struct error err = {0};
    bool signed_for = *member->certificate;
    if (!member->tls)
        return;
    if (member->run == RUN_ABSENT) {
        agent->environment.forget_identity(agent->environment.context, member->node);
        return;
    }
    if (agent->environment.identify(agent->environment.context, member, agent->intent.ca,
                                    &agent->intent_arena, out, &err)) {
        agent_note(agent, true, "%s has no key for its certificate: %s", member->node, err.message);
        *out = nobody;
    }
    if (out->fits)
        return;
    if (signed_for)
        agent_note(agent, true,
                   "the certificate for %s is not for its key, or not of the federation's CA: another one is "
                   "waited for",
                   member->node);
    member->certificate = member->certificate_id = "";
}

void agent_identify(struct agent *agent)
{
    struct intent *intent = &agent->intent;
    struct intent_member *members = arena_array(&agent->intent_arena, intent->member_count, sizeof *members);
    agent->identities = arena_array(&agent->intent_arena, intent->member_count, sizeof *agent->identities);
    if (!members || !agent->identities) {
        agent->identities = NULL; /* as without any: nobody is started without its certificate */
        return;
    }
    for (size_t i = 0; i < intent->member_count; i++) {
        members[i] = intent->members[i];
        agent->identities[i] = nobody;
        identify(agent, &members[i], &agent->identities[i]);
    }
    intent->members = members;
}

const struct member_identity *agent_identity(const struct agent *agent, const struct intent_member *member)
{
    const struct intent *intent = &agent->intent;
    if (!member || !agent->identities || member < intent->members ||
        member >= intent->members + intent->member_count)
        return &nobody;
    return &agent->identities[member - intent->members];
}
