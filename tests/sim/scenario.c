/* scenario.c - what can be run. Each scenario is a function that sets things in motion and drives
 * the world; scenario_run() makes the world before and judges it after. */
#include "tests/sim/scenario.h"

#include <inttypes.h>
#include <string.h>

#include <gossamer/alloc.h>

#include "tests/sim/rest.h"
#include "tests/sim/start.h"
#include "tests/sim/world.h"

#define POLL_NS (2 * SIM_MS)

/* ---- helps ---- */

static void
on_views(struct world *w, uint64_t since_ns, uint64_t until_ns)
{
    if (start_is_complete(w))
        sample_add(&w->views, w->now_ns - since_ns);
    else if (w->now_ns < until_ns)
        world_at(w, w->now_ns + POLL_NS, on_views, since_ns, until_ns);
}

/* From now: how long until all know all, if it takes no longer than that? */
static void
watch_views(struct world *w, uint64_t at_most_ns)
{
    on_views(w, w->now_ns, w->now_ns + at_most_ns);
}

static uint64_t
end_ns(const struct world *w)
{
    return w->begun_ns + w->options.seconds * SIM_S;
}

/* One that is up, of the faults' choosing; NULL if luck has it that the draw is not. */
static struct host *
draw_up(struct world *w, enum fault f)
{
    struct host *h = &w->hosts[gs_rng_below(&w->faults[f], w->count)];

    return h->state == HOST_RUNNING && !h->leaving && !h->restarting ? h : NULL;
}

static void
figure(FILE *out, const char *what, struct samples *s)
{
    char text[96];

    if (s->count > 0)
        (void)fprintf(out, "  %-28s %s\n", what, samples_text(s, text));
}

/* ---- calm ---- */

static void
calm_run(struct world *w)
{
    memset(&w->net.counters, 0, sizeof(w->net.counters));
    w->tcp.frame_bytes = 0;
    w->oracle.quiet = true;
    world_run(w, end_ns(w));
    w->oracle.quiet = false;
}

static void
calm_figures(struct world *w, FILE *out)
{
    double node_seconds = (double)w->count * w->options.seconds;

    (void)fprintf(out, "  per node and second          %.1f B UDP in %.2f packets, %.1f B TCP\n",
                  (double)w->net.counters.datagram_bytes / node_seconds,
                  (double)w->net.counters.datagrams / node_seconds,
                  (double)w->tcp.frame_bytes / node_seconds);
}

/* ---- join ---- */

static void
join_run(struct world *w)
{
    start_joining(w);
    watch_views(w, end_ns(w) - w->now_ns);
    world_run(w, end_ns(w));
    if (w->views.count == 0)
        oracle_fail(w, ORACLE_VIEWS, "not all know all after %" PRIu32 " s", w->options.seconds);
}

static void
views_figures(struct world *w, FILE *out)
{
    figure(out, "until all know all", &w->views);
}

/* ---- kill ---- */

static void
on_restart(struct world *w, uint64_t index, uint64_t kind)
{
    fault_restart(w, &w->hosts[index], (enum fault)kind);
}

static bool
is_watched(const struct world *w)
{
    for (size_t i = 0; i < WATCHES_MAX; i++) {
        if (w->watches.items[i].active)
            return true;
    }
    return false;
}

/* One at a time: from its end until all know, and back again. */
static void
kill_one(struct world *w, uint32_t how)
{
    enum fault f = how == 2 ? FAULT_POWER : FAULT_CRASH;
    uint64_t until_ns = w->now_ns + 40 * SIM_S;
    struct host *h = draw_up(w, f);

    if (!h)
        return;
    w->watches.tag = how;
    w->net.quality.silent = how != 0;
    if (f == FAULT_POWER)
        fault_power(w, h);
    else
        fault_crash(w, h);
    if (host_is_up(h))
        return; /* masked */
    watch_state(w, h->index, GOSSIP_DEAD, 0);
    while (!w->over && is_watched(w) && w->now_ns < until_ns)
        world_run(w, w->now_ns + 10 * SIM_MS);
    fault_restart(w, h, FAULT_RESTART_KEPT);
    world_run(w, w->now_ns + between(&w->faults[f], 3 * SIM_S, 5 * SIM_S));
}

