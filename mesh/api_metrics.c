/* api_metrics.c - the Prometheus text format, from the same counters as stat. Labels come from
 * configuration alone. Every family is written whole: HELP, TYPE, then its series. */
#include <inttypes.h>
#include <sys/resource.h>
#include <unistd.h>

#include <gossamer/alloc.h>
#include <gossamer/proxy.h>

#include "mesh/admin.h"
#include "mesh/build_text.h"
#include "mesh/config/config.h"
#include "mesh/metrics_mesh.h"
#include "mesh/node.h"
#include "mesh/node_reload.h"

/* OpenTelemetry's advised bounds in seconds, and three below: hops here take less. */
static const double bounds[] = { 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1,
                                 0.25,   0.5,   0.75,   1,     2.5,  5,     7.5,  10 };

static void
family(struct gs_buf *o, const char *name, const char *type, const char *help)
{
    gs_buf_printf(o, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label value: names are checked when configured, but escape all the same. */
static void
put_label(struct gs_buf *o, const char *name, struct gs_slice value)
{
    gs_buf_printf(o, "%s=\"", name);
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];

        if (c == '"' || c == '\\')
            gs_buf_put(o, "\\", 1);
        gs_buf_put(o, &c, 1);
    }
    gs_buf_put_str(o, "\"");
}

static void
put_labels(struct gs_buf *o, const char *name, const struct stat_label *l)
{
    gs_buf_printf(o, "%s{direction=\"%s\",", name,
                  l->direction == STAT_OUTBOUND ? "outbound" : "inbound");
    put_label(o, "service", l->service);
    gs_buf_put_str(o, ",");
    put_label(o, "namespace", l->ns);
    gs_buf_printf(o, ",port=\"%u\",", l->port);
    put_label(o, "subset", l->subset);
}

typedef void (*cell_writer)(struct gs_buf *o, const struct stat_label *l, const struct stat_sum *s);

static void
each_cell(struct node *n, struct gs_buf *o, cell_writer write)
{
    for (uint32_t id = 0; id < stat_names_end(n->stat_names); id++) {
        const struct stat_label *l = stat_names_at(n->stat_names, id);
        struct stat_sum s = { 0 };

        proxy_stat(n->proxy, id, &s);
        if (l && s.requests > 0)
            write(o, l, &s);
    }
}

static void
write_requests(struct gs_buf *o, const struct stat_label *l, const struct stat_sum *s)
{
    put_labels(o, "gossamer_requests_total", l);
    gs_buf_printf(o, "} %" PRIu64 "\n", s->requests);
}

static void
write_responses(struct gs_buf *o, const struct stat_label *l, const struct stat_sum *s)
{
    for (unsigned i = 0; i < STAT_CODES; i++) {
        bool seen = false;

        for (unsigned k = 0; k < i; k++) /* a class may stand for several rows */
            seen = seen || s->codes[k].status == s->codes[i].status;
        if (s->codes[i].status == 0 || seen)
            continue;
        put_labels(o, "gossamer_responses_total", l);
        gs_buf_printf(o, ",status_code=\"%u\"} %" PRIu64 "\n", s->codes[i].status,
                      s->codes[i].count);
    }
}

static void
write_reasons(struct gs_buf *o, const struct stat_label *l, const struct stat_sum *s)
{
    for (unsigned i = 1; i < REASON_COUNT; i++) {
        const struct reason_info *info = reason_info((enum reason)i);

        if (s->reasons[i] == 0)
            continue;
        put_labels(o, "gossamer_ended_total", l);
        gs_buf_printf(o, ",reason=\"%s\",flag=\"%s\"} %" PRIu64 "\n", info->name, info->flag,
                      s->reasons[i]);
    }
}

static void
write_retries(struct gs_buf *o, const struct stat_label *l, const struct stat_sum *s)
{
    for (unsigned i = 0; i < RETRY_CAUSES; i++) {
        if (s->retries[i] == 0)
            continue;
        put_labels(o, "gossamer_service_retries_total", l);
        gs_buf_printf(o, ",cause=\"%s\"} %" PRIu64 "\n", retry_cause_text((enum retry_cause)i),
                      s->retries[i]);
    }
}

static void
write_denied(struct gs_buf *o, const struct stat_label *l, const struct stat_sum *s)
{
    put_labels(o, "gossamer_service_retries_denied_total", l);
    gs_buf_printf(o, "} %" PRIu64 "\n", s->retries_denied);
}

