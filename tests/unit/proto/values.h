/* For the tests of proto/: random values from a seed, and comparison field by field, written by hand and not
 * by the tables of proto/fields.c, so that a field that a table forgets is noticed. */
#ifndef ATOLL_TESTS_PROTO_VALUES_H
#define ATOLL_TESTS_PROTO_VALUES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/base/arena.h"
#include "proto/base/buffer.h"
#include "proto/base/json.h"
#include "proto/model.h"

struct seeded {
    uint64_t state;
    struct arena *arena;
};

uint64_t seeded_next(struct seeded *random);
uint64_t seeded_below(struct seeded *random, uint64_t limit);

struct replica_config random_config(struct seeded *random);
struct intent random_intent(struct seeded *random);
struct report random_report(struct seeded *random);
struct heartbeat random_heartbeat(struct seeded *random);

/* Each fails the test at the first field that differs. */
void assert_config_same(const struct replica_config *a, const struct replica_config *b);
void assert_intent_same(const struct intent *a, const struct intent *b);
void assert_report_same(const struct report *a, const struct report *b);
void assert_heartbeat_same(const struct heartbeat *a, const struct heartbeat *b);

/* print_message(report, &report, &text): the text of a report, heartbeat or intent; the caller finishes
 * `out`. */
#define print_message(kind, value, out)                                                                      \
    (buffer_init((out), 0), printed(kind##_print((value), (out), &(struct error){.message = ""}), (out)))

static inline const char *printed(int result, const struct buffer *out)
{
    assert_int_equal(result, 0);
    return buffer_text(out);
}

#endif
