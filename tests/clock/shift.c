/* shift.c - preloaded into a program, it makes the wall clock wrong for it: CLOCK_SHIFT_MS in the
 * environment is added to what CLOCK_REALTIME, gettimeofday() and time() tell. CLOCK_MONOTONIC, by
 * which every timer runs, stays. The kernel is asked directly: nothing below us can be preloaded,
 * too, nor be a sanitizer's. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)

static int64_t
shift_ns(void)
{
    const char *text = getenv("CLOCK_SHIFT_MS");

    return text ? strtoll(text, NULL, 10) * (NS_PER_S / 1000) : 0;
}

static int
is_wall(clockid_t id)
{
    return id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE;
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
    int64_t ns;
    long rc = syscall(SYS_clock_gettime, id, ts);

    if (rc == 0 && is_wall(id)) {
        ns = ts->tv_sec * NS_PER_S + ts->tv_nsec + shift_ns();
        ts->tv_sec = ns / NS_PER_S;
        ts->tv_nsec = ns % NS_PER_S;
    }
    return (int)rc;
}

int
gettimeofday(struct timeval *tv, void *tz)
{
    struct timespec ts;

    (void)tz; /* obsolete, and nobody passes one */
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;
    return 0;
}

time_t
time(time_t *out)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_REALTIME, &ts);
    if (out)
        *out = ts.tv_sec;
    return ts.tv_sec;
}
