/* value_label.c - labels as Kubernetes has them. Subsets select by them, so `version: 1.0` must
 * not mean "1.0" here and 1 in the tool that wrote it: a bare scalar which YAML 1.1 takes for
 * something other than a string is refused, as upstream does. */
#include "mesh/config/value.h"

#include <stdio.h>

#include "mesh/config/codes.h"

#define LABEL_PREFIX_MAX 253
#define LABEL_NAME_MAX 63

static bool
digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || digit(c);
}

/* Letters, digits, '-', '_' and '.', the outer two of the first kinds. */
static bool
is_name(struct gs_slice s)
{
    if (s.len == 0 || s.len > LABEL_NAME_MAX || !alnum(s.ptr[0]) || !alnum(s.ptr[s.len - 1]))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (!alnum(c) && c != '-' && c != '_' && c != '.')
            return false;
    }
    return true;
}

static bool
is_prefix(struct gs_slice s)
{
    struct value_type host = { .kind = VALUE_HOST, .min = 1, .max = LABEL_PREFIX_MAX };
    struct value_fault fault;
    struct gs_arena arena;
    char room[512];
    const char *copy;
    gs_err e;

    gs_arena_init(&arena, room, sizeof(room), 0);
    e = value_parse(&host, s, &arena, &copy, &fault);
    gs_arena_fini(&arena);
    return e == GS_E_OK;
}

static bool
is_key(struct gs_slice s)
{
    ptrdiff_t slash = gs_slice_find(s, '/');

    if (slash < 0)
        return is_name(s);
    return is_prefix(gs_slice_head(s, (size_t)slash)) &&
           is_name(gs_slice_from(s, (size_t)slash + 1));
}

static bool
word_of(struct gs_slice s, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (gs_slice_eq_nocase(s, gs_slice_str(words[i])))
            return true;
    }
    return false;
}

/* 0x1f, 0o17, 0b11: digits of the base behind the two letters. */
static bool
based_number(struct gs_slice s)
{
    int base = 0;

    if (s.len < 3 || s.ptr[0] != '0')
        return false;
    base = s.ptr[1] == 'x' ? 16 : s.ptr[1] == 'o' ? 8 : s.ptr[1] == 'b' ? 2 : 0;
    for (size_t i = 2; base != 0 && i < s.len; i++) {
        char c = s.ptr[i];
        int v = digit(c) ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 99;

        if (v >= base && c != '_')
            return false;
    }
    return base != 0;
}

static void
skip_digits(struct gs_slice *s, size_t *seen)
{
    while (s->len > 0 && (digit(s->ptr[0]) || s->ptr[0] == '_')) {
        *seen += digit(s->ptr[0]);
        *s = gs_slice_from(*s, 1);
    }
}

/* 12, 1_000, 1.0, .5, 1., 1e3, 010 and so on, without a sign. */
static bool
decimal_number(struct gs_slice s)
{
    size_t digits = 0;
    size_t exponent = 0;

    if (s.len > 0 && s.ptr[0] == '_')
        return false;
    skip_digits(&s, &digits);
    if (s.len > 0 && s.ptr[0] == '.') {
        s = gs_slice_from(s, 1);
        skip_digits(&s, &digits);
    }
    if (digits == 0)
        return false;
    if (s.len > 0 && (s.ptr[0] | 32) == 'e') {
        s = gs_slice_from(s, s.len > 1 && (s.ptr[1] == '+' || s.ptr[1] == '-') ? 2 : 1);
        skip_digits(&s, &exponent);
        if (exponent == 0)
            return false;
    }
    return s.len == 0;
}

/* What YAML 1.1 makes of a plain scalar, for the message; NULL: a string. */
static const char *
yaml_type(const struct tree *t)
{
    static const char *const bools[] = { "y", "n", "yes", "no", "on", "off", "true", "false" };
    static const char *const specials[] = { ".inf", ".nan" };
    struct gs_slice s = t->text;

    if (!t->plain)
        return NULL;
    if (tree_is_null(t))
        return "null";
    if (word_of(s, bools, GS_COUNT(bools)))
        return "a boolean";
    if (s.len > 1 && (s.ptr[0] == '+' || s.ptr[0] == '-'))
        s = gs_slice_from(s, 1);
    if (word_of(s, specials, GS_COUNT(specials)) || based_number(s) || decimal_number(s))
        return "a number";
    return NULL;
}

GS_PRINTF(2, 3)
static gs_err
refuse(struct value_fault *fault, const char *fmt, ...)
{
    va_list ap;

    fault->code = CODE_CONFIG_VALUE;
    fault->item = 0;
    fault->hint.text[0] = '\0';
    va_start(ap, fmt);
    (void)vsnprintf(fault->why.text, sizeof(fault->why.text), fmt, ap);
    va_end(ap);
    return GS_E_INVALID;
}

gs_err
value_check_label(struct gs_slice name, const struct tree *value, struct value_fault *fault)
{
    const char *type;

    if (!is_key(name))
        return refuse(fault,
                      "\"%.*s\" is no label name, expected letters, digits, '-', '_' and '.', "
                      "at most 63, which may follow a DNS name and '/'",
                      GS_SLICE_FMT(name));
    if (value->kind != TREE_SCALAR)
        return refuse(fault, "a label is a string, not a %s",
                      value->kind == TREE_MAP ? "map" : "list");
    type = yaml_type(value);
    if (type) {
        (void)refuse(fault, "a label is a string, but %.*s without quotes is %s in YAML",
                     value->text.len > 0 ? (int)value->text.len : 7,
                     value->text.len > 0 ? value->text.ptr : "nothing", type);
        (void)snprintf(fault->hint.text, sizeof(fault->hint.text), "quote it: %.*s: \"%.*s\"",
                       GS_SLICE_FMT(name), GS_SLICE_FMT(value->text));
        return GS_E_INVALID;
    }
    if (value->text.len > 0 && !is_name(value->text))
        return refuse(fault,
                      "\"%.*s\" is no label value, expected letters, digits, '-', '_' and '.', "
                      "at most 63",
                      GS_SLICE_FMT(value->text));
    return GS_E_OK;
}
