/* frames_uv.c - TCP streams of frames {length u32 big endian, sealed packet}, on polled
 * descriptors.
 *
 *   CONNECTING ──connected──▶ OPEN ──the core is through──▶ FLUSHING ──sent──▶ LINGERING ─▶ closed
 *       │ refused, late        ▲ │ end, error, no frame         │ error           │ the peer's end,
 *       └──▶ closed   accepted ┘ └──▶ closed                    └──▶ closed       │ or LINGER_MS
 *
 * Whoever can reach the port can open a stream, so until its first whole frame one costs a
 * descriptor and little else: memory grows as bytes arrive, not as a length promises; it ends
 * after SILENT_MS, and sooner if somebody else needs its place. FLUSHING and LINGERING are for the
 * peer's sake: a close over unread input is a reset, which may take away what was sent last. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gossamer/alloc.h>
#include <gossamer/buf.h>
#include <gossamer/fsm.h>
#include <gossamer/list.h>
#include <gossamer/listener.h>

#include "gossip/box.h"
#include "gossip/gossip_uv.h"

enum {
    HEADER_BYTES = 4,
    READ_BYTES = 64 * 1024,
    CONNECT_MS = 2000,
    SILENT_MS = 5000,    /* accepted, and not one whole frame */
    SILENT_MIN_MS = 500, /* nobody has to make room for another before that */
    ACCEPTED_MAX = SYNC_IN_MAX + PROBE_STREAMS_MAX + 4, /* those that linger included */
};

enum frame_state { CONNECTING, OPEN, FLUSHING, LINGERING, CLOSED, STATES };

static const char *const state_names[] = {
    "CONNECTING", "OPEN", "FLUSHING", "LINGERING", "CLOSED",
};
static const uint32_t state_moves[] = {
    [CONNECTING] = GS_FSM_BIT(OPEN) | GS_FSM_BIT(CLOSED),
    [OPEN] = GS_FSM_BIT(FLUSHING) | GS_FSM_BIT(CLOSED),
    [FLUSHING] = GS_FSM_BIT(LINGERING) | GS_FSM_BIT(CLOSED),
    [LINGERING] = GS_FSM_BIT(CLOSED),
    [CLOSED] = 0,
};
static const struct gs_fsm_def stream_def = { "gossip stream", state_names, state_moves, STATES };

struct frames {
    struct gossip_io *io;
    struct gs_listener *listener;
    struct gs_list streams; /* oldest first */
    unsigned accepted;
};

struct frame_stream {
    struct gs_list link;
    struct frames *frames;
    struct gossip_io *io; /* of frames, and longer there */
    struct gs_fsm fsm;
    struct gs_timer timer; /* of the present state */
    uv_poll_t poll;
    int armed; /* uv events now polled */
    int fd;
    uint32_t number;   /* the core's */
    bool accepted;     /* by us; else opened by us */
    bool heard;        /* a whole frame came... */
    uint64_t sender;   /* ... which said it is from this node (cut_uv.c); 0: none did */
    struct gs_addr to; /* of one that we opened */
    uint64_t since_ms;
    struct gs_buf in; /* header and frame, as far as they are here */
    char *out;        /* likewise; NULL: nothing is on its way */
    size_t out_len, out_at;
    size_t discarded; /* of what came after the core was through */
};

/* ---- polling and closing ---- */

static void on_poll(uv_poll_t *p, int status, int events);

static void
poll_set(struct frame_stream *s, int events)
{
    if (s->armed == events)
        return;
    s->armed = events;
    if (events)
        uv_poll_start(&s->poll, events, on_poll);
    else
        uv_poll_stop(&s->poll);
}

static void
on_poll_closed(uv_handle_t *h)
{
    struct frame_stream *s = h->data;
    struct gossip_io *io = s->io;

    gs_free(s);
    gossip_io_handle_closed(io);
}

static void
stream_close(struct frame_stream *s)
{
    struct frames *f = s->frames;

    gs_fsm_move(&s->fsm, CLOSED);
    if (s->accepted) {
        GS_ASSERT(f->accepted > 0);
        f->accepted--;
    }
    gs_list_remove(&s->link);
    gs_loop_disarm(f->io->loop, &s->timer);
    gs_buf_fini(&s->in);
    gs_free(s->out);
    s->out = NULL;
    uv_poll_stop(&s->poll);
    uv_close((uv_handle_t *)&s->poll, on_poll_closed);
    close(s->fd);
    s->fd = -1;
}

