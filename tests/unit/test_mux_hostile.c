/* test_mux_hostile.c - what a member that means ill can send on a mesh connection: every case ends
 * that connection or stream, is counted by reason, and grows nothing. */
#include <time.h>

#include "tests/unit/mux_pair.h"

/* A server and, in the client's place, bytes of our own. */
struct attack {
    struct gs_loop loop;
    struct pair_side server;
    struct pair *pair; /* only for what side_opened() notes */
    struct mem_end *end;
    struct gs_buf out;  /* frames to send */
    struct gs_buf came; /* what the server sent */
    bool gone, reset, eof;
};

static size_t
raw_room(void *sink)
{
    (void)sink;
    return LOOP_SCRATCH_BYTES;
}

static void
raw_data(void *sink, struct gs_slice bytes)
{
    struct attack *a = sink;

    assert_int_equal(gs_buf_put_slice(&a->came, bytes), GS_E_OK);
}

static void
raw_ended(void *sink, enum stream_end how)
{
    struct attack *a = sink;

    a->eof = a->eof || how == STREAM_EOF;
    a->reset = a->reset || how == STREAM_RESET;
}

static void
raw_nothing(void *sink)
{
    (void)sink;
}

static const struct stream_sink_ops raw_ops = { raw_room,    raw_data,    raw_ended,
                                                raw_nothing, raw_nothing, raw_nothing };

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

enum {
    DATA,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    PUSH_PROMISE,
    PING,
    GOAWAY,
    WINDOW_UPDATE,
    CONTINUATION
};
#define END_STREAM 1
#define END_HEADERS 4

static void
put(struct attack *a, unsigned type, unsigned flags, uint32_t stream, struct gs_slice payload)
{
    unsigned char head[9] = { (unsigned char)(payload.len >> 16),
                              (unsigned char)(payload.len >> 8),
                              (unsigned char)payload.len,
                              (unsigned char)type,
                              (unsigned char)flags,
                              (unsigned char)(stream >> 24),
                              (unsigned char)(stream >> 16),
                              (unsigned char)(stream >> 8),
                              (unsigned char)stream };

    assert_int_equal(gs_buf_put(&a->out, head, sizeof(head)), GS_E_OK);
    assert_int_equal(gs_buf_put_slice(&a->out, payload), GS_E_OK);
}

static void
put_field(struct gs_buf *b, const char *name, const char *value)
{
    gs_buf_printf(b, "%c%c%s%c%s", 0, (int)strlen(name), name, (int)strlen(value), value);
}

static void
put_connect(struct attack *a, uint32_t stream, const char *more)
{
    struct gs_buf b;

    gs_buf_init(&b, 65536);
    put_field(&b, ":method", "CONNECT");
    put_field(&b, ":authority", "10.0.0.7:9001");
    put_field(&b, "gossamer-service", "ai/tools:80");
    if (more)
        put_field(&b, more, "x");
    else
        put_field(&b, "gossamer-stream", "1");
    put(a, HEADERS, END_HEADERS, stream, gs_buf_slice(&b));
    gs_buf_fini(&b);
}

/* Send what was put together, and let the server act. */
static void
strike(struct attack *a)
{
    bool moved = true;

    if (!a->gone)
        stream_write_slice(&a->end->base, gs_buf_slice(&a->out));
    gs_buf_clear(&a->out);
    while (moved) {
        mem_loop_turn(&a->loop);
        moved = !a->gone && mem_carry(a->end);
        moved = (!a->server.gone && mem_carry(a->server.end)) || moved;
        moved = (!a->gone && mem_tell(a->end)) || moved;
        moved = (!a->server.gone && mem_tell(a->server.end)) || moved;
        if (a->server.mux)
            mux_check(a->server.mux);
    }
}

