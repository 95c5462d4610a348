/* announce.c - see announce.h. Who has not confirmed when the time is up is named in the log. */
#include "mesh/announce.h"

#include <gossamer/alloc.h>
#include <gossamer/gossip_loop.h>
#include <gossamer/log.h>
#include <gossamer/snapshot.h>

#include "mesh/confirm.h"
#include "mesh/node.h"

/* WRITING ──all records are in the store──▶ ASKING ──all have answered──▶ FINISHING ──▶ OVER
 *    │ │                                      └──────time──────────────────────────────▲ │
 *    │ └─────time──────────────────────────────────────────────────────────────────────┘ │
 *    └──────────announce_free while the call is under way──▶ FORGOTTEN ◀─────────────────┘
 *
 * FINISHING: what our own workers do. Last, since what others had under way came through here. */
enum announce_state {
    ANNOUNCE_WRITING,
    ANNOUNCE_ASKING,
    ANNOUNCE_FINISHING,
    ANNOUNCE_OVER,
    ANNOUNCE_FORGOTTEN
};

struct part { /* as many records as one question may name */
    struct announce *announce;
    struct confirm *confirm; /* NULL: nobody was asked */
    bool heard;
};

struct announce {
    struct announce_options o;
    struct node *node;
    enum announce_state state;
    struct own_watch watch;
    struct gossip_call fence; /* calls are made in order: behind it all is written */
    bool fenced;
    struct gs_timer deadline, look;
    struct gs_defer tell;
    uint64_t seq; /* FINISHING: what our workers must have adopted */
    struct confirm_item *items;
    size_t count, cap;
    struct part *parts;
    size_t part_count, open;
    uint64_t until_ms;
};

static void
on_said(struct own_watch *w, struct gs_slice key, const struct gs_version *v, bool removed)
{
    struct announce *a = GS_CONTAINER(w, struct announce, watch);

    if (a->count == a->cap) {
        a->cap = a->cap ? a->cap * 2 : 16;
        a->items = gs_realloc(a->items, a->cap * sizeof(*a->items));
    }
    a->items[a->count++] = confirm_item(key, v, removed ? CONFIRM_DELETED : 0);
}

/* ---- the end ---- */

static void
name_laggards(const struct announce *a)
{
    struct gs_slice name;
    const char *why;

    for (size_t i = 0; i < a->part_count; i++) {
        for (size_t at = 0; confirm_next_laggard(a->parts[i].confirm, &at, &name, &why);)
            GS_LOG_AT_MOST(GS_LOG_MANY, GS_LOG_WARN, "announce.not_confirmed",
                           "what=%s node=%.*s why=\"%s\"", a->o.what, GS_SLICE_FMT(name), why);
    }
}

static void
on_tell(struct gs_defer *d)
{
    struct announce *a = GS_CONTAINER(d, struct announce, tell);

    a->o.done(a->o.arg);
}

static void
over(struct announce *a)
{
    a->state = ANNOUNCE_OVER;
    gs_loop_disarm(a->node->loop, &a->deadline);
    gs_loop_disarm(a->node->loop, &a->look);
    gs_list_remove(&a->watch.link);
    name_laggards(a);
    gs_loop_defer(a->node->loop, &a->tell);
}

static void
on_deadline(struct gs_timer *t)
{
    over(GS_CONTAINER(t, struct announce, deadline));
}

/* ---- our own ---- */

size_t
announce_unanswered(const struct node *n, const struct gs_id *owner)
{
    const struct snapshot *root = snapshot_current(n->hub);
    size_t count = 0;

    for (uint32_t i = 0; i < root->service_count; i++) {
        const struct service *s = root->services[i];

        for (uint32_t k = 0; s && k < s->endpoint_count; k++) {
            const struct endpoint *e = &s->endpoints[k];

            if (e->tier == TIER_DRAINING && gs_id_eq(e->local ? &n->id : &e->owner, owner))
                count += atomic_load_explicit(&slots_at(root->slots, e->slot)->active,
                                              memory_order_acquire);
        }
    }
    return count;
}

static void
look(struct announce *a)
{
    GS_ASSERT(a->state == ANNOUNCE_FINISHING);
    /* In this order: what was begun by a former snapshot is counted before the next is adopted. */
    if (snapshot_adopted_by_all(a->node->hub) < a->seq ||
        announce_unanswered(a->node, &a->node->id) > 0)
        gs_loop_arm(a->node->loop, &a->look, LOOP_TICK_MS);
    else
        over(a);
}

static void
on_look(struct gs_timer *t)
{
    look(GS_CONTAINER(t, struct announce, look));
}

