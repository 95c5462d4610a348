/* mesh_call.c - questions of nodes to each other, as a worker passes them on. It answers none: both
 * ways are a mux over a socket pair, whose other end the control thread has.
 *
 *   another node ─▶ mesh_in ─▶ begin_answer ─▶ `to_control`, a client there     ─▶ the admin API
 *   the control thread ─▶ `from_control`, a server here ─▶ begin_ask ─▶ mesh_out ─▶ another node
 *
 * What the control thread asks is addressed to ID+ADDRESS: which node, and where it is reached. A
 * relay joins the two sides of one question; it is gone when both have ended. */
#include "proxy/mesh.h"

#include <gossamer/alloc.h>

struct mesh_calls {
    struct worker *worker;
    struct http_handler answers; /* mesh_in's: other nodes' questions */
    struct http_handler asks;    /* of from_control */
    struct mux *to_control;      /* NULL: it is gone */
    struct mux *from_control;    /* one worker's; NULL: another has it, or it is gone */
};

struct relay {
    struct side request; /* the asker ends, resets and resumes here */
    struct side reply;   /* the answer comes here */
    struct side *answer; /* the asker's; NULL: it needs no more */
    struct side *asked;  /* to cancel or resume the question by; NULL: it is over */
    struct gs_loop *loop;
    struct gs_grave grave;
    bool headed;
    bool request_over; /* the asker will say nothing more */
};

static void
bury(struct gs_grave *g)
{
    gs_free(GS_CONTAINER(g, struct relay, grave));
}

static void
maybe_over(struct relay *r)
{
    GS_ASSERT(r->loop);
    if (r->request_over && !r->answer && !r->asked)
        gs_loop_bury(r->loop, &r->grave, bury);
}

/* ---- what the asker says ---- */

static void
request_data(struct side *to, struct gs_slice bytes)
{
    (void)to; /* a GET has no body, and no use for one */
    (void)bytes;
}

static void
request_head(struct side *to, struct head *h)
{
    (void)to;
    (void)h;
}

static void
request_end(struct side *to)
{
    struct relay *r = GS_CONTAINER(to, struct relay, request);

    GS_ASSERT(!r->request_over);
    r->request_over = true;
    maybe_over(r);
}

static void
request_reset(struct side *to, enum reason why)
{
    struct relay *r = GS_CONTAINER(to, struct relay, request);
    struct side *asked = r->asked;

    r->answer = NULL;
    r->asked = NULL;
    r->request_over = true;
    if (asked)
        asked->ops->reset(asked, why);
    maybe_over(r);
}

static size_t
request_room(struct side *to)
{
    (void)to;
    return LOOP_SCRATCH_BYTES;
}

static void
request_resume(struct side *to)
{
    struct relay *r = GS_CONTAINER(to, struct relay, request);

    if (r->asked)
        r->asked->ops->resume(r->asked);
}

static const struct side_ops request_ops = { request_head,  request_data,  request_head,
                                             request_end,   request_reset, request_room,
                                             request_resume };

/* ---- what is answered ---- */

static void
reply_head(struct side *to, struct head *h)
{
    struct relay *r = GS_CONTAINER(to, struct relay, reply);

    if (h->status < 200 || !r->answer)
        return;
    GS_ASSERT(!r->headed);
    r->headed = true;
    r->answer->ops->head(r->answer, h);
}

static void
reply_data(struct side *to, struct gs_slice bytes)
{
    struct relay *r = GS_CONTAINER(to, struct relay, reply);

    GS_ASSERT(!r->answer || r->headed);
    if (r->answer)
        r->answer->ops->data(r->answer, bytes);
}

static void
reply_trailers(struct side *to, struct head *t)
{
    (void)to;
    (void)t;
}

static struct side *
take_answer(struct relay *r)
{
    struct side *answer = r->answer;

    r->answer = NULL;
    r->asked = NULL;
    return answer;
}

static void
reply_end(struct side *to)
{
    struct relay *r = GS_CONTAINER(to, struct relay, reply);
    struct side *answer = take_answer(r);

    if (answer)
        answer->ops->end(answer);
    maybe_over(r);
}

static void
refuse(struct side *answer, enum reason why)
{
    answer_own(answer, &(struct own_answer){
                           .reason = why,
                           .via = "gossamer",
                           .outcome = mux_outcome_text(OUTCOME_NOT_PROCESSED),
                       });
}

static void
reply_reset(struct side *to, enum reason why)
{
    struct relay *r = GS_CONTAINER(to, struct relay, reply);
    bool headed = r->headed;
    struct side *answer = take_answer(r);

    if (answer && headed)
        answer->ops->reset(answer, why);
    else if (answer)
        refuse(answer, reason_info(why)->status > 0 ? why : REASON_UPSTREAM_CLOSED);
    maybe_over(r);
}

static size_t
reply_room(struct side *to)
{
    struct relay *r = GS_CONTAINER(to, struct relay, reply);

    return r->answer ? r->answer->ops->room(r->answer) : LOOP_SCRATCH_BYTES;
}

