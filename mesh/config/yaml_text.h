/* yaml_text.h - a document's text as libyaml can read it: no byte order mark, and JSON's
 * surrogate pairs joined. */
#pragma once

#include <gossamer/slice.h>

struct yaml_text {
    struct gs_slice text; /* the caller's, or the changed copy */
    char *copy;           /* NULL if nothing had to change */
    struct yaml_joined *joined;
    size_t joined_count, joined_cap;
};

/* t->text is valid until yaml_text_fini and as long as `text`. */
void yaml_text_init(struct yaml_text *t, struct gs_slice text);
void yaml_text_fini(struct yaml_text *t);
/* The 1-based column in the original text of a 0-based place in t->text. */
unsigned yaml_text_column(const struct yaml_text *t, size_t line, size_t column);
/* The 0-based line and column (in characters) of a byte offset in t->text. */
void yaml_text_place(const struct yaml_text *t, size_t offset, size_t *line, size_t *column);
