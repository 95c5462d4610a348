/* test_frames.c - streams of frames over loopback, against peers that mean no good.
 *
 *     client (this test, plain sockets) ─▶ frames_uv.c ─▶ fake_core.h
 *
 * frames_uv.c is a part of this file, since what a stream costs in memory is to be seen. */
#include "gossip/frames_uv.c"

#include "gossip/cut_uv.c"

#include "fake_core.h"

struct bench {
    struct gs_loop *loop;
    struct gossip *core;
    struct gossip_io io;
    struct frames *frames;
    bool closed;
};

static struct bench b;

void
gossip_io_fed(struct gossip_io *io)
{
    (void)io;
}

void
gossip_io_handle_closed(struct gossip_io *io)
{
    if (--io->handles == 0)
        io->on_closed(io);
}

static void
on_all_closed(struct gossip_io *io)
{
    (void)io;
    b.closed = true;
}

static int
set_up(void **state)
{
    struct gs_addr any;
    int fd;

    (void)state;
    memset(&b, 0, sizeof(b));
    b.loop = gs_loop_new("test", 1);
    b.core = fake_new();
    assert_int_equal(gs_addr_parse(&any, GS_SLICE("127.0.0.1:0"), NULL), GS_E_OK);
    fd = gs_listen_tcp(&any, false, NULL);
    assert_true(fd >= 0);
    b.io = (struct gossip_io){ .loop = b.loop, .core = b.core, .on_closed = on_all_closed };
    assert_int_equal(gs_listen_addr(fd, &b.io.bound), GS_E_OK);
    b.frames = frames_new(&b.io, fd);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    b.io.handles++; /* so that the end comes once, streams or none */
    frames_close(b.frames);
    gossip_io_handle_closed(&b.io);
    gs_loop_stop(b.loop);
    gs_loop_run(b.loop);
    assert_true(b.closed);
    gs_loop_free(b.loop);
    gossip_free(b.core);
    return 0;
}

/* ---- a client ---- */

static int
dial(void)
{
    struct sockaddr_storage sa;
    socklen_t len = gs_addr_to_sockaddr(&b.io.bound, &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

static int
dial_accepted(void)
{
    size_t before = fake_count(b.core, FAKE_ACCEPT);
    int fd = dial();

    while (fake_count(b.core, FAKE_ACCEPT) == before)
        turn(b.loop);
    return fd;
}

static void
give(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;

    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            turn(b.loop);
            continue;
        }
        at += n;
        len -= (size_t)n;
    }
}

static char *
framed(uint32_t length, char fill)
{
    char *f = gs_alloc(HEADER_BYTES + (size_t)length);
    uint32_t header = htonl(length);

    memcpy(f, &header, HEADER_BYTES);
    memset(f + HEADER_BYTES, fill, length);
    return f;
}

static void
wait_for(enum fake_type type, size_t count)
{
    while (fake_count(b.core, type) < count)
        turn(b.loop);
}

static void
wait_for_read(struct frame_stream *s, size_t bytes)
{
    while (s->in.len < bytes)
        turn(b.loop);
}

static void
assert_log(const char *want)
{
    char log[FAKE_MAX + 1];

    assert_string_equal(fake_log(b.core, log), want);
}

static struct frame_stream *
only_stream(void)
{
    assert_false(gs_list_empty(&b.frames->streams));
    return GS_LIST_ENTRY(b.frames->streams.next, struct frame_stream, link);
}

/* What the peer sees: bytes until the end. */
static size_t
read_to_end(int fd)
{
    size_t got = 0;

    for (;;) {
        char buf[65536];
        ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

        if (n > 0)
            got += (size_t)n;
        else if (n < 0 && errno == EAGAIN)
            turn(b.loop);
        else
            return got; /* an end or a reset */
    }
}

/* ---- what arrives ---- */

static void
a_frame_arrives_whole_however_it_is_cut(void **state)
{
    char *f = framed(300, 'x');
    int fd = dial_accepted();

    (void)state;
    for (size_t i = 0; i < 304; i++) {
        give(fd, f + i, 1);
        if (i < 303)
            wait_for_read(only_stream(), i + 1);
    }
    wait_for(FAKE_FRAME, 1);
    assert_log("af");
    assert_int_equal(b.core->heard[1].len, 300);
    assert_true(b.core->heard[1].hash == gs_hash(f + HEADER_BYTES, 300, 1));
    gs_free(f);
    close(fd);
}

