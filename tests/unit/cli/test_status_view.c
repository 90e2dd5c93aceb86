/* The status as people read it: golden tables, health, progress, conditions, explain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/cli/explain.h"
#include "controller/cli/status_view.h"
#include "controller/cli/text.h"
#include "controller/cli/waiting.h"
#include "proto/base/file.h"

enum { LINES_MAX = 24, COLUMNS_MAX = 100 };

static struct json *read_case(const char *name)
{
    struct buffer text;
    char path[512];
    snprintf(path, sizeof path, "%s/tests/unit/cli/cases/%s", ATOLL_SOURCE_DIR, name);
    buffer_init(&text, 0);
    assert_int_equal(file_read(path, 1 << 20, &text, NULL), 0);
    struct json *json = json_parse(buffer_text(&text), text.length, 1 << 20, NULL);
    assert_non_null(json);
    buffer_finish(&text);
    return json;
}

static void healthy_three_zones_fit_a_small_terminal(void **state)
{
    static const char shown[] =
        "Federation prod  revision 118  zones 3/3  sets 1/1  members 3/3\n"
        "\n"
        "ZONE            STATE      DRIVER      MEMBERS  LAST REPORT  AGENT\n"
        "us-east1-b      Connected  kubernetes        1  0s ago       0.1.0\n"
        "us-central1-f   Connected  kubernetes        1  1s ago       0.1.0\n"
        "europe-west1-d  Connected  kubernetes        1  2s ago       0.1.0\n"
        "\n"
        "Set mongo  Healthy  primary mongo-node1  config 3  term 1\n"
        "MEMBER       STATE      PHASE   HOST             ZONE            LAG  REASON\n"
        "mongo-node1  PRIMARY    Voting  104.1.2.3:27017  us-east1-b       0s\n"
        "mongo-node2  SECONDARY  Voting  104.1.4.5:27017  us-central1-f    0s\n"
        "mongo-node3  SECONDARY  Voting  104.1.6.7:27017  europe-west1-d   1s\n";
    struct json *document = read_case("healthy.json");
    struct buffer out;
    (void)state;
    buffer_init(&out, 0);
    status_view(document, &(struct view){0}, &out);
    assert_string_equal(buffer_text(&out), shown);
    size_t lines = 0;
    for (const char *at = buffer_text(&out); *at; lines++) {
        size_t length = strcspn(at, "\n");
        char line[512];
        snprintf(line, sizeof line, "%.*s", (int)length, at);
        assert_true(text_width(line) <= COLUMNS_MAX);
        at += length + 1;
    }
    assert_true(lines <= LINES_MAX);
    assert_true(status_is_healthy(document));
    buffer_finish(&out);
    json_destroy(document);
}

static void trust_is_spoken_of_where_something_is_wrong(void **state)
{
    static const char text[] =
        "{\"generatedAt\":\"2026-11-23T08:00:00.000Z\",\"controller\":{\"tls\":true,"
        "\"certificateExpiresAt\":\"2027-01-20T08:00:00.000Z\",\"caExpiresAt\":\"2027-01-22T08:00:00.000Z\"},"
        "\"zones\":[{\"name\":\"a\",\"certificateExpiresAt\":\"2026-11-22T08:00:00.000Z\"},"
        "{\"name\":\"b\",\"certificateExpiresAt\":\"2026-12-09T08:00:00.000Z\"}],"
        "\"sets\":[{\"members\":[{\"name\":\"mongo-node1\",\"certificateExpiresAt\":\"2026-12-02T08:00:00."
        "000Z\"}]}]}";
    static const char said[] =
        "\nthe certificate of the CA ends in 60d: exchange it (atoll ca rotate, three times)\n"
        "the certificate of the agent of zone a has ended: it should have renewed it; its log says why not\n"
        "the certificate of mongo-node1 ends in 9d: it should have another; `atoll explain SET` says what is "
        "in the way\n";
    struct json *document = json_parse(text, strlen(text), sizeof text, NULL),
                *off = json_parse("{\"controller\":{\"tls\":false}}", 28, 100, NULL);
    struct buffer out;
    (void)state;
    buffer_init(&out, 0);
    status_view_trust(document, &(struct view){0}, &out);
    assert_string_equal(buffer_text(&out), said);
    buffer_clear(&out);
    status_view_trust(off, &(struct view){0}, &out);
    assert_non_null(strstr(buffer_text(&out), "tls: off"));
    buffer_finish(&out);
    json_destroy(document);
    json_destroy(off);
}

static void what_is_not_finished_shows_where_it_goes_and_why(void **state)
{
    static const char shown[] =
        "Federation prod  revision 120  zones 2/3  sets 0/1  members 2/3\n"
        "\n"
        "ZONE            STATE      DRIVER      MEMBERS  LAST REPORT  AGENT\n"
        "us-east1-b      Connected  kubernetes        1  0s ago       0.1.0\n"
        "us-central1-f   Connected  kubernetes        1  1s ago       0.1.0\n"
        "europe-west1-d  Pending    -                 1  never        -\n"
        "\n"
        "Set mongo  Joining  primary mongo-node1  config 3  term 1\n"
        "MEMBER       STATE     PHASE                   HOST             ZONE             LAG  REASON\n"
        "mongo-node1  PRIMARY   Voting                  104.1.2.3:27017  us-east1-b        0s\n"
        "mongo-node2  STARTUP2  Joined → Synced         104.1.4.5:27017  us-central1-f   3m5s  initial sync\n"
        "mongo-node3  UNKNOWN   Pending → Provisioning  -                europe-west1-d     -  evil\\x1b[2J "
        "text\n"
        "  waits: the agent of zone europe-west1-d has never been heard of (for 30s, at most 9m30s more, "
        "ended by zone "
        "europe-west1-d, rule 12)\n";
    struct json *document = read_case("joining.json");
    struct buffer out;
    (void)state;
    buffer_init(&out, 0);
    status_view(document, &(struct view){0}, &out);
    assert_string_equal(buffer_text(&out), shown);
    assert_false(status_is_healthy(document));
    buffer_clear(&out);
    status_progress(document, NULL, &out);
    assert_string_equal(buffer_text(&out), "zone europe-west1-d: Pending");
    buffer_clear(&out);
    status_progress(document, "mongo", &out);
    assert_string_equal(buffer_text(&out),
                        "set mongo: Joining: the agent of zone europe-west1-d has never been heard of");
    buffer_finish(&out);
    json_destroy(document);
}

static void no_line_is_wider_than_the_terminal(void **state)
{
    struct json *document = read_case("joining.json");
    (void)state;
    for (size_t width = 50; width <= 120; width += 7) {
        struct buffer out;
        buffer_init(&out, 0);
        status_view(document, &(struct view){.width = width}, &out);
        for (const char *at = buffer_text(&out); *at;) {
            size_t length = strcspn(at, "\n");
            char line[512];
            snprintf(line, sizeof line, "%.*s", (int)length, at);
            assert_true(text_width(line) <= width);
            at += length + 1;
        }
        assert_non_null(strstr(buffer_text(&out), "rule 12)")); /* who ends the wait is never cut off */
        if (width >= 78) /* nor is why a member is as it is: at 80 columns it read "No word f…" */
            assert_null(strstr(buffer_text(&out), "…"));
        buffer_finish(&out);
    }
    json_destroy(document);
}

