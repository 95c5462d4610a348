/* test_policy_dr.c - DestinationRules as people write them, regular expressions, and analysis of
 * files without a node. */
#include "tests/unit/manifests.h"

#include <gossamer/limits.h>
#include <gossamer/model.h>

#include "mesh/model/re2.h"

#define HEAD                                                                                       \
    "apiVersion: networking.istio.io/v1\n"                                                         \
    "kind: DestinationRule\n"                                                                      \
    "metadata: { name: web }\n"                                                                    \
    "spec:\n"

struct bad {
    const char *name, *text, *expected, *says;
};

static void
everything_is_read(void **state)
{
    static const char text[] = HEAD "  host: web.ai.svc.cluster.local\n"
                                    "  subsets:\n"
                                    "  - name: v1\n"
                                    "    labels: { version: v1.0.0, app.kubernetes.io/name: web }\n"
                                    "  - name: all\n"
                                    "  - name: v2\n"
                                    "    labels: { version: \"1.0\", track: '' }\n";
    struct reading r;
    const struct destination_rule *dr;

    (void)state;
    reading_init(&r, text, strlen(text));
    assert_string_equal(gs_buf_cstr(&r.found), "");
    assert_int_equal(r.m.count, 1);
    dr = &r.m.objects[0]->dr;
    assert_true(gs_slice_eq(dr->host.text, GS_SLICE("web.ai.svc.cluster.local")));
    assert_int_equal(dr->subset_count, 3);
    assert_int_equal(dr->subsets[0].label_count, 2);
    assert_int_equal(dr->subsets[1].label_count, 0); /* every endpoint */
    assert_true(gs_slice_eq(dr->subsets[2].labels[0].value, GS_SLICE("1.0")));
    assert_int_equal(dr->subsets[2].labels[1].value.len, 0);
    assert_int_equal(dr->subsets[2].name.place.line, 10);
    reading_fini(&r);
    assert_findings("only a host", HEAD "  host: web\n", "", NULL);
    assert_findings("no subsets", HEAD "  host: web\n  subsets: []\n", "", NULL);
}

