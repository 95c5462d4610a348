/* yaml_text.c - libyaml reads JSON except for one thing: it refuses "\uD83D\uDE00", JSON's way to
 * write a character beyond U+FFFF, and wants "\U0001F600". Programs that write ASCII-only JSON
 * produce such pairs, so they are joined before parsing, where the text is JSON by its tokens:
 * in any other text the same letters may stand in a comment or in a plain scalar and mean
 * themselves. A joined pair is two characters shorter; places are corrected by that. */
#include "mesh/config/yaml_text.h"

#include <stdio.h>

#include <gossamer/alloc.h>
#include <gossamer/check.h>

#define PAIR_BYTES 12   /* \uD83D\uDE00 */
#define JOINED_BYTES 10 /* \U0001F600 */

struct yaml_joined { /* where a joined pair starts, in the changed text, 0-based */
    size_t line, column;
};

struct copier {
    struct yaml_text *t;
    struct gs_slice in;
    size_t at;    /* in `in` */
    size_t wrote; /* in t->copy */
    size_t line, column;
};

static bool
hex4(struct gs_slice s, size_t at, unsigned *out)
{
    unsigned v = 0;

    if (at + 4 > s.len)
        return false;
    for (size_t i = at; i < at + 4; i++) {
        char c = s.ptr[i];

        if (c >= '0' && c <= '9')
            v = v * 16 + (unsigned)(c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            v = v * 16 + (unsigned)((c | 32) - 'a') + 10;
        else
            return false;
    }
    *out = v;
    return true;
}

/* Is there an escaped surrogate pair at `at`? Then its character. */
static bool
pair_at(struct gs_slice s, size_t at, unsigned *character)
{
    unsigned high, low;

    if (at + PAIR_BYTES > s.len || s.ptr[at] != '\\' || s.ptr[at + 1] != 'u')
        return false;
    if (s.ptr[at + 6] != '\\' || s.ptr[at + 7] != 'u')
        return false;
    if (!hex4(s, at + 2, &high) || !hex4(s, at + 8, &low))
        return false;
    if (high < 0xd800 || high > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return false;
    *character = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static bool
has_pair(struct gs_slice s)
{
    unsigned character;

    for (size_t at = 0; at + PAIR_BYTES <= s.len; at++) {
        const char *next = memchr(s.ptr + at, '\\', s.len - at);

        if (!next)
            return false;
        at = (size_t)(next - s.ptr);
        if (pair_at(s, at, &character))
            return true;
    }
    return false;
}

static void
copy_bytes(struct copier *c, size_t n)
{
    GS_ASSERT(n <= c->in.len - c->at);
    for (size_t i = 0; i < n; i++) {
        char byte = c->in.ptr[c->at++];

        c->t->copy[c->wrote++] = byte;
        if (byte == '\n') {
            c->line++;
            c->column = 0;
        } else if (((unsigned char)byte & 0xc0) != 0x80) {
            c->column++;
        }
    }
}

static void
join(struct copier *c, unsigned character)
{
    struct yaml_text *t = c->t;

    if (t->joined_count == t->joined_cap) {
        t->joined_cap = t->joined_cap ? t->joined_cap * 2 : 16;
        t->joined = gs_realloc(t->joined, t->joined_cap * sizeof(*t->joined));
    }
    t->joined[t->joined_count++] = (struct yaml_joined){ c->line, c->column };
    /* The copy has the original's size: a joined pair plus its NUL is still shorter. */
    (void)snprintf(t->copy + c->wrote, JOINED_BYTES + 1, "\\U%08X", character);
    c->wrote += JOINED_BYTES;
    c->column += JOINED_BYTES;
    c->at += PAIR_BYTES;
}

/* From behind the opening quote to behind the closing one. */
static void
copy_string(struct copier *c)
{
    unsigned character;

    while (c->at < c->in.len) {
        char byte = c->in.ptr[c->at];

        if (byte == '\\' && pair_at(c->in, c->at, &character))
            join(c, character);
        else if (byte == '\\' && c->at + 1 < c->in.len)
            copy_bytes(c, 2);
        else
            copy_bytes(c, 1);
        if (byte == '"')
            return;
    }
}

static bool
json_token_byte(char c)
{
    return c && strchr(" \t\r\n{}[]:,+-.0123456789abcdefghijklmnopqrstuvwxyzE", c);
}

/* False when a byte outside of strings shows that this is not JSON. */
static bool
copy_json(struct copier *c)
{
    while (c->at < c->in.len) {
        char byte = c->in.ptr[c->at];

        if (byte != '"' && !json_token_byte(byte))
            return false;
        copy_bytes(c, 1);
        if (byte == '"')
            copy_string(c);
    }
    return true;
}

void
yaml_text_init(struct yaml_text *t, struct gs_slice text)
{
    struct copier c;

    if (gs_slice_starts(text, GS_SLICE("\xef\xbb\xbf")))
        text = gs_slice_from(text, 3);
    *t = (struct yaml_text){ .text = text };
    if (!has_pair(text))
        return;
    t->copy = gs_alloc(text.len + 1);
    c = (struct copier){ .t = t, .in = text };
    if (copy_json(&c)) {
        GS_ASSERT(c.wrote <= text.len);
        t->text = gs_slice(t->copy, c.wrote);
    } else {
        t->joined_count = 0;
    }
}

void
yaml_text_fini(struct yaml_text *t)
{
    gs_free(t->copy);
    gs_free(t->joined);
    *t = (struct yaml_text){ 0 };
}

unsigned
yaml_text_column(const struct yaml_text *t, size_t line, size_t column)
{
    size_t shift = 0;

    for (size_t i = 0; i < t->joined_count && t->joined[i].line <= line; i++) {
        if (t->joined[i].line == line && t->joined[i].column < column)
            shift += PAIR_BYTES - JOINED_BYTES;
    }
    return (unsigned)(column + shift + 1);
}

void
yaml_text_place(const struct yaml_text *t, size_t offset, size_t *line, size_t *column)
{
    *line = *column = 0;
    for (size_t i = 0; i < offset && i < t->text.len; i++) {
        unsigned char byte = (unsigned char)t->text.ptr[i];

        if (byte == '\n') {
            ++*line;
            *column = 0;
        } else if ((byte & 0xc0) != 0x80) {
            ++*column;
        }
    }
}
