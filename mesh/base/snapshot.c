/* snapshot.c - publishing roots, and freeing them when nobody can see them any more.
 *
 *     control: publish ──▶ current ──▶ adopt (worker, between two turns) ──▶ adopted[w] = seq
 *     control: reap: root r is free when  seq(r) < every adopted[w]  and every pins[w] is 0
 *
 * Why that is safe: a worker loads `current` and then stores its seq in adopted[w]. Until it has
 * stored, adopted[w] still names the older root, so whatever it may have loaded (a later seq) is
 * kept. Once it has stored a later seq it pins only that root; its counter in older ones only
 * falls. Nothing here is counted atomically by two threads. */
#include <gossamer/snapshot.h>

#include <gossamer/alloc.h>
#include <gossamer/list.h>
#include <gossamer/stats.h>

#include "mesh/base/names.h"

struct shared_names { /* a name table and how many live roots show it */
    struct names *names;
    uint32_t roots;
};

struct root {            /* control's side of a snapshot */
    struct gs_list link; /* oldest first */
    struct snapshot *snapshot;
    struct service_blob **blobs;
    struct shared_names *names;
};

struct snapshot_hub {
    _Atomic(struct snapshot *) current;
    struct slots *slots;
    struct gs_list roots;
    size_t live;
    struct shared_names *names; /* of the newest root */
    struct snapshot_timeouts timeouts;
    uint64_t seq;
    uint32_t workers;
    void (*wake)(void *arg, uint32_t w);
    void *wake_arg;
    struct {
        _Atomic uint64_t seq;
    } __attribute__((aligned(64))) adopted[WORKERS_MAX];
};

const struct outlier_policy outlier_policy_default = { .errors_5xx = OUTLIER_ERRORS,
                                                       .interval_ms = OUTLIER_INTERVAL_MS,
                                                       .base_ms = OUTLIER_BASE_MS,
                                                       .max_percent = OUTLIER_MAX_PERCENT };

uint32_t
service_subset(const struct service *s, struct gs_slice name)
{
    for (uint32_t i = 1; i < s->subset_count; i++) {
        if (gs_slice_eq(s->subsets[i].name, name))
            return i;
    }
    return name.len == 0 ? SUBSET_ALL : UINT32_MAX;
}

struct service_blob *
service_blob_new(struct slots *slots, struct stat_names *names)
{
    struct service_blob *b = gs_zalloc(sizeof(*b));

    gs_arena_init(&b->arena, NULL, 0, 512); /* a service of one endpoint and no policy */
    b->slots = slots;
    b->stat_names = names;
    return b;
}

void
service_blob_seal(struct service_blob *b)
{
    GS_ASSERT(b->service.subset_count > 0); /* SUBSET_ALL is always there */
    for (uint32_t i = 0; i < b->service.endpoint_count; i++)
        slots_ref(b->slots, b->service.endpoints[i].slot);
    for (uint32_t i = 0; b->stat_names && i < b->service.subset_count; i++) {
        stat_names_ref(b->stat_names, b->service.subsets[i].stat_out);
        stat_names_ref(b->stat_names, b->service.subsets[i].stat_in);
    }
}

static void
free_match(const struct text_match *m)
{
    if (m->regex)
        regfree(m->regex); /* the regex_t itself lies in the arena */
}

static void
free_rule(const struct route_rule *r)
{
    for (uint32_t i = 0; i < r->match_count; i++) {
        free_match(&r->matches[i].uri);
        for (uint32_t f = 0; f < r->matches[i].field_count; f++)
            free_match(&r->matches[i].fields[f].value);
    }
}

void
service_blob_free(struct service_blob *b)
{
    if (!b)
        return;
    GS_ASSERT(b->roots == 0);
    for (uint32_t i = 0; i < b->service.rule_count; i++)
        free_rule(&b->service.rules[i]);
    for (uint32_t i = 0; i < b->service.endpoint_count; i++)
        slots_unref(b->slots, b->service.endpoints[i].slot);
    for (uint32_t i = 0; b->stat_names && i < b->service.subset_count; i++) {
        stat_names_unref(b->stat_names, b->service.subsets[i].stat_out);
        stat_names_unref(b->stat_names, b->service.subsets[i].stat_in);
    }
    gs_arena_fini(&b->arena);
    gs_free(b);
}

struct snapshot_hub *
snapshot_hub_new(struct slots *slots, uint32_t workers)
{
    struct snapshot_hub *h = gs_zalloc_aligned(64, sizeof(*h));

    GS_ASSERT(workers > 0);
    GS_ASSERT(workers <= WORKERS_MAX);
    h->slots = slots;
    h->workers = workers;
    gs_list_init(&h->roots);
    snapshot_publish(h, NULL, 0, names_build(names_builder_new()));
    return h;
}

