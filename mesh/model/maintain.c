/* maintain.c - `gossamer drain n3`: the objects that say so. Start reading at model_maintain().
 *
 *     the target ─▶ objects about it ─▶ each as it would be ─┬─ says something ─▶ written
 *                   (none: a new one)                        └─ says nothing ───▶ deleted
 *
 * There is one object per target, named after it, so two operators who drain one node write the
 * same object, and who did so first stays named in it. Objects that somebody wrote under other
 * names count as well: what is undone is undone in all of them.
 *
 * Verbs ask back, files are taken at their word: a target that nobody knows, or a service that
 * would have no endpoint, is an error here without force, and a warning of `apply`. Undoing what
 * was not done is no error, so that a script may say it twice. A node goes by its name, as people
 * call it: that survives a new key, and means both of two nodes that share it. */
#include "mesh/model/maintain.h"

#include "mesh/model/codes.h"

#define SHOWN_MAX 3

/* ---- what is there ---- */

static void
list_stored(struct maintaining *t)
{
    struct model_object o;

    for (size_t at = 0; model_next_object(t->m, &at, &o);) {
        const struct policy_object *content = o.object ? o.object : o.active;

        if (o.kind == POLICY_MAINTENANCE && content)
            maint_add(&t->stored, content, &o.version);
    }
    maint_sort(&t->stored);
}

static bool
is_about(const struct maintaining *t, const struct maint_entry *e)
{
    return maint_same_target(e, &t->target);
}

/* The object that takes a wish: one that says it already, else the one of that name, else any. */
static const struct policy_object *
primary(const struct maintaining *t)
{
    const struct policy_object *found = NULL;
    struct gs_slice name = maint_name(&t->target, t->arena);

    for (size_t i = 0; i < t->stored.count; i++) {
        const struct policy_object *o = t->stored.items[i].o;

        if (!is_about(t, &t->stored.items[i]))
            continue;
        if (t->w->verb == MODEL_DRAIN && o->maint.drain)
            return o;
        if (!found || (gs_slice_eq(o->name, name) && gs_slice_eq(o->ns, t->wanted->ns)))
            found = o;
    }
    return found;
}

/* ---- what becomes of it ---- */

static void
set_texts(const struct maintaining *t, struct maintenance *m)
{
    m->reason.text = gs_arena_copy(t->arena, t->w->reason);
    m->by.text = gs_arena_copy(t->arena, t->w->by);
}

/* A drain that is there already stays whose it is, unless another reason is given. */
static void
drain(const struct maintaining *t, struct maintenance *m)
{
    if (m->drain && (t->w->reason.len == 0 || gs_slice_eq(t->w->reason, m->reason.text)))
        return;
    m->drain = true;
    set_texts(t, m);
}

static void
weigh(const struct maintaining *t, struct maintenance *m)
{
    bool given = t->w->weight != MAINT_WEIGHT_DEFAULT;

    if (m->weight_written == given && (!given || m->weight == t->w->weight) &&
        t->w->reason.len == 0)
        return;
    m->weight_written = given;
    m->weight = given ? t->w->weight : 0;
    if (given)
        set_texts(t, m);
}

/* One object about the target, as it would be. first: the one that takes the wish. */
static void
change(const struct maintaining *t, struct policy_object *o, bool first)
{
    switch (t->w->verb) {
    case MODEL_DRAIN:
        if (first)
            drain(t, &o->maint);
        return;
    case MODEL_UNDRAIN:
        o->maint.drain = false;
        return;
    case MODEL_WEIGHT:
        if (first)
            weigh(t, &o->maint);
        else
            o->maint.weight_written = false;
        return;
    }
    GS_UNREACHABLE("maintenance verb");
}

struct outcome {
    const struct policy_object **objects;
    struct model_key *deletes;
    size_t object_count, delete_count;
};

static void
put(struct outcome *out, struct policy_object *o, bool there)
{
    if (o->maint.drain || o->maint.weight_written)
        out->objects[out->object_count++] = o;
    else if (there)
        out->deletes[out->delete_count++] = (struct model_key){ o->kind, o->ns, o->name };
}

