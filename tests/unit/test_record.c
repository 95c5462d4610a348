/* test_record.c - merging does not depend on the order of arrival, loses no edit, and takes nothing
 * hostile. */
#include "tests/unit/nodes.h"

#include <gossamer/alloc.h>
#include <gossamer/rng.h>
#include <gossamer/seal.h>

#include "gossip/wire.h"

/* ---- merging ---- */

static void
the_later_generation_wins_whatever_the_clocks(void **state)
{
    struct gossip *a = node_new(0);
    struct gossip *b = node_new(1);

    (void)state;
    (void)put(a, WALL + 50000, "k", "a");
    assert_int_equal(pass_on(a, b, "k"), GOSSIP_NEWS);
    (void)put(b, WALL - 3600000, "k", "b"); /* a clock an hour behind */
    assert_int_equal(pass_on(b, a, "k"), GOSSIP_NEWS);
    assert_value(a, "k", "b");
    assert_int_equal(conflicts(a, "k"), 0);
    assert_int_equal(pass_on(b, a, "k"), GOSSIP_STALE);
    gossip_free(a);
    gossip_free(b);
}

static void
the_loser_of_a_concurrent_write_is_kept(void **state)
{
    struct gossip *a = node_new(0);
    struct gossip *b = node_new(1);
    struct gossip_former former[RECORD_HISTORY_MAX];

    (void)state;
    (void)put(a, WALL, "k", "0");
    (void)pass_on(a, b, "k");
    (void)put(a, WALL + 1, "k", "a");
    (void)put(b, WALL + 2, "k", "b");
    (void)drain(a, GOSSIP_EVENT_RECORD);
    (void)drain(b, GOSSIP_EVENT_RECORD);
    assert_int_equal(pass_on(a, b, "k"), GOSSIP_CONFLICT);
    assert_int_equal(pass_on(b, a, "k"), GOSSIP_NEWS);
    assert_value(a, "k", "b");
    assert_value(b, "k", "b");
    assert_int_equal(drain(a, GOSSIP_EVENT_CONFLICT), 1);
    assert_int_equal(drain(b, GOSSIP_EVENT_CONFLICT), 1);
    assert_int_equal(gossip_history(a, GS_SLICE("k"), former, RECORD_HISTORY_MAX), 2);
    assert_true(former[0].conflict);
    assert_memory_equal(former[0].record.value.ptr, "a", 1);
    assert_false(former[1].conflict);
    assert_memory_equal(former[1].record.value.ptr, "0", 1);
    gossip_free(a);
    gossip_free(b);
}

/* A node that was away for thirty edits must not call its old version a lost edit. */
static void
an_ancestor_is_known_over_a_gap(void **state)
{
    struct gossip *a = node_new(0);
    struct gossip *b = node_new(1);
    char value[16];

    (void)state;
    (void)put(a, WALL, "k", "0");
    (void)pass_on(a, b, "k");
    for (int i = 1; i <= RECORD_LINEAGE_MAX; i++) {
        (void)snprintf(value, sizeof(value), "%d", i);
        (void)put(a, WALL, "k", value);
    }
    assert_int_equal(pass_on(a, b, "k"), GOSSIP_NEWS);
    assert_int_equal(conflicts(b, "k"), 0);
    gossip_check(b);
    gossip_free(a);
    gossip_free(b);
}

static void
a_delete_and_an_edit_are_a_conflict_too(void **state)
{
    struct gossip *a = node_new(0);
    struct gossip *b = node_new(1);

    (void)state;
    (void)put(a, WALL, "k", "0");
    (void)pass_on(a, b, "k");
    (void)put(a, WALL + 1, "k", "edit");
    (void)put(b, WALL + 2, "k", NULL);
    assert_int_equal(pass_on(b, a, "k"), GOSSIP_NEWS);
    assert_value(a, "k", NULL);
    assert_int_equal(conflicts(a, "k"), 1);
    gossip_free(a);
    gossip_free(b);
}

