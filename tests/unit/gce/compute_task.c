/* Runs tasks of the Compute API client from the command line, for tests against the double of the API and for
 * looking at a real project by hand. Prints a line of JSON for each thing that happens.
 *
 * usage: atoll-compute-task --compute-url URL [--metadata-host HOST:PORT] [--deadline-ms N] [--cancel-ms N]
 * [--adopt] [--label KEY=VALUE]
 *                           [--ordinal N] [--size-gb N] [--type TYPE] [--times N]
 *                           disk-read|disk-ensure|disk-update|address-read|address-ensure PROJECT ZONE
 * NAME...
 *
 * All NAMEs are started at once; --times N runs them one after another N times with one client. Exit code 0
 * when all ended well. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/json.h"
#include "zone-agent/gce/compute.h"

struct program {
    uv_loop_t loop;
    struct http_client *http;
    struct compute *compute;
    uv_timer_t cancel;
    struct compute_task task;
    struct key_value labels[COMPUTE_LABELS_MAX];
    char **names;
    int name_count, under_way, times, failures;
    long cancel_ms;
    uint64_t first_id;
};

static void start_all(struct program *program);

static void print(struct json *json)
{
    struct buffer text;
    struct error err;
    buffer_init(&text, 0);
    if (json_print(json, JSON_COMPACT, &text, &err) == 0)
        puts(buffer_text(&text));
    fflush(stdout);
    buffer_finish(&text);
    json_destroy(json);
}

static void set_problem(struct json *json, const struct compute_problem *problem)
{
    json_set_string(json, "code", problem->code);
    json_set_string(json, "message", problem->message);
    json_set_bool(json, "lasting", problem->lasting);
    json_set_int(json, "status", problem->status);
}

static void on_retrying(void *context, uint64_t id, const struct compute_problem *problem)
{
    struct json *json = json_object();
    (void)context;
    json_set_string(json, "event", "retrying");
    json_set_int(json, "id", (int64_t)id);
    set_problem(json, problem);
    print(json);
}

static void set_disk(struct json *json, const struct compute_disk *disk)
{
    struct json *object = json_set(json, "disk", json_object()),
                *labels = json_set(object, "labels", json_object());
    json_set_string(object, "name", disk->name);
    json_set_string(object, "id", disk->id);
    json_set_string(object, "type", disk->type);
    json_set_string(object, "status", disk->status);
    json_set_string(object, "handle", disk->handle);
    json_set_int(object, "sizeBytes", disk->size_bytes);
    for (size_t i = 0; i < disk->label_count; i++)
        json_set_string(labels, disk->labels[i].key, disk->labels[i].value);
}

static void stop(struct program *program)
{
    uv_close((uv_handle_t *)&program->cancel, NULL);
    compute_destroy(program->compute);
    http_client_destroy(program->http);
}

static void on_done(void *context, uint64_t id, const struct compute_result *result)
{
    struct program *program = context;
    struct json *json = json_object();
    json_set_string(json, "event", "done");
    json_set_int(json, "id", (int64_t)id);
    json_set_bool(json, "created", result->created);
    json_set_bool(json, "adopted", result->adopted);
    if (result->disk)
        set_disk(json, result->disk);
    if (result->address)
        json_set_string(json, "address", result->address->address);
    if (result->problem)
        set_problem(json, result->problem);
    print(json);
    program->failures += result->problem != NULL;
    if (--program->under_way > 0)
        return;
    if (--program->times > 0)
        start_all(program);
    else
        stop(program);
}

static void start_all(struct program *program)
{
    struct error err;
    int started = 0;
    for (int i = 0; i < program->name_count; i++) {
        program->task.name = program->names[i];
        uint64_t id = compute_start(program->compute, &program->task, &err);
        if (id == 0) {
            fprintf(stderr, "%s\n", err.message);
            program->failures++;
        } else {
            program->first_id = program->first_id ? program->first_id : id;
            started++;
        }
    }
    program->under_way = started;
    if (started == 0)
        stop(program);
}

static void on_cancel(uv_timer_t *timer)
{
    struct program *program = timer->data;
    compute_cancel(program->compute, program->first_id);
}

static int kind_of(const char *name)
{
    static const char *const kinds[] = {"disk-read", "disk-ensure", "disk-update", "address-read",
                                        "address-ensure"};
    for (int i = 0; i < 5; i++)
        if (strcmp(kinds[i], name) == 0)
            return i;
    return -1;
}

static int add_label(struct program *program, char *text)
{
    char *equals = strchr(text, '=');
    if (!equals || program->task.label_count == COMPUTE_LABELS_MAX)
        return -1;
    *equals = '\0';
    program->labels[program->task.label_count++] = (struct key_value){text, equals + 1};
    return 0;
}

static const struct option known[] = {{"compute-url", required_argument, NULL, 'u'},
                                      {"metadata-host", required_argument, NULL, 'm'},
                                      {"deadline-ms", required_argument, NULL, 'd'},
                                      {"adopt", no_argument, NULL, 'a'},
                                      {"label", required_argument, NULL, 'l'},
                                      {"ordinal", required_argument, NULL, 'o'},
                                      {"size-gb", required_argument, NULL, 's'},
                                      {"type", required_argument, NULL, 't'},
                                      {"times", required_argument, NULL, 'n'},
                                      {"cancel-ms", required_argument, NULL, 'c'},
                                      {0}};

static int read_options(struct program *program, struct compute_options *options, int argc, char **argv)
{
    struct compute_task *task = &program->task;
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'u':
            options->url = optarg;
            break;
        case 'm':
            options->metadata_host = optarg;
            break;
        case 'd':
            task->deadline_ms = atoll(optarg);
            break;
        case 'a':
            task->adopt = true;
            break;
        case 'o':
            task->owner.ordinal = atoi(optarg);
            break;
        case 's':
            task->size_bytes = atoll(optarg) << 30;
            break;
        case 't':
            task->type = optarg;
            break;
        case 'n':
            program->times = atoi(optarg);
            break;
        case 'c':
            program->cancel_ms = atol(optarg);
            break;
        case 'l':
            if (add_label(program, optarg) == 0)
                break;
            return -1;
        default:
            return -1;
        }
    }
    if (argc - optind < 4 || kind_of(argv[optind]) < 0)
        return -1;
    task->kind = (enum compute_task_kind)kind_of(argv[optind]);
    task->project = argv[optind + 1];
    task->zone = argv[optind + 2];
    program->names = argv + optind + 3;
    program->name_count = argc - optind - 3;
    return 0;
}

int main(int argc, char **argv)
{
    static struct program program = {.task = {.type = "pd-ssd", .owner = {"prod", "mongo", 1}}, .times = 1};
    struct error err;
    struct compute_options options = {
        .loop = &program.loop, .clock = &clock_system, .random = &random_system};
    program.task.size_bytes = (int64_t)10 << 30;
    program.task.labels = program.labels;
    program.task.done = on_done;
    program.task.retrying = on_retrying;
    program.task.context = &program;
    if (read_options(&program, &options, argc, argv)) {
        fputs("usage: see tests/unit/gce/compute_task.c\n", stderr);
        return 2;
    }
    uv_loop_init(&program.loop);
    uv_timer_init(&program.loop, &program.cancel);
    program.cancel.data = &program;
    options.http = program.http = http_client_create(&program.loop, "atoll-compute-task", &err);
    if (!program.http || !(program.compute = compute_create(&options, &err))) {
        fprintf(stderr, "%s\n", err.message);
        return 2;
    }
    start_all(&program);
    if (program.cancel_ms)
        uv_timer_start(&program.cancel, on_cancel, (uint64_t)program.cancel_ms, 0);
    uv_run(&program.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&program.loop) == 0 && program.failures == 0 ? 0 : 1;
}
