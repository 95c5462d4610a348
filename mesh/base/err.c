/* err.c - the table of err.h as look-ups, and how a refusal's reason is written. */
#include <gossamer/err.h>

#include <stdarg.h>
#include <stdio.h>

#include <gossamer/check.h>

struct err_row {
    const char *name;
    const char *text;
    enum gs_fault fault;
};

static const struct err_row rows[] = { { "OK", "no error", GS_FAULT_NOBODY },
#define X(name, fault, text) { #name, text, GS_FAULT_##fault },
                                       GS_ERR_TABLE(X)
#undef X
};

/* A number that is not of the table can only come from a fault of ours, but a log line about it
 * must still be written: it reads as BUG. */
static const struct err_row *
row_of(gs_err e)
{
    if (e > 0 || e <= -(gs_err)GS_COUNT(rows))
        return &rows[GS_ERR_INDEX_BUG];
    return &rows[-e];
}

const char *
gs_err_name(gs_err e)
{
    return row_of(e)->name;
}

const char *
gs_err_text(gs_err e)
{
    return row_of(e)->text;
}

enum gs_fault
gs_err_fault(gs_err e)
{
    return row_of(e)->fault;
}

gs_err
gs_refuse(struct gs_why *why, gs_err e, const char *fmt, ...)
{
    va_list ap;

    GS_ASSERT(e < 0);
    if (!why)
        return e;
    va_start(ap, fmt);
    (void)vsnprintf(why->text, sizeof(why->text), fmt, ap);
    va_end(ap);
    return e;
}
