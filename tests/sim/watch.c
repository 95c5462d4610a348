/* watch.c - a clock that stops when the last of those who were up at its start knows. */
#include "tests/sim/watch.h"

#include <stdio.h>
#include <stdlib.h>

#include <gossamer/alloc.h>

#include "tests/sim/world.h"

/* ---- samples ---- */

void
sample_add(struct samples *s, uint64_t ns)
{
    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 64;
        s->ns = gs_realloc(s->ns, s->cap * sizeof(*s->ns));
    }
    s->ns[s->count++] = ns;
}

static int
compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

uint64_t
sample_quantile(struct samples *s, double q)
{
    if (s->count == 0)
        return 0;
    qsort(s->ns, s->count, sizeof(*s->ns), compare);
    return s->ns[(size_t)(q * (double)(s->count - 1) + 0.5)];
}

const char *
samples_text(struct samples *s, char out[96])
{
    (void)snprintf(out, 96, "p50 %.4f p90 %.4f p99 %.4f max %.4f s (%zu)",
                   (double)sample_quantile(s, 0.5) / 1e9, (double)sample_quantile(s, 0.9) / 1e9,
                   (double)sample_quantile(s, 0.99) / 1e9, (double)sample_quantile(s, 1) / 1e9,
                   s->count);
    return out;
}

/* ---- watches ---- */

void
watches_fini(struct watches *s)
{
    for (size_t i = 0; i < WATCHES_MAX; i++)
        gs_free(s->items[i].done);
    for (size_t i = 0; i < WATCH_TAGS; i++) {
        gs_free(s->all[i].ns);
        gs_free(s->half[i].ns);
    }
}

/* A free one; what was watched of the same subject is given up, and so is the oldest if all are
 * taken. */
static struct watch *
take(struct world *w, enum watch_kind kind, uint32_t subject)
{
    struct watches *s = &w->watches;
    struct watch *found = &s->items[0];

    for (size_t i = 0; i < WATCHES_MAX; i++) {
        struct watch *at = &s->items[i];

        if (at->active && at->kind == kind && at->subject == subject) {
            found = at;
            break;
        }
        if (found->active && (!at->active || at->since_ns < found->since_ns))
            found = at;
    }
    s->unfinished += found->active;
    return found;
}

static void
start(struct world *w, struct watch *t, uint32_t but)
{
    t->active = true;
    t->since_ns = w->now_ns;
    t->missing = 0;
    t->tag = w->watches.tag;
    if (!t->done)
        t->done = gs_alloc(w->count);
    for (uint32_t i = 0; i < w->count; i++) {
        t->done[i] = i == but || !host_is_up(&w->hosts[i]);
        t->missing += !t->done[i];
    }
    t->half = t->missing / 2; /* of them left: then the half know */
    t->active = t->missing > 0;
}

void
watch_state(struct world *w, uint32_t subject, enum gossip_state state, uint64_t boot)
{
    struct watch *t = take(w, WATCH_STATE, subject);

    t->kind = WATCH_STATE;
    t->subject = subject;
    t->state = state;
    t->boot = boot;
    start(w, t, subject);
}

void
watch_write(struct world *w, uint32_t key, const struct gs_version *version, uint32_t by)
{
    struct watch *t = take(w, WATCH_WRITE, key);

    t->kind = WATCH_WRITE;
    t->subject = key;
    t->version = *version;
    start(w, t, by);
}

static void
check_off(struct world *w, struct watch *t, uint32_t host)
{
    struct watches *s = &w->watches;

    if (t->done[host])
        return;
    t->done[host] = 1;
    t->missing--;
    if (t->missing == t->half)
        sample_add(&s->half[t->tag], w->now_ns - t->since_ns);
    if (t->missing > 0)
        return;
    t->active = false;
    sample_add(&s->all[t->tag], w->now_ns - t->since_ns);
}

void
watch_on_node(struct world *w, struct host *h, const struct gossip_node *n, uint32_t subject)
{
    for (size_t i = 0; i < WATCHES_MAX; i++) {
        struct watch *t = &w->watches.items[i];

        if (t->active && t->kind == WATCH_STATE && t->subject == subject && t->state == n->state &&
            n->boot >= t->boot)
            check_off(w, t, h->index);
    }
}

void
watch_on_record(struct world *w, struct host *h, uint32_t key, const struct gs_version *v)
{
    for (size_t i = 0; i < WATCHES_MAX; i++) {
        struct watch *t = &w->watches.items[i];

        if (t->active && t->kind == WATCH_WRITE && t->subject == key &&
            gs_version_cmp(v, &t->version) >= 0)
            check_off(w, t, h->index);
    }
}

void
watch_host_down(struct world *w, const struct host *h)
{
    for (size_t i = 0; i < WATCHES_MAX; i++) {
        struct watch *t = &w->watches.items[i];

        if (t->active && !t->done[h->index])
            check_off(w, t, h->index);
    }
}
