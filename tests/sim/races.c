/* races.c - a host lists RECORD_HISTORY_MAX lost races under a key. So one that vanishes from its
 * list was settled, as the tree of writes tells, or as many above it lost at that moment. How many
 * there are in the end says nothing: they may have been settled since. */
#include "tests/sim/races.h"

#include <inttypes.h>

#include "tests/sim/world.h"

static bool
has(const struct races *r, const struct write *e)
{
    for (unsigned i = 0; i < r->count; i++) {
        if (r->at[i] == e)
            return true;
    }
    return false;
}

static void
add(const struct ledger *l, struct races *r, const struct gs_digest *hash)
{
    const struct write *e = ledger_find(l, hash);

    GS_ASSERT(e); /* nobody else writes there */
    GS_ASSERT(r->count < GS_COUNT(r->at));
    r->at[r->count++] = e;
}

static struct races
races_of(const struct world *w, const struct host *h, uint32_t key)
{
    struct gs_digest listed[RECORD_HISTORY_MAX];
    struct races r = { .count = 0 };
    struct gossip_record present;
    char name[32];
    size_t count;

    if (!gossip_find(h->core, GOSSIP_OPERATOR, NULL, ledger_key(key, name), &present))
        return r;
    add(&w->ledger, &r, &present.hash);
    count = ledger_listed(h, key, listed);
    for (size_t i = 0; i < count; i++)
        add(&w->ledger, &r, &listed[i]);
    return r;
}

static bool
is_settled(const struct world *w, const struct races *now, const struct write *e)
{
    for (unsigned i = 0; i < now->count; i++) {
        if (ledger_is_under(&w->ledger, e, now->at[i]))
            return true;
    }
    return false;
}

/* How many lost, above it. Of what one packet brings some may be listed only before the others. */
static unsigned
count_above(const struct races *before, const struct races *now, const struct write *e)
{
    unsigned above = 0;

    for (unsigned i = 1; i < now->count; i++)
        above += gs_version_cmp(&now->at[i]->version, &e->version) > 0;
    for (unsigned i = 1; i < before->count; i++)
        above +=
            !has(now, before->at[i]) && gs_version_cmp(&before->at[i]->version, &e->version) > 0;
    return above;
}

static void
judge(struct world *w, const struct host *h, const struct races *before, const struct races *now,
      const struct write *e)
{
    char name[32], version[GS_VERSION_TEXT];
    unsigned above = count_above(before, now, e);

    if (is_settled(w, now, e))
        return;
    if (above < RECORD_HISTORY_MAX)
        oracle_fail(w, ORACLE_LOST, "%s lets %.*s %s go, with %u above it that lost", h->name,
                    GS_SLICE_FMT(ledger_key(e->key, name)), gs_version_text(&e->version, version),
                    above);
    else
        e->let_go[h->index / 8] |= (uint8_t)(1u << h->index % 8);
}

void
races_look(struct world *w, struct host *h, uint32_t key)
{
    struct races *before = &h->races[key];
    struct races now = races_of(w, h, key);

    for (unsigned i = 0; now.count > 0 && i < before->count; i++) { /* 0: an old tombstone went */
        if (!has(&now, before->at[i]))
            judge(w, h, before, &now, before->at[i]);
    }
    for (unsigned i = 0; i < now.count; i++) /* it may come back from a disk, or from others */
        now.at[i]->let_go[h->index / 8] &= (uint8_t) ~(1u << h->index % 8);
    *before = now;
}

void
races_look_all(struct world *w, struct host *h)
{
    for (uint32_t key = 0; w->ledger.count > 0 && key < w->ledger.keys; key++)
        races_look(w, h, key);
}

bool
races_let_go(const struct world *w, const struct host *h, const struct write *e)
{
    const struct ledger *l = &w->ledger;

    if (e->let_go[h->index / 8] >> h->index % 8 & 1)
        return true;
    for (size_t i = 0; e->is_seen && i < l->count; i++) {
        if (ledger_is_above(l->writes[i], e) && races_let_go(w, h, l->writes[i]))
            return true;
    }
    return false;
}
