/* worker.c - one worker: its loop, its listeners, the snapshot it routes by, and its drain.
 *
 *   publish ─▶ wake ─▶ adopt (between two turns)       drain ─▶ accept what waits, close the
 *   door ─▶ server_accept ─▶ outbound_begin            listeners, GOAWAY to other nodes, let
 *   mesh listener ─▶ mesh_in of the least loaded       exchanges finish, close what is kept, then
 *                                                      stop once nothing is open */
#include "proxy/worker.h"

#include <inttypes.h>
#include <unistd.h>

#include <gossamer/alloc.h>
#include <gossamer/log.h>

#include "proxy/mesh.h"
#include "proxy/pool.h"

/* ---- per-slot and per-service state ---- */

static void
check_unused(const struct pool_queue *q)
{
    /* The slot went to another endpoint; slots_reap saw to it that nothing of ours was left. */
    GS_ASSERT(q->idle_count == 0);
    GS_ASSERT(q->waiting == 0);
}

struct endpoint_state *
worker_endpoint(struct worker *w, const struct endpoint *e)
{
    struct endpoint_state *at = atomic_load_explicit(&w->endpoints[e->slot], memory_order_relaxed);

    GS_ASSERT(e->generation % 2 == 1); /* of a slot in use */
    if (at && at->generation == e->generation)
        return at;
    if (!at) {
        at = gs_zalloc(sizeof(*at));
        pool_queue_init(&at->queue, at, 0);
        gs_list_init(&at->unanswered);
        atomic_store_explicit(&w->endpoints[e->slot], at, memory_order_release);
    }
    check_unused(&at->queue);
    GS_LIST_EACH(n, &at->queue.more)
        check_unused(GS_LIST_ENTRY(n, struct pool_queue, more));
    GS_ASSERT(gs_list_empty(&at->unanswered));
    at->generation = e->generation;
    at->slot = e->slot;
    at->addr = e->addr;
    at->remote = !e->local;
    at->owner = e->owner;
    at->mesh = e->mesh;
    gs_free(at->service);
    at->service = NULL;
    if (at->remote) {
        at->service = gs_alloc(e->service.len + 1);
        if (e->service.len > 0)
            memcpy(at->service, e->service.ptr, e->service.len);
        at->service[e->service.len] = '\0';
    }
    at->ewma_ns = 0;
    at->ewma_at_ns = 0;
    at->failed_ns = 0;
    at->excused = false;
    at->tried_early_ms = 0;
    return at;
}

static void
endpoint_free(struct endpoint_state *at)
{
    if (!at)
        return;
    GS_LIST_EACH_SAFE(n, &at->queue.more)
        gs_free(GS_LIST_ENTRY(n, struct pool_queue, more));
    gs_free(at->service);
    gs_free(at);
}

struct service_state *
worker_service(struct worker *w, uint32_t id)
{
    GS_ASSERT(id < SERVICES_MAX);
    if (!w->services[id])
        w->services[id] = gs_zalloc(sizeof(struct service_state));
    return w->services[id];
}

#define SAMPLE_MS 1000

/* ---- clients ---- */

static void
on_accepted(void *arg, int fd)
{
    struct door *door = arg;
    struct worker *w = door->worker;

    if (atomic_load_explicit(&w->counters.connections_open, memory_order_relaxed) >=
        CONNECTIONS_MAX) {
        counter_add(&w->counters.connections_refused, 1);
        close(fd);
        return;
    }
    if (!server_accept(w->loop, fd, &door->opts, &w->conns))
        return;
    counter_add(&w->counters.connections_total, 1);
    counter_add(&w->counters.connections_open, 1);
    if (!gs_timer_armed(&w->sample_timer))
        gs_loop_arm(w->loop, &w->sample_timer, SAMPLE_MS);
}

static void
on_shed(void *arg)
{
    counter_add(&((struct door *)arg)->worker->counters.connections_refused, 1);
}

static void
on_mesh_accepted(void *arg, int fd)
{
    mesh_in_accepted(((struct worker *)arg)->mesh_in, fd);
}

static void
on_mesh_shed(void *arg)
{
    counter_add(&((struct worker *)arg)->counters.mesh_refused, 1);
}

/* ---- drain ---- */

static void
worker_stop(struct worker *w)
{
    if (w->stopped)
        return;
    GS_ASSERT(w->draining);
    GS_ASSERT(gs_list_empty(&w->conns));
    w->stopped = true;
    gs_loop_disarm(w->loop, &w->drain_timer);
    gs_loop_disarm(w->loop, &w->sample_timer);
    pthread_mutex_lock(&w->wake_lock);
    gs_wake_close(w->wake);
    w->wake = NULL;
    pthread_mutex_unlock(&w->wake_lock);
    if (!w->opts->shared)
        gs_loop_stop(w->loop);
    proxy_worker_stopped(w->proxy);
}

