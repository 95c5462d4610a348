/* watch.h - how long something takes to reach everybody. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gossamer/gossip.h>

struct host;
struct world;

#define WATCHES_MAX 64

enum watch_kind {
    WATCH_STATE, /* `subject` is in `state` at `boot` or later, for all who are up */
    WATCH_WRITE, /* `hash`, or something later under its key, is held by all who are up */
};

struct watch {
    bool active;
    enum watch_kind kind;
    uint32_t subject; /* host or key */
    enum gossip_state state;
    uint64_t boot;
    struct gs_version version;
    uint64_t since_ns;
    uint8_t *done; /* by host */
    uint32_t missing, half;
    uint32_t tag;
};

struct samples { /* nanoseconds */
    uint64_t *ns;
    size_t count, cap;
};

#define WATCH_TAGS 3 /* so that a scenario can tell its phases apart */

struct watches {
    struct watch items[WATCHES_MAX];
    uint32_t tag;                                     /* of those started from now on */
    struct samples all[WATCH_TAGS], half[WATCH_TAGS]; /* until the last, until half of them knew */
    uint32_t unfinished; /* given up: the subject changed again, or time was over */
};

void watches_fini(struct watches *s);
/* Begin now. A watch of the same subject that is not done yet is given up. */
void watch_state(struct world *w, uint32_t subject, enum gossip_state state, uint64_t boot);
void watch_write(struct world *w, uint32_t key, const struct gs_version *version, uint32_t by);
void watch_on_node(struct world *w, struct host *h, const struct gossip_node *n, uint32_t subject);
void watch_on_record(struct world *w, struct host *h, uint32_t key, const struct gs_version *v);
/* h is not among those who must know any more. */
void watch_host_down(struct world *w, const struct host *h);

void sample_add(struct samples *s, uint64_t ns);
uint64_t sample_quantile(struct samples *s, double q); /* sorts; 0 when empty */
/* "p50 0.71 p99 2.20 max 2.31 s (20)" */
const char *samples_text(struct samples *s, char out[96]);
