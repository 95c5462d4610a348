/* test_restart.c - a node said that it restarts: who is patient, for how long, and no longer. */
#include "tests/unit/cores.h"

static struct gossip_node
node_at(const struct cores *c, unsigned observer, unsigned subject)
{
    struct gossip_node n;

    assert_true(gossip_find_node(c->at[observer].g, &c->at[subject].id, &n));
    return n;
}

static bool
all_say_restarting(const struct cores *c, unsigned subject)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (c->at[i].g && i != subject &&
            (!node_at(c, i, subject).restarting || state_at(c, i, subject) != GOSSIP_ALIVE))
            return false;
    }
    return true;
}

static bool
nobody_says_restarting(const struct cores *c, unsigned subject)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (c->at[i].g && i != subject && node_at(c, i, subject).restarting)
            return false;
    }
    return true;
}

static bool
nobody_was_accused(const struct cores *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (c->at[i].deaths + c->at[i].suspects > 0)
            return false;
    }
    return true;
}

/* As the shell does: it says so, drives on until that is told, and is gone. */
static void
stop_for_restart(struct cores *c, unsigned i, bool silent)
{
    uint64_t began = c->now_ms;

    assert_false(gossip_restart_told(c->at[i].g));
    gossip_restart(c->at[i].g, c->now_ms);
    gossip_restart(c->at[i].g, c->now_ms);
    core_drain(c, i);
    while (!gossip_restart_told(c->at[i].g))
        cores_step(c, began + RESTART_TELL_MS);
    assert_in_range(c->now_ms - began, 1, 300);
    assert_true(gossip_self(c->at[i].g).restarting);
    core_kill(c, i, silent);
}

static void
start_again(struct cores *c, unsigned i, uint64_t boot, bool with_disk)
{
    core_new(c, i, boot);
    if (with_disk)
        core_restore(c, i);
    core_join(c, i, i == 0 ? 1 : 0);
}

/* Given  ten nodes
 * When   one says that it restarts, is gone and comes back just within its time, with its disk and
 *        without
 * Then   all list it as alive and restarting, nobody ever suspects it, and then it is at its new
 *        boot and restarts no more */
static void
test_a_return_in_time_is_no_death(void **state)
{
    for (unsigned with_disk = 0; with_disk < 2; with_disk++) {
        struct cores *c = cores_settled(10);

        (void)state;
        stop_for_restart(c, 3, false);
        cores_run(c, 50);
        assert_true(all_say_restarting(c, 3));
        cores_run(c, RESTART_GRACE_MS - 60);
        assert_true(all_say_restarting(c, 3));
        start_again(c, 3, 101, with_disk > 0);
        assert_until(c, nobody_says_restarting, 3, 300);
        assert_until(c, is_settled, 0, 5000);
        assert_int_equal(node_at(c, 0, 3).boot, 101);
        cores_run(c, 20000);
        assert_true(nobody_was_accused(c));
        cores_free(c);
    }
}

/* Given  two nodes, so that there is nobody to be asked about the other
 * Then   it is the same */
static void
test_two_nodes_are_enough(void **state)
{
    struct cores *c = cores_settled(2);

    (void)state;
    stop_for_restart(c, 1, false);
    cores_run(c, RESTART_GRACE_MS - 20);
    assert_true(all_say_restarting(c, 1));
    start_again(c, 1, 101, true);
    assert_until(c, nobody_says_restarting, 1, 300);
    cores_run(c, 10000);
    assert_true(nobody_was_accused(c));
    assert_int_equal(node_at(c, 0, 1).boot, 101);
    cores_free(c);
}

/* Given  ten nodes
 * When   one says that it restarts, and its process is gone for good
 * Then   it is alive for its five seconds, and dead everywhere within another two: what failed
 *        meanwhile is tried again at once, and no suspicion has to run */
static void
test_who_does_not_return_is_dead(void **state)
{
    struct cores *c = cores_settled(10);

    (void)state;
    stop_for_restart(c, 3, false);
    cores_run(c, RESTART_GRACE_MS - 10);
    assert_true(all_say_alive(c, 3));
    assert_until(c, all_say_dead, 3, RESTART_TELL_MS + 1500);
    assert_true(nobody_says_restarting(c, 3));
    start_again(c, 3, 101, true);
    assert_until(c, all_know_all, 0, 500);
    cores_free(c);
}

/* The host went, too: nothing answers, and from the end of its grace it goes the way of all. */
static void
test_a_silent_host_is_suspected_then(void **state)
{
    struct cores *c = cores_settled(5);
    uint64_t took;

    (void)state;
    stop_for_restart(c, 3, true);
    cores_run(c, RESTART_GRACE_MS - 10);
    assert_true(nobody_was_accused(c));
    assert_until(c, some_suspect, 3, RESTART_TELL_MS + 20);
    took = cores_until(c, all_say_dead, 3, 60000);
    assert_in_range(took, SUSPECT_MIN_MS / 2, SUSPECT_MIN_MS * SUSPECT_MAX_FACTOR + 10000);
    cores_free(c);
}

