/* maint.c - what operators say of an endpoint. Several objects may mean one: any of them drains it,
 * and the least weight holds, so what is said of it never depends on an order.
 *
 *     its node, or some endpoints of a service, drained ─▶ draining: used when nobody is better
 *     its whole service drained                         ─▶ closed: not even then
 *     weight 0                                          ─▶ as healthy as it is, and never used */
#include "mesh/model/maint.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <gossamer/alloc.h>

#include "mesh/model/catalog.h"

#define NAME_MAX_BYTES 253 /* of an object */
#define HASHED_BYTES 200   /* of a longer one, before its hash */

/* ---- the set ---- */

struct maint_entry
maint_entry(const struct policy_object *o, const struct gs_version *version)
{
    const struct maintenance *m = &o->maint;
    struct maint_entry e = { .o = o, .service = m->service.text, .node = m->node.text };

    GS_ASSERT(o->kind == POLICY_MAINTENANCE);
    if (version)
        e.version = *version;
    if (e.service.len > 0)
        e.ns = m->service_ns.text.len > 0 ? m->service_ns.text : o->ns;
    if (m->instance.text.len > 0 && gs_addr_parse(&e.addr, m->instance.text, NULL) != GS_E_OK)
        GS_UNREACHABLE("an address that was validated");
    return e;
}

void
maint_add(struct maint_set *s, const struct policy_object *o, const struct gs_version *version)
{
    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 8;
        s->items = gs_realloc(s->items, s->cap * sizeof(*s->items));
    }
    s->items[s->count++] = maint_entry(o, version);
    s->sorted = false;
}

/* What is asked for by a service, or by a node where the service is empty. */
static int
compare_key(const struct maint_entry *e, struct gs_slice ns, struct gs_slice service)
{
    int order = gs_slice_cmp(e->ns, ns);

    return order != 0 ? order : gs_slice_cmp(e->service, service);
}

static int
compare(const void *a, const void *b)
{
    const struct maint_entry *x = a, *y = b;
    int order = compare_key(x, y->ns, y->service);

    if (order == 0)
        order = gs_slice_cmp(x->node, y->node);
    if (order == 0) /* any order, but the same on all nodes: the first one is named as the source */
        order = gs_slice_cmp(x->o->ns, y->o->ns);
    return order != 0 ? order : gs_slice_cmp(x->o->name, y->o->name);
}

void
maint_sort(struct maint_set *s)
{
    if (s->count > 1)
        qsort(s->items, s->count, sizeof(*s->items), compare);
    s->sorted = true;
}

void
maint_clear(struct maint_set *s)
{
    s->count = 0;
    s->sorted = true;
}

void
maint_fini(struct maint_set *s)
{
    gs_free(s->items);
    *s = (struct maint_set){ 0 };
}

/* ---- what it says ---- */

