/* hlc.c - Kulkarni et al., "Logical Physical Clocks" (2014), in 48 + 16 bits: the counter lives in
 * the low bits, so "one later" is + 1 and an overflow of the counter is the next millisecond. */
#include "gossip/hlc.h"

#include <gossamer/check.h>
#include <gossamer/limits.h>

#define HLC_COUNTER_BITS 16

static uint64_t
from_ms(uint64_t wall_ms)
{
    GS_ASSERT(wall_ms < UINT64_C(1) << 48);
    return wall_ms << HLC_COUNTER_BITS;
}

uint64_t
hlc_next(struct hlc *c, uint64_t wall_ms)
{
    uint64_t wall = from_ms(wall_ms);

    GS_ASSERT(c->last < UINT64_MAX);
    c->last = wall > c->last ? wall : c->last + 1;
    return c->last;
}

uint64_t
hlc_observe(struct hlc *c, uint64_t remote, uint64_t wall_ms)
{
    uint64_t remote_ms = remote >> HLC_COUNTER_BITS;
    uint64_t allowed_ms = wall_ms + HLC_AHEAD_MS;
    uint64_t taken = remote_ms > allowed_ms ? from_ms(allowed_ms) : remote;

    if (taken > c->last)
        c->last = taken;
    return remote_ms > allowed_ms ? remote_ms - wall_ms : 0;
}
