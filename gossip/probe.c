/* probe.c - the failure detector. Start reading at probes_tick() and probe_take().
 *
 * One member a period, in a shuffled round (SWIM 4.3), so that the time between two probes of one
 * member is bounded. How long an answer may take follows the round trips of that member (RFC 6298)
 * and how well this node is itself (Lifeguard, LHA-Probe).
 *
 * "Nobody listens there" is evidence of another kind than silence: it comes from the member's own
 * host. Two others are asked at once, and if they hear the same, the member is dead without any
 * suspicion. A host that is gone says nothing, and takes the long way. */
#include "gossip/probe.h"

#include <string.h>

#include <gossamer/alloc.h>

#include "gossip/core.h"

#define GONE_WAIT_MS 500
#define RELAY_PERCENT 80      /* of the timeout: the asker hears of it before it gives up */
#define DEAD_PER_PERIOD 3     /* dead members tried at once, by one node */
#define DEAD_STREAM_FACTOR 15 /* one in so many tries by TCP too: every 30 s, as serf does */
#define DEAD_LONG_MS 3600000
#define DEAD_LONG_FACTOR 15 /* one in so many tries: every 30 s instead of every 2 */

void
probes_fini(struct probes *p)
{
    gs_free(p->round);
    p->round = NULL;
}

static uint64_t
clock_us(const struct gossip *g, uint64_t now_ms)
{
    return g->now_us ? g->now_us : now_ms * 1000;
}

static uint64_t
period_ms(const struct gossip *g)
{
    return (uint64_t)g->tuning.probe_ms * (g->probes.health + 1);
}

static uint64_t
timeout_ms(const struct gossip *g, const struct member *m)
{
    uint64_t ms = g->tuning.timeout_ms;

    if (m && m->srtt_us > 0) {
        uint64_t likely = (m->srtt_us + 4u * m->rttvar_us) / 1000 + 1;

        if (likely < PROBE_TIMEOUT_MIN_MS)
            likely = PROBE_TIMEOUT_MIN_MS;
        if (likely < ms)
            ms = likely;
    }
    return ms * (g->probes.health + 1);
}

void
probe_health(struct gossip *g, int by)
{
    int health = (int)g->probes.health + by;

    g->probes.health = health < 0 ? 0 : health > HEALTH_MAX ? HEALTH_MAX : (uint32_t)health;
}

/* ---- packets ---- */

static void
add_verdict(const struct gossip *g, const struct member *m, struct packet_room *room)
{
    struct wire_claim c;

    if (!m)
        return;
    c = member_claim(g, m);
    if (c.state == GOSSIP_SUSPECT || c.state == GOSSIP_DEAD || c.restarting)
        (void)packet_claim(room, &c); /* the buddy system: it shall refute that at once */
}

static void
send_probe(struct gossip *g, uint64_t now_ms, uint64_t to, const struct gs_addr *address,
           const struct wire_probe *probe)
{
    struct packet_room room;

    packet_init(&room);
    room.p.probe = *probe;
    add_verdict(g, members_find_name(&g->members, to), &room);
    if (probe->type == WIRE_PING) {
        room.p.has_roots = true;
        gossip_roots(g, room.p.roots);
    }
    rumor_fill(g, &room);
    packet_send(g, now_ms, to, address, &room);
}

static void
send_ping(struct gossip *g, uint64_t now_ms, const struct gs_id *target,
          const struct gs_addr *address, uint32_t sequence)
{
    struct wire_probe p = { .type = WIRE_PING, .sequence = sequence, .target = *target };

    send_probe(g, now_ms, box_name(target), address, &p);
}

static void
send_ask(struct gossip *g, uint64_t now_ms, const struct member *helper,
         const struct member *target, uint32_t sequence)
{
    struct wire_probe p = {
        .type = WIRE_ASK, .sequence = sequence, .target = target->id, .address = target->address
    };

    send_probe(g, now_ms, box_name(&helper->id), &helper->address, &p);
}

/* ---- the round ---- */

