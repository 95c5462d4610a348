/* test_yaml.c - documents become trees with places; caps hold; mistakes are told where they are. */
#include "panics.h"

#include <stdlib.h>

#include <gossamer/alloc.h>
#include <gossamer/buf.h>
#include <gossamer/limits.h>
#include <gossamer/tree.h>

static struct gs_arena arena;
static struct gs_problems problems;
static struct tree_docs docs;

static int
setup(void **state)
{
    (void)state;
    gs_arena_init(&arena, NULL, 0, 4096);
    gs_problems_init(&problems);
    docs = (struct tree_docs){ 0 };
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
parse_bytes(struct gs_slice text)
{
    gs_err e;
    char *own = gs_alloc(text.len); /* exactly as large: an overrun is seen */

    if (text.len > 0)
        memcpy(own, text.ptr, text.len);
    gs_problems_fini(&problems);
    gs_problems_init(&problems);
    e = tree_parse_yaml(gs_slice(own, text.len), "f.yaml", &arena, &docs, &problems);
    gs_free(own); /* nothing in the tree may point there */
    return e;
}

static struct tree *
parse(const char *text)
{
    gs_err e = parse_bytes(gs_slice_str(text));

    if (e != GS_E_OK)
        fail_msg("%s: %u: %s", text, problems.items[0].line, problems.items[0].message);
    assert_int_equal(docs.count, 1);
    return docs.docs[0];
}

static void
assert_text(const struct tree *t, const char *text, bool plain)
{
    assert_non_null(t);
    assert_int_equal(t->kind, TREE_SCALAR);
    assert_string_equal(t->text.ptr, text);
    assert_int_equal(t->text.len, strlen(text));
    assert_int_equal(t->plain, plain);
}

static void
assert_place(const struct tree *t, unsigned line, unsigned column)
{
    assert_int_equal(t->line, line);
    assert_int_equal(t->column, column);
}

/* The text is refused with exactly one finding, of this code, at this place. */
static const struct gs_problem *
assert_refused(const char *text, const char *code, unsigned line, unsigned column)
{
    assert_int_equal(parse_bytes(gs_slice_str(text)), GS_E_MALFORMED);
    assert_int_equal(problems.count, 1);
    assert_string_equal(problems.items[0].code, code);
    assert_string_equal(problems.items[0].file, "f.yaml");
    assert_int_equal(problems.items[0].line, line);
    assert_int_equal(problems.items[0].column, column);
    return &problems.items[0];
}

static void
test_places(void **state)
{
    struct tree *t = parse("a: 1\nlist:\n- x\n-  y: 'q'\n\"k\": {in: [p, \"\xc3\xa9\", r]}\n");
    struct tree *list = tree_find(t, "list");

    (void)state;
    assert_place(t, 1, 1);
    assert_text(tree_find(t, "a"), "1", true);
    assert_place(tree_find(t, "a"), 1, 4);
    assert_int_equal(t->pairs[1].line, 2);
    assert_int_equal(t->pairs[1].column, 1);
    assert_int_equal(list->kind, TREE_SEQ);
    assert_int_equal(list->count, 2);
    assert_place(list->items[0], 3, 3);
    assert_place(list->items[1], 4, 4);
    assert_text(tree_at(list->items[1], "y"), "q", false);
    assert_place(tree_at(list->items[1], "y"), 4, 7);
    assert_place(tree_at(t, "k.in"), 5, 11);
    assert_text(tree_at(t, "k.in")->items[1], "\xc3\xa9", false);
    assert_place(tree_at(t, "k.in")->items[2], 5, 20); /* columns count characters */
}

static void
test_scalars_are_not_typed(void **state)
{
    struct tree *t = parse("a: 1.0\nb: \"1.0\"\nc: yes\nd: ~\ne:\nf: null\ng: 'null'\nh: 010\n"
                           "i: |\n  two\n  lines\nj: >-\n  folded\n  text\nk: \"\"\nl: !!str 1.0\n"
                           "m: !!int \"5\"\nn: 2026-01-02\n");

    (void)state;
    assert_text(tree_find(t, "a"), "1.0", true);
    assert_text(tree_find(t, "b"), "1.0", false);
    assert_text(tree_find(t, "c"), "yes", true);
    assert_true(tree_is_null(tree_find(t, "d")));
    assert_true(tree_is_null(tree_find(t, "e")));
    assert_true(tree_is_null(tree_find(t, "f")));
    assert_false(tree_is_null(tree_find(t, "g")));
    assert_text(tree_find(t, "h"), "010", true);
    assert_text(tree_find(t, "i"), "two\nlines\n", false);
    assert_text(tree_find(t, "j"), "folded text", false);
    assert_false(tree_is_null(tree_find(t, "k")));
    assert_text(tree_find(t, "l"), "1.0", false);
    assert_text(tree_find(t, "m"), "5", true);
    assert_text(tree_find(t, "n"), "2026-01-02", true);
}

static void
test_merge_keys(void **state)
{
    struct tree *t = parse("base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\n"
                           "one: {<<: *b, y: 9}\n"
                           "two:\n  w: 0\n  <<: [*m, *b]\n  x: 7\n"
                           "same: *b\nquoted: {\"<<\": text}\nlist: [*b, *m]\n");

    (void)state;
    assert_text(tree_at(t, "one.x"), "1", true);
    assert_text(tree_at(t, "one.y"), "9", true); /* explicit keys win wherever they stand */
    assert_int_equal(tree_find(t, "one")->count, 2);
    assert_text(tree_at(t, "two.w"), "0", true);
    assert_text(tree_at(t, "two.x"), "7", true);
    assert_text(tree_at(t, "two.y"), "3", true); /* the earlier map of the list wins */
    assert_text(tree_at(t, "two.z"), "4", true);
    assert_int_equal(tree_find(t, "two")->count, 4);
    assert_null(tree_at(t, "two.<<"));
    assert_ptr_equal(tree_find(t, "same"), tree_find(t, "base"));
    assert_ptr_equal(tree_find(t, "list")->items[1], tree_find(t, "more"));
    assert_text(tree_at(t, "quoted.<<"), "text", true);
    assert_place(tree_at(t, "one.x"), 1, 14); /* where it is written, not where it is merged */
}

static void
test_anchor_details(void **state)
{
    struct tree *t = parse("a: &x one\nb: *x\nc: &x two\nd: *x\n");

    (void)state;
    assert_text(tree_find(t, "b"), "one", true);
    assert_text(tree_find(t, "d"), "two", true);
    assert_refused("a: &x {b: *x}\n", "GS0007", 1, 11);
    assert_refused("a: *nobody\n", "GS0007", 1, 4);
    assert_refused("a: &x 1\n---\nb: *x\n", "GS0007", 3, 4); /* anchors end with the document */
    assert_non_null(strstr(problems.items[0].message, "*x"));
    t = parse("&k key: v\nother: *k\n");
    assert_text(tree_find(t, "key"), "v", true);
    assert_text(tree_find(t, "other"), "key", true);
}

static void
test_merge_mistakes(void **state)
{
    (void)state;
    assert_refused("a: {<<: text}\n", "GS0006", 1, 9);
    assert_refused("a: {<<: [{x: 1}, 2]}\n", "GS0006", 1, 9);
    assert_refused("a:\n  <<:\n", "GS0006", 2, 6);
    assert_refused("a: &a {x: 1}\nb:\n  <<: *a\n  <<: *a\n", "GS0002", 4, 3);
}

/* One reading finds all of them, and says where the first of each stands. */
static void
test_duplicate_keys(void **state)
{
    (void)state;
    assert_int_equal(parse_bytes(GS_SLICE("a: 1\nb: {x: 1, x: 2}\na: 2\n\"a\": 3\n")),
                     GS_E_MALFORMED);
    assert_int_equal(problems.count, 3);
    assert_string_equal(problems.items[0].code, "GS0002");
    assert_int_equal(problems.items[0].line, 2);
    assert_int_equal(problems.items[0].column, 11);
    assert_string_equal(problems.items[1].message, "key \"a\" is in this map already, in line 1");
    assert_int_equal(problems.items[1].line, 3);
    assert_int_equal(problems.items[2].line, 4);
}

static void
test_keys_must_be_text(void **state)
{
    (void)state;
    assert_refused("? [a, b]\n: 1\n", "GS0004", 1, 3);
    assert_refused("{a: 1}: 2\n", "GS0004", 1, 1);
    assert_refused("?\n: 2\n", "GS0004", 1, 2);
    assert_text(tree_find(parse("{\"\": 1}"), ""), "1", true); /* an empty text is one */
    assert_refused("x: &m {a: 1}\n*m : 2\n", "GS0004", 1, 4);
}

static void
test_documents(void **state)
{
    (void)state;
    assert_int_equal(parse_bytes(GS_SLICE("---\na: 1\n---\n# nothing\n---\n---\nb: 2\n...\n")),
                     GS_E_OK);
    assert_int_equal(docs.count, 2);
    assert_text(tree_find(docs.docs[1], "b"), "2", true);
    assert_place(docs.docs[1], 7, 1);
    assert_int_equal(parse_bytes(GS_SLICE("")), GS_E_OK);
    assert_int_equal(docs.count, 0);
    assert_int_equal(parse_bytes(GS_SLICE("# only this\n")), GS_E_OK);
    assert_int_equal(docs.count, 0);
    assert_int_equal(parse_bytes(GS_SLICE("~\n")), GS_E_OK);
    assert_int_equal(docs.count, 0);
    assert_int_equal(parse("[1]")->kind, TREE_SEQ);
    assert_text(parse("just text"), "just text", true);
}

static void
test_crlf_and_byte_order_mark(void **state)
{
    struct tree *t = parse("\xef\xbb\xbf"
                           "a: 1\r\nb:\r\n  c: \"x\"\r\n");

    (void)state;
    assert_place(t, 1, 1);
    assert_text(tree_find(t, "a"), "1", true);
    assert_text(tree_at(t, "b.c"), "x", false);
    assert_place(tree_at(t, "b.c"), 3, 6);
}

static void
test_json(void **state)
{
    struct tree *t = parse("{\n\t\"a\": \"x\\/y\", \"n\": -1.5e3, \"t\": true,\"z\":null,\n"
                           "\t\"u\": \"\\u00e9\\n\\\"\\\\\", \"l\": [[], {}]\n}\n");

    (void)state;
    assert_text(tree_find(t, "a"), "x/y", false);
    assert_text(tree_find(t, "n"), "-1.5e3", true);
    assert_text(tree_find(t, "t"), "true", true);
    assert_true(tree_is_null(tree_find(t, "z")));
    assert_text(tree_find(t, "u"), "\xc3\xa9\n\"\\", false);
    assert_int_equal(tree_find(t, "l")->items[0]->kind, TREE_SEQ);
    assert_int_equal(tree_find(t, "l")->items[1]->count, 0);
}

/* JSON writes a character beyond U+FFFF as two escapes, which libyaml alone refuses. Places behind
 * them stay those of the file. */
static void
test_json_surrogates(void **state)
{
    struct tree *t = parse("{\"a\": \"\\uD83D\\uDE00\\ud83d\\ude01!\", \"b\": 1,\n \"c\": 2}");

    (void)state;
    assert_text(tree_find(t, "a"), "\xf0\x9f\x98\x80\xf0\x9f\x98\x81!", false);
    assert_place(tree_find(t, "b"), 1, 41);
    assert_place(tree_find(t, "c"), 2, 7);
    t = parse("{\"a\": \"\\\\uD83D\\\\uDE00\"}"); /* escaped backslashes: no escape of ours */
    assert_text(tree_find(t, "a"), "\\uD83D\\uDE00", false);
    t = parse("a: '\\uD83D\\uDE00'\n"); /* no JSON: in single quotes it means itself */
    assert_text(tree_find(t, "a"), "\\uD83D\\uDE00", false);
    assert_refused("{\"a\": \"\\uD83D\"}", "GS0001", 1, 10);
    assert_refused("{\"a\": \"\\uDE00\\uD83D\"}", "GS0001", 1, 10);
    assert_refused("{\"a\": \"\\uD83D\\uDE00\", \"a\": 1}", "GS0002", 1, 23);
}

static void
test_syntax_errors(void **state)
{
    const struct gs_problem *p;

    (void)state;
    p = assert_refused("a:\n\tb: 2\n", "GS0001", 2, 1);
    assert_non_null(strstr(p->message, "found character that cannot start any token"));
    assert_non_null(strstr(p->hint, "spaces"));
    p = assert_refused("a: [1, 2\nb: 3\n", "GS0001", 2, 2);
    assert_non_null(strstr(p->message, "that starts in line 1"));
    assert_refused("a: b: c\n", "GS0001", 1, 5);
    assert_refused("a: \"open\n", "GS0001", 2, 1);
    assert_refused("\xc3\xa9: [\n", "GS0001", 2, 1);
    assert_refused("a: @x\n", "GS0001", 1, 4);
    assert_refused("a: !mine x\n", "GS0005", 1, 4);
    assert_refused("a: !!binary eA==\n", "GS0005", 1, 4);
}

static void
test_bad_bytes(void **state)
{
    const struct gs_problem *p;

    (void)state;
    p = assert_refused("a: 1\nbc: \xff\xfe\n", "GS0001", 2, 5);
    assert_non_null(strstr(p->message, "UTF-8"));
    assert_refused("a: \xc0\x80\n", "GS0001", 1, 4);
    assert_refused("a: \xed\xa0\x80\n", "GS0001", 1, 4);
    assert_refused("a: \x01\n", "GS0001", 1, 4);
    assert_int_equal(parse_bytes(GS_SLICE("a: x\0y\n")), GS_E_MALFORMED);
    assert_int_equal(parse_bytes(GS_SLICE("\xff\xfe"
                                          "a\0:\0")),
                     GS_E_MALFORMED); /* UTF-16 */
}

static void
nest(struct gs_buf *b, unsigned levels, const char *inner)
{
    gs_buf_clear(b);
    for (unsigned i = 0; i < levels; i++)
        (void)gs_buf_put_str(b, "[");
    (void)gs_buf_put_str(b, inner);
    for (unsigned i = 0; i < levels; i++)
        (void)gs_buf_put_str(b, "]");
}

static void
test_depth(void **state)
{
    struct gs_buf b;

    (void)state;
    gs_buf_init(&b, 1 << 20);
    nest(&b, TREE_DEPTH_MAX, "");
    assert_int_equal(parse(gs_buf_cstr(&b))->kind, TREE_SEQ);
    nest(&b, TREE_DEPTH_MAX - 1, "x");
    assert_int_equal(parse(gs_buf_cstr(&b))->kind, TREE_SEQ);
    nest(&b, TREE_DEPTH_MAX, "x");
    assert_refused(gs_buf_cstr(&b), "GS0003", 1, TREE_DEPTH_MAX + 1);
    nest(&b, 100000, "");
    assert_refused(gs_buf_cstr(&b), "GS0003", 1, TREE_DEPTH_MAX + 1);
    /* through aliases: each list holds the one before it */
    gs_buf_clear(&b);
    (void)gs_buf_put_str(&b, "- &a0 []\n");
    for (unsigned i = 1; i <= 62; i++)
        (void)gs_buf_printf(&b, "- &a%u [*a%u]\n", i, i - 1);
    assert_int_equal(parse(gs_buf_cstr(&b))->count, 63);
    (void)gs_buf_put_str(&b, "- [*a62]\n");
    assert_refused(gs_buf_cstr(&b), "GS0003", 64, 4);
    gs_buf_fini(&b);
}

static void
test_alias_bomb(void **state)
{
    struct gs_buf b;

    (void)state;
    gs_buf_init(&b, 1 << 20);
    (void)gs_buf_put_str(&b, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for (unsigned i = 1; i < 20; i++)
        (void)gs_buf_printf(&b, "a%u: &a%u [*a%u, *a%u, *a%u, *a%u, *a%u, *a%u, *a%u, *a%u]\n", i,
                            i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    assert_int_equal(parse_bytes(gs_buf_slice(&b)), GS_E_MALFORMED);
    assert_int_equal(problems.count, 1);
    assert_string_equal(problems.items[0].code, "GS0003");
    assert_non_null(strstr(problems.items[0].message, "at most 100000"));
    assert_true(arena.total < 200000); /* and it cost nothing */
    gs_buf_clear(&b);
    (void)gs_buf_put_str(&b, "- &a x\n");
    for (unsigned i = 0; i < TREE_ALIASES_MAX; i++)
        (void)gs_buf_put_str(&b, "- *a\n");
    assert_int_equal(parse(gs_buf_cstr(&b))->count, TREE_ALIASES_MAX + 1);
    (void)gs_buf_put_str(&b, "- *a\n");
    assert_refused(gs_buf_cstr(&b), "GS0003", TREE_ALIASES_MAX + 2, 3);
    gs_buf_fini(&b);
}

static void
test_nodes_bytes_documents(void **state)
{
    struct gs_buf b;

    (void)state;
    gs_buf_init(&b, 4 << 20);
    for (unsigned i = 0; i < TREE_NODES_MAX - 1; i++)
        (void)gs_buf_put_str(&b, "- x\n");
    assert_int_equal(parse(gs_buf_cstr(&b))->count, TREE_NODES_MAX - 1);
    (void)gs_buf_put_str(&b, "- x\n");
    assert_refused(gs_buf_cstr(&b), "GS0003", TREE_NODES_MAX, 3);
    gs_buf_clear(&b);
    for (unsigned i = 0; i < TREE_DOCS_MAX; i++)
        (void)gs_buf_put_str(&b, "--- x\n");
    assert_int_equal(parse_bytes(gs_buf_slice(&b)), GS_E_OK);
    assert_int_equal(docs.count, TREE_DOCS_MAX);
    (void)gs_buf_put_str(&b, "--- x\n");
    assert_refused(gs_buf_cstr(&b), "GS0003", TREE_DOCS_MAX + 1, 5);
    gs_buf_clear(&b);
    (void)gs_buf_put_str(&b, "a: ");
    while (b.len < TREE_TEXT_MAX)
        (void)gs_buf_put_str(&b, "x");
    assert_int_equal(parse_bytes(gs_buf_slice(&b)), GS_E_OK);
    (void)gs_buf_put_str(&b, "x");
    assert_refused(gs_buf_cstr(&b), "GS0003", 0, 0);
    gs_buf_fini(&b);
}

/* A map of many keys is no quadratic work. */
static void
test_large_map(void **state)
{
    struct gs_buf b;

    (void)state;
    gs_buf_init(&b, 1 << 20);
    for (unsigned i = 0; i < 49000; i++)
        (void)gs_buf_printf(&b, "k%u: v\n", i);
    assert_int_equal(parse(gs_buf_cstr(&b))->count, 49000);
    (void)gs_buf_put_str(&b, "k7: again\n");
    assert_refused(gs_buf_cstr(&b), "GS0002", 49001, 1);
    gs_buf_fini(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_places),
        TEST(test_scalars_are_not_typed),
        TEST(test_merge_keys),
        TEST(test_anchor_details),
        TEST(test_merge_mistakes),
        TEST(test_duplicate_keys),
        TEST(test_keys_must_be_text),
        TEST(test_documents),
        TEST(test_crlf_and_byte_order_mark),
        TEST(test_json),
        TEST(test_json_surrogates),
        TEST(test_syntax_errors),
        TEST(test_bad_bytes),
        TEST(test_depth),
        TEST(test_alias_bomb),
        TEST(test_nodes_bytes_documents),
        TEST(test_large_map),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
