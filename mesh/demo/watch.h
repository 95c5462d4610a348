/* watch.h - what the demo waits on besides its own work: signals, taken at chosen places only (they
 * are blocked and read from a descriptor), so that there is no moment at which one could leave
 * something behind; and the keys of whoever watches. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct watch {
    int fd;          /* readable: call watch_stopped */
    sigset_t former; /* mask before */
    bool stopped;    /* somebody wants the end: SIGINT, SIGTERM, SIGHUP or SIGQUIT came */
    bool resized;    /* SIGWINCH came; whoever cares clears it */
    bool keys;       /* standard input gives single keys, not lines */
};

void watch_start(struct watch *w);
void watch_end(struct watch *w);
/* Take what came; SIGCHLD only wakes. */
bool watch_stopped(struct watch *w);
/* Sleep for so long, or until something came; returns watch_stopped. */
bool watch_sleep(struct watch *w, int ms);
/* The same, or until there is a key, or a line, of which the first character counts; 0 if there was
 * none. A closed standard input counts as a wish for the end. */
char watch_key(struct watch *w, int ms);

uint64_t watch_now_us(void); /* monotonic */
