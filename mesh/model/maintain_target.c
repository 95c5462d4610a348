/* maintain_target.c - which node, service or endpoints an operator means. Start reading at
 * maintain_find().
 *
 *     n3                         a node; or a service, if no node is called so
 *     web, web.ai, web:80        a service, all ports of it or one
 *     web/10.0.0.3:9001          the instance with that address, on whichever node it is
 *     web/127.0.0.1:9001@n3      the same of one node, where several have that address
 *     web/n3                     all instances of it there
 *
 * An instance is pinned to the node that has it now: 127.0.0.1:9001 of another node is another one.
 * What nobody knows is refused unless forced; but what an object says can be undone by the words it
 * was said with, whoever has gone meanwhile. */
#include "mesh/model/maintain.h"

#include <stdio.h>

#include <gossamer/alloc.h>

#include "mesh/model/codes.h"
#include "mesh/model/host.h"

#define SHOWN_MAX 3

struct typed {
    struct gs_slice service, node; /* empty: not said */
    struct gs_addr addr;           /* family 0: not said */
    uint16_t port;                 /* 0: not said */
};

static struct gs_problem *
tell(struct maintaining *t, const char *text)
{
    return gs_problems_add(t->problems, GS_SEV_ERROR, CODE_POLICY_TARGET, NULL, 0, 0, NULL, "%s",
                           text);
}

/* ---- what is written ---- */

static bool
read_service(struct maintaining *t, struct gs_slice text, struct typed *out)
{
    ptrdiff_t colon = gs_slice_rfind(text, ':');
    struct gs_problem *item;
    struct gs_addr addr;
    uint64_t port;

    if (gs_addr_parse(&addr, text, NULL) == GS_E_OK) {
        item = tell(t, "an instance is told with its service");
        gs_problem_hint(t->problems, item, "write SERVICE/%.*s", GS_SLICE_FMT(text));
        return false;
    }
    out->service = text;
    if (colon < 0)
        return true;
    out->service = gs_slice_head(text, (size_t)colon);
    if (!gs_slice_to_u64(gs_slice_from(text, (size_t)colon + 1), &port) || port < 1 ||
        port > UINT16_MAX) {
        (void)tell(t, gs_arena_printf(t->arena, "\"%.*s\" has no valid port: 1 to 65535",
                                      GS_SLICE_FMT(text)));
        return false;
    }
    out->port = (uint16_t)port;
    return true;
}

static bool
read_instance(struct maintaining *t, struct gs_slice text, struct typed *out)
{
    ptrdiff_t at = gs_slice_rfind(text, '@');
    struct gs_slice addr = at < 0 ? text : gs_slice_head(text, (size_t)at);
    struct gs_problem *item;

    if (at >= 0)
        out->node = gs_slice_from(text, (size_t)at + 1);
    if (at < 0 && gs_slice_find(text, ':') < 0) {
        out->node = text;
        return text.len > 0 || !tell(t, "behind the slash is no instance and no node");
    }
    if (gs_addr_parse(&out->addr, addr, NULL) == GS_E_OK && out->addr.port > 0 &&
        !gs_addr_is_any(&out->addr) && (at < 0 || out->node.len > 0))
        return true;
    item = tell(t, gs_arena_printf(t->arena, "\"%.*s\" is no instance", GS_SLICE_FMT(text)));
    gs_problem_hint(t->problems, item,
                    "write ADDRESS:PORT, ADDRESS:PORT@NODE, or a node for all it has of the "
                    "service: gossamer endpoints lists them");
    return false;
}

/* ---- what there is ---- */

static struct catalog_run
run_of(const struct maintaining *t, struct gs_slice service)
{
    char text[HOST_TEXT];

    return catalog_host(&t->m->catalog, host_canonical(service, t->w->ns, text), t->w->ns);
}

static void
hint_near(struct maintaining *t, struct gs_problem *item, struct gs_slice word,
          enum model_target as, const char *otherwise)
{
    const char *near = maint_near(&t->m->catalog, word, as, t->arena);

