/* list.h - a list of the admin API as a table: which field is in which column, and how it reads. */
#pragma once

#include "mesh/cli/ask.h"

enum list_how {
    LIST_TEXT,
    LIST_PERCENT, /* 0.998 reads "99.80%" */
    LIST_MS,      /* 1.234 reads "1.2 ms" */
    LIST_RATE,    /* one decimal */
    LIST_AGE,     /* seconds since 1970: how long ago, "3m20s" */
    LIST_AGE_MS,  /* the same of milliseconds */
    LIST_ITEMS,   /* a list, or an object as name:value, joined by commas */
    LIST_VERSION, /* shortened, unless the table is wide */
};

struct list_column {
    const char *header;
    const char *key;
    enum list_how how;
    bool wide; /* in wide tables only */
};

/* To standard output; rows: objects. */
void list_print(const struct list_column *columns, size_t count, struct tree *const *rows,
                size_t row_count, enum cli_format format);
/* "45s", "3m20s", "5h10m", "12d3h". */
const char *list_age_text(struct gs_arena *arena, double seconds);

/* A verb that asks for a list and shows it; NAME is what it may be narrowed to. */
struct list_verb {
    const char *name;     /* of the verb, the path and the list */
    const char *operands; /* "" or "[SERVICE]" */
    const char *help;
    const struct list_column *columns;
    size_t column_count;
    const char *empty;                      /* what an empty list means, for people */
    void (*after)(const struct tree *list); /* what else to tell people; may be NULL */
};

int list_verb(const struct list_verb *v, int argc, char **argv);
