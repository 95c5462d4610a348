/* explain.c - what a request meets at a service, in the words of the snapshot that would route
 * it. The caller has found the rule; nothing here decides. */
#include <gossamer/model.h>

#include <inttypes.h>
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

/* ---- endpoints: who is picked from, and why the others are not ---- */

static void
write_endpoint(const struct endpoint *e, const char *state, struct json_out *j)
{
    char text[GS_ADDR_TEXT];

    json_kstr(j, "address", gs_addr_text(&e->addr, text));
    json_kslice(j, "node", e->node);
    json_kstr(j, "state", state);
}

static uint64_t
ejection_of(const struct snapshot *s, const struct endpoint *e)
{
    return atomic_load_explicit(&slots_at(s->slots, e->slot)->ejection, memory_order_relaxed);
}

static void
write_picked(const struct snapshot *s, const struct subset *sub, struct json_out *j)
{
    json_key(j, "endpoints");
    json_arr(j);
    for (uint32_t i = 0; i < sub->count; i++) {
        const struct endpoint *e = sub->endpoints[i];

        if (ejection_of(s, e) != 0)
            continue;
        json_obj(j);
        write_endpoint(e, tier_text(e->tier), j);
        json_ku64(j, "weight", e->weight);
        if (sub->upto)
            json_kdouble(j, "percent", 100.0 * e->weight / sub->upto[sub->count - 1]);
        json_obj_end(j);
    }
    json_arr_end(j);
}

static void
write_ejected(const struct snapshot *s, const struct endpoint *e, uint64_t now_ms,
              struct json_out *j)
{
    const struct slot *slot = slots_at(s->slots, e->slot);
    uint64_t word = ejection_of(s, e);
    uint64_t until = ejection_until_ms(word);
    uint32_t times = atomic_load_explicit(&slot->ejections, memory_order_relaxed);
    char why[160];

    if (word & EJECTION_TRIED)
        (void)snprintf(why, sizeof(why), "ejected for its faults; a request tries it now");
    else if (until > now_ms)
        (void)snprintf(why, sizeof(why),
                       "ejected for its faults (%u. time in a row), tried again in %" PRIu64 " s",
                       times, (until - now_ms + 999) / 1000);
    else
        (void)snprintf(why, sizeof(why),
                       "ejected for its faults; its time is over, the next request tries it");
    write_endpoint(e, "ejected", j);
    json_kstr(j, "why", why);
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

/* Those that get no request, and whether bad ones are used for want of a good one. */
static void
write_unused(const struct snapshot *s, const struct subset *sub, uint64_t now_ms,
             struct json_out *j)
{
    uint32_t left = sub->count;

    json_key(j, "unused");
    json_arr(j);
    for (uint32_t i = 0; i < sub->count; i++) {
        if (ejection_of(s, sub->endpoints[i]) == 0)
            continue;
        left--;
        json_obj(j);
        write_ejected(s, sub->endpoints[i], now_ms, j);
        json_obj_end(j);
    }
    for (uint32_t i = 0; i < sub->other_count; i++) {
        const struct endpoint *e = sub->others[i];

        json_obj(j);
        write_endpoint(e, tier_text(e->tier), j);
        write_reason(e, j);
        json_obj_end(j);
    }
    json_arr_end(j);
    json_kbool(j, "panic", sub->panic || (left == 0 && sub->count > 0));
}

/* Where a share of the requests goes, or why it is answered 503. */
static void
write_target(const struct snapshot *s, uint32_t service, uint32_t subset, uint64_t now_ms,
             struct json_out *j)
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
    if (!to || subset >= to->subset_count)
        return;
    write_picked(s, &to->subsets[subset], j);
    write_unused(s, &to->subsets[subset], now_ms, j);
}

static void
write_backends(const struct snapshot *s, const struct route_rule *r, uint64_t now_ms,
               struct json_out *j)
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
        write_target(s, b->service, b->subset, now_ms, j);
        json_obj_end(j);
    }
    json_arr_end(j);
}

static void
write_rule(const struct snapshot *s, const struct route_rule *r, uint32_t index, uint64_t now_ms,
           struct json_out *j)
{
    json_key(j, "rule");
    json_obj(j);
    json_ku64(j, "index", index);
    if (r->name.len > 0)
        json_kslice(j, "name", r->name);
    write_matches(r, j);
    if (r->timeout_ms > 0)
        json_ku64(j, "timeout_ms", r->timeout_ms);
    write_backends(s, r, now_ms, j);
    json_obj_end(j);
}

void
explain_json(const struct snapshot *s, const struct service *svc, uint32_t rule, uint64_t now_ms,
             struct json_out *j)
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
        write_rule(s, &svc->rules[rule], rule, now_ms, j);
    } else if (svc->has_policy) {
        json_kstr(j, "problem", "no rule matches: 404");
    } else {
        json_key(j, "backends");
        json_arr(j);
        json_obj(j);
        json_ku64(j, "weight", 1);
        json_kdouble(j, "percent", 100);
        write_target(s, svc->id, SUBSET_ALL, now_ms, j);
        json_obj_end(j);
        json_arr_end(j);
    }
    json_obj_end(j);
}
