/* core.h - what is inside a struct gossip; for the files of the core alone. */
#pragma once

#include <gossamer/gossip.h>
#include <gossamer/rng.h>

#include "gossip/box.h"
#include "gossip/member.h"
#include "gossip/outbox.h"
#include "gossip/probe.h"
#include "gossip/records.h"
#include "gossip/rumor.h"
#include "gossip/standing.h"
#include "gossip/sync.h"

struct gossip {
    struct gs_id self;
    struct gs_slice name, about; /* own copies */
    struct gs_addr address;
    struct gs_rng rng;
    struct gossip_tuning tuning; /* without zeros */
    struct box *box;             /* NULL: a store alone */
    struct records records;
    struct members members;
    struct probes probes;
    struct rumors rumors;
    struct syncs syncs;
    struct standing standing;
    struct outbox outbox;
    uint64_t left_ms;         /* when it may go, while leaving */
    uint64_t restart_ms;      /* the same, while restarting; 0: it may */
    uint64_t now_us;          /* fine clock; 0: there is none */
    struct gossip_counters n; /* those that are not kept elsewhere */
};

/* ---- gossip.c, for the others ---- */

/* Take what a proven packet says: claims and records. */
void gossip_take(struct gossip *g, uint64_t now_ms, uint64_t wall_ms, const struct gs_id *sender,
                 const struct wire_packet *p, bool hearsay);
/* All roots of this node. */
void gossip_roots(const struct gossip *g, uint64_t roots[WIRE_CLASSES]);
uint32_t gossip_flags(const struct gossip *g); /* WIRE_OPEN, WIRE_POLICY */
