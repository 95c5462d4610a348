/* child.c - fork, exec, kill and waitpid, each by the pid of one child. */
#include "mesh/demo/child.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mesh/demo/watch.h"

#define EXIT_NOT_STARTED 127
#define REAP_STEP_NS 2000000

/* In the child, between fork and exec: only what POSIX allows there. */
GS_NORETURN static void
become(const struct child *c, const struct child_start *how, pid_t parent)
{
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out = open(c->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    (void)setpgid(0, 0);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(EXIT_NOT_STARTED); /* the demo died before it could be known */
    if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(EXIT_NOT_STARTED);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, how->signals, NULL);
    (void)execve(how->file, how->argv, how->env);
    _exit(EXIT_NOT_STARTED);
}

gs_err
child_start(struct child *c, const struct child_start *how, struct gs_why *why)
{
    pid_t parent = getpid();
    pid_t pid;

    GS_ASSERT(c->pid == 0);
    pid = fork();
    if (pid < 0)
        return gs_refuse(why, GS_E_IO, "cannot start %s: %s", c->name, strerror(errno));
    if (pid == 0)
        become(c, how, parent);
    (void)setpgid(pid, pid); /* both do it: neither may be too late */
    c->pid = pid;
    c->over = false;
    return GS_E_OK;
}

bool
child_over(struct child *c)
{
    if (c->pid > 0 && waitpid(c->pid, &c->status, WNOHANG) == c->pid) {
        c->pid = 0;
        c->over = true;
    }
    return c->over;
}

void
child_ending(const struct child *c, struct gs_why *out)
{
    GS_ASSERT(c->over);
    GS_ASSERT(c->pid == 0);
    if (WIFSIGNALED(c->status))
        (void)gs_refuse(out, GS_E_CLOSED, "%s was killed by signal %d", c->name,
                        WTERMSIG(c->status));
    else
        (void)gs_refuse(out, GS_E_CLOSED, "%s ended with status %d", c->name,
                        WEXITSTATUS(c->status));
}

void
child_signal(struct child *c, int signum)
{
    if (c->pid > 0 && !child_over(c))
        (void)kill(c->pid, signum);
}

/* SIGTERM ends one that has not come so far as to handle it. */
static bool
is_as_told(int status)
{
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           (WIFSIGNALED(status) && (WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGKILL));
}

bool
child_reap(struct child *c, uint64_t until_us)
{
    const struct timespec step = { .tv_nsec = REAP_STEP_NS };
    pid_t gone = 0;

    if (c->pid == 0)
        return true;
    while (gone == 0 && watch_now_us() < until_us) {
        gone = waitpid(c->pid, &c->status, WNOHANG);
        if (gone == 0)
            (void)nanosleep(&step, NULL);
    }
    if (gone == 0) {
        (void)kill(c->pid, SIGKILL);
        while ((gone = waitpid(c->pid, &c->status, 0)) < 0 && errno == EINTR)
            continue;
    }
    GS_ASSERT(gone == c->pid);
    c->pid = 0;
    c->over = !is_as_told(c->status);
    return !c->over;
}
