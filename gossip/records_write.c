/* records_write.c - what is written here: operators' transactions, and what this node says of
 * itself. Start reading at records_put().
 *
 *     ops ─▶ draft_all: may all of them be? ─▶ write_all: a version each, and the list of them
 *
 * What becomes of a version is records_install()'s, as of one from another node. */
#include "gossip/records.h"

#include <gossamer/alloc.h>

#include "gossip/transaction.h"

/* ---- operators ---- */

struct draft {             /* one operation of a put, checked */
    struct record *former; /* NULL: the key is new */
    bool unchanged;
};

static gs_err
refuse_version(const struct gossip_op *op, const struct record *r, struct gs_why *why)
{
    char text[GS_VERSION_TEXT];

    if (!r)
        return gs_refuse(why, GS_E_CONFLICT, "%.*s is not there any more", GS_SLICE_FMT(op->key));
    return gs_refuse(why, GS_E_CONFLICT, "%.*s was changed meanwhile, it is at %s now",
                     GS_SLICE_FMT(op->key), gs_version_text(&r->present->r.version, text));
}

static bool
has_conflicts(const struct record *r)
{
    bool has = false;

    for (unsigned i = 0; i < r->former_count; i++)
        has = has || r->former[i].conflict;
    return has;
}

static gs_err
draft_op(const struct records *g, const struct gossip_op *op, struct draft *d, struct gs_why *why)
{
    static const struct gs_version none;
    struct store_key k = { .class = GOSSIP_OPERATOR, .key = op->key };
    const struct gs_version *is;
    const struct gossip_record *p;
    bool gone;

    GS_ASSERT(op->kind >= GOSSIP_KIND_USER);
    if (op->key.len == 0 || op->key.len > RECORD_KEY_MAX)
        return gs_refuse(why, GS_E_LIMIT, "a key has 1 to %d bytes", RECORD_KEY_MAX);
    if (!op->remove && op->value.len > RECORD_VALUE_MAX)
        return gs_refuse(why, GS_E_LIMIT, "%.*s has %zu bytes, at most %d are allowed",
                         GS_SLICE_FMT(op->key), op->value.len, RECORD_VALUE_MAX);
    d->former = store_find(&g->store, &k);
    p = d->former ? &d->former->present->r : NULL;
    gone = !p || p->tombstone;
    is = gone ? &none : &p->version; /* of what was deleted nobody holds a version to compare */
    if (op->if_version && gs_version_cmp(op->if_version, is) != 0)
        return refuse_version(op, gone ? NULL : d->former, why);
    if (op->remove && gone)
        return gs_refuse(why, GS_E_NOT_FOUND, "%.*s is not there", GS_SLICE_FMT(op->key));
    d->unchanged = !op->remove && !gone && p->kind == op->kind &&
                   gs_slice_eq(p->value, op->value) && !(op->settle && has_conflicts(d->former));
    return GS_E_OK;
}

static gs_err
draft_all(const struct records *g, const struct gossip_op *ops, size_t n, struct draft *drafts,
          struct gs_why *why)
{
    size_t bytes = 0, fresh = n > 1; /* the list of members */

    for (size_t i = 0; i < n; i++) {
        gs_err e = draft_op(g, &ops[i], &drafts[i], why);

        if (e != GS_E_OK)
            return e;
        for (size_t k = 0; k < i; k++) {
            if (gs_slice_eq(ops[k].key, ops[i].key))
                return gs_refuse(why, GS_E_INVALID, "%.*s is there twice",
                                 GS_SLICE_FMT(ops[i].key));
        }
        fresh += !drafts[i].former;
        bytes += ops[i].key.len * 2 + 512 + (ops[i].remove ? 0 : ops[i].value.len);
    }
    if (!store_has_room(&g->store, fresh, bytes))
        return gs_refuse(why, GS_E_LIMIT,
                         "this node holds %zu records of %zu bytes; %d and %u are the most",
                         g->store.count, g->store.bytes, RECORDS_MAX, RECORDS_BYTES_MAX);
    return GS_E_OK;
}

