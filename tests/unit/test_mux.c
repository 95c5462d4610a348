/* test_mux.c - the mux over a pair of memory streams: streams, windows, ends, limits, calls. What
 * hostile peers send is in test_mux_hostile.c. */
#include "tests/unit/mux_pair.h"

/* Given  a client and a server
 * When   a stream is opened, accepted and written to from both sides
 * Then   the server is told what for, all bytes come in order, and a clean close leaves nothing */
static void
test_stream(void **state)
{
    struct pair *p = pair_new(NULL);
    struct tap t;

    (void)state;
    pair_open(p, &t);
    tap_write(&t, "early "); /* before it was accepted */
    pair_run(p);
    assert_int_equal(p->opened, 1);
    assert_string_equal(p->authority, "10.0.0.7:9001");
    assert_string_equal(p->service, "ai/tools:80");
    assert_string_equal(p->caller, "ai/agent");
    assert_int_equal(t.connected, 1);
    tap_write(&t, "late");
    tap_write(&p->taps[0], "answer");
    pair_run(p);
    assert_string_equal(gs_buf_cstr(&p->taps[0].got), "early late");
    assert_string_equal(gs_buf_cstr(&t.got), "answer");
    assert_false(stream_stale(t.s));
    tap_close(&t);
    pair_run(p);
    assert_int_equal(t.closed, 1);
    assert_int_equal(p->taps[0].eof, 1);
    assert_int_equal(p->taps[0].reset, 0);
    tap_close(&p->taps[0]);
    pair_run(p);
    assert_int_equal(mux_streams(p->client.mux), 0);
    assert_int_equal(mux_streams(p->server.mux), 0);
    gs_buf_fini(&t.got);
    pair_free(p);
}

static void
test_refused(void **state)
{
    struct pair *p = pair_new(NULL);
    struct tap t;

    (void)state;
    p->refuse_status = 421;
    pair_open(p, &t);
    tap_write(&t, "GET / HTTP/1.1\r\n\r\n");
    pair_run(p);
    assert_int_equal(t.refused, 1);
    assert_int_equal(t.connected, 0);
    assert_int_equal(t.refusal.status, 421);
    assert_int_equal(t.refusal.outcome, OUTCOME_NOT_PROCESSED);
    tap_close(&t);
    pair_run(p);
    assert_int_equal(mux_streams(p->client.mux), 0);
    assert_int_equal(mux_streams(p->server.mux), 0);
    p->opened = 0; /* it has no tap */
    pair_free(p);
}

/* What one turn writes to many streams leaves as one write. */
static void
test_one_write_per_turn(void **state)
{
    struct pair *p = pair_new(NULL);
    struct tap t[10];
    unsigned before;

    (void)state;
    for (unsigned i = 0; i < GS_COUNT(t); i++)
        pair_open(p, &t[i]);
    pair_run(p);
    before = p->client.end->writes;
    for (unsigned i = 0; i < GS_COUNT(t); i++) {
        tap_write(&t[i], "GET / HTTP/1.1\r\n");
        tap_write(&t[i], "host: x\r\n\r\n");
    }
    mem_loop_turn(&p->loop);
    assert_int_equal(p->client.end->writes, before + 1);
    pair_run(p);
    for (unsigned i = 0; i < GS_COUNT(t); i++) {
        assert_string_equal(gs_buf_cstr(&p->taps[i].got), "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
        tap_close(&t[i]);
    }
    pair_run(p);
    for (unsigned i = 0; i < GS_COUNT(t); i++)
        gs_buf_fini(&t[i].got);
    pair_free(p);
}

static void
fill(struct gs_buf *b, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        char c = (char)('a' + i * 7 % 26 + i / 1000 % 3);

        assert_int_equal(gs_buf_put(b, &c, 1), GS_E_OK);
    }
}

/* Given  a stream whose reader takes nothing
 * When   a megabyte is written to it, and others are used
 * Then   no more than its window crosses, the others do not notice, and all of it comes once it is
 *        read */
