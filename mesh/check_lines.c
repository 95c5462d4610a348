/* check_lines.c - the lines of a check, and how they are written down. */
#include "mesh/check_lines.h"

#include <stdarg.h>
#include <stdio.h>

#include <gossamer/alloc.h>
#include <gossamer/json_out.h>

#define MESSAGE_BYTES_MAX 1024

static const char *const result_names[] = { "ok", "warning", "error" };

void
check_lines_init(struct check_lines *l)
{
    *l = (struct check_lines){ .items = NULL };
    gs_arena_init(&l->arena, NULL, 0, 4096);
}

void
check_lines_fini(struct check_lines *l)
{
    gs_free(l->items);
    gs_arena_fini(&l->arena);
    l->items = NULL;
    l->count = l->cap = 0;
}

void
check_put(struct check_lines *l, const char *group, const char *name, enum check_result result,
          const char *hint, const char *fmt, ...)
{
    char message[MESSAGE_BYTES_MAX];
    va_list ap;

    GS_ASSERT((result == CHECK_OK) == (hint == NULL));
    va_start(ap, fmt);
    (void)vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 32;
        l->items = gs_realloc(l->items, l->cap * sizeof(*l->items));
    }
    l->items[l->count++] = (struct check_line){
        .group = gs_arena_strdup(&l->arena, gs_slice_str(group)),
        .name = gs_arena_strdup(&l->arena, gs_slice_str(name)),
        .result = result,
        .message = gs_arena_strdup(&l->arena, gs_slice_str(message)),
        .hint = hint ? gs_arena_strdup(&l->arena, gs_slice_str(hint)) : NULL,
    };
}

size_t
check_count(const struct check_lines *l, enum check_result result)
{
    size_t count = 0;

    for (size_t i = 0; i < l->count; i++)
        count += l->items[i].result == result;
    return count;
}

const char *
check_result_name(enum check_result r)
{
    GS_ASSERT((size_t)r < GS_COUNT(result_names));
    return result_names[r];
}

void
check_lines_json(const struct check_lines *l, struct json_out *j)
{
    json_key(j, "check");
    json_arr(j);
    for (size_t i = 0; i < l->count; i++) {
        const struct check_line *at = &l->items[i];

        json_obj(j);
        json_kstr(j, "group", at->group);
        json_kstr(j, "name", at->name);
        json_kstr(j, "result", check_result_name(at->result));
        json_kstr(j, "message", at->message);
        json_kstr(j, "hint", at->hint);
        json_obj_end(j);
    }
    json_arr_end(j);
}

/* ---- several names ---- */

void
check_names_add(struct check_names *n, const char *fmt, ...)
{
    size_t len = strlen(n->text);
    va_list ap;

    if (n->count++ >= CHECK_NAMES_SHOWN)
        return;
    if (n->count > 1 && len + 3 < sizeof(n->text)) {
        memcpy(n->text + len, ", ", 3);
        len += 2;
    }
    va_start(ap, fmt);
    (void)vsnprintf(n->text + len, sizeof(n->text) - len, fmt, ap);
    va_end(ap);
}

const char *
check_names_text(struct check_names *n)
{
    size_t len = strlen(n->text);

    if (n->count > CHECK_NAMES_SHOWN)
        (void)snprintf(n->text + len, sizeof(n->text) - len, " and %zu more",
                       n->count - CHECK_NAMES_SHOWN);
    return n->text;
}
