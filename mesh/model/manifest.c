/* manifest.c - which documents of a file are ours, and reading those. Start at manifest_read().
 *
 *     document ──kind──▶ ours: form (form.c) ▶ struct (parse_*.c) ▶ meaning (policy.c) ▶ objects
 *                  ├──▶ List: each item
 *                  ├──▶ Kubernetes' own and others that are not about a mesh: skipped, listed
 *                  └──▶ of a mesh, but not in this version, or misspelt: an error
 *
 * Nothing that would change traffic is left out silently, so the third way is the narrow one. */
#include <gossamer/policy.h>

#include <stdio.h>

#include <gossamer/alloc.h>
#include <gossamer/buf.h>
#include <gossamer/limits.h>

#include "mesh/model/codes.h"
#include "mesh/model/host.h"
#include "mesh/model/parse.h"
#include "mesh/model/scalar.h"
#include "mesh/model/form.h"

#define MANIFEST_LISTS_MAX 4 /* a List within a List ... */
#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"
#define ISTIO_GROUP "networking.istio.io"
#define OWN_GROUP "gossamer.dev"

/* Groups, by the end of their names, whose kinds say where traffic goes or who may talk. */
static const char *const mesh_groups[] = {
    "istio.io",
    "gateway.networking.k8s.io",
    "gateway.networking.x-k8s.io",
    "gossamer.dev",
    "linkerd.io",
    "smi-spec.io",
    "consul.hashicorp.com",
    "envoyproxy.io",
    "kuma.io",
    "traefik.io",
    "traefik.containo.us",
    "projectcontour.io",
    "getambassador.io",
    "kgateway.dev",
    "solo.io",
    "appmesh.k8s.aws",
};

static const char *const mesh_kinds[] = {
    "VirtualService",
    "DestinationRule",
    "ServiceEntry",
    "HTTPRoute",
    "GRPCRoute",
    "AuthorizationPolicy",
    "PeerAuthentication",
    /* from here on of nobody's list but upstream's */
    "Gateway",
    "Sidecar",
    "EnvoyFilter",
    "WorkloadEntry",
    "WorkloadGroup",
    "ProxyConfig",
    "WasmPlugin",
    "Telemetry",
    "RequestAuthentication",
};
#define UPSTREAM_KINDS 7 /* of mesh_kinds, built or to be built */

static const struct our_kind { /* that this version has */
    enum policy_kind kind;
    const char *group;
    const char *versions[3]; /* the first is what we tell people to write */
} our_kinds[] = {
    { POLICY_VIRTUAL_SERVICE, ISTIO_GROUP, { "v1", "v1beta1", "v1alpha3" } },
    { POLICY_DESTINATION_RULE, ISTIO_GROUP, { "v1", "v1beta1", "v1alpha3" } },
    { POLICY_NOTE, OWN_GROUP, { "v1" } },
    { POLICY_MAINTENANCE, OWN_GROUP, { "v1" } },
};

struct loading {
    struct manifest *m;
    const struct manifest_options *o;
    struct reader r;
    unsigned lists; /* we are within */
};

/* What a document says it is. */
struct head {
    struct gs_slice api_version, kind;
    struct gs_slice group, version;
    struct policy_place place; /* of apiVersion */
    struct policy_place kind_place;
};

static void read_document(struct loading *l, const struct tree *doc, const struct head *implied);

void
manifest_init(struct manifest *m)
{
    *m = (struct manifest){ 0 };
    gs_arena_init(&m->arena, NULL, 0, 4096);
}

void
manifest_fini(struct manifest *m)
{
    if (!m)
        return;
    gs_arena_fini(&m->arena);
    gs_free(m->objects);
    gs_free(m->skipped);
    *m = (struct manifest){ 0 };
}

/* ---- metadata ---- */

