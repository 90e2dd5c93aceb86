/* The agent's inputs, its order of work, and what it makes durable: see agent.h. */
#include "zone-agent/agent_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/plant.h"

static const char INTENT_FILE[] = "intent.json", EPOCH_FILE[] = "epoch.json";

int64_t agent_now(const struct agent *agent)
{
    return clock_monotonic_ms(agent->environment.clock);
}

uint64_t agent_next_id(struct agent *agent)
{
    return ++agent->last_id;
}

void agent_wake(struct agent *agent)
{
    agent->environment.wake_at(agent->environment.context, agent_now(agent));
}

void agent_note(struct agent *agent, bool is_problem, const char *format, ...)
{
    char sentence[ERROR_MESSAGE_MAX];
    va_list args;
    if (!agent->environment.note)
        return;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    agent->environment.note(agent->environment.context, is_problem, sentence);
}

int64_t agent_epoch(const struct agent *agent)
{
    return agent->epoch;
}

int64_t agent_revision(const struct agent *agent)
{
    return agent->intent.revision;
}

/* ---- what is durable ---- */

static int save_epoch(struct agent *agent, int64_t epoch, struct error *err)
{
    char text[64];
    int length = snprintf(text, sizeof text, "{\"epoch\":%lld}\n", (long long)epoch);
    return agent->environment.save(agent->environment.context, EPOCH_FILE, text, (size_t)length, err);
}

static int save_intent(struct agent *agent, const struct intent *intent, struct error *err)
{
    struct buffer text;
    buffer_init(&text, INTENT_BYTES_MAX);
    int result = intent_print(intent, &text, err);
    if (result == 0)
        result =
            agent->environment.save(agent->environment.context, INTENT_FILE, text.data, text.length, err);
    buffer_finish(&text);
    return result;
}

static int load_epoch(struct agent *agent, struct buffer *text, struct error *err)
{
    struct error problem = {0};
    if (agent->environment.load(agent->environment.context, EPOCH_FILE, text, &problem)) {
        if (problem.code == ERROR_NOT_FOUND)
            return 0;
        *err = problem;
        return -1;
    }
    struct json *json = json_parse(text->data ? text->data : "", text->length, 4096, err);
    if (!json)
        return error_wrap(err, "the saved epoch (%s) can't be read", EPOCH_FILE);
    int result = json_read_int(json, "epoch", JSON_REQUIRED, 0, INT64_C(1) << 53, &agent->epoch, err);
    json_destroy(json);
    return result ? error_wrap(err, "the saved epoch (%s) can't be read", EPOCH_FILE) : 0;
}

static int load_intent(struct agent *agent, struct buffer *text, struct error *err)
{
    struct error problem = {0};
    if (agent->environment.load(agent->environment.context, INTENT_FILE, text, &problem)) {
        if (problem.code == ERROR_NOT_FOUND)
            return 0;
        *err = problem;
        return -1;
    }
    size_t length = text->length;
    while (length && (text->data[length - 1] == '\n' || text->data[length - 1] == ' '))
        length--;
    struct intent_event event = {0};
    if (intent_read(text->data ? text->data : "", length, &agent->intent_arena, &event, err))
        return error_wrap(err, "the saved intent (%s) can't be read", INTENT_FILE);
    if (event.bookmark || strcmp(event.intent.zone, agent->zone))
        return error_set(err, ERROR_INVALID, "the saved intent (%s) is for zone %s, not for %s", INTENT_FILE,
                         event.intent.zone ? event.intent.zone : "?", agent->zone);
    agent->intent = event.intent;
    agent_identify(agent);
    if (agent->intent.epoch > agent->epoch)
        agent->epoch = agent->intent.epoch;
    return 0;
}

static int load(struct agent *agent, struct error *err)
{
    struct buffer text;
    buffer_init(&text, INTENT_BYTES_MAX);
    int result = load_epoch(agent, &text, err);
    buffer_clear(&text);
    if (result == 0)
        result = load_intent(agent, &text, err);
    buffer_finish(&text);
    return result;
}

/* ---- life ---- */

struct agent *agent_create(const struct agent_options *options, const struct agent_environment *environment,
                           struct error *err)
{
    struct agent *agent = calloc(1, sizeof *agent);
    if (!agent) {
        error_set(err, ERROR_NO_MEMORY, "no memory for the agent");
        return NULL;
    }
    agent->environment = *environment;
    snprintf(agent->zone, sizeof agent->zone, "%s", options->zone);
    snprintf(agent->version, sizeof agent->version, "%s", options->version);
    snprintf(agent->driver_name, sizeof agent->driver_name, "%s", options->driver_name);
    uuid_text(environment->random, agent->run_id);
    arena_init(&agent->intent_arena, 0);
    arena_init(&agent->holdings_arena, 0);
    arena_init(&agent->sent_arena, 0);
    buffer_init(&agent->text, REPORT_BYTES_MAX);
    if (load(agent, err)) {
        agent_destroy(agent);
        return NULL;
    }
    agent->look = agent->report_dirty = agent->report_forced = true;
    agent->heartbeat_due_at_ms = agent_now(agent);
    agent_wake(agent);
    return agent;
}

void agent_destroy(struct agent *agent)
{
    if (!agent)
        return;
    agent_members_finish(agent);
    arena_finish(&agent->intent_arena);
    arena_finish(&agent->holdings_arena);
    arena_finish(&agent->sent_arena);
    buffer_finish(&agent->text);
    free(agent);
}

/* ---- the intent ---- */

/* Is `to` older than what we have, by (epoch, revision)? A higher epoch with a lower revision is a controller
 * whose store was lost: it rules. */
