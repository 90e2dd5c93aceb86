/* What an agent reads from its controller: no line may crash it, and what was read is read again the same
 * after it was written. */
#include <assert.h>

#include "proto/intent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct error err = {0};
    struct intent_event event, again;
    arena_init(&arena, 64 << 20);
    if (intent_read((const char *)data, size, &arena, &event, &err) == 0 && !event.bookmark) {
        struct buffer text;
        buffer_init(&text, 0);
        assert(intent_print(&event.intent, &text, &err) == 0);
        assert(intent_read(text.data, text.length, &arena, &again, &err) == 0);
        assert(intent_equal(&event.intent, &again.intent));
        buffer_finish(&text);
    }
    arena_finish(&arena);
    return 0;
}
