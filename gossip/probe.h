/* probe.h - is everybody still there? SWIM 3 with Lifeguard's local health, and evidence that a
 * process is gone (reference/gossip 6.4).
 *
 *     IDLE ──period──▶ DIRECT ──no answer──▶ INDIRECT: helpers and TCP ──nothing──▶ suspect
 *                         └──── ack ──▶ IDLE ◀── ack ──┘
 *     "nobody listens there" (ICMP, RST) ─▶ two others are asked at once; all say so ─▶ dead */
#pragma once

#include <gossamer/gossip.h>

#include "gossip/wire.h"

#define PROBE_RELAYS_MAX 128 /* for others, under way */
#define PROBE_GONES_MAX 16   /* verdicts under way */

struct member;

enum probe_phase { PROBE_IDLE, PROBE_DIRECT, PROBE_INDIRECT };

struct probe_own {
    enum probe_phase phase;
    struct gs_id target;
    uint32_t sequence;
    uint64_t sent_us, begun_ms;
    uint64_t deadline_ms;
    struct gs_id helpers[PROBE_HELPERS];
    unsigned asked, nacks;
    uint8_t nacked;  /* a bit per helper */
    uint32_t stream; /* TCP; 0: none */
    bool tcp_failed;
};

struct probe_relay { /* a ping that another asked us for */
    bool used;
    uint32_t sequence, their_sequence;
    struct gs_id target;
    struct gs_addr address, reply_to;
    uint64_t asker; /* name */
    uint64_t deadline_ms;
};

struct probe_gone { /* two others look whether a process is gone */
    bool used;
    struct gs_id target;
    uint32_t sequence;
    uint64_t deadline_ms;
    struct gs_id helpers[2];
    unsigned asked, count;
    uint8_t agreed; /* a bit per helper */
};

struct probes {
    struct probe_own own;
    struct probe_relay relays[PROBE_RELAYS_MAX];
    struct probe_gone gones[PROBE_GONES_MAX];
    struct gs_id *round; /* who is still to be probed in this round, shuffled */
    size_t round_count, round_at, round_cap;
    uint32_t sequence;
    uint32_t health; /* Lifeguard's multiplier less one: 0..HEALTH_MAX */
    uint64_t next_ms;
};

void probes_fini(struct probes *p);
void probes_start(struct gossip *g, uint64_t now_ms);
void probes_tick(struct gossip *g, uint64_t now_ms);
uint64_t probes_deadline_ms(const struct gossip *g);
void probes_stalled(struct gossip *g, uint64_t now_ms);
void probe_health(struct gossip *g, int by);
void probe_add(struct gossip *g, const struct member *m); /* somewhere into the present round */
/* Out of turn, and its answer is not waited for: it shall defend itself, or its host say that it is
 * gone. */
void probe_again(struct gossip *g, uint64_t now_ms, const struct member *m);

/* The probe part of a proven packet; answers go to `from`. */
void probe_take(struct gossip *g, uint64_t now_ms, uint64_t sender, const struct gs_addr *from,
                const struct wire_probe *p);
void probe_unreachable(struct gossip *g, uint64_t now_ms, const struct gs_addr *address);
bool probe_awaits(const struct gossip *g, uint32_t sequence); /* is a ping still unanswered? */
/* The TCP side of an indirect probe (sync.c runs the stream). */
void probe_stream_done(struct gossip *g, uint64_t now_ms, uint32_t stream, bool good, bool gone);
void probes_check(const struct probes *p);
