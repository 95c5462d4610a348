/* mesh_node.c - a node without gossip: a proxy whose snapshots are written by hand, for tests of
 * what goes on between nodes. Commands come by standard input, one a line; each is answered by a
 * line on standard output.
 *
 *     mesh_node NAME WORKERS OUTBOUND INBOUND [CALLER OUTBOUND]...
 *
 *     service NS NAME PORT              begins a service; the following lines are of it
 *     endpoint ADDR local SUBSET        an instance of this node ("-": of no subset)
 *     endpoint ADDR NODE SUBSET MESH    one of another node, reached at MESH
 *     weight SUBSET N                   a share of its one route
 *     to NS NAME PORT N                 the same for another service
 *     publish                           all services so far are the snapshot; the next set begins
 *     standing open|closed
 *     stat                              {"counters": {..}, "refused": {..}, "cells": [..]}
 *     drain
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gossamer/alloc.h>
#include <gossamer/buf.h>
#include <gossamer/json_out.h>
#include <gossamer/listener.h>
#include <gossamer/log.h>
#include <gossamer/proxy.h>
#include <gossamer/stream.h>
#include <gossamer/work.h>

#define ITEMS_MAX 64
#define WORDS_MAX 8
#define CELLS_PER_SERVICE 16

struct spec_endpoint {
    struct gs_addr addr, mesh;
    char node[64], subset[64];
};

struct spec_share {
    char subset[64], ns[64], name[64];
    uint16_t port; /* 0: of this service */
    uint32_t weight;
};

struct spec_service {
    char ns[64], name[64];
    uint16_t port;
    struct spec_endpoint endpoints[ITEMS_MAX];
    struct spec_share shares[ITEMS_MAX];
    uint32_t endpoint_count, share_count;
};

static struct {
    struct gs_loop *loop;
    struct slots *slots;
    struct snapshot_hub *hub;
    struct proxy *proxy;
    struct proxy_caller callers[ITEMS_MAX];
    struct spec_service services[ITEMS_MAX];
    uint32_t count;     /* in the making */
    uint32_t published; /* services of the snapshot */
    struct gs_buf line;
    struct stream *input;
    struct gs_signal *term;
    struct gs_timer reap;
    bool draining;
} node;

static void
fail(const char *what)
{
    fprintf(stderr, "mesh_node: %s\n", what);
    exit(2);
}

static struct gs_id
id_of(const char *name)
{
    struct gs_id id = { { 0 } };

    memcpy(id.bytes, name, strnlen(name, sizeof(id.bytes)));
    return id;
}

static void
copy(char out[64], const char *word)
{
    snprintf(out, 64, "%s", word);
}

/* ---- snapshots ---- */

static uint32_t
subset_index(const struct subset *subsets, uint32_t count, const char *name)
{
    for (uint32_t i = 1; i < count; i++) {
        if (gs_slice_eq(subsets[i].name, gs_slice_str(name)))
            return i;
    }
    return UINT32_MAX;
}

static void
build_endpoint(struct gs_arena *a, const struct spec_service *s, const struct spec_endpoint *from,
               struct endpoint *e)
{
    char addr[GS_ADDR_TEXT];
    char key[512];

    gs_addr_text(&from->addr, addr);
    snprintf(key, sizeof(key), "%s/%s:%u/%s/%s", s->ns, s->name, s->port, addr, from->node);
    if (slots_get(node.slots, gs_slice_str(key), &e->slot) != GS_E_OK)
        fail("no slot");
    e->addr = from->addr;
    e->generation = atomic_load(&slots_at(node.slots, e->slot)->generation);
    e->tier = TIER_HEALTHY;
    e->local = strcmp(from->node, "local") == 0;
    e->owner = id_of(from->node);
    e->mesh = from->mesh;
    e->node = gs_arena_copy(a, gs_slice_str(from->node));
    e->service = gs_slice_str(gs_arena_printf(a, "%s/%s:%u", s->ns, s->name, s->port));
}

