/* mesh_in.c - connections of other nodes, and their streams to our instances. One worker listens
 * and hands each connection to the worker with the fewest streams.
 *
 *   listener (worker 0) ─▶ ring of the chosen worker ─▶ mesh_in_take ─▶ mux
 *   mux.opened ─▶ is it an instance of ours? ─▶ mux_accept ─▶ server.c ─▶ call_begin ─▶ exchange
 *                    └ 421, 503 not-processed
 *
 * The service named when the stream was opened is who is asked, for every request inside: only that
 * instance is ever dialled, and what is counted, limited and authorized is that service's. Host is
 * the application's word and decides nothing here: a route may send one host's requests to another
 * service, and its policy was applied where the request came from. */
#include "proxy/mesh.h"

#include <unistd.h>

#include <gossamer/alloc.h>

/* Descriptors on their way to one worker: one producer, one consumer. */
struct handed {
    int fds[MESH_HANDED_MAX];
    _Atomic uint32_t put, taken;
};

struct mesh_in {
    struct worker *worker;
    struct gs_list links;
    struct gs_timer tend;
    _Atomic uint64_t connections; /* handed over ones included; two writers */
    _Atomic uint64_t streams;     /* written by its worker */
    bool draining;
    struct handed handed;
};

struct in_link { /* one connection */
    struct gs_list link;
    struct mesh_in *in;
    struct mux *mux;
    struct gs_id node; /* which opened it, as it says with its first stream; zero: not yet */
};

/* One stream to one of our instances. */
struct in_stream {
    struct http_handler handler; /* first: begin() gets it */
    struct http_server_options opts;
    struct mesh_in *in;
    struct gs_grave grave;
    struct gs_addr addr;
    uint16_t port;
    /* What the present root says of it. */
    uint64_t seq;
    const struct service *service;
    const struct subset *subset;
    const struct endpoint *endpoint;
    struct gs_slice ns, name; /* behind the struct */
    char text[];
};

/* The caller's verdicts come first: it knows its client, we only know it. */
#define PATIENCE_MS 5000

/* ---- which instance ---- */

/* "NS/NAME:PORT" */
static bool
split_service(struct gs_slice text, struct gs_slice *ns, struct gs_slice *name, uint16_t *port)
{
    ptrdiff_t slash = gs_slice_find(text, '/');
    ptrdiff_t colon = gs_slice_rfind(text, ':');
    uint64_t n;

    if (slash <= 0 || colon <= slash + 1 ||
        !gs_slice_to_u64(gs_slice_from(text, (size_t)colon + 1), &n) || n == 0 || n > UINT16_MAX)
        return false;
    *ns = gs_slice_head(text, (size_t)slash);
    *name = gs_slice(text.ptr + slash + 1, (size_t)(colon - slash - 1));
    *port = (uint16_t)n;
    return name->len + 1 + ns->len <= HOST_BYTES_MAX;
}

static bool
is_service(const struct service *s, const struct in_stream *is)
{
    return s && s->port == is->port && gs_slice_eq(s->name, is->name) && gs_slice_eq(s->ns, is->ns);
}

/* By its qualified name; another service may hold that by a dotted name of its own. */
static const struct service *
find_service(const struct snapshot *root, const struct in_stream *is)
{
    char host[HOST_BYTES_MAX + 1];
    const struct service *s;
    size_t len = is->name.len;

    GS_ASSERT(len + 1 + is->ns.len <= HOST_BYTES_MAX); /* split_service() */
    memcpy(host, is->name.ptr, len);
    host[len++] = '.';
    memcpy(host + len, is->ns.ptr, is->ns.len);
    len += is->ns.len;
    s = snapshot_find(root, gs_slice(host, len), is->port);
    if (!s || is_service(s, is))
        return s;
    for (uint32_t i = 0; i < root->service_count; i++) {
        if (is_service(root->services[i], is))
            return root->services[i];
    }
    return NULL;
}

static const struct subset *
subset_of(const struct service *s, const struct endpoint *e)
{
    for (uint32_t i = 1; i < s->subset_count; i++) {
        const struct subset *is = &s->subsets[i];

        for (uint32_t k = 0; k < is->count; k++) {
            if (is->endpoints[k] == e)
                return is;
        }
        for (uint32_t k = 0; k < is->other_count; k++) { /* not chosen now, but asked for */
            if (is->others[k] == e)
                return is;
        }
    }
    return &s->subsets[SUBSET_ALL];
}

