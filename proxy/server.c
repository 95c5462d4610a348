/* server.c - one HTTP/1.x connection of a client: reads requests one after another, hands each to
 * the handler as one end of an exchange, and writes its answer.
 *
 *      ┌──────────────── both over, kept ────────────────┐
 *      ▼                                                 │
 *    IDLE ──byte──▶ HEAD ──judged──▶ BUSY ───────────────┤
 *      │             │ refused         │ not kept, or    │
 *      │ idle, FIN   ▼                 ▼ refused         │
 *      └─────────▶ LINGER (answer sent, FIN sent; input is dropped until the client closes)
 *                    └──▶ CLOSING ◀── client left, cut answers (RST)
 *
 * While BUSY the request and the answer each have their own progress; either may end first. The
 * handler resets the answer with REASON_NONE to say that it wants no more of the request (before
 * the head if it can, so that the answer says that the connection closes). */
#include <gossamer/http.h>

#include <stdio.h>

#include <gossamer/alloc.h>
#include <gossamer/fsm.h>
#include <gossamer/h1.h>
#include <gossamer/limits.h>

#include "proxy/body_writer.h"

enum conn_state { CONN_IDLE, CONN_HEAD, CONN_BUSY, CONN_LINGER, CONN_CLOSING, CONN_STATES };

static const char *const conn_names[] = { "idle", "head", "busy", "linger", "closing" };
static const uint32_t conn_moves[] = {
    [CONN_IDLE] = GS_FSM_BIT(CONN_HEAD) | GS_FSM_BIT(CONN_LINGER) | GS_FSM_BIT(CONN_CLOSING),
    [CONN_HEAD] = GS_FSM_BIT(CONN_BUSY) | GS_FSM_BIT(CONN_LINGER) | GS_FSM_BIT(CONN_CLOSING),
    [CONN_BUSY] = GS_FSM_BIT(CONN_IDLE) | GS_FSM_BIT(CONN_LINGER) | GS_FSM_BIT(CONN_CLOSING),
    [CONN_LINGER] = GS_FSM_BIT(CONN_CLOSING),
    [CONN_CLOSING] = 0,
};
static const struct gs_fsm_def conn_fsm = { "server_conn", conn_names, conn_moves, CONN_STATES };

enum answer_state { ANSWER_AWAITED, ANSWER_STREAMING, ANSWER_OVER };

struct server_conn {
    struct side answer;   /* where the handler writes */
    struct side *request; /* the handler's; NULL when it wants no more */
    struct stream *stream;
    struct gs_loop *loop;
    const struct http_server_options *opts;
    struct gs_list link;   /* of all connections, for drain */
    struct gs_timer timer; /* idle, head, body or linger, by state */
    struct gs_defer next;  /* continue with `rest` */
    struct gs_grave grave;
    struct gs_buf rest; /* bytes of the next request, read with this one */
    uint64_t input_ms;  /* when the client last sent something */
    uint64_t sent_mark; /* stream->sent when the stall timer was armed */
    uint32_t linger_bytes;
    struct gs_fsm fsm;
    uint8_t answer_state;
    uint8_t minor; /* of the request */
    bool request_over;
    bool keep; /* this connection outlives this answer */
    bool draining;
    struct body_writer body; /* the answer's */
    bool awaits_100;         /* the client holds its body back until it is asked for */
    bool unwanted;           /* nobody takes the rest of the request */
    bool feeding;            /* inside h1_feed */
    struct h1 codec;
};

static void conn_feed(struct server_conn *c, struct gs_slice bytes);
static void watch_reader(struct server_conn *c);

static struct server_conn *
conn_of(const struct side *answer)
{
    return GS_CONTAINER((struct side *)(uintptr_t)answer, struct server_conn, answer);
}

static void
conn_arm(struct server_conn *c, uint64_t ms)
{
    if (ms > 0)
        gs_loop_arm(c->loop, &c->timer, ms);
    else
        gs_loop_disarm(c->loop, &c->timer);
}

/* The handler is told once that its request never becomes whole. */
static void
request_reset(struct server_conn *c, enum reason why)
{
    struct side *r = c->request;

    c->request = NULL;
    c->unwanted = true;
    c->keep = false;
    if (r)
        r->ops->reset(r, why);
}

static void
conn_close(struct server_conn *c, enum reason why, bool abort)
{
    if (gs_fsm_is(&c->fsm, CONN_CLOSING))
        return;
    gs_fsm_move(&c->fsm, CONN_CLOSING);
    gs_loop_disarm(c->loop, &c->timer);
    gs_defer_cancel(&c->next);
    request_reset(c, why);
    if (abort)
        stream_abort(c->stream);
    else
        stream_close(c->stream);
}

