/* outbound.c - a request of one of our applications: which service it means, under which rule it
 * is, and whose endpoints it goes to. */
#include <stdio.h>

#include "proxy/worker.h"

struct decision {
    struct exchange_route route;
    enum reason refused;
    char details[192];
};

static void refuse(struct decision *d, enum reason r, const char *fmt, ...) GS_PRINTF(3, 4);

static void
refuse(struct decision *d, enum reason r, const char *fmt, ...)
{
    va_list ap;

    GS_ASSERT(r != REASON_NONE);
    GS_ASSERT(d->refused == REASON_NONE); /* the first reason is told */
    d->refused = r;
    va_start(ap, fmt);
    vsnprintf(d->details, sizeof(d->details), fmt, ap);
    va_end(ap);
}

static void
find_service(struct worker *w, const struct head *h, struct decision *d)
{
    char host[HOST_BYTES_MAX + 1];
    size_t len = 0;
    uint16_t port = 0;

    if (h->authority.len == 0 || !head_split_authority(h->authority, host, &len, &port)) {
        refuse(d, REASON_NO_ROUTE, "the request names no host");
        return;
    }
    d->route.service = snapshot_find(w->root, gs_slice(host, len), port);
    if (!d->route.service)
        refuse(d, REASON_NO_ROUTE, "no service %.*s on port %u", (int)(len > 100 ? 100 : len), host,
               port);
}

static void
follow_rule(struct worker *w, const struct service *s, uint32_t rule, struct decision *d)
{
    const struct route_backend *b = route_pick_backend(w, s, rule);

    d->route.timeout_ms = s->rules[rule].timeout_ms;
    if (!b) {
        refuse(d, REASON_NO_ENDPOINT, "the rule has no destination");
        return;
    }
    d->route.target = snapshot_service(w->root, b->service);
    if (!d->route.target) {
        refuse(d, REASON_NO_ENDPOINT, "no service %.*s",
               (int)(b->host.len > 100 ? 100 : b->host.len), b->host.ptr);
        return;
    }
    if (b->subset >= d->route.target->subset_count) {
        refuse(d, REASON_NO_ENDPOINT, "no subset %.*s of %.*s", GS_SLICE_FMT(b->subset_name),
               (int)(b->host.len > 100 ? 100 : b->host.len), b->host.ptr);
        return;
    }
    GS_ASSERT(d->refused == REASON_NONE);
    d->route.subset = &d->route.target->subsets[b->subset];
}

static void
follow_policy(struct worker *w, const struct head *h, struct decision *d)
{
    const struct service *s = d->route.service;
    int match;
    int rule;

    if (!s->has_policy) {
        d->route.target = s;
        d->route.subset = &s->subsets[SUBSET_ALL];
        return;
    }
    rule = route_match(s, h, &match);
    if (rule < 0)
        refuse(d, REASON_NO_ROUTE, "no rule of %.*s matches", GS_SLICE_FMT(s->name));
    else
        follow_rule(w, s, (uint32_t)rule, d);
}

struct side *
outbound_begin(struct http_handler *handler, struct side *answer, struct head *h)
{
    struct door *door = GS_CONTAINER(handler, struct door, handler);
    struct worker *w = door->worker;
    struct decision d = { .route.caller = door->caller, .refused = REASON_NONE };

    if (proxy_standing_now(w->proxy) == PROXY_CLOSED)
        refuse(&d, REASON_NO_POLICY, "this node does not know the policy of the mesh yet");
    else
        find_service(w, h, &d);
    if (d.refused == REASON_NONE)
        follow_policy(w, h, &d);
    if (d.refused != REASON_NONE)
        return exchange_refuse(w, answer, h, &d.route, d.refused, d.details);
    GS_ASSERT(d.route.service);
    GS_ASSERT(d.route.target && d.route.subset);
    return exchange_begin(w, answer, h, &d.route);
}
