/* TLS on the server, with the client of our own: who is let in, as whom, and what a change of certificates
 * does to open streams. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controller/trust/ca.h"
#include "controller/trust/tls.h"
#include "proto/base/clock.h"
#include "tests/unit/serve/http_fixture.h"

enum { LARGE = 3000000, DAY_S = 86400 };

struct leaf {
    struct buffer key, certificate;
};

struct scene {
    struct fixture *fixture;
    struct tls_context *tls;
    struct ca *ca, *stranger;
};

static struct scene scene;

static int64_t now_s(void)
{
    return clock_wall_ms(&clock_system) / 1000;
}

static struct leaf issue(struct ca *ca, const char *organization, const char *name, int64_t at_s)
{
    static const char *const sans[] = {"127.0.0.1"};
    struct ca_identity identity = {.organization = organization,
                                   .name = name,
                                   .sans = sans,
                                   .san_count = 1,
                                   .server = true,
                                   .client = true};
    struct leaf leaf;
    struct error err = {0};
    buffer_init(&leaf.key, 0);
    buffer_init(&leaf.certificate, 0);
    assert_int_equal(ca_issue(ca, &identity, at_s, DAY_S, &leaf.key, &leaf.certificate, NULL, &err), 0);
    return leaf;
}

static void end(struct leaf *leaf)
{
    pki_forget(&leaf->key);
    buffer_finish(&leaf->certificate);
}

static void load_from(struct ca *ca, const char *bundle)
{
    struct leaf own = issue(ca, CA_ORGANIZATION_CONTROLLER, "controller", now_s());
    struct error err = {0};
    assert_int_equal(tls_context_load(scene.tls, own.certificate.data, own.key.data, bundle, &err), 0);
    end(&own);
}

static int set_up(void **state)
{
    struct error err = {0};
    assert_int_equal(fixture_set_up(state), 0);
    scene.fixture = *state;
    assert_int_equal(ca_create(now_s(), &scene.ca, &err), 0);
    assert_int_equal(ca_create(now_s(), &scene.stranger, &err), 0);
    assert_int_equal(tls_context_create(&scene.tls, &err), 0);
    load_from(scene.ca, ca_bundle(scene.ca));
    fixture_restart_server(scene.fixture, &(struct http_server_options){.address = "127.0.0.1",
                                                                        .name = "atoll-test",
                                                                        .tls = scene.tls,
                                                                        .body_max = 100000,
                                                                        .connections_max = 100,
                                                                        .stream_queue_max = 200000,
                                                                        .handshake_timeout_ms = 300});
    return 0;
}

static int tear_down(void **state)
{
    int result = fixture_tear_down(state);
    tls_context_destroy(scene.tls);
    ca_destroy(scene.ca);
    ca_destroy(scene.stranger);
    return result;
}

struct outcome {
    bool done, open;
    int status;
    enum error_code code;
    size_t length, streamed;
    bool right; /* the body is what was asked for */
};

static void on_done(void *context, const struct http_answer *answer, const struct error *err)
{
    struct outcome *outcome = context;
    outcome->done = true;
    outcome->status = answer->status;
    outcome->code = err ? err->code : ERROR_NONE;
    outcome->length = answer->length;
    outcome->right = true;
    for (size_t i = 0; i < answer->length && answer->length == LARGE; i++)
        outcome->right &= answer->body[i] == (char)('a' + i % 7);
}

static void on_open(void *context)
{
    ((struct outcome *)context)->open = true;
}

static int on_data(void *context, const char *data, size_t length)
{
    (void)data;
    ((struct outcome *)context)->streamed += length;
    return 0;
}

/* `trusted` is the bundle that the client has; `leaf` may be NULL. */
static void start(struct outcome *outcome, const char *path, const char *body, bool stream,
                  const char *trusted, const struct leaf *leaf)
{
    struct http_tls tls = {.ca = trusted,
                           .certificate = leaf ? leaf->certificate.data : NULL,
                           .key = leaf ? leaf->key.data : NULL};
    char url[128];
    struct error err = {0};
    snprintf(url, sizeof url, "https://127.0.0.1:%d%s", http_server_port(scene.fixture->server), path);
    struct http_call_options options = {.method = body ? "PUT" : "GET",
                                        .url = url,
                                        .body = body,
                                        .body_length = body ? strlen(body) : 0,
                                        .timeout_ms = stream ? 0 : FIXTURE_WAIT_MS,
                                        .tls = &tls,
                                        .fresh_connection = true,
                                        .body_limit = LARGE,
                                        .on_open = stream ? on_open : NULL,
                                        .on_data = stream ? on_data : NULL,
                                        .done = on_done,
                                        .context = outcome};
    if (!http_client_start(scene.fixture->client, &options, &err))
        fail_msg("%s", err.message);
}

static struct outcome fetch(const char *path, const char *body, const char *trusted, const struct leaf *leaf)
{
    struct outcome outcome = {0};
    start(&outcome, path, body, false, trusted, leaf);
    fixture_wait(scene.fixture, outcome.done);
    return outcome;
}

