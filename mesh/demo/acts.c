/* acts.c - the acts of the script, one function each: do it, wait for what it comes to, note the
 * figures and what was promised of them. */
#include "mesh/demo/acts.h"

#include <stdio.h>

#include "mesh/cli/ask.h"
#include "mesh/demo/await.h"
#include "mesh/demo/serve.h"
#include "mesh/demo/tell.h"

#define COUNTED 200      /* requests, for a share */
#define POINTS 3.0       /* a share may be off by so much */
#define APPLY_MS 1000.0  /* a change may take so long on all nodes */
#define MEET_MS 5000.0   /* nodes that start may take so long to know each other */
#define DEAD_MS 3000.0   /* and so long to know that one was killed: 0.1 to 2 s */
#define CUT_MS 30000.0   /* or, before the cut, that it cannot be reached: 6 to 13 s */
#define RETURN_MS 5000.0 /* and that it is back, with its services */
#define HEAL_MS 15000.0  /* and all of it after a partition */
#define EJECT_MS 10000.0 /* until somebody has met it so often; 0.1 to 2 s, but see eject() */
#define EJECT_FAILURES 5 /* in a row: so many eject */
#define EJECT_ON_THEIR_WAY                                                                         \
    1                 /* of each caller, that were asked before; more if more were under way */
#define SAID_MS 5000  /* for an instance to take a signal; it takes no time, where it runs */
#define EDITED_MS 500 /* how long two sides go their own ways */
#define LIMIT 2       /* waited for so many times what is promised */

/* None may have failed. */
static void
promise_none_failed(struct result *r, const struct load_count *c)
{
    figure_note(r, "requests", (double)c->ended);
    figure_is(r, "failed", (double)c->failed, 0);
    if (c->failure[0])
        (void)snprintf(r->why, sizeof(r->why), "the first failure: %.200s", c->failure);
}

/* ---- applying ---- */

struct applied {
    double ms;
    char version[PEEK_VERSION_TEXT]; /* of the route */
    unsigned asked, confirmed;       /* nodes */
};

static void
read_applied(const struct tree *root, struct applied *out)
{
    const struct tree *list = root ? tree_find(root, "applied") : NULL;

    out->asked = (unsigned)ask_number(root, "asked");
    out->confirmed = (unsigned)ask_number(root, "confirmed");
    for (size_t i = 0; list && i < list->count; i++) {
        const char *kind = ask_text(list->items[i], "kind");
        const char *version = ask_text(list->items[i], "version");

        if (kind && version && strcmp(kind, "VirtualService") == 0)
            (void)snprintf(out->version, sizeof(out->version), "%s", version);
    }
}

/* The manifest, written to a file of this name and applied at that node, which waits so long for
 * all others. */
static gs_err
apply(struct tour *t, unsigned node, const char *name, const char *wait, struct result *r,
      struct applied *out, struct gs_why *why)
{
    struct gs_slice manifest = gs_buf_slice(&t->manifest);
    struct gs_why refused = { "" };
    const struct tree *answer;
    struct gs_arena arena;
    char path[128], file[64];
    uint64_t began;
    gs_err e;

    *out = (struct applied){ .asked = 0 };
    (void)snprintf(file, sizeof(file), "%s.yaml", name);
    e = stage_write(&t->stage, stage_path(&t->stage, file), manifest, why);
    if (e != GS_E_OK)
        return e;
    tell_manifest(t, node, stage_path(&t->stage, file));
    gs_arena_init(&arena, NULL, 0, 8192);
    (void)snprintf(path, sizeof(path), "/api/v1/apply?name=%s&wait=%s", file, wait);
    began = watch_now_us();
    if (peek_post(&t->stage, node, path, manifest, &arena, &answer, &refused))
        read_applied(answer, out);
    else
        (void)snprintf(r->why, sizeof(r->why), "not applied: %s", refused.text);
    out->ms = (double)(watch_now_us() - began) / 1000;
    gs_arena_fini(&arena);
    return GS_E_OK;
}

