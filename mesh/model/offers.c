/* offers.c - what each node has of each service, and what an endpoint is good for here.
 *
 *     what its owner says ─┐
 *     what gossip says     ├─▶ target ──worse, but own traffic there succeeded──▶ held, tried again
 *     of the owner        ─┘     └──otherwise──▶ tier
 *
 * Own instances follow their checks at once: those are no hearsay. */
#include "mesh/model/catalog.h"

#include <gossamer/alloc.h>
#include <gossamer/limits.h>
#include <gossamer/log.h>

#include "mesh/model/codec.h"

#define KEY_SHOWN 96 /* bytes of it in a reason, so that there is room for the rest */

/* ---- an offer, in one piece of memory ---- */

struct packing {
    struct label *labels;
    char *texts;
};

static struct gs_slice
pack_text(struct packing *p, struct gs_slice s)
{
    char *at = p->texts;

    if (s.len > 0)
        memcpy(at, s.ptr, s.len);
    at[s.len] = '\0';
    p->texts += s.len + 1;
    return gs_slice(at, s.len);
}

static void
pack_instance(struct packing *p, const struct endpoints_instance *from, struct catalog_instance *to)
{
    *to = (struct catalog_instance){ .addr = from->addr,
                                     .labels = p->labels,
                                     .label_count = (uint32_t)from->label_count,
                                     .slot = CATALOG_NO_SLOT,
                                     .said = from->tier,
                                     .tier = TIER_PENDING };
    for (size_t l = 0; l < from->label_count; l++) {
        p->labels->name = pack_text(p, from->labels[l].name);
        p->labels->value = pack_text(p, from->labels[l].value);
        p->labels++;
    }
}

static struct catalog_offer *
offer_new(const struct endpoints *e)
{
    size_t texts = e->protocol.len + 1, labels = 0;
    size_t fixed = sizeof(struct catalog_offer) + e->count * sizeof(struct catalog_instance);
    struct catalog_offer *o;
    struct packing p;

    for (size_t i = 0; i < e->count; i++) {
        labels += e->instances[i].label_count;
        for (size_t l = 0; l < e->instances[i].label_count; l++)
            texts += e->instances[i].labels[l].name.len + e->instances[i].labels[l].value.len + 2;
    }
    o = gs_alloc(fixed + labels * sizeof(struct label) + texts);
    *o = (struct catalog_offer){ .count = e->count };
    p.labels = (struct label *)(void *)((char *)o + fixed);
    p.texts = (char *)(p.labels + labels);
    o->protocol = pack_text(&p, e->protocol);
    for (size_t i = 0; i < e->count; i++)
        pack_instance(&p, &e->instances[i], &o->instances[i]);
    GS_ASSERT(p.texts == (char *)o + fixed + labels * sizeof(struct label) + texts);
    return o;
}

/* What is known here of instances that stay. Both lists are mostly in the same order. */
static void
inherit(struct catalog_offer *o, const struct catalog_offer *former)
{
    size_t at = 0;

    for (size_t i = 0; i < o->count; i++) {
        struct catalog_instance *to = &o->instances[i];

        for (size_t tried = 0; tried < former->count; tried++, at++) {
            const struct catalog_instance *from = &former->instances[at % former->count];

            if (!gs_addr_eq(&from->addr, &to->addr))
                continue;
            if (o->owner->self)
                to->said = from->said; /* by its checks, not by the configuration */
            to->slot = from->slot;
            to->tier = from->tier;
            to->shown = from->shown;
            to->held = from->held;
            to->vouched = to->said == TIER_HEALTHY;
            to->checked = from->checked;
            to->passed = from->passed;
            break;
        }
    }
}

/* ---- the offers of a service ---- */

