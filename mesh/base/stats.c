/* stats.c - numbers for labels, and per-worker tables of counters. */
#include <gossamer/stats.h>

#include <stdio.h>

#include <gossamer/alloc.h>
#include <gossamer/check.h>
#include <gossamer/map.h>
#include <gossamer/rng.h>

#define STAT_KEY_BYTES 1024 /* three names of at most 253 bytes and figures */

struct named {
    struct stat_label label; /* its texts are in `key` */
    char *key;               /* NULL: free */
    uint32_t key_len;
    uint32_t refs;        /* blobs that list it */
    uint64_t unlisted_ms; /* found so by a reap; 0: it is listed, or was not looked at since */
    uint32_t next_free;   /* + 1; 0 ends the list */
};

struct stat_names {
    struct gs_map by_key; /* -> id + 1 */
    struct named *all;
    uint32_t count, cap; /* numbers ever given out */
    uint32_t free_first; /* + 1 */
    uint32_t used;
};

struct stat_names *
stat_names_new(void)
{
    struct stat_names *n = gs_zalloc(sizeof(*n));

    gs_map_init(&n->by_key, gs_rng_seed_from_system());
    return n;
}

void
stat_names_free(struct stat_names *n)
{
    if (!n)
        return;
    for (uint32_t i = 0; i < n->count; i++)
        gs_free(n->all[i].key);
    gs_map_fini(&n->by_key);
    gs_free(n->all);
    gs_free(n);
}

static bool
take_number(struct stat_names *n, uint32_t *id)
{
    if (n->free_first) {
        *id = n->free_first - 1;
        n->free_first = n->all[*id].next_free;
        return true;
    }
    if (n->count >= STAT_CELLS_MAX)
        return false;
    if (n->count == n->cap) {
        n->cap = n->cap ? n->cap * 2 : 64;
        n->all = gs_realloc(n->all, n->cap * sizeof(*n->all));
    }
    *id = n->count++;
    return true;
}

static struct gs_slice
copy_behind(char **at, struct gs_slice s)
{
    struct gs_slice copy = gs_slice(*at, s.len);

    if (s.len > 0)
        memcpy(*at, s.ptr, s.len);
    *at += s.len;
    return copy;
}

/* One piece of memory: the key, then what the label's slices point to. */
static void
fill(struct named *l, struct gs_slice key, const struct stat_label *label)
{
    char *at = gs_alloc(key.len + label->ns.len + label->service.len + label->subset.len + 1);

    *l = (struct named){ .label = *label, .key = at, .key_len = (uint32_t)key.len };
    (void)copy_behind(&at, key);
    l->label.ns = copy_behind(&at, label->ns);
    l->label.service = copy_behind(&at, label->service);
    l->label.subset = copy_behind(&at, label->subset);
}

uint32_t
stat_names_get(struct stat_names *n, const struct stat_label *label)
{
    char text[STAT_KEY_BYTES];
    int len = snprintf(text, sizeof(text), "%d/%.*s/%.*s:%u/%.*s", (int)label->direction,
                       GS_SLICE_FMT(label->ns), GS_SLICE_FMT(label->service), label->port,
                       GS_SLICE_FMT(label->subset));
    uintptr_t found;
    struct named *l;
    uint32_t id;

    if (len < 0 || (size_t)len >= sizeof(text))
        return UINT32_MAX;
    found = (uintptr_t)gs_map_find(&n->by_key, gs_slice(text, (size_t)len));
    if (found)
        return (uint32_t)(found - 1);
    if (!take_number(n, &id))
        return UINT32_MAX;
    l = &n->all[id];
    fill(l, gs_slice(text, (size_t)len), label);
    gs_map_put(&n->by_key, gs_slice(l->key, l->key_len), (void *)(uintptr_t)(id + 1));
    n->used++;
    return id;
}

const struct stat_label *
stat_names_at(const struct stat_names *n, uint32_t id)
{
    return id < n->count && n->all[id].key ? &n->all[id].label : NULL;
}

uint32_t
stat_names_end(const struct stat_names *n)
{
    return n->count;
}

size_t
stat_names_used(const struct stat_names *n)
{
    return n->used;
}

void
stat_names_ref(struct stat_names *n, uint32_t id)
{
    if (id == UINT32_MAX)
        return;
    GS_ASSERT(id < n->count);
    GS_ASSERT(n->all[id].key);
    n->all[id].refs++;
    n->all[id].unlisted_ms = 0;
}

void
stat_names_unref(struct stat_names *n, uint32_t id)
{
    if (id == UINT32_MAX)
        return;
    GS_ASSERT(id < n->count);
    GS_ASSERT(n->all[id].refs > 0);
    n->all[id].refs--;
}

static void
release(struct stat_names *n, uint32_t id)
{
    struct named *l = &n->all[id];

    GS_ASSERT(n->used > 0);
    gs_map_remove(&n->by_key, gs_slice(l->key, l->key_len));
    gs_free(l->key);
    *l = (struct named){ .next_free = n->free_first };
    n->free_first = id + 1;
    n->used--;
}

void
stat_names_reap(struct stat_names *n, uint64_t now_ms, stat_gone_cb gone, void *arg)
{
    for (uint32_t id = 0; id < n->count; id++) {
        struct named *l = &n->all[id];

        if (!l->key || l->refs > 0)
            continue;
        if (l->unlisted_ms == 0)
            l->unlisted_ms = now_ms > 0 ? now_ms : 1;
        else if (now_ms - l->unlisted_ms >= STAT_KEPT_MS && gone(arg, id))
            release(n, id);
    }
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

void
stat_table_clear(struct stat_table *t, uint32_t id)
{
    struct stat_cell *c =
        atomic_load_explicit(&t->page[id / PAGE_CELLS][id % PAGE_CELLS], memory_order_acquire);

    GS_ASSERT(id < STAT_CELLS_MAX);
    if (!c)
        return;
    GS_ASSERT(atomic_load_explicit(&c->active, memory_order_relaxed) == 0);
    /* The worker finds them so when it adopts a root that lists the cell for somebody else. */
    memset((void *)c, 0, sizeof(*c));
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
    /* A client that leaves is no failure of the service, nor one that asks elsewhere; an answer cut
     * short is one. */
    if (status >= 500 || r == REASON_UPSTREAM_CUT || r == REASON_RESPONSE_TIMEOUT ||
        (status == 0 && r != REASON_CLIENT_LEFT && r != REASON_MOVED))
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
    for (unsigned i = 0; i < RETRY_CAUSES; i++)
        s->retries[i] += atomic_load_explicit(&c->retries[i], memory_order_relaxed);
    s->retries_denied += atomic_load_explicit(&c->retries_denied, memory_order_relaxed);
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

uint64_t
stat_sum_retries(const struct stat_sum *s)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < RETRY_CAUSES; i++)
        n += s->retries[i];
    return n;
}

const char *
retry_cause_text(enum retry_cause c)
{
    static const char *const texts[] = { "connect", "refused", "reset", "timeout", "unhealthy" };

    GS_ASSERT((size_t)c < GS_COUNT(texts));
    return texts[c];
}
