/* cases.h - runs of the simulator as cases of cmocka: one each for a scenario and a seed. */
#pragma once

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/scenario.h"
#include "tests/sim/world.h"

#define CASES_MAX 256

struct sim_case {
    struct world_options options;
    char name[64];
};

struct sim_cases {
    struct sim_case items[CASES_MAX];
    struct CMUnitTest tests[CASES_MAX];
    size_t count;
};

static uint64_t cases_fired[FAULTS]; /* by all cases so far */

/* Sanitizers make everything so many times slower, so they see the fewer seeds. */
static inline uint32_t
cases_seeds(uint32_t seeds)
{
    const char *slow = getenv("GOSSAMER_SLOW");
    long times = slow ? strtol(slow, NULL, 10) : 1;

    return times > 1 ? (seeds + (uint32_t)times - 1) / (uint32_t)times : seeds;
}

static inline void
case_run(void **state)
{
    const struct sim_case *c = *state;
    struct world *w = scenario_run(&c->options);

    for (unsigned f = 0; f < FAULTS; f++)
        cases_fired[f] += w->tally[f].fired;
    if (w->oracle.failed) {
        print_error("%s\n", w->oracle.first);
        print_error("again: ./run sim --scenario %s --seed %" PRIu64 " --nodes %" PRIu32
                    " --seconds %" PRIu32 " --trace\n",
                    c->options.scenario->name, c->options.seed, w->count, w->options.seconds);
    }
    assert_false(w->oracle.failed);
    world_free(w);
}

static inline void
cases_add(struct sim_cases *s, const struct world_options *o)
{
    struct sim_case *c = &s->items[s->count];

    assert_true(s->count < CASES_MAX);
    c->options = *o;
    (void)snprintf(c->name, sizeof(c->name), "%s_%" PRIu32 "_seed_%" PRIu64, o->scenario->name,
                   o->hosts, o->seed);
    s->tests[s->count++] = (struct CMUnitTest){ c->name, case_run, NULL, NULL, c };
}

static inline int
cases_run(const struct sim_cases *s, const char *group)
{
    return _cmocka_run_group_tests(group, s->tests, s->count, NULL, NULL);
}
