/* edit.c - an operator's edit on its way: checked, written as one transaction, waited for. */
#include "mesh/edit.h"

#include <gossamer/alloc.h>
#include <gossamer/gossip.h>

#include "mesh/config/config.h"
#include "mesh/model/codes.h"

struct edit *
edit_new(struct node *n, struct admin_call *c)
{
    struct edit *e = gs_zalloc(sizeof(*e));

    e->node = n;
    e->call = c;
    e->started_ns = n->loop->now_ns;
    gs_arena_init(&e->arena, NULL, 0, 4096);
    gs_problems_init(&e->problems);
    manifest_init(&e->manifest);
    return e;
}

void
edit_free(struct edit *e)
{
    if (!e)
        return;
    GS_ASSERT(!e->committing);
    GS_ASSERT(!gs_timer_armed(&e->deadline));
    manifest_fini(&e->manifest);
    gs_problems_fini(&e->problems);
    gs_arena_fini(&e->arena);
    gs_free(e);
}

static struct admin_call *
take_call(struct edit *e)
{
    struct admin_call *c = e->call;

    GS_ASSERT(c);
    e->call = NULL;
    return c;
}

/* ---- the answer ---- */

static void
answer(struct edit *e, unsigned status, bool confirmed, const char *why)
{
    struct edit_confirmation c = { .confirmed = confirmed, .why = why };
    struct gs_buf out;

    gs_loop_clock(e->node->loop);
    c.ms = (double)(e->node->loop->now_ns - e->started_ns) / 1e6;
    gs_buf_init(&out, 16u << 20);
    edit_answer_json(e, &c, &out);
    if (out.failed) { /* long names, times a thousand skipped documents */
        gs_buf_fini(&out);
        admin_error(take_call(e), status == 200 ? 500 : status, "GS0500",
                    "ask with `gossamer get` what is there now",
                    "it was done, but the answer is too large to tell");
        return;
    }
    admin_reply_json(take_call(e), status, &out);
}

static void
answer_saved(struct edit *e, bool confirmed)
{
    if (e->commit.saved == GS_E_OK)
        answer(e, 200, confirmed, confirmed ? NULL : "its workers have not taken the change up");
    else
        answer(e, 500, confirmed, confirmed ? NULL : e->commit.why);
}

/* Nothing was changed; the edit ends. */
static void
refuse(struct edit *e, unsigned status)
{
    GS_ASSERT(e->problems.errors > 0);
    admin_error_problems(take_call(e), status, &e->problems);
    edit_free(e);
}

static void
refuse_why(struct edit *e, unsigned status, const char *code, const char *hint,
           const struct gs_why *why)
{
    admin_error(take_call(e), status, code, hint, "%s", why->text);
    edit_free(e);
}

/* ---- what is written ---- */

static void
list_outcomes(struct edit *e)
{
    size_t count = e->object_count + e->delete_count;

    e->outcomes = gs_arena_zalloc(&e->arena, (count + 1) * sizeof(*e->outcomes));
    for (size_t i = 0; i < e->object_count; i++)
        e->outcomes[i].key =
            (struct model_key){ e->objects[i]->kind, e->objects[i]->ns, e->objects[i]->name };
    for (size_t i = 0; i < e->delete_count; i++)
        e->outcomes[e->object_count + i].key = e->deletes[i];
}

static void
too_large(struct edit *e, const struct policy_object *o)
{
    (void)gs_problems_add(&e->problems, GS_SEV_ERROR, CODE_POLICY_LIMIT, o->file, o->place.line,
                          o->place.column, NULL, "%s %.*s/%.*s is larger than %d bytes",
                          policy_kind_name(o->kind), GS_SLICE_FMT(o->ns), GS_SLICE_FMT(o->name),
                          OBJECT_BYTES_MAX);
}

static struct gossip_op *
make_ops(struct edit *e)
{
    size_t count = e->object_count + e->delete_count;
    struct gossip_op *ops = gs_arena_zalloc(&e->arena, (count + 1) * sizeof(*ops));
    char key[POLICY_KEY_TEXT];
    struct gs_buf value;

    gs_buf_init(&value, OBJECT_BYTES_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct model_key *k = &e->outcomes[i].key;

        ops[i].kind = (uint16_t)k->kind;
        ops[i].key = gs_slice_str(
            gs_arena_strdup(&e->arena, gs_slice_str(policy_key(k->kind, k->ns, k->name, key))));
        ops[i].remove = i >= e->object_count;
        ops[i].if_version = e->conditional ? &e->if_version : NULL;
        if (ops[i].remove)
            continue;
        gs_buf_fini(&value); /* a failure is sticky */
        if (policy_encode(e->objects[i], &value) != GS_E_OK)
            too_large(e, e->objects[i]);
        ops[i].value = gs_arena_copy(&e->arena, gs_buf_slice(&value));
    }
    gs_buf_fini(&value);
    return ops;
}

/* ---- checks ---- */

