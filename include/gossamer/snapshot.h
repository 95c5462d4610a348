/* snapshot.h - all the data path knows of the mesh: one immutable root over per-service blobs that
 * versions share. Built and freed by the control thread, read by workers without a lock.
 *
 *     snapshot (root, seq 41) ──▶ names        host text -> service id    (rarely rebuilt)
 *        │ pins per worker    └─▶ services[id] ──▶ rules ──▶ backends {service id, subset}
 *        │                                     └─▶ subsets ──▶ endpoints ──▶ slot number
 *        └─▶ slots: node-wide atomics per endpoint, an array that never moves
 *
 * Pins. A worker publishes the seq it routes by (`adopted`) between two turns. An exchange counts
 * itself into its own worker's counter of the root it was routed by, until no retry is possible. A
 * root is freed once every worker has adopted a later one and all its counters are 0. */
#pragma once

#include <regex.h>
#include <stdatomic.h>

#include <gossamer/addr.h>
#include <gossamer/arena.h>
#include <gossamer/limits.h>
#include <gossamer/slice.h>
#include <gossamer/version.h>

/* ---- slots: what outlives a snapshot about one endpoint ---- */

struct slot {                    /* one cache line; relaxed atomics, any worker */
    _Atomic uint32_t generation; /* odd while in use */
    _Atomic uint32_t active;     /* exchanges on it now, node-wide */
    _Atomic uint32_t pending;    /* of these, waiting for a connection */
    _Atomic uint32_t pooled;     /* connections held by pools */
    _Atomic uint64_t faults;     /* in a row, by kind (proxy/outlier.c); 0: the last went well */
    _Atomic uint64_t ejection;   /* 0: it is used; else see below */
    _Atomic uint64_t readmitted_ms;
    _Atomic uint64_t succeeded_ms; /* last answer that was no failure; 0: none yet */
    _Atomic uint32_t panics;       /* times it was used for want of a better one */
    _Atomic uint32_t ejections;    /* in a row; one is forgiven for each interval of good service */
    uint32_t roots;                /* control thread: live blobs that list it */
    uint8_t listed;                /* control thread: has an owner key */
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct slot) == 64, "a slot is one cache line");

/* slot.ejection: until when it is out, in ms, x 4, and why: its own faults; or a request tries it
 * out now, and nobody else does so meanwhile. */
enum { EJECTION_OUT = 1, EJECTION_TRIED = 2 };
static inline uint64_t
ejection_until_ms(uint64_t ejection)
{
    return ejection >> 2;
}
static inline uint64_t
ejection_word(uint64_t until_ms, unsigned state)
{
    return until_ms << 2 | state;
}

struct slots;
struct stat_names;
struct slots *slots_new(void);
void slots_free(struct slots *s);
/* The slot of an endpoint key (service, owner, address): the one it has, or a free one.
 * Control thread. GS_E_LIMIT when all are taken. */
gs_err slots_get(struct slots *s, struct gs_slice key, uint32_t *slot) GS_MUST_CHECK;
void slots_ref(struct slots *s, uint32_t slot);   /* a blob lists it */
void slots_unref(struct slots *s, uint32_t slot); /* that blob is gone */
void slots_reap(struct slots *s); /* give back those with no blob, no active, no pooled */
size_t slots_used(const struct slots *s);
struct slot *slots_at(const struct slots *s, uint32_t slot);
/* If it is out, its time is over: the next request tries it. */
void slots_let_try(const struct slots *s, uint32_t slot, uint64_t now_ms);

/* ---- blobs ---- */

enum endpoint_tier { TIER_HEALTHY, TIER_UNHEALTHY, TIER_DRAINING, TIER_LOST, TIER_PENDING };

struct endpoint_word { /* of operators, as texts; empty: nobody said so */
    bool closed;       /* the whole service is drained */
    struct gs_slice drained_by, weighed_by;
};

