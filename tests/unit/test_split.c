/* test_split.c - `gossamer split`: the VirtualService that says so, or why there is none. */
#include "tests/unit/models.h"

static const struct deed once = { .generation = 1 };

/* What the split makes, as JSON of its spec; or the first error. */
static void
assert_split(const struct world *w, const char *service, const char *shares, const char *expected,
             const char *hint)
{
    struct split_weight weights[16];
    struct gs_slice rest = gs_slice_str(shares);
    struct gs_slice part;
    struct gs_problems problems;
    struct gs_arena arena;
    struct policy_object *o = NULL;
    struct gs_buf out;
    struct json_out j;
    size_t count = 0;

    while (gs_slice_cut(&rest, ' ', &part))
        assert_int_equal(split_weight_parse(part, &weights[count++], NULL), GS_E_OK);
    gs_problems_init(&problems);
    gs_arena_init(&arena, NULL, 0, 1024);
    gs_buf_init(&out, 65536);
    json_init(&j, &out);
    if (model_split(w->model, gs_slice_str(service), GS_SLICE("default"), weights, count, &arena,
                    &o, &problems) == GS_E_OK)
        policy_export(o, NULL, 0, &j);
    else
        (void)gs_buf_put_str(&out, problems.items[0].message);
    if (!strstr(gs_buf_cstr(&out), expected))
        print_error("%s\n", gs_buf_cstr(&out));
    assert_non_null(strstr(gs_buf_cstr(&out), expected));
    if (hint) {
        if (!strstr(problems.items[0].hint, hint))
            print_error("%s\n", problems.items[0].hint);
        assert_non_null(strstr(problems.items[0].hint, hint));
    }
    gs_buf_fini(&out);
    gs_arena_fini(&arena);
    gs_problems_fini(&problems);
}

#define D(subset, weight)                                                                          \
    "{\"destination\":{\"host\":\"web\",\"subset\":\"" subset "\"},\"weight\":" weight "}"

static void
without_one_a_virtual_service_is_made(void **state)
{
    struct world *w = *state;

    set_web(w);
    put_text(w, WEB_DR, once);
    (void)model_flush(w->model, 1000);
    assert_split(w, "web", "v1=90 v2=10",
                 "{\"apiVersion\":\"networking.istio.io/v1\",\"kind\":\"VirtualService\","
                 "\"metadata\":{\"name\":\"web\",\"namespace\":\"default\"},\"spec\":{\"hosts\":"
                 "[\"web\"],\"http\":[{\"route\":[" D("v1", "90") "," D("v2", "10") "]}]}}",
                 NULL);
    assert_split(w, "web.default", "v1=1", "\"hosts\":[\"web\"]", NULL);
    assert_split(w, "web.default.svc.cluster.local", "v1=1", "\"hosts\":[\"web\"]", NULL);
}

static void
the_one_weighted_route_gets_the_weights(void **state)
{
    struct world *w = *state;

    set_web(w);
    put_text(w, DR_HEAD("web") "  host: web\n  subsets:\n" SUBSET("v1") SUBSET("v2") SUBSET("v3"),
             once);
    put_text(w,
             VS_HEAD("mine") "  hosts: [web.default.svc.cluster.local]\n  http:\n"
                             "  - match: [{ headers: { x: {} } }]\n"
                             "    route: [{ destination: { host: web, subset: v3 } }]\n"
                             "  - route:\n"
                             "    - { destination: { host: web, subset: v1 }, weight: 90 }\n"
                             "    - { destination: { host: web, subset: v2 }, weight: 10 }\n"
                             "    timeout: 3s\n",
             once);
    (void)model_flush(w->model, 1000);
    assert_split(w, "web", "v1=50 v2=50",
                 "\"http\":[{\"match\":[{\"headers\":{\"x\":{}}}],\"route\":[{\"destination\":"
                 "{\"host\":\"web\",\"subset\":\"v3\"}}]},{\"route\":[" D("v1", "50") "," D(
                     "v2", "50") "],\"timeout\":\"3s\"}]",
                 NULL);
    assert_split(w, "web", "v1=50 v2=50", "\"name\":\"mine\"", NULL);
    /* One that is not named keeps its place with nothing; a new one comes last. */
    assert_split(w, "web", "v3=5 v1=95", D("v1", "95") "," D("v2", "0") "," D("v3", "5"), NULL);
}

static void
a_plain_route_becomes_a_weighted_one(void **state)
{
    struct world *w = *state;

    set_web(w);
    put_text(w, WEB_DR, once);
    put_text(
        w, VS_HEAD("web") "  hosts: [web]\n  http: [{ route: [{ destination: { host: web } }] }]\n",
        once);
    (void)model_flush(w->model, 1000);
    assert_split(w, "web", "v1=2 v2=1", "[" D("v1", "2") "," D("v2", "1") "]", NULL);
}

