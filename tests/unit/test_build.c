/* test_build.c - what the data path gets to see: names, subsets, tiers, rules, and that a change
 * rebuilds what it touches and nothing else. */
#include "tests/unit/models.h"

static const struct deed once = { .generation = 1 };
static const char *const one[] = { "v1" };

static const struct service_blob *
blob_of(const struct world *w, const char *host, uint16_t port)
{
    return (const struct service_blob *)find_service(w, host, port);
}

/* ---- names ---- */

static void
every_spelling_leads_to_the_service(void **state)
{
    static const char *const good[] = { "web",
                                        "web.mesh",
                                        "web.default",
                                        "web.default.svc",
                                        "web.default.svc.cluster.local",
                                        "web.default.mesh" };
    static const char *const bad[] = { "web.other", "wed", "web.default.svc.cluster",
                                       "web.svc.cluster.local", "" };
    struct world *w = *state;

    set_web(w);
    (void)model_flush(w->model, 1000);
    for (size_t i = 0; i < GS_COUNT(good); i++)
        assert_non_null(find_service(w, good[i], 80));
    for (size_t i = 0; i < GS_COUNT(bad); i++)
        assert_null(find_service(w, bad[i], 80));
    assert_null(find_service(w, "web", 81));
}

static void
short_names_mean_the_nodes_namespace(void **state)
{
    struct world *w = *state;

    set_service(w, "ai", "tools", 80, one, 1);
    (void)model_flush(w->model, 1000);
    assert_null(find_service(w, "tools", 80));
    assert_non_null(find_service(w, "tools.ai", 80));
    assert_non_null(find_service(w, "tools.mesh", 80)); /* the only one of that name */
    set_service(w, "zz", "tools", 80, one, 1);
    (void)model_flush(w->model, 1000);
    assert_null(find_service(w, "tools.mesh", 80)); /* which is not clear any more */
    set_service(w, "default", "tools", 80, one, 1);
    (void)model_flush(w->model, 1000);
    assert_true(gs_slice_eq(find_service(w, "tools", 80)->ns, GS_SLICE("default")));
    assert_true(gs_slice_eq(find_service(w, "tools.mesh", 80)->ns, GS_SLICE("default")));
}

static void
exact_names_with_dots_win(void **state)
{
    struct world *w = *state;

    set_service(w, "example", "api", 80, one, 1);
    set_service(w, "zz", "api.example", 80, one, 1);
    (void)model_flush(w->model, 1000);
    assert_true(gs_slice_eq(find_service(w, "api.example", 80)->name, GS_SLICE("api.example")));
    assert_true(gs_slice_eq(find_service(w, "api.example.svc", 80)->name, GS_SLICE("api")));
    assert_true(gs_slice_eq(find_service(w, "api.example.zz", 80)->ns, GS_SLICE("zz")));
    model_remove_service(w->model, GS_SLICE("zz"), GS_SLICE("api.example"), 80);
    (void)model_flush(w->model, 1000);
    assert_true(gs_slice_eq(find_service(w, "api.example", 80)->name, GS_SLICE("api")));
}

static void
a_service_that_goes_is_gone(void **state)
{
    struct world *w = *state;

    set_web(w);
    set_service(w, "default", "other", 80, one, 1);
    (void)model_flush(w->model, 1000);
    model_remove_service(w->model, GS_SLICE("default"), GS_SLICE("web"), 80);
    model_remove_service(w->model, GS_SLICE("default"), GS_SLICE("web"), 80);
    (void)model_flush(w->model, 1000);
    assert_null(find_service(w, "web", 80));
    assert_non_null(find_service(w, "other", 80));
    model_check(w->model);
}

/* ---- endpoints and subsets ---- */

static void
unhealthy_ones_are_used_when_no_other_is_left(void **state)
{
    struct world *w = *state;
    const struct subset *all;

    set_web(w);
    (void)model_flush(w->model, 1000);
    assert_int_equal(find_service(w, "web", 80)->subsets[SUBSET_ALL].count, 3);
    set_health(w, "default", "web", 80, 0, TIER_UNHEALTHY);
    (void)model_flush(w->model, 1000);
    all = &find_service(w, "web", 80)->subsets[SUBSET_ALL];
    assert_int_equal(all->count, 2);
    assert_false(all->panic);
    set_health(w, "default", "web", 80, 1, TIER_UNHEALTHY);
    set_health(w, "default", "web", 80, 2, TIER_UNHEALTHY);
    (void)model_flush(w->model, 1000);
    all = &find_service(w, "web", 80)->subsets[SUBSET_ALL];
    assert_int_equal(all->count, 3);
    assert_true(all->panic);
    assert_int_equal(all->endpoints[0]->tier, TIER_UNHEALTHY);
}

