/* node_services.c - the services of the configuration, on their way into the model; what the checks
 * of their instances find follows them.
 *
 *     reload   new ones: pending, checked      ─▶ published after the first passed check
 *              others that stay                ─▶ keep what is known of them
 *              gone: draining, not checked     ─▶ node_services_settle(): not there any more */
#include "mesh/node_services.h"

#include <gossamer/arena.h>
#include <gossamer/log.h>

#include "mesh/config/codes.h"
#include "mesh/health.h"
#include "mesh/node.h"

static const char *const protocols[] = {
    [CONFIG_HTTP] = "http", [CONFIG_HTTP2] = "http2", [CONFIG_GRPC] = "grpc",
    [CONFIG_TCP] = "tcp",   [CONFIG_AUTO] = "auto",
};

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

/* ---- a service, as the model takes it ---- */

static struct model_instance
instance_of(const struct config_instance *in, struct gs_arena *arena)
{
    struct policy_pair *pairs = gs_arena_zalloc(arena, (in->labels.count + 1) * sizeof(*pairs));

    for (size_t l = 0; l < in->labels.count; l++)
        pairs[l] = (struct policy_pair){ gs_slice_str(in->labels.items[l].name),
                                         gs_slice_str(in->labels.items[l].value) };
    return (struct model_instance){ in->address, pairs, in->labels.count, false };
}

/* NULL has none. */
static bool
has_instance(const struct config_service *s, const struct config_instance *in)
{
    return s && config_find_instance(s, &in->address);
}

/* What it is now (NULL: gone), and what only its former self has, as leaving (NULL: nothing). */
static struct model_service
service_of(const struct config_service *now, const struct config_service *former,
           struct gs_arena *arena)
{
    const struct config_service *s = now ? now : former;
    size_t most = (now ? now->instances.count : 0) + (former ? former->instances.count : 0);
    struct model_instance *instances = gs_arena_zalloc(arena, (most + 1) * sizeof(*instances));
    struct model_service m = { .ns = gs_slice_str(s->ns),
                               .name = gs_slice_str(s->name),
                               .port = (uint16_t)s->port,
                               .protocol = gs_slice_str(protocols[s->protocol]),
                               .instances = instances };

    for (size_t i = 0; now && i < now->instances.count; i++)
        instances[m.instance_count++] = instance_of(&now->instances.items[i], arena);
    for (size_t i = 0; former && i < former->instances.count; i++) {
        if (has_instance(now, &former->instances.items[i]))
            continue;
        instances[m.instance_count] = instance_of(&former->instances.items[i], arena);
        instances[m.instance_count++].leaving = true;
    }
    GS_ASSERT(m.instance_count <= most);
    return m;
}

static gs_err
set_service(struct node *n, const struct config_service *s, struct gs_why *why)
{
    struct model_service m;
    struct gs_arena arena;
    gs_err e;

    gs_arena_init(&arena, NULL, 0, 4096);
    m = service_of(s, NULL, &arena);
    e = model_set_service(n->model, &m, why);
    gs_arena_fini(&arena);
    return e;
}

static struct health_check
check_of(const struct config_service *s, const struct config_instance *in)
{
    return (struct health_check){ .ns = s->ns,
                                  .service = s->name,
                                  .port = (uint16_t)s->port,
                                  .address = in->address,
                                  .http = in->health.http,
                                  .interval_ms = in->health.interval_ms,
                                  .timeout_ms = in->health.timeout_ms,
                                  .rise = in->health.rise,
                                  .fall = in->health.fall };
}

static void
watch_service(struct health *h, const struct config_service *s)
{
    for (size_t i = 0; i < s->instances.count; i++) {
        struct health_check check = check_of(s, &s->instances.items[i]);

        health_put(h, &check);
    }
}

/* ---- start ---- */

