/* pool.h - upstream connections of one worker, by endpoint slot. */
#pragma once

#include "proxy/worker.h"

/* One HTTP/1.1 connection to an instance (client.c). Given to one exchange at a time. */
struct client_conn;

enum pool_want {
    POOL_ANY,
    POOL_SURE, /* of those kept, one that was looked at: what is sent on it cannot be sent again */
    POOL_NEW,
};

/* Who waits for a connection. ready is called once from the loop: conn, or NULL and why. */
struct pool_waiter {
    struct gs_list link;
    struct pool_queue *queue; /* NULL: not waiting */
    enum pool_want want;
    void (*ready)(struct pool_waiter *w, struct client_conn *conn, enum reason why);
};

struct pool *pool_new(struct worker *w);
void pool_free(struct pool *p);  /* after pool_close, when no connection is left */
void pool_close(struct pool *p); /* idle ones close now, busy ones when released */
bool pool_empty(const struct pool *p);
void pool_check(struct pool *p); /* invariants; aborts */

/* Close what is idle on mesh connections that take no more requests. */
void pool_drop_stale_streams(struct pool *p);

/* A connection to the endpoint, for that caller. GS_E_OK with *out: an idle one, yours now.
 * GS_E_AGAIN: waiter will be told. GS_E_LIMIT: too many wait or connect. */
gs_err pool_acquire(struct pool *p, const struct endpoint *e, uint32_t caller, enum pool_want want,
                    struct pool_waiter *waiter, struct client_conn **out);
void pool_cancel(struct pool *p, struct pool_waiter *waiter); /* not waiting is fine */

/* client.c, towards the exchange */
struct client_request {
    bool is_head; /* its answer has no body */
    bool chunked; /* how the body is framed */
};
/* Send a request head; reply gets the answer. Returns the side that takes the body and the end. */
struct side *client_send(struct client_conn *c, struct gs_slice head,
                         const struct client_request *what, struct side *reply);
bool client_heard(struct side *request); /* some byte of the answer has come */
bool client_reused(const struct client_conn *c);
bool client_is_mesh(const struct client_conn *c); /* its far end is a node of ours */

/* client.c, towards the pool */
struct client_conn *client_connect(struct pool *p, struct pool_queue *q);
void client_close(struct client_conn *c);
struct gs_list *client_by_endpoint(struct client_conn *c);
struct gs_list *client_by_age(struct client_conn *c);
struct client_conn *client_from_endpoint(struct gs_list *link);
struct client_conn *client_from_age(struct gs_list *link);
struct pool_queue *client_queue(const struct client_conn *c);
uint64_t client_idle_since_ms(const struct client_conn *c);
bool client_stale(struct client_conn *c);
bool client_doubtful(const struct client_conn *c); /* look before reuse, however soon */
void client_take(struct client_conn *c);           /* idle -> taken */
void client_park(struct client_conn *c);           /* taken -> idle */

/* pool.c, called by client.c */
struct worker *pool_worker(const struct pool *p);
void pool_connected(struct pool *p, struct client_conn *c, struct pool_queue *q);
void pool_connect_failed(struct pool *p, struct pool_queue *q, enum reason why);
void pool_released(struct pool *p, struct client_conn *c, struct pool_queue *q);
void pool_idle_gone(struct pool *p, struct client_conn *c, struct pool_queue *q);
void pool_conn_gone(struct pool *p, struct pool_queue *q); /* freed: counts it out */
