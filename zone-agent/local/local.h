/* The driver "local": a zone without Kubernetes, for laptops, plain machines and tests. A disk is a folder, a
 * pod is a mongod process that outlives the agent, a ReplicationController a small file and the habit of
 * starting the process again, and a Service a TCP forwarder on an address of its own.
 *
 *   DIR/disks/NAME/atoll-disk.json   the disk's mark; the data in data/, with atoll-disk.id beside it
 *   DIR/controllers/NAME.json        replicas and template
 *   DIR/services/NAME.json           its address
 *   DIR/pods/NODE.json               {"set","ordinal","name","pid","startTime","bootId","host","port",…}:
 * whoever wants to stop the members without an agent finds them here (pid 0: no process) DIR/pods/NODE.log
 * what the mongod logs DIR/control.sock                 faults, see control.c
 */
#ifndef ATOLL_ZONE_AGENT_LOCAL_LOCAL_H
#define ATOLL_ZONE_AGENT_LOCAL_LOCAL_H

#include <uv.h>

#include "proto/base/clock.h"
#include "zone-agent/driver.h"

struct local_driver_options {
    uv_loop_t *loop;
    const char *dir;    /* absolute; exists; the caller holds its lock */
    const char *subnet; /* "127.0.1": Services get .1 to .127, pods .128 to .254 */
    const char *mongod; /* path of a mongod or of atoll-mongod-sim */
    const struct clock *clock;
    const struct random *random;
    struct driver_events events;
    /* A fault cuts (or heals) the whole zone's network: the caller cuts its link to the controller. Called
     * with `events.context`. */
    void (*zone_cut)(void *context, bool cut);
};

/* Finds what the directory holds, takes running pods over, binds the Services again. Strings are copied. NULL
 * and `err` when the directory can't be used. */
struct driver *local_driver_create(const struct local_driver_options *options, struct error *err);

#endif
