/* pool.c - idle connections by endpoint, most recently used first, and who waits for one.
 *
 *   acquire ─▶ idle one, not stale ─▶ yours
 *           └▶ waiter queued, a connect started for it ─▶ whichever comes first, that connect or a
 *              released connection, serves the waiter that came first
 *
 * Idle ones are closed POOL_IDLE_MS after their last use by one sweep timer for all. */
#include "proxy/pool.h"

#include <gossamer/alloc.h>

struct pool {
    struct worker *worker;
    struct gs_list by_age; /* idle ones, longest idle first */
    struct gs_timer sweep;
    uint32_t open;    /* connections in any state */
    uint32_t waiting; /* waiters in all queues */
    bool closing;
};

static struct slot *
slot_of(const struct pool *p, const struct endpoint_state *at)
{
    GS_ASSERT(at->generation % 2 == 1); /* of a slot in use */
    return slots_at(p->worker->root->slots, at->slot);
}

struct worker *
pool_worker(const struct pool *p)
{
    return p->worker;
}

static void
sweep_arm(struct pool *p)
{
    struct client_conn *oldest;
    uint64_t age;

    if (gs_list_empty(&p->by_age) || gs_timer_armed(&p->sweep))
        return;
    oldest = client_from_age(p->by_age.next);
    age = p->worker->loop->now_ms - client_idle_since_ms(oldest);
    gs_loop_arm(p->worker->loop, &p->sweep, age < POOL_IDLE_MS ? POOL_IDLE_MS - age : 1);
}

static void
idle_remove(struct pool *p, struct client_conn *c, struct endpoint_state *at)
{
    GS_ASSERT(at->idle_count > 0);
    gs_list_remove(client_by_endpoint(c));
    gs_list_remove(client_by_age(c));
    at->idle_count--;
    counter_sub(&p->worker->counters.upstream_idle, 1);
}

static void
on_sweep(struct gs_timer *t)
{
    struct pool *p = GS_CONTAINER(t, struct pool, sweep);
    uint64_t now = p->worker->loop->now_ms;

    while (!gs_list_empty(&p->by_age)) {
        struct client_conn *c = client_from_age(p->by_age.next);

        if (!p->closing && now - client_idle_since_ms(c) < POOL_IDLE_MS)
            break;
        idle_remove(p, c, client_endpoint(c));
        client_close(c);
    }
    GS_DEBUG_ASSERT((pool_check(p), true));
    sweep_arm(p);
}

