/* test_policy_vs.c - VirtualServices as people write them: every value form, default and refusal,
 * with the line, column and field of each. */
#include "tests/unit/manifests.h"

#include <stdlib.h>

#include <gossamer/limits.h>

/* A VirtualService whose only rule begins in line 7, column 5; a case continues there. */
#define HEAD                                                                                       \
    "apiVersion: networking.istio.io/v1\n"                                                         \
    "kind: VirtualService\n"                                                                       \
    "metadata: { name: web }\n"                                                                    \
    "spec:\n"                                                                                      \
    "  hosts: [web]\n"                                                                             \
    "  http:\n"
#define ROUTE "  - route: [{ destination: { host: web } }]\n"

struct good {
    const char *name, *text;
};

struct bad {
    const char *name, *text, *expected, *says;
};

static void
assert_good(const char *name, const char *text)
{
    assert_findings(name, text, "", NULL);
}

/* The only object of a text that must be good. Its memory is the reading's. */
static const struct virtual_service *
read_vs(struct reading *r, const char *text)
{
    reading_init(r, text, strlen(text));
    if (r->problems.errors > 0)
        print_error("%s%s\n", gs_buf_cstr(&r->found), r->problems.items[0].message);
    assert_int_equal(r->problems.errors, 0);
    assert_int_equal(r->m.count, 1);
    assert_int_equal(r->m.objects[0]->kind, POLICY_VIRTUAL_SERVICE);
    return &r->m.objects[0]->vs;
}

static void
assert_text(struct gs_slice s, const char *expected)
{
    assert_int_equal(s.len, strlen(expected));
    assert_memory_equal(s.ptr, expected, s.len);
}

/* ---- what is read ---- */

static void
everything_is_read(void **state)
{
    static const char text[] =
        "apiVersion: networking.istio.io/v1beta1\n"
        "kind: VirtualService\n"
        "metadata:\n"
        "  name: tools\n"
        "  namespace: ai-agents\n"
        "  labels: { app: tools }\n"
        "  annotations:\n"
        "    note: '1'\n"
        "    kubectl.kubernetes.io/last-applied-configuration: '{}'\n"
        "spec:\n"
        "  hosts: [tool-service-svc, tools.example.com]\n"
        "  gateways: [mesh]\n"
        "  http:\n"
        "  - name: canary\n"
        "    match:\n"
        "    - name: a\n"
        "      uri: { prefix: /v2 }\n"
        "      headers:\n"
        "        X-User: { exact: jason }\n"
        "        x-any: {}\n"
        "        x-re: { regex: '.*beta.*' }\n"
        "    - uri: { exact: /b }\n"
        "    route:\n"
        "    - destination: { host: tool-service-svc, subset: v2, port: { number: 80 } }\n"
        "      weight: 10\n"
        "    - destination: { host: tool-service-svc, subset: v1 }\n"
        "      weight: 90\n"
        "    timeout: 1.5s\n"
        "  - route: [{ destination: { host: tool-service-svc } }]\n";
    struct reading r;
    const struct virtual_service *vs = read_vs(&r, text);
    const struct policy_object *o = r.m.objects[0];

    (void)state;
    assert_text(o->ns, "ai-agents");
    assert_text(o->name, "tools");
    assert_int_equal(o->label_count, 1);
    assert_int_equal(o->annotation_count, 1); /* kubectl's copy is dropped */
    assert_text(o->annotations[0].name, "note");
    assert_int_equal(vs->host_count, 2);
    assert_int_equal(vs->rule_count, 2);
    assert_text(vs->rules[0].name, "canary");
    assert_int_equal(vs->rules[0].match_count, 2);
    assert_int_equal(vs->rules[0].matches[0].uri.kind, POLICY_PREFIX);
    assert_int_equal(vs->rules[0].matches[0].header_count, 3);
    assert_int_equal(vs->rules[0].matches[0].headers[1].value.kind, POLICY_PRESENT);
    assert_int_equal(vs->rules[0].matches[1].uri.kind, POLICY_EXACT);
    assert_int_equal(vs->rules[0].destinations[0].port, 80);
    assert_int_equal(vs->rules[0].destinations[0].weight, 10);
    assert_text(vs->rules[0].destinations[1].subset.text, "v1");
    assert_int_equal(vs->rules[0].destinations[1].subset.place.line, 26);
    assert_int_equal(vs->rules[0].timeout_ms, 1500);
    assert_int_equal(vs->rules[1].match_count, 0);
    assert_false(vs->rules[1].destinations[0].weight_written);
    assert_int_equal(vs->rules[1].timeout_ms, 0);
    reading_fini(&r);
}

