/* work.h - what a loop gets from the operating system besides sockets: signals, and calls that
 * block (fsync, key generation), run on libuv's thread pool. */
#pragma once

#include <gossamer/loop.h>

struct gs_signal;
struct gs_signal *gs_signal_watch(struct gs_loop *l, int signum,
                                  void (*call)(void *arg, int signum), void *arg);
void gs_signal_close(struct gs_signal *s); /* NULL is fine */

/* Embedded by whoever has work; must stay until done was called. */
struct gs_work {
    void (*run)(struct gs_work *w);  /* on a pool thread: may block, touches nothing of the loop */
    void (*done)(struct gs_work *w); /* on the loop's thread, afterwards */
    void *request;                   /* work_uv.c's */
};
void gs_work_start(struct gs_loop *l, struct gs_work *w);
