/* balance.c - which endpoint of a subset: two drawn at random, the one with the lower cost, where
 * cost = peak EWMA of its latency x (exchanges on it, node-wide, + 1). The peak EWMA jumps up to a
 * slow answer at once and comes down slowly (Finagle's), and fades with time, so that an endpoint
 * that was slow once is tried again. An endpoint never used costs the least. */
#include <math.h>

#include "proxy/worker.h"

#define DECAY_NS 10e9 /* time constant of the average */
#define FLOOR_NS 1e6  /* differences below 1 ms are noise: such endpoints share alike */
#define ALIKE 1.5     /* a ratio of latencies that is no reason to prefer one */

static double
faded(double cost_ns, uint64_t at_ns, uint64_t now_ns)
{
    uint64_t age = now_ns > at_ns ? now_ns - at_ns : 0;

    /* exp() is called for idle ones only; a busy one's average is fresh. */
    return age < 1000000000u ? cost_ns : cost_ns * exp(-(double)age / DECAY_NS);
}

static double
latency_of(const struct endpoint_state *at, uint64_t now_ns)
{
    double ns = fmax(faded(at->ewma_ns, at->ewma_at_ns, now_ns), FLOOR_NS);

    return at->failed_ns > 0 ? fmax(ns, faded(at->failed_ns, at->failed_at_ns, now_ns)) : ns;
}

/* How an endpoint looks now: latency, and how many would share it with one more request. */
struct load {
    double latency_ns;
    double sharing;
};

static struct load
load_of(struct worker *w, const struct endpoint *e)
{
    const struct endpoint_state *at = worker_endpoint(w, e);
    const struct slot *slot = slots_at(w->root->slots, e->slot);
    uint32_t active = atomic_load_explicit(&slot->active, memory_order_relaxed) +
                      atomic_load_explicit(&slot->pending, memory_order_relaxed);

    return (struct load){ latency_of(at, w->loop->now_ns), active + 1.0 };
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

/* The first endpoint from a random place on that was not tried. */
static const struct endpoint *
pick_untried(struct worker *w, const struct subset *s, const uint32_t *tried, uint32_t count)
{
    uint32_t start = gs_rng_below(&w->loop->rng, s->count);

    for (uint32_t i = 0; i < s->count; i++) {
        const struct endpoint *e = s->endpoints[(start + i) % s->count];

        if (!was_tried(e, tried, count))
            return e;
    }
    return s->endpoints[start];
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
