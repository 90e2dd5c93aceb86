/* Processes that hold keys leave none of their memory behind. */
#ifndef ATOLL_BASE_CORE_DUMP_H
#define ATOLL_BASE_CORE_DUMP_H

/* No core file of this process and its children from here on, nor for a handler that the kernel pipes cores
 * to (core(5)): that one is called whatever the limit is, but for a limit of one byte. */
void core_dump_forbid(void);

#endif
