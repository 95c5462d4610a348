/* box.c - sealed packets, replay windows and proofs of life. Start reading at box_open(), then
 * box_take().
 *
 *     box_open ─┬─ REFUSED: own, no key, forged, seen before
 *               ├─ GOOD: of the sender's proven session; its window moves
 *               └─ UNKNOWN ─▶ box_take ─┬─ it echoed what we drew for it: its session is proven
 *                                       └─ else only its challenge is kept, to be echoed
 *
 * A challenge is for a node, not for one of its sessions: it goes out before we know which one that
 * has. It is spent by the first proof, and a new one is drawn only after that, so whoever proves
 * itself later was alive later. What a session sealed before its proof counts as seen: a recording
 * of that time must not find an empty window. */
#include "gossip/box.h"

#include <gossamer/alloc.h>
#include <gossamer/list.h>
#include <gossamer/map.h>

#include "gossip/wire.h"

#define BOX_MAGIC 0xc1 /* major version 1; never the first byte of msgpack */
#define BOX_SEQUENCE_BYTES 6
#define BOX_SEQUENCE_MAX ((UINT64_C(1) << 48) - 1)
#define BOX_PURPOSE "gossamer packet 1"
#define BOX_INFO_BYTES (sizeof(BOX_PURPOSE) - 1 + 16)

/* Where the header's parts begin. */
#define HEADER_EPOCH 1
#define HEADER_SENDER 2
#define HEADER_SESSION 10
#define HEADER_SEQUENCE 18

#define CHALLENGE_LIFE_MS 10000 /* an echo later than this proves nothing */
#define CHALLENGE_REUSE_MS 5000 /* an answer to the last packet that carries it is still in time */
#define PROVEN_IDLE_MS (3600 * UINT64_C(1000)) /* unheard of for so long: may make room */
#define DERIVED_MAX 64                         /* a power of two */

#define WINDOW_WORDS (REPLAY_WINDOW_BITS / 64)

_Static_assert(HEADER_SEQUENCE + BOX_SEQUENCE_BYTES == BOX_HEADER_BYTES, "a header is its parts");
_Static_assert(REPLAY_WINDOW_BITS % 64 == 0, "a window is whole words");
_Static_assert((DERIVED_MAX & (DERIVED_MAX - 1)) == 0, "an index is masked");

struct header {
    uint8_t epoch;
    uint64_t sender, session, sequence;
};

struct derived {              /* a session's key */
    uint64_t sender, session; /* session 0: none */
    bool present;             /* else there is no key yet, of whatever epoch */
    uint8_t epoch;
    uint8_t key[SEAL_KEY_BYTES];
};

struct window {
    uint64_t top;                /* highest sequence seen */
    uint64_t seen[WINDOW_WORDS]; /* bit sequence % REPLAY_WINDOW_BITS, of the last that many */
};

struct challenge {
    uint64_t value; /* 0: none */
    uint64_t drawn_ms;
};

struct peer {
    uint64_t name;
    struct gs_list link; /* in `proven` or `unproven`, the one longest unheard of first */
    uint64_t heard_ms;   /* or spoken to */
    struct derived key;  /* of the proven session: key.session is its number, 0: none is proven */
    struct window window;
    uint64_t proven_at; /* on the count of draws and proofs (box.events) */
    uint64_t pending;   /* a session heard of since, not proven; 0: none */
    struct challenge ours;
    uint64_t echo; /* what we owe; 0: nothing */
    uint64_t echo_ms;
    uint64_t answered_ms; /* of the last answer to an unknown session... */
    bool answered;        /* ... if there was any */
};

struct box {
    uint64_t name, session;
    uint64_t sequence; /* of the last packet sealed */
    const struct seal_ring *keys;
    struct seal_ring ring; /* what it held when the keys below and in peers were derived */
    struct derived own;
    struct gs_rng *rng;
    struct seal_aead *aead;
    struct gs_map peers;
    struct gs_list proven, unproven;
    uint64_t now_ms; /* the latest told: box_open() is told none */
    uint64_t events;
    struct challenge anybody; /* for who is asked by address alone */
    /* Keys of sessions whose seal did fit, for as long as they are not proven. A cache: lost
     * entries are derived again. */
    struct derived derived[DERIVED_MAX];
};

/* ---- keys ---- */

