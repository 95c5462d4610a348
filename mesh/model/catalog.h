/* catalog.h - the state of a struct model: services and their instances on one side, policy
 * objects on the other. model.c is the door, these are the rooms. */
#pragma once

#include <gossamer/buf.h>
#include <gossamer/list.h>

#include "mesh/model/endpoints.h"
#include "mesh/model/maint.h"

/* ---- services, nodes, and what each of these has of those ----
 *
 *     catalog ─▶ service ─▶ offers[]: own first, then by the owner's id
 *        │                     │ ▲
 *        └────▶ owner ─────────┴─┘  one offer per (service, owner), with its instances
 *
 * A service is there as long as somebody offers it. */

struct catalog_service;

struct catalog_owner { /* a node that has services, or might */
    struct gs_id id;
    struct gs_slice name, zone; /* of texts; a node nobody told us of is called by its id */
    struct gs_addr mesh;
    uint64_t revision; /* of all that blobs show of it; no two are ever the same */
    uint64_t boot;     /* 0: not known */
    enum model_node_state state;
    uint64_t withdraw_ms; /* when its endpoints go; UINT64_MAX while nothing is decided */
    bool withdrawn;       /* that moment has come, or it has left */
    bool told;            /* by model_set_node; else it is here for its records alone */
    bool self;            /* this node */
    struct gs_list offers;
    char *texts;
};

#define CATALOG_NO_SLOT UINT32_MAX

struct catalog_instance {
    struct gs_addr addr;
    const struct label *labels;
    uint32_t label_count;
    uint32_t slot;           /* in the present blob; CATALOG_NO_SLOT: it is not in it */
    enum endpoint_tier said; /* by its owner */
    enum endpoint_tier tier; /* what it is used as, once settled */
    bool shown;              /* likewise: is it in the blob? */
    bool held;               /* traffic spoke against a worse tier */
    bool vouched;            /* its owner has just said that it is well */
    bool checked;            /* own ones: a check has ended, one way or the other */
    bool passed;             /* own ones: well, so it may be published */
    bool leaving;            /* own ones: draining, whatever its checks say */
};

struct catalog_offer {
    struct gs_list link; /* of its owner */
    struct catalog_owner *owner;
    struct catalog_service *service;
    struct gs_slice protocol;
    uint64_t content[2]; /* hash of what its owner says */
    uint64_t boot, seq;  /* of the record that says it; 0, 0: it is this node's */
    size_t count;
    struct catalog_instance instances[]; /* labels and texts are behind them */
};

struct catalog_service { /* one (namespace, name, port) */
    struct gs_slice ns, name;
    uint16_t port;
    uint32_t id; /* in the root */
    struct catalog_offer **offers;
    size_t offer_count, offer_cap;
    size_t shown;              /* endpoints, once settled */
    size_t left_out;           /* endpoints beyond SERVICE_ENDPOINTS_MAX */
    size_t slotless;           /* of those shown: not in the blob, for want of slots */
    uint64_t retry_ms;         /* when to settle again; UINT64_MAX: only after a change */
    struct service_blob *blob; /* as last built; NULL before */
    uint64_t plan[2];          /* hash of all that the blob was built from */
    bool dirty;                /* something in its offers changed */
    bool ruled;                /* there are objects under its names: other services matter to it */
    char texts[];
};

struct own_record { /* what was handed out for publishing */
    struct gs_slice key;
    uint64_t content[2];
    bool known;  /* content is what was handed out; else only that there is a record */
    bool there;  /* as far as we know, others see it */
    bool former; /* what others see was said by a former run, and nothing was instead since */
};

struct own {
    struct own_record *items; /* by key */
    size_t count, cap;
    size_t at;  /* where model_next_own() goes on */
    bool stale; /* something may differ */
    bool published, draining;
    struct gs_buf key, value; /* handed out */
};

struct catalog {
    struct catalog_service **items; /* by namespace, name, port */
    size_t count, cap;
    struct catalog_service **by_id; /* NULL where none */
    uint32_t id_cap;
    uint32_t id_free;                /* no id below is free */
    struct catalog_service **dotted; /* those whose name holds a dot, by name, namespace, port */
    size_t dotted_count, dotted_cap;
    struct catalog_owner *self;
    struct catalog_owner **owners; /* the others, by id */
    size_t owner_count, owner_cap;
    struct own own;
    uint64_t revision;       /* the last one given out */
    uint64_t retry_ms;       /* no service is to be settled again before */
    uint64_t withdraw_ms;    /* no endpoints are withdrawn before */
    uint64_t held, unusable; /* as in struct model_counters */
    bool changed;            /* services came or went since the last flush */
    bool dirty;              /* some service is */
};

/* catalog.c: services by name */

