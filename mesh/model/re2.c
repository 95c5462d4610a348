/* re2.c - RE2's syntax (google/re2, doc/syntax.txt) rewritten as a POSIX extended expression.
 * Start reading at expression().
 *
 *     "/v(\d+)/[^/]*?"  ──▶  "^(/v([0-9]+)/[^/]*)$"  ──regcomp──▶  regex_t
 *
 * Character classes are read into a set of bytes and written anew, because inside brackets the two
 * dialects share no escape. glibc copies the operand of + and {n,m}, so nested ones explode: what
 * a pattern unfolds to is counted and capped before glibc sees it. */
#include "mesh/model/re2.h"

#include <string.h>

#include <gossamer/buf.h>
#include <gossamer/limits.h>

#define RE2_REPEAT_MAX 1000  /* RE2's own limit */
#define RE2_UNFOLDED_MAX 600 /* regcomp takes up to the cube of it: 0.1 s at this size */
#define RE2_DEPTH_MAX 128
#define RE2_OUT_MAX (128 * 1024)

struct set { /* of bytes */
    bool has[256];
};

struct re2 {
    struct gs_slice in;
    size_t at;
    struct gs_buf out;
    struct gs_why *why;
    unsigned depth;
    bool ignore_case;
};

static gs_err expression(struct re2 *p, size_t *cost);

static bool
more(const struct re2 *p)
{
    GS_ASSERT(p->at <= p->in.len);
    return p->at < p->in.len;
}

static char
peek(const struct re2 *p)
{
    return more(p) ? p->in.ptr[p->at] : '\0';
}

static bool
sees(const struct re2 *p, const char *text)
{
    return gs_slice_starts(gs_slice_from(p->in, p->at), gs_slice_str(text));
}

static bool
take(struct re2 *p, const char *text)
{
    if (!sees(p, text))
        return false;
    p->at += strlen(text);
    return true;
}

static gs_err
refuse(struct re2 *p, gs_err e, const char *what)
{
    return gs_refuse(p->why, e, "regex \"%.*s\": %s", GS_SLICE_FMT(p->in), what);
}

/* ---- writing ---- */

static void
put_literal(struct re2 *p, unsigned char c)
{
    if (c != '\0' && strchr(".[{}()\\*+?|^$", c))
        (void)gs_buf_put(&p->out, "\\", 1);
    (void)gs_buf_put(&p->out, &c, 1);
}

static bool
plain_in_set(int c)
{
    return c != ']' && c != '^' && c != '-' && c != '[';
}

/* May one range hold both? Ranges never mix letters of one case with anything else: regcomp turns
 * their ends into capitals when it ignores case, and "b-~" would become "B-~". */
static bool
same_run(int a, int b)
{
    bool upper = a >= 'A' && a <= 'Z', lower = a >= 'a' && a <= 'z';

    return plain_in_set(b) && upper == (b >= 'A' && b <= 'Z') && lower == (b >= 'a' && b <= 'z');
}

/* ']' comes first, '[' after others so that it begins no "[:", '^' not first, '-' last. */
static void
put_set(struct re2 *p, const struct set *s)
{
    int count = 0, only = 0;

    for (int c = 1; c < 256; c++) {
        count += s->has[c];
        only = s->has[c] ? c : only;
    }
    GS_ASSERT(count > 0);
    GS_ASSERT(!s->has[0]);
    if (count == 1) {
        put_literal(p, (unsigned char)only);
        return;
    }
    if (count == 2 && s->has['^'] && s->has['-']) {
        (void)gs_buf_put_str(&p->out, "[-^]");
        return;
    }
    (void)gs_buf_put_str(&p->out, s->has[']'] ? "[]" : "[");
    for (int c = 1; c < 256; c++) {
        unsigned char text[3] = { (unsigned char)c, '-', 0 };
        int last = c;

        if (!s->has[c] || !plain_in_set(c))
            continue;
        while (last + 1 < 256 && s->has[last + 1] && same_run(c, last + 1))
            last++;
        text[2] = (unsigned char)last;
        (void)gs_buf_put(&p->out, text, last - c >= 2 ? 3 : 1);
        c = last - c >= 2 ? last : c;
    }
    if (s->has['['])
        (void)gs_buf_put_str(&p->out, "[");
    if (s->has['^'])
        (void)gs_buf_put_str(&p->out, "^");
    if (s->has['-'])
        (void)gs_buf_put_str(&p->out, "-");
    (void)gs_buf_put_str(&p->out, "]");
}

