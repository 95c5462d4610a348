/* outlier.h - endpoints that fail are left out for a while, on this node's own evidence. What is
 * known of one is in its slot, so all workers of the node count together.
 *
 *     in use ──faults in a row──▶ out ──its time is over──▶ out, and one request tries it
 *       ▲                          ▲                             │            │
 *       └──────────good────────────│─────────────────────────────┘            │
 *                                  └───────────fault: out for longer──────────┘
 *
 * Pure: time comes as an argument, and everything is atomics of the slots. The good path reads two
 * words of a line that it has in its cache anyhow. */
#pragma once

#include <gossamer/snapshot.h>

enum outlier_fault {
    OUTLIER_5XX,     /* an answer with a status of 500 or more, but 502 to 504 */
    OUTLIER_GATEWAY, /* 502, 503, 504, and answers that are none */
    OUTLIER_LOCAL,   /* no connection, cut before the answer, or no answer in time */
    OUTLIER_FAULTS
};
const char *outlier_fault_text(enum outlier_fault f);

/* What one worker judges by. */
struct outlier_pool {
    const struct slots *slots;
    const struct subset *subset;
    _Atomic bool *busy; /* the node's: some worker puts an endpoint out */
    uint64_t now_ms;
};

enum outlier_verdict {
    OUTLIER_NOTED,
    OUTLIER_EJECTED, /* it is out from now on */
    OUTLIER_HELD,    /* it would be, were there not too many out already */
};

/* One fault of an endpoint of the subset. */
enum outlier_verdict outlier_fault(const struct outlier_pool *p, const struct endpoint *e,
                                   enum outlier_fault f);

/* An answer that is no fault. */
static inline void
outlier_good(struct slot *s)
{
    if (atomic_load_explicit(&s->faults, memory_order_relaxed) != 0)
        atomic_store_explicit(&s->faults, 0, memory_order_relaxed);
}

static inline bool
outlier_is_out(const struct slot *s)
{
    return atomic_load_explicit(&s->ejection, memory_order_relaxed) != 0;
}

/* Would it be out if there were not too many? */
bool outlier_is_held(const struct outlier_policy *policy, const struct slot *s);
/* Is nobody left out under this policy, whatever happens? */
bool outlier_is_off(const struct outlier_policy *policy);
static inline const struct outlier_policy *
outlier_policy_of(const struct subset *s)
{
    return s->outliers ? s->outliers : &outlier_policy_default;
}

/* ---- trying one that is out ---- */

struct outlier_trial { /* of one request; zeroed: none */
    uint64_t token;    /* what the slot says while it is under way; 0: none */
    uint64_t before;   /* and said before */
};

/* May this request try it? At most one does at a time; one that has no answer in as long as the
 * endpoint was out for lets another try. early: although its time is not over. */
bool outlier_try(const struct outlier_pool *p, struct slot *s, bool early,
                 struct outlier_trial *trial);
/* What came of it. True: it is in use again. */
bool outlier_tried_good(struct slot *s, struct outlier_trial *trial, uint64_t now_ms);
/* True: it is out again, for longer. False: such faults do not matter under the policy, so it is in
 * use again; or it was tried early, so it stays out as it was; or another has the trial by now. */
bool outlier_tried_fault(const struct outlier_pool *p, struct slot *s, struct outlier_trial *trial,
                         enum outlier_fault f);
void outlier_tried_nothing(struct slot *s, struct outlier_trial *trial); /* cancelled */
/* It could not be tried, and need not be again at once. */
void outlier_tried_in_vain(struct slot *s, struct outlier_trial *trial, uint64_t now_ms);
