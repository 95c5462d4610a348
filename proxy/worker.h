/* worker.h - what the files of the data path share: one worker and what hangs on it. */
#pragma once

#include <pthread.h>

#include <gossamer/h1.h>
#include <gossamer/http.h>
#include <gossamer/listener.h>
#include <gossamer/proxy.h>

#include "proxy/outlier.h"
#include "proxy/retry.h"

struct exchange;
struct mesh_calls;
struct mesh_in;
struct mesh_out;
struct pool;
struct endpoint_state;

/* Connections to one endpoint for one caller (pool.c's). */
struct pool_queue {
    struct endpoint_state *at;
    struct gs_list more;    /* the endpoint's queues of other callers */
    struct gs_list idle;    /* client_conn.by_endpoint, most recently used first */
    struct gs_list waiters; /* pool_waiter.link, first come first served */
    uint32_t caller;        /* index of proxy_options.callers */
    uint32_t idle_count, connecting, waiting;
};
void pool_queue_init(struct pool_queue *q, struct endpoint_state *at, uint32_t caller);

/* What one worker knows of one slot. Kept over snapshots; dropped when the slot's generation
 * moved on. */
struct endpoint_state {
    uint32_t generation;
    uint32_t slot;
    struct gs_addr addr;
    double ewma_ns; /* peak EWMA of the time to an answer's head */
    uint64_t ewma_at_ns;
    double failed_ns; /* what it costs for having failed; 0 again with an answer */
    uint64_t failed_at_ns;
    _Atomic uint64_t ewma_us;  /* the same, for readers */
    struct gs_list unanswered; /* attempt.link: what was asked there and has no answer yet */
    uint64_t tried_early_ms;   /* see ejected.c */
    bool excused;              /* its last answer was a stale connection, likely */
    bool remote;               /* reached through its node */
    struct gs_id owner;
    struct gs_addr mesh;
    char *service;           /* "NS/NAME:PORT"; remote ones only */
    struct pool_queue queue; /* of caller 0; the others' follow in its list */
};

/* What one worker knows of one service id. */
struct service_state {
    uint64_t weyl[4]; /* by rule number mod 4: the fraction that picks a backend */
    bool seeded;
    struct retry_share retry;
};

struct worker_counters { /* written by the worker, relaxed */
    _Atomic uint64_t connections_total, connections_open, connections_refused;
    _Atomic uint64_t upstream_connects, upstream_connect_failures, upstream_open, upstream_idle;
    _Atomic uint64_t refused[REASON_COUNT];
    _Atomic uint64_t exchanges_open, retries[RETRY_CAUSES], retries_denied, retries_too_large,
        stale;
    _Atomic uint64_t ejections[OUTLIER_FAULTS], ejections_held, trials, readmissions, panics;
    _Atomic uint64_t queued_bytes, loop_lag_us;
    _Atomic uint64_t mesh_connects, mesh_accepted, mesh_refused, mesh_open, mesh_streams;
    _Atomic uint64_t mesh_misdirected, mesh_closed_standing;
};

/* Where one caller's applications come in. */
struct door {
    struct http_handler handler; /* first: begin() gets it */
    struct worker *worker;
    uint32_t caller;
    struct http_server_options opts;
    int fd; /* the listener's, once there is one */
    struct gs_listener *listener;
};

struct worker {
    struct proxy *proxy;
    const struct proxy_options *opts;
    struct gs_loop *loop;
    uint32_t index;
    struct snapshot *root; /* what it routes by in this turn */
    struct stat_table *stats;
    struct h1_pool *h1;
    struct door *doors;          /* one per caller */
    struct gs_list conns;        /* clients' */
    struct gs_list stream_conns; /* other nodes' streams to our instances */
    struct pool *pool;
    struct mesh_out *mesh_out;
    struct mesh_in *mesh_in;
    struct mesh_calls *mesh_calls;
    _Atomic(struct endpoint_state *) *endpoints; /* SLOTS_MAX, made on first use */
    struct service_state **services;             /* SERVICES_MAX, made on first use */
    struct exchange *free_exchanges;
    uint32_t free_exchange_count;
    struct retry_floor *retry_floors;  /* the node's, by service id */
    _Atomic bool *outlier_busy;        /* likewise */
    struct gs_listener *mesh_listener; /* of one worker; NULL for the others */
    struct gs_wake *wake;
    struct gs_timer drain_timer;
    struct gs_timer hold_timer; /* armed while callers wait for the policy of the mesh */
    struct gs_timer sample_timer;
    bool draining, stopped;
    pthread_mutex_t wake_lock; /* control wakes it while it may be stopping by itself */
    _Atomic bool drain_asked, hurry_asked;
    struct worker_counters counters;
};

static inline void
counter_add(_Atomic uint64_t *c, uint64_t n)
{
    stat_add(c, n);
}

static inline void
counter_sub(_Atomic uint64_t *c, uint64_t n)
{
    stat_add(c, -n);
}

