/* value.c - one table of value types; each has a parser and a printer that agree. A parser says
 * what is wrong and what to write instead; where it stands is its caller's to know. */
#include "mesh/config/value.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include <gossamer/json_out.h>

#include "mesh/config/codes.h"
#include "mesh/config/config.h"

#define WORDS_MAX 16
#define WORDS_BYTES 128
#define LABEL_BYTES_MAX 63 /* RFC 1123 */

typedef gs_err (*parse_fn)(const struct value_type *type, struct gs_slice text,
                           struct gs_arena *arena, void *out, struct value_fault *fault);

/* ---- faults ---- */

GS_PRINTF(3, 4)
static gs_err
bad(struct value_fault *f, const char *code, const char *fmt, ...)
{
    va_list ap;

    f->code = code;
    f->hint.text[0] = '\0';
    va_start(ap, fmt);
    (void)vsnprintf(f->why.text, sizeof(f->why.text), fmt, ap);
    va_end(ap);
    return GS_E_INVALID;
}

GS_PRINTF(2, 3)
static void
hint(struct value_fault *f, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(f->hint.text, sizeof(f->hint.text), fmt, ap);
    va_end(ap);
}

/* ---- words ---- */

/* "a|b|c" as an array; the texts lie in `copy`. */
static size_t
split_words(const char *words, char copy[WORDS_BYTES], const char *out[WORDS_MAX])
{
    struct gs_slice rest = gs_slice_str(words);
    struct gs_slice part;
    size_t count = 0;
    char *at = copy;

    GS_ASSERT(rest.len < WORDS_BYTES);
    while (gs_slice_cut(&rest, '|', &part)) {
        GS_ASSERT(count < WORDS_MAX);
        memcpy(at, part.ptr, part.len);
        at[part.len] = '\0';
        out[count++] = at;
        at += part.len + 1;
    }
    return count;
}

bool
value_among(const char *words, const char *word)
{
    struct gs_slice rest = gs_slice_str(words);
    struct gs_slice part;

    while (gs_slice_cut(&rest, '|', &part)) {
        if (gs_slice_eq(part, gs_slice_str(word)))
            return true;
    }
    return false;
}

static void
hint_word(struct value_fault *f, const char *words, struct gs_slice text)
{
    char copy[WORDS_BYTES];
    const char *list[WORDS_MAX];
    size_t count = split_words(words, copy, list);
    const char *meant = gs_did_you_mean(text.ptr, text.len, list, count);

    if (meant)
        hint(f, "did you mean \"%s\"?", meant);
}

static gs_err
parse_word(const struct value_type *type, struct gs_slice text, struct gs_arena *arena, void *out,
           struct value_fault *fault)
{
    char copy[WORDS_BYTES];
    const char *list[WORDS_MAX];
    size_t count = split_words(type->words, copy, list);
    struct gs_buf all;

    (void)arena;
    _Static_assert(sizeof(enum config_protocol) == sizeof(uint32_t), "an enum is a number");
    for (uint32_t i = 0; i < count; i++) {
        if (gs_slice_eq(text, gs_slice_str(list[i]))) {
            memcpy(out, &i, sizeof(i)); /* an enum of the same size */
            return GS_E_OK;
        }
    }
    gs_buf_init(&all, 2 * WORDS_BYTES);
    for (size_t i = 0; i < count; i++)
        (void)gs_buf_printf(&all, "%s%s", i == 0 ? "" : i + 1 < count ? ", " : " or ", list[i]);
    (void)bad(fault, CODE_CONFIG_VALUE, "\"%.*s\" is not allowed, expected %s", GS_SLICE_FMT(text),
              gs_buf_cstr(&all));
    gs_buf_fini(&all);
    hint_word(fault, type->words, text);
    return GS_E_INVALID;
}

static gs_err
parse_bool(const struct value_type *type, struct gs_slice text, struct gs_arena *arena, void *out,
           struct value_fault *fault)
{
    bool v = gs_slice_eq(text, GS_SLICE("true"));

    (void)type;
    (void)arena;
    if (v || gs_slice_eq(text, GS_SLICE("false"))) {
        memcpy(out, &v, sizeof(v));
        return GS_E_OK;
    }
    (void)bad(fault, CODE_CONFIG_VALUE, "\"%.*s\" is not allowed, expected true or false",
              GS_SLICE_FMT(text));
    return GS_E_INVALID;
}

