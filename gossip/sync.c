/* sync.c - streams to other nodes. Start reading at on_frame().
 *
 * Digests are sums over 64 buckets of what was received, never of what this version understands
 * of it, so nodes of two versions agree (reference/gossip 6.3). A record is named by the hash of
 * its key, a version by the start of its own hash. One exchange leaves both sides with the union of
 * what they had; who wins between two versions is decided by merging, not here. */
#include "gossip/sync.h"

#include <stdlib.h>
#include <string.h>

#include <gossamer/alloc.h>

#include "gossip/core.h"
#include "gossip/digest.h"

#define ROOT_PATIENCE_MS 1000   /* roots that differ for this long differ for no passing reason */
#define ROOT_PAUSE_MS 250       /* from one digest exchange to the next */
#define ROOT_PAUSE_MAX_MS 60000 /* when exchanges leave a difference, again and again */
/* Of one key in a frame: as many conflicts as are kept, each of the longest value, fit. */
#define VERSIONS_BYTES_MAX (FRAME_BYTES_MAX - FRAME_BYTES_MAX / 8)

/* ---- the table ---- */

void
syncs_init(struct syncs *s)
{
    *s = (struct syncs){ .next_stream = 1, .pause_ms = ROOT_PAUSE_MS };
}

static void
end(struct sync *s)
{
    for (size_t i = 0; i < s->held_count; i++)
        gs_free(s->held[i].bytes);
    gs_free(s->give);
    gs_free(s->pull);
    *s = (struct sync){ 0 };
}

void
syncs_fini(struct syncs *s)
{
    for (size_t i = 0; i < SYNCS_MAX; i++)
        end(&s->all[i]);
}

static struct sync *
find(struct gossip *g, uint32_t stream)
{
    for (size_t i = 0; i < SYNCS_MAX; i++) {
        if (g->syncs.all[i].used && g->syncs.all[i].stream == stream)
            return &g->syncs.all[i];
    }
    return NULL;
}

static size_t
count(const struct gossip *g, enum sync_purpose purpose)
{
    size_t n = 0;

    for (size_t i = 0; i < SYNCS_MAX; i++)
        n += g->syncs.all[i].used && g->syncs.all[i].purpose == purpose;
    return n;
}

static struct sync *
take_slot(struct gossip *g, uint64_t now_ms, enum sync_purpose purpose)
{
    for (size_t i = 0; i < SYNCS_MAX; i++) {
        struct sync *s = &g->syncs.all[i];

        if (s->used)
            continue;
        *s = (struct sync){ .used = true,
                            .stream = g->syncs.next_stream++,
                            .purpose = purpose,
                            .deadline_ms = now_ms + SYNC_TIMEOUT_MS };
        if (g->syncs.next_stream == 0)
            g->syncs.next_stream = 1;
        box_stream_init(g->box, &s->box);
        return s;
    }
    return NULL;
}

/* We close it: the caller of the core hears of it by an action, and says no more about it. */
static void
finish(struct gossip *g, struct sync *s)
{
    GS_ASSERT(s->used);
    outbox_close(g, s->stream);
    end(s);
}

static void
fail(struct gossip *g, uint64_t now_ms, struct sync *s)
{
    uint32_t stream = s->stream;
    bool probe = s->purpose == SYNC_PROBE;

    g->n.syncs_failed += s->purpose != SYNC_SERVE && !probe;
    finish(g, s);
    if (probe)
        probe_stream_done(g, now_ms, stream, false, false);
}

/* ---- frames out ---- */

static void
send_frame(struct gossip *g, struct sync *s, struct wire_packet *p)
{
    struct box_tokens t = box_stream_tokens(&s->box);
    size_t len;
    char *bytes;

    p->challenge = t.challenge;
    p->echo = t.echo;
    p->flags |= gossip_flags(g);
    p->has_roots = s->purpose != SYNC_PROBE;
    gossip_roots(g, p->roots);
    bytes = outbox_seal(g, p, &len);
    if (!s->sending) {
        s->sending = true;
        outbox_frame(g, s->stream, bytes, len);
        return;
    }
    GS_ASSERT(s->held_count < SYNC_HELD_MAX);
    s->held[s->held_count++] = (struct sync_frame){ bytes, len };
}

