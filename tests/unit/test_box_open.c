/* test_box_open.c - a packet is opened by the right key, unchanged, and once; and how many senders
 * are remembered. (Who is believed: test_box.c.) */
#include "tests/unit/parties.h"

/* ---- windows ---- */

static void
packets_may_overtake_each_other_within_the_window(void **state)
{
    struct party *a = party_new(0), *b = party_new(1);
    struct packet *p = calloc(3 * REPLAY_WINDOW_BITS, sizeof(*p));
    struct gs_rng rng;

    (void)state;
    gs_rng_init(&rng, 3);
    introduce(a, b, 0);
    for (size_t i = 0; i < 3 * (size_t)REPLAY_WINDOW_BITS; i++)
        p[i] = plain_packet(a);
    for (size_t start = 0; start < 3 * (size_t)REPLAY_WINDOW_BITS; start += REPLAY_WINDOW_BITS) {
        for (uint32_t left = REPLAY_WINDOW_BITS; left > 1; left--) { /* shuffled */
            size_t i = start + left - 1, j = start + gs_rng_below(&rng, left);
            struct packet other = p[i];

            p[i] = p[j];
            p[j] = other;
        }
    }
    for (size_t i = 0; i < 3 * (size_t)REPLAY_WINDOW_BITS; i++) {
        size_t far = i / REPLAY_WINDOW_BITS * REPLAY_WINDOW_BITS;

        assert_given(b, 0, &p[i], BOX_GOOD);
        assert_refused(b, 0, &p[i], GOSSIP_REFUSAL_REPLAYED);
        assert_refused(b, 0, &p[far], GOSSIP_REFUSAL_REPLAYED);
    }
    free(p);
    party_free(a);
    party_free(b);
}

static void
a_window_has_its_edges(void **state)
{
    struct party *a = party_new(0), *b = party_new(1);
    struct packet first, second, last, p;

    (void)state;
    introduce(a, b, 0);
    first = plain_packet(a);
    second = plain_packet(a);
    for (int i = 0; i < REPLAY_WINDOW_BITS - 2; i++)
        (void)plain_packet(a);
    last = plain_packet(a); /* first lies REPLAY_WINDOW_BITS behind it, second one less */
    assert_given(b, 0, &last, BOX_GOOD);
    assert_refused(b, 0, &first, GOSSIP_REFUSAL_REPLAYED);
    assert_given(b, 0, &second, BOX_GOOD);
    for (int jump = REPLAY_WINDOW_BITS - 2; jump < REPLAY_WINDOW_BITS + 2; jump++) {
        p = plain_packet(a);
        for (int i = 0; i < jump; i++)
            (void)plain_packet(a);
        last = plain_packet(a); /* jump + 1 further than p */
        assert_given(b, 0, &last, BOX_GOOD);
        assert_int_equal(give(b, 0, &p).verdict,
                         jump + 1 < REPLAY_WINDOW_BITS ? BOX_GOOD : BOX_REFUSED);
        assert_refused(b, 0, &last, GOSSIP_REFUSAL_REPLAYED);
        assert_refused(b, 0, &second, GOSSIP_REFUSAL_REPLAYED);
    }
    party_free(a);
    party_free(b);
}

/* ---- forgeries and keys ---- */

static void
golden_packet(void **state)
{
    static const char expected[] = "c163a0000000000000000102030405060708000000000001"
                                   "a9e5e65d36a300c64a5add00d9fcaa460e3aaa7b";
    uint8_t key[SEAL_KEY_BYTES];
    struct gs_id id = { { 0xa0 } };
    struct seal_ring ring = { 0 };
    char packet[4 + BOX_OVERHEAD], hex[2 * sizeof(packet) + 1];
    struct gs_rng rng;
    struct box *b;

    (void)state;
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)i;
    assert_int_equal(seal_ring_add(&ring, key, NULL), GS_E_OK);
    gs_rng_init(&rng, 1);
    b = box_new(&id, UINT64_C(0x0102030405060708), &ring, &rng);
    box_seal(b, GS_SLICE("body"), packet);
    for (size_t i = 0; i < sizeof(packet); i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", (uint8_t)packet[i]);
    assert_string_equal(hex, expected);
    box_free(b);
}

