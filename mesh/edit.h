/* edit.h - one edit of an operator: what apply, delete and split have in common, from what was
 * asked for to the answer. Control thread, but for gossip_put.
 *
 *     objects, deletes ─▶ model_check_change ─▶ policy_encode ─▶ gossip_put ─▶ node_commit ─▶ 200
 *                               │ 422, 404           │ 422         │ 409, 404       │ 500 not saved
 *                               └────────────────────┴─────────────┴ nothing was changed
 *
 * Once it is in the store every other member is asked as well (confirm.h): the answer waits for
 * this node and for them, at most wait_ms.
 *
 * All of it is one transaction. Edits of one node take turns up to gossip_put: each is checked
 * against what the one before it left. An edit outlives its call: when the answer's deadline comes
 * before every worker has taken the change up, the caller is told so and the edit ends later. */
#pragma once

#include <gossamer/loop.h>
#include <gossamer/policy.h>

#include "mesh/admin.h"
#include "mesh/confirm.h"
#include "mesh/node.h"

struct edit_outcome { /* of one object or delete */
    struct model_key key;
    struct gs_version version; /* the new one, or the present one; generation 0: none */
    bool unchanged;            /* what is there says the same */
};

/* NEW ──edit_run──▶ QUEUED ──its turn──▶ ASKING (the core) ──written──▶ COMMITTING ─▶ freed
 *  └──▶ freed         └──▶ refused, freed  └──▶ refused or told, freed              */
enum edit_state { EDIT_NEW, EDIT_QUEUED, EDIT_ASKING, EDIT_COMMITTING };

struct edit {
    struct node *node;
    struct gs_list link; /* of node->edits, up to COMMITTING */
    enum edit_state state;
    struct admin_call *call; /* NULL once it was answered */
    struct gs_arena arena;
    struct manifest manifest; /* objects of files, and what was skipped in them */
    struct gs_problems problems;

    /* Fills in what follows when its turn comes, from what the model is by then; NULL: that is
     * done already. */
    void (*plan)(struct edit *e);
    void *plan_arg;

    /* what is asked for */
    const struct policy_object *const *objects; /* to write; validated */
    size_t object_count;
    const struct model_key *deletes;
    size_t delete_count;
    bool force;   /* even if others need what goes */
    bool dry_run; /* say what would be, change nothing */
    bool conditional;
    struct gs_version if_version; /* of the only object; generation 0: it must not be there */
    bool settle;                  /* what lost against it was looked at: it is listed no more */
    uint64_t wait_ms;             /* for workers; the disk is always waited for */

    /* what came of it */
    struct edit_outcome *outcomes; /* objects, then deletes */
    uint64_t started_ns;
    struct node_commit commit;
    struct confirm *others; /* asked; NULL: nobody, or not any more */
    bool committed;         /* here: in mesh.state, and all workers run it */
    bool heard;             /* of all others */
    struct gs_timer deadline;
};

struct edit *edit_new(struct node *n, struct admin_call *c);
void edit_free(struct edit *e); /* one that was not run */
/* Check, write, wait, answer; the edit frees itself. Findings so far are in e->problems: any error
 * refuses it. */
void edit_run(struct edit *e);

/* ---- api_policy.c: what every request for an edit has ---- */

/* An edit with its parameters read; NULL: it was answered already. files: the body is a file, or
 * several. */
struct edit *edit_begin(struct node *n, struct admin_call *c, const struct admin_request *r,
                        bool files);
/* The request is wrong: the edit will be refused. */
struct gs_problem *edit_bad_param(struct edit *e, const char *name, const char *text);
/* A field of a JSON body that must be text, and not empty, where it is there. False: it is not. */
struct tree;
bool edit_read_text(struct edit *e, const struct tree *doc, const char *key, struct gs_slice *out);

/* ---- edit_answer.c ---- */

struct edit_confirmation {
    bool confirmed;  /* by this node */
    const char *why; /* it has not */
    const struct confirm *others;
    double ms;
};

/* {"applied": [...], "deleted": [...], "skipped": [...], "warnings": [...], "asked": 5, ...}; a
 * list of what was not asked for is left out. */
void edit_answer_json(const struct edit *e, const struct edit_confirmation *c, struct gs_buf *out);
/* Which of the objects a finding is about: the last one of its file that begins before it; SIZE_MAX
 * if that cannot be told. */
size_t edit_object_of(const struct policy_object *const *objects, size_t count,
                      const struct gs_problem *p);
