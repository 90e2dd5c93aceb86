/* The zone's rows, one by one: from a settled member, what each difference leads to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/base/file.h"
#include "zone-agent/decide/reconcile.h"

#define OUR_SET "5f0000000000000000000001"
#define OTHER_SET "5f0000000000000000000002"

static struct intent_member wanted_up(void)
{
    return (struct intent_member){
        .set = "mongo",
        .ordinal = 1,
        .run = RUN_UP,
        .node = "mongo-node1",
        .controller = "mongo-rc1",
        .service = "mongo-svc-a",
        .volume = "mongo-persistent-storage1",
        .disk = "mongodb-disk1",
        .image = "mongo:7.0",
        .port = 27017,
        .storage_type = "",
        .disk_id = "d1",
        .replica_set_id = OUR_SET,
    };
}

static struct member_holding held_up(void)
{
    return (struct member_holding){
        .set = "mongo",
        .ordinal = 1,
        .disk = {.name = "mongodb-disk1",
                 .id = "d1",
                 .state = DISK_ATTACHED,
                 .used = true,
                 .replica_set_id = OUR_SET},
        .controller_exists = true,
        .replicas = 1,
        .service_exists = true,
        .address = "127.0.1.1:27017",
        .pod = {.name = "mongo-rc1-x7k2p",
                .node = "n",
                .image_id = "",
                .running = true,
                .ready = true,
                .last_exit = ""},
        .problem = {.code = "", .message = ""},
    };
}

static void no_pod(struct member_holding *held)
{
    held->pod = (struct pod_holding){.name = "", .node = "", .image_id = "", .last_exit = ""};
    held->replicas = 0;
    held->disk.state = DISK_READY;
}

static void fresh(struct intent_member *wanted, struct member_holding *held)
{
    no_pod(held);
    held->controller_exists = false;
    held->disk.used = false;
    held->disk.replica_set_id = "";
    wanted->disk_id = wanted->replica_set_id = "";
}

static int decide(const struct intent_member *wanted, const struct member_holding *held, struct decision *out)
{
    static struct arena arena;
    arena_finish(&arena);
    reconcile(wanted, held, &arena, out);
    assert_non_null(out->waiting.code);
    assert_non_null(out->waiting.message);
    assert_int_equal(out->reached, out->outcome == DECISION_DONE);
    assert_int_equal(out->reached,
                     *out->waiting.code == 0); /* no wait without a reason, no reason without a wait */
    assert_null(strchr(out->waiting.message, '{'));
    assert_null(reconcile_unmet(out->rule, wanted, held));
    return out->rule;
}

struct row {
    const char *name;
    void (*change)(struct intent_member *wanted, struct member_holding *held);
    int rule;
    enum decision_outcome outcome;
    enum step_kind step;
    const char *code;
};

/* clang-format off */
#define CASE(name) static void name(struct intent_member *wanted, struct member_holding *held)
#define UNUSED (void)wanted, (void)held

