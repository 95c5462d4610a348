/* test_rumor.c - how news gets around: at once, all of it, and at a bounded price. */
#include "tests/unit/cores.h"

static struct gs_version wanted; /* of key "k" */

static bool
all_have_k(const struct cores *c, unsigned unused)
{
    (void)unused;
    for (unsigned i = 0; i < c->count; i++) {
        if (c->at[i].g && !core_has(c, i, "k", &wanted))
            return false;
    }
    return true;
}

/* Given  sixteen nodes at rest
 * When   one writes a record
 * Then   all have it after a few hops, of RUMOR_COALESCE_MS and a millisecond each */
static void
test_record_reaches_all_at_once(void **state)
{
    struct cores *c = cores_settled(16);
    size_t sent = c->datagrams;

    (void)state;
    wanted = core_put(c, 5, "k", GS_SLICE("value"), false);
    assert_until(c, all_have_k, 0, 8 * (RUMOR_COALESCE_MS + 2));
    cores_run(c, 1000);
    assert_true(c->datagrams - sent <= 16 * 24); /* copies, announcements, and a second of probes */
    assert_until(c, is_settled, 0, 1000);
    cores_free(c);
}

/* Given  eight nodes
 * When   one writes a record that fits no packet
 * Then   it is announced, and all pull it over streams */
static void
test_large_record_reaches_all(void **state)
{
    struct cores *c = cores_settled(8);
    char *value = calloc(1, RECORD_VALUE_MAX);

    (void)state;
    wanted = core_put(c, 2, "k", gs_slice(value, RECORD_VALUE_MAX), false);
    assert_until(c, all_have_k, 0, 1000);
    assert_until(c, is_settled, 0, 5000);
    free(value);
    cores_free(c);
}

static bool
all_have_200(const struct cores *c, unsigned unused)
{
    (void)unused;
    for (unsigned i = 0; i < c->count; i++) {
        if (counters(c, i).records < 200 + c->count)
            return false;
    }
    return true;
}

/* Given  ten nodes
 * When   one writes two hundred records in one breath
 * Then   all have all of them within a second */
static void
test_burst_arrives_everywhere(void **state)
{
    struct cores *c = cores_settled(10);

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        char key[16];
        char value[100] = { 0 };

        (void)snprintf(key, sizeof(key), "key%u", i);
        (void)core_put(c, 1, key, gs_slice(value, sizeof(value)), false);
    }
    assert_until(c, all_have_200, 0, 1000);
    assert_until(c, is_settled, 0, 5000);
    cores_free(c);
}

/* Given  six nodes, on each of which thirty records are written while others are
 * When   the writing ends
 * Then   all are everywhere within two seconds */
static void
test_bursts_of_all_arrive(void **state)
{
    struct cores *c = cores_settled(6);

    (void)state;
    for (unsigned round = 0; round < 30; round++) {
        for (unsigned i = 0; i < 6; i++) {
            char key[16];

            (void)snprintf(key, sizeof(key), "key%u.%u", i, round);
            (void)core_put(c, i, key, GS_SLICE("some value"), false);
        }
        cores_run(c, 3);
    }
    assert_until(c, is_settled, 0, 2000);
    assert_int_equal(counters(c, 0).records, 30 * 6 + 6);
    cores_free(c);
}

static bool
all_list_the_loser(const struct cores *c, unsigned unused)
{
    (void)unused;
    for (unsigned i = 0; i < c->count; i++) {
        struct gossip_former former[RECORD_HISTORY_MAX];
        size_t n, lost = 0;

        if (!c->at[i].g)
            continue;
        n = gossip_history(c->at[i].g, GS_SLICE("k"), former, RECORD_HISTORY_MAX);
        for (size_t k = 0; k < n; k++)
            lost += former[k].conflict;
        if (lost != 1)
            return false;
    }
    return true;
}

static void
write_at_two(struct cores *c, size_t bytes)
{
    char *value = calloc(1, bytes);

    (void)core_put(c, 0, "k", gs_slice(value, bytes), false);
    value[0] = 1;
    (void)core_put(c, c->count - 1, "k", gs_slice(value, bytes), false);
    free(value);
}

/* Given  twelve nodes
 * When   two write the same key at the same moment
 * Then   one wins, and every node lists the other: be they small, of a packet's size, or larger */
static void
test_loser_is_listed_everywhere(void **state)
{
    static const size_t sizes[] = { 10, 800, 5000 };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(sizes); i++) {
        struct cores *c = cores_settled(12);

        write_at_two(c, sizes[i]);
        assert_until(c, all_list_the_loser, 0, 3000);
        assert_until(c, is_settled, 0, 3000);
        cores_free(c);
    }
}

/* Given  a node that hears no datagrams for a while
 * When   two others write the same key at the same moment
 * Then   it lists the loser too, once it hears again */
static void
test_loser_is_listed_by_who_was_away(void **state)
{
    struct cores *c = cores_settled(4);

    (void)state;
    isolate(c, 1, CUT_ALL);
    write_at_two(c, 10);
    cores_run(c, 500);
    isolate(c, 1, 0);
    assert_until(c, all_list_the_loser, 0, 5000);
    cores_free(c);
}

/* Given  a node that has the winner, and missed the loser's packets
 * When   nothing else is written
 * Then   it comes to list the loser all the same */
