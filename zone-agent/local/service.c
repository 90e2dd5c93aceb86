/* Services of the local driver: each has an address of its own, the first free 127.0.Z.N on the member's
 * port, kept in a file and bound again when the agent starts. When somebody else has it by then, the address
 * changes, as load balancers' do. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "zone-agent/local/local_internal.h"
#include "zone-agent/local/neighbours.h"

enum { SERVICE_BACKLOG = 128 };

static int save(struct local_member *member, struct error *err)
{
    const struct local_service *service = &member->service;
    struct json *json = json_object();
    json_set_string(json, "set", member->set);
    json_set_int(json, "ordinal", member->ordinal);
    json_set_string(json, "node", member->node);
    json_set_string(json, "name", service->name);
    json_set_string(json, "host", service->host);
    json_set_int(json, "port", service->port);
    struct json *former = json_set(json, "former", json_array());
    for (size_t i = 0; i < service->former_count; i++)
        json_append(former, json_string(service->former[i].host));
    if (local_save(member->driver, "services", service->name, json, err))
        return error_wrap(err, "%s can't be saved", service->name);
    return 0;
}

/* ---- listening ---- */

static void on_listener_closed(uv_handle_t *handle)
{
    struct local_driver *driver = handle->data;
    free(handle);
    local_handle_closed(driver);
}

static void drop(struct local_driver *driver, uv_tcp_t *listener)
{
    listener->data = driver;
    uv_close((uv_handle_t *)listener, on_listener_closed);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct local_member *member = listener->data;
    if (status == 0)
        forward_accept(member);
}

/* A listener at this address, or NULL and libuv's error. */
static uv_tcp_t *listener_open(struct local_member *member, const char *host, int *error)
{
    struct sockaddr_in address;
    uv_tcp_t *listener = malloc(sizeof *listener);
    *error = UV_ENOMEM;
    if (!listener)
        return NULL;
    *error = uv_tcp_init(member->driver->loop, listener);
    local_handle_opened(member->driver);
    listener->data = member;
    if (*error == 0)
        *error = uv_ip4_addr(host, member->service.port, &address);
    if (*error == 0)
        *error = uv_tcp_bind(listener, (const struct sockaddr *)&address, 0);
    if (*error == 0)
        *error = uv_listen((uv_stream_t *)listener, SERVICE_BACKLOG, on_connection);
    if (*error == 0)
        return listener;
    drop(member->driver, listener);
    return NULL;
}

/* ---- addresses that a Service had: nobody else gets them. The configuration may still name them, and a
 * mongod without configuration that appeared there, of another sandbox, would be taken for the member and
 * drawn into its set. They are bound and not listened at, so that whoever dials one is refused at once. ----
 */

/* A socket that has the address, or -1. */
static int bind_only(const char *host, int port)
{
    struct sockaddr_in address;
    int on = 1, off = 0;
    int fd = uv_ip4_addr(host, port, &address) ? -1 : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    /* Reuse for the bind alone, past connections that are on their way out: from then on it keeps all away.
     */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool bound = bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
                 setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &off, sizeof off) == 0;
    if (bound)
        return fd;
    close(fd);
    return -1;
}

static void former_let_go(struct local_former *former)
{
    if (former->fd >= 0)
        close(former->fd);
    former->fd = -1;
}

static void former_remove(struct local_service *service, size_t at)
{
    former_let_go(&service->former[at]);
    service->former_count--;
    memmove(&service->former[at], &service->former[at + 1],
            (service->former_count - at) * sizeof service->former[0]);
}

/* NULL when it had no such address. */
static struct local_former *former_find(struct local_service *service, const char *host)
{
    for (size_t i = 0; i < service->former_count; i++)
        if (strcmp(service->former[i].host, host) == 0)
            return &service->former[i];
    return NULL;
}

/* The newest is the last. One that can't be bound is somebody else's already, and remembered all the same. */
static void former_add(struct local_service *service, const char *host)
{
    struct local_former *known = former_find(service, host);
    if (known)
        former_remove(service, (size_t)(known - service->former));
    if (service->former_count == LOCAL_FORMER_MAX)
        former_remove(service, 0);
    struct local_former *former = &service->former[service->former_count++];
    local_copy(former->host, sizeof former->host, host);
    former->fd = bind_only(host, service->port);
}

