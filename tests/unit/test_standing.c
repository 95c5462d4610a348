/* test_standing.c - when a node is open: design.md 5, "A node without policy is closed". */
#include "tests/unit/cores.h"

static bool
is_open(const struct cores *c, unsigned i)
{
    return gossip_standing(c->at[i].g) == GOSSIP_OPEN;
}

/* Given  a node with no seed but itself, and an empty disk
 * When   it joins
 * Then   it founds the mesh: open at once, told once */
static void
test_founder_opens_at_once(void **state)
{
    struct cores *c = cores_new(1);

    (void)state;
    core_new(c, 0, 100);
    core_join(c, 0, CORES_MAX);
    assert_true(is_open(c, 0));
    assert_int_equal(c->at[0].opened, 1);
    cores_run(c, 10000);
    assert_int_equal(c->at[0].opened, 1);
    cores_free(c);
}

/* Given  an open node with policy, part of it larger than a packet
 * When   another joins
 * Then   it is open as soon as it has all of that, and no sooner; its policy is told before */
static void
test_joiner_opens_with_the_policy(void **state)
{
    struct cores *c = cores_new(2);
    char *value = calloc(1, 40000);
    struct gs_version v;

    (void)state;
    core_new(c, 0, 100);
    core_join(c, 0, CORES_MAX);
    v = core_put(c, 0, "k", gs_slice(value, 40000), false);
    core_new(c, 1, 100);
    core_join(c, 1, 0);
    while (!is_open(c, 1)) {
        assert_int_equal(c->at[1].opened, 0);
        assert_true(c->now_ms < 2000);
        cores_step(c, c->now_ms + 10);
    }
    assert_true(core_has(c, 1, "k", &v));
    assert_int_equal(c->at[1].opened, 1);
    assert_int_equal(c->at[1].records, 1);
    free(value);
    cores_free(c);
}

/* Given  a node that was never a member
 * When   nobody answers at its seed
 * Then   it stays closed, and opens once somebody does */
static void
test_joiner_with_nobody_stays_closed(void **state)
{
    struct cores *c = cores_new(2);

    (void)state;
    core_new(c, 1, 100);
    core_join(c, 1, 0);
    cores_run(c, 120000);
    assert_false(is_open(c, 1));
    core_new(c, 0, 100);
    core_join(c, 0, CORES_MAX);
    assert_until(c, is_open, 1, 3000);
    cores_free(c);
}

/* Given  the same, but its seed's host is silent
 * When   minutes pass
 * Then   it stays closed and goes on asking, at a bounded rate */
static void
test_joiner_with_a_silent_seed(void **state)
{
    struct cores *c = cores_new(2);

    (void)state;
    c->at[0].silent = true;
    core_new(c, 1, 100);
    core_join(c, 1, 0);
    cores_run(c, 60000);
    assert_false(is_open(c, 1));
    assert_in_range(counters(c, 1).syncs_failed, 5, 80);
    core_new(c, 0, 100);
    core_join(c, 0, CORES_MAX);
    assert_until(c, is_open, 1, SYNC_TIMEOUT_MS + 3000);
    cores_free(c);
}

/* Given  a mesh with policy, all of whose nodes stop
 * When   one starts again, from its disk
 * Then   it waits OPEN_WAIT_MS for an open peer, and opens with what it has */
static void
test_restart_alone(void **state)
{
    struct cores *c = cores_settled(3);
    struct gs_version v;
    uint64_t took;

    (void)state;
    v = core_put(c, 0, "k", GS_SLICE("v"), false);
    cores_run(c, 1000);
    for (unsigned i = 0; i < 3; i++)
        core_kill(c, i, false);
    core_new(c, 2, 101);
    core_restore(c, 2);
    core_join(c, 2, 0);
    assert_false(is_open(c, 2));
    took = cores_until(c, is_open, 2, 10000);
    assert_in_range(took, OPEN_WAIT_MS - 10, OPEN_WAIT_MS + 100);
    assert_true(core_has(c, 2, "k", &v));
    cores_free(c);
}

/* Given  a mesh with policy, all of whose nodes stop
 * When   all start again at once
 * Then   all open after OPEN_WAIT_MS, and no policy is lost */
static void
test_restart_of_all(void **state)
{
    struct cores *c = cores_settled(3);
    struct gs_version v;

    (void)state;
    v = core_put(c, 0, "k", GS_SLICE("v"), false);
    cores_run(c, 1000);
    for (unsigned i = 0; i < 3; i++)
        core_kill(c, i, false);
    for (unsigned i = 0; i < 3; i++) {
        core_new(c, i, 101);
        core_restore(c, i);
        core_join(c, i, 0);
    }
    cores_run(c, OPEN_WAIT_MS + 200);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(is_open(c, i));
        assert_true(core_has(c, i, "k", &v));
    }
    assert_until(c, is_settled, 0, 5000);
    cores_free(c);
}

/* Given  a mesh whose first policy is on the disk of the node that took it, and no other
 * When   all are killed and start again at once
 * Then   the others open soon after that one has, with its policy */
