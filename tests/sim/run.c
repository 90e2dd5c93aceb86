/* Many histories: one process runs every so-manieth of them, and tells at the end what it found. */
#include "tests/sim/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { JOBS_MOST = 64, PROGRESS_EVERY = 200, WRITES_LEAST = 5 };

static void count_world(const struct world *world, struct tally *tally)
{
    tally->histories++;
    tally->simulated_ms += (uint64_t)world->now_ms;
    for (int i = 0; i < world->fault_count; i++)
        tally->faults += world->faults[i].fired;
    tally->faults_under_load += (uint64_t)world->faults_under_load;
    tally->reconfigurations += (uint64_t)world->reconfigurations;
    tally->elections += (uint64_t)world->elections;
    tally->crashes += (uint64_t)world->crashes;
    tally->writes += (uint64_t)world->acked_count;
    tally->idle += world->acked_count < WRITES_LEAST;
    if (!world->violated)
        return;
    tally->violations++;
    snprintf(tally->latest, sizeof tally->latest, "%d: %s", world->violated, world->violation);
    if (tally->invariant && tally->violated_seed < world->seed)
        return;
    tally->invariant = world->violated;
    tally->violated_seed = world->seed;
    memcpy(tally->violation, world->violation, sizeof tally->violation);
}

int run_traced(uint64_t seed, const struct planned_fault *faults, struct buffer *trace, struct tally *out)
{
    struct world *world = calloc(1, sizeof *world);
    if (!world)
        abort();
    the_world = world;
    world_init(world, seed);
    for (int i = 0; faults && i < world->fault_count; i++) {
        world->faults[i].dropped = faults[i].dropped;
        world->faults[i].lasts_ms = faults[i].lasts_ms;
    }
    world->tracing = trace != NULL;
    world->trace = trace;
    world_run(world);
    if (out)
        count_world(world, out);
    int violated = world->violated;
    world_finish(world);
    free(world);
    return violated;
}

static void work(const struct run_options *options, int job, struct tally *tally)
{
    uint64_t before = 0;
    for (int i = job; i < options->histories; i += options->jobs) {
        uint64_t seed = options->seed + (uint64_t)i;
        if (run_traced(seed, NULL, NULL, tally) && !options->all)
            break;
        if (options->all && tally->violations > before)
            fprintf(stderr, "seed %llu breaks invariant %s\n", (unsigned long long)seed, tally->latest);
        before = tally->violations;
        if (options->progress && job == 0 && i % (PROGRESS_EVERY * options->jobs) == 0)
            fprintf(stderr, "\r%d of %d histories", i, options->histories);
    }
    if (options->progress && job == 0)
        fprintf(stderr, "\r\033[K");
    coverage_collect(&tally->coverage);
}

static void add(struct tally *sum, const struct tally *more)
{
    sum->histories += more->histories;
    sum->simulated_ms += more->simulated_ms;
    sum->faults += more->faults;
    sum->faults_under_load += more->faults_under_load;
    sum->reconfigurations += more->reconfigurations;
    sum->elections += more->elections;
    sum->crashes += more->crashes;
    sum->writes += more->writes;
    sum->idle += more->idle;
    sum->violations += more->violations;
    coverage_add(&sum->coverage, &more->coverage);
    if (!more->invariant || (sum->invariant && sum->violated_seed < more->violated_seed))
        return;
    sum->invariant = more->invariant;
    sum->violated_seed = more->violated_seed;
    memcpy(sum->violation, more->violation, sizeof sum->violation);
}

static void read_whole(int fd, struct tally *out)
{
    char *at = (char *)out;
    for (size_t done = 0; done < sizeof *out;) {
        ssize_t got = read(fd, at + done, sizeof *out - done);
        if (got <= 0) {
            fprintf(stderr, "atoll-sim: a job broke off\n");
            exit(3);
        }
        done += (size_t)got;
    }
}

static void write_whole(int fd, const struct tally *tally)
{
    const char *at = (const char *)tally;
    for (size_t done = 0; done < sizeof *tally;) {
        ssize_t put = write(fd, at + done, sizeof *tally - done);
        if (put <= 0)
            _exit(3);
        done += (size_t)put;
    }
}

static int begin_job(const struct run_options *options, int job)
{
    int ends[2];
    if (pipe(ends)) {
        perror("atoll-sim: pipe");
        exit(3);
    }
    pid_t child = fork();
    if (child < 0) {
        perror("atoll-sim: fork");
        exit(3);
    }
    if (child == 0) {
        static struct tally tally;
        close(ends[0]);
        work(options, job, &tally);
        write_whole(ends[1], &tally);
        _exit(0);
    }
    close(ends[1]);
    return ends[0];
}

void run_histories(const struct run_options *options, struct tally *out)
{
    static struct tally more;
    int ends[JOBS_MOST];
    memset(out, 0, sizeof *out);
    fflush(stdout);
    fflush(stderr);
    if (options->jobs == 1) { /* in this very process: for debuggers and profilers */
        work(options, 0, out);
        return;
    }
    for (int job = 0; job < options->jobs; job++)
        ends[job] = begin_job(options, job);
    for (int job = 0; job < options->jobs; job++) {
        read_whole(ends[job], &more);
        close(ends[job]);
        add(out, &more);
    }
    while (wait(NULL) > 0)
        ;
}
