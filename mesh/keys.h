/* keys.h - the keys of the mesh: from gossip.key_file, or from state_dir/gossip.key, which the node
 * that founds the mesh makes. */
#pragma once

#include <gossamer/err.h>
#include <gossamer/seal.h>

struct config;

#define KEYS_FILE "gossip.key" /* in state_dir */
#define KEYS_PATH_MAX 4096

enum keys_source {
    KEYS_GIVEN,   /* gossip.key_file */
    KEYS_KEPT,    /* state_dir/gossip.key is there */
    KEYS_MADE,    /* it is not, and this node may make it: it founds a mesh */
    KEYS_MISSING, /* it is not, and only a member has it */
};

/* Where the keys are, or would be. path: "" if state_dir is too long for any. */
enum keys_source keys_find(const struct config *c, char path[KEYS_PATH_MAX]);
/* What to do when they are missing, for this path. Returns out. */
const char *keys_missing_text(const char *path, char out[256]);

/* Read the ring, or make it (KEYS_MADE; 0600, fsync, rename). state_dir must be there already.
 * Blocks on the disk.
 * out       seal_ring_wipe when done with it
 * founded   a key was made
 * returns   GS_E_INVALID  no key, a line that is none, or a file that everybody may read; why says
 *                         what to do, on a member if need be
 *           GS_E_IO       the system's own reason is in why */
gs_err keys_load(const struct config *c, struct seal_ring *out, bool *founded, struct gs_why *why)
    GS_MUST_CHECK;