static void
test_stalled(void **state)
{
    struct pair *p = pair_new(NULL);
    struct gs_buf all;
    struct tap a, b;

    (void)state;
    gs_buf_init(&all, 4u << 20);
    fill(&all, 1u << 20);
    p->room = 0;
    pair_open(p, &a);
    pair_run(p);
    p->room = SIZE_MAX;
    pair_open(p, &b);
    stream_write_slice(a.s, gs_buf_slice(&all));
    pair_run(p);
    assert_int_equal(p->taps[0].got.len, 0);
    assert_int_equal(a.s->sent, MUX_WINDOW_BYTES);
    assert_int_equal(stream_room(a.s), 0);
    assert_int_equal(a.drained, 0);
    for (int i = 0; i < 100; i++) {
        gs_buf_clear(&p->taps[1].got);
        stream_write_slice(b.s, gs_slice(all.ptr, 60000));
        pair_run(p);
        assert_int_equal(p->taps[1].got.len, 60000);
    }
    p->taps[0].room = SIZE_MAX;
    stream_resume(p->taps[0].s);
    pair_run(p);
    assert_int_equal(p->taps[0].got.len, all.len);
    assert_memory_equal(p->taps[0].got.ptr, all.ptr, all.len);
    assert_true(a.drained > 0);
    tap_close(&a);
    tap_close(&b);
    pair_run(p);
    gs_buf_fini(&all);
    gs_buf_fini(&a.got);
    gs_buf_fini(&b.got);
    pair_free(p);
}

/* A reader that keeps up is sent further ahead, but not when memory is short. */
static void
test_window_grows(void **state)
{
    (void)state;
    for (int tight = 0; tight < 2; tight++) {
        struct pair *p = pair_new(NULL);
        struct gs_buf all;
        struct tap t;

        gs_buf_init(&all, 8u << 20);
        fill(&all, 6u << 20);
        pair_open(p, &t);
        pair_run(p);
        if (tight)
            p->loop.blocks.used_bytes += LOOP_BUDGET_BYTES / 2;
        stream_write_slice(t.s, gs_buf_slice(&all));
        pair_run(p);
        assert_int_equal(p->taps[0].got.len, all.len);
        p->taps[0].room = 0;
        stream_write_slice(t.s, gs_buf_slice(&all));
        pair_run(p);
        /* As far as the window now lets it. */
        assert_in_range(t.s->sent - all.len, tight ? 1 : MUX_WINDOW_MAX / 2 + 1,
                        tight ? MUX_WINDOW_BYTES : MUX_WINDOW_MAX);
        if (tight)
            p->loop.blocks.used_bytes -= LOOP_BUDGET_BYTES / 2;
        tap_close(&t);
        pair_run(p);
        gs_buf_fini(&all);
        gs_buf_fini(&t.got);
        pair_free(p);
    }
}

/* Given  no buffers left in this loop
 * When   a reader that takes nothing is sent bytes
 * Then   that stream is reset and counted, and another goes on */
static void
test_overload(void **state)
{
    struct pair *p = pair_new(NULL);
    struct tap a, b;

    (void)state;
    p->room = 0;
    pair_open(p, &a);
    pair_run(p);
    p->room = SIZE_MAX;
    pair_open(p, &b);
    pair_run(p);
    tap_write(&a, "hello");
    mem_loop_turn(&p->loop);
    p->loop.blocks.used_bytes += LOOP_BUDGET_BYTES;
    pair_run(p);
    assert_int_equal(p->server.refused[REASON_MUX_OVERLOAD], 1);
    assert_int_equal(p->taps[0].reset, 1);
    assert_int_equal(a.reset, 1);
    tap_write(&b, "still here");
    pair_run(p);
    assert_string_equal(gs_buf_cstr(&p->taps[1].got), "still here");
    p->loop.blocks.used_bytes -= LOOP_BUDGET_BYTES;
    tap_close(&a);
    tap_close(&b);
    pair_run(p);
    gs_buf_fini(&a.got);
    gs_buf_fini(&b.got);
    pair_free(p);
}

