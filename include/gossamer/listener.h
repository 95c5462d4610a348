/* listener.h - accepting connections on a listening socket: a bounded batch per event, and shed
 * (accept and close, then pause) when descriptors run out, so a full backlog is no busy loop. */
#pragma once

#include <gossamer/addr.h>
#include <gossamer/loop.h>

struct gs_listener;

struct gs_listener_events {
    void (*accepted)(void *arg, int fd); /* non-blocking, close-on-exec; the callee's */
    void (*shed)(void *arg);             /* one was closed for want of descriptors; may be NULL */
    void *arg;
    unsigned keep; /* so many of the last descriptors are not for this listener */
};

/* Bind and listen. share: SO_REUSEPORT (several workers on one port). -1 with a sentence. */
int gs_listen_tcp(const struct gs_addr *addr, bool share, struct gs_why *why);
int gs_listen_unix(const char *path, unsigned mode, struct gs_why *why);
gs_err gs_listen_addr(int fd, struct gs_addr *out) GS_MUST_CHECK; /* what was bound */

/* Takes the descriptor. */
struct gs_listener *gs_listener_new(struct gs_loop *loop, int fd,
                                    const struct gs_listener_events *events);
/* Until nobody waits, and nobody comes any more: of TCP, to be closed next. */
void gs_listener_accept_waiting(struct gs_listener *l);
void gs_listener_close(struct gs_listener *l); /* NULL is fine; freed later */
