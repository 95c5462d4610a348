/* parse_vs.c - spec of a VirtualService. */
#include "mesh/model/parse.h"

#include <inttypes.h>

#include "mesh/model/codes.h"
#include "mesh/model/scalar.h"
#include "mesh/model/form.h"

/* The place of a field, or of its parent if it is not there. */
static struct policy_place
place_of(const struct tree *map, const char *key)
{
    const struct tree *t = tree_find(map, key);

    return reader_place(t ? t : map);
}

/* A text field: empty when absent; marked when it is there and unfit. */
static struct policy_text
text_of(struct reader *r, const struct tree *map, enum form_message m, const char *key)
{
    const struct tree *t = form_get(map, m, key);
    struct policy_text text = { GS_SLICE(""), place_of(map, key) };

    if (t)
        text.text = gs_arena_copy(r->arena, t->text);
    else
        text.place.told = form_has(map, key);
    return text;
}

static struct policy_text *
texts_of(struct reader *r, const struct tree *list, enum form_message m, const char *key)
{
    struct policy_text *out = gs_arena_zalloc(r->arena, (list->count + 1) * sizeof(*out));

    GS_ASSERT(list->kind == TREE_SEQ);
    for (size_t i = 0; i < list->count; i++) {
        out[i].place = reader_place(list->items[i]);
        if (form_fits(list->items[i], m, key))
            out[i].text = gs_arena_copy(r->arena, list->items[i]->text);
        else
            out[i].place.told = true;
    }
    return out;
}

static int64_t
number_of(const struct tree *t)
{
    struct scalar s = scalar_read(t);

    GS_ASSERT(s.integral);
    return s.number;
}

/* ---- match ---- */

static struct vs_text_match
text_match(struct reader *r, const struct tree *t)
{
    static const struct {
        const char *key;
        enum policy_match kind;
    } forms[] = { { "exact", POLICY_EXACT },
                  { "prefix", POLICY_PREFIX },
                  { "regex", POLICY_REGEX } };
    struct vs_text_match m = { .kind = POLICY_PRESENT, .place = reader_place(t) };
    size_t found = 0;

    GS_ASSERT(t->kind == TREE_MAP);
    for (size_t i = 0; i < GS_COUNT(forms); i++) {
        const struct tree *value = form_get(t, FORM_STRING_MATCH, forms[i].key);

        found += form_has(t, forms[i].key);
        if (!value)
            continue;
        m.kind = forms[i].kind;
        m.text = gs_arena_copy(r->arena, value->text);
        m.place = reader_place(value);
    }
    m.place.told = m.kind == POLICY_PRESENT && t->count > 0; /* unknown or unfit, reported */
    if (found > 1) {
        (void)reader_problem(r, GS_SEV_ERROR, CODE_POLICY_VALUE, reader_place(t),
                             "must have one of exact, prefix, regex, has %zu", found);
        m.place.told = true;
    }
    return m;
}

static void
read_headers(struct reader *r, const struct tree *dict, struct vs_match *out)
{
    size_t mark = reader_enter(r, GS_SLICE("headers"));

    GS_ASSERT(dict->kind == TREE_MAP);
    GS_ASSERT(out->header_count == 0);
    out->headers = gs_arena_zalloc(r->arena, (dict->count + 1) * sizeof(*out->headers));
    for (size_t i = 0; i < dict->count; i++) {
        const struct tree_pair *p = &dict->pairs[i];
        struct vs_header_match *h = &out->headers[out->header_count];
        size_t inner = reader_enter(r, p->key);

        if (p->value->kind == TREE_MAP) {
            *h = (struct vs_header_match){
                .name = gs_arena_copy(r->arena, p->key),
                .value = text_match(r, p->value),
                .place = { p->line, p->column, false },
            };
            out->header_count++;
        }
        reader_leave(r, inner);
    }
    reader_leave(r, mark);
}

static void
read_match(struct reader *r, const struct tree *t, struct vs_match *out)
{
    const struct tree *uri = form_get(t, FORM_HTTP_MATCH, "uri");
    const struct tree *headers = form_get(t, FORM_HTTP_MATCH, "headers");

    out->place = reader_place(t);
    out->name = text_of(r, t, FORM_HTTP_MATCH, "name").text;
    if (uri) {
        size_t mark = reader_enter(r, GS_SLICE("uri"));

        out->uri = text_match(r, uri);
        out->has_uri = out->uri.kind != POLICY_PRESENT; /* `uri: {}` asks nothing */
        reader_leave(r, mark);
    }
    if (headers)
        read_headers(r, headers, out);
}

static void
read_matches(struct reader *r, const struct tree *list, struct vs_rule *out)
{
    size_t mark = reader_enter(r, GS_SLICE("match"));

    GS_ASSERT(list->kind == TREE_SEQ);
    out->matches = gs_arena_zalloc(r->arena, (list->count + 1) * sizeof(*out->matches));
    out->match_count = list->count;
    for (size_t i = 0; i < list->count; i++) {
        size_t inner = reader_enter_index(r, i);

        out->matches[i].place = reader_place(list->items[i]);
        if (list->items[i]->kind == TREE_MAP)
            read_match(r, list->items[i], &out->matches[i]);
        reader_leave(r, inner);
    }
    reader_leave(r, mark);
}

/* ---- route ---- */

