/* test_slice.c - comparing, cutting, numbers, edit distance, and the two hashes by their
 * published vectors. */
#include "panics.h"

#include <gossamer/check.h>
#include <gossamer/slice.h>

static void
test_compare(void **state)
{
    (void)state;
    assert_true(gs_slice_eq(GS_SLICE("ab"), GS_SLICE("ab")));
    assert_false(gs_slice_eq(GS_SLICE("ab"), GS_SLICE("aB")));
    assert_true(gs_slice_eq(GS_SLICE_NONE, GS_SLICE("")));
    assert_true(gs_slice_eq_nocase(GS_SLICE("Content-LENGTH"), GS_SLICE("content-length")));
    assert_false(gs_slice_eq_nocase(GS_SLICE("[a"), GS_SLICE("{a"))); /* differ by the case bit */
    assert_true(gs_slice_starts(GS_SLICE("abc"), GS_SLICE("ab")));
    assert_true(gs_slice_starts(GS_SLICE("abc"), GS_SLICE("")));
    assert_false(gs_slice_starts(GS_SLICE("a"), GS_SLICE("ab")));
    assert_true(gs_slice_ends(GS_SLICE("abc"), GS_SLICE("bc")));
    assert_false(gs_slice_ends(GS_SLICE("c"), GS_SLICE("bc")));
    assert_true(gs_slice_cmp(GS_SLICE("a"), GS_SLICE("ab")) < 0);
    assert_true(gs_slice_cmp(GS_SLICE("b"), GS_SLICE("ab")) > 0);
    assert_int_equal(gs_slice_cmp(GS_SLICE_NONE, GS_SLICE("")), 0);
    assert_true(gs_slice_cmp(GS_SLICE("\xff"), GS_SLICE("a")) > 0); /* bytes are unsigned */
}

static void
test_find_and_trim(void **state)
{
    (void)state;
    assert_int_equal(gs_slice_find(GS_SLICE("a.b.c"), '.'), 1);
    assert_int_equal(gs_slice_rfind(GS_SLICE("a.b.c"), '.'), 3);
    assert_int_equal(gs_slice_find(GS_SLICE("abc"), '.'), -1);
    assert_int_equal(gs_slice_rfind(GS_SLICE_NONE, '.'), -1);
    assert_true(gs_slice_eq(gs_slice_trim(GS_SLICE(" \t a b\t ")), GS_SLICE("a b")));
    assert_int_equal(gs_slice_trim(GS_SLICE(" \t ")).len, 0);
    assert_true(gs_slice_eq(gs_slice_trim(GS_SLICE("\r\n")), GS_SLICE("\r\n")));
}

static void
test_cut(void **state)
{
    struct gs_slice rest = GS_SLICE("a,,b,");
    struct gs_slice part;

    (void)state;
    assert_true(gs_slice_cut(&rest, ',', &part));
    assert_true(gs_slice_eq(part, GS_SLICE("a")));
    assert_true(gs_slice_cut(&rest, ',', &part));
    assert_int_equal(part.len, 0);
    assert_true(gs_slice_cut(&rest, ',', &part));
    assert_true(gs_slice_eq(part, GS_SLICE("b")));
    assert_true(gs_slice_cut(&rest, ',', &part)); /* what stands behind the last separator */
    assert_int_equal(part.len, 0);
    assert_false(gs_slice_cut(&rest, ',', &part));
    assert_null(rest.ptr);
    rest = GS_SLICE("");
    assert_true(gs_slice_cut(&rest, ',', &part)); /* one empty part, as splitting goes */
    assert_false(gs_slice_cut(&rest, ',', &part));
}

static void
test_to_u64(void **state)
{
    uint64_t v = 7;

    (void)state;
    assert_true(gs_slice_to_u64(GS_SLICE("18446744073709551615"), &v));
    assert_true(v == UINT64_MAX);
    v = 7;
    assert_false(gs_slice_to_u64(GS_SLICE("18446744073709551616"), &v));
    assert_false(gs_slice_to_u64(GS_SLICE("184467440737095516150"), &v));
    assert_false(gs_slice_to_u64(GS_SLICE(""), &v));
    assert_false(gs_slice_to_u64(GS_SLICE("+1"), &v));
    assert_false(gs_slice_to_u64(GS_SLICE("1 "), &v));
    assert_false(gs_slice_to_u64(GS_SLICE("0x1"), &v));
    assert_true(v == 7); /* written only on success */
    assert_true(gs_slice_to_u64(GS_SLICE("0010"), &v));
    assert_true(v == 10);
}