/* Whoever had one of them may be gone. */
static void former_bind_all(struct local_service *service)
{
    for (size_t i = 0; i < service->former_count; i++)
        if (service->former[i].fd < 0)
            service->former[i].fd = bind_only(service->former[i].host, service->port);
}

/* 0, or libuv's error. */
static int listen_at(struct local_member *member, const char *host)
{
    int error;
    struct local_former *former = former_find(&member->service, host);
    if (former)
        former_let_go(former);
    uv_tcp_t *listener = listener_open(member, host, &error);
    if (listener)
        member->service.listener = listener;
    if (listener && former)
        former_remove(&member->service, (size_t)(former - member->service.former));
    else if (former)
        former->fd = bind_only(host, member->service.port);
    return error;
}

static void take_address(struct local_member *member, const char *host)
{
    struct local_service *service = &member->service;
    memmove(service->host, host, strlen(host) + 1);
    snprintf(service->address, sizeof service->address, "%s:%d", service->host, service->port);
    local_changed(member->driver);
}

/* Another Service of ours had this one, or has it though it could not be bound. */
static bool is_promised(const struct local_member *member, const char *host)
{
    for (const struct local_member *other = member->driver->members; other; other = other->next)
        if (other != member && other->service.exists && other->service.port == member->service.port &&
            strcmp(other->service.host, host) == 0)
            return true;
    return false;
}

static int listen_at_first_free(struct local_member *member, const char *not_this,
                                const struct neighbours *neighbours)
{
    char host[LOCAL_HOST_MAX];
    int last = UV_EADDRINUSE;
    for (int n = LOCAL_SERVICE_FIRST; n <= LOCAL_SERVICE_LAST; n++) {
        snprintf(host, sizeof host, "%.11s.%d", member->driver->subnet, n);
        if (strcmp(host, not_this) == 0 || is_promised(member, host) ||
            neighbours_holder(neighbours, host, member->service.port))
            continue;
        last = listen_at(member, host);
        if (last == 0)
            take_address(member, host);
        if (last != UV_EADDRINUSE) /* else it is not a matter of this one address */
            break;
    }
    return last;
}

/* The first free address but for `not_this`: one that nobody listens at, and that no other sandbox has. */
static int listen_somewhere(struct local_member *member, const char *not_this, struct error *err)
{
    struct neighbours *neighbours = neighbours_look(member->driver->dir, member->driver->subnet);
    int result = listen_at_first_free(member, not_this, neighbours);
    neighbours_destroy(neighbours);
    if (result == 0)
        return 0;
    return error_set(err, result == UV_EADDRINUSE ? ERROR_CONFLICT : ERROR_IO,
                     "%s: no address %s.%d to .%d can be bound on port %d: %s%s", member->service.name,
                     member->driver->subnet, LOCAL_SERVICE_FIRST, LOCAL_SERVICE_LAST, member->service.port,
                     uv_strerror(result),
                     result == UV_EADDRINUSE ? "; does something listen there on all addresses?" : "");
}

static void close_listener(struct local_member *member)
{
    if (member->service.listener)
        drop(member->driver, member->service.listener);
    member->service.listener = NULL;
    member->service.waiting = false;
}

void local_service_close(struct local_member *member)
{
    close_listener(member);
    while (member->service.former_count)
        former_remove(&member->service, member->service.former_count - 1);
    forward_reset_all(member);
}

void local_service_open(struct local_member *member)
{
    struct local_service *service = &member->service;
    char before[LOCAL_HOST_MAX];
    struct error err = {0};
    if (!service->exists)
        return;
    former_bind_all(service);
    if (service->listener)
        return;
    if (*service->host && listen_at(member, service->host) == 0) {
        take_address(member, service->host);
        local_problem_clear(member, "service");
        return;
    }
    local_copy(before, sizeof before, service->host);
    bool failed = listen_somewhere(member, before, &err) != 0;
    if (!failed && *before)
        former_add(service, before);
    if (failed || save(member, &err)) {
        local_problem(member, "service", "%s", err.message); /* tried again when the driver looks next */
        return;
    }
    local_problem_clear(member, "service");
}