static const struct bad bads[] = {
    { "no host", HEAD "  subsets: []\n", "5:3 GS0105 spec.host\n", "a host is required" },
    { "host null", HEAD "  host:\n", "5:8 GS0104 spec.host\n", "is null" },
    { "hosts", HEAD "  hosts: [web]\n", "5:3 GS0102 spec.hosts\n5:3 GS0105 spec.host\n",
      "has one `host`" },
    { "host a list", HEAD "  host: [web]\n", "5:9 GS0104 spec.host\n", "is a list" },
    { "host a number", HEAD "  host: 1.0\n", "5:9 GS0104 spec.host\n", "in quotes" },
    { "a bad host", HEAD "  host: a_b\n", "5:9 GS0106 spec.host\n", "not valid" },
    { "a wildcard", HEAD "  host: '*.local'\n", "5:9 GS0103 spec.host\n", "wildcard" },
    { "subsets a map", HEAD "  host: web\n  subsets: { v1: {} }\n", "6:12 GS0104 spec.subsets\n",
      "must be a list" },
    { "a subset without a name", HEAD "  host: web\n  subsets: [{ labels: { a: b } }]\n",
      "6:13 GS0105 spec.subsets[0].name\n", "a name is required" },
    { "a subset that is text", HEAD "  host: web\n  subsets: [v1]\n",
      "6:13 GS0104 spec.subsets[0]\n", "must be a map" },
    { "a name with a dot", HEAD "  host: web\n  subsets: [{ name: v1.0 }]\n",
      "6:21 GS0106 spec.subsets[0].name\n", "no name of a subset" },
    { "a name that is a number", HEAD "  host: web\n  subsets: [{ name: 1 }]\n",
      "6:21 GS0104 spec.subsets[0].name\n", "put it in quotes: \"1\"" },
    { "a name that is a boolean", HEAD "  host: web\n  subsets: [{ name: on }]\n",
      "6:21 GS0104 spec.subsets[0].name\n", "put it in quotes: \"on\"" },
    { "a name twice", HEAD "  host: web\n  subsets: [{ name: v1 }, { name: v1 }]\n",
      "6:35 GS0112 spec.subsets[1].name\n", "already" },
    { "a label that is a number",
      HEAD "  host: web\n  subsets: [{ name: v1, labels: { version: 1.0 } }]\n",
      "6:44 GS0104 spec.subsets[0].labels.version\n", "put it in quotes: \"1.0\"" },
    { "a label that is null", HEAD "  host: web\n  subsets: [{ name: v1, labels: { a: ~ } }]\n",
      "6:38 GS0104 spec.subsets[0].labels.a\n", "is null" },
    { "a label that is none", HEAD "  host: web\n  subsets: [{ name: v1, labels: { a: 'x y' } }]\n",
      "6:38 GS0106 spec.subsets[0].labels.a\n", "not valid" },
    { "labels a list", HEAD "  host: web\n  subsets: [{ name: v1, labels: [a] }]\n",
      "6:33 GS0104 spec.subsets[0].labels\n", "must be a map" },
    { "all that is not supported",
      HEAD "  host: web\n  exportTo: ['*']\n  workloadSelector: { matchLabels: { a: b } }\n"
           "  trafficPolicy:\n    loadBalancer: { simple: LEAST_REQUEST }\n"
           "  subsets:\n  - name: v1\n    trafficPolicy: { tls: { mode: DISABLE } }\n",
      "6:3 GS0103 spec.exportTo\n7:3 GS0103 spec.workloadSelector\n"
      "9:5 GS0103 spec.trafficPolicy.loadBalancer\n"
      "12:22 GS0103 spec.subsets[0].trafficPolicy.tls\n",
      "not supported in this version" },
    { "unknown below what is not supported",
      HEAD "  host: web\n  trafficPolicy:\n    loadBalancer: { simpel: RANDOM }\n",
      "7:5 GS0103 spec.trafficPolicy.loadBalancer\n"
      "7:21 GS0102 spec.trafficPolicy.loadBalancer.simpel\n",
      "did you mean \"simple\"?" },
    { "unknown", HEAD "  host: web\n  subset: []\n", "6:3 GS0102 spec.subset\n",
      "did you mean \"subsets\"?" },
};

static void
bad_ones_are_refused_with_their_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < GS_COUNT(bads); i++)
        assert_findings(bads[i].name, bads[i].text, bads[i].expected, bads[i].says);
}

/* ---- traffic policy ---- */

static void
traffic_policy_is_read(void **state)
{
    static const char text[] = HEAD "  host: web\n"
                                    "  trafficPolicy:\n"
                                    "    outlierDetection:\n"
                                    "      consecutive5xxErrors: 7\n"
                                    "      consecutiveGatewayErrors: 0\n"
                                    "      splitExternalLocalOriginErrors: true\n"
                                    "      consecutiveLocalOriginFailures: 3\n"
                                    "      interval: 1m30s\n"
                                    "      baseEjectionTime: 500ms\n"
                                    "      maxEjectionPercent: 50\n"
                                    "      minHealthPercent: 20\n"
                                    "    portLevelSettings:\n"
                                    "    - port: { number: 8080 }\n"
                                    "      outlierDetection: { consecutive5xxErrors: 1 }\n"
                                    "    - port: { number: 9090 }\n"
                                    "      outlierDetection: {}\n"
                                    "  subsets:\n"
                                    "  - name: v1\n"
                                    "    trafficPolicy: { outlierDetection: {} }\n";
    const struct destination_rule *dr;
    const struct dr_outliers *o;
    struct reading r;

    (void)state;
    reading_init(&r, text, strlen(text));
    assert_string_equal(gs_buf_cstr(&r.found), "");
    dr = &r.m.objects[0]->dr;
    o = dr->traffic->outliers;
    assert_true(o->errors_5xx.written && o->errors_gateway.written && o->errors_local.written);
    assert_int_equal(o->errors_5xx.n, 7);
    assert_int_equal(o->errors_gateway.n, 0);
    assert_int_equal(o->errors_local.n, 3);
    assert_true(o->split);
    assert_int_equal(o->interval_ms, 90000);
    assert_int_equal(o->base_ms, 500);
    assert_int_equal(o->max_percent, 50);
    assert_int_equal(o->min_health_percent, 20);
    assert_int_equal(dr->traffic->port_count, 2);
    assert_int_equal(dr->traffic->ports[0].port, 8080);
    assert_int_equal(dr->traffic->ports[0].outliers->errors_5xx.n, 1);
    assert_false(dr->traffic->ports[1].outliers->errors_5xx.written);
    assert_false(dr->subsets[0].traffic->outliers->errors_5xx.written);
    reading_fini(&r);
}

