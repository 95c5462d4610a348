/* problem.h - what is wrong with something an operator wrote: every finding of a document is
 * collected and told at once, each with its place and what to type next. */
#pragma once

#include <gossamer/arena.h>
#include <gossamer/check.h>
#include <gossamer/err.h>

struct gs_buf;

enum gs_severity { GS_SEV_ERROR, GS_SEV_WARNING, GS_SEV_NOTE };

struct gs_problem {
    enum gs_severity severity;
    const char *code;      /* stable: "GS0107" */
    const char *message;   /* one sentence, no full stop at the end */
    const char *file;      /* may be NULL */
    unsigned line, column; /* 1-based; 0: unknown */
    const char *field;     /* "spec.http[0].route[1].weight"; may be NULL */
    const char *hint;      /* what to do or type next; may be NULL */
};

struct gs_problems {
    struct gs_arena arena; /* holds all texts */
    struct gs_problem *items;
    size_t count, cap;
    size_t errors, warnings;
    size_t dropped; /* beyond PROBLEMS_MAX; told as one line */
};

void gs_problems_init(struct gs_problems *p);
void gs_problems_fini(struct gs_problems *p);
/* Texts are copied; fmt renders the message. Returns the new item (never NULL; a shared dummy
 * when over the cap) so that a caller can set its hint with gs_problem_hint. */
struct gs_problem *gs_problems_add(struct gs_problems *p, enum gs_severity sev, const char *code,
                                   const char *file, unsigned line, unsigned column,
                                   const char *field, const char *fmt, ...) GS_PRINTF(8, 9);
void gs_problem_hint(struct gs_problems *p, struct gs_problem *item, const char *fmt, ...)
    GS_PRINTF(3, 4);
/* "FILE:LINE:COL: error GS0107: field: message\n  hint: ...\n" */
void gs_problem_print(const struct gs_problem *item, struct gs_buf *out);

/* The candidate nearest to `word` within an edit distance of 2 (1 for words of up to 3 letters),
 * or NULL. */
struct gs_slice;
const char *gs_did_you_mean(const char *word, size_t word_len, const char *const *candidates,
                            size_t count);
