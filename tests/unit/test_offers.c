/* test_offers.c - records of other nodes: what is taken of them, what is left out and told, what
 * they disagree on, and that a change touches its own services only. */
#include "tests/unit/live_memory.h"
#include "tests/unit/owners.h"

#include <gossamer/rng.h>

#define WEB "default/web:80"

static const char *const one[] = { "v1" };

static bool
has(struct gs_buf *out, const char *text)
{
    return strstr(gs_buf_cstr(out), text) != NULL;
}

/* ---- what cannot be used ---- */

/* One instance at 127.0.0.1:9001. */
#define ADDRESS "\x01\xc4\x06\x7f\x00\x00\x01\x23\x29"

static void
a_record_that_cannot_be_used_is_left_out(void **state)
{
#define V(bytes)                                                                                   \
    {                                                                                              \
        bytes, sizeof(bytes) - 1                                                                   \
    }
    static const struct {
        const char *ptr;
        size_t len;
    } bad[] = {
        V(""),
        V("\x90"),
        V("\x81\x02\x05"),                               /* no list */
        V("\x81\x02\x91\x05"),                           /* no map in it */
        V("\x81\x02\x91\x80"),                           /* no address */
        V("\x81\x02\x91\x81\x01\xc4\x05\x7f\0\0\1\2"),   /* of 3 bytes */
        V("\x81\x02\x91\x81\x01\xa6\x7f\0\0\1\x23\x29"), /* a text */
        V("\x81\x02\x91\x81\x01\xc4\x06\x7f\0\0\1\0\0"), /* port 0 */
        V("\x81\x02\x91\x81\x01\xc4\x06\0\0\0\0\1\1"),   /* nowhere */
        V("\x81\x02\x91\x81\x01\xc4\x12\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1\1\1"), /* mapped */
        V("\x81\x02\x92\x81" ADDRESS "\x81" ADDRESS),               /* the same again */
        V("\x81\x02\x91\x82" ADDRESS "\x03\x91\xa1x"),              /* half a label */
        V("\x81\x02\x91\x82" ADDRESS "\x03\x92\xa0\xa1x"),          /* one without a name */
        V("\x81\x02\x91\x82" ADDRESS "\x03\x92\xa1x\xa1?"),         /* no value for one */
        V("\x81\x02\x91\x82" ADDRESS "\x03\x94\xa1x\xa0\xa1x\xa0"), /* twice */
        V("\x81\x02\x91\x82" ADDRESS "\x03\x94\xa1y\xa0\xa1x\xa0"), /* out of order */
        V("\x81\x02\x91\x82" ADDRESS "\x02\xa1x"),                  /* a tier that is a text */
        V("\x81\x01\xa4HTTP"),
        V("\x81\x01\xb1ppppppppppppppppp"),
        V("\x82\x02\x90\x01\xa1x"), /* not canonical */
        V("\x81\x02\xdd\xff\xff\xff\xff"),
    };
#undef V
    struct world *w = *state;
    struct gs_why why;

    for (unsigned n = 1; n <= 2; n++)
        set_node(w, n, MODEL_NODE_UP, 1000);
    put_one(w, 2, WEB, TIER_HEALTHY);
    for (size_t i = 0; i < GS_COUNT(bad); i++) {
        char *copy = malloc(bad[i].len + 1); /* exactly as long: ASan looks */
        gs_err e;

        memcpy(copy, bad[i].ptr, bad[i].len);
        put_one(w, 1, WEB, TIER_HEALTHY);
        e = put_value(w, 1, WEB, gs_slice(copy, bad[i].len), &why);
        free(copy);
        if (e != GS_E_MALFORMED)
            fail_msg("value %zu was taken", i);
        assert_non_null(strstr(why.text, "default/web:80 of node b1 is left out: "));
        (void)flush(w, 1000);
        assert_null(endpoint_of(w, "web", 1));
        assert_int_equal(all_of(w, "web")->count, 1); /* the other's stands */
    }
    assert_int_equal(counters_of(w).unusable, GS_COUNT(bad));
    assert_int_equal(put_value(w, 9, WEB, GS_SLICE("\x90"), &why), GS_E_MALFORMED);
    assert_non_null(strstr(why.text, "of node 0009ee0000"));
}

