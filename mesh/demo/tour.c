/* tour.c - the steps one after another.
 *
 *     stage_up ─▶ { manifest ─▶ apply ─▶ requests ─▶ judge ─▶ tell ─▶ (Enter) } ─▶ stage_fini
 *                 a signal, a child that ended, or closed output leave it at any arrow */
#include "mesh/demo/tour.h"

#include <errno.h>
#include <stdio.h>

#include "mesh/cli/cli.h"
#include "mesh/config/json.h"
#include "mesh/demo/stage.h"
#include "mesh/demo/tell.h"

#define MANIFEST_BYTES_MAX 16384
#define APPLY_TIMEOUT_MS 8000 /* the node itself gives up after 5 s: ?wait= below */

struct tour {
    const struct tour_options *o;
    struct stage stage;
    struct tour_result results[SCRIPT_STEPS];
    size_t count;
    struct tell tell;
    struct gs_buf manifest, former;
};

/* ---- applying ---- */

static double
number_of(const struct tree *root, const char *key)
{
    const struct tree *t = tree_find(root, key);
    uint64_t v;

    return t && gs_slice_to_u64(t->text, &v) ? (double)v : -1;
}

static bool
all_active(const struct tree *root)
{
    const struct tree *applied = tree_find(root, "applied");

    for (size_t i = 0; applied && i < applied->count; i++) {
        const struct tree *state = tree_find(applied->items[i], "state");

        if (!state || !gs_slice_eq(state->text, GS_SLICE("active")))
            return false;
    }
    return applied && applied->count > 0 &&
           number_of(root, "asked") == number_of(root, "confirmed");
}

/* "" if the answer says that the change is in effect, else why not. */
static void
read_answer(const struct cli_answer *answer, char *why, size_t size)
{
    struct gs_problems problems;
    struct gs_arena arena;
    struct tree *root;
    const struct tree *errors = NULL;
    const struct tree *message = NULL;
    bool active = false;

    gs_problems_init(&problems);
    gs_arena_init(&arena, NULL, 0, 4096);
    if (tree_parse_json(gs_buf_slice(&answer->body), NULL, &arena, &root, &problems) == GS_E_OK) {
        active = answer->status == 200 && all_active(root);
        errors = tree_find(root, "errors");
        message = errors && errors->count > 0 ? tree_find(errors->items[0], "message") : NULL;
    }
    if (active)
        why[0] = '\0';
    else if (message)
        (void)snprintf(why, size, "%.*s", GS_SLICE_FMT(message->text));
    else
        (void)snprintf(why, size, "the node answered %u without confirming it", answer->status);
    gs_arena_fini(&arena);
    gs_problems_fini(&problems);
}

static void
apply(struct tour *t, struct tour_result *r)
{
    struct cli_answer answer;
    struct gs_why why = { "" };
    char path[128];
    uint64_t began;

    (void)snprintf(path, sizeof(path), "/api/v1/apply?name=%s.yaml&wait=5s", r->step->name);
    began = watch_now_us();
    if (cli_http(t->stage.socket, "POST", path, gs_buf_slice(&t->manifest), APPLY_TIMEOUT_MS,
                 &answer, &why) == GS_E_OK) {
        read_answer(&answer, r->refused, sizeof(r->refused));
        gs_buf_fini(&answer.body);
    } else {
        (void)snprintf(r->refused, sizeof(r->refused), "%s", why.text);
    }
    r->apply_ms = (double)(watch_now_us() - began) / 1000;
}

/* ---- one step ---- */

static bool
share_holds(unsigned got, unsigned all, unsigned promised)
{
    double share = all > 0 ? 100.0 * got / all : 0;

    return all > 0 && share >= promised - TOUR_POINTS && share <= promised + TOUR_POINTS;
}

static void
judge(struct tour_result *r)
{
    const struct load_count *plain = &r->load.plain;
    const struct load_count *tagged = &r->load.tagged;
    unsigned share = r->step->share_v2;

    r->in_time = !r->refused[0] && r->apply_ms < TOUR_APPLY_MS;
    r->none_failed = plain->failed + tagged->failed == 0;
    r->shares = share_holds(plain->v1, TOUR_REQUESTS, 100 - share) &&
                share_holds(plain->v2, TOUR_REQUESTS, share);
    r->tagged = !r->step->matches_header || tagged->v2 == TOUR_TAGGED;
    r->held = r->in_time && r->none_failed && r->shares && r->tagged;
}

static gs_err
prepare(struct tour *t, const struct script_step *step, struct gs_why *why)
{
    struct gs_buf former = t->former;
    const char *path;
    char name[64];

    t->former = t->manifest; /* what the next manifest is compared with */
    t->manifest = former;
    gs_buf_clear(&t->manifest);
    script_manifest(step, &t->manifest);
    GS_ASSERT(!t->manifest.failed);
    (void)snprintf(name, sizeof(name), "%s.yaml", step->name);
    path = stage_path(&t->stage, name);
    tell_manifest(&t->tell, step, path, gs_buf_cstr(&t->former), gs_buf_cstr(&t->manifest));
    return stage_write(&t->stage, path, gs_buf_slice(&t->manifest), why);
}

