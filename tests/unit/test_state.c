/* test_state.c - state files: whole, or known not to be. */
#include "mesh/state.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <gossamer/rng.h>

#define NOW UINT64_C(1732000000000)

struct fixture {
    char dir[64];
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/test_state.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    *state = f;
    return 0;
}

static const char *
path_of(const struct fixture *f, const char *name)
{
    static char path[4096];

    (void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    return path;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    DIR *d = opendir(f->dir);
    struct dirent *entry;

    assert_non_null(d);
    while ((entry = readdir(d))) {
        if (unlink(path_of(f, entry->d_name)) != 0 && entry->d_name[0] != '.')
            (void)rmdir(path_of(f, entry->d_name));
    }
    (void)closedir(d);
    assert_int_equal(rmdir(f->dir), 0);
    free(f);
    return 0;
}

/* Three frames, one of them of a kind nobody knows, one empty. */
static struct gs_slice
sample(struct state_writer *w)
{
    struct gs_slice bytes;

    state_writer_init(w, STATE_MESH);
    state_put(w, 1, GS_SLICE("first"));
    state_put(w, 4711, GS_SLICE("from a later version"));
    state_put(w, 2, GS_SLICE(""));
    assert_int_equal(state_end(w, &bytes), GS_E_OK);
    return bytes;
}

static void
frames_come_back_in_order(void **state)
{
    struct state_writer w;
    struct state_file f;

    (void)state;
    assert_int_equal(state_parse(sample(&w), STATE_MESH, &f, NULL), GS_E_OK);
    assert_int_equal(f.count, 3);
    assert_int_equal(f.frames[0].kind, 1);
    assert_true(gs_slice_eq(f.frames[0].bytes, GS_SLICE("first")));
    assert_int_equal(f.frames[1].kind, 4711);
    assert_true(gs_slice_eq(f.frames[1].bytes, GS_SLICE("from a later version")));
    assert_int_equal(f.frames[2].bytes.len, 0);
    state_file_fini(&f);
    state_writer_fini(&w);
}

/* The bytes of format 1. */
static void
golden_file(void **state)
{
    static const char expected[] = "GSMRSTAT\x01\0\0\0\x01\0\0\0";
    struct state_writer w;
    struct gs_slice bytes;

    (void)state;
    state_writer_init(&w, STATE_MESH);
    state_put(&w, 1, GS_SLICE("ab"));
    assert_int_equal(state_end(&w, &bytes), GS_E_OK);
    assert_int_equal(bytes.len, 20 + 12 + 14);
    assert_memory_equal(bytes.ptr, expected, 16);
    assert_memory_equal(bytes.ptr + 20, "\x02\0\0\0", 4);
    assert_memory_equal(bytes.ptr + 28, "\x01\0ab", 4);
    assert_memory_equal(bytes.ptr + 32, "\x04\0\0\0", 4);
    assert_memory_equal(bytes.ptr + 40, "\xff\xff\x01\0\0\0", 6);
    state_writer_fini(&w);
}

/* A copy of exactly that size, so that a sanitizer sees the first byte read too many. */
static gs_err
parse_copy(const char *bytes, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);
    struct state_file f = { 0 };
    struct gs_why why = { "" };
    gs_err e;

    memcpy(copy, bytes, len);
    e = state_parse(gs_slice(copy, len), STATE_MESH, &f, &why);
    assert_true(e == GS_E_OK || why.text[0] != '\0');
    state_file_fini(&f);
    free(copy);
    return e;
}

static void
a_file_cut_anywhere_is_noticed(void **state)
{
    struct state_writer w;
    struct gs_slice bytes = sample(&w);

    (void)state;
    for (size_t len = 0; len < bytes.len; len++)
        assert_int_equal(parse_copy(bytes.ptr, len), GS_E_CORRUPT);
    assert_int_equal(parse_copy(bytes.ptr, bytes.len), GS_E_OK);
    state_writer_fini(&w);
}

