/* persist.c - coalesces saves: while one is under way, all further requests wait for the next. */
#include "mesh/persist.h"

#include <stdio.h>

#include <gossamer/alloc.h>
#include <gossamer/fsm.h>
#include <gossamer/gossip_loop.h>
#include <gossamer/log.h>
#include <gossamer/work.h>

#include "mesh/config/config.h"
#include "mesh/node.h"
#include "mesh/node_dir.h"
#include "mesh/state.h"

enum persist_state { IDLE, FREEZING, WRITING, CLOSED, STATES };
static const char *const state_names[] = { "IDLE", "FREEZING", "WRITING", "CLOSED" };
static const uint32_t state_moves[] = {
    [IDLE] = GS_FSM_BIT(FREEZING) | GS_FSM_BIT(CLOSED),
    [FREEZING] = GS_FSM_BIT(WRITING),
    [WRITING] = GS_FSM_BIT(IDLE),
    [CLOSED] = 0,
};
static const struct gs_fsm_def persist_def = { "persist", state_names, state_moves, STATES };

struct persist {
    struct persist_options o;
    struct gs_fsm fsm;
    struct gossip_call freeze;
    struct gs_work work;
    struct gs_timer soon;
    struct gs_list waiting; /* for the next write */
    struct gs_list writing; /* for the present one */
    bool asked;             /* there shall be a next write */
    uint64_t begun_ms;      /* the present or last one */
    uint64_t failures;
    char trouble[256];          /* of the last write; empty: none */
    void (*drained)(void *arg); /* set: the next write is the last */
    void *drained_arg;

    /* the present write: the gossip thread's, then the pool's */
    struct gossip_frozen *frozen;
    struct state_node now;
    uint64_t saved_boot;
    bool write_node; /* node.state as well */
    struct state_writer writer;
    struct gs_why why;
    gs_err result;
};

/* ---- on the pool ---- */

static gs_err
write_mesh(struct persist *p)
{
    struct gossip_frame frame;
    struct gs_slice bytes;
    gs_err e;

    for (size_t at = 0; gossip_frozen_next(p->frozen, &at, &frame);)
        state_put(&p->writer, frame.kind, frame.bytes);
    e = state_end(&p->writer, &bytes);
    if (e != GS_E_OK)
        return gs_refuse(&p->why, e, "mesh.state would be too large");
    return state_save(p->o.node->config->state_dir, "mesh.state", bytes, &p->why);
}

static void
run(struct gs_work *w)
{
    struct persist *p = GS_CONTAINER(w, struct persist, work);

    p->result = write_mesh(p);
    gossip_frozen_free(p->frozen);
    p->frozen = NULL;
    state_writer_fini(&p->writer);
    if (p->result == GS_E_OK && p->write_node)
        p->result = node_dir_save(p->o.node->config->state_dir, &p->now, &p->why);
}

/* ---- on the control thread ---- */

static void begin(struct persist *p);

static void
next(struct persist *p)
{
    GS_ASSERT(gs_fsm_is(&p->fsm, IDLE));
    if (p->asked) {
        begin(p);
    } else if (p->drained) {
        gs_loop_disarm(p->o.node->loop, &p->soon);
        gs_fsm_move(&p->fsm, CLOSED);
        p->drained(p->drained_arg);
    } else if (p->trouble[0] && !gs_timer_armed(&p->soon)) {
        gs_loop_arm(p->o.node->loop, &p->soon, PERSIST_RETRY_MS);
    }
}

static void
on_done(struct gs_work *w)
{
    struct persist *p = GS_CONTAINER(w, struct persist, work);
    const char *dir = p->o.node->config->state_dir;
    struct gs_list told;
    struct gs_list *n;

    gs_list_init(&told);
    gs_list_splice(&told, &p->writing); /* one of them may begin the next write */
    gs_fsm_move(&p->fsm, IDLE);
    if (p->result != GS_E_OK) {
        p->failures++;
        (void)snprintf(p->trouble, sizeof(p->trouble), "%s", p->why.text);
        LOG_ERROR("state.not_saved", "dir=%s why=\"%s\"", dir, p->why.text);
    } else {
        p->trouble[0] = '\0';
        if (p->write_node)
            p->saved_boot = p->now.boot;
    }
    while ((n = gs_list_pop_front(&told))) {
        struct persist_waiter *waiter = GS_LIST_ENTRY(n, struct persist_waiter, link);

        waiter->done(waiter, p->result, p->why.text);
    }
    if (gs_fsm_is(&p->fsm, IDLE)) /* a waiter may have asked for the next */
        next(p);
}

