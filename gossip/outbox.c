/* outbox.c - packets in the making, and the queue of actions. A packet is sealed when it is
 * queued: what it says was true then, and its bytes are owned by the queue. */
#include "gossip/outbox.h"

#include <string.h>

#include <gossamer/alloc.h>

#include "gossip/core.h"

/* Room that every packet may need for what is not a list: tokens, probe, flags, roots. */
#define PACKET_FIXED_BYTES 112
#define PACKET_BODY_MAX (PACKET_BYTES_MAX - BOX_OVERHEAD)
#define PACKET_LIST_BYTES (PACKET_BODY_MAX - PACKET_FIXED_BYTES)
#define LIST_HEAD_BYTES 4   /* field number, type and length of a list */
#define RECORD_HEAD_BYTES 3 /* type and length of one of the records */

/* ---- the queue ---- */

void
outbox_fini(struct outbox *o)
{
    for (size_t i = 0; i < o->count; i++)
        gs_free(o->items[(o->first + i) % o->cap].bytes);
    for (size_t i = 0; i < o->kept_count; i++)
        gs_free(o->kept[i].body);
    gs_free(o->handed);
    gs_free(o->items);
    *o = (struct outbox){ 0 };
}

static void
grow(struct outbox *o)
{
    size_t cap = o->cap ? o->cap * 2 : 16;
    struct outbox_item *items = gs_calloc(cap, sizeof(*items));

    for (size_t i = 0; i < o->count; i++)
        items[i] = o->items[(o->first + i) % o->cap];
    gs_free(o->items);
    o->items = items;
    o->first = 0;
    o->cap = cap;
}

static void
push(struct outbox *o, const struct gossip_action *a, char *bytes)
{
    struct outbox_item *at;

    if (o->count == o->cap)
        grow(o);
    GS_ASSERT(o->count < o->cap);
    at = &o->items[(o->first + o->count++) % o->cap];
    *at = (struct outbox_item){ .action = *a, .bytes = bytes };
}

bool
outbox_next(struct outbox *o, struct gossip_action *out)
{
    struct outbox_item *at;

    gs_free(o->handed);
    o->handed = NULL;
    if (o->count == 0)
        return false;
    at = &o->items[o->first];
    *out = at->action;
    o->handed = at->bytes;
    o->first = (o->first + 1) % o->cap;
    o->count--;
    return true;
}

static char *
seal(struct gossip *g, const struct wire_packet *p, size_t body_max, size_t *len)
{
    struct gs_buf body;
    char *bytes;

    gs_buf_init(&body, body_max);
    GS_ASSERT(wire_put_packet(&body, p) == GS_E_OK); /* its maker saw to the room */
    *len = gs_buf_slice(&body).len + BOX_OVERHEAD;
    bytes = gs_alloc(*len);
    box_seal(g->box, gs_buf_slice(&body), bytes);
    gs_buf_fini(&body);
    return bytes;
}

void
outbox_shorten(struct gossip *g, size_t before, size_t max)
{
    struct outbox *o = &g->outbox;
    struct outbox_item *last;

    if (o->count == before)
        return;
    GS_ASSERT(o->count == before + 1);
    last = &o->items[(o->first + o->count - 1) % o->cap];
    if (last->action.bytes.len <= max)
        return;
    gs_free(last->bytes);
    o->count--;
    g->n.sent[GOSSIP_DATAGRAM]--;
    g->n.sent_bytes[GOSSIP_DATAGRAM] -= last->action.bytes.len;
}

char *
outbox_seal(struct gossip *g, const struct wire_packet *p, size_t *len)
{
    return seal(g, p, FRAME_BYTES_MAX - BOX_OVERHEAD, len);
}

void
outbox_frame(struct gossip *g, uint32_t stream, char *bytes, size_t len)
{
    struct gossip_action a = { .type = GOSSIP_STREAM_SEND,
                               .stream = stream,
                               .bytes = gs_slice(bytes, len) };

    GS_ASSERT(stream != 0);
    GS_ASSERT(len <= FRAME_BYTES_MAX);
    g->n.sent[GOSSIP_STREAM]++;
    g->n.sent_bytes[GOSSIP_STREAM] += len;
    push(&g->outbox, &a, bytes);
}

void
outbox_open(struct gossip *g, uint32_t stream, const struct gs_addr *to)
{
    struct gossip_action a = { .type = GOSSIP_STREAM_OPEN, .stream = stream, .address = *to };

    GS_ASSERT(stream != 0);
    push(&g->outbox, &a, NULL);
}

void
outbox_close(struct gossip *g, uint32_t stream)
{
    struct gossip_action a = { .type = GOSSIP_STREAM_CLOSE, .stream = stream };

    GS_ASSERT(stream != 0);
    push(&g->outbox, &a, NULL);
}

/* ---- packets ---- */

void
packet_init(struct packet_room *r)
{
    r->p = (struct wire_packet){ .records = r->records };
    r->left = PACKET_LIST_BYTES;
}

bool
packet_is_empty(const struct packet_room *r)
{
    return r->p.claims.len == 0 && r->p.record_count == 0 && r->p.announce.len == 0 &&
           r->p.pull.len == 0;
}

static bool
append(struct packet_room *r, char *list, size_t cap, struct gs_slice *at, const char *item,
       size_t len)
{
    size_t need = len + (at->len == 0 ? LIST_HEAD_BYTES : 0);

    if (need > r->left || at->len + len > cap)
        return false;
    memcpy(list + at->len, item, len);
    *at = gs_slice(list, at->len + len);
    r->left -= need;
    return true;
}

