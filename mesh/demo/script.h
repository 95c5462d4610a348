/* script.h - what the tour does: its steps as data, and the manifest of each as a user would write
 * it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct gs_buf;

#define SCRIPT_SERVICE "tools"
#define SCRIPT_HEADER "x-experiment"
#define SCRIPT_HEADER_VALUE "promptv2"

struct script_step {
    const char *name;     /* of the file and in the JSON: "canary-10" */
    const char *title;    /* for people */
    unsigned share_v2;    /* percent of the requests; v1 has the rest */
    bool defines_subsets; /* the manifest begins with the DestinationRule */
    bool matches_header;  /* requests with SCRIPT_HEADER go to v2, whatever the share */
};

#define SCRIPT_STEPS 5
extern const struct script_step script_steps[SCRIPT_STEPS];

void script_manifest(const struct script_step *step, struct gs_buf *out);
/* What became of one text in another, line by line: "- " gone, "+ " new, "  " the same and next to
 * either. Texts of at most SCRIPT_LINES_MAX lines. */
#define SCRIPT_LINES_MAX 64
void script_changes(const char *from, const char *to, struct gs_buf *out);
