/* stage.h - all that the demo sets up and takes away again: the ground it stands on, nodes and
 * services as processes.
 *
 *     gossamer demo serve --name planner ...      as script_apps has them
 *     gossamer run -c n1/gossamer.yaml            a node each, all started at once */
#pragma once

#include <gossamer/arena.h>

#include "mesh/demo/child.h"
#include "mesh/demo/ground.h"
#include "mesh/demo/watch.h"

struct stage_node {
    unsigned number;  /* from 1 */
    const char *name; /* "n1" */
    const char *dir, *config, *socket;
    struct child child;
    bool down; /* not running, as is known and told */
};

struct stage_service {
    const struct script_app *app;
    unsigned node;
    struct gs_addr at;
    struct child child;
};

#define STAGE_SERVICES_MAX (SCRIPT_APPS * SCRIPT_NODES_MAX)

struct stage {
    struct gs_arena arena;
    struct watch watch;
    struct ground ground;
    const char *program; /* of this process, as a user would type it */
    unsigned node_count, service_count;
    struct stage_node nodes[SCRIPT_NODES_MAX];
    struct stage_service services[STAGE_SERVICES_MAX];
    bool v2_broken;
    uint64_t began_us; /* the first node was started */
    char said[2000];   /* the end of the log of a child that is told of */
};

/* Signals are the stage's from here to stage_fini; both ends are due in any case. */
void stage_init(struct stage *s, unsigned nodes, bool v2_broken);
/* All children stopped. The first that did not end as it should is told of as by stage_check. */
gs_err stage_down(struct stage *s, struct gs_why *why);
void stage_fini(struct stage *s);
/* Everything started; whether it works is for the caller to see. */
gs_err stage_up(struct stage *s, struct gs_why *why) GS_MUST_CHECK;
/* The same anew elsewhere: a child could not have its port. */
gs_err stage_again(struct stage *s, struct gs_why *why) GS_MUST_CHECK;
/* GS_E_OK while all live that should; GS_E_IN_USE: one could not have its port; else which one
 * ended, with the end of its log in `said`. It is told of once; a node is down then. */
gs_err stage_check(struct stage *s, struct gs_why *why) GS_MUST_CHECK;
void stage_said(struct stage *s, const struct child *c);        /* the end of its log to `said` */
bool stage_listens(const struct stage *s);                      /* all services say so */
bool stage_last_said(const struct child *c, const char *words); /* with its last line */

struct stage_node *stage_node(struct stage *s, unsigned number);
void stage_kill(struct stage *s, unsigned node); /* kill -9 */
gs_err stage_return(struct stage *s, unsigned node, struct gs_why *why) GS_MUST_CHECK;
struct stage_service *stage_service(struct stage *s, const struct script_app *app, unsigned node);

/* A file of the directory; its path is the arena's. */
const char *stage_path(struct stage *s, const char *name);
gs_err stage_write(struct stage *s, const char *path, struct gs_slice text, struct gs_why *why)
    GS_MUST_CHECK;
