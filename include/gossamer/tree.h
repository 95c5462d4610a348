/* tree.h - a parsed YAML or JSON document: maps, lists and untyped scalars, each with its place.
 * Scalars are typed by whoever reads them (a schema), never by looks. Built by tree_parse_yaml
 * (mesh/config/yaml.c); owned by the arena it was parsed into. */
#pragma once

#include <gossamer/arena.h>
#include <gossamer/problem.h>
#include <gossamer/slice.h>

enum tree_kind { TREE_SCALAR, TREE_MAP, TREE_SEQ };

struct tree {
    enum tree_kind kind;
    bool plain;              /* scalar written without quotes or block style: `1.0`, `no`, `~` */
    unsigned line, column;   /* 1-based; of the key's value */
    struct gs_slice text;    /* scalar only; NUL behind */
    struct tree_pair *pairs; /* map, in file order */
    struct tree **items;     /* list */
    size_t count;
};

struct tree_pair {
    struct gs_slice key;
    unsigned line, column; /* of the key */
    struct tree *value;    /* never NULL; `key:` with nothing behind it is an empty plain scalar */
};

struct tree *tree_find(const struct tree *map, const char *key); /* NULL: absent or not a map */
struct tree *tree_at(const struct tree *root, const char *dotted_path); /* "a.b.c", maps only */
/* YAML 1.1 null as upstream reads it: plain and one of "", "~", "null", "Null", "NULL". */
bool tree_is_null(const struct tree *t);

struct tree_docs {
    struct tree **docs;
    size_t count; /* empty documents are left out */
};

/* Parse a whole file (several documents, anchors, aliases, merge keys `<<`, flow style, JSON, a
 * byte order mark, CRLF). Caps of limits.h: TREE_*. A key twice in a map, a cap passed or bad
 * syntax are errors in `problems` with line and column, and GS_E_MALFORMED is returned.
 * text need not outlive the call. */
gs_err tree_parse_yaml(struct gs_slice text, const char *file, struct gs_arena *arena,
                       struct tree_docs *out, struct gs_problems *problems) GS_MUST_CHECK;