static void
pending_ones_are_never_used(void **state)
{
    struct world *w = *state;

    set_service(w, "default", "web", 80, one, 1);
    (void)model_flush(w->model, 1000);
    assert_int_equal(find_service(w, "web", 80)->endpoint_count, 1);
    assert_int_equal(find_service(w, "web", 80)->subsets[SUBSET_ALL].count, 0);
    assert_false(find_service(w, "web", 80)->subsets[SUBSET_ALL].panic);
    set_health(w, "default", "web", 80, 0, TIER_HEALTHY);
    (void)model_flush(w->model, 1000);
    assert_int_equal(find_service(w, "web", 80)->subsets[SUBSET_ALL].count, 1);
}

static void
a_reconfigured_service_keeps_the_health_of_who_stays(void **state)
{
    static const char *const two[] = { "v1", "v2" };
    static const char *const three[] = { "v1", "v2b", "v3" };
    struct world *w = *state;
    const struct service *s;

    set_service(w, "default", "web", 80, two, 2);
    set_health(w, "default", "web", 80, 0, TIER_HEALTHY);
    set_health(w, "default", "web", 80, 1, TIER_UNHEALTHY);
    (void)model_flush(w->model, 1000);
    set_service(w, "default", "web", 80, three, 3);
    (void)model_flush(w->model, 1000);
    s = find_service(w, "web", 80);
    assert_int_equal(s->endpoint_count, 3);
    assert_int_equal(s->endpoints[0].tier, TIER_HEALTHY);
    assert_int_equal(s->endpoints[1].tier, TIER_UNHEALTHY);
    assert_int_equal(s->endpoints[2].tier, TIER_PENDING);
    assert_true(gs_slice_eq(s->endpoints[1].labels[0].value, GS_SLICE("v2b")));
    assert_true(s->endpoints[0].local);
    assert_true(gs_slice_eq(s->endpoints[0].node, GS_SLICE("n1")));
}

static void
subsets_select_by_all_their_labels(void **state)
{
    struct world *w = *state;
    const struct service *s;

    set_web(w);
    put_text(w,
             DR_HEAD("web") "  host: web\n  subsets:\n" SUBSET("v1") SUBSET(
                 "v2") "  - { name: none, labels: { version: v1, x: z } }\n  - { name: all }\n",
             once);
    (void)model_flush(w->model, 1000);
    s = find_service(w, "web", 80);
    assert_int_equal(s->subset_count, 5);
    assert_int_equal(service_subset(s, GS_SLICE("v1")), 1);
    assert_int_equal(s->subsets[1].count, 1);
    assert_ptr_equal(s->subsets[1].endpoints[0], &s->endpoints[0]);
    assert_ptr_equal(s->subsets[2].endpoints[0], &s->endpoints[1]);
    assert_int_equal(s->subsets[3].count, 0);
    assert_int_equal(s->subsets[4].count, 3);
    assert_int_not_equal(s->subsets[1].stat_out, s->subsets[1].stat_in);
    assert_int_not_equal(s->subsets[1].stat_out, s->subsets[2].stat_out);
}

static void
each_tier_of_a_subset_for_itself(void **state)
{
    struct world *w = *state;
    const struct service *s;

    set_web(w);
    put_text(w, WEB_DR, once);
    set_health(w, "default", "web", 80, 1, TIER_UNHEALTHY);
    (void)model_flush(w->model, 1000);
    s = find_service(w, "web", 80);
    assert_false(s->subsets[1].panic);
    assert_true(s->subsets[2].panic); /* nobody healthy in v2, whatever v1 has */
    assert_int_equal(s->subsets[2].count, 1);
    assert_int_equal(s->subsets[SUBSET_ALL].count, 2);
}

#define DR_IN(ns, name, host, version)                                                             \
    "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { name: " name           \
    ", namespace: " ns " }\nspec:\n  host: " host                                                  \
    "\n  subsets:\n  - { name: s, labels: { version: " version " } }\n  - { name: " name " }\n"

