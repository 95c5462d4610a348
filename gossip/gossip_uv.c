/* gossip_uv.c - the gossip thread. One turn, in the order that the core asks for:
 *
 *     timer ─┐  (nothing yet: libuv runs timers before it polls)
 *            ▼
 *     poll: datagrams_uv, frames_uv read and feed ─▶ check: calls ▶ tick ▶ actions ▶ events ▶ arm
 *                                                                          │          │
 *                                                        datagrams, frames ◀          ▶ up ring
 *
 * So what arrived during a stall is heard before anybody is accused for it. Whoever feeds the core
 * asks for a turn by starting `soon`, an idle handle: the next poll does not sleep.
 *
 * A call that ran is done when the core has no event left: control hears what came of it first. */
#include "gossip/gossip_uv.h"

#include <pthread.h>
#include <unistd.h>

#include <gossamer/alloc.h>
#include <gossamer/fsm.h>
#include <gossamer/listener.h>
#include <gossamer/ring.h>

#include "gossip/event_copy.h"

enum {
    DOWN_ITEMS = 256,
    UP_ITEMS = 1024,
    CALLS_PER_TURN = 64,
    UPS_PER_WAKE = 256, /* then control's loop does something else first */
    PORT_TRIES = 64,    /* to find one that is free for both */
};

/* Of the sockets, on the gossip thread. */
enum io_state { IO_OPEN, IO_CLOSED, IO_STATES };
static const char *const io_names[] = { "OPEN", "CLOSED" };
static const uint32_t io_moves[] = { [IO_OPEN] = GS_FSM_BIT(IO_CLOSED), [IO_CLOSED] = 0 };
static const struct gs_fsm_def io_def = { "gossip io", io_names, io_moves, IO_STATES };

/* Of the loop as control sees it:
 *
 *     RUNNING ──gossip_loop_stop──▶ STOPPING ──the last call is done──▶ ENDING ──thread──▶ ENDED */
enum loop_state { RUNNING, STOPPING, ENDING, ENDED, LOOP_STATES };
static const char *const loop_names[] = { "RUNNING", "STOPPING", "ENDING", "ENDED" };
static const uint32_t loop_moves[] = {
    [RUNNING] = GS_FSM_BIT(STOPPING),
    [STOPPING] = GS_FSM_BIT(ENDING),
    [ENDING] = GS_FSM_BIT(ENDED),
    [ENDED] = 0,
};
static const struct gs_fsm_def loop_def = { "gossip loop", loop_names, loop_moves, LOOP_STATES };

struct up { /* one of the two */
    struct event_copy *event;
    struct gossip_call *done;
};

struct gossip_loop {
    struct gossip_io io; /* gossip thread, down to `ran` */
    uv_timer_t timer;
    uint64_t armed_ms; /* the deadline that the timer is armed for; UINT64_MAX: none */
    uint64_t due_ms;   /* when it should fire */
    struct gs_fsm sockets;
    struct datagrams *datagrams;
    struct frames *frames;
    struct gs_list ran; /* calls whose done waits behind events */

    struct gossip_loop_options o;
    pthread_t thread;
    struct gs_ring *down; /* struct gossip_call * */
    struct gs_ring *up;   /* struct up */
    struct gs_wake *down_wake, *up_wake, *ended_wake;
    _Atomic bool starved; /* gossip found no room in `up` */
    _Atomic bool finish;  /* control takes no more: the loop may end */

    struct gs_fsm state;    /* control thread, from here on */
    struct gs_list waiting; /* calls that found no room */
    struct gossip_call last;
    void (*stopped)(void *arg);
    void *stopped_arg;
};

/* ---- sockets ---- */

