/* ejections.c - what the slots say of ejections, told when it changes. */
#include "mesh/ejections.h"

#include <gossamer/alloc.h>

#include "mesh/journal.h"

struct out { /* an endpoint that was told to be out */
    uint32_t slot, generation;
    uint32_t times; /* in a row, as told */
    bool seen;      /* in this look */
};

struct ejections {
    struct node *node;
    struct gs_wake *wake;
    struct out *out; /* few: a part of the endpoints of some services */
    size_t count, cap;
};

static struct out *
find(struct ejections *e, const struct endpoint *of)
{
    for (size_t i = 0; i < e->count; i++) {
        if (e->out[i].slot == of->slot && e->out[i].generation == of->generation)
            return &e->out[i];
    }
    return NULL;
}

static struct out *
add(struct ejections *e, const struct endpoint *of)
{
    if (e->count == e->cap) {
        e->cap = e->cap ? e->cap * 2 : 16;
        e->out = gs_realloc(e->out, e->cap * sizeof(*e->out));
    }
    GS_ASSERT(e->count < e->cap);
    e->out[e->count] = (struct out){ .slot = of->slot, .generation = of->generation };
    return &e->out[e->count++];
}

static void
tell(struct ejections *e, const struct service *s, const struct endpoint *of, uint64_t until_ms,
     uint32_t times)
{
    struct node *n = e->node;
    uint64_t now_ms = n->loop->now_ms;
    char address[GS_ADDR_TEXT];
    struct journal_field fields[7] = {
        journal_text("service", s->name),
        journal_text("ns", s->ns),
        journal_number("port", s->port),
        journal_text("address", gs_slice_str(gs_addr_text(&of->addr, address))),
        journal_text("node", of->node),
    };
    size_t count = 5;

    if (times > 0) {
        fields[count++] = journal_number("times", times);
        fields[count++] = journal_number("for_ms", until_ms > now_ms ? until_ms - now_ms : 0);
    }
    GS_ASSERT(count <= GS_COUNT(fields));
    journal_tell(n->journal, node_wall_ms(), times > 0 ? GS_LOG_WARN : GS_LOG_INFO,
                 times > 0 ? "endpoint.ejected" : "endpoint.readmitted", fields, count);
}

static void
look_at(struct ejections *e, const struct service *s, const struct endpoint *of)
{
    const struct slot *slot = slots_at(e->node->slots, of->slot);
    uint64_t word = atomic_load_explicit(&slot->ejection, memory_order_acquire);
    uint32_t times = atomic_load_explicit(&slot->ejections, memory_order_relaxed);
    struct out *known = word != 0 || e->count > 0 ? find(e, of) : NULL;

    if (word != 0 && !known)
        known = add(e, of);
    if (!known)
        return;
    known->seen = word != 0;
    if (word != 0 && known->times != times) {
        known->times = times;
        tell(e, s, of, ejection_until_ms(word), times);
    } else if (word == 0) {
        tell(e, s, of, 0, 0);
    }
}

static void
forget_unseen(struct ejections *e)
{
    size_t kept = 0;

    for (size_t i = 0; i < e->count; i++) {
        if (e->out[i].seen)
            e->out[kept++] = e->out[i];
    }
    GS_ASSERT(kept <= e->count);
    e->count = kept;
}

static void
look(void *arg)
{
    struct ejections *e = arg;
    const struct snapshot *root = snapshot_current(e->node->hub);

    for (size_t i = 0; i < e->count; i++)
        e->out[i].seen = false;
    for (uint32_t i = 0; i < root->service_count; i++) {
        const struct service *s = root->services[i];

        for (uint32_t k = 0; s && k < s->endpoint_count; k++)
            look_at(e, s, &s->endpoints[k]);
    }
    forget_unseen(e);
}

struct ejections *
ejections_new(struct node *n)
{
    struct ejections *e = gs_zalloc(sizeof(*e));

    GS_ASSERT(n->journal);
    e->node = n;
    e->wake = gs_wake_new(n->loop, look, e);
    return e;
}

struct gs_wake *
ejections_wake(struct ejections *e)
{
    GS_ASSERT(e->wake);
    return e->wake;
}

void
ejections_close(struct ejections *e)
{
    if (!e)
        return;
    gs_wake_close(e->wake);
    e->wake = NULL;
}

void
ejections_free(struct ejections *e)
{
    if (!e)
        return;
    GS_ASSERT(!e->wake);
    gs_free(e->out);
    gs_free(e);
}
