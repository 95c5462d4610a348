/* check_data.c - the data plane: instances of this node, services that have none to go to, and what
 * was refused lately. */
#include "mesh/check_parts.h"

#include <inttypes.h>

#include <gossamer/proxy.h>

#include "mesh/config/config.h"
#include "mesh/node.h"

#define GROUP "data plane"

static const char *
tier_text(enum endpoint_tier t)
{
    switch (t) {
    case TIER_HEALTHY:
        return "healthy";
    case TIER_UNHEALTHY:
        return "unhealthy";
    case TIER_DRAINING:
        return "draining";
    case TIER_LOST:
        return "lost";
    case TIER_PENDING:
        return "has never passed its check";
    }
    GS_UNREACHABLE("tier");
}

static void
put_instances(struct check_lines *l, const struct node *n)
{
    const struct snapshot *root = snapshot_current(n->hub);
    struct check_names names = { .count = 0 };
    size_t count = 0;

    for (uint32_t i = 0; i < root->service_count; i++) {
        const struct service *s = root->services[i];

        for (uint32_t k = 0; s && k < s->endpoint_count; k++) {
            const struct endpoint *e = &s->endpoints[k];
            char addr[GS_ADDR_TEXT];

            if (!e->local)
                continue;
            count++;
            if (e->tier != TIER_HEALTHY)
                check_names_add(&names, "%.*s %s %s", GS_SLICE_FMT(s->name),
                                gs_addr_text(&e->addr, addr), tier_text(e->tier));
        }
    }
    if (names.count > 0)
        check_put(l, GROUP, "instances", CHECK_WARNING, "gossamer endpoints",
                  "%zu of the %zu instances of this node are not healthy: %s", names.count, count,
                  check_names_text(&names));
    else
        check_put(l, GROUP, "instances", CHECK_OK, NULL,
                  count == 0 ? "no service has an instance on this node (%zu)"
                             : "all instances of this node are healthy (%zu)",
                  count);
}

/* Of the whole mesh: what a request finds that goes there now. */
static void
put_services(struct check_lines *l, const struct node *n)
{
    const struct snapshot *root = snapshot_current(n->hub);
    struct check_names none = { .count = 0 }, panic = { .count = 0 };
    size_t count = 0;

    for (uint32_t i = 0; i < root->service_count; i++) {
        const struct service *s = root->services[i];

        if (!s)
            continue;
        count++;
        if (s->subsets[SUBSET_ALL].count == 0)
            check_names_add(&none, "%.*s.%.*s", GS_SLICE_FMT(s->name), GS_SLICE_FMT(s->ns));
        else if (s->subsets[SUBSET_ALL].panic)
            check_names_add(&panic, "%.*s.%.*s", GS_SLICE_FMT(s->name), GS_SLICE_FMT(s->ns));
    }
    if (none.count > 0)
        check_put(l, GROUP, "services", CHECK_WARNING, "gossamer endpoints",
                  "%zu of %zu services have no endpoint that could be used: %s", none.count, count,
                  check_names_text(&none));
    if (panic.count > 0)
        check_put(l, GROUP, "panic", CHECK_WARNING, "gossamer endpoints",
                  "%zu of %zu services have no healthy endpoint, so others are used: %s",
                  panic.count, count, check_names_text(&panic));
    if (none.count + panic.count == 0)
        check_put(l, GROUP, "services", CHECK_OK, NULL,
                  count == 0 ? "the mesh has no service yet (%zu)"
                             : "every service has a healthy endpoint (%zu)",
                  count);
}

/* A figure that should not rise, and whether it did of late. */
static void
put_figure(struct check_lines *l, const char *name, const char *hint, const char *what,
           uint64_t now, uint64_t then)
{
    GS_ASSERT(now >= then);
    if (now > then)
        check_put(l, GROUP, name, CHECK_WARNING, hint,
                  "%s: %" PRIu64 " in the last minute, %" PRIu64 " since the start", what,
                  now - then, now);
    else
        check_put(l, GROUP, name, CHECK_OK, NULL,
                  "%s: none in the last minute, %" PRIu64 " since the start", what, now);
}

static uint64_t
junk(const struct proxy_counters *c)
{
    uint64_t sum = 0;

    for (unsigned i = 1; i < REASON_COUNT; i++)
        sum += c->refused[i];
    return sum;
}

void
check_data_put(struct check_lines *l, struct node *n)
{
    struct proxy_counters now, then;
    char outbound[GS_ADDR_TEXT], inbound[GS_ADDR_TEXT];
    struct gs_addr out, in;

    if (!n->proxy) {
        check_put(l, GROUP, "proxy", CHECK_OK, NULL,
                  "proxy.mode is off: this node serves no application");
        return;
    }
    out = proxy_outbound_addr(n->proxy, 0);
    in = proxy_inbound_addr(n->proxy);
    check_put(l, GROUP, "proxy", CHECK_OK, NULL,
              "applications call the mesh at %s, other nodes this one at %s",
              gs_addr_text(&out, outbound), gs_addr_text(&in, inbound));
    put_instances(l, n);
    put_services(l, n);
    stat_window_counters(n->window, n, &now, &then);
    put_figure(l, "retries", "gossamer stat", "retries that the budget denied", now.retries_denied,
               then.retries_denied);
    put_figure(l, "connections", "ulimit -n", "connections refused for a limit",
               now.connections_refused + now.mesh_refused,
               then.connections_refused + then.mesh_refused);
    put_figure(l, "misdirected", "gossamer endpoints",
               "requests of other nodes for instances that are not here", now.mesh_misdirected,
               then.mesh_misdirected);
    check_put(l, GROUP, "refused", CHECK_OK, NULL,
              "requests and bytes refused before a service was found: %" PRIu64
              " in the last minute, %" PRIu64 " since the start",
              junk(&now) - junk(&then), junk(&now));
}
