/* replSetStepDown, with the wait for a secondary that has caught up and the election handoff; replSetFreeze.
 * https://www.mongodb.com/docs/manual/reference/command/replSetStepDown/ */
#include "sim.h"

#include <stdlib.h>
#include <time.h>

struct step_down {
    struct request *request; /* NULL: a shutdown */
    int64_t seconds;
    bool force;
};

static bool caught_up(const struct sim *sim, int i)
{
    const struct replset *rs = &sim->rs;
    return i != rs->self && rs->views[i].up && rs->views[i].state == STATE_SECONDARY &&
           optime_compare(rs->views[i].applied, sim->oplog.last) >= 0;
}

/* The one to hand over to: electable and caught up; by priority, then by the lowest _id. Frozen or not is not
 * known. */
static int best_successor(const struct sim *sim)
{
    const struct replset *rs = &sim->rs;
    const struct member_config *m = rs->config->members;
    int best = -1;
    for (int i = 0; i < rs->config->count; i++) {
        if (!caught_up(sim, i) || member_priority(&m[i]) <= 0)
            continue;
        if (best < 0 || member_priority(&m[i]) > member_priority(&m[best]) ||
            (member_priority(&m[i]) >= member_priority(&m[best]) && m[i].id < m[best].id))
            best = i;
    }
    return best;
}

/* A majority has the newest entry, and one of them may be elected. */
static bool may_step_down(struct sim *sim, void *data)
{
    (void)data;
    return replset_count_at(sim, sim->oplog.last, false, true) >= config_write_majority(sim->rs.config) &&
           best_successor(sim) >= 0;
}

static void on_handed_over(struct sim *sim, const struct call_arg *arg, const bson_t *reply,
                           const char *error)
{
    (void)sim;
    (void)arg;
    if (!reply || !get_bool(reply, "ok", false))
        log_line("ELECTION", "election handoff failed: %s", error ? error : get_text(reply, "errmsg", ""));
}

static void hand_over(struct sim *sim, int successor)
{
    bson_t command = BSON_INITIALIZER;
    struct call_arg arg = {0};
    if (successor < 0)
        return;
    bson_append_int32(&command, "replSetStepUp", -1, 1);
    bson_append_bool(&command, "skipDryRun", -1, true);
    peer_call(sim, LANE_HEARTBEAT, sim->rs.config->members[successor].host, &command, 5000, on_handed_over,
              &arg);
    bson_destroy(&command);
}

static void no_successor(struct sim *sim, struct step_down *s)
{
    char when[40];
    time_t now = (time_t)(wall_ms() / 1000);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S.000+0000", &tm);
    request_fail(s->request, sim_is_old(sim) ? 50 : CODE_EXCEEDED_TIME_LIMIT,
                 "No electable secondaries caught up as of %s. Please use the replSetStepDown command with "
                 "the argument "
                 "{force: true} to force node to step down.",
                 when);
}

static void step_down_end(struct sim *sim, void *data, enum wait_end why)
{
    struct step_down *s = data;
    if (sim->rs.state != STATE_PRIMARY) {
        request_fail(s->request, CODE_STEPPED_DOWN,
                     "While waiting for secondaries to catch up before stepping down, this "
                     "node decided to step down for other reasons");
    } else if (why == WAIT_READY || s->force) {
        int successor = best_successor(sim);
        sim->rs.stepdown_until_ms = sim_now(sim) + s->seconds * 1000;
        replset_step_down(sim, "replSetStepDown");
        heartbeat_restart(sim);
        hand_over(sim, why == WAIT_READY ? successor : -1);
        request_reply(s->request, NULL); /* on 4.0 the connection is closed by now, as it should be */
    } else {
        no_successor(sim, s);
    }
    free(s);
}

void step_down_command(struct request *request)
{
    struct sim *sim = request->sim;
    const bson_t *body = &request->message.body;
    bool force = get_bool(body, "force", false);
    int64_t seconds = get_int(body, "replSetStepDown", 0);
    int64_t wait = get_int(body, "secondaryCatchUpPeriodSecs", force ? 0 : 10);
    if (seconds == 0)
        seconds = 60;
    if (seconds < 0 || seconds > 86400 * 366)
        request_fail(request, CODE_BAD_VALUE, "stepdown period must be a positive integer");
    else if (wait < 0)
        request_fail(request, CODE_BAD_VALUE,
                     "secondaryCatchUpPeriodSecs period must be a positive or absent");
    else if (seconds < wait)
        request_fail(request, CODE_BAD_VALUE,
                     "stepdown period must be longer than secondaryCatchUpPeriodSecs");
    else if (sim->rs.state != STATE_PRIMARY)
        request_fail(request, CODE_NOT_PRIMARY, "not primary so can't step down");
    else {
        struct step_down *s = xcalloc(1, sizeof *s);
        *s = (struct step_down){request, seconds, force};
        wait_for(sim, sim_now(sim) + wait * 1000, true, may_step_down, step_down_end, s);
    }
}

void step_down_for_shutdown(struct sim *sim)
{
    if (sim->rs.state != STATE_PRIMARY)
        return;
    int successor = best_successor(sim);
    sim->rs.stepdown_until_ms = INT64_MAX;
    replset_step_down(sim, "shutdown");
    hand_over(sim, successor);
}

void freeze_command(struct request *request)
{
    struct sim *sim = request->sim;
    struct replset *rs = &sim->rs;
    int64_t seconds = get_int(&request->message.body, "replSetFreeze", 0);
    bson_t out = BSON_INITIALIZER;
    if (seconds < 0 || seconds > 86400 * 366) {
        request_fail(request, CODE_BAD_VALUE, "replSetFreeze seconds must be from 0 to a year");
    } else if (!rs->config) {
        request_fail(request, CODE_NOT_YET_INITIALIZED, "no replset config has been received");
    } else if (rs->state == STATE_PRIMARY || rs->election.active) {
        request_fail(request, CODE_NOT_SECONDARY,
                     "cannot freeze node when primary or running for election. state: %s",
                     rs->state == STATE_PRIMARY ? "Primary" : "Running-Election");
    } else {
        rs->freeze_until_ms = seconds ? sim_now(sim) + seconds * 1000 : 0;
        if (!seconds)
            rs->stepdown_until_ms = 0;
        if (seconds == 0)
            bson_append_utf8(&out, "info", -1, "unfreezing", -1);
        else if (seconds == 1)
            bson_append_utf8(&out, "warning", -1, "you really want to freeze for only 1 second?", -1);
        sim->progress = true;
        request_reply(request, &out);
    }
    bson_destroy(&out);
}