/* The first that is not below. */
static size_t
place(const struct maint_set *s, struct gs_slice ns, struct gs_slice service, struct gs_slice node)
{
    size_t low = 0, high = s->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_key(&s->items[middle], ns, service);

        if (order == 0)
            order = gs_slice_cmp(s->items[middle].node, node);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct maint_entry *
maint_node(const struct maint_set *s, struct gs_slice name)
{
    size_t at = place(s, GS_SLICE(""), GS_SLICE(""), name);

    GS_ASSERT(s->sorted || s->count == 0);
    return at < s->count && s->items[at].service.len == 0 && gs_slice_eq(s->items[at].node, name)
               ? &s->items[at]
               : NULL;
}

bool
maint_means(const struct maint_entry *e, const struct catalog_offer *offer,
            const struct catalog_instance *i)
{
    const struct catalog_service *s = offer->service;
    uint16_t port = e->o->maint.port;

    if (e->node.len > 0 && !gs_slice_eq(e->node, offer->owner->name))
        return false;
    if (e->service.len == 0)
        return true;
    return gs_slice_eq(e->service, s->name) && gs_slice_eq(e->ns, s->ns) &&
           (port == 0 || port == s->port) &&
           (e->addr.family == 0 || gs_addr_eq(&e->addr, &i->addr));
}

static void
take(struct maint_word *w, const struct maint_entry *e)
{
    const struct maintenance *m = &e->o->maint;
    bool whole = e->service.len > 0 && e->node.len == 0 && e->addr.family == 0;

    if (m->drain && (!w->drained || (whole && !w->closed))) {
        w->drained = e;
        w->closed = whole;
    }
    if (m->weight_written && m->weight < w->weight) {
        GS_ASSERT(m->weight <= MAINT_WEIGHT_MAX);
        w->weight = (uint16_t)m->weight;
        w->weighed = e;
    }
}

struct maint_word
maint_say(const struct maint_set *s, const struct catalog_offer *offer,
          const struct catalog_instance *i)
{
    struct maint_word w = { .weight = MAINT_WEIGHT_MAX + 1 };
    const struct catalog_service *svc = offer->service;
    const struct maint_entry *node;
    size_t at;

    if (s->count > 0) {
        GS_ASSERT(s->sorted);
        node = maint_node(s, offer->owner->name);
        if (node)
            take(&w, node);
        at = place(s, svc->ns, svc->name, GS_SLICE(""));
        for (; at < s->count && compare_key(&s->items[at], svc->ns, svc->name) == 0; at++) {
            if (maint_means(&s->items[at], offer, i))
                take(&w, &s->items[at]);
        }
    }
    if (!w.weighed)
        w.weight = MAINT_WEIGHT_DEFAULT;
    GS_ASSERT(w.drained || !w.closed);
    return w;
}

enum endpoint_tier
maint_tier(const struct maint_word *w, enum endpoint_tier tier)
{
    return w->drained && tier < TIER_DRAINING ? TIER_DRAINING : tier;
}

bool
maint_open(const struct maint_word *w)
{
    return !w->closed && w->weight > 0;
}

struct maint_open_count
maint_count(const struct maint_set *s, const struct catalog_service *svc)
{
    struct maint_open_count n = { 0 };
    const struct catalog_offer *offer = NULL;
    const struct catalog_instance *i;
    struct catalog_at at = { 0 };

    while ((i = catalog_next(svc, &at, &offer))) {
        struct maint_word w = maint_say(s, offer, i);
        enum endpoint_tier tier = maint_tier(&w, i->tier);

        if (tier == TIER_PENDING || !maint_open(&w))
            continue;
        n.any++;
        n.ordinary += tier < TIER_DRAINING;
    }
    GS_ASSERT(n.ordinary <= n.any);
    return n;
}

bool
maint_same_target(const struct maint_entry *a, const struct maint_entry *b)
{
    return gs_slice_eq(a->node, b->node) && gs_slice_eq(a->service, b->service) &&
           gs_slice_eq(a->ns, b->ns) && a->o->maint.port == b->o->maint.port &&
           gs_addr_eq(&a->addr, &b->addr);
}

/* ---- who there is ---- */

static bool
is_called(const struct catalog_owner *o, struct gs_slice name)
{
    return o->told && gs_slice_eq(o->name, name);
}

const struct catalog_owner *
maint_owner(const struct catalog *c, struct gs_slice name)
{
    const struct catalog_owner *found = is_called(c->self, name) ? c->self : NULL;

    for (size_t i = 0; i < c->owner_count; i++) {
        const struct catalog_owner *o = c->owners[i];

        if (is_called(o, name) && (!found || o->state == MODEL_NODE_UP))
            found = o;
    }
    return found;
}

const char *
maint_near(const struct catalog *c, struct gs_slice word, enum model_target as, struct gs_arena *a)
{
    const char **names = gs_calloc(c->owner_count + 2 * c->count + 1, sizeof(*names));
    const char *near;
    size_t count = 0;

    if (as != MODEL_TARGET_SERVICE)
        names[count++] = gs_arena_strdup(a, c->self->name);
    for (size_t i = 0; as != MODEL_TARGET_SERVICE && i < c->owner_count; i++) {
        if (c->owners[i]->told)
            names[count++] = gs_arena_strdup(a, c->owners[i]->name);
    }
    for (size_t i = 0; as != MODEL_TARGET_NODE && i < c->count; i++) {
        const struct catalog_service *s = c->items[i];

        names[count++] = gs_arena_strdup(a, s->name);
        names[count++] =
            gs_arena_printf(a, "%.*s.%.*s", GS_SLICE_FMT(s->name), GS_SLICE_FMT(s->ns));
    }
    near = gs_did_you_mean(word.ptr, word.len, names, count);
    gs_free(names);
    return near;
}

/* ---- for people ---- */

const char *
maint_target_text(const struct maint_entry *e, struct gs_arena *a)
{
    const struct maintenance *m = &e->o->maint;
    const char *service;

    if (e->service.len == 0)
        return gs_arena_printf(a, "node %.*s", GS_SLICE_FMT(e->node));
    service = gs_arena_printf(a, "%.*s.%.*s", GS_SLICE_FMT(e->service), GS_SLICE_FMT(e->ns));
    if (m->port > 0)
        service = gs_arena_printf(a, "%s:%u", service, m->port);
    if (e->addr.family == 0 && e->node.len == 0)
        return service;
    if (e->addr.family == 0)
        return gs_arena_printf(a, "%s/%.*s", service, GS_SLICE_FMT(e->node));
    return gs_arena_printf(a, "%s/%.*s%s%.*s", service, GS_SLICE_FMT(m->instance.text),
                           e->node.len > 0 ? "@" : "", GS_SLICE_FMT(e->node));
}

static const char *
time_text(const struct gs_version *v, struct gs_arena *a)
{
    time_t seconds = (time_t)(gs_hlc_ms(v->hlc) / 1000);
    char text[32];
    struct tm tm;

    if (v->generation == 0 || !gmtime_r(&seconds, &tm) ||
        strftime(text, sizeof(text), " of %Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return "";
    return gs_arena_strdup(a, gs_slice_str(text));
}

const char *
maint_source_text(const struct maint_entry *e, struct gs_arena *a)
{
    const struct maintenance *m = &e->o->maint;

    return gs_arena_printf(
        a, "%s %.*s/%.*s%s%s%.*s%s%.*s", policy_kind_name(e->o->kind), GS_SLICE_FMT(e->o->ns),
        GS_SLICE_FMT(e->o->name), time_text(&e->version, a), m->by.text.len > 0 ? " by " : "",
        GS_SLICE_FMT(m->by.text), m->reason.text.len > 0 ? ": " : "", GS_SLICE_FMT(m->reason.text));
}

/* ---- names ---- */

/* What a name can hold of it, and a hash of the whole: different targets have different names. */
static struct gs_slice
hashed_name(const char *text, struct gs_arena *a)
{
    size_t len = strlen(text);
    char readable[HASHED_BYTES + 1];
    size_t kept = 0;

    GS_ASSERT(len > 0);
    for (size_t i = 0; i < len && kept < HASHED_BYTES; i++) {
        char c = text[i];

        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            readable[kept++] = c;
        else if (kept > 0 && readable[kept - 1] != '-')
            readable[kept++] = '-';
    }
    kept -= kept > 0 && readable[kept - 1] == '-';
    return gs_slice_str(gs_arena_printf(a, "%.*s-%08x", (int)kept, readable,
                                        (unsigned)(gs_hash(text, len, 1) & 0xffffffff)));
}

struct gs_slice
maint_name(const struct maint_entry *e, struct gs_arena *a)
{
    const struct maintenance *m = &e->o->maint;
    const char *text;

    if (e->service.len == 0)
        text = gs_arena_printf(a, "node.%.*s", GS_SLICE_FMT(e->node));
    else if (e->addr.family != 0 || e->node.len > 0)
        return hashed_name(
            m->port > 0 ? gs_arena_printf(a, "%.*s:%u/%.*s@%.*s", GS_SLICE_FMT(e->service), m->port,
                                          GS_SLICE_FMT(m->instance.text), GS_SLICE_FMT(e->node))
                        : gs_arena_printf(a, "%.*s/%.*s@%.*s", GS_SLICE_FMT(e->service),
                                          GS_SLICE_FMT(m->instance.text), GS_SLICE_FMT(e->node)),
            a);
    else if (m->port > 0)
        text = gs_arena_printf(a, "port.%u.%.*s", m->port, GS_SLICE_FMT(e->service));
    else
        text = gs_arena_printf(a, "service.%.*s", GS_SLICE_FMT(e->service));
    return strlen(text) <= NAME_MAX_BYTES ? gs_slice_str(text) : hashed_name(text, a);
}
