/* policy.c - kinds, keys, and what makes an object valid beyond its form. The checks run on what
 * was parsed (with places) and on what came out of a record (without), so a record that reached us
 * from elsewhere obeys the same rules. */
#include <gossamer/policy.h>

#include <stdio.h>

#include <gossamer/addr.h>
#include <gossamer/limits.h>

#include "mesh/model/codes.h"
#include "mesh/model/host.h"
#include "mesh/model/re2.h"
#include "mesh/model/reader.h"

/* ---- kinds and keys ---- */

static const struct kind {
    enum policy_kind kind;
    const char *name;
    const char *api;
    const char *others[3]; /* plural, singular, short; lower case */
    bool routes;
} kinds[] = {
    { POLICY_VIRTUAL_SERVICE,
      "VirtualService",
      "networking.istio.io/v1",
      { "virtualservices", "virtualservice", "vs" },
      true },
    { POLICY_DESTINATION_RULE,
      "DestinationRule",
      "networking.istio.io/v1",
      { "destinationrules", "destinationrule", "dr" },
      true },
    { POLICY_NOTE, "Note", "gossamer.dev/v1", { "notes", "note", "no" }, false },
    { POLICY_MAINTENANCE,
      "Maintenance",
      "gossamer.dev/v1",
      { "maintenances", "maintenance", "mt" },
      true },
};

static const struct kind *
find_kind(enum policy_kind k)
{
    for (size_t i = 0; i < GS_COUNT(kinds); i++) {
        if (kinds[i].kind == k)
            return &kinds[i];
    }
    return NULL;
}

const char *
policy_kind_name(enum policy_kind k)
{
    const struct kind *found = find_kind(k);

    return found ? found->name : "?";
}

const char *
policy_kind_api(enum policy_kind k)
{
    const struct kind *found = find_kind(k);

    GS_ASSERT(found);
    return found->api;
}

bool
policy_kind_routes(enum policy_kind k)
{
    const struct kind *found = find_kind(k);

    GS_ASSERT(found);
    return found->routes;
}

enum policy_kind
policy_kind_find(struct gs_slice text)
{
    for (size_t i = 0; i < GS_COUNT(kinds); i++) {
        if (gs_slice_eq_nocase(text, gs_slice_str(kinds[i].name)))
            return kinds[i].kind;
        for (size_t k = 0; k < GS_COUNT(kinds[i].others); k++) {
            if (gs_slice_eq_nocase(text, gs_slice_str(kinds[i].others[k])))
                return kinds[i].kind;
        }
    }
    return POLICY_NONE;
}

const char *
policy_key(enum policy_kind kind, struct gs_slice ns, struct gs_slice name,
           char out[POLICY_KEY_TEXT])
{
    int len = snprintf(out, POLICY_KEY_TEXT, "%s/%.*s/%.*s", policy_kind_name(kind),
                       GS_SLICE_FMT(ns), GS_SLICE_FMT(name));

    GS_ASSERT(kind != POLICY_NONE);
    GS_ASSERT(len > 0 && len < POLICY_KEY_TEXT);
    return out;
}

gs_err
policy_key_parse(struct gs_slice key, enum policy_kind *kind, struct gs_slice *ns,
                 struct gs_slice *name)
{
    struct gs_slice rest = key;
    struct gs_slice kind_text, ns_text;

    if (!gs_slice_cut(&rest, '/', &kind_text) || !gs_slice_cut(&rest, '/', &ns_text) || !rest.ptr)
        return GS_E_MALFORMED;
    if (!name_is_label(ns_text) || !name_is_subdomain(rest))
        return GS_E_MALFORMED;
    for (size_t i = 0; i < GS_COUNT(kinds); i++) {
        if (gs_slice_eq(kind_text, gs_slice_str(kinds[i].name))) {
            GS_ASSERT(kinds[i].kind != POLICY_NONE);
            *kind = kinds[i].kind;
            *ns = ns_text;
            *name = rest;
            return GS_E_OK;
        }
    }
    return GS_E_UNSUPPORTED;
}

