/* loop.h - what every loop of the process (worker, control) has: a clock, a read scratch, timers,
 * a block pool, deferred calls, and a graveyard. One per thread, or one
 * for all with --threads 1. */
#pragma once

#include <gossamer/blocks.h>
#include <gossamer/list.h>
#include <gossamer/rng.h>
#include <gossamer/timers.h>

struct gs_loop_uv; /* libuv's side, mesh/base/loop_uv.h */

/* A call that happens from the loop, after the present callback, once. Re-posting a posted one
 * changes nothing. */
struct gs_defer {
    struct gs_list link;
    void (*run)(struct gs_defer *d);
};

/* A call at the end of this turn, once everything else of it is done: what one turn produces for a
 * peer leaves as one write. Re-posting a posted one changes nothing. */
struct gs_turn_end {
    struct gs_list link;
    void (*run)(struct gs_turn_end *t);
};

/* An object that ended in this turn: freed after everything that may still point to it has run. */
struct gs_grave {
    struct gs_list link;
    void (*bury)(struct gs_grave *g);
};

struct gs_loop {
    struct gs_loop_uv *uv;
    char *scratch;   /* LOOP_SCRATCH_BYTES: what a read fills; borrowed by sinks */
    uint64_t now_ms; /* monotonic, read once per callback batch */
    uint64_t now_ns; /* the same clock, in ns */
    uint64_t turn;   /* counts loop turns */
    struct gs_wheel wheel;
    struct gs_block_pool blocks;
    struct gs_list defers;
    struct gs_list graves;
    struct gs_list dirty; /* streams with output that waits for the end of the event */
    struct gs_list turn_ends;
    struct gs_rng rng;
    uint64_t lag_max_us; /* longest time between being due and running, this minute */
    const char *name;    /* "worker0": for metrics and logs */
};

struct gs_loop *gs_loop_new(const char *name, uint64_t seed);
void gs_loop_free(struct gs_loop *l); /* no handle may be open */
void gs_loop_run(struct gs_loop *l);  /* until gs_loop_stop and nothing is open */
void gs_loop_stop(struct gs_loop *l); /* any thread */
/* Run `call(arg)` on the loop's thread soon. Any thread; waking twice may call once. */
struct gs_wake;
struct gs_wake *gs_wake_new(struct gs_loop *l, void (*call)(void *arg), void *arg);
void gs_wake_send(struct gs_wake *w);  /* any thread, async-signal-safe */
void gs_wake_close(struct gs_wake *w); /* loop thread; frees it later */

void gs_loop_clock(struct gs_loop *l); /* read the clock now */
/* Flush what is dirty at the end of an event, not of the turn: with 256 connections in one turn the
 * same one block is used 256 times, instead of 256 cold ones once. */
void gs_loop_flush(struct gs_loop *l);
void gs_defer_init(struct gs_defer *d, void (*run)(struct gs_defer *d));
void gs_loop_defer(struct gs_loop *l, struct gs_defer *d);
void gs_defer_cancel(struct gs_defer *d);
void gs_turn_end_init(struct gs_turn_end *t, void (*run)(struct gs_turn_end *t));
void gs_loop_at_turn_end(struct gs_loop *l, struct gs_turn_end *t);
void gs_turn_end_cancel(struct gs_turn_end *t);
void gs_loop_bury(struct gs_loop *l, struct gs_grave *g, void (*bury)(struct gs_grave *g));

/* Not before so many milliseconds have passed since the loop's now; a tick later at the most. */
void gs_loop_arm(struct gs_loop *l, struct gs_timer *t, uint64_t after_ms);
void gs_loop_disarm(struct gs_loop *l, struct gs_timer *t);
