/* client.c - one HTTP/1.1 connection to an instance, or a stream of the mesh to one.
 *
 *   CONNECTING ──▶ IDLE ◀──────────── both over, kept ─────────────┐
 *        │           │ client_take ─▶ TAKEN ─▶ client_send ─▶ BUSY ─┤
 *        │           │ FIN, any byte                            │  │ not kept, cut, reset
 *        └───────────┴────────────────▶ CLOSING ◀───────────────┴──┘
 *
 * The answer may end before the request: then the request goes on if the connection is kept, else
 * the exchange is told by reset(REASON_NONE) that no more of it is wanted. */
#include <gossamer/alloc.h>
#include <gossamer/fsm.h>

#include "proxy/body_writer.h"
#include "proxy/mesh.h"
#include "proxy/pool.h"

enum client_state {
    CLIENT_CONNECTING,
    CLIENT_IDLE,
    CLIENT_TAKEN,
    CLIENT_BUSY,
    CLIENT_CLOSING,
    CLIENT_STATES
};

static const char *const client_names[] = { "connecting", "idle", "taken", "busy", "closing" };
static const uint32_t client_moves[] = {
    [CLIENT_CONNECTING] = GS_FSM_BIT(CLIENT_TAKEN) | GS_FSM_BIT(CLIENT_CLOSING),
    [CLIENT_IDLE] = GS_FSM_BIT(CLIENT_TAKEN) | GS_FSM_BIT(CLIENT_CLOSING),
    [CLIENT_TAKEN] = GS_FSM_BIT(CLIENT_BUSY) | GS_FSM_BIT(CLIENT_IDLE) | GS_FSM_BIT(CLIENT_CLOSING),
    [CLIENT_BUSY] = GS_FSM_BIT(CLIENT_TAKEN) | GS_FSM_BIT(CLIENT_CLOSING),
    [CLIENT_CLOSING] = 0,
};
static const struct gs_fsm_def client_fsm = { "client_conn", client_names, client_moves,
                                              CLIENT_STATES };

struct client_conn {
    struct side request; /* what the exchange writes to */
    struct side *reply;  /* the exchange's; NULL when nobody listens */
    struct stream *stream;
    struct pool *pool;
    struct pool_queue *queue;
    struct gs_list by_endpoint, by_age; /* pool.c's, while idle */
    struct gs_timer timer;              /* connect */
    struct gs_grave grave;
    uint64_t idle_since_ms;
    uint64_t wrote_before; /* bytes that were written before this request */
    struct gs_fsm fsm;
    bool reused;             /* it has carried an exchange before */
    struct body_writer body; /* the request's */
    bool request_over, answer_over;
    bool keep;     /* the instance keeps the connection */
    bool bodyless; /* the answer told a length without a body: a broken instance sends it late */
    bool headed;   /* the final head has come */
    bool heard;    /* some byte of the answer has */
    bool mesh;     /* its far end is a node of ours */
    struct h1 codec;
};

static struct client_conn *
conn_of(struct side *request)
{
    return GS_CONTAINER(request, struct client_conn, request);
}

static struct gs_loop *
loop_of(const struct client_conn *c)
{
    return pool_worker(c->pool)->loop;
}

void
client_close(struct client_conn *c)
{
    bool busy = gs_fsm_is(&c->fsm, CLIENT_BUSY) && !(c->request_over && c->answer_over);

    if (gs_fsm_is(&c->fsm, CLIENT_CLOSING))
        return;
    gs_fsm_move(&c->fsm, CLIENT_CLOSING);
    gs_loop_disarm(loop_of(c), &c->timer);
    c->reply = NULL;
    /* Between nodes a request that is not whole must not look as if it were. */
    if (busy && c->mesh)
        stream_abort(c->stream);
    else
        stream_close(c->stream);
}

