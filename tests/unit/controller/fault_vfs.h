/* SQLite's way to the disk, with faults: the nth write, sync, truncation or deletion fails, or the disk is
 * photographed while it is half done. It lies over the ordinary one, for all files that are opened after
 * fault_vfs_install(). */
#ifndef ATOLL_TESTS_UNIT_CONTROLLER_FAULT_VFS_H
#define ATOLL_TESTS_UNIT_CONTROLLER_FAULT_VFS_H

#include <stdbool.h>

struct faults {
    int at;                   /* at which step, from 1; 0: none */
    int code;                 /* what SQLite is told there; 0: nothing, it is only photographed */
    bool for_good;            /* each step from there on fails too */
    void (*photograph)(void); /* called there, with half of what is written on the disk */
    int steps;                /* how many there have been since the last fault_vfs_reset() */
};
extern struct faults faults;

void fault_vfs_install(void);
void fault_vfs_reset(void);

#endif
