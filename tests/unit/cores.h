/* cores.h - a handful of whole cores on a perfect network in memory: every datagram and frame takes
 * one millisecond of a virtual clock, unless a link is cut or a node is gone. After each tick of a
 * core its deadline must lie ahead, or the loop that drives it would spin. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <gossamer/alloc.h>
#include <gossamer/seal.h>

#include "gossip/core.h"

#define CORES_MAX 32
#define CORES_PIPES_MAX 256
#define CORES_WALL UINT64_C(1732000000000) /* wall clock at time 0 */
#define CORES_KIND GOSSIP_KIND_USER

enum { CUT_UDP = 1, CUT_TCP = 2, CUT_ALL = 3 };

struct letter { /* under way */
    enum { DATAGRAM, UNREACHABLE, CONNECT, CONNECTED, REFUSED, FRAME, SENT, CLOSED } type;
    unsigned from, to;
    unsigned life; /* of the receiver: one that was restarted does not get its mail */
    uint64_t at_ms;
    uint32_t stream; /* the receiver's; of CONNECT the sender's */
    char *bytes;
    size_t len;
};

struct pipe_end {
    unsigned node;
    uint32_t stream; /* 0: this end is closed */
};

struct core {
    struct gossip *g; /* NULL: not running, or an intruder */
    struct gs_id id;
    struct gs_addr address;
    unsigned life;
    bool silent; /* its host is gone: nothing comes back, not even "unreachable" */
    size_t opened, deaths, suspects, records, conflicts, forgotten; /* events */
    /* An intruder has the group's key and says what it likes. */
    struct box *box;
    struct gs_rng rng;
    size_t heard; /* datagrams and frames it got */
    uint32_t last_flags;
    char *saved; /* frames of mesh.state, length first */
    size_t saved_len;
};

struct cores {
    uint64_t now_ms;
    struct core at[CORES_MAX];
    unsigned count;
    struct seal_ring keys;
    struct gossip_tuning tuning;       /* of those who are started from now on */
    uint8_t cut[CORES_MAX][CORES_MAX]; /* from, to */
    struct letter *mail;
    size_t first, last, cap;
    struct pipe_end pipes[CORES_PIPES_MAX][2];
    size_t datagrams, frames, bytes; /* delivered */
    char caught[PACKET_BYTES_MAX];   /* the last datagram, for replays */
    size_t caught_len;
};

static inline uint64_t
cores_wall(const struct cores *c)
{
    return CORES_WALL + c->now_ms;
}

static inline struct gs_id
core_id(unsigned i)
{
    struct gs_id id = { { 0 } };

    id.bytes[0] = (uint8_t)(8 * i + 3);
    id.bytes[1] = (uint8_t)i;
    id.bytes[15] = 1;
    return id;
}

static inline struct gs_addr
core_address(unsigned i)
{
    return (struct gs_addr){ .family = 4, .port = 4190, .ip = { 10, 0, 0, (uint8_t)(i + 1) } };
}

static inline struct cores *
cores_new(unsigned count)
{
    struct cores *c = calloc(1, sizeof(*c));
    uint8_t key[SEAL_KEY_BYTES] = { 7 };

    assert_true(count <= CORES_MAX);
    assert_int_equal(seal_ring_add(&c->keys, key, NULL), GS_E_OK);
    c->now_ms = 1000;
    c->count = count;
    for (unsigned i = 0; i < count; i++) {
        c->at[i].id = core_id(i);
        c->at[i].address = core_address(i);
    }
    return c;
}

static inline void
cores_free(struct cores *c)
{
    for (size_t i = c->first; i < c->last; i++)
        free(c->mail[i].bytes);
    for (unsigned i = 0; i < c->count; i++) {
        gossip_free(c->at[i].g);
        box_free(c->at[i].box);
        free(c->at[i].saved);
    }
    free(c->mail);
    free(c);
}

/* ---- mail ---- */

