/* test_config.c - the keys of the node configuration: what each refuses, with its place, and what
 * it means. The first test keeps the rest honest: a row of the schema without a value that it
 * refuses fails it. */
#include "config_case.h"

/* ---- every row refuses something ---- */

struct refusal {
    const char *path; /* row of the schema */
    const char *text;
    unsigned line, column;
    const char *field;
    const char *code;
};

/* A row a line. */
/* clang-format off */
static const struct refusal refusals[] = {
    { "node", "node: A1\n", 1, 7, "node", "GS0013" },
    { "node", "node:\n", 1, 6, "node", "GS0012" },
    { "node", "zone: a\nnode: {}\n", 2, 7, "node", "GS0012" },
    { "node", "node: -a\n", 1, 7, "node", "GS0013" },
    { "node", "node: \"\"\n", 1, 7, "node", "GS0014" },
    { "node", "node: a..b\n", 1, 7, "node", "GS0013" },
    { "zone", "zone: eu west\n", 1, 7, "zone", "GS0013" },
    { "zone", "zone: [a]\n", 1, 7, "zone", "GS0012" },
    { "namespace", "namespace: a.b\n", 1, 12, "namespace", "GS0013" },
    { "root_namespace", "root_namespace: _\n", 1, 17, "root_namespace", "GS0013" },
    { "state_dir", "state_dir: var/lib\n", 1, 12, "state_dir", "GS0013" },
    { "gossip.bind", "gossip: { bind: 0.0.0.0 }\n", 1, 17, "gossip.bind", "GS0013" },
    { "gossip.bind", "gossip:\n  bind: 0.0.0.0:70000\n", 2, 9, "gossip.bind", "GS0013" },
    { "gossip.advertise", "gossip: { advertise: host:1 }\n", 1, 22, "gossip.advertise", "GS0013" },
    { "gossip.advertise", "gossip: { advertise: 0.0.0.0:1 }\n", 1, 22, "gossip.advertise",
      "GS0013" },
    { "gossip.join", "gossip: { join: [10.0.0.1:1, 10.0.0.2] }\n", 1, 30, "gossip.join", "GS0013" },
    { "gossip.join", "gossip: { join: 10.0.0.1:1 }\n", 1, 17, "gossip.join", "GS0012" },
    { "gossip.join", "gossip: { join: [10.0.0.1:1, [x]] }\n", 1, 30, "gossip.join", "GS0012" },
    { "gossip.join", "gossip: { join: [10.0.0.1:1, 10.0.0.1:1] }\n", 1, 30, "gossip.join",
      "GS0016" },
    { "gossip.join", "gossip: { join: [0.0.0.0:4190] }\n", 1, 17, "gossip.join", "GS0013" },
    { "gossip.join", "gossip: { join: [10.0.0.1:0] }\n", 1, 17, "gossip.join", "GS0014" },
    { "gossip.bind", "gossip: { bind: 0.0.0.0:0, join: [10.0.0.1:4190] }\n", 1, 17, "gossip.bind",
      "GS0013" },
    { "gossip.bind", "gossip: { bind: 127.0.0.1:1, join: [10.0.0.1:4190] }\n", 1, 17,
      "gossip.bind", "GS0013" },
    { "gossip.advertise", "gossip: { advertise: \"[::1]:1\", join: [10.0.0.1:4190] }\n", 1, 22,
      "gossip.advertise", "GS0013" },
    { "gossip.key_file", "gossip: { key_file: key }\n", 1, 21, "gossip.key_file", "GS0013" },
    { "proxy.mode", "proxy: { mode: none }\n", 1, 16, "proxy.mode", "GS0013" },
    { "proxy.outbound", "proxy: { outbound: 4140 }\n", 1, 20, "proxy.outbound", "GS0013" },
    { "proxy.inbound", "proxy: { inbound: 127.0.0.1:4140 }\n", 1, 19, "proxy.inbound", "GS0017" },
    { "proxy.inbound", "proxy: { inbound: 127.0.0.1:70000 }\n", 1, 19, "proxy.inbound", "GS0013" },
    { "proxy.workers", "proxy: { workers: 0 }\n", 1, 19, "proxy.workers", "GS0014" },
    { "proxy.workers", "proxy: { workers: 65 }\n", 1, 19, "proxy.workers", "GS0014" },
    { "proxy.workers", "proxy: { workers: many }\n", 1, 19, "proxy.workers", "GS0013" },
    { "proxy.workers", "proxy: { workers: 010 }\n", 1, 19, "proxy.workers", "GS0013" },
    { "admin.listen", "admin: { listen: \"[::1\" }\n", 1, 18, "admin.listen", "GS0013" },
    { "admin.listen", "proxy: { outbound: 0.0.0.0:4191 }\n", 1, 20, "proxy.outbound", "GS0017" },
    { "admin.socket", "admin: { socket: admin.sock }\n", 1, 18, "admin.socket", "GS0013" },
    { "admin.socket",
      "admin:\n  socket: /123456789/123456789/123456789/123456789/123456789/123456789/123456789"
      "/123456789/123456789/123456789/12345678\n",
      2, 11, "admin.socket", "GS0014" },
    { "log.level", "log: { level: loud }\n", 1, 15, "log.level", "GS0013" },
    { "log.format", "log: { format: xml }\n", 1, 16, "log.format", "GS0013" },
    { "timeouts.connect", "timeouts: { connect: 1 }\n", 1, 22, "timeouts.connect", "GS0013" },
    { "timeouts.connect", "timeouts: { connect: 11m }\n", 1, 22, "timeouts.connect", "GS0014" },
    { "timeouts.head", "timeouts: { head: 1d }\n", 1, 19, "timeouts.head", "GS0013" },
    { "timeouts.body_idle", "timeouts: { body_idle: 5 s }\n", 1, 24, "timeouts.body_idle",
      "GS0013" },
    { "timeouts.response", "timeouts: { response: -1s }\n", 1, 23, "timeouts.response", "GS0013" },
    { "timeouts.response", "timeouts: { response: 0.5ms }\n", 1, 23, "timeouts.response",
      "GS0013" },
    { "timeouts.idle", "timeouts: { idle: \"\" }\n", 1, 19, "timeouts.idle", "GS0013" },
    { "timeouts.drain", "timeouts: { drain: 25h }\n", 1, 20, "timeouts.drain", "GS0014" },
    { "identity.mode", "identity: { mode: mesh }\n", 1, 19, "identity.mode", "GS0018" },
    { "identity.mode", "identity: { mode: offf }\n", 1, 19, "identity.mode", "GS0013" },
    { "identity.trust_domain", "identity: { trust_domain: \"a/b\" }\n", 1, 27,
      "identity.trust_domain", "GS0013" },
    { "names.listen", "names: { listen: 127.0.0.1:53 }\n", 1, 18, "names.listen", "GS0018" },
    { "names.listen", "names: { listen: 53 }\n", 1, 18, "names.listen", "GS0013" },
    { "names.range", "names: { range: 127.66.0.0/30 }\n", 1, 17, "names.range", "GS0014" },
    { "names.range", "names: { range: 127.66.1.0/16 }\n", 1, 17, "names.range", "GS0013" },
    { "names.range", "names: { range: 127.66.0.0 }\n", 1, 17, "names.range", "GS0013" },
    { "capture.mode", "capture: { mode: nft }\n", 1, 18, "capture.mode", "GS0018" },
    { "services", "services: { a: {} }\n", 1, 11, "services", "GS0012" },
    { "services", "proxy: { mode: off }\nservices: [{ name: a }]\n", 2, 11, "services", "GS0020" },
    { "services", "services: [a]\n", 1, 12, "services[0]", "GS0012" },
    { "services[].name", "services:\n- port: 80\n", 2, 3, "services[0]", "GS0015" },
    { "services[].name", "services:\n- name: a_b\n", 2, 9, "services[0].name", "GS0013" },
    { "services[].name", "services:\n- name: a\n- name: a\n  port: 80\n", 3, 9, "services[1]",
      "GS0016" },
    { "services[].namespace", SERVICE "  namespace: a.b\n", 3, 14, "services[0].namespace",
      "GS0013" },
    { "services[].port", SERVICE "  port: 0\n", 3, 9, "services[0].port", "GS0014" },
    { "services[].port", SERVICE "  port: http\n", 3, 9, "services[0].port", "GS0013" },
    { "services[].protocol", SERVICE "  protocol: grpc\n", 3, 13, "services[0].protocol",
      "GS0018" },
    { "services[].protocol", SERVICE "  protocol: HTTP\n", 3, 13, "services[0].protocol",
      "GS0013" },
    { "services[].outbound", SERVICE "  outbound: 127.0.0.1\n", 3, 13, "services[0].outbound",
      "GS0013" },
    { "services[].outbound", SERVICE "  outbound: 127.0.0.1:4140\n", 3, 13, "services[0].outbound",
      "GS0017" },
    { "services[].identity.uid", SERVICE "  identity: { uid: 1000 }\n", 3, 20,
      "services[0].identity.uid", "GS0018" },
    { "services[].identity.uid", SERVICE "  identity: { uid: root }\n", 3, 20,
      "services[0].identity.uid", "GS0013" },
    { "services[].instances", SERVICE "  instances: 127.0.0.1:9001\n", 3, 14,
      "services[0].instances", "GS0012" },
    { "services[].instances[].address", SERVICE "  instances: [{}]\n", 3, 15,
      "services[0].instances[0]", "GS0015" },
    { "services[].instances[].address", SERVICE "  instances: [{ address: 127.0.0.1 }]\n", 3, 26,
      "services[0].instances[0].address", "GS0013" },
    { "services[].instances[].address", SERVICE "  instances: [{ address: 0.0.0.0:80 }]\n", 3, 26,
      "services[0].instances[0].address", "GS0013" },
    { "services[].instances[].address", SERVICE "  instances: [{ address: 127.0.0.1:4143 }]\n", 3,
      26, "services[0].instances[0].address", "GS0017" },
    { "services[].instances[].address", INSTANCE "  - address: 127.0.0.1:9001\n", 5, 14,
      "services[0].instances[1].address", "GS0016" },
    { "services[].instances[].labels", INSTANCE "    labels: { version: 1.0 }\n", 5, 24,
      "services[0].instances[0].labels.version", "GS0013" },
    { "services[].instances[].labels", INSTANCE "    labels: { a b: x }\n", 5, 20,
      "services[0].instances[0].labels.a b", "GS0013" },
    { "services[].instances[].labels", INSTANCE "    labels: [a]\n", 5, 13,
      "services[0].instances[0].labels", "GS0012" },
    { "services[].instances[].health.http", INSTANCE "    health: { http: healthz }\n", 5, 21,
      "services[0].instances[0].health.http", "GS0013" },
    { "services[].instances[].health.tcp", INSTANCE "    health: { tcp: yes }\n", 5, 20,
      "services[0].instances[0].health.tcp", "GS0013" },
    { "services[].instances[].health.tcp", INSTANCE "    health: { tcp: false }\n", 5, 20,
      "services[0].instances[0].health.tcp", "GS0013" },
    { "services[].instances[].health.tcp", INSTANCE "    health: { http: /, tcp: true }\n", 5, 29,
      "services[0].instances[0].health.tcp", "GS0020" },
    { "services[].instances[].health.interval", INSTANCE "    health: { interval: 0 }\n", 5, 25,
      "services[0].instances[0].health.interval", "GS0014" },
    { "services[].instances[].health.timeout", INSTANCE "    health: { timeout: 1us }\n", 5, 24,
      "services[0].instances[0].health.timeout", "GS0013" },
    { "services[].instances[].health.rise", INSTANCE "    health: { rise: 0 }\n", 5, 21,
      "services[0].instances[0].health.rise", "GS0014" },
    { "services[].instances[].health.fall", INSTANCE "    health: { fall: 1.5 }\n", 5, 21,
      "services[0].instances[0].health.fall", "GS0013" },
    { "external", EXTERNAL, 2, 1, "external", "GS0018" },
    { "external", "external: a\n", 1, 11, "external", "GS0012" },
};
/* clang-format on */

