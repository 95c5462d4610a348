/* test_cli.c - command lines against a table of options; verbs; tables, JSON and YAML on standard
 * output. What is said is read back from temporary files. */
#include "panics.h"

#include <stdlib.h>

#include "mesh/cli/cli.h"

static char out_text[65536];
static char err_text[65536];
static int saved_out, saved_err;
static FILE *out_file, *err_file;

static void
capture(void)
{
    (void)fflush(NULL);
    saved_out = dup(STDOUT_FILENO);
    saved_err = dup(STDERR_FILENO);
    out_file = tmpfile();
    err_file = tmpfile();
    assert_non_null(out_file);
    assert_non_null(err_file);
    assert_true(dup2(fileno(out_file), STDOUT_FILENO) >= 0);
    assert_true(dup2(fileno(err_file), STDERR_FILENO) >= 0);
}

static void
read_back(FILE *f, char *text, size_t size)
{
    size_t n;

    rewind(f);
    n = fread(text, 1, size - 1, f);
    text[n] = '\0';
    (void)fclose(f);
}

static void
release(void)
{
    (void)fflush(NULL);
    (void)dup2(saved_out, STDOUT_FILENO);
    (void)dup2(saved_err, STDERR_FILENO);
    (void)close(saved_out);
    (void)close(saved_err);
    read_back(out_file, out_text, sizeof(out_text));
    read_back(err_file, err_text, sizeof(err_text));
}

/* ---- options ---- */

static struct {
    bool loud, quiet;
    const char *file;
    struct cli_texts sets;
    enum cli_format format;
    uint64_t wait_ms;
    uint32_t count;
} got;

static const struct cli_option table[] = {
    { 'l', "loud", CLI_SWITCH, &got.loud, NULL, "be loud", { 0 } },
    { 'q', "quiet", CLI_SWITCH, &got.quiet, NULL, "be quiet", { 0 } },
    { 'f', "file", CLI_TEXT, &got.file, "FILE", "a file", { 0 } },
    { 0, "set", CLI_TEXTS, &got.sets, "KEY=VALUE", "set it", { 0 } },
    { 'w',
      "wait",
      CLI_VALUE,
      &got.wait_ms,
      "TIME",
      "how long",
      { .kind = VALUE_DURATION, .min = 1, .max = 60000 } },
    { 'n', "count", CLI_VALUE, &got.count, "N", "how many", { .kind = VALUE_UINT, .max = 10 } },
    CLI_FORMAT_OPTION(got.format),
};

static const struct cli_command command = {
    .name = "do it",
    .operands = "FROM [TO]",
    .help = "Does it.",
    .options = table,
    .option_count = GS_COUNT(table),
    .operands_min = 1,
    .operands_max = 2,
};

#define WORDS_MAX 80

static char *words[WORDS_MAX + 1];
static int operands;

/* line: words separated by single blanks; "''" is an empty word. */
static int
parse(const char *line)
{
    static char text[4096];
    char *rest = text;
    int argc = 0;
    int code;

    (void)snprintf(text, sizeof(text), "it%s%s", line[0] ? " " : "", line);
    memset(&got, 0, sizeof(got));
    operands = -1;
    while (rest && argc < WORDS_MAX) {
        words[argc] = strsep(&rest, " ");
        if (strcmp(words[argc], "''") == 0)
            words[argc][0] = '\0';
        argc++;
    }
    words[argc] = NULL;
    capture();
    code = cli_parse(&command, argc, words, &operands);
    release();
    return code;
}

