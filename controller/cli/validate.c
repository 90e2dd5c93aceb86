/* atoll validate: check spec files without a controller. */
#include <string.h>

#include "controller/cli/console.h"
#include "controller/cli/spec_files.h"

static int print_spec(const struct spec_files *files, enum spec_format format)
{
    struct error err;
    struct buffer out;
    buffer_init(&out, 0);
    int status = spec_write(&files->spec, format, &out, &err) ? console_fail(&err, NULL) : 0;
    if (status == 0 && (out.length == 0 || out.data[out.length - 1] != '\n'))
        buffer_append_text(&out, "\n");
    status = status ? status : console_print(&out);
    buffer_finish(&out);
    return status;
}

static int print_summary(const struct spec_files *files)
{
    struct buffer out;
    size_t members = 0;
    for (size_t i = 0; i < files->spec.set_count; i++)
        members += files->spec.sets[i].member_count;
    buffer_init(&out, 0);
    buffer_printf(&out, "valid: federation %s, zones: %zu, sets: %zu, members: %zu\n", files->spec.name,
                  files->spec.zone_count, files->spec.set_count, members);
    int status = console_print(&out);
    buffer_finish(&out);
    return status;
}

int command_validate(const struct invocation *invocation)
{
    struct error err;
    const char *format = invocation_text(invocation, "output");
    struct spec_files *files = spec_files_read(invocation, &err);
    if (!files)
        return console_fail(&err, NULL);
    int status;
    if (format && strcmp(format, "json") == 0)
        status = print_spec(files, SPEC_JSON);
    else if (format && strcmp(format, "yaml") == 0)
        status = print_spec(files, SPEC_YAML);
    else
        status = print_summary(files);
    spec_files_destroy(files);
    return status;
}
