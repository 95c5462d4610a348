/* cli_http.c - one blocking request to a node's admin socket, by the same codec that the node
 * uses. A connection for each: a command line asks once. */
#include "mesh/cli/cli.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <gossamer/h1.h>

#define ANSWER_BYTES_MAX (64u << 20)
#define READ_BYTES 65536

struct call {
    int fd;
    uint64_t deadline_ms;
    struct h1_pool *pool;
    struct h1 codec;
    unsigned status;
    bool whole;
    struct gs_buf *body;
    void (*line)(void *arg, struct gs_slice line); /* NULL: the body is wanted whole */
    void *arg;
};

static uint64_t
now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

const char *
cli_socket(const char *option, struct gs_arena *arena)
{
    const char *variable = config_env(environ, "GOSSAMER_SOCKET");
    struct config_paths paths;

    if (option)
        return option;
    if (variable)
        return variable;
    config_paths_get(geteuid(), environ, arena, &paths);
    return paths.socket;
}

/* ---- the answer, as the codec tells it ---- */

static void
on_head(void *sink, struct head *h)
{
    struct call *c = sink;

    if (h->status >= 200)
        c->status = h->status;
}

static void
on_data(void *sink, struct gs_slice bytes)
{
    struct call *c = sink;
    ptrdiff_t end;

    (void)gs_buf_put_slice(c->body, bytes); /* its `failed` is looked at after each read */
    if (!c->line || c->status != 200)
        return;
    while ((end = gs_slice_find(gs_buf_slice(c->body), '\n')) >= 0) {
        c->line(c->arg, gs_slice_head(gs_buf_slice(c->body), (size_t)end));
        gs_buf_consume(c->body, (size_t)end + 1);
    }
}

static void
on_trailers(void *sink, struct head *t)
{
    (void)sink; /* our API sends none */
    (void)t;
}

static void
on_end(void *sink)
{
    struct call *c = sink;

    if (c->status != 0) /* not that of a 1xx */
        c->whole = true;
}

static const struct h1_sink_ops answer_ops = { on_head, on_data, on_trailers, on_end };

/* ---- the socket ---- */

static gs_err
refuse_errno(struct gs_why *why, int error)
{
    gs_err e = error == ENOENT || error == ECONNREFUSED ? GS_E_NOT_FOUND
               : error == EACCES || error == EPERM      ? GS_E_DENIED
                                                        : GS_E_IO;

    return gs_refuse(why, e, "%s", strerror(error));
}

static gs_err
connect_to(struct call *c, const char *path, struct gs_why *why)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };

    if (strlen(path) >= sizeof(un.sun_path))
        return gs_refuse(why, GS_E_IO, "the path is longer than %zu bytes",
                         sizeof(un.sun_path) - 1);
    memcpy(un.sun_path, path, strlen(path));
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        return refuse_errno(why, errno);
    if (connect(c->fd, (struct sockaddr *)&un, sizeof(un)) == 0)
        return GS_E_OK;
    if (errno == EAGAIN) /* its queue of connections is full */
        return gs_refuse(why, GS_E_TIMEOUT, "it takes no connections");
    return refuse_errno(why, errno);
}

static gs_err
wait_for(struct call *c, short events, struct gs_why *why)
{
    for (;;) {
        struct pollfd p = { .fd = c->fd, .events = events };
        uint64_t now = now_ms();
        int n;

        if (now >= c->deadline_ms)
            return gs_refuse(why, GS_E_TIMEOUT, "no answer in time");
        n = poll(&p, 1, c->deadline_ms - now > INT32_MAX ? INT32_MAX : (int)(c->deadline_ms - now));
        if (n > 0)
            return GS_E_OK;
        if (n < 0 && errno != EINTR)
            return refuse_errno(why, errno);
    }
}

static gs_err
send_all(struct call *c, struct gs_slice bytes, struct gs_why *why)
{
    while (bytes.len > 0) {
        ssize_t n = send(c->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);

        if (n >= 0) {
            bytes = gs_slice_from(bytes, (size_t)n);
        } else if (errno == EAGAIN) {
            gs_err e = wait_for(c, POLLOUT, why);

            if (e != GS_E_OK)
                return e;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return GS_E_OK; /* it may have answered before it had read all: see what it said */
        } else if (errno != EINTR) {
            return refuse_errno(why, errno);
        }
    }
    return GS_E_OK;
}

