/* api_confirm.c - "do your workers run these versions?", asked by the node that wrote them.
 *
 *     GET /api/v1/confirm?wait=MS[&owner=ID[&until=answered]]&list=...
 *     {"state": STATE, "why": ...}
 *
 *   active    all workers run them, or later ones      pending   so many as can; the others wait
 *   rejected  one cannot be used here                     here as they do where they were written
 *   lacking   not within the wait                      closed, stopping   this node cannot say
 *
 *   WAITING ──all are in the snapshot──▶ ADOPTING ──workers adopted──▶ (FINISHING) ──▶ answered
 *      └──rejected, stopping, time is up─────────────────────────────────────────────────▲
 *
 * FINISHING (until=answered): what was sent to draining instances of the owner, before its workers
 * knew, has no answer yet. If it stays so, that is no reason to say that they do not know. */
#include <gossamer/alloc.h>
#include <gossamer/json_out.h>

#include "mesh/admin.h"
#include "mesh/announce.h"
#include "mesh/config/config.h"
#include "mesh/confirm.h"
#include "mesh/model/endpoints.h"
#include "mesh/node.h"

#define WAIT_MS_MAX 600000

enum wait_state { WAIT_WAITING, WAIT_ADOPTING, WAIT_FINISHING };

struct waiting {
    struct gs_list link; /* of node->confirms */
    struct node *node;
    struct admin_call *call; /* NULL: it was answered while workers were awaited */
    struct gs_timer deadline;
    struct node_commit commit;
    enum wait_state state;
    bool owned;    /* records of a node, not objects of operators */
    bool answered; /* until=answered */
    struct gs_timer look;
    struct gs_id owner;
    struct confirm_item items[APPLY_OBJECTS_MAX];
    size_t count;
    /* of one look at the model */
    bool met[APPLY_OBJECTS_MAX];
    bool pends, rejected;
    char why[400];
};

static void
reply(struct waiting *w, const char *state, const char *why)
{
    struct admin_call *c = w->call;
    struct gs_buf out;
    struct json_out j;

    gs_loop_disarm(w->node->loop, &w->deadline);
    gs_loop_disarm(w->node->loop, &w->look);
    w->call = NULL;
    gs_buf_init(&out, 4096);
    json_init(&j, &out);
    json_obj(&j);
    json_kstr(&j, "state", state);
    if (why)
        json_kstr(&j, "why", why);
    json_obj_end(&j);
    admin_reply_json(c, 200, &out);
}

static void
waiting_free(struct waiting *w)
{
    w->node->confirm_count--;
    gs_list_remove(&w->link);
    gs_free(w);
}

static void
answer(struct waiting *w, const char *state, const char *why)
{
    reply(w, state, why);
    waiting_free(w);
}

/* ---- looking at the model ---- */

static bool
is_met(const struct confirm_item *item, const struct model_standing *s)
{
    if (s->active_version.generation > 0)
        return confirm_item_met(item, &s->active_version);
    return s->deleted && confirm_item_met(item, &s->version);
}

static void
judge(struct waiting *w, size_t i, const struct model_standing *s)
{
    const struct confirm_item *item = &w->items[i];

    w->met[i] = is_met(item, s);
    if (w->met[i] || s->deleted || !confirm_item_met(item, &s->version))
        return;
    if (s->state == MODEL_ACTIVE)
        return; /* not flushed yet */
    if (s->state == MODEL_PENDING && (item->flags & CONFIRM_PENDING)) {
        w->met[i] = w->pends = true;
        return;
    }
    w->rejected = w->rejected || s->state == MODEL_REJECTED;
    (void)snprintf(w->why, sizeof(w->why), "%.*s is %s: %s", GS_SLICE_FMT(s->key),
                   model_state_text(s->state), s->why);
}

