/* maint.h - what operators want of endpoints for a while: a set of Maintenance objects, and what it
 * says of one endpoint. Nothing of it is kept with the endpoints: builders and lists ask. */
#pragma once

#include <gossamer/addr.h>
#include <gossamer/model.h>

struct catalog;
struct catalog_instance;
struct catalog_offer;
struct catalog_owner;
struct catalog_service;

struct maint_entry {
    const struct policy_object *o;
    struct gs_version version;   /* generation 0: of no record */
    struct gs_slice ns, service; /* empty: of a node, whatever it has */
    struct gs_slice node;
    struct gs_addr addr; /* family 0: every one */
};

struct maint_set { /* those about whole nodes first, then by namespace, service, node */
    struct maint_entry *items;
    size_t count, cap;
    bool sorted;
};

/* Of an object that is valid and outlives it. version may be NULL: of no record. */
struct maint_entry maint_entry(const struct policy_object *o, const struct gs_version *version);
void maint_add(struct maint_set *s, const struct policy_object *o,
               const struct gs_version *version);
void maint_sort(struct maint_set *s); /* before anything is asked */
void maint_clear(struct maint_set *s);
void maint_fini(struct maint_set *s);

#define MAINT_WEIGHT_DEFAULT 100
#define MAINT_NODE_NS "default" /* a node is of no namespace; what is said of it has to be */

struct maint_word {                              /* of all operators on one endpoint */
    bool closed;                                 /* its whole service is drained */
    uint16_t weight;                             /* the least that anybody gave it */
    const struct maint_entry *drained, *weighed; /* whose word it is; NULL: nobody's */
};
struct maint_word maint_say(const struct maint_set *s, const struct catalog_offer *offer,
                            const struct catalog_instance *i);
/* What it is used as, given what its owner and gossip make of it. */
enum endpoint_tier maint_tier(const struct maint_word *w, enum endpoint_tier tier);
/* Does it take any new request, be there nobody else? */
bool maint_open(const struct maint_word *w);
/* A node as a whole; NULL: nobody wants anything of it. */
const struct maint_entry *maint_node(const struct maint_set *s, struct gs_slice name);

/* Endpoints of a service that would take new requests: those of the best tier, and all of them. */
struct maint_open_count {
    size_t ordinary, any;
};
struct maint_open_count maint_count(const struct maint_set *s, const struct catalog_service *svc);

bool maint_means(const struct maint_entry *e, const struct catalog_offer *offer,
                 const struct catalog_instance *i);
bool maint_same_target(const struct maint_entry *a, const struct maint_entry *b);

/* ---- who there is ---- */

/* The node of that name, the one of its twins that is up if there are any; NULL: none. */
const struct catalog_owner *maint_owner(const struct catalog *c, struct gs_slice name);
/* What is like a word that nothing is called; NULL: nothing. */
const char *maint_near(const struct catalog *c, struct gs_slice word, enum model_target as,
                       struct gs_arena *a);

/* ---- words for people, in the arena ---- */

/* "node n3", "web.default:80", "web.default/127.0.0.1:9001@n3", "web.default/n3" */
const char *maint_target_text(const struct maint_entry *e, struct gs_arena *a);
/* "Maintenance default/node.n3 of 2026-07-01T12:00:00Z by ann@n1: a new disk" */
const char *maint_source_text(const struct maint_entry *e, struct gs_arena *a);
/* The name that the object about a target has, unless somebody gave it another. */
struct gs_slice maint_name(const struct maint_entry *e, struct gs_arena *a);
