/* split.c - `gossamer split web v1=90 v2=10`: the VirtualService that says so. Start reading at
 * model_split(). What is written is an ordinary object; nothing else knows of splits. */
#include <inttypes.h>
#include <stdio.h>

#include <gossamer/buf.h>

#include "mesh/model/analyze.h"
#include "mesh/model/codes.h"
#include "mesh/model/host.h"

struct splitting {
    const struct model *m;
    struct gs_slice typed; /* the service, as the operator wrote it */
    struct gs_slice host;  /* canonical */
    char host_text[HOST_TEXT];
    const struct split_weight *weights;
    size_t count;
    struct gs_arena *arena;
    struct gs_problems *problems;
    struct analyze_set stored;
};

gs_err
split_weight_parse(struct gs_slice text, struct split_weight *out, struct gs_why *why)
{
    ptrdiff_t equals = gs_slice_rfind(text, '=');
    struct gs_slice subset, weight;
    uint64_t v;

    if (equals <= 0)
        return gs_refuse(why, GS_E_INVALID, "\"%.*s\" is no share: write SUBSET=WEIGHT, as v1=90",
                         GS_SLICE_FMT(text));
    subset = gs_slice_head(text, (size_t)equals);
    weight = gs_slice_from(text, (size_t)equals + 1);
    if (label_check_value(subset, NULL) != GS_E_OK)
        return gs_refuse(why, GS_E_INVALID, "\"%.*s\" is no name of a subset",
                         GS_SLICE_FMT(subset));
    if (!gs_slice_to_u64(weight, &v) || v > INT32_MAX)
        return gs_refuse(why, GS_E_INVALID, "\"%.*s\" is no weight: write a whole number from 0 on",
                         GS_SLICE_FMT(weight));
    GS_ASSERT(subset.len > 0);
    *out = (struct split_weight){ subset, (uint32_t)v };
    return GS_E_OK;
}

static struct gs_problem *
tell(struct splitting *s, const char *code, const char *text)
{
    return gs_problems_add(s->problems, GS_SEV_ERROR, code, NULL, 0, 0, NULL, "%s", text);
}

/* ---- is it meant? ---- */

static void
check_weights(struct splitting *s)
{
    uint64_t total = 0;

    for (size_t i = 0; i < s->count; i++) {
        total += s->weights[i].weight;
        if (s->weights[i].weight > INT32_MAX)
            (void)tell(s, CODE_POLICY_VALUE, "a weight is at most 2147483647");
        for (size_t k = 0; k < i; k++) {
            if (gs_slice_eq(s->weights[k].subset, s->weights[i].subset))
                (void)gs_problems_add(s->problems, GS_SEV_ERROR, CODE_POLICY_DUPLICATE, NULL, 0, 0,
                                      NULL, "subset \"%.*s\" is there twice",
                                      GS_SLICE_FMT(s->weights[i].subset));
        }
    }
    if (s->count == 0 || s->count > ROUTE_BACKENDS_MAX)
        (void)tell(s, CODE_POLICY_LIMIT, "a split has 1 to 64 shares");
    else if (total == 0)
        (void)tell(s, CODE_POLICY_WEIGHT, "all weights are 0: nobody would get a request");
}

/* "v1, v2" of the rules for the host; how many there are. */
static size_t
list_subsets(const struct splitting *s, char *out, size_t bytes)
{
    size_t len = 0, count = 0;

    out[0] = '\0';
    for (size_t i = 0; i < s->stored.count; i++) {
        const struct analyze_object *a = &s->stored.items[i];

        if (a->o->kind != POLICY_DESTINATION_RULE || !gs_slice_eq(a->hosts[0], s->host))
            continue;
        for (size_t k = 0; k < a->o->dr.subset_count; k++) {
            int more = snprintf(out + len, bytes - len, "%s%.*s", count > 0 ? ", " : "",
                                GS_SLICE_FMT(a->o->dr.subsets[k].name.text));

            if (more < 0 || (size_t)more >= bytes - len)
                return count + 1;
            len += (size_t)more;
            count++;
        }
    }
    return count;
}