static void
derive(const uint8_t *group_key, uint8_t epoch, uint64_t sender, uint64_t session,
       struct derived *out)
{
    char info[BOX_INFO_BYTES];

    GS_ASSERT(session != 0);
    memcpy(info, BOX_PURPOSE, sizeof(BOX_PURPOSE) - 1);
    wire_put_u64(info + sizeof(BOX_PURPOSE) - 1, sender);
    wire_put_u64(info + sizeof(BOX_PURPOSE) - 1 + 8, session);
    seal_derive(group_key, gs_slice(info, sizeof(info)), out->key);
    out->sender = sender;
    out->session = session;
    out->epoch = epoch;
    out->present = true;
}

/* When the ring changes, what was derived from it is void: an epoch may be another key's now. */
static void
learn_keys(struct box *b)
{
    GS_ASSERT(b->keys->count > 0);
    if (memcmp(&b->ring, b->keys, sizeof(b->ring)) == 0)
        return;
    b->ring = *b->keys;
    explicit_bzero(b->derived, sizeof(b->derived));
    GS_LIST_EACH(at, &b->proven) {
        GS_LIST_ENTRY(at, struct peer, link)->key.present = false;
    }
    derive(b->ring.keys[0].bytes, b->ring.keys[0].epoch, b->name, b->session, &b->own);
}

static bool
is_key_of(const struct derived *d, const struct header *h)
{
    return d->present && d->session == h->session && d->sender == h->sender && d->epoch == h->epoch;
}

static struct derived *
derived_place(struct box *b, uint64_t sender, uint64_t session)
{
    return &b->derived[(sender ^ session) & (DERIVED_MAX - 1)];
}

/* The key that is remembered for this packet, or NULL. */
static const struct derived *
known_key(struct box *b, const struct peer *p, const struct header *h)
{
    const struct derived *place = derived_place(b, h->sender, h->session);

    if (p && is_key_of(&p->key, h))
        return &p->key;
    return is_key_of(place, h) ? place : NULL;
}

/* The seal fits: only now may anything be kept. */
static void
keep_key(struct box *b, struct peer *p, const struct derived *d)
{
    if (p && p->key.session == d->session)
        p->key = *d; /* the sender changed to another key of the ring */
    else
        *derived_place(b, d->sender, d->session) = *d;
}

/* ---- the window of a proven session ---- */

static bool
window_has(const struct window *w, uint64_t sequence)
{
    uint64_t bit = sequence % REPLAY_WINDOW_BITS;

    if (sequence > w->top)
        return false;
    if (w->top - sequence >= REPLAY_WINDOW_BITS)
        return true; /* too old to tell */
    return w->seen[bit / 64] >> bit % 64 & 1;
}

static void
window_add(struct window *w, uint64_t sequence)
{
    uint64_t bit = sequence % REPLAY_WINDOW_BITS;

    GS_ASSERT(!window_has(w, sequence));
    if (sequence > w->top && sequence - w->top >= REPLAY_WINDOW_BITS)
        memset(w->seen, 0, sizeof(w->seen));
    for (uint64_t s = w->top + 1; s < sequence && s - w->top < REPLAY_WINDOW_BITS; s++)
        w->seen[s % REPLAY_WINDOW_BITS / 64] &= ~(UINT64_C(1) << s % 64);
    w->seen[bit / 64] |= UINT64_C(1) << bit % 64;
    if (sequence > w->top)
        w->top = sequence;
}

/* Of a session proven by this packet: nothing up to it will be taken again. */
static void
window_start(struct window *w, uint64_t sequence)
{
    memset(w->seen, 0xff, sizeof(w->seen));
    w->top = sequence;
}

/* ---- peers ---- */

static struct gs_slice
map_key(const uint64_t *name)
{
    return gs_slice(name, sizeof(*name));
}

static struct peer *
peer_find(const struct box *b, uint64_t name)
{
    return gs_map_find(&b->peers, map_key(&name));
}

static bool
peer_is_proven(const struct peer *p)
{
    return p->key.session != 0;
}

static void
peer_touch(struct box *b, struct peer *p)
{
    p->heard_ms = b->now_ms;
    gs_list_remove(&p->link);
    gs_list_push_back(peer_is_proven(p) ? &b->proven : &b->unproven, &p->link);
}

