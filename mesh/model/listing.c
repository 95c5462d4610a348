/* listing.c - what is there, as the JSON lists of the admin API. */
#include <gossamer/model.h>

#include <inttypes.h>
#include <stdio.h>

#include "mesh/model/catalog.h"

static bool
wanted(const struct catalog_service *s, struct gs_slice ns, struct gs_slice name)
{
    return (ns.len == 0 || gs_slice_eq(s->ns, ns)) && (name.len == 0 || gs_slice_eq(s->name, name));
}

static void
write_identity(const struct catalog_service *s, struct json_out *j)
{
    json_kslice(j, "service", s->name);
    json_kslice(j, "namespace", s->ns);
    json_ku64(j, "port", s->port);
}

/* ---- services ---- */

static void
write_subset_names(const struct model *m, const struct catalog_service *s, struct json_out *j)
{
    const struct dr_subset *subsets[SUBSETS_MAX];
    size_t count = resolve_subsets(m, s, subsets);

    json_key(j, "subsets");
    json_arr(j);
    for (size_t i = 0; i < count; i++)
        json_slice(j, subsets[i]->name.text);
    json_arr_end(j);
}

void
model_services_json(const struct model *m, struct gs_slice ns, struct gs_slice name,
                    struct json_out *j)
{
    json_obj(j);
    json_key(j, "services");
    json_arr(j);
    for (size_t i = 0; i < m->catalog.count; i++) {
        const struct catalog_service *s = m->catalog.items[i];
        const struct object *policy = resolve_policy(m, s);
        const struct catalog_offer *offer = NULL;
        const struct catalog_instance *e;
        struct catalog_at at = { 0 };
        uint64_t healthy = 0;

        if (!wanted(s, ns, name))
            continue;
        while ((e = catalog_next(s, &at, &offer))) {
            struct maint_word w = maint_say(&m->objects.maintenances, offer, e);

            healthy += maint_tier(&w, e->tier) == TIER_HEALTHY;
        }
        json_obj(j);
        write_identity(s, j);
        json_kslice(j, "protocol", offers_protocol(s, NULL));
        json_ku64(j, "endpoints", s->shown);
        json_ku64(j, "healthy", healthy);
        write_subset_names(m, s, j);
        if (policy)
            json_kslice(j, "policy", policy->key);
        json_obj_end(j);
    }
    json_arr_end(j);
    json_obj_end(j);
}

/* ---- endpoints ---- */

static const char *
tier_text(enum endpoint_tier t)
{
    switch (t) {
    case TIER_HEALTHY:
        return "healthy";
    case TIER_UNHEALTHY:
        return "unhealthy";
    case TIER_DRAINING:
        return "draining";
    case TIER_LOST:
        return "lost";
    case TIER_PENDING:
        return "pending";
    }
    GS_UNREACHABLE("tier");
}

/* ejected_until: seconds since 1970; null unless it is ejected. Its time may be over: then it is
 * out until a request that tries it has gone well. */
static void
write_slot(const struct slot *slot, enum endpoint_tier tier, const struct model_reading *r,
           struct json_out *j)
{
    uint64_t out = slot ? atomic_load_explicit(&slot->ejection, memory_order_relaxed) : 0;
    uint64_t until = ejection_until_ms(out);

    json_kstr(j, "state", out != 0 && tier == TIER_HEALTHY ? "ejected" : tier_text(tier));
    json_key(j, "ejected_until");
    if (out != 0)
        json_double(j, ((double)r->wall_ms + (double)until - (double)r->now_ms) / 1000);
    else
        json_nil(j);
    json_ku64(j, "active", slot ? atomic_load_explicit(&slot->active, memory_order_relaxed) : 0);
}

static bool
is_in(const struct dr_subset *subset, const struct catalog_instance *i)
{
    return catalog_selects(subset->labels, subset->label_count, i->labels, i->label_count);
}

/* "subset" is the first that selects it; "subsets" are all. */
static void
write_membership(const struct model *m, const struct catalog_service *s,
                 const struct catalog_instance *i, struct json_out *j)
{
    const struct dr_subset *subsets[SUBSETS_MAX];
    size_t count = resolve_subsets(m, s, subsets);
    bool any = false;

    for (size_t k = 0; k < count && !any; k++) {
        any = is_in(subsets[k], i);
        if (any)
            json_kslice(j, "subset", subsets[k]->name.text);
    }
    if (!any)
        json_kstr(j, "subset", "");
    json_key(j, "subsets");
    json_arr(j);
    for (size_t k = 0; k < count; k++) {
        if (is_in(subsets[k], i))
            json_slice(j, subsets[k]->name.text);
    }
    json_arr_end(j);
}

/* Why it drains, what it weighs, and which objects say so. */
static void
write_maintenance(const struct maint_word *w, enum endpoint_tier tier, struct json_out *j)
{
    const struct maint_entry *of[] = { w->drained, w->weighed };
    char name[POLICY_KEY_TEXT];

    json_key(j, "drained_by");
    if (maint_tier(w, tier) != TIER_DRAINING)
        json_nil(j);
    else
        json_str(j, w->drained ? "operator" : "owner");
    json_ku64(j, "weight", w->weight);
    json_key(j, "maintenance");
    json_arr(j);
    for (size_t i = 0; i < GS_COUNT(of); i++) {
        if (!of[i] || (i > 0 && of[i] == of[0]))
            continue;
        (void)snprintf(name, sizeof(name), "%.*s/%.*s", GS_SLICE_FMT(of[i]->o->ns),
                       GS_SLICE_FMT(of[i]->o->name));
        json_str(j, name);
    }
    json_arr_end(j);
}

