/* test_maint.c - Maintenances: what is read and what is refused, and what they do to the endpoints
 * of a snapshot. */
#include "tests/unit/owners.h"

#include <gossamer/rng.h>

#include "mesh/model/maint.h"

#define HEAD "apiVersion: gossamer.dev/v1\nkind: Maintenance\nmetadata: { name: a }\n"
#define MAINT(name, spec)                                                                          \
    "apiVersion: gossamer.dev/v1\nkind: Maintenance\nmetadata: { name: " name " }\nspec: { " spec  \
    " }\n"
#define WEB "default/web:80"

static const struct deed once = { .generation = 1 };

/* ---- what is read ---- */

static void
maintenances_are_read(void **state)
{
    static const struct {
        const char *name, *text, *found, *says;
    } rows[] = {
        { "a node", HEAD "spec: { node: n1, drain: true }\n", "", NULL },
        { "a service", HEAD "spec: { service: { name: web }, drain: true, reason: r, by: b }\n", "",
          NULL },
        { "an instance",
          HEAD "spec: { service: { name: web, namespace: ai, port: 80 }, instance: '10.0.0.1:80', "
               "weight: 0 }\n",
          "", NULL },
        { "of a node", HEAD "spec: { node: n1, service: { name: web }, weight: 1000 }\n", "",
          NULL },
        { "IPv6", HEAD "spec: { service: { name: w }, instance: '[::1]:80', weight: 10 }\n", "",
          NULL },
        { "kind", "apiVersion: gossamer.dev/v1\nkind: Maintainance\n", "2:7 GS0109 -\n",
          "did you mean \"Maintenance\"?" },
        { "nothing", HEAD "spec: {}\n", "4:7 GS0105 spec\n4:7 GS0105 spec\n", "node: NAME" },
        { "no wish", HEAD "spec: { node: n1 }\n", "4:7 GS0105 spec\n", "drain: true, or weight" },
        { "no drain", HEAD "spec: { node: n1, drain: false }\n", "4:26 GS0105 spec\n", NULL },
        { "no target", HEAD "spec: { drain: true }\n", "4:7 GS0105 spec\n", NULL },
        { "empty", HEAD "spec: { node: '', service: { name: web }, drain: true }\n",
          "4:15 GS0106 spec.node\n", "may not be empty" },
        { "a list", HEAD "spec: { node: [n1], drain: true }\n", "4:15 GS0104 spec.node\n", NULL },
        { "no name", HEAD "spec: { node: N1, drain: true }\n", "4:15 GS0106 spec.node\n",
          "no name of a node" },
        { "yes", HEAD "spec: { node: n1, drain: 1 }\n", "4:26 GS0104 spec.drain\n", NULL },
        { "a name only", HEAD "spec: { service: web, drain: true }\n", "4:18 GS0104 spec.service\n",
          "write { name: web }" },
        { "no service", HEAD "spec: { service: { port: 80 }, drain: true }\n",
          "4:18 GS0105 spec.service.name\n", NULL },
        { "no namespace", HEAD "spec: { service: { name: w, namespace: A.b }, drain: true }\n",
          "4:40 GS0106 spec.service.namespace\n", NULL },
        { "port 0", HEAD "spec: { service: { name: w, port: 0 }, drain: true }\n",
          "4:35 GS0106 spec.service.port\n", NULL },
        { "port", HEAD "spec: { service: { name: w, port: 70000 }, drain: true }\n",
          "4:35 GS0106 spec.service.port\n", "70000 is out of range" },
        { "of nobody", HEAD "spec: { instance: '10.0.0.1:80', drain: true }\n",
          "4:19 GS0105 spec.instance\n", "service: { name: NAME }" },
        { "no address", HEAD "spec: { service: { name: w }, instance: 10.0.0.1, drain: true }\n",
          "4:41 GS0106 spec.instance\n", "ADDRESS:PORT" },
        { "any address", HEAD "spec: { service: { name: w }, instance: '*:80', drain: true }\n",
          "4:41 GS0106 spec.instance\n", NULL },
        { "no port", HEAD "spec: { service: { name: w }, instance: '10.0.0.1:0', drain: true }\n",
          "4:41 GS0106 spec.instance\n", NULL },
        { "much", HEAD "spec: { node: n1, service: { name: w }, weight: 1001 }\n",
          "4:49 GS0106 spec.weight\n", "0 to 1000, not 1001" },
        { "less", HEAD "spec: { node: n1, service: { name: w }, weight: -1 }\n",
          "4:49 GS0106 spec.weight\n", NULL },
        { "half", HEAD "spec: { node: n1, service: { name: w }, weight: 0.5 }\n",
          "4:49 GS0104 spec.weight\n", NULL },
        { "of all", HEAD "spec: { service: { name: w }, weight: 10 }\n",
          "4:39 GS0106 spec.weight\n", "beside others" },
        { "of a node", HEAD "spec: { node: n1, weight: 10 }\n", "4:27 GS0106 spec.weight\n", NULL },
        { "lines", HEAD "spec: { node: n1, drain: true, reason: \"a\\nb\" }\n",
          "4:40 GS0106 spec.reason\n", "one line" },
        { "escape", HEAD "spec: { node: n1, drain: true, by: \"\\e[31m\" }\n",
          "4:36 GS0106 spec.by\n", NULL },
        { "eight bits", HEAD "spec: { node: n1, drain: true, by: \"\\x9b31m\" }\n",
          "4:36 GS0106 spec.by\n", NULL },
        { "unknown", HEAD "spec: { node: n1, drain: true, wieght: 1 }\n",
          "4:32 GS0102 spec.wieght\n", "did you mean \"weight\"?" },
        { "elsewhere", HEAD "spec: { node: n1, drain: true, port: 80 }\n",
          "4:32 GS0102 spec.port\n", "inside `service`" },
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(rows); i++)
        assert_findings(rows[i].name, rows[i].text, rows[i].found, rows[i].says);
}

