/* parties.h - nodes for tests that do nothing but prove themselves and others, by packets whose
 * body is a challenge and an echo. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <gossamer/alloc.h>

#include "gossip/box.h"
#include "gossip/wire.h"

#define BODY_BYTES 16 /* challenge and echo */
#define PACKET_BYTES (BODY_BYTES + BOX_OVERHEAD)

struct party {
    struct gs_id id;
    uint64_t name;
    struct seal_ring keys;
    struct gs_rng rng;
    struct box *box;
};

struct packet {
    char bytes[PACKET_BYTES];
};

static inline void
ring_add(struct seal_ring *r, uint8_t first)
{
    uint8_t key[SEAL_KEY_BYTES] = { first };

    assert_int_equal(seal_ring_add(r, key, NULL), GS_E_OK);
}

/* A process start. Seeded as the one before: what keeps runs apart is the session alone. */
static inline void
party_start(struct party *p, uint64_t session)
{
    box_free(p->box);
    gs_rng_init(&p->rng, 1);
    p->box = box_new(&p->id, session, &p->keys, &p->rng);
}

static inline struct party *
party_new(unsigned n)
{
    struct party *p = calloc(1, sizeof(*p));

    p->id.bytes[0] = (uint8_t)(0xa0 + n);
    p->name = box_name(&p->id);
    ring_add(&p->keys, 1);
    party_start(p, 100 + n);
    return p;
}

static inline void
party_free(struct party *p)
{
    box_check(p->box);
    box_free(p->box);
    free(p);
}

static inline struct packet
seal(struct party *from, const struct box_tokens *t)
{
    struct packet out;
    char body[BODY_BYTES];

    wire_put_u64(body, t->challenge);
    wire_put_u64(body + 8, t->echo);
    box_seal(from->box, gs_slice(body, sizeof(body)), out.bytes);
    return out;
}

static inline struct packet
say(struct party *from, uint64_t now_ms, const struct party *to)
{
    struct box_tokens t = box_tokens(from->box, now_ms, to->name);

    return seal(from, &t);
}

static inline struct box_tokens
tokens_in(const struct box_opened *o)
{
    assert_int_equal(o->body.len, BODY_BYTES);
    return (struct box_tokens){ wire_u64(o->body.ptr), wire_u64(o->body.ptr + 8) };
}

/* Opened from, and into, allocations of exactly its size. */
static inline struct box_opened
open_exact(struct party *to, struct gs_slice bytes, struct box_stream *s, char **plain)
{
    char *copy = gs_alloc(bytes.len + 1);
    struct box_opened o;

    memcpy(copy + 1, bytes.ptr, bytes.len);
    *plain = gs_alloc(bytes.len + 1);
    o = box_open(to->box, gs_slice(copy + 1, bytes.len), s, *plain);
    gs_free(copy);
    return o;
}

/* As a core does it: open, read, take. */
static inline struct box_opened
give(struct party *to, uint64_t now_ms, const struct packet *p)
{
    struct box_tokens t;
    char *plain;
    struct box_opened o = open_exact(to, gs_slice(p->bytes, sizeof(p->bytes)), NULL, &plain);

    if (o.verdict != BOX_REFUSED) {
        t = tokens_in(&o);
        if (box_take(to->box, now_ms, &o, &t))
            o.verdict = BOX_GOOD;
    }
    box_check(to->box);
    gs_free(plain);
    return o;
}

static inline void
assert_given(struct party *to, uint64_t now_ms, const struct packet *p, enum box_verdict expected)
{
    assert_int_equal(give(to, now_ms, p).verdict, expected);
}

static inline void
assert_refused(struct party *to, uint64_t now_ms, const struct packet *p,
               enum gossip_refusal expected)
{
    struct box_opened o = give(to, now_ms, p);

    assert_int_equal(o.verdict, BOX_REFUSED);
    assert_int_equal(o.refusal, expected);
}

/* The picture of box.h. */
static inline void
introduce(struct party *a, struct party *b, uint64_t now_ms)
{
    struct packet p = say(a, now_ms, b);

    assert_given(b, now_ms, &p, BOX_UNKNOWN);
    p = say(b, now_ms, a);
    assert_given(a, now_ms, &p, BOX_GOOD);
    p = say(a, now_ms, b);
    assert_given(b, now_ms, &p, BOX_GOOD);
    assert_true(box_is_proven(a->box, b->name));
    assert_true(box_is_proven(b->box, a->name));
}

static inline struct packet
plain_packet(struct party *from)
{
    return seal(from, &(struct box_tokens){ 0, 0 });
}