/* ---- validation: what is used everywhere ---- */

static struct gs_problem *
wrong(struct reader *r, const char *code, struct policy_place at, const char *text)
{
    return reader_problem(r, GS_SEV_ERROR, code, at, "%s", text);
}

/* A finding at a field of the present path. */
static struct gs_problem *
wrong_at(struct reader *r, const char *field, const char *code, struct policy_place at,
         const char *text)
{
    size_t mark = reader_enter(r, gs_slice_str(field));
    struct gs_problem *item = wrong(r, code, at, text);

    reader_leave(r, mark);
    return item;
}

static void
too_many(struct reader *r, const char *field, struct policy_place at, size_t count, size_t most)
{
    char text[96];

    if (count <= most)
        return;
    (void)snprintf(text, sizeof(text), "has %zu items, at most %zu are allowed", count, most);
    (void)wrong_at(r, field, CODE_POLICY_LIMIT, at, text);
}

static void
check_host(struct reader *r, const struct policy_text *host)
{
    struct gs_why why;
    gs_err e;

    if (host->place.told)
        return;
    e = host_check(host->text, &why);
    if (e != GS_E_OK)
        (void)wrong(r, e == GS_E_UNSUPPORTED ? CODE_POLICY_UNSUPPORTED : CODE_POLICY_VALUE,
                    host->place, why.text);
}

static bool
is_subset_name(struct gs_slice s)
{
    return gs_slice_find(s, '.') < 0 && s.len <= 63 && label_check_value(s, NULL) == GS_E_OK &&
           gs_slice_find(s, '_') < 0;
}

/* ---- VirtualService ---- */

static void
check_hosts(struct reader *r, const struct policy_object *o)
{
    const struct virtual_service *vs = &o->vs;
    char a[HOST_TEXT], b[HOST_TEXT];
    size_t mark = reader_enter(r, GS_SLICE("hosts"));

    if (vs->host_count == 0 && !vs->hosts_place.told)
        (void)wrong(r, CODE_POLICY_MISSING, vs->hosts_place, "at least one host is required");
    for (size_t i = 0; i < vs->host_count && i < POLICY_HOSTS_MAX; i++) {
        size_t inner = reader_enter_index(r, i);
        struct gs_slice host = host_canonical(vs->hosts[i].text, o->ns, a);

        check_host(r, &vs->hosts[i]);
        for (size_t k = 0; k < i && !vs->hosts[i].place.told; k++) {
            if (gs_slice_eq(host, host_canonical(vs->hosts[k].text, o->ns, b))) {
                (void)wrong(r, CODE_POLICY_DUPLICATE, vs->hosts[i].place,
                            "this host is in the list already");
                break;
            }
        }
        reader_leave(r, inner);
    }
    reader_leave(r, mark);
    too_many(r, "hosts", vs->hosts_place, vs->host_count, POLICY_HOSTS_MAX);
}

/* "mesh" is every proxy; anything else is a proxy at the edge, which we have none of. */
static void
check_gateways(struct reader *r, const struct virtual_service *vs)
{
    size_t mark = reader_enter(r, GS_SLICE("gateways"));
    const struct policy_text *other = NULL;
    struct gs_problem *item;
    bool mesh = vs->gateway_count == 0;

    for (size_t i = 0; i < vs->gateway_count; i++) {
        if (vs->gateways[i].place.told || gs_slice_eq(vs->gateways[i].text, GS_SLICE("mesh")))
            mesh = true;
        else if (!other)
            other = &vs->gateways[i];
    }
    if (!mesh) {
        GS_ASSERT(other);
        item = reader_problem(r, GS_SEV_ERROR, CODE_POLICY_UNSUPPORTED, other->place,
                              "routes bound to gateways only (%.*s) are not supported",
                              GS_SLICE_FMT(other->text));
        gs_problem_hint(r->problems, item, "add `mesh` to gateways, or leave gateways out");
    } else if (other) {
        item = reader_problem(r, GS_SEV_WARNING, CODE_POLICY_GATEWAY, other->place,
                              "gateway %.*s is ignored: the routes hold for the mesh only",
                              GS_SLICE_FMT(other->text));
        gs_problem_hint(r->problems, item, "there are no gateways here");
    }
    reader_leave(r, mark);
}

