/* Between the controller and the agents: reports, heartbeats and their answers, and the stream of intents.
 * Messages are the real ones, as text; the way delays, loses and doubles them, and is cut in one direction or
 * both. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/report.h"
#include "tests/sim/world.h"

enum { BOOKMARK_EVERY_MS = INTENT_BOOKMARK_MS };

static char *copy_text(const char *text, size_t length)
{
    char *copy = malloc(length + 1);
    assert(copy);
    memcpy(copy, text, length);
    copy[length] = 0;
    return copy;
}

static int64_t latency(struct site *site)
{
    struct chance *chance = &site->world->chance;
    if (site->slow && chance_of(chance, 40))
        return chance_between(chance, 500, 9000);
    return chance_between(chance, 1, 40);
}

static bool lost(struct site *site)
{
    return site->lossy && chance_of(&site->world->chance, 35);
}

/* ---- agent to controller ---- */

void link_send(void *context, enum link_message kind, uint64_t id, const char *text, size_t length)
{
    struct site *site = context;
    struct world *world = site->world;
    int times = site->lossy && chance_of(&world->chance, 20) ? 2 : 1;
    if (!agent_effect(site) || site->cut_up || site->down || lost(site))
        return;
    while (times-- > 0) {
        struct happening message = {.at_ms = world->now_ms + latency(site),
                                    .kind = H_MESSAGE,
                                    .who = site->zone,
                                    .other = (int)kind,
                                    .id = id,
                                    .life = site->life,
                                    .text = copy_text(text, length),
                                    .length = length};
        world_at(world, &message);
    }
}

static int deliver(struct brain *brain, struct site *site, const struct happening *happening,
                   struct zone_answer *answer, struct error *err)
{
    struct arena arena;
    arena_init(&arena, 0);
    int result;
    if (happening->other == LINK_REPORT) {
        struct report report;
        result = report_read(happening->text, happening->length, site->name, &arena, &report, err);
        if (result == 0) {
            brain->heard |= 1u << site->zone;
            result = controller_report(brain->controller, site->name, &report, answer, err);
        }
    } else {
        struct heartbeat heartbeat;
        result = heartbeat_read(happening->text, happening->length, &arena, &heartbeat, err);
        if (result == 0)
            result = controller_heartbeat(brain->controller, site->name, &heartbeat, answer, err);
    }
    arena_finish(&arena);
    return result;
}

static void answer(struct site *site, const struct happening *happening, const struct zone_answer *said,
                   const struct error *err)
{
    struct happening back = {.at_ms = site->world->now_ms + latency(site),
                             .kind = H_ANSWER,
                             .who = site->zone,
                             .other = happening->other,
                             .id = happening->id,
                             .life = happening->life};
    back.length = err ? (size_t)err->code : 0; /* no text, so that the length is free for this */
    back.order = 0;
    back.text = copy_text((const char *)said, sizeof *said);
    if (!site->cut_down && !lost(site))
        world_at(site->world, &back);
    else
        free(back.text);
}

void link_message(struct world *world, const struct happening *happening)
{
    struct site *site = &world->sites[happening->who];
    struct brain *brain = &world->brains[0];
    struct zone_answer said = {0};
    struct error err = {0};
    if (site->cut_up)
        return;
    if (!brain->controller)
        error_set(&err, ERROR_UNREACHABLE, "nobody listens");
    else
        deliver(brain, site, happening, &said, &err);
    answer(site, happening, &said, err.code ? &err : NULL);
}

void link_answer(struct world *world, const struct happening *happening)
{
    struct site *site = &world->sites[happening->who];
    struct zone_answer said;
    struct error err = {.code = (enum error_code)happening->length, .message = "refused"};
    if (!site->agent || happening->life != site->life)
        return;
    memcpy(&said, happening->text, sizeof said);
    struct link_answer result = {.err = happening->length ? &err : NULL,
                                 .epoch = said.epoch,
                                 .report_wanted = said.report_wanted,
                                 .keys_wanted = said.keys_wanted};
    agent_link_answer(site->agent, (enum link_message)happening->other, happening->id, &result);
    agent_bury(site);
}