/* In turns: the kernel of the dead answers; it does not; there is none. */
static void
kill_run(struct world *w)
{
    for (uint32_t turn = 0; !w->over && w->now_ns < end_ns(w); turn++)
        kill_one(w, turn % 3);
    w->net.quality.silent = false;
}

static void
kill_figures(struct world *w, FILE *out)
{
    figure(out, "killed, ICMP: all know", &w->watches.all[0]);
    figure(out, "killed, no ICMP: all know", &w->watches.all[1]);
    figure(out, "power off: all know", &w->watches.all[2]);
}

/* ---- partition ---- */

/* Nobody writes after the end of it: what one side has not must come to it by itself. */
static void
partition_run(struct world *w)
{
    struct gs_rng *r = &w->faults[FAULT_PARTITION];
    uint8_t *sides = gs_alloc(w->count);

    while (!w->over && w->now_ns + 40 * SIM_S <= end_ns(w)) {
        uint64_t for_ns = between(r, SIM_S, 20 * SIM_S);

        for (uint32_t i = 0; i < w->count; i++)
            sides[i] = (uint8_t)gs_rng_below(r, 2);
        fault_partition(w, sides, for_ns);
        operator_start(w, &(struct operator_pace){
                              .keys = 8, .every_ns = 300 * SIM_MS, .own_every_ns = SIM_S });
        world_run(w, w->now_ns + for_ns);
        w->restless = false;
        watch_views(w, 15 * SIM_S);
        world_run(w, w->now_ns + 20 * SIM_S);
    }
    gs_free(sides);
}

/* ---- tcp ---- */

/* How long until two halves that hear each other by TCP alone hold the same: somebody's turn to
 * probe the other half, its wait for the answer that does not come, and all that once more if
 * something was still on its way. */
#define TCP_ALONE_NS ((2 * (PROBE_MS + PROBE_TIMEOUT_MS) + 2000) * SIM_MS)
#define TCP_WRITES_NS (15 * SIM_S)

/* All datagrams between the halves, both ways. */
static void
cut_datagrams(struct world *w, const uint8_t *sides, uint64_t for_ns)
{
    for (uint32_t a = 0; a < w->count; a++) {
        for (uint32_t b = 0; b < w->count; b++) {
            if (sides[a] != sides[b])
                fault_cut(w, &w->hosts[a], &w->hosts[b], FAULT_CUT_UDP, for_ns);
        }
    }
}

static void
expect_agreement(struct world *w, uint64_t until_ns)
{
    uint64_t since_ns = w->now_ns;
    char why[256] = "";

    while (!w->over && w->now_ns < until_ns) {
        if (rest_views_agree(w, why) && rest_stores_agree(w, why)) {
            sample_add(&w->views, w->now_ns - since_ns);
            return;
        }
        world_run(w, w->now_ns + POLL_NS);
    }
    if (!w->over)
        oracle_fail(w, ORACLE_STORES, "by TCP alone, %.1f s after the last write: %s",
                    (double)(until_ns - since_ns) / 1e9, why);
}

/* Each probe of the other half is answered by TCP, so both are alive to each other; what either
 * writes must come to the other all the same, and while it is so. */
static void
tcp_run(struct world *w)
{
    struct gs_rng *r = &w->faults[FAULT_CUT_UDP];
    uint64_t for_ns = TCP_WRITES_NS + TCP_ALONE_NS + SIM_S;
    uint8_t *sides = gs_alloc(w->count);

    while (!w->over && w->now_ns + for_ns + SIM_S <= end_ns(w)) {
        for (uint32_t i = 0; i < w->count; i++)
            sides[i] = (uint8_t)(i < 2 ? i : gs_rng_below(r, 2));
        cut_datagrams(w, sides, for_ns);
        operator_start(
            w, &(struct operator_pace){
                   .keys = 8, .every_ns = SIM_S, .own_every_ns = 2 * SIM_S, .large_ppm = 100000 });
        world_run(w, w->now_ns + TCP_WRITES_NS);
        w->restless = false;
        expect_agreement(w, w->now_ns + TCP_ALONE_NS);
        world_run(w, w->now_ns + TCP_ALONE_NS + 2 * SIM_S);
    }
    gs_free(sides);
    if (!w->over && w->oracle.excused_deaths > 0)
        oracle_fail(w, ORACLE_DEATH, "dead to whom it answers by TCP");
}

