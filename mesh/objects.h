/* objects.h - which objects a request to the admin API means. */
#pragma once

#include "mesh/admin.h"
#include "mesh/node.h"

/* ?namespace=; absent or "-" means that of the node. False: it is no name of a namespace. */
bool objects_namespace(const struct node *n, const struct admin_request *r, struct gs_slice *ns);
/* KIND/NAMESPACE/NAME in r->rest, be there such an object or not. False: it was answered. */
bool objects_key(const struct node *n, struct admin_call *c, const struct admin_request *r,
                 struct model_key *key);
/* api_history.c: is it about former versions? Then it is answered, now or later. */
bool history_asked(struct node *n, struct admin_call *c, const struct admin_request *r);
/* KIND/NAMESPACE/NAME in r->rest ("-" as above). False: it was answered with 404, with near
 * matches, or with 400. key's texts live as long as the request. */
bool objects_find_or_refuse(struct node *n, struct admin_call *c, const struct admin_request *r,
                            struct model_key *key, struct model_object *out);