/* The last answer is out: send FIN behind it and drop what still comes, since closing over unread
 * input would reset the connection and take the answer with it. */
static void
conn_linger(struct server_conn *c)
{
    GS_ASSERT(!c->stream->closing);
    gs_fsm_move(&c->fsm, CONN_LINGER);
    request_reset(c, REASON_NONE);
    c->linger_bytes = 0;
    c->sent_mark = c->stream->sent;
    stream_shutdown(c->stream);
    stream_resume(c->stream);
    c->input_ms = c->loop->now_ms;
    conn_arm(c, LINGER_MS);
}

/* Between two requests: the next one, when there is room for its answer. */
static void
conn_continue(struct server_conn *c)
{
    if (stream_room(c->stream) == 0)
        return; /* sink_drained comes back here */
    if (c->rest.len > 0)
        gs_loop_defer(c->loop, &c->next);
    else
        stream_resume(c->stream);
}

/* Both directions of an exchange may have ended now. */
static void
exchange_over(struct server_conn *c)
{
    if (!gs_fsm_is(&c->fsm, CONN_BUSY) || c->answer_state != ANSWER_OVER)
        return;
    if (!c->request_over) {
        if (c->unwanted)
            conn_linger(c);
        return;
    }
    c->request = NULL;
    GS_ASSERT(!c->unwanted || !c->keep);
    if (!c->keep || c->draining) {
        conn_linger(c);
        return;
    }
    if (c->feeding) /* the codec is not through with this message: conn_feed calls again */
        return;
    gs_fsm_move(&c->fsm, CONN_IDLE);
    h1_next(&c->codec);
    c->sent_mark = c->stream->sent;
    conn_arm(c, c->opts->idle_ms);
    conn_continue(c);
}

/* ---- the request, from the codec ---- */

static void
on_head(void *sink, struct head *h)
{
    struct server_conn *c = sink;
    struct http_handler *handler = c->opts->handler;
    struct side *r;

    GS_ASSERT(!c->request); /* one at a time */
    gs_fsm_move(&c->fsm, CONN_BUSY);
    c->minor = h->minor;
    c->keep = h->keep_alive && !c->draining;
    c->answer_state = ANSWER_AWAITED;
    c->request_over = false;
    c->unwanted = false;
    c->awaits_100 = h->expects_100;
    c->input_ms = c->loop->now_ms;
    if (h->framing != FRAMING_NONE)
        conn_arm(c, c->opts->body_idle_ms);
    else
        gs_loop_disarm(c->loop, &c->timer);
    r = handler->begin(handler, &c->answer, h);
    c->request = c->unwanted ? NULL : r;
}

static void
on_data(void *sink, struct gs_slice bytes)
{
    struct server_conn *c = sink;

    GS_ASSERT(!c->request_over);
    GS_ASSERT(bytes.len > 0);
    c->input_ms = c->loop->now_ms;
    c->awaits_100 = false;
    if (c->request)
        c->request->ops->data(c->request, bytes);
}

static void
on_trailers(void *sink, struct head *t)
{
    struct server_conn *c = sink;

    if (c->request)
        c->request->ops->trailers(c->request, t);
}

static void
on_end(void *sink)
{
    struct server_conn *c = sink;

    GS_ASSERT(!c->request_over);
    c->request_over = true;
    if (gs_fsm_is(&c->fsm, CONN_BUSY))
        gs_loop_disarm(c->loop, &c->timer);
    if (c->request)
        c->request->ops->end(c->request);
    if (gs_fsm_is(&c->fsm, CONN_BUSY))
        watch_reader(c); /* its answer may have been waiting for it already */
}

static const struct h1_sink_ops codec_ops = { on_head, on_data, on_trailers, on_end };

/* ---- answers of our own ---- */

/* The bytes are no request: say which rule they broke, and close. */
static void
conn_refuse(struct server_conn *c, enum reason r, const char *details)
{
    if (c->opts->handler->refused)
        c->opts->handler->refused(c->opts->handler, r);
    if (gs_fsm_is(&c->fsm, CONN_IDLE))
        gs_fsm_move(&c->fsm, CONN_HEAD);
    c->keep = false;
    c->minor = 1;
    c->answer_state = ANSWER_AWAITED;
    answer_own(&c->answer, &(struct own_answer){ .reason = r,
                                                 .details = details,
                                                 .via = c->opts->via,
                                                 .outcome = c->opts->refused_outcome });
    conn_linger(c);
}

