/* One member after the other: what the zone holds of it is looked at, its next step is begun, and its mongod
 * is asked. */
#include "zone-agent/agent_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mongod_versions.h"

/* ---- the list of members ---- */

static const struct mongod_view nobody_asked = {
    .answer = MONGOD_NOT_ASKED,
    .problem = "",
    .age_ms = -1,
    .version = "",
    .process = "",
    .state = MEMBER_UNKNOWN,
    .self_id = -1,
    .term = -1,
    .primary_id = -1,
    .optime = {.term = -1},
    .config = {.set = "", .term = -1, .replica_set_id = ""},
    .certificate_id = "",
};

/* Before the first look: nothing is decided, and that is what the report says. */
static const struct decision not_looked = {
    .name = "",
    .outcome = DECISION_WAIT,
    .waiting = {.code = "zone_not_seen", .message = "the zone has not been looked at yet"},
};

static struct agent_member *find_member(struct agent *agent, const char *set, int ordinal)
{
    for (size_t i = 0; i < agent->member_count; i++)
        if (agent->members[i].ordinal == ordinal && strcmp(agent->members[i].set, set) == 0)
            return &agent->members[i];
    return NULL;
}

static struct agent_member *add_member(struct agent *agent, const char *set, int ordinal)
{
    struct agent_member *member = find_member(agent, set, ordinal);
    if (member || agent->member_count == AGENT_MEMBERS_MAX)
        return member;
    struct agent_member *grown = realloc(agent->members, (agent->member_count + 1) * sizeof *grown);
    if (!grown)
        return NULL;
    agent->members = grown;
    member = &grown[agent->member_count++];
    *member = (struct agent_member){
        .ordinal = ordinal, .view = nobody_asked, .answered_at_ms = -1, .decision = not_looked};
    snprintf(member->set, sizeof member->set, "%s", set);
    arena_init(&member->view_arena, 0);
    return member;
}

static void remove_member(struct agent *agent, size_t index)
{
    arena_finish(&agent->members[index].view_arena);
    agent->members[index] = agent->members[--agent->member_count];
}

void agent_members_finish(struct agent *agent)
{
    while (agent->member_count)
        remove_member(agent, agent->member_count - 1);
    free(agent->members);
    agent->members = NULL;
}

void agent_members_forget_intent(struct agent *agent)
{
    for (size_t i = 0; i < agent->member_count; i++)
        agent->members[i].wanted = NULL;
}

/* Lays intent and holdings beside each other. One who is in neither is forgotten once nothing is in flight
 * for it. */
static void match_members(struct agent *agent)
{
    for (size_t i = 0; i < agent->member_count; i++) {
        agent->members[i].wanted = NULL;
        agent->members[i].held = NULL;
    }
    for (size_t i = 0; i < agent->intent.member_count; i++) {
        const struct intent_member *wanted = &agent->intent.members[i];
        struct agent_member *member = add_member(agent, wanted->set, wanted->ordinal);
        if (member)
            member->wanted = wanted;
    }
    for (size_t i = 0; i < agent->holdings.member_count; i++) {
        const struct member_holding *held = &agent->holdings.members[i];
        struct agent_member *member = add_member(agent, held->set, held->ordinal);
        if (member)
            member->held = held;
    }
    for (size_t i = agent->member_count; i-- > 0;) {
        struct agent_member *member = &agent->members[i];
        member->present = member->wanted || member->held;
        if (!member->present && !member->step_id && !member->probe_id)
            remove_member(agent, i);
    }
}

/* ---- steps ---- */

static void begin_step(struct agent *agent, struct agent_member *member)
{
    const struct decision *decision = &member->decision;
    if (decision->step != member->step) {
        member->step_failures = 0;
        member->step_retry_at_ms = 0;
        member->step = decision->step;
    }
    if (member->step_id || agent_now(agent) < member->step_retry_at_ms)
        return;
    member->step_id = agent_next_id(agent);
    member->step_problem_rule = decision->rule;
    agent_note(agent, false, "%s (rule %d)", decision->waiting.message, decision->rule);
    struct step step = {.kind = decision->step,
                        .rule = decision->rule,
                        .member = member->wanted,
                        .key = agent_identity(agent, member->wanted)->key,
                        .ca = agent_identity(agent, member->wanted)->ca};
    struct driver *driver = agent->environment.driver;
    driver->functions->perform(driver, &step, member->step_id);
}

