/* node_reload.c - see node_reload.h.
 *
 *   IDLE ──SIGHUP──▶ READING ──wrong, or may not change──▶ IDLE, nothing was changed
 *                       │ (pool)
 *                       └──taken over──▶ LEAVING ──members route by it, ANNOUNCE_MS──▶ IDLE
 *                                           └ what is to go is draining; once nobody sends it
 *                                             anything and what it had is answered, it goes
 *
 * A wrong file costs a line for each thing that is wrong with it, and nothing else. */
#include "mesh/node_reload.h"

#include <inttypes.h>

#include <gossamer/alloc.h>
#include <gossamer/json_out.h>
#include <gossamer/log.h>
#include <gossamer/work.h>

#include "mesh/admin.h"
#include "mesh/announce.h"
#include "mesh/config/config.h"
#include "mesh/health.h"
#include "mesh/journal.h"
#include "mesh/log_level.h"
#include "mesh/node_proxy.h"
#include "mesh/node_running.h"
#include "mesh/node_services.h"
#include "mesh/notify.h"
#include "mesh/roster.h"

#define PROBLEMS_LOGGED_MAX 20 /* of one file; the API has them all */

enum reload_state { RELOAD_IDLE, RELOAD_READING, RELOAD_LEAVING };

static const char *const reload_names[] = { "IDLE", "READING", "LEAVING" };
static const uint32_t reload_moves[] = {
    [RELOAD_IDLE] = GS_FSM_BIT(RELOAD_READING),
    [RELOAD_READING] = GS_FSM_BIT(RELOAD_LEAVING) | GS_FSM_BIT(RELOAD_IDLE),
    [RELOAD_LEAVING] = GS_FSM_BIT(RELOAD_IDLE),
};
static const struct gs_fsm_def reload_def = { "reload", reload_names, reload_moves,
                                              GS_COUNT(reload_names) };

struct node_reload {
    struct running *running;
    struct config_opts opts;
    struct gs_fsm fsm;
    bool again;   /* the signal came once more meanwhile */
    bool stopped; /* the node stops */

    /* READING: the pool's until done */
    struct gs_work work;
    struct config *fresh;
    struct gs_problems problems;
    gs_err read;

    /* LEAVING */
    struct config_services former; /* what was hosted before */
    struct config *former_owner;   /* of its memory; NULL: the first configuration */
    struct announce *announce;
    uint64_t leaving_ms; /* since when */

    /* the last one */
    bool any;
    enum reload_result result;
    uint64_t wall_ms;
    struct gs_problems findings;
    uint64_t counts[RELOAD_RESULTS];
};

const char *
node_reload_result_name(enum reload_result r)
{
    switch (r) {
    case RELOAD_APPLIED:
        return "applied";
    case RELOAD_UNCHANGED:
        return "unchanged";
    case RELOAD_REJECTED:
        return "rejected";
    }
    GS_UNREACHABLE("result of a reload");
}

/* ---- telling ---- */

/* "FILE:12:3", as far as it is known. */
static const char *
place_text(const struct gs_problem *p, char *out, size_t size)
{
    const char *file = p->file ? p->file : "-";

    if (p->line > 0)
        (void)snprintf(out, size, "%s:%u:%u", file, p->line, p->column);
    else
        (void)snprintf(out, size, "%s", file);
    return out;
}

static void
tell_problem(const struct gs_problem *p, struct journal *j, uint64_t wall_ms, size_t errors)
{
    char place[4200];
    struct journal_field fields[] = {
        journal_text("place", gs_slice_str(place_text(p, place, sizeof(place)))),
        journal_text("code", gs_slice_str(p->code)),
        journal_text("field", gs_slice_str(p->field ? p->field : "-")),
        journal_text("why", gs_slice_str(p->message)),
        journal_text("hint", gs_slice_str(p->hint ? p->hint : "-")),
        journal_number("errors", errors),
    };

    journal_tell(j, wall_ms, GS_LOG_ERROR, j ? "config.rejected" : "config.problem", fields,
                 j ? GS_COUNT(fields) : GS_COUNT(fields) - 1);
}

/* The first one says that nothing was changed, to whoever follows events as well. */
static void
tell_rejected(const struct node_reload *l)
{
    size_t told = 0;

    for (size_t i = 0; i < l->findings.count && told < PROBLEMS_LOGGED_MAX; i++) {
        const struct gs_problem *p = &l->findings.items[i];

        if (p->severity != GS_SEV_ERROR)
            continue;
        tell_problem(p, told == 0 ? l->running->node.journal : NULL, l->wall_ms,
                     l->findings.errors);
        told++;
    }
    GS_ASSERT(told > 0);
}

