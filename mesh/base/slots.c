/* slots.c - stable numbers for endpoints. The array is one lazily touched mapping that never
 * moves; everything but the atomics belongs to the control thread. */
#include <sys/mman.h>

#include <gossamer/alloc.h>
#include <gossamer/map.h>
#include <gossamer/rng.h>
#include <gossamer/snapshot.h>

struct slot_key { /* control's side of a slot */
    struct gs_slice key;
    uint32_t next_free; /* +1; 0 ends the list */
};

struct slots {
    struct slot *cell; /* SLOTS_MAX, untouched pages cost nothing */
    struct slot_key *keys;
    struct gs_map by_key; /* key -> number + 1 */
    uint32_t free_first;  /* +1 */
    uint32_t made;        /* numbers ever given out */
    uint32_t used;
};

struct slots *
slots_new(void)
{
    struct slots *s = gs_zalloc(sizeof(*s));
    void *cells = mmap(NULL, sizeof(struct slot) * SLOTS_MAX, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *keys = mmap(NULL, sizeof(struct slot_key) * SLOTS_MAX, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    GS_ASSERT(cells != MAP_FAILED);
    GS_ASSERT(keys != MAP_FAILED);
    s->cell = cells;
    s->keys = keys;
    gs_map_init(&s->by_key, gs_rng_seed_from_system());
    return s;
}

void
slots_free(struct slots *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->made; i++)
        gs_free((void *)(uintptr_t)s->keys[i].key.ptr);
    gs_map_fini(&s->by_key);
    munmap(s->cell, sizeof(struct slot) * SLOTS_MAX);
    munmap(s->keys, sizeof(struct slot_key) * SLOTS_MAX);
    gs_free(s);
}

struct slot *
slots_at(const struct slots *s, uint32_t slot)
{
    GS_ASSERT(slot < SLOTS_MAX);
    return &s->cell[slot];
}

gs_err
slots_get(struct slots *s, struct gs_slice key, uint32_t *slot)
{
    uintptr_t found = (uintptr_t)gs_map_find(&s->by_key, key);
    struct slot_key *k;
    uint32_t n;
    char *copy;

    if (found) {
        *slot = (uint32_t)(found - 1);
        return GS_E_OK;
    }
    if (s->free_first) {
        n = s->free_first - 1;
        s->free_first = s->keys[n].next_free;
    } else if (s->made < SLOTS_MAX) {
        n = s->made++;
    } else {
        return GS_E_LIMIT;
    }
    k = &s->keys[n];
    copy = gs_alloc(key.len + 1);
    memcpy(copy, key.ptr, key.len);
    copy[key.len] = '\0';
    k->key = gs_slice(copy, key.len);
    k->next_free = 0;
    gs_map_put(&s->by_key, k->key, (void *)(uintptr_t)(n + 1));
    s->cell[n].listed = 1;
    atomic_fetch_add_explicit(&s->cell[n].generation, 1, memory_order_relaxed);
    GS_ASSERT(atomic_load(&s->cell[n].generation) % 2 == 1);
    s->used++;
    *slot = n;
    return GS_E_OK;
}

void
slots_ref(struct slots *s, uint32_t slot)
{
    GS_ASSERT(slots_at(s, slot)->listed);
    s->cell[slot].roots++;
}

void
slots_unref(struct slots *s, uint32_t slot)
{
    GS_ASSERT(slots_at(s, slot)->roots > 0);
    s->cell[slot].roots--;
}

static void
slot_release(struct slots *s, uint32_t n)
{
    struct slot *c = &s->cell[n];

    gs_map_remove(&s->by_key, s->keys[n].key);
    gs_free((void *)(uintptr_t)s->keys[n].key.ptr);
    s->keys[n].key = GS_SLICE_NONE;
    c->listed = 0;
    atomic_fetch_add_explicit(&c->generation, 1, memory_order_relaxed);
    atomic_store_explicit(&c->faults, 0, memory_order_relaxed);
    atomic_store_explicit(&c->ejection, 0, memory_order_relaxed);
    atomic_store_explicit(&c->readmitted_ms, 0, memory_order_relaxed);
    atomic_store_explicit(&c->succeeded_ms, 0, memory_order_relaxed);
    atomic_store_explicit(&c->panics, 0, memory_order_relaxed);
    atomic_store_explicit(&c->ejections, 0, memory_order_relaxed);
    s->keys[n].next_free = s->free_first;
    s->free_first = n + 1;
    GS_ASSERT(s->used > 0);
    s->used--;
}

void
slots_reap(struct slots *s)
{
    for (uint32_t n = 0; n < s->made; n++) {
        struct slot *c = &s->cell[n];

        /* acquire: what the last user wrote about this slot happened before we reset it */
        if (c->listed && c->roots == 0 &&
            atomic_load_explicit(&c->active, memory_order_acquire) == 0 &&
            atomic_load_explicit(&c->pending, memory_order_acquire) == 0 &&
            atomic_load_explicit(&c->pooled, memory_order_acquire) == 0)
            slot_release(s, n);
    }
}

void
slots_let_try(const struct slots *s, uint32_t slot, uint64_t now_ms)
{
    struct slot *c = slots_at(s, slot);
    uint64_t was = atomic_load_explicit(&c->ejection, memory_order_relaxed);

    if ((was & EJECTION_OUT) && ejection_until_ms(was) > now_ms) /* else it is tried, or may be */
        (void)atomic_compare_exchange_strong_explicit(&c->ejection, &was,
                                                      ejection_word(now_ms, EJECTION_OUT),
                                                      memory_order_relaxed, memory_order_relaxed);
}

size_t
slots_used(const struct slots *s)
{
    return s->used;
}
