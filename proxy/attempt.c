/* attempt.c - one attempt to have a request answered by an endpoint, what it says of that endpoint,
 * and whether there is another.
 *
 *   start ─▶ an endpoint ─▶ a connection ─▶ sent ─▶ head: the instance has answered
 *              ▲               │              │        │
 *              │          none to be had   cut, late,  │ its node says that it has not
 *              │               ▼           or unwell   ▼
 *              └─────────── another? (cause, method, what was sent, budget) ──no─▶ our own answer
 *
 * A kept connection that its instance had closed already makes no attempt: the request is sent
 * again on a new one, to the same endpoint, and nobody is to blame. */
#include "proxy/exchange.h"

#include <stdio.h>

/* ---- what it says of the endpoint ---- */

static struct slot *
slot_of(const struct exchange *x)
{
    GS_ASSERT(x->root);
    GS_ASSERT(x->attempt.slot);
    return x->attempt.slot;
}

static void
note_ejection(struct exchange *x, enum outlier_fault f)
{
    counter_add(&x->worker->counters.ejections[f], 1);
    proxy_ejections_changed(x->worker->proxy);
}

static void
note_readmission(struct exchange *x)
{
    counter_add(&x->worker->counters.readmissions, 1);
    proxy_ejections_changed(x->worker->proxy);
}

/* What this node's own callers find counts here; others count what theirs do. */
static void
judge_fault(struct exchange *x, enum outlier_fault f)
{
    struct attempt *a = &x->attempt;
    struct outlier_pool pool;

    if (x->route.inbound)
        return;
    pool = worker_outliers(x->worker, x->route.subset);
    if (a->trial.token != 0) {
        if (outlier_tried_fault(&pool, slot_of(x), &a->trial, f))
            note_ejection(x, f);
        else if (!outlier_is_out(slot_of(x)))
            note_readmission(x);
        return;
    }
    switch (outlier_fault(&pool, a->endpoint, f)) {
    case OUTLIER_NOTED:
        break;
    case OUTLIER_EJECTED:
        note_ejection(x, f);
        break;
    case OUTLIER_HELD:
        counter_add(&x->worker->counters.ejections_held, 1);
        break;
    }
}

static void
judge_good(struct exchange *x)
{
    struct attempt *a = &x->attempt;

    balance_succeeded(x->worker, a->endpoint);
    if (x->route.inbound)
        return;
    if (a->trial.token == 0)
        outlier_good(slot_of(x));
    else if (outlier_tried_good(slot_of(x), &a->trial, x->worker->loop->now_ms))
        note_readmission(x);
}

/* A kept connection ended instead of an answer: likely it was stale, which is nobody's fault. One
 * that ends them all looks alike, so the next one before an answer is its fault. */
static bool
excuse(struct exchange *x)
{
    struct endpoint_state *at = worker_endpoint(x->worker, x->attempt.endpoint);
    bool first = !at->excused;

    at->excused = true;
    return first;
}

/* An answer of the instance itself. */
static void
judge_answer(struct exchange *x, unsigned status)
{
    worker_endpoint(x->worker, x->attempt.endpoint)->excused = false;
    balance_observe(x->worker, x->attempt.endpoint, x->worker->loop->now_ns - x->attempt.begun_ns);
    if (status < 500)
        judge_good(x);
    else
        judge_fault(x, status >= 502 && status <= 504 ? OUTLIER_GATEWAY : OUTLIER_5XX);
}

/* No answer, or none that is one. */
static void
judge_failure(struct exchange *x, enum reason r)
{
    switch (r) {
    case REASON_LIMIT: /* ours */
        return;
    case REASON_PEER_REFUSED: /* its node's business: it is stopping, or just starting */
    case REASON_MISDIRECTED:
        if (x->attempt.trial.token != 0)
            outlier_tried_in_vain(slot_of(x), &x->attempt.trial, x->worker->loop->now_ms);
        break;
    case REASON_CONNECT_REFUSED:
    case REASON_CONNECT_TIMEOUT:
    case REASON_UPSTREAM_CLOSED:
    case REASON_UPSTREAM_UNREAD:
    case REASON_RESPONSE_TIMEOUT:
        judge_fault(x, OUTLIER_LOCAL);
        break;
    default:
        judge_fault(x, OUTLIER_GATEWAY);
        break;
    }
    balance_failed(x->worker, x->attempt.endpoint, x->attempt.begun_ns);
}