/* Everything the nodes of a mesh ever wrote, in one heap. */
struct heap {
    struct gs_buf bytes[64];
    size_t count;
};

static void
heap_add(struct heap *h, const struct gossip_record *r)
{
    assert_true(h->count < GS_COUNT(h->bytes));
    gs_buf_init(&h->bytes[h->count], r->bytes.len);
    assert_int_equal(gs_buf_put_slice(&h->bytes[h->count++], r->bytes), GS_E_OK);
}

static void
heap_fini(struct heap *h)
{
    for (size_t i = 0; i < h->count; i++)
        gs_buf_fini(&h->bytes[i]);
}

/* Nodes edit two keys, and now and then tell one other node what they have. */
static void
heap_fill(struct heap *h, struct gs_rng *rng)
{
    static const char *const keys[] = { "k", "l" };
    struct gossip *nodes[NODES];

    for (unsigned i = 0; i < NODES; i++)
        nodes[i] = node_new(i);
    for (int step = 0; step < 14; step++) {
        unsigned n = gs_rng_below(rng, NODES);
        const char *key = keys[gs_rng_below(rng, 2)];
        struct gossip_record r;
        char value[16];

        (void)snprintf(value, sizeof(value), "%d", step);
        if (gs_rng_below(rng, 3) == 0) {
            struct gossip *to = nodes[gs_rng_below(rng, NODES)];

            if (gossip_find(nodes[n], GOSSIP_OPERATOR, NULL, gs_slice_str(key), &r))
                (void)give(to, &r);
            continue;
        }
        (void)put(nodes[n], WALL + gs_rng_below(rng, 3), key, value);
        r = get(nodes[n], key);
        heap_add(h, &r);
    }
    for (unsigned i = 0; i < NODES; i++)
        gossip_free(nodes[i]);
}

static void
merge_shuffled(const struct heap *h, struct gs_rng *rng, struct gs_buf *out)
{
    struct gossip *g = node_new(NODES);
    size_t order[64];

    for (size_t i = 0; i < h->count; i++) {
        size_t k = gs_rng_below(rng, (uint32_t)i + 1);

        order[i] = order[k];
        order[k] = i;
    }
    for (size_t i = 0; i < h->count * 2; i++) { /* some twice: it must not matter */
        size_t pick = i < h->count ? order[i] : gs_rng_below(rng, (uint32_t)h->count);
        struct gossip_record r = { .bytes = gs_buf_slice(&h->bytes[pick]) };

        (void)give(g, &r);
        gossip_check(g);
    }
    fingerprint(g, out);
    gossip_free(g);
}

/* Merge is commutative, associative and idempotent: 400 histories, each in 6 orders. */
static void
merging_does_not_depend_on_the_order(void **state)
{
    struct gs_buf first, other;

    (void)state;
    gs_buf_init(&first, 65536);
    gs_buf_init(&other, 65536);
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct heap h = { .count = 0 };
        struct gs_rng rng;

        gs_rng_init(&rng, seed);
        heap_fill(&h, &rng);
        merge_shuffled(&h, &rng, &first);
        for (int i = 0; i < 5; i++) {
            merge_shuffled(&h, &rng, &other);
            if (strcmp(gs_buf_cstr(&first), gs_buf_cstr(&other)) != 0)
                print_error("seed %d\n%s---\n%s", (int)seed, gs_buf_cstr(&first),
                            gs_buf_cstr(&other));
            assert_string_equal(gs_buf_cstr(&first), gs_buf_cstr(&other));
        }
        heap_fini(&h);
    }
    gs_buf_fini(&first);
    gs_buf_fini(&other);
}

static bool
is_listed(const struct gossip *g, const struct version *v)
{
    struct gossip_former former[RECORD_HISTORY_MAX];
    size_t count = gossip_history(g, v->r.key, former, RECORD_HISTORY_MAX);
    struct gossip_record present;

    assert_true(gossip_find(g, GOSSIP_OPERATOR, NULL, v->r.key, &present));
    if (gs_digest_eq(&present.hash, &v->r.hash))
        return true;
    for (size_t i = 0; i < count; i++) {
        if (former[i].conflict && gs_digest_eq(&former[i].record.hash, &v->r.hash))
            return true;
    }
    return false;
}