static void
tell_applied(const struct node_reload *l, const struct services_change *change, bool timeouts,
             bool logging)
{
    const struct config *c = l->running->config;
    struct journal_field fields[] = {
        journal_text("file", gs_slice_str(c->file ? c->file : "-")),
        journal_number("services", c->services.count),
        journal_number("added", change->added),
        journal_number("removed", change->removed),
        journal_number("changed", change->changed),
        journal_text("timeouts", gs_slice_str(timeouts ? "changed" : "same")),
        journal_text("log", gs_slice_str(logging ? "changed" : "same")),
    };

    journal_tell(l->running->node.journal, l->wall_ms, GS_LOG_INFO, "config.reloaded", fields,
                 GS_COUNT(fields));
}

/* ---- the end of one ---- */

static void begin(struct node_reload *l);

static void
over(struct node_reload *l)
{
    gs_fsm_move(&l->fsm, RELOAD_IDLE);
    config_free(l->former_owner);
    l->former_owner = NULL;
    if (l->stopped)
        return;
    if (gs_fsm_is(&l->running->node.phase, NODE_READY))
        notify_send("READY=1\nSTATUS=%s", l->result == RELOAD_REJECTED
                                              ? "ready; the configuration was not reloaded: "
                                                "see the log"
                                              : "ready");
    if (l->again)
        begin(l);
}

static void
note(struct node_reload *l, enum reload_result result)
{
    l->any = true;
    l->result = result;
    l->wall_ms = node_wall_ms();
    l->counts[result]++;
    gs_problems_fini(&l->findings);
    l->findings = l->problems;
    gs_problems_init(&l->problems);
}

static void
reject(struct node_reload *l)
{
    note(l, RELOAD_REJECTED);
    tell_rejected(l);
    config_free(l->fresh);
    l->fresh = NULL;
    over(l);
}

/* ---- taking over ---- */

struct telling { /* what the node says of itself, on its way to the core */
    struct gossip_call call;
    struct gs_buf about;
};

static void
run_telling(struct gossip_call *c, struct gossip *g, uint64_t now_ms, uint64_t wall_ms)
{
    (void)wall_ms;
    gossip_set_about(g, now_ms, gs_buf_slice(&GS_CONTAINER(c, struct telling, call)->about));
}

static void
on_told(struct gossip_call *c)
{
    struct telling *t = GS_CONTAINER(c, struct telling, call);

    gs_buf_fini(&t->about);
    gs_free(t);
}

/* How many services it has is among that. */
static void
tell_about(struct node *n)
{
    struct telling *t = gs_zalloc(sizeof(*t));

    gs_buf_init(&t->about, GOSSIP_ABOUT_MAX);
    roster_about(n->config, &n->gossip_addr, &t->about);
    t->call.run = run_telling;
    t->call.done = on_told;
    gossip_loop_call(n->gossip, &t->call);
}

static void
on_announced(void *arg)
{
    struct node_reload *l = arg;

    GS_LOG_AT_MOST(GS_LOG_MANY, GS_LOG_INFO, "config.settled",
                   "asked=%zu confirmed=%zu unanswered=%zu ms=%" PRIu64,
                   announce_asked(l->announce), announce_confirmed(l->announce),
                   announce_unanswered(&l->running->node, &l->running->node.id),
                   l->running->node.loop->now_ms - l->leaving_ms);
    announce_free(l->announce);
    l->announce = NULL;
    node_services_settle(&l->running->node, &l->former);
    (void)node_records_flush(l->running->node.records);
    over(l);
}

/* What `gossamer debug log` has set stays, unless this is another level than before. */
static void
take_over_log(struct node *n)
{
    struct log_level_now now = log_level_now(n->log);

    gs_log_setup(now.level, n->config->log.format);
    if (now.configured != n->config->log.level)
        log_level_configure(n->log, n->config->log.level);
}

static void
take_over(struct node_reload *l)
{
    struct running *r = l->running;
    struct config *c = r->config;
    bool timeouts = !config_same_timeouts(c, l->fresh);
    bool logging = c->log.level != l->fresh->log.level || c->log.format != l->fresh->log.format;
    struct services_change change;

    l->former = c->services;
    l->former_owner = config_take_over(c, l->fresh);
    l->fresh = NULL;
    change = node_services_change(&r->node, r->health, &l->former);
    if (logging)
        take_over_log(&r->node);
    if (timeouts)
        node_proxy_set_timeouts(&r->node);
    node_proxy_name_callers(r->proxy);
    if (change.added + change.removed > 0)
        tell_about(&r->node);
    if (!timeouts && !logging && change.added + change.removed + change.changed == 0) {
        note(l, RELOAD_UNCHANGED);
        LOG_INFO("config.unchanged", "file=%s", c->file ? c->file : "-");
    } else {
        note(l, RELOAD_APPLIED);
        tell_applied(l, &change, timeouts, logging);
    }
    if (change.leaving) {
        gs_fsm_move(&l->fsm, RELOAD_LEAVING);
        l->leaving_ms = r->node.loop->now_ms;
        l->announce = announce_start(
            &r->node, &(struct announce_options){ "reload", ANNOUNCE_ANSWERED, on_announced, l });
        return;
    }
    (void)node_records_flush(r->node.records);
    over(l);
}