/* The answer cannot become whole: tell the exchange, which may try elsewhere. */
static void
client_fail(struct client_conn *c, enum reason why)
{
    struct side *reply = c->reply;
    bool answered = c->answer_over;

    GS_ASSERT(gs_fsm_is(&c->fsm, CLIENT_BUSY));
    GS_ASSERT(answered || why != REASON_NONE);
    client_close(c);
    if (reply)
        reply->ops->reset(reply, answered ? REASON_NONE : why);
}

/* Either direction has ended now. */
static void
client_progress(struct client_conn *c)
{
    if (!gs_fsm_is(&c->fsm, CLIENT_BUSY) || !c->answer_over)
        return;
    if (!c->request_over) {
        if (!c->keep)
            client_fail(c, REASON_NONE);
        return;
    }
    c->reply = NULL;
    if (!c->keep) {
        client_close(c);
        return;
    }
    GS_ASSERT(c->request_over && c->answer_over);
    GS_ASSERT(c->stream->queue.bytes == 0 || c->mesh || !c->stream->closing);
    gs_fsm_move(&c->fsm, CLIENT_TAKEN);
    h1_next(&c->codec);
    c->reused = true;
    c->idle_since_ms = loop_of(c)->now_ms;
    pool_released(c->pool, c, c->queue);
}

/* ---- the answer, from the codec ---- */

static void
on_head(void *sink, struct head *h)
{
    struct client_conn *c = sink;

    if (h->status >= 200) {
        c->headed = true;
        c->keep = h->keep_alive;
        c->bodyless = h->framing == FRAMING_NONE && h->has_length;
    }
    if (c->reply)
        c->reply->ops->head(c->reply, h);
}

static void
on_data(void *sink, struct gs_slice bytes)
{
    struct client_conn *c = sink;

    if (c->reply)
        c->reply->ops->data(c->reply, bytes);
}

static void
on_trailers(void *sink, struct head *t)
{
    struct client_conn *c = sink;

    if (c->reply)
        c->reply->ops->trailers(c->reply, t);
}

static void
on_end(void *sink)
{
    struct client_conn *c = sink;

    GS_ASSERT(!c->answer_over);
    GS_ASSERT(c->headed);
    c->answer_over = true;
    if (c->reply)
        c->reply->ops->end(c->reply);
}

static const struct h1_sink_ops codec_ops = { on_head, on_data, on_trailers, on_end };

/* ---- the request, from the exchange ---- */

static void
request_head(struct side *to, struct head *h)
{
    (void)to;
    (void)h;
    GS_UNREACHABLE("a request's head goes by client_send");
}

static void
request_data(struct side *to, struct gs_slice bytes)
{
    struct client_conn *c = conn_of(to);

    GS_ASSERT(!c->request_over);
    body_writer_data(&c->body, c->stream, bytes);
}

static void
request_trailers(struct side *to, struct head *t)
{
    struct client_conn *c = conn_of(to);

    GS_ASSERT(!c->request_over);
    body_writer_trailers(&c->body, c->stream, pool_worker(c->pool)->h1, t);
}

static void
request_end(struct side *to)
{
    struct client_conn *c = conn_of(to);

    GS_ASSERT(!c->request_over);
    body_writer_end(&c->body, c->stream);
    c->request_over = true;
    client_progress(c);
}

/* The exchange gives up. What was asked may still be under way there, so the connection goes. */
static void
request_reset(struct side *to, enum reason why)
{
    struct client_conn *c = conn_of(to);

    (void)why;
    c->reply = NULL;
    client_close(c);
}

static size_t
request_room(struct side *to)
{
    return stream_room(conn_of(to)->stream);
}

static void
request_resume(struct side *to)
{
    stream_resume(conn_of(to)->stream);
}

static const struct side_ops request_ops = { request_head,  request_data,  request_trailers,
                                             request_end,   request_reset, request_room,
                                             request_resume };

struct side *
client_send(struct client_conn *c, struct gs_slice head, const struct client_request *what,
            struct side *reply)
{
    GS_ASSERT(!c->reply);
    GS_ASSERT(head.len > 0);
    gs_fsm_move(&c->fsm, CLIENT_BUSY);
    c->reply = reply;
    c->wrote_before = c->stream->sent + c->stream->queue.bytes;
    c->body = (struct body_writer){ .chunked = what->chunked };
    c->request_over = c->answer_over = false;
    c->keep = c->headed = c->heard = false;
    h1_expect(&c->codec, what->is_head);
    stream_write_slice(c->stream, head);
    return &c->request;
}

