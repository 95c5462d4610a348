/* rest.c - liveness: with the faults off everybody must come to know the same, and the truth, in a
 * time that follows from the protocol's own constants and not from what it happened to take. */
#include "tests/sim/rest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <gossamer/alloc.h>

#include "tests/sim/world.h"

#define LOOK_NS (250 * SIM_MS)
#define STAY_NS (3 * SIM_S) /* and then it stays so */

/* The longest chain: at their worst health all need some probes to find who is gone, one suspicion
 * to its end; a node that buried another and was buried by it is contacted at DEAD_CONTACT_MS per
 * dead member; streams that hang are given up; and then one more suspicion, of what only came in
 * by a sync. */
uint64_t
rest_bound_ns(const struct world *w)
{
    return 2 * oracle_grace_ns(w) + (4 * DEAD_CONTACT_MS + 2 * SYNC_TIMEOUT_MS) * SIM_MS;
}

/* ---- who is there ---- */

struct view { /* of one member, by the first who was asked */
    bool known;
    enum gossip_state state;
    uint64_t boot;
    uint32_t incarnation;
};

static const char *
truth(const struct host *s)
{
    return host_is_up(s) ? "alive" : s->left ? "left" : "dead";
}

/* One that is gone is dead, or left if it was still heard to say so: who heard it may have crashed
 * since. One that only disks remember, because all who had seen it alive were restarted since it
 * went, stays unknown. */
static bool
state_is_right(const struct world *w, const struct host *s, const struct gossip_node *n)
{
    bool left =
        n->boot > 0 && n->boot <= s->leave_boot; /* of a later life nobody need have heard */
    bool crashes = w->tally[FAULT_CRASH].fired + w->tally[FAULT_POWER].fired > 0;

    if (host_is_up(s))
        return n->state == GOSSIP_ALIVE && n->boot == s->boot && n->incarnation == s->incarnation;
    switch (n->state) {
    case GOSSIP_DEAD:
        return crashes || !(left && s->farewell);
    case GOSSIP_LEFT:
        return left;
    case GOSSIP_UNKNOWN: /* and by now somebody would have vouched for it, or buried it */
        return crashes && w->now_ns >= w->calm_since_ns + oracle_grace_ns(w);
    case GOSSIP_ALIVE:
    case GOSSIP_SUSPECT:
        break;
    }
    return false;
}

static bool
view_is_right(const struct world *w, const struct host *o, const struct host *s,
              const struct gossip_node *n, struct view *first, char why[256])
{
    if (!state_is_right(w, s, n)) {
        (void)snprintf(why, 256,
                       "%s: %s is %s at %" PRIu64 ".%" PRIu32 ", in truth %s at %" PRIu64
                       ".%" PRIu32,
                       o->name, s->name, gossip_state_name(n->state), n->boot, n->incarnation,
                       truth(s), s->boot, s->incarnation);
        return false;
    }
    if (!gs_slice_eq(n->name, gs_slice_str(s->name)) || !gs_addr_eq(&n->address, &s->address)) {
        (void)snprintf(why, 256, "%s: %s is called %.*s", o->name, s->name, GS_SLICE_FMT(n->name));
        return false;
    }
    if (first->known && (first->state != n->state || first->boot != n->boot ||
                         first->incarnation != n->incarnation)) {
        (void)snprintf(why, 256,
                       "%s: %s is %s at %" PRIu64 ".%" PRIu32 ", to others %s at %" PRIu64
                       ".%" PRIu32,
                       o->name, s->name, gossip_state_name(n->state), n->boot, n->incarnation,
                       gossip_state_name(first->state), first->boot, first->incarnation);
        return false;
    }
    *first = (struct view){ true, n->state, n->boot, n->incarnation };
    return true;
}

/* views: of each host, as those before o have it; ours: whether o knows it */
static bool
views_of(const struct world *w, const struct host *o, struct view *views, bool *ours, char why[256])
{
    struct gossip_node n;

    memset(ours, 0, w->count * sizeof(*ours));
    for (size_t at = 0; gossip_next_node(o->core, &at, &n);) {
        uint32_t subject = world_host_of(w, &n.id);

        GS_ASSERT(subject < w->count); /* else an oracle had failed */
        ours[subject] = true;
        if (!view_is_right(w, o, &w->hosts[subject], &n, &views[subject], why))
            return false;
    }
    for (uint32_t i = 0; i < w->count; i++) {
        const struct host *s = &w->hosts[i];

        if (s == o || ours[i] || (!host_is_up(s) && !views[i].known))
            continue;
        (void)snprintf(why, 256, "%s: does not know %s, which is %s", o->name, s->name, truth(s));
        return false;
    }
    return true;
}

bool
rest_views_agree(const struct world *w, char why[256])
{
    struct view *views = gs_calloc(w->count, sizeof(*views));
    bool *ours = gs_calloc(w->count, sizeof(*ours));
    bool agree = true;

    /* Twice: one who is not known to the first who is asked may be known to the second. */
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; agree && i < w->count; i++) {
            if (host_is_up(&w->hosts[i]))
                agree = views_of(w, &w->hosts[i], views, ours, why);
        }
    }
    gs_free(ours);
    gs_free(views);
    return agree;
}

/* ---- what they hold ---- */