/* These rows stand below a list that is not in this version: any document with them has one more
 * finding, that of the list. */
/* A row a line. */
/* clang-format off */
static const struct refusal external_refusals[] = {
    { "external[].name", "external:\n- targets: [http://b]\n", 2, 3, "external[0]", "GS0015" },
    { "external[].namespace", EXTERNAL "  namespace: A\n", 4, 14, "external[0].namespace",
      "GS0013" },
    { "external[].port", EXTERNAL "  port: 65536\n", 4, 9, "external[0].port", "GS0014" },
    { "external[].protocol", EXTERNAL "  protocol: tcp\n", 4, 13, "external[0].protocol",
      "GS0018" },
    { "external[].targets", "external:\n- name: a\n  targets: [b, http://b]\n", 3, 13,
      "external[0].targets", "GS0013" },
    { "external[].targets", "external:\n- name: a\n  targets: [http://b, http://b/x]\n", 3, 23,
      "external[0].targets", "GS0013" },
    { "external[].targets", "external:\n- name: a\n  targets: []\n", 3, 12, "external[0].targets",
      "GS0014" },
    { "external[].ca_file", EXTERNAL "  ca_file: ca.pem\n", 4, 12, "external[0].ca_file",
      "GS0013" },
    { "external[].preserve_host", EXTERNAL "  preserve_host: 1\n", 4, 18,
      "external[0].preserve_host", "GS0013" },
};
/* clang-format on */