/* Our own configuration decides, as the present root shows it: false if it is no instance of ours
 * (any more). */
static bool
resolve(struct in_stream *is)
{
    const struct snapshot *root = is->in->worker->root;
    const struct service *s;

    if (is->seq == root->seq)
        return is->endpoint != NULL;
    is->seq = root->seq;
    is->endpoint = NULL;
    is->service = s = find_service(root, is);
    for (uint32_t i = 0; s && i < s->endpoint_count; i++) {
        if (s->endpoints[i].local && gs_addr_eq(&s->endpoints[i].addr, &is->addr)) {
            is->endpoint = &s->endpoints[i];
            is->subset = subset_of(s, is->endpoint);
            return true;
        }
    }
    return false;
}

/* ---- requests inside a stream ---- */

static struct side *
call_begin(struct http_handler *handler, struct side *answer, struct head *h)
{
    struct in_stream *is = GS_CONTAINER(handler, struct in_stream, handler);
    struct worker *w = is->in->worker;
    struct exchange_route route = { .inbound = true };

    if (proxy_standing_now(w->proxy) == PROXY_CLOSED)
        return exchange_refuse(w, answer, h, &route, REASON_NO_POLICY, NULL);
    if (!resolve(is))
        return exchange_refuse(w, answer, h, &route, REASON_MISDIRECTED, NULL);
    GS_ASSERT(is->endpoint->local);
    GS_ASSERT(is->seq == w->root->seq); /* its pointers are of this root */
    route.service = route.target = is->service;
    route.subset = is->subset;
    route.only = is->endpoint;
    return exchange_begin(w, answer, h, &route);
}

static void
call_refused(struct http_handler *handler, enum reason r)
{
    struct in_stream *is = GS_CONTAINER(handler, struct in_stream, handler);

    counter_add(&is->in->worker->counters.refused[r], 1);
}

static void
bury_stream(struct gs_grave *g)
{
    gs_free(GS_CONTAINER(g, struct in_stream, grave));
}

static void
streams_changed(struct mesh_in *in, int by)
{
    uint64_t n = atomic_load_explicit(&in->streams, memory_order_relaxed);

    GS_ASSERT(by > 0 || n > 0);
    n = by > 0 ? n + 1 : n - 1;
    atomic_store_explicit(&in->streams, n, memory_order_relaxed);
    atomic_store_explicit(&in->worker->counters.mesh_streams, n, memory_order_relaxed);
}

static void
call_closed(struct http_handler *handler)
{
    struct in_stream *is = GS_CONTAINER(handler, struct in_stream, handler);

    streams_changed(is->in, -1);
    gs_loop_bury(is->in->worker->loop, &is->grave, bury_stream);
    worker_conn_closed(is->in->worker);
}

static struct in_stream *
in_stream_new(struct mesh_in *in, const struct mux_request *r)
{
    struct worker *w = in->worker;
    struct in_stream *is = gs_zalloc(sizeof(*is) + r->service.len);
    struct gs_slice text = gs_slice(is->text, r->service.len);
    const struct snapshot_timeouts *t = &w->root->timeouts;

    memcpy(is->text, r->service.ptr, r->service.len);
    if (!split_service(text, &is->ns, &is->name, &is->port) ||
        gs_addr_parse(&is->addr, r->authority, NULL) != GS_E_OK) {
        gs_free(is);
        return NULL;
    }
    is->in = in;
    is->handler = (struct http_handler){ call_begin, call_refused, call_closed };
    is->opts = (struct http_server_options){
        .handler = &is->handler,
        .pool = w->h1,
        .head_ms = t->head_ms > 0 ? t->head_ms + PATIENCE_MS : 0,
        .idle_ms = MUX_STREAM_IDLE_MS + MUX_IDLE_MS,
        .body_idle_ms = t->body_idle_ms > 0 ? t->body_idle_ms + PATIENCE_MS : 0,
        .via = "gossamer",
        .refused_outcome = mux_outcome_text(OUTCOME_NOT_PROCESSED),
        .client_drains = true,
    };
    gs_list_init(&is->grave.link);
    return is;
}

/* ---- streams ---- */

