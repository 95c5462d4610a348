/* loop_uv.c - one turn of a loop:
 *
 *     prepare (settle) ─▶ poll: events fill streams and defers ─▶ check (timers, settle) ─▶ ...
 *
 * Timers run after the events of a poll: where the loop, or the whole machine, stood still, what
 * came in meanwhile is heard before anybody is judged late. libuv would have it the other way
 * round, and a thousand connects that were made long ago would fail for having taken too long.
 *
 * settle = run defers and flush dirty streams until there are none, run the turn's ends (a mux
 * writes what the whole turn produced for its peer), all until nothing is left; bury what ended,
 * then arm the wheel's one timer. It runs in prepare as well as in check: output of what libuv
 * calls between the two (what closes) must not sleep through the poll. */
#include "mesh/base/loop_uv.h"

#include <stdatomic.h>
#include <time.h>

#include <gossamer/alloc.h>
#include <gossamer/check.h>
#include <gossamer/stream.h>

void
gs_loop_clock(struct gs_loop *l)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    l->now_ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
    l->now_ms = l->now_ns / 1000000u;
}

static void
run_defers(struct gs_loop *l)
{
    struct gs_list now;
    struct gs_list *n;

    gs_list_init(&now);
    gs_list_splice(&now, &l->defers); /* those posted meanwhile run in the next pass */
    while ((n = gs_list_pop_front(&now))) {
        struct gs_defer *d = GS_LIST_ENTRY(n, struct gs_defer, link);

        d->run(d);
    }
}

void
gs_loop_flush(struct gs_loop *l)
{
    struct gs_list *n;

    while ((n = gs_list_pop_front(&l->dirty)))
        stream_flush(GS_LIST_ENTRY(n, struct stream, dirty));
}

static void
bury_graves(struct gs_loop *l)
{
    struct gs_list *n;

    while ((n = gs_list_pop_front(&l->graves))) {
        struct gs_grave *g = GS_LIST_ENTRY(n, struct gs_grave, link);

        g->bury(g);
    }
}

static void
on_due(uv_idle_t *h)
{
    (void)h; /* that it is active is all */
}

static void
on_timer(uv_timer_t *t)
{
    struct gs_loop_uv *uv = t->data;
    uint64_t due = uv->timer_at_ms;

    uv->timer_at_ms = 0;
    gs_loop_clock(uv->loop);
    if (due > 0 && uv->loop->now_ms > due) {
        uint64_t late_us = (uv->loop->now_ms - due) * 1000;

        if (late_us > uv->loop->lag_max_us)
            uv->loop->lag_max_us = late_us;
    }
    uv->polled_ms = uv->loop->now_ms;
    uv_idle_start(&uv->due, on_due);
}

/* After the poll: those that were due before it. Of what became due since, nobody has looked yet
 * whether what it waits for has come. */
static void
run_timers(struct gs_loop_uv *uv)
{
    if (!uv_is_active((uv_handle_t *)&uv->due))
        return;
    uv_idle_stop(&uv->due);
    gs_loop_clock(uv->loop);
    GS_ASSERT(uv->polled_ms <= uv->loop->now_ms);
    gs_wheel_advance(&uv->loop->wheel, uv->polled_ms);
}

static void
arm_timer(struct gs_loop_uv *uv)
{
    struct gs_loop *l = uv->loop;
    uint64_t at = gs_wheel_next_ms(&l->wheel);

    if (uv_is_active((uv_handle_t *)&uv->due))
        return; /* the wheel is turned in this turn still, and looked at again */
    if (at == UINT64_MAX) {
        if (uv->timer_at_ms != 0)
            uv_timer_stop(&uv->timer);
        uv->timer_at_ms = 0;
        return;
    }
    /* An earlier wake-up than needed is harmless; re-arming at every turn is not. */
    if (uv->timer_at_ms != 0 && uv->timer_at_ms <= at)
        return;
    uv->timer_at_ms = at;
    gs_loop_clock(l);
    uv_update_time(&uv->uv);
    uv_timer_start(&uv->timer, on_timer, at > l->now_ms ? at - l->now_ms : 1, 0);
}

static void
run_turn_ends(struct gs_loop *l)
{
    struct gs_list now;
    struct gs_list *n;

    gs_list_init(&now);
    gs_list_splice(&now, &l->turn_ends);
    while ((n = gs_list_pop_front(&now))) {
        struct gs_turn_end *t = GS_LIST_ENTRY(n, struct gs_turn_end, link);

        t->run(t);
    }
}

static void
settle(struct gs_loop_uv *uv)
{
    struct gs_loop *l = uv->loop;

    do {
        do {
            run_defers(l);
            gs_loop_flush(l);
        } while (!gs_list_empty(&l->defers) || !gs_list_empty(&l->dirty));
        run_turn_ends(l);
    } while (!gs_list_empty(&l->defers) || !gs_list_empty(&l->dirty) ||
             !gs_list_empty(&l->turn_ends));
    bury_graves(l);
    arm_timer(uv);
}

static void
on_prepare(uv_prepare_t *p)
{
    settle(p->data);
}

static void
on_check(uv_check_t *c)
{
    struct gs_loop_uv *uv = c->data;

    uv->loop->turn++;
    run_timers(uv);
    settle(uv);
}

