/* test_record.c - the record store: what a write does, and that merging does not depend on the
 * order of arrival. */
#include <gossamer/gossip.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <gossamer/alloc.h>
#include <gossamer/buf.h>
#include <gossamer/rng.h>
#include <gossamer/seal.h>

#include "gossip/record.h"
#include "gossip/wire.h"

#define WALL UINT64_C(1732000000000)
#define KIND GOSSIP_KIND_USER
#define NODES 4

static struct gs_id
id_of(unsigned n)
{
    struct gs_id id = { { 0 } };

    id.bytes[0] = (uint8_t)(0xa0 + n);
    return id;
}

static struct gossip *
node_new(unsigned n)
{
    return gossip_new(&(struct gossip_options){ .self = id_of(n), .boot = 1 });
}

static struct gs_version
put(struct gossip *g, uint64_t wall_ms, const char *key, const char *value)
{
    struct gossip_op op = { KIND, gs_slice_str(key), gs_slice_str(value), !value, NULL };
    struct gossip_put_result result;
    struct gs_why why = { "" };
    gs_err e = gossip_put(g, 0, wall_ms, &op, 1, &result, &why);

    if (e != GS_E_OK)
        print_error("%s\n", why.text);
    assert_int_equal(e, GS_E_OK);
    return result.version;
}

static struct gossip_record
get(const struct gossip *g, const char *key)
{
    struct gossip_record r;

    assert_true(gossip_find(g, GOSSIP_OPERATOR, NULL, gs_slice_str(key), &r));
    return r;
}

static enum gossip_merged
give(struct gossip *to, const struct gossip_record *r)
{
    enum gossip_merged outcome;
    struct gs_id sender = id_of(9);

    assert_int_equal(gossip_merge(to, 0, WALL, &sender, r->bytes, &outcome, NULL), GS_E_OK);
    return outcome;
}

static enum gossip_merged
send(const struct gossip *from, struct gossip *to, const char *key)
{
    struct gossip_record r = get(from, key);

    return give(to, &r);
}

static void
assert_value(const struct gossip *g, const char *key, const char *value)
{
    struct gossip_record r = get(g, key);

    if (!value) {
        assert_true(r.tombstone);
        return;
    }
    assert_false(r.tombstone);
    assert_int_equal(r.value.len, strlen(value));
    assert_memory_equal(r.value.ptr, value, r.value.len);
}

static size_t
drain(struct gossip *g, enum gossip_event_type type)
{
    struct gossip_event ev;
    size_t count = 0;

    while (gossip_next_event(g, &ev))
        count += ev.type == type;
    return count;
}

static size_t
conflicts(const struct gossip *g, const char *key)
{
    struct gossip_former former[RECORD_HISTORY_MAX];
    size_t count = gossip_history(g, gs_slice_str(key), former, RECORD_HISTORY_MAX);
    size_t found = 0;

    for (size_t i = 0; i < count; i++)
        found += former[i].conflict;
    return found;
}

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
put_pair(struct gossip *g, uint64_t wall_ms, const char *value)
{
    struct gossip_op ops[2] = {
        { KIND, GS_SLICE("a"), gs_slice_str(value), false, NULL },
        { KIND, GS_SLICE("b"), gs_slice_str(value), false, NULL },
    };
    struct gossip_put_result results[2];

    assert_int_equal(gossip_put(g, 0, wall_ms, ops, 2, results, NULL), GS_E_OK);
}

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

/* ---- merging ---- */

