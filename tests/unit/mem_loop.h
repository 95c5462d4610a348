/* mem_loop.h - a loop without a kernel: its turns are run by hand, its clock moves when told, and
 * its streams are pairs of memory queues. What one side writes crosses at pair_carry(). */
#pragma once

#include <gossamer/alloc.h>
#include <gossamer/buf.h>
#include <gossamer/limits.h>
#include <gossamer/loop.h>
#include <gossamer/stream.h>

static inline void
mem_loop_init(struct gs_loop *l)
{
    memset(l, 0, sizeof(*l));
    l->scratch = gs_alloc(LOOP_SCRATCH_BYTES);
    l->now_ms = 1000;
    l->now_ns = 1000000000;
    gs_wheel_init(&l->wheel, l->now_ms);
    gs_block_pool_init(&l->blocks);
    gs_list_init(&l->defers);
    gs_list_init(&l->graves);
    gs_list_init(&l->dirty);
    gs_list_init(&l->turn_ends);
    gs_rng_init(&l->rng, 1);
    l->name = "test";
}

/* The end of a turn, as loop_uv.c's settle(). */
static inline void
mem_loop_turn(struct gs_loop *l)
{
    struct gs_list *n;

    l->turn++;
    do {
        while ((n = gs_list_pop_front(&l->defers)))
            GS_LIST_ENTRY(n, struct gs_defer, link)->run(GS_LIST_ENTRY(n, struct gs_defer, link));
        gs_loop_flush(l);
        while ((n = gs_list_pop_front(&l->turn_ends)))
            GS_LIST_ENTRY(n, struct gs_turn_end, link)
                ->run(GS_LIST_ENTRY(n, struct gs_turn_end, link));
    } while (!gs_list_empty(&l->defers) || !gs_list_empty(&l->dirty));
    while ((n = gs_list_pop_front(&l->graves)))
        GS_LIST_ENTRY(n, struct gs_grave, link)->bury(GS_LIST_ENTRY(n, struct gs_grave, link));
}

static inline void
mem_loop_advance(struct gs_loop *l, uint64_t ms)
{
    l->now_ms += ms;
    l->now_ns += ms * 1000000;
    gs_wheel_advance(&l->wheel, l->now_ms);
    mem_loop_turn(l);
}

static inline void
mem_loop_fini(struct gs_loop *l)
{
    mem_loop_turn(l);
    gs_block_pool_fini(&l->blocks);
    gs_free(l->scratch);
}

/* ---- a pair of streams ---- */

struct mem_end {
    struct stream base;
    struct mem_end *peer; /* NULL: it is gone */
    struct gs_defer told_closed;
    size_t window;   /* bytes that may still cross to the peer */
    unsigned writes; /* flushes that had something */
    bool eof_due, eof_told, reset_due, reset_told;
    bool *gone;
};

static inline struct mem_end *
mem_of(struct stream *s)
{
    return GS_CONTAINER(s, struct mem_end, base);
}

static inline void
mem_write(struct stream *s, const struct iovec *iov, int count)
{
    for (int i = 0; i < count; i++)
        gs_blocks_put(&s->queue, &s->loop->blocks, iov[i].iov_base, iov[i].iov_len);
    mem_of(s)->writes++;
}

static inline void
mem_nothing(struct stream *s)
{
    (void)s;
}

static inline void
mem_shutdown(struct stream *s)
{
    mem_of(s)->eof_due = true;
}

static inline void
mem_on_closed(struct gs_defer *d)
{
    struct mem_end *e = GS_CONTAINER(d, struct mem_end, told_closed);

    if (e->peer)
        e->peer->peer = NULL;
    gs_blocks_clear(&e->base.queue, &e->base.loop->blocks);
    e->base.sink_ops->closed(e->base.sink);
    *e->gone = true;
    gs_free(e);
}

static inline void
mem_close(struct stream *s)
{
    struct mem_end *e = mem_of(s);

    if (e->peer)
        e->peer->eof_due = true;
    gs_loop_defer(s->loop, &e->told_closed);
}

static inline void
mem_abort(struct stream *s)
{
    struct mem_end *e = mem_of(s);

    if (e->peer)
        e->peer->reset_due = true;
    gs_loop_defer(s->loop, &e->told_closed);
}

static inline bool
mem_stale(struct stream *s)
{
    return !mem_of(s)->peer;
}

static const struct stream_ops mem_ops = { mem_write, mem_nothing, mem_shutdown, mem_nothing,
                                           mem_close, mem_abort,   mem_stale };

static inline struct mem_end *
mem_end_new(struct gs_loop *l, const struct stream_sink_ops *ops, void *sink, bool *gone)
{
    struct mem_end *e = gs_zalloc(sizeof(*e));

    e->base.ops = &mem_ops;
    e->base.loop = l;
    gs_list_init(&e->base.dirty);
    gs_blocks_init(&e->base.queue);
    gs_defer_init(&e->told_closed, mem_on_closed);
    stream_attach(&e->base, ops, sink);
    e->window = SIZE_MAX;
    e->gone = gone;
    *gone = false;
    return e;
}

static inline void
mem_join(struct mem_end *a, struct mem_end *b)
{
    a->peer = b;
    b->peer = a;
}

/* What `from` has written reaches its peer, as far as window and the peer's room allow. Returns
 * whether something happened. */
static inline bool
mem_carry(struct mem_end *from)
{
    struct stream *s = &from->base;
    bool moved = false;

    while (from->peer && !from->peer->base.closing && s->queue.bytes > 0 && from->window > 0) {
        struct stream *to = &from->peer->base;
        size_t before = s->queue.bytes;
        size_t room = to->sink_ops->room(to->sink);
        struct iovec iov;
        size_t n;

        if (room == 0)
            break;
        (void)gs_blocks_iov(&s->queue, &iov, 1);
        n = iov.iov_len < room ? iov.iov_len : room;
        n = n < from->window ? n : from->window;
        memcpy(s->loop->scratch, iov.iov_base, n);
        gs_blocks_consume(&s->queue, &s->loop->blocks, n);
        s->sent += n;
        from->window -= from->window == SIZE_MAX ? 0 : n;
        to->sink_ops->data(to->sink, gs_slice(s->loop->scratch, n));
        mem_loop_turn(s->loop);
        moved = true;
        if (before > STREAM_LOW_BYTES && s->queue.bytes <= STREAM_LOW_BYTES && !s->closing)
            s->sink_ops->drained(s->sink);
    }
    return moved;
}

static inline bool
mem_tell(struct mem_end *e)
{
    struct stream *s = &e->base;

    if (s->closing)
        return false;
    if (e->reset_due && !e->reset_told) {
        e->reset_told = true;
        s->sink_ops->ended(s->sink, STREAM_RESET);
        return true;
    }
    if (e->eof_due && !e->eof_told && !e->reset_due && !e->peer) {
        e->eof_told = true;
        s->sink_ops->ended(s->sink, STREAM_EOF);
        return true;
    }
    return false;
}
