/* test_seal.c - the node's key and its file. */
#include <gossamer/seal.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char dir[64];
    char file[96];
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/test_seal.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->file, sizeof(f->file), "%s/node.key", f->dir);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    (void)unlink(f->file);
    (void)rmdir(f->dir);
    free(f);
    return 0;
}

static void
write_file(const char *path, const void *bytes, size_t len, mode_t mode)
{
    FILE *out = fopen(path, "wb");

    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void
a_key_is_made_once(void **state)
{
    struct fixture *f = *state;
    struct seal_key *made, *again;
    struct gs_id first, second;
    struct stat st;
    bool fresh = false;

    assert_int_equal(seal_key_load(f->dir, &made, &fresh, NULL), GS_E_OK);
    assert_true(fresh);
    assert_int_equal(stat(f->file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 32);
    assert_int_equal(seal_key_load(f->dir, &again, &fresh, NULL), GS_E_OK);
    assert_false(fresh);
    first = seal_key_id(made);
    second = seal_key_id(again);
    assert_true(gs_id_eq(&first, &second));
    seal_key_free(made);
    seal_key_free(again);
}

/* RFC 8032 7.1, test 1: seed, public key, signature of nothing. */
static void
the_file_is_the_seed_of_rfc_8032(void **state)
{
    static const uint8_t seed[] = {
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a,
        0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32,
        0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
    };
    static const uint8_t public_start[] = { 0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7 };
    static const uint8_t signature_start[] = { 0xe5, 0x56, 0x43, 0x00, 0xc3, 0x60, 0xac, 0x72 };
    struct fixture *f = *state;
    uint8_t signature[SEAL_SIGNATURE_BYTES];
    struct seal_key *k;
    bool fresh;

    write_file(f->file, seed, sizeof(seed), 0600);
    assert_int_equal(seal_key_load(f->dir, &k, &fresh, NULL), GS_E_OK);
    assert_memory_equal(seal_key_public(k), public_start, sizeof(public_start));
    seal_sign(k, GS_SLICE(""), signature);
    assert_memory_equal(signature, signature_start, sizeof(signature_start));
    seal_key_free(k);
}

static void
a_damaged_or_open_file_is_refused_and_kept(void **state)
{
    struct fixture *f = *state;
    struct seal_key *k = NULL;
    struct gs_why why;
    bool fresh;

    write_file(f->file, "short", 5, 0600);
    assert_int_equal(seal_key_load(f->dir, &k, &fresh, &why), GS_E_CORRUPT);
    assert_non_null(strstr(why.text, "node.key should hold 32 bytes"));
    assert_int_equal(access(f->file, F_OK), 0);
    write_file(f->file, "0123456789abcdef0123456789abcdef", 32, 0644);
    assert_int_equal(seal_key_load(f->dir, &k, &fresh, &why), GS_E_DENIED);
    assert_non_null(strstr(why.text, "chmod 600"));
    assert_int_equal(seal_key_load("/nonexistent/folder", &k, &fresh, &why), GS_E_IO);
    assert_null(k);
}

static void
signatures_are_of_one_key_and_one_text(void **state)
{
    struct seal_key *a = seal_key_new();
    struct seal_key *b = seal_key_new();
    uint8_t signature[SEAL_SIGNATURE_BYTES];

    (void)state;
    seal_sign(a, GS_SLICE("text"), signature);
    assert_true(seal_verify(seal_key_public(a), GS_SLICE("text"), signature));
    assert_false(seal_verify(seal_key_public(a), GS_SLICE("tex7"), signature));
    assert_false(seal_verify(seal_key_public(b), GS_SLICE("text"), signature));
    signature[10] ^= 1;
    assert_false(seal_verify(seal_key_public(a), GS_SLICE("text"), signature));
    seal_key_free(a);
    seal_key_free(b);
}

static void
hashes_are_sha256(void **state)
{
    static const uint8_t abc[] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea };
    struct gs_digest d = seal_digest(GS_SLICE("abc"));

    (void)state;
    assert_memory_equal(d.bytes, abc, sizeof(abc));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_is_made_once, setup, teardown),
        cmocka_unit_test_setup_teardown(the_file_is_the_seed_of_rfc_8032, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_or_open_file_is_refused_and_kept, setup,
                                        teardown),
        cmocka_unit_test(signatures_are_of_one_key_and_one_text),
        cmocka_unit_test(hashes_are_sha256),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