static void
shuffle(struct gossip *g, struct gs_id *ids, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = gs_rng_below(&g->rng, (uint32_t)i);
        struct gs_id id = ids[i - 1];

        ids[i - 1] = ids[other];
        ids[other] = id;
    }
}

static void
round_reserve(struct probes *p, size_t count)
{
    if (count <= p->round_cap)
        return;
    p->round_cap = count + count / 2 + 16;
    p->round = gs_realloc(p->round, p->round_cap * sizeof(*p->round));
}

static void
round_begin(struct gossip *g)
{
    struct probes *p = &g->probes;

    round_reserve(p, g->members.count);
    p->round_at = p->round_count = 0;
    for (size_t i = 0; i < g->members.count; i++) {
        const struct member *m = g->members.hot[i].cold;

        if (member_is_live(&g->members, m))
            p->round[p->round_count++] = m->id;
    }
    shuffle(g, p->round, p->round_count);
}

void
probe_add(struct gossip *g, const struct member *m)
{
    struct probes *p = &g->probes;
    size_t at;

    if (!g->box)
        return;
    for (size_t i = p->round_at; i < p->round_count; i++) {
        if (gs_id_eq(&p->round[i], &m->id))
            return; /* one that comes and goes shall not crowd out the others */
    }
    p->round_count -= p->round_at;
    if (p->round_count > 0)
        memmove(p->round, &p->round[p->round_at], p->round_count * sizeof(*p->round));
    p->round_at = 0;
    round_reserve(p, p->round_count + 1);
    at = gs_rng_below(&g->rng, (uint32_t)p->round_count + 1);
    memmove(&p->round[at + 1], &p->round[at], (p->round_count - at) * sizeof(*p->round));
    p->round[at] = m->id;
    p->round_count++;
}

static struct member *
round_next(struct gossip *g)
{
    struct probes *p = &g->probes;

    for (int rounds = 0; rounds < 2; rounds++) {
        while (p->round_at < p->round_count) {
            struct member *m = members_find(&g->members, &p->round[p->round_at++]);

            if (m && member_is_live(&g->members, m))
                return m;
        }
        round_begin(g);
    }
    return NULL;
}

/* ---- one probe ---- */

static void
end_own(struct gossip *g)
{
    struct probe_own *o = &g->probes.own;

    if (o->stream)
        sync_abandon(g, o->stream);
    *o = (struct probe_own){ .phase = PROBE_IDLE };
}

static void
begin_own(struct gossip *g, uint64_t now_ms, struct member *m)
{
    struct probe_own *o = &g->probes.own;

    GS_ASSERT(o->phase == PROBE_IDLE);
    GS_ASSERT(member_is_live(&g->members, m));
    *o = (struct probe_own){ .phase = PROBE_DIRECT,
                             .target = m->id,
                             .sequence = ++g->probes.sequence,
                             .sent_us = clock_us(g, now_ms),
                             .begun_ms = now_ms,
                             .deadline_ms = now_ms + timeout_ms(g, m) };
    g->n.probes++;
    send_ping(g, now_ms, &m->id, &m->address, o->sequence);
}

static void
go_indirect(struct gossip *g, uint64_t now_ms, struct member *m)
{
    struct probe_own *o = &g->probes.own;
    struct member *helpers[PROBE_HELPERS];
    uint64_t end_ms = o->begun_ms + period_ms(g);

    o->phase = PROBE_INDIRECT;
    o->deadline_ms = now_ms + g->tuning.timeout_ms * (g->probes.health + 1);
    if (o->deadline_ms > end_ms && end_ms > now_ms)
        o->deadline_ms = end_ms;
    o->asked = (unsigned)members_pick(g, m, helpers, PROBE_HELPERS);
    for (unsigned i = 0; i < o->asked; i++) {
        o->helpers[i] = helpers[i]->id;
        send_ask(g, now_ms, helpers[i], m, o->sequence);
    }
    o->stream = sync_probe(g, now_ms, &m->address);
    o->tcp_failed = o->stream == 0;
}

