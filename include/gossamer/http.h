/* http.h - one exchange has two sides that tell each other the same six things. A codec
 * implements one end (server.c towards clients, client.c towards upstreams), the exchange the
 * other; the admin API is just another exchange-like end of server.c.
 *
 *     client ─▶ server_conn ──request──▶ exchange ──request──▶ client_conn ─▶ upstream
 *            ◀─             ◀──answer───          ◀──answer───             ◀─
 */
#pragma once

#include <gossamer/head.h>
#include <gossamer/stream.h>

struct side;

struct side_ops {
    void (*head)(struct side *to, struct head *h); /* answers only: a request comes by begin */
    void (*data)(struct side *to, struct gs_slice bytes);
    void (*trailers)(struct side *to, struct head *t);
    void (*end)(struct side *to);                    /* the message is whole */
    void (*reset)(struct side *to, enum reason why); /* it never will be; last call */
    size_t (*room)(struct side *to);                 /* bytes of data it takes now */
    void (*resume)(struct side *to);                 /* the other's room came back: send on */
};

/* Embedded in whoever receives. */
struct side {
    const struct side_ops *ops;
};

/* Who answers the requests of a server connection. */
struct http_handler {
    /* A request's head. answer: where the answer goes; it outlives the request unless reset.
     * h: borrowed. Returns the side that takes the request's body, end and reset; never NULL. */
    struct side *(*begin)(struct http_handler *handler, struct side *answer, struct head *h);
    /* A request was refused before it became one; counted only. May be NULL. */
    void (*refused)(struct http_handler *handler, enum reason why);
    void (*conn_closed)(struct http_handler *handler); /* a connection is gone; may be NULL */
};

struct http_server_options {
    struct http_handler *handler;
    struct h1_pool *pool;
    uint64_t head_ms, idle_ms, body_idle_ms; /* 0: none */
    uint64_t drain_idle_ms; /* an idle one stays so long in a drain: a request may be on its way */
    const char *via;        /* name in Proxy-Status: "gossamer" */
    const char *refused_outcome; /* told between nodes of what never became a request; or NULL */
    bool client_drains; /* idle ones are left to the client for DRAIN_PEER_MS: it was told */
};

/* Serve HTTP/1.x on an accepted descriptor. Options are borrowed for the life of the connection.
 * conns: list the connection is a member of, for drain. */
struct server_conn;
struct server_conn *server_accept(struct gs_loop *loop, int fd,
                                  const struct http_server_options *opts, struct gs_list *conns);
/* The same on a stream that is there already; its events come here from now on. */
struct server_conn *server_serve(struct stream *s, const struct http_server_options *opts,
                                 struct gs_list *conns);
/* Close when idle, or after the next answer, which says so. */
void server_conn_drain(struct gs_list *link);
void server_conn_abort(struct gs_list *link);

struct own_answer {
    enum reason reason;
    const char *details; /* NULL: the reason's text says it all */
    const char *via;     /* who says so */
    const char *outcome; /* gossamer-outcome, between nodes only; else NULL */
    bool retries_used;   /* its flag goes beside the reason's */
    bool to_head;        /* of a HEAD: no body */
};
/* Make an answer of our own on this side: head, a short text body, end (answer.c). */
void answer_own(struct side *answer, const struct own_answer *a);
