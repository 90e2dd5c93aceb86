/* The quorum check before a configuration is accepted: every member is sent a heartbeat for it. A first
 * configuration needs all of them, empty; a later one a majority of voters and one electable member. One veto
 * refuses it. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct quorum {
    struct config *config;
    int self;
    int waiting;
    int electable, voters;
    bool initial, told, vetoed;
    struct error veto;
    char responded[1024], failed[1024];
    quorum_done *done;
    void *data;
};

/* Adds "HOST" or "HOST failed with WHY" to a list. */
static void add_text(char *list, size_t size, const char *a, const char *b)
{
    size_t used = strlen(list);
    snprintf(list + used, size - used, "%s%s%s%s", used ? ", " : "", a, b ? " failed with " : "", b ? b : "");
}

static void count_member(struct quorum *q, int i)
{
    const struct member_config *m = &q->config->members[i];
    q->electable += member_priority(m) > 0;
    if (member_votes(m)) {
        q->voters++;
        add_text(q->responded, sizeof q->responded, m->host, NULL);
    }
}

static bool enough(const struct quorum *q)
{
    if (q->vetoed || q->waiting == 0)
        return true;
    return !q->initial && q->electable && q->voters >= config_majority(q->config);
}

static int verdict(const struct quorum *q, struct error *err)
{
    int needed = config_majority(q->config);
    if (q->vetoed) {
        *err = q->veto;
        return -1;
    }
    if (q->initial && *q->failed)
        return fail(err, CODE_NODE_NOT_FOUND,
                    "replSetInitiate quorum check failed because not all proposed set members responded "
                    "affirmatively: %s",
                    q->failed);
    if (!q->electable)
        return fail(
            err, CODE_NODE_NOT_FOUND,
            "Quorum check failed because no electable nodes responded; at least one required for config");
    if (q->voters >= needed)
        return 0;
    char only[64] = "none responded";
    if (q->voters)
        snprintf(only, sizeof only, "only the following %d voting nodes responded: ", q->voters);
    return fail(err, CODE_NODE_NOT_FOUND,
                "Quorum check failed because not enough voting nodes responded; required %d but %s%s%s%s",
                needed, only, q->responded,
                *q->failed ? "; the following nodes did not respond affirmatively: " : "", q->failed);
}

static void finish_if_enough(struct sim *sim, struct quorum *q)
{
    if (!q->told && enough(q)) {
        struct error err = {0};
        int rc = verdict(q, &err);
        q->told = true;
        q->done(sim, rc ? &err : NULL, q->data);
    }
    if (q->waiting == 0 && q->told) {
        config_release(q->config);
        free(q);
    }
}

static void veto(struct quorum *q, int code, const char *text)
{
    q->vetoed = true;
    fail(&q->veto, code, "%s", text);
}

static void read_answer(struct quorum *q, int i, const bson_t *reply)
{
    char text[500];
    const char *host = q->config->members[i].host;
    bson_oid_t id;
    int64_t version = get_int(reply, "v", -2), term = get_int(reply, "configTerm", -1);
    if (config_compare(version, term, q->config->version, q->config->term) >= 0) {
        snprintf(text, sizeof text,
                 "Our config version of %lld is no larger than the version on %s, which is %lld",
                 (long long)q->config->version, host, (long long)version);
        veto(q, CODE_CONFIG_INCOMPATIBLE, text);
    } else if (get_oid(reply, "replicaSetId", &id) && q->config->has_id &&
               !bson_oid_equal(&id, &q->config->id)) {
        char ours[25], theirs[25];
        bson_oid_to_string(&q->config->id, ours);
        bson_oid_to_string(&id, theirs);
        snprintf(text, sizeof text, "Our replica set ID of %s did not match that of %s, which is %s", ours,
                 host, theirs);
        veto(q, CODE_CONFIG_INCOMPATIBLE, text);
    } else if (q->initial && get_bool(reply, "hasData", false)) {
        snprintf(text, sizeof text, "'%s' has data already, cannot initiate set.", host);
        veto(q, CODE_NODE_HAS_DATA, text);
    } else {
        count_member(q, i);
    }
}

static void on_answer(struct sim *sim, const struct call_arg *arg, const bson_t *reply, const char *error)
{
    struct quorum *q = arg->data;
    int i = (int)arg->id;
    const char *host = q->config->members[i].host;
    q->waiting--;
    if (!q->told) {
        if (!reply) {
            add_text(q->failed, sizeof q->failed, host, error);
        } else if (get_bool(reply, "ok", false)) {
            read_answer(q, i, reply);
        } else if (get_int(reply, "code", 0) == CODE_INCONSISTENT_NAMES) {
            char text[400];
            snprintf(text, sizeof text, "Our set name did not match that of %s", host);
            veto(q, CODE_CONFIG_INCOMPATIBLE, text);
        } else {
            add_text(q->failed, sizeof q->failed, host, get_text(reply, "errmsg", ""));
        }
    }
    finish_if_enough(sim, q);
}

static bool always(struct sim *sim, void *data)
{
    (void)sim;
    (void)data;
    return true;
}

static void on_alone(struct sim *sim, void *data, enum wait_end why)
{
    (void)why;
    finish_if_enough(sim, data);
}

void quorum_check(struct sim *sim, const struct config *config, int self, quorum_done *done, void *data)
{
    struct quorum *q = xcalloc(1, sizeof *q);
    bson_t command = BSON_INITIALIZER;
    *q = (struct quorum){.config = config_reference((struct config *)config),
                         .self = self,
                         .done = done,
                         .data = data,
                         .initial = config->version == 1,
                         .waiting = config->count - 1};
    count_member(q, self);
    bson_append_utf8(&command, "replSetHeartbeat", -1, config->set_name, -1);
    bson_append_bool(&command, "checkEmpty", -1, q->initial);
    bson_append_int64(&command, "configVersion", -1, config->version);
    if (!sim_is_old(sim))
        bson_append_int64(&command, "configTerm", -1, config->term);
    bson_append_int64(&command, "hbv", -1, 1);
    bson_append_utf8(&command, "from", -1, config->members[self].host, -1);
    bson_append_int64(&command, "fromId", -1, config->members[self].id);
    bson_append_int64(&command, "term", -1, sim->rs.term > 0 ? sim->rs.term : 0);
    for (int i = 0; i < config->count; i++) {
        struct call_arg arg = {.id = i, .data = q};
        if (i != self)
            peer_call(sim, LANE_CHECK, config->members[i].host, &command,
                      (int)config->heartbeat_timeout_secs * 1000, on_answer, &arg);
    }
    bson_destroy(&command);
    if (config->count == 1)
        wait_for(sim, 0, false, always, on_alone, q);
}
