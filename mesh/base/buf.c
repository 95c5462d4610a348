/* buf.c - growing bytes. The allocation is one byte larger than `cap`, so that gs_buf_cstr never
 * needs room that the maximum denies. */
#include <gossamer/buf.h>

#include <stdio.h>

#include <gossamer/alloc.h>

#define BUF_FIRST_BYTES 64

static void
check(const struct gs_buf *b)
{
    GS_ASSERT(b->len <= b->cap);
    GS_ASSERT(b->cap <= b->max);
    GS_ASSERT(b->ptr || b->cap == 0);
}

void
gs_buf_init(struct gs_buf *b, size_t max_bytes)
{
    *b = (struct gs_buf){ .max = max_bytes };
}

void
gs_buf_fini(struct gs_buf *b)
{
    if (!b)
        return;
    gs_free(b->ptr);
    *b = (struct gs_buf){ .max = b->max };
}

void
gs_buf_clear(struct gs_buf *b)
{
    b->len = 0;
    b->failed = false;
}

char *
gs_buf_reserve(struct gs_buf *b, size_t len)
{
    size_t cap;

    check(b);
    if (b->failed || len > b->max - b->len) {
        b->failed = true;
        return NULL;
    }
    if (!b->ptr || len > b->cap - b->len) {
        cap = b->cap < BUF_FIRST_BYTES / 2 ? BUF_FIRST_BYTES / 2 : b->cap;
        while (cap < b->len + len || cap == b->cap)
            cap = cap > b->max / 2 ? b->max : cap * 2;
        if (cap > b->max)
            cap = b->max;
        b->ptr = gs_realloc(b->ptr, cap + 1);
        b->cap = cap;
    }
    GS_ASSERT(b->cap - b->len >= len);
    return b->ptr + b->len;
}

void
gs_buf_grew(struct gs_buf *b, size_t len)
{
    GS_ASSERT(len <= b->cap - b->len);
    b->len += len;
}

gs_err
gs_buf_put(struct gs_buf *b, const void *p, size_t len)
{
    char *at = gs_buf_reserve(b, len);

    if (!at)
        return GS_E_LIMIT;
    if (len > 0)
        memcpy(at, p, len);
    b->len += len;
    return GS_E_OK;
}

gs_err
gs_buf_put_slice(struct gs_buf *b, struct gs_slice s)
{
    return gs_buf_put(b, s.ptr, s.len);
}

gs_err
gs_buf_put_str(struct gs_buf *b, const char *s)
{
    return gs_buf_put(b, s, strlen(s));
}

gs_err
gs_buf_printf(struct gs_buf *b, const char *fmt, ...)
{
    va_list ap;
    gs_err e;

    va_start(ap, fmt);
    e = gs_buf_vprintf(b, fmt, ap);
    va_end(ap);
    return e;
}

gs_err
gs_buf_vprintf(struct gs_buf *b, const char *fmt, va_list ap)
{
    va_list again;
    char *at;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    GS_ASSERT(n >= 0); /* only a wrong format or multibyte conversion fails: we use neither */
    at = gs_buf_reserve(b, (size_t)n);
    if (!at)
        return GS_E_LIMIT;
    (void)vsnprintf(at, (size_t)n + 1, fmt, ap);
    b->len += (size_t)n;
    return GS_E_OK;
}

void
gs_buf_consume(struct gs_buf *b, size_t len)
{
    GS_ASSERT(len <= b->len);
    if (len == 0)
        return;
    b->len -= len;
    memmove(b->ptr, b->ptr + len, b->len);
}

const char *
gs_buf_cstr(struct gs_buf *b)
{
    if (!b->ptr)
        b->ptr = gs_alloc(b->cap + 1);
    b->ptr[b->len] = '\0';
    return b->ptr;
}