/* Claims of this node and of members whose bucket is in the mask, this node's first. With ages: who
 * hears only now of somebody who is gone shall not remember it for longer than we. */
static void
put_claims(const struct gossip *g, uint64_t now_ms, uint64_t mask, struct wire_claims *l,
           struct wire_packet *p)
{
    struct wire_claim c = member_own_claim(g);

    wire_claims_init(l, g->members.count + 1);
    wire_claims_put(l, &c);
    for (size_t i = 0; i < g->members.count; i++) {
        const struct member_hot *h = &g->members.hot[i];

        if (h->state == GOSSIP_UNKNOWN || !(mask >> (h->cold->id.bytes[0] >> 2) & 1))
            continue;
        c = member_claim(g, h->cold);
        c.age_s = (uint32_t)((now_ms - h->since_ms) / 1000);
        wire_claims_put(l, &c);
    }
    wire_claims_give(l, p);
}

/* This node's own record: whoever hears the claim needs its address. */
static size_t
own_record(const struct gossip *g, struct gs_slice out[1])
{
    struct gossip_record r;

    if (!records_find(&g->records, GOSSIP_OWNER, &g->self, GS_SLICE("node"), &r))
        return 0;
    out[0] = r.bytes;
    return 1;
}

static void
send_buckets(struct gossip *g, uint64_t now_ms, struct sync *s)
{
    uint64_t sums[WIRE_CLASSES][DIGEST_BUCKETS];
    char bytes[sizeof(sums)];
    struct wire_claims claims;
    struct gs_slice record[1];
    struct wire_packet p = { .records = record, .record_count = own_record(g, record) };

    digest_sums(g, sums);
    for (size_t i = 0; i < sizeof(bytes) / 8; i++)
        wire_put_u64(bytes + 8 * i, (&sums[0][0])[i]);
    put_claims(g, now_ms, 0, &claims, &p);
    p.buckets = gs_slice(bytes, sizeof(bytes));
    send_frame(g, s, &p);
    wire_claims_fini(&claims);
}

static void
send_ask(struct gossip *g, uint64_t now_ms, struct sync *s)
{
    struct wire_packet p = { 0 };

    switch (s->purpose) {
    case SYNC_DIGEST:
        send_buckets(g, now_ms, s);
        break;
    case SYNC_PULL:
        p.pull = gs_slice(s->pull, s->pull_len);
        p.flags = WIRE_DONE;
        s->done_out = true;
        send_frame(g, s, &p);
        break;
    case SYNC_PROBE:
        p.probe = (struct wire_probe){ .type = WIRE_PING, .target = g->probes.own.target };
        p.flags = WIRE_DONE;
        s->done_out = true;
        send_frame(g, s, &p);
        break;
    case SYNC_SERVE:
        break;
    }
    s->state = SYNC_ASKED;
}

/* The server's answer to buckets: what it has in those that differ. */
static void
send_masks(struct gossip *g, uint64_t now_ms, struct sync *s, struct gs_slice buckets)
{
    uint64_t sums[WIRE_CLASSES][DIGEST_BUCKETS];
    struct gs_buf entries[WIRE_CLASSES];
    struct gs_slice record[1];
    struct wire_packet p = { .has_masks = true,
                             .records = record,
                             .record_count = own_record(g, record) };
    struct wire_claims claims;

    digest_sums(g, sums);
    for (unsigned c = 0; c < WIRE_CLASSES; c++) {
        gs_buf_init(&entries[c], RECORDS_MAX * WIRE_ENTRY_BYTES);
        for (unsigned b = 0; b < DIGEST_BUCKETS; b++) {
            if (wire_u64(buckets.ptr + 8 * (c * DIGEST_BUCKETS + b)) != sums[c][b])
                p.masks[c] |= UINT64_C(1) << b;
        }
        if (c > 0 && digest_entries(g, (enum gossip_class)c, p.masks[c], &entries[c]) > 0)
            p.entries[c] = gs_buf_slice(&entries[c]);
    }
    put_claims(g, now_ms, p.masks[0], &claims, &p);
    send_frame(g, s, &p);
    for (unsigned c = 0; c < WIRE_CLASSES; c++)
        gs_buf_fini(&entries[c]);
    wire_claims_fini(&claims);
}

