/* test_sync.c - streams: digests, pulls, and those who misuse them. */
#include "tests/unit/cores.h"

/* ---- a caller: one end of a stream, by hand ---- */

struct caller {
    struct cores *c;
    unsigned node; /* an intruder's place */
    unsigned to;
    uint32_t stream; /* the other's; 0: not accepted */
    struct box_stream box;
    bool closed; /* by the other */
    size_t frames;
    uint32_t flags; /* of the last frame */
    size_t records; /* in all frames */
};

static void
caller_look(struct caller *k, struct gs_slice bytes)
{
    static struct gs_slice records[WIRE_PACKET_RECORDS_MAX];
    struct core *n = &k->c->at[k->node];
    char *plain = gs_alloc(bytes.len + 1);
    struct box_opened o = box_open(n->box, bytes, &k->box, plain);
    struct wire_packet p;

    assert_int_not_equal(o.verdict, BOX_REFUSED);
    assert_int_equal(wire_read_packet(o.body, &p, records), GS_E_OK);
    (void)!box_stream_take(n->box, k->c->now_ms, &k->box, &o,
                           &(struct box_tokens){ p.challenge, p.echo });
    k->frames++;
    k->flags = p.flags;
    k->records += p.record_count;
    gs_free(plain);
}

/* Take what the other says on this stream; the rest goes its way. */
static void
caller_drain(struct caller *k)
{
    struct gossip *g = k->c->at[k->to].g;
    struct gossip_action a;

    while (gossip_next_action(g, k->c->now_ms, &a)) {
        if (a.stream != k->stream || a.type < GOSSIP_STREAM_SEND) {
            core_act(k->c, k->to, &a);
            continue;
        }
        k->closed = k->closed || a.type == GOSSIP_STREAM_CLOSE;
        if (a.type == GOSSIP_STREAM_SEND) {
            caller_look(k, a.bytes);
            gossip_stream_sent(g, k->c->now_ms, k->stream);
        }
    }
    core_drain(k->c, k->to);
}

static struct caller
call(struct cores *c, unsigned to)
{
    struct caller k = { .c = c, .node = c->count - 1, .to = to };

    box_stream_init(c->at[k.node].box, &k.box);
    k.stream = gossip_stream_accept(c->at[to].g, c->now_ms, &c->at[k.node].address);
    return k;
}

static void
say_bytes(struct caller *k, struct gs_slice bytes)
{
    gossip_stream_frame(k->c->at[k->to].g, k->c->now_ms, cores_wall(k->c), k->stream, bytes);
    caller_drain(k);
}

static void
say(struct caller *k, const struct wire_packet *said)
{
    struct box_tokens t = box_stream_tokens(&k->box);
    struct wire_packet p = *said;
    struct gs_buf body;
    char *sealed;
    size_t len;

    p.challenge = t.challenge;
    p.echo = t.echo;
    gs_buf_init(&body, FRAME_BYTES_MAX - BOX_OVERHEAD);
    assert_int_equal(wire_put_packet(&body, &p), GS_E_OK);
    len = gs_buf_slice(&body).len + BOX_OVERHEAD;
    sealed = gs_alloc(len);
    box_seal(k->c->at[k->node].box, gs_buf_slice(&body), sealed);
    gs_buf_fini(&body);
    say_bytes(k, gs_slice(sealed, len));
    gs_free(sealed);
}

/* The two frames by which both are proven; the first thing is said in the second. */
static void
introduce(struct caller *k)
{
    assert_int_not_equal(k->stream, 0);
    say(k, &(struct wire_packet){ 0 });
    assert_int_equal(k->frames, 1);
    assert_false(k->closed);
}

static struct gs_slice
some_buckets(void)
{
    static const char buckets[8 * DIGEST_BUCKETS * WIRE_CLASSES];

    return gs_slice(buckets, sizeof(buckets));
}

/* ---- digests ---- */

static struct gs_version last_put;

static bool
all_have_the_last(const struct cores *c, unsigned unused)
{
    (void)unused;
    for (unsigned i = 0; i < c->count; i++) {
        if (c->at[i].g && !core_has(c, i, "key199", &last_put))
            return false;
    }
    return roots_equal(c, 0);
}

static void
put_keys(struct cores *c, unsigned at, unsigned from, unsigned to, size_t bytes)
{
    char *value = calloc(1, bytes);

    for (unsigned i = from; i < to; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "key%u", i);
        memcpy(value, &c->now_ms, sizeof(c->now_ms));
        last_put = core_put(c, at, key, gs_slice(value, bytes), false);
    }
    free(value);
}

