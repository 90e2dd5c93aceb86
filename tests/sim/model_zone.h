/* The model of a zone: what it holds, the driver that shows it, the agent that it hosts, and the way to the
 * controller. site.c, pod.c, host.c, link.c */
#ifndef ATOLL_SIM_MODEL_ZONE_H
#define ATOLL_SIM_MODEL_ZONE_H

#include "tests/sim/model_mongod.h"
#include "tests/sim/model_trust.h"
#include "zone-agent/agent.h"

struct world;
struct brain;

struct disk {
    bool exists, used, held_data;
    char id[UUID_TEXT_MAX];
    char mark[25];
    int64_t ready_ms;
    struct data *data;
};

struct member_slot {
    int ordinal, zone;
    struct disk disk;
    bool service;
    char address[HOST_MAX];
    int64_t address_ms; /* since when */
    bool controller;
    int replicas;
    char bound[UUID_TEXT_MAX];
    bool pod, running, ready, terminating, pod_pending;
    uint64_t pod_life;
    int64_t restarts,
        lost_self_ms; /* `lost_self_ms`: since when its mongod does not find itself at its own address */
    struct node node;
    int64_t disowned_ms;           /* since when its own agent is not let in */
    struct papers brought, loaded; /* certificate and keyfile: beside its pod, and in its mongod */
    /* Faults in force; counters, since they may overlap. */
    int no_address, no_pod, slow_start, slow_sync, slow_disk, no_quota, too_stale, other_version, disk_failed,
        foreign_object;
    struct disk own_disk; /* kept beside while another replica set's is in its place */
    bool disk_stale, service_stale, controller_stale, secrets_stale; /* edited by somebody */
    bool disk_small;
};

/* What the agent's driver shows of a slot: a copy, so that a watch can be stale. */
struct slot_seen {
    bool disk_exists, disk_used, disk_ready, disk_failed, service, controller, pod, running, ready,
        terminating;
    bool foreign, disk_stale, disk_small, service_stale, controller_stale, secrets_stale;
    char disk_id[UUID_TEXT_MAX], mark[25], address[HOST_MAX];
    int replicas, serial;
    char key_id[KEYFILE_ID_MAX], brought_key_id[KEYFILE_ID_MAX];
    uint64_t life;
    int64_t restarts;
};

/* What an agent has of a member's identity, and wants of it: the key is a file of its own. */
struct identity {
    int key;           /* 0: none was made */
    int wanted_serial; /* of the intent's certificate; 0: none yet */
    char wanted_key_id[KEYFILE_ID_MAX];
    bool named;        /* by the intent */
    uint64_t password; /* the last probe's */
    bool reload;
};

struct saved {
    char name[24];
    char *text;
    size_t length;
};

struct site {
    struct driver driver;
    struct world *world;
    int zone;
    char name[8];
    struct agent *agent; /* NULL: it is dead */
    uint64_t life, wake;
    int64_t complete_ms; /* when the driver has seen the zone once after its start */
    struct saved files[2];
    struct identity identities[ORDINALS_MAX + 1];
    uint32_t authorities, former_authorities; /* that its members are to believe; a file, too */
    struct slot_seen seen[ORDINALS_MAX + 1];
    int fuse;               /* effects until the agent dies in the middle of a step; -1: none */
    bool dying;             /* nothing that it does has an effect any more */
    int64_t accepted_epoch; /* the highest that an intent or bookmark was obeyed with, over lives */
    bool stream_open;
    uint64_t stream;
    int64_t stream_revision, stream_busy_ms;
    int down, cut_up, cut_down, stale, refuses, slow, lossy, cut_agent;
    bool lost;
};

/* link.c: between controller and agents */
void link_message(struct world *world, const struct happening *happening);
void link_answer(struct world *world, const struct happening *happening);
void link_stream(struct world *world, const struct happening *happening);
void link_intent(struct world *world, const struct happening *happening);
void link_news(struct brain *brain, const char *zone);
void link_send(void *context, enum link_message kind, uint64_t id, const char *text, size_t length);
void link_break(struct site *site);

/* host.c: hosts a real agent */
void agent_host_start(struct site *site);
void agent_host_kill(struct site *site);
void agent_host_forget(struct site *site); /* its files are gone */
bool agent_effect(struct site *site);      /* whether an effect of it still counts */
void agent_bury(struct site *site);        /* after each call into it: what began dying in that is dead now */
void agent_host_wake(struct site *site, const struct happening *happening);
bool agent_host_admits(const struct member_slot *slot); /* its mongod, its zone's agent */
void agent_host_probe(struct site *site, const struct happening *happening);

/* site.c: what a zone holds, and the simulated driver */
extern const struct driver_functions site_functions;
void site_changed(struct world *world, int zone);
void site_told(struct world *world, const struct happening *happening);
void site_step(struct world *world, const struct happening *happening);
void site_look(struct site *site);
void service_address(struct world *world, struct member_slot *slot);
void disk_clear(struct world *world, struct member_slot *slot, bool exists);

/* pod.c */
void pod_manage(struct world *world, struct member_slot *slot);
void pod_turn(struct world *world, const struct happening *happening);
void pod_kill(struct world *world, struct member_slot *slot, int64_t back_ms);
void pod_delete(struct world *world,
                struct member_slot *slot); /* it ends in its own time, another one comes */
void pod_remove(struct world *world, struct member_slot *slot);

#endif