/* ---- ends ---- */

enum how { ABORT, CLOSE_WITH_OUTPUT, CLOSE_UNREAD, SHUTDOWN, SHUTDOWN_AND_ABORT };

/* How one side ends, and what the other may believe of it. Only what was ended cleanly looks
 * whole. */
static void
test_ends(void **state)
{
    static const struct {
        enum how how;
        unsigned eof, reset;
        const char *got;
    } cases[] = {
        { ABORT, 0, 1, NULL },
        { CLOSE_WITH_OUTPUT, 0, 1, NULL },
        { CLOSE_UNREAD, 0, 1, NULL },
        { SHUTDOWN, 1, 0, "answer" },
        { SHUTDOWN_AND_ABORT, 1, 1, "answer" },
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(cases); i++) {
        struct pair *p = pair_new(NULL);
        struct tap *peer = &p->taps[0];
        struct tap t;

        pair_open(p, &t);
        pair_run(p);
        switch (cases[i].how) {
        case CLOSE_UNREAD:
            peer->room = 0;
            tap_write(&t, "more");
            pair_run(p);
            stream_close(peer->s);
            break;
        case ABORT:
            tap_write(peer, "answer");
            pair_run(p);
            stream_abort(peer->s);
            break;
        case CLOSE_WITH_OUTPUT:
            tap_write(peer, "answer");
            stream_close(peer->s);
            break;
        case SHUTDOWN:
            tap_write(peer, "answer");
            stream_shutdown(peer->s);
            break;
        case SHUTDOWN_AND_ABORT:
            tap_write(peer, "answer");
            stream_shutdown(peer->s);
            pair_run(p);
            stream_abort(peer->s);
            break;
        }
        pair_run(p);
        assert_int_equal(t.eof, cases[i].eof);
        assert_int_equal(t.reset, cases[i].reset);
        if (cases[i].got)
            assert_string_equal(gs_buf_cstr(&t.got), cases[i].got);
        tap_close(&t);
        pair_run(p);
        gs_buf_fini(&t.got);
        pair_free(p);
    }
}

/* An answer that came whole is delivered to a slow reader although the stream was reset behind it
 * (an early answer to a request that was not read). */
static void
test_end_behind_unread(void **state)
{
    struct pair *p = pair_new(NULL);
    struct tap t;

    (void)state;
    pair_open(p, &t);
    pair_run(p);
    t.room = 3;
    tap_write(&p->taps[0], "answer");
    stream_shutdown(p->taps[0].s);
    pair_run(p);
    stream_close(p->taps[0].s); /* the client has not ended: RST_STREAM, but not before its end */
    pair_run(p);
    assert_string_equal(gs_buf_cstr(&t.got), "ans");
    assert_int_equal(t.eof + t.reset, 0);
    assert_true(stream_stale(t.s));
    t.room = SIZE_MAX;
    stream_resume(t.s);
    pair_run(p);
    assert_string_equal(gs_buf_cstr(&t.got), "answer");
    assert_int_equal(t.eof, 1);
    tap_close(&t);
    pair_run(p);
    gs_buf_fini(&t.got);
    pair_free(p);
}

/* A stream kept for reuse is stale once anything came that nobody asked for. */
static void
test_stale(void **state)
{
    struct pair *p = pair_new(NULL);
    struct tap t;

    (void)state;
    pair_open(p, &t);
    assert_true(stream_stale(t.s)); /* not accepted yet */
    pair_run(p);
    assert_false(stream_stale(t.s));
    t.room = 0;
    tap_write(&p->taps[0], "unasked");
    pair_run(p);
    assert_true(stream_stale(t.s));
    tap_close(&t);
    pair_run(p);
    assert_int_equal(p->taps[0].reset, 1); /* unread: not a clean end */
    gs_buf_fini(&t.got);
    pair_free(p);
}

