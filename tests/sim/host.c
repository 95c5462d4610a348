/* host.c - drives one core as the real shell does. Start reading at host_step(): feed what arrived,
 * then tick, then carry out its actions, then hear its events. */
#include "tests/sim/host.h"

#include <string.h>

#include <gossamer/alloc.h>

#include "tests/sim/scenario.h"
#include "tests/sim/world.h"

#define WAKE_LATE_NS UINT64_C(300000) /* no timer is exact */
#define SPIN_TICKS_MAX 4              /* within one millisecond, though nothing arrived */
#define OWN_KIND (GOSSIP_KIND_USER + 1)

/* ---- clocks ---- */

static uint64_t
mono_ns(const struct host *h, uint64_t at_ns)
{
    return h->mono_offset_ns + at_ns +
           (uint64_t)((int64_t)(at_ns / SIM_PPM) * (int64_t)h->rate_ppm);
}

uint64_t
host_now_ms(const struct world *w, const struct host *h)
{
    return mono_ns(h, w->now_ns) / SIM_MS;
}

uint64_t
host_wall_ms(const struct world *w, const struct host *h)
{
    return SIM_WALL_MS + w->now_ns / SIM_MS + (uint64_t)h->wall_offset_ms;
}

/* When its clock will show so many milliseconds. */
static uint64_t
time_of(const struct world *w, const struct host *h, uint64_t ms)
{
    uint64_t target = ms * SIM_MS;
    uint64_t at;

    if (target <= mono_ns(h, w->now_ns))
        return w->now_ns;
    at = target - h->mono_offset_ns;
    at -= (uint64_t)((int64_t)(at / SIM_PPM) * (int64_t)h->rate_ppm);
    while (mono_ns(h, at) < target)
        at += target - mono_ns(h, at);
    return at;
}

/* ---- a machine ---- */

void
host_init(struct world *w, struct host *h, uint32_t index)
{
    uint32_t number = index + 1; /* 10.0.0.1 is the first */

    *h = (struct host){
        .index = index,
        .armed_ns = UINT64_MAX,
        .address = { .family = 4, .port = SIM_PORT, .ip = { 10 } },
        .mono_offset_ns = between(&w->topology, SIM_S, 1000000 * SIM_S),
        .wall_offset_ms = (int64_t)between(&w->topology, 0, 40) - 20,
        .rate_ppm = (int32_t)gs_rng_below(&w->topology, 101) - 50,
    };
    for (size_t i = 0; i < 3; i++)
        h->address.ip[3 - i] = (uint8_t)(number >> (8 * i));
    for (size_t i = 0; i < 12; i++)
        h->id.bytes[i] = (uint8_t)gs_rng_below(&w->topology, 256);
    for (size_t i = 0; i < 4; i++) /* so that it is found again without a table */
        h->id.bytes[GS_ID_BYTES - 1 - i] = (uint8_t)(index >> (8 * i));
    (void)snprintf(h->name, sizeof(h->name), "n%u", index);
    h->inbox_end = &h->inbox;
    h->beliefs = gs_calloc(w->count, sizeof(*h->beliefs));
    h->seen = gs_calloc(LEDGER_KEYS_MAX, sizeof(*h->seen));
    h->races = gs_calloc(LEDGER_KEYS_MAX, sizeof(*h->races));
    disk_init(&h->disk);
    disk_init(&h->backup);
}

static void
drop_inbox(struct world *w, struct host *h)
{
    while (h->inbox) {
        struct event *e = h->inbox;

        h->inbox = e->next;
        world_drop(w, e);
    }
    h->inbox_end = &h->inbox;
    h->inbox_datagrams = 0;
}

void
host_fini(struct world *w, struct host *h)
{
    drop_inbox(w, h);
    gossip_free(h->core);
    gs_free(h->beliefs);
    gs_free(h->seen);
    gs_free(h->races);
    gs_free(h->streams);
    disk_fini(&h->disk);
    disk_fini(&h->backup);
}

static void
trace(struct world *w, const struct host *h, const char *what, uint64_t a, uint64_t b)
{
    trace_event(&w->trace, &(struct trace_line){ .at_ns = w->now_ns,
                                                 .host = h->index,
                                                 .subject = TRACE_NOBODY,
                                                 .what = what,
                                                 .a = a,
                                                 .b = b });
}

/* ---- the disk ---- */

