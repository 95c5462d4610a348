/* stage.h - all that the demo sets up and takes away again: a throw-away directory, free ports, one
 * node and two versions of the sample service.
 *
 *     directory    gossamer.yaml  state/  admin.sock  *.log  *.yaml (manifests, by tour.c)
 *     processes    gossamer demo serve --version v1 | v2      gossamer run -c gossamer.yaml */
#pragma once

#include <gossamer/addr.h>
#include <gossamer/arena.h>

#include "mesh/demo/child.h"
#include "mesh/demo/watch.h"

enum stage_port {
    PORT_OUTBOUND,
    PORT_INBOUND,
    PORT_GOSSIP,
    PORT_ADMIN,
    PORT_V1,
    PORT_V2,
    STAGE_PORTS
};

enum stage_child { CHILD_V1, CHILD_V2, CHILD_NODE, STAGE_CHILDREN };

struct stage {
    struct gs_arena arena;
    struct watch watch;
    const char *dir, *socket; /* NULL until made */
    const char *program;      /* of this process, as a user would type it */
    struct gs_addr ports[STAGE_PORTS];
    struct child children[STAGE_CHILDREN];
    uint64_t ready_ms; /* from the first fork until requests could be sent */
    bool v2_broken;
};

/* Signals are the stage's from here to stage_fini, which is due in any case. */
void stage_init(struct stage *s, bool v2_broken);
void stage_fini(struct stage *s);
/* Everything started and ready for requests. GS_E_CLOSED: a signal came (watch.stopped). */
gs_err stage_up(struct stage *s, struct gs_why *why) GS_MUST_CHECK;
/* The ports that were taken, "outbound is at 4141 instead of 4140"; NULL: none. */
const char *stage_moved(struct stage *s);
/* GS_E_OK while all children live; else which one ended, and the end of its log on stderr. */
gs_err stage_check(struct stage *s, struct gs_why *why) GS_MUST_CHECK;
/* A file of the directory; its path is the arena's. */
const char *stage_path(struct stage *s, const char *name);
gs_err stage_write(struct stage *s, const char *path, struct gs_slice text, struct gs_why *why)
    GS_MUST_CHECK;
