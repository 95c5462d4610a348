/* api_history.c - former versions of an object, and the writes that lost against one they had not
 * seen. Both are the store's: the core is asked, on its thread.
 *
 *     GET /api/v1/objects/K/NS/N?history=1     {"history": [the present version first, ...]}
 *     GET /api/v1/objects/K/NS/N?version=V     that version as a manifest
 *     GET /api/v1/analyze                      findings, GS0210 for each lost write among them */
#include <gossamer/alloc.h>
#include <gossamer/gossip_loop.h>

#include "mesh/config/config.h"
#include "mesh/model/codes.h"
#include "mesh/objects.h"
#include "mesh/roster.h"

#define VERSIONS_MAX (RECORD_HISTORY_MAX + 1)
#define ANSWER_BYTES_MAX (4u << 20)

struct history {
    struct gossip_call call;
    struct node *node;
    struct admin_call *admin;
    struct gs_arena arena;
    char key[POLICY_KEY_TEXT];
    struct gs_version wanted;                    /* generation 0: the list */
    struct gossip_former versions[VERSIONS_MAX]; /* kept */
    size_t count;
};

/* On the gossip thread. */
static void
run(struct gossip_call *c, struct gossip *g, uint64_t now_ms, uint64_t wall_ms)
{
    struct history *h = GS_CONTAINER(c, struct history, call);
    struct gs_slice key = gs_slice_str(h->key);

    (void)now_ms;
    (void)wall_ms;
    if (!gossip_find(g, GOSSIP_OPERATOR, NULL, key, &h->versions[0].record))
        return;
    h->count = 1 + gossip_history(g, key, h->versions + 1, RECORD_HISTORY_MAX);
    for (size_t i = 0; i < h->count; i++)
        gossip_record_keep(&h->versions[i].record);
}

static void
version_json(const struct history *h, size_t i, struct json_out *j)
{
    const struct gossip_record *r = &h->versions[i].record;
    char version[GS_VERSION_TEXT], id[GS_ID_TEXT];

    json_obj(j);
    json_kstr(j, "version", gs_version_text(&r->version, version));
    json_ku64(j, "written_ms", gs_hlc_ms(r->version.hlc));
    json_kslice(j, "writer", roster_call(h->node->members, &r->version.writer, id));
    json_kstr(j, "state", r->tombstone ? "deleted" : i == 0 ? "current" : "former");
    json_kbool(j, "conflict", h->versions[i].conflict);
    json_obj_end(j);
}

static void
reply_list(struct history *h)
{
    struct gs_buf out;
    struct json_out j;

    gs_buf_init(&out, ANSWER_BYTES_MAX);
    json_init(&j, &out);
    json_obj(&j);
    json_key(&j, "history");
    json_arr(&j);
    for (size_t i = 0; i < h->count; i++)
        version_json(h, i, &j);
    json_arr_end(&j);
    json_obj_end(&j);
    admin_reply_json(h->admin, 200, &out);
}

static void
reply_manifest(struct history *h, const struct gossip_record *r)
{
    struct gs_why why = { "" };
    struct policy_object *o;
    struct gs_buf out;
    struct json_out j;

    if (r->tombstone) {
        admin_error(h->admin, 404, CODE_POLICY_NOT_FOUND, NULL, "%s was deleted by that version",
                    h->key);
    } else if (policy_decode(r->key, r->value, &h->arena, &o, &why) != GS_E_OK) {
        admin_error(h->admin, 422, CODE_POLICY_VALUE, NULL, "%s: %s", h->key, why.text);
    } else {
        gs_buf_init(&out, ANSWER_BYTES_MAX);
        json_init(&j, &out);
        policy_export(o, &r->version, r->born_hlc, &j);
        admin_reply_json(h->admin, 200, &out);
    }
}

static void
reply_version(struct history *h)
{
    for (size_t i = 0; i < h->count; i++) {
        if (gs_version_cmp(&h->versions[i].record.version, &h->wanted) == 0) {
            reply_manifest(h, &h->versions[i].record);
            return;
        }
    }
    admin_error(h->admin, 404, CODE_POLICY_NOT_FOUND, "gossamer get KIND NAME --history lists them",
                "%s has no such version, or it is kept no longer", h->key);
}

