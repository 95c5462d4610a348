/* test_codec.c - objects as record values and back, and as manifests and back. */
#include "tests/unit/models.h"

#include "mesh/model/codec.h"
#include "mesh/model/endpoints.h"

static const char everything[] =
    "apiVersion: networking.istio.io/v1\n"
    "kind: VirtualService\n"
    "metadata:\n"
    "  name: tools\n"
    "  namespace: ai\n"
    "  labels: { b: '2', a: '1' }\n"
    "  annotations: { note: \"line\\nbreak \\u00e9\" }\n"
    "spec:\n"
    "  hosts: [tools, api.example.com]\n"
    "  gateways: [mesh]\n"
    "  http:\n"
    "  - name: canary\n"
    "    match:\n"
    "    - { name: m, uri: { prefix: /a }, headers: { x: { exact: '' }, y: {}, z: { regex: a.* } } "
    "}\n"
    "    - { uri: { regex: '/b.*' } }\n"
    "    - {}\n"
    "    route:\n"
    "    - { destination: { host: tools, subset: v2, port: { number: 80 } }, weight: 0 }\n"
    "    - { destination: { host: tools }, weight: 100 }\n"
    "    timeout: 90.5s\n"
    "  - route: [{ destination: { host: tools } }]\n"
    "---\n"
    "apiVersion: networking.istio.io/v1\n"
    "kind: DestinationRule\n"
    "metadata: { name: tools, namespace: ai }\n"
    "spec:\n"
    "  host: tools\n"
    "  subsets:\n"
    "  - { name: v2, labels: { version: v2, track: '' } }\n"
    "  - { name: all }\n"
    "---\n"
    "apiVersion: networking.istio.io/v1\n"
    "kind: DestinationRule\n"
    "metadata: { name: strict, namespace: ai }\n"
    "spec:\n"
    "  host: strict\n"
    "  trafficPolicy:\n"
    "    outlierDetection: { consecutive5xxErrors: 0, consecutiveGatewayErrors: 3,\n"
    "      splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2,\n"
    "      interval: 5s, baseEjectionTime: 1m30s, maxEjectionPercent: 50, minHealthPercent: 10 }\n"
    "    portLevelSettings:\n"
    "    - { port: { number: 8080 }, outlierDetection: { interval: 1ms } }\n"
    "    - { port: { number: 1 }, outlierDetection: {} }\n"
    "  subsets:\n"
    "  - { name: v1, trafficPolicy: { outlierDetection: {} } }\n"
    "  - name: v2\n"
    "    trafficPolicy: { portLevelSettings: [{ port: { number: 80 }, outlierDetection: {\n"
    "      consecutive5xxErrors: 2147483647 } }] }\n"
    "---\n"
    "apiVersion: gossamer.dev/v1\n"
    "kind: Note\n"
    "metadata: { name: hello, namespace: ai, labels: { a: b } }\n"
    "spec: { text: \"two\\nlines\" }\n"
    "---\n"
    "apiVersion: gossamer.dev/v1\n"
    "kind: Maintenance\n"
    "metadata: { name: m, namespace: ai }\n"
    "spec:\n"
    "  node: n1\n"
    "  service: { name: tools, namespace: default, port: 80 }\n"
    "  instance: '127.0.0.1:9001'\n"
    "  drain: true\n"
    "  weight: 0\n"
    "  reason: a new disk\n"
    "  by: ann@n1\n"
    "---\n"
    "apiVersion: gossamer.dev/v1\n"
    "kind: Maintenance\n"
    "metadata: { name: node.n1, namespace: ai }\n"
    "spec: { node: n1, drain: true }\n";

static void
encode(const struct policy_object *o, struct gs_buf *out)
{
    gs_buf_init(out, OBJECT_BYTES_MAX);
    assert_int_equal(policy_encode(o, out), GS_E_OK);
}