static void
assert_found(const struct gs_problem *p, const struct refusal *r)
{
    if (strcmp(p->code, r->code) != 0 || p->line != r->line || p->column != r->column ||
        strcmp(p->field, r->field) != 0) {
        show_problems();
        fail_msg("%s, due: %u:%u %s %s", r->text, r->line, r->column, r->code, r->field);
    }
    assert_string_equal(p->file, file);
    assert_true(strlen(p->message) > 0);
}

static void
test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < GS_COUNT(refusals); i++) {
        if (load(refusals[i].text) != GS_E_INVALID)
            fail_msg("taken: %s", refusals[i].text);
        assert_null(config);
        assert_found(only_error(), &refusals[i]);
    }
    for (size_t i = 0; i < GS_COUNT(external_refusals); i++) {
        const struct refusal *r = &external_refusals[i];
        const struct gs_problem *p = NULL;

        assert_int_equal(load(r->text), GS_E_INVALID);
        assert_int_equal(problems.errors, 2);
        for (size_t k = 0; k < problems.count; k++) {
            if (strcmp(problems.items[k].field, r->field) == 0)
                p = &problems.items[k];
        }
        assert_non_null(p);
        assert_found(p, r);
    }
}

static bool
has_refusal(const char *path)
{
    for (size_t i = 0; i < GS_COUNT(refusals); i++) {
        if (strcmp(refusals[i].path, path) == 0)
            return true;
    }
    for (size_t i = 0; i < GS_COUNT(external_refusals); i++) {
        if (strcmp(external_refusals[i].path, path) == 0)
            return true;
    }
    return false;
}