static void
write_op(struct records *g, uint64_t now_ms, const struct gossip_op *op, uint64_t hlc,
         uint64_t transaction, uint32_t count, struct gossip_member *member)
{
    struct store_key k = { .class = GOSSIP_OPERATOR, .key = op->key };
    /* Looked up again: as a tombstone it may have made room for one of this very transaction. */
    const struct record *r = store_find(&g->store, &k);
    const struct version *former = r ? r->present : NULL;
    char lineage[WIRE_TAG_BYTES * RECORD_LINEAGE_MAX];
    struct wire_record w = { .r = {
                                 .class = GOSSIP_OPERATOR,
                                 .kind = op->kind,
                                 .tombstone = op->remove,
                                 .key = op->key,
                                 .value = op->remove ? GS_SLICE_NONE : op->value,
                                 .version = { .generation = 1, .hlc = hlc, .writer = g->self },
                                 .born_hlc = hlc,
                                 .transaction = transaction,
                                 .transaction_count = count,
                             } };
    struct version *v;

    if (former) {
        w.r.version.generation = former->r.version.generation + 1;
        w.r.replaced = former->r.hash;
        w.lineage = gs_slice(lineage, op->settle ? record_lineage(r, lineage)
                                                 : version_lineage(former, lineage));
        if (!former->r.tombstone)
            w.r.born_hlc = former->r.born_hlc;
    }
    GS_ASSERT(version_make(&w, &v) == GS_E_OK); /* draft_op() saw to the caps */
    *member = (struct gossip_member){ .key = op->key, .version = v->r.version, .hash = v->r.hash };
    GS_ASSERT(records_install(g, now_ms, v, RECORD_FROM_HERE, &g->self, NULL).outcome ==
              GOSSIP_NEWS);
}

static void
write_list(struct records *g, uint64_t now_ms, uint64_t id, uint64_t hlc,
           const struct gossip_member *members, size_t count)
{
    struct gs_version when = { .generation = 1, .hlc = hlc, .writer = g->self };
    char text[TRANSACTION_KEY_BYTES + 1];
    struct store_key k = { .class = GOSSIP_OPERATOR, .key = transaction_key(id, text) };
    const struct record *r = store_find(&g->store, &k);
    struct version *v;

    if (r) /* an id can be guessed: somebody put something there */
        when.generation = r->present->r.version.generation + 1;
    GS_ASSERT(transaction_make(id, &when, members, count, &v) == GS_E_OK);
    GS_ASSERT(records_install(g, now_ms, v, RECORD_FROM_HERE, &g->self, NULL).outcome ==
              GOSSIP_NEWS);
}

static uint32_t
count_changes(const struct draft *drafts, size_t n)
{
    uint32_t changes = 0;

    for (size_t i = 0; i < n; i++)
        changes += !drafts[i].unchanged;
    return changes;
}

static void
write_all(struct records *g, uint64_t now_ms, uint64_t wall_ms, const struct gossip_op *ops,
          size_t n, const struct draft *drafts, struct gossip_put_result *results)
{
    uint32_t changes = count_changes(drafts, n);
    struct gossip_member *members = gs_calloc(n, sizeof(*members));
    uint64_t hlc = changes > 0 ? hlc_next(&g->clock, wall_ms) : 0;
    uint64_t id = changes > 1 ? transaction_id(&g->self, hlc) : 0;
    size_t written = 0;

    for (size_t i = 0; i < n; i++) {
        results[i] = (struct gossip_put_result){ .unchanged = drafts[i].unchanged };
        if (drafts[i].unchanged) {
            results[i].version = drafts[i].former->present->r.version;
            continue;
        }
        write_op(g, now_ms, &ops[i], hlc, id, id != 0 ? changes : 0, &members[written]);
        results[i].version = members[written++].version;
    }
    GS_ASSERT(written == changes);
    if (id != 0)
        write_list(g, now_ms, id, hlc, members, written);
    gs_free(members);
}

