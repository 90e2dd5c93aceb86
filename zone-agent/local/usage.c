/* How much the disks hold: counted now and then, on a worker thread, because a data folder may have many
 * files. */
#include <stdlib.h>

#include "zone-agent/local/local_internal.h"

struct usage {
    char path[LOCAL_PATH_MAX], set[NAME_LENGTH_MAX + 1];
    int ordinal;
    int64_t bytes;
};

struct usage_list {
    struct local_driver *driver;
    size_t count;
    struct usage items[];
};

static void on_usage_work(uv_work_t *work)
{
    struct usage_list *list = work->data;
    for (size_t i = 0; i < list->count; i++)
        list->items[i].bytes = local_disk_usage(list->items[i].path);
}

static void on_usage_done(uv_work_t *work, int status)
{
    struct usage_list *list = work->data;
    struct local_driver *driver = list->driver;
    driver->usage_under_way = false;
    for (size_t i = 0; i < list->count && status == 0; i++) {
        struct local_member *member = local_member_find(driver, list->items[i].set, list->items[i].ordinal);
        if (member && member->disk.exists && member->disk.used_bytes != list->items[i].bytes) {
            member->disk.used_bytes = list->items[i].bytes;
            local_changed(driver);
        }
    }
    free(list);
    local_handle_closed(driver);
}

void local_usage_count(uv_timer_t *timer)
{
    struct local_driver *driver = timer->data;
    if (driver->usage_under_way || !driver->member_count)
        return;
    struct usage_list *list = calloc(1, sizeof *list + driver->member_count * sizeof list->items[0]);
    if (!list)
        return; /* it is only a number for people */
    list->driver = driver;
    for (struct local_member *member = driver->members; member; member = member->next) {
        struct usage *item = &list->items[list->count];
        if (!member->disk.exists || local_disk_data_path(member, item->path, NULL))
            continue;
        local_copy(item->set, sizeof item->set, member->set);
        item->ordinal = member->ordinal;
        list->count++;
    }
    driver->usage_work.data = list;
    driver->usage_under_way = true;
    local_handle_opened(driver);
    uv_queue_work(driver->loop, &driver->usage_work, on_usage_work, on_usage_done);
}
