/* What the controller remembers: loading, and the one way to write. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/controller_internal.h"

bool controller_store_rests(const struct controller *controller)
{
    return *controller->store_problem && controller_now(controller) < controller->store_retry_at_ms;
}

/* All that was left undone. */
static void store_recovered(struct controller *controller)
{
    *controller->store_problem = 0;
    controller->store_failures = 0;
    for (size_t i = 0; i < controller->set_count; i++)
        controller_set_due(controller->sets[i], controller_now(controller));
    for (size_t i = 0; i < controller->zone_count; i++)
        controller->zones[i].intent_due = true;
    controller_tell(controller, EVENT_STORE_RECOVERED, &(struct event_words){0});
    controller->environment.status_changed(controller->environment.context);
}

static void store_failed(struct controller *controller, const struct error *problem)
{
    bool first = !*controller->store_problem;
    controller->counts.store_failures++;
    snprintf(controller->store_problem, sizeof controller->store_problem, "%s", problem->message);
    controller->store_retry_at_ms =
        controller_now(controller) + backoff_ms(controller->store_failures++, CONTROLLER_STORE_RETRY_FIRST_MS,
                                                CONTROLLER_STORE_RETRY_MOST_MS,
                                                controller->environment.random);
    if (first)
        controller_tell(controller, EVENT_STORE_FAILED, &(struct event_words){.detail = problem->message});
}

int controller_remember(struct controller *controller, const struct store_record *records, size_t count,
                        struct error *err)
{
    struct error problem = {0};
    int result = store_write(controller->environment.store, records, count, &problem);
    controller->counts.store_writes++;
    if (result == 0) {
        if (*controller->store_problem)
            store_recovered(controller);
        return 0;
    }
    store_failed(controller, &problem);
    if (err)
        *err = problem;
    return -1;
}

int controller_raise(struct controller *controller, int64_t epoch, int64_t revision, struct error *err)
{
    int64_t new_epoch = (epoch > controller->epoch ? epoch : controller->epoch) + 1;
    int64_t above = revision > controller->revision_reserved ? revision : controller->revision_reserved;
    int64_t reserved = above + CONTROLLER_REVISIONS_RESERVED;
    if (new_epoch > (INT64_C(1) << 52) || reserved > (INT64_C(1) << 52))
        return error_set(err, ERROR_INVALID, "an epoch or revision above 2^52 is not believed");
    char epoch_text[RECORD_NUMBER_MAX], revision_text[RECORD_NUMBER_MAX];
    struct store_record records[] = {
        {RECORD_EPOCH, epoch_text,
         (size_t)snprintf(epoch_text, sizeof epoch_text, "%lld", (long long)new_epoch)},
        {RECORD_REVISION, revision_text,
         (size_t)snprintf(revision_text, sizeof revision_text, "%lld", (long long)reserved)}};
    if (controller_remember(controller, records, 2, err))
        return -1;
    controller->epoch = new_epoch;
    controller->revision = above;
    controller->revision_reserved = reserved;
    for (size_t i = 0; i < controller->zone_count; i++) {
        controller->zones[i].has_intent = false; /* sent anew, with the new epoch and a new revision */
        controller->zones[i].intent_due = true;
    }
    controller_wake(controller);
    return 0;
}

struct ledger_holder *controller_ledger(struct controller *controller, const char *set)
{
    for (struct ledger_holder *ledger = controller->ledgers; ledger; ledger = ledger->next)
        if (strcmp(ledger->ledger.set, set) == 0)
            return ledger;
    struct ledger_holder *ledger = calloc(1, sizeof *ledger);
    if (!ledger)
        return NULL;
    arena_init(&ledger->arena, 0);
    ledger->ledger = (struct ledger){.set = arena_string(&ledger->arena, set), .replica_set_id = ""};
    ledger->next = controller->ledgers;
    controller->ledgers = ledger;
    return ledger;
}

int controller_remember_ledger(struct controller *controller, struct set_state *set,
                               const struct ledger *ledger, struct error *err)
{
    struct buffer bytes;
    struct arena arena;
    char key[STORE_KEY_MAX];
    buffer_init(&bytes, STORE_RECORD_BYTES_MAX);
    arena_init(&arena, 0);
    snprintf(key, sizeof key, RECORD_LEDGER_PREFIX "%s", set->name);
    struct ledger copy = ledger_copy(&arena, ledger);
    int result = arena_failed(&arena)
                     ? error_set(err, ERROR_NO_MEMORY, "no memory for the ledger of set %s", set->name)
                     : ledger_record_write(&copy, &bytes, err);
    if (result == 0)
        result = controller_remember(controller,
                                     &(struct store_record){key, buffer_text(&bytes), bytes.length}, 1, err);
    buffer_finish(&bytes);
    if (result) {
        arena_finish(&arena);
        return -1;
    }
    arena_finish(&set->ledger->arena);
    set->ledger->arena = arena;
    set->ledger->ledger = copy;
    return 0;
}

/* What a plan has to remember is tried first, at this moment too. Only when nothing is to be remembered, what
 * is in force already is written again: that costs nothing and shows whether it works. The other way round a
 * disk that has room for the one but not for the other would seem to recover again and again. */