/* Which rules hold: the client's namespace, then the service's, then the root namespace. */
static void
rules_of_the_nearest_namespace_hold(void **state)
{
    static const char *const versions[] = { "v1", "v2", "v3" };
    struct world *w = *state;
    const struct service *s;

    set_service(w, "ai", "tools", 80, versions, 3);
    for (unsigned i = 0; i < 3; i++)
        set_health(w, "ai", "tools", 80, i, TIER_HEALTHY);
    put_text(w, DR_IN("istio-system", "root", "tools.ai", "v3"), once);
    put_text(w, DR_IN("far", "far", "tools.ai.svc.cluster.local", "v3"), once);
    (void)model_flush(w->model, 1000);
    s = find_service(w, "tools.ai", 80);
    assert_ptr_equal(s->subsets[1].endpoints[0], &s->endpoints[2]);
    put_text(w, DR_IN("ai", "own", "tools", "v2"), once);
    (void)model_flush(w->model, 1000);
    s = find_service(w, "tools.ai", 80);
    assert_ptr_equal(s->subsets[1].endpoints[0], &s->endpoints[1]);
    assert_int_equal(service_subset(s, GS_SLICE("root")), UINT32_MAX);
    put_text(w, DR_IN("default", "client", "tools.ai", "v1"), once);
    (void)model_flush(w->model, 1000);
    s = find_service(w, "tools.ai", 80);
    assert_ptr_equal(s->subsets[1].endpoints[0], &s->endpoints[0]);
    assert_int_equal(service_subset(s, GS_SLICE("far")), UINT32_MAX);
}

static void
rules_of_one_namespace_merge_and_the_first_name_stays(void **state)
{
    struct world *w = *state;
    const struct service *s;

    set_web(w);
    put_text(w, DR_IN("default", "b-older", "web", "v2"), once);
    put_text(w, DR_IN("default", "a-younger", "web.default", "v1"), once);
    (void)model_flush(w->model, 1000);
    s = find_service(w, "web", 80);
    assert_int_equal(s->subset_count, 4);
    assert_ptr_equal(s->subsets[1].endpoints[0], &s->endpoints[1]);
    assert_int_not_equal(service_subset(s, GS_SLICE("a-younger")), UINT32_MAX);
}

/* ---- rules ---- */

static void
rules_are_what_was_written(void **state)
{
    static const char text[] = VS_HEAD(
        "web") "  hosts: [web]\n  http:\n"
               "  - name: canary\n"
               "    match: [{ uri: { prefix: /a }, headers: { X-User: { regex: 'j.*' } } }]\n"
               "    route: [{ destination: { host: web, subset: v2 }, weight: 0 }]\n"
               "    timeout: 2s\n"
               "  - route:\n"
               "    - { destination: { host: web, subset: v1 }, weight: 2 }\n"
               "    - { destination: { host: web } }\n"
               "    - { destination: { host: nobody }, weight: 1 }\n";
    struct world *w = *state;
    const struct service *s;
    const struct route_rule *r;

    set_web(w);
    put_text(w, WEB_DR, once);
    put_text(w, text, once);
    (void)model_flush(w->model, 1000);
    s = find_service(w, "web", 80);
    assert_true(s->has_policy);
    assert_true(gs_slice_starts(s->policy, GS_SLICE("VirtualService default/web 1.")));
    assert_int_equal(s->rule_count, 2);
    r = &s->rules[0];
    assert_true(gs_slice_eq(r->name, GS_SLICE("canary")));
    assert_int_equal(r->timeout_ms, 2000);
    assert_int_equal(r->match_count, 1);
    assert_int_equal(r->matches[0].uri.kind, MATCH_PREFIX);
    assert_true(gs_slice_eq(r->matches[0].fields[0].name, GS_SLICE("x-user")));
    assert_int_equal(r->matches[0].fields[0].value.kind, MATCH_REGEX);
    assert_int_equal(regexec(r->matches[0].fields[0].value.regex, "jason", 0, NULL, 0), 0);
    assert_int_equal(r->weight_total, 1); /* an only destination gets all */
    r = &s->rules[1];
    assert_int_equal(r->match_count, 0);
    assert_int_equal(r->backend_count, 3);
    assert_int_equal(r->weight_total, 3);
    assert_int_equal(r->backends[0].service, s->id);
    assert_int_equal(r->backends[0].subset, 1);
    assert_int_equal(r->backends[1].subset, SUBSET_ALL);
    assert_int_equal(r->backends[1].weight, 0);
    assert_int_equal(r->backends[2].service, UINT32_MAX);
    assert_true(gs_slice_eq(r->backends[2].host, GS_SLICE("nobody")));
}

