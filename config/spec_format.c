/* The forms that single texts of a spec may have: see spec_format.h. */
#include "config/spec_format.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_MAX = 63, DNS_NAME_MAX = 253, IMAGE_MAX = 512, ARGUMENT_MAX = 1024, TAG_MAX = 128 };

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z');
}

/* Lower-case letters, digits and dashes, a letter or digit at both ends. */
static bool is_label(const char *text, size_t length)
{
    if (length == 0 || length > LABEL_MAX || text[0] == '-' || text[length - 1] == '-')
        return false;
    for (size_t i = 0; i < length; i++)
        if (!is_lower(text[i]) && !is_digit(text[i]) && text[i] != '-')
            return false;
    return true;
}

static bool is_dns_name(const char *text, size_t length)
{
    if (length == 0 || length > DNS_NAME_MAX)
        return false;
    for (size_t from = 0; from <= length;) {
        const char *dot = memchr(text + from, '.', length - from);
        size_t part = dot ? (size_t)(dot - text) - from : length - from;
        if (!is_label(text + from, part))
            return false;
        from += part + 1;
    }
    return true;
}

const char *check_label(const char *text)
{
    if (is_label(text, strlen(text)))
        return NULL;
    return "1 to 63 lower-case letters, digits and dashes, with a letter or digit at both ends";
}

const char *check_letter_label(const char *text)
{
    if (is_label(text, strlen(text)) && is_lower(text[0]))
        return NULL;
    return "1 to 63 lower-case letters, digits and dashes, with a letter first and a letter or digit last";
}

const char *check_dns_name(const char *text)
{
    return is_dns_name(text, strlen(text)) ? NULL : "a DNS name in lower case, like db.example.com";
}

/* https://cloud.google.com/resource-manager/docs/creating-managing-projects, with "example.com:" before it
 * for old ones */
const char *check_project(const char *text)
{
    const char *colon = strchr(text, ':');
    const char *id = colon ? colon + 1 : text;
    size_t length = strlen(id);
    bool good = length >= 6 && length <= 30 && is_label(id, length) && is_lower(id[0]);
    if (good && (!colon || is_dns_name(text, (size_t)(colon - text))))
        return NULL;
    return "the id of a Google Cloud project: 6 to 30 lower-case letters, digits and dashes, a letter first";
}

static bool all_of(const char *text, const char *others)
{
    for (; *text; text++)
        if (!is_alnum(*text) && !strchr(others, *text))
            return false;
    return true;
}

const char *check_image(const char *text)
{
    size_t length = strlen(text);
    if (length > 0 && length <= IMAGE_MAX && is_alnum(text[0]) && is_alnum(text[length - 1]) &&
        all_of(text, "._-/:@"))
        return NULL;
    return "an image like mongo:7.0 or registry.example.com/mongo@sha256:…";
}

const char *check_storage_type(const char *text)
{
    if (is_dns_name(text, strlen(text)))
        return NULL;
    return "a disk type like pd-ssd, pd-balanced or pd-standard (or a StorageClass of the cluster)";
}