static void
test_distance(void **state)
{
    static const struct {
        const char *a, *b;
        unsigned cap, distance;
    } rows[] = {
        { "gossip", "gossip", 2, 0 },
        { "gosip", "gossip", 2, 1 },
        { "gossip", "gosssip", 2, 1 },
        { "gossip", "gissop", 2, 2 },
        { "gsosip", "gossip", 2, 1 },
        { "", "ab", 2, 2 },
        { "ab", "", 1, 2 },
        { "kitten", "sitting", 5, 3 },
        { "kitten", "sitting", 2, 3 },
        { "ca", "abc", 5, 3 },
        { "abcdef", "badcfe", 5, 3 },
        { "", "", 0, 0 },
        { "abcdef", "badcfe", 2, 3 },
        { "a", "b", 0, 1 },
        { "xaybzc", "abc", 9, 3 },
    };
    char longer[300];

    (void)state;
    for (size_t i = 0; i < GS_COUNT(rows); i++) {
        struct gs_slice a = gs_slice_str(rows[i].a);
        struct gs_slice b = gs_slice_str(rows[i].b);

        assert_int_equal(gs_slice_distance(a, b, rows[i].cap), rows[i].distance);
        assert_int_equal(gs_slice_distance(b, a, rows[i].cap), rows[i].distance);
    }
    memset(longer, 'a', sizeof(longer));
    assert_int_equal(gs_slice_distance(gs_slice(longer, 300), gs_slice(longer, 300), 2), 0);
    assert_int_equal(gs_slice_distance(gs_slice(longer, 300), gs_slice(longer, 299), 2), 3);
}

/* The SipHash-1-3 vectors of the Rust library: key 00 .. 0f, message of n bytes 00, 01, ... */
static void
test_siphash_vectors(void **state)
{
    static const struct {
        size_t len;
        uint64_t hash;
    } rows[] = {
        { 0, UINT64_C(0xabac0158050fc4dc) },  { 1, UINT64_C(0xc9f49bf37d57ca93) },
        { 2, UINT64_C(0x82cb9b024dc7d44d) },  { 3, UINT64_C(0x8bf80ab8e7ddf7fb) },
        { 7, UINT64_C(0xd3927d989bb11140) },  { 8, UINT64_C(0x369095118d299a8e) },
        { 9, UINT64_C(0x25a48eb36c063de4) },  { 15, UINT64_C(0xd320d86d2a519956) },
        { 16, UINT64_C(0xcc4fdd1a7d908b66) }, { 31, UINT64_C(0x2370dd1f8c21d1bc) },
        { 63, UINT64_C(0x9d199062b7bbb3a8) },
    };
    unsigned char message[64];

    (void)state;
    for (size_t i = 0; i < sizeof(message); i++)
        message[i] = (unsigned char)i;
    for (size_t i = 0; i < GS_COUNT(rows); i++)
        assert_true(gs_hash(message, rows[i].len, UINT64_C(0x0706050403020100)) == rows[i].hash);
    assert_true(gs_hash(NULL, 0, 1) != gs_hash(NULL, 0, 2));
}

/* RFC 3720 B.4, and that pieces add up at every split whatever the alignment. */
static void
test_crc32c(void **state)
{
    unsigned char bytes[64];

    (void)state;
    memset(bytes, 0, 32);
    assert_int_equal(gs_crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(gs_crc32c(0, bytes, 32), 0x62a8ab43);
    for (unsigned i = 0; i < 32; i++)
        bytes[i] = (unsigned char)i;
    assert_int_equal(gs_crc32c(0, bytes, 32), 0x46dd794e);
    assert_int_equal(gs_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(gs_crc32c(0, NULL, 0), 0);
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 37);
    for (size_t i = 0; i <= sizeof(bytes); i++) {
        uint32_t first = gs_crc32c(0, bytes, i);

        assert_int_equal(gs_crc32c(first, bytes + i, sizeof(bytes) - i),
                         gs_crc32c(0, bytes, sizeof(bytes)));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare),  cmocka_unit_test(test_find_and_trim),
        cmocka_unit_test(test_cut),      cmocka_unit_test(test_to_u64),
        cmocka_unit_test(test_distance), cmocka_unit_test(test_siphash_vectors),
        cmocka_unit_test(test_crc32c),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
