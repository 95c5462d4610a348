/* check_parts.h - what a node says of itself when `gossamer check` asks (api_check.c), by group.
 * Each file sees one side: check_mesh.c the gossip, check_data.c the proxy, check_node.c neither. A
 * line that is not well names one command to type next. */
#pragma once

#include "mesh/check_lines.h"

struct core_view;
struct node;
struct survey;

struct check_conflicts {      /* writes that lost, as the store lists them */
    struct check_names names; /* of their objects */
    size_t count;
};

void check_node_put(struct check_lines *l, const struct node *n);
void check_mesh_put(struct check_lines *l, const struct node *n, const struct core_view *v);
void check_policy_put(struct check_lines *l, const struct node *n, const struct check_conflicts *c,
                      const struct survey *digests);
void check_data_put(struct check_lines *l, struct node *n); /* group "data plane" */
void check_security_put(struct check_lines *l, const struct node *n);

/* What this node routes by, in few bytes: two nodes with the same route alike. */
#define CHECK_DIGEST_TEXT 33
struct check_digest {
    char text[CHECK_DIGEST_TEXT];
    size_t active, pending, rejected;
};
void check_digest(const struct node *n, struct check_digest *out);
/* How many of those that answered route by something else. */
size_t check_differing(const struct check_digest *own, const struct survey *digests);
