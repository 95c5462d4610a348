/* load.c - connections, poll, and the proxy's own codec for answers.
 *
 *     SHUT ──request due──▶ CONNECTING ──▶ SENDING ──▶ READING ──whole, kept──▶ IDLE ─▶ SENDING
 *       ▲                                                 │
 *       └──────── failed, or the connection is over ──────┘ */
#include "mesh/demo/load.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include <gossamer/alloc.h>
#include <gossamer/fsm.h>
#include <gossamer/h1.h>

#include "mesh/config/json.h"
#include "mesh/demo/watch.h"

#define ANSWER_US 5000000 /* for one answer; the service takes milliseconds */
#define BODY_BYTES_MAX 65536
#define REQUEST_BYTES_MAX 4096
#define LOAD_CONNECTIONS_MAX 256
#define STEP_MS 100

enum conn_state { CONN_SHUT, CONN_CONNECTING, CONN_SENDING, CONN_READING, CONN_IDLE, CONN_STATES };

static const char *const conn_names[] = { "shut", "connecting", "sending", "reading", "idle" };
static const uint32_t conn_moves[] = {
    [CONN_SHUT] = GS_FSM_BIT(CONN_CONNECTING),
    [CONN_CONNECTING] = GS_FSM_BIT(CONN_SENDING) | GS_FSM_BIT(CONN_SHUT),
    [CONN_SENDING] = GS_FSM_BIT(CONN_READING) | GS_FSM_BIT(CONN_SHUT),
    [CONN_READING] = GS_FSM_BIT(CONN_IDLE) | GS_FSM_BIT(CONN_SHUT),
    [CONN_IDLE] = GS_FSM_BIT(CONN_SENDING) | GS_FSM_BIT(CONN_SHUT),
};
static const struct gs_fsm_def conn_fsm = { "load_conn", conn_names, conn_moves, CONN_STATES };

struct load;

struct conn {
    struct load *load;
    struct gs_fsm fsm;
    int fd;
    struct h1 codec; /* while the connection is open */
    struct gs_buf request;
    size_t sent;
    struct gs_buf body;
    unsigned status;
    bool tagged, whole, keep;
    uint64_t began_us;
};

struct load {
    const struct load_options *o;
    struct load_result *result;
    struct h1_pool *pool;
    struct conn *conns;
    unsigned begun, ended; /* requests */
};

/* ---- the answer, as the codec tells it ---- */

static void
on_head(void *sink, struct head *h)
{
    struct conn *c = sink;

    if (h->status < 200)
        return;
    c->status = h->status;
    c->keep = h->keep_alive;
}

static void
on_data(void *sink, struct gs_slice bytes)
{
    struct conn *c = sink;

    (void)gs_buf_put_slice(&c->body, bytes); /* a longer one names no version */
}

static void
on_trailers(void *sink, struct head *t)
{
    (void)sink;
    (void)t;
}

static void
on_end(void *sink)
{
    struct conn *c = sink;

    c->whole = c->status != 0; /* not that of a 1xx */
}

static const struct h1_sink_ops answer_ops = { on_head, on_data, on_trailers, on_end };

/* ---- counting ---- */

static struct load_count *
count_of(struct conn *c)
{
    return c->tagged ? &c->load->result->tagged : &c->load->result->plain;
}

static void
request_failed(struct conn *c, const char *why)
{
    struct load_result *r = c->load->result;

    count_of(c)->failed++;
    c->load->ended++;
    if (!r->failure[0])
        (void)snprintf(r->failure, sizeof(r->failure), "%s", why);
}

/* 1 or 2; 0 if the body names neither. */
static unsigned
version_of(struct gs_slice body)
{
    struct gs_problems problems;
    struct gs_arena arena;
    struct tree *root;
    const struct tree *version = NULL;
    unsigned v = 0;

    gs_problems_init(&problems);
    gs_arena_init(&arena, NULL, 0, 4096);
    if (tree_parse_json(body, NULL, &arena, &root, &problems) == GS_E_OK)
        version = tree_find(root, "version");
    if (version)
        v = gs_slice_eq(version->text, GS_SLICE("v1"))   ? 1
            : gs_slice_eq(version->text, GS_SLICE("v2")) ? 2
                                                         : 0;
    gs_arena_fini(&arena);
    gs_problems_fini(&problems);
    return v;
}

