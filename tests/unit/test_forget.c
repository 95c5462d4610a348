/* test_forget.c - who is dead for a day, or left an hour ago, goes: that is told once, and all of
 * its own goes along. */
#include "tests/unit/cores.h"
#include "tests/unit/live_memory.h"

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
all_have_forgotten(const struct cores *c, unsigned subject)
{
    struct gossip_node n;

    for (unsigned i = 0; i < c->count; i++) {
        if (c->at[i].g && i != subject && gossip_find_node(c->at[i].g, &c->at[subject].id, &n))
            return false;
    }
    return true;
}

/* Given  three nodes, one of which is dead for a day
 * When   it comes back with another boot
 * Then   each of the others was told once that it is forgotten, and now of a new one */
static void
test_forgotten_is_told_once(void **state)
{
    struct cores *c = slow_cores(3);
    struct gossip_node n;

    (void)state;
    core_put_own(c, 2, "ep", "v");
    cores_run(c, 60000);
    core_kill(c, 2, false);
    assert_until(c, all_say_dead, 2, 600000);
    assert_int_equal(c->at[0].forgotten, 0);
    assert_until(c, all_have_forgotten, 2, DEAD_KEPT_MS + 120000);
    assert_int_equal(c->at[0].forgotten, 1);
    assert_int_equal(c->at[1].forgotten, 1);
    core_new(c, 2, 101);
    core_join(c, 2, 0);
    assert_until(c, is_settled, 0, 600000);
    assert_true(gossip_find_node(c->at[0].g, &c->at[2].id, &n));
    assert_int_equal(n.boot, 101);
    cores_run(c, DEAD_KEPT_MS);
    assert_int_equal(c->at[0].forgotten, 1);
    cores_free(c);
}

static struct gossip_event
next_event(struct core *n)
{
    struct gossip_event e = { .type = GOSSIP_EVENT_OPENED };

    assert_true(gossip_next_event(n->g, &e));
    gossip_check(n->g);
    return e;
}

/* Given  a member whose time is up, in line to be told as forgotten
 * When   it is heard of as alive before that was drained
 * Then   it never was forgotten: the event is an ordinary one */
static void
test_a_return_before_it_is_told(void **state)
{
    struct cores *c = slow_cores(3);
    struct core *me = &c->at[0];
    struct wire_claim alive = {
        .id = c->at[2].id, .state = GOSSIP_ALIVE, .boot = 101, .incarnation = 1
    };
    struct gossip_event e;
    struct gossip_record r;

    (void)state;
    core_kill(c, 2, false);
    assert_until(c, all_say_dead, 2, 600000);
    for (uint64_t end = c->now_ms + DEAD_KEPT_MS + 60001; c->now_ms < end; c->now_ms += 1000)
        gossip_tick(me->g, c->now_ms); /* nobody drains it */
    assert_int_equal(state_at(c, 0, 2), GOSSIP_DEAD);
    assert_true(gossip_has_event(me->g));
    assert_int_equal(member_merge(me->g, c->now_ms, &alive, false), MEMBER_NEWS);
    e = next_event(me);
    while (e.type != GOSSIP_EVENT_NODE || !gs_id_eq(&e.node.id, &c->at[2].id)) {
        assert_int_not_equal(e.type, GOSSIP_EVENT_FORGOTTEN);
        e = next_event(me);
    }
    assert_int_equal(e.former, GOSSIP_DEAD);
    assert_int_equal(e.node.boot, 101);
    assert_true(gossip_find(me->g, GOSSIP_OWNER, &c->at[2].id, GS_SLICE("node"), &r));
    cores_free(c);
}

/* Whoever listens has heard of the records of one whose own record never came: it is told, too. */
static void
test_forgotten_without_having_been_placed(void **state)
{
    struct cores *c = cores_settled(2);
    struct core *me = &c->at[0];
    struct wire_claim claim = {
        .id = core_id(9), .state = GOSSIP_ALIVE, .boot = 5, .incarnation = 1
    };

    (void)state;
    assert_int_equal(member_merge(me->g, c->now_ms, &claim, false), MEMBER_NEWS);
    core_drain(c, 0);
    cores_run(c, 600000);
    assert_int_equal(me->forgotten, 1);
    assert_int_equal(me->g->members.count, 1);
    cores_free(c);
}

/* Given  a node that joins long after another one died
 * Then   it forgets that one when those do who were there: else each new node would hand the dead
 *        on to the next */