/* ---- what goes to the other side ---- */

void
sync_give(struct sync *s, uint64_t key)
{
    if (s->give_count >= RECORDS_MAX)
        return;
    if (s->give_count == s->give_cap) {
        s->give_cap = s->give_cap ? s->give_cap * 2 : 64;
        s->give = gs_realloc(s->give, s->give_cap * sizeof(*s->give));
    }
    s->give[s->give_count++] = key;
}

/* Its present version, and those that lost against it unseen: every node lists conflicts. */
static void
put_versions(const struct record *r, struct gs_slice *list, size_t *count_, size_t *bytes)
{
    list[(*count_)++] = r->present->r.bytes;
    *bytes += r->present->r.bytes.len;
    for (unsigned i = 0; i < r->former_count; i++) {
        if (!r->former[i].conflict || *bytes + r->former[i].v->r.bytes.len > VERSIONS_BYTES_MAX)
            continue;
        list[(*count_)++] = r->former[i].v->r.bytes;
        *bytes += r->former[i].v->r.bytes.len;
    }
}

static bool
fits_frame(const struct record *r, size_t bytes)
{
    size_t most = r->present->r.bytes.len;

    for (unsigned i = 0; i < r->former_count; i++)
        most += r->former[i].conflict ? r->former[i].v->r.bytes.len : 0;
    return bytes == 0 || bytes + most <= STREAM_CHUNK_BYTES;
}

/* One frame of records; the last one says that it is the last. */
static void
send_records(struct gossip *g, struct sync *s)
{
    struct gs_slice *list = gs_calloc(WIRE_PACKET_RECORDS_MAX, sizeof(*list));
    struct wire_packet p = { .records = list };
    size_t bytes = 0;
    size_t spare = RECORD_HISTORY_MAX + 1;

    while (s->give_at < s->give_count && p.record_count + spare <= WIRE_PACKET_RECORDS_MAX) {
        const struct record *r = store_find_hash(&g->records.store, s->give[s->give_at]);

        if (r && !fits_frame(r, bytes))
            break;
        s->give_at++;
        if (r)
            put_versions(r, list, &p.record_count, &bytes);
    }
    if (s->give_at == s->give_count && (s->purpose != SYNC_SERVE || s->done_in)) {
        p.flags = WIRE_DONE;
        s->done_out = true;
    }
    send_frame(g, s, &p);
    gs_free(list);
}

/* Something to send, and nothing on its way? */
static void
pump(struct gossip *g, struct sync *s)
{
    if (s->sending || s->done_out || s->state != SYNC_GIVING)
        return;
    if (s->give_at < s->give_count || s->purpose != SYNC_SERVE || s->done_in)
        send_records(g, s);
}

/* ---- frames in ---- */

/* The client's answer to masks. */
static void
on_masks(struct gossip *g, uint64_t now_ms, struct sync *s, const struct wire_packet *p)
{
    struct wire_claims claims;
    struct wire_packet out = { 0 };
    struct gs_buf pull;

    put_claims(g, now_ms, p->masks[0], &claims, &out);
    gs_buf_init(&pull, RECORDS_MAX * WIRE_NOTE_BYTES);
    for (enum gossip_class c = GOSSIP_OPERATOR; c <= GOSSIP_OWNER; c++) {
        digest_wants(g, p, c, &pull);
        digest_gives(g, p, c, s);
    }
    out.pull = gs_buf_slice(&pull);
    send_frame(g, s, &out);
    gs_buf_fini(&pull);
    wire_claims_fini(&claims);
    s->state = SYNC_GIVING;
}

