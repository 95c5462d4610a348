/* codec.c - policy objects as record values; the one user of msgpack-c in mesh/model. Bytes pass
 * gs_pack_check() before msgpack-c sees them. Reading keeps a sticky error: read everything, test
 * once. */
#include "mesh/model/codec.h"

#include <msgpack.h>
#include <stdlib.h>

#include <gossamer/alloc.h>
#include <gossamer/limits.h>
#include <gossamer/pack.h>
#include <gossamer/policy.h>

#include "mesh/model/endpoints.h"

enum {
#define KIND(kind, number)
#define OWNER_KIND(kind, number)
#define CODEC(map, field, number) CODEC_##map##_##field = (number),
#include "mesh/model/codec.def"
#undef CODEC
#undef OWNER_KIND
#undef KIND
};

#define CODEC(map, field, number)
#define KIND(kind, number)                                                                         \
    _Static_assert(POLICY_##kind == (number), "codec.def has the numbers of record kinds");
#define OWNER_KIND(kind, number)                                                                   \
    _Static_assert(MODEL_KIND_##kind == (number), "codec.def has the numbers of record kinds");
#include "mesh/model/codec.def"
#undef CODEC
#undef OWNER_KIND
#undef KIND

/* ---- writing ---- */

static int
on_bytes(void *out, const char *bytes, size_t len)
{
    return gs_buf_put(out, bytes, len) == GS_E_OK ? 0 : -1;
}

static void
put_text(msgpack_packer *p, struct gs_slice s)
{
    (void)msgpack_pack_str(p, s.len);
    (void)msgpack_pack_str_body(p, s.len > 0 ? s.ptr : "", s.len);
}

static void
put_bin(msgpack_packer *p, unsigned field, const void *bytes, size_t len)
{
    (void)msgpack_pack_uint64(p, field);
    (void)msgpack_pack_bin(p, len);
    (void)msgpack_pack_bin_body(p, len > 0 ? bytes : "", len);
}

static void
put_text_field(msgpack_packer *p, unsigned field, struct gs_slice s)
{
    if (s.len == 0)
        return;
    (void)msgpack_pack_uint64(p, field);
    put_text(p, s);
}

static void
put_uint_field(msgpack_packer *p, unsigned field, uint64_t v)
{
    (void)msgpack_pack_uint64(p, field);
    (void)msgpack_pack_uint64(p, v);
}

/* Begins a list unless it is empty. */
static bool
put_list(msgpack_packer *p, unsigned field, size_t count)
{
    if (count == 0)
        return false;
    (void)msgpack_pack_uint64(p, field);
    (void)msgpack_pack_array(p, count);
    return true;
}

static int
compare_pairs(const void *a, const void *b)
{
    const struct policy_pair *x = a, *y = b;

    return gs_slice_cmp(x->name, y->name);
}

/* Sorted: the order of a map in a file says nothing. */
static void
put_pairs(msgpack_packer *p, unsigned field, const struct policy_pair *pairs, size_t count)
{
    struct policy_pair *sorted;

    GS_ASSERT(pairs || count == 0);
    if (!put_list(p, field, 2 * count))
        return;
    sorted = gs_alloc(count * sizeof(*sorted));
    memcpy(sorted, pairs, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare_pairs);
    for (size_t i = 0; i < count; i++) {
        put_text(p, sorted[i].name);
        put_text(p, sorted[i].value);
    }
    gs_free(sorted);
}

static void
put_texts(msgpack_packer *p, unsigned field, const struct policy_text *texts, size_t count)
{
    if (!put_list(p, field, count))
        return;
    for (size_t i = 0; i < count; i++)
        put_text(p, texts[i].text);
}

static void
put_match_text(msgpack_packer *p, const struct vs_text_match *m, struct gs_slice name)
{
    GS_ASSERT(m->kind >= POLICY_EXACT && m->kind <= POLICY_PRESENT);
    (void)msgpack_pack_map(p, (size_t)1 + (m->text.len > 0) + (name.len > 0));
    put_uint_field(p, CODEC_TEXT_KIND, m->kind);
    put_text_field(p, CODEC_TEXT_TEXT, m->text);
    put_text_field(p, CODEC_TEXT_NAME, name);
}

static void
put_match(msgpack_packer *p, const struct vs_match *m)
{
    (void)msgpack_pack_map(p, (size_t)(m->name.len > 0) + m->has_uri + (m->header_count > 0));
    put_text_field(p, CODEC_MATCH_NAME, m->name);
    if (m->has_uri) {
        (void)msgpack_pack_uint64(p, CODEC_MATCH_URI);
        put_match_text(p, &m->uri, GS_SLICE_NONE);
    }
    if (!put_list(p, CODEC_MATCH_HEADERS, m->header_count))
        return;
    for (size_t i = 0; i < m->header_count; i++)
        put_match_text(p, &m->headers[i].value, m->headers[i].name);
}

static void
put_destination(msgpack_packer *p, const struct vs_destination *d)
{
    (void)msgpack_pack_map(p, (size_t)(d->host.text.len > 0) + (d->subset.text.len > 0) +
                                  (d->port != 0) + d->weight_written);
    put_text_field(p, CODEC_DESTINATION_HOST, d->host.text);
    put_text_field(p, CODEC_DESTINATION_SUBSET, d->subset.text);
    if (d->port != 0)
        put_uint_field(p, CODEC_DESTINATION_PORT, d->port);
    if (d->weight_written)
        put_uint_field(p, CODEC_DESTINATION_WEIGHT, d->weight);
}

static void
put_rule(msgpack_packer *p, const struct vs_rule *r)
{
    (void)msgpack_pack_map(p, (size_t)(r->name.len > 0) + (r->match_count > 0) +
                                  (r->destination_count > 0) + (r->timeout_ms > 0));
    put_text_field(p, CODEC_RULE_NAME, r->name);
    if (put_list(p, CODEC_RULE_MATCHES, r->match_count)) {
        for (size_t i = 0; i < r->match_count; i++)
            put_match(p, &r->matches[i]);
    }
    if (put_list(p, CODEC_RULE_DESTINATIONS, r->destination_count)) {
        for (size_t i = 0; i < r->destination_count; i++)
            put_destination(p, &r->destinations[i]);
    }
    if (r->timeout_ms > 0)
        put_uint_field(p, CODEC_RULE_TIMEOUT_MS, r->timeout_ms);
}

static void
put_vs(msgpack_packer *p, const struct virtual_service *vs)
{
    put_texts(p, CODEC_VIRTUAL_SERVICE_HOSTS, vs->hosts, vs->host_count);
    put_texts(p, CODEC_VIRTUAL_SERVICE_GATEWAYS, vs->gateways, vs->gateway_count);
    if (!put_list(p, CODEC_VIRTUAL_SERVICE_RULES, vs->rule_count))
        return;
    for (size_t i = 0; i < vs->rule_count; i++)
        put_rule(p, &vs->rules[i]);
}

static void
put_outliers(msgpack_packer *p, unsigned field, const struct dr_outliers *o)
{
    struct row {
        unsigned field;
        bool there;
        uint64_t value;
    };
    size_t count = 0;

    if (!o)
        return;
    const struct row rows[] = {
        { CODEC_OUTLIERS_ERRORS_5XX, o->errors_5xx.written, (uint32_t)o->errors_5xx.n },
        { CODEC_OUTLIERS_ERRORS_GATEWAY, o->errors_gateway.written, (uint32_t)o->errors_gateway.n },
        { CODEC_OUTLIERS_ERRORS_LOCAL, o->errors_local.written, (uint32_t)o->errors_local.n },
        { CODEC_OUTLIERS_SPLIT, o->split, 1 },
        { CODEC_OUTLIERS_INTERVAL_MS, o->interval_ms > 0, o->interval_ms },
        { CODEC_OUTLIERS_BASE_MS, o->base_ms > 0, o->base_ms },
        { CODEC_OUTLIERS_MAX_PERCENT, o->max_percent > 0, (uint32_t)o->max_percent },
        { CODEC_OUTLIERS_MIN_HEALTH_PERCENT, o->min_health_percent > 0,
          (uint32_t)o->min_health_percent },
    };

    for (size_t i = 0; i < GS_COUNT(rows); i++)
        count += rows[i].there;
    (void)msgpack_pack_uint64(p, field);
    (void)msgpack_pack_map(p, count);
    for (size_t i = 0; i < GS_COUNT(rows); i++) {
        if (rows[i].there)
            put_uint_field(p, rows[i].field, rows[i].value);
    }
}

static void
put_traffic(msgpack_packer *p, unsigned field, const struct dr_traffic *t)
{
    if (!t)
        return;
    (void)msgpack_pack_uint64(p, field);
    (void)msgpack_pack_map(p, (size_t)(t->outliers != NULL) + (t->port_count > 0));
    put_outliers(p, CODEC_TRAFFIC_OUTLIERS, t->outliers);
    if (!put_list(p, CODEC_TRAFFIC_PORTS, t->port_count))
        return;
    for (size_t i = 0; i < t->port_count; i++) {
        (void)msgpack_pack_map(p, (size_t)1 + (t->ports[i].outliers != NULL));
        put_uint_field(p, CODEC_PORT_PORT, t->ports[i].port);
        put_outliers(p, CODEC_PORT_OUTLIERS, t->ports[i].outliers);
    }
}

static void
put_dr(msgpack_packer *p, const struct destination_rule *dr)
{
    put_text_field(p, CODEC_DESTINATION_RULE_HOST, dr->host.text);
    if (put_list(p, CODEC_DESTINATION_RULE_SUBSETS, dr->subset_count)) {
        for (size_t i = 0; i < dr->subset_count; i++) {
            const struct dr_subset *s = &dr->subsets[i];

            (void)msgpack_pack_map(p, (size_t)(s->name.text.len > 0) + (s->label_count > 0) +
                                          (s->traffic != NULL));
            put_text_field(p, CODEC_SUBSET_NAME, s->name.text);
            put_pairs(p, CODEC_SUBSET_LABELS, s->labels, s->label_count);
            put_traffic(p, CODEC_SUBSET_TRAFFIC, s->traffic);
        }
    }
    put_traffic(p, CODEC_DESTINATION_RULE_TRAFFIC, dr->traffic);
}

static size_t
maintenance_fields(const struct maintenance *m)
{
    return (size_t)(m->node.text.len > 0) + (m->service.text.len > 0) +
           (m->service_ns.text.len > 0) + (m->port > 0) + (m->instance.text.len > 0) + m->drain +
           m->weight_written + (m->reason.text.len > 0) + (m->by.text.len > 0);
}

static void
put_maintenance(msgpack_packer *p, const struct maintenance *m)
{
    put_text_field(p, CODEC_MAINTENANCE_NODE, m->node.text);
    put_text_field(p, CODEC_MAINTENANCE_SERVICE, m->service.text);
    put_text_field(p, CODEC_MAINTENANCE_NAMESPACE, m->service_ns.text);
    if (m->port > 0)
        put_uint_field(p, CODEC_MAINTENANCE_PORT, m->port);
    put_text_field(p, CODEC_MAINTENANCE_INSTANCE, m->instance.text);
    if (m->drain)
        put_uint_field(p, CODEC_MAINTENANCE_DRAIN, 1);
    if (m->weight_written)
        put_uint_field(p, CODEC_MAINTENANCE_WEIGHT, m->weight);
    put_text_field(p, CODEC_MAINTENANCE_REASON, m->reason.text);
    put_text_field(p, CODEC_MAINTENANCE_BY, m->by.text);
}

static size_t
fields_of(const struct policy_object *o)
{
    size_t common = (size_t)(o->label_count > 0) + (o->annotation_count > 0);

    switch (o->kind) {
    case POLICY_VIRTUAL_SERVICE:
        return common + (o->vs.host_count > 0) + (o->vs.gateway_count > 0) + (o->vs.rule_count > 0);
    case POLICY_DESTINATION_RULE:
        return common + (o->dr.host.text.len > 0) + (o->dr.subset_count > 0) +
               (o->dr.traffic != NULL);
    case POLICY_NOTE:
        return common + (o->note.text.text.len > 0);
    case POLICY_MAINTENANCE:
        return common + maintenance_fields(&o->maint);
    case POLICY_NONE:
        break;
    }
    GS_UNREACHABLE("policy kind");
}

static void
put_spec(msgpack_packer *p, const struct policy_object *o)
{
    if (o->kind == POLICY_VIRTUAL_SERVICE)
        put_vs(p, &o->vs);
    else if (o->kind == POLICY_DESTINATION_RULE)
        put_dr(p, &o->dr);
    else if (o->kind == POLICY_MAINTENANCE)
        put_maintenance(p, &o->maint);
    else
        put_text_field(p, CODEC_NOTE_TEXT, o->note.text.text);
}

gs_err
policy_encode(const struct policy_object *o, struct gs_buf *out)
{
    msgpack_packer p;
    size_t before = out->len;

    msgpack_packer_init(&p, out, on_bytes);
    (void)msgpack_pack_map(&p, fields_of(o));
    put_pairs(&p, CODEC_OBJECT_LABELS, o->labels, o->label_count);
    put_pairs(&p, CODEC_OBJECT_ANNOTATIONS, o->annotations, o->annotation_count);
    put_spec(&p, o);
    if (out->failed || out->len - before > OBJECT_BYTES_MAX)
        return GS_E_LIMIT;
    GS_DEBUG_ASSERT(gs_pack_check(gs_slice_from(gs_buf_slice(out), before), PACK_DEPTH_MAX,
                                  PACK_OBJECTS_MAX) == GS_E_OK);
    return GS_E_OK;
}

/* ---- reading ---- */

struct decoder {
    struct gs_arena *arena;
    bool bad;
};

static const msgpack_object *
field(const msgpack_object *map, unsigned number)
{
    GS_ASSERT(map->type == MSGPACK_OBJECT_MAP);
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        if (map->via.map.ptr[i].key.via.u64 == number) /* keys are unsigned: gs_pack_check */
            return &map->via.map.ptr[i].val;
    }
    return NULL;
}

static struct gs_slice
get_text(struct decoder *d, const msgpack_object *o)
{
    struct gs_slice s = GS_SLICE_NONE;

    if (o->type == MSGPACK_OBJECT_STR)
        s = gs_slice(o->via.str.ptr, o->via.str.size);
    if (o->type != MSGPACK_OBJECT_STR || gs_slice_find(s, '\0') >= 0) {
        d->bad = true;
        return GS_SLICE("");
    }
    return gs_arena_copy(d->arena, s);
}

static struct gs_slice
get_text_field(struct decoder *d, const msgpack_object *map, unsigned number)
{
    const msgpack_object *o = field(map, number);

    return o ? get_text(d, o) : GS_SLICE(""); /* texts always have memory and a NUL behind */
}

/* 0 when absent. */
static uint64_t
get_uint_field(struct decoder *d, const msgpack_object *map, unsigned number, uint64_t most)
{
    const msgpack_object *o = field(map, number);

    if (!o)
        return 0;
    if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 > most) {
        d->bad = true;
        return 0;
    }
    return o->via.u64;
}

