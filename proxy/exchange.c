/* exchange.c - one request and its answer, from judged head to end; the proxy's central machine.
 * It is two sides: `request` takes what the client sends, `reply` what the instance answers.
 *
 *   begin ──▶ WAITING ──connection──▶ SENT ──final head──▶ ANSWERED ──both over──▶ DONE
 *                │  ▲                   │                      │ cut: the answer is reset
 *                │  └── attempt.c ──────┤ none, or not in time
 *                ▼                      ▼
 *             REFUSED (an answer of our own) ──request over──▶ DONE
 *
 * All that a retry needs lives in struct attempt, made anew for each. A root is pinned from begin
 * until no further attempt is possible; after that only plain copies are kept, so a stream of hours
 * holds no snapshot. What came of the body is kept while it may be sent again, and while it cannot
 * be sent yet. */
#include "proxy/exchange.h"

#include <gossamer/alloc.h>

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
    GS_ASSERT(x->tried.count <= ATTEMPTS_MAX);
    GS_ASSERT(!(waiting || sent) || x->tried.count > 0);
    GS_ASSERT(gs_list_linked(&x->attempt.link) == ((waiting || sent) && !x->route.inbound));
    GS_ASSERT(waiting || sent || x->attempt.trial.token == 0);
    GS_ASSERT(!x->retries_used || x->tried.count > 1);
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
    GS_ASSERT(gs_fsm_is(&x->fsm, X_DONE));
    GS_ASSERT(!x->root);
    GS_ASSERT(!gs_list_linked(&x->attempt.link));
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

void
exchange_release_root(struct exchange *x)
{
    if (!x->root)
        return;
    snapshot_unpin(x->root, x->worker->index);
    x->root = NULL;
    x->attempt.endpoint = NULL;
}

static void
exchange_done(struct exchange *x)
{
    struct worker *w = x->worker;

    gs_fsm_move(&x->fsm, X_DONE);
    attempt_cancel(x, x->ended); /* one that still waits for the rest of the request */
    gs_loop_disarm(w->loop, &x->timer);
    exchange_release_root(x);
    counter_sub(&w->counters.exchanges_open, 1);
    if (x->cell) {
        uint64_t until = x->answered_ns ? x->answered_ns : w->loop->now_ns;

        stat_cell_answer(x->cell, x->status, x->ended, (until - x->begun_ns) / 1000);
        if (x->retries_used) /* beside what else is to be said */
            stat_add(&x->cell->reasons[REASON_RETRIES_USED], 1);
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
    if (!gs_fsm_is(&x->fsm, X_SENT) || r == REASON_UPSTREAM_UNREAD)
        return mux_outcome_text(OUTCOME_NOT_PROCESSED);
    if (r == REASON_UPSTREAM_BROKE || r == REASON_UPSTREAM_HEAD ||
        r == REASON_UPSTREAM_HEAD_LARGE || r == REASON_UPSTREAM_FRAMING ||
        r == REASON_UPSTREAM_UPGRADE)
        return mux_outcome_text(OUTCOME_PROCESSED); /* it was answered, if badly */
    if (r == REASON_UPSTREAM_CLOSED && x->attempt.reused)
        return mux_outcome_text(OUTCOME_STALE);
    return mux_outcome_text(OUTCOME_UNKNOWN);
}

void
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
                                                .retries_used = x->retries_used,
                                                .to_head = x->is_head });
    x->answer_over = true;
    maybe_done(x);
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
    x->body_outgrown = true;
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
        if (attempt_may_repeat(x))
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

static void
reply_head(struct side *to, struct head *h)
{
    struct exchange *x = of_reply(to);
    struct worker *w = x->worker;

    GS_ASSERT(gs_fsm_is(&x->fsm, X_SENT));
    if (attempt_head(x, h))
        return;
    if (h->status < 200) {
        x->interim_sent = true;
        x->answer->ops->head(x->answer, h);
        return;
    }
    gs_fsm_move(&x->fsm, X_ANSWERED);
    x->status = h->status;
    x->answered_ns = w->loop->now_ns;
    gs_buf_fini(&x->body);
    x->body_whole = false;
    exchange_release_root(x);
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
        attempt_timed_out(x);
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
    attempt_init(x);
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
    x->whole_timeout = route->timeout_ms > 0;
    write_head(x, h);
    if (!route->inbound) { /* the node that asked has its own budget and clock */
        retry_earn(&worker_service(w, x->service_id)->retry, w->loop->now_ms);
        if (x->whole_timeout)
            gs_loop_arm(w->loop, &x->timer, route->timeout_ms);
    }
    attempt_start(x);
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
