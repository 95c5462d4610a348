/* persist.h - mesh.state on disk: one write at a time, each with everything that was asked for
 * before it began. Control thread; the store is read on its own, the disk touched on the pool.
 *
 *     IDLE ──save──▶ FREEZING ──the store, held──▶ WRITING ──on disk──▶ IDLE ──drain──▶ CLOSED
 *                    (gossip thread, a call)            (pool)
 *
 * node.state is written along when the boot number rose, and with the last write. */
#pragma once

#include <gossamer/err.h>
#include <gossamer/loop.h>

#define PERSIST_SOON_MS 500   /* between writes that nobody waits for */
#define PERSIST_RETRY_MS 5000 /* after one that failed, if nothing is asked for before */

struct node;
struct persist;
struct state_frame;

struct persist_waiter {
    struct gs_list link;
    /* What was there when the waiter was added is on disk (GS_E_OK), or could not be put there. */
    void (*done)(struct persist_waiter *w, gs_err e, const char *why);
};

struct persist_options {
    struct node *node;              /* its loop, gossip, model and state_dir are used */
    uint64_t boot;                  /* that node.state names */
    const struct state_frame *kept; /* of a newer version, written back as they are; borrowed */
    size_t kept_count;
};

struct persist *persist_new(const struct persist_options *o);
void persist_free(struct persist *p); /* nothing is under way; NULL is fine */
void persist_save(struct persist *p, struct persist_waiter *w);
/* Nobody waits: within PERSIST_SOON_MS, together with what else comes meanwhile. */
void persist_soon(struct persist *p);
/* A last write, of both files, then drained(arg), once. What is asked for later is not done. */
void persist_drain(struct persist *p, void (*drained)(void *arg), void *arg);
uint64_t persist_failures(const struct persist *p);
const char *
persist_trouble(const struct persist *p); /* why the last write failed; NULL: it did not */
