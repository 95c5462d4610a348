/* disk.h - what a process finds when it starts: mesh.state and node.state. */
#pragma once

#include <gossamer/buf.h>

struct host;
struct world;

#define DISK_FLUSH_MS 500 /* design.md 5: at most so often, and after an operator's write at once */

struct disk {
    struct gs_buf frames; /* kind u16, length u32, bytes; host order: it never leaves the run */
    uint64_t boot, hlc;
    uint64_t saved_ns;
};

void disk_init(struct disk *d);
void disk_fini(struct disk *d);
void disk_copy(struct disk *to, const struct disk *from);
void disk_wipe(struct disk *d);
/* All that the core would have kept. */
void disk_save(struct disk *d, const struct world *w, const struct host *h);
/* Give it all to a fresh core. */
void disk_load(const struct disk *d, const struct world *w, struct host *h);
