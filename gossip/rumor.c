/* rumor.c - what this node still owes the others. Start reading at rumor_tick().
 *
 *     NEWS ──▶ rumor_claim, rumor_record ──▶ [line] ──▶ rumor_fill ──▶ packets to a few peers
 *                                              └─ leaves after its sends, or is begun anew
 *
 * News goes on at once (RUMOR_COALESCE_MS), not with a tick, and again every RUMOR_REPEAT_MS until
 * it was sent 4 * ceil(log10(n + 1)) + 4 times. What came back from others RUMOR_DUPLICATES times
 * is only announced from then on: whoever still lacks it pulls it. Losing a rumor is safe, sync.c
 * repairs it. */
#include "gossip/rumor.h"

#include "gossip/core.h"

void
rumor_init(struct rumor *r)
{
    *r = (struct rumor){ 0 };
    gs_list_init(&r->link);
}

void
rumors_init(struct rumors *r)
{
    gs_list_init(&r->claims);
    gs_list_init(&r->records);
    rumor_init(&r->own);
    r->flush_ms = UINT64_MAX;
}

void
rumors_fini(struct rumors *r)
{
    while (gs_list_pop_front(&r->claims))
        ;
    while (gs_list_pop_front(&r->records))
        ;
}

static uint8_t
sends_for(size_t peers)
{
    unsigned sends = 4 * 2;

    for (size_t n = peers + 1; n > 10; n = (n + 9) / 10)
        sends += 4;
    return (uint8_t)sends;
}

static void
begin(struct gossip *g, uint64_t now_ms, struct rumor *r, struct gs_list *line)
{
    size_t peers = members_live(&g->members);

    if (!g->box || peers == 0) {
        gs_list_remove(&r->link); /* nobody to tell: a digest exchange will */
        return;
    }
    r->sends = sends_for(peers);
    GS_ASSERT(r->sends >= RUMOR_FANOUT);
    r->duplicates = 0;
    gs_list_remove(&r->link);
    gs_list_push_back(line, &r->link);
    if (g->rumors.flush_ms > now_ms + RUMOR_COALESCE_MS)
        g->rumors.flush_ms = now_ms + RUMOR_COALESCE_MS;
}

void
rumor_claim(struct gossip *g, uint64_t now_ms, struct member *m)
{
    begin(g, now_ms, &m->rumor, &g->rumors.claims);
}

void
rumor_own(struct gossip *g, uint64_t now_ms)
{
    begin(g, now_ms, &g->rumors.own, &g->rumors.claims);
}

void
rumor_record(struct gossip *g, uint64_t now_ms, struct record *r)
{
    begin(g, now_ms, &r->rumor, &g->rumors.records);
}

void
rumor_heard(struct rumor *r)
{
    if (gs_list_linked(&r->link) && r->duplicates < RUMOR_DUPLICATES)
        r->duplicates++;
}

/* ---- filling ---- */

/* It stands at the end of its line, behind what was sent less often; or leaves. */
static void
count_send(struct rumor *r, struct gs_list *line)
{
    GS_ASSERT(r->sends > 0);
    gs_list_remove(&r->link);
    if (--r->sends > 0)
        gs_list_push_back(line, &r->link);
}

static struct wire_claim
claim_of(struct gossip *g, struct rumor *r)
{
    return r == &g->rumors.own ? member_own_claim(g)
                               : member_claim(g, GS_CONTAINER(r, struct member, rumor));
}

/* Claims take two thirds of a packet at most while records wait as well. */
static void
fill_claims(struct gossip *g, struct packet_room *room)
{
    size_t keep = gs_list_empty(&g->rumors.records) ? 0 : room->left / 3;
    struct gs_list *stop = g->rumors.claims.prev;
    bool last = gs_list_empty(&g->rumors.claims);

    while (!last && room->left > keep) {
        struct gs_list *link = g->rumors.claims.next;
        struct rumor *r = GS_CONTAINER(link, struct rumor, link);
        struct wire_claim c = claim_of(g, r);

        last = link == stop;
        if (!packet_claim(room, &c))
            return;
        count_send(r, &g->rumors.claims);
    }
}