static inline void
cores_post(struct cores *c, struct letter l, struct gs_slice bytes)
{
    l.at_ms = c->now_ms + 1;
    l.life = c->at[l.to].life;
    if (bytes.len > 0) {
        l.bytes = malloc(bytes.len);
        memcpy(l.bytes, bytes.ptr, bytes.len);
        l.len = bytes.len;
    }
    if (c->last == c->cap) {
        size_t held = c->last - c->first;

        if (held > 0)
            memmove(c->mail, c->mail + c->first, held * sizeof(l));
        c->first = 0;
        c->last = held;
        if (held * 2 >= c->cap) {
            c->cap = c->cap * 2 + 256;
            c->mail = realloc(c->mail, c->cap * sizeof(l));
        }
    }
    c->mail[c->last++] = l;
}

static inline unsigned
cores_who(const struct cores *c, const struct gs_addr *a)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (gs_addr_eq(&c->at[i].address, a))
            return i;
    }
    return CORES_MAX; /* nobody */
}

static inline struct pipe_end *
cores_pipe(struct cores *c, unsigned node, uint32_t stream)
{
    for (size_t i = 0; i < CORES_PIPES_MAX; i++) {
        for (unsigned e = 0; e < 2; e++) {
            if (stream != 0 && c->pipes[i][e].node == node && c->pipes[i][e].stream == stream)
                return c->pipes[i];
        }
    }
    return NULL;
}

static inline struct pipe_end *
cores_other_end(struct cores *c, unsigned node, uint32_t stream)
{
    struct pipe_end *p = cores_pipe(c, node, stream);

    if (!p)
        return NULL;
    return p[0].node == node && p[0].stream == stream ? &p[1] : &p[0];
}

/* Both ends are gone for the network; the other one hears of it. */
static inline void
cores_hang_up(struct cores *c, unsigned node, uint32_t stream)
{
    struct pipe_end *p = cores_pipe(c, node, stream);
    struct pipe_end *other = cores_other_end(c, node, stream);

    if (!p)
        return;
    cores_post(
        c,
        (struct letter){ .type = CLOSED, .from = node, .to = other->node, .stream = other->stream },
        GS_SLICE_NONE);
    /* The other end stays known until it was told, so that what it sends meanwhile is dropped. */
    p[0] = p[1] = (struct pipe_end){ 0 };
}

static inline void
core_act(struct cores *c, unsigned i, const struct gossip_action *a)
{
    struct letter l = { .from = i, .stream = a->stream };
    struct pipe_end *other;

    switch (a->type) {
    case GOSSIP_SEND:
    case GOSSIP_STREAM_OPEN:
        l.to = cores_who(c, &a->address);
        l.type = a->type == GOSSIP_SEND ? DATAGRAM : CONNECT;
        if (l.to < CORES_MAX)
            cores_post(c, l, a->bytes);
        break;
    case GOSSIP_STREAM_SEND:
        other = cores_other_end(c, i, a->stream);
        if (!other)
            break;
        cores_post(
            c,
            (struct letter){ .type = FRAME, .from = i, .to = other->node, .stream = other->stream },
            a->bytes);
        cores_post(c, (struct letter){ .type = SENT, .from = i, .to = i, .stream = a->stream },
                   GS_SLICE_NONE);
        break;
    case GOSSIP_STREAM_CLOSE:
        cores_hang_up(c, i, a->stream);
        break;
    }
}

/* What its owner does after every call: actions, then events. */
static inline void
core_drain(struct cores *c, unsigned i)
{
    struct core *n = &c->at[i];
    struct gossip_action a;
    struct gossip_event ev;
    bool idle = true;

    for (; gossip_next_action(n->g, c->now_ms, &a); idle = false)
        core_act(c, i, &a);
    for (; gossip_next_event(n->g, &ev); idle = false) {
        n->opened += ev.type == GOSSIP_EVENT_OPENED;
        n->deaths += ev.type == GOSSIP_EVENT_NODE && ev.node.state == GOSSIP_DEAD;
        n->suspects += ev.type == GOSSIP_EVENT_NODE && ev.node.state == GOSSIP_SUSPECT;
        n->records += ev.type == GOSSIP_EVENT_RECORD;
        n->conflicts += ev.type == GOSSIP_EVENT_CONFLICT;
        n->forgotten += ev.type == GOSSIP_EVENT_FORGOTTEN;
    }
    if (!idle)
        gossip_check(n->g);
}

static inline void
core_tick(struct cores *c, unsigned i)
{
    gossip_tick(c->at[i].g, c->now_ms);
    core_drain(c, i);
    assert_true(gossip_deadline_ms(c->at[i].g) > c->now_ms);
}