static gs_err
open_both(const struct gs_addr *addr, struct gossip_sockets *out, struct gs_why *why)
{
    struct gs_addr bound = *addr;
    int udp = -1, tcp = -1;
    gs_err e = datagrams_bind(addr, &udp, why);

    if (e == GS_E_OK)
        e = gs_listen_addr(udp, &bound);
    if (e == GS_E_OK) {
        tcp = gs_listen_tcp(&bound, false, why);
        e = tcp >= 0 ? GS_E_OK : GS_E_IN_USE;
    }
    if (e != GS_E_OK) {
        if (udp >= 0)
            close(udp);
        return e;
    }
    *out = (struct gossip_sockets){ udp, tcp, bound };
    return GS_E_OK;
}

gs_err
gossip_sockets_open(const struct gs_addr *bind, struct gossip_sockets *out, struct gs_why *why)
{
    gs_err e = open_both(bind, out, why);

    /* The kernel chose a port that is free for UDP; for TCP somebody may have it. */
    for (int i = 1; e == GS_E_IN_USE && bind->port == 0 && i < PORT_TRIES; i++)
        e = open_both(bind, out, why);
    return e;
}

void
gossip_sockets_close(struct gossip_sockets *s)
{
    if (s->udp >= 0)
        close(s->udp);
    if (s->tcp >= 0)
        close(s->tcp);
    *s = (struct gossip_sockets){ -1, -1, { 0 } };
}

/* ---- a turn, on the gossip thread ---- */

static void
on_soon(uv_idle_t *h)
{
    (void)h; /* that it is active is all */
}

void
gossip_io_fed(struct gossip_io *io)
{
    uv_idle_start(&io->soon, on_soon);
}

static void
run_calls(struct gossip_loop *l)
{
    uint64_t wall_ms = gossip_io_wall_ms();
    struct gossip_call *c;

    for (int i = 0; i < CALLS_PER_TURN && gs_ring_take(l->down, &c); i++) {
        c->run(c, l->io.core, l->io.loop->now_ms, wall_ms);
        gs_list_push_back(&l->ran, &c->link);
        if (i + 1 == CALLS_PER_TURN)
            gossip_io_fed(&l->io); /* there may be more */
    }
}

static void
act(struct gossip_loop *l, const struct gossip_action *a)
{
    switch (a->type) {
    case GOSSIP_SEND:
        datagrams_send(l->datagrams, &a->address, a->bytes);
        break;
    case GOSSIP_STREAM_OPEN:
        frames_open(l->frames, a->stream, &a->address);
        break;
    case GOSSIP_STREAM_SEND:
        frames_send(l->frames, a->stream, a->bytes);
        break;
    case GOSSIP_STREAM_CLOSE:
        frames_end(l->frames, a->stream);
        break;
    }
}

static void
tick_and_act(struct gossip_loop *l)
{
    struct gossip_io *io = &l->io;
    struct gossip_action a;

    gs_loop_clock(io->loop);
    gossip_clock_us(io->core, io->loop->now_ns / 1000);
    if (io->loop->now_ms >= gossip_deadline_ms(io->core))
        gossip_tick(io->core, io->loop->now_ms);
    while (gossip_next_action(io->core, io->loop->now_ms, &a))
        act(l, &a);
}

/* True if there is room; else control will say when there is. */
static bool
has_room(struct gossip_loop *l)
{
    if (gs_ring_has_room(l->up))
        return true;
    /* Told first, looked at again afterwards: room made between the two is seen here, room made
     * later finds the flag (drain_up() takes, then exchanges). */
    (void)atomic_exchange(&l->starved, true);
    return gs_ring_has_room(l->up);
}

static void
put_up(struct gossip_loop *l, const struct up *u)
{
    bool good = gs_ring_put(l->up, u);

    GS_ASSERT(good); /* has_room() said so, and nobody else puts */
}