static void
what_a_later_version_adds_is_skipped(void **state)
{
    static const char text[] =
        "\x83\x01\xa5later\x02\x91\x84" ADDRESS "\x02\x09\x03\x92\xa1x\xa1y\x04\xa1z\x50\xa1q";
    struct world *w = *state;
    const struct endpoint *e;

    set_node(w, 1, MODEL_NODE_UP, 1000);
    assert_int_equal(put_value(w, 1, WEB, gs_slice(text, sizeof(text) - 1), NULL), GS_E_OK);
    (void)flush(w, 1000);
    e = endpoint_of(w, "web", 1);
    assert_int_equal(e->tier, TIER_UNHEALTHY); /* whatever tier 9 is, it is not healthy */
    assert_int_equal(e->label_count, 1);
}

static void
keys_are_spelt_in_one_way(void **state)
{
    static const char *const bad[] = { "",
                                       "web",
                                       "default/web",
                                       "default/web:",
                                       "default/web:0",
                                       "default/web:080",
                                       "default/web:+80",
                                       "default/web:65536",
                                       "default/web:99999999999999999999",
                                       "/web:80",
                                       "default/:80",
                                       "Default/web:80",
                                       "default/Web:80",
                                       "default/a/b:80",
                                       "default/web :80",
                                       "def.ault/web:80",
                                       "default/-web:80",
                                       ":/",
                                       "default:80/web" };
    struct world *w = *state;
    struct endpoints_key k;
    char text[ENDPOINTS_KEY_TEXT];

    for (size_t i = 0; i < GS_COUNT(bad); i++) {
        assert_int_equal(endpoints_key_parse(gs_slice_str(bad[i]), &k, NULL), GS_E_MALFORMED);
        assert_int_equal(put_value(w, 1, bad[i], GS_SLICE("\x80"), NULL), GS_E_MALFORMED);
        withdraw(w, 1, bad[i]);
    }
    assert_int_equal(counters_of(w).services, 0);
    assert_int_equal(endpoints_key_parse(GS_SLICE("ai/llm.v2:65535"), &k, NULL), GS_E_OK);
    assert_true(gs_slice_eq(k.name, GS_SLICE("llm.v2")));
    assert_string_equal(endpoints_key_text(&k, text), "ai/llm.v2:65535");
}

/* ---- coming and going ---- */

static void
a_service_is_there_while_somebody_has_it(void **state)
{
    struct world *w = *state;

    set_node(w, 1, MODEL_NODE_UP, 1000);
    put_one(w, 1, WEB, TIER_HEALTHY);
    put_one(w, 1, "default/web:8080", TIER_HEALTHY);
    (void)flush(w, 1000);
    assert_non_null(find_service(w, "web", 8080));
    set_service(w, "default", "web", 80, one, 1);
    withdraw(w, 1, WEB);
    withdraw(w, 1, "default/web:8080");
    withdraw(w, 1, "default/web:8080");
    (void)flush(w, 1000);
    assert_null(find_service(w, "web", 8080));
    assert_int_equal(find_service(w, "web", 80)->endpoint_count, 1);
    put_one(w, 1, WEB, TIER_HEALTHY);
    model_remove_service(w->model, GS_SLICE("default"), GS_SLICE("web"), 80);
    (void)flush(w, 1000);
    assert_int_equal(find_service(w, "web", 80)->endpoint_count, 1);
    assert_false(find_service(w, "web", 80)->endpoints[0].local);
    /* A record without instances is a service that has none now. */
    put_said(w, 1, WEB, "http", NULL, 0);
    (void)flush(w, 1000);
    assert_int_equal(all_of(w, "web")->count, 0);
}