static void
check_regex(struct reader *r, const struct vs_text_match *m, size_t *regexes)
{
    struct gs_problem *item;
    struct gs_why why;
    gs_err e;

    if (m->kind != POLICY_REGEX || m->place.told)
        return;
    if (++*regexes > POLICY_REGEXES_MAX) {
        if (*regexes == POLICY_REGEXES_MAX + 1)
            (void)wrong_at(r, "regex", CODE_POLICY_LIMIT, m->place,
                           "an object has at most 256 regexes");
        return;
    }
    e = re2_compile(m->text, NULL, &why);
    if (e == GS_E_OK)
        return;
    item = wrong_at(r, "regex", CODE_POLICY_REGEX, m->place, why.text);
    if (gs_slice_eq(m->text, GS_SLICE("*")))
        gs_problem_hint(r->problems, item, "write {} for any value, or regex: \".*\"");
    else if (e == GS_E_UNSUPPORTED || e == GS_E_LIMIT)
        gs_problem_hint(r->problems, item, "write it without that, or use exact or prefix");
}

/* RFC 9110 5.6.2 */
static bool
is_token(struct gs_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!alnum && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return s.len > 0;
}

static void
check_header(struct reader *r, const struct vs_header_match *h, size_t *regexes)
{
    static const char *const ignored[] = { "uri", "scheme", "method", "authority" };
    struct gs_problem *item;
    size_t mark = reader_enter(r, h->name);

    if (h->name.len > 0 && h->name.ptr[0] == ':')
        (void)wrong(r, CODE_POLICY_UNSUPPORTED, h->place,
                    "matching pseudo-headers is not supported in this version");
    else if (!is_token(h->name))
        (void)wrong(r, CODE_POLICY_VALUE, h->place, "this is no name of a header");
    for (size_t i = 0; i < GS_COUNT(ignored); i++) {
        if (!gs_slice_eq(h->name, gs_slice_str(ignored[i])))
            continue;
        item = wrong(r, CODE_POLICY_VALUE, h->place, "a header of this name is not looked at");
        gs_problem_hint(r->problems, item, "write `%s` beside `headers`, not in it", ignored[i]);
    }
    check_regex(r, &h->value, regexes);
    reader_leave(r, mark);
}

static void
check_match(struct reader *r, const struct vs_match *m, size_t *regexes)
{
    size_t mark;

    if (m->has_uri) {
        mark = reader_enter(r, GS_SLICE("uri"));
        check_regex(r, &m->uri, regexes);
        reader_leave(r, mark);
    }
    mark = reader_enter(r, GS_SLICE("headers"));
    for (size_t i = 0; i < m->header_count; i++)
        check_header(r, &m->headers[i], regexes);
    reader_leave(r, mark);
    too_many(r, "headers", m->place, m->header_count, POLICY_HEADERS_MAX);
}

static void
check_destination(struct reader *r, const struct vs_destination *d)
{
    size_t mark = reader_enter(r, GS_SLICE("destination"));

    if (d->host.text.len == 0 && !d->host.place.told) {
        (void)wrong_at(r, "host", CODE_POLICY_MISSING, d->host.place, "a host is required");
    } else {
        size_t inner = reader_enter(r, GS_SLICE("host"));

        check_host(r, &d->host);
        reader_leave(r, inner);
    }
    if (d->subset.text.len > 0 && !is_subset_name(d->subset.text))
        (void)wrong_at(r, "subset", CODE_POLICY_VALUE, d->subset.place,
                       "this is no name of a subset: letters, digits and '-', at most 63");
    reader_leave(r, mark);
}