static void
request_answered(struct conn *c)
{
    unsigned version = version_of(gs_buf_slice(&c->body));
    char why[256];

    if (c->status == 200 && version > 0) {
        count_of(c)->v1 += version == 1;
        count_of(c)->v2 += version == 2;
        c->load->ended++;
        return;
    }
    (void)snprintf(why, sizeof(why), "answered %u: %.*s", c->status,
                   (int)(c->body.len < 160 ? c->body.len : 160), c->body.len ? c->body.ptr : "");
    why[strcspn(why, "\r\n")] = '\0';
    request_failed(c, why);
}

/* ---- one connection ---- */

static void
conn_shut(struct conn *c)
{
    h1_fini(&c->codec);
    (void)close(c->fd);
    c->fd = -1;
    gs_fsm_move(&c->fsm, CONN_SHUT);
}

static void
conn_fail(struct conn *c, const char *why)
{
    if (!gs_fsm_is(&c->fsm, CONN_IDLE))
        request_failed(c, why);
    conn_shut(c);
}

static void
conn_open(struct conn *c)
{
    struct sockaddr_storage sa;
    socklen_t len = gs_addr_to_sockaddr(&c->load->o->to, &sa);
    int one = 1;

    gs_fsm_move(&c->fsm, CONN_CONNECTING);
    h1_init(&c->codec, H1_ANSWERS, c->load->pool, &answer_ops, c);
    c->fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || (connect(c->fd, (struct sockaddr *)&sa, len) != 0 && errno != EINPROGRESS)) {
        conn_fail(c, strerror(errno));
        return;
    }
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* The n-th of all requests: are the tagged ones due by now? */
static bool
is_tagged(const struct load_options *o, uint64_t n)
{
    uint64_t all = o->plain + o->tagged;

    return (n + 1) * o->tagged / all > n * o->tagged / all;
}

static void
write_request(struct conn *c)
{
    const struct load_options *o = c->load->o;
    struct head h = { .method = GS_SLICE("GET"),
                      .path = gs_slice_str(o->path),
                      .is_request = true,
                      .framing = FRAMING_NONE };
    char extra[256] = "";

    if (c->tagged)
        (void)snprintf(extra, sizeof(extra), "%s\r\n", o->header);
    gs_buf_clear(&c->request);
    h1_write_request(&c->request, &h, gs_slice_str(o->host), gs_slice_str(extra));
    GS_ASSERT(!c->request.failed);
}

static void
conn_begin(struct conn *c)
{
    GS_ASSERT(c->load->begun < c->load->o->plain + c->load->o->tagged);
    c->tagged = is_tagged(c->load->o, c->load->begun++);
    c->sent = 0;
    c->status = 0;
    c->whole = c->keep = false;
    c->began_us = watch_now_us();
    gs_buf_clear(&c->body);
    c->body.failed = false;
    write_request(c);
    if (gs_fsm_is(&c->fsm, CONN_SHUT)) {
        conn_open(c);
    } else {
        h1_next(&c->codec);
        gs_fsm_move(&c->fsm, CONN_SENDING);
    }
    if (!gs_fsm_is(&c->fsm, CONN_SHUT))
        h1_expect(&c->codec, false);
}

static void
conn_send(struct conn *c)
{
    ssize_t n = send(c->fd, c->request.ptr + c->sent, c->request.len - c->sent, MSG_NOSIGNAL);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        conn_fail(c, strerror(errno));
        return;
    }
    if (gs_fsm_is(&c->fsm, CONN_CONNECTING))
        gs_fsm_move(&c->fsm, CONN_SENDING);
    c->sent += (size_t)n;
    if (c->sent == c->request.len)
        gs_fsm_move(&c->fsm, CONN_READING);
}

/* c->whole: count it, and see whether the connection goes on. */
static void
conn_answered(struct conn *c, bool keep)
{
    request_answered(c);
    if (keep)
        gs_fsm_move(&c->fsm, CONN_IDLE);
    else
        conn_shut(c);
}

static void
conn_feed(struct conn *c, struct gs_slice bytes)
{
    struct gs_why why = { "" };
    size_t used;

    while (bytes.len > 0 && !c->whole) {
        if (h1_feed(&c->codec, bytes, &used, &why) != REASON_NONE) {
            conn_fail(c, why.text);
            return;
        }
        bytes = gs_slice_from(bytes, used);
        if (h1_done(&c->codec) && !c->whole)
            h1_next(&c->codec); /* a 1xx; its answer follows */
    }
    if (c->whole)
        conn_answered(c, c->keep && bytes.len == 0);
}