static void
read_port(struct reader *r, const struct tree *destination, struct vs_destination *out)
{
    const struct tree *port = form_get(destination, FORM_DESTINATION, "port");
    const struct tree *number = port ? form_get(port, FORM_PORT, "number") : NULL;
    size_t mark = reader_enter(r, GS_SLICE("port.number"));
    int64_t v = number ? number_of(number) : 0;

    out->port_place = number ? reader_place(number) : place_of(destination, "port");
    if (number && (v < 1 || v > UINT16_MAX))
        (void)reader_problem(r, GS_SEV_ERROR, CODE_POLICY_VALUE, out->port_place,
                             "a port is a number of 1 to 65535, not %" PRId64, v);
    else if (port && !form_has(port, "number"))
        (void)reader_problem(r, GS_SEV_ERROR, CODE_POLICY_MISSING, out->port_place,
                             "a port is told by its number");
    else
        out->port = (uint16_t)v;
    reader_leave(r, mark);
}

static void
read_weight(struct reader *r, const struct tree *t, struct vs_destination *out)
{
    const struct tree *weight = form_get(t, FORM_HTTP_DESTINATION, "weight");
    int64_t v = weight ? number_of(weight) : 0;
    size_t mark = reader_enter(r, GS_SLICE("weight"));

    out->weight_place = place_of(t, "weight");
    out->weight_place.told = v < 0 || (!weight && form_has(t, "weight"));
    out->weight_written = weight && v >= 0;
    out->weight = v >= 0 ? (uint32_t)v : 0;
    if (v < 0)
        (void)reader_problem(r, GS_SEV_ERROR, CODE_POLICY_VALUE, out->weight_place,
                             "a weight is not negative");
    reader_leave(r, mark);
}

static void
read_destination(struct reader *r, const struct tree *t, struct vs_destination *out)
{
    const struct tree *d = form_get(t, FORM_HTTP_DESTINATION, "destination");
    size_t mark;

    out->place = reader_place(t);
    read_weight(r, t, out);
    if (!d) {
        out->host.place = reader_place(t);
        out->host.place.told = form_has(t, "destination");
        return;
    }
    mark = reader_enter(r, GS_SLICE("destination"));
    out->host = text_of(r, d, FORM_DESTINATION, "host");
    out->subset = text_of(r, d, FORM_DESTINATION, "subset");
    read_port(r, d, out);
    reader_leave(r, mark);
}

static void
read_route(struct reader *r, const struct tree *list, struct vs_rule *out)
{
    size_t mark = reader_enter(r, GS_SLICE("route"));

    GS_ASSERT(list->kind == TREE_SEQ);
    out->destinations = gs_arena_zalloc(r->arena, (list->count + 1) * sizeof(*out->destinations));
    out->destination_count = list->count;
    for (size_t i = 0; i < list->count; i++) {
        struct vs_destination *d = &out->destinations[i];
        size_t inner = reader_enter_index(r, i);

        if (list->items[i]->kind == TREE_MAP)
            read_destination(r, list->items[i], d);
        else
            d->host.place.told = d->weight_place.told = true;
        reader_leave(r, inner);
    }
    reader_leave(r, mark);
}

static void
read_rule(struct reader *r, const struct tree *t, struct vs_rule *out)
{
    const struct tree *match = form_get(t, FORM_HTTP_ROUTE, "match");
    const struct tree *route = form_get(t, FORM_HTTP_ROUTE, "route");
    const struct tree *timeout = form_get(t, FORM_HTTP_ROUTE, "timeout");

    GS_ASSERT(t->kind == TREE_MAP);
    out->place = reader_place(t);
    out->name = text_of(r, t, FORM_HTTP_ROUTE, "name").text;
    out->route_place = place_of(t, "route");
    out->route_place.told = !route && (form_has(t, "route") || form_has(t, "redirect") ||
                                       form_has(t, "directResponse") || form_has(t, "delegate"));
    if (match)
        read_matches(r, match, out);
    if (route)
        read_route(r, route, out);
    out->timeout_place = place_of(t, "timeout");
    if (timeout)
        GS_ASSERT(scalar_duration_ms(timeout->text, &out->timeout_ms, NULL) == GS_E_OK);
}

void
parse_virtual_service(struct reader *r, const struct tree *spec, struct virtual_service *out)
{
    const struct tree *hosts = form_get(spec, FORM_VIRTUAL_SERVICE, "hosts");
    const struct tree *gateways = form_get(spec, FORM_VIRTUAL_SERVICE, "gateways");
    const struct tree *http = form_get(spec, FORM_VIRTUAL_SERVICE, "http");
    size_t mark = reader_enter(r, GS_SLICE("http"));

    GS_ASSERT(spec->kind == TREE_MAP);
    *out = (struct virtual_service){ .hosts_place = place_of(spec, "hosts"),
                                     .http_place = place_of(spec, "http") };
    out->hosts_place.told = !hosts && form_has(spec, "hosts");
    out->http_place.told =
        !http && (form_has(spec, "http") || form_has(spec, "tls") || form_has(spec, "tcp"));
    if (hosts) {
        out->hosts = texts_of(r, hosts, FORM_VIRTUAL_SERVICE, "hosts");
        out->host_count = hosts->count;
    }
    if (gateways) {
        out->gateways = texts_of(r, gateways, FORM_VIRTUAL_SERVICE, "gateways");
        out->gateway_count = gateways->count;
    }
    if (http) {
        out->rules = gs_arena_zalloc(r->arena, (http->count + 1) * sizeof(*out->rules));
        out->rule_count = http->count;
        for (size_t i = 0; i < http->count; i++) {
            size_t inner = reader_enter_index(r, i);

            if (http->items[i]->kind == TREE_MAP)
                read_rule(r, http->items[i], &out->rules[i]);
            else
                out->rules[i].route_place.told = true;
            reader_leave(r, inner);
        }
    }
    reader_leave(r, mark);
}
