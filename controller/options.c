/* The command line of atoll-controller: see options.h. */
#include "controller/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/spec_format.h"
#include "proto/base/address.h"

static const char usage[] =
    "Usage: atoll-controller --dir DIR --ca-passphrase-file FILE [--listen ADDRESS:PORT] [--name NAME]... "
    "[--admin-file FILE]\n"
    "                        [--read-listen off|ADDRESS:PORT] [--egress CIDR]... [--log-level LEVEL]\n"
    "       atoll-controller --dir DIR --tls off [--listen LOOPBACK:PORT] ...\n"
    "\n"
    "The controller of a federation: it takes the spec, listens to the zones' agents, and keeps the replica "
    "sets whole.\n"
    "\n"
    "  --dir DIR                  where its state is kept (controller.db), made when it is not there\n"
    "  --ca-passphrase-file FILE  its first line opens the key of the federation's CA, which is made at the "
    "first start;\n"
    "                             without it the systemd credential ca-passphrase is used\n"
    "  --listen ADDRESS:PORT      agents, people and changes [127.0.0.1:7411], TLS; port 0: a free one\n"
    "  --name NAME                a name or address that people and agents reach it by, for its certificate; "
    "may be\n"
    "                             given several times (localhost, its host name and the listening address "
    "always are there)\n"
    "  --admin-file FILE          keep a key and certificate of an admin in this file, by which the first "
    "person gets in\n"
    "  --tls off                  plain HTTP, on the loopback alone: whoever is on this machine may do "
    "everything\n"
    "  --read-listen ADDRESS:PORT for reading only, plain HTTP, loopback, or off [off]\n"
    "  --egress CIDR              the addresses that this controller leaves by: members' Services in "
    "Kubernetes admit them;\n"
    "                             may be given several times\n"
    "  --log-level LEVEL          debug, info, warning or error [info]\n"
    "  --help, --version\n"
    "\n"
    "Instead of running:\n"
    "  --backup FILE              an image of the store in DIR, also while a controller runs on it; "
    "--overwrite: also "
    "if FILE exists\n"
    "  --restore FILE             puts an image in the store's place, while no controller runs; keeps the "
    "old one "
    "beside it\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 bad usage, 65 the store can't be used, which starting again does not "
    "change "
    "(docs/state.md).\n"
    "\n"
    "Once it listens it writes DIR/url (where to read) and DIR/control-url (where to change).\n";

static int bad_usage(const char *message, const char *value)
{
    fprintf(stderr, "atoll-controller: %s%s\nTry: atoll-controller --help\n", message, value);
    return -1;
}

static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

/* "127.0.0.1:7411", "[::1]:7411" */
static int read_endpoint(const char *text, struct endpoint *out)
{
    const char *digits;
    char *end;
    struct error err;
    if (address_split(text, out->address, sizeof out->address, &digits, &err))
        return bad_usage(err.message, "");
    long port = strtol(digits, &end, 10);
    if (end == digits || *end || port < 0 || port > 65535)
        return bad_usage("a port is a number from 0 to 65535, not ", digits);
    if (strcmp(out->address, "localhost") == 0)
        strcpy(out->address, "127.0.0.1");
    out->port = (int)port;
    out->on = true;
    return 0;
}

static int read_level(const char *text, enum log_level *out)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (enum log_level)i;
            return 0;
        }
    return bad_usage("--log-level is debug, info, warning or error, not ", text);
}

static int read_egress(const char *text, struct options *out)
{
    if (check_cidr(text))
        return bad_usage("--egress needs an address and a prefix length, like 203.0.113.7/32, not ", text);
    if (out->egress_count == EGRESS_MAX)
        return bad_usage("--egress was given too often: ", text);
    out->egress[out->egress_count++] = text;
    return 0;
}

static int read_die_at(const char *text, struct options *out)
{
    struct error err;
    if (strcmp(text, "list") == 0) {
        die_at_print_kinds();
        exit(0);
    }
    return die_at_read(text, &out->die_at, &err) ? bad_usage(err.message, "") : 0;
}