static void
next_manifest(struct tour *t, unsigned share_v2, bool defines_subsets)
{
    struct gs_buf former = t->former;

    GS_ASSERT(share_v2 <= 100);
    t->former = t->manifest; /* what the next one is compared with */
    t->manifest = former;
    gs_buf_clear(&t->manifest);
    script_manifest(share_v2, defines_subsets, &t->manifest);
    GS_ASSERT(!t->manifest.failed);
}

/* ---- the acts ---- */

static gs_err
act_meet(struct tour *t, struct result *r, struct gs_why *why)
{
    (void)why;
    figure_is(r, "nodes", await_running(t), t->stage.node_count);
    figure_below(r, "met_ms", t->met_ms, MEET_MS);
    figure_note(r, "ready_ms", t->ready_ms);
    result_saw(r,
               "%u nodes know each other %.0f ms after they were started; all %u instances of "
               "their services are healthy for all of them after %.0f ms",
               t->stage.node_count, t->met_ms, t->stage.service_count, t->ready_ms);
    return GS_E_OK;
}

static gs_err
act_split(struct tour *t, struct result *r, struct gs_why *why)
{
    unsigned share = r->step->share_v2, nodes = t->stage.node_count, seen;
    struct load_count c;
    struct applied a;
    gs_err e;

    next_manifest(t, share, r->step->defines_subsets);
    e = apply(t, script_editor(), r->step->name, "5s", r, &a, why);
    if (e != GS_E_OK)
        return e;
    seen = await_active_on(t, &(struct await_edited){ a.version, 1, nodes });
    e = await_requests(t, COUNTED, &c, why);
    if (e != GS_E_OK)
        return e;
    figure_below(r, "apply_ms", a.ms, APPLY_MS);
    figure_is(r, "confirmed", a.confirmed, nodes);
    figure_is(r, "seen_on", seen, nodes);
    promise_none_failed(r, &c);
    figure_near(r, "v1_percent", 100.0 * (double)c.v1 / (double)c.ended, 100 - share, POINTS);
    figure_near(r, "v2_percent", 100.0 * (double)c.v2 / (double)c.ended, share, POINTS);
    result_saw(r,
               "applied on n%u, on all %u nodes after %.0f ms; of %llu requests %.1f %% to v1, "
               "%.1f %% to v2, %llu failed",
               script_editor(), a.confirmed, a.ms, (unsigned long long)c.ended,
               figure_get(r, "v1_percent"), figure_get(r, "v2_percent"),
               (unsigned long long)c.failed);
    return GS_E_OK;
}

/* ---- an instance that fails ---- */

struct sick {
    char address[GS_ADDR_TEXT];
    unsigned callers; /* nodes that call the service */
    load_mark_t mark; /* of all requests that can fail */
};

/* Those that host an application that calls it. */
static bool
calls_the_service(struct tour *t, unsigned node)
{
    for (unsigned i = 0; i < SCRIPT_APPS; i++) {
        for (unsigned k = 0; k < SCRIPT_CALLS_MAX && script_apps[i].calls[k]; k++) {
            if (strcmp(script_apps[i].calls[k], SCRIPT_SERVICE) == 0 &&
                script_hosts(&script_apps[i], node) && !stage_node(&t->stage, node)->down)
                return true;
        }
    }
    return false;
}

static unsigned
ejected_by(struct tour *t, const struct sick *s)
{
    struct peek_endpoints e;
    unsigned n = 0;

    for (unsigned i = 1; i <= t->stage.node_count; i++) {
        if (calls_the_service(t, i) && peek_endpoints(&t->stage, i, SCRIPT_SERVICE, s->address, &e))
            n += e.ejected > 0;
    }
    return n;
}

/* Who was under way when the last failure in a row came may have failed as well: one is, at each
 * caller, and more where requests came in a bunch, as after a moment in which the machine stood
 * still. */
