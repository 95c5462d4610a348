/* reason.h - the rows of reasons.def as numbers. */
#pragma once

#include <gossamer/err.h>

enum reason {
#define X(name, text, status, error, flag, fault, help) REASON_##name,
#include <gossamer/reasons.def>
#undef X
    REASON_COUNT
};

struct reason_info {
    const char *name;
    unsigned status;   /* 0: no answer of our own */
    const char *error; /* of Proxy-Status; NULL when none */
    const char *flag;  /* Envoy's response flag, "-" when none */
    enum gs_fault fault;
    const char *text;
};

const struct reason_info *reason_info(enum reason r);
