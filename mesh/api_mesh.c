/* api_mesh.c - the nodes of the mesh, the way to them, and leaving them.
 *
 *     GET  /api/v1/members       {"members": [...], "standing": "open", "missing": []}
 *     GET  /api/v1/rtt[?node=]   {"rtt": [...], "from": this node}
 *     POST /api/v1/leave         {"left": true, ...} when the others were told; the node then stops
 *
 * What a node says of itself is in the roster; what always changes is asked of the core. */
#include <stdlib.h>

#include <gossamer/alloc.h>
#include <gossamer/json_out.h>

#include "mesh/admin.h"
#include "mesh/build_text.h"
#include "mesh/config/config.h"
#include "mesh/core_view.h"
#include "mesh/node.h"
#include "mesh/roster.h"

#define ANSWER_BYTES_MAX (32u << 20)

struct asking {
    struct core_view view;
    struct node *node;
    struct admin_call *call;
    char *name; /* rtt of this one only; NULL: of all */
};

static void
ask(struct node *n, struct admin_call *c, const char *name, void (*done)(struct core_view *v))
{
    struct asking *a = gs_zalloc(sizeof(*a));

    a->node = n;
    a->call = c;
    a->name = name ? gs_strdup(name) : NULL;
    core_view_get(n, &a->view, done);
}

static void
asking_free(struct asking *a)
{
    core_view_fini(&a->view);
    gs_free(a->name);
    gs_free(a);
}

/* ---- rows ---- */

struct row {
    const struct roster_node *n;
    const struct core_view_node *v; /* NULL: the core was not asked */
};

static int
compare_rows(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = gs_slice_cmp(x->n->name, y->n->name);

    return order != 0 ? order : memcmp(x->n->id.bytes, y->n->id.bytes, GS_ID_BYTES);
}

/* Those that both know: what the core has forgotten is none any more, and what it has learnt this
 * instant is on its way to the roster. */
static struct row *
list_rows(const struct asking *a, size_t *count)
{
    const struct roster_node *n;
    struct row *rows;
    size_t all = 0;

    *count = 0;
    for (size_t at = 0; roster_next(a->node->members, &at, &n);)
        all++;
    rows = gs_calloc(all + 1, sizeof(*rows));
    for (size_t at = 0; roster_next(a->node->members, &at, &n);) {
        const struct core_view_node *v = core_view_find(&a->view, &n->id);

        if (v || a->view.stopped)
            rows[(*count)++] = (struct row){ n, v };
    }
    if (*count > 1)
        qsort(rows, *count, sizeof(*rows), compare_rows);
    return rows;
}

static enum gossip_state
state_of(const struct row *r)
{
    return r->v ? r->v->state : r->n->state;
}

static void
rtt_json(struct json_out *j, const struct row *r)
{
    json_key(j, "rtt_ms");
    if (r->v && r->v->rtt_us > 0)
        json_double(j, (double)r->v->rtt_us / 1000);
    else
        json_nil(j); /* never measured */
}

/* ---- members ---- */

static void
identity_json(struct json_out *j, struct gs_slice name, const struct gs_id *id,
              const struct gs_addr *address, enum gossip_state state, uint64_t since_ms)
{
    char id_text[GS_ID_TEXT], addr[GS_ADDR_TEXT];

    json_kslice(j, "name", name);
    json_kstr(j, "id", gs_id_text(id, id_text));
    json_kstr(j, "address", gs_addr_text(address, addr));
    json_kstr(j, "state", gossip_state_name(state));
    json_kdouble(j, "since", (double)since_ms / 1000);
}

