/* The agent's only way to the controller: the watched stream of intents, the reports and the heartbeats, over
 * HTTP. It decides nothing: it dials again with backoff and jitter, bounds what it reads, and hands lines and
 * answers on. */
#ifndef ATOLL_ZONE_AGENT_CONTROLLER_LINK_H
#define ATOLL_ZONE_AGENT_CONTROLLER_LINK_H

#include "proto/base/clock.h"
#include "proto/base/http_client.h"
#include "zone-agent/agent.h"

enum {
    LINK_RETRY_FIRST_MS = 100,
    LINK_RETRY_MOST_MS = 3000, /* a controller that comes back is found within that */
    LINK_ANSWER_TIMEOUT_MS = 4000,
};

struct controller_link_events {
    void *context;
    /* A line of the stream. Non-zero: it was refused; the stream is dialled again later. */
    int (*intent)(void *context, const struct intent_event *event, struct error *err);
    void (*answer)(void *context, enum link_message kind, uint64_t id, const struct link_answer *answer);
    int64_t (*revision)(void *context); /* what the agent has: only newer is asked for; 0: everything */
    /* What each request shows and trusts; false: plain HTTP. */
    bool (*tls)(void *context, struct http_tls *out);
    /* Beside an answer: the hash of the CAs in force ("" when it isn't said), and whether our certificate is
     * to be renewed. */
    void (*trust)(void *context, const char *bundle_hash, bool renew);
    /* The stream came up (NULL) or went down, said once for each change. */
    void (*state)(void *context, const struct error *err);
};

struct controller_link;

/* `url` like "http://127.0.0.1:7411" and `zone` are copied. Dials at once. NULL and `err` when it can't. */
struct controller_link *controller_link_create(uv_loop_t *loop, struct http_client *client, const char *url,
                                               const char *zone, const struct random *random,
                                               const struct controller_link_events *events,
                                               struct error *err);

/* Sends a report or heartbeat. `answer` is called at most once, never from within; not at all when the link
 * is destroyed before, or when an older message of this kind is still under way. */
void controller_link_send(struct controller_link *link, enum link_message kind, uint64_t id, const char *text,
                          size_t length);

/* Dials the stream anew, with another certificate or other CAs. */
void controller_link_redial(struct controller_link *link);

/* As if the network to the controller were cut: what is open carries nothing any more, what is new gets no
 * answer. */
void controller_link_cut(struct controller_link *link, bool cut);

/* No more events. The http client must be destroyed afterwards, and the loop run until it has nothing left:
 * then the link's memory is freed. NULL is tolerated. */
void controller_link_destroy(struct controller_link *link);

#endif