static void
a_change_touches_only_its_services(void **state)
{
    struct world *w = *state;
    const struct service *other;

    for (unsigned n = 1; n <= 3; n++) {
        set_node(w, n, MODEL_NODE_UP, 1000);
        put_one(w, n, WEB, TIER_HEALTHY);
    }
    put_one(w, 3, "default/other:80", TIER_HEALTHY);
    (void)flush(w, 1000);
    other = find_service(w, "other", 80);
    put_one(w, 1, WEB, TIER_UNHEALTHY);
    assert_int_equal(flush(w, 1000).rebuilt, 1);
    assert_ptr_equal(find_service(w, "other", 80), other);
    put_one(w, 1, WEB, TIER_UNHEALTHY);
    assert_int_equal(flush(w, 1000).seq, 0); /* the same once more is no news */
    set_node(w, 2, MODEL_NODE_DOWN, 1000);
    assert_int_equal(flush(w, 1000).rebuilt, 1);
    put_one(w, 2, "default/third:80", TIER_HEALTHY);
    assert_int_equal(flush(w, 1000).rebuilt, 1);
    assert_ptr_equal(find_service(w, "other", 80), other);
    set_node(w, 3, MODEL_NODE_DOWN, 1000);
    assert_int_equal(flush(w, 1000).rebuilt, 2);
}

/* Policy that waits for a service of another node finds it, and loses it. */
static void
policy_follows_services_of_others(void **state)
{
    static const char text[] =
        VS_HEAD("web") "  hosts: [web]\n  http: [{ route: [{ destination: { host: api } }] }]\n";
    struct world *w = *state;

    set_node(w, 1, MODEL_NODE_UP, 1000);
    put_one(w, 1, WEB, TIER_HEALTHY);
    put_text(w, text, (struct deed){ .generation = 1 });
    (void)flush(w, 1000);
    assert_int_equal(find_service(w, "web", 80)->rules[0].backends[0].service, UINT32_MAX);
    put_one(w, 1, "default/api:80", TIER_HEALTHY);
    assert_int_equal(flush(w, 1000).rebuilt, 2);
    assert_int_equal(find_service(w, "web", 80)->rules[0].backends[0].service,
                     find_service(w, "api", 80)->id);
    withdraw(w, 1, "default/api:80");
    assert_int_equal(flush(w, 1000).rebuilt, 1);
    assert_int_equal(find_service(w, "web", 80)->rules[0].backends[0].service, UINT32_MAX);
}

/* ---- limits ---- */

static void
put_many(struct world *w, unsigned n, unsigned count)
{
    struct said *said = calloc(count, sizeof(*said));
    char(*texts)[32] = calloc(count, sizeof(*texts));

    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "127.0.0.1:%u", 1000 + i);
        said[i].address = texts[i];
    }
    put_said(w, n, WEB, "http", said, count);
    free(said);
    free(texts);
}

static void
what_does_not_fit_is_left_out_and_told(void **state)
{
    struct world *w = *state;
    struct gs_problems problems;

    for (unsigned n = 1; n <= 3; n++)
        set_node(w, n, MODEL_NODE_UP, 1000);
    put_many(w, 1, 3000);
    put_many(w, 2, 1000);
    put_many(w, 3, 200);
    (void)flush(w, 1000);
    assert_int_equal(find_service(w, "web", 80)->endpoint_count, SERVICE_ENDPOINTS_MAX);
    assert_int_equal(counters_of(w).left_out, 104);
    gs_problems_init(&problems);
    model_analyze(w->model, &problems);
    assert_int_equal(problems.warnings, 1);
    assert_string_equal(problems.items[0].code, "GS0209");
    assert_non_null(strstr(problems.items[0].message, "web.default:80 has 4200 endpoints"));
    gs_problems_fini(&problems);
    /* The dead are the last to have room, whatever their id. */
    set_node(w, 1, MODEL_NODE_DOWN, 1000);
    (void)flush(w, 1000);
    assert_int_equal(all_of(w, "web")->count, 1200);
    assert_int_equal(counters_of(w).lost, SERVICE_ENDPOINTS_MAX - 1200);
    assert_int_equal(counters_of(w).left_out, 104);
    set_node(w, 1, MODEL_NODE_UP, 1000);
    put_many(w, 2, 1);
    (void)flush(w, 1000);
    assert_int_equal(counters_of(w).left_out, 0);
    assert_int_equal(all_of(w, "web")->count, 3201);
    put_many(w, 1, SERVICE_ENDPOINTS_MAX);
    (void)flush(w, 1000);
    assert_int_equal(counters_of(w).left_out, 201);
}

