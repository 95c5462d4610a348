/* balance.c - which endpoint of a subset: two drawn at random, the one with the lower cost, where
 * cost = peak EWMA of its latency x (exchanges on it, node-wide, + 1). The peak EWMA jumps up to a
 * slow answer at once and comes down slowly (Finagle's), and fades with time, so that an endpoint
 * that was slow once is tried again. An endpoint never used costs the least.
 *
 * Where operators gave weights that differ, the first one is drawn by weight. A second one of the
 * same weight is compared as ever, so that those many that are alike are balanced as if there were
 * no others. One of another weight takes its place only if the first fails, or has far more to do
 * than is its share: comparing any closer would bend the shares that the operator asked for.
 *
 * Where one of the two is out, or was tried already, ejected.c chooses. */
#include <math.h>

#include "proxy/worker.h"

#define DECAY_NS 10e9    /* time constant of the average */
#define FLOOR_NS 1e6     /* differences below 1 ms are noise: such endpoints share alike */
#define ALIKE 1.5        /* a ratio of latencies that is no reason to prefer one */
#define WEIGHTED_SLACK 8 /* requests under way that are no load, whatever the weight */

static double
faded(double cost_ns, uint64_t at_ns, uint64_t now_ns, double decay_ns)
{
    uint64_t age = now_ns > at_ns ? now_ns - at_ns : 0;

    /* exp() is called for idle ones only; a busy one's average is fresh. */
    return age < 1000000000u ? cost_ns : cost_ns * exp(-(double)age / decay_ns);
}

/* What its failures cost; FLOOR_NS: there were none of late. The more there were, the slower it
 * fades: beside an endpoint that takes 1 ms one failure is felt for 7 s, two for 14 s, and many for
 * less than 2 min. An instance that was restarted is soon used again, as where callers reconnect on
 * their own (Linkerd, gRPC); at the average's pace one failure kept it idle for a minute. */
static double
failing_of(const struct endpoint_state *at, uint64_t now_ns)
{
    double decay_ns = fmin(at->failed_ns, DECAY_NS);

    if (at->failed_ns <= 0)
        return FLOOR_NS;
    return fmax(faded(at->failed_ns, at->failed_at_ns, now_ns, decay_ns), FLOOR_NS);
}

static double
latency_of(const struct endpoint_state *at, uint64_t now_ns)
{
    return fmax(faded(at->ewma_ns, at->ewma_at_ns, now_ns, DECAY_NS), failing_of(at, now_ns));
}

/* How an endpoint looks now: latency, and how many would share it with one more request. */
struct load {
    double latency_ns;
    double sharing;
};

/* Those that wait for a connection are among them: counted twice, a light endpoint, which keeps few
 * connections, would have too much to do whenever a few requests come at once. */
static uint32_t
active_on(const struct worker *w, const struct endpoint *e)
{
    return atomic_load_explicit(&slots_at(w->root->slots, e->slot)->active, memory_order_relaxed);
}

static struct load
load_of(struct worker *w, const struct endpoint *e)
{
    const struct endpoint_state *at = worker_endpoint(w, e);

    GS_ASSERT(at->slot == e->slot);
    return (struct load){ latency_of(at, w->loop->now_ns), active_on(w, e) + 1.0 };
}

/* Is b the better one? Latencies that are alike count as equal: else the endpoint that happened to
 * have the lower one would get every request of a client that sends one at a time. */
static bool
costs_less(const struct load *b, const struct load *a)
{
    if (b->latency_ns < a->latency_ns * ALIKE && a->latency_ns < b->latency_ns * ALIKE)
        return b->sharing < a->sharing;
    return b->latency_ns * b->sharing < a->latency_ns * a->sharing;
}

/* ---- weights ---- */

