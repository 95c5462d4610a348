/* test_forgotten.c - who was dropped is remembered for a time; of too many the oldest goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <gossamer/limits.h>

#include "gossip/forgotten.h"

#define UNTIL_MS 1000

static struct gs_id
id_of(uint32_t n)
{
    struct gs_id id = { { 0 } };

    memcpy(id.bytes, &n, sizeof(n));
    return id;
}

static void
put(struct forgotten *f, uint32_t n, uint64_t boot, uint64_t until_ms)
{
    struct gs_id id = id_of(n);

    forgotten_put(f, &id, boot, until_ms);
}

static bool
has(const struct forgotten *f, uint64_t now_ms, uint32_t n, uint64_t boot)
{
    struct gs_id id = id_of(n);

    return forgotten_has(f, now_ms, &id, boot);
}

/* A later life is another matter, and what was said last counts. */
static void
a_boot_and_those_before_are_forgotten(void **state)
{
    struct forgotten f;
    struct gs_id one = id_of(1);

    (void)state;
    forgotten_init(&f, 7);
    put(&f, 1, 5, UNTIL_MS);
    assert_true(has(&f, 0, 1, 5));
    assert_true(has(&f, 0, 1, 4));
    assert_false(has(&f, 0, 1, 6));
    assert_false(has(&f, 0, 2, 5));
    put(&f, 1, 9, UNTIL_MS + 1);
    assert_int_equal(f.count, 1);
    assert_true(has(&f, UNTIL_MS, 1, 9));
    forgotten_remove(&f, &one);
    forgotten_remove(&f, &one);
    assert_false(has(&f, 0, 1, 9));
    forgotten_check(&f);
    forgotten_fini(&f);
}

static void
each_goes_when_its_time_is_over(void **state)
{
    struct forgotten f;

    (void)state;
    forgotten_init(&f, 7);
    for (uint32_t n = 0; n < 10; n++)
        put(&f, n, 1, UNTIL_MS + n);
    assert_false(has(&f, UNTIL_MS, 0, 1)); /* though no tick has come */
    forgotten_tick(&f, UNTIL_MS + 4);
    forgotten_check(&f);
    assert_int_equal(f.count, 5);
    for (uint32_t n = 0; n < 10; n++)
        assert_int_equal(has(&f, 0, n, 1), n > 4);
    forgotten_tick(&f, UNTIL_MS + 9);
    assert_int_equal(f.count, 0);
    forgotten_check(&f);
    forgotten_fini(&f);
}

/* Given  as many as there may be
 * When   more are dropped, one of them named already
 * Then   that one becomes the youngest, and each other one takes the place of the oldest */
static void
of_too_many_the_oldest_goes(void **state)
{
    const uint32_t max = FORGOTTEN_MAX;
    struct forgotten f;

    (void)state;
    forgotten_init(&f, 7);
    for (uint32_t n = 0; n < max; n++)
        put(&f, n, 1, UNTIL_MS);
    assert_int_equal(f.count, max);
    for (uint32_t n = 0; n < max; n++)
        assert_true(has(&f, 0, n, 1));
    put(&f, 0, 2, UNTIL_MS + 1); /* the oldest, once more */
    assert_int_equal(f.count, max);
    assert_true(has(&f, 0, 1, 1));
    for (uint32_t n = 0; n < 3; n++) {
        put(&f, max + n, 1, UNTIL_MS + 1);
        assert_int_equal(f.count, max);
        assert_true(has(&f, 0, max + n, 1));
        assert_false(has(&f, 0, n + 1, 1));
        assert_true(has(&f, 0, n + 2, 1));
    }
    assert_true(has(&f, 0, 0, 2));
    forgotten_check(&f);
    forgotten_tick(&f, UNTIL_MS);
    assert_int_equal(f.count, 4);
    forgotten_check(&f);
    forgotten_fini(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_boot_and_those_before_are_forgotten),
        cmocka_unit_test(each_goes_when_its_time_is_over),
        cmocka_unit_test(of_too_many_the_oldest_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
