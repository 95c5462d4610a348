/* wire_claim.c - claims as bytes: what is of a fixed size, and needs no msgpack. Three lists, of
 * which a reader that knows only the first takes nothing wrong:
 *
 *     claims  one after the other
 *     marks   the places, in it, of those whose node said that it restarts
 *     ages    of those who are dead or left, in their order: since when (streams only) */
#include "gossip/wire.h"

#include <string.h>

#include <gossamer/alloc.h>

/* Where a claim's parts begin. */
#define CLAIM_STATE 16
#define CLAIM_BOOT 17
#define CLAIM_INCARNATION 25
#define CLAIM_ACCUSER 29

_Static_assert(CLAIM_ACCUSER + GS_ID_BYTES == WIRE_CLAIM_BYTES, "a claim is its parts");
_Static_assert(MEMBERS_MAX <= UINT16_MAX, "a mark names any claim there may be");

/* ---- numbers ---- */

void
wire_put_u32(char out[4], uint32_t v)
{
    for (int i = 0; i < 4; i++)
        out[i] = (char)(v >> (24 - 8 * i));
}

void
wire_put_u64(char out[8], uint64_t v)
{
    wire_put_u32(out, (uint32_t)(v >> 32));
    wire_put_u32(out + 4, (uint32_t)v);
}

uint32_t
wire_u32(const char *bytes)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++)
        v = v << 8 | (uint8_t)bytes[i];
    return v;
}

uint64_t
wire_u64(const char *bytes)
{
    return (uint64_t)wire_u32(bytes) << 32 | wire_u32(bytes + 4);
}

/* ---- writing ---- */

void
wire_put_claim(char out[WIRE_CLAIM_BYTES], const struct wire_claim *c)
{
    GS_ASSERT(c->state >= GOSSIP_ALIVE);
    GS_ASSERT(c->state <= GOSSIP_LEFT);
    GS_ASSERT(c->boot > 0);
    GS_ASSERT(!c->restarting || c->state == GOSSIP_ALIVE);
    memcpy(out, c->id.bytes, GS_ID_BYTES);
    out[CLAIM_STATE] = (char)c->state;
    wire_put_u64(out + CLAIM_BOOT, c->boot);
    wire_put_u32(out + CLAIM_INCARNATION, c->incarnation);
    memcpy(out + CLAIM_ACCUSER, c->accuser.bytes, GS_ID_BYTES);
}

void
wire_put_mark(char out[WIRE_MARK_BYTES], size_t claim)
{
    GS_ASSERT(claim <= UINT16_MAX);
    out[0] = (char)(claim >> 8);
    out[1] = (char)claim;
}

static bool
has_age(enum gossip_state s)
{
    return s == GOSSIP_DEAD || s == GOSSIP_LEFT;
}

void
wire_claims_init(struct wire_claims *l, size_t most)
{
    GS_ASSERT(most <= MEMBERS_MAX + 1);
    *l = (struct wire_claims){ .claims = gs_alloc(most * WIRE_CLAIM_BYTES),
                               .marks = gs_alloc(most * WIRE_MARK_BYTES),
                               .ages = gs_alloc(most * WIRE_AGE_BYTES),
                               .most = most };
}

void
wire_claims_fini(struct wire_claims *l)
{
    gs_free(l->claims);
    gs_free(l->marks);
    gs_free(l->ages);
}

void
wire_claims_put(struct wire_claims *l, const struct wire_claim *c)
{
    GS_ASSERT(l->count < l->most);
    wire_put_claim(l->claims + l->count * WIRE_CLAIM_BYTES, c);
    if (c->restarting)
        wire_put_mark(l->marks + WIRE_MARK_BYTES * l->mark_count++, l->count);
    if (has_age(c->state))
        wire_put_u32(l->ages + WIRE_AGE_BYTES * l->age_count++, c->age_s);
    l->count++;
}

void
wire_claims_give(const struct wire_claims *l, struct wire_packet *p)
{
    GS_ASSERT(l->mark_count + l->age_count <= l->count);
    p->claims = gs_slice(l->claims, l->count * WIRE_CLAIM_BYTES);
    p->marks = gs_slice(l->marks, l->mark_count * WIRE_MARK_BYTES);
    p->ages = gs_slice(l->ages, l->age_count * WIRE_AGE_BYTES);
}

/* ---- reading ---- */

static struct wire_claim
claim_at(struct gs_slice claims, size_t i)
{
    const char *at = claims.ptr + i * WIRE_CLAIM_BYTES;
    struct wire_claim c = { 0 };

    GS_ASSERT(i < claims.len / WIRE_CLAIM_BYTES);
    memcpy(c.id.bytes, at, GS_ID_BYTES);
    c.state = (enum gossip_state)(uint8_t)at[CLAIM_STATE];
    c.boot = wire_u64(at + CLAIM_BOOT);
    c.incarnation = wire_u32(at + CLAIM_INCARNATION);
    memcpy(c.accuser.bytes, at + CLAIM_ACCUSER, GS_ID_BYTES);
    return c;
}

static size_t
mark_at(struct gs_slice marks, size_t i)
{
    const char *at = marks.ptr + i * WIRE_MARK_BYTES;

    GS_ASSERT(i < marks.len / WIRE_MARK_BYTES);
    return (size_t)((uint8_t)at[0] << 8 | (uint8_t)at[1]);
}

bool
wire_next_claim(const struct wire_packet *p, struct wire_claim_at *at, struct wire_claim *out)
{
    if (at->claim == p->claims.len / WIRE_CLAIM_BYTES)
        return false;
    *out = claim_at(p->claims, at->claim);
    if (at->mark < p->marks.len / WIRE_MARK_BYTES && mark_at(p->marks, at->mark) == at->claim) {
        out->restarting = true;
        at->mark++;
    }
    if (has_age(out->state) && p->ages.len > 0)
        out->age_s = wire_u32(p->ages.ptr + WIRE_AGE_BYTES * at->age++);
    GS_ASSERT(at->age * WIRE_AGE_BYTES <= p->ages.len);
    at->claim++;
    return true;
}

static bool
claim_is_sound(const struct wire_claim *c)
{
    static const struct gs_id nobody;

    if (c->state < GOSSIP_ALIVE || c->state > GOSSIP_LEFT || c->boot == 0)
        return false;
    return c->state == GOSSIP_SUSPECT || c->state == GOSSIP_DEAD || gs_id_eq(&c->accuser, &nobody);
}

/* Marks are of claims that are there and say ALIVE, each once. */
static bool
marks_are_sound(struct gs_slice marks, struct gs_slice claims)
{
    size_t next = 0;

    for (size_t i = 0; i < marks.len / WIRE_MARK_BYTES; i++) {
        size_t at = mark_at(marks, i);

        if (at < next || at >= claims.len / WIRE_CLAIM_BYTES ||
            claim_at(claims, at).state != GOSSIP_ALIVE)
            return false;
        next = at + 1;
    }
    return true;
}

bool
wire_claims_are_sound(const struct wire_packet *p)
{
    size_t ended = 0;

    for (size_t i = 0; i < p->claims.len / WIRE_CLAIM_BYTES; i++) {
        struct wire_claim c = claim_at(p->claims, i);

        if (!claim_is_sound(&c))
            return false;
        ended += has_age(c.state);
    }
    return marks_are_sound(p->marks, p->claims) &&
           (p->ages.len == 0 || p->ages.len == ended * WIRE_AGE_BYTES);
}
