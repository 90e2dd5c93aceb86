/* The head of an HTTP request: see http_request.h. */
#include "controller/serve/http_request.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int refuse(const char **why, int status, const char *sentence)
{
    *why = sentence;
    return -status;
}

static bool is_token_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(const char *text)
{
    for (const char *c = text; *c; c++)
        if (!is_token_char(*c))
            return false;
    return *text;
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Decodes %XX in place (and + in a query). -1 on a bad escape or a control character. */
static int decode(char *text, bool plus_is_space)
{
    char *out = text;
    for (const char *in = text; *in; in++) {
        char c = *in;
        if (c == '%') {
            int high = hex(in[1]), low = high < 0 ? -1 : hex(in[2]);
            if (low < 0)
                return -1;
            c = (char)(high * 16 + low);
            in += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (is_control(c))
            return -1;
        *out++ = c;
    }
    *out = 0;
    return 0;
}

static bool climbs(const char *path)
{
    for (const char *at = path; (at = strstr(at, "/..")); at += 3)
        if (at[3] == 0 || at[3] == '/')
            return true;
    return false;
}

static int parse_query(struct http_fields *fields, char *query, const char **why)
{
    char *rest = query;
    for (char *pair = strsep(&rest, "&"); pair; pair = strsep(&rest, "&")) {
        if (!*pair)
            continue;
        if (fields->query_count == HTTP_QUERY_MAX)
            return refuse(why, 414, "too many query parameters");
        char *value = strchr(pair, '=');
        if (value)
            *value++ = 0;
        else
            value = pair + strlen(pair);
        if (decode(pair, true) || decode(value, true))
            return refuse(why, 400, "the query has a bad escape or a control character");
        fields->query[fields->query_count++] = (struct http_field){pair, value};
    }
    return 0;
}

static int parse_request_line(struct http_fields *fields, char *line, const char **why)
{
    char *target = strchr(line, ' '), *version = target ? strchr(target + 1, ' ') : NULL;
    if (!version || strchr(version + 1, ' '))
        return refuse(why, 400, "the request line is not METHOD PATH VERSION");
    *target++ = 0;
    *version++ = 0;
    if (!is_token(line) || strlen(line) > HTTP_METHOD_MAX)
        return refuse(why, 400, "the method is no token");
    if (strncmp(version, "HTTP/", 5) || strlen(version) != 8)
        return refuse(why, 400, "the request line names no HTTP version");
    if (strcmp(version, "HTTP/1.1") && strcmp(version, "HTTP/1.0"))
        return refuse(why, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    if (strlen(target) > HTTP_TARGET_MAX)
        return refuse(why, 414, "the path and query are too long");
    if (*target != '/')
        return refuse(why, 400, "the path does not begin with /");
    fields->http_1_0 = version[7] == '0';
    char *query = strchr(target, '?');
    if (query)
        *query++ = 0;
    if (decode(target, false) || climbs(target))
        return refuse(why, 400, "the path has a bad escape, a control character or ..");
    fields->method = line;
    fields->path = target;
    return query ? parse_query(fields, query, why) : 0;
}

static int parse_header(struct http_fields *fields, char *line, const char **why)
{
    char *value = strchr(line, ':');
    if (fields->header_count == HTTP_HEADER_LINES_MAX)
        return refuse(why, 431, "too many headers");
    if (!value)
        return refuse(why, 400, "a header has no colon");
    *value++ = 0;
    value += strspn(value, " \t");
    size_t length = strlen(value);
    while (length && strchr(" \t", value[length - 1]))
        value[--length] = 0;
    if (!is_token(line))
        return refuse(why, 400, "a header's name is no token");
    for (const char *c = value; *c; c++)
        if (is_control(*c) && *c != '\t')
            return refuse(why, 400, "a header's value has a control character");
    fields->headers[fields->header_count++] = (struct http_field){line, value};
    return 0;
}

static size_t count_header(const struct http_fields *fields, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < fields->header_count; i++)
        count += strcasecmp(fields->headers[i].name, name) == 0;
    return count;
}

const char *http_fields_header(const struct http_fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->header_count; i++)
        if (!strcasecmp(fields->headers[i].name, name))
            return fields->headers[i].value;
    return NULL;
}

const char *http_fields_query(const struct http_fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->query_count; i++)
        if (!strcmp(fields->query[i].name, name))
            return fields->query[i].value;
    return NULL;
}

/* Whether a comma-separated list has the word; `q=0` behind it means that it hasn't. */
static bool list_has(const char *list, const char *word)
{
    size_t length = strlen(word);
    while (list && *list) {
        list += strspn(list, " \t,");
        size_t item = strcspn(list, ",");
        size_t name = strcspn(list, ",; \t");
        if (name == length && !strncasecmp(list, word, length)) {
            char parameters[32] = "";
            snprintf(parameters, sizeof parameters, "%.*s", (int)(item - name), list + name);
            const char *q = strstr(parameters, "q=");
            return !q || strtod(q + 2, NULL) > 0;
        }
        list += item;
    }
    return false;
}