static struct attack *
attack_new(bool hello)
{
    struct attack *a = gs_zalloc(sizeof(*a));

    mem_loop_init(&a->loop);
    gs_buf_init(&a->out, 64u << 20);
    gs_buf_init(&a->came, 64u << 20);
    a->pair = gs_zalloc(sizeof(*a->pair));
    a->pair->room = SIZE_MAX;
    a->server.pair = a->pair;
    a->server.mux = mux_new(&(struct mux_options){
        .loop = &a->loop, .role = MUX_SERVER, .events = &side_events, .arg = &a->server });
    a->server.end = mem_end_new(&a->loop, &mux_sink_ops, a->server.mux, &a->server.gone);
    a->end = mem_end_new(&a->loop, &raw_ops, a, &a->gone);
    mem_join(a->end, a->server.end);
    mux_start(a->server.mux, &a->server.end->base);
    if (hello) {
        gs_buf_put_str(&a->out, PREFACE);
        put(a, SETTINGS, 0, 0, GS_SLICE_NONE);
        strike(a);
        assert_non_null(a->server.mux);
    }
    return a;
}

static void
attack_free(struct attack *a)
{
    if (a->server.mux)
        mux_abort(a->server.mux, REASON_NONE);
    for (unsigned i = 0; i < a->pair->opened && i < PAIR_TAPS; i++)
        tap_close(&a->pair->taps[i]);
    strike(a);
    assert_null(a->server.mux);
    if (!a->gone)
        stream_close(&a->end->base);
    mem_loop_turn(&a->loop);
    for (unsigned i = 0; i < a->pair->opened && i < PAIR_TAPS; i++)
        gs_buf_fini(&a->pair->taps[i].got);
    gs_buf_fini(&a->out);
    gs_buf_fini(&a->came);
    mem_loop_fini(&a->loop);
    gs_free(a->pair);
    gs_free(a);
}

/* The connection is gone, by the server's doing, for this reason. */
static void
assert_ended(struct attack *a, enum reason why)
{
    for (unsigned i = 0; i < a->pair->opened && i < PAIR_TAPS; i++)
        tap_close(&a->pair->taps[i]);
    strike(a);
    assert_null(a->server.mux);
    assert_int_equal(a->server.refused[why], 1);
    assert_true(a->server.gone);
    attack_free(a);
}

static void
assert_alive(const struct attack *a)
{
    assert_non_null(a->server.mux);
    assert_false(a->reset);
}

static void
test_no_preface(void **state)
{
    static const char *const texts[] = { "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "\x16\x03\x01\x02",
                                         "PRI * HTTP/1.1\r\n\r\n", "\n" };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(texts); i++) {
        struct attack *a = attack_new(false);

        gs_buf_put_str(&a->out, texts[i]);
        strike(a);
        assert_ended(a, REASON_MUX_PREFACE);
    }
}

/* Nothing at all, and half a preface, are waited for only so long. */
static void
test_silence(void **state)
{
    (void)state;
    for (int half = 0; half < 2; half++) {
        struct attack *a = attack_new(false);

        if (half)
            gs_buf_put_str(&a->out, "PRI * HTTP");
        strike(a);
        mem_loop_advance(&a->loop, 9999);
        mux_tend(a->server.mux, MUX_SERVER_IDLE_MS, 10000);
        assert_non_null(a->server.mux);
        mem_loop_advance(&a->loop, 1);
        mux_tend(a->server.mux, MUX_SERVER_IDLE_MS, 10000);
        strike(a);
        assert_ended(a, REASON_HEAD_TIMEOUT);
    }
}

/* Frames that carry nothing, without end. */
static void
test_floods(void **state)
{
    static const struct {
        unsigned type, flags;
        const char *payload;
        size_t len;
        bool stream;
    } floods[] = {
        { PING, 0, "12345678", 8, false },
        { SETTINGS, 0, "", 0, false },
        { DATA, 0, "", 0, true },
        { PRIORITY, 0, "\0\0\0\0\1", 5, true },
        { 0x42, 0, "unknown", 7, false },
        { PING, 1, "12345678", 8, false }, /* an ACK that answers nothing */
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(floods); i++) {
        struct attack *a = attack_new(true);

        put_connect(a, 1, NULL);
        strike(a);
        assert_int_equal(a->pair->opened, 1);
        for (unsigned n = 0; n < 100; n++) { /* a reasonable number is fine */
            put(a, floods[i].type, floods[i].flags, floods[i].stream,
                gs_slice(floods[i].payload, floods[i].len));
        }
        strike(a);
        assert_alive(a);
        for (unsigned n = 0; n < MUX_IDLE_FRAMES_BURST; n++)
            put(a, floods[i].type, floods[i].flags, floods[i].stream,
                gs_slice(floods[i].payload, floods[i].len));
        strike(a);
        assert_ended(a, REASON_MUX_FLOOD);
    }
}