static void
on_flush(struct world *w, uint64_t index, uint64_t life)
{
    struct host *h = &w->hosts[index];

    if (!host_is_up(h) || h->life != life)
        return;
    if (h->state == HOST_FROZEN) {
        world_at(w, w->now_ns + DISK_FLUSH_MS * SIM_MS, on_flush, index, life);
        return;
    }
    h->flush_due = false;
    disk_save(&h->disk, w, h);
    ledger_flushed(w, h);
}

static void
flush_soon(struct world *w, struct host *h)
{
    if (h->flush_due || !w->options.scenario->disks)
        return;
    h->flush_due = true;
    world_at(w, w->now_ns + DISK_FLUSH_MS * SIM_MS, on_flush, h->index, h->life);
}

void
host_commit(struct world *w, struct host *h)
{
    if (w->options.scenario->disks)
        world_at(w, w->now_ns + between(&w->operators, SIM_MS / 2, 8 * SIM_MS), on_flush, h->index,
                 h->life);
    else
        ledger_flushed(w, h);
}

/* ---- what it says of itself ---- */

void
host_say(struct world *w, struct host *h, unsigned key, bool removed)
{
    char name[8], value[64];
    struct gossip_op op = { .kind = OWN_KIND, .remove = removed };
    struct gossip_put_result result;
    struct gs_why why = { "" };
    gs_err e;

    GS_ASSERT(key < HOST_OWN_KEYS);
    op.key = gs_slice(name, (size_t)snprintf(name, sizeof(name), "ep%u", key));
    op.value = gs_slice(value, (size_t)snprintf(value, sizeof(value), "%s:%u healthy %u", h->name,
                                                8000 + key, gs_rng_below(&w->operators, 1000000)));
    e = gossip_put_own(h->core, host_now_ms(w, h), &op, &result, &why);
    if (e != GS_E_OK) {
        oracle_fail(w, ORACLE_BOUNDS, "%s cannot say %s: %s %s", h->name, name, gs_err_name(e),
                    why.text);
        return;
    }
    h->own[key] = (struct host_own){ true, removed, result.version, "" };
    memcpy(h->own[key].value, value, sizeof(value));
    trace(w, h, removed ? "withdraws" : "says", result.version.generation, result.version.hlc);
}

/* An endpoint is published by a node that is open. */
static void
say_all(struct world *w, struct host *h)
{
    for (unsigned i = 0; i < w->own_keys; i++)
        host_say(w, h, i, false);
}

/* ---- one step ---- */

static void
carry_out(struct world *w, struct host *h, const struct gossip_action *a)
{
    switch (a->type) {
    case GOSSIP_SEND:
        net_send(w, h, a);
        break;
    case GOSSIP_STREAM_OPEN:
        tcp_open(w, h, a);
        break;
    case GOSSIP_STREAM_SEND:
        tcp_send(w, h, a);
        break;
    case GOSSIP_STREAM_CLOSE:
        tcp_close(w, h, a->stream);
        break;
    }
}

static uint32_t
drain_actions(struct world *w, struct host *h)
{
    struct gossip_action a;
    uint32_t count = 0;

    while (gossip_next_action(h->core, host_now_ms(w, h), &a)) {
        carry_out(w, h, &a);
        if (++count > HOST_ACTIONS_MAX) {
            oracle_fail(w, ORACLE_BOUNDS, "%s: actions do not end", h->name);
            break;
        }
    }
    return count;
}

/* Returns whether the node opened. */
static bool
drain_events(struct world *w, struct host *h)
{
    struct gossip_event e;
    bool opened = false;

    while (gossip_next_event(h->core, &e)) {
        switch (e.type) {
        case GOSSIP_EVENT_NODE:
            oracle_on_node(w, h, &e);
            if (e.node.state == GOSSIP_DEAD ||
                (e.node.state != GOSSIP_SUSPECT && e.former != GOSSIP_SUSPECT))
                flush_soon(w, h);
            break;
        case GOSSIP_EVENT_FORGOTTEN:
            oracle_on_forgotten(w, h, &e);
            flush_soon(w, h);
            break;
        case GOSSIP_EVENT_RECORD:
            oracle_on_record(w, h, &e);
            flush_soon(w, h);
            break;
        case GOSSIP_EVENT_OPENED:
            opened = true;
            trace(w, h, "opens", 0, 0);
            break;
        case GOSSIP_EVENT_CONFLICT:
            oracle_on_conflict(w, h, &e);
            break;
        case GOSSIP_EVENT_TRANSACTION:
        case GOSSIP_EVENT_REFUSED:
        case GOSSIP_EVENT_CLOCK_AHEAD:
        case GOSSIP_EVENT_BELOW_FLOOR:
            break; /* notices: counted by the core */
        }
    }
    return opened;
}

