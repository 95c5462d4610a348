/* transaction.h - the record that lists what was written together. A receiver needs it to know
 * that a member it misses was superseded, and is not merely late. */
#pragma once

#include "gossip/store.h"

#define TRANSACTION_KEY_BYTES 28 /* "transaction/" and 16 hex digits */

/* An id nobody else gives out: from who writes and its clock, which never says the same twice. */
uint64_t transaction_id(const struct gs_id *writer, uint64_t hlc);
struct gs_slice transaction_key(uint64_t id, char out[TRANSACTION_KEY_BYTES + 1]);
gs_err transaction_key_parse(struct gs_slice key, uint64_t *id) GS_MUST_CHECK;
/* The version of the list record: members and who wrote them when. */
gs_err transaction_make(uint64_t id, const struct gs_version *when,
                        const struct gossip_member *members, size_t count, struct version **out)
    GS_MUST_CHECK;
/* Is any member present, or still to come? If not, the list says nothing any more. */
bool transaction_matters(const struct store *s, struct gs_slice list);
