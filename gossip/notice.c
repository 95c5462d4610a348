/* notice.c - a ring of GOSSIP_NOTICES_MAX; the newest is dropped when it is full, because the
 * first few say what went wrong and the count says how often. */
#include "gossip/notice.h"

#include <string.h>

#include <gossamer/alloc.h>

void
notices_fini(struct notices *n)
{
    for (size_t i = 0; i < n->count; i++)
        gs_free(n->ring[(n->first + i) % GOSSIP_NOTICES_MAX].key);
    gs_free(n->out.key);
    *n = (struct notices){ 0 };
}

void
notices_put(struct notices *n, enum gossip_event_type type, struct gs_slice key,
            const struct gs_version *version, const struct gs_id *sender, uint64_t ahead_ms)
{
    struct notice *at;

    GS_ASSERT(type != GOSSIP_EVENT_RECORD);
    GS_ASSERT(type != GOSSIP_EVENT_TRANSACTION);
    GS_ASSERT(type != GOSSIP_EVENT_NODE);
    GS_ASSERT(type != GOSSIP_EVENT_FORGOTTEN);
    GS_ASSERT(n->count <= GOSSIP_NOTICES_MAX);
    if (n->count == GOSSIP_NOTICES_MAX) {
        n->dropped++;
        return;
    }
    at = &n->ring[(n->first + n->count++) % GOSSIP_NOTICES_MAX];
    *at = (struct notice){
        .type = type,
        .key = gs_alloc(key.len + 1),
        .key_len = key.len,
        .version = *version,
        .ahead_ms = ahead_ms,
    };
    memcpy(at->key, key.len > 0 ? key.ptr : "", key.len);
    at->key[key.len] = '\0';
    if (sender)
        at->sender = *sender;
}

bool
notices_next(struct notices *n, struct gossip_event *out)
{
    if (n->count == 0)
        return false;
    gs_free(n->out.key);
    n->out = n->ring[n->first];
    n->first = (n->first + 1) % GOSSIP_NOTICES_MAX;
    n->count--;
    *out = (struct gossip_event){
        .type = n->out.type,
        .key = gs_slice(n->out.key, n->out.key_len),
        .version = n->out.version,
        .sender = n->out.sender,
        .ahead_ms = n->out.ahead_ms,
    };
    return true;
}
