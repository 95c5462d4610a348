/* mesh.h - a worker's connections with other nodes, both directions. */
#pragma once

#include <gossamer/mux.h>

#include "proxy/worker.h"

/* ---- mesh_out.c: to other nodes, by (caller, node) ---- */

struct mesh_out;

struct mesh_target { /* where a stream goes; borrowed */
    uint32_t caller; /* index of proxy_options.callers */
    struct gs_id node;
    struct gs_addr mesh;
    struct gs_slice authority, service;
};

struct mesh_out *mesh_out_new(struct worker *w);
void mesh_out_free(struct mesh_out *o);
/* As stream_tcp_connect: connected, or ended(REFUSED). NULL: a limit, or no address is known. */
struct stream *mesh_out_open(struct mesh_out *o, const struct mesh_target *to,
                             const struct stream_sink_ops *ops, void *sink);
/* Ask a node (mux_ask). NULL: a limit. */
struct side *mesh_out_ask(struct mesh_out *o, const struct mesh_target *to, struct gs_slice path,
                          struct side *reply);
void mesh_out_close(struct mesh_out *o); /* each once its streams are gone */
void mesh_out_abort(struct mesh_out *o);
void mesh_out_cut(struct mesh_out *o); /* those with nodes that are cut off now */
bool mesh_out_empty(const struct mesh_out *o);

/* ---- mesh_in.c: from other nodes ---- */

struct mesh_in;

struct mesh_in *mesh_in_new(struct worker *w);
void mesh_in_free(struct mesh_in *in);
/* The worker that listens: give the connection to the worker with the fewest streams. */
void mesh_in_accepted(struct mesh_in *in, int fd);
void mesh_in_take(struct mesh_in *in);  /* what the listening worker handed over */
void mesh_in_drain(struct mesh_in *in); /* tell the peers; streams end when they end them */
void mesh_in_abort(struct mesh_in *in);
void mesh_in_cut(struct mesh_in *in); /* those with nodes that are cut off now */
bool mesh_in_empty(const struct mesh_in *in);
/* Streams and connections of this worker, for the one that listens. */
uint64_t mesh_in_load(const struct mesh_in *in);

/* ---- mesh_call.c: questions between nodes, to and from the control thread ---- */

struct mesh_calls;

/* Takes the descriptors: this worker's ends of socket pairs, -1 for none (proxy_options.doors). */
struct mesh_calls *mesh_calls_new(struct worker *w, int answer_fd, int ask_fd);
void mesh_calls_free(struct mesh_calls *c);                    /* when it is empty; NULL is fine */
struct http_handler *mesh_calls_handler(struct mesh_calls *c); /* of other nodes' questions */
void mesh_calls_stop_asking(struct mesh_calls *c);             /* the control thread hears it */
void mesh_calls_close(struct mesh_calls *c);
bool mesh_calls_empty(const struct mesh_calls *c);

/* ---- of both ---- */

/* One connection more of the process: false when there are MUX_CONNECTIONS_MAX. */
bool proxy_mesh_take(struct proxy *p);
void proxy_mesh_replace(struct proxy *p); /* one more all the same: another is closing for it */
void proxy_mesh_give(struct proxy *p);
