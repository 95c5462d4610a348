/* test_gossip_uv.c - the gossip loop around a core that only remembers (fake_core.h): what order
 * things reach it in, calls down and events up, UDP on loopback, and the end. */
#include "fake_core.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <gossamer/listener.h>

#define EVENTS 5000 /* more than the ring takes */
#define CALLS 1000

struct bench {
    struct gs_loop *control;
    struct gossip *core;
    struct gossip_loop *l;
    struct gs_addr bound;
    size_t events; /* heard by control */
    size_t done;   /* calls */
    size_t out_of_order;
    size_t forgotten; /* of the events */
    bool stopped;
};

static struct bench b;

static void
on_event(void *arg, const struct gossip_event *e)
{
    assert_ptr_equal(arg, &b);
    b.out_of_order += e->ahead_ms != ++b.events;
    if (e->type != GOSSIP_EVENT_FORGOTTEN)
        return;
    b.out_of_order += memcmp(e->node.id.bytes, &b.events, sizeof(b.events)) != 0;
    b.forgotten += e->node.state == GOSSIP_LEFT && e->former == GOSSIP_LEFT &&
                   e->node.name.len == 0 && e->node.about.len == 0;
}

static void
start(bool shared)
{
    struct gs_addr any;
    struct gossip_loop_options o = { .on_event = on_event, .arg = &b, .seed = 1 };

    memset(&b, 0, sizeof(b));
    b.control = gs_loop_new("control", 1);
    b.core = fake_new();
    assert_int_equal(gs_addr_parse(&any, GS_SLICE("127.0.0.1:0"), NULL), GS_E_OK);
    assert_int_equal(gossip_sockets_open(&any, &o.sockets, NULL), GS_E_OK);
    b.bound = o.sockets.bound;
    o.core = b.core;
    o.control = b.control;
    o.shared = shared ? b.control : NULL;
    b.l = gossip_loop_start(&o);
}

static void
on_stopped(void *arg)
{
    assert_ptr_equal(arg, &b);
    b.stopped = true;
}

static void
stop(void)
{
    gossip_loop_stop(b.l, on_stopped, &b);
    while (!b.stopped)
        turn(b.control);
    gossip_loop_free(b.l);
    gs_loop_stop(b.control);
    gs_loop_run(b.control);
    gs_loop_free(b.control);
    assert_int_equal(atomic_load(&fake_kept), 0);
}

/* ---- calls ---- */

struct call {
    struct gossip_call call;
    size_t number;
    size_t more_events;            /* that it makes */
    uint64_t after_ms;             /* now + this is when the core wants to be ticked */
    size_t heard, done_at, events; /* what control knew when it was done */
    char log[FAKE_MAX + 1];
};

static void
run_call(struct gossip_call *c, struct gossip *g, uint64_t now_ms, uint64_t wall_ms)
{
    struct call *k = GS_CONTAINER(c, struct call, call);

    GS_ASSERT(wall_ms > 0);
    g->events += k->more_events;
    if (k->after_ms > 0)
        g->deadline_ms = now_ms + k->after_ms;
    k->heard = g->count;
    (void)fake_log(g, k->log);
}

static void
on_done(struct gossip_call *c)
{
    struct call *k = GS_CONTAINER(c, struct call, call);

    k->done_at = ++b.done;
    k->events = b.events;
}

static void
ask(struct call *k)
{
    k->call = (struct gossip_call){ .run = run_call, .done = on_done };
    gossip_loop_call(b.l, &k->call);
}

static void
ask_and_wait(struct call *k)
{
    size_t before = b.done;

    ask(k);
    while (b.done == before)
        turn(b.control);
}

/* Given  calls far beyond what the ring takes
 * When   they are made at once
 * Then   each runs once and is done in its turn */
static void
calls_keep_their_order(void **state)
{
    struct call *calls = gs_calloc(CALLS, sizeof(*calls));

    start(**(bool **)state);
    for (size_t i = 0; i < CALLS; i++)
        ask(&calls[i]);
    while (b.done < CALLS)
        turn(b.control);
    for (size_t i = 0; i < CALLS; i++)
        assert_int_equal(calls[i].done_at, i + 1);
    gs_free(calls);
    stop();
}