static void
check_route(struct reader *r, const struct vs_rule *rule)
{
    size_t mark = reader_enter(r, GS_SLICE("route"));
    uint64_t total = 0;
    bool told = rule->route_place.told;
    struct gs_problem *item;

    if (rule->destination_count == 0 && !told) {
        item = wrong(r, CODE_POLICY_MISSING, rule->route_place, "a route is required");
        gs_problem_hint(r->problems, item, "write route: [{ destination: { host: NAME } }]");
    }
    for (size_t i = 0; i < rule->destination_count && i < ROUTE_BACKENDS_MAX; i++) {
        const struct vs_destination *d = &rule->destinations[i];
        size_t inner = reader_enter_index(r, i);

        check_destination(r, d);
        total += d->weight;
        told = told || d->weight_place.told;
        reader_leave(r, inner);
    }
    if (rule->destination_count > 1 && total == 0 && !told) {
        item = wrong(r, CODE_POLICY_WEIGHT, rule->route_place, "total destination weight = 0");
        gs_problem_hint(r->problems, item,
                        "of several destinations one without a weight gets nothing: give each one");
    }
    reader_leave(r, mark);
    too_many(r, "route", rule->route_place, rule->destination_count, ROUTE_BACKENDS_MAX);
}

static void
check_rule(struct reader *r, const struct vs_rule *rule, size_t *regexes)
{
    size_t mark = reader_enter(r, GS_SLICE("match"));

    for (size_t i = 0; i < rule->match_count && i < ROUTE_MATCHES_MAX; i++) {
        size_t inner = reader_enter_index(r, i);

        check_match(r, &rule->matches[i], regexes);
        reader_leave(r, inner);
    }
    reader_leave(r, mark);
    too_many(r, "match", rule->place, rule->match_count, ROUTE_MATCHES_MAX);
    check_route(r, rule);
}

static void
check_vs(struct reader *r, const struct policy_object *o)
{
    const struct virtual_service *vs = &o->vs;
    size_t regexes = 0;
    size_t mark;

    check_hosts(r, o);
    check_gateways(r, vs);
    if (vs->rule_count == 0 && !vs->http_place.told)
        (void)wrong_at(r, "http", CODE_POLICY_MISSING, vs->http_place,
                       "http, tcp or tls must be provided");
    mark = reader_enter(r, GS_SLICE("http"));
    for (size_t i = 0; i < vs->rule_count && i < ROUTE_RULES_MAX; i++) {
        size_t inner = reader_enter_index(r, i);

        check_rule(r, &vs->rules[i], &regexes);
        reader_leave(r, inner);
    }
    reader_leave(r, mark);
    too_many(r, "http", vs->http_place, vs->rule_count, ROUTE_RULES_MAX);
}

/* ---- DestinationRule ---- */

static void
check_labels(struct reader *r, const struct dr_subset *s)
{
    size_t mark = reader_enter(r, GS_SLICE("labels"));

    for (size_t i = 0; i < s->label_count; i++) {
        struct gs_why why;

        if (label_check_key(s->labels[i].name, &why) != GS_E_OK ||
            label_check_value(s->labels[i].value, &why) != GS_E_OK)
            (void)wrong_at(r, s->labels[i].name.ptr, CODE_POLICY_VALUE, s->labels[i].place,
                           why.text);
    }
    reader_leave(r, mark);
    too_many(r, "labels", s->place, s->label_count, POLICY_LABELS_MAX);
}

static void
check_percent(struct reader *r, const char *field, struct policy_place at, int32_t percent)
{
    if (percent < 0 || percent > 100)
        (void)wrong_at(r, field, CODE_POLICY_VALUE, at, "must be from 0 to 100");
}