void
worker_conn_closed(struct worker *w)
{
    if (!w->draining || w->stopped || !gs_list_empty(&w->conns) || !gs_list_empty(&w->stream_conns))
        return;
    pool_close(w->pool);
    if (!pool_empty(w->pool))
        return;
    mesh_out_close(w->mesh_out);
    if (!mesh_out_empty(w->mesh_out) || !mesh_in_empty(w->mesh_in))
        return;
    mesh_calls_close(w->mesh_calls);
    if (mesh_calls_empty(w->mesh_calls))
        worker_stop(w);
}

static void
cut(struct worker *w)
{
    LOG_WARN("drain.cut", "worker=%u connections=%" PRIu64, w->index,
             atomic_load(&w->counters.connections_open));
    GS_LIST_EACH_SAFE(n, &w->conns)
        server_conn_abort(n);
    GS_LIST_EACH_SAFE(n, &w->stream_conns)
        server_conn_abort(n);
    mesh_in_abort(w->mesh_in);
    mesh_out_abort(w->mesh_out);
}

static void
on_drain_timer(struct gs_timer *t)
{
    cut(GS_CONTAINER(t, struct worker, drain_timer));
}

/* Until the policy of the mesh is known here, whoever calls waits in the backlog, but not for ever:
 * then there is an answer that says why. */
#define DOORS_HELD_MS (OPEN_WAIT_MS + 500)

static void
take_callers(struct worker *w)
{
    gs_loop_disarm(w->loop, &w->hold_timer);
    for (uint32_t i = 0; i < w->opts->caller_count; i++) {
        struct door *d = &w->doors[i];

        if (!d->listener)
            d->listener = gs_listener_new(
                w->loop, d->fd,
                &(struct gs_listener_events){ on_accepted, on_shed, d, DESCRIPTORS_KEPT });
    }
}

static void
on_hold_timer(struct gs_timer *t)
{
    take_callers(GS_CONTAINER(t, struct worker, hold_timer));
}

static void
close_doors(struct worker *w)
{
    take_callers(w);
    for (uint32_t i = 0; i < w->opts->caller_count; i++) {
        gs_listener_accept_waiting(w->doors[i].listener); /* the kernel has let them in already */
        gs_listener_close(w->doors[i].listener);
        w->doors[i].listener = NULL;
    }
    if (!w->mesh_listener)
        return;
    gs_listener_accept_waiting(w->mesh_listener);
    gs_listener_close(w->mesh_listener);
    w->mesh_listener = NULL;
}

static void
drain_start(struct worker *w)
{
    uint64_t drain_ms = w->root->timeouts.drain_ms;

    if (w->draining)
        return;
    GS_ASSERT(!w->stopped);
    w->draining = true;
    close_doors(w);
    if (w->index == 0)
        proxy_drain_others(w->proxy); /* nothing is handed to them from now on */
    mesh_in_drain(w->mesh_in);
    mesh_calls_stop_asking(w->mesh_calls);
    GS_LIST_EACH_SAFE(n, &w->conns)
        server_conn_drain(n);
    GS_LIST_EACH_SAFE(n, &w->stream_conns)
        server_conn_drain(n);
    gs_loop_arm(w->loop, &w->drain_timer, drain_ms > 0 ? drain_ms : 1);
    worker_conn_closed(w);
}

/* It may be about to stop, which ends its wake. */
static void
wake_if_there(struct worker *w)
{
    pthread_mutex_lock(&w->wake_lock);
    if (w->wake)
        gs_wake_send(w->wake);
    pthread_mutex_unlock(&w->wake_lock);
}

void
worker_drain(struct worker *w)
{
    atomic_store(&w->drain_asked, true);
    wake_if_there(w);
}

void
worker_hurry(struct worker *w)
{
    atomic_store(&w->hurry_asked, true);
    wake_if_there(w);
}

/* Some of what a root holds is written where connections look for it. */
static void
adopt(struct worker *w)
{
    const struct snapshot_timeouts *t;

    w->root = snapshot_adopt(w->opts->hub, w->index);
    t = &w->root->timeouts;
    for (uint32_t i = 0; i < w->opts->caller_count; i++) {
        struct http_server_options *o = &w->doors[i].opts;

        o->head_ms = t->head_ms;
        o->idle_ms = t->idle_ms;
        o->body_idle_ms = t->body_idle_ms;
    }
}

/* The former root is kept from being freed while the two are compared. */
static void
adopt_newer(struct worker *w)
{
    struct snapshot *former = w->root;

    snapshot_pin(former, w->index);
    adopt(w);
    if (w->root != former)
        attempt_on_snapshot(w, former);
    snapshot_unpin(former, w->index);
}

static void
on_wake(void *arg)
{
    struct worker *w = arg;

    if (w->stopped)
        return;
    adopt_newer(w);
    mesh_in_take(w->mesh_in);
    if (proxy_has_cuts(w->proxy)) {
        mesh_out_cut(w->mesh_out);
        mesh_in_cut(w->mesh_in);
    }
    if (gs_timer_armed(&w->hold_timer) && proxy_standing_now(w->proxy) == PROXY_OPEN)
        take_callers(w);
    if (atomic_load(&w->drain_asked))
        drain_start(w);
    if (w->draining && !w->stopped && atomic_load(&w->hurry_asked))
        cut(w);
}