static const struct good goods[] = {
    { "v1", HEAD ROUTE },
    { "quoted and flow",
      "{ \"apiVersion\": \"networking.istio.io/v1alpha3\", \"kind\": \"VirtualService\",\n"
      "  \"metadata\": { \"name\": \"web\" },\n"
      "  \"spec\": { \"hosts\": [\"web\"], \"http\": [{ \"route\": [{ \"destination\": "
      "{ \"host\": \"web\" } }] }] } }\n" },
    { "a byte order mark and CRLF",
      "\xef\xbb\xbf"
      "apiVersion: networking.istio.io/v1\r\nkind: VirtualService\r\n"
      "metadata: { name: web }\r\nspec:\r\n  hosts: [web]\r\n  http:\r\n" ROUTE },
    { "anchors and merge keys",
      "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: web }\n"
      "spec:\n  hosts: [web]\n  http:\n"
      "  - match: [{ uri: { exact: /a } }]\n"
      "    route: &r [{ destination: &d { host: web } }]\n"
      "  - match: [{ uri: { exact: /b } }]\n"
      "    route: [{ destination: { <<: *d, subset: v1 } }]\n"
      "  - route: *r\n" },
    { "dashes at the key's own indent",
      "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: web\nspec:\n"
      "  hosts:\n  - web\n  http:\n  - route:\n    - destination:\n        host: web\n" },
    { "comments", "# first\n" HEAD "  # between\n" ROUTE "# last\n" },
    { "what a server adds",
      "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
      "metadata:\n  name: web\n  uid: 0b3e\n  resourceVersion: \"12\"\n  generation: 3\n"
      "  creationTimestamp: \"2026-01-02T03:04:05Z\"\n  managedFields: [{ manager: kubectl }]\n"
      "  selfLink: /x\n  finalizers: [a]\n  ownerReferences: [{ uid: x }]\n"
      "spec:\n  hosts: [web]\n  http:\n" ROUTE "status: { conditions: [] }\n" },
    { "creationTimestamp null",
      "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
      "metadata: { name: web, creationTimestamp: null }\nspec:\n  hosts: [web]\n  http:\n" ROUTE },
    { "hosts in all spellings",
      "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: web }\nspec:\n"
      "  hosts: [a, b.ai, c.ai.svc.cluster.local, api.example.com, UPPER.example.com, x.ai.]\n"
      "  http:\n" ROUTE },
    { "2026-01-02 and 12:30 are text",
      HEAD "  - match: [{ headers: { a: { exact: 2026-01-02 }, b: { exact: 12:30 } } }]\n"
           "    route: [{ destination: { host: web } }]\n" },
    { "an empty list of gateways", HEAD ROUTE "  gateways: []\n" },
    { "an empty match", HEAD "  - match: [{}]\n    route: [{ destination: { host: web } }]\n" },
    { "uri {}", HEAD "  - match: [{ uri: {} }]\n    route: [{ destination: { host: web } }]\n" },
    { "one destination of weight 0",
      HEAD "  - route: [{ destination: { host: web }, weight: 0 }]\n" },
    { "no weight is 0 in a list", HEAD
      "  - route: [{ destination: { host: web } }, { destination: { host: b }, weight: 1 }]\n" },
    { "a sum other than 100", HEAD "  - route: [{ destination: { host: web }, weight: 2 }, "
                                   "{ destination: { host: b }, weight: 1 }]\n" },
};

static void
good_ones_pass(void **state)
{
    (void)state;
    for (size_t i = 0; i < GS_COUNT(goods); i++)
        assert_good(goods[i].name, goods[i].text);
}

/* ---- weights and durations ---- */

static void
whole_numbers_have_many_spellings(void **state)
{
    static const struct {
        const char *text;
        uint32_t weight;
    } cases[] = { { "90", 90 },
                  { "90.0", 90 },
                  { "9e1", 90 },
                  { "0x5a", 90 },
                  { "9_0", 90 },
                  { "+90", 90 },
                  { "0132", 90 },
                  { "0o132", 90 },
                  { "0b1011010", 90 },
                  { "0", 0 },
                  { "2147483647", INT32_MAX } };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(cases); i++) {
        char text[512];
        struct reading r;

        (void)snprintf(text, sizeof(text),
                       HEAD "  - route: [{ destination: { host: web }, weight: %s }]\n",
                       cases[i].text);
        assert_int_equal(read_vs(&r, text)->rules[0].destinations[0].weight, cases[i].weight);
        reading_fini(&r);
    }
}

