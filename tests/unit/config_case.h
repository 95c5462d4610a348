/* config_case.h - loading a configuration from a text, for the tests of it. */
#pragma once

#include "panics.h"

#include <stdlib.h>

#include <gossamer/buf.h>

#include "mesh/config/config.h"
#include "mesh/config/schema.h"

#define SERVICE "services:\n- name: a\n"
#define INSTANCE SERVICE "  instances:\n  - address: 127.0.0.1:9001\n"
#define EXTERNAL "external:\n- name: a\n  targets: [http://b]\n"

#define ROOT_ENV ((char *const *)NULL)

static struct gs_problems problems;
static struct config *config;
static char file[64];

static inline int
setup(void **state)
{
    (void)state;
    gs_problems_init(&problems);
    config = NULL;
    return 0;
}

static inline int
teardown(void **state)
{
    (void)state;
    config_free(config);
    gs_problems_fini(&problems);
    return 0;
}

static inline void
write_file(struct gs_slice text)
{
    int fd;

    (void)snprintf(file, sizeof(file), "/tmp/gossamer-test-XXXXXX");
    fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.ptr, text.len), text.len);
    assert_int_equal(close(fd), 0);
}

static inline gs_err
load_opts(const struct config_opts *opts)
{
    config_free(config);
    config = NULL;
    gs_problems_fini(&problems);
    gs_problems_init(&problems);
    return config_load(opts, &config, &problems);
}

static inline gs_err
load_all(const char *text, char *const *env, const struct config_flag *flags, size_t flag_count)
{
    struct config_opts opts = {
        .file = file, .env = env, .flags = flags, .flag_count = flag_count
    };
    gs_err e;

    write_file(gs_slice_str(text));
    e = load_opts(&opts);
    (void)unlink(file);
    return e;
}

static inline gs_err
load(const char *text)
{
    return load_all(text, ROOT_ENV, NULL, 0);
}

static inline void
show_problems(void)
{
    struct gs_buf out;

    gs_buf_init(&out, 1 << 20);
    for (size_t i = 0; i < problems.count; i++)
        gs_problem_print(&problems.items[i], &out);
    print_message("%s", gs_buf_cstr(&out));
    gs_buf_fini(&out);
}

static inline void
assert_loads(const char *text)
{
    if (load(text) != GS_E_OK) {
        show_problems();
        fail_msg("refused: %s", text);
    }
}

/* The one error among the findings. */
static inline const struct gs_problem *
only_error(void)
{
    const struct gs_problem *found = NULL;

    if (problems.errors != 1)
        show_problems();
    assert_int_equal(problems.errors, 1);
    for (size_t i = 0; i < problems.count; i++) {
        if (problems.items[i].severity == GS_SEV_ERROR)
            found = &problems.items[i];
    }
    assert_non_null(found);
    return found;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