static void
peer_free(struct box *b, struct peer *p)
{
    GS_ASSERT(gs_map_remove(&b->peers, map_key(&p->name)) == p);
    gs_list_remove(&p->link);
    explicit_bzero(&p->key, sizeof(p->key));
    gs_free(p);
}

/* Room for one more, by forgetting the one that is needed least. To forget is safe: who returns
 * has to prove itself anew. Those who are proven and heard of stay, so that recordings of many
 * senders cannot push them out. */
static bool
make_room(struct box *b)
{
    struct gs_list *first = b->unproven.next;
    struct peer *p;

    if (b->peers.count < SESSIONS_MAX)
        return true;
    if (gs_list_empty(&b->unproven))
        first = b->proven.next;
    GS_ASSERT(first != &b->proven);
    p = GS_LIST_ENTRY(first, struct peer, link);
    if (peer_is_proven(p) && b->now_ms - p->heard_ms < PROVEN_IDLE_MS)
        return false;
    peer_free(b, p);
    return true;
}

/* NULL when there is no room. */
static struct peer *
peer_get(struct box *b, uint64_t name)
{
    struct peer *p = peer_find(b, name);

    GS_ASSERT(name != 0);
    GS_ASSERT(name != b->name);
    if (!p) {
        if (!make_room(b))
            return NULL;
        p = gs_zalloc(sizeof(*p));
        p->name = name;
        gs_list_init(&p->link);
        GS_ASSERT(!gs_map_put(&b->peers, map_key(&p->name), p));
    }
    peer_touch(b, p);
    return p;
}

static void
learn_time(struct box *b, uint64_t now_ms)
{
    if (now_ms > b->now_ms)
        b->now_ms = now_ms;
}

/* ---- the box ---- */

uint64_t
box_name(const struct gs_id *id)
{
    uint64_t name = wire_u64((const char *)id->bytes);

    return name != 0 ? name : 1; /* 0 is nobody */
}

struct box *
box_new(const struct gs_id *self, uint64_t session, const struct seal_ring *keys,
        struct gs_rng *rng)
{
    struct box *b = gs_zalloc(sizeof(*b));

    GS_ASSERT(session != 0);
    b->name = box_name(self);
    b->session = session;
    b->keys = keys;
    b->rng = rng;
    b->aead = seal_aead_new();
    gs_map_init(&b->peers, gs_rng_next(rng));
    gs_list_init(&b->proven);
    gs_list_init(&b->unproven);
    learn_keys(b);
    return b;
}

void
box_free(struct box *b)
{
    if (!b)
        return;
    while (!gs_list_empty(&b->unproven))
        peer_free(b, GS_LIST_ENTRY(b->unproven.next, struct peer, link));
    while (!gs_list_empty(&b->proven))
        peer_free(b, GS_LIST_ENTRY(b->proven.next, struct peer, link));
    GS_ASSERT(b->peers.count == 0);
    gs_map_fini(&b->peers);
    seal_aead_free(b->aead);
    explicit_bzero(b, sizeof(*b));
    gs_free(b);
}

/* ---- sealing and opening ---- */

static void
put_header(char out[BOX_HEADER_BYTES], const struct header *h)
{
    char sequence[8];

    out[0] = (char)BOX_MAGIC;
    out[HEADER_EPOCH] = (char)h->epoch;
    wire_put_u64(out + HEADER_SENDER, h->sender);
    wire_put_u64(out + HEADER_SESSION, h->session);
    wire_put_u64(sequence, h->sequence);
    memcpy(out + HEADER_SEQUENCE, sequence + 8 - BOX_SEQUENCE_BYTES, BOX_SEQUENCE_BYTES);
}

static bool
get_header(struct gs_slice bytes, size_t max, struct header *h)
{
    if (bytes.len < BOX_OVERHEAD || bytes.len > max || (uint8_t)bytes.ptr[0] != BOX_MAGIC)
        return false;
    h->epoch = (uint8_t)bytes.ptr[HEADER_EPOCH];
    h->sender = wire_u64(bytes.ptr + HEADER_SENDER);
    h->session = wire_u64(bytes.ptr + HEADER_SESSION);
    /* The two bytes before the sequence are the session's last. */
    h->sequence = wire_u64(bytes.ptr + BOX_HEADER_BYTES - 8) & BOX_SEQUENCE_MAX;
    return h->sender != 0 && h->session != 0 && h->sequence != 0;
}