/* ---- controller to agent ---- */

void link_break(struct site *site)
{
    site->stream_open = false;
    site->stream++;
}

static void send_line(struct site *site, const struct intent *intent)
{
    struct world *world = site->world;
    struct buffer text;
    struct error err = {0};
    buffer_init(&text, 0);
    if (intent_print(intent, &text, &err))
        abort();
    int64_t at_ms = world->now_ms + latency(site);
    if (at_ms < site->stream_busy_ms)
        at_ms = site->stream_busy_ms; /* what was said first comes first */
    site->stream_busy_ms = at_ms;
    struct happening line = {.at_ms = at_ms,
                             .kind = H_INTENT,
                             .who = site->zone,
                             .id = site->stream,
                             .life = site->life,
                             .text = copy_text(buffer_text(&text), text.length),
                             .length = text.length};
    buffer_finish(&text);
    world_at(world, &line);
}

static void send_bookmark(struct brain *brain, struct site *site)
{
    struct intent mark = controller_bookmark(brain->controller, site->name);
    struct buffer text;
    buffer_init(&text, 0);
    buffer_printf(&text, "{\"type\":\"BOOKMARK\",\"epoch\":%lld,\"revision\":%lld}", (long long)mark.epoch,
                  (long long)mark.revision);
    struct happening line = {.at_ms = site->stream_busy_ms > brain->world->now_ms ? site->stream_busy_ms
                                                                                  : brain->world->now_ms + 1,
                             .kind = H_INTENT,
                             .who = site->zone,
                             .id = site->stream,
                             .life = site->life,
                             .text = copy_text(buffer_text(&text), text.length),
                             .length = text.length};
    buffer_finish(&text);
    world_at(brain->world, &line);
}

static void send_news(struct brain *brain, struct site *site)
{
    const struct intent *intent = NULL;
    if (controller_watch(brain->controller, site->name, site->stream_revision, &intent, NULL) || !intent)
        return;
    site->stream_revision = intent->revision;
    send_line(site, intent);
}

void link_news(struct brain *brain, const char *zone)
{
    struct site *site = &brain->world->sites[zone[1] - '1'];
    if (brain->index) { /* the deposed one speaks over a connection of its own */
        const struct intent *intent = NULL;
        if (site->agent && !site->cut_down && !controller_watch(brain->controller, zone, 0, &intent, NULL) &&
            intent)
            send_line(site, intent);
        return;
    }
    if (site->stream_open)
        send_news(brain, site);
}

/* Opens the stream where it can be, and says a sign of life on it. */
void link_stream(struct world *world, const struct happening *happening)
{
    struct site *site = &world->sites[happening->who];
    struct brain *brain = &world->brains[0];
    world_later(world, BOOKMARK_EVERY_MS, H_STREAM, site->zone, 0);
    bool possible = brain->controller && site->agent && !site->cut_up && !site->cut_down;
    struct federation_view view;
    if (possible) {
        controller_view(brain->controller, &view);
        possible = view.zone_count > 0; /* before a spec is applied there is no zone to watch */
    }
    if (!possible) {
        if (site->stream_open)
            link_break(site);
        return;
    }
    if (!site->stream_open) {
        site->stream_open = true;
        site->stream_revision = agent_revision(site->agent);
        site->stream_busy_ms = world->now_ms;
    }
    send_news(brain, site);
    send_bookmark(brain, site);
}

void link_intent(struct world *world, const struct happening *happening)
{
    struct site *site = &world->sites[happening->who];
    struct intent_event event;
    struct arena arena;
    struct error err = {0};
    if (!site->agent || happening->life != site->life || happening->id != site->stream || site->cut_down)
        return;
    arena_init(&arena, 0);
    if (intent_read(happening->text, happening->length, &arena, &event, &err))
        violate(world, 8, "an intent can't be read: %s", err.message);
    else if (agent_intent(site->agent, &event, &err) == 0)
        check_epoch(world, site, event.intent.epoch);
    else
        link_break(site); /* refused: it dials again, with what it has */
    agent_bury(site);
    arena_finish(&arena);
}
