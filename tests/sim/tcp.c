/* tcp.c - connections, from the asking to the end.
 *
 *     end 0: tcp_open ── latency ──▶ CONNECT at the machine ── process there ──▶ ACCEPT, OPENED
 *                                             ├─ process gone, machine up ──▶ CLOSED, refused
 *                                             └─ cut, or no power ──▶ CLOSED after a while
 *     either end: tcp_send ──▶ SENT when it has left ──▶ FRAME when it has arrived
 *     either end: tcp_close, or its process ended ──▶ CLOSED at the other
 *
 * Nothing overtakes: each end remembers when the last thing it sent arrives. The accepting machine
 * answers OPENED even if its process is frozen: the kernel shakes hands. */
#include "tests/sim/tcp.h"

#include <gossamer/alloc.h>

#include "tests/sim/world.h"

/* ---- memory ---- */

static struct tcp *
tcp_new(struct tcps *all)
{
    struct tcp *s = gs_zalloc(sizeof(*s));

    s->next = all->all;
    s->link = &all->all;
    if (s->next)
        s->next->link = &s->next;
    all->all = s;
    return s;
}

static void
tcp_free(struct tcp *s)
{
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    gs_free(s);
}

static void
free_if_over(struct tcp *s)
{
    if (s->refs == 0 && !s->ends[0].open && !s->ends[1].open)
        tcp_free(s);
}

void
tcp_unref(struct tcp *s)
{
    GS_ASSERT(s->refs > 0);
    s->refs--;
    free_if_over(s);
}

void
tcps_fini(struct tcps *s)
{
    while (s->all)
        tcp_free(s->all);
}

/* ---- what a core knows by number ---- */

static void
attach(struct host *h, struct tcp *s, uint8_t end, uint32_t number)
{
    struct tcp_end *mine = &s->ends[end];

    if (h->stream_count == h->stream_cap) {
        h->stream_cap = h->stream_cap ? h->stream_cap * 2 : 8;
        h->streams = gs_realloc(h->streams, h->stream_cap * sizeof(*h->streams));
    }
    h->streams[h->stream_count++] = (struct host_stream){ number, end, s };
    mine->host = h->index;
    mine->life = h->life;
    mine->number = number;
    mine->open = true;
}

static struct host_stream *
find(struct host *h, uint32_t number)
{
    for (uint32_t i = 0; i < h->stream_count; i++) {
        if (h->streams[i].number == number)
            return &h->streams[i];
    }
    return NULL;
}

static void
detach(struct host *h, struct tcp *s, uint8_t end)
{
    struct host_stream *at = find(h, s->ends[end].number);

    GS_ASSERT(at);
    GS_ASSERT(at->stream == s);
    *at = h->streams[--h->stream_count];
    s->ends[end].open = false;
}

/* ---- events of a stream ---- */

static void
put(struct world *w, struct tcp *s, uint8_t end, enum event_type type, uint64_t at_ns)
{
    struct event *e = queue_event(&w->queue, type);

    e->stream = s;
    e->end = end;
    e->host = s->ends[end].host;
    e->life = s->ends[end].life;
    e->peer = s->ends[!end].host;
    s->refs++;
    queue_put(&w->queue, e, at_ns);
}

/* When what this end sends now is at the other: lost pieces are sent again, nothing overtakes. */
static uint64_t
arrival_ns(struct world *w, struct tcp *s, uint8_t end)
{
    struct tcp_end *mine = &s->ends[end];
    uint64_t at_ns = mine->sent_ns > w->now_ns ? mine->sent_ns : w->now_ns;

    at_ns += net_latency_ns(w);
    for (int again = 0; again < 8 && net_loses(w); again++)
        at_ns += TCP_RETRANSMITS_NS << again;
    if (at_ns <= mine->arrives_ns)
        at_ns = mine->arrives_ns + 1;
    mine->arrives_ns = at_ns;
    return at_ns;
}

/* The other end of `end` hears the end, after all that was sent. */
static void
tell_end(struct world *w, struct tcp *s, uint8_t end)
{
    put(w, s, !end, EVENT_CLOSED, arrival_ns(w, s, end));
}

