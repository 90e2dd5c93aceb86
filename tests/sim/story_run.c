/* Tells stories: a world that does what the commands say, and everything that is told meanwhile; see story.h.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/journal/decision.h"
#include "controller/journal/entry.h"
#include "tests/sim/faults.h"
#include "tests/sim/run.h"
#include "tests/sim/shrink.h"
#include "tests/sim/story.h"

static struct telling *told; /* the one that is going on */

/* ---- what is told ---- */

/* Addresses of the model are 10.0.ORDINAL.N:27017. */
static long ordinal_of(const char *address)
{
    return strtol(address + strlen("10.0."), NULL, 10);
}

/* Each address by whose it is and which of its addresses: what the load balancers of a model hand out is no
 * news. */
static const char *address_name(struct telling *telling, const char *address, size_t length)
{
    long ordinal = ordinal_of(address);
    int letter = 'a';
    size_t at = 0;
    while (at < telling->address_count &&
           (strncmp(telling->addresses[at], address, length) != 0 || telling->addresses[at][length] != '\0'))
        at++;
    if (at == telling->address_count && at < sizeof telling->addresses / sizeof *telling->addresses)
        telling->addresses[telling->address_count++] = arena_string_n(&telling->arena, address, length);
    for (size_t i = 0; i < at; i++) {
        letter += ordinal_of(telling->addresses[i]) == ordinal;
    }
    return arena_printf(&telling->arena, "address %ld%c", ordinal, letter);
}

static void append(struct buffer *out, const char *who, const char *text, int rule)
{
    if (*who)
        buffer_printf(out, "%s: ", who);
    while (*text) {
        const char *found = strstr(text, "10.0.");
        size_t before = found ? (size_t)(found - text) : strlen(text);
        buffer_append(out, text, before);
        text += before;
        if (found) {
            size_t length = strspn(text, "0123456789.:");
            while (strchr(".:", text[length - 1]))
                length--;
            buffer_append_text(out, address_name(told, text, length));
            text += length;
        }
    }
    if (rule)
        buffer_printf(out, " (row %d)", rule);
    buffer_append_text(out, "\n");
}

/* What begins to be waited for again and again is told once. */
static void tell(const char *who, const char *text, int rule, bool once)
{
    struct buffer *out = &told->step->told, line;
    buffer_init(&line, 0);
    append(&line, who, text, rule);
    const char *before = strstr(buffer_text(out), buffer_text(&line));
    bool again = before && (before == buffer_text(out) || before[-1] == '\n');
    if (!once || !again)
        buffer_append(out, line.data, line.length);
    buffer_finish(&line);
}

/* What a set waits for moves on with every second; these waits of it, and of its members, are the turns of a
 * story. */
static bool is_a_turn(const struct event *event)
{
    static const int of_members[] = {203, 210, 211, 213, 215, 216, 229};
    static const int too_busy[] = {34, 45, 46, 47, 90};
    for (size_t i = 0; *event->member && i < sizeof of_members / sizeof *of_members; i++)
        if (event->rule == of_members[i])
            return true;
    for (size_t i = 0; i < sizeof too_busy / sizeof *too_busy; i++)
        if (event->rule == too_busy[i])
            return false;
    return !*event->member;
}

static bool is_worth_telling(const struct event *event)
{
    switch (event->reason) {
    case EVENT_WAIT_BEGAN:
        return is_a_turn(event);
    case EVENT_WAIT_ENDED:
    case EVENT_ZONE_CONNECTED:
    case EVENT_CONDITION_TRUE:
    case EVENT_CONDITION_LOST:
    case EVENT_MEMBER_PHASE_CHANGED:
    case EVENT_MEMBER_STATE_CHANGED:
    case EVENT_ADDRESS_ASSIGNED:
    case EVENT_ACTION_SUCCEEDED:
    case EVENT_CONFIGURATION_CHANGED:
        return false;
    default:
        return true;
    }
}

void story_event(const struct brain *brain, const struct event *event)
{
    if (told && is_worth_telling(event))
        tell(brain->index ? "the old controller" : "", event->message, event->rule,
             event->reason == EVENT_WAIT_BEGAN || event->reason == EVENT_ACTION_STARTED);
}

void story_note(const struct site *site, const char *sentence)
{
    if (told && told->agents)
        tell(site->name, sentence, 0, false);
}

/* Every plan of a story is written as the journal writes it, read back and made again: it must be the same.
 */