static void
all_heard(struct announce *a)
{
    GS_ASSERT(a->state == ANNOUNCE_ASKING);
    GS_ASSERT(a->open == 0);
    if (a->o.until == ANNOUNCE_ROUTED) {
        over(a);
        return;
    }
    a->state = ANNOUNCE_FINISHING;
    a->seq = snapshot_current(a->node->hub)->seq;
    look(a);
}

/* ---- asking ---- */

static void
on_heard(void *arg)
{
    struct part *p = arg;

    GS_ASSERT(!p->heard);
    GS_ASSERT(p->announce->open > 0);
    p->heard = true;
    if (--p->announce->open == 0 && p->announce->state == ANNOUNCE_ASKING)
        all_heard(p->announce);
}

static void
ask(struct announce *a)
{
    uint64_t now_ms = a->node->loop->now_ms;

    a->state = ANNOUNCE_ASKING;
    a->part_count = (a->count + APPLY_OBJECTS_MAX - 1) / APPLY_OBJECTS_MAX;
    a->parts = gs_calloc(a->part_count + 1, sizeof(*a->parts));
    for (size_t i = 0; i < a->part_count; i++) {
        struct part *p = &a->parts[i];
        size_t first = i * APPLY_OBJECTS_MAX, rest = a->count - first;

        p->announce = a;
        p->confirm = confirm_start(
            a->node,
            &(struct confirm_options){ .items = &a->items[first],
                                       .count = rest < APPLY_OBJECTS_MAX ? rest : APPLY_OBJECTS_MAX,
                                       .owner = &a->node->id,
                                       .answered = a->o.until == ANNOUNCE_ANSWERED,
                                       .wait_ms = a->until_ms > now_ms ? a->until_ms - now_ms : 0,
                                       .done = on_heard,
                                       .arg = p });
        a->open += p->confirm != NULL;
    }
    if (a->open == 0)
        all_heard(a);
}

/* ---- writing ---- */

static void
run_fence(struct gossip_call *c, struct gossip *g, uint64_t now_ms, uint64_t wall_ms)
{
    (void)c; /* what was called before has run */
    (void)g;
    (void)now_ms;
    (void)wall_ms;
}

static void
on_fence(struct gossip_call *c)
{
    struct announce *a = GS_CONTAINER(c, struct announce, fence);

    GS_ASSERT(a->state != ANNOUNCE_ASKING);
    GS_ASSERT(a->state != ANNOUNCE_FINISHING);
    a->fenced = true;
    if (a->state == ANNOUNCE_WRITING)
        ask(a);
    else if (a->state == ANNOUNCE_FORGOTTEN)
        gs_free(a);
}

struct announce *
announce_start(struct node *n, const struct announce_options *o)
{
    struct announce *a = gs_zalloc(sizeof(*a));

    GS_ASSERT(n->gossip);
    a->o = *o;
    a->node = n;
    a->watch.said = on_said;
    gs_list_init(&a->watch.link);
    gs_timer_init(&a->deadline, on_deadline);
    gs_timer_init(&a->look, on_look);
    gs_defer_init(&a->tell, on_tell);
    a->until_ms = n->loop->now_ms + ANNOUNCE_MS;
    gs_loop_arm(n->loop, &a->deadline, ANNOUNCE_MS);
    node_records_watch_own(n->records, &a->watch);
    (void)node_records_flush(n->records);
    a->fence = (struct gossip_call){ .run = run_fence, .done = on_fence };
    gossip_loop_call(n->gossip, &a->fence);
    return a;
}

void
announce_free(struct announce *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->part_count; i++)
        confirm_free(a->parts[i].confirm);
    gs_free(a->parts);
    gs_free(a->items);
    a->part_count = a->count = 0;
    gs_list_remove(&a->watch.link);
    gs_loop_disarm(a->node->loop, &a->deadline);
    gs_loop_disarm(a->node->loop, &a->look);
    gs_defer_cancel(&a->tell);
    if (a->fenced)
        gs_free(a);
    else
        a->state = ANNOUNCE_FORGOTTEN;
}

/* ---- what came of it ---- */

size_t
announce_asked(const struct announce *a)
{
    return a->part_count > 0 ? confirm_asked(a->parts[0].confirm) : 0;
}

size_t
announce_confirmed(const struct announce *a)
{
    size_t least = announce_asked(a);

    for (size_t i = 0; i < a->part_count; i++) {
        size_t n = confirm_confirmed(a->parts[i].confirm);

        least = n < least ? n : least;
    }
    return least;
}
