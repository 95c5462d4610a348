/* test_edit.c - which object a finding belongs to, and the answer to an edit that never met a node:
 * a dry run, and files that hold nothing of ours. */
#include "panics.h"

#include "mesh/edit.h"

static const struct policy_object first = { .kind = POLICY_VIRTUAL_SERVICE,
                                            .ns = { "ai", 2 },
                                            .name = { "tools", 5 },
                                            .file = "a.yaml",
                                            .place = { .line = 5, .column = 3 } };
static const struct policy_object second = { .kind = POLICY_DESTINATION_RULE,
                                             .ns = { "ai", 2 },
                                             .name = { "tools", 5 },
                                             .file = "a.yaml",
                                             .place = { .line = 20, .column = 3 } };
static const struct policy_object other = { .kind = POLICY_DESTINATION_RULE,
                                            .ns = { "ai", 2 },
                                            .name = { "other", 5 },
                                            .file = "b.yaml",
                                            .place = { .line = 5, .column = 3 } };
static const struct policy_object placeless = { .kind = POLICY_VIRTUAL_SERVICE,
                                                .ns = { "ai", 2 },
                                                .name = { "made", 4 } };

static size_t
owner_of(const struct policy_object *const *objects, size_t count, const char *file, unsigned line,
         unsigned column)
{
    struct gs_problem p = { .file = file, .line = line, .column = column };

    return edit_object_of(objects, count, &p);
}

static void
a_finding_belongs_to_the_object_it_stands_in(void **state)
{
    const struct policy_object *const all[] = { &first, &second, &other };

    (void)state;
    assert_int_equal(owner_of(all, 3, "a.yaml", 5, 3), 0);
    assert_int_equal(owner_of(all, 3, "a.yaml", 19, 80), 0);
    assert_int_equal(owner_of(all, 3, "a.yaml", 20, 3), 1);
    assert_int_equal(owner_of(all, 3, "a.yaml", 99, 1), 1);
    assert_int_equal(owner_of(all, 3, "b.yaml", 7, 1), 2);
    assert_true(owner_of(all, 3, "a.yaml", 5, 2) == SIZE_MAX);
    assert_true(owner_of(all, 3, "c.yaml", 7, 1) == SIZE_MAX);
    assert_true(owner_of(all, 3, NULL, 7, 1) == SIZE_MAX);
    assert_true(owner_of(all, 0, "a.yaml", 7, 1) == SIZE_MAX);
}

static void
without_places_only_one_object_can_be_meant(void **state)
{
    const struct policy_object *const one[] = { &placeless };
    const struct policy_object *const two[] = { &placeless, &placeless };

    (void)state;
    assert_int_equal(owner_of(one, 1, NULL, 0, 0), 0);
    assert_true(owner_of(two, 2, NULL, 0, 0) == SIZE_MAX);
}

static void
assert_answer(const struct edit *e, const char *want)
{
    struct edit_confirmation c = { .confirmed = true, .ms = 1.5 };
    struct gs_buf out;

    gs_buf_init(&out, 65536);
    edit_answer_json(e, &c, &out);
    assert_string_equal(gs_buf_cstr(&out), want);
    gs_buf_fini(&out);
}

static void
a_dry_run_says_what_would_change(void **state)
{
    const struct policy_object *const all[] = { &first, &second };
    struct edit_outcome outcomes[] = {
        { .key = { POLICY_VIRTUAL_SERVICE, { "ai", 2 }, { "tools", 5 } },
          .version = { .generation = 2, .hlc = 16 },
          .unchanged = true },
        { .key = { POLICY_DESTINATION_RULE, { "ai", 2 }, { "tools", 5 } } },
    };
    struct edit e = { .objects = all, .object_count = 2, .dry_run = true, .outcomes = outcomes };

    (void)state;
    gs_problems_init(&e.problems);
    (void)gs_problems_add(&e.problems, GS_SEV_WARNING, "GS0201", "a.yaml", 21, 5, NULL, "late");
    (void)gs_problems_add(&e.problems, GS_SEV_NOTE, "GS0000", "a.yaml", 21, 5, NULL, "not told");
    assert_answer(&e, "{\"applied\":["
                      "{\"kind\":\"VirtualService\",\"namespace\":\"ai\",\"name\":\"tools\","
                      "\"version\":\"2.0000000000000010.00000000000000000000000000000000\","
                      "\"state\":\"unchanged\",\"warnings\":[]},"
                      "{\"kind\":\"DestinationRule\",\"namespace\":\"ai\",\"name\":\"tools\","
                      "\"version\":null,\"state\":\"changed\",\"warnings\":[{\"code\":\"GS0201\","
                      "\"message\":\"late\",\"file\":\"a.yaml\",\"line\":21,\"column\":5}]}],"
                      "\"skipped\":[],\"warnings\":[],\"dry_run\":true,"
                      "\"asked\":0,\"confirmed\":0,\"ms\":1.5,\"laggards\":[]}");
    gs_problems_fini(&e.problems);
}

static void
files_without_ours_are_an_answer_too(void **state)
{
    struct manifest_skipped skipped = {
        .api_version = "v1", .kind = "Service", .name = "tools", .line = 3
    };
    struct edit e = { .manifest = { .skipped = &skipped, .skipped_count = 1 } };

    (void)state;
    gs_problems_init(&e.problems);
    assert_answer(&e, "{\"applied\":[],\"skipped\":[{\"apiVersion\":\"v1\",\"kind\":\"Service\","
                      "\"name\":\"tools\",\"line\":3}],\"warnings\":[],\"asked\":0,"
                      "\"confirmed\":0,\"ms\":1.5,\"laggards\":[]}");
    gs_problems_fini(&e.problems);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_finding_belongs_to_the_object_it_stands_in),
        cmocka_unit_test(without_places_only_one_object_can_be_meant),
        cmocka_unit_test(a_dry_run_says_what_would_change),
        cmocka_unit_test(files_without_ours_are_an_answer_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
