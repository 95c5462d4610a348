/* test_wire.c - packets and nodes as bytes: what they look like for good, and that nothing hostile
 * is taken. (Records and members: test_record.c.) */
#include "gossip/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <gossamer/alloc.h>
#include <gossamer/pack.h>

#define BUCKETS_BYTES (8 * DIGEST_BUCKETS * WIRE_CLASSES)
#define GOLDEN_MAX 2048

static struct gs_slice records[WIRE_PACKET_RECORDS_MAX];

/* n, n + 1, ... */
static struct gs_id
id_from(unsigned n)
{
    struct gs_id id;

    for (unsigned i = 0; i < GS_ID_BYTES; i++)
        id.bytes[i] = (uint8_t)(n + i);
    return id;
}

static struct gs_addr
address(const char *text)
{
    struct gs_addr a;

    assert_int_equal(gs_addr_parse(&a, gs_slice_str(text), NULL), GS_E_OK);
    return a;
}

static void
from_hex(struct gs_buf *out, const char *hex)
{
    unsigned byte;

    gs_buf_init(out, GOLDEN_MAX);
    for (; *hex; hex += 2) {
        assert_int_equal(sscanf(hex, "%2x", &byte), 1);
        assert_int_equal(gs_buf_put(out, &(char){ (char)byte }, 1), GS_E_OK);
    }
}

