/* store.h - all records, in order of (class, owner, key). */
#pragma once

#include "gossip/record.h"

struct store {
    struct record **items; /* sorted */
    size_t count, cap;
    size_t tombstones;
    size_t bytes;                 /* of all versions */
    uint64_t floor_hlc;           /* operator class: tombstones up to this clock were dropped */
    uint64_t oldest_tombstone_ms; /* a bound: none is older; UINT64_MAX when there are none */
    struct record **index;        /* by key_hash: open addressing, a power of two above 2 x count */
    size_t index_cap;
    uint64_t roots[GOSSIP_OWNER + 1]; /* by class: sum of record_digest() of those counted */
    uint64_t quiet_ms;      /* when the next tombstone leaves the digests; UINT64_MAX: none */
    uint64_t wall_ahead_ms; /* wall clock minus now_ms, as last told: ages of tombstones */
};

struct store_key {
    enum gossip_class class;
    const struct gs_id *owner; /* NULL for GOSSIP_OPERATOR */
    struct gs_slice key;
};

void store_init(struct store *s);
void store_fini(struct store *s); /* no record may be in line for an event */
struct store_key store_key_of(const struct gossip_record *r);
struct record *store_find(const struct store *s, const struct store_key *k); /* NULL when absent */
struct record *store_find_hash(const struct store *s, uint64_t key_hash);    /* NULL when absent */
/* The index behind the last record of this owner, or where that would be. */
size_t store_end_of(const struct store *s, const struct gs_id *owner);
/* Out of the digests, for good: it is about to go. */
void store_discount(struct store *s, struct record *r);
/* Is there room for `records` more keys and `bytes` more? */
bool store_has_room(const struct store *s, size_t records, size_t bytes);
/* Merge one version into its record, which is made if need be; v is taken. *out is the record. */
struct record_merged store_merge(struct store *s, struct version *v, enum record_origin origin,
                                 uint64_t now_ms, struct record **out);
void store_remove(struct store *s, struct record *r); /* unlinked from events by the caller */
/* Drop tombstones that are old, or too many, but none that is still in line for an event. The
 * floor rises with each. Returns how many went. */
size_t store_sweep(struct store *s, uint64_t now_ms);
/* More tombstones than there may be: sweep when one was added. (No deadline: those left may all
 * be such that cannot go yet.) */
bool store_over_budget(const struct store *s);
uint64_t store_deadline_ms(const struct store *s); /* when one is old enough; UINT64_MAX: none */
void store_check(const struct store *s);
