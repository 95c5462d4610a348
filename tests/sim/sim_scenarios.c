/* sim_scenarios.c - each scenario but chaos, small, by a few seeds; every oracle watches. */
#include <string.h>

#include "tests/sim/cases.h"

#define SEEDS 3

static const struct {
    const char *name;
    uint32_t hosts, seconds;
} runs[] = {
    { "calm", 8, 30 },    { "calm", 16, 30 },    { "join", 8, 8 },       { "join", 16, 8 },
    { "kill", 8, 120 },   { "kill", 16, 120 },   { "partition", 8, 90 }, { "partition", 16, 90 },
    { "loss", 8, 30 },    { "loss", 16, 30 },    { "policy", 8, 20 },    { "policy", 16, 20 },
    { "restart", 8, 60 }, { "restart", 16, 60 }, { "churn", 12, 40 },    { "churn", 16, 40 },
    { "freeze", 8, 60 },  { "freeze", 16, 60 },  { "slow", 16, 70 },     { "skew", 8, 30 },
    { "skew", 16, 30 },   { "leave", 12, 40 },   { "leave", 16, 40 },    { "forget", 6, 93600 },
    { "tcp", 2, 30 },     { "tcp", 8, 60 },      { "tcp", 16, 60 },
};

int
main(void)
{
    static struct sim_cases cases;

    for (size_t i = 0; i < GS_COUNT(runs); i++) {
        for (uint32_t seed = 1; seed <= cases_seeds(SEEDS); seed++)
            cases_add(&cases, &(struct world_options){ .scenario = scenario_find(runs[i].name),
                                                       .seed = seed,
                                                       .hosts = runs[i].hosts,
                                                       .seconds = runs[i].seconds });
    }
    return cases_run(&cases, "scenarios");
}