static void
there_are_so_many_services_and_no_more(void **state)
{
    struct world *w = *state;
    struct gs_why why;
    char key[64];

    for (unsigned i = 0; i < SERVICES_MAX; i++) {
        (void)snprintf(key, sizeof(key), "default/s%u:80", i);
        assert_int_equal(put_value(w, 1, key, GS_SLICE("\x80"), NULL), GS_E_OK);
    }
    assert_int_equal(put_value(w, 1, WEB, GS_SLICE("\x80"), &why), GS_E_LIMIT);
    assert_non_null(strstr(why.text, "there are 16384 services already"));
    withdraw(w, 1, "default/s7:80");
    assert_int_equal(put_value(w, 1, WEB, GS_SLICE("\x80"), NULL), GS_E_OK);
}

/* ---- what nodes do not agree on ---- */

static void
most_nodes_decide_the_protocol(void **state)
{
    static const struct said said = { "127.0.0.1:9001", TIER_HEALTHY, "v1" };
    struct world *w = *state;
    struct gs_problems problems;
    struct json_out j;
    struct gs_buf out;

    gs_buf_init(&out, 65536);
    for (unsigned n = 1; n <= 3; n++) {
        set_node(w, n, MODEL_NODE_UP, 1000);
        put_said(w, n, WEB, n == 1 ? "http" : "tcp", &said, 1);
    }
    (void)flush(w, 1000);
    json_init(&j, &out);
    model_services_json(w->model, GS_SLICE_NONE, GS_SLICE_NONE, &j);
    assert_true(has(&out, "\"protocol\":\"tcp\",\"endpoints\":3,\"healthy\":3"));
    gs_problems_init(&problems);
    model_analyze(w->model, &problems);
    assert_int_equal(problems.warnings, 1);
    assert_string_equal(problems.items[0].code, "GS0208");
    assert_string_equal(problems.items[0].message, "web.default:80 is tcp for callers, but node b1 "
                                                   "says http (1 of 3 nodes do)");
    gs_problems_fini(&problems);
    /* Of as many the first by alphabet; who has left has no say. */
    set_node(w, 2, MODEL_NODE_GONE, 1000);
    gs_buf_clear(&out);
    json_init(&j, &out);
    model_services_json(w->model, GS_SLICE_NONE, GS_SLICE_NONE, &j);
    assert_true(has(&out, "\"protocol\":\"http\""));
    put_one(w, 3, WEB, TIER_HEALTHY);
    (void)flush(w, 1000);
    gs_problems_init(&problems);
    model_analyze(w->model, &problems);
    assert_int_equal(problems.warnings, 0);
    gs_problems_fini(&problems);
    gs_buf_fini(&out);
}

/* ---- for people ---- */

