/* test_config_reload.c - what a running node may take over of a later reading of its configuration,
 * and what is the same in both. */
#include "config_case.h"

#include <sys/stat.h>

#include "mesh/config/config_apply.h"

#define TWO                                                                                        \
    "node: a\nservices:\n"                                                                         \
    "- name: one\n  instances:\n"                                                                  \
    "  - { address: 127.0.0.1:9001, labels: { version: v1 }, health: { http: /h } }\n"             \
    "- name: two\n  port: 81\n  instances:\n  - { address: 127.0.0.1:9002 }\n"

static struct config *running;

/* `running` is what `text` says; config is free for the next. */
static void
run_by(const char *text)
{
    assert_loads(text);
    config_free(running);
    running = config;
    config = NULL;
}

static int
reload_teardown(void **state)
{
    config_free(running);
    running = NULL;
    return teardown(state);
}

/* Given what runs, what is told of this text? */
static gs_err
check(const char *text)
{
    assert_loads(text);
    return config_check_reload(running, config, &problems);
}

static void
take_over(const char *text)
{
    if (check(text) != GS_E_OK) {
        show_problems();
        fail();
    }
    config_free(config_take_over(running, config));
    config = NULL;
}

/* ---- every row that needs a restart ---- */

static const struct {
    const char *path, *text; /* a value that differs from the default and from `base` */
} restarts[] = {
    { "node", "node: b\n" },
    { "zone", "zone: eu\n" },
    { "namespace", "namespace: ai\n" },
    { "root_namespace", "root_namespace: ai\n" },
    { "state_dir", "state_dir: /tmp/x\n" },
    { "gossip.bind", "gossip: { bind: 127.0.0.1:1 }\n" },
    { "gossip.advertise", "gossip: { advertise: 192.0.2.1:1 }\n" },
    { "gossip.join", "gossip: { join: [192.0.2.1:1] }\n" },
    { "gossip.key_file", "gossip: { key_file: /tmp/k }\n" },
    { "proxy.mode", "proxy: { mode: off }\n" },
    { "proxy.outbound", "proxy: { outbound: 127.0.0.1:1 }\n" },
    { "proxy.inbound", "proxy: { inbound: 127.0.0.1:1 }\n" },
    { "proxy.workers", "proxy: { workers: 3 }\n" },
    { "admin.listen", "admin: { listen: 127.0.0.1:1 }\n" },
    { "admin.socket", "admin: { socket: /tmp/s }\n" },
    { "identity.trust_domain", "identity: { trust_domain: example.org }\n" },
    { "names.range", "names: { range: 127.67.0.0/16 }\n" },
};

/* These cannot differ: all but one of their values is refused as not built. */
static const char *const fixed[] = { "identity.mode", "names.listen", "capture.mode" };

static bool
has_case(const char *path)
{
    for (size_t i = 0; i < GS_COUNT(restarts); i++) {
        if (strcmp(restarts[i].path, path) == 0)
            return true;
    }
    for (size_t i = 0; i < GS_COUNT(fixed); i++) {
        if (strcmp(fixed[i], path) == 0)
            return true;
    }
    return false;
}

static void
every_key_that_needs_a_restart_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < schema_count; i++) {
        if (schema_rows[i].object == SCHEMA_CONFIG && schema_rows[i].restart &&
            !has_case(schema_rows[i].path))
            fail_msg("no case for %s", schema_rows[i].path);
    }
    for (size_t i = 0; i < GS_COUNT(restarts); i++) {
        bool node = strcmp(restarts[i].path, "node") == 0;
        char text[256];

        run_by("node: a\n");
        (void)snprintf(text, sizeof(text), "%s%s", node ? "" : "node: a\n", restarts[i].text);
        assert_int_equal(check(text), GS_E_INVALID);
        assert_string_equal(only_error()->field, restarts[i].path);
        assert_string_equal(only_error()->code, "GS0022");
        assert_int_equal(only_error()->line, node ? 1 : 2);
        assert_non_null(only_error()->hint);
        run_by(text); /* and back again: it stands nowhere then */
        assert_int_equal(check("node: a\n"), GS_E_INVALID);
        assert_string_equal(only_error()->field, restarts[i].path);
        assert_int_equal(check(text), GS_E_OK);
    }
}

