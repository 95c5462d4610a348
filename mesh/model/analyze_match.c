/* analyze_match.c - first match wins, so a rule is dead when those before it take all it asks for.
 * What is reported is certain; that a regex takes another's values is beyond us. */
#include "mesh/model/analyze_match.h"

#include "mesh/model/codes.h"

static bool
text_covers(const struct vs_text_match *a, const struct vs_text_match *b)
{
    if (a->kind == POLICY_PRESENT)
        return true;
    if (a->kind == POLICY_PREFIX && (b->kind == POLICY_EXACT || b->kind == POLICY_PREFIX))
        return gs_slice_starts(b->text, a->text);
    return a->kind == b->kind && gs_slice_eq(a->text, b->text);
}

/* Every path begins with a slash. */
static bool
is_any_path(const struct vs_match *m)
{
    return !m->has_uri || (m->uri.kind == POLICY_PREFIX &&
                           (m->uri.text.len == 0 || gs_slice_eq(m->uri.text, GS_SLICE("/"))));
}

static bool
has_header_like(const struct vs_match *m, const struct vs_header_match *wanted)
{
    for (size_t i = 0; i < m->header_count; i++) {
        if (gs_slice_eq_nocase(m->headers[i].name, wanted->name) &&
            text_covers(&wanted->value, &m->headers[i].value))
            return true;
    }
    return false;
}

/* Does a take every request that b would? */
static bool
covers(const struct vs_match *a, const struct vs_match *b)
{
    if (!is_any_path(a) && (!b->has_uri || !text_covers(&a->uri, &b->uri)))
        return false;
    for (size_t i = 0; i < a->header_count; i++) {
        if (!has_header_like(b, &a->headers[i]))
            return false;
    }
    return true;
}

/* The first rule before `end` of which one match covers m. */
static size_t
covered_by(const struct virtual_service *vs, size_t end, const struct vs_match *m)
{
    static const struct vs_match everything;

    GS_ASSERT(end < vs->rule_count);
    for (size_t i = 0; i < end; i++) {
        const struct vs_rule *r = &vs->rules[i];

        if (r->match_count == 0 && covers(&everything, m))
            return i;
        for (size_t k = 0; k < r->match_count; k++) {
            if (covers(&r->matches[k], m))
                return i;
        }
    }
    return SIZE_MAX;
}

static void
tell(struct reader *r, struct policy_place at, const char *what, size_t by)
{
    struct gs_problem *item =
        reader_problem(r, GS_SEV_WARNING, CODE_POLICY_UNREACHED, at,
                       "%s is never reached: http[%zu] before it takes all its requests", what, by);

    gs_problem_hint(r->problems, item, "the first match wins: move the more special one up");
}

static void
check_rule(struct reader *r, const struct virtual_service *vs, size_t at)
{
    static const struct vs_match everything;
    const struct vs_rule *rule = &vs->rules[at];
    size_t covered = 0, by = SIZE_MAX;

    if (rule->match_count == 0) {
        by = covered_by(vs, at, &everything);
        if (by != SIZE_MAX)
            tell(r, rule->place, "this rule", by);
        return;
    }
    for (size_t k = 0; k < rule->match_count; k++) {
        by = covered_by(vs, at, &rule->matches[k]);
        covered += by != SIZE_MAX;
    }
    GS_ASSERT(covered <= rule->match_count);
    if (covered == rule->match_count) {
        tell(r, rule->place, "this rule", covered_by(vs, at, &rule->matches[0]));
        return;
    }
    for (size_t k = 0; k < rule->match_count; k++) {
        size_t mark = reader_enter(r, GS_SLICE("match"));

        (void)reader_enter_index(r, k);
        by = covered_by(vs, at, &rule->matches[k]);
        if (by != SIZE_MAX)
            tell(r, rule->matches[k].place, "this match", by);
        reader_leave(r, mark);
    }
}

void
analyze_matches(struct reader *r, const struct virtual_service *vs)
{
    size_t mark = reader_enter(r, GS_SLICE("http"));

    for (size_t i = 1; i < vs->rule_count; i++) {
        size_t inner = reader_enter_index(r, i);

        check_rule(r, vs, i);
        reader_leave(r, inner);
    }
    reader_leave(r, mark);
}
