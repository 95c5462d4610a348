/* catalog.c - services and their instances. A sorted array: a host is a run of it (one service per
 * port), and lists come out in an order people can read. */
#include "mesh/model/catalog.h"

#include <stdlib.h>

#include <gossamer/alloc.h>
#include <gossamer/limits.h>

void
catalog_init(struct catalog *c)
{
    *c = (struct catalog){ .changed = true };
}

static void
service_free(struct catalog_service *s)
{
    gs_arena_fini(&s->arena);
    gs_free(s);
}

void
catalog_fini(struct catalog *c)
{
    for (size_t i = 0; i < c->count; i++)
        service_free(c->items[i]);
    gs_free(c->items);
    gs_free(c->by_id);
    gs_free(c->dotted);
    *c = (struct catalog){ 0 };
}

/* ---- order ---- */

static int
compare(const struct catalog_service *s, struct gs_slice ns, struct gs_slice name, uint16_t port)
{
    int order = gs_slice_cmp(s->ns, ns);

    if (order == 0)
        order = gs_slice_cmp(s->name, name);
    return order != 0 ? order : (int)s->port - (int)port;
}

/* Index of the first that is not below. */
static size_t
place(const struct catalog *c, struct gs_slice ns, struct gs_slice name, uint16_t port)
{
    size_t low = 0, high = c->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare(c->items[middle], ns, name, port) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct catalog_service *
catalog_find(const struct catalog *c, struct gs_slice ns, struct gs_slice name, uint16_t port)
{
    size_t at = place(c, ns, name, port);

    return at < c->count && compare(c->items[at], ns, name, port) == 0 ? c->items[at] : NULL;
}

static int
compare_dotted(const void *a, const void *b)
{
    const struct catalog_service *const *x = a, *const *y = b;
    int order = gs_slice_cmp((*x)->name, (*y)->name);

    return order != 0 ? order : compare(*x, (*y)->ns, (*y)->name, (*y)->port);
}

/* `s` came, was replaced or goes: nothing to do unless it is one of them. */
static void
index_dotted(struct catalog *c, const struct catalog_service *s)
{
    if (gs_slice_find(s->name, '.') < 0)
        return;
    c->dotted = gs_realloc(c->dotted, (c->count + 1) * sizeof(struct catalog_service *));
    c->dotted_count = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (gs_slice_find(c->items[i]->name, '.') >= 0)
            c->dotted[c->dotted_count++] = c->items[i];
    }
    GS_ASSERT(c->dotted_count <= c->count);
    qsort(c->dotted, c->dotted_count, sizeof(struct catalog_service *), compare_dotted);
}

/* ---- changes ---- */

static bool
same_addr(const struct catalog_instance *i, const struct gs_addr *addr)
{
    return gs_addr_eq(&i->addr, addr);
}

static struct catalog_instance *
find_instance(const struct catalog_service *s, const struct gs_addr *addr)
{
    for (size_t i = 0; i < s->instance_count; i++) {
        if (same_addr(&s->instances[i], addr))
            return &s->instances[i];
    }
    return NULL;
}

static void
copy_instance(struct catalog_service *s, const struct model_instance *from,
              struct catalog_instance *to)
{
    *to = (struct catalog_instance){ .addr = from->addr, .tier = TIER_PENDING };
    to->label_count = (uint32_t)from->label_count;
    to->labels = gs_arena_alloc(&s->arena, (from->label_count + 1) * sizeof(*to->labels));
    for (size_t i = 0; i < from->label_count; i++) {
        to->labels[i].name = gs_arena_copy(&s->arena, from->labels[i].name);
        to->labels[i].value = gs_arena_copy(&s->arena, from->labels[i].value);
    }
}

/* What is configured, with the health that is known of instances that were there before. */
static struct catalog_service *
service_new(const struct model_service *from, const struct catalog_service *former)
{
    struct catalog_service *s = gs_zalloc(sizeof(*s));

    gs_arena_init(&s->arena, NULL, 0, 512);
    s->ns = gs_arena_copy(&s->arena, from->ns);
    s->name = gs_arena_copy(&s->arena, from->name);
    s->protocol = gs_arena_copy(&s->arena, from->protocol);
    s->port = from->port;
    s->dirty = true;
    s->instances = gs_arena_alloc(&s->arena, (from->instance_count + 1) * sizeof(*s->instances));
    for (size_t i = 0; i < from->instance_count; i++) {
        struct catalog_instance *at = &s->instances[s->instance_count];
        const struct catalog_instance *before = NULL;

        if (find_instance(s, &from->instances[i].addr))
            continue; /* twice; the first counts */
        copy_instance(s, &from->instances[i], at);
        if (former)
            before = find_instance(former, &at->addr);
        if (before)
            at->tier = before->tier;
        s->instance_count++;
    }
    GS_ASSERT(s->instance_count <= from->instance_count);
    return s;
}

/* The lowest free number. */
static uint32_t
take_id(struct catalog *c, struct catalog_service *s)
{
    uint32_t id = 0;

    while (id < c->id_cap && c->by_id[id])
        id++;
    if (id == c->id_cap) {
        uint32_t cap = c->id_cap ? c->id_cap * 2 : 16;

        c->by_id = gs_realloc(c->by_id, cap * sizeof(struct catalog_service *));
        memset(c->by_id + c->id_cap, 0, (cap - c->id_cap) * sizeof(struct catalog_service *));
        c->id_cap = cap;
    }
    GS_ASSERT(!c->by_id[id]);
    c->by_id[id] = s;
    return id;
}

