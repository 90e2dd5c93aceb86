/* The commands: who serves which, and what each checks first. */
#ifndef SIM_COMMANDS_H
#define SIM_COMMANDS_H

#include "server.h"

/* Serves the request; the answer may come now or later, and frees the request. */
void commands_run(struct request *request);

/* hello.c */
void hello_command(struct request *request);
void hello_fields(const struct sim *sim, bson_t *out,
                  bool is_hello); /* the replica set's part, for serverStatus too */
/* status.c */
void get_status_command(struct request *request);
void get_config_command(struct request *request);
/* info.c */
void ping_command(struct request *request);
void build_info_command(struct request *request);
void server_status_command(struct request *request);
void whatsmyuri_command(struct request *request);
void is_self_command(struct request *request);
void get_parameter_command(struct request *request);
void get_cmd_line_command(struct request *request);
void get_log_command(struct request *request);
void rotate_certificates_command(struct request *request);
void end_sessions_command(struct request *request);
void shutdown_command(struct request *request);
/* query.c */
void find_command(struct request *request);
void count_command(struct request *request);
void aggregate_command(struct request *request);
void list_databases_command(struct request *request);
void list_collections_command(struct request *request);
void kill_cursors_command(struct request *request);
/* write.c */
void insert_command(struct request *request);
void update_command(struct request *request);
void delete_command(struct request *request);
void create_command(struct request *request);
void drop_command(struct request *request);
void drop_database_command(struct request *request);

#endif
