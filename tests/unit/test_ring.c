/* test_ring.c - a bounded queue between two threads. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <gossamer/alloc.h>
#include <gossamer/ring.h>

#define ITEMS 8
#define MANY 300000

struct item { /* no power of two, so that its place in the ring matters */
    uint32_t number;
    char text[7];
};

static void
it_is_bounded_and_keeps_the_order(void **state)
{
    struct gs_ring *r = gs_ring_new(ITEMS, sizeof(struct item));
    struct item out;

    (void)state;
    for (uint32_t lap = 0; lap < 5; lap++) {
        assert_false(gs_ring_take(r, &out));
        for (uint32_t i = 0; i < ITEMS; i++) {
            assert_true(gs_ring_has_room(r));
            assert_true(gs_ring_put(r, &(struct item){ lap * 100 + i, "text" }));
        }
        assert_false(gs_ring_has_room(r));
        assert_false(gs_ring_put(r, &(struct item){ 0, "none" }));
        for (uint32_t i = 0; i < ITEMS; i++) {
            assert_true(gs_ring_take(r, &out));
            assert_int_equal(out.number, lap * 100 + i);
            assert_string_equal(out.text, "text");
        }
    }
    gs_ring_free(r);
    gs_ring_free(NULL);
}

static void
room_for_one_is_room(void **state)
{
    struct gs_ring *r = gs_ring_new(1, sizeof(void *));
    void *p = r;

    (void)state;
    assert_true(gs_ring_put(r, &p));
    assert_false(gs_ring_put(r, &p));
    p = NULL;
    assert_true(gs_ring_take(r, &p));
    assert_ptr_equal(p, r);
    assert_true(gs_ring_put(r, &p));
    gs_ring_free(r);
}

static void *
produce(void *arg)
{
    struct gs_ring *r = arg;

    for (uint32_t i = 0; i < MANY; i++) {
        uint32_t *made = gs_alloc(sizeof(*made));

        *made = i;
        while (!gs_ring_put(r, &made))
            sched_yield();
    }
    return NULL;
}

/* Given  a producer that outruns a small ring, and what it wrote behind each pointer
 * When   another thread takes
 * Then   everything arrives once, in order, with what was written before the put */
static void
two_threads_share_it(void **state)
{
    struct gs_ring *r = gs_ring_new(ITEMS, sizeof(uint32_t *));
    pthread_t producer;

    (void)state;
    assert_int_equal(pthread_create(&producer, NULL, produce, r), 0);
    for (uint32_t i = 0; i < MANY;) {
        uint32_t *got;

        if (!gs_ring_take(r, &got)) {
            sched_yield();
            continue;
        }
        assert_int_equal(*got, i);
        gs_free(got);
        i++;
    }
    assert_int_equal(pthread_join(producer, NULL), 0);
    gs_ring_free(r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_bounded_and_keeps_the_order),
        cmocka_unit_test(room_for_one_is_room),
        cmocka_unit_test(two_threads_share_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