/* ---- life of a node ---- */

static inline void
core_new(struct cores *c, unsigned i, uint64_t boot)
{
    struct core *n = &c->at[i];
    char name[8];
    int len = snprintf(name, sizeof(name), "n%u", i);

    assert_null(n->g);
    n->life++;
    n->silent = false;
    n->opened = n->deaths = n->suspects = n->records = n->conflicts = n->forgotten = 0;
    n->g = gossip_new(&(struct gossip_options){ .self = n->id,
                                                .boot = boot,
                                                .name = gs_slice(name, (size_t)len),
                                                .address = n->address,
                                                .keys = &c->keys,
                                                .tuning = c->tuning,
                                                .session = 1000 * (i + 1) + n->life,
                                                .seed = 50 * i + n->life });
}

/* With one seed; CORES_MAX: with none but itself. */
static inline void
core_join(struct cores *c, unsigned i, unsigned seed)
{
    gossip_join(c->at[i].g, c->now_ms, &c->at[seed < CORES_MAX ? seed : i].address, 1);
    core_drain(c, i);
}

static inline void
core_save(struct cores *c, unsigned i)
{
    struct core *n = &c->at[i];
    struct gossip_cursor at = { 0 };
    struct gossip_frame f;

    free(n->saved);
    n->saved = NULL;
    n->saved_len = 0;
    while (gossip_next_frame(n->g, &at, &f)) {
        size_t head[2] = { f.kind, f.bytes.len };

        n->saved = realloc(n->saved, n->saved_len + sizeof(head) + f.bytes.len);
        memcpy(n->saved + n->saved_len, head, sizeof(head));
        memcpy(n->saved + n->saved_len + sizeof(head), f.bytes.ptr, f.bytes.len);
        n->saved_len += sizeof(head) + f.bytes.len;
    }
}

static inline void
core_restore(struct cores *c, unsigned i)
{
    struct core *n = &c->at[i];

    for (size_t at = 0; at < n->saved_len;) {
        size_t head[2];
        struct gs_why why;

        memcpy(head, n->saved + at, sizeof(head));
        assert_int_equal(gossip_restore(n->g, c->now_ms, cores_wall(c), (uint16_t)head[0],
                                        gs_slice(n->saved + at + sizeof(head), head[1]), &why),
                         GS_E_OK);
        at += sizeof(head) + head[1];
    }
}

/* The process is gone; its host answers for it unless it is silent. What it knew is on its disk. */
static inline void
core_kill(struct cores *c, unsigned i, bool silent)
{
    struct core *n = &c->at[i];

    core_save(c, i);
    for (size_t k = 0; k < CORES_PIPES_MAX; k++) {
        for (unsigned e = 0; e < 2; e++) {
            if (c->pipes[k][e].stream != 0 && c->pipes[k][e].node == i) {
                if (silent)
                    c->pipes[k][0] = c->pipes[k][1] = (struct pipe_end){ 0 };
                else
                    cores_hang_up(c, i, c->pipes[k][e].stream);
            }
        }
    }
    gossip_free(n->g);
    n->g = NULL;
    n->life++;
    n->silent = silent;
}

/* All of them, all by the first one. */
static inline void
cores_start(struct cores *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        core_new(c, i, 100);
        core_join(c, i, 0);
    }
}

/* ---- delivery ---- */

static inline void
intruder_hears(struct cores *c, struct core *n, const struct letter *l)
{
    static struct gs_slice records[WIRE_PACKET_RECORDS_MAX];
    char plain[PACKET_BYTES_MAX];
    struct wire_packet p;
    struct box_opened o;

    n->heard++;
    if (l->type != DATAGRAM)
        return;
    o = box_open(n->box, gs_slice(l->bytes, l->len), NULL, plain);
    if (o.verdict == BOX_REFUSED || wire_read_packet(o.body, &p, records) != GS_E_OK)
        return;
    n->last_flags = p.flags;
    (void)!box_take(n->box, c->now_ms, &o, &(struct box_tokens){ p.challenge, p.echo });
}

