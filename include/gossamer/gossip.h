/* gossip.h - the record store: opaque bytes under a key, each with a version, merged the same way
 * by every node. Fed and then drained; it owns no socket, no clock and no file, and never calls
 * out. Times are arguments: now_ms monotonic, wall_ms since 1970.
 *
 *     gossip_put ─┐                       ┌─▶ gossip_next_event   (what the node should hear of)
 *     gossip_merge ├─▶ versions of a key ─┼─▶ gossip_find, gossip_next_record, gossip_history
 *     gossip_restore ┘                    └─▶ gossip_next_frame   (what mesh.state should hold)
 *
 * A node hears its own change as it hears others': by draining events. */
#pragma once

#include <gossamer/limits.h>
#include <gossamer/version.h>

struct gossip;

enum gossip_class {
    GOSSIP_OPERATOR = 1, /* any node writes it on behalf of an operator */
    GOSSIP_OWNER = 2,    /* only the node it is about writes it; version.writer is that node */
};

/* Kinds below this number are the store's own and never reach an event of type RECORD. */
#define GOSSIP_KIND_USER 16

/* One version of a record, borrowed: valid until the next call that takes a non-const gossip. */
struct gossip_record {
    enum gossip_class class;
    uint16_t kind;
    bool tombstone; /* deleted; the value is empty */
    struct gs_slice key;
    struct gs_slice value; /* opaque */
    struct gs_version version;
    uint64_t born_hlc;    /* of the object's first version since it was last deleted: its age */
    uint64_t transaction; /* 0: written alone */
    uint32_t transaction_count; /* members; 0 when written alone */
    struct gs_digest replaced;  /* hash of the version it replaced; zero for none */
    struct gs_digest hash;      /* of `bytes` */
    struct gs_slice bytes; /* the canonical encoding, as its writer made it (gossip/wire.def) */
};

struct gossip_options {
    struct gs_id self;
    uint64_t hlc;  /* highest clock ever given out (node.state); 0 for none */
    uint64_t boot; /* of this start; versions of what this node writes about itself */
};

struct gossip *gossip_new(const struct gossip_options *o);
void gossip_free(struct gossip *g);

/* ---- writing ---- */

struct gossip_op {
    uint16_t kind; /* >= GOSSIP_KIND_USER */
    struct gs_slice key;
    struct gs_slice value;
    bool remove;                         /* value is ignored */
    const struct gs_version *if_version; /* NULL: whatever is there; generation 0: nothing may be */
};

struct gossip_put_result {
    struct gs_version version; /* the new one, or the present one if nothing changed */
    bool unchanged;            /* the present value is the same already: no new version was made */
};

/* Write 1..APPLY_OBJECTS_MAX operator objects as one transaction: all or none.
 * results   n entries, written on success only
 * returns   GS_E_CONFLICT   an if_version does not hold; why names the key and its version
 *           GS_E_NOT_FOUND  a key to remove is not there
 *           GS_E_LIMIT      RECORDS_MAX, RECORDS_BYTES_MAX, RECORD_VALUE_MAX or RECORD_KEY_MAX
 *           GS_E_INVALID    the same key twice */
gs_err gossip_put(struct gossip *g, uint64_t now_ms, uint64_t wall_ms, const struct gossip_op *ops,
                  size_t n, struct gossip_put_result *results, struct gs_why *why) GS_MUST_CHECK;

/* Write what this node says of itself (class GOSSIP_OWNER). remove leaves `gone` behind. */
gs_err gossip_put_own(struct gossip *g, uint64_t now_ms, const struct gossip_op *op,
                      struct gossip_put_result *result, struct gs_why *why) GS_MUST_CHECK;

/* ---- from others ---- */

enum gossip_merged {
    GOSSIP_NEWS,     /* it is the present version now: spread it */
    GOSSIP_STALE,    /* the present version is the same or descends from it */
    GOSSIP_CONFLICT, /* it lost against the present version, which had not seen it: kept, listed */
    GOSSIP_REFUSED,  /* out of bounds, told as an event with its sender; nothing changed */
};

/* Merge one record as another node sent it. The outcome does not depend on the order of arrival.
 * returns   GS_E_OK with *out, GS_E_MALFORMED (not canonical, or not a record), GS_E_LIMIT */
