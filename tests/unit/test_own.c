/* test_own.c - what this node publishes of its services: when, what, and that others take it. */
#include "tests/unit/owners.h"

static const char *const two[] = { "v1", "v2" };

static bool
next(struct world *w, struct model_own *out)
{
    return model_next_own(w->model, out);
}

/* The next record is this one; its content as addresses and tiers: "9001:0 9002:1". */
static void
expect(struct world *w, const char *key, const char *content)
{
    struct endpoints e;
    struct gs_arena arena;
    struct model_own own;
    struct gs_buf text;

    assert_true(next(w, &own));
    assert_true(gs_slice_eq(own.key, gs_slice_str(key)));
    assert_int_equal(own.removed, content == NULL);
    if (!content) {
        assert_int_equal(own.value.len, 0);
        return;
    }
    gs_arena_init(&arena, NULL, 0, 1024);
    gs_buf_init(&text, 4096);
    assert_int_equal(codec_read_endpoints(own.value, &arena, &e), GS_E_OK);
    assert_int_equal(endpoints_check(&e, NULL), GS_E_OK);
    for (size_t i = 0; i < e.count; i++)
        (void)gs_buf_printf(&text, "%s%u:%d", i > 0 ? " " : "", e.instances[i].addr.port,
                            (int)e.instances[i].tier);
    assert_string_equal(gs_buf_cstr(&text), content);
    gs_buf_fini(&text);
    gs_arena_fini(&arena);
}

static void
expect_nothing(struct world *w)
{
    struct model_own own;

    assert_false(next(w, &own));
}

static void
an_instance_is_published_after_its_first_passed_check(void **state)
{
    struct world *w = *state;

    model_set_published(w->model, true);
    set_service(w, "default", "web", 80, two, 2);
    expect_nothing(w);
    set_health(w, "default", "web", 80, 0, TIER_UNHEALTHY); /* it never passed any */
    expect_nothing(w);
    set_health(w, "default", "web", 80, 0, TIER_HEALTHY);
    expect(w, "default/web:80", "9001:0");
    expect_nothing(w);
    set_health(w, "default", "web", 80, 1, TIER_HEALTHY);
    set_health(w, "default", "web", 80, 0, TIER_UNHEALTHY);
    expect(w, "default/web:80", "9001:1 9002:0");
    set_health(w, "default", "web", 80, 0, TIER_UNHEALTHY);
    expect_nothing(w);
    set_health(w, "default", "web", 80, 0, TIER_DRAINING);
    expect(w, "default/web:80", "9001:2 9002:0");
    expect_nothing(w);
}

static void
a_closed_node_publishes_nothing(void **state)
{
    struct world *w = *state;

    set_service(w, "default", "web", 80, two, 2);
    set_service(w, "ai", "llm.v2", 8080, two, 1);
    set_health(w, "default", "web", 80, 0, TIER_HEALTHY);
    set_health(w, "ai", "llm.v2", 8080, 0, TIER_HEALTHY);
    (void)flush(w, 1000);
    expect_nothing(w);
    model_set_published(w->model, true);
    expect(w, "ai/llm.v2:8080", "9001:0");
    expect(w, "default/web:80", "9001:0");
    expect_nothing(w);
    model_set_published(w->model, false);
    set_health(w, "default", "web", 80, 0, TIER_UNHEALTHY);
    expect_nothing(w);
    model_set_published(w->model, true);
    expect(w, "default/web:80", "9001:1");
    expect_nothing(w);
}

static void
what_goes_is_withdrawn_once(void **state)
{
    struct world *w = *state;

    model_set_published(w->model, true);
    set_service(w, "default", "web", 80, two, 2);
    set_service(w, "default", "api", 80, two, 1);
    set_health(w, "default", "web", 80, 1, TIER_HEALTHY);
    set_health(w, "default", "api", 80, 0, TIER_HEALTHY);
    expect(w, "default/api:80", "9001:0");
    model_remove_service(w->model, GS_SLICE("default"), GS_SLICE("api"), 80); /* in the middle */
    expect(w, "default/api:80", NULL);
    expect(w, "default/web:80", "9002:0");
    expect_nothing(w);
    set_service(w, "default", "web", 80, two, 1); /* what was published is not there any more */
    expect(w, "default/web:80", NULL);
    expect_nothing(w);
    set_service(w, "default", "api", 80, two, 1); /* it begins anew */
    expect_nothing(w);
    set_health(w, "default", "api", 80, 0, TIER_HEALTHY);
    expect(w, "default/api:80", "9001:0");
    expect_nothing(w);
}

