/* test_gossip.c - the door of the record store: what a write does, transactions, events,
 * tombstones, and what a restart knows. */
#include "tests/unit/nodes.h"

/* ---- writing ---- */

static void
a_write_is_one_generation_later(void **state)
{
    struct gossip *g = node_new(0);
    struct gs_version first = put(g, WALL, "a", "1");
    struct gs_version second = put(g, WALL + 1, "a", "2");
    struct gossip_record r;

    (void)state;
    assert_int_equal(first.generation, 1);
    assert_int_equal(first.hlc, WALL << 16);
    assert_true(gs_id_eq(&first.writer, &(struct gs_id){ { 0xa0 } }));
    assert_int_equal(second.generation, 2);
    r = get(g, "a");
    assert_int_equal(r.born_hlc, first.hlc);
    assert_int_equal(r.transaction, 0);
    gossip_check(g);
    gossip_free(g);
}

static void
the_same_value_is_no_new_version(void **state)
{
    struct gossip *g = node_new(0);
    struct gossip_op op = { KIND, GS_SLICE("a"), GS_SLICE("1"), false, NULL };
    struct gossip_put_result result;

    (void)state;
    assert_int_equal(gossip_put(g, 0, WALL, &op, 1, &result, NULL), GS_E_OK);
    assert_false(result.unchanged);
    assert_int_equal(drain(g, GOSSIP_EVENT_RECORD), 1);
    assert_int_equal(gossip_put(g, 0, WALL + 1, &op, 1, &result, NULL), GS_E_OK);
    assert_true(result.unchanged);
    assert_int_equal(result.version.generation, 1);
    assert_int_equal(drain(g, GOSSIP_EVENT_RECORD), 0);
    gossip_free(g);
}

static void
a_deleted_object_starts_a_new_life(void **state)
{
    struct gossip *g = node_new(0);
    struct gs_version again;

    (void)state;
    (void)put(g, WALL, "a", "1");
    (void)put(g, WALL + 1, "a", NULL);
    assert_value(g, "a", NULL);
    again = put(g, WALL + 2, "a", "1");
    assert_int_equal(again.generation, 3); /* above its tombstone, or it would lose to it */
    assert_int_equal(get(g, "a").born_hlc, again.hlc);
    gossip_free(g);
}

static void
if_version_guards_all_of_a_transaction(void **state)
{
    struct gossip *g = node_new(0);
    struct gs_version old = put(g, WALL, "a", "1");
    struct gs_version none = { 0 };
    struct gs_version now = put(g, WALL, "a", "2");
    struct gossip_op ops[2] = {
        { KIND, GS_SLICE("b"), GS_SLICE("1"), false, &none },
        { KIND, GS_SLICE("a"), GS_SLICE("3"), false, &old },
    };
    struct gossip_put_result results[2];
    struct gossip_record r;
    struct gs_why why;

    (void)state;
    assert_int_equal(gossip_put(g, 0, WALL, ops, 2, results, &why), GS_E_CONFLICT);
    assert_non_null(strstr(why.text, "a was changed meanwhile"));
    assert_false(gossip_find(g, GOSSIP_OPERATOR, NULL, GS_SLICE("b"), &r));
    ops[1].if_version = &now;
    assert_int_equal(gossip_put(g, 0, WALL, ops, 2, results, &why), GS_E_OK);
    assert_int_equal(gossip_put(g, 0, WALL, ops, 1, results, &why), GS_E_CONFLICT); /* b is there */
    gossip_free(g);
}

static void
bad_transactions_change_nothing(void **state)
{
    struct gossip *g = node_new(0);
    static char big[RECORD_VALUE_MAX + 1];
    struct gossip_op ops[2] = {
        { KIND, GS_SLICE("a"), GS_SLICE("1"), false, NULL },
        { KIND, GS_SLICE("a"), GS_SLICE("2"), false, NULL },
    };
    struct gossip_put_result results[2];
    struct gossip_counters c;

    (void)state;
    assert_int_equal(gossip_put(g, 0, WALL, ops, 2, results, NULL), GS_E_INVALID);
    ops[1] = (struct gossip_op){ KIND, GS_SLICE("b"), GS_SLICE_NONE, true, NULL };
    assert_int_equal(gossip_put(g, 0, WALL, ops, 2, results, NULL), GS_E_NOT_FOUND);
    ops[1] = (struct gossip_op){ KIND, GS_SLICE("b"), gs_slice(big, sizeof(big)), false, NULL };
    assert_int_equal(gossip_put(g, 0, WALL, ops, 2, results, NULL), GS_E_LIMIT);
    ops[1].key = gs_slice(big, RECORD_KEY_MAX + 1);
    ops[1].value.len = 1;
    assert_int_equal(gossip_put(g, 0, WALL, ops, 2, results, NULL), GS_E_LIMIT);
    assert_int_equal(gossip_put(g, 0, WALL, ops, 0, results, NULL), GS_E_LIMIT);
    gossip_counters(g, &c);
    assert_int_equal(c.records, 0);
    assert_false(gossip_has_event(g));
    ops[1] =
        (struct gossip_op){ KIND, GS_SLICE("b"), gs_slice(big, RECORD_VALUE_MAX), false, NULL };
    assert_int_equal(gossip_put(g, 0, WALL, ops, 2, results, NULL), GS_E_OK);
    gossip_check(g);
    gossip_free(g);
}