#define OUTLIERS "  host: web\n  trafficPolicy:\n    outlierDetection: "
#define PLACE " spec.trafficPolicy.outlierDetection."

static const struct bad bad_policies[] = {
    { "empty", HEAD "  host: web\n  trafficPolicy: {}\n", "6:18 GS0105 spec.trafficPolicy\n",
      "at least one field is required" },
    { "a field that is misspelt", HEAD OUTLIERS "{ consecutive5xxError: 5 }\n",
      "7:25 GS0102" PLACE "consecutive5xxError\n", "did you mean \"consecutive5xxErrors\"?" },
    { "a field of old", HEAD OUTLIERS "{ consecutiveErrors: 5 }\n",
      "7:25 GS0103" PLACE "consecutiveErrors\n",
      "write consecutive5xxErrors or consecutiveGatewayErrors" },
    { "codes of one's own", HEAD OUTLIERS "{ outlierDetectionHttpErrorCodes: [429] }\n",
      "7:25 GS0103" PLACE "outlierDetectionHttpErrorCodes\n", "not supported in this version" },
    { "below zero", HEAD OUTLIERS "{ consecutive5xxErrors: -1, consecutiveGatewayErrors: -2 }\n",
      "7:47 GS0106" PLACE "consecutive5xxErrors\n7:77 GS0106" PLACE "consecutiveGatewayErrors\n",
      "0 is off" },
    { "more than all", HEAD OUTLIERS "{ maxEjectionPercent: 101, minHealthPercent: -1 }\n",
      "7:45 GS0106" PLACE "maxEjectionPercent\n7:68 GS0106" PLACE "minHealthPercent\n",
      "from 0 to 100" },
    { "not split", HEAD OUTLIERS "{ consecutiveLocalOriginFailures: 5 }\n",
      "7:57 GS0106" PLACE "consecutiveLocalOriginFailures\n",
      "add splitExternalLocalOriginErrors: true" },
    { "all of them, which cannot be", HEAD OUTLIERS "{ maxEjectionPercent: 100 }\n",
      "w 7:45 GS0211" PLACE "maxEjectionPercent\n", "the last usable endpoint" },
    { "a duration without a unit", HEAD OUTLIERS "{ interval: 10 }\n",
      "7:35 GS0104" PLACE "interval\n", "add a unit: 10s" },
    { "a duration too fine", HEAD OUTLIERS "{ baseEjectionTime: 1us }\n",
      "7:43 GS0106" PLACE "baseEjectionTime\n", NULL },
    { "a number as text", HEAD OUTLIERS "{ consecutive5xxErrors: '5' }\n",
      "7:47 GS0104" PLACE "consecutive5xxErrors\n", "remove the quotes" },
    { "a list", HEAD OUTLIERS "[]\n", "7:23 GS0104 spec.trafficPolicy.outlierDetection\n",
      "must be a map" },
    { "ports",
      HEAD "  host: web\n  trafficPolicy:\n    portLevelSettings:\n"
           "    - outlierDetection: {}\n    - port: { number: 80 }\n      outlierDetection: {}\n"
           "    - port: { number: 80 }\n      outlierDetection: {}\n"
           "    - port: { number: 0 }\n      outlierDetection: {}\n    - 80\n"
           "    - port: { number: 81 }\n      connectionPool: {}\n    - port: { number: 82 }\n",
      "15:7 GS0104 spec.trafficPolicy.portLevelSettings[4]\n"
      "17:7 GS0103 spec.trafficPolicy.portLevelSettings[5].connectionPool\n"
      "8:7 GS0105 spec.trafficPolicy.portLevelSettings[0].port\n"
      "11:23 GS0112 spec.trafficPolicy.portLevelSettings[2].port\n"
      "13:23 GS0105 spec.trafficPolicy.portLevelSettings[3].port\n"
      "18:23 GS0105 spec.trafficPolicy.portLevelSettings[6]\n",
      "a port is required" },
    { "of a subset",
      HEAD "  host: web\n  subsets:\n  - name: v1\n    trafficPolicy:\n"
           "      outlierDetection: { maxEjectionPercent: 200 }\n",
      "9:47 GS0106 spec.subsets[0].trafficPolicy.outlierDetection.maxEjectionPercent\n",
      "from 0 to 100" },
};

