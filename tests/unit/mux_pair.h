/* mux_pair.h - two muxes over a memory stream, and sinks that note what they are told. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <gossamer/mux.h>

#include "tests/unit/mem_loop.h"

struct tap { /* a sink of one stream */
    struct stream *s;
    struct gs_buf got;
    size_t room;
    unsigned connected, eof, reset, refused, closed, drained;
    struct mux_refusal refusal;
};

static inline size_t
tap_room(void *sink)
{
    return ((struct tap *)sink)->room;
}

static inline void
tap_data(void *sink, struct gs_slice bytes)
{
    struct tap *t = sink;

    assert_true(bytes.len <= t->room);
    assert_int_equal(t->eof + t->reset + t->refused + t->closed, 0);
    assert_int_equal(gs_buf_put_slice(&t->got, bytes), GS_E_OK);
    if (t->room != SIZE_MAX)
        t->room -= bytes.len;
}

static inline void
tap_ended(void *sink, enum stream_end how)
{
    struct tap *t = sink;

    assert_int_equal(t->closed, 0);
    t->eof += how == STREAM_EOF;
    t->reset += how == STREAM_RESET;
    t->refused += how == STREAM_REFUSED;
    assert_true(t->eof <= 1);
    assert_true(t->reset + t->refused <= 1);
    if (how == STREAM_REFUSED)
        t->refusal = mux_stream_refusal(t->s);
}

static inline void
tap_drained(void *sink)
{
    ((struct tap *)sink)->drained++;
}

static inline void
tap_connected(void *sink)
{
    ((struct tap *)sink)->connected++;
}

static inline void
tap_closed(void *sink)
{
    struct tap *t = sink;

    assert_int_equal(t->closed, 0);
    t->closed++;
    t->s = NULL;
}

static const struct stream_sink_ops tap_ops = { tap_room,    tap_data,      tap_ended,
                                                tap_drained, tap_connected, tap_closed };

static inline void
tap_init(struct tap *t)
{
    memset(t, 0, sizeof(*t));
    gs_buf_init(&t->got, 64u << 20);
    t->room = SIZE_MAX;
}

static inline void
tap_close(struct tap *t)
{
    if (t->s)
        stream_close(t->s);
}

static inline void
tap_write(struct tap *t, const char *text)
{
    stream_write_slice(t->s, gs_slice_str(text));
}

/* ---- two muxes ---- */

#define PAIR_TAPS 300

struct pair_side {
    struct pair *pair;
    struct mux *mux; /* NULL: ended */
    struct mem_end *end;
    bool gone;
    unsigned changed;
    enum reason why;
    unsigned refused[REASON_COUNT];
};

struct pair {
    struct gs_loop loop;
    struct pair_side client, server;
    struct http_handler *calls;
    unsigned refuse_status; /* of the next streams; 0: accept them */
    size_t room;            /* of the next taps */
    char authority[64], service[64], caller[64];
    struct tap taps[PAIR_TAPS]; /* the server's, in the order they were opened */
    unsigned opened;
    char from[64]; /* the node that the last stream says it is from */
    bool unwelcome;
};

static inline void
side_opened(void *arg, struct stream *s, const struct mux_request *r)
{
    struct pair *p = ((struct pair_side *)arg)->pair;
    struct tap *t;

    snprintf(p->authority, sizeof(p->authority), "%.*s", GS_SLICE_FMT(r->authority));
    snprintf(p->service, sizeof(p->service), "%.*s", GS_SLICE_FMT(r->service));
    snprintf(p->caller, sizeof(p->caller), "%.*s", GS_SLICE_FMT(r->caller));
    p->opened++;
    if (p->refuse_status) {
        mux_refuse(s, p->refuse_status, OUTCOME_NOT_PROCESSED);
        return;
    }
    assert_true(p->opened <= PAIR_TAPS);
    t = &p->taps[p->opened - 1];
    tap_init(t);
    t->room = p->room;
    t->s = s;
    mux_accept(s);
    stream_attach(s, &tap_ops, t);
}

