/* admin.h - HTTP+JSON for operators: on the unix socket (may write) and on TCP (without a token:
 * /live, /ready and /metrics only). Control thread. Requests are rows of admin.def; a handler
 * answers at once, or keeps the call and answers later, or begins an answer that goes on. */
#pragma once

#include <gossamer/addr.h>
#include <gossamer/buf.h>
#include <gossamer/h1.h>
#include <gossamer/loop.h>
#include <gossamer/problem.h>

struct node;
struct admin;
struct admin_call;

struct admin_request {
    struct gs_slice method;
    struct gs_slice path; /* no query */
    struct gs_slice rest; /* what follows a row's path that ends in '/' */
    struct gs_slice query;
    struct gs_slice body;
    struct gs_arena *arena; /* lives as long as the call */
};

typedef void (*admin_fn)(struct node *n, struct admin_call *c, const struct admin_request *r);

struct admin_options {
    struct node *node;
    struct gs_loop *loop;
    struct h1_pool *pool;
    struct gs_addr listen; /* family 0: no TCP */
    const char *socket;
};

gs_err admin_start(const struct admin_options *o, struct admin **out, struct gs_why *why)
    GS_MUST_CHECK;
struct gs_addr admin_addr(const struct admin *a); /* of TCP, as bound */
/* Serve other nodes on a descriptor (taken) whose other end a worker has: HTTP/2, and only rows
 * that are for PEERs. */
void admin_serve_peers(struct admin *a, int fd);
/* Stops listening; answers that go on are ended, connections end with the answers they owe, or are
 * cut after a second. closed is called when none is left and the object is freed. */
void admin_close(struct admin *a, void (*closed)(void *arg), void *arg);

/* ---- for handlers ---- */

/* Value of ?name=..., decoded into the request's arena. False when absent. */
bool admin_query(const struct admin_request *r, const char *name, struct gs_slice *value);
struct gs_slice admin_percent_decode(struct gs_arena *arena, struct gs_slice s);
/* Answers the call and ends it; body is emptied. Once per call. */
void admin_reply(struct admin_call *c, unsigned status, const char *content_type,
                 struct gs_buf *body);
void admin_reply_json(struct admin_call *c, unsigned status, struct gs_buf *body);
/* {"errors": [{code, message, ...}]} with one entry. hint may be NULL. */
void admin_error(struct admin_call *c, unsigned status, const char *code, const char *hint,
                 const char *fmt, ...) GS_PRINTF(5, 6);
/* An answer that goes on, 200, in chunks. The call lives until admin_stream_end, or until gone. */
struct admin_stream {                       /* embedded by the handler's own object */
    void (*resume)(struct admin_stream *s); /* there is room again */
    void (*gone)(struct admin_stream *s);   /* the client left; nothing may be written any more */
    void (*stop)(struct admin_stream *s);   /* the node stops: say so, then admin_stream_end */
    struct admin_call *call;
    struct gs_list link;
};

/* False: the client left, or asked for the head only, and the call is over. */
bool admin_stream_begin(struct admin_call *c, const char *content_type, struct admin_stream *s)
    GS_MUST_CHECK;
/* Is there room for more? If not, resume follows. What is written without room is kept all the
 * same: the last words. */
bool admin_stream_room(const struct admin_stream *s);
void admin_stream_write(struct admin_stream *s, struct gs_slice bytes);
void admin_stream_end(struct admin_stream *s);
/* All errors of a list (and beside them, "warnings"). */
void admin_error_problems(struct admin_call *c, unsigned status, const struct gs_problems *p);
struct json_out;
void admin_problem_json(struct json_out *j, const struct gs_problem *p);

/* api_*.c */
#define X(method, path, fn, access)                                                                \
    void fn(struct node *, struct admin_call *, const struct admin_request *);
#include "mesh/admin.def"
#undef X
