/* model.h - records and configuration in, snapshots out. Lives on the control thread; knows
 * neither gossip nor libuv.
 *
 *     model_set_service, model_set_health ──┐
 *     model_set_node, model_on_endpoints ───┼─▶ catalog ──model_flush──▶ snapshot_publish
 *     model_on_record, model_on_transaction ┘      └──model_next_own──▶ what this node publishes
 *
 * Between two flushes the data path sees nothing, so what arrived together is seen together.
 * Times are monotonic milliseconds, of the clock that workers write struct slot by. */
#pragma once

#include <gossamer/policy.h>
#include <gossamer/snapshot.h>

struct stat_names;
struct model;

struct model_options {
    struct gs_id id; /* of this node */
    struct gs_slice node, zone;
    struct gs_slice ns;      /* of this node: short names from applications mean it */
    struct gs_slice root_ns; /* whose DestinationRules hold where nobody has one */
    struct slots *slots;     /* these three outlive the model */
    struct snapshot_hub *hub;
    struct stat_names *stat_names;
};

struct model *model_new(const struct model_options *o); /* copies all texts */
void model_free(struct model *m);

/* ---- what this node hosts ---- */

struct model_instance {
    struct gs_addr addr;
    const struct policy_pair *labels;
    size_t label_count;
    bool leaving; /* on its way out: draining for everybody, this node included */
};

struct model_service {
    struct gs_slice ns, name; /* the name may hold dots */
    uint16_t port;            /* that callers use */
    struct gs_slice protocol; /* for people */
    const struct model_instance *instances;
    size_t instance_count;
};

/* Add or replace what this node has of a service (copied). Instances that stay keep their health,
 * new ones are pending. GS_E_LIMIT: SERVICES_MAX, SERVICE_ENDPOINTS_MAX or OBJECT_BYTES_MAX;
 * GS_E_INVALID: other nodes would not take it. */
gs_err model_set_service(struct model *m, const struct model_service *s, struct gs_why *why)
    GS_MUST_CHECK;
/* What model_set_service would say of it, but for SERVICES_MAX, without doing it. */
gs_err model_check_service(struct model *m, const struct model_service *s, struct gs_why *why)
    GS_MUST_CHECK;
void model_remove_service(struct model *m, struct gs_slice ns, struct gs_slice name, uint16_t port);
/* What a check of this node found. TIER_PENDING: it was checked, and never was well.
 * GS_E_NOT_FOUND: no such instance (it was removed meanwhile). */
gs_err model_set_health(struct model *m, struct gs_slice ns, struct gs_slice name, uint16_t port,
                        const struct gs_addr *addr, enum endpoint_tier tier);

/* While published is off, as at first, and while this node is closed, it publishes nothing. */
void model_set_published(struct model *m, bool published);
/* From now on everything is published as draining, also what a former run of this node has left
 * behind, and even if nothing was published yet; what this node itself uses does not change. */
void model_set_draining(struct model *m);

struct model_own { /* of kind MODEL_KIND_ENDPOINTS; borrowed until the next call */
    struct gs_slice key, value;
    bool removed; /* to be withdrawn; value is empty */
};
/* while (model_next_own(m, &own)) - a record of this node that is to be written because it differs
 * from what was handed out last. To be asked after every change of its services; cheap when there
 * is none. An instance is in it after its first passed check. */
bool model_next_own(struct model *m, struct model_own *out);

/* ---- the other nodes ---- */

enum model_node_state {
    MODEL_NODE_UNKNOWN, /* remembered; nobody has vouched for it since this node started */
    MODEL_NODE_UP,
    MODEL_NODE_DOWN, /* dead */
    MODEL_NODE_GONE, /* it left */
};

struct model_node {
    struct gs_id id;
    struct gs_slice name, zone;
    struct gs_addr mesh; /* where it takes mesh connections; family 0: not known, or nowhere */
    enum model_node_state state;
    uint64_t
        boot; /* of its present run. Another one: what we held against its endpoints was before */
};

/* Something about another node changed (copied). The endpoints of one that is down are lost: used
 * when no better one is left, withdrawn after LOST_KEPT_MS. Those of one that has gone are
 * withdrawn at once, those of one that is only remembered are lost without end. While `mesh` is
 * not known they are pending. */
void model_set_node(struct model *m, uint64_t now_ms, const struct model_node *n);
/* It is forgotten, and its endpoints with it. */
void model_remove_node(struct model *m, const struct gs_id *id);

#define MODEL_KIND_ENDPOINTS 32 /* record kind: what its owner has of one service */

/* ---- records ---- */

struct model_record { /* borrowed; everything is copied */
    uint16_t kind;
    struct gs_slice key, value;
    bool deleted;
    struct gs_version version;
    uint64_t born_hlc;
    uint64_t transaction; /* 0: alone */
    uint32_t transaction_count;
    struct gs_digest hash;
};

