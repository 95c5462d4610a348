/* ground.h - where the demo stands: a throw-away directory, and addresses of this machine that
 * nobody uses. All of 127.0.0.0/8 is this machine, so each node has an address of its own and the
 * standard ports, as if it were a machine.
 *
 *     directory (0700)   gossip.key  n1/ n2/ ... { gossamer.yaml state/ admin.sock node.log *.log }
 *                        *.yaml (manifests, by acts.c) */
#pragma once

#include <gossamer/addr.h>

#include "mesh/demo/script.h"

enum ground_port { PORT_OUTBOUND, PORT_INBOUND, PORT_GOSSIP, PORT_ADMIN, GROUND_PORTS };

struct ground {
    char dir[80];                  /* "" until made; short, since there are sockets in it */
    unsigned nodes;                /* as many addresses */
    unsigned first;                /* of 127.0.0.first */
    unsigned shift;                /* added to the standard ports, when they are taken everywhere */
    int claims[SCRIPT_NODES_MAX];  /* -1: none; tells other demos that an address is taken */
    char taken[GS_ADDR_TEXT + 40]; /* the first thing in the way; "": nothing was */
};

void ground_init(struct ground *g, unsigned nodes);
void ground_fini(struct ground *g); /* removes the directory and what is in it */
gs_err ground_make_dir(struct ground *g, struct gs_why *why) GS_MUST_CHECK;
/* Addresses with all ports free, from the usual ones on; behind the present ones, if there are any:
 * somebody was quicker. */
gs_err ground_find(struct ground *g, struct gs_why *why) GS_MUST_CHECK;
/* node: from 1. */
struct gs_addr ground_port(const struct ground *g, unsigned node, enum ground_port port);
struct gs_addr ground_app(const struct ground *g, unsigned node, const struct script_app *app);
/* What is not as usual, "127.0.0.11:4140 is taken ..., so ..."; "" if all is. */
void ground_moved(const struct ground *g, char *out, size_t size);
