/* objects.c - policy objects by key: which version is the newest, which one is active, and why
 * these differ. Start reading at objects_settle().
 *
 *     record ──▶ latest ──┬─ its transaction is not whole yet ──────────────▶ pending
 *                         ├─ cannot be used here ──────────────────────────▶ rejected
 *                         ├─ names a subset that no DestinationRule defines ▶ pending
 *                         └─ else ─────────────────────────────────────────▶ active
 *
 * While an object is pending or rejected, its former version stays active. An object that became
 * active stays so even if a subset it names goes (by force, or by a concurrent write): that subset
 * is empty then. DestinationRules settle first, so what arrived together becomes active together,
 * whatever the order of arrival. */
#include "mesh/model/catalog.h"

#include <stdio.h>
#include <stdlib.h>

#include <gossamer/alloc.h>
#include <gossamer/limits.h>
#include <gossamer/log.h>

#include "mesh/model/codec.h"
#include "mesh/model/host.h"

#define DELETED_KEPT_MAX 1024 /* so that a list of members that comes late is understood */

void
objects_init(struct objects *s)
{
    *s = (struct objects){ 0 };
}

/* ---- versions ---- */

static void
version_unref(struct object_version *v)
{
    if (!v)
        return;
    GS_ASSERT(v->refs > 0);
    if (--v->refs > 0)
        return;
    gs_arena_fini(&v->arena);
    gs_free(v);
}

static struct object_version *
version_ref(struct object_version *v)
{
    GS_ASSERT(v->refs > 0);
    v->refs++;
    GS_ASSERT(v->refs <= 2); /* latest and active */
    return v;
}

struct gs_slice *
object_hosts(const struct policy_object *o, struct gs_arena *arena, size_t *count)
{
    char text[HOST_TEXT];
    struct gs_slice *out;
    size_t n = 0, room = 1;

    if (o->kind != POLICY_VIRTUAL_SERVICE && o->kind != POLICY_DESTINATION_RULE) {
        *count = 0;
        return NULL;
    }
    if (o->kind == POLICY_DESTINATION_RULE) {
        out = gs_arena_alloc(arena, sizeof(*out));
        out[n++] = gs_arena_copy(arena, host_canonical(o->dr.host.text, o->ns, text));
        *count = n;
        return out;
    }
    room += o->vs.host_count;
    for (size_t i = 0; i < o->vs.rule_count; i++)
        room += o->vs.rules[i].destination_count;
    out = gs_arena_alloc(arena, room * sizeof(*out));
    for (size_t i = 0; i < o->vs.host_count; i++)
        out[n++] = gs_arena_copy(arena, host_canonical(o->vs.hosts[i].text, o->ns, text));
    for (size_t i = 0; i < o->vs.rule_count; i++) {
        const struct vs_rule *r = &o->vs.rules[i];

        for (size_t k = 0; k < r->destination_count; k++)
            out[n++] =
                gs_arena_copy(arena, host_canonical(r->destinations[k].host.text, o->ns, text));
    }
    GS_ASSERT(n < room);
    *count = n;
    return out;
}

/* Decode and validate, as everybody else's word. */
static void
version_decode(struct object_version *v, struct gs_slice key)
{
    struct gs_problems problems;
    struct gs_why why;
    gs_err e;

    GS_ASSERT(!v->object);
    if (v->deleted)
        return;
    e = policy_decode(key, v->value, &v->arena, &v->object, &why);
    if (e != GS_E_OK) {
        v->rejected = gs_arena_strdup(&v->arena, gs_slice_str(why.text));
        return;
    }
    gs_problems_init(&problems);
    if (policy_validate(v->object, &problems) != GS_E_OK) {
        GS_ASSERT(problems.count > 0);
        v->rejected = gs_arena_printf(&v->arena, "%s: %s",
                                      problems.items[0].field ? problems.items[0].field : "spec",
                                      problems.items[0].message);
        v->object = NULL;
    } else {
        v->hosts = object_hosts(v->object, &v->arena, &v->host_count);
    }
    gs_problems_fini(&problems);
}

static struct object_version *
version_new(const struct model_record *r)
{
    struct object_version *v = gs_zalloc(sizeof(*v));

    gs_arena_init(&v->arena, NULL, 0, 1024);
    v->refs = 1;
    v->value = gs_arena_copy(&v->arena, r->value);
    v->version = r->version;
    v->born_hlc = r->born_hlc;
    v->transaction = r->transaction;
    v->transaction_count = r->transaction_count;
    v->hash = r->hash;
    v->deleted = r->deleted;
    version_decode(v, r->key);
    GS_ASSERT((v->object != NULL) == (!v->deleted && !v->rejected));
    return v;
}