static void
what_is_not_clear_is_refused(void **state)
{
    struct world *w = *state;

    set_web(w);
    put_text(w, WEB_DR, once);
    put_text(w,
             VS_HEAD("web") "  hosts: [web]\n  http:\n"
                            "  - match: [{ uri: { prefix: /a } }]\n    route:\n"
                            "    - { destination: { host: web, subset: v1 }, weight: 1 }\n"
                            "    - { destination: { host: web, subset: v2 }, weight: 1 }\n"
                            "  - route:\n"
                            "    - { destination: { host: web, subset: v1 }, weight: 1 }\n"
                            "    - { destination: { host: web, subset: v2 }, weight: 1 }\n",
             once);
    (void)model_flush(w->model, 1000);
    assert_split(
        w, "web", "v1=1 v2=1", "has several weighted routes",
        "gossamer get VirtualService web -n default -o yaml > FILE; gossamer apply -f FILE");
    put_text(w,
             VS_HEAD("web") "  hosts: [web]\n  http:\n  - route:\n"
                            "    - { destination: { host: web, subset: v1 }, weight: 1 }\n"
                            "    - { destination: { host: other }, weight: 1 }\n",
             (struct deed){ .generation = 2 });
    (void)model_flush(w->model, 1000);
    assert_split(w, "web", "v1=1 v2=1", "leads to other hosts", NULL);
    put_text(w,
             VS_HEAD("web") "  hosts: [web]\n  http:\n"
                            "  - match: [{ uri: { prefix: /a } }]\n"
                            "    route: [{ destination: { host: web } }]\n",
             (struct deed){ .generation = 3 });
    (void)model_flush(w->model, 1000);
    assert_split(w, "web", "v1=1 v2=1", "no weighted route", NULL);
}

static void
what_makes_no_sense_is_refused(void **state)
{
    struct world *w = *state;

    set_web(w);
    put_text(w, WEB_DR, once);
    (void)model_flush(w->model, 1000);
    assert_split(w, "web", "v1=0 v2=0", "all weights are 0", NULL);
    assert_split(w, "web", "v1=1 v1=2", "is there twice", NULL);
    assert_split(w, "web", "v9=1", "subset \"v9\" of web is defined by no DestinationRule",
                 "there are: v1, v2");
    assert_split(w, "nobody", "v1=1", "subset \"v1\" of nobody",
                 "apply a DestinationRule for nobody");
    assert_split(w, "*.x", "v1=1", "wildcard", NULL);
}

static void
weights_beyond_what_a_manifest_holds_are_refused(void **state)
{
    struct split_weight huge = { GS_SLICE("v1"), UINT32_MAX };
    struct world *w = *state;
    struct policy_object *o = NULL;
    struct gs_problems problems;
    struct gs_arena arena;

    set_web(w);
    put_text(w, WEB_DR, once);
    (void)model_flush(w->model, 1000);
    gs_problems_init(&problems);
    gs_arena_init(&arena, NULL, 0, 1024);
    assert_int_equal(model_split(w->model, GS_SLICE("web"), GS_SLICE("default"), &huge, 1, &arena,
                                 &o, &problems),
                     GS_E_INVALID);
    assert_null(o);
    gs_arena_fini(&arena);
    gs_problems_fini(&problems);
}

static void
an_object_of_another_host_is_not_overwritten(void **state)
{
    struct world *w = *state;

    set_web(w);
    put_text(w, WEB_DR, once);
    put_text(
        w, VS_HEAD("web") "  hosts: [api]\n  http: [{ route: [{ destination: { host: web } }] }]\n",
        once);
    (void)model_flush(w->model, 1000);
    assert_split(w, "web", "v1=1", "\"name\":\"web-split\"", NULL);
}

static void
shares_are_parsed(void **state)
{
    struct split_weight out;
    struct gs_why why;

    (void)state;
    assert_int_equal(split_weight_parse(GS_SLICE("v1=90"), &out, NULL), GS_E_OK);
    assert_true(gs_slice_eq(out.subset, GS_SLICE("v1")));
    assert_int_equal(out.weight, 90);
    assert_int_equal(split_weight_parse(GS_SLICE("v1"), &out, &why), GS_E_INVALID);
    assert_non_null(strstr(why.text, "write SUBSET=WEIGHT"));
    assert_int_equal(split_weight_parse(GS_SLICE("=1"), &out, &why), GS_E_INVALID);
    assert_int_equal(split_weight_parse(GS_SLICE("v1=-1"), &out, &why), GS_E_INVALID);
    assert_int_equal(split_weight_parse(GS_SLICE("v1=1.5"), &out, &why), GS_E_INVALID);
    assert_int_equal(split_weight_parse(GS_SLICE("v1=10%"), &out, &why), GS_E_INVALID);
    assert_int_equal(split_weight_parse(GS_SLICE("v1=2147483648"), &out, &why), GS_E_INVALID);
    assert_int_equal(split_weight_parse(GS_SLICE("v 1=1"), &out, &why), GS_E_INVALID);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(without_one_a_virtual_service_is_made),
        TEST(the_one_weighted_route_gets_the_weights),
        TEST(a_plain_route_becomes_a_weighted_one),
        TEST(what_is_not_clear_is_refused),
        TEST(what_makes_no_sense_is_refused),
        TEST(weights_beyond_what_a_manifest_holds_are_refused),
        TEST(an_object_of_another_host_is_not_overwritten),
        cmocka_unit_test(shares_are_parsed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
