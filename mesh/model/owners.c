/* owners.c - the nodes that have services. What gossip says of a node decides, together with what
 * the node says of its endpoints, what these are good for (offers.c).
 *
 *     UNKNOWN ──▶ UP ──▶ DOWN ──LOST_KEPT_MS──▶ withdrawn      any ──▶ GONE: withdrawn at once
 *      lost            lost                                    any ──▶ UP: as the node says */
#include "mesh/model/catalog.h"

#include <gossamer/alloc.h>
#include <gossamer/limits.h>

struct catalog_owner *
owners_new(struct catalog *c, const struct gs_id *id)
{
    struct catalog_owner *o = gs_zalloc(sizeof(*o));
    char text[GS_ID_TEXT];

    o->id = *id;
    o->revision = ++c->revision;
    o->withdraw_ms = UINT64_MAX;
    gs_list_init(&o->offers);
    owners_name(o, gs_slice_str(gs_id_text(id, text)), GS_SLICE_NONE);
    return o;
}

void
owners_free(struct catalog_owner *o)
{
    GS_ASSERT(gs_list_empty(&o->offers));
    gs_free(o->texts);
    gs_free(o);
}

void
owners_name(struct catalog_owner *o, struct gs_slice name, struct gs_slice zone)
{
    char *texts = gs_zalloc(name.len + zone.len + 2);

    if (name.len > 0)
        memcpy(texts, name.ptr, name.len);
    if (zone.len > 0)
        memcpy(texts + name.len + 1, zone.ptr, zone.len);
    gs_free(o->texts); /* not before: it may be its own name */
    o->texts = texts;
    o->name = gs_slice(texts, name.len);
    o->zone = gs_slice(texts + name.len + 1, zone.len);
}

/* ---- by id ---- */

/* Index of the first that is not below. */
static size_t
place(const struct catalog *c, const struct gs_id *id)
{
    size_t low = 0, high = c->owner_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (memcmp(&c->owners[middle]->id, id, sizeof(*id)) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct catalog_owner *
owners_find(const struct catalog *c, const struct gs_id *id)
{
    size_t at = place(c, id);

    return at < c->owner_count && gs_id_eq(&c->owners[at]->id, id) ? c->owners[at] : NULL;
}

struct catalog_owner *
owners_get(struct catalog *c, const struct gs_id *id)
{
    size_t at = place(c, id);

    GS_ASSERT(!gs_id_eq(id, &c->self->id));
    if (at < c->owner_count && gs_id_eq(&c->owners[at]->id, id))
        return c->owners[at];
    if (c->owner_count == c->owner_cap) {
        c->owner_cap = c->owner_cap ? c->owner_cap * 2 : 16;
        c->owners = gs_realloc(c->owners, c->owner_cap * sizeof(*c->owners));
    }
    memmove(&c->owners[at + 1], &c->owners[at], (c->owner_count - at) * sizeof(*c->owners));
    c->owner_count++;
    c->owners[at] = owners_new(c, id);
    return c->owners[at];
}

static void
drop(struct catalog *c, struct catalog_owner *o)
{
    size_t at = place(c, &o->id);

    GS_ASSERT(at < c->owner_count);
    GS_ASSERT(c->owners[at] == o);
    memmove(&c->owners[at], &c->owners[at + 1], (c->owner_count - at - 1) * sizeof(*c->owners));
    c->owner_count--;
    owners_free(o);
}

void
owners_drop_idle(struct catalog *c, struct catalog_owner *o)
{
    if (!o->told && gs_list_empty(&o->offers))
        drop(c, o);
}

/* ---- what is heard of them ---- */

static void
mark_services(struct catalog *c, struct catalog_owner *o)
{
    GS_LIST_EACH(l, &o->offers) {
        struct catalog_offer *offer = GS_LIST_ENTRY(l, struct catalog_offer, link);

        GS_ASSERT(offer->owner == o);
        catalog_mark(c, offer->service);
    }
}

static void
set_state(struct catalog *c, uint64_t now_ms, struct catalog_owner *o, enum model_node_state state)
{
    if (o->state == state)
        return; /* the time of a death is that of the first word of it */
    o->state = state;
    o->withdrawn = state == MODEL_NODE_GONE;
    o->withdraw_ms = state == MODEL_NODE_DOWN ? now_ms + LOST_KEPT_MS : UINT64_MAX;
    if (o->withdraw_ms < c->withdraw_ms)
        c->withdraw_ms = o->withdraw_ms;
}

/* A new run of it: what failed in the former one may be tried again. */
static void
set_boot(struct catalog *c, struct catalog_owner *o, uint64_t boot)
{
    bool restarted = o->boot != 0 && o->boot != boot;

    o->boot = boot;
    if (!restarted)
        return;
    GS_LIST_EACH(l, &o->offers) {
        struct catalog_offer *offer = GS_LIST_ENTRY(l, struct catalog_offer, link);

        for (size_t i = 0; i < offer->count; i++)
            offer->instances[i].vouched = offer->instances[i].said == TIER_HEALTHY;
    }
    mark_services(c, o);
}

static bool
is_news(const struct catalog_owner *o, const struct model_node *n)
{
    return !o->told || o->state != n->state || !gs_addr_eq(&o->mesh, &n->mesh) ||
           !gs_slice_eq(o->name, n->name) || !gs_slice_eq(o->zone, n->zone);
}

void
owners_set(struct catalog *c, uint64_t now_ms, const struct model_node *n)
{
    struct catalog_owner *o;

    if (gs_id_eq(&n->id, &c->self->id))
        return;
    o = owners_get(c, &n->id);
    if (n->state == MODEL_NODE_UP)
        set_boot(c, o, n->boot);
    if (!is_news(o, n))
        return;
    set_state(c, now_ms, o, n->state);
    o->revision = ++c->revision;
    o->told = true;
    o->mesh = n->mesh;
    owners_name(o, n->name, n->zone);
    mark_services(c, o);
}

void
owners_remove(struct catalog *c, const struct gs_id *id)
{
    struct catalog_owner *o = owners_find(c, id);

    if (!o)
        return;
    o->told = true; /* it must not go with its last offer: we are not through with it */
    GS_LIST_EACH_SAFE(l, &o->offers)
        offers_remove(c, GS_LIST_ENTRY(l, struct catalog_offer, link));
    drop(c, o);
}

void
owners_tick(struct catalog *c, uint64_t now_ms)
{
    if (now_ms < c->withdraw_ms)
        return;
    c->withdraw_ms = UINT64_MAX;
    for (size_t i = 0; i < c->owner_count; i++) {
        struct catalog_owner *o = c->owners[i];

        if (o->withdraw_ms <= now_ms && !o->withdrawn) {
            o->withdrawn = true;
            mark_services(c, o);
        }
        if (!o->withdrawn && o->withdraw_ms < c->withdraw_ms)
            c->withdraw_ms = o->withdraw_ms;
    }
}
