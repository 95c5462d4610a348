/* codec.h - the part of the codec that is not in policy.h: what mesh.state keeps of the model, and
 * what nodes say of themselves. */
#pragma once

#include <gossamer/arena.h>
#include <gossamer/buf.h>
#include <gossamer/version.h>

struct codec_active {
    struct gs_slice key, value;
    struct gs_version version;
    uint64_t born_hlc;
    struct gs_digest hash;
};

/* What an owner says of one of its services (endpoints.h): as it may be published, or as somebody
 * wrote it, in `arena` and not checked. */
struct endpoints;
struct gs_arena;
gs_err codec_put_endpoints(const struct endpoints *e, struct gs_buf *out) GS_MUST_CHECK;
gs_err codec_read_endpoints(struct gs_slice bytes, struct gs_arena *arena, struct endpoints *out)
    GS_MUST_CHECK;

gs_err codec_put_active(const struct codec_active *a, struct gs_buf *out) GS_MUST_CHECK;
/* Slices point into bytes. */
gs_err codec_read_active(struct gs_slice bytes, struct codec_active *out) GS_MUST_CHECK;

struct codec_about {
    struct gs_slice version, zone, inbound; /* empty: not said */
    uint32_t services;
};

gs_err codec_put_about(const struct codec_about *a, struct gs_buf *out) GS_MUST_CHECK;
/* Another node's word: texts of any length that fits its bytes, copied into the arena.
 * GS_E_MALFORMED: they are something else. */
gs_err codec_read_about(struct gs_slice bytes, struct gs_arena *arena, struct codec_about *out)
    GS_MUST_CHECK;