/* Idle frames at a pace that is no flood come for ever. */
static void
test_slow_pings(void **state)
{
    struct attack *a = attack_new(true);

    (void)state;
    for (unsigned s = 0; s < 60; s++) {
        for (unsigned n = 0; n < MUX_IDLE_FRAMES_PER_S; n++)
            put(a, PING, 0, 0, GS_SLICE("12345678"));
        strike(a);
        assert_alive(a);
        mem_loop_advance(&a->loop, 1000);
    }
    attack_free(a);
}

/* Of the machine's clock, which is the one nghttp2 counts by. */
static uint64_t
seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec;
}

/* Open and reset, open and reset (CVE-2023-44487): streams do not pile up; above the limit the
 * connection ends. (A machine that needs a second for 5,000 of them does not get above it.) */
static void
test_rapid_reset(void **state)
{
    struct attack *a = attack_new(true);
    uint64_t began = seconds();
    uint32_t stream = 1;

    (void)state;
    a->pair->refuse_status = 421;
    for (unsigned turn = 0; a->server.mux && turn < 1000; turn++) {
        for (unsigned n = 0; n < 100; n++, stream += 2) {
            put_connect(a, stream, NULL);
            put(a, RST_STREAM, 0, stream, gs_slice("\0\0\0\x8", 4));
        }
        strike(a);
        if (a->server.mux)
            assert_int_equal(mux_streams(a->server.mux), 0);
        gs_buf_clear(&a->came);
    }
    a->pair->opened = 0;
#ifdef GS_NGHTTP2_LIMITS
    if (a->server.mux)
        assert_true(stream / 2 <= MUX_RESETS_BURST + MUX_RESETS_PER_S * (seconds() - began + 2));
    else
        assert_int_equal(a->server.refused[REASON_MUX_FLOOD], 1);
#else
    (void)began;
#endif
    attack_free(a);
}

/* More streams at once than we said: refused one by one, not opened. */
static void
test_too_many_streams(void **state)
{
    struct attack *a = attack_new(true);

    (void)state;
    put(a, SETTINGS, 1, 0, GS_SLICE_NONE); /* we know the limit */
    for (unsigned n = 0; n < PAIR_TAPS - 10; n++)
        put_connect(a, 2 * n + 1, NULL);
    strike(a);
    assert_int_equal(a->pair->opened, MUX_STREAMS_MAX);
    if (a->server.mux)
        assert_true(mux_streams(a->server.mux) <= MUX_STREAMS_MAX);
    attack_free(a);
}

static void
put_block(struct attack *a, uint32_t stream, unsigned fields, size_t value)
{
    struct gs_buf b;
    char text[100];

    memset(text, 'v', sizeof(text));
    text[value] = '\0';
    gs_buf_init(&b, 65536);
    put_field(&b, ":method", "CONNECT");
    put_field(&b, ":authority", "10.0.0.7:9001");
    for (unsigned i = 0; i < fields; i++)
        put_field(&b, "x-pad", text);
    put(a, HEADERS, END_HEADERS, stream, gs_buf_slice(&b));
    gs_buf_fini(&b);
}

