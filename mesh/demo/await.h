/* await.h - what a step waits for, and how it counts requests meanwhile. Conditions are for
 * tour_until(). */
#pragma once

#include "mesh/demo/tour.h"

unsigned await_running(struct tour *t); /* nodes */

/* ---- conditions ---- */

/* Do all running nodes list each other as alive, and is the policy of the mesh known to each? */
bool await_met(struct tour *t, const void *arg);
/* The same, and does each know every instance as healthy? (An ejected one is.) */
bool await_ready(struct tour *t, const void *arg);
/* arg: a node. Is it dead to everybody who runs? */
bool await_known_dead(struct tour *t, const void *arg);
/* arg: a node. Are it and those behind it dead to all before it? */
bool await_cut_off(struct tour *t, const void *arg);
/* Do all run one version of the route? */
bool await_agreed(struct tour *t, const void *arg);

struct await_edited { /* a version, and the nodes that should have it */
    const char *version;
    unsigned first, last;
};
bool await_active(struct tour *t, const void *arg); /* arg: one of those */
unsigned await_active_on(struct tour *t, const struct await_edited *e);

/* ---- time and counts ---- */

gs_err await_while(struct tour *t, unsigned ms, struct gs_why *why) GS_MUST_CHECK;

/* A mark that has some traffic already, so that nothing that happens from now on hits requests of
 * an older one. */
gs_err await_begin_count(struct tour *t, load_mark_t *mark, struct gs_why *why) GS_MUST_CHECK;
/* Some more traffic, and the count of all of it. */
gs_err await_end_count(struct tour *t, load_mark_t mark, struct load_count *out, struct gs_why *why)
    GS_MUST_CHECK;
/* What ended of a mark, once all of it has. The next mark has begun then. */
gs_err await_finish_count(struct tour *t, load_mark_t mark, struct load_count *out,
                          struct gs_why *why) GS_MUST_CHECK;
/* Until so many of a mark have ended. */
gs_err await_counted(struct tour *t, load_mark_t mark, uint64_t requests, struct gs_why *why)
    GS_MUST_CHECK;
/* So many requests at the pace of counting. */
gs_err await_requests(struct tour *t, uint64_t requests, struct load_count *out, struct gs_why *why)
    GS_MUST_CHECK;