static inline void
cores_connect(struct cores *c, const struct letter *l)
{
    struct core *n = &c->at[l->to];
    uint32_t stream;

    if (n->silent || (c->cut[l->from][l->to] | c->cut[l->to][l->from]) & CUT_TCP)
        return;
    stream = n->g ? gossip_stream_accept(n->g, c->now_ms, &c->at[l->from].address) : 0;
    if (stream == 0) {
        cores_post(c,
                   (struct letter){ .type = n->g ? CLOSED : REFUSED,
                                    .from = l->to,
                                    .to = l->from,
                                    .stream = l->stream },
                   GS_SLICE_NONE);
        return;
    }
    for (size_t i = 0; i < CORES_PIPES_MAX; i++) {
        if (c->pipes[i][0].stream == 0 && c->pipes[i][1].stream == 0) {
            c->pipes[i][0] = (struct pipe_end){ l->from, l->stream };
            c->pipes[i][1] = (struct pipe_end){ l->to, stream };
            break;
        }
    }
    cores_post(
        c, (struct letter){ .type = CONNECTED, .from = l->to, .to = l->from, .stream = l->stream },
        GS_SLICE_NONE);
}

static inline void
cores_datagram(struct cores *c, const struct letter *l)
{
    struct core *n = &c->at[l->to];

    if (c->cut[l->from][l->to] & CUT_UDP || n->silent)
        return;
    c->datagrams++;
    c->bytes += l->len;
    if (n->g) {
        memcpy(c->caught, l->bytes, l->len);
        c->caught_len = l->len;
        gossip_recv(n->g, c->now_ms, cores_wall(c), &c->at[l->from].address,
                    gs_slice(l->bytes, l->len));
    } else if (n->box) {
        intruder_hears(c, n, l);
    } else if (!(c->cut[l->to][l->from] & CUT_UDP)) {
        cores_post(c, (struct letter){ .type = UNREACHABLE, .from = l->to, .to = l->from },
                   GS_SLICE_NONE);
    }
}

static inline void
cores_deliver(struct cores *c, const struct letter *l)
{
    struct core *n = &c->at[l->to];
    bool blocked = l->from != l->to && c->cut[l->from][l->to] & CUT_TCP;

    if (l->type == DATAGRAM) {
        cores_datagram(c, l);
    } else if (l->type == CONNECT) {
        cores_connect(c, l);
    } else if (n->box) {
        intruder_hears(c, n, l);
    } else if (!n->g || n->life != l->life) {
        return;
    } else if (l->type == UNREACHABLE) {
        gossip_unreachable(n->g, c->now_ms, &c->at[l->from].address);
    } else if (l->type == SENT) {
        if (cores_pipe(c, l->to, l->stream))
            gossip_stream_sent(n->g, c->now_ms, l->stream);
    } else if (blocked) {
        return;
    } else if (l->type == CONNECTED) {
        gossip_stream_opened(n->g, c->now_ms, l->stream);
    } else if (l->type == FRAME) {
        c->frames++;
        c->bytes += l->len;
        gossip_stream_frame(n->g, c->now_ms, cores_wall(c), l->stream, gs_slice(l->bytes, l->len));
    } else {
        gossip_stream_closed(n->g, c->now_ms, l->stream, l->type == REFUSED);
    }
    if (n->g)
        core_drain(c, l->to);
}

static inline uint64_t
cores_next_ms(const struct cores *c)
{
    uint64_t next = c->first < c->last ? c->mail[c->first].at_ms : UINT64_MAX;

    for (unsigned i = 0; i < c->count; i++) {
        if (c->at[i].g && gossip_deadline_ms(c->at[i].g) < next)
            next = gossip_deadline_ms(c->at[i].g);
    }
    return next;
}

/* Everything that is due at the next moment at which something is; not later than until_ms. */
static inline void
cores_step(struct cores *c, uint64_t until_ms)
{
    uint64_t next = cores_next_ms(c);

    if (next > c->now_ms)
        c->now_ms = next < until_ms ? next : until_ms;
    while (c->first < c->last && c->mail[c->first].at_ms <= c->now_ms) {
        struct letter l = c->mail[c->first++];

        cores_deliver(c, &l);
        free(l.bytes);
    }
    for (unsigned i = 0; i < c->count; i++) {
        if (c->at[i].g && gossip_deadline_ms(c->at[i].g) <= c->now_ms)
            core_tick(c, i);
    }
}