/* A header with too many fields, or too many bytes, or without what we need. */
static void
test_headers(void **state)
{
    struct attack *a = attack_new(true);

    (void)state;
    put_block(a, 1, MUX_HEADER_FIELDS_MAX + 1, 1);
    put_block(a, 3, MUX_HEADER_FIELDS_MAX, 99);
    put_block(a, 5, 120, 99);     /* 12 KB */
    put_connect(a, 7, "x-other"); /* no gossamer-stream */
    strike(a);
    assert_alive(a);
    assert_int_equal(a->pair->opened, 0);
    assert_int_equal(a->server.refused[REASON_MUX_HEADERS], 4);
    assert_int_equal(mux_streams(a->server.mux), 0);
    put_connect(a, 9, NULL);
    strike(a);
    assert_int_equal(a->pair->opened, 1);
    attack_free(a);
}

/* A header that never ends holds up the connection, and costs it. */
static void
test_endless_header(void **state)
{
    struct attack *a = attack_new(true);

    (void)state;
    put(a, HEADERS, 0, 1, GS_SLICE_NONE);
    strike(a);
    assert_alive(a);
    mem_loop_advance(&a->loop, MUX_STALLED_MS);
    mux_tend(a->server.mux, MUX_SERVER_IDLE_MS, 10000);
    strike(a);
    assert_ended(a, REASON_HEAD_TIMEOUT);
}

static void
test_continuations(void **state)
{
#ifdef GS_NGHTTP2_LIMITS
    struct attack *a = attack_new(true);

    (void)state;
    put(a, HEADERS, 0, 1, GS_SLICE_NONE);
    for (unsigned i = 0; i < 1000; i++)
        put(a, CONTINUATION, 0, 1, GS_SLICE_NONE);
    strike(a);
    assert_null(a->server.mux);
    attack_free(a);
#else
    (void)state;
    skip();
#endif
}

/* More bytes than the windows allow. */
static void
test_window_overrun(void **state)
{
    struct attack *a = attack_new(true);
    static const char bytes[16384];

    (void)state;
    a->pair->room = 0;
    put(a, SETTINGS, 1, 0, GS_SLICE_NONE);
    put_connect(a, 1, NULL);
    for (unsigned i = 0; i < 10; i++)
        put(a, DATA, 0, 1, gs_slice(bytes, sizeof(bytes)));
    strike(a);
    for (unsigned i = 0; a->server.mux && i < a->pair->opened; i++)
        assert_true(a->loop.blocks.used_bytes <= 2 * MUX_WINDOW_BYTES);
    assert_true(a->pair->taps[0].reset == 1 || !a->server.mux);
    attack_free(a);
}

/* A window that overflows (a stream's and the connection's), and one of no size. */
static void
test_window_updates(void **state)
{
    (void)state;
    for (uint32_t stream = 0; stream < 2; stream++) {
        for (int zero = 0; zero < 2; zero++) {
            struct attack *a = attack_new(true);

            put_connect(a, 1, NULL);
            strike(a);
            for (unsigned i = 0; i < 3; i++)
                put(a, WINDOW_UPDATE, 0, stream,
                    zero ? gs_slice("\0\0\0\0", 4) : gs_slice("\x7f\xff\xff\xff", 4));
            strike(a);
            assert_true(!a->server.mux || a->pair->taps[0].reset == 1);
            attack_free(a);
        }
    }
}

