/* api_objects.c - reading policy objects: lists, and one as the manifest it came from.
 *
 *     GET /api/v1/objects?kind=&namespace=             {"objects": [what there is, in short]}
 *     GET /api/v1/objects?manifests=true&...           a List that apply takes back as unchanged
 *     GET /api/v1/objects/KIND/NAMESPACE/NAME          one such manifest; its state is in `status`
 * Former versions are api_history.c's. */
#include "mesh/objects.h"

#include "mesh/config/config.h"
#include "mesh/model/codes.h"
#include "mesh/model/host.h"

#define ANSWER_BYTES_MAX (64u << 20)
#define KINDS_HINT "kinds are VirtualService (vs), DestinationRule (dr), Maintenance (mt) and Note"

static struct gs_slice
namespace_meant(const struct node *n, struct gs_slice ns)
{
    return gs_slice_eq(ns, GS_SLICE("-")) ? gs_slice_str(n->config->ns) : ns;
}

bool
objects_namespace(const struct node *n, const struct admin_request *r, struct gs_slice *ns)
{
    struct gs_slice text = GS_SLICE("-");

    (void)admin_query(r, "namespace", &text);
    *ns = namespace_meant(n, text);
    return name_is_label(*ns);
}

/* ---- one ---- */

/* The same name elsewhere is nearest, then names within two typing errors. NULL: nothing is like
 * it. */
static const char *
near_match(const struct node *n, const struct model_key *k, struct gs_arena *arena)
{
    const char *near = NULL;
    unsigned best = k->name.len <= 3 ? 2 : 3;
    struct model_object o;

    for (size_t at = 0; model_next_object(n->model, &at, &o);) {
        unsigned distance = gs_slice_distance(o.name, k->name, 2);

        if (o.kind != k->kind || distance >= best)
            continue;
        best = distance;
        near = gs_arena_printf(arena, "did you mean %s %.*s -n %.*s?", policy_kind_name(o.kind),
                               GS_SLICE_FMT(o.name), GS_SLICE_FMT(o.ns));
    }
    return near;
}

bool
objects_key(const struct node *n, struct admin_call *c, const struct admin_request *r,
            struct model_key *key)
{
    struct gs_slice rest = r->rest;
    struct gs_slice kind, ns;

    if (!gs_slice_cut(&rest, '/', &kind) || !gs_slice_cut(&rest, '/', &ns) || rest.len == 0) {
        admin_error(c, 400, "GS0400", NULL, "the path is /api/v1/objects/KIND/NAMESPACE/NAME");
        return false;
    }
    key->kind = policy_kind_find(kind);
    key->ns = namespace_meant(n, admin_percent_decode(r->arena, ns));
    key->name = admin_percent_decode(r->arena, rest);
    if (key->kind == POLICY_NONE) {
        admin_error(c, 404, CODE_POLICY_KIND, KINDS_HINT, "there is no kind %.*s",
                    GS_SLICE_FMT(kind));
        return false;
    }
    if (key->ns.len <= 63 && key->name.len <= 253)
        return true;
    admin_error(c, 404, CODE_POLICY_NOT_FOUND, NULL, "no object has so long a name");
    return false;
}

bool
objects_find_or_refuse(struct node *n, struct admin_call *c, const struct admin_request *r,
                       struct model_key *key, struct model_object *out)
{
    const char *near;

    if (!objects_key(n, c, r, key))
        return false;
    if (model_find_object(n->model, key->kind, key->ns, key->name, out))
        return true;
    near = near_match(n, key, r->arena);
    admin_error(c, 404, CODE_POLICY_NOT_FOUND, near ? near : "gossamer get -A lists what there is",
                "there is no %s %.*s/%.*s", policy_kind_name(key->kind), GS_SLICE_FMT(key->ns),
                GS_SLICE_FMT(key->name));
    return false;
}

