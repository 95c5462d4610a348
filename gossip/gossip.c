/* gossip.c - the core's door. Start reading at gossip_recv(): what is not proven, whole and in
 * range changes nothing.
 *
 *     gossip_recv ─▶ box_open ─▶ wire_read_packet (whole) ─▶ gossip_take: claims, records
 *                        │ unknown session                └▶ probe_take ─▶ answers
 *                        └─▶ one challenge a second       └▶ sync_roots, pull_announced, pull_asked
 *     gossip_put ─▶ records_put ─▶ fresh ─▶ rumor_tick ─▶ packets
 *     gossip_tick ─▶ members, probes, rumors, syncs, standing, records: whatever is due */
#include <gossamer/gossip.h>

#include <string.h>

#include <gossamer/alloc.h>

#include "gossip/core.h"
#include "gossip/pull.h"

const char *
gossip_refusal_name(enum gossip_refusal r)
{
    static const char *const names[GOSSIP_REFUSALS] = {
        [GOSSIP_REFUSAL_JUNK] = "junk",       [GOSSIP_REFUSAL_KEY] = "key",
        [GOSSIP_REFUSAL_FORGED] = "forged",   [GOSSIP_REFUSAL_REPLAYED] = "replayed",
        [GOSSIP_REFUSAL_UNKNOWN] = "unknown", [GOSSIP_REFUSAL_MALFORMED] = "malformed",
        [GOSSIP_REFUSAL_OWN] = "own",
    };

    GS_ASSERT(r < GOSSIP_REFUSALS);
    return names[r];
}

/* ---- life ---- */

static struct gs_slice
copy(struct gs_slice s)
{
    char *p = gs_alloc(s.len + 1);

    if (s.len > 0)
        memcpy(p, s.ptr, s.len);
    return gs_slice(p, s.len);
}

static uint32_t
or_default(uint32_t given, uint32_t usual)
{
    return given ? given : usual;
}

/* What everybody shall know of this node. */
static void
write_node_record(struct gossip *g, uint64_t now_ms)
{
    struct wire_node n = { .name = g->name, .address = g->address, .about = g->about };
    struct gossip_put_result ignored;
    struct gs_buf value;
    struct gs_why why;

    gs_buf_init(&value, GOSSIP_NAME_MAX + GOSSIP_ABOUT_MAX + 64);
    GS_ASSERT(wire_put_node(&value, &n) == GS_E_OK);
    GS_ASSERT(records_put_own(&g->records, now_ms,
                              &(struct gossip_op){ .kind = GOSSIP_KIND_NODE,
                                                   .key = GS_SLICE("node"),
                                                   .value = gs_buf_slice(&value) },
                              &ignored, &why) == GS_E_OK);
    gs_buf_fini(&value);
}

struct gossip *
gossip_new(const struct gossip_options *o)
{
    struct gossip *g = gs_zalloc(sizeof(*g));

    g->self = o->self;
    g->address = o->address;
    g->name = copy(o->name);
    g->about = copy(o->about);
    g->tuning.probe_ms = or_default(o->tuning.probe_ms, PROBE_MS);
    g->tuning.timeout_ms = or_default(o->tuning.timeout_ms, PROBE_TIMEOUT_MS);
    g->tuning.suspect_ms = or_default(o->tuning.suspect_ms, SUSPECT_MIN_MS);
    gs_rng_init(&g->rng, o->seed);
    records_init(&g->records, o);
    members_init(&g->members, o->session);
    rumors_init(&g->rumors);
    syncs_init(&g->syncs);
    standing_init(&g->standing);
    if (o->address.family == 0)
        return g;
    GS_ASSERT(o->name.len > 0 && o->name.len <= GOSSIP_NAME_MAX);
    GS_ASSERT(o->about.len <= GOSSIP_ABOUT_MAX);
    GS_ASSERT(o->keys && o->keys->count > 0);
    GS_ASSERT(o->boot > 0);
    g->box = box_new(&o->self, o->session, o->keys, &g->rng);
    write_node_record(g, 0);
    members_count_self(g);
    return g;
}