/* ---- steps and faults ---- */

int local_service_create(struct local_member *member, const struct intent_member *wanted, struct error *err)
{
    struct local_service *service = &member->service;
    if (service->exists)
        return 0;
    service->port = wanted->port;
    local_copy(service->name, sizeof service->name, wanted->service);
    if (listen_somewhere(member, "", err))
        return -1;
    if (save(member, err)) {
        close_listener(member);
        service->address[0] = 0;
        return -1;
    }
    service->exists = true;
    return 0;
}

int local_service_delete(struct local_member *member, struct error *err)
{
    char path[LOCAL_PATH_MAX];
    struct local_service *service = &member->service;
    if (!service->exists)
        return 0;
    if (local_path(member->driver, path, "services", service->name, ".json", err))
        return -1;
    if (unlink(path) && errno != ENOENT)
        return error_set_errno(err, errno, "%s can't be deleted", path);
    local_service_close(member);
    service->exists = false;
    service->name[0] = service->host[0] = service->address[0] = 0;
    local_problem_clear(member, "service");
    return 0;
}

static int listen_at_former(struct local_member *member)
{
    struct local_service *service = &member->service;
    char host[LOCAL_HOST_MAX];
    if (!service->former_count)
        return -1;
    local_copy(host, sizeof host, service->former[service->former_count - 1].host);
    if (listen_at(member, host))
        return -1;
    take_address(member, host);
    return 0;
}

/* As a load balancer that hands out another IP, and the next time the former one again (so that a set whose
 * addresses are all lost can get them back): the old one leads nowhere at once, and what was open is gone.
 */
int local_service_move(struct local_member *member, struct error *err)
{
    struct local_service *service = &member->service;
    uv_tcp_t *old = service->listener;
    char before[LOCAL_HOST_MAX];
    if (!service->exists)
        return error_set(err, ERROR_NOT_FOUND, "%s has no Service", member->node);
    local_copy(before, sizeof before, service->host);
    service->listener = NULL;
    if (listen_at_former(member) && listen_somewhere(member, before, err)) {
        service->listener = old;
        return -1;
    }
    if (old)
        drop(member->driver, old);
    former_add(service, before);
    service->waiting = false;
    forward_reset_all(member);
    return save(member, err);
}

int local_service_load(struct local_driver *driver, const char *name, struct error *err)
{
    char path[LOCAL_PATH_MAX];
    if (local_path(driver, path, "services", name, "", err))
        return -1;
    struct json *json = local_load(path, err);
    if (!json)
        return -1;
    struct local_member *member =
        local_member_get(driver, json_get_text(json, "set", ""), (int)json_get_int(json, "ordinal", 0),
                         json_get_text(json, "node", ""));
    if (member) {
        struct local_service *service = &member->service;
        service->exists = true;
        service->port = (int)json_get_int(json, "port", 0);
        local_copy(service->name, sizeof service->name, json_get_text(json, "name", ""));
        local_copy(service->host, sizeof service->host, json_get_text(json, "host", ""));
        const struct json *former = json_get(json, "former");
        for (const struct json *each = json_first(former); each; each = json_next(each))
            former_add(service, json_text(each) ? json_text(each) : "");
    }
    json_destroy(json);
    return 0;
}

void local_service_pod_gone(struct local_member *member)
{
    if (local_fault_of(member, NULL) !=
        FAULT_CUT) /* a cut network does not bring the end of a connection either */
        forward_reset_all(member);
}

/* The zone's fault rules over the member's. */
enum fault local_fault_of(const struct local_member *member, int64_t *slow_ms)
{
    bool zone = member->driver->fault != FAULT_NONE;
    if (slow_ms)
        *slow_ms = zone ? member->driver->slow_ms : member->service.slow_ms;
    return zone ? member->driver->fault : member->service.fault;
}

void local_fault_changed(struct local_member *member)
{
    forward_faults_changed(member);
}
