/* stream_uv.c - TCP and unix sockets on uv_poll_t, with direct recv and writev: libuv is used as a
 * readiness notifier only. One read per event into the loop's scratch, never until EAGAIN.
 *
 *   reading   armed while the sink has room; a readable event that meets no room disarms it, so a
 *             pause costs a system call only when bytes really come meanwhile
 *   writing   small writes join in the queue until the end of the event (loop->dirty); a large one,
 *             or one on top of a large queue, goes to the kernel at once with what is before it;
 *             POLLOUT is armed only after a short write
 *   ended     EOF once; a failed write or read is RESET, told from the loop */
#include <gossamer/stream.h>

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gossamer/alloc.h>
#include <gossamer/limits.h>

#include "mesh/base/loop_uv.h"

#define WRITE_PIECES 16

struct tcp {
    struct stream base;
    struct gs_defer failed; /* tells RESET from the loop */
    uv_poll_t poll;
    int fd;
    uint8_t armed; /* uv events now polled */
    bool connecting;
    bool accepted;   /* a client's: that it left is told over unread input */
    bool refused;    /* connect(2) itself failed */
    bool eof;        /* the end of what comes was told */
    bool fin;        /* and it was a FIN */
    bool broken;     /* RESET is due or told */
    bool shut_asked; /* FIN goes behind the queue */
    bool shut_done;
    bool owes_drained; /* the queue passed STREAM_LOW_BYTES: drained is owed */
};

static struct tcp *
tcp_of(struct stream *s)
{
    return GS_CONTAINER(s, struct tcp, base);
}

static void on_poll(uv_poll_t *p, int status, int events);

static void
poll_set(struct tcp *t, int events)
{
    GS_ASSERT(t->fd >= 0);
    if (t->armed == events)
        return;
    t->armed = (uint8_t)events;
    if (events)
        uv_poll_start(&t->poll, events, on_poll);
    else
        uv_poll_stop(&t->poll);
}

static void
poll_add(struct tcp *t, int events)
{
    poll_set(t, t->armed | events);
}

static void
poll_remove(struct tcp *t, int events)
{
    poll_set(t, t->armed & ~events);
}

static void
tell_failed(struct gs_defer *d)
{
    struct tcp *t = GS_CONTAINER(d, struct tcp, failed);

    if (!t->base.closing)
        t->base.sink_ops->ended(t->base.sink, t->refused ? STREAM_REFUSED : STREAM_RESET);
}

/* Nothing more can be written. What the peer sent before is still read: an upstream may have
 * answered and closed without reading the whole request. */
static void
write_failed(struct tcp *t)
{
    gs_blocks_clear(&t->base.queue, &t->base.loop->blocks);
    t->shut_done = true;
    poll_remove(t, UV_WRITABLE);
    if (t->broken)
        return;
    t->broken = true;
    if (t->eof) /* no read will tell it */
        gs_loop_defer(t->base.loop, &t->failed);
    else
        poll_add(t, UV_READABLE);
}

static void
finish_shutdown(struct tcp *t)
{
    if (!t->shut_asked || t->shut_done || t->base.queue.bytes > 0)
        return;
    t->shut_done = true;
    shutdown(t->fd, SHUT_WR);
}

/* Send what is queued. */
static void
tcp_flush(struct stream *s)
{
    struct tcp *t = tcp_of(s);

    while (s->queue.bytes > 0 && !t->connecting) {
        struct iovec iov[WRITE_PIECES];
        struct msghdr m = { .msg_iov = iov };
        ssize_t n;

        m.msg_iovlen = (size_t)gs_blocks_iov(&s->queue, iov, WRITE_PIECES);
        n = sendmsg(t->fd, &m, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN) {
            write_failed(t);
            return;
        }
        GS_ASSERT(n < 0 || (size_t)n <= s->queue.bytes);
        if (n > 0) {
            s->sent += (uint64_t)n;
            gs_blocks_consume(&s->queue, &s->loop->blocks, (size_t)n);
        }
        if (n < 0 || s->queue.bytes > 0) {
            t->owes_drained = t->owes_drained || s->queue.bytes > STREAM_LOW_BYTES;
            poll_add(t, UV_WRITABLE);
            return;
        }
    }
    if (t->owes_drained) /* told from the loop, by on_writable */
        poll_add(t, UV_WRITABLE);
    finish_shutdown(t);
}

