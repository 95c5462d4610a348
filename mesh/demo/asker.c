/* asker.c - connections, each with at most one question at a time.
 *
 *     CONNECTING ──connected──▶ ASKED ──answer whole, kept──▶ IDLE ──▶ ASKED
 *         │                       │                            │
 *         └── refused, cut, late, bad or not to be kept ───────┴──▶ CLOSING
 *
 * One that has idled for long is not used again: the other side may be about to close it. */
#include "mesh/demo/asker.h"

#include <stdio.h>

#include <gossamer/alloc.h>
#include <gossamer/fsm.h>
#include <gossamer/h1.h>
#include <gossamer/stream.h>

#define ASKER_BODY_BYTES_MAX 65536
#define ASKER_REQUEST_BYTES_MAX 4096
#define ASKER_IDLE_MS 20000 /* a third of what a node gives a kept connection */
#define ASKER_ROOM_BYTES 16384

enum conn_state { CONN_CONNECTING, CONN_ASKED, CONN_IDLE, CONN_CLOSING, CONN_STATES };

static const char *const conn_names[] = { "connecting", "asked", "idle", "closing" };
static const uint32_t conn_moves[] = {
    [CONN_CONNECTING] = GS_FSM_BIT(CONN_ASKED) | GS_FSM_BIT(CONN_CLOSING),
    [CONN_ASKED] = GS_FSM_BIT(CONN_IDLE) | GS_FSM_BIT(CONN_CLOSING),
    [CONN_IDLE] = GS_FSM_BIT(CONN_ASKED) | GS_FSM_BIT(CONN_CLOSING),
    [CONN_CLOSING] = 0,
};
static const struct gs_fsm_def conn_fsm = { "asker_conn", conn_names, conn_moves, CONN_STATES };

struct asker {
    struct gs_loop *loop;
    struct h1_pool *pool;
    struct gs_addr to;
    struct gs_list conns; /* idle ones first, the one used last at the front */
    bool closing;
    struct gs_grave grave;
};

struct conn {
    struct gs_list link;
    struct asker *asker;
    struct gs_fsm fsm;
    struct stream *stream;
    struct h1 codec;
    struct gs_timer timer;      /* the answer's */
    struct gs_buf request;      /* while it could not be written yet */
    struct gs_buf body;         /* of the answer */
    uint64_t asked_ns, idle_ms; /* since when */
    unsigned status;
    bool keep, whole;
    asker_cb cb; /* NULL: nobody waits */
    void *arg;
};

/* ---- telling ---- */

static void
tell(struct conn *c, unsigned status, const char *why)
{
    asker_cb cb = c->cb;
    struct asker_answer a = { .status = status, .why = why };

    if (!cb)
        return;
    c->cb = NULL;
    gs_loop_clock(c->asker->loop);
    a.took_us = (c->asker->loop->now_ns - c->asked_ns) / 1000;
    if (status != 0)
        a.body = gs_buf_slice(&c->body);
    cb(c->arg, &a);
}

static void
conn_close(struct conn *c)
{
    if (gs_fsm_is(&c->fsm, CONN_CLOSING))
        return;
    gs_fsm_move(&c->fsm, CONN_CLOSING);
    gs_loop_disarm(c->asker->loop, &c->timer);
    stream_close(c->stream);
}

static void
conn_fail(struct conn *c, const char *why)
{
    conn_close(c);
    tell(c, 0, why);
}

/* ---- the answer, as the codec tells it ---- */

static void
on_head(void *sink, struct head *h)
{
    struct conn *c = sink;

    if (h->status < 200)
        return;
    c->status = h->status;
    c->keep = h->keep_alive;
}

static void
on_data(void *sink, struct gs_slice bytes)
{
    struct conn *c = sink;

    (void)gs_buf_put_slice(&c->body, bytes); /* whether it was too much is looked at in the end */
}

static void
on_end(void *sink)
{
    struct conn *c = sink;

    c->whole = c->status != 0; /* not that of a 1xx */
}

static const struct h1_sink_ops answer_ops = { on_head, on_data, NULL, on_end };

static void
answered(struct conn *c, bool keep)
{
    GS_ASSERT(c->whole);
    GS_ASSERT(gs_fsm_is(&c->fsm, CONN_ASKED));
    gs_loop_disarm(c->asker->loop, &c->timer);
    if (c->body.failed) {
        conn_fail(c, "the answer is too long");
        return;
    }
    if (keep) {
        gs_fsm_move(&c->fsm, CONN_IDLE);
        c->idle_ms = c->asker->loop->now_ms;
        gs_list_remove(&c->link);
        gs_list_push_front(&c->asker->conns, &c->link);
    } else {
        conn_close(c);
    }
    tell(c, c->status, NULL);
}

/* ---- the stream ---- */

static size_t
sink_room(void *sink)
{
    (void)sink;
    return ASKER_ROOM_BYTES;
}

static void
sink_data(void *sink, struct gs_slice bytes)
{
    struct conn *c = sink;
    struct gs_why why = { "" };
    size_t used;

    if (gs_fsm_is(&c->fsm, CONN_IDLE))
        conn_close(c); /* bytes that nobody asked for */
    if (!gs_fsm_is(&c->fsm, CONN_ASKED))
        return;
    while (bytes.len > 0 && !c->whole) {
        if (h1_feed(&c->codec, bytes, &used, &why) != REASON_NONE) {
            conn_fail(c, why.text);
            return;
        }
        GS_ASSERT(used <= bytes.len);
        bytes = gs_slice_from(bytes, used);
        if (h1_done(&c->codec) && !c->whole)
            h1_next(&c->codec); /* a 1xx; its answer follows */
    }
    if (c->whole)
        answered(c, c->keep && bytes.len == 0);
}