/* The connection breaks: streams that were open are reset, those not accepted yet refused. */
static void
test_broken_connection(void **state)
{
    struct pair *p = pair_new(NULL);
    struct tap a, b;

    (void)state;
    pair_open(p, &a);
    pair_run(p);
    pair_open(p, &b);
    mux_abort(p->server.mux, REASON_NONE);
    pair_run(p);
    assert_int_equal(a.reset, 1);
    assert_int_equal(b.refused, 1);
    assert_int_equal(p->taps[0].reset, 1);
    assert_non_null(p->client.mux); /* its streams are not closed yet */
    tap_close(&a);
    tap_close(&b);
    pair_run(p);
    assert_null(p->client.mux);
    gs_buf_fini(&a.got);
    gs_buf_fini(&b.got);
    pair_free(p);
}

/* ---- limits and time ---- */

static void
test_stream_limit(void **state)
{
    struct pair *p = pair_new(NULL);
    struct tap *t = gs_calloc(MUX_STREAMS_MAX, sizeof(*t));
    struct mux_request r = { GS_SLICE("a"), GS_SLICE("b/c:1"), GS_SLICE("d") };
    struct tap more;

    (void)state;
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++)
        pair_open(p, &t[i]);
    assert_int_equal(mux_open_room(p->client.mux), 0);
    assert_null(mux_open(p->client.mux, &r, &tap_ops, &more));
    pair_run(p);
    assert_int_equal(p->opened, MUX_STREAMS_MAX);
    assert_int_equal(mux_streams(p->server.mux), MUX_STREAMS_MAX);
    tap_close(&t[0]);
    pair_run(p);
    tap_close(&p->taps[0]);
    pair_run(p);
    assert_int_equal(mux_open_room(p->client.mux), 1);
    pair_open(p, &more);
    pair_run(p);
    assert_int_equal(more.connected, 1);
    tap_close(&more);
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++)
        tap_close(&t[i]);
    pair_run(p);
    for (unsigned i = 0; i < MUX_STREAMS_MAX; i++)
        gs_buf_fini(&t[i].got);
    gs_buf_fini(&more.got);
    gs_free(t);
    pair_free(p);
}

static void
test_idle(void **state)
{
    struct pair *p = pair_new(NULL);
    struct tap t;

    (void)state;
    pair_open(p, &t);
    pair_run(p);
    mem_loop_advance(&p->loop, MUX_IDLE_MS * 2);
    mux_tend(p->client.mux, MUX_IDLE_MS, 1000);
    pair_run(p);
    assert_non_null(p->client.mux); /* it has a stream */
    tap_close(&t);
    tap_close(&p->taps[0]);
    pair_run(p);
    mem_loop_advance(&p->loop, MUX_IDLE_MS - 1);
    mux_tend(p->client.mux, MUX_IDLE_MS, 1000);
    pair_run(p);
    assert_non_null(p->client.mux);
    mem_loop_advance(&p->loop, 1);
    mux_tend(p->client.mux, MUX_IDLE_MS, 1000);
    pair_run(p);
    assert_null(p->client.mux);
    assert_null(p->server.mux);
    assert_int_equal(p->client.why, REASON_NONE);
    assert_int_equal(p->server.why, REASON_NONE);
    gs_buf_fini(&t.got);
    pair_free(p);
}

/* A peer that reads nothing: output waits, a second connection is advised after 100 ms, and it is
 * given up after MUX_STALLED_MS. */
