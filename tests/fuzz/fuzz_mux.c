/* fuzz_mux.c - a mesh connection fed with bytes, as the side that opens streams and as the one
 * that serves them.
 *
 *   byte 0: bit 0 client; bits 1-2 how sinks act on input (take all, none, a little, close)
 *   byte 1: size of the pieces the rest is fed in (0: whole)
 *
 * A server's input begins behind its preface and first SETTINGS unless bit 3 of byte 0 is set; a
 * client has three streams open and asks one question. Held: no crash, no leak, invariants after
 * every piece, and memory within the streams' windows. */
#include "tests/fuzz/fuzz.h"

#include <gossamer/mux.h>

#include "tests/unit/mem_loop.h"

#define SINKS_MAX 512
#define OPENING "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"

enum habit { TAKE_ALL, TAKE_NONE, TAKE_LITTLE, CLOSE };

struct sink {
    struct stream *s;
    struct side side;
    enum habit habit;
};

static struct {
    struct gs_loop loop;
    struct mux *mux;
    struct sink sinks[SINKS_MAX];
    unsigned count;
    enum habit habit;
    struct http_handler calls;
    struct side request;
} f;

static size_t
sink_room(void *sink)
{
    static const size_t rooms[] = { LOOP_SCRATCH_BYTES, 0, 3, LOOP_SCRATCH_BYTES };

    return rooms[((struct sink *)sink)->habit];
}

static void
sink_data(void *sink, struct gs_slice bytes)
{
    struct sink *k = sink;

    if (k->habit == CLOSE)
        stream_close(k->s);
    else
        stream_write_slice(k->s, bytes); /* an echo */
}

static void
sink_ended(void *sink, enum stream_end how)
{
    struct sink *k = sink;

    if (how == STREAM_EOF)
        stream_shutdown(k->s);
    else
        stream_close(k->s);
}

static void
sink_nothing(void *sink)
{
    (void)sink;
}

static void
sink_closed(void *sink)
{
    ((struct sink *)sink)->s = NULL;
}

static const struct stream_sink_ops sink_ops = { sink_room,    sink_data,    sink_ended,
                                                 sink_nothing, sink_nothing, sink_closed };

static void
on_opened(void *arg, struct stream *s, const struct mux_request *r)
{
    struct sink *k = &f.sinks[f.count];

    (void)arg;
    if (f.count == SINKS_MAX || r->service.len % 2 == 1) {
        mux_refuse(s, 421, OUTCOME_NOT_PROCESSED);
        return;
    }
    f.count++;
    k->s = s;
    k->habit = f.habit;
    mux_accept(s);
    stream_attach(s, &sink_ops, k);
}

static void
on_closed(void *arg, enum reason why)
{
    (void)arg;
    (void)why;
    f.mux = NULL;
}

static const struct mux_events events = { .opened = on_opened, .closed = on_closed };

/* ---- calls ---- */

static void
side_head(struct side *to, struct head *h)
{
    (void)to;
    GS_ASSERT(h->status >= 200);
}

static void
side_data(struct side *to, struct gs_slice bytes)
{
    (void)to;
    (void)bytes;
}

static void
side_trailers(struct side *to, struct head *t)
{
    (void)to;
    (void)t;
}

static void
side_end(struct side *to)
{
    (void)to;
}

static void
side_reset(struct side *to, enum reason why)
{
    (void)to;
    (void)why;
}

static size_t
side_room(struct side *to)
{
    (void)to;
    return 4096;
}

static void
side_resume(struct side *to)
{
    (void)to;
}

static const struct side_ops side_ops = { side_head,  side_data, side_trailers, side_end,
                                          side_reset, side_room, side_resume };

static struct side *
call_begin(struct http_handler *handler, struct side *answer, struct head *h)
{
    struct head a = { .status = 200, .fields = h->fields, .count = h->count };

    (void)handler;
    answer->ops->head(answer, &a);
    answer->ops->data(answer, h->path);
    answer->ops->end(answer);
    f.request.ops = &side_ops;
    return &f.request;
}

/* ---- running ---- */

static void
open_some(void)
{
    struct mux_request r = { GS_SLICE("1.2.3.4:5"), GS_SLICE("a/b:1"), GS_SLICE("a/c") };
    static struct side reply;

    for (unsigned i = 0; i < 3; i++) {
        struct sink *k = &f.sinks[f.count++];

        k->habit = f.habit;
        k->s = mux_open(f.mux, &r, &sink_ops, k);
        GS_ASSERT(k->s);
        stream_write_slice(k->s, GS_SLICE("GET / HTTP/1.1\r\n\r\n"));
    }
    reply.ops = &side_ops;
    GS_ASSERT(mux_ask(f.mux, GS_SLICE("n"), GS_SLICE("/x"), &reply));
}

/* What is written goes nowhere, but not all of it at once. */
static void
swallow(struct mem_end *e)
{
    size_t n = e->base.queue.bytes;

    if (n > MUX_OUT_HIGH_BYTES / 2)
        n = MUX_OUT_HIGH_BYTES / 2;
    gs_blocks_consume(&e->base.queue, &f.loop.blocks, n);
    e->base.sent += n;
    if (n > 0 && e->base.queue.bytes <= STREAM_LOW_BYTES)
        e->base.sink_ops->drained(e->base.sink);
}

static void
feed(struct mem_end *e, const bool *gone, struct gs_slice bytes)
{
    if (*gone || e->base.closing)
        return;
    /* As a read does: through the loop's scratch. */
    memcpy(f.loop.scratch, bytes.ptr, bytes.len);
    e->base.sink_ops->data(e->base.sink, gs_slice(f.loop.scratch, bytes.len));
    mem_loop_turn(&f.loop);
    if (*gone)
        return;
    swallow(e);
    mem_loop_turn(&f.loop);
    if (f.mux)
        mux_check(f.mux);
    GS_ASSERT(f.loop.blocks.used_bytes <= (f.count + 4) * 3 * (size_t)MUX_WINDOW_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gs_slice rest;
    struct mem_end *e;
    bool client;
    bool gone;

    if (size < 2)
        return 0;
    memset(&f, 0, sizeof(f));
    mem_loop_init(&f.loop);
    client = data[0] & 1;
    f.habit = (enum habit)(data[0] >> 1 & 3);
    f.calls.begin = call_begin;
    f.mux = mux_new(&(struct mux_options){ .loop = &f.loop,
                                           .role = client ? MUX_CLIENT : MUX_SERVER,
                                           .events = &events,
                                           .calls = &f.calls });
    e = mem_end_new(&f.loop, &mux_sink_ops, f.mux, &gone);
    mux_start(f.mux, &e->base);
    if (client)
        open_some();
    mem_loop_turn(&f.loop);
    if (!client && !(data[0] & 8))
        feed(e, &gone, gs_slice(OPENING, sizeof(OPENING) - 1));
    rest = gs_slice(data + 2, size - 2);
    while (rest.len > 0) {
        size_t n = data[1] > 0 && data[1] < rest.len ? data[1] : rest.len;

        n = n < LOOP_SCRATCH_BYTES ? n : LOOP_SCRATCH_BYTES;
        feed(e, &gone, gs_slice_head(rest, n));
        rest = gs_slice_from(rest, n);
    }
    if (!gone && !e->base.closing)
        e->base.sink_ops->ended(e->base.sink, STREAM_EOF);
    for (unsigned i = 0; i < f.count; i++) {
        if (f.sinks[i].s)
            stream_abort(f.sinks[i].s);
    }
    mem_loop_turn(&f.loop);
    GS_ASSERT(!f.mux);
    mem_loop_fini(&f.loop);
    return 0;
}