void
gossip_free(struct gossip *g)
{
    if (!g)
        return;
    rumors_fini(&g->rumors);
    members_fini(&g->members);
    records_fini(&g->records);
    probes_fini(&g->probes);
    syncs_fini(&g->syncs);
    outbox_fini(&g->outbox);
    box_free(g->box);
    gs_free((void *)(uintptr_t)g->name.ptr);
    gs_free((void *)(uintptr_t)g->about.ptr);
    gs_free(g);
}

void
gossip_clock_us(struct gossip *g, uint64_t now_us)
{
    g->now_us = now_us;
}

void
gossip_join(struct gossip *g, uint64_t now_ms, const struct gs_addr *seeds, size_t count)
{
    GS_ASSERT(g->box);
    probes_start(g, now_ms);
    standing_join(g, now_ms, seeds, count);
}

void
gossip_set_about(struct gossip *g, uint64_t now_ms, struct gs_slice about)
{
    GS_ASSERT(g->box);
    GS_ASSERT(about.len <= GOSSIP_ABOUT_MAX);
    gs_free((void *)(uintptr_t)g->about.ptr);
    g->about = copy(about);
    if (!g->members.leaving)
        write_node_record(g, now_ms);
}

static void
withdraw_all(struct gossip *g, uint64_t now_ms)
{
    struct gossip_record r;

    for (size_t at = 0; records_next_record(&g->records, &at, &r);) {
        struct gossip_put_result ignored;
        struct gs_why why;

        if (r.class == GOSSIP_OWNER && gs_id_eq(&r.version.writer, &g->self) && !r.tombstone &&
            r.kind >= GOSSIP_KIND_USER) {
            gossip_record_keep(&r); /* its key is read while it is replaced */
            (void)!records_put_own(
                &g->records, now_ms,
                &(struct gossip_op){ .kind = r.kind, .key = r.key, .remove = true }, &ignored,
                &why);
            gossip_record_drop(&r);
        }
    }
}

void
gossip_leave(struct gossip *g, uint64_t now_ms)
{
    uint32_t former = g->members.incarnation;

    if (g->members.leaving)
        return;
    withdraw_all(g, now_ms);
    g->members.root -= member_digest(&g->self, g->records.boot, former, GOSSIP_ALIVE);
    g->members.incarnation++;
    g->members.leaving = true;
    members_count_self(g);
    g->left_ms = now_ms + LEAVE_MS;
    if (g->box)
        rumor_own(g, now_ms);
}

bool
gossip_has_left(const struct gossip *g)
{
    return g->members.leaving && (g->rumors.flush_ms == UINT64_MAX || g->left_ms == 0);
}

/* A higher incarnation, as for leaving: it ends what suspicions there are, and makes digests differ
 * from those of whoever has not heard it. */
void
gossip_restart(struct gossip *g, uint64_t now_ms)
{
    uint32_t former = g->members.incarnation;

    if (g->members.leaving || g->members.restarting)
        return;
    g->members.incarnation++;
    g->members.restarting = true;
    members_own_again(g, g->records.boot, former);
    g->restart_ms = now_ms + RESTART_TELL_MS;
    if (g->box)
        rumor_own(g, now_ms);
}

bool
gossip_restart_told(const struct gossip *g)
{
    return g->members.restarting && (g->restart_ms == 0 || !gs_list_linked(&g->rumors.own.link));
}

enum gossip_standing
gossip_standing(const struct gossip *g)
{
    return g->standing.now;
}

/* ---- what a packet says ---- */

void
gossip_roots(const struct gossip *g, uint64_t roots[WIRE_CLASSES])
{
    roots[0] = g->members.root;
    roots[GOSSIP_OPERATOR] = g->records.store.roots[GOSSIP_OPERATOR];
    roots[GOSSIP_OWNER] = g->records.store.roots[GOSSIP_OWNER];
}