bool
box_claims(struct gs_slice bytes, uint64_t *sender)
{
    struct header h;

    if (!get_header(bytes, SIZE_MAX, &h))
        return false;
    *sender = h.sender;
    return true;
}

static void
put_nonce(uint8_t out[SEAL_NONCE_BYTES], const char header[BOX_HEADER_BYTES])
{
    memset(out, 0, SEAL_NONCE_BYTES);
    memcpy(out + SEAL_NONCE_BYTES - BOX_SEQUENCE_BYTES, header + HEADER_SEQUENCE,
           BOX_SEQUENCE_BYTES);
}

void
box_seal(struct box *b, struct gs_slice body, char *out)
{
    struct header h = { .sender = b->name, .session = b->session };
    uint8_t nonce[SEAL_NONCE_BYTES];

    GS_ASSERT(b->sequence < BOX_SEQUENCE_MAX); /* a nonce would come back */
    learn_keys(b);
    h.epoch = b->own.epoch;
    h.sequence = ++b->sequence;
    put_header(out, &h);
    put_nonce(nonce, out);
    seal_lock(b->aead, b->own.key, nonce, gs_slice(out, BOX_HEADER_BYTES), body,
              out + BOX_HEADER_BYTES);
}

static bool
unseal(struct box *b, const struct derived *d, struct gs_slice bytes, char *plain)
{
    uint8_t nonce[SEAL_NONCE_BYTES];

    put_nonce(nonce, bytes.ptr);
    return seal_unlock(b->aead, d->key, nonce, gs_slice_head(bytes, BOX_HEADER_BYTES),
                       gs_slice_from(bytes, BOX_HEADER_BYTES), plain);
}

static bool
authenticate(struct box *b, struct peer *p, const struct header *h, struct gs_slice bytes,
             char *plain)
{
    const uint8_t *group_key = seal_ring_find(&b->ring, h->epoch);
    const struct derived *known = known_key(b, p, h);
    struct derived fresh;
    bool good;

    GS_ASSERT(group_key);
    if (known)
        return unseal(b, known, bytes, plain);
    derive(group_key, h->epoch, h->sender, h->session, &fresh);
    good = unseal(b, &fresh, bytes, plain);
    if (good)
        keep_key(b, p, &fresh);
    explicit_bzero(&fresh, sizeof(fresh));
    return good;
}

/* Was it seen before? Asked ahead of the seal: a flood of repeats costs no decryption. */
static bool
is_repeat(const struct peer *p, const struct header *h, const struct box_stream *s)
{
    if (s && s->sender != 0) /* a stream belongs to the session of its first frame */
        return h->sender != s->sender || h->session != s->session || h->sequence <= s->last;
    return !s && p && p->key.session == h->session && window_has(&p->window, h->sequence);
}

/* Why it is to be refused, or GOSSIP_REFUSALS. */
static enum gossip_refusal
open_body(struct box *b, struct peer *p, const struct header *h, const struct box_stream *s,
          struct gs_slice bytes, char *plain)
{
    if (h->sender == b->name)
        return GOSSIP_REFUSAL_OWN;
    learn_keys(b);
    if (!seal_ring_find(&b->ring, h->epoch))
        return GOSSIP_REFUSAL_KEY;
    if (is_repeat(p, h, s))
        return GOSSIP_REFUSAL_REPLAYED;
    return authenticate(b, p, h, bytes, plain) ? GOSSIP_REFUSALS : GOSSIP_REFUSAL_FORGED;
}

/* A frame is no new datagram when it is sent as one, so it counts for both. */
static void
count_as_seen(struct box *b, struct peer *p, const struct header *h, struct box_stream *s)
{
    if (s) {
        GS_ASSERT(h->sequence > s->last);
        s->last = h->sequence;
    }
    if (!p || p->key.session != h->session)
        return;
    if (!window_has(&p->window, h->sequence))
        window_add(&p->window, h->sequence);
    peer_touch(b, p);
}