/* ---- what becomes of endpoints ---- */

/* web and api on b1, b2 and b3, all healthy. */
static void
set_three(struct world *w)
{
    for (unsigned n = 1; n <= 3; n++) {
        set_node(w, n, MODEL_NODE_UP, 1000);
        put_one(w, n, WEB, TIER_HEALTHY);
        put_one(w, n, "default/api:80", TIER_HEALTHY);
    }
    (void)flush(w, 1000);
}

static bool
is_chosen(const struct subset *s, const struct endpoint *e)
{
    bool chosen = false;

    for (uint32_t i = 0; i < s->count; i++)
        chosen = chosen || s->endpoints[i] == e;
    return chosen;
}

static void
assert_chosen(const struct world *w, const char *host, const char *nodes)
{
    const struct subset *s = all_of(w, host);
    char got[16] = "";
    size_t len = 0;

    for (unsigned n = 1; n <= 3; n++) {
        if (is_chosen(s, endpoint_of(w, host, n)))
            got[len++] = (char)('0' + n);
    }
    assert_string_equal(got, nodes);
    assert_int_equal(s->count + s->other_count, 3);
}

static void
a_drained_node_gets_nothing_new(void **state)
{
    struct world *w = *state;
    const struct endpoint *e;

    set_three(w);
    put_text(w, MAINT("m", "node: b1, drain: true, reason: a new disk, by: ann"), once);
    assert_int_equal(flush(w, 1000).activated, 1);
    assert_chosen(w, "web", "23");
    assert_chosen(w, "api", "23");
    e = endpoint_of(w, "web", 1);
    assert_int_equal(e->tier, TIER_DRAINING);
    assert_int_equal(e->weight, 100);
    assert_true(gs_slice_eq(e->word->drained_by,
                            GS_SLICE("Maintenance default/m of 1970-01-01T00:00:01Z by ann: a new "
                                     "disk")));
    assert_null(endpoint_of(w, "web", 2)->word);
    assert_int_equal(counters_of(w).drained, 2);
    /* Traffic that succeeds there, better health, another record: it stays so. */
    succeed(w, "web", 1, 1000);
    put_one(w, 1, WEB, TIER_UNHEALTHY);
    (void)flush(w, 1100);
    assert_chosen(w, "web", "23");
    put_one(w, 1, WEB, TIER_HEALTHY);
    put_text(w, MAINT("m", "node: b1, drain: true"), (struct deed){ 2, .deleted = true });
    assert_int_equal(flush(w, 1200).activated, 1);
    assert_chosen(w, "web", "123");
    assert_null(endpoint_of(w, "web", 1)->word);
}

