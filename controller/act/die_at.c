/* A process that kills itself at a given moment: see die_at.h. */
#include "controller/act/die_at.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/log.h"

static const char *const kinds[] = {
#define X(key, kind) "store:" kind,
    RECORD_KINDS(X)
#undef X
#define X(kind) "store:" kind,
        DIE_WRITES(X)
#undef X
#define X(name, text) "effect:" text,
            ACTIONS(X)
#undef X
                "intent"};

static const char nothing[] = "effect:none"; /* ACTION_NONE is never sent */

void die_at_print_kinds(void)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i], nothing) != 0)
            puts(kinds[i]);
}

static const char *kind_at_start(const char *text)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t length = strlen(kinds[i]);
        if (strncmp(text, kinds[i], length) == 0 && (!text[length] || text[length] == ':') &&
            strcmp(kinds[i], nothing) != 0)
            return kinds[i];
    }
    return NULL;
}

int die_at_read(const char *text, struct die_at *out, struct error *err)
{
    struct die_at value = {.on = true, .number = 1, .watches = strcmp(text, "watch") == 0};
    const char *kind = kind_at_start(text), *rest = kind ? text + strlen(kind) : "", *digits = rest + 1;
    char *end = NULL;
    if (kind && *rest && (value.number = strtol(digits, &end, 10)) >= 1 && end != digits)
        rest = end;
    else
        value.number = 1;
    bool after = strcmp(rest, ":after") == 0;
    if (!value.watches && (!kind || (*rest && !after)))
        return error_set(err, ERROR_INVALID,
                         "--die-at is store:KIND, effect:KIND or intent, with or without :N and then :after, "
                         "or watch, or list, which prints the kinds; not %.64s",
                         text);
    if (kind)
        snprintf(value.moment, sizeof value.moment, "%s%s", kind, after ? ":after" : "");
    *out = value;
    return 0;
}

/* `same`: it is the moment of the name before this one too. */
static void reached(struct die_at *self, const char *kind, bool after, bool same)
{
    char moment[DIE_MOMENT_MAX];
    snprintf(moment, sizeof moment, "%s%s", kind, after ? ":after" : "");
    if (self->watches)
        log_info("die-at", "passed %s%s", moment, same ? " too" : "");
    if (strcmp(moment, self->moment) != 0 || ++self->reached != self->number)
        return;
    kill(getpid(), SIGKILL);
    abort(); /* not reached */
}

void die_at_intent(struct die_at *self, bool after)
{
    if (self->on)
        reached(self, "intent", after, false);
}

/* ---- the store ---- */

static struct die_at *of_store(struct store *store)
{
    return (struct die_at *)((char *)store - offsetof(struct die_at, store));
}

static int load(struct store *store, struct arena *arena, const struct store_record **out, size_t *count,
                struct error *err)
{
    return store_load(of_store(store)->inner_store, arena, out, count, err);
}

/* Of a write that no list has nothing is tested, so it ends the test. */
static void name_write(const struct store_record *record, char out[DIE_MOMENT_MAX])
{
    const char *kind = record_kind(record->key);
    snprintf(out, DIE_MOMENT_MAX, "store:%s%s", record->data ? "" : "no-", kind ? kind : record->key);
    if (kind && kind_at_start(out))
        return;
    log_error("die-at", "%s is in neither RECORD_KINDS nor DIE_WRITES", out);
    abort();
}

static void write_reached(struct die_at *self, const struct store_record *records, size_t count, bool after)
{
    char moment[DIE_MOMENT_MAX], last[DIE_MOMENT_MAX] = "";
    for (size_t i = 0; i < count; i++) {
        name_write(&records[i], moment);
        if (strcmp(moment, last) != 0) /* one write, however many of the kind are in it */
            reached(self, moment, after, i > 0);
        memcpy(last, moment, sizeof last);
    }
}

static int write_and_die(struct store *store, const struct store_record *records, size_t count,
                         struct error *err)
{
    struct die_at *self = of_store(store);
    write_reached(self, records, count, false);
    int result = store_write(self->inner_store, records, count, err);
    write_reached(self, records, count, true);
    return result;
}

static void close_inner(struct store *store)
{
    struct store *inner = of_store(store)->inner_store;
    inner->functions->close(inner);
}

static int log_append(struct store *store, const char *text, size_t length, int64_t *id, struct error *err)
{
    struct die_at *self = of_store(store);
    reached(self, "store:audit", false, false);
    int result = self->inner_store->functions->log_append(self->inner_store, text, length, id, err);
    reached(self, "store:audit", true, false);
    return result;
}

static int log_end(struct store *store, int64_t id, const char *text, size_t length, struct error *err)
{
    struct die_at *self = of_store(store);
    reached(self, "store:audit-end", false, false);
    int result = self->inner_store->functions->log_end(self->inner_store, id, text, length, err);
    reached(self, "store:audit-end", true, false);
    return result;
}

static int log_read(struct store *store, int64_t before, size_t most, struct arena *arena,
                    const struct store_line **out, size_t *count, struct error *err)
{
    struct store *inner = of_store(store)->inner_store;
    return inner->functions->log_read(inner, before, most, arena, out, count, err);
}

static const struct store_functions store_functions = {.load = load,
                                                       .write = write_and_die,
                                                       .close = close_inner,
                                                       .log_append = log_append,
                                                       .log_end = log_end,
                                                       .log_read = log_read};

struct store *die_at_store(struct die_at *self, struct store *store)
{
    self->store.functions = &store_functions;
    self->inner_store = store;
    return self->on ? &self->store : store;
}

/* ---- MongoDB ---- */

static void action_reached(struct die_at *self, enum action_kind kind, bool after)
{
    char moment[DIE_MOMENT_MAX];
    snprintf(moment, sizeof moment, "effect:%s", action_kind_name(kind));
    reached(self, moment, after, false);
}

static int start_and_die(struct mongo *mongo, uint64_t id, const char *set, const struct action *action,
                         const struct mongo_login *login, struct error *err)
{
    struct die_at *self = (struct die_at *)((char *)mongo - offsetof(struct die_at, mongo));
    action_reached(self, action->kind, false);
    self->actions[id % DIE_ACTIONS] = action->kind;
    return self->inner_mongo->functions->start(self->inner_mongo, id, set, action, login, err);
}

void die_at_action_done(struct die_at *self, uint64_t id)
{
    if (self->on)
        action_reached(self, self->actions[id % DIE_ACTIONS], true);
}

static const struct mongo_functions mongo_functions = {start_and_die};

struct mongo *die_at_mongo(struct die_at *self, struct mongo *mongo)
{
    self->mongo.functions = &mongo_functions;
    self->inner_mongo = mongo;
    return self->on ? &self->mongo : mongo;
}
