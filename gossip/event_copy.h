/* event_copy.h - an event that outlives the core's next call, on its way to another thread. */
#pragma once

#include <gossamer/gossip.h>

struct event_copy {
    struct gossip_event e;
    char bytes[]; /* what e points to, but for a record, which is counted instead */
};

struct event_copy *event_copy_new(const struct gossip_event *e);
void event_copy_free(struct event_copy *c); /* any thread; NULL is fine */
