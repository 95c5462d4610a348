/* test_route.c - matching, the spread of weights and the balancer, on a worker that has no
 * sockets. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <gossamer/alloc.h>
#include <gossamer/head.h>

#include "proxy/worker.h"

#define ENDPOINTS 4

struct bench {
    struct worker worker;
    struct gs_loop loop;
    struct endpoint endpoints[ENDPOINTS];
    const struct endpoint *list[ENDPOINTS];
    struct subset subset;
    _Atomic bool busy;
    struct snapshot root; /* last: its pins would follow */
};

static void
bench_init(struct bench *b)
{
    memset(b, 0, sizeof(*b));
    b->worker.loop = &b->loop;
    b->worker.root = &b->root;
    b->worker.outlier_busy = &b->busy;
    b->worker.endpoints = test_calloc(SLOTS_MAX, sizeof(*b->worker.endpoints));
    b->worker.services = test_calloc(SERVICES_MAX, sizeof(*b->worker.services));
    b->root.slots = slots_new();
    b->loop.now_ms = 1000;
    b->loop.now_ns = 1000000000;
    gs_rng_init(&b->loop.rng, 1);
    for (uint32_t i = 0; i < ENDPOINTS; i++) {
        char key[2] = { (char)('a' + i), 0 };

        assert_int_equal(slots_get(b->root.slots, gs_slice_str(key), &b->endpoints[i].slot), 0);
        b->endpoints[i].generation = 1;
        b->endpoints[i].local = true;
        b->list[i] = &b->endpoints[i];
    }
    b->subset.endpoints = b->list;
    b->subset.count = ENDPOINTS;
}

static void
bench_fini(struct bench *b)
{
    for (uint32_t i = 0; i < ENDPOINTS; i++)
        gs_free(atomic_load(&b->worker.endpoints[i]));
    gs_free(b->worker.services[0]);
    test_free(b->worker.endpoints);
    test_free(b->worker.services);
    slots_free(b->root.slots);
}

/* ---- matching ---- */

static struct text_match
text(enum match_kind kind, const char *s)
{
    return (struct text_match){ .kind = kind, .text = gs_slice_str(s) };
}

static void
test_match(void **state)
{
    struct field_match field = { GS_SLICE("x-experiment"), text(MATCH_EXACT, "promptv2") };
    struct field_match present = { GS_SLICE("x-any"), text(MATCH_PRESENT, "") };
    struct route_match both = { .uri = text(MATCH_PREFIX, "/api"),
                                .fields = &field,
                                .field_count = 1 };
    struct route_match either[2] = {
        { .uri = text(MATCH_EXACT, "/one") },
        { .uri = text(MATCH_ANY, ""), .fields = &present, .field_count = 1 }
    };
    struct route_rule rules[3] = { { .matches = &both, .match_count = 1 },
                                   { .matches = either, .match_count = 2 },
                                   { .match_count = 0 } };
    struct service s = { .rules = rules, .rule_count = 3 };
    struct field fields[2] = { { .name = GS_SLICE("X-Experiment"), .value = GS_SLICE("v1") },
                               { .name = GS_SLICE("x-experiment"),
                                 .value = GS_SLICE("promptv2") } };
    struct head h = { .path = GS_SLICE("/apis?x=/one"), .fields = fields, .count = 2 };
    int match;

    (void)state;
    assert_int_equal(route_match(&s, &h, &match), 0); /* any line of the field, plain prefix */
    assert_int_equal(match, 0);
    h.count = 1;
    assert_int_equal(route_match(&s, &h, &match), 2); /* the catch-all; no match of its own */
    assert_int_equal(match, -1);
    h.path = GS_SLICE("/one?q");
    assert_int_equal(route_match(&s, &h, &match), 1); /* the query is not looked at */
    h.path = GS_SLICE("/other");
    fields[0].name = GS_SLICE("X-ANY");
    assert_int_equal(route_match(&s, &h, &match), 1);
    assert_int_equal(match, 1);
    s.rule_count = 1;
    assert_int_equal(route_match(&s, &h, &match), -1);
}

