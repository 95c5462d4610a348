/* admin.c - the admin API's server: the same HTTP codec and connections as the data plane, on the
 * control loop. */
#include "mesh/admin.h"

#include <stdio.h>
#include <unistd.h>

#include <gossamer/alloc.h>
#include <gossamer/http.h>
#include <gossamer/json_out.h>
#include <gossamer/listener.h>

#include "mesh/admin_peers.h"

enum access { ACCESS_OPEN, ACCESS_READ, ACCESS_WRITE, ACCESS_PEER, ACCESS_LOCAL };
enum door_kind { DOOR_UNIX, DOOR_TCP, DOOR_PEERS };

struct door { /* one listener: first in it is the handler its connections call */
    struct http_handler handler;
    struct http_server_options opts;
    struct admin *admin;
    struct gs_listener *listener;
    uint32_t conn_count; /* each door has its own limit: one cannot lock the other */
    enum door_kind kind;
};

struct admin {
    struct node *node;
    struct gs_loop *loop;
    struct door unix_door, tcp_door, peer_door;
    struct gs_list conns;
    struct gs_list streams; /* answers that go on */
    struct admin_peers peers;
    char *socket;
    struct gs_addr addr;
    void (*closed)(void *arg); /* set: closing */
    void *closed_arg;
    struct gs_defer finish;
    struct gs_timer cut; /* connections that do not end by themselves */
};

#define CLOSE_MS 1000 /* for answers to go out */

struct admin_call {
    struct side side;
    struct side *answer; /* NULL: the client left */
    struct door *door;
    struct gs_arena arena;
    struct gs_buf body;
    struct gs_grave grave;
    struct head head;            /* kept in the arena */
    struct admin_stream *stream; /* the answer goes on; NULL: it does not */
    bool request_over, replied, early;
};

static const struct {
    struct gs_slice method, path;
    admin_fn fn;
    enum access access;
} routes[] = {
#define X(m, p, f, a) { { m, sizeof(m) - 1 }, { p, sizeof(p) - 1 }, f, ACCESS_##a },
#include "mesh/admin.def"
#undef X
};

/* ---- requests ---- */

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct gs_slice
admin_percent_decode(struct gs_arena *arena, struct gs_slice s)
{
    char *out = gs_arena_bytes(arena, s.len + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        int high = s.ptr[i] == '%' && i + 2 < s.len ? hex_value(s.ptr[i + 1]) : -1;
        int low = high >= 0 ? hex_value(s.ptr[i + 2]) : -1;

        if (low >= 0) {
            out[n++] = (char)(high * 16 + low);
            i += 2;
        } else {
            out[n++] = s.ptr[i] == '+' ? ' ' : s.ptr[i];
        }
    }
    out[n] = '\0';
    return gs_slice(out, n);
}

bool
admin_query(const struct admin_request *r, const char *name, struct gs_slice *value)
{
    struct gs_slice rest = r->query;
    struct gs_slice part;

    while (gs_slice_cut(&rest, '&', &part)) {
        ptrdiff_t eq = gs_slice_find(part, '=');
        struct gs_slice key = eq < 0 ? part : gs_slice_head(part, (size_t)eq);

        if (!gs_slice_eq(key, gs_slice_str(name)))
            continue;
        *value = eq < 0 ? GS_SLICE("")
                        : admin_percent_decode(r->arena, gs_slice_from(part, (size_t)eq + 1));
        return true;
    }
    return false;
}

static void
bury(struct gs_grave *g)
{
    struct admin_call *c = GS_CONTAINER(g, struct admin_call, grave);

    gs_buf_fini(&c->body);
    gs_arena_fini(&c->arena);
    gs_free(c);
}

static void
call_maybe_over(struct admin_call *c)
{
    if (c->request_over && c->replied && !gs_list_linked(&c->grave.link))
        gs_loop_bury(c->door->admin->loop, &c->grave, bury);
}

static struct admin_call *
call_of(struct side *s)
{
    return GS_CONTAINER(s, struct admin_call, side);
}

/* ---- answers ---- */

static const char *
phrase_of(unsigned status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 409:
        return "Conflict";
    case 413:
        return "Content Too Large";
    case 422:
        return "Unprocessable Content";
    case 500:
        return "Internal Server Error";
    case 503:
        return "Service Unavailable";
    default:
        return "";
    }
}

