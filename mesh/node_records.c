/* node_records.c - what the gossip tells, on its way to where it takes effect.
 *
 *     events ─▶ model ──flush, paced──▶ snapshot ─▶ workers adopt ─┐
 *        │        └──────persist──────▶ mesh.state ────────────────┴▶ a commit is done
 *        └─▶ roster, journal
 *
 * A burst from peers (a node that was away hears everything at once) costs FLUSHES_PER_S snapshots
 * a second, whatever its size. An operator's own write is never paced, and nothing is while another
 * node waits for us to confirm one of its own. */
#include "mesh/node.h"

#include <gossamer/alloc.h>
#include <gossamer/gossip_loop.h>
#include <gossamer/log.h>
#include <gossamer/loop.h>

#include "mesh/confirm.h"
#include "mesh/journal.h"
#include "mesh/model/codec.h"
#include "mesh/roster.h"

#define FLUSHES_PER_S 20
#define FLUSH_MS (1000 / FLUSHES_PER_S)
#define REAP_MS 100

struct node_records {
    struct node *node;
    struct gs_list commits;     /* saved, not yet adopted */
    struct gs_list watches;     /* struct own_watch */
    struct gs_timer adopt;      /* armed while there are any */
    struct gs_timer reap;       /* armed while old roots live */
    struct gs_timer flush;      /* the model changed, and it was flushed just now */
    struct gs_timer due;        /* the model has to be flushed again: some endpoint's time is up */
    struct gs_defer flush_soon; /* it changed; after the events at hand */
    uint64_t flushed_ms;
    bool unflushed; /* one of the two above is set */
    bool workers_gone;
};

/* ---- flush ---- */

static void
reap_later(struct node_records *r)
{
    if (!gs_timer_armed(&r->reap))
        gs_loop_arm(r->node->loop, &r->reap, REAP_MS);
}

static void
on_reap(struct gs_timer *t)
{
    struct node_records *r = GS_CONTAINER(t, struct node_records, reap);

    snapshot_reap(r->node->hub);
    slots_reap(r->node->slots);
    if (snapshot_live_roots(r->node->hub) > 1)
        reap_later(r);
}

static void
flush_again(struct node_records *r)
{
    uint64_t due_ms = model_due_ms(r->node->model);
    uint64_t now_ms = r->node->loop->now_ms;

    gs_loop_disarm(r->node->loop, &r->due);
    if (due_ms != UINT64_MAX)
        gs_loop_arm(r->node->loop, &r->due, due_ms > now_ms ? due_ms - now_ms : LOOP_TICK_MS);
}

/* ---- what this node says of its services ---- */

struct own_put {
    struct gossip_call call;
    struct node_records *records;
    struct gossip_op op; /* its texts are in `bytes` */
    struct gossip_put_result result;
    gs_err e;
    char bytes[];
};

static void
own_run(struct gossip_call *c, struct gossip *g, uint64_t now_ms, uint64_t wall_ms)
{
    struct own_put *p = GS_CONTAINER(c, struct own_put, call);
    struct gs_why why;

    (void)wall_ms;
    p->e = gossip_put_own(g, now_ms, &p->op, &p->result, &why);
    if (p->e != GS_E_OK)
        LOG_ERROR("endpoints.not_published", "key=%.*s why=\"%s\"", GS_SLICE_FMT(p->op.key),
                  why.text);
}

static void
own_done(struct gossip_call *c)
{
    struct own_put *p = GS_CONTAINER(c, struct own_put, call);

    GS_LIST_EACH_SAFE(l, &p->records->watches) {
        struct own_watch *w = GS_LIST_ENTRY(l, struct own_watch, link);

        if (p->e == GS_E_OK)
            w->said(w, p->op.key, &p->result.version, p->op.remove);
    }
    gs_free(p);
}

static void
publish_own(struct node *n)
{
    struct model_own own;

    if (!n->gossip) /* starting, or stopping */
        return;
    while (model_next_own(n->model, &own)) {
        struct own_put *p = gs_zalloc(sizeof(*p) + own.key.len + own.value.len);

        p->records = n->records;
        memcpy(p->bytes, own.key.ptr, own.key.len);
        if (own.value.len > 0)
            memcpy(p->bytes + own.key.len, own.value.ptr, own.value.len);
        p->op = (struct gossip_op){ .kind = MODEL_KIND_ENDPOINTS,
                                    .key = gs_slice(p->bytes, own.key.len),
                                    .value = gs_slice(p->bytes + own.key.len, own.value.len),
                                    .remove = own.removed };
        p->call.run = own_run;
        p->call.done = own_done;
        gossip_loop_call(n->gossip, &p->call);
    }
}

