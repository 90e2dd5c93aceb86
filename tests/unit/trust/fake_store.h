/* A store in memory for the tests of this room: a few records, a few lines, and it can be told to fail. */
#ifndef ATOLL_TESTS_UNIT_TRUST_FAKE_STORE_H
#define ATOLL_TESTS_UNIT_TRUST_FAKE_STORE_H

#include <stdbool.h>

#include "controller/act/store.h"

enum { FAKE_RECORDS_MAX = 300, FAKE_LINES_MAX = 16, FAKE_TEXT_MAX = 4096 };

struct fake_store {
    struct store store;
    struct {
        char key[STORE_KEY_MAX], text[FAKE_TEXT_MAX];
    } records[FAKE_RECORDS_MAX];
    struct {
        char text[FAKE_TEXT_MAX];
        bool ended;
    } lines[FAKE_LINES_MAX];
    size_t record_count, line_count;
    bool fails;
};

/* Empties it. */
void fake_store_init(struct fake_store *store);
/* All that it holds, one record or line after the other, in `out`. */
void fake_store_dump(const struct fake_store *store, char *out, size_t size);

#endif
