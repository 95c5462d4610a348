/* roster.h - the nodes of the mesh as this node's control thread knows them: fed by the gossip's
 * events, read by whoever has an id and wants a name, and told to the journal, one line a change.
 *
 *     core ──NODE, FORGOTTEN──▶ roster_on_event ─┬─▶ the table
 *                                                └─▶ journal_tell
 *
 * The core's own table (gossip/member.h) is on its thread; this is what was heard of it, with what
 * each says of itself opened. This node itself is not in it. Control thread. */
#pragma once

#include <gossamer/buf.h>
#include <gossamer/gossip.h>

struct config;
struct journal;

struct roster_node {
    struct gs_id id;
    enum gossip_state state;
    uint64_t since_ms; /* wall clock: when it came to this state, as seen here */
    uint64_t boot;
    uint32_t incarnation;
    bool restarting; /* alive, and away for a moment: it said so */
    struct gs_addr address;
    struct gs_slice name;    /* roster_name(); may be another node's, too */
    bool twin;               /* it is: both are alive */
    bool about_read;         /* false: what follows is not known */
    struct gs_slice version; /* of its program */
    struct gs_slice zone;
    struct gs_slice inbound; /* "10.0.0.1:4143"; empty: it has no proxy */
    uint32_t services;
};

struct roster_options {
    struct gs_id self;
    struct gs_slice name;    /* of this node, copied */
    struct journal *journal; /* outlives the roster; NULL: only the log is told */
};

struct roster *roster_new(const struct roster_options *o);
void roster_free(struct roster *r);

/* One event of type GOSSIP_EVENT_NODE or _FORGOTTEN; any other is ignored. Not for what was
 * restored from disk before this process heard of anybody. */
void roster_on_event(struct roster *r, const struct gossip_event *e, uint64_t wall_ms);

/* In order of id: for (size_t at = 0; roster_next(r, &at, &n);). Borrowed until the next event. */
bool roster_next(const struct roster *r, size_t *at, const struct roster_node **out);
const struct roster_node *roster_find(const struct roster *r, const struct gs_id *id); /* or NULL */
/* What a node is called: as it says if that is a name by the rules of `node:`, else by its id as
 * text, in out. Any member may say anything, and every operator's terminal is told of it. */
struct gs_slice roster_name(const struct gossip_node *g, char out[GS_ID_TEXT]);
/* What a line calls a node: its name, that of this node itself included, else its id as text; "-"
 * for no id at all. The text is the roster's, or in out. r: NULL knows no names. */
struct gs_slice roster_call(const struct roster *r, const struct gs_id *id, char out[GS_ID_TEXT]);

/* What a node says of itself to every other, appended to out; nothing that changes while its
 * configuration does not. At most GOSSIP_ABOUT_MAX bytes. reached: an address others reach this
 * node's host by. */
void roster_about(const struct config *c, const struct gs_addr *reached, struct gs_buf *out);
