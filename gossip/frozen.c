/* frozen.c - mesh.state without the store standing still. Versions never change, so a count on each
 * of them is all it takes: 16 bytes and one addition per version on the gossip thread; encoding,
 * checksums and the disk happen elsewhere. */
#include "gossip/frozen.h"

#include <stddef.h>
#include <string.h>

#include <gossamer/alloc.h>

struct frozen_frame {
    const struct version *version; /* NULL: the floor */
    uint16_t kind;
};

struct gossip_frozen {
    struct frozen_frame *frames;
    size_t count, cap;
    char floor[sizeof(uint64_t)];
};

/* A record's frame is the version's own bytes, so they lead back to it. Going by frames keeps the
 * rule of what belongs into the file in one place, records_next_frame(). */
static const struct version *
version_of(struct gs_slice bytes)
{
    const struct version *v =
        (const struct version *)(const void *)(bytes.ptr - offsetof(struct version, bytes));

    GS_ASSERT(v->r.source == v);
    return v;
}

static void
add(struct gossip_frozen *f, const struct gossip_frame *frame)
{
    struct frozen_frame *at;

    if (f->count == f->cap) {
        f->cap = f->cap ? f->cap * 2 : 256;
        f->frames = gs_realloc(f->frames, f->cap * sizeof(*f->frames));
    }
    at = &f->frames[f->count++];
    *at = (struct frozen_frame){ .kind = frame->kind };
    if (frame->kind == GOSSIP_FRAME_RECORD) {
        at->version = version_of(frame->bytes);
        gossip_record_keep(&at->version->r);
        return;
    }
    GS_ASSERT(frame->kind == GOSSIP_FRAME_FLOOR);
    GS_ASSERT(frame->bytes.len == sizeof(f->floor));
    memcpy(f->floor, frame->bytes.ptr, sizeof(f->floor));
}

struct gossip_frozen *
records_freeze(const struct records *r)
{
    struct gossip_frozen *f = gs_zalloc(sizeof(*f));
    struct gossip_cursor cursor = { 0 };
    struct gossip_frame frame;

    while (records_next_frame(r, &cursor, &frame))
        add(f, &frame);
    return f;
}

bool
gossip_frozen_next(const struct gossip_frozen *f, size_t *at, struct gossip_frame *out)
{
    const struct frozen_frame *frame;

    if (*at >= f->count)
        return false;
    frame = &f->frames[(*at)++];
    out->kind = frame->kind;
    out->bytes = frame->version ? frame->version->r.bytes : gs_slice(f->floor, sizeof(f->floor));
    return true;
}

void
gossip_frozen_free(struct gossip_frozen *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->count; i++) {
        if (f->frames[i].version)
            gossip_record_drop(&f->frames[i].version->r);
    }
    gs_free(f->frames);
    gs_free(f);
}