static inline void
cores_run(struct cores *c, uint64_t ms)
{
    uint64_t end = c->now_ms + ms;

    while (c->now_ms < end)
        cores_step(c, end);
}

/* Until it holds, for `ms` at most; returns how long that took, UINT64_MAX: it did not. */
static inline uint64_t
cores_until(struct cores *c, bool (*holds)(const struct cores *c, unsigned about), unsigned about,
            uint64_t ms)
{
    uint64_t began = c->now_ms, end = c->now_ms + ms;

    while (!holds(c, about)) {
        if (c->now_ms >= end)
            return UINT64_MAX;
        cores_step(c, end);
    }
    return c->now_ms - began;
}

static inline void
assert_until(struct cores *c, bool (*holds)(const struct cores *c, unsigned about), unsigned about,
             uint64_t ms)
{
    assert_true(cores_until(c, holds, about, ms) <= ms);
}

/* ---- looking ---- */

static inline enum gossip_state
state_at(const struct cores *c, unsigned observer, unsigned subject)
{
    struct gossip_node n;

    return gossip_find_node(c->at[observer].g, &c->at[subject].id, &n) ? n.state : GOSSIP_UNKNOWN;
}

static inline bool
all_say(const struct cores *c, unsigned subject, enum gossip_state s)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (c->at[i].g && i != subject && state_at(c, i, subject) != s)
            return false;
    }
    return true;
}

static inline bool
all_say_dead(const struct cores *c, unsigned subject)
{
    return all_say(c, subject, GOSSIP_DEAD);
}

static inline bool
all_say_left(const struct cores *c, unsigned subject)
{
    return all_say(c, subject, GOSSIP_LEFT);
}

static inline bool
all_say_alive(const struct cores *c, unsigned subject)
{
    return all_say(c, subject, GOSSIP_ALIVE);
}

static inline bool
some_suspect(const struct cores *c, unsigned subject)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (c->at[i].g && state_at(c, i, subject) == GOSSIP_SUSPECT)
            return true;
    }
    return false;
}

/* Everybody who runs knows everybody who runs. */
static inline bool
all_know_all(const struct cores *c, unsigned unused)
{
    (void)unused;
    for (unsigned i = 0; i < c->count; i++) {
        if (c->at[i].g && !all_say_alive(c, i))
            return false;
    }
    return true;
}

static inline bool
roots_equal(const struct cores *c, unsigned unused)
{
    uint64_t first[WIRE_CLASSES], roots[WIRE_CLASSES];
    bool any = false;

    (void)unused;
    for (unsigned i = 0; i < c->count; i++) {
        if (!c->at[i].g)
            continue;
        gossip_roots(c->at[i].g, any ? roots : first);
        if (any && memcmp(first, roots, sizeof(roots)) != 0)
            return false;
        any = true;
    }
    return true;
}

static inline bool
is_settled(const struct cores *c, unsigned unused)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (c->at[i].g && (gossip_standing(c->at[i].g) != GOSSIP_OPEN ||
                           !gs_list_empty(&c->at[i].g->rumors.claims) ||
                           !gs_list_empty(&c->at[i].g->rumors.records)))
            return false;
    }
    return all_know_all(c, unused) && roots_equal(c, unused);
}

/* Started, all known to each other, open, nothing left to tell. */
static inline struct cores *
cores_settled(unsigned count)
{
    struct cores *c = cores_new(count);

    cores_start(c);
    assert_until(c, is_settled, 0, 10000);
    cores_run(c, 2000); /* sessions between all of them are proven, round trips measured */
    assert_until(c, is_settled, 0, 10000);
    return c;
}

static inline struct gossip_counters
counters(const struct cores *c, unsigned i)
{
    struct gossip_counters n;

    gossip_counters(c->at[i].g, &n);
    return n;
}

static inline void
cut(struct cores *c, unsigned a, unsigned b, unsigned what)
{
    c->cut[a][b] = c->cut[b][a] = (uint8_t)what;
}

static inline void
isolate(struct cores *c, unsigned node, unsigned what)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (i != node)
            cut(c, node, i, what);
    }
}

/* ---- writing ---- */

