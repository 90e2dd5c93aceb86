/* What the parts of the local driver share: driver.c (table of functions, members), disk.c, pod.c, service.c
 * with forward.c, control.c. */
#ifndef ATOLL_ZONE_AGENT_LOCAL_LOCAL_INTERNAL_H
#define ATOLL_ZONE_AGENT_LOCAL_LOCAL_INTERNAL_H

#include <stdio.h>
#include <uv.h>

#include "proto/base/json.h"
#include "proto/base/pki.h"
#include "zone-agent/local/control_order.h"
#include "zone-agent/local/local.h"

enum {
    LOCAL_PATH_MAX = 1024,
    LOCAL_MEMBERS_MAX = 2 * ZONE_MEMBERS_MAX,
    LOCAL_NAME_MAX = 255,
    LOCAL_HOST_MAX = 24,                /* an IPv4 address, made of any number */
    LOCAL_STATE_BYTES_MAX = 256 * 1024, /* of one state file */
    LOCAL_SERVICE_FIRST = 1,
    LOCAL_SERVICE_LAST = 127,
    LOCAL_POD_FIRST = 128,
    LOCAL_POD_LAST = 254,
    LOCAL_RESTART_FIRST_MS = 500,
    LOCAL_RESTART_MOST_MS = 10000,   /* the first restart is at once */
    LOCAL_POD_STEADY_MS = 10000,     /* one that ran so long is restarted at once again */
    LOCAL_POD_GRACE_MS = 30000,      /* from SIGTERM to SIGKILL, as Kubernetes does */
    LOCAL_READY_CHECK_MS = 25,       /* whether a started pod listens */
    LOCAL_LOOK_MS = 2000,            /* disks without a pod are looked at so often */
    LOCAL_USAGE_MS = 30000,          /* used bytes are counted so often */
    LOCAL_CONNECTIONS_MAX = 1024,    /* of one Service */
    LOCAL_ADDRESS_TRIES = 8,         /* for a pod, while other sandboxes choose theirs */
    LOCAL_FORWARD_BYTES = 16 * 1024, /* in flight in one direction of a connection */
};

struct local_driver;
struct local_member;

struct local_disk {
    bool exists, used, adopted;
    bool filled; /* was seen with data in it */
    char name[LOCAL_NAME_MAX + 1], id[UUID_TEXT_MAX], replica_set_id[NAME_LENGTH_MAX + 1];
    int64_t size_bytes, used_bytes;
};

/* The ReplicationController: replicas and template. A pod is only started on the disk that it was scaled up
 * for, as a claim is bound to one volume. */
struct local_controller {
    bool exists;
    int replicas, port;
    char name[LOCAL_NAME_MAX + 1], disk_id[UUID_TEXT_MAX];
    int64_t storage_bytes;
    char key_id[NAME_LENGTH_MAX + 1];       /* of the keyfile that secrets/NODE.key holds; "": none */
    char certificate_id[PKI_HASH_TEXT_MAX]; /* of the certificate in secrets/NODE.pem; "": none, it speaks no
                                               TLS */
    char *arguments[MONGOD_ARGUMENTS_MAX];
    size_t argument_count;
};

struct local_pod {
    char name[LOCAL_NAME_MAX + 1]; /* "": there is no pod */
    char host[LOCAL_HOST_MAX];
    int port;
    int pid;             /* 0: no process */
    uint64_t start_time; /* /proc/PID/stat, field 22 */
    uint64_t incarnation;
    bool ready, terminating;
    int64_t restarts, started_at_ms;
    unsigned failures;
    char last_exit[512];
    char key_id[NAME_LENGTH_MAX + 1]; /* of the keyfile that it was started with */
    int pidfd;                        /* -1: none */
    uv_process_t *process;            /* our own child; NULL when it was taken over */
    uv_poll_t *watch;                 /* of a taken over one */
    uv_timer_t restart, kill, check;
    uv_tcp_t *dialing; /* the check whether it listens */
};

struct connection;

enum { LOCAL_FORMER_MAX = 8 };

/* An address that a Service moved away from and keeps from others: see service.c. */
struct local_former {
    char host[LOCAL_HOST_MAX];
    int fd; /* bound, so that nobody else gets it; -1: somebody had it first */
};

struct local_service {
    bool exists;
    char name[LOCAL_NAME_MAX + 1], host[LOCAL_HOST_MAX], address[HOST_LENGTH_MAX];
    int port;
    uv_tcp_t *listener; /* NULL while it has no address */
    bool waiting;       /* a connection waits to be accepted, while the network is cut */
    struct local_former former[LOCAL_FORMER_MAX]; /* the oldest first */
    size_t former_count;
    struct connection *connections;
    size_t connection_count;
    enum fault fault; /* of this member alone */
    int64_t slow_ms;
};

struct local_member {
    struct local_member *next;
    struct local_driver *driver;
    char set[NAME_LENGTH_MAX + 1], node[LOCAL_NAME_MAX + 1];
    int ordinal;
    struct local_disk disk;
    struct local_controller controller;
    struct local_pod pod;
    struct local_service service;
    char wanted_key_id[NAME_LENGTH_MAX + 1], wanted_certificate_id[PKI_HASH_TEXT_MAX]; /* the intent's */
    struct problem problem; /* code "" or a literal; message in problem_text */
    char problem_text[ERROR_MESSAGE_MAX];
};

struct completion {
    struct completion *next;
    uint64_t step_id;
    bool failed;
    struct error err;
};

