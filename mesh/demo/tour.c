/* tour.c - the steps one after another, and what keys do in between.
 *
 *     stage_up ─▶ { (Enter) ─▶ act ─▶ tell } ─▶ (stay) ─▶ stage_fini
 *                 a signal, q, a child that ended, or closed output leave it at any arrow */
#include "mesh/demo/tour.h"

#include <errno.h>
#include <stdio.h>

#include "mesh/cli/cli.h"
#include "mesh/demo/acts.h"
#include "mesh/demo/await.h"
#include "mesh/demo/tell.h"

#define MANIFEST_BYTES_MAX 16384
#define TEXT_BYTES_MAX (256 * 1024)
#define START_MS 20000
#define STARTS_MAX 8
#define STEP_MS 5       /* between two looks at what is waited for */
#define REFRESH_MS 1000 /* of the table */
#define KEY_MS 100
#define PASSING_MS 3000 /* a suspicion at the end of the tour has as long to be refuted */

/* ---- waiting ---- */

static void
refresh(struct tour *t)
{
    uint64_t now = watch_now_us();

    if (t->stage.watch.resized) {
        t->stage.watch.resized = false;
        screen_resized(&t->screen);
        t->refreshed_us = 0; /* its columns may be others */
    }
    if (now - t->refreshed_us < REFRESH_MS * 1000u)
        return;
    t->refreshed_us = now;
    view_refresh(&t->view, &t->stage);
    tell_block(t);
}

/* By hand anything may be killed: that is told, and all goes on. */
static gs_err
check_children(struct tour *t, struct gs_why *why)
{
    gs_err e = stage_check(&t->stage, why);

    if (e == GS_E_OK || (e == GS_E_IN_USE && !t->load))
        return e;
    tell_child(t, why);
    return t->o->by_hand || t->count == SCRIPT_STEPS ? GS_E_OK : e;
}

gs_err
tour_pause(struct tour *t, int ms, struct gs_why *why)
{
    gs_err e = check_children(t, why);

    if (e != GS_E_OK)
        return e;
    if (t->load)
        refresh(t);
    if (t->screen.keys ? watch_key(&t->stage.watch, ms) == 'q' : false)
        t->stage.watch.stopped = true;
    else if (!t->screen.keys)
        (void)watch_sleep(&t->stage.watch, ms);
    if (watch_stopped(&t->stage.watch) || t->screen.error != 0)
        return gs_refuse(why, GS_E_CLOSED, "stopped");
    return GS_E_OK;
}

gs_err
tour_until(struct tour *t, tour_condition condition, const void *arg, double limit_ms,
           double *took_ms, struct gs_why *why)
{
    uint64_t began = watch_now_us();
    gs_err e = GS_E_OK;
    bool held = false;

    GS_ASSERT(limit_ms > 0);
    do {
        held = condition(t, arg);
        *took_ms = (double)(watch_now_us() - began) / 1000;
        if (!held)
            e = tour_pause(t, STEP_MS, why);
    } while (e == GS_E_OK && !held && *took_ms < limit_ms);
    return e;
}

/* ---- by hand ---- */

/* but: this one does not count; 0 for none. Returns 0 if all others run. */
static unsigned
first_down(struct tour *t, unsigned but)
{
    for (unsigned i = 1; i <= t->stage.node_count; i++) {
        if (stage_node(&t->stage, i)->down && i != but)
            return i;
    }
    return 0;
}

static gs_err
bring_back(struct tour *t, unsigned but, struct gs_why *why)
{
    struct acts_change c;
    unsigned node;
    gs_err e = GS_E_OK;

    while (e == GS_E_OK && (node = first_down(t, but)) != 0) {
        e = acts_return(t, node, &c, why);
        if (e == GS_E_OK)
            tell_line(t, "n%u is back after %.0f ms; of %llu requests %llu failed", node, c.ms,
                      (unsigned long long)c.count.ended, (unsigned long long)c.count.failed);
    }
    return e;
}

/* x: one of the nodes is killed, but never the clients' own; or those that were are back. */
static gs_err
break_something(struct tour *t, struct gs_why *why)
{
    unsigned node = 2 + gs_rng_below(&t->rng, t->stage.node_count - 1);
    struct acts_change c;
    gs_err e;

    if (first_down(t, 0) != 0)
        return bring_back(t, 0, why);
    e = acts_kill(t, node, &c, why);
    if (e == GS_E_OK)
        tell_line(
            t, "n%u was killed: all others know it after %.0f ms; of %llu requests %llu failed",
            node, c.ms, (unsigned long long)c.count.ended, (unsigned long long)c.count.failed);
    return e;
}

