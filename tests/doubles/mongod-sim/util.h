/* What every part of the stand-in needs: the place in the oplog, the server's error codes, BSON shorthands,
 * log lines. */
#ifndef SIM_UTIL_H
#define SIM_UTIL_H

#include "proto/base/error.h"

#include <bson/bson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A place in the oplog. Ordered by term first, then by time, like the server's under protocol version 1. */
struct optime {
    uint32_t secs;
    uint32_t inc;
    int64_t term; /* -1: none */
};

#define OPTIME_NULL ((struct optime){0, 0, -1})

int optime_compare(struct optime a, struct optime b);
bool optime_is_null(struct optime t);

/* The server's error codes that are used here: number, name in 7.0, name in 4.0. */
#define SIM_CODES(X)                                                                                         \
    X(CODE_INTERNAL, 1, "InternalError", "InternalError")                                                    \
    X(CODE_BAD_VALUE, 2, "BadValue", "BadValue")                                                             \
    X(CODE_FAILED_TO_PARSE, 9, "FailedToParse", "FailedToParse")                                             \
    X(CODE_USER_NOT_FOUND, 11, "UserNotFound", "UserNotFound")                                               \
    X(CODE_UNAUTHORIZED, 13, "Unauthorized", "Unauthorized")                                                 \
    X(CODE_TYPE_MISMATCH, 14, "TypeMismatch", "TypeMismatch")                                                \
    X(CODE_INVALID_LENGTH, 16, "InvalidLength", "InvalidLength")                                             \
    X(CODE_AUTHENTICATION_FAILED, 18, "AuthenticationFailed", "AuthenticationFailed")                        \
    X(CODE_ILLEGAL_OPERATION, 20, "IllegalOperation", "IllegalOperation")                                    \
    X(CODE_ALREADY_INITIALIZED, 23, "AlreadyInitialized", "AlreadyInitialized")                              \
    X(CODE_NAMESPACE_NOT_FOUND, 26, "NamespaceNotFound", "NamespaceNotFound")                                \
    X(CODE_ROLE_NOT_FOUND, 31, "RoleNotFound", "RoleNotFound")                                               \
    X(CODE_PROTOCOL, 17, "ProtocolError", "ProtocolError")                                                   \
    X(CODE_NAMESPACE_EXISTS, 48, "NamespaceExists", "NamespaceExists")                                       \
    X(CODE_MAX_TIME_EXPIRED, 50, "MaxTimeMSExpired", "ExceededTimeLimit")                                    \
    X(CODE_COMMAND_NOT_FOUND, 59, "CommandNotFound", "CommandNotFound")                                      \
    X(CODE_WRITE_CONCERN_FAILED, 64, "WriteConcernFailed", "WriteConcernFailed")                             \
    X(CODE_NODE_NOT_FOUND, 74, "NodeNotFound", "NodeNotFound")                                               \
    X(CODE_NO_REPLICATION, 76, "NoReplicationEnabled", "NoReplicationEnabled")                               \
    X(CODE_SHUTDOWN, 91, "ShutdownInProgress", "ShutdownInProgress")                                         \
    X(CODE_INVALID_CONFIG, 93, "InvalidReplicaSetConfig", "InvalidReplicaSetConfig")                         \
    X(CODE_NOT_YET_INITIALIZED, 94, "NotYetInitialized", "NotYetInitialized")                                \
    X(CODE_NOT_SECONDARY, 95, "NotSecondary", "NotSecondary")                                                \
    X(CODE_UNSATISFIABLE, 100, "UnsatisfiableWriteConcern", "UnsatisfiableWriteConcern")                     \
    X(CODE_CONFIG_INCOMPATIBLE, 103, "NewReplicaSetConfigurationIncompatible",                               \
      "NewReplicaSetConfigurationIncompatible")                                                              \
    X(CODE_NODE_NOT_ELECTABLE, 104, "NodeNotElectable", "NodeNotElectable")                                  \
    X(CODE_INCONSISTENT_NAMES, 108, "InconsistentReplicaSetNames", "InconsistentReplicaSetNames")            \
    X(CODE_CONFIG_IN_PROGRESS, 109, "ConfigurationInProgress", "ConfigurationInProgress")                    \
    X(CODE_NODE_HAS_DATA, 110, "CannotInitializeNodeWithData", "CannotInitializeNodeWithData")               \
    X(CODE_COMMAND_FAILED, 125, "CommandFailed", "CommandFailed")                                            \
    X(CODE_INVALID_SSL, 140, "InvalidSSLConfiguration", "InvalidSSLConfiguration")                           \
    X(CODE_STEPPED_DOWN, 189, "PrimarySteppedDown", "PrimarySteppedDown")                                    \
    X(CODE_NOT_IMPLEMENTED, 238, "NotImplemented", "NotImplemented")                                         \
    X(CODE_EXCEEDED_TIME_LIMIT, 262, "ExceededTimeLimit", "ExceededTimeLimit")                               \
    X(CODE_CONFIG_NOT_COMMITTED, 308, "CurrentConfigNotCommittedYet", "CurrentConfigNotCommittedYet")        \
    X(CODE_NOT_PRIMARY, 10107, "NotWritablePrimary", "NotMaster")                                            \
    X(CODE_DUPLICATE_KEY, 11000, "DuplicateKey", "DuplicateKey")                                             \
    X(CODE_INTERRUPTED_BY_STATE, 11602, "InterruptedDueToReplStateChange",                                   \
      "InterruptedDueToReplStateChange")                                                                     \
    X(CODE_NOT_PRIMARY_NO_SECONDARY_OK, 13435, "NotPrimaryNoSecondaryOk", "NotMasterNoSlaveOk")              \
    X(CODE_NOT_PRIMARY_OR_SECONDARY, 13436, "NotPrimaryOrSecondary", "NotMasterOrSecondary")

