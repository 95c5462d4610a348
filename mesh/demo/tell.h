/* tell.h - what the demo says: text for people as it happens, or one JSON document at the end. */
#pragma once

#include <gossamer/buf.h>

#include "mesh/demo/tour.h"

struct stage;

struct tell {
    const struct tour_options *o;
    bool colour;
    int error;         /* errno of output that could not be written */
    struct gs_buf out; /* of one piece of text; printed at once */
};

void tell_init(struct tell *t, const struct tour_options *o);
void tell_fini(struct tell *t);

/* All but tell_json are silent when JSON is asked for. */
void tell_start(struct tell *t, struct stage *s);
void tell_prompt(struct tell *t);
void tell_stopped(struct tell *t); /* while the prompt was waiting */
void tell_manifest(struct tell *t, const struct script_step *step, const char *path,
                   const char *former, const char *manifest);
void tell_applied(struct tell *t, const struct tour_result *r);
void tell_counts(struct tell *t, const struct tour_result *r);
void tell_end(struct tell *t, struct stage *s, bool held);
/* error: why it ended before the last step; NULL if it did not. */
void tell_json(struct tell *t, struct stage *s, const struct tour_result *results, size_t count,
               const char *error);
