/* acts.h - what is done in each step, and what is measured. */
#pragma once

#include "mesh/demo/tour.h"

/* Fills r. An error ends the tour; what merely did not work is in r->why or breaks a promise. */
gs_err act(struct tour *t, struct result *r, struct gs_why *why) GS_MUST_CHECK;

struct acts_change {         /* of who is there */
    double ms;               /* until all others knew it */
    struct load_count count; /* requests around it */
};
/* Kill this node, or bring it back with its services, under load. */
gs_err acts_kill(struct tour *t, unsigned node, struct acts_change *out, struct gs_why *why)
    GS_MUST_CHECK;
gs_err acts_return(struct tour *t, unsigned node, struct acts_change *out, struct gs_why *why)
    GS_MUST_CHECK;
