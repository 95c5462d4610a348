/* fake_core.h - a gossip core that does nothing but remember, for tests of what carries its
 * packets: they have no other. Included by one file of a test program. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <gossamer/alloc.h>
#include <gossamer/buf.h>
#include <gossamer/gossip_loop.h>

#include "gossip/box.h"
#include "mesh/base/loop_uv.h"

#define FAKE_MAX 8192

enum fake_type {
    FAKE_RECV = 'r',
    FAKE_UNREACHABLE = 'u',
    FAKE_ACCEPT = 'a',
    FAKE_OPENED = 'o',
    FAKE_FRAME = 'f',
    FAKE_SENT = 's',
    FAKE_CLOSED = 'c',
    FAKE_REFUSED = 'x', /* closed, by a reset to the connect */
    FAKE_TICK = 't',
};

struct fake_heard {
    enum fake_type type;
    uint32_t stream;
    size_t len;
    uint64_t hash;
    uint64_t now_ms;
    struct gs_addr address;
};

struct gossip {
    struct fake_heard heard[FAKE_MAX];
    size_t count;
    struct gossip_action actions[64];
    size_t action_count, action_at;
    uint32_t next_stream, accept_max, accepted;
    uint64_t deadline_ms;
    size_t events, told; /* that are in line, and were drained so far */
    enum gossip_event_type event_type;
    struct gossip_node node; /* the only one it knows */
};

static atomic_int fake_kept; /* records that somebody keeps */

static inline struct gossip *
fake_new(void)
{
    struct gossip *g = gs_zalloc(sizeof(*g));

    g->accept_max = 4;
    g->deadline_ms = UINT64_MAX;
    g->event_type = GOSSIP_EVENT_RECORD;
    return g;
}

static inline void
fake_hear(struct gossip *g, enum fake_type type, uint32_t stream, struct gs_slice bytes,
          const struct gs_addr *address, uint64_t now_ms)
{
    GS_ASSERT(g->count < FAKE_MAX);
    g->heard[g->count++] = (struct fake_heard){ .type = type,
                                                .stream = stream,
                                                .len = bytes.len,
                                                .hash = gs_hash(bytes.ptr, bytes.len, 1),
                                                .now_ms = now_ms };
    if (address)
        g->heard[g->count - 1].address = *address;
}

static inline void
fake_ask(struct gossip *g, enum gossip_action_type type, uint32_t stream,
         const struct gs_addr *address, struct gs_slice bytes)
{
    GS_ASSERT(g->action_count < GS_COUNT(g->actions));
    g->actions[g->action_count++] =
        (struct gossip_action){ .type = type, .stream = stream, .bytes = bytes };
    if (address)
        g->actions[g->action_count - 1].address = *address;
}

/* "acf": the types of what was heard, in order. */
static inline const char *
fake_log(const struct gossip *g, char out[FAKE_MAX + 1])
{
    for (size_t i = 0; i < g->count; i++)
        out[i] = (char)g->heard[i].type;
    out[g->count] = '\0';
    return out;
}

static inline size_t
fake_count(const struct gossip *g, enum fake_type type)
{
    size_t n = 0;

    for (size_t i = 0; i < g->count; i++)
        n += g->heard[i].type == type;
    return n;
}

/* ---- the core's interface ---- */

void
gossip_clock_us(struct gossip *g, uint64_t now_us)
{
    (void)g;
    assert_true(now_us > 0);
}

void
gossip_recv(struct gossip *g, uint64_t now_ms, uint64_t wall_ms, const struct gs_addr *from,
            struct gs_slice bytes)
{
    (void)wall_ms;
    fake_hear(g, FAKE_RECV, 0, bytes, from, now_ms);
}

void
gossip_unreachable(struct gossip *g, uint64_t now_ms, const struct gs_addr *address)
{
    fake_hear(g, FAKE_UNREACHABLE, 0, GS_SLICE(""), address, now_ms);
}

uint32_t
gossip_stream_accept(struct gossip *g, uint64_t now_ms, const struct gs_addr *from)
{
    if (g->accepted >= g->accept_max)
        return 0;
    g->accepted++;
    fake_hear(g, FAKE_ACCEPT, ++g->next_stream, GS_SLICE(""), from, now_ms);
    return g->next_stream;
}