/* ---- numbers and durations ---- */

static gs_err
check_range(const struct value_type *type, struct gs_slice text, uint64_t v,
            struct value_fault *fault)
{
    struct gs_buf allowed;

    if (v >= type->min && v <= type->max)
        return GS_E_OK;
    gs_buf_init(&allowed, 256);
    value_describe(type, &allowed);
    (void)bad(fault, CODE_CONFIG_RANGE, "%.*s is out of range, expected %s", GS_SLICE_FMT(text),
              gs_buf_cstr(&allowed));
    gs_buf_fini(&allowed);
    return GS_E_INVALID;
}

static gs_err
parse_uint(const struct value_type *type, struct gs_slice text, struct gs_arena *arena, void *out,
           struct value_fault *fault)
{
    uint64_t v = 0;
    uint32_t narrow;

    (void)arena;
    if (type->words && gs_slice_eq(text, gs_slice_str(type->words))) {
        memset(out, 0, sizeof(narrow));
        return GS_E_OK;
    }
    if (text.len > 1 && text.ptr[0] == '0') {
        (void)bad(fault, CODE_CONFIG_VALUE, "\"%.*s\" is no decimal number", GS_SLICE_FMT(text));
        hint(fault, "write it without the 0 in front");
        return GS_E_INVALID;
    }
    if (!gs_slice_to_u64(text, &v)) {
        (void)bad(fault, CODE_CONFIG_VALUE, "\"%.*s\" is no whole number%s%s", GS_SLICE_FMT(text),
                  type->words ? ", nor " : "", type->words ? type->words : "");
        if (type->words)
            hint_word(fault, type->words, text);
        return GS_E_INVALID;
    }
    if (check_range(type, text, v, fault) != GS_E_OK)
        return GS_E_INVALID;
    narrow = (uint32_t)v;
    GS_ASSERT(narrow == v);
    memcpy(out, &narrow, sizeof(narrow));
    return GS_E_OK;
}

struct unit {
    const char *name;
    uint64_t us;
};

/* "ms" stands before "m": the first that fits is taken. */
static const struct unit units[] = {
    { "ms", 1000 },
    { "s", 1000000 },
    { "m", UINT64_C(60000000) },
    { "h", UINT64_C(3600000000) },
};

static const struct unit *
take_unit(struct gs_slice *rest)
{
    for (size_t i = 0; i < GS_COUNT(units); i++) {
        struct gs_slice name = gs_slice_str(units[i].name);

        if (gs_slice_starts(*rest, name)) {
            *rest = gs_slice_from(*rest, name.len);
            return &units[i];
        }
    }
    return NULL;
}

/* The digits at the front of *rest, at most 9: none of our numbers is longer. */
static bool
take_digits(struct gs_slice *rest, uint64_t *value, unsigned *digits)
{
    size_t n = 0;

    while (n < rest->len && rest->ptr[n] >= '0' && rest->ptr[n] <= '9')
        n++;
    *value = 0;
    *digits = (unsigned)n;
    if (n > 9 || (n > 0 && !gs_slice_to_u64(gs_slice_head(*rest, n), value)))
        return false;
    *rest = gs_slice_from(*rest, n);
    return true;
}

/* One "1.5m" off the front; its microseconds are added. */
static bool
take_span(struct gs_slice *rest, uint64_t *us)
{
    uint64_t whole, fraction = 0;
    uint64_t scale = 1;
    unsigned digits, more = 0;
    const struct unit *unit;

    if (!take_digits(rest, &whole, &digits))
        return false;
    if (rest->len > 0 && rest->ptr[0] == '.') {
        *rest = gs_slice_from(*rest, 1);
        if (!take_digits(rest, &fraction, &more))
            return false;
    }
    unit = take_unit(rest);
    if (!unit || digits + more == 0)
        return false;
    for (unsigned i = 0; i < more; i++)
        scale *= 10;
    if (fraction * unit->us % scale != 0) /* below 10^9 times 3.6 * 10^9: fits */
        return false;
    *us += whole * unit->us + fraction * unit->us / scale;
    return *us < UINT64_C(1) << 62;
}