/* ---- the end of one ---- */

/* The attempt is over, well or not: nobody counts on it any more. */
static void
attempt_over(struct exchange *x, enum reason r)
{
    struct attempt *a = &x->attempt;

    pool_cancel(x->worker->pool, &a->waiter);
    gs_list_remove(&a->link);
    inbound_close(&a->inbound, x->worker, x->status, r);
    if (!a->slot)
        return;
    if (a->trial.token != 0)
        outlier_tried_nothing(a->slot, &a->trial);
    atomic_fetch_sub_explicit(&a->slot->active, 1, memory_order_release);
    a->slot = NULL;
}

void
attempt_cancel(struct exchange *x, enum reason r)
{
    struct side *upstream = x->attempt.upstream;

    x->attempt.upstream = NULL;
    attempt_over(x, r);
    if (upstream)
        upstream->ops->reset(upstream, r);
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
             reason_info(r)->text, gs_addr_text(&e->addr, addr), GS_SLICE_FMT(e->node),
             x->tried.count, ATTEMPTS_MAX);
    exchange_answer(x, r, details);
}

/* ---- another one? ---- */

static bool
unanswered(const struct exchange *x)
{
    return x->root && !x->interim_sent && !x->answer_over;
}

/* Can it be sent again? Asked last: what only the size of its body forbids is counted, once. */
static bool
replayable(struct exchange *x)
{
    GS_ASSERT(!x->body_outgrown || !x->body_whole);
    if (x->body_outgrown)
        counter_add(&x->worker->counters.retries_too_large, 1);
    x->body_outgrown = false;
    return x->body_whole;
}

static bool
same_service(const struct service *a, const struct service *b)
{
    return a->port == b->port && gs_slice_eq(a->name, b->name) && gs_slice_eq(a->ns, b->ns);
}

/* The subset as the newest snapshot has it: the rule that chose it stands, but whom a retry goes to
 * is today's question. NULL: as it was. */
static const struct subset *
newest_subset(const struct exchange *x, const struct service **service)
{
    const struct service *former = x->route.target;
    const struct service *s;
    uint32_t at;

    if (x->root == x->worker->root)
        return NULL;
    s = snapshot_service(x->worker->root, former->id);
    if (!s || s == former || !same_service(s, former))
        return NULL;
    at = service_subset(s, x->route.subset->name);
    if (at >= s->subset_count || s->subsets[at].count == 0)
        return NULL;
    *service = s;
    return &s->subsets[at];
}

/* From now on it is routed by the newest snapshot. */
static void
move_to_newest(struct exchange *x)
{
    struct worker *w = x->worker;
    const struct service *service = NULL;
    const struct subset *newest = newest_subset(x, &service);

    if (!newest)
        return;
    GS_ASSERT(!x->route.only);
    snapshot_pin(w->root, w->index);
    snapshot_unpin(x->root, w->index);
    x->root = w->root;
    x->route.service = NULL; /* of the former root; the rule was followed already */
    x->route.target = service;
    x->route.subset = newest;
    x->attempt.endpoint = NULL;
}

static bool
other_endpoint(const struct exchange *x)
{
    const struct service *service;
    const struct subset *s = newest_subset(x, &service);

    if (x->route.only)
        return false;
    if (!s)
        s = x->route.subset;
    for (uint32_t i = 0; i < s->count; i++) {
        if (!tried_has(&x->tried, s->endpoints[i]))
            return true;
    }
    return false;
}

static bool
spend(struct exchange *x)
{
    struct worker *w = x->worker;
    struct service_state *s = worker_service(w, x->service_id);

    if (retry_spend(&s->retry, &w->retry_floors[x->service_id], w->loop->now_ms))
        return true;
    counter_add(&w->counters.retries_denied, 1);
    if (x->cell)
        stat_add(&x->cell->retries_denied, 1);
    return false;
}