static void
check_label(struct loading *l, const struct tree_pair *p,
            gs_err (*check)(struct gs_slice, struct gs_why *))
{
    struct reader *r = &l->r;
    struct gs_why why;
    size_t mark = reader_enter(r, p->key);

    if (label_check_key(p->key, &why) != GS_E_OK)
        (void)reader_problem(r, GS_SEV_ERROR, CODE_POLICY_VALUE,
                             (struct policy_place){ p->line, p->column, false }, "%s", why.text);
    if (check && form_fits(p->value, FORM_METADATA, "labels") &&
        check(p->value->text, &why) != GS_E_OK)
        (void)reader_problem(r, GS_SEV_ERROR, CODE_POLICY_VALUE, reader_place(p->value), "%s",
                             why.text);
    reader_leave(r, mark);
}

static void
read_labels(struct loading *l, const struct tree *metadata, struct policy_object *o)
{
    const struct tree *labels = form_get(metadata, FORM_METADATA, "labels");
    size_t mark = reader_enter(&l->r, GS_SLICE("labels"));

    for (size_t i = 0; labels && i < labels->count; i++)
        check_label(l, &labels->pairs[i], label_check_value);
    if (labels)
        parse_pairs(&l->r, labels, &o->labels, &o->label_count);
    reader_leave(&l->r, mark);
}

static void
read_annotations(struct loading *l, const struct tree *metadata, struct policy_object *o)
{
    const struct tree *t = form_get(metadata, FORM_METADATA, "annotations");
    size_t mark = reader_enter(&l->r, GS_SLICE("annotations"));
    size_t kept = 0;

    for (size_t i = 0; t && i < t->count; i++)
        check_label(l, &t->pairs[i], NULL);
    if (t)
        parse_pairs(&l->r, t, &o->annotations, &o->annotation_count);
    for (size_t i = 0; i < o->annotation_count; i++) { /* kubectl's copy of the object itself */
        if (!gs_slice_eq(o->annotations[i].name, GS_SLICE(LAST_APPLIED)))
            o->annotations[kept++] = o->annotations[i];
    }
    GS_ASSERT(kept <= o->annotation_count);
    o->annotation_count = kept;
    reader_leave(&l->r, mark);
}

static void
read_name(struct loading *l, const struct tree *doc, const struct tree *metadata,
          struct policy_object *o)
{
    const struct tree *name = metadata ? form_get(metadata, FORM_METADATA, "name") : NULL;
    const struct tree *parent = metadata ? metadata : doc;
    size_t mark = reader_enter(&l->r, metadata ? GS_SLICE("name") : GS_SLICE("metadata.name"));

    if (name && !name_is_subdomain(name->text)) {
        struct gs_problem *item =
            reader_problem(&l->r, GS_SEV_ERROR, CODE_POLICY_NAME, reader_place(name),
                           "\"%.*s\" is no name of an object", GS_SLICE_FMT(name->text));

        gs_problem_hint(l->r.problems, item,
                        "a name has at most 253 lower-case letters, digits, '-' and '.'");
    } else if (name) {
        o->name = gs_arena_copy(l->r.arena, name->text);
    } else if (!form_has(parent, metadata ? "name" : "metadata")) {
        (void)reader_problem(&l->r, GS_SEV_ERROR, CODE_POLICY_MISSING, reader_place(parent),
                             "a name is required");
    }
    reader_leave(&l->r, mark);
}

static void
read_namespace(struct loading *l, const struct tree *doc, const struct tree *metadata,
               struct policy_object *o)
{
    const struct tree *ns = metadata ? form_get(metadata, FORM_METADATA, "namespace") : NULL;
    size_t mark = reader_enter(&l->r, GS_SLICE("namespace"));
    struct gs_slice text = ns ? ns->text : l->o->ns;

    if (name_is_label(text)) {
        o->ns = gs_arena_copy(l->r.arena, text);
    } else if (ns || !metadata || !form_has(metadata, "namespace")) {
        struct gs_problem *item =
            reader_problem(&l->r, GS_SEV_ERROR, CODE_POLICY_NAME, reader_place(ns ? ns : doc),
                           "\"%.*s\" is no name of a namespace", GS_SLICE_FMT(text));

        gs_problem_hint(l->r.problems, item,
                        "a namespace has at most 63 lower-case letters, digits and '-'");
    }
    reader_leave(&l->r, mark);
}

