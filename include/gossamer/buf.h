/* buf.h - bytes that grow up to a maximum given at init. */
#pragma once

#include <stdarg.h>

#include <gossamer/check.h>
#include <gossamer/err.h>
#include <gossamer/slice.h>

struct gs_buf {
    char *ptr;
    size_t len;
    size_t cap;
    size_t max;
    bool failed; /* sticky: an append found no room; nothing was appended since */
};

void gs_buf_init(struct gs_buf *b, size_t max_bytes); /* allocates nothing */
void gs_buf_fini(struct gs_buf *b);                   /* zeroed is fine; may be used again */
void gs_buf_clear(struct gs_buf *b);                  /* keeps the memory */
/* All appends return GS_E_LIMIT (and set failed) when the maximum would be passed. Writers may
 * append a whole document and test b->failed once. */
gs_err gs_buf_put(struct gs_buf *b, const void *p, size_t len);
gs_err gs_buf_put_slice(struct gs_buf *b, struct gs_slice s);
gs_err gs_buf_put_str(struct gs_buf *b, const char *s);
gs_err gs_buf_printf(struct gs_buf *b, const char *fmt, ...) GS_PRINTF(2, 3);
gs_err gs_buf_vprintf(struct gs_buf *b, const char *fmt, va_list ap) GS_PRINTF(2, 0);
/* Room for `len` more bytes at the returned place, or NULL; made part of the text by
 * gs_buf_grew. */
char *gs_buf_reserve(struct gs_buf *b, size_t len);
void gs_buf_grew(struct gs_buf *b, size_t len);
void gs_buf_consume(struct gs_buf *b, size_t len); /* drop from the front */
const char *gs_buf_cstr(struct gs_buf *b);         /* NUL added behind, not counted */

static inline struct gs_slice
gs_buf_slice(const struct gs_buf *b)
{
    return (struct gs_slice){ b->ptr, b->len };
}
