/* test_member.c - who is in the mesh, and who wins between two claims about one of them. */
#include "tests/unit/cores.h"

/* Given  eight nodes of which seven know nothing but the address of the first
 * When   they are started at once
 * Then   each knows each other one as alive within half a second, and at rest all digests agree */
static void
test_all_join_by_one_seed(void **state)
{
    struct cores *c = cores_new(8);

    (void)state;
    cores_start(c);
    assert_until(c, all_know_all, 0, 500);
    assert_until(c, is_settled, 0, 5000);
    cores_run(c, 60000);
    for (unsigned i = 0; i < c->count; i++) {
        assert_int_equal(counters(c, i).suspicions, 0);
        assert_int_equal(c->at[i].opened, 1);
    }
    assert_true(is_settled(c, 0));
    cores_free(c);
}

/* Given  five nodes
 * When   one was killed and is started again a minute later, with a higher boot
 * Then   "dead" is superseded everywhere at once, at the new boot */
static void
test_restart_supersedes_dead(void **state)
{
    struct cores *c = cores_settled(5);
    struct gossip_node n;

    (void)state;
    core_kill(c, 3, false);
    assert_until(c, all_say_dead, 3, 10000);
    cores_run(c, 60000);
    core_new(c, 3, 101);
    core_restore(c, 3);
    core_join(c, 3, 0);
    assert_until(c, all_say_alive, 3, 200);
    assert_true(gossip_find_node(c->at[1].g, &c->at[3].id, &n));
    assert_int_equal(n.boot, 101);
    assert_until(c, is_settled, 0, 10000);
    cores_free(c);
}

static bool
boot_is_above_100(const struct cores *c, unsigned i)
{
    return gossip_self(c->at[i].g).boot > 100;
}

/* Given  a node whose disk was lost and whose clock went back
 * When   it starts with a boot lower than its last one
 * Then   it hears of that from its peers, takes a higher one, and they believe it */
static void
test_lost_boot_is_taken_from_peers(void **state)
{
    struct cores *c = cores_settled(4);

    (void)state;
    core_put_own(c, 2, "ep", "before");
    cores_run(c, 1000);
    core_kill(c, 2, false);
    assert_until(c, all_say_dead, 2, 10000);
    core_new(c, 2, 7);
    core_join(c, 2, 0);
    assert_until(c, boot_is_above_100, 2, 1000);
    assert_until(c, all_say_alive, 2, 1000);
    assert_until(c, is_settled, 0, 10000);
    cores_free(c);
}

static bool
own_is(const struct cores *c, unsigned owner, const char *key, bool gone)
{
    for (unsigned i = 0; i < c->count; i++) {
        struct gossip_record r;

        if (c->at[i].g &&
            (!gossip_find(c->at[i].g, GOSSIP_OWNER, &c->at[owner].id, gs_slice_str(key), &r) ||
             r.tombstone != gone))
            return false;
    }
    return true;
}

static bool
old_is_gone(const struct cores *c, unsigned owner)
{
    return own_is(c, owner, "old", true) && own_is(c, owner, "new", false);
}

/* Given  a node that had published a record
 * When   it starts again and publishes another one instead
 * Then   it withdraws what is left of its former life, on every node */
static void
test_former_life_is_withdrawn(void **state)
{
    struct cores *c = cores_settled(4);

    (void)state;
    core_put_own(c, 1, "old", "v");
    cores_run(c, 1000);
    assert_true(own_is(c, 1, "old", false));
    core_kill(c, 1, false);
    core_new(c, 1, 101);
    core_restore(c, 1);
    core_join(c, 1, 0);
    core_put_own(c, 1, "new", "v");
    assert_until(c, old_is_gone, 1, 3000);
    assert_until(c, is_settled, 0, 5000);
    cores_free(c);
}

/* Given  a node that withdrew a record, which all know
 * When   it starts again, twice
 * Then   digests agree: a withdrawal ends with the boot it was of, everywhere */
static void
test_former_withdrawal_does_not_part_digests(void **state)
{
    struct cores *c = cores_settled(4);

    (void)state;
    core_put_own(c, 1, "ep", "v");
    core_put_own(c, 1, "ep", NULL);
    core_put_own(c, 1, "more", "v");
    cores_run(c, 1000);
    for (uint64_t boot = 101; boot < 103; boot++) {
        core_kill(c, 1, false);
        core_new(c, 1, boot);
        core_restore(c, 1);
        core_join(c, 1, 0);
        assert_until(c, is_settled, 0, 5000);
    }
    cores_free(c);
}

/* Given  a member that is alive
 * When   a peer's digest exchange says that it is dead
 * Then   it is a suspect, no more, and can say that it lives */
