/* gossip.h - what the nodes of a mesh share: who is there, and records, opaque bytes under a key,
 * each with a version, merged the same way by every node. Fed and then drained; the core owns no
 * socket, no clock and no file, draws its randomness from a seed, and never calls out. Times are
 * arguments: now_ms monotonic, wall_ms since 1970.
 *
 *     gossip_recv, gossip_stream_* ─┐              ┌─▶ gossip_next_action (datagrams and streams)
 *     gossip_put, gossip_put_own   ─┼─▶ the core ──┼─▶ gossip_next_event  (for the node)
 *     gossip_tick                  ─┘              └─▶ gossip_deadline_ms (when to tick next)
 *
 * A node hears its own change as it hears others': by draining events. The caller's order in one
 * wake-up: feed everything that arrived, then tick, then drain actions, then events. */
#pragma once

#include <gossamer/addr.h>
#include <gossamer/limits.h>
#include <gossamer/version.h>

struct gossip;
struct seal_ring;
struct version;

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
    struct gs_slice bytes;  /* the canonical encoding, as its writer made it (gossip/wire.def) */
    struct version *source; /* what holds all of it; gossip_record_keep() keeps it longer */
};

/* Keep what a record points to beyond the next call, on any thread; and let it go again. A version
 * never changes, so nothing else is needed to read it elsewhere. */
void gossip_record_keep(const struct gossip_record *r);
void gossip_record_drop(const struct gossip_record *r);

/* Periods and limits a test may want to change; zero means the default (limits.h). */
struct gossip_tuning {
    uint32_t probe_ms;   /* from one probe to the next */
    uint32_t timeout_ms; /* longest wait for a direct answer at good health */
    uint32_t suspect_ms; /* least time from suspicion to death */
};

struct gossip_options {
    struct gs_id self;
    uint64_t hlc;  /* highest clock ever given out (node.state); 0 for none */
    uint64_t boot; /* of this start; versions of what this node writes about itself */
    /* Membership; without an address the core is a store alone and sends nothing. */
    struct gs_slice name;   /* 1..GOSSIP_NAME_MAX, copied */
    struct gs_addr address; /* where others reach us, UDP and TCP */
    struct gs_slice about;  /* up to GOSSIP_ABOUT_MAX bytes that every node shall know of us */
    const struct seal_ring *keys; /* borrowed for life; the first one seals */
    uint64_t session;             /* random, of this process start */
    uint64_t seed;                /* of the core's own randomness */
    struct gossip_tuning tuning;
};

struct gossip *gossip_new(const struct gossip_options *o);
void gossip_free(struct gossip *g);

/* ---- members ---- */

enum gossip_state {
    GOSSIP_UNKNOWN = 0, /* remembered from the disk; nobody has vouched for it since */
    GOSSIP_ALIVE,
    GOSSIP_SUSPECT,
    GOSSIP_DEAD,
    GOSSIP_LEFT,
};

struct gossip_node { /* one member; borrowed until the next call that takes a non-const gossip */
    struct gs_id id;
    enum gossip_state state;
    uint64_t boot;
    uint32_t incarnation;
    uint64_t since_ms; /* monotonic: when it came to this state here */
    uint32_t rtt_us;   /* smoothed round trip; 0: never measured */
    bool restarting;   /* alive, and it said that it will be away for a moment */
    struct gs_addr address;
    struct gs_slice name;
    struct gs_slice about;
};

const char *gossip_state_name(enum gossip_state s); /* "alive" */
/* Every member but this node, in order of id; for (size_t at = 0; gossip_next_node(g, &at, &n);) */
bool gossip_next_node(const struct gossip *g, size_t *at, struct gossip_node *out);
bool gossip_find_node(const struct gossip *g, const struct gs_id *id, struct gossip_node *out);
struct gossip_node gossip_self(const struct gossip *g);

/* Addresses to start from, beside the members restored from disk. Call once, after restoring;
 * copied. Attempts go on until one of them answers, and again whenever this node is alone. */
void gossip_join(struct gossip *g, uint64_t now_ms, const struct gs_addr *seeds, size_t count);
/* From now on every node shall know these bytes of us instead; copied. */
void gossip_set_about(struct gossip *g, uint64_t now_ms, struct gs_slice about);
/* Say goodbye: everybody is told LEFT, this node's records are withdrawn. Go on driving the core
 * until gossip_has_left(), a second at the most; nothing is answered after that. */
void gossip_leave(struct gossip *g, uint64_t now_ms);
bool gossip_has_left(const struct gossip *g);
/* Say that this process ends and another takes its place: a member that has heard it does not
 * suspect this node, nor take it for dead, until RESTART_GRACE_MS after the last packet that it had
 * from it. The next boot ends that as soon as it is heard of. There is one grace per boot, so call
 * it when nothing is left to do but to go (drained, state saved): a drain after it uses it up. A
 * second call changes nothing, nor does one after gossip_leave().
 *     Drive the core on until gossip_restart_told(), then stop it: true when this node has told as
 * many as it takes for all to hear it from each other (about 0.1 s), and after RESTART_TELL_MS in
 * any case. Meanwhile the core works as before. Through gossip_loop_call() it goes as leaving does:
 * one call that says it and asks, and if that was not true yet one that asks, every 20 ms. */
