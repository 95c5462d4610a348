/* records.c - the records of a node. Start reading at records_merge(), or at records_put() in
 * records_write.c: both end in records_install(), after which the record waits in line for its
 * event, and in line to be told to others (rumor.c).
 *
 *     put ──▶ version_make ─┐
 *     merge ─▶ version_read ┴▶ install ─▶ store_merge ─▶ changed (a list through the records)
 *     restore ─▶ version_read ┘                │                    └▶ records_next_event
 *                                              └▶ lists of transactions that no longer matter go
 *
 * The line of changed records needs no bound of its own: each is in it once, and what is handed
 * out is its version of that moment. */
#include "gossip/records.h"

#include <stdio.h>
#include <string.h>

#include <gossamer/alloc.h>
#include <gossamer/buf.h>

#include "gossip/transaction.h"

/* Half of all hybrid clocks, and far off: one above it is a forgery in our name, and continued it
 * would soon find no next. */
#define OWN_HLC_MAX (UINT64_MAX / 2)

#define LISTS_PER_TICK 16 /* each has up to APPLY_OBJECTS_MAX members to look up */
#define LISTS_AFTER_MS 500

void
records_init(struct records *g, const struct gossip_options *o)
{
    *g = (struct records){ .self = o->self, .clock.last = o->hlc, .boot = o->boot };
    g->lists_ms = UINT64_MAX;
    g->alone = o->address.family == 0;
    store_init(&g->store);
    gs_list_init(&g->changed);
    gs_list_init(&g->fresh);
}

void
records_fini(struct records *g)
{
    while (gs_list_pop_front(&g->changed))
        ;
    while (gs_list_pop_front(&g->fresh))
        ;
    store_fini(&g->store);
    notices_fini(&g->notices);
    gs_free(g->members);
}

/* ---- what every change ends in ---- */

static void
enqueue(struct records *g, struct record *r)
{
    if (!gs_list_linked(&r->changed))
        gs_list_push_back(&g->changed, &r->changed);
}

static void
forget(struct records *g, struct record *r)
{
    gs_list_remove(&r->changed);
    gs_list_remove(&r->fresh);
    gs_list_remove(&r->rumor.link);
    store_remove(&g->store, r);
}

/* A list of members goes, without a trace, once it says nothing any more. Every node finds that
 * by itself, so nothing needs to be told. but: not this one, which its caller is busy with. */
static void
drop_list(struct records *g, uint64_t id, const struct record *but)
{
    char text[TRANSACTION_KEY_BYTES + 1];
    struct store_key k = { .class = GOSSIP_OPERATOR, .key = transaction_key(id, text) };
    struct record *r = store_find(&g->store, &k);

    if (!r || r == but || r->present->r.kind != GOSSIP_KIND_TRANSACTION ||
        transaction_matters(&g->store, r->present->r.value))
        return;
    forget(g, r);
}

/* A version may never be seen here, only the one that replaced it, and then nothing names the list
 * it was in: so all lists are looked at after a change, a few at a time. */
static void
drop_lists(struct records *g, uint64_t now_ms)
{
    size_t left = LISTS_PER_TICK;

    if (g->lists_at > g->store.count)
        g->lists_at = g->store.count;
    while (g->lists_at > 0 && left > 0) {
        const struct gossip_record *r = &g->store.items[--g->lists_at]->present->r;
        uint64_t id;

        if (r->class != GOSSIP_OPERATOR || r->kind != GOSSIP_KIND_TRANSACTION)
            continue;
        left--;
        if (transaction_key_parse(r->key, &id) == GS_E_OK)
            drop_list(g, id, NULL);
    }
    g->lists_ms = g->lists_at > 0 ? now_ms + 1 : UINT64_MAX;
}

static void
drop_lists_later(struct records *g, uint64_t now_ms)
{
    g->lists_at = g->store.count;
    if (g->lists_ms == UINT64_MAX)
        g->lists_ms = now_ms + LISTS_AFTER_MS;
}

