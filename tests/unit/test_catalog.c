/* test_catalog.c - which version of an object is active, and when: transactions, pending objects,
 * what others need, and what survives a restart. */
#include "tests/unit/models.h"

#define VS POLICY_VIRTUAL_SERVICE
#define DR POLICY_DESTINATION_RULE

static const struct deed once = { .generation = 1 };

static struct model_object
view(const struct world *w, enum policy_kind kind, const char *name)
{
    struct model_object o;

    assert_true(model_find_object(w->model, kind, GS_SLICE("default"), gs_slice_str(name), &o));
    return o;
}

static uint32_t
first_weight(const struct world *w)
{
    const struct service *s = find_service(w, "web", 80);

    assert_non_null(s);
    assert_int_equal(s->rule_count, 1);
    return s->rules[0].backends[0].weight;
}

/* ---- both in any order ---- */

static void
rule_then_service(void **state)
{
    struct world *w = *state;

    set_web(w);
    put_text(w, WEB_DR, once);
    (void)model_flush(w->model, 1000);
    assert_int_equal(state_of(w, DR, "web"), MODEL_ACTIVE);
    put_text(w, WEB_VS("90", "10"), once);
    (void)model_flush(w->model, 1000);
    assert_int_equal(state_of(w, VS, "web"), MODEL_ACTIVE);
    assert_int_equal(first_weight(w), 90);
}

/* No request may see the first without the second. */
static void
service_then_rule(void **state)
{
    struct world *w = *state;
    const struct service *s;
    struct model_object o;

    set_web(w);
    put_text(w, WEB_VS("90", "10"), once);
    (void)model_flush(w->model, 1000);
    o = view(w, VS, "web");
    assert_int_equal(o.state, MODEL_PENDING);
    assert_string_equal(o.why, "subset \"v1\" of web is defined by no DestinationRule");
    assert_int_equal(o.active_version.generation, 0);
    assert_false(find_service(w, "web", 80)->has_policy);
    put_text(w, WEB_DR, once);
    assert_int_equal(model_flush(w->model, 1000).activated, 2);
    assert_int_equal(state_of(w, VS, "web"), MODEL_ACTIVE);
    s = find_service(w, "web", 80);
    assert_int_equal(s->rules[0].backends[0].subset, 1);
    assert_int_equal(s->rules[0].backends[1].subset, 2);
    assert_int_equal(s->subset_count, 3);
}

static void
a_former_version_stays_while_the_next_waits(void **state)
{
    struct world *w = *state;
    struct model_object o;

    set_web(w);
    put_text(w, WEB_DR, once);
    put_text(w, WEB_VS("90", "10"), once);
    (void)model_flush(w->model, 1000);
    put_text(w,
             VS_HEAD("web") "  hosts: [web]\n  http:\n  - route:\n"
                            "    - { destination: { host: web, subset: v3 }, weight: 7 }\n",
             (struct deed){ .generation = 2 });
    (void)model_flush(w->model, 1000);
    o = view(w, VS, "web");
    assert_int_equal(o.state, MODEL_PENDING);
    assert_int_equal(o.version.generation, 2);
    assert_int_equal(o.active_version.generation, 1);
    assert_int_equal(first_weight(w), 90);
    put_text(w, DR_HEAD("web") "  host: web\n  subsets:\n" SUBSET("v1") SUBSET("v2") SUBSET("v3"),
             (struct deed){ .generation = 2 });
    (void)model_flush(w->model, 1000);
    assert_int_equal(state_of(w, VS, "web"), MODEL_ACTIVE);
    assert_int_equal(find_service(w, "web", 80)->rules[0].backends[0].subset, 3);
}

/* Policy objects alone decide, so that all nodes agree: services do not. */
static void
services_do_not_matter_for_pending(void **state)
{
    struct world *w = *state;

    put_text(w, WEB_DR, once);
    put_text(w, WEB_VS("90", "10"), once);
    (void)model_flush(w->model, 1000);
    assert_int_equal(state_of(w, VS, "web"), MODEL_ACTIVE);
    assert_null(find_service(w, "web", 80));
    set_web(w);
    (void)model_flush(w->model, 1000);
    assert_int_equal(first_weight(w), 90);
}

/* ---- transactions ---- */

static struct model_member
member(const char *key, struct gs_version v)
{
    return (struct model_member){ gs_slice_str(key), v };
}

