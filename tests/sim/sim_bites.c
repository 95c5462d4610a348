/* sim_bites.c - an oracle that cannot fail proves nothing. Each case breaks one thing in the core,
 * or in what an oracle is told by it, and must see just that oracle fail. The core is the same
 * object code as everywhere: the linker (--wrap, see meson.build) puts these functions between two
 * of its files. */
#include <string.h>

#include "tests/sim/cases.h"

#include "gossip/core.h"
#include "gossip/digest.h"

enum mutation {
    SOUND,
    LOSES_RACES,      /* nothing former is kept: a write that lost a race is gone */
    LISTS_TOO_FEW,    /* races go before their time */
    NEVER_REFUTES,    /* a node lets itself be buried */
    NO_DIGESTS,       /* policy that rumors did not bring never comes */
    NO_PROBES,        /* nobody looks whether the others are there */
    DEAF,             /* no answer to a probe is heard */
    IMPATIENT_DEAF,   /* and who does not answer is dead at once */
    EXAGGERATES,      /* claims arrive with a higher incarnation than they left */
    NEVER_OPENS,      /* the policy of a peer is never found equal */
    SPINS,            /* always due */
    FORGETS_ITSELF,   /* its own incarnation falls */
    FALLS_BACK,       /* an old version is announced as the present one */
    RESTARTS_UNHEARD, /* nobody knows that a node only restarts */
    FORGETS_SILENTLY, /* nobody is told who was forgotten */
    KEEPS_THE_DEAD,   /* who is dead is handed on to those who come later, as if just now */
};

static enum mutation mutation;

#define WRAP(type, name, ...)                                                                      \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

WRAP(struct record_merged, record_merge, struct record *r, struct version *v,
     enum record_origin origin);
WRAP(enum member_merged, member_merge, struct gossip *g, uint64_t now_ms,
     const struct wire_claim *c, bool hearsay);
WRAP(size_t, digest_entries, const struct gossip *g, enum gossip_class class, uint64_t mask,
     struct gs_buf *out);
WRAP(void, digest_gives, const struct gossip *g, const struct wire_packet *p,
     enum gossip_class class, struct sync *s);
WRAP(void, probes_tick, struct gossip *g, uint64_t now_ms);
WRAP(uint64_t, probes_deadline_ms, const struct gossip *g);
WRAP(void, probe_take, struct gossip *g, uint64_t now_ms, uint64_t sender,
     const struct gs_addr *from, const struct wire_probe *p);
WRAP(void, probe_stream_done, struct gossip *g, uint64_t now_ms, uint32_t stream, bool good,
     bool gone);
WRAP(void, member_suspect, struct gossip *g, uint64_t now_ms, struct member *m);
WRAP(bool, wire_next_claim, const struct wire_packet *p, struct wire_claim_at *at,
     struct wire_claim *out);
WRAP(void, standing_heard, struct gossip *g, uint64_t now_ms, uint32_t flags,
     const uint64_t *roots);
WRAP(void, standing_exchanged, struct gossip *g, uint32_t flags);
WRAP(uint64_t, gossip_deadline_ms, const struct gossip *g);
WRAP(struct gossip_node, gossip_self, const struct gossip *g);
WRAP(bool, gossip_next_event, struct gossip *g, struct gossip_event *out);

/* ---- the core, broken ---- */

struct record_merged
__wrap_record_merge(struct record *r, struct version *v, enum record_origin origin)
{
    struct record_merged m = __real_record_merge(r, v, origin);

    while ((mutation == LOSES_RACES && r->former_count > 0) ||
           (mutation == LISTS_TOO_FEW && r->former_count > RECORD_HISTORY_MAX / 2)) {
        struct version *lost = r->former[--r->former_count].v;

        m.bytes_freed += version_bytes(lost);
        version_free(lost);
    }
    return m;
}

enum member_merged
__wrap_member_merge(struct gossip *g, uint64_t now_ms, const struct wire_claim *c, bool hearsay)
{
    if (mutation == NEVER_REFUTES && gs_id_eq(&c->id, &g->self))
        return MEMBER_STALE;
    return __real_member_merge(g, now_ms, c, hearsay);
}

