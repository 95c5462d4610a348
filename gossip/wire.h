/* wire.h - records and their parts as bytes (wire.def). */
#pragma once

#include <gossamer/buf.h>
#include <gossamer/gossip.h>

/* Kind of the record that lists the members of a transaction. */
#define GOSSIP_KIND_TRANSACTION 1

#define WIRE_TAG_BYTES 4 /* of an ancestor's hash: 32 of them are told apart from a stranger's */

/* A record as it is in its bytes. Slices point into them. */
struct wire_record {
    struct gossip_record r;  /* hash and bytes are left to the caller */
    struct gs_slice lineage; /* tags, newest first; not that of `replaced` */
};

/* Appends to out; nothing but the room in it can be lacking. */
gs_err wire_put_record(struct gs_buf *out, const struct wire_record *w) GS_MUST_CHECK;
/* Whole or not at all. GS_E_MALFORMED: not canonical, a field missing or out of its range.
 * GS_E_LIMIT: a cap of limits.h. */
gs_err wire_read_record(struct gs_slice bytes, struct wire_record *out) GS_MUST_CHECK;

gs_err wire_put_members(struct gs_buf *out, const struct gossip_member *m, size_t count)
    GS_MUST_CHECK;
/* At most `max` of them, keys pointing into bytes. */
gs_err wire_read_members(struct gs_slice bytes, struct gossip_member *out, size_t max,
                         size_t *count) GS_MUST_CHECK;