static double
failures_at_most(const struct sick *s, const struct load_count *c)
{
    uint64_t more = c->at_once > EJECT_ON_THEIR_WAY + 1 ? c->at_once - 1 : EJECT_ON_THEIR_WAY;

    GS_ASSERT(s->callers > 0);
    return s->callers * (EJECT_FAILURES + (double)more);
}

/* Or has it cost so much that this is no longer what matters? */
static bool
is_ejected(struct tour *t, const void *arg)
{
    const struct sick *s = arg;
    struct load_count c;

    load_read(t->load, s->mark, &c);
    return ejected_by(t, s) > 0 || (double)c.failed > failures_at_most(s, &c);
}

struct said {
    const struct child *child;
    const char *words;
};

static bool
has_said(struct tour *t, const void *arg)
{
    const struct said *s = arg;

    (void)t;
    return stage_last_said(s->child, s->words);
}

/* Where it stands still or is gone, the figures tell. */
static gs_err
make(struct tour *t, struct child *c, int signum, const char *words, struct gs_why *why)
{
    struct said s = { c, words };
    double ms;

    child_signal(c, signum);
    return tour_until(t, has_said, &s, SAID_MS, &ms, why);
}

/* Who has met it so often in a row that it ejects it is chance, since balancers shun an endpoint
 * that fails, and for up to a minute one that was slow once: so one ejection is waited for, and
 * what is bounded is how many requests it costs. Of one mark are all that can fail, from before it
 * is ill until it is well again. */
static gs_err
eject(struct tour *t, struct child *child, struct sick *s, struct result *r, struct gs_why *why)
{
    struct load_count during = { .ended = 0 }, all;
    unsigned by = 0;
    double ms = EJECT_MS;
    gs_err e = await_begin_count(t, &s->mark, why);

    if (e == GS_E_OK)
        e = make(t, child, SIGUSR1, SERVE_FAILS, why);
    if (e == GS_E_OK)
        e = tour_until(t, is_ejected, s, EJECT_MS, &ms, why);
    if (e == GS_E_OK) {
        load_read(t->load, s->mark, &during);
        e = await_counted(t, s->mark, during.ended + COUNTED, why);
        by = ejected_by(t, s);
    }
    if (e == GS_E_OK)
        e = make(t, child, SIGUSR2, SERVE_WELL, why);
    if (e == GS_E_OK)
        e = await_finish_count(t, s->mark, &all, why);
    if (e != GS_E_OK)
        return e;
    figure_below(r, "eject_ms", ms, EJECT_MS);
    figure_at_least(r, "ejected_by", by, 1);
    figure_note(r, "requests", (double)all.ended);
    figure_note(r, "at_once", (double)all.at_once);
    figure_at_most(r, "failed", (double)all.failed, failures_at_most(s, &all));
    figure_note(r, "failed_after", (double)(all.failed - during.failed));
    result_saw(r,
               "%s answered 500: ejected after %.0f ms, in the end by %u of the %u nodes that call "
               "it; of %llu requests %llu failed",
               s->address, ms, by, s->callers, (unsigned long long)all.ended,
               (unsigned long long)all.failed);
    return GS_E_OK;
}

static gs_err
act_eject(struct tour *t, struct result *r, struct gs_why *why)
{
    unsigned node = script_sick(t->stage.node_count);
    struct stage_service *v = stage_service(&t->stage, &script_apps[SCRIPT_APPS - 1], node);
    struct sick s = { .callers = 0 };
    gs_err e;

    (void)gs_addr_text(&v->at, s.address);
    for (unsigned i = 1; i <= t->stage.node_count; i++)
        s.callers += calls_the_service(t, i);
    GS_ASSERT(s.callers > 0);
    load_pace(t->load, TOUR_PACE_COUNTED);
    e = eject(t, &v->child, &s, r, why);
    load_pace(t->load, TOUR_PACE);
    return e;
}

/* ---- a node that dies and returns ---- */

