/* nodes.h - record stores for tests: one node puts, another is given what it put. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <gossamer/buf.h>
#include <gossamer/gossip.h>

#include "gossip/record.h"

#define WALL UINT64_C(1732000000000)
#define KIND GOSSIP_KIND_USER
#define NODES 4

static inline struct gs_id
id_of(unsigned n)
{
    struct gs_id id = { { 0 } };

    id.bytes[0] = (uint8_t)(0xa0 + n);
    return id;
}

static inline struct gossip *
node_new(unsigned n)
{
    return gossip_new(&(struct gossip_options){ .self = id_of(n), .boot = 1 });
}

static inline struct gs_version
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

static inline struct gossip_record
get(const struct gossip *g, const char *key)
{
    struct gossip_record r;

    assert_true(gossip_find(g, GOSSIP_OPERATOR, NULL, gs_slice_str(key), &r));
    return r;
}

static inline enum gossip_merged
give(struct gossip *to, const struct gossip_record *r)
{
    enum gossip_merged outcome;
    struct gs_id sender = id_of(9);

    assert_int_equal(gossip_merge(to, 0, WALL, &sender, r->bytes, &outcome, NULL), GS_E_OK);
    return outcome;
}

static inline enum gossip_merged
pass_on(const struct gossip *from, struct gossip *to, const char *key)
{
    struct gossip_record r = get(from, key);

    return give(to, &r);
}

static inline void
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

static inline size_t
drain(struct gossip *g, enum gossip_event_type type)
{
    struct gossip_event ev;
    size_t count = 0;

    while (gossip_next_event(g, &ev))
        count += ev.type == type;
    return count;
}

static inline size_t
conflicts(const struct gossip *g, const char *key)
{
    struct gossip_former former[RECORD_HISTORY_MAX];
    size_t count = gossip_history(g, gs_slice_str(key), former, RECORD_HISTORY_MAX);
    size_t found = 0;

    for (size_t i = 0; i < count; i++)
        found += former[i].conflict;
    return found;
}

static inline void
put_pair(struct gossip *g, uint64_t wall_ms, const char *value)
{
    struct gossip_op ops[2] = {
        { KIND, GS_SLICE("a"), gs_slice_str(value), false, NULL },
        { KIND, GS_SLICE("b"), gs_slice_str(value), false, NULL },
    };
    struct gossip_put_result results[2];

    assert_int_equal(gossip_put(g, 0, wall_ms, ops, 2, results, NULL), GS_E_OK);
}

/* Present versions and conflicts, as text. */
static inline void
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

/* A version of "k" by somebody else; made in sight of former, if that is not NULL. */
static inline struct version *
forge_on(const struct version *former, uint64_t generation, uint64_t hlc)
{
    struct wire_record w = { .r = {
                                 .class = GOSSIP_OPERATOR,
                                 .kind = KIND,
                                 .key = GS_SLICE("k"),
                                 .value = GS_SLICE("forged"),
                                 .version = { generation, hlc, id_of(6) },
                             } };
    struct version *v;

    if (former)
        w.r.replaced = former->r.hash;
    assert_int_equal(version_make(&w, &v), GS_E_OK);
    return v;
}

static inline struct version *
forge(uint64_t generation, uint64_t hlc)
{
    return forge_on(NULL, generation, hlc);
}

static inline void
offer(struct gossip *g, struct version *v, enum gossip_merged expected)
{
    assert_int_equal(give(g, &v->r), expected);
    version_free(v);
}
