/* listener_uv.c - accept4 on a polled socket. */
#include <gossamer/listener.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <gossamer/alloc.h>
#include <gossamer/limits.h>

#include "mesh/base/loop_uv.h"

#define ACCEPT_AGAIN_MS 100
#define LAST_ONES_MS 1           /* for handshakes that another processor is through with nearly */
#define ACCEPT_WAITING_MAX 65536 /* of a drain: the backlog, and those who come meanwhile */

struct gs_listener {
    uv_poll_t poll;
    struct gs_loop *loop;
    struct gs_listener_events events;
    struct gs_timer again; /* after running out of descriptors */
    int fd;
    int spare_fd; /* given up for a moment to accept and close what cannot be served */
    bool closing;
};

int
gs_listen_tcp(const struct gs_addr *addr, bool share, struct gs_why *why)
{
    struct sockaddr_storage sa;
    socklen_t len = gs_addr_to_sockaddr(addr, &sa);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;
    char text[GS_ADDR_TEXT];

    if (fd < 0) {
        (void)gs_refuse(why, GS_E_IO, "socket: %s", strerror(errno));
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (share)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&sa, len) == 0 && listen(fd, LISTEN_BACKLOG) == 0)
        return fd;
    (void)gs_refuse(why, errno == EADDRINUSE ? GS_E_IN_USE : GS_E_IO, "cannot listen on %s: %s",
                    gs_addr_text(addr, text), strerror(errno));
    close(fd);
    return -1;
}

/* True if somebody answers on the socket file: then it is not a leftover. */
static bool
unix_alive(const struct sockaddr_un *sa)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool alive = fd >= 0 && (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 ||
                             errno == EAGAIN); /* it is stopped, with a full backlog */

    if (fd >= 0)
        close(fd);
    return alive;
}

int
gs_listen_unix(const char *path, unsigned mode, struct gs_why *why)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    struct stat st;
    int fd;

    if ((size_t)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path) >= sizeof(sa.sun_path)) {
        (void)gs_refuse(why, GS_E_INVALID, "socket path is too long (%zu bytes, at most %zu): %s",
                        strlen(path), sizeof(sa.sun_path) - 1, path);
        return -1;
    }
    if (unix_alive(&sa)) {
        (void)gs_refuse(why, GS_E_IN_USE, "%s: another process answers there", path);
        return -1;
    }
    if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode)) {
        (void)gs_refuse(why, GS_E_INVALID, "%s is there and is no socket", path);
        return -1;
    }
    unlink(path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* The mode is set before listening: nobody connects in between. */
    if (fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
        chmod(path, (mode_t)mode) == 0 && listen(fd, LISTEN_BACKLOG) == 0)
        return fd;
    (void)gs_refuse(why, GS_E_IO, "cannot listen on %s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

gs_err
gs_listen_addr(int fd, struct gs_addr *out)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
        return GS_E_IO;
    return gs_addr_from_sockaddr(out, (struct sockaddr *)&sa);
}

static void
on_closed(uv_handle_t *h)
{
    gs_free(h->data);
}

void
gs_listener_close(struct gs_listener *l)
{
    if (!l || l->closing)
        return;
    l->closing = true;
    gs_loop_disarm(l->loop, &l->again);
    uv_poll_stop(&l->poll);
    uv_close((uv_handle_t *)&l->poll, on_closed);
    close(l->fd);
    if (l->spare_fd >= 0)
        close(l->spare_fd);
}

/* One could not be served: as many as want to may wait, and none is a busy loop. */
static void
rest(struct gs_listener *l)
{
    if (l->events.shed)
        l->events.shed(l->events.arg);
    uv_poll_stop(&l->poll);
    gs_loop_arm(l->loop, &l->again, ACCEPT_AGAIN_MS);
}

static void
shed(struct gs_listener *l)
{
    int fd;

    if (l->spare_fd >= 0)
        close(l->spare_fd);
    fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    rest(l);
}

/* The kernel gives the lowest number that is free: one this high means that nearly all are taken.
 * The limit is asked for each time: it can be changed from outside. */
static bool
is_of_the_last(int fd, unsigned keep)
{
    struct rlimit most;

    return keep > 0 && getrlimit(RLIMIT_NOFILE, &most) == 0 && most.rlim_cur != RLIM_INFINITY &&
           (rlim_t)fd + keep >= most.rlim_cur;
}

/* One waiting connection. False: none is left, or none can be taken now. */
static bool
accept_one(struct gs_listener *l)
{
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0 && is_of_the_last(fd, l->events.keep)) {
        close(fd);
        rest(l);
        return false;
    }
    if (fd >= 0) {
        l->events.accepted(l->events.arg, fd);
        return true;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        shed(l);
        return false;
    }
    return errno == EINTR || errno == ECONNABORTED;
}

/* Nobody can begin to connect any more: SYN is dropped, to be sent again a second later, when this
 * port is closed or another process has it. Without this, who comes between the last accept and the
 * close is let in by the kernel and then reset. Where it cannot be done, that stays so. */
static void
drop_syns(int fd)
{
    struct sock_filter drop[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13), /* the flags of TCP's header */
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1), /* SYN without ACK */
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = { GS_COUNT(drop), drop };

    (void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

void
gs_listener_accept_waiting(struct gs_listener *l)
{
    struct pollfd waiting = { .fd = l->fd, .events = POLLIN };
    int left = ACCEPT_WAITING_MAX;

    drop_syns(l->fd);
    do {
        while (left > 0 && accept_one(l))
            left--;
    } while (left-- > 0 && poll(&waiting, 1, LAST_ONES_MS) > 0);
}

static void
on_acceptable(uv_poll_t *p, int status, int events)
{
    struct gs_listener *l = p->data;

    (void)status;
    (void)events;
    gs_loop_clock(l->loop);
    for (int i = 0; i < ACCEPT_BATCH_MAX && !l->closing && accept_one(l); i++)
        ;
}

static void
on_again(struct gs_timer *t)
{
    struct gs_listener *l = GS_CONTAINER(t, struct gs_listener, again);

    uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
}

struct gs_listener *
gs_listener_new(struct gs_loop *loop, int fd, const struct gs_listener_events *events)
{
    struct gs_listener *l = gs_zalloc(sizeof(*l));

    l->loop = loop;
    l->events = *events;
    l->fd = fd;
    l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    gs_timer_init(&l->again, on_again);
    GS_ASSERT(uv_poll_init(gs_loop_uv(loop), &l->poll, fd) == 0);
    l->poll.data = l;
    uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
    return l;
}
