/* test_outlier.c - local ejection on a clock that is moved by hand: what counts, for how long, how
 * many at once, and the way back; on slots alone, and with several workers at the same ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>

#include <gossamer/rng.h>

#include "proxy/outlier.h"

#define ENDPOINTS_MAX 16
#define START_MS UINT64_C(5000000)

struct bench {
    struct slots *slots;
    struct endpoint endpoints[ENDPOINTS_MAX];
    const struct endpoint *list[ENDPOINTS_MAX];
    struct subset subset;
    struct outlier_policy policy;
    _Atomic bool busy;
    struct outlier_pool pool;
};

static void
bench_init(struct bench *b, uint32_t count)
{
    memset(b, 0, sizeof(*b));
    b->slots = slots_new();
    for (uint32_t i = 0; i < count; i++) {
        char key[2] = { (char)('a' + i), 0 };

        assert_int_equal(slots_get(b->slots, gs_slice_str(key), &b->endpoints[i].slot), GS_E_OK);
        b->list[i] = &b->endpoints[i];
    }
    b->policy = outlier_policy_default;
    b->subset = (struct subset){ .endpoints = b->list, .count = count, .outliers = &b->policy };
    b->pool = (struct outlier_pool){ b->slots, &b->subset, &b->busy, START_MS };
}

static void
bench_fini(struct bench *b)
{
    assert_false(atomic_load(&b->busy));
    slots_free(b->slots);
}

static struct slot *
slot(const struct bench *b, uint32_t i)
{
    return slots_at(b->slots, b->endpoints[i].slot);
}

static enum outlier_verdict
fault(struct bench *b, uint32_t i, enum outlier_fault f)
{
    return outlier_fault(&b->pool, b->list[i], f);
}

/* So many faults in a row; the last one's verdict. */
static enum outlier_verdict
faults(struct bench *b, uint32_t i, enum outlier_fault f, unsigned n)
{
    enum outlier_verdict v = OUTLIER_NOTED;

    while (n-- > 0) {
        v = fault(b, i, f);
        if (n > 0)
            assert_int_equal(v, OUTLIER_NOTED);
    }
    return v;
}

static uint64_t
out_for(const struct bench *b, uint32_t i)
{
    return ejection_until_ms(atomic_load(&slot(b, i)->ejection)) - b->pool.now_ms;
}

/* ---- what counts ---- */

static void
test_five_in_a_row(void **state)
{
    static struct bench b;

    (void)state;
    for (enum outlier_fault f = OUTLIER_5XX; f < OUTLIER_FAULTS; f++) {
        bench_init(&b, 4);
        assert_int_equal(faults(&b, 0, f, 4), OUTLIER_NOTED);
        outlier_good(slot(&b, 0)); /* and all over again */
        assert_int_equal(faults(&b, 0, f, 4), OUTLIER_NOTED);
        assert_false(outlier_is_out(slot(&b, 0)));
        assert_int_equal(fault(&b, 0, f), OUTLIER_EJECTED);
        assert_true(outlier_is_out(slot(&b, 0)));
        assert_int_equal(out_for(&b, 0), OUTLIER_BASE_MS);
        assert_int_equal(fault(&b, 0, f), OUTLIER_NOTED); /* it is out already */
        assert_int_equal(out_for(&b, 0), OUTLIER_BASE_MS);
        assert_false(outlier_is_out(slot(&b, 1)));
        bench_fini(&b);
    }
}

