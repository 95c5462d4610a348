/* oracle.c - a belief is judged when it is announced, with what the world knows to be true. */
#include "tests/sim/oracle.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>

#include "tests/sim/scenario.h"
#include "tests/sim/world.h"

static const char *const names[] = {
#define X(name, text) text,
    ORACLE_TABLE(X)
#undef X
};

const char *
oracle_name(enum oracle_kind k)
{
    GS_ASSERT((unsigned)k < ORACLES);
    return names[k];
}

/* What walks a whole core is done by sampling: after this many steps of anybody, but for a large
 * mesh only after as many as it has hosts. */
void
oracle_init(struct world *w)
{
    w->oracle = (struct oracle){ .check_every = w->count <= 64 ? 97 : 4 * (uint64_t)w->count + 1 };
}

void
oracle_fail(struct world *w, enum oracle_kind k, const char *fmt, ...)
{
    struct oracle *o = &w->oracle;
    va_list ap;
    char text[200];

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    o->failures[k]++;
    if (!o->failed) {
        o->failed = true;
        o->first_kind = k;
        (void)snprintf(o->first, sizeof(o->first), "%s: %s, at %.6f s", oracle_name(k), text,
                       (double)w->now_ns / 1e9);
    }
    if (w->options.out && w->options.keep_going)
        (void)fprintf(w->options.out, "FAIL %s: %s, at %.6f s\n", oracle_name(k), text,
                      (double)w->now_ns / 1e9);
    w->over = w->over || !w->options.keep_going;
}

/* ---- who is well ---- */

void
oracle_disturb(struct world *w, struct host *h, uint64_t until_ns)
{
    (void)w;
    if (until_ns > h->disturbed_ns)
        h->disturbed_ns = until_ns;
}

/* A suspicion may be as old as the longest wait for its refutation, begun by a prober at its worst
 * health, and a verdict needs a moment to spread. */
uint64_t
oracle_grace_ns(const struct world *w)
{
    double scale = log10((double)w->count);
    uint64_t suspicion_ms = (uint64_t)((scale > 1 ? scale : 1) * SUSPECT_MIN_MS);

    return (suspicion_ms * SUSPECT_MAX_FACTOR + PROBE_MS * (HEALTH_MAX + 1)) * SIM_MS;
}

bool
oracle_is_well(const struct world *w, const struct host *h)
{
    return h->state == HOST_RUNNING && !h->leaving && !h->restarting &&
           w->now_ns >= h->disturbed_ns + (h->disturbed_ns ? oracle_grace_ns(w) : 0);
}

/* ---- beliefs ---- */

static bool
is_beyond(uint64_t boot, uint32_t incarnation, uint64_t boot_max, uint32_t incarnation_max)
{
    return boot > boot_max || (boot == boot_max && incarnation > incarnation_max);
}

static void
check_future(struct world *w, const struct host *h, const struct gossip_node *n)
{
    uint32_t subject = world_host_of(w, &n->id);
    const struct host *s;

    if (subject == w->count) {
        oracle_fail(w, ORACLE_FUTURE, "%s believes in a node that never was", h->name);
        return;
    }
    s = &w->hosts[subject];
    if (is_beyond(n->boot, n->incarnation, s->boot_max, s->incarnation_max))
        oracle_fail(w, ORACLE_FUTURE,
                    "%s believes %s %s at %" PRIu64 ".%" PRIu32 ", it never was beyond %" PRIu64
                    ".%" PRIu32,
                    h->name, s->name, gossip_state_name(n->state), n->boot, n->incarnation,
                    s->boot_max, s->incarnation_max);
}

/* It said so in time to those who are well, and had all of its five seconds. */
static bool
is_promised(const struct world *w, const struct host *h, const struct host *s)
{
    return w->now_ns < s->promised_ns && s->disturbed_ns + oracle_grace_ns(w) <= w->now_ns &&
           oracle_is_well(w, h);
}

static void
judge_death(struct world *w, const struct host *h, const struct gossip_node *n,
            const struct host *s)
{
    struct oracle *o = &w->oracle;

    if (is_promised(w, h, s))
        oracle_fail(w, ORACLE_DEATH, "%s says that %s is %s, and it only restarts", h->name,
                    s->name, gossip_state_name(n->state));
    else if (!host_is_up(s) || n->boot != s->boot) {
        o->true_deaths++;
    } else if (!oracle_is_well(w, s)) {
        o->excused_deaths++;
    } else {
        o->false_deaths++;
        if (!w->options.scenario->false_deaths)
            oracle_fail(w, ORACLE_DEATH, "%s says that %s is %s, and it is well", h->name, s->name,
                        gossip_state_name(n->state));
    }
}

