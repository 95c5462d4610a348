/* member.c - the table of members, and what becomes of a claim. Start reading at member_merge().
 *
 *              ┌──────────── higher boot or incarnation ───────────┐
 *     UNKNOWN ─▶ ALIVE ──probe failed──▶ SUSPECT ──time is up──▶ DEAD ──a day──▶ forgotten
 *                  └─────── it says so ────────▶ LEFT ──an hour──▶ forgotten
 *
 * Inside one (boot, incarnation) a state only goes to the right. A claim against this node is
 * answered by a higher incarnation. */
#include "gossip/member.h"

#include <math.h>
#include <string.h>

#include <gossamer/alloc.h>

#include "gossip/core.h"

#define INCARNATION_MAX (UINT32_MAX / 2) /* nobody is suspected that often: a lie */
#define REAP_EVERY_MS 60000
#define UNPLACED_MS 60000 /* a claim without a record: nobody can probe whom it is about */

const char *
gossip_state_name(enum gossip_state s)
{
    static const char *const names[] = { "unknown", "alive", "suspect", "dead", "left" };

    GS_ASSERT((size_t)s < GS_COUNT(names));
    return names[s];
}

/* ---- the table ---- */

void
members_init(struct members *t)
{
    *t = (struct members){ .incarnation = 1, .reap_ms = UINT64_MAX };
    gs_list_init(&t->suspects);
    gs_list_init(&t->changed);
}

static void
member_free(struct member *m)
{
    gs_list_remove(&m->suspect);
    gs_list_remove(&m->changed);
    gs_list_remove(&m->rumor.link);
    gs_free(m->suspicion);
    version_free(m->me);
    gs_free(m);
}

void
members_fini(struct members *t)
{
    for (size_t i = 0; i < t->count; i++)
        member_free(t->hot[i].cold);
    gs_free(t->hot);
    t->hot = NULL;
    t->count = 0;
}

/* Index of the first whose id is not below. */
static size_t
place(const struct members *t, const uint8_t *id, size_t len)
{
    size_t low = 0, high = t->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (memcmp(t->hot[middle].cold->id.bytes, id, len) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct member *
members_find(const struct members *t, const struct gs_id *id)
{
    size_t at = place(t, id->bytes, GS_ID_BYTES);

    return at < t->count && gs_id_eq(&t->hot[at].cold->id, id) ? t->hot[at].cold : NULL;
}

struct member *
members_find_name(const struct members *t, uint64_t name)
{
    char bytes[8];
    size_t at;

    wire_put_u64(bytes, name);
    at = place(t, (const uint8_t *)bytes, sizeof(bytes));
    if (at == t->count || memcmp(t->hot[at].cold->id.bytes, bytes, sizeof(bytes)) != 0)
        return NULL;
    return t->hot[at].cold;
}

static bool
hot_is_live(const struct member_hot *h)
{
    return h->placed && (h->state == GOSSIP_ALIVE || h->state == GOSSIP_SUSPECT);
}

struct member *
members_at_address(const struct members *t, const struct gs_addr *address)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct member_hot *h = &t->hot[i];

        if (hot_is_live(h) && gs_addr_eq(&h->cold->address, address))
            return h->cold;
    }
    return NULL;
}

bool
member_is_live(const struct members *t, const struct member *m)
{
    return hot_is_live(member_hot(t, m));
}

size_t
members_live(const struct members *t)
{
    return t->by_state[GOSSIP_ALIVE] + t->by_state[GOSSIP_SUSPECT];
}

static size_t
pick_from_all(struct gossip *g, const struct member *other, struct member **out, size_t max)
{
    struct members *t = &g->members;
    size_t seen = 0;

    for (size_t i = 0; i < t->count; i++) { /* reservoir sampling */
        struct member *m = t->hot[i].cold;
        size_t at = seen;

        if (m == other || !hot_is_live(&t->hot[i]))
            continue;
        seen++;
        if (at >= max)
            at = gs_rng_below(&g->rng, (uint32_t)seen);
        if (at < max)
            out[at] = m;
    }
    return seen < max ? seen : max;
}

