/* resolve.c - which policy a service has, and where a destination leads. Pure questions to the
 * catalog and the active objects; build.c and analyze.c ask the same ones.
 *
 * A service is meant by "name.ns" and, if its name holds a dot, by the bare name too. */
#include "mesh/model/catalog.h"

#include <stdio.h>

#include "mesh/model/host.h"

bool
resolve_means(const struct model *m, struct gs_slice host, struct gs_slice ns,
              const struct catalog_service *s)
{
    struct catalog_run run = catalog_host(&m->catalog, host, ns);

    return run.count > 0 && gs_slice_eq(run.items[0]->ns, s->ns) &&
           gs_slice_eq(run.items[0]->name, s->name);
}

/* Objects under either of the hosts of a service, first one first. */
struct walk {
    const struct model *m;
    const struct catalog_service *s;
    struct object_run runs[2];
    struct gs_slice hosts[2];
    char text[HOST_TEXT];
};

static void
walk_init(struct walk *w, const struct model *m, const struct object_index *index,
          const struct catalog_service *s)
{
    *w = (struct walk){ .m = m, .s = s };
    if (s->ns.len + s->name.len + 2 <= sizeof(w->text)) {
        int len = snprintf(w->text, sizeof(w->text), "%.*s.%.*s", GS_SLICE_FMT(s->name),
                           GS_SLICE_FMT(s->ns));

        GS_ASSERT(len > 0);
        w->hosts[0] = gs_slice(w->text, (size_t)len);
        w->runs[0] = objects_of_host(index, w->hosts[0]);
    }
    if (gs_slice_find(s->name, '.') >= 0) {
        w->hosts[1] = s->name;
        w->runs[1] = objects_of_host(index, s->name);
    }
}

static bool
has_objects(const struct model *m, const struct object_index *index,
            const struct catalog_service *s)
{
    struct walk w;

    walk_init(&w, m, index, s);
    return w.runs[0].count > 0 || w.runs[1].count > 0;
}

bool
resolve_is_ruled(const struct model *m, const struct catalog_service *s)
{
    return has_objects(m, &m->objects.virtual_services, s) ||
           has_objects(m, &m->objects.destination_rules, s);
}

static const struct object *
head_of(struct walk *w, size_t which)
{
    struct object_run *run = &w->runs[which];

    while (run->count > 0 && !resolve_means(w->m, w->hosts[which], run->items[0].o->ns, w->s)) {
        run->items++;
        run->count--;
    }
    return run->count > 0 ? run->items[0].o : NULL;
}

static const struct object *
walk_next(struct walk *w)
{
    const struct object *a = head_of(w, 0);
    const struct object *b = head_of(w, 1);
    size_t which = a && (!b || object_precedence(a, b) <= 0) ? 0 : 1;

    if (!a && !b)
        return NULL;
    GS_ASSERT(w->runs[which].count > 0);
    w->runs[which].items++;
    w->runs[which].count--;
    return which == 0 ? a : b;
}

const struct object *
resolve_policy(const struct model *m, const struct catalog_service *s)
{
    const struct object *o;
    struct walk w;

    walk_init(&w, m, &m->objects.virtual_services, s);
    o = walk_next(&w);
    GS_ASSERT(!o || o->kind == POLICY_VIRTUAL_SERVICE);
    return o;
}

static bool
has_subset(const struct dr_subset *const *list, size_t count, struct gs_slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (gs_slice_eq(list[i]->name.text, name))
            return true;
    }
    return false;
}

/* Add the subsets of one namespace's rules; of two with one name the first stays. *any: was there
 * a rule at all? */
static size_t
subsets_of_namespace(const struct model *m, const struct catalog_service *s, struct gs_slice ns,
                     const struct dr_subset *out[SUBSETS_MAX], bool *any)
{
    const struct object *o;
    size_t count = 0;
    struct walk w;

    walk_init(&w, m, &m->objects.destination_rules, s);
    while ((o = walk_next(&w))) {
        const struct destination_rule *dr = &o->active->object->dr;

        GS_ASSERT(o->kind == POLICY_DESTINATION_RULE);
        if (!gs_slice_eq(o->ns, ns))
            continue;
        *any = true;
        for (size_t i = 0; i < dr->subset_count && count < SUBSETS_MAX - 1; i++) {
            if (!has_subset(out, count, dr->subsets[i].name.text))
                out[count++] = &dr->subsets[i];
        }
    }
    return count;
}