/* What operators want of it: since when it is drained, null if it is not, and who says so. */
static void
drain_json(struct json_out *j, const struct node *n, struct gs_slice name)
{
    char object[POLICY_KEY_TEXT];
    struct model_drain d;
    bool drained = model_find_drain(n->model, name, &d);

    json_key(j, "drained_since");
    if (drained)
        json_double(j, (double)d.since_ms / 1000);
    else
        json_nil(j);
    json_key(j, "maintenance");
    json_arr(j);
    if (drained) {
        (void)snprintf(object, sizeof(object), "%.*s/%.*s", GS_SLICE_FMT(d.ns),
                       GS_SLICE_FMT(d.name));
        json_str(j, object);
    }
    json_arr_end(j);
}

static bool
has_twin(const struct node *n)
{
    const struct roster_node *other;

    for (size_t at = 0; roster_next(n->members, &at, &other);) {
        if (other->twin && gs_slice_eq(other->name, gs_slice_str(n->config->node)))
            return true;
    }
    return false;
}

static void
self_json(struct json_out *j, const struct asking *a)
{
    const struct node *n = a->node;
    char inbound[GS_ADDR_TEXT];

    json_obj(j);
    identity_json(j, gs_slice_str(n->config->node), &n->id, &n->gossip_addr,
                  a->view.stopped ? GOSSIP_LEFT : GOSSIP_ALIVE,
                  node_wall_ms() - (n->loop->now_ms - n->started_ms));
    json_kdouble(j, "rtt_ms", 0);
    json_ku64(j, "incarnation", a->view.incarnation);
    json_kstr(j, "version", build_version());
    json_ku64(j, "services", n->config->services.count);
    json_ku64(j, "config", snapshot_current(n->hub)->seq);
    json_kstr(j, "zone", n->config->zone ? n->config->zone : "");
    json_kstr(j, "inbound", n->proxy ? gs_addr_text(&n->config->proxy.inbound, inbound) : NULL);
    json_kbool(j, "restarting", a->view.restarting);
    drain_json(j, n, gs_slice_str(n->config->node));
    json_kbool(j, "twin", has_twin(n));
    json_kbool(j, "self", true);
    json_obj_end(j);
}

static void
member_json(struct json_out *j, const struct node *node, const struct row *r)
{
    const struct roster_node *n = r->n;

    json_obj(j);
    identity_json(j, n->name, &n->id, &n->address, state_of(r), n->since_ms);
    rtt_json(j, r);
    json_ku64(j, "incarnation", r->v ? r->v->incarnation : n->incarnation);
    if (n->about_read) {
        json_kslice(j, "version", n->version);
        json_ku64(j, "services", n->services);
        json_kslice(j, "zone", n->zone);
        if (n->inbound.len > 0)
            json_kslice(j, "inbound", n->inbound);
    }
    json_kbool(j, "restarting", r->v ? r->v->restarting : n->restarting);
    drain_json(j, node, n->name);
    json_kbool(j, "twin", n->twin);
    json_kbool(j, "self", false);
    json_obj_end(j);
}

static void
on_members(struct core_view *v)
{
    struct asking *a = GS_CONTAINER(v, struct asking, view);
    struct gs_slice self = gs_slice_str(a->node->config->node);
    bool told = false;
    struct gs_buf out;
    struct json_out j;
    struct row *rows;
    size_t count;

    rows = list_rows(a, &count);
    gs_buf_init(&out, ANSWER_BYTES_MAX);
    json_init(&j, &out);
    json_obj(&j);
    json_key(&j, "members");
    json_arr(&j);
    for (size_t i = 0; i <= count; i++) { /* all in order of name */
        if (!told && (i == count || gs_slice_cmp(rows[i].n->name, self) >= 0)) {
            self_json(&j, a);
            told = true;
        }
        if (i < count)
            member_json(&j, a->node, &rows[i]);
    }
    json_arr_end(&j);
    json_kstr(&j, "standing", v->standing == GOSSIP_OPEN ? "open" : "closed");
    json_key(&j, "missing");
    json_arr(&j);
    json_arr_end(&j);
    json_obj_end(&j);
    gs_free(rows);
    admin_reply_json(a->call, 200, &out);
    asking_free(a);
}

