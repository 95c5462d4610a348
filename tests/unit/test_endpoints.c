/* test_endpoints.c - endpoints of other nodes: where they are, and what they are used as while
 * their owners come, fall silent, die, leave and return. */
#include "tests/unit/owners.h"

#define WEB "default/web:80"

static const char *const one[] = { "v1" };

/* ---- where they are ---- */

static void
an_endpoint_names_its_owner(void **state)
{
    static const struct said said[] = { { "127.0.0.1:9001", TIER_HEALTHY, "v1" },
                                        { "10.9.9.9:80", TIER_UNHEALTHY, NULL },
                                        { "[2001:db8::1]:80", TIER_DRAINING, "v2" } };
    struct world *w = *state;
    const struct service *s;
    const struct endpoint *e;
    struct gs_id id = node_id(1);
    struct gs_addr mesh = addr_of("10.0.0.2:4143");
    struct gs_addr first = addr_of("10.9.9.9:80");

    set_node(w, 1, MODEL_NODE_UP, 1000);
    put_said(w, 1, WEB, "http", said, 3);
    (void)flush(w, 1000);
    s = find_service(w, "web", 80);
    assert_non_null(s);
    assert_int_equal(s->endpoint_count, 3);
    e = &s->endpoints[0]; /* in order of addresses */
    assert_true(gs_addr_eq(&e->addr, &first));
    assert_int_equal(e->tier, TIER_UNHEALTHY);
    assert_false(e->local);
    assert_true(gs_id_eq(&e->owner, &id));
    assert_true(gs_addr_eq(&e->mesh, &mesh));
    assert_true(gs_slice_eq(e->service, GS_SLICE("default/web:80")));
    assert_true(gs_slice_eq(e->node, GS_SLICE("b1")));
    assert_true(gs_slice_eq(e->zone, GS_SLICE("z1")));
    assert_int_equal(e->label_count, 0);
    assert_int_equal(s->endpoints[1].tier, TIER_HEALTHY);
    assert_true(gs_slice_eq(s->endpoints[1].labels[0].value, GS_SLICE("v1")));
    assert_int_equal(s->endpoints[2].tier, TIER_DRAINING);
    assert_int_equal(s->endpoints[2].addr.family, 6);
    assert_int_equal(s->subsets[SUBSET_ALL].count, 1);
    assert_ptr_equal(s->subsets[SUBSET_ALL].endpoints[0], &s->endpoints[1]);
}

static void
the_same_address_of_two_nodes_is_two_endpoints(void **state)
{
    struct world *w = *state;
    const struct endpoint *a, *b;
    uint32_t slot;

    set_service(w, "default", "web", 80, one, 1); /* 127.0.0.1:9001, too */
    set_health(w, "default", "web", 80, 0, TIER_HEALTHY);
    for (unsigned n = 1; n <= 2; n++) {
        set_node(w, n, MODEL_NODE_UP, 1000);
        put_one(w, n, WEB, TIER_HEALTHY);
    }
    (void)flush(w, 1000);
    assert_int_equal(all_of(w, "web")->count, 3);
    assert_true(find_service(w, "web", 80)->endpoints[0].local); /* own ones first */
    a = endpoint_of(w, "web", 1);
    b = endpoint_of(w, "web", 2);
    assert_int_not_equal(a->slot, b->slot);
    assert_int_not_equal(a->slot, find_service(w, "web", 80)->endpoints[0].slot);
    slot = a->slot;
    put_one(w, 1, WEB, TIER_UNHEALTHY);
    withdraw(w, 2, WEB);
    (void)flush(w, 1000);
    assert_int_equal(endpoint_of(w, "web", 1)->slot, slot);
    put_one(w, 2, WEB, TIER_HEALTHY);
    (void)flush(w, 1000);
    assert_int_equal(endpoint_of(w, "web", 1)->slot, slot);
}

