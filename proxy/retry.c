/* retry.c - the budget that keeps retries from multiplying a failure: a service earns a share of a
 * retry with each request and a few per second besides, and can save up ten seconds' worth. */
#include "proxy/worker.h"

#define EARN_PER_REQUEST (RETRY_BUDGET_PERCENT / 100.0)
#define SAVED_MAX (RETRY_BUDGET_FLOOR_PER_S * 10.0)

static void
refill(struct worker *w, struct service_state *s)
{
    uint64_t now = w->loop->now_ms;

    if (s->retry_at_ms == 0)
        s->retry_tokens += RETRY_BUDGET_FLOOR_PER_S;
    else
        s->retry_tokens += (double)(now - s->retry_at_ms) * RETRY_BUDGET_FLOOR_PER_S / 1000.0;
    s->retry_at_ms = now;
}

static void
cap(struct service_state *s)
{
    if (s->retry_tokens > SAVED_MAX)
        s->retry_tokens = SAVED_MAX;
}

void
retry_earn(struct worker *w, uint32_t service)
{
    struct service_state *s = worker_service(w, service);

    s->retry_tokens += EARN_PER_REQUEST;
    cap(s);
}

bool
retry_spend(struct worker *w, uint32_t service)
{
    struct service_state *s = worker_service(w, service);

    refill(w, s);
    cap(s);
    if (s->retry_tokens < 1) {
        counter_add(&w->counters.retries_denied, 1);
        return false;
    }
    s->retry_tokens -= 1;
    counter_add(&w->counters.retries, 1);
    return true;
}
