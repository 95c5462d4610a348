/* pool.c - idle connections by endpoint, most recently used first, and who waits for one. To an
 * endpoint of another node a connection is a stream of the mesh, and each caller has its own.
 *
 *   acquire ─▶ idle one, not stale ─▶ yours
 *           └▶ waiter queued, a connect started for it ─▶ whichever comes first, that connect or a
 *              released connection, serves the waiter that came first
 *
 * Idle ones are closed some time after their last use by one sweep timer for all: an instance's
 * soon, before its server does it; a stream of the mesh later. */
#include "proxy/pool.h"

#include <gossamer/alloc.h>

enum pool_kind { POOL_INSTANCES, POOL_MESH, POOL_KINDS };

static const uint64_t keep_ms[] = { POOL_IDLE_MS, MUX_STREAM_IDLE_MS };

struct pool {
    struct worker *worker;
    struct gs_list by_age[POOL_KINDS]; /* idle ones, longest idle first */
    struct gs_timer sweep;
    uint32_t open;    /* connections in any state */
    uint32_t waiting; /* waiters in all queues */
    bool closing;
};

static struct slot *
slot_of(const struct pool *p, const struct pool_queue *q)
{
    GS_ASSERT(q->at->generation % 2 == 1); /* of a slot in use */
    return slots_at(p->worker->root->slots, q->at->slot);
}

struct worker *
pool_worker(const struct pool *p)
{
    return p->worker;
}

/* The queue of this caller; instances of our own node are shared by all. */
static struct pool_queue *
queue_of(struct endpoint_state *at, uint32_t caller)
{
    struct pool_queue *q;

    if (!at->remote)
        caller = 0;
    if (at->queue.caller == caller)
        return &at->queue;
    GS_LIST_EACH(n, &at->queue.more) {
        q = GS_LIST_ENTRY(n, struct pool_queue, more);
        if (q->caller == caller)
            return q;
    }
    q = gs_zalloc(sizeof(*q));
    pool_queue_init(q, at, caller);
    gs_list_push_back(&at->queue.more, &q->more);
    return q;
}

void
pool_queue_init(struct pool_queue *q, struct endpoint_state *at, uint32_t caller)
{
    q->at = at;
    q->caller = caller;
    gs_list_init(&q->more);
    gs_list_init(&q->idle);
    gs_list_init(&q->waiters);
}

static void
sweep_arm(struct pool *p)
{
    uint64_t now = p->worker->loop->now_ms;
    uint64_t least = UINT64_MAX;

    if (gs_timer_armed(&p->sweep))
        return;
    for (int kind = 0; kind < POOL_KINDS; kind++) {
        uint64_t age;

        if (gs_list_empty(&p->by_age[kind]))
            continue;
        age = now - client_idle_since_ms(client_from_age(p->by_age[kind].next));
        age = age < keep_ms[kind] ? keep_ms[kind] - age : 1;
        least = age < least ? age : least;
    }
    if (least != UINT64_MAX)
        gs_loop_arm(p->worker->loop, &p->sweep, least);
}

static void
idle_remove(struct pool *p, struct client_conn *c, struct pool_queue *q)
{
    GS_ASSERT(q->idle_count > 0);
    gs_list_remove(client_by_endpoint(c));
    gs_list_remove(client_by_age(c));
    q->idle_count--;
    counter_sub(&p->worker->counters.upstream_idle, 1);
}

static void
sweep_kind(struct pool *p, int kind)
{
    uint64_t now = p->worker->loop->now_ms;

    while (!gs_list_empty(&p->by_age[kind])) {
        struct client_conn *c = client_from_age(p->by_age[kind].next);

        if (!p->closing && now - client_idle_since_ms(c) < keep_ms[kind])
            break;
        idle_remove(p, c, client_queue(c));
        client_close(c);
    }
}

static void
on_sweep(struct gs_timer *t)
{
    struct pool *p = GS_CONTAINER(t, struct pool, sweep);

    sweep_kind(p, POOL_INSTANCES);
    sweep_kind(p, POOL_MESH);
    GS_DEBUG_ASSERT((pool_check(p), true));
    sweep_arm(p);
}

void
pool_drop_stale_streams(struct pool *p)
{
    GS_LIST_EACH_SAFE(n, &p->by_age[POOL_MESH]) {
        struct client_conn *c = client_from_age(n);

        if (!client_stale(c))
            continue;
        idle_remove(p, c, client_queue(c));
        client_close(c);
    }
}

