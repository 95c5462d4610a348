/* mux_life.c - a mux from start to end: what it sits on, what time and peers do to it, and who is
 * told. Of HTTP/2 it knows nothing (mux.c does).
 *
 *   NEW ──start──▶ RUNNING ──broken, stalled, both going and empty──▶ ENDING ──all closed──▶ ENDED
 */
#include <gossamer/mux.h>

#include "proxy/mux_parts.h"

enum mux_state { MUX_NEW, MUX_RUNNING, MUX_ENDING, MUX_ENDED, MUX_STATES };

static const char *const mux_names[] = { "new", "running", "ending", "ended" };
static const uint32_t mux_moves[] = {
    [MUX_NEW] = GS_FSM_BIT(MUX_RUNNING) | GS_FSM_BIT(MUX_ENDED),
    [MUX_RUNNING] = GS_FSM_BIT(MUX_ENDING),
    [MUX_ENDING] = GS_FSM_BIT(MUX_ENDED),
    [MUX_ENDED] = 0,
};
static const struct gs_fsm_def mux_fsm = { "mux", mux_names, mux_moves, MUX_STATES };

static const char *const outcome_texts[] = { NULL, "not-processed", "processed", "stale",
                                             "unknown" };

const char *
mux_outcome_text(enum mux_outcome o)
{
    return outcome_texts[o];
}

enum mux_outcome
mux_outcome_parse(struct gs_slice text)
{
    for (unsigned i = OUTCOME_NOT_PROCESSED; i < OUTCOME_UNKNOWN; i++) {
        if (gs_slice_eq(text, gs_slice_str(outcome_texts[i])))
            return (enum mux_outcome)i;
    }
    return text.len > 0 ? OUTCOME_UNKNOWN : OUTCOME_NONE;
}

bool
mux_running(const struct mux *m)
{
    return gs_fsm_is(&m->fsm, MUX_RUNNING);
}

void
mux_flush_later(struct mux *m)
{
    if (mux_running(m))
        gs_loop_at_turn_end(m->loop, &m->flush);
}

/* ---- the end ---- */

static void
bury(struct gs_grave *g)
{
    struct mux *m = GS_CONTAINER(g, struct mux, grave);

    mux_wire_free(m);
    gs_free(m);
}

static void
maybe_ended(struct mux *m)
{
    if (!gs_fsm_is(&m->fsm, MUX_ENDING) || m->below || !gs_list_empty(&m->streams))
        return;
    gs_fsm_move(&m->fsm, MUX_ENDED);
    gs_defer_cancel(&m->news);
    m->events->closed(m->arg, m->why);
    gs_loop_bury(m->loop, &m->grave, bury);
}

void
mux_stream_freed(struct mux *m)
{
    maybe_ended(m);
}

void
mux_end(struct mux *m, enum reason why, void (*close)(struct stream *s))
{
    if (!mux_running(m))
        return;
    gs_fsm_move(&m->fsm, MUX_ENDING);
    m->why = why;
    m->going = true;
    gs_turn_end_cancel(&m->flush);
    GS_LIST_EACH_SAFE(n, &m->streams) {
        struct mux_stream *ms = GS_LIST_ENTRY(n, struct mux_stream, link);

        if (!ms->on_wire)
            continue;
        GS_ASSERT(m->count > 0);
        m->count--;
        mux_stream_off_wire(ms);
    }
    GS_ASSERT(m->count == 0);
    close(m->below);
    gs_loop_defer(m->loop, &m->news);
}

void
mux_refused(struct mux *m, enum reason why)
{
    if (m->events->refused)
        m->events->refused(m->arg, why);
}

/* The peer broke a rule. */
void
mux_blame(struct mux *m, enum reason why)
{
    if (!mux_running(m))
        return;
    mux_refused(m, why);
    mux_end(m, why, stream_abort);
}

/* Something changed that the owner may act on; told from the loop. */
static void
on_news(struct gs_defer *d)
{
    struct mux *m = GS_CONTAINER(d, struct mux, news);

    if (m->going && m->count == 0 && mux_running(m)) {
        mux_wire_goodbye(m);
    }
    if (m->events->changed)
        m->events->changed(m->arg);
}

/* ---- the stream below ---- */

static size_t
below_room(void *sink)
{
    (void)sink;
    return LOOP_SCRATCH_BYTES; /* never left unread: a stalled stream must not stop the others */
}

static void
below_data(void *sink, struct gs_slice bytes)
{
    struct mux *m = sink;
    enum reason why;

    if (!mux_running(m))
        return;
    why = mux_wire_feed(m, bytes);
    if (why != REASON_NONE)
        mux_blame(m, why);
    mux_flush_later(m);
}

static void
below_ended(void *sink, enum stream_end how)
{
    struct mux *m = sink;
    enum reason why = how == STREAM_REFUSED ? REASON_CONNECT_REFUSED : REASON_UPSTREAM_CLOSED;

    if (how == STREAM_EOF && m->count == 0)
        why = m->hello ? REASON_NONE : REASON_MUX_PREFACE;
    mux_end(m, why, stream_close);
}

static void
below_drained(void *sink)
{
    mux_flush_later(sink);
}

static void
below_connected(void *sink)
{
    mux_flush_later(sink);
}

static void
below_closed(void *sink)
{
    struct mux *m = sink;

    GS_ASSERT(gs_fsm_is(&m->fsm, MUX_ENDING));
    m->below = NULL;
    maybe_ended(m);
}