/* ---- transactions ---- */

static void
a_transaction_lists_its_members(void **state)
{
    struct gossip *g = node_new(0);
    struct gossip_event ev;
    uint64_t id;

    (void)state;
    put_pair(g, WALL, "1");
    id = get(g, "a").transaction;
    assert_int_not_equal(id, 0);
    assert_int_equal(get(g, "b").transaction, id);
    assert_int_equal(get(g, "b").transaction_count, 2);
    assert_true(gossip_next_event(g, &ev));
    assert_int_equal(ev.type, GOSSIP_EVENT_RECORD);
    assert_true(gossip_next_event(g, &ev));
    assert_int_equal(ev.type, GOSSIP_EVENT_RECORD);
    assert_true(gossip_next_event(g, &ev));
    assert_int_equal(ev.type, GOSSIP_EVENT_TRANSACTION);
    assert_int_equal(ev.transaction.id, id);
    assert_int_equal(ev.transaction.count, 2);
    assert_memory_equal(ev.transaction.members[1].key.ptr, "b", 1);
    assert_true(gs_digest_eq(&ev.transaction.members[1].hash, &(struct gs_digest){ 0 }) == false);
    assert_false(gossip_next_event(g, &ev));
    gossip_free(g);
}

static void
the_list_goes_with_its_last_member(void **state)
{
    struct gossip *g = node_new(0);
    struct gossip_counters c;

    (void)state;
    put_pair(g, WALL, "1");
    (void)put(g, WALL, "a", "2");
    gossip_counters(g, &c);
    assert_int_equal(c.records, 3);
    (void)put(g, WALL, "b", "2");
    gossip_counters(g, &c);
    assert_int_equal(c.records, 2);
    assert_int_equal(drain(g, GOSSIP_EVENT_TRANSACTION), 0); /* it went before it was told */
    gossip_check(g);
    gossip_free(g);
}

static void
a_list_that_came_late_is_not_kept(void **state)
{
    struct gossip *g = node_new(0);
    struct gossip *other = node_new(1);
    struct gossip_record r;
    size_t at = 0;
    bool seen = false;

    (void)state;
    put_pair(g, WALL, "1");
    while (gossip_next_record(g, &at, &r)) {
        if (r.kind < GOSSIP_KIND_USER) {
            seen = true;
            (void)put(other, WALL, "a", "x");
            (void)put(other, WALL, "a", "y");
            (void)put(other, WALL, "b", "x");
            (void)put(other, WALL, "b", "y");
            assert_int_equal(give(other, &r), GOSSIP_STALE);
        }
    }
    assert_true(seen);
    gossip_free(g);
    gossip_free(other);
}

/* ---- events ---- */

static void
a_changed_key_waits_in_line_once(void **state)
{
    struct gossip *g = node_new(0);
    struct gossip_event ev;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        char value[16];

        (void)snprintf(value, sizeof(value), "%d", i);
        (void)put(g, WALL, "k", value);
    }
    assert_true(gossip_next_event(g, &ev));
    assert_int_equal(ev.record.version.generation, 1000);
    assert_false(gossip_next_event(g, &ev));
    gossip_free(g);
}

static void
notices_are_dropped_records_are_not(void **state)
{
    struct gossip *g = node_new(0);
    struct gossip_counters c;
    char key[16];

    (void)state;
    for (int i = 0; i < 500; i++) {
        (void)snprintf(key, sizeof(key), "key%d", i);
        (void)put(g, WALL, key, "v");
        offer(g, forge(RECORD_GENERATION_MAX + 1, 1), GOSSIP_REFUSED);
    }
    gossip_counters(g, &c);
    assert_int_equal(c.refused, 500);
    assert_int_equal(c.notices_dropped, 500 - GOSSIP_NOTICES_MAX);
    assert_int_equal(drain(g, GOSSIP_EVENT_RECORD), 500);
    gossip_free(g);
}

