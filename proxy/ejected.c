/* ejected.c - which endpoint of a subset, where some are out (outlier.h) or were tried already.
 * balance.c comes here only then. In this order:
 *
 *   a first attempt: one whose time is over, if nobody tries it out; or, once a second, one whose
 *                    time is not, if those that are left fail, too, and are in use for the limit's
 *                    sake only
 *   the better of two that are in use
 *   nobody is left: the one that is back soonest, for a bad one is better than none */
#include <math.h>

#include "proxy/worker.h"

struct two { /* drawn by weight from those that were offered, and in that order */
    const struct endpoint *of[2];
    double luck[2];
    uint32_t offered;
};

struct looked { /* at a subset; those that were tried are left out */
    struct two any, used;
    const struct endpoint *soonest; /* of those that are out */
    uint64_t soonest_ms;
    uint32_t in_use; /* tried ones, too */
};

static struct slot *
slot_of(const struct worker *w, const struct endpoint *e)
{
    return slots_at(w->root->slots, e->slot);
}

/* The two greatest of log(random) / weight are what drawing by weight, one after the other, gives
 * (Efraimidis and Spirakis). */
static void
offer(struct worker *w, const struct subset *s, struct two *t, const struct endpoint *e)
{
    double random = (gs_rng_below(&w->loop->rng, UINT32_MAX) + 1.0) / UINT32_MAX; /* no 0 */
    double luck = log(random) / (s->upto ? e->weight : 1);
    bool first = t->offered == 0 || luck > t->luck[0];

    GS_ASSERT(luck <= 0);
    if (first) {
        t->of[1] = t->of[0];
        t->luck[1] = t->luck[0];
    }
    if (first || t->offered == 1 || luck > t->luck[1]) {
        t->of[!first] = e;
        t->luck[!first] = luck;
    }
    t->offered++;
}

static void
look_at(struct worker *w, const struct subset *s, const struct endpoint *e, bool was_tried,
        struct looked *l)
{
    uint64_t word = atomic_load_explicit(&slot_of(w, e)->ejection, memory_order_relaxed);

    l->in_use += word == 0;
    if (was_tried)
        return;
    offer(w, s, &l->any, e);
    if (word == 0) {
        offer(w, s, &l->used, e);
    } else if (!l->soonest || ejection_until_ms(word) < l->soonest_ms) {
        l->soonest = e;
        l->soonest_ms = ejection_until_ms(word);
    }
}

static struct looked
look(struct worker *w, const struct subset *s, const struct tried *tried)
{
    struct looked l = { .in_use = 0 };

    for (uint32_t i = 0; i < s->count; i++)
        look_at(w, s, s->endpoints[i], tried_has(tried, s->endpoints[i]), &l);
    GS_ASSERT(l.in_use <= s->count);
    GS_ASSERT(l.used.offered <= l.any.offered);
    return l;
}

static const struct endpoint *
better(struct worker *w, const struct subset *s, const struct two *t)
{
    GS_ASSERT(t->offered > 0);
    return t->offered == 1 ? t->of[0] : balance_better(w, s, t->of[0], t->of[1]);
}

/* Those that are left fail as well: may this one be tried before its time? */
static bool
may_be_early(struct worker *w, const struct outlier_policy *policy, const struct endpoint *left,
             const struct endpoint *out)
{
    struct endpoint_state *at;

    if (!outlier_is_held(policy, slot_of(w, left)))
        return false;
    at = worker_endpoint(w, out);
    if (w->loop->now_ms - at->tried_early_ms < OUTLIER_AGAIN_MS)
        return false;
    at->tried_early_ms = w->loop->now_ms;
    return true;
}

/* Used although it should not be. */
static const struct endpoint *
in_panic(struct worker *w, const struct endpoint *e)
{
    balance_panics(w, e);
    return e;
}

const struct endpoint *
ejected_pick(struct worker *w, const struct subset *s, const struct tried *tried,
             struct outlier_trial *trial)
{
    const struct outlier_policy *policy = outlier_policy_of(s);
    struct outlier_pool pool = worker_outliers(w, s);
    struct looked l = look(w, s, tried);
    const struct endpoint *e;

    GS_ASSERT(s->count > 0);
    GS_ASSERT(trial->token == 0);
    if (l.any.offered == 0) /* all were tried */
        return s->endpoints[gs_rng_below(&w->loop->rng, s->count)];
    if (outlier_is_off(policy))
        return better(w, s, &l.any);
    if ((uint64_t)l.in_use * 100 < (uint64_t)policy->min_health_percent * s->count) {
        e = better(w, s, &l.any);
        return outlier_is_out(slot_of(w, e)) ? in_panic(w, e) : e;
    }
    if (l.used.offered == 0) {
        if (outlier_try(&pool, slot_of(w, l.soonest), true, trial))
            return l.soonest;
        return in_panic(w, l.soonest);
    }
    e = better(w, s, &l.used);
    if (l.soonest && tried->count == 0 &&
        outlier_try(&pool, slot_of(w, l.soonest), may_be_early(w, policy, e, l.soonest), trial))
        return l.soonest;
    return e;
}
