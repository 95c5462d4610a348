/* test_probe.c - who is noticed to be gone, how soon, and who is not. */
#include "tests/unit/cores.h"

/* The longest that a silent node may live on in the others' tables: it is probed once a round, and
 * then comes a suspicion, confirmed by the helpers' negative answers or not at all. */
static uint64_t
bound_ms(const struct cores *c)
{
    uint64_t round = (uint64_t)c->count * PROBE_MS * 3; /* health goes down meanwhile */

    return round + PROBE_TIMEOUT_MS * 6 + SUSPECT_MIN_MS * SUSPECT_MAX_FACTOR * 2;
}

/* Given  ten nodes
 * When   one host vanishes without a word, and comes back two minutes later
 * Then   it is suspected, then dead everywhere within the bound, nobody else is; back again it
 *        refutes with a higher incarnation, and all believe it */
static void
test_silent_host_is_suspected_then_dead(void **state)
{
    struct cores *c = cores_settled(10);
    struct gossip_node n;

    (void)state;
    isolate(c, 7, CUT_ALL);
    assert_until(c, some_suspect, 7, 10 * PROBE_MS + 3000);
    assert_until(c, all_say_dead, 7, bound_ms(c));
    for (unsigned i = 0; i < c->count; i++) {
        for (unsigned other = 0; i != 7 && other < c->count; other++)
            assert_true(other == i || other == 7 || state_at(c, i, other) == GOSSIP_ALIVE);
        assert_true(i == 7 || c->at[i].deaths == 1);
    }
    cores_run(c, 120000);
    isolate(c, 7, 0);
    assert_until(c, all_know_all, 0, 20000);
    assert_true(gossip_find_node(c->at[2].g, &c->at[7].id, &n));
    assert_true(n.incarnation > 1);
    assert_int_equal(n.boot, 100);
    assert_until(c, is_settled, 0, 30000);
    cores_free(c);
}

/* Given  eight nodes, two of which cannot reach each other by any means
 * When   minutes pass
 * Then   their helpers contradict: nobody dies, and hardly anybody is suspected */
static void
test_broken_link_is_contradicted(void **state)
{
    struct cores *c = cores_settled(8);

    (void)state;
    cut(c, 2, 5, CUT_ALL);
    cores_run(c, 300000);
    for (unsigned i = 0; i < c->count; i++) {
        assert_int_equal(c->at[i].deaths, 0);
        assert_int_equal(counters(c, i).suspicions, 0);
    }
    assert_true(counters(c, 2).probes > 100);
    assert_true(is_settled(c, 0));
    cores_free(c);
}

/* Given  six nodes, one of which hears nobody but is heard, as behind a filter
 * When   it accuses the others
 * Then   none of them dies; only its own state may change */
static void
test_one_way_cut_kills_no_third(void **state)
{
    struct cores *c = cores_settled(6);

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        if (i != 4)
            c->cut[i][4] = CUT_ALL;
    }
    cores_run(c, 300000);
    for (unsigned i = 0; i < 6; i++) {
        for (unsigned other = 0; i != 4 && other < 6; other++)
            assert_true(other == i || other == 4 || state_at(c, i, other) == GOSSIP_ALIVE);
        assert_true(i == 4 || c->at[i].deaths <= 1);
    }
    cores_free(c);
}

/* Given  three nodes, one of which is reached by TCP alone
 * When   minutes pass
 * Then   it is never suspected: the probe by stream answers */
static void
test_tcp_keeps_alive(void **state)
{
    struct cores *c = cores_settled(3);

    (void)state;
    isolate(c, 1, CUT_UDP);
    cores_run(c, 120000);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(counters(c, i).suspicions + c->at[i].deaths, 0);
    assert_true(counters(c, 0).sent[GOSSIP_STREAM] > 10);
    cores_free(c);
}

/* Given  six nodes
 * When   the process of one ends, and the kernel of its host says so to who probes it
 * Then   two others hear the same when asked: it is dead everywhere some milliseconds after the
 *        first knew, without any suspicion */
