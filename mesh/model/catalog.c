/* catalog.c - services by name. A sorted array: a host is a run of it (one service per port), and
 * lists come out in an order people can read. */
#include "mesh/model/catalog.h"

#include <gossamer/alloc.h>
#include <gossamer/limits.h>

void
catalog_init(struct catalog *c, const struct model_options *o)
{
    *c = (struct catalog){ .changed = true, .retry_ms = UINT64_MAX, .withdraw_ms = UINT64_MAX };
    c->self = owners_new(c, &o->id);
    owners_name(c->self, o->node, o->zone);
    c->self->state = MODEL_NODE_UP;
    c->self->self = c->self->told = true;
    gs_buf_init(&c->own.key, RECORD_KEY_MAX);
    gs_buf_init(&c->own.value, OBJECT_BYTES_MAX);
}

static void
service_free(struct catalog_service *s)
{
    gs_free(s->offers);
    gs_free(s);
}

static void
fini_owner(struct catalog_owner *o)
{
    struct gs_list *l;

    while ((l = gs_list_pop_front(&o->offers)))
        gs_free(GS_LIST_ENTRY(l, struct catalog_offer, link));
    owners_free(o);
}

void
catalog_fini(struct catalog *c)
{
    for (size_t i = 0; i < c->count; i++)
        service_free(c->items[i]);
    for (size_t i = 0; i < c->owner_count; i++)
        fini_owner(c->owners[i]);
    if (c->self)
        fini_owner(c->self);
    own_fini(&c->own);
    gs_free(c->items);
    gs_free(c->by_id);
    gs_free(c->dotted);
    gs_free(c->owners);
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

static bool
is_at(const struct catalog *c, size_t at, struct gs_slice ns, struct gs_slice name, uint16_t port)
{
    return at < c->count && compare(c->items[at], ns, name, port) == 0;
}

struct catalog_service *
catalog_find(const struct catalog *c, struct gs_slice ns, struct gs_slice name, uint16_t port)
{
    size_t at = place(c, ns, name, port);

    return is_at(c, at, ns, name, port) ? c->items[at] : NULL;
}

static void
list_insert(struct catalog_service ***list, size_t *count, size_t *cap, size_t at,
            struct catalog_service *s)
{
    if (*count == *cap) {
        *cap = *cap ? *cap * 2 : 16;
        *list = gs_realloc(*list, *cap * sizeof(**list));
    }
    GS_ASSERT(at <= *count);
    memmove(*list + at + 1, *list + at, (*count - at) * sizeof(**list));
    (*list)[at] = s;
    ++*count;
}

static void
list_remove(struct catalog_service **list, size_t *count, size_t at)
{
    GS_ASSERT(at < *count);
    memmove(list + at, list + at + 1, (*count - at - 1) * sizeof(*list));
    --*count;
}

/* ---- names with dots ---- */

static bool
is_dotted(const struct catalog_service *s)
{
    return gs_slice_find(s->name, '.') >= 0;
}

static int
compare_dotted(const struct catalog_service *a, const struct catalog_service *b)
{
    int order = gs_slice_cmp(a->name, b->name);

    return order != 0 ? order : compare(a, b->ns, b->name, b->port);
}

/* Index of the first that is not below. */
static size_t
dotted_place(const struct catalog *c, const struct catalog_service *s)
{
    size_t low = 0, high = c->dotted_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_dotted(c->dotted[middle], s) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- coming and going ---- */

/* The lowest free number. */
static uint32_t
take_id(struct catalog *c, struct catalog_service *s)
{
    uint32_t id = c->id_free;

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
    c->id_free = id + 1;
    return id;
}

static struct catalog_service *
service_new(const struct endpoints_key *k)
{
    struct catalog_service *s = gs_zalloc(sizeof(*s) + k->ns.len + k->name.len + 2);

    memcpy(s->texts, k->ns.ptr, k->ns.len);
    memcpy(s->texts + k->ns.len + 1, k->name.ptr, k->name.len);
    s->ns = gs_slice(s->texts, k->ns.len);
    s->name = gs_slice(s->texts + k->ns.len + 1, k->name.len);
    s->port = k->port;
    s->retry_ms = UINT64_MAX;
    return s;
}

struct catalog_service *
catalog_get(struct catalog *c, const struct endpoints_key *k)
{
    size_t at = place(c, k->ns, k->name, k->port);
    struct catalog_service *s;

    GS_ASSERT(k->name.len > 0);
    GS_ASSERT(k->port > 0);
    if (is_at(c, at, k->ns, k->name, k->port))
        return c->items[at];
    if (c->count >= SERVICES_MAX)
        return NULL;
    s = service_new(k);
    list_insert(&c->items, &c->count, &c->cap, at, s);
    GS_DEBUG_ASSERT(at == 0 || compare(c->items[at - 1], s->ns, s->name, s->port) < 0);
    s->id = take_id(c, s);
    if (is_dotted(s))
        list_insert(&c->dotted, &c->dotted_count, &c->dotted_cap, dotted_place(c, s), s);
    c->changed = true;
    catalog_mark(c, s);
    return s;
}

void
catalog_drop_unoffered(struct catalog *c, struct catalog_service *s)
{
    if (s->offer_count > 0)
        return;
    GS_ASSERT(c->by_id[s->id] == s);
    c->by_id[s->id] = NULL; /* its blob leaves with the next root */
    if (s->id < c->id_free)
        c->id_free = s->id;
    if (is_dotted(s))
        list_remove(c->dotted, &c->dotted_count, dotted_place(c, s));
    list_remove(c->items, &c->count, place(c, s->ns, s->name, s->port));
    c->changed = true;
    service_free(s);
}

void
catalog_mark(struct catalog *c, struct catalog_service *s)
{
    s->dirty = c->dirty = true;
}

/* ---- endpoints ---- */

struct catalog_instance *
catalog_next(const struct catalog_service *s, struct catalog_at *at,
             const struct catalog_offer **offer)
{
    for (; at->offer < s->offer_count; at->offer++, at->instance = 0) {
        struct catalog_offer *o = s->offers[at->offer];

        while (at->instance < o->count) {
            struct catalog_instance *i = &o->instances[at->instance++];

            if (!i->shown)
                continue;
            if (offer)
                *offer = o;
            return i;
        }
    }
    return NULL;
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

/* Index of the first whose name is not below. */
static size_t
dotted_name_place(const struct catalog *c, struct gs_slice name)
{
    size_t low = 0, high = c->dotted_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (gs_slice_cmp(c->dotted[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Services whose very name is the host, dots and all. */
static struct catalog_run
dotted_host(const struct catalog *c, struct gs_slice host, struct gs_slice near_ns)
{
    struct catalog_run found = { NULL, 0 };

    for (size_t i = dotted_name_place(c, host); i < c->dotted_count; i++) {
        struct catalog_service *s = c->dotted[i];

        if (!gs_slice_eq(s->name, host))
            break;
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
catalog_selects(const struct policy_pair *wanted, size_t count, const struct label *labels,
                uint32_t label_count)
{
    for (size_t l = 0; l < count; l++) {
        bool has = false;

        for (uint32_t k = 0; k < label_count && !has; k++)
            has = gs_slice_eq(labels[k].name, wanted[l].name) &&
                  gs_slice_eq(labels[k].value, wanted[l].value);
        if (!has)
            return false;
    }
    return true;
}

/* ---- invariants ---- */

static void
check_service(const struct catalog *c, const struct catalog_service *s)
{
    size_t shown = 0;

    GS_ASSERT(s->id < c->id_cap);
    GS_ASSERT(c->by_id[s->id] == s);
    GS_ASSERT(s->offer_count > 0);
    GS_ASSERT(s->blob || c->changed);
    GS_ASSERT(!s->dirty || c->dirty);
    GS_ASSERT(s->retry_ms >= c->retry_ms);
    for (size_t i = 0; i < s->offer_count; i++) {
        const struct catalog_offer *o = s->offers[i];

        GS_ASSERT(o->service == s);
        GS_ASSERT(gs_list_linked(&o->link));
        GS_ASSERT(i == 0 || o->owner != c->self);
        for (size_t k = 0; k < o->count; k++)
            shown += o->instances[k].shown;
    }
    GS_ASSERT(s->dirty || shown == s->shown);
    GS_ASSERT(s->shown <= SERVICE_ENDPOINTS_MAX);
}

void
catalog_check(const struct catalog *c)
{
    size_t ids = 0, dotted = 0;

    for (size_t i = 0; i < c->count; i++) {
        check_service(c, c->items[i]);
        dotted += is_dotted(c->items[i]);
    }
    for (uint32_t id = 0; id < c->id_cap; id++) {
        GS_ASSERT(id >= c->id_free || c->by_id[id]);
        ids += c->by_id[id] != NULL;
    }
    GS_ASSERT(ids == c->count);
    GS_ASSERT(dotted == c->dotted_count);
    for (size_t i = 0; i < c->owner_count; i++) {
        const struct catalog_owner *o = c->owners[i];

        GS_ASSERT(i == 0 || memcmp(&c->owners[i - 1]->id, &o->id, sizeof(o->id)) < 0);
        GS_ASSERT(o->told || !gs_list_empty(&o->offers));
        GS_ASSERT(o->withdrawn || o->withdraw_ms >= c->withdraw_ms);
    }
}