/* The name that it is to have may be taken by what somebody wrote about something else. */
static bool
name_wanted(struct maintaining *t)
{
    struct model_object taken;
    struct gs_problem *item;

    t->wanted->name = maint_name(&t->target, t->arena);
    if (!model_find_object(t->m, t->wanted->kind, t->wanted->ns, t->wanted->name, &taken))
        return true;
    item = gs_problems_add(t->problems, GS_SEV_ERROR, CODE_POLICY_TARGET, NULL, 0, 0, NULL,
                           "Maintenance %.*s/%.*s is about something else",
                           GS_SLICE_FMT(t->wanted->ns), GS_SLICE_FMT(t->wanted->name));
    gs_problem_hint(t->problems, item, "look at it: gossamer get Maintenance %.*s -n %.*s -o yaml",
                    GS_SLICE_FMT(t->wanted->name), GS_SLICE_FMT(t->wanted->ns));
    return false;
}

static void
list_changes(struct maintaining *t, struct outcome *out)
{
    const struct policy_object *first = primary(t);

    out->objects = gs_arena_zalloc(t->arena, (t->stored.count + 1) * sizeof(*out->objects));
    out->deletes = gs_arena_zalloc(t->arena, (t->stored.count + 1) * sizeof(*out->deletes));
    for (size_t i = 0; i < t->stored.count; i++) {
        const struct policy_object *is = t->stored.items[i].o;
        bool concerned = t->w->verb == MODEL_DRAIN     ? is == first
                         : t->w->verb == MODEL_UNDRAIN ? is->maint.drain
                                                       : is == first || is->maint.weight_written;
        struct policy_object *o;

        if (!concerned || !is_about(t, &t->stored.items[i]))
            continue;
        o = policy_copy(is, t->arena);
        change(t, o, is == first);
        put(out, o, true);
    }
    if (!first && t->w->verb != MODEL_UNDRAIN && name_wanted(t)) {
        change(t, t->wanted, true);
        put(out, t->wanted, false);
    }
    GS_ASSERT(out->object_count + out->delete_count <= t->stored.count + 1);
}

/* ---- is it meant? ---- */

/* What is in effect, with the changes. */
static void
fill_after(const struct maintaining *t, const struct outcome *out, struct maint_set *after)
{
    const struct maint_set *now = &t->m->objects.maintenances;

    for (size_t i = 0; i < now->count; i++) {
        if (!is_about(t, &now->items[i]))
            maint_add(after, now->items[i].o, NULL);
    }
    for (size_t i = 0; i < out->object_count; i++)
        maint_add(after, out->objects[i], NULL);
    maint_sort(after);
}

/* A service that had endpoints and would have none. */
static void
check_left(struct maintaining *t, const struct outcome *out)
{
    struct maint_set after = { .count = 0 };

    if (t->w->force || t->w->verb == MODEL_UNDRAIN)
        return;
    fill_after(t, out, &after);
    for (size_t i = 0; i < t->m->catalog.count; i++) {
        const struct catalog_service *s = t->m->catalog.items[i];
        struct gs_problem *item;

        if (maint_count(&t->m->objects.maintenances, s).any == 0 || maint_count(&after, s).any > 0)
            continue;
        item = gs_problems_add(t->problems, GS_SEV_ERROR, CODE_POLICY_NOBODY, NULL, 0, 0, NULL,
                               "no endpoint of %.*s.%.*s:%u would be left: every request would be "
                               "answered 503",
                               GS_SLICE_FMT(s->name), GS_SLICE_FMT(s->ns), s->port);
        gs_problem_hint(t->problems, item, "if that is what is wanted, add --force");
    }
    maint_fini(&after);
}

/* What else is said of the endpoints that are meant, in the same vein ("node n3", ...); NULL:
 * nothing. Of a node also what is said of some service there. */
