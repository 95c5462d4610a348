/* stat_window.c - a ring of sums taken every STAT_SAMPLE_MS; the window is the present minus the
 * oldest of them. Only cells that were ever used have samples. */
#include <gossamer/alloc.h>
#include <gossamer/proxy.h>

#include "mesh/node.h"

#define SAMPLES 7 /* of 10 s each: the window is 60 to 70 s */

struct cell_samples {
    struct stat_sum at[SAMPLES];
};

struct stat_window {
    struct cell_samples **cells; /* by id; NULL: never used */
    uint32_t cell_count;
    struct proxy_counters counters[SAMPLES];
    uint64_t taken_ms[SAMPLES];
    uint32_t next, have;
};

struct stat_window *
stat_window_new(void)
{
    return gs_zalloc(sizeof(struct stat_window));
}

void
stat_window_free(struct stat_window *w)
{
    if (!w)
        return;
    for (uint32_t i = 0; i < w->cell_count; i++)
        gs_free(w->cells[i]);
    gs_free(w->cells);
    gs_free(w);
}

static void
grow(struct stat_window *w, uint32_t count)
{
    if (count <= w->cell_count)
        return;
    w->cells = gs_realloc(w->cells, count * sizeof(struct cell_samples *));
    for (uint32_t i = w->cell_count; i < count; i++)
        w->cells[i] = NULL;
    w->cell_count = count;
}

/* Its number may be another's from now on. */
static bool
on_gone(void *arg, uint32_t id)
{
    struct node *n = arg;
    struct stat_sum sum = { 0 };

    proxy_stat(n->proxy, id, &sum);
    if (sum.active > 0)
        return false;
    proxy_stat_clear(n->proxy, id);
    if (id < n->window->cell_count) {
        gs_free(n->window->cells[id]);
        n->window->cells[id] = NULL;
    }
    return true;
}

void
stat_window_sample(struct stat_window *w, struct node *n)
{
    uint32_t count = stat_names_end(n->stat_names);

    stat_names_reap(n->stat_names, n->loop->now_ms, on_gone, n);
    grow(w, count);
    for (uint32_t i = 0; i < count; i++) {
        struct stat_sum sum = { 0 };

        proxy_stat(n->proxy, i, &sum);
        if (sum.requests == 0)
            continue;
        if (!w->cells[i])
            w->cells[i] = gs_zalloc(sizeof(struct cell_samples));
        w->cells[i]->at[w->next] = sum;
    }
    proxy_counters(n->proxy, &w->counters[w->next]);
    w->taken_ms[w->next] = n->loop->now_ms;
    w->next = (w->next + 1) % SAMPLES;
    if (w->have < SAMPLES)
        w->have++;
}

static void
subtract(struct stat_sum *now, const struct stat_sum *then)
{
    now->requests -= then->requests;
    now->failed -= then->failed;
    for (unsigned i = 0; i < RETRY_CAUSES; i++)
        now->retries[i] -= then->retries[i];
    now->retries_denied -= then->retries_denied;
    for (unsigned i = 0; i < STAT_CODES; i++) {
        for (unsigned k = 0; k < STAT_CODES; k++) {
            if (then->codes[k].status == now->codes[i].status)
                now->codes[i].count -= then->codes[k].count;
        }
    }
    for (unsigned i = 0; i < REASON_COUNT; i++)
        now->reasons[i] -= then->reasons[i];
    for (unsigned i = 0; i < HIST_BUCKETS; i++)
        now->latency.bucket[i] -= then->latency.bucket[i];
    now->latency.count -= then->latency.count;
    now->latency.sum_us -= then->latency.sum_us;
}

void
stat_window_delta(struct stat_window *w, struct node *n, uint32_t cell, struct stat_sum *out,
                  double *window_s)
{
    uint32_t oldest = w->have < SAMPLES ? 0 : w->next;

    GS_ASSERT(w->have > 0);
    *out = (struct stat_sum){ 0 };
    proxy_stat(n->proxy, cell, out);
    if (cell < w->cell_count && w->cells[cell])
        subtract(out, &w->cells[cell]->at[oldest]);
    *window_s = (double)(n->loop->now_ms - w->taken_ms[oldest]) / 1000.0;
}

void
stat_window_counters(const struct stat_window *w, const struct node *n, struct proxy_counters *now,
                     struct proxy_counters *then)
{
    GS_ASSERT(w->have > 0);
    proxy_counters(n->proxy, now);
    *then = w->counters[w->have < SAMPLES ? 0 : w->next];
}
