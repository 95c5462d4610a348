/* version.c - versions and ids: order, text. */
#include <gossamer/version.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int
cmp_u64(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

int
gs_version_cmp(const struct gs_version *a, const struct gs_version *b)
{
    int order = cmp_u64(a->generation, b->generation);

    if (order == 0)
        order = cmp_u64(a->hlc, b->hlc);
    if (order == 0)
        order = memcmp(a->writer.bytes, b->writer.bytes, GS_ID_BYTES);
    return order;
}

bool
gs_id_eq(const struct gs_id *a, const struct gs_id *b)
{
    return memcmp(a->bytes, b->bytes, GS_ID_BYTES) == 0;
}

bool
gs_digest_eq(const struct gs_digest *a, const struct gs_digest *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool
gs_digest_is_zero(const struct gs_digest *d)
{
    static const struct gs_digest zero;

    return gs_digest_eq(d, &zero);
}

const char *
gs_id_text(const struct gs_id *id, char out[GS_ID_TEXT])
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < GS_ID_BYTES; i++) {
        out[2 * i] = hex[id->bytes[i] >> 4];
        out[2 * i + 1] = hex[id->bytes[i] & 15];
    }
    out[2 * GS_ID_BYTES] = '\0';
    return out;
}

const char *
gs_version_text(const struct gs_version *v, char out[GS_VERSION_TEXT])
{
    char id[GS_ID_TEXT];
    int len = snprintf(out, GS_VERSION_TEXT, "%" PRIu64 ".%016" PRIx64 ".%s", v->generation, v->hlc,
                       gs_id_text(&v->writer, id));

    GS_ASSERT(len > 0 && len < GS_VERSION_TEXT);
    return out;
}

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

gs_err
gs_id_parse(struct gs_id *id, struct gs_slice text)
{
    struct gs_id read;

    if (text.len != 2 * GS_ID_BYTES)
        return GS_E_MALFORMED;
    for (size_t i = 0; i < GS_ID_BYTES; i++) {
        int high = hex_value(text.ptr[2 * i]);
        int low = hex_value(text.ptr[2 * i + 1]);

        if (high < 0 || low < 0)
            return GS_E_MALFORMED;
        read.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *id = read;
    return GS_E_OK;
}

static bool
parse_hlc(struct gs_slice text, uint64_t *out)
{
    uint64_t v = 0;

    if (text.len != 16)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        int digit = hex_value(text.ptr[i]);

        if (digit < 0)
            return false;
        v = v << 4 | (uint64_t)digit;
    }
    *out = v;
    return true;
}

gs_err
gs_version_parse(struct gs_version *v, struct gs_slice text)
{
    struct gs_slice rest = text;
    struct gs_slice generation, hlc;
    struct gs_version read;

    if (!gs_slice_cut(&rest, '.', &generation) || !gs_slice_cut(&rest, '.', &hlc) || !rest.ptr)
        return GS_E_MALFORMED;
    if (!gs_slice_to_u64(generation, &read.generation) || !parse_hlc(hlc, &read.hlc))
        return GS_E_MALFORMED;
    if (generation.len > 1 && generation.ptr[0] == '0')
        return GS_E_MALFORMED;
    if (gs_id_parse(&read.writer, rest) != GS_E_OK)
        return GS_E_MALFORMED;
    *v = read;
    return GS_E_OK;
}