/* ---- sets ---- */

static void
add_range(struct set *s, int first, int last)
{
    GS_ASSERT(first > 0 && last < 256);
    for (int c = first; c <= last; c++)
        s->has[c] = true;
}

static void
invert(struct set *s)
{
    for (int c = 0; c < 256; c++)
        s->has[c] = !s->has[c];
    s->has[0] = false; /* no value holds it, and no C string can */
}

/* \d \w \s and their opposites, added to s. */
static bool
add_perl_class(struct set *s, char name)
{
    struct set own = { { false } };

    switch (name | 0x20) {
    case 'd':
        add_range(&own, '0', '9');
        break;
    case 'w':
        add_range(&own, '0', '9');
        add_range(&own, 'a', 'z');
        add_range(&own, 'A', 'Z');
        own.has['_'] = true;
        break;
    case 's':
        own.has['\t'] = own.has['\n'] = own.has['\f'] = own.has['\r'] = own.has[' '] = true;
        break;
    default:
        return false;
    }
    if (name < 'a')
        invert(&own);
    for (int c = 0; c < 256; c++)
        s->has[c] = s->has[c] || own.has[c];
    return true;
}

/* [:alpha:] and such, behind "[:". */
static gs_err
add_posix_class(struct re2 *p, struct set *s)
{
    static const struct {
        const char *name;
        const char *ranges; /* pairs */
    } classes[] = {
        { "alnum:]", "09azAZ" },
        { "alpha:]", "azAZ" },
        { "ascii:]", "\x01\x7f" },
        { "blank:]", "\t\t  " },
        { "cntrl:]", "\x01\x1f\x7f\x7f" },
        { "digit:]", "09" },
        { "graph:]", "!~" },
        { "lower:]", "az" },
        { "print:]", " ~" },
        { "punct:]", "!/:@[`{~" },
        { "space:]", "\t\r  " },
        { "upper:]", "AZ" },
        { "word:]", "09azAZ__" },
        { "xdigit:]", "09afAF" },
    };
    struct set own = { { false } };
    bool negated = take(p, "^");

    for (size_t i = 0; i < GS_COUNT(classes); i++) {
        if (!take(p, classes[i].name))
            continue;
        for (const char *r = classes[i].ranges; *r; r += 2)
            add_range(&own, (unsigned char)r[0], (unsigned char)r[1]);
        if (negated)
            invert(&own);
        for (int c = 0; c < 256; c++)
            s->has[c] = s->has[c] || own.has[c];
        return GS_E_OK;
    }
    return refuse(p, GS_E_INVALID, "there is no such class as follows \"[:\"");
}

static int
hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Behind "\x": two digits, or any number of them in braces. */
static gs_err
hex_escape(struct re2 *p, int *c)
{
    bool braces = take(p, "{");
    size_t digits = 0;
    unsigned v = 0;

    while (more(p) && hex_of(peek(p)) >= 0 && v < 0x110000 && (braces || digits < 2)) {
        v = v * 16 + (unsigned)hex_of(p->in.ptr[p->at++]);
        digits++;
    }
    if (digits == 0 || (!braces && digits < 2) || (braces && !take(p, "}")) || v > 0x10ffff)
        return refuse(p, GS_E_INVALID, "\\x takes two hexadecimal digits, or some in braces");
    if (v == 0 || v > 0x7f)
        return refuse(p, GS_E_UNSUPPORTED, "\\x outside 01..7f is not supported in this version");
    *c = (int)v;
    return GS_E_OK;
}