gs_err
node_services_set(struct node *n, struct gs_why *why)
{
    gs_err e = GS_E_OK;

    for (size_t i = 0; i < n->config->services.count && e == GS_E_OK; i++)
        e = set_service(n, &n->config->services.items[i], why);
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

/* ---- a reload: may it be? ---- */

static void
check_room(struct node *n, const struct config *fresh, struct gs_problems *problems)
{
    struct model_counters c;
    size_t added = 0;

    model_counters(n->model, &c);
    for (size_t i = 0; i < fresh->services.count; i++)
        added += !config_find_service(&n->config->services, &fresh->services.items[i]);
    if (c.services + added > SERVICES_MAX)
        (void)gs_problems_add(problems, GS_SEV_ERROR, CODE_CONFIG_RANGE, fresh->file, 0, 0,
                              "services", "the mesh would have more than %d services",
                              SERVICES_MAX);
}

gs_err
node_services_check(struct node *n, const struct config *fresh, struct gs_problems *problems)
{
    size_t before = problems->errors;

    check_room(n, fresh, problems);
    for (size_t i = 0; i < fresh->services.count; i++) {
        const struct config_service *s = &fresh->services.items[i];
        struct config_place at = config_place_of(fresh, s);
        struct gs_why why = { "" };
        struct model_service m;
        struct gs_arena arena;

        gs_arena_init(&arena, NULL, 0, 4096);
        m = service_of(s, NULL, &arena);
        if (model_check_service(n->model, &m, &why) != GS_E_OK)
            (void)gs_problems_add(problems, GS_SEV_ERROR, CODE_CONFIG_VALUE, at.file, at.line,
                                  at.column, at.field, "%s", why.text);
        gs_arena_fini(&arena);
    }
    return problems->errors > before ? GS_E_INVALID : GS_E_OK;
}

/* ---- a reload: it is ---- */

/* Both lists may be too much for one record; then what goes is withdrawn without having drained. */
static void
put_service(struct node *n, const struct config_service *now, const struct config_service *former)
{
    struct gs_why why = { "" };
    struct model_service m;
    struct gs_arena arena;

    gs_arena_init(&arena, NULL, 0, 4096);
    m = service_of(now, former, &arena);
    if (now && former && model_check_service(n->model, &m, &why) != GS_E_OK) {
        LOG_WARN("service.not_drained", "service=%s.%s:%u why=\"%s\"", now->name, now->ns,
                 now->port, why.text);
        m = service_of(now, NULL, &arena);
    }
    if (model_set_service(n->model, &m, &why) != GS_E_OK) /* node_services_check() has seen it */
        LOG_ERROR("service.left_out", "service=%.*s why=\"%s\"", GS_SLICE_FMT(m.name), why.text);
    gs_arena_fini(&arena);
}

/* Returns whether there are any. */
static bool
stop_watching_gone(struct health *h, const struct config_service *now,
                   const struct config_service *former)
{
    bool any = false;

    for (size_t i = 0; i < former->instances.count; i++) {
        struct health_check check = check_of(former, &former->instances.items[i]);

        if (has_instance(now, &former->instances.items[i]))
            continue;
        health_remove(h, &check);
        any = true;
    }
    return any;
}

struct services_change
node_services_change(struct node *n, struct health *h, const struct config_services *former)
{
    const struct config_services *present = &n->config->services;
    struct services_change change = { 0 };

    for (size_t i = 0; i < present->count; i++) {
        const struct config_service *s = &present->items[i];
        const struct config_service *was = config_find_service(former, s);

        if (was && config_same_service(s, was))
            continue;
        change.added += !was;
        change.changed += was != NULL;
        put_service(n, s, was);
        if (was && stop_watching_gone(h, s, was))
            change.leaving = true;
        watch_service(h, s);
    }
    for (size_t i = 0; i < former->count; i++) {
        const struct config_service *was = &former->items[i];

        if (config_find_service(present, was))
            continue;
        change.removed++;
        put_service(n, NULL, was);
        (void)stop_watching_gone(h, NULL, was);
        change.leaving = true;
    }
    return change;
}

static bool
lost_any(const struct config_service *now, const struct config_service *former)
{
    for (size_t i = 0; i < former->instances.count; i++) {
        if (!has_instance(now, &former->instances.items[i]))
            return true;
    }
    return false;
}

void
node_services_settle(struct node *n, const struct config_services *former)
{
    for (size_t i = 0; i < former->count; i++) {
        const struct config_service *was = &former->items[i];
        const struct config_service *s = config_find_service(&n->config->services, was);

        if (!s)
            model_remove_service(n->model, gs_slice_str(was->ns), gs_slice_str(was->name),
                                 (uint16_t)was->port);
        else if (lost_any(s, was))
            put_service(n, s, NULL);
    }
}