/* The present version of an operator's record. One that cannot be used is left out and shown as
 * rejected while what was active stays. GS_E_UNSUPPORTED: a kind this version does not have. */
gs_err model_on_record(struct model *m, const struct model_record *r, struct gs_why *why);

struct model_member {
    struct gs_slice key;
    struct gs_version version;
};
void model_on_transaction(struct model *m, uint64_t id, const struct model_member *members,
                          size_t count);

/* The present version of an owner's record of kind MODEL_KIND_ENDPOINTS; version.writer is the
 * owner, known or not. One that cannot be used is left out: what that owner has of that service is
 * gone then, everything else stands. This node's own come back here, too: what it published in a
 * former run stands until all instances of it have been checked, or is withdrawn if it is not
 * configured.
 * returns   GS_E_OK, or GS_E_MALFORMED or GS_E_LIMIT with a reason that names record and owner */
gs_err model_on_endpoints(struct model *m, const struct model_record *r, struct gs_why *why);

struct model_said { /* a record of another node that is in use; borrowed until the next change */
    struct gs_slice ns, name;
    uint16_t port;
    uint64_t boot, seq; /* of its version */
};
/* for (const void *at = NULL; model_next_said(m, &owner, &at, &s);) - in no order. */
bool model_next_said(const struct model *m, const struct gs_id *owner, const void **at,
                     struct model_said *out);

struct model_flushed {
    uint64_t seq;       /* of the published root, 0 if nothing was published */
    uint32_t rebuilt;   /* blobs */
    uint32_t activated; /* objects that became active, changed or left */
};
/* Decide what is active and which endpoints to use, rebuild the blobs that it touches, publish.
 * Cheap when nothing changed. */
struct model_flushed model_flush(struct model *m, uint64_t now_ms);
/* When to flush although nothing came: an endpoint that is lost is withdrawn, or one that traffic
 * spoke for is looked at again. UINT64_MAX: never. */
uint64_t model_due_ms(const struct model *m);

/* ---- what an operator wants ---- */

struct model_key {
    enum policy_kind kind;
    struct gs_slice ns, name;
};

struct model_change {
    const struct policy_object *const *objects; /* validated already */
    size_t object_count;
    const struct model_key *deletes;
    size_t delete_count;
    bool force; /* even if others need what goes */
};

/* Would this transaction do what was meant? Errors refuse it (what others need would go, a port a
 * known service lacks, an object to delete that is not there); warnings do not (unknown host with
 * near matches, undefined subset, rules that are never reached, ...).
 * returns   GS_E_OK or GS_E_INVALID; GS_E_NOT_FOUND when all errors are missing objects */
gs_err model_check_change(const struct model *m, const struct model_change *c,
                          struct gs_problems *problems) GS_MUST_CHECK;

/* Findings about everything that is stored here (analyze). */
void model_analyze(const struct model *m, struct gs_problems *problems);
/* The same for objects of files alone, with no node: nothing is said of services. */
void model_analyze_files(const struct policy_object *const *objects, size_t count,
                         struct gs_problems *problems);

struct split_weight {
    struct gs_slice subset;
    uint32_t weight;
};
/* "v1=90". GS_E_INVALID with a reason for anything else. */
gs_err split_weight_parse(struct gs_slice text, struct split_weight *out, struct gs_why *why)
    GS_MUST_CHECK;
/* The VirtualService that gives `host` (a short name means namespace ns) these weights, made in
 * `arena`: a changed copy of the one that has the host, or a new one. Refused, with what to type,
 * if it has several weighted routes, or a subset is not defined, or all weights are 0.
 * returns   GS_E_OK or GS_E_INVALID */
gs_err model_split(const struct model *m, struct gs_slice host, struct gs_slice ns,
                   const struct split_weight *weights, size_t count, struct gs_arena *arena,
                   struct policy_object **out, struct gs_problems *problems) GS_MUST_CHECK;

enum model_maintain_verb { MODEL_DRAIN, MODEL_UNDRAIN, MODEL_WEIGHT };
enum model_target { MODEL_TARGET_ANY, MODEL_TARGET_NODE, MODEL_TARGET_SERVICE };

struct model_maintain {
    enum model_maintain_verb verb;
    /* As typed: NODE, SERVICE[.NS][:PORT], or SERVICE.../INSTANCE with an instance ADDRESS:PORT,
     * ADDRESS:PORT@NODE or NODE. */
    struct gs_slice target;
    enum model_target as; /* what a target without a slash is */
    struct gs_slice ns;   /* of a service where none is written */
    uint32_t weight;      /* percent */
    struct gs_slice reason, by;
    bool force; /* nobody knows it; nobody else is left */
};
struct model_maintained { /* in the arena */
    const struct policy_object *const *objects;
    size_t object_count;
    const struct model_key *deletes;
    size_t delete_count;
};
/* What is to be written and deleted for that: one object per target, which keeps what else it says.
 * Nothing at all, with a warning, if it is so already by having no object. Refused, with near
 * matches, if nobody knows the target or several are meant, or if a service had endpoints and would
 * have none.
 * returns   GS_E_OK or GS_E_INVALID */
