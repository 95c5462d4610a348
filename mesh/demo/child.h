/* child.h - one process of the demo: started, noticed when it ends, stopped and reaped by its pid.
 * It stands in a process group of its own, so a Ctrl-C on the terminal reaches the demo alone,
 * which stops its children in order; and it is killed by the kernel when the demo dies. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <gossamer/check.h>
#include <gossamer/err.h>

struct child {
    const char *name; /* for people: "node n1", "tools v1 of n2" */
    const char *log;  /* file that takes its output; borrowed */
    pid_t pid;        /* 0: none */
    int status;       /* as of waitpid, once it is over */
    bool over;        /* reaped, and nobody has been told how it ended */
};

struct child_start {
    const char *file; /* "/proc/self/exe" */
    char *const *argv, *const *env;
    const sigset_t *signals; /* mask to give it: that of the demo holds more */
};

gs_err child_start(struct child *c, const struct child_start *how, struct gs_why *why)
    GS_MUST_CHECK;
/* Has it ended by itself? Reaps it then. */
bool child_over(struct child *c);
/* "node n1 ended with status 1", "... was killed by signal 9". */
void child_ending(const struct child *c, struct gs_why *out);
void child_signal(struct child *c, int signum); /* one that is over gets none */
/* Wait until it is gone, but when the clock (watch_now_us) has come to until_us, kill it. Any state
 * is fine.
 * returns false if it ended otherwise than by being told: child_ending() says how */
bool child_reap(struct child *c, uint64_t until_us);