/* Thresholds and faults, against when it is out. */
static void
test_what_counts(void **state)
{
    static const struct {
        uint32_t errors_5xx, errors_gateway, errors_local;
        bool split;
        const char *faults; /* x 5xx, g gateway, l local, + good */
        bool out;
    } cases[] = {
        { 3, 0, 0, false, "xgl", true },     /* not split: all count alike */
        { 3, 0, 0, false, "xx+x", false },   /* a good one in between */
        { 3, 0, 0, true, "xgl", false },     /* split: what goes wrong on the way does not */
        { 3, 0, 0, true, "llllll", false },  /* and nobody asks for that */
        { 3, 0, 2, true, "ll", true },       /* unless told to */
        { 3, 0, 2, true, "lxl", false },     /* it answered in between, if badly */
        { 0, 2, 0, false, "xxxxxx", false }, /* 5xx off, gateway errors on */
        { 0, 2, 0, false, "gg", true },      /* 502 to 504 */
        { 0, 2, 0, false, "gxg", false },    /* 500 is none and ends the row */
        { 0, 2, 0, false, "gl", true },      /* on the way: counts as 503 */
        { 0, 2, 0, true, "gl", false },      /* unless they are split */
        { 5, 2, 0, false, "xgg", true },     /* whichever is first */
        { 2, 5, 0, false, "gg", true },      /* a gateway error is a 5xx, too */
        { 0, 0, 0, false, "xgxlgxxxxxxxx", false },
        { 0, 0, 3, false, "lllll", false }, /* not split: nothing of its own */
        { 1, 0, 0, false, "x", true },
    };
    static struct bench b;

    (void)state;
    for (size_t i = 0; i < GS_COUNT(cases); i++) {
        bench_init(&b, 4);
        b.policy.errors_5xx = cases[i].errors_5xx;
        b.policy.errors_gateway = cases[i].errors_gateway;
        b.policy.errors_local = cases[i].errors_local;
        b.policy.split = cases[i].split;
        for (const char *p = cases[i].faults; *p; p++) {
            assert_false(outlier_is_out(slot(&b, 2)));
            if (*p == '+')
                outlier_good(slot(&b, 2));
            else
                (void)fault(&b, 2,
                            *p == 'x'   ? OUTLIER_5XX
                            : *p == 'g' ? OUTLIER_GATEWAY
                                        : OUTLIER_LOCAL);
        }
        if (outlier_is_out(slot(&b, 2)) != cases[i].out)
            fail_msg("case %zu: %s", i, cases[i].faults);
        assert_int_equal(outlier_is_off(&b.policy), cases[i].errors_5xx == 0 &&
                                                        cases[i].errors_gateway == 0 &&
                                                        !cases[i].split);
        bench_fini(&b);
    }
}

/* Counts do not run into each other, however long the row. */
static void
test_long_rows(void **state)
{
    static struct bench b;

    (void)state;
    bench_init(&b, 4);
    b.policy.errors_5xx = 0;
    b.policy.errors_gateway = 70000; /* beyond what is counted */
    for (unsigned i = 0; i < 200000; i++)
        assert_int_equal(fault(&b, 0, OUTLIER_GATEWAY), OUTLIER_NOTED);
    b.policy.errors_gateway = 65535;
    assert_int_equal(fault(&b, 0, OUTLIER_GATEWAY), OUTLIER_EJECTED);
    bench_fini(&b);
}

/* ---- how many ---- */

static void
test_limits(void **state)
{
    static const struct {
        uint32_t count, percent, out;
    } cases[] = {
        { 1, 30, 0 }, { 1, 100, 0 }, { 2, 30, 1 },  { 2, 100, 1 },  { 3, 30, 1 },  { 4, 30, 1 },
        { 4, 50, 2 }, { 10, 30, 3 }, { 10, 10, 1 }, { 10, 100, 9 }, { 16, 30, 4 }, { 16, 1, 1 },
    };
    static struct bench b;

    (void)state;
    for (size_t i = 0; i < GS_COUNT(cases); i++) {
        uint32_t out = 0;

        bench_init(&b, cases[i].count);
        b.policy.max_percent = cases[i].percent;
        for (uint32_t k = 0; k < cases[i].count; k++) {
            enum outlier_verdict v = faults(&b, k, OUTLIER_5XX, OUTLIER_ERRORS);

            assert_int_equal(v, out < cases[i].out ? OUTLIER_EJECTED : OUTLIER_HELD);
            out += v == OUTLIER_EJECTED;
            assert_int_equal(outlier_is_held(&b.policy, slot(&b, k)), v == OUTLIER_HELD);
        }
        assert_int_equal(out, cases[i].out);
        bench_fini(&b);
    }
}

