/* work_uv.c - signals and the thread pool. */
#include <gossamer/work.h>

#include <gossamer/alloc.h>

#include "mesh/base/loop_uv.h"

struct gs_signal {
    uv_signal_t uv;
    struct gs_loop *loop;
    void (*call)(void *arg, int signum);
    void *arg;
};

static void
on_signal(uv_signal_t *h, int signum)
{
    struct gs_signal *s = h->data;

    gs_loop_clock(s->loop);
    s->call(s->arg, signum);
}

struct gs_signal *
gs_signal_watch(struct gs_loop *l, int signum, void (*call)(void *arg, int signum), void *arg)
{
    struct gs_signal *s = gs_zalloc(sizeof(*s));

    s->loop = l;
    s->call = call;
    s->arg = arg;
    GS_ASSERT(uv_signal_init(gs_loop_uv(l), &s->uv) == 0);
    s->uv.data = s;
    GS_ASSERT(uv_signal_start(&s->uv, on_signal, signum) == 0);
    return s;
}

static void
on_signal_closed(uv_handle_t *h)
{
    gs_free(h->data);
}

void
gs_signal_close(struct gs_signal *s)
{
    if (s)
        uv_close((uv_handle_t *)&s->uv, on_signal_closed);
}

struct request {
    uv_work_t uv;
    struct gs_work *work;
    struct gs_loop *loop;
};

static void
on_run(uv_work_t *uv)
{
    struct request *r = uv->data;

    r->work->run(r->work);
}

static void
on_done(uv_work_t *uv, int status)
{
    struct request *r = uv->data;
    struct gs_work *w = r->work;

    GS_ASSERT(status == 0); /* nothing here is ever cancelled */
    gs_loop_clock(r->loop);
    w->request = NULL;
    gs_free(r);
    w->done(w); /* last touch: the owner may free it */
}

void
gs_work_start(struct gs_loop *l, struct gs_work *w)
{
    struct request *r = gs_zalloc(sizeof(*r));

    GS_ASSERT(!w->request);
    r->work = w;
    r->loop = l;
    r->uv.data = r;
    w->request = r;
    GS_ASSERT(uv_queue_work(gs_loop_uv(l), &r->uv, on_run, on_done) == 0);
}
