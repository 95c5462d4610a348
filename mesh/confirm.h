/* confirm.h - does a node run what was written? Asked by the node that wrote it, of every member
 * that is alive and has a mesh address; one mesh call each (design.md 5). Control thread.
 *
 *     edit.c, announce.c ─▶ confirm_start ─▶ GET /api/v1/confirm?wait=&list= ─▶ api_confirm.c there
 *                  done ◀── {"state": "active" | ..., "why"} ◀── when its workers adopted
 *
 * The list names operators' objects, or (&owner=) what that node says of itself, by a hash of their
 * key and the version that is there at least: 256 of them must fit one request line
 * (MUX_HEADER_BYTES_MAX). */
#pragma once

#include <gossamer/buf.h>
#include <gossamer/gossip.h>
#include <gossamer/version.h>

struct node;

/* ---- confirm_list.c: the list ---- */

#define CONFIRM_DELETED 1 /* it is to be gone */
#define CONFIRM_PENDING 2 /* it waits where it was written, too: that is as good as active */

struct confirm_item {
    uint64_t key;        /* 48 bits of the hash */
    uint64_t generation; /* at most CONFIRM_GENERATION_MAX; of an owner's record its boot */
    uint64_t hlc;        /* and its seq */
    uint16_t writer;     /* the first bytes: two nodes may write in the same instant */
    uint8_t flags;
};

#define CONFIRM_GENERATION_MAX ((UINT64_C(1) << 48) - 1)

uint64_t confirm_key(struct gs_slice key);
struct confirm_item confirm_item(struct gs_slice key, const struct gs_version *v, uint8_t flags);
/* Is this version the wanted one, or a later one? */
bool confirm_item_met(const struct confirm_item *wanted, const struct gs_version *v);
void confirm_list_put(struct gs_buf *out, const struct confirm_item *items, size_t count);
/* Sorted by key. items: room for APPLY_OBJECTS_MAX. GS_E_MALFORMED, GS_E_LIMIT. */
gs_err confirm_list_read(struct gs_slice text, struct confirm_item *items, size_t *count)
    GS_MUST_CHECK;

/* ---- confirm.c: asking ---- */

struct confirm;

struct confirm_options {
    const struct confirm_item *items; /* copied */
    size_t count;                     /* up to APPLY_OBJECTS_MAX */
    const struct gs_id *owner;        /* whose records they are; NULL: operators' objects */
    bool answered; /* and what went to what drains there is answered, as far as the wait allows */
    uint64_t wait_ms;
    void (*done)(void *arg); /* all were heard of; from the loop, once; may free it */
    void *arg;
};

/* Ask all members. NULL: there is nobody to ask. */
struct confirm *confirm_start(struct node *n, const struct confirm_options *o);
void confirm_free(struct confirm *c); /* any time; NULL is fine */
/* These count nobody, for NULL. */
size_t confirm_asked(const struct confirm *c);
size_t confirm_confirmed(const struct confirm *c);
/* for (size_t at = 0; confirm_next_laggard(c, &at, &name, &why);) */
bool confirm_next_laggard(const struct confirm *c, size_t *at, struct gs_slice *name,
                          const char **why);
/* A member is dead or has left: nobody waits for it any more. */
void confirm_on_member(struct node *n, const struct gossip_node *g);

/* ---- api_confirm.c: answering ---- */

/* The model was flushed, or the node's phase changed: who waits here may be answered now. */
void confirm_answer(struct node *n);