size_t
members_pick(struct gossip *g, const struct member *other, struct member **out, size_t max)
{
    struct members *t = &g->members;
    size_t count = 0;

    GS_ASSERT(max <= PICK_MAX);
    if (t->count < 8 * max || members_live(t) < t->count / 2)
        return pick_from_all(g, other, out, max);
    for (size_t tries = 0; tries < 8 * max && count < max; tries++) {
        struct member *m = t->hot[gs_rng_below(&g->rng, (uint32_t)t->count)].cold;
        bool again = m == other || !member_is_live(t, m);

        for (size_t i = 0; i < count; i++)
            again = again || out[i] == m;
        if (!again)
            out[count++] = m;
    }
    return count < max ? pick_from_all(g, other, out, max) : count; /* bad luck is no verdict */
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
enqueue(struct members *t, struct member *m)
{
    if (member_hot(t, m)->placed && !gs_list_linked(&m->changed))
        gs_list_push_back(&t->changed, &m->changed);
}

static void
suspicion_end(struct member *m)
{
    gs_list_remove(&m->suspect);
    gs_free(m->suspicion);
    m->suspicion = NULL;
}

static void
set_state(struct gossip *g, uint64_t now_ms, struct member *m, uint64_t boot, uint32_t incarnation,
          enum gossip_state s)
{
    struct members *t = &g->members;
    struct member_hot *h = member_hot(t, m);
    bool same = h->state == s;

    GS_ASSERT(t->by_state[h->state] > 0);
    t->root -= digest_of(h);
    t->by_state[h->state]--;
    t->by_state[s]++;
    if (h->boot != boot)
        m->srtt_us = m->rttvar_us = 0;
    h->boot = boot;
    h->incarnation = incarnation;
    h->state = (uint8_t)s;
    if (!same)
        h->since_ms = now_ms;
    t->root += digest_of(h);
    if (s != GOSSIP_SUSPECT)
        suspicion_end(m);
    if ((s == GOSSIP_DEAD || s == GOSSIP_LEFT) && t->reap_ms == UINT64_MAX)
        t->reap_ms = now_ms + REAP_EVERY_MS;
    enqueue(t, m);
}

static struct member *
add(struct gossip *g, uint64_t now_ms, const struct gs_id *id)
{
    struct members *t = &g->members;
    struct member *m = gs_zalloc(sizeof(*m));
    size_t at = place(t, id->bytes, GS_ID_BYTES);

    GS_ASSERT(!gs_id_eq(id, &g->self));
    m->id = *id;
    gs_list_init(&m->suspect);
    gs_list_init(&m->changed);
    rumor_init(&m->rumor);
    if (t->count == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 16;
        t->hot = gs_realloc(t->hot, t->cap * sizeof(*t->hot));
    }
    memmove(&t->hot[at + 1], &t->hot[at], (t->count - at) * sizeof(*t->hot));
    t->hot[at] = (struct member_hot){ .cold = m, .since_ms = now_ms };
    t->count++;
    for (size_t i = at; i < t->count; i++)
        t->hot[i].cold->at = (uint32_t)i;
    t->by_state[GOSSIP_UNKNOWN]++;
    if (t->reap_ms == UINT64_MAX)
        t->reap_ms = now_ms + REAP_EVERY_MS;
    return m;
}

static void
drop(struct gossip *g, uint64_t now_ms, struct member *m)
{
    struct members *t = &g->members;
    struct member_hot *h = member_hot(t, m);
    size_t at = m->at;

    if (h->placed) /* of the others there is nothing that could come back */
        t->forgotten[t->forgotten_next++ % FORGOTTEN_MAX] =
            (struct forgotten){ .id = m->id, .boot = h->boot, .until_ms = now_ms + DEAD_KEPT_MS };
    t->root -= digest_of(h);
    t->by_state[h->state]--;
    memmove(&t->hot[at], &t->hot[at + 1], (t->count - at - 1) * sizeof(*t->hot));
    t->count--;
    for (size_t i = at; i < t->count; i++)
        t->hot[i].cold->at = (uint32_t)i;
    records_forget(&g->records, &m->id);
    member_free(m);
}

bool
members_have_forgotten(const struct members *t, uint64_t now_ms, const struct gs_id *id,
                       uint64_t boot)
{
    for (size_t i = 0; i < FORGOTTEN_MAX; i++) {
        const struct forgotten *f = &t->forgotten[i];

        if (f->until_ms > now_ms && boot <= f->boot && gs_id_eq(&f->id, id))
            return true;
    }
    return false;
}

/* Somebody says that it lives: it was cut off for a day, or we were. */
static void
recall(struct members *t, const struct gs_id *id)
{
    for (size_t i = 0; i < FORGOTTEN_MAX; i++) {
        if (gs_id_eq(&t->forgotten[i].id, id))
            t->forgotten[i].until_ms = 0;
    }
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
    if (m->suspicion && add_accuser(m->suspicion, accuser))
        shorten(g, m->suspicion);
}

void
member_suspect(struct gossip *g, uint64_t now_ms, struct member *m)
{
    struct member_hot *h = member_hot(&g->members, m);

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

    if (h->state != GOSSIP_ALIVE && h->state != GOSSIP_SUSPECT)
        return;
    g->n.deaths++;
    set_state(g, now_ms, m, h->boot, h->incarnation, GOSSIP_DEAD);
    rumor_claim(g, now_ms, m);
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
         (c->incarnation == t->incarnation && c->state == GOSSIP_ALIVE)))
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