void catalog_init(struct catalog *c, const struct model_options *o);
void catalog_fini(struct catalog *c); /* blobs belong to the snapshot hub by then */
struct catalog_service *catalog_find(const struct catalog *c, struct gs_slice ns,
                                     struct gs_slice name, uint16_t port);
/* Found or made; NULL when there are SERVICES_MAX. */
struct catalog_service *catalog_get(struct catalog *c, const struct endpoints_key *k);
/* It goes if nobody offers it any more. */
void catalog_drop_unoffered(struct catalog *c, struct catalog_service *s);
void catalog_mark(struct catalog *c, struct catalog_service *s); /* it is dirty */
void catalog_check(const struct catalog *c);

struct catalog_at { /* zeroed to start */
    size_t offer, instance;
};
/* Every endpoint that is shown, offer by offer; NULL at the end. */
struct catalog_instance *catalog_next(const struct catalog_service *s, struct catalog_at *at,
                                      const struct catalog_offer **offer);

/* owners.c: nodes */

struct catalog_owner *owners_new(struct catalog *c, const struct gs_id *id);
void owners_free(struct catalog_owner *o);
void owners_name(struct catalog_owner *o, struct gs_slice name, struct gs_slice zone);
struct catalog_owner *owners_find(const struct catalog *c, const struct gs_id *id);
struct catalog_owner *owners_get(struct catalog *c, const struct gs_id *id); /* found or made */
void owners_set(struct catalog *c, uint64_t now_ms, const struct model_node *n);
void owners_remove(struct catalog *c, const struct gs_id *id);
/* One that is here for its records alone goes with the last of them. */
void owners_drop_idle(struct catalog *c, struct catalog_owner *o);
/* Mark what is to be withdrawn by now. */
void owners_tick(struct catalog *c, uint64_t now_ms);

/* offers.c: who has what, and how good it is */

struct catalog_offer *offers_find(const struct catalog_service *s, const struct catalog_owner *o);
/* What is known of instances that stay is kept. `e` is copied; value is its encoding. */
struct catalog_offer *offers_put(struct catalog *c, struct catalog_owner *o,
                                 struct catalog_service *s, const struct endpoints *e,
                                 struct gs_slice value);
/* The service goes with its last offer. */
void offers_remove(struct catalog *c, struct catalog_offer *offer);
gs_err offers_on_record(struct catalog *c, const struct model_record *r, struct gs_why *why);
/* Decide tiers and what is shown. */
void offers_settle(struct catalog *c, struct catalog_service *s, const struct slots *slots,
                   uint64_t now_ms);
/* What most of its owners say that it speaks; of equally many the first by alphabet, so that all
 * nodes say the same. *other: somebody says something else (may be NULL). */
struct gs_slice offers_protocol(const struct catalog_service *s,
                                const struct catalog_offer **other);

/* own.c: what this node has, and what it publishes of it */

gs_err own_put(struct catalog *c, const struct model_service *s, struct gs_why *why);
gs_err own_check(struct catalog *c, const struct model_service *s, struct gs_why *why);
void own_remove(struct catalog *c, const struct endpoints_key *k);
gs_err own_set_health(struct catalog *c, const struct endpoints_key *k, const struct gs_addr *addr,
                      enum endpoint_tier tier);
void own_heard(struct catalog *c, const struct model_record *r); /* one of ours came back */
bool own_next(struct catalog *c, struct model_own *out);
void own_fini(struct own *w);
void own_set_published(struct own *w, bool published);
void own_set_draining(struct own *w);

/* ---- hosts (catalog.c) ---- */

/* The services, one per port, that a canonical host means: a run of `items`, empty if nobody has
 * it. near_ns decides when a name with dots exists in several namespaces. */
struct catalog_run {
    struct catalog_service *const *items;
    size_t count;
};
struct catalog_run catalog_host(const struct catalog *c, struct gs_slice canonical,
                                struct gs_slice near_ns);
/* Of a run the one for a port. port 0: the same port as the request's, else the only one. */
struct catalog_service *catalog_port(struct catalog_run run, uint16_t port, uint16_t request_port);
bool catalog_selects(const struct policy_pair *wanted, size_t count, const struct label *labels,
                     uint32_t label_count);

/* ---- policy objects (objects.c) ---- */

struct object_version { /* shared by `latest` and `active`; never changes */
    struct gs_arena arena;
    unsigned refs;
    struct policy_object *object; /* NULL: deleted, or not usable here */
    struct gs_slice value;        /* as in the record */
    struct gs_version version;
    uint64_t born_hlc;
    uint64_t transaction;
    uint32_t transaction_count;
    struct gs_digest hash;
    bool deleted;
    const char *rejected; /* why it is not usable, NULL if it is */
    /* Canonical hosts. VirtualService: its hosts, then those of its destinations, in order.
     * DestinationRule: its host. */
    struct gs_slice *hosts;
    size_t host_count;
};

