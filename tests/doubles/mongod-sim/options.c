/* Reads the command line. Names are mongod's, so that a caller can start either program with the same
 * arguments. */
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char options_help[] =
    "Usage: atoll-mongod-sim --replSet NAME [OPTION]...\n"
    "A stand-in for mongod: it speaks MongoDB's wire protocol and forms replica sets.\n"
    "\n"
    "Options that mongod knows too:\n"
    "  --port PORT              listen there (27017)\n"
    "  --bind_ip ADDR[,ADDR]    addresses to listen on (localhost); --bind_ip_all for all\n"
    "  --dbpath DIR             where data is kept (/data/db); --data DIR is the same\n"
    "  --replSet NAME           the replica set's name\n"
    "  --logpath FILE           write the log there instead of to standard output\n"
    "  --logappend              append to the log file instead of starting it anew\n"
    "  --nounixsocket           accepted; there is never a Unix socket\n"
    "  --keyFile FILE           members know one another by its key (mode 0600); turns --auth on\n"
    "  --auth                   accepted with --keyFile\n"
    "  --tlsMode MODE           disabled, allowTLS, preferTLS or requireTLS; on 4.0 these begin with --ssl:\n"
    "                           --sslMode, --sslPEMKeyFile, --sslCAFile, --sslClusterFile and so on\n"
    "  --tlsCertificateKeyFile FILE  certificate and key, PEM\n"
    "  --tlsCAFile FILE         who signs members' and clients' certificates\n"
    "  --tlsClusterFile FILE    shown to other members instead of the first\n"
    "  --tlsAllowConnectionsWithoutCertificates  clients need none\n"
    "  --tlsDisabledProtocols LIST  accepted; below TLS 1.2 nothing is ever spoken\n"
    "  --help, -h               this text\n"
    "  --version                the versions of the stand-in and of the server that it plays\n"
    "\n"
    "Options of its own:\n"
    "  --server-version 4.0|7.0 the server that it plays (7.0)\n"
    "  --initial-sync-ms N      the least time that an initial sync takes (200)\n"
    "  --seed N                 seed of its random numbers (from clock and process id)\n";

static int parse_number(const char *name, const char *text, long long low, long long high, long long *out,
                        struct error *err)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < low || value > high)
        return error_set(err, ERROR_INVALID, "%s: \"%s\" is not a number from %lld to %lld", name, text, low,
                         high);
    *out = value;
    return 0;
}

static int parse_server_version(struct options *options, const char *text, struct error *err)
{
    if (!strcmp(text, "4.0"))
        options->server_version = 4;
    else if (!strcmp(text, "7.0"))
        options->server_version = 7;
    else
        return error_set(err, ERROR_INVALID,
                         "--server-version: \"%s\" is not one that can be played; 4.0 and 7.0 can", text);
    return 0;
}

/* Options without a value. Returns 1 when `name` is one. */
static int parse_flag(struct options *options, const char *name)
{
    if (!strcmp(name, "--help") || !strcmp(name, "-h"))
        options->help = true;
    else if (!strcmp(name, "--version"))
        options->version = true;
    else if (!strcmp(name, "--logappend"))
        options->log_append = true;
    else if (!strcmp(name, "--bind_ip_all"))
        options->bind_ip = "*";
    else if (!strcmp(name, "--auth"))
        options->auth = true;
    else if (!strcmp(name, "--tlsAllowConnectionsWithoutCertificates") ||
             !strcmp(name, "--sslAllowConnectionsWithoutCertificates"))
        options->tls.allow_without_certificate = true;
    else if (strcmp(name, "--nounixsocket") != 0)
        return 0;
    return 1;
}

static int parse_tls_mode(struct options *options, const char *name, const char *text, struct error *err)
{
    static const char *const modes[][2] = {{"disabled", "disabled"},
                                           {"allowTLS", "allowSSL"},
                                           {"preferTLS", "preferSSL"},
                                           {"requireTLS", "requireSSL"}};
    for (int i = 0; i < 4; i++)
        if (!strcmp(text, modes[i][name[2] == 's'])) {
            options->tls.mode = (enum tls_mode)i;
            return 0;
        }
    return error_set(err, ERROR_INVALID, "%s: \"%s\" is not a mode", name, text);
}