static void
who_stays_is_not_checked_anew(void **state)
{
    struct world *w = *state;

    model_set_published(w->model, true);
    set_service(w, "default", "web", 80, two, 1);
    set_health(w, "default", "web", 80, 0, TIER_HEALTHY);
    expect(w, "default/web:80", "9001:0");
    set_service(w, "default", "web", 80, two, 2);
    expect_nothing(w);
    set_health(w, "default", "web", 80, 1, TIER_HEALTHY);
    expect(w, "default/web:80", "9001:0 9002:0");
}

static void
draining_is_told_and_changes_nothing_here(void **state)
{
    struct world *w = *state;

    model_set_published(w->model, true);
    set_service(w, "default", "web", 80, two, 2);
    set_health(w, "default", "web", 80, 0, TIER_HEALTHY);
    expect(w, "default/web:80", "9001:0");
    model_set_draining(w->model);
    expect(w, "default/web:80", "9001:2");
    expect_nothing(w);
    (void)flush(w, 1000);
    assert_int_equal(find_service(w, "web", 80)->endpoints[0].tier, TIER_HEALTHY);
}

/* Given  a node that never published anything, and a record of its former run
 * When   it is told to stop
 * Then   what the record may say is draining, whether it was checked yet or not; nothing else */
static void
a_closed_node_drains_what_its_former_run_left(void **state)
{
    struct world *w = *state;
    struct model_record r = record_of(1, "default/web:80", GS_SLICE("\x80"));

    r.version.writer = (struct gs_id){ { 0xa1 } };
    assert_int_equal(model_on_endpoints(w->model, &r, NULL), GS_E_OK);
    set_service(w, "default", "web", 80, two, 2);
    set_service(w, "default", "api", 80, two, 1);
    set_health(w, "default", "web", 80, 0, TIER_HEALTHY);
    expect_nothing(w);
    model_set_draining(w->model);
    expect(w, "default/web:80", "9001:2 9002:2");
    expect_nothing(w);
    set_health(w, "default", "web", 80, 0, TIER_UNHEALTHY);
    expect_nothing(w);
    set_health(w, "default", "web", 80, 1, TIER_PENDING); /* it never was well */
    expect(w, "default/web:80", "9001:2");
    model_set_published(w->model, false);
    set_health(w, "default", "api", 80, 0, TIER_HEALTHY);
    expect_nothing(w);
}

/* Given  a service of two instances, both published
 * When   one is on its way out, and then gone
 * Then   everybody is told so, this node included; its health is no news any more */
static void
one_that_leaves_is_draining_for_all(void **state)
{
    struct world *w = *state;

    model_set_published(w->model, true);
    set_service(w, "default", "web", 80, two, 2);
    set_health(w, "default", "web", 80, 0, TIER_HEALTHY);
    set_health(w, "default", "web", 80, 1, TIER_HEALTHY);
    expect(w, "default/web:80", "9001:0 9002:0");
    set_service_leaving(w, "default", "web", 80, two, 2, 1);
    expect(w, "default/web:80", "9001:0 9002:2");
    expect_nothing(w);
    (void)flush(w, 1000);
    assert_int_equal(find_service(w, "web", 80)->endpoints[0].tier, TIER_HEALTHY);
    assert_int_equal(find_service(w, "web", 80)->endpoints[1].tier, TIER_DRAINING);
    assert_int_equal(find_service(w, "web", 80)->subsets[SUBSET_ALL].count, 1);
    set_health(w, "default", "web", 80, 1, TIER_UNHEALTHY);
    expect_nothing(w);
    set_service(w, "default", "web", 80, two, 2); /* it stays after all */
    expect(w, "default/web:80", "9001:0 9002:1");
    set_service_leaving(w, "default", "web", 80, two, 2, 1);
    expect(w, "default/web:80", "9001:0 9002:2");
    set_service(w, "default", "web", 80, two, 1);
    expect(w, "default/web:80", "9001:0");
    expect_nothing(w);
}