static void
on_pull(struct gossip *g, struct sync *s, struct gs_slice notes)
{
    for (size_t i = 0; i < notes.len / WIRE_NOTE_BYTES; i++) {
        uint64_t key = wire_u64(notes.ptr + i * WIRE_NOTE_BYTES);

        if (store_find_hash(&g->records.store, key))
            sync_give(s, key);
    }
}

/* Enough others are being served: the rest of the streams is for probes. */
static bool
is_busy(const struct gossip *g)
{
    size_t serving = 0;

    for (size_t i = 0; i < SYNCS_MAX; i++) {
        const struct sync *s = &g->syncs.all[i];

        serving += s->used && s->purpose == SYNC_SERVE && s->state == SYNC_GIVING;
    }
    return serving >= SYNC_IN_MAX;
}

static void
say_busy(struct gossip *g, struct sync *s)
{
    struct wire_packet out = { .flags = WIRE_BUSY | WIRE_DONE };

    s->done_out = true;
    send_frame(g, s, &out);
}

static void
serve(struct gossip *g, uint64_t now_ms, struct sync *s, const struct wire_packet *p)
{
    struct wire_packet out = { 0 };

    if (p->probe.type == WIRE_PING) {
        out.probe = (struct wire_probe){ .type = WIRE_ACK, .sequence = p->probe.sequence };
        out.flags = WIRE_DONE;
        s->done_out = true;
        if (box_name(&p->probe.target) != box_name(&g->self))
            out.probe.type = 0; /* this address was another's */
        send_frame(g, s, &out);
        return;
    }
    if (s->state != SYNC_GIVING && is_busy(g)) {
        say_busy(g, s);
        return;
    }
    s->state = SYNC_GIVING;
    if (p->buckets.len > 0)
        send_masks(g, now_ms, s, p->buckets);
    on_pull(g, s, p->pull);
    if (p->flags & WIRE_DONE)
        s->done_in = true;
    pump(g, s);
}

static void
on_end(struct gossip *g, uint64_t now_ms, struct sync *s)
{
    g->n.syncs += s->purpose == SYNC_DIGEST;
    if (s->purpose == SYNC_DIGEST)
        g->syncs.quiet_ms = now_ms + g->syncs.pause_ms;
    finish(g, s);
}

/* Both have all that the other had. If that left a difference, it is of a kind that exchanges do
 * not mend (a clock far off, a record that one of them refuses): ask less often. */
static void
judge_outcome(struct gossip *g, const struct sync *s, const struct wire_packet *p)
{
    uint64_t ours[WIRE_CLASSES];

    if (s->purpose != SYNC_DIGEST || !p->has_roots)
        return;
    standing_exchanged(g, p->flags);
    gossip_roots(g, ours);
    if (memcmp(ours, p->roots, sizeof(ours)) == 0)
        g->syncs.pause_ms = ROOT_PAUSE_MS;
    else if (g->syncs.pause_ms < ROOT_PAUSE_MAX_MS)
        g->syncs.pause_ms *= 2;
}

/* Over the stream of a probe. If it is the one we meant, no datagram passes between us: what we
 * tell others will not come there, nor what they say there to us, unless by an exchange. That is
 * begun, and put off, just as behind a ping, whose roots this answer brings. */
static void
on_probe_reply(struct gossip *g, uint64_t now_ms, struct sync *s, const struct wire_packet *p)
{
    struct gs_addr address = s->address;
    uint32_t stream = s->stream;
    bool good = p->probe.type == WIRE_ACK;

    GS_ASSERT(s->purpose == SYNC_PROBE);
    finish(g, s);
    probe_stream_done(g, now_ms, stream, good, false);
    if (good && p->has_roots)
        sync_roots(g, now_ms, &address, p->roots);
}

