/* wire.c - the one user of msgpack-c in gossip/. Reading goes in two steps: gs_pack_check() says
 * whether the bytes are one canonical value within bounds, then msgpack-c takes them apart. */
#include "gossip/wire.h"

#include <msgpack.h>

#include <gossamer/pack.h>

#define WIRE_DEPTH_MAX 4 /* of what we write; room for what a later version nests */
#define WIRE_RECORD_OBJECTS 256
#define WIRE_MEMBER_OBJECTS 16
#define WIRE_PACKET_OBJECTS (WIRE_PACKET_RECORDS_MAX + 256) /* and what a later version adds */
#define WIRE_ADDRESS_4 6                                    /* IP and port */
#define WIRE_ADDRESS_6 18
#define WIRE_PING_TARGET 8 /* enough to tell a wrong node from the right one */
#define WIRE_LEVEL 1       /* of digests: the only one so far */
#define WIRE_ROOTS_BYTES (8 * WIRE_CLASSES)
#define WIRE_BUCKETS_BYTES (8 * DIGEST_BUCKETS * WIRE_CLASSES)

_Static_assert(DIGEST_BUCKETS <= 64, "a mask has a bit for each bucket");

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

static void
put_address(msgpack_packer *p, unsigned field, const struct gs_addr *a)
{
    size_t ip_bytes = a->family == 4 ? 4 : 16;
    char bytes[WIRE_ADDRESS_6];

    GS_ASSERT(a->family == 4 || a->family == 6);
    GS_ASSERT(a->port > 0); /* nobody is reached there, and no reader would take it */
    memcpy(bytes, a->ip, ip_bytes);
    bytes[ip_bytes] = (char)(a->port >> 8);
    bytes[ip_bytes + 1] = (char)a->port;
    put_bin(p, field, bytes, ip_bytes + 2);
}

gs_err
wire_put_node(struct gs_buf *out, const struct wire_node *n)
{
    msgpack_packer p;

    GS_ASSERT(n->name.len > 0);
    GS_ASSERT(n->name.len <= GOSSIP_NAME_MAX);
    GS_ASSERT(n->about.len <= GOSSIP_ABOUT_MAX);
    msgpack_packer_init(&p, out, on_bytes);
    (void)msgpack_pack_map(&p, 3);
    put_bin(&p, WIRE_NODE_NAME, n->name.ptr, n->name.len);
    put_address(&p, WIRE_NODE_ADDRESS, &n->address);
    put_bin(&p, WIRE_NODE_ABOUT, n->about.ptr, n->about.len);
    return out->failed ? GS_E_LIMIT : GS_E_OK;
}

/* ---- writing packets ---- */

static bool
has_target(enum wire_probe_type t)
{
    return t == WIRE_PING || t == WIRE_ASK;
}

static bool
has_digest(const struct wire_packet *w)
{
    return w->buckets.len > 0 || w->has_masks;
}

static size_t
packet_fields(const struct wire_packet *w)
{
    const struct wire_probe *b = &w->probe;

    return (size_t)(w->challenge != 0) + (size_t)(w->echo != 0) + (b->type != 0 ? 2 : 0) +
           (size_t)has_target(b->type) + (size_t)(b->type == WIRE_ASK) + (size_t)(w->flags != 0) +
           (size_t)w->has_roots + (size_t)(w->claims.len > 0) + (size_t)(w->record_count > 0) +
           (size_t)(w->announce.len > 0) + (size_t)(w->pull.len > 0) +
           (size_t)(w->buckets.len > 0) + (size_t)w->has_masks + (size_t)(w->entries[1].len > 0) +
           (size_t)(w->entries[2].len > 0) + (size_t)(w->pad.len > 0) + (size_t)has_digest(w) +
           (size_t)(w->marks.len > 0) + (size_t)(w->ages.len > 0);
}

static void
put_u64_bin(msgpack_packer *p, unsigned field, const uint64_t *v, size_t count)
{
    char bytes[8 * WIRE_CLASSES];

    GS_ASSERT(count <= WIRE_CLASSES);
    for (size_t i = 0; i < count; i++)
        wire_put_u64(bytes + 8 * i, v[i]);
    put_bin(p, field, bytes, 8 * count);
}

