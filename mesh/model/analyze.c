/* analyze.c - what is allowed but probably not meant. Start reading at analyze_run(). The set is
 * either what is stored, or what would be after a transaction, or the objects of some files with
 * no node at all; then nothing is said of services. */
#include "mesh/model/analyze.h"

#include <stdio.h>

#include <gossamer/alloc.h>

#include "mesh/model/analyze_match.h"
#include "mesh/model/codes.h"
#include "mesh/model/host.h"

#define NEAR_SHOWN_MAX 3

void
analyze_init(struct analyze_set *s, const struct model *m)
{
    *s = (struct analyze_set){ .m = m };
    gs_arena_init(&s->arena, NULL, 0, 4096);
}

void
analyze_fini(struct analyze_set *s)
{
    gs_free(s->items);
    gs_arena_fini(&s->arena);
    *s = (struct analyze_set){ 0 };
}

void
analyze_add(struct analyze_set *s, const struct policy_object *o, uint64_t born_hlc, bool told)
{
    struct analyze_object *at;

    if (!policy_kind_routes(o->kind))
        return; /* there is nothing to be found out about it */
    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 64;
        s->items = gs_realloc(s->items, s->cap * sizeof(*s->items));
    }
    at = &s->items[s->count++];
    *at = (struct analyze_object){ .o = o, .born_hlc = born_hlc, .told = told };
    at->hosts = object_hosts(o, &s->arena, &at->host_count);
    GS_ASSERT(at->host_count > 0 || o->kind != POLICY_DESTINATION_RULE);
}

void
analyze_reader(struct reader *r, const struct policy_object *o, struct gs_problems *problems)
{
    char key[POLICY_KEY_TEXT];

    *r = (struct reader){ .file = o->file, .problems = problems };
    if (o->file)
        (void)reader_enter(r, GS_SLICE("spec"));
    else
        r->path_len = (size_t)snprintf(r->path, sizeof(r->path), "%s spec",
                                       policy_key(o->kind, o->ns, o->name, key));
}

static bool
dr_defines(const struct destination_rule *dr, struct gs_slice subset)
{
    for (size_t i = 0; i < dr->subset_count; i++) {
        if (gs_slice_eq(dr->subsets[i].name.text, subset))
            return true;
    }
    return false;
}

static bool
is_rule_of(const struct analyze_object *a, struct gs_slice host)
{
    return a->o->kind == POLICY_DESTINATION_RULE && gs_slice_eq(a->hosts[0], host);
}

bool
analyze_defines(const struct analyze_set *s, struct gs_slice host, struct gs_slice subset)
{
    for (size_t i = 0; i < s->count; i++) {
        if (is_rule_of(&s->items[i], host) && dr_defines(&s->items[i].o->dr, subset))
            return true;
    }
    return false;
}

/* Negative: a comes before b. */
static int
precedence(const struct analyze_object *a, const struct analyze_object *b)
{
    int order;

    GS_ASSERT(a->o->kind == b->o->kind);
    if (a->born_hlc != b->born_hlc)
        return a->born_hlc < b->born_hlc ? -1 : 1;
    order = gs_slice_cmp(a->o->name, b->o->name);
    return order != 0 ? order : gs_slice_cmp(a->o->ns, b->o->ns);
}

/* ---- hosts ---- */

struct near { /* services whose names are like a host */
    const struct catalog_service *found[NEAR_SHOWN_MAX];
    unsigned distance[NEAR_SHOWN_MAX];
    size_t count;
};

static void
near_add(struct near *n, const struct catalog_service *s, unsigned distance)
{
    size_t at = 0;

    while (at < n->count && n->distance[at] <= distance) {
        if (gs_slice_eq(n->found[at]->ns, s->ns) && gs_slice_eq(n->found[at]->name, s->name))
            return; /* another port of it */
        at++;
    }
    if (at >= NEAR_SHOWN_MAX)
        return;
    n->count = n->count < NEAR_SHOWN_MAX ? n->count + 1 : n->count;
    GS_ASSERT(n->count <= NEAR_SHOWN_MAX);
    for (size_t i = n->count - 1; i > at; i--) {
        n->found[i] = n->found[i - 1];
        n->distance[i] = n->distance[i - 1];
    }
    n->found[at] = s;
    n->distance[at] = distance;
}