static bool is_older(const struct agent *agent, const struct intent *to)
{
    if (to->epoch != agent->intent.epoch)
        return to->epoch < agent->intent.epoch && !PLANT(OLD_LEADER);
    return to->revision < agent->intent.revision;
}

static int check_intent(struct agent *agent, const struct intent *intent, struct error *err)
{
    if (strcmp(intent->zone, agent->zone))
        return error_set(err, ERROR_INVALID, "this intent is for zone %s; this is the agent of zone %s",
                         intent->zone, agent->zone);
    if (agent->intent.revision && agent->intent.member_count &&
        strcmp(agent->intent.federation, intent->federation))
        return error_set(
            err, ERROR_CONFLICT,
            "this intent is of federation %s, but this zone's members belong to federation %s; give the "
            "agent another directory for another federation",
            intent->federation, agent->intent.federation);
    return 0;
}

/* What comes with an epoch is obeyed only after that epoch is durable: else a crash would let a deposed
 * controller in again. */
static int accept_epoch(struct agent *agent, int64_t epoch, struct error *err)
{
    if (epoch < agent->epoch && !PLANT(OLD_LEADER))
        return error_set(err, ERROR_REFUSED, "epoch %lld is older than %lld, which was accepted before",
                         (long long)epoch, (long long)agent->epoch);
    if (epoch == agent->epoch)
        return 0;
    if (save_epoch(agent, epoch, err))
        return error_wrap(err, "the controller's epoch %lld can't be saved", (long long)epoch);
    agent->epoch = epoch;
    agent->report_dirty = true;
    return 0;
}

static int take_intent(struct agent *agent, const struct intent *intent, struct error *err)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct intent copy = intent_copy(&arena, intent);
    if (arena_failed(&arena)) {
        arena_finish(&arena);
        return error_set(err, ERROR_NO_MEMORY, "no memory for the intent");
    }
    if (save_intent(agent, intent, err)) {
        arena_finish(&arena);
        return error_wrap(err, "the intent can't be saved, so it is not acted on");
    }
    agent_members_forget_intent(agent);
    struct arena former = agent->intent_arena;
    agent->intent_arena = arena;
    agent->intent = copy;
    agent_identify(agent);
    struct driver *driver = agent->environment.driver;
    if (driver->functions->intend)
        driver->functions->intend(driver, &agent->intent); /* it still holds the former one */
    arena_finish(&former);
    agent->look = agent->report_dirty = true;
    agent_note(agent, false, "works on revision %lld of epoch %lld: %zu members", (long long)copy.revision,
               (long long)copy.epoch, copy.member_count);
    return 0;
}

int agent_intent(struct agent *agent, const struct intent_event *event, struct error *err)
{
    const struct intent *intent = &event->intent;
    if (!event->bookmark && check_intent(agent, intent, err))
        return -1;
    if (accept_epoch(agent, intent->epoch, err))
        return -1;
    agent->report.not_before_ms = 0; /* the controller is there: what failed before may be said at once */
    agent_wake(agent);
    if (event->bookmark)
        return 0;
    bool same = intent->epoch == agent->intent.epoch && intent->revision == agent->intent.revision;
    if (agent->intent.revision && (is_older(agent, intent) || (same && intent_equal(intent, &agent->intent))))
        return 0;
    return take_intent(agent, intent, err);
}

/* ---- other inputs ---- */

void agent_holdings_changed(struct agent *agent)
{
    agent->look = true;
    agent_wake(agent);
}

static void take_wish_for_keys(struct agent *agent, const struct link_answer *answer)
{
    if (answer->err || answer->keys_wanted == agent->keys_wanted)
        return;
    agent->keys_wanted = answer->keys_wanted;
    agent->report_dirty = agent->report_forced = true;
    if (agent->keys_wanted)
        agent_note(agent, true, "the controller has lost keyfiles and is given those of this zone");
}

static void take_heartbeat_answer(struct agent *agent, const struct link_answer *answer)
{
    agent->heartbeat.failures = answer->err ? agent->heartbeat.failures + 1 : 0;
    if (!answer->err && answer->report_wanted)
        agent->report_dirty = agent->report_forced = true;
}

static void take_report_answer(struct agent *agent, const struct link_answer *answer)
{
    struct agent_message *report = &agent->report;
    if (answer->err) {
        report->not_before_ms =
            agent_now(agent) + backoff_ms(report->failures++, AGENT_REPORT_RETRY_FIRST_MS,
                                          AGENT_REPORT_RETRY_MOST_MS, agent->environment.random);
        agent->report_dirty = true;
        agent->sent_known = false;
        return;
    }
    report->failures = 0;
    report->not_before_ms = 0;
    agent->acknowledged_sequence = agent->sent_sequence;
    agent->sent_known = true;
    if (answer->report_wanted)
        agent->report_dirty = agent->report_forced = true;
}

void agent_link_answer(struct agent *agent, enum link_message kind, uint64_t id,
                       const struct link_answer *answer)
{
    struct agent_message *message = kind == LINK_REPORT ? &agent->report : &agent->heartbeat;
    if (!id || message->id != id)
        return; /* held for lost before */
    message->id = 0;
    if (kind == LINK_REPORT)
        take_report_answer(agent, answer);
    else
        take_heartbeat_answer(agent, answer);
    take_wish_for_keys(agent, answer);
    agent_wake(agent);
}

/* ---- the order of work ---- */

void agent_tick(struct agent *agent)
{
    if (agent->look || agent_members_retry(agent)) {
        agent->look = false;
        agent_members_look(agent);
    }
    agent_members_probe(agent);
    agent_reports_send(agent);
    int64_t members = agent_members_due(agent), reports = agent_reports_due(agent);
    int64_t due = members < reports ? members : reports, now = agent_now(agent);
    agent->environment.wake_at(agent->environment.context, agent->look || due < now ? now : due);
}