static void
own_listeners_neither_come_nor_go(void **state)
{
    static const char with[] = "services:\n- { name: a, outbound: 127.0.0.1:5000 }\n- name: b\n";

    (void)state;
    run_by(with);
    assert_int_equal(check("services:\n- name: b\n- { outbound: 127.0.0.1:5000, name: a }\n"),
                     GS_E_OK);
    assert_int_equal(check("services:\n- { name: a, outbound: 127.0.0.1:5001 }\n"), GS_E_INVALID);
    assert_string_equal(only_error()->field, "services[0].outbound");
    assert_int_equal(only_error()->line, 2);
    assert_int_equal(check("services:\n- name: b\n"), GS_E_INVALID);
    assert_string_equal(only_error()->field, "services");
    assert_non_null(strstr(only_error()->message, "a.default has outbound, and would go"));
    run_by("services:\n- name: b\n");
    assert_int_equal(check(with), GS_E_INVALID);
    assert_string_equal(only_error()->field, "services[0].outbound");
    assert_non_null(strstr(only_error()->message, "a.default has outbound, and would come"));
}

static void
everything_wrong_is_told_at_once(void **state)
{
    (void)state;
    run_by(TWO);
    assert_int_equal(
        check("zone: x\nnode: b\nproxy: { workers: 2 }\n" INSTANCE "  outbound: 127.0.0.1:5000\n"),
        GS_E_INVALID);
    assert_int_equal(problems.errors, 4);
}

/* ---- files ---- */

static void
a_file_that_became_empty_is_refused(void **state)
{
    (void)state;
    run_by(TWO);
    assert_int_equal(check(""), GS_E_INVALID);
    assert_string_equal(only_error()->code, "GS0010");
    assert_int_equal(check("# services\n"), GS_E_INVALID);
    assert_non_null(only_error()->hint);
    assert_int_equal(check("node: a\nservices: []\n"), GS_E_OK);
    run_by(""); /* one that always was */
    assert_int_equal(check("# nothing\n"), GS_E_OK);
}

static void
only_a_file_is_read_again(void **state)
{
    struct config_opts opts = { .file = file, .again = true };

    (void)state;
    write_file(GS_SLICE("node: a\n"));
    assert_int_equal(load_opts(&opts), GS_E_OK);
    (void)unlink(file);
    assert_int_equal(mkfifo(file, 0600), 0);
    assert_int_equal(load_opts(&opts), GS_E_INVALID); /* and does not wait for a writer */
    assert_non_null(strstr(only_error()->message, "it is no file"));
    (void)unlink(file);
    assert_int_equal(load_opts(&opts), GS_E_INVALID);
    opts.file = "/dev/null";
    assert_int_equal(load_opts(&opts), GS_E_INVALID);
}

/* ---- taking over ---- */

static void
what_may_change_changes_in_place(void **state)
{
    const char *node;
    const char *state_dir;

    (void)state;
    run_by(TWO);
    node = running->node;
    state_dir = running->state_dir;
    take_over("# one line more\n" TWO
              "timeouts: { connect: 3s, drain: 1m }\nlog: { level: debug }\n");
    assert_int_equal(running->timeouts.connect_ms, 3000);
    assert_int_equal(running->timeouts.drain_ms, 60000);
    assert_int_equal(running->log.level, GS_LOG_DEBUG);
    assert_int_equal(running->services.count, 2);
    assert_true(running->node == node); /* the very same memory */
    assert_true(running->state_dir == state_dir);
    assert_int_equal(config_origin_of(running, schema_find("node"))->line, 2);
    take_over("node: a\nservices: []\n");
    assert_int_equal(running->services.count, 0);
    assert_int_equal(running->timeouts.connect_ms, 1000); /* the default again */
    assert_int_equal(running->log.level, GS_LOG_INFO);
    for (int i = 0; i < 20; i++)
        take_over(i % 2 ? TWO : "node: a\nservices:\n- name: three\n");
    assert_string_equal(running->services.items[1].name, "two");
    assert_true(running->node == node);
}

