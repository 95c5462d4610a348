/* meshcall.h - this node's questions to others, over the mesh transport: a GET, answered by the
 * reading half of their admin API (admin.def, PEER). Control thread.
 *
 *     meshcall_ask ─▶ mux over a socket pair ─▶ a worker ─▶ mesh_out ─▶ the other node
 *       done(c) ◀──── head, data, end; or a reset, a deadline, too many bytes
 *
 * Whoever answers is believed nothing: an answer is bytes of at most MESHCALL_BYTES_MAX. */
#pragma once

#include <gossamer/addr.h>
#include <gossamer/buf.h>
#include <gossamer/http.h>
#include <gossamer/loop.h>
#include <gossamer/version.h>

struct meshcalls;

/* One question. Embedded by whoever asks; must stay until done was called, or it was cancelled. */
struct meshcall {
    /* Once, from the loop. The call may be freed, or asked again, in it. */
    void (*done)(struct meshcall *c);
    unsigned status;    /* of the answer; 0: there is none, see why */
    struct gs_buf body; /* the answer's, until the next ask or meshcall_fini */
    char why[160];      /* it is no 200, a sentence about that node without its subject */

    /* meshcall.c's */
    struct side reply;
    struct side *asked; /* NULL: nothing is under way */
    struct meshcalls *calls;
    struct gs_list link;
    struct gs_timer deadline;
    struct gs_defer tell;
    bool plain; /* the body is a line of text by a worker: nobody was reached */
};

/* fd: taken; its other end is the proxy's (proxy_options.doors). */
struct meshcalls *meshcalls_new(struct gs_loop *loop, int fd);
/* Questions under way end as not answered. The loop ends later than that. NULL is fine. */
void meshcalls_close(struct meshcalls *m);
void meshcalls_free(struct meshcalls *m);       /* when the loop has ended */
bool meshcalls_open(const struct meshcalls *m); /* may anything still be asked? */

/* Ask a node, reached at `mesh`, for a path; for at most wait_ms. m: NULL without a proxy. c is
 * zeroed, or was asked before, but for done. */
void meshcall_ask(struct meshcalls *m, struct meshcall *c, const struct gs_id *node,
                  const struct gs_addr *mesh, struct gs_slice path, uint64_t wait_ms);
/* done is not called any more. Nothing under way, or zeroed: fine. */
void meshcall_cancel(struct meshcall *c);
void meshcall_fini(struct meshcall *c); /* cancels */
