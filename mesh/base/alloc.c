/* alloc.c - the only callers of malloc and its kin. */
#include <gossamer/alloc.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <gossamer/check.h>

/* More than a process of this kind ever holds: a length that underflowed, not a need. */
#define ALLOC_BYTES_MAX (SIZE_MAX / 4)

static void *
present(void *p)
{
    if (!p)
        gs_panic(__FILE__, __LINE__, "out of memory");
    return p;
}

void *
gs_alloc(size_t bytes)
{
    GS_ASSERT(bytes <= ALLOC_BYTES_MAX);
    return present(malloc(bytes ? bytes : 1));
}

void *
gs_zalloc(size_t bytes)
{
    GS_ASSERT(bytes <= ALLOC_BYTES_MAX);
    return present(calloc(1, bytes ? bytes : 1));
}

void *
gs_realloc(void *p, size_t bytes)
{
    GS_ASSERT(bytes <= ALLOC_BYTES_MAX);
    return present(realloc(p, bytes ? bytes : 1));
}

void *
gs_calloc(size_t n, size_t bytes_each)
{
    size_t bytes = 0;

    if (__builtin_mul_overflow(n, bytes_each, &bytes))
        gs_panic(__FILE__, __LINE__, "gs_calloc: size overflows");
    return gs_zalloc(bytes);
}

void *
gs_zalloc_aligned(size_t align, size_t bytes)
{
    size_t whole = (bytes + align - 1) / align * align; /* aligned_alloc wants a multiple */

    GS_ASSERT(bytes <= ALLOC_BYTES_MAX);
    return memset(present(aligned_alloc(align, whole ? whole : align)), 0, whole);
}

char *
gs_strdup(const char *s)
{
    size_t bytes = strlen(s) + 1;

    return memcpy(gs_alloc(bytes), s, bytes);
}

void
gs_free(void *p)
{
    free(p);
}
