/* owners.h - a model among other nodes, for tests: nodes are numbers, records are lines. */
#pragma once

#include "tests/unit/models.h"

#include "mesh/model/codec.h"
#include "mesh/model/endpoints.h"

struct said { /* one instance as its owner tells of it */
    const char *address;
    enum endpoint_tier tier;
    const char *version; /* label; NULL: none */
};

static inline struct gs_id
node_id(unsigned n)
{
    return (struct gs_id){ { (uint8_t)(n >> 8), (uint8_t)n, 0xee } };
}

static inline struct gs_addr
addr_of(const char *text)
{
    struct gs_addr a;

    assert_int_equal(gs_addr_parse(&a, gs_slice_str(text), NULL), GS_E_OK);
    return a;
}

/* Node n is called bN, is in zone zN and reached at 10.0.0.n:4143. */
static inline void
set_node(struct world *w, unsigned n, enum model_node_state state, uint64_t now_ms)
{
    struct model_node node = { .id = node_id(n), .state = state };
    char name[16], zone[16], mesh[32];

    (void)snprintf(name, sizeof(name), "b%u", n);
    (void)snprintf(zone, sizeof(zone), "z%u", n);
    (void)snprintf(mesh, sizeof(mesh), "10.0.%u.%u:4143", n / 250, n % 250 + 1);
    node.name = gs_slice_str(name);
    node.zone = gs_slice_str(zone);
    node.mesh = addr_of(mesh);
    model_set_node(w->model, now_ms, &node);
}

static inline struct model_record
record_of(unsigned n, const char *key, struct gs_slice value)
{
    return (struct model_record){ .kind = MODEL_KIND_ENDPOINTS,
                                  .key = gs_slice_str(key),
                                  .value = value,
                                  .version = { 1, 1, node_id(n) } };
}

static inline gs_err
put_value(struct world *w, unsigned n, const char *key, struct gs_slice value, struct gs_why *why)
{
    struct model_record r = record_of(n, key, value);

    return model_on_endpoints(w->model, &r, why);
}

static inline void
encode_said(const char *protocol, const struct said *list, size_t count, struct gs_buf *out)
{
    struct endpoints_instance *instances = calloc(count + 1, sizeof(*instances));
    struct policy_pair *labels = calloc(count + 1, sizeof(*labels));
    struct endpoints e = { .protocol = gs_slice_str(protocol),
                           .instances = instances,
                           .count = count };

    for (size_t i = 0; i < count; i++) {
        instances[i].addr = addr_of(list[i].address);
        instances[i].tier = list[i].tier;
        if (!list[i].version)
            continue;
        labels[i].name = GS_SLICE("version");
        labels[i].value = gs_slice_str(list[i].version);
        instances[i].labels = &labels[i];
        instances[i].label_count = 1;
    }
    endpoints_sort(&e);
    gs_buf_init(out, OBJECT_BYTES_MAX);
    assert_int_equal(codec_put_endpoints(&e, out), GS_E_OK);
    free(instances);
    free(labels);
}

static inline void
put_said(struct world *w, unsigned n, const char *key, const char *protocol,
         const struct said *list, size_t count)
{
    struct gs_buf value;
    struct gs_why why;

    encode_said(protocol, list, count, &value);
    if (put_value(w, n, key, gs_buf_slice(&value), &why) != GS_E_OK)
        fail_msg("%s", why.text);
    gs_buf_fini(&value);
}

/* One healthy instance at 127.0.0.1:9001, version v1. */
static inline void
put_one(struct world *w, unsigned n, const char *key, enum endpoint_tier tier)
{
    put_said(w, n, key, "http", &(struct said){ "127.0.0.1:9001", tier, "v1" }, 1);
}

static inline void
withdraw(struct world *w, unsigned n, const char *key)
{
    struct model_record r = record_of(n, key, GS_SLICE_NONE);

    r.deleted = true;
    assert_int_equal(model_on_endpoints(w->model, &r, NULL), GS_E_OK);
}

static inline struct model_flushed
flush(struct world *w, uint64_t now_ms)
{
    struct model_flushed f = model_flush(w->model, now_ms);

    model_check(w->model);
    return f;
}

/* The endpoint of node n in a service of the present snapshot, NULL if there is none. */
static inline const struct endpoint *
endpoint_of(const struct world *w, const char *host, unsigned n)
{
    const struct service *s = find_service(w, host, 80);
    struct gs_id id = node_id(n);

    for (uint32_t i = 0; s && i < s->endpoint_count; i++) {
        if (gs_id_eq(&s->endpoints[i].owner, &id))
            return &s->endpoints[i];
    }
    return NULL;
}

static inline const struct subset *
all_of(const struct world *w, const char *host)
{
    const struct service *s = find_service(w, host, 80);

    assert_non_null(s);
    return &s->subsets[SUBSET_ALL];
}

/* This node's own traffic there succeeded. */
static inline void
succeed(struct world *w, const char *host, unsigned n, uint64_t at_ms)
{
    const struct endpoint *e = endpoint_of(w, host, n);

    assert_non_null(e);
    atomic_store(&slots_at(w->slots, e->slot)->succeeded_ms, at_ms);
}

static inline struct model_counters
counters_of(const struct world *w)
{
    struct model_counters c;

    model_counters(w->model, &c);
    return c;
}
