/* Elections: a dry run, then the real vote in a higher term; a vote is durable before it is told. Takeover by
 * priority. https://www.mongodb.com/docs/manual/core/replica-set-elections/ */
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SINGLE_NODE_DELAY_MS = 100, TAKEOVER_FRESHNESS_SECS = 2 };

static void ask_voters(struct sim *sim);

const char *election_obstacle(const struct sim *sim)
{
    const struct replset *rs = &sim->rs;
    int up = 0;
    if (!rs->config || rs->self < 0)
        return "not a member of the set";
    if (rs->state != STATE_SECONDARY)
        return "not a secondary";
    if (member_priority(&rs->config->members[rs->self]) <= 0)
        return "priority is 0";
    if (rs->config_state != CONFIG_STEADY)
        return "a configuration is being changed";
    if (sim_now(sim) < rs->stepdown_until_ms)
        return "stepped down a moment ago";
    if (sim_now(sim) < rs->freeze_until_ms)
        return "frozen";
    for (int i = 0; i < rs->config->count; i++)
        if (member_votes(&rs->config->members[i]))
            up += i == rs->self || rs->views[i].up;
    return up < config_majority(rs->config) ? "can't see a majority of the set" : NULL;
}

void election_cancel(struct sim *sim)
{
    sim->rs.election.active = false;
    sim->rs.election.generation++;
}

static void election_lost(struct sim *sim, const char *why)
{
    log_line("ELECTION", "not elected: %s", why);
    election_cancel(sim);
    replset_reset_election_timer(sim);
    sim->progress = true;
}

/* Enough votes of the dry run: now in earnest, with the own vote on the disk first. */
static void run_for_real(struct sim *sim)
{
    struct replset *rs = &sim->rs;
    struct election *e = &rs->election;
    rs->term++;
    *e = (struct election){.generation = e->generation + 1, .active = true, .term = rs->term, .votes = 1};
    replset_record_vote(sim, rs->term, rs->config->members[rs->self].id);
    ask_voters(sim);
}

static void count_votes(struct sim *sim)
{
    struct replset *rs = &sim->rs;
    struct election *e = &rs->election;
    if (e->votes >= config_majority(rs->config)) {
        if (e->dry_run) {
            run_for_real(sim);
            return;
        }
        log_line("ELECTION", "elected in term %" PRId64 " with %d votes", rs->term, e->votes);
        election_cancel(sim);
        replset_become_primary(sim);
    } else if (e->waiting == 0) {
        election_lost(sim, e->dry_run ? "dry run without a majority" : "no majority of votes");
    }
}

static void on_vote(struct sim *sim, const struct call_arg *arg, const bson_t *reply, const char *error)
{
    struct replset *rs = &sim->rs;
    struct election *e = &rs->election;
    if (!e->active || arg->generation != e->generation || sim->shutting_down)
        return;
    e->waiting--;
    if (reply && get_int(reply, "term", -1) > rs->term) {
        int64_t term = get_int(reply, "term", -1);
        election_lost(sim, "a voter knows a higher term");
        replset_see_term(sim, term);
        return;
    }
    if (reply && get_bool(reply, "ok", false) && get_bool(reply, "voteGranted", false))
        e->votes++;
    else
        log_line("ELECTION", "no vote of member %" PRId64 ": %s", arg->id,
                 error ? error : get_text(reply, "reason", get_text(reply, "errmsg", "")));
    count_votes(sim);
}