static void
other_weights_are_refused(void **state)
{
    static const struct {
        const char *text, *code, *says;
    } cases[] = {
        { "\"90\"", "GS0104", "remove the quotes" },
        { "33.3", "GS0104", "must be a whole number" },
        { "'90'", "GS0104", "remove the quotes" },
        { "yes", "GS0104", "is a boolean" },
        { "~", "GS0104", "leave the field out" },
        { "", "GS0104", "is null" },
        { "-1", "GS0106", "not negative" },
        { "2147483648", "GS0106", "out of range" },
        { "99999999999999999999", "GS0104", "whole number" },
        { "[90]", "GS0104", "is a list" },
        { "{ value: 90 }", "GS0104", "is a map" },
        { ".inf", "GS0104", "whole number" },
        { "90%", "GS0104", "is text" },
        { "12:30", "GS0104", "is text" },
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(cases); i++) {
        char text[512], expected[128];

        (void)snprintf(text, sizeof(text),
                       HEAD "  - route:\n    - weight: %s\n      destination: { host: web }\n",
                       cases[i].text);
        (void)snprintf(expected, sizeof(expected), "8:%d %s spec.http[0].route[0].weight\n",
                       cases[i].text[0] ? 15 : 14, cases[i].code);
        assert_findings(cases[i].text, text, expected, cases[i].says);
    }
}

static void
durations_are_gos(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = { { "10s", 10000 },       { "0.5s", 500 },
                  { ".5s", 500 },         { "1.5m", 90000 },
                  { "1h30m", 5400000 },   { "500ms", 500 },
                  { "1ms", 1 },           { "15.000s", 15000 },
                  { "+1s", 1000 },        { "1s500ms", 1500 },
                  { "1000us", 1 },        { "1000000ns", 1 },
                  { "2000\xc2\xb5s", 2 }, { "2562047h", UINT64_C(2562047) * 3600000 },
                  { "\"10s\"", 10000 },   { "1.s", 1000 } };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(cases); i++) {
        char text[512];
        struct reading r;

        (void)snprintf(text, sizeof(text),
                       HEAD "  - timeout: %s\n    route: [{ destination: { host: web } }]\n",
                       cases[i].text);
        assert_int_equal(read_vs(&r, text)->rules[0].timeout_ms, cases[i].ms);
        reading_fini(&r);
    }
}

static void
other_durations_are_refused(void **state)
{
    static const struct {
        const char *text, *code, *says;
    } cases[] = {
        { "0s", "GS0106", "at least 1ms" },
        { "500us", "GS0106", "at least 1ms" },
        { "-1s", "GS0106", "at least 1ms" },
        { "1.5ms", "GS0106", "whole milliseconds" },
        { "1d", "GS0106", "no duration" },
        { "10", "GS0104", "add a unit: 10s" },
        { "\"10\"", "GS0106", "no duration" },
        { "\"\"", "GS0106", "empty" },
        { "\"5 s\"", "GS0106", "no duration" },
        { "1.5", "GS0104", "add a unit" },
        { "\"0\"", "GS0106", "at least 1ms" },
        { "s", "GS0106", "no duration" },
        { ".s", "GS0106", "no duration" },
        { "2562048h", "GS0106", "no duration" },
        { "", "GS0104", "is null" },
        { "on", "GS0104", "must be a duration, is a boolean" },
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(cases); i++) {
        char text[512], expected[128];

        (void)snprintf(text, sizeof(text),
                       HEAD "  - timeout: %s\n    route: [{ destination: { host: web } }]\n",
                       cases[i].text);
        (void)snprintf(expected, sizeof(expected), "7:%d %s spec.http[0].timeout\n",
                       cases[i].text[0] ? 14 : 13, cases[i].code);
        assert_findings(cases[i].text, text, expected, cases[i].says);
    }
}

/* YAML 1.1: a value that is no text where text is due must be put in quotes. */
static void
plain_scalars_that_are_no_text(void **state)
{
    static const char *const bad[] = { "y",    "N",     "yes",  "No",   "on",    "OFF",
                                       "true", "False", "~",    "null", "1.0",   ".5",
                                       "1e3",  "010",   "0x1f", "0o7",  "1_000", "-1",
                                       "+.5",  ".inf",  ".NaN", "08",   "0b11" };
    static const char *const good[] = { "yEs", "nULL", "1.2.3", "v1", "12:30", "1e", "0x",
                                        "_1",  "1.0a", "--",    "+",  ".",     "0b2" };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(bad); i++) {
        char text[512];

        (void)snprintf(text, sizeof(text),
                       HEAD "  - match: [{ headers: { a: { exact: %s } } }]\n"
                            "    route: [{ destination: { host: web } }]\n",
                       bad[i]);
        assert_findings(bad[i], text, "7:38 GS0104 spec.http[0].match[0].headers.a.exact\n",
                        strcmp(bad[i], "~") == 0 || strcmp(bad[i], "null") == 0 ? "is null"
                                                                                : "in quotes");
    }
    for (size_t i = 0; i < GS_COUNT(good); i++) {
        char text[512];

        (void)snprintf(text, sizeof(text),
                       HEAD "  - match: [{ headers: { a: { exact: %s } } }]\n"
                            "    route: [{ destination: { host: web } }]\n",
                       good[i]);
        assert_good(good[i], text);
    }
}

/* ---- refusals ---- */

