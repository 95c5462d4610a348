/* test_base.c - errors, assertions, state machines, randomness, addresses, lists, histograms. */
#include "panics.h"

#include <netinet/in.h>

#include <gossamer/addr.h>
#include <gossamer/err.h>
#include <gossamer/fsm.h>
#include <gossamer/hist.h>
#include <gossamer/list.h>
#include <gossamer/rng.h>

static void
test_err(void **state)
{
    struct gs_why why = { "" };
    char long_text[400];

    (void)state;
    assert_string_equal(gs_err_name(GS_E_OK), "OK");
    assert_string_equal(gs_err_name(GS_E_LIMIT), "LIMIT");
    assert_string_equal(gs_err_name(GS_E_BUG), "BUG");
    assert_int_equal(gs_err_fault(GS_E_MALFORMED), GS_FAULT_PEER);
    assert_int_equal(gs_err_fault(GS_E_INVALID), GS_FAULT_OPERATOR);
    assert_string_equal(gs_err_name(GS_E_BUG - 1), "BUG"); /* not of the table */
    assert_int_equal(gs_err_fault(3), GS_FAULT_BUG);
    assert_true(strlen(gs_err_text(GS_E_TIMEOUT)) > 0);
    assert_int_equal(gs_refuse(&why, GS_E_IN_USE, "port %d", 80), GS_E_IN_USE);
    assert_string_equal(why.text, "port 80");
    assert_int_equal(gs_refuse(NULL, GS_E_IO, "nobody asks"), GS_E_IO);
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    assert_int_equal(gs_refuse(&why, GS_E_IO, "%s", long_text), GS_E_IO);
    assert_int_equal(strlen(why.text), sizeof(why.text) - 1);
}

enum { DOOR_OPEN, DOOR_CLOSED, DOOR_LOCKED };
static const char *const door_states[] = { "OPEN", "CLOSED", "LOCKED" };
static const uint32_t door_moves[] = {
    [DOOR_OPEN] = GS_FSM_BIT(DOOR_CLOSED),
    [DOOR_CLOSED] = GS_FSM_BIT(DOOR_OPEN) | GS_FSM_BIT(DOOR_LOCKED),
    [DOOR_LOCKED] = GS_FSM_BIT(DOOR_CLOSED),
};
static const struct gs_fsm_def door = { "door", door_states, door_moves, 3 };

static void
move_to_a_state_that_is_none(void)
{
    struct gs_fsm f;

    gs_fsm_init(&f, &door, DOOR_OPEN);
    gs_fsm_move(&f, 3);
}

static void
forbidden_move_after_many(void)
{
    struct gs_fsm f;

    gs_fsm_init(&f, &door, DOOR_OPEN);
    for (int i = 0; i < 1000; i++)
        gs_fsm_move(&f, i % 2 ? DOOR_OPEN : DOOR_CLOSED);
    gs_fsm_move(&f, DOOR_LOCKED); /* an open door cannot be locked */
}

static void
test_fsm(void **state)
{
    struct gs_fsm f;

    (void)state;
    gs_fsm_init(&f, &door, DOOR_OPEN);
    assert_true(gs_fsm_is(&f, DOOR_OPEN));
    gs_fsm_move(&f, DOOR_CLOSED);
    gs_fsm_move(&f, DOOR_LOCKED);
    assert_string_equal(gs_fsm_name(&f), "LOCKED");
    assert_panics(move_to_a_state_that_is_none, "to < f->def->count");
}

/* The report of a crash names the condition and, as its last move, the one that was refused. */
static void
test_panic_shows_the_moves(void **state)
{
    (void)state;
    assert_panics(forbidden_move_after_many, "OPEN -> LOCKED\nbacktrace:");
    assert_panics(forbidden_move_after_many, "moves[f->state] & GS_FSM_BIT(to)");
}

static void
test_rng(void **state)
{
    struct gs_rng a, b;
    unsigned seen[7] = { 0 };

    (void)state;
    gs_rng_init(&a, 1);
    gs_rng_init(&b, 1);
    for (int i = 0; i < 100; i++)
        assert_true(gs_rng_next(&a) == gs_rng_next(&b));
    gs_rng_init(&b, 2);
    assert_true(gs_rng_next(&a) != gs_rng_next(&b));
    for (int i = 0; i < 70000; i++) {
        uint32_t v = gs_rng_below(&a, 7);

        assert_true(v < 7);
        seen[v]++;
    }
    for (int i = 0; i < 7; i++) /* the seed is fixed; 5 standard deviations are 463 */
        assert_in_range(seen[i], 9500, 10500);
    assert_int_equal(gs_rng_below(&a, 1), 0);
    assert_true(gs_rng_below(&a, UINT32_MAX) < UINT32_MAX);
    assert_true(gs_rng_seed_from_system() != gs_rng_seed_from_system());
    gs_random_bytes(NULL, 0);
}