static uint32_t
check_kind(const struct pool *p, int kind)
{
    uint64_t last_ms = 0;
    uint32_t idle = 0;

    GS_LIST_EACH(n, (struct gs_list *)(uintptr_t)&p->by_age[kind]) {
        struct client_conn *c = client_from_age(n);
        const struct pool_queue *q = client_queue(c);

        GS_ASSERT(client_idle_since_ms(c) >= last_ms); /* the sweep stops at the first young one */
        GS_ASSERT(gs_list_linked(client_by_endpoint(c)));
        GS_ASSERT(client_is_mesh(c) == (kind == POOL_MESH));
        GS_ASSERT(q->idle_count > 0);
        last_ms = client_idle_since_ms(c);
        idle++;
    }
    return idle;
}

void
pool_check(struct pool *p)
{
    uint32_t idle = check_kind(p, POOL_INSTANCES) + check_kind(p, POOL_MESH);

    GS_ASSERT(idle <= p->open);
    GS_ASSERT(atomic_load_explicit(&p->worker->counters.upstream_idle, memory_order_relaxed) ==
              idle);
    GS_ASSERT(atomic_load_explicit(&p->worker->counters.upstream_open, memory_order_relaxed) ==
              p->open);
}

struct pool *
pool_new(struct worker *w)
{
    struct pool *p = gs_zalloc(sizeof(*p));

    p->worker = w;
    for (int kind = 0; kind < POOL_KINDS; kind++)
        gs_list_init(&p->by_age[kind]);
    gs_timer_init(&p->sweep, on_sweep);
    return p;
}

void
pool_free(struct pool *p)
{
    if (!p)
        return;
    GS_ASSERT(p->open == 0);
    GS_ASSERT(p->waiting == 0);
    gs_free(p);
}

bool
pool_empty(const struct pool *p)
{
    return p->open == 0;
}

void
pool_close(struct pool *p)
{
    p->closing = true;
    gs_loop_disarm(p->worker->loop, &p->sweep);
    on_sweep(&p->sweep);
}

static bool
start_connect(struct pool *p, struct pool_queue *q)
{
    struct client_conn *c = client_connect(p, q);

    if (!c)
        return false;
    q->connecting++;
    p->open++;
    counter_add(&p->worker->counters.upstream_connects, 1);
    counter_add(&p->worker->counters.upstream_open, 1);
    atomic_fetch_add_explicit(&slot_of(p, q)->pooled, 1, memory_order_relaxed);
    return true;
}

/* An idle connection fit for use, or NULL. */
static struct client_conn *
take_idle(struct pool *p, struct pool_queue *q, enum pool_want want)
{
    uint64_t now = p->worker->loop->now_ms;
    /* The time of the turn does not tell how long it was idle: the answer, the FIN behind it and
     * this request may all be read in one turn. */
    uint64_t peek_after = want == POOL_SURE ? 0 : POOL_PEEK_AFTER_MS;

    GS_ASSERT(want != POOL_NEW);
    while (!gs_list_empty(&q->idle)) {
        struct client_conn *c = client_from_endpoint(q->idle.next);

        idle_remove(p, c, q);
        /* Its FIN may be waiting behind other events of this turn. */
        if ((now - client_idle_since_ms(c) < peek_after && !client_doubtful(c)) ||
            !client_stale(c)) {
            client_take(c);
            return c;
        }
        client_close(c);
    }
    return NULL;
}

gs_err
pool_acquire(struct pool *p, const struct endpoint *e, uint32_t caller, enum pool_want want,
             struct pool_waiter *waiter, struct client_conn **out)
{
    struct endpoint_state *at = worker_endpoint(p->worker, e);
    struct pool_queue *q = queue_of(at, caller);

    GS_ASSERT(!waiter->queue);
    at->mesh = e->mesh; /* its node may have moved */
    if (want != POOL_NEW && (*out = take_idle(p, q, want)))
        return GS_E_OK;
    if (p->waiting >= POOL_WAITERS_MAX)
        return GS_E_LIMIT;
    if (q->connecting < POOL_CONNECTS_MAX && !start_connect(p, q) && q->connecting == 0)
        return GS_E_LIMIT; /* out of descriptors, and nothing under way that could serve us */
    waiter->queue = q;
    waiter->want = want;
    gs_list_push_back(&q->waiters, &waiter->link);
    q->waiting++;
    p->waiting++;
    atomic_fetch_add_explicit(&slot_of(p, q)->pending, 1, memory_order_relaxed);
    return GS_E_AGAIN;
}

