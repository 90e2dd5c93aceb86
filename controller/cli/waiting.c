/* Waiting for the federation to come to a condition: see waiting.h. */
#include "controller/cli/waiting.h"

#include <string.h>

#include "controller/cli/console.h"
#include "controller/cli/status_view.h"
#include "proto/base/clock.h"

bool condition_holds(const struct condition *condition, const struct json *document)
{
    if (json_get_int(document, "revision", 0) < condition->revision)
        return false;
    if (!condition->set)
        return status_is_healthy(document) && (!condition->reached || status_is_reached(document));
    const struct json *set = status_find_set(document, condition->set);
    if (condition->phase)
        return set && strcmp(json_get_text(set, "phase", ""), condition->phase) == 0;
    if (condition->primary)
        return set && *json_get_text(set, "primary", "");
    return set && set_is_healthy(set);
}

struct wait_state {
    char etag[160]; /* "If-None-Match: …" of the last answer */
    bool answered, known;
    struct error last; /* why the last question failed */
    struct progress progress;
    struct buffer text; /* what is waited for */
};

/* Whether a question that failed is asked again. */
static bool is_passing(const struct condition *condition, const struct wait_state *state)
{
    enum error_code code = state->last.code;
    return state->answered || (condition->patient && (code == ERROR_UNREACHABLE || code == ERROR_TIMEOUT));
}

/* One look. 1: it holds; 0: not yet; -1: it never will. */
static int look(struct remote *remote, const struct condition *condition, struct wait_state *state,
                int64_t elapsed_ms, struct error *err)
{
    const char *const headers[] = {state->etag, NULL};
    struct reply reply;
    if (remote_call(remote,
                    &(struct request){
                        .path = "/status", .headers = *state->etag ? headers : NULL, .timeout_ms = 5000},
                    &reply, &state->last)) {
        if (!is_passing(condition, state))
            return *err = state->last, -1;
        progress_show(&state->progress, state->last.message, elapsed_ms);
        return 0;
    }
    struct json *document =
        reply.status == 304 || reply_check(&reply, &state->last) ? NULL : reply_json(&reply, &state->last);
    bool holds = document && condition_holds(condition, document);
    if (document) {
        snprintf(state->etag, sizeof state->etag, "If-None-Match: %s", *reply.etag ? reply.etag : "\"\"");
        buffer_clear(&state->text);
        status_progress(document, condition->set, &state->text);
        state->known = !condition->set || status_find_set(document, condition->set);
    }
    state->answered = state->answered || document;
    json_destroy(document);
    reply_finish(&reply);
    if (!state->answered && !is_passing(condition, state))
        return *err = state->last, -1;
    if (!holds)
        progress_show(&state->progress, buffer_text(&state->text), elapsed_ms);
    if (state->answered && !state->known && elapsed_ms > WAIT_UNKNOWN_SET_MS)
        return error_set(err, ERROR_NOT_FOUND, "there is no set \"%s\"", condition->set);
    return holds;
}

int wait_for(struct remote *remote, const struct condition *condition, int64_t timeout_ms,
             const volatile int *interrupted, struct error *err)
{
    struct wait_state state = {0};
    int64_t start_ms = clock_monotonic_ms(&clock_system);
    int result = 0;
    buffer_init(&state.text, 0);
    while (result == 0) {
        int64_t elapsed_ms = clock_monotonic_ms(&clock_system) - start_ms;
        result = look(remote, condition, &state, elapsed_ms, err);
        if (result == 0 && interrupted && *interrupted)
            result = error_set(err, ERROR_CANCELED, "interrupted");
        else if (result == 0 && elapsed_ms >= timeout_ms && state.answered && !state.known)
            result = error_set(err, ERROR_NOT_FOUND, "there is no set \"%s\"", condition->set);
        else if (result == 0 && elapsed_ms >= timeout_ms)
            result = error_set(err, ERROR_TIMEOUT, "after %lld s: %s", (long long)(timeout_ms / 1000),
                               state.answered ? buffer_text(&state.text) : state.last.message);
        else if (result == 0)
            console_pause(timeout_ms - elapsed_ms < WAIT_POLL_MS ? timeout_ms - elapsed_ms : WAIT_POLL_MS);
    }
    progress_end(&state.progress);
    buffer_finish(&state.text);
    return result < 0 ? -1 : 0;
}
