/* health.c - one small machine per instance:
 *
 *   WAITING ──interval──▶ PROBING ──connected / answer / timeout──▶ CLOSING ──closed──▶ WAITING
 *
 * A result counts towards `rise` or `fall`; the verdict changes when enough came in a row. Before
 * the first pass that counts an instance is not published at all. Probes are spread: the first
 * comes at once, later ones are jittered by 10 %. Other settings, or the end, drop a
 * probe under way: it counts for nothing. */
#include "mesh/health.h"

#include <stdio.h>

#include <gossamer/alloc.h>
#include <gossamer/fsm.h>
#include <gossamer/stream.h>

enum probe_state { PROBE_WAITING, PROBE_CONNECTING, PROBE_ASKED, PROBE_CLOSING, PROBE_STATES };

static const char *const probe_names[] = { "waiting", "connecting", "asked", "closing" };
static const uint32_t probe_moves[] = {
    [PROBE_WAITING] = GS_FSM_BIT(PROBE_CONNECTING),
    [PROBE_CONNECTING] = GS_FSM_BIT(PROBE_ASKED) | GS_FSM_BIT(PROBE_CLOSING),
    [PROBE_ASKED] = GS_FSM_BIT(PROBE_CLOSING),
    [PROBE_CLOSING] = GS_FSM_BIT(PROBE_WAITING),
};
static const struct gs_fsm_def probe_fsm = { "probe", probe_names, probe_moves, PROBE_STATES };

struct probe {
    struct gs_list link;
    struct health *health;
    struct health_check check;  /* its texts are the probe's */
    struct health_check coming; /* instead of it, after the probe under way; service NULL: none */
    struct stream *stream;      /* NULL while waiting */
    struct gs_timer timer;      /* the next probe, or this one's timeout */
    struct gs_fsm fsm;
    struct h1 codec;
    uint64_t begun_ms;
    uint32_t passes, failures; /* in a row */
    bool known, passing;       /* the verdict */
    bool ever;                 /* it has passed once */
    bool leaving;              /* it goes after the probe under way */
};

struct health {
    struct gs_loop *loop;
    struct h1_pool *pool;
    health_changed_cb changed;
    void *arg;
    struct gs_list probes;
    void (*closed)(void *arg); /* set: closing */
};

static void probe_start(struct probe *p);

/* ---- settings ---- */

static struct health_check
check_copy(const struct health_check *c)
{
    struct health_check copy = *c;

    copy.ns = gs_strdup(c->ns);
    copy.service = gs_strdup(c->service);
    copy.http = c->http ? gs_strdup(c->http) : NULL;
    return copy;
}

static void
check_fini(struct health_check *c)
{
    gs_free((void *)(uintptr_t)c->ns);
    gs_free((void *)(uintptr_t)c->service);
    gs_free((void *)(uintptr_t)c->http);
    *c = (struct health_check){ .service = NULL };
}

static bool
same_instance(const struct health_check *a, const struct health_check *b)
{
    return a->port == b->port && gs_addr_eq(&a->address, &b->address) &&
           strcmp(a->service, b->service) == 0 && strcmp(a->ns, b->ns) == 0;
}

static bool
same_settings(const struct health_check *a, const struct health_check *b)
{
    bool same_path = a->http && b->http ? strcmp(a->http, b->http) == 0 : !a->http == !b->http;

    return same_path && a->interval_ms == b->interval_ms && a->timeout_ms == b->timeout_ms &&
           a->rise == b->rise && a->fall == b->fall;
}

static struct probe *
find(const struct health *h, const struct health_check *check)
{
    GS_LIST_EACH(n, &h->probes) {
        struct probe *p = GS_LIST_ENTRY(n, struct probe, link);

        if (!p->leaving && same_instance(&p->check, check))
            return p;
    }
    return NULL;
}

/* ---- results ---- */

static void
verdict(struct probe *p, bool passing, const char *why)
{
    struct health *h = p->health;

    if (p->known && p->passing == passing)
        return;
    p->known = true;
    p->passing = passing;
    p->ever = p->ever || passing;
    h->changed(h->arg, &p->check, passing ? HEALTH_UP : p->ever ? HEALTH_DOWN : HEALTH_NEVER, why);
}

