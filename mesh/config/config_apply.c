/* config_apply.c - the schema meets a document. Start reading at config_apply_tree().
 *
 *     tree                        schema                         object
 *     gossip:            ──▶  "gossip" is a section         same object
 *       bind: ADDRESS    ──▶  "gossip.bind" is a row        value_parse into its member
 *     services:          ──▶  "services" is a LIST row      an object for each item
 *     - name: a          ──▶  "services[].name" is a row    of that item's object
 *
 * Each step carries three names of where it is: the schema's path ("services[].port"), the field
 * as people count it ("services[3].port"), and the object that the values go to. */
#include "mesh/config/config_apply.h"

#include <stdio.h>
#include <stdlib.h>

#include "mesh/config/codes.h"

struct place {
    void *object;
    enum schema_object kind;
    char path[SCHEMA_PATH_MAX];
    char field[CONFIG_FIELD_MAX];
};

struct items { /* the shape that all lists of config.h have */
    void *items;
    size_t count;
};

_Static_assert(sizeof(struct items) == sizeof(struct config_services), "one shape");

static void apply_map(const struct config_apply *a, const struct place *at, const struct tree *map);

void *
config_member(void *object, const struct schema_row *row)
{
    return (char *)object + row->offset;
}

const void *
config_member_const(const void *object, const struct schema_row *row)
{
    return (const char *)object + row->offset;
}

struct config_origin *
config_origin_of(const void *object, const struct schema_row *row)
{
    struct config_origin *all;

    memcpy(&all, object, sizeof(all)); /* every object starts with its origins */
    GS_ASSERT(all);
    return &all[schema_index(row)];
}

bool
config_is_given(const void *object, const struct schema_row *row)
{
    return config_origin_of(object, row)->source != CONFIG_DEFAULT;
}

/* ---- defaults ---- */

static const char *
fallback_text(const struct config_apply *a, const char *fallback)
{
    if (!fallback || fallback[0] != '@')
        return fallback;
    if (strcmp(fallback, "@hostname") == 0)
        return a->hostname;
    if (strcmp(fallback, "@state") == 0)
        return a->state;
    if (strcmp(fallback, "@socket") == 0)
        return a->socket;
    GS_ASSERT(strcmp(fallback, "@namespace") == 0); /* known when everything is read */
    return NULL;
}

void
config_apply_defaults(const struct config_apply *a, enum schema_object kind, void *object)
{
    struct config_origin *origins = gs_arena_zalloc(a->arena, schema_count * sizeof(*origins));
    uint32_t none = CONFIG_UINT_NONE;
    struct value_fault fault;

    memcpy(object, &origins, sizeof(origins));
    for (size_t i = 0; i < schema_count; i++) {
        const struct schema_row *row = &schema_rows[i];
        const char *text = fallback_text(a, row->fallback);

        if (row->object != kind || schema_must(row))
            continue;
        if (text && value_parse(&row->value, gs_slice_str(text), a->arena,
                                config_member(object, row), &fault) != GS_E_OK)
            gs_panic(__FILE__, __LINE__, row->path); /* the table must accept its own defaults */
        if (!text && row->value.kind == VALUE_UINT)
            memcpy(config_member(object, row), &none, sizeof(none));
    }
}

/* ---- telling ---- */

static const char *
kind_text(const struct tree *t)
{
    switch (t->kind) {
    case TREE_MAP:
        return "a map";
    case TREE_SEQ:
        return "a list";
    case TREE_SCALAR:
        return tree_is_null(t) ? "nothing" : "a single value";
    }
    GS_UNREACHABLE("kind of a node");
}

static struct gs_problem *
wrong_kind(const struct config_apply *a, const char *field, const struct tree *t, const char *due)
{
    return gs_problems_add(a->problems, GS_SEV_ERROR, CODE_CONFIG_TYPE, a->file, t->line, t->column,
                           field, "%s is due here, found %s", due, kind_text(t));
}