/* The present version, and those that lost against it without having been seen. */
static bool
put_record(struct packet_room *room, const struct record *r)
{
    if (!packet_record(room, r->present->r.bytes))
        return false;
    for (unsigned i = 0; i < r->former_count; i++) {
        if (r->former[i].conflict)
            (void)packet_record(room, r->former[i].v->r.bytes); /* as there is room */
    }
    return true;
}

static bool
is_large(const struct record *r)
{
    bool large = !packet_fits(r->present->r.bytes.len);

    for (unsigned i = 0; i < r->former_count; i++)
        large = large || (r->former[i].conflict && !packet_fits(r->former[i].v->r.bytes.len));
    return large;
}

static bool
put_note(struct packet_room *room, const struct record *r)
{
    if (is_large(r))
        room->p.flags |= WIRE_LARGE;
    return packet_announce(room, r->key_hash, record_digest(r));
}

static bool
is_burst(const struct gossip *g)
{
    size_t count = 0;

    GS_LIST_EACH(at, &g->rumors.records) {
        if (++count > RUMOR_BURST)
            return true;
    }
    return false;
}

/* A burst is announced rather than sent whole: each receiver pulls it once, from whoever is
 * first. */
static void
fill_records(struct gossip *g, struct packet_room *room)
{
    struct gs_list *stop = g->rumors.records.prev;
    bool last = gs_list_empty(&g->rumors.records);
    bool burst = is_burst(g);

    while (!last) {
        struct gs_list *link = g->rumors.records.next;
        struct rumor *rumor = GS_CONTAINER(link, struct rumor, link);
        const struct record *r = GS_CONTAINER(rumor, struct record, rumor);
        bool whole =
            !burst && rumor->duplicates < RUMOR_DUPLICATES && packet_fits(r->present->r.bytes.len);
        bool in;

        last = link == stop;
        in = whole && put_record(room, r);
        if (!in && !put_note(room, r))
            return;
        count_send(rumor, &g->rumors.records);
    }
}

void
rumor_fill(struct gossip *g, struct packet_room *room)
{
    fill_claims(g, room);
    fill_records(g, room);
}

/* ---- sending ---- */

static bool
nothing_owed(const struct rumors *r)
{
    return gs_list_empty(&r->claims) && gs_list_empty(&r->records);
}

static void
take_fresh(struct gossip *g, uint64_t now_ms)
{
    struct record *r;

    while ((r = records_next_fresh(&g->records)))
        rumor_record(g, now_ms, r);
}

/* Who holds it for dead or suspect should learn that from us when we meet. */
static void
add_verdict(const struct gossip *g, const struct member *to, struct packet_room *room)
{
    struct wire_claim c = member_claim(g, to);

    if (c.state == GOSSIP_SUSPECT || c.state == GOSSIP_DEAD)
        (void)packet_claim(room, &c);
}

static void
send_round_to(struct gossip *g, uint64_t now_ms, const struct member *to)
{
    struct packet_room room;

    packet_init(&room);
    add_verdict(g, to, &room);
    rumor_fill(g, &room);
    packet_send(g, now_ms, box_name(&to->id), &to->address, &room);
}

/* The last one to talk to is gone. */
static void
forget_all(struct rumors *r)
{
    while (gs_list_pop_front(&r->claims) || gs_list_pop_front(&r->records))
        ;
}

void
rumor_tick(struct gossip *g, uint64_t now_ms)
{
    struct rumors *r = &g->rumors;
    struct member *to[RUMOR_FANOUT];
    size_t count;

    take_fresh(g, now_ms);
    if (now_ms < r->flush_ms)
        return;
    count = members_pick(g, NULL, to, RUMOR_FANOUT);
    for (size_t i = 0; i < count && !nothing_owed(r); i++)
        send_round_to(g, now_ms, to[i]);
    if (count == 0)
        forget_all(r);
    r->flush_ms = nothing_owed(r) ? UINT64_MAX : now_ms + RUMOR_REPEAT_MS;
}

void
rumors_check(const struct rumors *r)
{
    GS_ASSERT(r->flush_ms != UINT64_MAX || nothing_owed(r));
    for (int line = 0; line < 2; line++) {
        GS_LIST_EACH(at, line ? &r->records : &r->claims) {
            const struct rumor *one = GS_LIST_ENTRY(at, struct rumor, link);

            GS_ASSERT(one->sends > 0);
            GS_ASSERT(one->duplicates <= RUMOR_DUPLICATES);
        }
    }
}
