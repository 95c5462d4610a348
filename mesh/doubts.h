/* doubts.h - what the data plane tells the failure detector: a connection to a node ended, or none
 * could be made, so its process may be gone.
 *
 *     a worker's link ends ──wake──▶ proxy_doubts() ──gossip_loop_call──▶ gossip_doubt()
 *
 * What comes of it is the detector's affair: the node is asked at once instead of when it is its
 * turn, at most ten times a second. Control thread. */
#pragma once

#include "mesh/node.h"

struct doubts;
struct gs_wake;

struct doubts *doubts_new(struct node *n);
struct gs_wake *doubts_wake(struct doubts *d); /* for the workers; any thread */
void doubts_close(struct doubts *d);           /* the workers have stopped; NULL is fine */
void doubts_free(struct doubts *d);            /* the loop has ended; NULL is fine */