    if (near)
        gs_problem_hint(t->problems, item, "did you mean %s?", near);
    else
        gs_problem_hint(t->problems, item, "%s", otherwise);
}

/* ---- the target as an object ---- */

static void
set_node(struct maintaining *t, struct gs_slice name)
{
    t->wanted->maint.node.text = gs_arena_copy(t->arena, name);
}

/* The service as it is called; of one that nobody has, as it would be. False: no name of one. */
static bool
set_service(struct maintaining *t, const struct typed *typed, struct catalog_run run)
{
    char text[HOST_TEXT];
    struct gs_slice canonical = host_canonical(typed->service, t->w->ns, text);
    ptrdiff_t dot = gs_slice_rfind(canonical, '.');
    struct gs_slice name = gs_slice_head(canonical, (size_t)dot);
    struct gs_slice ns = gs_slice_from(canonical, (size_t)dot + 1);

    GS_ASSERT(dot >= 0);
    if (run.count > 0) {
        name = run.items[0]->name;
        ns = run.items[0]->ns;
    } else if (!name_is_subdomain(name) || !name_is_label(ns)) {
        (void)tell(t, gs_arena_printf(t->arena, "\"%.*s\" is no name of a service",
                                      GS_SLICE_FMT(typed->service)));
        return false;
    }
    t->wanted->ns = gs_arena_copy(t->arena, ns);
    t->wanted->maint.service.text = gs_arena_copy(t->arena, name);
    t->wanted->maint.port = typed->port;
    return true;
}

static void
set_instance(struct maintaining *t, const struct gs_addr *addr)
{
    char text[GS_ADDR_TEXT];

    t->wanted->maint.instance.text =
        gs_arena_copy(t->arena, gs_slice_str(gs_addr_text(addr, text)));
}

/* Does an object say something of that very target? Then it can be undone. */
static bool
is_said(const struct maintaining *t)
{
    struct maint_entry e = maint_entry(t->wanted, NULL);

    for (size_t i = 0; i < t->stored.count; i++) {
        if (maint_same_target(&t->stored.items[i], &e))
            return true;
    }
    return false;
}

static bool
may_be_unknown(const struct maintaining *t)
{
    return t->w->verb == MODEL_UNDRAIN ? is_said(t) : t->w->force;
}

/* ---- instances ---- */

struct owners { /* of what is meant */
    const struct catalog_owner *found[SHOWN_MAX];
    size_t count;
};

static struct owners
owners_of(const struct maintaining *t, struct catalog_run run)
{
    struct maint_entry e = maint_entry(t->wanted, NULL);
    struct owners o = { .count = 0 };

    for (size_t k = 0; k < run.count; k++) {
        const struct catalog_offer *offer = NULL;
        const struct catalog_instance *i;
        struct catalog_at at = { 0 };

        while ((i = catalog_next(run.items[k], &at, &offer))) {
            bool there = false;

            if (!maint_means(&e, offer, i))
                continue;
            for (size_t n = 0; n < o.count && n < SHOWN_MAX; n++)
                there = there || o.found[n] == offer->owner;
            if (there)
                continue;
            if (o.count < SHOWN_MAX)
                o.found[o.count] = offer->owner;
            o.count++;
        }
    }
    return o;
}

static void
refuse_several(struct maintaining *t, const struct owners *o)
{
    struct gs_slice address = t->wanted->maint.instance.text;
    const char *all = "";
    struct gs_problem *item;

    GS_ASSERT(o->count > 1);
    for (size_t i = 0; i < o->count && i < SHOWN_MAX; i++)
        all = gs_arena_printf(t->arena, "%s%s%.*s@%.*s", all, i > 0 ? ", " : "",
                              GS_SLICE_FMT(address), GS_SLICE_FMT(o->found[i]->name));
    item = tell(t, gs_arena_printf(t->arena, "several nodes have an instance %.*s of %.*s",
                                   GS_SLICE_FMT(address),
                                   GS_SLICE_FMT(t->wanted->maint.service.text)));
    gs_problem_hint(t->problems, item, "say which is meant: %s%s", all,
                    o->count > SHOWN_MAX ? ", ..." : "");
}

