/* The processes of a sandbox, found in /proc by its directory in their command line: also those that a crash
 * left behind. Only the user's own, only by exact paths, and only what looks like a program of a sandbox: an
 * editor on one of its files is not one. */
#ifndef ATOLL_CLI_PROCESSES_H
#define ATOLL_CLI_PROCESSES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROCESSES_MAX = 4096, COMMAND_LINE_MAX = 64 * 1024 };

/* Bits, so that several can be asked for. */
enum process_kind { PROCESS_FOREIGN = 0, PROCESS_SUPERVISOR = 1, PROCESS_DAEMON = 2, PROCESS_MEMBER = 4 };

/* What this command line (arguments, each with a zero byte behind it) is to the sandbox in `dir`. Pure. */
enum process_kind process_kind_of(const char *command_line, size_t length, const char *dir);

struct stopped {
    size_t asked, killed; /* processes that got SIGTERM; those of them that needed SIGKILL */
    size_t left;          /* those that nothing ended */
};

/* Ends all processes of these kinds: SIGTERM, then SIGKILL when `patience_ms` are over, each through a pidfd,
 * so that a number that was given away again hits nobody. Looks again until none is left. */
struct stopped processes_stop(const char *dir, unsigned kinds, int64_t patience_ms);

#endif
