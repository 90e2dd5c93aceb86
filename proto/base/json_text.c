/* The text of JSON: see json_text.h. */
#include "proto/base/json_text.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/json.h"

enum { NUMBER_DIGITS_MAX = 60 }; /* cJSON cuts numbers at 63 characters */

struct scan {
    const char *text;
    size_t length, at;
    size_t count;
    int depth;
    struct error *err;
};

int json_error_at(const char *text, size_t at, struct error *err, const char *what)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at; i++) {
        column = text[i] == '\n' ? 1 : column + 1;
        line += text[i] == '\n';
    }
    return error_set(err, ERROR_INVALID, "%s (line %zu, column %zu)", what, line, column);
}

static int refuse(const struct scan *scan, const char *what)
{
    return json_error_at(scan->text, scan->at, scan->err, what);
}

static int peek(const struct scan *scan)
{
    return scan->at < scan->length ? (unsigned char)scan->text[scan->at] : -1;
}

/* How many bytes the UTF-8 character at `text` has; 0 when it is none (RFC 3629: no overlong forms, no
 * surrogates). */
static size_t utf8_length(const unsigned char *text, size_t length)
{
    unsigned char first = text[0];
    if (first < 0x80)
        return 1;
    size_t need = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || need > length)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (first == 0xe0 && text[1] < 0xa0) || (first == 0xf0 && text[1] < 0x90);
    bool outside = (first == 0xed && text[1] > 0x9f) || (first == 0xf4 && text[1] > 0x8f);
    return overlong || outside ? 0 : need;
}

