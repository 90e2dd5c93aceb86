/* The dispatch table. A row says the name, who serves it, in which versions it exists, and which state it
 * needs. */
#include "commands.h"

#include "sim.h"

#include <string.h>

enum { ANY_STATE, WRITES, READS };
enum { NOT_OLD = 1, NOT_NEW = 2 };

static const struct command {
    const char *name;
    void (*run)(struct request *);
    int needs;
    int versions; /* 0: all */
} commands[] = {
    {"hello", hello_command, ANY_STATE, NOT_OLD},
    {"isMaster", hello_command, ANY_STATE, 0},
    {"ismaster", hello_command, ANY_STATE, 0},
    {"ping", ping_command, ANY_STATE, 0},
    {"buildInfo", build_info_command, ANY_STATE, 0},
    {"buildinfo", build_info_command, ANY_STATE, 0},
    {"getParameter", get_parameter_command, ANY_STATE, 0},
    {"getCmdLineOpts", get_cmd_line_command, ANY_STATE, 0},
    {"getLog", get_log_command, ANY_STATE, 0},
    {"serverStatus", server_status_command, ANY_STATE, 0},
    {"connectionStatus", connection_status_command, ANY_STATE, 0},
    {"whatsmyuri", whatsmyuri_command, ANY_STATE, 0},
    {"endSessions", end_sessions_command, ANY_STATE, 0},
    {"killSessions", end_sessions_command, ANY_STATE, 0},
    {"_isSelf", is_self_command, ANY_STATE, 0},
    {"shutdown", shutdown_command, ANY_STATE, 0},
    {"replSetInitiate", initiate_command, ANY_STATE, 0},
    {"replSetGetConfig", get_config_command, ANY_STATE, 0},
    {"replSetReconfig", reconfig_command, ANY_STATE, 0},
    {"replSetGetStatus", get_status_command, ANY_STATE, 0},
    {"replSetStepDown", step_down_command, ANY_STATE, 0},
    {"replSetStepUp", step_up_command, ANY_STATE, 0},
    {"replSetFreeze", freeze_command, ANY_STATE, 0},
    {"replSetHeartbeat", heartbeat_command, ANY_STATE, 0},
    {"replSetRequestVotes", vote_command, ANY_STATE, 0},
    {"simFetchOplog", fetch_oplog_command, ANY_STATE, 0},
    {"simClone", clone_command, ANY_STATE, 0},
    {"find", find_command, READS, 0},
    {"count", count_command, READS, 0},
    {"aggregate", aggregate_command, READS, 0},
    {"listDatabases", list_databases_command, READS, 0},
    {"listCollections", list_collections_command, READS, 0},
    {"killCursors", kill_cursors_command, ANY_STATE, 0},
    {"insert", insert_command, WRITES, 0},
    {"update", update_command, WRITES, 0},
    {"delete", delete_command, WRITES, 0},
    {"create", create_command, WRITES, 0},
    {"drop", drop_command, WRITES, 0},
    {"dropDatabase", drop_database_command, WRITES, 0},
};

/* OP_QUERY's flag, or any read preference but primary. */
static bool allows_secondary(const struct request *request)
{
    bson_t preference;
    if (request->message.secondary_ok)
        return true;
    return get_document(&request->message.body, "$readPreference", &preference) &&
           strcmp(get_text(&preference, "mode", "primary"), "primary") != 0;
}

/* False after an error has been answered. */
static bool state_allows(struct request *request, int needs)
{
    const struct sim *sim = request->sim;
    enum member_state state = sim->rs.state;
    bool old = sim_is_old(sim), local = !strcmp(request->message.db, "local");
    if (needs == WRITES && state != STATE_PRIMARY) {
        request_fail(request, CODE_NOT_PRIMARY, old ? "not master" : "not primary");
        return false;
    }
    if (needs != READS || state == STATE_PRIMARY || (local && allows_secondary(request)))
        return true;
    if (!allows_secondary(request))
        request_fail(request, CODE_NOT_PRIMARY_NO_SECONDARY_OK,
                     old ? "not master and slaveOk=false" : "not primary and secondaryOk=false");
    else if (state != STATE_SECONDARY)
        request_fail(request, CODE_NOT_PRIMARY_OR_SECONDARY,
                     old ? "node is not in primary or recovering state"
                         : "node is not in primary or recovering state");
    else
        return true;
    return false;
}

void commands_run(struct request *request)
{
    bson_iter_t it;
    bool old = sim_is_old(request->sim);
    request->name =
        bson_iter_init(&it, &request->message.body) && bson_iter_next(&it) ? bson_iter_key(&it) : "";
    if (request->sim->shutting_down) {
        request_fail(request, CODE_SHUTDOWN, "The server is in quiesce mode and will shut down");
        return;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const struct command *c = &commands[i];
        if (strcmp(c->name, request->name) != 0 || (c->versions & (old ? NOT_OLD : NOT_NEW)))
            continue;
        if (state_allows(request, c->needs))
            c->run(request);
        return;
    }
    request_fail(request, CODE_COMMAND_NOT_FOUND, "no such command: '%s'", request->name);
}