static void conditions_hold_for_what_they_say_alone(void **state)
{
    struct json *healthy = read_case("healthy.json"), *joining = read_case("joining.json");
    static const struct {
        struct condition condition;
        bool when_healthy, when_joining;
    } cases[] = {
        {{0}, true, false},
        {{.set = "mongo"}, true, false},
        {{.set = "other"}, false, false},
        {{.set = "mongo", .primary = true}, true, true},
        {{.set = "mongo", .phase = "Joining"}, false, true},
        {{.revision = 118}, true, false},
        {{.revision = 119}, false, false}, /* healthy, but by an older spec */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(condition_holds(&cases[i].condition, healthy), cases[i].when_healthy);
        assert_int_equal(condition_holds(&cases[i].condition, joining), cases[i].when_joining);
    }
    json_destroy(healthy);
    json_destroy(joining);
}

static void odd_documents_are_shown_as_they_are(void **state)
{
    static const char *const texts[] = {
        "{}", "[]", "{\"sets\":[{}],\"zones\":[{}]}", "{\"sets\":[{\"members\":[{},7,null]}],\"zones\":5}",
        "{\"sets\":[{\"waits\":[{}],\"members\":[{\"lagSeconds\":null,\"waits\":[{\"message\":\"m\"}]}]}]}"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct json *document = json_parse(texts[i], strlen(texts[i]), 1000, NULL);
        struct buffer out;
        buffer_init(&out, 0);
        status_view(document, &(struct view){.wide = true, .width = 80, .colours = true}, &out);
        status_progress(document, NULL, &out);
        assert_true(out.length > 0);
        assert_false(status_is_healthy(document));
        buffer_finish(&out);
        json_destroy(document);
    }
}

static void explain_says_each_wait_and_why_not_each_rule(void **state)
{
    struct json *answer = read_case("explain.json");
    struct buffer out;
    (void)state;
    buffer_init(&out, 0);
    explain_print(answer, time_from_text("2026-11-23T08:00:30.000Z"), 0, &out);
    assert_string_equal(buffer_text(&out),
                        "Set mongo is Joining.\n"
                        "  mongo-node3 copies the data of the others (for 30s, ended by MongoDB, rule 41)\n");
    buffer_clear(&out);
    explain_print(answer, time_from_text("2026-11-23T08:00:30.000Z"), 60, &out);
    assert_string_equal(buffer_text(&out), "Set mongo is Joining.\n"
                                           "  mongo-node3 copies the data of the others (for 30s, ended\n"
                                           "  by MongoDB, rule 41)\n");
    buffer_clear(&out);
    assert_int_equal(explain_why_not(answer, "give-vote", &out), 2);
    assert_string_equal(buffer_text(&out), "rule 42 vote_synced: not met: mongo-node3 is SECONDARY\n"
                                           "rule 43 vote_return: not met: an earlier rule decides\n");
    assert_int_equal(explain_why_not(answer, "fly", &out), 0);
    buffer_finish(&out);
    json_destroy(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(healthy_three_zones_fit_a_small_terminal),
        cmocka_unit_test(trust_is_spoken_of_where_something_is_wrong),
        cmocka_unit_test(what_is_not_finished_shows_where_it_goes_and_why),
        cmocka_unit_test(no_line_is_wider_than_the_terminal),
        cmocka_unit_test(conditions_hold_for_what_they_say_alone),
        cmocka_unit_test(odd_documents_are_shown_as_they_are),
        cmocka_unit_test(explain_says_each_wait_and_why_not_each_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