static void
read_metadata(struct loading *l, const struct tree *doc, struct policy_object *o)
{
    const struct tree *metadata = form_get(doc, FORM_OBJECT, "metadata");
    size_t mark;

    if (!metadata) {
        read_name(l, doc, NULL, o);
        return;
    }
    mark = reader_enter(&l->r, GS_SLICE("metadata"));
    read_name(l, doc, metadata, o);
    read_namespace(l, doc, metadata, o);
    read_labels(l, metadata, o);
    read_annotations(l, metadata, o);
    reader_leave(&l->r, mark);
}

/* ---- objects ---- */

static void
read_spec(struct loading *l, const struct tree *doc, struct policy_object *o)
{
    const struct tree *spec = form_get(doc, FORM_OBJECT, "spec");
    size_t mark = reader_enter(&l->r, GS_SLICE("spec"));

    o->place = reader_place(spec ? spec : doc);
    if (!spec) {
        if (!form_has(doc, "spec"))
            (void)reader_problem(&l->r, GS_SEV_ERROR, CODE_POLICY_MISSING, reader_place(doc),
                                 "a spec is required");
    } else if (o->kind == POLICY_VIRTUAL_SERVICE) {
        form_check(&l->r, spec, FORM_VIRTUAL_SERVICE);
        parse_virtual_service(&l->r, spec, &o->vs);
    } else if (o->kind == POLICY_DESTINATION_RULE) {
        form_check(&l->r, spec, FORM_DESTINATION_RULE);
        parse_destination_rule(&l->r, spec, &o->dr);
    } else if (o->kind == POLICY_MAINTENANCE) {
        form_check(&l->r, spec, FORM_MAINTENANCE);
        parse_maintenance(&l->r, spec, &o->maint);
    } else {
        GS_ASSERT(o->kind == POLICY_NOTE);
        form_check(&l->r, spec, FORM_NOTE);
        parse_note(&l->r, spec, &o->note);
    }
    reader_leave(&l->r, mark);
    if (spec && policy_validate(o, l->r.problems) != GS_E_OK)
        GS_ASSERT(l->r.problems->errors > 0);
}

static bool
is_twice(struct loading *l, const struct policy_object *o, const struct tree *doc)
{
    for (size_t i = 0; i < l->m->count; i++) {
        const struct policy_object *other = l->m->objects[i];

        if (other->kind != o->kind || !gs_slice_eq(other->ns, o->ns) ||
            !gs_slice_eq(other->name, o->name))
            continue;
        (void)reader_problem(&l->r, GS_SEV_ERROR, CODE_POLICY_DUPLICATE, reader_place(doc),
                             "%s %.*s/%.*s is there already (%s:%u)", policy_kind_name(o->kind),
                             GS_SLICE_FMT(o->ns), GS_SLICE_FMT(o->name),
                             other->file ? other->file : "line", other->place.line);
        return true;
    }
    return false;
}

static void
check_size(struct loading *l, const struct policy_object *o, const struct tree *doc)
{
    struct gs_buf bytes;

    gs_buf_init(&bytes, OBJECT_BYTES_MAX);
    if (policy_encode(o, &bytes) != GS_E_OK)
        (void)reader_problem(&l->r, GS_SEV_ERROR, CODE_POLICY_LIMIT, reader_place(doc),
                             "the object is larger than %d bytes", OBJECT_BYTES_MAX);
    gs_buf_fini(&bytes);
}

static void
add_object(struct loading *l, struct policy_object *o)
{
    struct manifest *m = l->m;

    GS_ASSERT(m->count < APPLY_OBJECTS_MAX);
    if ((m->count & (m->count - 1)) == 0)
        m->objects =
            gs_realloc(m->objects, (m->count ? m->count * 2 : 1) * sizeof(struct policy_object *));
    m->objects[m->count++] = o;
}

