/* member.c - what becomes of a claim about a member. Start reading at member_merge(). The table
 * itself is in members.c.
 *
 *              ┌──────────── higher boot or incarnation ───────────┐
 *     UNKNOWN ─▶ ALIVE ──probe failed──▶ SUSPECT ──time is up──▶ DEAD ──a day──▶ forgotten
 *                 │ ▲ └────── it says so ────────▶ LEFT ──an hour──▶ forgotten
 *                 └─┘ it says that it restarts: nobody's word against it for RESTART_GRACE_MS
 *
 * Inside one (boot, incarnation) a state only goes to the right. A claim against this node is
 * answered by a higher incarnation. */
#include "gossip/member.h"

#include <math.h>
#include <string.h>

#include <gossamer/alloc.h>

#include "gossip/core.h"

#define INCARNATION_MAX (UINT32_MAX / 2) /* nobody is suspected that often: a lie */

const char *
gossip_state_name(enum gossip_state s)
{
    static const char *const names[] = { "unknown", "alive", "suspect", "dead", "left" };

    GS_ASSERT((size_t)s < GS_COUNT(names));
    return names[s];
}

/* ---- digest ---- */

uint64_t
member_digest(const struct gs_id *id, uint64_t boot, uint32_t incarnation, enum gossip_state s)
{
    uint64_t x = wire_u64((const char *)id->bytes);
    enum gossip_state said = s == GOSSIP_SUSPECT ? GOSSIP_ALIVE : s;

    if (s == GOSSIP_UNKNOWN)
        return 0;
    /* splitmix64's finaliser over all that is said */
    x ^= boot * UINT64_C(0x9e3779b97f4a7c15);
    x ^= ((uint64_t)incarnation << 8 | said) * UINT64_C(0xd6e8feb86659fd93);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t
digest_of(const struct member_hot *h)
{
    return member_digest(&h->cold->id, h->boot, h->incarnation, h->state);
}

static enum gossip_state
own_state(const struct gossip *g)
{
    return g->members.leaving ? GOSSIP_LEFT : GOSSIP_ALIVE;
}

void
members_count_self(struct gossip *g)
{
    g->members.root +=
        member_digest(&g->self, g->records.boot, g->members.incarnation, own_state(g));
}

void
members_own_again(struct gossip *g, uint64_t former_boot, uint32_t former_incarnation)
{
    g->members.root -= member_digest(&g->self, former_boot, former_incarnation, GOSSIP_ALIVE);
    members_count_self(g);
}

/* ---- changes ---- */

static void
suspicion_end(struct member *m)
{
    gs_list_remove(&m->suspect);
    gs_free(m->suspicion);
    m->suspicion = NULL;
}

static bool
is_restarting(const struct member *m)
{
    return gs_list_linked(&m->restart);
}

static void
grace_end(struct member *m)
{
    gs_list_remove(&m->restart);
    m->missed = false;
}

static void
set_state(struct gossip *g, uint64_t now_ms, struct member *m, uint64_t boot, uint32_t incarnation,
          enum gossip_state s)
{
    struct members *t = &g->members;
    struct member_hot *h = member_hot(t, m);
    bool same = h->state == s;
    bool same_word = h->boot == boot && h->incarnation == incarnation;

    GS_ASSERT(t->by_state[h->state] > 0);
    GS_ASSERT(s != GOSSIP_UNKNOWN);
    GS_ASSERT(boot >= h->boot);
    GS_ASSERT(boot > h->boot || incarnation >= h->incarnation);
    t->root -= digest_of(h);
    t->by_state[h->state]--;
    t->by_state[s]++;
    if (h->boot != boot) {
        m->srtt_us = m->rttvar_us = 0;
        m->grace_ms = 0;
    }
    h->boot = boot;
    h->incarnation = incarnation;
    h->state = (uint8_t)s;
    if (!same)
        h->since_ms = now_ms;
    t->root += digest_of(h);
    if (s != GOSSIP_SUSPECT)
        suspicion_end(m);
    if (s != GOSSIP_ALIVE || !same_word)
        grace_end(m);
    if (s == GOSSIP_DEAD || s == GOSSIP_LEFT)
        members_reap_later(t, now_ms);
    m->forgetting = false;
    members_enqueue(t, m);
}

/* Packets name a node by the first bytes of its id, so of two that share them only one is taken:
 * what is meant for the other would be sealed and answered as if it were the first one's. */
static bool
looks_alike(const struct gossip *g, const struct gs_id *id)
{
    uint64_t name = box_name(id);

    return name == box_name(&g->self) || members_find_name(&g->members, name) != NULL;
}

/* ---- suspicion (Lifeguard, LHA-Suspicion) ---- */

/* Least and longest time: 4 x log10(n) periods, less by how well this node itself is and how many
 * independent accusers there are. */
static uint64_t
suspicion_ms(const struct gossip *g, unsigned confirmations)
{
    double nodes = (double)members_live(&g->members) + 1;
    double alpha = g->probes.health > 0 ? 4 : confirmations >= SUSPECT_CONFIRMATIONS ? 1 : 2;
    double least = alpha * fmax(1, log10(nodes)) * g->tuning.probe_ms;
    double most, share;

    if (least < g->tuning.suspect_ms)
        least = g->tuning.suspect_ms;
    most = least * SUSPECT_MAX_FACTOR;
    share = log(confirmations + 1) / log(SUSPECT_CONFIRMATIONS + 1);
    return (uint64_t)fmax(least, most - (most - least) * share);
}

/* True if it had not accused before. */
static bool
add_accuser(struct suspicion *s, const struct gs_id *accuser)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (gs_id_eq(&s->accusers[i], accuser))
            return false;
    }
    if (s->count == GS_COUNT(s->accusers))
        return false;
    s->accusers[s->count++] = *accuser;
    return true;
}