static void
on_opened(void *arg, struct stream *s, const struct mux_request *r)
{
    struct in_link *l = arg;
    struct mesh_in *in = l->in;
    struct worker *w = in->worker;
    struct in_stream *is;

    if (in->draining || proxy_standing_now(w->proxy) == PROXY_CLOSED) {
        counter_add(&w->counters.mesh_closed_standing, 1);
        mux_refuse(s, 503, OUTCOME_NOT_PROCESSED);
        return;
    }
    is = in_stream_new(in, r);
    if (!is || !resolve(is)) {
        gs_free(is);
        counter_add(&w->counters.mesh_misdirected, 1);
        mux_refuse(s, 421, OUTCOME_NOT_PROCESSED);
        return;
    }
    streams_changed(in, 1);
    mux_accept(s);
    server_serve(s, &is->opts, &w->stream_conns);
}

static void
on_refused(void *arg, enum reason why)
{
    counter_add(&((struct in_link *)arg)->in->worker->counters.refused[why], 1);
}

static void
on_closed(void *arg, enum reason why)
{
    struct in_link *l = arg;
    struct mesh_in *in = l->in;

    (void)why;
    GS_ASSERT(gs_list_linked(&l->link));
    GS_ASSERT(atomic_load_explicit(&in->connections, memory_order_relaxed) > 0);
    gs_list_remove(&l->link);
    gs_free(l);
    atomic_fetch_sub_explicit(&in->connections, 1, memory_order_relaxed);
    proxy_mesh_give(in->worker->proxy);
    counter_sub(&in->worker->counters.mesh_open, 1);
    if (gs_list_empty(&in->links))
        gs_loop_disarm(in->worker->loop, &in->tend);
    worker_conn_closed(in->worker);
}

static bool
on_from(void *arg, struct gs_slice node)
{
    struct in_link *l = arg;
    static const struct gs_id nobody;

    if (gs_id_eq(&l->node, &nobody) && gs_id_parse(&l->node, node) != GS_E_OK)
        l->node = nobody;
    return !proxy_is_cut(l->in->worker->proxy, &l->node);
}

static const struct mux_events link_events = { on_opened, NULL, on_refused, on_closed, on_from };

/* ---- connections ---- */

static void
on_tend(struct gs_timer *t)
{
    struct mesh_in *in = GS_CONTAINER(t, struct mesh_in, tend);
    uint64_t head_ms = in->worker->root->timeouts.head_ms;

    GS_LIST_EACH_SAFE(n, &in->links) {
        struct in_link *l = GS_LIST_ENTRY(n, struct in_link, link);

        GS_DEBUG_ASSERT((mux_check(l->mux), true));
        mux_tend(l->mux, in->draining ? 0 : MUX_SERVER_IDLE_MS, head_ms);
    }
    if (!gs_list_empty(&in->links))
        gs_loop_arm(in->worker->loop, &in->tend, MESH_SWEEP_MS);
}

static void
drop_fd(struct mesh_in *in, int fd)
{
    close(fd);
    atomic_fetch_sub_explicit(&in->connections, 1, memory_order_relaxed);
    proxy_mesh_give(in->worker->proxy);
}

static void
take_one(struct mesh_in *in, int fd)
{
    struct worker *w = in->worker;
    struct in_link *l;
    struct stream *below;

    GS_ASSERT(fd >= 0);
    if (in->draining) {
        drop_fd(in, fd);
        return;
    }
    l = gs_zalloc(sizeof(*l));
    l->in = in;
    l->mux = mux_new(&(struct mux_options){ .loop = w->loop,
                                            .role = MUX_SERVER,
                                            .events = &link_events,
                                            .arg = l,
                                            .calls = mesh_calls_handler(w->mesh_calls) });
    below = stream_tcp_accept(w->loop, fd, &mux_sink_ops, l->mux);
    if (!below) { /* it has closed the descriptor */
        mux_free(l->mux);
        gs_free(l);
        atomic_fetch_sub_explicit(&in->connections, 1, memory_order_relaxed);
        proxy_mesh_give(w->proxy);
        return;
    }
    stream_tcp_watch_peer(below);
    mux_start(l->mux, below);
    gs_list_push_back(&in->links, &l->link);
    counter_add(&w->counters.mesh_accepted, 1);
    counter_add(&w->counters.mesh_open, 1);
    if (!gs_timer_armed(&in->tend))
        gs_loop_arm(w->loop, &in->tend, MESH_SWEEP_MS);
}