static void
test_congested(void **state)
{
    struct pair *p = pair_new(NULL);
    struct gs_buf all;
    struct tap t[20];

    (void)state;
    gs_buf_init(&all, 1u << 20);
    fill(&all, 60000);
    for (unsigned i = 0; i < GS_COUNT(t); i++)
        pair_open(p, &t[i]);
    pair_run(p);
    p->client.end->window = 0;
    for (unsigned i = 0; i < GS_COUNT(t); i++)
        stream_write_slice(t[i].s, gs_buf_slice(&all));
    pair_run(p);
    assert_true(p->client.end->base.queue.bytes >= MUX_OUT_HIGH_BYTES);
    assert_true(p->client.end->base.queue.bytes < MUX_OUT_HIGH_BYTES + LOOP_SCRATCH_BYTES + 1000);
    assert_false(mux_congested(p->client.mux));
    mem_loop_advance(&p->loop, MUX_CONGESTED_MS);
    assert_true(mux_congested(p->client.mux));
    mux_tend(p->client.mux, MUX_IDLE_MS, 1000);
    p->client.end->window = SIZE_MAX;
    pair_run(p);
    assert_false(mux_congested(p->client.mux));
    for (unsigned i = 0; i < GS_COUNT(t); i++)
        assert_int_equal(p->taps[i].got.len, all.len);
    p->client.end->window = 0;
    tap_write(&t[0], "x");
    pair_run(p);
    mux_tend(p->client.mux, MUX_IDLE_MS, 1000);
    mem_loop_advance(&p->loop, MUX_STALLED_MS - 1);
    mux_tend(p->client.mux, MUX_IDLE_MS, 1000);
    assert_int_equal(p->client.refused[REASON_MUX_STALLED], 0);
    mem_loop_advance(&p->loop, 1);
    mux_tend(p->client.mux, MUX_IDLE_MS, 1000);
    pair_run(p);
    assert_int_equal(p->client.refused[REASON_MUX_STALLED], 1);
    assert_int_equal(t[0].reset, 1);
    for (unsigned i = 0; i < GS_COUNT(t); i++) {
        tap_close(&t[i]);
        gs_buf_fini(&t[i].got);
    }
    pair_run(p);
    gs_buf_fini(&all);
    pair_free(p);
}

/* Given  a server that drains with one stream open and one on its way
 * Then   the client opens no more, the open stream works on, the other is shown to the server
 *        (which refuses it in words), and both muxes end with their last stream */
static void
test_drain(void **state)
{
    struct pair *p = pair_new(NULL);
    struct tap a, b;

    (void)state;
    pair_open(p, &a);
    pair_run(p);
    pair_open(p, &b);
    mux_drain(p->server.mux);
    p->refuse_status = 503;
    pair_run(p);
    assert_int_equal(mux_open_room(p->client.mux), 0);
    assert_int_equal(b.refused, 1);
    assert_int_equal(b.refusal.status, 503);
    assert_int_equal(b.refusal.outcome, OUTCOME_NOT_PROCESSED);
    assert_true(stream_stale(a.s));
    tap_write(&a, "last words");
    pair_run(p);
    assert_string_equal(gs_buf_cstr(&p->taps[0].got), "last words");
    tap_close(&a);
    tap_close(&b);
    tap_close(&p->taps[0]);
    pair_run(p);
    assert_null(p->client.mux);
    assert_null(p->server.mux);
    p->opened = 1;
    gs_buf_fini(&a.got);
    gs_buf_fini(&b.got);
    pair_free(p);
}

/* A stream that its sink closed cleanly, while the peer keeps its side open, does not stay. */
static void
test_half_closed(void **state)
{
    struct pair *p = pair_new(NULL);
    struct tap t;

    (void)state;
    pair_open(p, &t);
    pair_run(p);
    tap_close(&t);
    pair_run(p);
    assert_int_equal(mux_streams(p->client.mux), 1); /* the server's sink does not close */
    mem_loop_advance(&p->loop, LINGER_MS);
    mux_tend(p->client.mux, MUX_IDLE_MS, 1000);
    pair_run(p);
    assert_int_equal(mux_streams(p->client.mux), 0);
    assert_int_equal(p->taps[0].eof, 1);
    gs_buf_fini(&t.got);
    pair_free(p);
}

/* ---- calls ---- */

struct caller { /* gets an answer */
    struct side side;
    struct gs_buf got;
    unsigned status, ended, reset;
    size_t room;
};