void
admin_reply(struct admin_call *c, unsigned status, const char *content_type, struct gs_buf *body)
{
    struct field fields[] = {
        { .name = GS_SLICE("content-type"), .value = gs_slice_str(content_type) },
        { .name = GS_SLICE("cache-control"), .value = GS_SLICE("no-store") },
    };
    struct head h = { .status = status,
                      .phrase = gs_slice_str(phrase_of(status)),
                      .fields = fields,
                      .count = GS_COUNT(fields),
                      .framing = c->head.is_head ? FRAMING_NONE : FRAMING_LENGTH,
                      .has_length = true,
                      .length = body->len };

    GS_ASSERT(!c->replied);
    c->replied = true;
    if (c->answer) {
        c->answer->ops->head(c->answer, &h);
        if (!c->head.is_head)
            c->answer->ops->data(c->answer, gs_buf_slice(body));
        c->answer->ops->end(c->answer);
    }
    gs_buf_fini(body);
    call_maybe_over(c);
}

void
admin_reply_json(struct admin_call *c, unsigned status, struct gs_buf *body)
{
    gs_buf_put(body, "\n", 1);
    admin_reply(c, status, "application/json", body);
}

/* ---- answers that go on ---- */

bool
admin_stream_begin(struct admin_call *c, const char *content_type, struct admin_stream *s)
{
    struct field fields[] = {
        { .name = GS_SLICE("content-type"), .value = gs_slice_str(content_type) },
        { .name = GS_SLICE("cache-control"), .value = GS_SLICE("no-store") },
    };
    struct head h = { .status = 200,
                      .phrase = gs_slice_str(phrase_of(200)),
                      .fields = fields,
                      .count = GS_COUNT(fields),
                      .framing = c->head.is_head ? FRAMING_NONE : FRAMING_CHUNKED };

    GS_ASSERT(!c->replied);
    GS_ASSERT(!c->stream);
    if (c->answer)
        c->answer->ops->head(c->answer, &h);
    if (c->answer && c->head.is_head)
        c->answer->ops->end(c->answer);
    if (!c->answer || c->head.is_head) {
        c->replied = true;
        call_maybe_over(c);
        return false;
    }
    c->stream = s;
    s->call = c;
    gs_list_init(&s->link);
    gs_list_push_back(&c->door->admin->streams, &s->link);
    return true;
}

bool
admin_stream_room(const struct admin_stream *s)
{
    struct side *answer = s->call->answer;

    GS_ASSERT(answer);
    return answer->ops->room(answer) > 0;
}

void
admin_stream_write(struct admin_stream *s, struct gs_slice bytes)
{
    struct side *answer = s->call->answer;

    GS_ASSERT(answer);
    answer->ops->data(answer, bytes);
}

/* The stream and its call know each other no longer; the call ends. */
static void
stream_over(struct admin_stream *s)
{
    struct admin_call *c = s->call;

    GS_ASSERT(c->stream == s);
    gs_list_remove(&s->link);
    c->stream = NULL;
    c->replied = true;
}

void
admin_stream_end(struct admin_stream *s)
{
    struct admin_call *c = s->call;

    stream_over(s);
    c->answer->ops->end(c->answer);
    call_maybe_over(c);
}

void
admin_problem_json(struct json_out *j, const struct gs_problem *p)
{
    json_obj(j);
    json_kstr(j, "code", p->code);
    json_kstr(j, "message", p->message);
    if (p->file)
        json_kstr(j, "file", p->file);
    if (p->line > 0) {
        json_ku64(j, "line", p->line);
        json_ku64(j, "column", p->column);
    }
    if (p->field)
        json_kstr(j, "field", p->field);
    if (p->hint)
        json_kstr(j, "hint", p->hint);
    json_obj_end(j);
}

static void
problems_list(struct json_out *j, const char *key, const struct gs_problems *p,
              enum gs_severity severity)
{
    json_key(j, key);
    json_arr(j);
    for (size_t i = 0; i < p->count; i++) {
        if (p->items[i].severity == severity)
            admin_problem_json(j, &p->items[i]);
    }
    json_arr_end(j);
}

void
admin_error_problems(struct admin_call *c, unsigned status, const struct gs_problems *p)
{
    struct gs_buf out;
    struct json_out j;

    gs_buf_init(&out, ADMIN_BODY_MAX);
    json_init(&j, &out);
    json_obj(&j);
    problems_list(&j, "errors", p, GS_SEV_ERROR);
    if (p->warnings > 0)
        problems_list(&j, "warnings", p, GS_SEV_WARNING);
    json_obj_end(&j);
    admin_reply_json(c, status, &out);
}

void
admin_error(struct admin_call *c, unsigned status, const char *code, const char *hint,
            const char *fmt, ...)
{
    char text[512];
    struct gs_problem p = { .severity = GS_SEV_ERROR, .code = code, .message = text, .hint = hint };
    struct gs_buf out;
    struct json_out j;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    gs_buf_init(&out, 8192);
    json_init(&j, &out);
    json_obj(&j);
    json_key(&j, "errors");
    json_arr(&j);
    admin_problem_json(&j, &p);
    json_arr_end(&j);
    json_obj_end(&j);
    admin_reply_json(c, status, &out);
}

