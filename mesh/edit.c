/* edit.c - an operator's edit on its way: checked, written as one transaction, waited for. */
#include "mesh/edit.h"

#include <gossamer/alloc.h>
#include <gossamer/gossip_loop.h>

#include "mesh/config/config.h"
#include "mesh/model/codes.h"

/* What the core is asked. The gossip thread has it, and the outcomes, while the edit is ASKING. */
struct gossip_ask {
    struct gossip_call call;
    struct edit *edit;
    struct gossip_op *ops;
    struct gossip_put_result *results;
    size_t count;
    gs_err error;
    struct gs_why why;
};

struct edit *
edit_new(struct node *n, struct admin_call *c)
{
    struct edit *e = gs_zalloc(sizeof(*e));

    e->node = n;
    e->call = c;
    e->started_ns = n->loop->now_ns;
    gs_list_init(&e->link);
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
    GS_ASSERT(!gs_timer_armed(&e->deadline));
    gs_list_remove(&e->link);
    confirm_free(e->others);
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
    struct edit_confirmation c = { .confirmed = confirmed, .why = why, .others = e->others };
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
        ops[i].settle = e->settle;
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

/* ---- the commit ---- */

static void
on_deadline(struct gs_timer *t)
{
    struct edit *e = GS_CONTAINER(t, struct edit, deadline);

    if (!e->committed && !gs_list_linked(&e->commit.link)) { /* not even on disk */
        gs_loop_arm(e->node->loop, t, LOOP_TICK_MS);
        return;
    }
    answer_saved(e, e->committed);
    if (e->committed) {
        edit_free(e);
        return;
    }
    confirm_free(e->others);
    e->others = NULL;
}

static void
maybe_over(struct edit *e)
{
    if (!e->committed || (e->call && e->others && !e->heard))
        return;
    gs_loop_disarm(e->node->loop, &e->deadline);
    if (e->call)
        answer_saved(e, true);
    edit_free(e);
}

static void
on_heard(void *arg)
{
    struct edit *e = arg;

    e->heard = true;
    maybe_over(e);
}

static void
on_committed(struct node_commit *c)
{
    struct edit *e = GS_CONTAINER(c, struct edit, commit);

    e->committed = true;
    maybe_over(e);
}

static uint8_t
flags_of(const struct edit *e, size_t i)
{
    const struct model_key *k = &e->outcomes[i].key;
    struct model_object is;

    if (i >= e->object_count)
        return CONFIRM_DELETED;
    if (!model_find_object(e->node->model, k->kind, k->ns, k->name, &is))
        return 0;
    return is.state == MODEL_PENDING ? CONFIRM_PENDING : 0;
}

static void
ask_others(struct edit *e)
{
    struct confirm_item items[APPLY_OBJECTS_MAX];
    size_t count = e->object_count + e->delete_count;
    char key[POLICY_KEY_TEXT];

    GS_ASSERT(count <= GS_COUNT(items));
    for (size_t i = 0; i < count; i++) {
        const struct edit_outcome *o = &e->outcomes[i];

        (void)policy_key(o->key.kind, o->key.ns, o->key.name, key);
        items[i] = confirm_item(gs_slice_str(key), &o->version, flags_of(e, i));
    }
    e->others = confirm_start(
        e->node,
        &(struct confirm_options){
            .items = items, .count = count, .wait_ms = e->wait_ms, .done = on_heard, .arg = e });
}

static void
commit(struct edit *e)
{
    gs_list_remove(&e->link);
    e->state = EDIT_COMMITTING;
    e->commit.done = on_committed;
    gs_list_init(&e->commit.link);
    gs_timer_init(&e->deadline, on_deadline);
    gs_loop_arm(e->node->loop, &e->deadline, e->wait_ms > LOOP_TICK_MS ? e->wait_ms : LOOP_TICK_MS);
    (void)node_records_flush(e->node->records); /* what waits here as well is known now */
    ask_others(e);
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

/* ---- asking the core ---- */

static void next_edit(struct node *n);

/* On the gossip thread: what a put would do. */
static void
look_up(struct gossip_call *c, struct gossip *g, uint64_t now_ms, uint64_t wall_ms)
{
    static const struct gs_version none;
    struct gossip_ask *a = GS_CONTAINER(c, struct gossip_ask, call);
    char text[GS_VERSION_TEXT];

    (void)now_ms;
    (void)wall_ms;
    for (size_t i = 0; i < a->count && a->error == GS_E_OK; i++) {
        const struct gossip_op *op = &a->ops[i];
        struct gossip_put_result *found = &a->results[i];
        struct gossip_record r;
        bool is = gossip_find(g, GOSSIP_OPERATOR, NULL, op->key, &r) && !r.tombstone;

        found->version = is ? r.version : none;
        found->unchanged = is && !op->remove && gs_slice_eq(r.value, op->value);
        if (op->if_version && gs_version_cmp(op->if_version, &found->version) != 0)
            a->error = gs_refuse(&a->why, GS_E_CONFLICT, "%.*s is at %s", GS_SLICE_FMT(op->key),
                                 is ? gs_version_text(&found->version, text) : "no version");
    }
}

/* On the gossip thread. */
static void
put(struct gossip_call *c, struct gossip *g, uint64_t now_ms, uint64_t wall_ms)
{
    struct gossip_ask *a = GS_CONTAINER(c, struct gossip_ask, call);

    a->error = gossip_put(g, now_ms, wall_ms, a->ops, a->count, a->results, &a->why);
}

static void
on_asked(struct gossip_call *c)
{
    struct gossip_ask *a = GS_CONTAINER(c, struct gossip_ask, call);
    struct edit *e = a->edit;
    struct node *n = e->node;

    GS_ASSERT(e->state == EDIT_ASKING);
    for (size_t i = 0; i < a->count && a->error == GS_E_OK; i++) {
        e->outcomes[i].version = a->results[i].version;
        e->outcomes[i].unchanged = a->results[i].unchanged;
    }
    if (a->error != GS_E_OK) {
        refuse_put(e, a->error, &a->why);
    } else if (e->dry_run) {
        answer(e, 200, true, NULL);
        edit_free(e);
    } else {
        /* Even if nothing changed: a former edit may be in memory only, because the disk was
         * full. */
        commit(e);
    }
    next_edit(n);
}

static void
ask(struct edit *e, struct gossip_op *ops)
{
    struct gossip_ask *a = gs_arena_zalloc(&e->arena, sizeof(*a));

    a->edit = e;
    a->ops = ops;
    a->count = e->object_count + e->delete_count;
    a->results = gs_arena_zalloc(&e->arena, a->count * sizeof(*a->results));
    a->call.run = e->dry_run ? look_up : put;
    a->call.done = on_asked;
    e->state = EDIT_ASKING;
    gossip_loop_call(e->node->gossip, &a->call);
}

/* ---- its turn ---- */

/* It has come: the edit is checked, and either answered and gone, or the core is asked. */
static void
begin(struct edit *e)
{
    const char *hint;
    const char *why = node_refuses(e->node, &hint);
    struct gossip_op *ops;

    if (why) { /* it began to stop while others had their turn */
        admin_error(take_call(e), 503, "GS0503", hint, "node %s %s", e->node->config->node, why);
        edit_free(e);
        return;
    }
    if (e->plan && e->problems.errors == 0)
        e->plan(e);
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
    else
        ask(e, ops);
}

/* An edit stays in the list until it was answered or written: whatever an answer sets off, nobody's
 * turn comes twice. */
static void
next_edit(struct node *n)
{
    while (!gs_list_empty(&n->edits)) {
        struct edit *e = GS_LIST_ENTRY(n->edits.next, struct edit, link);

        if (e->state == EDIT_ASKING)
            return;
        GS_ASSERT(e->state == EDIT_QUEUED);
        begin(e);
    }
}

void
edit_run(struct edit *e)
{
    struct node *n = e->node;
    bool alone = gs_list_empty(&n->edits);

    GS_ASSERT(e->state == EDIT_NEW);
    e->state = EDIT_QUEUED;
    gs_list_push_back(&n->edits, &e->link);
    if (alone)
        next_edit(n);
}
