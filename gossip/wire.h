/* wire.h - records, their parts and packets as bytes (wire.def). */
#pragma once

#include <gossamer/buf.h>
#include <gossamer/gossip.h>

/* Kinds of records that are the store's own. */
#define GOSSIP_KIND_TRANSACTION 1 /* the list of a transaction's members; operator */
#define GOSSIP_KIND_NODE 2        /* who a node is; owner, one per node, key "node" */

#define WIRE_TAG_BYTES 4 /* of an ancestor's hash: 32 of them are told apart from a stranger's */

/* A record as it is in its bytes. Slices point into them. */
struct wire_record {
    struct gossip_record r;  /* hash and bytes are left to the caller */
    struct gs_slice lineage; /* tags, newest first; not that of `replaced` */
};

/* Appends to out; nothing but the room in it can be lacking. */
gs_err wire_put_record(struct gs_buf *out, const struct wire_record *w) GS_MUST_CHECK;
/* Whole or not at all. GS_E_MALFORMED: not canonical, a field missing or out of its range.
 * GS_E_LIMIT: a cap of limits.h. */
gs_err wire_read_record(struct gs_slice bytes, struct wire_record *out) GS_MUST_CHECK;

gs_err wire_put_members(struct gs_buf *out, const struct gossip_member *m, size_t count)
    GS_MUST_CHECK;
/* At most `max` of them, keys pointing into bytes. */
gs_err wire_read_members(struct gs_slice bytes, struct gossip_member *out, size_t max,
                         size_t *count) GS_MUST_CHECK;

/* ---- the value of a node's record ---- */

struct wire_node {
    struct gs_slice name;   /* 1..GOSSIP_NAME_MAX */
    struct gs_addr address; /* as 4 + 2 or 16 + 2 bytes, network order */
    struct gs_slice about;  /* 0..GOSSIP_ABOUT_MAX */
};

gs_err wire_put_node(struct gs_buf *out, const struct wire_node *n) GS_MUST_CHECK;
gs_err wire_read_node(struct gs_slice bytes, struct wire_node *out) GS_MUST_CHECK;

/* ---- packets: the body of a datagram or of a stream's frame ----
 *
 * One map; every part is optional, and several may ride together. Lists of fixed-size things are
 * one binary string each, big endian (smaller than arrays, and checked by a division). A field that
 * is not known is skipped. */

#define WIRE_CLAIM_BYTES 45 /* id 16, state 1, boot 8, incarnation 4, accuser 16 */
#define WIRE_MARK_BYTES 2   /* the place of a claim among its like */
#define WIRE_AGE_BYTES 4    /* seconds */
#define WIRE_ENTRY_BYTES 16 /* of a digest: hash of the key 8, hash of the version 8 */
#define WIRE_NOTE_BYTES 12  /* of an announcement or pull: hash of the key 8, of the version 4 */
#define WIRE_CLASSES 3      /* nodes, operators' records, owners' records: each has a root */

struct wire_claim { /* somebody says this of a node */
    struct gs_id id;
    enum gossip_state state; /* ALIVE..LEFT */
    uint64_t boot;           /* >= 1 */
    uint32_t incarnation;
    struct gs_id accuser; /* who suspects it; zero unless SUSPECT or DEAD */
    bool restarting;      /* ALIVE, and it said that it restarts */
    uint32_t age_s;       /* DEAD or LEFT for so long already; 0: just now */
};

struct wire_entry {
    uint64_t key, version;
};

/* A packet has one if the type is not 0. */
enum wire_probe_type {
    WIRE_PING = 1, /* are you `target`? answer with sequence */
    WIRE_ACK,      /* I am */
    WIRE_ASK,      /* ping `target` at `address` for me; answer with ACK, NACK or GONE */
    WIRE_NACK,     /* no answer from it in time, to me neither */
    WIRE_GONE,     /* its host says that nobody listens there, to me too */
};