static void
build_subsets(struct service_blob *b, const struct spec_service *s, uint32_t id)
{
    struct endpoint *endpoints = gs_arena_zalloc(&b->arena, ITEMS_MAX * sizeof(*endpoints));
    struct subset *subsets = gs_arena_zalloc(&b->arena, ITEMS_MAX * sizeof(*subsets));
    uint32_t count = 1;

    for (uint32_t i = 0; i < s->endpoint_count; i++) {
        build_endpoint(&b->arena, s, &s->endpoints[i], &endpoints[i]);
        if (strcmp(s->endpoints[i].subset, "-") != 0 &&
            subset_index(subsets, count, s->endpoints[i].subset) == UINT32_MAX)
            subsets[count++].name = gs_arena_copy(&b->arena, gs_slice_str(s->endpoints[i].subset));
    }
    for (uint32_t k = 0; k < count; k++) {
        const struct endpoint **list =
            gs_arena_zalloc(&b->arena, ITEMS_MAX * sizeof(const struct endpoint *));

        for (uint32_t i = 0; i < s->endpoint_count; i++) {
            if (k == 0 || gs_slice_eq(subsets[k].name, gs_slice_str(s->endpoints[i].subset)))
                list[subsets[k].count++] = &endpoints[i];
        }
        subsets[k].endpoints = list;
        subsets[k].stat_out = id * CELLS_PER_SERVICE * 2 + k;
        subsets[k].stat_in = (id * 2 + 1) * CELLS_PER_SERVICE + k;
    }
    b->service.endpoints = endpoints;
    b->service.endpoint_count = s->endpoint_count;
    b->service.subsets = subsets;
    b->service.subset_count = count;
}

static uint32_t
service_id(const struct spec_share *s, uint32_t own)
{
    for (uint32_t i = 0; s->port != 0 && i < node.count; i++) {
        if (strcmp(node.services[i].ns, s->ns) == 0 &&
            strcmp(node.services[i].name, s->name) == 0 && node.services[i].port == s->port)
            return i;
    }
    return s->port == 0 ? own : UINT32_MAX;
}

static void
build_rule(struct service_blob *b, const struct spec_service *s, uint32_t id)
{
    struct route_rule *rule = gs_arena_zalloc(&b->arena, sizeof(*rule));
    struct route_backend *backends = gs_arena_zalloc(&b->arena, ITEMS_MAX * sizeof(*backends));

    if (s->share_count == 0)
        return;
    for (uint32_t i = 0; i < s->share_count; i++) {
        backends[i].service = service_id(&s->shares[i], id);
        backends[i].subset =
            s->shares[i].port != 0
                ? SUBSET_ALL
                : subset_index(b->service.subsets, b->service.subset_count, s->shares[i].subset);
        backends[i].weight = s->shares[i].weight;
        backends[i].host = backends[i].subset_name = GS_SLICE("?");
        rule->weight_total += s->shares[i].weight;
    }
    rule->backends = backends;
    rule->backend_count = s->share_count;
    b->service.rules = rule;
    b->service.rule_count = 1;
    b->service.has_policy = true;
}

static void
publish(void)
{
    struct service_blob *blobs[ITEMS_MAX];
    struct names_builder *names = names_builder_new();

    for (uint32_t i = 0; i < node.count; i++) {
        const struct spec_service *s = &node.services[i];
        struct service_blob *b = blobs[i] = service_blob_new(node.slots, NULL);
        char host[160];

        b->service.id = i;
        b->service.ns = gs_arena_copy(&b->arena, gs_slice_str(s->ns));
        b->service.name = gs_arena_copy(&b->arena, gs_slice_str(s->name));
        b->service.port = s->port;
        build_subsets(b, s, i);
        build_rule(b, s, i);
        service_blob_seal(b);
        snprintf(host, sizeof(host), "%s.%s", s->name, s->ns);
        if (names_builder_put(names, gs_slice_str(host), s->port, i) != GS_E_OK ||
            names_builder_put(names, gs_slice_str(s->name), s->port, i) != GS_E_OK)
            fail("a service twice");
    }
    snapshot_publish(node.hub, blobs, node.count, names_build(names));
    node.published = node.count;
    gs_loop_arm(node.loop, &node.reap, 100);
    node.count = 0;
    memset(node.services, 0, sizeof(node.services));
}

static void
on_reap(struct gs_timer *t)
{
    snapshot_reap(node.hub);
    slots_reap(node.slots);
    if (snapshot_live_roots(node.hub) > 1)
        gs_loop_arm(node.loop, t, 100);
}

/* ---- figures ---- */

