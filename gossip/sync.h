/* sync.h - streams: two nodes find out what one has and the other has not, and exchange just that.
 *
 *     client                                              server
 *       ── challenge ───────────────────────────────────▶
 *       ◀─ echo, challenge ──────────────────────────────
 *       ── echo, buckets, own claim and record ─────────▶   64 sums per class
 *       ◀─ masks, entries and claims of buckets that differ, own claim and record
 *       ── claims, pull, records ... done ──────────────▶   what it has, and what it wants
 *       ◀─ records ... done ─────────────────────────────
 *
 * The same streams carry a pull of records too large for a packet, and the TCP side of a probe. */
#pragma once

#include <gossamer/gossip.h>

#include "gossip/box.h"
#include "gossip/wire.h"

struct member;

enum sync_purpose { SYNC_DIGEST, SYNC_PULL, SYNC_PROBE, SYNC_SERVE };

enum sync_state {
    SYNC_CONNECTING, /* client */
    SYNC_HELLO,      /* client: waits for echo and challenge; server: for the first frame */
    SYNC_PROVING,    /* server: waits for the echo */
    SYNC_ASKED,      /* client: buckets are sent, masks are waited for; or the pull, or the ping */
    SYNC_GIVING,     /* records go out */
    SYNC_WAITING,    /* all is sent, the other's end is waited for */
    SYNC_ENDED,
};

#define SYNC_HELD_MAX 4 /* frames that answer frames; more is a peer that breaks the protocol */

struct sync {
    bool used;
    uint32_t stream;
    enum sync_purpose purpose;
    enum sync_state state;
    struct gs_addr address;
    struct box_stream box;
    uint64_t deadline_ms;
    bool sending; /* a frame is on its way out */
    bool join;    /* opened to find anybody at all */
    bool done_in; /* the other said that it is through */
    bool done_out;
    uint64_t *give; /* hashes of the keys still to be sent */
    size_t give_count, give_at, give_cap;
    char *pull; /* notes */
    size_t pull_len;
    struct sync_frame { /* sealed; waits until the one before it is out */
        char *bytes;
        size_t len;
    } held[SYNC_HELD_MAX];
    size_t held_count;
};

#define SYNCS_MAX (SYNC_OUT_MAX + 2 + SYNC_IN_MAX + PROBE_STREAMS_MAX)

struct syncs {
    struct sync all[SYNCS_MAX];
    uint32_t next_stream;
    uint64_t differ_ms; /* since when roots were seen to differ; 0: they do not */
    uint64_t quiet_ms;  /* no digest exchange is begun before */
    uint64_t pause_ms;  /* from one to the next: longer while they do not help */
    struct {
        char note[WIRE_NOTE_BYTES];
        uint64_t at_ms;
    } pulled[64]; /* asked for lately: not from everybody who has it */
    size_t pulled_next;
};

void syncs_init(struct syncs *s);
void syncs_fini(struct syncs *s);
/* Begin a digest exchange with whoever is at this address. GS_E_LIMIT: enough are under way. */
gs_err sync_start(struct gossip *g, uint64_t now_ms, const struct gs_addr *to, bool join)
    GS_MUST_CHECK;
/* The same with one who may well be dead, if no other exchange is under way: a host that is gone
 * answers nothing, and takes a place for all of SYNC_TIMEOUT_MS. */
void sync_contact(struct gossip *g, uint64_t now_ms, const struct gs_addr *to);
/* A peer's roots, out of a probe: exchange digests if they differ and nothing is on its way. */
void sync_roots(struct gossip *g, uint64_t now_ms, const struct gs_addr *peer,
                const uint64_t *roots);
/* Fetch these records (notes), too large for a packet, over a stream. */
void sync_pull(struct gossip *g, uint64_t now_ms, const struct gs_addr *from,
               struct gs_slice notes);
void sync_give(struct sync *s, uint64_t key); /* one more record that the other lacks */
uint32_t sync_probe(struct gossip *g, uint64_t now_ms, const struct gs_addr *to); /* 0: no room */
void sync_abandon(struct gossip *g, uint32_t stream);
void syncs_tick(struct gossip *g, uint64_t now_ms);
uint64_t syncs_deadline_ms(const struct gossip *g);
void syncs_check(const struct gossip *g);
