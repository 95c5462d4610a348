/* scalar.c - the typing rules of YAML 1.1 as go-yaml has them (it is what kubectl and the API
 * server read manifests with), and Go's durations. */
#include "mesh/model/scalar.h"

#include <math.h>
#include <stdlib.h>

#define SCALAR_NUMBER_MAX 64 /* longer plain digits are no number anybody means */

static bool
one_of(struct gs_slice s, const char *const *words)
{
    for (; *words; words++) {
        if (gs_slice_eq(s, gs_slice_str(*words)))
            return true;
    }
    return false;
}

static bool
digit_in(char c, int base)
{
    int v = c >= '0' && c <= '9'   ? c - '0'
            : c >= 'a' && c <= 'f' ? c - 'a' + 10
            : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                   : 99;

    return v < base;
}

/* What stands behind a sign: 0x, 0b, 0o, a leading 0 (octal), else decimal. */
static int
base_of(const char *digits, size_t *skip)
{
    char mark;

    *skip = 0;
    if (digits[0] != '0' || digits[1] == '\0')
        return 10;
    mark = (char)(digits[1] | 0x20);
    *skip = 2;
    if (mark == 'x')
        return 16;
    if (mark == 'b')
        return 2;
    if (mark == 'o')
        return 8;
    *skip = 1;
    return 8;
}

/* strconv.ParseInt(text, 0, 64) */
static bool
read_int(const char *text, int64_t *out)
{
    bool negative = text[0] == '-';
    const char *digits = text + (text[0] == '-' || text[0] == '+');
    uint64_t v = 0;
    size_t skip;
    int base = base_of(digits, &skip);

    digits += skip;
    if (*digits == '\0')
        return false;
    for (; *digits; digits++) {
        uint64_t d = (uint64_t)(*digits <= '9' ? *digits - '0' : (*digits | 0x20) - 'a' + 10);

        if (!digit_in(*digits, base) || __builtin_mul_overflow(v, (uint64_t)base, &v) ||
            __builtin_add_overflow(v, d, &v))
            return false;
    }
    if (v > (uint64_t)INT64_MAX)
        return false;
    *out = negative ? -(int64_t)v : (int64_t)v;
    return true;
}

static size_t
count_digits(const char *s)
{
    size_t n = 0;

    while (s[n] >= '0' && s[n] <= '9')
        n++;
    return n;
}

/* ^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$ */
static bool
looks_float(const char *s)
{
    size_t whole, fraction = 0;

    s += *s == '-' || *s == '+';
    whole = count_digits(s);
    s += whole;
    if (*s == '.') {
        s++;
        fraction = count_digits(s);
        s += fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        s += *s == '-' || *s == '+';
        if (count_digits(s) == 0)
            return false;
        s += count_digits(s);
    }
    return *s == '\0';
}

static bool
read_number(struct gs_slice text, struct scalar *out)
{
    char plain[SCALAR_NUMBER_MAX + 1];
    size_t len = 0;
    double v;

    if (text.len == 0 || text.len > SCALAR_NUMBER_MAX)
        return false;
    if (!(text.ptr[0] >= '0' && text.ptr[0] <= '9') && !memchr("+-.", text.ptr[0], 3))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\0')
            return false;
        if (text.ptr[i] != '_')
            plain[len++] = text.ptr[i];
    }
    GS_ASSERT(len <= SCALAR_NUMBER_MAX);
    plain[len] = '\0';
    if (read_int(plain, &out->number)) {
        out->type = SCALAR_INT;
        out->integral = true;
        return true;
    }
    if (!looks_float(plain))
        return false;
    v = strtod(plain, NULL);
    out->type = SCALAR_FLOAT;
    out->integral = fabs(v) < 9e15 && v == floor(v);
    out->number = out->integral ? (int64_t)v : 0;
    return true;
}

struct scalar
scalar_read(const struct tree *t)
{
    static const char *const yes[] = { "y",    "Y",    "yes", "Yes", "YES", "true",
                                       "True", "TRUE", "on",  "On",  "ON",  NULL };
    static const char *const no[] = { "n",     "N",     "no",  "No",  "NO",  "false",
                                      "False", "FALSE", "off", "Off", "OFF", NULL };
    static const char *const floats[] = { ".nan",  ".NaN",  ".NAN",  ".inf",  ".Inf",
                                          ".INF",  "+.inf", "+.Inf", "+.INF", "-.inf",
                                          "-.Inf", "-.INF", NULL };
    struct scalar s = { .type = SCALAR_TEXT };

    GS_ASSERT(t->kind == TREE_SCALAR);
    if (!t->plain)
        return s;
    if (tree_is_null(t))
        s.type = SCALAR_NULL;
    else if (one_of(t->text, yes))
        s = (struct scalar){ .type = SCALAR_BOOL, .yes = true };
    else if (one_of(t->text, no))
        s.type = SCALAR_BOOL;
    else if (one_of(t->text, floats))
        s.type = SCALAR_FLOAT;
    else
        (void)read_number(t->text, &s);
    return s;
}

