/* world.c - making and ending a run, and its main loop: take what is next and give it to whom it
 * concerns. */
#include "tests/sim/world.h"

#include <string.h>

#include <gossamer/alloc.h>

#include "tests/sim/scenario.h"
#include "tests/sim/start.h"

/* ---- chances ---- */

bool
chance(struct gs_rng *r, uint32_t ppm)
{
    return gs_rng_below(r, SIM_PPM) < ppm;
}

uint64_t
between(struct gs_rng *r, uint64_t low, uint64_t high)
{
    GS_ASSERT(low <= high);
    return low + gs_rng_next(r) % (high - low + 1); /* the bias is of no account here */
}

struct gs_rng
world_rng(const struct world *w, const char *purpose)
{
    struct gs_rng r;

    gs_rng_init(&r, gs_hash(purpose, strlen(purpose), w->options.seed));
    return r;
}

/* ---- who is who ---- */

uint32_t
world_host_of(const struct world *w, const struct gs_id *id)
{
    uint32_t index = 0;

    for (size_t i = 4; i > 0; i--)
        index = index << 8 | id->bytes[GS_ID_BYTES - i];
    return index < w->count && gs_id_eq(&w->hosts[index].id, id) ? index : w->count;
}

uint32_t
world_host_at(const struct world *w, const struct gs_addr *address)
{
    uint32_t index = (uint32_t)address->ip[1] << 16 | (uint32_t)address->ip[2] << 8;

    index = (index | address->ip[3]) - 1;
    return index < w->count && gs_addr_eq(&w->hosts[index].address, address) ? index : w->count;
}

/* ---- a run ---- */

static void
make_keys(struct world *w)
{
    struct gs_rng r = world_rng(w, "keys");
    uint8_t key[SEAL_KEY_BYTES];

    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)gs_rng_below(&r, 256);
    GS_ASSERT(seal_ring_add(&w->keys, key, NULL) == GS_E_OK);
}

struct world *
world_new(const struct world_options *o)
{
    struct world *w = gs_zalloc(sizeof(*w));

    GS_ASSERT(o->scenario);
    w->options = *o;
    w->count = o->hosts ? o->hosts : o->scenario->hosts;
    if (o->seconds == 0)
        w->options.seconds = o->scenario->seconds;
    GS_ASSERT(w->count >= 2);
    GS_ASSERT(w->count <= SIM_HOSTS_MAX);
    w->seed_hosts = o->scenario->seed_hosts < w->count ? o->scenario->seed_hosts : w->count;
    w->own_keys = start_is_told(w) ? 0 : HOST_OWN_KEYS; /* four records per pair of nodes add up */
    w->calm_since_ns = w->rested_ns = UINT64_MAX;
    w->topology = world_rng(w, "topology");
    w->links = world_rng(w, "links");
    w->seeds = world_rng(w, "seeds");
    w->operators = world_rng(w, "operators");
    for (unsigned f = 0; f < FAULTS; f++)
        w->faults[f] = world_rng(w, fault_name((enum fault)f));
    queue_init(&w->queue);
    trace_init(&w->trace, o->out ? o->trace : TRACE_NONE, o->out);
    net_init(w);
    ledger_init(&w->ledger, 16);
    oracle_init(w);
    make_keys(w);
    w->hosts = gs_calloc(w->count, sizeof(*w->hosts));
    for (uint32_t i = 0; i < w->count; i++)
        host_init(w, &w->hosts[i], i);
    return w;
}

void
world_free(struct world *w)
{
    if (!w)
        return;
    for (uint32_t i = 0; i < w->count; i++)
        host_fini(w, &w->hosts[i]);
    net_fini(w);
    queue_fini(&w->queue);
    tcps_fini(&w->tcp);
    watches_fini(&w->watches);
    gs_free(w->views.ns);
    ledger_fini(&w->ledger);
    gs_free(w->hosts);
    gs_free(w);
}

void
world_drop(struct world *w, struct event *e)
{
    if (e->stream)
        tcp_unref(e->stream);
    queue_drop(&w->queue, e);
}

void
world_at(struct world *w, uint64_t at_ns, event_call call, uint64_t a, uint64_t b)
{
    struct event *e = queue_event(&w->queue, EVENT_CALL);

    GS_ASSERT(at_ns >= w->now_ns);
    e->call = call;
    e->a = a;
    e->b = b;
    queue_put(&w->queue, e, at_ns);
}

static void
dispatch(struct world *w, struct event *e)
{
    switch (e->type) {
    case EVENT_WAKE:
        host_wake(w, &w->hosts[e->host], e->at_ns);
        world_drop(w, e);
        break;
    case EVENT_CALL:
        e->call(w, e->a, e->b);
        world_drop(w, e);
        break;
    case EVENT_DATAGRAM:
        net_on_datagram(w, e);
        break;
    case EVENT_UNREACHABLE:
        net_on_unreachable(w, e);
        break;
    case EVENT_CONNECT:
        tcp_on_connect(w, e);
        break;
    case EVENT_ACCEPT:
    case EVENT_OPENED:
    case EVENT_FRAME:
    case EVENT_SENT:
    case EVENT_CLOSED:
        tcp_on_event(w, e);
        break;
    }
}

void
world_run(struct world *w, uint64_t until_ns)
{
    while (!w->over && queue_next_ns(&w->queue) <= until_ns) {
        struct event *e = queue_next(&w->queue);

        GS_ASSERT(e->at_ns >= w->now_ns);
        w->now_ns = e->at_ns;
        w->events++;
        dispatch(w, e);
    }
    if (!w->over && w->now_ns < until_ns)
        w->now_ns = until_ns;
}