static const struct deed pair = { .generation = 1, .transaction = 77, .transaction_count = 2 };

static void
a_transaction_becomes_active_together(void **state)
{
    struct world *w = *state;

    set_web(w);
    put_text(w, WEB_DR, pair);
    (void)model_flush(w->model, 1000);
    assert_int_equal(state_of(w, DR, "web"), MODEL_PENDING);
    assert_string_equal(view(w, DR, "web").why,
                        "waits for the rest of its transaction (1 of 2 here)");
    assert_int_equal(find_service(w, "web", 80)->subset_count, 1);
    put_text(w, WEB_VS("90", "10"), pair);
    assert_int_equal(model_flush(w->model, 1000).activated, 2);
    assert_int_equal(first_weight(w), 90);
    assert_int_equal(state_of(w, DR, "web"), MODEL_ACTIVE);
}

static void
the_list_tells_superseded_from_late(void **state)
{
    struct world *w = *state;
    struct gs_version dr = put_text(w, WEB_DR, pair);
    struct gs_version vs = dr;
    struct model_member members[2];

    vs.hlc++;
    members[0] = member("DestinationRule/default/web", dr);
    members[1] = member("VirtualService/default/web", vs);
    set_web(w);
    model_on_transaction(w->model, 77, members, 2);
    (void)model_flush(w->model, 1000);
    assert_int_equal(state_of(w, DR, "web"), MODEL_PENDING);
    /* The VirtualService of the transaction never comes: a later version of it does. */
    put_text(w, WEB_VS("60", "40"), (struct deed){ .generation = 2 });
    (void)model_flush(w->model, 1000);
    assert_int_equal(state_of(w, DR, "web"), MODEL_ACTIVE);
    assert_int_equal(state_of(w, VS, "web"), MODEL_ACTIVE);
    assert_int_equal(first_weight(w), 60);
}

static void
the_list_may_come_first_or_last(void **state)
{
    struct world *w = *state;
    struct gs_version dr = { 1, w->hlc, { { 1 } } };
    struct gs_version vs = { 1, w->hlc + (1 << 16), { { 1 } } };
    struct model_member members[2] = { member("DestinationRule/default/web", dr),
                                       member("VirtualService/default/web", vs) };

    set_web(w);
    model_on_transaction(w->model, 77, members, 2);
    model_on_transaction(w->model, 77, members, 2);
    put_text(w, WEB_DR, pair);
    (void)model_flush(w->model, 1000);
    assert_int_equal(state_of(w, DR, "web"), MODEL_PENDING);
    put_text(w, WEB_VS("90", "10"), pair);
    (void)model_flush(w->model, 1000);
    assert_int_equal(state_of(w, VS, "web"), MODEL_ACTIVE);
}

/* A member that waits for a subset holds nobody up. */
static void
one_that_waits_does_not_stop_the_others(void **state)
{
    struct world *w = *state;

    set_web(w);
    put_text(w, DR_HEAD("web") "  host: web\n  subsets:\n" SUBSET("v1"), pair);
    put_text(w, WEB_VS("90", "10"), pair);
    (void)model_flush(w->model, 1000);
    assert_int_equal(state_of(w, DR, "web"), MODEL_ACTIVE);
    assert_int_equal(state_of(w, VS, "web"), MODEL_PENDING);
}

static void
a_deletion_takes_part(void **state)
{
    struct world *w = *state;
    struct model_object o;

    set_web(w);
    put_text(w, WEB_DR, once);
    put_text(w, WEB_VS("90", "10"), once);
    (void)model_flush(w->model, 1000);
    put_text(w, WEB_VS("90", "10"),
             (struct deed){
                 .generation = 2, .deleted = true, .transaction = 5, .transaction_count = 2 });
    (void)model_flush(w->model, 1000);
    assert_int_equal(first_weight(w), 90); /* not before the rest is here */
    assert_int_equal(state_of(w, VS, "web"), MODEL_PENDING);
    put_text(w, WEB_DR,
             (struct deed){
                 .generation = 2, .deleted = true, .transaction = 5, .transaction_count = 2 });
    (void)model_flush(w->model, 1000);
    assert_false(find_service(w, "web", 80)->has_policy);
    assert_int_equal(find_service(w, "web", 80)->subset_count, 1);
    assert_false(model_find_object(w->model, VS, GS_SLICE("default"), GS_SLICE("web"), &o));
}

/* ---- what cannot be used ---- */

