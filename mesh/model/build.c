/* build.c - from the catalog to the blobs the data path reads. A blob is rebuilt when, and only
 * when, the hash of everything it is made of changed: dependencies need no bookkeeping, and a
 * change of one service's health leaves all other blobs the very same memory. */
#include "mesh/model/catalog.h"

#include <stdio.h>
#include <stdlib.h>

#include <gossamer/alloc.h>
#include <gossamer/buf.h>
#include <gossamer/log.h>
#include <gossamer/stats.h>

#include "mesh/model/re2.h"

#define PLAN_BYTES_MAX (16u << 20)
#define LABELS_SHARED 8 /* sets of labels that are looked at for one alike */

/* ---- plans ---- */

static void
plan_u64(struct gs_buf *b, uint64_t v)
{
    (void)gs_buf_put(b, &v, sizeof(v));
}

static void
plan_text(struct gs_buf *b, struct gs_slice s)
{
    plan_u64(b, s.len);
    (void)gs_buf_put_slice(b, s);
}

/* Offers and owners have fingerprints, so what a peer says is not gone through again: in a mesh
 * where a thousand nodes have one service, this is most of the work of a change. */
static void
plan_word(struct gs_buf *b, const struct maint_word *w)
{
    const struct maint_entry *of[] = { w->drained, w->weighed };

    for (size_t i = 0; i < GS_COUNT(of); i++) {
        plan_u64(b, of[i] != NULL);
        if (!of[i])
            continue;
        plan_text(b, of[i]->o->ns);
        plan_text(b, of[i]->o->name);
        (void)gs_buf_put(b, &of[i]->version, sizeof(of[i]->version));
    }
}

static void
plan_endpoints(struct gs_buf *b, const struct model *m, const struct catalog_service *s)
{
    const struct catalog_offer *offer = NULL, *last = NULL;
    const struct catalog_instance *i;
    struct maint_word w;
    bool said;

    for (struct catalog_at at = { 0 }; (i = catalog_next(s, &at, &offer)); last = offer) {
        if (offer != last) {
            (void)gs_buf_put(b, offer->content, sizeof(offer->content));
            plan_u64(b, offer->owner->revision);
        }
        w = maint_say(&m->objects.maintenances, offer, i);
        said = w.drained || w.weighed;
        plan_u64(b,
                 (uint64_t)(i - offer->instances) << 8 | (uint64_t)said << 7 | (uint64_t)i->tier);
        if (said)
            plan_word(b, &w);
    }
}

static void
plan_outliers(struct gs_buf *b, const struct model *m, const struct catalog_service *s,
              const struct dr_subset *subset)
{
    struct outlier_policy p;

    plan_u64(b, resolve_outliers(m, s, subset, &p));
    plan_u64(b, (uint64_t)p.errors_5xx << 32 | p.errors_gateway);
    plan_u64(b, (uint64_t)p.errors_local << 32 | p.split);
    plan_u64(b, p.interval_ms);
    plan_u64(b, p.base_ms);
    plan_u64(b, (uint64_t)p.max_percent << 32 | p.min_health_percent);
}

static void
plan_subsets(struct gs_buf *b, const struct model *m, const struct catalog_service *s)
{
    const struct dr_subset *subsets[SUBSETS_MAX];
    size_t count = resolve_subsets(m, s, subsets);

    plan_u64(b, count);
    plan_outliers(b, m, s, NULL);
    for (size_t i = 0; i < count; i++) {
        plan_outliers(b, m, s, subsets[i]);
        plan_text(b, subsets[i]->name.text);
        plan_u64(b, subsets[i]->label_count);
        for (size_t l = 0; l < subsets[i]->label_count; l++) {
            plan_text(b, subsets[i]->labels[l].name);
            plan_text(b, subsets[i]->labels[l].value);
        }
    }
}

static void
plan_policy(struct gs_buf *b, const struct model *m, const struct catalog_service *s)
{
    const struct object *o = resolve_policy(m, s);
    const struct virtual_service *vs;
    size_t at;

    plan_u64(b, o != NULL);
    if (!o)
        return;
    GS_ASSERT(o->active && o->active->object);
    vs = &o->active->object->vs;
    at = vs->host_count;
    plan_text(b, o->key);
    (void)gs_buf_put(b, &o->active->hash, sizeof(o->active->hash));
    for (size_t i = 0; i < vs->rule_count; i++) {
        for (size_t k = 0; k < vs->rules[i].destination_count; k++) {
            struct resolved r = resolve_destination(m, &vs->rules[i].destinations[k],
                                                    o->active->hosts[at++], o->ns, s->port);

            plan_u64(b, r.service ? r.service->id : UINT32_MAX);
            plan_u64(b, r.subset);
        }
    }
    GS_ASSERT(at == o->active->host_count);
}