static void
probe_result(struct probe *p, bool passed, const char *why)
{
    if (p->leaving)
        return;
    if (passed) {
        p->failures = 0;
        if (p->passes < UINT32_MAX)
            p->passes++;
        if (p->passes >= p->check.rise)
            verdict(p, true, why);
    } else {
        p->passes = 0;
        if (p->failures < UINT32_MAX)
            p->failures++;
        /* One that never passed needs no patience to be called failing. */
        if (p->failures >= p->check.fall || !p->known)
            verdict(p, false, why);
    }
}

static void
probe_finish(struct probe *p, bool passed, const char *why)
{
    if (gs_fsm_is(&p->fsm, PROBE_CLOSING))
        return;
    gs_fsm_move(&p->fsm, PROBE_CLOSING);
    gs_loop_disarm(p->health->loop, &p->timer);
    probe_result(p, passed, why);
    stream_close(p->stream);
}

/* ---- an HTTP check's answer ---- */

static void
on_head(void *sink, struct head *h)
{
    struct probe *p = sink;
    char why[64];

    if (h->status < 200)
        return;
    snprintf(why, sizeof(why), "status %u", h->status);
    probe_finish(p, h->status < 400, why);
}

static void
on_data(void *sink, struct gs_slice bytes)
{
    (void)sink; /* the verdict fell with the head */
    (void)bytes;
}

static void
on_end(void *sink)
{
    (void)sink;
}

static const struct h1_sink_ops codec_ops = { on_head, on_data, NULL, on_end };

static void
ask(struct probe *p)
{
    struct gs_buf out;
    char host[GS_ADDR_TEXT];

    h1_init(&p->codec, H1_ANSWERS, p->health->pool, &codec_ops, p);
    h1_expect(&p->codec, false);
    gs_buf_init(&out, 4096);
    gs_buf_printf(&out,
                  "GET %s HTTP/1.1\r\nhost: %s\r\nuser-agent: gossamer-health\r\n"
                  "connection: close\r\n\r\n",
                  p->check.http, gs_addr_text(&p->check.address, host));
    stream_write_slice(p->stream, gs_buf_slice(&out));
    gs_buf_fini(&out);
}

/* ---- the stream ---- */

static size_t
sink_room(void *sink)
{
    (void)sink;
    return 16384;
}

static void
sink_data(void *sink, struct gs_slice bytes)
{
    struct probe *p = sink;
    struct gs_why why = { "" };
    size_t used;

    if (!gs_fsm_is(&p->fsm, PROBE_ASKED))
        return;
    if (h1_feed(&p->codec, bytes, &used, &why) != REASON_NONE)
        probe_finish(p, false, why.text);
}

static void
sink_ended(void *sink, enum stream_end how)
{
    probe_finish(sink, false, how == STREAM_REFUSED ? "connection refused" : "connection closed");
}

static void
sink_drained(void *sink)
{
    (void)sink;
}

static void
sink_connected(void *sink)
{
    struct probe *p = sink;

    if (!p->check.http) {
        probe_finish(p, true, "connected");
        return;
    }
    gs_fsm_move(&p->fsm, PROBE_ASKED);
    ask(p);
}

static void
health_maybe_closed(struct health *h)
{
    void (*closed)(void *arg) = h->closed;
    void *arg = h->arg;

    if (!closed || !gs_list_empty(&h->probes))
        return;
    gs_free(h);
    closed(arg);
}

static void
probe_free(struct probe *p)
{
    struct health *h = p->health;

    gs_loop_disarm(h->loop, &p->timer);
    gs_list_remove(&p->link);
    check_fini(&p->check);
    check_fini(&p->coming);
    gs_free(p);
    health_maybe_closed(h);
}

/* What came in a row under the former settings says nothing of how many these want. */
static void
take_settings(struct probe *p)
{
    GS_ASSERT(gs_fsm_is(&p->fsm, PROBE_WAITING));
    check_fini(&p->check);
    p->check = p->coming;
    p->coming = (struct health_check){ .service = NULL };
    p->passes = p->failures = 0;
    gs_loop_disarm(p->health->loop, &p->timer);
    probe_start(p);
}

