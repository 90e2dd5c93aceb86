/* What stands in each message: one line a field with its JSON name and its bound. A field of model.h that
 * isn't here is neither sent nor copied nor compared. */
#include "proto/fields.h"

#include "proto/field_rows.h"
#include "proto/model.h"

enum { VOTES_MAX = 1, PORT_MAX = 65535 };

/* ---- enums ---- */

_Static_assert(sizeof(enum member_state) == sizeof(int) && sizeof(enum member_run) == sizeof(int) &&
                   sizeof(enum disk_state) == sizeof(int) && sizeof(enum mongod_answer) == sizeof(int),
               "record.c reads and writes enums as int");

#define X(name, number, text) {number, text},
const struct enum_text member_state_texts[] = {MEMBER_STATES(X){0, NULL}};
#undef X
#define X(name, text) {name, text},
const struct enum_text mongod_answer_texts[] = {MONGOD_ANSWERS(X){0, NULL}};
const struct enum_text disk_state_texts[] = {DISK_STATES(X){0, NULL}};
const struct enum_text member_run_texts[] = {MEMBER_RUNS(X){0, NULL}};
#undef X

/* ---- what a mongod says ---- */

static const struct field optime_fields[] = {
    WHOLE(optime, term, "term", -1, -1, 0),
    NUMBER(optime, seconds, "seconds", FIELD_UINT32, 0, UINT32_MAX, 0, 0),
    NUMBER(optime, increment, "increment", FIELD_UINT32, 0, UINT32_MAX, 0, 0),
};
static const struct record optime_record = RECORD_OF(optime, optime_fields);

/* votes and priority fall back to the server's own defaults */
static const struct field config_member_fields[] = {
    NUMBER(config_member, id, "id", FIELD_INT, 0, INT32_MAX, 0, FIELD_REQUIRED),
    STRING(config_member, host, "host", HOST_LENGTH_MAX, FIELD_REQUIRED),
    NUMBER(config_member, votes, "votes", FIELD_INT, 0, VOTES_MAX, 1, 0),
    NUMBER(config_member, priority, "priority", FIELD_DOUBLE, 0, 0, 1, 0),
    BOOL(config_member, hidden, "hidden"),
    BOOL(config_member, arbiter_only, "arbiterOnly"),
    BOOL(config_member, newly_added, "newlyAdded"),
    WHOLE(config_member, secondary_delay_secs, "secondaryDelaySecs", 0, 0, 0),
    MAP(config_member, tags, tag_count, "tags"),
};
static const struct record config_member_record = RECORD_OF(config_member, config_member_fields);

static const struct field replica_config_fields[] = {
    STRING(replica_config, set, "set", TEXT_LENGTH_MAX, 0),
    WHOLE(replica_config, version, "version", 0, 0, 0),
    WHOLE(replica_config, term, "term", -1, -1, 0),
    STRING(replica_config, replica_set_id, "replicaSetId", NAME_LENGTH_MAX, 0),
    LIST(replica_config, members, member_count, "members", config_member_record, SET_MEMBERS_MAX),
    {.key = "settings",
     .kind = FIELD_SETTINGS,
     LIST_PLACE(replica_config, settings, setting_count),
     TEXT_MOST(SETTINGS_MAX)},
};
const struct record replica_config_record = RECORD_OF(replica_config, replica_config_fields);

static const struct field peer_view_fields[] = {
    NUMBER(peer_view, id, "id", FIELD_INT, 0, INT32_MAX, 0, FIELD_REQUIRED),
    STRING(peer_view, host, "host", HOST_LENGTH_MAX, 0),
    ENUM(peer_view, state, "state", member_state_texts, MEMBER_UNKNOWN, 0),
    BOOL(peer_view, healthy, "healthy"),
    RECORD(peer_view, optime, "optime", optime_record, FIELD_VOLATILE),
    WHOLE(peer_view, config_version, "configVersion", -1, 0, 0),
    WHOLE(peer_view, config_term, "configTerm", -1, -1, 0),
};
static const struct record peer_view_record = RECORD_OF(peer_view, peer_view_fields);