static void
on_stop(uv_async_t *a)
{
    struct gs_loop_uv *uv = a->data;

    if (uv->stopping)
        return;
    uv->stopping = true;
    uv_close((uv_handle_t *)&uv->stop, NULL);
    uv_close((uv_handle_t *)&uv->timer, NULL);
    uv_close((uv_handle_t *)&uv->prepare, NULL);
    uv_close((uv_handle_t *)&uv->check, NULL);
    uv_close((uv_handle_t *)&uv->due, NULL);
}

struct gs_loop *
gs_loop_new(const char *name, uint64_t seed)
{
    struct gs_loop *l = gs_zalloc(sizeof(*l));
    struct gs_loop_uv *uv = gs_zalloc(sizeof(*uv));

    GS_ASSERT(uv_loop_init(&uv->uv) == 0);
    uv->loop = l;
    uv_timer_init(&uv->uv, &uv->timer);
    uv_prepare_init(&uv->uv, &uv->prepare);
    uv_check_init(&uv->uv, &uv->check);
    uv_idle_init(&uv->uv, &uv->due);
    GS_ASSERT(uv_async_init(&uv->uv, &uv->stop, on_stop) == 0);
    uv->timer.data = uv->prepare.data = uv->check.data = uv->stop.data = uv;
    uv_prepare_start(&uv->prepare, on_prepare);
    uv_check_start(&uv->check, on_check);
    l->uv = uv;
    l->name = name;
    l->scratch = gs_alloc(LOOP_SCRATCH_BYTES);
    gs_loop_clock(l);
    gs_wheel_init(&l->wheel, l->now_ms);
    gs_block_pool_init(&l->blocks);
    gs_list_init(&l->defers);
    gs_list_init(&l->graves);
    gs_list_init(&l->dirty);
    gs_list_init(&l->turn_ends);
    gs_rng_init(&l->rng, seed);
    return l;
}

void
gs_loop_free(struct gs_loop *l)
{
    if (!l)
        return;
    bury_graves(l);
    GS_ASSERT(uv_loop_close(&l->uv->uv) == 0);
    gs_block_pool_fini(&l->blocks);
    gs_free(l->scratch);
    gs_free(l->uv);
    gs_free(l);
}

void
gs_loop_run(struct gs_loop *l)
{
    uv_run(&l->uv->uv, UV_RUN_DEFAULT);
    settle(l->uv); /* what the last close callbacks left */
}

void
gs_loop_stop(struct gs_loop *l)
{
    uv_async_send(&l->uv->stop);
}

struct gs_wake {
    uv_async_t async;
    void (*call)(void *arg);
    void *arg;
    struct gs_loop *loop;
    /* What was done before a send happened before the call: libuv sees to that, but so that tools
     * which look at our code alone can tell. */
    _Atomic uint32_t sent;
};

static void
on_wake(uv_async_t *a)
{
    struct gs_wake *w = a->data;

    (void)atomic_load_explicit(&w->sent, memory_order_acquire);
    gs_loop_clock(w->loop);
    w->call(w->arg);
}

struct gs_wake *
gs_wake_new(struct gs_loop *l, void (*call)(void *arg), void *arg)
{
    struct gs_wake *w = gs_zalloc(sizeof(*w));

    w->call = call;
    w->arg = arg;
    w->loop = l;
    GS_ASSERT(uv_async_init(&l->uv->uv, &w->async, on_wake) == 0);
    w->async.data = w;
    return w;
}

void
gs_wake_send(struct gs_wake *w)
{
    atomic_fetch_add_explicit(&w->sent, 1, memory_order_release);
    uv_async_send(&w->async);
}

static void
on_wake_closed(uv_handle_t *h)
{
    gs_free(h->data);
}

void
gs_wake_close(struct gs_wake *w)
{
    if (w)
        uv_close((uv_handle_t *)&w->async, on_wake_closed);
}

void
gs_defer_init(struct gs_defer *d, void (*run)(struct gs_defer *d))
{
    gs_list_init(&d->link);
    d->run = run;
}

void
gs_loop_defer(struct gs_loop *l, struct gs_defer *d)
{
    if (!gs_list_linked(&d->link))
        gs_list_push_back(&l->defers, &d->link);
}

void
gs_defer_cancel(struct gs_defer *d)
{
    gs_list_remove(&d->link);
}

void
gs_turn_end_init(struct gs_turn_end *t, void (*run)(struct gs_turn_end *t))
{
    gs_list_init(&t->link);
    t->run = run;
}

void
gs_loop_at_turn_end(struct gs_loop *l, struct gs_turn_end *t)
{
    if (!gs_list_linked(&t->link))
        gs_list_push_back(&l->turn_ends, &t->link);
}

void
gs_turn_end_cancel(struct gs_turn_end *t)
{
    gs_list_remove(&t->link);
}

void
gs_loop_bury(struct gs_loop *l, struct gs_grave *g, void (*bury)(struct gs_grave *g))
{
    g->bury = bury;
    gs_list_push_back(&l->graves, &g->link);
}

void
gs_loop_arm(struct gs_loop *l, struct gs_timer *t, uint64_t after_ms)
{
    if (l->wheel.count == 0) /* nobody has turned it: what is due next would look long overdue */
        gs_wheel_advance(&l->wheel, l->now_ms);
    gs_wheel_arm(&l->wheel, t, l->now_ms + after_ms + (l->now_ns % 1000000 != 0)); /* never early */
}

void
gs_loop_disarm(struct gs_loop *l, struct gs_timer *t)
{
    gs_wheel_stop(&l->wheel, t);
}
