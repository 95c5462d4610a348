/* announce.h - telling every member what this node's services have become, and hearing that they
 * route by it. Control thread.
 *
 *     announce_start ─▶ the model is flushed, its records are written ─▶ confirm.h ─▶ done
 *                                                      nobody answers: ANNOUNCE_MS ──▲ */
#pragma once

#include <stddef.h>

struct announce;
struct gs_id;
struct node;

enum announce_until {
    ANNOUNCE_ROUTED, /* nobody sends anything new to what goes */
    /* And what it had been sent before is answered: only then may it be ended. A request of another
     * node may still be on its way here when that node routes by the change. */
    ANNOUNCE_ANSWERED,
};

struct announce_options {
    const char *what; /* for the log: "drain" */
    enum announce_until until;
    /* It is so at every member that is alive, and here, or the time is up. From the loop, once; may
     * free. */
    void (*done)(void *arg);
    void *arg;
};

struct announce *announce_start(struct node *n, const struct announce_options *o);
/* Any time; done is not called any more. NULL is fine. */
void announce_free(struct announce *a);
/* Once done was called: members that were asked, and those that route by it. */
size_t announce_asked(const struct announce *a);
size_t announce_confirmed(const struct announce *a);
/* Exchanges of this node with draining instances of that one, as its workers know it now. */
size_t announce_unanswered(const struct node *n, const struct gs_id *owner);
