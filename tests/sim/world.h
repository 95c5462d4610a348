/* world.h - one run: the hosts, what lies between them, what is done to them and who watches.
 *
 *      scenario.c, chaos.c ──▶ fault.c, operator.c ──▶ host.c ◀──▶ the core (gossip.h)
 *                                                        │  ▲
 *                               actions of the core ─────▼  │ what arrives
 *                                                       net.c ◀──▶ queue.c
 *
 *      host.c after every step, and at the end ──▶ oracle.c, rest.c, ledger.c
 *
 * A run is a function of its options: nothing here looks at a clock, an address or the order of a
 * hash table. */
#pragma once

#include <gossamer/gossip.h>
#include <gossamer/rng.h>
#include <gossamer/seal.h>

#include "tests/sim/fault.h"
#include "tests/sim/host.h"
#include "tests/sim/ledger.h"
#include "tests/sim/net.h"
#include "tests/sim/operator.h"
#include "tests/sim/oracle.h"
#include "tests/sim/queue.h"
#include "tests/sim/races.h"
#include "tests/sim/tcp.h"
#include "tests/sim/trace.h"
#include "tests/sim/watch.h"

#define SIM_MS UINT64_C(1000000)
#define SIM_S UINT64_C(1000000000)
#define SIM_WALL_MS UINT64_C(1732000000000) /* what clocks that are right show at the start */
#define SIM_HOSTS_MAX 16384
#define SIM_PORT 4190

struct scenario;

struct world_options {
    const struct scenario *scenario;
    uint64_t seed;
    uint32_t hosts;   /* 0: the scenario's own number */
    uint32_t seconds; /* of the scenario proper, without the rest at the end; 0: its own */
    uint32_t masked;  /* 1 << enum fault: these do not happen, all else stays as it was */
    enum trace_level trace;
    FILE *out;       /* for figures and the trace; NULL: neither */
    bool keep_going; /* after a failure */
};

struct world {
    struct world_options options;
    uint64_t now_ns;
    uint64_t events;
    struct queue queue;
    struct trace trace;
    /* One stream of numbers per purpose, so that more of one thing does not shift another. */
    struct gs_rng topology, links, seeds, operators;
    struct gs_rng faults[FAULTS];

    struct seal_ring keys;
    struct host *hosts;
    uint32_t count;
    uint32_t seed_hosts; /* the first so many are everybody's addresses to join */
    uint32_t own_keys;   /* that a node publishes: its endpoints */
    struct net net;
    struct tcps tcp;
    struct fault_tally tally[FAULTS];
    struct ledger ledger;
    struct oracle oracle;
    struct watches watches;
    struct operator_pace pace;
    bool restless;          /* the operators work */
    bool over;              /* stop at the end of this event */
    struct samples views;   /* from some event until all knew all again */
    uint64_t begun_ns;      /* the scenario proper */
    uint64_t calm_since_ns; /* faults are off; UINT64_MAX before */
    uint64_t rested_ns;     /* how long it then took; UINT64_MAX: not yet */
};

struct world *world_new(const struct world_options *o);
void world_free(struct world *w);
/* Until then, or until it is over. */
void world_run(struct world *w, uint64_t until_ns);
void world_drop(struct world *w, struct event *e);
/* Call back at a time, once. */
void world_at(struct world *w, uint64_t at_ns, event_call call, uint64_t a, uint64_t b);
/* A stream of random numbers of its own. */
struct gs_rng world_rng(const struct world *w, const char *purpose);
uint32_t world_host_of(const struct world *w, const struct gs_id *id);        /* count: nobody's */
uint32_t world_host_at(const struct world *w, const struct gs_addr *address); /* likewise */

/* ---- chances ---- */

#define SIM_PPM 1000000u

bool chance(struct gs_rng *r, uint32_t ppm);
uint64_t between(struct gs_rng *r, uint64_t low, uint64_t high); /* both included */
