/* reason.c - reasons.def as a table. */
#include <gossamer/reason.h>

#include <stddef.h>

#include <gossamer/check.h>

static const struct reason_info infos[REASON_COUNT] = {
#define X(name, text, status, error, flag, fault, help)                                            \
    [REASON_##name] = { #text, status, error, flag, GS_FAULT_##fault, help },
#include <gossamer/reasons.def>
#undef X
};

const struct reason_info *
reason_info(enum reason r)
{
    GS_ASSERT((unsigned)r < REASON_COUNT);
    return &infos[r];
}
