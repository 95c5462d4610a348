/* ejections.h - which endpoints the data plane has put out and taken back, as lines of the journal.
 *
 *     a worker ejects, readmits ──wake──▶ look at the slots ──what changed since──▶ journal_tell
 *
 * A wake says only that there is something to see: what is told is the difference between two
 * looks, and an endpoint that was withdrawn meanwhile is told no more of. Control thread. */
#pragma once

#include "mesh/node.h"

struct ejections;
struct gs_wake;

struct ejections *ejections_new(struct node *n);
struct gs_wake *ejections_wake(struct ejections *e); /* for the workers; any thread */
void ejections_close(struct ejections *e);           /* the workers have stopped; NULL is fine */
void ejections_free(struct ejections *e);            /* the loop has ended; NULL is fine */
