/* check.c - how a failed assertion ends the process.
 *
 * gs_panic() may run with any lock held and the heap in any state, also inside a signal handler:
 * only write(2), memory on the stack and backtrace_symbols_fd() are used. */
#include <gossamer/check.h>

#include <execinfo.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gossamer/fsm.h>

#define PANIC_FRAMES_MAX 48

static _Thread_local int panicking;

/* The first backtrace() of a process loads libgcc, which allocates. Have it done before the heap
 * can be broken. */
__attribute__((constructor)) static void
load_unwinder(void)
{
    void *frame[1];

    (void)!backtrace(frame, 1);
}

static void
put(const char *s)
{
    (void)!write(STDERR_FILENO, s, strlen(s));
}

static void
put_number(int n)
{
    char text[12];
    size_t at = sizeof(text) - 1;
    unsigned u = n < 0 ? 0 : (unsigned)n;

    text[at] = '\0';
    do {
        text[--at] = (char)('0' + u % 10);
        u /= 10;
    } while (u > 0);
    put(text + at);
}

void
gs_panic(const char *file, int line, const char *what)
{
    void *frames[PANIC_FRAMES_MAX];
    int count;

    if (panicking++ > 0) /* a fault in here must not loop */
        abort();
    put("gossamer: assertion failed at ");
    put(file);
    put(":");
    put_number(line);
    put(": ");
    put(what);
    put("\nlast moves of this thread, oldest first:\n");
    gs_fsm_print_moves(STDERR_FILENO);
    put("backtrace:\n");
    count = backtrace(frames, PANIC_FRAMES_MAX);
    backtrace_symbols_fd(frames, count, STDERR_FILENO);
    abort();
}