static void
check_count(struct reader *r, const char *field, const struct dr_count *c)
{
    if (c->n < 0)
        (void)wrong_at(r, field, CODE_POLICY_VALUE, c->place, "must not be below 0 (0 is off)");
}

static void
check_outliers(struct reader *r, const struct dr_outliers *o)
{
    size_t mark = reader_enter(r, GS_SLICE("outlierDetection"));
    struct gs_problem *item;

    check_count(r, "consecutive5xxErrors", &o->errors_5xx);
    check_count(r, "consecutiveGatewayErrors", &o->errors_gateway);
    check_count(r, "consecutiveLocalOriginFailures", &o->errors_local);
    if (o->errors_local.n > 0 && !o->split) {
        item = wrong_at(r, "consecutiveLocalOriginFailures", CODE_POLICY_VALUE,
                        o->errors_local.place, "is looked at only when they are split");
        gs_problem_hint(r->problems, item, "add splitExternalLocalOriginErrors: true");
    }
    check_percent(r, "maxEjectionPercent", o->max_place, o->max_percent);
    check_percent(r, "minHealthPercent", o->min_place, o->min_health_percent);
    if (o->max_percent == 100) {
        size_t inner = reader_enter(r, GS_SLICE("maxEjectionPercent"));

        (void)reader_problem(r, GS_SEV_WARNING, CODE_POLICY_EJECTION, o->max_place,
                             "the last usable endpoint of a subset is never ejected");
        reader_leave(r, inner);
    }
    reader_leave(r, mark);
}

static void
check_port(struct reader *r, const struct dr_traffic *t, size_t index)
{
    const struct dr_port *p = &t->ports[index];

    if (p->port == 0 && !p->place.told)
        (void)wrong_at(r, "port", CODE_POLICY_MISSING, p->place,
                       "a port is required: { number: 1 to 65535 }");
    for (size_t i = 0; i < index && p->port != 0; i++) {
        if (t->ports[i].port == p->port) {
            (void)wrong_at(r, "port", CODE_POLICY_DUPLICATE, p->place,
                           "this port is in the list already");
            break;
        }
    }
    if (p->bare)
        (void)wrong(r, CODE_POLICY_MISSING, p->place, "at least one field beside port is required");
    if (p->outliers)
        check_outliers(r, p->outliers);
}

static void
check_traffic(struct reader *r, const struct dr_traffic *t)
{
    size_t mark = reader_enter(r, GS_SLICE("trafficPolicy"));
    size_t list;

    if (!t->outliers && t->port_count == 0 && !t->place.told)
        (void)wrong(r, CODE_POLICY_MISSING, t->place, "at least one field is required");
    if (t->outliers)
        check_outliers(r, t->outliers);
    list = reader_enter(r, GS_SLICE("portLevelSettings"));
    for (size_t i = 0; i < t->port_count && i < POLICY_PORTS_MAX; i++) {
        size_t inner = reader_enter_index(r, i);

        check_port(r, t, i);
        reader_leave(r, inner);
    }
    reader_leave(r, list);
    too_many(r, "portLevelSettings", t->place, t->port_count, POLICY_PORTS_MAX);
    reader_leave(r, mark);
}

static void
check_subset(struct reader *r, const struct destination_rule *dr, size_t index)
{
    const struct dr_subset *s = &dr->subsets[index];

    GS_ASSERT(index < dr->subset_count);
    if (s->name.place.told)
        return;
    if (s->name.text.len == 0)
        (void)wrong_at(r, "name", CODE_POLICY_MISSING, s->name.place, "a name is required");
    else if (!is_subset_name(s->name.text))
        (void)wrong_at(r, "name", CODE_POLICY_VALUE, s->name.place,
                       "this is no name of a subset: letters, digits and '-', at most 63");
    for (size_t i = 0; i < index && s->name.text.len > 0; i++) {
        if (gs_slice_eq(dr->subsets[i].name.text, s->name.text)) {
            (void)wrong_at(r, "name", CODE_POLICY_DUPLICATE, s->name.place,
                           "a subset of this name is in the list already");
            break;
        }
    }
    check_labels(r, s);
    if (s->traffic)
        check_traffic(r, s->traffic);
}

