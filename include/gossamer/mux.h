/* mux.h - the transport between nodes: many streams over one connection, as HTTP/2.
 *
 *     pool ─▶ mux_open ─▶ CONNECT stream ═╗                     ╔═ opened ─▶ mux_accept ─▶ server.c
 *     mux_ask ─▶ request stream ══════════╬═ one struct stream ═╬═ begin ─▶ http_handler
 *                                         ╝  (TCP, later TLS)   ╚
 *
 * A CONNECT stream is a struct stream like any other: h1 runs on it unchanged. Its window is
 * credited as its sink takes the bytes, the connection's as they arrive, so a stream that nobody
 * reads holds up no other; what cannot be buffered resets its stream. What one turn of the loop
 * makes for a peer leaves as one write at the turn's end. Names nothing of the library (mux.c). */
#pragma once

#include <gossamer/http.h>

struct mux;

enum mux_role { MUX_CLIENT, MUX_SERVER }; /* the client opens streams */

/* What became of a request that the other node answered itself. */
enum mux_outcome {
    OUTCOME_NONE,
    OUTCOME_NOT_PROCESSED,
    OUTCOME_PROCESSED,
    OUTCOME_STALE, /* it is not known; but a kept connection was closed instead of an answer */
    OUTCOME_UNKNOWN,
};
const char *mux_outcome_text(enum mux_outcome o);         /* NULL for OUTCOME_NONE */
enum mux_outcome mux_outcome_parse(struct gs_slice text); /* UNKNOWN for what it does not know */

/* What a CONNECT stream is opened for. Borrowed. */
struct mux_request {
    struct gs_slice authority; /* the endpoint's address:port, as its owner published it */
    struct gs_slice service;   /* NS/NAME:PORT */
    struct gs_slice caller;    /* NS/NAME or node/NAME; authorizes nothing */
};

struct mux_refusal {
    unsigned status; /* 0: it was not refused by an answer */
    enum mux_outcome outcome;
};

/* All from the loop. */
struct mux_events {
    /* Servers: a peer opened a stream. mux_accept or mux_refuse it before returning. NULL: each is
     * answered 501. */
    void (*opened)(void *arg, struct stream *s, const struct mux_request *r);
    /* It has fewer streams now, or takes no more (mux_open's refusal may end or begin). May be
     * NULL, and so may the next one. */
    void (*changed)(void *arg);
    void (*refused)(void *arg, enum reason why); /* a stream was, or bytes were: counted only */
    void (*closed)(void *arg, enum reason why);  /* last touch: m is freed next */
    /* Servers: before each stream and request that names a node as the one it is from. That is the
     * peer's word: it may close doors, never open one. False: the connection is cut. NULL: any. */
    bool (*from)(void *arg, struct gs_slice node);
};

struct mux_options {
    struct gs_loop *loop;
    enum mux_role role;
    const struct mux_events *events;
    void *arg;
    struct http_handler *calls; /* who answers ordinary requests; NULL: 501 */
    struct gs_slice node;       /* clients: which node we are, told with each stream; empty: none */
};

/* Make a mux, then the stream below it with mux_sink_ops and the mux as its sink, then start it:
 * the stream is the mux's from then on. mux_free is for one that was never started. */
struct mux *mux_new(const struct mux_options *o);
void mux_free(struct mux *m);
extern const struct stream_sink_ops mux_sink_ops;
void mux_start(struct mux *m, struct stream *below);

/* Clients: open a stream; sink.connected tells that it was accepted, ended(STREAM_REFUSED) that it
 * was not (mux_stream_refusal says how). NULL: the mux takes no more (mux_open_room). */
struct stream *mux_open(struct mux *m, const struct mux_request *r,
                        const struct stream_sink_ops *ops, void *sink);
struct mux_refusal mux_stream_refusal(const struct stream *s);
/* How many more streams may be opened; 0 when it is going away. */
uint32_t mux_open_room(const struct mux *m);
/* Servers, inside `opened`; an accepted stream is given a sink there as well. */
void mux_accept(struct stream *s);
void mux_refuse(struct stream *s, unsigned status, enum mux_outcome outcome);

/* Clients: GET path at authority; the answer comes to reply: head, data, end or reset. Returns the
 * side to cancel (reset) or resume it by, good until end or reset. NULL: the mux takes no more. */
struct side *mux_ask(struct mux *m, struct gs_slice authority, struct gs_slice path,
                     struct side *reply);

/* Take no new streams: the peer is told, those that come nevertheless are still shown to
 * `opened`. Closes once the last stream is gone. */
void mux_drain(struct mux *m);
void mux_abort(struct mux *m, enum reason why); /* now; streams end as reset */

/* To be called about once a second: ends streams that the peer keeps half closed, and a
 * connection that is stalled, silent or idle_ms without a stream. */
void mux_tend(struct mux *m, uint64_t idle_ms, uint64_t hello_ms);
uint32_t mux_streams(const struct mux *m);
bool mux_idle(const struct mux *m); /* it has no stream, and is not closing yet */
/* Output has waited for the peer for MUX_CONGESTED_MS. */
bool mux_congested(const struct mux *m);
void mux_check(const struct mux *m); /* invariants; aborts */