static void
a_node_whose_address_is_not_known_cannot_be_reached(void **state)
{
    struct model_node node = { .id = node_id(1), .name = GS_SLICE("b1"), .state = MODEL_NODE_UP };
    struct world *w = *state;

    put_one(w, 1, WEB, TIER_HEALTHY);
    model_set_node(w->model, 1000, &node);
    (void)flush(w, 1000);
    assert_int_equal(endpoint_of(w, "web", 1)->tier, TIER_PENDING);
    assert_int_equal(all_of(w, "web")->count, 0);
    node.mesh = addr_of("10.0.0.7:4143");
    model_set_node(w->model, 1000, &node);
    (void)flush(w, 1000);
    assert_int_equal(endpoint_of(w, "web", 1)->tier, TIER_HEALTHY);
    assert_int_equal(all_of(w, "web")->count, 1);
}

static void
a_node_that_moves_takes_its_endpoints_along(void **state)
{
    struct model_node node = { .id = node_id(1),
                               .name = GS_SLICE("renamed"),
                               .zone = GS_SLICE("far"),
                               .mesh = addr_of("10.0.0.9:4143"),
                               .state = MODEL_NODE_UP };
    struct world *w = *state;
    const struct endpoint *e;
    uint32_t slot;

    set_node(w, 1, MODEL_NODE_UP, 1000);
    put_one(w, 1, WEB, TIER_HEALTHY);
    (void)flush(w, 1000);
    slot = endpoint_of(w, "web", 1)->slot;
    set_node(w, 1, MODEL_NODE_UP, 2000);
    assert_int_equal(flush(w, 2000).seq, 0); /* nothing new */
    model_set_node(w->model, 2000, &node);
    assert_int_equal(flush(w, 2000).rebuilt, 1);
    e = endpoint_of(w, "web", 1);
    assert_true(gs_slice_eq(e->node, GS_SLICE("renamed")));
    assert_true(gs_slice_eq(e->zone, GS_SLICE("far")));
    assert_true(gs_addr_eq(&e->mesh, &node.mesh));
    assert_int_equal(e->slot, slot);
}

/* ---- dead is not removed ---- */

/* Given  web on two nodes
 * When   one dies, then the other, and ten minutes pass
 * Then   the dead one is used only when nobody else is left, and then withdrawn; its return is a
 *        return of its endpoints */
static void
endpoints_of_the_dead_are_the_last_resort(void **state)
{
    struct world *w = *state;
    uint64_t died = 5000;

    for (unsigned n = 1; n <= 2; n++) {
        set_node(w, n, MODEL_NODE_UP, 1000);
        put_one(w, n, WEB, TIER_HEALTHY);
    }
    (void)flush(w, 1000);
    assert_int_equal(model_due_ms(w->model), UINT64_MAX);
    set_node(w, 1, MODEL_NODE_DOWN, died);
    (void)flush(w, died);
    assert_int_equal(endpoint_of(w, "web", 1)->tier, TIER_LOST);
    assert_int_equal(all_of(w, "web")->count, 1);
    assert_ptr_equal(all_of(w, "web")->endpoints[0], endpoint_of(w, "web", 2));
    assert_int_equal(counters_of(w).lost, 1);
    assert_int_equal(model_due_ms(w->model), died + LOST_KEPT_MS);

    set_node(w, 1, MODEL_NODE_DOWN, died + 1000); /* heard twice: it died when it died */
    set_node(w, 2, MODEL_NODE_DOWN, died + 1000);
    (void)flush(w, died + 1000);
    assert_int_equal(all_of(w, "web")->count, 2);
    assert_false(all_of(w, "web")->panic);

    (void)flush(w, died + LOST_KEPT_MS - 1);
    assert_int_equal(all_of(w, "web")->count, 2);
    (void)flush(w, died + LOST_KEPT_MS);
    assert_null(endpoint_of(w, "web", 1));
    assert_int_equal(all_of(w, "web")->count, 1);
    assert_int_equal(model_due_ms(w->model), died + 1000 + LOST_KEPT_MS);
    (void)flush(w, died + 1000 + LOST_KEPT_MS);
    assert_non_null(find_service(w, "web", 80)); /* it is known, and has nobody: 503, not 404 */
    assert_int_equal(all_of(w, "web")->count, 0);
    assert_int_equal(model_due_ms(w->model), UINT64_MAX);

    set_node(w, 1, MODEL_NODE_UP, died + 2 * LOST_KEPT_MS);
    (void)flush(w, died + 2 * LOST_KEPT_MS);
    assert_int_equal(endpoint_of(w, "web", 1)->tier, TIER_HEALTHY);
    assert_int_equal(all_of(w, "web")->count, 1);
}