static void
on_reply(struct gossip *g, uint64_t now_ms, struct sync *s, const struct wire_packet *p)
{
    if (s->purpose == SYNC_PROBE) {
        on_probe_reply(g, now_ms, s, p);
        return;
    }
    if (p->flags & WIRE_BUSY) {
        g->n.syncs_busy++;
        finish(g, s);
        return;
    }
    if (p->has_masks && s->state == SYNC_ASKED && s->purpose == SYNC_DIGEST) {
        on_masks(g, now_ms, s, p);
        pump(g, s);
    }
    if (p->flags & WIRE_DONE) {
        s->done_in = true;
        judge_outcome(g, s, p);
    }
    if (s->done_in && s->done_out && !s->sending)
        on_end(g, now_ms, s);
}

/* Its first frames prove both sides; until then nothing in them is looked at. */
static void
on_unproven(struct gossip *g, struct sync *s)
{
    struct wire_packet hello = { 0 };

    GS_ASSERT(s->purpose == SYNC_SERVE);
    send_frame(g, s, &hello);
    s->state = SYNC_PROVING;
}

static void
on_frame(struct gossip *g, uint64_t now_ms, uint64_t wall_ms, struct sync *s,
         const struct wire_packet *p)
{
    uint32_t stream = s->stream;
    struct member *m = members_find_name(&g->members, s->box.sender);

    s->deadline_ms = now_ms + SYNC_TIMEOUT_MS;
    if (s->state == SYNC_HELLO && s->purpose != SYNC_SERVE) {
        send_ask(g, now_ms, s);
        return;
    }
    gossip_take(g, now_ms, wall_ms, m ? &m->id : NULL, p, true);
    if (m)
        member_heard(m, now_ms);
    if (p->has_roots)
        standing_heard(g, now_ms, p->flags, p->roots);
    s = find(g, stream);
    GS_ASSERT(s); /* taking ends no stream */
    if (s->purpose == SYNC_SERVE)
        serve(g, now_ms, s, p);
    else
        on_reply(g, now_ms, s, p);
}

/* ---- the caller's side ---- */

uint32_t
gossip_stream_accept(struct gossip *g, uint64_t now_ms, const struct gs_addr *from)
{
    struct sync *s;

    if (!g->box || g->members.leaving ||
        count(g, SYNC_SERVE) >= SYNC_IN_MAX + PROBE_STREAMS_MAX / 2 ||
        !(s = take_slot(g, now_ms, SYNC_SERVE)))
        return 0;
    s->address = *from;
    s->state = SYNC_HELLO;
    return s->stream;
}

void
gossip_stream_opened(struct gossip *g, uint64_t now_ms, uint32_t stream)
{
    struct sync *s = find(g, stream);
    struct wire_packet hello = { 0 };

    if (!s)
        return; /* abandoned meanwhile */
    GS_ASSERT(s->state == SYNC_CONNECTING);
    s->deadline_ms = now_ms + SYNC_TIMEOUT_MS;
    s->state = SYNC_HELLO;
    send_frame(g, s, &hello);
}

static bool
refuse_frame(struct gossip *g, uint64_t now_ms, struct sync *s, enum gossip_refusal why)
{
    g->n.refused_packets[why]++;
    fail(g, now_ms, s);
    return false;
}

/* Is it what may come now, from who it should be? Else the stream ends. */
static bool
admit(struct gossip *g, uint64_t now_ms, struct sync *s, const struct box_opened *o,
      const struct wire_packet *p)
{
    struct box_tokens t = { p->challenge, p->echo };
    bool proven = o->verdict == BOX_GOOD;

    if (!proven)
        proven = box_stream_take(g->box, now_ms, &s->box, o, &t);
    if (proven)
        return true;
    if (s->purpose == SYNC_SERVE && s->state == SYNC_HELLO) {
        on_unproven(g, s);
        return false;
    }
    return refuse_frame(g, now_ms, s, GOSSIP_REFUSAL_UNKNOWN);
}

