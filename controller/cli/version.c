/* atoll version. */
#include <stdio.h>
#include <string.h>

#include "controller/cli/console.h"

int command_version(const struct invocation *invocation)
{
    const char *format = invocation->command ? invocation_text(invocation, "output") : NULL;
    if (format && strcmp(format, "json") == 0) {
        struct json *json = json_object();
        json_set_string(json, "version", ATOLL_VERSION);
        int status = console_print_json(json, JSON_PRETTY);
        json_destroy(json);
        return status;
    }
    return printf("atoll %s\n", ATOLL_VERSION) < 0 || fflush(stdout) ? EXIT_NEGATIVE : EXIT_DONE;
}