struct object {
    struct gs_slice key;
    enum policy_kind kind;
    struct gs_slice ns, name;      /* parts of key */
    struct object_version *latest; /* NULL only while restored and not heard of yet */
    struct object_version *active; /* NULL: nothing */
    enum model_state state;
    char why[256];
    char key_bytes[];
};

struct object_host { /* an active object under one of its hosts */
    struct gs_slice host;
    const struct object *o;
};

struct object_index { /* sorted by host, then by who comes first */
    struct object_host *items;
    size_t count, cap;
};

struct transaction {
    uint64_t id;
    struct gs_arena arena;
    struct model_member *members;
    size_t count;
};

struct objects {
    struct object **items; /* by key; deleted ones stay until they are too many */
    size_t count, cap;
    struct transaction *transactions;
    size_t transaction_count, transaction_cap;
    struct object_index virtual_services, destination_rules; /* active ones */
    struct maint_set maintenances;                           /* likewise */
    bool changed;  /* records came since the last settle */
    bool activity; /* what is active changed since the last flush */
};

void objects_init(struct objects *s);
void objects_fini(struct objects *s);
gs_err objects_on_record(struct objects *s, const struct model_record *r, struct gs_why *why);
void objects_on_transaction(struct objects *s, uint64_t id, const struct model_member *members,
                            size_t count);
/* Decide what is active; returns how many objects changed in that. */
uint32_t objects_settle(struct objects *s);
gs_err objects_restore(struct objects *s, struct gs_slice bytes, struct gs_why *why);
bool objects_next_frame(const struct objects *s, size_t *at, struct gs_buf *out);
struct object *objects_find(const struct objects *s, struct gs_slice key);
/* Is the object there, as an operator sees it? */
bool object_exists(const struct object *o);
void object_view(const struct object *o, struct model_object *out);
/* Both active. Negative: a comes first. Upstream asks for creation time, then name, then
 * namespace. */
int object_precedence(const struct object *a, const struct object *b);

/* All entries of a host, first one first. */
struct object_run {
    const struct object_host *items;
    size_t count;
};
struct object_run objects_of_host(const struct object_index *i, struct gs_slice host);
/* Does an active DestinationRule anywhere define that subset of that canonical host? */
bool objects_define(const struct objects *s, struct gs_slice host, struct gs_slice subset);

/* The canonical hosts of an object, in `arena` (see struct object_version). */
struct gs_slice *object_hosts(const struct policy_object *o, struct gs_arena *arena, size_t *count);

/* ---- the model ---- */

struct model {
    struct gs_arena arena; /* of the options' texts */
    struct model_options o;
    struct catalog catalog;
    struct objects objects;
    uint64_t seq;
    uint64_t now_ms; /* of the flush that is under way */
};

/* ---- what routing is made of (resolve.c) ---- */

/* The VirtualService that has the host of a service, NULL if none has. */
const struct object *resolve_policy(const struct model *m, const struct catalog_service *s);
/* The subsets of a service as this node sees them; `out` has room for SUBSETS_MAX. */
size_t resolve_subsets(const struct model *m, const struct catalog_service *s,
                       const struct dr_subset *out[SUBSETS_MAX]);

/* When endpoints of a subset are ejected (subset NULL: of the service). False: nobody has written
 * anything about it. */
bool resolve_outliers(const struct model *m, const struct catalog_service *s,
                      const struct dr_subset *subset, struct outlier_policy *out);

/* Are there active objects under a name of it? If not, no other service matters to its blob. */
bool resolve_is_ruled(const struct model *m, const struct catalog_service *s);

/* Does a canonical host, written in namespace ns, mean that service? */
bool resolve_means(const struct model *m, struct gs_slice host, struct gs_slice ns,
                   const struct catalog_service *s);

struct resolved {
    const struct catalog_service *service; /* NULL: nobody has that host, or not that port */
    uint32_t subset;                       /* index; UINT32_MAX: not defined there */
};
/* Where a destination leads. host: its canonical host. */
struct resolved resolve_destination(const struct model *m, const struct vs_destination *d,
                                    struct gs_slice host, struct gs_slice ns,
                                    uint16_t request_port);

/* ---- blobs (build.c, build_names.c) ---- */

/* A hash of everything the blob of s would be built from. */
void build_plan(const struct model *m, const struct catalog_service *s, uint64_t plan[2]);
/* The blob, sealed; its instances know their slots from then on. */
struct service_blob *build_blob(struct model *m, struct catalog_service *s);
struct names *build_names(const struct model *m);
