/* mux_stream.c - a stream of a mux as a struct stream. Output waits in base.queue until HTTP/2 has
 * window for it; input goes to the sink at once, or waits in `in` while the sink has no room.
 *
 * Everything but data is told by one deferred call (`work`), so no event comes from inside a call
 * made on the stream, and a sink may close any stream of the mux while it is told something. */
#include "proxy/mux_parts.h"

static const char *const ms_names[] = { "heading", "opening", "open", "lost", "closing" };
static const uint32_t ms_moves[] = {
    [MS_HEADING] = GS_FSM_BIT(MS_OPEN) | GS_FSM_BIT(MS_CLOSING),
    [MS_OPENING] = GS_FSM_BIT(MS_OPEN) | GS_FSM_BIT(MS_LOST) | GS_FSM_BIT(MS_CLOSING),
    [MS_OPEN] = GS_FSM_BIT(MS_LOST) | GS_FSM_BIT(MS_CLOSING),
    [MS_LOST] = GS_FSM_BIT(MS_CLOSING),
    [MS_CLOSING] = 0,
};
static const struct gs_fsm_def ms_fsm = { "mux_stream", ms_names, ms_moves, MS_STATES };

static struct gs_block_pool *
pool_of(const struct mux_stream *ms)
{
    return &ms->mux->loop->blocks;
}

static void
bury(struct gs_grave *g)
{
    struct mux_stream *ms = GS_CONTAINER(g, struct mux_stream, grave);

    gs_free(ms);
}

/* Freed once HTTP/2 has forgotten it and no sink is left to be told anything. */
static void
maybe_free(struct mux_stream *ms)
{
    struct mux *m = ms->mux;

    if (ms->on_wire || !gs_fsm_is(&ms->fsm, MS_CLOSING) || !ms->closed_told ||
        !gs_list_linked(&ms->link))
        return;
    mux_head_done(ms);
    GS_ASSERT(!ms->call);
    gs_defer_cancel(&ms->work);
    gs_list_remove(&ms->link);
    gs_blocks_clear(&ms->in, pool_of(ms));
    gs_blocks_clear(&ms->base.queue, pool_of(ms));
    gs_loop_bury(m->loop, &ms->grave, bury);
    mux_stream_freed(m);
}

static void
work_later(struct mux_stream *ms)
{
    gs_loop_defer(ms->mux->loop, &ms->work);
}

void
mux_stream_drop(struct mux_stream *ms)
{
    if (!gs_fsm_is(&ms->fsm, MS_CLOSING))
        gs_fsm_move(&ms->fsm, MS_CLOSING);
    ms->base.closing = 1;
    ms->closed_told = true;
    ms->closed_ms = ms->mux->loop->now_ms;
    maybe_free(ms);
}

/* ---- input ---- */

/* Hand over what there is room for; the number of bytes taken. */
static size_t
hand_over(struct mux_stream *ms, struct gs_slice bytes)
{
    struct stream *s = &ms->base;
    size_t done = 0;

    while (done < bytes.len && !s->closing && !gs_fsm_is(&ms->fsm, MS_LOST)) {
        size_t n = s->sink_ops->room(s->sink);

        if (n == 0)
            break;
        if (n > bytes.len - done)
            n = bytes.len - done;
        s->sink_ops->data(s->sink, gs_slice(bytes.ptr + done, n));
        done += n;
    }
    GS_ASSERT(done <= bytes.len);
    if (done > 0)
        mux_wire_taken(ms, done);
    return done;
}

/* What waited goes through the loop's scratch: the sink may close the stream, and with it free the
 * blocks, while it still reads. */
static void
deliver(struct mux_stream *ms)
{
    struct stream *s = &ms->base;

    while (ms->in.bytes > 0 && !s->closing) {
        size_t room = s->sink_ops->room(s->sink);
        struct gs_slice bytes = gs_slice(s->loop->scratch, 0);

        if (room == 0)
            return; /* resume comes when there is room */
        if (room > LOOP_SCRATCH_BYTES)
            room = LOOP_SCRATCH_BYTES;
        while (ms->in.bytes > 0 && bytes.len < room) {
            struct iovec iov;
            size_t n = room - bytes.len;

            (void)gs_blocks_iov(&ms->in, &iov, 1);
            if (n > iov.iov_len)
                n = iov.iov_len;
            memcpy(s->loop->scratch + bytes.len, iov.iov_base, n);
            gs_blocks_consume(&ms->in, pool_of(ms), n);
            bytes.len += n;
        }
        mux_wire_taken(ms, bytes.len);
        s->sink_ops->data(s->sink, bytes);
    }
}

/* What is buffered counts against the loop's budget; a stream whose reader is slow loses when that
 * is used up, and nobody else does. */
