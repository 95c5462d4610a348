/* outlier.c - local ejection. Semantics are Envoy's where it has any: what counts, for how long,
 * and that an ejection is forgiven for each interval of good service (its sweep takes one off). Two
 * things are not: when its time is over one request tries the endpoint, instead of its full share;
 * and the last usable endpoint of a subset is never put out, however high the limit, for then there
 * is nobody who would be better off. */
#include "proxy/outlier.h"

const char *
outlier_fault_text(enum outlier_fault f)
{
    static const char *const texts[] = { "5xx", "gateway", "local" };

    GS_ASSERT((size_t)f < GS_COUNT(texts));
    return texts[f];
}

/* ---- faults in a row: three counts in one word ---- */

#define LANE_BITS 16
#define LANE_MAX 0xffffu

static uint32_t
lane(uint64_t faults, enum outlier_fault f)
{
    GS_ASSERT(f < OUTLIER_FAULTS);
    return (uint32_t)(faults >> (LANE_BITS * f) & LANE_MAX);
}

static uint64_t
raised(uint64_t faults, enum outlier_fault f)
{
    return lane(faults, f) == LANE_MAX ? faults : faults + (UINT64_C(1) << (LANE_BITS * f));
}

static uint64_t
cleared(uint64_t faults, enum outlier_fault f)
{
    return faults & ~((uint64_t)LANE_MAX << (LANE_BITS * f));
}

/* Unless they are split, what goes wrong on the way counts like an answer of 503. */
static uint64_t
counted(uint64_t faults, enum outlier_fault f, bool split)
{
    switch (f) {
    case OUTLIER_5XX:
        return cleared(cleared(raised(faults, OUTLIER_5XX), OUTLIER_GATEWAY), OUTLIER_LOCAL);
    case OUTLIER_GATEWAY:
        return cleared(raised(raised(faults, OUTLIER_5XX), OUTLIER_GATEWAY), OUTLIER_LOCAL);
    case OUTLIER_LOCAL:
        faults = raised(faults, OUTLIER_LOCAL);
        return split ? faults : raised(raised(faults, OUTLIER_5XX), OUTLIER_GATEWAY);
    case OUTLIER_FAULTS:
        break;
    }
    GS_UNREACHABLE("outlier fault");
}

static bool
reaches(uint32_t count, uint32_t threshold)
{
    return threshold > 0 && count >= threshold;
}

static bool
is_too_much(const struct outlier_policy *policy, uint64_t faults)
{
    return reaches(lane(faults, OUTLIER_5XX), policy->errors_5xx) ||
           reaches(lane(faults, OUTLIER_GATEWAY), policy->errors_gateway) ||
           (policy->split && reaches(lane(faults, OUTLIER_LOCAL), policy->errors_local));
}

bool
outlier_is_held(const struct outlier_policy *policy, const struct slot *s)
{
    return is_too_much(policy, atomic_load_explicit(&s->faults, memory_order_relaxed));
}

bool
outlier_is_off(const struct outlier_policy *policy)
{
    return policy->errors_5xx == 0 && policy->errors_gateway == 0 &&
           (!policy->split || policy->errors_local == 0);
}

/* Does one fault of this kind count at all? */
static bool
matters(const struct outlier_policy *policy, enum outlier_fault f)
{
    const struct outlier_policy at_once = {
        .errors_5xx = policy->errors_5xx > 0,
        .errors_gateway = policy->errors_gateway > 0,
        .errors_local = policy->errors_local > 0,
        .split = policy->split,
    };

    return is_too_much(&at_once, counted(0, f, policy->split));
}

/* ---- out ---- */

static uint64_t
out_for_ms(const struct outlier_policy *policy, uint32_t ejections)
{
    uint64_t most = policy->base_ms > OUTLIER_MAX_MS ? policy->base_ms : OUTLIER_MAX_MS;

    GS_ASSERT(ejections > 0);
    GS_ASSERT(policy->base_ms > 0);
    return policy->base_ms < most / ejections ? policy->base_ms * ejections : most;
}

/* Those of its past that it has not made good since. */
static uint32_t
unforgiven(const struct outlier_policy *policy, const struct slot *s, uint64_t now_ms)
{
    uint64_t since = atomic_load_explicit(&s->readmitted_ms, memory_order_relaxed);
    uint32_t n = atomic_load_explicit(&s->ejections, memory_order_relaxed);
    uint64_t intervals = now_ms > since ? (now_ms - since) / policy->interval_ms : 0;

    GS_ASSERT(policy->interval_ms > 0);
    return n > intervals ? n - (uint32_t)intervals : 0;
}

static uint32_t
count_out(const struct outlier_pool *p)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < p->subset->count; i++)
        n += outlier_is_out(slots_at(p->slots, p->subset->endpoints[i]->slot));
    return n;
}

/* At least one, so that small subsets are looked after, too; never all. */
static uint32_t
most_out(const struct subset *s, const struct outlier_policy *policy)
{
    uint32_t most = (uint32_t)((uint64_t)s->count * policy->max_percent / 100);

    GS_ASSERT(policy->max_percent <= 100);
    if (most < 1)
        most = 1;
    return most < s->count ? most : s->count - 1;
}

/* One worker at a time, so that two cannot both take the last place that the limit leaves. Nobody
 * waits: who comes second holds it, and the next fault asks again. */
