/* models.h - a model with all it needs, for tests: objects come as manifests, services as lines. */
#pragma once

#include "tests/unit/manifests.h"

#include <stdlib.h>

#include <gossamer/alloc.h>
#include <gossamer/json_out.h>
#include <gossamer/model.h>
#include <gossamer/stats.h>

struct world {
    struct slots *slots;
    struct snapshot_hub *hub;
    struct stat_names *stat_names;
    struct model *model;
    uint64_t hlc;
};

static inline void
world_init(struct world *w)
{
    struct model_options o = { .id = { { 0xa1 } },
                               .node = GS_SLICE("n1"),
                               .zone = GS_SLICE("z"),
                               .ns = GS_SLICE("default"),
                               .root_ns = GS_SLICE("istio-system") };

    w->slots = slots_new();
    w->hub = snapshot_hub_new(w->slots, 1);
    w->stat_names = stat_names_new();
    w->hlc = UINT64_C(1000) << 16;
    o.slots = w->slots;
    o.hub = w->hub;
    o.stat_names = w->stat_names;
    w->model = model_new(&o);
}

static inline void
world_fini(struct world *w)
{
    model_free(w->model);
    snapshot_hub_free(w->hub);
    stat_names_free(w->stat_names);
    slots_free(w->slots);
}

static inline int
world_setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    world_init(w);
    *state = w;
    return 0;
}

static inline int
world_teardown(void **state)
{
    struct world *w = *state;

    model_check(w->model);
    world_fini(w);
    free(w);
    return 0;
}

/* The one of number `leaving` is on its way out. */
static inline void
set_service_leaving(struct world *w, const char *ns, const char *name, uint16_t port,
                    const char *const *versions, size_t count, size_t leaving)
{
    struct model_instance instances[8] = { { .label_count = 0 } };
    struct policy_pair labels[8];
    struct model_service s = { .ns = gs_slice_str(ns),
                               .name = gs_slice_str(name),
                               .port = port,
                               .protocol = GS_SLICE("http"),
                               .instances = instances,
                               .instance_count = count };

    for (size_t i = 0; i < count; i++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "127.0.0.1:%zu", 9001 + i);
        assert_int_equal(gs_addr_parse(&instances[i].addr, gs_slice_str(text), NULL), GS_E_OK);
        labels[i] =
            (struct policy_pair){ .name = GS_SLICE("version"), .value = gs_slice_str(versions[i]) };
        instances[i].labels = &labels[i];
        instances[i].label_count = 1;
        instances[i].leaving = i == leaving;
    }
    assert_int_equal(model_check_service(w->model, &s, NULL), GS_E_OK);
    assert_int_equal(model_set_service(w->model, &s, NULL), GS_E_OK);
}

static inline void
set_service(struct world *w, const char *ns, const char *name, uint16_t port,
            const char *const *versions, size_t count)
{
    set_service_leaving(w, ns, name, port, versions, count, SIZE_MAX);
}

static inline void
set_health(struct world *w, const char *ns, const char *name, uint16_t port, unsigned instance,
           enum endpoint_tier tier)
{
    struct gs_addr addr;
    char text[32];

    (void)snprintf(text, sizeof(text), "127.0.0.1:%u", 9001 + instance);
    assert_int_equal(gs_addr_parse(&addr, gs_slice_str(text), NULL), GS_E_OK);
    assert_int_equal(
        model_set_health(w->model, gs_slice_str(ns), gs_slice_str(name), port, &addr, tier),
        GS_E_OK);
}

/* A service with versions v1, v2, v3, all healthy. */
static inline void
set_web(struct world *w)
{
    static const char *const versions[] = { "v1", "v2", "v3" };

    set_service(w, "default", "web", 80, versions, 3);
    for (unsigned i = 0; i < 3; i++)
        set_health(w, "default", "web", 80, i, TIER_HEALTHY);
}

struct deed {            /* how records are written */
    uint64_t generation; /* 0: 1 */
    uint64_t transaction;
    uint32_t transaction_count;
    uint64_t born_hlc; /* 0: now */
    bool deleted;
};

static inline struct gs_version
put_object(struct world *w, const struct policy_object *o, struct deed d)
{
    char key[POLICY_KEY_TEXT];
    struct gs_buf value;
    struct model_record r = { .kind = (uint16_t)o->kind,
                              .deleted = d.deleted,
                              .transaction = d.transaction,
                              .transaction_count = d.transaction_count };

    gs_buf_init(&value, OBJECT_BYTES_MAX);
    assert_int_equal(policy_encode(o, &value), GS_E_OK);
    r.key = gs_slice_str(policy_key(o->kind, o->ns, o->name, key));
    r.value = d.deleted ? GS_SLICE_NONE : gs_buf_slice(&value);
    r.version = (struct gs_version){ d.generation ? d.generation : 1, w->hlc, { { 1 } } };
    r.born_hlc = d.born_hlc ? d.born_hlc : w->hlc;
    memcpy(r.hash.bytes, &w->hlc, sizeof(w->hlc));
    w->hlc += 1 << 16;
    assert_int_equal(model_on_record(w->model, &r, NULL), GS_E_OK);
    gs_buf_fini(&value);
    return r.version;
}

/* Every object of a manifest as a record of its own. */
static inline struct gs_version
put_text(struct world *w, const char *text, struct deed d)
{
    struct gs_version v = { 0 };
    struct reading r;

    reading_init(&r, text, strlen(text));
    if (r.problems.errors > 0)
        print_error("%s%s\n", text, gs_buf_cstr(&r.found));
    assert_int_equal(r.problems.errors, 0);
    for (size_t i = 0; i < r.m.count; i++)
        v = put_object(w, r.m.objects[i], d);
    reading_fini(&r);
    return v;
}

static inline enum model_state
state_of(const struct world *w, enum policy_kind kind, const char *name)
{
    struct model_object o;

    assert_true(model_find_object(w->model, kind, GS_SLICE("default"), gs_slice_str(name), &o));
    return o.state;
}

static inline const struct service *
find_service(const struct world *w, const char *host, uint16_t port)
{
    return snapshot_find(snapshot_current(w->hub), gs_slice_str(host), port);
}

#define VS_HEAD(name)                                                                              \
    "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: " name            \
    " }\nspec:\n"
#define DR_HEAD(name)                                                                              \
    "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { name: " name           \
    " }\nspec:\n"
#define SUBSET(name) "  - { name: " name ", labels: { version: " name " } }\n"
#define WEB_DR DR_HEAD("web") "  host: web\n  subsets:\n" SUBSET("v1") SUBSET("v2")
#define WEB_VS(a, b)                                                                               \
    VS_HEAD("web")                                                                                 \
    "  hosts: [web]\n  http:\n  - route:\n"                                                        \
    "    - { destination: { host: web, subset: v1 }, weight: " a " }\n"                            \
    "    - { destination: { host: web, subset: v2 }, weight: " b " }\n"