/* The same name in another namespace is nearest; then names within two typing errors. */
static void
near_find(const struct catalog *c, struct gs_slice canonical, struct near *n)
{
    ptrdiff_t dot = gs_slice_rfind(canonical, '.');
    struct gs_slice name = dot > 0 ? gs_slice_head(canonical, (size_t)dot) : canonical;
    unsigned most = name.len <= 3 ? 1 : 2;

    for (size_t i = 0; i < c->count; i++) {
        struct gs_slice own = c->items[i]->name;
        unsigned distance = gs_slice_distance(own, name, most);
        unsigned whole = gs_slice_distance(own, canonical, most); /* a name with dots */

        distance = whole < distance ? whole : distance;
        if (distance <= most)
            near_add(n, c->items[i], distance);
    }
}

static void
hint_near(struct reader *r, struct gs_problem *item, const struct catalog *c,
          struct gs_slice canonical)
{
    struct near n = { .count = 0 };
    char text[512] = "";
    size_t len = 0;

    near_find(c, canonical, &n);
    for (size_t i = 0; i < n.count; i++) {
        int more = snprintf(text + len, sizeof(text) - len, "%s%.*s.%.*s", i > 0 ? ", " : "",
                            GS_SLICE_FMT(n.found[i]->name), GS_SLICE_FMT(n.found[i]->ns));

        if (more < 0 || (size_t)more >= sizeof(text) - len)
            break;
        len += (size_t)more;
    }
    if (n.count > 0)
        gs_problem_hint(r->problems, item, "did you mean %s?", text);
    else
        gs_problem_hint(r->problems, item,
                        "it takes effect as soon as there is a service of that name");
}

static bool
is_unknown(const struct analyze_set *s, struct gs_slice canonical, struct gs_slice ns)
{
    return s->m && catalog_host(&s->m->catalog, canonical, ns).count == 0;
}

static void
check_host_known(const struct analyze_set *s, struct reader *r, const struct policy_object *o,
                 const struct policy_text *host, struct gs_slice canonical, const char *consequence)
{
    struct gs_problem *item;

    if (!is_unknown(s, canonical, o->ns))
        return;
    item = reader_problem(r, GS_SEV_WARNING, CODE_POLICY_HOST, host->place,
                          "no service of the mesh is called \"%.*s\" (%.*s)%s",
                          GS_SLICE_FMT(host->text), GS_SLICE_FMT(canonical), consequence);
    hint_near(r, item, &s->m->catalog, canonical);
}

/* ---- VirtualService ---- */

static void
check_taken(const struct analyze_set *s, struct reader *r, const struct analyze_object *a,
            size_t host)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct analyze_object *b = &s->items[i];

        if (b == a || b->o->kind != POLICY_VIRTUAL_SERVICE || precedence(b, a) > 0)
            continue;
        for (size_t h = 0; h < b->o->vs.host_count; h++) {
            struct gs_problem *item;

            if (!gs_slice_eq(b->hosts[h], a->hosts[host]))
                continue;
            item = reader_problem(r, GS_SEV_WARNING, CODE_POLICY_TAKEN, a->o->vs.hosts[host].place,
                                  "VirtualService %.*s/%.*s has this host already, so these "
                                  "routes have no effect on it",
                                  GS_SLICE_FMT(b->o->ns), GS_SLICE_FMT(b->o->name));
            gs_problem_hint(r->problems, item,
                            "the older one has the host: put all its routes into one object");
            return;
        }
    }
}

static void
hint_subset(const struct analyze_set *s, struct reader *r, struct gs_problem *item,
            struct gs_slice host, struct gs_slice subset)
{
    const char *names[SUBSETS_MAX];
    size_t count = 0;
    const char *near;