static void
push_up(struct gossip_loop *l)
{
    struct gossip_event e;
    bool pushed = false;

    while (has_room(l) && gossip_next_event(l->io.core, &e)) {
        put_up(l, &(struct up){ .event = event_copy_new(&e) });
        pushed = true;
    }
    while (!gs_list_empty(&l->ran) && !gossip_has_event(l->io.core) && has_room(l)) {
        struct gs_list *n = gs_list_pop_front(&l->ran);

        put_up(l, &(struct up){ .done = GS_LIST_ENTRY(n, struct gossip_call, link) });
        pushed = true;
    }
    if (pushed)
        gs_wake_send(l->up_wake);
}

static void
on_timer(uv_timer_t *t)
{
    struct gossip_loop *l = t->data;
    uint64_t late_us;

    l->armed_ms = UINT64_MAX;
    gs_loop_clock(l->io.loop);
    late_us = l->io.loop->now_ms > l->due_ms ? (l->io.loop->now_ms - l->due_ms) * 1000 : 0;
    if (late_us > atomic_load_explicit(&l->io.n.lag_us, memory_order_relaxed))
        atomic_store_explicit(&l->io.n.lag_us, late_us, memory_order_relaxed);
    gossip_io_fed(&l->io);
}

static void
arm(struct gossip_loop *l)
{
    uint64_t at = gossip_deadline_ms(l->io.core);
    uint64_t now;

    if (at == l->armed_ms)
        return;
    l->armed_ms = at;
    if (at == UINT64_MAX) {
        uv_timer_stop(&l->timer);
        return;
    }
    gs_loop_clock(l->io.loop);
    uv_update_time(gs_loop_uv(l->io.loop));
    now = l->io.loop->now_ms;
    l->due_ms = at > now ? at : now + 1; /* never a timer of zero */
    uv_timer_start(&l->timer, on_timer, l->due_ms - now, 0);
}

static void end_io(struct gossip_loop *l);

static void
on_check(uv_check_t *h)
{
    struct gossip_loop *l = h->data;

    if (!uv_is_active((uv_handle_t *)&l->io.soon))
        return;
    uv_idle_stop(&l->io.soon);
    gs_loop_clock(l->io.loop);
    run_calls(l);
    if (gs_fsm_is(&l->sockets, IO_OPEN))
        tick_and_act(l);
    push_up(l);
    if (gs_fsm_is(&l->sockets, IO_OPEN))
        arm(l);
    else if (atomic_load(&l->finish))
        end_io(l);
}

static void
on_down(void *arg)
{
    gossip_io_fed(&((struct gossip_loop *)arg)->io);
}

/* ---- the end, on the gossip thread ---- */

static void
on_closed(uv_handle_t *h)
{
    gossip_io_handle_closed(&((struct gossip_loop *)h->data)->io);
}

void
gossip_io_handle_closed(struct gossip_io *io)
{
    GS_ASSERT(io->handles > 0);
    if (--io->handles == 0)
        io->on_closed(io);
}

static void
on_all_closed(struct gossip_io *io)
{
    struct gossip_loop *l = GS_CONTAINER(io, struct gossip_loop, io);

    if (l->o.shared)
        gs_wake_send(l->ended_wake);
    else
        gs_loop_stop(io->loop); /* thread_main() tells the end */
}

static void
end_io(struct gossip_loop *l)
{
    GS_ASSERT(gs_list_empty(&l->ran));
    gs_wake_close(l->down_wake); /* control sent its last */
    uv_close((uv_handle_t *)&l->timer, on_closed);
    uv_close((uv_handle_t *)&l->io.check, on_closed);
    uv_close((uv_handle_t *)&l->io.soon, on_closed);
}

/* The last call: nothing comes in or goes out any more. */
static void
run_last(struct gossip_call *c, struct gossip *g, uint64_t now_ms, uint64_t wall_ms)
{
    struct gossip_loop *l = GS_CONTAINER(c, struct gossip_loop, last);
    struct gossip_action a;

    (void)g;
    (void)wall_ms;
    while (gossip_next_action(l->io.core, now_ms, &a)) /* a goodbye, perhaps */
        act(l, &a);
    gs_fsm_move(&l->sockets, IO_CLOSED);
    uv_timer_stop(&l->timer);
    datagrams_close(l->datagrams);
    frames_close(l->frames);
}

