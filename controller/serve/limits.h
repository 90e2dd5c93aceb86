/* How often somebody may ask, and how much of the loop's time the answers may take. One loop hears the agents
 * and answers people: whatever people ask for, agents must be heard. Requests are counted; but what one costs
 * differs a thousandfold (a sign of life; a spec of megabytes that is compared with the one in force), so the
 * processor time that somebody's request took is measured, and charged afterwards. */
#ifndef ATOLL_CONTROLLER_SERVE_LIMITS_H
#define ATOLL_CONTROLLER_SERVE_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

struct exchange;
struct listener;

struct limits_wait {
    int64_t ms;    /* 0: they may */
    bool for_work; /* it was what the answers cost, and not how many they were */
    bool of_all;   /* of all people together */
};

/* Takes a request of exchange->caller's. */
struct limits_wait limits_take(struct exchange *exchange);

/* The same without taking one: for what has only begun. */
struct limits_wait limits_look(const struct exchange *exchange);

/* The caller's request took so much of the loop's time; agents are not charged. */
void limits_charge(struct exchange *exchange, double took_ms);

/* Whether a client from there may shake hands. */
bool limits_take_handshake(struct listener *listener, const char *remote);

/* A number for whoever asks, the same for all requests of one caller (or, of nobody, of one address); 0: of
 * nobody in particular. */
uint64_t limits_caller_hash(const struct exchange *exchange);

#endif
