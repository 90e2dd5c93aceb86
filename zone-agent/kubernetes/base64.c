/* Base64 to bytes and back: see base64.h. */
#include "zone-agent/kubernetes/base64.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Of one character: its six bits, or -1. */
static int value_of(char c)
{
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

char *base64_decode(const char *text, size_t *length)
{
    size_t given = strlen(text), used = 0, characters = 0, padding = 0;
    char *out = malloc(given / 4 * 3 + 4);
    uint32_t bits = 0;
    for (; out && *text; text++) {
        if (strchr(" \t\r\n", *text))
            continue;
        int value = *text == '=' ? 0 : value_of(*text);
        padding = *text == '=' ? padding + 1 : padding;
        if (value < 0 || padding > 2 || (padding && *text != '='))
            break;
        bits = bits << 6 | (uint32_t)value;
        if (++characters % 4 == 0) {
            out[used++] = (char)(bits >> 16);
            out[used++] = (char)(bits >> 8);
            out[used++] = (char)bits;
        }
    }
    if (!out || *text || characters % 4) {
        if (out)
            explicit_bzero(out, used);
        free(out);
        return NULL;
    }
    used -= padding;
    out[used] = 0;
    *length = used;
    return out;
}

char *base64_encode(const char *data, size_t length)
{
    char *out = length < SIZE_MAX / 2 ? malloc((length + 2) / 3 * 4 + 1) : NULL;
    char *to = out;
    for (size_t i = 0; out && i < length; i += 3) {
        size_t left = length - i;
        uint32_t bits = (uint32_t)(unsigned char)data[i] << 16;
        bits |= left > 1 ? (uint32_t)(unsigned char)data[i + 1] << 8 : 0;
        bits |= left > 2 ? (uint32_t)(unsigned char)data[i + 2] : 0;
        *to++ = digits[bits >> 18];
        *to++ = digits[bits >> 12 & 63];
        *to++ = left > 1 ? digits[bits >> 6 & 63] : '=';
        *to++ = left > 2 ? digits[bits & 63] : '=';
    }
    if (out)
        *to = 0;
    return out;
}
