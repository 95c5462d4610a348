/* endpoints.h - one owner record: what a node has of one service. Read whole and checked before
 * anything of it is used; the same checks are made before it is published. */
#pragma once

#include <gossamer/model.h>

struct endpoints_instance {
    struct gs_addr addr;     /* as its owner dials it */
    enum endpoint_tier tier; /* healthy, unhealthy or draining */
    struct policy_pair *labels;
    size_t label_count;
};

struct endpoints {
    struct gs_slice protocol;
    struct endpoints_instance *instances; /* by address */
    size_t count;
};

#define ENDPOINTS_KEY_TEXT 336 /* namespace (63), name (253), port, two signs, NUL */

struct endpoints_key {
    struct gs_slice ns, name;
    uint16_t port;
};

gs_err endpoints_key_check(const struct endpoints_key *k, struct gs_why *why) GS_MUST_CHECK;
/* "NS/NAME:PORT" of one that passes the check; returns out. */
const char *endpoints_key_text(const struct endpoints_key *k, char out[ENDPOINTS_KEY_TEXT]);
/* Exactly as endpoints_key_text writes it; parts of `key`. */
gs_err endpoints_key_parse(struct gs_slice key, struct endpoints_key *out, struct gs_why *why)
    GS_MUST_CHECK;

/* Negative: a comes first. */
int endpoints_compare(const struct gs_addr *a, const struct gs_addr *b);
/* Brings instances and their labels into the order of the record. */
void endpoints_sort(struct endpoints *e);
/* GS_E_INVALID: it is nothing that this node would publish. */
gs_err endpoints_check(const struct endpoints *e, struct gs_why *why) GS_MUST_CHECK;