/* ---- reading ---- */

static void
run(struct gs_work *w)
{
    struct node_reload *l = GS_CONTAINER(w, struct node_reload, work);

    l->read = config_load(&l->opts, &l->fresh, &l->problems);
}

static void
on_read(struct gs_work *w)
{
    struct node_reload *l = GS_CONTAINER(w, struct node_reload, work);
    struct running *r = l->running;

    if (l->stopped) {
        gs_fsm_move(&l->fsm, RELOAD_IDLE);
        return;
    }
    if (l->read != GS_E_OK || config_check_reload(r->config, l->fresh, &l->problems) != GS_E_OK ||
        node_services_check(&r->node, l->fresh, &l->problems) != GS_E_OK)
        reject(l);
    else
        take_over(l);
}

static void
begin(struct node_reload *l)
{
    gs_fsm_move(&l->fsm, RELOAD_READING);
    l->again = false;
    l->fresh = NULL;
    if (gs_fsm_is(&l->running->node.phase, NODE_READY))
        notify_reloading();
    l->work.run = run;
    l->work.done = on_read;
    gs_work_start(l->running->node.loop, &l->work);
}

void
node_reload_ask(void *arg, int signum)
{
    struct running *r = arg;
    struct node_reload *l = r->node.reload;

    (void)signum;
    if (l->stopped)
        LOG_WARN("config.not_reloaded", "why=\"the node is stopping\"");
    else if (gs_fsm_is(&l->fsm, RELOAD_IDLE))
        begin(l);
    else
        l->again = true;
}

/* ---- life ---- */

struct node_reload *
node_reload_new(struct running *r, const struct config_opts *source)
{
    struct node_reload *l = gs_zalloc(sizeof(*l));

    l->running = r;
    l->opts = *source;
    l->opts.again = true;
    gs_fsm_init(&l->fsm, &reload_def, RELOAD_IDLE);
    gs_problems_init(&l->problems);
    gs_problems_init(&l->findings);
    return l;
}

void
node_reload_stop(struct node_reload *l)
{
    l->stopped = true;
    announce_free(l->announce); /* what was to go is told of as draining, like the rest */
    l->announce = NULL;
    if (gs_fsm_is(&l->fsm, RELOAD_LEAVING))
        over(l);
}

void
node_reload_free(struct node_reload *l)
{
    if (!l)
        return;
    GS_ASSERT(gs_fsm_is(&l->fsm, RELOAD_IDLE));
    config_free(l->fresh);
    gs_problems_fini(&l->problems);
    gs_problems_fini(&l->findings);
    gs_free(l);
}

/* ---- reading what came of it ---- */

bool
node_reload_last(const struct node_reload *l, struct reload_last *out)
{
    if (!l->any)
        return false;
    *out = (struct reload_last){ .result = l->result,
                                 .wall_ms = l->wall_ms,
                                 .errors = l->findings.errors };
    for (size_t i = 0; i < l->findings.count && !out->error; i++) {
        if (l->findings.items[i].severity == GS_SEV_ERROR)
            out->error = &l->findings.items[i];
    }
    GS_ASSERT((l->result == RELOAD_REJECTED) == (out->error != NULL));
    return true;
}

uint64_t
node_reload_count(const struct node_reload *l, enum reload_result r)
{
    GS_ASSERT(r < RELOAD_RESULTS);
    return l->counts[r];
}

void
node_reload_json(const struct node_reload *l, struct json_out *j)
{
    if (!l->any) {
        json_nil(j);
        return;
    }
    json_obj(j);
    json_kstr(j, "result", node_reload_result_name(l->result));
    json_kdouble(j, "time", (double)l->wall_ms / 1000);
    json_key(j, "errors");
    json_arr(j);
    for (size_t i = 0; i < l->findings.count; i++) {
        if (l->findings.items[i].severity == GS_SEV_ERROR)
            admin_problem_json(j, &l->findings.items[i]);
    }
    json_arr_end(j);
    json_obj_end(j);
}
