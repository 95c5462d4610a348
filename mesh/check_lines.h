/* check_lines.h - what `gossamer check` says, one line for each thing that was looked at: by the
 * command line of the machine and its files, by the node of itself and of its mesh. */
#pragma once

#include <gossamer/arena.h>

enum check_result { CHECK_OK, CHECK_WARNING, CHECK_ERROR };

struct check_line {
    const char *group, *name; /* for programs: they stay */
    enum check_result result;
    const char *message; /* for people */
    const char *hint;    /* what to type next; NULL for what is well, and only for that */
};

struct check_lines {
    struct gs_arena arena; /* holds all texts */
    struct check_line *items;
    size_t count, cap;
};

void check_lines_init(struct check_lines *l);
void check_lines_fini(struct check_lines *l);
/* Texts are copied. hint: NULL with CHECK_OK, else given. */
void check_put(struct check_lines *l, const char *group, const char *name, enum check_result result,
               const char *hint, const char *fmt, ...) GS_PRINTF(6, 7);
size_t check_count(const struct check_lines *l, enum check_result result);
const char *check_result_name(enum check_result r); /* "ok", "warning", "error" */

/* A list under the key "check", into an object that is open. */
struct json_out;
void check_lines_json(const struct check_lines *l, struct json_out *j);

/* "a, b, c and 4 more", for lines about several of a kind. */
#define CHECK_NAMES_SHOWN 3
struct check_names {
    char text[512];
    size_t count;
};
void check_names_add(struct check_names *n, const char *fmt, ...) GS_PRINTF(2, 3);
const char *check_names_text(struct check_names *n); /* no more can be added then */