static void
frames_in_one_piece_are_told_apart(void **state)
{
    static const char bytes[] = "\0\0\0\1a\0\0\0\2bc\0\0\0\3de"; /* the third is not whole */
    int fd = dial_accepted();

    (void)state;
    give(fd, bytes, sizeof(bytes) - 1);
    wait_for(FAKE_FRAME, 2);
    wait_for_read(only_stream(), HEADER_BYTES + 2);
    give(fd, "f", 1);
    wait_for(FAKE_FRAME, 3);
    assert_log("afff");
    assert_true(b.core->heard[3].hash == gs_hash("def", 3, 1));
    close(fd);
    wait_for(FAKE_CLOSED, 1);
    assert_log("afffc");
}

static void
the_longest_frame_fits(void **state)
{
    char *f = framed(FRAME_BYTES_MAX, 'y');
    int fd = dial_accepted();

    (void)state;
    give(fd, f, HEADER_BYTES + (size_t)FRAME_BYTES_MAX);
    wait_for(FAKE_FRAME, 1);
    assert_int_equal(b.core->heard[1].len, FRAME_BYTES_MAX);
    assert_int_equal(only_stream()->in.cap, 0); /* nothing is kept of it */
    gs_free(f);
    close(fd);
}

static void
a_frame_cut_off_is_none(void **state)
{
    int fd = dial_accepted();

    (void)state;
    give(fd, "\0\0\0\5abc", 7);
    close(fd);
    wait_for(FAKE_CLOSED, 1);
    assert_log("ac");
}

/* ---- what is refused ---- */

static void
refused_length(uint32_t length)
{
    uint32_t header = htonl(length);
    int fd = dial_accepted();

    give(fd, &header, HEADER_BYTES);
    wait_for(FAKE_CLOSED, fake_count(b.core, FAKE_CLOSED) + 1);
    assert_int_equal(read_to_end(fd), 0);
    close(fd);
}

static void
a_length_out_of_range_ends_it(void **state)
{
    (void)state;
    refused_length(FRAME_BYTES_MAX + 1);
    refused_length(UINT32_MAX);
    refused_length(0);
    assert_int_equal(atomic_load(&b.io.n.frames_refused), 3);
    assert_true(gs_list_empty(&b.frames->streams));
}

/* Given  a peer that announces the longest frame
 * When   it sends a few bytes of it
 * Then   a few bytes are what it costs */
static void
memory_grows_with_bytes_not_with_promises(void **state)
{
    char *f = framed(FRAME_BYTES_MAX, 'z');
    struct frame_stream *s;
    int fd = dial_accepted();

    (void)state;
    s = only_stream();
    give(fd, f, HEADER_BYTES);
    wait_for_read(s, HEADER_BYTES);
    assert_true(s->in.cap <= 64);
    for (size_t sent = HEADER_BYTES; sent < 100000;) {
        give(fd, f + sent, 1000);
        sent += 1000;
        wait_for_read(s, sent);
        assert_true(s->in.cap <= 2 * sent);
    }
    gs_free(f);
    close(fd);
}

static void
silence_ends_it(void **state)
{
    int fd = dial_accepted();

    (void)state;
    give(fd, "\0\0\0\5abc", 7); /* no whole frame */
    wait_for_read(only_stream(), 7);
    gs_wheel_advance(&b.loop->wheel, b.loop->now_ms + SILENT_MS - 100);
    assert_log("a");
    gs_wheel_advance(&b.loop->wheel, b.loop->now_ms + SILENT_MS + 100);
    assert_log("ac");
    (void)read_to_end(fd);
    close(fd);
}

static void
who_has_spoken_may_be_silent(void **state)
{
    int fd = dial_accepted();

    (void)state;
    give(fd, "\0\0\0\1a", 5);
    wait_for(FAKE_FRAME, 1);
    gs_wheel_advance(&b.loop->wheel, b.loop->now_ms + 10 * SILENT_MS);
    assert_log("af"); /* the core decides */
    close(fd);
}