static struct policy_object *
decode(const struct policy_object *like, struct gs_slice value, struct gs_arena *arena)
{
    char key[POLICY_KEY_TEXT];
    struct policy_object *o;
    struct gs_why why;
    gs_err e = policy_decode(gs_slice_str(policy_key(like->kind, like->ns, like->name, key)), value,
                             arena, &o, &why);

    if (e != GS_E_OK)
        print_error("%s\n", why.text);
    assert_int_equal(e, GS_E_OK);
    return o;
}

static void
objects_survive_the_round_trip(void **state)
{
    struct reading r;

    (void)state;
    reading_init(&r, everything, strlen(everything));
    assert_string_equal(gs_buf_cstr(&r.found), "");
    assert_int_equal(r.m.count, 6);
    for (size_t i = 0; i < r.m.count; i++) {
        struct gs_arena arena;
        struct gs_buf first, second;
        struct policy_object *o;

        gs_arena_init(&arena, NULL, 0, 1024);
        encode(r.m.objects[i], &first);
        o = decode(r.m.objects[i], gs_buf_slice(&first), &arena);
        assert_true(gs_slice_eq(o->ns, r.m.objects[i]->ns));
        assert_true(gs_slice_eq(o->name, r.m.objects[i]->name));
        encode(o, &second);
        assert_int_equal(first.len, second.len);
        assert_memory_equal(first.ptr, second.ptr, first.len);
        gs_buf_fini(&first);
        gs_buf_fini(&second);
        gs_arena_fini(&arena);
    }
    reading_fini(&r);
}

/* `get -o json | apply -f -` must change nothing. */
static void
exported_manifests_are_read_back_as_the_same(void **state)
{
    struct gs_version version = { 3, UINT64_C(1732000000000) << 16, { { 0xab } } };
    struct reading r;

    (void)state;
    reading_init(&r, everything, strlen(everything));
    for (size_t i = 0; i < r.m.count; i++) {
        struct gs_buf text, before, after;
        struct json_out j;
        struct reading again;

        gs_buf_init(&text, 65536);
        json_init(&j, &text);
        policy_export(r.m.objects[i], &version, version.hlc, &j);
        assert_non_null(strstr(gs_buf_cstr(&text),
                               "\"resourceVersion\":\"3.0193433ea8000000.ab0000000000000000000000"
                               "00000000\""));
        assert_non_null(
            strstr(gs_buf_cstr(&text), "\"creationTimestamp\":\"2024-11-19T07:06:40Z\""));
        reading_init(&again, text.ptr, text.len);
        assert_string_equal(gs_buf_cstr(&again.found), "");
        assert_int_equal(again.m.count, 1);
        encode(r.m.objects[i], &before);
        encode(again.m.objects[0], &after);
        assert_int_equal(before.len, after.len);
        assert_memory_equal(before.ptr, after.ptr, before.len);
        gs_buf_fini(&text);
        gs_buf_fini(&before);
        gs_buf_fini(&after);
        reading_fini(&again);
    }
    reading_fini(&r);
}

static void
the_order_of_a_map_says_nothing(void **state)
{
    static const char other[] =
        DR_HEAD("a") "  host: a\n  subsets: [{ name: v, labels: { b: '2', "
                     "a: '1' } }]\n---\n" DR_HEAD(
                         "b") "  host: a\n  subsets: [{ labels: { a: '1', b: '2' }, "
                              "name: v }]\n";
    struct gs_buf a, b;
    struct reading r;

    (void)state;
    reading_init(&r, other, strlen(other));
    assert_int_equal(r.m.count, 2);
    encode(r.m.objects[0], &a);
    encode(r.m.objects[1], &b);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.ptr, b.ptr, a.len);
    gs_buf_fini(&a);
    gs_buf_fini(&b);
    reading_fini(&r);
}

static void
assert_hex(struct gs_slice bytes, const char *expected)
{
    struct gs_buf hex;

    gs_buf_init(&hex, 65536);
    for (size_t i = 0; i < bytes.len; i++)
        (void)gs_buf_printf(&hex, "%02x", (unsigned char)bytes.ptr[i]);
    assert_string_equal(gs_buf_cstr(&hex), expected);
    gs_buf_fini(&hex);
}

