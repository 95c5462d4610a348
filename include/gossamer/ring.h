/* ring.h - a bounded queue between two threads: one puts, one takes, nobody waits. Items are copied
 * in and out. What was written before a put is seen after its take.
 *
 *     producer ── put ──▶ [ . . # # # . . . ] ── take ──▶ consumer
 *                          tail ▲     ▲ head
 *
 * Neither side is told of anything: waking the other one is the caller's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <gossamer/check.h>

struct gs_ring;

struct gs_ring *gs_ring_new(size_t items, size_t item_bytes); /* items: a power of two */
void gs_ring_free(struct gs_ring *r); /* NULL is fine; items still in it are the caller's loss */
/* Producer's thread. False: it is full. */
bool gs_ring_put(struct gs_ring *r, const void *item) GS_MUST_CHECK;
bool gs_ring_has_room(struct gs_ring *r);
/* Consumer's thread. False: it is empty. */
bool gs_ring_take(struct gs_ring *r, void *item) GS_MUST_CHECK;