static const struct bad bads[] = {
    { "no hosts",
      "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: web }\nspec:\n"
      "  http:\n" ROUTE,
      "5:3 GS0105 spec.hosts\n", "at least one host" },
    { "hosts no list", HEAD ROUTE "  gateways: mesh\n", "8:13 GS0104 spec.gateways\n",
      "must be a list, is text" },
    { "no http, tcp or tls",
      "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: web }\nspec:\n"
      "  hosts: [web]\n",
      "5:3 GS0105 spec.http\n", "http, tcp or tls must be provided" },
    { "http null", HEAD, "6:8 GS0104 spec.http\n", "must be a list, is null" },
    { "http a map",
      "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: web }\nspec:\n"
      "  hosts: [web]\n  http: { route: [] }\n",
      "6:9 GS0104 spec.http\n", "must be a list, is a map" },
    { "no route", HEAD "  - timeout: 1s\n", "7:5 GS0105 spec.http[0].route\n",
      "a route is required" },
    { "an empty route", HEAD "  - route: []\n", "7:12 GS0105 spec.http[0].route\n", NULL },
    { "no destination", HEAD "  - route: [{ weight: 1 }]\n",
      "7:13 GS0105 spec.http[0].route[0].destination.host\n", "a host is required" },
    { "no host", HEAD "  - route: [{ destination: {} }]\n",
      "7:28 GS0105 spec.http[0].route[0].destination.host\n", NULL },
    { "the old name", HEAD "  - route: [{ destination: { name: web } }]\n",
      "7:30 GS0102 spec.http[0].route[0].destination.name\n"
      "7:28 GS0105 spec.http[0].route[0].destination.host\n",
      "goes into `host`" },
    { "weight inside destination", HEAD "  - route: [{ destination: { host: web, weight: 10 } }]\n",
      "7:41 GS0102 spec.http[0].route[0].destination.weight\n", "beside `destination`" },
    { "a destination that is text", HEAD "  - route: [{ destination: web }]\n",
      "7:28 GS0104 spec.http[0].route[0].destination\n", "write { host: web }" },
    { "a port that is a number", HEAD "  - route: [{ destination: { host: web, port: 80 } }]\n",
      "7:47 GS0104 spec.http[0].route[0].destination.port\n", "write { number: 80 }" },
    { "a port with a name",
      HEAD "  - route: [{ destination: { host: web, port: { name: http } } }]\n",
      "7:49 GS0102 spec.http[0].route[0].destination.port.name\n"
      "7:47 GS0105 spec.http[0].route[0].destination.port.number\n",
      "told by `number`" },
    { "a quoted port",
      HEAD "  - route: [{ destination: { host: web, port: { number: \"80\" } } }]\n",
      "7:57 GS0104 spec.http[0].route[0].destination.port.number\n", "remove the quotes" },
    { "port 0", HEAD "  - route: [{ destination: { host: web, port: { number: 0 } } }]\n",
      "7:57 GS0106 spec.http[0].route[0].destination.port.number\n", "1 to 65535" },
    { "port 65536", HEAD "  - route: [{ destination: { host: web, port: { number: 65536 } } }]\n",
      "7:57 GS0106 spec.http[0].route[0].destination.port.number\n", NULL },
    { "all weights 0",
      HEAD "  - route: [{ destination: { host: web }, weight: 0 }, { destination: { host: b }, "
           "weight: 0 }]\n",
      "7:12 GS0113 spec.http[0].route\n", "total destination weight = 0" },
    { "no weights at all",
      HEAD "  - route: [{ destination: { host: web } }, { destination: { host: b } }]\n",
      "7:12 GS0113 spec.http[0].route\n", "give each one" },
    { "a bare header value",
      HEAD "  - match: [{ headers: { a: b } }]\n    route: [{ destination: { host: web } }]\n",
      "7:29 GS0104 spec.http[0].match[0].headers.a\n", "write { exact: \"b\" }" },
    { "a null header",
      HEAD "  - match: [{ headers: { a: } }]\n    route: [{ destination: { host: web } }]\n",
      "7:29 GS0104 spec.http[0].match[0].headers.a\n", "is null" },
    { "present: true",
      HEAD "  - match: [{ headers: { a: { present: true } } }]\n"
           "    route: [{ destination: { host: web } }]\n",
      "7:31 GS0102 spec.http[0].match[0].headers.a.present\n", "write {} to match" },
    { "two forms",
      HEAD "  - match: [{ uri: { exact: /a, prefix: /b } }]\n"
           "    route: [{ destination: { host: web } }]\n",
      "7:20 GS0106 spec.http[0].match[0].uri\n", "one of exact, prefix, regex, has 2" },
    { "look-ahead",
      HEAD "  - match: [{ uri: { regex: '/(?=a)' } }]\n"
           "    route: [{ destination: { host: web } }]\n",
      "7:29 GS0114 spec.http[0].match[0].uri.regex\n", "no look-ahead" },
    { "a leading *",
      HEAD "  - match: [{ headers: { a: { regex: '*' } } }]\n"
           "    route: [{ destination: { host: web } }]\n",
      "7:38 GS0114 spec.http[0].match[0].headers.a.regex\n", "write {} for any value" },
    { "a header that upstream does not look at",
      HEAD "  - match: [{ headers: { method: { exact: GET } } }]\n"
           "    route: [{ destination: { host: web } }]\n",
      "7:26 GS0106 spec.http[0].match[0].headers.method\n", "beside `headers`" },
    { "a pseudo-header",
      HEAD "  - match: [{ headers: { ':path': { exact: a } } }]\n"
           "    route: [{ destination: { host: web } }]\n",
      "7:26 GS0103 spec.http[0].match[0].headers.:path\n", "pseudo-headers" },
    { "no name of a header",
      HEAD "  - match: [{ headers: { 'a b': { exact: a } } }]\n"
           "    route: [{ destination: { host: web } }]\n",
      "7:26 GS0106 spec.http[0].match[0].headers.a b\n", "no name of a header" },
    { "wildcards",
      "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: web }\nspec:\n"
      "  hosts: ['*', '*.example.com']\n  http:\n" ROUTE,
      "5:11 GS0103 spec.hosts[0]\n5:16 GS0103 spec.hosts[1]\n", "wildcard" },
    { "an IP address",
      "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: web }\nspec:\n"
      "  hosts: [10.0.0.1, '::1']\n  http:\n" ROUTE,
      "5:11 GS0103 spec.hosts[0]\n5:21 GS0103 spec.hosts[1]\n", "IP address" },
    { "bad hosts",
      "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: web }\nspec:\n"
      "  hosts: [a_b, -a, a..b, '', a.1, 'x y']\n  http:\n" ROUTE,
      "5:11 GS0106 spec.hosts[0]\n5:16 GS0106 spec.hosts[1]\n5:20 GS0106 spec.hosts[2]\n"
      "5:26 GS0106 spec.hosts[3]\n5:30 GS0106 spec.hosts[4]\n5:35 GS0106 spec.hosts[5]\n",
      "not valid" },
    { "a host twice, in two spellings",
      "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: web }\nspec:\n"
      "  hosts: [web, web.default.svc.cluster.local]\n  http:\n" ROUTE,
      "5:16 GS0112 spec.hosts[1]\n", "already" },
    { "a subset with a dot", HEAD "  - route: [{ destination: { host: web, subset: v1.0 } }]\n",
      "7:49 GS0106 spec.http[0].route[0].destination.subset\n", "no name of a subset" },
    { "a gateway only", HEAD ROUTE "  gateways: [ingress]\n", "8:14 GS0103 spec.gateways\n",
      "add `mesh`" },
    { "mesh beside a gateway", HEAD ROUTE "  gateways: [mesh, ns/ingress]\n",
      "w 8:20 GS0204 spec.gateways\n", "ns/ingress is ignored" },
    { "a key twice", HEAD "  - route: [{ destination: { host: web } }]\n    route: []\n",
      "8:5 GS0002 -\n", NULL },
    { "a zero byte", HEAD "  - name: \"a\\0b\"\n    route: [{ destination: { host: web } }]\n",
      "7:11 GS0106 spec.http[0].name\n", "zero byte" },
};

