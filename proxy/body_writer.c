/* body_writer.c - chunk lines around data, the last chunk with or without trailers. */
#include "proxy/body_writer.h"

void
body_writer_data(struct body_writer *w, struct stream *s, struct gs_slice bytes)
{
    char line[H1_CHUNK_LINE];
    struct iovec iov[3];

    GS_ASSERT(!w->ended);
    if (bytes.len == 0)
        return; /* as a chunk it would be the end */
    if (!w->chunked) {
        stream_write_slice(s, bytes);
        return;
    }
    iov[0] = (struct iovec){ line, h1_write_chunk_line(line, bytes.len) };
    iov[1] = (struct iovec){ (void *)(uintptr_t)bytes.ptr, bytes.len };
    iov[2] = (struct iovec){ (void *)(uintptr_t) "\r\n", 2 };
    stream_write(s, iov, 3);
}

void
body_writer_trailers(struct body_writer *w, struct stream *s, struct h1_pool *pool,
                     const struct head *t)
{
    struct gs_buf *out = h1_pool_buf(pool);

    GS_ASSERT(!w->ended);
    if (!w->chunked)
        return;
    h1_write_last_chunk(out, t);
    GS_ASSERT(!out->failed);
    stream_write_slice(s, gs_buf_slice(out));
    w->ended = true;
}

void
body_writer_end(struct body_writer *w, struct stream *s)
{
    if (w->chunked && !w->ended)
        stream_write_slice(s, GS_SLICE("0\r\n\r\n"));
    w->ended = true;
}