void
pool_check(struct pool *p)
{
    uint64_t last_ms = 0;
    uint32_t idle = 0;

    GS_LIST_EACH(n, &p->by_age) {
        struct client_conn *c = client_from_age(n);
        const struct endpoint_state *at = client_endpoint(c);

        GS_ASSERT(client_idle_since_ms(c) >= last_ms); /* the sweep stops at the first young one */
        GS_ASSERT(gs_list_linked(client_by_endpoint(c)));
        GS_ASSERT(at->idle_count > 0);
        last_ms = client_idle_since_ms(c);
        idle++;
    }
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
    gs_list_init(&p->by_age);
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
start_connect(struct pool *p, struct endpoint_state *at)
{
    struct client_conn *c = client_connect(p, at, &at->addr);

    if (!c)
        return false;
    at->connecting++;
    p->open++;
    counter_add(&p->worker->counters.upstream_connects, 1);
    counter_add(&p->worker->counters.upstream_open, 1);
    atomic_fetch_add_explicit(&slot_of(p, at)->pooled, 1, memory_order_relaxed);
    return true;
}

/* An idle connection fit for use, or NULL. */
static struct client_conn *
take_idle(struct pool *p, struct endpoint_state *at)
{
    uint64_t now = p->worker->loop->now_ms;

    while (!gs_list_empty(&at->idle)) {
        struct client_conn *c = client_from_endpoint(at->idle.next);

        idle_remove(p, c, at);
        /* Its FIN may be waiting behind other events of this turn. */
        if ((now - client_idle_since_ms(c) < POOL_PEEK_AFTER_MS && !client_doubtful(c)) ||
            !client_stale(c)) {
            client_take(c);
            return c;
        }
        client_close(c);
    }
    return NULL;
}

gs_err
pool_acquire(struct pool *p, const struct endpoint *e, bool fresh, struct pool_waiter *waiter,
             struct client_conn **out)
{
    struct endpoint_state *at = worker_endpoint(p->worker, e);

    GS_ASSERT(!waiter->at);
    if (!fresh && (*out = take_idle(p, at)))
        return GS_E_OK;
    if (p->waiting >= POOL_WAITERS_MAX)
        return GS_E_LIMIT;
    if (at->connecting < POOL_CONNECTS_MAX && !start_connect(p, at) && at->connecting == 0)
        return GS_E_LIMIT; /* out of descriptors, and nothing under way that could serve us */
    waiter->at = at;
    gs_list_push_back(&at->waiters, &waiter->link);
    at->waiting++;
    p->waiting++;
    atomic_fetch_add_explicit(&slot_of(p, at)->pending, 1, memory_order_relaxed);
    return GS_E_AGAIN;
}

static void
waiter_remove(struct pool *p, struct pool_waiter *w)
{
    struct endpoint_state *at = w->at;

    GS_ASSERT(at->waiting > 0);
    GS_ASSERT(p->waiting > 0);
    gs_list_remove(&w->link);
    w->at = NULL;
    at->waiting--;
    p->waiting--;
    atomic_fetch_sub_explicit(&slot_of(p, at)->pending, 1, memory_order_release);
}

void
pool_cancel(struct pool *p, struct pool_waiter *waiter)
{
    if (waiter->at)
        waiter_remove(p, waiter);
}

static struct pool_waiter *
first_waiter(struct pool *p, struct endpoint_state *at)
{
    struct pool_waiter *w;

    if (gs_list_empty(&at->waiters))
        return NULL;
    w = GS_LIST_ENTRY(at->waiters.next, struct pool_waiter, link);
    waiter_remove(p, w);
    return w;
}

/* Whoever waits has a connect under way for it, or is told that it gets none. */
static void
serve_waiters(struct pool *p, struct endpoint_state *at)
{
    struct pool_waiter *w;

    while (at->waiting > at->connecting && at->connecting < POOL_CONNECTS_MAX)
        if (!start_connect(p, at))
            break;
    while (at->connecting == 0 && (w = first_waiter(p, at)))
        w->ready(w, NULL, REASON_LIMIT);
}

/* A connection is there to be used: for who waits first, else it is parked. */
static void
offer(struct pool *p, struct client_conn *c, struct endpoint_state *at)
{
    struct pool_waiter *w;

    if (client_doubtful(c) && client_stale(c)) {
        client_close(c);
        serve_waiters(p, at);
        return;
    }
    w = first_waiter(p, at);
    if (w) {
        w->ready(w, c, REASON_NONE);
        return;
    }
    if (p->closing || at->idle_count >= POOL_IDLE_MAX) {
        client_close(c);
        return;
    }
    client_park(c);
    gs_list_push_front(&at->idle, client_by_endpoint(c));
    gs_list_push_back(&p->by_age, client_by_age(c));
    at->idle_count++;
    counter_add(&p->worker->counters.upstream_idle, 1);
    sweep_arm(p);
}

void
pool_released(struct pool *p, struct client_conn *c, struct endpoint_state *at)
{
    offer(p, c, at);
}

void
pool_connected(struct pool *p, struct client_conn *c, struct endpoint_state *at)
{
    GS_ASSERT(at->connecting > 0);
    at->connecting--;
    offer(p, c, at);
    serve_waiters(p, at);
}

void
pool_connect_failed(struct pool *p, struct endpoint_state *at, enum reason why)
{
    struct pool_waiter *w = first_waiter(p, at);

    GS_ASSERT(at->connecting > 0);
    at->connecting--;
    counter_add(&p->worker->counters.upstream_connect_failures, 1);
    if (w)
        w->ready(w, NULL, why);
    serve_waiters(p, at);
}

void
pool_idle_gone(struct pool *p, struct client_conn *c, struct endpoint_state *at)
{
    idle_remove(p, c, at);
}

void
pool_conn_gone(struct pool *p, struct endpoint_state *at)
{
    GS_ASSERT(p->open > 0);
    p->open--;
    counter_sub(&p->worker->counters.upstream_open, 1);
    atomic_fetch_sub_explicit(&slot_of(p, at)->pooled, 1, memory_order_release);
    serve_waiters(p, at);
    worker_conn_closed(p->worker);
}
