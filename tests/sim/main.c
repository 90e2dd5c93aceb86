/* atoll-sim: runs simulated histories and says what they broke. Exit 0: nothing; 1: an invariant was broken,
 * or with --coverage something was never reached; 2: bad usage. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/run.h"
#include "tests/sim/shrink.h"
#include "tests/sim/story.h"

enum { HISTORIES_MOST = 100000000, JOBS_MOST = 64, LOADED_LEAST_PERCENT = 60 };

enum plant plant_active;

static const struct {
    const char *option, *text;
} plants[] = {
    [PLANT_NONE] = {"", ""},
#define X(name, option, text) [PLANT_##name] = {option, text},
#include "proto/base/plants.def"
#undef X
};

static const char usage[] =
    "usage: atoll-sim [--histories N] [--seed S] [--jobs J] [--plant NAME|list] [--coverage] [--json] "
    "[--all]\n"
    "       atoll-sim --seed S --trace [--shrink]\n"
    "       atoll-sim --seed S --shrink\n"
    "       atoll-sim --story FILE|FOLDER [--rewrite]\n"
    "\n"
    "  --histories N   how many (1000); they have the seeds S, S+1, ...\n"
    "  --seed S        the first seed (1); the same seed is the same history, byte for byte\n"
    "  --jobs J        processes (the number of processors)\n"
    "  --trace         tell the one history of seed S\n"
    "  --shrink        leave out the faults that its violation does not need; without --trace: print it as a "
    ".story\n"
    "  --story PATH    tell a story, or all of a folder; what they reach counts for --coverage when "
    "--histories is given\n"
    "  --rewrite       write into each story what was told\n"
    "  --plant NAME    switch a known bug on in the code under test; \"list\" names them\n"
    "  --coverage      how often each fault fired and each decision was taken; what never was fails\n"
    "  --all           go on after a violation and name the seed of each\n"
    "  --json          the summary as JSON\n"
    "\n"
    "Exit: 0 nothing was broken, 1 something was, 2 bad usage.\n";

struct choices {
    struct run_options run;
    bool trace, shrink, coverage, json, histories, rewrite;
    const char *story; /* NULL: none */
};

static int bad(const char *what, const char *value)
{
    fprintf(stderr, "atoll-sim: %s: %s\n%s", what, value, usage);
    return -1;
}

static int number(const char *text, uint64_t most, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || value > most)
        return bad("not a number in bounds", text);
    *out = value;
    return 0;
}

static int choose_plant(const char *name)
{
    if (strcmp(name, "list") == 0) {
        for (int i = PLANT_NONE + 1; i < PLANT_COUNT; i++)
            puts(plants[i].option);
        exit(0);
    }
    for (int i = PLANT_NONE + 1; i < PLANT_COUNT; i++)
        if (strcmp(name, plants[i].option) == 0) {
            plant_active = (enum plant)i;
            return 0;
        }
    return bad("there is no such bug to plant", name);
}

static int take(int option, struct choices *out)
{
    uint64_t value = 0;
    switch (option) {
    case 'n':
        if (number(optarg, HISTORIES_MOST, &value))
            return -1;
        if (value == 0)
            return bad("no history proves nothing", optarg);
        out->run.histories = (int)value;
        out->histories = true;
        return 0;
    case 'S':
        out->story = optarg;
        return 0;
    case 'w':
        out->rewrite = true;
        return 0;
    case 's':
        return number(optarg, UINT64_MAX / 4, &out->run.seed);
    case 'j':
        if (number(optarg, JOBS_MOST, &value))
            return -1;
        if (value == 0)
            return bad("without a job nothing runs", optarg);
        out->run.jobs = (int)value;
        return 0;
    case 'p':
        return choose_plant(optarg);
    case 't':
        out->trace = true;
        return 0;
    case 'k':
        out->shrink = true;
        return 0;
    case 'c':
        out->coverage = true;
        return 0;
    case 'a':
        out->run.all = true;
        return 0;
    case 'o':
        out->json = true;
        return 0;
    default:
        fputs(usage, stderr);
        return -1;
    }
}

static int read_options(int argc, char **argv, struct choices *out)
{
    static const struct option options[] = {{"histories", required_argument, NULL, 'n'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"jobs", required_argument, NULL, 'j'},
                                            {"plant", required_argument, NULL, 'p'},
                                            {"trace", no_argument, NULL, 't'},
                                            {"shrink", no_argument, NULL, 'k'},
                                            {"coverage", no_argument, NULL, 'c'},
                                            {"all", no_argument, NULL, 'a'},
                                            {"story", required_argument, NULL, 'S'},
                                            {"rewrite", no_argument, NULL, 'w'},
                                            {"json", no_argument, NULL, 'o'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            exit(0);
        }
        if (take(option, out))
            return -1;
    }
    return optind < argc ? bad("unknown argument", argv[optind]) : 0;
}

/* ---- telling ---- */