static enum outlier_verdict
eject(const struct outlier_pool *p, const struct outlier_policy *policy, struct slot *s)
{
    enum outlier_verdict verdict = OUTLIER_HELD;
    uint64_t used = 0;
    uint32_t n;

    if (atomic_exchange_explicit(p->busy, true, memory_order_acquire))
        return OUTLIER_HELD;
    if (outlier_is_out(s)) {
        verdict = OUTLIER_NOTED;
    } else if (count_out(p) < most_out(p->subset, policy)) {
        n = unforgiven(policy, s, p->now_ms) + 1;
        atomic_store_explicit(&s->ejections, n, memory_order_relaxed);
        atomic_store_explicit(&s->faults, 0, memory_order_relaxed);
        GS_ASSERT(atomic_compare_exchange_strong_explicit(
            &s->ejection, &used, ejection_word(p->now_ms + out_for_ms(policy, n), EJECTION_OUT),
            memory_order_release, memory_order_relaxed)); /* only who is busy moves it from 0 */
        verdict = OUTLIER_EJECTED;
    }
    atomic_store_explicit(p->busy, false, memory_order_release);
    return verdict;
}

enum outlier_verdict
outlier_fault(const struct outlier_pool *p, const struct endpoint *e, enum outlier_fault f)
{
    const struct outlier_policy *policy = outlier_policy_of(p->subset);
    struct slot *s = slots_at(p->slots, e->slot);
    uint64_t was = atomic_load_explicit(&s->faults, memory_order_relaxed);
    uint64_t now;

    GS_ASSERT(p->subset->count > 0);
    do {
        now = counted(was, f, policy->split);
    } while (!atomic_compare_exchange_weak_explicit(&s->faults, &was, now, memory_order_relaxed,
                                                    memory_order_relaxed));
    if (!is_too_much(policy, now) || outlier_is_out(s))
        return OUTLIER_NOTED;
    return eject(p, policy, s);
}

/* ---- trials ---- */

bool
outlier_try(const struct outlier_pool *p, struct slot *s, bool early, struct outlier_trial *trial)
{
    const struct outlier_policy *policy = outlier_policy_of(p->subset);
    uint64_t was = atomic_load_explicit(&s->ejection, memory_order_acquire);
    bool over = ejection_until_ms(was) <= p->now_ms;
    uint32_t n = atomic_load_explicit(&s->ejections, memory_order_relaxed);
    uint64_t token;

    GS_ASSERT(trial->token == 0);
    if (was == 0 || !(over || (early && !(was & EJECTION_TRIED))))
        return false;
    token = ejection_word(p->now_ms + out_for_ms(policy, n > 0 ? n : 1), EJECTION_TRIED);
    if (token == was || !atomic_compare_exchange_strong_explicit(
                            &s->ejection, &was, token, memory_order_acq_rel, memory_order_relaxed))
        return false;
    *trial = (struct outlier_trial){ .token = token, .before = was };
    return true;
}

/* The trial ends. False: it took so long that another has begun. */
static bool
end_trial(struct slot *s, struct outlier_trial *trial, uint64_t becomes)
{
    uint64_t token = trial->token;

    GS_ASSERT(token & EJECTION_TRIED);
    *trial = (struct outlier_trial){ .token = 0 };
    return atomic_compare_exchange_strong_explicit(&s->ejection, &token, becomes,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

bool
outlier_tried_good(struct slot *s, struct outlier_trial *trial, uint64_t now_ms)
{
    if (!end_trial(s, trial, 0))
        return false;
    atomic_store_explicit(&s->faults, 0, memory_order_relaxed);
    atomic_store_explicit(&s->readmitted_ms, now_ms, memory_order_relaxed);
    return true;
}

bool
outlier_tried_fault(const struct outlier_pool *p, struct slot *s, struct outlier_trial *trial,
                    enum outlier_fault f)
{
    const struct outlier_policy *policy = outlier_policy_of(p->subset);
    uint32_t n = atomic_load_explicit(&s->ejections, memory_order_relaxed);
    uint64_t until_ms = ejection_until_ms(trial->before);

    if (!matters(policy, f)) {
        (void)outlier_tried_good(s, trial, p->now_ms);
        return false;
    }
    if (until_ms > p->now_ms) { /* it was tried before its time, for want of a better one */
        (void)end_trial(s, trial, ejection_word(until_ms, EJECTION_OUT));
        return false;
    }
    n += n < UINT32_MAX;
    until_ms = p->now_ms + out_for_ms(policy, n);
    if (!end_trial(s, trial, ejection_word(until_ms, EJECTION_OUT)))
        return false;
    atomic_store_explicit(&s->ejections, n, memory_order_relaxed);
    atomic_store_explicit(&s->faults, 0, memory_order_relaxed);
    return true;
}

void
outlier_tried_nothing(struct slot *s, struct outlier_trial *trial)
{
    uint64_t until_ms = ejection_until_ms(trial->before);

    GS_ASSERT(trial->before != 0);
    (void)end_trial(s, trial, ejection_word(until_ms, EJECTION_OUT));
}

void
outlier_tried_in_vain(struct slot *s, struct outlier_trial *trial, uint64_t now_ms)
{
    uint64_t until_ms = ejection_until_ms(trial->before);
    uint64_t again_ms = now_ms + OUTLIER_AGAIN_MS;

    GS_ASSERT(trial->before != 0);
    (void)end_trial(s, trial,
                    ejection_word(until_ms > again_ms ? until_ms : again_ms, EJECTION_OUT));
}