static void
drained_ones_are_used_before_lost_ones(void **state)
{
    struct world *w = *state;

    set_three(w);
    put_text(w, MAINT("m", "node: b1, drain: true"), once);
    set_node(w, 2, MODEL_NODE_DOWN, 2000);
    put_one(w, 3, WEB, TIER_UNHEALTHY);
    (void)flush(w, 2000);
    assert_chosen(w, "web", "3"); /* unhealthy, but wanted */
    assert_true(all_of(w, "web")->panic);
    withdraw(w, 3, WEB);
    (void)flush(w, 2000);
    assert_int_equal(all_of(w, "web")->count, 1);
    assert_true(is_chosen(all_of(w, "web"), endpoint_of(w, "web", 1)));
    assert_false(all_of(w, "web")->panic);
}

static void
a_drained_service_has_no_endpoint(void **state)
{
    struct world *w = *state;

    set_three(w);
    put_text(w, MAINT("m", "service: { name: web }, drain: true"), once);
    (void)flush(w, 1000);
    assert_chosen(w, "web", "");
    assert_chosen(w, "api", "123");
    assert_true(endpoint_of(w, "web", 1)->word->closed);
    assert_int_equal(endpoint_of(w, "web", 1)->tier, TIER_DRAINING);
    assert_int_equal(endpoint_of(w, "web", 1)->weight, 0);
    put_text(w, MAINT("m", "service: { name: web, port: 81 }, drain: true"), (struct deed){ 2 });
    (void)flush(w, 1000);
    assert_chosen(w, "web", "123"); /* another port */
    put_text(w, MAINT("m", "service: { name: web, namespace: ai }, drain: true"),
             (struct deed){ 3 });
    (void)flush(w, 1000);
    assert_chosen(w, "web", "123"); /* another namespace */
}

static void
weights_are_percent_and_zero_is_never(void **state)
{
    struct world *w = *state;
    const struct subset *s;

    set_three(w);
    assert_null(all_of(w, "web")->upto); /* all alike: nothing is to be weighed */
    put_text(w, MAINT("m", "service: { name: web }, node: b2, weight: 10"), once);
    (void)flush(w, 1000);
    s = all_of(w, "web");
    assert_int_equal(s->count, 3);
    for (uint32_t i = 0, sum = 0; i < 3; i++) {
        sum += s->endpoints[i]->weight;
        assert_int_equal(s->upto[i], sum);
        assert_int_equal(s->endpoints[i]->weight, s->endpoints[i]->node.ptr[1] == '2' ? 10 : 100);
    }
    assert_null(all_of(w, "api")->upto);
    put_text(w, MAINT("m", "service: { name: web }, node: b2, weight: 0"), (struct deed){ 2 });
    (void)flush(w, 1000);
    assert_chosen(w, "web", "13");
    assert_null(all_of(w, "web")->upto);
    assert_int_equal(endpoint_of(w, "web", 2)->tier, TIER_HEALTHY);
    set_node(w, 1, MODEL_NODE_GONE, 1000);
    set_node(w, 3, MODEL_NODE_GONE, 1000);
    (void)flush(w, 1000);
    assert_int_equal(all_of(w, "web")->count, 0); /* not even now */
    for (unsigned n = 1; n <= 3; n++)
        set_node(w, n, MODEL_NODE_UP, 1000);
    put_text(w, MAINT("m", "service: { name: web }, node: b1, weight: 50"), (struct deed){ 3 });
    put_text(w, MAINT("x", "service: { name: web }, node: b2, weight: 50"), once);
    put_text(w, MAINT("z", "service: { name: web }, node: b3, weight: 50"), once);
    (void)flush(w, 1000);
    assert_int_equal(all_of(w, "web")->count, 3);
    assert_null(all_of(w, "web")->upto); /* all alike again */
}

