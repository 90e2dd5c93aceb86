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

static const struct member_slot nobody; /* runs nothing */

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
    site->identities[what->ordinal].password = papers_key(what->keyfile);
    site->identities[what->ordinal].reload = what->reload;
    struct happening ask = {.at_ms = site->world->now_ms + chance_between(&site->world->chance, 2, 20),
                            .kind = H_PROBE,
                            .who = site->zone,
                            .other = what->ordinal,
                            .id = id,
                            .life = site->life};
    world_at(site->world, &ask);
}

/* ---- members' keys, as member_keys.c keeps them: files of the agent's ---- */

/* The CAs before are believed beside the new ones when these have none of them: after a controller lost its
 * own. */
static uint32_t take_authorities(struct site *site, uint32_t now)
{
    uint32_t known = site->authorities | site->former_authorities;
    if (now && now != site->authorities) {
        site->former_authorities = now & known ? 0 : known;
        site->authorities = now;
    }
    return site->authorities | site->former_authorities;
}

static const char *print_authorities(uint32_t bits, struct arena *arena)
{
    struct buffer text;
    buffer_init(&text, 0);
    buffer_append_text(&text, "ca");
    for (int i = 0; i < 32; i++)
        if (bits >> i & 1)
            buffer_printf(&text, " %d", i);
    const char *copy = arena_string(arena, buffer_text(&text));
    buffer_finish(&text);
    return copy;
}

static int *key_of(struct site *site, const char *node)
{
    const char *digits = node + strcspn(node, "0123456789");
    return &site->identities[strtol(digits, NULL, 10) % (ORDINALS_MAX + 1)].key;
}

static int identify(void *context, const struct intent_member *member, const char *ca, struct arena *arena,
                    struct member_identity *out, struct error *err)
{
    struct site *site = context;
    struct papers shown;
    int *key = key_of(site, member->node);
    if (!*key && !agent_effect(site))
        return error_set(err, ERROR_IO, "the machine went down");
    if (!*key)
        *key = ++site->world->serials;
    uint32_t now = papers_authorities(ca), believed = take_authorities(site, now);
    bool has = papers_read(member->certificate, &shown);
    *out = (struct member_identity){.key = arena_printf(arena, "key %d", *key),
                                    .request = arena_printf(arena, "request for %d", *key),
                                    .ca = print_authorities(believed, arena),
                                    .fits = has && shown.key == *key && now >> (shown.issuer & 31) & 1};
    return 0;
}

static void forget_identity(void *context, const char *node)
{
    *key_of(context, node) = 0;
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
                                                  .identify = identify,
                                                  .forget_identity = forget_identity,
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
    memset(site->identities, 0, sizeof site->identities);
    site->authorities = site->former_authorities = 0;
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

/* The agent dials over a route of its own, so that the certificate need not bear it; it knows the keyfile of
 * its intent. */
bool agent_host_admits(const struct member_slot *slot)
{
    const struct site *site = &the_world->sites[slot->zone];
    uint64_t password = site->identities[slot->ordinal].password;
    const struct papers *papers = &slot->loaded;
    bool believed =
        !papers->serial || (site->authorities | site->former_authorities) >> (papers->issuer & 31) & 1;
    return believed && (papers->keys[0] ? papers_let_in(papers, password) : !password);
}

void agent_host_probe(struct site *site, const struct happening *happening)
{
    if (!site->agent || happening->life != site->life)
        return;
    struct arena arena;
    struct mongod_view view;
    arena_init(&arena, 0);
    struct member_slot *slot = &site->world->slots[happening->other];
    bool admitted = agent_host_admits(slot);
    if (admitted && site->identities[slot->ordinal].reload && slot->node.up)
        papers_load_certificate(&slot->loaded, &slot->brought);
    node_view(site->world, admitted ? slot : &nobody, &arena, &view);
    agent_probe_done(site->agent, happening->id, &arena, &view);
    agent_bury(site);
}
