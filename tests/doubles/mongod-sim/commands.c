/* The dispatch table. A row says the name, who serves it, which state it needs, in which versions it exists,
 * and which login it needs. */
#include "commands.h"

#include "access.h"
#include "sim.h"
#include "users.h"

#include <string.h>

enum { ANY_STATE, WRITES, READS };
enum { NOT_OLD = 1, NOT_NEW = 2 };

static const struct command {
    const char *name;
    void (*run)(struct request *);
    int needs;
    int versions; /* 0: all */
    enum access access;
} commands[] = {
    {"hello", hello_command, ANY_STATE, NOT_OLD, ACCESS_OPEN},
    {"isMaster", hello_command, ANY_STATE, 0, ACCESS_OPEN},
    {"ismaster", hello_command, ANY_STATE, 0, ACCESS_OPEN},
    {"ping", ping_command, ANY_STATE, 0, ACCESS_OPEN},
    {"buildInfo", build_info_command, ANY_STATE, 0, ACCESS_OPEN},
    {"buildinfo", build_info_command, ANY_STATE, 0, ACCESS_OPEN},
    {"getParameter", get_parameter_command, ANY_STATE, 0, ACCESS_MONITOR},
    {"getCmdLineOpts", get_cmd_line_command, ANY_STATE, 0, ACCESS_MONITOR},
    {"getLog", get_log_command, ANY_STATE, 0, ACCESS_MONITOR},
    {"serverStatus", server_status_command, ANY_STATE, 0, ACCESS_MONITOR},
    {"connectionStatus", connection_status_command, ANY_STATE, 0, ACCESS_OPEN},
    {"whatsmyuri", whatsmyuri_command, ANY_STATE, 0, ACCESS_OPEN},
    {"endSessions", end_sessions_command, ANY_STATE, 0, ACCESS_OPEN},
    {"killSessions", end_sessions_command, ANY_STATE, 0, ACCESS_LOGIN},
    {"_isSelf", is_self_command, ANY_STATE, 0, ACCESS_OPEN},
    {"saslStart", sasl_start_command, ANY_STATE, 0, ACCESS_OPEN},
    {"saslContinue", sasl_continue_command, ANY_STATE, 0, ACCESS_OPEN},
    {"logout", logout_command, ANY_STATE, 0, ACCESS_OPEN},
    {"createUser", create_user_command, WRITES, 0, ACCESS_USERS},
    {"updateUser", update_user_command, WRITES, 0, ACCESS_USERS},
    {"dropUser", drop_user_command, WRITES, 0, ACCESS_USERS},
    {"usersInfo", users_info_command, READS, 0, ACCESS_USERS},
    {"rotateCertificates", rotate_certificates_command, ANY_STATE, NOT_OLD, ACCESS_HOST},
    {"shutdown", shutdown_command, ANY_STATE, 0, ACCESS_HOST},
    {"replSetInitiate", initiate_command, ANY_STATE, 0, ACCESS_REPLSET},
    {"replSetGetConfig", get_config_command, ANY_STATE, 0, ACCESS_MONITOR},
    {"replSetReconfig", reconfig_command, ANY_STATE, 0, ACCESS_REPLSET},
    {"replSetGetStatus", get_status_command, ANY_STATE, 0, ACCESS_STATUS},
    {"replSetStepDown", step_down_command, ANY_STATE, 0, ACCESS_MANAGE},
    {"replSetStepUp", step_up_command, ANY_STATE, 0, ACCESS_MANAGE},
    {"replSetFreeze", freeze_command, ANY_STATE, 0, ACCESS_MANAGE},
    {"replSetHeartbeat", heartbeat_command, ANY_STATE, 0, ACCESS_INTERNAL},
    {"replSetRequestVotes", vote_command, ANY_STATE, 0, ACCESS_INTERNAL},
    {"simFetchOplog", fetch_oplog_command, ANY_STATE, 0, ACCESS_INTERNAL},
    {"simClone", clone_command, ANY_STATE, 0, ACCESS_INTERNAL},
    {"find", find_command, READS, 0, ACCESS_READ},
    {"count", count_command, READS, 0, ACCESS_READ},
    {"aggregate", aggregate_command, READS, 0, ACCESS_READ},
    {"listDatabases", list_databases_command, READS, 0, ACCESS_LOGIN},
    {"listCollections", list_collections_command, READS, 0, ACCESS_READ},
    {"killCursors", kill_cursors_command, ANY_STATE, 0, ACCESS_LOGIN},
    {"insert", insert_command, WRITES, 0, ACCESS_WRITE},
    {"update", update_command, WRITES, 0, ACCESS_WRITE},
    {"delete", delete_command, WRITES, 0, ACCESS_WRITE},
    {"create", create_command, WRITES, 0, ACCESS_WRITE},
    {"drop", drop_command, WRITES, 0, ACCESS_WRITE},
    {"dropDatabase", drop_database_command, WRITES, 0, ACCESS_WRITE},
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
        if (access_allows(request, c->access) && state_allows(request, c->needs))
            c->run(request);
        return;
    }
    request_fail(request, CODE_COMMAND_NOT_FOUND, "no such command: '%s'", request->name);
}
