/* oracle.h - what must hold at every step, whatever was done to the mesh. The README says why each
 * must, and sim_bites.c proves that each can fail. */
#pragma once

#include <gossamer/gossip.h>

struct host;
struct world;

/* X(name, text) */
#define ORACLE_TABLE(X)                                                                            \
    X(SELF, "self")           /* boot and incarnation of a running process only rise */            \
    X(FUTURE, "future")       /* nobody believes more of a node than it ever said */               \
    X(DEATH, "death")         /* nobody buries the living */                                       \
    X(TOLD, "told")           /* who hears the events of a core knows what is in its table */      \
    X(BACKWARDS, "backwards") /* a key's version only rises on a node */                           \
    X(BOUNDS, "bounds")       /* queues are bounded, actions end, time passes */                   \
    X(LOST, "lost")           /* no acknowledged write is gone */                                  \
    X(VIEWS, "views")         /* at rest all agree who is there, and are right */                  \
    X(STORES, "stores")       /* at rest all hold the same records, and each owner's last word */  \
    X(CLOSED, "closed")       /* at rest everybody is open */                                      \
    X(QUIET, "quiet")         /* where nothing is done, nothing happens */                         \
    X(VACUOUS, "vacuous")     /* what the scenario promised to do was done */

enum oracle_kind {
#define X(name, text) ORACLE_##name,
    ORACLE_TABLE(X)
#undef X
        ORACLES
};

struct oracle {
    uint32_t failures[ORACLES];
    char first[256]; /* the first failure, for people */
    enum oracle_kind first_kind;
    bool failed;
    uint64_t check_every, steps;
    /* Deaths announced of hosts that were well, those who were not (any more), and truly so. */
    uint64_t false_deaths, excused_deaths, true_deaths;
    uint64_t restarts, forgotten; /* beliefs of others: that it restarts; that it is not there */
    uint32_t rumors_max, actions_max;
    uint64_t suspicions; /* of hosts that were well */
    bool quiet;          /* nothing is done, so nothing may happen */
};

const char *oracle_name(enum oracle_kind k);
void oracle_init(struct world *w);
void oracle_fail(struct world *w, enum oracle_kind k, const char *fmt, ...) GS_PRINTF(3, 4);
/* Something is done to h from now on until then (UINT64_MAX: until it is said otherwise): what
 * others think of it, and what it thinks of others, is excused for that long and a grace. */
void oracle_disturb(struct world *w, struct host *h, uint64_t until_ns);
bool oracle_is_well(const struct world *w, const struct host *h);
uint64_t oracle_grace_ns(const struct world *w);
/* Events of h's core. */
void oracle_on_node(struct world *w, struct host *h, const struct gossip_event *e);
void oracle_on_forgotten(struct world *w, struct host *h, const struct gossip_event *e);
void oracle_on_record(struct world *w, struct host *h, const struct gossip_event *e);
void oracle_on_conflict(struct world *w, struct host *h, const struct gossip_event *e);
/* What h says of itself may have changed. */
void oracle_on_self(struct world *w, struct host *h);
/* After a step that drained so many actions. */
void oracle_on_step(struct world *w, struct host *h, uint32_t actions);
