/* Stands before the C library (LD_PRELOAD) and lets the nth allocation, or the nth effect on files and
 * sockets, fail. Only those are counted that our own code asked for, itself or through a library: the
 * innermost frame of the program's stack that belongs to the program itself must lie in a function of
 * production code. Which functions those are is said by a file of ranges, made by torture.py. What
 * mongo-c-driver and OpenSSL allocate is left alone: the former ends the process by design when memory is
 * out, the latter allocates a million times to make one key; nor does the stack of a new thread (libuv ends
 * the process without its workers).
 *
 *   ATOLL_TORTURE_MAP     lines "START END KIND", hexadecimal offsets, sorted; KIND is T (tests), P
 * (production) or E (production, and where a simulator enters it) ATOLL_TORTURE_ENTERED 1: only what happens
 * within an E counts ATOLL_TORTURE_KIND    memory or effect ATOLL_TORTURE_AT      which one fails, from 1; 0:
 * none, they are only counted, and the report gets "site N" for each that is the first one from another way
 * through production code ATOLL_TORTURE_FORK    instead: several, ascending ("3,17,40"). At each a copy of
 * the process goes on in which it fails, and is waited for; only for programs that touch nothing outside of
 * themselves ATOLL_TORTURE_REPORT  a file that gets "failed NAME ADDRESS…" and at the end "counted N"; of
 * each copy "ended N STATUS" (as waitpid() says it), while what it wrote goes to the file REPORT.N
 */
#include "proto/base/hash.h"
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

#define STACK_WORDS_MAX (((size_t)8 << 20) / sizeof(uintptr_t))

enum {
    RANGES_MAX = 65536,
    FRAMES_MAX = 48,
    EARLY_BYTES = 65536,
    FOREIGN_MAX = 16,
    COPY_SECONDS_MAX = 60,
    SITES_MAX = 65536,
    SITE_FRAMES = 6
};

struct range {
    uintptr_t start, end;
    char kind;
};

static struct {
    bool ready, memory, entered;
    unsigned long at;
    const char *copies_at; /* the rest of ATOLL_TORTURE_FORK; NULL: there is none */
    const char *report_path;
    atomic_ulong counted;
    int report;
    ino_t shown[STDERR_FILENO + 1]; /* where stdout and stderr went at the start */
    uintptr_t base, first, last;    /* of the program's own text */
    struct range ranges[RANGES_MAX];
    size_t range_count;
    struct range loop;                 /* libuv */
    struct range foreign[FOREIGN_MAX]; /* libraries whose allocations are left alone */
    size_t foreign_count;
    uint64_t sites[SITES_MAX]; /* hashes; 0: empty */
    size_t site_count;
} torture = {.report = -1};

/* Initial-exec: a thread's first use must not allocate. */
static __thread volatile bool inside __attribute__((tls_model("initial-exec")));

/* ---- what was there before us ---- */

static char early[EARLY_BYTES] __attribute__((aligned(16)));
static size_t early_used;

/* dlsym() itself may allocate. */
static void *early_alloc(size_t size)
{
    size = (size + 15) / 16 * 16;
    if (size > EARLY_BYTES - early_used)
        abort();
    void *out = early + early_used;
    early_used += size;
    return out;
}

static bool is_early(const void *pointer)
{
    return (const char *)pointer >= early && (const char *)pointer < early + EARLY_BYTES;
}

