/* json.h - reading JSON: admin answers, command-line input. Configuration and policy files are
 * read by tree_parse_yaml, which takes JSON too and knows every node's place. */
#pragma once

#include <gossamer/tree.h>

/* One JSON value of any type into the arena. Strings are plain=false; numbers, true, false and
 * null are plain scalars with their text. Nodes have no place (line 0). A key twice, NUL in a
 * string, a cap of limits.h (TREE_*) or bad syntax: told in `problems`, GS_E_MALFORMED.
 * text need not outlive the call. */
gs_err tree_parse_json(struct gs_slice text, const char *file, struct gs_arena *arena,
                       struct tree **out, struct gs_problems *problems) GS_MUST_CHECK;
