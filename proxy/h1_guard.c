/* h1_guard.c - the byte rules of the head policy (reference/reliability 3.4, rows 9-20, 23).
 *
 *   request   BLANK* METHOD ' ' TARGET ' ' VERSION CR LF   (FIELD)* CR LF
 *   answer    VERSION ' ' STATUS [' ' PHRASE] CR LF        (FIELD)* CR LF
 *   chunks    (SIZE [EXT] CR LF DATA CR LF)* 0 [EXT] CR LF (FIELD)* CR LF
 *
 * One state byte, so any split of the input gives the same answer. Values and data are skipped in
 * runs; everything else goes byte by byte. */
#include "proxy/h1_guard.h"

#include <stdio.h>

#include <gossamer/check.h>

enum guard_state {
    G_START,
    G_START_LF, /* after the CR of a blank line */
    G_METHOD,
    G_TARGET,
    G_VERSION, /* "HTTP/d.d", g->digits counts its bytes */
    G_STATUS,
    G_PHRASE,
    G_LINE_LF,
    G_FIELD_START,
    G_NAME,
    G_VALUE,
    G_FIELD_LF,
    G_END_LF, /* the LF of the last line */
    G_CHUNK_SIZE,
    G_CHUNK_EXT,
    G_CHUNK_LF,
    G_CHUNK_DATA,
    G_CHUNK_DATA_CR,
    G_CHUNK_DATA_LF,
    G_DONE,
};