/* What a call brought about is heard before it is done, however much that is. */
static void
events_come_before_done(void **state)
{
    struct call one = { .more_events = 1 }, many = { .more_events = EVENTS }, none = { 0 };

    start(**(bool **)state);
    ask_and_wait(&one);
    assert_int_equal(one.events, 1);
    ask(&many);
    ask(&none);
    while (b.done < 3)
        turn(b.control);
    assert_int_equal(many.events, EVENTS + 1);
    assert_int_equal(none.done_at, 3);
    assert_int_equal(b.events, EVENTS + 1);
    assert_int_equal(b.out_of_order, 0);
    stop();
}

/* One is told by its id alone, over to the other thread as any other. */
static void
the_forgotten_are_told(void **state)
{
    struct call one = { .more_events = 1 }, many = { .more_events = EVENTS };

    start(**(bool **)state);
    b.core->event_type = GOSSIP_EVENT_FORGOTTEN;
    ask_and_wait(&one);
    ask_and_wait(&many);
    assert_int_equal(b.forgotten, EVENTS + 1);
    assert_int_equal(b.out_of_order, 0);
    stop();
}

static void
a_stop_lets_calls_end(void **state)
{
    struct call calls[300] = { { .number = 0 } };

    start(**(bool **)state);
    for (size_t i = 0; i < GS_COUNT(calls); i++) {
        calls[i].more_events = 10;
        ask(&calls[i]);
    }
    stop();
    assert_int_equal(b.done, GS_COUNT(calls));
    assert_int_equal(b.events, 10 * GS_COUNT(calls));
}

/* ---- time and datagrams ---- */

static int
udp_client(void)
{
    struct sockaddr_storage sa;
    socklen_t len = gs_addr_to_sockaddr(&b.bound, &sa);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
    return fd;
}

/* Given  a deadline and datagrams that came while the process stood still
 * When   it goes on
 * Then   what came is heard first, and the tick knows the true time */
static void
a_late_tick_comes_after_what_arrived(void **state)
{
    struct call arm = { .after_ms = 30 };
    char log[FAKE_MAX + 1];
    uint64_t due_ms;
    int fd;

    (void)state;
    start(true);
    fd = udp_client();
    ask_and_wait(&arm);
    due_ms = b.core->deadline_ms;
    do { /* the stall */
        gs_loop_clock(b.control);
    } while (b.control->now_ms < due_ms + 100);
    for (int i = 0; i < 3; i++)
        assert_int_equal(send(fd, "abc", 3, 0), 3);
    while (fake_count(b.core, FAKE_TICK) == 0)
        turn(b.control);
    assert_string_equal(fake_log(b.core, log), "rrrt");
    assert_true(b.core->heard[3].now_ms >= due_ms + 100);
    close(fd);
    stop();
}

static void
a_tick_comes_when_it_is_due(void **state)
{
    struct call arm = { .after_ms = 15 };
    struct gossip_loop_counters n;
    uint64_t due_ms;

    (void)state;
    start(true);
    ask_and_wait(&arm);
    due_ms = b.core->deadline_ms;
    while (fake_count(b.core, FAKE_TICK) == 0)
        turn(b.control);
    assert_true(b.core->heard[0].now_ms >= due_ms);
    gossip_loop_counters(b.l, &n);
    assert_int_equal(n.datagrams_dropped + n.datagrams_failed + n.unreachable, 0);
    stop();
}