#define VS_IN(ns, name, host, to)                                                                  \
    "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: " name            \
    ", namespace: " ns " }\nspec:\n  hosts: [" host                                                \
    "]\n  http: [{ route: [{ destination: { host: " to " } }] }]\n"

static void
the_oldest_virtual_service_has_the_host(void **state)
{
    struct world *w = *state;

    set_web(w);
    put_text(w, VS_IN("default", "z-older", "web", "a"), once);
    put_text(w, VS_IN("default", "a-younger", "web", "b"), once);
    (void)model_flush(w->model, 1000);
    assert_true(gs_slice_eq(find_service(w, "web", 80)->rules[0].backends[0].host, GS_SLICE("a")));
    /* An edit does not make it younger; going does. */
    put_text(w, VS_IN("default", "z-older", "web", "c"),
             (struct deed){ .generation = 2, .born_hlc = UINT64_C(1000) << 16 });
    (void)model_flush(w->model, 1000);
    assert_true(gs_slice_eq(find_service(w, "web", 80)->rules[0].backends[0].host, GS_SLICE("c")));
    put_text(w, VS_IN("default", "z-older", "web", "c"),
             (struct deed){ .generation = 3, .deleted = true });
    (void)model_flush(w->model, 1000);
    assert_true(gs_slice_eq(find_service(w, "web", 80)->rules[0].backends[0].host, GS_SLICE("b")));
}

static void
of_the_same_age_name_then_namespace_decide(void **state)
{
    struct deed same = { .generation = 1, .born_hlc = 5 };
    struct world *w = *state;

    set_web(w);
    put_text(w, VS_IN("default", "b", "web", "from-b"), same);
    put_text(w, VS_IN("zz", "a", "web.default", "from-zz-a"), same);
    put_text(w, VS_IN("yy", "a", "web.default", "from-yy-a"), same);
    (void)model_flush(w->model, 1000);
    assert_true(
        gs_slice_eq(find_service(w, "web", 80)->rules[0].backends[0].host, GS_SLICE("from-yy-a")));
}

static void
short_names_are_of_the_rules_namespace(void **state)
{
    struct world *w = *state;

    set_web(w);
    set_service(w, "ai", "web", 80, one, 1);
    put_text(w, VS_IN("ai", "own", "web", "web"), once);
    (void)model_flush(w->model, 1000);
    assert_false(find_service(w, "web", 80)->has_policy);
    assert_true(find_service(w, "web.ai", 80)->has_policy);
    assert_int_equal(find_service(w, "web.ai", 80)->rules[0].backends[0].service,
                     find_service(w, "web.ai", 80)->id);
}

static void
a_port_left_out_is_the_requests_or_the_only_one(void **state)
{
    struct world *w = *state;

    set_web(w);
    set_service(w, "default", "web", 8080, one, 1);
    set_service(w, "default", "single", 9000, one, 1);
    put_text(w, VS_IN("default", "a", "web", "single"), once);
    put_text(w, VS_IN("default", "b", "single", "web"), once);
    (void)model_flush(w->model, 1000);
    assert_int_equal(find_service(w, "web", 80)->rules[0].backends[0].service,
                     find_service(w, "single", 9000)->id);
    /* web has neither port 9000 nor only one. */
    assert_int_equal(find_service(w, "single", 9000)->rules[0].backends[0].service, UINT32_MAX);
    put_text(w, VS_IN("default", "b", "single", "web, port: { number: 8080 }"),
             (struct deed){ .generation = 2 });
    put_text(w, VS_IN("default", "a", "web", "web"), (struct deed){ .generation = 2 });
    (void)model_flush(w->model, 1000);
    assert_int_equal(find_service(w, "single", 9000)->rules[0].backends[0].service,
                     find_service(w, "web", 8080)->id);
    assert_int_equal(find_service(w, "web", 8080)->rules[0].backends[0].service,
                     find_service(w, "web", 8080)->id);
}

