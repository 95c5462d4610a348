/* admin_peers.h - the door of the admin API that other nodes ask at, by way of this node's workers:
 * HTTP/2 on the ends of socket pairs. Control thread. */
#pragma once

#include <gossamer/http.h>

struct admin_peers {
    struct gs_list conns;         /* one per worker */
    struct http_handler *handler; /* of their requests */
    struct gs_loop *loop;
    void (*ended)(void *arg); /* a connection is gone; from the loop */
    void *arg;
};

void admin_peers_init(struct admin_peers *p);
/* fd: taken. */
void admin_peers_serve(struct admin_peers *p, int fd);
/* All connections end now; `ended` follows for each. */
void admin_peers_abort(struct admin_peers *p);
