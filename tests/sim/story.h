/* Stories: commands to a simulated world and the narration that they must give, in files that people read
 * (tests/stories).
 *
 *     # what went wrong, or what must hold, and for whom
 *     zones: 3                       settings, before the first command
 *     move-address node2             a command begins its line
 *         mongo-node2 is reached …   what is told while it is carried out, indented; a * marks what a real
 * sandbox must tell too
 *
 * Nothing in a narration says when: times belong to the model. Addresses are told as "address 2a", "address
 * 2b": the first and second of node2. */
#ifndef ATOLL_SIM_STORY_H
#define ATOLL_SIM_STORY_H

#include "controller/serve/event.h"
#include "tests/sim/world.h"

enum {
    STORY_STEPS_MAX = 200,
    STORY_BYTES_MAX = 1 << 20,
    STORY_SETTINGS_MAX = 8,
    STORY_WORDS_MAX = 10,
    STORY_ROWS = 512,
    STORY_FILES_MAX = 1000
};

struct story_step {
    int line;
    char *before; /* comments and empty lines above it */
    char *command;
    struct buffer wanted; /* narration, a line each, as it stands in the file */
    struct buffer told;   /* as it came */
};

struct story {
    const char *path;
    char *text; /* the file; what others point to */
    const char *after;
    struct {
        const char *key, *value;
        int line;
    } settings[STORY_SETTINGS_MAX];
    size_t setting_count;
    struct story_step steps[STORY_STEPS_MAX];
    size_t step_count;
};

/* story.c: the file. Errors name the file and the line. */
int story_read(const char *path, struct story *out, struct error *err);
int story_take(const char *path, const char *text, struct story *out, struct error *err);
void story_finish(struct story *story);
const char *story_setting(const struct story *story, const char *key, const char *fallback);
/* The file as it would be right: what was told in the place of what was wanted; marks stay with their lines.
 */
void story_write(const struct story *story, struct buffer *out);
/* Whether all was told as wanted; else the first difference goes to `out`. */
bool story_compare(const struct story *story, struct buffer *out);

/* A story that is going on. */
struct telling {
    struct story *story;
    struct story_step *step;
    struct world *world;
    bool agents;               /* what agents do is told too */
    bool ended;                /* by `run` */
    bool rows[STORY_ROWS];     /* of the planner that were taken, by number */
    const char *addresses[64]; /* those that were told, in their order */
    size_t address_count;
    struct arena arena;
};

/* story_commands.c: 0, or -1 and an error that says what is wrong with it, or what did not come true. */
int story_do(struct telling *telling, const char *command, struct error *err);
int story_arrange(struct world *world, const struct story *story, struct error *err);

/* A command's words. */
struct words {
    const char *word[STORY_WORDS_MAX];
    size_t count;
};

/* story_conditions.c */
const char *story_word(const struct words *words, size_t at); /* "" when there are fewer */
int story_number(const char *text, int most);                 /* 0 … most, or -1 when it is none */
struct member_slot *story_node(struct world *world, const char *name,
                               struct error *err);                                 /* "node2", "primary" */
struct site *story_zone(struct world *world, const char *name, struct error *err); /* "z1" */
int story_do_wait(struct telling *telling, const struct words *words, struct error *err);
int story_do_expect(struct telling *telling, const struct words *words, struct error *err);

/* story_run.c */
struct story_options {
    bool rewrite, quiet; /* quiet: says only what failed */
};
/* A file or all *.story of a folder. The number of those that failed; each is told on standard output. */
int stories_run(const char *path, const struct story_options *options);
/* The history of a seed as a story, on standard output: with the faults that it needs to fail, when it does.
 * The invariant that it breaks, or 0. */
int story_of_seed(uint64_t seed);
int story_wait(struct telling *telling, bool (*is_so)(struct telling *telling, const char *what),
               const char *what, int64_t most_ms, struct error *err);

/* Called by the hosts; nothing happens when no story is told. */
void story_event(const struct brain *brain, const struct event *event);
void story_note(const struct site *site, const char *sentence);
void story_planned(const struct plan_input *input, const struct plan *plan);

#endif
