/* Addresses that other zones of this machine hold: of other sandboxes, which have the same zones' numbers and
 * often the same set's name. An address is a neighbour's as long as any process of it lives (agent,
 * supervisor or member), also while nobody listens there: its agent may be starting again, and its members
 * still dial the address. Only the user's own neighbours are seen, and only those in the same network
 * namespace; what others listen at can't be bound anyway. */
#ifndef ATOLL_ZONE_AGENT_LOCAL_NEIGHBOURS_H
#define ATOLL_ZONE_AGENT_LOCAL_NEIGHBOURS_H

#include <stdbool.h>
#include <stddef.h>

enum {
    NEIGHBOURS_MAX = 256,            /* folders of other zones that are looked into */
    NEIGHBOUR_ADDRESSES_MAX = 16384, /* of all of them together */
};

struct neighbours;

/* Looks now: the processes of this machine and the state files of their zones. `dir` is the own zone's
 * folder, `subnet`
 * ("127.0.1") the only one whose addresses matter. NULL when memory is out: then nobody is known. */
struct neighbours *neighbours_look(const char *dir, const char *subnet);
void neighbours_destroy(struct neighbours *neighbours);

/* Whether one of them has this address for a Service or a pod, or had it for a Service. The folder of the
 * zone that has it, or NULL; valid until destroy. */
const char *neighbours_holder(const struct neighbours *neighbours, const char *host, int port);

/* The folder of the zone or sandbox that a command line (arguments, each with a zero byte behind it) belongs
 * to: a substring of it that begins at *start and has *length bytes, or false. *sandbox: it is a
 * supervisor's, whose zones are below it. Pure. */
bool neighbour_folder(const char *line, size_t line_length, const char **start, size_t *length,
                      bool *sandbox);

#endif
