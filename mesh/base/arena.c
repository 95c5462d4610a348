/* arena.c - pieces are cut off the front of a chunk; a piece that is large beside the chunk size
 * gets a chunk of its own, so the current one keeps its free space. */
#include <gossamer/arena.h>

#include <stdint.h>
#include <stdio.h>

#include <gossamer/alloc.h>

#define ARENA_ALIGN 16
#define ARENA_CHUNK_MIN 256

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_SINGLE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_SINGLE 1
#endif
#endif
#ifndef ARENA_SINGLE
#define ARENA_SINGLE 0
#endif

struct gs_arena_chunk {
    struct gs_arena_chunk *next;
    size_t bytes; /* behind this header */
};

_Static_assert(sizeof(struct gs_arena_chunk) % ARENA_ALIGN == 0, "pieces of a chunk are aligned");

void
gs_arena_init(struct gs_arena *a, void *own, size_t own_bytes, size_t chunk_bytes)
{
    GS_ASSERT(own || own_bytes == 0);
    *a = (struct gs_arena){
        .at = own,
        .left = own_bytes,
        .own = own,
        .own_bytes = own_bytes,
        .chunk_bytes = chunk_bytes < ARENA_CHUNK_MIN ? ARENA_CHUNK_MIN : chunk_bytes,
    };
}

void
gs_arena_reset(struct gs_arena *a)
{
    struct gs_arena_chunk *c = a->chunks;

    while (c) {
        struct gs_arena_chunk *next = c->next;

        gs_free(c);
        c = next;
    }
    a->chunks = NULL;
    a->at = a->own;
    a->left = a->own_bytes;
    a->total = 0;
}

void
gs_arena_fini(struct gs_arena *a)
{
    if (!a)
        return;
    gs_arena_reset(a);
    *a = (struct gs_arena){ 0 };
}

static char *
chunk_new(struct gs_arena *a, size_t bytes)
{
    struct gs_arena_chunk *c;

    GS_ASSERT(bytes <= SIZE_MAX / 8);
    c = gs_alloc(sizeof(*c) + bytes);
    c->bytes = bytes;
    c->next = a->chunks;
    a->chunks = c;
    return (char *)(c + 1);
}

/* pad: bytes to skip so that the piece is aligned in the current chunk. */
static char *
cut(struct gs_arena *a, size_t bytes, size_t pad)
{
    char *piece;

    GS_ASSERT(a->chunk_bytes > 0); /* initialised */
    a->total += bytes;
    if (ARENA_SINGLE)
        return chunk_new(a, bytes);
    if (bytes <= a->left && pad <= a->left - bytes) {
        piece = a->at + pad;
        a->at += pad + bytes;
        a->left -= pad + bytes;
        return piece;
    }
    if (bytes > a->chunk_bytes / 2)
        return chunk_new(a, bytes);
    piece = chunk_new(a, a->chunk_bytes);
    a->at = piece + bytes;
    a->left = a->chunk_bytes - bytes;
    return piece;
}

void *
gs_arena_alloc(struct gs_arena *a, size_t bytes)
{
    size_t pad = (size_t)(-(uintptr_t)a->at & (ARENA_ALIGN - 1));
    char *piece = cut(a, bytes, pad);

    GS_ASSERT(((uintptr_t)piece & (ARENA_ALIGN - 1)) == 0);
    return piece;
}

void *
gs_arena_zalloc(struct gs_arena *a, size_t bytes)
{
    return memset(gs_arena_alloc(a, bytes), 0, bytes);
}

char *
gs_arena_bytes(struct gs_arena *a, size_t bytes)
{
    return cut(a, bytes, 0);
}

struct gs_slice
gs_arena_copy(struct gs_arena *a, struct gs_slice s)
{
    char *p = gs_arena_bytes(a, s.len + 1);

    if (s.len > 0)
        memcpy(p, s.ptr, s.len);
    p[s.len] = '\0';
    return gs_slice(p, s.len);
}

const char *
gs_arena_strdup(struct gs_arena *a, struct gs_slice s)
{
    return gs_arena_copy(a, s).ptr;
}

const char *
gs_arena_printf(struct gs_arena *a, const char *fmt, ...)
{
    va_list ap;
    char *p;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    GS_ASSERT(n >= 0);
    p = gs_arena_bytes(a, (size_t)n + 1);
    va_start(ap, fmt);
    (void)vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}