static bool
one_says_dead(const struct cores *c, unsigned subject)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (c->at[i].g && state_at(c, i, subject) == GOSSIP_DEAD)
            return true;
    }
    return false;
}

static bool
one_looks(const struct cores *c, unsigned subject)
{
    (void)subject;
    for (unsigned i = 0; i < c->count; i++) {
        for (size_t k = 0; c->at[i].g && k < PROBE_GONES_MAX; k++) {
            if (c->at[i].g->probes.gones[k].used)
                return true;
        }
    }
    return false;
}

static void
test_process_gone_is_dead_at_once(void **state)
{
    struct cores *c = cores_settled(6);

    (void)state;
    core_kill(c, 3, false);
    assert_until(c, one_looks, 3, 3000);
    assert_until(c, one_says_dead, 3, 10);
    assert_until(c, all_say_dead, 3, 60);
    for (unsigned i = 0; i < 6; i++) {
        if (i == 3)
            continue;
        assert_int_equal(counters(c, i).suspicions, 0);
        assert_int_equal(c->at[i].deaths, 1);
    }
    cores_free(c);
}

/* Given  four nodes, of which one's host sends "nobody listens there" to another by mistake
 * When   that one asks two others
 * Then   they reach it, and it stays alive */
static void
test_gone_is_contradicted(void **state)
{
    struct cores *c = cores_settled(4);

    (void)state;
    gossip_unreachable(c->at[0].g, c->now_ms, &c->at[2].address);
    core_drain(c, 0);
    assert_true(one_looks(c, 2));
    cores_run(c, 5000);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(counters(c, i).suspicions + c->at[i].deaths, 0);
    cores_free(c);
}

/* Given  six nodes, just after one was probed by another
 * When   its process ends, and that other's connection with it
 * Then   it is asked out of turn: dead everywhere in less time than a probe takes to come round */
static void
test_doubt_is_looked_into(void **state)
{
    struct cores *c = cores_settled(6);

    (void)state;
    core_kill(c, 3, false);
    gossip_doubt(c->at[1].g, c->now_ms, &c->at[3].id);
    core_drain(c, 1);
    assert_until(c, all_say_dead, 3, 60);
    for (unsigned i = 0; i < 6; i++)
        assert_true(i == 3 || counters(c, i).suspicions == 0);
    gossip_doubt(c->at[1].g, c->now_ms, &c->at[3].id); /* nobody asks who is dead */
    gossip_doubt(c->at[1].g, c->now_ms, &(struct gs_id){ .bytes = { 0xee } });
    cores_free(c);
}

/* Given  six nodes
 * When   one doubts another, again and again, which is well
 * Then   it answers, and nothing else comes of it */
static void
test_doubt_is_no_accusation(void **state)
{
    struct cores *c = cores_settled(6);

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        gossip_doubt(c->at[1].g, c->now_ms, &c->at[3].id);
        core_drain(c, 1);
        cores_run(c, 10);
    }
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(counters(c, i).suspicions + c->at[i].deaths, 0);
    cores_free(c);
}

/* Given  two nodes
 * When   the process of one ends
 * Then   there is nobody to ask: the first "nobody listens there" is its death */
static void
test_gone_of_two(void **state)
{
    struct cores *c = cores_settled(2);

    (void)state;
    core_kill(c, 1, false);
    assert_until(c, all_say_dead, 1, PROBE_MS * 2 + 10);
    assert_int_equal(counters(c, 0).suspicions, 0);
    cores_free(c);
}

/* Given  a node that was replaced at its address by another one with a new id
 * When   the new one's process ends
 * Then   the word of its host is taken for the new one, who is alive, and not for the old one */
static void
test_gone_is_the_one_that_lives_there(void **state)
{
    struct cores *c = cores_settled(2);

    (void)state;
    core_kill(c, 1, false);
    assert_until(c, all_say_dead, 1, 5000);
    c->at[1].id.bytes[0] = 0xfe; /* behind the old one in order */
    core_new(c, 1, 100);
    core_join(c, 1, 0);
    assert_until(c, all_say_alive, 1, 1000);
    cores_run(c, 3000);
    core_kill(c, 1, false);
    gossip_unreachable(c->at[0].g, c->now_ms, &c->at[1].address);
    assert_true(all_say_dead(c, 1)); /* of two: at once */
    cores_free(c);
}

