/* test_box.c - nobody is believed before it has proven itself alive, and a recording proves
 * nothing. (What opens a packet at all: test_box_open.c.) */
#include "tests/unit/parties.h"

/* ---- proofs ---- */

static void
strangers_prove_themselves_in_three_packets(void **state)
{
    struct party *a = party_new(0), *b = party_new(1);
    struct box_tokens t;
    struct packet p;

    (void)state;
    introduce(a, b, 1000);
    t = box_tokens(a->box, 1000, b->name);
    assert_int_equal(t.challenge, 0); /* nothing to be proven any more */
    p = say(b, 1000, a);
    assert_given(a, 1000, &p, BOX_GOOD);
    assert_refused(a, 1000, &p, GOSSIP_REFUSAL_REPLAYED);
    p = say(a, 1000, b);
    assert_given(b, 1000, &p, BOX_GOOD);
    /* Each has heard the other without a challenge, so nothing is owed. */
    t = box_tokens(a->box, 1000, b->name);
    assert_int_equal(t.challenge | t.echo, 0);
    t = box_tokens(b->box, 1000, a->name);
    assert_int_equal(t.challenge | t.echo, 0);
    party_free(a);
    party_free(b);
}

static void
both_may_begin_at_once(void **state)
{
    struct party *a = party_new(0), *b = party_new(1);
    struct packet from_a = say(a, 0, b), from_b = say(b, 0, a);

    (void)state;
    assert_given(a, 0, &from_b, BOX_UNKNOWN);
    assert_given(b, 0, &from_a, BOX_UNKNOWN);
    from_a = say(a, 0, b);
    from_b = say(b, 0, a);
    assert_given(a, 0, &from_b, BOX_GOOD);
    assert_given(b, 0, &from_a, BOX_GOOD);
    party_free(a);
    party_free(b);
}

/* Who asks an address does not know yet who lives there. */
static void
a_challenge_to_anybody_proves_the_first_who_answers(void **state)
{
    struct party *a = party_new(0), *b = party_new(1);
    struct box_tokens anybody = box_tokens(a->box, 0, 0);
    struct packet ask, answer, again;

    (void)state;
    assert_int_not_equal(anybody.challenge, 0);
    assert_int_equal(anybody.echo, 0);
    ask = seal(a, &anybody);
    assert_given(b, 0, &ask, BOX_UNKNOWN);
    answer = say(b, 0, a);
    assert_given(a, 0, &answer, BOX_GOOD);
    /* Another run of it has to answer a challenge of its own. */
    party_start(b, 201);
    assert_given(b, 0, &ask, BOX_UNKNOWN);
    again = say(b, 0, a);
    assert_given(a, 0, &again, BOX_UNKNOWN);
    ask = say(a, 0, b);
    assert_given(b, 0, &ask, BOX_GOOD);
    again = say(b, 0, a);
    assert_given(a, 0, &again, BOX_GOOD);
    party_free(a);
    party_free(b);
}

static void
who_restarts_is_proven_again(void **state)
{
    struct party *a = party_new(0), *b = party_new(1);
    struct packet p;

    (void)state;
    introduce(a, b, 0);
    party_start(a, 200);
    introduce(a, b, 5000); /* it speaks first */
    party_start(a, 300);
    p = say(b, 9000, a); /* it is spoken to by one who knows nothing of that */
    assert_given(a, 9000, &p, BOX_UNKNOWN);
    introduce(a, b, 9000);
    party_start(a, 400);
    party_start(b, 500);
    introduce(b, a, 9001);
    party_free(a);
    party_free(b);
}

/* What a core does with a packet: answer an unknown session if it may; pay what it owes to whom it
 * has just proven. Returns whether it answers. */
static bool
react(struct party *at, uint64_t now_ms, const struct packet *p, struct party *from,
      struct packet *answer)
{
    bool was_proven = box_is_proven(at->box, from->name);
    struct box_opened o = give(at, now_ms, p);
    bool pays = o.verdict == BOX_GOOD && !was_proven;

    if (pays || (o.verdict == BOX_UNKNOWN && box_may_challenge(at->box, now_ms, from->name))) {
        *answer = say(at, now_ms, from);
        return true;
    }
    return false;
}