gs_err model_maintain(const struct model *m, const struct model_maintain *w, struct gs_arena *arena,
                      struct model_maintained *out, struct gs_problems *problems) GS_MUST_CHECK;

/* ---- reading ---- */

struct model_counters {
    uint64_t held;     /* times an endpoint was not made worse, because traffic there succeeded */
    uint64_t unusable; /* records of owners that were left out */
    uint64_t nodes, services, endpoints, lost; /* now; endpoints: of all tiers */
    uint64_t drained;  /* now: endpoints that operators drained, or gave weight 0 */
    uint64_t left_out; /* now: endpoints beyond SERVICE_ENDPOINTS_MAX or SLOTS_MAX */
};
void model_counters(const struct model *m, struct model_counters *out);

enum model_state {
    MODEL_ACTIVE,   /* its newest version is what this node routes by */
    MODEL_PENDING,  /* waits (see why); `active`, if any, is its former version */
    MODEL_REJECTED, /* cannot be used here (see why); likewise */
};

struct model_object { /* borrowed until the next change */
    enum policy_kind kind;
    struct gs_slice ns, name;
    enum model_state state;
    struct gs_version version; /* newest */
    uint64_t born_hlc;
    struct gs_version active_version;   /* generation 0: nothing is active */
    const struct policy_object *object; /* newest; NULL if rejected */
    const struct policy_object *active; /* NULL if nothing is */
    const char *why;                    /* NULL when active */
};

bool model_find_object(const struct model *m, enum policy_kind kind, struct gs_slice ns,
                       struct gs_slice name, struct model_object *out);
/* for (size_t at = 0; model_next_object(m, &at, &o);) - by kind name, namespace, name. */
bool model_next_object(const struct model *m, size_t *at, struct model_object *out);
const char *model_state_text(enum model_state s); /* "active", "pending", "rejected" */

struct model_drain {          /* of a node as a whole; borrowed until the next change */
    struct gs_slice ns, name; /* of the Maintenance */
    uint64_t since_ms;        /* when it was written */
    struct gs_slice reason, by;
};
bool model_find_drain(const struct model *m, struct gs_slice node, struct model_drain *out);

struct model_standing { /* of one key; borrowed until the next change */
    struct gs_slice key;
    enum model_state state;                    /* as of the last flush */
    bool deleted;                              /* its newest version is that it is gone */
    struct gs_version version, active_version; /* generation 0: none is known, nothing is active */
    const char *why;
};
/* As model_next_object, with what was deleted lately as well. */
bool model_next_standing(const struct model *m, size_t *at, struct model_standing *out);

/* Each writes one JSON object: {"services": [...]}, {"endpoints": [...]}, {"objects": [...]}.
 * ns, name: empty means all. */
void model_services_json(const struct model *m, struct gs_slice ns, struct gs_slice name,
                         struct json_out *j);
struct model_reading {        /* what the model itself does not know of its endpoints */
    uint64_t now_ms, wall_ms; /* the same moment on both clocks */
    uint64_t (*ewma_us)(const void *arg, uint32_t slot); /* NULL: not known */
    const void *arg;
};
void model_endpoints_json(const struct model *m, struct gs_slice ns, struct gs_slice name,
                          const struct model_reading *r, struct json_out *j);
void model_objects_json(const struct model *m, enum policy_kind kind, struct gs_slice ns,
                        struct json_out *j);

/* What a request meets at a service of a snapshot, once routing has chosen. Pure: any snapshot,
 * any thread that may look at it. rule: index, UINT32_MAX when no rule matched (or there is
 * none). Writes one JSON object. */
void explain_json(const struct snapshot *s, const struct service *svc, uint32_t rule,
                  uint64_t now_ms, struct json_out *j);

/* ---- persistence ---- */

enum {
    MODEL_FRAME_ACTIVE = 16
}; /* frame kind of mesh.state: an object that is active although
                                     its newest version is another, or rules alone would not say */

/* for (size_t at = 0; model_next_frame(m, &at, &buf);): buf is cleared and filled. */
bool model_next_frame(const struct model *m, size_t *at, struct gs_buf *out);
/* Before the records are fed. GS_E_MALFORMED: left out. */
gs_err model_restore(struct model *m, struct gs_slice bytes, struct gs_why *why) GS_MUST_CHECK;

void model_check(const struct model *m); /* walks every invariant; aborts */
