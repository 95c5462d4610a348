/* maintain.h - drain, undrain and weight at work: what two files share. */
#pragma once

#include "mesh/model/catalog.h"

struct maintaining {
    const struct model *m;
    const struct model_maintain *w;
    struct gs_arena *arena;
    struct gs_problems *problems;
    struct maint_set stored;      /* every Maintenance there is, in effect or not */
    struct policy_object *wanted; /* one of that target, of which nothing is wanted yet */
    struct maint_entry target;    /* of `wanted` */
};

/* maintain_target.c: what the operator's words mean. Fills in wanted and target; false: they mean
 * nothing, or several things, and that is told. */
bool maintain_find(struct maintaining *t);