size_t
__wrap_digest_entries(const struct gossip *g, enum gossip_class class, uint64_t mask,
                      struct gs_buf *out)
{
    return mutation == NO_DIGESTS && class == GOSSIP_OPERATOR
               ? 0
               : __real_digest_entries(g, class, mask, out);
}

void
__wrap_digest_gives(const struct gossip *g, const struct wire_packet *p, enum gossip_class class,
                    struct sync *s)
{
    if (mutation != NO_DIGESTS || class != GOSSIP_OPERATOR)
        __real_digest_gives(g, p, class, s);
}

void
__wrap_probes_tick(struct gossip *g, uint64_t now_ms)
{
    if (mutation != NO_PROBES)
        __real_probes_tick(g, now_ms);
}

uint64_t
__wrap_probes_deadline_ms(const struct gossip *g)
{
    return mutation == NO_PROBES ? UINT64_MAX : __real_probes_deadline_ms(g);
}

void
__wrap_probe_take(struct gossip *g, uint64_t now_ms, uint64_t sender, const struct gs_addr *from,
                  const struct wire_probe *p)
{
    if ((mutation != DEAF && mutation != IMPATIENT_DEAF) || p->type == WIRE_PING)
        __real_probe_take(g, now_ms, sender, from, p);
}

void
__wrap_probe_stream_done(struct gossip *g, uint64_t now_ms, uint32_t stream, bool good, bool gone)
{
    if (mutation == DEAF || mutation == IMPATIENT_DEAF)
        good = false;
    __real_probe_stream_done(g, now_ms, stream, good, gone);
}

void
__wrap_member_suspect(struct gossip *g, uint64_t now_ms, struct member *m)
{
    if (mutation == IMPATIENT_DEAF)
        member_dead(g, now_ms, m);
    else
        __real_member_suspect(g, now_ms, m);
}

bool
__wrap_wire_next_claim(const struct wire_packet *p, struct wire_claim_at *at,
                       struct wire_claim *out)
{
    bool there = __real_wire_next_claim(p, at, out);

    if (there && mutation == EXAGGERATES)
        out->incarnation++;
    if (there && mutation == KEEPS_THE_DEAD)
        out->age_s = 0;
    if (there && mutation == RESTARTS_UNHEARD)
        out->restarting = false;
    return there;
}

void
__wrap_standing_heard(struct gossip *g, uint64_t now_ms, uint32_t flags, const uint64_t *roots)
{
    if (mutation != NEVER_OPENS)
        __real_standing_heard(g, now_ms, flags, roots);
}

void
__wrap_standing_exchanged(struct gossip *g, uint32_t flags)
{
    if (mutation != NEVER_OPENS)
        __real_standing_exchanged(g, flags);
}

uint64_t
__wrap_gossip_deadline_ms(const struct gossip *g)
{
    return mutation == SPINS ? 0 : __real_gossip_deadline_ms(g);
}

/* ---- what the oracles are told, broken ---- */

struct gossip_node
__wrap_gossip_self(const struct gossip *g)
{
    static unsigned asked;
    struct gossip_node n = __real_gossip_self(g);

    if (mutation == FORGETS_ITSELF && ++asked % 1000 == 0)
        n.incarnation = 0;
    return n;
}

bool
__wrap_gossip_next_event(struct gossip *g, struct gossip_event *out)
{
    bool there = __real_gossip_next_event(g, out);

    while (there && mutation == FORGETS_SILENTLY && out->type == GOSSIP_EVENT_FORGOTTEN)
        there = __real_gossip_next_event(g, out);
    if (there && mutation == FALLS_BACK && out->type == GOSSIP_EVENT_RECORD &&
        out->record.class == GOSSIP_OPERATOR && out->record.version.generation % 4 == 0)
        out->record.version.generation = 1;
    return there;
}

/* ---- cases ---- */

struct bite {
    const char *name;
    enum mutation mutation;
    const char *scenario;
    uint32_t seconds; /* 0: the scenario's own */
    enum oracle_kind oracle;
    uint32_t hosts; /* 0: a dozen */
};

