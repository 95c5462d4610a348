/* metrics_mesh.c - counters of the gossip in the Prometheus text format, each family whole. */
#include "mesh/metrics_mesh.h"

#include <inttypes.h>

#include <gossamer/alloc.h>

#include "mesh/core_view.h"
#include "mesh/node.h"

struct asking {
    struct core_view view;
    struct node *node;
    struct gs_buf *out;
    void (*then)(void *arg);
    void *arg;
};

static const char *const via_names[GOSSIP_VIAS] = { "datagram", "stream" };

static void
family(struct gs_buf *o, const char *name, const char *type, const char *help)
{
    (void)gs_buf_printf(o, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* One series with one label; name and label: of a family begun. */
static void
series(struct gs_buf *o, const char *name, const char *label, const char *value, uint64_t count)
{
    (void)gs_buf_printf(o, "%s{%s=\"%s\"} %" PRIu64 "\n", name, label, value, count);
}

static void
by_direction(struct gs_buf *o, const char *name, const char *help, const uint64_t *sent,
             const uint64_t *received)
{
    family(o, name, "counter", help);
    for (unsigned i = 0; i < GOSSIP_VIAS; i++) {
        (void)gs_buf_printf(o, "%s{direction=\"sent\",via=\"%s\"} %" PRIu64 "\n", name,
                            via_names[i], sent[i]);
        (void)gs_buf_printf(o, "%s{direction=\"received\",via=\"%s\"} %" PRIu64 "\n", name,
                            via_names[i], received[i]);
    }
}

static void
put_members(struct gs_buf *o, const struct core_view *v)
{
    static const char name[] = "gossamer_gossip_members";

    family(o, name, "gauge", "Other nodes that are known, by state.");
    for (unsigned i = 0; i < GS_COUNT(v->counters.nodes); i++)
        series(o, name, "state", gossip_state_name((enum gossip_state)i), v->counters.nodes[i]);
    family(o, "gossamer_gossip_open", "gauge", "1: the policy of the mesh is known here.");
    (void)gs_buf_printf(o, "gossamer_gossip_open %d\n", v->standing == GOSSIP_OPEN);
}

static void
put_packets(struct gs_buf *o, const struct gossip_counters *c)
{
    static const char refused[] = "gossamer_gossip_refused_packets_total";

    by_direction(o, "gossamer_gossip_packets_total", "Sealed packets, by direction and carrier.",
                 c->sent, c->received);
    by_direction(o, "gossamer_gossip_bytes_total",
                 "Bytes of sealed packets, without IP headers, by direction and carrier.",
                 c->sent_bytes, c->received_bytes);
    family(o, refused, "counter", "Packets received and not taken, by reason.");
    for (unsigned i = 0; i < GOSSIP_REFUSALS; i++)
        series(o, refused, "reason", gossip_refusal_name((enum gossip_refusal)i),
               c->refused_packets[i]);
}

static void
put_records(struct gs_buf *o, const struct gossip_counters *c)
{
    static const char records[] = "gossamer_gossip_records";
    static const char merges[] = "gossamer_gossip_merges_total";

    family(o, records, "gauge", "Records that are kept: present ones, and deletions.");
    series(o, records, "kind", "present", c->records);
    series(o, records, "kind", "deleted", c->tombstones);
    family(o, merges, "counter", "Records offered by other nodes, by what became of them.");
    series(o, merges, "outcome", "news", c->news);
    series(o, merges, "outcome", "stale", c->stale);
    series(o, merges, "outcome", "conflict", c->conflicts);
    series(o, merges, "outcome", "refused", c->refused);
    series(o, merges, "outcome", "malformed", c->malformed);
    series(o, merges, "outcome", "too_old", c->below_floor);
}

static void
put_drops(struct gs_buf *o, struct node *n, const struct gossip_counters *c)
{
    static const char name[] = "gossamer_gossip_dropped_total";
    struct gossip_loop_counters l;

    gossip_loop_counters(n->gossip, &l);
    family(o, name, "counter",
           "What was given up for want of room, by what it was; fault: by debug block.");
    series(o, name, "what", "packet", c->actions_dropped);
    series(o, name, "what", "datagram", l.datagrams_dropped);
    series(o, name, "what", "stream", l.streams_refused);
    series(o, name, "what", "notice", c->notices_dropped);
    series(o, name, "what", "fault", l.cut);
}

static void
put_plain(struct gs_buf *o, const struct gossip_counters *c)
{
#define X(type, field, name, help)                                                                 \
    family(o, name, #type, help);                                                                  \
    (void)gs_buf_printf(o, "%s %" PRIu64 "\n", name, (uint64_t)c->field);
#include "mesh/metrics_mesh.def"
#undef X
}

static void
on_view(struct core_view *v)
{
    struct asking *a = GS_CONTAINER(v, struct asking, view);
    void (*then)(void *arg) = a->then;
    void *arg = a->arg;

    if (!v->stopped) {
        put_members(a->out, v);
        put_packets(a->out, &v->counters);
        put_records(a->out, &v->counters);
        put_plain(a->out, &v->counters);
        if (a->node->gossip)
            put_drops(a->out, a->node, &v->counters);
    }
    core_view_fini(v);
    gs_free(a);
    then(arg);
}

void
metrics_mesh_put(struct node *n, struct gs_buf *out, void (*then)(void *arg), void *arg)
{
    struct asking *a = gs_zalloc(sizeof(*a));

    a->node = n;
    a->out = out;
    a->then = then;
    a->arg = arg;
    core_view_get(n, &a->view, on_view);
}

uint64_t
metrics_mesh_lag_us(struct node *n)
{
    return n->gossip ? gossip_loop_lag_us(n->gossip) : 0;
}