static enum member_merged
apply(struct gossip *g, uint64_t now_ms, struct member *m, const struct wire_claim *c)
{
    enum gossip_state was = member_hot(&g->members, m)->state;
    bool fresh_suspect = c->state == GOSSIP_SUSPECT;
    bool was_live = member_is_live(&g->members, m);

    if (fresh_suspect)
        suspicion_end(m); /* of an earlier incarnation */
    set_state(g, now_ms, m, c->boot, c->incarnation, c->state);
    if (fresh_suspect)
        suspicion_start(g, now_ms, m, &c->accuser);
    if (!was_live && member_is_live(&g->members, m))
        probe_add(g, m);
    if (was == GOSSIP_UNKNOWN && c->state == GOSSIP_DEAD)
        return MEMBER_NEWS; /* nobody needs to hear that again */
    rumor_claim(g, now_ms, m);
    return MEMBER_NEWS;
}

static bool
is_thought_alive(const struct member_hot *h)
{
    return h->state == GOSSIP_ALIVE || h->state == GOSSIP_SUSPECT;
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
        recall(t, &c.id);
        m = add(g, now_ms, &c.id);
    }
    order = compare(member_hot(t, m), &c);
    if (hearsay && c.state == GOSSIP_DEAD && is_thought_alive(member_hot(t, m)) && order < 0)
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
                            .incarnation = h->incarnation };

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
                                .incarnation = g->members.incarnation };
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
        m = add(g, now_ms, id);
    }
    version_ref(v);
    version_free(m->me);
    m->me = v;
    m->address = n.address;
    m->name = n.name;
    m->about = n.about;
    member_hot(&g->members, m)->placed = true;
    if (!was_placed && member_is_live(&g->members, m))
        probe_add(g, m);
    enqueue(&g->members, m);
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

/* ---- time ---- */

/* How long it stays as it is; UINT64_MAX: as long as it answers. Who is only remembered from the
 * disk goes as the dead do, or it would outlive them here and come back to the others. */
