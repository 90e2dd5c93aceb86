/* Events and the ring of the last ones: see event.h. */
#include "controller/serve/event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *reason, *type, *sentence;
} reasons[EVENT_REASON_COUNT] = {
#define X(name, reason, type, sentence) [name] = {reason, type, sentence},
#include "controller/serve/events.def"
#undef X
};

const char *event_reason_text(enum event_reason reason)
{
    return reasons[reason].reason;
}

const char *event_type_text(enum event_reason reason)
{
    return reasons[reason].type;
}

static const char *word_for(const char *name, size_t length, const struct event_words *words)
{
    const struct {
        const char *name, *value;
    } known[] = {{"set", words->set},   {"zone", words->zone}, {"member", words->member},
                 {"from", words->from}, {"to", words->to},     {"detail", words->detail}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].name) == length && memcmp(known[i].name, name, length) == 0)
            return known[i].value ? known[i].value : "";
    return "";
}

/* "{detail}." with a detail that ends with a full stop would end with two. */
static size_t append_word(char *out, size_t used, size_t room, const char *word, char next)
{
    size_t length = strlen(word);
    if (length && next == '.' && word[length - 1] == '.')
        length--;
    if (length > room - used)
        length = room - used;
    memcpy(out + used, word, length);
    return used + length;
}

static void fill_in(const char *sentence, const struct event_words *words, char *out, size_t size)
{
    size_t used = 0, room = size - 1;
    while (*sentence && used < room) {
        const char *end = *sentence == '{' ? strchr(sentence, '}') : NULL;
        if (!end) {
            out[used++] = *sentence++;
            continue;
        }
        used =
            append_word(out, used, room, word_for(sentence + 1, (size_t)(end - sentence - 1), words), end[1]);
        sentence = end + 1;
    }
    out[used] = 0;
}

static void copy_name(char out[EVENT_NAME_MAX], const char *name)
{
    snprintf(out, EVENT_NAME_MAX, "%s", name ? name : "");
}

void event_make(struct event *event, enum event_reason reason, int64_t at_ms, const struct event_words *words)
{
    *event = (struct event){.at_ms = at_ms, .reason = reason, .rule = words->rule};
    copy_name(event->set, words->set);
    copy_name(event->zone, words->zone);
    copy_name(event->member, words->member);
    fill_in(reasons[reason].sentence, words, event->message, sizeof event->message);
}

int event_ring_init(struct event_ring *ring, uint64_t first_id, struct error *err)
{
    *ring = (struct event_ring){.events = calloc(EVENTS_KEPT, sizeof *ring->events), .next_id = first_id};
    return ring->events ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory for the events");
}

void event_ring_finish(struct event_ring *ring)
{
    free(ring->events);
    *ring = (struct event_ring){0};
}

const struct event *event_ring_add(struct event_ring *ring, const struct event *event)
{
    struct event *place = &ring->events[ring->next_id % EVENTS_KEPT];
    *place = *event;
    place->id = ring->next_id++;
    if (ring->count < EVENTS_KEPT)
        ring->count++;
    return place;
}

const struct event *event_ring_next(const struct event_ring *ring, uint64_t after, const char *set)
{
    uint64_t first = ring->next_id - ring->count;
    if (after >= ring->next_id)
        return NULL;
    for (uint64_t id = after + 1 > first ? after + 1 : first; id < ring->next_id; id++) {
        const struct event *event = &ring->events[id % EVENTS_KEPT];
        if (!set || !*set || strcmp(event->set, set) == 0)
            return event;
    }
    return NULL;
}

struct json *event_write(const struct event *event)
{
    struct json *json = json_object();
    json_set_int(json, "id", (int64_t)event->id);
    json_set_time(json, "at", event->at_ms);
    json_set_string(json, "type", event_type_text(event->reason));
    json_set_string(json, "reason", event_reason_text(event->reason));
    json_set_string(json, "set", event->set);
    json_set_string(json, "zone", event->zone);
    json_set_string(json, "member", event->member);
    json_set_string(json, "message", event->message);
    json_set_int(json, "rule", event->rule);
    return json;
}
