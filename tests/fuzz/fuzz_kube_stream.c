/* What a server may send as a watch or a list, in pieces of any size: no bytes may crash the cutter or pass
 * its bounds, and objects are the same whatever the pieces. The first byte says the kind and the size of the
 * pieces. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "zone-agent/kubernetes/stream.h"

enum { OBJECT_MAX = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int note(void *context, const char *text, size_t length, struct error *err)
{
    uint64_t *sum = context;
    (void)err;
    assert(length >= 2 && length <= OBJECT_MAX && text[0] == '{');
    for (size_t i = 0; i < length; i++)
        *sum = *sum * 31 + (unsigned char)text[i];
    return 0;
}

/* The sum over all objects; the result of the last feed in *failed. */
static uint64_t run(enum kube_stream_kind kind, const char *text, size_t length, size_t piece, int *failed)
{
    struct kube_stream stream;
    struct error err = {.code = ERROR_NONE};
    uint64_t sum = 0;
    kube_stream_init(&stream, kind, OBJECT_MAX, note, &sum);
    *failed = 0;
    for (size_t at = 0; at < length && !*failed; at += piece)
        *failed = kube_stream_feed(&stream, text + at, length - at < piece ? length - at : piece, &err);
    if (*failed)
        assert(err.code == ERROR_PROTOCOL || err.code == ERROR_TOO_LARGE);
    else
        kube_stream_end(&stream, &err);
    kube_stream_finish(&stream);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    enum kube_stream_kind kind = data[0] & 1 ? KUBE_STREAM_LIST : KUBE_STREAM_WATCH;
    size_t piece = (size_t)(data[0] >> 1) + 1;
    int whole_failed, pieces_failed;
    uint64_t whole = run(kind, (const char *)data + 1, size - 1, size, &whole_failed);
    uint64_t pieces = run(kind, (const char *)data + 1, size - 1, piece, &pieces_failed);
    assert(whole == pieces && whole_failed == pieces_failed);
    return 0;
}