/* Records of a former run come back from the disk. */
static void
what_a_former_run_left_behind_is_withdrawn(void **state)
{
    struct world *w = *state;
    struct model_record r = record_of(1, "default/old:80", GS_SLICE("\x80"));
    struct model_own own;

    r.version.writer = (struct gs_id){ { 0xa1 } }; /* this node */
    assert_int_equal(model_on_endpoints(w->model, &r, NULL), GS_E_OK);
    r.key = GS_SLICE("no key of this version");
    assert_int_equal(model_on_endpoints(w->model, &r, NULL), GS_E_OK);
    r.key = GS_SLICE("default/web:80");
    assert_int_equal(model_on_endpoints(w->model, &r, NULL), GS_E_OK);
    (void)flush(w, 1000);
    assert_null(find_service(w, "old", 80)); /* what is there is what is configured */
    set_service(w, "default", "web", 80, two, 1);
    set_health(w, "default", "web", 80, 0, TIER_HEALTHY);
    expect_nothing(w);
    model_set_published(w->model, true);
    expect(w, "default/old:80", NULL);
    expect(w, "default/web:80", "9001:0");
    expect(w, "no key of this version", NULL);
    expect_nothing(w);
    /* It comes back as it was handed out, and withdrawn. */
    set_health(w, "default", "web", 80, 0, TIER_UNHEALTHY);
    assert_true(next(w, &own));
    r.value = own.value;
    assert_int_equal(model_on_endpoints(w->model, &r, NULL), GS_E_OK);
    r.key = GS_SLICE("default/old:80");
    r.deleted = true;
    assert_int_equal(model_on_endpoints(w->model, &r, NULL), GS_E_OK);
    expect_nothing(w);
}

/* Given  a record of a former run, and a service of two instances
 * When   checks end, one after the other
 * Then   the record stands until the last has, and says then what they found */
static void
a_restart_is_not_felt(void **state)
{
    struct world *w = *state;
    struct model_record r = record_of(1, "default/web:80", GS_SLICE("\x80"));

    r.version.writer = (struct gs_id){ { 0xa1 } };
    model_set_published(w->model, true);
    set_service(w, "default", "web", 80, two, 2);
    assert_int_equal(model_on_endpoints(w->model, &r, NULL), GS_E_OK);
    expect_nothing(w);
    set_health(w, "default", "web", 80, 0, TIER_HEALTHY);
    expect_nothing(w);
    set_health(w, "default", "web", 80, 1, TIER_PENDING);
    expect(w, "default/web:80", "9001:0");
    expect_nothing(w);
}

static void
a_restart_with_nothing_that_is_well_withdraws(void **state)
{
    struct world *w = *state;
    struct model_record r = record_of(1, "default/web:80", GS_SLICE("\x80"));

    r.version.writer = (struct gs_id){ { 0xa1 } };
    model_set_published(w->model, true);
    set_service(w, "default", "web", 80, two, 1);
    assert_int_equal(model_on_endpoints(w->model, &r, NULL), GS_E_OK);
    expect_nothing(w);
    set_health(w, "default", "web", 80, 0, TIER_PENDING);
    expect(w, "default/web:80", NULL);
    expect_nothing(w);
    set_health(w, "default", "web", 80, 0, TIER_HEALTHY);
    expect(w, "default/web:80", "9001:0");
}

/* ---- checked at the source ---- */

static void
what_others_would_not_take_is_refused(void **state)
{
    struct world *w = *state;
    struct policy_pair labels[2] = { { .name = GS_SLICE("b"), .value = GS_SLICE("1") },
                                     { .name = GS_SLICE("a"), .value = GS_SLICE("2") } };
    struct model_instance instance = { .addr = addr_of("127.0.0.1:9001"),
                                       .labels = labels,
                                       .label_count = 2 };
    struct model_service s = { .ns = GS_SLICE("default"),
                               .name = GS_SLICE("web"),
                               .port = 80,
                               .protocol = GS_SLICE("http"),
                               .instances = &instance,
                               .instance_count = 1 };
    struct gs_why why;

    assert_int_equal(model_set_service(w->model, &s, NULL), GS_E_OK);
    labels[1].name = GS_SLICE("b");
    assert_int_equal(model_set_service(w->model, &s, &why), GS_E_INVALID);
    labels[1].name = GS_SLICE("-");
    assert_int_equal(model_set_service(w->model, &s, &why), GS_E_INVALID);
    instance.label_count = 0;
    s.protocol = GS_SLICE("HTTP");
    assert_int_equal(model_set_service(w->model, &s, &why), GS_E_INVALID);
    s.protocol = GS_SLICE("http");
    s.name = GS_SLICE("a/b");
    assert_int_equal(model_set_service(w->model, &s, &why), GS_E_INVALID);
    s.name = GS_SLICE("web");
    instance.addr.port = 0;
    assert_int_equal(model_set_service(w->model, &s, &why), GS_E_INVALID);
}