void agent_step_done(struct agent *agent, uint64_t step_id, const struct error *err)
{
    agent->look = agent->report_dirty = true;
    agent_wake(agent);
    for (size_t i = 0; i < agent->member_count; i++) {
        struct agent_member *member = &agent->members[i];
        if (!step_id || member->step_id != step_id)
            continue;
        member->step_id = 0;
        if (!err) {
            member->probe_due_at_ms = member->reload_due_at_ms = agent_now(agent);
            member->step_failures = 0;
            member->step_retry_at_ms = 0;
            member->step_problem[0] = 0;
            return;
        }
        member->step_retry_at_ms =
            agent_now(agent) + backoff_ms(member->step_failures++, AGENT_STEP_RETRY_FIRST_MS,
                                          AGENT_STEP_RETRY_MOST_MS, agent->environment.random);
        snprintf(member->step_problem, sizeof member->step_problem, "%s", err->message);
        member->step_problem_code = err->code;
        agent_note(agent, true, "%s", err->message);
        return;
    }
}

static void look_at_member(struct agent *agent, struct agent_member *member)
{
    int rule_before = member->decision.rule;
    reconcile(member->wanted, member->held, &agent->holdings_arena, &member->decision);
    const struct decision *decision = &member->decision;
    if (decision->outcome == DECISION_STEP)
        begin_step(agent, member);
    else if (decision->rule != rule_before && decision->outcome == DECISION_WAIT)
        agent_note(agent, false, "%s-node%d waits: %s (rule %d)", member->set, member->ordinal,
                   decision->waiting.message, decision->rule);
    if (decision->outcome != DECISION_STEP && !member->step_id)
        member->step_problem[0] = 0; /* what failed is no longer needed */
    if (member->wanted && !decision->reached)
        agent->reached = false;

    /* An address that changed and a pod that ended must be known at once: by them the set is mended. */
    const char *address = member->held ? member->held->address : "";
    bool running = member->held && member->held->pod.running;
    if (strcmp(address, member->seen_address) || (member->seen_running && !running))
        agent->report_urgent = true;
    snprintf(member->seen_address, sizeof member->seen_address, "%s", address);
    member->seen_running = running;
}

/* ---- probes ---- */

static void forget_view(struct agent_member *member)
{
    arena_finish(&member->view_arena);
    member->view = nobody_asked;
    member->answered_at_ms = -1;
    member->probe_failures = 0;
}

/* Another process answers there now, or none: what the old one said is no longer so. */
static void follow_route(struct agent *agent, struct agent_member *member)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct local_route route = {.host = ""};
    struct driver *driver = agent->environment.driver;
    if (member->held)
        driver->functions->route(driver, member->set, member->ordinal, &arena, &route);
    if (strcmp(route.host, member->route) || route.incarnation != member->incarnation) {
        snprintf(member->route, sizeof member->route, "%s", route.host);
        member->incarnation = route.incarnation;
        member->probe_id = 0; /* its answer is about the process before */
        member->probe_due_at_ms = agent_now(agent);
        forget_view(member);
        agent->report_dirty = true;
    }
    arena_finish(&arena);
}

/* It shows another certificate than the one that was signed last. */
static bool shows_old_certificate(const struct agent_member *member)
{
    const char *wanted = member->wanted && member->wanted->tls ? member->wanted->certificate_id : "";
    return *wanted && *member->view.certificate_id && strcmp(wanted, member->view.certificate_id) != 0;
}

static bool is_settled(const struct agent_member *member)
{
    const struct mongod_view *view = &member->view;
    if (shows_old_certificate(member))
        return false;
    if (!member->decision.reached || view->answer != MONGOD_MEMBER || view->primary_id < 0)
        return false;
    if (view->knows_commitment && !view->config_committed)
        return false;
    return view->state == MEMBER_PRIMARY || view->state == MEMBER_SECONDARY || view->state == MEMBER_ARBITER;
}

/* What the driver has brought to the member, a server since 5.0 loads while it runs; an older one is
 * restarted when the controller finds the moment. Kubernetes brings a Secret's new content into a pod in its
 * own time, so that it may take several attempts. */
static bool is_to_reload(struct agent *agent, struct agent_member *member)
{
    bool brought = member->held && member->held->controller_exists && !member->held->controller_stale &&
                   !member->step_id;
    if (!brought || !shows_old_certificate(member) || agent_now(agent) < member->reload_due_at_ms ||
        mongod_has(member->view.version, MONGOD_ROTATES_CERTIFICATES) != MONGOD_HAS)
        return false;
    member->reload_due_at_ms = agent_now(agent) + AGENT_RELOAD_RETRY_MS;
    return true;
}

