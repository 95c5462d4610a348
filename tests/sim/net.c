/* net.c - the way of a datagram: cut? lost? how long? twice? spoilt on the way? And a tape: what an
 * attacker who listens may send again later, to anybody. */
#include "tests/sim/net.h"

#include <string.h>

#include <gossamer/alloc.h>

#include "tests/sim/world.h"

#define REPLAY_AFTER_NS (30 * SIM_S) /* at the most */

void
net_init(struct world *w)
{
    w->net = (struct net){ .quality = {
                               .latency_min_ns = 200000,
                               .latency_max_ns = 1500000,
                               .bytes_per_s = 100000000,
                           } };
}

void
net_fini(struct world *w)
{
    struct net *n = &w->net;

    for (size_t i = 0; i < NET_TAPE; i++) {
        if (n->tape[i])
            parcel_drop(&w->queue, n->tape[i]);
    }
    gs_free(n->cuts);
    gs_free(n->sides);
}

/* ---- delay and loss ---- */

uint64_t
net_latency_ns(struct world *w)
{
    const struct net_quality *q = &w->net.quality;
    uint64_t ns = between(&w->links, q->latency_min_ns, q->latency_max_ns);

    if (q->tail_ppm > 0 && chance(&w->links, q->tail_ppm))
        ns += between(&w->links, 0, q->tail_ns);
    return ns;
}

bool
net_loses(struct world *w)
{
    uint32_t ppm = w->net.quality.loss_ppm + w->net.burst_ppm;

    return ppm > 0 && chance(&w->links, ppm);
}

/* ---- cuts ---- */

static uint8_t *
way(const struct world *w, uint32_t from, uint32_t to)
{
    GS_ASSERT(from < w->count);
    GS_ASSERT(to < w->count);
    return &w->net.cuts[(size_t)from * w->count + to];
}

bool
net_is_cut(const struct world *w, uint32_t from, uint32_t to, uint8_t kind)
{
    const struct net *n = &w->net;

    if (n->partitioned && n->sides[from] != n->sides[to])
        return true;
    return n->cut_count > 0 && (*way(w, from, to) & kind);
}

void
net_cut(struct world *w, uint32_t from, uint32_t to, uint8_t kinds)
{
    uint8_t *at;

    if (!w->net.cuts)
        w->net.cuts = gs_calloc(w->count, w->count);
    at = way(w, from, to);
    w->net.cut_count += *at == 0;
    *at |= kinds;
}

void
net_mend(struct world *w, uint32_t from, uint32_t to, uint8_t kinds)
{
    uint8_t *at;

    if (!w->net.cuts)
        return;
    at = way(w, from, to);
    if (*at == 0)
        return;
    *at &= (uint8_t)~kinds;
    w->net.cut_count -= *at == 0;
}

void
net_partition(struct world *w, const uint8_t *sides)
{
    if (!w->net.sides)
        w->net.sides = gs_alloc(w->count);
    memcpy(w->net.sides, sides, w->count);
    w->net.partitioned = true;
}

void
net_heal(struct world *w)
{
    w->net.partitioned = false;
    if (w->net.cut_count > 0)
        memset(w->net.cuts, 0, (size_t)w->count * w->count);
    w->net.cut_count = 0;
}

/* ---- datagrams ---- */

static void
deliver(struct world *w, uint32_t from, uint32_t to, struct parcel *p)
{
    struct event *e = queue_event(&w->queue, EVENT_DATAGRAM);

    e->host = to;
    e->peer = from;
    e->parcel = p;
    queue_put(&w->queue, e, w->now_ns + net_latency_ns(w));
}

/* What the attacker wrote down goes to whom it was meant for, or to another. */
static void
replay(struct world *w, uint32_t from, uint32_t to, struct parcel *p)
{
    struct net *n = &w->net;
    uint32_t at = n->tape_at++ % NET_TAPE;
    struct event *e;

    if (!fault_fires(w, FAULT_REPLAY))
        return;
    if (n->tape[at]) {
        e = queue_event(&w->queue, EVENT_DATAGRAM);
        e->host =
            chance(&w->links, SIM_PPM / 2) ? n->tape_to[at] : gs_rng_below(&w->links, w->count);
        e->peer = from;
        e->parcel = n->tape[at];
        queue_put(&w->queue, e, w->now_ns + between(&w->links, 0, REPLAY_AFTER_NS));
        n->counters.replayed++;
    }
    n->tape[at] = parcel_share(p);
    n->tape_to[at] = to;
}

static struct parcel *
spoil(struct world *w, struct parcel *p)
{
    struct parcel *copy = parcel_new(&w->queue, p->bytes, p->len);

    copy->bytes[gs_rng_below(&w->links, p->len)] ^= (char)(1 + gs_rng_below(&w->links, 255));
    parcel_drop(&w->queue, p);
    w->net.counters.corrupted++;
    return copy;
}

static void
launch(struct world *w, uint32_t from, uint32_t to, struct gs_slice bytes)
{
    const struct net_quality *q = &w->net.quality;
    struct parcel *p = parcel_new(&w->queue, bytes.ptr, bytes.len);

    if (q->replay_ppm > 0 && chance(&w->links, q->replay_ppm))
        replay(w, from, to, p);
    if (q->duplicate_ppm > 0 && chance(&w->links, q->duplicate_ppm) &&
        fault_fires(w, FAULT_DUPLICATE)) {
        deliver(w, from, to, parcel_share(p));
        w->net.counters.duplicated++;
    }
    if (q->corrupt_ppm > 0 && p->len > 0 && chance(&w->links, q->corrupt_ppm) &&
        fault_fires(w, FAULT_CORRUPT))
        p = spoil(w, p);
    deliver(w, from, to, p);
}

void
net_send(struct world *w, struct host *from, const struct gossip_action *a)
{
    struct net_counters *c = &w->net.counters;
    uint32_t to = world_host_at(w, &a->address);

    if (a->bytes.len > PACKET_BYTES_MAX)
        oracle_fail(w, ORACLE_BOUNDS, "%s: a datagram of %zu bytes", from->name, a->bytes.len);
    c->datagrams++;
    c->datagram_bytes += a->bytes.len;
    if (to == w->count)
        return;
    if (net_is_cut(w, from->index, to, CUT_UDP)) {
        c->cut++;
    } else if (net_loses(w) && fault_fires(w, FAULT_LOSS)) {
        c->lost++;
    } else {
        launch(w, from->index, to, a->bytes);
    }
}

/* The kernel of a machine where nobody listens says so. */
static void
answer_unreachable(struct world *w, const struct event *arrived)
{
    struct event *e;

    if (w->net.quality.silent || net_is_cut(w, arrived->host, arrived->peer, CUT_UDP) ||
        net_loses(w))
        return;
    e = queue_event(&w->queue, EVENT_UNREACHABLE);
    e->host = arrived->peer;
    e->peer = arrived->host;
    e->life = w->hosts[e->host].life;
    queue_put(&w->queue, e, w->now_ns + net_latency_ns(w));
    w->net.counters.unreachable++;
}

void
net_on_datagram(struct world *w, struct event *e)
{
    struct host *to = &w->hosts[e->host];

    if (host_is_up(to)) {
        w->net.counters.delivered++;
        host_input(w, to, e);
        return;
    }
    if (to->state == HOST_DOWN)
        answer_unreachable(w, e);
    world_drop(w, e);
}

void
net_on_unreachable(struct world *w, struct event *e)
{
    struct host *h = &w->hosts[e->host];

    if (h->life == e->life)
        host_input(w, h, e);
    else
        world_drop(w, e);
}
