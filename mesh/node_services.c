/* node_services.c - the services of the configuration, on their way into the model; what the checks
 * of their instances find follows them. */
#include "mesh/node_services.h"

#include <gossamer/arena.h>
#include <gossamer/log.h>

#include "mesh/config/config.h"
#include "mesh/health.h"
#include "mesh/node.h"

static void
on_health(void *arg, const struct health_check *check, enum health_verdict verdict, const char *why)
{
    struct node *n = arg;
    enum endpoint_tier tier = verdict == HEALTH_UP      ? TIER_HEALTHY
                              : verdict == HEALTH_NEVER ? TIER_PENDING
                                                        : TIER_UNHEALTHY;
    char addr[GS_ADDR_TEXT];

    LOG_INFO(verdict == HEALTH_UP ? "instance.up" : "instance.down",
             "service=%s.%s:%u endpoint=%s check=\"%s\"", check->service, check->ns, check->port,
             gs_addr_text(&check->address, addr), why);
    if (model_set_health(n->model, gs_slice_str(check->ns), gs_slice_str(check->service),
                         check->port, &check->address, tier) == GS_E_OK)
        (void)node_records_flush(n->records);
}

static gs_err
add_service(struct node *n, const struct config_service *s, struct gs_why *why)
{
    struct gs_arena arena;
    struct model_instance *instances;
    struct model_service m = { .ns = gs_slice_str(s->ns),
                               .name = gs_slice_str(s->name),
                               .port = (uint16_t)s->port,
                               .protocol = GS_SLICE("http"),
                               .instance_count = s->instances.count };
    gs_err e;

    gs_arena_init(&arena, NULL, 0, 4096);
    instances = gs_arena_zalloc(&arena, (s->instances.count + 1) * sizeof(*instances));
    m.instances = instances;
    for (size_t i = 0; i < s->instances.count; i++) {
        const struct config_labels *labels = &s->instances.items[i].labels;
        struct policy_pair *pairs = gs_arena_zalloc(&arena, (labels->count + 1) * sizeof(*pairs));

        for (size_t l = 0; l < labels->count; l++)
            pairs[l] = (struct policy_pair){ gs_slice_str(labels->items[l].name),
                                             gs_slice_str(labels->items[l].value) };
        instances[i] =
            (struct model_instance){ s->instances.items[i].address, pairs, labels->count };
    }
    e = model_set_service(n->model, &m, why);
    gs_arena_fini(&arena);
    return e;
}

static void
watch_service(struct health *h, const struct config_service *s)
{
    for (size_t i = 0; i < s->instances.count; i++) {
        const struct config_instance *in = &s->instances.items[i];
        struct health_check check = { .ns = s->ns,
                                      .service = s->name,
                                      .port = (uint16_t)s->port,
                                      .address = in->address,
                                      .http = in->health.http,
                                      .interval_ms = in->health.interval_ms,
                                      .timeout_ms = in->health.timeout_ms,
                                      .rise = in->health.rise,
                                      .fall = in->health.fall };

        health_add(h, &check);
    }
}

gs_err
node_services_set(struct node *n, struct gs_why *why)
{
    gs_err e = GS_E_OK;

    for (size_t i = 0; i < n->config->services.count && e == GS_E_OK; i++)
        e = add_service(n, &n->config->services.items[i], why);
    return e;
}

struct health *
node_services_watch(struct node *n, struct h1_pool *pool)
{
    struct health *h = health_new(n->loop, pool, on_health, n);

    for (size_t i = 0; i < n->config->services.count; i++)
        watch_service(h, &n->config->services.items[i]);
    return h;
}