static void
test_forms(void **state)
{
    (void)state;
    assert_int_equal(parse("a --loud -f x --set a=b --set=c=d -ojson --wait 1m -n3 b"), CLI_GO_ON);
    assert_int_equal(operands, 2);
    assert_string_equal(words[1], "a");
    assert_string_equal(words[2], "b");
    assert_true(got.loud);
    assert_false(got.quiet);
    assert_string_equal(got.file, "x");
    assert_int_equal(got.sets.count, 2);
    assert_string_equal(got.sets.items[0], "a=b");
    assert_string_equal(got.sets.items[1], "c=d");
    assert_int_equal(got.format, CLI_JSON);
    assert_int_equal(got.wait_ms, 60000);
    assert_int_equal(got.count, 3);
    assert_int_equal(parse("-lq a"), CLI_GO_ON);
    assert_true(got.loud && got.quiet);
    assert_int_equal(parse("-lfx a"), CLI_GO_ON); /* a switch, and an option with its value */
    assert_true(got.loud);
    assert_string_equal(got.file, "x");
    assert_int_equal(parse("--file= a"), CLI_GO_ON);
    assert_string_equal(got.file, "");
    assert_int_equal(parse("-f '' a"), CLI_GO_ON);
    assert_string_equal(got.file, "");
    assert_int_equal(parse("-f --loud a"), CLI_GO_ON); /* a value may look like an option */
    assert_string_equal(got.file, "--loud");
    assert_int_equal(parse("a -f x -f y"), CLI_GO_ON); /* the later one counts */
    assert_string_equal(got.file, "y");
    assert_int_equal(parse("- -- --loud"), CLI_GO_ON);
    assert_string_equal(words[1], "-");
    assert_string_equal(words[2], "--loud");
    assert_false(got.loud);
}

static void
test_usage_errors(void **state)
{
    static const struct {
        const char *line, *said;
    } rows[] = {
        { "", "its operand is missing" },
        { "a b c", "\"c\" is one word too many" },
        { "a --lod", "did you mean --loud?" },
        { "a --hlep", "did you mean --help?" },
        { "a --nothing-like-it", "gossamer do it --help lists the options" },
        { "a --loud=1", "--loud takes no value" },
        { "a --file", "--file needs a value: --file FILE" },
        { "a -f", "--file needs a value" },
        { "a -x", "there is no option -x" },
        { "a -lx", "there is no option -lx" },
        { "a -o xml", "expected table, wide, json or yaml" },
        { "a -o jsn", "did you mean \"json\"?" },
        { "a --wait 5", "give a unit: 5s or 5ms" },
        { "a --wait 2m", "out of range" },
        { "a -n eleven", "no whole number" },
        { "a -n 11", "out of range" },
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(rows); i++) {
        assert_int_equal(parse(rows[i].line), CLI_USAGE);
        if (!strstr(err_text, rows[i].said))
            fail_msg("%s: %s", rows[i].line, err_text);
        assert_true(strncmp(err_text, "gossamer: do it: ", 17) == 0);
        assert_string_equal(out_text, "");
    }
}

static void
test_too_many_of_one_option(void **state)
{
    char line[1024] = "a";

    (void)state;
    for (int i = 0; i < CLI_TEXTS_MAX; i++)
        (void)snprintf(line + strlen(line), sizeof(line) - strlen(line), " --set=x");
    assert_int_equal(parse(line), CLI_GO_ON);
    assert_int_equal(got.sets.count, CLI_TEXTS_MAX);
    (void)snprintf(line + strlen(line), sizeof(line) - strlen(line), " --set=x");
    assert_int_equal(parse(line), CLI_USAGE);
}

static void
test_help(void **state)
{
    (void)state;
    assert_int_equal(parse("--help"), CLI_GOOD);
    assert_non_null(strstr(out_text, "usage: gossamer do it [OPTION...] FROM [TO]\n"));
    assert_non_null(strstr(out_text, "\n  -f, --file FILE "));
    assert_non_null(strstr(out_text, "\n      --set KEY=VALUE "));
    assert_string_equal(err_text, "");
    assert_int_equal(parse("a b c -h"), CLI_GOOD); /* before what is wrong with the rest */
}

/* ---- verbs ---- */

static int verb_argc;
static char **verb_argv;

static int
verb_run(int argc, char **argv)
{
    verb_argc = argc;
    verb_argv = argv;
    return 42;
}