void
gossip_stream_frame(struct gossip *g, uint64_t now_ms, uint64_t wall_ms, uint32_t stream,
                    struct gs_slice bytes)
{
    struct sync *s = find(g, stream);
    struct gs_slice *records;
    struct box_opened o;
    struct wire_packet p;
    char *plain;

    if (!s)
        return;
    g->n.received[GOSSIP_STREAM]++;
    g->n.received_bytes[GOSSIP_STREAM] += bytes.len;
    if (bytes.len > FRAME_BYTES_MAX || s->state == SYNC_CONNECTING) {
        (void)refuse_frame(g, now_ms, s, GOSSIP_REFUSAL_JUNK);
        return;
    }
    plain = gs_alloc(bytes.len + 1);
    o = box_open(g->box, bytes, &s->box, plain);
    if (o.verdict == BOX_REFUSED) {
        (void)refuse_frame(g, now_ms, s, o.refusal);
        gs_free(plain);
        return;
    }
    records = gs_calloc(WIRE_PACKET_RECORDS_MAX, sizeof(*records));
    if (wire_read_packet(o.body, &p, records) != GS_E_OK || s->held_count == SYNC_HELD_MAX)
        (void)refuse_frame(g, now_ms, s, GOSSIP_REFUSAL_MALFORMED);
    else if (admit(g, now_ms, s, &o, &p))
        on_frame(g, now_ms, wall_ms, s, &p);
    gs_free(records);
    gs_free(plain);
}

void
gossip_stream_sent(struct gossip *g, uint64_t now_ms, uint32_t stream)
{
    struct sync *s = find(g, stream);

    if (!s)
        return;
    GS_ASSERT(s->sending);
    s->sending = false;
    s->deadline_ms = now_ms + SYNC_TIMEOUT_MS;
    if (s->held_count > 0) {
        struct sync_frame f = s->held[0];

        memmove(&s->held[0], &s->held[1], --s->held_count * sizeof(f));
        s->sending = true;
        outbox_frame(g, stream, f.bytes, f.len);
        return;
    }
    pump(g, s);
    if (s->done_in && s->done_out && !s->sending && s->purpose != SYNC_SERVE)
        on_end(g, now_ms, s);
}

void
gossip_stream_closed(struct gossip *g, uint64_t now_ms, uint32_t stream, bool refused)
{
    struct sync *s = find(g, stream);
    struct gs_addr address;
    bool probe, join;

    if (!s)
        return;
    probe = s->purpose == SYNC_PROBE;
    join = s->join;
    address = s->address;
    g->n.syncs_failed += !probe && s->purpose != SYNC_SERVE;
    end(s);
    if (probe)
        probe_stream_done(g, now_ms, stream, false, refused);
    else if (refused && !join)
        probe_unreachable(g, now_ms, &address);
}

/* ---- beginning ---- */

static struct sync *
open_to(struct gossip *g, uint64_t now_ms, const struct gs_addr *to, enum sync_purpose purpose)
{
    struct sync *s = take_slot(g, now_ms, purpose);

    if (!s)
        return NULL;
    s->address = *to;
    s->state = SYNC_CONNECTING;
    outbox_open(g, s->stream, to);
    return s;
}