static inline void
side_changed(void *arg)
{
    ((struct pair_side *)arg)->changed++;
}

static inline void
side_refused(void *arg, enum reason why)
{
    ((struct pair_side *)arg)->refused[why]++;
}

static inline void
side_closed(void *arg, enum reason why)
{
    struct pair_side *s = arg;

    s->mux = NULL;
    s->why = why;
}

static inline bool
side_from(void *arg, struct gs_slice node)
{
    struct pair *p = ((struct pair_side *)arg)->pair;

    snprintf(p->from, sizeof(p->from), "%.*s", GS_SLICE_FMT(node));
    return !p->unwelcome;
}

static const struct mux_events side_events = { side_opened, side_changed, side_refused, side_closed,
                                               side_from };

static inline void
side_init(struct pair *p, struct pair_side *s, enum mux_role role)
{
    s->pair = p;
    s->mux = mux_new(
        &(struct mux_options){ .loop = &p->loop,
                               .role = role,
                               .events = &side_events,
                               .arg = s,
                               .calls = p->calls,
                               .node = role == MUX_CLIENT ? GS_SLICE("0badcafe") : GS_SLICE_NONE });
    s->end = mem_end_new(&p->loop, &mux_sink_ops, s->mux, &s->gone);
}

static inline struct pair *
pair_new(struct http_handler *calls)
{
    struct pair *p = gs_zalloc(sizeof(*p));

    mem_loop_init(&p->loop);
    p->calls = calls;
    p->room = SIZE_MAX;
    side_init(p, &p->client, MUX_CLIENT);
    side_init(p, &p->server, MUX_SERVER);
    mem_join(p->client.end, p->server.end);
    mux_start(p->client.mux, &p->client.end->base);
    mux_start(p->server.mux, &p->server.end->base);
    return p;
}

/* Until nothing moves any more. */
static inline void
pair_run(struct pair *p)
{
    bool moved = true;

    while (moved) {
        mem_loop_turn(&p->loop);
        moved = !p->client.gone && mem_carry(p->client.end);
        moved = (!p->server.gone && mem_carry(p->server.end)) || moved;
        moved = (!p->client.gone && mem_tell(p->client.end)) || moved;
        moved = (!p->server.gone && mem_tell(p->server.end)) || moved;
        if (p->client.mux)
            mux_check(p->client.mux);
        if (p->server.mux)
            mux_check(p->server.mux);
    }
}

static inline void
pair_open(struct pair *p, struct tap *t)
{
    struct mux_request r = { GS_SLICE("10.0.0.7:9001"), GS_SLICE("ai/tools:80"),
                             GS_SLICE("ai/agent") };

    tap_init(t);
    t->s = mux_open(p->client.mux, &r, &tap_ops, t);
    assert_non_null(t->s);
}

/* A pair with a stream that was accepted. */
static inline struct pair *
pair_opened(struct tap *t)
{
    struct pair *p = pair_new(NULL);

    pair_open(p, t);
    pair_run(p);
    return p;
}

static inline void
tap_end(struct pair *p, struct tap *t)
{
    tap_close(t);
    pair_run(p);
    gs_buf_fini(&t->got);
}

static inline void
pair_free(struct pair *p)
{
    if (p->client.mux)
        mux_abort(p->client.mux, REASON_NONE);
    if (p->server.mux)
        mux_abort(p->server.mux, REASON_NONE);
    for (unsigned i = 0; i < p->opened && i < PAIR_TAPS; i++)
        tap_close(&p->taps[i]);
    pair_run(p);
    assert_null(p->client.mux);
    assert_null(p->server.mux);
    for (unsigned i = 0; i < p->opened && i < PAIR_TAPS; i++)
        gs_buf_fini(&p->taps[i].got);
    mem_loop_fini(&p->loop);
    gs_free(p);
}
