/* api_policy.c - changing policy: apply, delete, split. Each reads what is asked for into an edit;
 * edit.c does the rest.
 *
 *     POST   /api/v1/apply           the body is a file, or with ?files=N several (parts.h)
 *     POST   /api/v1/delete          likewise: what these documents name goes
 *     DELETE /api/v1/objects/K/NS/N  one object
 *     POST   /api/v1/split           {"service", "namespace", "weights": [{"subset", "weight"}]}
 *
 * All take ?wait= &if_version= &force= &dry_run= &settle=. One that is not known is refused: one
 * that is misspelt (?dryrun) would change what was not meant to be. */
#include "mesh/config/config.h"
#include "mesh/config/json.h"
#include "mesh/config/value.h"
#include "mesh/edit.h"
#include "mesh/model/codes.h"
#include "mesh/model/host.h"
#include "mesh/objects.h"
#include "mesh/parts.h"

#define WAIT_MS 10000
#define WAIT_MS_MAX 600000

/* ---- parameters ---- */

struct gs_problem *
edit_bad_param(struct edit *e, const char *name, const char *text)
{
    return gs_problems_add(&e->problems, GS_SEV_ERROR, "GS0400", NULL, 0, 0, name, "%s", text);
}

static void
check_names(struct edit *e, const struct admin_request *r, bool files)
{
    static const char *const names[] = { "wait",   "if_version", "force", "dry_run",
                                         "settle", "namespace",  "name",  "files" };
    size_t count = files ? GS_COUNT(names) : 5;
    struct gs_slice rest = r->query;
    struct gs_slice part;

    while (gs_slice_cut(&rest, '&', &part)) {
        struct gs_slice key = part;
        struct gs_problem *item;
        const char *near;
        bool known = false;

        (void)gs_slice_cut(&part, '=', &key);
        for (size_t i = 0; i < count && !known; i++)
            known = gs_slice_eq(key, gs_slice_str(names[i]));
        if (known || key.len == 0)
            continue;
        item = edit_bad_param(e, gs_arena_strdup(&e->arena, key), "there is no such parameter");
        near = gs_did_you_mean(key.ptr, key.len, names, count);
        if (near)
            gs_problem_hint(&e->problems, item, "did you mean \"%s\"?", near);
    }
}

static void
read_switch(struct edit *e, const struct admin_request *r, const char *name, bool *out)
{
    struct gs_slice text;

    if (!admin_query(r, name, &text) || gs_slice_eq(text, GS_SLICE("false")) ||
        gs_slice_eq(text, GS_SLICE("0")))
        return;
    if (text.len == 0 || gs_slice_eq(text, GS_SLICE("true")) || gs_slice_eq(text, GS_SLICE("1")))
        *out = true;
    else
        (void)edit_bad_param(e, name, "is true or false");
}

static void
read_wait(struct edit *e, const struct admin_request *r)
{
    const struct value_type type = { .kind = VALUE_DURATION, .max = WAIT_MS_MAX };
    struct value_fault fault;
    struct gs_slice text;

    e->wait_ms = WAIT_MS;
    if (admin_query(r, "wait", &text) &&
        value_parse(&type, text, &e->arena, &e->wait_ms, &fault) != GS_E_OK)
        (void)edit_bad_param(e, "wait", fault.why.text);
}

static void
read_if_version(struct edit *e, const struct admin_request *r)
{
    struct gs_problem *item;
    struct gs_slice text;

    if (!admin_query(r, "if_version", &text))
        return;
    e->conditional = true;
    if (gs_slice_eq(text, GS_SLICE("0")) || gs_version_parse(&e->if_version, text) == GS_E_OK)
        return;
    item = edit_bad_param(e, "if_version", "is no version");
    gs_problem_hint(&e->problems, item,
                    "a version reads GENERATION.HLC.WRITER, as gossamer get -o wide shows it; 0 "
                    "means that the object must not be there");
}

