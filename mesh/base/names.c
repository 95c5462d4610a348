/* names.c - host and port -> service id: an open-addressing table built once and only read after.
 * It changes when a service appears or goes, not with policy, so versions share it. */
#include "mesh/base/names.h"

#include <gossamer/alloc.h>
#include <gossamer/rng.h>
#include <gossamer/snapshot.h>

struct name {
    struct gs_slice host; /* lower case; ptr NULL: empty cell */
    uint64_t hash;
    uint32_t service;
    uint16_t port;
};

struct names {
    struct name *cells;
    size_t mask; /* cells - 1 */
    uint64_t seed;
    struct gs_arena arena; /* the texts */
};

struct names_builder {
    struct names *names;
    size_t count;
};

static uint64_t
name_hash(const struct names *n, struct gs_slice host, uint16_t port)
{
    return gs_hash(host.ptr, host.len, n->seed ^ port);
}

/* The cell of a name, or the empty one where it would go. */
static struct name *
name_cell(const struct names *n, struct gs_slice host, uint16_t port, uint64_t hash)
{
    for (size_t i = hash & n->mask;; i = (i + 1) & n->mask) {
        struct name *c = &n->cells[i];

        if (!c->host.ptr || (c->hash == hash && c->port == port && gs_slice_eq(c->host, host)))
            return c;
    }
}

static void
names_grow(struct names *n)
{
    struct name *old = n->cells;
    size_t old_count = n->mask + 1;

    n->mask = old_count * 2 - 1;
    n->cells = gs_calloc(n->mask + 1, sizeof(*n->cells));
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].host.ptr)
            *name_cell(n, old[i].host, old[i].port, old[i].hash) = old[i];
    }
    gs_free(old);
}

struct names_builder *
names_builder_new(void)
{
    struct names_builder *b = gs_zalloc(sizeof(*b));
    struct names *n = gs_zalloc(sizeof(*n));

    n->seed = gs_rng_seed_from_system();
    n->mask = 63;
    n->cells = gs_calloc(n->mask + 1, sizeof(*n->cells));
    gs_arena_init(&n->arena, NULL, 0, 4096);
    b->names = n;
    return b;
}

gs_err
names_builder_put(struct names_builder *b, struct gs_slice host, uint16_t port, uint32_t service)
{
    struct names *n = b->names;
    char *low;
    struct name *c;
    uint64_t hash;

    GS_ASSERT(host.len > 0);
    if (b->count * 2 > n->mask)
        names_grow(n);
    low = gs_arena_bytes(&n->arena, host.len);
    for (size_t i = 0; i < host.len; i++)
        low[i] = host.ptr[i] >= 'A' && host.ptr[i] <= 'Z' ? (char)(host.ptr[i] | 32) : host.ptr[i];
    host.ptr = low;
    hash = name_hash(n, host, port);
    c = name_cell(n, host, port, hash);
    if (c->host.ptr)
        return c->service == service ? GS_E_OK : GS_E_EXISTS;
    *c = (struct name){ host, hash, service, port };
    b->count++;
    return GS_E_OK;
}

struct names *
names_build(struct names_builder *b)
{
    struct names *n = b->names;

    gs_free(b);
    return n;
}

void
names_free(struct names *n)
{
    if (!n)
        return;
    gs_arena_fini(&n->arena);
    gs_free(n->cells);
    gs_free(n);
}

const struct service *
snapshot_find(const struct snapshot *s, struct gs_slice host, uint16_t port)
{
    const struct name *c;

    if (!s->names || host.len == 0)
        return NULL;
    c = name_cell(s->names, host, port, name_hash(s->names, host, port));
    return c->host.ptr ? snapshot_service(s, c->service) : NULL;
}
