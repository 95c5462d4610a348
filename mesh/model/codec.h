/* codec.h - the part of the codec that is not in policy.h: what mesh.state keeps of the model. */
#pragma once

#include <gossamer/buf.h>
#include <gossamer/version.h>

struct codec_active {
    struct gs_slice key, value;
    struct gs_version version;
    uint64_t born_hlc;
    struct gs_digest hash;
};

gs_err codec_put_active(const struct codec_active *a, struct gs_buf *out) GS_MUST_CHECK;
/* Slices point into bytes. */
gs_err codec_read_active(struct gs_slice bytes, struct codec_active *out) GS_MUST_CHECK;