CASE(settled) { UNUSED; }
CASE(held_with_pod) { UNUSED; wanted->run = RUN_HELD; }
CASE(held_pod_stops) { wanted->run = RUN_HELD; held->replicas = 0; }
CASE(held_settled) { wanted->run = RUN_HELD; no_pod(held); }
CASE(held_without_controller) { wanted->run = RUN_HELD; no_pod(held); held->controller_exists = false; }
CASE(held_before_disk) { wanted->run = RUN_HELD; held->disk.state = DISK_ABSENT; }
CASE(absent_running) { UNUSED; wanted->run = RUN_ABSENT; }
CASE(absent_pod_stops) { wanted->run = RUN_ABSENT; held->replicas = 0; }
CASE(absent_controller) { wanted->run = RUN_ABSENT; no_pod(held); }
CASE(absent_service) { wanted->run = RUN_ABSENT; no_pod(held); held->controller_exists = false; }
CASE(absent_settled) { wanted->run = RUN_ABSENT; no_pod(held); held->controller_exists = held->service_exists = false; }
CASE(disk_failed) { UNUSED; held->disk.state = DISK_FAILED; }
CASE(disk_gone_pod_pending) { UNUSED; held->disk.state = DISK_ABSENT; held->pod.running = false; }
CASE(disk_gone_pod_running) { UNUSED; held->disk.state = DISK_ABSENT; }
CASE(disk_missing) { UNUSED; no_pod(held); held->disk.state = DISK_ABSENT; }
CASE(disk_creating) { UNUSED; no_pod(held); held->disk.state = DISK_CREATING; }
CASE(no_service) { UNUSED; no_pod(held); held->service_exists = false; }
CASE(foreign_pending) { UNUSED; held->disk.replica_set_id = OTHER_SET; held->pod.running = false; }
CASE(foreign_running) { UNUSED; held->disk.replica_set_id = OTHER_SET; }
CASE(foreign_stopped) { UNUSED; no_pod(held); held->disk.replica_set_id = OTHER_SET; }
CASE(lost_pending) { UNUSED; held->disk.id = "d2"; held->pod.running = false; }
CASE(lost_running) { UNUSED; held->disk.id = "d2"; }
CASE(lost_stopped) { UNUSED; no_pod(held); held->disk.id = "d2"; }
CASE(lost_fresh) { UNUSED; no_pod(held); held->disk.id = "d2"; held->disk.used = false; held->disk.replica_set_id = ""; }
CASE(unnamed_stopped) { no_pod(held); wanted->disk_id = ""; }
CASE(unnamed_running) { UNUSED; wanted->disk_id = ""; }
CASE(adopted) { fresh(wanted, held); held->disk.adopted = true; }
CASE(adopted_named) { fresh(wanted, held); held->disk.adopted = true; wanted->disk_id = "d1"; }
CASE(mark_known) { UNUSED; held->disk.replica_set_id = ""; }
CASE(mark_fresh) { fresh(wanted, held); wanted->replica_set_id = OUR_SET; }
CASE(mark_not_on_unnamed) { wanted->disk_id = ""; held->disk.replica_set_id = ""; }
CASE(no_address) { UNUSED; no_pod(held); held->address = ""; }
CASE(first_start) { fresh(wanted, held); }
CASE(old_pod) { UNUSED; held->replicas = 0; held->pod.terminating = true; }
CASE(start_again) { UNUSED; no_pod(held); }
CASE(no_pod_yet) { UNUSED; no_pod(held); held->replicas = 1; }
CASE(terminating) { UNUSED; held->pod.terminating = true; }
CASE(not_running) { UNUSED; held->pod.running = false; held->pod.ready = false; }
CASE(foreign_object) { UNUSED; held->foreign = true; held->problem.message = "theirs"; held->service_exists = false; }
CASE(foreign_object_held) { wanted->run = RUN_HELD; held->foreign = true; }
CASE(stale_disk) { UNUSED; held->disk_stale = true; }
CASE(stale_disk_unseen) { UNUSED; held->disk.state = DISK_ABSENT; held->disk_stale = true; }
CASE(small_disk) { UNUSED; held->disk_small = true; }
CASE(small_disk_start) { UNUSED; no_pod(held); held->disk_small = true; }
CASE(small_disk_held) { wanted->run = RUN_HELD; no_pod(held); held->disk_small = true; }
CASE(stale_secrets) { UNUSED; held->secrets_stale = true; }
CASE(stale_secrets_start) { UNUSED; no_pod(held); held->secrets_stale = true; }
CASE(stale_secrets_pending) { UNUSED; held->pod.running = held->pod.ready = false; held->secrets_stale = true; }
CASE(stale_secrets_leaving) { wanted->run = RUN_ABSENT; no_pod(held); held->secrets_stale = true; }
CASE(stale_service) { UNUSED; held->service_stale = true; }
CASE(stale_controller) { UNUSED; held->controller_stale = true; }
CASE(not_ready) { UNUSED; held->pod.ready = false; }