struct edit *
edit_begin(struct node *n, struct admin_call *c, const struct admin_request *r, bool files)
{
    const char *hint;
    const char *why = node_refuses(n, &hint);
    struct edit *e;

    if (why) {
        admin_error(c, 503, "GS0503", hint, "node %s %s", n->config->node, why);
        return NULL;
    }
    e = edit_new(n, c);
    check_names(e, r, files);
    read_switch(e, r, "force", &e->force);
    read_switch(e, r, "dry_run", &e->dry_run);
    read_switch(e, r, "settle", &e->settle);
    read_wait(e, r);
    read_if_version(e, r);
    if (e->problems.errors == 0)
        return e;
    admin_error_problems(c, 400, &e->problems);
    edit_free(e);
    return NULL;
}

/* ---- files ---- */

static void
read_file(struct edit *e, struct gs_slice name, struct gs_slice bytes, struct gs_slice ns)
{
    struct manifest_options o = { .ns = ns };
    struct tree_docs docs;
    struct gs_arena arena;

    if (name.len > 0)
        o.file = gs_arena_strdup(&e->arena, name);
    gs_arena_init(&arena, NULL, 0, 65536);
    if (tree_parse_yaml(bytes, o.file, &arena, &docs, &e->problems) == GS_E_OK &&
        manifest_read(&e->manifest, &docs, &o, &e->problems) != GS_E_OK)
        GS_ASSERT(e->problems.errors > 0);
    gs_arena_fini(&arena);
}

static void
read_parts(struct edit *e, const struct admin_request *r, struct gs_slice files, struct gs_slice ns)
{
    struct gs_slice rest = r->body;
    struct gs_why why = { "" };
    uint64_t wanted, count = 0;
    struct part p;
    gs_err error;

    if (!gs_slice_to_u64(files, &wanted)) {
        (void)edit_bad_param(e, "files", "is the number of files in the body");
        return;
    }
    while ((error = parts_next(&rest, &p, &why)) == GS_E_OK) {
        read_file(e, p.name, p.bytes, ns);
        count++;
    }
    if (error == GS_E_NOT_FOUND && count != wanted)
        (void)gs_refuse(&why, GS_E_MALFORMED, "the body holds %llu files, not %llu",
                        (unsigned long long)count, (unsigned long long)wanted);
    if (why.text[0])
        (void)edit_bad_param(e, "files", why.text);
}

static void
read_files(struct edit *e, const struct admin_request *r)
{
    struct gs_slice files, name = GS_SLICE_NONE, ns;

    if (!objects_namespace(e->node, r, &ns)) {
        (void)edit_bad_param(e, "namespace", "is no name of a namespace");
        return;
    }
    (void)admin_query(r, "name", &name);
    if (admin_query(r, "files", &files))
        read_parts(e, r, files, ns);
    else
        read_file(e, name, r->body.len > 0 ? r->body : GS_SLICE(""), ns);
    if (e->problems.errors == 0 && e->manifest.count == 0 && e->manifest.skipped_count == 0)
        (void)gs_problems_add(&e->problems, GS_SEV_ERROR, CODE_POLICY_DOCUMENT,
                              name.len > 0 ? gs_arena_strdup(&e->arena, name) : NULL, 0, 0, NULL,
                              "there is no object in it");
}

void
api_apply(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    struct edit *e = edit_begin(n, c, r, true);

    if (!e)
        return;
    read_files(e, r);
    e->objects = (const struct policy_object *const *)e->manifest.objects;
    e->object_count = e->manifest.count;
    edit_run(e);
}

void
api_delete(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    struct edit *e = edit_begin(n, c, r, true);
    struct model_key *keys;

    if (!e)
        return;
    read_files(e, r);
    keys = gs_arena_zalloc(&e->arena, (e->manifest.count + 1) * sizeof(*keys));
    for (size_t i = 0; i < e->manifest.count; i++) {
        const struct policy_object *o = e->manifest.objects[i];

        keys[i] = (struct model_key){ o->kind, o->ns, o->name };
    }
    e->deletes = keys;
    e->delete_count = e->manifest.count;
    edit_run(e);
}

