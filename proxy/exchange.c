/* exchange.c - one request and its answer, from judged head to end; the proxy's central machine.
 * It is two sides: `request` takes what the client sends, `reply` what the instance answers.
 *
 *   begin ──▶ WAITING ──connection──▶ SENT ──final head──▶ ANSWERED ──both over──▶ DONE
 *                │  ▲                   │                      │ cut: the answer is reset
 *                │  └── another try ────┤ reset before the head
 *                ▼                      ▼
 *             REFUSED (an answer of our own) ──request over──▶ DONE
 *
 * All that a retry needs lives in struct attempt, made anew for each. The root is pinned from
 * begin until no further attempt is possible; after that only plain copies are kept, so a stream of
 * hours holds no snapshot. What came of the body is kept while it may be sent again, and while it
 * cannot be sent yet. */
#include <stdio.h>

#include <gossamer/alloc.h>
#include <gossamer/fsm.h>

#include "proxy/mesh.h"
#include "proxy/pool.h"

enum exchange_state { X_WAITING, X_SENT, X_ANSWERED, X_REFUSED, X_DONE, X_STATES };

static const char *const x_names[] = { "waiting", "sent", "answered", "refused", "done" };
static const uint32_t x_moves[] = {
    [X_WAITING] = GS_FSM_BIT(X_SENT) | GS_FSM_BIT(X_REFUSED) | GS_FSM_BIT(X_DONE),
    [X_SENT] =
        GS_FSM_BIT(X_WAITING) | GS_FSM_BIT(X_ANSWERED) | GS_FSM_BIT(X_REFUSED) | GS_FSM_BIT(X_DONE),
    [X_ANSWERED] = GS_FSM_BIT(X_DONE),
    [X_REFUSED] = GS_FSM_BIT(X_DONE),
    [X_DONE] = 0,
};
static const struct gs_fsm_def x_fsm = { "exchange", x_names, x_moves, X_STATES };

struct attempt {
    struct pool_waiter waiter;
    struct side *upstream;           /* takes the request; NULL: none, or it is gone */
    const struct endpoint *endpoint; /* while the root is pinned */
    struct slot *slot;               /* counted as active there; NULL: not under way */
    uint64_t begun_ns;
    struct inbound_call inbound;
    bool reused; /* the connection had carried another exchange */
    bool mesh;   /* a node of ours answers, and says what became of the request */
};

struct exchange {
    struct side request;
    struct side reply;
    struct side *answer; /* the server connection's */
    struct worker *worker;
    struct exchange *next_free;
    struct snapshot *root;       /* pinned; NULL once no retry is possible */
    struct exchange_route route; /* its pointers are good while pinned */
    struct attempt attempt;
    struct stat_cell *cell;     /* of (service, subset, outbound); NULL: none */
    struct gs_slice head_bytes; /* the request's head as it is sent */
    struct head *trailers;      /* of the request, kept for sending (again) */
    struct gs_buf body;         /* what came of the body while it may (again) be sent */
    struct gs_timer timer;      /* response timeout */
    struct gs_grave grave;
    uint64_t begun_ns;
    uint64_t answered_ns;
    uint32_t service_id;
    uint32_t tried[ATTEMPTS_MAX];
    uint8_t attempts;
    uint8_t stale_retries; /* beside those */
    unsigned status;       /* of the answer */
    enum reason ended;     /* why, if not well */
    struct gs_fsm fsm;
    bool is_head, idempotent, chunked, bodyless;
    bool body_whole; /* `body` holds all of the body that came so far */
    bool request_over, answer_over;
    bool interim_sent;  /* a 1xx went downstream: no retry any more */
    bool whole_timeout; /* the timeout covers the whole answer, not only its head */
    struct gs_arena arena;
    _Alignas(16) char arena_bytes[EXCHANGE_ARENA_BYTES];
};

static void attempt_start(struct exchange *x, bool fresh);
static void exchange_answer(struct exchange *x, enum reason r, const char *details);

