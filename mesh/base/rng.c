/* rng.c - xoshiro256** by Blackman and Vigna, seeded through splitmix64; and the system's own
 * randomness. */
#include <gossamer/rng.h>

#include <errno.h>
#include <sys/random.h>
#include <sys/types.h>

#include <gossamer/check.h>

static uint64_t
rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void
gs_rng_init(struct gs_rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        r->s[i] = z ^ (z >> 31);
    }
    GS_ASSERT(r->s[0] | r->s[1] | r->s[2] | r->s[3]); /* all zero is the one state to avoid */
}

uint64_t
gs_rng_next(struct gs_rng *r)
{
    uint64_t result = rotl(r->s[1] * 5, 7) * 9;
    uint64_t t = r->s[1] << 17;

    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= t;
    r->s[3] = rotl(r->s[3], 45);
    return result;
}

/* Lemire, "Fast Random Integer Generation in an Interval" (2019), algorithm 5. */
uint32_t
gs_rng_below(struct gs_rng *r, uint32_t n)
{
    uint64_t product;
    uint32_t threshold;

    GS_ASSERT(n > 0);
    threshold = -n % n;
    do {
        product = (uint64_t)(uint32_t)(gs_rng_next(r) >> 32) * n;
    } while ((uint32_t)product < threshold);
    return (uint32_t)(product >> 32);
}

void
gs_random_bytes(void *p, size_t len)
{
    char *at = p;

    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            gs_panic(__FILE__, __LINE__, "getrandom failed");
        GS_ASSERT((size_t)n <= len);
        at += n;
        len -= (size_t)n;
    }
}

uint64_t
gs_rng_seed_from_system(void)
{
    uint64_t seed;

    gs_random_bytes(&seed, sizeof(seed));
    return seed;
}
