/* test_snapshot.c - publish, adopt, pin, reap: single-threaded rules first, then threads that do
 * it at random (run under TSan in CI: any blob freed too early is a use after free there). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <gossamer/rng.h>
#include <gossamer/snapshot.h>
#include <gossamer/stats.h>

static struct service_blob *
blob(struct slots *slots, uint32_t id, const char *addr, uint64_t mark)
{
    struct service_blob *b = service_blob_new(slots, NULL);
    struct endpoint *e = gs_arena_zalloc(&b->arena, sizeof(*e));
    struct subset *all = gs_arena_zalloc(&b->arena, sizeof(*all));
    const struct endpoint **list = gs_arena_alloc(&b->arena, sizeof(*list));

    assert_int_equal(slots_get(slots, gs_slice_str(addr), &e->slot), GS_E_OK);
    e->generation = atomic_load(&slots_at(slots, e->slot)->generation);
    *list = e;
    all->endpoints = list;
    all->count = 1;
    b->service.id = id;
    b->service.policy = gs_slice(gs_arena_printf(&b->arena, "%llu", (unsigned long long)mark), 1);
    b->service.subsets = all;
    b->service.subset_count = 1;
    b->service.endpoints = e;
    b->service.endpoint_count = 1;
    service_blob_seal(b);
    return b;
}

/* Given  a root that an exchange was routed by
 * When   later roots are published and adopted
 * Then   it stays until the exchange lets go, and those between it and the newest do not wait */
static void
test_pins(void **state)
{
    struct slots *slots = slots_new();
    struct snapshot_hub *hub = snapshot_hub_new(slots, 1);
    struct service_blob *kept = blob(slots, 0, "a", 1);
    struct service_blob *blobs[2] = { kept, NULL };
    struct snapshot *old;

    (void)state;
    snapshot_publish(hub, blobs, 1, NULL);
    old = snapshot_adopt(hub, 0);
    snapshot_pin(old, 0);
    for (int i = 0; i < 10; i++) {
        blobs[1] = blob(slots, 1, "b", 2);
        snapshot_publish(hub, blobs, 2, NULL);
        snapshot_adopt(hub, 0);
        snapshot_reap(hub);
    }
    assert_int_equal(snapshot_live_roots(hub), 2); /* the pinned and the newest */
    assert_int_equal(old->service_count, 1);
    assert_ptr_equal(snapshot_service(old, 0), &kept->service);
    snapshot_unpin(old, 0);
    snapshot_reap(hub);
    assert_int_equal(snapshot_live_roots(hub), 1);
    snapshot_hub_free(hub);
    slots_free(slots);
}

/* A worker that has not adopted yet holds everything it may still adopt. */
static void
test_slow_worker(void **state)
{
    struct slots *slots = slots_new();
    struct snapshot_hub *hub = snapshot_hub_new(slots, 2);
    struct service_blob *b = blob(slots, 0, "a", 1);
    uint64_t seq;

    (void)state;
    snapshot_adopt(hub, 0);
    snapshot_adopt(hub, 1);
    seq = snapshot_publish(hub, &b, 1, NULL);
    snapshot_adopt(hub, 0);
    snapshot_reap(hub);
    assert_int_equal(snapshot_live_roots(hub), 2);
    assert_true(snapshot_adopted_by_all(hub) < seq);
    snapshot_adopt(hub, 1);
    assert_int_equal(snapshot_adopted_by_all(hub), seq);
    snapshot_reap(hub);
    assert_int_equal(snapshot_live_roots(hub), 1);
    snapshot_hub_free(hub);
    slots_free(slots);
}

static void
test_slots(void **state)
{
    struct slots *slots = slots_new();
    struct service_blob *b = blob(slots, 0, "a", 1);
    uint32_t first, second;
    uint32_t generation;

    (void)state;
    assert_int_equal(slots_get(slots, GS_SLICE("a"), &first), GS_E_OK);
    generation = atomic_load(&slots_at(slots, first)->generation);
    service_blob_free(b);
    atomic_store(&slots_at(slots, first)->pooled, 1); /* a pool holds a connection there */
    atomic_store(&slots_at(slots, first)->succeeded_ms, 7);
    slots_reap(slots);
    assert_int_equal(slots_used(slots), 1);
    atomic_store(&slots_at(slots, first)->pooled, 0);
    slots_reap(slots);
    assert_int_equal(slots_used(slots), 0);
    assert_int_equal(slots_get(slots, GS_SLICE("b"), &second), GS_E_OK);
    assert_int_equal(second, first); /* the number is used again, under another generation */
    assert_int_equal(atomic_load(&slots_at(slots, second)->generation), generation + 2);
    assert_int_equal(atomic_load(&slots_at(slots, second)->succeeded_ms), 0);
    slots_free(slots);
}

static void
test_names(void **state)
{
    struct slots *slots = slots_new();
    struct snapshot_hub *hub = snapshot_hub_new(slots, 1);
    struct service_blob *b = blob(slots, 0, "a", 1);
    struct names_builder *names = names_builder_new();
    char host[32];

    (void)state;
    assert_int_equal(names_builder_put(names, GS_SLICE("Tools.AI"), 80, 0), GS_E_OK);
    assert_int_equal(names_builder_put(names, GS_SLICE("tools.ai"), 80, 0), GS_E_OK);
    assert_int_equal(names_builder_put(names, GS_SLICE("tools.ai"), 80, 1), GS_E_EXISTS);
    for (int i = 0; i < 5000; i++) {
        snprintf(host, sizeof(host), "svc-%d", i);
        assert_int_equal(names_builder_put(names, gs_slice_str(host), 80, 0), GS_E_OK);
    }
    snapshot_publish(hub, &b, 1, names_build(names));
    assert_ptr_equal(snapshot_find(snapshot_current(hub), GS_SLICE("tools.ai"), 80), &b->service);
    assert_ptr_equal(snapshot_find(snapshot_current(hub), GS_SLICE("svc-4999"), 80), &b->service);
    assert_null(snapshot_find(snapshot_current(hub), GS_SLICE("tools.ai"), 81));
    assert_null(snapshot_find(snapshot_current(hub), GS_SLICE("tools"), 80));
    assert_null(snapshot_find(snapshot_current(hub), GS_SLICE(""), 80));
    snapshot_hub_free(hub);
    slots_free(slots);
}