/* Given  as many silent streams as there may be
 * When   one more peer comes
 * Then   it is refused while they are young, and takes the oldest one's place later */
static void
silent_streams_give_way(void **state)
{
    int fds[4], fd;

    (void)state;
    for (int i = 0; i < 4; i++)
        fds[i] = dial_accepted();
    fd = dial();
    assert_int_equal(read_to_end(fd), 0);
    close(fd);
    assert_log("aaaa");
    assert_int_equal(atomic_load(&b.io.n.streams_refused), 1);
    only_stream()->since_ms -= SILENT_MIN_MS;
    fd = dial_accepted();
    assert_log("aaaaca");
    assert_int_equal(read_to_end(fds[0]), 0);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close(fd);
}

/* ---- what the core asks for ---- */

static void
frames_go_out_whole(void **state)
{
    char *out = framed(FRAME_BYTES_MAX, 'q');
    char *got = gs_alloc(HEADER_BYTES + (size_t)FRAME_BYTES_MAX);
    int fd = dial_accepted();
    size_t have = 0;

    (void)state;
    frames_send(b.frames, 1, gs_slice(out + HEADER_BYTES, FRAME_BYTES_MAX));
    while (have < HEADER_BYTES + (size_t)FRAME_BYTES_MAX) {
        ssize_t n =
            recv(fd, got + have, HEADER_BYTES + (size_t)FRAME_BYTES_MAX - have, MSG_DONTWAIT);

        if (n > 0)
            have += (size_t)n;
        else
            turn(b.loop);
    }
    wait_for(FAKE_SENT, 1);
    assert_memory_equal(got, out, HEADER_BYTES + (size_t)FRAME_BYTES_MAX);
    assert_log("as");
    gs_free(out);
    gs_free(got);
    close(fd);
}

/* Given  input that the core will not read any more
 * When   it sends a last frame and ends the stream
 * Then   the peer gets the frame and an end, no reset, and the core hears nothing more */
static void
an_end_comes_after_the_last_frame(void **state)
{
    char got[16];
    int fd = dial_accepted();

    (void)state;
    frames_send(b.frames, 1, GS_SLICE("busy"));
    frames_end(b.frames, 1);
    give(fd, "\0\0\0\1a", 5);
    while (recv(fd, got, sizeof(got), MSG_PEEK | MSG_DONTWAIT) < 8)
        turn(b.loop);
    assert_int_equal(recv(fd, got, sizeof(got), 0), 8);
    assert_memory_equal(got, "\0\0\0\4busy", 8);
    while (recv(fd, got, sizeof(got), MSG_DONTWAIT) != 0)
        turn(b.loop);
    close(fd);
    while (!gs_list_empty(&b.frames->streams))
        turn(b.loop);
    assert_log("a");
    frames_send(b.frames, 1, GS_SLICE("late")); /* the core could not know: ignored */
    frames_end(b.frames, 1);
}

static struct gs_addr
closed_port(void)
{
    struct gs_addr a;
    int fd;

    assert_int_equal(gs_addr_parse(&a, GS_SLICE("127.0.0.1:0"), NULL), GS_E_OK);
    fd = gs_listen_tcp(&a, false, NULL);
    assert_int_equal(gs_listen_addr(fd, &a), GS_E_OK);
    close(fd);
    return a;
}

static void
a_refused_connect_is_told_as_that(void **state)
{
    struct gs_addr nobody = closed_port();

    (void)state;
    frames_open(b.frames, 7, &nobody);
    wait_for(FAKE_REFUSED, 1);
    assert_log("x");
    assert_int_equal(b.core->heard[0].stream, 7);
    assert_true(gs_list_empty(&b.frames->streams));
}

static void
a_late_connect_is_no_refusal(void **state)
{
    (void)state;
    frames_open(b.frames, 7, &b.io.bound);
    gs_wheel_advance(&b.loop->wheel, b.loop->now_ms + CONNECT_MS + 100); /* before the loop turns */
    assert_log("c");
}

