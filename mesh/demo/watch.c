/* watch.c - signalfd, poll and the clock. */
#include "mesh/demo/watch.h"

#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <gossamer/check.h>

/* A blocked signal is queued even if it is ignored: nohup would have no effect. */
static bool
is_ignored(int signum)
{
    struct sigaction now;

    return sigaction(signum, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

void
watch_start(struct watch *w)
{
    sigset_t set;

    *w = (struct watch){ .fd = -1 };
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    if (!is_ignored(SIGHUP))
        (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGQUIT);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGWINCH);
    GS_ASSERT(sigprocmask(SIG_BLOCK, &set, &w->former) == 0);
    w->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    GS_ASSERT(w->fd >= 0);
    (void)signal(SIGPIPE, SIG_IGN); /* a closed pipe is found out when writing */
}

void
watch_end(struct watch *w)
{
    (void)watch_stopped(w); /* a second Ctrl-C was meant for what is over now */
    if (w->fd >= 0)
        (void)close(w->fd);
    w->fd = -1;
    (void)sigprocmask(SIG_SETMASK, &w->former, NULL);
}

bool
watch_stopped(struct watch *w)
{
    struct signalfd_siginfo info;

    while (w->fd >= 0 && read(w->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        w->resized = w->resized || info.ssi_signo == SIGWINCH;
        w->stopped = w->stopped || (info.ssi_signo != SIGCHLD && info.ssi_signo != SIGWINCH);
    }
    return w->stopped;
}

bool
watch_sleep(struct watch *w, int ms)
{
    struct pollfd p = { .fd = w->fd, .events = POLLIN };

    GS_ASSERT(w->fd >= 0);
    if (!watch_stopped(w))
        (void)poll(&p, 1, ms);
    return watch_stopped(w);
}

char
watch_key(struct watch *w, int ms)
{
    struct pollfd p[2] = { { .fd = w->fd, .events = POLLIN },
                           { .fd = STDIN_FILENO, .events = POLLIN } };
    char bytes[256];
    ssize_t n;

    if (watch_stopped(w) || poll(p, 2, ms) <= 0 || p[1].revents == 0) {
        (void)watch_stopped(w);
        return 0;
    }
    n = read(STDIN_FILENO, bytes, w->keys ? 1 : sizeof(bytes));
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
        w->stopped = true;
    return n > 0 ? bytes[0] : 0;
}

uint64_t
watch_now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}
