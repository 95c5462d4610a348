/* api_explain.c - which way a request would go, decision by decision, and why not another. Asks
 * the very functions of the data path (snapshot_find, route_match) about the published snapshot; no
 * request is made and nothing is counted.
 *
 *     GET /api/v1/explain?method=GET&url=http://tools/x&header=x-experiment:%20promptv2
 *
 *     {"request": {...}, "explain": [{"step": "host" | "rule", "text": ...}, ...],
 *      "route": what explain_json() says of the service and rule,
 *      "answers": [{"percent": 90, "status": null},
 *                  {"percent": 10, "status": 503, "flag": "UH", "why": ...}]} */
#include <gossamer/head.h>
#include <gossamer/json_out.h>
#include <gossamer/proxy.h>

#include "mesh/admin.h"
#include "mesh/node.h"

#define NEAR_SHOWN_MAX 3
#define VALUE_SHOWN_MAX 80

struct asked {
    struct head head;
    struct field fields[HEAD_FIELDS_MAX];
    char host[HOST_BYTES_MAX + 1];
    struct gs_slice host_text;
    uint16_t port;
    struct gs_arena *arena;
};

struct told { /* the answer in the making */
    struct json_out j;
    const struct snapshot *root;
    const struct asked *a;
};

/* ---- what is asked ---- */

static bool
bad(struct admin_call *c, const char *hint, const char *text)
{
    admin_error(c, 400, "GS0400", hint, "%s", text);
    return false;
}

static bool
read_url(struct admin_call *c, const struct admin_request *r, struct asked *a)
{
    struct gs_slice url;
    size_t len = 0, end = 0;

    if (!admin_query(r, "url", &url))
        return bad(c, NULL, "url is missing: ?url=http://SERVICE/PATH");
    if (gs_slice_starts(url, GS_SLICE("https://")))
        return bad(c, "ask for http://: that is what an application sends to be routed",
                   "an https request is a tunnel, which the node does not look into");
    if (gs_slice_starts(url, GS_SLICE("http://")))
        url = gs_slice_from(url, 7);
    while (end < url.len && !strchr("/?#", url.ptr[end]))
        end++;
    a->head.authority = gs_slice_head(url, end);
    url = gs_slice_from(url, end);
    end = gs_slice_find(url, '#') < 0 ? url.len : (size_t)gs_slice_find(url, '#');
    url = gs_slice_head(url, end);
    if (url.len == 0 || url.ptr[0] != '/')
        url = gs_slice_str(gs_arena_printf(r->arena, "/%.*s", GS_SLICE_FMT(url)));
    a->head.path = a->head.target = url;
    if (!head_split_authority(a->head.authority, a->host, &len, &a->port))
        return bad(c, NULL, "url has no valid host: ?url=http://SERVICE[:PORT]/PATH");
    a->host_text = gs_slice(a->host, len);
    return true;
}

static bool
read_header(struct admin_call *c, struct asked *a, struct gs_slice text)
{
    ptrdiff_t colon = gs_slice_find(text, ':');
    struct field f;

    if (colon <= 0)
        return bad(c, NULL, "header is no field: ?header=NAME:%20VALUE");
    if (a->head.count == HEAD_FIELDS_MAX)
        return bad(c, NULL, "there are more than 100 headers");
    f = (struct field){ .name = gs_slice_trim(gs_slice_head(text, (size_t)colon)),
                        .value = gs_slice_trim(gs_slice_from(text, (size_t)colon + 1)) };
    f.id = field_id_of(f.name);
    if (f.id == FIELD_HOST)
        return bad(c, NULL, "the host is that of the URL: leave the header away");
    a->fields[a->head.count++] = f;
    return true;
}

static bool
read_asked(struct admin_call *c, const struct admin_request *r, struct asked *a)
{
    struct gs_slice rest = r->query;
    struct gs_slice part;

    *a = (struct asked){ .head = { .method = GS_SLICE("GET"), .is_request = true },
                         .arena = r->arena };
    a->head.fields = a->fields;
    (void)admin_query(r, "method", &a->head.method);
    if (!read_url(c, r, a))
        return false;
    while (gs_slice_cut(&rest, '&', &part)) {
        if (gs_slice_starts(part, GS_SLICE("header=")) &&
            !read_header(c, a, admin_percent_decode(r->arena, gs_slice_from(part, 7))))
            return false;
    }
    return true;
}

static void
asked_json(struct told *t)
{
    const struct head *h = &t->a->head;

    json_key(&t->j, "request");
    json_obj(&t->j);
    json_kslice(&t->j, "method", h->method);
    json_kslice(&t->j, "host", t->a->host_text);
    json_ku64(&t->j, "port", t->a->port);
    json_kslice(&t->j, "path", h->path);
    json_key(&t->j, "headers");
    json_arr(&t->j);
    for (size_t i = 0; i < h->count; i++) {
        json_obj(&t->j);
        json_kslice(&t->j, "name", h->fields[i].name);
        json_kslice(&t->j, "value", h->fields[i].value);
        json_obj_end(&t->j);
    }
    json_arr_end(&t->j);
    json_obj_end(&t->j);
}

