/* operator.c - who edits what, when: all from the operators' own random numbers. */
#include "tests/sim/operator.h"

#include <inttypes.h>
#include <string.h>

#include "tests/sim/world.h"

#define POLICY_KIND GOSSIP_KIND_USER
#define SMALL_BYTES_MAX 200
#define TWICE_PPM 250000       /* the same key on another node at the same moment */
#define TRANSACTION_PPM 150000 /* two keys together */
#define REMOVE_PPM 120000
#define COMPARE_PPM 300000 /* only if it is as it was read */

/* ---- one edit ---- */

struct draft {
    uint32_t keys[2];
    char names[2][32];
    struct gs_version seen[2];
    struct gs_digest settled[2][RECORD_HISTORY_MAX];
    size_t settled_count[2];
    struct gossip_op ops[2];
    struct gossip_put_result results[2];
    uint32_t count;
};

static bool
takes_writes(const struct host *h)
{
    return h->state == HOST_RUNNING && !h->leaving && gossip_standing(h->core) == GOSSIP_OPEN;
}

static void
draft_op(struct world *w, const struct host *h, struct draft *d, uint32_t key,
         struct gs_slice value)
{
    uint32_t at = d->count++;
    struct gossip_op *op = &d->ops[at];
    struct gossip_record present;
    bool there;

    d->keys[at] = key;
    *op = (struct gossip_op){
        .kind = POLICY_KIND,
        .key = ledger_key(key, d->names[at]),
        .value = value,
    };
    there = gossip_find(h->core, GOSSIP_OPERATOR, NULL, op->key, &present);
    op->remove = there && !present.tombstone && chance(&w->operators, REMOVE_PPM);
    if (chance(&w->operators, COMPARE_PPM)) {
        d->seen[at] = there && !present.tombstone ? present.version : (struct gs_version){ 0 };
        op->if_version = &d->seen[at];
        /* Who names the version has looked at the object, and at what is listed beside it. */
        d->settled_count[at] = ledger_listed(h, key, d->settled[at]);
        op->settle = true;
    }
}

static void
book(struct world *w, struct host *h, const struct draft *d)
{
    for (uint32_t i = 0; i < d->count; i++) {
        const struct gossip_put_result *r = &d->results[i];

        if (r->unchanged)
            continue;
        trace_event(&w->trace, &(struct trace_line){ .at_ns = w->now_ns,
                                                     .host = h->index,
                                                     .subject = TRACE_NOBODY,
                                                     .what = "writes",
                                                     .a = r->version.generation,
                                                     .b = d->keys[i] });
        ledger_add(w, h, d->keys[i], d->settled[i], d->settled_count[i]);
        watch_write(w, d->keys[i], &r->version, h->index);
    }
}

bool
operator_write(struct world *w, struct host *h, uint32_t key, uint32_t bytes)
{
    static char text[RECORD_VALUE_MAX];
    struct draft d = { .count = 0 };
    struct gs_why why = { "" };
    struct gs_slice value = gs_slice(text, bytes);
    gs_err e;

    GS_ASSERT(bytes >= 32);
    GS_ASSERT(bytes <= sizeof(text));
    if (!takes_writes(h))
        return false;
    memset(text, 'x', bytes);
    (void)snprintf(text, bytes, "%016" PRIx64, gs_rng_next(&w->operators));
    draft_op(w, h, &d, key, value);
    if (w->ledger.keys > 1 && chance(&w->operators, TRANSACTION_PPM))
        draft_op(w, h, &d, (key + 1) % w->ledger.keys, value);
    e = gossip_put(h->core, host_now_ms(w, h), host_wall_ms(w, h), d.ops, d.count, d.results, &why);
    if (e != GS_E_OK) {
        oracle_fail(w, ORACLE_BOUNDS, "%s refuses a write: %s %s", h->name, gs_err_name(e),
                    why.text);
        return false;
    }
    book(w, h, &d);
    host_commit(w, h);
    host_step(w, h);
    return true;
}

/* ---- all day ---- */

static uint32_t
length(struct world *w)
{
    if (chance(&w->operators, w->pace.large_ppm))
        return (uint32_t)between(&w->operators, PACKET_BYTES_MAX, 24 * 1024);
    return (uint32_t)between(&w->operators, 32, SMALL_BYTES_MAX);
}

static void
on_edit(struct world *w, uint64_t a, uint64_t b)
{
    uint32_t key = gs_rng_below(&w->operators, w->ledger.keys);
    uint64_t every_ns = w->pace.every_ns;
    int hands = chance(&w->operators, TWICE_PPM) ? 2 : 1;

    (void)a;
    (void)b;
    if (!w->restless)
        return;
    for (int i = 0; i < hands; i++) {
        struct host *h = &w->hosts[gs_rng_below(&w->operators, w->count)];

        (void)operator_write(w, h, key, length(w));
    }
    world_at(w, w->now_ns + between(&w->operators, every_ns / 2, every_ns + every_ns / 2), on_edit,
             0, 0);
}

static void
on_own(struct world *w, uint64_t a, uint64_t b)
{
    struct host *h = &w->hosts[gs_rng_below(&w->operators, w->count)];
    unsigned key = gs_rng_below(&w->operators, HOST_OWN_KEYS);
    uint64_t every_ns = w->pace.own_every_ns;

    (void)a;
    (void)b;
    if (!w->restless)
        return;
    if (takes_writes(h) && h->own[key].said) {
        host_say(w, h, key, !h->own[key].removed && chance(&w->operators, SIM_PPM / 4));
        host_step(w, h);
    }
    world_at(w, w->now_ns + between(&w->operators, every_ns / 2, every_ns + every_ns / 2), on_own,
             0, 0);
}

void
operator_start(struct world *w, const struct operator_pace *p)
{
    GS_ASSERT(p->keys > 0);
    GS_ASSERT(p->keys <= LEDGER_KEYS_MAX);
    w->pace = *p;
    w->ledger.keys = p->keys;
    w->restless = true;
    if (p->every_ns > 0)
        world_at(w, w->now_ns + p->every_ns, on_edit, 0, 0);
    if (p->own_every_ns > 0)
        world_at(w, w->now_ns + p->own_every_ns, on_own, 0, 0);
}