void
build_plan(const struct model *m, const struct catalog_service *s, uint64_t plan[2])
{
    struct gs_buf b;

    gs_buf_init(&b, PLAN_BYTES_MAX);
    plan_u64(&b, s->id);
    plan_endpoints(&b, m, s);
    plan_subsets(&b, m, s);
    plan_policy(&b, m, s);
    GS_ASSERT(!b.failed);
    plan[0] = gs_hash(b.ptr, b.len, 1);
    plan[1] = gs_hash(b.ptr, b.len, 2);
    gs_buf_fini(&b);
}

/* ---- endpoints and subsets ---- */

/* Most endpoints of a service have the labels of another one. */
struct label_sets {
    struct gs_arena *arena;
    const struct label *sets[LABELS_SHARED];
    uint32_t counts[LABELS_SHARED];
    size_t at;
};

static bool
same_labels(const struct label *a, const struct label *b, uint32_t count)
{
    for (uint32_t l = 0; l < count; l++) {
        if (!gs_slice_eq(a[l].name, b[l].name) || !gs_slice_eq(a[l].value, b[l].value))
            return false;
    }
    return true;
}

static const struct label *
share_labels(struct label_sets *sets, const struct catalog_instance *i)
{
    struct label *labels;

    for (size_t k = 0; k < LABELS_SHARED; k++) {
        if (sets->sets[k] && sets->counts[k] == i->label_count &&
            same_labels(sets->sets[k], i->labels, i->label_count))
            return sets->sets[k];
    }
    labels = gs_arena_alloc(sets->arena, i->label_count * sizeof(*labels));
    for (uint32_t l = 0; l < i->label_count; l++) {
        labels[l].name = gs_arena_copy(sets->arena, i->labels[l].name);
        labels[l].value = gs_arena_copy(sets->arena, i->labels[l].value);
    }
    sets->sets[sets->at] = labels;
    sets->counts[sets->at] = i->label_count;
    sets->at = (sets->at + 1) % LABELS_SHARED;
    return labels;
}

/* Two nodes may publish the same address: the owner is part of the key. */
static gs_err
slot_of(struct model *m, const struct catalog_service *s, const struct catalog_offer *offer,
        const struct catalog_instance *i, uint32_t *slot)
{
    size_t ip = i->addr.family == 4 ? 4 : sizeof(i->addr.ip);
    struct gs_buf key;
    gs_err e;

    if (i->slot != CATALOG_NO_SLOT) { /* the present blob holds it */
        *slot = i->slot;
        return GS_E_OK;
    }
    gs_buf_init(&key, 1024);
    (void)gs_buf_printf(&key, "%.*s/%.*s:%u/", GS_SLICE_FMT(s->ns), GS_SLICE_FMT(s->name), s->port);
    (void)gs_buf_put(&key, &offer->owner->id, sizeof(offer->owner->id));
    (void)gs_buf_put(&key, i->addr.ip, ip);
    (void)gs_buf_put(&key, &i->addr.port, sizeof(i->addr.port));
    GS_ASSERT(!key.failed);
    e = slots_get(m->o.slots, gs_buf_slice(&key), slot);
    gs_buf_fini(&key);
    if (e == GS_E_OK && i->tier == TIER_HEALTHY) /* it had been withdrawn, and is back */
        slots_let_try(m->o.slots, *slot, m->now_ms);
    return e;
}

struct owner_texts { /* of the last endpoint: those of one owner follow each other */
    const struct catalog_owner *owner;
    struct gs_slice node, zone;
};

static void
copy_texts(struct owner_texts *t, const struct catalog_owner *o, struct gs_arena *a)
{
    if (t->owner == o)
        return;
    if (!t->owner || !gs_slice_eq(t->zone, o->zone))
        t->zone = gs_arena_copy(a, o->zone);
    t->node = gs_arena_copy(a, o->name);
    t->owner = o;
}

/* Their texts are shared by the endpoints of a node: most of those that are drained are so by one
 * object. */
struct sources {
    struct gs_arena *arena;
    const struct maint_entry *last;
    struct gs_slice text;
};

