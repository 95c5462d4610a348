/* test_config_load.c - where a configuration comes from (files, environment, flags, default paths),
 * how it is shown, and the gossip keys beside it. */
#include "config_case.h"

#include <errno.h>
#include <sys/stat.h>

/* ---- files ---- */

static void
test_files(void **state)
{
    struct config_opts opts = { .file = "/nonexistent/gossamer.yaml" };

    (void)state;
    assert_int_equal(load_opts(&opts), GS_E_INVALID);
    assert_string_equal(only_error()->file, "/nonexistent/gossamer.yaml");
    assert_string_equal(only_error()->code, "GS0010");
    assert_non_null(strstr(only_error()->message, strerror(ENOENT)));
    assert_non_null(only_error()->hint);
    opts.file = "/tmp";
    assert_int_equal(load_opts(&opts), GS_E_INVALID);
    assert_non_null(strstr(only_error()->message, strerror(EISDIR)));
    assert_int_equal(load("a: 1\n---\nb: 1\n"), GS_E_INVALID);
    assert_int_equal(problems.items[0].line, 3);
    assert_string_equal(problems.items[0].code, "GS0010");
    assert_int_equal(load("- a\n"), GS_E_INVALID);
    assert_string_equal(only_error()->code, "GS0012");
    assert_int_equal(load("node: a\nnode: b\n"), GS_E_INVALID);
    assert_string_equal(only_error()->code, "GS0002");
    assert_int_equal(only_error()->line, 2);
    assert_loads("{ \"node\": \"json\", \"proxy\": { \"workers\": 2 } }");
    assert_string_equal(config->node, "json");
}

static void
test_a_file_too_large(void **state)
{
    struct config_opts opts = { .file = file };
    struct gs_buf text;

    (void)state;
    gs_buf_init(&text, 2 << 20);
    while (text.len <= 1 << 20)
        (void)gs_buf_put_str(&text, "# a line that says nothing\n");
    write_file(gs_buf_slice(&text));
    gs_buf_fini(&text);
    assert_int_equal(load_opts(&opts), GS_E_INVALID);
    assert_non_null(strstr(only_error()->message, "larger than 1048576 bytes"));
    (void)unlink(file);
}

/* ---- environment, flags, origins ---- */

static const struct config_origin *
origin(const char *path)
{
    const struct schema_row *row = schema_find(path);

    assert_non_null(row);
    return &config->origin[schema_index(row)];
}

static void
test_precedence(void **state)
{
    char *env[] = { (char[]){ "GOSSAMER_NODE=fromenv" },
                    (char[]){ "GOSSAMER_TIMEOUTS_BODY_IDLE=7s" },
                    (char[]){ "GOSSAMER_PROXY_WORKERS=5" },
                    (char[]){ "GOSSAMER_ZONE=" },
                    (char[]){ "GOSSAMER_SOCKET=/elsewhere" },
                    (char[]){ "GOSSAMER_PORT=tcp://10.0.0.1:80" },
                    NULL };
    const struct config_flag flags[] = { { "--node", "node", "fromflag" },
                                         { "--set", "log.level", "warn" },
                                         { "--set", "gossip.join", "" } };

    (void)state;
    assert_int_equal(load_all("node: fromfile\nzone: z\ntimeouts: { drain: 5s }\n"
                              "gossip: { join: [10.0.0.1:1] }\n",
                              env, flags, 3),
                     GS_E_OK);
    assert_string_equal(config->node, "fromflag");
    assert_int_equal(origin("node")->source, CONFIG_FLAG);
    assert_string_equal(origin("node")->name, "--node");
    assert_int_equal(config->timeouts.body_idle_ms, 7000);
    assert_int_equal(origin("timeouts.body_idle")->source, CONFIG_ENV);
    assert_string_equal(origin("timeouts.body_idle")->name, "GOSSAMER_TIMEOUTS_BODY_IDLE");
    assert_int_equal(config->proxy.workers, 5);
    assert_int_equal(config->timeouts.drain_ms, 5000);
    assert_int_equal(origin("timeouts.drain")->source, CONFIG_FILE);
    assert_int_equal(origin("timeouts.drain")->line, 3);
    assert_int_equal(origin("timeouts.drain")->column, 20);
    assert_string_equal(config->zone, "z"); /* an empty variable is none */
    assert_int_equal(origin("timeouts.head")->source, CONFIG_DEFAULT);
    assert_int_equal(config->log.level, GS_LOG_WARN);
    assert_int_equal(config->gossip.join.count, 0); /* an override made it fine */
    assert_int_equal(problems.warnings, 1);         /* identity only */
    assert_true(config_given(config, "proxy.workers"));
}

