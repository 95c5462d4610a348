/* test_hostile.c - packets from those who mean harm: without the group's key they change nothing,
 * with it they may lie about themselves, but bring nobody down. */
#include "tests/unit/cores.h"

#include "gossip/transaction.h"

/* ---- without the key ---- */

struct picture { /* what a packet could have changed */
    struct gossip_counters n;
    uint64_t roots[WIRE_CLASSES];
    struct gs_digest nodes;
    enum gossip_standing standing;
    size_t sessions;
};

static struct picture
look(const struct cores *c, unsigned i)
{
    struct gossip *g = c->at[i].g;
    struct picture p = { .n = counters(c, i),
                         .standing = gossip_standing(g),
                         .sessions = box_sessions(g->box) };
    struct gs_buf all;
    struct gossip_record r;
    struct gossip_node n;

    gossip_roots(g, p.roots);
    gs_buf_init(&all, 1 << 24);
    for (size_t at = 0; gossip_next_node(g, &at, &n);) {
        (void)gs_buf_put(&all, n.id.bytes, sizeof(n.id.bytes));
        (void)gs_buf_printf(&all, "%d %d %d %d %d", (int)n.state, (int)n.boot, (int)n.incarnation,
                            (int)n.since_ms, (int)n.rtt_us);
        (void)gs_buf_put_slice(&all, n.name);
    }
    for (size_t at = 0; gossip_next_record(g, &at, &r);)
        (void)gs_buf_put_slice(&all, r.bytes);
    p.nodes = seal_digest(gs_buf_slice(&all));
    gs_buf_fini(&all);
    return p;
}

/* Nothing but the counters of what was received and refused. */
static void
assert_same(struct picture *before, struct picture *after)
{
    memcpy(before->n.received, after->n.received, sizeof(before->n.received));
    memcpy(before->n.received_bytes, after->n.received_bytes, sizeof(before->n.received_bytes));
    memcpy(before->n.refused_packets, after->n.refused_packets, sizeof(before->n.refused_packets));
    assert_memory_equal(&before->n, &after->n, sizeof(before->n));
    assert_memory_equal(before->roots, after->roots, sizeof(before->roots));
    assert_memory_equal(&before->nodes, &after->nodes, sizeof(before->nodes));
    assert_int_equal(before->standing, after->standing);
    assert_int_equal(before->sessions, after->sessions);
}

static uint64_t
refused(const struct cores *c, unsigned i)
{
    struct gossip_counters n = counters(c, i);
    uint64_t sum = 0;

    for (unsigned k = 0; k < GOSSIP_REFUSALS; k++)
        sum += n.refused_packets[k];
    return sum;
}

static void
assert_no_reply(struct cores *c, unsigned i)
{
    struct gossip_action a;

    assert_false(gossip_next_action(c->at[i].g, c->now_ms, &a));
}

static void
feed(struct cores *c, unsigned to, const struct gs_addr *from, const char *bytes, size_t len)
{
    gossip_recv(c->at[to].g, c->now_ms, cores_wall(c), from, gs_slice(bytes, len));
}

/* Given  a mesh at rest
 * When   a node receives a thousand datagrams of noise, and one of each length
 * Then   each is counted, nothing changes, and none is answered */
static void
test_junk_changes_nothing(void **state)
{
    struct cores *c = cores_settled(3);
    struct gs_addr stranger = core_address(30);
    struct picture before = look(c, 0), after;
    uint64_t count = refused(c, 0);
    struct gs_rng rng;
    char bytes[PACKET_BYTES_MAX + 100];

    (void)state;
    gs_rng_init(&rng, 1);
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        for (size_t k = 0; k < len; k++)
            bytes[k] = (char)gs_rng_next(&rng);
        if (len % 2 && len > 0)
            bytes[0] = (char)0xc1; /* ours, by its first byte */
        feed(c, 0, &stranger, bytes, len);
        assert_no_reply(c, 0);
    }
    after = look(c, 0);
    assert_same(&before, &after);
    assert_int_equal(refused(c, 0), count + sizeof(bytes) + 1);
    cores_free(c);
}

/* Given  a packet that was taken
 * When   it comes again, and with each of its bits turned over
 * Then   nothing changes, and none is answered */