static void
buffer(struct mux_stream *ms, struct gs_slice bytes)
{
    struct mux *m = ms->mux;

    if (m->loop->blocks.used_bytes + bytes.len > LOOP_BUDGET_BYTES) {
        mux_refused(m, REASON_MUX_OVERLOAD);
        mux_wire_reset(ms, MUX_CODE_CALM);
        gs_blocks_clear(&ms->in, pool_of(ms));
        gs_fsm_move(&ms->fsm, MS_LOST);
        ms->lost = STREAM_RESET;
        work_later(ms);
        return;
    }
    gs_blocks_put(&ms->in, pool_of(ms), bytes.ptr, bytes.len);
}

void
mux_stream_data(struct mux_stream *ms, struct gs_slice bytes)
{
    size_t n = 0;

    if (ms->refused)
        return; /* our answer, and the reset behind it, are on their way */
    if (gs_fsm_is(&ms->fsm, MS_CLOSING) || gs_fsm_is(&ms->fsm, MS_LOST)) {
        mux_wire_taken(ms, bytes.len);
        mux_wire_reset(ms, MUX_CODE_CANCEL); /* it was closed cleanly, and more came */
        return;
    }
    GS_ASSERT(gs_fsm_is(&ms->fsm, MS_OPEN));
    GS_ASSERT(!ms->eof_in);
    if (ms->in.bytes == 0)
        n = hand_over(ms, bytes);
    if (n < bytes.len && gs_fsm_is(&ms->fsm, MS_OPEN))
        buffer(ms, gs_slice_from(bytes, n));
}

void
mux_stream_ended(struct mux_stream *ms)
{
    ms->eof_in = true;
    work_later(ms);
}

void
mux_stream_answered(struct mux_stream *ms, struct mux_refusal answer)
{
    if (!gs_fsm_is(&ms->fsm, MS_OPENING))
        return;
    if (answer.status / 100 == 2) {
        gs_fsm_move(&ms->fsm, MS_OPEN);
        ms->connected = true;
    } else {
        gs_fsm_move(&ms->fsm, MS_LOST);
        ms->refusal = answer;
        ms->lost = STREAM_REFUSED;
        mux_wire_reset(ms, MUX_CODE_CANCEL);
    }
    work_later(ms);
}

/* HTTP/2 has forgotten the stream: both sides ended, or one was reset, or the connection is gone.
 * What came whole before that is still delivered. */
void
mux_stream_off_wire(struct mux_stream *ms)
{
    GS_ASSERT(ms->on_wire);
    ms->on_wire = false;
    ms->waiting = false;
    gs_blocks_clear(&ms->base.queue, pool_of(ms));
    switch ((enum mux_stream_state)ms->fsm.state) {
    case MS_HEADING:
        mux_stream_drop(ms);
        return;
    case MS_OPENING:
    case MS_OPEN:
        if (ms->eof_in && gs_fsm_is(&ms->fsm, MS_OPEN)) {
            ms->cut = !ms->shut_asked; /* its end came first, and is told behind what is unread */
            break;
        }
        ms->lost = gs_fsm_is(&ms->fsm, MS_OPENING) ? STREAM_REFUSED : STREAM_RESET;
        gs_fsm_move(&ms->fsm, MS_LOST);
        gs_blocks_clear(&ms->in, pool_of(ms));
        break;
    default:
        break;
    }
    work_later(ms);
}

/* ---- output ---- */

void
mux_stream_sent(struct mux_stream *ms, size_t bytes)
{
    GS_ASSERT(bytes <= ms->base.queue.bytes);
    ms->base.sent += bytes;
    gs_blocks_consume(&ms->base.queue, pool_of(ms), bytes);
    if (ms->owes_drained && ms->base.queue.bytes <= STREAM_LOW_BYTES)
        work_later(ms);
}

static void
ms_write(struct stream *s, const struct iovec *iov, int count)
{
    struct mux_stream *ms = mux_stream_of(s);

    GS_ASSERT(!ms->shut_asked);
    if (!ms->on_wire || gs_fsm_is(&ms->fsm, MS_LOST))
        return; /* its end is told, or will be */
    for (int i = 0; i < count; i++)
        gs_blocks_put(&s->queue, pool_of(ms), iov[i].iov_base, iov[i].iov_len);
    ms->owes_drained = ms->owes_drained || s->queue.bytes > STREAM_LOW_BYTES;
    mux_wire_more(ms);
}

static void
ms_flush(struct stream *s)
{
    (void)s; /* with everybody else's, at the end of the turn */
}

static void
ms_shutdown(struct stream *s)
{
    struct mux_stream *ms = mux_stream_of(s);

    GS_ASSERT(!ms->shut_asked);
    ms->shut_asked = true;
    if (ms->on_wire)
        mux_wire_more(ms);
}

static void
ms_resume(struct stream *s)
{
    struct mux_stream *ms = mux_stream_of(s);

    if (ms->in.bytes > 0)
        work_later(ms);
}

static void
end(struct mux_stream *ms)
{
    gs_fsm_move(&ms->fsm, MS_CLOSING);
    ms->closed_ms = ms->mux->loop->now_ms;
    work_later(ms);
}