static void
answers_to_answers_come_to_an_end(void **state)
{
    struct gs_rng rng;

    (void)state;
    gs_rng_init(&rng, 7);
    for (int round = 0; round < 50; round++) {
        struct party *a = party_new(0), *b = party_new(1);
        struct packet flight[64];
        struct party *to[64];
        size_t first = 0, count = 0;

        flight[count] = say(a, 0, b);
        to[count++] = b;
        flight[count] = say(b, 0, a);
        to[count++] = a;
        while (first < count) {
            size_t pick = first + gs_rng_below(&rng, (uint32_t)(count - first));
            struct packet p = flight[pick], answer;
            struct party *at = to[pick], *from = at == a ? b : a;

            flight[pick] = flight[first];
            to[pick] = to[first++];
            if (react(at, 0, &p, from, &answer)) {
                flight[count] = answer;
                to[count++] = from;
            }
        }
        assert_true(count <= 8);
        assert_true(box_is_proven(a->box, b->name));
        assert_true(box_is_proven(b->box, a->name));
        party_free(a);
        party_free(b);
    }
}

static void
an_unknown_session_is_answered_once_a_second(void **state)
{
    struct party *a = party_new(0), *b = party_new(1);

    (void)state;
    assert_true(box_may_challenge(a->box, 5000, b->name));
    assert_false(box_may_challenge(a->box, 5000, b->name));
    assert_true(box_may_challenge(a->box, 5000, 77)); /* somebody else */
    assert_false(box_may_challenge(a->box, 5999, b->name));
    assert_true(box_may_challenge(a->box, 6000, b->name));
    party_free(a);
    party_free(b);
}

static void
a_late_echo_proves_nothing(void **state)
{
    struct party *a = party_new(0), *b = party_new(1);
    struct packet ask = say(a, 1000, b), answer;

    (void)state;
    assert_given(b, 1000, &ask, BOX_UNKNOWN);
    answer = say(b, 1000, a);
    assert_given(a, 11001, &answer, BOX_UNKNOWN);
    assert_int_equal(box_tokens(b->box, 11001, a->name).echo, 0); /* not worth sending */
    ask = say(a, 20000, b);
    assert_given(b, 20000, &ask, BOX_UNKNOWN);
    answer = say(b, 20000, a);
    (void)say(a, 24999, b); /* the same number still */
    assert_given(a, 30000, &answer, BOX_GOOD);
    party_free(a);
    party_free(b);
}

/* ---- recordings ---- */

#define RECORDED 60

/* Everything that both said while they met and for a while after. */
static size_t
record(struct party *a, struct party *b, struct packet *out)
{
    size_t count = 0;

    out[count++] = say(a, 0, b);
    assert_given(b, 0, &out[0], BOX_UNKNOWN);
    out[count++] = say(b, 0, a);
    assert_given(a, 0, &out[1], BOX_GOOD);
    out[count++] = say(a, 0, b);
    assert_given(b, 0, &out[2], BOX_GOOD);
    while (count < RECORDED) {
        out[count] = say(a, 0, b);
        assert_given(b, 0, &out[count++], BOX_GOOD);
    }
    return count;
}

static void
a_recording_proves_nothing_to_one_who_restarted(void **state)
{
    struct party *a = party_new(0), *b = party_new(1);
    struct packet log[RECORDED], ask;
    size_t count = record(a, b, log);

    (void)state;
    party_start(b, 201);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < count; i++)
            assert_int_not_equal(give(b, 5, &log[i]).verdict, BOX_GOOD);
        (void)say(b, 5, a); /* its challenge is out, and none of them knows it */
        (void)box_tokens(b->box, 5, 0);
    }
    assert_false(box_is_proven(b->box, a->name));
    /* The real one still can; what it said before that is old then. */
    ask = say(a, 6, b);
    assert_given(b, 6, &ask, BOX_UNKNOWN);
    introduce(b, a, 7);
    for (size_t i = 0; i < count; i++)
        assert_int_not_equal(give(b, 8, &log[i]).verdict, BOX_GOOD);
    party_free(a);
    party_free(b);
}

static void
a_recording_of_a_former_run_does_not_replace_the_present(void **state)
{
    struct party *a = party_new(0), *b = party_new(1);
    struct packet log[RECORDED], p;
    size_t count = record(a, b, log);

    (void)state;
    party_start(a, 200);
    introduce(a, b, 50);
    for (size_t i = 0; i < count; i++) {
        if (i == 1) /* b's own */
            continue;
        assert_given(b, 60, &log[i], BOX_UNKNOWN);
        p = say(a, 60, b); /* taken all the while */
        assert_given(b, 60, &p, BOX_GOOD);
    }
    /* For all b knows a may have restarted. It asks; the present one answers; that is that. */
    assert_int_not_equal(box_tokens(b->box, 60, a->name).challenge, 0);
    p = say(b, 60, a);
    assert_given(a, 60, &p, BOX_GOOD);
    p = say(a, 60, b);
    assert_given(b, 60, &p, BOX_GOOD);
    assert_int_equal(box_tokens(b->box, 60, a->name).challenge, 0);
    party_free(a);
    party_free(b);
}