/* True: another attempt is due, and paid for. */
static bool
retry_elsewhere(struct exchange *x, enum retry_cause cause)
{
    GS_ASSERT(cause < RETRY_CAUSES);
    if (!unanswered(x))
        return false;
    if (x->tried.count >= ATTEMPTS_MAX || !other_endpoint(x)) {
        x->retries_used = x->tried.count > 1 && x->body_whole;
        return false;
    }
    if (!replayable(x) || !spend(x))
        return false;
    counter_add(&x->worker->counters.retries[cause], 1);
    if (x->cell)
        stat_add(&x->cell->retries[cause], 1);
    move_to_newest(x);
    return true;
}

/* Does this failure let the request go elsewhere? What was not sent, or cannot have arrived, goes
 * whatever its method is. */
static bool
may_go(const struct exchange *x, enum reason r, bool sent, enum retry_cause *cause)
{
    switch (r) {
    case REASON_CONNECT_REFUSED:
    case REASON_CONNECT_TIMEOUT:
    case REASON_LIMIT:
        *cause = RETRY_CONNECT;
        return !sent;
    case REASON_PEER_REFUSED:
    case REASON_MISDIRECTED:
        *cause = RETRY_REFUSED;
        return !sent;
    case REASON_UPSTREAM_UNREAD:
        *cause = RETRY_RESET;
        return true;
    case REASON_UPSTREAM_CLOSED:
        *cause = RETRY_RESET;
        return x->idempotent;
    default: /* an answer has begun */
        return false;
    }
}

/* ---- sending ---- */

bool
attempt_may_repeat(const struct exchange *x)
{
    return x->idempotent || x->attempt.mesh || x->attempt.reused;
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
        x->body_outgrown = attempt_may_repeat(x);
        gs_buf_fini(&x->body); /* it will not be sent again */
        x->body_whole = false;
    }
}

static void
attempt_send(struct exchange *x, struct client_conn *conn)
{
    struct client_request what = { .is_head = x->is_head, .chunked = x->chunked };

    GS_ASSERT(x->body_whole); /* all of it that came so far goes now */
    gs_fsm_move(&x->fsm, X_SENT);
    x->attempt.reused = client_reused(conn);
    x->attempt.mesh = client_is_mesh(conn);
    x->attempt.upstream = client_send(conn, x->head_bytes, &what, &x->reply);
    send_body(x);
    /* The client may have been held back while nobody took its body. */
    if (!x->request_over)
        x->answer->ops->resume(x->answer);
}

static void
get_connection(struct exchange *x, enum pool_want want)
{
    struct attempt *a = &x->attempt;
    struct client_conn *conn = NULL;
    gs_err err;

    a->upstream = NULL;
    a->reused = a->mesh = false;
    if (!gs_fsm_is(&x->fsm, X_WAITING))
        gs_fsm_move(&x->fsm, X_WAITING);
    err = pool_acquire(x->worker->pool, a->endpoint, x->route.caller, want, &a->waiter, &conn);
    if (err == GS_E_OK)
        attempt_send(x, conn);
    else if (err != GS_E_AGAIN)
        attempt_failed(x, REASON_LIMIT); /* as if it had waited in vain */
}

static void
enter(struct exchange *x, const struct endpoint *e)
{
    struct attempt *a = &x->attempt;
    struct worker *w = x->worker;

    GS_ASSERT(!a->slot);
    GS_ASSERT(x->tried.count < ATTEMPTS_MAX);
    x->tried.slots[x->tried.count++] = e->slot;
    a->endpoint = e;
    a->begun_ns = w->loop->now_ns;
    a->slot = slots_at(x->root->slots, e->slot);
    atomic_fetch_add_explicit(&a->slot->active, 1, memory_order_relaxed);
    if (x->route.inbound) /* who asked has its own clock, and its own alternatives */
        return;
    gs_list_push_back(&worker_endpoint(w, e)->unanswered, &a->link);
    if (!x->whole_timeout && w->root->timeouts.response_ms > 0)
        gs_loop_arm(w->loop, &x->timer, w->root->timeouts.response_ms);
}