/* ---- the handler of client connections ---- */

static void
on_refused(struct http_handler *h, enum reason r)
{
    counter_add(&GS_CONTAINER(h, struct door, handler)->worker->counters.refused[r], 1);
}

static void
on_conn_closed(struct http_handler *h)
{
    struct worker *w = GS_CONTAINER(h, struct door, handler)->worker;

    counter_sub(&w->counters.connections_open, 1);
    worker_conn_closed(w);
}

/* Figures that only this thread can read, for whoever scrapes. Armed while there are clients, so
 * an idle worker sleeps. */
static void
on_sample(struct gs_timer *t)
{
    struct worker *w = GS_CONTAINER(t, struct worker, sample_timer);

    atomic_store_explicit(&w->counters.queued_bytes, w->loop->blocks.used_bytes,
                          memory_order_relaxed);
    atomic_store_explicit(&w->counters.loop_lag_us, w->loop->lag_max_us, memory_order_relaxed);
    w->loop->lag_max_us = 0;
    if (!gs_list_empty(&w->conns))
        gs_loop_arm(w->loop, &w->sample_timer, SAMPLE_MS);
}

static void
open_doors(struct worker *w, const int *fds)
{
    const struct proxy_options *o = w->opts;

    w->doors = gs_calloc(o->caller_count, sizeof(*w->doors));
    for (uint32_t i = 0; i < o->caller_count; i++) {
        struct door *d = &w->doors[i];

        d->handler = (struct http_handler){ outbound_begin, on_refused, on_conn_closed };
        d->worker = w;
        d->caller = i;
        d->opts = (struct http_server_options){
            .handler = &d->handler, .pool = w->h1, .drain_idle_ms = DRAIN_IDLE_MS, .via = "gossamer"
        };
        d->fd = fds[i];
    }
    if (proxy_standing_now(w->proxy) == PROXY_CLOSED)
        gs_loop_arm(w->loop, &w->hold_timer, DOORS_HELD_MS);
    else
        take_callers(w);
}

struct worker *
worker_new(struct proxy *p, const struct proxy_options *o, uint32_t index,
           const struct worker_fds *fds)
{
    struct worker *w = gs_zalloc(sizeof(*w));
    static const char *const names[] = { "worker0", "worker1", "worker2", "worker3" };

    w->proxy = p;
    w->opts = o;
    w->index = index;
    w->loop = o->shared ? o->shared
                        : gs_loop_new(index < GS_COUNT(names) ? names[index] : "worker",
                                      o->seed + index + 1);
    w->stats = stat_table_new();
    w->h1 = h1_pool_new();
    gs_list_init(&w->conns);
    gs_list_init(&w->stream_conns);
    w->pool = pool_new(w);
    w->mesh_out = mesh_out_new(w);
    w->mesh_in = mesh_in_new(w);
    w->retry_floors = proxy_retry_floors(p);
    w->outlier_busy = proxy_outlier_busy(p);
    w->endpoints = gs_calloc(SLOTS_MAX, sizeof(*w->endpoints));
    w->services = gs_calloc(SERVICES_MAX, sizeof(struct service_state *));
    pthread_mutex_init(&w->wake_lock, NULL);
    w->wake = gs_wake_new(w->loop, on_wake, w);
    gs_timer_init(&w->drain_timer, on_drain_timer);
    gs_timer_init(&w->sample_timer, on_sample);
    gs_timer_init(&w->hold_timer, on_hold_timer);
    w->mesh_calls = mesh_calls_new(w, fds->answers, fds->asks);
    open_doors(w, fds->callers);
    adopt(w);
    if (fds->mesh >= 0)
        w->mesh_listener = gs_listener_new(
            w->loop, fds->mesh,
            &(struct gs_listener_events){ on_mesh_accepted, on_mesh_shed, w, DESCRIPTORS_KEPT });
    return w;
}

void
worker_run(struct worker *w)
{
    gs_loop_run(w->loop);
}

void
worker_free(struct worker *w)
{
    if (!w)
        return;
    GS_ASSERT(w->stopped);
    GS_ASSERT(atomic_load(&w->counters.exchanges_open) == 0);
    if (!w->opts->shared)
        gs_loop_free(w->loop);
    pool_free(w->pool);
    mesh_out_free(w->mesh_out);
    mesh_in_free(w->mesh_in);
    mesh_calls_free(w->mesh_calls);
    exchange_pool_free(w);
    h1_pool_free(w->h1);
    stat_table_free(w->stats);
    for (uint32_t i = 0; i < SLOTS_MAX; i++)
        endpoint_free(atomic_load(&w->endpoints[i]));
    for (uint32_t i = 0; i < SERVICES_MAX; i++)
        gs_free(w->services[i]);
    gs_free(w->endpoints);
    gs_free(w->services);
    gs_free(w->doors);
    pthread_mutex_destroy(&w->wake_lock);
    gs_free(w);
}
