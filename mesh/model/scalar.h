/* scalar.h - what a YAML scalar is to kubectl, which reads YAML 1.1 and hands JSON on. */
#pragma once

#include <gossamer/tree.h>

enum scalar_type { SCALAR_NULL, SCALAR_BOOL, SCALAR_INT, SCALAR_FLOAT, SCALAR_TEXT };

struct scalar {
    enum scalar_type type;
    bool yes;       /* BOOL */
    int64_t number; /* INT, and FLOAT with an integral value: 90.0, 9e1 */
    bool integral;
};

/* t is a scalar. Only plain ones are anything but text. */
struct scalar scalar_read(const struct tree *t);
const char *scalar_type_text(enum scalar_type t); /* "text", "a number", "a boolean", "null" */

/* Go's time.ParseDuration, in milliseconds. What upstream's admission wants besides: at least 1 ms
 * and no fraction of one. GS_E_INVALID with the reason in why. */
gs_err scalar_duration_ms(struct gs_slice text, uint64_t *ms, struct gs_why *why) GS_MUST_CHECK;