/* More than one batch, none too long for its slot, each with its sender. */
static void
all_datagrams_arrive_as_they_were_sent(void **state)
{
    static char longest[PACKET_BYTES_MAX + 100];
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct gs_addr from;
    int fd;

    (void)state;
    start(true);
    fd = udp_client();
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(gs_addr_from_sockaddr(&from, (struct sockaddr *)&sa), GS_E_OK);
    memset(longest, 'l', sizeof(longest));
    for (size_t i = 1; i <= 80; i++)
        assert_int_equal(send(fd, longest, i, 0), i);
    assert_int_equal(send(fd, longest, PACKET_BYTES_MAX, 0), PACKET_BYTES_MAX);
    assert_int_equal(send(fd, longest, PACKET_BYTES_MAX + 100, 0), PACKET_BYTES_MAX + 100);
    while (fake_count(b.core, FAKE_RECV) < 82)
        turn(b.control);
    for (size_t i = 0; i < 81; i++) {
        size_t bytes = i < 80 ? i + 1 : PACKET_BYTES_MAX;

        assert_int_equal(b.core->heard[i].len, bytes);
        assert_true(b.core->heard[i].hash == gs_hash(longest, bytes, 1));
        assert_true(gs_addr_eq(&b.core->heard[i].address, &from));
    }
    assert_true(b.core->heard[81].len > PACKET_BYTES_MAX); /* the core sees that it is too long */
    close(fd);
    stop();
}

static struct gs_addr
closed_port(void)
{
    struct gs_addr any;
    struct gossip_sockets s;
    struct gs_addr nobody;

    assert_int_equal(gs_addr_parse(&any, GS_SLICE("127.0.0.1:0"), NULL), GS_E_OK);
    assert_int_equal(gossip_sockets_open(&any, &s, NULL), GS_E_OK);
    nobody = s.bound;
    gossip_sockets_close(&s);
    return nobody;
}

/* Given  datagrams to a port where nobody listens, between others
 * When   the kernel tells so
 * Then   the core hears which address it was, each time, and the others arrive */
static void
an_unreachable_port_is_told_and_disturbs_nobody(void **state)
{
    struct call kick = { 0 };
    struct gs_addr nobody, somebody;
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct gossip_loop_counters n;
    char got[16];
    int fd;

    (void)state;
    start(true);
    fd = udp_client();
    nobody = closed_port();
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(gs_addr_from_sockaddr(&somebody, (struct sockaddr *)&sa), GS_E_OK);
    for (int i = 0; i < 5; i++) {
        fake_ask(b.core, GOSSIP_SEND, 0, &nobody, GS_SLICE("anybody?"));
        fake_ask(b.core, GOSSIP_SEND, 0, &somebody, GS_SLICE("hello"));
    }
    ask_and_wait(&kick);
    while (fake_count(b.core, FAKE_UNREACHABLE) < 5)
        turn(b.control);
    for (size_t i = 0; i < b.core->count; i++)
        assert_true(gs_addr_eq(&b.core->heard[i].address, &nobody));
    for (int i = 0; i < 5; i++)
        assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), 5);
    assert_int_equal(send(fd, "back", 4, 0), 4);
    while (fake_count(b.core, FAKE_RECV) < 1)
        turn(b.control);
    gossip_loop_counters(b.l, &n);
    assert_int_equal(n.datagrams_failed, 0);
    assert_int_equal(n.unreachable, 5);
    close(fd);
    stop();
}

/* ---- nodes that are cut off ---- */

static void
on_cut(struct gossip_cuts *c)
{
    (void)c;
    b.done++;
}

static void
cut_off(struct gossip_cuts *c)
{
    size_t before = b.done;

    c->done = on_cut;
    gossip_loop_cut(b.l, c);
    while (b.done == before)
        turn(b.control);
}

/* Given  a node that is cut off, by its datagrams or wholly
 * When   it sends, and something is for it
 * Then   neither gets through, the same of others does, and all does when it is over */
