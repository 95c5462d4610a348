/* ask.h - a question to the node, its answer opened, and what to do when it says no. */
#pragma once

#include <gossamer/tree.h>

#include "mesh/cli/cli.h"

/* Longest that a verb waits for an answer that needs no waiting on the node's side. */
#define ASK_MS 10000

struct ask { /* one conversation: every answer lives until ask_fini */
    struct gs_arena arena;
    const char *socket;
    bool verbatim; /* who prints it escapes what a terminal obeys: no ask_clean */
    unsigned status;
    struct gs_slice body;
    struct tree *root; /* NULL: the body is no JSON, or too large to be opened */
};

void ask_init(struct ask *a, const char *socket_option);
void ask_fini(struct ask *a);
/* returns CLI_GO_ON with status, body and root, whatever the status; or the exit code, told */
int ask_node(struct ask *a, const char *method, struct gs_buf *path, struct gs_slice body,
             uint64_t timeout_ms);
/* GET that must be answered 200; anything else is told. list: of that name; NULL if the answer is
 * too large to be opened (then a->body is all there is, and ask_too_large says so). */
int ask_list(struct ask *a, struct gs_buf *path, const char *name, const struct tree **list);
int ask_too_large(const struct ask *a);
/* The node refused: say why on standard error (or the document itself on standard output, if one
 * is wanted). Returns the exit code: 409 is a conflict, 503 and the like are refusals. */
int ask_refused(const struct ask *a, enum cli_format format);

/* "/api/v1/WHAT". */
void ask_path(struct gs_buf *path, const char *what);
/* Append "?name=value" or "&name=value". NULL value: nothing. */
void ask_param(struct gs_buf *path, const char *name, const char *value);
/* One part of a path, percent-encoded. */
void ask_segment(struct gs_buf *path, const char *text);

/* What is in an answer may be any member's word: bytes that a terminal obeys become '?', but for
 * ends of lines and tabs. Of every answer that is printed as text. */
void ask_clean(struct tree *t);

/* ---- parts of an answer ---- */

const char *ask_text(const struct tree *object,
                     const char *key);                         /* NULL: absent, null, no scalar */
double ask_number(const struct tree *object, const char *key); /* 0 if it is none */
/* Finding as admin_problem_json writes it, as gs_problem_print does. */
void ask_print_finding(const struct tree *finding, const char *severity, struct gs_buf *out);
/* To standard error, behind what standard output has been told so far. */
void ask_tell(const struct gs_buf *text);
/* "3.0192f…": generation and the beginning of the clock, enough for people. */
const char *ask_short_version(struct gs_arena *arena, const char *version);
