/* proxy.c - starts the workers, tells them of new snapshots, gathers their counters, and drains
 * them. */
#include <gossamer/proxy.h>

#include <assert.h>
#include <pthread.h>
#include <unistd.h>

#include <gossamer/alloc.h>

#include "proxy/mesh.h"
#include "proxy/worker.h"

struct proxy {
    struct proxy_options opts;
    struct gs_addr *outbound; /* by caller */
    struct gs_addr inbound;
    int *fds; /* listening sockets: caller by caller, one per worker; then the mesh's */
    _Atomic int standing;
    /* Nodes that are cut off, by the first bytes of their ids: one word each, so that workers may
     * read them while control writes. */
    _Atomic uint32_t cut_count; /* 0, but for tests */
    _Atomic uint64_t cuts[CUTS_MAX];
    pthread_mutex_t doubts_lock;
    struct gs_id doubts[DOUBTS_MAX];
    size_t doubt_count;
    _Atomic uint32_t mesh_connections;
    _Atomic bool outlier_busy;
    struct retry_floor *retry_floors; /* SERVICES_MAX; untouched pages cost nothing */
    struct worker *workers[WORKERS_MAX];
    pthread_t threads[WORKERS_MAX];
    _Atomic uint32_t running;
    struct gs_wake *done_wake;
    void (*done)(void *arg);
    void *done_arg;
    bool joined;
};

/* One listening socket per worker. The first is bound alone: two processes of one user with
 * SO_REUSEPORT would share the port silently. fds: -1 where there is none. */
static gs_err
bind_shared(const struct gs_addr *addr, uint32_t n, int fds[], struct gs_addr *bound,
            struct gs_why *why)
{
    gs_err e;

    fds[0] = gs_listen_tcp(addr, false, why);
    if (fds[0] < 0)
        return GS_E_IN_USE;
    e = gs_listen_addr(fds[0], bound);
    if (e != GS_E_OK || n == 1)
        return e;
    close(fds[0]);
    fds[0] = -1;
    for (uint32_t i = 0; i < n; i++) {
        fds[i] = gs_listen_tcp(bound, true, why);
        if (fds[i] < 0)
            return GS_E_IN_USE;
    }
    return GS_E_OK;
}

static uint32_t
fd_count(const struct proxy *p)
{
    return p->opts.caller_count * p->opts.workers + 1;
}

static gs_err
bind_all(struct proxy *p, struct gs_why *why)
{
    const struct proxy_options *o = &p->opts;
    uint32_t last = fd_count(p) - 1;
    gs_err e = GS_E_OK;

    for (uint32_t i = 0; i <= last; i++)
        p->fds[i] = -1;
    for (uint32_t i = 0; i < o->caller_count && e == GS_E_OK; i++)
        e = bind_shared(&o->callers[i].outbound, o->workers, &p->fds[i * o->workers],
                        &p->outbound[i], why);
    if (e == GS_E_OK && o->inbound.family != 0)
        e = bind_shared(&o->inbound, 1, &p->fds[last], &p->inbound, why);
    for (uint32_t i = 0; i <= last && e != GS_E_OK; i++) {
        if (p->fds[i] >= 0)
            close(p->fds[i]);
    }
    return e;
}

static void
start_worker(struct proxy *p, uint32_t index)
{
    const struct proxy_options *o = &p->opts;
    int *mine = gs_calloc(o->caller_count, sizeof(*mine));

    for (uint32_t i = 0; i < o->caller_count; i++)
        mine[i] = p->fds[i * o->workers + index];
    p->workers[index] = worker_new(
        p, o, index,
        &(struct worker_fds){ .callers = mine,
                              .mesh = index == 0 ? p->fds[fd_count(p) - 1] : -1,
                              .answers = o->doors ? o->doors[index] : -1,
                              .asks = o->doors && index == 0 ? o->doors[o->workers] : -1 });
    gs_free(mine);
}