gs_err
sync_start(struct gossip *g, uint64_t now_ms, const struct gs_addr *to, bool join)
{
    size_t most = SYNC_OUT_MAX + (join ? 2 : 0);
    struct sync *s;

    if (count(g, SYNC_DIGEST) + count(g, SYNC_PULL) >= most)
        return GS_E_LIMIT;
    for (size_t i = 0; i < SYNCS_MAX; i++) { /* one at a time with the same peer */
        s = &g->syncs.all[i];
        if (s->used && s->purpose == SYNC_DIGEST && gs_addr_eq(&s->address, to))
            return GS_E_LIMIT;
    }
    s = open_to(g, now_ms, to, SYNC_DIGEST);
    if (!s)
        return GS_E_LIMIT;
    s->join = join;
    g->syncs.quiet_ms = now_ms + ROOT_PAUSE_MS;
    return GS_E_OK;
}

void
sync_contact(struct gossip *g, uint64_t now_ms, const struct gs_addr *to)
{
    if (count(g, SYNC_DIGEST) + count(g, SYNC_PULL) == 0)
        (void)!sync_start(g, now_ms, to, true);
}

void
sync_pull(struct gossip *g, uint64_t now_ms, const struct gs_addr *from, struct gs_slice notes)
{
    struct sync *s;

    if (count(g, SYNC_DIGEST) + count(g, SYNC_PULL) >= SYNC_OUT_MAX + 2 ||
        !(s = open_to(g, now_ms, from, SYNC_PULL)))
        return; /* roots will differ */
    s->pull = gs_alloc(notes.len);
    memcpy(s->pull, notes.ptr, notes.len);
    s->pull_len = notes.len;
}

uint32_t
sync_probe(struct gossip *g, uint64_t now_ms, const struct gs_addr *to)
{
    struct sync *s;

    if (count(g, SYNC_PROBE) >= PROBE_STREAMS_MAX || !(s = open_to(g, now_ms, to, SYNC_PROBE)))
        return 0;
    return s->stream;
}

void
sync_abandon(struct gossip *g, uint32_t stream)
{
    struct sync *s = find(g, stream);

    if (s)
        finish(g, s);
}

void
sync_roots(struct gossip *g, uint64_t now_ms, const struct gs_addr *peer, const uint64_t *roots)
{
    struct syncs *s = &g->syncs;
    uint64_t ours[WIRE_CLASSES];
    bool moving = !gs_list_empty(&g->rumors.claims) || !gs_list_empty(&g->rumors.records);

    gossip_roots(g, ours);
    if (memcmp(ours, roots, sizeof(ours)) == 0) {
        s->differ_ms = 0;
        s->pause_ms = ROOT_PAUSE_MS;
        return;
    }
    if (s->differ_ms == 0)
        s->differ_ms = now_ms;
    /* What is still being told will most likely arrive by itself. */
    if (now_ms < s->quiet_ms || (moving && now_ms - s->differ_ms < ROOT_PATIENCE_MS))
        return;
    if (sync_start(g, now_ms, peer, false) == GS_E_OK)
        s->differ_ms = 0;
}

/* ---- time ---- */

void
syncs_tick(struct gossip *g, uint64_t now_ms)
{
    for (size_t i = 0; i < SYNCS_MAX; i++) {
        if (g->syncs.all[i].used && now_ms >= g->syncs.all[i].deadline_ms)
            fail(g, now_ms, &g->syncs.all[i]);
    }
}

uint64_t
syncs_deadline_ms(const struct gossip *g)
{
    uint64_t due = UINT64_MAX;

    for (size_t i = 0; i < SYNCS_MAX; i++) {
        if (g->syncs.all[i].used && g->syncs.all[i].deadline_ms < due)
            due = g->syncs.all[i].deadline_ms;
    }
    return due;
}

void
syncs_check(const struct gossip *g)
{
    for (size_t i = 0; i < SYNCS_MAX; i++) {
        const struct sync *s = &g->syncs.all[i];

        GS_ASSERT(s->used == (s->stream != 0));
        GS_ASSERT(s->give_at <= s->give_count);
        GS_ASSERT(s->held_count <= SYNC_HELD_MAX);
        GS_ASSERT(s->held_count == 0 || s->sending);
    }
}