static const struct row rows[] = {
    {"settled", settled, 199, DECISION_DONE, 0, ""},
    {"held: the pod goes", held_with_pod, 120, DECISION_STEP, STEP_SCALE_TO_ZERO, "stopping"},
    {"held: it is still there", held_pod_stops, 121, DECISION_WAIT, 0, "pod_stopping"},
    {"held", held_settled, 198, DECISION_DONE, 0, ""},
    {"held before it ever ran", held_without_controller, 181, DECISION_STEP, STEP_CREATE_CONTROLLER, "creating_controller"},
    {"held comes before a missing disk", held_before_disk, 120, DECISION_STEP, STEP_SCALE_TO_ZERO, "stopping"},
    {"absent: the pod goes first", absent_running, 110, DECISION_STEP, STEP_SCALE_TO_ZERO, "stopping"},
    {"absent: it is still there", absent_pod_stops, 111, DECISION_WAIT, 0, "pod_stopping"},
    {"absent: the controller goes", absent_controller, 112, DECISION_STEP, STEP_DELETE_CONTROLLER, "removing"},
    {"absent: the Service goes", absent_service, 113, DECISION_STEP, STEP_DELETE_SERVICE, "removing"},
    {"absent: the disk stays", absent_settled, 114, DECISION_DONE, 0, ""},
    {"a failed disk", disk_failed, 130, DECISION_WAIT, 0, "disk_failed"},
    {"no pod on whatever comes under the disk's name", disk_gone_pod_pending, 131, DECISION_STEP, STEP_SCALE_TO_ZERO, "stopping"},
    {"no second disk under a running pod", disk_gone_pod_running, 132, DECISION_WAIT, 0, "disk_gone"},
    {"the disk before everything", disk_missing, 133, DECISION_STEP, STEP_CREATE_DISK, "creating_disk"},
    {"the disk is being made", disk_creating, 134, DECISION_WAIT, 0, "disk_creating"},
    {"the Service before the pod", no_service, 140, DECISION_STEP, STEP_CREATE_SERVICE, "creating_service"},
    {"another set's disk, pod pending", foreign_pending, 150, DECISION_STEP, STEP_SCALE_TO_ZERO, "stopping"},
    {"another set's disk, pod running", foreign_running, 151, DECISION_WAIT, 0, "disk_of_another_set"},
    {"another set's disk", foreign_stopped, 151, DECISION_WAIT, 0, "disk_of_another_set"},
    {"a lost disk, pod pending", lost_pending, 160, DECISION_STEP, STEP_SCALE_TO_ZERO, "stopping"},
    {"a lost disk, pod running", lost_running, 161, DECISION_WAIT, 0, "disk_lost"},
    {"a lost disk", lost_stopped, 161, DECISION_WAIT, 0, "disk_lost"},
    {"a lost disk is not marked", lost_fresh, 161, DECISION_WAIT, 0, "disk_lost"},
    {"a used disk that is not named", unnamed_stopped, 162, DECISION_WAIT, 0, "disk_unnamed"},
    {"a running pod is left alone though its disk is not named", unnamed_running, 199, DECISION_DONE, 0, ""},
    {"an adopted disk that is not named", adopted, 163, DECISION_WAIT, 0, "disk_adopted"},
    {"an adopted disk that is named", adopted_named, 181, DECISION_STEP, STEP_CREATE_CONTROLLER, "creating_controller"},
    {"a known disk is marked, while it runs", mark_known, 170, DECISION_STEP, STEP_MARK_DISK, "marking_disk"},
    {"a fresh disk is marked before its start", mark_fresh, 171, DECISION_STEP, STEP_MARK_DISK, "marking_disk"},
    {"a used disk that is not named is not marked", mark_not_on_unnamed, 199, DECISION_DONE, 0, ""},
    {"the address before the pod", no_address, 180, DECISION_WAIT, 0, "address"},
    {"the first start", first_start, 181, DECISION_STEP, STEP_CREATE_CONTROLLER, "creating_controller"},
    {"the old pod before the next", old_pod, 182, DECISION_WAIT, 0, "pod_stopping"},
    {"start again", start_again, 183, DECISION_STEP, STEP_SCALE_TO_ONE, "starting"},
    {"no pod yet", no_pod_yet, 190, DECISION_WAIT, 0, "pod_starting"},
    {"terminating", terminating, 191, DECISION_WAIT, 0, "pod_stopping"},
    {"not running", not_running, 192, DECISION_WAIT, 0, "pod_starting"},
    {"nothing is made beside somebody else's object", foreign_object, 125, DECISION_WAIT, 0, "foreign_object"},
    {"a hold comes before somebody else's object", foreign_object_held, 120, DECISION_STEP, STEP_SCALE_TO_ZERO, "stopping"},
    {"the disk's objects were changed", stale_disk, 135, DECISION_STEP, STEP_UPDATE_DISK, "updating_disk"},
    {"the disk's objects are looked for before it is taken for gone", stale_disk_unseen, 135, DECISION_STEP, STEP_UPDATE_DISK, "updating_disk"},
    {"the Service was changed", stale_service, 141, DECISION_STEP, STEP_UPDATE_SERVICE, "updating_service"},
    {"the controller was changed", stale_controller, 184, DECISION_STEP, STEP_UPDATE_CONTROLLER, "updating_controller"},
    {"a larger disk is wanted", small_disk, 187, DECISION_STEP, STEP_GROW_DISK, "growing_disk"},
    {"what can't grow keeps nobody from starting", small_disk_start, 183, DECISION_STEP, STEP_SCALE_TO_ONE, "starting"},
    {"a held member's disk grows, too", small_disk_held, 187, DECISION_STEP, STEP_GROW_DISK, "growing_disk"},
    {"a Secret is gone", stale_secrets, 186, DECISION_STEP, STEP_UPDATE_SECRETS, "updating_secrets"},
    {"the Secrets before the pod that reads them", stale_secrets_start, 186, DECISION_STEP, STEP_UPDATE_SECRETS, "updating_secrets"},
    {"the Secrets for the pod that waits for them", stale_secrets_pending, 186, DECISION_STEP, STEP_UPDATE_SECRETS, "updating_secrets"},
    {"who leaves needs no Secrets", stale_secrets_leaving, 112, DECISION_STEP, STEP_DELETE_CONTROLLER, "removing"},
    {"not ready", not_ready, 193, DECISION_WAIT, 0, "pod_not_ready"},
};