const struct stream_sink_ops mux_sink_ops = { below_room,    below_data,      below_ended,
                                              below_drained, below_connected, below_closed };

/* ---- for the owner ---- */

void
mux_life_init(struct mux *m, const struct mux_options *o)
{
    m->loop = o->loop;
    m->events = o->events;
    m->arg = o->arg;
    m->calls = o->calls;
    m->node = o->node;
    m->role = o->role;
    m->idle_frames = MUX_IDLE_FRAMES_BURST;
    m->started_ms = m->idle_ms = m->idle_frames_ms = m->stalled_ms = o->loop->now_ms;
    gs_list_init(&m->streams);
    gs_list_init(&m->grave.link);
    gs_turn_end_init(&m->flush, mux_wire_flush);
    gs_defer_init(&m->news, on_news);
    gs_fsm_init(&m->fsm, &mux_fsm, MUX_NEW);
}

void
mux_free(struct mux *m)
{
    if (!m)
        return;
    gs_fsm_move(&m->fsm, MUX_ENDED);
    mux_wire_free(m);
    gs_free(m);
}

void
mux_start(struct mux *m, struct stream *below)
{
    gs_fsm_move(&m->fsm, MUX_RUNNING);
    m->below = below;
    mux_wire_hello(m);
}

uint32_t
mux_streams(const struct mux *m)
{
    return m->count;
}

bool
mux_idle(const struct mux *m)
{
    return m->count == 0 && !m->going && mux_running(m);
}

bool
mux_congested(const struct mux *m)
{
    return m->blocked_ms != 0 && m->loop->now_ms - m->blocked_ms >= MUX_CONGESTED_MS;
}

void
mux_drain(struct mux *m)
{
    if (!mux_running(m) || m->going)
        return;
    m->going = true;
    /* Of a server this says "open no more" and takes back nothing: what is on its way is shown to
     * the owner, who refuses it in words. */
    if (m->role == MUX_SERVER)
        mux_wire_notice(m);
    gs_loop_defer(m->loop, &m->news);
    mux_flush_later(m);
}

void
mux_abort(struct mux *m, enum reason why)
{
    mux_end(m, why, stream_abort);
}

static void
tend_streams(struct mux *m)
{
    uint64_t now = m->loop->now_ms;

    GS_LIST_EACH_SAFE(n, &m->streams) {
        struct mux_stream *ms = GS_LIST_ENTRY(n, struct mux_stream, link);

        uint64_t most = ms->base.queue.bytes > 0 ? MUX_STALLED_MS : LINGER_MS;

        if (gs_fsm_is(&ms->fsm, MS_CLOSING) && ms->on_wire && now - ms->closed_ms >= most)
            mux_wire_reset(ms, MUX_CODE_CANCEL);
    }
}

static void
no_hello(struct mux *m)
{
    if (m->role == MUX_CLIENT)
        mux_end(m, REASON_CONNECT_TIMEOUT, stream_abort);
    else
        mux_blame(m, REASON_HEAD_TIMEOUT);
}

bool
mux_spend_idle_frame(struct mux *m)
{
    uint64_t now = m->loop->now_ms;
    uint64_t more = (now - m->idle_frames_ms) * MUX_IDLE_FRAMES_PER_S / 1000;

    if (more > 0) {
        m->idle_frames_ms = now;
        m->idle_frames = more >= MUX_IDLE_FRAMES_BURST - m->idle_frames
                             ? MUX_IDLE_FRAMES_BURST
                             : m->idle_frames + (uint32_t)more;
    }
    if (m->idle_frames == 0)
        return false;
    m->idle_frames--;
    return true;
}

void
mux_tend(struct mux *m, uint64_t idle_ms, uint64_t hello_ms)
{
    uint64_t now = m->loop->now_ms;

    if (!mux_running(m))
        return;
    if (m->below->queue.bytes == 0 || m->below->sent != m->stalled_sent) {
        m->stalled_ms = now;
        m->stalled_sent = m->below->sent;
    }
    if (now - m->stalled_ms >= MUX_STALLED_MS)
        mux_blame(m, REASON_MUX_STALLED);
    else if (!m->hello && hello_ms > 0 && now - m->started_ms >= hello_ms)
        no_hello(m);
    else if (m->heading > 0 && m->role == MUX_SERVER && now - m->heading_ms >= MUX_STALLED_MS)
        mux_blame(m, REASON_HEAD_TIMEOUT);
    else if (m->count == 0 && now - m->idle_ms >= idle_ms)
        mux_drain(m);
    tend_streams(m);
}

void
mux_check(const struct mux *m)
{
    uint32_t count = 0;
    uint32_t heading = 0;

    GS_LIST_EACH(n, (struct gs_list *)(uintptr_t)&m->streams) {
        const struct mux_stream *ms = GS_LIST_ENTRY(n, struct mux_stream, link);

        GS_ASSERT(ms->mux == m);
        GS_ASSERT(!ms->on_wire || ms->id > 0);
        GS_ASSERT(!ms->on_wire || mux_running(m));
        GS_ASSERT(!ms->waiting || ms->on_wire);
        GS_ASSERT(ms->window <= MUX_WINDOW_MAX);
        GS_ASSERT(ms->in.bytes <= ms->window || gs_fsm_is(&ms->fsm, MS_CLOSING));
        count += ms->on_wire;
        heading += ms->head != NULL;
    }
    GS_ASSERT(count == m->count);
    GS_ASSERT(heading == m->heading);
    GS_ASSERT(m->gathered == 0);
}