static void
fail_own(struct gossip *g, uint64_t now_ms, struct member *m)
{
    struct probe_own o = g->probes.own;

    end_own(g);
    if (member_excused(m))
        return;
    g->n.probes_failed++;
    member_suspect(g, now_ms, m);
    for (unsigned i = 0; i < o.asked; i++) {
        if (o.nacked & (1u << i))
            member_confirm(g, now_ms, m, &o.helpers[i]);
    }
    /* A helper that is well says NACK when it has no answer either; one that says nothing hints
     * that it is we who hear badly. */
    probe_health(g, o.asked > o.nacks ? 2 : 1);
}

static void
succeed_own(struct gossip *g)
{
    end_own(g);
    probe_health(g, -1);
}

/* Whom the probe under way is about, NULL if there is none: then it has ended. */
static struct member *
own_target(struct gossip *g)
{
    struct probe_own *o = &g->probes.own;
    struct member *m;

    if (o->phase == PROBE_IDLE)
        return NULL;
    m = members_find(&g->members, &o->target);
    if (m && member_is_live(&g->members, m))
        return m;
    end_own(g);
    return NULL;
}

/* Has everybody said no who was asked? Nothing here looks at the time: that is for the tick, which
 * first sees to it that no stall of ours is held against others. */
static void
settle_own(struct gossip *g, uint64_t now_ms)
{
    struct probe_own *o = &g->probes.own;
    struct member *m = own_target(g);

    if (m && o->phase == PROBE_INDIRECT && o->asked > 0 && o->nacks == o->asked && o->tcp_failed)
        fail_own(g, now_ms, m);
}

static void
step_own(struct gossip *g, uint64_t now_ms)
{
    struct probe_own *o = &g->probes.own;
    struct member *m = own_target(g);

    if (!m || now_ms < o->deadline_ms)
        return;
    if (o->phase == PROBE_DIRECT)
        go_indirect(g, now_ms, m);
    else
        fail_own(g, now_ms, m);
}

void
probe_again(struct gossip *g, uint64_t now_ms, const struct member *m)
{
    GS_ASSERT(member_is_live(&g->members, m) || !m->me);
    if (m->me) /* else nobody knows where it is */
        send_ping(g, now_ms, &m->id, &m->address, ++g->probes.sequence);
}

/* ---- those who are gone ---- */

static bool
is_gone(const struct member_hot *h)
{
    return h->placed && (h->state == GOSSIP_DEAD || h->state == GOSSIP_UNKNOWN);
}

/* One attempt per dead member and DEAD_CONTACT_MS, by all nodes together: a partition that heals
 * is noticed by somebody within seconds, however many there are on each side. Some attempts are by
 * a stream as well: what heals may be TCP alone. */
static void
contact_dead(struct gossip *g, uint64_t now_ms)
{
    struct members *t = &g->members;
    size_t gone = t->by_state[GOSSIP_DEAD] + t->by_state[GOSSIP_UNKNOWN];
    uint64_t share = gone * period_ms(g) * 1000 / (DEAD_CONTACT_MS * (members_live(t) + 1));
    size_t tries = share / 1000 + (gs_rng_below(&g->rng, 1000) < share % 1000);

    for (size_t i = 0; i < tries && i < DEAD_PER_PERIOD; i++) {
        size_t at = gs_rng_below(&g->rng, (uint32_t)t->count);
        size_t looked = 0;
        const struct member_hot *h;

        while (looked++ < t->count && !is_gone(&t->hot[at]))
            at = (at + 1) % t->count;
        h = &t->hot[at];
        if (!is_gone(h) ||
            (now_ms - h->since_ms > DEAD_LONG_MS && gs_rng_below(&g->rng, DEAD_LONG_FACTOR) != 0))
            continue;
        send_ping(g, now_ms, &h->cold->id, &h->cold->address, ++g->probes.sequence);
        if (gs_rng_below(&g->rng, DEAD_STREAM_FACTOR) == 0)
            sync_contact(g, now_ms, &h->cold->address);
    }
}