static void
every_altered_bit_is_noticed(void **state)
{
    struct state_writer w;
    struct gs_slice bytes = sample(&w);
    char *copy = malloc(bytes.len + 1);

    (void)state;
    for (size_t i = 0; i < bytes.len * 8; i++) {
        memcpy(copy, bytes.ptr, bytes.len);
        copy[i / 8] = (char)(copy[i / 8] ^ (1 << i % 8));
        assert_int_equal(parse_copy(copy, bytes.len), GS_E_CORRUPT);
    }
    for (unsigned byte = 0; byte < 256; byte++) { /* whole bytes too */
        size_t at = byte % bytes.len;

        memcpy(copy, bytes.ptr, bytes.len);
        copy[at] = (char)byte;
        assert_int_equal(parse_copy(copy, bytes.len),
                         copy[at] == bytes.ptr[at] ? GS_E_OK : GS_E_CORRUPT);
    }
    memcpy(copy, bytes.ptr, bytes.len);
    copy[bytes.len] = 'x';
    assert_int_equal(parse_copy(copy, bytes.len + 1), GS_E_CORRUPT);
    free(copy);
    state_writer_fini(&w);
}

static void
a_frame_left_out_is_noticed(void **state)
{
    struct state_writer w;
    struct gs_slice bytes = sample(&w);
    char *copy = malloc(bytes.len);
    size_t first = 20 + 10 + 5;

    (void)state;
    memcpy(copy, bytes.ptr, 20);
    memcpy(copy + 20, bytes.ptr + first, bytes.len - first);
    assert_int_equal(parse_copy(copy, bytes.len - (first - 20)), GS_E_CORRUPT);
    free(copy);
    state_writer_fini(&w);
}

static void
other_formats_and_types_are_not_read(void **state)
{
    struct state_writer w;
    struct gs_slice bytes = sample(&w);
    struct state_file f = { 0 };
    char *copy = malloc(bytes.len);
    uint32_t crc;

    (void)state;
    assert_int_equal(state_parse(bytes, STATE_NODE, &f, NULL), GS_E_CORRUPT);
    memcpy(copy, bytes.ptr, bytes.len);
    copy[8] = 2; /* format 2, whole */
    crc = gs_crc32c(0, copy, 16);
    memcpy(copy + 16, &crc, 4);
    assert_int_equal(parse_copy(copy, bytes.len), GS_E_UNSUPPORTED);
    free(copy);
    state_writer_fini(&w);
}

