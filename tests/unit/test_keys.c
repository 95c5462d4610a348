/* test_keys.c - where the keys of the mesh come from, and the address that others are told. */
#include "config_case.h"

#include <sys/stat.h>

#include "mesh/advertise.h"
#include "mesh/keys.h"

#define KEY_A "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static char dir[64];

static void
load_in_dir(const char *gossip)
{
    char text[512];

    (void)snprintf(text, sizeof(text), "state_dir: %s\ngossip: { %s }\n", dir, gossip);
    assert_loads(text);
}

static int
dir_setup(void **state)
{
    (void)snprintf(dir, sizeof(dir), "/tmp/gossamer-keys-XXXXXX");
    return mkdtemp(dir) && setup(state) == 0 ? 0 : -1;
}

static int
dir_teardown(void **state)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/" KEYS_FILE, dir);
    (void)unlink(path);
    assert_int_equal(rmdir(dir), 0); /* and nothing else was left there */
    return teardown(state);
}

static void
a_mesh_is_founded_once(void **state)
{
    struct seal_ring first = { .count = 0 }, second = { .count = 0 };
    struct gs_why why = { "" };
    char path[KEYS_PATH_MAX];
    bool founded = false;
    struct stat st;

    (void)state;
    load_in_dir("");
    assert_int_equal(keys_find(config, path), KEYS_MADE);
    assert_int_equal(keys_load(config, &first, &founded, &why), GS_E_OK);
    assert_true(founded);
    assert_int_equal(first.count, 1);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(keys_find(config, path), KEYS_KEPT);
    load_in_dir("join: [10.0.0.1:4190]"); /* and later it joins another member of its mesh */
    assert_int_equal(keys_load(config, &second, &founded, &why), GS_E_OK);
    assert_false(founded);
    assert_int_equal(second.count, 1);
    assert_memory_equal(&first.keys[0], &second.keys[0], sizeof(first.keys[0]));
}

static void
who_joins_needs_the_keys(void **state)
{
    struct seal_ring ring = { .count = 0 };
    struct gs_why why = { "" };
    bool founded = false;

    (void)state;
    load_in_dir("join: [10.0.0.1:4190]");
    assert_int_equal(keys_load(config, &ring, &founded, &why), GS_E_INVALID);
    assert_non_null(strstr(why.text, "copy a member's gossip.key_file"));
    assert_non_null(strstr(why.text, dir));
    assert_int_equal(ring.count, 0);
}

static void
a_file_that_is_wrong_is_named(void **state)
{
    struct seal_ring ring = { .count = 0 };
    struct gs_why why = { "" };
    bool founded = false;
    char gossip[128], keys[64];

    (void)state;
    write_file(GS_SLICE("# ours\n" KEY_A "\n"));
    (void)snprintf(keys, sizeof(keys), "%s", file);
    (void)snprintf(gossip, sizeof(gossip), "key_file: %s", keys);
    load_in_dir(gossip); /* reuses `file` */
    assert_int_equal(keys_load(config, &ring, &founded, &why), GS_E_OK);
    assert_int_equal(ring.count, 1);
    assert_int_equal(chmod(keys, 0644), 0);
    assert_int_equal(keys_load(config, &ring, &founded, &why), GS_E_INVALID);
    assert_non_null(strstr(why.text, "chmod 600"));
    assert_int_equal(unlink(keys), 0);
    assert_int_equal(keys_load(config, &ring, &founded, &why), GS_E_INVALID);
    assert_non_null(strstr(why.text, keys));
}

static void
the_address_that_others_are_told(void **state)
{
    static const struct {
        const char *gossip, *address, *how; /* address NULL: this machine's affair */
    } rows[] = {
        { "bind: 10.0.0.2:1", "10.0.0.2:1", "bind" },
        { "bind: 0.0.0.0:1, advertise: 192.0.2.1:9", "192.0.2.1:9", "given" },
        { "bind: 0.0.0.0:7, join: [127.0.0.9:1]", "127.0.0.1:7", "route" },
        { "bind: \"[::]:7\", join: [127.0.0.9:1]", "127.0.0.1:7", "route" },
        { "bind: 0.0.0.0:7", NULL, NULL },
    };
    char text[GS_ADDR_TEXT];

    (void)state;
    for (size_t i = 0; i < GS_COUNT(rows); i++) {
        const char *how = NULL;
        struct gs_addr a;

        load_in_dir(rows[i].gossip);
        a = advertise_find(config, &how);
        assert_non_null(how);
        assert_int_equal(a.family, 4);
        if (rows[i].address) {
            assert_string_equal(gs_addr_text(&a, text), rows[i].address);
            assert_string_equal(how, rows[i].how);
        } else {
            assert_int_equal(a.port, 7);
            assert_int_not_equal(a.ip[0], 0);
        }
    }
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_mesh_is_founded_once),
        TEST(who_joins_needs_the_keys),
        TEST(a_file_that_is_wrong_is_named),
        TEST(the_address_that_others_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