/* clang-format on */

static void each_difference_leads_to_its_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct intent_member wanted = wanted_up();
        struct member_holding held = held_up();
        struct decision decision;
        rows[i].change(&wanted, &held);
        if (decide(&wanted, &held, &decision) != rows[i].rule)
            fail_msg("%s: rule %d, not %d (unmet: %s)", rows[i].name, decision.rule, rows[i].rule,
                     reconcile_unmet(rows[i].rule, &wanted, &held));
        assert_int_equal(decision.outcome, rows[i].outcome);
        assert_string_equal(decision.waiting.code, rows[i].code);
        if (decision.outcome == DECISION_STEP)
            assert_int_equal(decision.step, rows[i].step);
    }
}

static void nothing_leaves_by_being_forgotten(void **state)
{
    (void)state;
    struct member_holding held = held_up();
    struct decision decision;
    assert_int_equal(decide(NULL, &held, &decision), 100);
    assert_int_equal(decision.outcome, DECISION_DONE);
    assert_int_equal(decide(NULL, NULL, &decision), 100);
}

static void from_nothing_the_disk_is_first(void **state)
{
    (void)state;
    struct intent_member wanted = wanted_up();
    struct decision decision;
    assert_int_equal(decide(&wanted, NULL, &decision), 133);
    wanted.run = RUN_ABSENT;
    assert_int_equal(decide(&wanted, NULL, &decision), 114);
}

