/* node_services.h - the services that this node hosts. Control thread. */
#pragma once

#include <gossamer/err.h>

#include "mesh/config/config.h"

struct h1_pool;
struct health;
struct node;

/* Those of the configuration, into the model. GS_E_LIMIT. */
gs_err node_services_set(struct node *n, struct gs_why *why) __attribute__((warn_unused_result));
/* Check their instances from now on; close it with health_close(). */
struct health *node_services_watch(struct node *n, struct h1_pool *pool);

/* ---- a reload ---- */

struct services_change {
    size_t added, removed, changed; /* services */
    bool leaving;                   /* some instances are on their way out */
};

/* Would model and mesh take the services of this configuration? Findings at their places.
 * returns GS_E_OK, or GS_E_INVALID with problems */
gs_err node_services_check(struct node *n, const struct config *fresh, struct gs_problems *problems)
    __attribute__((warn_unused_result));
/* From `former` to what the configuration says now. What goes is draining at first; nothing is
 * flushed. */
struct services_change node_services_change(struct node *n, struct health *h,
                                            const struct config_services *former);
/* Everybody knows: what is draining since then goes. */
void node_services_settle(struct node *n, const struct config_services *former);
