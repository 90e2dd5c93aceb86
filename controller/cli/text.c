/* Text as people see it: see text.h. */
#include "controller/cli/text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proto/base/printable.h"

void text_escape(const char *text, struct buffer *out)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at) {
        uint32_t point = 0;
        size_t length = printable_point(at, &point);
        if (length == 0)
            buffer_printf(out, "\\x%02x", *at);
        else if (printable_is_not(point))
            buffer_printf(out, point < 0x80 ? "\\x%02x" : "\\u{%04x}", point);
        else
            buffer_append(out, at, length);
        at += length ? length : 1;
    }
}

void text_escape_json(const char *json, struct buffer *out)
{
    const unsigned char *at = (const unsigned char *)json;
    while (*at) {
        uint32_t point = 0;
        size_t length = printable_point(at, &point);
        if (length == 0)
            buffer_append_text(out, "\\ufffd");
        else if (printable_is_not(point) && point >= 0x20) /* below it is JSON's own white space */
            buffer_printf(out, "\\u%04x", point);
        else
            buffer_append(out, at, length);
        at += length ? length : 1;
    }
}

size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += (*text & 0xc0) != 0x80;
    return width;
}

void text_cut(const char *text, size_t columns, struct buffer *out)
{
    if (columns == 0 || text_width(text) <= columns) {
        buffer_append_text(out, text);
        return;
    }
    size_t width = 0;
    const char *end = text;
    while (*end && (width += (*end & 0xc0) != 0x80) < columns)
        end++;
    while ((*end & 0xc0) == 0x80)
        end++;
    buffer_append(out, text, (size_t)(end - text));
    buffer_append_text(out, "…");
}

const char *duration_text(int64_t ms, char text[DURATION_TEXT_MAX])
{
    long s = (long)(ms / 1000);
    if (ms < 0)
        snprintf(text, DURATION_TEXT_MAX, "-");
    else if (s < 60)
        snprintf(text, DURATION_TEXT_MAX, "%lds", s);
    else if (s < 3600)
        snprintf(text, DURATION_TEXT_MAX, s % 60 ? "%ldm%lds" : "%ldm", s / 60, s % 60);
    else if (s < 24 * 3600)
        snprintf(text, DURATION_TEXT_MAX, s / 60 % 60 ? "%ldh%ldm" : "%ldh", s / 3600, s / 60 % 60);
    else
        snprintf(text, DURATION_TEXT_MAX, s / 3600 % 24 ? "%ldd%ldh" : "%ldd", s / 86400, s / 3600 % 24);
    return text;
}

int64_t time_from_text(const char *text)
{
    struct tm tm = {0};
    const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    if (!rest)
        return -1;
    int ms = 0, scale = 100;
    if (*rest == '.')
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, scale /= 10)
            ms += (*rest - '0') * scale;
    return (int64_t)timegm(&tm) * 1000 + ms;
}

void text_wrap(const char *text, size_t columns, size_t indent, struct buffer *out)
{
    size_t column = 0;
    while (*text) {
        size_t length = strcspn(text, " ");
        char word[256];
        snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : sizeof word - 1), text);
        if (column && column + 1 + text_width(word) > columns)
            buffer_append_text(out, "\n"), column = 0;
        if (column == 0)
            buffer_printf(out, "%*s", (int)indent, ""), column = indent;
        else
            buffer_append_text(out, " "), column++;
        buffer_append_text(out, word);
        column += text_width(word);
        text += length + (text[length] == ' ');
    }
    buffer_append_text(out, "\n");
}

void text_lines(const char *text, size_t columns, size_t indent, struct buffer *out)
{
    if (columns)
        text_wrap(text, columns, indent, out);
    else
        buffer_printf(out, "%*s%s\n", (int)indent, "", text);
}

void table_init(struct table *table, const char *const *titles, size_t columns)
{
    assert(columns > 0 && columns <= TABLE_COLUMNS_MAX);
    *table = (struct table){.columns = columns};
    buffer_init(&table->text, 0);
    buffer_init(&table->colours, 0);
    for (size_t i = 0; i < columns; i++)
        table_add(table, titles[i], COLOUR_BOLD);
}

void table_finish(struct table *table)
{
    buffer_finish(&table->text);
    buffer_finish(&table->colours);
}

void table_add(struct table *table, const char *cell, enum cell_colour colour)
{
    text_escape(cell, &table->text);
    buffer_append(&table->text, "", 1);
    buffer_append(&table->colours, &(char){(char)colour}, 1);
    table->cells++;
}

void colour_print(enum cell_colour colour, bool colours, const char *text, struct buffer *out)
{
    static const char *const codes[] = {"", "\033[32m", "\033[33m", "\033[31m", "\033[1m"};
    bool coloured = colours && colour != COLOUR_NONE && *text;
    buffer_append_text(out, coloured ? codes[colour] : "");
    buffer_append_text(out, text);
    buffer_append_text(out, coloured ? "\033[0m" : "");
}

static void measure(const struct table *table, size_t widths[TABLE_COLUMNS_MAX])
{
    const char *cell = buffer_text(&table->text);
    for (size_t i = 0; i < table->cells; i++, cell += strlen(cell) + 1) {
        size_t width = text_width(cell), column = i % table->columns;
        widths[column] = width > widths[column] ? width : widths[column];
    }
}

size_t table_width(const struct table *table)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0}, width = 0;
    measure(table, widths);
    for (size_t i = 0; i < table->columns; i++)
        width += widths[i] + (i ? TABLE_GAP : 0);
    return width;
}

static void print_cell(const struct table *table, size_t index, const char *cell, size_t column_width,
                       size_t room, bool colours, struct buffer *out)
{
    size_t column = index % table->columns, width = text_width(cell);
    bool last = column + 1 == table->columns;
    struct buffer cut;
    buffer_init(&cut, 0);
    text_cut(cell, room, &cut);
    int pad = column_width > width ? (int)(column_width - width) : 0;
    if (table->right[column])
        buffer_printf(out, "%*s", pad, "");
    colour_print((enum cell_colour)table->colours.data[index], colours, buffer_text(&cut), out);
    if (!table->right[column] && !last)
        buffer_printf(out, "%*s", pad, "");
    if (!last)
        buffer_printf(out, "%*s", TABLE_GAP, "");
    buffer_finish(&cut);
}

/* Lines end with their last letter, never with blanks. */
static void trim_line(struct buffer *out)
{
    while (out->length && out->data[out->length - 1] == ' ')
        out->data[--out->length] = '\0';
}

void table_print(const struct table *table, size_t width, bool colours, struct buffer *out)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0}, used = 0;
    measure(table, widths);
    const char *cell = buffer_text(&table->text);
    for (size_t i = 0; i < table->cells; i++, cell += strlen(cell) + 1) {
        size_t column = i % table->columns;
        used = column == 0 ? 0 : used;
        size_t room = width == 0 || used >= width ? 0 : width - used;
        if (width == 0 || used < width)
            print_cell(table, i, cell, widths[column], room, colours, out);
        used += widths[column] + TABLE_GAP;
        if (column + 1 == table->columns) {
            trim_line(out);
            buffer_append_text(out, "\n");
        }
    }
}