static void
bad_ones_are_refused_with_their_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < GS_COUNT(bads); i++)
        assert_findings(bads[i].name, bads[i].text, bads[i].expected, bads[i].says);
}

/* All that is known upstream and not here, each named, in one go. */
static void
unsupported_fields_are_named_all_at_once(void **state)
{
    static const char text[] = "apiVersion: networking.istio.io/v1\n"
                               "kind: VirtualService\n"
                               "metadata: { name: web }\n"
                               "spec:\n"
                               "  hosts: [web]\n"
                               "  exportTo: ['.']\n"
                               "  tls: [{ match: [{ sniHosts: [a] }] }]\n"
                               "  tcp: [{ route: [] }]\n"
                               "  http:\n"
                               "  - match:\n"
                               "    - method: { exact: GET }\n"
                               "      port: 80\n"
                               "      ignoreUriCase: true\n"
                               "      sourceLabels: { a: b }\n"
                               "      queryParams: { a: {} }\n"
                               "      withoutHeaders: { a: {} }\n"
                               "      gateways: [mesh]\n"
                               "      sourceNamespace: a\n"
                               "      scheme: { exact: http }\n"
                               "      authority: { exact: a }\n"
                               "      statPrefix: a\n"
                               "    retries: { attempts: 3, perTryTimeout: 1s }\n"
                               "    fault: { delay: { fixedDelay: 5s, percent: 10 } }\n"
                               "    mirror: { host: b }\n"
                               "    mirrors: []\n"
                               "    mirror_percent: 10\n"
                               "    mirrorPercent: 10\n"
                               "    mirrorPercentage: { value: 1 }\n"
                               "    corsPolicy: {}\n"
                               "    headers: {}\n"
                               "    rewrite: { uri: / }\n"
                               "    route:\n"
                               "    - destination: { host: web }\n"
                               "      headers: {}\n"
                               "  - redirect: { uri: /b }\n"
                               "  - directResponse: { status: 503 }\n"
                               "  - delegate: { name: b }\n";
    static const char expected[] = "6:3 GS0103 spec.exportTo\n"
                                   "7:3 GS0103 spec.tls\n"
                                   "8:3 GS0103 spec.tcp\n"
                                   "11:7 GS0103 spec.http[0].match[0].method\n"
                                   "12:7 GS0103 spec.http[0].match[0].port\n"
                                   "13:7 GS0103 spec.http[0].match[0].ignoreUriCase\n"
                                   "14:7 GS0103 spec.http[0].match[0].sourceLabels\n"
                                   "15:7 GS0103 spec.http[0].match[0].queryParams\n"
                                   "16:7 GS0103 spec.http[0].match[0].withoutHeaders\n"
                                   "17:7 GS0103 spec.http[0].match[0].gateways\n"
                                   "18:7 GS0103 spec.http[0].match[0].sourceNamespace\n"
                                   "19:7 GS0103 spec.http[0].match[0].scheme\n"
                                   "20:7 GS0103 spec.http[0].match[0].authority\n"
                                   "21:7 GS0103 spec.http[0].match[0].statPrefix\n"
                                   "22:5 GS0103 spec.http[0].retries\n"
                                   "23:5 GS0103 spec.http[0].fault\n"
                                   "24:5 GS0103 spec.http[0].mirror\n"
                                   "25:5 GS0103 spec.http[0].mirrors\n"
                                   "26:5 GS0103 spec.http[0].mirror_percent\n"
                                   "27:5 GS0103 spec.http[0].mirrorPercent\n"
                                   "28:5 GS0103 spec.http[0].mirrorPercentage\n"
                                   "29:5 GS0103 spec.http[0].corsPolicy\n"
                                   "30:5 GS0103 spec.http[0].headers\n"
                                   "31:5 GS0103 spec.http[0].rewrite\n"
                                   "34:7 GS0103 spec.http[0].route[0].headers\n"
                                   "35:5 GS0103 spec.http[1].redirect\n"
                                   "36:5 GS0103 spec.http[2].directResponse\n"
                                   "37:5 GS0103 spec.http[3].delegate\n";

    (void)state;
    assert_findings("unsupported", text, expected, "is not supported in this version");
}