struct endpoint {
    struct gs_addr addr;
    uint32_t slot;
    uint32_t generation; /* of the slot when the blob was built */
    enum endpoint_tier tier;
    bool local;      /* an instance of this node: the inbound stage runs in process */
    uint16_t weight; /* percent of the ordinary; 0: an operator wants no new request there */
    const struct endpoint_word *word; /* of operators, for people; NULL: none */
    /* Where it is reached, when it is not local. The slot's key must name the owner then: two nodes
     * may publish the same address. */
    struct gs_id owner;      /* the node that hosts it */
    struct gs_addr mesh;     /* where that node takes mesh connections; family 0: not known */
    struct gs_slice service; /* "NS/NAME:PORT", for gossamer-service */
    struct gs_slice node, zone;
    const struct label {
        struct gs_slice name, value;
    } * labels;
    uint32_t label_count;
};

/* When an endpoint that fails is left out for a while (DestinationRule outlierDetection). */
struct outlier_policy {
    uint32_t errors_5xx, errors_gateway, errors_local; /* in a row; 0: these eject nobody */
    bool split;                  /* connects, resets and timeouts are errors_local's alone */
    uint64_t interval_ms;        /* of good service, that makes one ejection less */
    uint64_t base_ms;            /* how long, times the ejections in a row */
    uint32_t max_percent;        /* of a subset are out at once, or one; never all */
    uint32_t min_health_percent; /* with fewer left than that, nobody is out; 0: whatever is left */
};
extern const struct outlier_policy outlier_policy_default; /* where there is none */

#define SUBSET_ALL 0 /* subsets[0] holds every endpoint and has an empty name */

struct subset {
    struct gs_slice name;
    const struct endpoint *const *endpoints; /* those to choose from: best tier that has any */
    uint32_t count;
    /* Where weights differ, how much those up to each weigh together; NULL: they are all alike. */
    const uint32_t *upto;
    bool panic;                           /* no healthy one: these are unhealthy but alive */
    const struct endpoint *const *others; /* the rest, which no request is sent to; for people */
    uint32_t other_count;
    const struct outlier_policy *outliers; /* NULL: outlier_policy_default */
    uint32_t stat_out, stat_in;            /* cells */
};

enum match_kind { MATCH_ANY, MATCH_EXACT, MATCH_PREFIX, MATCH_REGEX, MATCH_PRESENT };

struct text_match {
    enum match_kind kind;
    bool ignore_case;
    struct gs_slice text;
    regex_t *regex; /* MATCH_REGEX: whole value, POSIX extended; freed with the blob */
};

struct field_match {
    struct gs_slice name; /* lower case */
    struct text_match value;
};

struct route_match {
    struct gs_slice name;  /* may be empty */
    struct text_match uri; /* path without the query */
    const struct field_match *fields;
    uint32_t field_count;
};

struct route_backend {
    uint32_t service; /* id in the root; UINT32_MAX: a host nobody knows */
    uint32_t subset;  /* index there; UINT32_MAX: not defined there (empty) */
    uint32_t weight;
    struct gs_slice host, subset_name; /* for people */
};

struct route_rule {
    struct gs_slice name;
    const struct route_match *matches; /* one of them; none: every request */
    uint32_t match_count;
    const struct route_backend *backends;
    uint32_t backend_count;
    uint64_t weight_total;
    uint64_t timeout_ms; /* from the head to the whole answer, all attempts; 0: none */
};

struct service { /* one (namespace, name, port) */
    uint32_t id;
    struct gs_slice ns, name;
    uint16_t port;
    const struct route_rule *rules; /* first match; none at all: every request to SUBSET_ALL */
    uint32_t rule_count;
    bool has_policy;        /* rules hold even if there are none that match: 404 */
    struct gs_slice policy; /* "VirtualService ai/tools 3.187f.a1": for explain */
    const struct subset *subsets;
    uint32_t subset_count;
    const struct endpoint *endpoints;
    uint32_t endpoint_count;
};

struct names; /* host text -> service id */

