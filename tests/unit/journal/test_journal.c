/* The journal, on an incident that was recorded (tests/replay): what is written reads back as the same,
 * bounds hold, and what is no journal is refused with its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/journal/journal.h"
#include "controller/journal/replay.h"
#include "proto/base/file.h"

static const struct journal_head head = {"test", "mongo", "0.1.0", 1};

/* The recorded journal as text, as it is opened, and the first entry decided anew. */
struct fixture {
    struct buffer text;
    struct replay replay;
    struct arena arena;
    struct entry_input entry;
    struct plan_input input;
    struct plan plan;
};

static void decide_first(struct fixture *it)
{
    struct error err = {0};
    struct entry_stamp stamp;
    assert_int_equal(
        entry_read(json_first(it->replay.entries), "mongo", &it->arena, &stamp, &it->entry, &err), 0);
    it->input = (struct plan_input){.spec = &it->replay.specs[0].spec,
                                    .set = it->replay.specs[0].set,
                                    .observation = &it->entry.observation,
                                    .ledger = &it->entry.ledger,
                                    .previous = it->entry.has_previous ? &it->entry.previous : NULL,
                                    .now_ms = it->entry.now_ms};
    assert_int_equal(plan_set(&it->input, &it->arena, &it->plan, &err), 0);
}

static int setup(void **state)
{
    struct fixture *it = calloc(1, sizeof *it);
    struct error err = {0};
    buffer_init(&it->text, 0);
    arena_init(&it->arena, 0);
    if (file_read(ATOLL_REPLAY_DIR "/lost-disk.json", JOURNAL_DOCUMENT_BYTES_MAX, &it->text, &err) ||
        replay_open(it->text.data, it->text.length, &it->replay, &err))
        fail_msg("%s", err.message);
    decide_first(it);
    *state = it;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *it = *state;
    replay_close(&it->replay);
    arena_finish(&it->arena);
    buffer_finish(&it->text);
    free(it);
    return 0;
}

static char *printed(struct json *json)
{
    struct buffer text;
    buffer_init(&text, 0);
    assert_int_equal(json_print(json, JSON_COMPACT, &text, NULL), 0);
    return text.data;
}

/* ---- what is written reads back ---- */

static void every_entry_is_written_as_it_was_read(void **state)
{
    struct fixture *it = *state;
    size_t place = 0;
    for (const struct json *entry = json_first(it->replay.entries); entry;
         entry = json_next(entry), place++) {
        struct error err = {0};
        struct entry_stamp stamp;
        struct entry_input read;
        struct replay_result result;
        assert_int_equal(replay_entry(&it->replay, entry, place, &it->arena, &result, &err), 0);
        assert_int_equal(result.difference_count, 0);
        assert_int_equal(entry_read(entry, "mongo", &it->arena, &stamp, &read, &err), 0);
        const struct plan_input input = {.spec = it->input.spec,
                                         .set = it->input.set,
                                         .observation = &read.observation,
                                         .ledger = &read.ledger,
                                         .previous = read.has_previous ? &read.previous : NULL,
                                         .now_ms = read.now_ms};
        struct json *again = entry_write(&stamp, &input, &result.plan), *before = json_copy(entry);
        char *now = printed(again), *then = printed(before);
        assert_string_equal(now, then);
        free(now), free(then);
        json_destroy(again);
        json_destroy(before);
    }
    assert_true(place > 2);
}

static void a_journal_that_was_written_replays_the_same(void **state)
{
    struct fixture *it = *state;
    struct journal journal;
    struct replay replay;
    struct replay_result result;
    struct error err = {0};
    struct buffer out;
    buffer_init(&out, 0);
    journal_init(&journal);
    assert_int_equal(journal_record(&journal, &it->input, 3, &it->plan, JOURNAL_BYTES_MAX, &err), 0);
    assert_int_equal(journal_write(&journal, &head, &out, &err), 0);
    assert_int_equal(replay_open(out.data, out.length, &replay, &err), 0);
    assert_int_equal(replay.entry_count, 1);
    assert_int_equal(replay_entry(&replay, json_first(replay.entries), 0, &it->arena, &result, &err), 0);
    assert_int_equal(result.difference_count, 0);
    assert_int_equal(result.stamp.revision, 3);
    replay_close(&replay);
    buffer_finish(&out);
    journal_finish(&journal);
}

/* ---- bounds ---- */

static void no_more_than_so_many_entries_are_kept(void **state)
{
    struct fixture *it = *state;
    struct journal journal;
    struct error err = {0};
    journal_init(&journal);
    for (int i = 0; i < JOURNAL_ENTRIES_MAX + 10; i++)
        assert_int_equal(journal_record(&journal, &it->input, 1, &it->plan, 64 << 20, &err), 0);
    assert_int_equal(journal.count, JOURNAL_ENTRIES_MAX);
    assert_int_equal(journal.dropped, 10);
    assert_int_equal(journal.recorded, JOURNAL_ENTRIES_MAX + 10);
    journal_finish(&journal);
}

