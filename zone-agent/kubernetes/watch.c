/* List, then watch, for ever: see watch.h. A watch is in one of three states: an HTTP call is under way that
 * lists, one that watches, or the timer waits for the next. It goes on from `resource_version` when there is
 * one, else it lists. */
#include "zone-agent/kubernetes/watch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zone-agent/kubernetes/answer.h"
#include "zone-agent/kubernetes/client_internal.h"
#include "zone-agent/kubernetes/stream.h"
#include "zone-agent/kubernetes/watch_url.h"

enum {
    WATCH_LIST_TIMEOUT_MS = 60000, /* of one page */
    WATCH_LIST_SILENCE_MS = 20000,
    WATCH_BRIEF_MS = 1000, /* a watch that ends sooner without a word has failed, though politely */
    WATCH_RESUMES_MAX = 5, /* failures in a row after which the last version is no longer trusted */
    WATCH_CREDENTIALS_WAIT_MS = 100,
    WATCH_WORD_MAX = 8192, /* of a resourceVersion or continue token; they are opaque */
    WATCH_REFUSAL_BYTES_MAX = 64 * 1024,
};

struct kube_watch {
    struct kube_client *client; /* not used after the stop */
    struct kube_watch_options options;
    char *path, *label_selector, *field_selector;
    char *resource_version; /* NULL: list */
    char *continue_token;   /* NULL: the list's first page */
    char *listed_version;   /* of the list that is being read: its first page says it */
    uv_timer_t timer;
    struct http_call *http;
    struct kube_stream stream;
    uint64_t version;  /* of the credentials in use */
    unsigned failures; /* in a row, without a good watch between them; a list alone is no success */
    int64_t opened_ms; /* the watch; 0: not open */
    bool listing;      /* what the HTTP call under way does */
    bool heard;        /* the open watch has said something */
    bool fresh;        /* the last connection may be dead */
    bool gone;         /* an ERROR event said 410 */
    bool problem_said;
    struct error error; /* why we ended the call ourselves */
    bool stopped;
    int held; /* by the timer's handle, by the HTTP call */
};

static void on_due(uv_timer_t *timer);

/* Small things */

static void let_go(struct kube_watch *watch)
{
    if (--watch->held > 0)
        return;
    kube_stream_finish(&watch->stream);
    char *texts[] = {watch->path,           watch->label_selector,
                     watch->field_selector, watch->resource_version,
                     watch->continue_token, watch->listed_version};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    free(watch);
}

static void forget(char **text)
{
    free(*text);
    *text = NULL;
}

/* Takes an opaque word that the server said. */
static int remember(char **known, const char *text, struct error *err)
{
    if (*known && strcmp(*known, text) == 0)
        return 0;
    if (strlen(text) > WATCH_WORD_MAX)
        return error_set(err, ERROR_TOO_LARGE, "a resourceVersion or continue token of more than %d bytes",
                         WATCH_WORD_MAX);
    char *copy = strdup(text);
    if (!copy)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for a watch");
    free(*known);
    *known = copy;
    return 0;
}

static int64_t now(const struct kube_watch *watch)
{
    return clock_monotonic_ms(watch->client->clock);
}

static void tell_problem(struct kube_watch *watch, const struct error *err)
{
    if (watch->problem_said == (err != NULL))
        return;
    watch->problem_said = err != NULL;
    if (watch->options.on_problem)
        watch->options.on_problem(watch->options.context, err);
}

/* Whether the watch that just ended has served: it said something, or lived for a while. */
static bool was_good(const struct kube_watch *watch)
{
    return watch->opened_ms && (watch->heard || now(watch) - watch->opened_ms >= WATCH_BRIEF_MS);
}

static void again_in(struct kube_watch *watch, int64_t delay_ms)
{
    uv_timer_start(&watch->timer, on_due, (uint64_t)delay_ms, 0);
}

static void list_anew(struct kube_watch *watch)
{
    forget(&watch->resource_version);
    forget(&watch->continue_token);
    forget(&watch->listed_version);
}