static void check_replay(const struct plan_input *input, const struct plan *plan)
{
    const struct entry_stamp stamp = {1, 1};
    struct json *entry = entry_write(&stamp, input, plan);
    struct entry_stamp read_stamp;
    struct entry_input *read = calloc(1, sizeof *read);
    struct plan *again = calloc(1, sizeof *again);
    struct decision_difference differences[DECISION_DIFFERENCES_MAX];
    struct error err = {0};
    struct arena arena;
    arena_init(&arena, 0);
    if (entry_read(entry, input->set->name, &arena, &read_stamp, read, &err)) {
        violate(told->world, 13, "a plan can't be read back from the journal: %s", err.message);
    } else {
        struct plan_input same = *input;
        same.observation = &read->observation;
        same.ledger = &read->ledger;
        same.previous = read->has_previous ? &read->previous : NULL;
        plan_set(&same, &arena, again, &err);
        struct json *decided = decision_write(again);
        if (decision_compare(json_get(entry, "plan"), decided, &arena, differences) > 0)
            violate(told->world, 13, "the journal does not replay: %s was \"%s\" and is \"%s\"",
                    differences[0].path, differences[0].recorded, differences[0].decided);
        json_destroy(decided);
    }
    json_destroy(entry);
    arena_finish(&arena);
    free(read);
    free(again);
}

void story_planned(const struct plan_input *input, const struct plan *plan)
{
    if (!told)
        return;
    told->rows[plan->rule] = true;
    for (size_t i = 0; i < plan->member_count; i++)
        told->rows[plan->members[i].rule] = true;
    check_replay(input, plan);
}

/* ---- going on ---- */

static int say_violation(const struct world *world, struct error *err)
{
    return error_set(err, ERROR_CONFLICT, "breaks invariant %d: %s", world->violated, world->violation);
}

int story_wait(struct telling *telling, bool (*is_so)(struct telling *telling, const char *what),
               const char *what, int64_t most_ms, struct error *err)
{
    struct world *world = telling->world;
    int64_t until_ms = world->now_ms + most_ms;
    while (!is_so(telling, what)) {
        if (world->now_ms > until_ms)
            return error_set(err, ERROR_TIMEOUT, "did not come true within %lld s",
                             (long long)most_ms / 1000);
        world_turn(world);
        if (world->violated)
            return say_violation(world, err);
    }
    return 0;
}

/* What was told before the end is kept, so that a story that fails can be read too. */
static int go(struct telling *telling, struct error *err)
{
    struct story *story = telling->story;
    struct story_step unheard = {.line = 1};
    telling->step = &unheard;
    bool begins_healthy = strcmp(story_setting(story, "begins", ""), "healthy") == 0;
    int result = begins_healthy ? story_do(telling, "wait healthy", err) : 0;
    buffer_finish(&unheard.told);
    if (result)
        return error_wrap(err, "%s: its beginning", story->path);
    for (size_t i = 0; i < story->step_count; i++) {
        telling->step = &story->steps[i];
        if (story_do(telling, telling->step->command, err))
            return error_wrap(err, "%s:%d: %s", story->path, telling->step->line, telling->step->command);
    }
    return 0;
}

static int play(struct story *story, struct error *err)
{
    struct telling *telling = calloc(1, sizeof *telling);
    struct world *world = calloc(1, sizeof *world);
    const char *history = story_setting(story, "history", "");
    int result = 0;
    if (!telling || !world)
        abort();
    *telling = (struct telling){.story = story, .world = world};
    arena_init(&telling->arena, 0);
    the_world = world;
    if (*history)
        world_init(world, strtoull(history, NULL, 10));
    else
        world_init_quiet(world, strtoull(story_setting(story, "seed", "1"), NULL, 10));
    for (int i = 0; i < world->fault_count; i++)
        world->faults[i].dropped = true; /* but for those that the story names */
    if (!*history)
        result = story_arrange(world, story, err);
    if (result == 0 && !*history)
        world_begin(world);
    if (result == 0) {
        told = telling;
        result = go(telling, err);
        told = NULL;
    }
    world_finish(world);
    the_world = NULL;
    arena_finish(&telling->arena);
    free(world);
    free(telling);
    return result;
}

/* ---- files ---- */