static void
test_hearsay_kills_nobody(void **state)
{
    struct cores *c = cores_settled(3);
    struct wire_claim claim = { .id = c->at[2].id,
                                .state = GOSSIP_DEAD,
                                .boot = 100,
                                .incarnation = gossip_self(c->at[2].g).incarnation };

    (void)state;
    assert_int_equal(member_merge(c->at[0].g, c->now_ms, &claim, true), MEMBER_NEWS);
    assert_int_equal(state_at(c, 0, 2), GOSSIP_SUSPECT);
    core_drain(c, 0);
    assert_until(c, all_say_alive, 2, 500);
    assert_int_equal(c->at[0].deaths, 0);
    assert_true(counters(c, 2).refutations > 0);
    cores_free(c);
}

/* Given  a member of which only a claim is known, no record
 * When   a digest exchange says that it is dead
 * Then   it is a suspect as any other */
static void
test_hearsay_does_not_kill_the_unplaced(void **state)
{
    struct cores *c = cores_settled(2);
    struct wire_claim claim = {
        .id = core_id(9), .state = GOSSIP_ALIVE, .boot = 5, .incarnation = 1
    };

    (void)state;
    assert_int_equal(member_merge(c->at[0].g, c->now_ms, &claim, false), MEMBER_NEWS);
    claim.state = GOSSIP_DEAD;
    assert_int_equal(member_merge(c->at[0].g, c->now_ms, &claim, true), MEMBER_NEWS);
    assert_int_equal(counters(c, 0).nodes[GOSSIP_SUSPECT], 1);
    assert_int_equal(counters(c, 0).nodes[GOSSIP_DEAD], 0);
    core_drain(c, 0);
    cores_free(c);
}

/* A day passes quickly when nobody probes more often than each minute. */
static struct cores *
slow_cores(unsigned count)
{
    struct cores *c = cores_new(count);

    c->tuning.probe_ms = 60000;
    cores_start(c);
    assert_until(c, is_settled, 0, 600000);
    return c;
}

static bool
nobody_lists(const struct cores *c, unsigned subject)
{
    for (unsigned i = 0; i < c->count; i++) {
        struct gossip_node n;

        if (c->at[i].g && i != subject && gossip_find_node(c->at[i].g, &c->at[subject].id, &n))
            return false;
    }
    return true;
}

static size_t
owned(const struct cores *c, unsigned at, unsigned owner)
{
    struct gossip_record r;
    size_t count = 0;

    for (size_t k = 0; gossip_next_record(c->at[at].g, &k, &r);)
        count += r.class == GOSSIP_OWNER && gs_id_eq(&r.version.writer, &c->at[owner].id);
    return count;
}

/* Given  a node that is dead
 * When   a day has passed, and then a peer that still lists it offers its claim and its record
 * Then   it is forgotten with its records, and not taken again */
static void
test_dead_are_forgotten_after_a_day(void **state)
{
    struct cores *c = slow_cores(3);
    struct wire_claim claim = {
        .id = c->at[2].id, .state = GOSSIP_DEAD, .boot = 100, .incarnation = 1
    };
    enum member_merged merged;
    struct gossip_record r;

    (void)state;
    assert_true(gossip_find(c->at[0].g, GOSSIP_OWNER, &c->at[2].id, GS_SLICE("node"), &r));
    gossip_record_keep(&r);
    core_kill(c, 2, false);
    assert_until(c, all_say_dead, 2, 600000);
    cores_run(c, DEAD_KEPT_MS - 60000);
    assert_true(all_say_dead(c, 2));
    cores_run(c, 240000);
    assert_true(nobody_lists(c, 2));
    assert_int_equal(owned(c, 0, 2), 0);

    merged = member_merge(c->at[0].g, c->now_ms, &claim, true);
    assert_int_equal(merged, MEMBER_STALE);
    gossip_take(c->at[0].g, c->now_ms, cores_wall(c), &c->at[1].id,
                &(struct wire_packet){ .records = &r.bytes, .record_count = 1 }, true);
    core_drain(c, 0);
    assert_true(nobody_lists(c, 2));
    assert_int_equal(owned(c, 0, 2), 0);
    gossip_record_drop(&r);
    cores_free(c);
}

/* Given  two nodes that were cut from a third for longer than the dead are remembered
 * When   the third, which never stopped, says again that it is alive
 * Then   it is taken, with its record: that it was forgotten is no reason to doubt its life */
static void
test_forgotten_may_return(void **state)
{
    struct cores *c = slow_cores(3);

    (void)state;
    isolate(c, 2, CUT_ALL);
    assert_until(c, all_say_dead, 2, 7200000);
    cores_run(c, DEAD_KEPT_MS + 120000);
    assert_true(nobody_lists(c, 2));
    isolate(c, 2, 0);
    assert_until(c, all_know_all, 0, 600000);
    assert_until(c, is_settled, 0, 600000);
    cores_free(c);
}

