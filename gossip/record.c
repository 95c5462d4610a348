/* record.c - what becomes of one more version of a key. Start reading at record_merge().
 *
 *        higher than the present one     lower, an ancestor of one we have     lower, not so
 *     ──▶ it is present, the former one    ──▶ STALE (from our own disk: it      ──▶ CONFLICT,
 *         joins the ring          NEWS         joins the ring)                       in the ring
 *
 * A version names the hash of the one it replaced and, shorter, those before: so of two versions
 * anybody can tell whether one was made in sight of the other, without having those in between.
 * Beyond RECORD_LINEAGE_MAX edits that cannot be told, and counts as a conflict: a false alarm is
 * better than an edit lost without a word. */
#include "gossip/record.h"

#include <stdatomic.h>
#include <string.h>

#include <gossamer/alloc.h>
#include <gossamer/seal.h>

/* Room for the envelope around the longest value. */
#define RECORD_BYTES_MAX (RECORD_LIST_MAX + 1024)

/* ---- versions ---- */

static struct version *
version_alloc(struct gs_slice bytes)
{
    struct version *v = gs_alloc(sizeof(*v) + bytes.len);

    atomic_init(&v->refs, 1);
    memcpy(v->bytes, bytes.ptr, bytes.len);
    return v;
}

gs_err
version_read(struct gs_slice bytes, struct version **out)
{
    struct wire_record w;
    struct version *v;
    gs_err e;

    if (bytes.len == 0 || bytes.len > RECORD_BYTES_MAX)
        return GS_E_MALFORMED;
    v = version_alloc(bytes);
    e = wire_read_record(gs_slice(v->bytes, bytes.len), &w);
    /* Ancestors, but nothing that was replaced: nobody writes that, and edits could not go on. */
    if (e == GS_E_OK && w.lineage.len > 0 && gs_digest_is_zero(&w.r.replaced))
        e = GS_E_MALFORMED;
    if (e != GS_E_OK) {
        gs_free(v);
        return e;
    }
    v->r = w.r;
    v->r.bytes = gs_slice(v->bytes, bytes.len);
    v->r.hash = seal_digest(v->r.bytes);
    v->r.source = v;
    v->lineage = w.lineage;
    *out = v;
    return GS_E_OK;
}

gs_err
version_make(const struct wire_record *w, struct version **out)
{
    struct gs_buf bytes;
    gs_err e;

    gs_buf_init(&bytes, RECORD_BYTES_MAX);
    e = wire_put_record(&bytes, w);
    if (e == GS_E_OK)
        e = version_read(gs_buf_slice(&bytes), out);
    gs_buf_fini(&bytes);
    GS_ASSERT(e != GS_E_MALFORMED); /* we read what we write */
    return e;
}

void
version_ref(struct version *v)
{
    GS_ASSERT(atomic_load_explicit(&v->refs, memory_order_relaxed) > 0);
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
}

void
version_free(struct version *v)
{
    if (v && atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) == 1)
        gs_free(v);
}

void
gossip_record_keep(const struct gossip_record *r)
{
    GS_ASSERT(r->source);
    version_ref(r->source);
}

void
gossip_record_drop(const struct gossip_record *r)
{
    version_free(r->source);
}

size_t
version_bytes(const struct version *v)
{
    return sizeof(*v) + v->r.bytes.len;
}

size_t
version_lineage(const struct version *v, char out[WIRE_TAG_BYTES * RECORD_LINEAGE_MAX])
{
    size_t len = 0;
    size_t rest = v->lineage.len;

    if (gs_digest_is_zero(&v->r.replaced)) {
        GS_ASSERT(v->lineage.len == 0);
        return 0;
    }
    memcpy(out, v->r.replaced.bytes, WIRE_TAG_BYTES);
    len += WIRE_TAG_BYTES;
    if (rest > WIRE_TAG_BYTES * (RECORD_LINEAGE_MAX - 1))
        rest = WIRE_TAG_BYTES * (RECORD_LINEAGE_MAX - 1);
    if (rest > 0)
        memcpy(out + len, v->lineage.ptr, rest);
    return len + rest;
}

static size_t
add_tags(char *out, size_t len, const void *tags, size_t bytes)
{
    size_t room = WIRE_TAG_BYTES * RECORD_LINEAGE_MAX - len;

    bytes = bytes < room ? bytes : room;
    if (bytes > 0)
        memcpy(out + len, tags, bytes);
    return len + bytes;
}

/* For a writer who knows of what lost, too, and decides. An ordinary write may well not: were it to
 * name them, an edit would vanish without anybody having looked at it. */
