/* yaml.c - the one user of libyaml: its events become a tree. Start reading at tree_parse_yaml().
 *
 *     text ──yaml_text──▶ libyaml ──events──▶ build() ──▶ struct tree in the caller's arena
 *                                                │ one shared stack of unfinished children
 *                                                └ anchors by name, with what each expands to
 *
 * An alias shares the node of its anchor, so a bomb costs no memory here; but whoever walks the
 * tree would walk it expanded. So every alias is charged what it stands for, and depth counts
 * through aliases. Syntax errors and caps end the parse; a key twice, a bad key, a bad merge do
 * not, so that one reading finds them all. */
#include <gossamer/tree.h>

#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

#include <gossamer/alloc.h>
#include <gossamer/limits.h>
#include <gossamer/map.h>
#include <gossamer/rng.h>

#include "mesh/config/codes.h"
#include "mesh/config/yaml_text.h"

struct extent { /* of a node with its aliases expanded */
    size_t nodes;
    unsigned height; /* 1 for a scalar */
};

struct anchor {
    struct tree *tree; /* NULL while the node itself is being read */
    struct extent extent;
};

struct entry { /* a list item has no key */
    struct tree *key, *value;
};

struct loader {
    yaml_parser_t parser;
    struct yaml_text text;
    const char *file;
    struct gs_arena *arena;
    struct gs_problems *problems;
    size_t errors;
    struct entry *stack; /* children of all unfinished maps and lists */
    size_t stack_len, stack_cap;
    struct gs_map anchors; /* name -> struct anchor, of this document */
    size_t nodes;          /* expanded, of the whole file */
    size_t aliases;
    uint64_t seed; /* of every map of this parse */
};

static struct tree *build(struct loader *l, const yaml_event_t *ev, unsigned depth,
                          struct extent *extent);

/* ---- telling ---- */

GS_PRINTF(5, 6)
static struct gs_problem *
refuse(struct loader *l, const char *code, unsigned line, unsigned column, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    l->errors++;
    return gs_problems_add(l->problems, GS_SEV_ERROR, code, l->file, line, column, NULL, "%s",
                           text);
}

static unsigned
column_of(const struct loader *l, const yaml_mark_t *mark)
{
    return yaml_text_column(&l->text, mark->line, mark->column);
}

static void
refuse_limit(struct loader *l, const yaml_mark_t *mark, const char *what, size_t most)
{
    (void)refuse(l, CODE_YAML_LIMIT, (unsigned)mark->line + 1, column_of(l, mark),
                 "%s, at most %zu are read", what, most);
}

/* Bytes that are no text: libyaml gives their offset only. */
static void
refuse_bytes(struct loader *l)
{
    size_t line, column;

    yaml_text_place(&l->text, l->parser.problem_offset, &line, &column);
    (void)refuse(l, CODE_YAML_SYNTAX, (unsigned)line + 1, yaml_text_column(&l->text, line, column),
                 "%s (the file must be UTF-8 text)", l->parser.problem);
}

/* Marks count characters, not bytes. */
static bool
at_tab(struct gs_slice text, size_t index)
{
    size_t at = 0;

    for (; at < text.len; at++) {
        if (((unsigned char)text.ptr[at] & 0xc0) != 0x80 && index-- == 0)
            break;
    }
    return at < text.len && text.ptr[at] == '\t';
}

static void
refuse_syntax(struct loader *l)
{
    const yaml_parser_t *p = &l->parser;
    const yaml_mark_t *at = &p->problem_mark;
    unsigned line = (unsigned)at->line + 1;
    struct gs_problem *item;

    if (p->error == YAML_MEMORY_ERROR)
        gs_panic(__FILE__, __LINE__, "out of memory");
    if (p->error == YAML_READER_ERROR) {
        refuse_bytes(l);
        return;
    }
    if (!p->context)
        item = refuse(l, CODE_YAML_SYNTAX, line, column_of(l, at), "%s", p->problem);
    else if (p->context_mark.line == at->line)
        item =
            refuse(l, CODE_YAML_SYNTAX, line, column_of(l, at), "%s (%s)", p->problem, p->context);
    else
        item =
            refuse(l, CODE_YAML_SYNTAX, line, column_of(l, at), "%s (%s that starts in line %zu)",
                   p->problem, p->context, p->context_mark.line + 1);
    if (at_tab(l->text.text, at->index))
        gs_problem_hint(l->problems, item, "YAML is not indented by tabs: use spaces");
}

/* ---- events, nodes, anchors ---- */

static bool
next_event(struct loader *l, yaml_event_t *ev)
{
    if (yaml_parser_parse(&l->parser, ev))
        return true;
    refuse_syntax(l);
    return false;
}

