/* node_proxy.c - the data plane's options, out of the configuration. */
#include "mesh/node_proxy.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gossamer/alloc.h>
#include <gossamer/proxy.h>

#include "mesh/admin.h"
#include "mesh/config/config.h"
#include "mesh/meshcall.h"
#include "mesh/port_owner.h"

struct caller_name {
    struct caller_name *next;
    char text[];
};

struct node_proxy {
    struct node *node;
    struct proxy_caller *callers; /* in the arena */
    struct caller_name *names;    /* in the arena: of all times, each once */
    struct gs_arena arena;
};

/* ---- callers ---- */

static void
explain_proxy_port(struct node_proxy *p, uint32_t callers, struct gs_why *why)
{
    const struct gs_addr *addr = &p->node->config->proxy.inbound;
    const char *key = "proxy.inbound";
    char text[GS_ADDR_TEXT];
    size_t len = strlen(why->text);

    for (uint32_t i = 0; i < callers; i++) {
        if (!strstr(why->text, gs_addr_text(&p->callers[i].outbound, text)))
            continue;
        addr = &p->callers[i].outbound;
        key = i == 0 ? "proxy.outbound" : "services[].outbound";
    }
    if (len + 2 < sizeof(why->text))
        memcpy(why->text + len, ": ", 3);
    port_owner_explain(addr, key, why);
}

/* Kept as long as the proxy: a worker may be reading the former name of a caller. */
static const char *
keep_name(struct node_proxy *p, const char *first, const char *second)
{
    size_t len = strlen(first) + strlen(second) + 2;
    struct caller_name *n = gs_arena_alloc(&p->arena, sizeof(*n) + len);

    (void)snprintf(n->text, len, "%s/%s", first, second);
    for (const struct caller_name *at = p->names; at; at = at->next) {
        if (strcmp(at->text, n->text) == 0)
            return at->text;
    }
    n->next = p->names;
    p->names = n;
    return n->text;
}

static const char *
service_caller(struct node_proxy *p, const struct config_service *s)
{
    return keep_name(p, s->ns, s->name);
}

/* Until there are certificates: who comes in by a service's own outbound listener is that service;
 * else the only service of a node that hosts one; else the node. */
static const char *
first_caller(struct node_proxy *p)
{
    const struct config *c = p->node->config;

    return c->services.count == 1 ? service_caller(p, &c->services.items[0])
                                  : keep_name(p, "node", c->node);
}

void
node_proxy_name_callers(struct node_proxy *p)
{
    if (p)
        atomic_store(&p->callers[0].name, first_caller(p));
}

/* Returns how many there are. */
static uint32_t
make_callers(struct node_proxy *p)
{
    const struct config *c = p->node->config;
    uint32_t n = 1;

    p->callers = gs_arena_zalloc(&p->arena, (c->services.count + 1) * sizeof(*p->callers));
    p->callers[0].outbound = c->proxy.outbound;
    p->callers[0].name = first_caller(p);
    for (size_t i = 0; i < c->services.count; i++) {
        const struct config_service *s = &c->services.items[i];

        if (s->outbound.family != 0)
            p->callers[n++] = (struct proxy_caller){ service_caller(p, s), s->outbound };
    }
    return n;
}

/* ---- doors ---- */

static gs_err
open_pair(int *ours, int *theirs, struct gs_why *why)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
        return gs_refuse(why, GS_E_IO, "cannot make a socket pair: %s", strerror(errno));
    *ours = fds[0];
    *theirs = fds[1];
    return GS_E_OK;
}

/* theirs: one for each worker's questions of other nodes, one for ours. */
static gs_err
open_doors(const struct node_proxy_options *o, int *theirs, struct gs_why *why)
{
    gs_err e = GS_E_OK;
    uint32_t n = 0;
    int ours = -1;

    while (n <= o->workers && (e = open_pair(&ours, &theirs[n], why)) == GS_E_OK) {
        if (n < o->workers)
            admin_serve_peers(o->admin, ours);
        else
            o->node->calls = meshcalls_new(o->node->loop, ours);
        n++;
    }
    while (e != GS_E_OK && n > 0)
        close(theirs[--n]);
    return e;
}

/* ---- start ---- */

static gs_err
start(struct node_proxy *p, const struct node_proxy_options *options, const int *doors,
      struct gs_why *why)
{
    struct node *n = p->node;
    const struct config *c = n->config;
    struct proxy_options o = { .caller_count = make_callers(p),
                               .inbound = c->proxy.inbound,
                               .standing =
                                   gs_fsm_is(&n->phase, NODE_READY) ? PROXY_OPEN : PROXY_CLOSED,
                               .doors = doors,
                               .workers = options->workers,
                               .shared = options->one_thread ? n->loop : NULL,
                               .hub = n->hub,
                               .ejections = options->ejections,
                               .doubts = options->doubts,
                               .node = c->node,
                               .id = n->id,
                               .seed = gs_rng_seed_from_system() };
    gs_err e;

    o.callers = p->callers;
    e = proxy_start(&o, &n->proxy, why);
    if (e == GS_E_IN_USE)
        explain_proxy_port(p, o.caller_count, why);
    return e;
}

gs_err
node_proxy_start(const struct node_proxy_options *o, struct node_proxy **out, struct gs_why *why)
{
    struct node_proxy *p = gs_zalloc(sizeof(*p));
    int doors[WORKERS_MAX + 1];
    gs_err e;

    p->node = o->node;
    gs_arena_init(&p->arena, NULL, 0, 1024);
    *out = p;
    e = open_doors(o, doors, why);
    return e == GS_E_OK ? start(p, o, doors, why) : e;
}

void
node_proxy_cut(struct node *n, const struct gs_id *nodes, size_t count)
{
    if (n->proxy)
        proxy_set_cuts(n->proxy, nodes, count);
}

void
node_proxy_set_timeouts(struct node *n)
{
    const struct config *c = n->config;

    (void)snapshot_set_timeouts(
        n->hub, &(struct snapshot_timeouts){ .connect_ms = c->timeouts.connect_ms,
                                             .head_ms = c->timeouts.head_ms,
                                             .body_idle_ms = c->timeouts.body_idle_ms,
                                             .response_ms = c->timeouts.response_ms,
                                             .idle_ms = c->timeouts.idle_ms,
                                             .drain_ms = c->timeouts.drain_ms });
}

void
node_proxy_drain(struct node_proxy *p, void (*done)(void *arg), void *arg)
{
    proxy_drain(p->node->proxy, p->node->loop, done, arg);
}

uint64_t
node_proxy_refused(const struct node_proxy *p)
{
    struct proxy_counters c;

    proxy_counters(p ? p->node->proxy : NULL, &c);
    return c.mesh_closed_standing;
}

void
node_proxy_hurry(struct node_proxy *p)
{
    proxy_hurry(p->node->proxy);
}

void
node_proxy_free(struct node_proxy *p)
{
    if (!p)
        return;
    proxy_free(p->node->proxy);
    meshcalls_free(p->node->calls);
    gs_arena_fini(&p->arena);
    gs_free(p);
}