/* Nothing passes: both give up in a while. */
static void
break_off(struct world *w, struct tcp *s)
{
    if (s->broken)
        return;
    s->broken = true;
    w->tcp.broken++;
    for (uint8_t end = 0; end < 2; end++) {
        if (s->ends[end].open)
            put(w, s, end, EVENT_CLOSED, w->now_ns + TCP_GIVES_UP_NS);
    }
}

static bool
is_cut(const struct world *w, const struct tcp *s)
{
    return net_is_cut(w, s->ends[0].host, s->ends[1].host, CUT_TCP) ||
           net_is_cut(w, s->ends[1].host, s->ends[0].host, CUT_TCP);
}

/* ---- what a core asks for ---- */

void
tcp_open(struct world *w, struct host *from, const struct gossip_action *a)
{
    uint32_t to = world_host_at(w, &a->address);
    struct tcp *s;
    struct event *e;
    uint64_t at_ns;

    GS_ASSERT(a->stream != 0);
    GS_ASSERT(!find(from, a->stream));
    s = tcp_new(&w->tcp);
    attach(from, s, 0, a->stream);
    s->ends[1].host = to == w->count ? from->index : to;
    s->asked_ns = w->now_ns;
    w->tcp.opened++;
    at_ns = to == w->count ? UINT64_MAX : arrival_ns(w, s, 0);
    if (at_ns >= w->now_ns + TCP_GIVES_UP_NS) {
        w->tcp.timed_out++;
        put(w, s, 0, EVENT_CLOSED, w->now_ns + TCP_GIVES_UP_NS);
        return;
    }
    e = queue_event(&w->queue, EVENT_CONNECT);
    e->stream = s;
    e->host = to;
    s->refs++;
    queue_put(&w->queue, e, at_ns);
}

void
tcp_send(struct world *w, struct host *from, const struct gossip_action *a)
{
    struct host_stream *at = find(from, a->stream);
    struct tcp_end *mine;
    struct event *e;

    if (!at)
        return; /* it ended in the same turn, before this was drained */
    mine = &at->stream->ends[at->end];
    if (a->bytes.len > FRAME_BYTES_MAX)
        oracle_fail(w, ORACLE_BOUNDS, "%s: a frame of %zu bytes", from->name, a->bytes.len);
    if (mine->sent_ns > w->now_ns)
        oracle_fail(w, ORACLE_BOUNDS, "%s: a second frame before the first has left", from->name);
    w->tcp.frames++;
    w->tcp.frame_bytes += a->bytes.len;
    mine->sent_ns = w->now_ns + 1 + a->bytes.len * SIM_S / w->net.quality.bytes_per_s;
    put(w, at->stream, at->end, EVENT_SENT, mine->sent_ns);
    e = queue_event(&w->queue, EVENT_FRAME);
    e->stream = at->stream;
    e->end = !at->end;
    e->host = at->stream->ends[!at->end].host;
    e->peer = from->index;
    e->parcel = parcel_new(&w->queue, a->bytes.ptr, a->bytes.len);
    at->stream->refs++;
    queue_put(&w->queue, e, arrival_ns(w, at->stream, at->end));
}

void
tcp_close(struct world *w, struct host *from, uint32_t number)
{
    struct host_stream *at = find(from, number);
    struct tcp *s;
    uint8_t end;

    if (!at)
        return;
    s = at->stream;
    end = at->end;
    detach(from, s, end);
    tell_end(w, s, end);
}

/* ---- what happens to it ---- */

