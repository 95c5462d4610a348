/* survey.h - one question to every other node that is there, over the mesh transport, for an answer
 * about the whole mesh. Control thread.
 *
 *     survey_start ─▶ meshcall_ask, one for each ─▶ done(arg) when each has answered, or has not */
#pragma once

#include <gossamer/slice.h>

struct node;
struct survey;

struct survey_options {
    const char *path;        /* a row of admin.def for PEERs; copied */
    uint64_t wait_ms;        /* for each, until its answer is whole */
    void (*done)(void *arg); /* from the loop, once; may free it */
    void *arg;
};

struct survey_answer {
    struct gs_slice node;
    unsigned status;      /* 0: there is none */
    struct gs_slice body; /* of status 200 */
    const char *why;      /* else: a sentence about that node without its subject */
};

/* Nobody may be there to be asked: done comes all the same. */
struct survey *survey_start(struct node *n, const struct survey_options *o);
void survey_free(struct survey *s); /* any time; NULL is fine */
size_t survey_asked(const struct survey *s);
/* Nodes that are there and were not asked: they have no mesh address, or were too many. */
size_t survey_left_out(const struct survey *s);
/* for (size_t at = 0; survey_next(s, &at, &a);) - borrowed */
bool survey_next(const struct survey *s, size_t *at, struct survey_answer *out);
