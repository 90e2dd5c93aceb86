/* Text as people see it: outside strings made safe for a terminal, columns that line up, times and durations.
 * Pure. */
#ifndef ATOLL_CLI_TEXT_H
#define ATOLL_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buffer.h"

/* Appends `text` so that a terminal only shows it: control characters (C0, DEL, C1), the signs that turn the
 * direction of writing, and bytes that are no UTF-8 come as \xNN or \u{NNNN}. */
void text_escape(const char *text, struct buffer *out);

/* Appends JSON text (in which such characters can stand within strings alone) with all of them as \uNNNN. */
void text_escape_json(const char *json, struct buffer *out);

/* The columns that a text takes: its code points. */
size_t text_width(const char *text);

/* Appends at most `columns` columns of a text, the last of them … when it is cut; 0 is no limit. */
void text_cut(const char *text, size_t columns, struct buffer *out);

/* "45s", "3m", "3m20s", "2h5m", "4d3h"; "-" for a negative one. */
enum { DURATION_TEXT_MAX = 24 };
const char *duration_text(int64_t ms, char text[DURATION_TEXT_MAX]);

/* The wall time of "2026-11-23T08:00:00.000Z"; -1 when it is none. */
int64_t time_from_text(const char *text);

/* Breaks a paragraph into lines of at most `columns`, each with `indent` spaces before it. */
void text_wrap(const char *text, size_t columns, size_t indent, struct buffer *out);
/* The same for what may be piped: `columns` 0 is no terminal, and one line. */
void text_lines(const char *text, size_t columns, size_t indent, struct buffer *out);

/* A table whose columns are as wide as their widest cell. Cells are copied and escaped when they are set. */
enum { TABLE_COLUMNS_MAX = 20, TABLE_GAP = 2 };
enum cell_colour { COLOUR_NONE, COLOUR_GOOD, COLOUR_WARN, COLOUR_BAD, COLOUR_BOLD };

struct table {
    size_t columns, cells;
    struct buffer text;            /* each cell followed by a zero byte */
    struct buffer colours;         /* a byte a cell */
    bool right[TABLE_COLUMNS_MAX]; /* numbers */
};

/* `titles` has `columns` names. */
void table_init(struct table *table, const char *const *titles, size_t columns);
void table_finish(struct table *table);
void table_add(struct table *table, const char *cell, enum cell_colour colour);
/* Appends the table; lines are cut at `width` columns unless it is 0. Colours only when asked for. */
void table_print(const struct table *table, size_t width, bool colours, struct buffer *out);

/* The columns that its longest line takes when it isn't cut. */
size_t table_width(const struct table *table);

/* Appends text in a colour when `colours`. */
void colour_print(enum cell_colour colour, bool colours, const char *text, struct buffer *out);

#endif
