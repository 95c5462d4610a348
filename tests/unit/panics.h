/* panics.h - "this call must end the process by gs_panic", seen from a child process. */
#pragma once

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Runs fn in a child, checks that it aborts and that its report names `what`. */
static inline void
assert_panics(void (*fn)(void), const char *what)
{
    char report[16384];
    size_t len = 0;
    ssize_t n;
    int ends[2];
    int status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    (void)fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        (void)dup2(ends[1], STDERR_FILENO);
        (void)close(ends[0]);
        fn();
        _exit(0);
    }
    (void)close(ends[1]);
    while ((n = read(ends[0], report + len, sizeof(report) - 1 - len)) > 0)
        len += (size_t)n;
    report[len] = '\0';
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(report, what));
}