/* The items of a list, zeroed memory for them, and their number: 0 when absent. maps: every item
 * is one. */
static const msgpack_object *
get_list(struct decoder *d, const msgpack_object *map, unsigned number, size_t item_bytes,
         void **items, size_t *count)
{
    const msgpack_object *o = field(map, number);

    *count = 0;
    *items = NULL;
    if (!o)
        return NULL;
    if (o->type != MSGPACK_OBJECT_ARRAY) {
        d->bad = true;
        return NULL;
    }
    *count = o->via.array.size;
    *items = gs_arena_zalloc(d->arena, (*count + 1) * item_bytes);
    return o->via.array.ptr;
}

static bool
is_map(struct decoder *d, const msgpack_object *o)
{
    d->bad = d->bad || o->type != MSGPACK_OBJECT_MAP;
    return o->type == MSGPACK_OBJECT_MAP;
}

static void
get_pairs(struct decoder *d, const msgpack_object *map, unsigned number, struct policy_pair **out,
          size_t *count)
{
    void *items;
    const msgpack_object *list =
        get_list(d, map, number, sizeof(struct policy_pair), &items, count);

    d->bad = d->bad || *count % 2 != 0;
    *count /= 2;
    *out = items;
    for (size_t i = 0; i < *count; i++) {
        (*out)[i].name = get_text(d, &list[2 * i]);
        (*out)[i].value = get_text(d, &list[2 * i + 1]);
    }
}

