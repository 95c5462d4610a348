/* pack.c - one pass over msgpack bytes without recursion and without memory. What is open is kept
 * as a count of values still due per level; a map of n pairs is due 2n, keys at even places. */
#include <gossamer/pack.h>

#define PACK_LEVELS 32

struct level {
    uint64_t due;  /* values still to come */
    uint64_t last; /* map: the last key, to see that keys ascend */
    bool map, any_key;
};

struct scan {
    const uint8_t *at, *end;
    struct level levels[PACK_LEVELS];
    unsigned depth; /* levels open */
    unsigned depth_max;
    size_t objects, objects_max;
};

static size_t
left(const struct scan *s)
{
    return (size_t)(s->end - s->at);
}

/* A big-endian number of 1, 2, 4 or 8 bytes. */
static bool
number(struct scan *s, unsigned bytes, uint64_t *out)
{
    uint64_t v = 0;

    if (left(s) < bytes)
        return false;
    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | s->at[i];
    s->at += bytes;
    *out = v;
    return true;
}

/* The least value that an encoding of so many bytes is there for. */
static uint64_t
unsigned_least(unsigned bytes)
{
    return bytes == 1 ? 0x80 : UINT64_C(1) << (bytes * 4);
}

static bool
unsigned_fits(unsigned bytes, uint64_t v)
{
    return v >= unsigned_least(bytes);
}

/* Negative ones only: the others have a shorter, unsigned form. */
static bool
signed_fits(unsigned bytes, uint64_t raw)
{
    unsigned shift = 64 - bytes * 8;
    int64_t v = (int64_t)(raw << shift) >> shift;

    switch (bytes) {
    case 1:
        return v < -32;
    case 2:
        return v < INT8_MIN;
    case 4:
        return v < INT16_MIN;
    default:
        return v < INT32_MIN;
    }
}

static bool
skip(struct scan *s, uint64_t bytes)
{
    if (bytes > left(s))
        return false;
    s->at += bytes;
    return true;
}

/* str and bin: the length's own encoding must be the shortest, too. */
static bool
text(struct scan *s, unsigned bytes, uint64_t least)
{
    uint64_t len;

    return number(s, bytes, &len) && len >= least && skip(s, len);
}

static gs_err
open_level(struct scan *s, uint64_t values, bool map)
{
    if (values > left(s)) /* each takes a byte at least */
        return GS_E_MALFORMED;
    if (s->depth >= s->depth_max)
        return GS_E_LIMIT;
    s->levels[s->depth++] = (struct level){ .due = values, .map = map };
    return GS_E_OK;
}

static gs_err
container(struct scan *s, unsigned bytes, bool map)
{
    uint64_t count;

    if (!number(s, bytes, &count) || count < (bytes == 2 ? 16 : 65536))
        return GS_E_MALFORMED;
    return open_level(s, map ? 2 * count : count, map);
}

static gs_err
answer(bool ok)
{
    return ok ? GS_E_OK : GS_E_MALFORMED;
}

/* A value with a whole byte of its own for the type: 0xc0 to 0xdf. */
static gs_err
typed(struct scan *s, uint8_t type)
{
    static const uint64_t text_least[] = { 0, 256, 65536 };
    uint64_t v;

    switch (type) {
    case 0xc0: /* nil */
    case 0xc2: /* false */
    case 0xc3: /* true */
        return GS_E_OK;
    case 0xc4: /* bin 8, 16, 32 */
    case 0xc5:
    case 0xc6:
        return answer(text(s, 1u << (type - 0xc4), text_least[type - 0xc4]));
    case 0xcc: /* uint 8, 16, 32, 64 */
    case 0xcd:
    case 0xce:
    case 0xcf:
        return answer(number(s, 1u << (type - 0xcc), &v) && unsigned_fits(1u << (type - 0xcc), v));
    case 0xd0: /* int 8, 16, 32, 64 */
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return answer(number(s, 1u << (type - 0xd0), &v) && signed_fits(1u << (type - 0xd0), v));
    case 0xd9: /* str 8, 16, 32; up to 31 bytes are a fixstr */
        return answer(text(s, 1, 32));
    case 0xda:
    case 0xdb:
        return answer(text(s, 1u << (type - 0xd9), text_least[type - 0xd9]));
    case 0xdc: /* array 16, 32 */
    case 0xdd:
        return container(s, type == 0xdc ? 2 : 4, false);
    case 0xde: /* map 16, 32 */
    case 0xdf:
        return container(s, type == 0xde ? 2 : 4, true);
    default: /* never used, ext, float */
        return GS_E_MALFORMED;
    }
}

static gs_err
value(struct scan *s)
{
    uint8_t type = *s->at++;

    if (type < 0x80 || type >= 0xe0) /* a small integer */
        return GS_E_OK;
    if (type < 0x90)
        return open_level(s, 2 * (uint64_t)(type & 15), true);
    if (type < 0xa0)
        return open_level(s, type & 15, false);
    if (type < 0xc0)
        return answer(skip(s, type & 31));
    return typed(s, type);
}

/* A map key: an unsigned integer above the one before. */
static gs_err
key(struct scan *s, struct level *l)
{
    const uint8_t *start = s->at;
    uint64_t v = *start;

    if (*start >= 0x80 && (*start < 0xcc || *start > 0xcf))
        return GS_E_MALFORMED;
    if (value(s) != GS_E_OK)
        return GS_E_MALFORMED;
    if (*start >= 0x80) {
        v = 0;
        for (const uint8_t *at = start + 1; at < s->at; at++)
            v = v << 8 | *at;
    }
    if (l->any_key && v <= l->last)
        return GS_E_MALFORMED;
    l->any_key = true;
    l->last = v;
    return GS_E_OK;
}

static void
close_levels(struct scan *s)
{
    while (s->depth > 0 && s->levels[s->depth - 1].due == 0)
        s->depth--;
}

gs_err
gs_pack_check(struct gs_slice bytes, unsigned depth_max, size_t objects_max)
{
    struct scan s = {
        .at = (const uint8_t *)bytes.ptr,
        .end = (const uint8_t *)bytes.ptr, /* nothing may be added to no pointer at all */
        .depth_max = depth_max,
        .objects_max = objects_max,
    };

    GS_ASSERT(depth_max <= PACK_LEVELS);
    if (bytes.len == 0)
        return GS_E_MALFORMED;
    s.end += bytes.len;
    do {
        struct level *l = s.depth > 0 ? &s.levels[s.depth - 1] : NULL;
        bool is_key = l && l->map && l->due % 2 == 0;
        gs_err e;

        if (s.at >= s.end)
            return GS_E_MALFORMED;
        if (++s.objects > objects_max)
            return GS_E_LIMIT;
        if (l) {
            GS_ASSERT(l->due > 0);
            l->due--;
        }
        e = is_key ? key(&s, l) : value(&s);
        if (e != GS_E_OK)
            return e;
        close_levels(&s);
    } while (s.depth > 0);
    return s.at == s.end ? GS_E_OK : GS_E_MALFORMED;
}
