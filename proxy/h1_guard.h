/* h1_guard.h - a strict reader of HTTP/1 framing that runs before llhttp over the same bytes. It
 * builds nothing; it refuses what the head policy refuses whatever the parser's version takes, and
 * finds where heads and chunked bodies end. */
#pragma once

#include <gossamer/h1.h>

struct h1_guard {
    uint8_t state;
    bool answers;
    uint8_t digits;      /* of a chunk size, a version, or a status */
    uint8_t blank_lines; /* before the first line */
    uint8_t minor;
    bool seen_name; /* the line has a field name byte */
    uint32_t line_bytes;
    uint32_t head_bytes;
    uint32_t ext_bytes; /* chunk extensions of this message */
    uint64_t left;      /* of this chunk */
};

void h1_guard_init(struct h1_guard *g, bool answers);
/* A head's bytes up to its end, stopping once at the end of the first line, so that the parser's
 * verdict on that line comes before ours on the next, however the bytes are split. *used: taken
 * so far; *done: the head ended there. *patch: index of a minor version digit above 1 within
 * bytes, or SIZE_MAX (the parser must see a 1 there). */
enum reason h1_guard_head(struct h1_guard *g, struct gs_slice bytes, size_t *used, bool *done,
                          size_t *patch, struct gs_why *why);
bool h1_guard_in_first_line(const struct h1_guard *g);
/* A chunked body, in runs of one kind. Debian 12's parser refuses legal extensions and trailers
 * that are only to be dropped, so it is shown neither. */
enum h1_run {
    H1_RUN_FRAMING,   /* sizes, line ends and data: for the parser */
    H1_RUN_EXTENSION, /* dropped */
    H1_RUN_TRAILERS,  /* field lines, the last empty one included */
};
void h1_guard_start_chunks(struct h1_guard *g);
enum reason h1_guard_chunks(struct h1_guard *g, struct gs_slice bytes, size_t *used,
                            enum h1_run *run, bool *done, struct gs_why *why);
