/* reader.c - the path of a finding. */
#include "mesh/model/reader.h"

#include <stdarg.h>
#include <stdio.h>

static size_t
append(struct reader *r, const char *text, size_t len)
{
    size_t mark = r->path_len;
    size_t room = sizeof(r->path) - 1 - mark;

    GS_ASSERT(mark < sizeof(r->path));
    len = len < room ? len : room;
    if (len > 0)
        memcpy(r->path + mark, text, len);
    r->path_len = mark + len;
    GS_ASSERT(r->path_len < sizeof(r->path));
    r->path[r->path_len] = '\0';
    return mark;
}

size_t
reader_enter(struct reader *r, struct gs_slice key)
{
    size_t mark = r->path_len;

    if (mark > 0)
        (void)append(r, ".", 1);
    (void)append(r, key.ptr, key.len);
    return mark;
}

size_t
reader_enter_index(struct reader *r, size_t index)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "[%zu]", index);

    GS_ASSERT(len > 0);
    return append(r, text, (size_t)len);
}

void
reader_leave(struct reader *r, size_t mark)
{
    GS_ASSERT(mark <= r->path_len);
    r->path_len = mark;
    r->path[mark] = '\0';
}

struct gs_problem *
reader_problem(struct reader *r, enum gs_severity sev, const char *code, struct policy_place at,
               const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    GS_ASSERT(r->problems);
    GS_ASSERT(r->path[r->path_len] == '\0');
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return gs_problems_add(r->problems, sev, code, r->file, at.line, at.column,
                           r->path_len > 0 ? r->path : NULL, "%s", text);
}
