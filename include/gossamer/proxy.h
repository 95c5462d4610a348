/* proxy.h - the data plane: workers that serve what the published snapshot says. */
#pragma once

#include <gossamer/addr.h>
#include <gossamer/loop.h>
#include <gossamer/snapshot.h>
#include <gossamer/stats.h>

struct proxy;

/* In whose name requests are sent to other nodes while nobody has a certificate. */
struct proxy_caller {
    /* NS/NAME or node/NAME. May be replaced at any time: new streams say the new one. Every text
     * outlives the proxy. */
    const char *_Atomic name;
    struct gs_addr outbound; /* who calls here is this caller */
};

/* Does this node know the mesh's policy yet? */
enum proxy_standing {
    PROXY_OPEN,
    PROXY_CLOSED, /* other nodes' requests are answered 503 not-processed */
};

struct proxy_options {
    const struct proxy_caller *callers; /* the first is whoever is no other: 4140 */
    uint32_t caller_count;
    struct gs_addr inbound; /* 4143: other nodes; family 0: none */
    enum proxy_standing standing;
    /* Ends of socket pairs, taken even by a refusal, borrowed as an array: HTTP/2 runs on each
     * (mux.h). One per worker, which asks there what other nodes ask this one; and one more, where
     * it is asked what other nodes are to be asked (`:authority ID+ADDRESS`). NULL: none. */
    const int *doors;
    uint32_t workers;          /* 1..WORKERS_MAX */
    struct gs_loop *shared;    /* run on this loop, no threads (--threads 1); else NULL */
    struct snapshot_hub *hub;  /* timeouts are in its roots */
    struct gs_wake *ejections; /* sent when an endpoint was ejected or readmitted; or NULL */
    struct gs_wake *doubts;    /* sent when proxy_doubts() has somebody; or NULL */
    const char *node;
    struct gs_id id; /* of the node, told to others with each connection */
    uint64_t seed;
};

/* Bind and start. Refuses with a sentence in *why (a port in use names the process if it can). */
gs_err proxy_start(const struct proxy_options *o, struct proxy **out, struct gs_why *why)
    GS_MUST_CHECK;
/* Stop accepting, let exchanges finish (at most timeouts.drain), then call done on `loop`'s
 * thread. */
void proxy_drain(struct proxy *p, struct gs_loop *loop, void (*done)(void *arg), void *arg);
/* While it drains: cut what has not finished. From the loop that asked for the drain. */
void proxy_hurry(struct proxy *p);
void proxy_free(struct proxy *p); /* after done; joins the threads */

/* The addresses bound (for port 0). */
struct gs_addr proxy_outbound_addr(const struct proxy *p, uint32_t caller);
struct gs_addr proxy_inbound_addr(const struct proxy *p);
/* Any thread; from the next request on. */
void proxy_set_standing(struct proxy *p, enum proxy_standing s);

/* Any thread, for tests and demonstrations: from now on connections to these nodes fail as if they
 * were unreachable, those that are open are cut, and those that they open are, too; nobody else is
 * cut off any more. At most CUTS_MAX. */
void proxy_set_cuts(struct proxy *p, const struct gs_id *nodes, size_t count);

/* Nodes with which a connection ended, or to which none could be made, since the last call: each
 * once. Any thread. */
size_t proxy_doubts(struct proxy *p, struct gs_id out[static DOUBTS_MAX]);

/* ---- reading, from the control thread; of NULL (proxy.mode: off) nothing but zeros ---- */
void proxy_stat(const struct proxy *p, uint32_t cell, struct stat_sum *sum); /* adds all workers */
/* The cell is another service's from now on: no root lists it, and nobody is active in it. */
void proxy_stat_clear(struct proxy *p, uint32_t cell);

#define PROXY_EJECTION_CAUSES 3
const char *proxy_ejection_cause_text(uint32_t cause);

struct proxy_counters { /* process-wide sums */
    uint64_t connections_total, connections_open, connections_refused;
    uint64_t upstream_connects, upstream_connect_failures, upstream_open, upstream_idle;
    uint64_t refused[REASON_COUNT]; /* requests that never became one, and junk, by reason */
    uint64_t exchanges_open, retries[RETRY_CAUSES], retries_denied, retries_too_large, stale;
    uint64_t ejections[PROXY_EJECTION_CAUSES]; /* by what was found last */
    uint64_t ejections_held, trials, readmissions, panics;
    uint64_t mesh_connects, mesh_accepted, mesh_refused, mesh_open, mesh_streams;
    uint64_t mesh_misdirected, mesh_closed_standing;
    uint64_t bytes_in, bytes_out;
    uint64_t queued_bytes;
    uint64_t loop_lag_us; /* worst of the workers since the last call */
};
void proxy_counters(const struct proxy *p, struct proxy_counters *out);
/* EWMA of an endpoint over the workers that use it, us; 0 if none does. */
uint64_t proxy_ewma_us(const struct proxy *p, uint32_t slot);

/* ---- decisions, for explain (pure) ---- */
struct head;
/* Index of the first rule that matches, -1 if none. match: which of its matches, -1 for "all". */
int route_match(const struct service *s, const struct head *h, int *match);
