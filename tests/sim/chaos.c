/* chaos.c - everything at once, by a plan that is drawn before it begins: when each fault strikes,
 * whom and how comes from the numbers of its kind alone. So a fault can be masked and all others
 * strike as they did: that is how a failure is made small. */
#include <string.h>

#include <gossamer/alloc.h>

#include "tests/sim/scenario.h"
#include "tests/sim/world.h"

struct plan {
    enum fault fault;
    uint64_t every_ns; /* on average, for 32 hosts */
};

static const struct plan plans[] = {
    { FAULT_CRASH, 2 * SIM_S },       { FAULT_POWER, 7 * SIM_S },
    { FAULT_FREEZE, 2 * SIM_S },      { FAULT_CLOCK, 3 * SIM_S },
    { FAULT_BURST, 10 * SIM_S },      { FAULT_PARTITION, 12 * SIM_S },
    { FAULT_CUT, 4 * SIM_S },         { FAULT_CUT_UDP, 4 * SIM_S },
    { FAULT_LEAVE, 8 * SIM_S },       { FAULT_GRACEFUL, 4 * SIM_S },
    { FAULT_RESTART_OLD, 2 * SIM_S }, /* here: a backup is made */
};

static struct host *
draw(struct world *w, struct gs_rng *r)
{
    return &w->hosts[gs_rng_below(r, w->count)];
}

static void
on_restart(struct world *w, uint64_t index, uint64_t kind)
{
    fault_restart(w, &w->hosts[index], (enum fault)kind);
}

/* Most come back, most of them with what they had; the others must be found dead. */
static void
plan_restart(struct world *w, struct gs_rng *r, const struct host *h)
{
    uint32_t luck = gs_rng_below(r, 100);
    enum fault kind = luck < 60   ? FAULT_RESTART_KEPT
                      : luck < 75 ? FAULT_RESTART_OLD
                                  : FAULT_RESTART_LOST;

    if (luck < 88)
        world_at(w, w->now_ns + between(r, 200 * SIM_MS, 12 * SIM_S), on_restart, h->index, kind);
}

static int64_t
draw_jump_ms(struct gs_rng *r)
{
    static const int64_t longest_ms[] = { 1000, 10000, 100000, 3600000, 86400000, 31536000000 };
    int64_t longest = longest_ms[gs_rng_below(r, GS_COUNT(longest_ms))];

    return (int64_t)between(r, 0, (uint64_t)(2 * longest)) - longest;
}

static void
partition(struct world *w, struct gs_rng *r)
{
    uint8_t *sides = gs_alloc(w->count);
    uint32_t share = 1 + gs_rng_below(r, 50);

    for (uint32_t i = 0; i < w->count; i++)
        sides[i] = gs_rng_below(r, 100) < share;
    fault_partition(w, sides, between(r, SIM_S, 8 * SIM_S));
    gs_free(sides);
}

static void
strike(struct world *w, uint64_t f, uint64_t seed)
{
    struct gs_rng r;
    struct host *h;

    gs_rng_init(&r, seed);
    h = draw(w, &r);
    switch ((enum fault)f) {
    case FAULT_CRASH:
        fault_crash(w, h);
        plan_restart(w, &r, h);
        break;
    case FAULT_POWER:
        fault_power(w, h);
        plan_restart(w, &r, h);
        break;
    case FAULT_FREEZE:
        fault_freeze(w, h, between(&r, 50 * SIM_MS, (500 * SIM_MS) << gs_rng_below(&r, 5)));
        break;
    case FAULT_CLOCK:
        fault_clock(w, h, draw_jump_ms(&r));
        break;
    case FAULT_BURST:
        fault_burst(w, (uint32_t)between(&r, 200000, 700000), between(&r, SIM_S / 2, 3 * SIM_S));
        break;
    case FAULT_PARTITION:
        partition(w, &r);
        break;
    case FAULT_CUT:
    case FAULT_CUT_UDP:
        fault_cut(w, h, draw(w, &r), (enum fault)f, between(&r, SIM_S, 8 * SIM_S));
        break;
    case FAULT_GRACEFUL:
        fault_graceful(w, h);
        plan_restart(w, &r, h);
        break;
    case FAULT_LEAVE:
        fault_leave(w, h);
        plan_restart(w, &r, h);
        break;
    case FAULT_RESTART_OLD:
        disk_copy(&h->backup, &h->disk);
        break;
    default:
        GS_UNREACHABLE("a fault that is not planned");
    }
}

static void
plan(struct world *w)
{
    uint64_t end_ns = w->begun_ns + w->options.seconds * SIM_S;

    for (size_t i = 0; i < GS_COUNT(plans); i++) {
        struct gs_rng *r = &w->faults[plans[i].fault];
        uint64_t every_ns = plans[i].every_ns;
        uint64_t at_ns = w->begun_ns;

        for (;;) {
            at_ns += between(r, 0, 2 * every_ns);
            if (at_ns >= end_ns)
                break;
            world_at(w, at_ns, strike, plans[i].fault, gs_rng_next(r));
        }
    }
}

/* Who lost all it knew can come back only through an address that it was given: one of them is
 * there in the end, as an operator would see to. */
static void
see_to_a_seed(struct world *w)
{
    for (uint32_t i = 0; i < w->seed_hosts; i++) {
        if (host_is_up(&w->hosts[i]))
            return;
    }
    fault_restart(w, &w->hosts[0], FAULT_RESTART_KEPT);
}

void
chaos_run(struct world *w)
{
    w->net.quality.loss_ppm = 10000;
    w->net.quality.duplicate_ppm = 10000;
    w->net.quality.corrupt_ppm = 2000;
    w->net.quality.replay_ppm = 5000;
    w->net.quality.tail_ppm = 10000;
    w->net.quality.tail_ns = 50 * SIM_MS;
    plan(w);
    operator_start(w, &(struct operator_pace){ .keys = 16,
                                               .every_ns = 300 * SIM_MS,
                                               .own_every_ns = 200 * SIM_MS,
                                               .large_ppm = 100000 });
    world_run(w, w->begun_ns + w->options.seconds * SIM_S);
    if (!w->over)
        see_to_a_seed(w);
}