/* ---- weights ---- */

/* Given  weights 90/10
 * When   10,000 requests are sent by clients that take turns with 1..16 kinds of request
 * Then   each kind is split 90/10 to within a thousandth of all */
static void
test_weights(void **state)
{
    struct route_backend backends[3] = { { .weight = 90 }, { .weight = 0 }, { .weight = 10 } };
    struct route_rule rule = { .backends = backends, .backend_count = 3, .weight_total = 100 };
    struct service s = { .rules = &rule, .rule_count = 1 };
    static struct bench b; /* not on the stack: it is aligned to cache lines */

    (void)state;
    bench_init(&b);
    for (unsigned kinds = 1; kinds <= 16; kinds++) {
        unsigned hits[16] = { 0 };

        for (unsigned i = 0; i < 10000 * kinds; i++) {
            const struct route_backend *got = route_pick_backend(&b.worker, &s, 0);

            assert_ptr_not_equal(got, &backends[1]); /* weight 0 gets nothing */
            hits[i % kinds] += got == &backends[2];
        }
        for (unsigned k = 0; k < kinds; k++)
            assert_in_range(hits[k], 990, 1010);
    }
    bench_fini(&b);
}

/* ---- balance ---- */

static const struct endpoint *
pick(struct bench *b, const struct tried *tried)
{
    static const struct tried none;
    struct outlier_trial trial = { .token = 0 };
    const struct endpoint *e = balance_pick(&b->worker, &b->subset, tried ? tried : &none, &trial);

    assert_int_equal(trial.token, 0); /* nobody is out */
    return e;
}

static void
test_balance_prefers_the_fast(void **state)
{
    static struct bench b; /* not on the stack: it is aligned to cache lines */
    unsigned hits[ENDPOINTS] = { 0 };

    (void)state;
    bench_init(&b);
    for (uint32_t i = 0; i < ENDPOINTS; i++)
        balance_observe(&b.worker, &b.endpoints[i], i == 0 ? 50000000 : 200000 + i * 100000);
    for (int i = 0; i < 4000; i++)
        hits[pick(&b, NULL)->slot]++;
    assert_int_equal(hits[0], 0);            /* 50 ms against less than 1: never of two */
    for (uint32_t i = 1; i < ENDPOINTS; i++) /* below 1 ms they share alike */
        assert_in_range(hits[i], 1100, 1600);
    b.loop.now_ns += 60000000000; /* a minute later the slow one is tried again */
    for (int i = 0; i < 4000; i++)
        hits[pick(&b, NULL)->slot]++;
    assert_true(hits[0] > 500);
    bench_fini(&b);
}

static void
test_balance_avoids_the_busy_and_the_tried(void **state)
{
    static struct bench b; /* not on the stack: it is aligned to cache lines */
    struct tried tried = { .slots = { 0, 1 }, .count = 2 };
    unsigned busy = 0;

    (void)state;
    bench_init(&b);
    atomic_store(&slots_at(b.root.slots, 3)->active, 5);
    for (int i = 0; i < 1000; i++) {
        busy += pick(&b, NULL)->slot == 3;
        assert_true(pick(&b, &tried)->slot >= 2);
    }
    assert_int_equal(busy, 0);
    balance_failed(&b.worker, &b.endpoints[2], b.worker.loop->now_ns);
    for (int i = 0; i < 1000; i++)
        assert_int_not_equal(pick(&b, NULL)->slot, 2);
    b.subset.count = 0;
    assert_null(pick(&b, NULL));
    bench_fini(&b);
}