static void
shorten(struct gossip *g, struct suspicion *s)
{
    uint64_t deadline = s->since_ms + suspicion_ms(g, s->count - 1);

    GS_ASSERT(s->count > 0);
    if (deadline < s->deadline_ms)
        s->deadline_ms = deadline; /* confirmations shorten it, nothing lengthens it */
}

static void
suspicion_start(struct gossip *g, uint64_t now_ms, struct member *m, const struct gs_id *accuser)
{
    GS_ASSERT(!m->suspicion);
    m->suspicion = gs_zalloc(sizeof(*m->suspicion));
    m->suspicion->since_ms = now_ms;
    m->suspicion->deadline_ms = UINT64_MAX;
    (void)add_accuser(m->suspicion, accuser);
    shorten(g, m->suspicion);
    gs_list_push_back(&g->members.suspects, &m->suspect);
    g->n.suspicions++;
}

void
member_confirm(struct gossip *g, uint64_t now_ms, struct member *m, const struct gs_id *accuser)
{
    (void)now_ms;
    GS_ASSERT(!m->suspicion || !is_restarting(m));
    if (m->suspicion && add_accuser(m->suspicion, accuser))
        shorten(g, m->suspicion);
}

bool
member_excused(struct member *m)
{
    m->missed = is_restarting(m);
    return m->missed;
}

void
member_suspect(struct gossip *g, uint64_t now_ms, struct member *m)
{
    struct member_hot *h = member_hot(&g->members, m);

    if (member_excused(m))
        return;
    if (h->state == GOSSIP_SUSPECT) {
        member_confirm(g, now_ms, m, &g->self);
        return;
    }
    if (h->state != GOSSIP_ALIVE)
        return;
    set_state(g, now_ms, m, h->boot, h->incarnation, GOSSIP_SUSPECT);
    suspicion_start(g, now_ms, m, &g->self);
    rumor_claim(g, now_ms, m);
}

void
member_dead(struct gossip *g, uint64_t now_ms, struct member *m)
{
    struct member_hot *h = member_hot(&g->members, m);

    if (!member_is_thought_alive(h) || member_excused(m))
        return;
    g->n.deaths++;
    set_state(g, now_ms, m, h->boot, h->incarnation, GOSSIP_DEAD);
    rumor_claim(g, now_ms, m);
}

/* ---- restarting ---- */

/* A process that says so has told before where it is, under its boot. A boot of which there is no
 * such record is made up, and who makes up one can make up the next: each would have its grace.
 * (While there is no record at all nobody probes it either.) */
static bool
has_lived(const struct member *m, uint64_t boot)
{
    return !m->me || m->me->r.version.generation >= boot;
}

