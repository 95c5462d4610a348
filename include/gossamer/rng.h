/* rng.h - seeded randomness (xoshiro256**), never for secrets. Injected into every core, so a
 * simulation replays bit by bit. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct gs_rng {
    uint64_t s[4];
};

void gs_rng_init(struct gs_rng *r, uint64_t seed);
uint64_t gs_rng_next(struct gs_rng *r);
uint32_t gs_rng_below(struct gs_rng *r, uint32_t n); /* 0..n-1, unbiased; n > 0 */
uint64_t gs_rng_seed_from_system(void);              /* getrandom(2); aborts if it fails */
void gs_random_bytes(void *p, size_t len);           /* getrandom(2): fit for keys */
