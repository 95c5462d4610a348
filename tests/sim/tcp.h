/* tcp.h - TCP as the core's caller sees it: whole frames, in order, or an end. */
#pragma once

#include <gossamer/gossip.h>

#include "tests/sim/queue.h"

struct host;
struct world;

#define TCP_GIVES_UP_NS UINT64_C(3000000000)   /* on silence */
#define TCP_RETRANSMITS_NS UINT64_C(200000000) /* what was lost, as Linux at the least */
#define TCP_PORT_EPHEMERAL 32768

struct tcp_end {
    uint32_t host, life, number;
    bool open;           /* its core knows of it */
    uint64_t sent_ns;    /* when its last frame has left */
    uint64_t arrives_ns; /* when the last thing it sent is there: nothing overtakes */
};

struct tcp {
    struct tcp_end ends[2]; /* 0 opened it */
    uint32_t refs;          /* events that name it */
    bool broken;            /* nothing passes any more; both ends were or will be told */
    uint64_t asked_ns;      /* when it was asked for */
    struct tcp **link;      /* what points to it */
    struct tcp *next;
};

struct tcps {
    struct tcp *all;
    uint64_t opened, refused, timed_out, frames, frame_bytes, broken;
};

void tcps_fini(struct tcps *s);

/* ---- what a core asks for ---- */

void tcp_open(struct world *w, struct host *from, const struct gossip_action *a);
void tcp_send(struct world *w, struct host *from, const struct gossip_action *a);
void tcp_close(struct world *w, struct host *from, uint32_t number);

/* ---- what the queue has; each takes e ---- */

void tcp_on_connect(struct world *w, struct event *e);
void tcp_on_event(struct world *w, struct event *e); /* ACCEPT, OPENED, FRAME, SENT, CLOSED */
/* The same, in the process: tell its core. Borrows e. */
void tcp_feed(struct world *w, struct host *h, const struct event *e);
void tcp_unref(struct tcp *s);

/* The process at the host ended; with its machine when `quietly`, so that nobody is told. */
void tcp_process_ended(struct world *w, struct host *h, bool quietly);