static struct exchange *
of_request(struct side *s)
{
    return GS_CONTAINER(s, struct exchange, request);
}

static struct exchange *
of_reply(struct side *s)
{
    return GS_CONTAINER(s, struct exchange, reply);
}

/* What must hold whenever nobody is inside the machine. */
static void
exchange_check(const struct exchange *x)
{
    bool waiting = gs_fsm_is(&x->fsm, X_WAITING);
    bool sent = gs_fsm_is(&x->fsm, X_SENT);

    GS_ASSERT(!waiting || x->attempt.waiter.queue); /* it waits for somebody */
    GS_ASSERT(waiting || !x->attempt.waiter.queue);
    GS_ASSERT(!sent || x->attempt.upstream);
    GS_ASSERT(!(waiting || sent) || x->root); /* a retry needs the root it was routed by */
    GS_ASSERT(!(waiting || sent) || x->attempt.slot);
    GS_ASSERT(!gs_fsm_is(&x->fsm, X_ANSWERED) || !x->root);
    GS_ASSERT(x->attempts <= ATTEMPTS_MAX);
    GS_ASSERT(!(x->request_over && x->answer_over) || gs_fsm_is(&x->fsm, X_DONE));
    GS_ASSERT(!x->body_whole || x->root || gs_fsm_is(&x->fsm, X_REFUSED) ||
              gs_fsm_is(&x->fsm, X_DONE));
}

/* ---- life ---- */

static void
bury(struct gs_grave *g)
{
    struct exchange *x = GS_CONTAINER(g, struct exchange, grave);
    struct worker *w = x->worker;

    gs_arena_fini(&x->arena);
    gs_buf_fini(&x->body);
    if (w->free_exchange_count >= EXCHANGES_KEPT_MAX) {
        gs_free(x);
        return;
    }
    x->next_free = w->free_exchanges;
    w->free_exchanges = x;
    w->free_exchange_count++;
}

void
exchange_pool_free(struct worker *w)
{
    while (w->free_exchanges) {
        struct exchange *x = w->free_exchanges;

        w->free_exchanges = x->next_free;
        gs_free(x);
    }
    w->free_exchange_count = 0;
}

static void
release_root(struct exchange *x)
{
    if (!x->root)
        return;
    snapshot_unpin(x->root, x->worker->index);
    x->root = NULL;
    x->attempt.endpoint = NULL;
}

/* The attempt is over, well or not: nobody counts on it any more. */
static void
attempt_over(struct exchange *x, enum reason r)
{
    struct attempt *a = &x->attempt;

    pool_cancel(x->worker->pool, &a->waiter);
    inbound_close(&a->inbound, x->worker, x->status, r);
    if (a->slot)
        atomic_fetch_sub_explicit(&a->slot->active, 1, memory_order_release);
    a->slot = NULL;
}

/* As attempt_over, and the instance is told by a closed connection. */
static void
attempt_cancel(struct exchange *x, enum reason r)
{
    struct side *upstream = x->attempt.upstream;

    x->attempt.upstream = NULL;
    attempt_over(x, r);
    if (upstream)
        upstream->ops->reset(upstream, r);
}

static void
exchange_done(struct exchange *x)
{
    struct worker *w = x->worker;

    gs_fsm_move(&x->fsm, X_DONE);
    attempt_cancel(x, x->ended); /* one that still waits for the rest of the request */
    gs_loop_disarm(w->loop, &x->timer);
    release_root(x);
    counter_sub(&w->counters.exchanges_open, 1);
    if (x->cell) {
        uint64_t until = x->answered_ns ? x->answered_ns : w->loop->now_ns;

        stat_cell_answer(x->cell, x->status, x->ended, (until - x->begun_ns) / 1000);
        atomic_store_explicit(&x->cell->active,
                              atomic_load_explicit(&x->cell->active, memory_order_relaxed) - 1,
                              memory_order_relaxed);
    } else if (x->ended != REASON_NONE) {
        counter_add(&w->counters.refused[x->ended], 1);
    }
    gs_loop_bury(w->loop, &x->grave, bury);
}