uint64_t
node_records_flush(struct node_records *r)
{
    struct node *n = r->node;
    struct model_flushed f;

    r->unflushed = false;
    gs_loop_disarm(n->loop, &r->flush);
    gs_defer_cancel(&r->flush_soon);
    f = model_flush(n->model, n->loop->now_ms);
    r->flushed_ms = n->loop->now_ms;
    flush_again(r);
    publish_own(n);
    if (f.seq > 0)
        reap_later(r);
    confirm_answer(n);
    return f.seq > 0 ? f.seq : snapshot_current(n->hub)->seq;
}

static void
on_flush(struct gs_timer *t)
{
    (void)node_records_flush(GS_CONTAINER(t, struct node_records, flush));
}

static void
on_due(struct gs_timer *t)
{
    (void)node_records_flush(GS_CONTAINER(t, struct node_records, due));
}

static void
on_flush_soon(struct gs_defer *d)
{
    (void)node_records_flush(GS_CONTAINER(d, struct node_records, flush_soon));
}

static void
flush_later(struct node_records *r)
{
    struct gs_loop *loop = r->node->loop;

    if (r->unflushed)
        return;
    r->unflushed = true;
    if (loop->now_ms - r->flushed_ms >= FLUSH_MS || !gs_list_empty(&r->node->confirms))
        gs_loop_defer(loop, &r->flush_soon);
    else
        gs_loop_arm(loop, &r->flush, r->flushed_ms + FLUSH_MS - loop->now_ms);
}

/* ---- events ---- */

static void
on_record(struct node *n, const struct gossip_record *r)
{
    struct gs_why why = { "" };
    struct model_record m = { .kind = r->kind,
                              .key = r->key,
                              .value = r->value,
                              .deleted = r->tombstone,
                              .version = r->version,
                              .born_hlc = r->born_hlc,
                              .transaction = r->transaction,
                              .transaction_count = r->transaction_count,
                              .hash = r->hash };

    if (r->class == GOSSIP_OWNER) {
        if (r->kind == MODEL_KIND_ENDPOINTS && model_on_endpoints(n->model, &m, &why) != GS_E_OK)
            LOG_WARN("endpoints.rejected", "key=%.*s why=\"%s\"", GS_SLICE_FMT(r->key), why.text);
    } else if (model_on_record(n->model, &m, &why) != GS_E_OK) {
        LOG_WARN("policy.rejected", "key=%.*s why=\"%s\"", GS_SLICE_FMT(r->key), why.text);
    }
}

static enum model_node_state
model_state_of(enum gossip_state s)
{
    switch (s) {
    case GOSSIP_UNKNOWN:
        return MODEL_NODE_UNKNOWN;
    case GOSSIP_ALIVE:
    case GOSSIP_SUSPECT: /* it may well be there: the data path finds out by itself */
        return MODEL_NODE_UP;
    case GOSSIP_DEAD:
        return MODEL_NODE_DOWN;
    case GOSSIP_LEFT:
        return MODEL_NODE_GONE;
    }
    GS_UNREACHABLE("gossip state");
}

static void
on_node(struct node *n, const struct gossip_node *g)
{
    char id[GS_ID_TEXT];
    struct model_node m = {
        .id = g->id, .name = roster_name(g, id), .state = model_state_of(g->state), .boot = g->boot
    };
    struct codec_about about = { 0 };
    struct gs_arena arena;

    gs_arena_init(&arena, NULL, 0, 512);
    if (codec_read_about(g->about, &arena, &about) == GS_E_OK) {
        m.zone = about.zone;
        if (about.inbound.len > 0 && gs_addr_parse(&m.mesh, about.inbound, NULL) != GS_E_OK)
            m.mesh = (struct gs_addr){ 0 };
    }
    model_set_node(n->model, n->loop->now_ms, &m);
    gs_arena_fini(&arena);
}

static void
on_transaction(struct node *n, const struct gossip_transaction *t)
{
    struct model_member members[APPLY_OBJECTS_MAX];
    size_t count = t->count < APPLY_OBJECTS_MAX ? t->count : APPLY_OBJECTS_MAX;

    for (size_t i = 0; i < count; i++)
        members[i] = (struct model_member){ t->members[i].key, t->members[i].version };
    model_on_transaction(n->model, t->id, members, count);
}

/* True if the model heard it. */
static bool
tell_model(struct node *n, const struct gossip_event *e)
{
    if (e->type == GOSSIP_EVENT_RECORD)
        on_record(n, &e->record);
    else if (e->type == GOSSIP_EVENT_TRANSACTION)
        on_transaction(n, &e->transaction);
    else if (e->type == GOSSIP_EVENT_NODE)
        on_node(n, &e->node);
    else if (e->type == GOSSIP_EVENT_FORGOTTEN)
        model_remove_node(n->model, &e->node.id);
    else
        return false;
    return true;
}

