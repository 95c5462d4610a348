/* retry.c - the retry budget of a service. */
#include "proxy/retry.h"

#define RETRY_COST 100 /* hundredths */
#define FADE_ALL_S 200 /* after so long nothing is left of any share */
#define FLOOR_COST_MS (1000 / RETRY_BUDGET_FLOOR_PER_S)
#define FLOOR_SAVED_MS (FLOOR_COST_MS * RETRY_BUDGET_FLOOR_MAX)

static void
fade(struct retry_share *s, uint64_t now_s)
{
    uint64_t steps = now_s - s->faded_s;

    GS_ASSERT(now_s >= s->faded_s);
    s->faded_s = now_s;
    if (steps >= FADE_ALL_S)
        s->credit = 0;
    for (; steps > 0 && s->credit > 0; steps--)
        s->credit -= (s->credit + 9) / 10;
}

void
retry_earn(struct retry_share *s, uint64_t now_ms)
{
    uint64_t now_s = now_ms / 1000;

    if (now_s != s->faded_s)
        fade(s, now_s);
    s->credit += RETRY_BUDGET_PERCENT;
}

/* As a bucket that is full when used_ms is FLOOR_SAVED_MS ago, and empty when it is now. */
static bool
take_of_floor(struct retry_floor *floor, uint64_t now_ms)
{
    uint64_t full = now_ms > FLOOR_SAVED_MS ? now_ms - FLOOR_SAVED_MS : 0;
    uint64_t used = atomic_load_explicit(&floor->used_ms, memory_order_relaxed);
    uint64_t next;

    do {
        next = (used > full ? used : full) + FLOOR_COST_MS;
        if (next > now_ms)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&floor->used_ms, &used, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    GS_ASSERT(next > used);
    return true;
}

bool
retry_spend(struct retry_share *s, struct retry_floor *floor, uint64_t now_ms)
{
    uint64_t now_s = now_ms / 1000;

    if (now_s != s->faded_s)
        fade(s, now_s);
    if (s->credit < RETRY_COST)
        return take_of_floor(floor, now_ms);
    s->credit -= RETRY_COST;
    return true;
}