static void
check_subsets(struct splitting *s)
{
    char known[256];
    size_t count = list_subsets(s, known, sizeof(known));

    for (size_t i = 0; i < s->count; i++) {
        struct gs_problem *item;

        if (analyze_defines(&s->stored, s->host, s->weights[i].subset))
            continue;
        item = gs_problems_add(s->problems, GS_SEV_ERROR, CODE_POLICY_SUBSET, NULL, 0, 0, NULL,
                               "subset \"%.*s\" of %.*s is defined by no DestinationRule",
                               GS_SLICE_FMT(s->weights[i].subset), GS_SLICE_FMT(s->typed));
        if (count > 0)
            gs_problem_hint(s->problems, item, "there are: %s", known);
        else
            gs_problem_hint(s->problems, item,
                            "apply a DestinationRule for %.*s with its subsets first",
                            GS_SLICE_FMT(s->typed));
    }
}

static void
check_host(struct splitting *s)
{
    struct gs_why why;

    if (host_check(s->typed, &why) != GS_E_OK)
        (void)tell(s, CODE_POLICY_VALUE, why.text);
}

/* ---- the object to change ---- */

static bool
has_host(const struct analyze_object *a, struct gs_slice host)
{
    for (size_t i = 0; a->o->kind == POLICY_VIRTUAL_SERVICE && i < a->o->vs.host_count; i++) {
        if (gs_slice_eq(a->hosts[i], host))
            return true;
    }
    return false;
}

/* The VirtualService that has the host: the oldest. */
static const struct analyze_object *
find_owner(const struct splitting *s)
{
    const struct analyze_object *found = NULL;

    for (size_t i = 0; i < s->stored.count; i++) {
        const struct analyze_object *a = &s->stored.items[i];

        if (!has_host(a, s->host))
            continue;
        if (!found || a->born_hlc < found->born_hlc ||
            (a->born_hlc == found->born_hlc && gs_slice_cmp(a->o->name, found->o->name) < 0))
            found = a;
    }
    return found;
}

static void
refuse_rules(struct splitting *s, const struct policy_object *vs, const char *text)
{
    struct gs_problem *item = gs_problems_add(s->problems, GS_SEV_ERROR, CODE_POLICY_SPLIT, NULL, 0,
                                              0, NULL, "VirtualService %.*s/%.*s %s",
                                              GS_SLICE_FMT(vs->ns), GS_SLICE_FMT(vs->name), text);

    gs_problem_hint(s->problems, item,
                    "edit it: gossamer get VirtualService %.*s -n %.*s -o yaml > FILE; gossamer "
                    "apply -f FILE",
                    GS_SLICE_FMT(vs->name), GS_SLICE_FMT(vs->ns));
}

/* The one rule with several destinations; else the one that takes whatever the others leave. */
static struct vs_rule *
pick_rule(struct splitting *s, struct policy_object *o)
{
    struct vs_rule *weighted = NULL, *general = NULL;
    size_t weighted_count = 0, general_count = 0;

    for (size_t i = 0; i < o->vs.rule_count; i++) {
        struct vs_rule *r = &o->vs.rules[i];

        if (r->destination_count > 1) {
            weighted = r;
            weighted_count++;
        } else if (r->match_count == 0) {
            general = r;
            general_count++;
        }
    }
    if (weighted_count > 1)
        refuse_rules(s, o, "has several weighted routes, and which is meant is not clear");
    else if (weighted_count == 0 && general_count != 1)
        refuse_rules(s, o, "has no weighted route, and no single one without a match");
    else
        return weighted_count == 1 ? weighted : general;
    return NULL;
}

static bool
leads_elsewhere(const struct splitting *s, const struct policy_object *o, const struct vs_rule *r)
{
    char text[HOST_TEXT];

    for (size_t i = 0; i < r->destination_count; i++) {
        if (!gs_slice_eq(host_canonical(r->destinations[i].host.text, o->ns, text), s->host))
            return true;
    }
    return false;
}

static const struct split_weight *
weight_of(const struct splitting *s, struct gs_slice subset)
{
    for (size_t i = 0; i < s->count; i++) {
        if (gs_slice_eq(s->weights[i].subset, subset))
            return &s->weights[i];
    }
    return NULL;
}

/* Destinations keep their order. A subset that is not named gets 0 and stays, so that the next
 * split can bring it back; a destination without subset goes, for it would be all of them. */