/* The model is at least as new as what was frozen: the events of all that were delivered. */
static void
on_frozen(struct gossip_call *c)
{
    struct persist *p = GS_CONTAINER(c, struct persist, freeze);
    struct gs_buf buf;

    state_writer_init(&p->writer, STATE_MESH);
    gs_buf_init(&buf, OBJECT_BYTES_MAX * 2);
    for (size_t at = 0; model_next_frame(p->o.node->model, &at, &buf);)
        state_put(&p->writer, MODEL_FRAME_ACTIVE, gs_buf_slice(&buf));
    gs_buf_fini(&buf);
    for (size_t i = 0; i < p->o.kept_count; i++)
        state_put(&p->writer, p->o.kept[i].kind, p->o.kept[i].bytes);
    p->write_node = p->drained || p->now.boot != p->saved_boot;
    p->why.text[0] = '\0';
    p->work.run = run;
    p->work.done = on_done;
    gs_fsm_move(&p->fsm, WRITING);
    gs_work_start(p->o.node->loop, &p->work);
}

/* On the gossip thread. */
static void
freeze(struct gossip_call *c, struct gossip *g, uint64_t now_ms, uint64_t wall_ms)
{
    struct persist *p = GS_CONTAINER(c, struct persist, freeze);
    struct gossip_node self = gossip_self(g);

    (void)now_ms;
    (void)wall_ms;
    GS_ASSERT(!p->frozen);
    p->frozen = gossip_freeze(g);
    p->now = (struct state_node){ .boot = self.boot,
                                  .incarnation = self.incarnation,
                                  .hlc = gossip_hlc(g) };
}

static void
begin(struct persist *p)
{
    gs_fsm_move(&p->fsm, FREEZING);
    p->asked = false;
    p->begun_ms = p->o.node->loop->now_ms;
    gs_loop_disarm(p->o.node->loop, &p->soon); /* what it was for goes along */
    gs_list_splice(&p->writing, &p->waiting);
    p->freeze.run = freeze;
    p->freeze.done = on_frozen;
    gossip_loop_call(p->o.node->gossip, &p->freeze);
}

static void
on_soon(struct gs_timer *t)
{
    persist_save(GS_CONTAINER(t, struct persist, soon), NULL);
}

struct persist *
persist_new(const struct persist_options *o)
{
    struct persist *p = gs_zalloc(sizeof(*p));

    p->o = *o;
    p->saved_boot = o->boot;
    gs_fsm_init(&p->fsm, &persist_def, IDLE);
    gs_timer_init(&p->soon, on_soon);
    gs_list_init(&p->waiting);
    gs_list_init(&p->writing);
    return p;
}

void
persist_free(struct persist *p)
{
    if (!p)
        return;
    GS_ASSERT(gs_fsm_is(&p->fsm, IDLE) || gs_fsm_is(&p->fsm, CLOSED));
    gs_free(p);
}

void
persist_save(struct persist *p, struct persist_waiter *w)
{
    if (gs_fsm_is(&p->fsm, CLOSED)) {
        if (w)
            w->done(w, GS_E_CLOSED, "the node is stopping");
        return;
    }
    if (w)
        gs_list_push_back(&p->waiting, &w->link);
    p->asked = true;
    if (gs_fsm_is(&p->fsm, IDLE))
        begin(p);
}

void
persist_soon(struct persist *p)
{
    struct gs_loop *loop = p->o.node->loop;
    uint64_t at = p->begun_ms + PERSIST_SOON_MS;

    if (p->asked || gs_fsm_is(&p->fsm, CLOSED) || gs_timer_armed(&p->soon))
        return;
    gs_loop_arm(loop, &p->soon, at > loop->now_ms ? at - loop->now_ms : 1);
}

void
persist_drain(struct persist *p, void (*drained)(void *arg), void *arg)
{
    GS_ASSERT(!p->drained);
    p->drained = drained;
    p->drained_arg = arg;
    persist_save(p, NULL);
}

uint64_t
persist_failures(const struct persist *p)
{
    return p->failures;
}

const char *
persist_trouble(const struct persist *p)
{
    return p->trouble[0] ? p->trouble : NULL;
}
