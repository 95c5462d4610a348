/* api_maintenance.c - what an operator wants of nodes and endpoints for a while.
 *
 *     POST /api/v1/drain     {"target": "n3", "reason": TEXT, "by": TEXT}
 *     POST /api/v1/undrain   {"target": "n3"}
 *     POST /api/v1/weight    {"target": "web/127.0.0.1:9001", "weight": 10, ...}
 *
 * All take {"namespace": of a service where none is written, "as": "node" or "service"} and the
 * parameters of every edit. model_maintain() makes objects of it; edit.c does the rest. */
#include "mesh/config/config.h"
#include "mesh/config/json.h"
#include "mesh/config/value.h"
#include "mesh/edit.h"
#include "mesh/model/codes.h"
#include "mesh/model/host.h"

static const char *
fields_of(enum model_maintain_verb verb)
{
    switch (verb) {
    case MODEL_DRAIN:
        return "target|namespace|as|reason|by";
    case MODEL_UNDRAIN:
        return "target|namespace|as";
    case MODEL_WEIGHT:
        return "target|namespace|as|reason|by|weight";
    }
    GS_UNREACHABLE("maintenance verb");
}

static void
check_fields(struct edit *e, const struct tree *doc, const char *fields)
{
    struct gs_problem *item;

    if (doc->kind != TREE_MAP) {
        (void)edit_bad_param(e, "target", "the body is an object {\"target\": TEXT, ...}");
        return;
    }
    for (size_t i = 0; i < doc->count; i++) {
        if (value_among(fields, doc->pairs[i].key.ptr))
            continue;
        item = edit_bad_param(e, gs_arena_strdup(&e->arena, doc->pairs[i].key),
                              "there is no such field");
        gs_problem_hint(&e->problems, item, "there are: %s", fields);
    }
}

static void
read_as(struct edit *e, const struct tree *doc, struct model_maintain *w)
{
    struct gs_slice as;

    if (!edit_read_text(e, doc, "as", &as))
        return;
    if (gs_slice_eq(as, GS_SLICE("node")))
        w->as = MODEL_TARGET_NODE;
    else if (gs_slice_eq(as, GS_SLICE("service")))
        w->as = MODEL_TARGET_SERVICE;
    else
        (void)edit_bad_param(e, "as", "is node or service");
}

static void
read_weight(struct edit *e, const struct tree *doc, struct model_maintain *w)
{
    const struct tree *t = tree_find(doc, "weight");
    uint64_t v = 0;

    if (!t || t->kind != TREE_SCALAR || !t->plain || !gs_slice_to_u64(t->text, &v) ||
        v > MAINT_WEIGHT_MAX)
        (void)edit_bad_param(e, "weight", "must be a number of 0 to 1000, in percent");
    else
        w->weight = (uint32_t)v;
}

static void
read_wish(struct edit *e, const struct tree *doc, struct model_maintain *w)
{
    check_fields(e, doc, fields_of(w->verb));
    if (!edit_read_text(e, doc, "target", &w->target) && e->problems.errors == 0)
        (void)edit_bad_param(e, "target", "must be there");
    w->ns = gs_slice_str(e->node->config->ns);
    if (edit_read_text(e, doc, "namespace", &w->ns) && !name_is_label(w->ns))
        (void)edit_bad_param(e, "namespace", "is no name of a namespace");
    read_as(e, doc, w);
    (void)edit_read_text(e, doc, "reason", &w->reason);
    (void)edit_read_text(e, doc, "by", &w->by);
    if (w->verb == MODEL_WEIGHT)
        read_weight(e, doc, w);
    w->force = e->force;
}

static void
plan(struct edit *e)
{
    const struct model_maintain *w = e->plan_arg;
    struct model_maintained made;

    if (model_maintain(e->node->model, w, &e->arena, &made, &e->problems) != GS_E_OK)
        return;
    e->objects = made.objects;
    e->object_count = made.object_count;
    e->deletes = made.deletes;
    e->delete_count = made.delete_count;
}

static void
maintain(struct node *n, struct admin_call *c, const struct admin_request *r,
         enum model_maintain_verb verb)
{
    struct edit *e = edit_begin(n, c, r, false);
    struct model_maintain *w;
    struct tree *doc;

    if (!e)
        return;
    w = gs_arena_zalloc(&e->arena, sizeof(*w));
    *w = (struct model_maintain){ .verb = verb, .reason = GS_SLICE(""), .by = GS_SLICE("") };
    if (tree_parse_json(r->body, NULL, &e->arena, &doc, &e->problems) == GS_E_OK)
        read_wish(e, doc, w);
    e->plan = plan;
    e->plan_arg = w;
    edit_run(e);
}

void
api_drain(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    maintain(n, c, r, MODEL_DRAIN);
}

void
api_undrain(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    maintain(n, c, r, MODEL_UNDRAIN);
}

void
api_weight(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    maintain(n, c, r, MODEL_WEIGHT);
}
