/* Sizes, durations, numbers, and the forms of texts. */
#include "spec_fixture.h"

#include "config/spec_format.h"

static void sizes(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes; /* -1: refused */
    } rows[] = {
        {"0", 0},
        {"1", 1},
        {"1024", 1024},
        {"1k", 1000},
        {"1Ki", 1024},
        {"1.5Gi", INT64_C(1536) << 20},
        {"200Gi", INT64_C(200) << 30},
        {"1Pi", INT64_C(1) << 50},
        {"2T", INT64_C(2000000000000)},
        {"", -1},
        {"Gi", -1},
        {"1GB", -1},
        {"1 Gi", -1},
        {"-1Gi", -1},
        {"1.Gi", -1},
        {".5Gi", -1},
        {"1.3", -1},
        {"0.1Ki", -1},
        {"1e3", -1},
        {"1KI", -1},
        {"9999999999Pi", -1},
        {"99999999999999999999999999999999", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t bytes = -1;
        assert_int_equal(parse_size(rows[i].text, &bytes), rows[i].bytes >= 0);
        if (bytes != rows[i].bytes)
            fail_msg("%s", rows[i].text);
    }
}

static void durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } rows[] = {
        {"0s", 0},         {"500ms", 500},
        {"90s", 90000},    {"1h30m", 5400000},
        {"7d", 604800000}, {"1d2h3m4s5ms", 93784005},
        {"1.5s", 1500},    {"366d", INT64_C(31622400000)},
        {"", -1},          {"5", -1},
        {"s", -1},         {"1m1h", -1},
        {"1s1s", -1},      {"1h30", -1},
        {"1w", -1},        {"-1s", -1},
        {"1 s", -1},       {"0.5ms", -1},
        {"367d", -1},      {"1sm", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t ms = -1;
        assert_int_equal(parse_duration(rows[i].text, &ms), rows[i].ms >= 0);
        if (ms != rows[i].ms)
            fail_msg("%s", rows[i].text);
    }
}

static void what_is_printed_is_parsed_to_the_same(void **state)
{
    static const int64_t values[] = {0,
                                     1,
                                     999,
                                     1000,
                                     1024,
                                     60000,
                                     90000,
                                     3600000,
                                     86400000,
                                     10000000000,
                                     INT64_C(10) << 30,
                                     INT64_C(1536) << 20,
                                     31622400000};
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct buffer text;
        int64_t back = -1;
        buffer_init(&text, 0);
        print_size(values[i], &text);
        assert_true(parse_size(buffer_text(&text), &back));
        assert_true(back == values[i]);
        buffer_clear(&text);
        print_duration(values[i] % 31622400001, &text);
        assert_true(parse_duration(buffer_text(&text), &back));
        assert_true(back == values[i] % 31622400001);
        buffer_finish(&text);
    }
}

static void numbers(void **state)
{
    static const struct {
        const char *text;
        bool good;
        double number;
    } rows[] = {
        {"0", true, 0},      {"-1", true, -1},    {"+2", true, 2},    {"2.5", true, 2.5},
        {"010", true, 10},   {"1e3", true, 1000}, {".5", true, 0.5},  {"", false, 0},
        {"-", false, 0},     {".", false, 0},     {"0x10", false, 0}, {"1e", false, 0},
        {"1_000", false, 0}, {"inf", false, 0},   {"nan", false, 0},  {"1e999", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double number = 0;
        if (parse_number(rows[i].text, &number) != rows[i].good || (rows[i].good && number != rows[i].number))
            fail_msg("%s", rows[i].text);
    }
}

static void forms(void **state)
{
    static const struct {
        const char *(*check)(const char *);
        const char *text;
        bool good;
    } rows[] = {
        {check_label, "us-east1-b", true},
        {check_label, "1", true},
        {check_label, "", false},
        {check_label, "a-", false},
        {check_label, "A", false},
        {check_label, "a.b", false},
        {check_label, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true},
        {check_label, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
        {check_letter_label, "mongo", true},
        {check_letter_label, "1mongo", false},
        {check_dns_name, "db.example.com", true},
        {check_dns_name, "db..example.com", false},
        {check_dns_name, "db.example.com.", false},
        {check_project, "example-prod", true},
        {check_project, "example.com:prod-1", true},
        {check_project, "short", false},
        {check_cidr, "10.0.0.0/8", true},
        {check_cidr, "0.0.0.0/0", true},
        {check_cidr, "2001:db8::/32", true},
        {check_cidr, "10.0.0.1/31", false},
        {check_cidr, "10.0.0.0/33", false},
        {check_cidr, "10.0.0.0/", false},
        {check_cidr, "10.0.0.0/+8", false},
        {check_cidr, "10.0.0/8", false},
        {check_cidr, "/8", false},
        {check_cidr, "10.0.0.0", false},
        {check_cpu, "500m", true},
        {check_cpu, "0.5", true},
        {check_cpu, "0", false},
        {check_cpu, "m", false},
        {check_cron, "30 2 * * *", true},
        {check_cron, "*/15 0-6,22 1,15 * 1-5", true},
        {check_cron, "@daily", true},
        {check_cron, "@yearly", false},
        {check_cron, "60 * * * *", false},
        {check_cron, "* * * *", false},
        {check_cron, "* * * * * *", false},
        {check_cron, "5-1 * * * *", false},
        {check_cron, "*/0 * * * *", false},
        {check_cron, "* * 0 * *", false},
        {check_cron, "", false},
        {check_cron, ", * * * *", false},
        {check_label_key, "atoll.dev/zone", true},
        {check_label_key, "/x", false},
        {check_label_key, "a/b/c", false},
        {check_label_value, "", true},
        {check_label_value, "Rod_1.x", true},
        {check_label_value, "-x", false},
        {check_image, "mongo:7.0", true},
        {check_image, "mongo:", false},
        {check_image, "mongo 7", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if ((rows[i].check(rows[i].text) == NULL) != rows[i].good)
            fail_msg("row %zu: \"%s\"", i, rows[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(durations),
        cmocka_unit_test(what_is_printed_is_parsed_to_the_same),
        cmocka_unit_test(numbers),
        cmocka_unit_test(forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