static void
check_dr(struct reader *r, const struct policy_object *o)
{
    const struct destination_rule *dr = &o->dr;
    size_t mark;

    if (dr->host.text.len == 0 && !dr->host.place.told) {
        (void)wrong_at(r, "host", CODE_POLICY_MISSING, dr->host.place, "a host is required");
    } else {
        mark = reader_enter(r, GS_SLICE("host"));
        check_host(r, &dr->host);
        reader_leave(r, mark);
    }
    if (dr->traffic)
        check_traffic(r, dr->traffic);
    mark = reader_enter(r, GS_SLICE("subsets"));
    for (size_t i = 0; i < dr->subset_count && i < SUBSETS_MAX; i++) {
        size_t inner = reader_enter_index(r, i);

        check_subset(r, dr, i);
        reader_leave(r, inner);
    }
    reader_leave(r, mark);
    /* One place is for the whole service. */
    too_many(r, "subsets", o->place, dr->subset_count, SUBSETS_MAX - 1);
}

/* ---- Note ---- */

static void
check_note(struct reader *r, const struct policy_object *o)
{
    const struct policy_text *text = &o->note.text;
    char limit[64];

    if (text->place.told)
        return;
    if (text->text.len == 0)
        (void)wrong_at(r, "text", CODE_POLICY_MISSING, text->place, "a note needs a text");
    (void)snprintf(limit, sizeof(limit), "has %zu bytes, at most %d are allowed", text->text.len,
                   NOTE_BYTES_MAX);
    if (text->text.len > NOTE_BYTES_MAX)
        (void)wrong_at(r, "text", CODE_POLICY_LIMIT, text->place, limit);
}

/* ---- Maintenance ---- */

/* What people are told is one line, and holds nothing that a terminal would obey. */
static void
check_line(struct reader *r, const char *field, const struct policy_text *line)
{
    char limit[64];

    for (size_t i = 0; i < line->text.len; i++) {
        if (gs_slice_control(gs_slice_from(line->text, i)) == 0)
            continue;
        (void)wrong_at(r, field, CODE_POLICY_VALUE, line->place, "must be one line of text");
        return;
    }
    (void)snprintf(limit, sizeof(limit), "has %zu bytes, at most %d are allowed", line->text.len,
                   MAINT_TEXT_MAX);
    if (line->text.len > MAINT_TEXT_MAX)
        (void)wrong_at(r, field, CODE_POLICY_LIMIT, line->place, limit);
}

static void
check_maint_service(struct reader *r, const struct maintenance *m)
{
    size_t mark = reader_enter(r, GS_SLICE("service"));

    if (m->service.text.len > 0 && !name_is_subdomain(m->service.text))
        (void)wrong_at(r, "name", CODE_POLICY_VALUE, m->service.place,
                       "this is no name of a service: small letters, digits, '-' and '.'");
    if (m->service_ns.text.len > 0 && !name_is_label(m->service_ns.text))
        (void)wrong_at(r, "namespace", CODE_POLICY_VALUE, m->service_ns.place,
                       "this is no name of a namespace");
    if (m->service.text.len == 0 && !m->service.place.told &&
        (m->service_ns.text.len > 0 || m->port > 0))
        (void)wrong_at(r, "name", CODE_POLICY_MISSING, m->service.place, "a name is required");
    reader_leave(r, mark);
}

