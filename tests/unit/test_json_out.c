/* test_json_out.c - commas, nesting, escapes, and bytes that are no UTF-8. */
#include "panics.h"

#include <math.h>

#include <gossamer/json_out.h>

static struct gs_buf out;
static struct json_out j;

static int
setup(void **state)
{
    (void)state;
    gs_buf_init(&out, 10000);
    json_init(&j, &out);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    gs_buf_fini(&out);
    return 0;
}

static void
test_nesting(void **state)
{
    (void)state;
    json_obj(&j);
    json_kstr(&j, "a", "x");
    json_key(&j, "list");
    json_arr(&j);
    json_u64(&j, UINT64_MAX);
    json_i64(&j, INT64_MIN);
    json_arr(&j);
    json_arr_end(&j);
    json_obj(&j);
    json_obj_end(&j);
    json_nil(&j);
    json_arr_end(&j);
    json_kbool(&j, "yes", true);
    json_kbool(&j, "no", false);
    json_kstr(&j, "nothing", NULL);
    json_ku64(&j, "n", 0);
    json_kslice(&j, "s", GS_SLICE("y"));
    json_key(&j, "raw");
    json_raw(&j, GS_SLICE("[1]"));
    json_obj_end(&j);
    assert_string_equal(gs_buf_cstr(&out),
                        "{\"a\":\"x\",\"list\":[18446744073709551615,-9223372036854775808,[],{},"
                        "null],\"yes\":true,\"no\":false,\"nothing\":null,\"n\":0,\"s\":\"y\","
                        "\"raw\":[1]}");
}

static void
test_doubles(void **state)
{
    (void)state;
    json_arr(&j);
    json_double(&j, 1.5);
    json_double(&j, 100);
    json_double(&j, 0);
    json_double(&j, -0.0001);
    json_double(&j, 0.0005);
    json_double(&j, -2.25);
    json_double(&j, NAN);
    json_double(&j, INFINITY);
    json_double(&j, 1e300);
    json_double(&j, 12345678.9);
    json_arr_end(&j);
    assert_string_equal(gs_buf_cstr(&out), "[1.5,100,0,0,0.001,-2.25,null,null,"
                                           "1.0000000000000001e+300,12345678.9]");
}

static void
test_escapes(void **state)
{
    (void)state;
    json_slice(&j, GS_SLICE("\"\\/\b\f\n\r\t\x01\x1f\x7f\0end"));
    assert_string_equal(gs_buf_cstr(&out),
                        "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\\u0000end\"");
    gs_buf_clear(&out);
    json_init(&j, &out);
    json_slice(&j, GS_SLICE("\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0")); /* what a terminal obeys too */
    assert_string_equal(gs_buf_cstr(&out), "\"\\u0080\\u009b\\u009f\xc2\xa0\"");
}

static void
test_utf8(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        { "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"" },
        { "a\x80z", "\"a\xef\xbf\xbdz\"" },
        { "\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },                 /* overlong */
        { "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" }, /* surrogate */
        { "\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\"" }, /* cut short */
        { "\xe0\x9f\xbf", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "\xf0\x8f\xbf\xbf", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "\xff", "\"\xef\xbf\xbd\"" },
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(rows); i++) {
        gs_buf_clear(&out);
        json_init(&j, &out);
        json_str(&j, rows[i].in);
        assert_string_equal(gs_buf_cstr(&out), rows[i].out);
    }
}

static void
close_too_often(void)
{
    struct gs_buf b;
    struct json_out w;

    gs_buf_init(&b, 100);
    json_init(&w, &b);
    json_obj(&w);
    json_obj_end(&w);
    json_obj_end(&w);
}

static void
end_after_key(void)
{
    struct gs_buf b;
    struct json_out w;

    gs_buf_init(&b, 100);
    json_init(&w, &b);
    json_obj(&w);
    json_key(&w, "k");
    json_obj_end(&w);
}

static void
test_misuse_aborts(void **state)
{
    (void)state;
    assert_panics(close_too_often, "depth > 0");
    assert_panics(end_after_key, "after_key");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nesting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_doubles, setup, teardown),
        cmocka_unit_test_setup_teardown(test_escapes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_utf8, setup, teardown),
        cmocka_unit_test(test_misuse_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
