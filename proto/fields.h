/* The tables of fields of what controller and agents tell each other. proto/ uses this, and the journal,
 * which records what was told. */
#ifndef ATOLL_PROTO_FIELDS_H
#define ATOLL_PROTO_FIELDS_H

#include "proto/record.h"

extern const struct record replica_config_record, intent_record, report_record, heartbeat_record,
    mongod_view_record, member_holding_record, problem_record;
extern const struct enum_text member_state_texts[], mongod_answer_texts[], disk_state_texts[],
    member_run_texts[];

#endif