static void
test_loser_alone_was_missed(void **state)
{
    struct cores *c = cores_settled(3);
    struct gossip_record winner;

    (void)state;
    isolate(c, 1, CUT_ALL);
    write_at_two(c, 10);
    cores_run(c, 300);
    assert_true(gossip_find(c->at[0].g, GOSSIP_OPERATOR, NULL, GS_SLICE("k"), &winner));
    gossip_take(c->at[1].g, c->now_ms, cores_wall(c), &c->at[0].id,
                &(struct wire_packet){ .records = &winner.bytes, .record_count = 1 }, true);
    core_drain(c, 1);
    cores_run(c, 500); /* the rumors are spent */
    isolate(c, 1, 0);
    assert_until(c, all_list_the_loser, 0, 10000);
    assert_until(c, is_settled, 0, 5000);
    cores_free(c);
}

/* Given  nine writers of one key that did not see each other
 * When   all have met
 * Then   digests agree although not all losers can be kept */
static void
test_more_losers_than_are_kept(void **state)
{
    struct cores *c = cores_settled(12);

    (void)state;
    for (unsigned i = 0; i < 12; i++)
        (void)core_put(c, i, "k", gs_slice(&"abcdefghijklm"[i], 1), false);
    assert_until(c, is_settled, 0, 10000);
    cores_run(c, 10000);
    assert_true(is_settled(c, 0));
    cores_free(c);
}

/* Given  one key that is edited fifty times while a node is away that had edited it before
 * When   that one is back with its edit, of which nobody can tell any more whether it was seen
 * Then   digests agree */
static void
test_long_lineage_converges(void **state)
{
    struct cores *c = cores_settled(4);

    (void)state;
    (void)core_put(c, 3, "k", GS_SLICE("old"), false);
    cores_run(c, 1000);
    isolate(c, 3, CUT_ALL);
    for (unsigned i = 0; i < RECORD_LINEAGE_MAX + 5; i++) {
        (void)core_put(c, i % 3, "k", gs_slice(&i, sizeof(i)), false);
        cores_run(c, 50);
    }
    isolate(c, 3, 0);
    assert_until(c, is_settled, 0, 60000);
    cores_free(c);
}

/* Given  a node at rest that is asked things by a member, a thousand times in one moment
 * When   it has nothing to tell
 * Then   each question costs one answer, and what waits to be sent is bounded if nobody drains */
static void
test_flood_of_pings_is_bounded(void **state)
{
    struct cores *c = cores_with_intruder(2);
    size_t heard = c->at[2].heard;
    struct gossip_action a;

    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        intruder_send(c, 2, 0,
                      &(struct wire_packet){
                          .probe = { .type = WIRE_PING, .sequence = i, .target = c->at[0].id } });
    cores_run(c, 5);
    assert_in_range(c->at[2].heard - heard, 1000, 1010);

    for (unsigned i = 0; i < OUTBOX_ACTIONS_MAX + 1000; i++)
        probe_take(c->at[0].g, c->now_ms, box_name(&c->at[2].id), &c->at[2].address,
                   &(struct wire_probe){ .type = WIRE_PING, .sequence = i, .target = c->at[0].id });
    assert_int_equal(c->at[0].g->outbox.count, OUTBOX_ACTIONS_MAX);
    assert_int_equal(counters(c, 0).actions_dropped, 1000);
    while (gossip_next_action(c->at[0].g, c->now_ms, &a))
        ;
    cores_free(c);
}

/* Given  a peer whose packets all carry a challenge, as if it did not know us
 * When   there is nothing to tell
 * Then   no packet is answered by more than one: two such nodes would never stop */
static void
test_challenges_do_not_echo_for_ever(void **state)
{
    struct cores *c = cores_settled(2);
    size_t sent;

    (void)state;
    core_kill(c, 1, false);
    core_new(c, 1, 101); /* its windows are empty, and so is its table of sessions */
    core_restore(c, 1);
    core_join(c, 1, 0);
    cores_run(c, 5000);
    sent = c->datagrams;
    cores_run(c, 10000);
    assert_true(c->datagrams - sent <= 45);
    cores_free(c);
}

/* Given  the last one to talk to is dead
 * When   a node writes
 * Then   it keeps no debt to nobody, and does not wake for it */
static void
test_nobody_to_tell(void **state)
{
    struct cores *c = cores_settled(2);

    (void)state;
    core_kill(c, 1, false);
    assert_until(c, all_say_dead, 1, 5000);
    (void)core_put(c, 0, "k", GS_SLICE("v"), false);
    cores_run(c, 1000);
    assert_int_equal(counters(c, 0).rumors, 0);
    core_new(c, 1, 101);
    core_restore(c, 1);
    core_join(c, 1, 0);
    assert_until(c, is_settled, 0, 5000);
    cores_free(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_reaches_all_at_once),
        cmocka_unit_test(test_large_record_reaches_all),
        cmocka_unit_test(test_burst_arrives_everywhere),
        cmocka_unit_test(test_bursts_of_all_arrive),
        cmocka_unit_test(test_loser_is_listed_everywhere),
        cmocka_unit_test(test_loser_is_listed_by_who_was_away),
        cmocka_unit_test(test_loser_alone_was_missed),
        cmocka_unit_test(test_more_losers_than_are_kept),
        cmocka_unit_test(test_long_lineage_converges),
        cmocka_unit_test(test_flood_of_pings_is_bounded),
        cmocka_unit_test(test_challenges_do_not_echo_for_ever),
        cmocka_unit_test(test_nobody_to_tell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
