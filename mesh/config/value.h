/* value.h - the types of configuration values: from text and back. */
#pragma once

#include <gossamer/arena.h>
#include <gossamer/err.h>
#include <gossamer/tree.h>

struct gs_buf;

/* kind         in C                     as written */
enum value_kind {
    VALUE_STRING,    /* const char *     printable ASCII without blanks */
    VALUE_LABEL,     /* const char *     RFC 1123 label */
    VALUE_HOST,      /* const char *     RFC 1123 labels with dots */
    VALUE_PATH,      /* const char *     absolute */
    VALUE_URLPATH,   /* const char *     /like/this */
    VALUE_BOOL,      /* bool             true, false */
    VALUE_UINT,      /* uint32_t         decimal; its one word, if it has one, means 0 */
    VALUE_DURATION,  /* uint64_t ms      500ms, 1s, 1m30s, 0.5s, 0 */
    VALUE_WORD,      /* uint32_t / enum  one of the words, by number */
    VALUE_ADDRESS,   /* struct gs_addr   192.0.2.1:80, [2001:db8::1]:80, *:80 */
    VALUE_RANGE,     /* struct config_range     10.0.0.0/8 */
    VALUE_ADDRESSES, /* struct config_addrs     list; from environment and flags: a,b */
    VALUE_TARGETS,   /* struct config_targets   list of http://HOST[:PORT], https://HOST[:PORT] */
    VALUE_LABELS,    /* struct config_labels    map of strings */
    VALUE_LIST,      /* items and count         of objects; read by config_apply.c */
};

struct value_type {
    enum value_kind kind;
    const char *words; /* "a|b"; NULL: none */
    uint64_t min, max;
};

/* What was wrong with a value, and what to write instead. */
struct value_fault {
    const char *code;
    struct gs_why why;
    struct gs_why hint; /* text "" when there is none */
    size_t item;        /* of a list: which; its place is the one to tell */
};

/* One scalar into *out, which is written only on success. Not for lists and labels.
 * returns GS_E_OK or GS_E_INVALID with *fault filled */
gs_err value_parse(const struct value_type *type, struct gs_slice text, struct gs_arena *arena,
                   void *out, struct value_fault *fault) GS_MUST_CHECK;
/* The same for VALUE_ADDRESSES and VALUE_TARGETS out of `count` texts. */
gs_err value_parse_list(const struct value_type *type, const struct gs_slice *texts, size_t count,
                        struct gs_arena *arena, void *out, struct value_fault *fault) GS_MUST_CHECK;
/* The one label, checked as Kubernetes does. A plain scalar that YAML may take for a number, a
 * boolean or null is refused: its reader and its writer would not mean the same. */
gs_err value_check_label(struct gs_slice name, const struct tree *value, struct value_fault *fault)
    GS_MUST_CHECK;
/* Is there a value at all? (NULL text, address of no family, empty list: no.) */
bool value_present(const struct value_type *type, const void *value);
/* As YAML takes it, on one line. Not for lists of objects. */
void value_print(const struct value_type *type, const void *value, struct gs_buf *out);
/* "error|warn|info|debug", "1 to 64 or auto", "address:port": for help. */
void value_describe(const struct value_type *type, struct gs_buf *out);
/* Is `word` among "a|b|c"? */
bool value_among(const char *words, const char *word);