static void
bad_policies_are_refused_with_their_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < GS_COUNT(bad_policies); i++)
        assert_findings(bad_policies[i].name, bad_policies[i].text, bad_policies[i].expected,
                        bad_policies[i].says);
}

/* ---- regular expressions ---- */

static bool
matches(const char *pattern, const char *value)
{
    regex_t re;
    struct gs_why why;
    bool yes;

    if (re2_compile(gs_slice_str(pattern), &re, &why) != GS_E_OK) {
        print_error("%s\n", why.text);
        fail();
    }
    yes = regexec(&re, value, 0, NULL, 0) == 0;
    regfree(&re);
    return yes;
}

static void
expressions_match_whole_values(void **state)
{
    (void)state;
    assert_true(matches(".*", ""));
    assert_int_equal(re2_compile(GS_SLICE_NONE, NULL, NULL), GS_E_OK);
    assert_true(matches("^a$", "a"));
    assert_false(matches("a", "xa"));
    assert_false(matches("a|b", "ax"));
    assert_true(matches("/v\\d+/\\w*?", "/v12/abc"));
    assert_true(matches("(?i)JASON.*", "jasonX"));
    assert_true(matches("(?:a|b)+c{2,3}", "abacc"));
    assert_true(matches("(?P<id>[0-9]+)", "42"));
    assert_true(matches("[^/]+", "a.b-c"));
    assert_false(matches("[^/]+", "a/b"));
    assert_true(matches("a{,3}", "a{,3}")); /* no count in RE2, so literal */
    assert_true(matches("a{b}", "a{b}"));
    assert_true(matches("[\\w.-]+@example\\.com", "j.d-e_f@example.com"));
    assert_true(matches("\\Qa.b*\\E", "a.b*"));
    assert_true(matches("[[:digit:]]+", "12"));
    assert_true(matches("[]a]+", "]a"));
    assert_true(matches("[a\\]^-]+", "]^-a"));
    assert_true(matches("\\x41\\x{42}", "AB"));
    assert_true(matches("(caf\xc3\xa9)?", "caf\xc3\xa9"));
    assert_true(matches("\xc3\xa9{2}", "\xc3\xa9\xc3\xa9"));
    assert_true(matches("(?i)[^a-c]+", "XYZ["));
    assert_false(matches("(?i)[^a-c]+", "xBz"));
    assert_true(matches("^(.*?;)?(user=jason)(;.*)?$", "a=b;user=jason;c=d"));
    assert_true(matches("(?i).*(bot|crawler).*", "GoogleBot/2.1"));
}