uint32_t
gossip_flags(const struct gossip *g)
{
    return (g->standing.now == GOSSIP_OPEN ? WIRE_OPEN : 0u) |
           (g->records.store.roots[GOSSIP_OPERATOR] != 0 ? WIRE_POLICY : 0u);
}

/* What this node said of itself before it was restarted, and does not say any more; or said under
 * a version that it has given out again since, its disk being lost. */
static void
take_own(struct gossip *g, uint64_t now_ms, const struct wire_record *w, struct gs_slice bytes)
{
    struct gossip_record present;
    struct gossip_put_result ignored;
    struct gs_why why;
    bool have = records_find(&g->records, GOSSIP_OWNER, &g->self, w->r.key, &present);

    if (g->members.leaving || g->records.boot == BOOT_MAX)
        return; /* no other life begins */
    if (w->r.version.generation > g->records.boot ||
        (have && gs_version_cmp(&w->r.version, &present.version) >= 0 &&
         !gs_slice_eq(bytes, present.bytes))) {
        uint64_t boot = g->records.boot;

        records_reboot(&g->records, now_ms, w->r.version.generation);
        members_own_again(g, boot, g->members.incarnation);
        rumor_own(g, now_ms);
        have = records_find(&g->records, GOSSIP_OWNER, &g->self, w->r.key, &present);
    }
    if (have || w->r.tombstone)
        return;
    (void)!records_put_own(
        &g->records, now_ms,
        &(struct gossip_op){ .kind = w->r.kind, .key = w->r.key, .remove = true }, &ignored, &why);
}

static void
take_record(struct gossip *g, uint64_t now_ms, uint64_t wall_ms, const struct gs_id *sender,
            struct gs_slice bytes)
{
    enum gossip_merged outcome;
    struct wire_record w;
    struct record *r;
    struct gs_why why;

    if (wire_read_record(bytes, &w) != GS_E_OK) {
        g->records.malformed++;
        return;
    }
    if (w.r.class == GOSSIP_OWNER) {
        if (w.r.version.generation > BOOT_MAX) {
            g->records.malformed++;
            return;
        }
        if (gs_id_eq(&w.r.version.writer, &g->self)) {
            take_own(g, now_ms, &w, bytes);
            return;
        }
        if (members_have_forgotten(&g->members, now_ms, &w.r.version.writer,
                                   w.r.version.generation))
            return;
    }
    if (records_merge(&g->records, now_ms, wall_ms, sender, bytes, &outcome, &r, &why) != GS_E_OK)
        return; /* counted there */
    if (outcome == GOSSIP_STALE && r)
        rumor_heard(&r->rumor);
    if (outcome == GOSSIP_NEWS && w.r.class == GOSSIP_OWNER && w.r.kind == GOSSIP_KIND_NODE)
        member_on_record(g, now_ms, r);
}

void
gossip_take(struct gossip *g, uint64_t now_ms, uint64_t wall_ms, const struct gs_id *sender,
            const struct wire_packet *p, bool hearsay)
{
    static const struct gs_id nobody;
    struct wire_claim_at at = { 0 };
    struct wire_claim c;

    for (size_t i = 0; i < p->record_count; i++)
        take_record(g, now_ms, wall_ms, sender ? sender : &nobody, p->records[i]);
    while (wire_next_claim(p, &at, &c)) {
        if (member_merge(g, now_ms, &c, hearsay) == MEMBER_LIMIT)
            g->n.refused++;
    }
}

/* ---- datagrams ---- */

static void
refuse(struct gossip *g, enum gossip_refusal why)
{
    GS_ASSERT(why < GOSSIP_REFUSALS);
    g->n.refused_packets[why]++;
}

