/* Objects of a cluster as a watch brings them, written by anybody who may write there: no object may crash
 * their trimming or the view of the zone, and that view can be sent: a report that the controller refuses
 * would silence the whole zone. The input is a line an object; its first byte is the kind's number. A member
 * is wanted, so that templates are compared too. */
#include <assert.h>
#include <string.h>

#include "proto/intent.h"
#include "proto/report.h"
#include "zone-agent/kubernetes/holdings.h"

enum { OBJECTS_MAX = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct object_zone zone = {
    .federation = "prod", .zone = "z", .project = "p", .namespace_ = "default"};

static const char intent_text[] =
    "{\"type\":\"INTENT\",\"zone\":\"z\",\"epoch\":1,\"revision\":1,\"federation\":\"prod\",\"members\":[{"
    "\"set\":\"mongo\",\"ordinal\":1,\"run\":\"up\","
    "\"node\":\"mongo-node1\",\"controller\":\"mongo-rc1\",\"service\":\"mongo-svc-a\",\"volume\":\"mongo-"
    "persistent-storage1\","
    "\"disk\":\"mongodb-disk1\",\"image\":\"mongo:7.0\",\"port\":27017,\"storageBytes\":1073741824}]}";

static void check_report(const struct holdings *holdings, struct arena *arena)
{
    struct error err = {0};
    struct report report = {.zone = "z",
                            .run_id = "r",
                            .version = "1",
                            .driver = "kubernetes",
                            .zone_problem = holdings->zone_problem,
                            .egress = holdings->egress,
                            .egress_count = holdings->egress_count};
    struct report again;
    struct buffer text;
    struct report_member *members = arena_array(arena, holdings->member_count, sizeof *members);
    for (size_t i = 0; i < holdings->member_count; i++)
        members[i] =
            (struct report_member){.holding = holdings->members[i],
                                   .mongod = {.problem = "",
                                              .version = "",
                                              .self_id = -1,
                                              .primary_id = -1,
                                              .term = -1,
                                              .age_ms = -1,
                                              .optime = {.term = -1},
                                              .config = {.set = "", .term = -1, .replica_set_id = ""}},
                                   .waiting = {.code = "", .message = ""}};
    report.members = members;
    report.member_count = holdings->member_count;
    buffer_init(&text, 0);
    assert(report_print(&report, &text, &err) == 0);
    assert(report_read(text.data, text.length, "z", arena, &again, &err) == 0);
    buffer_finish(&text);
}

static void look(struct holdings_input *input, struct arena *arena)
{
    struct holdings holdings;
    struct local_route route;
    const char *const *ranges;
    holdings_build(input, arena, &holdings);
    assert(holdings.member_count <= HOLDINGS_MEMBERS_MAX && holdings.egress_count <= RANGES_MAX);
    check_report(&holdings, arena);
    holdings_route(input, "mongo", 1, true, arena, &route);
    holdings_route(input, "mongo", 1, false, arena, &route);
    assert(holdings_own_ranges(input, arena, &ranges) <= RANGES_MAX / 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct error err = {0};
    struct observed objects[OBJECTS_MAX];
    struct intent_event event;
    struct holdings_input input = {.zone = &zone, .objects = objects, .intent = &event.intent};
    const char *at = (const char *)data, *end = at + size;
    arena_init(&arena, 0);
    assert(intent_read(intent_text, strlen(intent_text), &arena, &event, &err) == 0);
    while (at < end && input.object_count < OBJECTS_MAX) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        line_end = line_end ? line_end : end;
        struct json *whole =
            json_parse(at + 1, at + 1 < line_end ? (size_t)(line_end - at - 1) : 0, 1 << 20, &err);
        enum object_kind kind = (enum object_kind)((unsigned char)*at % OBJECT_KIND_COUNT);
        if (whole)
            objects[input.object_count++] = (struct observed){kind, holdings_trim(kind, whole)};
        json_destroy(whole);
        at = line_end + 1;
    }
    look(&input, &arena);
    input.intent = NULL;
    look(&input, &arena);
    for (size_t i = 0; i < input.object_count; i++)
        json_destroy((struct json *)(uintptr_t)objects[i].object);
    arena_finish(&arena);
    return 0;
}
