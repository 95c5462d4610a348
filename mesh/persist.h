/* persist.h - mesh.state on disk: one write at a time, each with everything that was asked for
 * before it began. Control thread; the disk is touched on the thread pool. */
#pragma once

#include <gossamer/err.h>
#include <gossamer/loop.h>

struct state_writer;
struct persist;

/* Fill the writer with what the file should hold now. */
typedef void (*persist_build_cb)(void *arg, struct state_writer *w);

struct persist_waiter {
    struct gs_list link;
    /* What was there when the waiter was added is on disk (GS_E_OK), or could not be put there. */
    void (*done)(struct persist_waiter *w, gs_err e, const char *why);
};

struct persist *persist_new(struct gs_loop *loop, const char *dir, persist_build_cb build,
                            void *arg);
void persist_save(struct persist *p, struct persist_waiter *w); /* w NULL: nobody waits */
/* Calls drained (once) when nothing is being written any more. */
void persist_drain(struct persist *p, void (*drained)(void *arg), void *arg);
void persist_free(struct persist *p); /* not busy */
uint64_t persist_failures(const struct persist *p);