/* The client's namespace, which here is the node's; then the service's; then the root namespace. */
size_t
resolve_subsets(const struct model *m, const struct catalog_service *s,
                const struct dr_subset *out[SUBSETS_MAX])
{
    const struct gs_slice order[] = { m->o.ns, s->ns, m->o.root_ns };
    size_t count = 0;
    bool any = false;

    for (size_t i = 0; i < GS_COUNT(order) && !any; i++)
        count = subsets_of_namespace(m, s, order[i], out, &any);
    GS_ASSERT(any || count == 0);
    GS_ASSERT(count < SUBSETS_MAX);
    return count;
}

/* ---- traffic policy ---- */

/* Of the namespace whose subsets count: the first rule that has one. */
static const struct dr_traffic *
service_traffic(const struct model *m, const struct catalog_service *s)
{
    const struct gs_slice order[] = { m->o.ns, s->ns, m->o.root_ns };
    const struct dr_traffic *found = NULL;
    bool any = false;

    for (size_t i = 0; i < GS_COUNT(order) && !any; i++) {
        const struct object *o;
        struct walk w;

        walk_init(&w, m, &m->objects.destination_rules, s);
        while ((o = walk_next(&w))) {
            if (!gs_slice_eq(o->ns, order[i]))
                continue;
            any = true;
            if (!found)
                found = o->active->object->dr.traffic;
        }
    }
    return found;
}

/* What it says for a port; what a port's own settings leave out has its default and is not
 * inherited. */
static const struct dr_outliers *
of_port(const struct dr_traffic *t, uint16_t port, const struct dr_outliers *inherited)
{
    if (!t)
        return inherited;
    for (size_t i = 0; i < t->port_count; i++) {
        if (t->ports[i].port == port)
            return t->ports[i].outliers;
    }
    return t->outliers ? t->outliers : inherited;
}

static uint32_t
count_or(const struct dr_count *c, uint32_t otherwise)
{
    GS_ASSERT(c->n >= 0);
    return c->written ? (uint32_t)c->n : otherwise;
}

bool
resolve_outliers(const struct model *m, const struct catalog_service *s,
                 const struct dr_subset *subset, struct outlier_policy *out)
{
    const struct dr_outliers *o = of_port(service_traffic(m, s), s->port, NULL);

    if (subset)
        o = of_port(subset->traffic, s->port, o);
    *out = outlier_policy_default;
    if (!o)
        return false;
    out->errors_5xx = count_or(&o->errors_5xx, OUTLIER_ERRORS);
    out->errors_gateway = count_or(&o->errors_gateway, 0);
    out->errors_local = o->split ? count_or(&o->errors_local, OUTLIER_ERRORS) : 0;
    out->split = o->split;
    if (o->interval_ms > 0)
        out->interval_ms = o->interval_ms;
    if (o->base_ms > 0)
        out->base_ms = o->base_ms;
    if (o->max_percent > 0)
        out->max_percent = (uint32_t)o->max_percent;
    out->min_health_percent = (uint32_t)o->min_health_percent;
    GS_ASSERT(out->max_percent <= 100);
    GS_ASSERT(out->min_health_percent <= 100);
    return true;
}

/* ---- destinations ---- */

static uint32_t
subset_index(const struct model *m, const struct catalog_service *s, struct gs_slice name)
{
    const struct dr_subset *subsets[SUBSETS_MAX];
    size_t count;

    if (name.len == 0)
        return SUBSET_ALL;
    count = resolve_subsets(m, s, subsets);
    for (size_t i = 0; i < count; i++) {
        if (gs_slice_eq(subsets[i]->name.text, name))
            return (uint32_t)i + 1;
    }
    return UINT32_MAX;
}

struct resolved
resolve_destination(const struct model *m, const struct vs_destination *d, struct gs_slice host,
                    struct gs_slice ns, uint16_t request_port)
{
    struct resolved r = { .subset = UINT32_MAX };

    r.service = catalog_port(catalog_host(&m->catalog, host, ns), d->port, request_port);
    if (r.service)
        r.subset = subset_index(m, r.service, d->subset.text);
    GS_ASSERT(r.subset == UINT32_MAX || r.subset < SUBSETS_MAX);
    return r;
}