static bool
charge(struct loader *l, const yaml_mark_t *mark, size_t nodes)
{
    l->nodes += nodes; /* each charge is within the cap, so this cannot wrap */
    if (l->nodes <= TREE_NODES_MAX)
        return true;
    refuse_limit(l, mark, "more nodes than allowed, aliases expanded", TREE_NODES_MAX);
    return false;
}

static struct tree *
tree_new(struct loader *l, const yaml_event_t *ev, enum tree_kind kind)
{
    struct tree *t = gs_arena_zalloc(l->arena, sizeof(*t));

    t->kind = kind;
    t->line = (unsigned)ev->start_mark.line + 1;
    t->column = column_of(l, &ev->start_mark);
    return t;
}

/* name may be NULL: no anchor. */
static struct anchor *
anchor_put(struct loader *l, const yaml_char_t *name)
{
    struct gs_slice key;
    struct anchor *a;

    if (!name)
        return NULL;
    key = gs_arena_copy(l->arena, gs_slice_str((const char *)name));
    a = gs_arena_zalloc(l->arena, sizeof(*a));
    (void)gs_map_put(&l->anchors, key, a); /* an anchor set again means the later node from here */
    return a;
}

static void
anchor_set(struct anchor *a, struct tree *t, const struct extent *extent)
{
    if (a)
        *a = (struct anchor){ t, *extent };
}

static struct tree *
build_alias(struct loader *l, const yaml_event_t *ev, unsigned depth, struct extent *extent)
{
    const yaml_mark_t *mark = &ev->start_mark;
    const char *name = (const char *)ev->data.alias.anchor;
    const struct anchor *a = gs_map_find(&l->anchors, gs_slice_str(name));

    if (++l->aliases > TREE_ALIASES_MAX) {
        refuse_limit(l, mark, "more aliases than allowed", TREE_ALIASES_MAX);
        return NULL;
    }
    if (!a || !a->tree) {
        (void)refuse(l, CODE_YAML_ALIAS, (unsigned)mark->line + 1, column_of(l, mark),
                     a ? "alias \"*%s\" stands inside the node it names"
                       : "alias \"*%s\" names no anchor before it",
                     name);
        return NULL;
    }
    GS_ASSERT(a->extent.nodes > 0);
    if (depth + a->extent.height - 1 > TREE_DEPTH_MAX) {
        refuse_limit(l, mark, "nested deeper than allowed, aliases expanded", TREE_DEPTH_MAX);
        return NULL;
    }
    if (!charge(l, mark, a->extent.nodes))
        return NULL;
    *extent = a->extent;
    return a->tree;
}

/* Is the value plain, as far as its reader must know? `!!str 1.0` is text as "1.0" is; the tags
 * of plain types say what a plain scalar is anyway. */
static bool
tag_plain(struct loader *l, const yaml_event_t *ev, bool *plain)
{
    static const char *const plain_tags[] = { YAML_NULL_TAG, YAML_BOOL_TAG, YAML_INT_TAG,
                                              YAML_FLOAT_TAG };
    const char *tag = (const char *)ev->data.scalar.tag;

    *plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (!tag)
        return true;
    *plain = false;
    if (strcmp(tag, YAML_STR_TAG) == 0 || strcmp(tag, "!") == 0)
        return true;
    for (size_t i = 0; i < GS_COUNT(plain_tags); i++) {
        if (strcmp(tag, plain_tags[i]) == 0) {
            *plain = true;
            return true;
        }
    }
    (void)refuse(l, CODE_YAML_TAG, (unsigned)ev->start_mark.line + 1, column_of(l, &ev->start_mark),
                 "tag \"%s\" is not supported", tag);
    return false;
}

static struct tree *
build_scalar(struct loader *l, const yaml_event_t *ev, struct extent *extent)
{
    struct anchor *a = anchor_put(l, ev->data.scalar.anchor);
    struct tree *t;
    bool plain;

    if (!charge(l, &ev->start_mark, 1))
        return NULL;
    (void)tag_plain(l, ev, &plain); /* told; reading goes on */
    t = tree_new(l, ev, TREE_SCALAR);
    t->plain = plain;
    t->text = gs_arena_copy(l->arena, gs_slice(ev->data.scalar.value, ev->data.scalar.length));
    *extent = (struct extent){ 1, 1 };
    anchor_set(a, t, extent);
    return t;
}

/* ---- maps and lists ---- */

static void
push(struct loader *l, struct tree *key, struct tree *value)
{
    if (l->stack_len == l->stack_cap) {
        l->stack_cap = l->stack_cap ? l->stack_cap * 2 : 64;
        l->stack = gs_realloc(l->stack, l->stack_cap * sizeof(*l->stack));
    }
    l->stack[l->stack_len++] = (struct entry){ key, value };
}