static bool
record_text(const struct gossip_record *r, bool there, char out[96])
{
    char version[GS_VERSION_TEXT];

    if (!there)
        (void)snprintf(out, 96, "nothing more");
    else
        (void)snprintf(out, 96, "%.*s%s %s", (int)(r->key.len > 16 ? 16 : r->key.len), r->key.ptr,
                       r->tombstone ? " gone" : "", gs_version_text(&r->version, version));
    return there;
}

/* The next record that must be everywhere. With clocks that jump, a tombstone may be older than
 * TOMBSTONE_QUIET_MS to some as soon as it is written: whoever has nothing to delete need not hear
 * of it. */
static bool
next_record(const struct world *w, const struct host *h, size_t *at, struct gossip_record *out)
{
    while (gossip_next_record(h->core, at, out)) {
        if (!out->tombstone || out->class != GOSSIP_OPERATOR || w->tally[FAULT_CLOCK].fired == 0)
            return true;
    }
    return false;
}

static bool
stores_equal(const struct world *w, const struct host *a, const struct host *b, char why[256])
{
    size_t at_a = 0, at_b = 0;
    struct gossip_record x, y;
    char text_a[96], text_b[96];

    for (;;) {
        bool more_a = next_record(w, a, &at_a, &x);
        bool more_b = next_record(w, b, &at_b, &y);

        if (!more_a && !more_b)
            return true;
        if (more_a && more_b && x.class == y.class && gs_slice_eq(x.key, y.key) &&
            gs_digest_eq(&x.hash, &y.hash))
            continue;
        (void)record_text(&x, more_a, text_a);
        (void)record_text(&y, more_b, text_b);
        (void)snprintf(why, 256, "%s has %s, %s has %s", a->name, text_a, b->name, text_b);
        return false;
    }
}

bool
rest_stores_agree(const struct world *w, char why[256])
{
    const struct host *first = NULL;

    for (uint32_t i = 0; i < w->count; i++) {
        const struct host *h = &w->hosts[i];

        if (!host_is_up(h))
            continue;
        if (first && !stores_equal(w, first, h, why))
            return false;
        first = first ? first : h;
    }
    return true;
}

static bool
is_last_word(const struct host_own *said, const struct gossip_record *r)
{
    return gs_version_cmp(&r->version, &said->version) >= 0 && r->tombstone == said->removed &&
           (r->tombstone || gs_slice_eq(r->value, gs_slice_str(said->value)));
}

/* Each owner's last word is in its own store; that all stores are equal is checked above. */
static bool
owners_agree(const struct world *w, char why[256])
{
    for (uint32_t i = 0; i < w->count; i++) {
        const struct host *h = &w->hosts[i];

        for (unsigned k = 0; host_is_up(h) && k < HOST_OWN_KEYS; k++) {
            struct gossip_record r = { 0 };
            char key[8];
            int len = snprintf(key, sizeof(key), "ep%u", k);

            if (!h->own[k].said ||
                (gossip_find(h->core, GOSSIP_OWNER, &h->id, gs_slice(key, (size_t)len), &r) &&
                 is_last_word(&h->own[k], &r)))
                continue;
            (void)snprintf(why, 256,
                           "%s: its own %s is at %" PRIu64 ".%" PRIu64 ", it last said %" PRIu64
                           ".%" PRIu64,
                           h->name, key, r.version.generation, r.version.hlc,
                           h->own[k].version.generation, h->own[k].version.hlc);
            return false;
        }
    }
    return true;
}

/* One that lost its disk and is alone stays closed, as it should. */
static bool
all_open(const struct world *w, char why[256])
{
    uint32_t up = 0;

    for (uint32_t i = 0; i < w->count; i++)
        up += host_is_up(&w->hosts[i]);
    for (uint32_t i = 0; up > 1 && i < w->count; i++) {
        const struct host *h = &w->hosts[i];

        if (!host_is_up(h) || gossip_standing(h->core) == GOSSIP_OPEN)
            continue;
        (void)snprintf(why, 256, "%s is still closed", h->name);
        return false;
    }
    return true;
}

/* ---- the whole ---- */

static bool
is_at_rest(const struct world *w, enum oracle_kind *kind, char why[256])
{
    *kind = ORACLE_VIEWS;
    if (!rest_views_agree(w, why))
        return false;
    *kind = ORACLE_CLOSED;
    if (!all_open(w, why))
        return false;
    *kind = ORACLE_STORES;
    return rest_stores_agree(w, why) && owners_agree(w, why);
}

void
rest_run(struct world *w)
{
    enum oracle_kind kind = ORACLE_VIEWS;
    char why[256] = "";
    uint64_t until_ns;
    bool rested = false;

    w->restless = false;
    fault_all_off(w);
    w->calm_since_ns = w->now_ns;
    until_ns = w->now_ns + rest_bound_ns(w);
    while (!rested && !w->over && w->now_ns < until_ns) {
        world_run(w, w->now_ns + LOOK_NS);
        rested = !w->over && is_at_rest(w, &kind, why);
    }
    if (w->over)
        return;
    if (!rested) {
        oracle_fail(w, kind, "%.1f s after the last fault: %s", (double)rest_bound_ns(w) / 1e9,
                    why);
        return;
    }
    w->rested_ns = w->now_ns - w->calm_since_ns;
    world_run(w, w->now_ns + STAY_NS);
    if (!w->over && !is_at_rest(w, &kind, why))
        oracle_fail(w, kind, "it was at rest, and then: %s", why);
}