/* The bytes of format 1. They must never change: other nodes hash and compare them. */
static void
golden_values(void **state)
{
    struct gs_buf value;
    struct reading r;

    (void)state;
    reading_init(&r, everything, strlen(everything));
    encode(r.m.objects[0], &value);
    assert_hex(gs_buf_slice(&value),
               "850194a161a131a162a1320292a46e6f7465ad6c696e650a627265616b20c3a91092a574"
               "6f6f6c73af6170692e6578616d706c652e636f6d1191a46d65736812928401a663616e61"
               "727902938301a16d0282010202a22f61039382010103a17882010403a17983010302a361"
               "2e2a03a17a810282010302a42f622e2a8003928401a5746f6f6c7302a276320350040082"
               "01a5746f6f6c73046404ce000161848103918101a5746f6f6c73");
    gs_buf_fini(&value);
    encode(r.m.objects[1], &value);
    assert_hex(gs_buf_slice(&value),
               "8210a5746f6f6c7311928201a276320294a5747261636ba0a776657273696f6ea2763281"
               "01a3616c6c");
    gs_buf_fini(&value);
    encode(r.m.objects[2], &value);
    assert_hex(
        gs_buf_slice(&value),
        "8310a673747269637411928201a27631038101808201a2763203810291820150028101ce7fffffff"
        "12820188010002030302040105cd138806ce00015f900732080a02928201cd1f90028105018201010280");
    gs_buf_fini(&value);
    encode(r.m.objects[3], &value);
    assert_hex(gs_buf_slice(&value), "820192a161a16210a974776f0a6c696e6573");
    gs_buf_fini(&value);
    encode(r.m.objects[4], &value);
    assert_hex(gs_buf_slice(&value),
               "8910a26e3111a5746f6f6c7312a764656661756c74135014ae3132372e302e302e313a39"
               "30303115011600"
               "17aa61206e6577206469736b18a6616e6e406e31");
    gs_buf_fini(&value);
    encode(r.m.objects[5], &value);
    assert_hex(gs_buf_slice(&value), "8210a26e311501");
    gs_buf_fini(&value);
    reading_fini(&r);
}

static gs_err
decode_bytes(const char *key, const void *bytes, size_t len)
{
    struct gs_arena arena;
    struct policy_object *o;
    char *copy = malloc(len > 0 ? len : 1);
    gs_err e;

    memcpy(copy, bytes, len);
    gs_arena_init(&arena, NULL, 0, 1024);
    e = policy_decode(gs_slice_str(key), gs_slice(copy, len), &arena, &o, NULL);
    gs_arena_fini(&arena);
    free(copy);
    return e;
}

static void
unknown_fields_are_skipped_bad_ones_are_not(void **state)
{
    static const char *const key = "DestinationRule/ai/tools";

    (void)state;
    assert_int_equal(decode_bytes(key, "\x82\x10\xa1x\x40\x93\x01\x80\xa1y", 10), GS_E_OK);
    assert_int_equal(decode_bytes(key, "\x80", 1), GS_E_OK); /* well formed; not valid */
    assert_int_equal(decode_bytes(key, "\x90", 1), GS_E_MALFORMED);
    assert_int_equal(decode_bytes(key, "\x81\x10\x05", 3), GS_E_MALFORMED);      /* host a number */
    assert_int_equal(decode_bytes(key, "\x81\x11\xa1x", 4), GS_E_MALFORMED);     /* no list */
    assert_int_equal(decode_bytes(key, "\x81\x11\x91\x05", 4), GS_E_MALFORMED);  /* no map in it */
    assert_int_equal(decode_bytes(key, "\x81\x10\xa2x\0", 5), GS_E_MALFORMED);   /* a zero byte */
    assert_int_equal(decode_bytes(key, "\x81\x01\x91\xa1x", 5), GS_E_MALFORMED); /* half a pair */
    assert_int_equal(decode_bytes(key, "\xdd\x04\x00\x00\x00\x00", 6), GS_E_MALFORMED);
    assert_int_equal(decode_bytes("Nonsense/ai/tools", "\x80", 1), GS_E_UNSUPPORTED);
    assert_int_equal(decode_bytes("DestinationRule/ai", "\x80", 1), GS_E_MALFORMED);
    assert_int_equal(decode_bytes("DestinationRule/AI/tools", "\x80", 1), GS_E_MALFORMED);
}

