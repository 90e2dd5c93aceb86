/* What each zone is to make true, put together from the plans of all sets that have members there. */
#include <stdio.h>
#include <string.h>

#include "config/spec_intent.h"
#include "controller/controller_internal.h"
#include "controller/decide/ranges.h"
#include "proto/intent.h"

static bool in_zone(const struct spec_member *member, const struct zone_state_of *zone)
{
    return strcmp(member->zone, zone->name) == 0;
}

static bool awaits_keyfile(const struct controller *controller, const struct set_state *set)
{
    return controller_authenticates(controller, set) && !set->ledger->keys.key_count;
}

/* While the keyfile of a set is not known (zones have not been heard that may have one), its members' disks
 * and Services are made, and no pod. One that has a pod is not spoken of: what the intent doesn't name, the
 * agent leaves as it is. */
static bool is_named(const struct controller *controller, const struct set_state *set,
                     const struct plan *plan, size_t member, const struct zone_state_of *zone)
{
    if (!plan->members[member].named || !awaits_keyfile(controller, set))
        return plan->members[member].named;
    const struct report_member *said =
        zone_sight_member(&zone->sight, set->name, set->set->members[member].ordinal);
    return !said || (!said->holding.replicas && !*said->holding.pod.name);
}

/* An intent without a set that could not be planned for would read like that set's removal: so all of them,
 * or no intent. */
static bool all_settled(const struct controller *controller, const struct zone_state_of *zone,
                        size_t *members)
{
    *members = 0;
    for (size_t s = 0; s < controller->set_count; s++) {
        const struct set_state *set = controller->sets[s];
        for (size_t m = 0; m < set->set->member_count; m++) {
            if (!in_zone(&set->set->members[m], zone))
                continue;
            if (!set->settled)
                return false;
            *members += is_named(controller, set, &set->slots[set->current].plan, m, zone);
        }
    }
    return true;
}

static void add_keyfile(const struct set_keys *keys, struct arena *arena, struct intent_member *out)
{
    char text[KEYFILE_TEXT_MAX];
    const char *list[KEYFILE_KEYS_MAX];
    for (size_t i = 0; i < keys->key_count; i++)
        list[i] = keys->keys[i];
    keyfile_write(list, keys->key_count, text);
    out->auth = true;
    out->keyfile = arena_string(arena, text);
    out->key_id = arena_string(arena, keys->id);
    explicit_bzero(text, sizeof text);
}

static void add_certificate(const struct set_state *set, struct arena *arena, struct intent_member *out)
{
    const struct member_certificate *certificate = controller_certificate(set, out->ordinal);
    out->tls = true;
    if (!certificate)
        return;
    out->certificate = arena_string(arena, buffer_text(&certificate->pem));
    out->certificate_id = arena_string(arena, certificate->id);
}

static void build_member(const struct spec_set *set, const struct spec_member *member,
                         const struct member_plan *plan, const struct set_ranges *ranges, struct arena *arena,
                         struct intent_member *out)
{
    *out = spec_intent_member(set, member, arena);
    out->run = plan->run;
    out->auth = false; /* until the keyfile is known */
    out->disk_id = plan->disk_id ? plan->disk_id : "";
    out->replica_set_id = plan->replica_set_id ? plan->replica_set_id : "";
    out->source_ranges = ranges->ranges;
    out->source_range_count = ranges->count;
    out->source_ranges_partial = ranges->partial;
}

/* Zones of the driver `local` have no Services that could refuse anybody. */
static void find_ranges(const struct controller *controller, const struct spec_set *set,
                        const struct zone_state_of *zone, struct arena *arena, struct set_ranges *out)
{
    *out = (struct set_ranges){.unknown_zone = ""};
    struct zone_egress *reported = arena_array(arena, controller->zone_count, sizeof *reported);
    if (strcmp(zone->zone->driver, "local") == 0 || !reported)
        return;
    for (size_t i = 0; i < controller->zone_count; i++) {
        const struct zone_state_of *other = &controller->zones[i];
        reported[i].zone = other->name;
        if (other->sight.has_report) {
            reported[i].ranges = other->sight.report.egress;
            reported[i].count = other->sight.report.egress_count;
        }
    }
    const struct zone_egress own = {.ranges = controller->environment.egress,
                                    .count = controller->environment.egress_count};
    ranges_of_set(&controller->spec->spec, set, reported, controller->zone_count, &own, arena, out);
}