static void print_told(const struct story *story)
{
    for (size_t i = 0; i < story->step_count; i++) {
        printf("  %s\n", story->steps[i].command);
        for (const char *line = buffer_text(&story->steps[i].told); *line; line += strcspn(line, "\n") + 1)
            printf("      %.*s\n", (int)strcspn(line, "\n"), line);
    }
}

static int rewrite(const struct story *story)
{
    struct buffer text;
    buffer_init(&text, 0);
    story_write(story, &text);
    FILE *file = fopen(story->path, "w");
    int failed = !file || fputs(buffer_text(&text), file) < 0;
    if (!file || fclose(file))
        failed = 1;
    if (failed)
        perror(story->path);
    buffer_finish(&text);
    return failed;
}

static int run_file(const char *path, const struct story_options *options)
{
    struct story story;
    struct error err = {0};
    struct buffer difference;
    int failed = 0;
    if (story_read(path, &story, &err)) {
        printf("FAILED  %s\n", err.message);
        return 1;
    }
    buffer_init(&difference, 0);
    if (play(&story, &err)) {
        printf("FAILED  %s\n", err.message);
        print_told(&story);
        failed = 1;
    } else if (!story_compare(&story, &difference)) {
        failed = options->rewrite ? rewrite(&story) : 1;
        printf(failed ? "FAILED  %s" : "rewritten, it was another one: %s", buffer_text(&difference));
        if (failed)
            printf("  Meant? atoll-sim --story %s --rewrite\n", path);
    } else if (!options->quiet) {
        printf("ok      %s\n", path);
    }
    buffer_finish(&difference);
    story_finish(&story);
    return failed;
}

static int is_story(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return length > 6 && strcmp(entry->d_name + length - 6, ".story") == 0;
}

int stories_run(const char *path, const struct story_options *options)
{
    struct dirent **names = NULL;
    int count = scandir(path, &names, is_story, alphasort), failed = 0;
    if (count < 0)
        return run_file(path, options);
    if (count == 0) {
        printf("FAILED  %s: there is no *.story\n", path);
        failed = 1;
    }
    for (int i = 0; i < count; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
        failed += run_file(file, options);
        free(names[i]);
    }
    free(names);
    return failed;
}

/* ---- a seed becomes a story ---- */

static int faults_of(uint64_t seed, struct planned_fault faults[FAULTS_MAX])
{
    struct world *world = calloc(1, sizeof *world);
    if (!world)
        abort();
    the_world = world;
    world_init(world, seed);
    int count = world->fault_count;
    memcpy(faults, world->faults, sizeof world->faults);
    world_finish(world);
    free(world);
    the_world = NULL;
    return count;
}

static void write_history(uint64_t seed, int invariant, const char *violation,
                          const struct planned_fault *faults, int count, struct buffer *out)
{
    buffer_printf(out, "# Seed %llu", (unsigned long long)seed);
    if (invariant)
        buffer_printf(out, " breaks invariant %d: %s", invariant, violation);
    buffer_printf(out,
                  "\n# The faults of its history that it needs%s. Say here what went wrong, and for whom; "
                  "once it is mended,\n"
                  "# atoll-sim --story FILE --rewrite writes the narration anew.\nhistory: %llu\n\n",
                  invariant ? " to break it are left" : "", (unsigned long long)seed);
    for (int i = 0; i < count; i++)
        if (!faults[i].dropped)
            buffer_printf(out, "fault %d %s for %.3f s\n", i + 1, fault_name(faults[i].kind),
                          (double)faults[i].lasts_ms / 1000);
    buffer_append_text(out, "run\n");
}

/* Told once, so that the narration until the violation stands in it. */
static void print_as_told(const char *text)
{
    struct story story;
    struct error err = {0};
    struct buffer out;
    if (story_take("history", text, &story, &err))
        abort();
    play(&story, &err);
    buffer_init(&out, 0);
    story_write(&story, &out);
    fputs(buffer_text(&out), stdout);
    buffer_finish(&out);
    story_finish(&story);
}

int story_of_seed(uint64_t seed)
{
    static struct tally tally;
    struct planned_fault faults[FAULTS_MAX];
    struct buffer text;
    int invariant = run_traced(seed, NULL, NULL, &tally), count = faults_of(seed, faults);
    if (invariant)
        shrink(seed, invariant, faults, count);
    buffer_init(&text, 0);
    write_history(seed, invariant, tally.violation, faults, count, &text);
    print_as_told(buffer_text(&text));
    buffer_finish(&text);
    return invariant;
}