/* The whole of iov behind what is queued, in one system call; the rest is queued. */
static void
write_now(struct tcp *t, const struct iovec *iov, int count, size_t total)
{
    struct stream *s = &t->base;
    struct iovec all[WRITE_PIECES + 4];
    struct msghdr m = { .msg_iov = all };
    int n = gs_blocks_iov(&s->queue, all, WRITE_PIECES);
    size_t before = s->queue.bytes;
    ssize_t sent;
    size_t skip;

    GS_ASSERT(n + count <= (int)GS_COUNT(all));
    for (int i = 0; i < count; i++)
        all[n + i] = iov[i];
    m.msg_iovlen = (size_t)(n + count);
    do {
        sent = sendmsg(t->fd, &m, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN) {
        write_failed(t);
        return;
    }
    if (sent < 0)
        sent = 0;
    s->sent += (uint64_t)sent;
    skip = (size_t)sent;
    gs_blocks_consume(&s->queue, &s->loop->blocks, skip < before ? skip : before);
    skip -= skip < before ? skip : before;
    GS_ASSERT(skip <= total);
    if (skip == total && s->queue.bytes == 0)
        return;
    for (int i = 0; i < count; i++) {
        size_t taken = skip < iov[i].iov_len ? skip : iov[i].iov_len;

        skip -= taken;
        gs_blocks_put(&s->queue, &s->loop->blocks, (const char *)iov[i].iov_base + taken,
                      iov[i].iov_len - taken);
    }
    t->owes_drained = t->owes_drained || s->queue.bytes > STREAM_LOW_BYTES;
    poll_add(t, UV_WRITABLE);
}

static void
tcp_write(struct stream *s, const struct iovec *iov, int count)
{
    struct tcp *t = tcp_of(s);
    size_t total = 0;

    GS_ASSERT(count <= 4);
    GS_ASSERT(!t->shut_asked);
    if (t->broken)
        return;
    for (int i = 0; i < count; i++)
        total += iov[i].iov_len;
    /* Behind a full kernel buffer everything waits for POLLOUT; a small piece waits for the end of
     * the turn, for company; a large one goes now, together with what waited. */
    if (!(t->armed & UV_WRITABLE) && !t->connecting && total > STREAM_JOIN_BYTES &&
        s->queue.bytes <= WRITE_PIECES * (BLOCK_BYTES / 2)) {
        gs_list_remove(&s->dirty);
        write_now(t, iov, count, total);
        return;
    }
    for (int i = 0; i < count; i++)
        gs_blocks_put(&s->queue, &s->loop->blocks, iov[i].iov_base, iov[i].iov_len);
    t->owes_drained = t->owes_drained || s->queue.bytes > STREAM_LOW_BYTES;
    if (!(t->armed & UV_WRITABLE) && !t->connecting && !gs_list_linked(&s->dirty))
        gs_list_push_back(&s->loop->dirty, &s->dirty);
}

static void
tcp_shutdown(struct stream *s)
{
    struct tcp *t = tcp_of(s);

    t->shut_asked = true;
    if (!gs_list_linked(&s->dirty))
        finish_shutdown(t);
}

static void
tcp_resume(struct stream *s)
{
    struct tcp *t = tcp_of(s);

    if (!t->eof && !t->connecting)
        poll_set(t, (t->armed & ~UV_DISCONNECT) | UV_READABLE);
}

static void
on_poll_closed(uv_handle_t *h)
{
    struct tcp *t = h->data;
    struct stream *s = &t->base;

    GS_ASSERT(t->fd < 0);
    GS_ASSERT(!gs_list_linked(&s->dirty));
    gs_defer_cancel(&t->failed);
    gs_blocks_clear(&s->queue, &s->loop->blocks);
    s->sink_ops->closed(s->sink); /* last touch: the owner may free itself, not the stream */
    gs_free(t);
}

static void
tcp_close(struct stream *s)
{
    struct tcp *t = tcp_of(s);

    GS_ASSERT(s->closing);
    GS_ASSERT(t->fd >= 0);
    uv_poll_stop(&t->poll);
    uv_close((uv_handle_t *)&t->poll, on_poll_closed);
    close(t->fd);
    t->fd = -1;
}

static void
tcp_abort(struct stream *s)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };

    setsockopt(tcp_of(s)->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    tcp_close(s);
}