static void tell_story(uint64_t seed, int invariant, bool smaller)
{
    struct planned_fault faults[FAULTS_MAX];
    struct world *world = calloc(1, sizeof *world);
    struct buffer trace;
    if (!world)
        abort();
    the_world = world;
    world_init(world, seed);
    int count = world->fault_count;
    memcpy(faults, world->faults, sizeof faults);
    world_finish(world);
    free(world);
    if (smaller && invariant)
        shrink(seed, invariant, faults, count);
    buffer_init(&trace, 0);
    run_traced(seed, faults, &trace, NULL);
    fputs(buffer_text(&trace), stdout);
    buffer_finish(&trace);
}

static double per_second(const struct tally *tally, double seconds, int jobs)
{
    return seconds > 0 ? (double)tally->histories / seconds / jobs : 0;
}

static void print_json(const struct tally *tally, double seconds, int jobs)
{
    printf(
        "{\"histories\":%llu,\"violations\":%llu,\"invariant\":%d,\"seed\":%llu,\"simulatedDays\":%.2f,"
        "\"faults\":%llu,\"faultsUnderLoad\":%llu,"
        "\"reconfigurations\":%llu,\"elections\":%llu,\"controllerCrashes\":%llu,\"acknowledgedWrites\":%llu,"
        "\"idleHistories\":%llu,\"seconds\":%.1f,\"historiesPerSecondAndCore\":%.0f}\n",
        (unsigned long long)tally->histories, (unsigned long long)tally->violations, tally->invariant,
        (unsigned long long)tally->violated_seed, (double)tally->simulated_ms / 86400000.0,
        (unsigned long long)tally->faults, (unsigned long long)tally->faults_under_load,
        (unsigned long long)tally->reconfigurations, (unsigned long long)tally->elections,
        (unsigned long long)tally->crashes, (unsigned long long)tally->writes,
        (unsigned long long)tally->idle, seconds, per_second(tally, seconds, jobs));
}

static void print_summary(const struct tally *tally, double seconds, int jobs)
{
    printf("%llu histories, %.1f simulated days, %llu faults, %llu reconfigurations, %llu elections, %llu "
           "controller crashes, "
           "%llu acknowledged writes (%llu histories with hardly any)\n",
           (unsigned long long)tally->histories, (double)tally->simulated_ms / 86400000.0,
           (unsigned long long)tally->faults, (unsigned long long)tally->reconfigurations,
           (unsigned long long)tally->elections, (unsigned long long)tally->crashes,
           (unsigned long long)tally->writes, (unsigned long long)tally->idle);
    fprintf(stderr, "%.1f s, %.0f histories a second and core\n", seconds, per_second(tally, seconds, jobs));
}

static int tell(const struct choices *choices, const struct tally *tally, double seconds)
{
    if (choices->json)
        print_json(tally, seconds, choices->run.jobs);
    else
        print_summary(tally, seconds, choices->run.jobs);
    int missing = choices->coverage ? coverage_print(&tally->coverage) : 0;
    if (choices->coverage && tally->faults_under_load * 100 < tally->faults * LOADED_LEAST_PERCENT) {
        printf("only %llu of %llu faults hit a set that its client had written to: NEVER enough\n",
               (unsigned long long)tally->faults_under_load, (unsigned long long)tally->faults);
        missing++;
    }
    if (missing)
        printf("%d faults or decisions were never reached\n", missing);
    if (!tally->invariant)
        return missing ? 1 : 0;
    printf("\nVIOLATION of invariant %d: %s\nseed %llu%s%s; the same again:  atoll-sim --seed %llu "
           "--trace%s%s\n\n",
           tally->invariant, tally->violation, (unsigned long long)tally->violated_seed,
           plant_active ? " with planted " : "", plants[plant_active].option,
           (unsigned long long)tally->violated_seed, plant_active ? " --plant " : "",
           plants[plant_active].option);
    tell_story(tally->violated_seed, tally->invariant, true);
    return 1;
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static struct tally tally;
    struct choices choices = {
        .run = {.seed = 1, .histories = 1000, .jobs = (int)sysconf(_SC_NPROCESSORS_ONLN)}};
    if (read_options(argc, argv, &choices))
        return 2;
    int failed = choices.story
                     ? stories_run(choices.story, &(struct story_options){choices.rewrite, choices.histories})
                     : 0;
    if (failed || (choices.story && !choices.histories))
        return failed ? 1 : 0;
    if (choices.shrink && !choices.trace)
        return story_of_seed(choices.run.seed) ? 1 : 0;
    if (choices.trace) {
        run_traced(choices.run.seed, NULL, NULL, &tally);
        tell_story(choices.run.seed, tally.invariant, choices.shrink);
        return tally.invariant ? 1 : 0;
    }
    choices.run.progress = isatty(2);
    double began_s = now_s();
    run_histories(&choices.run, &tally);
    return tell(&choices, &tally, now_s() - began_s);
}