struct snapshot_timeouts { /* of the node's configuration; 0: none */
    uint64_t connect_ms, head_ms, body_idle_ms, response_ms, idle_ms, drain_ms;
};

struct snapshot_pin {
    _Atomic uint64_t count; /* written by its worker alone */
} __attribute__((aligned(64)));

struct snapshot {
    uint64_t seq;
    const struct names *names;
    const struct service *const *services; /* by id; NULL where none */
    uint32_t service_count;
    struct slots *slots;
    struct snapshot_timeouts timeouts;
    uint32_t workers;
    struct snapshot_pin pins[];
};

/* The service that a host and port mean, NULL if none. host: lower case, no port. */
const struct service *snapshot_find(const struct snapshot *s, struct gs_slice host, uint16_t port);
static inline const struct service *
snapshot_service(const struct snapshot *s, uint32_t id)
{
    return id < s->service_count ? s->services[id] : NULL;
}
/* Index of a subset by name, UINT32_MAX if there is none. */
uint32_t service_subset(const struct service *s, struct gs_slice name);

/* ---- building (control thread) ---- */

/* A blob in the making: allocate everything from `arena`, then hand it to snapshot_root_put. */
struct service_blob {
    struct service service; /* first: workers see only this */
    struct gs_arena arena;
    uint32_t roots; /* live roots that list it */
    struct slots *slots;
    struct stat_names *stat_names;
};

/* names: NULL if no cell of it is to be kept. */
struct service_blob *service_blob_new(struct slots *slots, struct stat_names *names);
/* Takes a reference for the slot of each endpoint and the cells of each subset; call once when the
 * blob is filled. */
void service_blob_seal(struct service_blob *b);
void service_blob_free(struct service_blob *b); /* never listed by a root, or no longer */

struct names_builder;
struct names_builder *names_builder_new(void);
/* The first to claim a (host, port) keeps it: GS_E_EXISTS for the others. host is lowered. */
gs_err names_builder_put(struct names_builder *b, struct gs_slice host, uint16_t port,
                         uint32_t service);
struct names *names_build(struct names_builder *b); /* frees the builder */

struct snapshot_hub; /* the published root, all live ones, and who has adopted what */
struct snapshot_hub *snapshot_hub_new(struct slots *slots, uint32_t workers);
void snapshot_hub_free(struct snapshot_hub *h); /* workers have stopped */
/* Called after each publish, to wake worker `w`. */
void snapshot_hub_on_publish(struct snapshot_hub *h, void (*wake)(void *arg, uint32_t w),
                             void *arg);
/* Publish a new root. blobs: by id, NULL where none; names: NULL keeps the present table. Blobs
 * that no live root lists any more are freed by a later reap. Returns its seq. */
uint64_t snapshot_publish(struct snapshot_hub *h, struct service_blob *const *blobs, uint32_t count,
                          struct names *names);
/* Publish a root that differs from the present one in these; all later ones have them, too. */
uint64_t snapshot_set_timeouts(struct snapshot_hub *h, const struct snapshot_timeouts *t);
void snapshot_reap(struct snapshot_hub *h); /* free what nobody can see */
const struct snapshot *snapshot_current(const struct snapshot_hub *h);
uint64_t snapshot_adopted_by_all(const struct snapshot_hub *h); /* least seq of the workers */
size_t snapshot_live_roots(const struct snapshot_hub *h);

/* ---- worker side ---- */

/* Between two turns: the root to route by from now on. */
struct snapshot *snapshot_adopt(struct snapshot_hub *h, uint32_t worker);
static inline void
snapshot_pin(struct snapshot *s, uint32_t worker)
{
    _Atomic uint64_t *c = &s->pins[worker].count;

    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}
static inline void
snapshot_unpin(struct snapshot *s, uint32_t worker)
{
    _Atomic uint64_t *c = &s->pins[worker].count;
    uint64_t n = atomic_load_explicit(c, memory_order_relaxed);

    GS_ASSERT(n > 0);
    atomic_store_explicit(c, n - 1, memory_order_release);
}
