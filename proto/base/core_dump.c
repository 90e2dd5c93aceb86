/* See core_dump.h. */
#include "proto/base/core_dump.h"

#include <sys/resource.h>

/* https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/tree/fs/coredump.c: a pipe's handler is
 * not called with a limit of 1, and into a file nothing is written below a page. */
void core_dump_forbid(void)
{
    const struct rlimit one = {1, 1};
    setrlimit(RLIMIT_CORE, &one);
}