static void
conn_end(struct conn *c)
{
    struct gs_why why = { "the connection was closed without an answer" };

    if (gs_fsm_is(&c->fsm, CONN_READING) && h1_feed_eof(&c->codec, &why) == REASON_NONE && c->whole)
        conn_answered(c, false);
    else
        conn_fail(c, why.text);
}

static void
conn_read(struct conn *c)
{
    char bytes[16384];
    ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);

    if (n > 0 && gs_fsm_is(&c->fsm, CONN_READING))
        conn_feed(c, gs_slice(bytes, (size_t)n));
    else if (n == 0)
        conn_end(c);
    else if (n > 0 || (errno != EAGAIN && errno != EINTR))
        conn_fail(c, n > 0 ? "bytes that nobody asked for" : strerror(errno));
}

static bool
conn_is_open(const struct conn *c)
{
    return !gs_fsm_is(&c->fsm, CONN_SHUT);
}

/* ---- all of them ---- */

static void
begin_due(struct load *l)
{
    unsigned all = l->o->plain + l->o->tagged;

    for (unsigned i = 0; i < l->o->connections && l->begun < all; i++) {
        struct conn *c = &l->conns[i];

        if (gs_fsm_is(&c->fsm, CONN_SHUT) || gs_fsm_is(&c->fsm, CONN_IDLE))
            conn_begin(c);
        if (gs_fsm_is(&c->fsm, CONN_SENDING))
            conn_send(c);
    }
}

static void
fail_late(struct load *l)
{
    uint64_t now = watch_now_us();

    for (unsigned i = 0; i < l->o->connections; i++) {
        struct conn *c = &l->conns[i];

        if (conn_is_open(c) && !gs_fsm_is(&c->fsm, CONN_IDLE) && now - c->began_us > ANSWER_US)
            conn_fail(c, "no answer in time");
    }
}

static void
turn(struct load *l)
{
    struct pollfd p[LOAD_CONNECTIONS_MAX + 1];
    unsigned n = l->o->connections;

    for (unsigned i = 0; i < n; i++) {
        struct conn *c = &l->conns[i];
        bool sending = gs_fsm_is(&c->fsm, CONN_CONNECTING) || gs_fsm_is(&c->fsm, CONN_SENDING);

        p[i] = (struct pollfd){ .fd = c->fd, .events = sending ? POLLOUT : POLLIN };
    }
    p[n] = (struct pollfd){ .fd = l->o->watch->fd, .events = POLLIN };
    if (poll(p, n + 1, STEP_MS) < 0)
        return;
    for (unsigned i = 0; i < n; i++) {
        struct conn *c = &l->conns[i];

        if (p[i].revents == 0 || !conn_is_open(c))
            continue;
        if (p[i].events & POLLOUT)
            conn_send(c);
        else
            conn_read(c);
    }
}

void
load_run(const struct load_options *o, struct load_result *out)
{
    struct load l = { .o = o, .result = out, .pool = h1_pool_new() };
    uint64_t began = watch_now_us();

    GS_ASSERT(o->connections > 0);
    GS_ASSERT(o->connections <= LOAD_CONNECTIONS_MAX);
    *out = (struct load_result){ .stopped = false };
    l.conns = gs_calloc(o->connections, sizeof(*l.conns));
    for (unsigned i = 0; i < o->connections; i++) {
        l.conns[i].load = &l;
        l.conns[i].fd = -1;
        gs_fsm_init(&l.conns[i].fsm, &conn_fsm, CONN_SHUT);
        gs_buf_init(&l.conns[i].request, REQUEST_BYTES_MAX);
        gs_buf_init(&l.conns[i].body, BODY_BYTES_MAX);
    }
    while (l.ended < o->plain + o->tagged && !out->stopped) {
        begin_due(&l);
        turn(&l);
        fail_late(&l);
        out->stopped = watch_stopped(o->watch);
    }
    out->took_us = watch_now_us() - began;
    for (unsigned i = 0; i < o->connections; i++) {
        if (conn_is_open(&l.conns[i]))
            conn_shut(&l.conns[i]);
        gs_buf_fini(&l.conns[i].request);
        gs_buf_fini(&l.conns[i].body);
    }
    gs_free(l.conns);
    h1_pool_free(l.pool);
}