void
node_records_on_restored(struct node_records *r, const struct gossip_event *e)
{
    (void)tell_model(r->node, e);
}

/* Who is suspected comes and goes, and is not in the file. */
static bool
changes_the_file(const struct gossip_event *e)
{
    switch (e->type) {
    case GOSSIP_EVENT_RECORD:
    case GOSSIP_EVENT_TRANSACTION:
    case GOSSIP_EVENT_FORGOTTEN:
        return true;
    case GOSSIP_EVENT_NODE:
        return e->former == e->node.state || e->former == GOSSIP_UNKNOWN ||
               e->node.state == GOSSIP_DEAD || /* since when it is, is in it */
               (e->node.state != GOSSIP_SUSPECT && e->former != GOSSIP_SUSPECT);
    default:
        return false;
    }
}

void
node_records_on_event(struct node_records *r, const struct gossip_event *e)
{
    struct node *n = r->node;
    uint64_t wall_ms = node_wall_ms();

    if (e->type == GOSSIP_EVENT_NODE || e->type == GOSSIP_EVENT_FORGOTTEN) {
        roster_on_event(n->members, e, wall_ms);
        confirm_on_member(n, &e->node);
    } else {
        journal_on_event(n->journal, e, n->members, wall_ms);
    }
    if (tell_model(n, e) || e->type == GOSSIP_EVENT_OPENED)
        flush_later(r);
    if (changes_the_file(e))
        persist_soon(n->persist);
}

/* ---- commits ---- */

static void
commits_check(struct node_records *r)
{
    uint64_t adopted = r->workers_gone ? UINT64_MAX : snapshot_adopted_by_all(r->node->hub);

    GS_LIST_EACH_SAFE(n, &r->commits) {
        struct node_commit *c = GS_LIST_ENTRY(n, struct node_commit, link);

        if (adopted < c->seq)
            continue;
        gs_list_remove(&c->link);
        c->done(c);
    }
    if (!gs_list_empty(&r->commits))
        gs_loop_arm(r->node->loop, &r->adopt, LOOP_TICK_MS);
}

static void
on_adopt(struct gs_timer *t)
{
    commits_check(GS_CONTAINER(t, struct node_records, adopt));
}

static void
on_saved(struct persist_waiter *w, gs_err e, const char *why)
{
    struct node_commit *c = GS_CONTAINER(w, struct node_commit, waiter);
    struct node_records *r = c->node->records;

    c->saved = e;
    snprintf(c->why, sizeof(c->why), "%s", why);
    gs_list_push_back(&r->commits, &c->link);
    commits_check(r);
}

void
node_commit(struct node *n, struct node_commit *c)
{
    c->node = n;
    c->seq = node_records_flush(n->records);
    c->waiter.done = on_saved;
    persist_save(n->persist, &c->waiter);
}

void
node_when_adopted(struct node *n, struct node_commit *c)
{
    c->node = n;
    c->seq = snapshot_current(n->hub)->seq;
    gs_list_push_back(&n->records->commits, &c->link);
    if (!gs_timer_armed(&n->records->adopt))
        gs_loop_arm(n->loop, &n->records->adopt, LOOP_TICK_MS);
}

void
node_records_watch_own(struct node_records *r, struct own_watch *w)
{
    gs_list_push_back(&r->watches, &w->link);
}

void
node_records_workers_gone(struct node_records *r)
{
    r->workers_gone = true;
    gs_loop_disarm(r->node->loop, &r->adopt);
    commits_check(r);
}

/* ---- life ---- */

struct node_records *
node_records_new(struct node *n)
{
    struct node_records *r = gs_zalloc(sizeof(*r));

    r->node = n;
    gs_list_init(&r->commits);
    gs_list_init(&r->watches);
    gs_timer_init(&r->adopt, on_adopt);
    gs_timer_init(&r->reap, on_reap);
    gs_timer_init(&r->flush, on_flush);
    gs_timer_init(&r->due, on_due);
    gs_defer_init(&r->flush_soon, on_flush_soon);
    return r;
}

void
node_records_stop(struct node_records *r)
{
    struct gs_loop *loop = r->node->loop;

    GS_ASSERT(gs_list_empty(&r->commits));
    gs_loop_disarm(loop, &r->adopt);
    gs_loop_disarm(loop, &r->reap);
    gs_loop_disarm(loop, &r->flush);
    gs_loop_disarm(loop, &r->due);
    gs_defer_cancel(&r->flush_soon);
}

void
node_records_free(struct node_records *r)
{
    gs_free(r);
}