/* Clean only when nothing is on its way: what is queued would be lost, what is unread was not
 * asked for, and neither may look like a whole message to the peer. When both sides have said that
 * they are through, what is queued still goes out with the end behind it. */
static void
ms_close(struct stream *s)
{
    struct mux_stream *ms = mux_stream_of(s);
    bool opened = gs_fsm_is(&ms->fsm, MS_OPEN);
    bool unread = ms->in.bytes > 0;

    end(ms);
    if (!ms->on_wire || (opened && ms->shut_asked && ms->eof_in && !unread))
        return;
    if (!opened || unread || s->queue.bytes > 0)
        mux_wire_reset(ms, MUX_CODE_CANCEL);
    else if (!ms->shut_asked)
        ms_shutdown(s);
    else if (!ms->eof_in)
        mux_wire_reset(ms, MUX_CODE_NONE);
}

static void
ms_abort(struct stream *s)
{
    struct mux_stream *ms = mux_stream_of(s);

    end(ms);
    if (ms->on_wire)
        mux_wire_reset(ms, MUX_CODE_CANCEL);
}

static bool
ms_stale(struct stream *s)
{
    struct mux_stream *ms = mux_stream_of(s);

    return !gs_fsm_is(&ms->fsm, MS_OPEN) || !ms->on_wire || ms->eof_in || ms->in.bytes > 0 ||
           ms->mux->going;
}

static const struct stream_ops ms_ops = { ms_write, ms_flush, ms_shutdown, ms_resume,
                                          ms_close, ms_abort, ms_stale };

/* ---- telling ---- */

static void
tell_end(struct mux_stream *ms)
{
    struct stream *s = &ms->base;

    if (ms->eof_in && ms->in.bytes == 0 && !ms->eof_told && gs_fsm_is(&ms->fsm, MS_OPEN)) {
        GS_ASSERT(!ms->lost_told);
        ms->eof_told = true;
        s->sink_ops->ended(s->sink, STREAM_EOF);
    }
    if (ms->cut && ms->eof_told && gs_fsm_is(&ms->fsm, MS_OPEN)) {
        gs_fsm_move(&ms->fsm, MS_LOST);
        ms->lost = STREAM_RESET;
    }
    if (gs_fsm_is(&ms->fsm, MS_LOST) && !ms->lost_told) {
        ms->lost_told = true;
        s->sink_ops->ended(s->sink, ms->lost);
    }
}

static void
on_work(struct gs_defer *d)
{
    struct mux_stream *ms = GS_CONTAINER(d, struct mux_stream, work);
    struct stream *s = &ms->base;

    if (gs_fsm_is(&ms->fsm, MS_CLOSING)) {
        gs_blocks_clear(&ms->in, pool_of(ms));
        if (!ms->closed_told) {
            ms->closed_told = true;
            s->sink_ops->closed(s->sink);
        }
        maybe_free(ms);
        return;
    }
    if (ms->connected) {
        ms->connected = false;
        if (s->sink_ops->connected)
            s->sink_ops->connected(s->sink);
    }
    deliver(ms);
    if (!s->closing)
        tell_end(ms);
    if (!s->closing && ms->owes_drained && s->queue.bytes <= STREAM_LOW_BYTES) {
        ms->owes_drained = false;
        s->sink_ops->drained(s->sink);
    }
}

struct mux_stream *
mux_stream_new(struct mux *m, enum mux_stream_state state)
{
    struct mux_stream *ms = gs_zalloc(sizeof(*ms));

    GS_ASSERT(state == MS_HEADING || state == MS_OPENING);
    ms->base.ops = &ms_ops;
    ms->base.loop = m->loop;
    gs_list_init(&ms->base.dirty);
    gs_blocks_init(&ms->base.queue);
    gs_blocks_init(&ms->in);
    gs_list_init(&ms->grave.link);
    gs_defer_init(&ms->work, on_work);
    gs_fsm_init(&ms->fsm, &ms_fsm, state);
    ms->mux = m;
    ms->window = MUX_WINDOW_BYTES;
    gs_list_init(&ms->link);
    gs_list_push_back(&m->streams, &ms->link);
    return ms;
}

/* ---- public ---- */

void
mux_accept(struct stream *s)
{
    struct mux_stream *ms = mux_stream_of(s);

    GS_ASSERT(ms->mux->role == MUX_SERVER);
    GS_ASSERT(ms->on_wire);
    gs_fsm_move(&ms->fsm, MS_OPEN);
    mux_wire_answer(ms, 200, NULL);
}

void
mux_refuse(struct stream *s, unsigned status, enum mux_outcome outcome)
{
    struct mux_stream *ms = mux_stream_of(s);

    GS_ASSERT(gs_fsm_is(&ms->fsm, MS_HEADING));
    mux_wire_refuse(ms, status, outcome);
    ms->refused = true;
    mux_stream_drop(ms);
}

struct mux_refusal
mux_stream_refusal(const struct stream *s)
{
    return GS_CONTAINER((struct stream *)(uintptr_t)s, struct mux_stream, base)->refusal;
}