static gs_err
parse_duration(const struct value_type *type, struct gs_slice text, struct gs_arena *arena,
               void *out, struct value_fault *fault)
{
    struct gs_slice rest = text;
    uint64_t us = 0;
    uint64_t number;
    bool good = text.len > 0 && text.len <= 64;

    (void)arena;
    if (gs_slice_eq(text, GS_SLICE("0")))
        rest = GS_SLICE_NONE;
    while (good && rest.len > 0)
        good = take_span(&rest, &us);
    if (!good || us % 1000 != 0) {
        (void)bad(fault, CODE_CONFIG_VALUE, "\"%.*s\" is no duration", GS_SLICE_FMT(text));
        if (gs_slice_to_u64(text, &number))
            hint(fault, "give a unit: %.*ss or %.*sms", GS_SLICE_FMT(text), GS_SLICE_FMT(text));
        else
            hint(fault, "write 500ms, 1s, 1m30s, 2h or 0");
        return GS_E_INVALID;
    }
    us /= 1000;
    if (check_range(type, text, us, fault) != GS_E_OK)
        return GS_E_INVALID;
    memcpy(out, &us, sizeof(us));
    return GS_E_OK;
}

/* ---- texts ---- */

static gs_err
keep(struct gs_arena *arena, struct gs_slice text, void *out)
{
    const char *copy = gs_arena_strdup(arena, text);

    memcpy(out, &copy, sizeof(copy));
    return GS_E_OK;
}

static bool
alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool
is_label(struct gs_slice s)
{
    if (s.len == 0 || s.len > LABEL_BYTES_MAX || !alnum(s.ptr[0]) || !alnum(s.ptr[s.len - 1]))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!alnum(s.ptr[i]) && s.ptr[i] != '-')
            return false;
    }
    return true;
}

static bool
is_host(struct gs_slice s)
{
    struct gs_slice rest = s;
    struct gs_slice part;

    while (gs_slice_cut(&rest, '.', &part)) {
        if (!is_label(part))
            return false;
    }
    return s.len > 0;
}

/* Every byte within low..high. */
static bool
bytes_within(struct gs_slice s, unsigned char low, unsigned char high)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c < low || c > high)
            return false;
    }
    return true;
}

static bool
text_valid(enum value_kind kind, struct gs_slice s)
{
    switch ((int)kind) {
    case VALUE_STRING:
        return bytes_within(s, 0x21, 0x7e);
    case VALUE_LABEL:
        return is_label(s);
    case VALUE_HOST:
        return is_host(s);
    case VALUE_PATH:
        return gs_slice_starts(s, GS_SLICE("/")) && bytes_within(s, 0x20, 0xff);
    case VALUE_URLPATH:
        return gs_slice_starts(s, GS_SLICE("/")) && bytes_within(s, 0x21, 0x7e) &&
               gs_slice_find(s, '#') < 0;
    default:
        GS_UNREACHABLE("not a text");
    }
}

static const char *
text_expected(enum value_kind kind)
{
    switch ((int)kind) {
    case VALUE_STRING:
        return "printable ASCII without blanks";
    case VALUE_LABEL:
        return "lower-case letters, digits and '-', at most 63, '-' not at either end";
    case VALUE_HOST:
        return "names of lower-case letters, digits and '-', joined by '.'";
    case VALUE_PATH:
        return "a path that starts with /";
    case VALUE_URLPATH:
        return "a path such as /healthz";
    default:
        GS_UNREACHABLE("not a text");
    }
}

static gs_err
parse_text(const struct value_type *type, struct gs_slice text, struct gs_arena *arena, void *out,
           struct value_fault *fault)
{
    if (text.len < type->min || text.len > type->max)
        return bad(fault, CODE_CONFIG_RANGE, "%zu bytes, expected %" PRIu64 " to %" PRIu64,
                   text.len, type->min, type->max);
    if (!text_valid(type->kind, text))
        return bad(fault, CODE_CONFIG_VALUE, "\"%.*s\" is not allowed, expected %s",
                   GS_SLICE_FMT(text), text_expected(type->kind));
    return keep(arena, text, out);
}

/* ---- addresses ---- */

