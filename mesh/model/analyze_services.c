/* analyze_services.c - what the nodes of the mesh say of their services, and do not agree on. */
#include "mesh/model/analyze.h"

#include "mesh/model/codes.h"

static size_t
count_saying(const struct catalog_service *s, struct gs_slice protocol)
{
    size_t n = 0;

    for (size_t i = 0; i < s->offer_count; i++)
        n += gs_slice_eq(s->offers[i]->protocol, protocol);
    return n;
}

static void
check_protocol(const struct catalog_service *s, struct gs_problems *problems)
{
    const struct catalog_offer *other = NULL;
    struct gs_slice protocol = offers_protocol(s, &other);
    struct gs_problem *item;

    if (!other)
        return;
    GS_ASSERT(!gs_slice_eq(other->protocol, protocol));
    item =
        gs_problems_add(problems, GS_SEV_WARNING, CODE_POLICY_PROTOCOL, NULL, 0, 0, "services",
                        "%.*s.%.*s:%u is %.*s for callers, but node %.*s says %.*s (%zu of %zu "
                        "nodes do)",
                        GS_SLICE_FMT(s->name), GS_SLICE_FMT(s->ns), s->port, GS_SLICE_FMT(protocol),
                        GS_SLICE_FMT(other->owner->name), GS_SLICE_FMT(other->protocol),
                        count_saying(s, other->protocol), s->offer_count);
    gs_problem_hint(problems, item,
                    "what most nodes say holds: set services[].protocol alike on all of them");
}

static void
check_room(const struct catalog_service *s, struct gs_problems *problems)
{
    struct gs_problem *item;

    if (s->left_out == 0)
        return;
    GS_ASSERT(s->shown == SERVICE_ENDPOINTS_MAX);
    item = gs_problems_add(problems, GS_SEV_WARNING, CODE_POLICY_TOO_MANY, NULL, 0, 0, "services",
                           "%.*s.%.*s:%u has %zu endpoints, only %d of them are used",
                           GS_SLICE_FMT(s->name), GS_SLICE_FMT(s->ns), s->port,
                           s->shown + s->left_out, SERVICE_ENDPOINTS_MAX);
    gs_problem_hint(problems, item, "make two services of it and split the traffic");
}

void
analyze_services(const struct model *m, struct gs_problems *problems)
{
    for (size_t i = 0; i < m->catalog.count; i++) {
        check_protocol(m->catalog.items[i], problems);
        check_room(m->catalog.items[i], problems);
    }
}
