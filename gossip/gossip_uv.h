/* gossip_uv.h - the libuv side of the gossip, in four files: gossip_uv.c the thread and its turns,
 * datagrams_uv.c UDP, frames_uv.c TCP, cut_uv.c what both drop for a test's sake. All of it runs on
 * the gossip thread. */
#pragma once

#include <stdatomic.h>
#include <time.h>
#include <uv.h>

#include <gossamer/gossip_loop.h>

#include "mesh/base/loop_uv.h"

struct gossip_io { /* what the four share */
    struct gs_loop *loop;
    struct gossip *core;
    struct gs_addr bound;
    uv_check_t check; /* the turn: after everything that arrived was fed */
    uv_idle_t soon;   /* armed while a turn is due: the poll before it does not sleep */
    unsigned handles; /* of libuv that are not closed yet */
    void (*on_closed)(struct gossip_io *io); /* when none is left */
    struct {
        _Atomic uint64_t datagrams_dropped, datagrams_failed, unreachable;
        _Atomic uint64_t streams_refused, frames_refused, cut, lag_us;
    } n;              /* written by this thread, read by control */
    size_t cut_count; /* 0, but for tests */
    struct gossip_cut cuts[CUTS_MAX];
};

void gossip_io_fed(struct gossip_io *io);           /* the core was told something: a turn is due */
void gossip_io_handle_closed(struct gossip_io *io); /* from each uv_close() callback */

static inline void
gossip_io_count(_Atomic uint64_t *n)
{
    atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

static inline uint64_t
gossip_io_wall_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

/* ---- cut_uv.c ---- */

void gossip_io_cut(struct gossip_io *io, const struct gossip_cut *items, size_t count);
/* Is this dropped? */
bool gossip_io_cut_from(const struct gossip_io *io, enum gossip_via via, struct gs_slice packet);
bool gossip_io_cut_sender(const struct gossip_io *io, enum gossip_via via, uint64_t sender);
bool gossip_io_cut_to(const struct gossip_io *io, enum gossip_via via, const struct gs_addr *to);

/* ---- datagrams_uv.c ---- */

struct datagrams;
gs_err datagrams_bind(const struct gs_addr *addr, int *fd, struct gs_why *why) GS_MUST_CHECK;
struct datagrams *datagrams_new(struct gossip_io *io, int fd); /* takes the descriptor */
void datagrams_send(struct datagrams *d, const struct gs_addr *to, struct gs_slice bytes);
void datagrams_close(struct datagrams *d); /* frees it later */

/* ---- frames_uv.c ---- */

struct frames;
struct frames *frames_new(struct gossip_io *io, int listen_fd); /* takes the descriptor */
void frames_open(struct frames *f, uint32_t stream, const struct gs_addr *to);
void frames_send(struct frames *f, uint32_t stream, struct gs_slice bytes);
void frames_end(struct frames *f, uint32_t stream);
void frames_cut(struct frames *f);   /* end those that gossip_io_cut() is about */
void frames_close(struct frames *f); /* all of them, at once; frees it */
