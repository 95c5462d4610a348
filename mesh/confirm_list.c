/* confirm_list.c - what is to be confirmed, as one parameter of a request line.
 *
 *   item: 6 bytes key hash, 6 generation, 8 clock, 2 writer, 1 flags, big endian; base64url of
 *   all of them. With the longest list the request stays below MUX_HEADER_BYTES_MAX. */
#include <stdlib.h>

#include <gossamer/limits.h>

#include "mesh/confirm.h"

#define ITEM_BYTES 23
#define KEY_SEED UINT64_C(0x676f7373616d6572) /* the same at every node */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

uint64_t
confirm_key(struct gs_slice key)
{
    return gs_hash(key.ptr, key.len, KEY_SEED) >> 16;
}

struct confirm_item
confirm_item(struct gs_slice key, const struct gs_version *v, uint8_t flags)
{
    uint64_t generation = v->generation;

    return (struct confirm_item){
        .key = confirm_key(key),
        .generation = generation < CONFIRM_GENERATION_MAX ? generation : CONFIRM_GENERATION_MAX,
        .hlc = v->hlc,
        .writer = (uint16_t)(v->writer.bytes[0] << 8 | v->writer.bytes[1]),
        .flags = flags,
    };
}

bool
confirm_item_met(const struct confirm_item *wanted, const struct gs_version *v)
{
    struct confirm_item is = confirm_item(GS_SLICE(""), v, 0);

    if (is.generation != wanted->generation)
        return is.generation > wanted->generation;
    if (is.hlc != wanted->hlc)
        return is.hlc > wanted->hlc;
    return is.writer >= wanted->writer;
}

/* ---- writing ---- */

static uint8_t *
put_number(uint8_t *at, uint64_t v, size_t bytes)
{
    for (size_t i = bytes; i-- > 0;)
        *at++ = (uint8_t)(v >> (8 * i));
    return at;
}

static void
put_base64(struct gs_buf *out, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i += 3) {
        uint32_t v = (uint32_t)bytes[i] << 16;
        size_t n = len - i < 3 ? len - i : 3;
        char text[4];

        v |= n > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        v |= n > 2 ? bytes[i + 2] : 0;
        for (int k = 0; k < 4; k++)
            text[k] = digits[v >> (18 - 6 * k) & 63];
        (void)gs_buf_put(out, text, n + 1);
    }
}

void
confirm_list_put(struct gs_buf *out, const struct confirm_item *items, size_t count)
{
    uint8_t bytes[APPLY_OBJECTS_MAX * ITEM_BYTES];
    uint8_t *at = bytes;

    GS_ASSERT(count <= APPLY_OBJECTS_MAX);
    for (size_t i = 0; i < count; i++) {
        at = put_number(at, items[i].key, 6);
        at = put_number(at, items[i].generation, 6);
        at = put_number(at, items[i].hlc, 8);
        at = put_number(at, items[i].writer, 2);
        at = put_number(at, items[i].flags, 1);
    }
    put_base64(out, bytes, (size_t)(at - bytes));
}

/* ---- reading ---- */

static gs_err
read_base64(struct gs_slice text, uint8_t *out, size_t max, size_t *len)
{
    uint32_t v = 0;
    unsigned bits = 0;

    *len = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *digit = text.ptr[i] ? strchr(digits, text.ptr[i]) : NULL;

        if (!digit)
            return GS_E_MALFORMED;
        v = v << 6 | (uint32_t)(digit - digits);
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        if (*len == max)
            return GS_E_LIMIT;
        out[(*len)++] = (uint8_t)(v >> bits);
    }
    return (v & ((1u << bits) - 1)) == 0 && bits < 6 ? GS_E_OK : GS_E_MALFORMED;
}

static uint64_t
read_number(const uint8_t **at, size_t bytes)
{
    uint64_t v = 0;

    while (bytes-- > 0)
        v = v << 8 | *(*at)++;
    return v;
}

static int
compare(const void *a, const void *b)
{
    const struct confirm_item *x = a, *y = b;

    return x->key < y->key ? -1 : x->key > y->key;
}

gs_err
confirm_list_read(struct gs_slice text, struct confirm_item *items, size_t *count)
{
    uint8_t bytes[APPLY_OBJECTS_MAX * ITEM_BYTES];
    const uint8_t *at = bytes;
    size_t len;
    gs_err e = read_base64(text, bytes, sizeof(bytes), &len);

    if (e != GS_E_OK)
        return e;
    if (len == 0 || len % ITEM_BYTES != 0)
        return GS_E_MALFORMED;
    *count = len / ITEM_BYTES;
    for (size_t i = 0; i < *count; i++) {
        items[i].key = read_number(&at, 6);
        items[i].generation = read_number(&at, 6);
        items[i].hlc = read_number(&at, 8);
        items[i].writer = (uint16_t)read_number(&at, 2);
        items[i].flags = (uint8_t)read_number(&at, 1);
    }
    qsort(items, *count, sizeof(*items), compare);
    return GS_E_OK;
}