/* The first item of a key; there are seldom two. */
static size_t
find_item(const struct waiting *w, uint64_t key)
{
    size_t low = 0, high = w->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (w->items[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
start_look(struct waiting *w)
{
    w->pends = w->rejected = false;
    w->why[0] = '\0';
    for (size_t i = 0; i < w->count; i++) /* what was never heard of is gone, too */
        w->met[i] = w->items[i].flags & CONFIRM_DELETED;
}

/* What its owner says of itself. What is left out here is not routed by, and not met. */
static void
look_at_owned(struct waiting *w)
{
    char text[ENDPOINTS_KEY_TEXT];
    struct model_said s;

    for (const void *at = NULL; model_next_said(w->node->model, &w->owner, &at, &s);) {
        struct endpoints_key k = { s.ns, s.name, s.port };
        struct gs_version v = { .generation = s.boot, .hlc = s.seq, .writer = w->owner };
        uint64_t key = confirm_key(gs_slice_str(endpoints_key_text(&k, text)));

        for (size_t i = find_item(w, key); i < w->count && w->items[i].key == key; i++)
            w->met[i] = confirm_item_met(&w->items[i], &v);
    }
}

/* One walk for all who wait: the hashes of all keys cost more than the rest. */
static void
look(struct node *n)
{
    struct model_standing s;
    bool objects = false;

    GS_LIST_EACH(l, &n->confirms) {
        struct waiting *w = GS_LIST_ENTRY(l, struct waiting, link);

        start_look(w);
        objects = objects || !w->owned;
        if (w->owned)
            look_at_owned(w);
    }
    for (size_t at = 0; objects && model_next_standing(n->model, &at, &s);) {
        uint64_t key = confirm_key(s.key);

        GS_LIST_EACH(l, &n->confirms) {
            struct waiting *w = GS_LIST_ENTRY(l, struct waiting, link);

            if (w->owned)
                continue;
            for (size_t i = find_item(w, key); i < w->count && w->items[i].key == key; i++)
                judge(w, i, &s);
        }
    }
}

static size_t
count_met(const struct waiting *w)
{
    size_t count = 0;

    for (size_t i = 0; i < w->count; i++)
        count += w->met[i];
    return count;
}

/* ---- answers ---- */

static void
finish(struct waiting *w)
{
    GS_ASSERT(w->state == WAIT_FINISHING);
    if (w->answered && announce_unanswered(w->node, &w->owner) > 0)
        gs_loop_arm(w->node->loop, &w->look, LOOP_TICK_MS);
    else
        answer(w, w->pends ? "pending" : "active", NULL);
}

static void
on_look(struct gs_timer *t)
{
    finish(GS_CONTAINER(t, struct waiting, look));
}

static void
on_adopted(struct node_commit *c)
{
    struct waiting *w = GS_CONTAINER(c, struct waiting, commit);

    if (!w->call) {
        waiting_free(w);
        return;
    }
    w->state = WAIT_FINISHING;
    finish(w);
}

/* True: it is gone. */
static bool
refuse_stopping(struct waiting *w)
{
    if (!gs_fsm_is(&w->node->phase, NODE_DRAINING))
        return false;
    answer(w, "stopping", "is shutting down");
    return true;
}

static void
settle(struct waiting *w)
{
    if (w->state == WAIT_ADOPTING || refuse_stopping(w) || w->state == WAIT_FINISHING)
        return;
    if (w->rejected) {
        answer(w, "rejected", w->why);
        return;
    }
    if (count_met(w) < w->count)
        return;
    w->state = WAIT_ADOPTING;
    w->commit.done = on_adopted;
    node_when_adopted(w->node, &w->commit);
}

void
confirm_answer(struct node *n)
{
    if (gs_list_empty(&n->confirms))
        return;
    look(n);
    GS_LIST_EACH_SAFE(l, &n->confirms)
        settle(GS_LIST_ENTRY(l, struct waiting, link));
}

static void
on_deadline(struct gs_timer *t)
{
    struct waiting *w = GS_CONTAINER(t, struct waiting, deadline);
    char why[128];

    if (w->state == WAIT_ADOPTING) { /* it stays until they have */
        reply(w, "lacking", "its workers have not taken the change up");
        return;
    }
    if (w->state == WAIT_FINISHING) {
        answer(w, "active", NULL);
        return;
    }
    look(w->node);
    (void)snprintf(why, sizeof(why), "lacks %zu of the %zu versions", w->count - count_met(w),
                   w->count);
    if (gs_fsm_is(&w->node->phase, NODE_CLOSED))
        answer(w, "closed", "does not know the policy of the mesh yet");
    else
        answer(w, "lacking", w->why[0] ? w->why : why);
}

/* ---- the request ---- */

/* False: a word of it is none of ours. */
static bool
read_request(const struct admin_request *r, struct waiting *w, uint64_t *wait_ms)
{
    struct gs_slice list, wait, owner, until;

    w->owned = admin_query(r, "owner", &owner);
    w->answered = admin_query(r, "until", &until);
    return (!w->answered || (w->owned && gs_slice_eq(until, GS_SLICE("answered")))) &&
           admin_query(r, "list", &list) && admin_query(r, "wait", &wait) &&
           gs_slice_to_u64(wait, wait_ms) && *wait_ms <= WAIT_MS_MAX &&
           (!w->owned || gs_id_parse(&w->owner, owner) == GS_E_OK) &&
           confirm_list_read(list, w->items, &w->count) == GS_E_OK;
}

void
api_confirm(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    struct waiting *w;
    uint64_t wait_ms;

    if (n->confirm_count == CONFIRMS_MAX) {
        admin_error(c, 503, "GS0503", NULL, "%d confirmations are waited for already",
                    CONFIRMS_MAX);
        return;
    }
    w = gs_zalloc(sizeof(*w));
    if (!read_request(r, w, &wait_ms)) {
        gs_free(w);
        admin_error(c, 400, "GS0400", NULL,
                    "wait= is milliseconds, list= what to confirm, owner= whose it is, and "
                    "until=answered takes owner=");
        return;
    }
    w->node = n;
    w->call = c;
    gs_list_init(&w->link);
    gs_list_init(&w->commit.link);
    gs_list_push_back(&n->confirms, &w->link);
    n->confirm_count++;
    gs_timer_init(&w->deadline, on_deadline);
    gs_timer_init(&w->look, on_look);
    gs_loop_arm(n->loop, &w->deadline, wait_ms > 0 ? wait_ms : 1);
    (void)node_records_flush(n->records); /* asks confirm_answer() */
}