/* ---- the answer, from the handler ---- */

static void
answer_head(struct side *to, struct head *h)
{
    struct server_conn *c = conn_of(to);
    struct gs_buf *out = h1_pool_buf(c->opts->pool);
    enum framing framing = h->framing;

    GS_ASSERT(c->answer_state == ANSWER_AWAITED);
    if (c->awaits_100) {
        c->awaits_100 = false;
        c->input_ms = c->loop->now_ms;
    }
    if (h->status < 200 && c->minor == 0)
        return; /* HTTP/1.0 knows no interim answers */
    c->body = (struct body_writer){ 0 };
    if (framing == FRAMING_CHUNKED || framing == FRAMING_CLOSE) {
        c->body.chunked = c->minor >= 1;
        framing = c->body.chunked ? FRAMING_CHUNKED : FRAMING_CLOSE;
    }
    if (framing == FRAMING_CLOSE || c->draining || h->close_after)
        c->keep = false;
    h1_write_answer(out, h, c->minor, c->keep, framing, GS_SLICE(""));
    GS_ASSERT(!out->failed);
    stream_write_slice(c->stream, gs_buf_slice(out));
    if (h->status >= 200)
        c->answer_state = ANSWER_STREAMING;
}

/* While output waits for a slow reader, see to it that it reads at all. */
static void
watch_reader(struct server_conn *c)
{
    if (c->stream->queue.bytes == 0 || !c->request_over || gs_timer_armed(&c->timer))
        return;
    c->sent_mark = c->stream->sent;
    conn_arm(c, c->opts->body_idle_ms);
}

static void
answer_data(struct side *to, struct gs_slice bytes)
{
    struct server_conn *c = conn_of(to);

    GS_ASSERT(c->answer_state == ANSWER_STREAMING);
    body_writer_data(&c->body, c->stream, bytes);
    watch_reader(c);
}

static void
answer_trailers(struct side *to, struct head *t)
{
    struct server_conn *c = conn_of(to);

    GS_ASSERT(c->answer_state == ANSWER_STREAMING);
    body_writer_trailers(&c->body, c->stream, c->opts->pool, t);
}

static void
answer_end(struct side *to)
{
    struct server_conn *c = conn_of(to);

    GS_ASSERT(c->answer_state == ANSWER_STREAMING);
    body_writer_end(&c->body, c->stream);
    c->answer_state = ANSWER_OVER;
    exchange_over(c);
}

static void
answer_reset(struct side *to, enum reason why)
{
    struct server_conn *c = conn_of(to);

    c->request = NULL;
    c->unwanted = true;
    c->keep = false;
    if (why == REASON_NONE) /* the rest of the request is not wanted */
        exchange_over(c);
    else
        conn_close(c, why, true); /* RST: a cut answer must not look complete */
}

static size_t
answer_room(struct side *to)
{
    return stream_room(conn_of(to)->stream);
}

static void
answer_resume(struct side *to)
{
    stream_resume(conn_of(to)->stream);
}

static const struct side_ops answer_ops = { answer_head,  answer_data, answer_trailers, answer_end,
                                            answer_reset, answer_room, answer_resume };

/* ---- the stream ---- */

static size_t
sink_room(void *sink)
{
    struct server_conn *c = sink;

    switch ((enum conn_state)c->fsm.state) {
    case CONN_IDLE:
    case CONN_HEAD:
        /* Answers of our own need no upstream's room: a client that does not read is not read. */
        return c->rest.len > 0 || stream_room(c->stream) == 0 ? 0 : STREAM_HIGH_BYTES;
    case CONN_BUSY:
        if (c->request_over || !c->request)
            return 0;
        return c->request->ops->room(c->request);
    case CONN_LINGER:
        return LOOP_SCRATCH_BYTES;
    default:
        return 0;
    }
}

static void
linger_input(struct server_conn *c, size_t bytes)
{
    c->linger_bytes += (uint32_t)bytes;
    if (c->linger_bytes > LINGER_BYTES)
        conn_close(c, REASON_NONE, true);
}

/* Keep what follows a whole request for when its answer is out. */
static void
keep_rest(struct server_conn *c, struct gs_slice rest)
{
    GS_ASSERT(c->rest.len == 0);
    gs_buf_init(&c->rest, LOOP_SCRATCH_BYTES);
    if (rest.len > 0)
        GS_ASSERT(gs_buf_put_slice(&c->rest, rest) == GS_E_OK);
}

