/* box.h - sealed packets and who sent them: the clear header, replay windows, and the proof that a
 * session is alive now and not a recording (reference/gossip 6.7).
 *
 *     magic and major 1 | epoch 1 | sender 8 | session 8 | sequence 6 | AES-256-GCM(body) | tag 16
 *
 * All integers big endian; sender is the first 8 bytes of its node id. The first 24 bytes are the
 * associated data. Key = HKDF(group key of that epoch, "gossamer packet 1" || sender || session),
 * nonce = 6 zero bytes || sequence. A session is one process start, so its sequence never repeats
 * under its key.
 *
 * What an unknown session says changes nothing until it has echoed a number that we drew for it:
 * a restarted receiver has empty windows, and a recording must not fill them.
 *
 *     A ── ping, challenge a ─▶ B      B does not know A's session: it takes nothing from this
 *     A ◀─ echo a, challenge b ── B    A knows now that B is there; it keeps b for B
 *     A ── echo b, anything ──▶ B      proven: B takes this packet and what follows
 *
 * Datagrams have one window per sender. A stream proves itself by the same echoes in its own first
 * frames and then counts strictly upwards (struct box_stream). */
#pragma once

#include <gossamer/gossip.h>
#include <gossamer/rng.h>
#include <gossamer/seal.h>

#define BOX_HEADER_BYTES 24
#define BOX_OVERHEAD (BOX_HEADER_BYTES + SEAL_TAG_BYTES)

struct box;

/* rng and keys are borrowed for life; rng is the core's own. */
struct box *box_new(const struct gs_id *self, uint64_t session, const struct seal_ring *keys,
                    struct gs_rng *rng);
void box_free(struct box *b);

uint64_t box_name(const struct gs_id *id); /* the sender field of a node */

/* Who a packet says it is from, before anything is opened. False: it is no packet. */
bool box_claims(struct gs_slice bytes, uint64_t *sender);

/* Seal a body: body.len + BOX_OVERHEAD bytes to out. */
void box_seal(struct box *b, struct gs_slice body, char *out);

enum box_verdict {
    BOX_GOOD,    /* of a proven session, not seen before: take it */
    BOX_UNKNOWN, /* authentic, but its session is not proven: look at its tokens only */
    BOX_REFUSED, /* `refusal` says why: count it, answer nothing */
};

struct box_opened {
    enum box_verdict verdict;
    enum gossip_refusal refusal;
    uint64_t sender, session, sequence;
    struct gs_slice body; /* in `plain`; unless refused */
};

/* plain: room for bytes.len. Changes no state but, for BOX_GOOD, the window of its sender and the
 * last sequence of `stream`. With that, the verdict is BOX_GOOD if the stream is proven and the
 * sequence is above its last; order within the window does not matter. */
struct box_stream {
    uint64_t sender, session, last; /* of the peer; 0 until its first frame */
    uint64_t challenge;             /* that it must echo */
    uint64_t echo;                  /* that we owe it; 0: none */
    uint64_t drawn_at;              /* when `challenge` was drawn, on the box's own count */
    bool proven;
};
struct box_opened box_open(struct box *b, struct gs_slice bytes, struct box_stream *stream,
                           char *plain);

/* ---- tokens: what rides in every packet ---- */

struct box_tokens {
    uint64_t challenge, echo; /* 0: absent */
};

/* What the next datagram to this peer should carry: the echo we owe it (in every packet, until it
 * is known to have proven us: it never hurts), and a challenge while its session is not proven.
 * peer 0: whoever lives at an address; the challenge proves each node that answers it first. */
struct box_tokens box_tokens(struct box *b, uint64_t now_ms, uint64_t peer);
/* The tokens of an opened datagram (BOX_GOOD or BOX_UNKNOWN). Returns true if its session is proven
 * from now on by this packet: it may be taken as BOX_GOOD, and counts as seen. False for one that
 * was proven before, and if SESSIONS_MAX others are proven and were heard of within the hour. */
bool box_take(struct box *b, uint64_t now_ms, const struct box_opened *o,
              const struct box_tokens *t) GS_MUST_CHECK;
/* May an answer go to this unknown session now? At most one per sender and CHALLENGE_EVERY_MS;
 * asking uses it up. */
bool box_may_challenge(struct box *b, uint64_t now_ms, uint64_t sender) GS_MUST_CHECK;
bool box_is_proven(const struct box *b, uint64_t peer);

/* The same for a stream. Each side's first frame carries a challenge; a frame is taken once the
 * peer echoed ours. box_stream_take() proves the datagram session, too; it is needed until it has
 * returned true, and harmless after that. */
void box_stream_init(struct box *b, struct box_stream *s);
struct box_tokens box_stream_tokens(const struct box_stream *s);
bool box_stream_take(struct box *b, uint64_t now_ms, struct box_stream *s,
                     const struct box_opened *o, const struct box_tokens *t) GS_MUST_CHECK;

size_t box_sessions(const struct box *b);
void box_check(const struct box *b);