static void
a_changed_byte_is_noticed_wherever_it_is(void **state)
{
    struct party *a = party_new(0), *b = party_new(1);
    struct packet p, good;

    (void)state;
    introduce(a, b, 0);
    good = say(a, 0, b);
    for (size_t at = 0; at < sizeof(p.bytes); at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            p = good;
            p.bytes[at] = (char)(p.bytes[at] ^ 1 << bit);
            assert_int_equal(give(b, 0, &p).verdict, BOX_REFUSED);
        }
    }
    p = good;
    p.bytes[0] ^= 1;
    assert_refused(b, 0, &p, GOSSIP_REFUSAL_JUNK);
    p = good;
    p.bytes[1] ^= 1;
    assert_refused(b, 0, &p, GOSSIP_REFUSAL_KEY);
    p = good;
    p.bytes[PACKET_BYTES - 1] ^= 1;
    assert_refused(b, 0, &p, GOSSIP_REFUSAL_FORGED);
    p = good;
    p.bytes[18] = 1; /* a sequence far ahead must not move the window */
    assert_refused(b, 0, &p, GOSSIP_REFUSAL_FORGED);
    assert_given(b, 0, &good, BOX_GOOD);
    assert_int_equal(box_sessions(b->box), 1); /* nobody was invented */
    party_free(a);
    party_free(b);
}

static void
a_packet_of_another_length_is_none(void **state)
{
    struct party *a = party_new(0), *b = party_new(1);
    char *big = calloc(1, FRAME_BYTES_MAX + 1), *plain;
    struct packet good;
    struct box_opened o;

    (void)state;
    introduce(a, b, 0);
    good = say(a, 0, b);
    for (size_t len = 0; len < sizeof(good.bytes); len++) {
        o = open_exact(b, gs_slice(good.bytes, len), NULL, &plain);
        gs_free(plain);
        assert_int_equal(o.verdict, BOX_REFUSED);
        assert_int_equal(o.refusal,
                         len < BOX_OVERHEAD ? GOSSIP_REFUSAL_JUNK : GOSSIP_REFUSAL_FORGED);
    }
    memcpy(big, good.bytes, sizeof(good.bytes));
    o = open_exact(b, gs_slice(big, PACKET_BYTES_MAX + 1), NULL, &plain);
    gs_free(plain);
    assert_int_equal(o.refusal, GOSSIP_REFUSAL_JUNK);
    free(big);
    party_free(a);
    party_free(b);
}

static void
the_longest_and_the_emptiest_body_fit(void **state)
{
    static char body[FRAME_BYTES_MAX - BOX_OVERHEAD], packet[FRAME_BYTES_MAX];
    struct party *a = party_new(0), *b = party_new(1);
    struct box_stream s;
    struct box_opened o;
    char *plain;

    (void)state;
    memset(body, 'b', sizeof(body));
    box_seal(a->box, gs_slice(body, 0), packet);
    o = open_exact(b, gs_slice(packet, BOX_OVERHEAD), NULL, &plain);
    gs_free(plain);
    assert_int_equal(o.verdict, BOX_UNKNOWN);
    assert_int_equal(o.body.len, 0);
    box_seal(a->box, gs_slice(body, PACKET_BYTES_MAX - BOX_OVERHEAD), packet);
    o = open_exact(b, gs_slice(packet, PACKET_BYTES_MAX), NULL, &plain);
    gs_free(plain);
    assert_int_equal(o.verdict, BOX_UNKNOWN);
    box_seal(a->box, gs_slice(body, sizeof(body)), packet);
    box_stream_init(b->box, &s);
    o = open_exact(b, gs_slice(packet, FRAME_BYTES_MAX), &s, &plain);
    assert_int_equal(o.verdict, BOX_UNKNOWN);
    assert_int_equal(o.body.len, sizeof(body));
    assert_memory_equal(o.body.ptr, body, sizeof(body));
    gs_free(plain);
    party_free(a);
    party_free(b);
}