static void
waiter_remove(struct pool *p, struct pool_waiter *w)
{
    struct pool_queue *q = w->queue;

    GS_ASSERT(q->waiting > 0);
    GS_ASSERT(p->waiting > 0);
    gs_list_remove(&w->link);
    w->queue = NULL;
    q->waiting--;
    p->waiting--;
    atomic_fetch_sub_explicit(&slot_of(p, q)->pending, 1, memory_order_release);
}

void
pool_cancel(struct pool *p, struct pool_waiter *waiter)
{
    if (waiter->queue)
        waiter_remove(p, waiter);
}

/* Who has waited longest; of those whom a kept connection is good enough for, if it is one. */
static struct pool_waiter *
find_waiter(struct pool_queue *q, bool kept)
{
    GS_LIST_EACH(n, &q->waiters) {
        struct pool_waiter *w = GS_LIST_ENTRY(n, struct pool_waiter, link);

        GS_ASSERT(w->queue == q);
        if (kept && w->want == POOL_NEW)
            continue;
        return w;
    }
    return NULL;
}

static struct pool_waiter *
first_waiter(struct pool *p, struct pool_queue *q, bool kept)
{
    struct pool_waiter *w = find_waiter(q, kept);

    if (w)
        waiter_remove(p, w);
    return w;
}

/* Whoever waits has a connect under way for it, or is told that it gets none. */
static void
serve_waiters(struct pool *p, struct pool_queue *q)
{
    struct pool_waiter *w;

    while (q->waiting > q->connecting && q->connecting < POOL_CONNECTS_MAX)
        if (!start_connect(p, q))
            break;
    while (q->connecting == 0 && (w = first_waiter(p, q, false)))
        w->ready(w, NULL, REASON_LIMIT);
}

/* A connection is there to be used: for who waits first, else it is parked. */
static void
offer(struct pool *p, struct client_conn *c, struct pool_queue *q)
{
    bool kept = client_reused(c);
    struct pool_waiter *w = find_waiter(q, kept);
    bool sure = w && kept && w->want == POOL_SURE;

    if ((sure || client_doubtful(c)) && client_stale(c)) {
        client_close(c);
        serve_waiters(p, q);
        return;
    }
    if (w) {
        waiter_remove(p, w);
        w->ready(w, c, REASON_NONE);
        return;
    }
    if (p->closing || q->idle_count >= POOL_IDLE_MAX) {
        client_close(c);
        return;
    }
    client_park(c);
    gs_list_push_front(&q->idle, client_by_endpoint(c));
    gs_list_push_back(&p->by_age[client_is_mesh(c) ? POOL_MESH : POOL_INSTANCES], client_by_age(c));
    q->idle_count++;
    counter_add(&p->worker->counters.upstream_idle, 1);
    sweep_arm(p);
}

void
pool_released(struct pool *p, struct client_conn *c, struct pool_queue *q)
{
    offer(p, c, q);
}

void
pool_connected(struct pool *p, struct client_conn *c, struct pool_queue *q)
{
    GS_ASSERT(q->connecting > 0);
    q->connecting--;
    offer(p, c, q);
    serve_waiters(p, q);
}

void
pool_connect_failed(struct pool *p, struct pool_queue *q, enum reason why)
{
    struct pool_waiter *w = first_waiter(p, q, false);

    GS_ASSERT(q->connecting > 0);
    q->connecting--;
    counter_add(&p->worker->counters.upstream_connect_failures, 1);
    if (w)
        w->ready(w, NULL, why);
    serve_waiters(p, q);
}

void
pool_idle_gone(struct pool *p, struct client_conn *c, struct pool_queue *q)
{
    idle_remove(p, c, q);
}

void
pool_conn_gone(struct pool *p, struct pool_queue *q)
{
    GS_ASSERT(p->open > 0);
    p->open--;
    counter_sub(&p->worker->counters.upstream_open, 1);
    atomic_fetch_sub_explicit(&slot_of(p, q)->pooled, 1, memory_order_release);
    serve_waiters(p, q);
    worker_conn_closed(p->worker);
}
