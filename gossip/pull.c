/* pull.c - announcements and what is asked for because of them, in datagrams. A record is pulled
 * from one peer at a time, though everybody announces it; what fits no packet goes over a
 * stream. */
#include "gossip/pull.h"

#include <string.h>

#include "gossip/core.h"

#define PULL_AGAIN_MS 100
#define PULL_PACKETS_MAX 4

static bool
pulled_lately(struct syncs *s, uint64_t now_ms, const char *note)
{
    for (size_t i = 0; i < GS_COUNT(s->pulled); i++) {
        if (s->pulled[i].at_ms + PULL_AGAIN_MS > now_ms && s->pulled[i].at_ms != 0 &&
            memcmp(s->pulled[i].note, note, WIRE_NOTE_BYTES) == 0)
            return true;
    }
    memcpy(s->pulled[s->pulled_next % GS_COUNT(s->pulled)].note, note, WIRE_NOTE_BYTES);
    s->pulled[s->pulled_next++ % GS_COUNT(s->pulled)].at_ms = now_ms;
    return false;
}

/* Collects those that are not here into `wanted`; the others were heard once more. */
static size_t
sift(struct gossip *g, uint64_t now_ms, struct gs_slice notes, char *wanted)
{
    size_t len = 0;

    GS_ASSERT(notes.len % WIRE_NOTE_BYTES == 0);
    for (size_t i = 0; i < notes.len / WIRE_NOTE_BYTES; i++) {
        const char *note = notes.ptr + i * WIRE_NOTE_BYTES;
        struct record *r = store_find_hash(&g->records.store, wire_u64(note));

        if (r && (uint32_t)(record_digest(r) >> 32) == wire_u32(note + 8)) {
            rumor_heard(&r->rumor);
            continue;
        }
        if (pulled_lately(&g->syncs, now_ms, note))
            continue;
        memcpy(wanted + len, note, WIRE_NOTE_BYTES);
        len += WIRE_NOTE_BYTES;
    }
    return len;
}

void
pull_announced(struct gossip *g, uint64_t now_ms, uint64_t peer, const struct gs_addr *from,
               struct gs_slice notes, bool large)
{
    char wanted[PACKET_NOTES_MAX * WIRE_NOTE_BYTES];
    struct packet_room room;
    size_t len;

    if (notes.len > sizeof(wanted))
        notes.len = sizeof(wanted);
    len = sift(g, now_ms, notes, wanted);
    if (len == 0)
        return;
    if (large) {
        sync_pull(g, now_ms, from, gs_slice(wanted, len));
        return;
    }
    packet_init(&room);
    for (size_t at = 0; at < len; at += WIRE_NOTE_BYTES)
        (void)packet_pull(&room, wanted + at);
    packet_send(g, now_ms, peer, from, &room);
}

struct pulled { /* the answer to a pull */
    uint64_t peer;
    const struct gs_addr *to;
    struct packet_room room;
    size_t packets; /* sent */
};

static void
put_pulled(struct gossip *g, uint64_t now_ms, struct pulled *out, const struct version *v)
{
    if (out->packets >= PULL_PACKETS_MAX || !packet_fits(v->r.bytes.len) ||
        packet_record(&out->room, v->r.bytes))
        return;
    GS_ASSERT(!packet_is_empty(&out->room)); /* else there had been room: it fits a packet */
    packet_send(g, now_ms, out->peer, out->to, &out->room);
    packet_init(&out->room);
    if (++out->packets < PULL_PACKETS_MAX)
        (void)packet_record(&out->room, v->r.bytes);
}

void
pull_asked(struct gossip *g, uint64_t now_ms, uint64_t peer, const struct gs_addr *from,
           struct gs_slice notes)
{
    struct pulled out = { .peer = peer, .to = from };

    packet_init(&out.room);
    for (size_t i = 0; i < notes.len / WIRE_NOTE_BYTES && out.packets < PULL_PACKETS_MAX; i++) {
        const struct record *r =
            store_find_hash(&g->records.store, wire_u64(notes.ptr + i * WIRE_NOTE_BYTES));

        if (!r)
            continue;
        put_pulled(g, now_ms, &out, r->present);
        for (unsigned k = 0; k < r->former_count; k++) {
            if (r->former[k].conflict)
                put_pulled(g, now_ms, &out, r->former[k].v);
        }
    }
    if (!packet_is_empty(&out.room))
        packet_send(g, now_ms, peer, from, &out.room);
}