static void
put_cell(struct json_out *j, const struct service *s, const struct subset *sub, bool inbound)
{
    struct stat_sum sum = { 0 };

    proxy_stat(node.proxy, inbound ? sub->stat_in : sub->stat_out, &sum);
    json_obj(j);
    json_kslice(j, "service", s->name);
    json_kslice(j, "subset", sub->name);
    json_kstr(j, "direction", inbound ? "inbound" : "outbound");
    json_ku64(j, "requests", sum.requests);
    json_ku64(j, "failed", sum.failed);
    json_ku64(j, "retries", stat_sum_retries(&sum));
    json_obj_end(j);
}

static void
stat_out(void)
{
    const struct snapshot *root = snapshot_current(node.hub);
    struct proxy_counters c;
    struct json_out j;
    struct gs_buf out;

    gs_buf_init(&out, 1u << 20);
    proxy_counters(node.proxy, &c);
    json_init(&j, &out);
    json_obj(&j);
    json_key(&j, "counters");
    json_obj(&j);
#define X(type, field, name, help) json_ku64(&j, #field, c.field);
#include <gossamer/metrics.def>
#undef X
    json_obj_end(&j);
    json_key(&j, "retries");
    json_obj(&j);
    for (unsigned i = 0; i < RETRY_CAUSES; i++)
        json_ku64(&j, retry_cause_text((enum retry_cause)i), c.retries[i]);
    json_obj_end(&j);
    json_key(&j, "refused");
    json_obj(&j);
    for (unsigned i = 1; i < REASON_COUNT; i++) {
        if (c.refused[i] > 0)
            json_ku64(&j, reason_info((enum reason)i)->name, c.refused[i]);
    }
    json_obj_end(&j);
    json_key(&j, "cells");
    json_arr(&j);
    for (uint32_t i = 0; i < root->service_count; i++) {
        for (uint32_t k = 0; k < root->services[i]->subset_count; k++) {
            put_cell(&j, root->services[i], &root->services[i]->subsets[k], false);
            put_cell(&j, root->services[i], &root->services[i]->subsets[k], true);
        }
    }
    json_arr_end(&j);
    json_obj_end(&j);
    printf("%s\n", gs_buf_cstr(&out));
    gs_buf_fini(&out);
}

/* ---- commands ---- */

static void
on_drained(void *arg)
{
    (void)arg;
    gs_loop_disarm(node.loop, &node.reap);
    stream_close(node.input);
    gs_signal_close(node.term);
    gs_loop_stop(node.loop);
}

static void
drain(void)
{
    if (node.draining)
        return;
    node.draining = true;
    proxy_drain(node.proxy, node.loop, on_drained, NULL);
}

static struct gs_addr
addr_of(const char *text)
{
    struct gs_addr a;

    if (gs_addr_parse(&a, gs_slice_str(text), NULL) != GS_E_OK)
        fail(text);
    return a;
}

static uint32_t
number(const char *text)
{
    uint64_t n;

    if (!gs_slice_to_u64(gs_slice_str(text), &n))
        fail(text);
    return (uint32_t)n;
}

static void
add_share(struct spec_service *s, char *const w[], bool other)
{
    struct spec_share *share = &s->shares[s->share_count++];

    if (other) {
        copy(share->ns, w[1]);
        copy(share->name, w[2]);
        share->port = (uint16_t)number(w[3]);
        share->weight = number(w[4]);
    } else {
        copy(share->subset, w[1]);
        share->weight = number(w[2]);
    }
}

static bool
describe(char *const w[], unsigned n)
{
    struct spec_service *s = node.count > 0 ? &node.services[node.count - 1] : NULL;

    if (strcmp(w[0], "service") == 0 && n == 4 && node.count < ITEMS_MAX) {
        s = &node.services[node.count++];
        copy(s->ns, w[1]);
        copy(s->name, w[2]);
        s->port = (uint16_t)number(w[3]);
    } else if (s && strcmp(w[0], "endpoint") == 0 && (n == 4 || n == 5) &&
               s->endpoint_count < ITEMS_MAX) {
        struct spec_endpoint *e = &s->endpoints[s->endpoint_count++];

        e->addr = addr_of(w[1]);
        copy(e->node, w[2]);
        copy(e->subset, w[3]);
        if (n == 5)
            e->mesh = addr_of(w[4]);
    } else if (s && s->share_count < ITEMS_MAX &&
               ((strcmp(w[0], "weight") == 0 && n == 3) || (strcmp(w[0], "to") == 0 && n == 5))) {
        add_share(s, w, w[0][0] == 't');
    } else {
        return false;
    }
    return true;
}