static void
maybe_done(struct exchange *x)
{
    if (x->request_over && x->answer_over && !gs_fsm_is(&x->fsm, X_DONE))
        exchange_done(x);
}

/* The client's side is beyond help (it left, or its answer was cut): both directions end. */
static void
exchange_abandon(struct exchange *x, enum reason r)
{
    x->ended = r;
    attempt_cancel(x, r);
    x->request_over = x->answer_over = true;
    maybe_done(x);
}

/* ---- answers of our own ---- */

/* What another node is told of a request that we answer ourselves. */
static const char *
outcome_of(const struct exchange *x, enum reason r)
{
    if (!x->route.inbound)
        return NULL;
    if (!gs_fsm_is(&x->fsm, X_SENT))
        return mux_outcome_text(OUTCOME_NOT_PROCESSED);
    if (r == REASON_UPSTREAM_HEAD || r == REASON_UPSTREAM_HEAD_LARGE ||
        r == REASON_UPSTREAM_FRAMING || r == REASON_UPSTREAM_UPGRADE)
        return mux_outcome_text(OUTCOME_PROCESSED); /* it was answered, if badly */
    return mux_outcome_text(OUTCOME_UNKNOWN);
}

static void
exchange_answer(struct exchange *x, enum reason r, const char *details)
{
    const char *outcome = outcome_of(x, r);

    GS_ASSERT(!gs_fsm_is(&x->fsm, X_ANSWERED));
    attempt_cancel(x, r);
    gs_fsm_move(&x->fsm, X_REFUSED);
    gs_loop_disarm(x->worker->loop, &x->timer);
    x->ended = r;
    x->status = reason_info(r)->status;
    x->answered_ns = x->worker->loop->now_ns;
    if (!x->request_over && !x->bodyless) {
        x->request_over = true;
        x->answer->ops->reset(x->answer, REASON_NONE); /* the body is not wanted */
    }
    answer_own(x->answer, &(struct own_answer){ .reason = r,
                                                .details = details,
                                                .via = "gossamer",
                                                .outcome = outcome,
                                                .to_head = x->is_head });
    x->answer_over = true;
    maybe_done(x);
}

static void
answer_failed(struct exchange *x, enum reason r)
{
    char details[160];
    char addr[GS_ADDR_TEXT];
    const struct endpoint *e = x->attempt.endpoint;

    if (!e) {
        exchange_answer(x, r, NULL);
        return;
    }
    snprintf(details, sizeof(details), "%s, endpoint %s node %.*s, attempt %u/%u",
             reason_info(r)->text, gs_addr_text(&e->addr, addr), GS_SLICE_FMT(e->node), x->attempts,
             ATTEMPTS_MAX);
    exchange_answer(x, r, details);
}

/* ---- attempts ---- */

/* May this request be sent again after it was sent? Any may, if a node of ours says that it was
 * not processed. */
static bool
may_repeat(const struct exchange *x)
{
    return x->idempotent || x->attempt.mesh;
}

static void
send_body(struct exchange *x)
{
    struct side *up = x->attempt.upstream;

    if (x->body.len > 0)
        up->ops->data(up, gs_buf_slice(&x->body));
    if (x->trailers)
        up->ops->trailers(up, x->trailers);
    if (x->request_over)
        up->ops->end(up);
    if ((!may_repeat(x) && x->body.len > 0) || x->body.len > REPLAY_BYTES_MAX) {
        gs_buf_fini(&x->body); /* it will not be sent again */
        x->body_whole = false;
    }
}

static void
attempt_send(struct exchange *x, struct client_conn *conn)
{
    struct client_request what = { .is_head = x->is_head, .chunked = x->chunked };

    gs_fsm_move(&x->fsm, X_SENT);
    x->attempt.reused = client_reused(conn);
    x->attempt.mesh = client_is_mesh(conn);
    x->attempt.upstream = client_send(conn, x->head_bytes, &what, &x->reply);
    send_body(x);
    /* The client may have been held back while nobody took its body. */
    if (!x->request_over)
        x->answer->ops->resume(x->answer);
}

