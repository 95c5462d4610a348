/* loop_uv.h - libuv's side of a loop, for *_uv.c files only. */
#pragma once

#include <uv.h>

#include <gossamer/loop.h>

struct gs_loop_uv {
    uv_loop_t uv;
    uv_timer_t timer;     /* the one timer of the wheel */
    uv_prepare_t prepare; /* before sleeping: output of timers, defers, re-arming */
    uv_check_t check;     /* after the poll's events */
    uv_idle_t due;        /* active while timers are due: the poll before them does not sleep */
    uv_async_t stop;
    uint64_t timer_at_ms; /* what `timer` is armed for; 0: not armed */
    uint64_t polled_ms;   /* before the poll of a turn with timers that are due */
    struct gs_loop *loop;
    bool stopping;
};

static inline uv_loop_t *
gs_loop_uv(struct gs_loop *l)
{
    return &l->uv->uv;
}