static void
lists_show_the_whole_mesh(void **state)
{
    struct world *w = *state;
    struct gs_problems problems;
    struct json_out j;
    struct gs_buf out;

    gs_buf_init(&out, 65536);
    set_service(w, "default", "web", 80, one, 1);
    for (unsigned n = 1; n <= 2; n++) {
        set_node(w, n, n == 1 ? MODEL_NODE_UP : MODEL_NODE_DOWN, 1000);
        put_one(w, n, WEB, TIER_HEALTHY);
    }
    (void)flush(w, 1000);
    json_init(&j, &out);
    model_endpoints_json(w->model, GS_SLICE_NONE, GS_SLICE_NONE, &(struct model_reading){ 0 }, &j);
    assert_true(has(&out, "\"address\":\"127.0.0.1:9001\",\"node\":\"n1\",\"zone\":\"z\","
                          "\"state\":\"pending\""));
    assert_true(has(&out, "\"node\":\"b1\",\"zone\":\"z1\",\"state\":\"healthy\""));
    assert_true(has(&out, "\"node\":\"b2\",\"zone\":\"z2\",\"state\":\"lost\""));
    gs_buf_clear(&out);
    json_init(&j, &out);
    model_services_json(w->model, GS_SLICE_NONE, GS_SLICE_NONE, &j);
    assert_true(has(&out, "\"endpoints\":3,\"healthy\":1"));
    gs_buf_clear(&out);
    json_init(&j, &out);
    explain_json(snapshot_current(w->hub), find_service(w, "web", 80), UINT32_MAX, 1000, &j);
    assert_true(has(&out, "\"endpoints\":[{\"address\":\"127.0.0.1:9001\",\"node\":\"b1\","
                          "\"state\":\"healthy\",\"weight\":100}]"));
    assert_true(has(&out, "\"node\":\"b2\",\"state\":\"lost\",\"why\":\"its node is not heard "
                          "of\"}"));
    put_one(w, 2, "default/api:80", TIER_HEALTHY);
    put_text(w,
             VS_HEAD("x") "  hosts: [api]\n  http: [{ route: [{ destination: { host: nobody "
                          "} }] }]\n",
             (struct deed){ .generation = 1 });
    (void)flush(w, 1000);
    gs_problems_init(&problems);
    model_analyze(w->model, &problems);
    assert_int_equal(problems.warnings, 1);
    assert_non_null(
        strstr(problems.items[0].message, "no service of the mesh is called \"nobody\""));
    gs_problems_fini(&problems);
    gs_buf_fini(&out);
}

/* ---- machines come and go ---- */

static bool
all_gone(void *arg, uint32_t id)
{
    struct world *w = arg;

    return stat_names_at(w->stat_names, id) != NULL;
}

static bool
still_counts(void *arg, uint32_t id)
{
    (void)arg;
    (void)id;
    return false;
}

static void
reap(struct world *w, uint64_t now_ms)
{
    (void)snapshot_adopt(w->hub, 0);
    snapshot_reap(w->hub);
    slots_reap(w->slots);
    stat_names_reap(w->stat_names, now_ms, all_gone, w);
}

/* A node joins with an instance of a service that all have and one that it alone has, dies and is
 * forgotten. */
static void
come_and_go(struct world *w, unsigned n, uint64_t now_ms)
{
    struct gs_id id = node_id(n);
    char own[64];

    (void)snprintf(own, sizeof(own), "default/only-b%u:80", n);
    set_node(w, n, MODEL_NODE_UP, now_ms);
    put_one(w, n, WEB, TIER_HEALTHY);
    put_one(w, n, own, TIER_HEALTHY);
    (void)model_flush(w->model, now_ms);
    set_node(w, n, MODEL_NODE_DOWN, now_ms + 1);
    model_remove_node(w->model, &id);
    (void)flush(w, now_ms + 2);
    reap(w, now_ms + 3);
}

/* Given  10,000 nodes, each with a service of its own, that come and go, one every ten minutes
 * Then   slots are given back at once, numbers of statistics after an hour, and memory is flat */
