/* node_services.h - the services that this node hosts. Control thread. */
#pragma once

#include <gossamer/err.h>

struct h1_pool;
struct health;
struct node;

/* Those of the configuration, into the model. GS_E_LIMIT. */
gs_err node_services_set(struct node *n, struct gs_why *why) __attribute__((warn_unused_result));
/* Check their instances from now on; close it with health_close(). */
struct health *node_services_watch(struct node *n, struct h1_pool *pool);