/* Several objects about one endpoint, in any order: drained if one says so, the least weight. */
static void
several_words_about_one_endpoint(void **state)
{
    static const char *const specs[] = {
        MAINT("a", "node: b1, drain: true"),
        MAINT("b", "service: { name: web }, instance: '127.0.0.1:9001', node: b1, weight: 200"),
        MAINT("c", "service: { name: web }, instance: '127.0.0.1:9001', weight: 30"),
        MAINT("d", "service: { name: web, port: 80 }, node: b1, weight: 40"),
        MAINT("e", "service: { name: web }, instance: '127.0.0.1:9002', weight: 1"),
        MAINT("f", "service: { name: web }, node: b2, weight: 2"),
    };
    struct world *w = *state;
    struct gs_rng rng;

    set_three(w);
    gs_rng_init(&rng, 1);
    for (uint64_t round = 1; round <= 20; round++) {
        const char *order[GS_COUNT(specs)];

        memcpy(order, specs, sizeof(specs));
        for (size_t i = GS_COUNT(order); i > 1; i--) {
            size_t k = gs_rng_below(&rng, (uint32_t)i);
            const char *last = order[i - 1];

            order[i - 1] = order[k];
            order[k] = last;
        }
        for (size_t i = 0; i < GS_COUNT(order); i++)
            put_text(w, order[i], (struct deed){ round });
        (void)flush(w, 1000);
        assert_int_equal(endpoint_of(w, "web", 1)->tier, TIER_DRAINING);
        assert_int_equal(endpoint_of(w, "web", 1)->weight, 30);
        assert_int_equal(endpoint_of(w, "web", 2)->weight, 2);
        assert_int_equal(endpoint_of(w, "web", 3)->weight, 30);
    }
}

/* What is said of one service leaves the blobs of others the very same memory. */
static void
a_word_touches_what_it_is_about(void **state)
{
    struct world *w = *state;
    const struct service *api, *web;
    struct model_flushed f;

    set_three(w);
    api = find_service(w, "api", 80);
    put_text(w, MAINT("m", "service: { name: web }, node: b1, weight: 10"), once);
    f = flush(w, 1000);
    assert_int_equal(f.rebuilt, 1);
    assert_ptr_equal(find_service(w, "api", 80), api);
    put_text(w, MAINT("z", "node: nobody, drain: true"), once);
    assert_int_equal(flush(w, 1000).rebuilt, 0);
    web = find_service(w, "web", 80);
    put_text(w, MAINT("m", "service: { name: web }, node: b1, weight: 10"),
             (struct deed){ 2, .deleted = true });
    assert_int_equal(flush(w, 1000).rebuilt, 1);
    assert_ptr_not_equal(find_service(w, "web", 80), web);
    assert_ptr_equal(find_service(w, "api", 80), api);
}

/* A node that was not there, and one that takes another name. */
static void
names_are_meant_whenever_they_appear(void **state)
{
    struct world *w = *state;
    struct model_node other = { .id = node_id(1),
                                .name = GS_SLICE("b9"),
                                .zone = GS_SLICE("z"),
                                .mesh = addr_of("10.0.0.9:4143"),
                                .state = MODEL_NODE_UP };

    put_text(w, MAINT("m", "node: b1, drain: true"), once);
    (void)flush(w, 1000);
    set_three(w);
    assert_chosen(w, "web", "23");
    model_set_node(w->model, 1000, &other);
    (void)flush(w, 1000);
    assert_chosen(w, "web", "123");
}

/* This node's own instances are drained like any other, for itself too, and go on being served. */
static void
this_node_is_drained_like_others(void **state)
{
    struct world *w = *state;

    set_web(w);
    set_node(w, 1, MODEL_NODE_UP, 1000);
    put_one(w, 1, WEB, TIER_HEALTHY);
    put_text(w, MAINT("m", "node: n1, drain: true"), once);
    (void)flush(w, 1000);
    assert_int_equal(all_of(w, "web")->count, 1);
    assert_true(is_chosen(all_of(w, "web"), endpoint_of(w, "web", 1)));
    assert_int_equal(find_service(w, "web", 80)->endpoint_count, 4);
}

