/* A set's journal: the last plans that were another one than before, each with everything that it was made
 * on, so that `atoll replay` reproduces the decision. Kept in memory within two bounds; a restart begins a
 * new one. It is not in the store on purpose: each entry would be a durable write more, and a store that is
 * full must not be made worse by notes. Made by the controller; nothing in it is secret: a spec has no
 * secrets, and observations are what the status shows. */
#ifndef ATOLL_CONTROLLER_JOURNAL_JOURNAL_H
#define ATOLL_CONTROLLER_JOURNAL_JOURNAL_H

#include "controller/journal/entry.h"
#include "proto/base/buffer.h"

enum {
    JOURNAL_ENTRIES_MAX = 256,        /* of one set */
    JOURNAL_BYTES_MAX = 1 << 20,      /* of one set */
    JOURNAL_ALL_BYTES_MAX = 64 << 20, /* of all sets; shared out among them */
    JOURNAL_DOCUMENT_BYTES_MAX =
        8 << 20, /* that is read; what is written is within the bounds above and the specs */
};

#define JOURNAL_API_VERSION "atoll/v1"
#define JOURNAL_KIND "Journal"

struct journal_item {
    char *text;
    size_t length;
    int64_t revision;
};

struct journal_spec {
    struct journal_spec *next;
    int64_t revision;
    char *text; /* as spec_write() makes it, JSON: this set alone, with its zones */
    size_t length;
};

struct journal {
    struct journal_item items[JOURNAL_ENTRIES_MAX]; /* a ring */
    size_t first, count, bytes;
    struct journal_spec *specs; /* those that an item was made on */
    int64_t recorded, dropped;
};

void journal_init(struct journal *journal);
void journal_finish(struct journal *journal);

/* Adds a plan with what it was made on; the oldest go while there are too many or more than `bytes_most`
 * bytes. -1 when memory is out or the entry alone is larger; then it counts as dropped, and nothing else is
 * lost. */
int journal_record(struct journal *journal, const struct plan_input *input, int64_t revision,
                   const struct plan *plan, size_t bytes_most, struct error *err);

/* What the whole journal begins with. */
struct journal_head {
    const char *federation, *set, *version; /* of the controller */
    int64_t started_at_ms;                  /* wall: of the controller, and so of the journal */
};

/* Appends the document: see docs/journal.md. */
int journal_write(const struct journal *journal, const struct journal_head *head, struct buffer *out,
                  struct error *err);

#endif