void gossip_restart(struct gossip *g, uint64_t now_ms);
bool gossip_restart_told(const struct gossip *g);

/* A node is closed until it knows that it has the mesh's policy (design.md 5). It opens when its
 * policy digest matched an open peer's; when no open peer answered for OPEN_WAIT_MS, with the
 * policy it has from disk, or if every peer that answered has none either; at once if it was given
 * no seed but itself and remembers nobody. Otherwise it stays closed. */
enum gossip_standing { GOSSIP_CLOSED, GOSSIP_OPEN };
enum gossip_standing gossip_standing(const struct gossip *g);

/* ---- packets and streams ----
 *
 * A datagram is one sealed packet. A stream is TCP, for what does not fit: frames of
 * {length u32 big endian, sealed packet of at most FRAME_BYTES_MAX}. The caller does the framing;
 * the core sees whole frames. One frame per stream is on its way out at a time. */

void gossip_recv(struct gossip *g, uint64_t now_ms, uint64_t wall_ms, const struct gs_addr *from,
                 struct gs_slice bytes);
/* The kernel says that nobody listens at this UDP address: ICMP port unreachable. */
void gossip_unreachable(struct gossip *g, uint64_t now_ms, const struct gs_addr *address);
/* A connection to this member ended, or was refused: it is asked now, out of turn. Where its
 * process is gone, its host says so in answer; silence proves nothing here, and costs nothing. */
void gossip_doubt(struct gossip *g, uint64_t now_ms, const struct gs_id *id);

/* A peer opened a stream. Returns its number, 0 if there are enough: close it. */
uint32_t gossip_stream_accept(struct gossip *g, uint64_t now_ms, const struct gs_addr *from);
/* A stream that the core asked for: connected or, with refused, answered by a reset. */
void gossip_stream_opened(struct gossip *g, uint64_t now_ms, uint32_t stream);
void gossip_stream_frame(struct gossip *g, uint64_t now_ms, uint64_t wall_ms, uint32_t stream,
                         struct gs_slice bytes);
void gossip_stream_sent(struct gossip *g, uint64_t now_ms, uint32_t stream); /* the last frame */
/* It ended, by whoever's doing, or could not be opened. refused: by a reset to the connect, so the
 * process is gone. Not called for a stream the core closed itself. */
void gossip_stream_closed(struct gossip *g, uint64_t now_ms, uint32_t stream, bool refused);

enum gossip_action_type {
    GOSSIP_SEND,         /* `bytes` as one datagram to `address` */
    GOSSIP_STREAM_OPEN,  /* connect `stream` to `address`; _opened or _closed follows */
    GOSSIP_STREAM_SEND,  /* `bytes` as one frame on `stream`; _sent or _closed follows */
    GOSSIP_STREAM_CLOSE, /* after what was sent; nothing is heard of `stream` again */
};

struct gossip_action {
    enum gossip_action_type type;
    uint32_t stream;
    struct gs_addr address;
    struct gs_slice bytes; /* valid until the next call */
};

bool gossip_next_action(struct gossip *g, uint64_t now_ms, struct gossip_action *out);

/* ---- writing ---- */

