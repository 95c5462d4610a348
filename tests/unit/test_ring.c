/* test_ring.c - a bounded queue between two threads. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include <gossamer/alloc.h>
#include <gossamer/ring.h>

#define ITEMS 8
#define MANY 300000
#define MANY_LEAST 1000
#define LONG_ENOUGH_S                                                                              \
    5 /* a full or empty ring costs a turn on a processor, of which there may be few */

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

struct shared {
    struct gs_ring *r;
    atomic_bool enough; /* the producer makes no more */
    atomic_bool over;   /* nor will it */
    uint32_t made;
};

static void *
produce(void *arg)
{
    struct shared *s = arg;

    for (; s->made < MANY && !atomic_load(&s->enough); s->made++) {
        uint32_t *made = gs_alloc(sizeof(*made));

        *made = s->made;
        while (!gs_ring_put(s->r, &made))
            sched_yield();
    }
    atomic_store(&s->over, true);
    return NULL;
}

static bool
is_long_enough(const struct timespec *began)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec - began->tv_sec > LONG_ENOUGH_S;
}

/* Given  a producer that outruns a small ring, and what it wrote behind each pointer
 * When   another thread takes
 * Then   everything arrives once, in order, with what was written before the put */
static void
two_threads_share_it(void **state)
{
    struct shared s = { .r = gs_ring_new(ITEMS, sizeof(uint32_t *)) };
    struct timespec began;
    uint32_t taken = 0, *got;
    pthread_t producer;

    (void)state;
    (void)clock_gettime(CLOCK_MONOTONIC, &began);
    assert_int_equal(pthread_create(&producer, NULL, produce, &s), 0);
    for (;;) {
        bool over = atomic_load(&s.over); /* before the look: what is made by then is in there */

        if (gs_ring_take(s.r, &got)) {
            assert_int_equal(*got, taken++);
            gs_free(got);
        } else if (over) {
            break;
        } else {
            if (taken >= MANY_LEAST && is_long_enough(&began))
                atomic_store(&s.enough, true);
            sched_yield();
        }
    }
    assert_int_equal(pthread_join(producer, NULL), 0);
    assert_int_equal(taken, s.made);
    assert_true(taken >= MANY_LEAST);
    gs_ring_free(s.r);
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