static void
test_replayed_and_forged_change_nothing(void **state)
{
    struct cores *c = cores_settled(3);
    struct gs_addr stranger = core_address(30);
    struct picture before, after;
    char bytes[PACKET_BYTES_MAX];
    size_t len, first = c->datagrams;
    unsigned to;

    (void)state;
    while (c->datagrams == first)
        cores_step(c, c->now_ms + 1000);
    len = c->caught_len;
    memcpy(bytes, c->caught, len);
    for (to = 0; to < 3; to++) {
        uint64_t count = refused(c, to);

        before = look(c, to);
        for (size_t bit = 0; bit < 8 * len; bit++) {
            /* Sender and session name who it is from; with those changed it is forged as well. */
            bytes[bit / 8] ^= (char)(1 << bit % 8);
            feed(c, to, &stranger, bytes, len);
            bytes[bit / 8] ^= (char)(1 << bit % 8);
            assert_no_reply(c, to);
        }
        after = look(c, to);
        assert_same(&before, &after);
        assert_int_equal(refused(c, to), count + 8 * len);
    }
    cores_free(c);
}

/* Given  recordings of all that was ever said, and a receiver that was restarted
 * When   they are played to it, from whatever address
 * Then   it takes none of it, and says no more than one challenge a second for each sender */
static void
test_recordings_change_nothing(void **state)
{
    struct cores *c = cores_settled(3);
    struct gs_addr stranger = core_address(30);
    struct picture before, after;
    struct gossip_action a;
    char *tape = malloc(200 * PACKET_BYTES_MAX);
    size_t lens[200], count = 0, replies = 0;

    (void)state;
    while (count < 200) {
        size_t seen = c->datagrams;

        cores_step(c, c->now_ms + 1000);
        if (c->datagrams == seen)
            continue;
        memcpy(tape + count * PACKET_BYTES_MAX, c->caught, c->caught_len);
        lens[count++] = c->caught_len;
    }
    core_kill(c, 0, false);
    core_new(c, 0, 101);
    core_restore(c, 0);
    core_join(c, 0, CORES_MAX);
    while (gossip_next_action(c->at[0].g, c->now_ms, &a))
        ;
    before = look(c, 0);
    for (size_t i = 0; i < count; i++) {
        feed(c, 0, &stranger, tape + i * PACKET_BYTES_MAX, lens[i]);
        while (gossip_next_action(c->at[0].g, c->now_ms, &a)) {
            assert_int_equal(a.type, GOSSIP_SEND);
            assert_true(a.bytes.len <= lens[i]);
            replies++;
        }
    }
    after = look(c, 0);
    assert_true(replies <= 3);
    assert_memory_equal(&before.nodes, &after.nodes, sizeof(before.nodes));
    assert_memory_equal(before.roots, after.roots, sizeof(before.roots));
    assert_int_equal(before.standing, after.standing);
    assert_int_equal(before.n.news, after.n.news);
    free(tape);
    cores_free(c);
}

/* ---- with the key ---- */

static struct wire_record
operator_record(const char *key, uint64_t generation, uint64_t hlc, const struct gs_id *writer)
{
    return (struct wire_record){ .r = { .class = GOSSIP_OPERATOR,
                                        .kind = CORES_KIND,
                                        .key = gs_slice_str(key),
                                        .value = GS_SLICE("v"),
                                        .version = { generation, hlc, *writer },
                                        .born_hlc = hlc } };
}

static void
put_pair(struct cores *c, unsigned at, const char *value)
{
    struct gossip_op ops[2] = {
        { CORES_KIND, GS_SLICE("a"), gs_slice_str(value), false, NULL },
        { CORES_KIND, GS_SLICE("b"), gs_slice_str(value), false, NULL },
    };
    struct gossip_put_result results[2];
    struct gs_why why;

    assert_int_equal(gossip_put(c->at[at].g, c->now_ms, cores_wall(c), ops, 2, results, &why),
                     GS_E_OK);
    core_drain(c, at);
}

/* Given  a record whose clock is ahead, so that the next clock of the receiver is known
 * When   a member puts something where the list of the next transaction will be
 * Then   the transaction is written all the same */
static void
test_guessed_transaction(void **state)
{
    struct cores *c = cores_with_intruder(2);
    uint64_t hlc = (cores_wall(c) + 30000) << 16;
    char key[TRANSACTION_KEY_BYTES + 1];
    struct wire_record w = operator_record("x", 1, hlc, &c->at[2].id);

    (void)state;
    intruder_record(c, 2, 0, &w);
    cores_run(c, 5);
    (void)transaction_key(transaction_id(&c->at[0].id, hlc + 1), key);
    w = operator_record(key, 1000, hlc, &c->at[2].id);
    intruder_record(c, 2, 0, &w);
    cores_run(c, 5);
    put_pair(c, 0, "one");
    assert_until(c, roots_equal, 0, 5000);
    cores_free(c);
}

/* Given  a record at the place of a transaction's list that says to be part of that transaction
 * When   it is replaced
 * Then   what is dropped is not what was just put there */