    for (size_t i = 0; i < s->count; i++) {
        const struct destination_rule *dr = &s->items[i].o->dr;

        for (size_t k = 0; is_rule_of(&s->items[i], host) && k < dr->subset_count; k++) {
            if (count < SUBSETS_MAX)
                names[count++] = dr->subsets[k].name.text.ptr;
        }
    }
    near = gs_did_you_mean(subset.ptr, subset.len, names, count);
    if (near)
        gs_problem_hint(r->problems, item, "did you mean \"%s\"?", near);
    else
        gs_problem_hint(r->problems, item, "apply a DestinationRule with this subset");
}

/* Subsets count that a rule of one of these namespaces defines; somebody else's do not. */
static bool
is_heard(const struct analyze_set *s, const struct analyze_object *dr, struct gs_slice host)
{
    struct catalog_run run = catalog_host(&s->m->catalog, host, dr->o->ns);

    return gs_slice_eq(dr->o->ns, s->m->o.ns) || gs_slice_eq(dr->o->ns, s->m->o.root_ns) ||
           (run.count > 0 && gs_slice_eq(dr->o->ns, run.items[0]->ns));
}

static void
check_heard(const struct analyze_set *s, struct reader *r, const struct vs_destination *d,
            struct gs_slice host)
{
    const struct policy_object *deaf = NULL;

    for (size_t i = 0; s->m && i < s->count; i++) {
        const struct analyze_object *dr = &s->items[i];

        if (!is_rule_of(dr, host) || !dr_defines(&dr->o->dr, d->subset.text))
            continue;
        if (is_heard(s, dr, host))
            return;
        deaf = dr->o;
    }
    if (deaf)
        (void)reader_problem(r, GS_SEV_WARNING, CODE_POLICY_SUBSET, d->subset.place,
                             "subset \"%.*s\" is defined in namespace %.*s only, whose rules do "
                             "not hold for this node: 503",
                             GS_SLICE_FMT(d->subset.text), GS_SLICE_FMT(deaf->ns));
}

static void
check_subset(const struct analyze_set *s, struct reader *r, const struct vs_destination *d,
             struct gs_slice host)
{
    struct gs_problem *item;

    if (d->subset.text.len == 0)
        return;
    if (analyze_defines(s, host, d->subset.text)) {
        check_heard(s, r, d, host);
        return;
    }
    item = reader_problem(r, GS_SEV_WARNING, CODE_POLICY_SUBSET, d->subset.place,
                          "subset \"%.*s\" of %.*s is defined by no DestinationRule: this object "
                          "waits until one does, its former version stays active",
                          GS_SLICE_FMT(d->subset.text), GS_SLICE_FMT(d->host.text));
    hint_subset(s, r, item, host, d->subset.text);
}

static void
hint_ports(struct reader *r, struct gs_problem *item, struct catalog_run run)
{
    char text[128] = "";
    size_t len = 0;

    for (size_t i = 0; i < run.count; i++) {
        int more =
            snprintf(text + len, sizeof(text) - len, "%s%u", i > 0 ? ", " : "", run.items[i]->port);

        if (more < 0 || (size_t)more >= sizeof(text) - len)
            break;
        len += (size_t)more;
    }
    gs_problem_hint(r->problems, item, "it has %s", text);
}

/* A port that is named must exist; one that is not must follow from the request. */
static void
check_port(const struct analyze_set *s, struct reader *r, const struct analyze_object *a,
           const struct vs_destination *d, struct gs_slice host)
{
    struct catalog_run run = catalog_host(&s->m->catalog, host, a->o->ns);
    struct gs_problem *item;

    if (run.count == 0)
        return;
    if (d->port != 0 && !catalog_port(run, d->port, 0)) {
        item = reader_problem(r, GS_SEV_ERROR, CODE_POLICY_PORT, d->port_place,
                              "service %.*s has no port %u", GS_SLICE_FMT(d->host.text), d->port);
        hint_ports(r, item, run);
    }
    for (size_t h = 0; d->port == 0 && h < a->o->vs.host_count; h++) {
        struct catalog_run from = catalog_host(&s->m->catalog, a->hosts[h], a->o->ns);

        for (size_t i = 0; i < from.count; i++) {
            if (catalog_port(run, 0, from.items[i]->port))
                continue;
            item = reader_problem(r, GS_SEV_WARNING, CODE_POLICY_PORT, d->host.place,
                                  "which port of %.*s is meant is not clear for requests to port "
                                  "%u: 503",
                                  GS_SLICE_FMT(d->host.text), from.items[i]->port);
            hint_ports(r, item, run);
            return;
        }
    }
}

