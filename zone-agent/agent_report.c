/* What the agent says: the whole report when something that is news has changed, and a small heartbeat with
 * what always changes. */
#include "zone-agent/agent_internal.h"

#include <string.h>

static const struct member_holding holds_nothing = {
    .set = "",
    .disk = {.name = "", .id = "", .replica_set_id = "", .size_bytes = -1, .used_bytes = -1},
    .address = "",
    .pod = {.name = "", .node = "", .image_id = "", .last_exit = ""},
    .problem = {.code = "", .message = ""},
    .last_repair = "",
};

static int64_t answer_age(const struct agent *agent, const struct agent_member *member)
{
    return member->answered_at_ms < 0 ? -1 : agent_now(agent) - member->answered_at_ms;
}

static struct report_member report_of(const struct agent *agent, const struct agent_member *member)
{
    struct report_member out = {.holding = member->held ? *member->held : holds_nothing,
                                .mongod = member->view,
                                .waiting = member->decision.waiting,
                                .key_id = member->wanted ? member->wanted->key_id : "",
                                .keyfile =
                                    member->wanted && agent->keys_wanted ? member->wanted->keyfile : "",
                                .certificate_request = agent_identity(agent, member->wanted)->request,
                                .certificate = member->wanted ? member->wanted->certificate : ""};
    out.holding.set = member->set;
    out.holding.ordinal = member->ordinal;
    if (!member->held && member->wanted)
        out.holding.disk.name = member->wanted->disk;
    if (*member->step_problem && !*out.holding.problem.code) /* the driver's own words say more */
        out.holding.problem = (struct problem){error_code_name(member->step_problem_code),
                                               member->step_problem, member->step_problem_rule};
    out.mongod.age_ms = answer_age(agent, member);
    return out;
}

static struct report make_report(const struct agent *agent, struct arena *arena)
{
    struct report report = {
        .zone = agent->zone,
        .run_id = agent->run_id,
        .version = agent->version,
        .sequence = agent->sent_sequence,
        .epoch = agent->epoch,
        .revision = agent->intent.revision,
        .reached = agent->reached,
        .driver = agent->driver_name,
        .zone_problem = agent->holdings.zone_problem,
        .egress = agent->holdings.egress,
        .egress_count = agent->holdings.egress_count,
    };
    struct report_member *members = arena_array(arena, agent->member_count, sizeof *members);
    for (size_t i = 0; members && i < agent->member_count; i++)
        if (agent->members[i].present)
            members[report.member_count++] = report_of(agent, &agent->members[i]);
    report.members = members;
    return report;
}

static bool is_news(const struct agent *agent, const struct report *report)
{
    return agent->report_forced || !agent->sent_known || !report_same_news(report, &agent->sent);
}

/* Without memory for the copy the next one counts as news. */
static void remember_sent(struct agent *agent, const struct report *report)
{
    arena_finish(&agent->sent_arena);
    agent->sent = report_copy(&agent->sent_arena, report);
    agent->sent_known = !arena_failed(&agent->sent_arena);
}

static void dispatch_report(struct agent *agent, struct report *report)
{
    struct error err = {0};
    report->sequence = agent->sequence + 1;
    buffer_clear(&agent->text);
    if (report_print(report, &agent->text, &err)) {
        agent_note(agent, true, "the report can't be written: %s", err.message);
        agent->report.not_before_ms = agent_now(agent) + AGENT_REPORT_RETRY_MOST_MS;
        agent->report_dirty = true;
        return;
    }
    remember_sent(agent, report);
    agent->sent_sequence = ++agent->sequence;
    agent->report_forced = agent->report_urgent = false;
    agent->report.id = agent_next_id(agent);
    agent->report.sent_at_ms = agent->report_sent_at_ms = agent_now(agent);
    agent->environment.send(agent->environment.context, LINK_REPORT, agent->report.id,
                            buffer_text(&agent->text), agent->text.length);
}