static void
reply_resume(struct side *to)
{
    (void)to; /* nothing waits: a GET has no body */
}

static const struct side_ops reply_ops = { reply_head,  reply_data, reply_trailers, reply_end,
                                           reply_reset, reply_room, reply_resume };

static struct relay *
relay_new(struct gs_loop *loop, struct side *answer)
{
    struct relay *r = gs_zalloc(sizeof(*r));

    r->request.ops = &request_ops;
    r->reply.ops = &reply_ops;
    r->answer = answer;
    r->loop = loop;
    gs_list_init(&r->grave.link);
    return r;
}

/* Nobody can be asked. The asker hears so at once, and tells us nothing more then. */
static struct side *
relay_refuse(struct relay *r, enum reason why)
{
    GS_ASSERT(!r->asked);
    GS_ASSERT(r->answer);
    r->request_over = true;
    refuse(take_answer(r), why);
    maybe_over(r);
    return &r->request;
}

/* ---- both ways ---- */

static struct side *
begin_answer(struct http_handler *handler, struct side *answer, struct head *h)
{
    struct mesh_calls *c = GS_CONTAINER(handler, struct mesh_calls, answers);
    struct relay *r = relay_new(c->worker->loop, answer);

    if (c->to_control)
        r->asked = mux_ask(c->to_control, h->authority, h->path, &r->reply);
    return r->asked ? &r->request : relay_refuse(r, REASON_LIMIT);
}

/* "ID+ADDRESS" */
static bool
read_target(struct gs_slice text, struct mesh_target *out)
{
    ptrdiff_t at = gs_slice_find(text, '+');

    return at > 0 && gs_id_parse(&out->node, gs_slice_head(text, (size_t)at)) == GS_E_OK &&
           gs_addr_parse(&out->mesh, gs_slice_from(text, (size_t)at + 1), NULL) == GS_E_OK;
}

static struct side *
begin_ask(struct http_handler *handler, struct side *answer, struct head *h)
{
    struct mesh_calls *c = GS_CONTAINER(handler, struct mesh_calls, asks);
    struct relay *r = relay_new(c->worker->loop, answer);
    struct mesh_target to = { .caller = 0 };

    if (!read_target(h->authority, &to))
        return relay_refuse(r, REASON_MISDIRECTED);
    if (!c->worker->draining)
        r->asked = mesh_out_ask(c->worker->mesh_out, &to, h->path, &r->reply);
    return r->asked ? &r->request : relay_refuse(r, REASON_LIMIT);
}

/* ---- the doors ---- */

static void
on_to_closed(void *arg, enum reason why)
{
    struct mesh_calls *c = arg;

    (void)why;
    c->to_control = NULL;
    worker_conn_closed(c->worker);
}

static void
on_from_closed(void *arg, enum reason why)
{
    struct mesh_calls *c = arg;

    (void)why;
    c->from_control = NULL;
    worker_conn_closed(c->worker);
}

/* Between threads of one process nothing is refused, and no stream of others comes. */
static const struct mux_events to_events = { .closed = on_to_closed };
static const struct mux_events from_events = { .closed = on_from_closed };

static struct mux *
open_door(struct mesh_calls *c, int fd, enum mux_role role, const struct mux_events *events)
{
    struct gs_loop *loop = c->worker->loop;
    struct mux *m = mux_new(&(struct mux_options){ .loop = loop,
                                                   .role = role,
                                                   .events = events,
                                                   .arg = c,
                                                   .calls = role == MUX_SERVER ? &c->asks : NULL });
    struct stream *below = stream_tcp_accept(loop, fd, &mux_sink_ops, m);

    if (!below) {
        mux_free(m);
        return NULL;
    }
    mux_start(m, below);
    return m;
}

struct mesh_calls *
mesh_calls_new(struct worker *w, int answer_fd, int ask_fd)
{
    struct mesh_calls *c = gs_zalloc(sizeof(*c));

    c->worker = w;
    c->answers.begin = begin_answer;
    c->asks.begin = begin_ask;
    if (answer_fd >= 0)
        c->to_control = open_door(c, answer_fd, MUX_CLIENT, &to_events);
    if (ask_fd >= 0)
        c->from_control = open_door(c, ask_fd, MUX_SERVER, &from_events);
    return c;
}

struct http_handler *
mesh_calls_handler(struct mesh_calls *c)
{
    return &c->answers;
}

void
mesh_calls_stop_asking(struct mesh_calls *c)
{
    if (c->from_control)
        mux_abort(c->from_control, REASON_DRAINING);
}

void
mesh_calls_close(struct mesh_calls *c)
{
    mesh_calls_stop_asking(c);
    if (c->to_control)
        mux_abort(c->to_control, REASON_DRAINING);
}

bool
mesh_calls_empty(const struct mesh_calls *c)
{
    return !c->to_control && !c->from_control;
}

void
mesh_calls_free(struct mesh_calls *c)
{
    GS_ASSERT(!c || mesh_calls_empty(c));
    gs_free(c);
}