/* An escape that stands for one character; the backslash is behind us. */
static gs_err
character_escape(struct re2 *p, int *out)
{
    static const char names[] = "aftnrv";
    static const char values[] = "\a\f\t\n\r\v";
    char c = peek(p);
    const char *found;

    if (!more(p))
        return refuse(p, GS_E_INVALID, "a backslash at its end");
    p->at++;
    found = c != '\0' ? strchr(names, c) : NULL;
    if (found) {
        *out = values[found - names];
        return GS_E_OK;
    }
    if (c == 'x')
        return hex_escape(p, out);
    if (c == 'p' || c == 'P')
        return refuse(p, GS_E_UNSUPPORTED,
                      "Unicode classes (\\p) are not supported in this version");
    if (c == 'b' || c == 'B')
        return refuse(p, GS_E_UNSUPPORTED,
                      "word boundaries (\\b) are not supported in this version");
    if (c == 'C')
        return refuse(p, GS_E_UNSUPPORTED, "\\C is not supported in this version");
    if (c >= '1' && c <= '9')
        return refuse(p, GS_E_INVALID, "RE2 has no back-references");
    if (hex_of(c) >= 0 || (c >= 'g' && c <= 'z') || (c >= 'G' && c <= 'Z') || c == '_' ||
        (unsigned char)c >= 0x80 || c == '\0')
        return refuse(p, GS_E_INVALID, "a backslash before that has no meaning");
    *out = (unsigned char)c;
    return GS_E_OK;
}

/* One end of a range, or a lone character, within brackets. */
static gs_err
set_character(struct re2 *p, int *out)
{
    unsigned char c = (unsigned char)peek(p);

    if (!more(p))
        return refuse(p, GS_E_INVALID, "a \"[\" without its \"]\"");
    if (c == '\0')
        return refuse(p, GS_E_INVALID, "a zero byte");
    if (c >= 0x80)
        return refuse(p, GS_E_UNSUPPORTED,
                      "only ASCII within brackets is supported in this version");
    p->at++;
    if (c == '\\')
        return character_escape(p, out);
    *out = c;
    return GS_E_OK;
}

static bool
set_perl_class(struct re2 *p, struct set *s)
{
    if (peek(p) != '\\' || p->at + 1 >= p->in.len || !strchr("dDwWsS", p->in.ptr[p->at + 1]) ||
        p->in.ptr[p->at + 1] == '\0')
        return false;
    (void)add_perl_class(s, p->in.ptr[p->at + 1]);
    p->at += 2;
    return true;
}

static gs_err
set_item(struct re2 *p, struct set *s)
{
    int first, last;
    gs_err e;

    if (take(p, "[:"))
        return add_posix_class(p, s);
    if (set_perl_class(p, s))
        return GS_E_OK;
    e = set_character(p, &first);
    if (e != GS_E_OK)
        return e;
    last = first;
    if (peek(p) == '-' && p->at + 1 < p->in.len && p->in.ptr[p->at + 1] != ']') {
        p->at++;
        e = set_character(p, &last);
        if (e != GS_E_OK)
            return e;
        if (last < first)
            return refuse(p, GS_E_INVALID, "a range within brackets that runs backwards");
    }
    add_range(s, first, last);
    return GS_E_OK;
}

