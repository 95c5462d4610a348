/* scenario.h - what is done to a mesh, and what is measured of it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct world;
struct world_options;

enum scenario_start {
    START_CONVERGED, /* everybody knows everybody before time begins to count */
    START_JOINING,   /* the scenario starts the hosts itself */
};

struct scenario {
    const char *name, *about;
    uint32_t hosts, seconds; /* unless the options say so */
    enum scenario_start start;
    uint32_t seed_hosts;
    bool disks;        /* hosts are restarted, so what they keep matters */
    bool false_deaths; /* freezes, cuts or heavy loss: the living may be buried */
    bool rests;        /* at the end all must agree */
    uint32_t faults;   /* 1 << enum fault: each must have fired at the end */
    void (*run)(struct world *w);
    void (*figures)(struct world *w, FILE *out); /* what it measured, a line or two; or NULL */
};

extern const struct scenario scenarios[];
extern const uint32_t scenario_count;

const struct scenario *scenario_find(const char *name); /* NULL when there is none */
/* Everything: makes a world, runs the scenario, checks, and leaves the world to be read. */
struct world *scenario_run(const struct world_options *o);
/* One line: what it came to. */
void scenario_summary(const struct world *w, double wall_s, FILE *out);
void chaos_run(struct world *w); /* chaos.c */