bool
client_heard(struct side *request)
{
    GS_ASSERT(request->ops == &request_ops);
    return conn_of(request)->heard;
}

bool
client_is_mesh(const struct client_conn *c)
{
    return c->mesh;
}

bool
client_reused(const struct client_conn *c)
{
    return c->reused;
}

/* ---- the stream ---- */

static size_t
sink_room(void *sink)
{
    struct client_conn *c = sink;

    if (gs_fsm_is(&c->fsm, CLIENT_BUSY) && c->reply)
        return c->reply->ops->room(c->reply);
    return 1; /* idle: an end or an unasked byte is news, and the end of it */
}

static void
sink_data(void *sink, struct gs_slice bytes)
{
    struct client_conn *c = sink;
    struct gs_why why = { "" };
    size_t used = 0;
    enum reason r;

    if (!gs_fsm_is(&c->fsm, CLIENT_BUSY)) {
        if (gs_fsm_is(&c->fsm, CLIENT_IDLE))
            pool_idle_gone(c->pool, c, c->queue);
        client_close(c);
        return;
    }
    if (c->answer_over) { /* bytes behind the answer */
        client_fail(c, REASON_NONE);
        return;
    }
    c->heard = true;
    r = h1_feed(&c->codec, bytes, &used, &why);
    if (gs_fsm_is(&c->fsm, CLIENT_CLOSING))
        return;
    if (r != REASON_NONE) {
        client_fail(c, r);
        return;
    }
    if (used < bytes.len)
        c->keep = false;
    client_progress(c);
}

static void
connect_over(struct client_conn *c, enum reason why)
{
    struct pool *p = c->pool;
    struct pool_queue *q = c->queue;

    client_close(c);
    pool_connect_failed(p, q, why);
}

/* Why a connection could not be had: another node says more than the kernel. */
static enum reason
refusal_of(const struct client_conn *c)
{
    struct mux_refusal r = { 0 };

    if (c->mesh)
        r = mux_stream_refusal(c->stream);
    if (r.status == 421)
        return REASON_MISDIRECTED;
    return r.status > 0 ? REASON_PEER_REFUSED : REASON_CONNECT_REFUSED;
}

static enum reason
why_cut(const struct client_conn *c)
{
    if (c->headed)
        return REASON_UPSTREAM_CUT;
    if (c->heard)
        return REASON_UPSTREAM_BROKE;
    return stream_was_unread(c->stream, c->wrote_before) ? REASON_UPSTREAM_UNREAD
                                                         : REASON_UPSTREAM_CLOSED;
}

static void
sink_ended(void *sink, enum stream_end how)
{
    struct client_conn *c = sink;
    struct gs_why why = { "" };

    switch ((enum client_state)c->fsm.state) {
    case CLIENT_CONNECTING:
        connect_over(c, refusal_of(c));
        return;
    case CLIENT_IDLE:
        pool_idle_gone(c->pool, c, c->queue);
        client_close(c);
        return;
    case CLIENT_BUSY:
        c->keep = false;
        if (how == STREAM_EOF)
            (void)h1_feed_eof(&c->codec, &why); /* ends an answer that lasts until the close */
        if (gs_fsm_is(&c->fsm, CLIENT_CLOSING))
            return;
        if (c->answer_over)
            client_progress(c);
        else
            client_fail(c, why_cut(c));
        return;
    default:
        client_close(c);
    }
}

static void
sink_drained(void *sink)
{
    struct client_conn *c = sink;

    if (c->reply)
        c->reply->ops->resume(c->reply);
}

static void
sink_connected(void *sink)
{
    struct client_conn *c = sink;

    gs_loop_disarm(loop_of(c), &c->timer);
    gs_fsm_move(&c->fsm, CLIENT_TAKEN);
    c->idle_since_ms = loop_of(c)->now_ms;
    pool_connected(c->pool, c, c->queue);
}

