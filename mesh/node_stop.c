/* node_stop.c - how a node ends. Start reading at begin().
 *
 *     what it hosts is published as draining ─▶ every member routes by that, or ANNOUNCE_MS
 *     ─▶ the proxy drains ─▶ (leave: records withdrawn, LEFT told) ─▶ mesh.state ─▶ admin closed
 *     ─▶ (SIGTERM: told that it comes back) ─▶ gossip, health checks, loop
 *
 * Nobody is refused before everybody has had the time to go elsewhere. That it comes back is said
 * last: the grace for that is short. */
#include <inttypes.h>
#include <signal.h>
#include <unistd.h>

#include <gossamer/log.h>
#include <gossamer/work.h>

#include "mesh/admin.h"
#include "mesh/announce.h"
#include "mesh/config/config.h"
#include "mesh/confirm.h"
#include "mesh/doubts.h"
#include "mesh/ejections.h"
#include "mesh/health.h"
#include "mesh/log_level.h"
#include "mesh/meshcall.h"
#include "mesh/node_proxy.h"
#include "mesh/node_reload.h"
#include "mesh/node_running.h"
#include "mesh/notify.h"

#define PART_POLL_MS 20

static const char *const stop_names[] = { "NOT",     "ANNOUNCING", "FINISHING", "LEAVING", "SAVING",
                                          "CLOSING", "PARTING",    "ENDING",    "ENDED" };
static const uint32_t stop_moves[] = {
    [STOP_NOT] = GS_FSM_BIT(STOP_ANNOUNCING),
    [STOP_ANNOUNCING] = GS_FSM_BIT(STOP_FINISHING),
    [STOP_FINISHING] = GS_FSM_BIT(STOP_LEAVING) | GS_FSM_BIT(STOP_SAVING),
    [STOP_LEAVING] = GS_FSM_BIT(STOP_SAVING),
    [STOP_SAVING] = GS_FSM_BIT(STOP_CLOSING),
    [STOP_CLOSING] = GS_FSM_BIT(STOP_PARTING) | GS_FSM_BIT(STOP_ENDING),
    [STOP_PARTING] = GS_FSM_BIT(STOP_ENDING),
    [STOP_ENDING] = GS_FSM_BIT(STOP_ENDED),
    [STOP_ENDED] = 0,
};
static const struct gs_fsm_def stop_def = { "stop", stop_names, stop_moves, GS_COUNT(stop_names) };

/* ---- the end ---- */

static void
on_health_closed(void *arg)
{
    struct running *r = arg;

    gs_fsm_move(&r->stop.fsm, STOP_ENDED);
    r->health = NULL;
    gs_signal_close(r->term);
    gs_signal_close(r->interrupt);
    gs_signal_close(r->hangup);
    gs_loop_stop(r->node.loop);
}

static void
on_gossip_stopped(void *arg)
{
    struct running *r = arg;

    node_records_stop(r->node.records);
    log_level_stop(r->node.log);
    gs_loop_disarm(r->node.loop, &r->sample);
    health_close(r->health, on_health_closed);
}

static void
end(struct running *r)
{
    gs_fsm_move(&r->stop.fsm, STOP_ENDING);
    r->stopped = r->node.gossip;
    r->node.gossip = NULL; /* nobody calls it from here on */
    gossip_loop_stop(r->stopped, on_gossip_stopped, r);
}

/* ---- telling the others where it goes ---- */

static void
run_told(struct gossip_call *c, struct gossip *g, uint64_t now_ms, uint64_t wall_ms)
{
    struct running *r = GS_CONTAINER(c, struct running, stop.part);

    (void)now_ms;
    (void)wall_ms;
    r->stop.told = r->stop.leaving ? gossip_has_left(g) : gossip_restart_told(g);
}

static void
run_part(struct gossip_call *c, struct gossip *g, uint64_t now_ms, uint64_t wall_ms)
{
    struct running *r = GS_CONTAINER(c, struct running, stop.part);

    if (r->stop.leaving)
        gossip_leave(g, now_ms);
    else
        gossip_restart(g, now_ms);
    run_told(c, g, now_ms, wall_ms);
}

static void save(struct running *r);

static void
on_part(struct gossip_call *c)
{
    struct running *r = GS_CONTAINER(c, struct running, stop.part);
    struct node_stop *s = &r->stop;

    if (!s->told) {
        gs_loop_arm(r->node.loop, &s->part_timer, PART_POLL_MS);
    } else if (s->leaving) {
        s->on_left(s->on_left_arg);
        save(r);
    } else {
        end(r);
    }
}

static void
ask_told(struct gs_timer *t)
{
    struct running *r = GS_CONTAINER(t, struct running, stop.part_timer);

    r->stop.part.run = run_told;
    gossip_loop_call(r->node.gossip, &r->stop.part);
}

