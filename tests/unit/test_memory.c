/* test_memory.c - alloc, buf, arena, map: who owns what and what happens at the limits. */
#include "panics.h"

#include <inttypes.h>

#include <gossamer/alloc.h>
#include <gossamer/arena.h>
#include <gossamer/buf.h>
#include <gossamer/map.h>

static void
overflowing_calloc(void)
{
    gs_free(gs_calloc(SIZE_MAX / 2, 4));
}

static void
underflowed_alloc(void)
{
    gs_free(gs_alloc((size_t)-16));
}

static void
test_alloc(void **state)
{
    char *p = gs_strdup("text");
    unsigned char *z = gs_zalloc(32);

    (void)state;
    assert_string_equal(p, "text");
    p = gs_realloc(p, 100);
    assert_string_equal(p, "text");
    for (int i = 0; i < 32; i++)
        assert_int_equal(z[i], 0);
    gs_free(p);
    gs_free(z);
    gs_free(NULL);
    p = gs_alloc(0);
    assert_non_null(p);
    gs_free(p);
    assert_panics(overflowing_calloc, "size overflows");
    assert_panics(underflowed_alloc, "ALLOC_BYTES_MAX");
}

static void
test_buf_grows_to_its_maximum(void **state)
{
    struct gs_buf b;

    (void)state;
    gs_buf_init(&b, 100);
    assert_null(b.ptr);
    for (int i = 0; i < 10; i++)
        assert_int_equal(gs_buf_put(&b, "0123456789", 10), GS_E_OK);
    assert_int_equal(b.len, 100);
    assert_int_equal(strlen(gs_buf_cstr(&b)), 100); /* the NUL needs no room of the maximum */
    assert_false(b.failed);
    assert_int_equal(gs_buf_put(&b, "x", 1), GS_E_LIMIT);
    assert_true(b.failed);
    gs_buf_consume(&b, 50);
    assert_int_equal(gs_buf_put(&b, "x", 1), GS_E_LIMIT); /* sticky: no hole in the text */
    assert_int_equal(b.len, 50);
    gs_buf_clear(&b);
    assert_int_equal(gs_buf_put_str(&b, "again"), GS_E_OK);
    assert_string_equal(gs_buf_cstr(&b), "again");
    gs_buf_fini(&b);
    assert_int_equal(gs_buf_put_str(&b, "after fini"), GS_E_OK);
    gs_buf_fini(&b);
    gs_buf_fini(NULL);
}

static void
test_buf_printf_at_the_edge(void **state)
{
    struct gs_buf b;

    (void)state;
    gs_buf_init(&b, 5);
    assert_int_equal(gs_buf_printf(&b, "%d", 12345), GS_E_OK);
    assert_string_equal(gs_buf_cstr(&b), "12345");
    assert_int_equal(gs_buf_printf(&b, "%s", ""), GS_E_OK);
    assert_int_equal(gs_buf_printf(&b, "%d", 6), GS_E_LIMIT);
    assert_int_equal(b.len, 5);
    gs_buf_fini(&b);
    gs_buf_init(&b, SIZE_MAX / 8);
    assert_string_equal(gs_buf_cstr(&b), ""); /* before anything was put */
    assert_int_equal(gs_buf_put(&b, NULL, 0), GS_E_OK);
    assert_int_equal(gs_buf_put_slice(&b, GS_SLICE("ab")), GS_E_OK);
    gs_buf_consume(&b, 0);
    gs_buf_consume(&b, 1);
    assert_true(gs_slice_eq(gs_buf_slice(&b), GS_SLICE("b")));
    gs_buf_fini(&b);
}

static void
test_buf_reserve(void **state)
{
    struct gs_buf b;
    char *at;

    (void)state;
    gs_buf_init(&b, 1000);
    at = gs_buf_reserve(&b, 600);
    assert_non_null(at);
    memset(at, 'r', 600);
    gs_buf_grew(&b, 400);
    assert_int_equal(b.len, 400);
    assert_non_null(gs_buf_reserve(&b, 600));
    assert_null(gs_buf_reserve(&b, 601));
    assert_true(b.failed);
    gs_buf_fini(&b);
}

static void
test_buf_grows_by_single_bytes(void **state)
{
    struct gs_buf b;

    (void)state;
    gs_buf_init(&b, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        char c = (char)('a' + i % 26);

        assert_int_equal(gs_buf_put(&b, &c, 1), GS_E_OK);
    }
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(b.ptr[i], 'a' + i % 26);
    gs_buf_fini(&b);
}