/* To a session that has not proven itself: a challenge, and if it asked whether we are here, yes.
 * Never longer than what it answers, so nobody can be flooded by way of us. */
static void
challenge(struct gossip *g, uint64_t now_ms, const struct gs_addr *from, uint64_t sender,
          const struct wire_packet *p, size_t answered_bytes)
{
    struct packet_room room;
    size_t before = g->outbox.count;

    if (!box_may_challenge(g->box, now_ms, sender))
        return;
    packet_init(&room);
    if (p->probe.type == WIRE_PING && box_name(&p->probe.target) == box_name(&g->self))
        room.p.probe = (struct wire_probe){ .type = WIRE_ACK, .sequence = p->probe.sequence };
    packet_send(g, now_ms, sender, from, &room);
    outbox_shorten(g, before, answered_bytes);
    g->n.challenges++;
}

static void
take_datagram(struct gossip *g, uint64_t now_ms, uint64_t wall_ms, const struct gs_addr *from,
              uint64_t sender, const struct wire_packet *p)
{
    struct member *m = members_find_name(&g->members, sender);

    gossip_take(g, now_ms, wall_ms, m ? &m->id : NULL, p, false);
    if (m)
        member_heard(m, now_ms);
    if (p->probe.type)
        probe_take(g, now_ms, sender, from, &p->probe);
    if (p->announce.len > 0)
        pull_announced(g, now_ms, sender, from, p->announce, p->flags & WIRE_LARGE);
    if (p->pull.len > 0)
        pull_asked(g, now_ms, sender, from, p->pull);
    if (p->has_roots) {
        sync_roots(g, now_ms, from, p->roots);
        standing_heard(g, now_ms, p->flags, p->roots);
    }
}

void
gossip_recv(struct gossip *g, uint64_t now_ms, uint64_t wall_ms, const struct gs_addr *from,
            struct gs_slice bytes)
{
    struct gs_slice records[WIRE_PACKET_RECORDS_MAX];
    char plain[PACKET_BYTES_MAX];
    struct box_opened o;
    struct box_tokens t;
    struct wire_packet p;
    bool began;

    GS_ASSERT(g->box);
    g->n.received[GOSSIP_DATAGRAM]++;
    g->n.received_bytes[GOSSIP_DATAGRAM] += bytes.len;
    if (bytes.len > PACKET_BYTES_MAX) {
        refuse(g, GOSSIP_REFUSAL_JUNK);
        return;
    }
    o = box_open(g->box, bytes, NULL, plain);
    if (o.verdict == BOX_REFUSED) {
        refuse(g, o.refusal);
        return;
    }
    if (g->members.leaving && o.verdict == BOX_UNKNOWN)
        return;
    if (wire_read_packet(o.body, &p, records) != GS_E_OK) {
        refuse(g, GOSSIP_REFUSAL_MALFORMED);
        return;
    }
    t = (struct box_tokens){ p.challenge, p.echo };
    began = box_take(g->box, now_ms, &o, &t);
    if (o.verdict == BOX_UNKNOWN && !began) {
        refuse(g, GOSSIP_REFUSAL_UNKNOWN);
        challenge(g, now_ms, from, o.sender, &p, bytes.len);
        return;
    }
    take_datagram(g, now_ms, wall_ms, from, o.sender, &p);
    if (p.challenge != 0)
        outbox_resend(g, now_ms, o.sender);
}

void
gossip_unreachable(struct gossip *g, uint64_t now_ms, const struct gs_addr *address)
{
    probe_unreachable(g, now_ms, address);
}

void
gossip_doubt(struct gossip *g, uint64_t now_ms, const struct gs_id *id)
{
    struct member *m = members_find(&g->members, id);

    if (m && member_is_live(&g->members, m))
        probe_again(g, now_ms, m);
}

/* ---- actions and time ---- */

bool
gossip_next_action(struct gossip *g, uint64_t now_ms, struct gossip_action *out)
{
    (void)now_ms;
    return outbox_next(&g->outbox, out);
}