void
api_members(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    (void)r;
    ask(n, c, NULL, on_members);
}

/* ---- rtt ---- */

static void
rtt_row_json(struct json_out *j, const struct row *r)
{
    char addr[GS_ADDR_TEXT];

    json_obj(j);
    json_kslice(j, "node", r->n->name);
    json_kstr(j, "address", gs_addr_text(&r->n->address, addr));
    json_kstr(j, "state", gossip_state_name(state_of(r)));
    rtt_json(j, r);
    json_kslice(j, "zone", r->n->zone);
    json_obj_end(j);
}

static bool
is_there(const struct row *r)
{
    return state_of(r) == GOSSIP_ALIVE || state_of(r) == GOSSIP_SUSPECT;
}

static void
refuse_name(const struct asking *a, const struct row *rows, size_t count)
{
    const char *near = NULL;
    unsigned best = 3;
    char hint[GOSSIP_NAME_MAX + 32];

    for (size_t i = 0; i < count; i++) {
        unsigned d = gs_slice_distance(rows[i].n->name, gs_slice_str(a->name), 2);

        if (d >= best)
            continue;
        best = d;
        (void)snprintf(hint, sizeof(hint), "did you mean %.*s?", GS_SLICE_FMT(rows[i].n->name));
        near = hint;
    }
    admin_error(a->call, 404, "GS0404", near ? near : "gossamer members lists them",
                "there is no other node %s", a->name);
}

/* Of all that are there; of a named one whatever its state. */
static void
on_rtt(struct core_view *v)
{
    struct asking *a = GS_CONTAINER(v, struct asking, view);
    struct gs_buf out;
    struct json_out j;
    struct row *rows;
    size_t count, found = 0;

    rows = list_rows(a, &count);
    gs_buf_init(&out, ANSWER_BYTES_MAX);
    json_init(&j, &out);
    json_obj(&j);
    json_key(&j, "rtt");
    json_arr(&j);
    for (size_t i = 0; i < count; i++) {
        bool named = a->name && gs_slice_eq(rows[i].n->name, gs_slice_str(a->name));

        if (!named && (a->name || !is_there(&rows[i])))
            continue;
        rtt_row_json(&j, &rows[i]);
        found++;
    }
    json_arr_end(&j);
    json_kstr(&j, "from", a->node->config->node);
    json_obj_end(&j);
    if (a->name && found == 0) {
        gs_buf_fini(&out);
        refuse_name(a, rows, count);
    } else {
        admin_reply_json(a->call, 200, &out);
    }
    gs_free(rows);
    asking_free(a);
}

void
api_rtt(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    struct gs_slice name;

    ask(n, c, admin_query(r, "node", &name) ? name.ptr : NULL, on_rtt);
}

/* ---- leave ---- */

struct leaving {
    struct node *node;
    struct admin_call *call;
    uint64_t started_ns;
};

static void
on_left(void *arg)
{
    struct leaving *l = arg;
    struct gs_buf out;
    struct json_out j;

    gs_loop_clock(l->node->loop);
    gs_buf_init(&out, 512);
    json_init(&j, &out);
    json_obj(&j);
    json_kbool(&j, "left", true);
    json_kstr(&j, "node", l->node->config->node);
    json_kdouble(&j, "ms", (double)(l->node->loop->now_ns - l->started_ns) / 1e6);
    json_obj_end(&j);
    admin_reply_json(l->call, 200, &out);
    gs_free(l);
}

void
api_leave(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    struct leaving *l;

    (void)r;
    if (gs_fsm_is(&n->phase, NODE_DRAINING)) {
        admin_error(c, 503, "GS0503", "wait for it to end", "node %s is stopping already",
                    n->config->node);
        return;
    }
    l = gs_zalloc(sizeof(*l));
    l->node = n;
    l->call = c;
    l->started_ns = n->loop->now_ns;
    node_leave(n, on_left, l);
}