static void
names_with_dots_have_policy_too(void **state)
{
    static const char *const two[] = { "v1", "v2" };
    struct world *w = *state;
    const struct service *s;

    set_service(w, "ai", "llm.v2", 80, two, 2);
    put_text(w, VS_IN("ai", "a", "llm.v2", "llm.v2, subset: s"), once);
    put_text(w, DR_IN("ai", "d", "llm.v2", "v2"), once);
    (void)model_flush(w->model, 1000);
    s = find_service(w, "llm.v2", 80);
    assert_non_null(s);
    assert_true(s->has_policy);
    assert_int_equal(s->rules[0].backends[0].service, s->id);
    assert_int_equal(s->rules[0].backends[0].subset, 1);
}

/* ---- what is rebuilt ---- */

static void
a_change_touches_only_its_own_blobs(void **state)
{
    struct world *w = *state;
    const struct service_blob *web, *other, *user;
    struct model_flushed f;

    set_web(w);
    set_service(w, "default", "other", 80, one, 1);
    set_service(w, "default", "user", 80, one, 1);
    put_text(w, WEB_DR, once);
    put_text(w, VS_IN("default", "user", "user", "web, subset: v2"), once);
    (void)model_flush(w->model, 1000);
    web = blob_of(w, "web", 80);
    other = blob_of(w, "other", 80);
    user = blob_of(w, "user", 80);

    f = model_flush(w->model, 1000);
    assert_int_equal(f.seq, 0); /* nothing to say */

    set_health(w, "default", "web", 80, 0, TIER_UNHEALTHY);
    f = model_flush(w->model, 1000);
    assert_int_equal(f.rebuilt, 1);
    assert_ptr_not_equal(blob_of(w, "web", 80), web);
    assert_ptr_equal(blob_of(w, "other", 80), other);
    assert_ptr_equal(blob_of(w, "user", 80), user);

    set_health(w, "default", "web", 80, 0, TIER_UNHEALTHY);
    assert_int_equal(model_flush(w->model, 1000).seq, 0); /* no news */

    /* v2 moves to another place among web's subsets: whoever points there follows. */
    put_text(w, DR_HEAD("web") "  host: web\n  subsets:\n" SUBSET("v2") SUBSET("v1"),
             (struct deed){ .generation = 2 });
    f = model_flush(w->model, 1000);
    assert_int_equal(f.rebuilt, 2);
    assert_ptr_equal(blob_of(w, "other", 80), other);
    assert_ptr_not_equal(blob_of(w, "user", 80), user);
    assert_int_equal(find_service(w, "user", 80)->rules[0].backends[0].subset, 1);
    user = blob_of(w, "user", 80);

    /* Policy of nobody here. */
    put_text(w, VS_IN("default", "x", "nobody", "web"), once);
    f = model_flush(w->model, 1000);
    assert_int_equal(f.activated, 1);
    assert_int_equal(f.rebuilt, 0);
    assert_int_equal(f.seq, 0);
    assert_ptr_equal(blob_of(w, "user", 80), user);
}

static void
whoever_points_at_a_service_follows_its_coming_and_going(void **state)
{
    struct world *w = *state;
    struct model_flushed f;

    set_service(w, "default", "user", 80, one, 1);
    set_service(w, "default", "other", 80, one, 1);
    put_text(w, VS_IN("default", "user", "user", "web"), once);
    (void)model_flush(w->model, 1000);
    assert_int_equal(find_service(w, "user", 80)->rules[0].backends[0].service, UINT32_MAX);
    set_web(w);
    f = model_flush(w->model, 1000);
    assert_int_equal(f.rebuilt, 2);
    assert_int_equal(find_service(w, "user", 80)->rules[0].backends[0].service,
                     find_service(w, "web", 80)->id);
    model_remove_service(w->model, GS_SLICE("default"), GS_SLICE("web"), 80);
    f = model_flush(w->model, 1000);
    assert_int_equal(f.rebuilt, 1);
    assert_int_equal(find_service(w, "user", 80)->rules[0].backends[0].service, UINT32_MAX);
}