static const struct field mongod_view_fields[] = {
    ENUM(mongod_view, answer, "answer", mongod_answer_texts, MONGOD_NOT_ASKED, 0),
    SENTENCE(mongod_view, problem, "problem"),
    WHOLE(mongod_view, age_ms, "ageMs", -1, -1, FIELD_VOLATILE),
    STRING(mongod_view, version, "version", NAME_LENGTH_MAX, 0),
    STRING(mongod_view, process, "process", TEXT_LENGTH_MAX, 0),
    ENUM(mongod_view, state, "state", member_state_texts, MEMBER_UNKNOWN, 0),
    NUMBER(mongod_view, self_id, "selfId", FIELD_INT, -1, INT32_MAX, -1, 0),
    WHOLE(mongod_view, term, "term", -1, -1, 0),
    NUMBER(mongod_view, primary_id, "primaryId", FIELD_INT, -1, INT32_MAX, -1, 0),
    RECORD(mongod_view, optime, "optime", optime_record, FIELD_VOLATILE),
    RECORD(mongod_view, config, "config", replica_config_record, 0),
    BOOL(mongod_view, config_committed, "configCommitted"),
    BOOL(mongod_view, knows_commitment, "knowsCommitment"),
    STRING(mongod_view, certificate_id, "certificateId", TEXT_LENGTH_MAX, 0),
    BOOL(mongod_view, certificate_foreign, "certificateForeign"),
    LIST(mongod_view, peers, peer_count, "peers", peer_view_record, SET_MEMBERS_MAX),
};
const struct record mongod_view_record = RECORD_OF(mongod_view, mongod_view_fields);

/* ---- what a zone holds ---- */

static const struct field disk_holding_fields[] = {
    STRING(disk_holding, name, "name", TEXT_LENGTH_MAX, 0),
    STRING(disk_holding, id, "id", TEXT_LENGTH_MAX, 0),
    ENUM(disk_holding, state, "state", disk_state_texts, DISK_ABSENT, 0),
    BOOL(disk_holding, adopted, "adopted"),
    BOOL(disk_holding, used, "used"),
    STRING(disk_holding, replica_set_id, "replicaSetId", NAME_LENGTH_MAX, 0),
    WHOLE(disk_holding, size_bytes, "sizeBytes", -1, -1, 0),
    WHOLE(disk_holding, used_bytes, "usedBytes", -1, -1, FIELD_VOLATILE),
};
static const struct record disk_holding_record = RECORD_OF(disk_holding, disk_holding_fields);

static const struct field pod_holding_fields[] = {
    STRING(pod_holding, name, "name", TEXT_LENGTH_MAX, 0),
    STRING(pod_holding, node, "node", TEXT_LENGTH_MAX, 0),
    STRING(pod_holding, image_id, "imageId", TEXT_LENGTH_MAX, 0),
    BOOL(pod_holding, running, "running"),
    BOOL(pod_holding, ready, "ready"),
    BOOL(pod_holding, terminating, "terminating"),
    WHOLE(pod_holding, restarts, "restarts", 0, 0, 0),
    SENTENCE(pod_holding, last_exit, "lastExit"),
    STRING(pod_holding, key_id, "keyId", NAME_LENGTH_MAX, 0),
};
static const struct record pod_holding_record = RECORD_OF(pod_holding, pod_holding_fields);

static const struct field problem_fields[] = {
    STRING(problem, code, "code", NAME_LENGTH_MAX, 0),
    SENTENCE(problem, message, "message"),
    NUMBER(problem, rule, "rule", FIELD_INT, 0, INT32_MAX, 0, 0),
};
const struct record problem_record = RECORD_OF(problem, problem_fields);