/* Behind "[". */
static gs_err
bracket(struct re2 *p)
{
    struct set s = { { false } };
    bool negated = take(p, "^");
    bool any = false;

    do {
        gs_err e = set_item(p, &s); /* a "]" in the first place is a character */

        if (e != GS_E_OK)
            return e;
        if (!more(p))
            return refuse(p, GS_E_INVALID, "a \"[\" without its \"]\"");
    } while (!take(p, "]"));
    if (negated)
        invert(&s);
    if (p->ignore_case) { /* regcomp folds letters, but not the ends of a range it negates */
        for (int c = 'a'; c <= 'z'; c++) {
            bool either = negated ? s.has[c] && s.has[c - 32] : s.has[c] || s.has[c - 32];

            s.has[c] = s.has[c - 32] = either;
        }
    }
    for (int c = 1; c < 256; c++)
        any = any || s.has[c];
    if (!any)
        return refuse(p, GS_E_UNSUPPORTED, "brackets that match nothing");
    put_set(p, &s);
    return GS_E_OK;
}

/* ---- atoms ---- */

static gs_err
group(struct re2 *p, size_t *cost)
{
    static const char *const looks[] = { "?=", "?!", "?<=", "?<!" };
    gs_err e;

    for (size_t i = 0; i < GS_COUNT(looks); i++) {
        if (sees(p, looks[i]))
            return refuse(p, GS_E_INVALID, "RE2 has no look-ahead and no look-behind");
    }
    if (take(p, "?P<") || take(p, "?<")) {
        size_t start = p->at;

        while (more(p) && (hex_of(peek(p)) >= 0 || (peek(p) | 0x20) >= 'g') && peek(p) != '|' &&
               (unsigned char)peek(p) < 0x7b)
            p->at++;
        if (p->at == start || !take(p, ">"))
            return refuse(p, GS_E_INVALID, "a group whose name is no name");
    } else if (!take(p, "?:") && sees(p, "?")) {
        return refuse(p, GS_E_UNSUPPORTED,
                      "flags within an expression are not supported in this version (only at its "
                      "start)");
    }
    if (++p->depth > RE2_DEPTH_MAX)
        return refuse(p, GS_E_LIMIT, "groups are nested too deeply");
    (void)gs_buf_put_str(&p->out, "(");
    e = expression(p, cost);
    if (e != GS_E_OK)
        return e;
    if (!take(p, ")"))
        return refuse(p, GS_E_INVALID, "a \"(\" without its \")\"");
    (void)gs_buf_put_str(&p->out, ")");
    GS_ASSERT(p->depth > 0);
    p->depth--;
    return GS_E_OK;
}

/* A character beyond ASCII is several bytes, and what repeats it must repeat them all. */
static gs_err
utf8_character(struct re2 *p)
{
    unsigned char lead = (unsigned char)peek(p);
    size_t len = lead >= 0xf0 && lead < 0xf5 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0;

    if (len == 0 || lead >= 0xf5 || p->in.len - p->at < len)
        return refuse(p, GS_E_INVALID, "it is not UTF-8");
    for (size_t i = 1; i < len; i++) {
        if (((unsigned char)p->in.ptr[p->at + i] & 0xc0) != 0x80)
            return refuse(p, GS_E_INVALID, "it is not UTF-8");
    }
    (void)gs_buf_put_str(&p->out, "(");
    (void)gs_buf_put(&p->out, p->in.ptr + p->at, len);
    (void)gs_buf_put_str(&p->out, ")");
    p->at += len;
    return GS_E_OK;
}

/* Behind "\Q": everything up to "\E" is literal; repeats what is last of it. */
static gs_err
quoted(struct re2 *p, size_t *cost)
{
    *cost = 0;
    while (more(p) && !take(p, "\\E")) {
        ++*cost;
        if ((unsigned char)peek(p) >= 0x80) {
            gs_err e = utf8_character(p);

            if (e != GS_E_OK)
                return e;
        } else {
            put_literal(p, (unsigned char)p->in.ptr[p->at++]);
        }
    }
    return GS_E_OK;
}