static void
free_parts(struct proxy *p)
{
    gs_free(p->retry_floors);
    gs_free(p->outbound);
    gs_free(p->fds);
    (void)pthread_mutex_destroy(&p->doubts_lock);
    gs_free(p);
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
    gs_err e;

    GS_ASSERT(o->caller_count > 0);
    GS_ASSERT(o->workers > 0);
    GS_ASSERT(o->workers <= WORKERS_MAX);
    GS_ASSERT(!o->shared || o->workers == 1);
    p->opts = *o;
    (void)pthread_mutex_init(&p->doubts_lock, NULL);
    p->outbound = gs_calloc(o->caller_count, sizeof(*p->outbound));
    p->fds = gs_calloc(fd_count(p), sizeof(*p->fds));
    p->retry_floors = gs_calloc(SERVICES_MAX, sizeof(*p->retry_floors));
    atomic_store(&p->standing, o->standing);
    e = bind_all(p, why);
    if (e != GS_E_OK) {
        for (uint32_t i = 0; o->doors && i <= o->workers; i++)
            close(o->doors[i]);
        free_parts(p);
        return e;
    }
    for (uint32_t i = 0; i < o->workers; i++)
        start_worker(p, i);
    p->opts.doors = NULL; /* each has taken its own */
    atomic_store(&p->running, o->workers);
    snapshot_hub_on_publish(o->hub, wake_worker, p);
    for (uint32_t i = 0; i < o->workers && !o->shared; i++)
        GS_ASSERT(pthread_create(&p->threads[i], NULL, thread_main, p->workers[i]) == 0);
    *out = p;
    return GS_E_OK;
}

struct gs_addr
proxy_outbound_addr(const struct proxy *p, uint32_t caller)
{
    GS_ASSERT(caller < p->opts.caller_count);
    return p->outbound[caller];
}

struct gs_addr
proxy_inbound_addr(const struct proxy *p)
{
    return p->inbound;
}

void
proxy_set_standing(struct proxy *p, enum proxy_standing s)
{
    atomic_store_explicit(&p->standing, s, memory_order_release);
    for (uint32_t i = 0; i < p->opts.workers; i++)
        wake_worker(p, i); /* some hold connections until now */
}

enum proxy_standing
proxy_standing_now(const struct proxy *p)
{
    return (enum proxy_standing)atomic_load_explicit(&p->standing, memory_order_acquire);
}

/* ---- faults ---- */

static uint64_t
cut_name(const struct gs_id *node)
{
    uint64_t name;

    static_assert(sizeof(name) <= GS_ID_BYTES, "an id begins with it");
    memcpy(&name, node->bytes, sizeof(name));
    return name;
}

void
proxy_set_cuts(struct proxy *p, const struct gs_id *nodes, size_t count)
{
    GS_ASSERT(count <= CUTS_MAX);
    for (size_t i = 0; i < count; i++)
        atomic_store_explicit(&p->cuts[i], cut_name(&nodes[i]), memory_order_relaxed);
    atomic_store_explicit(&p->cut_count, (uint32_t)count, memory_order_release);
    for (uint32_t i = 0; i < p->opts.workers; i++)
        wake_worker(p, i);
}

bool
proxy_has_cuts(const struct proxy *p)
{
    return atomic_load_explicit(&p->cut_count, memory_order_relaxed) > 0;
}

bool
proxy_is_cut(const struct proxy *p, const struct gs_id *node)
{
    uint32_t count = atomic_load_explicit(&p->cut_count, memory_order_acquire);

    for (uint32_t i = 0; i < count; i++) {
        if (atomic_load_explicit(&p->cuts[i], memory_order_relaxed) == cut_name(node))
            return true;
    }
    return false;
}

struct worker *
proxy_worker(const struct proxy *p, uint32_t index)
{
    GS_ASSERT(index < p->opts.workers);
    return p->workers[index];
}

struct retry_floor *
proxy_retry_floors(struct proxy *p)
{
    return p->retry_floors;
}

_Atomic bool *
proxy_outlier_busy(struct proxy *p)
{
    return &p->outlier_busy;
}

void
proxy_ejections_changed(struct proxy *p)
{
    if (p->opts.ejections)
        gs_wake_send(p->opts.ejections);
}

/* ---- doubts ---- */