static void
a_return_stops_the_clock(void **state)
{
    struct world *w = *state;

    set_node(w, 1, MODEL_NODE_UP, 1000);
    put_one(w, 1, WEB, TIER_HEALTHY);
    set_node(w, 1, MODEL_NODE_DOWN, 2000);
    (void)flush(w, 2000);
    set_node(w, 1, MODEL_NODE_UP, 3000);
    (void)flush(w, 3000);
    (void)flush(w, 2000 + LOST_KEPT_MS);
    assert_int_equal(endpoint_of(w, "web", 1)->tier, TIER_HEALTHY);
    set_node(w, 1, MODEL_NODE_DOWN, 4000 + LOST_KEPT_MS);
    (void)flush(w, 4000 + LOST_KEPT_MS);
    assert_int_equal(model_due_ms(w->model), 4000 + 2 * LOST_KEPT_MS);
}

static void
who_leaves_is_gone_at_once(void **state)
{
    struct world *w = *state;

    set_node(w, 1, MODEL_NODE_UP, 1000);
    put_one(w, 1, WEB, TIER_HEALTHY);
    (void)flush(w, 1000);
    succeed(w, "web", 1, 1000); /* whatever its traffic says: it is its own word */
    set_node(w, 1, MODEL_NODE_GONE, 1001);
    (void)flush(w, 1001);
    assert_null(endpoint_of(w, "web", 1));
    assert_int_equal(counters_of(w).held, 0);
    withdraw(w, 1, WEB);
    (void)flush(w, 1002);
    assert_null(find_service(w, "web", 80));
    set_node(w, 1, MODEL_NODE_UP, 1003);
    put_one(w, 1, WEB, TIER_HEALTHY);
    (void)flush(w, 1003);
    assert_int_equal(all_of(w, "web")->count, 1);
}

static void
a_forgotten_node_takes_everything_along(void **state)
{
    struct world *w = *state;
    struct gs_id id = node_id(1);

    for (unsigned n = 1; n <= 2; n++) {
        set_node(w, n, MODEL_NODE_UP, 1000);
        put_one(w, n, WEB, TIER_HEALTHY);
    }
    put_one(w, 1, "default/alone:80", TIER_HEALTHY);
    (void)flush(w, 1000);
    assert_int_equal(counters_of(w).nodes, 3);
    model_remove_node(w->model, &id);
    model_remove_node(w->model, &id);
    (void)flush(w, 1001);
    assert_int_equal(counters_of(w).nodes, 2);
    assert_null(find_service(w, "alone", 80));
    assert_null(endpoint_of(w, "web", 1));
    assert_int_equal(all_of(w, "web")->count, 1);
}

/* ---- what is remembered ---- */

/* Given  records from the disk, of nodes nobody has vouched for
 * Then   their endpoints are tried, for as long as nothing else is known */
static void
remembered_nodes_are_tried(void **state)
{
    struct world *w = *state;

    put_one(w, 1, WEB, TIER_HEALTHY);
    put_one(w, 2, WEB, TIER_DRAINING);
    set_node(w, 1, MODEL_NODE_UNKNOWN, 1000);
    set_node(w, 2, MODEL_NODE_UNKNOWN, 1000);
    (void)flush(w, 1000);
    assert_int_equal(all_of(w, "web")->count, 2);
    assert_int_equal(endpoint_of(w, "web", 1)->tier, TIER_LOST);
    assert_int_equal(model_due_ms(w->model), UINT64_MAX);
    (void)flush(w, 1000 + 10 * LOST_KEPT_MS);
    assert_int_equal(all_of(w, "web")->count, 2);
    set_node(w, 1, MODEL_NODE_UP, 2000);
    (void)flush(w, 2000);
    assert_int_equal(all_of(w, "web")->count, 1);
    assert_int_equal(endpoint_of(w, "web", 1)->tier, TIER_HEALTHY);
}