static void
a_record_that_cannot_be_used_is_left_out(void **state)
{
    struct world *w = *state;
    struct model_record r = { .kind = VS,
                              .key = GS_SLICE("VirtualService/default/web"),
                              .value = GS_SLICE("\x81\x10\x05"),
                              .version = { 2, 5, { { 1 } } },
                              .hash = { { 9 } } };
    struct model_object o;
    struct gs_why why;

    set_web(w);
    put_text(w, WEB_DR, once);
    put_text(w, WEB_VS("90", "10"), once);
    (void)model_flush(w->model, 1000);
    assert_int_equal(model_on_record(w->model, &r, &why), GS_E_MALFORMED);
    assert_non_null(strstr(why.text, "VirtualService/default/web"));
    (void)model_flush(w->model, 1000);
    o = view(w, VS, "web");
    assert_int_equal(o.state, MODEL_REJECTED);
    assert_int_equal(o.version.generation, 2);
    assert_int_equal(o.active_version.generation, 1);
    assert_null(o.object);
    assert_non_null(o.active);
    assert_int_equal(first_weight(w), 90);
    r.value = GS_SLICE("\x81\x10\x91\xa3web"); /* well formed, but it has no rules */
    r.version.generation = 3;
    r.hash.bytes[0] = 10;
    assert_int_equal(model_on_record(w->model, &r, &why), GS_E_MALFORMED);
    assert_non_null(strstr(why.text, "must be provided"));
    r.key = GS_SLICE("Unheard/default/web");
    assert_int_equal(model_on_record(w->model, &r, &why), GS_E_UNSUPPORTED);
}

/* ---- force, and a restart after it ---- */

static void
restart(const struct world *from, struct world *to, const char *text, struct deed d)
{
    struct gs_buf frame;

    to->hlc = from->hlc;
    gs_buf_init(&frame, 1 << 20);
    for (size_t at = 0; model_next_frame(from->model, &at, &frame);)
        assert_int_equal(model_restore(to->model, gs_buf_slice(&frame), NULL), GS_E_OK);
    gs_buf_fini(&frame);
    set_web(to);
    if (text)
        put_text(to, text, d);
    (void)model_flush(to->model, 1000);
}

static void
a_subset_that_goes_by_force_is_empty(void **state)
{
    struct world *w = *state;
    struct world again;

    set_web(w);
    put_text(w, WEB_DR, once);
    put_text(w, WEB_VS("90", "10"), once);
    (void)model_flush(w->model, 1000);
    put_text(w, WEB_DR, (struct deed){ .generation = 2, .deleted = true });
    (void)model_flush(w->model, 1000);
    assert_int_equal(state_of(w, VS, "web"), MODEL_ACTIVE);
    assert_int_equal(find_service(w, "web", 80)->rules[0].backends[0].subset, UINT32_MAX);
    /* The same after a restart, although the rules alone would say: pending. */
    world_init(&again);
    restart(w, &again, NULL, once);
    assert_int_equal(find_service(&again, "web", 80)->rules[0].backends[0].subset, UINT32_MAX);
    world_fini(&again);
}

static void
the_former_version_survives_a_restart(void **state)
{
    static const char next[] = VS_HEAD(
        "web") "  hosts: [web]\n  http:\n  - route: [{ destination: { host: web, subset: v3 } }]\n";
    struct world *w = *state;
    struct world again;

    set_web(w);
    put_text(w, WEB_DR, once);
    put_text(w, WEB_VS("90", "10"), once);
    put_text(w, WEB_VS("80", "20"), (struct deed){ .generation = 2 });
    (void)model_flush(w->model, 1000);
    put_text(w, next, (struct deed){ .generation = 3 });
    (void)model_flush(w->model, 1000);
    assert_int_equal(state_of(w, VS, "web"), MODEL_PENDING);
    world_init(&again);
    restart(w, &again, WEB_DR, once);
    put_text(&again, next, (struct deed){ .generation = 3 });
    (void)model_flush(again.model, 1000);
    assert_int_equal(state_of(&again, VS, "web"), MODEL_PENDING);
    assert_int_equal(view(&again, VS, "web").active_version.generation, 2);
    assert_int_equal(first_weight(&again), 80);
    model_check(again.model);
    world_fini(&again);
}

