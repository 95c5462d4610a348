/* store.c - the table of records. A sorted array, not a hash: iteration is in the order that
 * digests need, files come out the same for the same content, and a look-up in RECORDS_MAX is
 * fourteen compares. */
#include "gossip/store.h"

#include <string.h>

#include <gossamer/alloc.h>

void
store_init(struct store *s)
{
    *s = (struct store){ .oldest_tombstone_ms = UINT64_MAX };
}

void
store_fini(struct store *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        record_free(s->items[i]);
    gs_free(s->items);
    *s = (struct store){ 0 };
}

struct store_key
store_key_of(const struct gossip_record *r)
{
    return (struct store_key){
        .class = r->class,
        .owner = r->class == GOSSIP_OWNER ? &r->version.writer : NULL,
        .key = r->key,
    };
}

static int
compare(const struct record *r, const struct store_key *k)
{
    const struct gossip_record *p = &r->present->r;

    if (p->class != k->class)
        return p->class < k->class ? -1 : 1;
    if (k->class == GOSSIP_OWNER) {
        int order = memcmp(p->version.writer.bytes, k->owner->bytes, GS_ID_BYTES);

        if (order != 0)
            return order;
    }
    return gs_slice_cmp(p->key, k->key);
}

/* Index of the first record that is not below k. */
static size_t
place(const struct store *s, const struct store_key *k)
{
    size_t low = 0, high = s->count;

    GS_ASSERT((k->class == GOSSIP_OWNER) == (k->owner != NULL));
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare(s->items[middle], k) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct record *
store_find(const struct store *s, const struct store_key *k)
{
    size_t at = place(s, k);

    return at < s->count && compare(s->items[at], k) == 0 ? s->items[at] : NULL;
}

bool
store_has_room(const struct store *s, size_t records, size_t bytes)
{
    return s->count + records <= RECORDS_MAX && s->bytes + bytes <= RECORDS_BYTES_MAX;
}

static void
insert(struct store *s, struct record *r)
{
    struct store_key k = store_key_of(&r->present->r);
    size_t at = place(s, &k);

    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 64;
        s->items = gs_realloc(s->items, s->cap * sizeof(struct record *));
    }
    memmove(&s->items[at + 1], &s->items[at], (s->count - at) * sizeof(struct record *));
    s->items[at] = r;
    s->count++;
}

/* The present version changed from `was` (a tombstone or not) to what it is. */
static void
note_tombstone(struct store *s, struct record *r, bool was, uint64_t now_ms)
{
    bool is = r->present->r.tombstone;

    GS_ASSERT(!was || s->tombstones > 0);
    s->tombstones += (size_t)is - (size_t)was;
    if (!is || r->present->r.class != GOSSIP_OPERATOR)
        return;
    r->dead_since_ms = now_ms;
    if (now_ms < s->oldest_tombstone_ms)
        s->oldest_tombstone_ms = now_ms;
}

struct record_merged
store_merge(struct store *s, struct version *v, enum record_origin origin, uint64_t now_ms,
            struct record **out)
{
    struct store_key k = store_key_of(&v->r);
    struct record *r = store_find(s, &k);
    struct record_merged m = { .outcome = GOSSIP_NEWS, .bytes_added = version_bytes(v) };
    bool was = r && r->present->r.tombstone;

    if (r) {
        m = record_merge(r, v, origin);
    } else {
        r = record_new(v);
        insert(s, r);
    }
    if (m.outcome == GOSSIP_NEWS)
        note_tombstone(s, r, was, now_ms);
    s->bytes += m.bytes_added;
    GS_ASSERT(s->bytes >= m.bytes_freed);
    s->bytes -= m.bytes_freed;
    *out = r;
    return m;
}

static size_t
record_bytes(const struct record *r)
{
    size_t bytes = version_bytes(r->present);

    for (unsigned i = 0; i < r->former_count; i++)
        bytes += version_bytes(r->former[i].v);
    return bytes;
}

