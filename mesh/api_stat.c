/* api_stat.c - services, endpoints and golden figures of this node. */
#include <gossamer/json_out.h>
#include <gossamer/proxy.h>

#include "mesh/admin.h"
#include "mesh/config/config.h"
#include "mesh/node.h"

struct filter { /* ?namespace=&service= */
    struct gs_slice ns, service;
};

static struct filter
filter_of(const struct admin_request *r)
{
    struct filter f = { GS_SLICE(""), GS_SLICE("") };

    (void)admin_query(r, "namespace", &f.ns);
    (void)admin_query(r, "service", &f.service);
    return f;
}

void
api_services(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    struct filter f = filter_of(r);
    struct gs_buf out;
    struct json_out j;

    gs_buf_init(&out, 16u << 20);
    json_init(&j, &out);
    model_services_json(n->model, f.ns, f.service, &j);
    admin_reply_json(c, 200, &out);
}

static uint64_t
ewma_us(const void *arg, uint32_t slot)
{
    return proxy_ewma_us(arg, slot);
}

void
api_endpoints(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    struct filter f = filter_of(r);
    struct model_reading reading = { n->loop->now_ms, node_wall_ms(), ewma_us, n->proxy };
    struct gs_buf out;
    struct json_out j;

    gs_buf_init(&out, 16u << 20);
    json_init(&j, &out);
    model_endpoints_json(n->model, f.ns, f.service, &reading, &j);
    admin_reply_json(c, 200, &out);
}

/* ---- stat ---- */

static double
quantile_ms(const struct stat_sum *s, double q)
{
    return (double)gs_hist_quantile_us(&s->latency, q) / 1000.0;
}

static void
codes_json(struct json_out *j, const struct stat_sum *s)
{
    json_key(j, "codes");
    json_obj(j);
    for (unsigned i = 0; i < STAT_CODES; i++) {
        char code[16];

        if (s->codes[i].status == 0 || s->codes[i].count == 0)
            continue;
        snprintf(code, sizeof(code), "%u", s->codes[i].status);
        json_ku64(j, code, s->codes[i].count);
    }
    json_obj_end(j);
}

static void
flags_json(struct json_out *j, const struct stat_sum *s)
{
    json_key(j, "flags");
    json_obj(j);
    for (unsigned a = 1; a < REASON_COUNT; a++) {
        const char *flag = reason_info((enum reason)a)->flag;
        uint64_t total = 0;
        bool first = true;

        for (unsigned b = 1; b < REASON_COUNT; b++) { /* several reasons share a flag */
            if (strcmp(reason_info((enum reason)b)->flag, flag) != 0)
                continue;
            first = first && b >= a;
            total += s->reasons[b];
        }
        if (first && total > 0 && strcmp(flag, "-") != 0)
            json_ku64(j, flag, total);
    }
    json_obj_end(j);
}

static void
retries_json(struct json_out *j, const struct stat_sum *s)
{
    json_ku64(j, "retries", stat_sum_retries(s));
    json_key(j, "retries_by");
    json_obj(j);
    for (unsigned i = 0; i < RETRY_CAUSES; i++) {
        if (s->retries[i] > 0)
            json_ku64(j, retry_cause_text((enum retry_cause)i), s->retries[i]);
    }
    json_obj_end(j);
    json_ku64(j, "retries_denied", s->retries_denied);
}

static void
row_json(struct json_out *j, const struct node *n, const struct stat_label *l,
         const struct stat_sum *total, const struct stat_sum *recent, double window_s)
{
    double rate = recent->requests == 0 ? 1 : 1 - (double)recent->failed / (double)recent->requests;

    json_obj(j);
    json_kslice(j, "service", l->service);
    json_kslice(j, "namespace", l->ns);
    json_ku64(j, "port", l->port);
    json_kslice(j, "subset", l->subset);
    json_kstr(j, "node", n->config->node);
    json_kstr(j, "direction", l->direction == STAT_OUTBOUND ? "outbound" : "inbound");
    json_ku64(j, "requests", total->requests);
    json_ku64(j, "failed", total->failed);
    retries_json(j, total);
    json_ku64(j, "active", total->active);
    json_kdouble(j, "rps", window_s > 0 ? (double)recent->requests / window_s : 0);
    json_kdouble(j, "success_rate", rate);
    json_kdouble(j, "p50_ms", quantile_ms(recent, 0.5));
    json_kdouble(j, "p95_ms", quantile_ms(recent, 0.95));
    json_kdouble(j, "p99_ms", quantile_ms(recent, 0.99));
    codes_json(j, total);
    flags_json(j, total);
    json_obj_end(j);
}

static bool
wanted(const struct filter *f, const struct stat_label *l)
{
    return (f->ns.len == 0 || gs_slice_eq(f->ns, l->ns)) &&
           (f->service.len == 0 || gs_slice_eq(f->service, l->service));
}

/* requests, failed, codes and flags count from the start; rates and quantiles are of window_s. */
void
api_stat(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    struct filter f = filter_of(r);
    double window_s = 0;
    struct gs_buf out;
    struct json_out j;

    gs_buf_init(&out, 16u << 20);
    json_init(&j, &out);
    json_obj(&j);
    json_key(&j, "stat");
    json_arr(&j);
    for (uint32_t id = 0; id < stat_names_end(n->stat_names); id++) {
        const struct stat_label *l = stat_names_at(n->stat_names, id);
        struct stat_sum total = { 0 };
        struct stat_sum recent;

        if (!l)
            continue;
        proxy_stat(n->proxy, id, &total);
        stat_window_delta(n->window, n, id, &recent, &window_s);
        if (wanted(&f, l) && (total.requests > 0 || total.active > 0))
            row_json(&j, n, l, &total, &recent, window_s);
    }
    json_arr_end(&j);
    json_kdouble(&j, "window_s", window_s);
    json_key(&j, "missing");
    json_arr(&j);
    json_arr_end(&j);
    json_obj_end(&j);
    admin_reply_json(c, 200, &out);
}