static gs_err
parse_address(const struct value_type *type, struct gs_slice text, struct gs_arena *arena,
              void *out, struct value_fault *fault)
{
    struct gs_addr a;
    struct gs_why why;
    uint64_t number;

    (void)arena;
    if (gs_addr_parse(&a, text, &why) != GS_E_OK) {
        (void)bad(fault, CODE_CONFIG_VALUE, "%s", why.text);
        if (gs_slice_starts(text, GS_SLICE("localhost:")))
            hint(fault, "did you mean 127.0.0.1:%.*s?", (int)text.len - 10, text.ptr + 10);
        else if (gs_slice_to_u64(text, &number) || gs_slice_starts(text, GS_SLICE(":")))
            hint(fault, "write 127.0.0.1:PORT for this machine only, 0.0.0.0:PORT for all");
        return GS_E_INVALID;
    }
    if (a.port < type->min || a.port > type->max)
        return bad(fault, CODE_CONFIG_RANGE,
                   "port %u is out of range, expected %" PRIu64 " to %" PRIu64, a.port, type->min,
                   type->max);
    memcpy(out, &a, sizeof(a));
    return GS_E_OK;
}

/* Are all bits behind the prefix 0? */
static bool
host_bits_clear(const struct gs_addr *a, unsigned bits)
{
    for (unsigned i = bits; i < 32; i++) {
        if (a->ip[i / 8] & (0x80u >> (i % 8)))
            return false;
    }
    return true;
}

static gs_err
parse_range(const struct value_type *type, struct gs_slice text, struct gs_arena *arena, void *out,
            struct value_fault *fault)
{
    struct gs_slice rest = text;
    struct gs_slice ip = GS_SLICE("");
    struct config_range r = { .bits = 0 };
    uint64_t bits = 0;
    char with_port[32];

    (void)arena;
    (void)gs_slice_cut(&rest, '/', &ip);
    (void)snprintf(with_port, sizeof(with_port), "%.*s:0", GS_SLICE_FMT(ip));
    if (!rest.ptr || rest.len > 2 || !gs_slice_to_u64(rest, &bits) || ip.len > 15 ||
        gs_addr_parse(&r.base, gs_slice_str(with_port), NULL) != GS_E_OK || r.base.family != 4)
        return bad(fault, CODE_CONFIG_VALUE,
                   "\"%.*s\" is no range, expected one such as "
                   "127.66.0.0/16",
                   GS_SLICE_FMT(text));
    if (bits < type->min || bits > type->max)
        return bad(fault, CODE_CONFIG_RANGE,
                   "/%" PRIu64 " is out of range, expected /%" PRIu64 " to /%" PRIu64, bits,
                   type->min, type->max);
    if (!host_bits_clear(&r.base, (unsigned)bits))
        return bad(fault, CODE_CONFIG_VALUE, "%.*s has bits behind its first %" PRIu64,
                   GS_SLICE_FMT(ip), bits);
    r.bits = (uint8_t)bits;
    memcpy(out, &r, sizeof(r));
    return GS_E_OK;
}

static gs_err
parse_target(struct gs_slice text, struct gs_arena *arena, struct config_target *out,
             struct value_fault *fault)
{
    struct config_target t = { .tls = gs_slice_starts(text, GS_SLICE("https://")) };
    struct gs_slice host = text;
    uint64_t port = t.tls ? 443 : 80;
    struct gs_addr v6;
    char with_port[64];
    ptrdiff_t colon;
    bool bracketed;