static void
test_bad_overrides(void **state)
{
    char *env[] = { (char[]){ "GOSSAMER_GOSSIP_BIND=nowhere" },
                    (char[]){ "GOSSAMER_IDENTITY_MODE=spiffe" }, NULL };
    const struct config_flag flags[] = { { "--set", "log.levle", "warn" },
                                         { "--set", "services", "[]" },
                                         { "--set", "services[].name", "a" },
                                         { "--set", "gossip.join", "10.0.0.1:1, 10.0.0.2" },
                                         { "--set", "some.thing", "else" } };
    static const char *const files[] = {
        "GOSSAMER_GOSSIP_BIND",  "--set", "--set", "--set", "--set", "--set",
        "GOSSAMER_IDENTITY_MODE"
    };
    size_t at = 0;

    (void)state;
    assert_int_equal(load_all("", env, flags, GS_COUNT(flags)), GS_E_INVALID);
    for (size_t i = 0; i < problems.count; i++) {
        const struct gs_problem *p = &problems.items[i];

        if (p->severity != GS_SEV_ERROR)
            continue;
        assert_true(at < GS_COUNT(files));
        assert_string_equal(p->file, files[at++]);
        assert_int_equal(p->line, 0);
    }
    assert_int_equal(at, GS_COUNT(files));
    assert_string_equal(problems.items[0].field, "gossip.bind");
    assert_string_equal(problems.items[1].hint, "did you mean \"log.level\"?");
    assert_non_null(strstr(problems.items[2].message, "in the file only"));
    assert_string_equal(problems.items[4].field, "gossip.join");
    assert_non_null(strstr(problems.items[5].hint, "config --help"));
    assert_string_equal(problems.items[6].field, "identity.mode");
}

static void
test_mistyped_variables(void **state)
{
    char *env[] = { (char[]){ "GOSSAMER_GOSIP_BIND=0.0.0.0:1" }, (char[]){ "GOSSAMER_UNRELATED=1" },
                    (char[]){ "GOSSAMER_ZONE=z" }, (char[]){ "GOSSAMER_NODE=n" }, NULL };

    (void)state;
    assert_int_equal(load_all("identity: { mode: off }\n", env, NULL, 0), GS_E_OK);
    assert_int_equal(problems.warnings, 1);
    assert_string_equal(problems.items[0].hint, "did you mean GOSSAMER_GOSSIP_BIND?");
}

static void
test_flag_parse(void **state)
{
    struct gs_arena arena;
    struct config_flag flag;
    struct gs_why why;

    (void)state;
    gs_arena_init(&arena, NULL, 0, 1024);
    assert_int_equal(config_flag_parse("a.b=c=d", &arena, &flag, &why), GS_E_OK);
    assert_string_equal(flag.path, "a.b");
    assert_string_equal(flag.value, "c=d");
    assert_int_equal(config_flag_parse("a=", &arena, &flag, &why), GS_E_OK);
    assert_string_equal(flag.value, "");
    assert_int_equal(config_flag_parse("a", &arena, &flag, &why), GS_E_INVALID);
    assert_int_equal(config_flag_parse("=a", &arena, &flag, &why), GS_E_INVALID);
    assert_int_equal(config_flag_parse("", &arena, &flag, &why), GS_E_INVALID);
    gs_arena_fini(&arena);
}

/* ---- paths ---- */

