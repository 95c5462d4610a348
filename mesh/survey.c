/* survey.c - asks all, and waits for the last. */
#include "mesh/survey.h"

#include <gossamer/alloc.h>

#include "mesh/meshcall.h"
#include "mesh/node.h"
#include "mesh/roster.h"

struct asked {
    struct meshcall call;
    struct survey *survey;
    char *name;
};

struct survey {
    struct node *node;
    struct survey_options o;
    struct asked *nodes;
    size_t count, open, left_out;
    struct gs_defer tell;
};

static void
on_tell(struct gs_defer *d)
{
    struct survey *s = GS_CONTAINER(d, struct survey, tell);

    s->o.done(s->o.arg);
}

static void
on_answered(struct meshcall *c)
{
    struct survey *s = GS_CONTAINER(c, struct asked, call)->survey;

    GS_ASSERT(s->open > 0);
    if (--s->open == 0)
        gs_loop_defer(s->node->loop, &s->tell);
}

static bool
is_there(const struct roster_node *r)
{
    return r->state == GOSSIP_ALIVE || r->state == GOSSIP_SUSPECT;
}

static bool
can_be_asked(const struct node *n, const struct roster_node *r, struct gs_addr *mesh)
{
    return n->calls && r->inbound.len > 0 && gs_addr_parse(mesh, r->inbound, NULL) == GS_E_OK;
}

static void
ask(struct survey *s, const struct roster_node *r, const struct gs_addr *mesh)
{
    struct asked *a = &s->nodes[s->count++];

    a->survey = s;
    a->name = gs_alloc(r->name.len + 1);
    (void)snprintf(a->name, r->name.len + 1, "%.*s", GS_SLICE_FMT(r->name));
    a->call.done = on_answered;
    s->open++;
    meshcall_ask(s->node->calls, &a->call, &r->id, mesh, gs_slice_str(s->o.path), s->o.wait_ms);
}

struct survey *
survey_start(struct node *n, const struct survey_options *o)
{
    struct survey *s = gs_zalloc(sizeof(*s));
    const struct roster_node *r;
    struct gs_addr mesh;

    s->node = n;
    s->o = *o;
    gs_defer_init(&s->tell, on_tell);
    s->nodes = gs_calloc(SURVEY_NODES_MAX, sizeof(*s->nodes));
    for (size_t at = 0; roster_next(n->members, &at, &r);) {
        if (!is_there(r))
            continue;
        if (s->count < SURVEY_NODES_MAX && can_be_asked(n, r, &mesh))
            ask(s, r, &mesh);
        else
            s->left_out++;
    }
    if (s->count == 0)
        gs_loop_defer(n->loop, &s->tell);
    return s;
}

void
survey_free(struct survey *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++) {
        meshcall_fini(&s->nodes[i].call);
        gs_free(s->nodes[i].name);
    }
    gs_defer_cancel(&s->tell);
    gs_free(s->nodes);
    gs_free(s);
}

size_t
survey_asked(const struct survey *s)
{
    return s->count;
}

size_t
survey_left_out(const struct survey *s)
{
    return s->left_out;
}

bool
survey_next(const struct survey *s, size_t *at, struct survey_answer *out)
{
    const struct asked *a;

    if (*at >= s->count)
        return false;
    a = &s->nodes[(*at)++];
    *out = (struct survey_answer){ .node = gs_slice_str(a->name),
                                   .status = a->call.status,
                                   .body = a->call.status == 200 ? gs_buf_slice(&a->call.body)
                                                                 : GS_SLICE_NONE,
                                   .why = a->call.why };
    return true;
}
