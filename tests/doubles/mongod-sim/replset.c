/* The states of a member and the moves between them. */
#include "replset.h"

#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIND_SELF_INTERVAL_MS = 1000 };

const char *state_name(enum member_state state)
{
    static const char *const names[] = {"STARTUP", "PRIMARY", "SECONDARY", "RECOVERING", "",       "STARTUP2",
                                        "UNKNOWN", "ARBITER", "DOWN",      "ROLLBACK",   "REMOVED"};
    return names[state];
}

int replset_load(struct sim *sim, const bson_t *record)
{
    struct replset *rs = &sim->rs;
    const char *kind = get_text(record, "k", "");
    bson_t doc;
    struct error err = {0};
    if (!strcmp(kind, "config") && get_document(record, "c", &doc)) {
        struct config *config;
        if (config_parse(&doc, sim->options.server_version, &config, &err)) {
            log_line("REPL", "the stored configuration can't be read: %s", err.message);
            return -1;
        }
        config_release(rs->config);
        rs->config = config;
    } else if (!strcmp(kind, "vote")) {
        rs->voted_term = get_int(record, "term", -1);
        rs->voted_for = get_int(record, "for", -1);
    } else {
        return 1;
    }
    return 0;
}

static void save_config(struct sim *sim)
{
    bson_t record = BSON_INITIALIZER, child;
    bson_append_utf8(&record, "k", -1, "config", -1);
    bson_append_document_begin(&record, "c", -1, &child);
    config_write(sim->rs.config, true, &child);
    bson_append_document_end(&record, &child);
    storage_append(&sim->storage, &record);
    bson_destroy(&record);
}

static void save_vote(struct sim *sim)
{
    bson_t record = BSON_INITIALIZER;
    bson_append_utf8(&record, "k", -1, "vote", -1);
    bson_append_int64(&record, "term", -1, sim->rs.voted_term);
    bson_append_int64(&record, "for", -1, sim->rs.voted_for);
    storage_append(&sim->storage, &record);
    bson_destroy(&record);
}

void replset_save(void *context)
{
    struct sim *sim = context;
    if (sim->rs.config)
        save_config(sim);
    save_vote(sim);
}

void replset_record_vote(struct sim *sim, int64_t term, int64_t member_id)
{
    sim->rs.voted_term = term;
    sim->rs.voted_for = member_id;
    save_vote(sim);
    oplog_sync(&sim->oplog); /* durable before it is told */
    sim->progress = true;
}

static void topology_changed(struct sim *sim)
{
    sim->rs.topology_counter++;
    sim->progress = true;
}

void replset_set_state(struct sim *sim, enum member_state state)
{
    struct replset *rs = &sim->rs;
    if (rs->state == state)
        return;
    log_line("REPL", "transition to %s from %s", state_name(state), state_name(rs->state));
    rs->state = state;
    topology_changed(sim);
}

void replset_set_primary(struct sim *sim, int index)
{
    struct replset *rs = &sim->rs;
    if (rs->primary == index)
        return;
    rs->primary = index;
    rs->takeover_ms = INT64_MAX;
    if (index >= 0)
        log_line("REPL", "the primary of term %lld is %s", (long long)rs->term,
                 rs->config->members[index].host);
    sync_restart(sim);
    topology_changed(sim);
}

void replset_reset_election_timer(struct sim *sim)
{
    struct replset *rs = &sim->rs;
    int64_t timeout = rs->config ? rs->config->election_timeout_ms : 10000;
    rs->election_ms = sim_now(sim) + timeout + (int64_t)sim_random(sim, (uint64_t)(timeout * 15 / 100) + 1);
}

