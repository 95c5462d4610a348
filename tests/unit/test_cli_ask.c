/* test_cli_ask.c - what verbs share that ask a node or read manifests: requests spelled, answers
 * read, files found. */
#include "panics.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "mesh/cli/files.h"
#include "mesh/cli/list.h"
#include "mesh/config/json.h"

/* ---- requests ---- */

static void
paths_are_percent_encoded(void **state)
{
    struct gs_buf path;

    (void)state;
    ask_path(&path, "objects");
    ask_segment(&path, "vs");
    ask_segment(&path, "a/b c");
    ask_param(&path, "name", "x&y=%.yaml");
    ask_param(&path, "left", NULL);
    ask_param(&path, "more", "\xc3\xa9");
    assert_string_equal(gs_buf_cstr(&path),
                        "/api/v1/objects/vs/a%2Fb%20c?name=x%26y%3D%25.yaml&more=%C3%A9");
    gs_buf_fini(&path);
}

/* A parameter that found no room must not be missing silently: dry_run, for one. */
static void
nothing_is_asked_when_a_name_did_not_fit(void **state)
{
    static char name[20000];
    struct gs_buf path;
    struct ask a;

    (void)state;
    memset(name, 'x', sizeof(name) - 1);
    ask_init(&a, "/nonexistent/socket");
    ask_path(&path, "apply");
    ask_param(&path, "name", name);
    ask_param(&path, "dry_run", "true");
    assert_int_equal(ask_node(&a, "POST", &path, GS_SLICE_NONE, 100), CLI_USAGE);
    gs_buf_fini(&path);
    ask_fini(&a);
}

/* ---- answers ---- */

static struct tree *
parse(struct gs_arena *arena, const char *json)
{
    struct gs_problems problems;
    struct tree *root = NULL;

    gs_problems_init(&problems);
    assert_int_equal(tree_parse_json(gs_slice_str(json), NULL, arena, &root, &problems), GS_E_OK);
    gs_problems_fini(&problems);
    return root;
}

static void
parts_of_answers(void **state)
{
    struct gs_arena arena;
    struct tree *t;

    (void)state;
    gs_arena_init(&arena, NULL, 0, 1024);
    t = parse(&arena, "{\"a\": \"x\", \"n\": 1.5, \"none\": null, \"word\": \"null\", \"l\": []}");
    assert_string_equal(ask_text(t, "a"), "x");
    assert_string_equal(ask_text(t, "n"), "1.5");
    assert_string_equal(ask_text(t, "word"), "null");
    assert_null(ask_text(t, "none"));
    assert_null(ask_text(t, "l"));
    assert_null(ask_text(t, "absent"));
    assert_null(ask_text(NULL, "a"));
    assert_true(ask_number(t, "n") == 1.5);
    assert_true(ask_number(t, "a") == 0);
    gs_arena_fini(&arena);
}

/* What is in an answer may be a peer's; a table has a row for each, whatever is in it. */
static void
answers_do_not_steer_a_terminal(void **state)
{
    static const char *const headers[] = { "A", "B" };
    struct gs_arena arena;
    struct cli_table table;
    struct gs_buf out;
    struct tree *t;

    (void)state;
    gs_arena_init(&arena, NULL, 0, 1024);
    gs_buf_init(&out, 4096);
    t = parse(&arena,
              "{\"a\": \"\\u001b[31m\\u007f\", \"l\": [{\"b\\u001b\": \"\\u009b\\r\\u00a0\"}],"
              " \"c\": \"one\\n\\ttwo\"}");
    ask_clean(t);
    assert_string_equal(ask_text(t, "a"), "?[31m?");
    assert_string_equal(ask_text(tree_find(t, "l")->items[0], "b?"), "???\xc2\xa0");
    assert_string_equal(ask_text(t, "c"), "one\n\ttwo");
    cli_table_init(&table, headers, 2);
    cli_table_row(&table, (const char *const[]){ ask_text(t, "c"), "x" });
    cli_table_render(&table, false, &out);
    assert_string_equal(gs_buf_cstr(&out), "A         B\none  two  x\n");
    cli_table_fini(&table);
    gs_buf_fini(&out);
    gs_arena_fini(&arena);
}

static void
findings_read_as_a_compilers(void **state)
{
    static const char *const cases[][2] = {
        { "{\"code\":\"GS0107\",\"message\":\"m\",\"file\":\"f\",\"line\":3,\"column\":9,"
          "\"field\":\"spec.x\",\"hint\":\"do\"}",
          "f:3:9: error GS0107: spec.x: m\n  hint: do\n" },
        { "{\"code\":\"GS0118\",\"message\":\"m\"}", "error GS0118: m\n" },
        { "{\"code\":\"GS0118\",\"message\":\"m\",\"file\":\"f\"}", "f: error GS0118: m\n" },
        { "{}", "error ?: ?\n" },
    };
    struct gs_arena arena;
    struct gs_buf out;

    (void)state;
    gs_arena_init(&arena, NULL, 0, 1024);
    gs_buf_init(&out, 4096);
    for (size_t i = 0; i < GS_COUNT(cases); i++) {
        gs_buf_clear(&out);
        ask_print_finding(parse(&arena, cases[i][0]), "error", &out);
        assert_string_equal(gs_buf_cstr(&out), cases[i][1]);
    }
    gs_buf_fini(&out);
    gs_arena_fini(&arena);
}