static void
test_paths(void **state)
{
    char *home[] = { (char[]){ "HOME=/home/u" }, NULL };
    char *xdg[] = { (char[]){ "HOME=/home/u" }, (char[]){ "XDG_CONFIG_HOME=/c" },
                    (char[]){ "XDG_STATE_HOME=/s" }, (char[]){ "XDG_RUNTIME_DIR=/r" }, NULL };
    char *relative[] = { (char[]){ "HOME=/home/u" }, (char[]){ "XDG_RUNTIME_DIR=r" }, NULL };
    char *no_home[] = { NULL };
    struct config_paths p;
    struct gs_arena arena;

    (void)state;
    gs_arena_init(&arena, NULL, 0, 1024);
    config_paths_get(0, xdg, &arena, &p);
    assert_string_equal(p.file, "/etc/gossamer/gossamer.yaml");
    assert_string_equal(p.state_dir, "/var/lib/gossamer");
    assert_string_equal(p.socket, "/run/gossamer/admin.sock");
    config_paths_get(1000, home, &arena, &p);
    assert_string_equal(p.file, "/home/u/.config/gossamer/gossamer.yaml");
    assert_string_equal(p.state_dir, "/home/u/.local/state/gossamer");
    assert_string_equal(p.socket, "/home/u/.local/state/gossamer/admin.sock");
    config_paths_get(1000, xdg, &arena, &p);
    assert_string_equal(p.file, "/c/gossamer/gossamer.yaml");
    assert_string_equal(p.state_dir, "/s/gossamer");
    assert_string_equal(p.socket, "/r/gossamer/admin.sock");
    config_paths_get(1000, relative, &arena, &p); /* XDG: to be ignored */
    assert_string_equal(p.socket, "/home/u/.local/state/gossamer/admin.sock");
    config_paths_get(4000000000u, no_home, &arena, &p); /* no such user */
    assert_null(p.file);
    assert_null(p.socket);
    gs_arena_fini(&arena);
}

static void
test_no_home(void **state)
{
    char *no_home[] = { NULL };
    char *given[] = { (char[]){ "GOSSAMER_STATE_DIR=/s" }, (char[]){ "GOSSAMER_ADMIN_SOCKET=/a" },
                      NULL };
    struct config_opts opts = { .uid = 4000000000u, .env = no_home };

    (void)state;
    assert_int_equal(load_opts(&opts), GS_E_INVALID);
    assert_int_equal(problems.errors, 2);
    assert_string_equal(problems.items[0].code, "GS0015");
    assert_string_equal(problems.items[0].hint, "set it in the file, or GOSSAMER_STATE_DIR");
    opts.env = given;
    assert_int_equal(load_opts(&opts), GS_E_OK);
    assert_string_equal(config->state_dir, "/s");
    assert_null(config->file);
}

/* A default socket path longer than a socket's name may be has to be replaced by hand. */
static void
test_long_runtime_dir(void **state)
{
    char long_dir[256];
    char *env[] = { (char[]){ "HOME=/home/u" }, long_dir, NULL };
    struct config_opts opts = { .uid = 1000, .env = env };

    (void)state;
    memset(long_dir, 'x', sizeof(long_dir) - 1);
    long_dir[sizeof(long_dir) - 1] = '\0';
    memcpy(long_dir, "XDG_RUNTIME_DIR=/", 17);
    assert_int_equal(load_opts(&opts), GS_E_INVALID);
    assert_string_equal(only_error()->field, "admin.socket");
}

/* ---- showing ---- */

static const char *
shown(enum config_show how, struct gs_buf *out)
{
    gs_buf_clear(out);
    config_show(config, how, out);
    assert_false(out->failed);
    return gs_buf_cstr(out);
}