static void
write_durations(struct gs_buf *o, const struct stat_label *l, const struct stat_sum *s)
{
    uint64_t below = 0;
    unsigned at = 0;

    for (size_t b = 0; b < GS_COUNT(bounds); b++) {
        uint64_t us = (uint64_t)(bounds[b] * 1e6 + 0.5);

        /* A bucket of ours that straddles the bound counts above it. */
        while (at < HIST_BUCKETS && gs_hist_upper_us(at) <= us)
            below += s->latency.bucket[at++];
        put_labels(o, "gossamer_response_duration_seconds_bucket", l);
        gs_buf_printf(o, ",le=\"%g\"} %" PRIu64 "\n", bounds[b], below);
    }
    put_labels(o, "gossamer_response_duration_seconds_bucket", l);
    gs_buf_printf(o, ",le=\"+Inf\"} %" PRIu64 "\n", s->latency.count);
    put_labels(o, "gossamer_response_duration_seconds_sum", l);
    gs_buf_printf(o, "} %.6f\n", (double)s->latency.sum_us / 1e6);
    put_labels(o, "gossamer_response_duration_seconds_count", l);
    gs_buf_printf(o, "} %" PRIu64 "\n", s->latency.count);
}

static void
put_services(struct node *n, struct gs_buf *o)
{
    family(o, "gossamer_requests_total", "counter", "Requests that ended, by service and subset.");
    each_cell(n, o, write_requests);
    family(o, "gossamer_responses_total", "counter", "Answers, by status code.");
    each_cell(n, o, write_responses);
    family(o, "gossamer_ended_total", "counter", "Requests that did not end well, by reason.");
    each_cell(n, o, write_reasons);
    family(o, "gossamer_service_retries_total", "counter",
           "Requests sent again, by service and cause.");
    each_cell(n, o, write_retries);
    family(o, "gossamer_service_retries_denied_total", "counter",
           "Retries that the retry budget did not allow, by service.");
    each_cell(n, o, write_denied);
    family(o, "gossamer_response_duration_seconds", "histogram", "Time to the head of the answer.");
    each_cell(n, o, write_durations);
}

static void
put_causes(struct gs_buf *o, const struct proxy_counters *c)
{
    family(o, "gossamer_retries_total", "counter", "Requests sent again to another endpoint.");
    for (unsigned i = 0; i < RETRY_CAUSES; i++)
        gs_buf_printf(o, "gossamer_retries_total{cause=\"%s\"} %" PRIu64 "\n",
                      retry_cause_text((enum retry_cause)i), c->retries[i]);
    family(o, "gossamer_endpoint_ejections_total", "counter",
           "Endpoints ejected, by the last fault that was found.");
    for (unsigned i = 0; i < PROXY_EJECTION_CAUSES; i++)
        gs_buf_printf(o, "gossamer_endpoint_ejections_total{cause=\"%s\"} %" PRIu64 "\n",
                      proxy_ejection_cause_text(i), c->ejections[i]);
}

static uint64_t
count_ejected(const struct node *n)
{
    const struct snapshot *root = snapshot_current(n->hub);
    uint64_t count = 0;

    for (uint32_t i = 0; i < root->service_count; i++) {
        const struct service *s = root->services[i];

        for (uint32_t k = 0; s && k < s->endpoint_count; k++)
            count += atomic_load_explicit(&slots_at(root->slots, s->endpoints[k].slot)->ejection,
                                          memory_order_relaxed) != 0;
    }
    return count;
}

static void
put_proxy(struct node *n, struct gs_buf *o)
{
    struct proxy_counters c;

    proxy_counters(n->proxy, &c);
#define X(type, field, name, help)                                                                 \
    family(o, name, #type, help);                                                                  \
    gs_buf_printf(o, "%s %" PRIu64 "\n", name, c.field);
#include <gossamer/metrics.def>
#undef X
    put_causes(o, &c);
    family(o, "gossamer_endpoints_ejected", "gauge",
           "Endpoints that are out now, for their faults.");
    gs_buf_printf(o, "gossamer_endpoints_ejected %" PRIu64 "\n", count_ejected(n));
    family(o, "gossamer_refused_total", "counter",
           "Requests refused before a service was found for them, by reason.");
    for (unsigned i = 1; i < REASON_COUNT; i++)
        gs_buf_printf(o, "gossamer_refused_total{reason=\"%s\"} %" PRIu64 "\n",
                      reason_info((enum reason)i)->name, c.refused[i]);
}

static void
put_lag(struct node *n, struct gs_buf *o)
{
    static const char *const threads[] = { "worker", "control", "gossip" };
    uint64_t us[] = { 0, n->loop->lag_max_us, metrics_mesh_lag_us(n) };
    struct proxy_counters c;

    if (n->proxy) {
        proxy_counters(n->proxy, &c);
        us[0] = c.loop_lag_us;
    }
    n->loop->lag_max_us = 0;
    family(o, "gossamer_loop_lag_seconds", "gauge",
           "Longest delay of a loop since it was last told.");
    for (size_t i = n->proxy ? 0 : 1; i < GS_COUNT(us); i++)
        gs_buf_printf(o, "gossamer_loop_lag_seconds{thread=\"%s\"} %.6f\n", threads[i],
                      (double)us[i] / 1e6);
}

static struct model_counters
counters_of(const struct model *m)
{
    struct model_counters c;

    model_counters(m, &c);
    return c;
}

/* What the model knows of the mesh. */
static void
put_catalog(struct node *n, struct gs_buf *o)
{
    struct model_counters c = counters_of(n->model);
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } rows[] = {
        { "gossamer_nodes", "gauge", "Nodes that the catalog knows, this one included.", c.nodes },
        { "gossamer_services", "gauge", "Services of all nodes, one per port.", c.services },
        { "gossamer_endpoints", "gauge", "Endpoints of all nodes.", c.endpoints },
        { "gossamer_endpoints_lost", "gauge", "Endpoints of nodes that are not up.", c.lost },
        { "gossamer_endpoints_drained", "gauge",
          "Endpoints that operators drained, or gave weight 0.", c.drained },
        { "gossamer_endpoints_left_out", "gauge", "Endpoints beyond a limit.", c.left_out },
        { "gossamer_endpoints_held_total", "counter",
          "Times an endpoint was not made worse because traffic there succeeded.", c.held },
        { "gossamer_endpoint_records_unusable_total", "counter",
          "Records of other nodes that were left out.", c.unusable },
    };

    for (size_t i = 0; i < GS_COUNT(rows); i++) {
        family(o, rows[i].name, rows[i].type, rows[i].help);
        gs_buf_printf(o, "%s %" PRIu64 "\n", rows[i].name, rows[i].value);
    }
}