static void
set_prompt(struct tour *t, const char *next)
{
    unsigned down = first_down(t, 0);
    char x[64] = "x: kill a node";

    if (down != 0)
        (void)snprintf(x, sizeof(x), "x: bring n%u back", down);
    (void)snprintf(t->prompt, sizeof(t->prompt), "%s%s   q: quit%s%s",
                   next[0] ? "Enter: next   " : "", x, next[0] ? "   next is " : "", next);
}

/* Until Enter, if there is something next; x does its work meanwhile. */
static gs_err
wait_for_enter(struct tour *t, const char *next, struct gs_why *why)
{
    bool asked = false;
    gs_err e = GS_E_OK;
    char key;

    while (e == GS_E_OK) {
        set_prompt(t, next);
        if (t->screen.live)
            tell_block(t);
        else if (!asked)
            tell_line(t, "%s", t->prompt);
        asked = true;
        e = check_children(t, why);
        if (e != GS_E_OK)
            break;
        refresh(t);
        key = watch_key(&t->stage.watch, KEY_MS);
        if (key == 'q' || watch_stopped(&t->stage.watch)) {
            t->quit = key == 'q';
            return gs_refuse(why, GS_E_CLOSED, "stopped");
        }
        if (key == '\n' && next[0])
            return GS_E_OK;
        if (key != 'x')
            continue;
        asked = false;
        (void)snprintf(t->prompt, sizeof(t->prompt), "q: quit");
        e = break_something(t, why);
    }
    return e;
}

/* ---- the tour ---- */

/* One of those that are not ready is shown. */
static gs_err
not_ready(struct tour *t, struct gs_why *why)
{
    struct peek_members m;
    unsigned node = 1;

    while (node < t->stage.node_count && peek_members(&t->stage, node, &m) && m.open &&
           m.alive == t->stage.node_count)
        node++;
    stage_said(&t->stage, &stage_node(&t->stage, node)->child);
    (void)gs_refuse(why, GS_E_TIMEOUT, "nodes and services were not ready within %d s; node n%u",
                    START_MS / 1000, node);
    tell_child(t, why);
    return GS_E_TIMEOUT;
}

/* From the first process to an answer for everybody; once more elsewhere if somebody takes a port
 * in between. */
static gs_err
start(struct tour *t, struct gs_why *why)
{
    struct load_options load = { .host = SCRIPT_ENTRY,
                                 .path = "/?question=",
                                 .service = SCRIPT_SERVICE,
                                 .per_second = TOUR_PACE };
    gs_err e = stage_up(&t->stage, why);
    double ms;

    for (int tries = 0; e == GS_E_OK || e == GS_E_IN_USE; tries++) {
        if (e == GS_E_IN_USE && tries == STARTS_MAX)
            return e;
        if (e == GS_E_IN_USE)
            e = stage_again(&t->stage, why);
        if (e == GS_E_OK)
            e = tour_until(t, await_met, NULL, START_MS, &ms, why);
        t->met_ms = (double)(watch_now_us() - t->stage.began_us) / 1000;
        if (e == GS_E_OK)
            e = tour_until(t, await_ready, NULL, START_MS, &ms, why);
        t->ready_ms = (double)(watch_now_us() - t->stage.began_us) / 1000;
        if (e == GS_E_OK)
            break;
    }
    if (e == GS_E_OK && ms >= START_MS)
        return not_ready(t, why);
    if (e != GS_E_OK)
        return e;
    tell_start(t);
    load.to = ground_port(&t->stage.ground, 1, PORT_OUTBOUND);
    t->load = load_new(&load);
    return GS_E_OK;
}

static gs_err
run_step(struct tour *t, const struct script_step *step, struct gs_why *why)
{
    struct result *r = &t->results[t->count];
    gs_err e;

    GS_ASSERT(t->count < SCRIPT_STEPS);
    GS_ASSERT(t->load);
    *r = (struct result){ .step = step };
    (void)snprintf(t->prompt, sizeof(t->prompt), t->screen.keys ? "q: quit" : "Ctrl-C: end");
    tell_step(t, step);
    e = act(t, r, why);
    if (e != GS_E_OK)
        return e;
    t->count++;
    tell_result(t, r);
    if (step->table)
        tell_table(t);
    return GS_E_OK;
}

/* What stays to be seen of the nodes, and is written as JSON, is how the tour ended; not the second
 * before, nor a suspicion that is about to pass. */
