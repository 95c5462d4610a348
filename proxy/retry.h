/* retry.h - how often requests may be sent again: the budget that keeps retries from multiplying a
 * failure. Pure: time comes as an argument.
 *
 *     each request ─▶ a fifth of a retry, in its worker's share ─┐
 *                                                                ├─▶ one retry
 *     ten a second for the whole node, a hundred at the most ────┘
 *
 * A share fades by a tenth each second, so it holds about two seconds' worth of a steady load, and
 * all retries of a service are at most 20 % of its requests and the floor. */
#pragma once

#include <gossamer/check.h>
#include <gossamer/limits.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* One worker's, of one service. Zeroed to start. */
struct retry_share {
    uint64_t credit;  /* hundredths of a retry */
    uint64_t faded_s; /* up to when it has faded */
};

/* One node's, of one service: when, in ms, the last retry that was taken from it would have been
 * earned. 0 to start. Any worker. */
struct retry_floor {
    _Atomic uint64_t used_ms;
};

void retry_earn(struct retry_share *s, uint64_t now_ms); /* once per request */
/* One retry, if there is any: of the worker's own share first. */
bool retry_spend(struct retry_share *s, struct retry_floor *floor, uint64_t now_ms) GS_MUST_CHECK;