static void
nodes_that_come_and_go_leave_nothing(void **state)
{
    struct world *w = *state;
    size_t slots = slots_used(w->slots), names = 0, used = 0;
    uint64_t now_ms = 1000;

    for (unsigned n = 1; n <= 10000; n++, now_ms += 600000) {
        come_and_go(w, n, now_ms);
        assert_int_equal(slots_used(w->slots), slots);
        if (n < 1000)
            continue;
        names = n == 1000 ? stat_names_used(w->stat_names) : names;
        used = n == 1000 ? live_memory() : used;
        assert_int_equal(stat_names_used(w->stat_names), names);
    }
    assert_true(names < 40);
    assert_true(stat_names_end(w->stat_names) < 40);
    assert_true(live_memory() <= used + 4096);
    stat_names_reap(w->stat_names, now_ms + 2 * STAT_KEPT_MS, still_counts, NULL);
    assert_true(stat_names_used(w->stat_names) > 0);
}

/* A service that returns within the hour goes on counting where it was. */
static void
a_service_that_returns_keeps_its_numbers(void **state)
{
    struct world *w = *state;
    uint32_t number;

    set_node(w, 1, MODEL_NODE_UP, 1000);
    put_one(w, 1, WEB, TIER_HEALTHY);
    (void)flush(w, 1000);
    number = all_of(w, "web")->stat_out;
    withdraw(w, 1, WEB);
    (void)flush(w, 2000);
    reap(w, 2000);
    reap(w, 2000 + STAT_KEPT_MS - 1);
    assert_non_null(stat_names_at(w->stat_names, number));
    put_one(w, 1, WEB, TIER_HEALTHY);
    (void)flush(w, 3000 + STAT_KEPT_MS);
    assert_int_equal(all_of(w, "web")->stat_out, number);
    reap(w, 10 * STAT_KEPT_MS);
    reap(w, 20 * STAT_KEPT_MS);
    assert_non_null(stat_names_at(w->stat_names, number));
}

/* ---- anything, in any order ---- */

/* An operator drains a node or undoes it, closes a service, or gives an endpoint another weight. */
static void
maintain(struct world *w, unsigned n, unsigned what, uint64_t generation)
{
    char node[16], text[256];

    (void)snprintf(node, sizeof(node), "b%u", n);
    (void)snprintf(text, sizeof(text),
                   "apiVersion: gossamer.dev/v1\nkind: Maintenance\nmetadata: { name: m%u }\n"
                   "spec: { %s%s%s }\n",
                   what < 2 ? n : 10 + what, what < 3 ? "node: " : "", what < 3 ? node : "",
                   what < 2    ? ", drain: true"
                   : what == 2 ? ", service: { name: web }, weight: 10"
                               : "service: { name: api }, drain: true");
    put_text(w, text, (struct deed){ .generation = generation, .deleted = what == 1 });
}

static void
disturb(struct world *w, struct gs_rng *rng, uint64_t now_ms)
{
    static const char *const keys[] = { WEB, "default/api:80", "ai/llm.v2:80", "default/web:81" };
    const char *key = keys[gs_rng_below(rng, GS_COUNT(keys))];
    unsigned n = 1 + gs_rng_below(rng, 6);
    struct gs_id id = node_id(n);

    switch (gs_rng_below(rng, 10)) {
    case 0:
    case 1:
    case 2:
        put_one(w, n, key, (enum endpoint_tier)gs_rng_below(rng, 3));
        break;
    case 3:
        withdraw(w, n, key);
        break;
    case 4:
        assert_int_equal(put_value(w, n, key, GS_SLICE("\x90"), NULL), GS_E_MALFORMED);
        break;
    case 5:
    case 6:
        set_node(w, n, (enum model_node_state)gs_rng_below(rng, MODEL_NODE_GONE + 1), now_ms);
        break;
    case 7:
        if (gs_rng_below(rng, 4) == 0)
            model_remove_node(w->model, &id);
        else if (endpoint_of(w, "web", n))
            succeed(w, "web", n, now_ms);
        break;
    case 8:
        maintain(w, n, gs_rng_below(rng, 4), w->hlc);
        break;
    default:
        if (gs_rng_below(rng, 2))
            set_service(w, "default", "web", 80, one, 1);
        else
            model_remove_service(w->model, GS_SLICE("default"), GS_SLICE("web"), 80);
    }
}

