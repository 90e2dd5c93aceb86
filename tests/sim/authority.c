/* Stands for controller/trust: the CA in the controller's store signs for members; a person exchanges it.
 * What still fits is decided as trust_members.c does. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/world.h"

enum {
    ENDS_AFTER_DUE_MS = 600000, /* so long after it should have been renewed, longer than whatever a person is
                                   waited for in a history: a real one has a month */
    SHORT_UNTIL_MS = 60000      /* those that are signed later last, so that a history comes to its end */
};

static struct authority *authority_of(struct brain *brain)
{
    return &brain->image.authority;
}

void authority_begin(struct brain *brain)
{
    struct authority *authority = authority_of(brain);
    if (!authority->issuer)
        *authority =
            (struct authority){.issuer = ++brain->world->authorities, .changed_ms = brain->world->now_ms};
}

const char *authority_trusted(void *context)
{
    struct brain *brain = context;
    const struct authority *authority = authority_of(brain);
    if (brain->trusted_issuer == authority->issuer && brain->trusted_other == authority->other &&
        *brain->trusted)
        return brain->trusted; /* each plan asks */
    brain->trusted_issuer = authority->issuer;
    brain->trusted_other = authority->other;
    snprintf(brain->trusted, sizeof brain->trusted, authority->other ? "ca %d %d" : "ca %d",
             authority->issuer, authority->other);
    return brain->trusted;
}

int authority_random_text(size_t length, char *out, struct error *err)
{
    (void)err;
    for (size_t i = 0; i < length; i++)
        snprintf(out + 2 * i, 3, "%02x", (unsigned)(chance_next(&the_world->chance) & 255));
    return 0;
}

/* ---- signing ---- */

/* The other names are the same all the time. */
static bool is_address(const char *name)
{
    return strncmp(name, "10.", 3) == 0;
}

static bool bears_all(const struct certificate_wish *wish)
{
    char name[HOST_MAX + 16];
    for (size_t i = 0; i < wish->name_count; i++) {
        snprintf(name, sizeof name, " %s ", wish->names[i]);
        if (!is_address(wish->names[i]))
            continue;
        if (!strstr(wish->present, name))
            return false;
    }
    return true;
}

static int sign(struct brain *brain, const struct certificate_wish *wish, int key, struct buffer *out,
                struct error *err)
{
    struct world *world = brain->world;
    bool is_short = world->certificates_due_ms && world->now_ms < SHORT_UNTIL_MS;
    int64_t due_ms =
        is_short ? chance_between(&world->chance, world->certificates_due_ms, 3 * world->certificates_due_ms)
                 : INT64_MAX / 8;
    int failed = buffer_printf(out, "certificate %d by %d at %lld until %lld for %d names", ++world->serials,
                               authority_of(brain)->issuer, (long long)world->now_ms,
                               (long long)(world->now_ms + due_ms + ENDS_AFTER_DUE_MS), key);
    for (size_t i = 0; i < wish->name_count; i++)
        failed |= is_address(wish->names[i]) && buffer_printf(out, " %s", wish->names[i]);
    failed |= buffer_append_text(out, " ");
    return failed ? error_set(err, ERROR_NO_MEMORY, "no memory for a certificate") : 0;
}

int authority_certify(void *context, const struct certificate_wish *wish, struct certificate_made *out,
                      struct error *err)
{
    struct brain *brain = context;
    const struct authority *authority = authority_of(brain);
    struct papers present;
    int key = 0, result = 0;
    bool has = papers_read(wish->present, &present);
    bool foreign = has && present.issuer != authority->issuer && present.issuer != authority->other;
    if (sscanf(wish->request, "request for %d", &key) != 1)
        return error_set(err, ERROR_INVALID, "no request");
    if (foreign && wish->keep_foreign)
        return error_set(err, ERROR_CONFLICT, "%s shows a certificate of another CA", wish->node);
    bool fits = has && present.key == key && present.issuer == authority->issuer &&
                present.made_ms >= authority->changed_ms &&
                brain->world->now_ms < present.ends_ms - ENDS_AFTER_DUE_MS && bears_all(wish);
    if (fits)
        result = buffer_append_text(&out->pem, wish->present);
    else
        result = sign(brain, wish, key, &out->pem, err);
    if (result || !papers_read(buffer_text(&out->pem), &present))
        return -1;
    snprintf(out->id, sizeof out->id, "certificate %d", present.serial);
    out->renew_at_ms = present.ends_ms - ENDS_AFTER_DUE_MS + WALL_AT_START_MS + brain->world->clock_offset_ms;
    return 0;
}

/* ---- the exchange of the CA, as credentials_exchange_ca() does it ---- */

static void go_on(struct world *world, struct authority *authority)
{
    authority->changed_ms = world->now_ms;
    if (!authority->other) {
        authority->other = ++world->authorities;
        authority->announced = true;
    } else if (authority->announced) {
        int former = authority->issuer;
        authority->issuer = authority->other;
        authority->other = former;
        authority->announced = false;
    } else {
        authority->other = 0;
    }
}

bool authority_exchange(struct world *world)
{
    struct brain *brain = &world->brains[0];
    struct authority *authority = authority_of(brain);
    if (!world->exchanges && !authority->other)
        return true;
    if (!brain->controller || brain->dying || controller_members_certified(brain->controller, NULL))
        return false;
    world->exchanges -= world->exchanges > 0 && !authority->other;
    go_on(world, authority);
    world_trace(world, "person", "exchanges the CA: %s", authority_trusted(brain));
    controller_trust_changed(brain->controller);
    return false;
}