static bool
is_asking_others(const struct cores *c, unsigned i)
{
    return c->at[i].g->probes.own.phase == PROBE_INDIRECT;
}

/* Given  a node that waits for its helpers' answers about a cut-off one
 * When   it stands still for ten seconds, and the first thing it reads then is somebody's ping
 * Then   it accuses nobody, and thinks worse of itself */
static void
test_stall_accuses_nobody(void **state)
{
    struct cores *c = cores_settled(4);
    struct gossip_counters before, after;

    (void)state;
    isolate(c, 3, CUT_ALL);
    assert_until(c, is_asking_others, 0, 20000);
    before = counters(c, 0);
    c->now_ms += 10000;
    probe_take(c->at[0].g, c->now_ms, box_name(&c->at[1].id), &c->at[1].address,
               &(struct wire_probe){ .type = WIRE_PING, .sequence = 5, .target = c->at[0].id });
    core_tick(c, 0);
    after = counters(c, 0);
    assert_int_equal(after.suspicions, before.suspicions);
    assert_int_equal(after.deaths, before.deaths);
    assert_int_equal(after.stalls, before.stalls + 1);
    assert_int_equal(after.health, before.health + 1);
    cores_free(c);
}

/* Given  a node that suspects another
 * When   it stands still past the end of that suspicion
 * Then   the suspect gets the time it would have had */
static void
test_stall_prolongs_suspicion(void **state)
{
    struct cores *c = cores_settled(3);

    (void)state;
    isolate(c, 2, CUT_ALL);
    assert_until(c, some_suspect, 2, 20000);
    c->now_ms += 60000;
    for (unsigned i = 0; i < 3; i++)
        core_tick(c, i);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(c->at[i].deaths, 0);
    isolate(c, 2, 0);
    cores_run(c, 30000);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(c->at[i].deaths, 0);
    assert_true(all_know_all(c, 0));
    cores_free(c);
}

/* Given  a node in a mesh
 * When   an authentic member asks it to probe itself, or a node at its own address
 * Then   it says that it is there, and goes on */
static void
test_asked_to_probe_itself(void **state)
{
    struct cores *c = cores_with_intruder(2);
    size_t heard = c->at[2].heard;

    (void)state;
    intruder_send(c, 2, 0,
                  &(struct wire_packet){ .probe = { .type = WIRE_ASK,
                                                    .sequence = 9,
                                                    .target = c->at[0].id,
                                                    .address = c->at[0].address } });
    cores_run(c, 10);
    assert_int_equal(c->at[2].heard, heard + 1);
    intruder_send(c, 2, 0,
                  &(struct wire_packet){ .probe = { .type = WIRE_ASK,
                                                    .sequence = 9,
                                                    .target = c->at[1].id,
                                                    .address = c->at[0].address } });
    cores_run(c, 2000);
    assert_true(state_at(c, 1, 0) == GOSSIP_ALIVE && state_at(c, 0, 1) == GOSSIP_ALIVE);
    cores_free(c);
}

/* Given  a node that probes another
 * When   a third, whom it did not ask, says "I am here" with the right number
 * Then   the probe goes on */
static void
test_answer_of_a_stranger(void **state)
{
    struct cores *c = cores_with_intruder(2);
    const struct probe_own *o = &c->at[0].g->probes.own;

    (void)state;
    isolate(c, 1, CUT_ALL);
    while (o->phase == PROBE_IDLE || !gs_id_eq(&o->target, &c->at[1].id))
        cores_step(c, c->now_ms + 100);
    probe_take(c->at[0].g, c->now_ms, box_name(&c->at[2].id), &c->at[2].address,
               &(struct wire_probe){ .type = WIRE_ACK, .sequence = o->sequence });
    assert_int_not_equal(o->phase, PROBE_IDLE);
    cores_free(c);
}