struct box_opened
box_open(struct box *b, struct gs_slice bytes, struct box_stream *stream, char *plain)
{
    struct box_opened o = { .verdict = BOX_REFUSED, .refusal = GOSSIP_REFUSAL_JUNK };
    struct header h;
    struct peer *p;

    if (!get_header(bytes, stream ? FRAME_BYTES_MAX : PACKET_BYTES_MAX, &h))
        return o;
    p = peer_find(b, h.sender);
    o.sender = h.sender;
    o.session = h.session;
    o.sequence = h.sequence;
    o.refusal = open_body(b, p, &h, stream, bytes, plain);
    if (o.refusal != GOSSIP_REFUSALS)
        return o;
    o.body = gs_slice(plain, bytes.len - BOX_OVERHEAD);
    o.verdict = BOX_UNKNOWN;
    o.refusal = GOSSIP_REFUSAL_UNKNOWN;
    if (stream ? stream->proven : p && p->key.session == h.session) {
        o.verdict = BOX_GOOD;
        count_as_seen(b, p, &h, stream);
    }
    return o;
}

/* ---- tokens ---- */

/* Two runs of one node may be seeded alike, but their sessions differ; so do their numbers. */
static uint64_t
draw(struct box *b)
{
    uint64_t v;

    do {
        v = gs_rng_next(b->rng) ^ b->session;
    } while (v == 0);
    b->events++;
    return v;
}

/* The number to be echoed: the same for a while, so that answers to lost packets' twins count. */
static uint64_t
challenge_of(struct box *b, struct challenge *c)
{
    if (c->value == 0 || b->now_ms - c->drawn_ms >= CHALLENGE_REUSE_MS)
        *c = (struct challenge){ draw(b), b->now_ms };
    return c->value;
}

static bool
answers(const struct box *b, const struct challenge *c, uint64_t echo)
{
    return c->value != 0 && c->value == echo && b->now_ms - c->drawn_ms <= CHALLENGE_LIFE_MS;
}

struct box_tokens
box_tokens(struct box *b, uint64_t now_ms, uint64_t peer)
{
    struct box_tokens t = { 0 };
    struct peer *p;

    learn_time(b, now_ms);
    if (peer == 0)
        return (struct box_tokens){ .challenge = challenge_of(b, &b->anybody) };
    p = peer_get(b, peer);
    if (!p)
        return t;
    if (p->echo != 0 && b->now_ms - p->echo_ms <= CHALLENGE_LIFE_MS)
        t.echo = p->echo;
    if (!peer_is_proven(p) || p->pending != 0)
        t.challenge = challenge_of(b, &p->ours);
    return t;
}

static void
owe(struct box *b, struct peer *p, uint64_t challenge)
{
    p->echo = challenge;
    p->echo_ms = b->now_ms;
}

/* This packet proves its session: it is of a process that lived after our challenge was drawn. */
static void
prove(struct box *b, struct peer *p, const struct box_opened *o)
{
    struct derived *d = derived_place(b, o->sender, o->session);

    GS_ASSERT(p->name == o->sender);
    GS_ASSERT(p->key.session != o->session);
    if (d->sender == o->sender && d->session == o->session)
        p->key = *d;
    else /* some other's key took its place: it is derived again */
        p->key = (struct derived){ .sender = o->sender, .session = o->session };
    window_start(&p->window, o->sequence);
    p->proven_at = ++b->events;
    p->pending = 0;
    p->ours = (struct challenge){ 0 };
    peer_touch(b, p);
}

/* Of the proven session. Without a challenge it has proven us, so we owe nothing. If it answers
 * ours it lives, and what we heard of another session meanwhile was a recording. */
static void
take_of_proven(struct box *b, struct peer *p, const struct box_tokens *t)
{
    owe(b, p, t->challenge);
    if (answers(b, &p->ours, t->echo)) {
        p->pending = 0;
        p->ours = (struct challenge){ 0 };
    }
}

static bool
take_of_unknown(struct box *b, struct peer *p, const struct box_opened *o,
                const struct box_tokens *t)
{
    /* A challenge to anybody is not spent by a proof, so it counts for the first one only. */
    bool first = !peer_is_proven(p) && answers(b, &b->anybody, t->echo);

    if (first || answers(b, &p->ours, t->echo)) {
        prove(b, p, o);
        owe(b, p, t->challenge);
        return true;
    }
    p->pending = o->session;
    if (t->challenge != 0)
        owe(b, p, t->challenge);
    return false;
}

