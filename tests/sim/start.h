/* start.h - from nothing to a mesh in which everybody knows everybody. */
#pragma once

#include <stdbool.h>

struct world;

/* All at once, through the seeds. */
void start_joining(struct world *w);
/* Until all are up, know each other and have nothing left to tell. Fails after a minute. A small
 * mesh joins; a large one is told (start_is_told()), because a thousand nodes that join cost more
 * than all that a scenario does with them. */
void start_converged(struct world *w);
bool start_is_told(const struct world *w);
/* Does everybody who is up know all the others who are? */
bool start_is_complete(const struct world *w);