static void
tcp_figures(struct world *w, FILE *out)
{
    double node_seconds = (double)w->count * w->options.seconds;

    figure(out, "a write: all know", &w->watches.all[0]);
    figure(out, "after the last: all the same", &w->views);
    (void)fprintf(out, "  per node and second          %.1f B UDP in %.2f packets, %.1f B TCP\n",
                  (double)w->net.counters.datagram_bytes / node_seconds,
                  (double)w->net.counters.datagrams / node_seconds,
                  (double)w->tcp.frame_bytes / node_seconds);
}

/* ---- loss ---- */

static void
loss_run(struct world *w)
{
    w->net.quality.loss_ppm = 200000;
    operator_start(
        w, &(struct operator_pace){ .keys = 16, .every_ns = 200 * SIM_MS, .own_every_ns = SIM_S });
    world_run(w, end_ns(w));
}

static void
policy_figures(struct world *w, FILE *out)
{
    figure(out, "a write: half know", &w->watches.half[0]);
    figure(out, "a write: all know", &w->watches.all[0]);
}

/* ---- policy ---- */

static void
policy_run(struct world *w)
{
    operator_start(w, &(struct operator_pace){ .keys = 48, .every_ns = 100 * SIM_MS });
    world_run(w, end_ns(w));
}

/* ---- restart ---- */

static const enum fault restarts[3] = { FAULT_RESTART_KEPT, FAULT_RESTART_LOST, FAULT_RESTART_OLD };

/* It says so first, and nobody may take it for dead; or it is just killed. */
static void
stop_one(struct world *w, struct host *h, bool graceful)
{
    if (graceful)
        fault_graceful(w, h);
    else
        fault_crash(w, h);
    while (!w->over && h->restarting)
        world_run(w, w->now_ns + SIM_MS);
}

static void
restart_run(struct world *w)
{
    struct gs_rng *r = &w->faults[FAULT_CRASH];

    operator_start(
        w, &(struct operator_pace){ .keys = 12, .every_ns = 200 * SIM_MS, .own_every_ns = SIM_S });
    for (uint32_t i = 0; !w->over && w->now_ns + 15 * SIM_S <= end_ns(w); i++) {
        struct host *h = draw_up(w, FAULT_CRASH);

        if (!h)
            continue;
        disk_copy(&h->backup, &h->disk);
        world_run(w, w->now_ns + between(r, SIM_S, 4 * SIM_S));
        stop_one(w, h, i % 2 == 0);
        world_run(w, w->now_ns + between(r, 50 * SIM_MS, RESTART_GRACE_MS * SIM_MS - 1));
        w->watches.tag = i % 3;
        fault_restart(w, h, restarts[i % 3]);
        if (host_is_up(h))
            watch_state(w, h->index, GOSSIP_ALIVE, h->boot);
        world_run(w, w->now_ns + 2 * SIM_S);
    }
    world_run(w, end_ns(w));
}

static void
restart_figures(struct world *w, FILE *out)
{
    for (size_t i = 0; i < WATCH_TAGS; i++)
        figure(out, fault_name(restarts[i]), &w->watches.all[i]);
    (void)fprintf(out, "  believed to restart          %" PRIu64 " times\n", w->oracle.restarts);
}

/* ---- churn ---- */

static void
churn_run(struct world *w)
{
    struct gs_rng *r = &w->faults[FAULT_CRASH];

    operator_start(w, &(struct operator_pace){
                          .keys = 12, .every_ns = 500 * SIM_MS, .own_every_ns = 300 * SIM_MS });
    while (!w->over && w->now_ns < end_ns(w)) {
        struct host *h = draw_up(w, FAULT_CRASH);

        if (h) {
            if (chance(r, SIM_PPM / 3))
                fault_leave(w, h);
            else
                fault_crash(w, h);
            world_at(w, w->now_ns + between(r, 2 * SIM_S, 10 * SIM_S), on_restart, h->index,
                     FAULT_RESTART_KEPT);
        }
        world_run(w, w->now_ns + between(r, 100 * SIM_MS, 2 * SIM_S));
    }
    world_run(w, w->now_ns + 11 * SIM_S);
}

/* ---- freeze ---- */

