/* datagrams_uv.c - the UDP socket: recvmmsg and sendto on a polled descriptor. libuv 1.44's own
 * send queue is not used (a use after free); a datagram that the kernel has no room for is dropped
 * and counted, which the protocol is made for.
 *
 *     readable ─▶ up to READ_MAX datagrams or READ_NS ─▶ gossip_recv, one by one
 *     error    ─▶ the error queue ─▶ gossip_unreachable, for ICMP port unreachable
 *
 * An ICMP error makes the next system call on the socket fail, whomever that is about: it says
 * nothing there and is tried again. What it is about is in the error queue (IP_RECVERR). */
#include <assert.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/errqueue.h> /* lacks <time.h> */

#include <gossamer/alloc.h>

#include "gossip/gossip_uv.h"

enum {
    BATCH = 64,
    SLOT_BYTES = PACKET_BYTES_MAX + 8, /* what is too long arrives so, and is refused as that */
    READ_MAX = 512, /* of one turn (reference/gossip 6.1); the rest is read in the next */
    READ_NS = 2000000,
    ERRORS_MAX = 512, /* of one turn */
    RETRIES = 8,      /* of a call that failed for another datagram's sake */
    BUFFER_BYTES = 1 << 20,
};

static_assert(BATCH * SLOT_BYTES <= LOOP_SCRATCH_BYTES, "a batch is read into the scratch");

struct datagrams {
    uv_poll_t poll;
    struct gossip_io *io;
    int fd;
    struct mmsghdr messages[BATCH];
    struct iovec iov[BATCH];
    struct sockaddr_storage from[BATCH];
};

static gs_err
bind_error(int error)
{
    if (error == EADDRINUSE)
        return GS_E_IN_USE;
    return error == EACCES ? GS_E_DENIED : GS_E_IO;
}

gs_err
datagrams_bind(const struct gs_addr *addr, int *out, struct gs_why *why)
{
    struct sockaddr_storage sa;
    socklen_t len = gs_addr_to_sockaddr(addr, &sa);
    int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;
    int bytes = BUFFER_BYTES;
    char text[GS_ADDR_TEXT];
    gs_err e;

    if (fd < 0)
        return gs_refuse(why, GS_E_IO, "socket: %s", strerror(errno));
    /* Both, as far as they fit: a socket for IPv6 carries IPv4 as well. */
    (void)setsockopt(fd, IPPROTO_IP, IP_RECVERR, &one, sizeof(one));
    (void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &one, sizeof(one));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    if (bind(fd, (struct sockaddr *)&sa, len) == 0) {
        *out = fd;
        return GS_E_OK;
    }
    e = gs_refuse(why, bind_error(errno), "cannot listen on %s (UDP): %s", gs_addr_text(addr, text),
                  strerror(errno));
    close(fd);
    return e;
}

/* ---- errors ---- */

static bool
is_port_unreachable(const struct sock_extended_err *e)
{
    switch (e->ee_origin) {
    case SO_EE_ORIGIN_ICMP:
        return e->ee_type == ICMP_DEST_UNREACH && e->ee_code == ICMP_PORT_UNREACH;
    case SO_EE_ORIGIN_ICMP6:
        return e->ee_type == ICMP6_DST_UNREACH && e->ee_code == ICMP6_DST_UNREACH_NOPORT;
    default:
        return false;
    }
}