static gs_err
feed(struct call *c, struct gs_slice bytes, struct gs_why *why)
{
    size_t used;

    while (bytes.len > 0 && !c->whole) {
        if (h1_feed(&c->codec, bytes, &used, why) != REASON_NONE)
            return GS_E_MALFORMED;
        GS_ASSERT(used <= bytes.len);
        bytes = gs_slice_from(bytes, used);
        if (h1_done(&c->codec) && !c->whole)
            h1_next(&c->codec);
    }
    if (c->body->failed)
        return gs_refuse(why, GS_E_LIMIT, "the answer is larger than %u bytes", ANSWER_BYTES_MAX);
    return GS_E_OK;
}

static gs_err
read_answer(struct call *c, struct gs_why *why)
{
    char bytes[READ_BYTES];
    gs_err e = GS_E_OK;

    while (e == GS_E_OK && !c->whole) {
        ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);

        if (n > 0)
            e = feed(c, gs_slice(bytes, (size_t)n), why);
        else if (n < 0 && errno == EAGAIN)
            e = wait_for(c, POLLIN, why);
        else if (n < 0 && errno == EINTR)
            continue;
        else if (n < 0)
            e = refuse_errno(why, errno);
        else if (h1_feed_eof(&c->codec, why) != REASON_NONE || !c->whole)
            return gs_refuse(why, GS_E_IO, "the node closed the connection without an answer");
    }
    return e;
}

static void
write_request(struct gs_buf *out, const char *method, const char *path, struct gs_slice body)
{
    struct head h = {
        .method = gs_slice_str(method),
        .path = gs_slice_str(path),
        .is_request = true,
        .framing = body.len > 0 ? FRAMING_LENGTH : FRAMING_NONE,
        .length = body.len,
    };

    h1_write_request(out, &h, GS_SLICE("localhost"), GS_SLICE("connection: close\r\n"));
}

/* call: deadline and how the body is wanted are set. */
static gs_err
perform(struct call *call, const char *socket, const char *method, const char *path,
        struct gs_slice body, struct cli_answer *out, struct gs_why *why)
{
    struct cli_answer answer = { 0 };
    struct call c = *call;
    struct gs_buf request;
    gs_err e;

    c.fd = -1;
    c.body = &answer.body;
    gs_buf_init(&request, 65536);
    gs_buf_init(&answer.body, ANSWER_BYTES_MAX);
    write_request(&request, method, path, body);
    GS_ASSERT(!request.failed);
    e = connect_to(&c, socket, why);
    if (e == GS_E_OK)
        e = send_all(&c, gs_buf_slice(&request), why);
    if (e == GS_E_OK)
        e = send_all(&c, body, why);
    if (e == GS_E_OK) {
        c.pool = h1_pool_new();
        h1_init(&c.codec, H1_ANSWERS, c.pool, &answer_ops, &c);
        h1_expect(&c.codec, strcmp(method, "HEAD") == 0);
        e = read_answer(&c, why);
        h1_fini(&c.codec);
        h1_pool_free(c.pool);
    }
    if (c.fd >= 0)
        (void)close(c.fd);
    gs_buf_fini(&request);
    if (e != GS_E_OK) {
        gs_buf_fini(&answer.body);
        return e;
    }
    answer.status = c.status;
    *out = answer;
    return GS_E_OK;
}

gs_err
cli_http(const char *socket, const char *method, const char *path, struct gs_slice body,
         uint64_t timeout_ms, struct cli_answer *out, struct gs_why *why)
{
    struct call c = { .deadline_ms = now_ms() + timeout_ms };

    return perform(&c, socket, method, path, body, out, why);
}

gs_err
cli_http_follow(const char *socket, const char *path, void (*line)(void *arg, struct gs_slice line),
                void *arg, struct cli_answer *out, struct gs_why *why)
{
    struct call c = { .deadline_ms = UINT64_MAX, .line = line, .arg = arg };

    return perform(&c, socket, "GET", path, GS_SLICE_NONE, out, why);
}

int
cli_unreachable(gs_err e, const char *socket, const struct gs_why *why)
{
    if (e == GS_E_NOT_FOUND)
        return cli_fail(CLI_UNREACHABLE,
                        "gossamer run starts a node; --socket PATH or GOSSAMER_SOCKET names "
                        "another one's socket",
                        "no node answers at %s: %s", socket, why->text);
    if (e == GS_E_DENIED)
        return cli_fail(CLI_UNREACHABLE, "ask as root, or as a member of the socket's group",
                        "cannot connect to %s: %s", socket, why->text);
    if (e == GS_E_TIMEOUT)
        return cli_fail(CLI_TIMEOUT, "gossamer check tells whether the node is ready",
                        "the node at %s did not answer: %s", socket, why->text);
    return cli_fail(CLI_UNREACHABLE, NULL, "asking the node at %s failed: %s", socket, why->text);
}