static void
get_texts(struct decoder *d, const msgpack_object *map, unsigned number, struct policy_text **out,
          size_t *count)
{
    void *items;
    const msgpack_object *list =
        get_list(d, map, number, sizeof(struct policy_text), &items, count);

    *out = items;
    for (size_t i = 0; i < *count; i++)
        (*out)[i].text = get_text(d, &list[i]);
}

static void
get_match_text(struct decoder *d, const msgpack_object *map, struct vs_text_match *out)
{
    out->kind = (enum policy_match)get_uint_field(d, map, CODEC_TEXT_KIND, POLICY_PRESENT);
    out->text = get_text_field(d, map, CODEC_TEXT_TEXT);
    d->bad = d->bad || out->kind < POLICY_EXACT;
}

static void
get_match(struct decoder *d, const msgpack_object *map, struct vs_match *out)
{
    const msgpack_object *uri = field(map, CODEC_MATCH_URI);
    const msgpack_object *list;
    void *items;

    out->name = get_text_field(d, map, CODEC_MATCH_NAME);
    out->has_uri = uri && is_map(d, uri);
    if (out->has_uri) {
        get_match_text(d, uri, &out->uri);
        d->bad = d->bad || out->uri.kind == POLICY_PRESENT;
    }
    list = get_list(d, map, CODEC_MATCH_HEADERS, sizeof(*out->headers), &items, &out->header_count);
    out->headers = items;
    for (size_t i = 0; i < out->header_count; i++) {
        if (!is_map(d, &list[i]))
            continue;
        get_match_text(d, &list[i], &out->headers[i].value);
        out->headers[i].name = get_text_field(d, &list[i], CODEC_TEXT_NAME);
    }
}