/* ---- one object ---- */

void
api_delete_object(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    struct model_object present;
    struct model_key *key;
    struct edit *e;

    key = gs_arena_zalloc(r->arena, sizeof(*key));
    if (!objects_find_or_refuse(n, c, r, key, &present))
        return;
    e = edit_begin(n, c, r, false);
    if (!e)
        return;
    key = gs_arena_zalloc(&e->arena, sizeof(*key));
    *key = (struct model_key){ present.kind, gs_arena_copy(&e->arena, present.ns),
                               gs_arena_copy(&e->arena, present.name) };
    e->deletes = key;
    e->delete_count = 1;
    edit_run(e);
}

/* ---- split ---- */

struct split {
    struct gs_slice service, ns;
    struct split_weight weights[ROUTE_BACKENDS_MAX];
    size_t count;
};

bool
edit_read_text(struct edit *e, const struct tree *doc, const char *key, struct gs_slice *out)
{
    const struct tree *t = tree_find(doc, key);

    if (!t)
        return false;
    if (t->kind != TREE_SCALAR || t->plain || t->text.len == 0) {
        (void)edit_bad_param(e, key, "must be text");
        return false;
    }
    *out = gs_arena_copy(&e->arena, t->text);
    return true;
}

static void
read_weight(struct edit *e, const struct tree *t, struct split_weight *out)
{
    const struct tree *weight = tree_find(t, "weight");
    uint64_t v = 0;

    if (!edit_read_text(e, t, "subset", &out->subset) || !weight || weight->kind != TREE_SCALAR ||
        !weight->plain || !gs_slice_to_u64(weight->text, &v) || v > INT32_MAX || t->count != 2)
        (void)edit_bad_param(e, "weights",
                             "each is an object {\"subset\": TEXT, \"weight\": NUMBER}");
    out->weight = (uint32_t)v;
}

static void
read_split(struct edit *e, const struct tree *doc, struct split *s)
{
    const struct tree *weights = tree_find(doc, "weights");

    for (size_t i = 0; doc->kind == TREE_MAP && i < doc->count; i++) {
        if (!value_among("service|namespace|weights", doc->pairs[i].key.ptr))
            (void)edit_bad_param(e, gs_arena_strdup(&e->arena, doc->pairs[i].key),
                                 "is no field of a split: service, namespace and weights are");
    }
    if (!edit_read_text(e, doc, "service", &s->service))
        (void)edit_bad_param(e, "service", "must be there");
    s->ns = gs_slice_str(e->node->config->ns);
    if (edit_read_text(e, doc, "namespace", &s->ns) && !name_is_label(s->ns))
        (void)edit_bad_param(e, "namespace", "is no name of a namespace");
    if (!weights || weights->kind != TREE_SEQ || weights->count == 0 ||
        weights->count > GS_COUNT(s->weights)) {
        (void)edit_bad_param(e, "weights", "must be a list of 1 to 64 items");
        return;
    }
    for (size_t i = 0; i < weights->count; i++)
        read_weight(e, weights->items[i], &s->weights[s->count++]);
}

/* The VirtualService that says so becomes the edit's only object. */
static void
plan_split(struct edit *e)
{
    const struct policy_object **list = gs_arena_zalloc(&e->arena, sizeof(*list));
    const struct split *s = e->plan_arg;
    struct policy_object *made;

    if (model_split(e->node->model, s->service, s->ns, s->weights, s->count, &e->arena, &made,
                    &e->problems) != GS_E_OK)
        return;
    list[0] = made;
    e->objects = list;
    e->object_count = 1;
}

void
api_split(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    struct edit *e = edit_begin(n, c, r, false);
    struct split *s;
    struct tree *doc;

    if (!e)
        return;
    s = gs_arena_zalloc(&e->arena, sizeof(*s));
    if (tree_parse_json(r->body, NULL, &e->arena, &doc, &e->problems) == GS_E_OK)
        read_split(e, doc, s);
    e->plan = plan_split;
    e->plan_arg = s;
    edit_run(e);
}
