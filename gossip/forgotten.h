/* forgotten.h - who was dropped from the table of members lately. Others drop the same one at
 * another moment, and offer its records until then. */
#pragma once

#include <gossamer/gossip.h>
#include <gossamer/list.h>
#include <gossamer/map.h>

struct forgotten {
    struct gs_map by_id;
    struct gs_list oldest; /* first out */
    size_t count;
};

void forgotten_init(struct forgotten *f, uint64_t seed); /* nobody can guess it */
void forgotten_fini(struct forgotten *f);
/* id is not to be taken again at this boot or below, until then. Of FORGOTTEN_MAX the oldest
 * makes room. */
void forgotten_put(struct forgotten *f, const struct gs_id *id, uint64_t boot, uint64_t until_ms);
bool forgotten_has(const struct forgotten *f, uint64_t now_ms, const struct gs_id *id,
                   uint64_t boot);
void forgotten_remove(struct forgotten *f, const struct gs_id *id); /* fine if it is not there */
void forgotten_tick(struct forgotten *f, uint64_t now_ms);          /* those whose time is over */
void forgotten_check(const struct forgotten *f);