static void
tell(const struct config_apply *a, const char *field, const struct tree *t,
     const struct value_fault *fault)
{
    struct gs_problem *item = gs_problems_add(a->problems, GS_SEV_ERROR, fault->code, a->file,
                                              t->line, t->column, field, "%s", fault->why.text);

    if (fault->hint.text[0])
        gs_problem_hint(a->problems, item, "%s", fault->hint.text);
}

static void
hint_keys(const struct config_apply *a, struct gs_problem *item, const struct place *section,
          struct gs_slice key)
{
    char texts[SCHEMA_KEYS_MAX][SCHEMA_PATH_MAX];
    const char *keys[SCHEMA_KEYS_MAX];
    size_t count = schema_keys(section->path, texts, keys);
    const char *meant = gs_did_you_mean(key.ptr, key.len, keys, count);
    char all[512] = "";
    size_t len = 0;

    if (meant) {
        gs_problem_hint(a->problems, item, "did you mean \"%s\"?", meant);
        return;
    }
    if (schema_find(key.ptr)) {
        gs_problem_hint(a->problems, item, "keys are nested: write %.*s: and the rest below it",
                        (int)strcspn(key.ptr, "."), key.ptr);
        return;
    }
    for (size_t i = 0; i < count && len < sizeof(all); i++)
        len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", i ? ", " : "", keys[i]);
    gs_problem_hint(a->problems, item, "known here: %s", all);
}

static void
unknown(const struct config_apply *a, const struct place *section, const struct tree_pair *pair)
{
    struct gs_problem *item = gs_problems_add(
        a->problems, GS_SEV_ERROR, CODE_CONFIG_UNKNOWN, a->file, pair->line, pair->column,
        section->field[0] ? section->field : NULL, "unknown key \"%s\"", pair->key.ptr);

    hint_keys(a, item, section, pair->key);
}

static void
from_file(const struct place *at, const struct schema_row *row, const struct tree *t)
{
    *config_origin_of(at->object, row) = (struct config_origin){
        .source = CONFIG_FILE,
        .line = t->line,
        .column = t->column,
    };
}

/* ---- single values, lists of texts, labels ---- */

static void
apply_scalar(const struct config_apply *a, const struct place *at, const struct schema_row *row,
             const struct tree *t)
{
    struct value_fault fault;
    struct gs_problem *item;

    if (t->kind != TREE_SCALAR) {
        (void)wrong_kind(a, at->field, t, "a single value");
        return;
    }
    if (tree_is_null(t)) {
        item = gs_problems_add(a->problems, GS_SEV_ERROR, CODE_CONFIG_TYPE, a->file, t->line,
                               t->column, at->field, "there is no value");
        gs_problem_hint(a->problems, item, "give it one, or remove the key");
        return;
    }
    if (value_parse(&row->value, t->text, a->arena, config_member(at->object, row), &fault) ==
        GS_E_OK)
        from_file(at, row, t);
    else
        tell(a, at->field, t, &fault);
}

static void
apply_texts(const struct config_apply *a, const struct place *at, const struct schema_row *row,
            const struct tree *t)
{
    struct gs_slice *texts;
    struct value_fault fault;

    if (t->kind != TREE_SEQ) {
        struct gs_problem *item = wrong_kind(a, at->field, t, "a list");

        if (t->kind == TREE_SCALAR)
            gs_problem_hint(a->problems, item, "write [\"%s\"]", t->text.ptr);
        return;
    }
    texts = gs_arena_alloc(a->arena, t->count * sizeof(*texts));
    for (size_t i = 0; i < t->count; i++) {
        if (t->items[i]->kind != TREE_SCALAR) {
            (void)wrong_kind(a, at->field, t->items[i], "a single value");
            return;
        }
        texts[i] = t->items[i]->text;
    }
    if (value_parse_list(&row->value, texts, t->count, a->arena, config_member(at->object, row),
                         &fault) == GS_E_OK)
        from_file(at, row, t);
    else if (strcmp(fault.code, CODE_CONFIG_RANGE) == 0 && fault.item == 0)
        tell(a, at->field, t, &fault); /* their number, not one of them */
    else
        tell(a, at->field, t->items[fault.item], &fault);
}