static void
sweep(struct records *g, uint64_t now_ms)
{
    size_t gone = store_sweep(&g->store, now_ms);

    g->dropped += gone;
    if (gone > 0)
        drop_lists_later(g, now_ms);
}

void
records_note_wall(struct records *g, uint64_t now_ms, uint64_t wall_ms)
{
    g->store.wall_ahead_ms = wall_ms > now_ms ? wall_ms - now_ms : 0;
}

/* What a node withdrew in a former life is over with that life: a withdrawal is only for those who
 * know the record, and whoever still has that gives it to the owner, who withdraws it again. */
static bool
is_of_former_boot(const struct records *g, const struct gossip_record *r)
{
    struct store_key k = { .class = GOSSIP_OWNER,
                           .owner = &r->version.writer,
                           .key = GS_SLICE("node") };
    const struct record *node;

    if (r->class != GOSSIP_OWNER || !r->tombstone)
        return false;
    node = store_find(&g->store, &k);
    return node && r->version.generation < node->present->r.version.generation;
}

/* A new life of this owner began. What is still in line for its event goes at a later tick, but
 * does not count from now on. */
static void
end_boots_before(struct records *g, const struct gs_version *life)
{
    size_t at = store_end_of(&g->store, &life->writer);

    while (at-- > 0) {
        struct record *r = g->store.items[at];

        if (r->present->r.class != GOSSIP_OWNER ||
            !gs_id_eq(&r->present->r.version.writer, &life->writer))
            break;
        if (!is_of_former_boot(g, &r->present->r))
            continue;
        store_discount(&g->store, r);
        if (gs_list_linked(&r->changed))
            g->discounted = true;
        else
            forget(g, r);
    }
}

static void
drop_discounted(struct records *g)
{
    g->discounted = false;
    for (size_t i = g->store.count; i-- > 0;) {
        struct record *r = g->store.items[i];

        if (r->counted || r->present->r.class != GOSSIP_OWNER)
            continue;
        if (gs_list_linked(&r->changed))
            g->discounted = true;
        else
            forget(g, r);
    }
}

struct record_merged
records_install(struct records *g, uint64_t now_ms, struct version *v, enum record_origin origin,
                const struct gs_id *sender, struct record **out)
{
    struct store_key k = store_key_of(&v->r);
    const struct record *before = store_find(&g->store, &k);
    uint64_t former_transaction = before ? before->present->r.transaction : 0;
    struct record_merged m;
    struct record *r;

    m = store_merge(&g->store, v, origin, now_ms, &r);
    if (m.lost.generation != 0 && origin != RECORD_FROM_DISK) {
        g->conflicts++;
        notices_put(&g->notices, GOSSIP_EVENT_CONFLICT, r->present->r.key, &m.lost, sender, 0);
    }
    if (out)
        *out = r;
    if (m.outcome == GOSSIP_STALE)
        return m;
    /* One that lost is told as well: who made that edit may be asked anywhere what became of it. */
    if (origin != RECORD_FROM_DISK && !g->alone && !gs_list_linked(&r->fresh))
        gs_list_push_back(&g->fresh, &r->fresh);
    if (m.outcome != GOSSIP_NEWS)
        return m;
    enqueue(g, r);
    if (r->present->r.class == GOSSIP_OWNER && r->present->r.kind == GOSSIP_KIND_NODE)
        end_boots_before(g, &r->present->r.version);
    if (former_transaction != 0)
        drop_list(g, former_transaction, r);
    if (r->present->r.class == GOSSIP_OPERATOR)
        drop_lists_later(g, now_ms);
    if (store_over_budget(&g->store))
        sweep(g, now_ms);
    return m;
}

/* ---- from others, from the disk ---- */

/* Out of all bounds: refused before it can win every comparison for ever. */
static bool
is_absurd(const struct version *v, const struct record *r)
{
    uint64_t generation = v->r.version.generation;
    uint64_t stored = r ? r->present->r.version.generation : 0;

    if (v->r.class != GOSSIP_OPERATOR)
        return false;
    return generation > RECORD_GENERATION_MAX ||
           (r && generation > stored && generation - stored > RECORD_GENERATION_JUMP);
}