static void
on_done(struct gossip_call *c)
{
    struct history *h = GS_CONTAINER(c, struct history, call);

    if (h->count == 0)
        admin_error(h->admin, 404, CODE_POLICY_NOT_FOUND, "gossamer get -A lists what there is",
                    "there is no %s", h->key);
    else if (h->wanted.generation > 0)
        reply_version(h);
    else
        reply_list(h);
    for (size_t i = 0; i < h->count; i++)
        gossip_record_drop(&h->versions[i].record);
    gs_arena_fini(&h->arena);
    gs_free(h);
}

bool
history_asked(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    struct gs_version wanted = { 0 };
    struct gs_slice text;
    struct model_key k;
    struct history *h;

    if (!admin_query(r, "version", &text)) {
        if (!admin_query(r, "history", &text) || gs_slice_eq(text, GS_SLICE("false")))
            return false;
    } else if (gs_version_parse(&wanted, text) != GS_E_OK) {
        admin_error(c, 400, "GS0400", "gossamer get KIND NAME --history -o wide shows them in full",
                    "%.*s is no version", GS_SLICE_FMT(text));
        return true;
    }
    if (!objects_key(n, c, r, &k))
        return true;
    h = gs_zalloc(sizeof(*h));
    h->node = n;
    h->admin = c;
    h->wanted = wanted;
    gs_arena_init(&h->arena, NULL, 0, 2048);
    (void)policy_key(k.kind, k.ns, k.name, h->key);
    h->call = (struct gossip_call){ .run = run, .done = on_done };
    gs_list_init(&h->call.link);
    if (n->gossip)
        gossip_loop_call(n->gossip, &h->call);
    else
        on_done(&h->call);
    return true;
}

/* ---- findings ---- */

struct analysis {
    struct gossip_call call;
    struct admin_call *admin;
    struct gs_problems problems;
};

/* On the gossip thread: a walk over all keys, most of which have no former version at all. */
static void
find_conflicts(struct gossip_call *c, struct gossip *g, uint64_t now_ms, uint64_t wall_ms)
{
    struct analysis *a = GS_CONTAINER(c, struct analysis, call);
    struct gossip_former former[RECORD_HISTORY_MAX];
    char version[GS_VERSION_TEXT];
    struct gossip_record r;

    (void)now_ms;
    (void)wall_ms;
    for (size_t at = 0; gossip_next_record(g, &at, &r);) {
        size_t count = r.class == GOSSIP_OPERATOR && r.kind >= GOSSIP_KIND_USER
                           ? gossip_history(g, r.key, former, GS_COUNT(former))
                           : 0;

        for (size_t i = 0; i < count; i++) {
            struct gs_problem *p;

            if (!former[i].conflict)
                continue;
            p = gs_problems_add(
                &a->problems, GS_SEV_WARNING, CODE_POLICY_CONFLICT, NULL, 0, 0, NULL,
                "%.*s: version %s lost against another that was written at "
                "the same time",
                GS_SLICE_FMT(r.key), gs_version_text(&former[i].record.version, version));
            gs_problem_hint(&a->problems, p,
                            "see both with gossamer get KIND NAME --history; gossamer rollback "
                            "KIND NAME --to VERSION, of the one to keep, settles it");
        }
    }
}

static void
on_analyzed(struct gossip_call *c)
{
    struct analysis *a = GS_CONTAINER(c, struct analysis, call);

    admin_error_problems(a->admin, 200, &a->problems);
    gs_problems_fini(&a->problems);
    gs_free(a);
}

void
api_analyze(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    struct analysis *a = gs_zalloc(sizeof(*a));

    (void)r;
    a->admin = c;
    gs_problems_init(&a->problems);
    model_analyze(n->model, &a->problems);
    a->call = (struct gossip_call){ .run = find_conflicts, .done = on_analyzed };
    gs_list_init(&a->call.link);
    if (n->gossip)
        gossip_loop_call(n->gossip, &a->call);
    else
        on_analyzed(&a->call);
}