/* Given  a node that restarts
 * When   another joins that never heard it say so
 * Then   it knows: streams carry the mark as well */
static void
test_who_joins_meanwhile_hears_it(void **state)
{
    struct cores *c = cores_settled(5);

    (void)state;
    core_kill(c, 4, false);
    assert_until(c, all_say_dead, 4, 10000);
    stop_for_restart(c, 3, false);
    core_new(c, 4, 101);
    core_join(c, 4, 0);
    cores_run(c, 300);
    assert_true(node_at(c, 4, 3).restarting);
    assert_true(all_say_restarting(c, 3));
    cores_free(c);
}

/* Given  a node that said that it restarts, and then does not, for long
 * Then   nobody takes it for anything but alive; and when it is killed then, it is as always */
static void
test_a_long_drain_uses_it_up(void **state)
{
    struct cores *c = cores_settled(5);

    (void)state;
    gossip_restart(c->at[3].g, c->now_ms);
    core_drain(c, 3);
    cores_run(c, 30000);
    assert_true(all_say_alive(c, 3));
    assert_true(gossip_restart_told(c->at[3].g));
    assert_true(nobody_was_accused(c));
    cores_run(c, 1000);
    core_kill(c, 3, false);
    assert_until(c, all_say_dead, 3, RESTART_GRACE_MS + 3000);
    cores_free(c);
}

/* Leaving is the later word. */
static void
test_it_may_still_leave(void **state)
{
    struct cores *c = cores_settled(3);

    (void)state;
    gossip_restart(c->at[2].g, c->now_ms);
    core_drain(c, 2);
    cores_run(c, 100);
    gossip_leave(c->at[2].g, c->now_ms);
    assert_false(gossip_self(c->at[2].g).restarting);
    core_drain(c, 2);
    cores_run(c, 300);
    assert_true(all_say_left(c, 2));
    assert_true(nobody_says_restarting(c, 2));
    gossip_restart(c->at[2].g, c->now_ms);
    cores_free(c);
}

/* Given  a node that was killed
 * When   a liar says again and again, at ever higher incarnations, that it restarts
 * Then   that is believed once: there is one grace for a boot */
static void
test_one_grace_per_boot(void **state)
{
    struct cores *c = cores_with_intruder(3);
    struct wire_claim lie = {
        .id = c->at[2].id, .state = GOSSIP_ALIVE, .boot = 100, .incarnation = 2, .restarting = true
    };

    (void)state;
    core_kill(c, 2, false);
    intruder_claim(c, 3, 0, &lie);
    cores_run(c, 20);
    assert_true(all_say_restarting(c, 2));
    assert_until(c, all_say_dead, 2, RESTART_TELL_MS + RESTART_GRACE_MS + 1500);
    for (lie.incarnation = 3; lie.incarnation < 8; lie.incarnation++) {
        intruder_claim(c, 3, 0, &lie);
        cores_run(c, 5);
        assert_true(nobody_says_restarting(c, 2));
        assert_until(c, all_say_dead, 2, 5000);
    }
    cores_free(c);
}

/* Given  a node that was killed
 * When   a liar says again and again, at ever higher boots, that it restarts
 * Then   no word of a boot is believed of which no record came: who restarts has lived, and told
 *        where it is */
static void
test_no_grace_for_a_boot_that_never_was(void **state)
{
    struct cores *c = cores_with_intruder(3);
    struct wire_claim lie = {
        .id = c->at[2].id, .state = GOSSIP_ALIVE, .boot = 101, .incarnation = 1, .restarting = true
    };

    (void)state;
    core_kill(c, 2, false);
    assert_until(c, all_say_dead, 2, 5000);
    for (; lie.boot < 106; lie.boot++) {
        intruder_claim(c, 3, 0, &lie);
        cores_run(c, 5);
        assert_true(nobody_says_restarting(c, 2));
        assert_until(c, all_say_dead, 2, RESTART_GRACE_MS / 2);
    }
    cores_free(c);
}

/* Given  a node that lives
 * When   another is told that it restarts, and the way from there to it is cut until nobody speaks
 *        of that any more
 * Then   it hears of it by the next probe, and says otherwise: else whoever waits for nodes that
 *        restart would wait for this one for as long as it is heard */
static void
test_who_is_marked_hears_of_it(void **state)
{
    struct cores *c = cores_with_intruder(2);
    struct wire_claim lie = {
        .id = c->at[1].id, .state = GOSSIP_ALIVE, .boot = 100, .incarnation = 1, .restarting = true
    };

    (void)state;
    c->cut[0][1] = CUT_UDP;
    intruder_claim(c, 2, 0, &lie);
    cores_run(c, 4000);
    assert_true(node_at(c, 0, 1).restarting);
    assert_true(gs_list_empty(&c->at[0].g->rumors.claims));
    c->cut[0][1] = 0;
    assert_until(c, nobody_says_restarting, 1, 2 * PROBE_MS);
    assert_true(all_say_alive(c, 1));
    assert_int_equal(gossip_self(c->at[1].g).incarnation, 2);
    cores_free(c);
}

