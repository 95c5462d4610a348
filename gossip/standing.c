/* standing.c - when this node may serve, and where it starts from.
 *
 *     CLOSED ──policy digest equals an open peer's──────────────────────────────▶ OPEN
 *        ├─ OPEN_WAIT_MS, no open peer: policy from disk; or it was a member or was answered, and
 *        │  nobody who answered has any ──▶
 *        └─ nobody to ask at all: it founds the mesh ──▶
 *
 * A node that opened too early would route by rules that were replaced while it was away. */
#include "gossip/standing.h"

#include "gossip/core.h"

#define RETRY_FIRST_MS 50
#define RETRY_MAX_MS 1000
#define JOIN_AT_ONCE 4
#define WAITS_FOR_OTHERS 3

void
standing_init(struct standing *s)
{
    *s = (struct standing){ .now = GOSSIP_CLOSED, .decide_ms = UINT64_MAX, .retry_ms = UINT64_MAX };
}

static void
open_now(struct gossip *g)
{
    g->standing.now = GOSSIP_OPEN;
    g->standing.decide_ms = UINT64_MAX;
}

static bool
has_policy(const struct gossip *g)
{
    return g->records.store.roots[GOSSIP_OPERATOR] != 0;
}

/* ---- looking for somebody ---- */

static size_t
ask_remembered(struct gossip *g, uint64_t now_ms, size_t most)
{
    struct members *t = &g->members;
    size_t start = t->count ? gs_rng_below(&g->rng, (uint32_t)t->count) : 0;
    size_t asked = 0;

    for (size_t i = 0; i < t->count && asked < most; i++) {
        const struct member_hot *h = &t->hot[(start + i) % t->count];

        if (h->placed && h->state != GOSSIP_LEFT &&
            sync_start(g, now_ms, &h->cold->address, true) == GS_E_OK)
            asked++;
    }
    return asked;
}

static void
ask_around(struct gossip *g, uint64_t now_ms)
{
    struct standing *s = &g->standing;

    for (size_t i = 0; i < s->seed_count && i < JOIN_AT_ONCE / 2; i++) {
        (void)!sync_start(g, now_ms, &s->seeds[s->seed_at % s->seed_count], true);
        s->seed_at++;
    }
    (void)ask_remembered(g, now_ms, JOIN_AT_ONCE);
    s->retry_ms = now_ms + s->pause_ms + gs_rng_below(&g->rng, (uint32_t)s->pause_ms);
    s->pause_ms = s->pause_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : s->pause_ms * 2;
}

/* Somebody is there, and what they know is known here: alone no more. Who could have opened by now
 * and has not goes on asking, so that whoever opens first is found at once: the others' probes may
 * take some seconds to come by. */
static bool
is_settled(const struct gossip *g)
{
    const struct standing *s = &g->standing;

    return s->answered && members_live(&g->members) > 0 && (s->now == GOSSIP_OPEN || s->waits == 0);
}

void
standing_join(struct gossip *g, uint64_t now_ms, const struct gs_addr *seeds, size_t count)
{
    struct standing *s = &g->standing;

    GS_ASSERT(!s->asked);
    s->asked = true;
    s->restored = has_policy(g);
    s->remembered = g->members.count > 0;
    for (size_t i = 0; i < count && s->seed_count < GOSSIP_SEEDS_MAX; i++) {
        if (!gs_addr_eq(&seeds[i], &g->address))
            s->seeds[s->seed_count++] = seeds[i];
    }
    if (s->seed_count == 0 && g->members.count == 0) {
        open_now(g);
        return;
    }
    s->pause_ms = RETRY_FIRST_MS;
    s->decide_ms = now_ms + OPEN_WAIT_MS;
    ask_around(g, now_ms);
}

/* ---- deciding ---- */

void
standing_heard(struct gossip *g, uint64_t now_ms, uint32_t flags, const uint64_t *roots)
{
    struct standing *s = &g->standing;

    s->answered = true;
    s->policy_seen = s->policy_seen || (flags & WIRE_POLICY);
    if (s->now == GOSSIP_OPEN || !s->asked)
        return;
    if (!(flags & WIRE_OPEN)) {
        if (now_ms >= s->decide_ms)
            standing_tick(g, now_ms);
        return;
    }
    s->open_answered = true;
    if (roots[GOSSIP_OPERATOR] == g->records.store.roots[GOSSIP_OPERATOR])
        open_now(g);
}

void
standing_exchanged(struct gossip *g, uint32_t flags)
{
    if ((flags & WIRE_OPEN) && g->standing.asked && g->standing.now == GOSSIP_CLOSED)
        open_now(g);
}

/* With nobody open to ask. What a closed peer had from its disk is as good as our own disk, but it
 * gets some more time: its owner may know of somebody who is open. */
static bool
may_open_alone(const struct gossip *g)
{
    const struct standing *s = &g->standing;

    return s->restored || (!s->policy_seen && (s->answered || s->remembered)) ||
           (has_policy(g) && s->waits >= WAITS_FOR_OTHERS);
}

void
standing_tick(struct gossip *g, uint64_t now_ms)
{
    struct standing *s = &g->standing;

    if (s->asked && now_ms >= s->retry_ms) {
        if (is_settled(g)) {
            s->retry_ms = now_ms + RETRY_MAX_MS;
            s->pause_ms = RETRY_FIRST_MS;
        } else {
            ask_around(g, now_ms);
        }
    }
    if (s->now == GOSSIP_OPEN || now_ms < s->decide_ms)
        return;
    s->waits++;
    if (!s->open_answered && may_open_alone(g))
        open_now(g);
    else
        s->decide_ms = now_ms + OPEN_WAIT_MS; /* until somebody answers, or is through */
    s->open_answered = false;                 /* it may have gone meanwhile */
}

uint64_t
standing_deadline_ms(const struct gossip *g)
{
    const struct standing *s = &g->standing;
    uint64_t due = s->retry_ms;

    return s->now == GOSSIP_CLOSED && s->decide_ms < due ? s->decide_ms : due;
}

void
standing_check(const struct standing *s)
{
    GS_ASSERT(s->seed_count <= GOSSIP_SEEDS_MAX);
    GS_ASSERT(s->now == GOSSIP_CLOSED || s->decide_ms == UINT64_MAX);
    GS_ASSERT(s->now == GOSSIP_CLOSED || s->asked);
    GS_ASSERT(!s->told || s->now == GOSSIP_OPEN);
    GS_ASSERT(s->pause_ms <= RETRY_MAX_MS);
}
