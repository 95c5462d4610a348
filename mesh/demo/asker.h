/* asker.h - an ordinary HTTP/1.1 client on a loop, as an application has one: GET on kept
 * connections to one address. The sample services call each other with it, the demo's clients call
 * the mesh. */
#pragma once

#include <gossamer/addr.h>
#include <gossamer/loop.h>

struct asker;
struct h1_pool;

struct asker_answer {
    unsigned status;      /* 0: there was none */
    struct gs_slice body; /* borrowed until the callback returns */
    const char *why;      /* with status 0, in words; borrowed as well */
    uint64_t took_us;
};

/* Once for each asker_get: from the loop, or from within the call if no socket could be had. */
typedef void (*asker_cb)(void *arg, const struct asker_answer *a);

struct asker *asker_new(struct gs_loop *loop, struct h1_pool *pool, const struct gs_addr *to);
/* Whoever waits is told that there is no answer, and may ask no more. It frees itself once its
 * connections are closed. */
void asker_close(struct asker *a);
/* host and path are copied. */
void asker_get(struct asker *a, const char *host, const char *path, uint64_t timeout_ms,
               asker_cb cb, void *arg);