/* Its tombstone was dropped here already: taken now it would rise from the dead. */
static bool
is_below_floor(const struct records *g, const struct version *v, const struct record *r)
{
    return !r && v->r.class == GOSSIP_OPERATOR && g->store.floor_hlc > 0 &&
           v->r.version.hlc <= g->store.floor_hlc;
}

static void
observe_clock(struct records *g, uint64_t wall_ms, const struct version *v,
              const struct gs_id *sender)
{
    uint64_t ahead_ms;

    if (v->r.class != GOSSIP_OPERATOR)
        return;
    ahead_ms = hlc_observe(&g->clock, v->r.version.hlc, wall_ms);
    if (ahead_ms == 0)
        return;
    g->clock_ahead++;
    notices_put(&g->notices, GOSSIP_EVENT_CLOCK_AHEAD, v->r.key, &v->r.version, sender, ahead_ms);
}

/* A list of members that no longer matters, or that is none, is not even stored. */
static bool
is_idle_list(const struct records *g, const struct version *v)
{
    return v->r.class == GOSSIP_OPERATOR && v->r.kind == GOSSIP_KIND_TRANSACTION &&
           !transaction_matters(&g->store, v->r.value);
}

/* Takes v. */
static enum gossip_merged
judge(struct records *g, uint64_t now_ms, uint64_t wall_ms, struct version *v,
      const struct gs_id *sender, struct record **out)
{
    struct store_key k = store_key_of(&v->r);
    const struct record *r = store_find(&g->store, &k);
    enum gossip_merged outcome = GOSSIP_STALE;

    if (is_absurd(v, r)) {
        g->refused++;
        notices_put(&g->notices, GOSSIP_EVENT_REFUSED, v->r.key, &v->r.version, sender, 0);
        version_free(v);
        return GOSSIP_REFUSED;
    }
    if (is_below_floor(g, v, r)) {
        if (!v->r.tombstone) { /* of one that is gone, nobody loses anything */
            g->below_floor++;
            notices_put(&g->notices, GOSSIP_EVENT_BELOW_FLOOR, v->r.key, &v->r.version, sender, 0);
        }
        version_free(v);
    } else if (is_idle_list(g, v) || is_of_former_boot(g, &v->r)) {
        version_free(v);
    } else {
        observe_clock(g, wall_ms, v, sender);
        outcome = records_install(g, now_ms, v, RECORD_FROM_PEER, sender, out).outcome;
    }
    g->news += outcome == GOSSIP_NEWS;
    g->stale += outcome == GOSSIP_STALE;
    return outcome;
}

gs_err
records_merge(struct records *g, uint64_t now_ms, uint64_t wall_ms, const struct gs_id *sender,
              struct gs_slice bytes, enum gossip_merged *out, struct record **record,
              struct gs_why *why)
{
    struct store_key k;
    struct version *v;
    gs_err e = version_read(bytes, &v);

    *record = NULL;
    if (e != GS_E_OK) {
        g->malformed++;
        return gs_refuse(why, e, "a record of %zu bytes cannot be read", bytes.len);
    }
    k = store_key_of(&v->r);
    if (!store_has_room(&g->store, !store_find(&g->store, &k), version_bytes(v))) {
        g->refused++;
        e = gs_refuse(why, GS_E_LIMIT, "no room for %.*s", GS_SLICE_FMT(v->r.key));
        version_free(v);
        return e;
    }
    records_note_wall(g, now_ms, wall_ms);
    *out = judge(g, now_ms, wall_ms, v, sender, record);
    return GS_E_OK;
}

static gs_err
restore_floor(struct records *g, struct gs_slice bytes, struct gs_why *why)
{
    uint64_t floor = 0;

    if (bytes.len != sizeof(floor))
        return gs_refuse(why, GS_E_MALFORMED, "a floor has 8 bytes");
    for (size_t i = 0; i < sizeof(floor); i++)
        floor |= (uint64_t)(uint8_t)bytes.ptr[i] << (8 * i);
    if (floor > g->store.floor_hlc)
        g->store.floor_hlc = floor;
    return GS_E_OK;
}