/* 1 when `name` is one of TLS's options with a value; `options` has its value then. */
static int parse_tls(struct options *options, const char *name, const char *value)
{
    const struct {
        const char *name, *old_name, **to;
    } files[] = {
        {"--tlsCertificateKeyFile", "--sslPEMKeyFile", &options->tls.certificate_key_file},
        {"--tlsCAFile", "--sslCAFile", &options->tls.ca_file},
        {"--tlsClusterFile", "--sslClusterFile", &options->tls.cluster_file},
        {"--tlsDisabledProtocols", "--sslDisabledProtocols", &options->tls.disabled_protocols},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (!strcmp(name, files[i].name) || !strcmp(name, files[i].old_name)) {
            if (value)
                *files[i].to = value;
            return 1;
        }
    return 0;
}

static int parse_valued(struct options *options, const char *name, const char *value, struct error *err)
{
    long long number;
    if (!strcmp(name, "--port")) {
        if (parse_number(name, value, 1, 65535, &number, err))
            return -1;
        options->port = (int)number;
    } else if (!strcmp(name, "--initial-sync-ms")) {
        if (parse_number(name, value, 0, 86400000, &number, err))
            return -1;
        options->initial_sync_ms = (int)number;
    } else if (!strcmp(name, "--seed")) {
        if (parse_number(name, value, 0, INT64_MAX, &number, err))
            return -1;
        options->seed = (uint64_t)number;
    } else if (!strcmp(name, "--bind_ip")) {
        options->bind_ip = value;
    } else if (!strcmp(name, "--dbpath") || !strcmp(name, "--data")) {
        options->dbpath = value;
    } else if (!strcmp(name, "--replSet")) {
        options->set_name = value;
    } else if (!strcmp(name, "--logpath")) {
        options->log_path = value;
    } else if (!strcmp(name, "--keyFile")) {
        options->key_file = value;
    } else if (parse_tls(options, name, value)) {
        return 0;
    } else if (!strcmp(name + 5, "Mode")) {
        return parse_tls_mode(options, name, value, err);
    } else if (!strcmp(name, "--server-version")) {
        return parse_server_version(options, value, err);
    }
    return 0;
}

static bool takes_value(const char *name)
{
    struct options unused;
    if (parse_tls(&unused, name, NULL))
        return true;
    static const char *const names[] = {
        "--port", "--bind_ip",        "--dbpath",          "--data",    "--replSet", "--logpath",
        "--seed", "--server-version", "--initial-sync-ms", "--keyFile", "--tlsMode", "--sslMode"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

/* Names of the other version's options are unknown to a server; the sentences are the server's. */
static int check_security(struct options *o, int argc, char **argv, struct error *err)
{
    bool old = o->server_version < 5;
    for (int i = 1; i < argc; i++)
        if (!strncmp(argv[i], old ? "--tls" : "--ssl", 5))
            return error_set(err, ERROR_INVALID, "unrecognised option '%s'", argv[i]);
    o->tls.names_by_dns_alone = old;
    if (o->auth && !o->key_file)
        return error_set(err, ERROR_INVALID,
                         "security.keyFile is required when authorization is enabled with replica sets");
    if (o->tls.mode != TLS_DISABLED && !o->tls.certificate_key_file)
        return error_set(err, ERROR_INVALID, "need %s when %s is enabled",
                         old ? "sslPEMKeyFile" : "tlsCertificateKeyFile", old ? "SSL" : "TLS");
    return 0;
}

int options_parse(struct options *options, int argc, char **argv, struct error *err)
{
    *options = (struct options){.port = 27017,
                                .bind_ip = "localhost",
                                .dbpath = "/data/db",
                                .server_version = 7,
                                .initial_sync_ms = 200};
    for (int i = 1; i < argc; i++) {
        char name[64];
        const char *value = strchr(argv[i], '=');
        size_t length = value ? (size_t)(value - argv[i]) : strlen(argv[i]);
        if (length >= sizeof name)
            return error_set(err, ERROR_INVALID, "unknown option %.80s", argv[i]);
        memcpy(name, argv[i], length);
        name[length] = 0;
        if (!value && parse_flag(options, name))
            continue;
        if (!takes_value(name))
            return error_set(err, ERROR_INVALID, "unknown option %s; --help lists what there is", argv[i]);
        if (!value && i + 1 == argc)
            return error_set(err, ERROR_INVALID, "%s needs a value", name);
        if (parse_valued(options, name, value ? value + 1 : argv[++i], err))
            return -1;
    }
    if (!options->help && !options->version && (!options->set_name || !*options->set_name))
        return error_set(err, ERROR_INVALID, "--replSet NAME is needed: only replica set members are played");
    return options->help || options->version ? 0 : check_security(options, argc, argv, err);
}

const char *options_version_text(const struct options *options)
{
    return options->server_version == 4 ? "4.0.3" : "7.0.14";
}