static bool
tcp_stale(struct stream *s)
{
    struct tcp *t = tcp_of(s);
    char c;
    ssize_t n;

    if (t->broken || t->eof)
        return true;
    n = recv(t->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
    return n >= 0 || errno != EAGAIN;
}

/* The peer's FIN acknowledges what its kernel had taken until it was sent. What is not acknowledged
 * then came to a connection that nobody reads any more. A reset proves nothing: what it carries is
 * not looked at, and an acknowledgement may have been owed. */
static bool
tcp_unread(const struct stream *s, uint64_t since)
{
    const struct tcp *t = GS_CONTAINER((struct stream *)(uintptr_t)s, struct tcp, base);
    int unacknowledged = 0;

    GS_ASSERT(s->sent > since);
    if (!t->fin || ioctl(t->fd, SIOCOUTQ, &unacknowledged) != 0 || unacknowledged < 0)
        return false;
    return (uint64_t)unacknowledged >= s->sent - since;
}

static const struct stream_ops tcp_ops = {
    .write = tcp_write,
    .flush = tcp_flush,
    .shutdown = tcp_shutdown,
    .resume = tcp_resume,
    .close = tcp_close,
    .abort = tcp_abort,
    .stale = tcp_stale,
    .unread = tcp_unread,
};

static void
on_connected(struct tcp *t)
{
    int err = 0;
    socklen_t len = sizeof(err);

    GS_ASSERT(t->connecting);
    getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &err, &len);
    if (err != 0) {
        t->broken = true;
        poll_set(t, 0);
        t->base.sink_ops->ended(t->base.sink, STREAM_REFUSED);
        return;
    }
    t->connecting = false;
    poll_set(t, UV_READABLE);
    if (t->base.sink_ops->connected)
        t->base.sink_ops->connected(t->base.sink);
    if (!t->base.closing && t->base.queue.bytes > 0)
        tcp_flush(&t->base);
}

static void
input_ended(struct tcp *t, enum stream_end how)
{
    GS_ASSERT(!t->eof); /* told once */
    GS_ASSERT(!t->connecting);
    t->eof = true;
    t->broken = t->broken || how != STREAM_EOF;
    poll_remove(t, UV_READABLE | UV_DISCONNECT);
    if (t->broken)
        poll_set(t, 0);
    t->base.sink_ops->ended(t->base.sink, how);
}

static void
fin_came(struct tcp *t)
{
    t->fin = true;
    input_ended(t, t->broken ? STREAM_RESET : STREAM_EOF);
}

/* Readable without room. An end needs none and is told at once: it is how a client that leaves
 * while its answer is awaited is noticed. */
static void
pause_reading(struct tcp *t)
{
    char c;
    ssize_t n = recv(t->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);

    if (n > 0 && t->accepted && t->broken)
        input_ended(t, STREAM_RESET);
    else if (n > 0 && t->accepted)
        poll_set(t, (t->armed & ~UV_READABLE) | UV_DISCONNECT);
    else if (n > 0)
        poll_remove(t, UV_READABLE);
    else if (n == 0)
        fin_came(t);
    else if (errno != EAGAIN && errno != EINTR)
        input_ended(t, STREAM_RESET);
}

static void
on_readable(struct tcp *t)
{
    struct stream *s = &t->base;
    size_t room = s->sink_ops->room(s->sink);
    ssize_t n;

    if (room == 0) {
        pause_reading(t);
        return;
    }
    if (room > LOOP_SCRATCH_BYTES)
        room = LOOP_SCRATCH_BYTES;
    do {
        n = recv(t->fd, s->loop->scratch, room, 0);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        GS_ASSERT((size_t)n <= room);
        s->sink_ops->data(s->sink, gs_slice(s->loop->scratch, (size_t)n));
        return;
    }
    if (n < 0 && errno == EAGAIN)
        return;
    if (n == 0)
        fin_came(t);
    else
        input_ended(t, STREAM_RESET);
}

static void
on_writable(struct tcp *t)
{
    struct stream *s = &t->base;

    tcp_flush(s);
    if (t->broken)
        return;
    if (s->queue.bytes == 0)
        poll_remove(t, UV_WRITABLE);
    if (t->owes_drained && s->queue.bytes <= STREAM_LOW_BYTES) {
        t->owes_drained = false;
        s->sink_ops->drained(s->sink);
    }
}