/* How long an endpoint is avoided by a client of one other that takes 1 ms. */
static unsigned
avoided_s(struct bench *b, const struct endpoint *e)
{
    for (unsigned s = 0; s < 300; s++) {
        for (int i = 0; i < 100; i++) {
            if (pick(b, NULL) == e)
                return s;
        }
        b->loop.now_ns += 1000000000;
        for (uint32_t i = 1; i < ENDPOINTS; i++)
            balance_observe(&b->worker, &b->endpoints[i], 1000000);
    }
    return 300;
}

/* Given  fifteen exchanges under way at an endpoint
 * When   its node dies, which ends them all
 * Then   that is one failure; fifteen attempts one after the other are fifteen */
static void
test_one_death_is_one_failure(void **state)
{
    static struct bench b; /* not on the stack: it is aligned to cache lines */
    const struct endpoint *e = &b.endpoints[0];
    uint64_t begun;
    unsigned once, together, apart;

    (void)state;
    bench_init(&b);
    balance_failed(&b.worker, e, b.loop.now_ns);
    once = avoided_s(&b, e);
    bench_fini(&b);
    bench_init(&b);
    begun = b.loop.now_ns;
    for (int i = 0; i < 15; i++) {
        b.loop.now_ns += 1000000; /* they end within 15 ms */
        balance_failed(&b.worker, e, begun + (uint64_t)i);
    }
    together = avoided_s(&b, e);
    bench_fini(&b);
    bench_init(&b);
    for (int i = 0; i < 15; i++) {
        b.loop.now_ns += 1000000;
        balance_failed(&b.worker, e, b.loop.now_ns);
    }
    apart = avoided_s(&b, e);
    bench_fini(&b);
    assert_in_range(together, once > 0 ? once - 1 : 0, once + 1);
    assert_true(apart > once + 20);
}

/* An instance that was restarted is used again soon; one that stays away is left alone longer.
 * Given  four endpoints that answer in 1 ms and one client, one request at a time
 * When   a connect to one of them fails, and each time that it is tried again
 * Then   the first time it is avoided for seconds, and about twice as long with each further one,
 *        up to a minute or two */
static void
test_failures_are_forgiven_soon_at_first(void **state)
{
    static struct bench b; /* not on the stack: it is aligned to cache lines */
    const struct endpoint *e = &b.endpoints[0];
    unsigned last = 0;

    (void)state;
    bench_init(&b);
    for (int i = 0; i < 10; i++) {
        unsigned avoided;

        balance_failed(&b.worker, e, b.loop.now_ns);
        avoided = avoided_s(&b, e);
        if (i == 0)
            assert_in_range(avoided, 3, 10);
        else if (i < 4)
            assert_in_range(avoided, last * 3 / 2, last * 5 / 2 + 2);
        else
            assert_in_range(avoided, last, 120);
        last = avoided;
    }
    balance_observe(&b.worker, e, 1000000); /* it answers: all is forgotten */
    b.loop.now_ns += 1000000000;
    balance_failed(&b.worker, e, b.loop.now_ns);
    assert_in_range(avoided_s(&b, e), 3, 10);
    bench_fini(&b);
}

/* ---- weights of endpoints ---- */

struct crowd { /* requests under way, so that each can end */
    const struct endpoint *on[64];
    unsigned count;
};

static void
set_weights(struct bench *b, const uint16_t weights[ENDPOINTS], uint32_t upto[ENDPOINTS])
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < ENDPOINTS; i++) {
        upto[i] = sum += weights[i];
        b->endpoints[i].weight = weights[i];
    }
    b->subset.upto = upto;
}

/* The next request takes the place of one that ends, whichever; while there are fewer than `busy`,
 * none ends. */
static uint32_t
next_of(struct bench *b, struct crowd *c, unsigned busy)
{
    const struct endpoint *e;
    unsigned at = c->count;

    if (busy > 0 && c->count == busy) {
        at = gs_rng_below(&b->loop.rng, busy);
        atomic_fetch_sub(&slots_at(b->root.slots, c->on[at]->slot)->active, 1);
    }
    e = pick(b, NULL);
    if (busy > 0) {
        atomic_fetch_add(&slots_at(b->root.slots, e->slot)->active, 1);
        c->on[at] = e;
        c->count += at == c->count;
    }
    return e->slot;
}