static void
assert_hex(const struct gs_buf *b, const char *expected)
{
    char *hex = calloc(2, b->len + 1);

    for (size_t i = 0; i < b->len; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", (uint8_t)b->ptr[i]);
    assert_string_equal(hex, expected);
    free(hex);
}

/* The packet has these bytes, and they are read as that packet. */
static void
assert_golden(const struct wire_packet *w, const char *hex)
{
    struct gs_buf first, second;
    struct wire_packet read;

    gs_buf_init(&first, GOLDEN_MAX);
    gs_buf_init(&second, GOLDEN_MAX);
    assert_int_equal(wire_put_packet(&first, w), GS_E_OK);
    assert_hex(&first, hex);
    assert_int_equal(wire_read_packet(gs_buf_slice(&first), &read, records), GS_E_OK);
    assert_int_equal(wire_put_packet(&second, &read), GS_E_OK);
    assert_hex(&second, hex);
    gs_buf_fini(&first);
    gs_buf_fini(&second);
}

static gs_err
read_hex(const char *hex, struct wire_packet *out)
{
    struct gs_buf bytes;
    gs_err e;

    from_hex(&bytes, hex);
    e = wire_read_packet(gs_buf_slice(&bytes), out, records);
    gs_buf_fini(&bytes);
    return e;
}

/* Sound msgpack, but no packet. */
static void
assert_malformed(const char *hex)
{
    struct wire_packet w;
    struct gs_buf bytes;

    from_hex(&bytes, hex);
    assert_int_equal(gs_pack_check(gs_buf_slice(&bytes), 4, 100), GS_E_OK);
    gs_buf_fini(&bytes);
    assert_int_equal(read_hex(hex, &w), GS_E_MALFORMED);
}

/* ---- golden bytes of format 1: they never change ---- */

static void
golden_nodes(void **state)
{
    struct wire_node n = { GS_SLICE("web-1"), address("192.0.2.7:8080"), GS_SLICE("about") };
    struct wire_node read;
    struct gs_buf out;

    (void)state;
    gs_buf_init(&out, GOLDEN_MAX);
    assert_int_equal(wire_put_node(&out, &n), GS_E_OK);
    assert_hex(&out, "8301c4057765622d3102c406c00002071f9003c40561626f7574");
    assert_int_equal(wire_read_node(gs_buf_slice(&out), &read), GS_E_OK);
    assert_true(gs_slice_eq(read.name, n.name));
    assert_true(gs_addr_eq(&read.address, &n.address));
    assert_true(gs_slice_eq(read.about, n.about));
    gs_buf_clear(&out);
    n = (struct wire_node){ GS_SLICE("w"), address("[2001:db8::1]:8080"), GS_SLICE("") };
    assert_int_equal(wire_put_node(&out, &n), GS_E_OK);
    assert_hex(&out, "8301c4017702c41220010db80000000000000000000000011f9003c400");
    assert_int_equal(wire_read_node(gs_buf_slice(&out), &read), GS_E_OK);
    assert_true(gs_addr_eq(&read.address, &n.address));
    assert_int_equal(read.about.len, 0);
    gs_buf_fini(&out);
}

static void
golden_tokens_and_flags(void **state)
{
    (void)state;
    assert_golden(&(struct wire_packet){ 0 }, "80");
    assert_golden(&(struct wire_packet){ .challenge = UINT64_C(0x0102030405060708),
                                         .echo = UINT64_C(0x1112131415161718) },
                  "8201c408010203040506070802c4081112131415161718");
    assert_golden(&(struct wire_packet){ .flags = 0x80000000 | WIRE_OPEN | WIRE_POLICY | WIRE_DONE |
                                                  WIRE_BUSY },
                  "8107ce8000000f");
    assert_golden(&(struct wire_packet){ .pad = GS_SLICE("\0\0\0\0\0") }, "8111c4050000000000");
}

static void
golden_probes(void **state)
{
    static const char ping[] = "83030104cd012c05c4081011121314151617";
    struct wire_probe p = { .type = WIRE_PING, .sequence = 300, .target = id_from(0x10) };
    struct wire_packet read;

    (void)state;
    assert_golden(&(struct wire_packet){ .probe = p }, ping);
    assert_int_equal(read_hex(ping, &read), GS_E_OK);
    assert_int_equal(read.probe.sequence, 300);
    assert_memory_equal(read.probe.target.bytes, p.target.bytes, 8);
    assert_memory_equal(read.probe.target.bytes + 8, "\0\0\0\0\0\0\0\0", 8);
    p = (struct wire_probe){ .type = WIRE_ACK };
    assert_golden(&(struct wire_packet){ .probe = p }, "8203020400");
    p = (struct wire_probe){ WIRE_ASK, UINT32_MAX, id_from(0x10), address("192.0.2.7:8080") };
    assert_golden(&(struct wire_packet){ .probe = p },
                  "84030304ceffffffff05c410101112131415161718191a1b1c1d1e1f06c406c00002071f90");
    p = (struct wire_probe){ WIRE_ASK, 1, id_from(0x10), address("[2001:db8::1]:8080") };
    assert_golden(&(struct wire_packet){ .probe = p },
                  "840303040105c410101112131415161718191a1b1c1d1e1f"
                  "06c41220010db80000000000000000000000011f90");
    p = (struct wire_probe){ .type = WIRE_NACK, .sequence = 1 };
    assert_golden(&(struct wire_packet){ .probe = p }, "8203040401");
    p = (struct wire_probe){ .type = WIRE_GONE, .sequence = 1 };
    assert_golden(&(struct wire_packet){ .probe = p }, "8203050401");
}

static void
assert_claims_equal(const struct wire_claim *a, const struct wire_claim *b)
{
    assert_true(gs_id_eq(&a->id, &b->id));
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->boot, b->boot);
    assert_int_equal(a->incarnation, b->incarnation);
    assert_true(gs_id_eq(&a->accuser, &b->accuser));
    assert_int_equal(a->restarting, b->restarting);
    assert_int_equal(a->age_s, b->age_s);
}

