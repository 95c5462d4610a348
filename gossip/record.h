/* record.h - all that is known of one key: the present version, and the former ones worth
 * keeping. */
#pragma once

#include <gossamer/gossip.h>
#include <gossamer/list.h>

#include "gossip/rumor.h"
#include "gossip/wire.h"

struct version {            /* never changes once made; shared with other threads by count */
    struct gossip_record r; /* slices point into `bytes` */
    _Atomic uint32_t refs;
    struct gs_slice lineage;
    char bytes[];
};

/* From canonical bytes (copied). Errors as of wire_read_record(). */
gs_err version_read(struct gs_slice bytes, struct version **out) GS_MUST_CHECK;
/* From fields; hash and bytes are filled in. GS_E_LIMIT beyond the caps. */
gs_err version_make(const struct wire_record *w, struct version **out) GS_MUST_CHECK;
void version_ref(struct version *v);           /* any thread */
void version_free(struct version *v);          /* lets go of one reference; any thread */
size_t version_bytes(const struct version *v); /* of memory */
/* Ancestors of a version that is to replace v, newest first; returns the length in bytes. */
size_t version_lineage(const struct version *v, char out[WIRE_TAG_BYTES * RECORD_LINEAGE_MAX]);
struct record;
/* Of a version that replaces the present one: it descends from what lost against that, too. */
size_t record_lineage(const struct record *r, char out[WIRE_TAG_BYTES * RECORD_LINEAGE_MAX]);

struct record_former {
    struct version *v;
    bool conflict; /* no version known here descends from it */
};

struct record {
    struct version *present;                         /* never NULL in the store */
    struct record_former former[RECORD_HISTORY_MAX]; /* highest version first */
    unsigned former_count;
    struct gs_list changed; /* in line for an event, else unlinked */
    struct gs_list fresh;   /* in line to become a rumor, else unlinked */
    struct rumor rumor;
    uint64_t key_hash;      /* of class, owner and key: its name in digests */
    bool counted;           /* in digests; old tombstones are not: see store.c */
    uint64_t dead_since_ms; /* when the present tombstone was stored here */
};

enum record_origin { RECORD_FROM_HERE, RECORD_FROM_PEER, RECORD_FROM_DISK };

struct record_merged {
    enum gossip_merged outcome;
    struct gs_version lost; /* generation 0, or a version found to have lost a concurrent write */
    size_t bytes_added, bytes_freed;
};

struct record *record_new(struct version *present); /* takes it */
uint64_t record_key_hash(const struct gossip_record *r);
/* What it adds to the digest of its class: of the present version and of those that lost against
 * it unseen, so that every node comes to list them. */
uint64_t record_digest(const struct record *r);
void record_free(struct record *r);
/* One more version of the key; taken. The present version and the set of conflicts depend on the
 * versions merged, not on their order (as long as no more than RECORD_HISTORY_MAX are kept). */
struct record_merged record_merge(struct record *r, struct version *v, enum record_origin origin);
void record_check(const struct record *r);