/* It ended by itself: the core hears of it if it still counts on it. */
static void
stream_ended(struct frame_stream *s, bool refused)
{
    struct gossip_io *io = s->io;
    bool told = gs_fsm_is(&s->fsm, CONNECTING) || gs_fsm_is(&s->fsm, OPEN);
    uint32_t number = s->number;

    stream_close(s);
    if (!told)
        return;
    gossip_stream_closed(io->core, io->loop->now_ms, number, refused);
    gossip_io_fed(io);
}

static void
on_timer(struct gs_timer *t)
{
    stream_ended(GS_CONTAINER(t, struct frame_stream, timer), false);
}

/* ---- writing ---- */

static void
finish_output(struct frame_stream *s)
{
    struct gossip_io *io = s->io;

    gs_free(s->out);
    s->out = NULL;
    if (gs_fsm_is(&s->fsm, OPEN)) {
        poll_set(s, s->armed & ~UV_WRITABLE);
        gossip_stream_sent(io->core, io->loop->now_ms, s->number);
        gossip_io_fed(io);
        return;
    }
    gs_fsm_move(&s->fsm, LINGERING);
    shutdown(s->fd, SHUT_WR);
    poll_set(s, UV_READABLE);
}

static void
on_writable(struct frame_stream *s)
{
    while (s->out_at < s->out_len) {
        ssize_t n = send(s->fd, s->out + s->out_at, s->out_len - s->out_at, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            /* What the peer sent before it left is still read; the read then tells the end. */
            poll_set(s, UV_READABLE);
            return;
        }
        s->out_at += (size_t)n;
    }
    finish_output(s);
}

/* ---- reading ---- */

static uint32_t
announced(const struct gs_buf *in)
{
    uint32_t length;

    GS_ASSERT(in->len >= HEADER_BYTES);
    memcpy(&length, in->ptr, sizeof(length));
    return ntohl(length);
}

/* False: the stream has ended. */
static bool
deliver(struct frame_stream *s)
{
    struct gossip_io *io = s->io;
    struct gs_slice packet = gs_slice_from(gs_buf_slice(&s->in), HEADER_BYTES);

    if (s->accepted && !s->heard)
        gs_loop_disarm(io->loop, &s->timer); /* from now on the core decides how long it lasts */
    s->heard = true;
    if (s->sender == 0)
        (void)box_claims(packet, &s->sender);
    if (gossip_io_cut_sender(io, GOSSIP_STREAM, s->sender)) {
        gossip_io_count(&io->n.cut);
        stream_ended(s, false);
        return false;
    }
    gossip_stream_frame(io->core, io->loop->now_ms, gossip_io_wall_ms(), s->number, packet);
    gossip_io_fed(io);
    gs_buf_fini(&s->in); /* most streams see few frames, and some of them are large */
    gs_buf_init(&s->in, HEADER_BYTES);
    return true;
}

/* As much of *bytes as still lacks for `want`. False: it is not whole yet. */
static bool
gather(struct frame_stream *s, size_t want, struct gs_slice *bytes)
{
    size_t n = want - s->in.len;

    GS_ASSERT(s->in.len <= want);
    if (n > bytes->len)
        n = bytes->len;
    if (s->in.max < want)
        s->in.max = want;
    GS_ASSERT(gs_buf_put(&s->in, bytes->ptr, n) == GS_E_OK); /* doubles what is there at most */
    *bytes = gs_slice_from(*bytes, n);
    return s->in.len == want;
}

static void
take_bytes(struct frame_stream *s, struct gs_slice bytes)
{
    while (bytes.len > 0) {
        uint32_t length;

        if (s->in.len < HEADER_BYTES && !gather(s, HEADER_BYTES, &bytes))
            return;
        length = announced(&s->in);
        if (length == 0 || length > FRAME_BYTES_MAX) {
            gossip_io_count(&s->io->n.frames_refused);
            stream_ended(s, false);
            return;
        }
        if (gather(s, HEADER_BYTES + (size_t)length, &bytes) && !deliver(s))
            return;
    }
}

static void
discard(struct frame_stream *s, size_t bytes)
{
    s->discarded += bytes;
    if (s->discarded > LINGER_BYTES)
        stream_close(s);
}

