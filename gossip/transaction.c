/* transaction.c - lists of members, and when they have served. */
#include "gossip/transaction.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gossamer/alloc.h>
#include <gossamer/seal.h>

static const char prefix[] = "transaction/";

uint64_t
transaction_id(const struct gs_id *writer, uint64_t hlc)
{
    uint8_t seed[GS_ID_BYTES + sizeof(hlc)];
    struct gs_digest d;
    uint64_t id = 0;

    memcpy(seed, writer->bytes, GS_ID_BYTES);
    for (size_t i = 0; i < sizeof(hlc); i++)
        seed[GS_ID_BYTES + i] = (uint8_t)(hlc >> (56 - 8 * i));
    d = seal_digest(gs_slice(seed, sizeof(seed)));
    for (size_t i = 0; i < sizeof(id); i++)
        id = id << 8 | d.bytes[i];
    return id != 0 ? id : 1; /* 0 says: written alone */
}

struct gs_slice
transaction_key(uint64_t id, char out[TRANSACTION_KEY_BYTES + 1])
{
    int len = snprintf(out, TRANSACTION_KEY_BYTES + 1, "%s%016" PRIx64, prefix, id);

    GS_ASSERT(len == TRANSACTION_KEY_BYTES);
    return gs_slice(out, TRANSACTION_KEY_BYTES);
}

gs_err
transaction_key_parse(struct gs_slice key, uint64_t *id)
{
    char text[17];
    char again[TRANSACTION_KEY_BYTES + 1];
    char *end;

    if (key.len != TRANSACTION_KEY_BYTES)
        return GS_E_MALFORMED;
    memcpy(text, key.ptr + sizeof(prefix) - 1, 16);
    text[16] = '\0';
    *id = strtoull(text, &end, 16);
    /* strtoull takes blanks, signs and capitals: only what we would write ourselves is a key. */
    return *end == '\0' && gs_slice_eq(transaction_key(*id, again), key) ? GS_E_OK : GS_E_MALFORMED;
}

gs_err
transaction_make(uint64_t id, const struct gs_version *when, const struct gossip_member *members,
                 size_t count, struct version **out)
{
    char key[TRANSACTION_KEY_BYTES + 1];
    struct wire_record w = { 0 };
    struct gs_buf value;
    gs_err e;

    GS_ASSERT(count >= 2 && count <= APPLY_OBJECTS_MAX);
    gs_buf_init(&value, RECORD_LIST_MAX);
    e = wire_put_members(&value, members, count);
    if (e == GS_E_OK) {
        w.r.class = GOSSIP_OPERATOR;
        w.r.kind = GOSSIP_KIND_TRANSACTION;
        w.r.key = transaction_key(id, key);
        w.r.value = gs_buf_slice(&value);
        w.r.version = *when;
        w.r.born_hlc = when->hlc;
        e = version_make(&w, out);
    }
    gs_buf_fini(&value);
    return e;
}

bool
transaction_matters(const struct store *s, struct gs_slice list)
{
    struct gossip_member *members = gs_calloc(APPLY_OBJECTS_MAX, sizeof(*members));
    size_t count = 0;
    bool matters = false;

    if (wire_read_members(list, members, APPLY_OBJECTS_MAX, &count) != GS_E_OK)
        count = 0;
    for (size_t i = 0; i < count && !matters; i++) {
        struct store_key k = { .class = GOSSIP_OPERATOR, .key = members[i].key };
        const struct record *r = store_find(s, &k);

        if (r)
            matters = gs_version_cmp(&r->present->r.version, &members[i].version) <= 0;
        else /* below the floor it came and went, and will not be taken again */
            matters = members[i].version.hlc > s->floor_hlc;
    }
    gs_free(members);
    return matters;
}
