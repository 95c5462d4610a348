/* outbox.h - packets in the making, and the actions that wait for the caller. */
#pragma once

#include <gossamer/gossip.h>

#include "gossip/wire.h"

#define OUTBOX_ACTIONS_MAX 8192 /* datagrams beyond are dropped and counted: nobody drains */

struct outbox_item {
    struct gossip_action action;
    char *bytes; /* owned */
};

/* A datagram to a peer that may not have proven our session yet: it will take nothing of it, and
 * answer with a challenge. Then it is sent once more. */
struct outbox_kept {
    uint64_t peer, at_ms;
    struct gs_addr to;
    char *body; /* owned; without tokens */
    size_t len;
};

#define OUTBOX_KEPT_MAX 64
#define OUTBOX_KEPT_MS 1000

struct outbox {
    struct outbox_item *items; /* a ring */
    size_t first, count, cap;
    char *handed;                             /* the bytes handed out last */
    struct outbox_kept kept[OUTBOX_KEPT_MAX]; /* oldest first */
    size_t kept_count;
};

void outbox_fini(struct outbox *o);
bool outbox_next(struct outbox *o, struct gossip_action *out);

/* A packet with lists that grow as long as there is room. */
#define PACKET_NOTES_MAX 90
#define PACKET_CLAIMS_MAX 24

struct packet_room {
    struct wire_packet p; /* probe, flags, roots: set by whoever makes it */
    char claims[PACKET_CLAIMS_MAX * WIRE_CLAIM_BYTES];
    char marks[PACKET_CLAIMS_MAX * WIRE_MARK_BYTES];
    char announce[PACKET_NOTES_MAX * WIRE_NOTE_BYTES];
    char pull[PACKET_NOTES_MAX * WIRE_NOTE_BYTES];
    struct gs_slice records[64];
    size_t left; /* bytes for lists */
};

void packet_init(struct packet_room *r);
bool packet_is_empty(const struct packet_room *r);                    /* no list has anything */
bool packet_claim(struct packet_room *r, const struct wire_claim *c); /* false: no room */
bool packet_record(struct packet_room *r, struct gs_slice bytes);     /* borrowed until sent */
bool packet_announce(struct packet_room *r, uint64_t key, uint64_t version);
bool packet_pull(struct packet_room *r, const char note[WIRE_NOTE_BYTES]);
/* Would a record of this length fit into a packet at all? */
bool packet_fits(size_t record_bytes);

struct gossip;
/* Seal and queue it as a datagram for a peer (the first 8 bytes of its id): tokens are added. */
void packet_send(struct gossip *g, uint64_t now_ms, uint64_t peer, const struct gs_addr *to,
                 struct packet_room *r);
/* The peer has challenged us: it can take now what it could not. */
void outbox_resend(struct gossip *g, uint64_t now_ms, uint64_t peer);
/* The packet queued last, if one was since `before` items were there, must not be longer than
 * `max`: it is dropped if it is. */
void outbox_shorten(struct gossip *g, size_t before, size_t max);
/* Seal a frame (owned by the caller), and queue one (taken). */
char *outbox_seal(struct gossip *g, const struct wire_packet *p, size_t *len);
void outbox_frame(struct gossip *g, uint32_t stream, char *bytes, size_t len);
void outbox_open(struct gossip *g, uint32_t stream, const struct gs_addr *to);
void outbox_close(struct gossip *g, uint32_t stream);