static const struct cli_verb verbs[] = {
    { "apply", verb_run, "apply it" },
    { "check", verb_run, "check it" },
};

static void
more(struct gs_buf *out)
{
    (void)gs_buf_put_str(out, "and more\n");
}

static int
dispatch(int argc, char **argv)
{
    int code;

    capture();
    code = cli_dispatch("gossamer", verbs, GS_COUNT(verbs), argc, argv, more);
    release();
    return code;
}

static void
test_dispatch(void **state)
{
    char program[] = "gossamer", apply[] = "apply", aply[] = "aply", x[] = "x", flag[] = "--x";
    char help[] = "--help", help_verb[] = "help", far[] = "something";

    (void)state;
    assert_int_equal(dispatch(3, (char *[]){ program, apply, x, NULL }), 42);
    assert_int_equal(verb_argc, 2);
    assert_string_equal(verb_argv[0], "apply");
    assert_string_equal(verb_argv[1], "x");
    assert_int_equal(dispatch(1, (char *[]){ program, NULL }), CLI_USAGE);
    assert_non_null(strstr(err_text, "usage: gossamer VERB"));
    assert_string_equal(out_text, "");
    assert_int_equal(dispatch(2, (char *[]){ program, aply, NULL }), CLI_USAGE);
    assert_non_null(strstr(err_text, "did you mean gossamer apply?"));
    assert_int_equal(dispatch(2, (char *[]){ program, far, NULL }), CLI_USAGE);
    assert_non_null(strstr(err_text, "gossamer --help lists the verbs"));
    assert_int_equal(dispatch(2, (char *[]){ program, flag, NULL }), CLI_USAGE);
    assert_int_equal(dispatch(2, (char *[]){ program, help, NULL }), CLI_GOOD);
    assert_non_null(strstr(out_text, "  apply        apply it\n"));
    assert_non_null(strstr(out_text, "and more\n"));
    assert_int_equal(dispatch(2, (char *[]){ program, help_verb, NULL }), CLI_GOOD);
    assert_int_equal(dispatch(3, (char *[]){ program, help_verb, aply, NULL }), CLI_USAGE);
}

static int
help_run(int argc, char **argv)
{
    assert_int_equal(argc, 2);
    assert_string_equal(argv[1], "--help");
    return CLI_GOOD;
}

static void
test_help_of_a_verb(void **state)
{
    const struct cli_verb one[] = { { "one", help_run, "" } };
    char program[] = "gossamer", help[] = "help", name[] = "one";

    (void)state;
    assert_int_equal(
        cli_dispatch("gossamer", one, 1, 3, (char *[]){ program, help, name, NULL }, NULL),
        CLI_GOOD);
}

/* ---- output ---- */

static const char *
printed(enum cli_format format, const char *json)
{
    capture();
    cli_print_json(format, gs_slice_str(json));
    release();
    return out_text;
}

static void
test_json_as_yaml(void **state)
{
    const char *json = "{\"members\":[{\"name\":\"a\",\"rtt_ms\":1.5,\"tags\":[],\"on\":true,"
                       "\"nested\":{\"x\":null}},{\"name\":\"no\"}],\"missing\":[],\"e\":{},"
                       "\"list\":[[1,2],\"t\\n\"],\"A b\":\"1.0\"}";

    (void)state;
    assert_string_equal(printed(CLI_JSON, "{}"), "{}\n");
    assert_string_equal(printed(CLI_JSON, "{}\n"), "{}\n");
    assert_string_equal(printed(CLI_YAML, json), "members:\n"
                                                 "  - name: \"a\"\n"
                                                 "    rtt_ms: 1.5\n"
                                                 "    tags: []\n"
                                                 "    \"on\": true\n"
                                                 "    nested:\n"
                                                 "      x: null\n"
                                                 "  - name: \"no\"\n"
                                                 "missing: []\n"
                                                 "e: {}\n"
                                                 "list:\n"
                                                 "  -\n"
                                                 "    - 1\n"
                                                 "    - 2\n"
                                                 "  - \"t\\n\"\n"
                                                 "\"A b\": \"1.0\"\n");
    assert_string_equal(printed(CLI_YAML, "7"), "7\n");
    assert_string_equal(printed(CLI_YAML, "no json"), "no json\n"); /* better than nothing */
}

