/* node_running.h - a running node and what only its start, its reloads and its end need: node.c,
 * node_reload.c, node_stop.c. Control thread. */
#pragma once

#include <gossamer/gossip_loop.h>
#include <gossamer/seal.h>

#include "mesh/node.h"
#include "mesh/state.h"

struct admin;
struct announce;
struct doubts;
struct ejections;
struct gs_signal;
struct h1_pool;
struct health;
struct node_proxy;

/* ANNOUNCING ──members route by it──▶ FINISHING ──no request is left──▶ LEAVING ──told──▶ SAVING
 *                                          └──it comes back──────────────────────────────▲ │
 *        ENDED ◀──health checks──▶ ENDING ◀──told──── PARTING ◀──the admin API──▶ CLOSING ◀┘ */
enum stop_state {
    STOP_NOT,
    STOP_ANNOUNCING,
    STOP_FINISHING,
    STOP_LEAVING,
    STOP_SAVING,
    STOP_CLOSING,
    STOP_PARTING, /* the others are told that it comes back */
    STOP_ENDING,
    STOP_ENDED,
};

struct node_stop {
    struct gs_fsm fsm; /* enum stop_state */
    bool leaving;      /* for good; else another process takes the place of this one */
    unsigned signals;  /* SIGTERM and SIGINT so far */
    struct announce *announce;
    struct gossip_call part; /* leave, or say that it comes back */
    struct gs_timer part_timer;
    bool told; /* as many as it takes heard that */
    void (*on_left)(void *arg);
    void *on_left_arg;
    uint64_t begun_ms;
    uint64_t refused_before; /* streams of other nodes */
};

struct running {
    struct node node;
    struct config *config; /* node.config */
    struct h1_pool *h1;
    struct admin *admin;
    struct health *health;
    struct seal_key *key;
    struct seal_ring keys; /* the core borrows it */
    struct gs_signal *term, *interrupt, *hangup;
    struct gs_timer sample;
    struct state_file state; /* of mesh.state, kept while unknown frames must be kept */
    struct gossip *core;     /* until it is handed to its thread */
    struct gossip_sockets sockets;
    struct gossip_loop *stopped; /* was node.gossip */
    struct node_commit opening;  /* done is set: the core has opened */
    struct node_proxy *proxy;
    struct ejections *ejections; /* NULL: proxy.mode is off */
    struct doubts *doubts;       /* as well */
    struct node_stop stop;
    int lock_fd;
};

static inline struct running *
running_of(struct node *n)
{
    return GS_CONTAINER(n, struct running, node);
}

/* ---- node_stop.c ---- */

void node_stop_init(struct running *r);
/* SIGTERM or SIGINT: drain; the second one cuts what has not finished, the third exits at once. */
void node_stop_on_signal(void *arg, int signum);