/* From what is present or listed as lost, back along what each version replaced: nothing that was
 * ever acknowledged may be left over. */
static void
assert_nothing_lost(const struct gossip *g, struct version *const *v, size_t count)
{
    bool accounted[64] = { false };
    bool changed = true;

    for (size_t i = 0; i < count; i++)
        accounted[i] = is_listed(g, v[i]);
    while (changed) {
        changed = false;
        for (size_t i = 0; i < count; i++) {
            for (size_t k = 0; k < count; k++) {
                if (accounted[i] && !accounted[k] && gs_digest_eq(&v[i]->r.replaced, &v[k]->r.hash))
                    changed = accounted[k] = true;
            }
        }
    }
    for (size_t i = 0; i < count; i++)
        assert_true(accounted[i]);
}

/* Each write that was acknowledged is present, an ancestor of what is, or listed as lost; whatever
 * reached whom in which order, and however little of it. */
static void
no_update_is_lost(void **state)
{
    (void)state;
    for (uint64_t seed = 1000; seed < 1300; seed++) {
        struct heap h = { .count = 0 };
        struct version *v[64];
        struct gs_rng rng;
        struct gossip *g = node_new(NODES);

        gs_rng_init(&rng, seed);
        heap_fill(&h, &rng);
        for (size_t i = h.count; i-- > 0;) {
            struct gossip_record r = { .bytes = gs_buf_slice(&h.bytes[i]) };

            (void)give(g, &r);
            assert_int_equal(version_read(r.bytes, &v[i]), GS_E_OK);
        }
        assert_nothing_lost(g, v, h.count);
        for (size_t i = 0; i < h.count; i++)
            version_free(v[i]);
        gossip_free(g);
        heap_fini(&h);
    }
}

/* ---- more races than usual ---- */

static uint64_t
race_hlc(unsigned i)
{
    return (WALL + i) << 16;
}

/* Written without sight of each other: the last is present, as many as a node lists lost. */
static void
race(struct gossip *g, struct version *v[RECORD_HISTORY_MAX + 1])
{
    for (unsigned i = 0; i <= RECORD_HISTORY_MAX; i++) {
        v[i] = forge(1, race_hlc(i));
        assert_int_equal(give(g, &v[i]->r), GOSSIP_NEWS);
    }
    assert_int_equal(conflicts(g, "k"), RECORD_HISTORY_MAX);
}

static void
race_fini(struct version *v[RECORD_HISTORY_MAX + 1])
{
    for (unsigned i = 0; i <= RECORD_HISTORY_MAX; i++)
        version_free(v[i]);
}

/* Given  as many lost races as a node lists
 * When   somebody goes on from the present version
 * Then   the version replaced is not kept: it lost nothing, and they did */
static void
an_edit_pushes_no_lost_race_out(void **state)
{
    struct gossip *g = node_new(0);
    struct version *v[RECORD_HISTORY_MAX + 1];

    (void)state;
    race(g, v);
    for (unsigned edits = 0; edits < 3; edits++) {
        char value[16];

        (void)snprintf(value, sizeof(value), "edit %u", edits);
        (void)put(g, WALL + 100, "k", value);
        gossip_check(g);
        for (unsigned i = 0; i < RECORD_HISTORY_MAX; i++)
            assert_true(is_listed(g, v[i]));
    }
    assert_int_equal(give(g, &v[RECORD_HISTORY_MAX]->r), GOSSIP_STALE);
    assert_int_equal(conflicts(g, "k"), RECORD_HISTORY_MAX);
    race_fini(v);
    gossip_free(g);
}