/* Given  a node that starts again and remembers a member that nobody has seen since
 * When   a day has passed
 * Then   it forgets that one: else it would bring it back to those who have forgotten it */
static void
test_remembered_are_forgotten_too(void **state)
{
    struct cores *c = slow_cores(3);

    (void)state;
    core_kill(c, 2, true);
    core_kill(c, 1, true);
    core_save(c, 0);
    core_kill(c, 0, true);
    core_new(c, 0, 101);
    core_restore(c, 0);
    assert_int_equal(counters(c, 0).nodes[GOSSIP_UNKNOWN], 2);
    core_join(c, 0, CORES_MAX);
    cores_run(c, DEAD_KEPT_MS + 120000);
    assert_int_equal(c->at[0].g->members.count, 0);
    assert_int_equal(owned(c, 0, 2), 0);
    cores_free(c);
}

/* Given  claims that members are alive, of whom no record ever comes
 * When   minutes have passed
 * Then   they are gone: nobody can probe them, and they would fill the table for ever */
static void
test_unplaced_do_not_stay(void **state)
{
    struct cores *c = cores_settled(2);

    (void)state;
    for (unsigned i = 10; i < 20; i++) {
        struct wire_claim claim = {
            .id = core_id(i), .state = GOSSIP_ALIVE, .boot = 5, .incarnation = 1
        };

        assert_int_equal(member_merge(c->at[0].g, c->now_ms, &claim, false), MEMBER_NEWS);
    }
    core_drain(c, 0);
    cores_run(c, 600000);
    assert_int_equal(c->at[0].g->members.count, 1);
    assert_int_equal(c->at[1].g->members.count, 1);
    assert_int_equal(counters(c, 0).nodes[GOSSIP_ALIVE], 1);
    assert_true(is_settled(c, 0));
    cores_free(c);
}

/* Given  five nodes, one of which has published a record
 * When   it leaves
 * Then   all are told within its second, nobody ever suspects it, and its record is withdrawn */
static void
test_leave(void **state)
{
    struct cores *c = cores_settled(5);

    (void)state;
    core_put_own(c, 4, "ep", "v");
    cores_run(c, 1000);
    gossip_leave(c->at[4].g, c->now_ms);
    core_drain(c, 4);
    for (uint64_t end = c->now_ms + LEAVE_MS; c->now_ms < end && !gossip_has_left(c->at[4].g);)
        cores_step(c, end);
    assert_true(gossip_has_left(c->at[4].g));
    core_kill(c, 4, false);
    assert_true(all_say_left(c, 4));
    assert_true(own_is(c, 4, "ep", true));
    cores_run(c, 20000);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(c->at[i].suspects + c->at[i].deaths, 0);
    assert_true(all_say_left(c, 4));
    assert_until(c, is_settled, 0, 5000);
    cores_run(c, LEFT_KEPT_MS + 120000);
    assert_true(nobody_lists(c, 4));
    assert_true(is_settled(c, 0));
    cores_free(c);
}

/* Given  a node that leaves
 * When   somebody offers it a record in its own name, of a higher boot
 * Then   it does not begin a new life */
static void
test_leaving_takes_no_new_boot(void **state)
{
    struct cores *c = cores_with_intruder(2);
    struct wire_record w = { .r = { .class = GOSSIP_OWNER,
                                    .kind = CORES_KIND,
                                    .key = GS_SLICE("k"),
                                    .value = GS_SLICE("v"),
                                    .version = { 200, 1, c->at[1].id } } };

    (void)state;
    gossip_leave(c->at[1].g, c->now_ms);
    core_drain(c, 1);
    intruder_record(c, 2, 1, &w);
    cores_run(c, 10);
    assert_int_equal(gossip_self(c->at[1].g).boot, 100);
    cores_free(c);
}

/* Given  claims out of all bounds, about others and about the node itself
 * When   an authentic member makes them
 * Then   nothing changes */
static void
test_absurd_claims_change_nothing(void **state)
{
    struct cores *c = cores_with_intruder(3);
    const struct wire_claim absurd[] = {
        { .id = c->at[1].id, .state = GOSSIP_DEAD, .boot = BOOT_MAX + 1, .incarnation = 1 },
        { .id = c->at[1].id, .state = GOSSIP_DEAD, .boot = 100, .incarnation = UINT32_MAX },
        { .id = c->at[0].id, .state = GOSSIP_DEAD, .boot = UINT64_MAX, .incarnation = 1 },
        { .id = c->at[0].id, .state = GOSSIP_SUSPECT, .boot = 100, .incarnation = UINT32_MAX },
        { .id = c->at[0].id, .state = GOSSIP_SUSPECT, .boot = 99, .incarnation = 70 },
        { .id = core_id(20), .state = GOSSIP_ALIVE, .boot = BOOT_MAX + 1, .incarnation = 1 },
        { .id = core_id(21), .state = GOSSIP_DEAD, .boot = 1, .incarnation = 1 },
        { .id = core_id(22), .state = GOSSIP_LEFT, .boot = 1, .incarnation = 1 },
    };
    uint64_t before[WIRE_CLASSES], after[WIRE_CLASSES];

    (void)state;
    gossip_roots(c->at[0].g, before);
    for (size_t i = 0; i < GS_COUNT(absurd); i++)
        intruder_claim(c, 3, 0, &absurd[i]);
    cores_run(c, 2000);
    gossip_roots(c->at[0].g, after);
    assert_memory_equal(before, after, sizeof(before));
    assert_int_equal(c->at[0].g->members.count, 2);
    assert_true(all_know_all(c, 3) || c->at[3].g == NULL);
    assert_int_equal(state_at(c, 0, 1), GOSSIP_ALIVE);
    cores_free(c);
}

