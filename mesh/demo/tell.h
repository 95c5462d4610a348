/* tell.h - what the demo says: text for people as it happens, or one JSON document at the end. All
 * but tell_json are silent when JSON is wanted. */
#pragma once

#include "mesh/demo/tour.h"

void tell_start(struct tour *t); /* what there is, and where */
void tell_step(struct tour *t, const struct script_step *step);
/* A manifest that is being applied: what differs from the former. */
void tell_manifest(struct tour *t, unsigned node, const char *path);
void tell_result(struct tour *t, const struct result *r);
void tell_line(struct tour *t, const char *fmt, ...) GS_PRINTF(2, 3);
void tell_table(struct tour *t);            /* as lines, where it does not stand there already */
void tell_block(struct tour *t);            /* or below all lines */
void tell_more(struct tour *t, bool stays); /* what else can be tried */
void tell_end(struct tour *t);              /* what there was to see */
void tell_child(struct tour *t, const struct gs_why *why); /* one ended; the end of its log */
/* error: why it ended before the last step; NULL if it did not. */
void tell_json(struct tour *t, const char *error);
