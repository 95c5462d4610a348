/* disk.c - frames one after the other in memory: what persist.c writes to files. */
#include "tests/sim/disk.h"

#include <string.h>

#include "tests/sim/world.h"

#define DISK_BYTES_MAX STATE_BYTES_MAX

void
disk_init(struct disk *d)
{
    *d = (struct disk){ 0 };
    gs_buf_init(&d->frames, DISK_BYTES_MAX);
}

void
disk_fini(struct disk *d)
{
    gs_buf_fini(&d->frames);
}

void
disk_copy(struct disk *to, const struct disk *from)
{
    gs_buf_clear(&to->frames);
    GS_ASSERT(gs_buf_put_slice(&to->frames, gs_buf_slice(&from->frames)) == GS_E_OK);
    to->boot = from->boot;
    to->hlc = from->hlc;
    to->saved_ns = from->saved_ns;
}

void
disk_wipe(struct disk *d)
{
    gs_buf_clear(&d->frames);
    d->boot = d->hlc = d->saved_ns = 0;
}

void
disk_save(struct disk *d, const struct world *w, const struct host *h)
{
    struct gossip_frozen *frozen = gossip_freeze(h->core);
    struct gossip_frame f;
    size_t at = 0;

    gs_buf_clear(&d->frames);
    while (gossip_frozen_next(frozen, &at, &f)) {
        uint32_t len = (uint32_t)f.bytes.len;

        (void)gs_buf_put(&d->frames, &f.kind, sizeof(f.kind));
        (void)gs_buf_put(&d->frames, &len, sizeof(len));
        (void)gs_buf_put_slice(&d->frames, f.bytes);
    }
    gossip_frozen_free(frozen);
    GS_ASSERT(!d->frames.failed);
    d->saved_ns = w->now_ns;
}

void
disk_load(const struct disk *d, const struct world *w, struct host *h)
{
    size_t at = 0;

    while (at < d->frames.len) {
        uint16_t kind;
        uint32_t len;
        struct gs_why why = { "" };

        memcpy(&kind, d->frames.ptr + at, sizeof(kind));
        memcpy(&len, d->frames.ptr + at + sizeof(kind), sizeof(len));
        at += sizeof(kind) + sizeof(len);
        GS_ASSERT(at + len <= d->frames.len);
        GS_ASSERT(gossip_restore(h->core, host_now_ms(w, h), host_wall_ms(w, h), kind,
                                 gs_slice(d->frames.ptr + at, len), &why) == GS_E_OK);
        at += len;
    }
}
