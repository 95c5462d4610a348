/* analyze_maint.c - Maintenances that do not do what was meant: of something that nobody knows, or
 * that leave nobody for the requests. One finding per object and kind of trouble. */
#include "mesh/model/analyze.h"
#include "mesh/model/codes.h"

#define SHOWN_MAX 3

struct finding { /* of one object */
    const struct analyze_set *s;
    const struct maint_set *all;
    const struct maint_entry *e;
    struct reader *r;
    struct gs_arena *arena;
};

static struct gs_problem *
warn(const struct finding *f, const char *code, const char *field, struct policy_place at,
     const char *text)
{
    size_t mark = reader_enter(f->r, gs_slice_str(field));
    struct gs_problem *item = reader_problem(f->r, GS_SEV_WARNING, code, at, "%s", text);

    reader_leave(f->r, mark);
    return item;
}

/* ---- who is meant ---- */

static void
check_node(const struct finding *f)
{
    const struct catalog *c = &f->s->m->catalog;
    const struct maintenance *m = &f->e->o->maint;
    const struct catalog_owner *o = maint_owner(c, m->node.text);
    struct gs_problem *item;
    const char *near;

    if (m->node.text.len == 0 || (o && o->state != MODEL_NODE_GONE))
        return;
    if (o) {
        item = warn(
            f, CODE_POLICY_TARGET, "node", m->node.place,
            gs_arena_printf(f->arena, "node %.*s has left the mesh", GS_SLICE_FMT(m->node.text)));
        gs_problem_hint(f->r->problems, item, "it holds on should it return, until you undrain it");
        return;
    }
    item = warn(f, CODE_POLICY_TARGET, "node", m->node.place,
                gs_arena_printf(f->arena, "no node of the mesh is called \"%.*s\"",
                                GS_SLICE_FMT(m->node.text)));
    near = maint_near(c, m->node.text, MODEL_TARGET_NODE, f->arena);
    gs_problem_hint(f->r->problems, item,
                    near ? "did you mean %s?" : "it takes effect when there is one%s",
                    near ? near : "");
}

/* ---- what comes of it ---- */

struct named { /* services, the first few by name */
    const char *text;
    size_t count;
};

struct tally {                      /* over all services that the object is about */
    bool service, port;             /* there is one of that name; with that port */
    size_t endpoints, meant;        /* of these services */
    struct named closed;            /* nobody is left */
    struct named last;              /* only drained ones are */
    struct named alone;             /* there is nobody else to weigh against */
    const struct maint_entry *less; /* says a lesser weight of some of them */
};

static void
name_it(const struct finding *f, struct named *n, const struct catalog_service *s)
{
    if (n->count++ < SHOWN_MAX)
        n->text = gs_arena_printf(f->arena, "%s%s%.*s.%.*s:%u", n->text ? n->text : "",
                                  n->text ? ", " : "", GS_SLICE_FMT(s->name), GS_SLICE_FMT(s->ns),
                                  s->port);
}

/* closes: may it leave nobody at all? */
static bool
closes(const struct maint_entry *e)
{
    const struct maintenance *m = &e->o->maint;

    return (m->drain && e->service.len > 0 && e->node.len == 0 && e->addr.family == 0) ||
           (m->weight_written && m->weight == 0);
}

static void
tally_service(const struct finding *f, const struct catalog_service *s, struct tally *t)
{
    const struct maintenance *m = &f->e->o->maint;
    const struct catalog_offer *offer = NULL;
    const struct catalog_instance *i;
    struct catalog_at at = { 0 };
    struct maint_open_count open;
    struct maint_word w;
    size_t meant = 0;

    while ((i = catalog_next(s, &at, &offer))) {
        t->endpoints++;
        if (!maint_means(f->e, offer, i))
            continue;
        t->meant++;
        meant += i->tier < TIER_DRAINING;
        w = maint_say(f->all, offer, i);
        if (m->weight_written && w.weight < m->weight)
            t->less = w.weighed;
    }
    if (meant == 0)
        return;
    open = maint_count(f->all, s);
    if (open.any == 0 && closes(f->e))
        name_it(f, &t->closed, s);
    else if (open.any > 0 && open.ordinary == 0 && m->drain)
        name_it(f, &t->last, s);
    else if (open.ordinary == 1 && m->weight_written && m->weight > 0 && !m->drain)
        name_it(f, &t->alone, s);
}

static void
tally(const struct finding *f, struct tally *t)
{
    const struct catalog *c = &f->s->m->catalog;

    for (size_t i = 0; i < c->count; i++) {
        const struct catalog_service *s = c->items[i];

        if (f->e->service.len > 0) {
            if (!gs_slice_eq(f->e->service, s->name) || !gs_slice_eq(f->e->ns, s->ns))
                continue;
            t->service = true;
            if (f->e->o->maint.port != 0 && f->e->o->maint.port != s->port)
                continue;
            t->port = true;
        }
        tally_service(f, s, t);
    }
}

