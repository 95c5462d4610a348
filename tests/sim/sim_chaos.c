/* sim_chaos.c - 32 nodes, all faults at once, then rest: seeds FIRST to FIRST + COUNT - 1. */
#include "tests/sim/cases.h"

/* Not in every run, but in all of them together everything has happened that can. */
static void
test_every_fault_fired(void **state)
{
    (void)state;
    for (unsigned f = 0; f < FAULTS; f++) {
        if (cases_fired[f] == 0)
            print_error("no %s\n", fault_name((enum fault)f));
        assert_true(cases_fired[f] > 0);
    }
}

int
main(int argc, char **argv)
{
    static struct sim_cases cases;
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 10;

    count = cases_seeds((uint32_t)count);
    for (uint64_t seed = first; seed < first + count && cases.count + 1 < CASES_MAX; seed++)
        cases_add(&cases, &(struct world_options){
                              .scenario = scenario_find("chaos"), .seed = seed, .hosts = 32 });
    cases.tests[cases.count++] =
        (struct CMUnitTest){ .name = "every_fault_fired", .test_func = test_every_fault_fired };
    return cases_run(&cases, "chaos");
}