/* The first outputs for the state 1, 2, 3, 4, as every implementation of xoshiro256** gives. */
static void
test_rng_reference(void **state)
{
    static const uint64_t expected[] = {
        UINT64_C(11520),
        UINT64_C(0),
        UINT64_C(1509978240),
        UINT64_C(1215971899390074240),
    };
    struct gs_rng r = { { 1, 2, 3, 4 } };

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        assert_true(gs_rng_next(&r) == expected[i]);
}

static void
test_addr_text(void **state)
{
    static const struct {
        const char *in, *out; /* out NULL: refused */
    } rows[] = {
        { "1.2.3.4:80", "1.2.3.4:80" },
        { "0.0.0.0:0", "0.0.0.0:0" },
        { "*:4143", "0.0.0.0:4143" },
        { "[::1]:65535", "[::1]:65535" },
        { "[2001:DB8:0:0::1]:80", "[2001:db8::1]:80" },
        { "[::ffff:1.2.3.4]:80", "[::ffff:1.2.3.4]:80" },
        { "1.2.3.4", NULL },
        { "1.2.3.4:", NULL },
        { "1.2.3.4:65536", NULL },
        { "1.2.3.4:-1", NULL },
        { "1.2.3.4:000080", NULL },
        { "1.2.3:80", NULL },
        { "1.2.3.04:80", NULL },
        { "01.2.3.4:80", NULL },
        { "localhost:80", NULL },
        { "::1:80", NULL },
        { "[::1]80", NULL },
        { "[::1:80", NULL },
        { "[1.2.3.4]:80", NULL },
        { "[]:80", NULL },
        { "[fe80::1%eth0]:80", NULL },
        { ":80", NULL },
        { "", NULL },
        { " 1.2.3.4:80", NULL },
    };
    char text[GS_ADDR_TEXT];
    struct gs_addr a;
    struct gs_why why;

    (void)state;
    for (size_t i = 0; i < GS_COUNT(rows); i++) {
        gs_err e = gs_addr_parse(&a, gs_slice_str(rows[i].in), &why);

        if (!rows[i].out) {
            assert_int_equal(e, GS_E_INVALID);
            assert_true(strlen(why.text) > 0);
            continue;
        }
        assert_int_equal(e, GS_E_OK);
        assert_string_equal(gs_addr_text(&a, text), rows[i].out);
    }
    assert_int_equal(gs_addr_parse(&a, gs_slice("1.2.3.4\0:80", 11), NULL), GS_E_INVALID);
    a = (struct gs_addr){ 0 };
    assert_string_equal(gs_addr_text(&a, text), "-");
}

static void
test_addr_sockaddr(void **state)
{
    struct sockaddr_storage ss;
    struct gs_addr a, b;

    (void)state;
    assert_int_equal(gs_addr_parse(&a, GS_SLICE("10.1.2.3:8080"), NULL), GS_E_OK);
    assert_int_equal(gs_addr_to_sockaddr(&a, &ss), sizeof(struct sockaddr_in));
    assert_int_equal(gs_addr_from_sockaddr(&b, (struct sockaddr *)&ss), GS_E_OK);
    assert_true(gs_addr_eq(&a, &b));
    b.port++;
    assert_false(gs_addr_eq(&a, &b));
    assert_int_equal(gs_addr_parse(&b, GS_SLICE("[2001:db8::7]:8080"), NULL), GS_E_OK);
    assert_false(gs_addr_eq(&a, &b));
    assert_int_equal(gs_addr_to_sockaddr(&b, &ss), sizeof(struct sockaddr_in6));
    assert_int_equal(gs_addr_from_sockaddr(&a, (struct sockaddr *)&ss), GS_E_OK);
    assert_true(gs_addr_eq(&a, &b));
    /* one host, one address: IPv4 seen through an IPv6 socket is IPv4 */
    assert_int_equal(gs_addr_parse(&b, GS_SLICE("[::ffff:10.1.2.3]:8080"), NULL), GS_E_OK);
    (void)gs_addr_to_sockaddr(&b, &ss);
    assert_int_equal(gs_addr_from_sockaddr(&a, (struct sockaddr *)&ss), GS_E_OK);
    assert_int_equal(a.family, 4);
    ss.ss_family = AF_UNIX;
    assert_int_equal(gs_addr_from_sockaddr(&a, (struct sockaddr *)&ss), GS_E_INVALID);
}

