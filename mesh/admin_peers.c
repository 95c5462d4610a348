/* admin_peers.c - see admin_peers.h. What may be asked is admin.def's to say. */
#include "mesh/admin_peers.h"

#include <gossamer/alloc.h>
#include <gossamer/mux.h>

struct peer_conn {
    struct gs_list link;
    struct admin_peers *peers;
    struct mux *mux;
};

static void
on_closed(void *arg, enum reason why)
{
    struct peer_conn *c = arg;
    struct admin_peers *p = c->peers;

    (void)why;
    gs_list_remove(&c->link);
    gs_free(c);
    p->ended(p->arg);
}

/* The worker opens no streams, and asks nothing that HTTP/2 refuses. */
static const struct mux_events events = { .closed = on_closed };

void
admin_peers_init(struct admin_peers *p)
{
    gs_list_init(&p->conns);
}

void
admin_peers_serve(struct admin_peers *p, int fd)
{
    struct peer_conn *c = gs_zalloc(sizeof(*c));
    struct stream *below;

    c->peers = p;
    c->mux = mux_new(&(struct mux_options){
        .loop = p->loop, .role = MUX_SERVER, .events = &events, .arg = c, .calls = p->handler });
    below = stream_tcp_accept(p->loop, fd, &mux_sink_ops, c->mux);
    if (!below) {
        mux_free(c->mux);
        gs_free(c);
        return;
    }
    mux_start(c->mux, below);
    gs_list_push_back(&p->conns, &c->link);
}

void
admin_peers_abort(struct admin_peers *p)
{
    GS_LIST_EACH_SAFE(n, &p->conns)
        mux_abort(GS_LIST_ENTRY(n, struct peer_conn, link)->mux, REASON_DRAINING);
}