/* A list of things of `each` bytes; an empty one is absent. */
static void
put_list(msgpack_packer *p, unsigned field, struct gs_slice list, size_t each)
{
    GS_ASSERT(list.len % each == 0);
    if (list.len > 0)
        put_bin(p, field, list.ptr, list.len);
}

static void
put_probe(msgpack_packer *p, const struct wire_probe *b)
{
    GS_ASSERT(b->type >= WIRE_PING);
    GS_ASSERT(b->type <= WIRE_GONE);
    put_uint(p, WIRE_PACKET_PROBE, b->type);
    put_uint(p, WIRE_PACKET_SEQUENCE, b->sequence);
    if (has_target(b->type))
        put_bin(p, WIRE_PACKET_TARGET, b->target.bytes,
                b->type == WIRE_PING ? WIRE_PING_TARGET : GS_ID_BYTES);
    if (b->type == WIRE_ASK)
        put_address(p, WIRE_PACKET_ADDRESS, &b->address);
}

static void
put_records(msgpack_packer *p, const struct gs_slice *records, size_t count)
{
    GS_ASSERT(count <= WIRE_PACKET_RECORDS_MAX);
    (void)msgpack_pack_uint64(p, WIRE_PACKET_RECORDS);
    (void)msgpack_pack_array(p, count);
    for (size_t i = 0; i < count; i++) {
        GS_ASSERT(records[i].len > 0);
        (void)msgpack_pack_bin(p, records[i].len);
        (void)msgpack_pack_bin_body(p, records[i].ptr, records[i].len);
    }
}

static void
put_digest(msgpack_packer *p, const struct wire_packet *w)
{
    GS_ASSERT(w->buckets.len == 0 || w->buckets.len == WIRE_BUCKETS_BYTES);
    GS_ASSERT(w->entries[0].len == 0);
    GS_ASSERT(w->has_masks || w->entries[1].len + w->entries[2].len == 0);
    put_list(p, WIRE_PACKET_BUCKETS, w->buckets, WIRE_BUCKETS_BYTES);
    if (w->has_masks)
        put_u64_bin(p, WIRE_PACKET_MASKS, w->masks, WIRE_CLASSES);
    put_list(p, WIRE_PACKET_ENTRIES_OPERATOR, w->entries[1], WIRE_ENTRY_BYTES);
    put_list(p, WIRE_PACKET_ENTRIES_OWNER, w->entries[2], WIRE_ENTRY_BYTES);
}

gs_err
wire_put_packet(struct gs_buf *out, const struct wire_packet *w)
{
    msgpack_packer p;

    msgpack_packer_init(&p, out, on_bytes);
    (void)msgpack_pack_map(&p, packet_fields(w));
    if (w->challenge != 0)
        put_u64_bin(&p, WIRE_PACKET_CHALLENGE, &w->challenge, 1);
    if (w->echo != 0)
        put_u64_bin(&p, WIRE_PACKET_ECHO, &w->echo, 1);
    if (w->probe.type != 0)
        put_probe(&p, &w->probe);
    if (w->flags != 0)
        put_uint(&p, WIRE_PACKET_FLAGS, w->flags);
    if (w->has_roots)
        put_u64_bin(&p, WIRE_PACKET_ROOTS, w->roots, WIRE_CLASSES);
    put_list(&p, WIRE_PACKET_CLAIMS, w->claims, WIRE_CLAIM_BYTES);
    if (w->record_count > 0)
        put_records(&p, w->records, w->record_count);
    put_list(&p, WIRE_PACKET_ANNOUNCE, w->announce, WIRE_NOTE_BYTES);
    put_list(&p, WIRE_PACKET_PULL, w->pull, WIRE_NOTE_BYTES);
    put_digest(&p, w);
    put_list(&p, WIRE_PACKET_PAD, w->pad, 1);
    if (has_digest(w))
        put_uint(&p, WIRE_PACKET_LEVEL, WIRE_LEVEL);
    put_list(&p, WIRE_PACKET_RESTARTING, w->marks, WIRE_MARK_BYTES);
    put_list(&p, WIRE_PACKET_AGES, w->ages, WIRE_AGE_BYTES);
    return out->failed ? GS_E_LIMIT : GS_E_OK;
}

