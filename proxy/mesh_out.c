/* mesh_out.c - a worker's connections to other nodes. A connection belongs to (caller, node, the
 * node's address) and is never shared between callers; a second one to the same node is opened
 * only when the first is full or its output has waited for long.
 *
 *   mesh_out_open ─▶ peer of (caller, node, address) ─▶ a link with room ─▶ mux_open
 *                                                    └▶ a new link: TCP, mux
 *
 * One timer looks after all links: idle ones are closed by GOAWAY, stalled ones cut. */
#include "proxy/mesh.h"

#include <gossamer/alloc.h>
#include <gossamer/map.h>

#include "proxy/pool.h"

#define PEER_KEY_BYTES (4 + sizeof(struct gs_id) + 19)

struct peer {
    struct gs_list links;
    uint32_t link_count;
    struct gs_id node;
    struct gs_addr mesh;
    char key[PEER_KEY_BYTES];
};

struct link { /* one connection */
    struct gs_list in_peer, in_all;
    struct mesh_out *out;
    struct peer *peer;
    struct mux *mux;
};

struct mesh_out {
    struct worker *worker;
    struct gs_map peers; /* key -> struct peer */
    struct gs_list links;
    struct gs_timer tend;
    char node[GS_ID_TEXT]; /* which we are */
    bool closing;
};

static void
tend_later(struct mesh_out *o)
{
    if (!gs_list_empty(&o->links) && !gs_timer_armed(&o->tend))
        gs_loop_arm(o->worker->loop, &o->tend, MESH_SWEEP_MS);
}

static void
on_tend(struct gs_timer *t)
{
    struct mesh_out *o = GS_CONTAINER(t, struct mesh_out, tend);

    GS_LIST_EACH_SAFE(n, &o->links) {
        struct link *l = GS_LIST_ENTRY(n, struct link, in_all);

        GS_DEBUG_ASSERT((mux_check(l->mux), true));
        mux_tend(l->mux, o->closing ? 0 : MUX_IDLE_MS, o->worker->root->timeouts.connect_ms);
    }
    tend_later(o);
}

struct mesh_out *
mesh_out_new(struct worker *w)
{
    struct mesh_out *o = gs_zalloc(sizeof(*o));

    o->worker = w;
    (void)gs_id_text(&w->opts->id, o->node);
    gs_map_init(&o->peers, gs_rng_next(&w->loop->rng));
    gs_list_init(&o->links);
    gs_timer_init(&o->tend, on_tend);
    return o;
}

void
mesh_out_free(struct mesh_out *o)
{
    if (!o)
        return;
    GS_ASSERT(gs_list_empty(&o->links));
    GS_ASSERT(o->peers.count == 0);
    gs_map_fini(&o->peers);
    gs_free(o);
}

bool
mesh_out_empty(const struct mesh_out *o)
{
    return gs_list_empty(&o->links);
}

void
mesh_out_close(struct mesh_out *o)
{
    o->closing = true;
    GS_LIST_EACH(n, &o->links)
        mux_drain(GS_LIST_ENTRY(n, struct link, in_all)->mux);
    if (gs_list_empty(&o->links))
        gs_loop_disarm(o->worker->loop, &o->tend);
}

void
mesh_out_abort(struct mesh_out *o)
{
    GS_LIST_EACH_SAFE(n, &o->links)
        mux_abort(GS_LIST_ENTRY(n, struct link, in_all)->mux, REASON_DRAINING);
}

void
mesh_out_cut(struct mesh_out *o)
{
    GS_LIST_EACH_SAFE(n, &o->links) {
        struct link *l = GS_LIST_ENTRY(n, struct link, in_all);

        if (proxy_is_cut(o->worker->proxy, &l->peer->node))
            mux_abort(l->mux, REASON_MUX_CUT);
    }
}

/* ---- peers ---- */

static void
make_key(const struct mesh_target *to, char key[PEER_KEY_BYTES])
{
    char *p = key;

    memset(key, 0, PEER_KEY_BYTES);
    memcpy(p, &to->caller, 4);
    memcpy(p += 4, &to->node, sizeof(to->node));
    *(p += sizeof(to->node)) = (char)to->mesh.family;
    memcpy(p + 1, &to->mesh.port, 2);
    memcpy(p + 3, to->mesh.ip, 16);
}

static struct peer *
peer_of(struct mesh_out *o, const struct mesh_target *to)
{
    char key[PEER_KEY_BYTES];
    struct peer *p;

    make_key(to, key);
    p = gs_map_find(&o->peers, gs_slice(key, sizeof(key)));
    if (p)
        return p;
    p = gs_zalloc(sizeof(*p));
    memcpy(p->key, key, sizeof(key));
    p->node = to->node;
    p->mesh = to->mesh;
    gs_list_init(&p->links);
    gs_map_put(&o->peers, gs_slice(p->key, sizeof(p->key)), p);
    return p;
}

static void
peer_drop_empty(struct mesh_out *o, struct peer *p)
{
    if (!gs_list_empty(&p->links))
        return;
    GS_ASSERT(p->link_count == 0);
    gs_map_remove(&o->peers, gs_slice(p->key, sizeof(p->key)));
    gs_free(p);
}

/* ---- links ---- */

