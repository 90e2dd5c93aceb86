/* The keys of a zone's members: made once, private, with a request; and which CAs members believe. And what a
 * program says of itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "proto/base/file.h"
#include "proto/base/pki.h"
#include "zone-agent/local/process.h"
#include "zone-agent/member_keys.h"

static char folder[64];
static struct arena arena;
static struct error err;

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/atoll-keys-XXXXXX");
    arena_init(&arena, 0);
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    arena_finish(&arena);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static struct member_identity identify(const char *node, const char *certificate, const char *ca)
{
    const struct intent_member member = {.node = node, .certificate = certificate};
    struct member_identity out = {.key = NULL};
    if (member_keys_identify(folder, &member, ca, &arena, &out, &err))
        fail_msg("%s", err.message);
    return out;
}

/* A certificate that is its own CA will do. */
static const char *a_ca(void)
{
    static int number;
    char command[256], path[96];
    struct buffer text;
    buffer_init(&text, PKI_PEM_MAX);
    snprintf(path, sizeof path, "%s/ca%d", folder, ++number);
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ca%d -keyout "
             "/dev/null -out %s 2>/dev/null",
             number, path);
    assert_int_equal(system(command), 0);
    assert_int_equal(file_read(path, PKI_PEM_MAX, &text, &err), 0);
    const char *result = arena_string(&arena, text.data);
    buffer_finish(&text);
    return result;
}

static void a_key_is_made_once_and_only_its_owner_reads_it(void **state)
{
    (void)state;
    char path[128];
    struct stat about;
    struct member_identity first = identify("mongo-node1", "", ""), again = identify("mongo-node1", "", "");
    assert_string_equal(first.key, again.key);
    assert_string_equal(first.request, again.request);
    assert_false(first.fits);
    assert_null(strstr(first.key, "REQUEST"));
    assert_null(strstr(first.request, "PRIVATE"));
    assert_string_not_equal(identify("mongo-node2", "", "").key, first.key);
    snprintf(path, sizeof path, "%s/keys/mongo-node1.pem", folder);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    struct pki_facts facts;
    assert_int_equal(pki_request_facts(first.request, &facts, &err), 0);
    assert_string_equal(facts.name, "mongo-node1");
}

static void one_that_was_forgotten_is_made_anew(void **state)
{
    (void)state;
    struct member_identity first = identify("mongo-node1", "", "");
    member_keys_forget(folder, "mongo-node1");
    member_keys_forget(folder, "mongo-node1");
    assert_string_not_equal(identify("mongo-node1", "", "").key, first.key);
}

static void a_certificate_of_another_key_does_not_fit(void **state)
{
    (void)state;
    const char *ca = a_ca();
    assert_false(identify("mongo-node1", ca, ca).fits);
    assert_false(identify("mongo-node1", "nonsense", ca).fits);
}

static void a_damaged_file_is_left_alone_and_said(void **state)
{
    (void)state;
    char path[128];
    const struct intent_member member = {.node = "mongo-node1", .certificate = ""};
    struct member_identity out;
    identify("mongo-node1", "", "");
    snprintf(path, sizeof path, "%s/keys/mongo-node1.pem", folder);
    assert_int_equal(file_replace(path, "half", 4, 0600, &err), 0);
    assert_int_equal(member_keys_identify(folder, &member, "", &arena, &out, &err), -1);
    assert_non_null(strstr(err.message, path));
    const struct intent_member hostile = {.node = "../../etc/passwd", .certificate = ""};
    assert_int_equal(member_keys_identify(folder, &hostile, "", &arena, &out, &err), -1);
}

static void a_ca_that_is_exchanged_ends_and_one_of_a_lost_store_is_believed_meanwhile(void **state)
{
    (void)state;
    const char *one = a_ca(), *two = a_ca(), *three = a_ca();
    const char *both = arena_printf(&arena, "%s%s", two, one);
    assert_string_equal(identify("n", "", one).ca, one);
    assert_string_equal(identify("n", "", both).ca, both);
    assert_string_equal(identify("n", "", two).ca, two); /* the last step drops the former */
    const char *meanwhile = identify("n", "", three).ca; /* nothing in common: another controller */
    assert_non_null(strstr(meanwhile, two));
    assert_memory_equal(meanwhile, three, strlen(three));
    assert_string_equal(identify("n", "", three).ca, meanwhile);
    assert_string_equal(identify("n", "", "").ca, meanwhile); /* an intent that says none takes none away */
    const char *next = arena_printf(&arena, "%s%s", three, one);
    assert_string_equal(identify("n", "", next).ca, next); /* the next change ends it */
}

static void a_program_is_asked_and_not_waited_for_for_ever(void **state)
{
    (void)state;
    char text[32];
    process_ask((const char *const[]){"/bin/echo", "db version v4.0.3", NULL}, 5000, text, sizeof text);
    assert_string_equal(text, "db version v4.0.3\n");
    process_ask((const char *const[]){"/bin/sh", "-c", "echo no; exit 1", NULL}, 5000, text, sizeof text);
    assert_string_equal(text, "");
    process_ask((const char *const[]){"/bin/sleep", "100", NULL}, 20, text, sizeof text);
    assert_string_equal(text, "");
    process_ask((const char *const[]){"/nowhere/mongod", NULL}, 5000, text, sizeof text);
    assert_string_equal(text, "");
    process_ask((const char *const[]){"/bin/sh", "-c", "yes", NULL}, 5000, text, sizeof text);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_is_made_once_and_only_its_owner_reads_it, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_was_forgotten_is_made_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(a_certificate_of_another_key_does_not_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_left_alone_and_said, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_ca_that_is_exchanged_ends_and_one_of_a_lost_store_is_believed_meanwhile, setup, teardown),
        cmocka_unit_test(a_program_is_asked_and_not_waited_for_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