struct control_peer;

struct local_driver {
    struct driver base;
    uv_loop_t *loop;
    struct clock clock;
    struct random random;
    struct driver_events events;
    void (*zone_cut)(void *context, bool cut);
    char dir[LOCAL_PATH_MAX], subnet[LOCAL_HOST_MAX], mongod[LOCAL_PATH_MAX], boot_id[64];
    struct local_member *members;
    size_t member_count;
    bool changed, closing;
    struct completion *completions, **completions_end;
    uv_timer_t later; /* due at once: completions, `changed` */
    uv_timer_t look, usage;
    uv_work_t usage_work;
    bool usage_under_way;
    enum fault fault; /* of the whole zone */
    int64_t slow_ms;
    uint64_t last_incarnation;
    uv_pipe_t control;
    bool control_open;
    int control_folder; /* -1 unless the socket's path is long */
    struct control_peer *control_peers;
    size_t control_peer_count;
    int open_handles; /* until their close callbacks */
    void (*closed)(void *context);
    void *closed_context;
};

/* usage.c */
void local_usage_count(uv_timer_t *timer); /* a timer's callback, whose data is the driver */

/* driver.c and members.c */
void local_changed(struct local_driver *driver);
void local_handle_opened(struct local_driver *driver);
void local_handle_closed(struct local_driver *driver); /* the driver may be gone afterwards */
struct local_member *local_member_find(struct local_driver *driver, const char *set, int ordinal);
struct local_member *local_member_get(struct local_driver *driver, const char *set, int ordinal,
                                      const char *node);
void local_problem(struct local_member *member, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void local_problem_clear(struct local_member *member, const char *code);
int local_path(const struct local_driver *driver, char out[LOCAL_PATH_MAX], const char *folder,
               const char *name, const char *suffix, struct error *err);
bool local_name_is_safe(const char *name);

/* State files: JSON objects. local_save takes `json` over. */
int local_save(const struct local_driver *driver, const char *folder, const char *name, struct json *json,
               struct error *err);
struct json *local_load(const char *path, struct error *err);
void local_copy(char *out, size_t size, const char *text);

/* disk.c */
int local_disk_create(struct local_member *member, const struct intent_member *wanted, struct error *err);
int local_disk_load(struct local_driver *driver, const char *name, struct error *err);
int local_disk_mark(struct local_member *member, const char *replica_set_id, struct error *err);
int local_disk_set_used(struct local_member *member, struct error *err);
void local_disk_note_filled(struct local_member *member);
/* Looks whether the disk is still the one that it was; gives it another id when its content is gone. Only
 * while no pod runs. */
void local_disk_look(struct local_member *member);
int64_t local_disk_usage(const char *data_path); /* bytes; blocks: for a worker thread */
int local_disk_data_path(const struct local_member *member, char out[LOCAL_PATH_MAX], struct error *err);

/* pod.c */
void local_pod_init(struct local_member *member);
void local_pod_close(struct local_member *member);
int local_pod_load(struct local_driver *driver, const char *name, struct error *err);
void local_pod_manage(struct local_member *member); /* brings the process to what the controller asks for */
/* pod_start.c */
void local_pod_make_name(struct local_member *member);
int local_pod_find_address(struct local_member *member, struct error *err);
/* Whether another sandbox chose the same address at the same moment, and keeps it. Asked once the state file
 * has it. */
bool local_pod_must_yield(const struct local_member *member);
int local_pod_spawn(struct local_member *member, uv_exit_cb on_exit,
                    struct error *err); /* sets pid, pidfd, process */

bool local_pod_exists(const struct local_member *member);

/* controllers.c */
int local_controller_apply(struct local_member *member, const struct step *step, int replicas,
                           struct error *err);
int local_controller_scale(struct local_member *member, int replicas, struct error *err);
int local_controller_delete(struct local_member *member, struct error *err);
int local_controller_load(struct local_driver *driver, const char *name, struct error *err);
void local_controller_forget(struct local_member *member);

/* secrets.c: what only its mongod may read, files of mode 0600 in secrets/ */
int local_secrets_write(struct local_member *member, const struct step *step, struct error *err);
/* The file that a mongod of `version` is started with: before 4.2 one of its own, with the first key alone.
 */
int local_secrets_keyfile(const struct local_member *member, const char *version, char out[LOCAL_PATH_MAX],
                          struct error *err);
/* Certificate and key in one file, and the CAs in another. */
int local_secrets_certificate(const struct local_member *member, char pem[LOCAL_PATH_MAX],
                              char ca[LOCAL_PATH_MAX], struct error *err);
void local_secrets_delete(struct local_member *member);

/* service.c */
int local_service_create(struct local_member *member, const struct intent_member *wanted, struct error *err);
int local_service_delete(struct local_member *member, struct error *err);
int local_service_load(struct local_driver *driver, const char *name, struct error *err);
int local_service_move(struct local_member *member, struct error *err);
void local_service_open(struct local_member *member); /* binds it; its address may change */
void local_service_close(struct local_member *member);
void local_service_pod_gone(struct local_member *member);
enum fault local_fault_of(const struct local_member *member, int64_t *slow_ms);
void local_fault_changed(struct local_member *member);

/* forward.c */
void forward_accept(struct local_member *member);
void forward_reset_all(struct local_member *member);
void forward_faults_changed(struct local_member *member);

/* control.c */
int control_open(struct local_driver *driver, struct error *err);
void control_close(struct local_driver *driver);

#endif
