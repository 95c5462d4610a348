/* form.h - the form of a manifest: which fields there are and what their values look like
 * (fields.def). What a value means is policy_validate()'s business. */
#pragma once

#include "mesh/model/reader.h"

enum form_message {
    FORM_NONE,
    FORM_OBJECT,
    FORM_METADATA,
    FORM_VIRTUAL_SERVICE,
    FORM_HTTP_ROUTE,
    FORM_HTTP_MATCH,
    FORM_STRING_MATCH,
    FORM_HTTP_DESTINATION,
    FORM_DESTINATION,
    FORM_PORT,
    FORM_L4_DESTINATION,
    FORM_TLS_ROUTE,
    FORM_TLS_MATCH,
    FORM_TCP_ROUTE,
    FORM_TCP_MATCH,
    FORM_REDIRECT,
    FORM_DIRECT_RESPONSE,
    FORM_BODY,
    FORM_DELEGATE,
    FORM_REWRITE,
    FORM_REGEX_REWRITE,
    FORM_RETRIES,
    FORM_FAULT,
    FORM_DELAY,
    FORM_ABORT,
    FORM_PERCENT,
    FORM_MIRROR,
    FORM_CORS,
    FORM_HEADERS,
    FORM_HEADER_OPERATIONS,
    FORM_DESTINATION_RULE,
    FORM_SUBSET,
    FORM_NOTE,
    FORM_MAINTENANCE,
    FORM_MAINTENANCE_SERVICE,
    FORM_WORKLOAD_SELECTOR,
    FORM_TRAFFIC_POLICY,
    FORM_PORT_POLICY,
    FORM_TUNNEL,
    FORM_PROXY_PROTOCOL,
    FORM_RETRY_BUDGET,
    FORM_LOAD_BALANCER,
    FORM_CONSISTENT_HASH,
    FORM_RING_HASH,
    FORM_MAGLEV,
    FORM_COOKIE,
    FORM_COOKIE_ATTRIBUTE,
    FORM_LOCALITY,
    FORM_DISTRIBUTE,
    FORM_FAILOVER,
    FORM_ZONE_AWARE,
    FORM_WARMUP,
    FORM_CONNECTION_POOL,
    FORM_POOL_TCP,
    FORM_TCP_KEEPALIVE,
    FORM_POOL_HTTP,
    FORM_HTTP2_KEEPALIVE,
    FORM_OUTLIERS,
    FORM_CLIENT_TLS,
    FORM_MESSAGES,
};

/* Walk a map and all below it; report every field that does not exist, every one that is not in
 * this version, every value of the wrong form. What was reported can be left out by whoever reads
 * the values: the getters below do. */
void form_check(struct reader *r, const struct tree *map, enum form_message m);

/* A field of the right form, else NULL: absent, or reported already. */
const struct tree *form_get(const struct tree *map, enum form_message m, const char *key);
/* Whatever its form. */
bool form_has(const struct tree *map, const char *key);
/* Is a list item or a dict value of the right form? (One that is not was reported.) */
bool form_fits(const struct tree *value, enum form_message m, const char *key);