/* "services[3].labels.x" is about the row "services[].labels" or one above or below it. */
static bool
about(const char *field, const char *path)
{
    while (*field && *path) {
        if (*field == '[') {
            field += strcspn(field, "]");
            path += strcspn(path, "]");
            continue;
        }
        if (*field++ != *path++)
            return false;
    }
    return true;
}

static void
test_every_row_refuses_something(void **state)
{
    (void)state;
    for (size_t i = 0; i < schema_count; i++) {
        if (!has_refusal(schema_rows[i].path))
            fail_msg("no case refuses a value of %s", schema_rows[i].path);
    }
    for (size_t i = 0; i < GS_COUNT(refusals); i++) {
        assert_non_null(schema_find(refusals[i].path));
        if (strcmp(refusals[i].path, "admin.listen") != 0) /* its clash is told at the other */
            assert_true(about(refusals[i].field, refusals[i].path));
    }
}

static void
test_rows_are_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < schema_count; i++) {
        const struct schema_row *row = &schema_rows[i];
        char one[SCHEMA_PATH_MAX + 16], other[SCHEMA_PATH_MAX + 16];

        assert_true(strlen(row->help) > 10);
        assert_ptr_equal(schema_find(row->path), row);
        assert_true(row->value.min <= row->value.max);
        assert_false(schema_is_section(row->path));
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(row->path, schema_rows[k].path);
            if (!schema_in_list(row) && !schema_in_list(&schema_rows[k]))
                assert_string_not_equal(schema_env_name(row, one),
                                        schema_env_name(&schema_rows[k], other));
        }
    }
}

/* ---- what is taken ---- */

static void
test_defaults(void **state)
{
    char text[GS_ADDR_TEXT];

    (void)state;
    assert_loads("");
    assert_true(strlen(config->node) > 0);
    assert_null(config->zone);
    assert_string_equal(config->ns, "default");
    assert_string_equal(config->root_namespace, "istio-system");
    assert_string_equal(config->state_dir, "/var/lib/gossamer");
    assert_string_equal(gs_addr_text(&config->gossip.bind, text), "0.0.0.0:4190");
    assert_int_equal(config->gossip.advertise.family, 0);
    assert_int_equal(config->gossip.join.count, 0);
    assert_null(config->gossip.key_file);
    assert_string_equal(gs_addr_text(&config->proxy.outbound, text), "127.0.0.1:4140");
    assert_string_equal(gs_addr_text(&config->proxy.inbound, text), "0.0.0.0:4143");
    assert_int_equal(config->proxy.workers, 0);
    assert_string_equal(gs_addr_text(&config->admin.listen, text), "127.0.0.1:4191");
    assert_string_equal(config->admin.socket, "/run/gossamer/admin.sock");
    assert_int_equal(config->log.level, GS_LOG_INFO);
    assert_int_equal(config->log.format, GS_LOG_TEXT);
    assert_int_equal(config->timeouts.connect_ms, 1000);
    assert_int_equal(config->timeouts.head_ms, 10000);
    assert_int_equal(config->timeouts.body_idle_ms, 60000);
    assert_int_equal(config->timeouts.response_ms, 0);
    assert_int_equal(config->timeouts.idle_ms, 60000);
    assert_int_equal(config->timeouts.drain_ms, 30000);
    assert_int_equal(config->identity.mode, CONFIG_IDENTITY_OFF);
    assert_int_equal(config->names.listen.family, 0);
    assert_int_equal(config->names.range.bits, 16);
    assert_int_equal(config->capture.mode, CONFIG_CAPTURE_OFF);
    assert_int_equal(config->services.count, 0);
    assert_int_equal(config->external.count, 0);
    assert_false(config_given(config, "timeouts.body_idle"));
}