/* Tries again later; nobody is told, as nothing may be wrong. */
static void back_off(struct kube_watch *watch, int64_t retry_after_ms)
{
    int64_t delay_ms = backoff_ms(watch->failures++, KUBE_WATCH_RETRY_FIRST_MS, KUBE_WATCH_RETRY_MOST_MS,
                                  watch->client->random);
    if (watch->resource_version && watch->failures > WATCH_RESUMES_MAX)
        list_anew(watch); /* it may be one that this server, restored from a backup, has never seen */
    if (!watch->resource_version)
        list_anew(watch); /* a list is read from its beginning */
    again_in(watch, retry_after_ms > 0 ? retry_after_ms + delay_ms / 4 : delay_ms);
}

static void fail(struct kube_watch *watch, struct error *err, int64_t retry_after_ms)
{
    error_wrap(err, "%s of %s", watch->listing ? "the list" : "the watch", watch->path);
    back_off(watch, retry_after_ms);
    tell_problem(watch, err);
}

/* What comes while a list or watch is read. Each may stop the watch, so each is the last thing done. */

static int give_object(struct kube_watch *watch, enum kube_event event, const struct json *object)
{
    watch->options.on_object(watch->options.context, event, object);
    return watch->stopped ? -1 : 0;
}

static int take_error_event(struct kube_watch *watch, const struct json *status, struct error *err)
{
    int code = (int)json_get_int(status, "code", 500);
    watch->gone = code == 410;
    return kube_answer_error(code, json_get_text(status, "reason", ""), json_get_text(status, "message", ""),
                             "an ERROR event", err);
}

static int take_event(struct kube_watch *watch, const struct json *json, struct error *err)
{
    static const char *const names[] = {
        [KUBE_ADDED] = "ADDED", [KUBE_MODIFIED] = "MODIFIED", [KUBE_DELETED] = "DELETED"};
    const char *type = json_get_text(json, "type", "");
    const struct json *object = json_get(json, "object");
    if (strcmp(type, "ERROR") == 0)
        return take_error_event(watch, object, err);
    const char *version = json_get_text(json_get(object, "metadata"), "resourceVersion", "");
    if (!*version)
        return error_set(err, ERROR_PROTOCOL, "an event without a resourceVersion");
    if (remember(&watch->resource_version, version, err))
        return -1;
    watch->heard = true;
    for (int event = KUBE_ADDED; event <= KUBE_DELETED; event++)
        if (strcmp(type, names[event]) == 0)
            return give_object(watch, (enum kube_event)event, object);
    if (strcmp(type, "BOOKMARK"))
        return error_set(err, ERROR_PROTOCOL, "an event of the unknown type \"%.40s\"", type);
    return 0;
}

static int on_stream_object(void *context, const char *text, size_t length, struct error *err)
{
    struct kube_watch *watch = context;
    struct json *json = json_parse(text, length, watch->stream.object_bytes_max, err);
    if (!json)
        return error_wrap(err, "an object can't be read");
    int failed = watch->listing ? give_object(watch, KUBE_ADDED, json) : take_event(watch, json, err);
    json_destroy(json);
    return failed;
}

static int on_data(void *context, const char *data, size_t length)
{
    struct kube_watch *watch = context;
    if (watch->stopped)
        return -1;
    return kube_stream_feed(&watch->stream, data, length, &watch->error);
}

static void on_open(void *context)
{
    struct kube_watch *watch = context;
    if (watch->stopped || watch->listing)
        return;
    watch->opened_ms = now(watch);
    tell_problem(watch, NULL);
}

/* The end of a page */

static int read_frame(struct kube_watch *watch, struct error *err)
{
    if (kube_stream_end(&watch->stream, err))
        return -1;
    struct json *frame =
        json_parse(buffer_text(&watch->stream.frame), watch->stream.frame.length, KUBE_STREAM_FRAME_MAX, err);
    const struct json *metadata = json_get(frame, "metadata");
    const char *version = json_get_text(metadata, "resourceVersion", ""),
               *more = json_get_text(metadata, "continue", "");
    int failed = frame ? 0 : -1;
    if (frame && !*version)
        failed = error_set(err, ERROR_PROTOCOL, "a list without a resourceVersion");
    failed = failed || (!watch->listed_version && remember(&watch->listed_version, version, err));
    if (!failed && *more)
        failed = remember(&watch->continue_token, more, err);
    else
        forget(&watch->continue_token);
    json_destroy(frame);
    return failed ? -1 : 0;
}

