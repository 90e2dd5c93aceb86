/* From one applied spec to the next: nothing leaves by being forgotten, and what never changes is refused
 * with what to write. */
#include "spec_fixture.h"

#include <string.h>

#define HEAD "apiVersion: atoll/v1\nkind: Federation\nmetadata: {name: prod}\nspec:\n"
#define ZONES "  zones: [{name: a, driver: local}, {name: b, driver: local}, {name: c, driver: local}]\n"
#define SET "  sets:\n    - name: mongo\n      image: mongo:7.0\n      storage: {size: 200Gi}\n"
#define MEMBERS "      members: [{zone: a}, {zone: b}, {zone: c}]\n"

static const struct {
    const char *name, *before, *after, *said;
} rows[] = {
    {"the same", HEAD ZONES SET MEMBERS, HEAD ZONES SET MEMBERS, ""},
    {"a larger disk, another image, one more member", HEAD ZONES SET MEMBERS,
     HEAD ZONES "  sets:\n    - name: mongo\n      image: mongo:8.0\n      storage: {size: 300Gi}\n"
                "      members: [{zone: a}, {zone: b}, {zone: c}, {zone: a, votes: 0}]\n",
     ""},
    {"a forgotten set", HEAD ZONES SET MEMBERS, HEAD ZONES "  sets: []\n",
     "spec.yaml:6:9: error: set mongo is missing, and nothing leaves by being forgotten; to take it out "
     "write {name: mongo, "
     "state: absent}\n"},
    {"a forgotten list of sets", HEAD ZONES SET MEMBERS, HEAD ZONES,
     "spec.yaml:5:3: error: set mongo is missing, and nothing leaves by being forgotten; to take it out "
     "write {name: mongo, "
     "state: absent}\n"},
    {"a set that is taken out", HEAD ZONES SET MEMBERS, HEAD ZONES "  sets: [{name: mongo, state: absent}]\n",
     ""},
    {"a set that was taken out is forgotten", HEAD ZONES "  sets: [{name: mongo, state: absent}]\n",
     HEAD ZONES, ""},
    {"a forgotten member", HEAD ZONES SET MEMBERS, HEAD ZONES SET "      members: [{zone: a}, {zone: b}]\n",
     "spec.yaml:10:16: error: member 3 of set mongo (zone c) is missing, and nothing leaves by being "
     "forgotten; to take it out "
     "write {ordinal: 3, zone: c, state: absent} (and \"ordinal\" on the others)\n"},
    {"a member that is taken out", HEAD ZONES SET MEMBERS,
     HEAD ZONES SET "      members: [{zone: a}, {zone: b}, {zone: c, state: absent}]\n", ""},
    {"a member that was taken out is forgotten",
     HEAD ZONES SET "      members: [{zone: a}, {zone: b}, {zone: c, state: absent}]\n",
     HEAD ZONES SET "      members: [{zone: a}, {zone: b}]\n", ""},
    {"the first of three is deleted from the list, so that all ordinals shift", HEAD ZONES SET MEMBERS,
     HEAD ZONES SET "      members: [{zone: b}, {zone: c}]\n",
     "spec.yaml:10:24: error: member 1 of set mongo is in zone a, and an ordinal never changes its zone; "
     "write {ordinal: 1, "
     "zone: a, state: absent} and a new member {ordinal: 4, zone: b}\n"
     "spec.yaml:10:35: error: member 2 of set mongo is in zone b, and an ordinal never changes its zone; "
     "write {ordinal: 2, "
     "zone: b, state: absent} and a new member {ordinal: 4, zone: c}\n"
     "spec.yaml:10:16: error: member 3 of set mongo (zone c) is missing, and nothing leaves by being "
     "forgotten; to take it out "
     "write {ordinal: 3, zone: c, state: absent} (and \"ordinal\" on the others)\n"},
    {"a smaller disk", HEAD ZONES SET MEMBERS,
     HEAD ZONES "  sets:\n    - name: mongo\n      image: mongo:7.0\n      storage: {size: 100Gi}\n" MEMBERS,
     "spec.yaml:9:23: error: storage of set mongo can't shrink from 200Gi to 100Gi; disks only grow\n"},
    {"a smaller disk by leaving it away", HEAD ZONES SET MEMBERS,
     HEAD ZONES "  sets:\n    - name: mongo\n      image: mongo:7.0\n" MEMBERS,
     "spec.yaml:7:7: error: storage of set mongo can't shrink from 200Gi to 10Gi; disks only grow\n"},
    {"another type of disk", HEAD ZONES SET MEMBERS,
     HEAD ZONES "  sets:\n    - name: mongo\n      image: mongo:7.0\n      storage: {size: 200Gi, type: "
                "pd-standard}\n" MEMBERS,
     "spec.yaml:9:36: error: storage of set mongo is of type pd-ssd, and a disk's type never changes; write "
     "\"type: pd-ssd\"\n"},
    {"an arbiter is made of a member", HEAD ZONES SET MEMBERS,
     HEAD ZONES SET "      members: [{zone: a}, {zone: b}, {zone: c, arbiterOnly: true}]\n",
     "spec.yaml:10:62: error: arbiterOnly of a member never changes in MongoDB; take member 3 out with "
     "\"state: absent\" and add "
     "one with ordinal 4\n"},
    {"another disk", HEAD ZONES SET MEMBERS,
     HEAD ZONES SET "      members: [{zone: a, disk: x}, {zone: b}, {zone: c}]\n",
     "spec.yaml:10:33: error: member 1 of set mongo has its data on disk mongodb-disk1; a member's disk "
     "never changes\n"},
    {"the disk's own name written out", HEAD ZONES SET MEMBERS,
     HEAD ZONES SET "      members: [{zone: a, disk: mongodb-disk1}, {zone: b}, {zone: c}]\n", ""},
    {"another federation", HEAD ZONES SET MEMBERS,
     "apiVersion: atoll/v1\nkind: Federation\nmetadata: {name: test}\nspec:\n" ZONES SET MEMBERS,
     "spec.yaml:3:18: error: this controller keeps the federation \"prod\"; a federation's name never "
     "changes\n"},
    {"another driver under members", HEAD ZONES SET MEMBERS,
     HEAD "  zones: [{name: a}, {name: b, driver: local}, {name: c, driver: local}]\n" SET MEMBERS,
     "spec.yaml:5:11: error: driver of zone a can't change from \"local\" to \"kubernetes\" while the zone "
     "has members; take "
     "them out first\n"},
    {"a zone without members changes", HEAD "  zones: [{name: a}]\n",
     HEAD "  zones: [{name: a, driver: local}]\n", ""},
    {"a zone without members leaves", HEAD "  zones: [{name: a}, {name: b}]\n", HEAD "  zones: [{name: a}]\n",
     ""},
    {"a member that was away comes back elsewhere",
     HEAD ZONES SET "      members: [{zone: a}, {zone: b}, {zone: c, state: absent}]\n",
     HEAD ZONES SET "      members: [{zone: a}, {zone: b}, {zone: a}]\n",
     "spec.yaml:10:46: error: member 3 of set mongo is in zone c, and an ordinal never changes its zone; "
     "write {ordinal: 3, "
     "zone: c, state: absent} and a new member {ordinal: 4, zone: a}\n"},
};