static void *
thread_main(void *arg)
{
    struct gossip_loop *l = arg;

    pthread_setname_np(pthread_self(), l->io.loop->name);
    gs_loop_run(l->io.loop);
    gs_wake_send(l->ended_wake); /* last touch */
    return NULL;
}

/* ---- control's side ---- */

static void
send_waiting(struct gossip_loop *l)
{
    bool sent = false;

    while (!gs_list_empty(&l->waiting)) {
        struct gossip_call *c = GS_LIST_ENTRY(l->waiting.next, struct gossip_call, link);

        if (!gs_ring_has_room(l->down))
            break;                /* a call in it will be done, and then this goes on */
        gs_list_remove(&c->link); /* the link is the gossip thread's from the next line on */
        GS_ASSERT(gs_ring_put(l->down, &c));
        sent = true;
    }
    if (sent)
        gs_wake_send(l->down_wake);
}

static void
take_up(struct gossip_loop *l, const struct up *u)
{
    GS_ASSERT(!u->event != !u->done);
    if (u->event) {
        l->o.on_event(l->o.arg, &u->event->e);
        event_copy_free(u->event);
    } else {
        u->done->done(u->done);
    }
}

static void
on_up(void *arg)
{
    struct gossip_loop *l = arg;
    struct up u;
    int n = 0;

    while (n < UPS_PER_WAKE && gs_ring_take(l->up, &u)) {
        take_up(l, &u);
        n++;
    }
    if (n == UPS_PER_WAKE)
        gs_wake_send(l->up_wake); /* there may be more */
    if (!gs_fsm_is(&l->state, RUNNING) && !gs_fsm_is(&l->state, STOPPING))
        return; /* down_wake may be closed */
    if (atomic_exchange(&l->starved, false))
        gs_wake_send(l->down_wake);
    send_waiting(l);
}

void
gossip_loop_call(struct gossip_loop *l, struct gossip_call *c)
{
    GS_ASSERT(gs_fsm_is(&l->state, RUNNING));
    GS_ASSERT(c->run);
    GS_ASSERT(c->done);
    gs_list_push_back(&l->waiting, &c->link);
    send_waiting(l);
}

/* ---- faults ---- */

static void
run_cut(struct gossip_call *call, struct gossip *g, uint64_t now_ms, uint64_t wall_ms)
{
    struct gossip_cuts *c = GS_CONTAINER(call, struct gossip_cuts, call);
    struct gossip_loop *l = c->loop;

    (void)g;
    (void)now_ms;
    (void)wall_ms;
    gossip_io_cut(&l->io, c->items, c->count);
    if (gs_fsm_is(&l->sockets, IO_OPEN))
        frames_cut(l->frames);
}

static void
on_cut(struct gossip_call *call)
{
    struct gossip_cuts *c = GS_CONTAINER(call, struct gossip_cuts, call);

    c->done(c);
}

void
gossip_loop_cut(struct gossip_loop *l, struct gossip_cuts *c)
{
    c->loop = l;
    c->call = (struct gossip_call){ .run = run_cut, .done = on_cut };
    gs_list_init(&c->call.link);
    gossip_loop_call(l, &c->call);
}

static void
on_last_done(struct gossip_call *c)
{
    struct gossip_loop *l = GS_CONTAINER(c, struct gossip_loop, last);

    GS_ASSERT(gs_list_empty(&l->waiting));
    gs_fsm_move(&l->state, ENDING);
    atomic_store(&l->finish, true);
    gs_wake_send(l->down_wake);
}

void
gossip_loop_stop(struct gossip_loop *l, void (*done)(void *arg), void *arg)
{
    l->stopped = done;
    l->stopped_arg = arg;
    l->last = (struct gossip_call){ .run = run_last, .done = on_last_done };
    gossip_loop_call(l, &l->last);
    gs_fsm_move(&l->state, STOPPING);
}