/* ---- own traffic against hearsay ---- */

/* Given  traffic of this node to b1 succeeds
 * When   gossip calls b1 dead
 * Then   it stays as it is until 5 s after the last success, and that is counted once */
static void
traffic_that_succeeds_outweighs_gossip(void **state)
{
    struct world *w = *state;

    for (unsigned n = 1; n <= 2; n++) {
        set_node(w, n, MODEL_NODE_UP, 1000);
        put_one(w, n, WEB, TIER_HEALTHY);
    }
    (void)flush(w, 1000);
    succeed(w, "web", 1, 9000);
    set_node(w, 1, MODEL_NODE_DOWN, 10000);
    set_node(w, 2, MODEL_NODE_DOWN, 10000);
    (void)flush(w, 10000);
    assert_int_equal(endpoint_of(w, "web", 1)->tier, TIER_HEALTHY);
    assert_int_equal(endpoint_of(w, "web", 2)->tier, TIER_LOST);
    assert_int_equal(counters_of(w).held, 1);
    assert_int_equal(model_due_ms(w->model), 9000 + TRUSTED_MS);
    succeed(w, "web", 1, 13000);
    assert_int_equal(flush(w, 9000 + TRUSTED_MS).seq, 0);
    assert_int_equal(endpoint_of(w, "web", 1)->tier, TIER_HEALTHY);
    assert_int_equal(counters_of(w).held, 1);
    assert_int_equal(model_due_ms(w->model), 13000 + TRUSTED_MS);
    (void)flush(w, 13000 + TRUSTED_MS);
    assert_int_equal(endpoint_of(w, "web", 1)->tier, TIER_LOST);
    assert_int_equal(model_due_ms(w->model), 10000 + LOST_KEPT_MS);
    /* Nor is it withdrawn while it answers. */
    succeed(w, "web", 1, 9999 + LOST_KEPT_MS);
    (void)flush(w, 10000 + LOST_KEPT_MS);
    assert_non_null(endpoint_of(w, "web", 1));
    assert_null(endpoint_of(w, "web", 2));
    assert_int_equal(counters_of(w).held, 2);
    (void)flush(w, 9999 + LOST_KEPT_MS + TRUSTED_MS);
    assert_null(endpoint_of(w, "web", 1));
    assert_int_equal(model_due_ms(w->model), UINT64_MAX);
}

static void
what_an_owner_says_of_its_health_is_held_too_its_intent_is_not(void **state)
{
    struct world *w = *state;

    set_node(w, 1, MODEL_NODE_UP, 1000);
    put_one(w, 1, WEB, TIER_HEALTHY);
    (void)flush(w, 1000);
    succeed(w, "web", 1, 1500);
    put_one(w, 1, WEB, TIER_UNHEALTHY);
    (void)flush(w, 2000);
    assert_int_equal(endpoint_of(w, "web", 1)->tier, TIER_HEALTHY);
    put_one(w, 1, WEB, TIER_DRAINING);
    (void)flush(w, 2001);
    assert_int_equal(endpoint_of(w, "web", 1)->tier, TIER_DRAINING);
    put_one(w, 1, WEB, TIER_UNHEALTHY); /* which is better than draining */
    (void)flush(w, 2002);
    assert_int_equal(endpoint_of(w, "web", 1)->tier, TIER_UNHEALTHY);
    put_one(w, 1, WEB, TIER_HEALTHY);
    (void)flush(w, 2003);
    assert_int_equal(endpoint_of(w, "web", 1)->tier, TIER_HEALTHY);
    withdraw(w, 1, WEB);
    (void)flush(w, 2004);
    assert_null(find_service(w, "web", 80));
    assert_int_equal(counters_of(w).held, 1);
}