/* Given  three nodes with 200 records of 400 bytes, a tenth of which changes while one is cut off
 *        for less than its neighbours' patience
 * When   it can be reached again
 * Then   a digest exchange brings it what it missed, in hardly more bytes than that has */
static void
test_missed_news_cost_what_they_are(void **state)
{
    struct cores *c = cores_settled(3);
    size_t bytes;

    (void)state;
    put_keys(c, 0, 0, 200, 400);
    assert_until(c, is_settled, 0, 20000);
    isolate(c, 2, CUT_ALL);
    put_keys(c, 0, 180, 200, 400);
    cores_run(c, 900);
    isolate(c, 2, 0);
    bytes = c->bytes;
    assert_until(c, all_have_the_last, 0, 5000);
    /* A record of 400 bytes has some 520 in all. Versions that differ go both ways, what is new is
     * told on; what did not change does not go at all: that were 104,000 bytes. */
    assert_true(c->bytes - bytes <= 4 * 20 * 520);
    assert_until(c, is_settled, 0, 20000);
    cores_free(c);
}

/* Given  a node with many records, each larger than a packet
 * When   another one joins
 * Then   it has all of them in one exchange, of many frames */
static void
test_many_frames(void **state)
{
    struct cores *c = cores_new(2);

    (void)state;
    core_new(c, 0, 100);
    core_join(c, 0, CORES_MAX);
    put_keys(c, 0, 0, 200, 3000);
    core_new(c, 1, 100);
    core_join(c, 1, 0);
    assert_until(c, all_have_the_last, 0, 1000);
    assert_int_equal(counters(c, 1).syncs, 1);
    assert_int_equal(counters(c, 1).syncs_failed, 0);
    assert_int_equal(gossip_standing(c->at[1].g), GOSSIP_OPEN);
    cores_free(c);
}

/* Given  two halves of a mesh that were parted for ten minutes, and written to on both sides
 * When   the links are mended
 * Then   within seconds they are one again, and both have all */
static void
test_halves_unite(void **state)
{
    struct cores *c = cores_settled(6);

    (void)state;
    for (unsigned a = 0; a < 3; a++) {
        for (unsigned b = 3; b < 6; b++)
            cut(c, a, b, CUT_ALL);
    }
    cores_run(c, 600000);
    assert_int_equal(state_at(c, 0, 4), GOSSIP_DEAD);
    assert_int_equal(state_at(c, 4, 0), GOSSIP_DEAD);
    put_keys(c, 0, 0, 20, 100);
    put_keys(c, 4, 180, 200, 100);
    memset(c->cut, 0, sizeof(c->cut));
    assert_until(c, all_know_all, 0, 15000);
    assert_until(c, is_settled, 0, 15000);
    assert_int_equal(counters(c, 0).records, 40 + 6);
    cores_free(c);
}

/* ---- tombstones ---- */

static bool
no_tombstones(const struct cores *c, unsigned unused)
{
    (void)unused;
    for (unsigned i = 0; i < c->count; i++) {
        if (c->at[i].g && counters(c, i).tombstones > 0)
            return false;
    }
    return true;
}

/* Given  three nodes, a key that was deleted, and a node that joins ten hours later
 * When   more than a day has passed since it heard
 * Then   digests are equal at all times but for moments, and the tombstone goes everywhere */
static void
test_tombstones_go_without_strife(void **state)
{
    struct cores *c = cores_new(4);
    uint64_t syncs = 0;

    (void)state;
    c->tuning.probe_ms = 60000;
    for (unsigned i = 0; i < 3; i++) {
        core_new(c, i, 100);
        core_join(c, i, 0);
    }
    assert_until(c, is_settled, 0, 600000);
    (void)core_put(c, 0, "k", GS_SLICE("v"), false);
    cores_run(c, 1000);
    (void)core_put(c, 1, "k", GS_SLICE_NONE, true);
    cores_run(c, 10 * 3600000);
    core_new(c, 3, 100);
    core_join(c, 3, 1);
    assert_until(c, is_settled, 0, 600000);
    for (unsigned hour = 0; hour < 28; hour++) {
        cores_run(c, 3600000);
        assert_true(roots_equal(c, 0));
    }
    assert_true(no_tombstones(c, 0));
    for (unsigned i = 0; i < 4; i++)
        syncs += counters(c, i).syncs;
    assert_true(syncs < 30);
    cores_free(c);
}

/* Given  a tombstone of a clock that is years ahead
 * When   it is dropped
 * Then   new keys of honest clocks are taken: the floor is no higher than our own clock */
