/* model.c - the door: everything in model.h that is no list, analysis or split, each a line or
 * two into the rooms behind it. The one thing done here is model_flush(). */
#include <gossamer/model.h>

#include <gossamer/alloc.h>
#include <gossamer/buf.h>

#include "mesh/model/catalog.h"

struct model *
model_new(const struct model_options *o)
{
    struct model *m = gs_zalloc(sizeof(*m));

    GS_ASSERT(o->slots && o->hub && o->stat_names);
    gs_arena_init(&m->arena, NULL, 0, 512);
    m->o = *o;
    m->o.node = gs_arena_copy(&m->arena, o->node);
    m->o.zone = gs_arena_copy(&m->arena, o->zone);
    m->o.ns = gs_arena_copy(&m->arena, o->ns);
    m->o.root_ns = gs_arena_copy(&m->arena, o->root_ns);
    catalog_init(&m->catalog, o);
    objects_init(&m->objects);
    return m;
}

void
model_free(struct model *m)
{
    if (!m)
        return;
    catalog_fini(&m->catalog);
    objects_fini(&m->objects);
    gs_arena_fini(&m->arena);
    gs_free(m);
}

/* ---- in ---- */

gs_err
model_set_service(struct model *m, const struct model_service *s, struct gs_why *why)
{
    return own_put(&m->catalog, s, why);
}

gs_err
model_check_service(struct model *m, const struct model_service *s, struct gs_why *why)
{
    return own_check(&m->catalog, s, why);
}

void
model_remove_service(struct model *m, struct gs_slice ns, struct gs_slice name, uint16_t port)
{
    own_remove(&m->catalog, &(struct endpoints_key){ ns, name, port });
}

gs_err
model_set_health(struct model *m, struct gs_slice ns, struct gs_slice name, uint16_t port,
                 const struct gs_addr *addr, enum endpoint_tier tier)
{
    return own_set_health(&m->catalog, &(struct endpoints_key){ ns, name, port }, addr, tier);
}

void
model_set_published(struct model *m, bool published)
{
    own_set_published(&m->catalog.own, published);
}

void
model_set_draining(struct model *m)
{
    own_set_draining(&m->catalog.own);
}

bool
model_next_own(struct model *m, struct model_own *out)
{
    return own_next(&m->catalog, out);
}

void
model_set_node(struct model *m, uint64_t now_ms, const struct model_node *n)
{
    owners_set(&m->catalog, now_ms, n);
}

void
model_remove_node(struct model *m, const struct gs_id *id)
{
    owners_remove(&m->catalog, id);
}

gs_err
model_on_endpoints(struct model *m, const struct model_record *r, struct gs_why *why)
{
    GS_ASSERT(r->kind == MODEL_KIND_ENDPOINTS);
    if (!gs_id_eq(&r->version.writer, &m->catalog.self->id))
        return offers_on_record(&m->catalog, r, why);
    own_heard(&m->catalog, r);
    return GS_E_OK;
}

bool
model_next_said(const struct model *m, const struct gs_id *owner, const void **at,
                struct model_said *out)
{
    const struct catalog_owner *o = owners_find(&m->catalog, owner);
    const struct gs_list *next = *at;
    const struct catalog_offer *offer;

    if (!o)
        return false;
    next = next ? next->next : o->offers.next;
    if (next == &o->offers)
        return false;
    offer = GS_LIST_ENTRY((struct gs_list *)(uintptr_t)next, struct catalog_offer, link);
    *at = next;
    *out = (struct model_said){ .ns = offer->service->ns,
                                .name = offer->service->name,
                                .port = offer->service->port,
                                .boot = offer->boot,
                                .seq = offer->seq };
    return true;
}

gs_err
model_on_record(struct model *m, const struct model_record *r, struct gs_why *why)
{
    return objects_on_record(&m->objects, r, why);
}

void
model_on_transaction(struct model *m, uint64_t id, const struct model_member *members, size_t count)
{
    objects_on_transaction(&m->objects, id, members, count);
}

gs_err
model_restore(struct model *m, struct gs_slice bytes, struct gs_why *why)
{
    return objects_restore(&m->objects, bytes, why);
}

bool
model_next_frame(const struct model *m, size_t *at, struct gs_buf *out)
{
    return objects_next_frame(&m->objects, at, out);
}

/* ---- out ---- */

/* Did anything change that its blob is made of? Who comes and goes matters only to those who have
 * policy, which may name others. */
static bool
is_due(const struct model *m, const struct catalog_service *s)
{
    return s->dirty || m->objects.activity || (m->catalog.changed && s->ruled);
}

/* Returns whether it got a new blob. */
static bool
renew(struct model *m, struct catalog_service *s)
{
    uint64_t plan[2];

    s->ruled = resolve_is_ruled(m, s);
    build_plan(m, s, plan);
    if (s->blob && plan[0] == s->plan[0] && plan[1] == s->plan[1])
        return false;
    memcpy(s->plan, plan, sizeof(plan));
    GS_ASSERT(m->catalog.by_id[s->id] == s);
    s->blob = build_blob(m, s); /* the former one is the hub's to free */
    return true;
}

/* Rebuild what was built from something else. Returns how many blobs. */
static uint32_t
rebuild(struct model *m, uint64_t now_ms)
{
    struct catalog *c = &m->catalog;
    uint32_t rebuilt = 0;

    for (size_t i = 0; i < c->count; i++) {
        struct catalog_service *s = c->items[i];

        if (s->dirty)
            offers_settle(c, s, m->o.slots, now_ms);
        if (is_due(m, s))
            rebuilt += renew(m, s);
        s->dirty = false;
    }
    return rebuilt;
}