static void
test_restart_of_all_before_all_have_saved(void **state)
{
    struct cores *c = cores_settled(5);
    struct gs_version v;

    (void)state;
    for (unsigned i = 1; i < 5; i++)
        core_kill(c, i, false);
    v = core_put(c, 0, "k", GS_SLICE("v"), false);
    core_kill(c, 0, false);
    for (unsigned i = 0; i < 5; i++) {
        core_new(c, i, 101);
        core_restore(c, i);
        core_join(c, i, i == 0 ? 1 : 0);
    }
    cores_run(c, OPEN_WAIT_MS + 500);
    for (unsigned i = 0; i < 5; i++) {
        assert_true(is_open(c, i));
        assert_true(core_has(c, i, "k", &v));
    }
    cores_free(c);
}

/* Given  a member of a mesh without any policy that was restarted, and nobody else
 * When   OPEN_WAIT_MS have passed
 * Then   it opens: it was one of those who had none */
static void
test_restart_without_policy(void **state)
{
    struct cores *c = cores_settled(2);

    (void)state;
    core_kill(c, 0, false);
    core_kill(c, 1, false);
    core_new(c, 1, 101);
    core_restore(c, 1);
    core_join(c, 1, 0);
    assert_until(c, is_open, 1, OPEN_WAIT_MS + 100);
    cores_free(c);
}

/* Given  two nodes with empty disks, each the other's seed
 * When   they start at once
 * Then   nobody is open to learn from and nobody has anything: they open after OPEN_WAIT_MS */
static void
test_two_joiners_at_once(void **state)
{
    struct cores *c = cores_new(2);

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        core_new(c, i, 100);
        core_join(c, i, 1 - i);
    }
    assert_true(cores_until(c, is_open, 0, 10000) >= OPEN_WAIT_MS - 10);
    assert_until(c, is_open, 1, 100);
    assert_until(c, is_settled, 0, 5000);
    cores_free(c);
}

/* Given  a restarted node with policy, and a new one without, that start at once
 * When   they hear each other
 * Then   the new one does not open before it has the other's policy */
static void
test_joiner_waits_for_the_restored(void **state)
{
    struct cores *c = cores_settled(2);
    struct gs_version v;

    (void)state;
    v = core_put(c, 0, "k", GS_SLICE("v"), false);
    cores_run(c, 1000);
    core_kill(c, 0, false);
    core_kill(c, 1, false);
    core_new(c, 0, 101);
    core_restore(c, 0);
    core_join(c, 0, 1);
    core_new(c, 1, 101); /* its disk was lost */
    core_join(c, 1, 0);
    while (!is_open(c, 1)) {
        assert_true(c->now_ms < 60000);
        cores_step(c, c->now_ms + 10);
    }
    assert_true(core_has(c, 1, "k", &v));
    cores_free(c);
}

/* Given  a restarted node with an old policy, and an open mesh with a newer one
 * When   it joins
 * Then   it is not open a moment with the old one */
static void
test_old_policy_is_not_opened_with(void **state)
{
    struct cores *c = cores_settled(3);
    struct gs_version v;

    (void)state;
    (void)core_put(c, 0, "k", GS_SLICE("old"), false);
    cores_run(c, 1000);
    core_kill(c, 2, false);
    v = core_put(c, 0, "k", GS_SLICE("new"), false);
    cores_run(c, 10000);
    core_new(c, 2, 101);
    core_restore(c, 2);
    core_join(c, 2, 0);
    while (!is_open(c, 2)) {
        assert_true(c->now_ms < 60000);
        cores_step(c, c->now_ms + 10);
    }
    assert_true(core_has(c, 2, "k", &v));
    cores_free(c);
}

/* Given  an open mesh in which policy is written all the time
 * When   a node joins
 * Then   it opens all the same, in one of the moments between */
static void
test_opens_while_policy_changes(void **state)
{
    struct cores *c = cores_settled(3);
    unsigned i = 0;

    (void)state;
    core_kill(c, 2, false);
    core_new(c, 2, 101);
    core_join(c, 2, 0);
    for (; !is_open(c, 2) && i < 200; i++) {
        (void)core_put(c, i % 2, "k", gs_slice(&i, sizeof(i)), false);
        cores_run(c, 50);
    }
    assert_true(is_open(c, 2));
    cores_free(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_founder_opens_at_once),
        cmocka_unit_test(test_joiner_opens_with_the_policy),
        cmocka_unit_test(test_joiner_with_nobody_stays_closed),
        cmocka_unit_test(test_joiner_with_a_silent_seed),
        cmocka_unit_test(test_restart_alone),
        cmocka_unit_test(test_restart_of_all),
        cmocka_unit_test(test_restart_of_all_before_all_have_saved),
        cmocka_unit_test(test_restart_without_policy),
        cmocka_unit_test(test_two_joiners_at_once),
        cmocka_unit_test(test_joiner_waits_for_the_restored),
        cmocka_unit_test(test_old_policy_is_not_opened_with),
        cmocka_unit_test(test_opens_while_policy_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
