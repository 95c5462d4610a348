/* queue.h - what is going to happen, in order of time. Integer nanoseconds; what falls on the same
 * one happens in the order it was put, so a run depends on nothing but its seed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tcp;
struct world;

enum event_type {
    EVENT_WAKE,        /* a host's deadline */
    EVENT_DATAGRAM,    /* `parcel` arrives at `host` */
    EVENT_UNREACHABLE, /* ... and `host` hears from `peer` that nobody listens there */
    EVENT_CONNECT,     /* the opening of `stream` arrives at its other end's machine */
    EVENT_ACCEPT,      /* ... and is taken up by the process */
    EVENT_OPENED,      /* `stream` is open, as its `end` hears */
    EVENT_FRAME,       /* `parcel` arrives at `end` of `stream` */
    EVENT_SENT,        /* the last frame left `end` */
    EVENT_CLOSED,      /* `end` hears that the stream is over */
    EVENT_CALL,        /* the scenario's own */
};

struct parcel { /* bytes under way; a duplicate shares them */
    uint32_t refs, len;
    struct parcel *next_free; /* those of a packet's size are kept */
    char bytes[];
};

typedef void (*event_call)(struct world *w, uint64_t a, uint64_t b);

struct event {
    uint64_t at_ns;
    enum event_type type;
    uint32_t host, peer; /* indices */
    uint32_t life;       /* of the process it is meant for */
    uint8_t end;         /* of the stream: 0 opened it */
    bool refused;        /* CLOSED: by a reset to the connect */
    struct parcel *parcel;
    struct tcp *stream;
    event_call call;
    uint64_t a, b;
    struct event *next; /* in a pool or a frozen host's line */
};

struct queue_cell { /* what is compared is beside what is moved */
    uint64_t at_ns, order;
    struct event *event;
};

struct queue {
    struct queue_cell *cells; /* a binary heap, earliest first */
    size_t count, cap;
    uint64_t order;
    struct event *free_events;
    struct parcel *free_parcels;
    void **blocks; /* that events were cut from */
    size_t block_count;
};

void queue_init(struct queue *q);
void queue_fini(struct queue *q); /* with everything that is still in line */
/* A cleared event, to be filled and put, or dropped. */
struct event *queue_event(struct queue *q, enum event_type type);
void queue_put(struct queue *q, struct event *e, uint64_t at_ns);
struct event *queue_next(struct queue *q);         /* NULL when empty; the caller drops it */
uint64_t queue_next_ns(const struct queue *q);     /* UINT64_MAX when empty */
void queue_drop(struct queue *q, struct event *e); /* and its hold on the parcel */

struct parcel *parcel_new(struct queue *q, const char *bytes, size_t len); /* one hold on it */
struct parcel *parcel_share(struct parcel *p);
void parcel_drop(struct queue *q, struct parcel *p);