static void
finish_list(struct loader *l, struct tree *t, size_t base)
{
    t->count = l->stack_len - base;
    t->items = gs_arena_alloc(l->arena, t->count * sizeof(struct tree *));
    for (size_t i = 0; i < t->count; i++)
        t->items[i] = l->stack[base + i].value;
}

static bool
is_merge(const struct tree *key)
{
    return key->plain && gs_slice_eq(key->text, GS_SLICE("<<"));
}

static void
add_pair(struct tree *t, struct gs_map *seen, const struct tree_pair *pair)
{
    t->pairs[t->count] = *pair;
    (void)gs_map_put(seen, pair->key, &t->pairs[t->count]);
    t->count++;
}

/* The maps a `<<` names, one after the other; NULL when there are no more. */
static const struct tree *
merge_source(const struct tree *value, size_t i)
{
    if (value->kind == TREE_SEQ)
        return i < value->count ? value->items[i] : NULL;
    return i == 0 ? value : NULL;
}

/* How many pairs a merge may bring, or SIZE_MAX when its value is no map and no list of maps. */
static size_t
merge_pairs(struct loader *l, const struct entry *e)
{
    const struct tree *source;
    size_t pairs = 0;

    for (size_t i = 0; (source = merge_source(e->value, i)); i++) {
        if (source->kind != TREE_MAP) {
            (void)refuse(l, CODE_YAML_MERGE, e->value->line, e->value->column,
                         "\"<<\" takes a map or a list of maps");
            return SIZE_MAX;
        }
        pairs += source->count;
    }
    return pairs;
}

static void
merge(struct tree *t, struct gs_map *seen, const struct tree *value)
{
    const struct tree *source;

    for (size_t i = 0; (source = merge_source(value, i)); i++) {
        for (size_t k = 0; k < source->count; k++) {
            if (!gs_map_find(seen, source->pairs[k].key)) /* explicit and earlier ones win */
                add_pair(t, seen, &source->pairs[k]);
        }
    }
}

static void
add_explicit(struct loader *l, struct tree *t, struct gs_map *seen, const struct entry *e)
{
    const struct tree_pair *first = gs_map_find(seen, e->key->text);

    if (first)
        (void)refuse(l, CODE_YAML_DUPLICATE, e->key->line, e->key->column,
                     "key \"%s\" is in this map already, in line %u", e->key->text.ptr,
                     first->line);
    else
        add_pair(t, seen,
                 &(struct tree_pair){ e->key->text, e->key->line, e->key->column, e->value });
}

static void
finish_map(struct loader *l, struct tree *t, size_t base)
{
    size_t own = l->stack_len - base;
    const struct entry *merged = NULL;
    size_t more = 0;
    struct gs_map seen;

    for (size_t i = 0; i < own; i++) {
        const struct entry *e = &l->stack[base + i];

        if (!is_merge(e->key))
            continue;
        if (merged) {
            (void)refuse(l, CODE_YAML_DUPLICATE, e->key->line, e->key->column,
                         "key \"<<\" is in this map already, in line %u: use one with a list",
                         merged->key->line);
            continue;
        }
        more = merge_pairs(l, e);
        merged = e;
    }
    if (more == SIZE_MAX) {
        more = 0;
        merged = NULL;
    }
    t->pairs = gs_arena_alloc(l->arena, (own + more) * sizeof(*t->pairs));
    gs_map_init(&seen, l->seed);
    for (size_t i = 0; i < own; i++) {
        if (!is_merge(l->stack[base + i].key))
            add_explicit(l, t, &seen, &l->stack[base + i]);
    }
    if (merged)
        merge(t, &seen, merged->value);
    GS_ASSERT(t->count <= own + more);
    gs_map_fini(&seen);
}

/* One child: an item, or a key with its value. False when the parse is over. */
static bool
build_child(struct loader *l, const yaml_event_t *ev, bool in_map, unsigned depth,
            struct extent *sum)
{
    struct extent extent = { 0, 0 };
    struct tree *key = NULL;
    struct tree *value = build(l, ev, depth, &extent);
    yaml_event_t value_ev;

    sum->nodes += extent.nodes;
    sum->height = extent.height > sum->height ? extent.height : sum->height;
    if (!value)
        return false;
    if (in_map) {
        key = value;
        if (!next_event(l, &value_ev))
            return false;
        value = build(l, &value_ev, depth, &extent);
        yaml_event_delete(&value_ev);
        if (!value)
            return false;
        sum->nodes += extent.nodes;
        sum->height = extent.height > sum->height ? extent.height : sum->height;
    }
    if (key && (key->kind != TREE_SCALAR || (key->plain && key->text.len == 0)))
        (void)refuse(l, CODE_YAML_KEY, key->line, key->column, "a key must be text");
    else
        push(l, key, value);
    return true;
}