/* Behind a backslash outside brackets. *repeatable: may an operator follow? */
static gs_err
escape(struct re2 *p, size_t *cost, bool *repeatable)
{
    struct set s = { { false } };
    char c = peek(p);
    int literal = 0;
    gs_err e;

    if (add_perl_class(&s, c)) {
        p->at++;
        put_set(p, &s);
        return GS_E_OK;
    }
    if (c == 'A' || c == 'z') {
        p->at++;
        *repeatable = false;
        (void)gs_buf_put_str(&p->out, c == 'A' ? "^" : "$");
        return GS_E_OK;
    }
    if (take(p, "Q")) {
        e = quoted(p, cost);
        *repeatable = *cost > 0;
        return e;
    }
    e = character_escape(p, &literal);
    if (e == GS_E_OK)
        put_literal(p, (unsigned char)literal);
    return e;
}

static gs_err
atom(struct re2 *p, size_t *cost, bool *repeatable)
{
    unsigned char c = (unsigned char)peek(p);

    *cost = 1;
    *repeatable = true;
    if (c >= 0x80)
        return utf8_character(p);
    p->at++;
    switch (c) {
    case '(':
        return group(p, cost);
    case '[':
        return bracket(p);
    case '\\':
        return escape(p, cost, repeatable);
    case '.':
        (void)gs_buf_put_str(&p->out, ".");
        return GS_E_OK;
    case '^':
    case '$':
        *repeatable = false;
        (void)gs_buf_put(&p->out, &c, 1);
        return GS_E_OK;
    case '*':
    case '+':
    case '?':
        return refuse(p, GS_E_INVALID, "nothing stands before what should be repeated");
    case '\0':
        return refuse(p, GS_E_INVALID, "a zero byte");
    default:
        put_literal(p, c);
        return GS_E_OK;
    }
}

/* ---- repetition ---- */

static bool
cut_number(struct gs_slice *s, unsigned *out)
{
    size_t digits = 0;

    *out = 0;
    while (digits < s->len && s->ptr[digits] >= '0' && s->ptr[digits] <= '9' && digits < 6)
        *out = *out * 10 + (unsigned)(s->ptr[digits++] - '0');
    *s = gs_slice_from(*s, digits);
    return digits > 0;
}

/* "{2}", "{2,}", "{2,5}"; anything else in braces is literal, as in RE2. */
static bool
sees_count(const struct re2 *p, unsigned *least, unsigned *most, size_t *len)
{
    struct gs_slice s = gs_slice_from(p->in, p->at);
    size_t before = s.len;

    if (s.len == 0 || s.ptr[0] != '{')
        return false;
    s = gs_slice_from(s, 1);
    if (!cut_number(&s, least))
        return false;
    *most = *least;
    if (s.len > 0 && s.ptr[0] == ',') {
        s = gs_slice_from(s, 1);
        if (!cut_number(&s, most))
            *most = UINT32_MAX;
    }
    if (s.len == 0 || s.ptr[0] != '}')
        return false;
    *len = before - s.len + 1;
    return true;
}

static gs_err
counted(struct re2 *p, unsigned least, unsigned most, size_t len, size_t *cost)
{
    unsigned copies = most == UINT32_MAX ? least + 1 : most;

    if (least > RE2_REPEAT_MAX || (most != UINT32_MAX && (most > RE2_REPEAT_MAX || most < least)))
        return refuse(p, GS_E_INVALID, "a repetition count above 1000, or that runs backwards");
    GS_ASSERT(p->at + len <= p->in.len);
    (void)gs_buf_put(&p->out, p->in.ptr + p->at, len);
    p->at += len;
    *cost *= copies > 0 ? copies : 1;
    return GS_E_OK;
}

