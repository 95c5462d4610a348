/* node_proxy.h - starting the data plane of a node, and the doors between it and the control
 * thread: by one in each worker other nodes ask the admin API, by one more we ask them. */
#pragma once

#include "mesh/node.h"

struct admin;
struct gs_wake;
struct node_proxy;

struct node_proxy_options {
    struct node *node; /* gets .proxy and .calls */
    struct admin *admin;
    struct gs_wake *ejections; /* sent when endpoints are ejected and readmitted */
    struct gs_wake *doubts;    /* sent when nodes are doubted */
    uint32_t workers;
    bool one_thread; /* on the node's loop */
};

/* *out is set by a refusal, too. */
gs_err node_proxy_start(const struct node_proxy_options *o, struct node_proxy **out,
                        struct gs_why *why) GS_MUST_CHECK;
/* proxy_set_cuts(), if there is a proxy. */
void node_proxy_cut(struct node *n, const struct gs_id *nodes, size_t count);
/* In whose name applications call depends on how many services the node has. NULL is fine. */
void node_proxy_name_callers(struct node_proxy *p);
/* timeouts.* of the configuration, from now on; before there is a proxy, too. */
void node_proxy_set_timeouts(struct node *n);
/* Let requests finish, then done(arg). */
void node_proxy_drain(struct node_proxy *p, void (*done)(void *arg), void *arg);
/* Streams of other nodes that were answered 503 not-processed so far. NULL: none. */
uint64_t node_proxy_refused(const struct node_proxy *p);
void node_proxy_hurry(struct node_proxy *p); /* while it drains: those that have not finished */
void node_proxy_free(struct node_proxy *p);  /* the loop has ended; NULL is fine */