static void a_client_is_whom_its_certificate_names(void **state)
{
    static const struct {
        const char *organization, *name;
        enum caller_kind kind;
        enum caller_flaw flaw;
    } rows[] = {
        {CA_ORGANIZATION_AGENTS, "us-east1-b", CALLER_AGENT, FLAW_NONE},
        {CA_ORGANIZATION_VIEWERS, "rod", CALLER_VIEWER, FLAW_NONE},
        {CA_ORGANIZATION_OPERATORS, "jane", CALLER_OPERATOR, FLAW_NONE},
        {CA_ORGANIZATION_ADMINS, "freddy@example.com", CALLER_ADMIN, FLAW_NONE},
        {CA_ORGANIZATION_MEMBERS, "mongo-node1", CALLER_NOBODY, FLAW_UNKNOWN},
        {CA_ORGANIZATION_CONTROLLER, "controller", CALLER_NOBODY, FLAW_UNKNOWN},
        {CA_ORGANIZATION_ADMINS, "two words", CALLER_NOBODY, FLAW_UNKNOWN},
        {"atoll:admins2", "freddy", CALLER_NOBODY, FLAW_UNKNOWN},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct leaf leaf = issue(scene.ca, rows[i].organization, rows[i].name, now_s());
        struct outcome outcome = fetch("/echo", NULL, ca_bundle(scene.ca), &leaf);
        assert_int_equal(outcome.status, 200);
        assert_true(scene.fixture->had_peer);
        assert_int_equal(scene.fixture->last_peer.kind, rows[i].kind);
        assert_int_equal(scene.fixture->last_peer.flaw, rows[i].flaw);
        assert_int_equal(scene.fixture->last_peer.proof, PROOF_CERTIFICATE);
        if (rows[i].kind == CALLER_AGENT)
            assert_string_equal(scene.fixture->last_peer.zone, rows[i].name);
        else if (rows[i].kind != CALLER_NOBODY)
            assert_string_equal(scene.fixture->last_peer.name, rows[i].name);
        assert_int_equal(strlen(scene.fixture->last_peer.mark), 32);
        end(&leaf);
    }
}

static void who_shows_no_certificate_is_nobody(void **state)
{
    (void)state;
    scene.fixture->had_peer = true;
    assert_int_equal(fetch("/echo", NULL, ca_bundle(scene.ca), NULL).status, 200);
    assert_false(scene.fixture->had_peer);
}

static void an_expired_certificate_is_said_to_be_expired(void **state)
{
    struct leaf old = issue(scene.ca, CA_ORGANIZATION_ADMINS, "freddy", now_s() - 2 * DAY_S),
                early = issue(scene.ca, CA_ORGANIZATION_ADMINS, "freddy", now_s() + DAY_S);
    (void)state;
    assert_int_equal(fetch("/echo", NULL, ca_bundle(scene.ca), &old).status, 200);
    assert_int_equal(scene.fixture->last_peer.kind, CALLER_NOBODY);
    assert_int_equal(scene.fixture->last_peer.flaw, FLAW_EXPIRED);
    assert_int_equal(fetch("/echo", NULL, ca_bundle(scene.ca), &early).status, 200);
    assert_int_equal(scene.fixture->last_peer.flaw, FLAW_EXPIRED);
    end(&old);
    end(&early);
}

/* A chain that doesn't lead to one of our CAs never reaches the handler, expired or not. */
static void another_cas_certificate_is_shut_out(void **state)
{
    struct leaf leaf = issue(scene.stranger, CA_ORGANIZATION_ADMINS, "freddy", now_s()),
                old = issue(scene.stranger, CA_ORGANIZATION_ADMINS, "freddy", now_s() - 2 * DAY_S);
    (void)state;
    assert_int_equal(fetch("/echo", NULL, ca_bundle(scene.ca), &leaf).status, 0);
    assert_int_equal(fetch("/echo", NULL, ca_bundle(scene.ca), &old).status, 0);
    assert_int_equal(scene.fixture->requests, 0);
    end(&leaf);
    end(&old);
}

static void a_client_shuts_out_another_cas_server(void **state)
{
    (void)state;
    struct outcome outcome = fetch("/echo", NULL, ca_bundle(scene.stranger), NULL);
    assert_int_equal(outcome.status, 0);
    assert_int_equal(outcome.code, ERROR_REFUSED);
    assert_int_equal(scene.fixture->requests, 0);
}

static void large_bodies_pass_both_ways(void **state)
{
    char *body = malloc(100000);
    (void)state;
    memset(body, 'x', 99999);
    body[99999] = 0;
    struct outcome outcome = fetch("/text?size=3000000", NULL, ca_bundle(scene.ca), NULL);
    assert_int_equal(outcome.status, 200);
    assert_int_equal(outcome.length, LARGE);
    assert_true(outcome.right);
    assert_int_equal(fetch("/echo", body, ca_bundle(scene.ca), NULL).status, 200);
    assert_int_equal(scene.fixture->last_body_length, 99999);
    free(body);
}