static void
golden_claims(void **state)
{
    static const struct gs_id nobody;
    struct wire_claim claims[] = {
        { id_from(0x10), GOSSIP_ALIVE, 1, 0, nobody, false, 0 },
        { id_from(0x20), GOSSIP_SUSPECT, UINT64_C(0x0102030405060708), 0x090a0b0c, id_from(0x30),
          false, 0 },
        { id_from(0x40), GOSSIP_DEAD, 9, 8, nobody, false, 0 },
        { id_from(0x50), GOSSIP_LEFT, 7, 6, nobody, false, 0 },
    };
    char bytes[4 * WIRE_CLAIM_BYTES];
    struct gs_slice list = gs_slice(bytes, sizeof(bytes));
    struct wire_packet p = { .claims = list };
    struct wire_claim c;
    size_t i = 0;

    (void)state;
    for (size_t k = 0; k < GS_COUNT(claims); k++)
        wire_put_claim(bytes + k * WIRE_CLAIM_BYTES, &claims[k]);
    assert_golden(&(struct wire_packet){ .claims = list },
                  "8109c4b4"
                  "101112131415161718191a1b1c1d1e1f010000000000000001"
                  "0000000000000000000000000000000000000000"
                  "202122232425262728292a2b2c2d2e2f020102030405060708"
                  "090a0b0c303132333435363738393a3b3c3d3e3f"
                  "404142434445464748494a4b4c4d4e4f030000000000000009"
                  "0000000800000000000000000000000000000000"
                  "505152535455565758595a5b5c5d5e5f040000000000000007"
                  "0000000600000000000000000000000000000000");
    for (struct wire_claim_at at = { 0 }; wire_next_claim(&p, &at, &c); i++)
        assert_claims_equal(&c, &claims[i]);
    assert_int_equal(i, GS_COUNT(claims));
}

/* Marks and ages stand beside the claims, under numbers that an older node skips. */
static void
golden_marks_and_ages(void **state)
{
    const struct wire_claim claims[] = {
        { .id = { { 1 } }, .state = GOSSIP_LEFT, .boot = 7, .incarnation = 6, .age_s = 3599 },
        { .id = { { 2 } }, .state = GOSSIP_ALIVE, .boot = 1, .restarting = true },
        { .id = { { 3 } }, .state = GOSSIP_ALIVE, .boot = 1 },
        { .id = { { 4 } }, .state = GOSSIP_DEAD, .boot = 9, .incarnation = 8, .age_s = 0x01020304 },
        { .id = { { 5 } }, .state = GOSSIP_ALIVE, .boot = 1, .restarting = true },
    };
    struct wire_packet p = { 0 };
    struct wire_claims list;
    struct wire_claim c;
    char marked[64];
    size_t i = 0;

    (void)state;
    wire_claims_init(&list, GS_COUNT(claims));
    for (size_t k = 0; k < GS_COUNT(claims); k++)
        wire_claims_put(&list, &claims[k]);
    wire_claims_give(&list, &p);
    assert_golden(&(struct wire_packet){ .claims = gs_slice_head(p.claims, 2 * WIRE_CLAIM_BYTES),
                                         .marks = gs_slice("\0\1", 2),
                                         .ages = gs_slice_head(p.ages, 4) },
                  "8309c45a"
                  "01000000000000000000000000000000040000000000000007"
                  "0000000600000000000000000000000000000000"
                  "02000000000000000000000000000000010000000000000001"
                  "0000000000000000000000000000000000000000"
                  "13c4020001"
                  "14c40400000e0f");
    for (struct wire_claim_at at = { 0 }; wire_next_claim(&p, &at, &c); i++)
        assert_claims_equal(&c, &claims[i]);
    assert_int_equal(i, GS_COUNT(claims));
    wire_put_mark(marked, 0xabcd);
    assert_memory_equal(marked, "\xab\xcd", 2);
    wire_claims_fini(&list);
}

static void
assert_unsound(struct wire_packet p)
{
    struct wire_packet out;
    struct gs_buf b;

    gs_buf_init(&b, 4096);
    assert_int_equal(wire_put_packet(&b, &p), GS_E_OK);
    assert_int_equal(wire_read_packet(gs_buf_slice(&b), &out, NULL), GS_E_MALFORMED);
    gs_buf_fini(&b);
}

