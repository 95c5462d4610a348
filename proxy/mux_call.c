/* mux_call.c - ordinary requests on a mux, as sides: nodes ask each other this way. A call is the
 * sink of its stream.
 *
 *   server:  header ─▶ handler.begin ─▶ data, end ─▶ handler's side; its answer ─▶ side ─▶ wire
 *   client:  mux_ask ─▶ wire; header, data, end ─▶ the asker's side */
#include "proxy/mux_parts.h"

struct mux_call {
    struct side side;  /* server: where the answer is written; client: how the asker cancels */
    struct side *peer; /* server: takes the request; client: gets the answer; NULL: neither */
    struct mux_stream *ms;
    struct gs_grave grave;
    bool headed;    /* the final head went out, or came */
    bool over;      /* the answer is whole */
    bool came_over; /* server: the request is */
};

static struct mux_call *
call_of(struct side *s)
{
    return GS_CONTAINER(s, struct mux_call, side);
}

static struct stream *
stream_of(const struct mux_call *c)
{
    return &c->ms->base;
}

static void
bury(struct gs_grave *g)
{
    gs_free(GS_CONTAINER(g, struct mux_call, grave));
}

static void
maybe_close(struct mux_call *c)
{
    if (c->over && c->came_over)
        stream_close(stream_of(c));
}

/* ---- the stream's events ---- */

static size_t
sink_room(void *sink)
{
    struct mux_call *c = sink;

    if (!c->headed && c->ms->mux->role == MUX_CLIENT)
        return 0;
    return c->peer ? c->peer->ops->room(c->peer) : LOOP_SCRATCH_BYTES;
}

static void
sink_data(void *sink, struct gs_slice bytes)
{
    struct mux_call *c = sink;

    GS_ASSERT(c->headed || c->ms->mux->role == MUX_SERVER);
    if (c->peer)
        c->peer->ops->data(c->peer, bytes);
}

static void
sink_ended(void *sink, enum stream_end how)
{
    struct mux_call *c = sink;
    struct side *peer = c->peer;

    c->peer = NULL;
    if (how == STREAM_EOF && c->ms->mux->role == MUX_SERVER) {
        c->came_over = true;
        if (peer) {
            c->peer = peer; /* it may still write its answer, and be told that the peer left */
            peer->ops->end(peer);
        }
        maybe_close(c);
        return;
    }
    stream_close(stream_of(c));
    if (!peer)
        return;
    if (how == STREAM_EOF && c->headed)
        peer->ops->end(peer);
    else if (c->ms->mux->role == MUX_SERVER)
        peer->ops->reset(peer, REASON_CLIENT_LEFT);
    else
        peer->ops->reset(peer, c->headed ? REASON_UPSTREAM_CUT : REASON_UPSTREAM_CLOSED);
}

static void
sink_drained(void *sink)
{
    struct mux_call *c = sink;

    if (c->peer)
        c->peer->ops->resume(c->peer);
}

static void
sink_closed(void *sink)
{
    struct mux_call *c = sink;

    GS_ASSERT(c->ms->call == c);
    c->ms->call = NULL;
    gs_loop_bury(c->ms->mux->loop, &c->grave, bury);
}

static const struct stream_sink_ops call_sink = { sink_room,    sink_data, sink_ended,
                                                  sink_drained, NULL,      sink_closed };

static struct mux_call *
call_new(struct mux_stream *ms, const struct side_ops *ops)
{
    struct mux_call *c = gs_zalloc(sizeof(*c));

    GS_ASSERT(!ms->call);
    c->side.ops = ops;
    c->ms = ms;
    gs_list_init(&c->grave.link);
    ms->call = c;
    stream_attach(&ms->base, &call_sink, c);
    return c;
}

/* ---- server: the answer, from the handler ---- */

static void
answer_head(struct side *to, struct head *h)
{
    struct mux_call *c = call_of(to);

    if (h->status < 200)
        return;
    GS_ASSERT(!c->headed);
    c->headed = true;
    mux_wire_answer(c->ms, h->status, h);
}

static void
answer_data(struct side *to, struct gs_slice bytes)
{
    GS_ASSERT(call_of(to)->headed);
    stream_write_slice(stream_of(call_of(to)), bytes);
}