static void
get_destination(struct decoder *d, const msgpack_object *map, struct vs_destination *out)
{
    out->host.text = get_text_field(d, map, CODEC_DESTINATION_HOST);
    out->subset.text = get_text_field(d, map, CODEC_DESTINATION_SUBSET);
    out->port = (uint16_t)get_uint_field(d, map, CODEC_DESTINATION_PORT, UINT16_MAX);
    out->weight = (uint32_t)get_uint_field(d, map, CODEC_DESTINATION_WEIGHT, INT32_MAX);
    out->weight_written = field(map, CODEC_DESTINATION_WEIGHT) != NULL;
}

static void
get_rule(struct decoder *d, const msgpack_object *map, struct vs_rule *out)
{
    const msgpack_object *list;
    void *items;

    out->name = get_text_field(d, map, CODEC_RULE_NAME);
    out->timeout_ms = get_uint_field(d, map, CODEC_RULE_TIMEOUT_MS, INT64_MAX / 1000000);
    list = get_list(d, map, CODEC_RULE_MATCHES, sizeof(*out->matches), &items, &out->match_count);
    out->matches = items;
    for (size_t i = 0; i < out->match_count; i++) {
        if (is_map(d, &list[i]))
            get_match(d, &list[i], &out->matches[i]);
    }
    list = get_list(d, map, CODEC_RULE_DESTINATIONS, sizeof(*out->destinations), &items,
                    &out->destination_count);
    out->destinations = items;
    for (size_t i = 0; i < out->destination_count; i++) {
        if (is_map(d, &list[i]))
            get_destination(d, &list[i], &out->destinations[i]);
    }
}