/* The first endpoint whose weight, and of those before it, exceeds `at`. */
static uint32_t
endpoint_at(const struct subset *s, uint32_t at)
{
    uint32_t low = 0, high = s->count - 1;

    GS_ASSERT(at < s->upto[high]);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (s->upto[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static uint32_t
draw_first(struct worker *w, const struct subset *s)
{
    return endpoint_at(s, gs_rng_below(&w->loop->rng, s->upto[s->count - 1]));
}

/* Another endpoint than `first`, by weight. */
static uint32_t
draw_other(struct worker *w, const struct subset *s, uint32_t first)
{
    uint32_t weight = s->endpoints[first]->weight;
    uint32_t at = gs_rng_below(&w->loop->rng, s->upto[s->count - 1] - weight);

    return endpoint_at(s, at < s->upto[first] - weight ? at : at + weight);
}

/* Does a fail, which b does not, or has it more than twice of what it would have at b's load? */
static bool
gives_way(struct worker *w, const struct endpoint *a, const struct endpoint *b)
{
    double fails = failing_of(worker_endpoint(w, a), w->loop->now_ns);
    double share = (active_on(w, b) + 1.0) * a->weight / b->weight;

    return fails > ALIKE * failing_of(worker_endpoint(w, b), w->loop->now_ns) ||
           active_on(w, a) > 2 * share + WEIGHTED_SLACK;
}

/* ---- picking ---- */

const struct endpoint *
balance_better(struct worker *w, const struct subset *s, const struct endpoint *first,
               const struct endpoint *other)
{
    struct load load_first, load_other;

    GS_ASSERT(first != other);
    if (s->upto && first->weight != other->weight)
        return gives_way(w, first, other) ? other : first;
    load_first = load_of(w, first);
    load_other = load_of(w, other);
    return costs_less(&load_other, &load_first) ? other : first;
}

static void
draw_two(struct worker *w, const struct subset *s, const struct endpoint *two[2])
{
    uint32_t a, b;

    if (s->upto) {
        a = draw_first(w, s);
        b = draw_other(w, s, a);
    } else {
        a = gs_rng_below(&w->loop->rng, s->count);
        b = gs_rng_below(&w->loop->rng, s->count - 1);
        b += b >= a;
    }
    GS_ASSERT(a != b);
    two[0] = s->endpoints[a];
    two[1] = s->endpoints[b];
}

#define REDRAWS 4 /* in large subsets, before all of one are looked at */
#define LARGE 8   /* endpoints */

/* Two different ones. False: one of them is out and had better be looked at. */
static bool
draw(struct worker *w, const struct subset *s, const struct endpoint *two[2])
{
    const struct slots *slots = w->root->slots;

    for (int i = 0; i < (s->count > LARGE ? REDRAWS : 1); i++) {
        uint64_t out_a, out_b;

        draw_two(w, s, two);
        out_a =
            atomic_load_explicit(&slots_at(slots, two[0]->slot)->ejection, memory_order_relaxed);
        out_b =
            atomic_load_explicit(&slots_at(slots, two[1]->slot)->ejection, memory_order_relaxed);
        if ((out_a | out_b) == 0)
            return true;
        if ((out_a && ejection_until_ms(out_a) <= w->loop->now_ms) ||
            (out_b && ejection_until_ms(out_b) <= w->loop->now_ms))
            return false; /* its time is over */
    }
    return false;
}

const struct endpoint *
balance_pick(struct worker *w, const struct subset *s, const struct tried *tried,
             struct outlier_trial *trial)
{
    const struct endpoint *two[2];
    const struct endpoint *e;

    if (s->count == 0)
        return NULL;
    if (tried->count > 0)
        e = ejected_pick(w, s, tried, trial);
    else if (s->count == 1 && !outlier_is_out(slots_at(w->root->slots, s->endpoints[0]->slot)))
        e = s->endpoints[0];
    else if (s->count > 1 && draw(w, s, two))
        e = balance_better(w, s, two[0], two[1]);
    else
        e = ejected_pick(w, s, tried, trial);
    GS_ASSERT(e);
    if (s->panic && !outlier_is_out(slots_at(w->root->slots, e->slot)))
        balance_panics(w, e); /* the others counted themselves */
    return e;
}

void
balance_panics(struct worker *w, const struct endpoint *e)
{
    atomic_fetch_add_explicit(&slots_at(w->root->slots, e->slot)->panics, 1, memory_order_relaxed);
    counter_add(&w->counters.panics, 1);
}

void
balance_observe(struct worker *w, const struct endpoint *e, uint64_t took_ns)
{
    struct endpoint_state *at = worker_endpoint(w, e);
    double took = (double)took_ns;
    uint64_t age = w->loop->now_ns > at->ewma_at_ns ? w->loop->now_ns - at->ewma_at_ns : 0;

    if (took > at->ewma_ns) {
        at->ewma_ns = took;
    } else {
        /* 1 - exp(-x) is x for the small x of a busy endpoint */
        double x = (double)age / DECAY_NS;
        double keep = x < 0.01 ? 1 - x : exp(-x);

        at->ewma_ns = at->ewma_ns * keep + took * (1 - keep);
    }
    GS_ASSERT(at->ewma_ns >= 0); /* no NaN, either */
    at->ewma_at_ns = w->loop->now_ns;
    at->failed_ns = 0;
    atomic_store_explicit(&at->ewma_us, (uint64_t)(at->ewma_ns / 1000), memory_order_relaxed);
}

void
balance_succeeded(struct worker *w, const struct endpoint *e)
{
    atomic_store_explicit(&slots_at(w->root->slots, e->slot)->succeeded_ms, w->loop->now_ms,
                          memory_order_relaxed);
}

/* A connection that cannot be had, or breaks before an answer, costs like a very slow answer: other
 * endpoints are preferred until it has faded or an answer has come. A further one doubles it: an
 * endpoint that is gone must stay dearer than one that is slow for being all there is. It is no
 * latency: one that came back would cost as much as one that is gone, for minutes. How it fades is
 * told at failing_of(). */
#define FAILED_NS 1e9
#define FAILED_MAX_NS 64e9

void
balance_failed(struct worker *w, const struct endpoint *e, uint64_t begun_ns)
{
    struct endpoint_state *at = worker_endpoint(w, e);

    GS_ASSERT(begun_ns <= w->loop->now_ns);
    if (at->failed_ns > 0 && begun_ns <= at->failed_at_ns)
        return; /* ended by what ended the one before */
    at->failed_ns = fmin(fmax(at->failed_ns * 2, FAILED_NS), FAILED_MAX_NS);
    at->failed_at_ns = w->loop->now_ns;
    GS_ASSERT(at->failed_ns >= FAILED_NS);
    GS_ASSERT(at->failed_ns <= FAILED_MAX_NS);
}