static const struct field member_holding_fields[] = {
    STRING(member_holding, set, "set", NAME_LENGTH_MAX, FIELD_REQUIRED),
    NUMBER(member_holding, ordinal, "ordinal", FIELD_INT, 1, INT32_MAX, 0, FIELD_REQUIRED),
    RECORD(member_holding, disk, "disk", disk_holding_record, 0),
    BOOL(member_holding, controller_exists, "controllerExists"),
    NUMBER(member_holding, replicas, "replicas", FIELD_INT, 0, INT32_MAX, 0, 0),
    BOOL(member_holding, service_exists, "serviceExists"),
    STRING(member_holding, address, "address", HOST_LENGTH_MAX, 0),
    RECORD(member_holding, pod, "pod", pod_holding_record, 0),
    RECORD(member_holding, problem, "problem", problem_record, 0),
    WHOLE(member_holding, repairs, "repairs", 0, 0, 0),
    SENTENCE(member_holding, last_repair, "lastRepair"),
};
const struct record member_holding_record = RECORD_OF(member_holding, member_holding_fields);

/* ---- intent ---- */

static const struct field intent_member_fields[] = {
    STRING(intent_member, set, "set", NAME_LENGTH_MAX, FIELD_REQUIRED),
    NUMBER(intent_member, ordinal, "ordinal", FIELD_INT, 1, INT32_MAX, 0, FIELD_REQUIRED),
    ENUM(intent_member, run, "run", member_run_texts, RUN_UP, FIELD_REQUIRED),
    STRING(intent_member, node, "node", TEXT_LENGTH_MAX, 0),
    STRING(intent_member, controller, "controller", TEXT_LENGTH_MAX, 0),
    STRING(intent_member, service, "service", TEXT_LENGTH_MAX, 0),
    STRING(intent_member, volume, "volume", TEXT_LENGTH_MAX, 0),
    STRING(intent_member, disk, "disk", TEXT_LENGTH_MAX, 0),
    STRING(intent_member, image, "image", TEXT_LENGTH_MAX, 0),
    NUMBER(intent_member, port, "port", FIELD_INT, 0, PORT_MAX, 0, 0),
    WHOLE(intent_member, storage_bytes, "storageBytes", 0, 0, 0),
    STRING(intent_member, storage_type, "storageType", TEXT_LENGTH_MAX, 0),
    BOOL(intent_member, arbiter, "arbiter"),
    STRING(intent_member, disk_id, "diskId", TEXT_LENGTH_MAX, 0),
    STRING(intent_member, replica_set_id, "replicaSetId", NAME_LENGTH_MAX, 0),
    MAP(intent_member, labels, label_count, "labels"),
    {.key = "mongodArguments",
     .kind = FIELD_STRINGS,
     LIST_PLACE(intent_member, mongod_arguments, mongod_argument_count),
     TEXT_MOST(MONGOD_ARGUMENTS_MAX),
     EACH_MOST(ARGUMENT_LENGTH_MAX)},
    STRING(intent_member, cpu, "cpu", NAME_LENGTH_MAX, 0),
    STRING(intent_member, memory, "memory", NAME_LENGTH_MAX, 0),
    RANGES(intent_member, source_ranges, source_range_count, "sourceRanges"),
    BOOL(intent_member, source_ranges_partial, "sourceRangesPartial"),
    BOOL(intent_member, auth, "auth"),
    STRING(intent_member, keyfile, "keyfile", KEYFILE_LENGTH_MAX, FIELD_SECRET),
    STRING(intent_member, key_id, "keyId", NAME_LENGTH_MAX, 0),
    BOOL(intent_member, tls, "tls"),
    STRING(intent_member, certificate, "certificate", PEM_LENGTH_MAX, 0),
    STRING(intent_member, certificate_id, "certificateId", TEXT_LENGTH_MAX, 0),
};
static const struct record intent_member_record = RECORD_OF(intent_member, intent_member_fields);

