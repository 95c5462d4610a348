/* test_cli_http.c - the command line's one request, against a node played by a child process.
 *
 *     cli_http ──request──▶ child: reads what it is told to, says a line of the script, closes
 *              ◀──answer── */
#include "panics.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "mesh/cli/cli.h"

static char path[108];
static int listener = -1;
static pid_t child;
static int seen[2]; /* the child writes here what it was asked */

static int
setup(void **state)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    char dir[] = "/tmp/gossamer-test-XXXXXX";

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/s", dir);
    (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&un, sizeof(un)), 0);
    assert_int_equal(listen(listener, 4), 0);
    child = 0;
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    if (child > 0) {
        (void)kill(child, SIGKILL);
        (void)waitpid(child, NULL, 0);
        (void)close(seen[0]);
    }
    (void)close(listener);
    (void)unlink(path);
    *strrchr(path, '/') = '\0';
    (void)rmdir(path);
    return 0;
}

/* The node says `answer` once it has read `bytes` of the request, then waits to be left if
 * `silent`, else closes. */
static void
play(const char *answer, size_t len, size_t bytes, bool silent)
{
    assert_int_equal(pipe(seen), 0);
    (void)fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int fd = accept(listener, NULL, NULL);
        char text[65536];
        size_t have = 0;

        while (have < bytes) {
            ssize_t n = read(fd, text + have, sizeof(text) - have);

            if (n <= 0)
                break;
            have += (size_t)n;
        }
        (void)!write(seen[1], text, have);
        (void)close(seen[1]);
        for (size_t at = 0; at < len; at += 7) /* in small pieces */
            (void)!write(fd, answer + at, len - at < 7 ? len - at : 7);
        while (silent && read(fd, text, sizeof(text)) > 0)
            continue;
        _exit(0);
    }
    (void)close(seen[1]);
}

static gs_err
ask(const char *method, const char *body, struct cli_answer *a, struct gs_why *why)
{
    return cli_http(path, method, "/api/v1/x?y=1", gs_slice_str(body), 5000, a, why);
}

#define PLAY(text, silent) play(text, sizeof(text) - 1, 1, silent)

static void
test_length(void **state)
{
    struct cli_answer a;
    struct gs_why why;
    char text[4096];
    ssize_t n;

    (void)state;
    PLAY("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", true);
    assert_int_equal(ask("GET", "", &a, &why), GS_E_OK);
    assert_int_equal(a.status, 200);
    assert_string_equal(gs_buf_cstr(&a.body), "hello");
    gs_buf_fini(&a.body);
    n = read(seen[0], text, sizeof(text) - 1);
    assert_true(n > 0);
    text[n] = '\0';
    assert_string_equal(text, "GET /api/v1/x?y=1 HTTP/1.1\r\nhost: localhost\r\n"
                              "connection: close\r\n\r\n");
}

static void
test_chunked_after_interim(void **state)
{
    struct cli_answer a;
    struct gs_why why;

    (void)state;
    PLAY("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 409 Conflict\r\ntransfer-encoding: chunked\r\n\r\n"
         "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
         true);
    assert_int_equal(ask("GET", "", &a, &why), GS_E_OK);
    assert_int_equal(a.status, 409);
    assert_string_equal(gs_buf_cstr(&a.body), "abcde");
    gs_buf_fini(&a.body);
}

static void
test_until_close(void **state)
{
    struct cli_answer a;
    struct gs_why why;

    (void)state;
    PLAY("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nto the end", false);
    assert_int_equal(ask("GET", "", &a, &why), GS_E_OK);
    assert_string_equal(gs_buf_cstr(&a.body), "to the end");
    gs_buf_fini(&a.body);
}

static void
test_no_body(void **state)
{
    struct cli_answer a;
    struct gs_why why;

    (void)state;
    PLAY("HTTP/1.1 204 No Content\r\n\r\n", true);
    assert_int_equal(ask("GET", "", &a, &why), GS_E_OK);
    assert_int_equal(a.status, 204);
    assert_int_equal(a.body.len, 0);
    gs_buf_fini(&a.body);
}

static void
test_request_with_body(void **state)
{
    static const char request[] = "POST /api/v1/x?y=1 HTTP/1.1\r\nhost: localhost\r\n"
                                  "content-length: 7\r\nconnection: close\r\n\r\nkind: X";
    static const char answer[] = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    struct cli_answer a;
    struct gs_why why;
    char text[4096];
    ssize_t n;

    (void)state;
    play(answer, sizeof(answer) - 1, sizeof(request) - 1, true);
    assert_int_equal(ask("POST", "kind: X", &a, &why), GS_E_OK);
    gs_buf_fini(&a.body);
    n = read(seen[0], text, sizeof(text) - 1);
    assert_int_equal(n, sizeof(request) - 1);
    assert_memory_equal(text, request, sizeof(request) - 1);
}

