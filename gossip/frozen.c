/* frozen.c - mesh.state without the store standing still. Versions never change, so a count on each
 * of them is all it takes: 16 bytes and one addition per version on the gossip thread; encoding,
 * checksums and the disk happen elsewhere. */
#include <stddef.h>
#include <string.h>

#include <gossamer/alloc.h>
#include <gossamer/gossip.h>

#include "gossip/record.h"

struct frozen_frame {
    const struct version *version; /* NULL: the next of the small ones */
    uint16_t kind, len;
};

#define SMALL_BYTES_MAX sizeof(((struct gossip_cursor *)0)->scratch)

struct gossip_frozen {
    struct frozen_frame *frames;
    size_t count, cap;
    char (*small)[SMALL_BYTES_MAX]; /* of frames that are no records, which come last */
    size_t small_count, small_cap;
};

/* A record's frame is the version's own bytes, so they lead back to it. Going by frames keeps the
 * rule of what belongs into the file in one place, gossip_next_frame(). */
static const struct version *
version_of(struct gs_slice bytes)
{
    const struct version *v =
        (const struct version *)(const void *)(bytes.ptr - offsetof(struct version, bytes));

    GS_ASSERT(v->r.source == v);
    return v;
}

static void
add_small(struct gossip_frozen *f, struct gs_slice bytes)
{
    GS_ASSERT(bytes.len <= SMALL_BYTES_MAX);
    if (f->small_count == f->small_cap) {
        f->small_cap = f->small_cap ? f->small_cap * 2 : 16;
        f->small = gs_realloc(f->small, f->small_cap * sizeof(*f->small));
    }
    memcpy(f->small[f->small_count++], bytes.ptr, bytes.len);
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
        GS_ASSERT(f->small_count == 0);
        at->version = version_of(frame->bytes);
        gossip_record_keep(&at->version->r);
        return;
    }
    at->len = (uint16_t)frame->bytes.len;
    add_small(f, frame->bytes);
}

struct gossip_frozen *
gossip_freeze(const struct gossip *g)
{
    struct gossip_frozen *f = gs_zalloc(sizeof(*f));
    struct gossip_cursor cursor = { 0 };
    struct gossip_frame frame;

    while (gossip_next_frame(g, &cursor, &frame))
        add(f, &frame);
    return f;
}

bool
gossip_frozen_next(const struct gossip_frozen *f, size_t *at, struct gossip_frame *out)
{
    size_t records = f->count - f->small_count;
    const struct frozen_frame *frame;

    if (*at >= f->count)
        return false;
    frame = &f->frames[*at];
    out->kind = frame->kind;
    if (*at < records)
        out->bytes = frame->version->r.bytes;
    else
        out->bytes = gs_slice(f->small[*at - records], frame->len);
    ++*at;
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
    gs_free(f->small);
    gs_free(f);
}