enum sim_code {
#define X(name, number, text, old_text) name = number,
    SIM_CODES(X)
#undef X
};

/* The name of a server error code in the given major version; "UnknownError" for others. */
const char *code_name(int code, int major_version);

/* Fills `err` with the server's error code as detail and the message; returns -1. */
int fail(struct error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Shorthands for BSON. They abort when memory ends, like libbson itself. */
void put_timestamp(bson_t *b, const char *key, struct optime t);
void put_optime(bson_t *b, const char *key, struct optime t);
void put_host_optime_date(bson_t *b, const char *key, struct optime t);

/* Reads {ts, t} under `key`; OPTIME_NULL when it is absent or of another type. */
struct optime get_optime(const bson_t *b, const char *key);
/* Reads {ts, t} at the top of `b`. */
struct optime optime_of(const bson_t *b);
int64_t get_int(const bson_t *b, const char *key, int64_t otherwise);
bool get_bool(const bson_t *b, const char *key,
              bool otherwise); /* numbers count as truth like in the server */
const char *get_text(const bson_t *b, const char *key, const char *otherwise);
bool get_oid(const bson_t *b, const char *key, bson_oid_t *out);
/* Points `out` at the embedded document or array under `key`, without copying. False when there is none. */
bool get_document(const bson_t *b, const char *key, bson_t *out);
bool iter_document(const bson_iter_t *it, bson_t *out);
bool iter_is_number(const bson_iter_t *it);

uint32_t crc32_of(const void *data, size_t size);

/* Wall clock in milliseconds since 1970. */
int64_t wall_ms(void);

/* One line to the log. Never fails; main.c decides where the log goes. */
void log_line(const char *component, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints "127.0.0.1:27017" as host and port. Takes [v6]:port too; port is 27017 where none is given. */
int host_split(const char *text, char *host, size_t host_size, int *port);

/* malloc that aborts: the stand-in has nothing better to do without memory. */
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *text);

#endif