/* ---- tombstones ---- */

static void
a_tombstone_lives_a_day_and_leaves_a_floor(void **state)
{
    struct gossip *g = node_new(0);
    struct gossip *other = node_new(1);
    struct gossip_record old, r;
    struct gossip_op op = { KIND, GS_SLICE("k"), GS_SLICE_NONE, true, NULL };
    struct gossip_put_result result;

    (void)state;
    (void)put(other, WALL, "k", "old");
    assert_int_equal(pass_on(other, g, "k"), GOSSIP_NEWS);
    old = get(other, "k");
    assert_int_equal(gossip_put(g, 1000, WALL + 5, &op, 1, &result, NULL), GS_E_OK);
    gossip_tick(g, 1000 + TOMBSTONE_QUIET_MS - 1);
    assert_int_equal(gossip_deadline_ms(g), 1000 + TOMBSTONE_QUIET_MS); /* out of the digests */
    gossip_tick(g, 1000 + TOMBSTONE_QUIET_MS);
    assert_int_equal(gossip_deadline_ms(g), 1000 + TOMBSTONE_KEPT_MS);
    gossip_tick(g, 1000 + TOMBSTONE_KEPT_MS - 1);
    assert_int_equal(gossip_deadline_ms(g), 1000 + TOMBSTONE_KEPT_MS);
    gossip_tick(g, 1000 + TOMBSTONE_KEPT_MS);
    assert_true(gossip_find(g, GOSSIP_OPERATOR, NULL, GS_SLICE("k"), &r)); /* not told yet */
    (void)drain(g, GOSSIP_EVENT_RECORD);
    gossip_tick(g, 1000 + TOMBSTONE_KEPT_MS + 999); /* looked at again a second later */
    assert_true(gossip_find(g, GOSSIP_OPERATOR, NULL, GS_SLICE("k"), &r));
    gossip_tick(g, 1000 + TOMBSTONE_KEPT_MS + 1000);
    assert_false(gossip_find(g, GOSSIP_OPERATOR, NULL, GS_SLICE("k"), &r));
    assert_int_equal(give(g, &old), GOSSIP_STALE); /* a stale backup raises nothing */
    assert_false(gossip_find(g, GOSSIP_OPERATOR, NULL, GS_SLICE("k"), &r));
    assert_int_equal(drain(g, GOSSIP_EVENT_BELOW_FLOOR), 1);
    gossip_check(g);
    gossip_free(g);
    gossip_free(other);
}

static void
tombstones_have_a_budget(void **state)
{
    struct gossip *g = node_new(0);
    struct gossip_counters c;
    char key[16];

    (void)state;
    for (int i = 0; i < TOMBSTONES_MIN + 100; i++) {
        (void)snprintf(key, sizeof(key), "key%d", i);
        (void)put(g, WALL, key, "v");
        (void)put(g, WALL, key, NULL);
        (void)drain(g, GOSSIP_EVENT_RECORD);
    }
    gossip_counters(g, &c);
    assert_true(c.tombstones <= TOMBSTONES_MIN + 1);
    assert_true(c.tombstones_dropped >= 99);
    gossip_check(g);
    gossip_free(g);
}

/* ---- persistence ---- */

static void
restore_all(const struct gossip *from, struct gossip *to)
{
    struct gossip_cursor c = { 0 };
    struct gossip_frame f;

    while (gossip_next_frame(from, &c, &f))
        assert_int_equal(gossip_restore(to, 0, WALL, f.kind, f.bytes, NULL), GS_E_OK);
}