static uint64_t
least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What accuses others if it passes. */
static uint64_t
verdict_deadline_ms(const struct gossip *g)
{
    return least(members_deadline_ms(g), probes_deadline_ms(g));
}

/* This process did not run for a while: whatever it has missed is nobody's fault but its own. */
static void
compensate(struct gossip *g, uint64_t now_ms)
{
    uint64_t due = verdict_deadline_ms(g);
    uint64_t slack = g->tuning.timeout_ms / 5;
    uint64_t late_ms;

    if (slack < STALL_MS)
        slack = STALL_MS;
    if (due == UINT64_MAX || now_ms <= due + slack)
        return;
    late_ms = now_ms - due;
    g->n.stalls++;
    members_stalled(g, late_ms);
    probes_stalled(g, now_ms);
}

void
gossip_tick(struct gossip *g, uint64_t now_ms)
{
    records_tick(&g->records, now_ms);
    if (!g->box || !g->standing.asked)
        return;
    if (g->members.leaving) {
        rumor_tick(g, now_ms);
        if (now_ms >= g->left_ms)
            g->left_ms = 0;
        return;
    }
    if (now_ms >= g->restart_ms)
        g->restart_ms = 0;
    compensate(g, now_ms);
    probes_tick(g, now_ms);
    members_tick(g, now_ms);
    syncs_tick(g, now_ms);
    standing_tick(g, now_ms);
    rumor_tick(g, now_ms);
}

uint64_t
gossip_deadline_ms(const struct gossip *g)
{
    uint64_t due = records_deadline_ms(&g->records);

    if (!g->box || !g->standing.asked)
        return due;
    due = least(due, gs_list_empty(&g->records.fresh) ? g->rumors.flush_ms : 0);
    if (g->members.leaving)
        return g->left_ms ? least(due, g->left_ms) : due;
    if (g->restart_ms != 0)
        due = least(due, g->restart_ms);
    due = least(due, verdict_deadline_ms(g));
    due = least(due, syncs_deadline_ms(g));
    return least(due, standing_deadline_ms(g));
}

/* ---- records ---- */

gs_err
gossip_put(struct gossip *g, uint64_t now_ms, uint64_t wall_ms, const struct gossip_op *ops,
           size_t n, struct gossip_put_result *results, struct gs_why *why)
{
    return records_put(&g->records, now_ms, wall_ms, ops, n, results, why);
}

gs_err
gossip_put_own(struct gossip *g, uint64_t now_ms, const struct gossip_op *op,
               struct gossip_put_result *result, struct gs_why *why)
{
    GS_ASSERT(op->kind >= GOSSIP_KIND_USER);
    return records_put_own(&g->records, now_ms, op, result, why);
}

gs_err
gossip_merge(struct gossip *g, uint64_t now_ms, uint64_t wall_ms, const struct gs_id *sender,
             struct gs_slice bytes, enum gossip_merged *out, struct gs_why *why)
{
    struct record *r;

    return records_merge(&g->records, now_ms, wall_ms, sender, bytes, out, &r, why);
}

gs_err
gossip_restore(struct gossip *g, uint64_t now_ms, uint64_t wall_ms, uint16_t kind,
               struct gs_slice bytes, struct gs_why *why)
{
    uint64_t boot = g->records.boot;
    struct wire_record w;
    const struct record *r;
    struct store_key k;
    gs_err e;

    GS_ASSERT(!g->standing.asked);
    if (kind == GOSSIP_FRAME_GONE)
        return members_restore(g, now_ms, wall_ms, bytes, why);
    e = records_restore(&g->records, now_ms, wall_ms, kind, bytes, why);
    if (g->box && g->records.boot != boot)
        members_own_again(g, boot, g->members.incarnation);
    if (e != GS_E_OK || kind != GOSSIP_FRAME_RECORD || !g->box ||
        wire_read_record(bytes, &w) != GS_E_OK || w.r.kind != GOSSIP_KIND_NODE ||
        w.r.class != GOSSIP_OWNER)
        return e;
    k = store_key_of(&w.r);
    r = store_find(&g->records.store, &k);
    if (r && r->present->r.kind == GOSSIP_KIND_NODE)
        member_on_record(g, now_ms, r);
    return GS_E_OK;
}