static void
other_expressions_are_refused_by_name(void **state)
{
    static const struct {
        const char *pattern;
        gs_err e;
        const char *says;
    } cases[] = {
        { "(?=a)", GS_E_INVALID, "look-ahead" },
        { "(?<!a)b", GS_E_INVALID, "look-behind" },
        { "*", GS_E_INVALID, "nothing stands before" },
        { "+a", GS_E_INVALID, "nothing stands before" },
        { "a|*", GS_E_INVALID, "nothing stands before" },
        { "a**", GS_E_INVALID, "repetition of a repetition" },
        { "a*+", GS_E_INVALID, "repetition of a repetition" },
        { "(a", GS_E_INVALID, "without its \")\"" },
        { "a)", GS_E_INVALID, "without its \"(\"" },
        { "[a", GS_E_INVALID, "without its \"]\"" },
        { "[]", GS_E_INVALID, "without its \"]\"" },
        { "[b-a]", GS_E_INVALID, "backwards" },
        { "[[:nope:]]", GS_E_INVALID, "no such class" },
        { "a{1001}", GS_E_INVALID, "above 1000" },
        { "a{3,2}", GS_E_INVALID, "backwards" },
        { "\\", GS_E_INVALID, "backslash at its end" },
        { "\\y", GS_E_INVALID, "no meaning" },
        { "(a)\\1", GS_E_INVALID, "no back-references" },
        { "\xff", GS_E_INVALID, "not UTF-8" },
        { "\\bword\\b", GS_E_UNSUPPORTED, "word boundaries" },
        { "\\pL+", GS_E_UNSUPPORTED, "Unicode classes" },
        { "a(?i)b", GS_E_UNSUPPORTED, "flags within" },
        { "(?i:a)b", GS_E_UNSUPPORTED, "flags within" },
        { "[\xc3\xa9]", GS_E_UNSUPPORTED, "only ASCII within brackets" },
        { "^*", GS_E_UNSUPPORTED, "repeated ^" },
        { "(a{30}){30}", GS_E_LIMIT, "unfold to something too large" },
        { "((((((((((a+)+)+)+)+)+)+)+)+)+)+", GS_E_LIMIT, "unfold" },
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(cases); i++) {
        struct gs_why why = { "" };
        gs_err e = re2_compile(gs_slice_str(cases[i].pattern), NULL, &why);

        if (e != cases[i].e || !strstr(why.text, cases[i].says))
            print_error("%s: %s, %s\n", cases[i].pattern, gs_err_name(e), why.text);
        assert_int_equal(e, cases[i].e);
        assert_non_null(strstr(why.text, cases[i].says));
    }
}

static void
long_expressions_are_refused(void **state)
{
    char pattern[POLICY_REGEX_MAX + 1];

    (void)state;
    memset(pattern, '(', sizeof(pattern));
    assert_int_equal(re2_compile(gs_slice(pattern, sizeof(pattern)), NULL, NULL), GS_E_LIMIT);
    assert_int_equal(re2_compile(gs_slice(pattern, sizeof(pattern) - 1), NULL, NULL), GS_E_LIMIT);
    memset(pattern, 'a', sizeof(pattern));
    assert_int_equal(re2_compile(gs_slice(pattern, 500), NULL, NULL), GS_E_OK);
}

/* ---- analysis of files ---- */

static void
assert_analysis(const char *text, const char *expected)
{
    struct gs_problems problems;
    struct reading r;
    struct gs_buf found;

    reading_init(&r, text, strlen(text));
    assert_int_equal(r.problems.errors, 0);
    gs_problems_init(&problems);
    gs_buf_init(&found, 1 << 20);
    model_analyze_files((const struct policy_object *const *)r.m.objects, r.m.count, &problems);
    for (size_t i = 0; i < problems.count; i++)
        (void)gs_buf_printf(&found, "%u:%u %s %s\n", problems.items[i].line,
                            problems.items[i].column, problems.items[i].code,
                            problems.items[i].field);
    if (strcmp(gs_buf_cstr(&found), expected) != 0)
        print_error("%s", text);
    assert_string_equal(gs_buf_cstr(&found), expected);
    gs_buf_fini(&found);
    gs_problems_fini(&problems);
    reading_fini(&r);
}

#define VS                                                                                         \
    "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: web }\nspec:\n"