static void
test_whole_file(void **state)
{
    const struct config_service *s;
    const struct config_instance *in;
    char text[GS_ADDR_TEXT];

    (void)state;
    assert_loads("# comment\n"
                 "node: a1.example\n"
                 "zone: eu-1a\n"
                 "gossip: { bind: \"*:4200\", advertise: \"[2001:db8::1]:4200\", join: [],\n"
                 "          key_file: /etc/gossamer/gossip.key }\n"
                 "proxy: { workers: 3 }\n"
                 "log: { level: debug, format: json }\n"
                 "timeouts: { connect: 500ms, head: 1m30s, body_idle: 0.5s, drain: 1h }\n"
                 "identity: { mode: off, trust_domain: example.org }\n"
                 "namespace: team\n"
                 "names:\n"
                 "external: []\n"
                 "services:\n"
                 "- name: tools.v2\n"
                 "  port: 8080\n"
                 "  protocol: http\n"
                 "  namespace: ai-agents\n"
                 "  instances:\n"
                 "  - address: \"[::1]:9001\"\n"
                 "    labels: { version: \"1.0\", example.org/tier: gold, empty: '' }\n"
                 "    health: { http: /healthz?full=1, interval: 5s, timeout: 250ms, rise: 2,\n"
                 "              fall: 5 }\n"
                 "  - { address: 127.0.0.1:9002 }\n"
                 "- name: tools.v2\n");
    assert_string_equal(config->node, "a1.example");
    assert_string_equal(gs_addr_text(&config->gossip.bind, text), "0.0.0.0:4200");
    assert_string_equal(gs_addr_text(&config->gossip.advertise, text), "[2001:db8::1]:4200");
    assert_int_equal(config->proxy.workers, 3);
    assert_int_equal(config->log.level, GS_LOG_DEBUG);
    assert_int_equal(config->log.format, GS_LOG_JSON);
    assert_int_equal(config->timeouts.connect_ms, 500);
    assert_int_equal(config->timeouts.head_ms, 90000);
    assert_int_equal(config->timeouts.body_idle_ms, 500);
    assert_int_equal(config->timeouts.drain_ms, 3600000);
    assert_true(config_given(config, "timeouts.body_idle"));
    assert_int_equal(config->services.count, 2);
    s = &config->services.items[0];
    assert_string_equal(s->name, "tools.v2");
    assert_string_equal(s->ns, "ai-agents");
    assert_int_equal(s->port, 8080);
    assert_int_equal(s->identity.uid, CONFIG_UINT_NONE);
    assert_int_equal(s->instances.count, 2);
    in = &s->instances.items[0];
    assert_string_equal(gs_addr_text(&in->address, text), "[::1]:9001");
    assert_int_equal(in->labels.count, 3);
    assert_string_equal(in->labels.items[0].name, "empty"); /* sorted */
    assert_string_equal(in->labels.items[1].name, "example.org/tier");
    assert_string_equal(in->labels.items[2].value, "1.0");
    assert_string_equal(in->health.http, "/healthz?full=1");
    assert_false(in->health.tcp);
    assert_int_equal(in->health.interval_ms, 5000);
    assert_int_equal(in->health.timeout_ms, 250);
    assert_int_equal(in->health.rise, 2);
    assert_int_equal(in->health.fall, 5);
    in = &s->instances.items[1];
    assert_int_equal(in->labels.count, 0);
    assert_null(in->health.http);
    assert_true(in->health.tcp); /* what is done where nothing is said */
    assert_int_equal(in->health.interval_ms, 2000);
    s = &config->services.items[1];
    assert_string_equal(s->ns, "team");
    assert_int_equal(s->port, 80);
    assert_int_equal(s->instances.count, 0);
}