static struct gs_slice
source_text(struct sources *s, const struct maint_entry *e)
{
    if (!e)
        return GS_SLICE("");
    if (e != s->last)
        s->text = gs_slice_str(maint_source_text(e, s->arena));
    s->last = e;
    return s->text;
}

static const struct endpoint_word *
build_word(struct sources *s, const struct maint_word *w)
{
    struct endpoint_word *out;

    if (!w->drained && !w->weighed)
        return NULL;
    out = gs_arena_alloc(s->arena, sizeof(*out));
    *out = (struct endpoint_word){ .closed = w->closed,
                                   .drained_by = source_text(s, w->drained),
                                   .weighed_by = source_text(s, w->weighed) };
    return out;
}

static struct endpoint
build_endpoint(struct model *m, const struct catalog_offer *offer, const struct catalog_instance *i,
               struct sources *sources)
{
    struct maint_word w = maint_say(&m->objects.maintenances, offer, i);

    return (struct endpoint){
        .addr = i->addr,
        .slot = i->slot,
        .generation =
            atomic_load_explicit(&slots_at(m->o.slots, i->slot)->generation, memory_order_relaxed),
        .tier = maint_tier(&w, i->tier),
        .local = offer->owner->self,
        .weight = maint_open(&w) ? w.weight : 0,
        .word = build_word(sources, &w),
        .owner = offer->owner->id,
        .mesh = offer->owner->mesh,
        .label_count = i->label_count,
    };
}

static void
forget_slots(struct catalog_service *s)
{
    for (size_t k = 0; k < s->offer_count; k++) {
        for (size_t i = 0; i < s->offers[k]->count; i++) {
            if (!s->offers[k]->instances[i].shown)
                s->offers[k]->instances[i].slot = CATALOG_NO_SLOT;
        }
    }
}

static void
build_endpoints(struct model *m, struct catalog_service *s, struct service_blob *b)
{
    struct gs_arena *a = &b->arena;
    struct endpoint *out = gs_arena_alloc(a, s->shown * sizeof(*out));
    struct gs_slice service = gs_slice_str(
        gs_arena_printf(a, "%.*s/%.*s:%u", GS_SLICE_FMT(s->ns), GS_SLICE_FMT(s->name), s->port));
    struct label_sets sets = { .arena = a };
    struct owner_texts texts = { .owner = NULL };
    struct sources sources = { .arena = a };
    const struct catalog_offer *offer = NULL;
    struct catalog_instance *i;
    size_t count = 0;

    forget_slots(s);
    for (struct catalog_at at = { 0 }; (i = catalog_next(s, &at, &offer));) {
        if (slot_of(m, s, offer, i, &i->slot) != GS_E_OK)
            continue;
        copy_texts(&texts, offer->owner, a);
        out[count] = build_endpoint(m, offer, i, &sources);
        out[count].service = service;
        out[count].node = texts.node;
        out[count].zone = texts.zone;
        out[count++].labels = share_labels(&sets, i);
    }
    GS_ASSERT(count <= s->shown);
    if (count < s->shown && s->slotless == 0)
        LOG_ERROR("endpoint.left_out",
                  "service=%.*s.%.*s:%u count=%zu why=\"all %d slots are taken\"",
                  GS_SLICE_FMT(s->name), GS_SLICE_FMT(s->ns), s->port, s->shown - count, SLOTS_MAX);
    s->slotless = s->shown - count;
    b->service.endpoints = out;
    b->service.endpoint_count = (uint32_t)count;
}

static bool
is_in(const struct dr_subset *subset, const struct endpoint *e)
{
    return !subset ||
           catalog_selects(subset->labels, subset->label_count, e->labels, e->label_count);
}

/* May new requests go there at all? Pending ones were never published, or nobody knows where they
 * are; a weight of 0 is an operator's word. */
static bool
is_open(const struct endpoint *e)
{
    return e->tier != TIER_PENDING && e->weight > 0;
}

/* The best tier that has anybody, and how many; `members`: of all tiers, open or not. */
static enum endpoint_tier
best_tier(const struct service *s, const struct dr_subset *subset, uint32_t *count,
          uint32_t *members)
{
    enum endpoint_tier best = TIER_PENDING;

    *count = *members = 0;
    for (uint32_t i = 0; i < s->endpoint_count; i++) {
        const struct endpoint *e = &s->endpoints[i];

        if (!is_in(subset, e))
            continue;
        ++*members;
        if (e->tier > best || !is_open(e))
            continue;
        *count = e->tier < best ? 1 : *count + 1;
        best = e->tier;
    }
    GS_ASSERT(*count <= *members);
    return best;
}