static void
unknown_fields_suggest_the_right_one(void **state)
{
    static const struct {
        const char *line, *at, *field, *says;
    } cases[] = {
        { "    timeuot: 1s\n", "8:5", "spec.http[0].timeuot", "did you mean \"timeout\"?" },
        { "    Timeout: 1s\n", "8:5", "spec.http[0].Timeout", "did you mean \"timeout\"?" },
        { "    direct_response: {}\n", "8:5", "spec.http[0].direct_response",
          "did you mean \"directResponse\"?" },
        { "    websocketUpgrade: true\n", "8:5", "spec.http[0].websocketUpgrade", "remove it" },
        { "    nonsense: true\n", "8:5", "spec.http[0].nonsense", "there are: name, match, route" },
        { "    destination: {}\n", "8:5", "spec.http[0].destination", "inside an item of `route`" },
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(cases); i++) {
        char text[512], expected[128];

        (void)snprintf(text, sizeof(text), HEAD ROUTE "%s", cases[i].line);
        (void)snprintf(expected, sizeof(expected), "%s GS0102 %s\n", cases[i].at, cases[i].field);
        assert_findings(cases[i].line, text, expected, cases[i].says);
    }
    /* Below what is not supported, too: the file will be right one day or it will not. */
    assert_findings("below", HEAD ROUTE "    retries: { attempts: 3, per_try_timeout: 1s }\n",
                    "8:5 GS0103 spec.http[0].retries\n"
                    "8:29 GS0102 spec.http[0].retries.per_try_timeout\n",
                    "did you mean \"perTryTimeout\"?");
    assert_findings("fault.abort.percent",
                    HEAD ROUTE "    fault: { abort: { percent: 3, httpStatus: 500 } }\n",
                    "8:5 GS0103 spec.http[0].fault\n"
                    "8:23 GS0102 spec.http[0].fault.abort.percent\n",
                    "percentage: { value: N }");
    assert_findings("sni_hosts",
                    "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
                    "metadata: { name: web }\nspec:\n  hosts: [web]\n"
                    "  tls: [{ match: [{ sni_hosts: [a] }] }]\n",
                    "6:3 GS0103 spec.tls\n6:21 GS0102 spec.tls[0].match[0].sni_hosts\n",
                    "did you mean \"sniHosts\"?");
}

