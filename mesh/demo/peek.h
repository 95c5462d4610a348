/* peek.h - what a node says when it is asked, through its admin socket like everybody else. False:
 * it does not answer. */
#pragma once

#include <gossamer/arena.h>
#include <gossamer/err.h>

#include "mesh/demo/script.h"

struct stage;
struct tree;

enum peek_state { PEEK_UNKNOWN, PEEK_ALIVE, PEEK_SUSPECT, PEEK_DEAD, PEEK_LEFT };
const char *peek_state_name(enum peek_state state);

struct peek_members {
    bool open;
    enum peek_state of[SCRIPT_NODES_MAX + 1]; /* by number */
    unsigned alive;                           /* itself, too */
};
bool peek_members(struct stage *s, unsigned node, struct peek_members *out);

/* The route of the service that the tour is about. */
#define PEEK_VERSION_TEXT 96
struct peek_policy {
    char version[PEEK_VERSION_TEXT]; /* GENERATION.HLC.WRITER; "" if there is none */
    char writer[16];                 /* the node's name */
    unsigned generation;
    unsigned conflicts; /* former versions that lost against one they had not seen */
};
bool peek_policy(struct stage *s, unsigned node, struct peek_policy *out);
/* Is this version in effect there? */
bool peek_active(struct stage *s, unsigned node, const char *version);

struct peek_endpoints {
    unsigned all, healthy, ejected;
};
/* service: NULL for all; address: of one endpoint, or NULL. */
bool peek_endpoints(struct stage *s, unsigned node, const char *service, const char *address,
                    struct peek_endpoints *out);

struct peek_stat {             /* of what the node carried, in both directions */
    uint64_t requests, failed; /* from its start */
    double p99_ms;             /* of the last minute: the slowest row's */
};
bool peek_stat(struct stage *s, unsigned node, struct peek_stat *out);

/* How many writes that lost are listed by the node's own findings (gossamer analyze). */
bool peek_lost_writes(struct stage *s, unsigned node, unsigned *count);

/* A write. answer: in the arena; NULL if there was none that could be read. False: it was not
 * answered 200, and why. */
bool peek_post(struct stage *s, unsigned node, const char *path, struct gs_slice body,
               struct gs_arena *arena, const struct tree **answer, struct gs_why *why);