static void
remove_at(struct store *s, size_t at)
{
    struct record *r = s->items[at];

    GS_ASSERT(at < s->count);
    s->bytes -= record_bytes(r);
    s->tombstones -= r->present->r.tombstone;
    memmove(&s->items[at], &s->items[at + 1], (s->count - at - 1) * sizeof(struct record *));
    s->count--;
    record_free(r);
}

void
store_remove(struct store *s, struct record *r)
{
    struct store_key k = store_key_of(&r->present->r);
    size_t at = place(s, &k);

    GS_ASSERT(at < s->count && s->items[at] == r);
    remove_at(s, at);
}

/* ---- tombstones ---- */

#define SWEEP_AGAIN_MS 1000 /* for one that nobody has been told of yet */

/* What an owner withdrew stays: its next boot or its leaving ends it, and a floor over the clocks
 * of operators says nothing about its sequence numbers. */
static bool
ages(const struct record *r)
{
    return r->present->r.tombstone && r->present->r.class == GOSSIP_OPERATOR;
}

static bool
droppable(const struct record *r)
{
    return ages(r) && !gs_list_linked(&r->changed);
}

static void
drop_tombstone(struct store *s, size_t at)
{
    uint64_t hlc = s->items[at]->present->r.version.hlc;

    if (hlc > s->floor_hlc)
        s->floor_hlc = hlc;
    remove_at(s, at);
}

static size_t
tombstones_max(const struct store *s)
{
    size_t live = s->count - s->tombstones;

    return live > TOMBSTONES_MIN ? live : TOMBSTONES_MIN;
}

bool
store_over_budget(const struct store *s)
{
    return s->tombstones > tombstones_max(s);
}

/* The index of the oldest that may go, SIZE_MAX when none may. */
static size_t
oldest(const struct store *s)
{
    size_t found = SIZE_MAX;

    for (size_t i = 0; i < s->count; i++) {
        if (droppable(s->items[i]) &&
            (found == SIZE_MAX || s->items[i]->dead_since_ms < s->items[found]->dead_since_ms))
            found = i;
    }
    return found;
}

size_t
store_sweep(struct store *s, uint64_t now_ms)
{
    size_t before = s->count;
    size_t at;

    s->oldest_tombstone_ms = UINT64_MAX;
    for (size_t i = s->count; i-- > 0;) {
        const struct record *r = s->items[i];
        uint64_t since_ms;

        if (!ages(r))
            continue;
        since_ms = r->dead_since_ms;
        if (now_ms - since_ms >= TOMBSTONE_KEPT_MS) {
            if (droppable(r)) {
                drop_tombstone(s, i);
                continue;
            }
            since_ms = now_ms - TOMBSTONE_KEPT_MS + SWEEP_AGAIN_MS;
        }
        if (since_ms < s->oldest_tombstone_ms)
            s->oldest_tombstone_ms = since_ms;
    }
    while (store_over_budget(s) && (at = oldest(s)) != SIZE_MAX)
        drop_tombstone(s, at);
    GS_ASSERT(s->count <= before);
    return before - s->count;
}

uint64_t
store_deadline_ms(const struct store *s)
{
    return s->oldest_tombstone_ms == UINT64_MAX ? UINT64_MAX
                                                : s->oldest_tombstone_ms + TOMBSTONE_KEPT_MS;
}

void
store_check(const struct store *s)
{
    size_t tombstones = 0;
    size_t bytes = 0;

    GS_ASSERT(s->count <= s->cap);
    for (size_t i = 0; i < s->count; i++) {
        const struct record *r = s->items[i];

        record_check(r);
        tombstones += r->present->r.tombstone;
        bytes += record_bytes(r);
        if (i > 0) {
            struct store_key k = store_key_of(&r->present->r);

            GS_ASSERT(compare(s->items[i - 1], &k) < 0);
        }
    }
    GS_ASSERT(tombstones == s->tombstones);
    GS_ASSERT(bytes == s->bytes);
}