/* May what was sent be sent again, somewhere? */
static bool
replayable(const struct exchange *x)
{
    return x->root && x->body_whole && !x->interim_sent && !x->answer_over;
}

static bool
other_endpoint(const struct exchange *x)
{
    return !x->route.only && x->route.subset->count > x->attempts;
}

static bool
retry_elsewhere(struct exchange *x)
{
    if (!replayable(x) || x->attempts >= ATTEMPTS_MAX || !other_endpoint(x) ||
        !retry_spend(x->worker, x->service_id))
        return false;
    if (x->cell)
        stat_add(&x->cell->retries, 1);
    return true;
}

/* The attempt failed before any byte of an answer. */
static void
attempt_failed(struct exchange *x, enum reason r)
{
    bool was_sent = gs_fsm_is(&x->fsm, X_SENT);
    bool stale = was_sent && r == REASON_UPSTREAM_CLOSED && x->attempt.reused &&
                 x->stale_retries < ATTEMPTS_MAX;

    attempt_over(x, r);
    if (x->root && !stale && r != REASON_LIMIT) /* a limit is ours */
        balance_failed(x->worker, x->attempt.endpoint);
    if (!replayable(x) || (was_sent && !x->idempotent) ||
        (was_sent && r != REASON_UPSTREAM_CLOSED)) {
        answer_failed(x, r);
        return;
    }
    if (stale) { /* the instance closed a kept connection as we took it: no failure of its */
        x->stale_retries++;
        attempt_start(x, true);
        return;
    }
    if (retry_elsewhere(x))
        attempt_start(x, false);
    else
        answer_failed(x, r);
}

static void
on_ready(struct pool_waiter *waiter, struct client_conn *conn, enum reason why)
{
    struct exchange *x = GS_CONTAINER(waiter, struct exchange, attempt.waiter);

    GS_ASSERT(gs_fsm_is(&x->fsm, X_WAITING));
    if (conn)
        attempt_send(x, conn);
    else
        attempt_failed(x, why);
}

static void
attempt_enter(struct exchange *x, const struct endpoint *e)
{
    struct attempt *a = &x->attempt;

    a->endpoint = e;
    a->upstream = NULL;
    a->reused = a->mesh = false;
    a->begun_ns = x->worker->loop->now_ns;
    a->slot = slots_at(x->root->slots, e->slot);
    atomic_fetch_add_explicit(&a->slot->active, 1, memory_order_relaxed);
}

/* fresh: again at the same endpoint, on a new connection. */
static void
attempt_start(struct exchange *x, bool fresh)
{
    const struct endpoint *e =
        fresh           ? x->attempt.endpoint
        : x->route.only ? x->route.only
                        : balance_pick(x->worker, x->route.subset, x->tried, x->attempts);
    struct client_conn *conn = NULL;
    enum reason r = REASON_NONE;
    gs_err err;

    if (!gs_fsm_is(&x->fsm, X_WAITING))
        gs_fsm_move(&x->fsm, X_WAITING);
    if (!e) {
        exchange_answer(x, REASON_NO_ENDPOINT, "no usable endpoint");
        return;
    }
    if (!fresh)
        x->tried[x->attempts++] = e->slot;
    attempt_enter(x, e);
    if (e->local && !x->route.inbound)
        r = inbound_open(&x->attempt.inbound, x->worker, x->route.target, x->route.subset, e);
    if (r != REASON_NONE) {
        answer_failed(x, r);
        return;
    }
    err = pool_acquire(x->worker->pool, e, x->route.caller, fresh, &x->attempt.waiter, &conn);
    if (err == GS_E_OK)
        attempt_send(x, conn);
    else if (err != GS_E_AGAIN)
        answer_failed(x, REASON_LIMIT);
}

/* ---- the request, from the server connection ---- */

static void
request_head(struct side *to, struct head *h)
{
    (void)to;
    (void)h;
    GS_UNREACHABLE("a request's head comes by begin");
}

