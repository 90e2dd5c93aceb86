/* The JSON of exec plugins: see exec_credential.h. */
#include "zone-agent/kubernetes/exec_credential.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/json.h"
#include "zone-agent/kubernetes/base64.h"
#include "zone-agent/kubernetes/kube_config.h"

/* Days since 1970 of a date of the Gregorian calendar (March is the first month, so that the leap day is the
 * last). */
static int64_t days_of(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = year / 400, of_era = year % 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719468;
}

/* "Z" or "+02:00", in minutes; -1 from the function when it is neither. */
static int read_offset(const char *text, int *minutes)
{
    int hour = 0, minute = 0, end = 0;
    char sign = *text;
    *minutes = 0;
    if ((sign == 'Z' || sign == 'z') && !text[1])
        return 0;
    if ((sign != '+' && sign != '-') || sscanf(text + 1, "%2d:%2d%n", &hour, &minute, &end) != 2 ||
        text[1 + end] || end != 5 || hour < 0 || hour > 23 || minute < 0 || minute > 59)
        return -1;
    *minutes = (sign == '-' ? -1 : 1) * (hour * 60 + minute);
    return 0;
}

int64_t rfc3339_ms(const char *text)
{
    int year, month, day, hour, minute, second, end = 0, offset;
    int64_t milliseconds = 0, scale = 100;
    if (sscanf(text, "%4d-%2d-%2d%*1[Tt ]%2d:%2d:%2d%n", &year, &month, &day, &hour, &minute, &second,
               &end) != 6 ||
        !end)
        return -1;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 23 ||
        minute < 0 || minute > 59 || second < 0 || second > 60)
        return -1;
    text += end;
    if (*text == '.')
        for (text++; *text >= '0' && *text <= '9'; text++, scale /= 10)
            milliseconds += scale * (*text - '0');
    if (read_offset(text, &offset))
        return -1;
    int64_t seconds = days_of(year, month, day) * 86400 + hour * 3600 + (minute - offset) * 60 + second;
    return seconds * 1000 + milliseconds;
}

static int copy_word(const struct json *status, const char *key, char **out, struct error *err)
{
    const char *text = json_get_text(status, key, NULL);
    if (text && !*text)
        text = NULL;
    *out = text ? strdup(text) : NULL;
    return text && !*out ? error_set(err, ERROR_NO_MEMORY, "out of memory for credentials") : 0;
}

static int check_credential(const struct exec_credential *read, const struct json *status, struct error *err)
{
    const char *expires = json_get_text(status, "expirationTimestamp", NULL);
    if (!read->token && !read->certificate)
        return error_set(err, ERROR_PROTOCOL, "its status has neither a token nor a clientCertificateData");
    if (read->token && strpbrk(read->token, "\r\n \t"))
        return error_set(err, ERROR_PROTOCOL, "its token is not one word");
    if (!read->certificate != !read->key)
        return error_set(err, ERROR_PROTOCOL,
                         "clientCertificateData and clientKeyData come together or not at all");
    if (read->certificate && (!strstr(read->certificate, "-----BEGIN ") ||
                              !strstr(read->key, "PRIVATE KEY") || strstr(read->key, "ENCRYPTED")))
        return error_set(err, ERROR_PROTOCOL,
                         "clientCertificateData and clientKeyData must be PEM, without a passphrase");
    if (expires && rfc3339_ms(expires) < 0)
        return error_set(err, ERROR_PROTOCOL, "its expirationTimestamp is no time like 2026-11-23T08:00:00Z");
    return 0;
}

static int read_status(const struct json *json, const char *api_version, struct exec_credential *out,
                       struct error *err)
{
    const struct json *status = json_get(json, "status");
    const char *version = json_get_text(json, "apiVersion", ""),
               *expires = json_get_text(status, "expirationTimestamp", NULL);
    if (strcmp(json_get_text(json, "kind", ""), "ExecCredential"))
        return error_set(err, ERROR_PROTOCOL, "it printed no ExecCredential");
    if (strcmp(version, api_version))
        return error_set(err, ERROR_PROTOCOL,
                         "it printed an ExecCredential of \"%.60s\", but the kubeconfig says %s", version,
                         api_version);
    if (copy_word(status, "token", &out->token, err) ||
        copy_word(status, "clientCertificateData", &out->certificate, err) ||
        copy_word(status, "clientKeyData", &out->key, err) || check_credential(out, status, err))
        return -1;
    out->expires_wall_ms = expires ? rfc3339_ms(expires) : 0;
    return 0;
}

int exec_credential_read(const char *text, size_t length, const char *api_version,
                         struct exec_credential *out, struct error *err)
{
    struct exec_credential read = {.token = NULL};
    struct json *json = json_parse(text, length, EXEC_CREDENTIAL_BYTES_MAX, err);
    if (!json)
        return error_wrap(err, "what it printed can't be read");
    int failed = read_status(json, api_version, &read, err);
    json_destroy(json);
    if (failed)
        exec_credential_finish(&read);
    else
        *out = read;
    return failed;
}

void exec_credential_finish(struct exec_credential *credential)
{
    kube_secret_free(credential->token);
    kube_secret_free(credential->certificate);
    kube_secret_free(credential->key);
    *credential = (struct exec_credential){.token = NULL};
}

int exec_info_write(const struct kube_config *config, struct buffer *out, struct error *err)
{
    struct json *info = json_object();
    json_set_string(info, "apiVersion", config->exec.api_version);
    json_set_string(info, "kind", "ExecCredential");
    struct json *spec = json_set(info, "spec", json_object());
    json_set_bool(spec, "interactive", false);
    if (config->exec.wants_cluster) {
        struct json *cluster = json_set(spec, "cluster", json_object());
        char *ca = config->ca ? base64_encode(config->ca, strlen(config->ca)) : NULL;
        json_set_string(cluster, "server", config->server);
        if (config->tls_server_name)
            json_set_string(cluster, "tls-server-name", config->tls_server_name);
        if (ca)
            json_set_string(cluster, "certificate-authority-data", ca);
        free(ca);
    }
    int failed = json_print(info, JSON_COMPACT, out, err);
    json_destroy(info);
    return failed;
}