static void
on_changed(void *arg)
{
    struct link *l = arg;

    if (mux_open_room(l->mux) == 0)
        pool_drop_stale_streams(l->out->worker->pool);
}

static void
on_refused(void *arg, enum reason why)
{
    counter_add(&((struct link *)arg)->out->worker->counters.refused[why], 1);
}

static void
on_closed(void *arg, enum reason why)
{
    struct link *l = arg;
    struct mesh_out *o = l->out;
    struct worker *w = o->worker;

    GS_ASSERT(mux_streams(l->mux) == 0); /* they were told why */
    GS_ASSERT(gs_list_linked(&l->in_all));
    GS_ASSERT(gs_list_linked(&l->in_peer));
    if (!o->closing && why != REASON_MUX_CUT)
        proxy_doubt(w->proxy, &l->peer->node);
    gs_list_remove(&l->in_all);
    gs_list_remove(&l->in_peer);
    GS_ASSERT(l->peer->link_count > 0);
    l->peer->link_count--;
    peer_drop_empty(o, l->peer);
    gs_free(l);
    proxy_mesh_give(w->proxy);
    counter_sub(&w->counters.mesh_open, 1);
    if (gs_list_empty(&o->links))
        gs_loop_disarm(w->loop, &o->tend);
    worker_conn_closed(w);
}

static const struct mux_events link_events = { NULL, on_changed, on_refused, on_closed };

/* Room for one more: an idle one leaves first. */
static bool
make_room(struct mesh_out *o)
{
    if (proxy_mesh_take(o->worker->proxy))
        return true;
    GS_LIST_EACH(n, &o->links) {
        struct link *l = GS_LIST_ENTRY(n, struct link, in_all);

        if (mux_idle(l->mux)) {
            mux_drain(l->mux);
            proxy_mesh_replace(o->worker->proxy);
            return true;
        }
    }
    counter_add(&o->worker->counters.mesh_refused, 1);
    return false;
}

static struct link *
link_new(struct mesh_out *o, struct peer *p)
{
    struct worker *w = o->worker;
    struct link *l;
    struct stream *below;

    if (!make_room(o))
        return NULL;
    l = gs_zalloc(sizeof(*l));
    l->out = o;
    l->peer = p;
    l->mux = mux_new(&(struct mux_options){ .loop = w->loop,
                                            .role = MUX_CLIENT,
                                            .events = &link_events,
                                            .arg = l,
                                            .node = gs_slice_str(o->node) });
    below = proxy_is_cut(w->proxy, &p->node)
                ? stream_tcp_unreachable(w->loop, &mux_sink_ops, l->mux)
                : stream_tcp_connect(w->loop, &p->mesh, &mux_sink_ops, l->mux);
    if (!below) {
        mux_free(l->mux);
        gs_free(l);
        proxy_mesh_give(w->proxy);
        return NULL;
    }
    stream_tcp_watch_peer(below);
    mux_start(l->mux, below);
    GS_ASSERT(!o->closing || o->worker->draining);
    gs_list_push_back(&o->links, &l->in_all);
    gs_list_push_back(&p->links, &l->in_peer);
    p->link_count++;
    counter_add(&w->counters.mesh_connects, 1);
    counter_add(&w->counters.mesh_open, 1);
    tend_later(o);
    return l;
}

/* A link for one more stream: one with room whose output does not wait, else a new one; of several
 * that wait the least loaded will do. */
static struct mux *
pick(struct mesh_out *o, struct peer *p)
{
    struct link *spare = NULL;
    uint32_t usable = 0;
    struct link *l;

    GS_LIST_EACH(n, &p->links) {
        l = GS_LIST_ENTRY(n, struct link, in_peer);
        if (mux_open_room(l->mux) == 0)
            continue;
        if (!mux_congested(l->mux))
            return l->mux;
        usable++;
        if (!spare || mux_streams(l->mux) < mux_streams(spare->mux))
            spare = l;
    }
    GS_ASSERT(usable == 0 || spare);
    if (usable > 1)
        return spare->mux;
    l = link_new(o, p);
    if (!l)
        l = spare;
    return l ? l->mux : NULL;
}

static struct mux *
mux_to(struct mesh_out *o, const struct mesh_target *to)
{
    struct peer *p;
    struct mux *m;

    GS_ASSERT(to->caller < o->worker->opts->caller_count);
    if (to->mesh.family == 0)
        return NULL;
    p = peer_of(o, to);
    m = pick(o, p);
    if (!m)
        peer_drop_empty(o, p);
    return m;
}

struct stream *
mesh_out_open(struct mesh_out *o, const struct mesh_target *to, const struct stream_sink_ops *ops,
              void *sink)
{
    struct mux *m = mux_to(o, to);
    const struct proxy_caller *caller = &o->worker->opts->callers[to->caller];
    struct mux_request r = { .authority = to->authority,
                             .service = to->service,
                             .caller = gs_slice_str(atomic_load(&caller->name)) };

    return m ? mux_open(m, &r, ops, sink) : NULL;
}

struct side *
mesh_out_ask(struct mesh_out *o, const struct mesh_target *to, struct gs_slice path,
             struct side *reply)
{
    struct mux *m = mux_to(o, to);

    return m ? mux_ask(m, GS_SLICE("node.gossamer.internal"), path, reply) : NULL;
}
