/* explain.c - what a request meets at a service, in the words of the snapshot that would route
 * it. The caller has found the rule; nothing here decides. */
#include <gossamer/model.h>

#include <stdio.h>

static void
write_match_text(const char *key, const struct text_match *m, struct json_out *j)
{
    static const char *const kinds[] = { "any", "exact", "prefix", "regex", "present" };

    GS_ASSERT((size_t)m->kind < GS_COUNT(kinds));
    json_key(j, key);
    json_obj(j);
    json_kstr(j, "kind", kinds[m->kind]);
    if (m->text.len > 0)
        json_kslice(j, "text", m->text);
    json_obj_end(j);
}

static void
write_matches(const struct route_rule *r, struct json_out *j)
{
    json_key(j, "match");
    json_arr(j);
    for (uint32_t i = 0; i < r->match_count; i++) {
        const struct route_match *m = &r->matches[i];

        json_obj(j);
        if (m->uri.kind != MATCH_ANY)
            write_match_text("uri", &m->uri, j);
        json_key(j, "headers");
        json_obj(j);
        for (uint32_t f = 0; f < m->field_count; f++)
            write_match_text(m->fields[f].name.ptr, &m->fields[f].value, j);
        json_obj_end(j);
        json_obj_end(j);
    }
    json_arr_end(j);
}

static const char *
tier_text(enum endpoint_tier t)
{
    static const char *const texts[] = { "healthy", "unhealthy", "draining", "lost", "pending" };

    GS_ASSERT((size_t)t < GS_COUNT(texts));
    return texts[t];
}

static void
write_endpoints(const struct subset *s, struct json_out *j)
{
    json_key(j, "endpoints");
    json_arr(j);
    for (uint32_t i = 0; i < s->count; i++) {
        char text[GS_ADDR_TEXT];

        json_obj(j);
        json_kstr(j, "address", gs_addr_text(&s->endpoints[i]->addr, text));
        json_kslice(j, "node", s->endpoints[i]->node);
        json_kstr(j, "state", tier_text(s->endpoints[i]->tier));
        json_ku64(j, "weight", s->endpoints[i]->weight);
        if (s->upto)
            json_kdouble(j, "percent", 100.0 * s->endpoints[i]->weight / s->upto[s->count - 1]);
        json_obj_end(j);
    }
    json_arr_end(j);
    json_kbool(j, "panic", s->panic);
}

static void
write_word(struct json_out *j, const char *text, struct gs_slice source)
{
    char words[1024]; /* names, a time, who and why all fit */

    (void)snprintf(words, sizeof(words), "%s by %.*s", text, GS_SLICE_FMT(source));
    json_kstr(j, "why", words);
}

/* Why a member of a subset gets no request. */
static void
write_reason(const struct endpoint *e, struct json_out *j)
{
    const struct endpoint_word *w = e->word;

    if (w && w->closed)
        write_word(j, "the whole service is drained", w->drained_by);
    else if (w && e->weight == 0)
        write_word(j, "it was given weight 0", w->weighed_by);
    else if (w && w->drained_by.len > 0 && e->tier == TIER_DRAINING)
        write_word(j, "it is drained", w->drained_by);
    else if (e->tier == TIER_UNHEALTHY)
        json_kstr(j, "why", "its node says that it is unhealthy, and others are healthy");
    else if (e->tier == TIER_DRAINING)
        json_kstr(j, "why", "its node says that it is on its way out");
    else if (e->tier == TIER_LOST)
        json_kstr(j, "why", "its node is not heard of");
    else
        json_kstr(j, "why", "it was never well, or nobody knows where its node is");
}

static void
write_others(const struct subset *s, struct json_out *j)
{
    json_key(j, "unused");
    json_arr(j);
    for (uint32_t i = 0; i < s->other_count; i++) {
        const struct endpoint *e = s->others[i];
        char text[GS_ADDR_TEXT];

        json_obj(j);
        json_kstr(j, "address", gs_addr_text(&e->addr, text));
        json_kslice(j, "node", e->node);
        json_kstr(j, "state", tier_text(e->tier));
        write_reason(e, j);
        json_obj_end(j);
    }
    json_arr_end(j);
}

/* Where a share of the requests goes, or why it is answered 503. */
static void
write_target(const struct snapshot *s, uint32_t service, uint32_t subset, struct json_out *j)
{
    const struct service *to = service != UINT32_MAX ? snapshot_service(s, service) : NULL;
    const char *problem = NULL;

    if (!to)
        problem = "no service has this host and port: 503";
    else if (subset >= to->subset_count)
        problem = "the subset is not defined: 503";
    else if (to->subsets[subset].count == 0)
        problem = "the subset has no usable endpoint: 503";
    if (to) {
        json_kslice(j, "service", to->name);
        json_kslice(j, "namespace", to->ns);
        json_ku64(j, "port", to->port);
    }
    if (problem)
        json_kstr(j, "problem", problem);
    else
        write_endpoints(&to->subsets[subset], j);
    if (to && subset < to->subset_count)
        write_others(&to->subsets[subset], j);
}

static void
write_backends(const struct snapshot *s, const struct route_rule *r, struct json_out *j)
{
    GS_ASSERT(r->weight_total > 0);
    json_key(j, "backends");
    json_arr(j);
    for (uint32_t i = 0; i < r->backend_count; i++) {
        const struct route_backend *b = &r->backends[i];

        json_obj(j);
        json_kslice(j, "host", b->host);
        json_kslice(j, "subset", b->subset_name);
        json_ku64(j, "weight", b->weight);
        json_kdouble(j, "percent", 100.0 * (double)b->weight / (double)r->weight_total);
        write_target(s, b->service, b->subset, j);
        json_obj_end(j);
    }
    json_arr_end(j);
}

static void
write_rule(const struct snapshot *s, const struct route_rule *r, uint32_t index, struct json_out *j)
{
    json_key(j, "rule");
    json_obj(j);
    json_ku64(j, "index", index);
    if (r->name.len > 0)
        json_kslice(j, "name", r->name);
    write_matches(r, j);
    if (r->timeout_ms > 0)
        json_ku64(j, "timeout_ms", r->timeout_ms);
    write_backends(s, r, j);
    json_obj_end(j);
}

void
explain_json(const struct snapshot *s, const struct service *svc, uint32_t rule, struct json_out *j)
{
    GS_ASSERT(rule == UINT32_MAX || rule < svc->rule_count);
    json_obj(j);
    json_ku64(j, "snapshot", s->seq);
    json_kslice(j, "service", svc->name);
    json_kslice(j, "namespace", svc->ns);
    json_ku64(j, "port", svc->port);
    if (svc->has_policy)
        json_kslice(j, "policy", svc->policy);
    if (rule < svc->rule_count) {
        write_rule(s, &svc->rules[rule], rule, j);
    } else if (svc->has_policy) {
        json_kstr(j, "problem", "no rule matches: 404");
    } else {
        json_key(j, "backends");
        json_arr(j);
        json_obj(j);
        json_ku64(j, "weight", 1);
        json_kdouble(j, "percent", 100);
        write_target(s, svc->id, SUBSET_ALL, j);
        json_obj_end(j);
        json_arr_end(j);
    }
    json_obj_end(j);
}