gs_err gossip_merge(struct gossip *g, uint64_t now_ms, uint64_t wall_ms, const struct gs_id *sender,
                    struct gs_slice bytes, enum gossip_merged *out, struct gs_why *why)
    GS_MUST_CHECK;

/* ---- time ---- */

void gossip_tick(struct gossip *g, uint64_t now_ms); /* drops tombstones that are old enough */
uint64_t gossip_deadline_ms(const struct gossip *g); /* when to call tick next; UINT64_MAX: never */

/* ---- events ---- */

enum gossip_event_type {
    GOSSIP_EVENT_RECORD,      /* `record` is the present version of its key (or its tombstone) */
    GOSSIP_EVENT_TRANSACTION, /* `transaction`: what its members are */
    GOSSIP_EVENT_CONFLICT,    /* `version` of `key` lost a concurrent write; it is in the history */
    GOSSIP_EVENT_REFUSED,     /* `sender` offered a `version` of `key` that is out of bounds */
    GOSSIP_EVENT_CLOCK_AHEAD, /* the clock in `version` is `ahead_ms` ahead of ours */
    GOSSIP_EVENT_BELOW_FLOOR, /* `sender` offered a key whose tombstone was dropped already */
};

struct gossip_member {
    struct gs_slice key;
    struct gs_version version;
    struct gs_digest hash;
};

struct gossip_transaction {
    uint64_t id;
    const struct gossip_member *members;
    size_t count;
};

struct gossip_event { /* what it points to is valid until the next call on the gossip */
    enum gossip_event_type type;
    struct gossip_record record;
    struct gossip_transaction transaction;
    struct gs_slice key;
    struct gs_version version;
    struct gs_id sender; /* zero: this node's own disk */
    uint64_t ahead_ms;
};

/* Records and transactions are never lost: each changed key waits in line once and is delivered
 * in its then present version (a version replaced before it was drained is skipped). The other
 * types are notices: a bounded ring, the number dropped is counted. */
bool gossip_next_event(struct gossip *g, struct gossip_event *out);
bool gossip_has_event(const struct gossip *g);

/* ---- reading ---- */

/* The present version of a key, tombstones included. owner: NULL for GOSSIP_OPERATOR. */
bool gossip_find(const struct gossip *g, enum gossip_class class, const struct gs_id *owner,
                 struct gs_slice key, struct gossip_record *out);
/* for (size_t at = 0; gossip_next_record(g, &at, &r);) - by class, owner, key; tombstones too. */
bool gossip_next_record(const struct gossip *g, size_t *at, struct gossip_record *out);

struct gossip_former {
    struct gossip_record record;
    bool conflict; /* no known version descends from it: an edit that somebody lost */
};

/* Former versions of an operator's key, newest first; at most RECORD_HISTORY_MAX. Returns how
 * many were written. */
size_t gossip_history(const struct gossip *g, struct gs_slice key, struct gossip_former *out,
                      size_t max);

struct gossip_counters {
    uint64_t news, stale, conflicts, refused, malformed, below_floor;
    uint64_t notices_dropped, tombstones_dropped, clock_ahead;
    uint64_t records, tombstones, bytes; /* present */
};
void gossip_counters(const struct gossip *g, struct gossip_counters *out);
uint64_t gossip_hlc(const struct gossip *g); /* highest clock given out or seen: for node.state */

/* ---- persistence ---- */

enum gossip_frame_kind { /* frame kinds of mesh.state that are the store's own */
                         GOSSIP_FRAME_RECORD = 1, /* one version, present or former */
                         GOSSIP_FRAME_FLOOR = 2,
};

struct gossip_frame {
    uint16_t kind;
    struct gs_slice bytes; /* valid until the next call */
};

struct gossip_cursor { /* zeroed to start */
    size_t at;
    uint32_t former;
    bool floors_done;
    uint8_t scratch[32];
};

/* Everything that a restart needs; the store must not change between the first and last call. */
bool gossip_next_frame(const struct gossip *g, struct gossip_cursor *c, struct gossip_frame *out);
/* One frame back. Call before anything else, then drain events: every record is one. An unknown
 * kind is GS_E_UNSUPPORTED (keep the frame), bytes that are no record GS_E_MALFORMED. */
gs_err gossip_restore(struct gossip *g, uint64_t now_ms, uint64_t wall_ms, uint16_t kind,
                      struct gs_slice bytes, struct gs_why *why) GS_MUST_CHECK;

void gossip_check(const struct gossip *g); /* walks every invariant; aborts */