/* A zone that has reported and still isn't known: somebody must say it, or its members are never let in. */
static void tell_unknown_egress(struct controller *controller, struct set_state *set,
                                const struct set_ranges *ranges)
{
    const struct zone_state_of *unknown = controller_zone(controller, ranges->unknown_zone);
    bool missing = unknown && unknown->sight.has_report && !unknown->sight.report.egress_count;
    if (missing && !set->egress_told)
        controller_tell(controller, EVENT_EGRESS_UNKNOWN,
                        &(struct event_words){.set = set->name, .zone = unknown->name});
    set->egress_told = missing;
}

static void build_set(struct controller *controller, struct set_state *set, const struct zone_state_of *zone,
                      struct arena *arena, struct intent_member *members, size_t *count)
{
    const struct plan *plan = &set->slots[set->current].plan;
    struct set_ranges ranges;
    find_ranges(controller, set->set, zone, arena, &ranges);
    if (strcmp(zone->zone->driver, "local") != 0)
        tell_unknown_egress(controller, set, &ranges);
    for (size_t m = 0; m < set->set->member_count && m < plan->member_count; m++)
        if (in_zone(&set->set->members[m], zone) && is_named(controller, set, plan, m, zone)) {
            build_member(set->set, &set->set->members[m], &plan->members[m], &ranges, arena,
                         &members[*count]);
            if (awaits_keyfile(controller, set) && members[*count].run == RUN_UP)
                members[*count].run = RUN_HELD;
            else if (controller_authenticates(controller, set) && !awaits_keyfile(controller, set))
                add_keyfile(&set->ledger->keys, arena, &members[*count]);
            if (controller_encrypts(controller))
                add_certificate(set, arena, &members[*count]);
            (*count)++;
        }
}

static bool next_revision(struct controller *controller, int64_t *out)
{
    /* The reservation is raised together with the epoch record, but the epoch stays: it is a matter of this
     * process's life. */
    if (controller->revision >= controller->revision_reserved) {
        char text[RECORD_NUMBER_MAX];
        int64_t reserved = controller->revision_reserved + CONTROLLER_REVISIONS_RESERVED;
        size_t length = (size_t)snprintf(text, sizeof text, "%lld", (long long)reserved);
        if (controller_remember(controller, &(struct store_record){RECORD_REVISION, text, length}, 1, NULL))
            return false;
        controller->revision_reserved = reserved;
    }
    *out = ++controller->revision;
    return true;
}

/* The zone's intent now, or false when it is not to be sent. A zone that has not told this controller what it
 * holds gets none: a plan made without knowing would hold or start members that run already (its agent goes
 * on with the intent that it has). Neither does one that still has keyfiles which this controller has lost:
 * it would forget them; nor one whose members show certificates of another CA while they can't all be
 * exchanged. */
static bool build(struct controller *controller, const struct zone_state_of *zone, struct arena *arena,
                  struct intent *out)
{
    size_t wanted = 0, count = 0;
    if (!zone->sight.has_report || controller_keys_wanted(controller, zone) ||
        controller_certificates_wait(controller, zone) || !all_settled(controller, zone, &wanted) ||
        wanted > ZONE_MEMBERS_MAX)
        return false;
    struct intent_member *members = arena_array(arena, wanted, sizeof *members);
    if (wanted && !members)
        return false;
    for (size_t s = 0; s < controller->set_count; s++)
        build_set(controller, controller->sets[s], zone, arena, members, &count);
    struct intent borrowed = {.epoch = controller->epoch,
                              .federation = controller->spec->spec.name,
                              .zone = zone->name,
                              .project = zone->zone->project,
                              .namespace_ = strcmp(zone->zone->driver, "local") ? zone->zone->namespace_ : "",
                              .ca = controller_encrypts(controller)
                                        ? controller->environment.trusted(controller->environment.context)
                                        : "",
                              .members = members,
                              .member_count = count};
    *out = intent_copy(arena, &borrowed);
    return count == wanted && !arena_failed(arena);
}

static void build_zone(struct controller *controller, struct zone_state_of *zone)
{
    struct arena arena;
    struct intent intent;
    arena_init(&arena, 0);
    bool ready = build(controller, zone, &arena, &intent);
    if (!ready || (zone->has_intent && intent_equal(&intent, &zone->intent)) ||
        !next_revision(controller, &intent.revision)) {
        arena_finish(&arena);
        return;
    }
    arena_finish(&zone->intent_arena);
    zone->intent_arena = arena;
    zone->intent = intent;
    zone->has_intent = true;
    controller->counts.intents_sent++;
    controller->environment.intent_changed(controller->environment.context, zone->name);
}

void controller_build_intents(struct controller *controller)
{
    for (size_t i = 0; i < controller->zone_count && !*controller->store_problem; i++) {
        struct zone_state_of *zone = &controller->zones[i];
        if (!zone->intent_due)
            continue;
        zone->intent_due = false;
        build_zone(controller, zone);
    }
}
