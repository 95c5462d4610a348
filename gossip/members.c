/* members.c - the table of members: who is in it, who is picked, who is dropped, who is told of.
 * Start reading at members_tick(). What a claim does to one of them is in member.c.
 *
 *     members_add ─▶ [table, by id] ─▶ changed ─▶ members_next_event: NODE
 *                        └─ dead a day, left an hour ─▶ forgetting ─▶ FORGOTTEN, and only then gone
 *
 * One that is to be forgotten stays until that was told, in the line of all other changes: so no
 * event is lost, none needs memory of its own, and one that returns in time was never away. */
#include "gossip/member.h"

#include <string.h>

#include <gossamer/alloc.h>

#include "gossip/core.h"

#define REAP_EVERY_MS 60000
#define UNPLACED_MS 60000 /* a claim without a record: nobody can probe whom it is about */

/* ---- the table ---- */

void
members_init(struct members *t, uint64_t seed)
{
    *t = (struct members){ .incarnation = 1, .reap_ms = UINT64_MAX };
    gs_list_init(&t->suspects);
    gs_list_init(&t->restarts);
    gs_list_init(&t->changed);
    forgotten_init(&t->forgotten, seed);
}

static void
member_free(struct member *m)
{
    gs_list_remove(&m->suspect);
    gs_list_remove(&m->restart);
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
    forgotten_fini(&t->forgotten);
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

/* ---- coming and going ---- */

static void
renumber(struct members *t, size_t from)
{
    for (size_t i = from; i < t->count; i++)
        t->hot[i].cold->at = (uint32_t)i;
}

struct member *
members_add(struct gossip *g, uint64_t now_ms, const struct gs_id *id)
{
    struct members *t = &g->members;
    struct member *m = gs_zalloc(sizeof(*m));
    size_t at = place(t, id->bytes, GS_ID_BYTES);

    GS_ASSERT(t->count < MEMBERS_MAX);
    GS_ASSERT(!gs_id_eq(id, &g->self));
    GS_ASSERT(at == t->count || !gs_id_eq(id, &t->hot[at].cold->id));
    m->id = *id;
    gs_list_init(&m->suspect);
    gs_list_init(&m->restart);
    gs_list_init(&m->changed);
    rumor_init(&m->rumor);
    if (t->count == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 16;
        t->hot = gs_realloc(t->hot, t->cap * sizeof(*t->hot));
    }
    memmove(&t->hot[at + 1], &t->hot[at], (t->count - at) * sizeof(*t->hot));
    t->hot[at] = (struct member_hot){ .cold = m, .since_ms = now_ms };
    t->count++;
    renumber(t, at);
    t->by_state[GOSSIP_UNKNOWN]++;
    members_reap_later(t, now_ms);
    return m;
}

/* Of one that is only remembered, its record alone tells it. */
static uint64_t
last_boot(const struct member_hot *h)
{
    uint64_t written = h->cold->me->r.version.generation;

    return written > h->boot ? written : h->boot;
}

static void
drop(struct gossip *g, struct member *m)
{
    struct members *t = &g->members;
    struct member_hot *h = member_hot(t, m);
    size_t at = m->at;

    GS_ASSERT(h->cold == m);
    GS_ASSERT(t->by_state[h->state] > 0);
    if (h->placed) /* of the others there is nothing that could come back */
        forgotten_put(&t->forgotten, &m->id, last_boot(h), t->reaped_ms + DEAD_KEPT_MS);
    t->root -= member_digest(&m->id, h->boot, h->incarnation, h->state);
    t->by_state[h->state]--;
    memmove(&t->hot[at], &t->hot[at + 1], (t->count - at - 1) * sizeof(*t->hot));
    t->count--;
    renumber(t, at);
    records_forget(&g->records, &m->id);
    member_free(m);
}

bool
members_have_forgotten(const struct members *t, uint64_t now_ms, const struct gs_id *id,
                       uint64_t boot)
{
    return forgotten_has(&t->forgotten, now_ms, id, boot);
}

/* Somebody says that it lives: it was cut off for a day, or we were. */
void
members_recall(struct members *t, const struct gs_id *id)
{
    forgotten_remove(&t->forgotten, id);
}

/* ---- time ---- */

/* How long it stays as it is; UINT64_MAX: as long as it answers. Who is only remembered from the
 * disk goes as the dead do, or it would outlive them here and come back to the others. */
static uint64_t
kept_ms(const struct member_hot *h)
{
    if (!h->placed)
        return UNPLACED_MS;
    if (member_is_thought_alive(h))
        return UINT64_MAX;
    return h->state == GOSSIP_LEFT ? LEFT_KEPT_MS : DEAD_KEPT_MS;
}

void
members_reap_later(struct members *t, uint64_t now_ms)
{
    if (t->reap_ms == UINT64_MAX)
        t->reap_ms = now_ms + REAP_EVERY_MS;
}

static void
reap(struct gossip *g, uint64_t now_ms)
{
    struct members *t = &g->members;
    bool more = false;

    t->reaped_ms = now_ms;
    forgotten_tick(&t->forgotten, now_ms);
    for (size_t i = 0; i < t->count; i++) {
        struct member_hot *h = &t->hot[i];
        struct member *m = h->cold;
        uint64_t kept = kept_ms(h);

        more = more || kept != UINT64_MAX;
        if (now_ms - h->since_ms < kept || gs_list_linked(&m->changed))
            continue;
        if (member_is_thought_alive(h)) {
            member_suspect(g, now_ms, m); /* if it lives it will say so */
        } else {
            m->forgetting = true;
            gs_list_push_back(&t->changed, &m->changed);
        }
    }
    t->reap_ms = more ? now_ms + REAP_EVERY_MS : UINT64_MAX;
}

void
members_tick(struct gossip *g, uint64_t now_ms)
{
    GS_LIST_EACH_SAFE(at, &g->members.suspects) {
        struct member *m = GS_LIST_ENTRY(at, struct member, suspect);

        GS_ASSERT(m->suspicion);
        if (now_ms >= m->suspicion->deadline_ms)
            member_dead(g, now_ms, m);
    }
    GS_LIST_EACH_SAFE(at, &g->members.restarts) {
        struct member *m = GS_LIST_ENTRY(at, struct member, restart);

        if (now_ms >= m->grace_ms)
            member_grace_over(g, now_ms, m);
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
    GS_LIST_EACH(at, &g->members.restarts) {
        const struct member *m = GS_LIST_ENTRY(at, struct member, restart);

        if (m->grace_ms < due)
            due = m->grace_ms;
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
    GS_LIST_EACH(at, &g->members.restarts)
        GS_LIST_ENTRY(at, struct member, restart)->grace_ms += late_ms;
}

/* ---- the disk ---- */

#define GONE_BYTES (GS_ID_BYTES + 8)

bool
members_next_frame(const struct gossip *g, struct gossip_cursor *c, struct gossip_frame *out)
{
    const struct members *t = &g->members;
    uint64_t ahead_ms = g->records.store.wall_ahead_ms;

    GS_ASSERT(sizeof(c->scratch) >= GONE_BYTES);
    while (ahead_ms > 0 && c->member < t->count) {
        const struct member_hot *h = &t->hot[c->member++];

        if (!h->placed || member_is_thought_alive(h))
            continue;
        memcpy(c->scratch, h->cold->id.bytes, GS_ID_BYTES);
        wire_put_u64((char *)c->scratch + GS_ID_BYTES, h->since_ms + ahead_ms);
        *out = (struct gossip_frame){ GOSSIP_FRAME_GONE, gs_slice(c->scratch, GONE_BYTES) };
        return true;
    }
    return false;
}

gs_err
members_restore(struct gossip *g, uint64_t now_ms, uint64_t wall_ms, struct gs_slice bytes,
                struct gs_why *why)
{
    uint64_t since_ms, age_ms;
    struct member *m;
    struct gs_id id;

    if (bytes.len != GONE_BYTES)
        return gs_refuse(why, GS_E_MALFORMED, "what says since when a member is gone has %d bytes",
                         GONE_BYTES);
    memcpy(id.bytes, bytes.ptr, GS_ID_BYTES);
    since_ms = wire_u64(bytes.ptr + GS_ID_BYTES);
    age_ms = wall_ms > since_ms ? wall_ms - since_ms : 0;
    m = members_find(&g->members, &id);
    if (m && member_hot(&g->members, m)->state == GOSSIP_UNKNOWN)
        member_hot(&g->members, m)->since_ms =
            now_ms - (age_ms < DEAD_KEPT_MS ? age_ms : DEAD_KEPT_MS);
    return GS_E_OK;
}

/* ---- events ---- */

void
members_enqueue(struct members *t, struct member *m)
{
    if (member_hot(t, m)->placed && !gs_list_linked(&m->changed))
        gs_list_push_back(&t->changed, &m->changed);
}

/* Its name is in a record that goes with it, so it is told by its id alone. */
static struct gossip_event
forgotten_event(const struct gossip *g, const struct member *m)
{
    const struct member_hot *h = member_hot(&g->members, m);

    GS_ASSERT(!member_is_thought_alive(h));
    return (struct gossip_event){
        .type = GOSSIP_EVENT_FORGOTTEN,
        .node = { .id = m->id, .state = h->state, .boot = h->boot, .incarnation = h->incarnation },
        .former = m->told,
    };
}

bool
members_next_event(struct gossip *g, struct gossip_event *out)
{
    struct gs_list *link = gs_list_pop_front(&g->members.changed);
    struct member *m;

    if (!link)
        return false;
    m = GS_LIST_ENTRY(link, struct member, changed);
    if (m->forgetting) {
        *out = forgotten_event(g, m);
        drop(g, m);
        return true;
    }
    GS_ASSERT(m->me);
    *out = (struct gossip_event){ .type = GOSSIP_EVENT_NODE,
                                  .node = member_node(g, m),
                                  .former = m->told };
    if (m->suspicion)
        out->sender = m->suspicion->accusers[0];
    m->told = (uint8_t)out->node.state;
    return true;
}

/* ---- invariants ---- */

static void
check_one(const struct members *t, size_t i)
{
    const struct member_hot *h = &t->hot[i];
    const struct member *m = h->cold;

    GS_ASSERT(m->at == i);
    GS_ASSERT(h->state <= GOSSIP_LEFT);
    GS_ASSERT(h->boot <= BOOT_MAX);
    GS_ASSERT(h->placed == (m->me != NULL));
    GS_ASSERT((h->state == GOSSIP_SUSPECT) == (m->suspicion != NULL));
    GS_ASSERT((m->suspicion != NULL) == gs_list_linked(&m->suspect));
    GS_ASSERT(!m->suspicion || m->suspicion->count > 0);
    GS_ASSERT(!gs_list_linked(&m->restart) || h->state == GOSSIP_ALIVE);
    GS_ASSERT(!gs_list_linked(&m->restart) || m->grace_ms > 0);
    GS_ASSERT(!m->missed || gs_list_linked(&m->restart));
    GS_ASSERT(!m->forgetting || gs_list_linked(&m->changed));
    GS_ASSERT(!m->forgetting || !member_is_thought_alive(h));
    GS_ASSERT(h->placed || m->forgetting || !gs_list_linked(&m->changed));
    GS_ASSERT(i == 0 || memcmp(t->hot[i - 1].cold->id.bytes, m->id.bytes, GS_ID_BYTES) < 0);
}

void
members_check(const struct gossip *g)
{
    const struct members *t = &g->members;
    size_t by_state[GOSSIP_LEFT + 1] = { 0 };
    struct wire_claim own = member_own_claim(g);
    uint64_t root = member_digest(&g->self, own.boot, own.incarnation, own.state);

    GS_ASSERT(t->count <= t->cap);
    GS_ASSERT(t->count <= MEMBERS_MAX);
    forgotten_check(&t->forgotten);
    for (size_t i = 0; i < t->count; i++) {
        const struct member_hot *h = &t->hot[i];

        check_one(t, i);
        by_state[h->state]++;
        root += member_digest(&h->cold->id, h->boot, h->incarnation, h->state);
    }
    GS_ASSERT(memcmp(by_state, t->by_state, sizeof(by_state)) == 0);
    GS_ASSERT(!g->box || root == t->root);
}
