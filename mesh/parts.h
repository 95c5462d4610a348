/* parts.h - several files in one request body, so that one apply is one transaction and every
 * finding still names its file and line. A single file needs none of this: it is the body.
 *
 *     ?files=2      21 canary/split.yaml\n<21 bytes>13 rules.yaml\n<13 bytes>
 *
 * For each file its length in bytes, a blank, its name, a newline, and the file as it stands. */
#pragma once

#include <gossamer/buf.h>
#include <gossamer/err.h>

struct part {
    struct gs_slice name, bytes; /* borrowed */
};

/* Control characters of the name become '?'. */
void parts_put(struct gs_buf *out, const struct part *p);
/* Cut the first file off *rest.
 * returns GS_E_OK, GS_E_NOT_FOUND at the end, GS_E_MALFORMED with the reason */
gs_err parts_next(struct gs_slice *rest, struct part *out, struct gs_why *why) GS_MUST_CHECK;