static void
test_arena(void **state)
{
    _Alignas(16) char own[128];
    struct gs_arena a;
    char *bytes;

    (void)state;
    gs_arena_init(&a, own, sizeof(own), 1024);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 1; i < 200; i++) {
            char *p = gs_arena_alloc(&a, i);

            assert_int_equal((uintptr_t)p % 16, 0);
            memset(p, 0xaa, i);
            bytes = gs_arena_bytes(&a, i % 7 + 1);
            memset(bytes, 0xbb, i % 7 + 1);
        }
        memset(gs_arena_alloc(&a, 5000), 0xcc, 5000); /* larger than a chunk */
        assert_true(a.total > 5000);
        gs_arena_reset(&a);
        assert_int_equal(a.total, 0);
        assert_null(a.chunks);
    }
    assert_int_equal(((char *)gs_arena_zalloc(&a, 64))[63], 0);
    assert_string_equal(gs_arena_strdup(&a, gs_slice("abcdef", 3)), "abc");
    assert_string_equal(gs_arena_strdup(&a, GS_SLICE_NONE), "");
    assert_int_equal(gs_arena_copy(&a, GS_SLICE("a\0b")).len, 3);
    assert_string_equal(gs_arena_printf(&a, "%s-%d", "x", 42), "x-42");
    gs_arena_fini(&a);
    gs_arena_fini(&a); /* a zeroed one is fine */
    gs_arena_fini(NULL);
}

static void
use_arena_without_init(void)
{
    struct gs_arena a = { 0 };

    (void)gs_arena_alloc(&a, 1);
}

static void
test_arena_must_be_initialised(void **state)
{
    (void)state;
    assert_panics(use_arena_without_init, "chunk_bytes > 0");
}

/* Many puts and removes against a plain array: what a set of 500 names says must agree. */
static void
test_map_against_an_array(void **state)
{
    static char names[500][8];
    bool in[500] = { false };
    size_t count = 0;
    struct gs_map m;
    uint32_t step = 1;

    (void)state;
    gs_map_init(&m, 42);
    for (unsigned i = 0; i < 500; i++)
        (void)snprintf(names[i], sizeof(names[i]), "n%u", i);
    for (unsigned round = 0; round < 20000; round++) {
        unsigned i;
        struct gs_slice key;

        step = step * 1664525u + 1013904223u;
        i = (step >> 8) % 500;
        key = gs_slice_str(names[i]);
        assert_ptr_equal(gs_map_find(&m, key), in[i] ? names[i] : NULL);
        if (in[i])
            assert_ptr_equal(gs_map_remove(&m, key), names[i]);
        else
            assert_null(gs_map_put(&m, key, names[i]));
        in[i] = !in[i];
        count += in[i] ? 1 : (size_t)-1;
        assert_int_equal(m.count, count);
    }
    assert_true(m.cap <= 2048); /* deleted cells are swept, not collected */
    gs_map_fini(&m);
}

static void
test_map_basics(void **state)
{
    char first[] = "key";
    char second[] = "key";
    int one, two;
    struct gs_map m;
    void *value;
    size_t at = 0;
    size_t seen = 0;

    (void)state;
    gs_map_init(&m, 7);
    assert_null(gs_map_find(&m, GS_SLICE("key")));
    assert_null(gs_map_remove(&m, GS_SLICE("key")));
    assert_false(gs_map_next(&m, &at, &value));
    assert_null(gs_map_put(&m, gs_slice_str(first), &one));
    assert_ptr_equal(gs_map_put(&m, gs_slice_str(second), &two), &one);
    first[0] = 'x'; /* the key now lives in the second text */
    assert_ptr_equal(gs_map_find(&m, GS_SLICE("key")), &two);
    assert_null(gs_map_put(&m, GS_SLICE_NONE, &one)); /* the empty key is a key */
    assert_ptr_equal(gs_map_find(&m, GS_SLICE("")), &one);
    for (at = 0; gs_map_next(&m, &at, &value); seen++)
        assert_true(value == &one || value == &two);
    assert_int_equal(seen, 2);
    gs_map_fini(&m);
    assert_null(gs_map_find(&m, GS_SLICE("key")));
    gs_map_fini(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_buf_grows_to_its_maximum),
        cmocka_unit_test(test_buf_printf_at_the_edge),
        cmocka_unit_test(test_buf_reserve),
        cmocka_unit_test(test_buf_grows_by_single_bytes),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_arena_must_be_initialised),
        cmocka_unit_test(test_map_against_an_array),
        cmocka_unit_test(test_map_basics),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