/* One grace per boot, however often and by whomever it is said: passed on, its word cannot be told
 * from another's, so nobody may be kept alive by that for longer. Its last packet may have gone to
 * others, but not long after its word. False: there is no grace left. */
static bool
grace_begin(struct gossip *g, uint64_t now_ms, struct member *m)
{
    GS_ASSERT(member_hot(&g->members, m)->state == GOSSIP_ALIVE);
    if (!has_lived(m, member_hot(&g->members, m)->boot))
        return false;
    if (m->grace_ms == 0)
        m->grace_ms = now_ms + RESTART_TELL_MS + RESTART_GRACE_MS;
    if (is_restarting(m) || now_ms >= m->grace_ms)
        return false;
    GS_ASSERT(!m->missed);
    gs_list_push_back(&g->members.restarts, &m->restart);
    members_enqueue(&g->members, m);
    return true;
}

void
member_heard(struct member *m, uint64_t now_ms)
{
    if (is_restarting(m) && m->grace_ms < now_ms + RESTART_GRACE_MS)
        m->grace_ms = now_ms + RESTART_GRACE_MS;
}

/* If it did not answer meanwhile it is asked once more: a process that is gone is found dead by
 * that at once, and one that has just come back says so. */
void
member_grace_over(struct gossip *g, uint64_t now_ms, struct member *m)
{
    bool missed = m->missed;

    GS_ASSERT(is_restarting(m));
    GS_ASSERT(now_ms >= m->grace_ms);
    grace_end(m);
    members_enqueue(&g->members, m);
    if (!missed)
        return;
    member_suspect(g, now_ms, m);
    probe_again(g, now_ms, m);
}

/* ---- claims ---- */

/* Above what they said, and in bounds: what is beyond them nobody believes. False: there is nothing
 * left above it. */
static bool
rise_above(struct gossip *g, uint64_t now_ms, const struct wire_claim *c)
{
    struct members *t = &g->members;

    if (c->boot > g->records.boot) { /* our disk was lost, and the clock went back */
        records_reboot(&g->records, now_ms, c->boot);
        t->incarnation = g->records.boot > c->boot ? 1 : c->incarnation + 1;
    } else if (c->incarnation < INCARNATION_MAX) {
        t->incarnation = c->incarnation + 1;
    } else if (g->records.boot < BOOT_MAX) {
        records_reboot(&g->records, now_ms, g->records.boot);
        t->incarnation = 1;
    } else {
        return false;
    }
    return true;
}

/* Somebody says of us what is not so. */
static enum member_merged
refute(struct gossip *g, uint64_t now_ms, const struct wire_claim *c)
{
    struct members *t = &g->members;
    uint64_t former_boot = g->records.boot;
    uint32_t former = t->incarnation;

    if (t->leaving || c->boot < g->records.boot)
        return MEMBER_STALE;
    if (c->boot == g->records.boot &&
        (c->incarnation < t->incarnation ||
         (c->incarnation == t->incarnation && c->state == GOSSIP_ALIVE &&
          (t->restarting || !c->restarting))))
        return MEMBER_STALE;
    if (!rise_above(g, now_ms, c))
        return MEMBER_STALE;
    members_own_again(g, former_boot, former);
    if (c->state != GOSSIP_ALIVE) {
        g->n.refutations++;
        probe_health(g, +1);
    }
    rumor_own(g, now_ms);
    return MEMBER_NEWS;
}

static int
rank(enum gossip_state s)
{
    return (int)s;
}

static int
compare(const struct member_hot *h, const struct wire_claim *c)
{
    if (h->state == GOSSIP_UNKNOWN)
        return -1;
    if (h->boot != c->boot)
        return h->boot < c->boot ? -1 : 1;
    if (h->incarnation != c->incarnation)
        return h->incarnation < c->incarnation ? -1 : 1;
    return rank(h->state) - rank(c->state);
}

/* The same suspicion from somebody else: worth passing on, as long as it says more. */
static enum member_merged
confirm(struct gossip *g, uint64_t now_ms, struct member *m, const struct wire_claim *c)
{
    unsigned before;

    if (c->state != GOSSIP_SUSPECT || !m->suspicion) {
        rumor_heard(&m->rumor);
        return MEMBER_STALE;
    }
    before = m->suspicion->count;
    member_confirm(g, now_ms, m, &c->accuser);
    if (m->suspicion->count == before) {
        rumor_heard(&m->rumor);
        return MEMBER_STALE;
    }
    rumor_claim(g, now_ms, m);
    return MEMBER_NEWS;
}