/* Given  accusations of a node at the highest incarnation, and at the highest boot, that pass
 * When   it refutes them
 * Then   what it says is in bounds for the others: they believe it */
static void
test_refutation_stays_in_bounds(void **state)
{
    const struct wire_claim last[] = {
        { .state = GOSSIP_SUSPECT, .boot = 100, .incarnation = UINT32_MAX / 2 },
        { .state = GOSSIP_SUSPECT, .boot = BOOT_MAX - 1, .incarnation = 1 },
        { .state = GOSSIP_SUSPECT, .boot = BOOT_MAX, .incarnation = 1 },
        { .state = GOSSIP_SUSPECT, .boot = BOOT_MAX, .incarnation = 90 },
    };
    struct cores *c = cores_with_intruder(3);

    (void)state;
    for (size_t i = 0; i < GS_COUNT(last); i++) {
        struct wire_claim claim = last[i];

        claim.id = c->at[1].id;
        for (unsigned to = 0; to < 3; to++)
            intruder_claim(c, 3, to, &claim);
        cores_run(c, 20000);
        assert_true(gossip_self(c->at[1].g).boot <= BOOT_MAX);
        assert_int_equal(state_at(c, 0, 1), GOSSIP_ALIVE);
        assert_int_equal(state_at(c, 2, 1), GOSSIP_ALIVE);
    }
    cores_free(c);
}

/* Given  a member that says it has an id which packets cannot tell from that of another
 * When   it claims that such a node is alive, and gives its record
 * Then   it is not taken: what is sent to it would be sealed for, or come from, the other one */
static void
test_ids_that_look_alike_are_refused(void **state)
{
    struct cores *c = cores_with_intruder(3);

    (void)state;
    for (unsigned of = 0; of < 2; of++) {
        struct wire_node node = { GS_SLICE("twin"), core_address(7), GS_SLICE_NONE };
        struct wire_claim claim = {
            .id = c->at[of].id, .state = GOSSIP_ALIVE, .boot = 1000, .incarnation = 1
        };
        struct wire_record w = { .r = { .class = GOSSIP_OWNER,
                                        .kind = GOSSIP_KIND_NODE,
                                        .key = GS_SLICE("node"),
                                        .version = { 1000, 1 } } };
        struct gs_buf value;

        claim.id.bytes[15] = 0; /* sorts before the honest one */
        w.r.version.writer = claim.id;
        gs_buf_init(&value, 1024);
        assert_int_equal(wire_put_node(&value, &node), GS_E_OK);
        w.r.value = gs_buf_slice(&value);
        intruder_record(c, 3, 0, &w);
        intruder_claim(c, 3, 0, &claim);
        gs_buf_fini(&value);
    }
    cores_run(c, 10000);
    assert_int_equal(c->at[0].g->members.count, 2);
    assert_int_equal(state_at(c, 0, 1), GOSSIP_ALIVE);
    cores_free(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_join_by_one_seed),
        cmocka_unit_test(test_restart_supersedes_dead),
        cmocka_unit_test(test_lost_boot_is_taken_from_peers),
        cmocka_unit_test(test_former_life_is_withdrawn),
        cmocka_unit_test(test_former_withdrawal_does_not_part_digests),
        cmocka_unit_test(test_hearsay_kills_nobody),
        cmocka_unit_test(test_hearsay_does_not_kill_the_unplaced),
        cmocka_unit_test(test_dead_are_forgotten_after_a_day),
        cmocka_unit_test(test_forgotten_may_return),
        cmocka_unit_test(test_remembered_are_forgotten_too),
        cmocka_unit_test(test_unplaced_do_not_stay),
        cmocka_unit_test(test_leave),
        cmocka_unit_test(test_leaving_takes_no_new_boot),
        cmocka_unit_test(test_absurd_claims_change_nothing),
        cmocka_unit_test(test_refutation_stays_in_bounds),
        cmocka_unit_test(test_ids_that_look_alike_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
