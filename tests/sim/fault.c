/* fault.c - doing it, undoing it in time, and telling the oracles whom it excuses. */
#include "tests/sim/fault.h"

#include <string.h>

#include "tests/sim/world.h"

static const char *const names[] = {
#define X(name, text) text,
    FAULT_TABLE(X)
#undef X
};

const char *
fault_name(enum fault f)
{
    GS_ASSERT((unsigned)f < FAULTS);
    return names[f];
}

enum fault
fault_find(const char *name)
{
    unsigned f = 0;

    while (f < FAULTS && strcmp(names[f], name) != 0)
        f++;
    return (enum fault)f;
}

bool
fault_fires(struct world *w, enum fault f)
{
    if ((w->options.masked & (1u << f)) || w->calm_since_ns != UINT64_MAX)
        return false;
    w->tally[f].fired++;
    return true;
}

static void
trace(struct world *w, const struct host *h, const char *what, uint64_t a, uint64_t b)
{
    trace_event(&w->trace, &(struct trace_line){ .at_ns = w->now_ns,
                                                 .host = h ? h->index : TRACE_NOBODY,
                                                 .subject = TRACE_NOBODY,
                                                 .what = what,
                                                 .a = a,
                                                 .b = b });
}

static void
disturb_all(struct world *w, uint64_t until_ns)
{
    for (uint32_t i = 0; i < w->count; i++)
        oracle_disturb(w, &w->hosts[i], until_ns);
}

/* ---- processes ---- */

void
fault_crash(struct world *w, struct host *h)
{
    if (host_is_up(h) && fault_fires(w, FAULT_CRASH))
        host_crash(w, h, HOST_DOWN);
}

void
fault_power(struct world *w, struct host *h)
{
    if (host_is_up(h) && fault_fires(w, FAULT_POWER))
        host_crash(w, h, HOST_GONE);
}

void
fault_restart(struct world *w, struct host *h, enum fault kind)
{
    uint64_t boot;
    bool in_time;

    GS_ASSERT(kind == FAULT_RESTART_KEPT || kind == FAULT_RESTART_LOST ||
              kind == FAULT_RESTART_OLD);
    if (host_is_up(h) || !fault_fires(w, kind))
        return;
    if (kind == FAULT_RESTART_LOST) {
        disk_wipe(&h->disk);
        ledger_disk_lost(w, h, 0);
    } else if (kind == FAULT_RESTART_OLD) {
        disk_copy(&h->disk, &h->backup);
        ledger_disk_lost(w, h, h->backup.saved_ns);
    }
    trace(w, h, fault_name(kind), h->disk.saved_ns, h->disk.frames.len);
    in_time = w->now_ns < h->promised_ns;
    boot = h->boot_max;
    if (in_time)
        h->promised_ns = UINT64_MAX;
    host_start(w, h);
    if (!in_time || h->boot <= boot) /* its disk was lost, and its clock went back */
        oracle_disturb(w, h, w->now_ns);
}

static void
on_thaw(struct world *w, uint64_t index, uint64_t life)
{
    struct host *h = &w->hosts[index];

    if (h->life == life)
        host_thaw(w, h);
}

void
fault_freeze(struct world *w, struct host *h, uint64_t for_ns)
{
    if (h->state != HOST_RUNNING || !fault_fires(w, FAULT_FREEZE))
        return;
    oracle_disturb(w, h, w->now_ns + for_ns);
    host_freeze(w, h);
    world_at(w, w->now_ns + for_ns, on_thaw, h->index, h->life);
}

void
fault_clock(struct world *w, struct host *h, int64_t by_ms)
{
    if (!fault_fires(w, FAULT_CLOCK))
        return;
    trace(w, h, "clock", (uint64_t)by_ms, 0);
    h->wall_offset_ms += by_ms;
}

void
fault_leave(struct world *w, struct host *h)
{
    if (h->state != HOST_RUNNING || h->leaving || !fault_fires(w, FAULT_LEAVE))
        return;
    host_leave(w, h);
}

void
fault_graceful(struct world *w, struct host *h)
{
    if (h->state != HOST_RUNNING || h->leaving || h->restarting || !fault_fires(w, FAULT_GRACEFUL))
        return;
    host_restart(w, h);
}

/* ---- the net ---- */

static void
on_burst_over(struct world *w, uint64_t ppm, uint64_t unused)
{
    (void)unused;
    if (w->net.burst_ppm == ppm)
        w->net.burst_ppm = 0;
    trace(w, NULL, "burst over", 0, 0);
}

void
fault_burst(struct world *w, uint32_t loss_ppm, uint64_t for_ns)
{
    if (w->net.burst_ppm > 0 || !fault_fires(w, FAULT_BURST))
        return;
    trace(w, NULL, "burst", loss_ppm, for_ns);
    w->net.burst_ppm = loss_ppm;
    disturb_all(w, w->now_ns + for_ns);
    world_at(w, w->now_ns + for_ns, on_burst_over, loss_ppm, 0);
}

static void
on_heal(struct world *w, uint64_t number, uint64_t unused)
{
    (void)unused;
    if (w->tally[FAULT_PARTITION].fired != number)
        return;
    w->net.partitioned = false;
    trace(w, NULL, "heal", 0, 0);
}

void
fault_partition(struct world *w, const uint8_t *sides, uint64_t for_ns)
{
    if (w->net.partitioned || !fault_fires(w, FAULT_PARTITION))
        return;
    trace(w, NULL, "partition", gs_hash(sides, w->count, 0), for_ns);
    net_partition(w, sides);
    disturb_all(w, w->now_ns + for_ns);
    world_at(w, w->now_ns + for_ns, on_heal, w->tally[FAULT_PARTITION].fired, 0);
}

static void
on_mend(struct world *w, uint64_t way, uint64_t kinds)
{
    net_mend(w, (uint32_t)(way >> 32), (uint32_t)way, (uint8_t)kinds);
}

void
fault_cut(struct world *w, struct host *from, struct host *to, enum fault kind, uint64_t for_ns)
{
    uint8_t kinds = kind == FAULT_CUT ? CUT_UDP | CUT_TCP : CUT_UDP;

    GS_ASSERT(kind == FAULT_CUT || kind == FAULT_CUT_UDP);
    if (from == to || !fault_fires(w, kind))
        return;
    trace_event(&w->trace, &(struct trace_line){ .at_ns = w->now_ns,
                                                 .host = from->index,
                                                 .subject = to->index,
                                                 .what = fault_name(kind),
                                                 .a = for_ns });
    net_cut(w, from->index, to->index, kinds);
    oracle_disturb(w, from, w->now_ns + for_ns);
    oracle_disturb(w, to, w->now_ns + for_ns);
    world_at(w, w->now_ns + for_ns, on_mend, (uint64_t)from->index << 32 | to->index, kinds);
}

void
fault_all_off(struct world *w)
{
    trace(w, NULL, "faults off", 0, 0);
    net_heal(w);
    w->net.burst_ppm = 0;
    w->net.quality.loss_ppm = 0;
    w->net.quality.duplicate_ppm = 0;
    w->net.quality.corrupt_ppm = 0;
    w->net.quality.replay_ppm = 0;
    for (uint32_t i = 0; i < w->count; i++) {
        struct host *h = &w->hosts[i];

        host_thaw(w, h);
        if (h->disturbed_ns > w->now_ns)
            h->disturbed_ns = w->now_ns;
    }
}
