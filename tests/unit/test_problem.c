/* test_problem.c - collecting findings, their printed form, did-you-mean; and reading a tree. */
#include "panics.h"

#include <gossamer/buf.h>
#include <gossamer/limits.h>
#include <gossamer/problem.h>
#include <gossamer/tree.h>

static void
test_print(void **state)
{
    struct gs_problems p;
    struct gs_problem *item;
    struct gs_buf out;

    (void)state;
    gs_problems_init(&p);
    gs_buf_init(&out, 4096);
    item = gs_problems_add(&p, GS_SEV_ERROR, "GS0107", "a.yaml", 3, 7, "spec.http[0]", "no %s",
                           "subset");
    gs_problem_hint(&p, item, "type %s", "this");
    gs_problem_print(item, &out);
    assert_string_equal(gs_buf_cstr(&out), "a.yaml:3:7: error GS0107: spec.http[0]: no subset\n"
                                           "  hint: type this\n");
    gs_buf_clear(&out);
    gs_problem_print(gs_problems_add(&p, GS_SEV_WARNING, "GS1", NULL, 0, 0, NULL, "bare"), &out);
    gs_problem_print(gs_problems_add(&p, GS_SEV_NOTE, "GS2", "f", 0, 0, NULL, "no place"), &out);
    assert_string_equal(gs_buf_cstr(&out), "warning GS1: bare\nf: note GS2: no place\n");
    assert_int_equal(p.errors, 1);
    assert_int_equal(p.warnings, 1);
    assert_int_equal(p.count, 3);
    gs_buf_fini(&out);
    gs_problems_fini(&p);
    gs_problems_fini(NULL);
}

static void
test_texts_are_copied(void **state)
{
    char file[] = "file";
    char field[] = "field";
    struct gs_problems p;
    struct gs_problem *item;

    (void)state;
    gs_problems_init(&p);
    item = gs_problems_add(&p, GS_SEV_ERROR, "GS1", file, 1, 1, field, "m");
    file[0] = field[0] = 'X';
    assert_string_equal(item->file, "file");
    assert_string_equal(item->field, "field");
    gs_problems_fini(&p);
}

static void
test_cap(void **state)
{
    struct gs_problems p;

    (void)state;
    gs_problems_init(&p);
    for (unsigned i = 0; i < PROBLEMS_MAX + 5; i++) {
        struct gs_problem *item =
            gs_problems_add(&p, GS_SEV_ERROR, "GS1", "f", i + 1, 1, NULL, "number %u", i);

        gs_problem_hint(&p, item, "hint %u", i);
    }
    assert_int_equal(p.count, PROBLEMS_MAX);
    assert_int_equal(p.dropped, 5);
    assert_int_equal(p.errors, PROBLEMS_MAX + 5);
    assert_string_equal(p.items[0].message, "number 0");
    assert_string_equal(p.items[PROBLEMS_MAX - 1].hint, "hint 199");
    gs_problems_fini(&p);
}

static void
test_did_you_mean(void **state)
{
    static const char *const words[] = { "http", "http2", "grpc", "tcp", "auto" };
    static const struct {
        const char *typed, *meant;
    } rows[] = {
        { "htpt", "http" }, { "HTTP", "http" }, { "http3", "http" },
        { "gprc", "grpc" }, { "tpc", "tcp" },   { "xyz", NULL },
        { "t", NULL },      { "", NULL },       { "websocket", NULL },
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(rows); i++) {
        const char *meant = gs_did_you_mean(rows[i].typed, strlen(rows[i].typed), words, 5);

        if (rows[i].meant)
            assert_string_equal(meant, rows[i].meant);
        else
            assert_null(meant);
    }
    assert_null(gs_did_you_mean("http", 4, words, 0));
}

static void
test_tree(void **state)
{
    struct tree leaf = { .kind = TREE_SCALAR, .plain = true, .text = GS_SLICE("v") };
    struct tree_pair inner_pair = { .key = GS_SLICE("b"), .value = &leaf };
    struct tree inner = { .kind = TREE_MAP, .pairs = &inner_pair, .count = 1 };
    struct tree_pair pair = { .key = GS_SLICE("a"), .value = &inner };
    struct tree root = { .kind = TREE_MAP, .pairs = &pair, .count = 1 };

    (void)state;
    assert_ptr_equal(tree_find(&root, "a"), &inner);
    assert_null(tree_find(&root, "b"));
    assert_null(tree_find(&leaf, "a"));
    assert_null(tree_find(NULL, "a"));
    assert_ptr_equal(tree_at(&root, "a.b"), &leaf);
    assert_null(tree_at(&root, "a.c"));
    assert_null(tree_at(&root, "a.b.c"));
    assert_false(tree_is_null(&leaf));
    leaf.text = GS_SLICE("~");
    assert_true(tree_is_null(&leaf));
    leaf.plain = false; /* "~" in quotes is text */
    assert_false(tree_is_null(&leaf));
    leaf.plain = true;
    leaf.text = GS_SLICE("");
    assert_true(tree_is_null(&leaf));
    assert_false(tree_is_null(&inner));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print), cmocka_unit_test(test_texts_are_copied),
        cmocka_unit_test(test_cap),   cmocka_unit_test(test_did_you_mean),
        cmocka_unit_test(test_tree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
