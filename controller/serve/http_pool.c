/* Who may stay when there are many: see http_vouch() in http.h. Each standing has a list of its connections,
 * the one of least use first, and a maximum; whoever comes in on top of it pushes out the one that can best
 * be spared. */
#include "controller/serve/http_connection.h"

enum {
    GRACE_MS = 100, /* of a connection: the library takes many in one turn, and only then reads what they have
                       to say */
    PUSHED_OUT_AT_ONCE = 4
};

static struct http_pool *pool_of(const struct http_connection *connection)
{
    return &connection->server->pools[connection->standing];
}

static bool is_in(const struct http_connection *connection)
{
    return connection->older || connection->newer || pool_of(connection)->oldest == connection;
}

static void append(struct http_connection *connection)
{
    struct http_pool *pool = pool_of(connection);
    connection->older = pool->newest;
    connection->newer = NULL;
    *(pool->newest ? &pool->newest->newer : &pool->oldest) = connection;
    pool->newest = connection;
    pool->count++;
}

void http_pool_leave(struct http_connection *connection)
{
    struct http_pool *pool = pool_of(connection);
    if (!is_in(connection))
        return;
    *(connection->older ? &connection->older->newer : &pool->oldest) = connection->newer;
    *(connection->newer ? &connection->newer->older : &pool->newest) = connection->older;
    connection->older = connection->newer = NULL;
    pool->count--;
}

/* Nobody is cut off in a request that is answered or in a stream, whose number has a limit of its own. */
static bool can_be_spared(const struct http_connection *connection)
{
    return connection->state == STATE_READING || connection->state == STATE_FLUSHING ||
           connection->state == STATE_LINGERING;
}

/* Idle: between two requests. Of persons and agents only these, of strangers rather those who never sent a
 * whole one. */
static bool is_idle(const struct http_connection *connection)
{
    return connection->state == STATE_READING && connection->in.length == 0;
}

/* It has said something that we haven't looked at yet: the library may take hundreds of connections in before
 * it reads one. */
static bool is_unheard(const struct http_connection *connection)
{
    return !connection->served && connection->in.length == 0 && http_socket_has_unread(connection);
}

/* Who is looked for: but `keep`; of this network where there is one; who came so long ago. */
struct search {
    const struct http_connection *keep;
    const uint64_t *network;
    uint64_t before_ms;
    bool unheard_too;
};

static struct http_connection *pick(const struct http_pool *pool, const struct search *search)
{
    struct http_connection *second = NULL;
    for (struct http_connection *each = pool->oldest; each; each = each->newer) {
        if (each == search->keep || (search->network && each->network != *search->network) ||
            each->came_ms > search->before_ms || !can_be_spared(each))
            continue;
        if (!search->unheard_too && is_unheard(each))
            continue;
        if (each->standing == HTTP_STRANGER && !each->served)
            return each;
        if (!second && (each->standing == HTTP_STRANGER || is_idle(each)))
            second = each;
    }
    return second;
}

static unsigned count_of_network(const struct http_pool *pool, uint64_t network)
{
    unsigned count = 0;
    for (const struct http_connection *each = pool->oldest; each; each = each->newer)
        count += each->network == network;
    return count;
}

static bool push_out(const struct http_pool *pool, const struct search *search)
{
    struct http_connection *victim = pick(pool, search);
    if (victim)
        http_connection_kill(victim);
    return victim != NULL;
}

/* Brings the strangers (of this network, or all) back to `most`, as far as the grace of the youngest allows.
 * False when they are too many even so. */
static bool make_room(struct http_connection *newcomer, const uint64_t *network, unsigned most)
{
    const struct http_pool *pool = pool_of(newcomer);
    uint64_t now_ms = newcomer->came_ms;
    struct search search = {newcomer, network, now_ms > GRACE_MS ? now_ms - GRACE_MS : 0, false};
    unsigned count = network ? count_of_network(pool, *network) : pool->count;
    for (int i = 0; i < PUSHED_OUT_AT_ONCE && count > most && push_out(pool, &search); i++)
        count--;
    if (count <= most + newcomer->server->options.strangers_slack)
        return true;
    search.before_ms = UINT64_MAX;
    search.unheard_too = true;
    return push_out(pool, &search);
}

void http_pool_enter(struct http_connection *connection)
{
    const struct http_server_options *options = &connection->server->options;
    connection->standing = HTTP_STRANGER;
    connection->came_ms = uv_now(connection->server->loop);
    append(connection);
    if ((options->strangers_per_address_max < options->strangers_max &&
         !make_room(connection, &connection->network, options->strangers_per_address_max)) ||
        !make_room(connection, NULL, options->strangers_max))
        http_connection_kill(connection);
}

void http_pool_touch(struct http_connection *connection)
{
    connection->served = true;
    if (is_in(connection)) {
        http_pool_leave(connection);
        append(connection);
    }
}

static unsigned most_of(const struct http_server *server, enum http_standing standing)
{
    const struct http_server_options *options = &server->options;
    if (standing == HTTP_PERSON)
        return options->persons_max;
    unsigned taken = options->strangers_max + options->persons_max;
    return taken < options->connections_max ? options->connections_max - taken : options->connections_max;
}

int http_pool_move(struct http_connection *connection, enum http_standing standing)
{
    struct http_server *server = connection->server;
    const struct http_pool *pool = &server->pools[standing];
    if (connection->standing == standing)
        return 0;
    if (pool->count >= most_of(server, standing) &&
        !push_out(pool, &(struct search){.before_ms = UINT64_MAX}))
        return -1;
    http_pool_leave(connection);
    connection->standing = standing;
    append(connection);
    return 0;
}

int http_vouch(struct http_server *server, uint64_t id, enum http_standing standing)
{
    struct http_connection *connection = http_connection_find(server, id, STATE_ANSWERING);
    return connection ? http_pool_move(connection, standing) : -1;
}

unsigned http_server_count(const struct http_server *server, enum http_standing standing)
{
    return server->pools[standing].count;
}