static void
on_readable(struct frame_stream *s)
{
    char *scratch = s->io->loop->scratch;
    ssize_t n;

    do {
        n = recv(s->fd, scratch, READ_BYTES, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        stream_ended(s, false);
    else if (gs_fsm_is(&s->fsm, OPEN))
        take_bytes(s, gs_slice(scratch, (size_t)n));
    else
        discard(s, (size_t)n);
}

/* ---- opening ---- */

static void
on_connected(struct frame_stream *s)
{
    struct gossip_io *io = s->io;
    int err = 0;
    socklen_t len = sizeof(err);

    (void)getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len);
    if (err != 0) {
        stream_ended(s, err == ECONNREFUSED);
        return;
    }
    gs_fsm_move(&s->fsm, OPEN);
    gs_loop_disarm(io->loop, &s->timer);
    poll_set(s, UV_READABLE);
    gossip_stream_opened(io->core, io->loop->now_ms, s->number);
    gossip_io_fed(io);
}

static void
on_poll(uv_poll_t *p, int status, int events)
{
    struct frame_stream *s = p->data;

    gs_loop_clock(s->io->loop);
    if (gs_fsm_is(&s->fsm, CONNECTING)) {
        on_connected(s);
        return;
    }
    if (status < 0) { /* POLLERR: libuv has stopped the poll; what came before is read first */
        s->armed = 0;
        poll_set(s, UV_READABLE);
        events = UV_READABLE;
    }
    if ((events & UV_WRITABLE) && s->out)
        on_writable(s);
    if ((events & UV_READABLE) && !gs_fsm_is(&s->fsm, CLOSED))
        on_readable(s);
}

static struct frame_stream *
stream_new(struct frames *f, int fd, enum frame_state state)
{
    struct frame_stream *s = gs_zalloc(sizeof(*s));
    int one = 1;

    if (uv_poll_init(gs_loop_uv(f->io->loop), &s->poll, fd) != 0) {
        gs_free(s);
        return NULL;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    s->poll.data = s;
    s->frames = f;
    s->io = f->io;
    s->fd = fd;
    s->since_ms = f->io->loop->now_ms;
    gs_fsm_init(&s->fsm, &stream_def, state);
    gs_timer_init(&s->timer, on_timer);
    gs_buf_init(&s->in, HEADER_BYTES);
    gs_list_push_back(&f->streams, &s->link);
    f->io->handles++;
    return s;
}

/* From the address that others know us by, where that is one. */
static int
connect_from(const struct gs_addr *bound, const struct gs_addr *to, bool *refused)
{
    static const uint8_t any[sizeof(bound->ip)];
    struct gs_addr from = *bound;
    struct sockaddr_storage sa;
    socklen_t len = gs_addr_to_sockaddr(to, &sa);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (from.family == to->family && memcmp(from.ip, any, sizeof(any)) != 0) {
        struct sockaddr_storage own;
        socklen_t own_len;
        int one = 1;

        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
        from.port = 0;
        own_len = gs_addr_to_sockaddr(&from, &own);
        (void)bind(fd, (struct sockaddr *)&own, own_len); /* without it, the kernel chooses */
    }
    if (connect(fd, (struct sockaddr *)&sa, len) == 0 || errno == EINPROGRESS)
        return fd;
    *refused = errno == ECONNREFUSED;
    close(fd);
    return -1;
}

void
frames_open(struct frames *f, uint32_t stream, const struct gs_addr *to)
{
    struct gossip_io *io = f->io;
    bool refused = false;
    bool cut = gossip_io_cut_to(io, GOSSIP_STREAM, to);
    int fd = cut ? -1 : connect_from(&io->bound, to, &refused);
    struct frame_stream *s = fd >= 0 ? stream_new(f, fd, CONNECTING) : NULL;

    GS_ASSERT(stream != 0);
    if (cut)
        gossip_io_count(&io->n.cut);
    if (!s) {
        if (fd >= 0)
            close(fd);
        gossip_stream_closed(io->core, io->loop->now_ms, stream, refused);
        gossip_io_fed(io);
        return;
    }
    s->number = stream;
    s->to = *to;
    poll_set(s, UV_WRITABLE);
    gs_loop_arm(io->loop, &s->timer, CONNECT_MS);
}

/* ---- accepting ---- */

/* The oldest that has not said anything for a while loses its place. */
static bool
make_room(struct frames *f)
{
    GS_LIST_EACH(n, &f->streams) {
        struct frame_stream *s = GS_LIST_ENTRY(n, struct frame_stream, link);

        if (!s->accepted || s->heard || !gs_fsm_is(&s->fsm, OPEN))
            continue;
        if (f->io->loop->now_ms - s->since_ms < SILENT_MIN_MS)
            return false; /* all others are younger */
        stream_ended(s, false);
        return true;
    }
    return false;
}

static uint32_t
take_place(struct frames *f, const struct gs_addr *from)
{
    struct gossip_io *io = f->io;

    return f->accepted < ACCEPTED_MAX ? gossip_stream_accept(io->core, io->loop->now_ms, from) : 0;
}

static void
on_accepted(void *arg, int fd)
{
    struct frames *f = arg;
    struct frame_stream *s;
    struct sockaddr_storage sa = { 0 };
    socklen_t len = sizeof(sa);
    struct gs_addr from;
    uint32_t number;

    if (getpeername(fd, (struct sockaddr *)&sa, &len) != 0 ||
        gs_addr_from_sockaddr(&from, (struct sockaddr *)&sa) != GS_E_OK) {
        close(fd); /* it has left again */
        return;
    }
    number = take_place(f, &from);
    if (number == 0 && make_room(f))
        number = take_place(f, &from);
    gossip_io_fed(f->io);
    if (number == 0) {
        gossip_io_count(&f->io->n.streams_refused);
        close(fd);
        return;
    }
    s = stream_new(f, fd, OPEN);
    if (!s) {
        close(fd);
        gossip_stream_closed(f->io->core, f->io->loop->now_ms, number, false);
        return;
    }
    s->number = number;
    s->accepted = true;
    f->accepted++;
    poll_set(s, UV_READABLE);
    gs_loop_arm(f->io->loop, &s->timer, SILENT_MS);
}

/* ---- what the core asks for ---- */

/* NULL: it has ended, and the core did not know yet. */
static struct frame_stream *
find(struct frames *f, uint32_t number)
{
    GS_LIST_EACH(n, &f->streams) {
        struct frame_stream *s = GS_LIST_ENTRY(n, struct frame_stream, link);

        if (s->number == number && (gs_fsm_is(&s->fsm, OPEN) || gs_fsm_is(&s->fsm, CONNECTING)))
            return s;
    }
    return NULL;
}

void
frames_send(struct frames *f, uint32_t stream, struct gs_slice bytes)
{
    struct frame_stream *s = find(f, stream);
    uint32_t length = htonl((uint32_t)bytes.len);

    GS_ASSERT(bytes.len > 0);
    GS_ASSERT(bytes.len <= FRAME_BYTES_MAX);
    if (!s)
        return;
    GS_ASSERT(gs_fsm_is(&s->fsm, OPEN));
    GS_ASSERT(!s->out); /* one is on its way at a time */
    s->out_len = HEADER_BYTES + bytes.len;
    s->out_at = 0;
    s->out = gs_alloc(s->out_len);
    memcpy(s->out, &length, HEADER_BYTES);
    memcpy(s->out + HEADER_BYTES, bytes.ptr, bytes.len);
    /* Written from the loop: the core is told of a frame that is out, and may answer with the next,
     * so a large exchange takes its turns like all else. */
    poll_set(s, s->armed | UV_WRITABLE);
}

void
frames_end(struct frames *f, uint32_t stream)
{
    struct frame_stream *s = find(f, stream);

    if (!s)
        return;
    if (gs_fsm_is(&s->fsm, CONNECTING)) {
        stream_close(s);
        return;
    }
    gs_fsm_move(&s->fsm, FLUSHING);
    gs_buf_fini(&s->in);
    gs_loop_arm(f->io->loop, &s->timer, LINGER_MS);
    if (!s->out)
        finish_output(s);
}

void
frames_cut(struct frames *f)
{
    struct gs_list *n = f->streams.next;

    while (n != &f->streams) {
        struct frame_stream *s = GS_LIST_ENTRY(n, struct frame_stream, link);

        n = n->next;
        if (!gossip_io_cut_sender(f->io, GOSSIP_STREAM, s->sender) &&
            (s->accepted || !gossip_io_cut_to(f->io, GOSSIP_STREAM, &s->to)))
            continue;
        gossip_io_count(&f->io->n.cut);
        stream_ended(s, false);
    }
}

/* ---- life ---- */

struct frames *
frames_new(struct gossip_io *io, int listen_fd)
{
    struct frames *f = gs_zalloc(sizeof(*f));
    struct gs_listener_events events = { .accepted = on_accepted, .arg = f };

    f->io = io;
    gs_list_init(&f->streams);
    f->listener = gs_listener_new(io->loop, listen_fd, &events);
    return f;
}

void
frames_close(struct frames *f)
{
    struct gs_list *n = f->streams.next;

    gs_listener_close(f->listener); /* no on_accepted() from now on */
    while (n != &f->streams) {
        struct frame_stream *s = GS_LIST_ENTRY(n, struct frame_stream, link);

        n = n->next;
        stream_close(s);
    }
    gs_free(f);
}