static int parse_length(struct http_fields *fields, const char **why)
{
    const char *text = http_fields_header(fields, "Content-Length");
    if (http_fields_header(fields, "Transfer-Encoding"))
        return refuse(why, 411, "bodies are taken with a Content-Length alone, not chunked");
    if (!text)
        return 0; /* no body (RFC 9112, 6.3): whether one is needed is the route's to say */
    if (count_header(fields, "Content-Length") > 1 || !*text || strlen(text) > 15 ||
        strspn(text, "0123456789") != strlen(text))
        return refuse(why, 400, "the Content-Length is not one number");
    fields->content_length = strtoull(text, NULL, 10);
    return 0;
}

static int check_fields(struct http_fields *fields, const char **why)
{
    size_t hosts = count_header(fields, "Host");
    if (hosts > 1 || (hosts == 0 && !fields->http_1_0))
        return refuse(why, 400, "one Host header is needed");
    const char *connection = http_fields_header(fields, "Connection");
    fields->keep_alive =
        fields->http_1_0 ? list_has(connection, "keep-alive") : !list_has(connection, "close");
    const char *expect = http_fields_header(fields, "Expect");
    if (expect && strcasecmp(expect, "100-continue"))
        return refuse(why, 417, "only 100-continue can be expected");
    fields->expects_continue = expect && !fields->http_1_0;
    fields->accepts_gzip = list_has(http_fields_header(fields, "Accept-Encoding"), "gzip");
    return parse_length(fields, why);
}

/* The next line, terminated in place; NULL when its end is not CR LF or it holds a NUL. */
static char *next_line(char **at, char *end)
{
    char *line = *at, *feed = memchr(line, '\n', (size_t)(end - line));
    if (!feed || feed == line || feed[-1] != '\r')
        return NULL;
    feed[-1] = 0;
    *at = feed + 1;
    return strlen(line) == (size_t)(feed - 1 - line) ? line : NULL;
}

int http_fields_parse(struct http_fields *fields, const char *data, size_t length, const char **why)
{
    size_t skipped = 0;
    *why = "";
    while (length >= 2 && data[0] == '\r' && data[1] == '\n' && skipped < 4) {
        data += 2; /* RFC 9112 2.2: some clients send an empty line too many before the request */
        length -= 2;
        skipped += 2;
    }
    size_t looked = length < HTTP_HEAD_MAX ? length : HTTP_HEAD_MAX;
    const char *end = memmem(data, looked, "\r\n\r\n", 4);
    memset((char *)fields + sizeof fields->text, 0, sizeof *fields - sizeof fields->text);
    if (!end && looked == HTTP_HEAD_MAX)
        return refuse(why, 431, "the request's head is larger than 16 KiB");
    /* What can't be HTTP is refused at its first line, so that a TLS client doesn't wait for a timeout. */
    if (!end && length && !is_token_char(data[0]) && data[0] != '\r')
        return refuse(why, 400, "this is not HTTP");
    if (!end)
        return 0;
    size_t head = (size_t)(end - data) + 4;
    memcpy(fields->text, data, head);
    char *at = fields->text, *stop = fields->text + head;
    char *line = next_line(&at, stop);
    int status =
        line ? parse_request_line(fields, line, why) : refuse(why, 400, "a line does not end with CR LF");
    while (status == 0 && stop - at > 2) {
        line = next_line(&at, stop);
        status = line ? parse_header(fields, line, why) : refuse(why, 400, "a line does not end with CR LF");
    }
    fields->head_length = head + skipped;
    if (status == 0)
        status = check_fields(fields, why);
    return status ? status : 1;
}

bool http_host_is_loopback(const char *host)
{
    char name[256];
    bool bracketed = *host == '[';
    size_t length = bracketed ? strcspn(host + 1, "]") : strcspn(host, ":");
    const char *rest = host + length + (bracketed ? 2 : 0);
    if (length == 0 || length >= sizeof name || (bracketed && host[length + 1] != ']'))
        return false;
    if (*rest && (*rest != ':' || strspn(rest + 1, "0123456789") != strlen(rest + 1)))
        return false;
    snprintf(name, sizeof name, "%.*s", (int)length, host + bracketed);
    struct in_addr address;
    if (bracketed)
        return !strcmp(name, "::1");
    if (inet_pton(AF_INET, name, &address) == 1)
        return ntohl(address.s_addr) >> 24 == 127;
    return !strcasecmp(name, "localhost") || (length > 10 && !strcasecmp(name + length - 10, ".localhost"));
}