static void
on_ended(void *arg)
{
    struct gossip_loop *l = arg;

    gs_fsm_move(&l->state, ENDED);
    gs_wake_close(l->up_wake);
    gs_wake_close(l->ended_wake);
    l->stopped(l->stopped_arg); /* last touch: l may be freed in here */
}

/* ---- life ---- */

struct gossip_loop *
gossip_loop_start(const struct gossip_loop_options *o)
{
    struct gossip_loop *l = gs_zalloc(sizeof(*l));
    struct gossip_io *io = &l->io;
    uv_loop_t *uv;

    l->o = *o;
    io->loop = o->shared ? o->shared : gs_loop_new("gossip", o->seed);
    io->core = o->core;
    io->bound = o->sockets.bound;
    io->on_closed = on_all_closed;
    uv = gs_loop_uv(io->loop);
    uv_timer_init(uv, &l->timer);
    uv_check_init(uv, &io->check);
    uv_idle_init(uv, &io->soon);
    l->timer.data = io->check.data = io->soon.data = l;
    io->handles = 3;
    uv_check_start(&io->check, on_check);
    l->armed_ms = UINT64_MAX;
    gs_fsm_init(&l->sockets, &io_def, IO_OPEN);
    gs_fsm_init(&l->state, &loop_def, RUNNING);
    gs_list_init(&l->ran);
    gs_list_init(&l->waiting);
    l->down = gs_ring_new(DOWN_ITEMS, sizeof(struct gossip_call *));
    l->up = gs_ring_new(UP_ITEMS, sizeof(struct up));
    l->down_wake = gs_wake_new(io->loop, on_down, l);
    l->up_wake = gs_wake_new(o->control, on_up, l);
    l->ended_wake = gs_wake_new(o->control, on_ended, l);
    l->datagrams = datagrams_new(io, o->sockets.udp);
    l->frames = frames_new(io, o->sockets.tcp);
    gossip_io_fed(io); /* the core may have something to say already */
    if (!o->shared)
        GS_ASSERT(pthread_create(&l->thread, NULL, thread_main, l) == 0);
    return l;
}

static void
drop_events(struct gs_ring *up)
{
    struct up u;

    while (gs_ring_take(up, &u)) {
        GS_ASSERT(u.event); /* every call was done */
        event_copy_free(u.event);
    }
}

void
gossip_loop_free(struct gossip_loop *l)
{
    if (!l)
        return;
    GS_ASSERT(gs_fsm_is(&l->state, ENDED));
    if (!l->o.shared) {
        GS_ASSERT(pthread_join(l->thread, NULL) == 0);
        gs_loop_free(l->io.loop);
    }
    drop_events(l->up);
    gs_ring_free(l->up);
    gs_ring_free(l->down);
    gossip_free(l->o.core);
    gs_free(l);
}

void
gossip_loop_counters(const struct gossip_loop *l, struct gossip_loop_counters *out)
{
    *out = (struct gossip_loop_counters){
        .datagrams_dropped = atomic_load_explicit(&l->io.n.datagrams_dropped, memory_order_relaxed),
        .datagrams_failed = atomic_load_explicit(&l->io.n.datagrams_failed, memory_order_relaxed),
        .unreachable = atomic_load_explicit(&l->io.n.unreachable, memory_order_relaxed),
        .streams_refused = atomic_load_explicit(&l->io.n.streams_refused, memory_order_relaxed),
        .frames_refused = atomic_load_explicit(&l->io.n.frames_refused, memory_order_relaxed),
        .cut = atomic_load_explicit(&l->io.n.cut, memory_order_relaxed),
    };
}

uint64_t
gossip_loop_lag_us(struct gossip_loop *l)
{
    return atomic_exchange_explicit(&l->io.n.lag_us, 0, memory_order_relaxed);
}