static int
compare_labels(const void *left, const void *right)
{
    const struct config_label *a = left;
    const struct config_label *b = right;

    return strcmp(a->name, b->name);
}

static void
apply_labels(const struct config_apply *a, const struct place *at, const struct schema_row *row,
             const struct tree *t)
{
    struct config_labels *out = config_member(at->object, row);
    struct config_label *items;
    struct value_fault fault;

    if (t->kind != TREE_MAP) {
        (void)wrong_kind(a, at->field, t, "a map");
        return;
    }
    if (t->count > row->value.max) {
        (void)gs_problems_add(a->problems, GS_SEV_ERROR, CODE_CONFIG_RANGE, a->file, t->line,
                              t->column, at->field, "%zu labels, at most %d are allowed", t->count,
                              (int)row->value.max);
        return;
    }
    items = gs_arena_alloc(a->arena, t->count * sizeof(*items));
    for (size_t i = 0; i < t->count; i++) {
        const struct tree_pair *pair = &t->pairs[i];
        char field[CONFIG_FIELD_MAX + 64];

        (void)snprintf(field, sizeof(field), "%s.%.60s", at->field, pair->key.ptr);
        if (value_check_label(pair->key, pair->value, &fault) != GS_E_OK)
            tell(a, field, pair->value, &fault);
        items[i].name = gs_arena_strdup(a->arena, pair->key);
        items[i].value = gs_arena_strdup(a->arena, pair->value->text);
    }
    qsort(items, t->count, sizeof(*items), compare_labels);
    *out = (struct config_labels){ items, t->count };
    from_file(at, row, t);
}

/* ---- lists of objects ---- */

static void
check_missing(const struct config_apply *a, const struct place *at, const struct tree *t)
{
    for (size_t i = 0; i < schema_count; i++) {
        const struct schema_row *row = &schema_rows[i];
        const char *key = strrchr(row->path, '.');

        if (row->object != at->kind || !schema_must(row) || !key)
            continue;
        if (tree_find(t, key + 1)) /* there, if perhaps wrong: that is told already */
            continue;
        (void)gs_problems_add(a->problems, GS_SEV_ERROR, CODE_CONFIG_MISSING, a->file, t->line,
                              t->column, at->field, "\"%s\" is missing", key + 1);
    }
}

static void
apply_list(const struct config_apply *a, const struct place *at, const struct schema_row *row,
           const struct tree *t)
{
    enum schema_object kind = schema_items(row);
    size_t bytes = schema_object_bytes(kind);
    struct items list;

    if (t->kind != TREE_SEQ) {
        (void)wrong_kind(a, at->field, t, "a list");
        return;
    }
    if (t->count > row->value.max) {
        (void)gs_problems_add(a->problems, GS_SEV_ERROR, CODE_CONFIG_RANGE, a->file, t->line,
                              t->column, at->field, "%zu items, at most %d are allowed", t->count,
                              (int)row->value.max);
        return;
    }
    list = (struct items){ gs_arena_zalloc(a->arena, t->count * bytes), t->count };
    for (size_t i = 0; i < t->count; i++) {
        struct place item = { .object = (char *)list.items + i * bytes, .kind = kind };

        (void)snprintf(item.path, sizeof(item.path), "%s[]", row->path);
        GS_ASSERT((size_t)snprintf(item.field, sizeof(item.field), "%s[%zu]", at->field, i) <
                  sizeof(item.field));
        config_apply_defaults(a, kind, item.object);
        if (t->items[i]->kind != TREE_MAP) {
            (void)wrong_kind(a, item.field, t->items[i], "a map");
            continue;
        }
        apply_map(a, &item, t->items[i]);
        check_missing(a, &item, t->items[i]);
    }
    memcpy(config_member(at->object, row), &list, sizeof(list));
    from_file(at, row, t);
}

/* ---- maps ---- */