const char *check_cidr(const char *text)
{
    static const char right[] = "a CIDR like 203.0.113.0/24 (203.0.113.7/32 for one address)";
    const char *slash = strchr(text, '/');
    char address[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    size_t length = slash ? (size_t)(slash - text) : 0;
    if (length == 0 || length >= sizeof address)
        return right;
    memcpy(address, text, length);
    address[length] = 0;
    bool six = strchr(address, ':') != NULL;
    size_t digits = strlen(slash + 1);
    if (inet_pton(six ? AF_INET6 : AF_INET, address, bytes) != 1 || digits == 0 || digits > 3 ||
        strspn(slash + 1, "0123456789") != digits || (digits > 1 && slash[1] == '0'))
        return right;
    int prefix = atoi(slash + 1), bits = six ? 128 : 32;
    if (prefix > bits)
        return right;
    for (int bit = prefix; bit < bits; bit++)
        if (bytes[bit / 8] & (0x80 >> bit % 8))
            return "a CIDR whose bits behind the prefix are 0, like 203.0.113.0/24 (203.0.113.7/32 for one "
                   "address)";
    return NULL;
}

/* The longest decimal number at the beginning, without sign and exponent; 0 bytes when there is none. */
static size_t decimals(const char *text, double *number)
{
    size_t whole = strspn(text, "0123456789"), length = whole;
    if (text[length] == '.') {
        size_t fraction = strspn(text + length + 1, "0123456789");
        if (fraction == 0)
            return 0;
        length += 1 + fraction;
    }
    if (whole == 0 || length > 24)
        return 0;
    char copy[32];
    memcpy(copy, text, length);
    copy[length] = 0;
    *number = strtod(copy, NULL);
    return length;
}

const char *check_cpu(const char *text)
{
    double number = 0;
    size_t length = decimals(text, &number);
    if (length && number > 0 && (!text[length] || (strcmp(text + length, "m") == 0 && !strchr(text, '.'))))
        return NULL;
    return "an amount of processors like 500m, \"2\" or \"0.5\"";
}

const char *check_memory(const char *text)
{
    int64_t bytes = 0;
    return parse_size(text, &bytes) && bytes > 0 ? NULL : "an amount of memory like 512Mi or 4Gi";
}

const char *check_label_value(const char *text)
{
    size_t length = strlen(text);
    if (length == 0 ||
        (length <= LABEL_MAX && all_of(text, "-_.") && is_alnum(text[0]) && is_alnum(text[length - 1])))
        return NULL;
    return "at most 63 letters, digits, dashes, dots and underscores, with a letter or digit at both ends";
}

const char *check_label_key(const char *text)
{
    const char *slash = strchr(text, '/');
    const char *name = slash ? slash + 1 : text;
    if (*name && !check_label_value(name) && (!slash || is_dns_name(text, (size_t)(slash - text))))
        return NULL;
    return "1 to 63 letters, digits, dashes, dots and underscores, perhaps with a DNS name and / before them";
}

const char *check_tag(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            length = 0;
    return length > 0 && length <= TAG_MAX ? NULL : "1 to 128 bytes without control characters";
}

const char *check_argument(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            length = 0;
    return length > 0 && length <= ARGUMENT_MAX ? NULL : "1 to 1024 bytes without control characters";
}

/* One part of a cron field: *, N or N-M, and perhaps /STEP. */
static bool cron_part(const char *text, size_t length, int low, int high)
{
    char part[16];
    if (length == 0 || length >= sizeof part)
        return false;
    memcpy(part, text, length);
    part[length] = 0;
    char *slash = strchr(part, '/'), *end = part;
    if (slash) {
        *slash = 0;
        if (!slash[1] || strspn(slash + 1, "0123456789") != strlen(slash + 1) || atoi(slash + 1) < 1)
            return false;
    }
    if (strcmp(part, "*") == 0)
        return true;
    if (!is_digit(*part))
        return false;
    long from = strtol(part, &end, 10), to = from;
    if (*end == '-' && is_digit(end[1]))
        to = strtol(end + 1, &end, 10);
    return !*end && from >= low && from <= to && to <= high;
}

static bool cron_field(const char *text, size_t length, int low, int high)
{
    for (;;) {
        const char *comma = memchr(text, ',', length);
        size_t part = comma ? (size_t)(comma - text) : length;
        if (!cron_part(text, part, low, high))
            return false;
        if (!comma)
            return true;
        text += part + 1;
        length -= part + 1;
    }
}

const char *check_cron(const char *text)
{
    static const char right[] =
        "a time table like \"30 2 * * *\" (minute, hour, day, month, weekday; UTC), @hourly, "
        "@daily, @weekly or @monthly";
    static const char *const names[] = {"@hourly", "@daily", "@weekly", "@monthly"};
    static const int ranges[5][2] = {{0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 7}};
    for (size_t i = 0; i < 4; i++)
        if (strcmp(text, names[i]) == 0)
            return NULL;
    for (int field = 0; field < 5; field++) {
        size_t length = strcspn(text, " ");
        if (!cron_field(text, length, ranges[field][0], ranges[field][1]))
            return right;
        text += length;
        text += strspn(text, " ");
    }
    return *text ? right : NULL;
}

static const struct unit {
    const char *text;
    int64_t factor;
} size_units[] = {{"", 1},
                  {"k", 1000},
                  {"M", 1000000},
                  {"G", 1000000000},
                  {"T", INT64_C(1000000000000)},
                  {"P", INT64_C(1000000000000000)},
                  {"Ki", INT64_C(1) << 10},
                  {"Mi", INT64_C(1) << 20},
                  {"Gi", INT64_C(1) << 30},
                  {"Ti", INT64_C(1) << 40},
                  {"Pi", INT64_C(1) << 50}},
  duration_units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

enum {
    SIZE_UNITS = sizeof size_units / sizeof *size_units,
    DURATION_UNITS = sizeof duration_units / sizeof *duration_units
};

bool parse_size(const char *text, int64_t *bytes)
{
    double number = 0;
    size_t length = decimals(text, &number);
    for (size_t i = 0; length && i < SIZE_UNITS; i++) {
        if (strcmp(text + length, size_units[i].text) != 0)
            continue;
        double product = number * (double)size_units[i].factor;
        if (product != floor(product) || product > 9007199254740992.0)
            return false;
        *bytes = (int64_t)product;
        return true;
    }
    return false;
}

bool parse_duration(const char *text, int64_t *ms)
{
    const double most = 366.0 * 86400000;
    double total = 0;
    int64_t last = INT64_MAX;
    if (!*text)
        return false;
    while (*text) {
        double number = 0;
        size_t digits = decimals(text, &number);
        if (digits == 0)
            return false;
        text += digits;
        size_t length = strspn(text, "mshd"), i = 0;
        while (i < DURATION_UNITS && (strlen(duration_units[i].text) != length ||
                                      strncmp(duration_units[i].text, text, length) != 0))
            i++;
        if (i == DURATION_UNITS || duration_units[i].factor >= last) /* larger units first, each once */
            return false;
        last = duration_units[i].factor;
        total += number * (double)last;
        text += length;
    }
    if (total != floor(total) || total > most)
        return false;
    *ms = (int64_t)total;
    return true;
}

bool parse_number(const char *text, double *number)
{
    const char *at = text + (*text == '-' || *text == '+');
    size_t whole = strspn(at, "0123456789");
    at += whole;
    size_t fraction = 0;
    if (*at == '.') {
        fraction = strspn(at + 1, "0123456789");
        at += 1 + fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*at == 'e' || *at == 'E') {
        at += 1 + (at[1] == '-' || at[1] == '+');
        if (!is_digit(*at))
            return false;
        at += strspn(at, "0123456789");
    }
    if (*at)
        return false;
    *number = strtod(text, NULL);
    return isfinite(*number);
}

void print_size(int64_t bytes, struct buffer *out)
{
    size_t best = 0;
    for (size_t i = 1; i < SIZE_UNITS; i++)
        if (bytes > 0 && bytes % size_units[i].factor == 0 &&
            bytes / size_units[i].factor < bytes / size_units[best].factor)
            best = i;
    buffer_printf(out, "%" PRId64 "%s", bytes / size_units[best].factor, size_units[best].text);
}

void print_duration(int64_t ms, struct buffer *out)
{
    size_t best = ms == 0 ? 1 : 0;
    for (size_t i = 0; i < DURATION_UNITS; i++)
        if (ms > 0 && ms % duration_units[i].factor == 0)
            best = i;
    buffer_printf(out, "%" PRId64 "%s", ms / duration_units[best].factor, duration_units[best].text);
}