static void ask_voters(struct sim *sim)
{
    struct replset *rs = &sim->rs;
    struct election *e = &rs->election;
    bson_t command = BSON_INITIALIZER;
    bson_append_int32(&command, "replSetRequestVotes", -1, 1);
    bson_append_utf8(&command, "setName", -1, sim->options.set_name, -1);
    bson_append_bool(&command, "dryRun", -1, e->dry_run);
    bson_append_int64(&command, "term", -1, e->term);
    bson_append_int64(&command, "candidateIndex", -1, rs->self);
    bson_append_int64(&command, "configVersion", -1, rs->config->version);
    if (!sim_is_old(sim))
        bson_append_int64(&command, "configTerm", -1, rs->config->term);
    put_optime(&command, sim_is_old(sim) ? "lastCommittedOp" : "lastAppliedOpTime", sim->oplog.last);
    for (int i = 0; i < rs->config->count; i++) {
        if (i == rs->self || !member_votes(&rs->config->members[i]))
            continue;
        struct call_arg arg = {.generation = e->generation, .id = rs->config->members[i].id};
        e->waiting++;
        peer_call(sim, LANE_HEARTBEAT, rs->config->members[i].host, &command,
                  (int)(rs->config->election_timeout_ms < 5000 ? rs->config->election_timeout_ms : 5000),
                  on_vote, &arg);
    }
    bson_destroy(&command);
    if (e->waiting == 0)
        count_votes(sim);
}

void election_start(struct sim *sim, bool dry_run, const char *why)
{
    struct replset *rs = &sim->rs;
    struct election *e = &rs->election;
    log_line("ELECTION", "standing for election in term %" PRId64 ": %s", rs->term + 1, why);
    *e = (struct election){
        .generation = e->generation + 1, .active = true, .dry_run = true, .term = rs->term, .votes = 1};
    if (dry_run)
        ask_voters(sim);
    else
        run_for_real(sim);
}

/* How many members have a higher priority: the waiting time of a takeover grows with it. */
static int priority_rank(const struct replset *rs)
{
    int rank = 0;
    for (int i = 0; i < rs->config->count; i++)
        rank += member_priority(&rs->config->members[i]) > member_priority(&rs->config->members[rs->self]);
    return rank;
}

/* A secondary of higher priority than the primary's takes over, once it has nearly caught up. */
static void takeover_turn(struct sim *sim, int64_t now, int64_t *next)
{
    struct replset *rs = &sim->rs;
    const struct member_config *m = rs->config->members;
    if (rs->primary < 0 || rs->primary == rs->self ||
        member_priority(&m[rs->self]) <= member_priority(&m[rs->primary]) || election_obstacle(sim)) {
        rs->takeover_ms = INT64_MAX;
        return;
    }
    if (rs->takeover_ms == INT64_MAX) {
        int64_t wait = (priority_rank(rs) + 1) * rs->config->election_timeout_ms;
        rs->takeover_ms =
            now + wait + (int64_t)sim_random(sim, (uint64_t)(rs->config->election_timeout_ms * 15 / 100) + 1);
    }
    if (now >= rs->takeover_ms) {
        rs->takeover_ms = INT64_MAX;
        if (sim->oplog.last.secs + TAKEOVER_FRESHNESS_SECS >= rs->views[rs->primary].applied.secs) {
            election_start(sim, true, "priority takeover");
            return;
        }
    }
    *next = rs->takeover_ms < *next ? rs->takeover_ms : *next;
}

void election_turn(struct sim *sim, int64_t now, int64_t *next)
{
    struct replset *rs = &sim->rs;
    if (rs->self < 0 || rs->state != STATE_SECONDARY || rs->election.active)
        return;
    if (config_voters(rs->config) == 1 && !election_obstacle(sim) &&
        rs->election_ms > now + SINGLE_NODE_DELAY_MS)
        rs->election_ms = now + SINGLE_NODE_DELAY_MS; /* nobody to wait for */
    if (now >= rs->election_ms) {
        const char *obstacle = election_obstacle(sim);
        if (!obstacle) {
            election_start(sim, true, "no primary was seen for an election timeout");
            return;
        }
        replset_reset_election_timer(sim);
    }
    *next = rs->election_ms < *next ? rs->election_ms : *next;
    takeover_turn(sim, now, next);
    /* a lone voter that is frozen or has stepped down stands when that ends */
    int64_t until = rs->stepdown_until_ms > rs->freeze_until_ms ? rs->stepdown_until_ms : rs->freeze_until_ms;
    if (until > now && until < *next)
        *next = until;
}

