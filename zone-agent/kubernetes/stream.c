/* Objects out of a stream of JSON: see stream.h. Whether an object is good JSON is its parser's affair; here
 * only strings, braces and brackets count. */
#include "zone-agent/kubernetes/stream.h"

#include <string.h>

void kube_stream_init(struct kube_stream *stream, enum kube_stream_kind kind, size_t object_bytes_max,
                      int (*on_object)(void *context, const char *text, size_t length, struct error *err),
                      void *context)
{
    *stream = (struct kube_stream){
        .kind = kind, .object_bytes_max = object_bytes_max, .on_object = on_object, .context = context};
    buffer_init(&stream->object, 0);
    buffer_init(&stream->frame, KUBE_STREAM_FRAME_MAX);
}

void kube_stream_finish(struct kube_stream *stream)
{
    buffer_finish(&stream->object);
    buffer_finish(&stream->frame);
}

/* Whether this character is outside of strings. */
static bool is_outside(struct kube_stream *stream, char c)
{
    if (!stream->in_string) {
        stream->in_string = c == '"';
        return true;
    }
    if (stream->escaped)
        stream->escaped = false;
    else if (c == '\\')
        stream->escaped = true;
    else if (c == '"')
        stream->in_string = false;
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* One object */

static int keep(struct kube_stream *stream, const char *data, size_t length, struct error *err)
{
    if (length > stream->object_bytes_max || stream->object.length > stream->object_bytes_max - length)
        return error_set(err, ERROR_TOO_LARGE, "an object of more than %zu bytes", stream->object_bytes_max);
    if (buffer_append(&stream->object, data, length))
        return error_set(err, ERROR_NO_MEMORY, "out of memory for an object");
    return 0;
}

static int deliver(struct kube_stream *stream, struct error *err)
{
    stream->in_object = false;
    int failed = stream->on_object(stream->context, buffer_text(&stream->object), stream->object.length, err);
    if (stream->object.capacity > KUBE_STREAM_KEPT_MAX)
        buffer_finish(&stream->object);
    buffer_clear(&stream->object);
    return failed;
}

/* Takes bytes up to the object's end: how many, or 0 on error. */
static size_t feed_object(struct kube_stream *stream, const char *data, size_t length, struct error *err)
{
    size_t taken = 0;
    bool whole = false;
    while (taken < length && !whole) {
        char c = data[taken++];
        if (!is_outside(stream, c))
            continue;
        stream->depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        whole = stream->depth == 0;
    }
    if (keep(stream, data, taken, err) || (whole && deliver(stream, err)))
        return 0;
    return taken;
}

static void begin_object(struct kube_stream *stream)
{
    stream->in_object = true;
    stream->depth = 0;
}

/* What is around the objects: one character each. */

static int refuse(char c, const char *where, struct error *err)
{
    return error_set(err, ERROR_PROTOCOL, "the byte 0x%02x %s", (unsigned char)c, where);
}

/* Whether the frame ends with "items": */
static bool is_at_items(const struct buffer *frame)
{
    static const char key[] = "\"items\"";
    size_t length = frame->length;
    while (length && (is_space(frame->data[length - 1]) || frame->data[length - 1] == ':'))
        length--;
    return length >= sizeof key - 1 &&
           memcmp(frame->data + length - (sizeof key - 1), key, sizeof key - 1) == 0;
}

static int keep_frame(struct kube_stream *stream, char c, struct error *err)
{
    if (buffer_append(&stream->frame, &c, 1) == 0)
        return 0;
    return error_set(err, ERROR_TOO_LARGE, "a list with more than %d bytes beside its items",
                     KUBE_STREAM_FRAME_MAX);
}

static int feed_frame(struct kube_stream *stream, char c, struct error *err)
{
    if (stream->ended || (stream->frame_depth == 0 && c != '{'))
        return is_space(c) ? 0 : refuse(c, "beside a list", err);
    if (is_outside(stream, c)) {
        if (c == '[' && stream->frame_depth == 1 && is_at_items(&stream->frame))
            stream->in_items = true;
        stream->frame_depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        stream->ended = stream->frame_depth == 0;
    }
    return keep_frame(stream, c, err);
}

static int feed_between_items(struct kube_stream *stream, char c, struct error *err)
{
    if (c == ']') {
        stream->in_items = false;
        stream->frame_depth--;
        return keep_frame(stream, c, err);
    }
    return c == ',' || is_space(c) ? 0 : refuse(c, "between the items of a list", err);
}

static int feed_between(struct kube_stream *stream, char c, struct error *err)
{
    if (stream->kind == KUBE_STREAM_LIST)
        return stream->in_items ? feed_between_items(stream, c, err) : feed_frame(stream, c, err);
    return is_space(c) ? 0 : refuse(c, "between the events of a watch", err);
}

int kube_stream_feed(struct kube_stream *stream, const char *data, size_t length, struct error *err)
{
    bool bare = stream->kind == KUBE_STREAM_WATCH;
    for (size_t at = 0; at < length;) {
        if (!stream->in_object && data[at] == '{' && (bare || stream->in_items))
            begin_object(stream);
        if (!stream->in_object) {
            if (feed_between(stream, data[at++], err))
                return -1;
            continue;
        }
        size_t taken = feed_object(stream, data + at, length - at, err);
        if (!taken)
            return -1;
        at += taken;
    }
    return 0;
}

int kube_stream_end(const struct kube_stream *stream, struct error *err)
{
    if (stream->in_object || (stream->kind == KUBE_STREAM_LIST && !stream->ended))
        return error_set(err, ERROR_UNREACHABLE, "the answer was cut off");
    return 0;
}