#define DRAWS 40000

/* Given  endpoints that are alike but for their weights
 * When   requests go there, one at a time or many at once
 * Then   each has its share, within 1 % of the requests */
static void
test_weights_of_endpoints(void **state)
{
    static const uint16_t rows[][ENDPOINTS] = {
        { 100, 100, 100, 10 }, { 100, 10, 100, 100 }, { 100, 99, 100, 100 }, { 1, 1, 1, 1000 },
        { 10, 20, 30, 40 },    { 1000, 100, 10, 1 },  { 100, 1, 1, 1 },      { 200, 100, 100, 50 },
    };
    static const unsigned crowds[] = { 0, 1, 2, 4, 8, 16, 64 };
    static struct bench b; /* not on the stack: it is aligned to cache lines */

    (void)state;
    for (size_t i = 0; i < GS_COUNT(rows) * GS_COUNT(crowds); i++) {
        const uint16_t *weights = rows[i / GS_COUNT(crowds)];
        unsigned busy = crowds[i % GS_COUNT(crowds)];
        unsigned hits[ENDPOINTS] = { 0 };
        uint32_t upto[ENDPOINTS];
        struct crowd c = { .count = 0 };

        bench_init(&b);
        set_weights(&b, weights, upto);
        for (unsigned k = 0; k < DRAWS; k++)
            hits[next_of(&b, &c, busy)]++;
        for (unsigned e = 0; e < ENDPOINTS; e++) {
            double share = (double)DRAWS * weights[e] / upto[ENDPOINTS - 1];
            double off = hits[e] - share;

            if (fabs(off) > DRAWS / 100.0 || off * off > 25 * share) /* five deviations */
                fail_msg("%u busy: weight %u got %u of %.0f", busy, weights[e], hits[e], share);
        }
        bench_fini(&b);
    }
}

/* Given  a heavy endpoint that answers slowly, and then fails
 * When   requests go to it and its light neighbours, one at a time
 * Then   slowness costs it nothing of its share, failure all of it, and a retry goes elsewhere */
static void
test_weights_save_nobody_who_fails(void **state)
{
    static const uint16_t weights[ENDPOINTS] = { 10, 1000, 20, 10 };
    static struct bench b; /* not on the stack: it is aligned to cache lines */
    unsigned hits[ENDPOINTS] = { 0 };
    struct tried tried = { .slots = { 1, 2 }, .count = 2 };
    uint32_t upto[ENDPOINTS];

    (void)state;
    bench_init(&b);
    set_weights(&b, weights, upto);
    for (uint32_t i = 0; i < ENDPOINTS; i++)
        balance_observe(&b.worker, &b.endpoints[i], i == 1 ? 50000000 : 500000);
    for (unsigned i = 0; i < DRAWS; i++)
        hits[pick(&b, NULL)->slot]++;
    assert_in_range(hits[1], DRAWS * 95 / 100, DRAWS * 97 / 100); /* 1000 of 1040 */
    balance_failed(&b.worker, &b.endpoints[1], b.loop.now_ns);
    memset(hits, 0, sizeof(hits));
    for (unsigned i = 0; i < 4000; i++) {
        hits[pick(&b, NULL)->slot]++;
        assert_true(pick(&b, &tried)->slot % 3 == 0);
    }
    assert_int_equal(hits[1], 0);
    assert_in_range(hits[2], 1800, 2200); /* half of what is left */
    b.loop.now_ns += 120000000000;        /* two minutes later it is tried again */
    hits[1] = 0;
    for (unsigned i = 0; i < 1000; i++)
        hits[pick(&b, NULL)->slot]++;
    assert_true(hits[1] > 900);
    bench_fini(&b);
}