static void
tick(struct world *w, struct host *h)
{
    uint64_t now_ms = host_now_ms(w, h);

    if (gossip_deadline_ms(h->core) > now_ms)
        return;
    h->idle_ticks = h->ticked_ms == now_ms ? h->idle_ticks + 1 : 0;
    h->ticked_ms = now_ms;
    if (h->idle_ticks == SPIN_TICKS_MAX)
        oracle_fail(w, ORACLE_BOUNDS, "%s ticks and ticks", h->name);
    gossip_tick(h->core, now_ms);
}

static void
arm(struct world *w, struct host *h)
{
    uint64_t deadline_ms = gossip_deadline_ms(h->core);
    struct event *e;
    uint64_t at_ns;

    if (deadline_ms == UINT64_MAX)
        return;
    at_ns = time_of(w, h, deadline_ms);
    if (h->armed_ns <= at_ns + WAKE_LATE_NS)
        return;
    h->armed_ns = at_ns + between(&w->links, 1, WAKE_LATE_NS);
    e = queue_event(&w->queue, EVENT_WAKE);
    e->host = h->index;
    queue_put(&w->queue, e, h->armed_ns);
}

static void
end_process(struct world *w, struct host *h, enum host_state state)
{
    tcp_process_ended(w, h, state == HOST_GONE);
    drop_inbox(w, h);
    gossip_free(h->core);
    h->core = NULL;
    h->state = state;
    h->life++;
    h->armed_ns = UINT64_MAX;
    h->flush_due = false;
    h->leaving = h->restarting = false;
    h->promised_ns = 0;
    memset(h->beliefs, 0, w->count * sizeof(*h->beliefs));
    memset(h->seen, 0, LEDGER_KEYS_MAX * sizeof(*h->seen));
    memset(h->races, 0, LEDGER_KEYS_MAX * sizeof(*h->races));
    memset(h->own, 0, sizeof(h->own));
    h->alive_known = 0;
    watch_host_down(w, h);
}

/* Stopped in order: what it had is on the disk. */
static void
exit_process(struct world *w, struct host *h)
{
    bool promised;

    if (w->options.scenario->disks) {
        disk_save(&h->disk, w, h);
        h->disk.hlc = gossip_hlc(h->core);
        ledger_flushed(w, h);
    }
    trace(w, h, "exits", h->boot, h->incarnation);
    h->left = h->leaving;
    promised = h->restarting && h->promised_ns > 0;
    end_process(w, h, HOST_DOWN);
    if (promised)
        h->promised_ns = w->now_ns + RESTART_GRACE_MS * SIM_MS;
}

static bool
may_exit(const struct host *h)
{
    return (h->leaving && gossip_has_left(h->core)) ||
           (h->restarting && gossip_restart_told(h->core));
}

void
host_step(struct world *w, struct host *h)
{
    uint32_t actions;

    GS_ASSERT(h->state == HOST_RUNNING);
    tick(w, h);
    actions = drain_actions(w, h);
    if (drain_events(w, h)) {
        say_all(w, h);
        actions += drain_actions(w, h);
        (void)drain_events(w, h);
    }
    oracle_on_step(w, h, actions);
    if (may_exit(h))
        exit_process(w, h);
    else
        arm(w, h);
}

void
host_wake(struct world *w, struct host *h, uint64_t armed_ns)
{
    if (h->armed_ns != armed_ns)
        return;
    h->armed_ns = UINT64_MAX;
    if (h->state != HOST_RUNNING)
        return;
    if (gossip_deadline_ms(h->core) <= host_now_ms(w, h))
        host_step(w, h);
    else
        arm(w, h);
}

/* ---- what arrives ---- */

static void
feed(struct world *w, struct host *h, const struct event *e)
{
    uint64_t now_ms = host_now_ms(w, h);
    const struct host *peer = &w->hosts[e->peer];
    struct gs_slice bytes;

    h->idle_ticks = 0;
    switch (e->type) {
    case EVENT_DATAGRAM:
        bytes = gs_slice(e->parcel->bytes, e->parcel->len);
        trace_packet(&w->trace,
                     &(struct trace_line){ .at_ns = w->now_ns,
                                           .host = h->index,
                                           .subject = e->peer,
                                           .what = "datagram",
                                           .a = bytes.len },
                     bytes);
        gossip_recv(h->core, now_ms, host_wall_ms(w, h), &peer->address, bytes);
        break;
    case EVENT_UNREACHABLE:
        gossip_unreachable(h->core, now_ms, &peer->address);
        break;
    default:
        tcp_feed(w, h, e);
        races_look_all(w, h); /* more may have lost than are told of */
        break;
    }
}