static void
what_the_rules_say_anyway_needs_no_frame(void **state)
{
    struct world *w = *state;
    struct gs_buf frame;
    size_t at = 0;

    set_web(w);
    put_text(w, WEB_DR, once);
    put_text(w, WEB_VS("90", "10"), once);
    (void)model_flush(w->model, 1000);
    gs_buf_init(&frame, 65536);
    assert_false(model_next_frame(w->model, &at, &frame));
    gs_buf_fini(&frame);
    assert_int_equal(model_restore(w->model, GS_SLICE("nonsense"), NULL), GS_E_MALFORMED);
}

/* ---- would it do what was meant? ---- */

static gs_err
check(const struct world *w, const char *text, const struct model_key *deletes, size_t delete_count,
      bool force, const char *expected)
{
    struct gs_problems problems;
    struct gs_buf found;
    struct reading r;
    struct model_change c;
    gs_err e;

    reading_init(&r, text, strlen(text));
    assert_int_equal(r.problems.errors, 0);
    c = (struct model_change){ .objects = (const struct policy_object *const *)r.m.objects,
                               .object_count = r.m.count,
                               .deletes = deletes,
                               .delete_count = delete_count,
                               .force = force };
    gs_problems_init(&problems);
    gs_buf_init(&found, 65536);
    e = model_check_change(w->model, &c, &problems);
    for (size_t i = 0; i < problems.count; i++)
        (void)gs_buf_printf(
            &found, "%s%u:%u %s %s\n", problems.items[i].severity == GS_SEV_ERROR ? "" : "w ",
            problems.items[i].line, problems.items[i].column, problems.items[i].code,
            problems.items[i].hint ? problems.items[i].hint : "-");
    if (strcmp(gs_buf_cstr(&found), expected) != 0) {
        for (size_t i = 0; i < problems.count; i++)
            print_error("%s: %s\n", problems.items[i].field ? problems.items[i].field : "-",
                        problems.items[i].message);
    }
    assert_string_equal(gs_buf_cstr(&found), expected);
    gs_buf_fini(&found);
    gs_problems_fini(&problems);
    reading_fini(&r);
    return e;
}

static void
what_others_need_is_not_deleted(void **state)
{
    struct world *w = *state;
    struct model_key dr = { DR, GS_SLICE("default"), GS_SLICE("web") };
    struct model_key both[2] = { dr, { VS, GS_SLICE("default"), GS_SLICE("web") } };

    set_web(w);
    put_text(w, WEB_DR, once);
    put_text(w, WEB_VS("90", "10"), once);
    (void)model_flush(w->model, 1000);
#define GO "change both in one apply, or use --force: its share is then answered 503\n"
    assert_int_equal(check(w, "", &dr, 1, false, "0:0 GS0116 " GO "0:0 GS0116 " GO), GS_E_INVALID);
#undef GO
#define GO "its share is answered 503 from now on\n"
    assert_int_equal(check(w, "", &dr, 1, true, "w 0:0 GS0116 " GO "w 0:0 GS0116 " GO), GS_E_OK);
#undef GO
    assert_int_equal(check(w, "", both, 2, false, ""), GS_E_OK);
    /* A change that drops a subset is the same, and points at the file. */
    assert_int_equal(check(w, DR_HEAD("web") "  host: web\n  subsets:\n" SUBSET("v1"), NULL, 0,
                           false,
                           "5:3 GS0116 change both in one apply, or use --force: its share is then "
                           "answered 503\n"),
                     GS_E_INVALID);
    dr.name = GS_SLICE("nobody");
    assert_int_equal(check(w, "", &dr, 1, false, "0:0 GS0118 -\n"), GS_E_NOT_FOUND);
}

static void
unknown_hosts_are_named_with_near_matches(void **state)
{
    static const char *const one[] = { "v1" };
    struct world *w = *state;

    set_web(w);
    set_service(w, "ai", "tools", 80, one, 1);
    (void)model_flush(w->model, 1000);
    assert_int_equal(check(w,
                           VS_HEAD("a") "  hosts: [wbe]\n  http:\n"
                                        "  - route: [{ destination: { host: tools } }]\n",
                           NULL, 0, false,
                           "w 5:11 GS0108 did you mean web.default?\n"
                           "w 7:36 GS0108 did you mean tools.ai?\n"),
                     GS_E_OK);
    assert_int_equal(check(w, DR_HEAD("a") "  host: nothing-like-it\n", NULL, 0, false,
                           "w 5:9 GS0108 it takes effect as soon as there is a service of that "
                           "name\n"),
                     GS_E_OK);
    assert_int_equal(check(w,
                           VS_HEAD("a") "  hosts: [web]\n  http:\n  - route: [{ destination: "
                                        "{ host: web, port: { number: 8080 } } }]\n",
                           NULL, 0, false, "7:57 GS0117 it has 80\n"),
                     GS_E_INVALID);
}

