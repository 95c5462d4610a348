/* live_memory.c - a list of all blocks beside the heap, by address: so a block of a library that we
 * give back is told from one of ours, and none is any longer than without this. */
#include "tests/unit/live_memory.h"

#include <stdint.h>
#include <stdlib.h>

#include <gossamer/check.h>

/* The linker calls these for the names behind the second underscore. */
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes_each);
void *__real_realloc(void *p, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
void __real_free(void *p);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes_each);
void *__wrap_realloc(void *p, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
void __wrap_free(void *p);

#define CHAINS 65536

struct block {
    struct block *next;
    uintptr_t at;
    size_t bytes;
};

static struct block *chains[CHAINS];
static size_t live_bytes;

size_t
live_memory(void)
{
    return live_bytes;
}

static struct block **
chain_of(uintptr_t at)
{
    return &chains[(at >> 4) % CHAINS];
}

static void *
added(void *p, size_t bytes)
{
    struct block **chain = chain_of((uintptr_t)p);
    struct block *b;

    if (!p)
        return NULL;
    b = __real_malloc(sizeof(*b));
    GS_ASSERT(b);
    *b = (struct block){ *chain, (uintptr_t)p, bytes };
    *chain = b;
    live_bytes += bytes;
    return p;
}

static void
taken_out(uintptr_t at)
{
    for (struct block **link = chain_of(at); *link; link = &(*link)->next) {
        struct block *b = *link;

        if (b->at != at)
            continue;
        GS_ASSERT(live_bytes >= b->bytes);
        live_bytes -= b->bytes;
        *link = b->next;
        __real_free(b);
        return;
    }
}

void *
__wrap_malloc(size_t bytes)
{
    return added(__real_malloc(bytes), bytes);
}

void *
__wrap_calloc(size_t n, size_t bytes_each)
{
    return added(__real_calloc(n, bytes_each), n * bytes_each);
}

void *
__wrap_realloc(void *p, size_t bytes)
{
    uintptr_t before = (uintptr_t)p;
    void *now = __real_realloc(p, bytes);

    if (now)
        taken_out(before);
    return added(now, bytes);
}

void *
__wrap_aligned_alloc(size_t align, size_t bytes)
{
    return added(__real_aligned_alloc(align, bytes), bytes);
}

void
__wrap_free(void *p)
{
    taken_out((uintptr_t)p);
    __real_free(p);
}
