/* h1_write.c - heads and chunk lines from parsed fields; nothing of framing is copied through. */
#include <gossamer/h1.h>

#include <stdio.h>

#include <gossamer/check.h>

static char *
put(char *p, struct gs_slice s)
{
    if (s.len > 0) /* an empty slice may point nowhere */
        memcpy(p, s.ptr, s.len);
    return p + s.len;
}

static size_t
fields_bytes(const struct head *h)
{
    size_t n = 0;

    for (size_t i = 0; i < h->count; i++)
        n += h->fields[i].name.len + h->fields[i].value.len + 4;
    return n;
}

static char *
put_field(char *p, struct gs_slice name, struct gs_slice value)
{
    p = put(p, name);
    *p++ = ':';
    *p++ = ' ';
    p = put(p, value);
    *p++ = '\r';
    *p++ = '\n';
    return p;
}

static char *
put_fields(char *p, const struct head *h)
{
    for (size_t i = 0; i < h->count; i++) {
        const struct field *f = &h->fields[i];

        if (!f->dropped && f->id != FIELD_HOST)
            p = put_field(p, f->name, f->value);
    }
    return p;
}

#define FRAMING_LINE_MAX 64

static char *
put_u64(char *p, uint64_t v)
{
    char digits[20];
    int n = 0;

    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    while (n > 0)
        *p++ = digits[--n];
    return p;
}

static char *
put_framing(char *p, enum framing framing, bool tell_length, uint64_t length)
{
    if (framing == FRAMING_CHUNKED)
        return put(p, GS_SLICE("transfer-encoding: chunked\r\n"));
    if (framing == FRAMING_LENGTH || tell_length) {
        p = put_u64(put(p, GS_SLICE("content-length: ")), length);
        return put(p, GS_SLICE("\r\n"));
    }
    return p;
}

void
h1_write_request(struct gs_buf *out, const struct head *h, struct gs_slice host,
                 struct gs_slice extra)
{
    size_t max = h->method.len + h->path.len + host.len + extra.len + fields_bytes(h) +
                 FRAMING_LINE_MAX + 80;
    char *start = gs_buf_reserve(out, max);
    char *p = start;

    if (!p)
        return; /* out->failed says so */
    p = put(p, h->method);
    *p++ = ' ';
    if (h->path.ptr[0] == '?') /* an absolute target without a path */
        *p++ = '/';
    p = put(p, h->path);
    p = put(p, GS_SLICE(" HTTP/1.1\r\n"));
    p = put_field(p, GS_SLICE("host"), host);
    p = put_fields(p, h);
    p = put_framing(p, h->framing, false, h->length);
    if (h->te_trailers)
        p = put(p, GS_SLICE("te: trailers\r\nconnection: te\r\n"));
    p = put(p, extra);
    *p++ = '\r';
    *p++ = '\n';
    GS_ASSERT((size_t)(p - start) <= max);
    gs_buf_grew(out, (size_t)(p - start));
}

void
h1_write_answer(struct gs_buf *out, const struct head *h, unsigned to_minor, bool keep,
                enum framing framing, struct gs_slice extra)
{
    size_t max = h->phrase.len + extra.len + fields_bytes(h) + FRAMING_LINE_MAX + 80;
    char *start = gs_buf_reserve(out, max);
    char *p = start;
    bool tell = framing == FRAMING_NONE && h->has_length; /* HEAD and 304 */

    GS_ASSERT(h->status >= 100);
    GS_ASSERT(h->status <= 999);
    if (!p)
        return;
    p = put(p, GS_SLICE("HTTP/1.1 "));
    p = put_u64(p, h->status);
    *p++ = ' ';
    p = put(p, h->phrase);
    *p++ = '\r';
    *p++ = '\n';
    p = put_fields(p, h);
    p = put_framing(p, framing, tell, h->length);
    if (h->status >= 200 && !keep)
        p = put(p, GS_SLICE("connection: close\r\n"));
    else if (h->status >= 200 && to_minor == 0)
        p = put(p, GS_SLICE("connection: keep-alive\r\n"));
    p = put(p, extra);
    *p++ = '\r';
    *p++ = '\n';
    GS_ASSERT((size_t)(p - start) <= max);
    gs_buf_grew(out, (size_t)(p - start));
}

size_t
h1_write_chunk_line(char out[H1_CHUNK_LINE], size_t bytes)
{
    char digits[16];
    int n = 0;
    size_t len = 0;

    GS_ASSERT(bytes > 0); /* an empty chunk would end the message */
    while (bytes > 0) {
        digits[n++] = "0123456789abcdef"[bytes & 15];
        bytes >>= 4;
    }
    while (n > 0)
        out[len++] = digits[--n];
    out[len++] = '\r';
    out[len++] = '\n';
    return len;
}

void
h1_write_last_chunk(struct gs_buf *out, const struct head *trailers)
{
    gs_buf_put_slice(out, GS_SLICE("0\r\n"));
    for (size_t i = 0; trailers && i < trailers->count; i++) {
        const struct field *f = &trailers->fields[i];

        if (f->dropped)
            continue;
        gs_buf_put_slice(out, f->name);
        gs_buf_put_slice(out, GS_SLICE(": "));
        gs_buf_put_slice(out, f->value);
        gs_buf_put_slice(out, GS_SLICE("\r\n"));
    }
    gs_buf_put_slice(out, GS_SLICE("\r\n"));
}