/* What a node says of itself is written anew at each start, so it is not kept. */
static bool
is_own(const struct records *g, const struct version *v)
{
    return v->r.class == GOSSIP_OWNER && gs_id_eq(&v->r.version.writer, &g->self);
}

/* Out of the file of another node: nothing we still say, but a life that was before this one. */
static void
restore_own(struct records *g, uint64_t now_ms, struct version *v)
{
    uint64_t boot = v->r.version.generation;

    if (boot >= g->boot && boot < BOOT_MAX)
        records_reboot(g, now_ms, boot);
    version_free(v);
}

gs_err
records_restore(struct records *g, uint64_t now_ms, uint64_t wall_ms, uint16_t kind,
                struct gs_slice bytes, struct gs_why *why)
{
    struct version *v;
    gs_err e;

    records_note_wall(g, now_ms, wall_ms);
    if (kind == GOSSIP_FRAME_FLOOR)
        return restore_floor(g, bytes, why);
    if (kind != GOSSIP_FRAME_RECORD)
        return gs_refuse(why, GS_E_UNSUPPORTED, "frames of kind %u are not records", kind);
    e = version_read(bytes, &v);
    if (e != GS_E_OK)
        return gs_refuse(why, e, "a record of %zu bytes cannot be read", bytes.len);
    if (is_own(g, v)) {
        restore_own(g, now_ms, v);
        return GS_E_OK;
    }
    /* Our own clock is continued from wherever it was; others' may have been wrong. */
    if (gs_id_eq(&v->r.version.writer, &g->self) && v->r.version.hlc <= OWN_HLC_MAX) {
        if (v->r.version.hlc > g->clock.last)
            g->clock.last = v->r.version.hlc;
    } else {
        observe_clock(g, wall_ms, v, NULL);
    }
    (void)records_install(g, now_ms, v, RECORD_FROM_DISK, NULL, NULL);
    return GS_E_OK;
}

/* ---- time ---- */

void
records_tick(struct records *g, uint64_t now_ms)
{
    if (now_ms >= store_deadline_ms(&g->store))
        sweep(g, now_ms);
    if (now_ms >= g->lists_ms)
        drop_lists(g, now_ms);
    if (g->discounted)
        drop_discounted(g);
}

uint64_t
records_deadline_ms(const struct records *g)
{
    uint64_t due_ms = store_deadline_ms(&g->store);

    return g->lists_ms < due_ms ? g->lists_ms : due_ms;
}

/* ---- events ---- */

static bool
transaction_event(struct records *g, const struct record *r, struct gossip_event *out)
{
    struct gossip_transaction *t = &out->transaction;

    if (!g->members)
        g->members = gs_calloc(APPLY_OBJECTS_MAX, sizeof(*g->members));
    if (transaction_key_parse(r->present->r.key, &t->id) != GS_E_OK ||
        wire_read_members(r->present->r.value, g->members, APPLY_OBJECTS_MAX, &t->count) != GS_E_OK)
        return false; /* a peer's nonsense; its members are there or not all the same */
    out->type = GOSSIP_EVENT_TRANSACTION;
    t->members = g->members;
    return true;
}

bool
records_next_event(struct records *g, struct gossip_event *out)
{
    struct gs_list *link;

    while ((link = gs_list_pop_front(&g->changed))) {
        const struct record *r = GS_LIST_ENTRY(link, struct record, changed);

        GS_ASSERT(r->present);
        *out = (struct gossip_event){ .type = GOSSIP_EVENT_RECORD, .record = r->present->r };
        if (out->record.kind >= GOSSIP_KIND_USER)
            return true;
        if (out->record.kind == GOSSIP_KIND_TRANSACTION && out->record.class == GOSSIP_OPERATOR &&
            transaction_event(g, r, out))
            return true;
    }
    return notices_next(&g->notices, out);
}

