/* hist.c - log-linear buckets.
 *
 *     us        0 1 2 .. 7 | 8 .. 15  | 16 .. 31 | ..  | 2^27 and above
 *     width         1      |    1     |    2     | ..  | 2^24, the last bucket open
 *     index     0 1 2 .. 7 | 8 .. 15  | 16 .. 23 | ..  | 200 .. 207
 *
 * The first octaves below 8 us need no more than one bucket per microsecond, so the 26 groups of 8
 * reach 2^28 us = 268 s. */
#include <gossamer/hist.h>

#include <gossamer/check.h>

#define HIST_SUB (1u << HIST_SUB_BITS)
#define HIST_TOP_US (UINT64_C(1) << (HIST_BUCKETS / HIST_SUB + HIST_SUB_BITS - 1))

unsigned
gs_hist_index(uint64_t us)
{
    unsigned exponent;
    unsigned index;

    if (us < HIST_SUB)
        return (unsigned)us;
    if (us >= HIST_TOP_US)
        return HIST_BUCKETS - 1;
    exponent = 63u - (unsigned)__builtin_clzll(us);
    index = (exponent - HIST_SUB_BITS + 1) * HIST_SUB +
            ((unsigned)(us >> (exponent - HIST_SUB_BITS)) & (HIST_SUB - 1));
    GS_ASSERT(index < HIST_BUCKETS);
    return index;
}

uint64_t
gs_hist_upper_us(unsigned index)
{
    unsigned group = index / HIST_SUB;
    uint64_t sub = index % HIST_SUB;

    GS_ASSERT(index < HIST_BUCKETS);
    if (index == HIST_BUCKETS - 1)
        return UINT64_MAX;
    if (group == 0)
        return sub;
    return ((HIST_SUB + sub + 1) << (group - 1)) - 1;
}

void
gs_hist_add(struct gs_hist *h, uint64_t us)
{
    _Atomic uint32_t *bucket = &h->bucket[gs_hist_index(us)];

    /* One writer: a load and a store, no locked instruction. */
    atomic_store_explicit(bucket, atomic_load_explicit(bucket, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    atomic_store_explicit(&h->sum_us, atomic_load_explicit(&h->sum_us, memory_order_relaxed) + us,
                          memory_order_relaxed);
}

void
gs_hist_sum_add(struct gs_hist_sum *s, const struct gs_hist *h)
{
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        uint32_t n = atomic_load_explicit(&h->bucket[i], memory_order_relaxed);

        s->bucket[i] += n;
        s->count += n;
    }
    s->sum_us += atomic_load_explicit(&h->sum_us, memory_order_relaxed);
}

uint64_t
gs_hist_quantile_us(const struct gs_hist_sum *s, double q)
{
    uint64_t rank;
    uint64_t seen = 0;

    if (s->count == 0)
        return 0;
    GS_ASSERT(q >= 0.0 && q <= 1.0);
    rank = (uint64_t)(q * (double)s->count);
    if (rank == 0 || (double)rank < q * (double)s->count)
        rank++;
    for (unsigned i = 0; i < HIST_BUCKETS - 1; i++) {
        seen += s->bucket[i];
        if (seen >= rank)
            return gs_hist_upper_us(i);
    }
    return HIST_TOP_US; /* the open bucket: at least this */
}
