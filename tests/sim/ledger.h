/* ledger.h - every write of an operator, and whether it was acknowledged: answered once it is on
 * the disk of the host that took it. None of those may be lost without a word. */
#pragma once

#include <gossamer/gossip.h>
#include <gossamer/map.h>

struct host;
struct world;

#define LEDGER_KEYS_MAX 64

struct write {
    struct gs_digest hash, replaced;
    struct gs_digest settled[RECORD_HISTORY_MAX]; /* lost races that its writer had before them */
    size_t settled_count;
    struct gs_version version;
    uint32_t host, key;
    uint32_t life; /* of the host's process */
    uint64_t at_ns;
    bool tombstone;
    bool acknowledged;
    bool unsafe;     /* its host lost the disk since: it alone may have had it */
    bool is_seen;    /* somebody wrote on top of it, or settled it */
    uint8_t *let_go; /* a bit per host: see races.c */
};

struct ledger {
    struct write **writes;
    size_t count, cap;
    struct gs_map by_hash;
    uint32_t keys; /* that the operators use */
    size_t acknowledged, unanswered, excused, conflicts, overflowed;
};

void ledger_init(struct ledger *l, uint32_t keys);
void ledger_fini(struct ledger *l);
struct gs_slice ledger_key(uint32_t key, char out[32]);
uint32_t ledger_key_of(struct gs_slice key); /* LEDGER_KEYS_MAX: none of ours */
/* The lost races that h lists under the key, before somebody writes there who looked at it. */
size_t ledger_listed(const struct host *h, uint32_t key, struct gs_digest out[RECORD_HISTORY_MAX]);
/* What the core of h now holds under the key was just written there; it settles those. */
void ledger_add(struct world *w, struct host *h, uint32_t key, const struct gs_digest *settled,
                size_t settled_count);
const struct write *ledger_find(const struct ledger *l, const struct gs_digest *hash);
/* Was `above` written on top of e, or settles it? */
bool ledger_is_above(const struct write *above, const struct write *e);
/* Does e lie under it (NULL: no), or is it, as the writes themselves tell? */
bool ledger_is_under(const struct ledger *l, const struct write *e, const struct write *of);
/* The disk of h has everything written there in this life. */
void ledger_flushed(struct world *w, const struct host *h);
/* The disk of h is as it was at a former time. */
void ledger_disk_lost(struct world *w, const struct host *h, uint64_t as_of_ns);
/* At rest: each acknowledged write is current, an ancestor of what is, or a listed conflict. */
void ledger_check(struct world *w);
