/* What may be shown as it is: see printable.h. */
#include "proto/base/printable.h"

size_t printable_point(const unsigned char *text, uint32_t *out)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = text[0] < 0x80 ? 1 : text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (length == 1)
        return *out = text[0], 1;
    if (text[0] < 0xc2 || text[0] > 0xf4)
        return 0;
    uint32_t value = text[0] & (0xffU >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (text[i] & 0x3f);
    }
    if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    return *out = value, length;
}

bool printable_is_not(uint32_t point)
{
    return point < 0x20 || point == 0x061c || (point >= 0x7f && point <= 0x9f) || point == 0x200e ||
           point == 0x200f || point == 0x2028 || point == 0x2029 || (point >= 0x202a && point <= 0x202e) ||
           (point >= 0x2066 && point <= 0x2069);
}