static inline struct gs_version
core_put(struct cores *c, unsigned i, const char *key, struct gs_slice value, bool remove)
{
    struct gossip_op op = { CORES_KIND, gs_slice_str(key), value, remove, NULL };
    struct gossip_put_result result;
    struct gs_why why = { "" };

    if (gossip_put(c->at[i].g, c->now_ms, cores_wall(c), &op, 1, &result, &why) != GS_E_OK)
        fail_msg("%s", why.text);
    core_drain(c, i);
    return result.version;
}

static inline void
core_put_own(struct cores *c, unsigned i, const char *key, const char *value)
{
    struct gossip_op op = { CORES_KIND, gs_slice_str(key), gs_slice_str(value), !value, NULL };
    struct gossip_put_result result;
    struct gs_why why;

    assert_int_equal(gossip_put_own(c->at[i].g, c->now_ms, &op, &result, &why), GS_E_OK);
    core_drain(c, i);
}

static inline bool
core_has(const struct cores *c, unsigned i, const char *key, const struct gs_version *v)
{
    struct gossip_record r;

    return gossip_find(c->at[i].g, GOSSIP_OPERATOR, NULL, gs_slice_str(key), &r) &&
           gs_version_cmp(&r.version, v) == 0;
}

/* ---- an intruder ---- */

static inline void
intruder_start(struct cores *c, unsigned i)
{
    struct core *n = &c->at[i];

    assert_null(n->g);
    n->life++;
    gs_rng_init(&n->rng, 4711 + i);
    box_free(n->box);
    n->box = box_new(&n->id, 90000 + n->life, &c->keys, &n->rng);
}

static inline void
intruder_send(struct cores *c, unsigned i, unsigned to, const struct wire_packet *said)
{
    struct core *n = &c->at[i];
    struct box_tokens t = box_tokens(n->box, c->now_ms, box_name(&c->at[to].id));
    struct wire_packet p = *said;
    char sealed[PACKET_BYTES_MAX];
    struct gs_buf body;

    p.challenge = t.challenge;
    p.echo = t.echo;
    gs_buf_init(&body, PACKET_BYTES_MAX - BOX_OVERHEAD);
    assert_int_equal(wire_put_packet(&body, &p), GS_E_OK);
    box_seal(n->box, gs_buf_slice(&body), sealed);
    cores_post(c, (struct letter){ .type = DATAGRAM, .from = i, .to = to },
               gs_slice(sealed, gs_buf_slice(&body).len + BOX_OVERHEAD));
    gs_buf_fini(&body);
}

/* Proven to each other: what it says from now on is taken. */
static inline void
intruder_prove(struct cores *c, unsigned i, unsigned to)
{
    static const char pad[64]; /* an answer is never longer than what it answers */
    struct wire_packet hello = {
        .probe = { .type = WIRE_PING, .sequence = 1, .target = c->at[to].id },
        .pad = gs_slice(pad, sizeof(pad))
    };

    for (int k = 0; k < 3; k++) {
        intruder_send(c, i, to, &hello);
        cores_run(c, 5);
    }
    assert_true(box_is_proven(c->at[to].g->box, box_name(&c->at[i].id)));
}

static inline void
intruder_claim(struct cores *c, unsigned i, unsigned to, const struct wire_claim *claim)
{
    char bytes[WIRE_CLAIM_BYTES];
    struct wire_packet p = { .claims = gs_slice(bytes, sizeof(bytes)) };

    wire_put_claim(bytes, claim);
    if (claim->restarting)
        p.marks = gs_slice("\0\0", WIRE_MARK_BYTES);
    intruder_send(c, i, to, &p);
}

static inline void
intruder_record(struct cores *c, unsigned i, unsigned to, const struct wire_record *w)
{
    struct gs_slice list[1];
    struct version *v;

    assert_int_equal(version_make(w, &v), GS_E_OK);
    list[0] = v->r.bytes;
    intruder_send(c, i, to, &(struct wire_packet){ .records = list, .record_count = 1 });
    version_free(v);
}

/* A mesh of `count` with an intruder, the last one, that all of them believe to be a process. */
static inline struct cores *
cores_with_intruder(unsigned count)
{
    struct cores *c = cores_settled(count);

    assert_true(c->count < CORES_MAX);
    c->at[count].id = core_id(count);
    c->at[count].address = core_address(count);
    c->count++;
    intruder_start(c, count);
    for (unsigned i = 0; i < count; i++)
        intruder_prove(c, count, i);
    return c;
}
