/* bench_catalog.c - what a mesh of NODES nodes with PER_NODE endpoints each costs the model of one
 * of them, in time and memory. Three shapes: everybody has the same services; a hundred services
 * on some nodes each; every endpoint a service of its own.
 *
 *     meson test --benchmark catalog -v */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gossamer/buf.h>
#include <gossamer/stats.h>

#include "mesh/model/codec.h"
#include "mesh/model/endpoints.h"

#define NODES 1000
#define PER_NODE 10

struct mesh {
    struct slots *slots;
    struct snapshot_hub *hub;
    struct stat_names *names;
    struct model *model;
    unsigned services; /* in the whole mesh */
};

static double
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static size_t
resident_bytes(void)
{
    unsigned long all = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f) {
        GS_ASSERT(fscanf(f, "%lu %lu", &all, &resident) == 2);
        (void)fclose(f);
    }
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static struct gs_id
node_id(unsigned n)
{
    /* Spread, as hashes of keys are. */
    uint64_t mixed = (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
    struct gs_id id = { { 0 } };

    memcpy(id.bytes, &mixed, sizeof(mixed));
    return id;
}

static void
set_node(struct mesh *m, unsigned n, enum model_node_state state, uint64_t at_ms)
{
    char name[32];
    struct model_node node = { .id = node_id(n),
                               .zone = GS_SLICE("eu-1a"),
                               .mesh = { .family = 4, .port = 4143 },
                               .state = state };

    (void)snprintf(name, sizeof(name), "node-%04u.example", n);
    node.name = gs_slice_str(name);
    memcpy(node.mesh.ip, (uint8_t[]){ 10, 1, (uint8_t)(n >> 8), (uint8_t)n }, 4);
    model_set_node(m->model, at_ms, &node);
}

static void
put_record(struct mesh *m, unsigned n, unsigned k, enum endpoint_tier tier)
{
    struct policy_pair label = { .name = GS_SLICE("version"), .value = GS_SLICE("v1.0.0") };
    struct endpoints_instance i = { .addr = { .family = 4, .ip = { 127, 0, 0, 1 } },
                                    .tier = tier,
                                    .labels = &label,
                                    .label_count = 1 };
    struct endpoints e = { GS_SLICE("http"), &i, 1 };
    struct model_record r = { .kind = MODEL_KIND_ENDPOINTS, .version = { 1, 1, node_id(n) } };
    struct gs_buf value;
    char key[64];

    i.addr.port = (uint16_t)(9000 + k);
    (void)snprintf(key, sizeof(key), "default/service-%u:80", (n * PER_NODE + k) % m->services);
    gs_buf_init(&value, OBJECT_BYTES_MAX);
    GS_ASSERT(codec_put_endpoints(&e, &value) == GS_E_OK);
    r.key = gs_slice_str(key);
    r.value = gs_buf_slice(&value);
    GS_ASSERT(model_on_endpoints(m->model, &r, NULL) == GS_E_OK);
    gs_buf_fini(&value);
}

static void
flush(struct mesh *m, uint64_t at_ms)
{
    (void)model_flush(m->model, at_ms);
    (void)snapshot_adopt(m->hub, 0);
    snapshot_reap(m->hub);
    slots_reap(m->slots);
}

static void
mesh_init(struct mesh *m, unsigned services)
{
    struct model_options o = { .id = { { 1 } },
                               .node = GS_SLICE("here"),
                               .ns = GS_SLICE("default"),
                               .root_ns = GS_SLICE("istio-system") };

    m->services = services;
    m->slots = o.slots = slots_new();
    m->hub = o.hub = snapshot_hub_new(m->slots, 1);
    m->names = o.stat_names = stat_names_new();
    m->model = model_new(&o);
    flush(m, 1);
}

static void
mesh_fini(struct mesh *m)
{
    model_free(m->model);
    snapshot_hub_free(m->hub);
    stat_names_free(m->names);
    slots_free(m->slots);
    (void)malloc_trim(0);
}

static void
fill(struct mesh *m, unsigned flush_every)
{
    for (unsigned n = 0; n < NODES; n++) {
        set_node(m, n, MODEL_NODE_UP, 1);
        for (unsigned k = 0; k < PER_NODE; k++)
            put_record(m, n, k, TIER_HEALTHY);
        if (flush_every > 0 && n % flush_every == 0)
            flush(m, 1);
    }
}

static void
measure(unsigned services)
{
    size_t endpoints = (size_t)NODES * PER_NODE, before, after;
    struct model_counters c;
    double start, fed, flushed, changed, down;
    struct mesh m;

    before = resident_bytes();
    mesh_init(&m, services);
    start = now_ms();
    fill(&m, 0);
    fed = now_ms();
    flush(&m, 1);
    flushed = now_ms();
    (void)malloc_trim(0);
    after = resident_bytes();
    for (unsigned i = 0; i < 100; i++) {
        put_record(&m, i, 0, i % 2 ? TIER_HEALTHY : TIER_UNHEALTHY);
        flush(&m, 2);
    }
    changed = now_ms();
    for (unsigned n = 0; n < 100; n++) {
        set_node(&m, n, MODEL_NODE_DOWN, 3);
        flush(&m, 3);
    }
    down = now_ms();
    model_counters(m.model, &c);
    GS_ASSERT(c.endpoints == endpoints);
    GS_ASSERT(c.lost == (size_t)100 * PER_NODE);
    model_check(m.model);
    printf("%6u services: %6.1f ms fed, %6.1f ms flushed, %7.0f us a record, %7.0f us a node down, "
           "%5.2f MiB, %4zu B an endpoint\n",
           services, fed - start, flushed - fed, (changed - flushed) * 10, (down - changed) * 10,
           (double)(after - before) / (1 << 20), (after - before) / endpoints);
    mesh_fini(&m);
}

/* A node that was away hears everything while it flushes 20 times a second: every 50 nodes here. */
static void
measure_trickle(unsigned services)
{
    struct mesh m;
    double start;

    mesh_init(&m, services);
    start = now_ms();
    fill(&m, 50);
    flush(&m, 1);
    printf("%6u services: %6.1f ms with a flush after every 50 nodes\n", services,
           now_ms() - start);
    mesh_fini(&m);
}

int
main(void)
{
    static const unsigned services[] = { 10, 100, NODES * PER_NODE };

    printf("%d nodes x %d endpoints\n", NODES, PER_NODE);
    for (size_t i = 0; i < sizeof(services) / sizeof(*services); i++)
        measure(services[i]);
    for (size_t i = 0; i < sizeof(services) / sizeof(*services); i++)
        measure_trickle(services[i]);
    return 0;
}