/* Every combination of what matters: a pod is only ever started where it may be. */
static void no_combination_starts_a_pod_on_a_wrong_disk(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 1u << 16; bits++) {
        struct intent_member wanted = wanted_up();
        struct member_holding held = held_up();
        struct decision decision;
        wanted.run = (bits & 3) % 3;
        wanted.disk_id = bits & 4 ? "d1" : bits & 8 ? "d9" : "";
        wanted.replica_set_id = bits & 16 ? OUR_SET : "";
        held.disk.state = (bits >> 5) % 5;
        held.disk.used = bits & 256;
        held.disk.adopted = bits & 512;
        held.disk.replica_set_id = bits & 1024 ? OUR_SET : bits & 2048 ? OTHER_SET : "";
        held.controller_exists = bits & 4096;
        held.replicas = bits & 8192 ? 1 : 0;
        if (bits & 16384)
            held.pod.name = "", held.pod.running = held.pod.ready = false;
        held.address = bits & 32768 ? "" : held.address;
        decide(&wanted, &held, &decision);
        bool starts = decision.outcome == DECISION_STEP &&
                      ((decision.step == STEP_CREATE_CONTROLLER && wanted.run == RUN_UP) ||
                       decision.step == STEP_SCALE_TO_ONE);
        if (!starts)
            continue;
        assert_int_equal(wanted.run, RUN_UP);
        assert_true(held.disk.state == DISK_READY || held.disk.state == DISK_ATTACHED);
        assert_true(*held.address);
        if (*wanted.disk_id)
            assert_string_equal(wanted.disk_id, held.disk.id);
        else
            assert_true(!held.disk.adopted || (held.controller_exists && held.replicas));
        if (!*wanted.disk_id && !(held.controller_exists && held.replicas))
            assert_false(held.disk.used);
        if (*wanted.replica_set_id && *held.disk.replica_set_id)
            assert_string_equal(wanted.replica_set_id, held.disk.replica_set_id);
    }
}

static void why_not_names_the_first_unmet_fact(void **state)
{
    (void)state;
    struct intent_member wanted = wanted_up();
    struct member_holding held = held_up();
    assert_string_equal(reconcile_unmet(133, &wanted, &held), "the disk does not exist");
    assert_string_equal(reconcile_unmet(162, &wanted, &held), "the intent does not name the disk's id");
    assert_string_equal(reconcile_unmet(199, NULL, &held), "the member is meant to run");
    assert_null(reconcile_unmet(199, &wanted, &held));
    assert_null(reconcile_unmet(7, &wanted, &held));
}

static void sentences_name_things(void **state)
{
    (void)state;
    struct intent_member wanted = wanted_up();
    struct member_holding held = held_up();
    struct decision decision;
    no_pod(&held);
    held.disk.id = "d2";
    decide(&wanted, &held, &decision);
    assert_string_equal(decision.waiting.message, "disk mongodb-disk1 is d2, not d1 as known: its data is "
                                                  "gone; mongo-node1 is held until its vote is taken "
                                                  "away and the new disk is named");
    char *long_name = malloc(4096);
    memset(long_name, 'x', 4095);
    long_name[4095] = 0;
    wanted.disk = long_name;
    decide(&wanted, &held, &decision);
    assert_true(strlen(decision.waiting.message) < ERROR_MESSAGE_MAX);
    free(long_name);
}

/* The table as people read it. After a change on purpose: ATOLL_GOLDEN=write. */
static void the_table_is_as_it_was_reviewed(void **state)
{
    static const char path[] = ATOLL_SOURCE_DIR "/tests/tables/agent-rules.txt";
    struct buffer now, golden;
    struct error err;
    (void)state;
    buffer_init(&now, 0);
    buffer_init(&golden, 0);
    assert_int_equal(reconcile_rules_dump(&now, &err), 0);
    if (getenv("ATOLL_GOLDEN"))
        assert_int_equal(file_replace(path, now.data, now.length, 0644, &err), 0);
    assert_int_equal(file_read(path, 1 << 20, &golden, &err), 0);
    if (strcmp(buffer_text(&now), buffer_text(&golden)))
        fail_msg("%s differs from rules.def; read the difference, then run this test with ATOLL_GOLDEN=write",
                 path);
    buffer_finish(&now);
    buffer_finish(&golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_difference_leads_to_its_row),
        cmocka_unit_test(nothing_leaves_by_being_forgotten),
        cmocka_unit_test(from_nothing_the_disk_is_first),
        cmocka_unit_test(no_combination_starts_a_pod_on_a_wrong_disk),
        cmocka_unit_test(why_not_names_the_first_unmet_fact),
        cmocka_unit_test(sentences_name_things),
        cmocka_unit_test(the_table_is_as_it_was_reviewed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
