/* atoll certificate create|list|revoke, and atoll ca show|rotate: people's certificates, and the CA that
 * signs them. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/cli/console.h"
#include "controller/cli/context.h"
#include "controller/cli/text.h"
#include "proto/base/file.h"
#include "proto/base/pki.h"

static bool wants_json(const struct invocation *invocation)
{
    const char *format = invocation_text(invocation, "output");
    return format && strcmp(format, "json") == 0;
}

static const char *get(const struct json *object, const char *key)
{
    return json_get_text(object, key, "");
}

/* ---- create ---- */

/* The place is taken before anything is signed: a certificate whose key can't be kept would count and be
 * nobody's. */
static int take_place(const char *path, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "making the file %s", path);
    close(fd);
    return 0;
}

static struct json *ask_for(const struct invocation *invocation, const char *key_pem, struct error *err)
{
    const char *name = invocation_argument(invocation, 0);
    struct remote remote;
    struct buffer request;
    struct json *answer = NULL;
    buffer_init(&request, PKI_PEM_MAX);
    if (pki_request_create(key_pem, NULL, NULL, name, &request, err) == 0 &&
        context_open(invocation, &remote, err) == 0) {
        struct json *body = json_object();
        json_set_string(body, "name", name);
        json_set_string(body, "role", invocation_text(invocation, "role"));
        json_set_string(body, "request", request.data);
        answer = remote_ask(&remote, "POST", "/v1/certificates", body, err);
        json_destroy(body);
        remote_close(&remote);
    }
    buffer_finish(&request);
    return answer;
}

static int write_files(const char *path, struct buffer *key, const struct json *answer, struct error *err)
{
    char ca_path[PATH_MAX];
    const char *ca = get(answer, "ca");
    snprintf(ca_path, sizeof ca_path, "%s.ca", path);
    if (buffer_append_text(key, get(answer, "certificate")) || pki_check_pair(key->data, key->data, err))
        return error_wrap(err, "reading the controller's answer");
    return file_replace(path, key->data, key->length, 0600, err) ||
                   file_replace(ca_path, ca, strlen(ca), 0644, err)
               ? -1
               : 0;
}

int command_certificate_create(const struct invocation *invocation)
{
    const char *name = invocation_argument(invocation, 0), *out = invocation_text(invocation, "out");
    char path[PATH_MAX];
    struct error err;
    struct buffer key;
    struct json *answer = NULL;
    snprintf(path, sizeof path, out ? "%s" : "%s.pem", out ? out : name);
    buffer_init(&key, PKI_PEM_MAX);
    bool taken = take_place(path, &err) == 0;
    bool failed = !taken || pki_key_create(&key, &err) || !(answer = ask_for(invocation, key.data, &err)) ||
                  write_files(path, &key, answer, &err);
    pki_forget(&key);
    if (failed) {
        if (taken)
            unlink(path);
        error_wrap(&err, "making a certificate for %s", name);
        json_destroy(answer);
        return console_fail(&err, NULL);
    }
    console_say("%s has the key and certificate of %s (role %s, until %.10s); %s.ca has the CA. With both:\n"
                "  atoll status --controller https://… --ca-file %s.ca --certificate-file %s\n"
                "or as caFile and certificateFile of a context in ~/.config/atoll/config.yaml.",
                path, name, invocation_text(invocation, "role"), get(answer, "expiresAt"), path, path, path);
    json_destroy(answer);
    return EXIT_DONE;
}

/* ---- list, revoke ---- */