static void
test_floor_is_not_of_the_future(void **state)
{
    struct cores *c = cores_new(2);
    struct gossip_op op = { CORES_KIND, GS_SLICE("k"), GS_SLICE("v"), false, NULL };
    struct gossip_put_result result;
    struct gs_why why;

    (void)state;
    c->tuning.probe_ms = 60000;
    cores_start(c);
    assert_until(c, is_settled, 0, 600000);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(gossip_put(c->at[0].g, c->now_ms,
                                    cores_wall(c) + 10 * UINT64_C(31536000000), &op, 1, &result,
                                    &why),
                         GS_E_OK);
        core_drain(c, 0);
        cores_run(c, 1000);
        op.remove = true;
    }
    cores_run(c, TOMBSTONE_KEPT_MS + 60000);
    assert_true(no_tombstones(c, 0));
    last_put = core_put(c, 1, "key199", GS_SLICE("v"), false);
    assert_until(c, all_have_the_last, 0, 1000);
    cores_free(c);
}

/* ---- those who misuse streams ---- */

/* Given  a server
 * When   a caller sends junk, a forged frame, one that is too long, or content before its proof
 * Then   the stream is closed, it is counted, and nothing else changes */
static void
test_garbage_ends_a_stream(void **state)
{
    struct cores *c = cores_with_intruder(2);
    char *long_one = calloc(1, FRAME_BYTES_MAX + 1);
    char forged[64] = { (char)0xc1 };
    uint64_t before[WIRE_CLASSES], after[WIRE_CLASSES];
    const struct gs_slice bad[] = { GS_SLICE("x"),
                                    GS_SLICE("junk that is long enough to be a packet "
                                             "of ours, but is none at all"),
                                    gs_slice(forged, sizeof(forged)),
                                    gs_slice(long_one, FRAME_BYTES_MAX + 1), GS_SLICE("") };
    struct gossip_counters n = counters(c, 0), m;

    (void)state;
    gossip_roots(c->at[0].g, before);
    for (size_t i = 0; i < GS_COUNT(bad); i++) {
        struct caller k = call(c, 0);

        say_bytes(&k, bad[i]);
        assert_true(k.closed);
        assert_int_equal(k.frames, 0);
    }
    m = counters(c, 0);
    assert_int_equal(
        m.refused_packets[GOSSIP_REFUSAL_JUNK] + m.refused_packets[GOSSIP_REFUSAL_KEY] +
            m.refused_packets[GOSSIP_REFUSAL_FORGED],
        n.refused_packets[GOSSIP_REFUSAL_JUNK] + n.refused_packets[GOSSIP_REFUSAL_KEY] +
            n.refused_packets[GOSSIP_REFUSAL_FORGED] + GS_COUNT(bad));
    gossip_roots(c->at[0].g, after);
    assert_memory_equal(before, after, sizeof(before));
    free(long_one);
    cores_free(c);
}

/* Given  a server
 * When   a caller does not echo what it is asked to
 * Then   its second frame is its last */
static void
test_no_proof_no_service(void **state)
{
    struct cores *c = cores_with_intruder(2);
    struct caller k = call(c, 0);

    (void)state;
    introduce(&k);
    k.box.echo = 4711;
    say(&k, &(struct wire_packet){ .buckets = some_buckets() });
    assert_true(k.closed);
    assert_int_equal(k.frames, 1);
    assert_true(counters(c, 0).refused_packets[GOSSIP_REFUSAL_UNKNOWN] > 0);
    cores_free(c);
}

/* Given  a server
 * When   a proven caller says things out of order: masks, the end before the beginning, everything
 *        twice, pulls of what is not there, a ping in the middle
 * Then   nothing breaks, and its slot is free when it goes */