static void
caller_head(struct side *to, struct head *h)
{
    GS_CONTAINER(to, struct caller, side)->status = h->status;
}

static void
caller_data(struct side *to, struct gs_slice bytes)
{
    assert_int_equal(gs_buf_put_slice(&GS_CONTAINER(to, struct caller, side)->got, bytes), GS_E_OK);
}

static void
caller_trailers(struct side *to, struct head *t)
{
    (void)to;
    (void)t;
}

static void
caller_end(struct side *to)
{
    GS_CONTAINER(to, struct caller, side)->ended++;
}

static void
caller_reset(struct side *to, enum reason why)
{
    (void)why;
    GS_CONTAINER(to, struct caller, side)->reset++;
}

static size_t
caller_room(struct side *to)
{
    return GS_CONTAINER(to, struct caller, side)->room;
}

static void
caller_resume(struct side *to)
{
    (void)to;
}

static const struct side_ops caller_ops = { caller_head,  caller_data, caller_trailers, caller_end,
                                            caller_reset, caller_room, caller_resume };

static struct { /* the answering side */
    struct http_handler handler;
    struct side side;
    struct side *answer;
    char path[64], authority[64];
    unsigned ended, reset;
    bool cut;
} oracle;

static void
oracle_end(struct side *to)
{
    (void)to;
    oracle.ended++;
}

static void
oracle_reset(struct side *to, enum reason why)
{
    (void)to;
    (void)why;
    oracle.reset++;
}

static const struct side_ops oracle_ops = { caller_head,  caller_data, caller_trailers, oracle_end,
                                            oracle_reset, caller_room, caller_resume };

static struct side *
oracle_begin(struct http_handler *handler, struct side *answer, struct head *h)
{
    struct field type = { .name = GS_SLICE("Content-Type"), .value = GS_SLICE("application/json") };
    struct head a = { .status = 200, .fields = &type, .count = 1, .has_length = true };

    (void)handler;
    snprintf(oracle.path, sizeof(oracle.path), "%.*s", GS_SLICE_FMT(h->path));
    snprintf(oracle.authority, sizeof(oracle.authority), "%.*s", GS_SLICE_FMT(h->authority));
    oracle.side.ops = &oracle_ops;
    oracle.answer = answer;
    a.length = 11;
    answer->ops->head(answer, &a);
    answer->ops->data(answer, GS_SLICE("{\"a\":"));
    if (!oracle.cut) {
        answer->ops->data(answer, GS_SLICE("[1, 2]"));
        answer->ops->end(answer);
    }
    return &oracle.side;
}

static void
caller_init(struct caller *c)
{
    memset(c, 0, sizeof(*c));
    c->side.ops = &caller_ops;
    c->room = LOOP_SCRATCH_BYTES;
    gs_buf_init(&c->got, 1u << 20);
}

static void
test_call(void **state)
{
    struct pair *p;
    struct caller c;

    (void)state;
    memset(&oracle, 0, sizeof(oracle));
    oracle.handler.begin = oracle_begin;
    p = pair_new(&oracle.handler);
    caller_init(&c);
    assert_non_null(mux_ask(p->client.mux, GS_SLICE("node.gossamer.internal"),
                            GS_SLICE("/api/v1/stat?x=1"), &c.side));
    pair_run(p);
    assert_string_equal(oracle.path, "/api/v1/stat?x=1");
    assert_string_equal(oracle.authority, "node.gossamer.internal");
    assert_int_equal(oracle.ended + oracle.reset, 0); /* its answer was over before */
    assert_int_equal(c.status, 200);
    assert_string_equal(gs_buf_cstr(&c.got), "{\"a\":[1, 2]");
    assert_int_equal(c.ended, 1);
    assert_int_equal(c.reset, 0);
    assert_int_equal(mux_streams(p->client.mux), 0);
    assert_int_equal(mux_streams(p->server.mux), 0);
    gs_buf_fini(&c.got);
    pair_free(p);
}