static void
read_object(struct loading *l, const struct tree *doc, enum policy_kind kind)
{
    struct policy_object *o = gs_arena_zalloc(&l->m->arena, sizeof(*o));
    size_t errors = l->r.problems->errors;

    o->kind = kind;
    o->file = l->o->file ? gs_arena_strdup(&l->m->arena, gs_slice_str(l->o->file)) : NULL;
    o->ns = gs_arena_copy(&l->m->arena, l->o->ns);
    form_check(&l->r, doc, FORM_OBJECT);
    read_metadata(l, doc, o);
    read_spec(l, doc, o);
    if (l->m->count >= APPLY_OBJECTS_MAX) {
        (void)reader_problem(&l->r, GS_SEV_ERROR, CODE_POLICY_LIMIT, reader_place(doc),
                             "one apply takes at most %d objects", APPLY_OBJECTS_MAX);
        return;
    }
    if (l->r.problems->errors == errors)
        check_size(l, o, doc);
    if (!is_twice(l, o, doc))
        add_object(l, o);
}

/* ---- kinds ---- */

static bool
in_group(struct gs_slice group, const char *end)
{
    struct gs_slice e = gs_slice_str(end);

    return gs_slice_ends(group, e) &&
           (group.len == e.len || group.ptr[group.len - e.len - 1] == '.');
}

static bool
is_mesh_group(struct gs_slice group)
{
    for (size_t i = 0; i < GS_COUNT(mesh_groups); i++) {
        if (in_group(group, mesh_groups[i]))
            return true;
    }
    return false;
}

static bool
is_one_of(struct gs_slice s, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (gs_slice_eq(s, gs_slice_str(words[i])))
            return true;
    }
    return false;
}

static const struct our_kind *
find_kind(struct gs_slice group, struct gs_slice kind)
{
    for (size_t i = 0; i < GS_COUNT(our_kinds); i++) {
        if (gs_slice_eq(group, gs_slice_str(our_kinds[i].group)) &&
            gs_slice_eq(kind, gs_slice_str(policy_kind_name(our_kinds[i].kind))))
            return &our_kinds[i];
    }
    return NULL;
}

static bool
has_version(const struct our_kind *k, struct gs_slice version)
{
    for (size_t i = 0; i < GS_COUNT(k->versions) && k->versions[i]; i++) {
        if (gs_slice_eq(version, gs_slice_str(k->versions[i])))
            return true;
    }
    return false;
}

/* A kind that is about a mesh, but that we do not read. */
static void
refuse_kind(struct loading *l, const struct head *h)
{
    struct gs_problem *item;
    static const char *const own_kinds[] = { "Maintenance", "Note" };
    const char *near;

    if (in_group(h->group, OWN_GROUP)) {
        item = reader_problem(&l->r, GS_SEV_ERROR, CODE_POLICY_KIND, h->kind_place,
                              "there is no kind %.*s in %.*s", GS_SLICE_FMT(h->kind),
                              GS_SLICE_FMT(h->api_version));
        near = gs_did_you_mean(h->kind.ptr, h->kind.len, own_kinds, GS_COUNT(own_kinds));
        if (near)
            gs_problem_hint(l->r.problems, item, "did you mean \"%s\"?", near);
        else
            gs_problem_hint(l->r.problems, item, "there are: Maintenance, Note");
        return;
    }
    if (is_one_of(h->kind, mesh_kinds, GS_COUNT(mesh_kinds)) || !in_group(h->group, "istio.io")) {
        item = reader_problem(&l->r, GS_SEV_ERROR, CODE_POLICY_KIND, h->kind_place,
                              "kind %.*s (%.*s) is not supported in this version",
                              GS_SLICE_FMT(h->kind), GS_SLICE_FMT(h->api_version));
        gs_problem_hint(l->r.problems, item, "take it out of the file");
        return;
    }
    item = reader_problem(&l->r, GS_SEV_ERROR, CODE_POLICY_KIND, h->kind_place,
                          "there is no kind %.*s in %.*s", GS_SLICE_FMT(h->kind),
                          GS_SLICE_FMT(h->api_version));
    near = gs_did_you_mean(h->kind.ptr, h->kind.len, mesh_kinds, GS_COUNT(mesh_kinds));
    if (near)
        gs_problem_hint(l->r.problems, item, "did you mean \"%s\"?", near);
}