/* Plain HTTP, nonsense and silence get no further than the handshake; each is hung up on. */
/* Those who are connected notice nothing of it. */
static void who_may_not_shake_hands_is_hung_up_on(void **state)
{
    (void)state;
    struct outcome stream = {0};
    start(&stream, "/stream", NULL, true, ca_bundle(scene.ca), NULL);
    fixture_wait(scene.fixture, stream.open);
    scene.fixture->shut = true;
    assert_int_not_equal(fetch("/echo", NULL, ca_bundle(scene.ca), NULL).code, ERROR_NONE);
    assert_int_equal(http_server_counts(scene.fixture->server).handshakes_refused, 1);
    assert_int_equal(http_server_count(scene.fixture->server, HTTP_STRANGER), 1);
    assert_false(stream.done);
    scene.fixture->shut = false;
    assert_int_equal(fetch("/echo", NULL, ca_bundle(scene.ca), NULL).status, 200);
    http_stream_end(scene.fixture->server, scene.fixture->streams[0]);
    fixture_wait(scene.fixture, stream.done);
}

static void what_is_no_tls_is_hung_up_on(void **state)
{
    static const char *const openings[] = {"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                           "\x16\x03\x01\x02", ""};
    (void)state;
    for (size_t i = 0; i < sizeof openings / sizeof *openings; i++) {
        int fd = fixture_connect(scene.fixture);
        struct buffer in;
        buffer_init(&in, 0);
        fixture_send(scene.fixture, fd, openings[i]);
        fixture_wait(scene.fixture, !fixture_receive(fd, &in));
        assert_null(strstr(buffer_text(&in), "HTTP"));
        buffer_finish(&in);
        close(fd);
    }
    assert_int_equal(scene.fixture->requests, 0);
}

/* The whole way of an exchange of the CA, with a stream that stays open through it. */
static void an_exchange_of_the_ca_cuts_no_stream(void **state)
{
    struct leaf leaf = issue(scene.ca, CA_ORGANIZATION_AGENTS, "us-east1-b", now_s());
    struct outcome stream = {0};
    struct error err = {0};
    char *before = strdup(ca_bundle(scene.ca));
    (void)state;
    start(&stream, "/stream", NULL, true, before, &leaf);
    fixture_wait(scene.fixture, stream.open);
    assert_int_equal(ca_announce_next(scene.ca, now_s(), &err), 0);
    load_from(scene.ca, ca_bundle(scene.ca));
    assert_int_equal(fetch("/echo", NULL, before, &leaf).status, 200); /* who doesn't know the next one yet */
    assert_int_equal(ca_switch(scene.ca, now_s(), &err), 0);
    load_from(scene.ca, ca_bundle(scene.ca));
    struct leaf renewed = issue(scene.ca, CA_ORGANIZATION_AGENTS, "us-east1-b", now_s());
    assert_int_equal(fetch("/echo", NULL, ca_bundle(scene.ca), &leaf).status,
                     200); /* who has not renewed yet */
    assert_int_equal(fetch("/echo", NULL, ca_bundle(scene.ca), &renewed).status, 200);
    assert_int_equal(ca_drop_previous(scene.ca, now_s(), &err), 0);
    load_from(scene.ca, ca_bundle(scene.ca));
    assert_int_equal(fetch("/echo", NULL, ca_bundle(scene.ca), &renewed).status, 200);
    assert_int_equal(fetch("/echo", NULL, ca_bundle(scene.ca), &leaf).status, 0);
    assert_int_equal(http_stream_write(scene.fixture->server, scene.fixture->streams[0], "still here\n", 11),
                     0);
    fixture_wait(scene.fixture, stream.streamed == 11);
    http_stream_end(scene.fixture->server, scene.fixture->streams[0]);
    fixture_wait(scene.fixture, stream.done);
    end(&leaf);
    end(&renewed);
    free(before);
}

static void what_can_not_be_used_changes_nothing(void **state)
{
    struct leaf own = issue(scene.ca, CA_ORGANIZATION_CONTROLLER, "controller", now_s()),
                other = issue(scene.ca, CA_ORGANIZATION_CONTROLLER, "controller", now_s());
    struct error err = {0};
    (void)state;
    assert_int_equal(
        tls_context_load(scene.tls, own.certificate.data, other.key.data, ca_bundle(scene.ca), &err), -1);
    assert_int_equal(tls_context_load(scene.tls, own.certificate.data, own.key.data, "", &err), -1);
    assert_int_equal(tls_context_load(scene.tls, "nonsense", own.key.data, ca_bundle(scene.ca), &err), -1);
    assert_int_equal(fetch("/echo", NULL, ca_bundle(scene.ca), NULL).status, 200);
    end(&own);
    end(&other);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        test(a_client_is_whom_its_certificate_names),       test(who_shows_no_certificate_is_nobody),
        test(an_expired_certificate_is_said_to_be_expired), test(another_cas_certificate_is_shut_out),
        test(a_client_shuts_out_another_cas_server),        test(large_bodies_pass_both_ways),
        test(who_may_not_shake_hands_is_hung_up_on),        test(what_is_no_tls_is_hung_up_on),
        test(an_exchange_of_the_ca_cuts_no_stream),         test(what_can_not_be_used_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