static bool
doubts_of(const struct proxy *p, const struct gs_id *node)
{
    for (size_t i = 0; i < p->doubt_count; i++) {
        if (gs_id_eq(&p->doubts[i], node))
            return true;
    }
    return false;
}

void
proxy_doubt(struct proxy *p, const struct gs_id *node)
{
    bool news;

    (void)pthread_mutex_lock(&p->doubts_lock);
    news = p->doubt_count < DOUBTS_MAX && !doubts_of(p, node); /* one too many: gossip finds it */
    if (news)
        p->doubts[p->doubt_count++] = *node;
    (void)pthread_mutex_unlock(&p->doubts_lock);
    if (news && p->opts.doubts)
        gs_wake_send(p->opts.doubts);
}

size_t
proxy_doubts(struct proxy *p, struct gs_id out[static DOUBTS_MAX])
{
    size_t count;

    (void)pthread_mutex_lock(&p->doubts_lock);
    count = p->doubt_count;
    GS_ASSERT(count <= DOUBTS_MAX);
    memcpy(out, p->doubts, count * sizeof(*out));
    p->doubt_count = 0;
    (void)pthread_mutex_unlock(&p->doubts_lock);
    return count;
}

bool
proxy_mesh_take(struct proxy *p)
{
    if (atomic_fetch_add_explicit(&p->mesh_connections, 1, memory_order_relaxed) <
        MUX_CONNECTIONS_MAX)
        return true;
    proxy_mesh_give(p);
    return false;
}

void
proxy_mesh_replace(struct proxy *p)
{
    atomic_fetch_add_explicit(&p->mesh_connections, 1, memory_order_relaxed);
}

void
proxy_mesh_give(struct proxy *p)
{
    uint32_t before = atomic_fetch_sub_explicit(&p->mesh_connections, 1, memory_order_relaxed);

    GS_ASSERT(before > 0);
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
    worker_drain(p->workers[0]);
}

/* The first worker hands connections to the others, so it stops listening before they stop. */
void
proxy_drain_others(struct proxy *p)
{
    for (uint32_t i = 1; i < p->opts.workers; i++)
        worker_drain(p->workers[i]);
}

void
proxy_hurry(struct proxy *p)
{
    GS_ASSERT(p->done);
    for (uint32_t i = 0; i < p->opts.workers; i++)
        worker_hurry(p->workers[i]);
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
    free_parts(p);
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

void
proxy_stat_clear(struct proxy *p, uint32_t cell)
{
    for (uint32_t i = 0; p && i < p->opts.workers; i++)
        stat_table_clear(p->workers[i]->stats, cell);
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
    for (unsigned i = 0; i < RETRY_CAUSES; i++)
        out->retries[i] += read_counter(&c->retries[i]);
    out->retries_denied += read_counter(&c->retries_denied);
    out->retries_too_large += read_counter(&c->retries_too_large);
    out->stale += read_counter(&c->stale);
    for (unsigned i = 0; i < PROXY_EJECTION_CAUSES; i++)
        out->ejections[i] += read_counter(&c->ejections[i]);
    out->ejections_held += read_counter(&c->ejections_held);
    out->trials += read_counter(&c->trials);
    out->readmissions += read_counter(&c->readmissions);
    out->panics += read_counter(&c->panics);
    out->queued_bytes += read_counter(&c->queued_bytes);
    out->mesh_connects += read_counter(&c->mesh_connects);
    out->mesh_accepted += read_counter(&c->mesh_accepted);
    out->mesh_refused += read_counter(&c->mesh_refused);
    out->mesh_open += read_counter(&c->mesh_open);
    out->mesh_streams += read_counter(&c->mesh_streams);
    out->mesh_misdirected += read_counter(&c->mesh_misdirected);
    out->mesh_closed_standing += read_counter(&c->mesh_closed_standing);
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

const char *
proxy_ejection_cause_text(uint32_t cause)
{
    _Static_assert(PROXY_EJECTION_CAUSES == OUTLIER_FAULTS, "each fault is a cause");
    return outlier_fault_text((enum outlier_fault)cause);
}