/* Cut by the handler, cancelled by the asker, not offered at all. */
static void
test_call_ends(void **state)
{
    struct pair *p;
    struct caller c;
    struct side *asked;

    (void)state;
    memset(&oracle, 0, sizeof(oracle));
    oracle.handler.begin = oracle_begin;
    oracle.cut = true;
    p = pair_new(&oracle.handler);
    caller_init(&c);
    assert_non_null(mux_ask(p->client.mux, GS_SLICE("n"), GS_SLICE("/"), &c.side));
    pair_run(p);
    assert_int_equal(oracle.ended, 1);
    oracle.answer->ops->reset(oracle.answer, REASON_OWN_FAULT);
    pair_run(p);
    assert_int_equal(c.ended, 0);
    assert_int_equal(c.reset, 1);
    asked = mux_ask(p->client.mux, GS_SLICE("n"), GS_SLICE("/"), &c.side);
    pair_run(p);
    asked->ops->reset(asked, REASON_NONE);
    pair_run(p);
    assert_int_equal(oracle.reset, 1);
    assert_int_equal(c.reset, 1); /* who cancels is not told */
    assert_int_equal(mux_streams(p->server.mux), 0);
    pair_free(p);
    p = pair_new(NULL);
    gs_buf_clear(&c.got);
    assert_non_null(mux_ask(p->client.mux, GS_SLICE("n"), GS_SLICE("/"), &c.side));
    pair_run(p);
    assert_int_equal(c.status, 501);
    assert_int_equal(mux_streams(p->client.mux), 0);
    gs_buf_fini(&c.got);
    pair_free(p);
}

/* ---- at random ---- */

#define RANDOM_STREAMS 12
#define RANDOM_STEPS 20000

struct random_stream {
    struct tap t;
    unsigned server; /* index of its tap there */
    uint64_t wrote, wrote_back;
    bool live;
};

/* Each byte says where it stands, so that nothing is lost, doubled or crossed unnoticed. */
static char
byte_at(unsigned stream, uint64_t at)
{
    return (char)(stream * 37 + at * 11 + at / 256);
}

static void
random_write(struct stream *s, unsigned stream, uint64_t *wrote, size_t n)
{
    char bytes[3000];

    if (!s || stream_room(s) < n)
        return;
    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_at(stream, *wrote + i);
    *wrote += n;
    stream_write_slice(s, gs_slice(bytes, n));
}

static void
random_check(const struct tap *t, unsigned stream, uint64_t wrote, uint64_t *seen)
{
    assert_true(t->got.len <= wrote);
    for (; *seen < t->got.len; ++*seen)
        assert_int_equal(t->got.ptr[*seen], byte_at(stream, *seen));
}

/* When   streams are written, read, shut, closed and aborted at random, on a connection that
 *        stalls now and then
 * Then   every byte that comes is the one that was written there, and an end without a reset comes
 *        behind all of them */
