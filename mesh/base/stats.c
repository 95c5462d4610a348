/* stats.c - numbers for labels, and per-worker tables of counters. */
#include <gossamer/stats.h>

#include <stdio.h>

#include <gossamer/alloc.h>
#include <gossamer/arena.h>
#include <gossamer/map.h>
#include <gossamer/rng.h>

#define STAT_KEY_BYTES 1024 /* three names of at most 253 bytes and figures */

struct stat_names {
    struct gs_arena arena;
    struct gs_map by_key; /* -> id + 1 */
    struct stat_label *labels;
    uint32_t count, cap;
};

struct stat_names *
stat_names_new(void)
{
    struct stat_names *n = gs_zalloc(sizeof(*n));

    gs_arena_init(&n->arena, NULL, 0, 4096);
    gs_map_init(&n->by_key, gs_rng_seed_from_system());
    return n;
}

void
stat_names_free(struct stat_names *n)
{
    if (!n)
        return;
    gs_map_fini(&n->by_key);
    gs_arena_fini(&n->arena);
    gs_free(n->labels);
    gs_free(n);
}

uint32_t
stat_names_get(struct stat_names *n, const struct stat_label *label)
{
    char key[STAT_KEY_BYTES];
    int len = snprintf(key, sizeof(key), "%d/%.*s/%.*s:%u/%.*s", (int)label->direction,
                       GS_SLICE_FMT(label->ns), GS_SLICE_FMT(label->service), label->port,
                       GS_SLICE_FMT(label->subset));
    uintptr_t found;
    struct stat_label *l;

    if (len < 0 || (size_t)len >= sizeof(key))
        return UINT32_MAX;
    found = (uintptr_t)gs_map_find(&n->by_key, gs_slice(key, (size_t)len));
    if (found)
        return (uint32_t)(found - 1);
    if (n->count >= STAT_CELLS_MAX)
        return UINT32_MAX;
    if (n->count == n->cap) {
        n->cap = n->cap ? n->cap * 2 : 64;
        n->labels = gs_realloc(n->labels, n->cap * sizeof(*n->labels));
    }
    l = &n->labels[n->count];
    l->ns = gs_arena_copy(&n->arena, label->ns);
    l->service = gs_arena_copy(&n->arena, label->service);
    l->subset = gs_arena_copy(&n->arena, label->subset);
    l->port = label->port;
    l->direction = label->direction;
    gs_map_put(&n->by_key, gs_arena_copy(&n->arena, gs_slice(key, (size_t)len)),
               (void *)(uintptr_t)(n->count + 1));
    return n->count++;
}

const struct stat_label *
stat_names_at(const struct stat_names *n, uint32_t id)
{
    return id < n->count ? &n->labels[id] : NULL;
}

#define PAGE_CELLS 64

struct stat_table {
    _Atomic(struct stat_cell *) page[STAT_CELLS_MAX / PAGE_CELLS][PAGE_CELLS];
};

struct stat_table *
stat_table_new(void)
{
    return gs_zalloc(sizeof(struct stat_table)); /* untouched pages of it cost nothing */
}

void
stat_table_free(struct stat_table *t)
{
    if (!t)
        return;
    for (uint32_t i = 0; i < STAT_CELLS_MAX; i++)
        gs_free(atomic_load(&t->page[i / PAGE_CELLS][i % PAGE_CELLS]));
    gs_free(t);
}

struct stat_cell *
stat_table_get(struct stat_table *t, uint32_t id)
{
    struct stat_cell *c;

    if (id >= STAT_CELLS_MAX)
        return NULL;
    c = atomic_load_explicit(&t->page[id / PAGE_CELLS][id % PAGE_CELLS], memory_order_relaxed);
    if (c)
        return c;
    c = gs_zalloc(sizeof(*c));
    atomic_store_explicit(&t->page[id / PAGE_CELLS][id % PAGE_CELLS], c, memory_order_release);
    return c;
}

const struct stat_cell *
stat_table_peek(const struct stat_table *t, uint32_t id)
{
    if (id >= STAT_CELLS_MAX)
        return NULL;
    return atomic_load_explicit(&t->page[id / PAGE_CELLS][id % PAGE_CELLS], memory_order_acquire);
}

static void
count_code(struct stat_cell *c, unsigned status)
{
    for (unsigned i = 0; i < STAT_CODES; i++) {
        uint32_t have = atomic_load_explicit(&c->codes[i].status, memory_order_relaxed);

        /* The last cells are for classes, so that odd codes cannot push 503 out. */
        if (i == STAT_CODES - 6)
            status = status / 100 * 100;
        if (have == 0)
            atomic_store_explicit(&c->codes[i].status, status, memory_order_relaxed);
        else if (have != status)
            continue;
        stat_add(&c->codes[i].count, 1);
        return;
    }
}

void
stat_cell_answer(struct stat_cell *c, unsigned status, enum reason r, uint64_t latency_us)
{
    GS_ASSERT(r < REASON_COUNT);
    stat_add(&c->requests, 1);
    /* A client that leaves is no failure of the service; an answer cut short is one. */
    if (status >= 500 || r == REASON_UPSTREAM_CUT || r == REASON_RESPONSE_TIMEOUT ||
        (status == 0 && r != REASON_CLIENT_LEFT))
        stat_add(&c->failed, 1);
    if (status > 0)
        count_code(c, status);
    if (r != REASON_NONE)
        stat_add(&c->reasons[r], 1);
    if (status > 0)
        gs_hist_add(&c->latency, latency_us);
}

static void
sum_code(struct stat_sum *s, uint32_t status, uint64_t count)
{
    for (unsigned i = 0; i < STAT_CODES; i++) {
        if (s->codes[i].status != 0 && s->codes[i].status != status)
            continue;
        s->codes[i].status = status;
        s->codes[i].count += count;
        return;
    }
}

void
stat_sum_add(struct stat_sum *s, const struct stat_cell *c)
{
    s->requests += atomic_load_explicit(&c->requests, memory_order_relaxed);
    s->failed += atomic_load_explicit(&c->failed, memory_order_relaxed);
    s->retries += atomic_load_explicit(&c->retries, memory_order_relaxed);
    s->active += atomic_load_explicit(&c->active, memory_order_relaxed);
    for (unsigned i = 0; i < STAT_CODES; i++) {
        uint32_t status = atomic_load_explicit(&c->codes[i].status, memory_order_relaxed);

        if (status != 0)
            sum_code(s, status, atomic_load_explicit(&c->codes[i].count, memory_order_relaxed));
    }
    for (unsigned i = 0; i < REASON_COUNT; i++)
        s->reasons[i] += atomic_load_explicit(&c->reasons[i], memory_order_relaxed);
    gs_hist_sum_add(&s->latency, &c->latency);
}