static void
a_recovery_ends_the_wait(void **state)
{
    struct world *w = *state;

    set_node(w, 1, MODEL_NODE_UP, 1000);
    put_one(w, 1, WEB, TIER_HEALTHY);
    (void)flush(w, 1000);
    succeed(w, "web", 1, 1500);
    set_node(w, 1, MODEL_NODE_DOWN, 2000);
    (void)flush(w, 2000);
    set_node(w, 1, MODEL_NODE_UP, 2500);
    (void)flush(w, 2500);
    (void)flush(w, 1500 + TRUSTED_MS);
    assert_int_equal(endpoint_of(w, "web", 1)->tier, TIER_HEALTHY);
    succeed(w, "web", 1, 8000);
    set_node(w, 1, MODEL_NODE_DOWN, 8001);
    (void)flush(w, 8001);
    assert_int_equal(counters_of(w).held, 2); /* another time, another count */
}

static void
own_checks_are_no_hearsay(void **state)
{
    struct world *w = *state;
    const struct endpoint *e;

    set_service(w, "default", "web", 80, one, 1);
    set_health(w, "default", "web", 80, 0, TIER_HEALTHY);
    (void)flush(w, 1000);
    e = &find_service(w, "web", 80)->endpoints[0];
    atomic_store(&slots_at(w->slots, e->slot)->succeeded_ms, 1000);
    set_health(w, "default", "web", 80, 0, TIER_UNHEALTHY);
    (void)flush(w, 1001);
    assert_int_equal(find_service(w, "web", 80)->endpoints[0].tier, TIER_UNHEALTHY);
    assert_int_equal(counters_of(w).held, 0);
}

/* ---- tiers of a subset ---- */

static void
the_best_tier_of_a_subset_counts_whoever_has_it(void **state)
{
    static const struct said v2 = { "127.0.0.1:9002", TIER_HEALTHY, "v2" };
    struct world *w = *state;
    const struct service *s;

    put_text(w, WEB_DR, (struct deed){ .generation = 1 });
    for (unsigned n = 1; n <= 4; n++)
        set_node(w, n, MODEL_NODE_UP, 1000);
    put_one(w, 1, WEB, TIER_HEALTHY);
    put_one(w, 2, WEB, TIER_UNHEALTHY);
    put_said(w, 3, WEB, "http", &v2, 1);
    put_one(w, 4, WEB, TIER_DRAINING);
    (void)flush(w, 1000);
    s = find_service(w, "web", 80);
    assert_int_equal(s->subsets[1].count, 1);
    assert_ptr_equal(s->subsets[1].endpoints[0], endpoint_of(w, "web", 1));
    assert_int_equal(s->subsets[2].count, 1);
    set_node(w, 1, MODEL_NODE_DOWN, 1000);
    set_node(w, 3, MODEL_NODE_DOWN, 1000);
    (void)flush(w, 1000);
    s = find_service(w, "web", 80);
    assert_true(s->subsets[1].panic); /* unhealthy, but alive */
    assert_ptr_equal(s->subsets[1].endpoints[0], endpoint_of(w, "web", 2));
    assert_ptr_equal(s->subsets[2].endpoints[0], endpoint_of(w, "web", 3));
    assert_false(s->subsets[2].panic);
    withdraw(w, 2, WEB);
    (void)flush(w, 1000);
    s = find_service(w, "web", 80);
    assert_ptr_equal(s->subsets[1].endpoints[0], endpoint_of(w, "web", 4)); /* before the lost */
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_endpoint_names_its_owner),
        TEST(the_same_address_of_two_nodes_is_two_endpoints),
        TEST(a_node_whose_address_is_not_known_cannot_be_reached),
        TEST(a_node_that_moves_takes_its_endpoints_along),
        TEST(endpoints_of_the_dead_are_the_last_resort),
        TEST(a_return_stops_the_clock),
        TEST(who_leaves_is_gone_at_once),
        TEST(a_forgotten_node_takes_everything_along),
        TEST(remembered_nodes_are_tried),
        TEST(traffic_that_succeeds_outweighs_gossip),
        TEST(what_an_owner_says_of_its_health_is_held_too_its_intent_is_not),
        TEST(a_recovery_ends_the_wait),
        TEST(own_checks_are_no_hearsay),
        TEST(the_best_tier_of_a_subset_counts_whoever_has_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
