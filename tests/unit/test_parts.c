/* test_parts.c - several files in one body: what is put comes out, and nothing else is taken. */
#include "panics.h"

#include "mesh/parts.h"

static struct part
part_of(const char *name, const char *bytes)
{
    return (struct part){ gs_slice_str(name), gs_slice_str(bytes) };
}

static void
put_comes_out_in_order(void **state)
{
    static const char *const files[][2] = {
        { "a.yaml", "kind: A\n" },
        { "", "" },
        { "dir with blanks/b.yaml", "no newline at the end" },
        { "c", "12 d\nlooks like a part\n" },
    };
    struct gs_slice rest;
    struct gs_buf out;
    struct part p;

    (void)state;
    gs_buf_init(&out, 4096);
    for (size_t i = 0; i < GS_COUNT(files); i++) {
        p = part_of(files[i][0], files[i][1]);
        parts_put(&out, &p);
    }
    rest = gs_buf_slice(&out);
    for (size_t i = 0; i < GS_COUNT(files); i++) {
        assert_int_equal(parts_next(&rest, &p, NULL), GS_E_OK);
        assert_true(gs_slice_eq(p.name, gs_slice_str(files[i][0])));
        assert_true(gs_slice_eq(p.bytes, gs_slice_str(files[i][1])));
    }
    assert_int_equal(parts_next(&rest, &p, NULL), GS_E_NOT_FOUND);
    gs_buf_fini(&out);
}

static void
names_hold_no_control_characters(void **state)
{
    struct part p = part_of("a\nb\tc", "x");
    struct gs_buf out;

    (void)state;
    gs_buf_init(&out, 64);
    parts_put(&out, &p);
    assert_true(gs_slice_eq(gs_buf_slice(&out), GS_SLICE("1 a?b?c\nx")));
    gs_buf_fini(&out);
}

static void
anything_else_is_refused_with_a_reason(void **state)
{
    static const char *const bodies[] = {
        "no newline",
        "\n",
        " a\nx",
        "x a\nx",
        "-1 a\nx",
        "+1 a\nx",
        "1a\nx",
        "1\nx",
        "2 a\nx",
        "99999999999 a\nx",
        "18446744073709551616 a\nx",
        "apiVersion: v1\nkind: List\n",
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(bodies); i++) {
        struct gs_slice rest = gs_slice_str(bodies[i]);
        struct gs_why why = { "" };
        struct part p;

        assert_int_equal(parts_next(&rest, &p, &why), GS_E_MALFORMED);
        assert_true(why.text[0] != '\0');
        assert_true(rest.ptr == bodies[i]); /* nothing was cut off */
    }
}

static void
every_prefix_ends_or_is_refused(void **state)
{
    static const char body[] = "3 a\nxyz2 b\nxy";

    (void)state;
    for (size_t len = 0; len < sizeof(body) - 1; len++) {
        struct gs_slice rest = gs_slice(body, len);
        struct part p;
        gs_err e;

        while ((e = parts_next(&rest, &p, NULL)) == GS_E_OK)
            assert_true(p.bytes.ptr + p.bytes.len <= body + len);
        assert_int_equal(e, len == 0 || len == 7 ? GS_E_NOT_FOUND : GS_E_MALFORMED);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_comes_out_in_order),
        cmocka_unit_test(names_hold_no_control_characters),
        cmocka_unit_test(anything_else_is_refused_with_a_reason),
        cmocka_unit_test(every_prefix_ends_or_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