static void
any_key_of_the_ring_opens_and_the_first_one_seals(void **state)
{
    struct party *a = party_new(0), *b = party_new(1), *c = party_new(2);
    struct packet p;

    (void)state;
    introduce(a, b, 0);
    seal_ring_wipe(&c->keys);
    ring_add(&c->keys, 2);
    p = say(c, 0, b);
    assert_refused(b, 0, &p, GOSSIP_REFUSAL_KEY);
    ring_add(&b->keys, 2);
    assert_given(b, 0, &p, BOX_UNKNOWN);
    p = say(b, 0, a); /* sealed with the first one as before */
    assert_given(a, 0, &p, BOX_GOOD);
    seal_ring_wipe(&a->keys); /* a changes over within its session */
    ring_add(&a->keys, 2);
    ring_add(&a->keys, 1);
    p = say(a, 0, b);
    assert_given(b, 0, &p, BOX_GOOD);
    assert_refused(b, 0, &p, GOSSIP_REFUSAL_REPLAYED);
    p = say(b, 0, a);
    assert_given(a, 0, &p, BOX_GOOD);
    seal_ring_wipe(&b->keys); /* a key that was taken away opens nothing, remembered or not */
    ring_add(&b->keys, 1);
    p = say(a, 0, b);
    assert_refused(b, 0, &p, GOSSIP_REFUSAL_KEY);
    party_free(a);
    party_free(b);
    party_free(c);
}

/* A later key may have the number of one that was removed; what was derived from that is void. */
static void
a_key_is_known_by_more_than_its_epoch(void **state)
{
    struct party *a = party_new(0), *b = party_new(1);
    uint8_t key[SEAL_KEY_BYTES] = { 0 };
    struct seal_ring ring = { 0 };
    struct packet old, p;

    (void)state;
    introduce(a, b, 0);
    for (int i = 2; i < 65536; i++) {
        key[0] = (uint8_t)i;
        key[1] = (uint8_t)(i >> 8);
        seal_ring_wipe(&ring);
        assert_int_equal(seal_ring_add(&ring, key, NULL), GS_E_OK);
        if (ring.keys[0].epoch == a->keys.keys[0].epoch)
            break;
    }
    assert_int_equal(ring.keys[0].epoch, a->keys.keys[0].epoch);
    old = say(a, 0, b);
    a->keys = ring;
    p = say(a, 0, b);
    assert_refused(b, 0, &p, GOSSIP_REFUSAL_FORGED);
    b->keys = ring;
    assert_refused(b, 0, &old, GOSSIP_REFUSAL_FORGED);
    p = say(a, 0, b);
    assert_given(b, 0, &p, BOX_GOOD);
    p = say(b, 0, a);
    assert_given(a, 0, &p, BOX_GOOD);
    party_free(a);
    party_free(b);
}

static void
what_comes_back_is_our_own(void **state)
{
    struct party *a = party_new(0), *b = party_new(1);
    struct packet p = say(a, 0, b);

    (void)state;
    assert_refused(a, 0, &p, GOSSIP_REFUSAL_OWN);
    party_start(a, 200); /* that of a former run, too */
    assert_refused(a, 0, &p, GOSSIP_REFUSAL_OWN);
    assert_int_equal(box_sessions(a->box), 0);
    party_free(a);
    party_free(b);
}

/* Between opening and taking, others' keys may have come into the place of this one's. */
static void
a_proof_holds_when_its_key_was_forgotten(void **state)
{
    struct party *a = party_new(0), *b = party_new(1), *c = party_new(2);
    struct packet ask = say(b, 0, a), p, others;
    struct box_tokens t;
    struct box_opened o;
    char *plain, *other;

    (void)state;
    assert_given(a, 0, &ask, BOX_UNKNOWN);
    p = say(a, 0, b);
    o = open_exact(b, gs_slice(p.bytes, sizeof(p.bytes)), NULL, &plain);
    for (uint64_t session = 1000; session < 1064; session++) {
        party_start(c, session);
        others = plain_packet(c);
        (void)open_exact(b, gs_slice(others.bytes, sizeof(others.bytes)), NULL, &other);
        gs_free(other);
    }
    t = tokens_in(&o);
    assert_true(box_take(b->box, 0, &o, &t));
    p = say(a, 0, b);
    assert_given(b, 0, &p, BOX_GOOD);
    gs_free(plain);
    party_free(a);
    party_free(b);
    party_free(c);
}