/* Things that break the protocol plainly. */
static void
test_violations(void **state)
{
    static const struct {
        unsigned type, flags;
        uint32_t stream;
        const char *payload;
        size_t len;
        enum reason why;
    } cases[] = {
        { DATA, 0, 0, "x", 1, REASON_MUX_PROTOCOL },             /* on the connection itself */
        { DATA, 0, 7, "x", 1, REASON_MUX_PROTOCOL },             /* on a stream nobody opened */
        { HEADERS, END_HEADERS, 2, "", 0, REASON_MUX_PROTOCOL }, /* an even number */
        { HEADERS, END_HEADERS, 1, "\xff\xff\xff\xff\xff\xff", 6, REASON_MUX_COMPRESSION },
        { HEADERS, END_HEADERS, 1, "\xc0", 1, REASON_MUX_COMPRESSION }, /* no such index */
        { PUSH_PROMISE, END_HEADERS, 1, "\0\0\0\2", 4, REASON_MUX_PROTOCOL },
        { PING, 0, 0, "short", 5, REASON_MUX_PROTOCOL },
        { SETTINGS, 0, 0, "12345", 5, REASON_MUX_PROTOCOL },
        { SETTINGS, 1, 0, "\0\3\0\0\0\1", 6, REASON_MUX_PROTOCOL }, /* an ACK with content */
        { SETTINGS, 0, 1, "", 0, REASON_MUX_PROTOCOL },
        { CONTINUATION, END_HEADERS, 1, "", 0, REASON_MUX_PROTOCOL },
        { RST_STREAM, 0, 9, "\0\0\0\x8", 4, REASON_MUX_PROTOCOL }, /* idle */
        { WINDOW_UPDATE, 0, 9, "\0\0\0\x8", 4, REASON_MUX_PROTOCOL },
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(cases); i++) {
        struct attack *a = attack_new(true);

        put(a, cases[i].type, cases[i].flags, cases[i].stream,
            gs_slice(cases[i].payload, cases[i].len));
        strike(a);
        assert_ended(a, cases[i].why);
    }
}

/* Not reading what it asked for: pings whose answers it leaves. */
static void
test_unread_answers(void **state)
{
    struct attack *a = attack_new(true);

    (void)state;
    a->server.end->window = 0;
    for (unsigned turn = 0; a->server.mux && turn < 100; turn++) {
        for (unsigned n = 0; n < 100; n++)
            put(a, PING, 0, 0, GS_SLICE("12345678"));
        strike(a);
        assert_true(a->loop.blocks.used_bytes < 1u << 20);
    }
    assert_ended(a, REASON_MUX_FLOOD);
}

/* Streams opened and ended by requests that are refused, while the peer reads nothing. */
static void
test_unread_refusals(void **state)
{
    struct attack *a = attack_new(true);
    uint32_t stream = 1;

    (void)state;
    a->pair->refuse_status = 421;
    a->server.end->window = 0;
    for (unsigned turn = 0; a->server.mux && turn < 2000; turn++) {
        for (unsigned n = 0; n < 50; n++, stream += 2)
            put_connect(a, stream, NULL);
        strike(a);
        assert_true(a->loop.blocks.used_bytes < 1u << 20);
        mem_loop_advance(&a->loop, 100);
        if (a->server.mux)
            mux_tend(a->server.mux, MUX_SERVER_IDLE_MS, 10000);
    }
    a->pair->opened = 0;
    assert_null(a->server.mux); /* stalled, at the latest */
    attack_free(a);
}

/* Data on a stream that was closed here is dropped, and does not starve the connection. */
static void
test_data_after_close(void **state)
{
    struct attack *a = attack_new(true);
    static const char bytes[16384];

    (void)state;
    put_connect(a, 1, NULL);
    strike(a);
    stream_abort(a->pair->taps[0].s);
    strike(a);
    for (unsigned i = 0; i < 2000; i++) { /* 32 MB: four times the connection's window */
        put(a, DATA, 0, 1, gs_slice(bytes, sizeof(bytes)));
        strike(a);
        if (!a->server.mux)
            break;
    }
    /* Either is right: it is dropped, or the peer is told that it breaks the rules. */
    assert_int_equal(a->server.refused[REASON_MUX_FLOW], 0);
    assert_true(a->loop.blocks.used_bytes < MUX_OUT_HIGH_BYTES);
    attack_free(a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_preface),       cmocka_unit_test(test_silence),
        cmocka_unit_test(test_floods),           cmocka_unit_test(test_slow_pings),
        cmocka_unit_test(test_rapid_reset),      cmocka_unit_test(test_too_many_streams),
        cmocka_unit_test(test_headers),          cmocka_unit_test(test_endless_header),
        cmocka_unit_test(test_continuations),    cmocka_unit_test(test_window_overrun),
        cmocka_unit_test(test_window_updates),   cmocka_unit_test(test_violations),
        cmocka_unit_test(test_unread_answers),   cmocka_unit_test(test_unread_refusals),
        cmocka_unit_test(test_data_after_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