/* Given  a member that asks for more probes than there is room for, of nodes that do not exist
 * When   their time is over
 * Then   each that was taken is answered, none is left, and the mesh is well */
static void
test_relays_are_bounded(void **state)
{
    struct cores *c = cores_with_intruder(2);
    size_t heard, used = 0;

    (void)state;
    heard = c->at[2].heard;
    for (unsigned i = 0; i < 3 * PROBE_RELAYS_MAX; i++) {
        struct gs_id nobody = core_id(20);

        nobody.bytes[3] = (uint8_t)i;
        nobody.bytes[4] = (uint8_t)(i >> 8);
        intruder_send(c, 2, 0,
                      &(struct wire_packet){ .probe = { .type = WIRE_ASK,
                                                        .sequence = i,
                                                        .target = nobody,
                                                        .address = core_address(20) } });
    }
    cores_run(c, 5);
    for (size_t i = 0; i < PROBE_RELAYS_MAX; i++)
        used += c->at[0].g->probes.relays[i].used;
    assert_int_equal(used, PROBE_RELAYS_MAX);
    cores_run(c, 1000);
    assert_true(c->at[2].heard - heard >= PROBE_RELAYS_MAX);
    assert_true(c->at[2].heard - heard <= PROBE_RELAYS_MAX + 20);
    cores_run(c, 10000);
    assert_true(is_settled(c, 0) || state_at(c, 0, 1) == GOSSIP_ALIVE);
    assert_int_equal(counters(c, 0).suspicions, 0);
    cores_free(c);
}

/* Given  a member that is said to be dead and alive again, a thousand times
 * When   each time it comes back into the round of probes
 * Then   it is there once, and the others get their turn */
static void
test_flapping_does_not_fill_the_round(void **state)
{
    struct cores *c = cores_settled(3);
    struct gossip *g = c->at[0].g;

    (void)state;
    for (uint32_t i = 2; i < 1002; i++) {
        struct wire_claim claim = {
            .id = c->at[1].id, .state = GOSSIP_DEAD, .boot = 100, .incarnation = i
        };

        (void)!member_merge(g, c->now_ms, &claim, false);
        claim.state = GOSSIP_ALIVE;
        claim.incarnation++;
        (void)!member_merge(g, c->now_ms, &claim, false);
    }
    core_drain(c, 0);
    assert_true(g->probes.round_count - g->probes.round_at <= 2);
    assert_true(g->probes.round_cap < 100);
    cores_free(c);
}

/* Given  a mesh at rest
 * When   minutes pass
 * Then   a node sends about two packets a second, and no stream is opened */
static void
test_idle_is_cheap(void **state)
{
    struct cores *c = cores_settled(8);
    size_t datagrams = c->datagrams, frames = c->frames;

    (void)state;
    cores_run(c, 100000);
    assert_true(c->datagrams - datagrams <= 8 * 210);
    assert_true(c->datagrams - datagrams >= 8 * 150);
    assert_int_equal(c->frames, frames);
    cores_free(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silent_host_is_suspected_then_dead),
        cmocka_unit_test(test_broken_link_is_contradicted),
        cmocka_unit_test(test_one_way_cut_kills_no_third),
        cmocka_unit_test(test_tcp_keeps_alive),
        cmocka_unit_test(test_process_gone_is_dead_at_once),
        cmocka_unit_test(test_gone_is_contradicted),
        cmocka_unit_test(test_gone_of_two),
        cmocka_unit_test(test_doubt_is_looked_into),
        cmocka_unit_test(test_doubt_is_no_accusation),
        cmocka_unit_test(test_gone_is_the_one_that_lives_there),
        cmocka_unit_test(test_stall_accuses_nobody),
        cmocka_unit_test(test_stall_prolongs_suspicion),
        cmocka_unit_test(test_asked_to_probe_itself),
        cmocka_unit_test(test_answer_of_a_stranger),
        cmocka_unit_test(test_relays_are_bounded),
        cmocka_unit_test(test_flapping_does_not_fill_the_round),
        cmocka_unit_test(test_idle_is_cheap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