/* Keep body bytes for sending later or again; beyond REPLAY_BYTES_MAX there is no again. What one
 * read brought may exceed that while nobody takes it: room() was asked before, for other bytes. */
static void
keep_body(struct exchange *x, struct gs_slice bytes)
{
    if (!x->body_whole)
        return;
    if (gs_fsm_is(&x->fsm, X_WAITING) || x->body.len + bytes.len <= REPLAY_BYTES_MAX) {
        GS_ASSERT(gs_buf_put_slice(&x->body, bytes) == GS_E_OK);
        return;
    }
    gs_buf_fini(&x->body);
    x->body_whole = false;
}

static void
request_data(struct side *to, struct gs_slice bytes)
{
    struct exchange *x = of_request(to);
    struct side *up = x->attempt.upstream;

    switch ((enum exchange_state)x->fsm.state) {
    case X_WAITING:
        keep_body(x, bytes);
        return;
    case X_SENT:
        if (may_repeat(x))
            keep_body(x, bytes);
        else
            x->body_whole = false;
        break;
    case X_ANSWERED:
        break;
    default:
        return;
    }
    if (up)
        up->ops->data(up, bytes);
}

static void
request_trailers(struct side *to, struct head *t)
{
    struct exchange *x = of_request(to);
    struct side *up = x->attempt.upstream;

    x->trailers = gs_arena_alloc(&x->arena, sizeof(*t));
    *x->trailers = *t;
    head_keep(x->trailers, &x->arena);
    if (up)
        up->ops->trailers(up, t);
}

static void
request_end(struct side *to)
{
    struct exchange *x = of_request(to);
    struct side *up = x->attempt.upstream;

    x->request_over = true;
    if (x->answer_over)
        x->attempt.upstream = NULL; /* both are over there too: it goes back to the pool */
    if (up)
        up->ops->end(up);
    maybe_done(x);
    exchange_check(x);
}

static void
request_reset(struct side *to, enum reason why)
{
    struct exchange *x = of_request(to);

    if (gs_fsm_is(&x->fsm, X_DONE))
        return;
    x->request_over = true;
    if (x->answer_over)
        maybe_done(x);
    else if (gs_fsm_is(&x->fsm, X_ANSWERED) || reason_info(why)->status == 0)
        exchange_abandon(x, why == REASON_NONE ? REASON_CLIENT_LEFT : why);
    else
        exchange_answer(x, why, NULL);
}

static size_t
request_room(struct side *to)
{
    struct exchange *x = of_request(to);
    struct side *up = x->attempt.upstream;

    if (gs_fsm_is(&x->fsm, X_WAITING))
        return x->body.len < REPLAY_BYTES_MAX ? REPLAY_BYTES_MAX - x->body.len : 0;
    return up ? up->ops->room(up) : 0;
}

static void
request_resume(struct side *to)
{
    struct side *up = of_request(to)->attempt.upstream;

    if (up)
        up->ops->resume(up);
}

static const struct side_ops request_ops = { request_head,  request_data,  request_trailers,
                                             request_end,   request_reset, request_room,
                                             request_resume };

/* ---- the answer, from the client connection ---- */

/* The other node answered in the instance's place, having passed nothing on: any request may go
 * elsewhere then. What it says of the request itself (400, 403, 429, ...) would be said again. */
static bool
not_processed(const struct exchange *x, const struct head *h)
{
    const struct field *f;

    if (!x->attempt.mesh || (h->status < 500 && h->status != 421))
        return false;
    f = head_find(h, GS_SLICE("gossamer-outcome"));
    return f && mux_outcome_parse(f->value) == OUTCOME_NOT_PROCESSED;
}