static void
what_does_not_fit_a_record_is_refused(void **state)
{
    static char value[] = "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv";
    struct world *w = *state;
    struct policy_pair labels[60];
    struct model_instance instances[20];
    struct model_service s = { .ns = GS_SLICE("default"),
                               .name = GS_SLICE("web"),
                               .port = 80,
                               .protocol = GS_SLICE("http"),
                               .instances = instances,
                               .instance_count = 20 };
    char names[60][8];
    struct gs_why why;

    for (unsigned l = 0; l < 60; l++) {
        (void)snprintf(names[l], sizeof(names[l]), "name%u", l);
        labels[l] =
            (struct policy_pair){ .name = gs_slice_str(names[l]), .value = gs_slice_str(value) };
    }
    for (unsigned i = 0; i < 20; i++)
        instances[i] = (struct model_instance){ addr_of("127.0.0.1:9001"), labels, 60 };
    for (unsigned i = 0; i < 20; i++)
        instances[i].addr.port = (uint16_t)(9000 + i);
    assert_int_equal(model_set_service(w->model, &s, &why), GS_E_LIMIT);
    assert_non_null(strstr(why.text, "web is too large to be published"));
    s.instance_count = 10;
    assert_int_equal(model_set_service(w->model, &s, &why), GS_E_OK);
}

/* What one model hands out, another takes as it was meant. */
static void
what_one_publishes_another_routes_to(void **state)
{
    struct world *w = *state;
    const struct service *s;
    struct model_own own;
    struct world other;

    set_service(w, "default", "web", 80, two, 2);
    set_health(w, "default", "web", 80, 0, TIER_HEALTHY);
    set_health(w, "default", "web", 80, 1, TIER_HEALTHY);
    set_health(w, "default", "web", 80, 1, TIER_UNHEALTHY);
    model_set_published(w->model, true);
    world_init(&other);
    set_node(&other, 1, MODEL_NODE_UP, 1000);
    while (next(w, &own)) {
        struct model_record r = { .kind = MODEL_KIND_ENDPOINTS,
                                  .key = own.key,
                                  .value = own.value,
                                  .deleted = own.removed,
                                  .version = { 1, 1, node_id(1) } };

        assert_int_equal(model_on_endpoints(other.model, &r, NULL), GS_E_OK);
    }
    (void)flush(&other, 1000);
    s = find_service(&other, "web", 80);
    assert_int_equal(s->endpoint_count, 2);
    assert_int_equal(s->endpoints[0].tier, TIER_HEALTHY);
    assert_int_equal(s->endpoints[0].addr.port, 9001);
    assert_int_equal(s->endpoints[1].tier, TIER_UNHEALTHY);
    assert_true(gs_slice_eq(s->endpoints[1].labels[0].name, GS_SLICE("version")));
    assert_true(gs_slice_eq(s->endpoints[1].labels[0].value, GS_SLICE("v2")));
    world_fini(&other);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_instance_is_published_after_its_first_passed_check),
        TEST(a_closed_node_publishes_nothing),
        TEST(what_goes_is_withdrawn_once),
        TEST(who_stays_is_not_checked_anew),
        TEST(draining_is_told_and_changes_nothing_here),
        TEST(a_closed_node_drains_what_its_former_run_left),
        TEST(one_that_leaves_is_draining_for_all),
        TEST(what_a_former_run_left_behind_is_withdrawn),
        TEST(a_restart_is_not_felt),
        TEST(a_restart_with_nothing_that_is_well_withdraws),
        TEST(what_others_would_not_take_is_refused),
        TEST(what_does_not_fit_a_record_is_refused),
        TEST(what_one_publishes_another_routes_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