/* Whatever nodes do, every invariant holds, and what is due is always ahead. */
static void
any_order_of_news_keeps_the_catalog_whole(void **state)
{
    struct world *w = *state;
    struct model_own own;

    model_set_published(w->model, true);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct gs_rng rng;
        uint64_t now_ms = seed * 10000000;

        gs_rng_init(&rng, seed);
        for (unsigned i = 0; i < 300; i++) {
            disturb(w, &rng, now_ms);
            if (gs_rng_below(&rng, 3) == 0)
                now_ms += gs_rng_below(&rng, 4) == 0 ? LOST_KEPT_MS / 2 : 700;
            if (gs_rng_below(&rng, 3) == 0) {
                (void)flush(w, now_ms);
                assert_true(model_due_ms(w->model) > now_ms);
                snapshot_adopt(w->hub, 0);
                snapshot_reap(w->hub);
                slots_reap(w->slots);
            }
            while (gs_rng_below(&rng, 5) == 0 && model_next_own(w->model, &own))
                continue;
        }
    }
}

/* Which version of each record of a node is in use here: what a confirmation looks at. */
static void
what_a_node_said_is_known_by_version(void **state)
{
    struct world *w = *state;
    struct gs_id first = node_id(1), second = node_id(2), third = node_id(3);
    struct model_said s;
    struct model_record r;
    struct gs_buf value;
    uint64_t seqs = 0;
    char key[32]; /* of the last record, which is said again */

    encode_said("http", &(struct said){ "127.0.0.1:9001", TIER_HEALTHY, "v1" }, 1, &value);
    for (unsigned i = 0; i < 3; i++) {
        (void)snprintf(key, sizeof(key), "default/s%u:80", i);
        r = record_of(1, key, gs_buf_slice(&value));
        r.version.generation = 70;
        r.version.hlc = UINT64_C(1) << i;
        assert_int_equal(model_on_endpoints(w->model, &r, NULL), GS_E_OK);
    }
    put_one(w, 2, "default/s0:80", TIER_HEALTHY);
    for (const void *at = NULL; model_next_said(w->model, &first, &at, &s);) {
        assert_int_equal(s.boot, 70);
        assert_int_equal(s.port, 80);
        assert_true(gs_slice_eq(s.ns, GS_SLICE("default")));
        assert_int_equal(seqs & s.seq, 0);
        seqs |= s.seq;
    }
    assert_int_equal(seqs, 7);
    r.version.hlc = 8; /* the last one again */
    assert_int_equal(model_on_endpoints(w->model, &r, NULL), GS_E_OK);
    withdraw(w, 1, "default/s0:80");
    seqs = 0;
    for (const void *at = NULL; model_next_said(w->model, &first, &at, &s);)
        seqs |= s.seq;
    assert_int_equal(seqs, 2 | 8);
    seqs = 0;
    for (const void *at = NULL; model_next_said(w->model, &second, &at, &s);)
        seqs += s.seq;
    assert_int_equal(seqs, 1);
    for (const void *at = NULL; model_next_said(w->model, &third, &at, &s);)
        fail();
    gs_buf_fini(&value);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_record_that_cannot_be_used_is_left_out),
        TEST(what_a_later_version_adds_is_skipped),
        TEST(keys_are_spelt_in_one_way),
        TEST(a_service_is_there_while_somebody_has_it),
        TEST(a_change_touches_only_its_services),
        TEST(policy_follows_services_of_others),
        TEST(what_does_not_fit_is_left_out_and_told),
        TEST(there_are_so_many_services_and_no_more),
        TEST(most_nodes_decide_the_protocol),
        TEST(lists_show_the_whole_mesh),
        TEST(nodes_that_come_and_go_leave_nothing),
        TEST(a_service_that_returns_keeps_its_numbers),
        TEST(any_order_of_news_keeps_the_catalog_whole),
        TEST(what_a_node_said_is_known_by_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
