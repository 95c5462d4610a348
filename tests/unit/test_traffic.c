/* test_traffic.c - when endpoints are ejected: which rule's word holds for which subset, and what
 * people are shown of it. */
#include "tests/unit/models.h"

static const struct deed once;

#define TRAFFIC(name, ns, spec)                                                                    \
    "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { name: " name           \
    ", namespace: " ns " }\nspec:\n  host: web.default\n" spec
#define OUTLIERS(fields) "{ outlierDetection: { " fields " } }\n"

static const struct outlier_policy *
policy_of(const struct world *w, uint16_t port, const char *subset)
{
    const struct service *s = find_service(w, "web", port);
    uint32_t at = service_subset(s, gs_slice_str(subset));

    assert_true(at < s->subset_count);
    return s->subsets[at].outliers ? s->subsets[at].outliers : &outlier_policy_default;
}

static void
nothing_written_is_the_default(void **state)
{
    struct world *w = *state;

    set_web(w);
    put_text(w, WEB_DR, once);
    (void)model_flush(w->model, 1000);
    for (uint32_t i = 0; i < 3; i++)
        assert_null(find_service(w, "web", 80)->subsets[i].outliers);
    assert_int_equal(outlier_policy_default.errors_5xx, 5);
    assert_int_equal(outlier_policy_default.errors_gateway, 0);
    assert_false(outlier_policy_default.split);
    assert_int_equal(outlier_policy_default.base_ms, 30000);
    assert_int_equal(outlier_policy_default.interval_ms, 10000);
    assert_int_equal(outlier_policy_default.max_percent, 30);
    assert_int_equal(outlier_policy_default.min_health_percent, 0);
}

static void
what_is_left_out_has_its_default(void **state)
{
    struct world *w = *state;
    const struct outlier_policy *p;

    set_web(w);
    put_text(w, TRAFFIC("a", "default", "  trafficPolicy: " OUTLIERS("")), once);
    (void)model_flush(w->model, 1000);
    p = find_service(w, "web", 80)->subsets[SUBSET_ALL].outliers;
    assert_non_null(p);
    assert_memory_equal(p, &outlier_policy_default, sizeof(*p));
    put_text(w,
             TRAFFIC("a", "default",
                     "  trafficPolicy: " OUTLIERS("consecutive5xxErrors: 0, "
                                                  "consecutiveGatewayErrors: 4, interval: 1s, "
                                                  "baseEjectionTime: 5s, maxEjectionPercent: 60, "
                                                  "minHealthPercent: 40")),
             (struct deed){ .generation = 2 });
    assert_int_equal(model_flush(w->model, 1000).rebuilt, 1);
    p = policy_of(w, 80, "");
    assert_int_equal(p->errors_5xx, 0);
    assert_int_equal(p->errors_gateway, 4);
    assert_int_equal(p->errors_local, 0);
    assert_int_equal(p->interval_ms, 1000);
    assert_int_equal(p->base_ms, 5000);
    assert_int_equal(p->max_percent, 60);
    assert_int_equal(p->min_health_percent, 40);
    put_text(w,
             TRAFFIC("a", "default",
                     "  trafficPolicy: " OUTLIERS("splitExternalLocalOriginErrors: true")),
             (struct deed){ .generation = 3 });
    (void)model_flush(w->model, 1000);
    p = policy_of(w, 80, "");
    assert_true(p->split);
    assert_int_equal(p->errors_5xx, 5);
    assert_int_equal(p->errors_local, 5);
}