/* ---- documents and kinds ---- */

static void
metadata_is_checked(void **state)
{
#define TAIL "spec:\n  hosts: [web]\n  http:\n" ROUTE
#define KIND "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
    static const struct bad cases[] = {
        { "no metadata", KIND TAIL, "1:1 GS0105 metadata.name\n", "a name is required" },
        { "no name", KIND "metadata: {}\n" TAIL, "3:11 GS0105 metadata.name\n", NULL },
        { "a bad name", KIND "metadata: { name: my_rule }\n" TAIL, "3:19 GS0111 metadata.name\n",
          "lower-case letters" },
        { "a bad namespace", KIND "metadata: { name: a, namespace: nsA }\n" TAIL,
          "3:33 GS0111 metadata.namespace\n", "63 lower-case" },
        { "a name that is a number", KIND "metadata: { name: 1.0 }\n" TAIL,
          "3:19 GS0104 metadata.name\n", "put it in quotes: \"1.0\"" },
        { "a label that is a number", KIND "metadata: { name: a, labels: { v: 1.0 } }\n" TAIL,
          "3:35 GS0104 metadata.labels.v\n", "put it in quotes: \"1.0\"" },
        { "a label that is none", KIND "metadata: { name: a, labels: { v: 'a b' } }\n" TAIL,
          "3:35 GS0106 metadata.labels.v\n", "not valid" },
        { "a bad label key", KIND "metadata: { name: a, labels: { 'a/b/c': x } }\n" TAIL,
          "3:32 GS0106 metadata.labels.a/b/c\n", "not valid" },
        { "generateName", KIND "metadata: { generateName: a- }\n" TAIL,
          "3:13 GS0103 metadata.generateName\n3:11 GS0105 metadata.name\n", NULL },
        { "an unknown field of it", KIND "metadata: { name: a, namspace: b }\n" TAIL,
          "3:22 GS0102 metadata.namspace\n", "did you mean \"namespace\"?" },
        { "an unknown field beside it", KIND "metadata: { name: a }\nspce: {}\n" TAIL,
          "4:1 GS0102 spce\n", "did you mean \"spec\"?" },
        { "no spec", KIND "metadata: { name: a }\n", "1:1 GS0105 spec\n", "a spec is required" },
        { "spec null", KIND "metadata: { name: a }\nspec:\n", "4:6 GS0104 spec\n", NULL },
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(cases); i++)
        assert_findings(cases[i].name, cases[i].text, cases[i].expected, cases[i].says);
}

static void
kinds_are_told_apart(void **state)
{
    static const struct bad cases[] = {
        { "not a map", "- a\n", "1:1 GS0101 -\n", "no map" },
        { "no kind", "apiVersion: v1\n", "1:1 GS0101 kind\n", "no kind" },
        { "neither", "a: b\n", "1:1 GS0101 apiVersion\n1:1 GS0101 kind\n", NULL },
        { "an old version", "apiVersion: networking.istio.io/v1alpha1\nkind: VirtualService\n",
          "1:13 GS0110 -\n", "networking.istio.io/v1 " },
        { "another's group", "apiVersion: v1\nkind: VirtualService\n", "1:13 GS0110 -\n",
          "write apiVersion: networking.istio.io/v1" },
        { "a slip of the pen", "apiVersion: networking.istio.io/v1\nkind: VirtualServices\n",
          "2:7 GS0109 -\n", "did you mean \"VirtualService\"?" },
        { "ServiceEntry", "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n",
          "2:7 GS0109 -\n", "not supported in this version" },
        { "Gateway", "apiVersion: networking.istio.io/v1\nkind: Gateway\n", "2:7 GS0109 -\n",
          "not supported in this version" },
        { "AuthorizationPolicy", "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n",
          "2:7 GS0109 -\n", "not supported in this version" },
        { "HTTPRoute", "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n",
          "2:7 GS0109 -\n", "not supported in this version" },
        { "WasmPlugin", "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\n",
          "2:7 GS0109 -\n", NULL },
        { "another mesh's", "apiVersion: split.smi-spec.io/v1alpha4\nkind: TrafficSplit\n",
          "2:7 GS0109 -\n", NULL },
        { "our own group", "apiVersion: gossamer.dev/v1\nkind: Anything\n", "2:7 GS0109 -\n",
          NULL },
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(cases); i++)
        assert_findings(cases[i].name, cases[i].text, cases[i].expected, cases[i].says);
}

