/* tour.h - the demo itself: each step changes the routes of a running mesh as an operator would,
 * sends requests as an application would, and holds what came out against what was promised. */
#pragma once

#include <stdbool.h>

#include "mesh/demo/load.h"
#include "mesh/demo/script.h"

#define TOUR_REQUESTS 1000
#define TOUR_TAGGED 200 /* besides, where the header is matched */
#define TOUR_CONNECTIONS 16
#define TOUR_POINTS 3.0      /* a share may be off by so much */
#define TOUR_APPLY_MS 1000.0 /* and a change may take so long */

struct tour_options {
    bool by_hand;   /* Enter advances; at the end the mesh stays up */
    bool keep;      /* at the end the mesh stays up in any case */
    bool silent;    /* no text; results as JSON */
    bool yaml;      /* as YAML instead */
    bool v2_broken; /* for tests: a promise that cannot be held */
};

struct tour_result {
    const struct script_step *step;
    double apply_ms;
    char refused[256]; /* why it did not take effect; "" when it did */
    struct load_result load;
    bool in_time, shares, tagged, none_failed;
    bool held; /* all of these */
};

/* returns an exit code: 0 only if every promise of every step held */
int tour_run(const struct tour_options *o);