static void
refuse_version(struct loading *l, const struct head *h, const struct our_kind *k)
{
    struct gs_problem *item = reader_problem(&l->r, GS_SEV_ERROR, CODE_POLICY_API, h->place,
                                             "%.*s has no version \"%.*s\"", GS_SLICE_FMT(h->group),
                                             GS_SLICE_FMT(h->version));

    gs_problem_hint(l->r.problems, item, "write %s/%s%s", k->group, k->versions[0],
                    k->versions[1] ? " (v1beta1 and v1alpha3 are read, too)" : "");
}

static void
skip(struct loading *l, const struct tree *doc, const struct head *h)
{
    struct manifest *m = l->m;
    const struct tree *name = tree_at(doc, "metadata.name");
    struct manifest_skipped *s;

    if ((m->skipped_count & (m->skipped_count - 1)) == 0)
        m->skipped = gs_realloc(m->skipped, (m->skipped_count ? m->skipped_count * 2 : 1) *
                                                sizeof(*m->skipped));
    s = &m->skipped[m->skipped_count++];
    *s = (struct manifest_skipped){
        .api_version = gs_arena_strdup(&m->arena, h->api_version),
        .kind = gs_arena_strdup(&m->arena, h->kind),
        .name = name && name->kind == TREE_SCALAR ? gs_arena_strdup(&m->arena, name->text) : "",
        .file = l->o->file ? gs_arena_strdup(&m->arena, gs_slice_str(l->o->file)) : NULL,
        .line = doc->line,
    };
}

static void
read_list(struct loading *l, const struct tree *doc, const struct head *h)
{
    const struct tree *items = tree_find(doc, "items");
    struct head implied = { .api_version = h->api_version, .kind = h->kind };
    size_t mark;

    implied.kind.len -= 4; /* "List": items of a VirtualServiceList may leave their kind out */
    if (!items || items->kind != TREE_SEQ || l->lists >= MANIFEST_LISTS_MAX) {
        mark = reader_enter(&l->r, GS_SLICE("items"));
        (void)reader_problem(&l->r, GS_SEV_ERROR, CODE_POLICY_TYPE,
                             reader_place(items ? items : doc),
                             l->lists >= MANIFEST_LISTS_MAX ? "lists are nested too deeply"
                                                            : "items must be a list");
        reader_leave(&l->r, mark);
        return;
    }
    l->lists++; /* fields are told from the item on: its line says which it is */
    for (size_t i = 0; i < items->count; i++)
        read_document(l, items->items[i], implied.kind.len > 0 ? &implied : NULL);
    GS_ASSERT(l->lists > 0);
    l->lists--;
}

/* ---- documents ---- */

static gs_err
read_text(struct loading *l, const struct tree *doc, const char *key, struct gs_slice implied,
          struct gs_slice *out, struct policy_place *place)
{
    const struct tree *t = tree_find(doc, key);
    size_t mark = reader_enter(&l->r, gs_slice_str(key));
    gs_err e = GS_E_OK;

