/* version.h - which of two writes to one key counts, and the identities it is made of. Shared
 * vocabulary: gossip orders by it, the model shows it, operators type it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <gossamer/check.h>
#include <gossamer/err.h>
#include <gossamer/slice.h>

#define GS_ID_BYTES 16
#define GS_ID_TEXT (2 * GS_ID_BYTES + 1)
#define GS_VERSION_TEXT 71 /* 20 digits, 16 and 32 hex digits, two dots, NUL */

struct gs_id { /* of a node: the first bytes of SHA-256 of its public key */
    uint8_t bytes[GS_ID_BYTES];
};

struct gs_digest { /* SHA-256, cut to what tells records apart */
    uint8_t bytes[16];
};

/* What an operator wrote: generation = that of the replaced version + 1, compared first; the
 * hybrid logical clock orders writes that did not see each other, the writer breaks ties.
 * What a node wrote about itself: generation = its boot, hlc = its sequence number. */
struct gs_version {
    uint64_t generation; /* 0: no version at all */
    uint64_t hlc;        /* 48 bits of milliseconds since 1970, 16 of a counter */
    struct gs_id writer;
};

int gs_version_cmp(const struct gs_version *a, const struct gs_version *b);
/* "3.0192f3a1b2c40001.9f8e7d6c5b4a39281706f5e4d3c2b1a0"; returns out. */
const char *gs_version_text(const struct gs_version *v, char out[GS_VERSION_TEXT]);
/* The same text back, exactly as it was written; GS_E_MALFORMED for any other spelling. */
gs_err gs_version_parse(struct gs_version *v, struct gs_slice text) GS_MUST_CHECK;

const char *gs_id_text(const struct gs_id *id, char out[GS_ID_TEXT]); /* returns out */
gs_err gs_id_parse(struct gs_id *id, struct gs_slice text) GS_MUST_CHECK;
bool gs_id_eq(const struct gs_id *a, const struct gs_id *b);
bool gs_digest_eq(const struct gs_digest *a, const struct gs_digest *b);
bool gs_digest_is_zero(const struct gs_digest *d);

static inline uint64_t
gs_hlc_ms(uint64_t hlc)
{
    return hlc >> 16;
}