/* The next definition of NAME, in a static variable of the function that asks. */
#define NEXT(type, name, parameters)                                                                         \
    static type(*next_##name) parameters;                                                                    \
    if (!next_##name)                                                                                        \
    next_##name = (type(*) parameters)(uintptr_t)find_next(#name)

/* volatile: the compiler believes that dlsym() never comes back into this file. */
static __thread volatile bool finding __attribute__((tls_model("initial-exec")));

static void *find_next(const char *name)
{
    finding = true;
    void *out = dlsym(RTLD_NEXT, name);
    finding = false;
    return out;
}

/* ---- who asks ---- */

static char kind_of(uintptr_t address)
{
    size_t low = 0, high = torture.range_count;
    uintptr_t offset = address - torture.base;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (torture.ranges[middle].end <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < torture.range_count && torture.ranges[low].start <= offset ? torture.ranges[low].kind : 0;
}

static bool is_foreign(uintptr_t address)
{
    for (size_t i = 0; i < torture.foreign_count; i++)
        if (address >= torture.foreign[i].start && address < torture.foreign[i].end)
            return true;
    return false;
}

/* Who asks: the frames of production code, innermost first, and what of. */
struct asking {
    bool ours;
    uintptr_t frames[SITE_FRAMES];
    size_t count;
};

/* One frame more, from within; false when no further one is needed. */
static bool take_frame(struct asking *out, uintptr_t address, bool *decided)
{
    if (torture.memory && is_foreign(address)) {
        out->ours = out->ours && *decided;
        return false;
    }
    char kind = address >= torture.first && address < torture.last ? kind_of(address) : 0;
    if (!kind)
        return true;
    if (kind == 'T') { /* the test, or a simulator's own use of production code */
        *decided = true;
        return false;
    }
    out->ours = out->ours || kind == 'E' || !torture.entered;
    *decided = out->ours;
    out->frames[out->count++] = address - torture.base;
    return out->count < SITE_FRAMES || !*decided;
}

static void walk_stack(struct asking *out)
{
    void *frames[FRAMES_MAX];
    bool decided = false;
    int count = backtrace(frames, FRAMES_MAX);
    for (int i = 1;
         i < count && out->count < SITE_FRAMES && take_frame(out, (uintptr_t)frames[i] - 1, &decided); i++)
        ;
}

/* The program is built with frame pointers, so that a call from within it needs no unwinding. */
static void walk_frames(struct asking *out, uintptr_t caller, const uintptr_t *frame)
{
    bool decided = false;
    const uintptr_t *bottom = frame;
    while (take_frame(out, caller, &decided) && out->count < SITE_FRAMES) {
        const uintptr_t *next = (const uintptr_t *)frame[0];
        if (next <= frame || (uintptr_t)next % sizeof *next || (size_t)(next - bottom) > STACK_WORDS_MAX)
            return;
        frame = next;
        caller = frame[1] - 1;
    }
}

/* Whether production code asked; `caller` is where the call came from, `frame` the frame of who was called.
 */
static bool is_ours(uintptr_t caller, const uintptr_t *frame, struct asking *out)
{
    *out = (struct asking){.count = 0};
    char known = caller >= torture.first && caller < torture.last ? kind_of(caller) : 0;
    if (known == 'T' || (torture.memory && is_foreign(caller)))
        return false;
    if (known)
        walk_frames(out, caller, frame);
    else
        walk_stack(out);
    return out->ours;
}

/* Whether nobody came this way before. */
static bool is_new_site(const struct asking *asking)
{
    uint64_t hash = HASH_START;
    for (size_t i = 0; i < asking->count; i++)
        hash = hash_number(hash, asking->frames[i]);
    hash |= 1;
    size_t at = hash >> 20 & (SITES_MAX - 1);
    while (torture.sites[at] && torture.sites[at] != hash)
        at = (at + 1) & (SITES_MAX - 1);
    if (torture.sites[at] || torture.site_count == SITES_MAX / 2)
        return false;
    torture.sites[at] = hash;
    torture.site_count++;
    return true;
}

static void say_failed(const char *name)
{
    char line[2048];
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    int length = snprintf(line, sizeof line, "failed %s", name);
    for (int i = 1; i < count && length < (int)sizeof line - 24; i++) {
        uintptr_t address = (uintptr_t)frames[i] - 1;
        if (address >= torture.first && address < torture.last)
            length += snprintf(line + length, sizeof line - (size_t)length, " %lx",
                               (unsigned long)(address - torture.base));
    }
    line[length++] = '\n';
    if (torture.report >= 0 && write(torture.report, line, (size_t)length) < 0)
        abort();
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char line[64];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (write(torture.report, line, (size_t)length) < 0)
        abort();
}

/* True in the copy. */
static bool copy_goes_on(void)
{
    char path[512];
    int status = 0;
    pid_t copy = fork();
    if (copy < 0)
        abort();
    if (copy > 0) {
        while (waitpid(copy, &status, 0) < 0 && errno == EINTR)
            ;
        say("ended %lu %d\n", torture.at, status);
        return false;
    }
    alarm(COPY_SECONDS_MAX);
    snprintf(path, sizeof path, "%s.%lu", torture.report_path, torture.at);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (int shown = STDOUT_FILENO; shown <= STDERR_FILENO; shown++) {
        struct stat now; /* a test may have put a pipe of its own there */
        if (fstat(shown, &now) == 0 && now.st_ino == torture.shown[shown] && dup2(fd, shown) < 0)
            abort();
    }
    close(fd);
    torture.copies_at = NULL;
    return true;
}

/* The next of several, after this one. */
static void aim(void)
{
    char *end = NULL;
    torture.at = strtoul(torture.copies_at, &end, 10);
    torture.copies_at = *end == ',' ? end + 1 : end;
    if (!torture.at)
        torture.at = (unsigned long)-1;
}

/* Whether this one, which is counted, fails. */
static bool hits(const struct asking *asking)
{
    unsigned long number = atomic_fetch_add(&torture.counted, 1) + 1;
    if (!torture.at && is_new_site(asking)) /* by several threads at once at worst a site is told twice */
        say("site %lu\n", number);
    if (number != torture.at)
        return false;
    if (!torture.copies_at || copy_goes_on())
        return true;
    aim();
    return false;
}

/* Counts this one; whether it is the one that fails. */
static bool fails(bool memory, const char *name, void *caller, void *frame)
{
    struct asking asking;
    if (!torture.ready || inside || torture.memory != memory || (torture.at && torture.counted >= torture.at))
        return false;
    inside = true;
    int saved = errno;
    bool now = is_ours((uintptr_t)caller - 1, frame, &asking) && hits(&asking);
    if (now)
        say_failed(name);
    errno = saved;
    inside = false;
    return now;
}

/* libuv's table of watchers: it ends the process when that can't grow. */
static bool is_loop(void *caller)
{
    uintptr_t address = (uintptr_t)caller - 1;
    return address >= torture.loop.start && address < torture.loop.end;
}

/* ---- memory ---- */

EXPORT void *malloc(size_t size)
{
    if (finding)
        return early_alloc(size);
    NEXT(void *, malloc, (size_t));
    if (fails(true, "malloc", __builtin_return_address(0), __builtin_frame_address(0)))
        return errno = ENOMEM, NULL;
    return next_malloc(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
    if (finding)
        return early_alloc(count * size); /* static memory is zero */
    NEXT(void *, calloc, (size_t, size_t));
    if (fails(true, "calloc", __builtin_return_address(0), __builtin_frame_address(0)))
        return errno = ENOMEM, NULL;
    return next_calloc(count, size);
}

EXPORT void *realloc(void *pointer, size_t size)
{
    NEXT(void *, realloc, (void *, size_t));
    if (is_early(pointer)) {
        void *out = malloc(size);
        size_t left = (size_t)(early + EARLY_BYTES - (char *)pointer);
        return out ? memcpy(out, pointer, size < left ? size : left) : NULL;
    }
    if (size && !is_loop(__builtin_return_address(0)) &&
        fails(true, "realloc", __builtin_return_address(0), __builtin_frame_address(0)))
        return errno = ENOMEM, NULL;
    return next_realloc(pointer, size);
}

EXPORT void free(void *pointer)
{
    if (is_early(pointer) || finding) /* while dlsym() is at work: a few bytes of its own */
        return;
    NEXT(void, free, (void *));
    next_free(pointer);
}

EXPORT char *strdup(const char *text)
{
    NEXT(char *, strdup, (const char *));
    if (fails(true, "strdup", __builtin_return_address(0), __builtin_frame_address(0)))
        return errno = ENOMEM, NULL;
    return next_strdup(text);
}

EXPORT char *strndup(const char *text, size_t length)
{
    NEXT(char *, strndup, (const char *, size_t));
    if (fails(true, "strndup", __builtin_return_address(0), __builtin_frame_address(0)))
        return errno = ENOMEM, NULL;
    return next_strndup(text, length);
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t size)
{
    NEXT(int, posix_memalign, (void **, size_t, size_t));
    return fails(true, "posix_memalign", __builtin_return_address(0), __builtin_frame_address(0))
               ? ENOMEM
               : next_posix_memalign(out, alignment, size);
}

/* ---- effects ---- */

/* A full disk and a broken one by turns. */
static int disk_error(void)
{
    return torture.at % 2 ? ENOSPC : EIO;
}

static bool has_mode(int flags)
{
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

#define OPENING(name)                                                                                        \
    EXPORT int name(const char *path, int flags, ...)                                                        \
    {                                                                                                        \
        va_list arguments;                                                                                   \
        va_start(arguments, flags);                                                                          \
        unsigned mode = has_mode(flags) ? va_arg(arguments, unsigned) : 0;                                   \
        va_end(arguments);                                                                                   \
        NEXT(int, name, (const char *, int, ...));                                                           \
        if (fails(false, #name, __builtin_return_address(0), __builtin_frame_address(0)))                    \
            return errno = torture.at % 2 ? EMFILE : EIO, -1;                                                \
        return next_##name(path, flags, mode);                                                               \
    }

OPENING(open)
OPENING(open64)

#define OPENING_AT(name)                                                                                     \
    EXPORT int name(int folder, const char *path, int flags, ...)                                            \
    {                                                                                                        \
        va_list arguments;                                                                                   \
        va_start(arguments, flags);                                                                          \
        unsigned mode = has_mode(flags) ? va_arg(arguments, unsigned) : 0;                                   \
        va_end(arguments);                                                                                   \
        NEXT(int, name, (int, const char *, int, ...));                                                      \
        if (fails(false, #name, __builtin_return_address(0), __builtin_frame_address(0)))                    \
            return errno = torture.at % 2 ? EMFILE : EIO, -1;                                                \
        return next_##name(folder, path, flags, mode);                                                       \
    }

OPENING_AT(openat)
OPENING_AT(openat64)

/* A function of this type, with these parameters, that fails with -1 and this errno. */
#define FAILING(type, name, parameters, arguments, error)                                                    \
    EXPORT type name parameters                                                                              \
    {                                                                                                        \
        NEXT(type, name, parameters);                                                                        \
        if (fails(false, #name, __builtin_return_address(0), __builtin_frame_address(0)))                    \
            return errno = (error), (type)-1;                                                                \
        return next_##name arguments;                                                                        \
    }

/* libuv wakes itself up by pipes of its own, and ends the process when one of them fails. */
static bool is_own_pipe(int fd, void *caller)
{
    struct stat status;
    return is_loop(caller) && fstat(fd, &status) == 0 && !S_ISREG(status.st_mode) &&
           !S_ISSOCK(status.st_mode);
}

#define FAILING_IO(name, parameters, arguments, error)                                                       \
    EXPORT ssize_t name parameters                                                                           \
    {                                                                                                        \
        NEXT(ssize_t, name, parameters);                                                                     \
        if (!is_own_pipe(fd, __builtin_return_address(0)) &&                                                 \
            fails(false, #name, __builtin_return_address(0), __builtin_frame_address(0)))                    \
            return errno = (error), -1;                                                                      \
        return next_##name arguments;                                                                        \
    }

FAILING_IO(read, (int fd, void *data, size_t length), (fd, data, length), EIO)
FAILING(ssize_t, pread64, (int fd, void *data, size_t length, off64_t at), (fd, data, length, at), EIO)
FAILING_IO(write, (int fd, const void *data, size_t length), (fd, data, length), disk_error())
FAILING_IO(writev, (int fd, const struct iovec *data, int count), (fd, data, count), disk_error())
FAILING(ssize_t, pwrite64, (int fd, const void *data, size_t length, off64_t at), (fd, data, length, at),
        disk_error())
FAILING(int, fsync, (int fd), (fd), disk_error())
FAILING(int, fdatasync, (int fd), (fd), disk_error())
FAILING(int, ftruncate64, (int fd, off64_t length), (fd, length), disk_error())
FAILING(int, rename, (const char *from, const char *to), (from, to), disk_error())
FAILING(int, unlink, (const char *path), (path), EIO)
FAILING(int, mkdir, (const char *path, mode_t mode), (path, mode), disk_error())
FAILING(int, pipe2, (int fds[2], int flags), (fds, flags), EMFILE)
FAILING(int, socket, (int domain, int type, int protocol), (domain, type, protocol), EMFILE)
FAILING(int, bind, (int fd, const struct sockaddr *address, socklen_t length), (fd, address, length),
        EADDRINUSE)
FAILING(int, listen, (int fd, int backlog), (fd, backlog), EADDRINUSE)
FAILING(int, connect, (int fd, const struct sockaddr *address, socklen_t length), (fd, address, length),
        ECONNREFUSED)
FAILING(int, accept4, (int fd, struct sockaddr *address, socklen_t *length, int flags),
        (fd, address, length, flags), EMFILE)

/* ---- life ---- */

static int look_at_object(struct dl_phdr_info *info, size_t size, void *context)
{
    bool *program_seen = context;
    static const char *const left_alone[] = {"/libbson-1.0", "/libmongoc-1.0", "/libcrypto.so", "/libssl.so",
                                             "/ld-linux"};
    bool foreign = false;
    for (size_t i = 0; i < sizeof left_alone / sizeof *left_alone; i++)
        foreign = foreign || strstr(info->dlpi_name, left_alone[i]);
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + part->p_vaddr;
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X))
            continue;
        if (!*program_seen) {
            torture.base = info->dlpi_addr;
            torture.first = start;
            torture.last = start + part->p_memsz;
        } else if (strstr(info->dlpi_name, "/libuv.so")) {
            torture.loop = (struct range){start, start + part->p_memsz, 'L'};
        } else if (foreign && torture.foreign_count < FOREIGN_MAX) {
            torture.foreign[torture.foreign_count++] = (struct range){start, start + part->p_memsz, 'L'};
        }
    }
    *program_seen = true; /* the first object is the program */
    return 0;
}

static void read_map(const char *path)
{
    FILE *file = fopen(path, "re");
    unsigned long start, end;
    char kind;
    if (!file)
        abort();
    while (torture.range_count < RANGES_MAX && fscanf(file, "%lx %lx %c", &start, &end, &kind) == 3)
        torture.ranges[torture.range_count++] = (struct range){start, end, kind};
    fclose(file);
}

__attribute__((constructor)) static void begin(void)
{
    const char *map = getenv("ATOLL_TORTURE_MAP"), *kind = getenv("ATOLL_TORTURE_KIND"),
               *at = getenv("ATOLL_TORTURE_AT");
    const char *report = getenv("ATOLL_TORTURE_REPORT");
    void *frames[2];
    bool program_seen = false;
    if (!map || !kind || !at || !report)
        return;
    inside = true;
    torture.report = open(report, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    torture.memory = strcmp(kind, "memory") == 0;
    torture.entered = getenv("ATOLL_TORTURE_ENTERED") != NULL;
    torture.at = strtoul(at, NULL, 10);
    torture.report_path = report;
    torture.copies_at = getenv("ATOLL_TORTURE_FORK");
    if (torture.copies_at)
        aim();
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        struct stat status;
        torture.shown[fd] = fstat(fd, &status) == 0 ? status.st_ino : 0;
    }
    read_map(map);
    dl_iterate_phdr(look_at_object, &program_seen);
    backtrace(frames, 2);   /* loads its library now */
    unsetenv("LD_PRELOAD"); /* not for the programs that this one starts */
    torture.ready = true;
    inside = false;
}

__attribute__((destructor)) static void end(void)
{
    if (torture.ready)
        say("counted %lu\n", atomic_load(&torture.counted));
    torture.ready = false;
}
