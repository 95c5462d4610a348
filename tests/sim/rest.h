/* rest.h - once nothing is done to the mesh any more, it must come to agree, in bounded time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct world;

/* Faults off; drive on until all agree and then a little longer, or fail. */
void rest_run(struct world *w);
/* Do all who are up agree on who is there, and are they right? why: of whom not. */
bool rest_views_agree(const struct world *w, char why[256]);
/* Do they hold the same records? */
bool rest_stores_agree(const struct world *w, char why[256]);
/* How long it may take, from the constants of the protocol. */
uint64_t rest_bound_ns(const struct world *w);