static void
status_json(struct json_out *j, const struct model_object *o)
{
    char version[GS_VERSION_TEXT];

    json_obj(j);
    json_kstr(j, "state", model_state_text(o->state));
    if (o->state != MODEL_ACTIVE && o->active_version.generation > 0)
        json_kstr(j, "activeVersion", gs_version_text(&o->active_version, version));
    if (o->why)
        json_kstr(j, "why", o->why);
    json_obj_end(j);
}

/* A version that this node cannot read has no spec here; its bytes are kept and passed on. */
static void
unreadable_json(struct json_out *j, const struct model_object *o)
{
    char version[GS_VERSION_TEXT];

    json_obj(j);
    json_kstr(j, "kind", policy_kind_name(o->kind));
    json_key(j, "metadata");
    json_obj(j);
    json_kslice(j, "name", o->name);
    json_kslice(j, "namespace", o->ns);
    json_kstr(j, "resourceVersion", gs_version_text(&o->version, version));
    json_obj_end(j);
    json_obj_end(j);
}

/* The manifest, and behind its last field what the server knows. */
static void
manifest_json(struct gs_buf *out, const struct model_object *o)
{
    struct json_out j;

    json_init(&j, out);
    if (o->object)
        policy_export(o->object, &o->version, o->born_hlc, &j);
    else
        unreadable_json(&j, o);
    if (out->failed)
        return;
    GS_ASSERT(out->len > 0 && out->ptr[out->len - 1] == '}');
    out->len--;
    (void)gs_buf_put_str(out, ",\"status\":");
    json_init(&j, out);
    status_json(&j, o);
    (void)gs_buf_put_str(out, "}");
}

void
api_object(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    struct model_object o;
    struct model_key key;
    struct gs_buf out;

    if (history_asked(n, c, r) || !objects_find_or_refuse(n, c, r, &key, &o))
        return;
    gs_buf_init(&out, ANSWER_BYTES_MAX);
    manifest_json(&out, &o);
    admin_reply_json(c, 200, &out);
}

/* ---- many ---- */

static void
list_manifests(const struct node *n, enum policy_kind kind, struct gs_slice ns, struct gs_buf *out)
{
    struct model_object o;
    const char *comma = "";

    (void)gs_buf_put_str(out, "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[");
    for (size_t at = 0; model_next_object(n->model, &at, &o);) {
        if (!o.object || (kind != POLICY_NONE && o.kind != kind) ||
            (ns.len > 0 && !gs_slice_eq(o.ns, ns)))
            continue;
        (void)gs_buf_put_str(out, comma);
        manifest_json(out, &o);
        comma = ",";
    }
    (void)gs_buf_put_str(out, "]}");
}

void
api_objects(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    struct gs_slice kind_text, manifests, ns = GS_SLICE("");
    enum policy_kind kind = POLICY_NONE;
    struct json_out j;
    struct gs_buf out;

    if (admin_query(r, "kind", &kind_text) && kind_text.len > 0) {
        kind = policy_kind_find(kind_text);
        if (kind == POLICY_NONE) {
            admin_error(c, 404, CODE_POLICY_KIND, KINDS_HINT, "there is no kind %.*s",
                        GS_SLICE_FMT(kind_text));
            return;
        }
    }
    (void)admin_query(r, "namespace", &ns);
    ns = namespace_meant(n, ns);
    gs_buf_init(&out, ANSWER_BYTES_MAX);
    json_init(&j, &out);
    if (admin_query(r, "manifests", &manifests) && !gs_slice_eq(manifests, GS_SLICE("false")))
        list_manifests(n, kind, ns, &out);
    else
        model_objects_json(n->model, kind, ns, &j);
    if (out.failed) {
        gs_buf_fini(&out);
        admin_error(c, 500, "GS0500", "ask for one kind or namespace",
                    "the answer would be larger than %u bytes", ANSWER_BYTES_MAX);
        return;
    }
    admin_reply_json(c, 200, &out);
}