void
attempt_start(struct exchange *x)
{
    struct attempt *a = &x->attempt;
    const struct endpoint *e = x->route.only;
    enum reason r = REASON_NONE;

    GS_ASSERT(a->trial.token == 0);
    if (!e)
        e = balance_pick(x->worker, x->route.subset, &x->tried, &a->trial);
    if (!e) {
        exchange_answer(x, REASON_NO_ENDPOINT, "no usable endpoint");
        return;
    }
    if (a->trial.token != 0)
        counter_add(&x->worker->counters.trials, 1);
    enter(x, e);
    if (e->local && !x->route.inbound)
        r = inbound_open(&a->inbound, x->worker, x->route.target, x->route.subset, e);
    if (r != REASON_NONE)
        answer_failed(x, r);
    else
        get_connection(x, x->idempotent ? POOL_ANY : POOL_SURE);
}

/* ---- what becomes of one ---- */

/* Once more to the same endpoint, on a connection that nobody has kept. */
static bool
send_anew(struct exchange *x, unsigned most)
{
    struct side *upstream = x->attempt.upstream;

    if (!unanswered(x) || x->stale_retries >= most || !replayable(x))
        return false;
    x->attempt.upstream = NULL;
    if (upstream) /* of a node that answered in its stead */
        upstream->ops->reset(upstream, REASON_PEER_REFUSED);
    x->stale_retries++;
    x->retries_used = false;
    counter_add(&x->worker->counters.stale, 1);
    get_connection(x, POOL_NEW);
    return true;
}

void
attempt_failed(struct exchange *x, enum reason r)
{
    struct attempt *a = &x->attempt;
    bool sent = gs_fsm_is(&x->fsm, X_SENT);
    bool kept = sent && a->reused;
    enum retry_cause cause;

    GS_ASSERT(sent || gs_fsm_is(&x->fsm, X_WAITING));
    GS_ASSERT(r != REASON_NONE);
    if (kept && r == REASON_UPSTREAM_UNREAD && send_anew(x, ATTEMPTS_MAX))
        return; /* the instance had closed it already: nobody is to blame */
    if (!(kept && r == REASON_UPSTREAM_CLOSED && excuse(x)))
        judge_failure(x, r);
    if (may_go(x, r, sent, &cause) && retry_elsewhere(x, cause)) {
        attempt_over(x, r);
        attempt_start(x);
        return;
    }
    /* It may be that it had, although nothing proves it; a stale connection shall cost nobody a
     * request that may be asked twice. Another node tells who asked it, who may know somebody
     * else. */
    if (kept && r == REASON_UPSTREAM_CLOSED && x->idempotent && !x->route.inbound &&
        send_anew(x, 1))
        return;
    answer_failed(x, r);
}

void
attempt_timed_out(struct exchange *x)
{
    const struct attempt *a = &x->attempt;
    bool sent = gs_fsm_is(&x->fsm, X_SENT);
    uint64_t lasted_ns = x->worker->loop->now_ns - a->begun_ns;

    GS_ASSERT(sent || gs_fsm_is(&x->fsm, X_WAITING));
    /* The time of all attempts may be over when the last one has hardly begun. */
    if (!x->whole_timeout || 2 * lasted_ns >= x->worker->loop->now_ns - x->begun_ns)
        judge_failure(x, REASON_RESPONSE_TIMEOUT);
    if (!x->whole_timeout && (!sent || (x->idempotent && !client_heard(a->upstream))) &&
        retry_elsewhere(x, RETRY_TIMEOUT)) {
        attempt_cancel(x, REASON_RESPONSE_TIMEOUT);
        attempt_start(x);
    } else {
        answer_failed(x, REASON_RESPONSE_TIMEOUT);
    }
}

/* Did the other node answer in the instance's place? What it says of the request itself (400, 403,
 * 429, ...) would be said again, and is the answer. */
static enum mux_outcome
said_by_node(const struct exchange *x, const struct head *h)
{
    const struct field *f;

    if (!x->attempt.mesh || (h->status < 500 && h->status != 421))
        return OUTCOME_NONE;
    f = head_find(h, GS_SLICE("gossamer-outcome"));
    return f ? mux_outcome_parse(f->value) : OUTCOME_NONE;
}

static bool
says_unreachable(const struct head *h)
{
    const struct field *f = head_find(h, GS_SLICE("proxy-status"));

    return f && (gs_slice_starts(f->value, GS_SLICE("gossamer; error=connection_refused")) ||
                 gs_slice_starts(f->value, GS_SLICE("gossamer; error=connection_timeout")));
}