static void
versions_are_shortened_for_people(void **state)
{
    static const char whole[] = "3.0192f3a1b2c40001.9f8e7d6c5b4a39281706f5e4d3c2b1a0";
    struct gs_arena arena;

    (void)state;
    gs_arena_init(&arena, NULL, 0, 1024);
    (void)setenv("LC_ALL", "C.UTF-8", 1);
    assert_string_equal(ask_short_version(&arena, whole), "3.0192f\xe2\x80\xa6");
    (void)setenv("LC_ALL", "C", 1);
    assert_string_equal(ask_short_version(&arena, whole), "3.0192f...");
    assert_string_equal(ask_short_version(&arena, "odd"), "odd");
    assert_null(ask_short_version(&arena, NULL));
    gs_arena_fini(&arena);
}

static void
ages_have_two_units(void **state)
{
    static const struct {
        double seconds;
        const char *text;
    } cases[] = { { -5, "0s" },        { 0, "0s" },       { 59.9, "59s" },
                  { 60, "1m0s" },      { 200, "3m20s" },  { 3600, "1h0m" },
                  { 86399, "23h59m" }, { 86400, "1d0h" }, { 1e6, "11d13h" } };
    struct gs_arena arena;

    (void)state;
    gs_arena_init(&arena, NULL, 0, 1024);
    for (size_t i = 0; i < GS_COUNT(cases); i++)
        assert_string_equal(list_age_text(&arena, cases[i].seconds), cases[i].text);
    gs_arena_fini(&arena);
}

/* ---- files ---- */

static char dir[] = "/tmp/gossamer-test-XXXXXX";

static const char *
in_dir(const char *name)
{
    static char path[4][256];
    static unsigned at;

    (void)snprintf(path[at % 4], sizeof(path[0]), "%s/%s", dir, name);
    return path[at++ % 4];
}

static void
write_file(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "we");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int
make_dir(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    write_file("b.yaml", "B");
    write_file("a.yml", "A");
    write_file("c.json", "C");
    write_file(".hidden.yaml", "H");
    write_file("notes.txt", "N");
    assert_int_equal(mkdir(in_dir("d.yaml"), 0700), 0);
    return 0;
}

static int
remove_dir(void **state)
{
    static const char *const names[] = { "b.yaml", "a.yml", "c.json", ".hidden.yaml", "notes.txt" };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(names); i++)
        assert_int_equal(unlink(in_dir(names[i])), 0);
    assert_int_equal(rmdir(in_dir("d.yaml")), 0);
    assert_int_equal(rmdir(dir), 0);
    return 0;
}

static void
a_folder_is_its_manifests_by_name(void **state)
{
    static const char *const want[] = { "a.yml", "b.yaml", "c.json" };
    struct files f;

    (void)state;
    files_init(&f);
    assert_int_equal(files_add(&f, "apply", dir), CLI_GO_ON);
    assert_int_equal(f.count, 3);
    for (size_t i = 0; i < GS_COUNT(want); i++)
        assert_string_equal(f.items[i].name, in_dir(want[i]));
    assert_true(gs_slice_eq(f.items[0].bytes, GS_SLICE("A")));
    assert_int_equal(f.bytes, 3);
    files_fini(&f);
}

static void
one_file_is_the_body_several_are_parts(void **state)
{
    struct gs_buf path, body;
    struct files f;

    (void)state;
    files_init(&f);
    assert_int_equal(files_add(&f, "apply", in_dir("notes.txt")), CLI_GO_ON); /* named: taken */
    ask_path(&path, "apply");
    assert_int_equal(files_request(&f, "apply", &path, &body), CLI_GO_ON);
    assert_non_null(strstr(gs_buf_cstr(&path), "?name="));
    assert_string_equal(gs_buf_cstr(&body), "N");
    gs_buf_fini(&body);
    gs_buf_fini(&path);
    assert_int_equal(files_add(&f, "apply", in_dir("b.yaml")), CLI_GO_ON);
    ask_path(&path, "apply");
    assert_int_equal(files_request(&f, "apply", &path, &body), CLI_GO_ON);
    assert_string_equal(gs_buf_cstr(&path), "/api/v1/apply?files=2");
    assert_memory_equal(body.ptr, "1 /tmp/", 7);
    gs_buf_fini(&body);
    gs_buf_fini(&path);
    files_fini(&f);
}

static void
what_cannot_be_read_is_refused(void **state)
{
    struct cli_texts none = { .count = 0 };
    struct files f;

    (void)state;
    files_init(&f);
    assert_int_equal(files_add(&f, "apply", in_dir("missing.yaml")), CLI_REFUSED);
    assert_int_equal(files_add(&f, "apply", in_dir("d.yaml")), CLI_REFUSED); /* an empty folder */
    assert_int_equal(files_add_all(&f, "apply", &none, NULL, 0), CLI_USAGE);
    assert_int_equal(files_add(&f, "apply", "/dev/zero"), CLI_REFUSED); /* too much */
    assert_int_equal(f.count, 0);
    files_fini(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_percent_encoded),
        cmocka_unit_test(answers_do_not_steer_a_terminal),
        cmocka_unit_test(nothing_is_asked_when_a_name_did_not_fit),
        cmocka_unit_test(parts_of_answers),
        cmocka_unit_test(findings_read_as_a_compilers),
        cmocka_unit_test(versions_are_shortened_for_people),
        cmocka_unit_test(ages_have_two_units),
        cmocka_unit_test(a_folder_is_its_manifests_by_name),
        cmocka_unit_test(one_file_is_the_body_several_are_parts),
        cmocka_unit_test(what_cannot_be_read_is_refused),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
