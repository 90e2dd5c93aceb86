/* What servers can, by the text of their version or their image's tag. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/mongod_versions.h"

static void a_version_says_what_it_can(void **state)
{
    static const struct {
        const char *version;
        enum mongod_feature feature;
        enum mongod_support support;
    } rows[] = {
        {"4.0.3", MONGOD_TLS_OPTIONS, MONGOD_LACKS},
        {"3.6.8", MONGOD_TLS_OPTIONS, MONGOD_LACKS},
        {"4.1.13", MONGOD_TLS_OPTIONS, MONGOD_LACKS},
        {"4.2.0", MONGOD_TLS_OPTIONS, MONGOD_HAS},
        {"7.0", MONGOD_TLS_OPTIONS, MONGOD_HAS},
        {"8", MONGOD_TLS_OPTIONS, MONGOD_HAS},
        {"10.0.1", MONGOD_TLS_OPTIONS, MONGOD_HAS},
        {"4", MONGOD_TLS_OPTIONS, MONGOD_UNSURE},
        {"4.", MONGOD_TLS_OPTIONS, MONGOD_UNSURE},
        {"", MONGOD_TLS_OPTIONS, MONGOD_UNSURE},
        {"latest", MONGOD_TLS_OPTIONS, MONGOD_UNSURE},
        {"4.2.24", MONGOD_COMMITMENT_STATUS, MONGOD_LACKS},
        {"4.4.0-rc1", MONGOD_COMMITMENT_STATUS, MONGOD_HAS},
        {"4.4.29", MONGOD_ROTATES_CERTIFICATES, MONGOD_LACKS},
        {"5.0.0", MONGOD_ROTATES_CERTIFICATES, MONGOD_HAS},
        {"5", MONGOD_ROTATES_CERTIFICATES, MONGOD_HAS},
        {"-5.0", MONGOD_ROTATES_CERTIFICATES, MONGOD_UNSURE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (mongod_has(rows[i].version, rows[i].feature) != rows[i].support)
            fail_msg("row %zu: %s", i, rows[i].version);
}

static void an_image_says_its_version(void **state)
{
    static const char *const rows[][2] = {
        {"mongo:7.0", "7.0"},
        {"mongo", ""},
        {"registry:5000/mongo", ""},
        {"registry:5000/mongo:4.0.3@sha256:00ff", "4.0.3"},
        {"mongo@sha256:4f00", ""},
        {"mongo:a-tag-that-is-much-too-long-to-be-a-version", "a-tag-that-is-much-too-long-to-"},
    };
    char out[MONGOD_VERSION_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mongod_version_of_image(rows[i][0], out);
        assert_string_equal(out, rows[i][1]);
    }
}

static void options_have_the_names_of_the_version(void **state)
{
    (void)state;
    assert_string_equal(mongod_tls_options("4.0.3")->mode, "--sslMode");
    assert_string_equal(mongod_tls_options("7.0.14")->mode, "--tlsMode");
    assert_string_equal(mongod_tls_options("")->mode, "--tlsMode");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_version_says_what_it_can),
        cmocka_unit_test(an_image_says_its_version),
        cmocka_unit_test(options_have_the_names_of_the_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
