/* test_frozen.c - what the store held at one moment, read later and elsewhere. */
#include <pthread.h>

#include "nodes.h"

/* All frames, each with its kind and length before it. */
static void
list_live(const struct gossip *g, struct gs_buf *out)
{
    struct gossip_cursor cursor = { 0 };
    struct gossip_frame f;

    while (gossip_next_frame(g, &cursor, &f)) {
        (void)gs_buf_printf(out, "%u:%zu:", f.kind, f.bytes.len);
        (void)gs_buf_put_slice(out, f.bytes);
    }
}

static void
list_frozen(const struct gossip_frozen *frozen, struct gs_buf *out)
{
    struct gossip_frame f;

    for (size_t at = 0; gossip_frozen_next(frozen, &at, &f);) {
        (void)gs_buf_printf(out, "%u:%zu:", f.kind, f.bytes.len);
        (void)gs_buf_put_slice(out, f.bytes);
    }
}

static struct gossip *
filled(void)
{
    struct gossip *g = node_new(1);

    (void)put(g, WALL, "k", "one");
    (void)put(g, WALL, "k", "two"); /* one former version */
    (void)put(g, WALL, "l", "three");
    (void)put(g, WALL, "l", NULL);
    put_pair(g, WALL, "both");
    return g;
}

/* Given  a store with former versions, a tombstone and a transaction
 * When   it is frozen, goes on changing, and is freed
 * Then   the frozen one still gives, byte for byte, what the file would have held then */
static void
it_does_not_change(void **state)
{
    struct gossip *g = filled();
    struct gossip_frozen *frozen;
    struct gs_buf before, after;

    (void)state;
    gs_buf_init(&before, 1 << 20);
    gs_buf_init(&after, 1 << 20);
    list_live(g, &before);
    assert_true(before.len > 0);
    frozen = gossip_freeze(g);
    for (unsigned i = 0; i < 3 * RECORD_HISTORY_MAX; i++)
        (void)put(g, WALL + i, "k", i % 2 ? "x" : "y"); /* the old ones leave the history */
    gossip_free(g);
    list_frozen(frozen, &after);
    assert_int_equal(after.len, before.len);
    assert_memory_equal(after.ptr, before.ptr, before.len);
    gossip_frozen_free(frozen);
    gossip_frozen_free(NULL);
    gs_buf_fini(&before);
    gs_buf_fini(&after);
}

static void
it_holds_the_floor(void **state)
{
    static const char floor[8] = { 1, 2, 3, 4, 5, 6, 0, 0 };
    struct gossip *g = node_new(1);
    struct gossip_frozen *frozen;
    struct gossip_frame f;
    size_t at = 0;

    (void)state;
    assert_int_equal(gossip_restore(g, 0, WALL, GOSSIP_FRAME_FLOOR, gs_slice(floor, 8), NULL),
                     GS_E_OK);
    frozen = gossip_freeze(g);
    gossip_free(g);
    assert_true(gossip_frozen_next(frozen, &at, &f));
    assert_int_equal(f.kind, GOSSIP_FRAME_FLOOR);
    assert_int_equal(f.bytes.len, sizeof(floor));
    assert_memory_equal(f.bytes.ptr, floor, sizeof(floor));
    assert_false(gossip_frozen_next(frozen, &at, &f));
    gossip_frozen_free(frozen);
}

static void *
read_and_free(void *arg)
{
    struct gs_buf out;

    gs_buf_init(&out, 1 << 20);
    list_frozen(arg, &out);
    gossip_frozen_free(arg);
    gs_buf_fini(&out);
    return NULL;
}

/* The counts of versions are what both threads touch: for ThreadSanitizer. */
static void
another_thread_may_read_and_free_it(void **state)
{
    struct gossip *g = filled();

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        pthread_t reader;

        assert_int_equal(pthread_create(&reader, NULL, read_and_free, gossip_freeze(g)), 0);
        for (unsigned k = 0; k < 20; k++)
            (void)put(g, WALL + i, "k", k % 2 ? "x" : "y");
        assert_int_equal(pthread_join(reader, NULL), 0);
    }
    gossip_free(g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_does_not_change),
        cmocka_unit_test(it_holds_the_floor),
        cmocka_unit_test(another_thread_may_read_and_free_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
