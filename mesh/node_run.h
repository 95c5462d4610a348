/* node_run.h - running a node until it is told to stop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <gossamer/err.h>

struct config;
struct config_opts;

struct node_run_options {
    uint32_t workers;                 /* 1..WORKERS_MAX */
    bool one_thread;                  /* everything on one loop; workers is 1 */
    bool faults;                      /* it may be told to drop what others send (mesh/faults.h) */
    const struct config_opts *source; /* how the configuration was read, to read it again */
};

/* Blocks. c changes with reloads. GS_E_OK after an orderly stop; else it did not start, and why
 * says what to do. */
gs_err node_run(struct config *c, const struct node_run_options *o, struct gs_why *why)
    __attribute__((warn_unused_result));
