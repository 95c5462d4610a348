/* alloc.h - the one place where memory running out is noticed: it aborts. */
#pragma once

#include <stddef.h>

void *gs_alloc(size_t bytes);  /* not cleared */
void *gs_zalloc(size_t bytes); /* cleared */
void *gs_realloc(void *p, size_t bytes);
void *gs_calloc(size_t n, size_t bytes_each);        /* cleared; overflow aborts */
void *gs_zalloc_aligned(size_t align, size_t bytes); /* cleared; align a power of two */
char *gs_strdup(const char *s);
void gs_free(void *p); /* NULL is allowed */