static void
step(struct told *t, const char *what, const char *text)
{
    json_obj(&t->j);
    json_kstr(&t->j, "step", what);
    json_kstr(&t->j, "text", text);
    json_obj_end(&t->j);
}

/* ---- the host ---- */

/* A service that the host means on another port, or one whose name is like it. */
static const char *
near_service(const struct told *t)
{
    const struct asked *a = t->a;
    unsigned best = a->host_text.len <= 3 ? 2 : 3;
    const char *near = NULL;

    for (uint32_t i = 0; i < t->root->service_count; i++) {
        const struct service *s = t->root->services[i];
        unsigned distance;

        if (!s)
            continue;
        if (snapshot_find(t->root, a->host_text, s->port) == s)
            return gs_arena_printf(a->arena, "it has port %u: http://%.*s:%u", s->port,
                                   GS_SLICE_FMT(a->host_text), s->port);
        distance = gs_slice_distance(s->name, a->host_text, 2);
        if (distance >= best) {
            struct gs_slice whole = gs_slice_str(
                gs_arena_printf(a->arena, "%.*s.%.*s", GS_SLICE_FMT(s->name), GS_SLICE_FMT(s->ns)));

            distance = gs_slice_distance(whole, a->host_text, 2);
        }
        if (distance >= best)
            continue;
        best = distance;
        near = gs_arena_printf(a->arena, "did you mean http://%.*s.%.*s:%u?", GS_SLICE_FMT(s->name),
                               GS_SLICE_FMT(s->ns), s->port);
    }
    return near;
}

/* "VirtualService ai/tools": what `policy` says before the version. */
static struct gs_slice
policy_name(const struct service *s)
{
    ptrdiff_t blank = gs_slice_rfind(s->policy, ' ');

    return !s->has_policy ? GS_SLICE("")
           : blank > 0    ? gs_slice_head(s->policy, (size_t)blank)
                          : s->policy;
}

static void
tell_host(struct told *t, const struct service *s)
{
    const struct asked *a = t->a;
    const char *near;

    if (!s) {
        near = near_service(t);
        step(t, "host",
             gs_arena_printf(a->arena, "no service is called \"%.*s\" on port %u; %s",
                             GS_SLICE_FMT(a->host_text), a->port,
                             near ? near : "gossamer services lists them"));
        return;
    }
    step(t, "host",
         gs_arena_printf(a->arena, "\"%.*s\" on port %u is service %.*s.%.*s:%u, %s%.*s",
                         GS_SLICE_FMT(a->host_text), a->port, GS_SLICE_FMT(s->name),
                         GS_SLICE_FMT(s->ns), s->port,
                         s->has_policy ? "routed by " : "which no policy routes",
                         GS_SLICE_FMT(policy_name(s))));
}

/* ---- the rules ---- */

/* Does a match hold, if it had but one condition? The data path is asked, as always. */
static bool
holds(const struct route_match *m, const struct head *h)
{
    const struct route_rule rule = { .matches = m, .match_count = 1 };
    const struct service s = { .rules = &rule, .rule_count = 1 };
    int which;

    return route_match(&s, h, &which) == 0;
}

static const char *
condition(const struct text_match *m)
{
    switch (m->kind) {
    case MATCH_PREFIX:
        return "does not begin with";
    case MATCH_REGEX:
        return "does not match the whole of";
    case MATCH_ANY:
    case MATCH_EXACT:
    case MATCH_PRESENT:
        break;
    }
    return "is not";
}

static int
shown(struct gs_slice s)
{
    return s.len < VALUE_SHOWN_MAX ? (int)s.len : VALUE_SHOWN_MAX;
}

static const char *
uri_reason(struct told *t, const struct text_match *m)
{
    ptrdiff_t query = gs_slice_find(t->a->head.path, '?');
    struct gs_slice path =
        query < 0 ? t->a->head.path : gs_slice_head(t->a->head.path, (size_t)query);

    return gs_arena_printf(t->a->arena, "path \"%.*s\" %s \"%.*s\"", shown(path), path.ptr,
                           condition(m), shown(m->text), m->text.ptr);
}

static const char *
field_reason(struct told *t, const struct field_match *m)
{
    for (size_t i = 0; i < t->a->head.count; i++) {
        const struct field *f = &t->a->fields[i];

        if (gs_slice_eq_nocase(f->name, m->name))
            return gs_arena_printf(t->a->arena, "header %.*s: \"%.*s\" %s \"%.*s\"",
                                   GS_SLICE_FMT(m->name), shown(f->value), f->value.ptr,
                                   condition(&m->value), shown(m->value.text), m->value.text.ptr);
    }
    return gs_arena_printf(t->a->arena, "there is no header %.*s", GS_SLICE_FMT(m->name));
}