static void
what_is_saved_is_loaded(void **state)
{
    struct fixture *f = *state;
    struct state_writer w;
    struct state_file loaded;
    struct gs_why why;
    struct stat st;

    assert_int_equal(state_load(f->dir, "mesh.state", STATE_MESH, NOW, &loaded, &why),
                     GS_E_NOT_FOUND);
    assert_int_equal(state_save(f->dir, "mesh.state", sample(&w), &why), GS_E_OK);
    assert_int_equal(state_save(f->dir, "mesh.state", gs_buf_slice(&w.out), &why), GS_E_OK);
    assert_int_equal(stat(path_of(f, "mesh.state"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_not_equal(access(path_of(f, "mesh.state.tmp"), F_OK), 0);
    assert_int_equal(state_load(f->dir, "mesh.state", STATE_MESH, NOW, &loaded, &why), GS_E_OK);
    assert_int_equal(loaded.count, 3);
    assert_true(gs_slice_eq(loaded.frames[0].bytes, GS_SLICE("first")));
    state_file_fini(&loaded);
    state_writer_fini(&w);
}

static void
a_bad_file_is_set_aside(void **state)
{
    struct fixture *f = *state;
    struct state_writer w;
    struct gs_slice bytes = sample(&w);
    struct state_file loaded = { 0 };
    struct gs_why why;

    assert_int_equal(state_save(f->dir, "mesh.state", gs_slice_head(bytes, 40), NULL), GS_E_OK);
    assert_int_equal(state_load(f->dir, "mesh.state", STATE_MESH, NOW, &loaded, &why),
                     GS_E_CORRUPT);
    assert_non_null(strstr(why.text, "mesh.state.bad.1732000000000"));
    assert_int_equal(access(path_of(f, "mesh.state.bad.1732000000000"), F_OK), 0);
    assert_int_equal(state_load(f->dir, "mesh.state", STATE_MESH, NOW, &loaded, &why),
                     GS_E_NOT_FOUND);
    state_writer_fini(&w);
}

static void
a_file_too_large_is_set_aside_unread(void **state)
{
    struct fixture *f = *state;
    struct state_file loaded = { 0 };
    struct gs_why why;
    FILE *out = fopen(path_of(f, "mesh.state"), "wb");

    assert_non_null(out);
    assert_int_equal(ftruncate(fileno(out), (off_t)STATE_BYTES_MAX + 1), 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(state_load(f->dir, "mesh.state", STATE_MESH, NOW, &loaded, &why),
                     GS_E_TOO_LARGE);
    assert_non_null(strstr(why.text, "set aside"));
}

static size_t
bad_files(const struct fixture *f, const char *name)
{
    DIR *d = opendir(f->dir);
    const struct dirent *e;
    size_t count = 0;

    assert_non_null(d);
    while ((e = readdir(d)))
        count += strncmp(e->d_name, name, strlen(name)) == 0 && strstr(e->d_name, ".bad.");
    (void)closedir(d);
    return count;
}

static void
make_odd(const char *path, int kind)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int fd;

    switch (kind) {
    case 0:
        assert_int_equal(mkdir(path, 0700), 0);
        break;
    case 1:
        assert_int_equal(mkfifo(path, 0600), 0);
        break;
    case 2:
        assert_int_equal(symlink("nowhere", path), 0);
        break;
    case 3:
        assert_int_equal(symlink("mesh.state", path), 0); /* itself */
        break;
    case 4:
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        (void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%.100s", path);
        assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
        close(fd);
        break;
    default:
        assert_int_equal(symlink("/dev/zero", path), 0);
    }
}

/* Whatever stands there, it is out of the way afterwards: a save must not fail for it. */
static void
what_is_no_file_is_set_aside(void **state)
{
    struct fixture *f = *state;
    struct state_file loaded = { 0 };
    struct state_writer w;
    struct gs_why why;

    for (int kind = 0; kind < 6; kind++) {
        make_odd(path_of(f, "mesh.state"), kind);
        assert_int_equal(state_load(f->dir, "mesh.state", STATE_MESH, NOW, &loaded, &why), GS_E_IO);
        assert_non_null(strstr(why.text, "set aside as"));
        assert_int_equal(state_save(f->dir, "mesh.state", sample(&w), &why), GS_E_OK);
        state_writer_fini(&w);
        assert_int_equal(state_load(f->dir, "mesh.state", STATE_MESH, NOW, &loaded, &why), GS_E_OK);
        state_file_fini(&loaded);
        assert_int_equal(unlink(path_of(f, "mesh.state")), 0);
    }
    assert_int_equal(bad_files(f, "mesh.state"), STATE_BAD_KEPT_MAX);
    assert_int_equal(state_save("/nonexistent", "mesh.state", GS_SLICE("x"), &why), GS_E_IO);
    assert_non_null(strstr(why.text, "cannot be written"));
}

/* The newest stay, and nobody else's. */
static void
few_bad_files_are_kept(void **state)
{
    struct fixture *f = *state;
    struct state_file loaded = { 0 };
    struct gs_why why;

    assert_int_equal(state_save(f->dir, "node.state.bad.1", GS_SLICE("x"), NULL), GS_E_OK);
    assert_int_equal(state_save(f->dir, "mesh.state.bad.old", GS_SLICE("x"), NULL), GS_E_OK);
    assert_int_equal(mkdir(path_of(f, "mesh.state.bad.2"), 0700), 0);
    for (uint64_t i = 0; i < 3 * STATE_BAD_KEPT_MAX; i++) {
        assert_int_equal(state_save(f->dir, "mesh.state", GS_SLICE("junk"), NULL), GS_E_OK);
        assert_int_equal(state_load(f->dir, "mesh.state", STATE_MESH, NOW - i / 2, &loaded, &why),
                         GS_E_CORRUPT);
    }
    assert_int_equal(bad_files(f, "mesh.state"), STATE_BAD_KEPT_MAX + 1); /* "old" is not ours */
    assert_int_equal(access(path_of(f, strrchr(why.text, ' ') + 1), F_OK), 0);
    assert_int_equal(access(path_of(f, "node.state.bad.1"), F_OK), 0);
    assert_int_equal(access(path_of(f, "mesh.state.bad.old"), F_OK), 0);
    assert_int_not_equal(access(path_of(f, "mesh.state.bad.2"), F_OK), 0);
}

/* What the next save would leave out is still to be had. */
static void
a_good_file_may_be_kept_too(void **state)
{
    struct fixture *f = *state;
    struct state_file loaded;
    struct state_writer w;
    struct gs_why why = { "" };

    assert_int_equal(state_save(f->dir, "mesh.state", sample(&w), NULL), GS_E_OK);
    state_keep(f->dir, "mesh.state", NOW, &why);
    assert_non_null(strstr(why.text, "kept as"));
    assert_int_equal(state_save(f->dir, "mesh.state", GS_SLICE("other"), NULL), GS_E_OK);
    assert_int_equal(
        state_load(f->dir, "mesh.state.bad.1732000000000", STATE_MESH, NOW, &loaded, &why),
        GS_E_OK);
    assert_int_equal(loaded.count, 3);
    state_file_fini(&loaded);
    state_writer_fini(&w);
    state_keep(f->dir, "nothing", NOW, &why);
    assert_non_null(strstr(why.text, "cannot be kept"));
}

/* The power goes between any two system calls: the old file or the new one, never none. */
static void
a_leftover_temporary_file_is_no_obstacle(void **state)
{
    struct fixture *f = *state;
    struct state_writer w;
    struct state_file loaded;

    assert_int_equal(state_save(f->dir, "mesh.state.tmp", GS_SLICE("torn"), NULL), GS_E_OK);
    assert_int_equal(state_save(f->dir, "mesh.state", sample(&w), NULL), GS_E_OK);
    state_writer_fini(&w);
    assert_int_equal(mkdir(path_of(f, "mesh.state.tmp"), 0700), 0);
    assert_int_equal(state_save(f->dir, "mesh.state", sample(&w), NULL), GS_E_OK);
    state_writer_fini(&w);
    assert_int_equal(symlink("/nowhere/x", path_of(f, "mesh.state.tmp")), 0);
    assert_int_equal(state_save(f->dir, "mesh.state", sample(&w), NULL), GS_E_OK);
    assert_int_equal(state_load(f->dir, "mesh.state", STATE_MESH, NOW, &loaded, NULL), GS_E_OK);
    state_file_fini(&loaded);
    state_writer_fini(&w);
}

static void
node_state_round_trip(void **state)
{
    struct state_node n = { UINT64_C(0x010203040506), 9, UINT64_C(0x7fffffffffffffff) };
    struct state_node read = { 0 };
    struct state_writer w;
    struct state_file f;
    struct gs_slice bytes;

    (void)state;
    state_writer_init(&w, STATE_NODE);
    state_put_node(&w, &n);
    assert_int_equal(state_end(&w, &bytes), GS_E_OK);
    assert_int_equal(state_parse(bytes, STATE_NODE, &f, NULL), GS_E_OK);
    assert_int_equal(state_read_node(&f, &read, NULL), GS_E_OK);
    assert_int_equal(read.boot, n.boot);
    assert_int_equal(read.incarnation, 9);
    assert_true(read.hlc == n.hlc);
    state_file_fini(&f);
    assert_int_equal(state_read_node(&f, &read, NULL), GS_E_CORRUPT);
    state_writer_fini(&w);
}

/* A file that is whole may still be nonsense: the core takes such numbers for granted. */
static void
numbers_of_no_node_are_refused(void **state)
{
    static const struct state_node odd[] = {
        { BOOT_MAX, 1, 1 },   { UINT64_MAX, 1, 1 },        { 1, UINT64_C(1) << 32, 1 },
        { 1, 1, UINT64_MAX }, { 1, 1, UINT64_C(1) << 63 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct state_node read = { 7, 7, 7 };
        struct state_writer w;
        struct state_file f;
        struct gs_slice bytes;

        state_writer_init(&w, STATE_NODE);
        state_put_node(&w, &odd[i]);
        assert_int_equal(state_end(&w, &bytes), GS_E_OK);
        assert_int_equal(state_parse(bytes, STATE_NODE, &f, NULL), GS_E_OK);
        assert_int_equal(state_read_node(&f, &read, NULL), GS_E_CORRUPT);
        assert_int_equal(read.boot, 0);
        state_file_fini(&f);
        state_writer_fini(&w);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_back_in_order),
        cmocka_unit_test(golden_file),
        cmocka_unit_test(a_file_cut_anywhere_is_noticed),
        cmocka_unit_test(every_altered_bit_is_noticed),
        cmocka_unit_test(a_frame_left_out_is_noticed),
        cmocka_unit_test(other_formats_and_types_are_not_read),
        cmocka_unit_test_setup_teardown(what_is_saved_is_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bad_file_is_set_aside, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_too_large_is_set_aside_unread, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_file_is_set_aside, setup, teardown),
        cmocka_unit_test_setup_teardown(few_bad_files_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_good_file_may_be_kept_too, setup, teardown),
        cmocka_unit_test_setup_teardown(a_leftover_temporary_file_is_no_obstacle, setup, teardown),
        cmocka_unit_test(node_state_round_trip),
        cmocka_unit_test(numbers_of_no_node_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