/* Given  two endpoints of one weight, one of them slow, and a light one
 * When   requests go there
 * Then   the light one has its share, and the slow one nothing of what the two have */
static void
test_weights_leave_the_others_to_be_balanced(void **state)
{
    static const uint16_t weights[ENDPOINTS] = { 100, 100, 1, 10 };
    static struct bench b; /* not on the stack: it is aligned to cache lines */
    unsigned hits[ENDPOINTS] = { 0 };
    uint32_t upto[ENDPOINTS];

    (void)state;
    bench_init(&b);
    set_weights(&b, weights, upto);
    for (uint32_t i = 0; i < ENDPOINTS; i++)
        balance_observe(&b.worker, &b.endpoints[i], i == 1 ? 50000000 : 500000);
    for (unsigned i = 0; i < DRAWS; i++)
        hits[pick(&b, NULL)->slot]++;
    assert_true(hits[1] < DRAWS / 10); /* when the second one drawn was a light one */
    assert_in_range(hits[3], DRAWS * 10 / 211 - DRAWS / 100, DRAWS * 10 / 211 + DRAWS / 100);
    /* One that has far more to do than its weight stands for gets no more. */
    atomic_store(&slots_at(b.root.slots, 3)->active, 12);
    memset(hits, 0, sizeof(hits));
    for (unsigned i = 0; i < DRAWS; i++)
        hits[pick(&b, NULL)->slot]++;
    assert_true(hits[3] < DRAWS / 1000);
    bench_fini(&b);
}

/* Given  a light endpoint with a few requests under way, all of which wait for a connection yet
 * When   requests go there
 * Then   each of them counts once: the light one keeps its share */
static void
test_who_waits_for_a_connection_counts_once(void **state)
{
    static const uint16_t weights[ENDPOINTS] = { 100, 100, 100, 10 };
    static struct bench b; /* not on the stack: it is aligned to cache lines */
    unsigned hits[ENDPOINTS] = { 0 };
    uint32_t upto[ENDPOINTS];

    (void)state;
    bench_init(&b);
    set_weights(&b, weights, upto);
    atomic_store(&slots_at(b.root.slots, 3)->active, 8);
    atomic_store(&slots_at(b.root.slots, 3)->pending, 8);
    for (unsigned i = 0; i < DRAWS; i++)
        hits[pick(&b, NULL)->slot]++;
    assert_in_range(hits[3], DRAWS * 10 / 310 - DRAWS / 100, DRAWS * 10 / 310 + DRAWS / 100);
    bench_fini(&b);
}

/* ---- where some are out ---- */

#define PICKS 4000

struct picks {
    unsigned hits[ENDPOINTS], trials[ENDPOINTS];
};

/* keep: trials stay under way; else they end without a verdict. */
static struct picks
picks(struct bench *b, const struct tried *tried, bool keep)
{
    static const struct tried none;
    struct picks p = { { 0 }, { 0 } };

    for (int i = 0; i < PICKS; i++) {
        struct outlier_trial trial = { .token = 0 };
        const struct endpoint *e =
            balance_pick(&b->worker, &b->subset, tried ? tried : &none, &trial);

        p.hits[e->slot]++;
        p.trials[e->slot] += trial.token != 0;
        if (trial.token != 0 && !keep)
            outlier_tried_nothing(slots_at(b->root.slots, e->slot), &trial);
    }
    return p;
}

static void
put_out(struct bench *b, uint32_t i, uint64_t for_ms)
{
    struct slot *s = slots_at(b->root.slots, b->endpoints[i].slot);

    atomic_store(&s->ejections, 1);
    atomic_store(&s->ejection, ejection_word(b->loop.now_ms + for_ms, EJECTION_OUT));
}