void controller_store_retry(struct controller *controller)
{
    /* Others write into it too, into the audit log: when that fails it is ours to find out, and to tell. */
    if ((!*controller->store_problem && !controller->environment.store->failing) ||
        controller_store_rests(controller))
        return;
    struct store *store = controller->environment.store;
    struct error problem = {0};
    if (store->functions->probe && store->functions->probe(store, &problem)) {
        store_failed(controller, &problem);
        controller->environment.status_changed(controller->environment.context);
        return;
    }
    char epoch[RECORD_NUMBER_MAX];
    size_t length = (size_t)snprintf(epoch, sizeof epoch, "%lld", (long long)controller->epoch);
    controller_remember(controller, &(struct store_record){RECORD_EPOCH, epoch, length}, 1, NULL);
}

/* ---- loading ---- */

static int load_ledger(struct controller *controller, const struct store_record *record, struct error *err)
{
    const char *set = record->key + strlen(RECORD_LEDGER_PREFIX);
    struct ledger_holder *ledger = controller_ledger(controller, set);
    if (!ledger)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the ledger of set %s", set);
    return ledger_record_read(record->data, record->length, set, &ledger->arena, &ledger->ledger, err);
}

static int load_record(struct controller *controller, const struct store_record *record, struct error *err)
{
    if (!record_kind(record->key))
        return error_set(err, ERROR_INVALID,
                         "the store holds a record %.64s that this version doesn't know: use a newer one",
                         record->key);
    if (strcmp(record->key, RECORD_EPOCH) == 0)
        return number_record_read(record->data, record->length, record->key, &controller->epoch, err);
    if (strcmp(record->key, RECORD_REVISION) == 0)
        return number_record_read(record->data, record->length, record->key, &controller->revision_reserved,
                                  err);
    if (strcmp(record->key, RECORD_SPEC_REVISION) == 0)
        return spec_revision_record_read(record->data, record->length, &controller->spec_revision, err);
    if (strcmp(record->key, RECORD_SPEC) == 0)
        return buffer_append(&controller->spec_text, record->data, record->length)
                   ? error_set(err, ERROR_NO_MEMORY, "no memory for the spec")
                   : 0;
    if (strncmp(record->key, RECORD_LEDGER_PREFIX, strlen(RECORD_LEDGER_PREFIX)) == 0)
        return load_ledger(controller, record, err);
    if (strncmp(record->key, RECORD_KEYS_PREFIX, strlen(RECORD_KEYS_PREFIX)) == 0)
        return controller_keys_load(controller, record, err);
    return 0; /* loaded by those who serve */
}

static int load_spec(struct controller *controller, struct error *err)
{
    if (!controller->spec_text.length)
        return 0;
    struct spec_holder *holder = calloc(1, sizeof *holder);
    struct spec_problems *problems = calloc(1, sizeof *problems);
    int result = -1;
    if (!holder || !problems) {
        error_set(err, ERROR_NO_MEMORY, "no memory for the spec");
    } else {
        holder->references = 1;
        arena_init(&holder->arena, 0);
        struct spec_source source = {"the store's spec", controller->spec_text.data,
                                     controller->spec_text.length};
        result = spec_read(&source, 1, &holder->arena, &holder->spec, problems);
        if (result)
            error_set(err, ERROR_INVALID, "the spec in the store can't be read by this version: %s",
                      problems->count ? problems->items[0].message : "no memory");
        else
            result = controller_take_spec(controller, holder, err);
    }
    free(problems);
    spec_holder_release(holder);
    return result;
}

int controller_load(struct controller *controller, struct error *err)
{
    struct arena arena;
    const struct store_record *records = NULL;
    size_t count = 0;
    arena_init(&arena, 0);
    int result = store_load(controller->environment.store, &arena, &records, &count, err);
    for (size_t i = 0; i < count && result == 0; i++)
        result = load_record(controller, &records[i], err);
    arena_finish(&arena);
    return result ? -1 : load_spec(controller, err);
}

static void summarize(const struct controller *controller, struct store_summary *out)
{
    *out = (struct store_summary){.epoch = controller->epoch,
                                  .revision = controller->spec_revision.revision,
                                  .applied_at_ms = controller->spec_revision.applied_at_ms,
                                  .sets = controller->set_count};
    if (controller->spec)
        snprintf(out->federation, sizeof out->federation, "%s", controller->spec->spec.name);
    for (size_t i = 0; i < controller->set_count; i++)
        out->members += controller->sets[i]->set->member_count;
}

int controller_summarize(struct store *store, struct store_summary *out, struct error *err)
{
    struct controller *controller = calloc(1, sizeof *controller);
    if (!controller)
        return error_set(err, ERROR_NO_MEMORY, "no memory to look at a store");
    controller->environment =
        (struct controller_environment){.clock = &clock_system, .random = &random_system, .store = store};
    buffer_init(&controller->spec_text, STORE_RECORD_BYTES_MAX);
    int result = controller_load(controller, err);
    if (result == 0)
        summarize(controller, out);
    controller_destroy(controller);
    return result;
}
