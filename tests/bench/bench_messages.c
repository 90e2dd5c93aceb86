/* How long the controller takes to read what a zone sends, and how large it is: a report and a heartbeat of a
 * zone with one and with two hundred members. A controller of a thousand zones reads five hundred heartbeats
 * a second. */
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/clock.h"
#include "proto/report.h"

enum { MEASURE_MS = 300, SET_SIZE = 3 };

static struct report_member make_member(int ordinal, struct config_member *members, struct peer_view *peers)
{
    for (int i = 0; i < SET_SIZE; i++) {
        members[i] = (struct config_member){.id = i, .host = "203.0.113.17:27017", .votes = 1, .priority = 1};
        peers[i] = (struct peer_view){.id = i,
                                      .host = "203.0.113.17:27017",
                                      .state = MEMBER_SECONDARY,
                                      .healthy = true,
                                      .optime = {3, 1700000000, 1},
                                      .config_version = 4,
                                      .config_term = 3};
    }
    return (struct report_member){
        .holding =
            {.set = "mongo",
             .ordinal = ordinal,
             .disk = {.name = "mongodb-disk1", .id = "1234567890", .state = DISK_ATTACHED, .used = true},
             .controller_exists = true,
             .replicas = 1,
             .service_exists = true,
             .address = "203.0.113.17:27017",
             .pod = {.name = "mongo-rc1-x7k2p", .running = true, .ready = true}},
        .mongod = {
            .answer = MONGOD_MEMBER,
            .version = "7.0.14",
            .state = MEMBER_SECONDARY,
            .term = 3,
            .optime = {3, 1700000000, 1},
            .config = {.set = "mongo", .version = 4, .term = 3, .members = members, .member_count = SET_SIZE},
            .peers = peers,
            .peer_count = SET_SIZE}};
}

static void print_result(const char *what, int members, int64_t runs, int64_t took_ms, size_t bytes)
{
    printf("{\"name\":\"%s\",\"members\":%d,\"microseconds\":%.2f,\"bytes\":%zu}\n", what, members,
           (double)took_ms * 1000 / (double)runs, bytes);
}

/* Runs one of the two readers for a while. */
static void measure(const char *what, int members, struct json *json)
{
    struct buffer text;
    struct error err = {0};
    buffer_init(&text, 0);
    if (!json || json_print(json, JSON_COMPACT, &text, &err) < 0)
        exit(1);
    json_destroy(json);
    int64_t begin = clock_monotonic_ms(&clock_system), now = begin, runs = 0;
    for (; now - begin < MEASURE_MS; runs++, now = clock_monotonic_ms(&clock_system)) {
        struct arena arena;
        struct report report;
        struct heartbeat heartbeat;
        arena_init(&arena, 0);
        int result = what[0] == 'r' ? report_read(text.data, text.length, "z", &arena, &report, &err)
                                    : heartbeat_read(text.data, text.length, &arena, &heartbeat, &err);
        if (result < 0) {
            fprintf(stderr, "%s\n", err.message);
            exit(1);
        }
        arena_finish(&arena);
    }
    print_result(what, members, runs, now - begin, text.length);
    buffer_finish(&text);
}

int main(void)
{
    static const int sizes[] = {1, ZONE_MEMBERS_MAX};
    static struct report_member members[ZONE_MEMBERS_MAX];
    static struct pulse_member pulses[ZONE_MEMBERS_MAX];
    static struct config_member config_members[SET_SIZE];
    static struct peer_view peers[SET_SIZE];
    for (int i = 0; i < ZONE_MEMBERS_MAX; i++) {
        members[i] = make_member(i + 1, config_members, peers);
        pulses[i] = (struct pulse_member){.set = "mongo", .ordinal = i + 1, .optime = {3, 1700000000, 1}};
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct report report = {
            .zone = "z", .run_id = "r", .members = members, .member_count = (size_t)sizes[i]};
        struct heartbeat heartbeat = {.run_id = "r", .members = pulses, .member_count = (size_t)sizes[i]};
        measure("report", sizes[i], report_write(&report, REPORT_WHOLE));
        measure("heartbeat", sizes[i], heartbeat_write(&heartbeat));
    }
    return 0;
}