static void
bury(struct gs_grave *g)
{
    struct client_conn *c = GS_CONTAINER(g, struct client_conn, grave);

    h1_fini(&c->codec);
    gs_free(c);
}

static void
sink_closed(void *sink)
{
    struct client_conn *c = sink;

    GS_ASSERT(gs_fsm_is(&c->fsm, CLIENT_CLOSING));
    GS_ASSERT(!gs_list_linked(&c->by_endpoint));
    pool_conn_gone(c->pool, c->queue);
    gs_loop_bury(loop_of(c), &c->grave, bury);
}

static const struct stream_sink_ops sink_ops = { sink_room,    sink_data,      sink_ended,
                                                 sink_drained, sink_connected, sink_closed };

static void
on_connect_timer(struct gs_timer *t)
{
    connect_over(GS_CONTAINER(t, struct client_conn, timer), REASON_CONNECT_TIMEOUT);
}

static struct stream *
open_stream(struct client_conn *c)
{
    struct worker *w = pool_worker(c->pool);
    struct endpoint_state *at = c->queue->at;
    char authority[GS_ADDR_TEXT];
    struct mesh_target to = { .caller = c->queue->caller,
                              .node = at->owner,
                              .mesh = at->mesh,
                              .service = gs_slice_str(at->service) };

    if (!at->remote)
        return stream_tcp_connect(w->loop, &at->addr, &sink_ops, c);
    to.authority = gs_slice_str(gs_addr_text(&at->addr, authority));
    return mesh_out_open(w->mesh_out, &to, &sink_ops, c);
}

struct client_conn *
client_connect(struct pool *p, struct pool_queue *q)
{
    struct client_conn *c = gs_zalloc(sizeof(*c));
    struct worker *w = pool_worker(p);

    c->request.ops = &request_ops;
    c->pool = p;
    c->queue = q;
    GS_ASSERT(q->at->remote || q->caller == 0);
    c->mesh = q->at->remote;
    gs_list_init(&c->by_endpoint);
    gs_list_init(&c->by_age);
    gs_list_init(&c->grave.link);
    gs_timer_init(&c->timer, on_connect_timer);
    gs_fsm_init(&c->fsm, &client_fsm, CLIENT_CONNECTING);
    h1_init(&c->codec, H1_ANSWERS, w->h1, &codec_ops, c);
    c->stream = open_stream(c);
    if (!c->stream) {
        h1_fini(&c->codec);
        gs_free(c);
        return NULL;
    }
    if (w->root->timeouts.connect_ms > 0)
        gs_loop_arm(w->loop, &c->timer, w->root->timeouts.connect_ms);
    return c;
}

/* ---- for the pool ---- */

struct gs_list *
client_by_endpoint(struct client_conn *c)
{
    return &c->by_endpoint;
}

struct gs_list *
client_by_age(struct client_conn *c)
{
    return &c->by_age;
}

struct client_conn *
client_from_endpoint(struct gs_list *link)
{
    return GS_LIST_ENTRY(link, struct client_conn, by_endpoint);
}

struct client_conn *
client_from_age(struct gs_list *link)
{
    return GS_LIST_ENTRY(link, struct client_conn, by_age);
}

uint64_t
client_idle_since_ms(const struct client_conn *c)
{
    return c->idle_since_ms;
}

bool
client_stale(struct client_conn *c)
{
    return stream_stale(c->stream);
}

bool
client_doubtful(const struct client_conn *c)
{
    return c->bodyless;
}

void
client_take(struct client_conn *c)
{
    gs_fsm_move(&c->fsm, CLIENT_TAKEN);
}

void
client_park(struct client_conn *c)
{
    GS_ASSERT(!c->reply);
    GS_ASSERT(!c->stream->closing);
    gs_fsm_move(&c->fsm, CLIENT_IDLE);
}

struct pool_queue *
client_queue(const struct client_conn *c)
{
    return c->queue;
}
