/* metrics_mesh.h - the gossip's part of /metrics. The core is on another thread, so it is asked
 * first: what is told is of this moment. */
#pragma once

#include <gossamer/buf.h>

struct node;

/* Append the families to *out, then call then(arg), perhaps before this returns. */
void metrics_mesh_put(struct node *n, struct gs_buf *out, void (*then)(void *arg), void *arg);
/* Worst delay of the gossip loop since it was last asked for, in microseconds. */
uint64_t metrics_mesh_lag_us(struct node *n);
