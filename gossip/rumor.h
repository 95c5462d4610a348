/* rumor.h - what this node still owes the others. Embedded in what is told: one per subject, so a
 * newer claim or version takes the older one's place and nothing here can contradict itself. */
#pragma once

#include <stdint.h>

#include <gossamer/list.h>

struct gossip;
struct record;
struct member;
struct wire_packet;
struct packet_room;

struct rumor {
    struct gs_list link; /* in the line of its kind, else unlinked */
    uint8_t sends;       /* packets it shall still go into */
    uint8_t duplicates;  /* times it was heard back from others */
};

struct rumors { /* zeroed lists must be initialised */
    struct gs_list claims, records;
    struct rumor own;  /* the claim of this node itself, in `claims` */
    uint64_t flush_ms; /* when the next round goes out; UINT64_MAX: nothing is owed */
};

void rumors_init(struct rumors *r);
void rumors_fini(struct rumors *r); /* before what is told goes */
void rumor_init(struct rumor *r);

/* Tell the others, from the beginning. */
void rumor_claim(struct gossip *g, uint64_t now_ms, struct member *m);
void rumor_own(struct gossip *g, uint64_t now_ms);
void rumor_record(struct gossip *g, uint64_t now_ms, struct record *r);

/* Another node told us what we are telling: it needs less telling. */
void rumor_heard(struct rumor *r);

/* Fill a packet with what is owed, as far as there is room; what was put in counts as sent. */
void rumor_fill(struct gossip *g, struct packet_room *room);
/* Send a round if one is due. */
void rumor_tick(struct gossip *g, uint64_t now_ms);
void rumors_check(const struct rumors *r);