static void
subsets_are_checked_against_all_that_will_be(void **state)
{
    struct world *w = *state;

    set_web(w);
    put_text(w, WEB_DR, once);
    (void)model_flush(w->model, 1000);
    assert_int_equal(check(w, WEB_VS("90", "10"), NULL, 0, false, ""), GS_E_OK);
    assert_int_equal(check(w,
                           VS_HEAD("web") "  hosts: [web]\n  http:\n"
                                          "  - route: [{ destination: { host: web, subset: v22 } "
                                          "}]\n",
                           NULL, 0, false, "w 7:49 GS0107 did you mean \"v2\"?\n"),
                     GS_E_OK);
    assert_int_equal(
        check(w, DR_HEAD("web") "  host: web\n  subsets:\n" SUBSET("v1") SUBSET("v2") SUBSET("v9"),
              NULL, 0, false, "w 9:5 GS0203 compare its labels with those of the instances\n"),
        GS_E_OK);
    /* Defined where this node does not listen. */
    assert_int_equal(check(w,
                           "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
                           "metadata: { name: far, namespace: far }\nspec:\n"
                           "  host: web.default\n  subsets: [{ name: v5 }]\n---\n" VS_HEAD(
                               "web") "  hosts: [web]\n  http:\n"
                                      "  - route: [{ destination: { host: web, subset: v5 } }]\n",
                           NULL, 0, false, "w 14:49 GS0107 -\n"),
                     GS_E_OK);
}

static void
the_analysis_of_a_node_names_its_objects(void **state)
{
    struct world *w = *state;
    struct gs_problems problems;

    set_web(w);
    put_text(w, WEB_VS("90", "10"), once);
    (void)model_flush(w->model, 1000);
    gs_problems_init(&problems);
    model_analyze(w->model, &problems);
    assert_int_equal(problems.count, 3);
    assert_string_equal(problems.items[0].code, "GS0207");
    assert_non_null(strstr(problems.items[0].message, "default/web is pending"));
    assert_string_equal(problems.items[1].field, "VirtualService/default/web "
                                                 "spec.http[0].route[0].destination.subset");
    gs_problems_fini(&problems);
}

static void
lists_show_state_and_reason(void **state)
{
    struct world *w = *state;
    struct gs_buf out;
    struct json_out j;

    set_web(w);
    put_text(w, WEB_VS("90", "10"), once);
    (void)model_flush(w->model, 1000);
    gs_buf_init(&out, 65536);
    json_init(&j, &out);
    model_objects_json(w->model, POLICY_NONE, GS_SLICE_NONE, &j);
    assert_non_null(strstr(gs_buf_cstr(&out), "\"state\":\"pending\""));
    assert_non_null(strstr(gs_buf_cstr(&out), "\"hosts\":[\"web\"]"));
    assert_non_null(strstr(gs_buf_cstr(&out), "is defined by no DestinationRule"));
    gs_buf_clear(&out);
    json_init(&j, &out);
    model_objects_json(w->model, DR, GS_SLICE_NONE, &j);
    assert_string_equal(gs_buf_cstr(&out), "{\"objects\":[]}");
    gs_buf_fini(&out);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(rule_then_service),
        TEST(service_then_rule),
        TEST(a_former_version_stays_while_the_next_waits),
        TEST(services_do_not_matter_for_pending),
        TEST(a_transaction_becomes_active_together),
        TEST(the_list_tells_superseded_from_late),
        TEST(the_list_may_come_first_or_last),
        TEST(one_that_waits_does_not_stop_the_others),
        TEST(a_deletion_takes_part),
        TEST(a_record_that_cannot_be_used_is_left_out),
        TEST(a_subset_that_goes_by_force_is_empty),
        TEST(the_former_version_survives_a_restart),
        TEST(what_the_rules_say_anyway_needs_no_frame),
        TEST(what_others_need_is_not_deleted),
        TEST(unknown_hosts_are_named_with_near_matches),
        TEST(subsets_are_checked_against_all_that_will_be),
        TEST(the_analysis_of_a_node_names_its_objects),
        TEST(lists_show_state_and_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
