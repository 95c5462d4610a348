/* node.h - one running node: what the API handlers work on. Control thread. */
#pragma once

#include <stdio.h>

#include <gossamer/model.h>

#include "mesh/persist.h"

struct config;
struct gossip;
struct gossip_op;
struct gossip_put_result;
struct proxy;

struct node {
    const struct config *config;
    struct gs_loop *loop;
    struct slots *slots;
    struct snapshot_hub *hub;
    struct stat_names *stat_names;
    struct model *model;
    struct gossip *gossip;
    struct persist *persist;
    struct proxy *proxy;
    struct stat_window *window;
    struct gs_id id;
    uint64_t started_ms; /* monotonic */
    bool ready, draining;
};

uint64_t node_wall_ms(void);

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

/* What the store took (or restored) reaches the model, a new snapshot is published, the state goes
 * to disk, and c->done is called when both are through. */
void node_commit(struct node *n, struct node_commit *c);

/* ---- stat_window.c: sums now and some seconds ago, for rates and recent quantiles ---- */
struct stat_sum;
struct stat_window *stat_window_new(void);
void stat_window_free(struct stat_window *w);
void stat_window_sample(struct stat_window *w, struct node *n); /* every STAT_SAMPLE_MS */
/* What happened in the window: now minus the oldest sample. Seconds in *window_s. */
void stat_window_delta(struct stat_window *w, struct node *n, uint32_t cell, struct stat_sum *out,
                       double *window_s);
#define STAT_SAMPLE_MS 10000