static gs_err
run_step(struct tour *t, const struct script_step *step, struct gs_why *why)
{
    struct tour_result *r = &t->results[t->count];
    struct load_options load = {
        .to = t->stage.ports[PORT_OUTBOUND],
        .host = SCRIPT_SERVICE,
        .path = "/search?q=mesh",
        .header = SCRIPT_HEADER ": " SCRIPT_HEADER_VALUE,
        .plain = TOUR_REQUESTS,
        .tagged = step->matches_header ? TOUR_TAGGED : 0,
        .connections = TOUR_CONNECTIONS,
        .watch = &t->stage.watch,
    };
    gs_err e;

    *r = (struct tour_result){ .step = step };
    e = prepare(t, step, why);
    if (e != GS_E_OK)
        return e;
    apply(t, r);
    tell_applied(&t->tell, r);
    load_run(&load, &r->load);
    if (r->load.stopped)
        return gs_refuse(why, GS_E_CLOSED, "stopped");
    judge(r);
    t->count++;
    tell_counts(&t->tell, r);
    return stage_check(&t->stage, why);
}

/* ---- the tour ---- */

static gs_err
wait_for_enter(struct tour *t, struct gs_why *why)
{
    gs_err e;

    while ((e = stage_check(&t->stage, why)) == GS_E_OK && !watch_line(&t->stage.watch)) {
        if (t->stage.watch.stopped) {
            tell_stopped(&t->tell);
            return gs_refuse(why, GS_E_CLOSED, "stopped");
        }
    }
    return e;
}

static gs_err
run_steps(struct tour *t, struct gs_why *why)
{
    gs_err e = stage_up(&t->stage, why);

    if (e != GS_E_OK)
        return e;
    tell_start(&t->tell, &t->stage);
    for (size_t i = 0; i < SCRIPT_STEPS && e == GS_E_OK; i++) {
        tell_prompt(&t->tell);
        if (t->o->by_hand)
            e = wait_for_enter(t, why);
        if (e == GS_E_OK)
            e = run_step(t, &script_steps[i], why);
        if (ferror(stdout) || watch_stopped(&t->stage.watch))
            e = gs_refuse(why, GS_E_CLOSED, "stopped");
    }
    return e;
}

static bool
all_held(const struct tour *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (!t->results[i].held)
            return false;
    }
    return t->count == SCRIPT_STEPS;
}

/* The mesh stays up for whoever wants to try it. */
static gs_err
stay(struct tour *t, struct gs_why *why)
{
    gs_err e;

    if (t->o->by_hand)
        return wait_for_enter(t, why);
    while ((e = stage_check(&t->stage, why)) == GS_E_OK) {
        if (watch_sleep(&t->stage.watch, -1))
            return gs_refuse(why, GS_E_CLOSED, "stopped");
    }
    return e;
}

static int
end_of(const struct tour *t, gs_err e, const struct gs_why *why)
{
    if (t->count == SCRIPT_STEPS && (e == GS_E_OK || e == GS_E_CLOSED))
        return all_held(t) ? CLI_GOOD : CLI_REFUSED;
    if (t->tell.error != 0) {
        errno = t->tell.error; /* cli_finish says that output was lost, and why */
        return CLI_REFUSED;
    }
    if (e == GS_E_CLOSED)
        return cli_fail(CLI_REFUSED, NULL, "demo: stopped after %zu of %d steps", t->count,
                        SCRIPT_STEPS);
    return cli_fail(CLI_REFUSED, NULL, "demo: %s", why->text);
}

int
tour_run(const struct tour_options *o)
{
    struct tour t = { .o = o };
    struct gs_why why = { "" };
    gs_err e;

    stage_init(&t.stage, o->v2_broken);
    gs_buf_init(&t.manifest, MANIFEST_BYTES_MAX);
    gs_buf_init(&t.former, MANIFEST_BYTES_MAX);
    tell_init(&t.tell, o);
    e = run_steps(&t, &why);
    if (o->silent)
        tell_json(&t.tell, &t.stage, t.results, t.count, e == GS_E_OK ? NULL : why.text);
    if (e == GS_E_OK) {
        tell_end(&t.tell, &t.stage, all_held(&t));
        if (o->by_hand || o->keep)
            e = stay(&t, &why);
    }
    stage_fini(&t.stage);
    gs_buf_fini(&t.manifest);
    gs_buf_fini(&t.former);
    tell_fini(&t.tell);
    return end_of(&t, e, &why);
}