/* What time alone has changed. */
static void
tick(struct catalog *c, uint64_t now_ms)
{
    owners_tick(c, now_ms);
    if (now_ms < c->retry_ms)
        return;
    c->retry_ms = UINT64_MAX;
    for (size_t i = 0; i < c->count; i++) {
        struct catalog_service *s = c->items[i];

        if (s->retry_ms <= now_ms)
            catalog_mark(c, s);
        else if (s->retry_ms < c->retry_ms)
            c->retry_ms = s->retry_ms;
    }
}

static uint64_t
publish(struct model *m)
{
    struct catalog *c = &m->catalog;
    struct service_blob **blobs = gs_calloc(c->id_cap + 1, sizeof(struct service_blob *));
    struct names *names = c->changed ? build_names(m) : NULL;
    uint32_t count = 0;
    uint64_t seq;

    for (uint32_t id = 0; id < c->id_cap; id++) {
        if (!c->by_id[id])
            continue;
        GS_ASSERT(c->by_id[id]->blob);
        blobs[id] = c->by_id[id]->blob;
        count = id + 1;
    }
    GS_ASSERT(count <= c->id_cap);
    seq = snapshot_publish(m->o.hub, blobs, count, names);
    GS_ASSERT(seq > m->seq);
    gs_free(blobs);
    return seq;
}

struct model_flushed
model_flush(struct model *m, uint64_t now_ms)
{
    struct model_flushed f = { .activated = objects_settle(&m->objects) };

    m->now_ms = now_ms;
    tick(&m->catalog, now_ms);
    if (!m->objects.activity && !m->catalog.changed && !m->catalog.dirty)
        return f;
    f.rebuilt = rebuild(m, now_ms);
    if (f.rebuilt > 0 || m->catalog.changed)
        f.seq = m->seq = publish(m);
    m->objects.activity = m->catalog.changed = m->catalog.dirty = false;
    return f;
}

uint64_t
model_due_ms(const struct model *m)
{
    const struct catalog *c = &m->catalog;

    return c->retry_ms < c->withdraw_ms ? c->retry_ms : c->withdraw_ms;
}

void
model_counters(const struct model *m, struct model_counters *out)
{
    const struct catalog *c = &m->catalog;
    const struct catalog_offer *offer = NULL;
    const struct catalog_instance *i;

    *out = (struct model_counters){
        .held = c->held, .unusable = c->unusable, .nodes = c->owner_count + 1, .services = c->count
    };
    for (size_t k = 0; k < c->count; k++) {
        struct catalog_at at = { 0 };

        out->endpoints += c->items[k]->shown;
        out->left_out += c->items[k]->left_out + c->items[k]->slotless;
        while ((i = catalog_next(c->items[k], &at, &offer))) {
            struct maint_word w = maint_say(&m->objects.maintenances, offer, i);

            out->lost += i->tier == TIER_LOST;
            out->drained += w.drained || w.weight == 0;
        }
    }
}

/* ---- objects ---- */

bool
model_find_object(const struct model *m, enum policy_kind kind, struct gs_slice ns,
                  struct gs_slice name, struct model_object *out)
{
    char key[POLICY_KEY_TEXT];
    const struct object *o;

    if (ns.len > 63 || name.len > 253)
        return false; /* no object is called so, and its key would not fit */
    o = objects_find(&m->objects, gs_slice_str(policy_key(kind, ns, name, key)));
    if (!o || !object_exists(o))
        return false;
    object_view(o, out);
    return true;
}

bool
model_next_object(const struct model *m, size_t *at, struct model_object *out)
{
    while (*at < m->objects.count) {
        const struct object *o = m->objects.items[(*at)++];

        if (!object_exists(o))
            continue;
        object_view(o, out);
        return true;
    }
    return false;
}

bool
model_next_standing(const struct model *m, size_t *at, struct model_standing *out)
{
    const struct object *o;

    if (*at >= m->objects.count)
        return false;
    o = m->objects.items[(*at)++];
    *out = (struct model_standing){ .key = o->key, .state = o->state, .why = o->why };
    if (o->latest) {
        out->deleted = o->latest->deleted;
        out->version = o->latest->version;
    }
    if (o->active)
        out->active_version = o->active->version;
    return true;
}

const char *
model_state_text(enum model_state s)
{
    switch (s) {
    case MODEL_ACTIVE:
        return "active";
    case MODEL_PENDING:
        return "pending";
    case MODEL_REJECTED:
        return "rejected";
    }
    GS_UNREACHABLE("model state");
}

/* ---- invariants ---- */

void
model_check(const struct model *m)
{
    catalog_check(&m->catalog);
    for (size_t i = 0; i < m->objects.count; i++) {
        const struct object *o = m->objects.items[i];

        GS_ASSERT(i == 0 || gs_slice_cmp(m->objects.items[i - 1]->key, o->key) < 0);
        GS_ASSERT(o->latest || o->active);
        GS_ASSERT(!o->active || (o->active->object && !o->active->deleted));
        GS_ASSERT(!o->latest || o->latest->refs >= 1);
        if (o->state == MODEL_ACTIVE && o->latest && !m->objects.changed)
            GS_ASSERT(o->latest->deleted ? !o->active : o->active == o->latest);
    }
}