static void
test_random(void **state)
{
    struct pair *p = pair_new(NULL);
    struct random_stream *s = gs_calloc(PAIR_TAPS, sizeof(*s));
    struct gs_rng rng;
    unsigned made = 0;

    (void)state;
    gs_rng_init(&rng, 42);
    for (unsigned step = 0; step < RANDOM_STEPS; step++) {
        unsigned from = made > RANDOM_STREAMS ? made - RANDOM_STREAMS : 0;
        unsigned i = from + gs_rng_below(&rng, RANDOM_STREAMS);
        struct tap *back = i < p->opened ? &p->taps[i] : NULL;

        if (i >= made) {
            pair_open(p, &s[made++].t);
            pair_run(p); /* so that both count alike */
            continue;
        }
        if (!back)
            continue;
        switch (gs_rng_below(&rng, 12)) {
        case 0:
        case 1:
        case 2:
            random_write(s[i].t.s, i, &s[i].wrote, 1 + gs_rng_below(&rng, 3000));
            break;
        case 3:
        case 4:
        case 5:
            random_write(back->s, i + 100, &s[i].wrote_back, 1 + gs_rng_below(&rng, 3000));
            break;
        case 6:
            s[i].t.room = gs_rng_below(&rng, 5000);
            back->room = gs_rng_below(&rng, 5000);
            break;
        case 7:
        case 8:
            s[i].t.room = back->room = SIZE_MAX;
            if (s[i].t.s)
                stream_resume(s[i].t.s);
            if (back->s)
                stream_resume(back->s);
            break;
        case 9:
            p->client.end->window = gs_rng_below(&rng, 20000);
            p->server.end->window = gs_rng_below(&rng, 20000);
            break;
        case 10:
            p->client.end->window = p->server.end->window = SIZE_MAX;
            break;
        case 11:
            if (made < PAIR_TAPS - 1 && from < p->opened && gs_rng_below(&rng, 10) == 0) {
                if (s[from].t.s && gs_rng_below(&rng, 2))
                    stream_abort(s[from].t.s);
                else
                    tap_close(&s[from].t);
                p->client.end->window = p->server.end->window = SIZE_MAX;
                pair_run(p);
                tap_close(&p->taps[from]);
                pair_run(p);
                pair_open(p, &s[made++].t);
            }
            break;
        }
        if (gs_rng_below(&rng, 3) == 0)
            pair_run(p);
    }
    p->client.end->window = p->server.end->window = SIZE_MAX;
    for (unsigned i = 0; i < made; i++) {
        p->taps[i].room = s[i].t.room = SIZE_MAX;
        if (s[i].t.s)
            stream_resume(s[i].t.s);
        if (p->taps[i].s)
            stream_resume(p->taps[i].s);
    }
    pair_run(p);
    for (unsigned i = 0; i < made; i++) {
        uint64_t seen = 0, seen_back = 0;

        random_check(&p->taps[i], i, s[i].wrote, &seen);
        random_check(&s[i].t, i + 100, s[i].wrote_back, &seen_back);
        if (p->taps[i].eof && !p->taps[i].reset)
            assert_int_equal(p->taps[i].got.len, s[i].wrote);
        if (s[i].t.s && p->taps[i].s) {
            assert_int_equal(p->taps[i].got.len, s[i].wrote);
            assert_int_equal(s[i].t.got.len, s[i].wrote_back);
        }
        tap_close(&s[i].t);
    }
    pair_run(p);
    for (unsigned i = 0; i < made; i++)
        gs_buf_fini(&s[i].t.got);
    gs_free(s);
    pair_free(p);
}

/* Given  a connection with streams
 * When   the node that it is from becomes unwelcome, and opens one more
 * Then   the connection is cut, and every stream of it ends */
static void
test_unwelcome(void **state)
{
    struct pair *p = pair_new(NULL);
    struct tap one, two;

    (void)state;
    pair_open(p, &one);
    pair_run(p);
    assert_string_equal(p->from, "0badcafe");
    assert_int_equal(p->opened, 1);
    p->unwelcome = true;
    pair_open(p, &two);
    pair_run(p);
    assert_int_equal(p->opened, 1);
    assert_int_equal(p->server.refused[REASON_MUX_CUT], 1);
    assert_true(one.reset);
    assert_true(p->taps[0].reset);
    tap_close(&one);
    tap_close(&two);
    tap_close(&p->taps[0]);
    pair_run(p);
    assert_int_equal(p->server.why, REASON_MUX_CUT);
    assert_null(p->server.mux);
    assert_null(p->client.mux);
    gs_buf_fini(&one.got);
    gs_buf_fini(&two.got);
    pair_free(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_one_write_per_turn),
        cmocka_unit_test(test_stalled),
        cmocka_unit_test(test_window_grows),
        cmocka_unit_test(test_overload),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_end_behind_unread),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_broken_connection),
        cmocka_unit_test(test_stream_limit),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_congested),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_half_closed),
        cmocka_unit_test(test_call),
        cmocka_unit_test(test_call_ends),
        cmocka_unit_test(test_unwelcome),
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
