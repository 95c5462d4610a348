/* wire.c - the one user of msgpack-c in gossip/. Reading goes in two steps: gs_pack_check() says
 * whether the bytes are one canonical value within bounds, then msgpack-c takes them apart. */
#include "gossip/wire.h"

#include <msgpack.h>

#include <gossamer/pack.h>

#define WIRE_DEPTH_MAX 4 /* of what we write; room for what a later version nests */
#define WIRE_RECORD_OBJECTS 256
#define WIRE_MEMBER_OBJECTS 16

enum {
#define WIRE(map, field, number) WIRE_##map##_##field = (number),
#include "gossip/wire.def"
#undef WIRE
};

/* ---- writing ---- */

static int
on_bytes(void *out, const char *bytes, size_t len)
{
    return gs_buf_put(out, bytes, len) == GS_E_OK ? 0 : -1;
}

static void
put_uint(msgpack_packer *p, unsigned field, uint64_t v)
{
    (void)msgpack_pack_uint64(p, field);
    (void)msgpack_pack_uint64(p, v);
}

static void
put_bin(msgpack_packer *p, unsigned field, const void *bytes, size_t len)
{
    (void)msgpack_pack_uint64(p, field);
    (void)msgpack_pack_bin(p, len);
    (void)msgpack_pack_bin_body(p, len > 0 ? bytes : "", len);
}

static void
put_version(msgpack_packer *p, unsigned first_field, const struct gs_version *v)
{
    put_uint(p, first_field, v->generation);
    put_uint(p, first_field + 1, v->hlc);
    put_bin(p, first_field + 2, v->writer.bytes, GS_ID_BYTES);
}

static size_t
fields_of(const struct wire_record *w)
{
    return 6 + (size_t)!w->r.tombstone + (size_t)(w->r.class == GOSSIP_OPERATOR) +
           (size_t)!gs_digest_is_zero(&w->r.replaced) + (size_t)(w->lineage.len > 0) +
           (w->r.transaction != 0 ? 2 : 0);
}

gs_err
wire_put_record(struct gs_buf *out, const struct wire_record *w)
{
    const struct gossip_record *r = &w->r;
    msgpack_packer p;

    GS_ASSERT(r->class == GOSSIP_OPERATOR || r->class == GOSSIP_OWNER);
    GS_ASSERT((r->transaction == 0) == (r->transaction_count == 0));
    msgpack_packer_init(&p, out, on_bytes);
    (void)msgpack_pack_map(&p, fields_of(w));
    put_uint(&p, WIRE_RECORD_CLASS, r->class);
    put_uint(&p, WIRE_RECORD_KIND, r->kind);
    put_bin(&p, WIRE_RECORD_KEY, r->key.ptr, r->key.len);
    put_version(&p, WIRE_RECORD_GENERATION, &r->version);
    if (!r->tombstone)
        put_bin(&p, WIRE_RECORD_VALUE, r->value.ptr, r->value.len);
    if (r->class == GOSSIP_OPERATOR)
        put_uint(&p, WIRE_RECORD_BORN, r->born_hlc);
    if (!gs_digest_is_zero(&r->replaced))
        put_bin(&p, WIRE_RECORD_REPLACED, r->replaced.bytes, sizeof(r->replaced.bytes));
    if (w->lineage.len > 0)
        put_bin(&p, WIRE_RECORD_LINEAGE, w->lineage.ptr, w->lineage.len);
    if (r->transaction != 0) {
        put_uint(&p, WIRE_RECORD_TRANSACTION, r->transaction);
        put_uint(&p, WIRE_RECORD_MEMBERS, r->transaction_count);
    }
    return out->failed ? GS_E_LIMIT : GS_E_OK;
}

gs_err
wire_put_members(struct gs_buf *out, const struct gossip_member *m, size_t count)
{
    msgpack_packer p;

    msgpack_packer_init(&p, out, on_bytes);
    (void)msgpack_pack_array(&p, count);
    for (size_t i = 0; i < count; i++) {
        (void)msgpack_pack_map(&p, 5);
        put_bin(&p, WIRE_MEMBER_KEY, m[i].key.ptr, m[i].key.len);
        put_version(&p, WIRE_MEMBER_GENERATION, &m[i].version);
        put_bin(&p, WIRE_MEMBER_HASH, m[i].hash.bytes, sizeof(m[i].hash.bytes));
    }
    return out->failed ? GS_E_LIMIT : GS_E_OK;
}

/* ---- reading ---- */

/* A map whose fields are fetched by number; anything wrong sticks. */
struct cursor {
    const msgpack_object_map *map;
    bool bad;
};

static const msgpack_object *
field(const struct cursor *c, unsigned number)
{
    for (uint32_t i = 0; i < c->map->size; i++) {
        const msgpack_object *key = &c->map->ptr[i].key;

        if (key->type == MSGPACK_OBJECT_POSITIVE_INTEGER && key->via.u64 == number)
            return &c->map->ptr[i].val;
    }
    return NULL;
}

static uint64_t
get_uint(struct cursor *c, unsigned number, uint64_t least, uint64_t most)
{
    const msgpack_object *o = field(c, number);

    if (!o || o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 < least ||
        o->via.u64 > most) {
        c->bad = true;
        return 0;
    }
    return o->via.u64;
}

static struct gs_slice
get_bin(struct cursor *c, unsigned number, size_t least, size_t most)
{
    const msgpack_object *o = field(c, number);

    if (!o || o->type != MSGPACK_OBJECT_BIN || o->via.bin.size < least || o->via.bin.size > most) {
        c->bad = true;
        return GS_SLICE_NONE;
    }
    return gs_slice(o->via.bin.ptr, o->via.bin.size);
}