/* ---- reading ---- */

/* The bytes as msgpack-c's objects. Strings point into `bytes`, not into the zone of *u, so what is
 * read from them may outlive it. */
static gs_err
unpack(struct gs_slice bytes, size_t objects_max, msgpack_unpacked *u)
{
    gs_err e = gs_pack_check(bytes, WIRE_DEPTH_MAX, objects_max);

    if (e != GS_E_OK)
        return e;
    msgpack_unpacked_init(u);
    if (msgpack_unpack_next(u, bytes.ptr, bytes.len, NULL) == MSGPACK_UNPACK_SUCCESS)
        return GS_E_OK;
    msgpack_unpacked_destroy(u);
    return GS_E_MALFORMED;
}

/* A map whose fields are fetched by number; anything wrong sticks. */
struct cursor {
    const msgpack_object_map *map;
    bool bad;
};

/* Whatever is fetched of it is good until it is closed; strings are beyond that. */
static gs_err
map_open(struct gs_slice bytes, size_t objects_max, msgpack_unpacked *u, struct cursor *c)
{
    gs_err e = unpack(bytes, objects_max, u);

    if (e != GS_E_OK)
        return e;
    *c = (struct cursor){ .map = &u->data.via.map };
    if (u->data.type == MSGPACK_OBJECT_MAP)
        return GS_E_OK;
    msgpack_unpacked_destroy(u);
    return GS_E_MALFORMED;
}

static gs_err
map_close(msgpack_unpacked *u, const struct cursor *c)
{
    msgpack_unpacked_destroy(u);
    return c->bad ? GS_E_MALFORMED : GS_E_OK;
}

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

static void
get_record(struct cursor *c, struct wire_record *w)
{
    uint64_t value_max;

    w->r.class = (enum gossip_class)get_uint(c, WIRE_RECORD_CLASS, GOSSIP_OPERATOR, GOSSIP_OWNER);
    w->r.kind = (uint16_t)get_uint(c, WIRE_RECORD_KIND, 1, UINT16_MAX);
    w->r.key = get_bin(c, WIRE_RECORD_KEY, 1, RECORD_KEY_MAX);
    get_version(c, WIRE_RECORD_GENERATION, &w->r.version);
    w->r.tombstone = !field(c, WIRE_RECORD_VALUE);
    value_max = w->r.kind == GOSSIP_KIND_TRANSACTION ? RECORD_LIST_MAX : RECORD_VALUE_MAX;
    if (!w->r.tombstone)
        w->r.value = get_bin(c, WIRE_RECORD_VALUE, 0, value_max);
    if (w->r.class == GOSSIP_OPERATOR)
        get_ancestry(c, w);
}

gs_err
wire_read_record(struct gs_slice bytes, struct wire_record *out)
{
    struct wire_record w = { 0 };
    msgpack_unpacked u;
    struct cursor c;
    gs_err e = map_open(bytes, WIRE_RECORD_OBJECTS, &u, &c);

    if (e != GS_E_OK)
        return e;
    get_record(&c, &w);
    e = map_close(&u, &c);
    if (e == GS_E_OK)
        *out = w;
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
    msgpack_unpacked u;
    gs_err e = unpack(bytes, 1 + max * WIRE_MEMBER_OBJECTS, &u);

    if (e != GS_E_OK)
        return e;
    e = read_members(&u.data, out, max, count);
    msgpack_unpacked_destroy(&u);
    return e;
}

/* ---- reading nodes and packets ---- */