static void
freeze_run(struct world *w)
{
    struct gs_rng *r = &w->faults[FAULT_FREEZE];

    operator_start(
        w, &(struct operator_pace){ .keys = 12, .every_ns = 500 * SIM_MS, .own_every_ns = SIM_S });
    while (!w->over && w->now_ns < end_ns(w)) {
        struct host *h = draw_up(w, FAULT_FREEZE);
        uint64_t longest_ns = (128 * SIM_MS) << gs_rng_below(r, 8); /* to 16.4 s */

        if (h)
            fault_freeze(w, h, between(r, longest_ns / 4, longest_ns));
        world_run(w, w->now_ns + between(r, 100 * SIM_MS, 2 * SIM_S));
    }
}

/* ---- slow ---- */

#define SLOW_STANDS_NS (16400 * SIM_MS) /* as in the Lifeguard paper's worst column */
#define SLOW_RUNS_NS SIM_S

static void
on_slow(struct world *w, uint64_t index, uint64_t unused)
{
    (void)unused;
    if (w->now_ns + SLOW_STANDS_NS > end_ns(w))
        return;
    fault_freeze(w, &w->hosts[index], SLOW_STANDS_NS);
    world_at(w, w->now_ns + SLOW_STANDS_NS + SLOW_RUNS_NS, on_slow, index, 0);
}

/* A quarter of all nodes stands still nearly all the time. What they say of the others in between
 * must not be believed, not even by themselves. */
static void
slow_run(struct world *w)
{
    struct gs_rng *r = &w->faults[FAULT_FREEZE];

    for (uint32_t i = w->count - w->count / 4; i < w->count; i++)
        world_at(w, w->now_ns + between(r, 0, SIM_S), on_slow, i, 0);
    world_run(w, end_ns(w));
}

static void
slow_figures(struct world *w, FILE *out)
{
    (void)fprintf(out,
                  "  said dead: %" PRIu64 " of the frozen, %" PRIu64 " of the well; %" PRIu64
                  " of these suspected\n",
                  w->oracle.excused_deaths, w->oracle.false_deaths, w->oracle.suspicions);
}

/* ---- skew ---- */

static void
skew_run(struct world *w)
{
    struct gs_rng *r = &w->faults[FAULT_CLOCK];

    operator_start(
        w, &(struct operator_pace){ .keys = 12, .every_ns = 100 * SIM_MS, .own_every_ns = SIM_S });
    while (!w->over && w->now_ns < end_ns(w)) {
        struct host *h = draw_up(w, FAULT_CLOCK);
        int64_t by_ms = (int64_t)(UINT64_C(100) << gs_rng_below(r, 28)); /* to 155 days */

        if (h)
            fault_clock(w, h, chance(r, SIM_PPM / 2) ? by_ms : -by_ms);
        world_run(w, w->now_ns + between(r, 100 * SIM_MS, 2 * SIM_S));
    }
}

/* ---- leave ---- */

static void
leave_run(struct world *w)
{
    struct gs_rng *r = &w->faults[FAULT_LEAVE];

    operator_start(w, &(struct operator_pace){ .keys = 12, .every_ns = SIM_S });
    while (!w->over && w->now_ns < end_ns(w)) {
        struct host *h = draw_up(w, FAULT_LEAVE);

        if (h) {
            fault_leave(w, h);
            watch_state(w, h->index, GOSSIP_LEFT, 0);
            if (chance(r, SIM_PPM / 2))
                world_at(w, w->now_ns + 12 * SIM_S, on_restart, h->index, FAULT_RESTART_KEPT);
        }
        world_run(w, w->now_ns + between(r, 2 * SIM_S, 6 * SIM_S));
    }
    world_run(w, w->now_ns + 13 * SIM_S);
}

static void
leave_figures(struct world *w, FILE *out)
{
    figure(out, "leaves: all know", &w->watches.all[0]);
}

/* ---- forget ---- */

enum forget_role { STAYS, DIES, DIES_AND_RETURNS, LEAVES, LEAVES_AND_RETURNS, FORGET_ROLES };

/* All machines that run, at once: nobody is left who saw the others go. */
static void
power_cut(struct world *w, uint64_t unused, uint64_t unused_too)
{
    (void)unused;
    (void)unused_too;
    for (uint32_t i = 0; i < w->count; i++) {
        if (!host_is_up(&w->hosts[i]))
            continue;
        fault_power(w, &w->hosts[i]);
        world_at(w, w->now_ns + 2 * SIM_S, on_restart, i, FAULT_RESTART_KEPT);
    }
}