static const unsigned char token_char[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1,         ['&'] = 1,         ['\''] = 1,
    ['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1,         ['^'] = 1,         ['_'] = 1,
    ['`'] = 1, ['|'] = 1, ['~'] = 1, ['0' ... '9'] = 1, ['a' ... 'z'] = 1, ['A' ... 'Z'] = 1,
};

static enum reason
bad(const struct h1_guard *g, struct gs_why *why, enum reason r, const char *text)
{
    snprintf(why->text, sizeof(why->text), "%s", text);
    if (!g->answers)
        return r;
    return r == REASON_HEAD_TOO_LARGE || r == REASON_LINE_TOO_LONG ? REASON_UPSTREAM_HEAD_LARGE
                                                                   : REASON_UPSTREAM_HEAD;
}

void
h1_guard_init(struct h1_guard *g, bool answers)
{
    *g = (struct h1_guard){ .state = G_START, .answers = answers };
}

bool
h1_guard_in_first_line(const struct h1_guard *g)
{
    return g->state <= G_LINE_LF;
}

/* Length of the run of bytes that are no control bytes (tab is fine). */
static size_t
clean_run(const char *p, size_t len)
{
    size_t i = 0;

    for (; i + 8 <= len; i += 8) {
        uint64_t w;
        uint64_t low, del;

        memcpy(&w, p + i, 8);
        low = (w - UINT64_C(0x2020202020202020)) & ~w; /* below 0x20 */
        del = w ^ UINT64_C(0x7f7f7f7f7f7f7f7f);        /* 0x7f */
        del = (del - UINT64_C(0x0101010101010101)) & ~del;
        if ((low | del) & UINT64_C(0x8080808080808080))
            break;
    }
    for (; i < len; i++) {
        unsigned char c = (unsigned char)p[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            break;
    }
    GS_ASSERT(i <= len);
    return i;
}

static bool
head_budget(struct h1_guard *g, size_t bytes)
{
    g->head_bytes += (uint32_t)bytes;
    return g->head_bytes <= HEAD_BYTES_MAX;
}

/* One byte of "HTTP/d.d". */
static enum reason
version_byte(struct h1_guard *g, char c, struct gs_why *why)
{
    static const char shape[] = "HTTP/0.0";
    unsigned at = g->digits++;

    GS_ASSERT(at < sizeof(shape) - 1); /* version_state() takes over behind it */
    if (at == 5 || at == 7) {
        if (c < '0' || c > '9')
            return bad(g, why, REASON_BAD_HEAD, "malformed HTTP version");
        if (at == 5 && c != '1')
            return bad(g, why, REASON_HTTP_VERSION, "HTTP version is not 1.x");
        g->minor = (uint8_t)(c - '0');
        return REASON_NONE;
    }
    if (c != shape[at])
        return bad(g, why, REASON_BAD_HEAD, "malformed HTTP version");
    return REASON_NONE;
}

static enum reason
start_byte(struct h1_guard *g, char c, struct gs_why *why)
{
    if (c == '\r') {
        if (g->answers || g->blank_lines++ >= HEAD_BLANK_LINES_MAX)
            return bad(g, why, REASON_BAD_HEAD, "blank lines before the first line");
        g->state = G_START_LF;
        return REASON_NONE;
    }
    g->line_bytes = 0;
    g->digits = 0;
    if (g->answers) {
        g->state = G_VERSION;
        return version_byte(g, c, why);
    }
    if (!token_char[(unsigned char)c])
        return bad(g, why, REASON_BAD_HEAD, "the request does not start with a method");
    g->state = G_METHOD;
    return REASON_NONE;
}

static enum reason
method_byte(struct h1_guard *g, char c, struct gs_why *why)
{
    if (c == ' ') {
        g->state = G_TARGET;
        g->seen_name = false;
    } else if (!token_char[(unsigned char)c]) {
        return bad(g, why, REASON_BAD_HEAD, "the method is not a token");
    }
    return REASON_NONE;
}

static enum reason
target_byte(struct h1_guard *g, char c, struct gs_why *why)
{
    if (c == ' ') {
        if (!g->seen_name)
            return bad(g, why, REASON_BAD_HEAD, "two blanks in the request line");
        g->state = G_VERSION;
        g->digits = 0;
        return REASON_NONE;
    }
    if (c == '\r' && g->seen_name)
        return bad(g, why, REASON_HTTP_VERSION, "no HTTP version in the request line");
    if (c <= 0x20 || c == 0x7f || c == '#') /* char is signed: bytes from 0x80 are below */
        return bad(g, why, REASON_BAD_HEAD, "a byte in the target that is not allowed there");
    g->seen_name = true;
    return REASON_NONE;
}

static enum reason
version_state(struct h1_guard *g, char c, struct gs_why *why)
{
    if (g->digits < 8)
        return version_byte(g, c, why);
    if (g->answers && c == ' ') {
        g->state = G_STATUS;
        g->digits = 0;
        return REASON_NONE;
    }
    if (!g->answers && c == '\r') {
        g->state = G_LINE_LF;
        return REASON_NONE;
    }
    return bad(g, why, REASON_BAD_HEAD, "malformed first line");
}

static enum reason
status_byte(struct h1_guard *g, char c, struct gs_why *why)
{
    GS_ASSERT(g->answers);
    if (g->digits < 3) {
        if (c < '0' || c > '9' || (g->digits == 0 && c == '0'))
            return bad(g, why, REASON_BAD_HEAD, "status is not three digits from 100");
        g->digits++;
        return REASON_NONE;
    }
    if (c == ' ')
        g->state = G_PHRASE;
    else if (c == '\r')
        g->state = G_LINE_LF;
    else
        return bad(g, why, REASON_BAD_HEAD, "status is not three digits from 100");
    return REASON_NONE;
}

static enum reason
field_start_byte(struct h1_guard *g, char c, struct gs_why *why)
{
    if (c == '\r') {
        g->state = G_END_LF;
        return REASON_NONE;
    }
    if (c == ' ' || c == '\t')
        return bad(g, why, REASON_BAD_HEAD, "a folded field");
    if (!token_char[(unsigned char)c])
        return bad(g, why, REASON_BAD_HEAD, "malformed field name");
    g->state = G_NAME;
    return REASON_NONE;
}

static enum reason
name_byte(struct h1_guard *g, char c, struct gs_why *why)
{
    if (c == ':')
        g->state = G_VALUE;
    else if (!token_char[(unsigned char)c])
        return bad(g, why, REASON_BAD_HEAD, "malformed field name");
    return REASON_NONE;
}

static enum reason
need_lf(struct h1_guard *g, char c, unsigned next, struct gs_why *why)
{
    if (c != '\n')
        return bad(g, why, REASON_BAD_HEAD, "CR without LF");
    g->state = (uint8_t)next;
    return REASON_NONE;
}

/* One byte of a head (or of trailers) outside the runs. */
static enum reason
head_byte(struct h1_guard *g, char c, struct gs_why *why)
{
    switch ((enum guard_state)g->state) {
    case G_START:
        return start_byte(g, c, why);
    case G_START_LF:
        return need_lf(g, c, G_START, why);
    case G_METHOD:
        return method_byte(g, c, why);
    case G_TARGET:
        return target_byte(g, c, why);
    case G_VERSION:
        return version_state(g, c, why);
    case G_STATUS:
        return status_byte(g, c, why);
    case G_PHRASE:
    case G_VALUE:
        if (c != '\r')
            return bad(g, why, REASON_BAD_HEAD,
                       c == '\n' ? "a line that ends in a bare LF" : "a control byte in a line");
        g->state = g->state == G_PHRASE ? G_LINE_LF : G_FIELD_LF;
        return REASON_NONE;
    case G_LINE_LF:
        return need_lf(g, c, G_FIELD_START, why);
    case G_FIELD_START:
        return field_start_byte(g, c, why);
    case G_NAME:
        return name_byte(g, c, why);
    case G_FIELD_LF:
        return need_lf(g, c, G_FIELD_START, why);
    case G_END_LF:
        return need_lf(g, c, G_DONE, why);
    default:
        GS_UNREACHABLE("guard state");
    }
}

static bool
in_run(const struct h1_guard *g)
{
    return g->state == G_VALUE || g->state == G_PHRASE;
}

static enum reason
check_line(struct h1_guard *g, size_t bytes, struct gs_why *why)
{
    if (!h1_guard_in_first_line(g))
        return REASON_NONE;
    g->line_bytes += (uint32_t)bytes;
    if (g->line_bytes > HEAD_LINE_MAX)
        return bad(g, why, REASON_LINE_TOO_LONG, "the request line is too long");
    return REASON_NONE;
}

enum reason
h1_guard_head(struct h1_guard *g, struct gs_slice bytes, size_t *used, bool *done, size_t *patch,
              struct gs_why *why)
{
    size_t i = 0;
    enum reason r = REASON_NONE;

    *patch = SIZE_MAX;
    *done = false;
    while (i < bytes.len && r == REASON_NONE && g->state != G_DONE) {
        size_t from = i;
        bool version = g->state == G_VERSION && g->digits == 7;
        bool first_line = g->state == G_LINE_LF;

        if (in_run(g))
            i += clean_run(bytes.ptr + i, bytes.len - i);
        if (i < bytes.len) {
            r = head_byte(g, bytes.ptr[i], why);
            if (version && g->minor > 1)
                *patch = i;
            i++;
        }
        if (r == REASON_NONE)
            r = check_line(g, i - from, why);
        if (r == REASON_NONE && !head_budget(g, i - from))
            r = bad(g, why, REASON_HEAD_TOO_LARGE, "the head is too large");
        if (first_line)
            break;
    }
    GS_ASSERT(i <= bytes.len);
    GS_ASSERT(*patch == SIZE_MAX || *patch < i);
    *used = i;
    *done = g->state == G_DONE;
    return r;
}

/* ---- chunked bodies ---- */

void
h1_guard_start_chunks(struct h1_guard *g)
{
    GS_ASSERT(g->state == G_DONE); /* with the head */
    g->state = G_CHUNK_SIZE;
    g->digits = 0;
    g->left = 0;
    g->ext_bytes = 0;
    g->head_bytes = 0; /* counts trailers from here on */
}

static enum reason
bad_chunk(const struct h1_guard *g, struct gs_why *why, const char *text)
{
    snprintf(why->text, sizeof(why->text), "%s", text);
    return g->answers ? REASON_UPSTREAM_FRAMING : REASON_BAD_FRAMING;
}

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum reason
chunk_size_byte(struct h1_guard *g, char c, struct gs_why *why)
{
    int v = hex_value(c);

    if (v >= 0) {
        if (g->digits++ >= CHUNK_SIZE_DIGITS_MAX || g->left > (UINT64_MAX >> 5))
            return bad_chunk(g, why, "chunk size too long");
        g->left = g->left * 16 + (uint64_t)v;
        return REASON_NONE;
    }
    if (g->digits == 0)
        return bad_chunk(g, why, "chunk size is not hexadecimal");
    if (c == '\r')
        g->state = G_CHUNK_LF;
    else if (c == ';')
        g->state = G_CHUNK_EXT;
    else
        return bad_chunk(g, why, "chunk size is not hexadecimal");
    return REASON_NONE;
}

static enum reason
chunk_ext_byte(struct h1_guard *g, char c, struct gs_why *why)
{
    if (c == '\r') {
        g->state = G_CHUNK_LF;
        return REASON_NONE;
    }
    if ((c < 0x20 && c >= 0 && c != '\t') || c == 0x7f)
        return bad_chunk(g, why, "a control byte in a chunk extension");
    if (++g->ext_bytes > CHUNK_EXT_BYTES_MAX)
        return bad_chunk(g, why, "chunk extensions are too long");
    return REASON_NONE;
}

static enum reason
chunk_lf_byte(struct h1_guard *g, char c, struct gs_why *why)
{
    if (c != '\n')
        return bad_chunk(g, why, "CR without LF in a chunk line");
    g->state = g->left > 0 ? G_CHUNK_DATA : G_FIELD_START;
    return REASON_NONE;
}

static enum reason
chunk_byte(struct h1_guard *g, char c, struct gs_why *why)
{
    enum reason r;

    switch ((enum guard_state)g->state) {
    case G_CHUNK_SIZE:
        return chunk_size_byte(g, c, why);
    case G_CHUNK_EXT:
        return chunk_ext_byte(g, c, why);
    case G_CHUNK_LF:
        return chunk_lf_byte(g, c, why);
    case G_CHUNK_DATA_CR:
        g->state = G_CHUNK_DATA_LF;
        return c == '\r' ? REASON_NONE : bad_chunk(g, why, "bytes after chunk data");
    case G_CHUNK_DATA_LF:
        g->state = G_CHUNK_SIZE;
        g->digits = 0;
        return c == '\n' ? REASON_NONE : bad_chunk(g, why, "bytes after chunk data");
    default:                      /* trailers */
        r = head_byte(g, c, why); /* fills why */
        if (r != REASON_NONE)
            return g->answers ? REASON_UPSTREAM_FRAMING : REASON_BAD_FRAMING;
        if (++g->head_bytes > TRAILER_BYTES_MAX)
            return bad_chunk(g, why, "trailers are too large");
        return REASON_NONE;
    }
}

/* What the next byte belongs to. */
static enum h1_run
run_of(const struct h1_guard *g, char c)
{
    switch ((enum guard_state)g->state) {
    case G_CHUNK_SIZE:
        return c == ';' ? H1_RUN_EXTENSION : H1_RUN_FRAMING;
    case G_CHUNK_EXT:
        return c == '\r' ? H1_RUN_FRAMING : H1_RUN_EXTENSION;
    case G_CHUNK_LF:
    case G_CHUNK_DATA:
    case G_CHUNK_DATA_CR:
    case G_CHUNK_DATA_LF:
        return H1_RUN_FRAMING;
    default:
        return H1_RUN_TRAILERS;
    }
}

/* Skip what needs no look byte by byte; returns how much. */
static size_t
skip_run(struct h1_guard *g, const char *p, size_t len)
{
    size_t n;

    if (g->state == G_CHUNK_DATA) {
        GS_ASSERT(g->left > 0);
        n = len < g->left ? len : (size_t)g->left;
        g->left -= n;
        if (g->left == 0)
            g->state = G_CHUNK_DATA_CR;
        return n;
    }
    if (!in_run(g))
        return 0;
    n = clean_run(p, len);
    g->head_bytes += (uint32_t)n;
    return n;
}

enum reason
h1_guard_chunks(struct h1_guard *g, struct gs_slice bytes, size_t *used, enum h1_run *run,
                bool *done, struct gs_why *why)
{
    size_t i = 0;
    enum reason r = REASON_NONE;

    GS_ASSERT(bytes.len > 0);
    *run = run_of(g, bytes.ptr[0]);
    while (i < bytes.len && r == REASON_NONE && g->state != G_DONE &&
           run_of(g, bytes.ptr[i]) == *run) {
        size_t skipped = skip_run(g, bytes.ptr + i, bytes.len - i);

        i += skipped;
        if (skipped == 0)
            r = chunk_byte(g, bytes.ptr[i++], why);
    }
    if (r == REASON_NONE && g->head_bytes > TRAILER_BYTES_MAX)
        r = bad_chunk(g, why, "trailers are too large");
    GS_ASSERT(i > 0); /* whoever feeds us gets on */
    GS_ASSERT(i <= bytes.len);
    *used = i;
    *done = g->state == G_DONE;
    return r;
}
