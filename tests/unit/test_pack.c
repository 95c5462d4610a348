/* test_pack.c - versions as text, and the scan that stands before every msgpack decoder. */
#include <gossamer/pack.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <gossamer/version.h>

#define BYTES(lit)                                                                                 \
    {                                                                                              \
        "" lit, sizeof(lit) - 1                                                                    \
    }

static gs_err
check(struct gs_slice bytes)
{
    return gs_pack_check(bytes, 4, 100);
}

static void
canonical_values_pass(void **state)
{
    static const struct gs_slice good[] = {
        BYTES("\x00"),
        BYTES("\x7f"),
        BYTES("\xe0"),
        BYTES("\xc0"),
        BYTES("\xc2"),
        BYTES("\xcc\x80"),
        BYTES("\xcd\x01\x00"),
        BYTES("\xce\x00\x01\x00\x00"),
        BYTES("\xcf\x00\x00\x00\x01\x00\x00\x00\x00"),
        BYTES("\xd0\xdf"),
        BYTES("\xd1\xff\x7f"),
        BYTES("\xa3"
              "abc"),
        BYTES("\xc4\x00"),
        BYTES("\x80"),
        BYTES("\x90"),
        BYTES("\x92\x01\x92\x02\x03"),
        BYTES("\x82\x01\x02\x05\xa1x"),
        BYTES("\x82\x7f\x02\xcc\x80\x90"),
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(good); i++)
        assert_int_equal(check(good[i]), GS_E_OK);
}

static void
other_values_do_not(void **state)
{
    static const struct gs_slice bad[] = {
        BYTES(""),
        BYTES("\x00\x00"),                             /* something behind it */
        BYTES("\xcc\x7f"),                             /* longer than need be */
        BYTES("\xcd\x00\xff"),                         /* likewise */
        BYTES("\xce\x00\x00\xff\xff"),                 /* likewise */
        BYTES("\xcf\x00\x00\x00\x00\xff\xff\xff\xff"), /* likewise */
        BYTES("\xd0\xe0"),                             /* likewise, negative */
        BYTES("\xd0\x05"),                             /* signed, but not negative */
        BYTES("\xd1\xff\x80"),                         /* longer than need be */
        BYTES("\xd9\x01x"),                            /* likewise, text */
        BYTES("\xc5\x00\x01x"),                        /* likewise, bytes */
        BYTES("\xdc\x00\x01\x01"),                     /* likewise, list */
        BYTES("\xca\x00\x00\x00\x00"),                 /* float */
        BYTES("\xcb\x00\x00\x00\x00\x00\x00\x00\x00"), /* double */
        BYTES("\xd4\x01\x00"),                         /* extension */
        BYTES("\xc1"),                                 /* never used */
        BYTES("\xa3xy"),                               /* cut */
        BYTES("\xc4\x05xy"),                           /* cut */
        BYTES("\x92\x01"),                             /* cut */
        BYTES("\xdd\x04\x00\x00\x00"),                 /* six bytes that ask for 1.6 GB */
        BYTES("\xdf\xff\xff\xff\xff"),                 /* likewise, a map */
        BYTES("\x81\xa1x\x01"),                        /* key is text */
        BYTES("\x81\xff\x01"),                         /* key is negative */
        BYTES("\x82\x02\x00\x01\x00"),                 /* keys out of order */
        BYTES("\x82\x01\x00\x01\x00"),                 /* a key twice */
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(bad); i++)
        assert_int_equal(check(bad[i]), GS_E_MALFORMED);
}

static void
depth_and_number_are_capped(void **state)
{
    (void)state;
    assert_int_equal(gs_pack_check(GS_SLICE("\x91\x91\x91\x91\x00"), 4, 100), GS_E_OK);
    assert_int_equal(gs_pack_check(GS_SLICE("\x91\x91\x91\x91\x91\x00"), 4, 100), GS_E_LIMIT);
    assert_int_equal(gs_pack_check(GS_SLICE("\x93\x00\x00\x00"), 4, 4), GS_E_OK);
    assert_int_equal(gs_pack_check(GS_SLICE("\x93\x00\x00\x00"), 4, 3), GS_E_LIMIT);
}

static void
versions_are_text_and_back(void **state)
{
    static const char text[] = "3.0192f3a1b2c40001.9f8e7d6c5b4a39281706f5e4d3c2b1a0";
    char out[GS_VERSION_TEXT];
    struct gs_version v;

    (void)state;
    assert_int_equal(gs_version_parse(&v, GS_SLICE("3.0192f3a1b2c40001.9f8e7d6c5b4a3928"
                                                   "1706f5e4d3c2b1a0")),
                     GS_E_OK);
    assert_int_equal(v.generation, 3);
    assert_int_equal(v.hlc, UINT64_C(0x0192f3a1b2c40001));
    assert_string_equal(gs_version_text(&v, out), text);
    v.generation = UINT64_MAX;
    assert_int_equal(gs_version_parse(&v, gs_slice_str(gs_version_text(&v, out))), GS_E_OK);
    assert_int_equal(v.generation, UINT64_MAX);
}

static void
other_spellings_are_no_versions(void **state)
{
    static const char *const bad[] = {
        "",
        "3",
        "3.0192f3a1b2c40001",
        "03.0192f3a1b2c40001.9f8e7d6c5b4a39281706f5e4d3c2b1a0",
        "+3.0192f3a1b2c40001.9f8e7d6c5b4a39281706f5e4d3c2b1a0",
        "3.192f3a1b2c40001.9f8e7d6c5b4a39281706f5e4d3c2b1a0",
        "3.0192F3A1B2C40001.9f8e7d6c5b4a39281706f5e4d3c2b1a0",
        "3.0192f3a1b2c40001.9f8e7d6c5b4a39281706f5e4d3c2b1a",
        "3.0192f3a1b2c40001.9f8e7d6c5b4a39281706f5e4d3c2b1a0.1",
        "99999999999999999999.0192f3a1b2c40001.9f8e7d6c5b4a39281706f5e4d3c2b1a0",
    };
    struct gs_version v;

    (void)state;
    for (size_t i = 0; i < GS_COUNT(bad); i++)
        assert_int_equal(gs_version_parse(&v, gs_slice_str(bad[i])), GS_E_MALFORMED);
}

static void
generation_counts_before_clock_before_writer(void **state)
{
    struct gs_version a = { 2, 1, { { 1 } } };
    struct gs_version b = { 1, 9, { { 9 } } };
    struct gs_version c = { 2, 2, { { 0 } } };
    struct gs_version d = { 2, 1, { { 2 } } };

    (void)state;
    assert_true(gs_version_cmp(&a, &b) > 0);
    assert_true(gs_version_cmp(&c, &a) > 0);
    assert_true(gs_version_cmp(&d, &a) > 0);
    assert_int_equal(gs_version_cmp(&a, &a), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_values_pass),
        cmocka_unit_test(other_values_do_not),
        cmocka_unit_test(depth_and_number_are_capped),
        cmocka_unit_test(versions_are_text_and_back),
        cmocka_unit_test(other_spellings_are_no_versions),
        cmocka_unit_test(generation_counts_before_clock_before_writer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