static uint64_t
kept_ms(const struct member_hot *h)
{
    if (!h->placed)
        return UNPLACED_MS;
    if (is_thought_alive(h))
        return UINT64_MAX;
    return h->state == GOSSIP_LEFT ? LEFT_KEPT_MS : DEAD_KEPT_MS;
}

static void
reap(struct gossip *g, uint64_t now_ms)
{
    struct members *t = &g->members;
    bool more = false;

    for (size_t i = t->count; i-- > 0;) {
        struct member_hot *h = &t->hot[i];
        uint64_t kept = kept_ms(h);

        more = more || kept != UINT64_MAX;
        if (now_ms - h->since_ms < kept || gs_list_linked(&h->cold->changed))
            continue;
        if (is_thought_alive(h))
            member_suspect(g, now_ms, h->cold); /* if it lives it will say so */
        else
            drop(g, now_ms, h->cold);
    }
    t->reap_ms = more ? now_ms + REAP_EVERY_MS : UINT64_MAX;
}

void
members_tick(struct gossip *g, uint64_t now_ms)
{
    GS_LIST_EACH_SAFE(at, &g->members.suspects) {
        struct member *m = GS_LIST_ENTRY(at, struct member, suspect);

        if (now_ms >= m->suspicion->deadline_ms)
            member_dead(g, now_ms, m);
    }
    if (now_ms >= g->members.reap_ms)
        reap(g, now_ms);
}

uint64_t
members_deadline_ms(const struct gossip *g)
{
    uint64_t due = g->members.reap_ms;

    GS_LIST_EACH(at, &g->members.suspects) {
        const struct member *m = GS_LIST_ENTRY(at, struct member, suspect);

        if (m->suspicion->deadline_ms < due)
            due = m->suspicion->deadline_ms;
    }
    return due;
}

void
members_stalled(struct gossip *g, uint64_t late_ms)
{
    GS_LIST_EACH(at, &g->members.suspects) {
        struct suspicion *s = GS_LIST_ENTRY(at, struct member, suspect)->suspicion;

        s->since_ms += late_ms;
        s->deadline_ms += late_ms;
    }
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
                                 .address = m->address,
                                 .name = m->name,
                                 .about = m->about };
}

bool
members_next_event(struct gossip *g, struct gossip_event *out)
{
    struct gs_list *link = gs_list_pop_front(&g->members.changed);
    struct member *m;

    if (!link)
        return false;
    m = GS_LIST_ENTRY(link, struct member, changed);
    *out = (struct gossip_event){ .type = GOSSIP_EVENT_NODE,
                                  .node = member_node(g, m),
                                  .former = m->told };
    if (m->suspicion)
        out->sender = m->suspicion->accusers[0];
    m->told = (uint8_t)out->node.state;
    return true;
}

void
members_check(const struct gossip *g)
{
    const struct members *t = &g->members;
    size_t by_state[GOSSIP_LEFT + 1] = { 0 };
    uint64_t root = member_digest(&g->self, g->records.boot, t->incarnation, own_state(g));

    for (size_t i = 0; i < t->count; i++) {
        const struct member_hot *h = &t->hot[i];

        GS_ASSERT(h->cold->at == i);
        GS_ASSERT(h->placed == (h->cold->me != NULL));
        GS_ASSERT((h->state == GOSSIP_SUSPECT) == (h->cold->suspicion != NULL));
        GS_ASSERT((h->cold->suspicion != NULL) == gs_list_linked(&h->cold->suspect));
        GS_ASSERT(i == 0 ||
                  memcmp(t->hot[i - 1].cold->id.bytes, h->cold->id.bytes, GS_ID_BYTES) < 0);
        by_state[h->state]++;
        root += digest_of(h);
    }
    GS_ASSERT(memcmp(by_state, t->by_state, sizeof(by_state)) == 0);
    GS_ASSERT(!g->box || root == t->root);
}
