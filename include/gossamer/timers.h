/* timers.h - timers of a loop: a hashed wheel of LOOP_TICK_MS slots. Arming and stopping are a few
 * stores (a 10,000-entry heap is 30 times dearer); a timer fires up to a tick late, never early. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <gossamer/limits.h>
#include <gossamer/list.h>

struct gs_timer;
typedef void (*gs_timer_cb)(struct gs_timer *t);

struct gs_timer {
    struct gs_list link;
    uint64_t due_ms; /* 0: not armed */
    gs_timer_cb fire;
};

struct gs_wheel {
    struct gs_list slot[LOOP_WHEEL_SLOTS];
    uint64_t occupied[LOOP_WHEEL_SLOTS / 64];
    uint64_t now_tick; /* everything due before it has fired */
    uint64_t count;
};

void gs_timer_init(struct gs_timer *t, gs_timer_cb fire);
static inline bool
gs_timer_armed(const struct gs_timer *t)
{
    return t->due_ms != 0;
}

void gs_wheel_init(struct gs_wheel *w, uint64_t now_ms);
/* due_ms > 0, absolute; an armed timer moves. A time already past fires at the next tick. */
void gs_wheel_arm(struct gs_wheel *w, struct gs_timer *t, uint64_t due_ms);
void gs_wheel_stop(struct gs_wheel *w, struct gs_timer *t); /* not armed is fine */
/* Fire whatever is due at now_ms. A callback may arm and stop any timer. */
void gs_wheel_advance(struct gs_wheel *w, uint64_t now_ms);
/* When to call advance next; UINT64_MAX when empty. May be earlier than the first due time (a
 * timer of a later round in that slot), never later. */
uint64_t gs_wheel_next_ms(const struct gs_wheel *w);
