/* test_json.c - JSON becomes the same tree as YAML does, without places. */
#include "panics.h"

#include <gossamer/alloc.h>
#include <gossamer/buf.h>
#include <gossamer/limits.h>

#include "mesh/config/json.h"

static struct gs_arena arena;
static struct gs_problems problems;

static int
setup(void **state)
{
    (void)state;
    gs_arena_init(&arena, NULL, 0, 4096);
    gs_problems_init(&problems);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    gs_problems_fini(&problems);
    gs_arena_fini(&arena);
    return 0;
}

static gs_err
parse_bytes(struct gs_slice text, struct tree **t)
{
    char *own = gs_alloc(text.len);
    gs_err e;

    if (text.len > 0)
        memcpy(own, text.ptr, text.len);
    gs_problems_fini(&problems);
    gs_problems_init(&problems);
    e = tree_parse_json(gs_slice(own, text.len), "body", &arena, t, &problems);
    gs_free(own);
    return e;
}

static struct tree *
parse(const char *text)
{
    struct tree *t = NULL;

    assert_int_equal(parse_bytes(gs_slice_str(text), &t), GS_E_OK);
    assert_non_null(t);
    assert_int_equal(problems.count, 0);
    return t;
}

static void
assert_text(const struct tree *t, const char *text, bool plain)
{
    assert_non_null(t);
    assert_int_equal(t->kind, TREE_SCALAR);
    assert_string_equal(t->text.ptr, text);
    assert_int_equal(t->text.len, strlen(text));
    assert_int_equal(t->plain, plain);
    assert_int_equal(t->line, 0);
}

static void
test_values(void **state)
{
    struct tree *t = parse("{\"s\": \"x\\u00e9\\ud83d\\ude00\", \"i\": -9223372036854775808, "
                           "\"r\": 0.1, \"big\": 1e300, \"t\": true, \"f\": false, \"z\": null, "
                           "\"q\": \"null\", \"l\": [1, [2], {}], \"\": \"\"}");

    (void)state;
    assert_text(tree_find(t, "s"), "x\xc3\xa9\xf0\x9f\x98\x80", false);
    assert_text(tree_find(t, "i"), "-9223372036854775808", true);
    assert_text(tree_find(t, "r"), "0.1", true);
    assert_text(tree_find(t, "big"), "1e+300", true);
    assert_text(tree_find(t, "t"), "true", true);
    assert_text(tree_find(t, "f"), "false", true);
    assert_true(tree_is_null(tree_find(t, "z")));
    assert_false(tree_is_null(tree_find(t, "q")));
    assert_text(tree_find(t, ""), "", false);
    assert_int_equal(tree_find(t, "l")->kind, TREE_SEQ);
    assert_int_equal(tree_find(t, "l")->count, 3);
    assert_text(tree_find(t, "l")->items[1]->items[0], "2", true);
    assert_int_equal(tree_find(t, "l")->items[2]->kind, TREE_MAP);
    assert_string_equal(t->pairs[0].key.ptr, "s"); /* in the order of the text */
    assert_string_equal(t->pairs[8].key.ptr, "l");
    assert_text(parse("\"any value\""), "any value", false);
    assert_text(parse("7"), "7", true);
    assert_int_equal(parse("[]")->count, 0);
}

static void
test_refusals(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "{\"a\": 1, \"a\": 2}",
        "[1,]",
        "{a: 1}",
        "[1] [2]",
        "nul",
        "\"\\ud83d\"",
        "\"\xff\"",
        "\"tab\there\"",
        "'single'",
        "01",
        "1e999",
        "\"\\u0000\"",
        "99999999999999999999",
        "{\"a\" 1}",
        "// no\n{}",
    };
    struct tree *t = NULL;

    (void)state;
    for (size_t i = 0; i < GS_COUNT(bad); i++) {
        if (parse_bytes(gs_slice_str(bad[i]), &t) != GS_E_MALFORMED)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(problems.errors, 1);
        assert_string_equal(problems.items[0].code, "GS0001");
        assert_string_equal(problems.items[0].file, "body");
        assert_null(t);
    }
    assert_int_equal(parse_bytes(GS_SLICE("{\n \"a\": x}"), &t), GS_E_MALFORMED);
    assert_int_equal(problems.items[0].line, 2);
    assert_int_equal(parse_bytes(GS_SLICE("{\"a\": 1}\0"), &t), GS_E_MALFORMED);
}

static void
test_caps(void **state)
{
    struct gs_buf b;
    struct tree *t = NULL;

    (void)state;
    gs_buf_init(&b, 4 << 20);
    for (unsigned i = 0; i < TREE_DEPTH_MAX; i++)
        (void)gs_buf_put_str(&b, "[");
    for (unsigned i = 0; i < TREE_DEPTH_MAX; i++)
        (void)gs_buf_put_str(&b, "]");
    assert_int_equal(parse(gs_buf_cstr(&b))->count, 1);
    gs_buf_clear(&b);
    for (unsigned i = 0; i < TREE_DEPTH_MAX; i++)
        (void)gs_buf_put_str(&b, "{\"k\":");
    (void)gs_buf_put_str(&b, "1");
    for (unsigned i = 0; i < TREE_DEPTH_MAX; i++)
        (void)gs_buf_put_str(&b, "}");
    assert_int_equal(parse_bytes(gs_buf_slice(&b), &t), GS_E_MALFORMED);
    assert_string_equal(problems.items[0].code, "GS0003");
    gs_buf_clear(&b);
    (void)gs_buf_put_str(&b, "[0");
    for (unsigned i = 0; i < TREE_NODES_MAX; i++)
        (void)gs_buf_put_str(&b, ",0");
    (void)gs_buf_put_str(&b, "]");
    assert_int_equal(parse_bytes(gs_buf_slice(&b), &t), GS_E_MALFORMED);
    assert_string_equal(problems.items[0].code, "GS0003");
    gs_buf_clear(&b);
    (void)gs_buf_put_str(&b, "\"");
    while (b.len < TREE_TEXT_MAX)
        (void)gs_buf_put_str(&b, "x");
    (void)gs_buf_put_str(&b, "\"");
    assert_int_equal(parse_bytes(gs_buf_slice(&b), &t), GS_E_MALFORMED);
    assert_string_equal(problems.items[0].code, "GS0003");
    assert_null(t);
    gs_buf_fini(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = { TEST(test_values), TEST(test_refusals), TEST(test_caps) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