/* ---- room ---- */

static void
the_one_unheard_of_for_longest_makes_room(void **state)
{
    struct party *a = party_new(0), *b = party_new(1);
    struct packet ask, answer;

    (void)state;
    ask = say(a, 0, b);
    assert_given(b, 0, &ask, BOX_UNKNOWN);
    answer = say(b, 0, a);
    for (uint64_t name = 1; name <= SESSIONS_MAX; name++)
        (void)box_tokens(a->box, 1, name);
    assert_int_equal(box_sessions(a->box), SESSIONS_MAX);
    assert_given(a, 1, &answer, BOX_UNKNOWN); /* forgotten, and with it what it should echo */
    assert_int_equal(box_sessions(a->box), SESSIONS_MAX);
    introduce(b, a, 2);
    for (uint64_t name = 1; name <= 2 * SESSIONS_MAX; name++)
        (void)box_tokens(a->box, 3, name);
    assert_true(box_is_proven(a->box, b->name)); /* it stays, whoever else is spoken to */
    answer = say(b, 3, a);
    assert_given(a, 3, &answer, BOX_GOOD);
    party_free(a);
    party_free(b);
}

static void
prove_to(struct party *a, uint64_t now_ms, unsigned n)
{
    struct party p = { .keys = a->keys, .rng = a->rng };
    struct packet echo;

    wire_put_u64((char *)p.id.bytes, 1000 + n);
    p.name = box_name(&p.id);
    p.box = box_new(&p.id, 1, &p.keys, &p.rng);
    echo = seal(&p, &(struct box_tokens){ 0, box_tokens(a->box, now_ms, p.name).challenge });
    box_free(p.box);
    {
        char plain[PACKET_BYTES];
        struct box_opened o =
            box_open(a->box, gs_slice(echo.bytes, sizeof(echo.bytes)), NULL, plain);
        struct box_tokens t = tokens_in(&o);

        assert_true(box_take(a->box, now_ms, &o, &t));
    }
}

static void
those_who_are_proven_are_not_pushed_out_but_by_silence(void **state)
{
    struct party *a = party_new(0), *b = party_new(1);
    struct packet p;

    (void)state;
    for (unsigned i = 0; i < SESSIONS_MAX; i++)
        prove_to(a, 0, i);
    assert_int_equal(box_sessions(a->box), SESSIONS_MAX);
    assert_int_equal(box_tokens(a->box, 1000, b->name).challenge, 0); /* nowhere to keep it */
    assert_false(box_may_challenge(a->box, 1000, b->name));
    p = say(b, 1000, a);
    assert_given(a, 1000, &p, BOX_UNKNOWN);
    assert_int_equal(box_sessions(a->box), SESSIONS_MAX);
    introduce(a, b, 3600 * 1000); /* an hour later nobody else was heard of */
    assert_int_equal(box_sessions(a->box), SESSIONS_MAX);
    party_free(a);
    party_free(b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_may_overtake_each_other_within_the_window),
        cmocka_unit_test(a_window_has_its_edges),
        cmocka_unit_test(golden_packet),
        cmocka_unit_test(a_changed_byte_is_noticed_wherever_it_is),
        cmocka_unit_test(a_packet_of_another_length_is_none),
        cmocka_unit_test(the_longest_and_the_emptiest_body_fit),
        cmocka_unit_test(any_key_of_the_ring_opens_and_the_first_one_seals),
        cmocka_unit_test(a_key_is_known_by_more_than_its_epoch),
        cmocka_unit_test(what_comes_back_is_our_own),
        cmocka_unit_test(a_proof_holds_when_its_key_was_forgotten),
        cmocka_unit_test(the_one_unheard_of_for_longest_makes_room),
        cmocka_unit_test(those_who_are_proven_are_not_pushed_out_but_by_silence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
