/* What an agent reads of whoever answers at a member's address: no reply may crash it, and whatever it says,
 * the view of it can be sent: a report that the controller refuses would silence the whole zone. The first
 * byte says the question: s replSetGetStatus, h hello, v buildInfo, anything else replSetGetConfig. */
#include <assert.h>
#include <string.h>

#include "proto/report.h"
#include "zone-agent/mongod_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_report(const struct mongod_view *view, struct arena *arena)
{
    struct error err = {0};
    struct report again;
    struct report_member member = {
        .holding = {.set = "mongo",
                    .ordinal = 1,
                    .disk = {.name = "", .id = "", .replica_set_id = "", .size_bytes = -1, .used_bytes = -1},
                    .address = "",
                    .pod = {.name = "", .node = "", .image_id = "", .last_exit = ""},
                    .problem = {.code = "", .message = ""},
                    .last_repair = ""},
        .mongod = *view,
        .waiting = {.code = "", .message = ""}};
    struct report report = {.zone = "z",
                            .run_id = "r",
                            .version = "1",
                            .driver = "local",
                            .zone_problem = {.code = "", .message = ""},
                            .members = &member,
                            .member_count = 1};
    struct buffer text;
    buffer_init(&text, 0);
    assert(report_print(&report, &text, &err) == 0);
    assert(report_read(text.data, text.length, "z", arena, &again, &err) == 0);
    assert(again.members[0].mongod.answer == view->answer);
    buffer_finish(&text);
}

static void ask(int question, const bson_t *reply, struct arena *arena, struct mongod_view *view)
{
    struct error err = {0};
    struct mongod_commitment commitment;
    int64_t version, term;
    if (question == 's') {
        mongod_reply_status(reply, arena, view, &version, &term);
        assert(version >= 0 && term >= -1);
        assert(view->answer != MONGOD_SILENT || *view->problem);
    } else if (question == 'h') {
        mongod_reply_hello(reply, view);
    } else if (question == 'v') {
        view->version = mongod_reply_version(reply, arena);
        view->process = mongod_reply_process(reply, arena);
    } else if (mongod_reply_config(reply, arena, &view->config, &commitment, &err)) {
        assert(err.code != ERROR_NONE && *err.message);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct mongod_view view = mongod_view_empty();
    bson_t reply;
    if (size < 1 || !bson_init_static(&reply, data + 1, size - 1))
        return 0;
    arena_init(&arena, 16 << 20);
    ask(data[0], &reply, &arena, &view);
    assert(!arena_failed(&arena));
    check_report(&view, &arena);
    arena_finish(&arena);
    return 0;
}