static void
test_late_joiners_do_not_keep_the_dead(void **state)
{
    struct cores *c = slow_cores(4);

    (void)state;
    core_kill(c, 3, false);
    core_kill(c, 2, false);
    assert_until(c, all_say_dead, 3, 600000);
    cores_run(c, DEAD_KEPT_MS - 3600000);
    assert_true(all_say_dead(c, 3));
    core_new(c, 2, 101);
    core_join(c, 2, 0);
    assert_until(c, all_say_dead, 3, 600000);
    assert_until(c, all_have_forgotten, 3, 3600000 + 600000);
    cores_free(c);
}

/* Given  two nodes that have buried a third
 * When   both are started again a day later less an hour, so that nobody is left who saw it die
 * Then   they forget it when its day is over: their disks say since when it is gone */
static void
test_restarts_do_not_keep_the_dead(void **state)
{
    struct cores *c = slow_cores(3);

    (void)state;
    core_kill(c, 2, false);
    assert_until(c, all_say_dead, 2, 600000);
    cores_run(c, DEAD_KEPT_MS - 3600000);
    for (unsigned i = 0; i < 2; i++)
        core_kill(c, i, false);
    for (unsigned i = 0; i < 2; i++) {
        core_new(c, i, 101);
        core_restore(c, i);
        core_join(c, i, 1 - i);
    }
    cores_run(c, 60000);
    assert_false(all_have_forgotten(c, 2));
    assert_until(c, all_have_forgotten, 2, 3600000 + 600000);
    assert_true(all_say_alive(c, 0));
    cores_free(c);
}

static void
list_frame(struct gs_buf *out, const struct gossip_frame *f)
{
    (void)gs_buf_printf(out, "%u:%zu:", f->kind, f->bytes.len);
    (void)gs_buf_put_slice(out, f->bytes);
}

/* What is frozen for the disk says the same as the core, and the disk may say what it likes. */
static void
test_frames_of_those_who_are_gone(void **state)
{
    struct cores *c = slow_cores(4);
    struct gossip_cursor cursor = { 0 };
    struct gossip_frozen *frozen;
    struct gs_buf live, kept;
    struct gossip_frame f;
    struct gs_why why;
    size_t at = 0, gone = 0;

    (void)state;
    core_kill(c, 2, false);
    core_kill(c, 3, false);
    assert_until(c, all_say_dead, 2, 600000);
    assert_until(c, all_say_dead, 3, 600000);
    gs_buf_init(&live, 65536);
    gs_buf_init(&kept, 65536);
    frozen = gossip_freeze(c->at[0].g);
    while (gossip_next_frame(c->at[0].g, &cursor, &f)) {
        gone += f.kind == GOSSIP_FRAME_GONE;
        list_frame(&live, &f);
    }
    while (gossip_frozen_next(frozen, &at, &f))
        list_frame(&kept, &f);
    assert_true(gs_slice_eq(gs_buf_slice(&live), gs_buf_slice(&kept)));
    assert_int_equal(gone, 2);
    gossip_frozen_free(frozen);
    gs_buf_fini(&live);
    gs_buf_fini(&kept);

    core_save(c, 0);
    core_kill(c, 0, false);
    core_new(c, 0, 101);
    core_restore(c, 0);
    assert_int_equal(gossip_restore(c->at[0].g, c->now_ms, cores_wall(c), GOSSIP_FRAME_GONE,
                                    GS_SLICE("short"), &why),
                     GS_E_MALFORMED);
    assert_int_equal(gossip_restore(c->at[0].g, c->now_ms, cores_wall(c), GOSSIP_FRAME_GONE,
                                    GS_SLICE("an id of nobody, 24 byte"), &why),
                     GS_E_OK);
    gossip_check(c->at[0].g);
    cores_free(c);
}

/* ---- memory ---- */

static struct gs_id
stranger(unsigned n)
{
    struct gs_id id = { { (uint8_t)(n * 37), (uint8_t)(n >> 8), (uint8_t)n, 1 } };

    return id;
}

static void
give_record(struct gossip *g, uint64_t now_ms, const struct gs_id *id, uint16_t kind,
            struct gs_slice key, struct gs_slice value)
{
    struct wire_record w = { .r = { .class = GOSSIP_OWNER,
                                    .kind = kind,
                                    .key = key,
                                    .value = value,
                                    .version = { 7, kind, *id } } };
    struct version *v;

    assert_int_equal(version_make(&w, &v), GS_E_OK);
    gossip_take(g, now_ms, CORES_WALL + now_ms, NULL,
                &(struct wire_packet){ .records = &v->r.bytes, .record_count = 1 }, false);
    version_free(v);
}

