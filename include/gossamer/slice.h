/* slice.h - bytes somebody else owns. Passed by value; valid as long as the owner says. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct gs_slice {
    const char *ptr;
    size_t len;
};

#define GS_SLICE_NONE ((struct gs_slice){ NULL, 0 })
#define GS_SLICE(lit) ((struct gs_slice){ "" lit, sizeof(lit) - 1 })
#define GS_SLICE_FMT(s) (int)(s).len, (s).ptr /* for "%.*s" */

static inline struct gs_slice
gs_slice(const void *ptr, size_t len)
{
    return (struct gs_slice){ ptr, len };
}

static inline struct gs_slice
gs_slice_str(const char *s)
{
    return (struct gs_slice){ s, s ? strlen(s) : 0 };
}

static inline bool
gs_slice_eq(struct gs_slice a, struct gs_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline struct gs_slice
gs_slice_from(struct gs_slice s, size_t at) /* at <= s.len */
{
    return (struct gs_slice){ s.ptr + at, s.len - at };
}

/* Bytes of the control character that s begins with: C0 and DEL 1, C1 in UTF-8 2; 0: it is none.
 * Terminals obey all of them. s is not empty. */
static inline size_t
gs_slice_control(struct gs_slice s)
{
    unsigned char c = (unsigned char)s.ptr[0];

    if (c != 0xc2)
        return c < 0x20 || c == 0x7f;
    return s.len > 1 && (unsigned char)s.ptr[1] >= 0x80 && (unsigned char)s.ptr[1] <= 0x9f ? 2 : 0;
}

static inline struct gs_slice
gs_slice_head(struct gs_slice s, size_t n) /* n <= s.len */
{
    return (struct gs_slice){ s.ptr, n };
}

bool gs_slice_eq_nocase(struct gs_slice a, struct gs_slice b); /* ASCII letters only */
bool gs_slice_starts(struct gs_slice s, struct gs_slice prefix);
bool gs_slice_ends(struct gs_slice s, struct gs_slice suffix);
int gs_slice_cmp(struct gs_slice a, struct gs_slice b); /* memcmp order, shorter first */
ptrdiff_t gs_slice_find(struct gs_slice s, char c);     /* index or -1 */
ptrdiff_t gs_slice_rfind(struct gs_slice s, char c);    /* index or -1 */
struct gs_slice gs_slice_trim(struct gs_slice s);       /* blanks and tabs at both ends */
/* Cut the text before the first `sep` off *rest; the whole rest if there is none. False when
 * nothing is left (an empty *rest whose ptr is NULL). */
bool gs_slice_cut(struct gs_slice *rest, char sep, struct gs_slice *part);
bool gs_slice_to_u64(struct gs_slice s, uint64_t *out); /* digits only, whole slice, no overflow */
/* Edit distance (insert, delete, replace, swap of neighbours), capped at `cap` + 1. */
unsigned gs_slice_distance(struct gs_slice a, struct gs_slice b, unsigned cap);
uint64_t gs_hash(const void *p, size_t len, uint64_t seed);  /* SipHash-1-3 keyed by the seed */
uint32_t gs_crc32c(uint32_t crc, const void *p, size_t len); /* Castagnoli; start with 0 */