static struct probe_gone *
gone_of(struct probes *p, const struct gs_id *target)
{
    for (size_t i = 0; i < PROBE_GONES_MAX; i++) {
        if (p->gones[i].used && gs_id_eq(&p->gones[i].target, target))
            return &p->gones[i];
    }
    return NULL;
}

static void
gone_begin(struct gossip *g, uint64_t now_ms, struct member *m)
{
    struct probes *p = &g->probes;
    struct member *helpers[2];
    struct probe_gone *free_one = NULL;

    if (!member_is_live(&g->members, m) || gone_of(p, &m->id) || member_excused(m))
        return;
    for (size_t i = 0; i < PROBE_GONES_MAX && !free_one; i++)
        free_one = p->gones[i].used ? NULL : &p->gones[i];
    if (!free_one)
        return; /* the long way, then */
    *free_one = (struct probe_gone){ .used = true,
                                     .target = m->id,
                                     .sequence = ++p->sequence,
                                     .deadline_ms = now_ms + GONE_WAIT_MS };
    free_one->asked = (unsigned)members_pick(g, m, helpers, 2);
    if (free_one->asked == 0) { /* there is nobody else */
        free_one->used = false;
        member_dead(g, now_ms, m);
        return;
    }
    for (unsigned i = 0; i < free_one->asked; i++) {
        free_one->helpers[i] = helpers[i]->id;
        send_ask(g, now_ms, helpers[i], m, free_one->sequence);
    }
}

static void
gone_agree(struct gossip *g, uint64_t now_ms, struct probe_gone *gone, uint64_t sender)
{
    struct member *m = members_find(&g->members, &gone->target);

    for (unsigned i = 0; i < gone->asked; i++) {
        if (box_name(&gone->helpers[i]) == sender && !(gone->agreed & (1u << i))) {
            gone->agreed |= (uint8_t)(1u << i);
            gone->count++;
        }
    }
    if (gone->count < gone->asked)
        return;
    gone->used = false;
    if (m)
        member_dead(g, now_ms, m);
}

/* ---- for others ---- */

static void
relay_answer(struct gossip *g, uint64_t now_ms, struct probe_relay *r, enum wire_probe_type type)
{
    struct wire_probe p = { .type = type, .sequence = r->their_sequence };

    GS_ASSERT(r->used);
    r->used = false;
    send_probe(g, now_ms, r->asker, &r->reply_to, &p);
}

static void
relay_begin(struct gossip *g, uint64_t now_ms, uint64_t asker, const struct gs_addr *from,
            const struct wire_probe *p)
{
    struct probe_relay *r = NULL;

    if (box_name(&p->target) == box_name(&g->self)) { /* it is this node itself that is meant */
        struct wire_probe ack = { .type = WIRE_ACK, .sequence = p->sequence };

        send_probe(g, now_ms, asker, from, &ack);
        return;
    }
    for (size_t i = 0; i < PROBE_RELAYS_MAX && !r; i++)
        r = g->probes.relays[i].used ? NULL : &g->probes.relays[i];
    if (!r)
        return; /* the asker takes silence for what it is: we are busy */
    *r = (struct probe_relay){ .used = true,
                               .sequence = ++g->probes.sequence,
                               .their_sequence = p->sequence,
                               .target = p->target,
                               .address = p->address,
                               .reply_to = *from,
                               .asker = asker,
                               .deadline_ms = now_ms + g->tuning.timeout_ms * RELAY_PERCENT / 100 };
    send_ping(g, now_ms, &r->target, &r->address, r->sequence);
}

/* ---- answers ---- */

static bool
is_of(const struct gs_id *ids, unsigned count, uint64_t name)
{
    for (unsigned i = 0; i < count; i++) {
        if (box_name(&ids[i]) == name)
            return true;
    }
    return false;
}

static void
on_own_ack(struct gossip *g, uint64_t now_ms, uint64_t sender)
{
    struct probe_own *o = &g->probes.own;
    struct member *m = members_find(&g->members, &o->target);
    bool direct = sender == box_name(&o->target);

    if (!direct && !is_of(o->helpers, o->asked, sender))
        return; /* nobody asked it */
    if (m && direct && o->phase == PROBE_DIRECT)
        member_rtt(m, (uint32_t)(clock_us(g, now_ms) - o->sent_us));
    succeed_own(g);
}