void
mesh_in_take(struct mesh_in *in)
{
    struct handed *h = &in->handed;
    uint32_t put = atomic_load_explicit(&h->put, memory_order_acquire);
    uint32_t taken = atomic_load_explicit(&h->taken, memory_order_relaxed);

    GS_ASSERT(put - taken <= MESH_HANDED_MAX);
    while (taken != put) {
        int fd = h->fds[taken % MESH_HANDED_MAX];

        atomic_store_explicit(&h->taken, ++taken, memory_order_release);
        take_one(in, fd);
    }
}

static bool
hand_over(struct mesh_in *to, int fd)
{
    struct handed *h = &to->handed;
    uint32_t put = atomic_load_explicit(&h->put, memory_order_relaxed);

    if (put - atomic_load_explicit(&h->taken, memory_order_acquire) == MESH_HANDED_MAX)
        return false;
    h->fds[put % MESH_HANDED_MAX] = fd;
    atomic_store_explicit(&h->put, put + 1, memory_order_release);
    gs_wake_send(to->worker->wake);
    return true;
}

uint64_t
mesh_in_load(const struct mesh_in *in)
{
    /* Connections count little, but tell apart those that have no streams yet. */
    return atomic_load_explicit(&in->streams, memory_order_relaxed) * MUX_CONNECTIONS_MAX +
           atomic_load_explicit(&in->connections, memory_order_relaxed);
}

static bool
evict_idle(struct mesh_in *in)
{
    GS_LIST_EACH(n, &in->links) {
        struct in_link *l = GS_LIST_ENTRY(n, struct in_link, link);

        if (mux_idle(l->mux)) {
            mux_abort(l->mux, REASON_LIMIT);
            return true;
        }
    }
    return false;
}

void
mesh_in_accepted(struct mesh_in *in, int fd)
{
    struct worker *w = in->worker;
    struct mesh_in *best = in;

    if (!proxy_mesh_take(w->proxy)) {
        if (!evict_idle(in)) {
            counter_add(&w->counters.mesh_refused, 1);
            close(fd);
            return;
        }
        proxy_mesh_replace(w->proxy);
    }
    for (uint32_t i = 0; i < w->opts->workers; i++) {
        struct mesh_in *other = proxy_worker(w->proxy, i)->mesh_in;

        if (mesh_in_load(other) < mesh_in_load(best))
            best = other;
    }
    atomic_fetch_add_explicit(&best->connections, 1, memory_order_relaxed);
    if (best == in)
        take_one(in, fd);
    else if (!hand_over(best, fd)) {
        counter_add(&w->counters.mesh_refused, 1);
        drop_fd(best, fd);
    }
}

void
mesh_in_drain(struct mesh_in *in)
{
    mesh_in_take(in);
    in->draining = true;
    GS_LIST_EACH(n, &in->links)
        mux_drain(GS_LIST_ENTRY(n, struct in_link, link)->mux);
}

void
mesh_in_abort(struct mesh_in *in)
{
    GS_LIST_EACH_SAFE(n, &in->links)
        mux_abort(GS_LIST_ENTRY(n, struct in_link, link)->mux, REASON_DRAINING);
}

void
mesh_in_cut(struct mesh_in *in)
{
    GS_LIST_EACH_SAFE(n, &in->links) {
        struct in_link *l = GS_LIST_ENTRY(n, struct in_link, link);

        if (proxy_is_cut(in->worker->proxy, &l->node))
            mux_abort(l->mux, REASON_MUX_CUT);
    }
}

bool
mesh_in_empty(const struct mesh_in *in)
{
    return gs_list_empty(&in->links);
}

struct mesh_in *
mesh_in_new(struct worker *w)
{
    struct mesh_in *in = gs_zalloc(sizeof(*in));

    in->worker = w;
    gs_list_init(&in->links);
    gs_timer_init(&in->tend, on_tend);
    return in;
}

void
mesh_in_free(struct mesh_in *in)
{
    if (!in)
        return;
    GS_ASSERT(gs_list_empty(&in->links));
    GS_ASSERT(atomic_load(&in->handed.put) == atomic_load(&in->handed.taken));
    gs_free(in);
}