static void
check_forgotten(struct world *w)
{
    struct gossip_node n;

    for (uint32_t i = 0; i < w->count; i++) {
        if (!host_is_up(&w->hosts[i]))
            continue;
        for (size_t at = 0; gossip_next_node(w->hosts[i].core, &at, &n);) {
            const struct host *s = &w->hosts[world_host_of(w, &n.id)];

            if (!host_is_up(s))
                oracle_fail(w, ORACLE_VIEWS, "%s remembers %s, which is gone for long",
                            w->hosts[i].name, s->name);
        }
    }
    if (w->oracle.forgotten == 0)
        oracle_fail(w, ORACLE_VACUOUS, "nobody was forgotten");
}

/* A day in the life of a small mesh: whoever is dead for a day, or left an hour ago, is not there
 * any more, and one that comes back later is new. */
static void
forget_run(struct world *w)
{
    uint64_t kept_ns[FORGET_ROLES] = {
        [DIES_AND_RETURNS] = DEAD_KEPT_MS * SIM_MS, [LEAVES_AND_RETURNS] = LEFT_KEPT_MS * SIM_MS
    };

    for (uint32_t i = w->seed_hosts; i < w->count; i++) {
        enum forget_role role = (enum forget_role)(1 + (i - w->seed_hosts) % (FORGET_ROLES - 1));

        if (role == DIES || role == DIES_AND_RETURNS)
            fault_crash(w, &w->hosts[i]);
        else
            fault_leave(w, &w->hosts[i]);
        if (kept_ns[role] > 0)
            world_at(w, w->now_ns + kept_ns[role] + 300 * SIM_S, on_restart, i, FAULT_RESTART_LOST);
        world_run(w, w->now_ns + 60 * SIM_S);
    }
    world_at(w, w->now_ns + 20 * 3600 * SIM_S, power_cut, 0, 0);
    world_run(w, end_ns(w));
    if (!w->over)
        check_forgotten(w);
}

static void
forget_figures(struct world *w, FILE *out)
{
    (void)fprintf(out, "  forgotten                    %" PRIu64 " times\n", w->oracle.forgotten);
}

/* ---- the table ---- */

#define FAULT_BIT(name) (1u << FAULT_##name)

const struct scenario scenarios[] = {
    { "calm", "nothing is done, so nothing may happen; what that costs", 32, 60, START_CONVERGED, 1,
      .rests = true, .run = calm_run, .figures = calm_figures },
    { "join", "all start at once and know one address", 32, 10, START_JOINING, 1, .rests = true,
      .run = join_run, .figures = views_figures },
    { "kill", "processes are killed, with and without a kernel that says so; machines lose power",
      32, 240, START_CONVERGED, 3, .rests = true, .disks = true,
      .faults = FAULT_BIT(CRASH) | FAULT_BIT(POWER) | FAULT_BIT(RESTART_KEPT), .run = kill_run,
      .figures = kill_figures },
    { "partition", "two halves do not hear each other; both are written to", 32, 90,
      START_CONVERGED, 3, .rests = true, .faults = FAULT_BIT(PARTITION), .run = partition_run,
      .figures = views_figures },
    { "tcp", "two halves hear each other by TCP alone; both are written to", 16, 60,
      START_CONVERGED, 3, .rests = true, .faults = FAULT_BIT(CUT_UDP), .run = tcp_run,
      .figures = tcp_figures },
    { "loss", "a fifth of all packets is lost", 32, 60, START_CONVERGED, 3, .rests = true,
      .false_deaths = true, .faults = FAULT_BIT(LOSS), .run = loss_run, .figures = policy_figures },
    { "policy", "writes from changing nodes", 32, 30, START_CONVERGED, 3, .rests = true,
      .run = policy_run, .figures = policy_figures },
    { "restart", "killed or said before; with the disk as it was, empty, or of an earlier time", 16,
      90, START_CONVERGED, 3, .rests = true, .disks = true,
      .faults = FAULT_BIT(CRASH) | FAULT_BIT(GRACEFUL) | FAULT_BIT(RESTART_KEPT) |
                FAULT_BIT(RESTART_LOST) | FAULT_BIT(RESTART_OLD),
      .run = restart_run, .figures = restart_figures },
    { "churn", "nodes come and go all the time", 24, 60, START_CONVERGED, 3, .rests = true,
      .disks = true, .faults = FAULT_BIT(CRASH) | FAULT_BIT(LEAVE) | FAULT_BIT(RESTART_KEPT),
      .run = churn_run },
    { "freeze", "processes stand still for up to 16 s", 32, 90, START_CONVERGED, 3, .rests = true,
      .faults = FAULT_BIT(FREEZE), .run = freeze_run },
    { "slow", "a quarter stands still for 16.4 s of every 17.4", 32, 104, START_CONVERGED, 3,
      .rests = true, .faults = FAULT_BIT(FREEZE), .run = slow_run, .figures = slow_figures },
    { "skew", "wall clocks jump, by up to months, both ways", 16, 60, START_CONVERGED, 3,
      .rests = true, .faults = FAULT_BIT(CLOCK), .run = skew_run },
    { "leave", "nodes say goodbye, some come back", 24, 60, START_CONVERGED, 3, .rests = true,
      .disks = true, .faults = FAULT_BIT(LEAVE), .run = leave_run, .figures = leave_figures },
    { "forget", "a day in which nodes die and leave for good, or come back too late", 6, 93600,
      START_CONVERGED, 2, .rests = true, .disks = true,
      .faults = FAULT_BIT(CRASH) | FAULT_BIT(LEAVE) | FAULT_BIT(POWER) | FAULT_BIT(RESTART_KEPT) |
                FAULT_BIT(RESTART_LOST),
      .run = forget_run, .figures = forget_figures },
    { "chaos", "all of it at once", 32, 30, START_CONVERGED, 3, .rests = true, .disks = true,
      .run = chaos_run },
};
const uint32_t scenario_count = GS_COUNT(scenarios);