/* The state that a member has by its configuration and data, when it is not primary. */
static enum member_state resting_state(const struct sim *sim)
{
    const struct replset *rs = &sim->rs;
    if (rs->self < 0)
        return STATE_REMOVED;
    if (rs->config->members[rs->self].arbiter)
        return STATE_ARBITER;
    if (sim->oplog.syncing || optime_is_null(sim->oplog.last))
        return STATE_STARTUP2;
    return rs->state == STATE_RECOVERING && sim->sync.stale ? STATE_RECOVERING : STATE_SECONDARY;
}

/* Views of members that keep their _id and host are kept. */
static void carry_views(struct replset *rs, const struct config *old, const struct config *new, int64_t now)
{
    struct member_view fresh[MEMBERS_MAX];
    for (int i = 0; i < new->count; i++) {
        int j = old ? config_find_id(old, new->members[i].id) : -1;
        fresh[i] = (struct member_view){.state = STATE_UNKNOWN,
                                        .config_version = -1,
                                        .config_term = -1,
                                        .term = -1,
                                        .applied = OPTIME_NULL,
                                        .durable = OPTIME_NULL,
                                        .contact_ms = now};
        if (j >= 0 && j != rs->self && !strcmp(old->members[j].host, new->members[i].host))
            fresh[i] = rs->views[j];
        fresh[i].in_flight = false;
        fresh[i].due_ms = now;
    }
    memcpy(rs->views, fresh, sizeof *fresh * (size_t) new->count);
}

void replset_install(struct sim *sim, struct config *config, int self)
{
    struct replset *rs = &sim->rs;
    struct config *old = rs->config;
    char name[80];
    int64_t primary_id = rs->primary >= 0 && old ? old->members[rs->primary].id : -1;
    carry_views(rs, old, config, sim_now(sim));
    rs->config = config;
    save_config(sim);
    oplog_sync(&sim->oplog);
    config_release(old);
    rs->self = self;
    rs->config_state = CONFIG_STEADY;
    rs->config_generation++;
    rs->find_self_ms = sim_now(sim) + FIND_SELF_INTERVAL_MS;
    rs->primary = config_find_id(config, primary_id);
    log_line("REPL", "new configuration %s installed; this node is %s",
             config_name(config, name, sizeof name), self < 0 ? "not in it" : config->members[self].host);
    if (config->term > rs->term)
        replset_see_term(sim, config->term);
    if (rs->state == STATE_PRIMARY && (self < 0 || member_priority(&config->members[self]) <= 0))
        replset_step_down(sim, "not electable under the new configuration");
    if (rs->state != STATE_PRIMARY) {
        election_cancel(sim);
        replset_set_state(sim, resting_state(sim));
        replset_reset_election_timer(sim);
    }
    sync_restart(sim);
    topology_changed(sim);
}

void replset_see_term(struct sim *sim, int64_t term)
{
    struct replset *rs = &sim->rs;
    if (term <= rs->term)
        return;
    rs->term = term;
    election_cancel(sim);
    if (rs->state == STATE_PRIMARY)
        replset_step_down(sim, "a higher term was seen");
    else if (rs->primary >= 0)
        replset_set_primary(sim, -1); /* of an older term; the new one is heard of by heartbeat */
    heartbeat_restart(sim);
}

void replset_step_down(struct sim *sim, const char *why)
{
    struct replset *rs = &sim->rs;
    if (rs->state != STATE_PRIMARY)
        return;
    log_line("REPL", "stepping down from primary: %s", why);
    replset_set_state(sim, STATE_SECONDARY);
    replset_set_state(sim, resting_state(sim));
    replset_set_primary(sim, -1);
    replset_reset_election_timer(sim);
    waiters_end_all(sim, true, WAIT_INTERRUPTED);
    if (sim_is_old(sim))
        server_drop_clients(sim); /* since 4.2 connections stay open */
}

struct optime replset_next_optime(struct sim *sim)
{
    struct optime last = sim->oplog.last, t = {(uint32_t)(wall_ms() / 1000), 1, sim->rs.term};
    if (t.secs <= last.secs) {
        t.secs = last.secs;
        t.inc = last.inc + 1;
    }
    return t;
}