/* The echo of a former run was held up until the next run had proven itself. */
static void
a_proof_is_replaced_only_by_a_later_one(void **state)
{
    struct party *a = party_new(0), *b = party_new(1);
    struct packet ask = say(b, 0, a), late, p;

    (void)state;
    assert_given(a, 0, &ask, BOX_UNKNOWN);
    late = say(a, 0, b);
    party_start(a, 200);
    assert_given(a, 0, &ask, BOX_UNKNOWN);
    p = say(a, 0, b);
    assert_given(b, 0, &p, BOX_GOOD);
    assert_given(b, 0, &late, BOX_UNKNOWN);
    p = say(a, 0, b);
    assert_given(b, 0, &p, BOX_GOOD);
    party_free(a);
    party_free(b);
}

/* ---- streams ---- */

static struct packet
stream_send(struct party *from, const struct box_stream *s)
{
    struct box_tokens t = box_stream_tokens(s);

    return seal(from, &t);
}

static struct box_opened
stream_give(struct party *to, struct box_stream *s, const struct packet *p)
{
    struct box_tokens t;
    char *plain;
    struct box_opened o = open_exact(to, gs_slice(p->bytes, sizeof(p->bytes)), s, &plain);

    if (o.verdict != BOX_REFUSED) {
        t = tokens_in(&o);
        if (box_stream_take(to->box, 0, s, &o, &t))
            o.verdict = BOX_GOOD;
    }
    box_check(to->box);
    gs_free(plain);
    return o;
}

static void
a_stream_proves_itself_in_its_first_frames(void **state)
{
    struct party *a = party_new(0), *b = party_new(1);
    struct box_stream at_a, at_b;
    struct packet p, datagram;

    (void)state;
    box_stream_init(a->box, &at_a);
    box_stream_init(b->box, &at_b);
    p = stream_send(a, &at_a);
    assert_int_equal(stream_give(b, &at_b, &p).verdict, BOX_UNKNOWN);
    assert_false(box_is_proven(b->box, a->name));
    p = stream_send(b, &at_b);
    assert_int_equal(stream_give(a, &at_a, &p).verdict, BOX_GOOD);
    assert_int_equal(box_stream_tokens(&at_a).challenge, 0);
    p = stream_send(a, &at_a);
    assert_int_equal(stream_give(b, &at_b, &p).verdict, BOX_GOOD);
    assert_int_equal(stream_give(b, &at_b, &p).refusal, GOSSIP_REFUSAL_REPLAYED);
    assert_refused(b, 0, &p, GOSSIP_REFUSAL_REPLAYED); /* as a datagram neither */
    for (int i = 0; i < 3; i++) {
        p = stream_send(a, &at_a);
        assert_int_equal(stream_give(b, &at_b, &p).verdict, BOX_GOOD);
        assert_refused(b, 0, &p, GOSSIP_REFUSAL_REPLAYED);
    }
    /* Once it is proven, opening a frame is enough to have seen it. */
    p = stream_send(a, &at_a);
    for (int i = 0; i < 2; i++) {
        char *plain;
        struct box_opened o = open_exact(b, gs_slice(p.bytes, sizeof(p.bytes)), &at_b, &plain);

        gs_free(plain);
        assert_int_equal(o.verdict, i == 0 ? BOX_GOOD : BOX_REFUSED);
    }
    assert_refused(b, 0, &p, GOSSIP_REFUSAL_REPLAYED);
    /* And both know each other for datagrams. */
    assert_true(box_is_proven(a->box, b->name));
    datagram = say(a, 0, b);
    assert_given(b, 0, &datagram, BOX_GOOD);
    party_free(a);
    party_free(b);
}

