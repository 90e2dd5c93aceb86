/* The status document's bytes, kept as long as they are true: see status.h. */
#include <stdio.h>
#include <string.h>

#include "controller/serve/status.h"

/* FNV-1a with 128 bits (http://www.isthe.com/chongo/tech/comp/fnv/): an ETag has to tell documents apart, not
 * to resist anyone. */
void status_etag(const void *data, size_t length, char out[STATUS_ETAG_MAX])
{
    const unsigned __int128 prime = ((unsigned __int128)1 << 88) + 0x13b;
    unsigned __int128 hash =
        ((unsigned __int128)UINT64_C(0x6c62272e07bb0142) << 64) + UINT64_C(0x62b821756295c58d);
    for (const unsigned char *byte = data, *end = byte + length; byte < end; byte++)
        hash = (hash ^ *byte) * prime;
    snprintf(out, STATUS_ETAG_MAX, "%016llx%016llx", (unsigned long long)(hash >> 64),
             (unsigned long long)hash);
}

void status_cache_init(struct status_cache *cache)
{
    *cache = (struct status_cache){0};
    buffer_init(&cache->now.text, 0);
}

void status_cache_finish(struct status_cache *cache)
{
    buffer_finish(&cache->now.text);
}

void status_cache_changed(struct status_cache *cache)
{
    cache->changed = true;
}

static int print(const struct federation_view *view, enum status_part part, struct buffer *out)
{
    struct error err = {0};
    struct json *json = status_write(view, part);
    int result = json_print(json, JSON_COMPACT, out, &err) || buffer_append_text(out, "\n") ? -1 : 0;
    json_destroy(json);
    return result;
}

static int steady_etag(const struct federation_view *view, char out[STATUS_ETAG_MAX])
{
    struct buffer text;
    buffer_init(&text, 0);
    int result = print(view, STATUS_STEADY, &text);
    if (result == 0)
        status_etag(text.data, text.length, out);
    buffer_finish(&text);
    return result;
}

static int rebuild(struct status_cache *cache, const struct federation_view *view, const char *steady,
                   int64_t now_ms)
{
    struct buffer text;
    buffer_init(&text, 0);
    if (print(view, STATUS_WHOLE, &text)) {
        buffer_finish(&text);
        return -1;
    }
    buffer_finish(&cache->now.text);
    cache->now.text = text;
    cache->now.revision = view->revision;
    status_etag(text.data, text.length, cache->now.etag);
    snprintf(cache->now.steady_etag, STATUS_ETAG_MAX, "%s", steady);
    cache->filled = true;
    cache->built_at_ms = now_ms;
    return 0;
}

const struct status_text *status_cache_get(struct status_cache *cache, const struct backend *backend,
                                           const struct clock *clock)
{
    int64_t now_ms = clock_monotonic_ms(clock);
    bool look = !cache->filled || (cache->changed && now_ms - cache->looked_at_ms >= STATUS_LOOK_MS);
    bool refresh = cache->filled && now_ms - cache->built_at_ms >= STATUS_REFRESH_MS;
    struct federation_view view;
    char steady[STATUS_ETAG_MAX] = "";
    if (!look && !refresh)
        return &cache->now;
    backend->view(backend->context, &view);
    if (steady_etag(&view, steady))
        return NULL;
    cache->looked_at_ms = now_ms;
    cache->changed = false;
    bool news = !cache->filled || strcmp(steady, cache->now.steady_etag) != 0;
    if ((news || refresh) && rebuild(cache, &view, steady, now_ms))
        return NULL;
    return &cache->now;
}
