/* confirm.c - asking the members whether they run what was written here.
 *
 *   ASKED ──"active", "pending"──▶ CONFIRMED
 *     │ ▲──────────── cannot be asked: again, CONFIRM_RETRY_MS later
 *     ├──any other answer──▶ LAGGING
 *     ├──it is restarting, and not back after CONFIRM_RESTART_MS──▶ LAGGING
 *     └──it is dead, or has left──▶ LAGGING
 *
 * Whoever waits for it has the deadline; what is not heard by then has not answered. */
#include "mesh/confirm.h"

#include <gossamer/alloc.h>

#include "mesh/config/json.h"
#include "mesh/meshcall.h"
#include "mesh/node.h"
#include "mesh/roster.h"

#define PATH_MAX_BYTES (MUX_HEADER_BYTES_MAX)

enum member_state { MEMBER_ASKED, MEMBER_CONFIRMED, MEMBER_LAGGING };

struct member {
    struct meshcall call;
    struct gs_timer again;
    struct confirm *confirm;
    struct gs_id id;
    struct gs_addr mesh;
    char *name;
    char why[256]; /* it lags */
    enum member_state state;
};

struct confirm {
    struct gs_list link; /* of node->confirming */
    struct node *node;
    struct confirm_options o;
    struct gs_buf path;
    struct member *members;
    size_t count, open; /* open: still ASKED */
    bool owned;         /* it is about this node's own records */
    uint64_t began_ms, until_ms;
    struct gs_defer tell;
};

static void
on_tell(struct gs_defer *d)
{
    struct confirm *c = GS_CONTAINER(d, struct confirm, tell);

    c->o.done(c->o.arg);
}

static void
settle(struct member *m, enum member_state state, const char *why)
{
    struct confirm *c = m->confirm;

    GS_ASSERT(m->state == MEMBER_ASKED);
    GS_ASSERT(c->open > 0);
    m->state = state;
    (void)snprintf(m->why, sizeof(m->why), "%s", why);
    gs_loop_disarm(c->node->loop, &m->again);
    if (--c->open == 0)
        gs_loop_defer(c->node->loop, &c->tell);
}

/* ---- one member ---- */

static void
ask(struct member *m)
{
    struct confirm *c = m->confirm;
    uint64_t now_ms = c->node->loop->now_ms;
    uint64_t left_ms = c->until_ms > now_ms ? c->until_ms - now_ms : 0;

    meshcall_ask(c->node->calls, &m->call, &m->id, &m->mesh, gs_buf_slice(&c->path),
                 left_ms + MESHCALL_GRACE_MS);
}

static void
on_again(struct gs_timer *t)
{
    ask(GS_CONTAINER(t, struct member, again));
}

static const char *
text_of(const struct tree *root, const char *key)
{
    const struct tree *t = tree_find(root, key);

    return t && t->kind == TREE_SCALAR && !t->plain ? t->text.ptr : NULL;
}

static void
read_answer(struct member *m)
{
    struct gs_problems problems;
    struct gs_arena arena;
    struct tree *root = NULL;
    const char *state = NULL, *why = NULL;

    gs_arena_init(&arena, NULL, 0, 1024);
    gs_problems_init(&problems);
    if (tree_parse_json(gs_buf_slice(&m->call.body), NULL, &arena, &root, &problems) == GS_E_OK) {
        state = text_of(root, "state");
        why = text_of(root, "why");
    }
    if (state && (strcmp(state, "active") == 0 || strcmp(state, "pending") == 0))
        settle(m, MEMBER_CONFIRMED, "");
    else
        settle(m, MEMBER_LAGGING, why ? why : "has answered what is no confirmation");
    gs_problems_fini(&problems);
    gs_arena_fini(&arena);
}

/* It takes what it missed before it serves anybody, so that nobody has to wait for it. */
static bool
is_away(const struct member *m)
{
    const struct confirm *c = m->confirm;
    const struct roster_node *r = roster_find(c->node->members, &m->id);

    return r && r->restarting && c->node->loop->now_ms - c->began_ms >= CONFIRM_RESTART_MS;
}

static void
on_answered(struct meshcall *call)
{
    struct member *m = GS_CONTAINER(call, struct member, call);
    struct confirm *c = m->confirm;

    if (m->state != MEMBER_ASKED)
        return;
    if (call->status == 200) {
        read_answer(m);
        return;
    }
    (void)snprintf(m->why, sizeof(m->why), "%s", call->why);
    if (is_away(m))
        settle(m, MEMBER_LAGGING, "is restarting: it takes the change before it serves anybody");
    else if (c->node->loop->now_ms + CONFIRM_RETRY_MS < c->until_ms &&
             meshcalls_open(c->node->calls))
        gs_loop_arm(c->node->loop, &m->again, CONFIRM_RETRY_MS);
    else
        settle(m, MEMBER_LAGGING, call->why);
}

/* Why this will not be answered any more; NULL: it may. One that restarts comes back and can say
 * that it runs a write; but what its workers routed by is gone. */
static const char *
why_never(const struct confirm *c, const struct gossip_node *g)
{
    if (g->state == GOSSIP_LEFT)
        return "has left the mesh meanwhile";
    if (g->state == GOSSIP_DEAD)
        return "has died meanwhile";
    return g->restarting && c->owned ? "restarts" : NULL;
}