/* A mark is of one ALIVE claim that is there; ages are of all who are dead or left, or of none. */
static void
marks_and_ages_fit_their_claims(void **state)
{
    const struct wire_claim alive = { .id = { { 1 } }, .state = GOSSIP_ALIVE, .boot = 1 };
    const struct wire_claim dead = { .id = { { 2 } }, .state = GOSSIP_DEAD, .boot = 1 };
    struct wire_packet p = { 0 };
    struct wire_claims list;

    (void)state;
    wire_claims_init(&list, 3);
    wire_claims_put(&list, &alive);
    wire_claims_put(&list, &dead);
    wire_claims_put(&list, &alive);
    wire_claims_give(&list, &p);
    p.marks = gs_slice("\0\1", 2); /* of the dead one */
    assert_unsound(p);
    p.marks = gs_slice("\0\3", 2); /* of one that is not there */
    assert_unsound(p);
    p.marks = gs_slice("\0\2\0\0", 4); /* not in order */
    assert_unsound(p);
    p.marks = gs_slice("\0\0\0\0", 4); /* twice */
    assert_unsound(p);
    p.marks = GS_SLICE_NONE;
    p.ages = gs_slice("\0\0\0\0\0\0\0\0", 8); /* one too many */
    assert_unsound(p);
    assert_unsound((struct wire_packet){ .marks = gs_slice("\0\0", 2) });
    assert_unsound((struct wire_packet){ .ages = gs_slice("\0\0\0\0", 4) });
    wire_claims_fini(&list);
}

static void
golden_records_and_notes(void **state)
{
    struct gs_slice two[] = { GS_SLICE("one"), GS_SLICE("two") };
    char announce[WIRE_NOTE_BYTES], pull[2 * WIRE_NOTE_BYTES] = { 0 };

    (void)state;
    assert_golden(&(struct wire_packet){ .records = two, .record_count = 2 },
                  "810a92c4036f6e65c40374776f");
    wire_put_u64(announce, 1);
    memcpy(announce + 8, "\0\0\0\2", 4);
    wire_put_u64(pull, 3);
    wire_put_u64(pull + WIRE_NOTE_BYTES, 5);
    pull[2 * WIRE_NOTE_BYTES - 1] = 6;
    assert_golden(&(struct wire_packet){ .announce = gs_slice(announce, sizeof(announce)),
                                         .pull = gs_slice(pull, sizeof(pull)) },
                  "820bc40c000000000000000100000002"
                  "0cc418000000000000000300000000000000000000000500000006");
    assert_int_equal(wire_u64(announce), 1);
    assert_int_equal(wire_u32(announce + 8), 2);
}

static void
golden_digests(void **state)
{
    static const char zero[BUCKETS_BYTES];
    struct wire_packet w = { .has_roots = true, .roots = { 1, 2, UINT64_MAX } };
    char bytes[6 * 8];
    char *hex = calloc(1, GOLDEN_MAX * 2);

    (void)state;
    assert_golden(&w, "8108c41800000000000000010000000000000002ffffffffffffffff");
    for (size_t i = 0; i < 6; i++)
        wire_put_u64(bytes + 8 * i, i + 1);
    w = (struct wire_packet){
        .has_masks = true,
        .masks = { 1, UINT64_C(1) << 63, 0 },
        .entries = { GS_SLICE_NONE, gs_slice(bytes, 16), gs_slice(bytes + 16, 32) },
    };
    assert_golden(&w, "840ec418000000000000000180000000000000000000000000000000"
                      "0fc41000000000000000010000000000000002"
                      "10c4200000000000000003000000000000000400000000000000050000000000000006"
                      "1201");
    w = (struct wire_packet){ .buckets = gs_slice(zero, sizeof(zero)) };
    (void)snprintf(hex, GOLDEN_MAX * 2, "820dc50600%0*d1201", 2 * BUCKETS_BYTES, 0);
    assert_golden(&w, hex);
    free(hex);
}

/* ---- everything at once, and what a later version may add ---- */

static struct wire_packet
whole_packet(void)
{
    static const char zero[BUCKETS_BYTES];
    static const struct gs_slice one[] = { { "r", 1 } };
    static char claim[WIRE_CLAIM_BYTES];

    wire_put_claim(claim, &(struct wire_claim){ id_from(0x10), GOSSIP_ALIVE, 1, 0, { { 0 } } });
    return (struct wire_packet){
        .challenge = 1,
        .echo = 2,
        .probe = { WIRE_ASK, 3, id_from(0x10), address("192.0.2.7:8080") },
        .flags = WIRE_OPEN,
        .has_roots = true,
        .roots = { 1, 2, 3 },
        .claims = gs_slice(claim, sizeof(claim)),
        .announce = gs_slice(zero, WIRE_NOTE_BYTES),
        .pull = gs_slice(zero, 2 * WIRE_NOTE_BYTES),
        .records = one,
        .record_count = 1,
        .buckets = gs_slice(zero, sizeof(zero)),
        .has_masks = true,
        .masks = { 1, 2, 3 },
        .entries = { GS_SLICE_NONE, gs_slice(zero, 16), gs_slice(zero, 32) },
        .pad = gs_slice(zero, 3),
    };
}

