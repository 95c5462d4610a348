/* hand.h - the commands that do by hand what the demo did, as a shell takes them. Each is a line
 * that begins with four blanks. */
#pragma once

#include <gossamer/buf.h>

struct script_step;
struct tour;

void hand_step(struct tour *t, const struct script_step *step, struct gs_buf *out);
void hand_more(struct tour *t, struct gs_buf *out); /* what else there is to see */