/* The first condition of a match that does not hold; NULL if all do. */
static const char *
match_reason(struct told *t, const struct route_match *m)
{
    const struct route_match uri = { .uri = m->uri };

    if (!holds(&uri, &t->a->head))
        return uri_reason(t, &m->uri);
    for (uint32_t i = 0; i < m->field_count; i++) {
        const struct route_match field = { .fields = &m->fields[i], .field_count = 1 };

        if (!holds(&field, &t->a->head))
            return field_reason(t, &m->fields[i]);
    }
    return NULL;
}

static const char *
rule_name(struct told *t, const struct route_rule *r, uint32_t index)
{
    if (r->name.len == 0)
        return gs_arena_printf(t->a->arena, "rule %u", index);
    return gs_arena_printf(t->a->arena, "rule %u \"%.*s\"", index, GS_SLICE_FMT(r->name));
}

static void
tell_unmatched(struct told *t, const struct route_rule *r, uint32_t index)
{
    for (uint32_t m = 0; m < r->match_count; m++) {
        const char *why = match_reason(t, &r->matches[m]);

        GS_ASSERT(why);
        step(t, "rule",
             r->match_count == 1 ? gs_arena_printf(t->a->arena, "%s does not match: %s",
                                                   rule_name(t, r, index), why)
                                 : gs_arena_printf(t->a->arena, "%s, match %u does not hold: %s",
                                                   rule_name(t, r, index), m, why));
    }
}

static void
tell_rules(struct told *t, const struct service *s, int rule, int match)
{
    uint32_t earlier = rule < 0 ? s->rule_count : (uint32_t)rule;

    for (uint32_t i = 0; i < earlier; i++)
        tell_unmatched(t, &s->rules[i], i);
    if (rule < 0)
        step(t, "rule", s->rule_count > 0 ? "no rule matches" : "it has no rules");
    else if (match < 0)
        step(t, "rule",
             gs_arena_printf(t->a->arena, "%s matches every request",
                             rule_name(t, &s->rules[rule], (uint32_t)rule)));
    else
        step(t, "rule",
             gs_arena_printf(t->a->arena, "%s matches (match %d)",
                             rule_name(t, &s->rules[rule], (uint32_t)rule), match));
}

/* ---- the answers ---- */

static void
answer_json(struct told *t, double percent, enum reason r)
{
    const struct reason_info *info = reason_info(r);

    if (percent <= 0)
        return;
    json_obj(&t->j);
    json_kdouble(&t->j, "percent", percent);
    json_key(&t->j, "status");
    if (r == REASON_NONE) { /* whatever the service says */
        json_nil(&t->j);
    } else {
        json_u64(&t->j, info->status);
        json_kstr(&t->j, "flag", info->flag);
        json_kstr(&t->j, "why", info->text);
    }
    json_obj_end(&t->j);
}

static bool
usable(const struct told *t, const struct route_backend *b)
{
    const struct service *s = snapshot_service(t->root, b->service);

    return s && b->subset < s->subset_count && s->subsets[b->subset].count > 0;
}

static void
shares_json(struct told *t, const struct route_rule *r)
{
    double forwarded = 0, refused = 0;

    for (uint32_t i = 0; i < r->backend_count; i++) {
        double share = 100.0 * (double)r->backends[i].weight / (double)r->weight_total;

        if (usable(t, &r->backends[i]))
            forwarded += share;
        else
            refused += share;
    }
    answer_json(t, forwarded, REASON_NONE);
    answer_json(t, r->backend_count > 0 ? refused : 100, REASON_NO_ENDPOINT);
}

static void
answers_json(struct told *t, const struct service *s, int rule)
{
    json_key(&t->j, "answers");
    json_arr(&t->j);
    if (!s || (s->has_policy && rule < 0))
        answer_json(t, 100, REASON_NO_ROUTE);
    else if (rule >= 0)
        shares_json(t, &s->rules[rule]);
    else
        answer_json(t, 100, s->subsets[SUBSET_ALL].count > 0 ? REASON_NONE : REASON_NO_ENDPOINT);
    json_arr_end(&t->j);
}

void
api_explain(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    struct asked a;
    struct told t = { .root = snapshot_current(n->hub), .a = &a };
    const struct service *s;
    int rule = -1, match = -1;
    struct gs_buf out;

    if (!read_asked(c, r, &a))
        return;
    s = snapshot_find(t.root, a.host_text, a.port);
    if (s && s->has_policy)
        rule = route_match(s, &a.head, &match);
    gs_buf_init(&out, 16u << 20);
    json_init(&t.j, &out);
    json_obj(&t.j);
    asked_json(&t);
    json_key(&t.j, "explain");
    json_arr(&t.j);
    tell_host(&t, s);
    if (s && s->has_policy)
        tell_rules(&t, s, rule, match);
    json_arr_end(&t.j);
    if (s) {
        json_key(&t.j, "route");
        explain_json(t.root, s, rule < 0 ? UINT32_MAX : (uint32_t)rule, n->loop->now_ms, &t.j);
    }
    answers_json(&t, s, rule);
    json_obj_end(&t.j);
    admin_reply_json(c, 200, &out);
}