gs_err
acts_kill(struct tour *t, unsigned node, struct acts_change *out, struct gs_why *why)
{
    load_mark_t mark;
    gs_err e = await_begin_count(t, &mark, why);

    if (e != GS_E_OK)
        return e;
    stage_kill(&t->stage, node);
    e = tour_until(t, await_known_dead, &node, DEAD_MS * LIMIT, &out->ms, why);
    return e == GS_E_OK ? await_end_count(t, mark, &out->count, why) : e;
}

gs_err
acts_return(struct tour *t, unsigned node, struct acts_change *out, struct gs_why *why)
{
    load_mark_t mark;
    gs_err e = await_begin_count(t, &mark, why);

    if (e == GS_E_OK)
        e = stage_return(&t->stage, node, why);
    if (e == GS_E_OK)
        e = tour_until(t, await_ready, NULL, RETURN_MS * LIMIT, &out->ms, why);
    return e == GS_E_OK ? await_end_count(t, mark, &out->count, why) : e;
}

static gs_err
act_kill(struct tour *t, struct result *r, struct gs_why *why)
{
    unsigned node = script_victim();
    struct acts_change c;
    gs_err e = acts_kill(t, node, &c, why);

    if (e != GS_E_OK)
        return e;
    figure_below(r, "known_ms", c.ms, DEAD_MS);
    promise_none_failed(r, &c.count);
    result_saw(r, "n%u was killed: all others know it after %.0f ms; of %llu requests %llu failed",
               node, c.ms, (unsigned long long)c.count.ended, (unsigned long long)c.count.failed);
    return GS_E_OK;
}

static gs_err
act_return(struct tour *t, struct result *r, struct gs_why *why)
{
    unsigned node = script_victim();
    struct acts_change c;
    gs_err e = GS_E_OK;

    if (!stage_node(&t->stage, node)->down) /* by hand it was brought back already */
        e = acts_kill(t, node, &c, why);
    if (e == GS_E_OK)
        e = acts_return(t, node, &c, why);
    if (e != GS_E_OK)
        return e;
    figure_below(r, "back_ms", c.ms, RETURN_MS);
    figure_is(r, "agreed", await_agreed(t, NULL), 1);
    promise_none_failed(r, &c.count);
    result_saw(r,
               "n%u is back: %.0f ms after its start all know it and its services, and it has the "
               "policy of the others; of %llu requests %llu failed",
               node, c.ms, (unsigned long long)c.count.ended, (unsigned long long)c.count.failed);
    return GS_E_OK;
}

/* ---- partition ---- */

struct part {
    unsigned cut; /* the first node of the far side */
    load_mark_t mark;
    double cut_ms, near_ms, far_ms, heal_ms;
    struct load_count count;
};

/* Tell the nodes of the far side to block, or no longer to block, those of the near one. */
static gs_err
block(struct tour *t, unsigned cut, const char *verb, struct gs_why *why)
{
    const struct tree *answer;
    struct gs_arena arena;
    char path[128];
    bool good = true;

    gs_arena_init(&arena, NULL, 0, 4096);
    for (unsigned i = cut; i <= t->stage.node_count; i++) {
        for (unsigned k = 1; k < cut && good; k++) {
            (void)snprintf(path, sizeof(path), "/api/v1/debug/%s?node=n%u", verb, k);
            good = peek_post(&t->stage, i, path, GS_SLICE_NONE, &arena, &answer, why);
        }
    }
    gs_arena_fini(&arena);
    return good ? GS_E_OK : GS_E_IO;
}

/* One edit on a side; *ms until all of the side run it. Nobody of the other side is waited for. */
static gs_err
edit_side(struct tour *t, unsigned node, struct await_edited side, unsigned share, struct result *r,
          double *ms, struct gs_why *why)
{
    struct applied a;
    char name[32];
    gs_err e;

    (void)snprintf(name, sizeof(name), "partition-n%u", node);
    next_manifest(t, share, false);
    e = apply(t, node, name, "0", r, &a, why);
    if (e != GS_E_OK)
        return e;
    side.version = a.version;
    e = tour_until(t, await_active, &side, APPLY_MS * LIMIT, ms, why);
    *ms += a.ms;
    return e;
}