static int64_t report_due(const struct agent *agent)
{
    if (!agent->report_dirty || agent->report.id || !agent->holdings.complete)
        return INT64_MAX; /* an empty report before the zone was seen would read like a zone that lost
                             everything */
    int64_t due =
        agent->report_urgent || !agent->sequence ? 0 : agent->report_sent_at_ms + AGENT_REPORT_GAP_MS;
    return due < agent->report.not_before_ms ? agent->report.not_before_ms : due;
}

static void send_report(struct agent *agent)
{
    struct arena arena;
    arena_init(&arena, 0);
    agent->report_dirty = false;
    struct report report = make_report(agent, &arena);
    if (arena_failed(&arena))
        agent->report_dirty = true; /* again when it is due again */
    else if (is_news(agent, &report))
        dispatch_report(agent, &report);
    else
        agent->report_urgent = false;
    if (agent->report_dirty && !agent->report.not_before_ms)
        agent->report.not_before_ms = agent_now(agent) + AGENT_REPORT_RETRY_FIRST_MS;
    arena_finish(&arena);
}

static void send_heartbeat(struct agent *agent)
{
    struct arena arena;
    struct error err = {0};
    arena_init(&arena, 0);
    struct heartbeat heartbeat = {.run_id = agent->run_id,
                                  .sequence = agent->acknowledged_sequence,
                                  .epoch = agent->epoch,
                                  .revision = agent->intent.revision};
    struct pulse_member *pulses = arena_array(&arena, agent->member_count, sizeof *pulses);
    for (size_t i = 0; pulses && i < agent->member_count; i++) {
        const struct agent_member *member = &agent->members[i];
        if (member->present)
            pulses[heartbeat.member_count++] =
                (struct pulse_member){member->set, member->ordinal, answer_age(agent, member),
                                      member->view.optime, member->held ? member->held->disk.used_bytes : -1};
    }
    heartbeat.members = pulses;
    buffer_clear(&agent->text);
    if (!arena_failed(&arena) && heartbeat_print(&heartbeat, &agent->text, &err) == 0) {
        agent->heartbeat.id = agent_next_id(agent);
        agent->heartbeat.sent_at_ms = agent_now(agent);
        agent->environment.send(agent->environment.context, LINK_HEARTBEAT, agent->heartbeat.id,
                                buffer_text(&agent->text), agent->text.length);
    }
    arena_finish(&arena);
}

/* An answer that did not come in time is as good as a lost message: what was said is said again. */
static void give_up_on_lost(struct agent *agent, enum link_message kind)
{
    struct agent_message *message = kind == LINK_REPORT ? &agent->report : &agent->heartbeat;
    if (!message->id || agent_now(agent) < message->sent_at_ms + AGENT_ANSWER_DEADLINE_MS)
        return;
    struct error err = {.code = ERROR_TIMEOUT, .message = "no answer in time"};
    struct link_answer lost = {.err = &err};
    agent_link_answer(agent, kind, message->id, &lost);
}

void agent_reports_send(struct agent *agent)
{
    int64_t now = agent_now(agent);
    give_up_on_lost(agent, LINK_REPORT);
    give_up_on_lost(agent, LINK_HEARTBEAT);
    if (now >= report_due(agent))
        send_report(agent);
    if (now < agent->heartbeat_due_at_ms)
        return;
    agent->heartbeat_due_at_ms += HEARTBEAT_INTERVAL_MS;
    if (agent->heartbeat_due_at_ms <= now)
        agent->heartbeat_due_at_ms = now + HEARTBEAT_INTERVAL_MS; /* the process slept: no burst */
    if (!agent->heartbeat.id)
        send_heartbeat(agent);
}

static int64_t answer_due(const struct agent_message *message)
{
    return message->id ? message->sent_at_ms + AGENT_ANSWER_DEADLINE_MS : INT64_MAX;
}

int64_t agent_reports_due(const struct agent *agent)
{
    int64_t due[] = {report_due(agent), answer_due(&agent->report), answer_due(&agent->heartbeat)};
    int64_t least = agent->heartbeat_due_at_ms;
    for (size_t i = 0; i < sizeof due / sizeof *due; i++)
        if (due[i] < least)
            least = due[i];
    return least;
}
