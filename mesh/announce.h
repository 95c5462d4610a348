/* announce.h - telling every member what this node's services have become, and hearing that they
 * route by it. Control thread.
 *
 *     announce_start ─▶ the model is flushed, its records are written ─▶ confirm.h ─▶ done
 *                                                      nobody answers: ANNOUNCE_MS ──▲ */
#pragma once

#include <stddef.h>

struct announce;
struct node;

struct announce_options {
    const char *what; /* for the log: "drain" */
    /* Every member that is alive has said so, or the time is up. From the loop, once; may free. */
    void (*done)(void *arg);
    void *arg;
};

struct announce *announce_start(struct node *n, const struct announce_options *o);
/* Any time; done is not called any more. NULL is fine. */
void announce_free(struct announce *a);
/* Once done was called: members that were asked, and those that route by it. */
size_t announce_asked(const struct announce *a);
size_t announce_confirmed(const struct announce *a);
