/* health.h - active checks of this node's instances (the node that hosts one checks it, nobody
 * else does). Control thread. */
#pragma once

#include <gossamer/addr.h>
#include <gossamer/h1.h>
#include <gossamer/loop.h>

struct health;

struct health_check { /* texts are copied */
    const char *ns, *service;
    uint16_t port;
    struct gs_addr address;
    const char *http; /* path; NULL: a connection is enough */
    uint64_t interval_ms, timeout_ms;
    uint32_t rise, fall; /* results in a row that change the verdict */
};

enum health_verdict {
    HEALTH_UP,
    HEALTH_DOWN,  /* it has been up */
    HEALTH_NEVER, /* it has not passed yet, so it is not published */
};
/* Called at every change, the first verdict included. */
typedef void (*health_changed_cb)(void *arg, const struct health_check *check,
                                  enum health_verdict verdict, const char *why);

struct health *health_new(struct gs_loop *loop, struct h1_pool *pool, health_changed_cb changed,
                          void *arg);
/* A new instance is checked at once. One that is checked already, by (ns, service, port, address),
 * keeps its verdict, and is checked as this says from now on. */
void health_put(struct health *h, const struct health_check *check);
/* It is checked no more, and nothing is heard of it. Not there: fine. Of `check` only what names
 * the instance is looked at. */
void health_remove(struct health *h, const struct health_check *check);
/* Stops all checks; calls closed when no connection is left, then the object is freed. */
void health_close(struct health *h, void (*closed)(void *arg));
