/* test_loop_uv.c - what has come is heard before what is overdue is judged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#include <gossamer/limits.h>
#include <gossamer/loop.h>

#define DEADLINE_MS 20
#define STANDSTILL_MS 60

enum when { BEFORE, WITHIN, AFTER }; /* the loop stands still */

struct wait {
    struct gs_loop *loop;
    struct gs_timer timer;  /* of an answer */
    struct gs_timer other;  /* due in the turn that stands still */
    struct gs_wake *answer; /* it is here */
    struct gs_wake *stand;  /* what has the loop stand still */
    struct gs_wake *begun;  /* what lets the other timer become due before that */
    struct gs_defer begin;
    enum when set; /* is the deadline */
    bool comes;    /* while the loop stands still */
    bool heard, late;
    uint64_t armed_ms, late_ms, lag_ms;
};

static void
end(struct wait *w)
{
    gs_wake_close(w->answer);
    gs_wake_close(w->stand);
    gs_wake_close(w->begun);
    gs_loop_stop(w->loop);
}

static void
on_late(struct gs_timer *t)
{
    struct wait *w = GS_CONTAINER(t, struct wait, timer);

    w->late = true;
    w->late_ms = w->loop->now_ms;
    w->lag_ms = w->loop->lag_max_us / 1000;
    end(w);
}

static void
on_answer(void *arg)
{
    struct wait *w = arg;

    w->heard = true;
    gs_loop_disarm(w->loop, &w->timer);
    end(w);
}

static void
set_deadline(struct wait *w)
{
    gs_loop_clock(w->loop);
    w->armed_ms = w->loop->now_ms;
    gs_loop_arm(w->loop, &w->timer, DEADLINE_MS);
}

/* A machine without its processor, not a wait for anything. */
static void
stand_for(long ms)
{
    nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

static void
on_stand(void *arg)
{
    struct wait *w = arg;

    if (w->set == WITHIN)
        set_deadline(w);
    if (w->comes)
        gs_wake_send(w->answer);
    stand_for(STANDSTILL_MS);
    if (w->set == AFTER) {
        w->loop->wheel.now_tick -= LOOP_WHEEL_SLOTS + 1; /* longer ago than a round */
        set_deadline(w);
    }
}

static void
on_begun(void *arg)
{
    struct wait *w = arg;

    if (w->set == WITHIN)
        stand_for(3 * LOOP_TICK_MS);
    gs_wake_send(w->stand);
}

static void
on_other(struct gs_timer *t)
{
    (void)t;
}

static void
on_begin(struct gs_defer *d)
{
    struct wait *w = GS_CONTAINER(d, struct wait, begin);

    if (w->set == BEFORE)
        set_deadline(w);
    if (w->set == WITHIN)
        gs_loop_arm(w->loop, &w->other, LOOP_TICK_MS);
    gs_wake_send(w->begun);
}

static struct wait
stand_still(bool comes, enum when set)
{
    struct wait w = { .comes = comes, .set = set };

    w.loop = gs_loop_new("test", 1);
    /* In this order: libuv looks at the first of two before it calls the second. */
    w.answer = gs_wake_new(w.loop, on_answer, &w);
    w.stand = gs_wake_new(w.loop, on_stand, &w);
    w.begun = gs_wake_new(w.loop, on_begun, &w);
    gs_timer_init(&w.timer, on_late);
    gs_timer_init(&w.other, on_other);
    gs_defer_init(&w.begin, on_begin);
    gs_loop_defer(w.loop, &w.begin);
    gs_loop_run(w.loop);
    gs_loop_free(w.loop);
    return w;
}

/* Given  an answer that is waited for, for so long
 * When   the loop stands still for longer, and it comes meanwhile
 * Then   it is heard, and was not late */
static void
what_came_in_time_is_not_late(void **state)
{
    struct wait w = stand_still(true, BEFORE);

    (void)state;
    assert_true(w.heard);
    assert_false(w.late);
}

/* Given  a turn in which some timer is due
 * When   in it something else is waited for, and the loop stands still for longer than it may take
 * Then   it is heard, and was not late: nobody has looked whether it had come */
static void
what_was_not_looked_for_is_not_late(void **state)
{
    struct wait w = stand_still(true, WITHIN);

    (void)state;
    assert_true(w.heard);
    assert_false(w.late);
}

/* Given  an answer that is waited for, for so long
 * When   nothing comes
 * Then   the deadline is told, and not before it */
static void
what_never_came_is_late(void **state)
{
    struct wait w = stand_still(false, BEFORE);

    (void)state;
    assert_false(w.heard);
    assert_true(w.late);
    assert_true(w.late_ms >= w.armed_ms + DEADLINE_MS);
}

/* Given  a loop without timers for some time
 * When   one is set
 * Then   the loop's lag is how late that one was, and nothing of the time before */
static void
who_had_nothing_due_was_not_late(void **state)
{
    struct wait w = stand_still(false, AFTER);

    (void)state;
    assert_true(w.late);
    assert_true(w.lag_ms <= w.late_ms - w.armed_ms);
}

struct rounds {
    struct gs_loop *loop;
    struct gs_timer timer;
    struct gs_timer tick; /* has the loop poll just after each */
    struct gs_defer begin;
    unsigned left, early;
    uint64_t armed_ns;
};

static void
next_round(struct rounds *r)
{
    do /* late in a millisecond */
        gs_loop_clock(r->loop);
    while (r->loop->now_ns % 1000000 < 800000);
    r->armed_ns = r->loop->now_ns;
    gs_loop_arm(r->loop, &r->timer, DEADLINE_MS);
}

static void
on_round(struct gs_timer *t)
{
    struct rounds *r = GS_CONTAINER(t, struct rounds, timer);

    gs_loop_clock(r->loop);
    r->early += r->loop->now_ns - r->armed_ns < DEADLINE_MS * UINT64_C(1000000);
    if (--r->left > 0)
        next_round(r);
    else
        gs_loop_stop(r->loop);
}

static void
on_tick(struct gs_timer *t)
{
    gs_loop_arm(GS_CONTAINER(t, struct rounds, tick)->loop, t, LOOP_TICK_MS);
}

static void
on_rounds(struct gs_defer *d)
{
    struct rounds *r = GS_CONTAINER(d, struct rounds, begin);

    on_tick(&r->tick);
    next_round(r);
}

/* Given  timers that are set late in a millisecond, on a loop that does other things meanwhile
 * When   they fire
 * Then   none does before its time, to the nanosecond */
static void
no_timer_is_early(void **state)
{
    struct rounds r = { .left = 100 };

    (void)state;
    r.loop = gs_loop_new("test", 1);
    gs_timer_init(&r.timer, on_round);
    gs_timer_init(&r.tick, on_tick);
    gs_defer_init(&r.begin, on_rounds);
    gs_loop_defer(r.loop, &r.begin);
    gs_loop_run(r.loop);
    gs_loop_disarm(r.loop, &r.tick);
    gs_loop_free(r.loop);
    assert_int_equal(r.early, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_came_in_time_is_not_late),
        cmocka_unit_test(what_was_not_looked_for_is_not_late),
        cmocka_unit_test(what_never_came_is_late),
        cmocka_unit_test(who_had_nothing_due_was_not_late),
        cmocka_unit_test(no_timer_is_early),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