static void
test_list_of_itself(void **state)
{
    struct cores *c = cores_with_intruder(2);
    char key[TRANSACTION_KEY_BYTES + 1];
    struct gs_buf list;

    (void)state;
    (void)transaction_key(77, key);
    gs_buf_init(&list, 4096);
    for (uint64_t generation = 1; generation < 5; generation++) {
        struct wire_record w = operator_record(key, generation, 5, &c->at[2].id);
        struct gossip_member self = { .key = w.r.key, .version = w.r.version };

        self.version.generation = generation - generation % 2 + 1;
        w.r.transaction = 77;
        w.r.transaction_count = 2;
        if (generation != 2) {
            gs_buf_clear(&list);
            assert_int_equal(wire_put_members(&list, &self, 1), GS_E_OK);
            w.r.kind = GOSSIP_KIND_TRANSACTION;
            w.r.value = gs_buf_slice(&list);
        }
        intruder_record(c, 2, 0, &w);
        cores_run(c, 3);
    }
    cores_run(c, 2000);
    assert_until(c, roots_equal, 0, 5000);
    gs_buf_fini(&list);
    cores_free(c);
}

/* Given  a record with ancestors, but none that it replaced
 * When   it is offered, and an operator writes that key
 * Then   it is refused as malformed, and the edit is made */
static void
test_ancestors_out_of_nowhere(void **state)
{
    struct cores *c = cores_with_intruder(2);
    struct wire_record w = operator_record("k", 1, 5, &c->at[2].id);
    uint64_t malformed = counters(c, 0).malformed;
    struct gs_buf bytes;
    struct gs_slice list[1];

    (void)state;
    w.lineage = GS_SLICE("abcd");
    gs_buf_init(&bytes, 4096);
    assert_int_equal(wire_put_record(&bytes, &w), GS_E_OK);
    list[0] = gs_buf_slice(&bytes);
    intruder_send(c, 2, 0, &(struct wire_packet){ .records = list, .record_count = 1 });
    cores_run(c, 5);
    gs_buf_fini(&bytes);
    assert_int_equal(counters(c, 0).malformed, malformed + 1);
    (void)core_put(c, 0, "k", GS_SLICE("v"), false);
    assert_until(c, roots_equal, 0, 5000);
    cores_free(c);
}

/* Given  operators' records in a node's own name that it never wrote, with the last of all clocks
 * When   they are taken, saved, and the node starts again
 * Then   it can still write */
static void
test_forged_clock(void **state)
{
    struct cores *c = cores_with_intruder(2);

    (void)state;
    for (uint64_t off = 0; off < 2; off++) {
        struct wire_record w = operator_record("k", 1, UINT64_MAX - off, &c->at[0].id);

        w.r.key = off ? GS_SLICE("k") : GS_SLICE("l");
        intruder_record(c, 2, 0, &w);
    }
    cores_run(c, 10);
    core_kill(c, 0, false);
    core_new(c, 0, 101);
    core_restore(c, 0);
    core_join(c, 0, 1);
    for (unsigned i = 0; i < 3; i++)
        (void)core_put(c, 0, "m", gs_slice(&i, sizeof(i)), false);
    assert_until(c, all_know_all, 0, 5000);
    cores_free(c);
}

/* Given  the state file of another node, in which we are remembered with a higher boot
 * When   we start with it
 * Then   we go on above that */
static void
test_file_of_another(void **state)
{
    struct cores *c = cores_settled(3);

    (void)state;
    core_put_own(c, 0, "ep", "v");
    cores_run(c, 1000);
    core_save(c, 1);
    core_kill(c, 0, false);
    free(c->at[0].saved);
    c->at[0].saved = malloc(c->at[1].saved_len);
    c->at[0].saved_len = c->at[1].saved_len;
    memcpy(c->at[0].saved, c->at[1].saved, c->at[1].saved_len);
    core_new(c, 0, 7);
    core_restore(c, 0);
    assert_true(gossip_self(c->at[0].g).boot > 100);
    core_join(c, 0, 1);
    core_put_own(c, 0, "ep", "again");
    assert_until(c, is_settled, 0, 10000);
    cores_free(c);
}

/* Given  records in the name of a node that lives, about things it never said
 * When   others take them
 * Then   the node withdraws them, and all agree */