static bool
node_answered(struct exchange *x, const struct head *h, enum mux_outcome said)
{
    enum retry_cause cause = RETRY_RESET;
    bool may = false;

    switch (said) {
    case OUTCOME_NOT_PROCESSED:
        cause = RETRY_REFUSED;
        may = true;
        judge_failure(x, says_unreachable(h) ? REASON_CONNECT_REFUSED : REASON_PEER_REFUSED);
        break;
    case OUTCOME_UNKNOWN:
    case OUTCOME_STALE:
        may = x->idempotent;
        if (!(said == OUTCOME_STALE && excuse(x)))
            judge_failure(x, REASON_UPSTREAM_CLOSED);
        break;
    case OUTCOME_PROCESSED:
    case OUTCOME_NONE:
        judge_failure(x, REASON_UPSTREAM_HEAD);
        break;
    }
    if (may && retry_elsewhere(x, cause)) {
        attempt_cancel(x, REASON_PEER_REFUSED);
        attempt_start(x);
        return true;
    }
    return may && said == OUTCOME_STALE && send_anew(x, 1);
}

bool
attempt_head(struct exchange *x, const struct head *h)
{
    enum mux_outcome said;

    GS_ASSERT(gs_fsm_is(&x->fsm, X_SENT));
    if (h->status < 200)
        return false;
    said = said_by_node(x, h);
    if (said != OUTCOME_NONE && node_answered(x, h, said))
        return true;
    if (said == OUTCOME_NONE)
        judge_answer(x, h->status);
    gs_list_remove(&x->attempt.link);
    return false;
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

void
attempt_init(struct exchange *x)
{
    gs_list_init(&x->attempt.link);
    gs_list_init(&x->attempt.waiter.link);
    x->attempt.waiter.ready = on_ready;
}

/* ---- endpoints that are unwell by now ---- */

/* It waits where it had better not. It stays, if it may not be asked twice, if there is nobody
 * better, and if the budget does not allow it: it may still be answered. */
static void
leave_unwell(struct exchange *x)
{
    bool sent = gs_fsm_is(&x->fsm, X_SENT);

    GS_ASSERT(sent || gs_fsm_is(&x->fsm, X_WAITING));
    if (sent && (!x->idempotent || client_heard(x->attempt.upstream)))
        return;
    if (!retry_elsewhere(x, RETRY_UNHEALTHY))
        return;
    attempt_cancel(x, REASON_MOVED);
    attempt_start(x);
}

static bool
is_chosen_from(const struct service *s, const struct exchange *x, const struct endpoint *e)
{
    uint32_t at = service_subset(s, x->route.subset->name);

    for (uint32_t i = 0; at < s->subset_count && i < s->subsets[at].count; i++) {
        if (s->subsets[at].endpoints[i] == e)
            return true;
    }
    return false;
}

static void
leave_endpoint(struct worker *w, const struct service *s, const struct endpoint *e)
{
    struct endpoint_state *at = atomic_load_explicit(&w->endpoints[e->slot], memory_order_relaxed);
    struct gs_list waiting;
    struct gs_list *n;

    if (!at || at->generation != e->generation || gs_list_empty(&at->unanswered))
        return;
    gs_list_init(&waiting);
    gs_list_splice(&waiting, &at->unanswered);
    while ((n = gs_list_pop_front(&waiting))) {
        struct exchange *x = GS_LIST_ENTRY(n, struct exchange, attempt.link);

        GS_ASSERT(x->attempt.slot == slots_at(w->root->slots, e->slot));
        gs_list_push_back(&at->unanswered, n);
        /* When all are unwell, it is as good as the others. */
        if (same_service(s, x->route.target) && !is_chosen_from(s, x, e))
            leave_unwell(x);
    }
}

void
attempt_on_snapshot(struct worker *w, const struct snapshot *former)
{
    const struct snapshot *root = w->root;

    GS_ASSERT(former != root);
    for (uint32_t i = 0; i < root->service_count; i++) {
        const struct service *s = root->services[i];

        if (!s || (i < former->service_count && former->services[i] == s))
            continue;
        for (uint32_t k = 0; k < s->endpoint_count; k++) {
            const struct endpoint *e = &s->endpoints[k];

            if (e->tier == TIER_UNHEALTHY || e->tier == TIER_LOST)
                leave_endpoint(w, s, e);
        }
    }
}