    *place = reader_place(t ? t : doc);
    *out = t ? t->text : implied;
    if (!t && implied.len == 0) {
        struct gs_problem *item = reader_problem(&l->r, GS_SEV_ERROR, CODE_POLICY_DOCUMENT, *place,
                                                 "this is no manifest: it has no %s", key);

        gs_problem_hint(l->r.problems, item,
                        "begin with apiVersion: " ISTIO_GROUP "/v1 and kind: VirtualService");
        e = GS_E_INVALID;
    } else if (t && !form_fits(t, FORM_OBJECT, key)) {
        (void)reader_problem(&l->r, GS_SEV_ERROR, CODE_POLICY_DOCUMENT, *place, "must be text");
        e = GS_E_INVALID;
    }
    reader_leave(&l->r, mark);
    return e;
}

static gs_err
read_head(struct loading *l, const struct tree *doc, const struct head *implied, struct head *h)
{
    static const struct head none;
    ptrdiff_t slash;
    gs_err e;

    if (doc->kind != TREE_MAP) {
        (void)reader_problem(&l->r, GS_SEV_ERROR, CODE_POLICY_DOCUMENT, reader_place(doc),
                             "this is no manifest: it is no map");
        return GS_E_INVALID;
    }
    implied = implied ? implied : &none;
    e = read_text(l, doc, "apiVersion", implied->api_version, &h->api_version, &h->place);
    if (read_text(l, doc, "kind", implied->kind, &h->kind, &h->kind_place) != GS_E_OK)
        e = GS_E_INVALID;
    if (e != GS_E_OK)
        return e;
    slash = gs_slice_find(h->api_version, '/');
    h->group = slash < 0 ? GS_SLICE("") : gs_slice_head(h->api_version, (size_t)slash);
    h->version = slash < 0 ? h->api_version : gs_slice_from(h->api_version, (size_t)slash + 1);
    return GS_E_OK;
}

/* One of ours under another's name is a slip of the pen, not somebody else's object. */
static void
refuse_group(struct loading *l, const struct head *h)
{
    struct gs_problem *item = reader_problem(&l->r, GS_SEV_ERROR, CODE_POLICY_API, h->place,
                                             "kind %.*s is not of \"%.*s\"", GS_SLICE_FMT(h->kind),
                                             GS_SLICE_FMT(h->api_version));

    if (policy_kind_find(h->kind) != POLICY_NONE)
        gs_problem_hint(l->r.problems, item, "write apiVersion: " ISTIO_GROUP "/v1");
}

static bool
is_our_list(const struct head *h)
{
    struct gs_slice item = h->kind;

    if (!gs_slice_ends(h->kind, GS_SLICE("List")))
        return false;
    item.len -= 4;
    if (item.len == 0)
        return h->group.len == 0;
    return find_kind(h->group, item) || (gs_slice_eq(h->group, GS_SLICE(ISTIO_GROUP)) &&
                                         is_one_of(item, mesh_kinds, GS_COUNT(mesh_kinds)));
}

static void
read_document(struct loading *l, const struct tree *doc, const struct head *implied)
{
    const struct our_kind *k;
    struct head h;

    if (read_head(l, doc, implied, &h) != GS_E_OK)
        return;
    k = find_kind(h.group, h.kind);
    if (is_our_list(&h))
        read_list(l, doc, &h);
    else if (k && !has_version(k, h.version))
        refuse_version(l, &h, k);
    else if (k)
        read_object(l, doc, k->kind);
    else if (is_mesh_group(h.group))
        refuse_kind(l, &h);
    else if (is_one_of(h.kind, mesh_kinds, UPSTREAM_KINDS))
        refuse_group(l, &h);
    else
        skip(l, doc, &h);
}

gs_err
manifest_read(struct manifest *m, const struct tree_docs *docs, const struct manifest_options *o,
              struct gs_problems *problems)
{
    size_t before = problems->errors;
    struct loading l = {
        .m = m,
        .o = o,
        .r = { .file = o->file, .problems = problems, .arena = &m->arena },
    };

    for (size_t i = 0; i < docs->count; i++)
        read_document(&l, docs->docs[i], NULL);
    GS_ASSERT(l.r.path_len == 0);
    GS_ASSERT(l.lists == 0);
    return problems->errors == before ? GS_E_OK : GS_E_INVALID;
}
