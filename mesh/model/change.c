/* change.c - would a transaction do what was meant? It is looked at as if it had happened. */
#include <stdio.h>

#include "mesh/model/analyze.h"
#include "mesh/model/codes.h"

static bool
same(const struct model_object *o, enum policy_kind kind, struct gs_slice ns, struct gs_slice name)
{
    return o->kind == kind && gs_slice_eq(o->ns, ns) && gs_slice_eq(o->name, name);
}

static const struct policy_object *
replacement(const struct model_change *c, const struct model_object *o)
{
    for (size_t i = 0; i < c->object_count; i++) {
        if (same(o, c->objects[i]->kind, c->objects[i]->ns, c->objects[i]->name))
            return c->objects[i];
    }
    return NULL;
}

static bool
is_deleted(const struct model_change *c, const struct model_object *o)
{
    for (size_t i = 0; i < c->delete_count; i++) {
        if (same(o, c->deletes[i].kind, c->deletes[i].ns, c->deletes[i].name))
            return true;
    }
    return false;
}

/* What an object would be judged by: its newest version, or what is active if that is no good. */
static const struct policy_object *
content(const struct model_object *o)
{
    return o->object ? o->object : o->active;
}

static void
fill_before(const struct model *m, struct analyze_set *s)
{
    struct model_object o;

    for (size_t at = 0; model_next_object(m, &at, &o);) {
        if (content(&o))
            analyze_add(s, content(&o), o.born_hlc, false);
    }
}

static void
fill_after(const struct model *m, const struct model_change *c, struct analyze_set *s)
{
    struct model_object o;

    for (size_t at = 0; model_next_object(m, &at, &o);) {
        const struct policy_object *now = replacement(c, &o);

        if (is_deleted(c, &o))
            continue;
        if (now)
            analyze_add(s, now, o.born_hlc, true); /* its age is that of its first version */
        else if (content(&o))
            analyze_add(s, content(&o), o.born_hlc, false);
    }
    for (size_t i = 0; i < c->object_count; i++) {
        if (!model_find_object(m, c->objects[i]->kind, c->objects[i]->ns, c->objects[i]->name, &o))
            analyze_add(s, c->objects[i], UINT64_MAX, true);
    }
}

static size_t
check_deletes(const struct model *m, const struct model_change *c, struct gs_problems *problems)
{
    struct model_object o;
    size_t missing = 0;

    for (size_t i = 0; i < c->delete_count; i++) {
        const struct model_key *k = &c->deletes[i];

        if (model_find_object(m, k->kind, k->ns, k->name, &o))
            continue;
        missing++;
        (void)gs_problems_add(problems, GS_SEV_ERROR, CODE_POLICY_NOT_FOUND, NULL, 0, 0, NULL,
                              "there is no %s %.*s/%.*s", policy_kind_name(k->kind),
                              GS_SLICE_FMT(k->ns), GS_SLICE_FMT(k->name));
    }
    return missing;
}

/* The changed DestinationRule in the file, if there is one to point at. */
static const struct policy_object *
culprit(const struct analyze_set *after, struct gs_slice host)
{
    for (size_t i = 0; i < after->count; i++) {
        const struct analyze_object *a = &after->items[i];

        if (a->told && a->o->kind == POLICY_DESTINATION_RULE && gs_slice_eq(a->hosts[0], host))
            return a->o;
    }
    return NULL;
}

static void
tell_needed(const struct model_change *c, const struct analyze_set *after,
            const struct policy_object *vs, const struct vs_destination *d, struct gs_slice host,
            struct gs_problems *problems)
{
    const struct policy_object *dr = culprit(after, host);
    struct gs_problem *item =
        gs_problems_add(problems, c->force ? GS_SEV_WARNING : GS_SEV_ERROR, CODE_POLICY_NEEDED,
                        dr ? dr->file : NULL, dr ? dr->place.line : 0, dr ? dr->place.column : 0,
                        dr ? "spec.subsets" : NULL,
                        "VirtualService %.*s/%.*s needs subset \"%.*s\" of %.*s, which would go",
                        GS_SLICE_FMT(vs->ns), GS_SLICE_FMT(vs->name), GS_SLICE_FMT(d->subset.text),
                        GS_SLICE_FMT(d->host.text));

    gs_problem_hint(problems, item,
                    c->force ? "its share is answered 503 from now on"
                             : "change both in one apply, or use --force: its share is then "
                               "answered 503");
}

/* Subsets that somebody else names, that are defined, and that would not be any more. */
static void
check_needed(const struct model_change *c, const struct analyze_set *before,
             const struct analyze_set *after, struct gs_problems *problems)
{
    for (size_t i = 0; i < after->count; i++) {
        const struct analyze_object *a = &after->items[i];
        size_t at;

        if (a->told || a->o->kind != POLICY_VIRTUAL_SERVICE)
            continue;
        at = a->o->vs.host_count;
        for (size_t r = 0; r < a->o->vs.rule_count; r++) {
            const struct vs_rule *rule = &a->o->vs.rules[r];

            for (size_t k = 0; k < rule->destination_count; k++, at++) {
                const struct vs_destination *d = &rule->destinations[k];

                if (d->subset.text.len > 0 &&
                    analyze_defines(before, a->hosts[at], d->subset.text) &&
                    !analyze_defines(after, a->hosts[at], d->subset.text))
                    tell_needed(c, after, a->o, d, a->hosts[at], problems);
            }
        }
        GS_ASSERT(at == a->host_count);
    }
}

gs_err
model_check_change(const struct model *m, const struct model_change *c,
                   struct gs_problems *problems)
{
    size_t errors = problems->errors;
    struct analyze_set before, after;
    size_t missing = check_deletes(m, c, problems);

    analyze_init(&before, m);
    analyze_init(&after, m);
    fill_before(m, &before);
    fill_after(m, c, &after);
    check_needed(c, &before, &after, problems);
    analyze_run(&after, problems);
    analyze_fini(&before);
    analyze_fini(&after);
    GS_ASSERT(problems->errors >= errors + missing);
    if (problems->errors == errors)
        return GS_E_OK;
    return problems->errors - errors == missing ? GS_E_NOT_FOUND : GS_E_INVALID;
}
