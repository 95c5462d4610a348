/* host.h - one machine: a process with a core in it, clocks, a disk. */
#pragma once

#include <gossamer/gossip.h>
#include <gossamer/buf.h>

#include "tests/sim/disk.h"
#include "tests/sim/queue.h"

struct world;

#define HOST_OWN_KEYS 3       /* what a node says of itself: its "endpoints" */
#define HOST_INBOX_MAX 256    /* datagrams that wait for a frozen process, as in a socket */
#define HOST_ACTIONS_MAX 8192 /* of one step: more is a core that does not end */

enum host_state {
    HOST_DOWN, /* no process; the kernel answers for it */
    HOST_RUNNING,
    HOST_FROZEN, /* stopped: the kernel queues for it */
    HOST_GONE,   /* no power: silence */
};

struct host_stream { /* what the core knows by a number */
    uint32_t number;
    uint8_t end;
    struct tcp *stream;
};

struct host_own { /* the last it said about itself under one key in this life */
    bool said;
    bool removed;
    struct gs_version version; /* or a later one: the core raises its boot if another had it */
    char value[64];
};

struct host_belief {
    bool listed;   /* told of, and not since that it is forgotten */
    uint8_t state; /* enum gossip_state */
    bool restarting;
};

struct host_seen {
    struct gs_version version;
    bool tombstone; /* may be dropped in time, and then the key begins anew */
};

struct host {
    uint32_t index;
    struct gs_id id;
    struct gs_addr address;
    char name[16];

    enum host_state state;
    struct gossip *core; /* while RUNNING or FROZEN */
    uint32_t life;       /* processes so far: what was meant for a former one is not for this */
    bool leaving, left;
    bool restarting;     /* it said that it restarts, and goes when that was told */
    bool farewell;       /* somebody heard that it left */
    uint64_t leave_boot; /* at which it last said goodbye */
    uint64_t started_ns;

    /* What its clocks show against the world's. */
    uint64_t mono_offset_ns;
    int64_t wall_offset_ms;
    int32_t rate_ppm;

    uint64_t armed_ns;   /* of its WAKE that counts; UINT64_MAX: none */
    uint32_t idle_ticks; /* since its clock last moved */
    uint64_t ticked_ms;
    struct event *inbox, **inbox_end;
    uint32_t inbox_datagrams;
    struct host_stream *streams;
    uint32_t stream_count, stream_cap;

    struct disk disk;
    struct disk backup; /* of some earlier time */
    uint64_t backup_ns;
    bool flush_due;
    struct host_own own[HOST_OWN_KEYS];

    /* What the oracles keep of it. */
    uint64_t boot, boot_max;               /* now; of all its lives */
    uint32_t incarnation, incarnation_max; /* the latter of boot_max */
    uint64_t disturbed_ns; /* until when something was done to it; UINT64_MAX: still */
    /* Until then nobody may bury it: it said that it restarts, and was well. UINT64_MAX: it has
     * not gone yet, or is back in time. */
    uint64_t promised_ns;
    struct host_belief *beliefs; /* of each host, as its events told */
    uint32_t alive_known;        /* how many of them are alive */
    struct host_seen *seen;      /* of each operator's key, as its events told */
    struct races *races;         /* of each operator's key */
};

static inline bool
host_is_up(const struct host *h)
{
    return h->core != NULL;
}

uint64_t host_now_ms(const struct world *w, const struct host *h);
uint64_t host_wall_ms(const struct world *w, const struct host *h);

void host_init(struct world *w, struct host *h, uint32_t index);
void host_fini(struct world *w, struct host *h);
/* Start a process from what the disk holds, and let it join; or in two steps. */
void host_start(struct world *w, struct host *h);
void host_make(struct world *w, struct host *h);
void host_join(struct world *w, struct host *h);
/* Kill it (-9). state: HOST_DOWN or HOST_GONE */
void host_crash(struct world *w, struct host *h, enum host_state state);
void host_freeze(struct world *w, struct host *h);
void host_thaw(struct world *w, struct host *h);
void host_leave(struct world *w, struct host *h);
/* It says that it restarts, and stops when that was told. */
void host_restart(struct world *w, struct host *h);
/* Takes e: something arrives for the process. */
void host_input(struct world *w, struct host *h, struct event *e);
void host_wake(struct world *w, struct host *h, uint64_t armed_ns);
/* After somebody called the core: drain it and see to its deadline. */
void host_step(struct world *w, struct host *h);
/* What an operator just wrote here goes to the disk now, and is acknowledged then. */
void host_commit(struct world *w, struct host *h);
/* Say something about itself under one of HOST_OWN_KEYS. */
void host_say(struct world *w, struct host *h, unsigned key, bool removed);
