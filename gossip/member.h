/* member.h - who is in the mesh: the table, and who wins between two claims about one of them.
 *
 * Claims are ordered by (boot, incarnation, state); only the node itself raises its incarnation,
 * and a boot is one start of its process. What a node says of itself otherwise (name, address) is
 * an ordinary record of kind GOSSIP_KIND_NODE. */
#pragma once

#include <gossamer/gossip.h>

#include "gossip/forgotten.h"
#include "gossip/record.h"
#include "gossip/rumor.h"

struct suspicion { /* of a member in state SUSPECT */
    uint64_t since_ms, deadline_ms;
    struct gs_id accusers[SUSPECT_CONFIRMATIONS + 1];
    unsigned count;
};

struct member_hot { /* what is asked of every member often */
    uint64_t boot;
    uint64_t since_ms;
    uint32_t incarnation;
    uint8_t state;  /* enum gossip_state */
    uint8_t placed; /* its record is here: it has an address and a name */
    uint16_t spare;
    struct member *cold;
};
_Static_assert(sizeof(struct member_hot) <= 32, "ten thousand nodes are known to each of them");

struct member {
    struct gs_id id;
    uint32_t at;        /* its place in members.hot */
    struct version *me; /* its record, kept; NULL until it is here */
    struct gs_addr address;
    struct gs_slice name, about; /* in *me */
    uint32_t srtt_us, rttvar_us; /* RFC 6298; 0: never measured */
    uint8_t told;                /* state of the last event */
    bool forgetting;             /* it goes when that was told */
    bool missed;                 /* it did not answer during its grace */
    uint64_t grace_ms;           /* when its grace of this boot ends; 0: it had none yet */
    struct suspicion *suspicion; /* while suspected */
    struct gs_list suspect;      /* in members.suspects */
    struct gs_list restart;      /* in members.restarts: it said that it restarts, and may */
    struct gs_list changed;      /* in line for an event */
    struct rumor rumor;
};

struct members {
    struct member_hot *hot; /* sorted by id */
    size_t count, cap;
    size_t by_state[GOSSIP_LEFT + 1];
    struct gs_list suspects, restarts, changed;
    uint64_t root; /* sum of member_digest() over all, this node included */
    struct forgotten forgotten;
    uint64_t reap_ms;   /* when to look for some that are dead for long */
    uint64_t reaped_ms; /* when that was done last */
    /* This node. */
    uint32_t incarnation;
    bool leaving;
    bool restarting; /* another process takes the place of this one */
};

struct wire_claim;

void members_init(struct members *t, uint64_t seed);
void members_fini(struct members *t);
struct member *members_find(const struct members *t, const struct gs_id *id); /* or NULL */
/* By the first 8 bytes of its id, as a packet's header has them. */
struct member *members_find_name(const struct members *t, uint64_t name);
/* Who lives there; one that was there before, under another id, is none of our business. */
struct member *members_at_address(const struct members *t, const struct gs_addr *address);
static inline struct member_hot *
member_hot(const struct members *t, const struct member *m)
{
    return &t->hot[m->at];
}
/* Alive or suspected, and its address is known: somebody to talk to. */
bool member_is_live(const struct members *t, const struct member *m);
size_t members_live(const struct members *t);
/* Up to `max` (PICK_MAX) different ones of those at random, but not `other` (NULL: any). */
#define PICK_MAX 16
size_t members_pick(struct gossip *g, const struct member *other, struct member **out, size_t max);

static inline bool
member_is_thought_alive(const struct member_hot *h)
{
    return h->state == GOSSIP_ALIVE || h->state == GOSSIP_SUSPECT;
}

/* One that is not in the table yet. */
struct member *members_add(struct gossip *g, uint64_t now_ms, const struct gs_id *id);
void members_enqueue(struct members *t, struct member *m); /* for its event; once is enough */
void members_reap_later(struct members *t, uint64_t now_ms);

/* Dropped here lately: nothing of this owner's boot or those before is taken again. */
bool members_have_forgotten(const struct members *t, uint64_t now_ms, const struct gs_id *id,
                            uint64_t boot);
/* Unless it is heard of as alive. */
void members_recall(struct members *t, const struct gs_id *id);

/* Since when those are gone who are, by the wall clock, for the disk; and back again, behind their
 * records: a node that is started again and again would else remember them for ever. */
bool members_next_frame(const struct gossip *g, struct gossip_cursor *c, struct gossip_frame *out);
gs_err members_restore(struct gossip *g, uint64_t now_ms, uint64_t wall_ms, struct gs_slice bytes,
                       struct gs_why *why) GS_MUST_CHECK;

/* ---- member.c: what becomes of one ---- */

enum member_merged {
    MEMBER_NEWS,  /* spread it */
    MEMBER_STALE, /* known, or superseded */
    MEMBER_LIMIT, /* MEMBERS_MAX */
};

/* A claim from the wire. hearsay: out of a digest exchange, where "dead" only makes a suspect. */
enum member_merged member_merge(struct gossip *g, uint64_t now_ms, const struct wire_claim *c,
                                bool hearsay);
/* Our own finding. */
void member_suspect(struct gossip *g, uint64_t now_ms, struct member *m);
void member_dead(struct gossip *g, uint64_t now_ms, struct member *m);
/* Another node's failed probe of a suspect, told to us alone, confirms as its own claim would. */
void member_confirm(struct gossip *g, uint64_t now_ms, struct member *m,
                    const struct gs_id *accuser);
/* True if its silence is not held against it yet, because it said that it would not answer. */
bool member_excused(struct member *m);
/* A proven packet of it came. */
void member_heard(struct member *m, uint64_t now_ms);
/* It said that it restarts, and had all the time for it. */
void member_grace_over(struct gossip *g, uint64_t now_ms, struct member *m);
/* Its record came, or changed. */
void member_on_record(struct gossip *g, uint64_t now_ms, const struct record *r);
struct wire_claim member_claim(const struct gossip *g, const struct member *m);
struct wire_claim member_own_claim(const struct gossip *g);
void member_rtt(struct member *m, uint32_t sample_us);
/* What the claim about it adds to the digest; suspicion is passing and does not count. */
uint64_t member_digest(const struct gs_id *id, uint64_t boot, uint32_t incarnation,
                       enum gossip_state s);
void members_count_self(struct gossip *g); /* this node's own claim into the root, at start */
void members_own_again(struct gossip *g, uint64_t former_boot, uint32_t former_incarnation);

/* ---- members.c again ---- */

/* Suspicions and graces that ran out; members that are dead for long. */
void members_tick(struct gossip *g, uint64_t now_ms);
uint64_t members_deadline_ms(const struct gossip *g);
void members_stalled(struct gossip *g, uint64_t late_ms); /* nobody is accused for that time */
bool members_next_event(struct gossip *g, struct gossip_event *out);
struct gossip_node member_node(const struct gossip *g, const struct member *m);
void members_check(const struct gossip *g);