/* Own first, then by id. Index of the first that is not below. */
static size_t
place(const struct catalog_service *s, const struct catalog_owner *o)
{
    size_t low = 0, high = s->offer_count;

    if (o->self)
        return 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct catalog_owner *other = s->offers[middle]->owner;

        if (other->self || memcmp(&other->id, &o->id, sizeof(o->id)) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct catalog_offer *
offers_find(const struct catalog_service *s, const struct catalog_owner *o)
{
    size_t at = place(s, o);

    return at < s->offer_count && s->offers[at]->owner == o ? s->offers[at] : NULL;
}

static void
insert(struct catalog_service *s, struct catalog_offer *offer)
{
    size_t at = place(s, offer->owner);

    if (s->offer_count == s->offer_cap) {
        s->offer_cap = s->offer_cap ? s->offer_cap * 2 : 1;
        s->offers = gs_realloc(s->offers, s->offer_cap * sizeof(*s->offers));
    }
    GS_ASSERT(at <= s->offer_count);
    memmove(&s->offers[at + 1], &s->offers[at], (s->offer_count - at) * sizeof(*s->offers));
    s->offers[at] = offer;
    s->offer_count++;
}

struct catalog_offer *
offers_put(struct catalog *c, struct catalog_owner *o, struct catalog_service *s,
           const struct endpoints *e, struct gs_slice value)
{
    struct catalog_offer *former = offers_find(s, o);
    struct catalog_offer *made = offer_new(e);

    made->owner = o;
    made->service = s;
    made->content[0] = gs_hash(value.ptr, value.len, 1);
    made->content[1] = gs_hash(value.ptr, value.len, 2);
    if (former) {
        inherit(made, former);
        s->offers[place(s, o)] = made;
        gs_list_remove(&former->link);
        gs_free(former);
    } else {
        insert(s, made);
    }
    gs_list_push_back(&o->offers, &made->link);
    GS_ASSERT(offers_find(s, o) == made);
    catalog_mark(c, s);
    return made;
}

void
offers_remove(struct catalog *c, struct catalog_offer *offer)
{
    struct catalog_service *s = offer->service;
    struct catalog_owner *o = offer->owner;
    size_t at = place(s, o);

    GS_ASSERT(at < s->offer_count);
    GS_ASSERT(s->offers[at] == offer);
    memmove(&s->offers[at], &s->offers[at + 1], (s->offer_count - at - 1) * sizeof(*s->offers));
    s->offer_count--;
    gs_list_remove(&offer->link);
    gs_free(offer);
    catalog_mark(c, s);
    catalog_drop_unoffered(c, s);
    owners_drop_idle(c, o);
}

/* ---- records ---- */

static gs_err
use_record(struct catalog *c, const struct model_record *r, const struct endpoints_key *k,
           struct gs_why *why)
{
    struct endpoints content;
    struct catalog_service *s;
    struct gs_arena arena;
    gs_err e;

    gs_arena_init(&arena, NULL, 0, 4096);
    e = codec_read_endpoints(r->value, &arena, &content);
    if (e != GS_E_OK)
        (void)gs_refuse(why, e, "it cannot be read");
    else if (endpoints_check(&content, why) != GS_E_OK)
        e = GS_E_MALFORMED;
    if (e == GS_E_OK) {
        s = catalog_get(c, k);
        if (s) {
            struct catalog_offer *made =
                offers_put(c, owners_get(c, &r->version.writer), s, &content, r->value);

            made->boot = r->version.generation;
            made->seq = r->version.hlc;
        } else {
            e = gs_refuse(why, GS_E_LIMIT, "there are %d services already", SERVICES_MAX);
        }
    }
    gs_arena_fini(&arena);
    return e;
}

static gs_err
leave_out(struct catalog *c, const struct model_record *r, gs_err e, const struct gs_why *reason,
          struct gs_why *why)
{
    const struct catalog_owner *o = owners_find(c, &r->version.writer);
    struct gs_slice key = r->key.len <= KEY_SHOWN ? r->key : gs_slice_head(r->key, KEY_SHOWN);
    char id[GS_ID_TEXT];

    c->unusable++;
    return gs_refuse(why, e, "%.*s of node %.*s is left out: %s", GS_SLICE_FMT(key),
                     o ? (int)o->name.len : GS_ID_TEXT - 1,
                     o ? o->name.ptr : gs_id_text(&r->version.writer, id), reason->text);
}

gs_err
offers_on_record(struct catalog *c, const struct model_record *r, struct gs_why *why)
{
    struct catalog_owner *o = owners_find(c, &r->version.writer);
    struct catalog_offer *former = NULL;
    struct catalog_service *s;
    struct endpoints_key k;
    struct gs_why reason;
    gs_err e = endpoints_key_parse(r->key, &k, &reason);

    if (e != GS_E_OK)
        return r->deleted ? GS_E_OK : leave_out(c, r, e, &reason, why);
    if (!r->deleted) {
        e = use_record(c, r, &k, &reason);
        if (e == GS_E_OK)
            return GS_E_OK;
        (void)leave_out(c, r, e, &reason, why);
    }
    s = catalog_find(c, k.ns, k.name, k.port);
    if (s && o)
        former = offers_find(s, o);
    if (former)
        offers_remove(c, former);
    return e;
}

/* ---- protocol ---- */

static bool
says(const struct catalog_offer *o, struct gs_slice protocol)
{
    return gs_slice_eq(o->protocol, protocol);
}

static size_t
supporters(const struct catalog_service *s, struct gs_slice protocol)
{
    size_t n = 0;

    for (size_t i = 0; i < s->offer_count; i++)
        n += !s->offers[i]->owner->withdrawn && says(s->offers[i], protocol);
    return n;
}

struct gs_slice
offers_protocol(const struct catalog_service *s, const struct catalog_offer **other)
{
    struct gs_slice best = s->offers[0]->protocol;
    size_t most = 0;

    for (size_t i = 0; i < s->offer_count; i++) {
        struct gs_slice p = s->offers[i]->protocol;
        size_t n;

        if (most > 0 && gs_slice_eq(p, best))
            continue;
        n = supporters(s, p);
        if (n > most || (n == most && gs_slice_cmp(p, best) < 0)) {
            most = n;
            best = p;
        }
    }
    for (size_t i = 0; other && i < s->offer_count; i++) {
        if (!s->offers[i]->owner->withdrawn && !says(s->offers[i], best))
            *other = s->offers[i];
    }
    return best;
}

/* ---- tiers ---- */

struct target {
    enum endpoint_tier tier;
    bool shown;
    bool hearsay; /* gossip's word, not the owner's own */
};

static struct target
target_of(const struct catalog_offer *offer, const struct catalog_instance *i)
{
    const struct catalog_owner *o = offer->owner;

    if (o->self)
        return (struct target){ i->leaving ? TIER_DRAINING : i->said, true, false };
    if (o->state == MODEL_NODE_GONE)
        return (struct target){ TIER_LOST, false, false };
    if (o->withdrawn)
        return (struct target){ TIER_LOST, false, true };
    if (o->mesh.family == 0) /* nobody can say where it is */
        return (struct target){ TIER_PENDING, true, false };
    if (o->state != MODEL_NODE_UP)
        return (struct target){ TIER_LOST, true, true };
    return (struct target){ i->said, true, i->said == TIER_UNHEALTHY };
}

/* The later, the worse. */
static int
rank(enum endpoint_tier tier, bool shown)
{
    return shown ? (int)tier : (int)TIER_PENDING + 1;
}

/* Until when traffic of this node speaks against a worse tier; 0: it does not. */
static uint64_t
trusted_until(const struct catalog_instance *i, const struct target *t, const struct slots *slots,
              uint64_t now_ms)
{
    uint64_t succeeded;

    if (!t->hearsay || i->slot == CATALOG_NO_SLOT ||
        rank(t->tier, t->shown) <= rank(i->tier, i->shown))
        return 0;
    succeeded = atomic_load_explicit(&slots_at(slots, i->slot)->succeeded_ms, memory_order_relaxed);
    if (succeeded == 0 || now_ms >= succeeded + TRUSTED_MS)
        return 0;
    return succeeded + TRUSTED_MS;
}

static void
settle(struct catalog *c, const struct catalog_offer *offer, struct catalog_instance *i,
       const struct slots *slots, uint64_t now_ms)
{
    struct target t = target_of(offer, i);
    uint64_t until = trusted_until(i, &t, slots, now_ms);
    struct catalog_service *s = offer->service;

    if (until > 0) {
        c->held += !i->held;
        i->held = true;
        s->retry_ms = until < s->retry_ms ? until : s->retry_ms;
        return;
    }
    i->held = false;
    if (t.tier == TIER_HEALTHY && (i->tier != TIER_HEALTHY || i->vouched) &&
        i->slot != CATALOG_NO_SLOT)
        slots_let_try(slots, i->slot, now_ms); /* what we held against it was of before */
    i->vouched = false;
    i->tier = t.tier;
    i->shown = t.shown;
}

/* Room for SERVICE_ENDPOINTS_MAX: those of dead nodes are the last to get any. */
static void
make_room(struct catalog_service *s)
{
    size_t room = SERVICE_ENDPOINTS_MAX;

    for (int lost = 0; lost <= 1; lost++) {
        for (size_t k = 0; k < s->offer_count; k++) {
            struct catalog_offer *o = s->offers[k];

            for (size_t i = 0; i < o->count; i++) {
                if (!o->instances[i].shown || (o->instances[i].tier == TIER_LOST) != lost)
                    continue;
                o->instances[i].shown = room > 0;
                room -= room > 0;
            }
        }
    }
    GS_ASSERT(room == 0);
}

static void
tell_room(const struct catalog_service *s, size_t left_out)
{
    if (left_out > 0 && s->left_out == 0)
        LOG_WARN("endpoint.left_out", "service=%.*s.%.*s:%u count=%zu why=\"at most %d are used\"",
                 GS_SLICE_FMT(s->name), GS_SLICE_FMT(s->ns), s->port, left_out,
                 SERVICE_ENDPOINTS_MAX);
}

void
offers_settle(struct catalog *c, struct catalog_service *s, const struct slots *slots,
              uint64_t now_ms)
{
    size_t left_out;

    s->retry_ms = UINT64_MAX;
    s->shown = 0;
    for (size_t k = 0; k < s->offer_count; k++) {
        struct catalog_offer *o = s->offers[k];

        for (size_t i = 0; i < o->count; i++) {
            settle(c, o, &o->instances[i], slots, now_ms);
            s->shown += o->instances[i].shown;
        }
    }
    left_out = s->shown > SERVICE_ENDPOINTS_MAX ? s->shown - SERVICE_ENDPOINTS_MAX : 0;
    if (left_out > 0)
        make_room(s);
    tell_room(s, left_out);
    s->left_out = left_out;
    s->shown -= left_out;
    if (s->retry_ms < c->retry_ms)
        c->retry_ms = s->retry_ms;
}