/* What may follow an atom: one operator, and a '?' that makes it reluctant. */
static gs_err
repetition(struct re2 *p, bool repeatable, size_t *cost)
{
    unsigned least, most;
    size_t len;
    bool is_count = sees_count(p, &least, &most, &len);
    char c = peek(p);
    gs_err e = GS_E_OK;

    if (!is_count && c != '*' && c != '+' && c != '?')
        return GS_E_OK;
    if (!more(p))
        return GS_E_OK;
    if (!repeatable)
        return refuse(p, GS_E_UNSUPPORTED, "a repeated ^, $ or empty text");
    if (is_count) {
        e = counted(p, least, most, len, cost);
    } else {
        (void)gs_buf_put(&p->out, &c, 1);
        p->at++;
        *cost *= c == '+' ? 2 : 1;
    }
    (void)take(p, "?");
    c = peek(p);
    if (e == GS_E_OK && more(p) &&
        (c == '*' || c == '+' || c == '?' || sees_count(p, &least, &most, &len)))
        e = refuse(p, GS_E_INVALID, "a repetition of a repetition");
    if (e == GS_E_OK && *cost > RE2_UNFOLDED_MAX)
        e = refuse(p, GS_E_LIMIT, "its repetitions unfold to something too large");
    return e;
}

/* Up to the end or the ')' of the group. */
static gs_err
expression(struct re2 *p, size_t *cost)
{
    *cost = 1;
    while (more(p) && peek(p) != ')') {
        bool repeatable;
        size_t own;
        gs_err e;

        if (take(p, "|")) {
            (void)gs_buf_put_str(&p->out, "|");
            continue;
        }
        e = atom(p, &own, &repeatable);
        if (e == GS_E_OK)
            e = repetition(p, repeatable, &own);
        if (e != GS_E_OK)
            return e;
        *cost += own;
        if (*cost > RE2_UNFOLDED_MAX)
            return refuse(p, GS_E_LIMIT, "its repetitions unfold to something too large");
    }
    return GS_E_OK;
}

/* "(?i)" and such at the very start hold for all of it. Of the others none changes whether a whole
 * value without line ends matches. */
static gs_err
leading_flags(struct re2 *p)
{
    size_t at = 2;

    if (!sees(p, "(?"))
        return GS_E_OK;
    while (at < p->in.len && strchr("imsU", p->in.ptr[at]) && p->in.ptr[at] != '\0')
        at++;
    if (at == 2 || at >= p->in.len || p->in.ptr[at] != ')')
        return GS_E_OK; /* a group; it will say what is wrong with it */
    for (size_t i = 2; i < at; i++)
        p->ignore_case = p->ignore_case || p->in.ptr[i] == 'i';
    p->at = at + 1;
    return GS_E_OK;
}

static gs_err
translate(struct re2 *p)
{
    size_t cost;
    gs_err e = leading_flags(p);

    (void)gs_buf_put_str(&p->out, "^(");
    if (e == GS_E_OK)
        e = expression(p, &cost);
    if (e != GS_E_OK)
        return e;
    GS_ASSERT(p->depth == 0);
    if (more(p))
        return refuse(p, GS_E_INVALID, "a \")\" without its \"(\"");
    (void)gs_buf_put_str(&p->out, ")$");
    return p->out.failed ? refuse(p, GS_E_LIMIT, "it is too long") : GS_E_OK;
}

gs_err
re2_compile(struct gs_slice pattern, regex_t *out, struct gs_why *why)
{
    struct re2 p = { .in = pattern.len > 0 ? pattern : GS_SLICE(""), .why = why };
    regex_t compiled;
    gs_err e;

    if (pattern.len > POLICY_REGEX_MAX)
        return gs_refuse(why, GS_E_LIMIT, "a regex has at most %d bytes, this one %zu",
                         POLICY_REGEX_MAX, pattern.len);
    gs_buf_init(&p.out, RE2_OUT_MAX);
    e = translate(&p);
    if (e == GS_E_OK && regcomp(&compiled, gs_buf_cstr(&p.out),
                                REG_EXTENDED | REG_NOSUB | (p.ignore_case ? REG_ICASE : 0)) != 0)
        e = refuse(&p, GS_E_UNSUPPORTED, "this system's regcomp does not take it");
    else if (e == GS_E_OK && out)
        *out = compiled;
    else if (e == GS_E_OK)
        regfree(&compiled);
    gs_buf_fini(&p.out);
    return e;
}