/* worker.c */
struct worker_fds {     /* all taken; -1: it has none */
    const int *callers; /* a listening socket for each caller */
    int mesh;           /* for other nodes; one worker's */
    int answers, asks;  /* proxy_options.doors */
};
struct worker *worker_new(struct proxy *p, const struct proxy_options *o, uint32_t index,
                          const struct worker_fds *fds);
void worker_run(struct worker *w);   /* until stopped; not with a shared loop */
void worker_drain(struct worker *w); /* any thread */
void worker_hurry(struct worker *w); /* any thread: what has not finished when it drains is cut */
void worker_free(struct worker *w);
struct endpoint_state *worker_endpoint(struct worker *w, const struct endpoint *e);
struct service_state *worker_service(struct worker *w, uint32_t id);
void worker_conn_closed(struct worker *w); /* draining may be over */
static inline struct outlier_pool
worker_outliers(const struct worker *w, const struct subset *s)
{
    return (struct outlier_pool){ w->root->slots, s, w->outlier_busy, w->loop->now_ms };
}

/* proxy.c */
void proxy_worker_stopped(struct proxy *p);
void proxy_drain_others(struct proxy *p); /* the first worker takes no more connections */
enum proxy_standing proxy_standing_now(const struct proxy *p);
struct worker *proxy_worker(const struct proxy *p, uint32_t index);
bool proxy_has_cuts(const struct proxy *p);
bool proxy_is_cut(const struct proxy *p, const struct gs_id *node); /* proxy_set_cuts() */
struct retry_floor *proxy_retry_floors(struct proxy *p);            /* SERVICES_MAX */
_Atomic bool *proxy_outlier_busy(struct proxy *p);
void proxy_ejections_changed(struct proxy *p);               /* the control thread shall look */
void proxy_doubt(struct proxy *p, const struct gs_id *node); /* so that it is asked how it is */

/* outbound.c: from our applications; http_handler.begin */
struct side *outbound_begin(struct http_handler *handler, struct side *answer, struct head *h);

/* exchange.c */
struct exchange_route {            /* where a request goes, as decided by outbound.c */
    const struct service *service; /* whose policy it is under */
    const struct service *target;  /* whose endpoints are used */
    const struct subset *subset;
    const struct endpoint *only; /* for another node: the very instance it asked for; or NULL */
    uint32_t caller;
    uint64_t timeout_ms;
    bool inbound; /* for another node, which retries and knows the outcome */
};
struct side *exchange_begin(struct worker *w, struct side *answer, struct head *h,
                            const struct exchange_route *route);
/* A request that goes nowhere: answered by the reason. */
struct side *exchange_refuse(struct worker *w, struct side *answer, struct head *h,
                             const struct exchange_route *route, enum reason r,
                             const char *details);
void exchange_pool_free(struct worker *w);

/* route.c */
/* The backend of a rule for this request: by weight, spread evenly over any run of requests. */
const struct route_backend *route_pick_backend(struct worker *w, const struct service *s,
                                               uint32_t rule);

/* balance.c */
struct tried { /* by slot */
    uint32_t slots[ATTEMPTS_MAX];
    uint32_t count;
};
static inline bool
tried_has(const struct tried *t, const struct endpoint *e)
{
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->slots[i] == e->slot)
            return true;
    }
    return false;
}
/* An endpoint of the subset that is none of `tried` if possible, and is not out if possible; NULL
 * if there is none at all. trial: filled when it is out, and this request tries it. */
const struct endpoint *balance_pick(struct worker *w, const struct subset *s,
                                    const struct tried *tried, struct outlier_trial *trial);
/* Of two that were drawn in this order. */
const struct endpoint *balance_better(struct worker *w, const struct subset *s,
                                      const struct endpoint *first, const struct endpoint *other);
void balance_panics(struct worker *w, const struct endpoint *e); /* used for want of a better one */
void balance_failed(struct worker *w, const struct endpoint *e, uint64_t begun_ns);
void balance_observe(struct worker *w, const struct endpoint *e, uint64_t took_ns);
/* An answer that is no failure: while it is fresh, hearsay makes the endpoint no worse one. */
void balance_succeeded(struct worker *w, const struct endpoint *e);

/* ejected.c: as balance_pick, where some are out or were tried */
const struct endpoint *ejected_pick(struct worker *w, const struct subset *s,
                                    const struct tried *tried, struct outlier_trial *trial);

/* attempt.c */
/* The worker has left `former` for its present root: what waits at an endpoint that is unwell or
 * lost by now goes elsewhere. */
void attempt_on_snapshot(struct worker *w, const struct snapshot *former);

/* inbound.c: the inbound stage of a request whose instance is on this node */
struct inbound_call {
    struct stat_cell *cell; /* NULL: not open */
    uint64_t begun_ns;
};
enum reason inbound_open(struct inbound_call *call, struct worker *w, const struct service *s,
                         const struct subset *sub, const struct endpoint *e);
void inbound_close(struct inbound_call *call, struct worker *w, unsigned status, enum reason r);
