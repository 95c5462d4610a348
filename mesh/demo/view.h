/* view.h - what the live table shows: each node as the others see it and as it says itself, once a
 * second. */
#pragma once

#include <gossamer/buf.h>

#include "mesh/demo/peek.h"

#define VIEW_SAMPLES 4 /* rates are of so many seconds, less one */

struct view_sample {
    uint64_t at_us, requests, failed, cpu_us;
};

struct view_node {
    bool running, answers;
    unsigned alive, suspect, dead; /* for how many of the others that run */
    unsigned peers;                /* that it sees alive */
    struct peek_policy policy;
    double rps, success, p99_ms, cpu_percent; /* success: of 1, as cpu_percent of 100 */
    uint64_t rss_bytes;
    struct view_sample samples[VIEW_SAMPLES]; /* of the present process, the latest first */
    unsigned sample_count;
    long pid;
};

struct view {
    unsigned count;
    struct view_node nodes[SCRIPT_NODES_MAX];
};

void view_refresh(struct view *v, struct stage *s);
/* Do all that run answer, list each other as alive and have one version of the route? */
bool view_is_whole(const struct view *v);
/* "alive", "suspect", "dead for 2 of 4", "killed". */
const char *view_state(const struct view *v, unsigned node, char out[32]);
/* A table of at most so many columns of text: what matters least is left out first. */
void view_render(const struct view *v, unsigned width, bool colour, struct gs_buf *out);
