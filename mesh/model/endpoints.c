/* endpoints.c - what makes an owner record one. Another node's word is checked here and nowhere
 * else: beyond, addresses, labels and names are what they seem. */
#include "mesh/model/endpoints.h"

#include <stdio.h>
#include <stdlib.h>

#include "mesh/model/host.h"

#define PROTOCOL_MAX 16 /* a word; a later version may know more of them than we do */

_Static_assert(ENDPOINTS_KEY_TEXT <= RECORD_KEY_MAX, "every service can be published");

/* ---- the key ---- */

gs_err
endpoints_key_check(const struct endpoints_key *k, struct gs_why *why)
{
    if (k->port == 0 || !name_is_label(k->ns) || !name_is_subdomain(k->name))
        return gs_refuse(why, GS_E_INVALID,
                         "it is not called NAMESPACE/SERVICE:PORT with small letters, digits, '-' "
                         "and, in the service, '.'");
    return GS_E_OK;
}

const char *
endpoints_key_text(const struct endpoints_key *k, char out[ENDPOINTS_KEY_TEXT])
{
    int len = snprintf(out, ENDPOINTS_KEY_TEXT, "%.*s/%.*s:%u", GS_SLICE_FMT(k->ns),
                       GS_SLICE_FMT(k->name), k->port);

    GS_ASSERT(len > 0);
    GS_ASSERT(len < ENDPOINTS_KEY_TEXT);
    return out;
}

/* 0 if it is none: digits that begin with another than 0. */
static uint16_t
parse_port(struct gs_slice text)
{
    uint64_t port = 0;

    if (text.len == 0 || text.ptr[0] == '0' || !gs_slice_to_u64(text, &port) || port > UINT16_MAX)
        return 0;
    return (uint16_t)port;
}

gs_err
endpoints_key_parse(struct gs_slice key, struct endpoints_key *out, struct gs_why *why)
{
    ptrdiff_t slash = gs_slice_find(key, '/');
    ptrdiff_t colon = gs_slice_rfind(key, ':');
    struct endpoints_key k = { .port = 0 };

    if (slash > 0 && colon > slash) {
        k.ns = gs_slice_head(key, (size_t)slash);
        k.name = gs_slice(key.ptr + slash + 1, (size_t)(colon - slash - 1));
        k.port = parse_port(gs_slice_from(key, (size_t)colon + 1));
    }
    if (endpoints_key_check(&k, why) != GS_E_OK)
        return GS_E_MALFORMED;
    *out = k;
    return GS_E_OK;
}

/* ---- the value ---- */

int
endpoints_compare(const struct gs_addr *a, const struct gs_addr *b)
{
    int order = (int)a->family - (int)b->family;

    if (order == 0)
        order = memcmp(a->ip, b->ip, sizeof(a->ip));
    return order != 0 ? order : (int)a->port - (int)b->port;
}

static int
compare_instances(const void *a, const void *b)
{
    const struct endpoints_instance *x = a, *y = b;

    return endpoints_compare(&x->addr, &y->addr);
}

static int
compare_labels(const void *a, const void *b)
{
    const struct policy_pair *x = a, *y = b;

    return gs_slice_cmp(x->name, y->name);
}

void
endpoints_sort(struct endpoints *e)
{
    if (e->count > 0)
        qsort(e->instances, e->count, sizeof(*e->instances), compare_instances);
    for (size_t i = 0; i < e->count; i++) {
        if (e->instances[i].label_count > 0)
            qsort(e->instances[i].labels, e->instances[i].label_count,
                  sizeof(*e->instances[i].labels), compare_labels);
    }
}

static bool
is_word(struct gs_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-')
            return false;
    }
    return s.len > 0 && s.len <= PROTOCOL_MAX;
}

/* Somewhere to connect to, spelt in the one way it has. */
static bool
is_address(const struct gs_addr *a)
{
    static const uint8_t nowhere[16];
    static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

    if (a->port == 0 || memcmp(a->ip, nowhere, sizeof(nowhere)) == 0)
        return false;
    return a->family == 4 || (a->family == 6 && memcmp(a->ip, mapped, sizeof(mapped)) != 0);
}

static gs_err
check_labels(const struct endpoints_instance *i, struct gs_why *why)
{
    gs_err e;

    if (i->label_count > POLICY_LABELS_MAX)
        return gs_refuse(why, GS_E_INVALID, "an instance has %zu labels, at most %d are allowed",
                         i->label_count, POLICY_LABELS_MAX);
    for (size_t l = 0; l < i->label_count; l++) {
        if (l > 0 && gs_slice_cmp(i->labels[l - 1].name, i->labels[l].name) >= 0)
            return gs_refuse(why, GS_E_INVALID, "labels are not in order, or are there twice");
        if ((e = label_check_key(i->labels[l].name, why)) != GS_E_OK ||
            (e = label_check_value(i->labels[l].value, why)) != GS_E_OK)
            return e;
    }
    return GS_E_OK;
}

gs_err
endpoints_check(const struct endpoints *e, struct gs_why *why)
{
    gs_err failed = GS_E_OK;

    if (!is_word(e->protocol))
        return gs_refuse(why, GS_E_INVALID, "its protocol is no word of 1 to %d small letters",
                         PROTOCOL_MAX);
    if (e->count > SERVICE_ENDPOINTS_MAX)
        return gs_refuse(why, GS_E_INVALID, "it has %zu instances, at most %d are allowed",
                         e->count, SERVICE_ENDPOINTS_MAX);
    for (size_t i = 0; i < e->count && failed == GS_E_OK; i++) {
        GS_ASSERT(e->instances[i].tier <= TIER_DRAINING);
        if (!is_address(&e->instances[i].addr))
            return gs_refuse(why, GS_E_INVALID, "an instance has no address to connect to");
        if (i > 0 && endpoints_compare(&e->instances[i - 1].addr, &e->instances[i].addr) >= 0)
            return gs_refuse(why, GS_E_INVALID, "instances are not in order, or are there twice");
        failed = check_labels(&e->instances[i], why);
    }
    return failed;
}