/* Why the vote is refused, into `reason`; empty when it is granted. The order is the server's. */
static void judge(struct sim *sim, const bson_t *body, char *reason, size_t size)
{
    struct replset *rs = &sim->rs;
    int64_t term = get_int(body, "term", -1), version = get_int(body, "configVersion", -1),
            config_term = get_int(body, "configTerm", -1), candidate = get_int(body, "candidateIndex", -1);
    struct optime applied =
        get_optime(body, bson_has_field(body, "lastAppliedOpTime") ? "lastAppliedOpTime" : "lastCommittedOp");
    const char *set = get_text(body, "setName", "");
    *reason = 0;
    if (term < rs->term)
        snprintf(reason, size, "candidate's term (%" PRId64 ") is lower than mine (%" PRId64 ")", term,
                 rs->term);
    else if (sim_is_old(sim) && version != rs->config->version)
        snprintf(reason, size, "candidate's config version (%" PRId64 ") differs from mine (%" PRId64 ")",
                 version, rs->config->version);
    else if (config_compare(version, config_term, rs->config->version, rs->config->term) < 0)
        snprintf(reason, size,
                 "candidate's config with {version: %" PRId64 ", term: %" PRId64
                 "} is older than mine with {version: %" PRId64 ", term: %" PRId64 "}",
                 version, config_term, rs->config->version, rs->config->term);
    else if (strcmp(set, sim->options.set_name) != 0)
        snprintf(reason, size, "candidate's set name (%s) differs from mine (%s)", set,
                 sim->options.set_name);
    else if (optime_compare(applied, sim->oplog.last) < 0)
        snprintf(reason, size,
                 "candidate's data is staler than mine. candidate's last applied OpTime: { ts: Timestamp(%u, "
                 "%u), t: %" PRId64 " }, my last applied OpTime: { ts: Timestamp(%u, %u), t: %" PRId64 " }",
                 applied.secs, applied.inc, applied.term, sim->oplog.last.secs, sim->oplog.last.inc,
                 sim->oplog.last.term);
    else if (!get_bool(body, "dryRun", false) && rs->voted_term >= term)
        snprintf(reason, size,
                 "already voted for another candidate (member %" PRId64 ") this term (%" PRId64 ")",
                 rs->voted_for, rs->voted_term);
    else if (candidate < 0 || candidate >= rs->config->count)
        snprintf(reason, size, "candidate's index (%" PRId64 ") is not in my configuration", candidate);
}

void vote_command(struct request *request)
{
    struct sim *sim = request->sim;
    struct replset *rs = &sim->rs;
    const bson_t *body = &request->message.body;
    char reason[512];
    if (!rs->config || rs->config_state == CONFIG_STARTING) {
        request_fail(request, CODE_NOT_YET_INITIALIZED, "no replset config has been received");
        return;
    }
    if (rs->self < 0) {
        request_fail(request, CODE_INVALID_CONFIG,
                     "Invalid replica set config, or this node is not a member");
        return;
    }
    bool dry_run = get_bool(body, "dryRun", false);
    int64_t term = get_int(body, "term", -1);
    if (!dry_run && term > rs->term)
        replset_see_term(sim, term);
    judge(sim, body, reason, sizeof reason);
    if (!*reason && !dry_run) {
        replset_record_vote(sim, term, rs->config->members[get_int(body, "candidateIndex", 0)].id);
        replset_reset_election_timer(sim);
    }
    bson_t out = BSON_INITIALIZER;
    bson_append_int64(&out, "term", -1, rs->term);
    bson_append_bool(&out, "voteGranted", -1, !*reason);
    bson_append_utf8(&out, "reason", -1, reason, -1);
    request_reply(request, &out);
    bson_destroy(&out);
}

void step_up_command(struct request *request)
{
    struct sim *sim = request->sim;
    const char *obstacle = election_obstacle(sim);
    if (sim->rs.state == STATE_PRIMARY) {
        request_reply(request, NULL);
        return;
    }
    if (obstacle || sim->rs.election.active) {
        request_fail(request, CODE_COMMAND_FAILED, "Election failed: %s",
                     obstacle ? obstacle : "an election is under way");
        return;
    }
    election_start(sim, !get_bool(&request->message.body, "skipDryRun", false), "asked to step up");
    request_reply(request, NULL); /* the outcome shows in hello; the server waits for it here */
}
