/* catalog.h - the state of a struct model: services and their instances on one side, policy
 * objects on the other. model.c is the door, these are the rooms. */
#pragma once

#include <gossamer/model.h>

/* ---- services (catalog.c) ---- */

struct catalog_instance {
    struct gs_addr addr;
    struct label *labels;
    uint32_t label_count;
    enum endpoint_tier tier;
};

struct catalog_service {   /* one (namespace, name, port) */
    struct gs_arena arena; /* texts and instances */
    struct gs_slice ns, name, protocol;
    uint16_t port;
    struct catalog_instance *instances;
    size_t instance_count;
    uint32_t id;               /* in the root */
    struct service_blob *blob; /* as last built; NULL before */
    uint64_t plan[2];          /* hash of all that the blob was built from */
    bool dirty;                /* its instances changed */
};

struct catalog {                    /* of services */
    struct catalog_service **items; /* by namespace, name, port */
    size_t count, cap;
    struct catalog_service **by_id; /* NULL where none */
    uint32_t id_cap;
    struct catalog_service **dotted; /* those whose name holds a dot, by name, namespace, port */
    size_t dotted_count;
    bool changed; /* services came or went since the last flush */
    bool dirty;   /* some service is */
};

void catalog_init(struct catalog *c);
void catalog_fini(struct catalog *c); /* blobs belong to the snapshot hub by then */
gs_err catalog_put(struct catalog *c, const struct model_service *s, struct gs_why *why);
void catalog_remove(struct catalog *c, struct gs_slice ns, struct gs_slice name, uint16_t port);
struct catalog_service *catalog_find(const struct catalog *c, struct gs_slice ns,
                                     struct gs_slice name, uint16_t port);
gs_err catalog_set_health(struct catalog *c, struct gs_slice ns, struct gs_slice name,
                          uint16_t port, const struct gs_addr *addr, enum endpoint_tier tier);

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
bool catalog_selects(const struct policy_pair *labels, size_t count,
                     const struct catalog_instance *i);

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
};

/* ---- what routing is made of (resolve.c) ---- */

/* The VirtualService that has the host of a service, NULL if none has. */
const struct object *resolve_policy(const struct model *m, const struct catalog_service *s);
/* The subsets of a service as this node sees them; `out` has room for SUBSETS_MAX. */
size_t resolve_subsets(const struct model *m, const struct catalog_service *s,
                       const struct dr_subset *out[SUBSETS_MAX]);

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
/* The blob, sealed. */
struct service_blob *build_blob(struct model *m, const struct catalog_service *s);
struct names *build_names(const struct model *m);