bool
gossip_find(const struct gossip *g, enum gossip_class class, const struct gs_id *owner,
            struct gs_slice key, struct gossip_record *out)
{
    return records_find(&g->records, class, owner, key, out);
}

bool
gossip_next_record(const struct gossip *g, size_t *at, struct gossip_record *out)
{
    return records_next_record(&g->records, at, out);
}

size_t
gossip_history(const struct gossip *g, struct gs_slice key, struct gossip_former *out, size_t max)
{
    return records_history(&g->records, key, out, max);
}

uint64_t
gossip_hlc(const struct gossip *g)
{
    return records_hlc(&g->records);
}

bool
gossip_next_frame(const struct gossip *g, struct gossip_cursor *c, struct gossip_frame *out)
{
    return records_next_frame(&g->records, c, out) || members_next_frame(g, c, out);
}

/* ---- events ---- */

bool
gossip_next_event(struct gossip *g, struct gossip_event *out)
{
    if (members_next_event(g, out) || records_next_event(&g->records, out))
        return true;
    if (g->standing.now != GOSSIP_OPEN || g->standing.told)
        return false;
    g->standing.told = true; /* behind the policy that it is open by */
    *out = (struct gossip_event){ .type = GOSSIP_EVENT_OPENED };
    return true;
}

bool
gossip_has_event(const struct gossip *g)
{
    return records_has_event(&g->records) || !gs_list_empty(&g->members.changed) ||
           (g->standing.now == GOSSIP_OPEN && !g->standing.told);
}

/* ---- members ---- */

bool
gossip_next_node(const struct gossip *g, size_t *at, struct gossip_node *out)
{
    while (*at < g->members.count) {
        const struct member_hot *h = &g->members.hot[(*at)++];

        if (!h->placed)
            continue;
        *out = member_node(g, h->cold);
        return true;
    }
    return false;
}

bool
gossip_find_node(const struct gossip *g, const struct gs_id *id, struct gossip_node *out)
{
    const struct member *m = members_find(&g->members, id);

    if (!m || !m->me)
        return false;
    *out = member_node(g, m);
    return true;
}

struct gossip_node
gossip_self(const struct gossip *g)
{
    return (struct gossip_node){ .id = g->self,
                                 .state = g->members.leaving ? GOSSIP_LEFT : GOSSIP_ALIVE,
                                 .boot = g->records.boot,
                                 .incarnation = g->members.incarnation,
                                 .restarting = g->members.restarting && !g->members.leaving,
                                 .address = g->address,
                                 .name = g->name,
                                 .about = g->about };
}

static uint32_t
count_rumors(const struct rumors *r)
{
    uint32_t n = 0;

    GS_LIST_EACH(at, &r->claims)
        n++;
    GS_LIST_EACH(at, &r->records)
        n++;
    return n;
}

void
gossip_counters(const struct gossip *g, struct gossip_counters *out)
{
    *out = g->n;
    records_counters(&g->records, out);
    out->health = g->probes.health;
    for (size_t i = 0; i < GS_COUNT(out->nodes); i++)
        out->nodes[i] = (uint32_t)g->members.by_state[i];
    out->rumors = count_rumors(&g->rumors);
}

void
gossip_check(const struct gossip *g)
{
    records_check(&g->records);
    members_check(g);
    rumors_check(&g->rumors);
    probes_check(&g->probes);
    standing_check(&g->standing);
    syncs_check(g);
    if (g->box)
        box_check(g->box);
}