struct record *
records_next_fresh(struct records *g)
{
    struct gs_list *link = gs_list_pop_front(&g->fresh);

    return link ? GS_LIST_ENTRY(link, struct record, fresh) : NULL;
}

bool
records_has_event(const struct records *g)
{
    return !gs_list_empty(&g->changed) || g->notices.count > 0;
}

/* ---- reading ---- */

bool
records_find(const struct records *g, enum gossip_class class, const struct gs_id *owner,
             struct gs_slice key, struct gossip_record *out)
{
    struct store_key k = { .class = class, .owner = owner, .key = key };
    const struct record *r = store_find(&g->store, &k);

    if (r)
        *out = r->present->r;
    return r != NULL;
}

bool
records_next_record(const struct records *g, size_t *at, struct gossip_record *out)
{
    if (*at >= g->store.count)
        return false;
    *out = g->store.items[(*at)++]->present->r;
    return true;
}

size_t
records_history(const struct records *g, struct gs_slice key, struct gossip_former *out, size_t max)
{
    struct store_key k = { .class = GOSSIP_OPERATOR, .key = key };
    const struct record *r = store_find(&g->store, &k);
    size_t count = 0;

    for (; r && count < r->former_count && count < max; count++)
        out[count] = (struct gossip_former){ r->former[count].v->r, r->former[count].conflict };
    return count;
}

void
records_counters(const struct records *g, struct gossip_counters *out)
{
    out->news = g->news;
    out->stale = g->stale;
    out->conflicts = g->conflicts;
    out->refused += g->refused;
    out->malformed = g->malformed;
    out->below_floor = g->below_floor;
    out->notices_dropped = g->notices.dropped;
    out->tombstones_dropped = g->dropped;
    out->clock_ahead = g->clock_ahead;
    out->records = g->store.count - g->store.tombstones;
    out->tombstones = g->store.tombstones;
    out->bytes = g->store.bytes;
}

uint64_t
records_hlc(const struct records *g)
{
    return g->clock.last;
}

/* ---- persistence ---- */

static bool
floor_frame(const struct records *g, struct gossip_cursor *c, struct gossip_frame *out)
{
    uint64_t floor = g->store.floor_hlc;

    if (c->floors_done || floor == 0)
        return false;
    c->floors_done = true;
    for (size_t i = 0; i < sizeof(floor); i++)
        c->scratch[i] = (uint8_t)(floor >> (8 * i));
    *out = (struct gossip_frame){ GOSSIP_FRAME_FLOOR, gs_slice(c->scratch, sizeof(floor)) };
    return true;
}

bool
records_next_frame(const struct records *g, struct gossip_cursor *c, struct gossip_frame *out)
{
    while (c->at < g->store.count) {
        const struct record *r = g->store.items[c->at];
        const struct version *v = r->present;

        if (c->former > r->former_count || is_own(g, v)) {
            c->at++;
            c->former = 0;
            continue;
        }
        if (c->former > 0)
            v = r->former[c->former - 1].v;
        c->former++;
        *out = (struct gossip_frame){ GOSSIP_FRAME_RECORD, v->r.bytes };
        return true;
    }
    return floor_frame(g, c, out);
}

void
records_forget(struct records *g, const struct gs_id *owner)
{
    size_t at = store_end_of(&g->store, owner);

    while (at-- > 0) {
        struct record *r = g->store.items[at];

        if (r->present->r.class != GOSSIP_OWNER || !gs_id_eq(&r->present->r.version.writer, owner))
            break;
        forget(g, r);
    }
}

void
records_check(const struct records *g)
{
    size_t linked = 0, waiting = 0;

    store_check(&g->store);
    for (size_t i = 0; i < g->store.count; i++)
        linked += gs_list_linked(&g->store.items[i]->changed);
    GS_LIST_EACH(at, &g->changed)
        waiting++;
    GS_ASSERT(linked == waiting);
    GS_ASSERT(g->notices.count <= GOSSIP_NOTICES_MAX);
}