/* ---- dispatch ---- */

static bool
method_fits(struct gs_slice row, const struct head *h)
{
    return gs_slice_eq(row, h->method) || (h->is_head && gs_slice_eq(row, GS_SLICE("GET")));
}

static bool
path_fits(struct gs_slice row, struct gs_slice path)
{
    if (row.ptr[row.len - 1] == '/')
        return path.len > row.len && gs_slice_starts(path, row);
    return gs_slice_eq(row, path);
}

static void
dispatch(struct admin_call *c)
{
    ptrdiff_t q = gs_slice_find(c->head.path, '?');
    struct admin_request r = { .method = c->head.method, .arena = &c->arena };
    bool path_known = false;

    r.path = q < 0 ? c->head.path : gs_slice_head(c->head.path, (size_t)q);
    r.query = q < 0 ? GS_SLICE_NONE : gs_slice_from(c->head.path, (size_t)q + 1);
    r.body = gs_buf_slice(&c->body);
    for (size_t i = 0; i < GS_COUNT(routes); i++) {
        if (!path_fits(routes[i].path, r.path))
            continue;
        path_known = true;
        if (!method_fits(routes[i].method, &c->head))
            continue;
        if (c->door->kind == DOOR_PEERS && routes[i].access != ACCESS_PEER) {
            admin_error(c, 403, "GS0403", "ask at its own unix socket",
                        "other nodes may not ask for %.*s", GS_SLICE_FMT(r.path));
            return;
        }
        if (c->door->kind == DOOR_TCP && routes[i].access != ACCESS_OPEN) {
            admin_error(c, 403, "GS0403", "use the unix socket: curl --unix-socket PATH ...",
                        "this port answers only /live, /ready and /metrics");
            return;
        }
        /* A page in a browser must not reach an operator's node. */
        if (routes[i].access != ACCESS_OPEN && head_find(&c->head, GS_SLICE("origin"))) {
            admin_error(c, 403, "GS0403", NULL, "requests from web pages are refused");
            return;
        }
        r.rest = gs_slice_from(r.path, routes[i].path.len);
        routes[i].fn(c->door->admin->node, c, &r);
        return;
    }
    if (path_known)
        admin_error(c, 405, "GS0405", NULL, "%.*s is not a method of %.*s", GS_SLICE_FMT(r.method),
                    GS_SLICE_FMT(r.path));
    else
        admin_error(c, 404, "GS0404", NULL, "there is no %.*s", GS_SLICE_FMT(r.path));
}

/* ---- the request side ---- */

static void
on_data(struct side *to, struct gs_slice bytes)
{
    struct admin_call *c = call_of(to);

    if (c->early || gs_buf_put_slice(&c->body, bytes) == GS_E_OK)
        return;
    c->early = true;
    c->request_over = true;
    c->answer->ops->reset(c->answer, REASON_NONE); /* no more of it */
    admin_error(c, 413, "GS0413", NULL, "the body is larger than %u bytes", ADMIN_BODY_MAX);
}

static void
on_head(struct side *to, struct head *h)
{
    (void)to;
    (void)h;
}

static void
on_trailers(struct side *to, struct head *t)
{
    (void)to;
    (void)t;
}

static void
on_end(struct side *to)
{
    struct admin_call *c = call_of(to);

    c->request_over = true;
    if (!c->replied)
        dispatch(c);
    else
        call_maybe_over(c);
}

static void
on_reset(struct side *to, enum reason why)
{
    struct admin_call *c = call_of(to);
    bool dispatched = c->request_over;

    (void)why;
    c->answer = NULL;
    c->request_over = true;
    if (c->stream) {
        struct admin_stream *s = c->stream;

        stream_over(s);
        s->gone(s);
    }
    if (!dispatched)
        c->replied = true; /* nobody will */
    call_maybe_over(c);
}

static size_t
on_room(struct side *to)
{
    (void)to;
    return LOOP_SCRATCH_BYTES;
}

static void
on_resume(struct side *to)
{
    struct admin_call *c = call_of(to);

    if (c->stream)
        c->stream->resume(c->stream);
}

static const struct side_ops call_ops = { on_head,  on_data, on_trailers, on_end,
                                          on_reset, on_room, on_resume };

static struct side *
begin(struct http_handler *handler, struct side *answer, struct head *h)
{
    struct admin_call *c = gs_zalloc(sizeof(*c));

    c->side.ops = &call_ops;
    c->answer = answer;
    c->door = (struct door *)(void *)handler;
    gs_arena_init(&c->arena, NULL, 0, 2048);
    gs_buf_init(&c->body, ADMIN_BODY_MAX);
    gs_list_init(&c->grave.link);
    c->head = *h;
    head_keep(&c->head, &c->arena);
    return &c->side;
}

/* ---- listeners ---- */