struct gossip_op {
    uint16_t kind; /* >= GOSSIP_KIND_USER */
    struct gs_slice key;
    struct gs_slice value;
    bool remove;                         /* value is ignored */
    const struct gs_version *if_version; /* NULL: whatever is there; generation 0: nothing may be */
    /* Whoever writes has looked at what lost against the present version, and decides: it is listed
     * as a conflict no more, anywhere. A new version is made even if the value is the same. */
    bool settle;
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

/* Runs whatever is due. Called late (more than a moment after the deadline), it knows that this
 * process was stalled and accuses nobody for what it has missed. */
void gossip_tick(struct gossip *g, uint64_t now_ms);
/* A finer reading of the clock that now_ms is of, before feeding: round trips are measured by it,
 * in whole milliseconds without it. */
void gossip_clock_us(struct gossip *g, uint64_t now_us);
uint64_t gossip_deadline_ms(const struct gossip *g); /* when to call tick next; UINT64_MAX: never */

/* ---- events ---- */

enum gossip_event_type {
    GOSSIP_EVENT_RECORD,      /* `record` is the present version of its key (or its tombstone) */
    GOSSIP_EVENT_TRANSACTION, /* `transaction`: what its members are */
    GOSSIP_EVENT_CONFLICT,    /* `version` of `key` lost a concurrent write; it is in the history */
    GOSSIP_EVENT_REFUSED,     /* `sender` offered a `version` of `key` that is out of bounds */
    GOSSIP_EVENT_CLOCK_AHEAD, /* the clock in `version` is `ahead_ms` ahead of ours */
    GOSSIP_EVENT_BELOW_FLOOR, /* `sender` offered a key whose tombstone was dropped already */
    GOSSIP_EVENT_NODE,        /* `node` is in another state than before, or says something new */
    GOSSIP_EVENT_FORGOTTEN,   /* `node` was dropped, with its records; only its id is known still */
    GOSSIP_EVENT_OPENED,      /* gossip_standing() is GOSSIP_OPEN from now on; told once */
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
    struct gossip_node node;
    enum gossip_state former; /* of the node; UNKNOWN for a new one */
};

/* Records, transactions and nodes are never lost: each that changed waits in line once and is
 * delivered as it then is (what was replaced before it was drained is skipped). The other types
 * are notices: a bounded ring, the number dropped is counted. */
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

enum gossip_via { GOSSIP_DATAGRAM, GOSSIP_STREAM, GOSSIP_VIAS };

/* Why a packet was not taken; names in gossip_refusal_name(). */
enum gossip_refusal {
    GOSSIP_REFUSAL_JUNK,      /* no header of ours, or too short, or too long */
    GOSSIP_REFUSAL_KEY,       /* sealed with a key that we do not have */
    GOSSIP_REFUSAL_FORGED,    /* the seal does not fit */
    GOSSIP_REFUSAL_REPLAYED,  /* seen before, or too old to tell */
    GOSSIP_REFUSAL_UNKNOWN,   /* authentic, of a session that has not proven itself yet */
    GOSSIP_REFUSAL_MALFORMED, /* authentic, but no packet, or one with impossible content */
    GOSSIP_REFUSAL_OWN,       /* our own, come back */
    GOSSIP_REFUSALS,
};
const char *gossip_refusal_name(enum gossip_refusal r);

struct gossip_counters {
    uint64_t news, stale, conflicts, refused, malformed, below_floor;
    uint64_t notices_dropped, tombstones_dropped, clock_ahead;
    uint64_t records, tombstones, bytes; /* present */
    uint64_t sent[GOSSIP_VIAS], sent_bytes[GOSSIP_VIAS], received[GOSSIP_VIAS];
    uint64_t received_bytes[GOSSIP_VIAS]; /* sealed bytes, without IP headers */
    uint64_t refused_packets[GOSSIP_REFUSALS];
    uint64_t probes, probes_failed, suspicions, refutations, deaths, stalls;
    uint64_t syncs, syncs_failed, syncs_busy, actions_dropped, challenges;
    uint32_t health;                 /* Lifeguard's multiplier: 0 is well */
    uint32_t nodes[GOSSIP_LEFT + 1]; /* by state, without this one */
    uint32_t rumors;                 /* still to be told */
};
void gossip_counters(const struct gossip *g, struct gossip_counters *out);
uint64_t gossip_hlc(const struct gossip *g); /* highest clock given out or seen: for node.state */

/* ---- persistence ---- */

enum gossip_frame_kind { /* frame kinds of mesh.state that are the store's own */
                         GOSSIP_FRAME_RECORD = 1, /* one version, present or former */
                         GOSSIP_FRAME_FLOOR = 2,
                         GOSSIP_FRAME_GONE = 3, /* since when a member is not there */
};

struct gossip_frame {
    uint16_t kind;
    struct gs_slice bytes; /* valid until the next call */
};

struct gossip_cursor { /* zeroed to start */
    size_t at, member;
    uint32_t former;
    bool floors_done;
    uint8_t scratch[32];
};

/* Everything that a restart needs; the store must not change between the first and last call. */
bool gossip_next_frame(const struct gossip *g, struct gossip_cursor *c, struct gossip_frame *out);
/* The same without the store standing still: what it holds now, to be read on any thread while it
 * goes on. Costs a count per version. */
struct gossip_frozen;
struct gossip_frozen *gossip_freeze(const struct gossip *g);
/* Zero *at to start; the frame's bytes live as long as f. */
bool gossip_frozen_next(const struct gossip_frozen *f, size_t *at, struct gossip_frame *out);
void gossip_frozen_free(struct gossip_frozen *f); /* any thread; NULL is fine */
/* One frame back. Call before anything else, then drain events: every record is one. An unknown
 * kind is GS_E_UNSUPPORTED (keep the frame), bytes that are no record GS_E_MALFORMED. */
gs_err gossip_restore(struct gossip *g, uint64_t now_ms, uint64_t wall_ms, uint16_t kind,
                      struct gs_slice bytes, struct gs_why *why) GS_MUST_CHECK;

void gossip_check(const struct gossip *g); /* walks every invariant; aborts */