static void
answer_trailers(struct side *to, struct head *t)
{
    (void)to; /* mesh calls have none */
    (void)t;
}

static void
answer_end(struct side *to)
{
    struct mux_call *c = call_of(to);

    GS_ASSERT(c->headed);
    GS_ASSERT(!c->over);
    c->over = true;
    if (c->came_over)
        c->peer = NULL; /* both are over: the handler's side is gone */
    stream_shutdown(stream_of(c));
    if (c->came_over)
        maybe_close(c);
}

static void
answer_reset(struct side *to, enum reason why)
{
    struct mux_call *c = call_of(to);

    c->peer = NULL;
    if (why == REASON_NONE && !c->came_over) /* the rest of the request is not wanted */
        return;
    stream_abort(stream_of(c)); /* a cut answer never looks like an end */
}

static size_t
answer_room(struct side *to)
{
    return stream_room(stream_of(call_of(to)));
}

static void
answer_resume(struct side *to)
{
    stream_resume(stream_of(call_of(to)));
}

static const struct side_ops answer_ops = { answer_head,  answer_data, answer_trailers, answer_end,
                                            answer_reset, answer_room, answer_resume };

void
mux_call_begin(struct mux_stream *ms)
{
    struct mux *m = ms->mux;
    struct mux_head *from = ms->head;
    struct head h = { .method = from->method,
                      .target = from->path,
                      .path = from->path,
                      .authority = from->authority,
                      .minor = 1,
                      .is_request = true,
                      .idempotent = true,
                      .keep_alive = true,
                      .fields = from->fields,
                      .count = from->count };
    struct mux_call *c;
    struct side *peer;

    if (!m->calls || !gs_slice_eq(from->method, GS_SLICE("GET")) || from->path.len == 0) {
        mux_refuse(&ms->base, 501, OUTCOME_NOT_PROCESSED);
        return;
    }
    for (size_t i = 0; i < h.count; i++)
        from->fields[i].id = field_id_of(from->fields[i].name);
    c = call_new(ms, &answer_ops);
    gs_fsm_move(&ms->fsm, MS_OPEN);
    peer = m->calls->begin(m->calls, &c->side, &h);
    if (!c->over)
        c->peer = peer;
}

/* ---- client ---- */

static void
ask_reset(struct side *to, enum reason why)
{
    struct mux_call *c = call_of(to);

    (void)why;
    c->peer = NULL;
    stream_abort(stream_of(c));
}

static size_t
ask_room(struct side *to)
{
    (void)to;
    return 0; /* a GET has no body */
}

static void
ask_head(struct side *to, struct head *h)
{
    (void)to;
    (void)h;
    GS_UNREACHABLE("the head of a call goes by mux_ask");
}

static void
ask_data(struct side *to, struct gs_slice bytes)
{
    (void)to;
    (void)bytes;
    GS_UNREACHABLE("a call has no body");
}

static void
ask_end(struct side *to)
{
    (void)to; /* it has ended when it was asked */
}

static const struct side_ops ask_ops = { ask_head,  ask_data, answer_trailers, ask_end,
                                         ask_reset, ask_room, answer_resume };

struct side *
mux_ask(struct mux *m, struct gs_slice authority, struct gs_slice path, struct side *reply)
{
    struct mux_stream *ms = mux_wire_ask(m, authority, path);
    struct mux_call *c;

    if (!ms)
        return NULL;
    c = call_new(ms, &ask_ops);
    c->peer = reply;
    c->came_over = true;
    ms->shut_asked = true;
    return &c->side;
}

void
mux_call_answer(struct mux_stream *ms)
{
    struct mux_call *c = ms->call;
    struct mux_head *from = ms->head;
    struct head h = { .status = from->status,
                      .minor = 1,
                      .keep_alive = true,
                      .framing = FRAMING_CHUNKED,
                      .fields = from->fields,
                      .count = from->count };

    if (!gs_fsm_is(&ms->fsm, MS_OPENING))
        return;
    gs_fsm_move(&ms->fsm, MS_OPEN);
    GS_ASSERT(!c->headed);
    c->headed = true;
    for (size_t i = 0; i < h.count; i++)
        from->fields[i].id = field_id_of(from->fields[i].name);
    if (c->peer)
        c->peer->ops->head(c->peer, &h);
}