/* Heard of only after its end: it is forgotten when those do who were there, or the dead would be
 * handed on from node to node for ever. */
static void
backdate(struct gossip *g, uint64_t now_ms, struct member *m, const struct wire_claim *c)
{
    uint64_t age_ms = c->age_s * UINT64_C(1000);

    if (c->state == GOSSIP_DEAD || c->state == GOSSIP_LEFT)
        member_hot(&g->members, m)->since_ms =
            now_ms - (age_ms < DEAD_KEPT_MS ? age_ms : DEAD_KEPT_MS);
}

static enum member_merged
apply(struct gossip *g, uint64_t now_ms, struct member *m, const struct wire_claim *c)
{
    enum gossip_state was = member_hot(&g->members, m)->state;
    bool fresh_suspect = c->state == GOSSIP_SUSPECT;
    bool was_live = member_is_live(&g->members, m);

    if (fresh_suspect)
        suspicion_end(m); /* of an earlier incarnation */
    set_state(g, now_ms, m, c->boot, c->incarnation, c->state);
    if (was == GOSSIP_UNKNOWN)
        backdate(g, now_ms, m, c);
    if (fresh_suspect)
        suspicion_start(g, now_ms, m, &c->accuser);
    if (c->restarting)
        (void)grace_begin(g, now_ms, m);
    if (!was_live && member_is_live(&g->members, m))
        probe_add(g, m);
    if (was == GOSSIP_UNKNOWN && c->state == GOSSIP_DEAD)
        return MEMBER_NEWS; /* nobody needs to hear that again */
    rumor_claim(g, now_ms, m);
    return MEMBER_NEWS;
}

/* It said that it restarts, and we knew that word of it without this: passed on by a node that does
 * not know of restarts, or overtaken by a suspicion. */
static bool
is_late_excuse(const struct member_hot *h, const struct wire_claim *c)
{
    return c->restarting && h->boot == c->boot && h->incarnation == c->incarnation &&
           member_is_thought_alive(h);
}

static enum member_merged
excuse(struct gossip *g, uint64_t now_ms, struct member *m, const struct wire_claim *c)
{
    if (is_restarting(m) || !has_lived(m, c->boot) || (m->grace_ms != 0 && now_ms >= m->grace_ms)) {
        rumor_heard(&m->rumor);
        return MEMBER_STALE;
    }
    if (m->suspicion)
        set_state(g, now_ms, m, c->boot, c->incarnation, GOSSIP_ALIVE);
    GS_ASSERT(!m->suspicion);
    if (grace_begin(g, now_ms, m))
        rumor_claim(g, now_ms, m);
    return MEMBER_NEWS;
}

/* Said by somebody who has not heard that it restarts. What is true of it is found when its time is
 * up. */
static bool
is_held_off(const struct gossip *g, const struct member *m, const struct wire_claim *c)
{
    return is_restarting(m) && c->boot == member_hot(&g->members, m)->boot &&
           (c->state == GOSSIP_SUSPECT || c->state == GOSSIP_DEAD);
}

/* A claim about one who is not in the table: may it come in? */
static bool
is_welcome(const struct gossip *g, uint64_t now_ms, const struct wire_claim *c)
{
    if (c->state == GOSSIP_DEAD || c->state == GOSSIP_LEFT || looks_alike(g, &c->id))
        return false;
    return c->state == GOSSIP_ALIVE ||
           !members_have_forgotten(&g->members, now_ms, &c->id, c->boot);
}

