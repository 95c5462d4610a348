/* test_mux_random.c - streams of a mux used at random over a pair of memory streams. */
#include "tests/unit/mux_pair.h"

#define RANDOM_STREAMS 12
#define RANDOM_STEPS 20000

struct random_stream {
    struct tap t;
    unsigned server; /* index of its tap there */
    uint64_t wrote, wrote_back;
};

/* Each byte says where it stands, so that nothing is lost, doubled or crossed unnoticed. */
static char
byte_at(unsigned stream, uint64_t at)
{
    return (char)(stream * 37 + at * 11 + at / 256);
}

static void
random_write(struct stream *s, unsigned stream, uint64_t *wrote, size_t n)
{
    char bytes[3000];

    if (!s || stream_room(s) < n)
        return;
    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_at(stream, *wrote + i);
    *wrote += n;
    stream_write_slice(s, gs_slice(bytes, n));
}

static void
random_check(const struct tap *t, unsigned stream, uint64_t wrote, uint64_t *seen)
{
    assert_true(t->got.len <= wrote);
    for (; *seen < t->got.len; ++*seen)
        assert_int_equal(t->got.ptr[*seen], byte_at(stream, *seen));
}

/* ---- steps ---- */

struct play {
    struct pair *p;
    struct random_stream *s; /* PAIR_TAPS */
    struct gs_rng rng;
    unsigned made;
};

static void
resume(struct tap *t)
{
    t->room = SIZE_MAX;
    if (t->s)
        stream_resume(t->s);
}

static void
windows(struct pair *p, size_t client, size_t server)
{
    p->client.end->window = client;
    p->server.end->window = server;
}

/* The oldest stream ends, one way or the other, and a new one takes its place. */
static void
replace(struct play *y, unsigned from)
{
    if (y->made >= PAIR_TAPS - 1 || from >= y->p->opened || gs_rng_below(&y->rng, 10) > 0)
        return;
    if (y->s[from].t.s && gs_rng_below(&y->rng, 2))
        stream_abort(y->s[from].t.s);
    else
        tap_close(&y->s[from].t);
    windows(y->p, SIZE_MAX, SIZE_MAX);
    pair_run(y->p);
    tap_close(&y->p->taps[from]);
    pair_run(y->p);
    pair_open(y->p, &y->s[y->made++].t);
}

static void
act(struct play *y, unsigned from, unsigned i)
{
    struct random_stream *s = &y->s[i];
    struct tap *back = &y->p->taps[i];

    switch (gs_rng_below(&y->rng, 12)) {
    case 0:
    case 1:
    case 2:
        random_write(s->t.s, i, &s->wrote, 1 + gs_rng_below(&y->rng, 3000));
        break;
    case 3:
    case 4:
    case 5:
        random_write(back->s, i + 100, &s->wrote_back, 1 + gs_rng_below(&y->rng, 3000));
        break;
    case 6:
        s->t.room = gs_rng_below(&y->rng, 5000);
        back->room = gs_rng_below(&y->rng, 5000);
        break;
    case 7:
    case 8:
        resume(&s->t);
        resume(back);
        break;
    case 9:
        windows(y->p, gs_rng_below(&y->rng, 20000), gs_rng_below(&y->rng, 20000));
        break;
    case 10:
        windows(y->p, SIZE_MAX, SIZE_MAX);
        break;
    case 11:
        replace(y, from);
        break;
    }
}

static void
step(struct play *y)
{
    unsigned from = y->made > RANDOM_STREAMS ? y->made - RANDOM_STREAMS : 0;
    unsigned i = from + gs_rng_below(&y->rng, RANDOM_STREAMS);

    if (i >= y->made) {
        pair_open(y->p, &y->s[y->made++].t);
        pair_run(y->p); /* so that both count alike */
        return;
    }
    if (i >= y->p->opened)
        return;
    act(y, from, i);
    if (gs_rng_below(&y->rng, 3) == 0)
        pair_run(y->p);
}

static void
judge(struct play *y, unsigned i)
{
    struct random_stream *s = &y->s[i];
    struct tap *back = &y->p->taps[i];
    uint64_t seen = 0, seen_back = 0;

    random_check(back, i, s->wrote, &seen);
    random_check(&s->t, i + 100, s->wrote_back, &seen_back);
    if (back->eof && !back->reset)
        assert_int_equal(back->got.len, s->wrote);
    if (s->t.s && back->s) {
        assert_int_equal(back->got.len, s->wrote);
        assert_int_equal(s->t.got.len, s->wrote_back);
    }
}

/* When   streams are written, read, shut, closed and aborted at random, on a connection that
 *        stalls now and then
 * Then   every byte that comes is the one that was written there, and an end without a reset comes
 *        behind all of them */
static void
test_random(void **state)
{
    struct play y = { .p = pair_new(NULL), .s = gs_calloc(PAIR_TAPS, sizeof(*y.s)) };

    (void)state;
    gs_rng_init(&y.rng, 42);
    for (unsigned i = 0; i < RANDOM_STEPS; i++)
        step(&y);
    windows(y.p, SIZE_MAX, SIZE_MAX);
    for (unsigned i = 0; i < y.made; i++) {
        resume(&y.p->taps[i]);
        resume(&y.s[i].t);
    }
    pair_run(y.p);
    for (unsigned i = 0; i < y.made; i++) {
        judge(&y, i);
        tap_close(&y.s[i].t);
    }
    pair_run(y.p);
    for (unsigned i = 0; i < y.made; i++)
        gs_buf_fini(&y.s[i].t.got);
    gs_free(y.s);
    pair_free(y.p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
