/* The dialling side of __system's SCRAM. With two keys in a file the second is tried after the first: so
 * members understand one another in the middle of a rotation. */
#include "peer_login.h"

#include "sim.h"

#include <string.h>

static int attempts(const struct sim *sim)
{
    return sim->keyfile.count * (sim_is_old(sim) ? 1 : 2);
}

static const char *key_of(const struct sim *sim, const struct peer_login *login)
{
    return sim->keyfile.keys[login->attempt % sim->keyfile.count];
}

static void put_payload(bson_t *command, const char *payload)
{
    bson_append_binary(command, "payload", -1, BSON_SUBTYPE_BINARY, (const uint8_t *)payload,
                       (uint32_t)strlen(payload));
}

void peer_login_begin(struct sim *sim, struct peer_login *login, bson_t *command)
{
    char payload[SCRAM_MESSAGE_MAX];
    bool second = login->attempt >= sim->keyfile.count;
    enum scram_mechanism mechanism = sim_is_old(sim) || second ? SCRAM_SHA_1 : SCRAM_SHA_256;
    login->answered = login->checked = false;
    scram_client_first(&login->scram, mechanism, "__system", payload, sizeof payload);
    bson_append_int32(command, "saslStart", -1, 1);
    bson_append_utf8(command, "mechanism", -1, scram_name(mechanism), -1);
    put_payload(command, payload);
    bson_append_utf8(command, "$db", -1, "local", -1);
}

static int get_payload(const bson_t *reply, char *out, size_t size)
{
    bson_iter_t it;
    uint32_t length;
    const uint8_t *bytes;
    if (!bson_iter_init_find(&it, reply, "payload") || !BSON_ITER_HOLDS_BINARY(&it))
        return -1;
    bson_iter_binary(&it, NULL, &length, &bytes);
    if (length >= size)
        return -1;
    memcpy(out, bytes, length);
    out[length] = 0;
    return 0;
}

static int answer(struct sim *sim, struct peer_login *login, const char *text, char *payload, size_t size,
                  struct error *err)
{
    *payload = 0;
    if (login->checked)
        return 0; /* the empty exchange at the end */
    if (login->answered) {
        login->checked = true;
        return scram_client_check(&login->scram, text, err);
    }
    login->answered = true;
    return scram_client_final(&login->scram, "__system", key_of(sim, login), text, payload, size, err);
}

int peer_login_next(struct sim *sim, struct peer_login *login, const bson_t *reply, bson_t *command,
                    struct error *err)
{
    char text[SCRAM_MESSAGE_MAX], payload[SCRAM_MESSAGE_MAX];
    if (!get_bool(reply, "ok", false)) {
        if (++login->attempt < attempts(sim)) {
            peer_login_begin(sim, login, command);
            return 0;
        }
        return error_set(err, ERROR_REFUSED, "%s", get_text(reply, "errmsg", "Authentication failed."));
    }
    if (get_payload(reply, text, sizeof text))
        return error_set(err, ERROR_PROTOCOL, "an answer to saslStart has no payload");
    if (answer(sim, login, text, payload, sizeof payload, err))
        return -1;
    if (get_bool(reply, "done", false)) {
        login->done = login->checked;
        return login->done ? 0 : error_set(err, ERROR_PROTOCOL, "the login ended too early");
    }
    bson_append_int32(command, "saslContinue", -1, 1);
    bson_append_int32(command, "conversationId", -1, (int32_t)get_int(reply, "conversationId", 1));
    put_payload(command, payload);
    bson_append_utf8(command, "$db", -1, "local", -1);
    return 0;
}
