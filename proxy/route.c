/* route.c - which rule a request is under, and which of its backends it goes to. Matching is a
 * pure function of the blob and the head. */
#include <limits.h>

#include <gossamer/head.h>

#include "proxy/worker.h"

static bool
regex_matches(const struct text_match *m, struct gs_slice value)
{
    const char *at = value.ptr ? value.ptr : "";

    /* The pattern is anchored at both ends when it is built. GNU's re_match takes a length, where
     * regexec wants a NUL (and its REG_STARTEND is not known to the sanitizers). */
    return value.len <= INT_MAX && re_match(m->regex, at, (int)value.len, 0, NULL) >= 0;
}

static bool
text_matches(const struct text_match *m, struct gs_slice value)
{
    switch (m->kind) {
    case MATCH_ANY:
    case MATCH_PRESENT:
        return true;
    case MATCH_EXACT:
        return m->ignore_case ? gs_slice_eq_nocase(m->text, value) : gs_slice_eq(m->text, value);
    case MATCH_PREFIX:
        if (value.len < m->text.len)
            return false;
        value = gs_slice_head(value, m->text.len);
        return m->ignore_case ? gs_slice_eq_nocase(m->text, value) : gs_slice_eq(m->text, value);
    case MATCH_REGEX:
        return regex_matches(m, value);
    }
    GS_UNREACHABLE("match kind");
}

/* A field that occurs several times matches if one of its lines does. */
static bool
field_matches(const struct field_match *m, const struct head *h)
{
    for (size_t i = 0; i < h->count; i++) {
        if (gs_slice_eq_nocase(h->fields[i].name, m->name) &&
            text_matches(&m->value, h->fields[i].value))
            return true;
    }
    return false;
}

static bool
match_holds(const struct route_match *m, const struct head *h, struct gs_slice path)
{
    if (!text_matches(&m->uri, path))
        return false;
    for (uint32_t i = 0; i < m->field_count; i++) {
        if (!field_matches(&m->fields[i], h))
            return false;
    }
    return true;
}

int
route_match(const struct service *s, const struct head *h, int *match)
{
    ptrdiff_t query = gs_slice_find(h->path, '?');
    struct gs_slice path = query < 0 ? h->path : gs_slice_head(h->path, (size_t)query);

    if (path.len == 0) /* "http://host?query": the path is "/" */
        path = GS_SLICE("/");

    *match = -1;
    for (uint32_t r = 0; r < s->rule_count; r++) {
        const struct route_rule *rule = &s->rules[r];

        if (rule->match_count == 0)
            return (int)r;
        for (uint32_t m = 0; m < rule->match_count; m++) {
            if (match_holds(&rule->matches[m], h, path)) {
                *match = (int)m;
                return (int)r;
            }
        }
    }
    return -1;
}

/* 2^64 divided by the golden ratio: multiples of it modulo 2^64 are spread as evenly as any
 * sequence can be (Weyl), and so is every n-th of them. A counter that walks the backends in turn
 * would send every second request of a client that alternates between two kinds the same way; a
 * random number would be off by 0.3 % in 10,000. */
#define WEYL_STEP UINT64_C(0x9e3779b97f4a7c15)

const struct route_backend *
route_pick_backend(struct worker *w, const struct service *s, uint32_t rule)
{
    const struct route_rule *r = &s->rules[rule];
    struct service_state *state;
    uint64_t at;

    GS_ASSERT(rule < s->rule_count);
    if (r->backend_count == 0)
        return NULL;
    if (r->backend_count == 1)
        return &r->backends[0];
    GS_ASSERT(r->weight_total > 0);
    state = worker_service(w, s->id);
    if (!state->seeded) {
        for (unsigned i = 0; i < GS_COUNT(state->weyl); i++)
            state->weyl[i] = gs_rng_next(&w->loop->rng);
        state->seeded = true;
    }
    state->weyl[rule % 4] += WEYL_STEP;
    at = (uint64_t)(((unsigned __int128)state->weyl[rule % 4] * r->weight_total) >> 64);
    GS_ASSERT(at < r->weight_total);
    for (uint32_t i = 0; i < r->backend_count; i++) {
        if (at < r->backends[i].weight)
            return &r->backends[i];
        at -= r->backends[i].weight;
    }
    GS_UNREACHABLE("weights do not add up to weight_total");
}