static void
sink_ended(void *sink, enum stream_end how)
{
    struct conn *c = sink;
    struct gs_why why = { "the connection was closed before the answer was whole" };

    if (how == STREAM_EOF && gs_fsm_is(&c->fsm, CONN_ASKED) &&
        h1_feed_eof(&c->codec, &why) == REASON_NONE && c->whole)
        answered(c, false);
    else
        conn_fail(c, how == STREAM_REFUSED ? "connection refused" : why.text);
}

static void
sink_drained(void *sink)
{
    (void)sink; /* requests are small */
}

static void
send_request(struct conn *c)
{
    GS_ASSERT(c->request.len > 0);
    GS_ASSERT(c->cb);
    gs_fsm_move(&c->fsm, CONN_ASKED);
    stream_write_slice(c->stream, gs_buf_slice(&c->request));
    gs_buf_clear(&c->request);
}

static void
sink_connected(void *sink)
{
    send_request(sink);
}

static void
bury_asker(struct gs_grave *g)
{
    gs_free(GS_CONTAINER(g, struct asker, grave));
}

static void
maybe_free(struct asker *a)
{
    if (a->closing && gs_list_empty(&a->conns) && !gs_list_linked(&a->grave.link))
        gs_loop_bury(a->loop, &a->grave, bury_asker);
}

static void
sink_closed(void *sink)
{
    struct conn *c = sink;
    struct asker *a = c->asker;

    GS_ASSERT(!c->cb);
    GS_ASSERT(gs_fsm_is(&c->fsm, CONN_CLOSING));
    h1_fini(&c->codec);
    gs_buf_fini(&c->request);
    gs_buf_fini(&c->body);
    gs_list_remove(&c->link);
    gs_free(c);
    maybe_free(a);
}

static const struct stream_sink_ops sink_ops = { sink_room,    sink_data,      sink_ended,
                                                 sink_drained, sink_connected, sink_closed };

/* ---- asking ---- */

static void
on_late(struct gs_timer *t)
{
    conn_fail(GS_CONTAINER(t, struct conn, timer), "no answer in time");
}

/* NULL: no descriptor was to be had. */
static struct conn *
conn_new(struct asker *a)
{
    struct conn *c = gs_zalloc(sizeof(*c));

    c->asker = a;
    c->stream = stream_tcp_connect(a->loop, &a->to, &sink_ops, c);
    if (!c->stream) {
        gs_free(c);
        return NULL;
    }
    gs_fsm_init(&c->fsm, &conn_fsm, CONN_CONNECTING);
    h1_init(&c->codec, H1_ANSWERS, a->pool, &answer_ops, c);
    gs_buf_init(&c->request, ASKER_REQUEST_BYTES_MAX);
    gs_buf_init(&c->body, ASKER_BODY_BYTES_MAX);
    gs_timer_init(&c->timer, on_late);
    gs_list_push_back(&a->conns, &c->link);
    return c;
}

static struct conn *
conn_idle(struct asker *a)
{
    GS_LIST_EACH_SAFE(n, &a->conns) {
        struct conn *c = GS_CONTAINER(n, struct conn, link);

        if (!gs_fsm_is(&c->fsm, CONN_IDLE))
            continue;
        if (a->loop->now_ms - c->idle_ms < ASKER_IDLE_MS && !stream_stale(c->stream))
            return c;
        conn_close(c);
    }
    return NULL;
}

static void
write_request(struct conn *c, const char *host, const char *path)
{
    struct head h = { .method = GS_SLICE("GET"),
                      .path = gs_slice_str(path),
                      .is_request = true,
                      .framing = FRAMING_NONE };

    gs_buf_clear(&c->request);
    h1_write_request(&c->request, &h, gs_slice_str(host), GS_SLICE_NONE);
    GS_ASSERT(!c->request.failed);
}

void
asker_get(struct asker *a, const char *host, const char *path, uint64_t timeout_ms, asker_cb cb,
          void *arg)
{
    struct conn *c = conn_idle(a);
    bool fresh = c == NULL;

    GS_ASSERT(!a->closing);
    GS_ASSERT(timeout_ms > 0);
    if (fresh)
        c = conn_new(a);
    if (!c) {
        cb(arg, &(struct asker_answer){ .why = "no socket could be had" });
        return;
    }
    GS_ASSERT(!c->cb);
    gs_loop_clock(a->loop);
    c->cb = cb;
    c->arg = arg;
    c->asked_ns = a->loop->now_ns;
    c->status = 0;
    c->whole = c->keep = false;
    gs_buf_clear(&c->body);
    write_request(c, host, path);
    gs_loop_arm(a->loop, &c->timer, timeout_ms);
    if (!fresh) {
        h1_next(&c->codec);
        send_request(c);
    }
    h1_expect(&c->codec, false);
}

/* ---- life ---- */

struct asker *
asker_new(struct gs_loop *loop, struct h1_pool *pool, const struct gs_addr *to)
{
    struct asker *a = gs_zalloc(sizeof(*a));

    GS_ASSERT(to->family != 0);
    a->loop = loop;
    a->pool = pool;
    a->to = *to;
    gs_list_init(&a->conns);
    gs_list_init(&a->grave.link);
    return a;
}

void
asker_close(struct asker *a)
{
    GS_ASSERT(!a->closing);
    a->closing = true;
    GS_LIST_EACH_SAFE(n, &a->conns)
        conn_fail(GS_CONTAINER(n, struct conn, link), "stopped");
    maybe_free(a);
}