static bool
is_countable(struct edit *e)
{
    size_t count = e->object_count + e->delete_count;

    if (count > APPLY_OBJECTS_MAX)
        (void)gs_problems_add(&e->problems, GS_SEV_ERROR, CODE_POLICY_LIMIT, NULL, 0, 0, NULL,
                              "%zu objects are too many, at most %d are taken at once", count,
                              APPLY_OBJECTS_MAX);
    if (e->conditional && count != 1)
        (void)gs_problems_add(&e->problems, GS_SEV_ERROR, "GS0400", NULL, 0, 0, NULL,
                              "if_version is about one object, and these are %zu", count);
    return e->problems.errors == 0;
}

static gs_err
check_change(struct edit *e)
{
    struct model_change change = { .objects = e->objects,
                                   .object_count = e->object_count,
                                   .deletes = e->deletes,
                                   .delete_count = e->delete_count,
                                   .force = e->force };

    return model_check_change(e->node->model, &change, &e->problems);
}

/* ---- dry run ---- */

static bool
present(const struct edit *e, const struct gossip_op *op, struct gossip_record *r)
{
    return gossip_find(e->node->gossip, GOSSIP_OPERATOR, NULL, op->key, r) && !r->tombstone;
}

static void
dry_run(struct edit *e, const struct gossip_op *ops)
{
    static const struct gs_version none;

    for (size_t i = 0; i < e->object_count + e->delete_count; i++) {
        struct edit_outcome *o = &e->outcomes[i];
        struct gossip_record r;
        bool is = present(e, &ops[i], &r);

        o->version = is ? r.version : none;
        o->unchanged = is && !ops[i].remove && gs_slice_eq(r.value, ops[i].value);
        if (ops[i].if_version && gs_version_cmp(ops[i].if_version, &o->version) != 0) {
            struct gs_why why;
            char text[GS_VERSION_TEXT];

            (void)gs_refuse(&why, GS_E_CONFLICT, "%.*s is at %s", GS_SLICE_FMT(ops[i].key),
                            is ? gs_version_text(&o->version, text) : "no version");
            refuse_why(e, 409, "GS0409", NULL, &why);
            return;
        }
    }
    answer(e, 200, true, NULL);
    edit_free(e);
}

/* ---- the commit ---- */

static void
on_deadline(struct gs_timer *t)
{
    struct edit *e = GS_CONTAINER(t, struct edit, deadline);

    if (gs_list_linked(&e->commit.link)) /* on disk; only workers are awaited */
        answer_saved(e, false);
    else
        gs_loop_arm(e->node->loop, t, LOOP_TICK_MS);
}

static void
on_committed(struct node_commit *c)
{
    struct edit *e = GS_CONTAINER(c, struct edit, commit);

    e->committing = false;
    gs_loop_disarm(e->node->loop, &e->deadline);
    if (e->call)
        answer_saved(e, true);
    edit_free(e);
}

static void
commit(struct edit *e)
{
    e->committing = true;
    e->commit.done = on_committed;
    gs_list_init(&e->commit.link);
    gs_timer_init(&e->deadline, on_deadline);
    gs_loop_arm(e->node->loop, &e->deadline, e->wait_ms > LOOP_TICK_MS ? e->wait_ms : LOOP_TICK_MS);
    node_commit(e->node, &e->commit);
}

static void
refuse_put(struct edit *e, gs_err error, const struct gs_why *why)
{
    switch (error) {
    case GS_E_CONFLICT:
        refuse_why(e, 409, "GS0409",
                   "gossamer get KIND NAME -o yaml shows what is there now; make the change in "
                   "that and apply it again",
                   why);
        break;
    case GS_E_NOT_FOUND:
        refuse_why(e, 404, CODE_POLICY_NOT_FOUND, NULL, why);
        break;
    default:
        refuse_why(e, 422, CODE_POLICY_LIMIT, NULL, why);
    }
}

static void
put(struct edit *e, const struct gossip_op *ops)
{
    size_t count = e->object_count + e->delete_count;
    struct gossip_put_result *results = gs_arena_zalloc(&e->arena, count * sizeof(*results));
    struct gs_why why = { "" };
    gs_err error = gossip_put(e->node->gossip, e->node->loop->now_ms, node_wall_ms(), ops, count,
                              results, &why);

    if (error != GS_E_OK) {
        refuse_put(e, error, &why);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        e->outcomes[i].version = results[i].version;
        e->outcomes[i].unchanged = results[i].unchanged;
    }
    /* Even if nothing changed: a former edit may be in memory only, because the disk was full. */
    commit(e);
}

void
edit_run(struct edit *e)
{
    struct gossip_op *ops;

    if (e->problems.errors > 0 || !is_countable(e)) {
        refuse(e, 422);
        return;
    }
    list_outcomes(e);
    if (e->object_count + e->delete_count == 0) {
        answer(e, 200, true, NULL); /* what was there is not ours */
        edit_free(e);
        return;
    }
    switch (check_change(e)) {
    case GS_E_OK:
        break;
    case GS_E_NOT_FOUND:
        refuse(e, 404);
        return;
    default:
        refuse(e, 422);
        return;
    }
    ops = make_ops(e);
    if (e->problems.errors > 0)
        refuse(e, 422);
    else if (e->dry_run)
        dry_run(e, ops);
    else
        put(e, ops);
}
