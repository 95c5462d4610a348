/* json_out.c - writes JSON as it is told; the only state is where a comma is due. */
#include <gossamer/json_out.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define JSON_DEPTH_MAX 64 /* a bit each in has_items */

void
json_init(struct json_out *j, struct gs_buf *out)
{
    *j = (struct json_out){ .out = out };
}

static void
put(struct json_out *j, const char *text, size_t len)
{
    (void)gs_buf_put(j->out, text, len); /* the buffer's own `failed` says what did not fit */
}

static uint64_t
depth_bit(const struct json_out *j)
{
    GS_ASSERT(j->depth > 0 && j->depth <= JSON_DEPTH_MAX);
    return UINT64_C(1) << (j->depth - 1);
}

/* Before a key or a value: the comma between it and its elder sibling. */
static void
separate(struct json_out *j)
{
    if (j->after_key) {
        j->after_key = false;
        return;
    }
    if (j->depth == 0)
        return;
    if (j->has_items & depth_bit(j))
        put(j, ",", 1);
    j->has_items |= depth_bit(j);
}

static void
open_level(struct json_out *j, char bracket)
{
    separate(j);
    put(j, &bracket, 1);
    GS_ASSERT(j->depth < JSON_DEPTH_MAX);
    j->depth++;
    j->has_items &= ~depth_bit(j);
}

static void
close_level(struct json_out *j, char bracket)
{
    GS_ASSERT(j->depth > 0);
    GS_ASSERT(!j->after_key);
    j->depth--;
    put(j, &bracket, 1);
}

void
json_obj(struct json_out *j)
{
    open_level(j, '{');
}

void
json_obj_end(struct json_out *j)
{
    close_level(j, '}');
}

void
json_arr(struct json_out *j)
{
    open_level(j, '[');
}

void
json_arr_end(struct json_out *j)
{
    close_level(j, ']');
}

/* Bytes of the well-formed UTF-8 sequence at the start of s, or 0. Unicode 15, table 3-7. */
static size_t
utf8_len(const unsigned char *s, size_t left)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t len;

    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (left < len)
        return 0;
    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    }
    return len;
}

static void
put_escape(struct json_out *j, unsigned char c)
{
    static const char from[] = "\"\\\b\f\n\r\t";
    static const char to[] = "\"\\bfnrt";
    const char *at = c ? strchr(from, c) : NULL;
    char text[8];

    if (at) {
        text[0] = '\\';
        text[1] = to[at - from];
        put(j, text, 2);
        return;
    }
    (void)snprintf(text, sizeof(text), "\\u%04x", c);
    put(j, text, 6);
}

static void
put_quoted(struct json_out *j, struct gs_slice s)
{
    size_t done = 0; /* bytes of s that are written */

    put(j, "\"", 1);
    for (size_t i = 0; i < s.len;) {
        const unsigned char *at = (const unsigned char *)s.ptr + i;
        size_t n = utf8_len(at, s.len - i);

        size_t control = gs_slice_control(gs_slice_from(s, i));

        if (n > 0 && control == 0 && *at != '"' && *at != '\\') {
            i += n;
            continue;
        }
        if (i > done)
            put(j, s.ptr + done, i - done);
        if (n > 0)
            put_escape(j, at[n - 1]); /* of two bytes of C1 the second is its number */
        else
            put(j, "\xef\xbf\xbd", 3);
        i += n > 0 ? n : 1;
        done = i;
    }
    if (s.len > done)
        put(j, s.ptr + done, s.len - done);
    put(j, "\"", 1);
}

void
json_key(struct json_out *j, const char *key)
{
    GS_ASSERT(!j->after_key);
    GS_ASSERT(j->depth > 0);
    separate(j);
    put_quoted(j, gs_slice_str(key));
    put(j, ":", 1);
    j->after_key = true;
}

void
json_raw(struct json_out *j, struct gs_slice text)
{
    separate(j);
    put(j, text.ptr, text.len);
}

void
json_str(struct json_out *j, const char *s)
{
    if (!s)
        json_nil(j);
    else
        json_slice(j, gs_slice_str(s));
}

void
json_slice(struct json_out *j, struct gs_slice s)
{
    separate(j);
    put_quoted(j, s);
}

void
json_u64(struct json_out *j, uint64_t v)
{
    separate(j);
    (void)gs_buf_printf(j->out, "%" PRIu64, v);
}

void
json_i64(struct json_out *j, int64_t v)
{
    separate(j);
    (void)gs_buf_printf(j->out, "%" PRId64, v);
}

void
json_double(struct json_out *j, double v)
{
    char text[32];
    int len;

    if (!isfinite(v)) {
        json_nil(j);
        return;
    }
    if (v > 1e15 || v < -1e15) { /* beyond here thousandths are noise */
        separate(j);
        (void)gs_buf_printf(j->out, "%.17g", v);
        return;
    }
    len = snprintf(text, sizeof(text), "%.3f", v);
    GS_ASSERT(len > 4 && (size_t)len < sizeof(text));
    while (text[len - 1] == '0')
        len--;
    if (text[len - 1] == '.')
        len--;
    if (len == 2 && text[0] == '-' && text[1] == '0')
        json_raw(j, GS_SLICE("0"));
    else
        json_raw(j, gs_slice(text, (size_t)len));
}

void
json_bool(struct json_out *j, bool v)
{
    json_raw(j, v ? GS_SLICE("true") : GS_SLICE("false"));
}

void
json_nil(struct json_out *j)
{
    json_raw(j, GS_SLICE("null"));
}

void
json_kstr(struct json_out *j, const char *key, const char *v)
{
    json_key(j, key);
    json_str(j, v);
}

void
json_kslice(struct json_out *j, const char *key, struct gs_slice v)
{
    json_key(j, key);
    json_slice(j, v);
}

void
json_ku64(struct json_out *j, const char *key, uint64_t v)
{
    json_key(j, key);
    json_u64(j, v);
}

void
json_kdouble(struct json_out *j, const char *key, double v)
{
    json_key(j, key);
    json_double(j, v);
}

void
json_kbool(struct json_out *j, const char *key, bool v)
{
    json_key(j, key);
    json_bool(j, v);
}
