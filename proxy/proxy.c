/* proxy.c - starts the workers, tells them of new snapshots, gathers their counters, and drains
 * them. */
#include <gossamer/proxy.h>

#include <pthread.h>
#include <unistd.h>

#include <gossamer/alloc.h>

#include "proxy/worker.h"

struct proxy {
    struct proxy_options opts;
    struct gs_addr outbound;
    struct worker *workers[WORKERS_MAX];
    pthread_t threads[WORKERS_MAX];
    _Atomic uint32_t running;
    struct gs_wake *done_wake;
    void (*done)(void *arg);
    void *done_arg;
    bool joined;
};

/* One listening socket per worker. The first is bound alone: two processes of one user with
 * SO_REUSEPORT would share the port silently. */
static gs_err
bind_all(struct proxy *p, int fds[], struct gs_why *why)
{
    uint32_t n = p->opts.workers;
    gs_err e;

    fds[0] = gs_listen_tcp(&p->opts.outbound, false, why);
    if (fds[0] < 0)
        return GS_E_IN_USE;
    e = gs_listen_addr(fds[0], &p->outbound);
    if (e != GS_E_OK || n == 1)
        return e;
    close(fds[0]);
    for (uint32_t i = 0; i < n; i++) {
        fds[i] = gs_listen_tcp(&p->outbound, true, why);
        if (fds[i] < 0) {
            while (i > 0)
                close(fds[--i]);
            return GS_E_IN_USE;
        }
    }
    return GS_E_OK;
}

static void *
thread_main(void *arg)
{
    struct worker *w = arg;

    pthread_setname_np(pthread_self(), w->loop->name);
    worker_run(w);
    return NULL;
}

static void
wake_worker(void *arg, uint32_t index)
{
    struct proxy *p = arg;
    struct worker *w = p->workers[index];

    if (w && w->wake)
        gs_wake_send(w->wake);
}

gs_err
proxy_start(const struct proxy_options *o, struct proxy **out, struct gs_why *why)
{
    struct proxy *p = gs_zalloc(sizeof(*p));
    int fds[WORKERS_MAX];
    gs_err e;

    GS_ASSERT(o->workers > 0);
    GS_ASSERT(o->workers <= WORKERS_MAX);
    GS_ASSERT(!o->shared || o->workers == 1);
    p->opts = *o;
    e = bind_all(p, fds, why);
    if (e != GS_E_OK) {
        gs_free(p);
        return e;
    }
    for (uint32_t i = 0; i < o->workers; i++)
        p->workers[i] = worker_new(p, &p->opts, i, fds[i]);
    atomic_store(&p->running, o->workers);
    snapshot_hub_on_publish(o->hub, wake_worker, p);
    for (uint32_t i = 0; i < o->workers && !o->shared; i++)
        GS_ASSERT(pthread_create(&p->threads[i], NULL, thread_main, p->workers[i]) == 0);
    *out = p;
    return GS_E_OK;
}

struct gs_addr
proxy_outbound_addr(const struct proxy *p)
{
    return p->outbound;
}

void
proxy_worker_stopped(struct proxy *p)
{
    if (atomic_fetch_sub(&p->running, 1) == 1 && p->done_wake)
        gs_wake_send(p->done_wake);
}

static void
on_all_stopped(void *arg)
{
    struct proxy *p = arg;

    gs_wake_close(p->done_wake);
    p->done_wake = NULL;
    p->done(p->done_arg);
}

void
proxy_drain(struct proxy *p, struct gs_loop *loop, void (*done)(void *arg), void *arg)
{
    GS_ASSERT(!p->done);
    p->done = done;
    p->done_arg = arg;
    p->done_wake = gs_wake_new(loop, on_all_stopped, p);
    snapshot_hub_on_publish(p->opts.hub, NULL, NULL);
    for (uint32_t i = 0; i < p->opts.workers; i++)
        worker_drain(p->workers[i]);
}

void
proxy_free(struct proxy *p)
{
    if (!p)
        return;
    GS_ASSERT(atomic_load(&p->running) == 0);
    for (uint32_t i = 0; i < p->opts.workers; i++) {
        if (!p->opts.shared)
            pthread_join(p->threads[i], NULL);
        worker_free(p->workers[i]);
    }
    gs_free(p);
}

/* ---- figures ---- */

void
proxy_stat(const struct proxy *p, uint32_t cell, struct stat_sum *sum)
{
    for (uint32_t i = 0; p && i < p->opts.workers; i++) {
        const struct stat_cell *c = stat_table_peek(p->workers[i]->stats, cell);

        if (c)
            stat_sum_add(sum, c);
    }
}

static uint64_t
read_counter(const _Atomic uint64_t *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

static void
add_counters(struct proxy_counters *out, const struct worker_counters *c)
{
    out->connections_total += read_counter(&c->connections_total);
    out->connections_open += read_counter(&c->connections_open);
    out->connections_refused += read_counter(&c->connections_refused);
    out->upstream_connects += read_counter(&c->upstream_connects);
    out->upstream_connect_failures += read_counter(&c->upstream_connect_failures);
    out->upstream_open += read_counter(&c->upstream_open);
    out->upstream_idle += read_counter(&c->upstream_idle);
    out->exchanges_open += read_counter(&c->exchanges_open);
    out->retries += read_counter(&c->retries);
    out->retries_denied += read_counter(&c->retries_denied);
    out->queued_bytes += read_counter(&c->queued_bytes);
    for (unsigned r = 0; r < REASON_COUNT; r++)
        out->refused[r] += read_counter(&c->refused[r]);
    if (read_counter(&c->loop_lag_us) > out->loop_lag_us)
        out->loop_lag_us = read_counter(&c->loop_lag_us);
}

void
proxy_counters(const struct proxy *p, struct proxy_counters *out)
{
    *out = (struct proxy_counters){ 0 };
    for (uint32_t i = 0; p && i < p->opts.workers; i++)
        add_counters(out, &p->workers[i]->counters);
}

uint64_t
proxy_ewma_us(const struct proxy *p, uint32_t slot)
{
    uint64_t most = 0;

    for (uint32_t i = 0; p && i < p->opts.workers; i++) {
        const struct endpoint_state *at =
            atomic_load_explicit(&p->workers[i]->endpoints[slot], memory_order_acquire);
        uint64_t us = at ? read_counter(&at->ewma_us) : 0;

        if (us > most)
            most = us;
    }
    return most;
}