/* ---- the same ---- */

static void
how_it_is_written_makes_no_difference(void **state)
{
    static const char other[] = "services: [ { port: 81, name: two, namespace: default,\n"
                                "    instances: [ { address: '127.0.0.1:9002' } ] },\n"
                                "  { name: one, instances: [ { labels: { 'version': \"v1\" },\n"
                                "    health: { http: /h, interval: 2000ms, rise: 1 },\n"
                                "    address: 127.0.0.1:9001 } ] } ]\nnode: a\n";

    (void)state;
    run_by(TWO);
    assert_int_equal(check(other), GS_E_OK);
    for (size_t i = 0; i < 2; i++) {
        const struct config_service *s = &running->services.items[i];
        const struct config_service *same = config_find_service(&config->services, s);

        assert_non_null(same);
        assert_true(config_same_service(s, same));
        assert_false(config_same_service(
            s, config_find_service(&config->services, &running->services.items[!i])));
    }
    assert_true(config_same_timeouts(running, config));
}

static void
every_difference_is_one(void **state)
{
    static const char *const others[] = {
        "services:\n- name: one\n",
        "services:\n- name: one\n  instances:\n  - { address: 127.0.0.1:9002, labels: { version: "
        "v1 },"
        " health: { http: /h } }\n",
        "services:\n- name: one\n  instances:\n  - { address: 127.0.0.1:9001, labels: { version: "
        "v2 },"
        " health: { http: /h } }\n",
        "services:\n- name: one\n  instances:\n  - { address: 127.0.0.1:9001, labels: { version: "
        "v1, a: b },"
        " health: { http: /h } }\n",
        "services:\n- name: one\n  instances:\n  - { address: 127.0.0.1:9001, labels: { version: "
        "v1 },"
        " health: { http: /x } }\n",
        "services:\n- name: one\n  instances:\n  - { address: 127.0.0.1:9001, labels: { version: "
        "v1 },"
        " health: { tcp: true } }\n",
        "services:\n- name: one\n  instances:\n  - { address: 127.0.0.1:9001, labels: { version: "
        "v1 },"
        " health: { http: /h, fall: 9 } }\n",
    };
    struct config_service nobody = { .name = "one", .ns = "elsewhere", .port = 80 };

    (void)state;
    run_by(TWO);
    for (size_t i = 0; i < GS_COUNT(others); i++) {
        const struct config_service *s = &running->services.items[0];

        assert_loads(others[i]);
        assert_non_null(config_find_service(&config->services, s));
        assert_false(config_same_service(s, config_find_service(&config->services, s)));
        assert_null(config_find_service(&config->services, &nobody));
    }
    assert_loads("timeouts: { idle: 1s }\n");
    assert_false(config_same_timeouts(running, config));
}

int
main(void)
{
#define RELOAD(name) cmocka_unit_test_setup_teardown(name, setup, reload_teardown)
    const struct CMUnitTest tests[] = {
        RELOAD(every_key_that_needs_a_restart_is_refused),
        RELOAD(own_listeners_neither_come_nor_go),
        RELOAD(everything_wrong_is_told_at_once),
        RELOAD(a_file_that_became_empty_is_refused),
        RELOAD(only_a_file_is_read_again),
        RELOAD(what_may_change_changes_in_place),
        RELOAD(how_it_is_written_makes_no_difference),
        RELOAD(every_difference_is_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
