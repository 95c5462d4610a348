/* own.c - what this node has, and what others are told of it: own_next() hands out each record that
 * differs from what it handed out last. What comes back from the store matters once: a record of a
 * former run whose service is gone has to be withdrawn. */
#include "mesh/model/catalog.h"

#include <gossamer/alloc.h>
#include <gossamer/limits.h>

#include "mesh/model/codec.h"

static void
touch(struct own *w)
{
    w->stale = true;
    w->at = 0;
}

void
own_fini(struct own *w)
{
    for (size_t i = 0; i < w->count; i++)
        gs_free((void *)(uintptr_t)w->items[i].key.ptr);
    gs_free(w->items);
    gs_buf_fini(&w->key);
    gs_buf_fini(&w->value);
}

void
own_set_published(struct own *w, bool published)
{
    if (published && !w->published)
        touch(w);
    w->published = published;
}

void
own_set_draining(struct own *w)
{
    w->draining = w->published = true;
    touch(w);
}

/* ---- records by key ---- */

static size_t
place(const struct own *w, struct gs_slice key)
{
    size_t low = 0, high = w->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (gs_slice_cmp(w->items[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Found or made. */
static struct own_record *
get(struct own *w, struct gs_slice key)
{
    size_t at = place(w, key);
    char *copy;

    if (at < w->count && gs_slice_eq(w->items[at].key, key))
        return &w->items[at];
    if (w->count == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 8;
        w->items = gs_realloc(w->items, w->cap * sizeof(*w->items));
    }
    memmove(&w->items[at + 1], &w->items[at], (w->count - at) * sizeof(*w->items));
    w->count++;
    copy = gs_alloc(key.len + 1);
    memcpy(copy, key.ptr, key.len);
    copy[key.len] = '\0';
    w->items[at] = (struct own_record){ .key = gs_slice(copy, key.len) };
    return &w->items[at];
}

static void
forget(struct own *w, size_t at)
{
    GS_ASSERT(at < w->count);
    GS_ASSERT(!w->items[at].there);
    gs_free((void *)(uintptr_t)w->items[at].key.ptr);
    memmove(&w->items[at], &w->items[at + 1], (w->count - at - 1) * sizeof(*w->items));
    w->count--;
}

/* ---- what this node has ---- */

static bool
has_address(const struct endpoints *e, const struct gs_addr *addr)
{
    for (size_t i = 0; i < e->count; i++) {
        if (gs_addr_eq(&e->instances[i].addr, addr))
            return true;
    }
    return false;
}

/* As a record would have it; an address that is there twice counts once. */
static void
fill(const struct model_service *s, struct gs_arena *arena, struct endpoints *e)
{
    e->protocol = s->protocol;
    e->instances = gs_arena_zalloc(arena, (s->instance_count + 1) * sizeof(*e->instances));
    for (size_t i = 0; i < s->instance_count; i++) {
        const struct model_instance *from = &s->instances[i];
        struct endpoints_instance *to = &e->instances[e->count];

        if (has_address(e, &from->addr))
            continue;
        to->addr = from->addr;
        to->tier = TIER_DRAINING; /* which takes most room */
        to->labels = gs_arena_zalloc(arena, (from->label_count + 1) * sizeof(*to->labels));
        to->label_count = from->label_count;
        if (from->label_count > 0)
            memcpy(to->labels, from->labels, from->label_count * sizeof(*to->labels));
        e->count++;
    }
    endpoints_sort(e);
}

/* Would others take it? What is refused here needs no checks later. */
static gs_err
check(const struct endpoints_key *k, const struct endpoints *e, struct gs_buf *scratch,
      struct gs_why *why)
{
    gs_err failed = endpoints_key_check(k, why);

    if (failed == GS_E_OK)
        failed = endpoints_check(e, why);
    gs_buf_clear(scratch);
    if (failed == GS_E_OK && codec_put_endpoints(e, scratch) != GS_E_OK)
        failed = gs_refuse(why, GS_E_LIMIT,
                           "service %.*s is too large to be published: at most %d bytes with all "
                           "labels",
                           GS_SLICE_FMT(k->name), OBJECT_BYTES_MAX);
    return failed;
}

/* Its content in `arena`. */
static gs_err
prepare(struct catalog *c, const struct model_service *from, struct gs_arena *arena,
        struct endpoints *e, struct gs_why *why)
{
    struct endpoints_key k = { from->ns, from->name, from->port };

    if (from->instance_count > SERVICE_ENDPOINTS_MAX)
        return gs_refuse(why, GS_E_LIMIT, "service %.*s has %zu instances, at most %d are allowed",
                         GS_SLICE_FMT(from->name), from->instance_count, SERVICE_ENDPOINTS_MAX);
    fill(from, arena, e);
    return check(&k, e, &c->own.value, why);
}

gs_err
own_check(struct catalog *c, const struct model_service *from, struct gs_why *why)
{
    struct endpoints e = { .count = 0 };
    struct gs_arena arena;
    gs_err failed;

    gs_arena_init(&arena, NULL, 0, 4096);
    failed = prepare(c, from, &arena, &e, why);
    gs_arena_fini(&arena);
    return failed;
}

static bool
leaves(const struct model_service *from, const struct gs_addr *addr)
{
    for (size_t i = 0; i < from->instance_count; i++) {
        if (gs_addr_eq(&from->instances[i].addr, addr))
            return from->instances[i].leaving;
    }
    GS_UNREACHABLE("an instance of nowhere");
}

gs_err
own_put(struct catalog *c, const struct model_service *from, struct gs_why *why)
{
    struct endpoints_key k = { from->ns, from->name, from->port };
    struct endpoints e = { .count = 0 };
    struct catalog_service *s = NULL;
    char key[ENDPOINTS_KEY_TEXT];
    struct catalog_offer *made;
    struct gs_arena arena;
    gs_err failed;

    gs_arena_init(&arena, NULL, 0, 4096);
    failed = prepare(c, from, &arena, &e, why);
    if (failed == GS_E_OK && !(s = catalog_get(c, &k)))
        failed = gs_refuse(why, GS_E_LIMIT, "there are %d services already", SERVICES_MAX);
    if (failed == GS_E_OK) {
        for (size_t i = 0; i < e.count; i++)
            e.instances[i].tier = TIER_PENDING; /* until a check has passed */
        made = offers_put(c, c->self, s, &e, gs_buf_slice(&c->own.value));
        for (size_t i = 0; i < made->count; i++)
            made->instances[i].leaving = leaves(from, &made->instances[i].addr);
        (void)get(&c->own, gs_slice_str(endpoints_key_text(&k, key)));
        touch(&c->own);
    }
    gs_arena_fini(&arena);
    return failed;
}

static struct catalog_offer *
find(const struct catalog *c, const struct endpoints_key *k)
{
    const struct catalog_service *s = catalog_find(c, k->ns, k->name, k->port);

    return s ? offers_find(s, c->self) : NULL;
}

void
own_remove(struct catalog *c, const struct endpoints_key *k)
{
    struct catalog_offer *o = find(c, k);

    if (!o)
        return;
    offers_remove(c, o);
    touch(&c->own);
}

gs_err
own_set_health(struct catalog *c, const struct endpoints_key *k, const struct gs_addr *addr,
               enum endpoint_tier tier)
{
    struct catalog_offer *o = find(c, k);

    GS_ASSERT(tier == TIER_PENDING || tier <= TIER_DRAINING);
    for (size_t i = 0; o && i < o->count; i++) {
        struct catalog_instance *at = &o->instances[i];

        if (!gs_addr_eq(&at->addr, addr))
            continue;
        if (at->said == tier && at->checked)
            return GS_E_OK;
        at->said = tier;
        at->checked = true;
        at->passed = at->passed || tier == TIER_HEALTHY;
        catalog_mark(c, o->service);
        touch(&c->own);
        return GS_E_OK;
    }
    return GS_E_NOT_FOUND;
}

/* ---- what others are told ---- */

void
own_heard(struct catalog *c, const struct model_record *r)
{
    struct own_record *mine;

    if (r->deleted)
        return;
    mine = get(&c->own, r->key);
    if (mine->there)
        return;
    mine->there = mine->former = true;
    mine->known = false;
    touch(&c->own);
}

static void
say_instance(const struct catalog_instance *from, enum endpoint_tier tier, struct gs_arena *arena,
             struct endpoints_instance *to)
{
    to->addr = from->addr;
    to->tier = tier;
    to->labels = gs_arena_zalloc(arena, (from->label_count + 1) * sizeof(*to->labels));
    to->label_count = from->label_count;
    for (uint32_t l = 0; l < from->label_count; l++) {
        to->labels[l].name = from->labels[l].name;
        to->labels[l].value = from->labels[l].value;
    }
}

/* Is it said of, and as what? While draining, what a former run has said of instances that nobody
 * has checked since is replaced, too. */
static bool
tier_to_say(const struct own *w, const struct own_record *r, const struct catalog_instance *i,
            enum endpoint_tier *tier)
{
    bool published = i->passed && i->said != TIER_PENDING;

    *tier = w->draining || i->leaving ? TIER_DRAINING : i->said;
    return published || (w->draining && r->former && !i->checked);
}

/* The value into w->value. False if there is nothing to tell. */
static bool
say(struct own *w, const struct own_record *r, const struct catalog_offer *offer)
{
    struct endpoints e = { .protocol = offer->protocol };
    enum endpoint_tier tier;
    struct gs_arena arena;

    gs_arena_init(&arena, NULL, 0, 4096);
    e.instances = gs_arena_zalloc(&arena, (offer->count + 1) * sizeof(*e.instances));
    for (size_t i = 0; i < offer->count; i++) {
        if (tier_to_say(w, r, &offer->instances[i], &tier))
            say_instance(&offer->instances[i], tier, &arena, &e.instances[e.count++]);
    }
    gs_buf_clear(&w->value);
    if (e.count > 0)
        GS_ASSERT(codec_put_endpoints(&e, &w->value) == GS_E_OK); /* own_put() saw to that */
    gs_arena_fini(&arena);
    return e.count > 0;
}

/* A record of a former run stands until every instance has been checked: withdrawing it for the
 * moment that takes would be felt in the whole mesh. */
static bool
awaits_checks(const struct own *w, const struct own_record *r, const struct catalog_offer *offer)
{
    if (w->draining || !r->former)
        return false;
    for (size_t i = 0; i < offer->count; i++) {
        if (!offer->instances[i].checked)
            return true;
    }
    return false;
}

/* Is it news to others? */
static bool
note_content(struct own_record *r, struct gs_slice value)
{
    uint64_t content[2] = { gs_hash(value.ptr, value.len, 1), gs_hash(value.ptr, value.len, 2) };

    if (r->there && r->known && memcmp(r->content, content, sizeof(content)) == 0)
        return false;
    memcpy(r->content, content, sizeof(content));
    r->there = r->known = true;
    return true;
}

static bool
hand_out(struct own *w, const struct own_record *r, struct model_own *out)
{
    gs_buf_clear(&w->key);
    GS_ASSERT(gs_buf_put_slice(&w->key, r->key) == GS_E_OK);
    if (!r->there)
        gs_buf_clear(&w->value);
    *out = (struct model_own){ .key = gs_buf_slice(&w->key),
                               .value = gs_buf_slice(&w->value),
                               .removed = !r->there };
    w->at++;
    return true;
}

bool
own_next(struct catalog *c, struct model_own *out)
{
    struct own *w = &c->own;

    if (!w->published || !w->stale)
        return false;
    while (w->at < w->count) {
        struct own_record *r = &w->items[w->at];
        const struct catalog_offer *offer = NULL;
        struct endpoints_key k;

        if (endpoints_key_parse(r->key, &k, NULL) == GS_E_OK)
            offer = find(c, &k);
        if (offer && awaits_checks(w, r, offer)) {
            w->at++;
            continue;
        }
        r->former = r->former && w->draining;
        if (offer && say(w, r, offer)) {
            if (note_content(r, gs_buf_slice(&w->value)))
                return hand_out(w, r, out);
        } else if (r->there) {
            r->there = r->known = false;
            return hand_out(w, r, out);
        } else if (!offer) {
            forget(w, w->at);
            continue;
        }
        w->at++;
    }
    w->stale = false;
    w->at = 0;
    return false;
}