static void check_row(size_t i)
{
    struct reading before, after;
    static struct spec_problems problems;
    static const struct spec_problems none;
    struct buffer said;
    reading_init_good(&before, rows[i].before);
    reading_init_good(&after, rows[i].after);
    assert_int_equal(before.result, 0);
    assert_int_equal(after.result, 0);
    problems = none;
    buffer_init(&said, 0);
    int result = spec_check_change(&before.spec, &after.spec, &after.arena, &problems);
    for (size_t j = 0; j < problems.count; j++) {
        spec_problem_print(&problems.items[j], &said);
        buffer_append_text(&said, "\n");
    }
    if (strcmp(buffer_text(&said), rows[i].said) != 0)
        fail_msg("%s: expected\n%sand it says\n%s", rows[i].name, rows[i].said, buffer_text(&said));
    assert_int_equal(result, *rows[i].said ? -1 : 0);
    buffer_finish(&said);
    reading_finish(&before);
    reading_finish(&after);
}

static void what_leaves_is_named_and_what_never_changes_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_row(i);
}

static void the_first_spec_has_nothing_before_it(void **state)
{
    struct reading after;
    (void)state;
    reading_init_good(&after, HEAD ZONES SET MEMBERS);
    assert_int_equal(spec_check_change(NULL, &after.spec, &after.arena, &after.problems), 0);
    reading_finish(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_leaves_is_named_and_what_never_changes_is_refused),
        cmocka_unit_test(the_first_spec_has_nothing_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