static void
put_reloads(struct node *n, struct gs_buf *o)
{
    family(o, "gossamer_config_reloads_total", "counter",
           "Times the configuration was read again, by what came of it.");
    for (int i = 0; i < RELOAD_RESULTS; i++)
        gs_buf_printf(o, "gossamer_config_reloads_total{result=\"%s\"} %" PRIu64 "\n",
                      node_reload_result_name((enum reload_result)i),
                      node_reload_count(n->reload, (enum reload_result)i));
}

static void
put_node(struct node *n, struct gs_buf *o)
{
    put_catalog(n, o);
    put_reloads(n, o);
    family(o, "gossamer_build_info", "gauge", "Which build this is.");
    gs_buf_printf(o, "gossamer_build_info{version=\"%s\",commit=\"%s\"} 1\n", build_version(),
                  build_commit());
    family(o, "gossamer_config_version", "gauge", "Sequence number of the published snapshot.");
    gs_buf_printf(o, "gossamer_config_version %" PRIu64 "\n", snapshot_current(n->hub)->seq);
    family(o, "gossamer_snapshots_live", "gauge", "Snapshots that somebody may still route by.");
    gs_buf_printf(o, "gossamer_snapshots_live %zu\n", snapshot_live_roots(n->hub));
    family(o, "gossamer_endpoint_slots", "gauge", "Endpoint slots in use.");
    gs_buf_printf(o, "gossamer_endpoint_slots %zu\n", slots_used(n->slots));
    family(o, "gossamer_state_save_failures_total", "counter", "Times mesh.state was not saved.");
    gs_buf_printf(o, "gossamer_state_save_failures_total %" PRIu64 "\n",
                  persist_failures(n->persist));
}

static void
put_process(struct node *n, struct gs_buf *o)
{
    struct rusage u;
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (f) {
        if (fscanf(f, "%*u %lu", &pages) != 1)
            pages = 0;
        fclose(f);
    }
    getrusage(RUSAGE_SELF, &u);
    family(o, "process_cpu_seconds_total", "counter", "User and system time of this process.");
    gs_buf_printf(o, "process_cpu_seconds_total %.6f\n",
                  (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                      (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
    family(o, "process_resident_memory_bytes", "gauge", "Resident memory of this process.");
    gs_buf_printf(o, "process_resident_memory_bytes %lu\n",
                  pages * (unsigned long)sysconf(_SC_PAGESIZE));
    family(o, "process_start_time_seconds", "gauge", "When this process started, since 1970.");
    gs_buf_printf(o, "process_start_time_seconds %.3f\n",
                  (double)(node_wall_ms() - (n->loop->now_ms - n->started_ms)) / 1000);
}

struct scrape {
    struct admin_call *call;
    struct gs_buf out;
};

static void
on_mesh_put(void *arg)
{
    struct scrape *s = arg;

    admin_reply(s->call, s->out.failed ? 503 : 200, "text/plain; version=0.0.4; charset=utf-8",
                &s->out);
    gs_free(s);
}

void
api_metrics(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    struct scrape *s = gs_zalloc(sizeof(*s));

    (void)r;
    s->call = c;
    gs_buf_init(&s->out, 64u << 20);
    if (n->proxy) {
        put_services(n, &s->out);
        put_proxy(n, &s->out);
    }
    put_lag(n, &s->out);
    put_node(n, &s->out);
    put_process(n, &s->out);
    metrics_mesh_put(n, &s->out, on_mesh_put, s);
}