static const char *
related(const struct maintaining *t)
{
    const struct maint_entry *e = &t->target;
    const char *all = NULL;
    size_t count = 0;

    for (size_t i = 0; i < t->stored.count; i++) {
        const struct maint_entry *other = &t->stored.items[i];
        const struct maintenance *m = &other->o->maint;
        bool node = e->node.len > 0 && gs_slice_eq(e->node, other->node);
        bool service = e->service.len > 0 && gs_slice_eq(e->service, other->service) &&
                       gs_slice_eq(e->ns, other->ns) &&
                       (e->node.len == 0 || other->node.len == 0 || node);

        if ((!service && !(node && (e->service.len == 0 || other->service.len == 0))) ||
            is_about(t, other) || !(t->w->verb == MODEL_WEIGHT ? m->weight_written : m->drain) ||
            ++count > SHOWN_MAX)
            continue;
        all = gs_arena_printf(t->arena, "%s%s%s", all ? all : "", all ? ", " : "",
                              maint_target_text(other, t->arena));
    }
    return count > SHOWN_MAX ? gs_arena_printf(t->arena, "%s, ...", all) : all;
}

/* Undoing what was not done is no error; but who does so should know what else holds. */
static void
tell_nothing(struct maintaining *t)
{
    struct gs_problem *item = gs_problems_add(
        t->problems, GS_SEV_WARNING, CODE_POLICY_IDLE, NULL, 0, 0, NULL,
        t->w->verb == MODEL_UNDRAIN ? "%s is not drained" : "%s has its ordinary weight already",
        maint_target_text(&t->target, t->arena));
    const char *others = related(t);

    if (others)
        gs_problem_hint(t->problems, item,
                        t->w->verb == MODEL_UNDRAIN ? "drained: %s" : "a weight is given to: %s",
                        others);
}

static void
tell_remaining(struct maintaining *t)
{
    const char *others = t->w->verb == MODEL_UNDRAIN ? related(t) : NULL;

    if (others)
        (void)gs_problems_add(t->problems, GS_SEV_WARNING, CODE_POLICY_IDLE, NULL, 0, 0, NULL,
                              "still drained: %s", others);
}

/* ---- the verb ---- */

static void
check_weight(struct maintaining *t)
{
    struct gs_problem *item;

    if (t->w->verb != MODEL_WEIGHT ||
        (t->target.service.len > 0 && (t->target.node.len > 0 || t->target.addr.family != 0)))
        return;
    item = gs_problems_add(t->problems, GS_SEV_ERROR, CODE_POLICY_TARGET, NULL, 0, 0, NULL,
                           "a weight is of one instance, beside the others");
    gs_problem_hint(t->problems, item,
                    "write SERVICE/ADDRESS:PORT, or SERVICE/NODE; gossamer endpoints lists them");
}

static void
validate(struct maintaining *t, const struct outcome *out)
{
    for (size_t i = 0; i < out->object_count; i++) {
        if (policy_validate(out->objects[i], t->problems) != GS_E_OK)
            GS_ASSERT(t->problems->errors > 0);
    }
}

gs_err
model_maintain(const struct model *m, const struct model_maintain *w, struct gs_arena *arena,
               struct model_maintained *out, struct gs_problems *problems)
{
    struct maintaining t = { .m = m, .w = w, .arena = arena, .problems = problems };
    size_t errors = problems->errors;
    struct outcome made = { .object_count = 0 };

    list_stored(&t);
    if (maintain_find(&t))
        check_weight(&t);
    if (problems->errors == errors)
        list_changes(&t, &made);
    if (problems->errors == errors)
        validate(&t, &made);
    if (problems->errors == errors && made.object_count + made.delete_count == 0)
        tell_nothing(&t);
    else if (problems->errors == errors)
        check_left(&t, &made);
    if (problems->errors == errors && made.object_count + made.delete_count > 0)
        tell_remaining(&t);
    maint_fini(&t.stored);
    if (problems->errors > errors)
        return GS_E_INVALID;
    *out = (struct model_maintained){ made.objects, made.object_count, made.deletes,
                                      made.delete_count };
    return GS_E_OK;
}
