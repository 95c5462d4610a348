/* notice.h - events that are told when there is room and counted when there is not. */
#pragma once

#include <gossamer/gossip.h>

struct notice {
    enum gossip_event_type type;
    char *key; /* owned */
    size_t key_len;
    struct gs_version version;
    struct gs_id sender;
    uint64_t ahead_ms;
};

struct notices {
    struct notice ring[GOSSIP_NOTICES_MAX];
    size_t first, count;
    uint64_t dropped;
    struct notice out; /* handed out last; its key lives until the next call */
};

void notices_fini(struct notices *n); /* zeroed is empty */
/* key and what version and sender point to are copied; sender may be NULL. */
void notices_put(struct notices *n, enum gossip_event_type type, struct gs_slice key,
                 const struct gs_version *version, const struct gs_id *sender, uint64_t ahead_ms);
bool notices_next(struct notices *n, struct gossip_event *out);