static void
a_restart_knows_what_was_known(void **state)
{
    struct gossip *a = node_new(0);
    struct gossip *b = node_new(1);
    struct gossip *again = node_new(0);
    struct gs_buf before, after;

    (void)state;
    gs_buf_init(&before, 65536);
    gs_buf_init(&after, 65536);
    put_pair(a, WALL, "1");
    (void)put(a, WALL, "k", "0");
    (void)pass_on(a, b, "k");
    (void)put(a, WALL + 1, "k", "a");
    (void)put(b, WALL + 2, "k", "b");
    (void)pass_on(b, a, "k");
    (void)put(a, WALL, "l", "1");
    (void)put(a, WALL, "l", NULL);
    restore_all(a, again);
    fingerprint(a, &before);
    fingerprint(again, &after);
    assert_string_equal(gs_buf_cstr(&before), gs_buf_cstr(&after));
    assert_int_equal(conflicts(again, "k"), 1);
    assert_int_equal(gossip_hlc(again), gossip_hlc(a));
    assert_int_equal(get(again, "b").transaction, get(a, "b").transaction);
    assert_int_equal(drain(again, GOSSIP_EVENT_TRANSACTION), 1);
    restore_all(a, again); /* twice is as once */
    assert_int_equal(drain(again, GOSSIP_EVENT_RECORD), 0);
    assert_int_equal(gossip_restore(again, 0, WALL, 99, GS_SLICE("x"), NULL), GS_E_UNSUPPORTED);
    assert_int_equal(gossip_restore(again, 0, WALL, GOSSIP_FRAME_RECORD, GS_SLICE("x"), NULL),
                     GS_E_MALFORMED);
    gossip_check(again);
    gs_buf_fini(&before);
    gs_buf_fini(&after);
    gossip_free(a);
    gossip_free(b);
    gossip_free(again);
}

static void
the_floor_survives(void **state)
{
    struct gossip *g = node_new(0);
    struct gossip *again = node_new(0);
    struct gossip *other = node_new(1);

    (void)state;
    (void)put(other, WALL - 1, "k", "old");
    (void)put(g, WALL, "k", "v");
    (void)put(g, WALL, "k", NULL);
    (void)drain(g, GOSSIP_EVENT_RECORD);
    gossip_tick(g, TOMBSTONE_KEPT_MS);
    restore_all(g, again);
    assert_int_equal(pass_on(other, again, "k"), GOSSIP_STALE);
    gossip_free(g);
    gossip_free(again);
    gossip_free(other);
}

/* ---- what a node says of itself ---- */

static void
owners_records_have_one_writer(void **state)
{
    struct gossip *a = node_new(0);
    struct gossip *b = node_new(1);
    struct gossip_op op = { KIND, GS_SLICE("web:80"), GS_SLICE("1"), false, NULL };
    struct gossip_put_result result;
    struct gossip_record first, second;
    struct gs_id owner = id_of(0);

    (void)state;
    assert_int_equal(gossip_put_own(a, 0, &op, &result, NULL), GS_E_OK);
    assert_true(gossip_find(a, GOSSIP_OWNER, &owner, op.key, &first));
    assert_int_equal(first.version.generation, 1); /* boot */
    assert_int_equal(first.version.hlc, 1);        /* sequence */
    assert_int_equal(give(b, &first), GOSSIP_NEWS);
    assert_int_equal(gossip_put_own(a, 0, &op, &result, NULL), GS_E_OK);
    assert_true(result.unchanged);
    op.value = GS_SLICE("2");
    assert_int_equal(gossip_put_own(a, 0, &op, &result, NULL), GS_E_OK);
    assert_true(gossip_find(a, GOSSIP_OWNER, &owner, op.key, &second));
    assert_int_equal(give(b, &second), GOSSIP_NEWS);
    op.remove = true;
    assert_int_equal(gossip_put_own(a, 0, &op, &result, NULL), GS_E_OK);
    assert_true(gossip_find(a, GOSSIP_OWNER, &owner, op.key, &second));
    assert_int_equal(give(b, &second), GOSSIP_NEWS);
    assert_true(gossip_find(b, GOSSIP_OWNER, &owner, op.key, &second));
    assert_true(second.tombstone);
    assert_false(gossip_find(b, GOSSIP_OPERATOR, NULL, op.key, &second)); /* another name space */
    gossip_check(b);
    gossip_free(a);
    gossip_free(b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_is_one_generation_later),
        cmocka_unit_test(the_same_value_is_no_new_version),
        cmocka_unit_test(a_deleted_object_starts_a_new_life),
        cmocka_unit_test(if_version_guards_all_of_a_transaction),
        cmocka_unit_test(bad_transactions_change_nothing),
        cmocka_unit_test(a_transaction_lists_its_members),
        cmocka_unit_test(the_list_goes_with_its_last_member),
        cmocka_unit_test(a_list_that_came_late_is_not_kept),
        cmocka_unit_test(a_changed_key_waits_in_line_once),
        cmocka_unit_test(notices_are_dropped_records_are_not),
        cmocka_unit_test(a_tombstone_lives_a_day_and_leaves_a_floor),
        cmocka_unit_test(tombstones_have_a_budget),
        cmocka_unit_test(a_restart_knows_what_was_known),
        cmocka_unit_test(the_floor_survives),
        cmocka_unit_test(owners_records_have_one_writer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