static void
on_ack(struct gossip *g, uint64_t now_ms, uint64_t sender, uint32_t sequence)
{
    struct probes *p = &g->probes;

    if (p->own.phase != PROBE_IDLE && p->own.sequence == sequence) {
        on_own_ack(g, now_ms, sender);
        return;
    }
    for (size_t i = 0; i < PROBE_RELAYS_MAX; i++) {
        if (p->relays[i].used && p->relays[i].sequence == sequence &&
            sender == box_name(&p->relays[i].target))
            relay_answer(g, now_ms, &p->relays[i], WIRE_ACK);
    }
    for (size_t i = 0; i < PROBE_GONES_MAX; i++) {
        if (p->gones[i].used && p->gones[i].sequence == sequence &&
            is_of(p->gones[i].helpers, p->gones[i].asked, sender))
            p->gones[i].used = false; /* somebody reaches it */
    }
}

static void
on_nack(struct gossip *g, uint64_t sender, uint32_t sequence)
{
    struct probe_own *o = &g->probes.own;

    if (o->phase != PROBE_INDIRECT || o->sequence != sequence)
        return;
    for (unsigned i = 0; i < o->asked; i++) {
        if (box_name(&o->helpers[i]) == sender && !(o->nacked & (1u << i))) {
            o->nacked |= (uint8_t)(1u << i);
            o->nacks++;
        }
    }
}

static void
on_gone(struct gossip *g, uint64_t now_ms, uint64_t sender, uint32_t sequence)
{
    struct probes *p = &g->probes;

    if (p->own.phase == PROBE_INDIRECT && p->own.sequence == sequence) {
        struct member *m = members_find(&g->members, &p->own.target);

        on_nack(g, sender, sequence);
        if (m)
            gone_begin(g, now_ms, m);
        return;
    }
    for (size_t i = 0; i < PROBE_GONES_MAX; i++) {
        if (p->gones[i].used && p->gones[i].sequence == sequence)
            gone_agree(g, now_ms, &p->gones[i], sender);
    }
}

void
probe_take(struct gossip *g, uint64_t now_ms, uint64_t sender, const struct gs_addr *from,
           const struct wire_probe *p)
{
    struct wire_probe ack = { .type = WIRE_ACK, .sequence = p->sequence };

    switch (p->type) {
    case WIRE_PING:
        if (box_name(&p->target) == box_name(&g->self)) /* else: this address was another's */
            send_probe(g, now_ms, sender, from, &ack);
        break;
    case WIRE_ACK:
        on_ack(g, now_ms, sender, p->sequence);
        break;
    case WIRE_ASK:
        relay_begin(g, now_ms, sender, from, p);
        break;
    case WIRE_NACK:
        on_nack(g, sender, p->sequence);
        break;
    case WIRE_GONE:
        on_gone(g, now_ms, sender, p->sequence);
        break;
    }
    settle_own(g, now_ms);
}

void
probe_unreachable(struct gossip *g, uint64_t now_ms, const struct gs_addr *address)
{
    struct member *m = members_at_address(&g->members, address);

    for (size_t i = 0; i < PROBE_RELAYS_MAX; i++) {
        struct probe_relay *r = &g->probes.relays[i];

        if (r->used && gs_addr_eq(&r->address, address))
            relay_answer(g, now_ms, r, WIRE_GONE);
    }
    if (m)
        gone_begin(g, now_ms, m);
}

bool
probe_awaits(const struct gossip *g, uint32_t sequence)
{
    const struct probes *p = &g->probes;
    bool waits = p->own.phase != PROBE_IDLE && p->own.sequence == sequence;

    for (size_t i = 0; i < PROBE_RELAYS_MAX && !waits; i++)
        waits = p->relays[i].used && p->relays[i].sequence == sequence;
    return waits;
}