/* A machine joins, says where it is and what it has, and leaves. */
static void
come_and_go(struct gossip *g, uint64_t now_ms, unsigned n)
{
    struct wire_node node = { GS_SLICE("passing"), core_address(n % 200 + 20), GS_SLICE("about") };
    struct wire_claim c = { .id = stranger(n), .state = GOSSIP_ALIVE, .boot = 7 };
    struct gs_buf value;

    gs_buf_init(&value, 1024);
    assert_int_equal(wire_put_node(&value, &node), GS_E_OK);
    give_record(g, now_ms, &c.id, GOSSIP_KIND_NODE, GS_SLICE("node"), gs_buf_slice(&value));
    give_record(g, now_ms, &c.id, CORES_KIND, GS_SLICE("ep"), GS_SLICE("127.0.0.1:1"));
    gs_buf_fini(&value);
    assert_int_equal(member_merge(g, now_ms, &c, false), MEMBER_NEWS);
    c.state = GOSSIP_LEFT;
    assert_int_equal(member_merge(g, now_ms, &c, false), MEMBER_NEWS);
}

static size_t
drain(struct gossip *g, uint64_t now_ms)
{
    struct gossip_action a;
    struct gossip_event e;
    size_t forgotten = 0;

    while (gossip_next_action(g, now_ms, &a))
        ;
    while (gossip_next_event(g, &e))
        forgotten += e.type == GOSSIP_EVENT_FORGOTTEN;
    return forgotten;
}

/* Given  a core, and a hundred machines an hour that come and go
 * When   10,000 have, over four days
 * Then   each was told as forgotten, and neither table nor store nor memory grew */
static void
test_members_that_come_and_go_leave_nothing(void **state)
{
    struct cores *c = cores_new(1);
    struct core *me = &c->at[0];
    size_t forgotten = 0, used = 0;
    unsigned n = 0;

    (void)state;
    c->tuning.probe_ms = 600000;
    core_new(c, 0, 100);
    core_join(c, 0, CORES_MAX);
    while (n < 10000) {
        for (unsigned i = 0; i < 100; i++)
            come_and_go(me->g, c->now_ms, n++);
        for (uint64_t end = c->now_ms + LEFT_KEPT_MS + 120000; c->now_ms < end;) {
            uint64_t due = gossip_deadline_ms(me->g);

            c->now_ms = due < end ? due : end;
            gossip_tick(me->g, c->now_ms);
            forgotten += drain(me->g, c->now_ms);
        }
        assert_int_equal(forgotten, n);
        assert_int_equal(me->g->members.count, 0);
        assert_int_equal(me->g->records.store.count, 1); /* its own */
        gossip_check(me->g);
        if (n == 5000) /* so many were forgotten within the last day as will be at the end */
            used = live_memory();
    }
    assert_int_equal(live_memory(), used);
    cores_free(c);
}

static bool
only_they_are_left(const struct cores *c, unsigned unused)
{
    (void)unused;
    for (unsigned i = 0; i < c->count; i++) {
        if (c->at[i].g->members.count != c->count - 1)
            return false;
    }
    return true;
}

/* Given  three nodes, and two thousand that leave at once
 * When   their time is up, at each of the three at another moment
 * Then   they are gone for good: none is taken again from one that drops them later, however many
 *        there are */
static void
test_a_crowd_is_forgotten(void **state)
{
    struct cores *c = slow_cores(3);
    size_t records;

    (void)state;
    records = c->at[0].g->records.store.count;
    for (unsigned n = 0; n < 2000; n++)
        come_and_go(c->at[0].g, c->now_ms, n);
    core_drain(c, 0);
    assert_until(c, roots_equal, 0, 600000);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(c->at[i].g->members.count, 2 + 2000);
        c->at[i].g->members.reap_ms = c->now_ms + i * 20000;
    }
    cores_run(c, LEFT_KEPT_MS / 2);
    assert_false(only_they_are_left(c, 0));
    assert_until(c, only_they_are_left, 0, LEFT_KEPT_MS);
    cores_run(c, 600000);
    assert_true(only_they_are_left(c, 0));
    assert_int_equal(c->at[0].g->records.store.count, records);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(c->at[i].forgotten, 2000);
    cores_free(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forgotten_is_told_once),
        cmocka_unit_test(test_a_return_before_it_is_told),
        cmocka_unit_test(test_forgotten_without_having_been_placed),
        cmocka_unit_test(test_late_joiners_do_not_keep_the_dead),
        cmocka_unit_test(test_restarts_do_not_keep_the_dead),
        cmocka_unit_test(test_frames_of_those_who_are_gone),
        cmocka_unit_test(test_members_that_come_and_go_leave_nothing),
        cmocka_unit_test(test_a_crowd_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