static void
test_durations(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms; /* UINT64_MAX: refused */
    } rows[] = {
        { "0", 0 },
        { "0s", 0 },
        { "1ms", 1 },
        { "1.5s", 1500 },
        { ".5s", 500 },
        { "0.001s", 1 },
        { "1m30s", 90000 },
        { "1h1m1s1ms", 3661001 },
        { "24h", 86400000 },
        { "1.0005s", UINT64_MAX },
        { "1", UINT64_MAX },
        { "s", UINT64_MAX },
        { ".s", UINT64_MAX },
        { "1s ", 1000 },
        { "\"1s \"", UINT64_MAX },
        { "1x", UINT64_MAX },
        { "1S", UINT64_MAX },
        { "+1s", UINT64_MAX },
        { "1e3s", UINT64_MAX },
        { "1ss", UINT64_MAX },
        { "9999999999999999999h", UINT64_MAX },
        { "999999999h999999999h999999999h", UINT64_MAX },
        { "25h", UINT64_MAX },
        { "\"0\"", 0 },
        { "00", UINT64_MAX },
    };
    char text[128];

    (void)state;
    for (size_t i = 0; i < GS_COUNT(rows); i++) {
        gs_err e;

        (void)snprintf(text, sizeof(text), "timeouts: { response: %s }\n", rows[i].text);
        e = load(text);
        if ((e == GS_E_OK) != (rows[i].ms != UINT64_MAX))
            fail_msg("%s: %s", rows[i].text, e == GS_E_OK ? "taken" : "refused");
        if (e == GS_E_OK)
            assert_int_equal(config->timeouts.response_ms, rows[i].ms);
    }
    assert_int_equal(load("timeouts: { response: 15 }\n"), GS_E_INVALID);
    assert_string_equal(only_error()->hint, "give a unit: 15s or 15ms");
}

/* What YAML 1.1 does not take for a string is no label; what it does, is. */
static void
test_labels(void **state)
{
    static const char *const refused[] = {
        "1.0",     "1",
        "yes",     "No",
        "ON",      "true",
        "null",    "~",
        "",        "010",
        "0x1f",    "0o7",
        "0b1",     "1_000",
        "1e3",     ".5",
        "-1",      "+1.5",
        ".inf",    "-.Inf",
        ".NaN",    "y",
        "[a]",     "{a: b}",
        "\"a b\"", "\"-a\"",
        "a/b",     "\"1234567890123456789012345678901234567890123456789012345678901234\"",
    };
    static const char *const taken[] = {
        "v1", "\"1.0\"",   "'yes'", "2026-01-02", "1.0.0", "v1.0",    "canary",    "\"\"",
        "e3", "1.2.3-rc1", "nope",  "0xg",        "1e",    "a_b.c-d", "!!str 1.0",
    };
    char text[512];

    (void)state;
    for (size_t i = 0; i < GS_COUNT(refused); i++) {
        (void)snprintf(text, sizeof(text), INSTANCE "    labels: { v: %s }\n", refused[i]);
        if (load(text) != GS_E_INVALID)
            fail_msg("taken: %s", refused[i]);
        assert_string_equal(only_error()->field, "services[0].instances[0].labels.v");
    }
    for (size_t i = 0; i < GS_COUNT(taken); i++) {
        (void)snprintf(text, sizeof(text), INSTANCE "    labels: { v: %s }\n", taken[i]);
        assert_loads(text);
    }
    assert_int_equal(load(INSTANCE "    labels: { version: 1.0 }\n"), GS_E_INVALID);
    assert_string_equal(only_error()->hint, "quote it: version: \"1.0\"");
    assert_string_equal(only_error()->message,
                        "a label is a string, but 1.0 without quotes is a number in YAML");
}

static void
test_label_names(void **state)
{
    static const char *const refused[] = { "\"\"", "-a", "a-", "\"/a\"", "a/", "A.b/c", "a/b/c" };
    static const char *const taken[] = { "a", "A", "a.b_c-d", "x.io/A", "1" };
    char text[512];

    (void)state;
    for (size_t i = 0; i < GS_COUNT(refused); i++) {
        (void)snprintf(text, sizeof(text), INSTANCE "    labels: { %s: v }\n", refused[i]);
        if (load(text) != GS_E_INVALID)
            fail_msg("taken: %s", refused[i]);
    }
    for (size_t i = 0; i < GS_COUNT(taken); i++) {
        (void)snprintf(text, sizeof(text), INSTANCE "    labels: { %s: v }\n", taken[i]);
        assert_loads(text);
    }
}

/* ---- help for what was mistyped ---- */