/* Given  a node that lives
 * When   a liar tells everybody, and then the node itself, that it restarts
 * Then   it says otherwise, and is believed */
static void
test_a_false_word_is_refuted(void **state)
{
    struct cores *c = cores_with_intruder(3);
    struct wire_claim lie = {
        .id = c->at[1].id, .state = GOSSIP_ALIVE, .boot = 100, .incarnation = 1, .restarting = true
    };

    (void)state;
    intruder_claim(c, 3, 0, &lie);
    intruder_claim(c, 3, 1, &lie);
    cores_run(c, 200);
    assert_true(nobody_says_restarting(c, 1));
    assert_int_equal(node_at(c, 0, 1).incarnation, 2);
    assert_int_equal(gossip_self(c->at[1].g).incarnation, 2);
    cores_free(c);
}

static enum member_merged
hear(struct cores *c, enum gossip_state s, uint32_t incarnation, bool restarting)
{
    struct wire_claim claim = { .id = c->at[2].id,
                                .state = s,
                                .boot = 100,
                                .incarnation = incarnation,
                                .accuser =
                                    s == GOSSIP_ALIVE ? (struct gs_id){ { 0 } } : c->at[1].id,
                                .restarting = restarting };
    enum member_merged m = member_merge(c->at[0].g, c->now_ms, &claim, false);

    gossip_check(c->at[0].g);
    return m;
}

/* Claims in any order: the word may come behind its own claim without the mark (an older node
 * passed that on), or behind a suspicion of it; while it holds, nobody's word against it counts. */
static void
test_the_order_of_words(void **state)
{
    struct cores *c = cores_settled(3);

    (void)state;
    assert_int_equal(hear(c, GOSSIP_ALIVE, 2, false), MEMBER_NEWS);
    assert_int_equal(hear(c, GOSSIP_SUSPECT, 2, false), MEMBER_NEWS);
    assert_int_equal(hear(c, GOSSIP_ALIVE, 2, true), MEMBER_NEWS);
    assert_true(node_at(c, 0, 2).restarting);
    assert_int_equal(state_at(c, 0, 2), GOSSIP_ALIVE);
    assert_int_equal(hear(c, GOSSIP_ALIVE, 2, true), MEMBER_STALE);
    assert_int_equal(hear(c, GOSSIP_SUSPECT, 2, false), MEMBER_STALE);
    assert_int_equal(hear(c, GOSSIP_DEAD, 7, false), MEMBER_STALE);
    assert_int_equal(hear(c, GOSSIP_ALIVE, 2, false), MEMBER_STALE);
    assert_true(node_at(c, 0, 2).restarting);
    /* What it says itself at a later incarnation stands. */
    assert_int_equal(hear(c, GOSSIP_ALIVE, 3, false), MEMBER_NEWS);
    assert_false(node_at(c, 0, 2).restarting);
    assert_int_equal(hear(c, GOSSIP_ALIVE, 3, true), MEMBER_NEWS);
    assert_true(node_at(c, 0, 2).restarting);
    /* Its time is up, and there is no other. */
    isolate(c, 2, CUT_ALL);
    core_drain(c, 0);
    cores_run(c, RESTART_TELL_MS + RESTART_GRACE_MS + 10);
    assert_false(node_at(c, 0, 2).restarting);
    assert_int_equal(hear(c, GOSSIP_ALIVE, 3, true), MEMBER_STALE);
    cores_free(c);
}

/* A process that stood still for the whole grace has not heard of the return: that is its fault. */
static void
test_own_stall_is_not_held_against_it(void **state)
{
    struct cores *c = cores_settled(3);
    struct core *me = &c->at[0];

    (void)state;
    assert_int_equal(hear(c, GOSSIP_ALIVE, 2, true), MEMBER_NEWS);
    member_suspect(me->g, c->now_ms, members_find(&me->g->members, &c->at[2].id));
    assert_int_equal(state_at(c, 0, 2), GOSSIP_ALIVE);
    gossip_tick(me->g, c->now_ms + 60000);
    assert_int_equal(state_at(c, 0, 2), GOSSIP_ALIVE);
    assert_true(node_at(c, 0, 2).restarting);
    cores_free(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_return_in_time_is_no_death),
        cmocka_unit_test(test_two_nodes_are_enough),
        cmocka_unit_test(test_who_does_not_return_is_dead),
        cmocka_unit_test(test_a_silent_host_is_suspected_then),
        cmocka_unit_test(test_who_joins_meanwhile_hears_it),
        cmocka_unit_test(test_a_long_drain_uses_it_up),
        cmocka_unit_test(test_it_may_still_leave),
        cmocka_unit_test(test_one_grace_per_boot),
        cmocka_unit_test(test_no_grace_for_a_boot_that_never_was),
        cmocka_unit_test(test_who_is_marked_hears_of_it),
        cmocka_unit_test(test_a_false_word_is_refuted),
        cmocka_unit_test(test_the_order_of_words),
        cmocka_unit_test(test_own_stall_is_not_held_against_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
