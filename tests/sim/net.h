/* net.h - what lies between the hosts: delay, loss, cuts, and the datagrams. */
#pragma once

#include <gossamer/gossip.h>

#include "tests/sim/queue.h"

struct host;
struct world;

struct net_quality {
    uint64_t latency_min_ns, latency_max_ns; /* uniform; packets overtake each other within it */
    uint32_t tail_ppm;                       /* so many take up to tail_ns more */
    uint64_t tail_ns;
    uint32_t loss_ppm, duplicate_ppm, corrupt_ppm, replay_ppm;
    uint64_t bytes_per_s;
    bool silent; /* no ICMP from a machine whose process is gone */
};

enum { /* a way from one host to another, closed for */
       CUT_UDP = 1,
       CUT_TCP = 2,
};

struct net_counters {
    uint64_t datagrams, datagram_bytes, delivered, lost, cut, duplicated, corrupted, replayed;
    uint64_t overflowed, unreachable;
};

#define NET_TAPE 64 /* packets an attacker has recorded */

struct net {
    struct net_quality quality;
    uint32_t burst_ppm; /* loss that comes on top of everybody's for a time */
    uint8_t *cuts;      /* [from * hosts + to]; made at the first cut */
    uint32_t cut_count;
    uint8_t *sides; /* of a partition, by host */
    bool partitioned;
    struct parcel *tape[NET_TAPE];
    uint32_t tape_to[NET_TAPE];
    uint32_t tape_at;
    struct net_counters counters;
};

void net_init(struct world *w);
void net_fini(struct world *w);

/* What a core asks for. */
void net_send(struct world *w, struct host *from, const struct gossip_action *a);
/* What the queue has; each takes e. */
void net_on_datagram(struct world *w, struct event *e);
void net_on_unreachable(struct world *w, struct event *e);
/* How long the next thing takes from one host to another. */
uint64_t net_latency_ns(struct world *w);
bool net_loses(struct world *w); /* ... unless it is lost */

/* ---- cuts ---- */

bool net_is_cut(const struct world *w, uint32_t from, uint32_t to, uint8_t kind);
void net_cut(struct world *w, uint32_t from, uint32_t to, uint8_t kinds);
void net_mend(struct world *w, uint32_t from, uint32_t to, uint8_t kinds);
/* sides[i] of each host: only equal ones hear each other. */
void net_partition(struct world *w, const uint8_t *sides);
void net_heal(struct world *w); /* partition and cuts */
