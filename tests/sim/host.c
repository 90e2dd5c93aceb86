/* Hosts a real agent: its clock, files, wakes, and its questions to the zone's own members. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/story.h"
#include "tests/sim/world.h"

static int64_t monotonic(void *context)
{
    (void)context;
    return the_world->now_ms;
}

static int64_t wall(void *context)
{
    (void)context;
    return the_world->now_ms + WALL_AT_START_MS;
}

static const struct clock agent_clock = {monotonic, wall, NULL};

/* ---- the environment ---- */

static void wake_at(void *context, int64_t monotonic_ms)
{
    struct site *site = context;
    int64_t now_ms = site->world->now_ms;
    struct happening wake = {.at_ms = monotonic_ms < now_ms ? now_ms : monotonic_ms,
                             .kind = H_AGENT_WAKE,
                             .who = site->zone,
                             .id = ++site->wake,
                             .life = site->life};
    world_at(site->world, &wake);
}

bool agent_effect(struct site *site)
{
    if (site->dying)
        return false;
    site->dying = site->fuse >= 0 && site->fuse-- == 0;
    return !site->dying || chance_of(&site->world->chance, 50); /* the last one may still be done */
}

void agent_bury(struct site *site)
{
    if (!site->dying || !site->agent)
        return;
    world_trace(site->world, site->name, "the agent dies in the middle of a step");
    agent_host_kill(site);
    world_later(site->world, chance_between(&site->world->chance, 200, 6000), H_AGENT_START, site->zone,
                site->life);
}

/* A file is there as a whole or as it was before: it is written beside, and renamed. */
static int save(void *context, const char *name, const char *text, size_t length, struct error *err)
{
    struct site *site = context;
    if (!agent_effect(site))
        return error_set(err, ERROR_IO, "the machine went down");
    struct saved *file = &site->files[strcmp(name, "intent.json") == 0];
    free(file->text);
    file->text = malloc(length + 1);
    assert(file->text);
    memcpy(file->text, text, length);
    file->length = length;
    return site->dying ? error_set(err, ERROR_IO, "the machine went down") : 0;
}

static int load(void *context, const char *name, struct buffer *out, struct error *err)
{
    struct site *site = context;
    const struct saved *file = &site->files[strcmp(name, "intent.json") == 0];
    if (!file->text)
        return error_set(err, ERROR_NOT_FOUND, "there is no %s", name);
    return buffer_append(out, file->text, file->length);
}

static void note(void *context, bool is_problem, const char *sentence)
{
    struct site *site = context;
    (void)is_problem;
    world_trace(site->world, site->name, "%s", sentence);
    story_note(site, sentence);
}

static void probe(void *context, uint64_t id, const struct agent_probe *what)
{
    struct site *site = context;
    if (!agent_effect(site))
        return;
    struct happening ask = {.at_ms = site->world->now_ms + chance_between(&site->world->chance, 2, 20),
                            .kind = H_PROBE,
                            .who = site->zone,
                            .other = what->ordinal,
                            .id = id,
                            .life = site->life};
    world_at(site->world, &ask);
}

/* ---- life ---- */

void agent_host_start(struct site *site)
{
    const struct agent_options options = {site->name, "0.1.0", "local"};
    const struct agent_environment environment = {.clock = &agent_clock,
                                                  .random = &sim_random,
                                                  .driver = &site->driver,
                                                  .context = site,
                                                  .send = link_send,
                                                  .probe = probe,
                                                  .save = save,
                                                  .load = load,
                                                  .wake_at = wake_at,
                                                  .note = note};
    struct error err = {0};
    if (site->agent || site->down)
        return;
    site->life++;
    site->fuse = -1;
    site->dying = false;
    site->complete_ms = site->world->now_ms + chance_between(&site->world->chance, 0, 1500);
    site->agent = agent_create(&options, &environment, &err);
    if (!site->agent)
        violate(site->world, 12, "the agent of %s can't start again: %s", site->name, err.message);
    world_trace(site->world, site->name, "the agent starts");
    world_later(site->world, site->complete_ms - site->world->now_ms, H_SITE, site->zone, site->life);
}

void agent_host_kill(struct site *site)
{
    if (!site->agent)
        return;
    agent_destroy(site->agent);
    site->agent = NULL;
    site->life++;
    link_break(site);
    world_trace(site->world, site->name, "the agent dies");
}

void agent_host_forget(struct site *site)
{
    for (size_t i = 0; i < sizeof site->files / sizeof *site->files; i++) {
        free(site->files[i].text);
        site->files[i] = (struct saved){.length = 0};
    }
    site->accepted_epoch = 0; /* it can't know better: only what its controller tells it next */
    world_trace(site->world, site->name, "the agent's files are gone");
}

void agent_host_wake(struct site *site, const struct happening *happening)
{
    if (!site->agent || happening->life != site->life || happening->id != site->wake)
        return;
    agent_tick(site->agent);
    agent_bury(site);
}

void agent_host_probe(struct site *site, const struct happening *happening)
{
    if (!site->agent || happening->life != site->life)
        return;
    struct arena arena;
    struct mongod_view view;
    arena_init(&arena, 0);
    node_view(site->world, &site->world->slots[happening->other], &arena, &view);
    agent_probe_done(site->agent, happening->id, &arena, &view);
    agent_bury(site);
}