/* The number of a \uXXXX escape at `at`, or -1. */
static int read_escape(const struct scan *scan, size_t at)
{
    int value = 0;
    if (scan->length < 6 || at > scan->length - 6 || scan->text[at] != '\\' || scan->text[at + 1] != 'u')
        return -1;
    for (size_t i = at + 2; i < at + 6; i++) {
        char c = scan->text[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static int scan_escape(struct scan *scan)
{
    int next = scan->at + 1 < scan->length ? scan->text[scan->at + 1] : 0;
    if (next != 'u') {
        if (!next || !strchr("\"\\/bfnrt", next))
            return refuse(scan, "an unknown escape in a string");
        scan->at += 2;
        return 0;
    }
    int value = read_escape(scan, scan->at);
    if (value < 0)
        return refuse(scan, "\\u needs four hexadecimal digits");
    if (value == 0)
        return refuse(scan, "a NUL in a string");
    bool high = value >= 0xd800 && value <= 0xdbff;
    if (high) {
        int low = read_escape(scan, scan->at + 6);
        if (low < 0xdc00 || low > 0xdfff)
            return refuse(scan, "half of a surrogate pair");
    } else if (value >= 0xdc00 && value <= 0xdfff) {
        return refuse(scan, "half of a surrogate pair");
    }
    scan->at += high ? 12 : 6;
    return 0;
}

static int scan_string(struct scan *scan)
{
    for (scan->at++; peek(scan) != '"';) {
        int c = peek(scan);
        if (c < 0)
            return refuse(scan, "a string without end");
        if (c < 0x20)
            return refuse(scan, "a control character in a string");
        if (c == '\\') {
            if (scan_escape(scan))
                return -1;
            continue;
        }
        size_t bytes = utf8_length((const unsigned char *)scan->text + scan->at, scan->length - scan->at);
        if (!bytes)
            return refuse(scan, "bytes that are no UTF-8");
        scan->at += bytes;
    }
    scan->at++;
    return 0;
}

static size_t scan_digits(struct scan *scan)
{
    size_t begin = scan->at;
    while (peek(scan) >= '0' && peek(scan) <= '9')
        scan->at++;
    return scan->at - begin;
}

static int scan_number(struct scan *scan)
{
    size_t begin = scan->at;
    if (peek(scan) == '-')
        scan->at++;
    bool zero = peek(scan) == '0';
    size_t digits = scan_digits(scan);
    bool good = digits == 1 || (digits > 1 && !zero);
    if (good && peek(scan) == '.') {
        scan->at++;
        good = scan_digits(scan) > 0;
    }
    bool exponent = good && (peek(scan) == 'e' || peek(scan) == 'E');
    if (exponent) {
        scan->at++;
        if (peek(scan) == '+' || peek(scan) == '-')
            scan->at++;
        good = scan_digits(scan) > 0;
    }
    if (!good || scan->at - begin > NUMBER_DIGITS_MAX)
        return refuse(scan, good ? "a number with too many digits" : "not a number");
    if (!exponent)
        return 0; /* so few digits alone are far from infinity */
    char copy[NUMBER_DIGITS_MAX + 1] = "";
    memcpy(copy, scan->text + begin, scan->at - begin);
    return isfinite(strtod(copy, NULL)) ? 0 : refuse(scan, "a number that is too large");
}

static int scan_word(struct scan *scan)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = strlen(words[i]);
        if (length <= scan->length - scan->at && !memcmp(scan->text + scan->at, words[i], length)) {
            scan->at += length;
            return 0;
        }
    }
    return refuse(scan, "not well-formed JSON");
}

static int scan_token(struct scan *scan, int c)
{
    if (c == '"')
        return scan_string(scan);
    if (c == '-' || (c >= '0' && c <= '9'))
        return scan_number(scan);
    if (c == '{' || c == '[') {
        if (++scan->depth > JSON_DEPTH_MAX)
            return refuse(scan, "nested too deep (at most 32, JSON_DEPTH_MAX)");
    } else if (c == '}' || c == ']') {
        if (--scan->depth < 0)
            return refuse(scan, "a closing bracket too many");
    } else {
        return scan_word(scan);
    }
    scan->at++;
    return 0;
}

int json_scan(const char *text, size_t length, struct error *err)
{
    _Static_assert(JSON_DEPTH_MAX == 32, "the message above names it");
    struct scan scan = {.text = text, .length = length, .err = err};
    while (scan.at < scan.length) {
        int c = peek(&scan);
        if (c && strchr(" \t\r\n,:", c)) {
            scan.at++;
            continue;
        }
        if (++scan.count > 2 * JSON_COUNT_MAX) /* brackets count twice */
            return error_set(err, ERROR_TOO_LARGE, "JSON of more than %d values (JSON_COUNT_MAX)",
                             JSON_COUNT_MAX);
        if (scan_token(&scan, c))
            return -1;
    }
    return scan.depth ? refuse(&scan, "the text ends in the middle") : 0;
}

/* Printing */

void json_print_raw(struct json_printer *printer, const char *text)
{
    printer->full |= buffer_append_text(printer->out, text) != 0;
}

void json_print_line(struct json_printer *printer, int depth)
{
    if (!printer->pretty)
        return;
    json_print_raw(printer, "\n");
    for (int i = 0; i < depth; i++)
        json_print_raw(printer, "  ");
}

static void print_escape(struct json_printer *printer, unsigned char c)
{
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    char text[8] = {'\\', 0};
    for (size_t i = 0; i + 1 < sizeof letters; i += 2)
        if ((unsigned char)letters[i] == c)
            text[1] = letters[i + 1];
    if (!text[1])
        snprintf(text, sizeof text, "\\u%04x", c);
    json_print_raw(printer, text);
}

void json_print_text(struct json_printer *printer, const char *text)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t left = strlen(text), plain = 0;
    json_print_raw(printer, "\"");
    while (left) {
        unsigned char c = bytes[plain];
        size_t length = c < 0x80 ? 1 : utf8_length(bytes + plain, left);
        if (length && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
            plain += length;
            left -= length;
            continue;
        }
        printer->full |= buffer_append(printer->out, bytes, plain) != 0;
        if (length)
            print_escape(printer, c);
        else
            json_print_raw(printer, "\xef\xbf\xbd");
        bytes += plain + 1;
        plain = 0;
        left--;
    }
    printer->full |= buffer_append(printer->out, bytes, plain) != 0;
    json_print_raw(printer, "\"");
}

/* The digits of `number`, written backwards from `end`. */
static const char *whole_text(int64_t number, char *end)
{
    uint64_t left = number < 0 ? -(uint64_t)number : (uint64_t)number;
    *--end = '\0';
    do
        *--end = (char)('0' + left % 10);
    while (left /= 10);
    if (number < 0)
        *--end = '-';
    return end;
}

void json_print_number(struct json_printer *printer, double number)
{
    char text[40];
    if (!isfinite(number)) {
        json_print_raw(printer, "null");
        return;
    }
    if (fabs(number) <= 9007199254740992.0 && floor(number) == number) {
        json_print_raw(printer, whole_text((int64_t)number, text + sizeof text));
        return;
    } else {
        for (int digits = 15; digits <= 17; digits++) { /* the shortest that reads back as the same */
            snprintf(text, sizeof text, "%.*g", digits, number);
            if (strtod(text, NULL) == number)
                break;
        }
    }
    json_print_raw(printer, text);
}