static void
test_who_is_out_is_not_picked(void **state)
{
    static struct bench b;
    struct tried tried = { .slots = { 1 }, .count = 1 };
    struct picks p;

    (void)state;
    bench_init(&b);
    put_out(&b, 0, 1000);
    p = picks(&b, NULL, false);
    assert_int_equal(p.hits[0], 0);
    for (uint32_t i = 1; i < ENDPOINTS; i++)
        assert_in_range(p.hits[i], 1000, 1700);
    p = picks(&b, &tried, false); /* a retry: none that was tried, either */
    assert_int_equal(p.hits[0] + p.hits[1], 0);
    assert_in_range(p.hits[2], 1500, 2500);
    b.subset.count = 1; /* the one that is out, alone */
    p = picks(&b, NULL, true);
    assert_int_equal(p.hits[0], PICKS);
    assert_int_equal(p.trials[0], 1);
    assert_int_equal(atomic_load(&b.worker.counters.panics), PICKS - 1);
    assert_int_equal(atomic_load(&slots_at(b.root.slots, 0)->panics), PICKS - 1);
    bench_fini(&b);
}

static void
test_one_pick_tries_it_when_its_time_is_over(void **state)
{
    static struct bench b;
    struct tried tried = { .slots = { 1 }, .count = 1 };
    struct picks p;

    (void)state;
    bench_init(&b);
    put_out(&b, 0, 0);
    p = picks(&b, &tried, true);
    assert_int_equal(p.hits[0], 0); /* a retry is not for trying out */
    p = picks(&b, NULL, true);
    assert_int_equal(p.hits[0], 1);
    assert_int_equal(p.trials[0], 1);
    bench_fini(&b);
}

/* Whoever is back soonest, where nobody else is left to a retry. */
static void
test_a_retry_may_use_who_is_out(void **state)
{
    static struct bench b;
    struct tried tried = { .slots = { 1, 2 }, .count = 2 };
    struct picks p;

    (void)state;
    bench_init(&b);
    put_out(&b, 0, 5000);
    put_out(&b, 3, 4000);
    p = picks(&b, &tried, true);
    assert_int_equal(p.hits[1] + p.hits[2], 0);
    assert_int_equal(p.trials[0] + p.trials[3], 2); /* under trial, the other one is sooner */
    assert_int_equal(p.hits[0] + p.hits[3], PICKS);
    bench_fini(&b);
}

/* Given  endpoints of unequal weight, one of which is out
 * When   requests and retries go to them, and its time is over then
 * Then   the others share by weight, one request tries it, and who is taken back has its share */
static void
test_weights_hold_where_one_is_out(void **state)
{
    static const uint16_t weights[ENDPOINTS] = { 10, 40, 20, 30 };
    static struct bench b;
    struct tried tried = { .slots = { 1 }, .count = 1 };
    uint32_t upto[ENDPOINTS];
    struct picks p;

    (void)state;
    bench_init(&b);
    set_weights(&b, weights, upto);
    p = picks(&b, &tried, false);
    assert_int_equal(p.hits[1], 0);
    assert_in_range(p.hits[3], PICKS * 46 / 100, PICKS * 54 / 100); /* 30 of 60 */
    put_out(&b, 3, 1000);
    p = picks(&b, NULL, false);
    assert_int_equal(p.hits[3], 0);
    assert_in_range(p.hits[0], PICKS * 12 / 100, PICKS * 17 / 100); /* 10 of 70 */
    assert_in_range(p.hits[1], PICKS * 53 / 100, PICKS * 61 / 100); /* 40 of 70 */
    p = picks(&b, &tried, false);
    assert_int_equal(p.hits[1] + p.hits[3], 0);
    assert_in_range(p.hits[2], PICKS * 62 / 100, PICKS * 71 / 100); /* 20 of 30 */
    b.loop.now_ms += 1000;
    p = picks(&b, NULL, true);
    assert_int_equal(p.hits[3], 1);
    assert_int_equal(p.trials[3], 1);
    atomic_store(&slots_at(b.root.slots, b.endpoints[3].slot)->ejection, 0);
    p = picks(&b, NULL, false);
    assert_in_range(p.hits[3], PICKS * 27 / 100, PICKS * 33 / 100);
    bench_fini(&b);
}

