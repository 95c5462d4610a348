/* parts.c - several files in one body: written by the command line, read by the admin API. */
#include "mesh/parts.h"

#define LENGTH_DIGITS_MAX 10
#define NAME_BYTES_MAX 4096

void
parts_put(struct gs_buf *out, const struct part *p)
{
    size_t name_len = p->name.len < NAME_BYTES_MAX ? p->name.len : NAME_BYTES_MAX;

    (void)gs_buf_printf(out, "%zu ", p->bytes.len);
    for (size_t i = 0; i < name_len; i++) {
        char c = p->name.ptr[i];

        if ((unsigned char)c < 0x20 || c == 0x7f)
            c = '?';
        (void)gs_buf_put(out, &c, 1);
    }
    (void)gs_buf_put(out, "\n", 1);
    (void)gs_buf_put_slice(out, p->bytes);
}

gs_err
parts_next(struct gs_slice *rest, struct part *out, struct gs_why *why)
{
    struct gs_slice left = *rest;
    struct gs_slice head;
    ptrdiff_t blank, end;
    uint64_t len;

    if (left.len == 0)
        return GS_E_NOT_FOUND;
    end = gs_slice_find(left, '\n');
    if (end < 0 || end > LENGTH_DIGITS_MAX + 1 + NAME_BYTES_MAX)
        return gs_refuse(why, GS_E_MALFORMED, "a line \"LENGTH NAME\" must precede each file");
    head = gs_slice_head(left, (size_t)end);
    blank = gs_slice_find(head, ' ');
    if (blank <= 0 || blank > LENGTH_DIGITS_MAX ||
        !gs_slice_to_u64(gs_slice_head(head, (size_t)blank), &len))
        return gs_refuse(why, GS_E_MALFORMED,
                         "\"%.*s\" is no line \"LENGTH NAME\" as it must precede each file",
                         (int)(head.len < 80 ? head.len : 80), head.ptr);
    left = gs_slice_from(left, (size_t)end + 1);
    if (len > left.len)
        return gs_refuse(why, GS_E_MALFORMED, "%.*s should have %llu bytes, but %zu are left",
                         (int)(head.len < 80 ? head.len : 80), head.ptr, (unsigned long long)len,
                         left.len);
    *out =
        (struct part){ gs_slice_from(head, (size_t)blank + 1), gs_slice_head(left, (size_t)len) };
    *rest = gs_slice_from(left, (size_t)len);
    return GS_E_OK;
}