size_t
record_lineage(const struct record *r, char out[WIRE_TAG_BYTES * RECORD_LINEAGE_MAX])
{
    char more[WIRE_TAG_BYTES * RECORD_LINEAGE_MAX];
    size_t len = 0;

    for (uint32_t i = 0; i < r->former_count; i++) {
        if (r->former[i].conflict)
            len = add_tags(out, len, r->former[i].v->r.hash.bytes, WIRE_TAG_BYTES);
    }
    len = add_tags(out, len, more, version_lineage(r->present, more));
    for (uint32_t i = 0; i < r->former_count; i++) {
        if (r->former[i].conflict)
            len = add_tags(out, len, more, version_lineage(r->former[i].v, more));
    }
    return len;
}

/* Was `young` made by somebody who had seen `old`, or what came of it? */
static bool
descends(const struct version *young, const struct version *old)
{
    if (gs_digest_eq(&young->r.replaced, &old->r.hash))
        return true;
    for (size_t at = 0; at < young->lineage.len; at += WIRE_TAG_BYTES) {
        if (memcmp(young->lineage.ptr + at, old->r.hash.bytes, WIRE_TAG_BYTES) == 0)
            return true;
    }
    return false;
}

/* One writer gives a version out once. Should a restored disk make it do so twice, the hash
 * decides, for everybody alike. */
static int
version_order(const struct version *a, const struct version *b)
{
    int order = gs_version_cmp(&a->r.version, &b->r.version);

    return order != 0 ? order : memcmp(a->r.hash.bytes, b->r.hash.bytes, sizeof(a->r.hash.bytes));
}

/* ---- one key ---- */

struct record *
record_new(struct version *present)
{
    struct record *r = gs_zalloc(sizeof(*r));

    GS_ASSERT(present);
    r->present = present;
    gs_list_init(&r->changed);
    gs_list_init(&r->fresh);
    rumor_init(&r->rumor);
    r->key_hash = record_key_hash(&present->r);
    return r;
}

uint64_t
record_key_hash(const struct gossip_record *r)
{
    char text[1 + GS_ID_BYTES + RECORD_KEY_MAX];
    struct gs_digest d;
    size_t len = 1;

    GS_ASSERT(r->key.len <= RECORD_KEY_MAX);
    text[0] = (char)r->class;
    if (r->class == GOSSIP_OWNER) {
        memcpy(text + len, r->version.writer.bytes, GS_ID_BYTES);
        len += GS_ID_BYTES;
    }
    memcpy(text + len, r->key.ptr, r->key.len);
    d = seal_digest(gs_slice(text, len + r->key.len));
    return wire_u64((const char *)d.bytes);
}

uint64_t
record_digest(const struct record *r)
{
    uint64_t sum = wire_u64((const char *)r->present->r.hash.bytes);

    for (unsigned i = 0; i < r->former_count; i++) { /* idle lists are not taken: see records.c */
        if (r->former[i].conflict && r->former[i].v->r.kind != GOSSIP_KIND_TRANSACTION)
            sum += wire_u64((const char *)r->former[i].v->r.hash.bytes + 8);
    }
    return sum;
}

void
record_free(struct record *r)
{
    if (!r)
        return;
    GS_ASSERT(!gs_list_linked(&r->changed));
    GS_ASSERT(!gs_list_linked(&r->fresh));
    GS_ASSERT(!gs_list_linked(&r->rumor.link));
    version_free(r->present);
    for (unsigned i = 0; i < r->former_count; i++)
        version_free(r->former[i].v);
    gs_free(r);
}

static bool
is_known(const struct record *r, const struct version *v)
{
    if (gs_digest_eq(&r->present->r.hash, &v->r.hash))
        return true;
    for (unsigned i = 0; i < r->former_count; i++) {
        if (gs_digest_eq(&r->former[i].v->r.hash, &v->r.hash))
            return true;
    }
    return false;
}

/* Former versions in the making: one place more than is kept, as who has to go is known only once
 * all are judged anew. */
struct formers {
    struct record_former at[RECORD_HISTORY_MAX + 1];
    unsigned count;
};

/* Did one that counts see v? Those are the present version and the conflicts above v, which every
 * node keeps; by what else is in the ring nodes would judge differently for ever. */
static bool
has_descendant(const struct version *present, const struct record_former *former, unsigned count,
               const struct version *v)
{
    if (descends(present, v))
        return true;
    for (unsigned i = 0; i < count && version_order(former[i].v, v) > 0; i++) {
        if (former[i].conflict && descends(former[i].v, v))
            return true;
    }
    return false;
}

/* Anew after each merge, the highest first: a conflict ends when a version turns up that had seen
 * it. */