static void
check_maint_instance(struct reader *r, const struct maintenance *m)
{
    struct gs_problem *item;
    char text[GS_ADDR_TEXT];
    struct gs_addr addr;

    if (m->instance.text.len == 0)
        return;
    if (gs_addr_parse(&addr, m->instance.text, NULL) != GS_E_OK || addr.port == 0 ||
        gs_addr_is_any(&addr) ||
        !gs_slice_eq(m->instance.text, gs_slice_str(gs_addr_text(&addr, text)))) {
        item = wrong_at(r, "instance", CODE_POLICY_VALUE, m->instance.place,
                        "this is no address of an instance");
        gs_problem_hint(r->problems, item,
                        "write ADDRESS:PORT, as gossamer endpoints shows it: 127.0.0.1:9001");
    } else if (m->service.text.len == 0 && !m->service.place.told) {
        item = wrong_at(r, "instance", CODE_POLICY_MISSING, m->instance.place,
                        "an instance is one of a service: its name is required");
        gs_problem_hint(r->problems, item, "write service: { name: NAME } beside it");
    }
}

static void
check_maint_weight(struct reader *r, const struct maintenance *m)
{
    struct gs_problem *item;
    char text[96];

    if (!m->weight_written)
        return;
    (void)snprintf(text, sizeof(text), "a weight is percent, 0 to %d, not %u", MAINT_WEIGHT_MAX,
                   m->weight);
    if (m->weight > MAINT_WEIGHT_MAX) {
        item = wrong_at(r, "weight", CODE_POLICY_VALUE, m->weight_place, text);
        gs_problem_hint(r->problems, item, "100 is the ordinary, 0 takes no new requests");
    }
    if (m->service.place.told || m->node.place.told || m->instance.place.told ||
        (m->service.text.len > 0 && m->node.text.len + m->instance.text.len > 0))
        return;
    item = wrong_at(r, "weight", CODE_POLICY_VALUE, m->weight_place,
                    "a weight is of some instances of a service, beside others");
    gs_problem_hint(r->problems, item,
                    "name the service, and its node or its instance; or write drain: true");
}

static void
check_maintenance(struct reader *r, const struct policy_object *o)
{
    const struct maintenance *m = &o->maint;
    struct gs_problem *item;

    if (m->node.text.len > 0 && !name_is_subdomain(m->node.text))
        (void)wrong_at(r, "node", CODE_POLICY_VALUE, m->node.place,
                       "this is no name of a node: small letters, digits, '-' and '.'");
    check_maint_service(r, m);
    check_maint_instance(r, m);
    check_maint_weight(r, m);
    check_line(r, "reason", &m->reason);
    check_line(r, "by", &m->by);
    if (m->node.text.len + m->service.text.len + m->instance.text.len == 0 &&
        m->service_ns.text.len + m->port == 0 && !m->node.place.told && !m->service.place.told &&
        !m->instance.place.told) {
        item = wrong(r, CODE_POLICY_MISSING, m->place, "what it is about is not said");
        gs_problem_hint(r->problems, item, "write node: NAME, or service: { name: NAME }");
    }
    if (!m->drain && !m->weight_written && !m->drain_place.told && !m->weight_place.told) {
        item = wrong(r, CODE_POLICY_MISSING, m->drain_place, "what is wanted is not said");
        gs_problem_hint(r->problems, item, "write drain: true, or weight: PERCENT");
    }
}

gs_err
policy_validate(const struct policy_object *o, struct gs_problems *problems)
{
    struct reader r = { .file = o->file, .problems = problems };
    size_t before = problems->errors;

    GS_ASSERT(o->ns.len <= 63);
    GS_ASSERT(o->name.len <= 253);
    (void)reader_enter(&r, GS_SLICE("spec"));
    switch (o->kind) {
    case POLICY_VIRTUAL_SERVICE:
        check_vs(&r, o);
        break;
    case POLICY_DESTINATION_RULE:
        check_dr(&r, o);
        break;
    case POLICY_NOTE:
        check_note(&r, o);
        break;
    case POLICY_MAINTENANCE:
        check_maintenance(&r, o);
        break;
    case POLICY_NONE:
        GS_UNREACHABLE("policy kind");
    }
    GS_ASSERT(problems->errors >= before);
    return problems->errors == before ? GS_E_OK : GS_E_INVALID;
}