static void
a_stream_counts_upwards_and_has_one_sender(void **state)
{
    struct party *a = party_new(0), *b = party_new(1), *c = party_new(2);
    struct box_stream at_a, at_b;
    struct packet first, second, p;

    (void)state;
    box_stream_init(a->box, &at_a);
    box_stream_init(b->box, &at_b);
    p = stream_send(a, &at_a);
    (void)stream_give(b, &at_b, &p);
    p = stream_send(b, &at_b);
    (void)stream_give(a, &at_a, &p);
    first = stream_send(a, &at_a);
    second = stream_send(a, &at_a);
    assert_int_equal(stream_give(b, &at_b, &second).verdict, BOX_GOOD);
    assert_int_equal(stream_give(b, &at_b, &first).refusal, GOSSIP_REFUSAL_REPLAYED);
    introduce(c, b, 0);
    p = plain_packet(c);
    assert_int_equal(stream_give(b, &at_b, &p).refusal, GOSSIP_REFUSAL_REPLAYED);
    party_start(a, 200);
    p = plain_packet(a);
    assert_int_equal(stream_give(b, &at_b, &p).verdict, BOX_REFUSED);
    party_free(a);
    party_free(b);
    party_free(c);
}

static void
a_recorded_stream_proves_nothing(void **state)
{
    struct party *a = party_new(0), *b = party_new(1);
    struct box_stream at_a, at_b;
    struct packet log[3];

    (void)state;
    box_stream_init(a->box, &at_a);
    box_stream_init(b->box, &at_b);
    log[0] = stream_send(a, &at_a);
    (void)stream_give(b, &at_b, &log[0]);
    log[1] = stream_send(b, &at_b);
    (void)stream_give(a, &at_a, &log[1]);
    log[1] = stream_send(a, &at_a);
    log[2] = stream_send(a, &at_a);
    assert_int_equal(stream_give(b, &at_b, &log[1]).verdict, BOX_GOOD);
    for (int restarted = 0; restarted < 2; restarted++) {
        if (restarted)
            party_start(b, 201);
        box_stream_init(b->box, &at_b);
        for (size_t i = 0; i < GS_COUNT(log); i++)
            assert_int_equal(stream_give(b, &at_b, &log[i]).verdict, BOX_UNKNOWN);
        assert_false(at_b.proven);
        assert_int_equal(box_is_proven(b->box, a->name), !restarted);
    }
    party_free(a);
    party_free(b);
}

/* A stream's proof that was held up while a later run of its sender proved itself. */
static void
an_old_stream_does_not_replace_a_later_proof(void **state)
{
    struct party *a = party_new(0), *b = party_new(1);
    struct box_stream at_a, at_b;
    struct packet p, late;

    (void)state;
    box_stream_init(a->box, &at_a);
    box_stream_init(b->box, &at_b);
    p = stream_send(b, &at_b);
    (void)stream_give(a, &at_a, &p);
    late = stream_send(a, &at_a);
    party_start(a, 200);
    introduce(a, b, 0);
    (void)stream_give(b, &at_b, &late);
    p = say(a, 0, b);
    assert_given(b, 0, &p, BOX_GOOD);
    /* The stream of the present run, on the other hand, may replace what is older than itself. */
    party_start(a, 300);
    box_stream_init(a->box, &at_a);
    box_stream_init(b->box, &at_b);
    p = stream_send(b, &at_b);
    (void)stream_give(a, &at_a, &p);
    p = stream_send(a, &at_a);
    assert_int_equal(stream_give(b, &at_b, &p).verdict, BOX_GOOD);
    p = say(a, 0, b);
    assert_given(b, 0, &p, BOX_GOOD);
    party_free(a);
    party_free(b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_prove_themselves_in_three_packets),
        cmocka_unit_test(both_may_begin_at_once),
        cmocka_unit_test(a_challenge_to_anybody_proves_the_first_who_answers),
        cmocka_unit_test(who_restarts_is_proven_again),
        cmocka_unit_test(answers_to_answers_come_to_an_end),
        cmocka_unit_test(an_unknown_session_is_answered_once_a_second),
        cmocka_unit_test(a_late_echo_proves_nothing),
        cmocka_unit_test(a_recording_proves_nothing_to_one_who_restarted),
        cmocka_unit_test(a_recording_of_a_former_run_does_not_replace_the_present),
        cmocka_unit_test(a_proof_is_replaced_only_by_a_later_one),
        cmocka_unit_test(a_stream_proves_itself_in_its_first_frames),
        cmocka_unit_test(a_stream_counts_upwards_and_has_one_sender),
        cmocka_unit_test(a_recorded_stream_proves_nothing),
        cmocka_unit_test(an_old_stream_does_not_replace_a_later_proof),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