static gs_err
edit_both(struct tour *t, struct part *p, struct result *r, struct gs_why *why)
{
    unsigned nodes = t->stage.node_count;
    gs_err e = edit_side(t, script_editor(), (struct await_edited){ NULL, 1, p->cut - 1 }, 20, r,
                         &p->near_ms, why);

    return e == GS_E_OK ? edit_side(t, nodes, (struct await_edited){ NULL, p->cut, nodes }, 70, r,
                                    &p->far_ms, why)
                        : e;
}

/* How many nodes list the write that lost. */
static unsigned
listed_on(struct tour *t)
{
    unsigned listed = 0, lost;

    for (unsigned i = 1; i <= t->stage.node_count; i++)
        listed += peek_lost_writes(&t->stage, i, &lost) && lost == 1;
    return listed;
}

static bool
is_whole(struct tour *t, const void *arg)
{
    return await_ready(t, arg) && await_agreed(t, arg) && listed_on(t) == t->stage.node_count;
}

/* Cut, edited on both sides, and whole again. */
static gs_err
divide(struct tour *t, struct part *p, struct result *r, struct gs_why *why)
{
    gs_err e = await_begin_count(t, &p->mark, why);

    if (e == GS_E_OK)
        e = block(t, p->cut, "block", why);
    if (e == GS_E_OK)
        e = tour_until(t, await_cut_off, &p->cut, CUT_MS, &p->cut_ms, why);
    if (e == GS_E_OK)
        e = edit_both(t, p, r, why);
    if (e == GS_E_OK)
        tell_table(t);
    if (e == GS_E_OK)
        e = await_while(t, EDITED_MS, why);
    if (e == GS_E_OK)
        e = block(t, p->cut, "unblock", why);
    if (e == GS_E_OK)
        e = tour_until(t, is_whole, NULL, HEAL_MS * LIMIT, &p->heal_ms, why);
    return e == GS_E_OK ? await_end_count(t, p->mark, &p->count, why) : e;
}

static gs_err
act_part(struct tour *t, struct result *r, struct gs_why *why)
{
    unsigned nodes = t->stage.node_count;
    struct part p = { .cut = script_cut(nodes) };
    struct peek_policy winner;
    char far[32] = "";
    gs_err e = divide(t, &p, r, why);

    if (e != GS_E_OK)
        return e;
    if (p.cut < nodes)
        (void)snprintf(far, sizeof(far), "n%u-", p.cut);
    (void)peek_policy(&t->stage, 1, &winner);
    figure_below(r, "cut_known_ms", p.cut_ms, CUT_MS);
    figure_below(r, "edit_near_ms", p.near_ms, APPLY_MS);
    figure_below(r, "edit_far_ms", p.far_ms, APPLY_MS);
    figure_below(r, "heal_ms", p.heal_ms, HEAL_MS);
    figure_is(r, "lost_write_listed_on", listed_on(t), nodes);
    promise_none_failed(r, &p.count);
    result_saw(r,
               "%sn%u %s cut off, which the others knew after %.0f ms; both sides were edited; "
               "%.0f ms after it healed all have the version of %s, and list that of the other as "
               "lost; of %llu requests %llu failed",
               far, nodes, p.cut < nodes ? "were" : "was", p.cut_ms, p.heal_ms, winner.writer,
               (unsigned long long)p.count.ended, (unsigned long long)p.count.failed);
    return GS_E_OK;
}

gs_err
act(struct tour *t, struct result *r, struct gs_why *why)
{
    static gs_err (*const acts[])(struct tour *, struct result *, struct gs_why *) = {
        [ACT_MEET] = act_meet, [ACT_SPLIT] = act_split,   [ACT_EJECT] = act_eject,
        [ACT_KILL] = act_kill, [ACT_RETURN] = act_return, [ACT_PART] = act_part,
    };

    GS_ASSERT(r->step->act < GS_COUNT(acts));
    GS_ASSERT(r->count == 0);
    return acts[r->step->act](t, r, why);
}
