/* meshcall.c - one question to another node: asked, bounded, told once. */
#include "mesh/meshcall.h"

#include <stdio.h>

#include <gossamer/alloc.h>
#include <gossamer/mux.h>

struct meshcalls {
    struct gs_loop *loop;
    struct mux *mux;      /* NULL: the worker's end is closed */
    struct gs_list calls; /* under way, or to be told */
};

/* ---- the door ---- */

static void
on_closed(void *arg, enum reason why)
{
    struct meshcalls *m = arg;

    (void)why; /* calls under way were told by a reset */
    m->mux = NULL;
}

static const struct mux_events door_events = { .closed = on_closed };

struct meshcalls *
meshcalls_new(struct gs_loop *loop, int fd)
{
    struct meshcalls *m = gs_zalloc(sizeof(*m));
    struct stream *below;

    m->loop = loop;
    gs_list_init(&m->calls);
    m->mux = mux_new(&(struct mux_options){
        .loop = loop, .role = MUX_CLIENT, .events = &door_events, .arg = m });
    below = stream_tcp_accept(loop, fd, &mux_sink_ops, m->mux);
    if (below) {
        mux_start(m->mux, below);
    } else {
        mux_free(m->mux);
        m->mux = NULL;
    }
    return m;
}

void
meshcalls_close(struct meshcalls *m)
{
    if (m && m->mux)
        mux_abort(m->mux, REASON_DRAINING);
}

bool
meshcalls_open(const struct meshcalls *m)
{
    return m->mux != NULL;
}

void
meshcalls_free(struct meshcalls *m)
{
    GS_ASSERT(!m || gs_list_empty(&m->calls));
    GS_ASSERT(!m || !m->mux);
    gs_free(m);
}

/* ---- the end of a call ---- */

static struct meshcall *
call_of(struct side *reply)
{
    return GS_CONTAINER(reply, struct meshcall, reply);
}

static void
tell(struct gs_defer *d)
{
    struct meshcall *c = GS_CONTAINER(d, struct meshcall, tell);

    gs_list_remove(&c->link);
    c->done(c);
}

/* Told from the loop: the asker may free the call, or ask again. */
static void
finish(struct meshcall *c)
{
    struct gs_loop *loop = c->calls->loop;

    c->asked = NULL;
    gs_loop_disarm(loop, &c->deadline);
    gs_loop_defer(loop, &c->tell);
}

static void
fail(struct meshcall *c, const char *why)
{
    struct side *asked = c->asked;

    c->status = 0;
    (void)snprintf(c->why, sizeof(c->why), "%s", why);
    finish(c);
    if (asked)
        asked->ops->reset(asked, REASON_NONE);
}

static void
on_deadline(struct gs_timer *t)
{
    struct meshcall *c = GS_CONTAINER(t, struct meshcall, deadline);

    fail(c, "has not answered");
}

/* ---- the answer ---- */

static void
reply_head(struct side *to, struct head *h)
{
    struct meshcall *c = call_of(to);
    const struct field *type = head_find(h, GS_SLICE("content-type"));

    c->status = h->status;
    c->plain = type && gs_slice_starts(type->value, GS_SLICE("text/plain"));
}

static void
reply_data(struct side *to, struct gs_slice bytes)
{
    struct meshcall *c = call_of(to);

    if (gs_buf_put_slice(&c->body, bytes) != GS_E_OK)
        fail(c, "has answered with more than 1 MiB");
}

static void
reply_trailers(struct side *to, struct head *t)
{
    (void)to;
    (void)t;
}

/* "gossamer: upstream refused the connection\n", by one of the two workers in between; else the
 * other node's own no. */
static void
explain(struct meshcall *c)
{
    struct gs_slice text = gs_buf_slice(&c->body);
    struct gs_slice prefix = GS_SLICE("gossamer: ");

    if (c->plain && gs_slice_starts(text, prefix) && text.ptr[text.len - 1] == '\n') {
        text = gs_slice_from(text, prefix.len);
        text.len--;
        text.len = text.len < sizeof(c->why) ? text.len : sizeof(c->why) - 1;
        (void)snprintf(c->why, sizeof(c->why), "cannot be asked: %.*s", GS_SLICE_FMT(text));
    } else {
        (void)snprintf(c->why, sizeof(c->why), "has answered with status %u", c->status);
    }
}

static void
reply_end(struct side *to)
{
    struct meshcall *c = call_of(to);

    if (c->status != 200)
        explain(c);
    finish(c);
}

static void
reply_reset(struct side *to, enum reason why)
{
    struct meshcall *c = call_of(to);

    (void)why;
    c->asked = NULL;
    fail(c, c->status != 0 ? "has cut its answer short" : "was not asked: this node is stopping");
}

static size_t
reply_room(struct side *to)
{
    (void)to;
    return LOOP_SCRATCH_BYTES; /* bounded by the body's maximum */
}

static void
reply_resume(struct side *to)
{
    (void)to;
}

static const struct side_ops reply_ops = { reply_head,  reply_data, reply_trailers, reply_end,
                                           reply_reset, reply_room, reply_resume };

/* ---- asking ---- */

static void
start(struct meshcall *c)
{
    gs_buf_fini(&c->body);
    gs_buf_init(&c->body, MESHCALL_BYTES_MAX);
    c->why[0] = '\0';
    c->status = 0;
    c->plain = false;
    c->reply.ops = &reply_ops;
    gs_list_init(&c->link);
    gs_timer_init(&c->deadline, on_deadline);
    gs_defer_init(&c->tell, tell);
}

void
meshcall_ask(struct meshcalls *m, struct meshcall *c, const struct gs_id *node,
             const struct gs_addr *mesh, struct gs_slice path, uint64_t wait_ms)
{
    char authority[GS_ID_TEXT + GS_ADDR_TEXT], id[GS_ID_TEXT], addr[GS_ADDR_TEXT];

    GS_ASSERT(m);
    GS_ASSERT(!c->asked);
    start(c);
    c->calls = m;
    gs_list_push_back(&m->calls, &c->link);
    (void)snprintf(authority, sizeof(authority), "%s+%s", gs_id_text(node, id),
                   gs_addr_text(mesh, addr));
    if (m->mux)
        c->asked = mux_ask(m->mux, gs_slice_str(authority), path, &c->reply);
    if (c->asked)
        gs_loop_arm(m->loop, &c->deadline, wait_ms > 0 ? wait_ms : 1);
    else
        fail(c, m->mux ? "was not asked: too many questions are under way"
                       : "was not asked: this node is stopping");
}

void
meshcall_cancel(struct meshcall *c)
{
    struct side *asked = c->asked;

    if (!c->calls || !gs_list_linked(&c->link))
        return;
    c->asked = NULL;
    gs_list_remove(&c->link);
    gs_loop_disarm(c->calls->loop, &c->deadline);
    gs_defer_cancel(&c->tell);
    if (asked)
        asked->ops->reset(asked, REASON_NONE);
}

void
meshcall_fini(struct meshcall *c)
{
    meshcall_cancel(c);
    gs_buf_fini(&c->body);
}