static void
kubernetes_own_kinds_are_skipped_and_counted(void **state)
{
    static const char text[] = "apiVersion: v1\nkind: Service\nmetadata: { name: web }\n"
                               "---\n"
                               "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\n"
                               "spec: { anything: [goes, 1, { here: }] }\n"
                               "---\n" HEAD ROUTE "---\n"
                               "# nothing but a comment\n"
                               "---\n"
                               "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\n";
    struct reading r;

    (void)state;
    reading_init(&r, text, strlen(text));
    assert_string_equal(gs_buf_cstr(&r.found), "");
    assert_int_equal(r.m.count, 1);
    assert_int_equal(r.m.skipped_count, 3);
    assert_string_equal(r.m.skipped[0].kind, "Service");
    assert_string_equal(r.m.skipped[0].name, "web");
    assert_int_equal(r.m.skipped[0].line, 1);
    assert_string_equal(r.m.skipped[1].api_version, "apps/v1");
    assert_int_equal(r.m.skipped[1].line, 5);
    assert_string_equal(r.m.skipped[2].kind, "Rollout");
    assert_string_equal(r.m.skipped[2].name, "");
    reading_fini(&r);
}

static void
lists_are_read_item_by_item(void **state)
{
    static const char text[] =
        "apiVersion: v1\nkind: List\nmetadata: { resourceVersion: \"\" }\nitems:\n"
        "- apiVersion: networking.istio.io/v1\n  kind: VirtualService\n  metadata: { name: a }\n"
        "  spec: { hosts: [a], http: [{ route: [{ destination: { host: a } }] }] }\n"
        "- apiVersion: v1\n  kind: Service\n"
        "- apiVersion: networking.istio.io/v1\n  kind: VirtualService\n  metadata: { name: b }\n"
        "  spec: { hosts: [b], http: [{ route: [] }] }\n";
    static const char typed[] =
        "apiVersion: networking.istio.io/v1\nkind: VirtualServiceList\nitems:\n"
        "- metadata: { name: a }\n"
        "  spec: { hosts: [a], http: [{ route: [{ destination: { host: a } }] }] }\n";
    struct reading r;

    (void)state;
    reading_init(&r, text, strlen(text));
    assert_string_equal(gs_buf_cstr(&r.found), "14:39 GS0105 spec.http[0].route\n");
    assert_int_equal(r.m.count, 2);
    assert_int_equal(r.m.skipped_count, 1);
    reading_fini(&r);
    reading_init(&r, typed, strlen(typed));
    assert_string_equal(gs_buf_cstr(&r.found), "");
    assert_int_equal(r.m.count, 1);
    reading_fini(&r);
    assert_findings("no items", "apiVersion: v1\nkind: List\n", "1:1 GS0104 items\n", NULL);
    assert_findings("an object twice", HEAD ROUTE "---\n" HEAD ROUTE, "9:1 GS0112 -\n",
                    "VirtualService default/web is there already");
}

static void
sizes_are_capped(void **state)
{
    struct gs_buf text;

    (void)state;
    gs_buf_init(&text, 8u << 20);
    for (int i = 0; i <= APPLY_OBJECTS_MAX; i++)
        (void)gs_buf_printf(&text,
                            "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
                            "metadata: { name: a%d }\nspec: { hosts: [a], http: [{ route: "
                            "[{ destination: { host: a } }] }] }\n---\n",
                            i);
    assert_findings("257 objects", gs_buf_cstr(&text), "1281:1 GS0115 -\n", "at most 256 objects");
    gs_buf_clear(&text);
    (void)gs_buf_put_str(&text, HEAD);
    for (int i = 0; i <= ROUTE_RULES_MAX; i++)
        (void)gs_buf_put_str(&text, "  - route: [{ destination: { host: web } }]\n");
    assert_findings("257 rules", gs_buf_cstr(&text), "7:3 GS0115 spec.http\n",
                    "has 257 items, at most 256");
    gs_buf_clear(&text);
    (void)gs_buf_put_str(&text, HEAD "  - name: ");
    for (int i = 0; i < OBJECT_BYTES_MAX; i++)
        (void)gs_buf_put_str(&text, "x");
    (void)gs_buf_put_str(&text, "\n    route: [{ destination: { host: web } }]\n");
    assert_findings("64 KiB", gs_buf_cstr(&text), "1:1 GS0115 -\n", "larger than 65536 bytes");
    gs_buf_fini(&text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_read),
        cmocka_unit_test(good_ones_pass),
        cmocka_unit_test(whole_numbers_have_many_spellings),
        cmocka_unit_test(other_weights_are_refused),
        cmocka_unit_test(durations_are_gos),
        cmocka_unit_test(other_durations_are_refused),
        cmocka_unit_test(plain_scalars_that_are_no_text),
        cmocka_unit_test(bad_ones_are_refused_with_their_place),
        cmocka_unit_test(unsupported_fields_are_named_all_at_once),
        cmocka_unit_test(unknown_fields_suggest_the_right_one),
        cmocka_unit_test(metadata_is_checked),
        cmocka_unit_test(kinds_are_told_apart),
        cmocka_unit_test(kubernetes_own_kinds_are_skipped_and_counted),
        cmocka_unit_test(lists_are_read_item_by_item),
        cmocka_unit_test(sizes_are_capped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