void
host_input(struct world *w, struct host *h, struct event *e)
{
    if (h->state == HOST_RUNNING) {
        feed(w, h, e);
        world_drop(w, e);
        host_step(w, h);
        return;
    }
    if (h->state != HOST_FROZEN) {
        world_drop(w, e);
        return;
    }
    if (e->type == EVENT_DATAGRAM && h->inbox_datagrams == HOST_INBOX_MAX) {
        w->net.counters.overflowed++;
        world_drop(w, e);
        return;
    }
    h->inbox_datagrams += e->type == EVENT_DATAGRAM;
    e->next = NULL;
    *h->inbox_end = e;
    h->inbox_end = &e->next;
}

/* ---- lives ---- */

static uint64_t
next_boot(const struct world *w, const struct host *h)
{
    uint64_t wall_ms = host_wall_ms(w, h);

    return h->disk.boot + 1 > wall_ms ? h->disk.boot + 1 : wall_ms;
}

void
host_make(struct world *w, struct host *h)
{
    struct gossip_options o = {
        .self = h->id,
        .hlc = h->disk.hlc,
        .boot = next_boot(w, h),
        .name = gs_slice_str(h->name),
        .address = h->address,
        .keys = &w->keys,
        .session = gs_rng_next(&w->seeds),
        .seed = gs_rng_next(&w->seeds),
    };

    GS_ASSERT(!host_is_up(h));
    h->core = gossip_new(&o);
    h->state = HOST_RUNNING;
    h->left = h->farewell = false;
    h->started_ns = w->now_ns;
    h->boot = o.boot;
    h->incarnation = 0;
    h->disk.boot = o.boot; /* node.state is written before anything is sent */
    disk_load(&h->disk, w, h);
    (void)drain_events(w, h);
    trace(w, h, "starts", h->life, 0);
    oracle_on_self(w, h);
}

void
host_join(struct world *w, struct host *h)
{
    struct gs_addr seeds[GOSSIP_SEEDS_MAX];

    GS_ASSERT(w->seed_hosts <= GOSSIP_SEEDS_MAX);
    for (uint32_t i = 0; i < w->seed_hosts; i++)
        seeds[i] = w->hosts[i].address;
    gossip_join(h->core, host_now_ms(w, h), seeds, w->seed_hosts);
    host_step(w, h);
}

void
host_start(struct world *w, struct host *h)
{
    host_make(w, h);
    host_join(w, h);
}

void
host_crash(struct world *w, struct host *h, enum host_state state)
{
    GS_ASSERT(state == HOST_DOWN || state == HOST_GONE);
    if (!host_is_up(h))
        return;
    trace(w, h, state == HOST_GONE ? "power off" : "crash", h->boot, h->incarnation);
    end_process(w, h, state);
}

void
host_freeze(struct world *w, struct host *h)
{
    if (h->state != HOST_RUNNING)
        return;
    trace(w, h, "freezes", 0, 0);
    h->state = HOST_FROZEN;
}

void
host_thaw(struct world *w, struct host *h)
{
    if (h->state != HOST_FROZEN)
        return;
    trace(w, h, "thaws", h->inbox_datagrams, 0);
    h->state = HOST_RUNNING;
    while (h->inbox) {
        struct event *e = h->inbox;

        h->inbox = e->next;
        if (!h->inbox)
            h->inbox_end = &h->inbox;
        feed(w, h, e);
        world_drop(w, e);
        races_look_all(w, h);
    }
    h->inbox_datagrams = 0;
    host_step(w, h);
}

void
host_leave(struct world *w, struct host *h)
{
    if (h->state != HOST_RUNNING || h->leaving)
        return;
    trace(w, h, "leaves", h->boot, h->incarnation);
    h->leaving = true;
    h->leave_boot = h->boot;
    gossip_leave(h->core, host_now_ms(w, h));
    host_step(w, h);
}

void
host_restart(struct world *w, struct host *h)
{
    bool was_well = oracle_is_well(w, h);

    if (h->state != HOST_RUNNING || h->leaving || h->restarting)
        return;
    trace(w, h, "restarts", h->boot, h->incarnation);
    h->restarting = true;
    h->promised_ns = was_well ? UINT64_MAX : 0;
    gossip_restart(h->core, host_now_ms(w, h));
    host_step(w, h);
}