void
confirm_on_member(struct node *n, const struct gossip_node *g)
{
    GS_LIST_EACH(l, &n->confirming) {
        struct confirm *c = GS_LIST_ENTRY(l, struct confirm, link);
        const char *why = why_never(c, g);

        for (size_t i = 0; why && i < c->count; i++) {
            struct member *m = &c->members[i];

            if (m->state != MEMBER_ASKED || !gs_id_eq(&m->id, &g->id))
                continue;
            meshcall_cancel(&m->call);
            settle(m, MEMBER_LAGGING, why);
        }
    }
}

/* ---- all of them ---- */

static bool
is_asked(const struct confirm_options *o, const struct roster_node *r, struct gs_addr *mesh)
{
    return (r->state == GOSSIP_ALIVE || r->state == GOSSIP_SUSPECT) && r->inbound.len > 0 &&
           !(o->owner && r->restarting) && gs_addr_parse(mesh, r->inbound, NULL) == GS_E_OK;
}

static size_t
count_members(const struct node *n, const struct confirm_options *o)
{
    const struct roster_node *r;
    struct gs_addr mesh;
    size_t count = 0;

    for (size_t at = 0; roster_next(n->members, &at, &r);)
        count += is_asked(o, r, &mesh);
    return count;
}

static void
list_members(struct confirm *c, const struct confirm_options *o)
{
    const struct roster_node *r;
    struct gs_addr mesh;

    c->members = gs_calloc(c->count, sizeof(*c->members));
    for (size_t at = 0, i = 0; roster_next(c->node->members, &at, &r);) {
        struct member *m;

        if (!is_asked(o, r, &mesh))
            continue;
        m = &c->members[i++];
        m->call.done = on_answered;
        m->confirm = c;
        m->id = r->id;
        m->mesh = mesh;
        m->name = gs_alloc(r->name.len + 1);
        (void)snprintf(m->name, r->name.len + 1, "%.*s", GS_SLICE_FMT(r->name));
        gs_timer_init(&m->again, on_again);
    }
}

/* They give up a little earlier than we do, so that their reason is heard. */
static void
write_path(struct confirm *c)
{
    uint64_t wait = c->o.wait_ms;
    char id[GS_ID_TEXT];

    wait = wait > 4 * MESHCALL_GRACE_MS ? wait - MESHCALL_GRACE_MS : wait - wait / 4;
    gs_buf_init(&c->path, PATH_MAX_BYTES);
    (void)gs_buf_printf(&c->path, "/api/v1/confirm?wait=%llu", (unsigned long long)wait);
    if (c->o.owner)
        (void)gs_buf_printf(&c->path, "&owner=%s", gs_id_text(c->o.owner, id));
    if (c->o.answered)
        (void)gs_buf_put_str(&c->path, "&until=answered");
    (void)gs_buf_put_str(&c->path, "&list=");
    confirm_list_put(&c->path, c->o.items, c->o.count);
    c->o.items = NULL; /* the caller's */
    c->o.owner = NULL;
    GS_ASSERT(!c->path.failed);
}

struct confirm *
confirm_start(struct node *n, const struct confirm_options *o)
{
    size_t count = n->calls && o->wait_ms > 0 && o->count > 0 ? count_members(n, o) : 0;
    struct confirm *c;

    if (count == 0)
        return NULL;
    c = gs_zalloc(sizeof(*c));
    c->node = n;
    c->o = *o;
    c->count = c->open = count;
    c->owned = o->owner != NULL;
    c->began_ms = n->loop->now_ms;
    c->until_ms = c->began_ms + o->wait_ms;
    gs_list_init(&c->link);
    gs_list_push_back(&n->confirming, &c->link);
    gs_defer_init(&c->tell, on_tell);
    write_path(c);
    list_members(c, o);
    for (size_t i = 0; i < count; i++)
        ask(&c->members[i]);
    return c;
}

void
confirm_free(struct confirm *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++) {
        meshcall_fini(&c->members[i].call);
        gs_loop_disarm(c->node->loop, &c->members[i].again);
        gs_free(c->members[i].name);
    }
    gs_defer_cancel(&c->tell);
    gs_list_remove(&c->link);
    gs_buf_fini(&c->path);
    gs_free(c->members);
    gs_free(c);
}

/* ---- what came of it ---- */

size_t
confirm_asked(const struct confirm *c)
{
    return c ? c->count : 0;
}

size_t
confirm_confirmed(const struct confirm *c)
{
    size_t count = 0;

    for (size_t i = 0; c && i < c->count; i++)
        count += c->members[i].state == MEMBER_CONFIRMED;
    return count;
}

bool
confirm_next_laggard(const struct confirm *c, size_t *at, struct gs_slice *name, const char **why)
{
    while (c && *at < c->count) {
        const struct member *m = &c->members[(*at)++];

        if (m->state == MEMBER_CONFIRMED)
            continue;
        *name = gs_slice_str(m->name);
        *why = m->why[0] ? m->why : "has not answered";
        return true;
    }
    return false;
}