static void
get_vs(struct decoder *d, const msgpack_object *map, struct virtual_service *out)
{
    const msgpack_object *list;
    void *items;

    get_texts(d, map, CODEC_VIRTUAL_SERVICE_HOSTS, &out->hosts, &out->host_count);
    get_texts(d, map, CODEC_VIRTUAL_SERVICE_GATEWAYS, &out->gateways, &out->gateway_count);
    list = get_list(d, map, CODEC_VIRTUAL_SERVICE_RULES, sizeof(*out->rules), &items,
                    &out->rule_count);
    out->rules = items;
    for (size_t i = 0; i < out->rule_count; i++) {
        if (is_map(d, &list[i]))
            get_rule(d, &list[i], &out->rules[i]);
    }
}

static struct dr_count
get_count(struct decoder *d, const msgpack_object *map, unsigned number)
{
    return (struct dr_count){ .written = field(map, number) != NULL,
                              .n = (int32_t)get_uint_field(d, map, number, INT32_MAX) };
}

static struct dr_outliers *
get_outliers(struct decoder *d, const msgpack_object *above, unsigned number)
{
    const msgpack_object *map = field(above, number);
    struct dr_outliers *o;

    if (!map || !is_map(d, map))
        return NULL;
    o = gs_arena_zalloc(d->arena, sizeof(*o));
    o->errors_5xx = get_count(d, map, CODEC_OUTLIERS_ERRORS_5XX);
    o->errors_gateway = get_count(d, map, CODEC_OUTLIERS_ERRORS_GATEWAY);
    o->errors_local = get_count(d, map, CODEC_OUTLIERS_ERRORS_LOCAL);
    o->split = get_uint_field(d, map, CODEC_OUTLIERS_SPLIT, 1) > 0;
    o->interval_ms = get_uint_field(d, map, CODEC_OUTLIERS_INTERVAL_MS, INT64_MAX / 1000000);
    o->base_ms = get_uint_field(d, map, CODEC_OUTLIERS_BASE_MS, INT64_MAX / 1000000);
    o->max_percent = (int32_t)get_uint_field(d, map, CODEC_OUTLIERS_MAX_PERCENT, 100);
    o->min_health_percent = (int32_t)get_uint_field(d, map, CODEC_OUTLIERS_MIN_HEALTH_PERCENT, 100);
    return o;
}

static struct dr_traffic *
get_traffic(struct decoder *d, const msgpack_object *above, unsigned number)
{
    const msgpack_object *map = field(above, number);
    const msgpack_object *list;
    struct dr_traffic *t;
    void *items;

    if (!map || !is_map(d, map))
        return NULL;
    t = gs_arena_zalloc(d->arena, sizeof(*t));
    t->outliers = get_outliers(d, map, CODEC_TRAFFIC_OUTLIERS);
    list = get_list(d, map, CODEC_TRAFFIC_PORTS, sizeof(*t->ports), &items, &t->port_count);
    t->ports = items;
    for (size_t i = 0; i < t->port_count; i++) {
        if (!is_map(d, &list[i]))
            continue;
        t->ports[i].port = (uint16_t)get_uint_field(d, &list[i], CODEC_PORT_PORT, UINT16_MAX);
        t->ports[i].outliers = get_outliers(d, &list[i], CODEC_PORT_OUTLIERS);
    }
    return t;
}

static void
get_dr(struct decoder *d, const msgpack_object *map, struct destination_rule *out)
{
    const msgpack_object *list;
    void *items;

    out->host.text = get_text_field(d, map, CODEC_DESTINATION_RULE_HOST);
    list = get_list(d, map, CODEC_DESTINATION_RULE_SUBSETS, sizeof(*out->subsets), &items,
                    &out->subset_count);
    out->subsets = items;
    for (size_t i = 0; i < out->subset_count; i++) {
        if (!is_map(d, &list[i]))
            continue;
        out->subsets[i].name.text = get_text_field(d, &list[i], CODEC_SUBSET_NAME);
        get_pairs(d, &list[i], CODEC_SUBSET_LABELS, &out->subsets[i].labels,
                  &out->subsets[i].label_count);
        out->subsets[i].traffic = get_traffic(d, &list[i], CODEC_SUBSET_TRAFFIC);
    }
    out->traffic = get_traffic(d, map, CODEC_DESTINATION_RULE_TRAFFIC);
}