static void
put_whole(struct gs_buf *out)
{
    struct wire_packet w = whole_packet();

    gs_buf_init(out, GOLDEN_MAX);
    assert_int_equal(wire_put_packet(out, &w), GS_E_OK);
}

static void
all_parts_ride_together(void **state)
{
    struct wire_packet w = whole_packet(), r;
    struct gs_buf out;

    (void)state;
    put_whole(&out);
    assert_memory_equal(out.ptr, "\xde\x00\x12\x01\xc4\x08", 6); /* 18 fields */
    assert_int_equal(wire_read_packet(gs_buf_slice(&out), &r, records), GS_E_OK);
    assert_int_equal(r.challenge, 1);
    assert_int_equal(r.echo, 2);
    assert_int_equal(r.probe.type, WIRE_ASK);
    assert_int_equal(r.probe.sequence, 3);
    assert_true(gs_id_eq(&r.probe.target, &w.probe.target));
    assert_true(gs_addr_eq(&r.probe.address, &w.probe.address));
    assert_int_equal(r.flags, WIRE_OPEN);
    assert_true(r.has_roots);
    assert_memory_equal(r.roots, w.roots, sizeof(w.roots));
    assert_true(gs_slice_eq(r.claims, w.claims));
    assert_true(gs_slice_eq(r.announce, w.announce));
    assert_true(gs_slice_eq(r.pull, w.pull));
    assert_int_equal(r.record_count, 1);
    assert_ptr_equal(r.records, records);
    assert_true(gs_slice_eq(r.records[0], GS_SLICE("r")));
    assert_true(gs_slice_eq(r.buckets, w.buckets));
    assert_true(r.has_masks);
    assert_memory_equal(r.masks, w.masks, sizeof(w.masks));
    for (int i = 0; i < WIRE_CLASSES; i++)
        assert_true(gs_slice_eq(r.entries[i], w.entries[i]));
    assert_true(gs_slice_eq(r.pad, w.pad));
    gs_buf_fini(&out);
}

static void
what_a_later_version_adds_is_skipped(void **state)
{
    struct wire_packet w;
    struct wire_node n;
    struct gs_buf bytes;

    (void)state;
    /* Flags, and fields 21, 22 and 300. */
    assert_int_equal(read_hex("8407011507169201810190cd012cc0", &w), GS_E_OK);
    assert_int_equal(w.flags, 1);
    /* A probe of another kind, with parts that ours have not. */
    assert_int_equal(read_hex("840306040105c40107"
                              "0701",
                              &w),
                     GS_E_OK);
    assert_int_equal(w.probe.type, 0);
    assert_int_equal(w.flags, 1);
    /* Digests of another level. */
    assert_int_equal(read_hex("830701"
                              "0ec40107"
                              "1202",
                              &w),
                     GS_E_OK);
    assert_false(w.has_masks);
    assert_int_equal(w.flags, 1);
    from_hex(&bytes, "8501c4017702c406c00002071f9003c40004c0050a");
    assert_int_equal(wire_read_node(gs_buf_slice(&bytes), &n), GS_E_OK);
    assert_true(gs_slice_eq(n.name, GS_SLICE("w")));
    gs_buf_fini(&bytes);
}

/* ---- hostile bytes ---- */

