/* The command line of atoll-zone-agent: see options.h. */
#include "zone-agent/options.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/log.h"
#include "proto/model.h"

enum { EXIT_BAD_USAGE = 2 };

static const char help[] =
    "Usage: atoll-zone-agent --dir DIR --zone ZONE --controller URL --driver kubernetes\n"
    "                        [--kubeconfig FILE [--context NAME]] [--namespace NS]\n"
    "       atoll-zone-agent --dir DIR --zone ZONE --controller URL --driver local --subnet 127.0.Z "
    "[--mongod PATH]\n"
    "Keeps one zone's members as the controller's intent says, and reports what it sees.\n"
    "\n"
    "  --dir DIR          where its state is kept: the last intent, and with the local driver disks, pods "
    "and Services\n"
    "  --zone ZONE        the zone's name in the federation's spec\n"
    "  --controller URL   the controller, like https://atoll.example.com:7411; plain http:// on the loopback "
    "alone\n"
    "  --join-token-file FILE\n"
    "                     a token of `atoll zone join-token ZONE`, with which an agent that has no "
    "certificate yet "
    "enrols\n"
    "  --driver NAME      what the zone is made of; `kubernetes`: a namespace of a cluster; `local`: "
    "processes and\n"
    "                     folders of this machine\n"
    "  --kubeconfig FILE  kubernetes: the cluster, and who the agent is there (without it: the pod's own "
    "service account)\n"
    "  --context NAME     kubernetes: the kubeconfig's context (its current one)\n"
    "  --namespace NS     kubernetes: where the members are (the context's or the pod's own, else default)\n"
    "  --compute-url URL  kubernetes: the Compute API, where the spec names a project "
    "(https://compute.googleapis.com)\n"
    "  --subnet 127.0.Z   local: its Services get addresses .1 to .127, its pods .128 to .254\n"
    "  --mongod PATH      local: the mongod, or atoll-mongod-sim, that pods run (mongod)\n"
    "  --log-level LEVEL  debug, info, warning or error (info)\n"
    "  --help, --version\n"
    "\n"
    "SIGTERM ends the agent and leaves the members running.\n";

static int bad_usage(const char *sentence, const char *what)
{
    fprintf(stderr, "atoll-zone-agent: %s%s (--help lists the options)\n", sentence, what);
    return EXIT_BAD_USAGE;
}

/* An option of the other driver would be ignored: that is said instead. */
static int check_driver(const struct settings *settings)
{
    bool local = strcmp(settings->driver, "local") == 0;
    if (!local && strcmp(settings->driver, "kubernetes"))
        return bad_usage("the driver is `kubernetes` or `local`, not ", settings->driver);
    if (local && (!settings->subnet || !*settings->subnet))
        return bad_usage("missing option ", "--subnet");
    if (local && (settings->kubeconfig || settings->context || settings->namespace_ || settings->compute_url))
        return bad_usage("--kubeconfig, --context, --namespace and --compute-url are options of the driver "
                         "kubernetes, not of ",
                         "local");
    if (!local && (settings->subnet || settings->mongod))
        return bad_usage("--subnet and --mongod are options of the driver local, not of ", "kubernetes");
    if (settings->context && !settings->kubeconfig)
        return bad_usage("--context needs ", "--kubeconfig");
    return 0;
}

/* In clear only where nobody listens in. */
static int check_controller(const struct settings *settings)
{
    static const char *const near[] = {"http://127.", "http://[::1]", "http://localhost:"};
    if (strncmp(settings->controller, "https://", 8) == 0)
        return 0;
    for (size_t i = 0; i < sizeof near / sizeof *near; i++)
        if (strncmp(settings->controller, near[i], strlen(near[i])) == 0)
            return settings->join_token_file
                       ? bad_usage("--join-token-file needs a controller at https://, unlike ",
                                   settings->controller)
                       : 0;
    return bad_usage(
        "the controller's URL begins with https:// (with http:// on the loopback alone), unlike ",
        settings->controller);
}

static int check_settings(const struct settings *settings)
{
    const struct {
        const char *name, *value;
    } needed[] = {{"--dir", settings->dir},
                  {"--zone", settings->zone},
                  {"--controller", settings->controller},
                  {"--driver", settings->driver}};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!needed[i].value || !*needed[i].value)
            return bad_usage("missing option ", needed[i].name);
    if (check_controller(settings))
        return EXIT_BAD_USAGE;
    if (check_driver(settings))
        return EXIT_BAD_USAGE;
    if (strlen(settings->zone) > NAME_LENGTH_MAX ||
        strspn(settings->zone, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(settings->zone))
        return bad_usage("a zone's name has at most 63 of a-z, 0-9 and -, unlike ", settings->zone);
    return 0;
}

static int set_log_level(const char *name)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    for (size_t i = 0; i < 4; i++)
        if (strcmp(names[i], name) == 0) {
            log_configure("atoll-zone-agent", (enum log_level)i);
            return 0;
        }
    return bad_usage("the log level is debug, info, warning or error, not ", name);
}

enum {
    OPTION_DIR = 256,
    OPTION_ZONE,
    OPTION_CONTROLLER,
    OPTION_DRIVER,
    OPTION_SUBNET,
    OPTION_MONGOD,
    OPTION_LOG_LEVEL,
    OPTION_KUBECONFIG,
    OPTION_CONTEXT,
    OPTION_NAMESPACE,
    OPTION_COMPUTE_URL,
    OPTION_JOIN_TOKEN_FILE,
    OPTION_HELP,
    OPTION_VERSION
};
static const struct option known[] = {{"dir", required_argument, NULL, OPTION_DIR},
                                      {"zone", required_argument, NULL, OPTION_ZONE},
                                      {"controller", required_argument, NULL, OPTION_CONTROLLER},
                                      {"driver", required_argument, NULL, OPTION_DRIVER},
                                      {"subnet", required_argument, NULL, OPTION_SUBNET},
                                      {"mongod", required_argument, NULL, OPTION_MONGOD},
                                      {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
                                      {"kubeconfig", required_argument, NULL, OPTION_KUBECONFIG},
                                      {"context", required_argument, NULL, OPTION_CONTEXT},
                                      {"namespace", required_argument, NULL, OPTION_NAMESPACE},
                                      {"compute-url", required_argument, NULL, OPTION_COMPUTE_URL},
                                      {"join-token-file", required_argument, NULL, OPTION_JOIN_TOKEN_FILE},
                                      {"help", no_argument, NULL, OPTION_HELP},
                                      {"version", no_argument, NULL, OPTION_VERSION},
                                      {NULL, 0, NULL, 0}};

int options_read(int argc, char **argv, struct settings *out)
{
    const char **targets[] = {&out->dir,     &out->zone,       &out->controller,  &out->driver,
                              &out->subnet,  &out->mongod,     &out->log_level,   &out->kubeconfig,
                              &out->context, &out->namespace_, &out->compute_url, &out->join_token_file};
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
        if (option == OPTION_HELP)
            return fputs(help, stdout) < 0;
        if (option == OPTION_VERSION)
            return printf("atoll-zone-agent %s\n", ATOLL_VERSION) < 0;
        if (option == ':')
            return bad_usage("a value is missing after ", argv[optind - 1]);
        if (option == '?')
            return bad_usage("unknown option ", argv[optind - 1]);
        *targets[option - OPTION_DIR] = optarg;
    }
    if (optind < argc)
        return bad_usage("unexpected argument ", argv[optind]);
    int code = set_log_level(out->log_level);
    if (code == 0)
        code = check_settings(out);
    return code ? code : -1;
}