static void
test_wrong_order(void **state)
{
    struct cores *c = cores_with_intruder(2);
    char notes[1000 * WIRE_NOTE_BYTES];
    char entries[1000 * WIRE_ENTRY_BYTES];

    (void)state;
    memset(notes, 0x5a, sizeof(notes));
    memset(entries, 0xa5, sizeof(entries));
    for (unsigned round = 0; round < 20; round++) {
        struct caller k = call(c, 0);
        const struct wire_packet all[] = {
            { .has_masks = true,
              .masks = { UINT64_MAX, UINT64_MAX, UINT64_MAX },
              .entries = { GS_SLICE_NONE, gs_slice(entries, sizeof(entries)),
                           gs_slice(entries, sizeof(entries)) } },
            { .flags = WIRE_DONE },
            { .buckets = some_buckets() },
            { .pull = gs_slice(notes, sizeof(notes)) },
            { .flags = WIRE_BUSY },
            { .probe = { .type = WIRE_PING, .target = c->at[0].id } },
            { .probe = { .type = WIRE_PING, .target = c->at[1].id } },
            { .buckets = some_buckets(), .flags = WIRE_DONE },
        };

        introduce(&k);
        for (unsigned i = 0; i < GS_COUNT(all) && !k.closed; i++)
            say(&k, &all[(i * 3 + round) % GS_COUNT(all)]);
        if (!k.closed)
            gossip_stream_closed(c->at[0].g, c->now_ms, k.stream, false);
        caller_drain(&k);
    }
    for (size_t i = 0; i < SYNCS_MAX; i++)
        assert_false(c->at[0].g->syncs.all[i].used);
    cores_free(c);
}

/* Given  callers that connect and say nothing
 * When   SYNC_TIMEOUT_MS have passed
 * Then   they are closed and others get their turn; and there are never more than a few */
static void
test_silence_ends_a_stream(void **state)
{
    struct cores *c = cores_with_intruder(2);
    struct caller k[SYNC_IN_MAX + PROBE_STREAMS_MAX / 2];
    unsigned i;

    (void)state;
    for (i = 0; i < GS_COUNT(k); i++) {
        k[i] = call(c, 0);
        assert_int_not_equal(k[i].stream, 0);
    }
    assert_int_equal(call(c, 0).stream, 0);
    for (i = 0; i < SYNC_TIMEOUT_MS / 10; i++)
        cores_run(c, 10);
    cores_run(c, 10);
    for (i = 0; i < SYNCS_MAX; i++)
        assert_false(c->at[0].g->syncs.all[i].used);
    assert_int_not_equal(call(c, 0).stream, 0);
    cores_free(c);
}

/* Given  as many exchanges as a server takes at once
 * When   one more peer asks for one
 * Then   it is told that the server is busy; a probe by stream is answered all the same */
static void
test_busy_server_says_so(void **state)
{
    struct cores *c = cores_with_intruder(2);
    struct caller k[SYNC_IN_MAX], more, probe;

    (void)state;
    for (unsigned i = 0; i < SYNC_IN_MAX; i++) {
        k[i] = call(c, 0);
        introduce(&k[i]);
        say(&k[i], &(struct wire_packet){ .buckets = some_buckets() });
        assert_false(k[i].flags & WIRE_BUSY);
    }
    more = call(c, 0);
    introduce(&more);
    say(&more, &(struct wire_packet){ .buckets = some_buckets() });
    assert_true(more.flags & WIRE_BUSY);
    assert_int_equal(more.records, 0);
    probe = call(c, 0);
    introduce(&probe);
    say(&probe, &(struct wire_packet){ .probe = { .type = WIRE_PING, .target = c->at[0].id } });
    assert_false(probe.flags & WIRE_BUSY);
    assert_int_equal(probe.frames, 2);
    cores_free(c);
}

/* Given  a mesh of twenty that is started at once
 * When   all join by one seed
 * Then   some are told that it is busy and come back: all are in within seconds */
static void
test_crowd_at_one_seed(void **state)
{
    struct cores *c = cores_new(20);

    (void)state;
    cores_start(c);
    assert_until(c, all_know_all, 0, 2000);
    assert_until(c, is_settled, 0, 10000);
    cores_free(c);
}

/* Given  a member that announces what nobody has, over and over, as too large for packets
 * When   a node goes to pull it
 * Then   only a few streams are opened, and they end */
static void
test_flood_of_announcements(void **state)
{
    struct cores *c = cores_with_intruder(2);
    char notes[80 * WIRE_NOTE_BYTES];
    size_t used = 0, heard = c->at[2].heard;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        memset(notes, (int)i + 1, sizeof(notes));
        notes[0] = (char)(i >> 8);
        intruder_send(c, 2, 0,
                      &(struct wire_packet){ .announce = gs_slice(notes, sizeof(notes)),
                                             .flags = i % 2 ? WIRE_LARGE : 0 });
    }
    cores_run(c, 2);
    for (size_t i = 0; i < SYNCS_MAX; i++)
        used += c->at[0].g->syncs.all[i].used;
    assert_true(used <= SYNC_OUT_MAX + 2);
    cores_run(c, 10);
    assert_true(c->at[2].heard - heard <= 100 + 20); /* a pull for each of the small ones */
    cores_run(c, 2 * SYNC_TIMEOUT_MS);
    for (size_t i = 0; i < SYNCS_MAX; i++)
        assert_false(c->at[0].g->syncs.all[i].used);
    cores_free(c);
}