static void
every_field_has_its_bounds(void **state)
{
    struct wire_packet w;

    (void)state;
    assert_int_equal(read_hex("", &w), GS_E_MALFORMED);
    assert_int_equal(read_hex("8000", &w), GS_E_MALFORMED);       /* something behind it */
    assert_int_equal(read_hex("8207010701", &w), GS_E_MALFORMED); /* twice the same */
    assert_malformed("90");                                       /* no map */
    assert_malformed("01");
    assert_malformed("8101c4080000000000000000");   /* a challenge of zero */
    assert_malformed("8102c4080000000000000000");   /* an echo of zero */
    assert_malformed("8101c40700000000000001");     /* too short */
    assert_malformed("8101c409000000000000000001"); /* too long */
    assert_malformed("810101");                     /* no bytes */
    assert_malformed("8203000400");                 /* probe of type 0 */
    assert_malformed("8203cd01000400");             /* probe of type 256 */
    assert_malformed("810302");                     /* an answer to nothing */
    assert_malformed("810400");                     /* a sequence without a probe */
    assert_malformed("820302"
                     "04cf0000000100000000"); /* a sequence beyond 32 bits */
    assert_malformed("8203010400");           /* a ping without target */
    assert_malformed("8303010400"
                     "05c410101112131415161718191a1b1c1d1e1f"); /* too much of it */
    assert_malformed("8303030400"
                     "05c4081011121314151617"); /* too little */
    assert_malformed("8303020400"
                     "05c4081011121314151617");   /* a target of an answer */
    assert_malformed("8105c4081011121314151617"); /* a target of nothing */
    assert_malformed("8303030400"
                     "05c410101112131415161718191a1b1c1d1e1f"); /* no address */
    assert_malformed("8106c406c00002071f90");                   /* an address of nothing */
    assert_malformed("810700");                                 /* flags that say nothing */
    assert_malformed("8107cf0000000100000000");
    assert_malformed("8108c4170000000000000000000000000000000000000000000000"); /* roots */
    assert_malformed("810ac40101");                                             /* records */
    assert_malformed("810a90");
    assert_malformed("810a91c400");
    assert_malformed("810a9101");
    assert_malformed("810bc400"); /* notes */
    assert_malformed("810bc40b0000000000000000000000");
    assert_malformed("810cc40d00000000000000000000000000");
    assert_malformed("8111c400"); /* pad */
    assert_malformed("811201");   /* the level of nothing */
    assert_malformed("820dc408000000000000000012"
                     "01"); /* too few buckets */
    /* Masks without level, entries without masks, entries of a broken size. */
    assert_malformed("810ec418000000000000000000000000000000000000000000000000");
    assert_malformed("820fc410000000000000000000000000000000001201");
    assert_malformed("830ec418000000000000000000000000000000000000000000000000"
                     "10c40f0000000000000000000000000000001201");
}

static void
addresses_are_whole(void **state)
{
    static const char ask[] = "840303040005c410101112131415161718191a1b1c1d1e1f06";
    static const char *const bad[] = {
        "c406c00002070000",                       /* port 0 */
        "c405c000020750",                         /* a byte short */
        "c407c00002071f9000",                     /* a byte long */
        "c41120010db80000000000000000000000011f", /* 17 */
        "c0",
    };
    char hex[160];

    (void)state;
    for (size_t i = 0; i < GS_COUNT(bad); i++) {
        (void)snprintf(hex, sizeof(hex), "%s%s", ask, bad[i]);
        assert_malformed(hex);
    }
}

static void
one_bad_claim_refuses_the_packet(void **state)
{
    static const struct gs_id nobody;
    struct wire_claim good = { id_from(1), GOSSIP_ALIVE, 1, 0, nobody };
    char bytes[2 * WIRE_CLAIM_BYTES];
    struct wire_packet w;
    struct gs_buf out;

    (void)state;
    gs_buf_init(&out, GOLDEN_MAX);
    for (int bad = 0; bad < 6; bad++) {
        char *second = bytes + WIRE_CLAIM_BYTES;

        wire_put_claim(bytes, &good);
        wire_put_claim(second, &good);
        if (bad < 2)
            second[16] = bad == 0 ? GOSSIP_UNKNOWN : GOSSIP_LEFT + 1; /* no state */
        else if (bad == 2)
            memset(second + 17, 0, 8); /* boot 0 */
        else if (bad == 3)
            second[44] = 1; /* an accuser of one alive */
        else if (bad == 4)
            second[16] = (char)0x81;
        gs_buf_clear(&out);
        w = (struct wire_packet){ .claims = gs_slice(bytes, sizeof(bytes)) };
        assert_int_equal(wire_put_packet(&out, &w), GS_E_OK);
        assert_int_equal(wire_read_packet(gs_buf_slice(&out), &w, records),
                         bad < 5 ? GS_E_MALFORMED : GS_E_OK);
    }
    gs_buf_fini(&out);
    assert_malformed("8109c400");
    assert_malformed("8109c42c1011121314151617181920212223242501000000000000000100000000"
                     "000000000000000000000000000000");
}

