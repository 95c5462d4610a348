/* test_hlc.c - the clock that orders writes which did not see each other. */
#include "gossip/hlc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <gossamer/limits.h>
#include <gossamer/rng.h>

#define WALL UINT64_C(1732000000000)

static void
next_follows_the_wall(void **state)
{
    struct hlc c = { 0 };

    (void)state;
    assert_int_equal(hlc_next(&c, WALL), WALL << 16);
    assert_int_equal(hlc_next(&c, WALL + 7), (WALL + 7) << 16);
}

static void
next_never_repeats_nor_goes_back(void **state)
{
    struct hlc c = { 0 };
    uint64_t last = 0;
    struct gs_rng rng;

    (void)state;
    gs_rng_init(&rng, 7);
    for (int i = 0; i < 100000; i++) {
        uint64_t now = hlc_next(&c, WALL + gs_rng_below(&rng, 3000));

        assert_true(now > last);
        last = now;
    }
}

static void
the_counter_carries_into_the_time(void **state)
{
    struct hlc c = { .last = (WALL << 16) | 0xffff };

    (void)state;
    assert_int_equal(hlc_next(&c, WALL), (WALL + 1) << 16);
}

static void
what_was_seen_comes_before(void **state)
{
    struct hlc c = { 0 };
    uint64_t remote = ((WALL + 5000) << 16) | 3;

    (void)state;
    assert_int_equal(hlc_observe(&c, remote, WALL), 0);
    assert_int_equal(hlc_next(&c, WALL), remote + 1);
    assert_int_equal(hlc_observe(&c, WALL << 16, WALL), 0); /* the past moves nothing */
    assert_int_equal(c.last, remote + 1);
}

/* A node whose clock is a year ahead must not make everybody's so. */
static void
a_clock_far_ahead_moves_ours_by_a_minute(void **state)
{
    struct hlc c = { 0 };
    uint64_t year = UINT64_C(365) * 24 * 3600 * 1000;

    (void)state;
    assert_int_equal(hlc_observe(&c, (WALL + HLC_AHEAD_MS) << 16, WALL), 0);
    assert_int_equal(hlc_observe(&c, (WALL + year) << 16, WALL), year);
    assert_int_equal(c.last >> 16, WALL + HLC_AHEAD_MS);
    assert_int_equal(hlc_observe(&c, UINT64_MAX, WALL), (UINT64_MAX >> 16) - WALL);
    assert_int_equal(c.last >> 16, WALL + HLC_AHEAD_MS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(next_follows_the_wall),
        cmocka_unit_test(next_never_repeats_nor_goes_back),
        cmocka_unit_test(the_counter_carries_into_the_time),
        cmocka_unit_test(what_was_seen_comes_before),
        cmocka_unit_test(a_clock_far_ahead_moves_ours_by_a_minute),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