/* One that wins, or loses, in sight of a lost race takes the place of that one and of no other. */
static void
who_settles_one_takes_its_place(void **state)
{
    (void)state;
    for (unsigned settled = 0; settled < RECORD_HISTORY_MAX; settled++) {
        for (int wins = 0; wins < 2; wins++) {
            struct gossip *g = node_new(0);
            struct version *v[RECORD_HISTORY_MAX + 1];
            struct version *last;

            race(g, v);
            last = forge_on(v[settled], 2, race_hlc(100));
            if (!wins) /* against one that was made in sight of the present version */
                offer(g, forge_on(v[RECORD_HISTORY_MAX], 3, race_hlc(101)), GOSSIP_NEWS);
            assert_int_equal(give(g, &last->r), wins ? GOSSIP_NEWS : GOSSIP_CONFLICT);
            gossip_check(g);
            for (unsigned i = 0; i < RECORD_HISTORY_MAX; i++)
                assert_int_equal(is_listed(g, v[i]), i != settled);
            assert_true(is_listed(g, last));
            assert_int_equal(is_listed(g, v[RECORD_HISTORY_MAX]), wins);
            version_free(last);
            race_fini(v);
            gossip_free(g);
        }
    }
}

/* Of more than a node lists the lowest goes, and is no news when it is heard again. */
static void
of_too_many_the_lowest_goes(void **state)
{
    struct gossip *g = node_new(0);
    struct version *v[RECORD_HISTORY_MAX + 1];

    (void)state;
    race(g, v);
    offer(g, forge(1, race_hlc(100)), GOSSIP_NEWS);
    gossip_check(g);
    assert_false(is_listed(g, v[0]));
    for (unsigned i = 1; i <= RECORD_HISTORY_MAX; i++)
        assert_true(is_listed(g, v[i]));
    assert_int_equal(give(g, &v[0]->r), GOSSIP_STALE);
    assert_false(is_listed(g, v[0]));
    race_fini(v);
    gossip_free(g);
}

/* ---- hostile and broken input ---- */

static void
absurd_generations_are_refused_and_named(void **state)
{
    struct gossip *g = node_new(0);
    struct gossip_event ev;

    (void)state;
    offer(g, forge(RECORD_GENERATION_MAX + 1, WALL << 16), GOSSIP_REFUSED);
    assert_true(gossip_next_event(g, &ev));
    assert_int_equal(ev.type, GOSSIP_EVENT_REFUSED);
    assert_int_equal(ev.sender.bytes[0], 0xa9);
    assert_int_equal(ev.version.generation, RECORD_GENERATION_MAX + 1);
    assert_memory_equal(ev.key.ptr, "k", 1);
    offer(g, forge(5, WALL << 16), GOSSIP_NEWS);
    offer(g, forge(5 + RECORD_GENERATION_JUMP + 1, WALL << 16), GOSSIP_REFUSED);
    offer(g, forge(5 + RECORD_GENERATION_JUMP, WALL << 16), GOSSIP_NEWS);
    gossip_free(g);
}

static void
a_clock_ahead_is_told_and_taken_no_further_than_a_minute(void **state)
{
    struct gossip *g = node_new(0);
    struct gossip_event ev;

    (void)state;
    offer(g, forge(1, (WALL + 3600000) << 16), GOSSIP_NEWS); /* no quarantine */
    assert_true(gossip_next_event(g, &ev));
    assert_int_equal(ev.type, GOSSIP_EVENT_RECORD);
    assert_true(gossip_next_event(g, &ev));
    assert_int_equal(ev.type, GOSSIP_EVENT_CLOCK_AHEAD);
    assert_int_equal(ev.ahead_ms, 3600000);
    assert_int_equal(gs_hlc_ms(gossip_hlc(g)), WALL + HLC_AHEAD_MS);
    assert_int_equal(put(g, WALL, "k", "mine").generation, 2); /* and the next edit wins */
    assert_value(g, "k", "mine");
    gossip_free(g);
}

