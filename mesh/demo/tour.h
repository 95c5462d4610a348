/* tour.h - the demo itself: a mesh is started, and each step does to it what an operator or an
 * accident would, while clients send requests; what comes out is held against what was promised. */
#pragma once

#include <gossamer/rng.h>

#include "mesh/demo/figure.h"
#include "mesh/demo/load.h"
#include "mesh/demo/screen.h"
#include "mesh/demo/stage.h"
#include "mesh/demo/view.h"

#define TOUR_PACE 30          /* requests a second, of all clients together */
#define TOUR_PACE_COUNTED 100 /* while they are counted */

struct tour_options {
    bool by_hand;   /* Enter advances; at the end the mesh stays up */
    bool keep;      /* at the end the mesh stays up in any case */
    bool silent;    /* no text; results as JSON */
    bool yaml;      /* as YAML instead */
    bool v2_broken; /* for tests: a promise that cannot be held */
    unsigned nodes;
    uint64_t seed; /* of which node `x` kills */
};

struct tour {
    const struct tour_options *o;
    struct stage stage;
    struct view view;
    struct screen screen;
    struct load *load;         /* NULL until the mesh is ready, and when it is taken down */
    struct load_count clients; /* all of it, afterwards */
    struct gs_rng rng;
    struct result results[SCRIPT_STEPS];
    size_t count;
    uint64_t refreshed_us;
    char prompt[256]; /* what keys do now */
    bool quit;        /* by q */
    double met_ms, ready_ms;
    struct gs_buf text;             /* of tell.c: one piece, said at once */
    struct gs_buf manifest, former; /* of acts.c: the last two */
};

/* returns an exit code: 0 only if every promise of every step held */
int tour_run(const struct tour_options *o);

/* ---- for the acts ---- */

/* Sleep for so long, or less; see after the children and the table. GS_E_CLOSED: somebody wants the
 * end; GS_E_IO: a child ended that should not have. */
gs_err tour_pause(struct tour *t, int ms, struct gs_why *why) GS_MUST_CHECK;
/* Until the condition holds, for limit_ms at most; *took_ms: how long that was; not below limit_ms
 * if it does not hold. */
typedef bool (*tour_condition)(struct tour *t, const void *arg);
gs_err tour_until(struct tour *t, tour_condition condition, const void *arg, double limit_ms,
                  double *took_ms, struct gs_why *why) GS_MUST_CHECK;