/* Where weights differ: how much those up to each endpoint weigh together. */
static void
build_weights(struct subset *s, struct gs_arena *a)
{
    bool alike = true;
    uint32_t sum = 0;
    uint32_t *upto;

    for (uint32_t i = 0; i < s->count; i++)
        alike = alike && s->endpoints[i]->weight == s->endpoints[0]->weight;
    if (alike)
        return;
    upto = gs_arena_alloc(a, s->count * sizeof(*upto));
    for (uint32_t i = 0; i < s->count; i++) {
        GS_ASSERT(s->endpoints[i]->weight > 0);
        upto[i] = sum += s->endpoints[i]->weight;
    }
    s->upto = upto;
}

static uint32_t
stat_cell(struct model *m, const struct catalog_service *s, struct gs_slice subset,
          enum stat_direction direction)
{
    struct stat_label label = {
        .ns = s->ns, .service = s->name, .subset = subset, .port = s->port, .direction = direction
    };

    return stat_names_get(m->o.stat_names, &label);
}

static const struct outlier_policy *
build_outliers(const struct model *m, const struct catalog_service *s, const struct dr_subset *from,
               struct service_blob *b)
{
    struct outlier_policy policy, *out;

    if (!resolve_outliers(m, s, from, &policy))
        return NULL;
    out = gs_arena_alloc(&b->arena, sizeof(*out));
    *out = policy;
    return out;
}

static void
build_subset(struct model *m, const struct catalog_service *s, const struct dr_subset *from,
             struct service_blob *b, struct subset *out)
{
    const struct service *built = &b->service;
    uint32_t count, members;
    enum endpoint_tier best = best_tier(built, from, &count, &members);
    const struct endpoint **list =
        gs_arena_alloc(&b->arena, members * sizeof(const struct endpoint *));

    *out = (struct subset){ .name = from ? gs_arena_copy(&b->arena, from->name.text) : GS_SLICE(""),
                            .endpoints = list,
                            .others = list + count,
                            .outliers = build_outliers(m, s, from, b),
                            .panic = best == TIER_UNHEALTHY };
    for (uint32_t i = 0; i < built->endpoint_count; i++) {
        const struct endpoint *e = &built->endpoints[i];

        if (!is_in(from, e))
            continue;
        if (e->tier == best && is_open(e))
            list[out->count++] = e;
        else
            list[count + out->other_count++] = e;
    }
    GS_ASSERT(out->count == count);
    GS_ASSERT(out->count + out->other_count == members);
    GS_ASSERT(!out->panic || out->count > 0);
    build_weights(out, &b->arena);
    out->stat_out = stat_cell(m, s, out->name, STAT_OUTBOUND);
    out->stat_in = stat_cell(m, s, out->name, STAT_INBOUND);
}

static void
build_subsets(struct model *m, const struct catalog_service *s, struct service_blob *b)
{
    const struct dr_subset *from[SUBSETS_MAX];
    size_t count = resolve_subsets(m, s, from);
    struct subset *out = gs_arena_alloc(&b->arena, (count + 1) * sizeof(*out));

    GS_ASSERT(count < SUBSETS_MAX);
    build_subset(m, s, NULL, b, &out[SUBSET_ALL]);
    for (size_t i = 0; i < count; i++)
        build_subset(m, s, from[i], b, &out[i + 1]);
    b->service.subsets = out;
    b->service.subset_count = (uint32_t)count + 1;
}

/* ---- rules ---- */

static struct gs_slice
copy_lower(struct gs_arena *a, struct gs_slice s)
{
    char *out = gs_arena_bytes(a, s.len + 1);

    for (size_t i = 0; i < s.len; i++)
        out[i] = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] - 'A' + 'a') : s.ptr[i];
    out[s.len] = '\0';
    return gs_slice(out, s.len);
}

static struct text_match
build_text_match(struct gs_arena *a, const struct vs_text_match *from)
{
    struct text_match m = { .text = gs_arena_copy(a, from->text) };

    switch (from->kind) {
    case POLICY_EXACT:
        m.kind = MATCH_EXACT;
        break;
    case POLICY_PREFIX:
        m.kind = MATCH_PREFIX;
        break;
    case POLICY_PRESENT:
        m.kind = MATCH_PRESENT;
        break;
    case POLICY_REGEX:
        m.kind = MATCH_REGEX;
        m.regex = gs_arena_alloc(a, sizeof(*m.regex));
        GS_ASSERT(re2_compile(from->text, m.regex, NULL) == GS_E_OK); /* it was validated */
        break;
    }
    return m;
}