static void
test_did_you_mean(void **state)
{
    static const struct {
        const char *text, *hint;
        unsigned line, column;
    } rows[] = {
        { "gosip: {}\n", "did you mean \"gossip\"?", 1, 1 },
        { "Gossip: {}\n", "did you mean \"gossip\"?", 1, 1 },
        { "gossip: { bnd: 1 }\n", "did you mean \"bind\"?", 1, 11 },
        { "gossip: { anything: 1 }\n", "known here: bind, advertise, join, key_file", 1, 11 },
        { "gossip.bind: 0.0.0.0:1\n", "keys are nested: write gossip: and the rest below it", 1,
          1 },
        { SERVICE "  instnces: []\n", "did you mean \"instances\"?", 3, 3 },
        { INSTANCE "    health: { path: / }\n",
          "known here: http, tcp, interval, timeout, rise, fall", 5, 15 },
        { "log: { level: dbug }\n", "did you mean \"debug\"?", 1, 15 },
        { SERVICE "  protocol: HTTP\n", "did you mean \"http\"?", 3, 13 },
        { "proxy: { workers: Auto }\n", "did you mean \"auto\"?", 1, 19 },
        { "proxy: { outbound: \":4140\" }\n",
          "write 127.0.0.1:PORT for this machine only, 0.0.0.0:PORT for all", 1, 20 },
        { "proxy: { outbound: localhost:4140 }\n", "did you mean 127.0.0.1:4140?", 1, 20 },
        { "gossip: { join: 10.0.0.1:1 }\n", "write [\"10.0.0.1:1\"]", 1, 17 },
        { "node:\n", "give it one, or remove the key", 1, 6 },
        { "capture: { mode: nft }\n", "write off, or leave it out", 1, 18 },
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(rows); i++) {
        const struct gs_problem *p;

        assert_int_equal(load(rows[i].text), GS_E_INVALID);
        p = only_error();
        assert_non_null(p->hint);
        assert_string_equal(p->hint, rows[i].hint);
        assert_int_equal(p->line, rows[i].line);
        assert_int_equal(p->column, rows[i].column);
    }
}

static void
test_all_errors_at_once(void **state)
{
    static const unsigned lines[] = { 1, 2, 3, 4, 7, 9, 9, 10, 11 };
    size_t at = 0;

    (void)state;
    assert_int_equal(load("node: A\n"                   /* 1 value */
                          "nod: a\n"                    /* 2 unknown */
                          "proxy: [1]\n"                /* 3 kind */
                          "gossip: { bind: x }\n"       /* 4 value */
                          "services:\n"                 /* 5 */
                          "- name: a\n"                 /* 6 */
                          "  port: 99999\n"             /* 7 range */
                          "  instances:\n"              /* 8 */
                          "  - { adress: 1.2.3.4:5 }\n" /* 9 unknown, and address missing */
                          "- port: 1\n"                 /* 10 name missing */
                          "capture: { mode: nft }\n"),  /* 11 not built */
                     GS_E_INVALID);
    if (problems.errors != GS_COUNT(lines))
        show_problems();
    assert_int_equal(problems.errors, GS_COUNT(lines));
    for (size_t i = 0; i < problems.count; i++) {
        if (problems.items[i].severity == GS_SEV_ERROR)
            assert_int_equal(problems.items[i].line, lines[at++]);
    }
}

/* ---- not in this version ---- */

static void
test_off_is_in_this_version(void **state)
{
    (void)state;
    assert_loads("identity: { mode: off }\ncapture: { mode: off }\nexternal: []\n"
                 "gossip: { join: [] }\nnames: { range: 127.70.0.0/16 }\n" SERVICE
                 "  protocol: http\n  identity: {}\n");
    assert_int_equal(config->names.range.base.ip[1], 70);
}

static void
test_everything_that_is_not_built_is_told(void **state)
{
    static const char *const fields[] = {
        "identity.mode",
        "names.listen",
        "capture.mode",
        "services[0].protocol",
        "services[0].identity.uid",
        "external",
    };
    size_t at = 0;

    (void)state;
    assert_int_equal(load("identity: { mode: files }\n"
                          "names: { listen: 127.0.0.1:53 }\ncapture: { mode: nft }\n" SERVICE
                          "  protocol: auto\n"
                          "  identity: { uid: 0 }\n" EXTERNAL),
                     GS_E_INVALID);
    for (size_t i = 0; i < problems.count; i++) {
        if (problems.items[i].severity != GS_SEV_ERROR)
            continue;
        assert_string_equal(problems.items[i].code, "GS0018");
        assert_string_equal(problems.items[i].field, fields[at++]);
        assert_non_null(strstr(problems.items[i].message, "not in this version"));
    }
    assert_int_equal(at, GS_COUNT(fields));
}

