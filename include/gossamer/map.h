/* map.h - text -> pointer, for control-side look-ups. Keys are borrowed: they must live in the
 * value (or longer). Keyed hash, so names chosen by an attacker do not collide on purpose.
 * Iteration order is unspecified; sort where order shows. */
#pragma once

#include <gossamer/slice.h>

struct gs_map_cell {
    struct gs_slice key; /* ptr NULL: empty or deleted */
    void *value;
    uint64_t hash;
};

struct gs_map {
    struct gs_map_cell *cells;
    size_t cap; /* power of two or 0 */
    size_t count;
    size_t used; /* count plus deleted cells */
    uint64_t seed;
};

void gs_map_init(struct gs_map *m, uint64_t seed);
void gs_map_fini(struct gs_map *m);
void *gs_map_find(const struct gs_map *m, struct gs_slice key);       /* NULL when absent */
void *gs_map_put(struct gs_map *m, struct gs_slice key, void *value); /* the former value or NULL */
void *gs_map_remove(struct gs_map *m, struct gs_slice key);           /* the value or NULL */
/* for (size_t at = 0; gs_map_next(&m, &at, &value);) ...; the map must not change meanwhile. */
bool gs_map_next(const struct gs_map *m, size_t *at, void **value);