static void
get_maintenance(struct decoder *d, const msgpack_object *map, struct maintenance *out)
{
    out->node.text = get_text_field(d, map, CODEC_MAINTENANCE_NODE);
    out->service.text = get_text_field(d, map, CODEC_MAINTENANCE_SERVICE);
    out->service_ns.text = get_text_field(d, map, CODEC_MAINTENANCE_NAMESPACE);
    out->port = (uint16_t)get_uint_field(d, map, CODEC_MAINTENANCE_PORT, UINT16_MAX);
    out->instance.text = get_text_field(d, map, CODEC_MAINTENANCE_INSTANCE);
    out->drain = get_uint_field(d, map, CODEC_MAINTENANCE_DRAIN, 1) == 1;
    out->weight = (uint32_t)get_uint_field(d, map, CODEC_MAINTENANCE_WEIGHT, UINT32_MAX);
    out->weight_written = field(map, CODEC_MAINTENANCE_WEIGHT) != NULL;
    out->reason.text = get_text_field(d, map, CODEC_MAINTENANCE_REASON);
    out->by.text = get_text_field(d, map, CODEC_MAINTENANCE_BY);
}

static struct policy_object *
get_object(struct decoder *d, const msgpack_object *map, enum policy_kind kind)
{
    struct policy_object *o = gs_arena_zalloc(d->arena, sizeof(*o));

    o->kind = kind;
    get_pairs(d, map, CODEC_OBJECT_LABELS, &o->labels, &o->label_count);
    get_pairs(d, map, CODEC_OBJECT_ANNOTATIONS, &o->annotations, &o->annotation_count);
    if (kind == POLICY_VIRTUAL_SERVICE)
        get_vs(d, map, &o->vs);
    else if (kind == POLICY_DESTINATION_RULE)
        get_dr(d, map, &o->dr);
    else if (kind == POLICY_MAINTENANCE)
        get_maintenance(d, map, &o->maint);
    else
        o->note.text.text = get_text_field(d, map, CODEC_NOTE_TEXT);
    return o;
}

/* Bytes to a msgpack tree; destroy it with msgpack_unpacked_destroy. */
static gs_err
unpack(struct gs_slice bytes, msgpack_unpacked *u)
{
    gs_err e = gs_pack_check(bytes, PACK_DEPTH_MAX, PACK_OBJECTS_MAX);

    msgpack_unpacked_init(u);
    if (e == GS_E_OK &&
        (msgpack_unpack_next(u, bytes.ptr, bytes.len, NULL) != MSGPACK_UNPACK_SUCCESS ||
         u->data.type != MSGPACK_OBJECT_MAP))
        e = GS_E_MALFORMED;
    return e;
}

gs_err
policy_decode(struct gs_slice key, struct gs_slice value, struct gs_arena *arena,
              struct policy_object **out, struct gs_why *why)
{
    struct decoder d = { .arena = arena };
    struct policy_object *o = NULL;
    struct gs_slice ns, name;
    enum policy_kind kind;
    msgpack_unpacked u;
    gs_err e = policy_key_parse(key, &kind, &ns, &name);

    if (e != GS_E_OK)
        return gs_refuse(why, e, "\"%.*s\" is no key of a policy object", GS_SLICE_FMT(key));
    e = unpack(value, &u);
    if (e == GS_E_OK)
        o = get_object(&d, &u.data, kind);
    msgpack_unpacked_destroy(&u);
    if (e != GS_E_OK || d.bad)
        return gs_refuse(why, GS_E_MALFORMED, "the value of %.*s cannot be read",
                         GS_SLICE_FMT(key));
    GS_ASSERT(o && o->kind == kind);
    o->ns = gs_arena_copy(arena, ns);
    o->name = gs_arena_copy(arena, name);
    *out = o;
    return GS_E_OK;
}

struct policy_object *
policy_copy(const struct policy_object *o, struct gs_arena *arena)
{
    char key[POLICY_KEY_TEXT];
    struct policy_object *copy = NULL;
    struct gs_buf value;

    gs_buf_init(&value, OBJECT_BYTES_MAX);
    GS_ASSERT(policy_encode(o, &value) == GS_E_OK); /* it came out of a record of that size */
    GS_ASSERT(policy_decode(gs_slice_str(policy_key(o->kind, o->ns, o->name, key)),
                            gs_buf_slice(&value), arena, &copy, NULL) == GS_E_OK);
    gs_buf_fini(&value);
    return copy;
}

/* ---- what a node says of itself ---- */

