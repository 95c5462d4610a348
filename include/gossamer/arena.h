/* arena.h - memory that is freed as a whole: one arena per exchange and per snapshot blob.
 * Under AddressSanitizer each piece is an allocation of its own, so overruns are seen. */
#pragma once

#include <stdarg.h>

#include <gossamer/check.h>
#include <gossamer/slice.h>

struct gs_arena_chunk;

struct gs_arena {
    struct gs_arena_chunk *chunks; /* newest first */
    char *at;                      /* free space of the current chunk or of the caller's memory */
    size_t left;
    char *own; /* caller's first piece, used before any allocation; may be NULL */
    size_t own_bytes;
    size_t chunk_bytes; /* of the next chunk */
    size_t total;       /* bytes asked for so far */
};

/* own: memory of the caller that outlives the arena (may be NULL, 0). */
void gs_arena_init(struct gs_arena *a, void *own, size_t own_bytes, size_t chunk_bytes);
void gs_arena_fini(struct gs_arena *a);
void gs_arena_reset(struct gs_arena *a);                 /* as fini, ready for use again */
void *gs_arena_alloc(struct gs_arena *a, size_t bytes);  /* aligned to 16, not cleared */
void *gs_arena_zalloc(struct gs_arena *a, size_t bytes); /* cleared */
char *gs_arena_bytes(struct gs_arena *a, size_t bytes);  /* unaligned */
struct gs_slice gs_arena_copy(struct gs_arena *a, struct gs_slice s); /* NUL behind, not counted */
const char *gs_arena_strdup(struct gs_arena *a, struct gs_slice s);
const char *gs_arena_printf(struct gs_arena *a, const char *fmt, ...) GS_PRINTF(2, 3);