static void
mark_conflicts(const struct version *present, struct formers *f)
{
    for (unsigned i = 0; i < f->count; i++)
        f->at[i].conflict = !has_descendant(present, f->at, f->count, f->at[i].v);
}

/* The lowest that is no conflict has to go, be it the one that just came; else the lowest. Nobody
 * is judged by either, so the others stay what they are. Returns its size. */
static size_t
evict_former(struct formers *f)
{
    unsigned victim = f->count - 1;
    size_t bytes;

    GS_ASSERT(f->count == RECORD_HISTORY_MAX + 1);
    for (unsigned i = f->count; i-- > 0;) {
        if (!f->at[i].conflict) {
            victim = i;
            break;
        }
    }
    bytes = version_bytes(f->at[victim].v);
    version_free(f->at[victim].v);
    f->count--;
    memmove(&f->at[victim], &f->at[victim + 1], (f->count - victim) * sizeof(f->at[0]));
    return bytes;
}

/* It would be the next to go: all that are kept are conflicts, and higher. Were it taken, it would
 * be news to everybody again each time it was heard. */
static bool
is_beyond_history(const struct record *r, const struct version *v)
{
    if (r->former_count < RECORD_HISTORY_MAX)
        return false;
    for (unsigned i = 0; i < r->former_count; i++) {
        if (!r->former[i].conflict)
            return false;
    }
    return version_order(v, r->former[r->former_count - 1].v) < 0;
}

/* v joins those that are kept. It may well be the one that has to go: not to be used any more. */
static void
add_former(struct record *r, struct version *v, struct record_merged *m)
{
    struct formers f = { .count = r->former_count + 1 };
    unsigned at = 0;

    while (at < r->former_count && version_order(r->former[at].v, v) > 0)
        at++;
    memcpy(f.at, r->former, at * sizeof(f.at[0]));
    f.at[at].v = v;
    memcpy(&f.at[at + 1], &r->former[at], (r->former_count - at) * sizeof(f.at[0]));
    mark_conflicts(r->present, &f);
    if (f.at[at].conflict)
        m->lost = v->r.version;
    if (f.count > RECORD_HISTORY_MAX)
        m->bytes_freed = evict_former(&f);
    memcpy(r->former, f.at, f.count * sizeof(f.at[0]));
    r->former_count = f.count;
}

static struct record_merged
drop(struct version *v)
{
    version_free(v);
    return (struct record_merged){ .outcome = GOSSIP_STALE };
}

/* What an owner says of itself has one writer: the later word stands, nothing is kept. */
static struct record_merged
merge_owned(struct record *r, struct version *v)
{
    struct record_merged m = { .outcome = GOSSIP_NEWS, .bytes_added = version_bytes(v) };

    if (version_order(v, r->present) <= 0)
        return drop(v);
    m.bytes_freed = version_bytes(r->present);
    version_free(r->present);
    r->present = v;
    return m;
}

struct record_merged
record_merge(struct record *r, struct version *v, enum record_origin origin)
{
    struct record_merged m = { .bytes_added = version_bytes(v) };
    struct version *former = v;

    GS_ASSERT(v->r.class == r->present->r.class);
    GS_DEBUG_ASSERT(gs_slice_eq(v->r.key, r->present->r.key));
    if (v->r.class == GOSSIP_OWNER)
        return merge_owned(r, v);
    if (is_known(r, v))
        return drop(v);
    if (version_order(v, r->present) > 0) {
        m.outcome = GOSSIP_NEWS;
        former = r->present;
        r->present = v;
    } else if (is_beyond_history(r, v)) {
        return drop(v);
    } else if (!has_descendant(r->present, r->former, r->former_count, v)) {
        m.outcome = GOSSIP_CONFLICT;
    } else if (origin == RECORD_FROM_DISK) {
        m.outcome = GOSSIP_STALE;
    } else {
        return drop(v);
    }
    add_former(r, former, &m);
    return m;
}

void
record_check(const struct record *r)
{
    GS_ASSERT(r->present);
    GS_ASSERT(r->present->r.version.generation > 0);
    GS_ASSERT(r->former_count <= RECORD_HISTORY_MAX);
    GS_ASSERT(r->former_count == 0 || r->present->r.class == GOSSIP_OPERATOR);
    for (unsigned i = 0; i < r->former_count; i++) {
        const struct version *above = i == 0 ? r->present : r->former[i - 1].v;
        const struct version *v = r->former[i].v;

        GS_ASSERT(version_order(above, v) > 0);
        GS_ASSERT(gs_slice_eq(v->r.key, r->present->r.key));
        GS_ASSERT(r->former[i].conflict ==
                  !has_descendant(r->present, r->former, r->former_count, v));
    }
}