static void
command(char *line)
{
    char *w[WORDS_MAX] = { NULL };
    unsigned n = 0;
    char *rest = line;

    for (char *word; n < WORDS_MAX && (word = strsep(&rest, " "));) {
        if (*word)
            w[n++] = word;
    }
    if (n == 0)
        return;
    if (strcmp(w[0], "stat") == 0)
        stat_out();
    else if (strcmp(w[0], "drain") == 0)
        drain();
    else if (strcmp(w[0], "publish") == 0)
        publish();
    else if (strcmp(w[0], "standing") == 0 && n == 2)
        proxy_set_standing(node.proxy, w[1][0] == 'c' ? PROXY_CLOSED : PROXY_OPEN);
    else if (!describe(w, n))
        fail(w[0]);
    if (strcmp(w[0], "stat") != 0)
        printf("ok\n");
    fflush(stdout);
}

static size_t
input_room(void *sink)
{
    (void)sink;
    return 65536;
}

static void
input_data(void *sink, struct gs_slice bytes)
{
    (void)sink;
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.ptr[i] != '\n') {
            gs_buf_put(&node.line, &bytes.ptr[i], 1);
            continue;
        }
        command((char *)(uintptr_t)gs_buf_cstr(&node.line));
        gs_buf_clear(&node.line);
    }
}

static void
input_ended(void *sink, enum stream_end how)
{
    (void)sink;
    (void)how;
    drain(); /* who started us is gone */
}

static void
input_nothing(void *sink)
{
    (void)sink;
}

static const struct stream_sink_ops input_ops = { input_room,    input_data, input_ended,
                                                  input_nothing, NULL,       input_nothing };

static void
on_term(void *arg, int signum)
{
    (void)arg;
    (void)signum;
    drain();
}

static void
start(int argc, char **argv)
{
    uint32_t workers = number(argv[2]);
    struct proxy_options o = { .callers = node.callers,
                               .caller_count = 1,
                               .inbound = addr_of(argv[4]),
                               .workers = workers,
                               .node = argv[1],
                               .seed = gs_rng_seed_from_system() };
    struct snapshot_timeouts timeouts = { .connect_ms = 1000,
                                          .head_ms = 10000,
                                          .body_idle_ms = 60000,
                                          .drain_ms = 5000,
                                          .idle_ms = 60000 };
    struct gs_why why = { "" };

    node.callers[0] = (struct proxy_caller){ argv[1], addr_of(argv[3]) };
    for (int i = 5; i + 1 < argc && o.caller_count < ITEMS_MAX; i += 2)
        node.callers[o.caller_count++] = (struct proxy_caller){ argv[i], addr_of(argv[i + 1]) };
    node.slots = slots_new();
    node.hub = snapshot_hub_new(node.slots, workers);
    (void)snapshot_set_timeouts(node.hub, &timeouts);
    o.hub = node.hub;
    if (proxy_start(&o, &node.proxy, &why) != GS_E_OK)
        fail(why.text);
}

int
main(int argc, char **argv)
{
    if (argc < 5 || argc % 2 == 0)
        fail("usage: mesh_node NAME WORKERS OUTBOUND INBOUND [CALLER OUTBOUND]...");
    signal(SIGPIPE, SIG_IGN);
    node.loop = gs_loop_new("control", 1);
    gs_timer_init(&node.reap, on_reap);
    gs_buf_init(&node.line, 4096);
    node.input = stream_tcp_accept(node.loop, dup(STDIN_FILENO), &input_ops, NULL);
    if (!node.input)
        fail("standard input is no socket");
    node.term = gs_signal_watch(node.loop, SIGTERM, on_term, NULL);
    start(argc, argv);
    printf("ok\n");
    fflush(stdout);
    gs_loop_run(node.loop);
    proxy_free(node.proxy);
    snapshot_hub_free(node.hub);
    slots_free(node.slots);
    gs_buf_fini(&node.line);
    gs_loop_free(node.loop);
    return 0;
}