/* ---- objects ---- */

static void
object_free(struct object *o)
{
    version_unref(o->latest);
    version_unref(o->active);
    gs_free(o);
}

static size_t
place(const struct objects *s, struct gs_slice key)
{
    size_t low = 0, high = s->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (gs_slice_cmp(s->items[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct object *
objects_find(const struct objects *s, struct gs_slice key)
{
    size_t at = place(s, key);

    return at < s->count && gs_slice_eq(s->items[at]->key, key) ? s->items[at] : NULL;
}

static gs_err
object_get(struct objects *s, struct gs_slice key, struct object **out, struct gs_why *why)
{
    size_t at = place(s, key);
    struct object *o;
    gs_err e;

    if (at < s->count && gs_slice_eq(s->items[at]->key, key)) {
        *out = s->items[at];
        return GS_E_OK;
    }
    o = gs_zalloc(sizeof(*o) + key.len + 1);
    memcpy(o->key_bytes, key.ptr, key.len);
    o->key = gs_slice(o->key_bytes, key.len);
    e = policy_key_parse(o->key, &o->kind, &o->ns, &o->name);
    if (e != GS_E_OK) {
        gs_free(o);
        return gs_refuse(why, e, "\"%.*s\" is no key of a policy object", GS_SLICE_FMT(key));
    }
    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 16;
        s->items = gs_realloc(s->items, s->cap * sizeof(struct object *));
    }
    GS_ASSERT(at <= s->count);
    memmove(&s->items[at + 1], &s->items[at], (s->count - at) * sizeof(struct object *));
    s->items[at] = *out = o;
    s->count++;
    GS_DEBUG_ASSERT(at == 0 || gs_slice_cmp(s->items[at - 1]->key, o->key) < 0);
    return GS_E_OK;
}

bool
object_exists(const struct object *o)
{
    return (o->latest && !o->latest->deleted) || o->active;
}

void
object_view(const struct object *o, struct model_object *out)
{
    const struct object_version *shown = o->latest && !o->latest->deleted ? o->latest : o->active;

    GS_ASSERT(shown);
    GS_ASSERT(!shown->deleted);
    *out = (struct model_object){
        .kind = o->kind,
        .ns = o->ns,
        .name = o->name,
        .state = o->state,
        .version = o->latest ? o->latest->version : shown->version,
        .born_hlc = shown->born_hlc,
        .object = shown->object,
        .why = o->state == MODEL_ACTIVE ? NULL : o->why,
    };
    if (o->active) {
        out->active_version = o->active->version;
        out->active = o->active->object;
    }
}

gs_err
objects_on_record(struct objects *s, const struct model_record *r, struct gs_why *why)
{
    struct object *o;
    gs_err e = object_get(s, r->key, &o, why);

    if (e != GS_E_OK)
        return e;
    if ((uint16_t)o->kind != r->kind)
        return gs_refuse(why, GS_E_MALFORMED, "%.*s is of another kind than its key says",
                         GS_SLICE_FMT(r->key));
    if (o->latest && gs_version_cmp(&o->latest->version, &r->version) == 0 &&
        gs_digest_eq(&o->latest->hash, &r->hash))
        return GS_E_OK;
    version_unref(o->latest);
    if (o->active && gs_digest_eq(&o->active->hash, &r->hash)) {
        o->latest = version_ref(o->active); /* restored before it was heard of */
        o->latest->transaction = r->transaction;
        o->latest->transaction_count = r->transaction_count;
    } else {
        o->latest = version_new(r);
    }
    s->changed = true;
    if (o->latest->rejected)
        return gs_refuse(why, GS_E_MALFORMED, "%.*s: %.180s", GS_SLICE_FMT(r->key),
                         o->latest->rejected);
    return GS_E_OK;
}

void
objects_fini(struct objects *s)
{
    for (size_t i = 0; i < s->count; i++)
        object_free(s->items[i]);
    for (size_t i = 0; i < s->transaction_count; i++)
        gs_arena_fini(&s->transactions[i].arena);
    gs_free(s->items);
    gs_free(s->transactions);
    gs_free(s->virtual_services.items);
    gs_free(s->destination_rules.items);
    maint_fini(&s->maintenances);
    *s = (struct objects){ 0 };
}

/* ---- transactions ---- */

static struct transaction *
find_transaction(const struct objects *s, uint64_t id)
{
    for (size_t i = 0; i < s->transaction_count; i++) {
        if (s->transactions[i].id == id)
            return &s->transactions[i];
    }
    return NULL;
}

static void
forget_transaction(struct objects *s, size_t at)
{
    GS_ASSERT(at < s->transaction_count);
    gs_arena_fini(&s->transactions[at].arena);
    s->transactions[at] = s->transactions[--s->transaction_count];
}

void
objects_on_transaction(struct objects *s, uint64_t id, const struct model_member *members,
                       size_t count)
{
    struct transaction *t;

    GS_ASSERT(members || count == 0);
    if (id == 0 || find_transaction(s, id))
        return;
    if (s->transaction_count >= TRANSACTIONS_MAX)
        forget_transaction(s, 0); /* its members then wait for each other by count alone */
    if (s->transaction_count == s->transaction_cap) {
        s->transaction_cap = s->transaction_cap ? s->transaction_cap * 2 : 8;
        s->transactions = gs_realloc(s->transactions, s->transaction_cap * sizeof(*t));
    }
    t = &s->transactions[s->transaction_count++];
    *t = (struct transaction){ .id = id, .count = count };
    gs_arena_init(&t->arena, NULL, 0, 512);
    t->members = gs_arena_alloc(&t->arena, (count + 1) * sizeof(*t->members));
    for (size_t i = 0; i < count; i++) {
        t->members[i].key = gs_arena_copy(&t->arena, members[i].key);
        t->members[i].version = members[i].version;
    }
    s->changed = true;
}

/* Members that are here, or were superseded here. */
static size_t
count_here(const struct objects *s, const struct transaction *t)
{
    size_t here = 0;

    for (size_t i = 0; i < t->count; i++) {
        const struct object *o = objects_find(s, t->members[i].key);

        here += o && o->latest && gs_version_cmp(&o->latest->version, &t->members[i].version) >= 0;
    }
    return here;
}

static size_t
count_marked(const struct objects *s, uint64_t id)
{
    size_t here = 0;

    for (size_t i = 0; i < s->count; i++)
        here += s->items[i]->latest && s->items[i]->latest->transaction == id;
    return here;
}

/* Is the transaction of that version whole? If not, how much of it is here? */
static bool
is_whole(const struct objects *s, const struct object_version *v, size_t *here)
{
    const struct transaction *t;

    if (v->transaction == 0)
        return true;
    t = find_transaction(s, v->transaction);
    *here = t ? count_here(s, t) : count_marked(s, v->transaction);
    return *here >= (t ? t->count : v->transaction_count);
}

/* Lists that no present version belongs to. */
static void
forget_transactions(struct objects *s)
{
    for (size_t i = s->transaction_count; i-- > 0;) {
        if (count_marked(s, s->transactions[i].id) == 0)
            forget_transaction(s, i);
    }
}

/* ---- by host ---- */

int
object_precedence(const struct object *a, const struct object *b)
{
    uint64_t x = a->active->born_hlc, y = b->active->born_hlc;
    int order;

    GS_ASSERT(a->kind == b->kind);
    if (x != y)
        return x < y ? -1 : 1;
    order = gs_slice_cmp(a->name, b->name);
    return order != 0 ? order : gs_slice_cmp(a->ns, b->ns);
}

static int
compare_hosts(const void *a, const void *b)
{
    const struct object_host *x = a, *y = b;
    int order = gs_slice_cmp(x->host, y->host);

    return order != 0 ? order : object_precedence(x->o, y->o);
}

static void
index_add(struct object_index *i, struct gs_slice host, const struct object *o)
{
    GS_ASSERT(o->active && o->active->object);
    GS_ASSERT(host.len > 0);
    if (i->count == i->cap) {
        i->cap = i->cap ? i->cap * 2 : 16;
        i->items = gs_realloc(i->items, i->cap * sizeof(*i->items));
    }
    i->items[i->count++] = (struct object_host){ host, o };
}

static void
index_all(struct objects *s)
{
    s->virtual_services.count = s->destination_rules.count = 0;
    maint_clear(&s->maintenances);
    for (size_t i = 0; i < s->count; i++) {
        const struct object *o = s->items[i];

        if (!o->active)
            continue;
        if (o->kind == POLICY_DESTINATION_RULE)
            index_add(&s->destination_rules, o->active->hosts[0], o);
        if (o->kind == POLICY_MAINTENANCE)
            maint_add(&s->maintenances, o->active->object, &o->active->version);
        for (size_t h = 0;
             o->kind == POLICY_VIRTUAL_SERVICE && h < o->active->object->vs.host_count; h++)
            index_add(&s->virtual_services, o->active->hosts[h], o);
    }
    if (s->virtual_services.count > 0)
        qsort(s->virtual_services.items, s->virtual_services.count, sizeof(struct object_host),
              compare_hosts);
    if (s->destination_rules.count > 0)
        qsort(s->destination_rules.items, s->destination_rules.count, sizeof(struct object_host),
              compare_hosts);
    maint_sort(&s->maintenances);
}

struct object_run
objects_of_host(const struct object_index *i, struct gs_slice host)
{
    size_t low = 0, high = i->count, end;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (gs_slice_cmp(i->items[middle].host, host) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    end = low;
    while (end < i->count && gs_slice_eq(i->items[end].host, host))
        end++;
    GS_ASSERT(low <= end && end <= i->count);
    return (struct object_run){ end > low ? &i->items[low] : NULL, end - low };
}

bool
objects_define(const struct objects *s, struct gs_slice host, struct gs_slice subset)
{
    struct object_run run = objects_of_host(&s->destination_rules, host);

    for (size_t i = 0; i < run.count; i++) {
        const struct destination_rule *dr = &run.items[i].o->active->object->dr;

        for (size_t k = 0; k < dr->subset_count; k++) {
            if (gs_slice_eq(dr->subsets[k].name.text, subset))
                return true;
        }
    }
    return false;
}

/* ---- deciding ---- */

static void
wait_for(struct object *o, const char *why)
{
    if (o->state != MODEL_PENDING || strcmp(o->why, why) != 0)
        LOG_INFO("policy.pending", "object=%.*s why=\"%s\"", GS_SLICE_FMT(o->key), why);
    o->state = MODEL_PENDING;
    (void)snprintf(o->why, sizeof(o->why), "%s", why);
}

static void
reject(struct object *o)
{
    char version[GS_VERSION_TEXT];

    GS_ASSERT(o->latest->rejected);
    if (o->state != MODEL_REJECTED)
        LOG_WARN("policy.rejected", "object=%.*s version=%s why=\"%s\"", GS_SLICE_FMT(o->key),
                 gs_version_text(&o->latest->version, version), o->latest->rejected);
    o->state = MODEL_REJECTED;
    (void)snprintf(o->why, sizeof(o->why), "%s", o->latest->rejected);
}

/* The newest version takes effect; a deletion takes effect by leaving nothing. */
static void
activate(struct object *o)
{
    char version[GS_VERSION_TEXT];

    GS_ASSERT(o->latest && !o->latest->rejected);
    GS_ASSERT(o->active != o->latest);
    version_unref(o->active);
    o->active = o->latest->deleted ? NULL : version_ref(o->latest);
    o->state = MODEL_ACTIVE;
    o->why[0] = '\0';
    if (policy_kind_routes(o->kind)) /* what has no effect does not come into it */
        LOG_INFO("policy.active", "object=%.*s version=%s%s", GS_SLICE_FMT(o->key),
                 gs_version_text(&o->latest->version, version), o->active ? "" : " deleted=1");
}

static bool
is_settled(const struct object *o)
{
    if (!o->latest)
        return true; /* restored, and not heard of since */
    return o->latest->deleted ? !o->active : o->active == o->latest;
}

/* A subset that the newest version names and nobody defines. */
static const struct vs_destination *
undefined_subset(const struct objects *s, const struct object_version *v)
{
    const struct virtual_service *vs = &v->object->vs;
    size_t at = vs->host_count;

    GS_ASSERT(v->object->kind == POLICY_VIRTUAL_SERVICE);
    for (size_t i = 0; i < vs->rule_count; i++) {
        for (size_t k = 0; k < vs->rules[i].destination_count; k++, at++) {
            const struct vs_destination *d = &vs->rules[i].destinations[k];

            if (d->subset.text.len > 0 && !objects_define(s, v->hosts[at], d->subset.text))
                return d;
        }
    }
    GS_ASSERT(at == v->host_count);
    return NULL;
}

/* May it, as far as itself and its transaction are concerned? */
static bool
is_ready(const struct objects *s, struct object *o)
{
    char why[128];
    size_t here = 0;

    if (!is_whole(s, o->latest, &here)) {
        (void)snprintf(why, sizeof(why), "waits for the rest of its transaction (%zu of %u here)",
                       here, o->latest->transaction_count);
        wait_for(o, why);
        return false;
    }
    if (o->latest->rejected) {
        reject(o);
        return false;
    }
    return true;
}

static uint32_t
settle_kind(struct objects *s, enum policy_kind kind)
{
    uint32_t changed = 0;

    for (size_t i = 0; i < s->count; i++) {
        struct object *o = s->items[i];
        const struct vs_destination *missing = NULL;
        char why[192];

        if (o->kind != kind || is_settled(o)) {
            if (o->kind == kind && o->latest && o->active == o->latest)
                o->state = MODEL_ACTIVE;
            continue;
        }
        if (!is_ready(s, o))
            continue;
        if (kind == POLICY_VIRTUAL_SERVICE && !o->latest->deleted)
            missing = undefined_subset(s, o->latest);
        if (missing) {
            (void)snprintf(why, sizeof(why),
                           "subset \"%.*s\" of %.*s is defined by no DestinationRule",
                           GS_SLICE_FMT(missing->subset.text), GS_SLICE_FMT(missing->host.text));
            wait_for(o, why);
            continue;
        }
        activate(o);
        changed++;
    }
    return changed;
}

/* Entries of deleted objects are of use only to lists of members that come late. */
static void
prune_deleted(struct objects *s)
{
    size_t deleted = 0, kept = 0;

    for (size_t i = 0; i < s->count; i++)
        deleted += !object_exists(s->items[i]);
    if (deleted <= DELETED_KEPT_MAX)
        return;
    for (size_t i = 0; i < s->count; i++) {
        if (object_exists(s->items[i]) || !is_settled(s->items[i]))
            s->items[kept++] = s->items[i];
        else
            object_free(s->items[i]);
    }
    GS_ASSERT(kept <= s->count);
    s->count = kept;
}

uint32_t
objects_settle(struct objects *s)
{
    uint32_t changed;

    if (!s->changed)
        return 0;
    s->changed = false;
    changed = settle_kind(s, POLICY_DESTINATION_RULE);
    if (changed > 0)
        index_all(s);
    changed += settle_kind(s, POLICY_VIRTUAL_SERVICE);
    changed += settle_kind(s, POLICY_MAINTENANCE);
    if (changed > 0) {
        index_all(s);
        s->activity = true;
    }
    changed += settle_kind(s, POLICY_NOTE); /* no request is routed by it: nothing to build */
    forget_transactions(s);
    prune_deleted(s);
    return changed;
}

/* ---- persistence ---- */

gs_err
objects_restore(struct objects *s, struct gs_slice bytes, struct gs_why *why)
{
    struct codec_active a;
    struct model_record r;
    struct object_version *v;
    struct object *o;
    gs_err e = codec_read_active(bytes, &a);

    if (e != GS_E_OK)
        return gs_refuse(why, e, "what was active (%zu bytes) cannot be read", bytes.len);
    r = (struct model_record){
        .key = a.key, .value = a.value, .version = a.version, .born_hlc = a.born_hlc, .hash = a.hash
    };
    v = version_new(&r);
    e = v->rejected
            ? gs_refuse(why, GS_E_MALFORMED, "%.*s: %.180s", GS_SLICE_FMT(a.key), v->rejected)
            : object_get(s, a.key, &o, why);
    if (e != GS_E_OK) {
        version_unref(v);
        return e;
    }
    GS_ASSERT(v->object);
    version_unref(o->active);
    o->active = v;
    wait_for(o, "its newest version was not read yet");
    index_all(s);
    s->activity = s->changed = true; /* for a Note in vain, and once */
    return GS_E_OK;
}

/* All that is active and that the rules alone would not make so after a restart. */
static bool
needs_frame(const struct objects *s, const struct object *o)
{
    if (!o->active)
        return false;
    if (o->latest != o->active)
        return true;
    return o->kind == POLICY_VIRTUAL_SERVICE && undefined_subset(s, o->active) != NULL;
}

bool
objects_next_frame(const struct objects *s, size_t *at, struct gs_buf *out)
{
    while (*at < s->count) {
        const struct object *o = s->items[(*at)++];
        struct codec_active a;

        if (!needs_frame(s, o))
            continue;
        a = (struct codec_active){ .key = o->key,
                                   .value = o->active->value,
                                   .version = o->active->version,
                                   .born_hlc = o->active->born_hlc,
                                   .hash = o->active->hash };
        gs_buf_clear(out);
        if (codec_put_active(&a, out) == GS_E_OK)
            return true;
    }
    return false;
}