static void begin_probe(struct agent *agent, struct agent_member *member)
{
    member->probe_id = agent_next_id(agent);
    member->probe_sent_at_ms = agent_now(agent);
    struct agent_probe probe = {.set = member->set,
                                .ordinal = member->ordinal,
                                .host = member->route,
                                .incarnation = member->incarnation,
                                .arbiter = member->wanted && member->wanted->arbiter,
                                .keyfile =
                                    member->wanted && member->wanted->keyfile ? member->wanted->keyfile : "",
                                .tls = member->wanted && member->wanted->tls,
                                .reload = is_to_reload(agent, member)};
    agent->environment.probe(agent->environment.context, member->probe_id, &probe);
}

void agent_members_probe(struct agent *agent)
{
    int64_t now = agent_now(agent);
    for (size_t i = 0; i < agent->member_count; i++) {
        struct agent_member *member = &agent->members[i];
        if (member->probe_id && now >= member->probe_sent_at_ms + AGENT_PROBE_DEADLINE_MS)
            member->probe_id = 0;
        if (*member->route && !member->probe_id && now >= member->probe_due_at_ms)
            begin_probe(agent, member);
    }
}

/* One answer that was lost is not yet silence: the next one is asked for at once. */
static void take_view(struct agent_member *member, struct arena *arena, const struct mongod_view *view)
{
    if (view->answer == MONGOD_SILENT && ++member->probe_failures < AGENT_SILENT_AFTER_FAILURES) {
        arena_finish(arena);
        return;
    }
    arena_finish(&member->view_arena);
    member->view_arena = *arena;
    member->view = *view;
}

void agent_probe_done(struct agent *agent, uint64_t id, struct arena *arena, const struct mongod_view *view)
{
    struct agent_member *member = NULL;
    for (size_t i = 0; id && i < agent->member_count && !member; i++)
        if (agent->members[i].probe_id == id)
            member = &agent->members[i];
    if (!member || arena_failed(arena)) {
        arena_finish(arena);
        return;
    }
    int64_t now = agent_now(agent);
    member->probe_id = 0;
    if (view->answer != MONGOD_SILENT) {
        member->probe_failures = 0;
        member->answered_at_ms = now;
    }
    take_view(member, arena, view);
    bool settled = is_settled(member) && !member->probe_failures;
    member->probe_due_at_ms = now + (settled ? AGENT_PROBE_SETTLED_MS : AGENT_PROBE_UNSETTLED_MS);
    agent->report_dirty = true;
    agent_wake(agent);
}

/* ---- all of it ---- */

void agent_members_look(struct agent *agent)
{
    for (size_t i = 0; i < agent->member_count; i++)
        agent->members[i].decision.waiting = not_looked.waiting; /* its strings go with the arena */
    arena_finish(&agent->holdings_arena);
    struct driver *driver = agent->environment.driver;
    agent->holdings = (struct holdings){.zone_problem = {.code = "", .message = ""}};
    if (driver->functions->intend && agent->intent.revision)
        driver->functions->intend(driver, &agent->intent);
    driver->functions->observe(driver, &agent->holdings_arena, &agent->holdings);
    agent->report_dirty = true;
    agent->reached = false;
    if (arena_failed(&agent->holdings_arena)) {
        agent->holdings =
            (struct holdings){.zone_problem = {"no_memory", "no memory to look at the zone", 0}};
        match_members(agent);
        return;
    }
    match_members(agent);
    if (!agent->holdings.complete)
        return; /* an empty list before the zone was seen once means nothing */
    agent->reached = agent->intent.revision > 0;
    for (size_t i = 0; i < agent->member_count; i++)
        look_at_member(agent, &agent->members[i]);
    for (size_t i = 0; i < agent->member_count; i++)
        follow_route(agent, &agent->members[i]);
}

/* While the zone is not seen as a whole no step is begun: the next look comes with the driver's word. */
static int64_t retry_due(const struct agent *agent, const struct agent_member *member)
{
    bool waits = agent->holdings.complete && !member->step_id && member->step_retry_at_ms &&
                 member->decision.outcome == DECISION_STEP;
    return waits ? member->step_retry_at_ms : INT64_MAX;
}

bool agent_members_retry(const struct agent *agent)
{
    for (size_t i = 0; i < agent->member_count; i++)
        if (agent_now(agent) >= retry_due(agent, &agent->members[i]))
            return true;
    return false;
}

int64_t agent_members_due(const struct agent *agent)
{
    int64_t due = INT64_MAX;
    for (size_t i = 0; i < agent->member_count; i++) {
        const struct agent_member *member = &agent->members[i];
        int64_t at = retry_due(agent, member);
        if (at < due)
            due = at;
        if (member->probe_id)
            at = member->probe_sent_at_ms + AGENT_PROBE_DEADLINE_MS;
        else if (*member->route)
            at = member->probe_due_at_ms;
        if (at < due)
            due = at;
    }
    return due;
}