static void
reply_head(struct side *to, struct head *h)
{
    struct exchange *x = of_reply(to);
    struct worker *w = x->worker;

    GS_ASSERT(gs_fsm_is(&x->fsm, X_SENT));
    if (not_processed(x, h)) {
        balance_failed(w, x->attempt.endpoint);
        if (retry_elsewhere(x)) {
            attempt_cancel(x, REASON_PEER_REFUSED);
            attempt_start(x, false);
            return;
        }
    }
    if (h->status < 200) {
        x->interim_sent = true;
        x->answer->ops->head(x->answer, h);
        return;
    }
    gs_fsm_move(&x->fsm, X_ANSWERED);
    x->status = h->status;
    x->answered_ns = w->loop->now_ns;
    balance_observe(w, x->attempt.endpoint, x->answered_ns - x->attempt.begun_ns);
    if (h->status < 500)
        balance_succeeded(w, x->attempt.endpoint);
    gs_buf_fini(&x->body);
    x->body_whole = false;
    release_root(x);
    if (!x->whole_timeout)
        gs_loop_disarm(w->loop, &x->timer);
    /* An instance that will close may leave the rest of the request unread. */
    h->close_after = !x->request_over && !h->keep_alive;
    exchange_check(x);
    x->answer->ops->head(x->answer, h);
}

static void
reply_data(struct side *to, struct gs_slice bytes)
{
    struct exchange *x = of_reply(to);

    x->answer->ops->data(x->answer, bytes);
}

static void
reply_trailers(struct side *to, struct head *t)
{
    struct exchange *x = of_reply(to);

    x->answer->ops->trailers(x->answer, t);
}

static void
reply_end(struct side *to)
{
    struct exchange *x = of_reply(to);

    x->answer_over = true;
    gs_loop_disarm(x->worker->loop, &x->timer);
    if (x->request_over)
        x->attempt.upstream = NULL; /* both are over there too: it goes back to the pool */
    x->answer->ops->end(x->answer);
    maybe_done(x);
}

static void
reply_reset(struct side *to, enum reason why)
{
    struct exchange *x = of_reply(to);

    x->attempt.upstream = NULL;
    if (x->answer_over) { /* answered; only the rest of the request found no taker */
        x->request_over = true;
        x->answer->ops->reset(x->answer, REASON_NONE);
        maybe_done(x);
    } else if (gs_fsm_is(&x->fsm, X_ANSWERED)) {
        x->answer->ops->reset(x->answer, REASON_UPSTREAM_CUT);
        exchange_abandon(x, REASON_UPSTREAM_CUT);
    } else if (x->interim_sent) {
        answer_failed(x, why);
    } else {
        attempt_failed(x, why);
    }
}

static size_t
reply_room(struct side *to)
{
    struct exchange *x = of_reply(to);

    return x->answer->ops->room(x->answer);
}

static void
reply_resume(struct side *to)
{
    struct exchange *x = of_reply(to);

    if (!x->request_over)
        x->answer->ops->resume(x->answer);
}

static const struct side_ops reply_ops = { reply_head,  reply_data, reply_trailers, reply_end,
                                           reply_reset, reply_room, reply_resume };

static void
on_timer(struct gs_timer *t)
{
    struct exchange *x = GS_CONTAINER(t, struct exchange, timer);

    if (!gs_fsm_is(&x->fsm, X_ANSWERED)) {
        answer_failed(x, REASON_RESPONSE_TIMEOUT);
        return;
    }
    x->answer->ops->reset(x->answer, REASON_RESPONSE_TIMEOUT);
    exchange_abandon(x, REASON_RESPONSE_TIMEOUT);
}

/* ---- begin ---- */