static void the_oldest_go_when_it_grows_too_large_and_their_spec_with_them(void **state)
{
    struct fixture *it = *state;
    struct journal journal;
    struct error err = {0};
    journal_init(&journal);
    assert_int_equal(journal_record(&journal, &it->input, 1, &it->plan, JOURNAL_BYTES_MAX, &err), 0);
    size_t most = journal.bytes * 3;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(journal_record(&journal, &it->input, 2, &it->plan, most, &err), 0);
        assert_true(journal.bytes <= most);
    }
    assert_true(journal.count >= 2 && journal.count < 5);
    assert_non_null(journal.specs);
    assert_null(journal.specs->next);
    assert_int_equal(journal.specs->revision, 2);
    journal_finish(&journal);
    assert_int_equal(journal.bytes, 0);
    assert_null(journal.specs);
}

static void an_entry_that_is_too_large_is_dropped_and_counted(void **state)
{
    struct fixture *it = *state;
    struct journal journal;
    struct error err = {0};
    journal_init(&journal);
    assert_int_equal(journal_record(&journal, &it->input, 1, &it->plan, 1000, &err), -1);
    assert_non_null(strstr(err.message, "JOURNAL_BYTES_MAX"));
    assert_int_equal(journal.count, 0);
    assert_int_equal(journal.dropped, 1);
    assert_int_equal(journal.bytes, 0);
    journal_finish(&journal);
}

/* ---- what is news ---- */

static void lag_and_sentences_are_no_news_but_rows_and_hosts_are(void **state)
{
    struct fixture *it = *state;
    struct plan *other = arena_alloc(&it->arena, sizeof *other);
    *other = it->plan;
    struct member_plan *members = arena_array(&it->arena, other->member_count, sizeof *members);
    memcpy(members, other->members, other->member_count * sizeof *members);
    other->members = members;
    members[1].lag_seconds += 5;
    members[1].sentence = "other words";
    other->sentence = "other words";
    assert_true(decision_same(&it->plan, other));
    members[1].host = "127.0.9.9:27017";
    assert_false(decision_same(&it->plan, other));
    members[1].host = it->plan.members[1].host;
    members[2].run = members[2].run == RUN_UP ? RUN_HELD : RUN_UP;
    assert_false(decision_same(&it->plan, other));
    members[2].run = it->plan.members[2].run;
    other->rule++;
    assert_false(decision_same(&it->plan, other));
}

/* ---- what is refused ---- */

static void refused(struct fixture *it, const char *text, const char *says)
{
    struct replay replay;
    struct replay_result result;
    struct error err = {0};
    int failed = replay_open(text, strlen(text), &replay, &err);
    if (!failed) {
        failed = replay_entry(&replay, json_first(replay.entries), 0, &it->arena, &result, &err);
        replay_close(&replay);
    }
    assert_int_equal(failed, -1);
    if (!strstr(err.message, says))
        fail_msg("said \"%s\", not \"%s\"", err.message, says);
}

/* The recorded journal with the first `from` replaced. */
static void refused_with(struct fixture *it, const char *from, const char *to, const char *says)
{
    const char *text = buffer_text(&it->text), *at = strstr(text, from);
    struct buffer changed;
    assert_non_null(at);
    buffer_init(&changed, 0);
    buffer_append(&changed, text, (size_t)(at - text));
    buffer_append_text(&changed, to);
    buffer_append_text(&changed, at + strlen(from));
    refused(it, buffer_text(&changed), says);
    buffer_finish(&changed);
}

static void what_is_no_journal_is_refused_with_its_place(void **state)
{
    struct fixture *it = *state;
    refused(it, "", "JSON");
    refused(it, "[]", "is no journal");
    refused(it, "{\"kind\":\"Federation\",\"apiVersion\":\"atoll/v1\"}", "is no journal");
    refused_with(it, "atoll/v1", "atoll/v2", "newer controller");
    refused_with(it, "\"name\": \"mongo\"", "\"name\": \"other\"", "has no set mongo");
    refused_with(it, "\"revision\":1", "\"revision\":7", "no spec 7");
    refused_with(it, "\"nowMs\":", "\"nowMs\":\"x\",\"b\":", "nowMs");
    refused_with(it, "\"observation\":{\"members\":[{\"ordinal\":1",
                 "\"observation\":{\"members\":[{\"ordinal\":9", "observation.members");
    refused_with(it, "\"zoneState\":\"Connected\"", "\"zoneState\":\"Happy\"", "zoneState: must be one of");
    refused_with(it, "\"type\":\"Primary\"", "\"type\":\"Quorum\"", "Quorum is there twice");
    refused_with(it, "\"birth\":\"done\"", "\"birth\":\"maybe\"", "ledger");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_entry_is_written_as_it_was_read, setup, teardown),
        cmocka_unit_test_setup_teardown(a_journal_that_was_written_replays_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(no_more_than_so_many_entries_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(the_oldest_go_when_it_grows_too_large_and_their_spec_with_them, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_entry_that_is_too_large_is_dropped_and_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(lag_and_sentences_are_no_news_but_rows_and_hosts_are, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_no_journal_is_refused_with_its_place, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
