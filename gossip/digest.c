/* digest.c - what this node has, as sums and as lists; and what two such lists mean. Sums are over
 * what was received, never over what this version understands of it, so that nodes of two versions
 * agree (reference/gossip 6.3). The bucket of a record is the first 6 bits of the hash of its key,
 * that of a member the first 6 of its id. */
#include "gossip/digest.h"

#include <stdlib.h>
#include <string.h>

#include <gossamer/alloc.h>

#include "gossip/core.h"

static uint64_t
total(const uint64_t sums[DIGEST_BUCKETS])
{
    uint64_t sum = 0;

    for (size_t i = 0; i < DIGEST_BUCKETS; i++)
        sum += sums[i];
    return sum;
}

void
digest_sums(const struct gossip *g, uint64_t sums[WIRE_CLASSES][DIGEST_BUCKETS])
{
    const struct members *t = &g->members;
    const struct store *st = &g->records.store;
    uint64_t roots[WIRE_CLASSES];

    gossip_roots(g, roots);
    memset(sums, 0, sizeof(uint64_t) * WIRE_CLASSES * DIGEST_BUCKETS);
    sums[0][g->self.bytes[0] >> 2] += member_digest(&g->self, g->records.boot, t->incarnation,
                                                    t->leaving ? GOSSIP_LEFT : GOSSIP_ALIVE);
    for (size_t i = 0; i < t->count; i++)
        sums[0][t->hot[i].cold->id.bytes[0] >> 2] += member_digest(
            &t->hot[i].cold->id, t->hot[i].boot, t->hot[i].incarnation, t->hot[i].state);
    for (size_t i = 0; i < st->count; i++) {
        const struct record *r = st->items[i];

        if (r->counted)
            sums[r->present->r.class][r->key_hash >> 58] += record_digest(r);
    }
    for (unsigned c = 0; c < WIRE_CLASSES; c++)
        GS_ASSERT(total(sums[c]) == roots[c]); /* or peers would find a difference for ever */
}

/* Quiet tombstones are in no sum, but once a bucket differs they are listed: whoever missed one
 * would otherwise keep what it deleted for ever. */
size_t
digest_entries(const struct gossip *g, enum gossip_class class, uint64_t mask, struct gs_buf *out)
{
    const struct store *st = &g->records.store;

    for (size_t i = 0; i < st->count; i++) {
        const struct record *r = st->items[i];
        char entry[WIRE_ENTRY_BYTES];

        if (r->present->r.class != class || !(mask >> (r->key_hash >> 58) & 1))
            continue;
        wire_put_u64(entry, r->key_hash);
        wire_put_u64(entry + 8, record_digest(r));
        (void)gs_buf_put(out, entry, sizeof(entry));
    }
    return gs_buf_slice(out).len;
}

void
digest_wants(const struct gossip *g, const struct wire_packet *p, enum gossip_class class,
             struct gs_buf *pull)
{
    struct gs_slice theirs = p->entries[class];
    const struct store *st = &g->records.store;

    GS_ASSERT(theirs.len % WIRE_ENTRY_BYTES == 0);
    for (size_t i = 0; i < theirs.len / WIRE_ENTRY_BYTES; i++) {
        uint64_t key = wire_u64(theirs.ptr + i * WIRE_ENTRY_BYTES);
        uint64_t version = wire_u64(theirs.ptr + i * WIRE_ENTRY_BYTES + 8);
        const struct record *r = store_find_hash(st, key);
        char note[WIRE_NOTE_BYTES] = { 0 };

        if (r && record_digest(r) == version)
            continue;
        wire_put_u64(note, key);
        (void)gs_buf_put(pull, note, sizeof(note));
    }
}

static int
by_key(const void *a, const void *b)
{
    uint64_t x = wire_u64(a), y = wire_u64(b);

    return x < y ? -1 : x > y;
}

void
digest_gives(const struct gossip *g, const struct wire_packet *p, enum gossip_class class,
             struct sync *s)
{
    const struct store *st = &g->records.store;
    size_t theirs = p->entries[class].len / WIRE_ENTRY_BYTES;
    char *sorted = gs_alloc(p->entries[class].len + 1);

    GS_ASSERT(class == GOSSIP_OPERATOR || class == GOSSIP_OWNER);
    if (theirs > 0) {
        memcpy(sorted, p->entries[class].ptr, p->entries[class].len);
        qsort(sorted, theirs, WIRE_ENTRY_BYTES, by_key);
    }
    for (size_t i = 0; i < st->count; i++) {
        const struct record *r = st->items[i];
        char key[8];
        const char *at;

        if (r->present->r.class != class || !(p->masks[class] >> (r->key_hash >> 58) & 1))
            continue;
        wire_put_u64(key, r->key_hash);
        at = theirs ? bsearch(key, sorted, theirs, WIRE_ENTRY_BYTES, by_key) : NULL;
        if (at ? wire_u64(at + 8) != record_digest(r) : r->counted)
            sync_give(s, r->key_hash);
    }
    gs_free(sorted);
}