void
snapshot_hub_on_publish(struct snapshot_hub *h, void (*wake)(void *arg, uint32_t w), void *arg)
{
    h->wake = wake;
    h->wake_arg = arg;
}

static void
names_unref(struct shared_names *n)
{
    GS_ASSERT(n->roots > 0);
    if (--n->roots > 0)
        return;
    names_free(n->names);
    gs_free(n);
}

static void
root_free(struct snapshot_hub *h, struct root *r)
{
    gs_list_remove(&r->link);
    for (uint32_t i = 0; i < r->snapshot->service_count; i++) {
        struct service_blob *b = r->blobs[i];

        if (b && --b->roots == 0)
            service_blob_free(b);
    }
    names_unref(r->names);
    gs_free(r->snapshot);
    gs_free(r);
    GS_ASSERT(h->live > 0);
    h->live--;
}

void
snapshot_hub_free(struct snapshot_hub *h)
{
    if (!h)
        return;
    while (!gs_list_empty(&h->roots))
        root_free(h, GS_LIST_ENTRY(h->roots.next, struct root, link));
    gs_free(h);
}

static struct root *
root_new(struct snapshot_hub *h, struct service_blob *const *blobs, uint32_t count)
{
    struct root *r = gs_zalloc(sizeof(*r));
    size_t pins = sizeof(struct snapshot) + h->workers * sizeof(struct snapshot_pin);
    struct snapshot *s = gs_zalloc_aligned(64, pins + count * sizeof(void *));

    /* A blob begins with its service, so one array serves both readers. */
    r->blobs = (struct service_blob **)(void *)((char *)s + pins);
    for (uint32_t i = 0; i < count; i++) {
        r->blobs[i] = blobs[i];
        if (blobs[i])
            blobs[i]->roots++;
    }
    s->services = (const struct service *const *)(void *)r->blobs;
    s->service_count = count;
    s->slots = h->slots;
    s->timeouts = h->timeouts;
    s->workers = h->workers;
    s->seq = ++h->seq;
    r->snapshot = s;
    return r;
}

uint64_t
snapshot_publish(struct snapshot_hub *h, struct service_blob *const *blobs, uint32_t count,
                 struct names *names)
{
    struct root *r = root_new(h, blobs, count);

    if (names) {
        h->names = gs_zalloc(sizeof(*h->names));
        h->names->names = names;
    }
    GS_ASSERT(h->names);
    r->names = h->names;
    r->names->roots++;
    r->snapshot->names = r->names->names;
    gs_list_push_back(&h->roots, &r->link);
    h->live++;
    atomic_store_explicit(&h->current, r->snapshot, memory_order_release);
    for (uint32_t w = 0; h->wake && w < h->workers; w++)
        h->wake(h->wake_arg, w);
    return r->snapshot->seq;
}

uint64_t
snapshot_set_timeouts(struct snapshot_hub *h, const struct snapshot_timeouts *t)
{
    const struct root *newest;

    GS_ASSERT(!gs_list_empty(&h->roots));
    newest = GS_LIST_ENTRY(h->roots.prev, struct root, link);
    h->timeouts = *t;
    return snapshot_publish(h, newest->blobs, newest->snapshot->service_count, NULL);
}

uint64_t
snapshot_adopted_by_all(const struct snapshot_hub *h)
{
    uint64_t least = UINT64_MAX;

    for (uint32_t w = 0; w < h->workers; w++) {
        uint64_t seq = atomic_load_explicit(&h->adopted[w].seq, memory_order_acquire);

        if (seq < least)
            least = seq;
    }
    return least;
}

static bool
root_pinned(const struct snapshot *s)
{
    for (uint32_t w = 0; w < s->workers; w++) {
        if (atomic_load_explicit(&s->pins[w].count, memory_order_acquire) != 0)
            return true;
    }
    return false;
}

void
snapshot_reap(struct snapshot_hub *h)
{
    uint64_t moved_past = snapshot_adopted_by_all(h);

    GS_LIST_EACH_SAFE(n, &h->roots) {
        struct root *r = GS_LIST_ENTRY(n, struct root, link);

        if (r->snapshot->seq < moved_past && !root_pinned(r->snapshot))
            root_free(h, r);
    }
    GS_ASSERT(h->live > 0); /* the current one is never older than what is adopted */
}

const struct snapshot *
snapshot_current(const struct snapshot_hub *h)
{
    return atomic_load_explicit(&h->current, memory_order_acquire);
}

size_t
snapshot_live_roots(const struct snapshot_hub *h)
{
    return h->live;
}

struct snapshot *
snapshot_adopt(struct snapshot_hub *h, uint32_t worker)
{
    struct snapshot *s = atomic_load_explicit(&h->current, memory_order_acquire);

    GS_ASSERT(worker < h->workers);
    atomic_store_explicit(&h->adopted[worker].seq, s->seq, memory_order_release);
    return s;
}