static int read_option(int option, struct options *out)
{
    switch (option) {
    case 'k':
        return read_die_at(optarg, out);
    case 'd':
        out->dir = optarg;
        return *optarg ? 0 : bad_usage("--dir needs a folder", "");
    case 'l':
        return read_endpoint(optarg, &out->listen);
    case 'r':
        out->read_listen.on = false;
        return strcmp(optarg, "off") == 0 ? 0 : read_endpoint(optarg, &out->read_listen);
    case 'e':
        return read_egress(optarg, out);
    case 'v':
        return read_level(optarg, &out->level);
    case 'b':
        out->backup = optarg;
        return *optarg ? 0 : bad_usage("--backup needs the name of a file", "");
    case 's':
        out->restore = optarg;
        return *optarg ? 0 : bad_usage("--restore needs the name of a file", "");
    case 'o':
        out->overwrite = true;
        return 0;
    case 't':
        out->tls_off = strcmp(optarg, "off") == 0;
        return out->tls_off || strcmp(optarg, "on") == 0 ? 0 : bad_usage("--tls is on or off, not ", optarg);
    case 'p':
        out->passphrase_file = optarg;
        return 0;
    case 'a':
        out->admin_file = optarg;
        return 0;
    case 'n':
        if (out->name_count == CREDENTIALS_NAMES_MAX)
            return bad_usage("--name was given too often: ", optarg);
        out->names[out->name_count++] = optarg;
        return 0;
    case 'h':
        fputs(usage, stdout);
        exit(0);
    case 'V':
        puts("atoll-controller " ATOLL_VERSION);
        exit(0);
    default:
        return bad_usage("that option is not known, or needs a value: ", optarg ? optarg : "see above");
    }
}

static int check_options(const struct options *options)
{
    if (!options->dir)
        return bad_usage("--dir DIR is needed: where the controller's state is kept", "");
    if ((options->backup && options->restore) || (options->overwrite && !options->backup))
        return bad_usage("--overwrite goes with --backup, and --backup not with --restore", "");
    if (options->tls_off && !is_loopback(options->listen.address))
        return bad_usage("with --tls off it listens on loopback addresses alone (127.0.0.1, ::1), not on ",
                         options->listen.address);
    if (options->tls_off && (options->passphrase_file || options->admin_file || options->name_count))
        return bad_usage("--ca-passphrase-file, --admin-file and --name are for TLS, and don't go with ",
                         "--tls off");
    if (options->read_listen.on && !is_loopback(options->read_listen.address))
        return bad_usage(
            "the reading listener is plain HTTP, on loopback addresses alone (127.0.0.1, ::1), not on ",
            options->read_listen.address);
    return 0;
}

int options_read(int argc, char **argv, struct options *out)
{
    static const struct option known[] = {
        {"dir", required_argument, NULL, 'd'},         {"listen", required_argument, NULL, 'l'},
        {"read-listen", required_argument, NULL, 'r'}, {"egress", required_argument, NULL, 'e'},
        {"log-level", required_argument, NULL, 'v'},   {"help", no_argument, NULL, 'h'},
        {"tls", required_argument, NULL, 't'},         {"ca-passphrase-file", required_argument, NULL, 'p'},
        {"name", required_argument, NULL, 'n'},        {"admin-file", required_argument, NULL, 'a'},
        {"die-at", required_argument, NULL, 'k'},      {"backup", required_argument, NULL, 'b'},
        {"restore", required_argument, NULL, 's'},     {"overwrite", no_argument, NULL, 'o'},
        {"version", no_argument, NULL, 'V'},           {0}};
    int option;
    *out = (struct options){.listen = {true, "127.0.0.1", 7411}, .level = LOG_LEVEL_INFO};
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
        if (read_option(option, out))
            return -1;
    if (optind < argc)
        return bad_usage("nothing is known to do with ", argv[optind]);
    return check_options(out);
}