/* What is shown as YAML is a file that means the same. */
static void
test_show_yaml(void **state)
{
    struct gs_buf first, second;
    char text[8192];

    (void)state;
    gs_buf_init(&first, 1 << 20);
    gs_buf_init(&second, 1 << 20);
    assert_loads("node: a1\nzone: \"z\\\"'#\"\nproxy: { inbound: \"[::1]:1\", workers: 2 }\n"
                 "timeouts: { response: 1h2m3s4ms }\n" SERVICE "  instances:\n"
                 "  - { address: 127.0.0.1:1, labels: { a: \"1.0\", b/c: \"\" } }\n"
                 "  - { address: \"[::1]:2\", health: { http: /h } }\n"
                 "- { name: b, namespace: x, port: 8080 }\n");
    (void)snprintf(text, sizeof(text), "%s", shown(CONFIG_SHOW_YAML, &first));
    assert_loads(text);
    assert_string_equal(shown(CONFIG_SHOW_YAML, &second), text);
    assert_int_equal(config->services.count, 2);
    assert_int_equal(config->services.items[0].instances.count, 2);
    assert_int_equal(config->timeouts.response_ms, 3723004);
    assert_string_equal(config->zone, "z\"'#");
    assert_non_null(strstr(text, "services:\n"
                                 "  - name: \"a\"\n"
                                 "    namespace: \"default\"\n"
                                 "    port: 80\n"
                                 "    protocol: http\n"
                                 "    instances:\n"
                                 "      - address: 127.0.0.1:1\n"
                                 "        labels: {\"a\": \"1.0\", \"b/c\": \"\"}\n"
                                 "        health:\n"
                                 "          tcp: true\n"));
    assert_loads("");
    (void)snprintf(text, sizeof(text), "%s", shown(CONFIG_SHOW_YAML, &first));
    assert_loads(text);
    gs_buf_fini(&first);
    gs_buf_fini(&second);
}

static void
test_show_origin(void **state)
{
    char *env[] = { (char[]){ "GOSSAMER_ZONE=z" }, NULL };
    const struct config_flag flags[] = { { "--node", "node", "n" } };
    char expected[256];
    struct gs_buf out;
    const char *text;

    (void)state;
    gs_buf_init(&out, 1 << 20);
    assert_int_equal(load_all("log: { level: warn }\n" INSTANCE, env, flags, 1), GS_E_OK);
    text = shown(CONFIG_SHOW_ORIGIN, &out);
    (void)snprintf(expected, sizeof(expected), "\n%-48s %-48s %s:1\n", "log.level", "warn", file);
    assert_non_null(strstr(text, expected));
    (void)snprintf(expected, sizeof(expected), "\n%-48s %-48s %s:5\n",
                   "services[0].instances[0].address", "127.0.0.1:9001", file);
    assert_non_null(strstr(text, expected));
    (void)snprintf(expected, sizeof(expected), "\n%-48s %-48s --node\n", "node", "\"n\"");
    assert_non_null(strstr(text, expected));
    (void)snprintf(expected, sizeof(expected), "\n%-48s %-48s GOSSAMER_ZONE\n", "zone", "\"z\"");
    assert_non_null(strstr(text, expected));
    (void)snprintf(expected, sizeof(expected), "\n%-48s %-48s default\n", "gossip.key_file", "-");
    assert_non_null(strstr(text, expected));
    assert_non_null(strstr(shown(CONFIG_SHOW_JSON, &out),
                           "{\"key\":\"zone\",\"value\":\"z\",\"origin\":\"GOSSAMER_ZONE\"}"));
    assert_non_null(strstr(gs_buf_cstr(&out), "{\"key\":\"services[0].port\",\"value\":80,"));
    gs_buf_fini(&out);
}

static void
test_help_names_every_key(void **state)
{
    struct gs_buf out;

    (void)state;
    gs_buf_init(&out, 1 << 20);
    config_help(&out);
    for (size_t i = 0; i < schema_count; i++) {
        char line[SCHEMA_PATH_MAX + 4];

        (void)snprintf(line, sizeof(line), "%s: ", schema_rows[i].path);
        assert_non_null(strstr(gs_buf_cstr(&out), line));
        assert_non_null(strstr(out.ptr, schema_rows[i].help));
    }
    gs_buf_fini(&out);
}

/* ---- gossip keys ---- */

#define KEY_A "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define KEY_B "//////////////////////////////////////////8="

