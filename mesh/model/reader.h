/* reader.h - where we are in a manifest while it is read, so that every finding has its file,
 * line, column and field. */
#pragma once

#include <gossamer/policy.h>

#define READER_PATH_MAX 512

struct reader {
    const char *file;
    struct gs_problems *problems;
    struct gs_arena *arena;     /* what is read goes in here; NULL when only looking */
    char path[READER_PATH_MAX]; /* "spec.http[0].route[1]" */
    size_t path_len;
};

/* Each returns the length to hand to reader_leave(). A path too long for the buffer is cut. */
size_t reader_enter(struct reader *r, struct gs_slice key);
size_t reader_enter_index(struct reader *r, size_t index);
void reader_leave(struct reader *r, size_t mark);

/* A finding at the present path. */
struct gs_problem *reader_problem(struct reader *r, enum gs_severity sev, const char *code,
                                  struct policy_place at, const char *fmt, ...) GS_PRINTF(5, 6);

static inline struct policy_place
reader_place(const struct tree *t)
{
    return (struct policy_place){ t->line, t->column, false };
}