struct item {
    int number;
    struct gs_list link;
};

static void
test_list(void **state)
{
    struct gs_list l, other;
    struct item items[4];
    int expected = 0;

    (void)state;
    gs_list_init(&l);
    gs_list_init(&other);
    assert_true(gs_list_empty(&l));
    assert_null(gs_list_pop_front(&l));
    for (int i = 0; i < 4; i++) {
        items[i].number = i;
        gs_list_init(&items[i].link);
        assert_false(gs_list_linked(&items[i].link));
        gs_list_push_back(i < 2 ? &l : &other, &items[i].link);
    }
    gs_list_splice(&l, &other);
    assert_true(gs_list_empty(&other));
    gs_list_splice(&l, &other);
    GS_LIST_EACH(pos, &l)
        assert_int_equal(GS_LIST_ENTRY(pos, struct item, link)->number, expected++);
    assert_int_equal(expected, 4);
    GS_LIST_EACH_SAFE(pos, &l) {
        if (GS_LIST_ENTRY(pos, struct item, link)->number % 2)
            gs_list_remove(pos);
    }
    gs_list_remove(&items[1].link); /* unlinked already */
    gs_list_push_front(&l, &items[3].link);
    assert_ptr_equal(gs_list_pop_front(&l), &items[3].link);
    assert_ptr_equal(gs_list_pop_front(&l), &items[0].link);
    assert_ptr_equal(gs_list_pop_front(&l), &items[2].link);
    assert_true(gs_list_empty(&l));
}

static void
test_hist_buckets(void **state)
{
    (void)state;
    for (uint64_t us = 0; us < (UINT64_C(1) << 30); us += us / 100 + 1) {
        unsigned index = gs_hist_index(us);
        uint64_t upper = gs_hist_upper_us(index);

        assert_true(us <= upper);
        assert_true(index == 0 || us > gs_hist_upper_us(index - 1));
        if (index < HIST_BUCKETS - 1)
            assert_true(upper - us <= us / 8); /* the promised 12.5 % */
    }
    for (unsigned i = 0; i < HIST_BUCKETS - 1; i++) {
        assert_int_equal(gs_hist_index(gs_hist_upper_us(i)), i);
        assert_int_equal(gs_hist_index(gs_hist_upper_us(i) + 1), i + 1);
    }
    assert_int_equal(gs_hist_index(UINT64_MAX), HIST_BUCKETS - 1);
}

static void
test_hist_quantiles(void **state)
{
    static struct gs_hist h;
    struct gs_hist_sum s = { { 0 }, 0, 0 };
    uint64_t median;

    (void)state;
    assert_int_equal(gs_hist_quantile_us(&s, 0.5), 0);
    for (uint64_t i = 1; i <= 1000; i++)
        gs_hist_add(&h, i * 100);
    gs_hist_sum_add(&s, &h);
    assert_int_equal(s.count, 1000);
    assert_int_equal(s.sum_us, 50050000);
    median = gs_hist_quantile_us(&s, 0.5);
    assert_in_range(median, 50000, 56250);
    assert_in_range(gs_hist_quantile_us(&s, 0.0), 100, 112);
    assert_in_range(gs_hist_quantile_us(&s, 1.0), 100000, 112500);
    gs_hist_sum_add(&s, &h); /* two workers of the same kind: the same quantile */
    assert_int_equal(s.count, 2000);
    assert_int_equal(gs_hist_quantile_us(&s, 0.5), median);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err),
        cmocka_unit_test(test_fsm),
        cmocka_unit_test(test_panic_shows_the_moves),
        cmocka_unit_test(test_rng),
        cmocka_unit_test(test_rng_reference),
        cmocka_unit_test(test_addr_text),
        cmocka_unit_test(test_addr_sockaddr),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_hist_buckets),
        cmocka_unit_test(test_hist_quantiles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