static const struct route_match *
build_matches(struct gs_arena *a, const struct vs_rule *r)
{
    struct route_match *out = gs_arena_zalloc(a, (r->match_count + 1) * sizeof(*out));

    for (size_t i = 0; i < r->match_count; i++) {
        const struct vs_match *from = &r->matches[i];
        struct field_match *fields = gs_arena_zalloc(a, (from->header_count + 1) * sizeof(*fields));

        for (size_t h = 0; h < from->header_count; h++) {
            fields[h].name = copy_lower(a, from->headers[h].name);
            fields[h].value = build_text_match(a, &from->headers[h].value);
        }
        out[i].name = gs_arena_copy(a, from->name);
        if (from->has_uri)
            out[i].uri = build_text_match(a, &from->uri);
        out[i].fields = fields;
        out[i].field_count = (uint32_t)from->header_count;
    }
    return out;
}

/* hosts: canonical ones of these destinations. An only destination gets all, whatever its
 * weight. */
static void
build_backends(const struct model *m, const struct catalog_service *s, const struct object *o,
               const struct vs_rule *from, const struct gs_slice *hosts, struct gs_arena *a,
               struct route_rule *out)
{
    struct route_backend *backends =
        gs_arena_alloc(a, (from->destination_count + 1) * sizeof(*backends));

    for (size_t i = 0; i < from->destination_count; i++) {
        const struct vs_destination *d = &from->destinations[i];
        struct resolved r = resolve_destination(m, d, hosts[i], o->ns, s->port);

        backends[i] = (struct route_backend){
            .service = r.service ? r.service->id : UINT32_MAX,
            .subset = r.subset,
            .weight = from->destination_count == 1 ? 1 : d->weight,
            .host = gs_arena_copy(a, d->host.text),
            .subset_name = gs_arena_copy(a, d->subset.text),
        };
        out->weight_total += backends[i].weight;
    }
    GS_ASSERT(from->destination_count > 0);
    GS_ASSERT(out->weight_total > 0);
    out->backends = backends;
    out->backend_count = (uint32_t)from->destination_count;
}

static void
build_rules(const struct model *m, const struct catalog_service *s, struct service_blob *b)
{
    const struct object *o = resolve_policy(m, s);
    const struct virtual_service *vs;
    const struct gs_slice *hosts;
    struct route_rule *out;
    char version[GS_VERSION_TEXT];
    const char *text;

    if (!o)
        return;
    vs = &o->active->object->vs;
    hosts = o->active->hosts + vs->host_count;
    out = gs_arena_zalloc(&b->arena, (vs->rule_count + 1) * sizeof(*out));
    for (size_t i = 0; i < vs->rule_count; i++) {
        const struct vs_rule *from = &vs->rules[i];

        out[i].name = gs_arena_copy(&b->arena, from->name);
        out[i].matches = build_matches(&b->arena, from);
        out[i].match_count = (uint32_t)from->match_count;
        out[i].timeout_ms = from->timeout_ms;
        build_backends(m, s, o, from, hosts, &b->arena, &out[i]);
        hosts += from->destination_count;
    }
    GS_ASSERT(hosts == o->active->hosts + o->active->host_count);
    b->service.rules = out;
    b->service.rule_count = (uint32_t)vs->rule_count;
    b->service.has_policy = true;
    text = gs_arena_printf(&b->arena, "%s %.*s/%.*s %s", policy_kind_name(o->kind),
                           GS_SLICE_FMT(o->ns), GS_SLICE_FMT(o->name),
                           gs_version_text(&o->active->version, version));
    b->service.policy = gs_slice_str(text);
}

struct service_blob *
build_blob(struct model *m, struct catalog_service *s)
{
    struct service_blob *b = service_blob_new(m->o.slots, m->o.stat_names);

    b->service.id = s->id;
    b->service.ns = gs_arena_copy(&b->arena, s->ns);
    b->service.name = gs_arena_copy(&b->arena, s->name);
    b->service.port = s->port;
    build_endpoints(m, s, b);
    build_subsets(m, s, b);
    build_rules(m, s, b);
    GS_ASSERT(b->service.subset_count > 0);
    GS_ASSERT(b->service.has_policy || b->service.rule_count == 0);
    service_blob_seal(b);
    return b;
}
