/* A process that kills itself at a given moment: see die_at.h. */
#include "controller/act/die_at.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const point_texts[] = {
#define X(name, text) [name] = text,
    DIE_POINTS(X)
#undef X
};

int die_at_read(const char *text, struct die_at *out, struct error *err)
{
    size_t length = strcspn(text, ":");
    for (int point = 0; point < DIE_POINT_COUNT; point++) {
        char *end;
        if (strlen(point_texts[point]) != length || strncmp(text, point_texts[point], length) != 0 ||
            !text[length])
            continue;
        long number = strtol(text + length + 1, &end, 10);
        bool after = strcmp(end, ":after") == 0;
        if (number < 1 || (*end && !after))
            break;
        *out = (struct die_at){.point = (enum die_point)point, .number = number, .after = after};
        return 0;
    }
    return error_set(err, ERROR_INVALID,
                     "--die-at is store:N, effect:N or intent:N, with or without :after, not %.64s", text);
}

void die_at_reached(struct die_at *self, enum die_point point, bool after)
{
    long reached = ++self->reached[point][after];
    if (self->point != point || self->after != after || reached != self->number)
        return;
    kill(getpid(), SIGKILL);
    abort(); /* not reached */
}

static struct die_at *of_store(struct store *store)
{
    return (struct die_at *)((char *)store - offsetof(struct die_at, store));
}

static int load(struct store *store, struct arena *arena, const struct store_record **out, size_t *count,
                struct error *err)
{
    return store_load(of_store(store)->inner_store, arena, out, count, err);
}

static int write_and_die(struct store *store, const struct store_record *records, size_t count,
                         struct error *err)
{
    struct die_at *self = of_store(store);
    die_at_reached(self, DIE_STORE, false);
    int result = store_write(self->inner_store, records, count, err);
    die_at_reached(self, DIE_STORE, true);
    return result;
}

static void close_inner(struct store *store)
{
    struct store *inner = of_store(store)->inner_store;
    inner->functions->close(inner);
}

/* The audit log isn't among the moments: it decides nothing. */
static int log_append(struct store *store, const char *text, size_t length, int64_t *id, struct error *err)
{
    struct store *inner = of_store(store)->inner_store;
    return inner->functions->log_append(inner, text, length, id, err);
}

static int log_end(struct store *store, int64_t id, const char *text, size_t length, struct error *err)
{
    struct store *inner = of_store(store)->inner_store;
    return inner->functions->log_end(inner, id, text, length, err);
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
    return self->number ? &self->store : store;
}

static int start_and_die(struct mongo *mongo, uint64_t id, const char *set, const struct action *action,
                         const struct mongo_login *login, struct error *err)
{
    struct die_at *self = (struct die_at *)((char *)mongo - offsetof(struct die_at, mongo));
    die_at_reached(self, DIE_EFFECT, false);
    return self->inner_mongo->functions->start(self->inner_mongo, id, set, action, login, err);
}

static const struct mongo_functions mongo_functions = {start_and_die};

struct mongo *die_at_mongo(struct die_at *self, struct mongo *mongo)
{
    self->mongo.functions = &mongo_functions;
    self->inner_mongo = mongo;
    return self->number ? &self->mongo : mongo;
}
