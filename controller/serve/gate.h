/* The gate that every request passes before its handler: who asks, how often they may, whether they are
 * allowed to, and, of changes, what is written down of them. The decisions are in controller/trust; here they
 * are put together. */
#ifndef ATOLL_CONTROLLER_SERVE_GATE_H
#define ATOLL_CONTROLLER_SERVE_GATE_H

#include "controller/serve/http.h"
#include "controller/trust/access.h"
#include "controller/trust/audit.h"
#include "controller/trust/rates.h"
#include "controller/trust/sessions.h"
#include "controller/trust/tokens.h"

struct exchange;
struct listener;

enum { GATE_CHANGES_MAX = 64 /* that are under way at once */ };

/* A change between its beginning and its answer. */
struct gate_change {
    const struct listener *listener; /* NULL: a free place */
    uint64_t request_id;
    struct audit_entry entry;
};

struct gate {
    struct store *store; /* of the audit log */
    struct tokens tokens;
    struct sessions sessions;
    struct rates rates;
    struct gate_change changes[GATE_CHANGES_MAX];
    uint64_t refused, limited,
        unwritten; /* requests: not allowed, too many, refusals that the audit log was spared */
};

int gate_init(struct gate *gate, struct store *store, struct error *err);
void gate_finish(struct gate *gate);

/* Whether the exchange's handler may run; fills in exchange->caller. When not, the exchange has been
 * answered. */
bool gate_admits(struct exchange *exchange, enum access_rule rule);

/* A request was answered, or (status 0) its client went away before. */
void gate_answered(struct gate *gate, const struct listener *listener, uint64_t request_id, int status);

/* What an audited change did, or why it did nothing, for its entry; the last word counts. */
void gate_note(struct exchange *exchange, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether a large body is taken for this request, by its head alone: those who haven't shown who they are get
 * room for a join, no more. `for_agent`: it is what an agent sends. */
bool gate_takes_body(struct listener *listener, const struct http_request *head, bool for_agent,
                     struct http_body_terms *terms);

#endif