gs_err
codec_put_about(const struct codec_about *a, struct gs_buf *out)
{
    msgpack_packer p;

    msgpack_packer_init(&p, out, on_bytes);
    (void)msgpack_pack_map(&p, (size_t)(a->version.len > 0) + (a->zone.len > 0) +
                                   (a->inbound.len > 0) + (a->services > 0));
    put_text_field(&p, CODEC_ABOUT_VERSION, a->version);
    put_text_field(&p, CODEC_ABOUT_ZONE, a->zone);
    put_text_field(&p, CODEC_ABOUT_INBOUND, a->inbound);
    if (a->services > 0)
        put_uint_field(&p, CODEC_ABOUT_SERVICES, a->services);
    return out->failed ? GS_E_LIMIT : GS_E_OK;
}

/* As `zone:` may be written: these texts reach terminals. Absent is fine. */
static struct gs_slice
get_word_field(struct decoder *d, const msgpack_object *map, unsigned number)
{
    struct gs_slice s = get_text_field(d, map, number);

    for (size_t i = 0; i < s.len; i++)
        d->bad = d->bad || (uint8_t)(s.ptr[i] - 0x21) > 0x7e - 0x21;
    return s;
}

gs_err
codec_read_about(struct gs_slice bytes, struct gs_arena *arena, struct codec_about *out)
{
    struct decoder d = { .arena = arena };
    struct codec_about a = { .services = 0 };
    msgpack_unpacked u;
    gs_err e = unpack(bytes, &u);

    if (e == GS_E_OK) {
        a.version = get_word_field(&d, &u.data, CODEC_ABOUT_VERSION);
        a.zone = get_word_field(&d, &u.data, CODEC_ABOUT_ZONE);
        a.inbound = get_word_field(&d, &u.data, CODEC_ABOUT_INBOUND);
        a.services = (uint32_t)get_uint_field(&d, &u.data, CODEC_ABOUT_SERVICES, UINT32_MAX);
    }
    msgpack_unpacked_destroy(&u);
    if (e != GS_E_OK || d.bad)
        return GS_E_MALFORMED;
    *out = a;
    return GS_E_OK;
}

/* ---- what mesh.state keeps ---- */

gs_err
codec_put_active(const struct codec_active *a, struct gs_buf *out)
{
    msgpack_packer p;

    GS_ASSERT(a->version.generation > 0);
    GS_ASSERT(a->key.len > 0);
    msgpack_packer_init(&p, out, on_bytes);
    (void)msgpack_pack_map(&p, 7);
    put_bin(&p, CODEC_ACTIVE_KEY, a->key.ptr, a->key.len);
    put_bin(&p, CODEC_ACTIVE_VALUE, a->value.ptr, a->value.len);
    put_uint_field(&p, CODEC_ACTIVE_GENERATION, a->version.generation);
    put_uint_field(&p, CODEC_ACTIVE_HLC, a->version.hlc);
    put_bin(&p, CODEC_ACTIVE_WRITER, a->version.writer.bytes, GS_ID_BYTES);
    put_uint_field(&p, CODEC_ACTIVE_BORN, a->born_hlc);
    put_bin(&p, CODEC_ACTIVE_HASH, a->hash.bytes, sizeof(a->hash.bytes));
    return out->failed ? GS_E_LIMIT : GS_E_OK;
}

static struct gs_slice
get_bin_field(struct decoder *d, const msgpack_object *map, unsigned number, size_t least,
              size_t most)
{
    const msgpack_object *o = field(map, number);

    if (!o || o->type != MSGPACK_OBJECT_BIN || o->via.bin.size < least || o->via.bin.size > most) {
        d->bad = true;
        return GS_SLICE_NONE;
    }
    return gs_slice(o->via.bin.ptr, o->via.bin.size);
}

static void
get_16(struct decoder *d, const msgpack_object *map, unsigned number, uint8_t out[16])
{
    struct gs_slice s = get_bin_field(d, map, number, 16, 16);

    if (s.len == 16)
        memcpy(out, s.ptr, 16);
}

gs_err
codec_read_active(struct gs_slice bytes, struct codec_active *out)
{
    struct decoder d = { .bad = false };
    struct codec_active a = { .born_hlc = 0 };
    msgpack_unpacked u;
    gs_err e = unpack(bytes, &u);

    if (e == GS_E_OK) {
        a.key = get_bin_field(&d, &u.data, CODEC_ACTIVE_KEY, 1, RECORD_KEY_MAX);
        a.value = get_bin_field(&d, &u.data, CODEC_ACTIVE_VALUE, 1, OBJECT_BYTES_MAX);
        a.version.generation = get_uint_field(&d, &u.data, CODEC_ACTIVE_GENERATION, UINT64_MAX);
        a.version.hlc = get_uint_field(&d, &u.data, CODEC_ACTIVE_HLC, UINT64_MAX);
        get_16(&d, &u.data, CODEC_ACTIVE_WRITER, a.version.writer.bytes);
        a.born_hlc = get_uint_field(&d, &u.data, CODEC_ACTIVE_BORN, UINT64_MAX);
        get_16(&d, &u.data, CODEC_ACTIVE_HASH, a.hash.bytes);
    }
    msgpack_unpacked_destroy(&u);
    if (e != GS_E_OK || d.bad || a.version.generation == 0)
        return GS_E_MALFORMED;
    *out = a;
    return GS_E_OK;
}

