/* races.h - the lost races that each host lists, and those it let go because there were too many:
 * the only way in which one may end that nobody looked at. */
#pragma once

#include <gossamer/gossip.h>

struct host;
struct world;
struct write;

struct races { /* what a host held under one key when last looked at */
    const struct write *at[1 + RECORD_HISTORY_MAX]; /* the present version, then those that lost */
    unsigned count;
};

/* After each change of the key, as the ledger cannot tell later who was listed when. */
void races_look(struct world *w, struct host *h, uint32_t key);
/* Of every key, where events do not tell each of them. */
void races_look_all(struct world *w, struct host *h);
/* Did h let it go, or what was written on top of it? */
bool races_let_go(const struct world *w, const struct host *h, const struct write *e);