/* Cut anywhere or with any bit flipped: an error or another object, never a crash. */
static void
damaged_values_do_no_harm(void **state)
{
    struct gs_buf value;
    struct reading r;
    char key[POLICY_KEY_TEXT];

    (void)state;
    reading_init(&r, everything, strlen(everything));
    for (size_t k = 0; k < r.m.count; k++) {
        const struct policy_object *o = r.m.objects[k];

        (void)policy_key(o->kind, o->ns, o->name, key);
        encode(o, &value);
        for (size_t len = 0; len < value.len; len++)
            assert_int_not_equal(decode_bytes(key, value.ptr, len), GS_E_OK);
        for (size_t i = 0; i < value.len * 8; i++) {
            value.ptr[i / 8] = (char)(value.ptr[i / 8] ^ (1 << i % 8));
            (void)decode_bytes(key, value.ptr, value.len);
            value.ptr[i / 8] = (char)(value.ptr[i / 8] ^ (1 << i % 8));
        }
        gs_buf_fini(&value);
    }
    reading_fini(&r);
}

static void
durations_are_written_as_go_does(void **state)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } cases[] = { { 1, "1ms" },           { 999, "999ms" },  { 1000, "1s" },
                  { 1500, "1.5s" },       { 60000, "1m" },   { 90000, "1m30s" },
                  { 90500, "1m30.5s" },   { 3600000, "1h" }, { 5400000, "1h30m" },
                  { 3600001, "1h0.001s" } };
    char text[32];

    (void)state;
    for (size_t i = 0; i < GS_COUNT(cases); i++)
        assert_string_equal(policy_duration_text(cases[i].ms, text), cases[i].text);
}

static void
kinds_have_short_names(void **state)
{
    (void)state;
    assert_int_equal(policy_kind_find(GS_SLICE("vs")), POLICY_VIRTUAL_SERVICE);
    assert_int_equal(policy_kind_find(GS_SLICE("VirtualService")), POLICY_VIRTUAL_SERVICE);
    assert_int_equal(policy_kind_find(GS_SLICE("destinationrules")), POLICY_DESTINATION_RULE);
    assert_int_equal(policy_kind_find(GS_SLICE("notes")), POLICY_NOTE);
    assert_int_equal(policy_kind_find(GS_SLICE("mt")), POLICY_MAINTENANCE);
    assert_int_equal(policy_kind_find(GS_SLICE("pod")), POLICY_NONE);
}

static void
what_is_active_is_kept(void **state)
{
    struct codec_active a = { .key = GS_SLICE("DestinationRule/ai/tools"),
                              .value = GS_SLICE("\x81\x10\xa1x"),
                              .version = { 3, 77, { { 9 } } },
                              .born_hlc = 5,
                              .hash = { { 1, 2 } } };
    struct codec_active read;
    struct gs_buf out;

    (void)state;
    gs_buf_init(&out, 1024);
    assert_int_equal(codec_put_active(&a, &out), GS_E_OK);
    assert_int_equal(codec_read_active(gs_buf_slice(&out), &read), GS_E_OK);
    assert_true(gs_slice_eq(read.key, a.key));
    assert_true(gs_slice_eq(read.value, a.value));
    assert_int_equal(gs_version_cmp(&read.version, &a.version), 0);
    assert_int_equal(read.born_hlc, 5);
    assert_true(gs_digest_eq(&read.hash, &a.hash));
    for (size_t len = 0; len < out.len; len++)
        assert_int_equal(codec_read_active(gs_slice(out.ptr, len), &read), GS_E_MALFORMED);
    gs_buf_fini(&out);
}