static gs_err
load_keys(const char *text, struct config_keys *keys)
{
    gs_err e;

    write_file(gs_slice_str(text));
    gs_problems_fini(&problems);
    gs_problems_init(&problems);
    e = config_load_keys(file, keys, &problems);
    (void)unlink(file);
    return e;
}

static void
test_keys(void **state)
{
    struct config_keys keys = { 0 };
    char text[CONFIG_KEY_TEXT];

    (void)state;
    assert_int_equal(load_keys("# first\n" KEY_A "\n\n  " KEY_B " \r\n", &keys), GS_E_OK);
    assert_int_equal(keys.count, 2);
    for (uint8_t i = 0; i < CONFIG_KEY_BYTES; i++) {
        assert_int_equal(keys.items[0][i], i);
        assert_int_equal(keys.items[1][i], 0xff);
    }
    config_key_text(keys.items[0], text);
    assert_string_equal(text, KEY_A);
    config_key_text(keys.items[1], text);
    assert_string_equal(text, KEY_B);
    config_keys_fini(&keys);
    assert_null(keys.items);
    config_keys_fini(&keys);
}

static void
test_bad_keys(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
    } rows[] = {
        { "", 0 },
        { "# nothing\n", 0 },
        { KEY_A "\nshort\n", 2 },
        { "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\n", 1 }, /* bits behind the last byte */
        { "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==\n", 1 }, /* 31 bytes */
        { "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n", 1 },
        { "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdH-8=\n", 1 },
        { KEY_A "\n" KEY_B "\n" KEY_A "\n", 3 },
        { KEY_A " x\n", 1 },
    };
    struct config_keys keys = { 0 };
    struct gs_buf many;

    (void)state;
    for (size_t i = 0; i < GS_COUNT(rows); i++) {
        assert_int_equal(load_keys(rows[i].text, &keys), GS_E_INVALID);
        assert_null(keys.items);
        assert_int_equal(only_error()->line, rows[i].line);
        assert_string_equal(only_error()->code, "GS0021");
        assert_null(strstr(only_error()->message, "AAEC")); /* a secret is not repeated */
    }
    assert_int_equal(config_load_keys("/nonexistent", &keys, &problems), GS_E_INVALID);
    gs_buf_init(&many, 8192);
    for (int i = 0; i < 17; i++)
        (void)gs_buf_printf(&many, "AA%cCAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n", 'A' + i);
    assert_int_equal(load_keys(gs_buf_cstr(&many), &keys), GS_E_INVALID);
    assert_int_equal(only_error()->line, 17);
    gs_buf_fini(&many);
}

/* Who reads the file is a node of the mesh. */
static void
test_key_file_modes(void **state)
{
    static const struct {
        mode_t mode;
        size_t errors, warnings;
    } rows[] = { { 0600, 0, 0 }, { 0400, 0, 0 }, { 0640, 0, 1 }, { 0644, 1, 0 }, { 0602, 1, 0 } };
    struct config_keys keys = { 0 };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(rows); i++) {
        write_file(GS_SLICE(KEY_A "\n"));
        assert_int_equal(chmod(file, rows[i].mode), 0);
        gs_problems_fini(&problems);
        gs_problems_init(&problems);
        assert_int_equal(config_load_keys(file, &keys, &problems),
                         rows[i].errors ? GS_E_INVALID : GS_E_OK);
        assert_int_equal(problems.errors, rows[i].errors);
        assert_int_equal(problems.warnings, rows[i].warnings);
        config_keys_fini(&keys);
        (void)unlink(file);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_files),
        TEST(test_a_file_too_large),
        TEST(test_precedence),
        TEST(test_bad_overrides),
        TEST(test_mistyped_variables),
        TEST(test_flag_parse),
        TEST(test_paths),
        TEST(test_no_home),
        TEST(test_long_runtime_dir),
        TEST(test_show_yaml),
        TEST(test_show_origin),
        TEST(test_help_names_every_key),
        TEST(test_keys),
        TEST(test_bad_keys),
        TEST(test_key_file_modes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