static void
apply_row(const struct config_apply *a, const struct place *at, const struct schema_row *row,
          const struct tree *t)
{
    GS_ASSERT(row->object == at->kind);
    switch ((int)row->value.kind) {
    case VALUE_LIST:
        if (!tree_is_null(t)) /* `services:` with all items commented out */
            apply_list(a, at, row, t);
        return;
    case VALUE_LABELS:
        if (!tree_is_null(t))
            apply_labels(a, at, row, t);
        return;
    case VALUE_ADDRESSES:
    case VALUE_TARGETS:
        if (!tree_is_null(t))
            apply_texts(a, at, row, t);
        return;
    default:
        apply_scalar(a, at, row, t);
    }
}

/* One more step down; false when the key cannot be one of ours. */
static bool
step(const struct place *section, struct gs_slice key, struct place *out)
{
    *out = *section;
    if (key.len == 0 || key.len > SCHEMA_PATH_MAX / 2)
        return false;
    for (size_t i = 0; i < key.len; i++) {
        if (key.ptr[i] != '_' && (key.ptr[i] < 'a' || key.ptr[i] > 'z'))
            return false;
    }
    if ((size_t)snprintf(out->path, sizeof(out->path), "%s%s%s", section->path,
                         section->path[0] ? "." : "", key.ptr) >= sizeof(out->path))
        return false;
    return (size_t)snprintf(out->field, sizeof(out->field), "%s%s%s", section->field,
                            section->field[0] ? "." : "", key.ptr) < sizeof(out->field);
}

static void
apply_map(const struct config_apply *a, const struct place *at, const struct tree *map)
{
    for (size_t i = 0; i < map->count; i++) {
        const struct tree_pair *pair = &map->pairs[i];
        const struct schema_row *row = NULL;
        struct place below;
        bool known = step(at, pair->key, &below);

        if (known)
            row = schema_find(below.path);
        if (row)
            apply_row(a, &below, row, pair->value);
        else if (!known || !schema_is_section(below.path))
            unknown(a, at, pair);
        else if (pair->value->kind == TREE_MAP)
            apply_map(a, &below, pair->value);
        else if (!tree_is_null(pair->value))
            (void)wrong_kind(a, below.field, pair->value, "a map");
    }
}

void
config_apply_tree(const struct config_apply *a, struct config *c, const struct tree *root)
{
    struct place top = { .object = c, .kind = SCHEMA_CONFIG };

    if (root->kind != TREE_MAP)
        (void)wrong_kind(a, NULL, root, "a map");
    else
        apply_map(a, &top, root);
}

/* ---- environment and flags ---- */

static gs_err
parse_commas(const struct schema_row *row, struct gs_slice text, struct gs_arena *arena, void *out,
             struct value_fault *fault)
{
    struct gs_slice texts[64];
    struct gs_slice rest = text.len > 0 ? text : GS_SLICE_NONE;
    struct gs_slice part;
    size_t count = 0;

    GS_ASSERT(row->value.max <= GS_COUNT(texts));
    while (gs_slice_cut(&rest, ',', &part)) {
        if (count < row->value.max)
            texts[count] = gs_slice_trim(part);
        count++;
    }
    return value_parse_list(&row->value, texts, count, arena, out, fault);
}

void
config_apply_text(const struct config_apply *a, struct config *c, const struct schema_row *row,
                  const struct config_origin *origin, struct gs_slice text)
{
    struct value_fault fault;
    void *out = config_member(c, row);
    struct gs_problem *item;
    gs_err e;

    GS_ASSERT(!schema_in_list(row));
    GS_ASSERT(origin->source == CONFIG_ENV || origin->source == CONFIG_FLAG);
    if (row->value.kind == VALUE_ADDRESSES)
        e = parse_commas(row, text, a->arena, out, &fault);
    else
        e = value_parse(&row->value, text, a->arena, out, &fault);
    if (e == GS_E_OK) {
        *config_origin_of(c, row) = *origin;
        return;
    }
    item = gs_problems_add(a->problems, GS_SEV_ERROR, fault.code, origin->name, 0, 0, row->path,
                           "%s", fault.why.text);
    if (fault.hint.text[0])
        gs_problem_hint(a->problems, item, "%s", fault.hint.text);
}
