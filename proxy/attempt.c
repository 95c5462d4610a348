/* attempt.c - one attempt to have a request answered by an endpoint, and whether there is another.
 * What cannot be answered by any is answered by us (exchange_answer). */
#include "proxy/exchange.h"

#include <stdio.h>

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
void
attempt_cancel(struct exchange *x, enum reason r)
{
    struct side *upstream = x->attempt.upstream;

    x->attempt.upstream = NULL;
    attempt_over(x, r);
    if (upstream)
        upstream->ops->reset(upstream, r);
}

void
attempt_answer_failed(struct exchange *x, enum reason r)
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

/* May this request be sent again after it was sent? Any may, if a node of ours says that it was
 * not processed. */
bool
attempt_may_repeat(const struct exchange *x)
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
    if ((!attempt_may_repeat(x) && x->body.len > 0) || x->body.len > REPLAY_BYTES_MAX) {
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
void
attempt_failed(struct exchange *x, enum reason r)
{
    bool was_sent = gs_fsm_is(&x->fsm, X_SENT);
    bool stale = was_sent && r == REASON_UPSTREAM_CLOSED && x->attempt.reused &&
                 x->stale_retries < ATTEMPTS_MAX;

    attempt_over(x, r);
    if (x->root && !stale && r != REASON_LIMIT) /* a limit is ours */
        balance_failed(x->worker, x->attempt.endpoint, x->attempt.begun_ns);
    if (!replayable(x) || (was_sent && !x->idempotent) ||
        (was_sent && r != REASON_UPSTREAM_CLOSED)) {
        attempt_answer_failed(x, r);
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
        attempt_answer_failed(x, r);
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
void
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
        attempt_answer_failed(x, r);
        return;
    }
    err = pool_acquire(x->worker->pool, e, x->route.caller, fresh, &x->attempt.waiter, &conn);
    if (err == GS_E_OK)
        attempt_send(x, conn);
    else if (err != GS_E_AGAIN)
        attempt_answer_failed(x, REASON_LIMIT);
}

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

bool
attempt_refused(struct exchange *x, const struct head *h)
{
    if (!not_processed(x, h))
        return false;
    balance_failed(x->worker, x->attempt.endpoint, x->attempt.begun_ns);
    if (!retry_elsewhere(x))
        return false;
    attempt_cancel(x, REASON_PEER_REFUSED);
    attempt_start(x, false);
    return true;
}

void
attempt_init(struct exchange *x)
{
    gs_list_init(&x->attempt.waiter.link);
    x->attempt.waiter.ready = on_ready;
}