/* ---- where no datagram passes ---- */

static uint64_t
exchanges(const struct cores *c)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < c->count; i++)
        n += counters(c, i).syncs;
    return n;
}

/* Given  two nodes, then five, one of which is reached by TCP alone
 * When   it writes, and another does
 * Then   each has what the other wrote within two periods: a probe that only a stream answers finds
 *        out that they differ. And while they do not, no exchange is begun */
static void
test_streams_alone_are_enough(void **state)
{
    static const unsigned sizes[] = { 2, 5 };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(sizes); i++) {
        struct cores *c = cores_settled(sizes[i]);
        struct gs_version there, here;
        uint64_t before;

        isolate(c, 1, CUT_UDP);
        there = core_put(c, 1, "there", GS_SLICE("v"), false);
        here = core_put(c, 0, "here", GS_SLICE("v"), false);
        assert_until(c, roots_equal, 0, 2 * (PROBE_MS + PROBE_TIMEOUT_MS));
        assert_true(core_has(c, 0, "there", &there));
        assert_true(core_has(c, 1, "here", &here));
        cores_run(c, 2000);
        before = exchanges(c);
        cores_run(c, 60000);
        assert_int_equal(exchanges(c), before);
        assert_true(all_know_all(c, 0));
        cores_free(c);
    }
}

static void
split(struct cores *c, unsigned what)
{
    for (unsigned a = 0; a < c->count / 2; a++) {
        for (unsigned b = c->count / 2; b < c->count; b++)
            cut(c, a, b, what);
    }
}

static bool
halves_are_apart(const struct cores *c, unsigned unused)
{
    (void)unused;
    for (unsigned i = 0; i < c->count; i++) {
        if (members_live(&c->at[i].g->members) != c->count / 2 - 1)
            return false;
    }
    return true;
}

/* Given  four nodes, two halves of which were cut off until they buried each other
 * When   streams pass again, and datagrams do not
 * Then   they find each other, and what was written meanwhile is everywhere */
static void
test_streams_alone_end_a_partition(void **state)
{
    struct cores *c = cores_settled(4);
    struct gs_version there;

    (void)state;
    split(c, CUT_ALL);
    assert_until(c, halves_are_apart, 0, 120000);
    there = core_put(c, 1, "there", GS_SLICE("v"), false);
    split(c, CUT_UDP);
    assert_until(c, all_know_all, 0, 300000);
    assert_until(c, roots_equal, 0, 10000);
    assert_true(core_has(c, 3, "there", &there));
    cores_free(c);
}

/* Given  eight nodes, two of which do not hear each other's datagrams, and one that writes and
 *        writes
 * Then   others reach both, and answer for them before a stream does: of 600 changes not one in
 *        fifty makes for an exchange, and those are begun behind datagrams, as ever */
static void
test_one_way_less_is_no_flood(void **state)
{
    struct cores *c = cores_settled(8);
    uint64_t before;

    (void)state;
    cut(c, 2, 5, CUT_UDP);
    before = exchanges(c);
    for (unsigned i = 0; i < 600; i++) {
        (void)core_put(c, 0, "changing", gs_slice((const char *)&i, sizeof(i)), false);
        cores_run(c, 100);
    }
    assert_until(c, roots_equal, 0, 1000);
    assert_in_range(exchanges(c) - before, 0, 600 / 50);
    assert_true(counters(c, 2).sent[GOSSIP_STREAM] > 10); /* and it was tried */
    cores_free(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missed_news_cost_what_they_are),
        cmocka_unit_test(test_many_frames),
        cmocka_unit_test(test_halves_unite),
        cmocka_unit_test(test_tombstones_go_without_strife),
        cmocka_unit_test(test_floor_is_not_of_the_future),
        cmocka_unit_test(test_garbage_ends_a_stream),
        cmocka_unit_test(test_no_proof_no_service),
        cmocka_unit_test(test_wrong_order),
        cmocka_unit_test(test_silence_ends_a_stream),
        cmocka_unit_test(test_busy_server_says_so),
        cmocka_unit_test(test_crowd_at_one_seed),
        cmocka_unit_test(test_flood_of_announcements),
        cmocka_unit_test(test_streams_alone_are_enough),
        cmocka_unit_test(test_streams_alone_end_a_partition),
        cmocka_unit_test(test_one_way_less_is_no_flood),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
