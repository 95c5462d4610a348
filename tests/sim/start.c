/* start.c - the one file here that looks into the core: a large mesh is not made to join, each node
 * is told what it would have heard of all others, through the same door by which packets enter,
 * and what it would now tell them in turn is taken from it. */
#include "tests/sim/start.h"

#include <stdlib.h>
#include <string.h>

#include <gossamer/alloc.h>

#include "gossip/core.h"

#include "tests/sim/world.h"

#define TOLD_FROM 129 /* hosts */
#define CONVERGE_NS (60 * SIM_S)
#define SETTLE_NS (5 * SIM_S) /* the rumors of the start die out */

bool
start_is_told(const struct world *w)
{
    return w->count >= TOLD_FROM;
}

bool
start_is_complete(const struct world *w)
{
    uint32_t up = 0;

    for (uint32_t i = 0; i < w->count; i++)
        up += host_is_up(&w->hosts[i]);
    for (uint32_t i = 0; i < w->count; i++) {
        const struct host *h = &w->hosts[i];

        if (host_is_up(h) && h->alive_known + 1 < up)
            return false;
    }
    return true;
}

void
start_joining(struct world *w)
{
    for (uint32_t i = 0; i < w->count; i++)
        host_start(w, &w->hosts[i]);
}

/* ---- being told ---- */

/* What is said of all hosts, in the order of their ids: that is how tables are sorted, so each is
 * only ever added to at its end. */
struct hearsay {
    const struct host **about;
    char *claims;
    struct gs_slice *records;
    struct gossip_record *kept; /* what `records` point into */
};

static int
by_id(const void *a, const void *b)
{
    const struct host *const *x = a;
    const struct host *const *y = b;

    return memcmp((*x)->id.bytes, (*y)->id.bytes, GS_ID_BYTES);
}

static struct hearsay
collect(const struct world *w)
{
    struct hearsay all = {
        .about = gs_calloc(w->count, sizeof(struct host *)),
        .claims = gs_alloc((size_t)w->count * WIRE_CLAIM_BYTES),
        .records = gs_calloc(w->count, sizeof(*all.records)),
        .kept = gs_calloc(w->count, sizeof(*all.kept)),
    };

    for (uint32_t i = 0; i < w->count; i++)
        all.about[i] = &w->hosts[i];
    qsort(all.about, w->count, sizeof(struct host *), by_id);
    for (uint32_t i = 0; i < w->count; i++) {
        const struct host *h = all.about[i];
        struct wire_claim c = member_own_claim(h->core);

        wire_put_claim(all.claims + (size_t)i * WIRE_CLAIM_BYTES, &c);
        GS_ASSERT(gossip_find(h->core, GOSSIP_OWNER, &h->id, GS_SLICE("node"), &all.kept[i]));
        gossip_record_keep(&all.kept[i]);
        all.records[i] = all.kept[i].bytes;
    }
    return all;
}

static void
hearsay_free(struct hearsay *all, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        gossip_record_drop(&all->kept[i]);
    gs_free(all->kept);
    gs_free(all->records);
    gs_free(all->claims);
    gs_free(all->about);
}

/* Those [from, to) to one host. */
static void
tell(struct world *w, struct host *h, const struct hearsay *all, uint32_t from, uint32_t to)
{
    struct wire_packet p = {
        .claims = gs_slice(all->claims + (size_t)from * WIRE_CLAIM_BYTES,
                           (size_t)(to - from) * WIRE_CLAIM_BYTES),
        .records = all->records + from,
        .record_count = to - from,
    };

    gossip_take(h->core, host_now_ms(w, h), host_wall_ms(w, h), &w->hosts[0].id, &p, false);
}

static void
hush(struct gossip *g)
{
    while (records_next_fresh(&g->records))
        ;
    rumors_fini(&g->rumors);
    g->rumors.flush_ms = UINT64_MAX;
}

static void
start_told(struct world *w)
{
    struct hearsay all;

    for (uint32_t i = 0; i < w->count; i++)
        host_make(w, &w->hosts[i]);
    all = collect(w);
    for (uint32_t i = 0; i < w->count; i++) {
        struct host *h = &w->hosts[all.about[i]->index];

        tell(w, h, &all, 0, i);
        tell(w, h, &all, i + 1, w->count);
        hush(h->core);
    }
    hearsay_free(&all, w->count);
    for (uint32_t i = 0; i < w->count; i++)
        host_join(w, &w->hosts[i]);
}

void
start_converged(struct world *w)
{
    uint64_t until_ns = w->now_ns + CONVERGE_NS;

    if (start_is_told(w))
        start_told(w);
    else
        start_joining(w);
    while (!w->over && w->now_ns < until_ns && !start_is_complete(w))
        world_run(w, w->now_ns + 100 * SIM_MS);
    if (!w->over && !start_is_complete(w))
        oracle_fail(w, ORACLE_VIEWS, "%.0f s after the start they do not know each other",
                    (double)CONVERGE_NS / 1e9);
    world_run(w, w->now_ns + SETTLE_NS);
}