/* A list of things of `each` bytes: at least one, and no broken one. Absent: nothing. */
static struct gs_slice
get_list(struct cursor *c, unsigned number, size_t each)
{
    struct gs_slice s;

    if (!field(c, number))
        return GS_SLICE_NONE;
    s = get_bin(c, number, each, SIZE_MAX);
    c->bad = c->bad || s.len % each != 0;
    return s;
}

/* A token, which is never zero; 0 when absent. */
static uint64_t
get_token(struct cursor *c, unsigned number)
{
    struct gs_slice s;
    uint64_t v;

    if (!field(c, number))
        return 0;
    s = get_bin(c, number, 8, 8);
    v = s.len == 8 ? wire_u64(s.ptr) : 0;
    c->bad = c->bad || v == 0;
    return v;
}

/* One number for each class; false when absent. */
static bool
get_per_class(struct cursor *c, unsigned number, uint64_t out[WIRE_CLASSES])
{
    struct gs_slice s;

    if (!field(c, number))
        return false;
    s = get_bin(c, number, WIRE_ROOTS_BYTES, WIRE_ROOTS_BYTES);
    if (s.len != WIRE_ROOTS_BYTES)
        return false;
    for (size_t i = 0; i < WIRE_CLASSES; i++)
        out[i] = wire_u64(s.ptr + 8 * i);
    return true;
}

static void
get_address(struct cursor *c, unsigned number, struct gs_addr *out)
{
    struct gs_slice s = get_bin(c, number, WIRE_ADDRESS_4, WIRE_ADDRESS_6);
    size_t ip_bytes;

    if (s.len != WIRE_ADDRESS_4 && s.len != WIRE_ADDRESS_6) {
        c->bad = true;
        return;
    }
    ip_bytes = s.len - 2;
    out->family = s.len == WIRE_ADDRESS_4 ? 4 : 6;
    memcpy(out->ip, s.ptr, ip_bytes);
    out->port = (uint16_t)((uint8_t)s.ptr[ip_bytes] << 8 | (uint8_t)s.ptr[ip_bytes + 1]);
    c->bad = c->bad || out->port == 0;
}

gs_err
wire_read_node(struct gs_slice bytes, struct wire_node *out)
{
    struct wire_node n = { 0 };
    msgpack_unpacked u;
    struct cursor c;
    gs_err e = map_open(bytes, WIRE_RECORD_OBJECTS, &u, &c);

    if (e != GS_E_OK)
        return e;
    n.name = get_bin(&c, WIRE_NODE_NAME, 1, GOSSIP_NAME_MAX);
    get_address(&c, WIRE_NODE_ADDRESS, &n.address);
    n.about = get_bin(&c, WIRE_NODE_ABOUT, 0, GOSSIP_ABOUT_MAX);
    e = map_close(&u, &c);
    if (e == GS_E_OK)
        *out = n;
    return e;
}

/* A type that is not known is skipped with all its parts: the sender will do without an answer. */
static void
get_probe(struct cursor *c, struct wire_probe *out)
{
    uint64_t type = field(c, WIRE_PACKET_PROBE) ? get_uint(c, WIRE_PACKET_PROBE, 1, UINT8_MAX) : 0;
    size_t target_bytes = type == WIRE_PING ? WIRE_PING_TARGET : GS_ID_BYTES;
    struct gs_slice s;

    if (type > WIRE_GONE)
        return;
    out->type = (enum wire_probe_type)type;
    if (type != 0)
        out->sequence = (uint32_t)get_uint(c, WIRE_PACKET_SEQUENCE, 0, UINT32_MAX);
    if (has_target(out->type)) {
        s = get_bin(c, WIRE_PACKET_TARGET, target_bytes, target_bytes);
        if (s.len == target_bytes)
            memcpy(out->target.bytes, s.ptr, target_bytes);
    }
    if (type == WIRE_ASK)
        get_address(c, WIRE_PACKET_ADDRESS, &out->address);
    /* Parts without their whole: nobody writes that. */
    c->bad = c->bad || (type == 0 && field(c, WIRE_PACKET_SEQUENCE)) ||
             (!has_target(out->type) && field(c, WIRE_PACKET_TARGET)) ||
             (type != WIRE_ASK && field(c, WIRE_PACKET_ADDRESS));
}

