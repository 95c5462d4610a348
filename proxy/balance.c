/* balance.c - which endpoint of a subset: two drawn at random, the one with the lower cost, where
 * cost = peak EWMA of its latency x (exchanges on it, node-wide, + 1). The peak EWMA jumps up to a
 * slow answer at once and comes down slowly (Finagle's), and fades with time, so that an endpoint
 * that was slow once is tried again. An endpoint never used costs the least.
 *
 * Where operators gave weights that differ, the first one is drawn by weight. A second one of the
 * same weight is compared as ever, so that those many that are alike are balanced as if there were
 * no others. One of another weight takes its place only if the first fails, or has far more to do
 * than is its share: comparing any closer would bend the shares that the operator asked for. */
#include <math.h>

#include "proxy/worker.h"

#define DECAY_NS 10e9    /* time constant of the average */
#define FLOOR_NS 1e6     /* differences below 1 ms are noise: such endpoints share alike */
#define ALIKE 1.5        /* a ratio of latencies that is no reason to prefer one */
#define WEIGHTED_SLACK 8 /* requests under way that are no load, whatever the weight */

static double
faded(double cost_ns, uint64_t at_ns, uint64_t now_ns)
{
    uint64_t age = now_ns > at_ns ? now_ns - at_ns : 0;

    /* exp() is called for idle ones only; a busy one's average is fresh. */
    return age < 1000000000u ? cost_ns : cost_ns * exp(-(double)age / DECAY_NS);
}

/* What its failures cost; FLOOR_NS: there were none of late. */
static double
failing_of(const struct endpoint_state *at, uint64_t now_ns)
{
    return at->failed_ns > 0 ? fmax(faded(at->failed_ns, at->failed_at_ns, now_ns), FLOOR_NS)
                             : FLOOR_NS;
}

static double
latency_of(const struct endpoint_state *at, uint64_t now_ns)
{
    return fmax(faded(at->ewma_ns, at->ewma_at_ns, now_ns), failing_of(at, now_ns));
}

/* How an endpoint looks now: latency, and how many would share it with one more request. */
struct load {
    double latency_ns;
    double sharing;
};

static uint32_t
active_on(const struct worker *w, const struct endpoint *e)
{
    const struct slot *slot = slots_at(w->root->slots, e->slot);

    return atomic_load_explicit(&slot->active, memory_order_relaxed) +
           atomic_load_explicit(&slot->pending, memory_order_relaxed);
}

static struct load
load_of(struct worker *w, const struct endpoint *e)
{
    return (struct load){ latency_of(worker_endpoint(w, e), w->loop->now_ns),
                          active_on(w, e) + 1.0 };
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

static bool
was_tried(const struct endpoint *e, const uint32_t *tried, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (tried[i] == e->slot)
            return true;
    }
    return false;
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
weight_at(const struct subset *s, uint32_t i)
{
    return s->upto[i] - (i > 0 ? s->upto[i - 1] : 0);
}

static uint32_t
draw(struct worker *w, const struct subset *s)
{
    return endpoint_at(s, gs_rng_below(&w->loop->rng, s->upto[s->count - 1]));
}

/* ---- picking ---- */

/* The first endpoint from a random place on that was not tried. */
static const struct endpoint *
pick_untried(struct worker *w, const struct subset *s, const uint32_t *tried, uint32_t count)
{
    uint32_t start = s->upto ? draw(w, s) : gs_rng_below(&w->loop->rng, s->count);

    for (uint32_t i = 0; i < s->count; i++) {
        const struct endpoint *e = s->endpoints[(start + i) % s->count];

        if (!was_tried(e, tried, count))
            return e;
    }
    return s->endpoints[start];
}

/* Another endpoint than `first`, by weight. */
static uint32_t
draw_other(struct worker *w, const struct subset *s, uint32_t first)
{
    uint32_t weight = weight_at(s, first);
    uint32_t at = gs_rng_below(&w->loop->rng, s->upto[s->count - 1] - weight);

    return endpoint_at(s, at < s->upto[first] - weight ? at : at + weight);
}

/* Does a fail, which b does not, or has it more than twice of what it would have at b's load? */
static bool
gives_way(struct worker *w, const struct subset *s, uint32_t a, uint32_t b)
{
    const struct endpoint *first = s->endpoints[a], *other = s->endpoints[b];
    double fails = failing_of(worker_endpoint(w, first), w->loop->now_ns);
    double share = (active_on(w, other) + 1.0) * weight_at(s, a) / weight_at(s, b);

    return fails > ALIKE * failing_of(worker_endpoint(w, other), w->loop->now_ns) ||
           active_on(w, first) > 2 * share + WEIGHTED_SLACK;
}

static const struct endpoint *
pick_weighted(struct worker *w, const struct subset *s)
{
    uint32_t a = draw(w, s);
    uint32_t b = draw_other(w, s, a);
    struct load load_a, load_b;

    GS_ASSERT(a != b);
    if (weight_at(s, a) != weight_at(s, b))
        return s->endpoints[gives_way(w, s, a, b) ? b : a];
    load_a = load_of(w, s->endpoints[a]);
    load_b = load_of(w, s->endpoints[b]);
    return s->endpoints[costs_less(&load_b, &load_a) ? b : a];
}

const struct endpoint *
balance_pick(struct worker *w, const struct subset *s, const uint32_t *tried, uint32_t tried_count)
{
    struct load load_a, load_b;
    uint32_t a, b;

    if (s->count == 0)
        return NULL;
    if (s->count == 1)
        return s->endpoints[0];
    if (tried_count > 0)
        return pick_untried(w, s, tried, tried_count);
    if (s->upto)
        return pick_weighted(w, s);
    a = gs_rng_below(&w->loop->rng, s->count);
    b = gs_rng_below(&w->loop->rng, s->count - 1);
    b += b >= a;
    GS_ASSERT(a != b);
    load_a = load_of(w, s->endpoints[a]);
    load_b = load_of(w, s->endpoints[b]);
    return costs_less(&load_b, &load_a) ? s->endpoints[b] : s->endpoints[a];
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
 * latency: one that came back would cost as much as one that is gone, for minutes. */
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
}
