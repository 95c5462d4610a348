/* store.c - the table of records. A sorted array, not a hash: iteration is in the order that
 * digests need, files come out the same for the same content, and a look-up in RECORDS_MAX is
 * fourteen compares. */
#include "gossip/store.h"

#include <string.h>

#include <gossamer/alloc.h>

void
store_init(struct store *s)
{
    *s = (struct store){ .oldest_tombstone_ms = UINT64_MAX, .quiet_ms = UINT64_MAX };
}

void
store_fini(struct store *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        record_free(s->items[i]);
    gs_free(s->items);
    gs_free(s->index);
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

size_t
store_end_of(const struct store *s, const struct gs_id *owner)
{
    char last[RECORD_KEY_MAX + 1]; /* a key that is above all keys */
    struct store_key k = { .class = GOSSIP_OWNER,
                           .owner = owner,
                           .key = gs_slice(last, sizeof(last)) };

    memset(last, 0xff, sizeof(last));
    return place(s, &k);
}

bool
store_has_room(const struct store *s, size_t records, size_t bytes)
{
    return s->count + records <= RECORDS_MAX && s->bytes + bytes <= RECORDS_BYTES_MAX;
}

/* ---- by hash of the key ---- */

static size_t
index_home(const struct store *s, uint64_t key_hash)
{
    return (size_t)key_hash & (s->index_cap - 1);
}

static void
index_put(struct store *s, struct record *r)
{
    size_t at = index_home(s, r->key_hash);

    while (s->index[at])
        at = (at + 1) & (s->index_cap - 1);
    s->index[at] = r;
}

static void
index_grow(struct store *s)
{
    gs_free(s->index);
    s->index_cap = s->index_cap ? s->index_cap * 2 : 128;
    s->index = gs_calloc(s->index_cap, sizeof(struct record *));
    for (size_t i = 0; i < s->count; i++)
        index_put(s, s->items[i]);
}

/* What was pushed on by it moves back, so that no marks are left behind. */
static void
index_remove(struct store *s, const struct record *r)
{
    size_t mask = s->index_cap - 1;
    size_t hole = index_home(s, r->key_hash);
    size_t at;

    while (s->index[hole] != r) {
        GS_ASSERT(s->index[hole]);
        hole = (hole + 1) & mask;
    }
    for (at = (hole + 1) & mask; s->index[at]; at = (at + 1) & mask) {
        size_t home = index_home(s, s->index[at]->key_hash);

        if (((at - home) & mask) >= ((at - hole) & mask)) {
            s->index[hole] = s->index[at];
            hole = at;
        }
    }
    s->index[hole] = NULL;
}

struct record *
store_find_hash(const struct store *s, uint64_t key_hash)
{
    if (s->index_cap == 0)
        return NULL;
    for (size_t at = index_home(s, key_hash); s->index[at]; at = (at + 1) & (s->index_cap - 1)) {
        if (s->index[at]->key_hash == key_hash)
            return s->index[at];
    }
    return NULL;
}

/* ---- the table ---- */

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
    if (s->count * 2 > s->index_cap)
        index_grow(s); /* puts r in as well */
    else
        index_put(s, r);
}

/* What an owner withdrew stays: its next boot or its leaving ends it, and a floor over the clocks
 * of operators says nothing about its sequence numbers. */
static bool
ages(const struct record *r)
{
    return r->present->r.tombstone && r->present->r.class == GOSSIP_OPERATOR;
}

/* How old a tombstone is, by the clock of its writer and ours. Each node keeps it for a day from
 * when it heard of it, but in digests it counts for half a day from when it was written: those who
 * heard late would otherwise differ from all others until they drop it, too. A wrong clock here
 * makes digests differ, and nothing else. */
static uint64_t
age_ms(const struct store *s, const struct record *r, uint64_t now_ms)
{
    uint64_t written_ms = r->present->r.version.hlc >> 16;
    uint64_t wall_ms = now_ms + s->wall_ahead_ms;

    return wall_ms > written_ms ? wall_ms - written_ms : 0;
}

static bool
is_quiet(const struct store *s, const struct record *r, uint64_t now_ms)
{
    return ages(r) && age_ms(s, r, now_ms) >= TOMBSTONE_QUIET_MS;
}

