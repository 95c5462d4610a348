/* await.c - conditions, each a few questions to the nodes, and counts of requests. */
#include "mesh/demo/await.h"

#define AROUND_MS 500 /* of traffic, before something happens and after it */
#define COUNT_LIMIT_MS 20000

/* ---- conditions ---- */

unsigned
await_running(struct tour *t)
{
    unsigned n = 0;

    for (unsigned i = 1; i <= t->stage.node_count; i++)
        n += !stage_node(&t->stage, i)->down;
    return n;
}

bool
await_met(struct tour *t, const void *arg)
{
    struct peek_members m;
    unsigned expected = await_running(t);

    (void)arg;
    for (unsigned i = 1; i <= t->stage.node_count; i++) {
        if (!stage_node(&t->stage, i)->down &&
            (!peek_members(&t->stage, i, &m) || !m.open || m.alive != expected))
            return false;
    }
    return true;
}

bool
await_ready(struct tour *t, const void *arg)
{
    struct peek_endpoints e;

    if (!stage_listens(&t->stage) || !await_met(t, arg))
        return false;
    for (unsigned i = 1; i <= t->stage.node_count; i++) {
        if (!stage_node(&t->stage, i)->down &&
            (!peek_endpoints(&t->stage, i, NULL, NULL, &e) || e.all != t->stage.service_count ||
             e.healthy + e.ejected != e.all))
            return false;
    }
    return true;
}

static bool
is_dead(enum peek_state state)
{
    return state == PEEK_DEAD || state == PEEK_LEFT;
}

/* Is this node dead to everybody who runs? */
bool
await_known_dead(struct tour *t, const void *arg)
{
    const unsigned *node = arg;
    struct peek_members m;

    for (unsigned i = 1; i <= t->stage.node_count; i++) {
        if (!stage_node(&t->stage, i)->down &&
            (!peek_members(&t->stage, i, &m) || !is_dead(m.of[*node])))
            return false;
    }
    return true;
}

/* Are the nodes behind the cut dead to all before it? */
bool
await_cut_off(struct tour *t, const void *arg)
{
    unsigned cut = *(const unsigned *)arg;
    struct peek_members m;

    GS_ASSERT(cut > 1);
    GS_ASSERT(cut <= t->stage.node_count);
    for (unsigned i = 1; i < cut; i++) {
        if (!peek_members(&t->stage, i, &m))
            return false;
        for (unsigned k = cut; k <= t->stage.node_count; k++) {
            if (!is_dead(m.of[k]))
                return false;
        }
    }
    return true;
}

unsigned
await_active_on(struct tour *t, const struct await_edited *e)
{
    unsigned n = 0;

    GS_ASSERT(e->first >= 1);
    GS_ASSERT(e->last <= t->stage.node_count);
    for (unsigned i = e->first; i <= e->last; i++)
        n += peek_active(&t->stage, i, e->version);
    return n;
}

bool
await_active(struct tour *t, const void *arg)
{
    const struct await_edited *e = arg;

    return await_active_on(t, e) == e->last - e->first + 1;
}

bool
await_agreed(struct tour *t, const void *arg)
{
    struct peek_policy first, p;

    (void)arg;
    if (!peek_policy(&t->stage, 1, &first) || !peek_active(&t->stage, 1, first.version))
        return false;
    for (unsigned i = 2; i <= t->stage.node_count; i++) {
        if (!peek_policy(&t->stage, i, &p) || strcmp(p.version, first.version) != 0 ||
            !peek_active(&t->stage, i, first.version))
            return false;
    }
    return true;
}

struct counted {
    load_mark_t mark;
    uint64_t requests;
};

static bool
is_counted(struct tour *t, const void *arg)
{
    const struct counted *c = arg;
    struct load_count got;

    load_read(t->load, c->mark, &got);
    return got.ended >= c->requests;
}

static bool
is_settled(struct tour *t, const void *arg)
{
    return load_settled(t->load, *(const load_mark_t *)arg);
}

/* ---- counting ---- */

/* What ended of a mark, once all of it has. The next mark has begun then. */
gs_err
await_finish_count(struct tour *t, load_mark_t mark, struct load_count *out, struct gs_why *why)
{
    load_mark_t next = load_mark(t->load);
    double ms;
    gs_err e = tour_until(t, is_settled, &next, COUNT_LIMIT_MS, &ms, why);

    load_read(t->load, mark, out);
    return e;
}

gs_err
await_counted(struct tour *t, load_mark_t mark, uint64_t requests, struct gs_why *why)
{
    struct counted c = { mark, requests };
    double ms;

    return tour_until(t, is_counted, &c, COUNT_LIMIT_MS, &ms, why);
}

/* So many requests at the pace of counting. */
gs_err
await_requests(struct tour *t, uint64_t requests, struct load_count *out, struct gs_why *why)
{
    load_mark_t mark;
    gs_err e;

    load_pace(t->load, TOUR_PACE_COUNTED);
    mark = load_mark(t->load);
    e = await_counted(t, mark, requests, why);
    load_pace(t->load, TOUR_PACE);
    return e == GS_E_OK ? await_finish_count(t, mark, out, why) : e;
}

gs_err
await_while(struct tour *t, unsigned ms, struct gs_why *why)
{
    uint64_t until = watch_now_us() + ms * 1000u;
    gs_err e = GS_E_OK;

    while (e == GS_E_OK && watch_now_us() < until)
        e = tour_pause(t, 20, why);
    return e;
}

/* As much traffic as there is in that time, even where the machine stood still for a part of it. */
static gs_err
await_traffic(struct tour *t, load_mark_t mark, struct gs_why *why)
{
    struct load_count had;
    gs_err e;

    load_read(t->load, mark, &had);
    e = await_while(t, AROUND_MS, why);
    return e == GS_E_OK ? await_counted(t, mark, had.ended + TOUR_PACE * AROUND_MS / 1000, why) : e;
}

/* A mark that has some traffic already, so that nothing that happens now hits an older one. */
gs_err
await_begin_count(struct tour *t, load_mark_t *mark, struct gs_why *why)
{
    double ms;
    gs_err e;

    *mark = load_mark(t->load);
    e = tour_until(t, is_settled, mark, COUNT_LIMIT_MS, &ms, why);
    return e == GS_E_OK ? await_traffic(t, *mark, why) : e;
}

gs_err
await_end_count(struct tour *t, load_mark_t mark, struct load_count *out, struct gs_why *why)
{
    gs_err e = await_traffic(t, mark, why);

    return e == GS_E_OK ? await_finish_count(t, mark, out, why) : e;
}