void
gossip_stream_opened(struct gossip *g, uint64_t now_ms, uint32_t stream)
{
    fake_hear(g, FAKE_OPENED, stream, GS_SLICE(""), NULL, now_ms);
}

void
gossip_stream_frame(struct gossip *g, uint64_t now_ms, uint64_t wall_ms, uint32_t stream,
                    struct gs_slice bytes)
{
    (void)wall_ms;
    fake_hear(g, FAKE_FRAME, stream, bytes, NULL, now_ms);
}

void
gossip_stream_sent(struct gossip *g, uint64_t now_ms, uint32_t stream)
{
    fake_hear(g, FAKE_SENT, stream, GS_SLICE(""), NULL, now_ms);
}

void
gossip_stream_closed(struct gossip *g, uint64_t now_ms, uint32_t stream, bool refused)
{
    if (g->accepted > 0)
        g->accepted--;
    fake_hear(g, refused ? FAKE_REFUSED : FAKE_CLOSED, stream, GS_SLICE(""), NULL, now_ms);
}

bool
gossip_next_action(struct gossip *g, uint64_t now_ms, struct gossip_action *out)
{
    (void)now_ms;
    if (g->action_at == g->action_count) {
        g->action_at = g->action_count = 0;
        return false;
    }
    *out = g->actions[g->action_at++];
    return true;
}

void
gossip_tick(struct gossip *g, uint64_t now_ms)
{
    fake_hear(g, FAKE_TICK, 0, GS_SLICE(""), NULL, now_ms);
    g->deadline_ms = UINT64_MAX;
}

uint64_t
gossip_deadline_ms(const struct gossip *g)
{
    return g->deadline_ms;
}

bool
gossip_has_event(const struct gossip *g)
{
    return g->told < g->events;
}

bool
gossip_next_event(struct gossip *g, struct gossip_event *out)
{
    if (!gossip_has_event(g))
        return false;
    *out = (struct gossip_event){ .type = g->event_type, .ahead_ms = ++g->told };
    for (size_t i = 0; i < sizeof(size_t); i++)
        out->node.id.bytes[i] = (uint8_t)(g->told >> (8 * i));
    out->node.state = out->former = GOSSIP_LEFT;
    return true;
}

void
gossip_record_keep(const struct gossip_record *r)
{
    (void)r;
    atomic_fetch_add(&fake_kept, 1);
}

void
gossip_record_drop(const struct gossip_record *r)
{
    (void)r;
    atomic_fetch_sub(&fake_kept, 1);
}

bool
gossip_find_node(const struct gossip *g, const struct gs_id *id, struct gossip_node *out)
{
    *out = g->node;
    return gs_id_eq(&g->node.id, id);
}

/* Of packets: what gossip/box.h says of their first bytes. */
uint64_t
box_name(const struct gs_id *id)
{
    uint64_t name;

    memcpy(&name, id->bytes, sizeof(name));
    return name;
}

bool
box_claims(struct gs_slice bytes, uint64_t *sender)
{
    if (bytes.len < BOX_HEADER_BYTES)
        return false;
    memcpy(sender, bytes.ptr + 2, sizeof(*sender));
    return true;
}

static inline void
fake_packet(char out[BOX_HEADER_BYTES], const struct gs_id *from)
{
    memset(out, 'p', BOX_HEADER_BYTES);
    memcpy(out + 2, from->bytes, 8);
}

void
gossip_free(struct gossip *g)
{
    gs_free(g);
}

/* ---- a loop that is turned by the test ---- */

static inline void
fake_give_up(struct gs_timer *t)
{
    (void)t;
    gs_panic(__FILE__, __LINE__, "what the test waits for did not happen");
}

/* One turn; it may sleep until something happens, which the test knows to come. */
static inline void
turn(struct gs_loop *l)
{
    struct gs_timer guard;

    gs_timer_init(&guard, fake_give_up);
    gs_loop_clock(l);
    gs_loop_arm(l, &guard, 20000);
    (void)uv_run(gs_loop_uv(l), UV_RUN_ONCE);
    gs_loop_disarm(l, &guard);
}