static void
conn_feed(struct server_conn *c, struct gs_slice bytes)
{
    struct gs_why why = { "" };
    enum reason r;
    size_t used = 0;

    bool first = gs_fsm_is(&c->fsm, CONN_IDLE);

    if (first)
        gs_fsm_move(&c->fsm, CONN_HEAD);
    c->feeding = true;
    r = h1_feed(&c->codec, bytes, &used, &why);
    c->feeding = false;
    if (gs_fsm_is(&c->fsm, CONN_CLOSING))
        return;
    if (gs_fsm_is(&c->fsm, CONN_LINGER)) {
        linger_input(c, bytes.len - used);
        return;
    }
    if (r != REASON_NONE) {
        if (gs_fsm_is(&c->fsm, CONN_HEAD))
            conn_refuse(c, r, why.text);
        else if (c->answer_state == ANSWER_AWAITED && c->request)
            request_reset(c, r); /* the handler answers by the reason */
        else
            conn_close(c, r, true);
        return;
    }
    if (gs_fsm_is(&c->fsm, CONN_HEAD)) { /* most heads come whole and need no timer */
        if (first)
            conn_arm(c, c->opts->head_ms);
        return;
    }
    if (used < bytes.len)
        keep_rest(c, gs_slice_from(bytes, used));
    exchange_over(c);
}

static void
feed_rest(struct gs_defer *d)
{
    struct server_conn *c = GS_CONTAINER(d, struct server_conn, next);
    struct gs_buf rest = c->rest;

    if (!gs_fsm_is(&c->fsm, CONN_IDLE))
        return;
    GS_ASSERT(rest.len > 0);
    c->rest = (struct gs_buf){ 0 };
    conn_feed(c, gs_buf_slice(&rest));
    gs_buf_fini(&rest);
    stream_resume(c->stream); /* it may have been paused for want of room beside `rest` */
}

static void
sink_data(void *sink, struct gs_slice bytes)
{
    struct server_conn *c = sink;

    if (gs_fsm_is(&c->fsm, CONN_LINGER))
        linger_input(c, bytes.len);
    else
        conn_feed(c, bytes);
}

static void
sink_ended(void *sink, enum stream_end how)
{
    struct server_conn *c = sink;

    if (gs_fsm_is(&c->fsm, CONN_HEAD) && c->opts->handler->refused)
        c->opts->handler->refused(c->opts->handler, REASON_CLIENT_LEFT);
    /* A client that half-closes is taken to have left, as Envoy and nginx do: the answer it no
     * longer waits for may be costly. */
    conn_close(c, REASON_CLIENT_LEFT,
               how != STREAM_EOF || c->stream->queue.bytes > 0 || gs_fsm_is(&c->fsm, CONN_BUSY));
}

static void
sink_drained(void *sink)
{
    struct server_conn *c = sink;

    if (c->request)
        c->request->ops->resume(c->request);
    else if (gs_fsm_is(&c->fsm, CONN_IDLE))
        conn_continue(c);
    else if (gs_fsm_is(&c->fsm, CONN_HEAD))
        stream_resume(c->stream);
}

static void
bury(struct gs_grave *g)
{
    struct server_conn *c = GS_CONTAINER(g, struct server_conn, grave);

    h1_fini(&c->codec);
    gs_buf_fini(&c->rest);
    gs_free(c);
}

static void
sink_closed(void *sink)
{
    struct server_conn *c = sink;

    GS_ASSERT(gs_fsm_is(&c->fsm, CONN_CLOSING));
    gs_list_remove(&c->link);
    if (c->opts->handler->conn_closed)
        c->opts->handler->conn_closed(c->opts->handler);
    gs_loop_bury(c->loop, &c->grave, bury);
}

static const struct stream_sink_ops sink_ops = { sink_room,    sink_data, sink_ended,
                                                 sink_drained, NULL,      sink_closed };

/* ---- timers ---- */

/* The request is whole and its answer is being read, or should be. */
static void
reader_timer(struct server_conn *c)
{
    if (c->stream->queue.bytes == 0)
        return; /* it caught up; watch_reader arms again when it falls behind */
    if (c->stream->sent == c->sent_mark) {
        conn_close(c, REASON_CLIENT_STALLED, true);
        return;
    }
    c->sent_mark = c->stream->sent;
    conn_arm(c, c->opts->body_idle_ms ? c->opts->body_idle_ms : LINGER_MS);
}

