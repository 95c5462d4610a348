/* list.h - an intrusive doubly linked ring. An unlinked node points to itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <gossamer/check.h>

struct gs_list {
    struct gs_list *next, *prev;
};

static inline void
gs_list_init(struct gs_list *l)
{
    l->next = l->prev = l;
}

static inline bool
gs_list_empty(const struct gs_list *l)
{
    return l->next == l;
}

static inline bool
gs_list_linked(const struct gs_list *n)
{
    return n->next != n;
}

static inline void
gs_list_push_back(struct gs_list *l, struct gs_list *n)
{
    n->prev = l->prev;
    n->next = l;
    l->prev->next = n;
    l->prev = n;
}

static inline void
gs_list_push_front(struct gs_list *l, struct gs_list *n)
{
    gs_list_push_back(l->next, n);
}

static inline void
gs_list_remove(struct gs_list *n) /* an unlinked node is fine */
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    gs_list_init(n);
}

static inline struct gs_list *
gs_list_pop_front(struct gs_list *l) /* NULL when empty */
{
    struct gs_list *n = l->next;

    if (n == l)
        return NULL;
    gs_list_remove(n);
    return n;
}

/* Move all nodes of `from` to the end of `to`. */
static inline void
gs_list_splice(struct gs_list *to, struct gs_list *from)
{
    if (gs_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    gs_list_init(from);
}

#define GS_LIST_ENTRY(node, type, member) GS_CONTAINER(node, type, member)
#define GS_LIST_EACH(pos, list)                                                                    \
    for (struct gs_list *pos = (list)->next; pos != (list); pos = pos->next)
/* `pos` may be removed (but nothing else) by the body. */
#define GS_LIST_EACH_SAFE(pos, list)                                                               \
    for (struct gs_list *pos = (list)->next, *pos##_next = pos->next; pos != (list);               \
         pos = pos##_next, pos##_next = pos->next)