const struct scenario *
scenario_find(const char *name)
{
    for (uint32_t i = 0; i < scenario_count; i++) {
        if (strcmp(scenarios[i].name, name) == 0)
            return &scenarios[i];
    }
    return NULL;
}

/* ---- a run ---- */

static void
check_fired(struct world *w)
{
    for (unsigned f = 0; f < FAULTS; f++) {
        if ((w->options.scenario->faults & ~w->options.masked & (1u << f)) &&
            w->tally[f].fired == 0)
            oracle_fail(w, ORACLE_VACUOUS, "no %s happened", fault_name((enum fault)f));
    }
}

struct world *
scenario_run(const struct world_options *o)
{
    const struct scenario *s = o->scenario;
    struct world *w = world_new(o);

    if (s->start == START_CONVERGED)
        start_converged(w);
    w->begun_ns = w->now_ns;
    if (!w->over)
        s->run(w);
    if (!w->over && s->rests)
        rest_run(w);
    if (!w->over)
        ledger_check(w);
    if (!w->over)
        check_fired(w);
    return w;
}

void
scenario_summary(const struct world *w, double wall_s, FILE *out)
{
    (void)fprintf(out,
                  "%s seed %" PRIu64 " nodes %" PRIu32 ": %.1f s virtual in %.2f s, %" PRIu64
                  " events, hash %016" PRIx64,
                  w->options.scenario->name, w->options.seed, w->count, (double)w->now_ns / 1e9,
                  wall_s, w->events, w->trace.hash);
    for (unsigned f = 0; f < FAULTS; f++) {
        if (w->tally[f].fired > 0)
            (void)fprintf(out, ", %s %" PRIu32, fault_name((enum fault)f), w->tally[f].fired);
    }
    if (w->ledger.count > 0)
        (void)fprintf(out, ", writes %zu (%zu acknowledged, %zu listed as lost races)",
                      w->ledger.count, w->ledger.acknowledged, w->ledger.conflicts);
    if (w->ledger.overflowed > 0)
        (void)fprintf(out, ", %zu too many to list", w->ledger.overflowed);
    if (w->oracle.false_deaths > 0)
        (void)fprintf(out, ", false deaths %" PRIu64, w->oracle.false_deaths);
    if (w->rested_ns != UINT64_MAX)
        (void)fprintf(out, ", at rest after %.2f s", (double)w->rested_ns / 1e9);
    (void)fprintf(out, ": %s\n", w->oracle.failed ? w->oracle.first : "ok");
}