static void
check_destination(const struct analyze_set *s, struct reader *r, const struct analyze_object *a,
                  const struct vs_destination *d, struct gs_slice host)
{
    size_t mark = reader_enter(r, GS_SLICE("destination"));
    size_t inner = reader_enter(r, GS_SLICE("host"));

    check_host_known(s, r, a->o, &d->host, host, ": its share is answered 503");
    reader_leave(r, inner);
    inner = reader_enter(r, GS_SLICE("subset"));
    check_subset(s, r, d, host);
    reader_leave(r, inner);
    inner = reader_enter(r, GS_SLICE("port"));
    if (s->m)
        check_port(s, r, a, d, host);
    reader_leave(r, inner);
    reader_leave(r, mark);
}

static void
check_rule(const struct analyze_set *s, struct reader *r, const struct analyze_object *a,
           const struct vs_rule *rule, const struct gs_slice *hosts)
{
    size_t mark = reader_enter(r, GS_SLICE("route"));

    for (size_t k = 0; k < rule->destination_count; k++) {
        const struct vs_destination *d = &rule->destinations[k];
        size_t inner = reader_enter_index(r, k);

        check_destination(s, r, a, d, hosts[k]);
        if (rule->destination_count == 1 && d->weight_written && d->weight != 100) {
            (void)reader_enter(r, GS_SLICE("weight"));
            (void)reader_problem(r, GS_SEV_WARNING, CODE_POLICY_ONE_WEIGHT, d->weight_place,
                                 "an only destination gets every request, whatever its weight (%u)",
                                 d->weight);
        }
        reader_leave(r, inner);
    }
    reader_leave(r, mark);
}

static void
check_vs(const struct analyze_set *s, struct reader *r, const struct analyze_object *a)
{
    const struct virtual_service *vs = &a->o->vs;
    const struct gs_slice *hosts = a->hosts + vs->host_count;
    size_t mark = reader_enter(r, GS_SLICE("hosts"));

    for (size_t i = 0; i < vs->host_count; i++) {
        size_t inner = reader_enter_index(r, i);

        check_host_known(s, r, a->o, &vs->hosts[i], a->hosts[i], ": nothing is routed yet");
        check_taken(s, r, a, i);
        reader_leave(r, inner);
    }
    reader_leave(r, mark);
    mark = reader_enter(r, GS_SLICE("http"));
    for (size_t i = 0; i < vs->rule_count; i++) {
        size_t inner = reader_enter_index(r, i);

        check_rule(s, r, a, &vs->rules[i], hosts);
        hosts += vs->rules[i].destination_count;
        reader_leave(r, inner);
    }
    GS_ASSERT(hosts == a->hosts + a->host_count);
    reader_leave(r, mark);
    analyze_matches(r, vs);
}

/* ---- DestinationRule ---- */

static bool
selects_any(struct catalog_run run, const struct dr_subset *subset, size_t *endpoints)
{
    const struct catalog_instance *e;
    bool any = false;

    *endpoints = 0;
    for (size_t i = 0; i < run.count; i++) {
        struct catalog_at at = { 0 };

        *endpoints += run.items[i]->shown;
        while (!any && (e = catalog_next(run.items[i], &at, NULL)))
            any = catalog_selects(subset->labels, subset->label_count, e->labels, e->label_count);
    }
    return any;
}

