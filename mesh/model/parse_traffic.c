/* parse_traffic.c - trafficPolicy of DestinationRules: what of it this version has. */
#include "mesh/model/parse.h"

#include "mesh/model/form.h"
#include "mesh/model/scalar.h"

static int32_t
read_int(const struct tree *map, const char *key, struct policy_place *place)
{
    const struct tree *t = form_get(map, FORM_OUTLIERS, key);

    *place = reader_place(t ? t : map);
    return t ? (int32_t)scalar_read(t).number : 0;
}

static struct dr_count
read_count(const struct tree *map, const char *key)
{
    struct dr_count c = { .written = form_get(map, FORM_OUTLIERS, key) != NULL };

    c.n = read_int(map, key, &c.place);
    return c;
}

static uint64_t
read_time(const struct tree *map, const char *key)
{
    const struct tree *t = form_get(map, FORM_OUTLIERS, key);
    uint64_t ms = 0;

    if (t)
        GS_ASSERT(scalar_duration_ms(t->text, &ms, NULL) == GS_E_OK); /* form_get looked */
    return ms;
}

static struct dr_outliers *
read_outliers(struct reader *r, const struct tree *map)
{
    struct dr_outliers *o;
    const struct tree *split;

    if (!map)
        return NULL;
    GS_ASSERT(map->kind == TREE_MAP);
    o = gs_arena_zalloc(r->arena, sizeof(*o));
    split = form_get(map, FORM_OUTLIERS, "splitExternalLocalOriginErrors");
    o->place = reader_place(map);
    o->errors_5xx = read_count(map, "consecutive5xxErrors");
    o->errors_gateway = read_count(map, "consecutiveGatewayErrors");
    o->errors_local = read_count(map, "consecutiveLocalOriginFailures");
    o->split = split && scalar_read(split).yes;
    o->interval_ms = read_time(map, "interval");
    o->base_ms = read_time(map, "baseEjectionTime");
    o->max_percent = read_int(map, "maxEjectionPercent", &o->max_place);
    o->min_health_percent = read_int(map, "minHealthPercent", &o->min_place);
    return o;
}

static void
read_port(struct reader *r, const struct tree *t, struct dr_port *out)
{
    const struct tree *port = form_get(t, FORM_PORT_POLICY, "port");
    const struct tree *number = port ? form_get(port, FORM_PORT, "number") : NULL;
    int64_t n = number ? scalar_read(number).number : 0;

    out->place = reader_place(number ? number : t);
    out->place.told = !number && form_has(t, "port");
    out->port = n > 0 && n <= UINT16_MAX ? (uint16_t)n : 0;
    out->outliers = read_outliers(r, form_get(t, FORM_PORT_POLICY, "outlierDetection"));
    out->bare = port && t->count == 1;
}

struct dr_traffic *
parse_traffic(struct reader *r, const struct tree *map)
{
    const struct tree *ports;
    struct dr_traffic *t;

    if (!map)
        return NULL;
    GS_ASSERT(map->kind == TREE_MAP);
    t = gs_arena_zalloc(r->arena, sizeof(*t));
    t->place = reader_place(map);
    t->place.told = map->count > 0; /* of whatever else it holds something was said */
    t->outliers = read_outliers(r, form_get(map, FORM_TRAFFIC_POLICY, "outlierDetection"));
    ports = form_get(map, FORM_TRAFFIC_POLICY, "portLevelSettings");
    if (!ports)
        return t;
    t->ports = gs_arena_zalloc(r->arena, (ports->count + 1) * sizeof(*t->ports));
    t->port_count = ports->count;
    for (size_t i = 0; i < ports->count; i++) {
        if (ports->items[i]->kind == TREE_MAP)
            read_port(r, ports->items[i], &t->ports[i]);
        else
            t->ports[i].place.told = true;
    }
    return t;
}