static void
refuse_instance(struct maintaining *t, struct catalog_run run)
{
    const struct maintenance *m = &t->wanted->maint;
    const struct catalog_offer *offer = NULL;
    const struct catalog_instance *i;
    struct catalog_at at = { 0 };
    const char *all = "";
    struct gs_problem *item;
    char text[GS_ADDR_TEXT];
    size_t shown = 0;

    GS_ASSERT(run.count > 0);
    item = tell(
        t, gs_arena_printf(t->arena, "%.*s.%.*s has no instance%s%.*s%s%.*s",
                           GS_SLICE_FMT(m->service.text), GS_SLICE_FMT(t->wanted->ns),
                           m->instance.text.len > 0 ? " " : "", GS_SLICE_FMT(m->instance.text),
                           m->node.text.len > 0 ? " on node " : "", GS_SLICE_FMT(m->node.text)));
    while ((i = catalog_next(run.items[0], &at, &offer)) && shown++ < SHOWN_MAX)
        all = gs_arena_printf(t->arena, "%s%s%s@%.*s", all, shown > 1 ? ", " : "",
                              gs_addr_text(&i->addr, text), GS_SLICE_FMT(offer->owner->name));
    gs_problem_hint(t->problems, item, "it has %s%s; --force keeps it for when it appears",
                    shown > 0 ? all : "none now", shown > SHOWN_MAX ? ", ..." : "");
}

/* The only one that something was said of, whichever node it was pinned to. */
static bool
find_said(struct maintaining *t)
{
    struct maint_entry e = maint_entry(t->wanted, NULL);
    const struct maint_entry *found = NULL;

    for (size_t i = 0; i < t->stored.count; i++) {
        struct maint_entry other = t->stored.items[i];

        other.node = e.node;
        if (!maint_same_target(&other, &e))
            continue;
        if (found && !gs_slice_eq(found->node, t->stored.items[i].node))
            return false;
        found = &t->stored.items[i];
    }
    if (found)
        set_node(t, found->node);
    return found != NULL;
}

/* Is it there, and only once? Then it is that of its node. */
static bool
pin_instance(struct maintaining *t, struct catalog_run run)
{
    struct owners o = owners_of(t, run);

    if (o.count == 0 && !may_be_unknown(t)) {
        refuse_instance(t, run);
        return false;
    }
    if (o.count > 1 && t->wanted->maint.node.text.len == 0) {
        refuse_several(t, &o);
        return false;
    }
    if (o.count == 1)
        set_node(t, o.found[0]->name);
    return true;
}

/* ---- services and nodes ---- */

static void
refuse_service(struct maintaining *t, struct gs_slice name)
{
    struct gs_problem *item =
        tell(t, gs_arena_printf(t->arena, "no service of the mesh is called \"%.*s\"",
                                GS_SLICE_FMT(name)));

    hint_near(t, item, name, MODEL_TARGET_SERVICE,
              "gossamer services lists them; --force keeps it for when it appears");
}

static void
refuse_port(struct maintaining *t, const struct typed *typed, struct catalog_run run)
{
    struct gs_problem *item =
        gs_problems_add(t->problems, GS_SEV_ERROR, CODE_POLICY_PORT, NULL, 0, 0, NULL,
                        "service %.*s has no port %u", GS_SLICE_FMT(typed->service), typed->port);

    gs_problem_hint(t->problems, item, "it has %u%s", run.items[0]->port,
                    run.count > 1 ? " and others: gossamer services lists them" : "");
}

