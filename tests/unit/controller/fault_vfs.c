/* SQLite's way to the disk, with faults: see fault_vfs.h. */
#include "tests/unit/controller/fault_vfs.h"

#include <assert.h>
#include <sqlite3.h>
#include <string.h>

struct faults faults;

/* The ordinary file lies behind ours; its methods are called through `real`. */
struct fault_file {
    sqlite3_file base;
    const sqlite3_io_methods *real;
};

static sqlite3_vfs fault_vfs;
static sqlite3_vfs *below;

static sqlite3_file *real_of(sqlite3_file *file)
{
    return (sqlite3_file *)((struct fault_file *)file + 1);
}

/* What SQLite is told at this step; 0: go on. */
static int step(void)
{
    faults.steps++;
    bool here = faults.at && (faults.steps == faults.at || (faults.for_good && faults.steps > faults.at));
    if (here && faults.photograph && faults.steps == faults.at)
        faults.photograph();
    return here ? faults.code : SQLITE_OK;
}

static int do_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int do_read(sqlite3_file *file, void *data, int length, sqlite3_int64 at)
{
    return real_of(file)->pMethods->xRead(real_of(file), data, length, at);
}

static int do_write(sqlite3_file *file, const void *data, int length, sqlite3_int64 at)
{
    sqlite3_file *real = real_of(file);
    if (faults.at == faults.steps + 1 && length > 1)
        real->pMethods->xWrite(real, data, length / 2, at); /* torn */
    int code = step();
    return code ? code : real->pMethods->xWrite(real, data, length, at);
}

static int do_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int code = step();
    return code ? code : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int do_sync(sqlite3_file *file, int flags)
{
    int code = step();
    return code ? code : real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int do_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int do_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int do_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int do_check_lock(sqlite3_file *file, int *out)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}

static int do_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int do_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int do_device(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int do_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, out);
}

static int do_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void do_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int do_unmap(sqlite3_file *file, int delete)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), delete);
}

static const sqlite3_io_methods methods = {2,          do_close,  do_read,   do_write,  do_truncate,
                                           do_sync,    do_size,   do_lock,   do_unlock, do_check_lock,
                                           do_control, do_sector, do_device, do_map,    do_shm_lock,
                                           do_barrier, do_unmap,  NULL,      NULL};

static int do_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    (void)vfs;
    file->pMethods = NULL;
    memset(real_of(file), 0, (size_t)below->szOsFile);
    int code = below->xOpen(below, name, real_of(file), flags, out_flags);
    if (real_of(file)->pMethods)
        file->pMethods = &methods;
    return code;
}

static int do_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    int code = step();
    return code ? code : below->xDelete(below, name, sync);
}

void fault_vfs_install(void)
{
    if (below)
        return;
    below = sqlite3_vfs_find("unix");
    assert(below);
    fault_vfs = *below;
    fault_vfs.zName = "faults";
    fault_vfs.szOsFile = (int)sizeof(struct fault_file) + below->szOsFile;
    fault_vfs.xOpen = do_open;
    fault_vfs.xDelete = do_delete;
    sqlite3_vfs_register(&fault_vfs, 1);
}

void fault_vfs_reset(void)
{
    faults = (struct faults){0};
}
