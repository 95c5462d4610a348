/* core_view.h - a moment of the gossip core, for those on the control thread who show it: what no
 * event tells, because it always changes (round trips, counters). */
#pragma once

#include <gossamer/gossip_loop.h>

struct node;

struct core_view_node {
    struct gs_id id;
    enum gossip_state state;
    bool restarting;
    uint32_t incarnation;
    uint32_t rtt_us; /* 0: never measured */
};

struct core_view {
    struct gossip_call call;
    /* Filled when `done` is called; none of it if `stopped`. */
    struct gossip_counters counters;
    enum gossip_standing standing;
    uint32_t incarnation;         /* of this node */
    bool restarting;              /* it said so of itself */
    struct core_view_node *nodes; /* the others, by id */
    size_t count;
    bool stopped;                      /* the gossip has ended: there is nothing to be asked */
    void (*done)(struct core_view *v); /* owns v from here on */
};

/* Ask; done is called once, perhaps before this returns. */
void core_view_get(struct node *n, struct core_view *v, void (*done)(struct core_view *v));
void core_view_fini(struct core_view *v);
const struct core_view_node *core_view_find(const struct core_view *v, const struct gs_id *id);