static void
test_words_in_its_mouth(void **state)
{
    static const uint64_t boots[] = { 50, 100, 101, 5000, BOOT_MAX - 1, BOOT_MAX };
    struct cores *c = cores_with_intruder(3);

    (void)state;
    for (size_t i = 0; i < GS_COUNT(boots); i++) {
        struct wire_record w = { .r = { .class = GOSSIP_OWNER,
                                        .kind = CORES_KIND,
                                        .key = GS_SLICE("lie"),
                                        .value = GS_SLICE("v"),
                                        .version = { boots[i], UINT64_MAX / 2, c->at[1].id } } };

        intruder_record(c, 3, 0, &w);
        intruder_record(c, 3, 1, &w);
        w.r.kind = 1 + i % 2; /* the store's own */
        w.r.key = GS_SLICE("node");
        intruder_record(c, 3, 1, &w);
        w.r.tombstone = true;
        w.r.value = GS_SLICE_NONE;
        intruder_record(c, 3, 1, &w);
        cores_run(c, 3000);
        assert_int_equal(state_at(c, 0, 1), GOSSIP_ALIVE);
    }
    cores_free(c);
}

/* Given  records of many owners whom nobody knows, and claims about as many nodes
 * When   a member pours them out
 * Then   what they fill is bounded and counted, and everybody goes on */
static void
test_flood_of_strangers(void **state)
{
    struct cores *c = cores_with_intruder(2);
    char claims[20 * WIRE_CLAIM_BYTES];

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        for (unsigned k = 0; k < 20; k++) {
            struct wire_claim claim = { .id = core_id(k), .boot = 1 + i, .incarnation = k };

            claim.id.bytes[0] = (uint8_t)i;
            claim.id.bytes[1] = (uint8_t)(i * 7);
            claim.state = (enum gossip_state)(GOSSIP_ALIVE + (i + k) % 4);
            wire_put_claim(claims + k * WIRE_CLAIM_BYTES, &claim);
        }
        intruder_send(c, 2, 0, &(struct wire_packet){ .claims = gs_slice(claims, sizeof(claims)) });
        cores_run(c, 1);
    }
    cores_run(c, 30000);
    assert_int_equal(state_at(c, 0, 1), GOSSIP_ALIVE);
    assert_int_equal(state_at(c, 1, 0), GOSSIP_ALIVE);
    cores_run(c, 600000);
    assert_int_equal(c->at[0].g->members.count, 1);
    assert_int_equal(c->at[1].g->members.count, 1);
    cores_free(c);
}

/* Given  more tombstones than are kept, one of which is the former version of what is to be written
 * When   a transaction deletes one thing more and writes that key
 * Then   it is written, although its former version is dropped in the middle */
static void
test_former_is_swept_while_writing(void **state)
{
    struct gossip *g = gossip_new(&(struct gossip_options){ .self = core_id(0), .boot = 1 });
    struct gossip_op ops[2] = { { CORES_KIND, GS_SLICE("key0001"), GS_SLICE_NONE, true, NULL },
                                { CORES_KIND, GS_SLICE("key0000"), GS_SLICE("v"), false, NULL } };
    struct gossip_put_result results[2];
    struct gossip_event ev;
    struct gossip_record r;
    char key[16];

    (void)state;
    for (unsigned i = 0; i < TOMBSTONES_MIN + 1; i++) {
        unsigned at = i < 2 ? 1 - i : i; /* 0001 lives on */
        struct gossip_op op = { CORES_KIND, GS_SLICE_NONE, GS_SLICE("v"), false, NULL };

        (void)snprintf(key, sizeof(key), "key%04u", at);
        op.key = gs_slice_str(key);
        assert_int_equal(gossip_put(g, i, CORES_WALL + i, &op, 1, results, NULL), GS_E_OK);
        op.remove = true;
        if (i != 0)
            assert_int_equal(gossip_put(g, i, CORES_WALL + i, &op, 1, results, NULL), GS_E_OK);
        while (gossip_next_event(g, &ev))
            ;
        gossip_tick(g, i);
    }
    assert_int_equal(gossip_put(g, 9999, CORES_WALL + 9999, ops, 2, results, NULL), GS_E_OK);
    assert_true(gossip_find(g, GOSSIP_OPERATOR, NULL, GS_SLICE("key0000"), &r));
    assert_false(r.tombstone);
    while (gossip_next_event(g, &ev))
        ;
    gossip_check(g);
    gossip_free(g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_junk_changes_nothing),
        cmocka_unit_test(test_replayed_and_forged_change_nothing),
        cmocka_unit_test(test_recordings_change_nothing),
        cmocka_unit_test(test_guessed_transaction),
        cmocka_unit_test(test_list_of_itself),
        cmocka_unit_test(test_ancestors_out_of_nowhere),
        cmocka_unit_test(test_forged_clock),
        cmocka_unit_test(test_file_of_another),
        cmocka_unit_test(test_words_in_its_mouth),
        cmocka_unit_test(test_flood_of_strangers),
        cmocka_unit_test(test_former_is_swept_while_writing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
