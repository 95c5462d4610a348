/* script.h - what the demo shows, as data: which services are where, the steps of the tour, and the
 * manifest of each as a user would write it. Nodes are numbered from 1. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gs_buf;

#define SCRIPT_NODES 5
#define SCRIPT_NODES_MIN 3
#define SCRIPT_NODES_MAX 9

/* ---- services ---- */

#define SCRIPT_ENTRY "gateway" /* what the demo's clients ask for */
#define SCRIPT_SERVICE "tools" /* whose versions the tour is about */
#define SCRIPT_SEARCH "search"
#define SCRIPT_CALLS_MAX 2

struct script_app { /* one version of one service; callers see its port as 80 */
    const char *service, *version;
    uint16_t port;                       /* of an instance, on its node's address */
    const char *nodes;                   /* a digit for each node that has one */
    const char *calls[SCRIPT_CALLS_MAX]; /* services that it asks for each request */
};

#define SCRIPT_APPS 5
extern const struct script_app script_apps[SCRIPT_APPS];

bool script_hosts(const struct script_app *app, unsigned node);

/* ---- who does what ---- */

unsigned script_editor(void); /* where changes are applied */
unsigned script_victim(void); /* is killed */
unsigned
script_sick(unsigned nodes);         /* its instance of v2 fails; another one is left in any case */
unsigned script_cut(unsigned nodes); /* the first of those on the far side of the partition */

/* ---- steps ---- */

enum script_act { ACT_MEET, ACT_SPLIT, ACT_EJECT, ACT_KILL, ACT_RETURN, ACT_PART };

struct script_step {
    const char *name; /* of the manifest and in the JSON: "canary-10" */
    enum script_act act;
    unsigned chapter;     /* of SCRIPT_CHAPTERS, for people */
    const char *title;    /* for people */
    unsigned share_v2;    /* ACT_SPLIT: percent of the requests; v1 has the rest */
    bool defines_subsets; /* the manifest begins with the DestinationRule */
    bool table;           /* is worth to be seen afterwards, where it is not there all the time */
};

#define SCRIPT_CHAPTERS 6
#define SCRIPT_STEPS 9
extern const struct script_step script_steps[SCRIPT_STEPS];

/* ---- manifests ---- */

void script_manifest(unsigned share_v2, bool defines_subsets, struct gs_buf *out);
/* What became of one text in another, line by line: "- " gone, "+ " new, "  " the same and next to
 * either. Texts of at most SCRIPT_LINES_MAX lines. */
#define SCRIPT_LINES_MAX 64
void script_changes(const char *from, const char *to, struct gs_buf *out);
