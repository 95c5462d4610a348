/* standing.h - closed until this node knows that it has the mesh's policy (design.md 5), and the
 * addresses it starts from. */
#pragma once

#include <gossamer/gossip.h>

struct member;

struct standing {
    enum gossip_standing now;
    bool asked;         /* gossip_join was called */
    bool told;          /* the event was drained */
    bool restored;      /* policy came from the disk */
    bool remembered;    /* members did: it was one itself */
    unsigned waits;     /* of OPEN_WAIT_MS, in vain */
    bool open_answered; /* an open peer is there: its policy is waited for */
    bool policy_seen;   /* some peer holds policy */
    bool answered;      /* any peer did */
    uint64_t decide_ms; /* when waiting for an open peer ends */
    struct gs_addr seeds[GOSSIP_SEEDS_MAX];
    size_t seed_count, seed_at;
    uint64_t retry_ms; /* when to look for somebody again, while alone */
    uint64_t pause_ms;
};

void standing_init(struct standing *s);
void standing_join(struct gossip *g, uint64_t now_ms, const struct gs_addr *seeds, size_t count);
/* A peer told its flags and roots. */
void standing_heard(struct gossip *g, uint64_t now_ms, uint32_t flags, const uint64_t *roots);
/* A digest exchange with a peer is through: what it had is here. (Roots may differ all the same: a
 * clock that is wrong, a tombstone that one of them has dropped already.) */
void standing_exchanged(struct gossip *g, uint32_t flags);
void standing_tick(struct gossip *g, uint64_t now_ms);
uint64_t standing_deadline_ms(const struct gossip *g);
void standing_check(const struct standing *s);