static void
slots_outlive_rebuilds(void **state)
{
    struct world *w = *state;
    uint32_t slot, generation;

    set_web(w);
    (void)model_flush(w->model, 1000);
    slot = find_service(w, "web", 80)->endpoints[1].slot;
    generation = find_service(w, "web", 80)->endpoints[1].generation;
    for (int i = 0; i < 10; i++) {
        set_health(w, "default", "web", 80, 1, i % 2 ? TIER_HEALTHY : TIER_UNHEALTHY);
        (void)model_flush(w->model, 1000);
        snapshot_reap(w->hub);
        slots_reap(w->slots);
    }
    assert_int_equal(find_service(w, "web", 80)->endpoints[1].slot, slot);
    assert_int_equal(find_service(w, "web", 80)->endpoints[1].generation, generation);
    assert_int_equal(slots_used(w->slots), 3);
}

/* ---- for people ---- */

static void
explanations_name_shares_and_problems(void **state)
{
    struct world *w = *state;
    struct gs_buf out;
    struct json_out j;

    set_web(w);
    put_text(w, WEB_DR, once);
    put_text(w, WEB_VS("90", "30"), once);
    (void)model_flush(w->model, 1000);
    gs_buf_init(&out, 65536);
    json_init(&j, &out);
    explain_json(snapshot_current(w->hub), find_service(w, "web", 80), 0, 1000, &j);
    assert_non_null(strstr(gs_buf_cstr(&out), "\"policy\":\"VirtualService default/web 1."));
    assert_non_null(strstr(gs_buf_cstr(&out), "\"subset\":\"v1\",\"weight\":90,\"percent\":75"));
    assert_non_null(strstr(gs_buf_cstr(&out), "\"address\":\"127.0.0.1:9002\""));
    gs_buf_clear(&out);
    json_init(&j, &out);
    explain_json(snapshot_current(w->hub), find_service(w, "web", 80), UINT32_MAX, 1000, &j);
    assert_non_null(strstr(gs_buf_cstr(&out), "no rule matches: 404"));
    gs_buf_clear(&out);
    json_init(&j, &out);
    model_endpoints_json(w->model, GS_SLICE_NONE, GS_SLICE("web"), &(struct model_reading){ 0 },
                         &j);
    assert_non_null(strstr(gs_buf_cstr(&out),
                           "{\"service\":\"web\",\"namespace\":\"default\",\"port\":80,"
                           "\"subset\":\"v1\",\"subsets\":[\"v1\"],\"address\":\"127.0.0.1:9001\","
                           "\"node\":\"n1\",\"zone\":\"z\",\"state\":\"healthy\","
                           "\"ejected_until\":null,\"active\":0,\"ewma_ms\":0,"
                           "\"labels\":{\"version\":\"v1\"},\"drained_by\":null,"
                           "\"weight\":100,\"maintenance\":[]}"));
    gs_buf_clear(&out);
    json_init(&j, &out);
    model_services_json(w->model, GS_SLICE("default"), GS_SLICE_NONE, &j);
    assert_string_equal(gs_buf_cstr(&out),
                        "{\"services\":[{\"service\":\"web\",\"namespace\":\"default\",\"port\":80,"
                        "\"protocol\":\"http\",\"endpoints\":3,\"healthy\":3,\"subsets\":[\"v1\","
                        "\"v2\"],\"policy\":\"VirtualService/default/web\"}]}");
    gs_buf_fini(&out);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_spelling_leads_to_the_service),
        TEST(short_names_mean_the_nodes_namespace),
        TEST(exact_names_with_dots_win),
        TEST(a_service_that_goes_is_gone),
        TEST(unhealthy_ones_are_used_when_no_other_is_left),
        TEST(pending_ones_are_never_used),
        TEST(a_reconfigured_service_keeps_the_health_of_who_stays),
        TEST(subsets_select_by_all_their_labels),
        TEST(each_tier_of_a_subset_for_itself),
        TEST(rules_of_the_nearest_namespace_hold),
        TEST(rules_of_one_namespace_merge_and_the_first_name_stays),
        TEST(rules_are_what_was_written),
        TEST(the_oldest_virtual_service_has_the_host),
        TEST(of_the_same_age_name_then_namespace_decide),
        TEST(short_names_are_of_the_rules_namespace),
        TEST(a_port_left_out_is_the_requests_or_the_only_one),
        TEST(names_with_dots_have_policy_too),
        TEST(a_change_touches_only_its_own_blobs),
        TEST(whoever_points_at_a_service_follows_its_coming_and_going),
        TEST(slots_outlive_rebuilds),
        TEST(explanations_name_shares_and_problems),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