static void
part(struct running *r)
{
    model_set_published(r->node.model, false); /* nothing is said of services any more */
    r->stop.part = (struct gossip_call){ .run = run_part, .done = on_part };
    gossip_loop_call(r->node.gossip, &r->stop.part);
}

/* ---- state and admin ---- */

/* Only now: answers that were owed may have needed the core. */
static void
on_admin_closed(void *arg)
{
    struct running *r = arg;

    r->admin = NULL;
    if (r->stop.leaving) {
        end(r);
        return;
    }
    gs_fsm_move(&r->stop.fsm, STOP_PARTING);
    part(r);
}

static void
on_saved(void *arg)
{
    struct running *r = arg;

    gs_fsm_move(&r->stop.fsm, STOP_CLOSING);
    admin_close(r->admin, on_admin_closed, r);
}

static void
save(struct running *r)
{
    gs_fsm_move(&r->stop.fsm, STOP_SAVING);
    persist_drain(r->node.persist, on_saved, r);
}

/* ---- requests ---- */

static void
on_finished(void *arg)
{
    struct running *r = arg;

    LOG_INFO("node.drained", "node=%s refused=%" PRIu64 " ms=%" PRIu64, r->node.config->node,
             node_proxy_refused(r->proxy) - r->stop.refused_before,
             r->node.loop->now_ms - r->stop.begun_ms);
    meshcalls_close(r->node.calls);
    ejections_close(r->ejections);
    doubts_close(r->doubts);
    node_records_workers_gone(r->node.records);
    if (r->stop.leaving) {
        gs_fsm_move(&r->stop.fsm, STOP_LEAVING);
        part(r);
    } else {
        save(r);
    }
}

static void
finish(struct running *r)
{
    gs_fsm_move(&r->stop.fsm, STOP_FINISHING);
    if (r->proxy)
        node_proxy_drain(r->proxy, on_finished, r);
    else
        on_finished(r);
}

static void
on_announced(void *arg)
{
    struct running *r = arg;

    LOG_INFO("node.announced", "node=%s asked=%zu confirmed=%zu ms=%" PRIu64, r->node.config->node,
             announce_asked(r->stop.announce), announce_confirmed(r->stop.announce),
             r->node.loop->now_ms - r->stop.begun_ms);
    announce_free(r->stop.announce);
    r->stop.announce = NULL;
    finish(r);
}

static void
begin(struct running *r)
{
    struct node *n = &r->node;

    gs_fsm_move(&n->phase, NODE_DRAINING); /* /ready says so from now on */
    gs_fsm_move(&r->stop.fsm, STOP_ANNOUNCING);
    r->stop.begun_ms = n->loop->now_ms;
    r->stop.refused_before = node_proxy_refused(r->proxy);
    notify_send("STOPPING=1\nSTATUS=lets requests under way finish");
    node_reload_stop(n->reload);
    confirm_answer(n); /* who waits here is told to look elsewhere */
    model_set_draining(n->model);
    r->stop.announce =
        announce_start(n, &(struct announce_options){ "drain", ANNOUNCE_ROUTED, on_announced, r });
}

/* ---- who asks for it ---- */

void
node_leave(struct node *n, void (*left)(void *arg), void *arg)
{
    struct running *r = running_of(n);

    LOG_INFO("node.leaving", "node=%s", n->config->node);
    r->stop.leaving = true;
    r->stop.on_left = left;
    r->stop.on_left_arg = arg;
    begin(r);
}

/* What has not finished is not waited for; state is saved all the same. */
static void
hurry(struct running *r, int signum)
{
    LOG_WARN("node.hurried", "signal=%d why=\"requests under way are cut\"", signum);
    if (gs_fsm_is(&r->stop.fsm, STOP_ANNOUNCING)) {
        announce_free(r->stop.announce);
        r->stop.announce = NULL;
        finish(r);
    }
    if (gs_fsm_is(&r->stop.fsm, STOP_FINISHING) && r->proxy)
        node_proxy_hurry(r->proxy);
}

void
node_stop_on_signal(void *arg, int signum)
{
    struct running *r = arg;

    r->stop.signals++;
    if (r->stop.signals == 1 && gs_fsm_is(&r->stop.fsm, STOP_NOT)) {
        LOG_INFO("node.draining", "signal=%d", signum);
        begin(r);
    } else if (r->stop.signals == 2) {
        hurry(r, signum);
    } else if (r->stop.signals > 2) {
        LOG_WARN("node.stopped", "signal=%d why=\"it was told to stop three times\"", signum);
        _exit(1);
    }
}

void
node_stop_init(struct running *r)
{
    gs_fsm_init(&r->stop.fsm, &stop_def, STOP_NOT);
    gs_timer_init(&r->stop.part_timer, ask_told);
}
