/* test_log.c - the shape of a line as text and JSON, escaping, and the limit per call site. The
 * program's standard error is a pipe meanwhile. */
#include "panics.h"

#include <regex.h>
#include <time.h>

#include <gossamer/log.h>

static char got[65536];
static int saved_stderr;
static int ends[2];

static void
capture(void)
{
    assert_int_equal(pipe(ends), 0);
    saved_stderr = dup(STDERR_FILENO);
    assert_true(saved_stderr >= 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    (void)close(ends[1]);
}

static void
release(void)
{
    size_t len = 0;
    ssize_t n;

    assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
    (void)close(saved_stderr);
    while ((n = read(ends[0], got + len, sizeof(got) - 1 - len)) > 0)
        len += (size_t)n;
    got[len] = '\0';
    (void)close(ends[0]);
}

static void
assert_line(const char *pattern)
{
    regex_t re;

    assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&re, got, 0, NULL, 0) != 0)
        fail_msg("\"%s\" does not match %s", got, pattern);
    regfree(&re);
}

static void
test_text_line(void **state)
{
    (void)state;
    gs_log_setup(GS_LOG_INFO, GS_LOG_TEXT);
    capture();
    LOG_INFO("member.suspect", "peer=%s inc=%d", "a2", 7);
    LOG_DEBUG("not.shown", "x=1");
    release();
    assert_line("^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}Z INFO  member\\.suspect "
                "peer=a2 inc=7\n$");
}

static void
test_json_line(void **state)
{
    (void)state;
    gs_log_setup(GS_LOG_DEBUG, GS_LOG_JSON);
    capture();
    LOG_DEBUG("a.b", "peer=%s why=\"%s\"  n=%d", "a2", "timed out = yes", 7);
    release();
    assert_line("^\\{\"time\":\"[0-9T:.-]+Z\",\"level\":\"debug\",\"event\":\"a\\.b\",\"peer\":"
                "\"a2\",\"why\":\"timed out = yes\",\"n\":\"7\"\\}\n$");
    capture();
    LOG_DEBUG("a.b", "free text = without shape");
    LOG_DEBUG("a.c", "open=\"no end");
    LOG_DEBUG("a.d", "%s", "");
    release();
    assert_line("\"event\":\"a\\.b\",\"text\":\"free text = without shape\"\\}\n");
    assert_line("\"event\":\"a\\.c\",\"open\":\"no end\"\\}\n");
    assert_line("\"event\":\"a\\.d\"\\}\n$");
}

static void
test_a_value_cannot_forge_a_line(void **state)
{
    (void)state;
    gs_log_setup(GS_LOG_INFO, GS_LOG_TEXT);
    capture();
    LOG_WARN("x.y", "name=%s", "evil\n2026 INFO fake\x1b[31m\x7f\xc2\x9b\xc2\xa0");
    release();
    assert_line(
        "^[^\n]* WARN  x\\.y name=evil\\\\n2026 INFO fake\\\\x1b\\[31m\\\\x7f\\\\x9b\xc2\xa0\n$");
}

static void
test_long_lines_are_cut(void **state)
{
    char text[8000];

    (void)state;
    memset(text, '\x01', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    gs_log_setup(GS_LOG_INFO, GS_LOG_JSON);
    capture();
    LOG_INFO("long.json", "v=%s", text);
    release();
    assert_true(strlen(got) <= 4096);
    assert_line("^\\{.*\\\\u0001\"\\}\n$");
    gs_log_setup(GS_LOG_INFO, GS_LOG_TEXT);
    capture();
    LOG_INFO("long.text", "v=%s", text);
    release();
    assert_true(strlen(got) <= 4096);
    assert_line("\n$");
}

static void
log_many(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        LOG_INFO("many", "i=%u", i);
}

static void
log_at_most_40(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        GS_LOG_AT_MOST(40, GS_LOG_INFO, "many", "i=%u", i);
}

static unsigned
lines(void)
{
    unsigned n = 0;

    for (const char *at = got; (at = strchr(at, '\n')); at++)
        n++;
    return n;
}

/* The clock is the system's: a round during which the second changed proves nothing and is done
 * again. */
static void
test_limit_per_site(void **state)
{
    struct timespec before, after;
    struct gs_log_site site = { 0 };

    (void)state;
    gs_log_setup(GS_LOG_INFO, GS_LOG_TEXT);
    do {
        (void)clock_gettime(CLOCK_REALTIME, &before);
        capture();
        log_many(25);
        release();
        (void)clock_gettime(CLOCK_REALTIME, &after);
    } while (before.tv_sec != after.tv_sec);
    assert_true(lines() <= 10);
    capture();
    log_at_most_40(100); /* within two seconds */
    release();
    assert_in_range(lines(), 40, 80);
    site.window_s = 1; /* a site that was noisy long ago */
    site.count = 25;
    site.suppressed = 15;
    capture();
    gs_log_write(&site, GS_LOG_INFO, "again", "i=%d", 1);
    gs_log_write(&site, GS_LOG_INFO, "again", "i=%d", 2);
    release();
    assert_line("again i=1 suppressed=15\n");
    assert_line("again i=2\n");
}

static void
test_levels(void **state)
{
    (void)state;
    gs_log_set_level(GS_LOG_WARN);
    assert_true(gs_log_on(GS_LOG_ERROR));
    assert_true(gs_log_on(GS_LOG_WARN));
    assert_false(gs_log_on(GS_LOG_INFO));
    gs_log_set_level(GS_LOG_DEBUG);
    assert_true(gs_log_on(GS_LOG_DEBUG));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_line),
        cmocka_unit_test(test_json_line),
        cmocka_unit_test(test_a_value_cannot_forge_a_line),
        cmocka_unit_test(test_long_lines_are_cut),
        cmocka_unit_test(test_limit_per_site),
        cmocka_unit_test(test_levels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