/* The bytes of format 1, and what a peer may do to them. */
static void
what_a_node_says_of_itself(void **state)
{
    const struct codec_about all = { .version = GS_SLICE("0.2.0"),
                                     .zone = GS_SLICE("eu-1a"),
                                     .inbound = GS_SLICE("10.0.0.1:4143"),
                                     .services = 3 };
    const struct codec_about nothing = { .services = 0 };
    struct codec_about read;
    struct gs_arena arena;
    struct gs_buf out;

    (void)state;
    gs_arena_init(&arena, NULL, 0, 512);
    gs_buf_init(&out, GOSSIP_ABOUT_MAX);
    assert_int_equal(codec_put_about(&all, &out), GS_E_OK);
    assert_hex(gs_buf_slice(&out),
               "8401a5302e322e3002a565752d316103ad31302e302e302e313a343134330403");
    assert_int_equal(codec_read_about(gs_buf_slice(&out), &arena, &read), GS_E_OK);
    assert_true(gs_slice_eq(read.version, all.version));
    assert_true(gs_slice_eq(read.zone, all.zone));
    assert_true(gs_slice_eq(read.inbound, all.inbound));
    assert_int_equal(read.services, 3);
    for (size_t len = 0; len < out.len; len++)
        assert_int_equal(codec_read_about(gs_slice(out.ptr, len), &arena, &read), GS_E_MALFORMED);
    gs_buf_clear(&out);
    assert_int_equal(codec_put_about(&nothing, &out), GS_E_OK);
    assert_hex(gs_buf_slice(&out), "80");
    assert_int_equal(codec_read_about(gs_buf_slice(&out), &arena, &read), GS_E_OK);
    assert_int_equal(read.zone.len, 0);
    assert_int_equal(
        codec_read_about(GS_SLICE("\x82\x03\xa1x\x40\x93\x01\x80\xa1y"), &arena, &read),
        GS_E_OK); /* a field of a newer version is skipped */
    assert_int_equal(codec_read_about(GS_SLICE("\x81\x04\xa1x"), &arena, &read), GS_E_MALFORMED);
    assert_int_equal(codec_read_about(GS_SLICE("\x81\x02\xa1\x1b"), &arena, &read),
                     GS_E_MALFORMED); /* for a terminal */
    assert_int_equal(codec_read_about(GS_SLICE("\x81\x01\xa3"
                                               "0 1"),
                                      &arena, &read),
                     GS_E_MALFORMED);
    assert_int_equal(codec_read_about(GS_SLICE("\x81\x03\xa2\xc2\x9b"), &arena, &read),
                     GS_E_MALFORMED);
    gs_buf_fini(&out);
    gs_arena_fini(&arena);
}

/* ---- what a node has of a service ---- */

static struct endpoints_instance
instance(const char *address, enum endpoint_tier tier, struct policy_pair *labels, size_t count)
{
    struct endpoints_instance i = { .tier = tier, .labels = labels, .label_count = count };

    assert_int_equal(gs_addr_parse(&i.addr, gs_slice_str(address), NULL), GS_E_OK);
    return i;
}

static void
put_endpoints(const struct endpoints *e, struct gs_buf *out)
{
    gs_buf_init(out, OBJECT_BYTES_MAX);
    assert_int_equal(endpoints_check(e, NULL), GS_E_OK);
    assert_int_equal(codec_put_endpoints(e, out), GS_E_OK);
}