bool
packet_claim(struct packet_room *r, const struct wire_claim *c)
{
    size_t at = r->p.claims.len / WIRE_CLAIM_BYTES;
    char bytes[WIRE_CLAIM_BYTES], mark[WIRE_MARK_BYTES];

    if (c->restarting && r->left < sizeof(bytes) + sizeof(mark) + 2 * LIST_HEAD_BYTES)
        return false;
    wire_put_claim(bytes, c);
    if (!append(r, r->claims, sizeof(r->claims), &r->p.claims, bytes, sizeof(bytes)))
        return false;
    if (c->restarting) {
        wire_put_mark(mark, at);
        GS_ASSERT(append(r, r->marks, sizeof(r->marks), &r->p.marks, mark, sizeof(mark)));
    }
    return true;
}

bool
packet_announce(struct packet_room *r, uint64_t key, uint64_t version)
{
    char bytes[16];

    wire_put_u64(bytes, key);
    wire_put_u64(bytes + 8, version); /* its first 4 bytes */
    return append(r, r->announce, sizeof(r->announce), &r->p.announce, bytes, WIRE_NOTE_BYTES);
}

bool
packet_pull(struct packet_room *r, const char note[WIRE_NOTE_BYTES])
{
    return append(r, r->pull, sizeof(r->pull), &r->p.pull, note, WIRE_NOTE_BYTES);
}

bool
packet_fits(size_t record_bytes)
{
    return record_bytes + RECORD_HEAD_BYTES + LIST_HEAD_BYTES <= PACKET_LIST_BYTES;
}

bool
packet_record(struct packet_room *r, struct gs_slice bytes)
{
    size_t need = bytes.len + RECORD_HEAD_BYTES + (r->p.record_count == 0 ? LIST_HEAD_BYTES : 0);

    if (need > r->left || r->p.record_count == GS_COUNT(r->records))
        return false;
    r->records[r->p.record_count++] = bytes;
    r->left -= need;
    return true;
}

/* ---- what a peer could not take yet ---- */

static void
kept_remove(struct outbox *o, size_t at)
{
    GS_ASSERT(at < o->kept_count);
    gs_free(o->kept[at].body);
    memmove(&o->kept[at], &o->kept[at + 1], (o->kept_count - at - 1) * sizeof(o->kept[0]));
    o->kept_count--;
}

static void
keep(struct gossip *g, uint64_t now_ms, uint64_t peer, const struct gs_addr *to,
     const struct wire_packet *p)
{
    struct outbox *o = &g->outbox;
    struct gs_buf body;
    struct gs_slice bytes;
    char *copy;

    while (o->kept_count > 0 &&
           (o->kept[0].at_ms + OUTBOX_KEPT_MS <= now_ms || o->kept_count == OUTBOX_KEPT_MAX))
        kept_remove(o, 0);
    gs_buf_init(&body, PACKET_BODY_MAX);
    GS_ASSERT(wire_put_packet(&body, p) == GS_E_OK);
    bytes = gs_buf_slice(&body);
    copy = gs_alloc(bytes.len + 1);
    memcpy(copy, bytes.ptr, bytes.len);
    o->kept[o->kept_count++] = (struct outbox_kept){
        .peer = peer, .at_ms = now_ms, .to = *to, .body = copy, .len = bytes.len
    };
    gs_buf_fini(&body);
}

static void
queue_packet(struct gossip *g, const struct gs_addr *to, const struct box_tokens *t,
             struct wire_packet *p)
{
    struct gossip_action a = { .type = GOSSIP_SEND, .address = *to };
    size_t len;
    char *bytes;

    if (g->outbox.count >= OUTBOX_ACTIONS_MAX) {
        g->n.actions_dropped++;
        return;
    }
    p->challenge = t->challenge;
    p->echo = t->echo;
    p->flags |= gossip_flags(g);
    bytes = seal(g, p, PACKET_BODY_MAX, &len);
    a.bytes = gs_slice(bytes, len);
    g->n.sent[GOSSIP_DATAGRAM]++;
    g->n.sent_bytes[GOSSIP_DATAGRAM] += len;
    push(&g->outbox, &a, bytes);
}

void
packet_send(struct gossip *g, uint64_t now_ms, uint64_t peer, const struct gs_addr *to,
            struct packet_room *r)
{
    struct box_tokens t = box_tokens(g->box, now_ms, peer);

    if ((t.challenge != 0 || t.echo != 0) && !(packet_is_empty(r) && r->p.probe.type == 0))
        keep(g, now_ms, peer, to, &r->p);
    queue_packet(g, to, &t, &r->p);
}

/* A bare ping that was answered with the challenge is not. */
static bool
is_still_wanted(const struct gossip *g, const struct wire_packet *p)
{
    return p->probe.type != WIRE_PING || p->claims.len > 0 || p->record_count > 0 ||
           p->announce.len > 0 || p->pull.len > 0 || probe_awaits(g, p->probe.sequence);
}

void
outbox_resend(struct gossip *g, uint64_t now_ms, uint64_t peer)
{
    struct gs_slice records[WIRE_PACKET_RECORDS_MAX];
    struct outbox *o = &g->outbox;
    struct box_tokens t = box_tokens(g->box, now_ms, peer);

    for (size_t i = 0; i < o->kept_count;) {
        struct outbox_kept *k = &o->kept[i];
        struct wire_packet p;

        if (k->peer != peer) {
            i++;
            continue;
        }
        GS_ASSERT(wire_read_packet(gs_slice(k->body, k->len), &p, records) == GS_E_OK);
        if (k->at_ms + OUTBOX_KEPT_MS > now_ms && is_still_wanted(g, &p))
            queue_packet(g, &k->to, &t, &p);
        kept_remove(o, i);
    }
}
