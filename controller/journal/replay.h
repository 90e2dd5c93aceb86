/* A journal that is read back: the planner runs over each entry again, and what it decides is compared with
 * what was recorded. Pure: the text comes in, results go out. */
#ifndef ATOLL_CONTROLLER_JOURNAL_REPLAY_H
#define ATOLL_CONTROLLER_JOURNAL_REPLAY_H

#include "config/spec.h"
#include "controller/journal/decision.h"
#include "controller/journal/entry.h"

enum { REPLAY_ENTRIES_MAX = 10000, REPLAY_SPECS_MAX = 1000, REPLAY_ARENA_BYTES = 64 << 20 };

struct replay_spec {
    int64_t revision;
    struct spec spec;
    const struct spec_set *set; /* that the journal is of */
};

struct replay {
    struct arena arena; /* of the specs */
    struct json *root;
    const char *set, *federation, *version;
    struct replay_spec *specs;
    size_t spec_count, entry_count;
    const struct json *entries; /* the list; json_first() and json_next() walk it */
};

/* One entry decided anew. Lives in the arena that was given. */
struct replay_result {
    struct entry_stamp stamp;
    int64_t now_ms;
    const struct spec_set *set;
    struct plan plan;            /* what is decided now */
    const struct json *recorded; /* the entry's plan, as it stands in the journal */
    struct decision_difference differences[DECISION_DIFFERENCES_MAX];
    int difference_count;
};

/* ERROR_INVALID or ERROR_TOO_LARGE, with the place, when the text is no journal. The caller closes what was
 * opened. */
int replay_open(const char *text, size_t length, struct replay *out, struct error *err);
void replay_close(struct replay *replay);

/* `place` is the entry's number from 0, for messages. */
int replay_entry(const struct replay *replay, const struct json *entry, size_t place, struct arena *arena,
                 struct replay_result *out, struct error *err);

#endif