static void
sink_closed(void *sink)
{
    struct probe *p = sink;
    uint64_t took = p->health->loop->now_ms - p->begun_ms;
    uint64_t wait = p->check.interval_ms;

    gs_fsm_move(&p->fsm, PROBE_WAITING);
    if (p->check.http)
        h1_fini(&p->codec);
    p->stream = NULL;
    if (p->health->closed || p->leaving) {
        probe_free(p);
        return;
    }
    if (p->coming.service) {
        take_settings(p);
        return;
    }
    wait -= wait / 20;
    wait += gs_rng_below(&p->health->loop->rng, (uint32_t)(wait / 10 + 1));
    gs_loop_arm(p->health->loop, &p->timer, took < wait ? wait - took : 1);
}

static const struct stream_sink_ops sink_ops = { sink_room,    sink_data,      sink_ended,
                                                 sink_drained, sink_connected, sink_closed };

static void
probe_start(struct probe *p)
{
    struct health *h = p->health;

    p->begun_ms = h->loop->now_ms;
    p->stream = stream_tcp_connect(h->loop, &p->check.address, &sink_ops, p);
    if (!p->stream) { /* out of descriptors: ours, not the instance's fault */
        gs_loop_arm(h->loop, &p->timer, p->check.interval_ms);
        return;
    }
    gs_fsm_move(&p->fsm, PROBE_CONNECTING);
    gs_loop_arm(h->loop, &p->timer, p->check.timeout_ms);
}

static void
on_timer(struct gs_timer *t)
{
    struct probe *p = GS_CONTAINER(t, struct probe, timer);

    if (gs_fsm_is(&p->fsm, PROBE_WAITING))
        probe_start(p);
    else
        probe_finish(p, false, "timed out");
}

struct health *
health_new(struct gs_loop *loop, struct h1_pool *pool, health_changed_cb changed, void *arg)
{
    struct health *h = gs_zalloc(sizeof(*h));

    h->loop = loop;
    h->pool = pool;
    h->changed = changed;
    h->arg = arg;
    gs_list_init(&h->probes);
    return h;
}

static void
add(struct health *h, const struct health_check *check)
{
    struct probe *p = gs_zalloc(sizeof(*p));

    p->health = h;
    p->check = check_copy(check);
    gs_timer_init(&p->timer, on_timer);
    gs_fsm_init(&p->fsm, &probe_fsm, PROBE_WAITING);
    gs_list_push_back(&h->probes, &p->link);
    probe_start(p);
}

/* Without a result. */
static void
abandon(struct probe *p)
{
    gs_loop_disarm(p->health->loop, &p->timer);
    if (gs_fsm_is(&p->fsm, PROBE_CLOSING))
        return;
    gs_fsm_move(&p->fsm, PROBE_CLOSING);
    stream_close(p->stream);
}

void
health_put(struct health *h, const struct health_check *check)
{
    struct probe *p = find(h, check);

    GS_ASSERT(!h->closed);
    GS_ASSERT(check->interval_ms > 0);
    GS_ASSERT(check->timeout_ms > 0);
    GS_ASSERT(check->rise > 0);
    GS_ASSERT(check->fall > 0);
    if (!p) {
        add(h, check);
        return;
    }
    check_fini(&p->coming);
    if (same_settings(&p->check, check))
        return;
    p->coming = check_copy(check);
    if (gs_fsm_is(&p->fsm, PROBE_WAITING))
        take_settings(p);
    else
        abandon(p); /* sink_closed() goes on */
}

void
health_remove(struct health *h, const struct health_check *check)
{
    struct probe *p = find(h, check);

    if (!p)
        return;
    p->leaving = true;
    if (gs_fsm_is(&p->fsm, PROBE_WAITING))
        probe_free(p);
    else
        abandon(p);
}

void
health_close(struct health *h, void (*closed)(void *arg))
{
    h->closed = closed;
    GS_LIST_EACH_SAFE(n, &h->probes) {
        struct probe *p = GS_LIST_ENTRY(n, struct probe, link);

        if (!gs_fsm_is(&p->fsm, PROBE_WAITING)) {
            abandon(p);
            continue;
        }
        gs_loop_disarm(h->loop, &p->timer);
        gs_list_remove(&p->link);
        check_fini(&p->check);
        check_fini(&p->coming);
        gs_free(p);
    }
    health_maybe_closed(h);
}