/* The bytes of format 1, for good: other nodes read and hash them. */
static void
golden_endpoints(void **state)
{
    struct policy_pair labels[] = { { .name = GS_SLICE("version"), .value = GS_SLICE("v2") },
                                    { .name = GS_SLICE("track"), .value = GS_SLICE("") } };
    struct endpoints_instance instances[] = {
        instance("[2001:db8::1]:443", TIER_DRAINING, NULL, 0),
        instance("127.0.0.1:9001", TIER_HEALTHY, NULL, 0),
        instance("10.0.0.7:80", TIER_UNHEALTHY, labels, 2),
    };
    struct endpoints e = { GS_SLICE("tcp"), instances, 3 };
    struct endpoints none = { GS_SLICE("http"), NULL, 0 };
    struct gs_buf value;

    (void)state;
    endpoints_sort(&e);
    put_endpoints(&e, &value);
    assert_hex(gs_buf_slice(&value),
               "8201a37463700293"
               "8301c4060a000007005002010394a5747261636ba0a776657273696f6ea27632"
               "8101c4067f0000012329"
               "8201c41220010db800000000000000000000000101bb0202");
    gs_buf_fini(&value);
    put_endpoints(&none, &value);
    assert_hex(gs_buf_slice(&value), "80");
    gs_buf_fini(&value);
}

static gs_err
read_endpoints(const void *bytes, size_t len, struct gs_buf *again)
{
    struct gs_arena arena;
    struct endpoints e;
    char *copy = malloc(len > 0 ? len : 1);
    gs_err failed;

    memcpy(copy, bytes, len);
    gs_arena_init(&arena, NULL, 0, 1024);
    failed = codec_read_endpoints(gs_slice(copy, len), &arena, &e);
    if (failed == GS_E_OK && endpoints_check(&e, NULL) == GS_E_OK && again)
        assert_int_equal(codec_put_endpoints(&e, again), GS_E_OK);
    gs_arena_fini(&arena);
    free(copy);
    return failed;
}

static void
endpoints_survive_the_round_trip_and_damage(void **state)
{
    struct policy_pair labels[] = { { .name = GS_SLICE("a"), .value = GS_SLICE("1") } };
    struct endpoints_instance instances[] = {
        instance("10.0.0.7:80", TIER_UNHEALTHY, labels, 1),
        instance("[::1]:443", TIER_HEALTHY, NULL, 0),
    };
    struct endpoints e = { GS_SLICE("grpc"), instances, 2 };
    struct gs_buf value, again;

    (void)state;
    put_endpoints(&e, &value);
    gs_buf_init(&again, OBJECT_BYTES_MAX);
    assert_int_equal(read_endpoints(value.ptr, value.len, &again), GS_E_OK);
    assert_int_equal(again.len, value.len);
    assert_memory_equal(again.ptr, value.ptr, value.len);
    for (size_t len = 0; len < value.len; len++)
        assert_int_not_equal(read_endpoints(value.ptr, len, NULL), GS_E_OK);
    for (size_t i = 0; i < value.len * 8; i++) {
        value.ptr[i / 8] = (char)(value.ptr[i / 8] ^ (1 << i % 8));
        gs_buf_clear(&again);
        (void)read_endpoints(value.ptr, value.len, &again);
        value.ptr[i / 8] = (char)(value.ptr[i / 8] ^ (1 << i % 8));
    }
    gs_buf_fini(&value);
    gs_buf_fini(&again);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_survive_the_round_trip),
        cmocka_unit_test(exported_manifests_are_read_back_as_the_same),
        cmocka_unit_test(the_order_of_a_map_says_nothing),
        cmocka_unit_test(golden_values),
        cmocka_unit_test(unknown_fields_are_skipped_bad_ones_are_not),
        cmocka_unit_test(damaged_values_do_no_harm),
        cmocka_unit_test(durations_are_written_as_go_does),
        cmocka_unit_test(kinds_have_short_names),
        cmocka_unit_test(what_is_active_is_kept),
        cmocka_unit_test(what_a_node_says_of_itself),
        cmocka_unit_test(golden_endpoints),
        cmocka_unit_test(endpoints_survive_the_round_trip_and_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