/* A node that refuses a large body before it has read it: its answer is what counts. */
static void
test_refused_early(void **state)
{
    static char large[4 << 20];
    struct cli_answer a;
    struct gs_why why;

    (void)state;
    memset(large, 'x', sizeof(large) - 1);
    PLAY("HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig", false);
    if (ask("POST", large, &a, &why) == GS_E_OK) { /* a reset may have overtaken it */
        assert_int_equal(a.status, 413);
        gs_buf_fini(&a.body);
    }
}

static void
test_bad_answers(void **state)
{
    static const struct {
        const char *text;
        gs_err e;
    } rows[] = {
        { "", GS_E_IO },
        { "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", GS_E_IO },
        { "HTTP/1.1 200 OK\r\ncontent-len", GS_E_IO },
        { "SSH-2.0-OpenSSH\r\n\r\n", GS_E_MALFORMED },
        { "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx", GS_E_MALFORMED },
        { "HTTP/1.1 100 Continue\r\n\r\n", GS_E_IO },
    };
    struct cli_answer a;
    struct gs_why why;

    for (size_t i = 0; i < GS_COUNT(rows); i++) {
        play(rows[i].text, strlen(rows[i].text), 1, false);
        assert_int_equal(ask("GET", "", &a, &why), rows[i].e);
        assert_true(strlen(why.text) > 0);
        (void)teardown(state);
        (void)setup(state);
    }
}

static void
test_silence(void **state)
{
    struct cli_answer a;
    struct gs_why why;

    (void)state;
    PLAY("HTTP/1.1 200 OK\r\n", true);
    assert_int_equal(cli_http(path, "GET", "/", GS_SLICE_NONE, 50, &a, &why), GS_E_TIMEOUT);
}

static void
test_nobody(void **state)
{
    struct cli_answer a;
    struct gs_why why;
    char far[200];

    (void)state;
    (void)close(listener);
    listener = -1;
    assert_int_equal(ask("GET", "", &a, &why), GS_E_NOT_FOUND); /* a socket left behind */
    assert_int_equal(cli_http("/nonexistent/s", "GET", "/", GS_SLICE_NONE, 1000, &a, &why),
                     GS_E_NOT_FOUND);
    memset(far, 'x', sizeof(far) - 1);
    far[sizeof(far) - 1] = '\0';
    assert_int_equal(cli_http(far, "GET", "/", GS_SLICE_NONE, 1000, &a, &why), GS_E_IO);
}

static void
test_exit_codes(void **state)
{
    struct gs_why why = { "why" };
    int saved = dup(STDERR_FILENO);
    FILE *quiet = tmpfile();

    (void)state;
    assert_non_null(quiet);
    (void)fflush(stderr);
    assert_true(dup2(fileno(quiet), STDERR_FILENO) >= 0);
    assert_int_equal(cli_unreachable(GS_E_NOT_FOUND, path, &why), CLI_UNREACHABLE);
    assert_int_equal(cli_unreachable(GS_E_DENIED, path, &why), CLI_UNREACHABLE);
    assert_int_equal(cli_unreachable(GS_E_IO, path, &why), CLI_UNREACHABLE);
    assert_int_equal(cli_unreachable(GS_E_TIMEOUT, path, &why), CLI_TIMEOUT);
    (void)fflush(stderr);
    (void)dup2(saved, STDERR_FILENO);
    (void)close(saved);
    (void)fclose(quiet);
}

static void
test_socket_choice(void **state)
{
    struct gs_arena arena;

    (void)state;
    gs_arena_init(&arena, NULL, 0, 1024);
    (void)setenv("GOSSAMER_SOCKET", "/from/env", 1);
    assert_string_equal(cli_socket("/given", &arena), "/given");
    assert_string_equal(cli_socket(NULL, &arena), "/from/env");
    (void)unsetenv("GOSSAMER_SOCKET");
    assert_non_null(strstr(cli_socket(NULL, &arena), "admin.sock"));
    gs_arena_fini(&arena);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_length),
        TEST(test_chunked_after_interim),
        TEST(test_until_close),
        TEST(test_no_body),
        TEST(test_request_with_body),
        TEST(test_refused_early),
        TEST(test_bad_answers),
        TEST(test_silence),
        TEST(test_nobody),
        TEST(test_exit_codes),
        TEST(test_socket_choice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