static void
a_packet_holds_so_many_records(void **state)
{
    struct wire_packet w = { .records = records, .record_count = WIRE_PACKET_RECORDS_MAX }, r;
    struct gs_slice read[WIRE_PACKET_RECORDS_MAX];
    struct gs_buf out;

    (void)state;
    for (size_t i = 0; i < WIRE_PACKET_RECORDS_MAX; i++)
        records[i] = GS_SLICE("r");
    gs_buf_init(&out, 8192);
    assert_int_equal(wire_put_packet(&out, &w), GS_E_OK);
    assert_int_equal(wire_read_packet(gs_buf_slice(&out), &r, read), GS_E_OK);
    assert_int_equal(r.record_count, WIRE_PACKET_RECORDS_MAX);
    assert_memory_equal(out.ptr, "\x81\x0a\xdc\x04\x00", 5);
    out.ptr[4] = 1; /* one more than that */
    assert_int_equal(gs_buf_put(&out, "\xc4\x01r", 3), GS_E_OK);
    assert_int_equal(wire_read_packet(gs_buf_slice(&out), &r, read), GS_E_MALFORMED);
    gs_buf_fini(&out);
}

static void
what_does_not_fit_is_told(void **state)
{
    struct wire_packet w = whole_packet();
    struct wire_node n = { GS_SLICE("web"), address("192.0.2.7:1"), GS_SLICE("about") };
    struct gs_buf whole, out;

    (void)state;
    put_whole(&whole);
    for (size_t max = 0; max <= whole.len; max++) {
        gs_buf_init(&out, max);
        assert_int_equal(wire_put_packet(&out, &w), max < whole.len ? GS_E_LIMIT : GS_E_OK);
        gs_buf_fini(&out);
    }
    gs_buf_init(&out, 10);
    assert_int_equal(wire_put_node(&out, &n), GS_E_LIMIT);
    gs_buf_fini(&out);
    gs_buf_fini(&whole);
}

/* Read from an allocation of exactly its size, and written again if taken: never longer, and the
 * same if it is as long. */
static void
try(struct gs_slice bytes)
{
    char *copy = gs_alloc(bytes.len + 1);
    struct gs_slice exact = gs_slice(copy + 1, bytes.len);
    struct wire_packet w;
    struct wire_node n;
    struct gs_buf out;

    memcpy(copy + 1, bytes.ptr, bytes.len);
    gs_buf_init(&out, GOLDEN_MAX);
    if (wire_read_packet(exact, &w, records) == GS_E_OK) {
        assert_int_equal(wire_put_packet(&out, &w), GS_E_OK);
        assert_true(out.len < bytes.len || gs_slice_eq(gs_buf_slice(&out), bytes));
    }
    gs_buf_clear(&out);
    if (wire_read_node(exact, &n) == GS_E_OK) {
        assert_int_equal(wire_put_node(&out, &n), GS_E_OK);
        assert_true(out.len < bytes.len || gs_slice_eq(gs_buf_slice(&out), bytes));
    }
    gs_buf_fini(&out);
    gs_free(copy);
}

static void
mutate(struct gs_buf *b)
{
    struct wire_packet w;
    struct wire_node n;

    for (size_t len = 0; len < b->len; len++) {
        try(gs_slice_head(gs_buf_slice(b), len));
        assert_int_not_equal(wire_read_packet(gs_slice(b->ptr, len), &w, records), GS_E_OK);
        assert_int_not_equal(wire_read_node(gs_slice(b->ptr, len), &n), GS_E_OK);
    }
    for (size_t at = 0; at < b->len; at++) {
        char kept = b->ptr[at];

        for (unsigned v = 0; v<256; v += b->len> 256 ? 15 : 1) {
            b->ptr[at] = (char)v;
            try(gs_buf_slice(b));
        }
        b->ptr[at] = kept;
    }
}