/* What is printed as YAML reads back as the same tree. */
static void
test_yaml_reads_back(void **state)
{
    struct gs_arena arena;
    struct gs_problems problems;
    struct tree_docs docs;

    (void)state;
    gs_arena_init(&arena, NULL, 0, 4096);
    gs_problems_init(&problems);
    (void)printed(CLI_YAML, "{\"a\":[[[\"x\"],{\"b\":[{\"c\":{\"d\":[1]}}]}]],\"e\":\"\\u0001\"}");
    assert_int_equal(tree_parse_yaml(gs_slice_str(out_text), NULL, &arena, &docs, &problems),
                     GS_E_OK);
    assert_string_equal(tree_find(docs.docs[0], "a")->items[0]->items[0]->items[0]->text.ptr, "x");
    assert_string_equal(
        tree_at(tree_find(tree_find(docs.docs[0], "a")->items[0]->items[1], "b")->items[0], "c.d")
            ->items[0]
            ->text.ptr,
        "1");
    assert_string_equal(tree_find(docs.docs[0], "e")->text.ptr, "\x01");
    gs_problems_fini(&problems);
    gs_arena_fini(&arena);
}

static void
test_table(void **state)
{
    static const char *const headers[] = { "NAME", "STATE" };
    struct cli_table t;
    struct gs_buf out;

    (void)state;
    gs_buf_init(&out, 4096);
    cli_table_init(&t, headers, 2);
    cli_table_row(&t, (const char *const[]){ "a", "alive" });
    cli_table_row(&t, (const char *const[]){ "l\xc3\xa4nger", NULL });
    cli_table_render(&t, false, &out);
    assert_string_equal(gs_buf_cstr(&out), "NAME    STATE\na       alive\nl\xc3\xa4nger  -\n");
    gs_buf_clear(&out);
    cli_table_render(&t, true, &out);
    assert_true(strncmp(gs_buf_cstr(&out), "\x1b[1mNAME    STATE\x1b[0m\n", 21) == 0);
    cli_table_fini(&t);
    cli_table_fini(NULL);
    gs_buf_fini(&out);
}

static void
test_colour(void **state)
{
    (void)state;
    (void)unsetenv("CLICOLOR_FORCE");
    (void)unsetenv("NO_COLOR");
    (void)setenv("TERM", "xterm", 1);
    capture();
    assert_false(cli_colour(stdout)); /* a file */
    release();
    (void)setenv("CLICOLOR_FORCE", "1", 1);
    assert_true(cli_colour(stdout));
    (void)setenv("NO_COLOR", "1", 1);
    assert_false(cli_colour(stdout));
    (void)setenv("NO_COLOR", "", 1);
    (void)setenv("CLICOLOR_FORCE", "0", 1);
    (void)setenv("TERM", "dumb", 1);
    assert_false(cli_colour(stdout));
}

static void
test_fail(void **state)
{
    (void)state;
    capture();
    assert_int_equal(cli_fail(CLI_CONFLICT, "type this", "it %s", "failed"), CLI_CONFLICT);
    assert_int_equal(cli_fail(CLI_REFUSED, NULL, "again"), CLI_REFUSED);
    release();
    assert_string_equal(err_text, "gossamer: it failed\n  hint: type this\ngossamer: again\n");
    assert_string_equal(out_text, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_usage_errors),
        cmocka_unit_test(test_too_many_of_one_option),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_dispatch),
        cmocka_unit_test(test_help_of_a_verb),
        cmocka_unit_test(test_json_as_yaml),
        cmocka_unit_test(test_yaml_reads_back),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_colour),
        cmocka_unit_test(test_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
