/* test_retry.c - the retry budget on a clock that is moved by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>

#include "proxy/retry.h"

#define FLOOR_MS (1000 / RETRY_BUDGET_FLOOR_PER_S)
#define LONG_MS UINT64_C(1000000) /* longer than anything is saved up or fades in */

static unsigned
spend_all(struct retry_share *s, struct retry_floor *floor, uint64_t now_ms)
{
    unsigned n = 0;

    while (retry_spend(s, floor, now_ms)) {
        n++;
        assert_true(n < 1000000);
    }
    return n;
}

/* Given  a service whose every request fails, at several rates
 * When   each asks for a retry
 * Then   a fifth of them get one, and beside them ten a second and what was saved up */
static void
test_share_and_floor(void **state)
{
    static const unsigned rates[] = { 10, 100, 1000, 50000 };

    (void)state;
    for (size_t r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
        struct retry_share s = { 0 };
        struct retry_floor floor = { 0 };
        unsigned seconds = 30, retries = 0;
        unsigned requests = rates[r] * seconds;

        for (unsigned i = 0; i < requests; i++) {
            uint64_t now_ms = LONG_MS + (uint64_t)i * 1000 / rates[r];

            retry_earn(&s, now_ms);
            retries += retry_spend(&s, &floor, now_ms);
        }
        if (rates[r] <= 10) { /* the floor alone has one for each */
            assert_int_equal(retries, requests);
            continue;
        }
        assert_true(retries <=
                    requests / 5 + RETRY_BUDGET_FLOOR_MAX + RETRY_BUDGET_FLOOR_PER_S * seconds);
        assert_true(retries >= requests / 5 + RETRY_BUDGET_FLOOR_MAX +
                                   RETRY_BUDGET_FLOOR_PER_S * (seconds - 1) - 2);
    }
}

/* When   a service has had no failures for long, at 1,000 requests a second
 * Then   it can retry about two seconds' worth of a fifth at once, and the floor */
static void
test_saved_up(void **state)
{
    struct retry_share s = { 0 };
    struct retry_floor floor = { 0 };
    uint64_t now_ms = LONG_MS;

    (void)state;
    for (unsigned i = 0; i < 120000; i++)
        retry_earn(&s, ++now_ms);
    assert_in_range(spend_all(&s, &floor, now_ms), 1800 + RETRY_BUDGET_FLOOR_MAX,
                    2000 + RETRY_BUDGET_FLOOR_MAX);
}

/* What was earned is not kept for ever: of a share nothing is left after minutes. */
static void
test_fades(void **state)
{
    struct retry_share s = { 0 };

    (void)state;
    for (unsigned i = 0; i < 5000; i++)
        retry_earn(&s, LONG_MS);
    assert_int_equal(s.credit, 5000 * RETRY_BUDGET_PERCENT);
    retry_earn(&s, LONG_MS + 1000);
    assert_int_equal(s.credit, 5000 * RETRY_BUDGET_PERCENT / 10 * 9 + RETRY_BUDGET_PERCENT);
    for (unsigned at = 2; at <= 120; at++) { /* step by step, and at once */
        struct retry_share once = s;

        retry_earn(&once, LONG_MS + 1000 * (uint64_t)at);
        assert_true(once.credit < s.credit);
    }
    retry_earn(&s, 2 * LONG_MS);
    assert_int_equal(s.credit, RETRY_BUDGET_PERCENT);
}

static void
test_floor(void **state)
{
    struct retry_share s = { 0 };
    struct retry_floor floor = { 0 };

    (void)state;
    assert_int_equal(spend_all(&s, &floor, LONG_MS), RETRY_BUDGET_FLOOR_MAX);
    assert_false(retry_spend(&s, &floor, LONG_MS + FLOOR_MS - 1));
    assert_true(retry_spend(&s, &floor, LONG_MS + FLOOR_MS));
    assert_false(retry_spend(&s, &floor, LONG_MS + FLOOR_MS));
    assert_int_equal(spend_all(&s, &floor, LONG_MS + FLOOR_MS + 1000), RETRY_BUDGET_FLOOR_PER_S);
    assert_int_equal(spend_all(&s, &floor, 2 * LONG_MS), RETRY_BUDGET_FLOOR_MAX);
}

/* ---- several workers ---- */

struct worker_of {
    pthread_t thread;
    struct retry_share share;
    struct retry_floor *floor;
    unsigned retries;
};

static void *
ask(void *arg)
{
    struct worker_of *w = arg;

    for (unsigned i = 0; i < 20000; i++)
        w->retries += retry_spend(&w->share, w->floor, LONG_MS + i / 10);
    return NULL;
}

/* The floor is the node's, however many workers it has. */
static void
test_floor_of_workers(void **state)
{
    struct worker_of workers[4] = { 0 };
    struct retry_floor floor = { 0 };
    unsigned retries = 0;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        workers[i].floor = &floor;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, ask, &workers[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        retries += workers[i].retries;
    }
    /* Two seconds: each moment may be the last one's clock, so a few of them may be lost, but none
     * is given twice. */
    assert_in_range(retries, RETRY_BUDGET_FLOOR_MAX + 1,
                    RETRY_BUDGET_FLOOR_MAX + 2 * RETRY_BUDGET_FLOOR_PER_S);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share_and_floor),
        cmocka_unit_test(test_saved_up),
        cmocka_unit_test(test_fades),
        cmocka_unit_test(test_floor),
        cmocka_unit_test(test_floor_of_workers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
