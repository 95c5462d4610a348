/* json.c - the one user of jansson: its values become a tree. */
#include "mesh/config/json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include <gossamer/alloc.h>
#include <gossamer/limits.h>

#include "mesh/config/codes.h"

#define REAL_TEXT 32

/* Memory running out is noticed in one place. Before main, so that no thread is in jansson. */
__attribute__((constructor)) static void
set_allocator(void)
{
    json_set_alloc_funcs(gs_alloc, gs_free);
}

struct reader {
    struct gs_arena *arena;
    size_t nodes;
    const char *over; /* the cap that was passed, NULL if none */
};

static struct tree *convert(struct reader *r, const json_t *v, unsigned depth);

static void
convert_object(struct reader *r, const json_t *v, unsigned depth, struct tree *t)
{
    json_t *object = json_incref((json_t *)(uintptr_t)v); /* iterators take no const */
    size_t count = json_object_size(v);
    const char *key;
    json_t *value;

    t->pairs = gs_arena_alloc(r->arena, count * sizeof(*t->pairs));
    json_object_foreach(object, key, value)
    {
        struct tree *child = convert(r, value, depth + 1);

        if (!child)
            break;
        GS_ASSERT(t->count < count);
        t->pairs[t->count++] = (struct tree_pair){
            .key = gs_arena_copy(r->arena, gs_slice_str(key)),
            .value = child,
        };
    }
    json_decref(object);
}

static void
convert_array(struct reader *r, const json_t *v, unsigned depth, struct tree *t)
{
    size_t count = json_array_size(v);

    t->items = gs_arena_alloc(r->arena, count * sizeof(struct tree *));
    for (; t->count < count; t->count++) {
        t->items[t->count] = convert(r, json_array_get(v, t->count), depth + 1);
        if (!t->items[t->count])
            return;
    }
}

/* The shortest text that reads back as the same number. */
static void
real_text(double v, char out[REAL_TEXT])
{
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(out, REAL_TEXT, "%.*g", digits, v);
        if (strtod(out, NULL) == v)
            return;
    }
}

static struct gs_slice
scalar_text(struct reader *r, const json_t *v)
{
    char text[REAL_TEXT];

    switch (json_typeof(v)) {
    case JSON_STRING:
        return gs_arena_copy(r->arena, gs_slice(json_string_value(v), json_string_length(v)));
    case JSON_INTEGER:
        return gs_slice_str(gs_arena_printf(r->arena, "%" PRId64, (int64_t)json_integer_value(v)));
    case JSON_REAL:
        real_text(json_real_value(v), text);
        return gs_arena_copy(r->arena, gs_slice_str(text));
    case JSON_TRUE:
        return GS_SLICE("true");
    case JSON_FALSE:
        return GS_SLICE("false");
    case JSON_NULL:
        return GS_SLICE("null");
    case JSON_OBJECT:
    case JSON_ARRAY:
        break;
    }
    GS_UNREACHABLE("not a scalar");
}

static struct tree *
convert(struct reader *r, const json_t *v, unsigned depth)
{
    struct tree *t;

    if (depth > TREE_DEPTH_MAX)
        r->over = "nested deeper than allowed";
    else if (++r->nodes > TREE_NODES_MAX)
        r->over = "more values than allowed";
    if (r->over)
        return NULL;
    t = gs_arena_zalloc(r->arena, sizeof(*t));
    if (json_is_object(v)) {
        t->kind = TREE_MAP;
        convert_object(r, v, depth, t);
    } else if (json_is_array(v)) {
        t->kind = TREE_SEQ;
        convert_array(r, v, depth, t);
    } else {
        t->kind = TREE_SCALAR;
        t->plain = !json_is_string(v);
        t->text = scalar_text(r, v);
    }
    return r->over ? NULL : t;
}

gs_err
tree_parse_json(struct gs_slice text, const char *file, struct gs_arena *arena, struct tree **out,
                struct gs_problems *problems)
{
    struct reader r = { .arena = arena };
    json_error_t error;
    struct tree *root;
    json_t *v;

    if (text.len > TREE_TEXT_MAX) {
        (void)gs_problems_add(problems, GS_SEV_ERROR, CODE_YAML_LIMIT, file, 0, 0, NULL,
                              "%zu bytes are too many, at most %u are read", text.len,
                              TREE_TEXT_MAX);
        return GS_E_MALFORMED;
    }
    v = json_loadb(text.len > 0 ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
                   &error);
    if (!v) {
        (void)gs_problems_add(problems, GS_SEV_ERROR, CODE_YAML_SYNTAX, file,
                              error.line > 0 ? (unsigned)error.line : 0,
                              error.column > 0 ? (unsigned)error.column : 0, NULL, "%s",
                              error.text);
        return GS_E_MALFORMED;
    }
    root = convert(&r, v, 1);
    json_decref(v);
    if (!root) {
        (void)gs_problems_add(problems, GS_SEV_ERROR, CODE_YAML_LIMIT, file, 0, 0, NULL, "%s",
                              r.over);
        return GS_E_MALFORMED;
    }
    *out = root;
    return GS_E_OK;
}