/* ---- what a node has of a service ---- */

#define PORT_BYTES 2

static size_t
ip_bytes(const struct gs_addr *a)
{
    GS_ASSERT(a->family == 4 || a->family == 6);
    return a->family == 4 ? 4 : sizeof(a->ip);
}

static void
put_instance(msgpack_packer *p, const struct endpoints_instance *i)
{
    uint8_t bytes[sizeof(i->addr.ip) + PORT_BYTES];
    size_t len = ip_bytes(&i->addr);

    GS_ASSERT(i->tier <= TIER_DRAINING);
    memcpy(bytes, i->addr.ip, len);
    bytes[len++] = (uint8_t)(i->addr.port >> 8);
    bytes[len++] = (uint8_t)i->addr.port;
    (void)msgpack_pack_map(p, (size_t)1 + (i->tier != TIER_HEALTHY) + (i->label_count > 0));
    put_bin(p, CODEC_INSTANCE_ADDRESS, bytes, len);
    if (i->tier != TIER_HEALTHY)
        put_uint_field(p, CODEC_INSTANCE_TIER, i->tier);
    put_pairs(p, CODEC_INSTANCE_LABELS, i->labels, i->label_count);
}

gs_err
codec_put_endpoints(const struct endpoints *e, struct gs_buf *out)
{
    bool other = !gs_slice_eq(e->protocol, GS_SLICE("http"));
    size_t before = out->len;
    msgpack_packer p;

    msgpack_packer_init(&p, out, on_bytes);
    (void)msgpack_pack_map(&p, (size_t)other + (e->count > 0));
    if (other)
        put_text_field(&p, CODEC_ENDPOINTS_PROTOCOL, e->protocol);
    if (put_list(&p, CODEC_ENDPOINTS_INSTANCES, e->count)) {
        for (size_t i = 0; i < e->count; i++)
            put_instance(&p, &e->instances[i]);
    }
    if (out->failed || out->len - before > OBJECT_BYTES_MAX)
        return GS_E_LIMIT;
    GS_DEBUG_ASSERT(gs_pack_check(gs_slice_from(gs_buf_slice(out), before), PACK_DEPTH_MAX,
                                  PACK_OBJECTS_MAX) == GS_E_OK);
    return GS_E_OK;
}

static void
get_instance(struct decoder *d, const msgpack_object *map, struct endpoints_instance *out)
{
    struct gs_slice s = get_bin_field(d, map, CODEC_INSTANCE_ADDRESS, 4 + PORT_BYTES,
                                      sizeof(out->addr.ip) + PORT_BYTES);
    uint64_t tier = get_uint_field(d, map, CODEC_INSTANCE_TIER, UINT64_MAX);
    size_t len = s.len > PORT_BYTES ? s.len - PORT_BYTES : 0;

    if (len != 4 && len != sizeof(out->addr.ip)) {
        d->bad = true;
        return;
    }
    out->addr.family = len == 4 ? 4 : 6;
    memcpy(out->addr.ip, s.ptr, len);
    out->addr.port = (uint16_t)((uint8_t)s.ptr[len] << 8 | (uint8_t)s.ptr[len + 1]);
    /* What a later version may call it, it is not healthy. */
    out->tier = tier <= TIER_DRAINING ? (enum endpoint_tier)tier : TIER_UNHEALTHY;
    get_pairs(d, map, CODEC_INSTANCE_LABELS, &out->labels, &out->label_count);
}

gs_err
codec_read_endpoints(struct gs_slice bytes, struct gs_arena *arena, struct endpoints *out)
{
    struct decoder d = { .arena = arena };
    struct endpoints e = { .count = 0 };
    const msgpack_object *list;
    void *items = NULL;
    msgpack_unpacked u;
    gs_err failed = unpack(bytes, &u);

    if (failed == GS_E_OK) {
        e.protocol = get_text_field(&d, &u.data, CODEC_ENDPOINTS_PROTOCOL);
        list = get_list(&d, &u.data, CODEC_ENDPOINTS_INSTANCES, sizeof(*e.instances), &items,
                        &e.count);
        e.instances = items;
        for (size_t i = 0; i < e.count; i++) {
            if (is_map(&d, &list[i]))
                get_instance(&d, &list[i], &e.instances[i]);
        }
    }
    msgpack_unpacked_destroy(&u);
    if (failed != GS_E_OK || d.bad)
        return GS_E_MALFORMED;
    if (e.protocol.len == 0)
        e.protocol = GS_SLICE("http");
    *out = e;
    return GS_E_OK;
}
