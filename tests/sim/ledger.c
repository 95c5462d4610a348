/* ledger.c - the writes form a tree per key: each names what it replaced. So at the end it is plain
 * which of them lies under the present version and which lost a race, whatever the cores say. */
#include "tests/sim/ledger.h"

#include <inttypes.h>
#include <string.h>

#include <gossamer/alloc.h>

#include "tests/sim/world.h"

#define KEY_FORMAT "policy/k%" PRIu32

void
ledger_init(struct ledger *l, uint32_t keys)
{
    GS_ASSERT(keys <= LEDGER_KEYS_MAX);
    *l = (struct ledger){ .keys = keys };
    gs_map_init(&l->by_hash, 1);
}

void
ledger_fini(struct ledger *l)
{
    gs_map_fini(&l->by_hash);
    for (size_t i = 0; i < l->count; i++) {
        gs_free(l->writes[i]->let_go);
        gs_free(l->writes[i]);
    }
    gs_free(l->writes);
}

struct gs_slice
ledger_key(uint32_t key, char out[32])
{
    return gs_slice(out, (size_t)snprintf(out, 32, KEY_FORMAT, key));
}

uint32_t
ledger_key_of(struct gs_slice key)
{
    struct gs_slice prefix = GS_SLICE("policy/k");
    uint64_t number;

    if (!gs_slice_starts(key, prefix) ||
        !gs_slice_to_u64(gs_slice_from(key, prefix.len), &number) || number >= LEDGER_KEYS_MAX)
        return LEDGER_KEYS_MAX;
    return (uint32_t)number;
}

static struct write *
find(const struct ledger *l, const struct gs_digest *hash)
{
    return gs_map_find(&l->by_hash, gs_slice(hash->bytes, sizeof(hash->bytes)));
}

const struct write *
ledger_find(const struct ledger *l, const struct gs_digest *hash)
{
    return find(l, hash);
}

size_t
ledger_listed(const struct host *h, uint32_t key, struct gs_digest out[RECORD_HISTORY_MAX])
{
    struct gossip_former former[RECORD_HISTORY_MAX];
    char name[32];
    size_t count = gossip_history(h->core, ledger_key(key, name), former, RECORD_HISTORY_MAX);
    size_t listed = 0;

    for (size_t i = 0; i < count; i++) {
        if (former[i].conflict)
            out[listed++] = former[i].record.hash;
    }
    return listed;
}

static void
note_seen(const struct ledger *l, const struct gs_digest *hash)
{
    struct write *e = find(l, hash);

    if (e)
        e->is_seen = true;
}

void
ledger_add(struct world *w, struct host *h, uint32_t key, const struct gs_digest *settled,
           size_t settled_count)
{
    struct ledger *l = &w->ledger;
    struct gossip_record r;
    struct write *e;
    char name[32];

    GS_ASSERT(gossip_find(h->core, GOSSIP_OPERATOR, NULL, ledger_key(key, name), &r));
    if (find(l, &r.hash)) /* an old disk made it write the very same again */
        return;
    e = gs_zalloc(sizeof(*e));
    *e = (struct write){
        .hash = r.hash,
        .replaced = r.replaced,
        .version = r.version,
        .host = h->index,
        .key = key,
        .life = h->life,
        .at_ns = w->now_ns,
        .tombstone = r.tombstone,
        .let_go = gs_calloc(w->count / 8 + 1, 1),
    };
    note_seen(l, &r.replaced);
    for (size_t i = 0; i < settled_count; i++) {
        e->settled[e->settled_count++] = settled[i];
        note_seen(l, &settled[i]);
    }
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->writes = gs_realloc(l->writes, l->cap * sizeof(struct write *));
    }
    l->writes[l->count++] = e;
    (void)gs_map_put(&l->by_hash, gs_slice(e->hash.bytes, sizeof(e->hash.bytes)), e);
}

void
ledger_flushed(struct world *w, const struct host *h)
{
    for (size_t i = w->ledger.count; i-- > 0;) {
        struct write *e = w->ledger.writes[i];

        if (e->host == h->index && e->life == h->life)
            e->acknowledged = true;
    }
}