enum member_merged
member_merge(struct gossip *g, uint64_t now_ms, const struct wire_claim *claim, bool hearsay)
{
    struct members *t = &g->members;
    struct wire_claim c = *claim;
    struct member *m;
    int order;

    if (c.incarnation > INCARNATION_MAX || c.boot > BOOT_MAX)
        return MEMBER_STALE;
    if (gs_id_eq(&c.id, &g->self))
        return refute(g, now_ms, &c);
    m = members_find(t, &c.id);
    if (!m) {
        if (!is_welcome(g, now_ms, &c))
            return MEMBER_STALE;
        if (t->count >= MEMBERS_MAX)
            return MEMBER_LIMIT;
        members_recall(t, &c.id);
        m = members_add(g, now_ms, &c.id);
    }
    if (is_held_off(g, m, &c))
        return MEMBER_STALE;
    if (is_late_excuse(member_hot(t, m), &c))
        return excuse(g, now_ms, m, &c);
    order = compare(member_hot(t, m), &c);
    if (hearsay && c.state == GOSSIP_DEAD && member_is_thought_alive(member_hot(t, m)) && order < 0)
        c.state = GOSSIP_SUSPECT; /* a digest kills nobody */
    order = compare(member_hot(t, m), &c);
    if (order == 0)
        return confirm(g, now_ms, m, &c);
    return order < 0 ? apply(g, now_ms, m, &c) : MEMBER_STALE;
}

struct wire_claim
member_claim(const struct gossip *g, const struct member *m)
{
    const struct member_hot *h = member_hot(&g->members, m);
    struct wire_claim c = { .id = m->id,
                            .state = h->state == GOSSIP_UNKNOWN ? GOSSIP_ALIVE : h->state,
                            .boot = h->boot ? h->boot : 1,
                            .incarnation = h->incarnation,
                            .restarting = is_restarting(m) };

    if (m->suspicion) { /* in our own name if we found so ourselves */
        c.accuser = m->suspicion->accusers[m->suspicion->count - 1];
        for (unsigned i = 0; i < m->suspicion->count; i++) {
            if (gs_id_eq(&m->suspicion->accusers[i], &g->self))
                c.accuser = g->self;
        }
    }
    return c;
}

struct wire_claim
member_own_claim(const struct gossip *g)
{
    return (struct wire_claim){ .id = g->self,
                                .state = own_state(g),
                                .boot = g->records.boot,
                                .incarnation = g->members.incarnation,
                                .restarting = g->members.restarting && !g->members.leaving };
}

/* ---- records ---- */

void
member_on_record(struct gossip *g, uint64_t now_ms, const struct record *r)
{
    struct version *v = r->present;
    const struct gs_id *id = &v->r.version.writer;
    struct member *m = members_find(&g->members, id);
    bool was_placed = m && m->me;
    struct wire_node n;

    GS_ASSERT(v->r.class == GOSSIP_OWNER && v->r.kind == GOSSIP_KIND_NODE);
    if (gs_id_eq(id, &g->self) || v->r.tombstone || wire_read_node(v->r.value, &n) != GS_E_OK)
        return;
    if (!m) {
        if (looks_alike(g, id) ||
            members_have_forgotten(&g->members, now_ms, id, v->r.version.generation))
            return;
        if (g->members.count >= MEMBERS_MAX) {
            g->n.refused++;
            return;
        }
        m = members_add(g, now_ms, id);
    }
    version_ref(v);
    version_free(m->me);
    m->me = v;
    m->address = n.address;
    m->name = n.name;
    m->about = n.about;
    m->forgetting = false;
    member_hot(&g->members, m)->placed = true;
    if (!was_placed && member_is_live(&g->members, m))
        probe_add(g, m);
    members_enqueue(&g->members, m);
}

void
member_rtt(struct member *m, uint32_t sample_us)
{
    uint32_t sample = sample_us > 0 ? sample_us : 1;
    uint32_t off = sample > m->srtt_us ? sample - m->srtt_us : m->srtt_us - sample;

    if (m->srtt_us == 0) {
        m->srtt_us = sample;
        m->rttvar_us = sample / 2;
        return;
    }
    m->rttvar_us = (3 * m->rttvar_us + off) / 4;
    m->srtt_us = (7 * m->srtt_us + sample) / 8;
}

/* ---- reading ---- */

struct gossip_node
member_node(const struct gossip *g, const struct member *m)
{
    const struct member_hot *h = member_hot(&g->members, m);

    return (struct gossip_node){ .id = m->id,
                                 .state = h->state,
                                 .boot = h->boot,
                                 .incarnation = h->incarnation,
                                 .since_ms = h->since_ms,
                                 .rtt_us = m->srtt_us,
                                 .restarting = is_restarting(m),
                                 .address = m->address,
                                 .name = m->name,
                                 .about = m->about };
}
