/* event_copy.c - one allocation per event: the array of members first, for its alignment, then all
 * texts behind each other. */
#include "gossip/event_copy.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include <gossamer/alloc.h>

static size_t
bytes_needed(const struct gossip_event *e)
{
    size_t bytes = e->key.len + e->node.name.len + e->node.about.len +
                   e->transaction.count * sizeof(struct gossip_member);

    for (size_t i = 0; i < e->transaction.count; i++)
        bytes += e->transaction.members[i].key.len;
    return bytes;
}

static void
move_text(struct gs_slice *s, char **at)
{
    if (s->len > 0)
        memcpy(*at, s->ptr, s->len);
    s->ptr = *at;
    *at += s->len;
}

struct event_copy *
event_copy_new(const struct gossip_event *e)
{
    size_t bytes = bytes_needed(e);
    struct event_copy *c = gs_alloc(sizeof(*c) + bytes);
    char *at = c->bytes;

    static_assert(offsetof(struct event_copy, bytes) % _Alignof(struct gossip_member) == 0,
                  "members lie at the beginning");
    c->e = *e;
    if (e->transaction.count > 0) {
        struct gossip_member *members = (struct gossip_member *)(void *)at;

        memcpy(members, e->transaction.members, e->transaction.count * sizeof(*members));
        at += e->transaction.count * sizeof(*members);
        for (size_t i = 0; i < e->transaction.count; i++)
            move_text(&members[i].key, &at);
        c->e.transaction.members = members;
    }
    move_text(&c->e.key, &at);
    move_text(&c->e.node.name, &at);
    move_text(&c->e.node.about, &at);
    GS_ASSERT(at == c->bytes + bytes);
    if (e->type == GOSSIP_EVENT_RECORD)
        gossip_record_keep(&e->record);
    else
        c->e.record = (struct gossip_record){ 0 }; /* whatever it held is not kept */
    return c;
}

void
event_copy_free(struct event_copy *c)
{
    if (!c)
        return;
    if (c->e.type == GOSSIP_EVENT_RECORD)
        gossip_record_drop(&c->e.record);
    gs_free(c);
}