void
tcp_on_connect(struct world *w, struct event *e)
{
    struct tcp *s = e->stream;
    struct host *to = &w->hosts[e->host];

    if (!s->ends[0].open) {
        /* given up already */
    } else if (is_cut(w, s) || to->state == HOST_GONE) {
        w->tcp.timed_out++;
        s->broken = true;
        put(w, s, 0, EVENT_CLOSED, s->asked_ns + TCP_GIVES_UP_NS);
    } else if (to->state == HOST_DOWN) {
        struct event *no = queue_event(&w->queue, EVENT_CLOSED);

        w->tcp.refused++;
        *no = (struct event){ .type = EVENT_CLOSED,
                              .host = s->ends[0].host,
                              .life = s->ends[0].life,
                              .stream = s,
                              .refused = true };
        s->refs++;
        queue_put(&w->queue, no, w->now_ns + net_latency_ns(w));
    } else {
        s->ends[1].life = to->life;
        put(w, s, 1, EVENT_ACCEPT, w->now_ns);
        put(w, s, 0, EVENT_OPENED, arrival_ns(w, s, 1));
    }
    world_drop(w, e);
}

/* A frame for a process that is gone, or for a way that is closed. */
static bool
arrives(struct world *w, const struct event *e)
{
    struct tcp *s = e->stream;

    if (s->broken)
        return false;
    if (is_cut(w, s) || w->hosts[e->host].state == HOST_GONE) {
        break_off(w, s);
        return false;
    }
    if (w->hosts[e->host].life != s->ends[e->end].life) { /* the kernel answers with a reset */
        put(w, s, !e->end, EVENT_CLOSED, w->now_ns + net_latency_ns(w));
        return false;
    }
    return true;
}

void
tcp_on_event(struct world *w, struct event *e)
{
    struct host *h = &w->hosts[e->host];

    if (e->type == EVENT_FRAME) {
        if (!arrives(w, e)) {
            world_drop(w, e);
            return;
        }
        e->life = h->life;
    } else if (e->type == EVENT_CLOSED && !e->refused && !e->stream->broken &&
               is_cut(w, e->stream)) {
        break_off(w, e->stream);
        world_drop(w, e);
        return;
    }
    if (h->life == e->life)
        host_input(w, h, e);
    else
        world_drop(w, e);
}

static void
accept_it(struct world *w, struct host *h, struct tcp *s, const struct gs_addr *peer)
{
    struct gs_addr from = *peer;
    uint32_t number;

    from.port = (uint16_t)(TCP_PORT_EPHEMERAL + s->ends[0].number % 28000);
    number = gossip_stream_accept(h->core, host_now_ms(w, h), &from);
    if (number == 0) {
        tell_end(w, s, 1);
        return;
    }
    GS_ASSERT(!find(h, number));
    attach(h, s, 1, number);
}

void
tcp_feed(struct world *w, struct host *h, const struct event *e)
{
    struct tcp *s = e->stream;
    struct tcp_end *mine = &s->ends[e->end];
    uint64_t now_ms = host_now_ms(w, h);

    if (e->type == EVENT_ACCEPT) {
        accept_it(w, h, s, &w->hosts[e->peer].address);
        return;
    }
    if (!mine->open)
        return; /* closed here meanwhile */
    switch (e->type) {
    case EVENT_OPENED:
        gossip_stream_opened(h->core, now_ms, mine->number);
        break;
    case EVENT_FRAME:
        trace_packet(&w->trace,
                     &(struct trace_line){ .at_ns = w->now_ns,
                                           .host = h->index,
                                           .subject = e->peer,
                                           .what = "frame",
                                           .a = e->parcel->len },
                     gs_slice(e->parcel->bytes, e->parcel->len));
        gossip_stream_frame(h->core, now_ms, host_wall_ms(w, h), mine->number,
                            gs_slice(e->parcel->bytes, e->parcel->len));
        break;
    case EVENT_SENT:
        gossip_stream_sent(h->core, now_ms, mine->number);
        break;
    case EVENT_CLOSED: {
        uint32_t number = mine->number;

        detach(h, s, e->end);
        gossip_stream_closed(h->core, now_ms, number, e->refused);
        break;
    }
    default:
        GS_UNREACHABLE("an event of no stream");
    }
}

void
tcp_process_ended(struct world *w, struct host *h, bool quietly)
{
    while (h->stream_count > 0) {
        struct host_stream at = h->streams[h->stream_count - 1];

        detach(h, at.stream, at.end);
        if (!quietly)
            tell_end(w, at.stream, at.end);
        else
            free_if_over(at.stream);
    }
}