bool
box_take(struct box *b, uint64_t now_ms, const struct box_opened *o, const struct box_tokens *t)
{
    struct peer *p;

    GS_ASSERT(o->verdict != BOX_REFUSED);
    learn_time(b, now_ms);
    p = peer_get(b, o->sender);
    if (!p)
        return false;
    if (p->key.session != o->session)
        return o->verdict == BOX_UNKNOWN && take_of_unknown(b, p, o, t);
    if (o->verdict == BOX_GOOD)
        take_of_proven(b, p, t);
    return false;
}

bool
box_may_challenge(struct box *b, uint64_t now_ms, uint64_t sender)
{
    struct peer *p;

    learn_time(b, now_ms);
    p = peer_get(b, sender);
    if (!p || (p->answered && b->now_ms - p->answered_ms < CHALLENGE_EVERY_MS))
        return false;
    p->answered = true;
    p->answered_ms = b->now_ms;
    return true;
}

bool
box_is_proven(const struct box *b, uint64_t peer)
{
    const struct peer *p = peer_find(b, peer);

    return p && peer_is_proven(p);
}

/* ---- streams ---- */

void
box_stream_init(struct box *b, struct box_stream *s)
{
    *s = (struct box_stream){ .challenge = draw(b) };
    s->drawn_at = b->events;
}

struct box_tokens
box_stream_tokens(const struct box_stream *s)
{
    GS_ASSERT(s->challenge != 0);
    return (struct box_tokens){ .challenge = s->proven ? 0 : s->challenge, .echo = s->echo };
}

/* What a stream proves holds for datagrams, unless another session was proven after the stream
 * drew its number: that one is later. */
static void
prove_by_stream(struct box *b, const struct box_stream *s, const struct box_opened *o)
{
    struct header h = { .sender = o->sender, .session = o->session, .sequence = o->sequence };
    struct peer *p = peer_get(b, o->sender);

    if (!p)
        return;
    if (p->key.session == o->session)
        count_as_seen(b, p, &h, NULL);
    else if (!peer_is_proven(p) || s->drawn_at > p->proven_at)
        prove(b, p, o);
}

bool
box_stream_take(struct box *b, uint64_t now_ms, struct box_stream *s, const struct box_opened *o,
                const struct box_tokens *t)
{
    bool news = !s->proven && t->echo == s->challenge;

    GS_ASSERT(o->verdict != BOX_REFUSED);
    GS_ASSERT(s->sender == 0 || s->sender == o->sender);
    GS_ASSERT(s->session == 0 || s->session == o->session);
    GS_ASSERT(o->sequence >= s->last); /* box_open() has counted it, if it was good */
    learn_time(b, now_ms);
    s->sender = o->sender;
    s->session = o->session;
    s->last = o->sequence;
    if (t->challenge != 0)
        s->echo = t->challenge;
    if (news) {
        s->proven = true;
        prove_by_stream(b, s, o);
    }
    return news;
}

/* ---- invariants ---- */

size_t
box_sessions(const struct box *b)
{
    return b->peers.count;
}

static size_t
check_list(const struct box *b, const struct gs_list *list, bool proven)
{
    size_t count = 0;
    uint64_t heard_ms = 0;

    GS_LIST_EACH(at, list) {
        const struct peer *p = GS_LIST_ENTRY(at, struct peer, link);

        GS_ASSERT(peer_find(b, p->name) == p);
        GS_ASSERT(peer_is_proven(p) == proven);
        GS_ASSERT(p->name != b->name);
        GS_ASSERT((p->window.top > 0) == proven);
        GS_ASSERT(p->window.top <= BOX_SEQUENCE_MAX);
        GS_ASSERT(!proven || window_has(&p->window, p->window.top));
        GS_ASSERT(!proven || p->pending != p->key.session);
        GS_ASSERT(p->proven_at <= b->events);
        GS_ASSERT(p->heard_ms >= heard_ms);
        GS_ASSERT(p->heard_ms <= b->now_ms);
        heard_ms = p->heard_ms;
        count++;
    }
    return count;
}

void
box_check(const struct box *b)
{
    size_t count = check_list(b, &b->proven, true) + check_list(b, &b->unproven, false);

    GS_ASSERT(count == b->peers.count);
    GS_ASSERT(count <= SESSIONS_MAX);
    GS_ASSERT(b->sequence <= BOX_SEQUENCE_MAX);
    GS_ASSERT(b->own.present);
}