void replset_begin_entry(struct sim *sim, bson_t *entry, const char *op, const char *ns)
{
    struct optime t = replset_next_optime(sim);
    put_timestamp(entry, "ts", t);
    bson_append_int64(entry, "t", -1, t.term);
    bson_append_int32(entry, "v", -1, 2);
    bson_append_utf8(entry, "op", -1, op, -1);
    bson_append_utf8(entry, "ns", -1, ns, -1);
    bson_append_date_time(entry, "wall", -1, wall_ms());
}

void replset_write_note(struct sim *sim, const char *text)
{
    bson_t entry = BSON_INITIALIZER, o;
    replset_begin_entry(sim, &entry, "n", "");
    bson_append_document_begin(&entry, "o", -1, &o);
    bson_append_utf8(&o, "msg", -1, text, -1);
    bson_append_document_end(&entry, &o);
    oplog_append(&sim->oplog, &entry);
    bson_destroy(&entry);
    sim->progress = true;
}

void replset_become_primary(struct sim *sim)
{
    struct replset *rs = &sim->rs;
    rs->election_time = (struct optime){(uint32_t)(wall_ms() / 1000), 1, rs->term};
    for (int i = 0; i < rs->config->count; i++)
        rs->views[i].contact_ms = sim_now(sim); /* everybody has a whole election timeout to be heard of */
    replset_set_primary(sim, rs->self);
    replset_set_state(sim, STATE_PRIMARY);
    replset_write_note(sim, "new primary");
    if (!sim_is_old(
            sim)) { /* 4.4+: the configuration gets the new term, which is an automatic reconfiguration */
        struct config *config = config_copy(rs->config);
        config->term = rs->term;
        replset_install(sim, config, rs->self);
    }
    heartbeat_restart(sim);
}

int replset_count_at(const struct sim *sim, struct optime t, bool durable, bool voters_only)
{
    const struct replset *rs = &sim->rs;
    int n = 0;
    for (int i = 0; rs->config && i < rs->config->count; i++) {
        const struct member_config *m = &rs->config->members[i];
        struct optime have = i == rs->self ? (durable ? sim->oplog.durable : sim->oplog.last)
                                           : (durable ? rs->views[i].durable : rs->views[i].applied);
        if (m->arbiter || (voters_only && !member_votes(m)))
            continue;
        n += !optime_is_null(have) && optime_compare(have, t) >= 0;
    }
    return n;
}

bool replset_config_committed(const struct sim *sim)
{
    const struct replset *rs = &sim->rs;
    int n = 0;
    for (int i = 0; i < rs->config->count; i++)
        if (member_votes(&rs->config->members[i]))
            n += i == rs->self || (rs->views[i].config_version == rs->config->version &&
                                   rs->views[i].config_term == rs->config->term);
    return n >= config_majority(rs->config);
}

const char *replset_own_host(const struct sim *sim)
{
    const struct replset *rs = &sim->rs;
    return rs->config && rs->self >= 0 ? rs->config->members[rs->self].host : "";
}

int64_t replset_heartbeat_interval(const struct sim *sim)
{
    const struct config *c = sim->rs.config;
    return c->heartbeat_interval_ms < c->election_timeout_ms / 2 ? c->heartbeat_interval_ms
                                                                 : c->election_timeout_ms / 2 + 1;
}

/* The newest place that enough data-bearing voters have on their disks; only of the own term, as Raft
 * requires. */
static void advance_commit_point(struct sim *sim)
{
    struct replset *rs = &sim->rs;
    int needed = config_write_majority(rs->config);
    struct optime best = rs->committed;
    for (int i = 0; i < rs->config->count; i++) {
        struct optime t = i == rs->self ? sim->oplog.durable : rs->views[i].durable;
        if (optime_compare(t, sim->oplog.durable) <= 0 && t.term == rs->term && optime_compare(t, best) > 0 &&
            replset_count_at(sim, t, true, true) >= needed)
            best = t;
    }
    if (optime_compare(best, rs->committed) == 0)
        return;
    rs->committed = best;
    sim->progress = true;
}