static void
both_ends_may_be_ours(void **state)
{
    (void)state;
    frames_open(b.frames, 7, &b.io.bound);
    wait_for(FAKE_OPENED, 1);
    wait_for(FAKE_ACCEPT, 1);
    frames_send(b.frames, 7, GS_SLICE("hello"));
    wait_for(FAKE_FRAME, 1);
    frames_end(b.frames, 7);
    wait_for(FAKE_CLOSED, 1);
    assert_int_equal(b.core->heard[b.core->count - 1].stream, 1); /* the accepted side, not ours */
    while (!gs_list_empty(&b.frames->streams))
        turn(b.loop);
}

/* ---- nodes that are cut off ---- */

static const struct gs_id friend_id = { { 1, 2, 3, 4, 5, 6, 7, 8 } };
static const struct gs_id foe_id = { { 9, 9, 9, 9, 9, 9, 9, 9 } };

static void
cut(const struct gs_id *node, bool datagrams_only)
{
    struct gossip_cut c = { .node = *node, .datagrams_only = datagrams_only };

    gossip_io_cut(&b.io, &c, 1);
    frames_cut(b.frames);
}

static void
give_packet(int fd, const struct gs_id *from)
{
    char *f = framed(BOX_HEADER_BYTES, 'p');

    fake_packet(f + HEADER_BYTES, from);
    give(fd, f, HEADER_BYTES + BOX_HEADER_BYTES);
    gs_free(f);
}

/* Given  two streams, of two nodes
 * When   one of them is cut off
 * Then   its stream ends and the next one at its first frame, the other lives */
static void
a_cut_ends_streams_of_that_node(void **state)
{
    int foe = dial_accepted();
    int friend = dial_accepted();
    int again;

    (void)state;
    give_packet(foe, &foe_id);
    give_packet(friend, &friend_id);
    wait_for(FAKE_FRAME, 2);
    cut(&foe_id, true); /* its datagrams alone */
    assert_int_equal(fake_count(b.core, FAKE_CLOSED), 0);
    cut(&foe_id, false);
    assert_int_equal(fake_count(b.core, FAKE_CLOSED), 1);
    assert_int_equal(read_to_end(foe), 0);
    again = dial_accepted();
    give_packet(again, &foe_id);
    wait_for(FAKE_CLOSED, 2);
    assert_int_equal(fake_count(b.core, FAKE_FRAME), 2);
    give_packet(friend, &friend_id);
    wait_for(FAKE_FRAME, 3);
    assert_int_equal(b.io.n.cut, 2);
    gossip_io_cut(&b.io, NULL, 0);
    close(again);
    again = dial_accepted();
    give_packet(again, &foe_id);
    wait_for(FAKE_FRAME, 4);
    close(again);
    close(foe);
    close(friend);
}

static void
a_cut_node_is_not_connected_to(void **state)
{
    (void)state;
    b.core->node = (struct gossip_node){ .id = foe_id, .address = b.io.bound };
    frames_open(b.frames, 7, &b.io.bound);
    wait_for(FAKE_OPENED, 1);
    wait_for(FAKE_ACCEPT, 1);
    cut(&foe_id, false);
    assert_int_equal(fake_count(b.core, FAKE_CLOSED), 1); /* the one that we opened */
    frames_open(b.frames, 8, &b.io.bound);
    assert_int_equal(fake_count(b.core, FAKE_CLOSED), 2); /* at once, and not as refused */
    assert_int_equal(fake_count(b.core, FAKE_REFUSED), 0);
    wait_for(FAKE_CLOSED, 3); /* the accepted end of the first sees it go */
    assert_int_equal(fake_count(b.core, FAKE_ACCEPT), 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_frame_arrives_whole_however_it_is_cut),
        CASE(frames_in_one_piece_are_told_apart),
        CASE(the_longest_frame_fits),
        CASE(a_frame_cut_off_is_none),
        CASE(a_length_out_of_range_ends_it),
        CASE(memory_grows_with_bytes_not_with_promises),
        CASE(silence_ends_it),
        CASE(who_has_spoken_may_be_silent),
        CASE(silent_streams_give_way),
        CASE(frames_go_out_whole),
        CASE(an_end_comes_after_the_last_frame),
        CASE(a_refused_connect_is_told_as_that),
        CASE(a_late_connect_is_no_refusal),
        CASE(both_ends_may_be_ours),
        CASE(a_cut_ends_streams_of_that_node),
        CASE(a_cut_node_is_not_connected_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
