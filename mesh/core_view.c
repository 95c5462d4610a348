/* core_view.c - copies on the gossip thread what the control thread is to see. */
#include "mesh/core_view.h"

#include <gossamer/alloc.h>

#include "mesh/node.h"

static void
run(struct gossip_call *c, struct gossip *g, uint64_t now_ms, uint64_t wall_ms)
{
    struct core_view *v = GS_CONTAINER(c, struct core_view, call);
    struct gossip_node n;
    size_t cap = 0;

    (void)now_ms;
    (void)wall_ms;
    gossip_counters(g, &v->counters);
    v->standing = gossip_standing(g);
    v->incarnation = gossip_self(g).incarnation;
    v->restarting = gossip_self(g).restarting;
    for (size_t at = 0; gossip_next_node(g, &at, &n);) {
        if (v->count == cap) {
            cap = cap ? cap * 2 : 64;
            v->nodes = gs_realloc(v->nodes, cap * sizeof(*v->nodes));
        }
        v->nodes[v->count++] = (struct core_view_node){ .id = n.id,
                                                        .state = n.state,
                                                        .restarting = n.restarting,
                                                        .incarnation = n.incarnation,
                                                        .rtt_us = n.rtt_us };
    }
}

static void
on_done(struct gossip_call *c)
{
    struct core_view *v = GS_CONTAINER(c, struct core_view, call);

    v->done(v);
}

void
core_view_get(struct node *n, struct core_view *v, void (*done)(struct core_view *v))
{
    v->done = done;
    v->stopped = !n->gossip;
    if (v->stopped) {
        done(v);
        return;
    }
    v->call = (struct gossip_call){ .run = run, .done = on_done };
    gs_list_init(&v->call.link);
    gossip_loop_call(n->gossip, &v->call);
}

void
core_view_fini(struct core_view *v)
{
    gs_free(v->nodes);
    v->nodes = NULL;
    v->count = 0;
}

const struct core_view_node *
core_view_find(const struct core_view *v, const struct gs_id *id)
{
    size_t low = 0, high = v->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(v->nodes[middle].id.bytes, id->bytes, GS_ID_BYTES);

        if (order == 0)
            return &v->nodes[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