static int compare_times(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x > y ? -1 : x < y;
}

/* A primary that has not heard of a majority for an election timeout can't be the only one any more. */
static void check_majority_alive(struct sim *sim, int64_t now, int64_t *next)
{
    struct replset *rs = &sim->rs;
    int64_t heard[MEMBERS_MAX];
    int n = 0, needed = config_majority(rs->config);
    for (int i = 0; i < rs->config->count; i++)
        if (member_votes(&rs->config->members[i]))
            heard[n++] = i == rs->self ? now : rs->views[i].contact_ms;
    if (n < needed)
        return;
    qsort(heard, (size_t)n, sizeof *heard, compare_times);
    int64_t deadline = heard[needed - 1] + rs->config->election_timeout_ms;
    if (deadline <= now)
        replset_step_down(sim, "can't see a majority of the set");
    else if (deadline < *next)
        *next = deadline;
}

static void on_self_found_at_start(struct sim *sim, int index, void *data)
{
    (void)data;
    struct replset *rs = &sim->rs;
    if (rs->config_state != CONFIG_STARTING)
        return;
    if (index < 0)
        log_line("REPL", "the stored configuration does not have a valid entry for this node; waiting for a "
                         "reconfig or a heartbeat");
    replset_install(sim, config_reference(rs->config), index);
}

void replset_start(struct sim *sim)
{
    struct replset *rs = &sim->rs;
    rs->self = rs->primary = -1;
    rs->takeover_ms = INT64_MAX;
    rs->rbid = 1;
    rs->committed = OPTIME_NULL;
    rs->config_state = rs->config ? CONFIG_STARTING : CONFIG_UNINITIALIZED;
    rs->term = rs->voted_term > sim->oplog.last.term ? rs->voted_term : sim->oplog.last.term;
    if (rs->config && rs->config->term > rs->term)
        rs->term = rs->config->term;
    if (rs->config)
        self_find(sim, rs->config, false, on_self_found_at_start, NULL);
}

static void on_self_found_again(struct sim *sim, int index, void *data)
{
    uint64_t generation = *(uint64_t *)data;
    free(data);
    sim->rs.find_self_ms = sim_now(sim) + FIND_SELF_INTERVAL_MS;
    if (index >= 0 && sim->rs.self < 0 && sim->rs.config_generation == generation)
        replset_install(sim, config_reference(sim->rs.config), index);
}

/* 4.4+ looks for itself again; before, a removed node stays so until a newer configuration or a restart. */
static void look_for_self_again(struct sim *sim, int64_t now, int64_t *next)
{
    struct replset *rs = &sim->rs;
    if (sim_is_old(sim))
        return;
    if (now >= rs->find_self_ms) {
        uint64_t *generation = xcalloc(1, sizeof *generation);
        *generation = rs->config_generation;
        rs->find_self_ms = INT64_MAX; /* until this search has ended */
        self_find(sim, rs->config, false, on_self_found_again, generation);
    }
    *next = rs->find_self_ms < *next ? rs->find_self_ms : *next;
}

int64_t replset_turn(struct sim *sim, int64_t now)
{
    struct replset *rs = &sim->rs;
    int64_t next = INT64_MAX;
    if (!rs->config || rs->config_state == CONFIG_STARTING)
        return next;
    if (rs->state == STATE_PRIMARY) {
        advance_commit_point(sim);
        check_majority_alive(sim, now, &next);
        reconfig_turn(sim, now);
    }
    if (rs->self < 0)
        look_for_self_again(sim, now, &next);
    heartbeat_turn(sim, now, &next);
    election_turn(sim, now, &next);
    sync_turn(sim, now, &next);
    return next;
}
