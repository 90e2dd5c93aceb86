/* The log of a daemon: one line an event on standard error, `TIME LEVEL COMPONENT: sentence key=value …`.
 * Libraries never log; whoever decides does. What a terminal would obey instead of show is escaped in outside
 * strings. */
#ifndef ATOLL_BASE_LOG_H
#define ATOLL_BASE_LOG_H

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/* Lines below `least` are dropped; the default is LOG_LEVEL_INFO. `program` begins each line's component. */
void log_configure(const char *program, enum log_level least);
void log_write(enum log_level level, const char *component, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(component, ...) log_write(LOG_LEVEL_DEBUG, component, __VA_ARGS__)
#define log_info(component, ...) log_write(LOG_LEVEL_INFO, component, __VA_ARGS__)
#define log_warning(component, ...) log_write(LOG_LEVEL_WARNING, component, __VA_ARGS__)
#define log_error(component, ...) log_write(LOG_LEVEL_ERROR, component, __VA_ARGS__)

#endif