/* One that is held is out with its next fault, once there is room. */
static void
test_held_until_there_is_room(void **state)
{
    struct outlier_trial trial = { .token = 0 };
    static struct bench b;

    (void)state;
    bench_init(&b, 3);
    assert_int_equal(faults(&b, 0, OUTLIER_5XX, 5), OUTLIER_EJECTED);
    assert_int_equal(faults(&b, 1, OUTLIER_5XX, 5), OUTLIER_HELD);
    assert_int_equal(fault(&b, 1, OUTLIER_5XX), OUTLIER_HELD);
    b.pool.now_ms += OUTLIER_BASE_MS;
    assert_true(outlier_try(&b.pool, slot(&b, 0), false, &trial));
    assert_int_equal(fault(&b, 1, OUTLIER_5XX), OUTLIER_HELD); /* one under trial is out */
    assert_true(outlier_tried_good(slot(&b, 0), &trial, b.pool.now_ms));
    assert_int_equal(fault(&b, 1, OUTLIER_5XX), OUTLIER_EJECTED);
    bench_fini(&b);
}

/* ---- the way back ---- */

static void
test_one_tries(void **state)
{
    struct outlier_trial trial = { .token = 0 }, other = { .token = 0 };
    static struct bench b;

    (void)state;
    bench_init(&b, 3);
    assert_false(outlier_try(&b.pool, slot(&b, 0), true, &trial)); /* it is in use */
    (void)faults(&b, 0, OUTLIER_5XX, 5);
    b.pool.now_ms += OUTLIER_BASE_MS - 1;
    assert_false(outlier_try(&b.pool, slot(&b, 0), false, &trial));
    b.pool.now_ms += 1;
    assert_true(outlier_try(&b.pool, slot(&b, 0), false, &trial));
    assert_true(outlier_is_out(slot(&b, 0)));
    assert_false(outlier_try(&b.pool, slot(&b, 0), false, &other));
    assert_false(outlier_try(&b.pool, slot(&b, 0), true, &other));
    assert_true(outlier_tried_good(slot(&b, 0), &trial, b.pool.now_ms));
    assert_false(outlier_is_out(slot(&b, 0)));
    assert_int_equal(trial.token, 0);
    assert_int_equal(faults(&b, 0, OUTLIER_5XX, 4), OUTLIER_NOTED); /* it starts anew */
    bench_fini(&b);
}

/* n times as long when it fails the n-th time, at most 300 s; forgiven one by one. */
static void
test_longer_each_time(void **state)
{
    struct outlier_trial trial = { .token = 0 };
    static struct bench b;

    (void)state;
    bench_init(&b, 3);
    assert_int_equal(faults(&b, 0, OUTLIER_5XX, 5), OUTLIER_EJECTED);
    for (unsigned n = 2; n <= 14; n++) {
        b.pool.now_ms += out_for(&b, 0);
        assert_true(outlier_try(&b.pool, slot(&b, 0), false, &trial));
        assert_true(outlier_tried_fault(&b.pool, slot(&b, 0), &trial, OUTLIER_5XX));
        assert_int_equal(out_for(&b, 0), n <= 10 ? n * OUTLIER_BASE_MS : OUTLIER_MAX_MS);
    }
    b.pool.now_ms += out_for(&b, 0);
    assert_true(outlier_try(&b.pool, slot(&b, 0), false, &trial));
    assert_true(outlier_tried_good(slot(&b, 0), &trial, b.pool.now_ms));
    b.pool.now_ms += 12 * OUTLIER_INTERVAL_MS + OUTLIER_INTERVAL_MS / 2; /* 14 - 12 are left */
    assert_int_equal(faults(&b, 0, OUTLIER_5XX, 5), OUTLIER_EJECTED);
    assert_int_equal(out_for(&b, 0), 3 * OUTLIER_BASE_MS);
    b.pool.now_ms += out_for(&b, 0);
    assert_true(outlier_try(&b.pool, slot(&b, 0), false, &trial));
    assert_true(outlier_tried_good(slot(&b, 0), &trial, b.pool.now_ms));
    b.pool.now_ms += 1000 * OUTLIER_INTERVAL_MS;
    assert_int_equal(faults(&b, 0, OUTLIER_5XX, 5), OUTLIER_EJECTED);
    assert_int_equal(out_for(&b, 0), OUTLIER_BASE_MS);
    bench_fini(&b);
}