/* A record that this node cannot use changes nothing. */
static void
what_is_not_valid_is_rejected(void **state)
{
    static const char *const key = "Maintenance/default/m";
    struct world *w = *state;
    struct model_object o;
    struct model_record r = { .kind = POLICY_MAINTENANCE,
                              .key = gs_slice_str(key),
                              .value = GS_SLICE("\x83\x10\xa2"
                                                "b1\x11\xa3web\x16\xcd\x03\xe9"),
                              .version = { 2, 2, { { 1 } } },
                              .hash = { { 7 } } };
    struct gs_why why;

    set_three(w);
    put_text(w, MAINT("m", "node: b1, drain: true"), once);
    (void)flush(w, 1000);
    assert_int_equal(model_on_record(w->model, &r, &why), GS_E_MALFORMED);
    assert_non_null(strstr(why.text, "spec.weight: a weight is percent, 0 to 1000, not 1001"));
    (void)flush(w, 1000);
    assert_chosen(w, "web", "23");
    assert_true(
        model_find_object(w->model, POLICY_MAINTENANCE, GS_SLICE("default"), GS_SLICE("m"), &o));
    assert_int_equal(o.state, MODEL_REJECTED);
    r.value = GS_SLICE("\x82\x14\xa4*:80\x15\x01"); /* an instance of no service */
    r.version.generation = 3;
    r.hash.bytes[0]++;
    assert_int_equal(model_on_record(w->model, &r, &why), GS_E_MALFORMED);
    r.value = GS_SLICE("\x82\x12\xa2"
                       "ai\x15\x01"); /* a namespace of no service */
    r.version.generation = 4;
    r.hash.bytes[0]++;
    assert_int_equal(model_on_record(w->model, &r, &why), GS_E_MALFORMED);
    r.value = GS_SLICE("\x82\x10\xa2"
                       "b1\x15\x02"); /* half drained */
    r.version.generation = 5;
    r.hash.bytes[0]++;
    assert_int_equal(model_on_record(w->model, &r, &why), GS_E_MALFORMED);
}

/* ---- for people ---- */

static bool
says(struct gs_buf *out, const char *text)
{
    if (!strstr(gs_buf_cstr(out), text))
        print_error("%s\n", gs_buf_cstr(out));
    return strstr(gs_buf_cstr(out), text) != NULL;
}

static void
lists_and_explanations_say_why(void **state)
{
    struct world *w = *state;
    struct model_drain d;
    struct json_out j;
    struct gs_buf out;

    set_three(w);
    put_one(w, 3, "default/api:80", TIER_DRAINING);
    put_text(w, MAINT("m", "node: b1, drain: true, reason: why"), once);
    put_text(w, MAINT("x", "service: { name: web }, node: b2, weight: 0"), once);
    put_text(w, MAINT("z", "service: { name: web }, node: b1, weight: 10"), once);
    (void)flush(w, 1000);
    gs_buf_init(&out, 65536);
    json_init(&j, &out);
    model_endpoints_json(w->model, GS_SLICE_NONE, GS_SLICE_NONE, &(struct model_reading){ 0 }, &j);
    assert_true(says(&out,
                     "\"drained_by\":\"operator\",\"weight\":10,\"maintenance\":[\"default/m\","
                     "\"default/z\"]}"));
    assert_true(says(&out, "\"drained_by\":null,\"weight\":0,\"maintenance\":[\"default/x\"]}"));
    assert_true(says(&out, "\"drained_by\":\"owner\",\"weight\":100,\"maintenance\":[]}"));
    gs_buf_clear(&out);
    json_init(&j, &out);
    model_services_json(w->model, GS_SLICE_NONE, GS_SLICE("web"), &j);
    assert_true(says(&out, "\"endpoints\":3,\"healthy\":2"));
    gs_buf_clear(&out);
    json_init(&j, &out);
    model_objects_json(w->model, POLICY_MAINTENANCE, GS_SLICE_NONE, &j);
    assert_true(says(&out, "\"says\":\"node b1: drained\""));
    assert_true(says(&out, "\"says\":\"web.default/b2: weight 0\""));
    gs_buf_clear(&out);
    json_init(&j, &out);
    explain_json(snapshot_current(w->hub), find_service(w, "web", 80), UINT32_MAX, 1000, &j);
    assert_true(says(&out, "\"why\":\"it is drained by Maintenance default/m of "
                           "1970-01-01T00:00:01Z: why\""));
    assert_true(says(&out, "\"why\":\"it was given weight 0 by Maintenance default/x of "));
    gs_buf_clear(&out);
    json_init(&j, &out);
    explain_json(snapshot_current(w->hub), find_service(w, "api", 80), UINT32_MAX, 1000, &j);
    assert_true(says(&out, "\"why\":\"its node says that it is on its way out\""));
    gs_buf_fini(&out);
    assert_true(model_find_drain(w->model, GS_SLICE("b1"), &d));
    assert_true(gs_slice_eq(d.name, GS_SLICE("m")) && gs_slice_eq(d.reason, GS_SLICE("why")));
    assert_int_equal(d.since_ms, 1000);
    assert_false(model_find_drain(w->model, GS_SLICE("b2"), &d));
}