/* Those that are left fail as well: once a second, one that is out is tried early. */
static void
test_tried_early_when_the_rest_fails(void **state)
{
    static struct bench b;
    struct outlier_pool pool;
    struct picks p;

    (void)state;
    bench_init(&b);
    b.loop.now_ms = 100000;
    b.subset.count = 2;
    put_out(&b, 0, 30000);
    p = picks(&b, NULL, false);
    assert_int_equal(p.hits[0], 0);
    pool = worker_outliers(&b.worker, &b.subset);
    for (unsigned i = 0; i < OUTLIER_ERRORS; i++)
        assert_int_not_equal(outlier_fault(&pool, b.list[1], OUTLIER_5XX), OUTLIER_EJECTED);
    p = picks(&b, NULL, false);
    assert_int_equal(p.trials[0], 1);
    assert_int_equal(p.hits[0], 1);
    b.loop.now_ms += OUTLIER_AGAIN_MS;
    p = picks(&b, NULL, false);
    assert_int_equal(p.trials[0], 1);
    bench_fini(&b);
}

static void
test_nobody_is_left_out_when_too_few_are_left(void **state)
{
    struct outlier_policy policy = outlier_policy_default;
    static struct bench b;
    struct picks p;

    (void)state;
    bench_init(&b);
    b.subset.outliers = &policy;
    put_out(&b, 0, 1000);
    put_out(&b, 1, 1000);
    policy.min_health_percent = 50; /* that many are left */
    p = picks(&b, NULL, false);
    assert_int_equal(p.hits[0] + p.hits[1], 0);
    policy.min_health_percent = 51;
    p = picks(&b, NULL, false);
    for (uint32_t i = 0; i < ENDPOINTS; i++)
        assert_in_range(p.hits[i], 600, 1400);
    assert_int_equal(atomic_load(&b.worker.counters.panics), p.hits[0] + p.hits[1]);
    policy = outlier_policy_default;
    policy.errors_5xx = 0; /* off: whoever is out is used */
    p = picks(&b, NULL, false);
    assert_true(p.hits[0] > 600 && p.hits[1] > 600);
    bench_fini(&b);
}

/* When all of a subset are unhealthy by their owners, each pick is one in panic. */
static void
test_panic_is_counted(void **state)
{
    static struct bench b;

    (void)state;
    bench_init(&b);
    b.subset.panic = true;
    (void)picks(&b, NULL, false);
    assert_int_equal(atomic_load(&b.worker.counters.panics), PICKS);
    bench_fini(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_balance_prefers_the_fast),
        cmocka_unit_test(test_balance_avoids_the_busy_and_the_tried),
        cmocka_unit_test(test_one_death_is_one_failure),
        cmocka_unit_test(test_failures_are_forgiven_soon_at_first),
        cmocka_unit_test(test_weights_of_endpoints),
        cmocka_unit_test(test_weights_save_nobody_who_fails),
        cmocka_unit_test(test_weights_leave_the_others_to_be_balanced),
        cmocka_unit_test(test_who_waits_for_a_connection_counts_once),
        cmocka_unit_test(test_who_is_out_is_not_picked),
        cmocka_unit_test(test_one_pick_tries_it_when_its_time_is_over),
        cmocka_unit_test(test_a_retry_may_use_who_is_out),
        cmocka_unit_test(test_weights_hold_where_one_is_out),
        cmocka_unit_test(test_tried_early_when_the_rest_fails),
        cmocka_unit_test(test_nobody_is_left_out_when_too_few_are_left),
        cmocka_unit_test(test_panic_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