static void finish_page(struct kube_watch *watch)
{
    struct error err = {.code = ERROR_NONE};
    if (read_frame(watch, &err)) {
        fail(watch, &err, -1);
        return;
    }
    again_in(watch, 0);
    if (watch->continue_token)
        return;
    free(watch->resource_version);
    watch->resource_version = watch->listed_version;
    watch->listed_version = NULL;
    watch->options.on_listed(watch->options.context);
}

/* The end of a watch */

/* A watch that ended by itself, as all do after a time: on from the last version. */
static void finish_watch(struct kube_watch *watch)
{
    struct error err = {.code = ERROR_NONE};
    if (was_good(watch))
        watch->failures = 0;
    if (was_good(watch) && kube_stream_end(&watch->stream, &err) == 0)
        again_in(watch, 0);
    else
        back_off(watch, -1);
}

/* An open watch whose connection breaks is dialled again before anybody is told; one that can't be opened is
 * told. */
static void finish_broken(struct kube_watch *watch, const struct error *broken)
{
    struct error err = *broken;
    bool was_open = watch->opened_ms && (err.code == ERROR_UNREACHABLE || err.code == ERROR_TIMEOUT ||
                                         err.code == ERROR_PROTOCOL);
    watch->fresh = err.code == ERROR_TIMEOUT;
    if (was_good(watch))
        watch->failures = 0;
    if (was_open)
        back_off(watch, -1);
    else
        fail(watch, &err, -1);
}

/* 410: what we know is too old for the server to say what changed since. At once, unless that is what it says
 * each time. */
static void finish_gone(struct kube_watch *watch)
{
    list_anew(watch);
    if (watch->opened_ms && now(watch) - watch->opened_ms >= WATCH_BRIEF_MS)
        watch->failures = 0;
    if (watch->failures > 0)
        back_off(watch, -1);
    else
        again_in(watch, watch->failures++);
}

/* We ended it: for what was in it. */
static void finish_refused(struct kube_watch *watch)
{
    if (watch->gone) {
        finish_gone(watch);
        return;
    }
    struct error err = watch->error;
    if (was_good(watch))
        watch->failures = 0;
    list_anew(watch); /* an event that can't be read must not be passed over */
    fail(watch, &err, -1);
}

static void finish_status(struct kube_watch *watch, const struct http_answer *http)
{
    struct kube_answer answer;
    struct json *body;
    struct error err = {.code = ERROR_NONE};
    if (http->status == 410) {
        finish_gone(watch);
        return;
    }
    if (http->status == 401)
        kube_credentials_refused(watch->client->credentials, watch->version);
    kube_answer_read(http, "GET", &body, &err, &answer);
    int64_t retry_after_ms = kube_answer_retry_after_ms(http, body);
    json_destroy(body);
    fail(watch, &err, retry_after_ms);
}

static void on_done(void *context, const struct http_answer *answer, const struct error *err)
{
    struct kube_watch *watch = context;
    watch->http = NULL;
    if (watch->stopped)
        ;
    else if (watch->error.code != ERROR_NONE)
        finish_refused(watch);
    else if (err)
        finish_broken(watch, err);
    else if (answer->status < 200 || answer->status > 299)
        finish_status(watch, answer);
    else if (watch->listing)
        finish_page(watch);
    else
        finish_watch(watch);
    let_go(watch);
}

/* The start of a list or watch */