static void
insert(struct catalog *c, size_t at, struct catalog_service *s)
{
    if (c->count == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 16;
        c->items = gs_realloc(c->items, c->cap * sizeof(struct catalog_service *));
    }
    GS_ASSERT(at <= c->count);
    memmove(&c->items[at + 1], &c->items[at], (c->count - at) * sizeof(struct catalog_service *));
    c->items[at] = s;
    c->count++;
    GS_DEBUG_ASSERT(at == 0 || compare(c->items[at - 1], s->ns, s->name, s->port) < 0);
    s->id = take_id(c, s);
    index_dotted(c, s);
    c->changed = true;
}

gs_err
catalog_put(struct catalog *c, const struct model_service *s, struct gs_why *why)
{
    size_t at = place(c, s->ns, s->name, s->port);
    struct catalog_service *former =
        at < c->count && compare(c->items[at], s->ns, s->name, s->port) == 0 ? c->items[at] : NULL;
    struct catalog_service *made;

    GS_ASSERT(s->name.len > 0 && s->port > 0);
    if (s->instance_count > SERVICE_ENDPOINTS_MAX)
        return gs_refuse(why, GS_E_LIMIT, "service %.*s has %zu instances, at most %d are allowed",
                         GS_SLICE_FMT(s->name), s->instance_count, SERVICE_ENDPOINTS_MAX);
    if (!former && c->count >= SERVICES_MAX)
        return gs_refuse(why, GS_E_LIMIT, "there are %d services already", SERVICES_MAX);
    made = service_new(s, former);
    c->dirty = true;
    if (!former) {
        insert(c, at, made);
        return GS_E_OK;
    }
    GS_ASSERT(c->by_id[former->id] == former);
    made->id = former->id;
    made->blob = former->blob;
    memcpy(made->plan, former->plan, sizeof(made->plan));
    c->items[at] = c->by_id[made->id] = made;
    index_dotted(c, made);
    service_free(former);
    return GS_E_OK;
}

void
catalog_remove(struct catalog *c, struct gs_slice ns, struct gs_slice name, uint16_t port)
{
    size_t at = place(c, ns, name, port);
    struct catalog_service *s;

    if (at >= c->count || compare(c->items[at], ns, name, port) != 0)
        return;
    s = c->items[at];
    GS_ASSERT(c->by_id[s->id] == s);
    c->by_id[s->id] = NULL; /* its blob leaves with the next root */
    memmove(&c->items[at], &c->items[at + 1],
            (c->count - at - 1) * sizeof(struct catalog_service *));
    c->count--;
    index_dotted(c, s);
    c->changed = true;
    service_free(s);
}

gs_err
catalog_set_health(struct catalog *c, struct gs_slice ns, struct gs_slice name, uint16_t port,
                   const struct gs_addr *addr, enum endpoint_tier tier)
{
    struct catalog_service *s = catalog_find(c, ns, name, port);
    struct catalog_instance *i = s ? find_instance(s, addr) : NULL;

    if (!i)
        return GS_E_NOT_FOUND;
    GS_ASSERT(tier <= TIER_PENDING);
    if (i->tier == tier)
        return GS_E_OK;
    i->tier = tier;
    s->dirty = c->dirty = true;
    return GS_E_OK;
}

/* ---- hosts ---- */

static struct catalog_run
run_at(struct catalog_service *const *items, size_t count)
{
    size_t n = 0;

    while (n < count && gs_slice_eq(items[n]->ns, items[0]->ns) &&
           gs_slice_eq(items[n]->name, items[0]->name))
        n++;
    GS_ASSERT(n > 0);
    return (struct catalog_run){ items, n };
}

/* Services whose very name is the host, dots and all. */
static struct catalog_run
dotted_host(const struct catalog *c, struct gs_slice host, struct gs_slice near_ns)
{
    struct catalog_run found = { NULL, 0 };

    for (size_t i = 0; i < c->dotted_count; i++) {
        struct catalog_service *s = c->dotted[i];

        if (!gs_slice_eq(s->name, host))
            continue;
        if (found.count == 0 || gs_slice_eq(s->ns, near_ns))
            found = run_at(&c->dotted[i], c->dotted_count - i);
        if (gs_slice_eq(s->ns, near_ns))
            break;
    }
    return found;
}

struct catalog_run
catalog_host(const struct catalog *c, struct gs_slice canonical, struct gs_slice near_ns)
{
    struct catalog_run found = dotted_host(c, canonical, near_ns);
    ptrdiff_t dot = gs_slice_rfind(canonical, '.');
    struct gs_slice name, ns;
    size_t at;

    if (found.count > 0 || dot <= 0)
        return found;
    name = gs_slice_head(canonical, (size_t)dot);
    ns = gs_slice_from(canonical, (size_t)dot + 1);
    at = place(c, ns, name, 0);
    if (at < c->count && gs_slice_eq(c->items[at]->ns, ns) && gs_slice_eq(c->items[at]->name, name))
        found = run_at(&c->items[at], c->count - at);
    return found;
}

struct catalog_service *
catalog_port(struct catalog_run run, uint16_t port, uint16_t request_port)
{
    uint16_t wanted = port != 0 ? port : request_port;

    for (size_t i = 0; i < run.count; i++) {
        if (run.items[i]->port == wanted)
            return run.items[i];
    }
    return port == 0 && run.count == 1 ? run.items[0] : NULL;
}

bool
catalog_selects(const struct policy_pair *labels, size_t count, const struct catalog_instance *i)
{
    for (size_t l = 0; l < count; l++) {
        bool has = false;

        for (uint32_t k = 0; k < i->label_count && !has; k++)
            has = gs_slice_eq(i->labels[k].name, labels[l].name) &&
                  gs_slice_eq(i->labels[k].value, labels[l].value);
        if (!has)
            return false;
    }
    return true;
}