/* to: whom the datagram was for that came to nothing. */
static void
take_error(struct datagrams *d, struct msghdr *m, const struct sockaddr_storage *to)
{
    struct gossip_io *io = d->io;
    struct gs_addr addr;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        struct sock_extended_err e;

        if (!(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) &&
            !(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
            continue;
        memcpy(&e, CMSG_DATA(c), sizeof(e));
        if (!is_port_unreachable(&e) ||
            gs_addr_from_sockaddr(&addr, (const struct sockaddr *)to) != GS_E_OK)
            continue;
        gossip_io_count(&io->n.unreachable);
        gossip_unreachable(io->core, io->loop->now_ms, &addr);
        gossip_io_fed(io);
    }
}

static void
drain_errors(struct datagrams *d)
{
    int pending = 0;
    socklen_t len = sizeof(pending);

    for (int i = 0; i < ERRORS_MAX; i++) {
        struct sockaddr_storage to = { 0 };
        char control[512];
        char payload[1]; /* the datagram itself says nothing new */
        struct iovec iov = { payload, sizeof(payload) };
        struct msghdr m = { .msg_name = &to,
                            .msg_namelen = sizeof(to),
                            .msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof(control) };

        if (recvmsg(d->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
            if (errno == EINTR)
                continue;
            break;
        }
        take_error(d, &m, &to);
    }
    (void)getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &pending, &len); /* reading it clears it */
}

/* ---- receiving ---- */

/* How many; 0: none is there. */
static int
receive(struct datagrams *d)
{
    int n = -1;

    for (int i = 0; i < RETRIES && n < 0; i++) {
        for (int k = 0; k < BATCH; k++)
            d->messages[k].msg_hdr.msg_namelen = sizeof(d->from[k]);
        n = recvmmsg(d->fd, d->messages, BATCH, MSG_DONTWAIT, NULL);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        if (n < 0 && errno != EINTR)
            drain_errors(d);
    }
    return n > 0 ? n : 0;
}

static void
feed(struct datagrams *d, int count)
{
    struct gossip_io *io = d->io;
    uint64_t wall_ms = gossip_io_wall_ms();

    gs_loop_clock(io->loop); /* after they were read: none of them is from the future */
    gossip_clock_us(io->core, io->loop->now_ns / 1000);
    for (int i = 0; i < count; i++) {
        struct gs_slice packet = gs_slice(d->iov[i].iov_base, d->messages[i].msg_len);
        struct gs_addr from;

        if (gossip_io_cut_from(io, GOSSIP_DATAGRAM, packet))
            gossip_io_count(&io->n.cut);
        else if (gs_addr_from_sockaddr(&from, (const struct sockaddr *)&d->from[i]) == GS_E_OK)
            gossip_recv(io->core, io->loop->now_ms, wall_ms, &from, packet);
    }
    gossip_io_fed(io);
}

static void
on_poll(uv_poll_t *p, int status, int events)
{
    struct datagrams *d = p->data;
    struct gossip_io *io = d->io;
    uint64_t until_ns;
    int total = 0;
    int n;

    (void)events;
    gs_loop_clock(io->loop);
    until_ns = io->loop->now_ns + READ_NS;
    if (status < 0) { /* POLLERR: libuv has stopped the poll */
        drain_errors(d);
        uv_poll_start(&d->poll, UV_READABLE, on_poll);
    }
    do {
        n = receive(d);
        if (n > 0)
            feed(d, n);
        total += n;
        gs_loop_clock(io->loop);
    } while (n == BATCH && total < READ_MAX && io->loop->now_ns < until_ns);
}

/* ---- sending ---- */

void
datagrams_send(struct datagrams *d, const struct gs_addr *to, struct gs_slice bytes)
{
    struct sockaddr_storage sa;
    socklen_t len = gs_addr_to_sockaddr(to, &sa);

    GS_ASSERT(bytes.len > 0);
    GS_ASSERT(bytes.len <= PACKET_BYTES_MAX);
    if (gossip_io_cut_to(d->io, GOSSIP_DATAGRAM, to)) {
        gossip_io_count(&d->io->n.cut);
        return;
    }
    for (int i = 0; i < RETRIES; i++) {
        if (sendto(d->fd, bytes.ptr, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&sa,
                   len) >= 0)
            return;
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
            gossip_io_count(&d->io->n.datagrams_dropped);
            return;
        }
        if (errno != EINTR && i > 0)
            break; /* the first one may have been an earlier datagram's */
    }
    gossip_io_count(&d->io->n.datagrams_failed);
}

/* ---- life ---- */

struct datagrams *
datagrams_new(struct gossip_io *io, int fd)
{
    struct datagrams *d = gs_zalloc(sizeof(*d));

    d->io = io;
    d->fd = fd;
    for (int i = 0; i < BATCH; i++) {
        d->iov[i] = (struct iovec){ io->loop->scratch + (size_t)i * SLOT_BYTES, SLOT_BYTES };
        d->messages[i].msg_hdr =
            (struct msghdr){ .msg_name = &d->from[i], .msg_iov = &d->iov[i], .msg_iovlen = 1 };
    }
    GS_ASSERT(uv_poll_init(gs_loop_uv(io->loop), &d->poll, fd) == 0);
    d->poll.data = d;
    io->handles++;
    uv_poll_start(&d->poll, UV_READABLE, on_poll);
    return d;
}

static void
on_poll_closed(uv_handle_t *h)
{
    struct datagrams *d = h->data;
    struct gossip_io *io = d->io;

    gs_free(d);
    gossip_io_handle_closed(io);
}

void
datagrams_close(struct datagrams *d)
{
    uv_poll_stop(&d->poll);
    uv_close((uv_handle_t *)&d->poll, on_poll_closed);
    close(d->fd);
    d->fd = -1;
}
