/* Addresses with a port: what is cut apart, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/base/address.h"

static void is_cut_apart(void **state)
{
    static const struct {
        const char *address, *host, *port;
    } rows[] = {
        {"192.0.2.1:27017", "192.0.2.1", "27017"},
        {"[2001:db8::1]:27017", "2001:db8::1", "27017"},
        {"mongo-node1.example.net:1", "mongo-node1.example.net", "1"},
        {"host:", "host", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char host[64];
        const char *port;
        assert_int_equal(address_split(rows[i].address, host, sizeof host, &port, NULL), 0);
        assert_string_equal(host, rows[i].host);
        assert_string_equal(port, rows[i].port);
    }
}

static void is_refused(void **state)
{
    static const char *const rows[] = {"",    ":", ":27017",           "host", "[::1]", "[]:1",
                                       "[:1", "[", "a-host-too-long:1"};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char host[sizeof "a-host-too-lon"];
        const char *port;
        struct error err = {0};
        assert_int_equal(address_split(rows[i], host, sizeof host, &port, &err), -1);
        assert_int_equal(err.code, ERROR_INVALID);
        assert_non_null(strstr(err.message, rows[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(is_cut_apart), cmocka_unit_test(is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
