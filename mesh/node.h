/* node.h - one running node: what the API handlers work on. Control thread. */
#pragma once

#include <stdio.h>

#include <gossamer/fsm.h>
#include <gossamer/model.h>

#include "mesh/persist.h"

struct config;
struct faults;
struct gossip_event;
struct gossip_loop;
struct journal;
struct log_level;
struct meshcalls;
struct roster;
struct node_reload;
struct proxy;

/* CLOSED ──policy is known (GOSSIP_EVENT_OPENED)──▶ READY ──SIGTERM──▶ DRAINING
 *    └──────────────────────────SIGTERM────────────────────────────────▲       */
enum node_phase { NODE_CLOSED, NODE_READY, NODE_DRAINING };

struct node {
    const struct config *config; /* a reload changes values in place, never those that need a
                                  * restart: these may be kept, on any thread */
    struct gs_loop *loop;
    struct slots *slots;
    struct snapshot_hub *hub;
    struct stat_names *stat_names;
    struct model *model;
    struct gossip_loop *gossip; /* the core is on its thread: gossip_loop_call() */
    struct roster *members;     /* mesh/roster.h */
    struct journal *journal;
    struct node_records *records;
    struct persist *persist;
    struct node_reload *reload;
    struct proxy *proxy; /* NULL: proxy.mode is off */
    struct stat_window *window;
    struct gs_id id;
    struct gs_addr gossip_addr; /* where others reach it */
    uint64_t started_ms;        /* monotonic */
    struct gs_fsm phase;        /* enum node_phase */
    struct gs_list edits;       /* edit.c's: the first is being checked and put */
    struct meshcalls *calls;    /* to other nodes; NULL without a proxy */
    struct gs_list confirming;  /* confirm.c's: members are asked */
    struct gs_list confirms;    /* api_confirm.c's: members have asked */
    uint32_t confirm_count;
    struct log_level *log;
    struct faults *faults; /* NULL: not allowed (run --allow-faults) */
};

uint64_t node_wall_ms(void);
/* May it take an operator's change? NULL: yes. Otherwise the reason, a sentence about this node
 * without its subject ("is shutting down"), and *hint what to do. */
const char *node_refuses(const struct node *n, const char **hint);
/* Say goodbye to the mesh: what this node says of itself is withdrawn. left(arg) when the others
 * were told, a second later at the most; then it stops, as after SIGTERM. Not while it is stopping
 * already (NODE_DRAINING). */
void node_leave(struct node *n, void (*left)(void *arg), void *arg);

/* ---- node_records.c: from the core's events to the model, the workers and the disk ---- */

/* One write of an operator, from the store to every worker and the disk. */
struct node_commit {
    struct persist_waiter waiter;
    struct gs_list link; /* of those waiting for workers */
    struct node *node;
    uint64_t seq; /* that every worker must have adopted */
    gs_err saved; /* outcome of writing mesh.state */
    char why[256];
    void (*done)(struct node_commit *c);
};

struct own_watch { /* of what this node says of its services */
    struct gs_list link;
    /* The store has taken a record, or (removed) its withdrawal. */
    void (*said)(struct own_watch *w, struct gs_slice key, const struct gs_version *v,
                 bool removed);
};

struct node_records;
struct node_records *node_records_new(struct node *n);
void node_records_free(struct node_records *r);
/* What the core has told: a record, a transaction, a node. Published at once when it has been
 * quiet, FLUSHES_PER_S times a second otherwise; in mesh.state within PERSIST_SOON_MS. */
void node_records_on_event(struct node_records *r, const struct gossip_event *e);
/* While starting: publish nothing and save nothing; mesh.state holds it already. */
void node_records_on_restored(struct node_records *r, const struct gossip_event *e);
/* Publish what the model has become. Returns the seq that shows it. */
uint64_t node_records_flush(struct node_records *r);
/* The events of what the store took were delivered: a new snapshot is published, the state goes to
 * disk, and c->done is called when both are through. */
void node_commit(struct node *n, struct node_commit *c);
/* c->done is called when all workers have adopted what is published now; not at once. */
void node_when_adopted(struct node *n, struct node_commit *c);
/* From now on, until it is taken out of its list. */
void node_records_watch_own(struct node_records *r, struct own_watch *w);
/* The workers are gone and adopt no more: commits wait for the disk alone from now on. */
void node_records_workers_gone(struct node_records *r);
void node_records_stop(struct node_records *r); /* no timer is armed any more */

/* ---- stat_window.c: sums now and some seconds ago, for rates and recent quantiles ---- */
struct stat_sum;
struct stat_window *stat_window_new(void);
void stat_window_free(struct stat_window *w);
void stat_window_sample(struct stat_window *w, struct node *n); /* every STAT_SAMPLE_MS */
/* What happened in the window: now minus the oldest sample. Seconds in *window_s. */
void stat_window_delta(struct stat_window *w, struct node *n, uint32_t cell, struct stat_sum *out,
                       double *window_s);
/* The same of figures of the whole process. */
struct proxy_counters;
void stat_window_counters(const struct stat_window *w, const struct node *n,
                          struct proxy_counters *now, struct proxy_counters *then);
#define STAT_SAMPLE_MS 10000
