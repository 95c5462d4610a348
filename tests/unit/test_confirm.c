/* test_confirm.c - the list of what is to be confirmed, there and back. */
#include "panics.h"

#include <gossamer/limits.h>

#include "mesh/confirm.h"

static struct gs_version
version(uint64_t generation, uint64_t hlc, uint8_t writer)
{
    return (struct gs_version){ generation, hlc, { { writer } } };
}

static void
a_list_comes_back_sorted(void **state)
{
    struct confirm_item in[APPLY_OBJECTS_MAX], out[APPLY_OBJECTS_MAX];
    size_t count;
    struct gs_buf text;

    (void)state;
    for (size_t i = 0; i < GS_COUNT(in); i++) {
        struct gs_version v = version(i + 1, UINT64_MAX - i, 7);
        char key[32];

        (void)snprintf(key, sizeof(key), "Note/default/n%zu", i);
        in[i] = confirm_item(gs_slice_str(key), &v, i % 2 ? CONFIRM_DELETED : CONFIRM_PENDING);
    }
    gs_buf_init(&text, MUX_HEADER_BYTES_MAX - 256); /* the longest fits a request */
    confirm_list_put(&text, in, GS_COUNT(in));
    assert_false(text.failed);
    assert_int_equal(confirm_list_read(gs_buf_slice(&text), out, &count), GS_E_OK);
    assert_int_equal(count, GS_COUNT(in));
    for (size_t i = 0; i < count; i++) {
        size_t k = (size_t)out[i].generation - 1;

        assert_true(i == 0 || out[i - 1].key <= out[i].key);
        assert_true(out[i].key == in[k].key && out[i].hlc == in[k].hlc);
        assert_true(out[i].writer == in[k].writer && out[i].flags == in[k].flags);
    }
    gs_buf_fini(&text);
}

static void
junk_is_refused(void **state)
{
    static const char *const junk[] = {
        "", "A", "AAAA", "%", "AAAA=", "A A", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/"
    };
    struct confirm_item out[APPLY_OBJECTS_MAX];
    size_t count;

    (void)state;
    for (size_t i = 0; i < GS_COUNT(junk); i++)
        assert_int_not_equal(confirm_list_read(gs_slice_str(junk[i]), out, &count), GS_E_OK);
}

static void
too_long_a_list_is_refused(void **state)
{
    struct confirm_item out[APPLY_OBJECTS_MAX];
    struct gs_buf text;
    size_t count;

    (void)state;
    gs_buf_init(&text, 1u << 20);
    for (int i = 0; i < 400; i++)
        (void)gs_buf_put_str(&text, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_int_equal(confirm_list_read(gs_buf_slice(&text), out, &count), GS_E_LIMIT);
    gs_buf_fini(&text);
}

static void
later_versions_will_do(void **state)
{
    struct gs_version v = version(3, 50, 9), late = version(4, 1, 1), early = version(2, 99, 255);
    struct gs_version clock = version(3, 51, 0), writer = version(3, 50, 10);
    struct gs_version other = version(3, 50, 8);
    struct confirm_item wanted = confirm_item(GS_SLICE("Note/a/b"), &v, 0);

    (void)state;
    assert_true(confirm_item_met(&wanted, &v));
    assert_true(confirm_item_met(&wanted, &late));
    assert_true(confirm_item_met(&wanted, &clock));
    assert_true(confirm_item_met(&wanted, &writer));
    assert_false(confirm_item_met(&wanted, &early));
    assert_false(confirm_item_met(&wanted, &other));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_comes_back_sorted),
        cmocka_unit_test(junk_is_refused),
        cmocka_unit_test(too_long_a_list_is_refused),
        cmocka_unit_test(later_versions_will_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