void
probe_stream_done(struct gossip *g, uint64_t now_ms, uint32_t stream, bool good, bool gone)
{
    struct probe_own *o = &g->probes.own;
    struct member *m;

    if (o->phase != PROBE_INDIRECT || o->stream != stream)
        return;
    o->stream = 0;
    if (good) { /* only UDP fails: it is there, and can be spoken to */
        succeed_own(g);
        return;
    }
    o->tcp_failed = true;
    m = members_find(&g->members, &o->target);
    if (gone && m)
        gone_begin(g, now_ms, m);
    settle_own(g, now_ms);
}

/* ---- time ---- */

void
probes_start(struct gossip *g, uint64_t now_ms)
{
    g->probes.sequence = (uint32_t)gs_rng_next(&g->rng);
    g->probes.next_ms = now_ms + gs_rng_below(&g->rng, g->tuning.probe_ms);
}

static void
step_others(struct gossip *g, uint64_t now_ms)
{
    struct probes *p = &g->probes;

    for (size_t i = 0; i < PROBE_RELAYS_MAX; i++) {
        if (p->relays[i].used && now_ms >= p->relays[i].deadline_ms)
            relay_answer(g, now_ms, &p->relays[i], WIRE_NACK);
    }
    for (size_t i = 0; i < PROBE_GONES_MAX; i++) {
        if (p->gones[i].used && now_ms >= p->gones[i].deadline_ms)
            p->gones[i].used = false;
    }
}

void
probes_tick(struct gossip *g, uint64_t now_ms)
{
    struct probes *p = &g->probes;
    struct member *m;

    step_others(g, now_ms);
    step_own(g, now_ms);
    if (now_ms < p->next_ms || p->own.phase != PROBE_IDLE)
        return;
    p->next_ms = now_ms + period_ms(g);
    if (g->members.count == 0)
        return;
    contact_dead(g, now_ms);
    m = round_next(g);
    if (m)
        begin_own(g, now_ms, m);
}

uint64_t
probes_deadline_ms(const struct gossip *g)
{
    const struct probes *p = &g->probes;
    uint64_t due = p->own.phase == PROBE_IDLE ? p->next_ms : p->own.deadline_ms;

    for (size_t i = 0; i < PROBE_RELAYS_MAX; i++) {
        if (p->relays[i].used && p->relays[i].deadline_ms < due)
            due = p->relays[i].deadline_ms;
    }
    for (size_t i = 0; i < PROBE_GONES_MAX; i++) {
        if (p->gones[i].used && p->gones[i].deadline_ms < due)
            due = p->gones[i].deadline_ms;
    }
    return due;
}

void
probes_stalled(struct gossip *g, uint64_t now_ms)
{
    struct probes *p = &g->probes;

    end_own(g);
    p->next_ms = now_ms;
    for (size_t i = 0; i < PROBE_RELAYS_MAX; i++)
        p->relays[i].used = false; /* whoever asked has given up */
    for (size_t i = 0; i < PROBE_GONES_MAX; i++)
        p->gones[i].used = false;
    probe_health(g, +1);
}

void
probes_check(const struct probes *p)
{
    const struct probe_own *o = &p->own;

    GS_ASSERT(p->health <= HEALTH_MAX);
    GS_ASSERT(p->round_at <= p->round_count);
    GS_ASSERT(p->round_count <= p->round_cap);
    GS_ASSERT(o->asked <= PROBE_HELPERS);
    GS_ASSERT(o->nacks <= o->asked);
    GS_ASSERT(o->phase == PROBE_INDIRECT || o->asked == 0);
    GS_ASSERT(o->phase == PROBE_INDIRECT || o->stream == 0);
    for (size_t i = 0; i < PROBE_GONES_MAX; i++) {
        const struct probe_gone *gone = &p->gones[i];

        GS_ASSERT(gone->count <= gone->asked);
        GS_ASSERT(gone->asked <= GS_COUNT(gone->helpers));
        GS_ASSERT(!gone->used || gone->count < gone->asked); /* else it is decided */
    }
}
