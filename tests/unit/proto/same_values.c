/* Comparison of the shared structs, field by field; see values.h. */
#include "values.h"

#define SAME_NUMBER(field) assert_int_equal(a->field, b->field)
#define SAME_REAL(field) assert_true(a->field == b->field)
#define SAME_TEXT(field) assert_string_equal(a->field, b->field)

static void assert_optime_same(const struct optime *a, const struct optime *b)
{
    SAME_NUMBER(term);
    SAME_NUMBER(seconds);
    SAME_NUMBER(increment);
}

static void assert_map_same(const struct key_value *a, size_t count, const struct key_value *b,
                            size_t other_count)
{
    assert_int_equal(count, other_count);
    for (size_t i = 0; i < count; i++, a++, b++) {
        SAME_TEXT(key);
        SAME_TEXT(value);
    }
}

static void assert_config_member_same(const struct config_member *a, const struct config_member *b)
{
    SAME_NUMBER(id);
    SAME_TEXT(host);
    SAME_NUMBER(votes);
    SAME_REAL(priority);
    SAME_NUMBER(hidden);
    SAME_NUMBER(arbiter_only);
    SAME_NUMBER(newly_added);
    SAME_NUMBER(secondary_delay_secs);
    assert_map_same(a->tags, a->tag_count, b->tags, b->tag_count);
}

static void assert_setting_same(const struct setting *a, const struct setting *b)
{
    SAME_TEXT(name);
    SAME_REAL(value);
    SAME_NUMBER(is_bool);
}

void assert_config_same(const struct replica_config *a, const struct replica_config *b)
{
    SAME_TEXT(set);
    SAME_NUMBER(version);
    SAME_NUMBER(term);
    SAME_TEXT(replica_set_id);
    SAME_NUMBER(member_count);
    for (size_t i = 0; i < a->member_count; i++)
        assert_config_member_same(&a->members[i], &b->members[i]);
    SAME_NUMBER(setting_count);
    for (size_t i = 0; i < a->setting_count; i++)
        assert_setting_same(&a->settings[i], &b->settings[i]);
}

static void assert_peer_same(const struct peer_view *a, const struct peer_view *b)
{
    SAME_NUMBER(id);
    SAME_TEXT(host);
    SAME_NUMBER(state);
    SAME_NUMBER(healthy);
    assert_optime_same(&a->optime, &b->optime);
    SAME_NUMBER(config_version);
    SAME_NUMBER(config_term);
}

static void assert_mongod_same(const struct mongod_view *a, const struct mongod_view *b)
{
    SAME_NUMBER(answer);
    SAME_TEXT(problem);
    SAME_NUMBER(age_ms);
    SAME_TEXT(version);
    SAME_TEXT(certificate_id);
    SAME_NUMBER(certificate_foreign);
    SAME_NUMBER(state);
    SAME_NUMBER(self_id);
    SAME_NUMBER(term);
    SAME_NUMBER(primary_id);
    assert_optime_same(&a->optime, &b->optime);
    assert_config_same(&a->config, &b->config);
    SAME_NUMBER(config_committed);
    SAME_NUMBER(knows_commitment);
    SAME_NUMBER(peer_count);
    for (size_t i = 0; i < a->peer_count; i++)
        assert_peer_same(&a->peers[i], &b->peers[i]);
}

static void assert_problem_same(const struct problem *a, const struct problem *b)
{
    SAME_TEXT(code);
    SAME_TEXT(message);
    SAME_NUMBER(rule);
}

static void assert_disk_same(const struct disk_holding *a, const struct disk_holding *b)
{
    SAME_TEXT(name);
    SAME_TEXT(id);
    SAME_NUMBER(state);
    SAME_NUMBER(adopted);
    SAME_NUMBER(used);
    SAME_TEXT(replica_set_id);
    SAME_NUMBER(size_bytes);
    SAME_NUMBER(used_bytes);
}

static void assert_pod_same(const struct pod_holding *a, const struct pod_holding *b)
{
    SAME_TEXT(name);
    SAME_TEXT(node);
    SAME_TEXT(image_id);
    SAME_NUMBER(running);
    SAME_NUMBER(ready);
    SAME_NUMBER(terminating);
    SAME_NUMBER(restarts);
    SAME_TEXT(last_exit);
    SAME_TEXT(key_id);
}

