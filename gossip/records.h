/* records.h - the records of a node: the store, its clock, and the line of what changed. The
 * contracts are those of gossip.h under the same names. */
#pragma once

#include "gossip/hlc.h"
#include "gossip/notice.h"
#include "gossip/store.h"

struct records {
    struct gs_id self;
    struct hlc clock;
    bool alone; /* there is no membership: nobody to tell */
    uint64_t boot;
    uint64_t seq; /* of what this node wrote about itself */
    struct store store;
    struct gs_list changed; /* records in line for an event, oldest change first */
    struct gs_list fresh;   /* records in line to be told to others: record.fresh */
    struct notices notices;
    struct gossip_member *members; /* of the transaction handed out last */
    size_t lists_at;               /* lists of transactions from here down may have served */
    uint64_t lists_ms; /* when to look; UINT64_MAX: nothing changed since the last look */
    bool discounted;   /* withdrawals of a former life wait for their event, to go */
    uint64_t news, stale, conflicts, refused, malformed, below_floor, clock_ahead, dropped;
};

void records_init(struct records *g, const struct gossip_options *o);
void records_fini(struct records *g);

gs_err records_put(struct records *g, uint64_t now_ms, uint64_t wall_ms,
                   const struct gossip_op *ops, size_t n, struct gossip_put_result *results,
                   struct gs_why *why) GS_MUST_CHECK;
gs_err records_put_own(struct records *g, uint64_t now_ms, const struct gossip_op *op,
                       struct gossip_put_result *result, struct gs_why *why) GS_MUST_CHECK;
/* Every change ends in this. Takes v; *out is its record (NULL: not wanted). */
struct record_merged records_install(struct records *g, uint64_t now_ms, struct version *v,
                                     enum record_origin origin, const struct gs_id *sender,
                                     struct record **out);
void records_note_wall(struct records *g, uint64_t now_ms, uint64_t wall_ms);
/* Somebody else wrote in our name, or we did before our disk was lost: go on above that. Every
 * record of ours is written anew. */
void records_reboot(struct records *g, uint64_t now_ms, uint64_t above_boot);
/* *record: the record it was merged into; NULL if it was not. */
gs_err records_merge(struct records *g, uint64_t now_ms, uint64_t wall_ms,
                     const struct gs_id *sender, struct gs_slice bytes, enum gossip_merged *out,
                     struct record **record, struct gs_why *why) GS_MUST_CHECK;
void records_tick(struct records *g, uint64_t now_ms);
uint64_t records_deadline_ms(const struct records *g);
bool records_next_event(struct records *g, struct gossip_event *out);
bool records_has_event(const struct records *g);
/* The next record that others should hear of; NULL when there is none. */
struct record *records_next_fresh(struct records *g);
bool records_find(const struct records *g, enum gossip_class class, const struct gs_id *owner,
                  struct gs_slice key, struct gossip_record *out);
bool records_next_record(const struct records *g, size_t *at, struct gossip_record *out);
size_t records_history(const struct records *g, struct gs_slice key, struct gossip_former *out,
                       size_t max);
void records_counters(const struct records *g, struct gossip_counters *out); /* its part */
uint64_t records_hlc(const struct records *g);
bool records_next_frame(const struct records *g, struct gossip_cursor *c, struct gossip_frame *out);
gs_err records_restore(struct records *g, uint64_t now_ms, uint64_t wall_ms, uint16_t kind,
                       struct gs_slice bytes, struct gs_why *why) GS_MUST_CHECK;
/* All records of an owner go, without a trace; none of them is told to anybody. */
void records_forget(struct records *g, const struct gs_id *owner);
void records_check(const struct records *g);