void
ledger_disk_lost(struct world *w, const struct host *h, uint64_t as_of_ns)
{
    for (size_t i = 0; i < w->ledger.count; i++) {
        struct write *e = w->ledger.writes[i];

        if (e->host == h->index && e->at_ns >= as_of_ns)
            e->unsafe = true;
    }
}

/* ---- at rest ---- */

bool
ledger_is_above(const struct write *above, const struct write *e)
{
    if (gs_digest_eq(&above->replaced, &e->hash))
        return true;
    for (size_t i = 0; i < above->settled_count; i++) {
        if (gs_digest_eq(&above->settled[i], &e->hash))
            return true;
    }
    return false;
}

bool
ledger_is_under(const struct ledger *l, const struct write *e, const struct write *of)
{
    const struct write *at = of;

    while (at) {
        if (at == e)
            return true;
        for (size_t i = 0; i < at->settled_count; i++) {
            if (ledger_is_under(l, e, find(l, &at->settled[i])))
                return true;
        }
        at = find(l, &at->replaced);
    }
    return false;
}

static bool
is_listed(const struct host *h, const struct write *e)
{
    struct gs_digest listed[RECORD_HISTORY_MAX];
    size_t count = ledger_listed(h, e->key, listed);

    for (size_t i = 0; i < count; i++) {
        if (gs_digest_eq(&listed[i], &e->hash))
            return true;
    }
    return false;
}

/* Who should know of it: the host that took it, or any other that is up, if that one is not. */
static const struct host *
witness(const struct world *w, const struct write *e)
{
    const struct host *h = &w->hosts[e->host];

    for (uint32_t i = 0; !host_is_up(h) && i < w->count; i++)
        h = &w->hosts[i];
    return host_is_up(h) ? h : NULL;
}

static void
lost(struct world *w, const struct write *e, const struct host *h, const char *how)
{
    char name[32], version[GS_VERSION_TEXT];
    struct gs_slice key = ledger_key(e->key, name);

    if (e->unsafe) {
        w->ledger.excused++;
        return;
    }
    oracle_fail(w, ORACLE_LOST, "%.*s %s, written on n%" PRIu32 " at %.3f s, is %s on %s",
                GS_SLICE_FMT(key), gs_version_text(&e->version, version), e->host,
                (double)e->at_ns / 1e9, how, h->name);
}

/* Does h answer for it: by itself, or by something written on top of it? What was written on top
 * but never reached a disk does not count, and then it is a conflict of its own. */
static bool
is_accounted(struct world *w, const struct host *h, const struct write *e,
             const struct gossip_record *present)
{
    const struct ledger *l = &w->ledger;

    if (gs_digest_eq(&present->hash, &e->hash) || ledger_is_under(l, e, find(l, &present->hash)) ||
        is_listed(h, e))
        return true;
    for (size_t i = 0; e->is_seen && i < l->count; i++) {
        const struct write *above = l->writes[i];

        if (ledger_is_above(above, e) && is_accounted(w, h, above, present))
            return true;
    }
    return false;
}

static void
check_write(struct world *w, const struct write *e)
{
    const struct host *h = witness(w, e);
    struct gossip_record present;
    char name[32];

    if (!h)
        return;
    if (!gossip_find(h->core, GOSSIP_OPERATOR, NULL, ledger_key(e->key, name), &present)) {
        if (h->index == e->host)
            lost(w, e, h, "gone with its key");
        else
            w->ledger.excused++;
    } else if (is_accounted(w, h, e, &present)) {
        w->ledger.conflicts += is_listed(h, e);
    } else if (races_let_go(w, h, e)) {
        w->ledger.overflowed++;
    } else if (h->index != e->host) {
        w->ledger.excused++; /* its own host is down: only there it had to be */
    } else {
        lost(w, e, h, "neither current, nor an ancestor, nor listed");
    }
}

void
ledger_check(struct world *w)
{
    struct ledger *l = &w->ledger;

    l->acknowledged = l->unanswered = l->excused = l->conflicts = l->overflowed = 0;
    for (size_t i = 0; i < l->count; i++) {
        if (l->writes[i]->acknowledged) {
            l->acknowledged++;
            check_write(w, l->writes[i]);
        } else {
            l->unanswered++;
        }
    }
}