static void
rules_that_nothing_reaches_are_found(void **state)
{
    (void)state;
    assert_analysis(VS "  hosts: [web]\n  http:\n"
                       "  - route: [{ destination: { host: a } }]\n"
                       "  - match: [{ uri: { exact: /b } }]\n"
                       "    route: [{ destination: { host: b } }]\n",
                    "8:5 GS0201 spec.http[1]\n");
    assert_analysis(VS "  hosts: [web]\n  http:\n"
                       "  - match: [{ uri: { prefix: / } }]\n"
                       "    route: [{ destination: { host: a } }]\n"
                       "  - route: [{ destination: { host: b } }]\n",
                    "9:5 GS0201 spec.http[1]\n");
    assert_analysis(VS "  hosts: [web]\n  http:\n"
                       "  - match: [{ uri: { prefix: /a } }]\n"
                       "    route: [{ destination: { host: a } }]\n"
                       "  - match: [{ uri: { exact: /ab } }, { uri: { exact: /c } }]\n"
                       "    route: [{ destination: { host: b } }]\n",
                    "9:13 GS0201 spec.http[1].match[0]\n");
    assert_analysis(VS "  hosts: [web]\n  http:\n"
                       "  - match: [{ headers: { X-A: {} } }]\n"
                       "    route: [{ destination: { host: a } }]\n"
                       "  - match: [{ headers: { x-a: { exact: b }, x-b: {} } }]\n"
                       "    route: [{ destination: { host: b } }]\n",
                    "9:5 GS0201 spec.http[1]\n");
    assert_analysis(VS "  hosts: [web]\n  http:\n"
                       "  - match: [{ headers: { x-a: { exact: b } } }]\n"
                       "    route: [{ destination: { host: a } }]\n"
                       "  - match: [{ headers: { x-a: {} } }]\n"
                       "    route: [{ destination: { host: b } }]\n"
                       "  - match: [{ uri: { regex: '/a.*' } }]\n"
                       "    route: [{ destination: { host: b } }]\n"
                       "  - match: [{ uri: { exact: /ab } }]\n"
                       "    route: [{ destination: { host: b } }]\n"
                       "  - route: [{ destination: { host: b } }]\n",
                    "");
}

static void
objects_are_compared_with_each_other(void **state)
{
    (void)state;
    assert_analysis(VS "  hosts: [web]\n  http:\n"
                       "  - route: [{ destination: { host: web, subset: v2 }, weight: 50 }]\n"
                       "---\n" HEAD
                       "  host: web.default\n  subsets: [{ name: v1 }, { name: v2x }]\n",
                    "7:49 GS0107 spec.http[0].route[0].destination.subset\n"
                    "7:63 GS0206 spec.http[0].route[0].weight\n");
    assert_analysis(VS "  hosts: [web]\n  http:\n"
                       "  - route: [{ destination: { host: web } }]\n"
                       "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"
                       "metadata: { name: web2 }\nspec:\n"
                       "  hosts: [b, web.default.svc.cluster.local]\n  http:\n"
                       "  - route: [{ destination: { host: web } }]\n",
                    "13:14 GS0202 spec.hosts[1]\n");
    assert_analysis(HEAD "  host: web\n  subsets: [{ name: v1 }]\n"
                         "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
                         "metadata: { name: web2 }\nspec:\n"
                         "  host: web\n  subsets: [{ name: v1 }, { name: v2 }]\n",
                    "13:13 GS0205 spec.subsets[0]\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_read),
        cmocka_unit_test(bad_ones_are_refused_with_their_place),
        cmocka_unit_test(traffic_policy_is_read),
        cmocka_unit_test(bad_policies_are_refused_with_their_place),
        cmocka_unit_test(expressions_match_whole_values),
        cmocka_unit_test(other_expressions_are_refused_by_name),
        cmocka_unit_test(long_expressions_are_refused),
        cmocka_unit_test(rules_that_nothing_reaches_are_found),
        cmocka_unit_test(objects_are_compared_with_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