static void
no_truncation_and_no_changed_byte_does_harm(void **state)
{
    static const char *const seeds[] = {
        "8301c4057765622d3102c406c00002071f9003c40561626f7574",
        "8201c408010203040506070802c4081112131415161718",
        "84030304ceffffffff05c410101112131415161718191a1b1c1d1e1f06c406c00002071f90",
        "810a92c4036f6e65c40374776f",
        "820bc40c0000000000000001000000020cc418000000000000000300000000000000000000000500000006",
        "840ec4180000000000000001800000000000000000000000000000000fc410000000000000000100000000000"
        "0000210c420000000000000000300000000000000040000000000000005000000000000000"
        "61201",
        "8407011507169201810190cd012cc0",
    };
    struct gs_buf b;

    (void)state;
    for (size_t i = 0; i < GS_COUNT(seeds); i++) {
        from_hex(&b, seeds[i]);
        mutate(&b);
        gs_buf_fini(&b);
    }
    put_whole(&b);
    mutate(&b);
    gs_buf_fini(&b);
}

static void
nodes_have_their_bounds(void **state)
{
    static const char *const bad[] = {
        "80",
        "90",
        "8301c40002c406c00002071f9003c400",   /* no name */
        "8301a17702c406c00002071f9003c400",   /* text, not bytes */
        "8301c4017702c406c0000207000003c400", /* port 0 */
        "8201c4017702c406c00002071f90",       /* nothing about it */
    };
    static char name[GOSSIP_NAME_MAX], about[GOSSIP_ABOUT_MAX];
    struct wire_node n = {
        gs_slice(name, sizeof(name)),
        address("192.0.2.7:1"),
        gs_slice(about, sizeof(about)),
    };
    struct gs_buf b;

    (void)state;
    gs_buf_init(&b, GOLDEN_MAX);
    assert_int_equal(wire_put_node(&b, &n), GS_E_OK);
    assert_int_equal(wire_read_node(gs_buf_slice(&b), &n), GS_E_OK);
    assert_int_equal(n.about.len, GOSSIP_ABOUT_MAX);
    b.ptr[3] = (char)(GOSSIP_NAME_MAX + 1); /* and a byte more of it */
    assert_int_equal(gs_buf_put(&b, "", 1), GS_E_OK);
    memmove(b.ptr + 5, b.ptr + 4, b.len - 5);
    assert_int_equal(wire_read_node(gs_buf_slice(&b), &n), GS_E_MALFORMED);
    gs_buf_fini(&b);
    for (size_t i = 0; i < GS_COUNT(bad); i++) {
        from_hex(&b, bad[i]);
        assert_int_equal(wire_read_node(gs_buf_slice(&b), &n), GS_E_MALFORMED);
        gs_buf_fini(&b);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_nodes),
        cmocka_unit_test(golden_tokens_and_flags),
        cmocka_unit_test(golden_probes),
        cmocka_unit_test(golden_claims),
        cmocka_unit_test(golden_marks_and_ages),
        cmocka_unit_test(marks_and_ages_fit_their_claims),
        cmocka_unit_test(golden_records_and_notes),
        cmocka_unit_test(golden_digests),
        cmocka_unit_test(all_parts_ride_together),
        cmocka_unit_test(what_a_later_version_adds_is_skipped),
        cmocka_unit_test(every_field_has_its_bounds),
        cmocka_unit_test(addresses_are_whole),
        cmocka_unit_test(one_bad_claim_refuses_the_packet),
        cmocka_unit_test(a_packet_holds_so_many_records),
        cmocka_unit_test(what_does_not_fit_is_told),
        cmocka_unit_test(no_truncation_and_no_changed_byte_does_harm),
        cmocka_unit_test(nodes_have_their_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