static const struct field intent_fields[] = {
    WHOLE(intent, epoch, "epoch", 0, 0, FIELD_REQUIRED | FIELD_STAMP),
    WHOLE(intent, revision, "revision", 0, 0, FIELD_REQUIRED | FIELD_STAMP),
    STRING(intent, federation, "federation", TEXT_LENGTH_MAX, 0),
    STRING(intent, zone, "zone", TEXT_LENGTH_MAX, FIELD_REQUIRED),
    STRING(intent, project, "project", TEXT_LENGTH_MAX, 0),
    STRING(intent, namespace_, "namespace", NAME_LENGTH_MAX, 0),
    STRING(intent, ca, "ca", PEM_LENGTH_MAX, 0),
    {.key = "members",
     .kind = FIELD_LIST,
     LIST_PLACE(intent, members, member_count),
     .record = &intent_member_record,
     TEXT_MOST(ZONE_MEMBERS_MAX),
     .flags = FIELD_REQUIRED},
};
const struct record intent_record = RECORD_OF(intent, intent_fields);

/* ---- report and heartbeat ---- */

static const struct field report_member_fields[] = {
    RECORD(report_member, holding, "holding", member_holding_record, FIELD_REQUIRED),
    RECORD(report_member, mongod, "mongod", mongod_view_record, 0),
    RECORD(report_member, waiting, "waiting", problem_record, 0),
    STRING(report_member, key_id, "keyId", NAME_LENGTH_MAX, 0),
    STRING(report_member, keyfile, "keyfile", KEYFILE_LENGTH_MAX, FIELD_SECRET),
    STRING(report_member, certificate_request, "certificateRequest", PEM_LENGTH_MAX, 0),
    STRING(report_member, certificate, "certificate", PEM_LENGTH_MAX, 0),
};
static const struct record report_member_record = RECORD_OF(report_member, report_member_fields);

static const struct field report_fields[] = {
    STRING(report, zone, "zone", TEXT_LENGTH_MAX, FIELD_REQUIRED),
    STRING(report, run_id, "runId", TEXT_LENGTH_MAX, FIELD_REQUIRED),
    STRING(report, version, "version", NAME_LENGTH_MAX, 0),
    WHOLE(report, sequence, "sequence", 0, 0, FIELD_REQUIRED | FIELD_VOLATILE),
    WHOLE(report, epoch, "epoch", 0, 0, FIELD_REQUIRED),
    WHOLE(report, revision, "revision", 0, 0, FIELD_REQUIRED),
    BOOL(report, reached, "reached"),
    STRING(report, driver, "driver", NAME_LENGTH_MAX, 0),
    RECORD(report, zone_problem, "zoneProblem", problem_record, 0),
    RANGES(report, egress, egress_count, "egress"),
    {.key = "members",
     .kind = FIELD_LIST,
     LIST_PLACE(report, members, member_count),
     .record = &report_member_record,
     TEXT_MOST(ZONE_MEMBERS_MAX),
     .flags = FIELD_REQUIRED},
};
const struct record report_record = RECORD_OF(report, report_fields);

static const struct field pulse_member_fields[] = {
    STRING(pulse_member, set, "set", NAME_LENGTH_MAX, FIELD_REQUIRED),
    NUMBER(pulse_member, ordinal, "ordinal", FIELD_INT, 1, INT32_MAX, 0, FIELD_REQUIRED),
    WHOLE(pulse_member, age_ms, "ageMs", -1, -1, 0),
    RECORD(pulse_member, optime, "optime", optime_record, 0),
    WHOLE(pulse_member, used_bytes, "usedBytes", -1, -1, 0),
};
static const struct record pulse_member_record = RECORD_OF(pulse_member, pulse_member_fields);

static const struct field heartbeat_fields[] = {
    STRING(heartbeat, run_id, "runId", TEXT_LENGTH_MAX, FIELD_REQUIRED),
    WHOLE(heartbeat, sequence, "sequence", 0, 0, FIELD_REQUIRED),
    WHOLE(heartbeat, epoch, "epoch", 0, 0, FIELD_REQUIRED),
    WHOLE(heartbeat, revision, "revision", 0, 0, FIELD_REQUIRED),
    LIST(heartbeat, members, member_count, "members", pulse_member_record, ZONE_MEMBERS_MAX),
};
const struct record heartbeat_record = RECORD_OF(heartbeat, heartbeat_fields);