/* instance: some of its endpoints are meant. */
static bool
find_service(struct maintaining *t, const struct typed *typed, bool instance)
{
    struct catalog_run run = run_of(t, typed->service);

    if (!set_service(t, typed, run))
        return false;
    if (typed->node.len > 0)
        set_node(t, typed->node);
    if (typed->addr.family != 0)
        set_instance(t, &typed->addr);
    if (instance && typed->node.len == 0 && t->w->verb == MODEL_UNDRAIN && find_said(t))
        return true;
    if (run.count == 0 && !may_be_unknown(t)) {
        refuse_service(t, typed->service);
        return false;
    }
    if (run.count > 0 && typed->port > 0 && !catalog_port(run, typed->port, 0) &&
        !may_be_unknown(t)) {
        refuse_port(t, typed, run);
        return false;
    }
    return !instance || pin_instance(t, run);
}

static bool
find_node(struct maintaining *t, struct gs_slice name)
{
    struct gs_problem *item;

    set_node(t, name);
    t->wanted->ns = GS_SLICE(MAINT_NODE_NS);
    if (maint_owner(&t->m->catalog, name) || may_be_unknown(t))
        return true;
    item = tell(
        t, gs_arena_printf(t->arena, "no node of the mesh is called \"%.*s\"", GS_SLICE_FMT(name)));
    hint_near(t, item, name, MODEL_TARGET_NODE,
              "gossamer members lists them; --force keeps it for when it appears");
    return false;
}

/* Was something said of a target that is this word? Then `wanted` is it. */
static bool
is_said_bare(struct maintaining *t, const struct typed *typed)
{
    struct policy_object node = { .kind = POLICY_MAINTENANCE,
                                  .ns = GS_SLICE(MAINT_NODE_NS),
                                  .maint.node.text = t->w->target };

    *t->wanted = node;
    if (is_said(t))
        return true;
    *t->wanted = (struct policy_object){ .kind = POLICY_MAINTENANCE };
    return name_is_subdomain(typed->service) && set_service(t, typed, (struct catalog_run){ 0 }) &&
           is_said(t);
}

/* A word without a slash: what is called so, or what something was said of. */
static bool
find_bare(struct maintaining *t, const struct typed *typed)
{
    bool node = maint_owner(&t->m->catalog, t->w->target) != NULL;
    bool service = run_of(t, typed->service).count > 0;
    struct gs_problem *item;

    if (node && service) {
        item = tell(t, gs_arena_printf(t->arena, "both a node and a service are called \"%.*s\"",
                                       GS_SLICE_FMT(t->w->target)));
        gs_problem_hint(t->problems, item, "say which is meant: --node or --service");
        return false;
    }
    if (node)
        return find_node(t, t->w->target);
    if (service)
        return find_service(t, typed, false);
    if (t->w->verb == MODEL_UNDRAIN && is_said_bare(t, typed))
        return true;
    item = tell(t, gs_arena_printf(t->arena, "no node and no service is called \"%.*s\"",
                                   GS_SLICE_FMT(t->w->target)));
    hint_near(t, item, t->w->target, MODEL_TARGET_ANY,
              "gossamer members and gossamer services list them; --node or --service with --force "
              "keeps it for when it appears");
    return false;
}

bool
maintain_find(struct maintaining *t)
{
    ptrdiff_t slash = gs_slice_find(t->w->target, '/');
    size_t errors = t->problems->errors;
    struct typed typed = { .port = 0 };
    bool found;

    t->wanted = gs_arena_zalloc(t->arena, sizeof(*t->wanted));
    t->wanted->kind = POLICY_MAINTENANCE;
    t->wanted->ns = t->w->ns;
    if (slash < 0 && t->w->as == MODEL_TARGET_NODE)
        found = find_node(t, t->w->target);
    else if (!read_service(t, slash < 0 ? t->w->target : gs_slice_head(t->w->target, (size_t)slash),
                           &typed))
        found = false;
    else if (slash >= 0)
        found = read_instance(t, gs_slice_from(t->w->target, (size_t)slash + 1), &typed) &&
                find_service(t, &typed, true);
    else if (t->w->as == MODEL_TARGET_SERVICE || typed.port > 0)
        found = find_service(t, &typed, false);
    else
        found = find_bare(t, &typed);
    GS_ASSERT(found == (t->problems->errors == errors));
    if (found)
        t->target = maint_entry(t->wanted, NULL);
    return found;
}