static void
judge_left(struct world *w, const struct host *h, const struct gossip_node *n, struct host *s)
{
    /* Only a node whose disk was lost and whose clock went back comes to a boot it had before. */
    if (host_is_up(s) && n->boot == s->boot && n->boot != s->leave_boot)
        oracle_fail(w, ORACLE_DEATH, "%s says that %s left, and it did not", h->name, s->name);
    s->farewell = s->farewell || n->boot == s->boot;
}

static void
judge(struct world *w, const struct host *h, const struct gossip_node *n, struct host *s)
{
    switch (n->state) {
    case GOSSIP_SUSPECT:
        w->oracle.suspicions += host_is_up(s) && oracle_is_well(w, s);
        break;
    case GOSSIP_DEAD:
        judge_death(w, h, n, s);
        break;
    case GOSSIP_LEFT:
        judge_left(w, h, n, s);
        break;
    case GOSSIP_UNKNOWN:
    case GOSSIP_ALIVE:
        return;
    }
    if (w->oracle.quiet)
        oracle_fail(w, ORACLE_QUIET, "%s says that %s is %s", h->name, s->name,
                    gossip_state_name(n->state));
}

void
oracle_on_node(struct world *w, struct host *h, const struct gossip_event *e)
{
    const struct gossip_node *n = &e->node;
    uint32_t subject = world_host_of(w, &n->id);
    struct host_belief *b;

    trace_event(&w->trace, &(struct trace_line){ .at_ns = w->now_ns,
                                                 .host = h->index,
                                                 .subject = subject,
                                                 .what = "believes",
                                                 .state = gossip_state_name(n->state),
                                                 .a = n->boot,
                                                 .b = n->incarnation });
    check_future(w, h, n);
    if (subject == w->count)
        return;
    if (subject == h->index) {
        oracle_fail(w, ORACLE_SELF, "%s is told of itself as of another", h->name);
        return;
    }
    b = &h->beliefs[subject];
    h->alive_known -= b->state == GOSSIP_ALIVE;
    h->alive_known += n->state == GOSSIP_ALIVE;
    if (b->state != n->state)
        judge(w, h, n, &w->hosts[subject]);
    w->oracle.restarts += n->restarting && !b->restarting;
    *b = (struct host_belief){ true, (uint8_t)n->state, n->restarting };
    watch_on_node(w, h, n, subject);
}

void
oracle_on_forgotten(struct world *w, struct host *h, const struct gossip_event *e)
{
    uint32_t subject = world_host_of(w, &e->node.id);
    struct host_belief *b;

    trace_event(&w->trace, &(struct trace_line){ .at_ns = w->now_ns,
                                                 .host = h->index,
                                                 .subject = subject,
                                                 .what = "forgets",
                                                 .state = gossip_state_name(e->node.state),
                                                 .a = e->node.boot,
                                                 .b = e->node.incarnation });
    if (subject == w->count) {
        oracle_fail(w, ORACLE_FUTURE, "%s forgets a node that never was", h->name);
        return;
    }
    b = &h->beliefs[subject];
    if (b->state == GOSSIP_ALIVE || b->state == GOSSIP_SUSPECT || b->state != e->former)
        oracle_fail(w, ORACLE_TOLD, "%s forgets %s, which was %s when last told of, not %s",
                    h->name, w->hosts[subject].name, gossip_state_name(b->state),
                    gossip_state_name(e->former));
    w->oracle.forgotten += b->listed;
    *b = (struct host_belief){ 0 };
}

