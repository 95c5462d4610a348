/* node_dir.h - the state directory of a running node: made, locked, and node.state in it. */
#pragma once

#include <stdint.h>

#include <gossamer/err.h>

#include "mesh/state.h"

/* Make it, with its parents, and lock it. *fd holds the lock until it is closed.
 * GS_E_INVALID, GS_E_IO, GS_E_IN_USE (why names the pid of who holds it). */
gs_err node_dir_open(const char *dir, int *fd, struct gs_why *why)
    __attribute__((warn_unused_result));
/* Make the directory that a socket is to be in, if it is not there: /run is empty after a boot. */
gs_err node_dir_for_socket(const char *path, struct gs_why *why)
    __attribute__((warn_unused_result));
/* Begin a new life: a boot number above every former one, even when the disk was lost, goes to
 * *out; the caller sees to it that it is saved soon. The rest of *out is what the former life
 * left. */
void node_dir_boot(const char *dir, uint64_t wall_ms, struct state_node *out);
/* Blocks on the disk; any thread. */
gs_err node_dir_save(const char *dir, const struct state_node *n, struct gs_why *why)
    __attribute__((warn_unused_result));
