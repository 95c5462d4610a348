/* test_timers.c - the wheel against a plain list as its oracle, on simulated time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <gossamer/blocks.h>
#include <gossamer/rng.h>
#include <gossamer/timers.h>

#define TIMERS 200

struct item {
    struct gs_timer timer;
    uint64_t fired_ms;
    uint64_t want_ms;
};

static struct item items[TIMERS];
static uint64_t now;

static void
on_fire(struct gs_timer *t)
{
    struct item *i = GS_CONTAINER(t, struct item, timer);

    i->fired_ms = now;
}

/* Given  timers armed, moved and stopped at random up to 60 s ahead
 * When   time moves in steps, by gs_wheel_next_ms or past it
 * Then   each fires once, never early, at most a tick late after the wheel was advanced */
static void
test_against_oracle(void **state)
{
    struct gs_wheel w;
    struct gs_rng rng;
    unsigned fired = 0;

    (void)state;
    gs_rng_init(&rng, 7);
    now = 123456;
    gs_wheel_init(&w, now);
    for (int i = 0; i < TIMERS; i++)
        gs_timer_init(&items[i].timer, on_fire);
    for (int round = 0; round < 20000; round++) {
        struct item *i = &items[gs_rng_below(&rng, TIMERS)];
        uint64_t step = gs_rng_below(&rng, 40);

        if (gs_rng_below(&rng, 5) == 0) {
            gs_wheel_stop(&w, &i->timer);
            i->want_ms = 0;
        } else {
            i->want_ms = now + 1 + gs_rng_below(&rng, 60000);
            gs_wheel_arm(&w, &i->timer, i->want_ms);
        }
        if (round % 1000 == 0) /* asleep for several rounds */
            step = 30000;
        now += step;
        gs_wheel_advance(&w, now);
        for (int k = 0; k < TIMERS; k++) {
            if (items[k].fired_ms > 0) {
                assert_true(items[k].want_ms > 0);
                assert_true(items[k].fired_ms >= items[k].want_ms);
                items[k].fired_ms = items[k].want_ms = 0;
                fired++;
            } else if (items[k].want_ms > 0) {
                assert_true(items[k].want_ms + LOOP_TICK_MS > now);
                assert_true(gs_wheel_next_ms(&w) < items[k].want_ms + LOOP_TICK_MS);
            }
        }
    }
    assert_true(fired > 1000);
}

static void
test_empty(void **state)
{
    struct gs_wheel w;

    (void)state;
    gs_wheel_init(&w, 5);
    assert_true(gs_wheel_next_ms(&w) == UINT64_MAX);
    gs_timer_init(&items[0].timer, on_fire);
    gs_wheel_stop(&w, &items[0].timer);
    gs_wheel_arm(&w, &items[0].timer, 1); /* in the past: at the next tick */
    assert_true(gs_wheel_next_ms(&w) <= 20);
    gs_wheel_stop(&w, &items[0].timer);
    assert_true(gs_wheel_next_ms(&w) == UINT64_MAX);
}

static void
test_blocks(void **state)
{
    struct gs_block_pool pool;
    struct gs_blocks q;
    struct gs_rng rng;
    uint64_t in = 0, out = 0;
    unsigned char piece[50000];

    (void)state;
    gs_rng_init(&rng, 3);
    gs_block_pool_init(&pool);
    gs_blocks_init(&q);
    for (int round = 0; round < 3000; round++) {
        struct iovec iov[4];
        size_t n = gs_rng_below(&rng, round % 10 ? 3000 : sizeof(piece));
        size_t take = 0;
        int pieces;

        for (size_t i = 0; i < n; i++)
            piece[i] = (unsigned char)((in + i) * 31);
        gs_blocks_put(&q, &pool, piece, n);
        in += n;
        pieces = gs_blocks_iov(&q, iov, 4);
        for (int i = 0; i < pieces; i++) {
            for (size_t k = 0; k < iov[i].iov_len; k++)
                assert_int_equal(((unsigned char *)iov[i].iov_base)[k],
                                 (unsigned char)((out + take + k) * 31));
            take += iov[i].iov_len;
        }
        take = take > 0 ? gs_rng_below(&rng, (uint32_t)take + 1) : 0;
        gs_blocks_consume(&q, &pool, take);
        out += take;
        assert_int_equal(q.bytes, in - out);
        assert_int_equal(pool.used_bytes, in - out);
    }
    gs_blocks_clear(&q, &pool);
    gs_block_pool_fini(&pool);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_oracle),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_blocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
