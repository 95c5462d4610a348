/* persist.c - coalesces saves: while one is under way, all further requests wait for the next. */
#include "mesh/persist.h"

#include <stdio.h>

#include <gossamer/alloc.h>
#include <gossamer/log.h>
#include <gossamer/work.h>

#include "mesh/state.h"

struct persist {
    struct gs_work work;
    struct gs_loop *loop;
    char *dir;
    persist_build_cb build;
    void *arg;
    struct gs_list waiting; /* for the next write */
    struct gs_list writing; /* for the present one */
    struct state_writer writer;
    struct gs_slice bytes;
    struct gs_why why;
    gs_err result;
    uint64_t failures;
    bool busy, again;
    void (*drained)(void *arg);
    void *drained_arg;
};

static void
run(struct gs_work *w)
{
    struct persist *p = GS_CONTAINER(w, struct persist, work);

    p->result = state_save(p->dir, "mesh.state", p->bytes, &p->why);
}

static void persist_begin(struct persist *p);

static void
finish(struct persist *p)
{
    struct gs_list *n;

    p->busy = false;
    if (p->result != GS_E_OK) {
        p->failures++;
        LOG_ERROR("state.not_saved", "dir=%s why=\"%s\"", p->dir, p->why.text);
    }
    while ((n = gs_list_pop_front(&p->writing))) {
        struct persist_waiter *w = GS_LIST_ENTRY(n, struct persist_waiter, link);

        w->done(w, p->result, p->why.text);
    }
    if (p->again)
        persist_begin(p);
    else if (p->drained)
        p->drained(p->drained_arg);
}

static void
on_done(struct gs_work *w)
{
    struct persist *p = GS_CONTAINER(w, struct persist, work);

    state_writer_fini(&p->writer);
    finish(p);
}

static void
persist_begin(struct persist *p)
{
    p->again = false;
    p->busy = true;
    gs_list_splice(&p->writing, &p->waiting);
    state_writer_init(&p->writer, STATE_MESH);
    p->build(p->arg, &p->writer);
    p->why.text[0] = '\0';
    p->result = state_end(&p->writer, &p->bytes);
    if (p->result != GS_E_OK) {
        state_writer_fini(&p->writer);
        snprintf(p->why.text, sizeof(p->why.text), "mesh.state would be too large");
        finish(p);
        return;
    }
    p->work.run = run;
    p->work.done = on_done;
    gs_work_start(p->loop, &p->work);
}

struct persist *
persist_new(struct gs_loop *loop, const char *dir, persist_build_cb build, void *arg)
{
    struct persist *p = gs_zalloc(sizeof(*p));

    p->loop = loop;
    p->dir = gs_strdup(dir);
    p->build = build;
    p->arg = arg;
    gs_list_init(&p->waiting);
    gs_list_init(&p->writing);
    return p;
}

void
persist_save(struct persist *p, struct persist_waiter *w)
{
    if (w)
        gs_list_push_back(&p->waiting, &w->link);
    p->again = true;
    if (!p->busy)
        persist_begin(p);
}

void
persist_drain(struct persist *p, void (*drained)(void *arg), void *arg)
{
    p->drained = drained;
    p->drained_arg = arg;
    if (!p->busy)
        drained(arg);
}

uint64_t
persist_failures(const struct persist *p)
{
    return p->failures;
}

void
persist_free(struct persist *p)
{
    if (!p)
        return;
    GS_ASSERT(!p->busy);
    gs_free(p->dir);
    gs_free(p);
}