/* Returns how many; 0 when absent. */
static size_t
get_records(struct cursor *c, struct gs_slice *records)
{
    const msgpack_object *o = field(c, WIRE_PACKET_RECORDS);

    if (!o)
        return 0;
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size == 0 ||
        o->via.array.size > WIRE_PACKET_RECORDS_MAX) {
        c->bad = true;
        return 0;
    }
    for (uint32_t i = 0; i < o->via.array.size; i++) {
        const msgpack_object *item = &o->via.array.ptr[i];

        if (item->type != MSGPACK_OBJECT_BIN || item->via.bin.size == 0) {
            c->bad = true;
            return 0;
        }
        records[i] = gs_slice(item->via.bin.ptr, item->via.bin.size);
    }
    return o->via.array.size;
}

/* Digests of another level than ours are none to us. */
static void
get_digest(struct cursor *c, struct wire_packet *out)
{
    bool has_entries =
        field(c, WIRE_PACKET_ENTRIES_OPERATOR) || field(c, WIRE_PACKET_ENTRIES_OWNER);
    uint64_t level = field(c, WIRE_PACKET_LEVEL) ? get_uint(c, WIRE_PACKET_LEVEL, 1, UINT8_MAX) : 0;

    if (level > WIRE_LEVEL)
        return;
    if (field(c, WIRE_PACKET_BUCKETS))
        out->buckets = get_bin(c, WIRE_PACKET_BUCKETS, WIRE_BUCKETS_BYTES, WIRE_BUCKETS_BYTES);
    out->has_masks = get_per_class(c, WIRE_PACKET_MASKS, out->masks);
    out->entries[1] = get_list(c, WIRE_PACKET_ENTRIES_OPERATOR, WIRE_ENTRY_BYTES);
    out->entries[2] = get_list(c, WIRE_PACKET_ENTRIES_OWNER, WIRE_ENTRY_BYTES);
    c->bad = c->bad || has_digest(out) != (level == WIRE_LEVEL) || (has_entries && !out->has_masks);
}

static void
get_packet(struct cursor *c, struct wire_packet *w, struct gs_slice *records)
{
    w->records = records;
    w->challenge = get_token(c, WIRE_PACKET_CHALLENGE);
    w->echo = get_token(c, WIRE_PACKET_ECHO);
    get_probe(c, &w->probe);
    if (field(c, WIRE_PACKET_FLAGS))
        w->flags = (uint32_t)get_uint(c, WIRE_PACKET_FLAGS, 1, UINT32_MAX);
    w->has_roots = get_per_class(c, WIRE_PACKET_ROOTS, w->roots);
    w->claims = get_list(c, WIRE_PACKET_CLAIMS, WIRE_CLAIM_BYTES);
    w->marks = get_list(c, WIRE_PACKET_RESTARTING, WIRE_MARK_BYTES);
    w->ages = get_list(c, WIRE_PACKET_AGES, WIRE_AGE_BYTES);
    w->record_count = get_records(c, records);
    w->announce = get_list(c, WIRE_PACKET_ANNOUNCE, WIRE_NOTE_BYTES);
    w->pull = get_list(c, WIRE_PACKET_PULL, WIRE_NOTE_BYTES);
    get_digest(c, w);
    w->pad = get_list(c, WIRE_PACKET_PAD, 1);
}

gs_err
wire_read_packet(struct gs_slice bytes, struct wire_packet *out, struct gs_slice *records)
{
    struct wire_packet w = { 0 };
    msgpack_unpacked u;
    struct cursor c;
    gs_err e = map_open(bytes, WIRE_PACKET_OBJECTS, &u, &c);

    if (e != GS_E_OK)
        return e;
    get_packet(&c, &w, records);
    e = map_close(&u, &c);
    if (e == GS_E_OK && !wire_claims_are_sound(&w))
        e = GS_E_MALFORMED;
    if (e == GS_E_OK)
        *out = w;
    return e;
}