    if (!t.tls && !gs_slice_starts(text, GS_SLICE("http://")))
        return bad(fault, CODE_CONFIG_VALUE,
                   "\"%.*s\" is no target, expected http://HOST[:PORT] or https://HOST[:PORT]",
                   GS_SLICE_FMT(text));
    host = gs_slice_from(host, t.tls ? 8 : 7);
    if (gs_slice_find(host, '/') >= 0)
        return bad(fault, CODE_CONFIG_VALUE, "\"%.*s\" has a path, which a target cannot have",
                   GS_SLICE_FMT(text));
    bracketed = gs_slice_starts(host, GS_SLICE("["));
    colon = gs_slice_rfind(host, ':');
    if (colon >= 0 && !gs_slice_ends(host, GS_SLICE("]"))) {
        if (!gs_slice_to_u64(gs_slice_from(host, (size_t)colon + 1), &port) || port < 1 ||
            port > UINT16_MAX)
            return bad(fault, CODE_CONFIG_VALUE, "\"%.*s\" has no valid port", GS_SLICE_FMT(text));
        host = gs_slice_head(host, (size_t)colon);
    }
    (void)snprintf(with_port, sizeof(with_port), "%.*s:0", GS_SLICE_FMT(host));
    if (host.len > 253 ||
        (bracketed ? gs_addr_parse(&v6, gs_slice_str(with_port), NULL) != GS_E_OK : !is_host(host)))
        return bad(fault, CODE_CONFIG_VALUE, "\"%.*s\" has no valid host", GS_SLICE_FMT(text));
    if (bracketed)
        host = gs_slice(host.ptr + 1, host.len - 2);
    t.host = gs_arena_strdup(arena, host);
    t.port = (uint16_t)port;
    *out = t;
    return GS_E_OK;
}

/* ---- lists ---- */

static gs_err
parse_addresses(const struct value_type *type, const struct gs_slice *texts, size_t count,
                struct gs_arena *arena, void *out, struct value_fault *fault)
{
    struct gs_addr *items = gs_arena_alloc(arena, count * sizeof(*items));
    const struct value_type one = { .kind = VALUE_ADDRESS, .min = 1, .max = UINT16_MAX };
    struct config_addrs list = { items, count };

    (void)type;
    for (size_t i = 0; i < count; i++) {
        fault->item = i;
        if (parse_address(&one, texts[i], arena, &items[i], fault) != GS_E_OK)
            return GS_E_INVALID;
        for (size_t k = 0; k < i; k++) {
            if (gs_addr_eq(&items[i], &items[k]))
                return bad(fault, CODE_CONFIG_DUPLICATE, "\"%.*s\" is in this list already",
                           GS_SLICE_FMT(texts[i]));
        }
    }
    memcpy(out, &list, sizeof(list));
    return GS_E_OK;
}

static gs_err
parse_targets(const struct gs_slice *texts, size_t count, struct gs_arena *arena, void *out,
              struct value_fault *fault)
{
    struct config_target *items = gs_arena_alloc(arena, count * sizeof(*items));
    struct config_targets list = { items, count };

    for (size_t i = 0; i < count; i++) {
        fault->item = i;
        if (parse_target(texts[i], arena, &items[i], fault) != GS_E_OK)
            return GS_E_INVALID;
    }
    memcpy(out, &list, sizeof(list));
    return GS_E_OK;
}

gs_err
value_parse_list(const struct value_type *type, const struct gs_slice *texts, size_t count,
                 struct gs_arena *arena, void *out, struct value_fault *fault)
{
    if (count < type->min || count > type->max) {
        fault->item = 0;
        return bad(fault, CODE_CONFIG_RANGE, "%zu items, expected %" PRIu64 " to %" PRIu64, count,
                   type->min, type->max);
    }
    if (type->kind == VALUE_ADDRESSES)
        return parse_addresses(type, texts, count, arena, out, fault);
    GS_ASSERT(type->kind == VALUE_TARGETS);
    return parse_targets(texts, count, arena, out, fault);
}

/* ---- the table of scalars ---- */

static const parse_fn parsers[] = {
    [VALUE_STRING] = parse_text,     [VALUE_LABEL] = parse_text,        [VALUE_HOST] = parse_text,
    [VALUE_PATH] = parse_text,       [VALUE_URLPATH] = parse_text,      [VALUE_BOOL] = parse_bool,
    [VALUE_UINT] = parse_uint,       [VALUE_DURATION] = parse_duration, [VALUE_WORD] = parse_word,
    [VALUE_ADDRESS] = parse_address, [VALUE_RANGE] = parse_range,
};

gs_err
value_parse(const struct value_type *type, struct gs_slice text, struct gs_arena *arena, void *out,
            struct value_fault *fault)
{
    GS_ASSERT(type->kind < GS_COUNT(parsers));
    GS_ASSERT(parsers[type->kind]);
    fault->item = 0;
    if (text.len > 0 && memchr(text.ptr, '\0', text.len))
        return bad(fault, CODE_CONFIG_VALUE, "a NUL byte is not allowed");
    return parsers[type->kind](type, text, arena, out, fault);
}
