/* map.c - open addressing with linear probing. At most 3/4 of the cells are used, deleted ones
 * included, so a probe always ends at an empty cell. */
#include <gossamer/map.h>

#include <gossamer/alloc.h>
#include <gossamer/check.h>

#define MAP_FIRST_CELLS 16

/* `hash` of a cell without a key tells the two kinds apart. */
enum { MAP_EMPTY = 0, MAP_DELETED = 1 };

static void
check(const struct gs_map *m)
{
    GS_ASSERT((m->cap & (m->cap - 1)) == 0);
    GS_ASSERT(m->count <= m->used);
    GS_ASSERT(m->cap == 0 || m->used < m->cap);
}

void
gs_map_init(struct gs_map *m, uint64_t seed)
{
    *m = (struct gs_map){ .seed = seed };
}

void
gs_map_fini(struct gs_map *m)
{
    if (!m)
        return;
    gs_free(m->cells);
    *m = (struct gs_map){ .seed = m->seed };
}

static struct gs_map_cell *
cell_find(const struct gs_map *m, struct gs_slice key, uint64_t hash)
{
    if (m->cap == 0)
        return NULL;
    for (size_t at = (size_t)hash & (m->cap - 1);; at = (at + 1) & (m->cap - 1)) {
        struct gs_map_cell *c = &m->cells[at];

        if (!c->key.ptr && c->hash == MAP_EMPTY)
            return NULL;
        if (c->key.ptr && c->hash == hash && gs_slice_eq(c->key, key))
            return c;
    }
}

/* The first cell without a key on the probe path. */
static struct gs_map_cell *
cell_free(const struct gs_map *m, uint64_t hash)
{
    size_t at = (size_t)hash & (m->cap - 1);

    while (m->cells[at].key.ptr)
        at = (at + 1) & (m->cap - 1);
    return &m->cells[at];
}

static void
rehash(struct gs_map *m)
{
    struct gs_map_cell *old = m->cells;
    size_t old_cap = m->cap;
    size_t cap = MAP_FIRST_CELLS;

    while (cap < (m->count + 1) * 2)
        cap *= 2;
    m->cells = gs_calloc(cap, sizeof(*m->cells));
    m->cap = cap;
    m->used = m->count;
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i].key.ptr)
            *cell_free(m, old[i].hash) = old[i];
    }
    gs_free(old);
    check(m);
}

/* An empty key without memory is still a key. */
static struct gs_slice
usable(struct gs_slice key)
{
    GS_ASSERT(key.ptr || key.len == 0);
    return key.ptr ? key : GS_SLICE("");
}

void *
gs_map_find(const struct gs_map *m, struct gs_slice key)
{
    struct gs_map_cell *c;

    key = usable(key);
    c = cell_find(m, key, gs_hash(key.ptr, key.len, m->seed));
    return c ? c->value : NULL;
}

void *
gs_map_put(struct gs_map *m, struct gs_slice key, void *value)
{
    uint64_t hash;
    struct gs_map_cell *c;

    GS_ASSERT(value); /* NULL means absent */
    key = usable(key);
    hash = gs_hash(key.ptr, key.len, m->seed);
    c = cell_find(m, key, hash);
    if (c) {
        void *former = c->value;

        c->key = key; /* the former key may die with the former value */
        c->value = value;
        return former;
    }
    if ((m->used + 1) * 4 > m->cap * 3)
        rehash(m);
    c = cell_free(m, hash);
    if (c->hash == MAP_EMPTY)
        m->used++;
    *c = (struct gs_map_cell){ .key = key, .value = value, .hash = hash };
    m->count++;
    check(m);
    return NULL;
}

void *
gs_map_remove(struct gs_map *m, struct gs_slice key)
{
    struct gs_map_cell *c;
    void *former;

    key = usable(key);
    c = cell_find(m, key, gs_hash(key.ptr, key.len, m->seed));
    if (!c)
        return NULL;
    GS_ASSERT(m->count > 0);
    former = c->value;
    *c = (struct gs_map_cell){ .hash = MAP_DELETED };
    m->count--;
    return former;
}

bool
gs_map_next(const struct gs_map *m, size_t *at, void **value)
{
    while (*at < m->cap) {
        const struct gs_map_cell *c = &m->cells[(*at)++];

        if (c->key.ptr) {
            *value = c->value;
            return true;
        }
    }
    return false;
}
