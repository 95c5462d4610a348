/* sim_replay.c - a run is a function of its options: else a failure could not be looked at. */
#include "tests/sim/cases.h"

struct outcome {
    uint64_t hash, lines, events, now_ns;
    struct gs_rng faults[FAULTS];
};

static struct outcome
run(const struct world_options *o)
{
    struct world *w = scenario_run(o);
    struct outcome out = { w->trace.hash, w->trace.lines, w->events, w->now_ns, { { { 0 } } } };

    if (w->oracle.failed)
        print_error("%s\n", w->oracle.first);
    assert_false(w->oracle.failed);
    for (unsigned f = 0; f < FAULTS; f++)
        out.faults[f] = w->faults[f];
    world_free(w);
    return out;
}

static struct world_options
chaos(uint64_t seed)
{
    return (struct world_options){
        .scenario = scenario_find("chaos"), .seed = seed, .hosts = 16, .seconds = 15
    };
}

static void
test_same_seed_same_run(void **state)
{
    struct world_options o = chaos(1);
    struct outcome first = run(&o);
    struct outcome second = run(&o);

    (void)state;
    assert_true(first.lines > 1000);
    assert_int_equal(first.hash, second.hash);
    assert_int_equal(first.lines, second.lines);
    assert_int_equal(first.events, second.events);
    assert_int_equal(first.now_ns, second.now_ns);
}

static void
test_another_seed_is_another_run(void **state)
{
    struct world_options one = chaos(1);
    struct world_options other = chaos(2);

    (void)state;
    assert_int_not_equal(run(&one).hash, run(&other).hash);
}

static void
test_looking_on_changes_nothing(void **state)
{
    struct world_options unseen = chaos(1);
    struct world_options seen = chaos(1);
    uint64_t hash;

    (void)state;
    seen.trace = TRACE_PACKETS;
    seen.out = fopen("/dev/null", "w");
    assert_non_null(seen.out);
    hash = run(&seen).hash;
    fclose(seen.out);
    assert_int_equal(hash, run(&unseen).hash);
}

/* Given  a run
 * When   one kind of fault is left out
 * Then   it is another run, but the plan of every other kind is the same */
static void
test_a_mask_moves_no_other_fault(void **state)
{
    struct world_options all = chaos(1);
    struct world_options masked = chaos(1);
    struct outcome with = run(&all);
    struct outcome without;

    (void)state;
    masked.masked = 1u << FAULT_FREEZE;
    without = run(&masked);
    assert_int_not_equal(with.hash, without.hash);
    assert_memory_equal(with.faults, without.faults, sizeof(with.faults));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_run),
        cmocka_unit_test(test_another_seed_is_another_run),
        cmocka_unit_test(test_looking_on_changes_nothing),
        cmocka_unit_test(test_a_mask_moves_no_other_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
