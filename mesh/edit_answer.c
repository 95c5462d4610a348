/* edit_answer.c - what an edit came to, as JSON: design.md 9. */
#include "mesh/edit.h"

#include "mesh/config/config.h"

#define NOT_SAVED_HINT "a restart would lose it: make room in state_dir, then do the same again"

size_t
edit_object_of(const struct policy_object *const *objects, size_t count, const struct gs_problem *p)
{
    size_t found = SIZE_MAX;

    for (size_t i = 0; i < count; i++) {
        const struct policy_object *o = objects[i];
        bool same_file = o->file && p->file ? strcmp(o->file, p->file) == 0 : o->file == p->file;

        if (!same_file || o->place.line > p->line ||
            (o->place.line == p->line && o->place.column > p->column))
            continue;
        if (p->line > 0 || count == 1) /* objects of a file come in its order */
            found = i;
    }
    return found;
}

static void
warnings_json(struct json_out *j, const struct edit *e, size_t object)
{
    json_key(j, "warnings");
    json_arr(j);
    for (size_t i = 0; i < e->problems.count; i++) {
        const struct gs_problem *p = &e->problems.items[i];

        if (p->severity == GS_SEV_WARNING &&
            edit_object_of(e->objects, e->object_count, p) == object)
            admin_problem_json(j, p);
    }
    json_arr_end(j);
}

static void
key_json(struct json_out *j, const struct edit_outcome *o)
{
    char text[GS_VERSION_TEXT];

    json_kstr(j, "kind", policy_kind_name(o->key.kind));
    json_kslice(j, "namespace", o->key.ns);
    json_kslice(j, "name", o->key.name);
    json_kstr(j, "version", o->version.generation > 0 ? gs_version_text(&o->version, text) : NULL);
}

/* "unchanged" beats what it is otherwise; `why` tells that it waits all the same. */
static void
state_json(struct json_out *j, const struct edit *e, const struct edit_outcome *o)
{
    struct model_object is;

    if (e->dry_run) {
        json_kstr(j, "state", o->unchanged ? "unchanged" : "changed");
        return;
    }
    if (!model_find_object(e->node->model, o->key.kind, o->key.ns, o->key.name, &is)) {
        json_kstr(j, "state", "deleted"); /* by another edit, while this one was being saved */
        return;
    }
    json_kstr(j, "state", o->unchanged ? "unchanged" : model_state_text(is.state));
    if (is.why)
        json_kstr(j, "why", is.why);
}

static void
applied_json(struct json_out *j, const struct edit *e)
{
    json_key(j, "applied");
    json_arr(j);
    for (size_t i = 0; i < e->object_count; i++) {
        json_obj(j);
        key_json(j, &e->outcomes[i]);
        state_json(j, e, &e->outcomes[i]);
        warnings_json(j, e, i);
        json_obj_end(j);
    }
    json_arr_end(j);
}

static void
deleted_json(struct json_out *j, const struct edit *e)
{
    json_key(j, "deleted");
    json_arr(j);
    for (size_t i = 0; i < e->delete_count; i++) {
        json_obj(j);
        key_json(j, &e->outcomes[e->object_count + i]);
        json_obj_end(j);
    }
    json_arr_end(j);
}

static void
skipped_json(struct json_out *j, const struct manifest *m)
{
    json_key(j, "skipped");
    json_arr(j);
    for (size_t i = 0; i < m->skipped_count; i++) {
        const struct manifest_skipped *s = &m->skipped[i];

        json_obj(j);
        json_kstr(j, "apiVersion", s->api_version);
        json_kstr(j, "kind", s->kind);
        json_kstr(j, "name", s->name);
        if (s->file)
            json_kstr(j, "file", s->file);
        json_ku64(j, "line", s->line);
        json_obj_end(j);
    }
    json_arr_end(j);
}

static void
laggard_json(struct json_out *j, struct gs_slice node, const char *why)
{
    json_obj(j);
    json_kslice(j, "node", node);
    json_kstr(j, "why", why);
    json_obj_end(j);
}

static void
confirmation_json(struct json_out *j, const struct edit *e, const struct edit_confirmation *c)
{
    struct gs_slice name;
    const char *why;
    bool written = !e->dry_run && e->object_count + e->delete_count > 0;

    json_ku64(j, "asked", written + confirm_asked(c->others));
    json_ku64(j, "confirmed", (written && c->confirmed) + confirm_confirmed(c->others));
    json_kdouble(j, "ms", c->ms);
    json_key(j, "laggards");
    json_arr(j);
    if (!c->confirmed)
        laggard_json(j, gs_slice_str(e->node->config->node), c->why);
    for (size_t at = 0; confirm_next_laggard(c->others, &at, &name, &why);)
        laggard_json(j, name, why);
    json_arr_end(j);
}

static void
not_saved_json(struct json_out *j, const struct edit *e)
{
    char text[sizeof(e->commit.why) + 64];
    struct gs_problem p = {
        .severity = GS_SEV_ERROR, .code = "GS0500", .message = text, .hint = NOT_SAVED_HINT
    };

    (void)snprintf(text, sizeof(text), "applied in memory, but not saved: %s", e->commit.why);
    json_key(j, "errors");
    json_arr(j);
    admin_problem_json(j, &p);
    json_arr_end(j);
}

void
edit_answer_json(const struct edit *e, const struct edit_confirmation *c, struct gs_buf *out)
{
    struct json_out j;

    json_init(&j, out);
    json_obj(&j);
    if (e->commit.saved != GS_E_OK)
        not_saved_json(&j, e);
    if (e->object_count > 0 || e->delete_count == 0)
        applied_json(&j, e);
    if (e->delete_count > 0)
        deleted_json(&j, e);
    skipped_json(&j, &e->manifest);
    warnings_json(&j, e, SIZE_MAX);
    if (e->dry_run)
        json_kbool(&j, "dry_run", true);
    confirmation_json(&j, e, c);
    json_obj_end(&j);
}
