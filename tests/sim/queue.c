/* queue.c - a heap of small cells; events and packets come from pools, because a run of a thousand
 * hosts makes millions of them. */
#include "tests/sim/queue.h"

#include <string.h>

#include <gossamer/alloc.h>
#include <gossamer/check.h>
#include <gossamer/limits.h>

#define EVENTS_PER_BLOCK 256

void
queue_init(struct queue *q)
{
    *q = (struct queue){ 0 };
}

void
queue_fini(struct queue *q)
{
    struct event *e;

    while ((e = queue_next(q)))
        queue_drop(q, e);
    while (q->free_parcels) {
        struct parcel *p = q->free_parcels;

        q->free_parcels = p->next_free;
        gs_free(p);
    }
    for (size_t i = 0; i < q->block_count; i++)
        gs_free(q->blocks[i]);
    gs_free(q->blocks);
    gs_free(q->cells);
    *q = (struct queue){ 0 };
}

/* ---- events ---- */

static void
add_block(struct queue *q)
{
    struct event *block = gs_calloc(EVENTS_PER_BLOCK, sizeof(*block));

    q->blocks = gs_realloc(q->blocks, (q->block_count + 1) * sizeof(*q->blocks));
    q->blocks[q->block_count++] = block;
    for (size_t i = 0; i < EVENTS_PER_BLOCK; i++) {
        block[i].next = q->free_events;
        q->free_events = &block[i];
    }
}

struct event *
queue_event(struct queue *q, enum event_type type)
{
    struct event *e;

    if (!q->free_events)
        add_block(q);
    e = q->free_events;
    q->free_events = e->next;
    *e = (struct event){ .type = type };
    return e;
}

void
queue_drop(struct queue *q, struct event *e)
{
    if (e->parcel)
        parcel_drop(q, e->parcel);
    e->parcel = NULL;
    e->next = q->free_events;
    q->free_events = e;
}

/* ---- the heap ---- */

static bool
earlier(const struct queue_cell *a, const struct queue_cell *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void
queue_put(struct queue *q, struct event *e, uint64_t at_ns)
{
    struct queue_cell cell = { at_ns, q->order++, e };
    size_t at = q->count++;

    e->at_ns = at_ns;
    if (q->count > q->cap) {
        q->cap = q->cap ? q->cap * 2 : 1024;
        q->cells = gs_realloc(q->cells, q->cap * sizeof(*q->cells));
    }
    while (at > 0 && earlier(&cell, &q->cells[(at - 1) / 2])) {
        q->cells[at] = q->cells[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    q->cells[at] = cell;
}

struct event *
queue_next(struct queue *q)
{
    struct event *first;
    struct queue_cell last;
    size_t at = 0;

    if (q->count == 0)
        return NULL;
    first = q->cells[0].event;
    last = q->cells[--q->count];
    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= q->count)
            break;
        if (child + 1 < q->count && earlier(&q->cells[child + 1], &q->cells[child]))
            child++;
        if (!earlier(&q->cells[child], &last))
            break;
        q->cells[at] = q->cells[child];
        at = child;
    }
    q->cells[at] = last;
    return first;
}

uint64_t
queue_next_ns(const struct queue *q)
{
    return q->count == 0 ? UINT64_MAX : q->cells[0].at_ns;
}

/* ---- parcels ---- */

struct parcel *
parcel_new(struct queue *q, const char *bytes, size_t len)
{
    struct parcel *p = q->free_parcels;

    GS_ASSERT(len <= UINT32_MAX);
    if (len > PACKET_BYTES_MAX)
        p = gs_alloc(sizeof(*p) + len);
    else if (p)
        q->free_parcels = p->next_free;
    else
        p = gs_alloc(sizeof(*p) + PACKET_BYTES_MAX);
    p->refs = 1;
    p->len = (uint32_t)len;
    if (len > 0)
        memcpy(p->bytes, bytes, len);
    return p;
}

struct parcel *
parcel_share(struct parcel *p)
{
    p->refs++;
    return p;
}

void
parcel_drop(struct queue *q, struct parcel *p)
{
    GS_ASSERT(p->refs > 0);
    if (--p->refs > 0)
        return;
    if (p->len > PACKET_BYTES_MAX) {
        gs_free(p);
        return;
    }
    p->next_free = q->free_parcels;
    q->free_parcels = p;
}