static void
count_in(struct store *s, struct record *r, uint64_t now_ms)
{
    GS_ASSERT(!r->counted);
    if (is_quiet(s, r, now_ms))
        return;
    r->counted = true;
    s->roots[r->present->r.class] += record_digest(r);
    if (ages(r)) {
        uint64_t due_ms = now_ms + TOMBSTONE_QUIET_MS - age_ms(s, r, now_ms);

        s->quiet_ms = due_ms < s->quiet_ms ? due_ms : s->quiet_ms;
    }
}

static void
count_out(struct store *s, struct record *r)
{
    if (!r->counted)
        return;
    r->counted = false;
    s->roots[r->present->r.class] -= record_digest(r);
}

void
store_discount(struct store *s, struct record *r)
{
    GS_ASSERT(r->present->r.tombstone);
    count_out(s, r);
}

static void
count_out_quiet(struct store *s, uint64_t now_ms)
{
    s->quiet_ms = UINT64_MAX;
    for (size_t i = 0; i < s->count; i++) {
        struct record *r = s->items[i];

        if (!r->counted || !ages(r))
            continue;
        count_out(s, r);
        count_in(s, r, now_ms); /* or not, if its time has come */
    }
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
        count_out(s, r);
        m = record_merge(r, v, origin);
    } else {
        r = record_new(v);
        insert(s, r);
    }
    count_in(s, r, now_ms);
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
    count_out(s, r);
    index_remove(s, r);
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

static bool
droppable(const struct record *r)
{
    return ages(r) && !gs_list_linked(&r->changed) && !gs_list_linked(&r->fresh) &&
           !gs_list_linked(&r->rumor.link);
}

/* A clock that was ahead must not lift the floor above the present: everybody would refuse new keys
 * of honest clocks until those have caught up. */
static void
drop_tombstone(struct store *s, size_t at, uint64_t now_ms)
{
    uint64_t hlc = s->items[at]->present->r.version.hlc;
    uint64_t present = (now_ms + s->wall_ahead_ms) << 16;

    if (hlc > present)
        hlc = present;
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

    count_out_quiet(s, now_ms);
    s->oldest_tombstone_ms = UINT64_MAX;
    for (size_t i = s->count; i-- > 0;) {
        const struct record *r = s->items[i];
        uint64_t since_ms;

        if (!ages(r))
            continue;
        since_ms = r->dead_since_ms;
        if (now_ms - since_ms >= TOMBSTONE_KEPT_MS) {
            if (droppable(r)) {
                drop_tombstone(s, i, now_ms);
                continue;
            }
            since_ms = now_ms - TOMBSTONE_KEPT_MS + SWEEP_AGAIN_MS;
        }
        if (since_ms < s->oldest_tombstone_ms)
            s->oldest_tombstone_ms = since_ms;
    }
    while (store_over_budget(s) && (at = oldest(s)) != SIZE_MAX)
        drop_tombstone(s, at, now_ms);
    GS_ASSERT(s->count <= before);
    return before - s->count;
}

uint64_t
store_deadline_ms(const struct store *s)
{
    uint64_t due_ms = s->oldest_tombstone_ms == UINT64_MAX
                          ? UINT64_MAX
                          : s->oldest_tombstone_ms + TOMBSTONE_KEPT_MS;

    return s->quiet_ms < due_ms ? s->quiet_ms : due_ms;
}

void
store_check(const struct store *s)
{
    uint64_t roots[GOSSIP_OWNER + 1] = { 0 };
    size_t tombstones = 0;
    size_t bytes = 0;

    GS_ASSERT(s->count <= s->cap);
    GS_ASSERT(s->count * 2 <= s->index_cap);
    for (size_t i = 0; i < s->count; i++) {
        const struct record *r = s->items[i];

        record_check(r);
        tombstones += r->present->r.tombstone;
        bytes += record_bytes(r);
        roots[r->present->r.class] += r->counted ? record_digest(r) : 0;
        GS_ASSERT(r->counted || r->present->r.tombstone);
        GS_ASSERT(store_find_hash(s, r->key_hash) == r);
        if (i > 0) {
            struct store_key k = store_key_of(&r->present->r);

            GS_ASSERT(compare(s->items[i - 1], &k) < 0);
        }
    }
    GS_ASSERT(tombstones == s->tombstones);
    GS_ASSERT(bytes == s->bytes);
    GS_ASSERT(roots[GOSSIP_OPERATOR] == s->roots[GOSSIP_OPERATOR]);
    GS_ASSERT(roots[GOSSIP_OWNER] == s->roots[GOSSIP_OWNER]);
}