gs_err
records_put(struct records *g, uint64_t now_ms, uint64_t wall_ms, const struct gossip_op *ops,
            size_t n, struct gossip_put_result *results, struct gs_why *why)
{
    struct draft *drafts;
    gs_err e;

    if (n == 0 || n > APPLY_OBJECTS_MAX)
        return gs_refuse(why, GS_E_LIMIT, "a transaction has 1 to %d objects, not %zu",
                         APPLY_OBJECTS_MAX, n);
    records_note_wall(g, now_ms, wall_ms);
    drafts = gs_calloc(n, sizeof(*drafts));
    e = draft_all(g, ops, n, drafts, why);
    if (e == GS_E_OK)
        write_all(g, now_ms, wall_ms, ops, n, drafts, results);
    gs_free(drafts);
    return e;
}

/* ---- this node ---- */

static void
write_own(struct records *g, uint64_t now_ms, const struct gossip_op *op, struct gs_version *out)
{
    struct wire_record w = { .r = {
                                 .class = GOSSIP_OWNER,
                                 .kind = op->kind,
                                 .tombstone = op->remove,
                                 .key = op->key,
                                 .value = op->remove ? GS_SLICE_NONE : op->value,
                                 .version = { .generation = g->boot,
                                              .hlc = g->seq + 1,
                                              .writer = g->self },
                             } };
    struct version *v;

    g->seq++;
    GS_ASSERT(version_make(&w, &v) == GS_E_OK);
    *out = v->r.version;
    GS_ASSERT(records_install(g, now_ms, v, RECORD_FROM_HERE, &g->self, NULL).outcome ==
              GOSSIP_NEWS);
}

gs_err
records_put_own(struct records *g, uint64_t now_ms, const struct gossip_op *op,
                struct gossip_put_result *result, struct gs_why *why)
{
    struct store_key k = { .class = GOSSIP_OWNER, .owner = &g->self, .key = op->key };
    const struct record *r = store_find(&g->store, &k);

    GS_ASSERT(g->boot > 0);
    if (op->key.len == 0 || op->key.len > RECORD_KEY_MAX || op->value.len > RECORD_VALUE_MAX ||
        !store_has_room(&g->store, !r, op->value.len + 512))
        return gs_refuse(why, GS_E_LIMIT, "%.*s does not fit", GS_SLICE_FMT(op->key));
    if (r && r->present->r.version.generation == g->boot && r->present->r.tombstone == op->remove &&
        r->present->r.kind == op->kind &&
        (op->remove || gs_slice_eq(r->present->r.value, op->value))) {
        *result = (struct gossip_put_result){ r->present->r.version, true };
        return GS_E_OK;
    }
    result->unchanged = false;
    write_own(g, now_ms, op, &result->version);
    return GS_E_OK;
}

void
records_reboot(struct records *g, uint64_t now_ms, uint64_t above_boot)
{
    struct gs_version ignored;
    struct version **kept;
    size_t count = 0;

    GS_ASSERT(above_boot >= g->boot);
    GS_ASSERT(g->boot < BOOT_MAX);
    g->boot = above_boot < BOOT_MAX ? above_boot + 1 : BOOT_MAX;
    g->seq = 0;
    kept = gs_calloc(g->store.count + 1, sizeof(struct version *));
    for (size_t i = 0; i < g->store.count; i++) {
        struct version *v = g->store.items[i]->present;

        if (v->r.class != GOSSIP_OWNER || !gs_id_eq(&v->r.version.writer, &g->self))
            continue;
        version_ref(v); /* it is read while it is replaced */
        kept[count++] = v;
    }
    for (size_t i = 0; i < count; i++) {
        write_own(g, now_ms,
                  &(struct gossip_op){ .kind = kept[i]->r.kind,
                                       .key = kept[i]->r.key,
                                       .value = kept[i]->r.value,
                                       .remove = kept[i]->r.tombstone },
                  &ignored);
        version_free(kept[i]);
    }
    gs_free(kept);
}