static void
every_altered_byte_is_refused_or_another_record(void **state)
{
    struct gossip *a = node_new(0);
    struct gossip_record r;
    char bytes[256];

    (void)state;
    (void)put(a, WALL, "k", "0");
    (void)put(a, WALL, "k", "1");
    (void)put(a, WALL, "k", "2");
    r = get(a, "k");
    assert_true(r.bytes.len < sizeof(bytes));
    for (size_t i = 0; i < r.bytes.len * 8; i++) {
        struct version *v;

        memcpy(bytes, r.bytes.ptr, r.bytes.len);
        bytes[i / 8] = (char)(bytes[i / 8] ^ (1 << i % 8));
        if (version_read(gs_slice(bytes, r.bytes.len), &v) == GS_E_OK) {
            assert_false(gs_digest_eq(&v->r.hash, &r.hash));
            version_free(v);
        }
    }
    for (size_t len = 0; len < r.bytes.len; len++) {
        struct version *v;

        assert_int_not_equal(version_read(gs_slice_head(r.bytes, len), &v), GS_E_OK);
    }
    gossip_free(a);
}

/* What a later version adds must be kept and hashed by this one, not dropped or re-encoded. */
static void
unknown_fields_are_kept(void **state)
{
    static const char bytes[] = "\x89\x01\x01\x02\x10\x03\xc4\x01k\x04\x01\x05\x00\x06\xc4\x10"
                                "0123456789abcdef\x07\xc4\x01v\x08\x00\x40\xa3new";
    struct gossip *g = node_new(0);
    struct gossip_record r = { .bytes = gs_slice(bytes, sizeof(bytes) - 1) };

    (void)state;
    assert_int_equal(give(g, &r), GOSSIP_NEWS);
    r = get(g, "k");
    assert_int_equal(r.bytes.len, sizeof(bytes) - 1);
    assert_memory_equal(r.bytes.ptr, bytes, r.bytes.len);
    gossip_free(g);
}

/* The bytes of format 1; they must never change, or meshes of two versions disagree on hashes. */
static void
golden_record(void **state)
{
    struct wire_record w = { .r = {
        .class = GOSSIP_OPERATOR,
        .kind = 16,
        .key = GS_SLICE("VirtualService/default/web"),
        .value = GS_SLICE("\x81\x01\x02"),
        .version = { 3, UINT64_C(0x0192f3a1b2c40001), { { 0x9f, 0x8e, 0x7d } } },
        .born_hlc = UINT64_C(0x0192f3a1b2c30000),
        .transaction = 77,
        .transaction_count = 2,
        .replaced = { { 1, 2, 3, 4, 5 } },
    }, .lineage = GS_SLICE("abcdefgh") };
    static const char expected[] =
        "\x8c\x01\x01\x02\x10\x03\xc4\x1aVirtualService/default/web\x04\x03\x05\xcf\x01\x92\xf3\xa1"
        "\xb2\xc4\x00\x01\x06\xc4\x10\x9f\x8e\x7d\0\0\0\0\0\0\0\0\0\0\0\0\0\x07\xc4\x03\x81\x01\x02"
        "\x08\xcf\x01\x92\xf3\xa1\xb2\xc3\x00\x00\x09\xc4\x10\x01\x02\x03\x04\x05\0\0\0\0\0\0\0\0\0"
        "\0\0\x0a\xc4\x08"
        "abcdefgh\x0b\x4d\x0c\x02";
    struct version *v;

    (void)state;
    assert_int_equal(version_make(&w, &v), GS_E_OK);
    assert_int_equal(v->r.bytes.len, sizeof(expected) - 1);
    assert_memory_equal(v->r.bytes.ptr, expected, v->r.bytes.len);
    version_free(v);
}