static void
finish(struct gs_defer *d)
{
    struct admin *a = GS_CONTAINER(d, struct admin, finish);
    void (*closed)(void *arg) = a->closed;
    void *arg = a->closed_arg;

    if (!gs_list_empty(&a->conns) || !gs_list_empty(&a->peers.conns))
        return;
    gs_loop_disarm(a->loop, &a->cut);
    unlink(a->socket);
    gs_free(a->socket);
    gs_free(a);
    closed(arg);
}

static void
on_cut(struct gs_timer *t)
{
    struct admin *a = GS_CONTAINER(t, struct admin, cut);

    GS_LIST_EACH_SAFE(n, &a->conns)
        server_conn_abort(n);
}

static void
on_conn_closed(struct http_handler *handler)
{
    struct door *d = (struct door *)(void *)handler;
    struct admin *a = d->admin;

    GS_ASSERT(d->conn_count > 0);
    d->conn_count--;
    if (a->closed && gs_list_empty(&a->conns))
        gs_loop_defer(a->loop, &a->finish);
}

static void
on_accepted(void *arg, int fd)
{
    struct door *d = arg;
    struct admin *a = d->admin;

    if (d->conn_count >= ADMIN_CONNECTIONS_MAX) {
        close(fd);
        return;
    }
    if (server_accept(a->loop, fd, &d->opts, &a->conns))
        d->conn_count++;
}

/* ---- other nodes, by way of a worker ---- */

static void
on_peer_ended(void *arg)
{
    struct admin *a = arg;

    if (a->closed)
        gs_loop_defer(a->loop, &a->finish);
}

void
admin_serve_peers(struct admin *a, int fd)
{
    admin_peers_serve(&a->peers, fd);
}

static void
door_open(struct admin *a, struct door *d, int fd, enum door_kind kind, struct h1_pool *pool)
{
    struct gs_listener_events events = { on_accepted, NULL, d };

    d->handler = (struct http_handler){ begin, NULL, on_conn_closed };
    d->opts = (struct http_server_options){ .handler = &d->handler,
                                            .pool = pool,
                                            .head_ms = 10000,
                                            .idle_ms = kind == DOOR_UNIX ? 60000 : 5000,
                                            .body_idle_ms = 10000,
                                            .via = "gossamer-admin" };
    d->admin = a;
    d->kind = kind;
    d->listener = gs_listener_new(a->loop, fd, &events);
}

gs_err
admin_start(const struct admin_options *o, struct admin **out, struct gs_why *why)
{
    struct admin *a = gs_zalloc(sizeof(*a));
    int tcp = -1;
    int sock = gs_listen_unix(o->socket, 0660, why);

    if (sock >= 0 && o->listen.family != 0)
        tcp = gs_listen_tcp(&o->listen, false, why);
    if (sock < 0 || (o->listen.family != 0 && tcp < 0)) {
        if (sock >= 0) {
            close(sock);
            unlink(o->socket);
        }
        gs_free(a);
        return GS_E_IN_USE;
    }
    a->node = o->node;
    a->loop = o->loop;
    a->socket = gs_strdup(o->socket);
    gs_list_init(&a->conns);
    gs_list_init(&a->streams);
    a->peer_door =
        (struct door){ .handler = { begin, NULL, NULL }, .admin = a, .kind = DOOR_PEERS };
    a->peers = (struct admin_peers){
        .handler = &a->peer_door.handler, .loop = a->loop, .ended = on_peer_ended, .arg = a
    };
    admin_peers_init(&a->peers);
    gs_defer_init(&a->finish, finish);
    gs_timer_init(&a->cut, on_cut);
    door_open(a, &a->unix_door, sock, DOOR_UNIX, o->pool);
    if (tcp >= 0) {
        if (gs_listen_addr(tcp, &a->addr) != GS_E_OK)
            a->addr = o->listen;
        door_open(a, &a->tcp_door, tcp, DOOR_TCP, o->pool);
    }
    *out = a;
    return GS_E_OK;
}

struct gs_addr
admin_addr(const struct admin *a)
{
    return a->addr;
}

void
admin_close(struct admin *a, void (*closed)(void *arg), void *arg)
{
    a->closed = closed;
    a->closed_arg = arg;
    gs_listener_close(a->unix_door.listener);
    gs_listener_close(a->tcp_door.listener);
    GS_LIST_EACH_SAFE(n, &a->streams) {
        struct admin_stream *s = GS_LIST_ENTRY(n, struct admin_stream, link);

        s->stop(s);
    }
    GS_LIST_EACH_SAFE(n, &a->conns)
        server_conn_drain(n);
    admin_peers_abort(&a->peers);
    gs_loop_arm(a->loop, &a->cut, CLOSE_MS);
    gs_loop_defer(a->loop, &a->finish);
}
