/* Errors as values: see error.h. */
#include "proto/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, enum error_code code, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        err->code = code;
        err->detail = 0;
        vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
    }
    return -1;
}

int error_set_errno(struct error *err, int errnum, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        err->code = ERROR_IO;
        err->detail = errnum;
        vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
        size_t used = strlen(err->message);
        snprintf(err->message + used, sizeof err->message - used, ": %s", strerror(errnum));
    }
    return -1;
}

int error_wrap(struct error *err, const char *format, ...)
{
    if (err) {
        char cause[ERROR_MESSAGE_MAX];
        memcpy(cause, err->message, sizeof cause);
        va_list args;
        va_start(args, format);
        vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
        size_t used = strlen(err->message);
        snprintf(err->message + used, sizeof err->message - used, ": %s", cause);
    }
    return -1;
}

const char *error_code_name(enum error_code code)
{
    static const char *const names[] = {
#define X(name, text) [name] = text,
        ERROR_CODES(X)
#undef X
    };
    return names[code];
}