static void
body_timer(struct server_conn *c)
{
    uint64_t idle = c->loop->now_ms - c->input_ms;
    enum reason why = REASON_BODY_TIMEOUT;

    if (c->request_over) {
        reader_timer(c);
        return;
    }
    if (c->awaits_100)
        idle = 0;
    if (idle < c->opts->body_idle_ms) {
        conn_arm(c, c->opts->body_idle_ms - idle);
        return;
    }
    /* Without room it is the instance that does not read. */
    if (c->request && c->request->ops->room(c->request) == 0)
        why = REASON_RESPONSE_TIMEOUT;
    if (c->answer_state == ANSWER_AWAITED)
        request_reset(c, why);
    else
        conn_close(c, why, true);
}

/* Nothing is under way, but the end of an answer may still be: closing would drop it. */
static void
rest_timer(struct server_conn *c)
{
    if (c->stream->queue.bytes == 0) {
        conn_close(c, REASON_IDLE, false);
        return;
    }
    if (c->stream->sent != c->sent_mark)
        c->input_ms = c->loop->now_ms;
    else if (c->loop->now_ms - c->input_ms >= c->opts->body_idle_ms) {
        conn_close(c, REASON_CLIENT_STALLED, true);
        return;
    }
    c->sent_mark = c->stream->sent;
    conn_arm(c, LINGER_MS);
}

static void
on_timer(struct gs_timer *t)
{
    struct server_conn *c = GS_CONTAINER(t, struct server_conn, timer);

    switch ((enum conn_state)c->fsm.state) {
    case CONN_IDLE:
    case CONN_LINGER:
        rest_timer(c);
        break;
    case CONN_HEAD:
        conn_refuse(c, REASON_HEAD_TIMEOUT, NULL);
        break;
    case CONN_BUSY:
        body_timer(c);
        break;
    default:
        break;
    }
}

/* ---- life ---- */

static struct server_conn *
conn_new(struct gs_loop *loop, const struct http_server_options *opts, struct gs_list *conns)
{
    struct server_conn *c = gs_zalloc(sizeof(*c));

    GS_ASSERT(opts->handler);
    GS_ASSERT(opts->pool);
    c->answer.ops = &answer_ops;
    c->loop = loop;
    c->opts = opts;
    gs_fsm_init(&c->fsm, &conn_fsm, CONN_IDLE);
    gs_timer_init(&c->timer, on_timer);
    gs_defer_init(&c->next, feed_rest);
    gs_list_init(&c->grave.link);
    gs_list_init(&c->link);
    gs_list_push_back(conns, &c->link);
    h1_init(&c->codec, H1_REQUESTS, opts->pool, &codec_ops, c);
    conn_arm(c, opts->head_ms ? opts->head_ms : opts->idle_ms);
    return c;
}

struct server_conn *
server_accept(struct gs_loop *loop, int fd, const struct http_server_options *opts,
              struct gs_list *conns)
{
    struct server_conn *c = conn_new(loop, opts, conns);

    c->stream = stream_tcp_accept(loop, fd, &sink_ops, c);
    if (c->stream)
        return c;
    gs_list_remove(&c->link);
    gs_loop_disarm(loop, &c->timer);
    h1_fini(&c->codec);
    gs_free(c);
    return NULL;
}

struct server_conn *
server_serve(struct stream *s, const struct http_server_options *opts, struct gs_list *conns)
{
    struct server_conn *c = conn_new(s->loop, opts, conns);

    c->stream = s;
    stream_attach(s, &sink_ops, c);
    return c;
}

void
server_conn_drain(struct gs_list *link)
{
    struct server_conn *c = GS_LIST_ENTRY(link, struct server_conn, link);

    c->draining = true;
    if (c->opts->client_drains) {
        if (gs_fsm_is(&c->fsm, CONN_IDLE))
            conn_arm(c, DRAIN_PEER_MS);
        return;
    }
    if (!gs_fsm_is(&c->fsm, CONN_IDLE) || c->rest.len > 0 || stream_stale(c->stream))
        return; /* its next request has come already and is served as the last */
    if (c->stream->queue.bytes > 0)
        conn_linger(c); /* an answer is still going out */
    else if (c->opts->drain_idle_ms > 0)
        conn_arm(c, c->opts->drain_idle_ms);
    else
        conn_close(c, REASON_DRAINING, false);
}

void
server_conn_abort(struct gs_list *link)
{
    conn_close(GS_LIST_ENTRY(link, struct server_conn, link), REASON_DRAINING, true);
}