const char *
scalar_type_text(enum scalar_type t)
{
    switch (t) {
    case SCALAR_NULL:
        return "null";
    case SCALAR_BOOL:
        return "a boolean";
    case SCALAR_INT:
    case SCALAR_FLOAT:
        return "a number";
    case SCALAR_TEXT:
        return "text";
    }
    GS_UNREACHABLE("scalar type");
}

/* ---- durations ---- */

struct unit {
    const char *name;
    uint64_t ns;
};

/* Longer names first where one begins another. */
static const struct unit units[] = {
    { "ns", 1 },
    { "us", 1000 },
    { "\xc2\xb5s", 1000 }, /* micro sign */
    { "\xce\xbcs", 1000 }, /* Greek mu */
    { "ms", 1000 * 1000 },
    { "s", 1000 * 1000 * 1000 },
    { "m", UINT64_C(60) * 1000 * 1000 * 1000 },
    { "h", UINT64_C(3600) * 1000 * 1000 * 1000 },
};

static const struct unit *
cut_unit(struct gs_slice *rest)
{
    for (size_t i = 0; i < GS_COUNT(units); i++) {
        struct gs_slice name = gs_slice_str(units[i].name);

        GS_ASSERT(units[i].ns > 0);
        if (gs_slice_starts(*rest, name)) {
            *rest = gs_slice_from(*rest, name.len);
            return &units[i];
        }
    }
    return NULL;
}

/* Digits; false if there are too many of them. *any: were there some? */
static bool
cut_digits(struct gs_slice *rest, uint64_t *v, double *scale, bool *any)
{
    *v = 0;
    *scale = 1;
    while (rest->len > 0 && rest->ptr[0] >= '0' && rest->ptr[0] <= '9') {
        if (__builtin_mul_overflow(*v, 10, v) ||
            __builtin_add_overflow(*v, (uint64_t)(rest->ptr[0] - '0'), v))
            return false;
        *scale *= 10;
        *any = true;
        *rest = gs_slice_from(*rest, 1);
    }
    return true;
}

/* One "1.5h"; what is behind it stays in *rest. */
static bool
cut_part(struct gs_slice *rest, uint64_t *ns)
{
    uint64_t whole, fraction = 0, add;
    double scale = 1, ignored;
    bool any = false;
    const struct unit *unit;

    if (!cut_digits(rest, &whole, &ignored, &any))
        return false;
    if (rest->len > 0 && rest->ptr[0] == '.') {
        *rest = gs_slice_from(*rest, 1);
        if (!cut_digits(rest, &fraction, &scale, &any))
            return false;
    }
    unit = any ? cut_unit(rest) : NULL;
    if (!unit || __builtin_mul_overflow(whole, unit->ns, &whole))
        return false;
    add = (uint64_t)((double)fraction * ((double)unit->ns / scale));
    return !__builtin_add_overflow(whole, add, &whole) && !__builtin_add_overflow(*ns, whole, ns);
}

gs_err
scalar_duration_ms(struct gs_slice text, uint64_t *ms, struct gs_why *why)
{
    struct gs_slice rest = text;
    bool negative = false;
    uint64_t ns = 0;

    if (rest.len > 0 && (rest.ptr[0] == '-' || rest.ptr[0] == '+')) {
        negative = rest.ptr[0] == '-';
        rest = gs_slice_from(rest, 1);
    }
    if (gs_slice_eq(rest, GS_SLICE("0"))) {
        rest.len = 0; /* the one duration without a unit */
    } else {
        if (rest.len == 0)
            return gs_refuse(why, GS_E_INVALID, "an empty text is no duration");
        while (rest.len > 0) {
            if (!cut_part(&rest, &ns) || ns > (uint64_t)INT64_MAX)
                return gs_refuse(why, GS_E_INVALID, "\"%.*s\" is no duration", GS_SLICE_FMT(text));
        }
    }
    if (negative || ns < 1000 * 1000)
        return gs_refuse(why, GS_E_INVALID, "a duration is at least 1ms, not %.*s",
                         GS_SLICE_FMT(text));
    if (ns % (1000 * 1000) != 0)
        return gs_refuse(why, GS_E_INVALID, "a duration has whole milliseconds, not %.*s",
                         GS_SLICE_FMT(text));
    *ms = ns / (1000 * 1000);
    GS_ASSERT(*ms > 0);
    return GS_E_OK;
}