struct wire_probe {
    enum wire_probe_type type; /* 0: none */
    uint32_t sequence;
    struct gs_id target;    /* PING (8 bytes on the wire, the rest is zero) and ASK */
    struct gs_addr address; /* ASK */
};

enum {                  /* wire_packet.flags */
       WIRE_OPEN = 1,   /* the sender has the mesh's policy */
       WIRE_POLICY = 2, /* it holds any policy at all */
       WIRE_DONE = 4,   /* stream: this side says no more, the other may close */
       WIRE_BUSY = 8,   /* stream: too many already, come back later */
       WIRE_LARGE = 16, /* some of what is announced fits no packet: pull over a stream */
};

/* A list that is a binary string: taken apart by the getters below. */
struct wire_packet {
    uint64_t challenge, echo; /* 0: absent */
    struct wire_probe probe;
    uint32_t flags;
    bool has_roots;
    uint64_t roots[WIRE_CLASSES];
    struct gs_slice claims;   /* n x WIRE_CLAIM_BYTES */
    struct gs_slice marks;    /* n x WIRE_MARK_BYTES: those of them that restart */
    struct gs_slice ages;     /* n x WIRE_AGE_BYTES: of those who are dead or left; or none */
    struct gs_slice announce; /* n x WIRE_NOTE_BYTES: I have these */
    struct gs_slice pull;     /* n x WIRE_NOTE_BYTES: send me these; version 0: whatever you have */
    /* records, each its canonical bytes; an array of binary strings on the wire */
    const struct gs_slice *records;
    size_t record_count;
    /* streams only */
    struct gs_slice buckets;      /* WIRE_CLASSES x DIGEST_BUCKETS x 8, or none */
    uint64_t masks[WIRE_CLASSES]; /* which buckets `entries` tells all about; with has_masks */
    bool has_masks;
    struct gs_slice entries[WIRE_CLASSES]; /* n x WIRE_ENTRY_BYTES; of class nodes always empty:
                                              there the claims are the entries */
    struct gs_slice pad;                   /* ignored */
};

#define WIRE_PACKET_RECORDS_MAX 1024

/* Appends to out; GS_E_LIMIT when it does not fit. Canonical. */
gs_err wire_put_packet(struct gs_buf *out, const struct wire_packet *p) GS_MUST_CHECK;
/* Whole or not at all. Slices point into bytes; records into `records`, WIRE_PACKET_RECORDS_MAX of
 * them. All claims are in range (a malformed one refuses the packet), lengths divide evenly. */
gs_err wire_read_packet(struct gs_slice bytes, struct wire_packet *out, struct gs_slice *records)
    GS_MUST_CHECK;

/* ---- wire_claim.c: claims, and numbers ---- */

void wire_put_claim(char out[WIRE_CLAIM_BYTES], const struct wire_claim *c);
void wire_put_mark(char out[WIRE_MARK_BYTES], size_t claim);

struct wire_claims { /* in the making, with what belongs to them */
    char *claims, *marks, *ages;
    size_t most, count, mark_count, age_count;
};

void wire_claims_init(struct wire_claims *l, size_t most);
void wire_claims_fini(struct wire_claims *l);
void wire_claims_put(struct wire_claims *l, const struct wire_claim *c);
/* Borrowed by the packet. */
void wire_claims_give(const struct wire_claims *l, struct wire_packet *p);

struct wire_claim_at {
    size_t claim, mark, age;
};

/* for (struct wire_claim_at at = { 0 }; wire_next_claim(p, &at, &c);) */
bool wire_next_claim(const struct wire_packet *p, struct wire_claim_at *at, struct wire_claim *out);
/* In range, and all three lists fit each other. */
bool wire_claims_are_sound(const struct wire_packet *p);
void wire_put_u32(char out[4], uint32_t v);
void wire_put_u64(char out[8], uint64_t v);
uint64_t wire_u64(const char *bytes);
uint32_t wire_u32(const char *bytes);