static void
handle_events(struct tcp *t, int status, int events)
{
    if (t->base.closing)
        return;
    if (t->connecting) {
        if (status < 0)
            t->armed = 0; /* libuv has stopped it */
        on_connected(t);
        return;
    }
    if (t->accepted && !t->eof &&
        ((status < 0 && !(t->armed & UV_READABLE)) ||
         ((events & UV_DISCONNECT) && !(events & UV_READABLE)))) {
        input_ended(t, status < 0 ? STREAM_RESET : STREAM_EOF);
        return;
    }
    if (status < 0) {
        /* POLLERR: libuv has stopped the poll. What came before the error is read first, so the
         * poll goes on until a read tells the error. */
        t->armed = 0;
        poll_set(t, UV_READABLE);
        events = UV_READABLE;
    }
    if (events & UV_WRITABLE)
        on_writable(t);
    if ((events & UV_READABLE) && !t->base.closing && !t->eof)
        on_readable(t);
}

static void
on_poll(uv_poll_t *p, int status, int events)
{
    struct tcp *t = p->data;
    struct gs_loop *l = t->base.loop; /* t may be gone after its events */

    gs_loop_clock(l);
    handle_events(t, status, events);
    gs_loop_flush(l);
}

static struct tcp *
tcp_new(struct gs_loop *loop, int fd, const struct stream_sink_ops *ops, void *sink)
{
    struct tcp *t = gs_zalloc(sizeof(*t));

    t->base.ops = &tcp_ops;
    t->base.loop = loop;
    t->base.sink_ops = ops;
    t->base.sink = sink;
    gs_blocks_init(&t->base.queue);
    gs_list_init(&t->base.dirty);
    gs_defer_init(&t->failed, tell_failed);
    t->fd = fd;
    if (uv_poll_init(gs_loop_uv(loop), &t->poll, fd) != 0) {
        gs_free(t);
        return NULL;
    }
    t->poll.data = t;
    return t;
}

struct stream *
stream_tcp_accept(struct gs_loop *loop, int fd, const struct stream_sink_ops *ops, void *sink)
{
    struct tcp *t = tcp_new(loop, fd, ops, sink);
    int one = 1;

    if (!t) {
        close(fd);
        return NULL;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* fails on unix sockets: fine */
    t->accepted = true;
    poll_set(t, UV_READABLE);
    return &t->base;
}

static struct tcp *
tcp_open(struct gs_loop *loop, int family, const struct stream_sink_ops *ops, void *sink)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;
    struct tcp *t;

    if (fd < 0)
        return NULL;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    t = tcp_new(loop, fd, ops, sink);
    if (!t)
        close(fd);
    return t;
}

/* Any outcome, a refusal at once included, is told from the loop. */
static void
refuse_later(struct tcp *t)
{
    t->refused = t->broken = t->eof = true;
    gs_loop_defer(t->base.loop, &t->failed);
}

struct stream *
stream_tcp_connect(struct gs_loop *loop, const struct gs_addr *to,
                   const struct stream_sink_ops *ops, void *sink)
{
    struct sockaddr_storage sa;
    socklen_t len = gs_addr_to_sockaddr(to, &sa);
    struct tcp *t = tcp_open(loop, sa.ss_family, ops, sink);

    if (!t)
        return NULL;
    t->connecting = connect(t->fd, (struct sockaddr *)&sa, len) == 0 || errno == EINPROGRESS;
    if (t->connecting)
        poll_set(t, UV_WRITABLE);
    else
        refuse_later(t);
    return &t->base;
}

struct stream *
stream_tcp_unreachable(struct gs_loop *loop, const struct stream_sink_ops *ops, void *sink)
{
    struct tcp *t = tcp_open(loop, AF_INET, ops, sink);

    if (t)
        refuse_later(t);
    return t ? &t->base : NULL;
}

void
stream_tcp_watch_peer(struct stream *s)
{
    int fd = tcp_of(s)->fd;
    int on = 1;
    int idle_s = STREAM_DEAD_MS / 2000;
    int every_s = STREAM_DEAD_MS / 8000;
    int probes = 4;
    unsigned unacknowledged_ms = STREAM_DEAD_MS;

    /* Advice to the kernel; on a socket of another kind it fails, which is fine. */
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof(every_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof(unacknowledged_ms));
}