static struct exchange *
exchange_new(struct worker *w, struct side *answer, const struct head *h)
{
    struct exchange *x = w->free_exchanges;

    if (x) {
        w->free_exchanges = x->next_free;
        w->free_exchange_count--;
    } else {
        x = gs_alloc(sizeof(*x));
    }
    memset(x, 0, offsetof(struct exchange, arena));
    x->request.ops = &request_ops;
    x->reply.ops = &reply_ops;
    x->answer = answer;
    x->worker = w;
    x->begun_ns = w->loop->now_ns;
    x->is_head = h->is_head;
    x->idempotent = h->idempotent;
    x->chunked = h->framing == FRAMING_CHUNKED;
    x->bodyless = h->framing == FRAMING_NONE;
    x->body_whole = true;
    gs_buf_init(&x->body, REPLAY_BYTES_MAX + LOOP_SCRATCH_BYTES);
    gs_list_init(&x->attempt.waiter.link);
    x->attempt.waiter.ready = on_ready;
    gs_timer_init(&x->timer, on_timer);
    gs_list_init(&x->grave.link);
    gs_fsm_init(&x->fsm, &x_fsm, X_WAITING);
    gs_arena_init(&x->arena, x->arena_bytes, sizeof(x->arena_bytes), 4096);
    counter_add(&w->counters.exchanges_open, 1);
    return x;
}

static void
count_in(struct exchange *x, uint32_t cell)
{
    x->cell = stat_table_get(x->worker->stats, cell);
    if (x->cell)
        atomic_store_explicit(&x->cell->active,
                              atomic_load_explicit(&x->cell->active, memory_order_relaxed) + 1,
                              memory_order_relaxed);
}

static struct gs_slice
request_id_line(struct gs_rng *rng, char out[64])
{
    static const char hex[] = "0123456789abcdef";
    static const char shape[] = "x-request-id: xxxxxxxx-xxxx-4xxx-axxx-xxxxxxxxxxxx\r\n";
    uint64_t bits = 0;
    unsigned left = 0;

    for (size_t i = 0; i < sizeof(shape) - 1; i++) {
        out[i] = shape[i];
        if (shape[i] != 'x' || i < 14)
            continue;
        if (left == 0) {
            bits = gs_rng_next(rng);
            left = 16;
        }
        out[i] = hex[bits & 15];
        bits >>= 4;
        left--;
    }
    return gs_slice(out, sizeof(shape) - 1);
}

static bool
has_request_id(const struct head *h)
{
    for (size_t i = 0; i < h->count; i++) {
        if (h->fields[i].id == FIELD_X_REQUEST_ID)
            return true;
    }
    return false;
}

static void
write_head(struct exchange *x, const struct head *h)
{
    struct gs_buf *out = h1_pool_buf(x->worker->h1);
    char line[64];
    struct gs_slice extra = GS_SLICE_NONE;

    if (!has_request_id(h))
        extra = request_id_line(&x->worker->loop->rng, line);
    h1_write_request(out, h, h->authority, extra);
    GS_ASSERT(!out->failed);
    x->head_bytes = gs_arena_copy(&x->arena, gs_buf_slice(out));
}

static void
start_timer(struct exchange *x)
{
    uint64_t ms = x->route.timeout_ms;

    x->whole_timeout = ms > 0;
    if (ms == 0)
        ms = x->worker->opts->response_ms;
    if (ms > 0)
        gs_loop_arm(x->worker->loop, &x->timer, ms);
}

struct side *
exchange_begin(struct worker *w, struct side *answer, struct head *h,
               const struct exchange_route *route)
{
    struct exchange *x = exchange_new(w, answer, h);

    x->route = *route;
    x->service_id = route->service->id;
    x->root = w->root;
    snapshot_pin(x->root, w->index);
    count_in(x, route->inbound ? route->subset->stat_in : route->subset->stat_out);
    if (!route->inbound)
        retry_earn(w, x->service_id);
    write_head(x, h);
    if (!route->inbound) /* the node that asked has its own */
        start_timer(x);
    attempt_start(x, false);
    exchange_check(x);
    return &x->request;
}

struct side *
exchange_refuse(struct worker *w, struct side *answer, struct head *h,
                const struct exchange_route *route, enum reason r, const char *details)
{
    struct exchange *x = exchange_new(w, answer, h);

    x->route.inbound = route->inbound;
    if (route->service)
        count_in(x, route->inbound ? route->service->subsets[SUBSET_ALL].stat_in
                                   : route->service->subsets[SUBSET_ALL].stat_out);
    exchange_answer(x, r, details);
    return &x->request;
}
