/* Large bodies: whether one is taken is asked by its head, and those on their way have a bound together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/serve/http_fixture.h"

#define HOST "Host: localhost\r\n"

/* A request whose body of so many bytes never ends. */
static int begin_body(struct fixture *fixture, int length)
{
    char head[128];
    snprintf(head, sizeof head, "PUT /e HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\nabc", length);
    int fd = fixture_connect(fixture);
    fixture_send(fixture, fd, head);
    return fd;
}

static void assert_refused(struct fixture *fixture, int fd, const char *status)
{
    struct buffer in;
    buffer_init(&in, 0);
    fixture_wait(fixture, !fixture_receive(fd, &in));
    assert_non_null(strstr(buffer_text(&in), status));
    assert_non_null(strstr(in.data, "Retry-After: "));
    buffer_finish(&in);
    close(fd);
}

static void the_bodies_on_their_way_have_a_bound(void **state)
{
    struct fixture *fixture = *state;
    fixture_restart_server(fixture, &(struct http_server_options){.address = "127.0.0.1",
                                                                  .name = "atoll-test",
                                                                  .body_max = 100000,
                                                                  .bodies_max = 120000,
                                                                  .agent_bodies_max = 90000,
                                                                  .owner_bodies_max = 110000});
    int first = begin_body(fixture, 100000);
    fixture_wait(fixture, http_server_counts(fixture->server).body_bytes[HTTP_PERSON] == 100000);
    assert_refused(fixture, begin_body(fixture, 20001), " 503 ");
    int small = begin_body(fixture, HTTP_BODY_SMALL), second = begin_body(fixture, 20000);
    fixture_wait(fixture, http_server_counts(fixture->server).body_bytes[HTTP_PERSON] == 120000);
    /* agents have room of their own, and each owner a part of it */
    fixture->terms = (struct http_body_terms){.of = HTTP_AGENT, .owner = 7};
    int agent = begin_body(fixture, 80000);
    fixture_wait(fixture, http_server_counts(fixture->server).body_bytes[HTTP_AGENT] == 80000);
    close(first);
    fixture_wait(fixture, http_server_counts(fixture->server).body_bytes[HTTP_PERSON] == 20000);
    fixture->terms = (struct http_body_terms){.of = HTTP_PERSON, .owner = 7};
    assert_refused(fixture, begin_body(fixture, 30001), " 429 ");
    fixture->terms.owner = 8;
    int other = begin_body(fixture, 30001);
    fixture_wait(fixture, http_server_counts(fixture->server).body_bytes[HTTP_PERSON] == 50001);
    assert_int_equal(http_server_counts(fixture->server).bodies_refused, 2);
    close(agent), close(second), close(small), close(other);
    fixture_wait(fixture, http_server_counts(fixture->server).body_bytes[HTTP_PERSON] == 0 &&
                              http_server_counts(fixture->server).body_bytes[HTTP_AGENT] == 0);
}

/* What is taken is asked once for each large body, however it comes; small ones are not asked for. */
static void whether_a_body_is_taken_is_asked_once_by_its_head(void **state)
{
    struct fixture *fixture = *state;
    char body[20001];
    memset(body, 'x', sizeof body - 1);
    body[sizeof body - 1] = 0;
    int fd = fixture_connect(fixture);
    struct buffer in;
    buffer_init(&in, 0);
    fixture_send(fixture, fd, "PUT /e HTTP/1.1\r\n" HOST "Content-Length: 40000\r\n\r\n");
    fixture_wait(fixture, fixture->bodies_asked == 1);
    fixture_send(fixture, fd, body);
    fixture_send(fixture, fd, body);
    fixture_wait(fixture, (fixture_receive(fd, &in), strstr(buffer_text(&in), "PUT /e q=- x=- 40000\n")));
    assert_int_equal(http_server_counts(fixture->server).body_bytes[HTTP_PERSON], 0);
    fixture_send(fixture, fd, "PUT /e HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc");
    fixture_wait(fixture, (fixture_receive(fd, &in), strstr(buffer_text(&in), "PUT /e q=- x=- 3\n")));
    assert_int_equal(fixture->bodies_asked, 1);
    fixture->terms = (struct http_body_terms){
        .status = 429, .code = "too_many_requests", .message = "not now", .header = "Retry-After: 3"};
    fixture_send(fixture, fd, "PUT /e HTTP/1.1\r\n" HOST "Content-Length: 40000\r\n\r\n");
    fixture_wait(fixture, !fixture_receive(fd, &in));
    assert_non_null(strstr(in.data, " 429 Too Many Requests\r\n"));
    assert_non_null(strstr(in.data, "Retry-After: 3\r\n"));
    assert_non_null(strstr(in.data, "not now"));
    assert_int_equal(fixture->requests, 2);
    close(fd);
    buffer_finish(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_bodies_on_their_way_have_a_bound, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(whether_a_body_is_taken_is_asked_once_by_its_head, fixture_set_up,
                                        fixture_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