static void
get_16(struct cursor *c, unsigned number, uint8_t out[16])
{
    struct gs_slice s = get_bin(c, number, 16, 16);

    if (s.len == 16)
        memcpy(out, s.ptr, 16);
}

static void
get_version(struct cursor *c, unsigned first_field, struct gs_version *v)
{
    v->generation = get_uint(c, first_field, 1, UINT64_MAX);
    v->hlc = get_uint(c, first_field + 1, 0, UINT64_MAX);
    get_16(c, first_field + 2, v->writer.bytes);
}

/* What only operators' records have. */
static void
get_ancestry(struct cursor *c, struct wire_record *w)
{
    struct gossip_record *r = &w->r;

    r->born_hlc = get_uint(c, WIRE_RECORD_BORN, 0, UINT64_MAX);
    if (field(c, WIRE_RECORD_REPLACED)) {
        get_16(c, WIRE_RECORD_REPLACED, r->replaced.bytes);
        c->bad = c->bad || gs_digest_is_zero(&r->replaced);
    }
    if (field(c, WIRE_RECORD_LINEAGE)) {
        w->lineage =
            get_bin(c, WIRE_RECORD_LINEAGE, WIRE_TAG_BYTES, WIRE_TAG_BYTES * RECORD_LINEAGE_MAX);
        c->bad = c->bad || w->lineage.len % WIRE_TAG_BYTES != 0;
    }
    if (field(c, WIRE_RECORD_TRANSACTION)) {
        r->transaction = get_uint(c, WIRE_RECORD_TRANSACTION, 1, UINT64_MAX);
        r->transaction_count = (uint32_t)get_uint(c, WIRE_RECORD_MEMBERS, 2, APPLY_OBJECTS_MAX);
    }
}

static gs_err
read_record(const msgpack_object *o, struct wire_record *out)
{
    struct cursor c = { .map = &o->via.map };
    struct wire_record w = { 0 };
    uint64_t value_max;

    if (o->type != MSGPACK_OBJECT_MAP)
        return GS_E_MALFORMED;
    w.r.class = (enum gossip_class)get_uint(&c, WIRE_RECORD_CLASS, GOSSIP_OPERATOR, GOSSIP_OWNER);
    w.r.kind = (uint16_t)get_uint(&c, WIRE_RECORD_KIND, 1, UINT16_MAX);
    w.r.key = get_bin(&c, WIRE_RECORD_KEY, 1, RECORD_KEY_MAX);
    get_version(&c, WIRE_RECORD_GENERATION, &w.r.version);
    w.r.tombstone = !field(&c, WIRE_RECORD_VALUE);
    value_max = w.r.kind == GOSSIP_KIND_TRANSACTION ? RECORD_LIST_MAX : RECORD_VALUE_MAX;
    if (!w.r.tombstone)
        w.r.value = get_bin(&c, WIRE_RECORD_VALUE, 0, value_max);
    if (w.r.class == GOSSIP_OPERATOR)
        get_ancestry(&c, &w);
    if (c.bad)
        return GS_E_MALFORMED;
    *out = w;
    return GS_E_OK;
}

gs_err
wire_read_record(struct gs_slice bytes, struct wire_record *out)
{
    gs_err e = gs_pack_check(bytes, WIRE_DEPTH_MAX, WIRE_RECORD_OBJECTS);
    msgpack_unpacked u;

    if (e != GS_E_OK)
        return e;
    msgpack_unpacked_init(&u);
    if (msgpack_unpack_next(&u, bytes.ptr, bytes.len, NULL) == MSGPACK_UNPACK_SUCCESS)
        e = read_record(&u.data, out);
    else
        e = GS_E_MALFORMED;
    msgpack_unpacked_destroy(&u); /* strings point into `bytes`, not into its zone */
    return e;
}

static gs_err
read_members(const msgpack_object *o, struct gossip_member *out, size_t max, size_t *count)
{
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size > max)
        return GS_E_MALFORMED;
    for (uint32_t i = 0; i < o->via.array.size; i++) {
        const msgpack_object *item = &o->via.array.ptr[i];
        struct cursor c = { .map = &item->via.map };

        if (item->type != MSGPACK_OBJECT_MAP)
            return GS_E_MALFORMED;
        out[i].key = get_bin(&c, WIRE_MEMBER_KEY, 1, RECORD_KEY_MAX);
        get_version(&c, WIRE_MEMBER_GENERATION, &out[i].version);
        get_16(&c, WIRE_MEMBER_HASH, out[i].hash.bytes);
        if (c.bad)
            return GS_E_MALFORMED;
    }
    *count = o->via.array.size;
    return GS_E_OK;
}

gs_err
wire_read_members(struct gs_slice bytes, struct gossip_member *out, size_t max, size_t *count)
{
    gs_err e = gs_pack_check(bytes, WIRE_DEPTH_MAX, 1 + max * WIRE_MEMBER_OBJECTS);
    msgpack_unpacked u;

    if (e != GS_E_OK)
        return e;
    msgpack_unpacked_init(&u);
    if (msgpack_unpack_next(&u, bytes.ptr, bytes.len, NULL) == MSGPACK_UNPACK_SUCCESS)
        e = read_members(&u.data, out, max, count);
    else
        e = GS_E_MALFORMED;
    msgpack_unpacked_destroy(&u);
    return e;
}
