/* hlc.h - a hybrid logical clock: milliseconds of the wall clock, and a counter that keeps what
 * was seen before what came of it even when clocks disagree. */
#pragma once

#include <stdint.h>

struct hlc {
    uint64_t last; /* highest given out or taken over: ms << 16 | counter */
};

/* A value above every one given out or seen. */
uint64_t hlc_next(struct hlc *c, uint64_t wall_ms);
/* What another node's clock said. It moves ours by HLC_AHEAD_MS beyond our wall clock at most, so
 * one wrong clock does not become everybody's. Returns how many ms it is ahead if that is more
 * than allowed, else 0. */
uint64_t hlc_observe(struct hlc *c, uint64_t remote, uint64_t wall_ms);