/* ---- threads ---- */

#define WORKERS 3
#define SERVICES 16
#define PINS 32

static struct snapshot_hub *shared_hub;
static _Atomic int stop;
static _Atomic uint64_t operations;

static void *
worker_main(void *arg)
{
    uint32_t w = (uint32_t)(uintptr_t)arg;
    struct snapshot *pins[PINS] = { NULL };
    struct gs_rng rng;
    uint64_t done = 0;

    gs_rng_init(&rng, w + 1);
    while (!atomic_load(&stop)) {
        struct snapshot *now = snapshot_adopt(shared_hub, w);

        for (int i = 0; i < 8; i++) {
            uint32_t k = gs_rng_below(&rng, PINS);

            if (pins[k]) { /* what was pinned must still be whole */
                uint32_t s = gs_rng_below(&rng, SERVICES);
                const struct service *svc = snapshot_service(pins[k], s);

                if (svc && (svc->id != s || svc->policy.ptr[0] < '0' || svc->policy.ptr[0] > '9'))
                    abort();
                snapshot_unpin(pins[k], w);
                pins[k] = NULL;
            } else {
                pins[k] = now;
                snapshot_pin(now, w);
            }
            done++;
        }
    }
    for (int k = 0; k < PINS; k++) {
        if (pins[k])
            snapshot_unpin(pins[k], w);
    }
    atomic_fetch_add(&operations, done);
    return NULL;
}

/* Given  workers that adopt, pin and let go at random
 * When   100,000 snapshots are published, each with one new blob, and reaped as they go
 * Then   nobody ever reads a freed blob, and in the end one root is left */
static void
test_threads(void **state)
{
    const char *env = getenv("GOSSAMER_SNAPSHOTS");
    uint64_t rounds = 100000;
    struct slots *slots = slots_new();
    struct service_blob *blobs[SERVICES];
    pthread_t threads[WORKERS];
    struct gs_rng rng;
    size_t most = 0;

    (void)state;
    if (env)
        assert_true(gs_slice_to_u64(gs_slice_str(env), &rounds));
    gs_rng_init(&rng, 99);
    shared_hub = snapshot_hub_new(slots, WORKERS);
    for (uint32_t i = 0; i < SERVICES; i++)
        blobs[i] = blob(slots, i, "a", 1);
    snapshot_publish(shared_hub, blobs, SERVICES, NULL);
    for (uint32_t w = 0; w < WORKERS; w++)
        pthread_create(&threads[w], NULL, worker_main, (void *)(uintptr_t)w);
    for (uint64_t i = 0; i < rounds; i++) {
        uint32_t k = gs_rng_below(&rng, SERVICES);

        blobs[k] = blob(slots, k, i % 2 ? "a" : "b", i % 10);
        snapshot_publish(shared_hub, blobs, SERVICES, NULL);
        if (i % 4 == 0)
            snapshot_reap(shared_hub);
        if (snapshot_live_roots(shared_hub) > most)
            most = snapshot_live_roots(shared_hub);
    }
    atomic_store(&stop, 1);
    for (uint32_t w = 0; w < WORKERS; w++) {
        pthread_join(threads[w], NULL);
        snapshot_adopt(shared_hub, w);
    }
    snapshot_reap(shared_hub);
    print_message("%llu published, %llu pins and unpins, at most %zu roots alive\n",
                  (unsigned long long)rounds, (unsigned long long)atomic_load(&operations), most);
    assert_true(atomic_load(&operations) > 0);
    assert_int_equal(snapshot_live_roots(shared_hub), 1);
    snapshot_hub_free(shared_hub);
    slots_free(slots);
}

/* A cell that is given to another service begins at zero, with the same memory. */
static void
test_a_cell_is_cleared(void **state)
{
    struct stat_table *t = stat_table_new();
    struct stat_cell *c = stat_table_get(t, 7);
    struct stat_sum sum = { 0 };

    (void)state;
    stat_active(c, 1);
    stat_cell_answer(c, 503, REASON_NONE, 1000);
    stat_active(c, -1);
    stat_sum_add(&sum, c);
    assert_int_equal(sum.requests, 1);
    assert_int_equal(sum.failed, 1);
    assert_int_equal(sum.active, 0);
    stat_table_clear(t, 7);
    stat_table_clear(t, 8); /* nobody ever used it */
    sum = (struct stat_sum){ 0 };
    stat_sum_add(&sum, stat_table_peek(t, 7));
    assert_int_equal(sum.requests + sum.failed + sum.latency.count, 0);
    assert_int_equal(sum.codes[0].status, 0);
    assert_ptr_equal(stat_table_get(t, 7), c);
    assert_null(stat_table_peek(t, 8));
    stat_table_free(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pins),    cmocka_unit_test(test_slow_worker),
        cmocka_unit_test(test_slots),   cmocka_unit_test(test_names),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_a_cell_is_cleared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