static void
test_trial_that_ends_without_a_verdict(void **state)
{
    struct outlier_trial trial = { .token = 0 }, other = { .token = 0 };
    static struct bench b;

    (void)state;
    bench_init(&b, 3);
    (void)faults(&b, 0, OUTLIER_5XX, 5);
    b.pool.now_ms += OUTLIER_BASE_MS;
    assert_true(outlier_try(&b.pool, slot(&b, 0), false, &trial));
    outlier_tried_nothing(slot(&b, 0), &trial); /* the client left: the next one may */
    assert_true(outlier_try(&b.pool, slot(&b, 0), false, &trial));
    b.pool.now_ms += OUTLIER_BASE_MS - 1;
    assert_false(outlier_try(&b.pool, slot(&b, 0), false, &other));
    b.pool.now_ms += 1; /* no answer in as long as it was out for: another may */
    assert_true(outlier_try(&b.pool, slot(&b, 0), false, &other));
    assert_false(outlier_tried_good(slot(&b, 0), &trial, b.pool.now_ms)); /* too late */
    assert_true(outlier_is_out(slot(&b, 0)));
    assert_true(outlier_tried_fault(&b.pool, slot(&b, 0), &other, OUTLIER_LOCAL));
    assert_int_equal(out_for(&b, 0), 2 * OUTLIER_BASE_MS);
    bench_fini(&b);
}

/* Tried early, for want of a better one: good is good, but a fault changes nothing. */
static void
test_early(void **state)
{
    struct outlier_trial trial = { .token = 0 };
    static struct bench b;

    (void)state;
    bench_init(&b, 3);
    (void)faults(&b, 0, OUTLIER_5XX, 5);
    b.pool.now_ms += 1000;
    for (int i = 0; i < 3; i++) {
        assert_true(outlier_try(&b.pool, slot(&b, 0), true, &trial));
        assert_false(outlier_tried_fault(&b.pool, slot(&b, 0), &trial, OUTLIER_LOCAL));
        assert_int_equal(out_for(&b, 0), OUTLIER_BASE_MS - 1000);
        assert_int_equal(atomic_load(&slot(&b, 0)->ejections), 1);
    }
    assert_true(outlier_try(&b.pool, slot(&b, 0), true, &trial));
    assert_true(outlier_tried_good(slot(&b, 0), &trial, b.pool.now_ms));
    assert_false(outlier_is_out(slot(&b, 0)));
    bench_fini(&b);
}

/* Its owner says that it is well again: the next request tries it. */
static void
test_its_owner_vouches(void **state)
{
    struct outlier_trial trial = { .token = 0 }, other = { .token = 0 };
    static struct bench b;

    (void)state;
    bench_init(&b, 3);
    slots_let_try(b.slots, b.endpoints[0].slot, b.pool.now_ms);
    assert_false(outlier_is_out(slot(&b, 0)));
    (void)faults(&b, 0, OUTLIER_5XX, 5);
    assert_false(outlier_try(&b.pool, slot(&b, 0), false, &trial));
    slots_let_try(b.slots, b.endpoints[0].slot, b.pool.now_ms);
    assert_true(outlier_is_out(slot(&b, 0)));
    assert_true(outlier_try(&b.pool, slot(&b, 0), false, &trial));
    slots_let_try(b.slots, b.endpoints[0].slot, b.pool.now_ms); /* one tries it already */
    assert_false(outlier_try(&b.pool, slot(&b, 0), false, &other));
    assert_true(outlier_tried_fault(&b.pool, slot(&b, 0), &trial, OUTLIER_5XX));
    assert_int_equal(out_for(&b, 0), 2 * OUTLIER_BASE_MS);
    bench_fini(&b);
}

/* A fault that the policy does not look at is an answer, too. */
static void
test_trial_under_another_policy(void **state)
{
    struct outlier_trial trial = { .token = 0 };
    static struct bench b;

    (void)state;
    bench_init(&b, 3);
    (void)faults(&b, 0, OUTLIER_5XX, 5);
    b.policy.errors_5xx = 0;
    b.policy.errors_gateway = 5;
    b.pool.now_ms += OUTLIER_BASE_MS;
    assert_true(outlier_try(&b.pool, slot(&b, 0), false, &trial));
    assert_false(outlier_tried_fault(&b.pool, slot(&b, 0), &trial, OUTLIER_5XX));
    assert_false(outlier_is_out(slot(&b, 0)));
    bench_fini(&b);
}

/* ---- several workers ---- */

#define WORKERS 4
#define PHASES 1000
#define PHASE_ROUNDS 20

