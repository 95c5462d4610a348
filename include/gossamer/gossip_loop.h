/* gossip_loop.h - the gossip core at work: its own thread and loop, sockets, one timer; and the
 * only way to it from the control thread.
 *
 *     control ── call: run(core) ──▶ ring ──▶ gossip thread          (puts, look-ups, leave)
 *     control ◀── done(call) ─────── ring ◀──
 *     control ◀── events ─────────── ring ◀── the core's events; what they point to is kept
 *
 * Both rings are bounded. A call that finds no room waits on the control side, in order. Events
 * wait in the core itself, where each changed key or node is in line once, so none is lost and none
 * piles up. With `shared` everything happens on that one loop, through the same rings. */
#pragma once

#include <gossamer/gossip.h>
#include <gossamer/loop.h>

struct gossip_loop;

struct gossip_call { /* embedded by whoever asks; must stay until done was called */
    struct gs_list link;
    /* On the gossip thread, with the core to itself. Must not block. */
    void (*run)(struct gossip_call *c, struct gossip *g, uint64_t now_ms, uint64_t wall_ms);
    void (*done)(struct gossip_call *c); /* on the control thread, afterwards */
};

struct gossip_sockets {
    int udp, tcp;
    struct gs_addr bound;
};

/* One port for both; with port 0, one that is free for both. Before the core is made, which must
 * know its own address. Refuses with a sentence in *why: GS_E_IN_USE, GS_E_DENIED, GS_E_IO. */
gs_err gossip_sockets_open(const struct gs_addr *bind, struct gossip_sockets *out,
                           struct gs_why *why) GS_MUST_CHECK;
void gossip_sockets_close(struct gossip_sockets *s); /* those that no loop was started with */

struct gossip_loop_options {
    struct gossip *core;           /* taken: freed by gossip_loop_free */
    struct gossip_sockets sockets; /* taken */
    struct gs_loop *control;
    struct gs_loop *shared; /* run on this loop, no thread (--threads 1); else NULL */
    /* Control thread. What the event points to is valid until the call returns, or longer where
     * gossip_record_keep() says so. */
    void (*on_event)(void *arg, const struct gossip_event *e);
    void *arg;
    uint64_t seed;
};

struct gossip_loop *gossip_loop_start(const struct gossip_loop_options *o);
/* Control thread. When c->done is called, every event that the core had after c->run was
 * delivered. */
void gossip_loop_call(struct gossip_loop *l, struct gossip_call *c);
/* Let calls under way end, close all sockets, then done(arg) on the control thread. No call may be
 * made from now on, and no event comes after done. */
void gossip_loop_stop(struct gossip_loop *l, void (*done)(void *arg), void *arg);
void gossip_loop_free(struct gossip_loop *l); /* after done; joins the thread; NULL is fine */

/* ---- faults, for tests and demonstrations ---- */

struct gossip_cut {
    struct gs_id node;
    bool datagrams_only; /* its streams live */
};

struct gossip_cuts { /* embedded by whoever asks, as struct gossip_call */
    struct gossip_call call;
    struct gossip_loop *loop;
    struct gossip_cut items[CUTS_MAX];
    size_t count;
    void (*done)(struct gossip_cuts *c); /* on the control thread, afterwards */
};

/* From now on drop what these nodes send and what is for them, as if the network did, and end their
 * streams; nobody else is cut off any more. Control thread, as gossip_loop_call. */
void gossip_loop_cut(struct gossip_loop *l, struct gossip_cuts *c);

struct gossip_loop_counters {
    uint64_t datagrams_dropped; /* the kernel had no room: EAGAIN */
    uint64_t datagrams_failed;  /* it refused them for another reason */
    uint64_t unreachable;       /* told by a host that nobody listens there */
    uint64_t streams_refused;   /* accepted and closed: there are enough */
    uint64_t frames_refused;    /* longer than FRAME_BYTES_MAX, or empty: the stream was closed */
    uint64_t cut;               /* datagrams and streams, for gossip_loop_cut()'s sake */
};
void gossip_loop_counters(const struct gossip_loop *l, struct gossip_loop_counters *out);
uint64_t gossip_loop_lag_us(struct gossip_loop *l); /* worst of its timer since the last call */
