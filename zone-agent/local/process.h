/* Processes as /proc shows them (proc(5)). */
#ifndef ATOLL_ZONE_AGENT_LOCAL_PROCESS_H
#define ATOLL_ZONE_AGENT_LOCAL_PROCESS_H

#include <stddef.h>
#include <stdint.h>

/* When the process started, in clock ticks since boot; 0 when there is none or it is a zombie. Together with
 * the boot it names a process for ever, which a pid alone does not. */
uint64_t process_start_time(int pid);

/* The first process of ours with these two arguments one after the other; 0 when there is none. */
int process_find_by_argument(const char *option, const char *value);

/* What a program says on its standard output when it is started with these arguments (the first is its path;
 * NULL ends them); "" when it can't be started, fails or takes longer: it is killed then. Waits for it. */
void process_ask(const char *const *arguments, int timeout_ms, char *out, size_t size);

/* This boot's id; "" when it can't be read. */
void process_boot_id(char *out, size_t size);

#endif