void
oracle_on_record(struct world *w, struct host *h, const struct gossip_event *e)
{
    const struct gossip_record *r = &e->record;
    uint32_t key = r->class == GOSSIP_OPERATOR ? ledger_key_of(r->key) : LEDGER_KEYS_MAX;

    trace_event(&w->trace,
                &(struct trace_line){ .at_ns = w->now_ns,
                                      .host = h->index,
                                      .subject = world_host_of(w, &r->version.writer),
                                      .what = r->class == GOSSIP_OPERATOR ? "policy" : "record",
                                      .state = r->tombstone ? "gone" : "there",
                                      .a = r->version.generation,
                                      .b = r->version.hlc });
    if (key == LEDGER_KEYS_MAX)
        return;
    if (!h->seen[key].tombstone && gs_version_cmp(&r->version, &h->seen[key].version) < 0)
        oracle_fail(w, ORACLE_BACKWARDS, "%s: %.*s falls back", h->name, GS_SLICE_FMT(r->key));
    h->seen[key] = (struct host_seen){ r->version, r->tombstone };
    watch_on_record(w, h, key, &r->version);
    races_look(w, h, key);
}

void
oracle_on_conflict(struct world *w, struct host *h, const struct gossip_event *e)
{
    uint32_t key = ledger_key_of(e->key);

    if (key < LEDGER_KEYS_MAX)
        races_look(w, h, key);
}

/* ---- a node ---- */

void
oracle_on_self(struct world *w, struct host *h)
{
    struct gossip_node self = gossip_self(h->core);

    if (is_beyond(h->boot, h->incarnation, self.boot, self.incarnation))
        oracle_fail(w, ORACLE_SELF, "%s falls from %" PRIu64 ".%" PRIu32 " to %" PRIu64 ".%" PRIu32,
                    h->name, h->boot, h->incarnation, self.boot, self.incarnation);
    if (self.boot != h->boot || self.incarnation != h->incarnation)
        trace_event(&w->trace, &(struct trace_line){ .at_ns = w->now_ns,
                                                     .host = h->index,
                                                     .subject = h->index,
                                                     .what = "is",
                                                     .a = self.boot,
                                                     .b = self.incarnation });
    h->boot = self.boot;
    h->incarnation = self.incarnation;
    h->disk.boot = self.boot; /* node.state is written anew when the core raised its boot */
    if (is_beyond(self.boot, self.incarnation, h->boot_max, h->incarnation_max)) {
        h->boot_max = self.boot;
        h->incarnation_max = self.incarnation;
    }
}

static void
check_bounds(struct world *w, struct host *h)
{
    struct gossip_counters c;
    uint64_t known = 0;

    gossip_counters(h->core, &c);
    for (size_t i = 0; i < GS_COUNT(c.nodes); i++)
        known += c.nodes[i];
    if (known > w->count - 1)
        oracle_fail(w, ORACLE_BOUNDS, "%s knows %" PRIu64 " others of %" PRIu32, h->name, known,
                    w->count - 1);
    if (c.rumors > known + 1 + c.records + c.tombstones)
        oracle_fail(w, ORACLE_BOUNDS, "%s has %" PRIu32 " rumors", h->name, c.rumors);
    if (c.health > HEALTH_MAX)
        oracle_fail(w, ORACLE_BOUNDS, "%s: a health of %" PRIu32, h->name, c.health);
    if (c.rumors > w->oracle.rumors_max)
        w->oracle.rumors_max = c.rumors;
}

/* What its events did not tell: the table itself. And what they told is what it says. */
static void
check_table(struct world *w, const struct host *h)
{
    uint32_t listed = 0;
    struct gossip_node n;

    for (uint32_t i = 0; i < w->count; i++)
        listed += h->beliefs[i].listed;
    for (size_t at = 0; gossip_next_node(h->core, &at, &n);) {
        uint32_t subject = world_host_of(w, &n.id);
        const struct host_belief *b = h->beliefs + subject;

        check_future(w, h, &n);
        if (subject == w->count)
            return;
        listed -= b->listed;
        if (!b->listed || b->state != n.state || b->restarting != n.restarting)
            oracle_fail(w, ORACLE_TOLD, "%s was not told that %s is %s%s", h->name,
                        w->hosts[subject].name, gossip_state_name(n.state),
                        n.restarting ? " and restarts" : "");
    }
    if (listed > 0)
        oracle_fail(w, ORACLE_TOLD, "%s was not told that it has forgotten %u others", h->name,
                    listed);
}

void
oracle_on_step(struct world *w, struct host *h, uint32_t actions)
{
    struct oracle *o = &w->oracle;

    if (actions > o->actions_max)
        o->actions_max = actions;
    oracle_on_self(w, h);
    if (++o->steps % o->check_every != 0)
        return;
    check_bounds(w, h);
    check_table(w, h);
    gossip_check(h->core);
}
