/* How the rows of a record's table are written: one line a field with its JSON name and its bound. Included
 * by the files that hold such tables alone, see record.h. */
#ifndef ATOLL_PROTO_FIELD_ROWS_H
#define ATOLL_PROTO_FIELD_ROWS_H

#include "proto/record.h"

/* JSON numbers are exact up to 2^53 */
#define WHOLE_MAX (INT64_C(1) << 53)

#define TEXT_MOST(limit) .most = (limit), .bound = #limit
#define EACH_MOST(limit) .text_most = (limit), .text_bound = #limit
#define PLACE(type, name) .offset = offsetof(struct type, name)
#define LIST_PLACE(type, name, count)                                                                        \
    .offset = offsetof(struct type, name), .count_offset = offsetof(struct type, count)
#define STRING(type, name, json, limit, flag)                                                                \
    {                                                                                                        \
        .key = json, .kind = FIELD_STRING, PLACE(type, name), TEXT_MOST(limit), .flags = flag                \
    }
#define SENTENCE(type, name, json)                                                                           \
    {                                                                                                        \
        .key = json, .kind = FIELD_SENTENCE, PLACE(type, name), TEXT_MOST(SENTENCE_LENGTH_MAX)               \
    }
#define NUMBER(type, name, json, of, least, largest, otherwise, flag)                                        \
    {                                                                                                        \
        .key = json, .kind = of, PLACE(type, name), .min = least, .max = largest, .fallback = otherwise,     \
        .flags = flag                                                                                        \
    }
#define WHOLE(type, name, json, least, otherwise, flag)                                                      \
    NUMBER(type, name, json, FIELD_INT64, least, WHOLE_MAX, otherwise, flag)
#define BOOL(type, name, json)                                                                               \
    {                                                                                                        \
        .key = json, .kind = FIELD_BOOL, PLACE(type, name)                                                   \
    }
#define ENUM(type, name, json, table, otherwise, flag)                                                       \
    {                                                                                                        \
        .key = json, .kind = FIELD_ENUM, PLACE(type, name), .texts = table, .fallback = otherwise,           \
        .flags = flag                                                                                        \
    }
#define RECORD(type, name, json, table, flag)                                                                \
    {                                                                                                        \
        .key = json, .kind = FIELD_RECORD, PLACE(type, name), .record = &table, .flags = flag                \
    }
#define LIST(type, name, count, json, table, limit)                                                          \
    {                                                                                                        \
        .key = json, .kind = FIELD_LIST, LIST_PLACE(type, name, count), .record = &table, TEXT_MOST(limit)   \
    }
#define MAP(type, name, count, json)                                                                         \
    {                                                                                                        \
        .key = json, .kind = FIELD_MAP, LIST_PLACE(type, name, count), TEXT_MOST(LABELS_MAX),                \
        EACH_MOST(LABEL_VALUE_LENGTH_MAX)                                                                    \
    }
#define RANGES(type, name, count, json)                                                                      \
    {                                                                                                        \
        .key = json, .kind = FIELD_STRINGS, LIST_PLACE(type, name, count), TEXT_MOST(RANGES_MAX),            \
        EACH_MOST(RANGE_LENGTH_MAX)                                                                          \
    }
#define RECORD_OF(type, table)                                                                               \
    {                                                                                                        \
        .size = sizeof(struct type), .fields = table, .field_count = sizeof(table) / sizeof *(table)         \
    }

#endif
