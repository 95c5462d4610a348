/* hist.h - a latency histogram of log-linear buckets: 8 per power of two, so a quantile is off by
 * at most 12.5 %. Below 8 us one bucket per microsecond, then up to 268 s; longer in the last,
 * which is open (gs_hist_upper_us is UINT64_MAX). Written by one thread with relaxed stores, read
 * by any. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define HIST_SUB_BITS 3
#define HIST_BUCKETS (26 * 8)

struct gs_hist {
    _Atomic uint32_t bucket[HIST_BUCKETS];
    _Atomic uint64_t sum_us;
};

unsigned gs_hist_index(uint64_t us);
uint64_t gs_hist_upper_us(unsigned index);        /* values of the bucket are <= this */
void gs_hist_add(struct gs_hist *h, uint64_t us); /* the writing thread only */

/* A plain sum of histograms, for reading. */
struct gs_hist_sum {
    uint64_t bucket[HIST_BUCKETS];
    uint64_t count;
    uint64_t sum_us;
};

void gs_hist_sum_add(struct gs_hist_sum *s, const struct gs_hist *h);
uint64_t gs_hist_quantile_us(const struct gs_hist_sum *s, double q); /* 0 when empty */