static void
names_are_those_of_targets(void **state)
{
    static const struct {
        const char *spec, *name, *target;
    } rows[] = {
        { "node: n1, drain: true", "node.n1", "node n1" },
        { "service: { name: web }, drain: true", "service.web", "web.default" },
        { "service: { name: web, port: 80 }, drain: true", "port.80.web", "web.default:80" },
        { "service: { name: web, namespace: ai }, drain: true", "service.web", "web.ai" },
        { "service: { name: web }, node: n1, drain: true", "web-n1-258326a3", "web.default/n1" },
        { "service: { name: web }, instance: '127.0.0.1:9001', node: n1, drain: true", NULL,
          "web.default/127.0.0.1:9001@n1" },
        { "service: { name: web }, instance: '[::1]:9001', drain: true", NULL,
          "web.default/[::1]:9001" },
        { "service: { name: web.a }, node: b, drain: true", NULL, "web.a.default/b" },
        { "service: { name: web }, node: a.b, drain: true", NULL, "web.default/a.b" },
    };
    struct gs_slice seen[GS_COUNT(rows)];
    struct gs_arena arena;

    (void)state;
    gs_arena_init(&arena, NULL, 0, 4096);
    for (size_t i = 0; i < GS_COUNT(rows); i++) {
        struct maint_entry e;
        struct reading r;
        char text[512];

        (void)snprintf(text, sizeof(text), HEAD "spec: { %s }\n", rows[i].spec);
        reading_init(&r, text, strlen(text));
        assert_string_equal(gs_buf_cstr(&r.found), "");
        e = maint_entry(r.m.objects[0], NULL);
        assert_string_equal(maint_target_text(&e, &arena), rows[i].target);
        seen[i] = gs_arena_copy(&arena, maint_name(&e, &arena));
        if (rows[i].name && !gs_slice_eq(seen[i], gs_slice_str(rows[i].name)))
            fail_msg("%s is called %.*s", rows[i].spec, GS_SLICE_FMT(seen[i]));
        for (size_t k = 4; k < i; k++)
            assert_false(gs_slice_eq(seen[k], seen[i]));
        reading_fini(&r);
    }
    gs_arena_fini(&arena);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maintenances_are_read),    cmocka_unit_test(names_are_those_of_targets),
        TEST(a_drained_node_gets_nothing_new),      TEST(drained_ones_are_used_before_lost_ones),
        TEST(a_drained_service_has_no_endpoint),    TEST(weights_are_percent_and_zero_is_never),
        TEST(several_words_about_one_endpoint),     TEST(a_word_touches_what_it_is_about),
        TEST(names_are_meant_whenever_they_appear), TEST(this_node_is_drained_like_others),
        TEST(what_is_not_valid_is_rejected),        TEST(lists_and_explanations_say_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