struct party {
    pthread_t thread;
    pthread_barrier_t *phase;
    struct bench *b;
    unsigned number;
    unsigned ejected, trials, readmitted, failed_trials, overlaps;
};

static _Atomic unsigned trying[ENDPOINTS_MAX]; /* requests that try it, now */

static void
try(struct party *p, const struct outlier_pool *pool, unsigned i, unsigned draw)
{
    struct outlier_trial trial = { .token = 0 };
    struct slot *s = slot(p->b, i);

    if (!outlier_try(pool, s, draw % 7 == 0, &trial))
        return;
    p->trials++;
    p->overlaps += atomic_fetch_add(&trying[i], 1);
    (void)sched_yield(); /* a trial takes its time */
    atomic_fetch_sub(&trying[i], 1);
    if (draw % 3 == 0)
        outlier_tried_nothing(s, &trial);
    else if (draw % 3 == 1)
        p->readmitted += outlier_tried_good(s, &trial, pool->now_ms);
    else
        p->failed_trials += outlier_tried_fault(pool, s, &trial, OUTLIER_LOCAL);
}

/* Time passes between phases only, and clocks differ by less than a trial may take: how long a
 * thread is kept from running does not make its trial one that is over. */
static void *
work(void *arg)
{
    struct party *p = arg;
    struct outlier_pool pool = p->b->pool;
    uint64_t began_ms = pool.now_ms;
    struct gs_rng rng;

    gs_rng_init(&rng, p->number);
    for (unsigned n = 0; n < PHASES * PHASE_ROUNDS; n++) {
        unsigned i = gs_rng_below(&rng, p->b->subset.count);
        unsigned draw = gs_rng_below(&rng, 100);

        if (n % PHASE_ROUNDS == 0)
            (void)pthread_barrier_wait(p->phase);
        pool.now_ms = began_ms + 200 * (n / PHASE_ROUNDS) + p->number;
        if (draw < 70)
            p->ejected += outlier_fault(&pool, p->b->list[i], OUTLIER_5XX) == OUTLIER_EJECTED;
        else if (draw < 80)
            outlier_good(slot(p->b, i));
        else
            try(p, &pool, i, draw);
    }
    return NULL;
}

/* When   several workers judge and try the same endpoints at once
 * Then   each ejection and each return is counted by one of them, and the limit holds */
static void
test_workers_agree(void **state)
{
    struct party parties[WORKERS] = { 0 };
    static struct bench b;
    pthread_barrier_t phase;
    unsigned ejected = 0, readmitted = 0, trials = 0, overlaps = 0, out = 0;

    (void)state;
    bench_init(&b, 8);
    assert_int_equal(pthread_barrier_init(&phase, NULL, WORKERS), 0);
    b.policy.errors_5xx = 2;
    b.policy.base_ms = 100;
    b.policy.max_percent = 50;
    for (unsigned i = 0; i < WORKERS; i++) {
        parties[i] = (struct party){ .b = &b, .number = i + 1, .phase = &phase };
        assert_int_equal(pthread_create(&parties[i].thread, NULL, work, &parties[i]), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_join(parties[i].thread, NULL), 0);
        ejected += parties[i].ejected;
        readmitted += parties[i].readmitted;
        trials += parties[i].trials;
        overlaps += parties[i].overlaps;
    }
    for (unsigned i = 0; i < b.subset.count; i++)
        out += outlier_is_out(slot(&b, i));
    assert_true(ejected > 100);
    assert_true(trials > 100);
    assert_int_equal(ejected, readmitted + out);
    assert_true(out <= 4);
    assert_int_equal(overlaps, 0); /* one request tries it, and nobody else does */
    assert_int_equal(pthread_barrier_destroy(&phase), 0);
    bench_fini(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_five_in_a_row),
        cmocka_unit_test(test_what_counts),
        cmocka_unit_test(test_long_rows),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_held_until_there_is_room),
        cmocka_unit_test(test_one_tries),
        cmocka_unit_test(test_longer_each_time),
        cmocka_unit_test(test_trial_that_ends_without_a_verdict),
        cmocka_unit_test(test_early),
        cmocka_unit_test(test_its_owner_vouches),
        cmocka_unit_test(test_trial_under_another_policy),
        cmocka_unit_test(test_workers_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