static void
check_selection(const struct analyze_set *s, struct reader *r, const struct analyze_object *a,
                const struct dr_subset *subset)
{
    struct catalog_run run = catalog_host(&s->m->catalog, a->hosts[0], a->o->ns);
    struct gs_problem *item;
    size_t endpoints;

    GS_ASSERT(a->o->kind == POLICY_DESTINATION_RULE);
    if (selects_any(run, subset, &endpoints) || endpoints == 0)
        return;
    item = reader_problem(r, GS_SEV_WARNING, CODE_POLICY_EMPTY, subset->place,
                          "subset \"%.*s\" selects none of the %zu endpoints of %.*s: 503",
                          GS_SLICE_FMT(subset->name.text), endpoints,
                          GS_SLICE_FMT(a->o->dr.host.text));
    gs_problem_hint(r->problems, item, "compare its labels with those of the instances");
}

static void
check_shadowed(const struct analyze_set *s, struct reader *r, const struct analyze_object *a,
               const struct dr_subset *subset)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct analyze_object *b = &s->items[i];

        if (b == a || !is_rule_of(b, a->hosts[0]) || !gs_slice_eq(b->o->ns, a->o->ns) ||
            precedence(b, a) > 0 || !dr_defines(&b->o->dr, subset->name.text))
            continue;
        (void)reader_problem(r, GS_SEV_WARNING, CODE_POLICY_SHADOWED, subset->place,
                             "subset \"%.*s\" has no effect: the older DestinationRule %.*s/%.*s "
                             "defines it for this host",
                             GS_SLICE_FMT(subset->name.text), GS_SLICE_FMT(b->o->ns),
                             GS_SLICE_FMT(b->o->name));
        return;
    }
}

static void
check_dr(const struct analyze_set *s, struct reader *r, const struct analyze_object *a)
{
    const struct destination_rule *dr = &a->o->dr;
    size_t mark = reader_enter(r, GS_SLICE("host"));

    check_host_known(s, r, a->o, &dr->host, a->hosts[0], ": nothing is selected yet");
    reader_leave(r, mark);
    mark = reader_enter(r, GS_SLICE("subsets"));
    for (size_t i = 0; i < dr->subset_count; i++) {
        size_t inner = reader_enter_index(r, i);

        if (s->m)
            check_selection(s, r, a, &dr->subsets[i]);
        check_shadowed(s, r, a, &dr->subsets[i]);
        reader_leave(r, inner);
    }
    reader_leave(r, mark);
}

void
analyze_run(const struct analyze_set *s, struct gs_problems *problems)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct analyze_object *a = &s->items[i];
        struct reader r;

        if (!a->told || a->o->kind == POLICY_MAINTENANCE)
            continue;
        analyze_reader(&r, a->o, problems);
        if (a->o->kind == POLICY_VIRTUAL_SERVICE)
            check_vs(s, &r, a);
        else
            check_dr(s, &r, a);
    }
    analyze_maintenances(s, problems);
}

void
model_analyze_files(const struct policy_object *const *objects, size_t count,
                    struct gs_problems *problems)
{
    struct analyze_set s;

    analyze_init(&s, NULL);
    for (size_t i = 0; i < count; i++)
        analyze_add(&s, objects[i], UINT64_MAX, true);
    analyze_run(&s, problems);
    analyze_fini(&s);
}

void
model_analyze(const struct model *m, struct gs_problems *problems)
{
    struct model_object o;
    struct analyze_set s;

    analyze_init(&s, m);
    for (size_t at = 0; model_next_object(m, &at, &o);) {
        if (o.object)
            analyze_add(&s, o.object, o.born_hlc, true);
        if (o.state != MODEL_ACTIVE)
            (void)gs_problems_add(problems, GS_SEV_WARNING, CODE_POLICY_PENDING, NULL, 0, 0,
                                  policy_kind_name(o.kind), "%.*s/%.*s is %s: %s",
                                  GS_SLICE_FMT(o.ns), GS_SLICE_FMT(o.name),
                                  model_state_text(o.state), o.why);
    }
    analyze_run(&s, problems);
    analyze_services(m, problems);
    analyze_fini(&s);
}