static void
test_identity_off_is_a_warning(void **state)
{
    (void)state;
    assert_loads("");
    assert_int_equal(problems.warnings, 1);
    assert_string_equal(problems.items[0].code, "GS0019");
    assert_non_null(strstr(problems.items[0].message, "identity is off: "));
    assert_loads("identity: { mode: off }\n"); /* somebody's decision: told, no warning */
    assert_int_equal(problems.warnings, 0);
    assert_int_equal(problems.count, 1);
    assert_int_equal(problems.items[0].severity, GS_SEV_NOTE);
    assert_loads("proxy: { mode: off }\n"); /* what that means here is something else */
    assert_non_null(strstr(problems.items[0].message, "gossip key"));
}

/* ---- a mesh ---- */

static void
test_mesh(void **state)
{
    char text[GS_ADDR_TEXT];

    (void)state;
    assert_loads("gossip: { bind: 10.0.0.2:4190, join: [10.0.0.1:4190, \"[fd00::1]:4190\"] }\n");
    assert_int_equal(config->gossip.join.count, 2);
    assert_string_equal(gs_addr_text(&config->gossip.join.items[1], text), "[fd00::1]:4190");
    assert_int_equal(config->proxy.mode, CONFIG_PROXY_ON);
    /* Several nodes of one machine, and one that other machines reach at another address. */
    assert_loads("gossip: { bind: 127.0.0.2:4190, join: [127.0.0.1:4190] }\n");
    assert_loads("gossip: { bind: 127.0.0.2:1, advertise: 10.0.0.2:1, join: [10.0.0.1:1] }\n");
    assert_loads("proxy: { mode: off }\nservices: []\n");
    assert_int_equal(config->proxy.mode, CONFIG_PROXY_OFF);
}

/* ---- clashes ---- */

static void
test_clashes(void **state)
{
    static const struct {
        const char *text;
        const char *field; /* NULL: fine */
    } rows[] = {
        { "proxy: { outbound: 127.0.0.1:1, inbound: 127.0.0.1:1 }\n", "proxy.inbound" },
        { "proxy: { outbound: 127.0.0.1:1, inbound: 127.0.0.2:1 }\n", NULL },
        { "proxy: { mode: off, outbound: 127.0.0.1:1, inbound: 127.0.0.1:1 }\n", NULL },
        { "proxy: { outbound: 127.0.0.1:1, inbound: 0.0.0.0:1 }\n", "proxy.inbound" },
        { "proxy: { outbound: 127.0.0.1:1, inbound: \"[::]:1\" }\n", "proxy.inbound" },
        { "proxy: { outbound: 127.0.0.1:1, inbound: \"[::1]:1\" }\n", NULL },
        { "admin: { listen: 127.0.0.1:4190 }\n", "admin.listen" },
        { "gossip: { bind: 127.0.0.1:4140 }\n", "gossip.bind" },
        { SERVICE "  instances: [{ address: 127.0.0.1:4140 }]\n",
          "services[0].instances[0].address" },
        { SERVICE "  instances: [{ address: 10.0.0.1:4140 }]\n", NULL },
        { SERVICE "  instances: [{ address: 127.0.0.1:4190 }]\n",
          "services[0].instances[0].address" },
        { SERVICE "  instances: [{ address: 127.0.0.1:9 }]\n- name: b\n"
                  "  instances: [{ address: 127.0.0.1:9 }]\n",
          NULL },
        { SERVICE "- { name: a, port: 81 }\n- { name: a, namespace: b }\n", NULL },
        { SERVICE "- { name: a, namespace: default }\n", "services[1]" },
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(rows); i++) {
        if (!rows[i].field) {
            assert_loads(rows[i].text);
            continue;
        }
        assert_int_equal(load(rows[i].text), GS_E_INVALID);
        assert_string_equal(only_error()->field, rows[i].field);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_refusals),
        TEST(test_every_row_refuses_something),
        TEST(test_rows_are_sound),
        TEST(test_defaults),
        TEST(test_whole_file),
        TEST(test_durations),
        TEST(test_labels),
        TEST(test_label_names),
        TEST(test_did_you_mean),
        TEST(test_all_errors_at_once),
        TEST(test_off_is_in_this_version),
        TEST(test_everything_that_is_not_built_is_told),
        TEST(test_identity_off_is_a_warning),
        TEST(test_mesh),
        TEST(test_clashes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
