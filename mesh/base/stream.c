/* stream.c - what is the same for every kind of stream. */
#include <gossamer/stream.h>

#include <gossamer/limits.h>

void
stream_write(struct stream *s, const struct iovec *iov, int count)
{
    if (!s->closing)
        s->ops->write(s, iov, count);
}

void
stream_write_slice(struct stream *s, struct gs_slice bytes)
{
    struct iovec iov = { (void *)(uintptr_t)bytes.ptr, bytes.len };

    if (bytes.len > 0)
        stream_write(s, &iov, 1);
}

void
stream_flush(struct stream *s)
{
    gs_list_remove(&s->dirty);
    if (!s->closing)
        s->ops->flush(s);
}

void
stream_shutdown(struct stream *s)
{
    if (!s->closing)
        s->ops->shutdown(s);
}

void
stream_resume(struct stream *s)
{
    if (!s->closing)
        s->ops->resume(s);
}

void
stream_close(struct stream *s)
{
    if (s->closing)
        return;
    s->closing = 1;
    gs_list_remove(&s->dirty);
    s->ops->close(s);
}

void
stream_abort(struct stream *s)
{
    if (s->closing)
        return;
    s->closing = 1;
    gs_list_remove(&s->dirty);
    s->ops->abort(s);
}

bool
stream_stale(struct stream *s)
{
    return s->closing || s->ops->stale(s);
}

bool
stream_was_unread(const struct stream *s, uint64_t since)
{
    if (s->sent <= since) /* it has not left us */
        return true;
    return s->ops->unread && s->ops->unread(s, since);
}

size_t
stream_room(const struct stream *s)
{
    bool tight = s->loop->blocks.used_bytes > LOOP_BUDGET_BYTES / 2;

    if (s->queue.bytes == 0 && !tight)
        return LOOP_SCRATCH_BYTES;
    return s->queue.bytes >= STREAM_HIGH_BYTES ? 0 : STREAM_HIGH_BYTES - s->queue.bytes;
}