static const struct bite bites[] = {
    { "a_lost_race_is_not_listed", LOSES_RACES, "partition", 60, ORACLE_LOST },
    { "a_lost_race_goes_too_soon", LISTS_TOO_FEW, "loss", 60, ORACLE_LOST },
    { "the_suspected_stay_buried", NEVER_REFUTES, "loss", 60, ORACLE_VIEWS },
    { "the_thawed_stay_buried", NEVER_REFUTES, "freeze", 60, ORACLE_DEATH },
    { "no_digests_after_a_partition", NO_DIGESTS, "partition", 60, ORACLE_STORES },
    { "no_digests_by_tcp_alone", NO_DIGESTS, "tcp", 30, ORACLE_STORES },
    { "the_killed_are_not_missed", NO_PROBES, "chaos", 20, ORACLE_VIEWS },
    { "suspicions_of_the_well", DEAF, "calm", 60, ORACLE_QUIET },
    { "the_well_are_buried", IMPATIENT_DEAF, "policy", 60, ORACLE_DEATH },
    { "incarnations_nobody_had", EXAGGERATES, "calm", 0, ORACLE_FUTURE },
    { "closed_for_ever", NEVER_OPENS, "calm", 5, ORACLE_CLOSED },
    { "always_due", SPINS, "calm", 0, ORACLE_BOUNDS },
    { "its_own_incarnation_falls", FORGETS_ITSELF, "calm", 60, ORACLE_SELF },
    { "a_version_falls_back", FALLS_BACK, "policy", 0, ORACLE_BACKWARDS },
    { "a_restart_is_a_death", RESTARTS_UNHEARD, "restart", 60, ORACLE_DEATH },
    { "forgotten_without_a_word", FORGETS_SILENTLY, "forget", 0, ORACLE_TOLD, 6 },
    { "the_dead_live_on", KEEPS_THE_DEAD, "forget", 0, ORACLE_VIEWS, 6 },
    { "nothing_was_restarted", SOUND, "restart", 1, ORACLE_VACUOUS },
};

static struct world *
run(const struct bite *b, enum mutation m)
{
    struct world *w;

    mutation = m;
    w = scenario_run(&(struct world_options){ .scenario = scenario_find(b->scenario),
                                              .seed = 1,
                                              .hosts = b->hosts ? b->hosts : 12,
                                              .seconds = b->seconds });
    mutation = SOUND;
    return w;
}

static void
test_bites(void **state)
{
    const struct bite *b = *state;
    struct world *w = run(b, b->mutation);

    if (!w->oracle.failed)
        print_error("no oracle failed\n");
    else if (w->oracle.first_kind != b->oracle)
        print_error("another oracle failed: %s\n", w->oracle.first);
    assert_true(w->oracle.failed);
    assert_string_equal(oracle_name(w->oracle.first_kind), oracle_name(b->oracle));
    world_free(w);
}

static bool
is_same_run(const struct bite *a, const struct bite *b)
{
    return strcmp(a->scenario, b->scenario) == 0 && a->seconds == b->seconds &&
           a->hosts == b->hosts;
}

/* The cases above end by what they break: without it the same runs are good. */
static void
test_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < GS_COUNT(bites); i++) {
        bool done = bites[i].mutation == SOUND;
        struct world *w;

        for (size_t k = 0; k < i; k++)
            done = done || is_same_run(&bites[k], &bites[i]);
        if (done)
            continue;
        w = run(&bites[i], SOUND);
        if (w->oracle.failed)
            print_error("%s: %s\n", bites[i].scenario, w->oracle.first);
        assert_false(w->oracle.failed);
        world_free(w);
    }
}

int
main(void)
{
    static struct CMUnitTest tests[GS_COUNT(bites) + 1];
    static struct bite copies[GS_COUNT(bites)];
    size_t count = 0;

    for (; count < GS_COUNT(bites); count++) {
        copies[count] = bites[count];
        tests[count] = (struct CMUnitTest){ .name = copies[count].name,
                                            .test_func = test_bites,
                                            .initial_state = &copies[count] };
    }
    tests[count++] = (struct CMUnitTest){ .name = "sound", .test_func = test_sound };
    return _cmocka_run_group_tests("bites", tests, count, NULL, NULL);
}