static void
golden_list_of_members(void **state)
{
    static const char expected[] =
        "\x92\x85\x01\xc4\x01"
        "a\x02\x01\x03\xcd\x12\x34\x04\xc4\x10\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05\xc4\x10"
        "\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x85\x01\xc4\x02"
        "bc\x02\x02\x03\x05\x04\xc4\x10\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05\xc4\x10\x09\0\0"
        "\0\0\0\0\0\0\0\0\0\0\0\0\0";
    struct gossip_member members[2] = {
        { GS_SLICE("a"), { 1, 0x1234, { { 7 } } }, { { 8 } } },
        { GS_SLICE("bc"), { 2, 5, { { 7 } } }, { { 9 } } },
    };
    struct gossip_member read[2];
    struct gs_buf out;
    size_t count;

    (void)state;
    gs_buf_init(&out, 1024);
    assert_int_equal(wire_put_members(&out, members, 2), GS_E_OK);
    assert_int_equal(out.len, sizeof(expected) - 1);
    assert_memory_equal(out.ptr, expected, out.len);
    assert_int_equal(wire_read_members(gs_buf_slice(&out), read, 2, &count), GS_E_OK);
    assert_int_equal(count, 2);
    assert_int_equal(gs_version_cmp(&read[1].version, &members[1].version), 0);
    assert_int_equal(wire_read_members(gs_buf_slice(&out), read, 1, &count), GS_E_LIMIT);
    gs_buf_fini(&out);
}

static void
the_store_has_a_limit(void **state)
{
    struct gossip *g = node_new(0);
    struct gossip_op ops[APPLY_OBJECTS_MAX];
    static char keys[APPLY_OBJECTS_MAX][32];
    struct gossip_put_result results[APPLY_OBJECTS_MAX];
    struct gossip_record forged;
    enum gossip_merged outcome;
    struct gs_id sender = id_of(9);
    struct version *v;
    struct gs_why why;
    gs_err e = GS_E_OK;

    (void)state;
    for (int batch = 0; e == GS_E_OK && batch <= RECORDS_MAX / APPLY_OBJECTS_MAX; batch++) {
        for (int i = 0; i < APPLY_OBJECTS_MAX; i++) {
            (void)snprintf(keys[i], sizeof(keys[i]), "%d.%d", batch, i);
            ops[i] = (struct gossip_op){ KIND, gs_slice_str(keys[i]), GS_SLICE("v"), false, NULL };
        }
        e = gossip_put(g, 0, WALL, ops, APPLY_OBJECTS_MAX, results, &why);
    }
    assert_int_equal(e, GS_E_LIMIT);
    assert_non_null(strstr(why.text, "16384"));
    while (gossip_put(g, 0, WALL, ops, 1, results, NULL) == GS_E_OK)
        (void)snprintf(keys[0], sizeof(keys[0]), "x%u", (unsigned)rand());
    (void)put(g, WALL, "0.0", "edit"); /* what is there can still be changed */
    v = forge(1, WALL << 16);
    forged = v->r;
    assert_int_equal(gossip_merge(g, 0, WALL, &sender, forged.bytes, &outcome, NULL), GS_E_LIMIT);
    version_free(v);
    gossip_check(g);
    gossip_free(g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_later_generation_wins_whatever_the_clocks),
        cmocka_unit_test(the_loser_of_a_concurrent_write_is_kept),
        cmocka_unit_test(an_ancestor_is_known_over_a_gap),
        cmocka_unit_test(a_delete_and_an_edit_are_a_conflict_too),
        cmocka_unit_test(merging_does_not_depend_on_the_order),
        cmocka_unit_test(no_update_is_lost),
        cmocka_unit_test(an_edit_pushes_no_lost_race_out),
        cmocka_unit_test(who_settles_one_takes_its_place),
        cmocka_unit_test(of_too_many_the_lowest_goes),
        cmocka_unit_test(absurd_generations_are_refused_and_named),
        cmocka_unit_test(a_clock_ahead_is_told_and_taken_no_further_than_a_minute),
        cmocka_unit_test(every_altered_byte_is_refused_or_another_record),
        cmocka_unit_test(unknown_fields_are_kept),
        cmocka_unit_test(golden_record),
        cmocka_unit_test(golden_list_of_members),
        cmocka_unit_test(the_store_has_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