/* Of a subset, a whole section replaces the service's; of a port, it replaces all sections. */
static void
the_nearest_section_holds(void **state)
{
    static const char *const one[] = { "v1", "v2" };
    struct world *w = *state;

    set_web(w);
    set_service(w, "default", "web", 81, one, 2);
    set_service(w, "default", "web", 82, one, 2);
    for (unsigned i = 0; i < 2; i++) {
        set_health(w, "default", "web", 81, i, TIER_HEALTHY);
        set_health(w, "default", "web", 82, i, TIER_HEALTHY);
    }
    put_text(w,
             TRAFFIC("a", "default",
                     "  trafficPolicy:\n"
                     "    outlierDetection: { consecutive5xxErrors: 7, baseEjectionTime: 7s }\n"
                     "    portLevelSettings:\n"
                     "    - port: { number: 81 }\n"
                     "      outlierDetection: { consecutive5xxErrors: 8 }\n"
                     "  subsets:\n"
                     "  - { name: v1, labels: { version: v1 } }\n"
                     "  - name: v2\n    labels: { version: v2 }\n"
                     "    trafficPolicy:\n"
                     "      outlierDetection: { consecutive5xxErrors: 9 }\n"
                     "      portLevelSettings:\n"
                     "      - port: { number: 82 }\n"
                     "        outlierDetection: { consecutive5xxErrors: 10 }\n"),
             once);
    (void)model_flush(w->model, 1000);
    assert_int_equal(policy_of(w, 80, "")->errors_5xx, 7);
    assert_int_equal(policy_of(w, 80, "v1")->errors_5xx, 7);
    assert_int_equal(policy_of(w, 80, "v1")->base_ms, 7000);
    assert_int_equal(policy_of(w, 80, "v2")->errors_5xx, 9);
    assert_int_equal(policy_of(w, 80, "v2")->base_ms, 30000); /* sections are not mixed */
    assert_int_equal(policy_of(w, 81, "")->errors_5xx, 8);
    assert_int_equal(policy_of(w, 81, "")->base_ms, 30000);
    assert_int_equal(policy_of(w, 81, "v1")->errors_5xx, 8);
    assert_int_equal(policy_of(w, 81, "v2")->errors_5xx, 9);
    assert_int_equal(policy_of(w, 82, "")->errors_5xx, 7);
    assert_int_equal(policy_of(w, 82, "v2")->errors_5xx, 10);
}

static void
the_first_rule_of_the_nearest_namespace_holds(void **state)
{
    struct world *w = *state;

    set_web(w);
    put_text(w, TRAFFIC("root", "istio-system", "  trafficPolicy: " OUTLIERS("interval: 9s")),
             once);
    (void)model_flush(w->model, 1000);
    assert_int_equal(policy_of(w, 80, "")->interval_ms, 9000);
    put_text(w, TRAFFIC("b-older", "default", "  subsets: [{ name: v1 }]\n"), once);
    (void)model_flush(w->model, 1000); /* a nearer rule, although it does not speak of it */
    assert_int_equal(policy_of(w, 80, "")->interval_ms, 10000);
    put_text(w, TRAFFIC("c-next", "default", "  trafficPolicy: " OUTLIERS("interval: 2s")), once);
    put_text(w, TRAFFIC("a-last", "default", "  trafficPolicy: " OUTLIERS("interval: 3s")), once);
    (void)model_flush(w->model, 1000);
    assert_int_equal(policy_of(w, 80, "")->interval_ms, 2000);
}

/* ---- for people ---- */

static void
explain(const struct world *w, uint64_t now_ms, struct gs_buf *out)
{
    struct json_out j;

    gs_buf_clear(out);
    json_init(&j, out);
    explain_json(snapshot_current(w->hub), find_service(w, "web", 80), UINT32_MAX, now_ms, &j);
}

static void
assert_holds(struct gs_buf *out, const char *part, bool yes)
{
    if ((strstr(gs_buf_cstr(out), part) != NULL) != yes)
        fail_msg("%s %s\nin %s", part, yes ? "is missing" : "is there", gs_buf_cstr(out));
}

