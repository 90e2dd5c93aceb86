/* Errors as values. A function that can fail takes `struct error *err`, returns 0 on success and -1 on
 * failure, and fills `err` only when it fails. An error is made once, with error_set(), where it happened;
 * callers that know more put a sentence before it with error_wrap(). It is logged once, at the top. Outputs
 * are written only on success. */
#ifndef ATOLL_BASE_ERROR_H
#define ATOLL_BASE_ERROR_H

/* The classes of errors that callers tell apart, with the code that people and tools see. */
#define ERROR_CODES(X)                                                                                       \
    X(ERROR_NONE, "none")                                                                                    \
    X(ERROR_INVALID, "invalid") /* bad input: the message says where and what would be right */              \
    X(ERROR_NOT_FOUND, "not_found")                                                                          \
    X(ERROR_CONFLICT, "conflict")       /* somebody else changed it first, or it exists */                   \
    X(ERROR_REFUSED, "refused")         /* a guard rail or a permission */                                   \
    X(ERROR_TOO_LARGE, "too_large")     /* a named bound was passed; the message names it */                 \
    X(ERROR_UNREACHABLE, "unreachable") /* nobody answered */                                                \
    X(ERROR_TIMEOUT, "timeout")                                                                              \
    X(ERROR_CANCELED, "canceled")                                                                            \
    X(ERROR_IO, "io") /* the operating system refused; the message has strerror() */                         \
    X(ERROR_NO_MEMORY, "no_memory")                                                                          \
    X(ERROR_PROTOCOL, "protocol") /* the other side said something that it must not say */                   \
    X(ERROR_INTERNAL, "internal")

enum error_code {
#define X(name, text) name,
    ERROR_CODES(X)
#undef X
};

enum { ERROR_MESSAGE_MAX = 512 };

struct error {
    enum error_code code;
    int detail; /* the other side's own number (errno, HTTP status, MongoDB's code), or 0 */
    char message[ERROR_MESSAGE_MAX];
};

/* Fills `err` (which may be NULL) and returns -1, so that `return error_set(...)` reads well. Long messages
 * are cut. */
int error_set(struct error *err, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Like error_set() with ERROR_IO, ": " and the text of `errnum` added, and `errnum` as detail. */
int error_set_errno(struct error *err, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts a sentence and ": " before the message that is there; keeps code and detail. Returns -1. */
int error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "invalid", "not_found" …: stable, for JSON and scripts. */
const char *error_code_name(enum error_code code);

#endif