static void
write_weights(const struct splitting *s, struct gs_slice host, uint16_t port, struct vs_rule *r)
{
    struct vs_destination *out =
        gs_arena_zalloc(s->arena, (r->destination_count + s->count + 1) * sizeof(*out));
    size_t count = 0;

    for (size_t i = 0; i < r->destination_count; i++) {
        const struct split_weight *w = weight_of(s, r->destinations[i].subset.text);

        if (r->destinations[i].subset.text.len == 0)
            continue;
        out[count] = r->destinations[i];
        out[count].weight = w ? w->weight : 0;
        out[count++].weight_written = true;
    }
    for (size_t i = 0; i < s->count; i++) {
        bool there = false;

        for (size_t k = 0; k < count && !there; k++)
            there = gs_slice_eq(out[k].subset.text, s->weights[i].subset);
        if (there)
            continue;
        out[count++] = (struct vs_destination){
            .host.text = host,
            .subset.text = gs_arena_copy(s->arena, s->weights[i].subset),
            .port = port,
            .weight = s->weights[i].weight,
            .weight_written = true,
        };
    }
    GS_ASSERT(count <= r->destination_count + s->count);
    GS_ASSERT(count > 0);
    r->destinations = out;
    r->destination_count = count;
}

static struct policy_object *
change(struct splitting *s, const struct policy_object *owner)
{
    struct policy_object *o = policy_copy(owner, s->arena);
    struct vs_rule *r = pick_rule(s, o);

    if (!r)
        return NULL;
    if (leads_elsewhere(s, o, r)) {
        refuse_rules(s, o, "leads to other hosts in that route, too");
        return NULL;
    }
    GS_ASSERT(r->destination_count > 0);
    write_weights(s, r->destinations[0].host.text, r->destinations[0].port, r);
    return o;
}

/* ---- a new one ---- */

static struct policy_object *
make(struct splitting *s)
{
    struct policy_object *o = gs_arena_zalloc(s->arena, sizeof(*o));
    ptrdiff_t dot = gs_slice_rfind(s->host, '.');
    struct catalog_run run = catalog_host(&s->m->catalog, s->host, GS_SLICE_NONE);
    struct model_object taken;

    GS_ASSERT(dot > 0);
    o->kind = POLICY_VIRTUAL_SERVICE;
    o->ns = gs_arena_copy(s->arena, run.count > 0 ? run.items[0]->ns
                                                  : gs_slice_from(s->host, (size_t)dot + 1));
    o->name = gs_arena_copy(s->arena, run.count > 0 ? run.items[0]->name
                                                    : gs_slice_head(s->host, (size_t)dot));
    o->vs.host_count = o->vs.rule_count = 1;
    o->vs.hosts = gs_arena_zalloc(s->arena, sizeof(*o->vs.hosts));
    o->vs.hosts[0].text = o->name;
    o->vs.rules = gs_arena_zalloc(s->arena, sizeof(*o->vs.rules));
    write_weights(s, o->name, 0, &o->vs.rules[0]);
    if (model_find_object(s->m, o->kind, o->ns, o->name, &taken)) /* for other hosts */
        o->name = gs_slice_str(gs_arena_printf(s->arena, "%.*s-split", GS_SLICE_FMT(o->name)));
    return o;
}

static void
fill(struct splitting *s)
{
    struct model_object o;

    for (size_t at = 0; model_next_object(s->m, &at, &o);) {
        const struct policy_object *content = o.object ? o.object : o.active;

        if (content)
            analyze_add(&s->stored, content, o.born_hlc, false);
    }
}

gs_err
model_split(const struct model *m, struct gs_slice host, struct gs_slice ns,
            const struct split_weight *weights, size_t count, struct gs_arena *arena,
            struct policy_object **out, struct gs_problems *problems)
{
    struct splitting s = { .m = m,
                           .typed = host,
                           .weights = weights,
                           .count = count,
                           .arena = arena,
                           .problems = problems };
    const struct analyze_object *owner;
    size_t errors = problems->errors;
    struct policy_object *o = NULL;

    s.host = host_canonical(host, ns, s.host_text);
    analyze_init(&s.stored, m);
    fill(&s);
    check_host(&s);
    check_weights(&s);
    if (problems->errors == errors)
        check_subsets(&s);
    if (problems->errors == errors) {
        GS_ASSERT(s.host.len > 0 && count > 0);
        owner = find_owner(&s);
        o = owner ? change(&s, owner->o) : make(&s);
    }
    analyze_fini(&s.stored);
    if (o && policy_validate(o, problems) == GS_E_OK) {
        *out = o;
        return GS_E_OK;
    }
    GS_ASSERT(problems->errors > errors);
    return GS_E_INVALID;
}