static int dial(struct kube_watch *watch, struct error *err)
{
    struct buffer path;
    buffer_init(&path, KUBE_URL_MAX);
    int span_s = KUBE_WATCH_SPAN_S +
                 (int)(watch->client->random->next(watch->client->random->context) % KUBE_WATCH_SPAN_S);
    struct watch_query query = {
        .path = watch->path,
        .label_selector = watch->label_selector,
        .field_selector = watch->field_selector,
        .limit = watch->options.page_objects,
        .continue_token = watch->continue_token,
        .resource_version = watch->resource_version,
        .timeout_s = span_s,
    };
    struct http_call_options options = {
        .method = "GET",
        .timeout_ms = watch->listing ? WATCH_LIST_TIMEOUT_MS : 0,
        .silence_ms = watch->listing ? WATCH_LIST_SILENCE_MS : watch->options.silence_ms,
        .body_limit = WATCH_REFUSAL_BYTES_MAX,
        .fresh_connection = watch->fresh,
        .on_open = on_open,
        .on_data = on_data,
        .done = on_done,
        .context = watch,
    };
    int result = watch_url_write(&query, &path)
                     ? error_set(err, ERROR_TOO_LARGE, "a URL of more than %d bytes", KUBE_URL_MAX)
                     : 0;
    const struct kube_target target = {.path = buffer_text(&path)};
    if (!result)
        result = kube_client_dial(watch->client, &target, &options, &watch->http, &watch->version, err);
    buffer_finish(&path);
    return result;
}

static void begin(struct kube_watch *watch)
{
    kube_stream_finish(&watch->stream);
    kube_stream_init(&watch->stream, watch->listing ? KUBE_STREAM_LIST : KUBE_STREAM_WATCH,
                     watch->options.object_bytes_max, on_stream_object, watch);
    watch->error = (struct error){.code = ERROR_NONE};
    watch->gone = watch->heard = false;
    watch->opened_ms = 0;
}

static void on_due(uv_timer_t *timer)
{
    struct kube_watch *watch = timer->data;
    struct error err = {.code = ERROR_NONE};
    watch->listing = !watch->resource_version;
    begin(watch);
    int result = dial(watch, &err);
    if (result > 0) {
        again_in(watch, WATCH_CREDENTIALS_WAIT_MS);
        return;
    }
    if (result < 0) {
        fail(watch, &err, -1);
        return;
    }
    watch->held++;
    watch->fresh = false;
    if (watch->listing && !watch->continue_token && watch->options.on_list_start)
        watch->options.on_list_start(watch->options.context);
}

static int copy_text(const char *from, char **to)
{
    *to = from ? strdup(from) : NULL;
    return from && !*to ? -1 : 0;
}

struct kube_watch *kube_watch_start(struct kube_client *client, const struct kube_watch_options *options,
                                    struct error *err)
{
    assert(options->path && options->on_object && options->on_listed);
    if (client->closing || client->watches >= KUBE_WATCHES_MAX || *options->path != '/' ||
        strlen(options->path) > KUBE_PATH_MAX) {
        error_set(err, client->closing ? ERROR_CANCELED : ERROR_INVALID,
                  "%.200s can't be watched: at most %d watches of paths of at most %d bytes", options->path,
                  KUBE_WATCHES_MAX, KUBE_PATH_MAX);
        return NULL;
    }
    struct kube_watch *watch = calloc(1, sizeof *watch);
    if (!watch || copy_text(options->path, &watch->path) |
                      copy_text(options->label_selector, &watch->label_selector) |
                      copy_text(options->field_selector, &watch->field_selector)) {
        if (watch) {
            watch->held = 1;
            let_go(watch);
        }
        error_set(err, ERROR_NO_MEMORY, "out of memory for a watch");
        return NULL;
    }
    watch->client = client;
    watch->options = *options;
    watch->options.object_bytes_max =
        options->object_bytes_max ? options->object_bytes_max : KUBE_OBJECT_BYTES_MAX;
    watch->options.page_objects = options->page_objects > 0 ? options->page_objects : KUBE_PAGE_OBJECTS;
    watch->options.silence_ms = options->silence_ms > 0 ? options->silence_ms : KUBE_WATCH_SILENCE_MS;
    client->watches++;
    uv_timer_init(client->loop, &watch->timer);
    watch->timer.data = watch;
    watch->held = 1;
    again_in(watch, 0);
    return watch;
}

static void on_timer_closed(uv_handle_t *handle)
{
    let_go(handle->data);
}

void kube_watch_stop(struct kube_watch *watch)
{
    if (!watch || watch->stopped)
        return;
    watch->stopped = true;
    watch->client->watches--;
    if (watch->http)
        http_call_cancel(watch->http);
    uv_close((uv_handle_t *)&watch->timer, on_timer_closed);
}