static void
the_later_generation_wins_whatever_the_clocks(void **state)
{
    struct gossip *a = node_new(0);
    struct gossip *b = node_new(1);

    (void)state;
    (void)put(a, WALL + 50000, "k", "a");
    assert_int_equal(send(a, b, "k"), GOSSIP_NEWS);
    (void)put(b, WALL - 3600000, "k", "b"); /* a clock an hour behind */
    assert_int_equal(send(b, a, "k"), GOSSIP_NEWS);
    assert_value(a, "k", "b");
    assert_int_equal(conflicts(a, "k"), 0);
    assert_int_equal(send(b, a, "k"), GOSSIP_STALE);
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
    (void)send(a, b, "k");
    (void)put(a, WALL + 1, "k", "a");
    (void)put(b, WALL + 2, "k", "b");
    (void)drain(a, GOSSIP_EVENT_RECORD);
    (void)drain(b, GOSSIP_EVENT_RECORD);
    assert_int_equal(send(a, b, "k"), GOSSIP_CONFLICT);
    assert_int_equal(send(b, a, "k"), GOSSIP_NEWS);
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
    (void)send(a, b, "k");
    for (int i = 1; i <= RECORD_LINEAGE_MAX; i++) {
        (void)snprintf(value, sizeof(value), "%d", i);
        (void)put(a, WALL, "k", value);
    }
    assert_int_equal(send(a, b, "k"), GOSSIP_NEWS);
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
    (void)send(a, b, "k");
    (void)put(a, WALL + 1, "k", "edit");
    (void)put(b, WALL + 2, "k", NULL);
    assert_int_equal(send(b, a, "k"), GOSSIP_NEWS);
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

/* Present versions and conflicts, as text. */
static void
fingerprint(struct gossip *g, struct gs_buf *out)
{
    static const char *const keys[] = { "k", "l" };
    char text[GS_VERSION_TEXT];

    gs_buf_clear(out);
    for (size_t k = 0; k < 2; k++) {
        struct gossip_former former[RECORD_HISTORY_MAX];
        size_t count = gossip_history(g, gs_slice_str(keys[k]), former, RECORD_HISTORY_MAX);
        struct gossip_record r;

        if (!gossip_find(g, GOSSIP_OPERATOR, NULL, gs_slice_str(keys[k]), &r))
            continue;
        (void)gs_buf_printf(out, "%s %s\n", keys[k], gs_version_text(&r.version, text));
        for (size_t i = 0; i < count; i++) {
            if (former[i].conflict)
                (void)gs_buf_printf(out, "  lost %s\n",
                                    gs_version_text(&former[i].record.version, text));
        }
    }
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

/* ---- hostile and broken input ---- */

static struct version *
forge(uint64_t generation, uint64_t hlc)
{
    struct wire_record w = { .r = {
                                 .class = GOSSIP_OPERATOR,
                                 .kind = KIND,
                                 .key = GS_SLICE("k"),
                                 .value = GS_SLICE("forged"),
                                 .version = { generation, hlc, id_of(6) },
                             } };
    struct version *v;

    assert_int_equal(version_make(&w, &v), GS_E_OK);
    return v;
}

static void
offer(struct gossip *g, struct version *v, enum gossip_merged expected)
{
    assert_int_equal(give(g, &v->r), expected);
    version_free(v);
}

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
    assert_int_equal(send(other, g, "k"), GOSSIP_NEWS);
    old = get(other, "k");
    assert_int_equal(gossip_put(g, 1000, WALL + 5, &op, 1, &result, NULL), GS_E_OK);
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
    (void)send(a, b, "k");
    (void)put(a, WALL + 1, "k", "a");
    (void)put(b, WALL + 2, "k", "b");
    (void)send(b, a, "k");
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
    assert_int_equal(send(other, again, "k"), GOSSIP_STALE);
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
        cmocka_unit_test(the_later_generation_wins_whatever_the_clocks),
        cmocka_unit_test(the_loser_of_a_concurrent_write_is_kept),
        cmocka_unit_test(an_ancestor_is_known_over_a_gap),
        cmocka_unit_test(a_delete_and_an_edit_are_a_conflict_too),
        cmocka_unit_test(merging_does_not_depend_on_the_order),
        cmocka_unit_test(no_update_is_lost),
        cmocka_unit_test(absurd_generations_are_refused_and_named),
        cmocka_unit_test(a_clock_ahead_is_told_and_taken_no_further_than_a_minute),
        cmocka_unit_test(every_altered_byte_is_refused_or_another_record),
        cmocka_unit_test(unknown_fields_are_kept),
        cmocka_unit_test(golden_record),
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