static void
write_endpoint(const struct model *m, const struct catalog_offer *offer,
               const struct catalog_instance *i, const struct model_reading *r, struct json_out *j)
{
    const struct catalog_service *s = offer->service;
    const struct slot *slot = i->slot != CATALOG_NO_SLOT ? slots_at(m->o.slots, i->slot) : NULL;
    struct maint_word w = maint_say(&m->objects.maintenances, offer, i);
    char text[GS_ADDR_TEXT];

    json_obj(j);
    write_identity(s, j);
    write_membership(m, s, i, j);
    json_kstr(j, "address", gs_addr_text(&i->addr, text));
    json_kslice(j, "node", offer->owner->name);
    json_kslice(j, "zone", offer->owner->zone);
    write_slot(slot, maint_tier(&w, i->tier), r, j);
    json_kdouble(j, "ewma_ms", slot && r->ewma_us ? (double)r->ewma_us(r->arg, i->slot) / 1000 : 0);
    json_key(j, "labels");
    json_obj(j);
    for (uint32_t l = 0; l < i->label_count; l++)
        json_kslice(j, i->labels[l].name.ptr, i->labels[l].value);
    json_obj_end(j);
    write_maintenance(&w, i->tier, j);
    json_obj_end(j);
}

void
model_endpoints_json(const struct model *m, struct gs_slice ns, struct gs_slice name,
                     const struct model_reading *r, struct json_out *j)
{
    json_obj(j);
    json_key(j, "endpoints");
    json_arr(j);
    for (size_t i = 0; i < m->catalog.count; i++) {
        const struct catalog_service *s = m->catalog.items[i];
        const struct catalog_offer *offer = NULL;
        const struct catalog_instance *e;
        struct catalog_at at = { 0 };

        while (wanted(s, ns, name) && (e = catalog_next(s, &at, &offer)))
            write_endpoint(m, offer, e, r, j);
    }
    json_arr_end(j);
    json_obj_end(j);
}

/* ---- objects ---- */

static void
write_hosts(const struct policy_object *o, struct json_out *j)
{
    json_key(j, "hosts");
    json_arr(j);
    if (o->kind == POLICY_DESTINATION_RULE)
        json_slice(j, o->dr.host.text);
    for (size_t i = 0; o->kind == POLICY_VIRTUAL_SERVICE && i < o->vs.host_count; i++)
        json_slice(j, o->vs.hosts[i].text);
    json_arr_end(j);
}

/* "node n3: drained" */
static void
write_says(const struct policy_object *o, struct json_out *j)
{
    const struct maintenance *t = &o->maint;
    struct maint_entry e = maint_entry(o, NULL);
    struct gs_arena arena;
    const char *text;

    gs_arena_init(&arena, NULL, 0, 512);
    text =
        gs_arena_printf(&arena, "%s:%s", maint_target_text(&e, &arena), t->drain ? " drained" : "");
    if (t->weight_written)
        text = gs_arena_printf(&arena, "%s%s weight %u", text, t->drain ? "," : "", t->weight);
    json_kstr(j, "says", text);
    gs_arena_fini(&arena);
}

bool
model_find_drain(const struct model *m, struct gs_slice node, struct model_drain *out)
{
    const struct maint_entry *e = maint_node(&m->objects.maintenances, node);

    if (!e)
        return false;
    GS_ASSERT(e->o->maint.drain); /* a node has no weight */
    *out = (struct model_drain){ e->o->ns, e->o->name, gs_hlc_ms(e->version.hlc),
                                 e->o->maint.reason.text, e->o->maint.by.text };
    return true;
}

void
model_objects_json(const struct model *m, enum policy_kind kind, struct gs_slice ns,
                   struct json_out *j)
{
    struct model_object o;

    json_obj(j);
    json_key(j, "objects");
    json_arr(j);
    for (size_t at = 0; model_next_object(m, &at, &o);) {
        char version[GS_VERSION_TEXT];

        if ((kind != POLICY_NONE && o.kind != kind) || (ns.len > 0 && !gs_slice_eq(o.ns, ns)))
            continue;
        json_obj(j);
        json_kstr(j, "kind", policy_kind_name(o.kind));
        json_kslice(j, "namespace", o.ns);
        json_kslice(j, "name", o.name);
        json_kstr(j, "state", model_state_text(o.state));
        json_kstr(j, "version", gs_version_text(&o.version, version));
        json_ku64(j, "created_ms", gs_hlc_ms(o.born_hlc));
        if (o.object)
            write_hosts(o.object, j);
        if (o.object && o.kind == POLICY_MAINTENANCE)
            write_says(o.object, j);
        if (o.state != MODEL_ACTIVE && o.active_version.generation > 0)
            json_kstr(j, "active_version", gs_version_text(&o.active_version, version));
        if (o.why)
            json_kstr(j, "why", o.why);
        json_obj_end(j);
    }
    json_arr_end(j);
    json_obj_end(j);
}
