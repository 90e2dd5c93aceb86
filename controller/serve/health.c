/* Health in the manner of Kubernetes: /livez, /readyz, /healthz, with ?verbose each check. */
#include <string.h>

#include "controller/serve/site.h"

struct check {
    const char *name;
    const char *problem; /* "" when it passed */
};

/* Ready is who can do its work: without a spec there is none to be done yet, which is no fault. */
static size_t run_checks(struct exchange *exchange, struct check checks[3])
{
    struct federation_view view;
    size_t count = 0;
    exchange->site->backend.view(exchange->site->backend.context, &view);
    checks[count++] = (struct check){"loop", ""};
    checks[count++] = (struct check){"store", view.store_problem};
    checks[count++] = (struct check){"epoch", view.epoch > 0 ? "" : "no epoch was taken"};
    return count;
}

static void answer_checks(struct exchange *exchange, const struct check *checks, size_t count)
{
    struct buffer text;
    bool good = true;
    bool verbose = http_request_query(exchange->request, "verbose") != NULL;
    buffer_init(&text, 0);
    for (size_t i = 0; i < count; i++) {
        bool passed = !*checks[i].problem;
        good &= passed;
        if (!passed)
            buffer_printf(&text, "[-]%s failed: %s\n", checks[i].name, checks[i].problem);
        else if (verbose)
            buffer_printf(&text, "[+]%s ok\n", checks[i].name);
    }
    if (good)
        buffer_append_text(&text, "ok\n");
    answer_text(exchange, good ? 200 : 503, "text/plain; charset=utf-8", buffer_text(&text), text.length);
    buffer_finish(&text);
}

void serve_livez(struct exchange *exchange)
{
    const struct check alive = {"loop", ""};
    answer_checks(exchange, &alive, 1);
}

void serve_readyz(struct exchange *exchange)
{
    struct check checks[3];
    answer_checks(exchange, checks, run_checks(exchange, checks));
}

void serve_healthz(struct exchange *exchange)
{
    serve_readyz(exchange);
}

/* The description is written by hand in openapi.json and linked into the program as it is. */
__asm__(".section .rodata\n"
        ".global atoll_openapi_begin\n"
        "atoll_openapi_begin:\n"
        ".incbin \"" ATOLL_OPENAPI_FILE "\"\n"
        ".global atoll_openapi_end\n"
        "atoll_openapi_end:\n"
        ".byte 0\n"
        ".previous\n");
extern const char atoll_openapi_begin[], atoll_openapi_end[];

void serve_openapi(struct exchange *exchange)
{
    answer_text(exchange, 200, "application/json", atoll_openapi_begin,
                (size_t)(atoll_openapi_end - atoll_openapi_begin));
}