static void
a_cut_drops_datagrams_both_ways(void **state)
{
    struct gossip_cuts cuts = { .items = { { .node = { { 5, 5 } }, .datagrams_only = true } },
                                .count = 1 };
    struct gs_id other = { { 6, 6 } };
    struct call kick = { 0 };
    struct gossip_loop_counters n;
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    char packet[BOX_HEADER_BYTES];
    int fd;

    (void)state;
    start(true);
    fd = udp_client();
    b.core->node.id = cuts.items[0].node;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(gs_addr_from_sockaddr(&b.core->node.address, (struct sockaddr *)&sa), GS_E_OK);
    cut_off(&cuts);
    fake_packet(packet, &cuts.items[0].node);
    assert_int_equal(send(fd, packet, sizeof(packet), 0), sizeof(packet));
    fake_packet(packet, &other);
    assert_int_equal(send(fd, packet, sizeof(packet), 0), sizeof(packet));
    fake_ask(b.core, GOSSIP_SEND, 0, &b.core->node.address, GS_SLICE("for it"));
    ask_and_wait(&kick);
    while (fake_count(b.core, FAKE_RECV) < 1)
        turn(b.control);
    assert_true(b.core->heard[0].hash == gs_hash(packet, sizeof(packet), 1));
    assert_int_equal(recv(fd, packet, sizeof(packet), MSG_DONTWAIT), -1);
    gossip_loop_counters(b.l, &n);
    assert_int_equal(n.cut, 2);
    cuts.count = 0;
    cut_off(&cuts);
    fake_packet(packet, &cuts.items[0].node);
    assert_int_equal(send(fd, packet, sizeof(packet), 0), sizeof(packet));
    fake_ask(b.core, GOSSIP_SEND, 0, &b.core->node.address, GS_SLICE("for it"));
    ask_and_wait(&kick);
    while (fake_count(b.core, FAKE_RECV) < 2)
        turn(b.control);
    assert_int_equal(recv(fd, packet, sizeof(packet), MSG_DONTWAIT), 6);
    close(fd);
    stop();
}

/* ---- streams, as far as they go through here ---- */

static void
open_to_self(struct gossip_call *c, struct gossip *g, uint64_t now_ms, uint64_t wall_ms)
{
    (void)c;
    (void)now_ms;
    (void)wall_ms;
    fake_ask(g, GOSSIP_STREAM_OPEN, 99, &b.bound, GS_SLICE(""));
}

/* Open ones at the end are closed without a word. */
static void
a_stream_is_opened_for_the_core(void **state)
{
    struct call open = { 0 }, look = { 0 };

    start(**(bool **)state);
    open.call = (struct gossip_call){ .run = open_to_self, .done = on_done };
    gossip_loop_call(b.l, &open.call);
    do {
        ask_and_wait(&look);
    } while (!strchr(look.log, FAKE_OPENED) || !strchr(look.log, FAKE_ACCEPT));
    stop();
}

/* ---- sockets ---- */

static void
a_port_that_is_taken_is_refused_with_a_sentence(void **state)
{
    struct gs_addr any;
    struct gossip_sockets one, two;
    struct gs_why why = { "" };

    (void)state;
    assert_int_equal(gs_addr_parse(&any, GS_SLICE("127.0.0.1:0"), NULL), GS_E_OK);
    assert_int_equal(gossip_sockets_open(&any, &one, &why), GS_E_OK);
    assert_int_equal(gossip_sockets_open(&one.bound, &two, &why), GS_E_IN_USE);
    assert_non_null(strstr(why.text, "cannot listen on 127.0.0.1:"));
    close(one.udp); /* TCP alone is enough */
    one.udp = -1;
    assert_int_equal(gossip_sockets_open(&one.bound, &two, &why), GS_E_IN_USE);
    gossip_sockets_close(&one);
}

static bool on_one_loop = true, on_two_threads = false;

#define BOTH(f)                                                                                    \
    cmocka_unit_test_prestate(f, &on_one_loop), cmocka_unit_test_prestate(f, &on_two_threads)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(calls_keep_their_order),
        BOTH(events_come_before_done),
        BOTH(the_forgotten_are_told),
        BOTH(a_stop_lets_calls_end),
        cmocka_unit_test(a_late_tick_comes_after_what_arrived),
        cmocka_unit_test(a_tick_comes_when_it_is_due),
        cmocka_unit_test(all_datagrams_arrive_as_they_were_sent),
        cmocka_unit_test(an_unreachable_port_is_told_and_disturbs_nobody),
        cmocka_unit_test(a_cut_drops_datagrams_both_ways),
        BOTH(a_stream_is_opened_for_the_core),
        cmocka_unit_test(a_port_that_is_taken_is_refused_with_a_sentence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