static void
check_service(const struct finding *f, const struct tally *t)
{
    const struct maintenance *m = &f->e->o->maint;
    const char *target = maint_target_text(f->e, f->arena);
    struct gs_problem *item;
    const char *near;

    if (f->e->service.len == 0)
        return;
    if (!t->service) {
        item = warn(f, CODE_POLICY_TARGET, "service", m->service.place,
                    gs_arena_printf(f->arena, "no service of the mesh is called \"%.*s.%.*s\"",
                                    GS_SLICE_FMT(f->e->service), GS_SLICE_FMT(f->e->ns)));
        near = maint_near(&f->s->m->catalog, f->e->service, MODEL_TARGET_SERVICE, f->arena);
        gs_problem_hint(f->r->problems, item,
                        near ? "did you mean %s?" : "it takes effect when there is one%s",
                        near ? near : "");
    } else if (!t->port) {
        (void)warn(f, CODE_POLICY_PORT, "service", m->port_place,
                   gs_arena_printf(f->arena, "service %.*s.%.*s has no port %u",
                                   GS_SLICE_FMT(f->e->service), GS_SLICE_FMT(f->e->ns), m->port));
    } else if (t->meant == 0 && t->endpoints > 0) {
        item = warn(
            f, CODE_POLICY_TARGET, "instance",
            m->instance.text.len > 0 ? m->instance.place : m->place,
            gs_arena_printf(f->arena, "%s is none of its %zu endpoints", target, t->endpoints));
        gs_problem_hint(f->r->problems, item,
                        "it takes effect when there is one; gossamer endpoints lists them");
    }
}

static const char *
more(const struct finding *f, const struct named *n)
{
    return n->count > SHOWN_MAX ? gs_arena_printf(f->arena, " and %zu others", n->count - SHOWN_MAX)
                                : "";
}

static void
check_effect(const struct finding *f, const struct tally *t)
{
    const struct maintenance *m = &f->e->o->maint;

    if (t->closed.count > 0)
        (void)warn(f, CODE_POLICY_NOBODY, m->drain ? "drain" : "weight",
                   m->drain ? m->drain_place : m->weight_place,
                   gs_arena_printf(f->arena,
                                   "no endpoint of %s%s is left: every request is answered 503",
                                   t->closed.text, more(f, &t->closed)));
    if (t->last.count > 0)
        (void)warn(f, CODE_POLICY_NOBODY, "drain", m->drain_place,
                   gs_arena_printf(f->arena,
                                   "no better endpoint of %s%s is left: the drained ones are used "
                                   "until there is one",
                                   t->last.text, more(f, &t->last)));
    if (t->alone.count > 0)
        (void)warn(f, CODE_POLICY_IDLE, "weight", m->weight_place,
                   gs_arena_printf(f->arena,
                                   "the only endpoint of %s%s gets every request, whatever its "
                                   "weight",
                                   t->alone.text, more(f, &t->alone)));
    if (t->less)
        (void)warn(f, CODE_POLICY_IDLE, "weight", m->weight_place,
                   gs_arena_printf(f->arena,
                                   "the lesser weight holds: %u, of Maintenance %.*s/%.*s",
                                   t->less->o->maint.weight, GS_SLICE_FMT(t->less->o->ns),
                                   GS_SLICE_FMT(t->less->o->name)));
}

/* ---- all of them ---- */

/* Told of the later one by name, so that it is told once. */
static void
check_twice(const struct finding *f)
{
    for (size_t i = 0; i < f->all->count; i++) {
        const struct maint_entry *other = &f->all->items[i];
        struct gs_problem *item;
        int order = gs_slice_cmp(other->o->ns, f->e->o->ns);

        order = order != 0 ? order : gs_slice_cmp(other->o->name, f->e->o->name);
        if (order >= 0 || !maint_same_target(other, f->e))
            continue;
        item = reader_problem(f->r, GS_SEV_WARNING, CODE_POLICY_TWICE, f->e->o->place,
                              "Maintenance %.*s/%.*s is about %s, too", GS_SLICE_FMT(other->o->ns),
                              GS_SLICE_FMT(other->o->name), maint_target_text(f->e, f->arena));
        gs_problem_hint(f->r->problems, item,
                        "both hold: drained if one says so, and the least weight");
        return;
    }
}

void
analyze_maintenances(const struct analyze_set *s, struct gs_problems *problems)
{
    struct maint_set all = { .count = 0 };
    struct gs_arena arena;

    gs_arena_init(&arena, NULL, 0, 1024);
    for (size_t i = 0; i < s->count; i++) {
        if (s->items[i].o->kind == POLICY_MAINTENANCE)
            maint_add(&all, s->items[i].o, NULL);
    }
    maint_sort(&all);
    for (size_t i = 0; i < s->count; i++) {
        const struct policy_object *o = s->items[i].o;
        struct maint_entry e;
        struct reader r;
        struct finding f = { .s = s, .all = &all, .e = &e, .r = &r, .arena = &arena };
        struct tally t = { .meant = 0 };

        if (o->kind != POLICY_MAINTENANCE || !s->items[i].told)
            continue;
        e = maint_entry(o, NULL);
        analyze_reader(&r, o, problems);
        check_twice(&f);
        if (!s->m)
            continue;
        check_node(&f);
        tally(&f, &t);
        check_service(&f, &t);
        check_effect(&f, &t);
    }
    maint_fini(&all);
    gs_arena_fini(&arena);
}