static bool
is_seen_whole(struct tour *t, const void *arg)
{
    if (!await_met(t, arg))
        return false;
    view_refresh(&t->view, &t->stage);
    return view_is_whole(&t->view);
}

static gs_err
look_back(struct tour *t, struct gs_why *why)
{
    double ms;
    gs_err e = tour_until(t, is_seen_whole, NULL, PASSING_MS, &ms, why);

    if (!view_is_whole(&t->view))
        view_refresh(&t->view, &t->stage);
    tell_block(t);
    return e;
}

static gs_err
run_steps(struct tour *t, struct gs_why *why)
{
    gs_err e = start(t, why);

    for (size_t i = 0; i < SCRIPT_STEPS && e == GS_E_OK; i++) {
        const struct script_step *step = &script_steps[i];

        if (t->o->by_hand && step->act != ACT_MEET) {
            e = wait_for_enter(t, step->title, why);
            if (e == GS_E_OK) /* what the script does itself is left to it */
                e = bring_back(t, step->act == ACT_RETURN ? script_victim() : 0, why);
        }
        if (e == GS_E_OK)
            e = run_step(t, step, why);
    }
    return e == GS_E_OK ? look_back(t, why) : e;
}

static bool
all_held(const struct tour *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (!result_held(&t->results[i]))
            return false;
    }
    return true;
}

/* The mesh stays up for whoever wants to try it. */
static gs_err
stay(struct tour *t, struct gs_why *why)
{
    gs_err e = GS_E_OK;

    if (t->o->by_hand)
        return wait_for_enter(t, "", why);
    while (e == GS_E_OK)
        e = tour_pause(t, KEY_MS, why);
    return e;
}

static int
end_of(const struct tour *t, gs_err e, const struct gs_why *why)
{
    if (t->screen.error != 0) {
        errno = t->screen.error; /* cli_finish says that output was lost, and why */
        return CLI_REFUSED;
    }
    if ((t->count == SCRIPT_STEPS || t->quit) && (e == GS_E_OK || e == GS_E_CLOSED))
        return all_held(t) ? CLI_GOOD : CLI_REFUSED;
    if (e == GS_E_CLOSED)
        return cli_fail(CLI_REFUSED, NULL, "demo: stopped after %zu of %d steps", t->count,
                        SCRIPT_STEPS);
    return cli_fail(CLI_REFUSED, NULL, "demo: %s", why->text);
}

static void
tour_init(struct tour *t, const struct tour_options *o)
{
    *t = (struct tour){ .o = o };
    stage_init(&t->stage, o->nodes, o->v2_broken);
    gs_rng_init(&t->rng, o->seed);
    gs_buf_init(&t->text, TEXT_BYTES_MAX);
    gs_buf_init(&t->manifest, MANIFEST_BYTES_MAX);
    gs_buf_init(&t->former, MANIFEST_BYTES_MAX);
    screen_init(&t->screen, o->silent, o->by_hand);
    t->stage.watch.keys = t->screen.keys;
}

static void
tour_fini(struct tour *t)
{
    stage_fini(&t->stage);
    screen_fini(&t->screen);
    gs_buf_fini(&t->text);
    gs_buf_fini(&t->manifest);
    gs_buf_fini(&t->former);
}

/* Processes that do not end well are a failure like any other, though not of those by hand. */
static gs_err
take_down(struct tour *t, gs_err e, struct gs_why *why)
{
    struct gs_why how = { "" };

    if (t->load)
        load_total(t->load, &t->clients);
    load_free(t->load);
    t->load = NULL;
    if (stage_down(&t->stage, &how) == GS_E_OK)
        return e;
    screen_block(&t->screen, GS_SLICE_NONE);
    tell_child(t, &how);
    if (e != GS_E_OK && e != GS_E_CLOSED)
        return e;
    *why = how;
    return GS_E_IO;
}

int
tour_run(const struct tour_options *o)
{
    bool stays = o->by_hand || o->keep;
    bool told = false; /* as JSON */
    struct gs_why why = { "" };
    struct tour t;
    gs_err e;

    tour_init(&t, o);
    e = run_steps(&t, &why);
    if (e == GS_E_OK)
        tell_more(&t, stays);
    if (e == GS_E_OK && stays) {
        told = o->silent;
        if (told)
            tell_json(&t, NULL);
        e = stay(&t, &why);
    }
    e = take_down(&t, e, &why);
    screen_block(&t.screen, GS_SLICE_NONE);
    tell_end(&t);
    if (o->silent && !told)
        tell_json(&t, e == GS_E_OK ? NULL : why.text);
    tour_fini(&t);
    return end_of(&t, e, &why);
}
