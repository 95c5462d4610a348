/* test_mux.c - the mux over a pair of memory streams: streams, windows, ends, limits. Calls are in
 * test_mux_call.c, everything at random in test_mux_random.c, what hostile peers send in
 * test_mux_hostile.c. */
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
    tap_end(p, &a);
    tap_end(p, &b);
    gs_buf_fini(&all);
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
        tap_end(p, &t);
        gs_buf_fini(&all);
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
    tap_end(p, &a);
    tap_end(p, &b);
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
        tap_end(p, &t);
        pair_free(p);
    }
}

/* An answer that came whole is delivered to a slow reader although the stream was reset behind it
 * (an early answer to a request that was not read). */
static void
test_end_behind_unread(void **state)
{
    struct tap t;
    struct pair *p = pair_opened(&t);

    (void)state;
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
    tap_end(p, &t);
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
    struct tap a, b;
    struct pair *p = pair_opened(&a);

    (void)state;
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
    struct tap t;
    struct pair *p = pair_opened(&t);

    (void)state;
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
    struct tap a, b;
    struct pair *p = pair_opened(&a);

    (void)state;
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
    struct tap t;
    struct pair *p = pair_opened(&t);

    (void)state;
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
        cmocka_unit_test(test_unwelcome),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
