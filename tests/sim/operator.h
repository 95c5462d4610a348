/* operator.h - people with opinions: they edit a few keys on any node, sometimes the same one on
 * two nodes at once; and applications whose endpoints come and go. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct host;
struct world;

struct operator_pace {
    uint32_t keys;         /* few of them: edits meet */
    uint64_t every_ns;     /* an edit, on average; 0: none */
    uint64_t own_every_ns; /* a node says something new of itself; 0: none */
    uint32_t large_ppm;    /* so many edits do not fit a datagram */
};

/* Begin to work, until w->restless is false. */
void operator_start(struct world *w, const struct operator_pace *p);
/* One edit now. False if the host takes none: it is down, frozen, leaving or closed. */
bool operator_write(struct world *w, struct host *h, uint32_t key, uint32_t bytes);