static int print_list(const struct json *answer)
{
    static const char *const titles[] = {"NAME", "ROLE", "SERIAL", "ISSUED", "EXPIRES"};
    struct table table;
    struct buffer out;
    const struct json *list = json_get(answer, "certificates");
    table_init(&table, titles, sizeof titles / sizeof *titles);
    buffer_init(&out, 0);
    for (const struct json *one = json_first(list); one; one = json_next(one)) {
        char day[16];
        table_add(&table, get(one, "name"), COLOUR_NONE);
        table_add(&table, get(one, "role"), COLOUR_NONE);
        table_add(&table, get(one, "serial"), COLOUR_NONE);
        snprintf(day, sizeof day, "%.10s", get(one, "issuedAt"));
        table_add(&table, day, COLOUR_NONE);
        snprintf(day, sizeof day, "%.10s", get(one, "expiresAt"));
        table_add(&table, day, COLOUR_NONE);
    }
    if (json_count(list) == 0)
        console_say("There are no certificates of people.");
    else
        table_print(&table, console_width(), console_colours(STDOUT_FILENO), &out);
    int status = console_print(&out);
    buffer_finish(&out);
    table_finish(&table);
    return status;
}

/* One request, its answer printed as JSON or by `print`. */
static int run(const struct invocation *invocation, const char *method, const char *path,
               const struct json *body, const char *doing, int (*print)(const struct json *answer))
{
    struct error err;
    struct remote remote;
    if (context_open(invocation, &remote, &err))
        return console_fail(&err, NULL);
    struct json *answer = remote_ask(&remote, method, path, body, &err);
    int status;
    if (answer) {
        status = wants_json(invocation) ? console_print_json(answer, JSON_PRETTY) : print(answer);
    } else {
        error_wrap(&err, "%s", doing);
        status = console_fail(&err, NULL);
    }
    json_destroy(answer);
    remote_close(&remote);
    return status;
}

int command_certificate_list(const struct invocation *invocation)
{
    return run(invocation, "GET", "/v1/certificates", NULL, "reading the list of certificates", print_list);
}

static int say_revoked(const struct json *answer)
{
    (void)answer;
    console_say("It counts no more.");
    return EXIT_DONE;
}

int command_certificate_revoke(const struct invocation *invocation)
{
    struct buffer path;
    buffer_init(&path, 0);
    buffer_append_text(&path, "/v1/certificates/");
    path_append(&path, invocation_argument(invocation, 0));
    int status = run(invocation, "DELETE", buffer_text(&path), NULL, "revoking a certificate", say_revoked);
    buffer_finish(&path);
    return status;
}

/* ---- the CA ---- */

static void print_ca(const struct json *ca, const char *what, struct buffer *out)
{
    if (!ca)
        return;
    buffer_printf(out, "%-10s", what);
    text_escape(get(ca, "name"), out);
    buffer_printf(out, "  until %.10s  SHA-256 ", get(ca, "expiresAt"));
    text_escape(get(ca, "sha256"), out);
    buffer_append_text(out, "\n");
}

static int print_authority(const struct json *answer)
{
    const char *stage = get(answer, "stage");
    const struct json *zones = json_get(answer, "zones");
    long long joined = json_get_int(zones, "joined", 0);
    struct buffer out;
    buffer_init(&out, 0);
    print_ca(json_get(answer, "signs"), "signs", &out);
    print_ca(json_get(answer, "next"), "next", &out);
    print_ca(json_get(answer, "previous"), "previous", &out);
    if (strcmp(stage, "announced") == 0)
        buffer_printf(&out,
                      "\nThe next CA is announced; %lld of %lld zones have it. Once all have: atoll ca "
                      "rotate, and it signs.\n",
                      (long long)json_get_int(zones, "withBundle", 0), joined);
    else if (strcmp(stage, "switched") == 0)
        buffer_printf(&out,
                      "\nThe new CA signs; %lld of %lld zones have renewed. Once all have: atoll ca rotate, "
                      "and the previous one is dropped.\n",
                      (long long)json_get_int(zones, "renewed", 0), joined);
    int status = console_print(&out);
    buffer_finish(&out);
    return status;
}

int command_ca_show(const struct invocation *invocation)
{
    return run(invocation, "GET", "/v1/ca", NULL, "asking for the CA", print_authority);
}

int command_ca_rotate(const struct invocation *invocation)
{
    struct json *body = json_object();
    json_set_bool(body, "force", invocation_has(invocation, "force"));
    int status = run(invocation, "POST", "/v1/ca:exchange", body,
                     "taking the next step of an exchange of the CA", print_authority);
    json_destroy(body);
    return status;
}
