/* doubts.c - carries doubts from the workers to the gossip thread. */
#include "mesh/doubts.h"

#include <gossamer/alloc.h>
#include <gossamer/gossip_loop.h>
#include <gossamer/proxy.h>

struct doubts {
    struct node *node;
    struct gs_wake *wake;
    struct gs_timer again; /* armed: some were told of not long ago */
};

struct told {
    struct gossip_call call;
    struct gs_id nodes[DOUBTS_MAX];
    size_t count;
};

static void
run(struct gossip_call *c, struct gossip *g, uint64_t now_ms, uint64_t wall_ms)
{
    const struct told *t = GS_CONTAINER(c, struct told, call);

    (void)wall_ms;
    for (size_t i = 0; i < t->count; i++)
        gossip_doubt(g, now_ms, &t->nodes[i]);
}

static void
on_done(struct gossip_call *c)
{
    gs_free(GS_CONTAINER(c, struct told, call));
}

static void
tell(struct doubts *d)
{
    struct node *n = d->node;
    struct gs_id nodes[DOUBTS_MAX];
    size_t count = n->proxy ? proxy_doubts(n->proxy, nodes) : 0;
    struct told *t;

    if (count == 0 || !n->gossip) /* starting, or stopping: they are doubted again */
        return;
    t = gs_zalloc(sizeof(*t));
    memcpy(t->nodes, nodes, count * sizeof(*nodes));
    t->count = count;
    t->call = (struct gossip_call){ .run = run, .done = on_done };
    gs_loop_arm(n->loop, &d->again, DOUBTS_EVERY_MS);
    gossip_loop_call(n->gossip, &t->call);
}

static void
on_wake(void *arg)
{
    struct doubts *d = arg;

    if (!gs_timer_armed(&d->again))
        tell(d);
}

static void
on_again(struct gs_timer *t)
{
    tell(GS_CONTAINER(t, struct doubts, again));
}

struct doubts *
doubts_new(struct node *n)
{
    struct doubts *d = gs_zalloc(sizeof(*d));

    GS_ASSERT(n->loop);
    d->node = n;
    gs_timer_init(&d->again, on_again);
    d->wake = gs_wake_new(n->loop, on_wake, d);
    return d;
}

struct gs_wake *
doubts_wake(struct doubts *d)
{
    GS_ASSERT(d->wake);
    return d->wake;
}

void
doubts_close(struct doubts *d)
{
    if (!d)
        return;
    gs_loop_disarm(d->node->loop, &d->again);
    gs_wake_close(d->wake);
    d->wake = NULL;
}

void
doubts_free(struct doubts *d)
{
    if (!d)
        return;
    GS_ASSERT(!d->wake);
    gs_free(d);
}
