/* The listening side: clients, their requests, the answers. A client's requests are served one after the
 * other, like by a real mongod, which has one thread for each connection. */
#ifndef SIM_SERVER_H
#define SIM_SERVER_H

#include "wire.h"

#include <uv.h>

struct sim;
struct client;
struct auth_session;

enum {
    CLIENTS_MAX = 2000,
    LISTENERS_MAX = 16,
    CLIENT_WRITE_QUEUE_MAX = 64 << 20, /* bytes that a client may leave unread before it is cut off */
    READ_BYTES = 65536,                /* taken from a socket at once */
};

struct server {
    uv_tcp_t listeners[LISTENERS_MAX];
    int listener_count;
    struct client *clients; /* list */
    int client_count;
    uint64_t next_client_id;
    uint8_t raw[READ_BYTES]; /* between a socket and its client's buffer */
};

/* One command under way. It holds its client's id, not the client, which may be gone when the answer is
 * ready. */
struct request {
    struct sim *sim;
    uint64_t client_id;
    struct wire_message message;
    const char *name; /* of the command: the body's first key */
    int64_t started_ms;
};

/* Listens on every address of the comma-separated list. */
int server_listen(struct sim *sim, const char *bind_ip, int port, struct error *err);
/* Stops listening and closes all clients. */
void server_close(struct sim *sim);
/* Closes the connections of clients that are not members of the set: what 4.0 does on a step-down. */
void server_drop_clients(struct sim *sim);

/* Serves what waited behind a request that has been answered. Once per turn of the loop. */
void server_serve_waiting(struct sim *sim);

/* Answers and frees the request: `fields`, then ok: 1, operationTime, $clusterTime. `fields` may be NULL. */
void request_reply(struct request *request, const bson_t *fields);
/* Answers with ok: 0 and the server's error; then frees the request. */
void request_fail(struct request *request, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void request_fail_error(struct request *request, const struct error *err);
/* Marks the request's connection as another member's, which a step-down leaves open. */
void request_is_internal(struct request *request);
/* Who the connection has shown to be; NULL when it is gone. */
struct auth_session *request_auth(const struct request *request);
uint64_t request_connection_id(const struct request *request);
/* "127.0.0.1:52710": the client's address. */
void request_peer_name(const struct request *request, char *text, size_t size);

#endif