static struct tree *
build_children(struct loader *l, const yaml_event_t *ev, unsigned depth, struct extent *extent)
{
    bool in_map = ev->type == YAML_MAPPING_START_EVENT;
    yaml_event_type_t end = in_map ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
    struct anchor *a =
        anchor_put(l, in_map ? ev->data.mapping_start.anchor : ev->data.sequence_start.anchor);
    struct tree *t = tree_new(l, ev, in_map ? TREE_MAP : TREE_SEQ);
    size_t base = l->stack_len;
    struct extent sum = { 1, 0 };
    yaml_event_t child;
    bool good;

    if (!charge(l, &ev->start_mark, 1))
        return NULL;
    for (;;) {
        if (!next_event(l, &child))
            return NULL;
        if (child.type == end)
            break;
        good = build_child(l, &child, in_map, depth + 1, &sum);
        yaml_event_delete(&child);
        if (!good)
            return NULL;
    }
    yaml_event_delete(&child);
    if (in_map)
        finish_map(l, t, base);
    else
        finish_list(l, t, base);
    l->stack_len = base;
    sum.height++;
    *extent = sum;
    anchor_set(a, t, extent);
    return t;
}

/* NULL when the parse is over; why is told. depth: 1 for a document's root. */
static struct tree *
build(struct loader *l, const yaml_event_t *ev, unsigned depth, struct extent *extent)
{
    if (depth > TREE_DEPTH_MAX) {
        refuse_limit(l, &ev->start_mark, "nested deeper than allowed", TREE_DEPTH_MAX);
        return NULL;
    }
    switch ((int)ev->type) {
    case YAML_ALIAS_EVENT:
        return build_alias(l, ev, depth, extent);
    case YAML_SCALAR_EVENT:
        return build_scalar(l, ev, extent);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return build_children(l, ev, depth, extent);
    default:
        GS_UNREACHABLE("libyaml sends nodes where nodes are due");
    }
}

/* ---- documents ---- */

static bool
add_document(struct loader *l, struct tree *root, struct tree **docs, size_t *count)
{
    if (tree_is_null(root))
        return true;
    if (*count == TREE_DOCS_MAX) {
        (void)refuse(l, CODE_YAML_LIMIT, root->line, root->column,
                     "more documents than allowed, at most %d are read", TREE_DOCS_MAX);
        return false;
    }
    docs[(*count)++] = root;
    return true;
}

/* Documents until the end of the file or the first error that ends the parse. */
static void
read_documents(struct loader *l, struct tree **docs, size_t *count)
{
    yaml_event_t ev;
    struct extent extent;
    bool more = true;

    while (more) {
        if (!next_event(l, &ev))
            return;
        switch ((int)ev.type) {
        case YAML_STREAM_END_EVENT:
            more = false;
            break;
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        case YAML_DOCUMENT_START_EVENT:
            gs_map_fini(&l->anchors); /* anchors end with their document */
            break;
        default: {
            struct tree *root = build(l, &ev, 1, &extent);

            more = root && add_document(l, root, docs, count);
        }
        }
        yaml_event_delete(&ev);
    }
}

gs_err
tree_parse_yaml(struct gs_slice text, const char *file, struct gs_arena *arena,
                struct tree_docs *out, struct gs_problems *problems)
{
    struct loader l = { .file = file, .arena = arena, .problems = problems };
    struct tree *docs[TREE_DOCS_MAX];
    size_t count = 0;

    if (!text.ptr)
        text = GS_SLICE(""); /* libyaml asserts on a NULL input */
    if (text.len > TREE_TEXT_MAX) {
        (void)refuse(&l, CODE_YAML_LIMIT, 0, 0, "%zu bytes are too many, at most %u are read",
                     text.len, TREE_TEXT_MAX);
        return GS_E_MALFORMED;
    }
    if (!yaml_parser_initialize(&l.parser))
        gs_panic(__FILE__, __LINE__, "out of memory");
    yaml_text_init(&l.text, text);
    l.seed = gs_rng_seed_from_system();
    gs_map_init(&l.anchors, l.seed);
    yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&l.parser, (const unsigned char *)l.text.text.ptr,
                                 l.text.text.len);
    read_documents(&l, docs, &count);
    yaml_parser_delete(&l.parser);
    gs_map_fini(&l.anchors);
    gs_free(l.stack);
    yaml_text_fini(&l.text);
    if (l.errors > 0)
        return GS_E_MALFORMED;
    out->docs = gs_arena_alloc(arena, count * sizeof(*docs));
    if (count > 0)
        memcpy(out->docs, docs, count * sizeof(*docs));
    out->count = count;
    return GS_E_OK;
}