static void assert_holding_same(const struct member_holding *a, const struct member_holding *b)
{
    SAME_TEXT(set);
    SAME_NUMBER(ordinal);
    assert_disk_same(&a->disk, &b->disk);
    SAME_NUMBER(controller_exists);
    SAME_NUMBER(replicas);
    SAME_NUMBER(service_exists);
    SAME_TEXT(address);
    assert_pod_same(&a->pod, &b->pod);
    assert_problem_same(&a->problem, &b->problem);
    SAME_NUMBER(repairs);
    SAME_TEXT(last_repair);
}

void assert_report_same(const struct report *a, const struct report *b)
{
    SAME_TEXT(zone);
    SAME_TEXT(run_id);
    SAME_TEXT(version);
    SAME_NUMBER(sequence);
    SAME_NUMBER(epoch);
    SAME_NUMBER(revision);
    SAME_NUMBER(reached);
    SAME_TEXT(driver);
    assert_problem_same(&a->zone_problem, &b->zone_problem);
    SAME_NUMBER(egress_count);
    for (size_t i = 0; i < a->egress_count; i++)
        SAME_TEXT(egress[i]);
    SAME_NUMBER(member_count);
    for (size_t i = 0; i < a->member_count; i++) {
        assert_holding_same(&a->members[i].holding, &b->members[i].holding);
        assert_mongod_same(&a->members[i].mongod, &b->members[i].mongod);
        assert_problem_same(&a->members[i].waiting, &b->members[i].waiting);
        assert_string_equal(a->members[i].key_id, b->members[i].key_id);
        assert_string_equal(a->members[i].keyfile, b->members[i].keyfile);
        assert_string_equal(a->members[i].certificate_request, b->members[i].certificate_request);
        assert_string_equal(a->members[i].certificate, b->members[i].certificate);
    }
}

static void assert_intent_member_same(const struct intent_member *a, const struct intent_member *b)
{
    SAME_TEXT(set);
    SAME_NUMBER(ordinal);
    SAME_NUMBER(run);
    SAME_TEXT(node);
    SAME_TEXT(controller);
    SAME_TEXT(service);
    SAME_TEXT(volume);
    SAME_TEXT(disk);
    SAME_TEXT(image);
    SAME_NUMBER(port);
    SAME_NUMBER(storage_bytes);
    SAME_TEXT(storage_type);
    SAME_NUMBER(arbiter);
    SAME_TEXT(disk_id);
    SAME_TEXT(replica_set_id);
    assert_map_same(a->labels, a->label_count, b->labels, b->label_count);
    SAME_NUMBER(mongod_argument_count);
    for (size_t i = 0; i < a->mongod_argument_count; i++)
        SAME_TEXT(mongod_arguments[i]);
    SAME_TEXT(cpu);
    SAME_TEXT(memory);
    SAME_NUMBER(source_range_count);
    for (size_t i = 0; i < a->source_range_count; i++)
        SAME_TEXT(source_ranges[i]);
    SAME_NUMBER(source_ranges_partial);
    SAME_NUMBER(auth);
    SAME_TEXT(keyfile);
    SAME_TEXT(key_id);
    SAME_NUMBER(tls);
    SAME_TEXT(certificate);
    SAME_TEXT(certificate_id);
}

void assert_intent_same(const struct intent *a, const struct intent *b)
{
    SAME_NUMBER(epoch);
    SAME_NUMBER(revision);
    SAME_TEXT(federation);
    SAME_TEXT(zone);
    SAME_TEXT(project);
    SAME_TEXT(namespace_);
    SAME_TEXT(ca);
    SAME_NUMBER(member_count);
    for (size_t i = 0; i < a->member_count; i++)
        assert_intent_member_same(&a->members[i], &b->members[i]);
}

void assert_heartbeat_same(const struct heartbeat *a, const struct heartbeat *b)
{
    SAME_TEXT(run_id);
    SAME_NUMBER(sequence);
    SAME_NUMBER(epoch);
    SAME_NUMBER(revision);
    SAME_NUMBER(member_count);
    for (size_t i = 0; i < a->member_count; i++) {
        const struct pulse_member *one = &a->members[i], *other = &b->members[i];
        assert_string_equal(one->set, other->set);
        assert_int_equal(one->ordinal, other->ordinal);
        assert_int_equal(one->age_ms, other->age_ms);
        assert_optime_same(&one->optime, &other->optime);
        assert_int_equal(one->used_bytes, other->used_bytes);
    }
}