static void
who_is_not_picked_is_told_why(void **state)
{
    struct world *w = *state;
    struct slot *slot;
    struct gs_buf out;
    struct json_out j;

    set_web(w);
    set_health(w, "default", "web", 80, 2, TIER_UNHEALTHY);
    (void)model_flush(w->model, 1000);
    slot = slots_at(w->slots, find_service(w, "web", 80)->endpoints[0].slot);
    gs_buf_init(&out, 65536);
    explain(w, 1000, &out);
    assert_holds(
        &out,
        "\"address\":\"127.0.0.1:9001\",\"node\":\"n1\",\"state\":\"healthy\",\"weight\":100}",
        true);
    assert_holds(
        &out,
        "\"unused\":[{\"address\":\"127.0.0.1:9003\",\"node\":\"n1\",\"state\":"
        "\"unhealthy\",\"why\":\"its node says that it is unhealthy, and others are healthy\"}]",
        true);
    atomic_store(&slot->ejections, 2);
    atomic_store(&slot->ejection, ejection_word(60500, EJECTION_OUT));
    explain(w, 1000, &out);
    assert_holds(&out, "\"endpoints\":[{\"address\":\"127.0.0.1:9002\"", true);
    assert_holds(&out,
                 "\"unused\":[{\"address\":\"127.0.0.1:9001\",\"node\":\"n1\",\"state\":"
                 "\"ejected\",\"why\":\"ejected for its faults (2. time in a row), tried again in "
                 "60 s\"}",
                 true);
    assert_holds(&out, "\"panic\":false", true);
    explain(w, 60500, &out);
    assert_holds(&out, "its time is over, the next request tries it", true);
    atomic_store(&slot->ejection, ejection_word(90000, EJECTION_TRIED));
    explain(w, 60500, &out);
    assert_holds(&out, "a request tries it now", true);
    gs_buf_clear(&out);
    json_init(&j, &out);
    model_endpoints_json(w->model, GS_SLICE_NONE, GS_SLICE("web"),
                         &(struct model_reading){ .now_ms = 60000, .wall_ms = 1000000 }, &j);
    assert_holds(&out, "\"state\":\"ejected\",\"ejected_until\":1030,", true);
    assert_holds(&out, "\"state\":\"healthy\",\"ejected_until\":null,", true);
    atomic_store(&slots_at(w->slots, find_service(w, "web", 80)->endpoints[1].slot)->ejection,
                 ejection_word(90000, EJECTION_OUT));
    explain(w, 60000, &out);
    assert_holds(&out, "\"panic\":true", true); /* nobody else is left */
    gs_buf_fini(&out);
}

/* Given  an endpoint that is out
 * When   it is unwell by its owner's word, and then well again
 * Then   it may be tried at once: what we held against it was before */
static void
a_fresh_word_of_its_owner_lets_it_be_tried(void **state)
{
    struct world *w = *state;
    struct slot *slot;

    set_web(w);
    (void)model_flush(w->model, 1000);
    slot = slots_at(w->slots, find_service(w, "web", 80)->endpoints[0].slot);
    atomic_store(&slot->ejection, ejection_word(60000, EJECTION_OUT));
    set_health(w, "default", "web", 80, 0, TIER_HEALTHY); /* as before: no news */
    (void)model_flush(w->model, 2000);
    assert_int_equal(ejection_until_ms(atomic_load(&slot->ejection)), 60000);
    set_health(w, "default", "web", 80, 0, TIER_UNHEALTHY);
    (void)model_flush(w->model, 3000);
    assert_int_equal(ejection_until_ms(atomic_load(&slot->ejection)), 60000);
    set_health(w, "default", "web", 80, 0, TIER_HEALTHY);
    (void)model_flush(w->model, 4000);
    assert_int_equal(atomic_load(&slot->ejection), ejection_word(4000, EJECTION_OUT));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_written_is_the_default), TEST(what_is_left_out_has_its_default),
        TEST(the_nearest_section_holds),      TEST(the_first_rule_of_the_nearest_namespace_holds),
        TEST(who_is_not_picked_is_told_why),  TEST(a_fresh_word_of_its_owner_lets_it_be_tried),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
