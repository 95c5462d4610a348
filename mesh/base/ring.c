/* ring.c - positions count up for ever and are cut to the ring's size where they are used, so full
 * and empty differ without a spare item. Each side keeps the other's position as it last saw it: in
 * steady flow a cache line crosses once a lap, not once an item. */
#include <gossamer/ring.h>

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include <gossamer/alloc.h>

#define CACHE_LINE 64

struct ring_side {
    _Atomic uint64_t at; /* written by this side alone */
    uint64_t other_seen; /* the other's `at`: a bound, it only grows */
} __attribute__((aligned(CACHE_LINE)));

struct gs_ring {
    struct ring_side producer, consumer;
    size_t items, item_bytes;
    char *bytes;
} __attribute__((aligned(CACHE_LINE)));

struct gs_ring *
gs_ring_new(size_t items, size_t item_bytes)
{
    struct gs_ring *r = gs_zalloc_aligned(CACHE_LINE, sizeof(*r));

    GS_ASSERT(items > 0);
    GS_ASSERT((items & (items - 1)) == 0);
    GS_ASSERT(item_bytes > 0);
    r->items = items;
    r->item_bytes = item_bytes;
    r->bytes = gs_calloc(items, item_bytes);
    return r;
}

void
gs_ring_free(struct gs_ring *r)
{
    if (!r)
        return;
    gs_free(r->bytes);
    gs_free(r);
}

static char *
item_at(const struct gs_ring *r, uint64_t at)
{
    return r->bytes + (at & (r->items - 1)) * r->item_bytes;
}

bool
gs_ring_has_room(struct gs_ring *r)
{
    uint64_t at = atomic_load_explicit(&r->producer.at, memory_order_relaxed);

    GS_ASSERT(at - r->producer.other_seen <= r->items);
    if (at - r->producer.other_seen < r->items)
        return true;
    /* Acquire: what was taken has been read before we write over it. */
    r->producer.other_seen = atomic_load_explicit(&r->consumer.at, memory_order_acquire);
    return at - r->producer.other_seen < r->items;
}

bool
gs_ring_put(struct gs_ring *r, const void *item)
{
    uint64_t at = atomic_load_explicit(&r->producer.at, memory_order_relaxed);

    if (!gs_ring_has_room(r))
        return false;
    memcpy(item_at(r, at), item, r->item_bytes);
    atomic_store_explicit(&r->producer.at, at + 1, memory_order_release);
    return true;
}

bool
gs_ring_take(struct gs_ring *r, void *item)
{
    uint64_t at = atomic_load_explicit(&r->consumer.at, memory_order_relaxed);

    GS_ASSERT(at <= r->consumer.other_seen);
    if (at == r->consumer.other_seen) {
        r->consumer.other_seen = atomic_load_explicit(&r->producer.at, memory_order_acquire);
        if (at == r->consumer.other_seen)
            return false;
    }
    memcpy(item, item_at(r, at), r->item_bytes);
    atomic_store_explicit(&r->consumer.at, at + 1, memory_order_release);
    return true;
}
