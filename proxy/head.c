/* head.c - judging a parsed head: the rows of the head policy that look at fields. What looks at
 * bytes (folding, control bytes, the request line) is h1_guard.c's. Start at head_judge_request. */
#include <gossamer/head.h>

#include <stdio.h>

#include <gossamer/alloc.h>
#include <gossamer/check.h>

static const struct {
    struct gs_slice name;
    enum field_id id;
} known[] = {
    { { "te", 2 }, FIELD_TE },
    { { "host", 4 }, FIELD_HOST },
    { { "expect", 6 }, FIELD_EXPECT },
    { { "upgrade", 7 }, FIELD_UPGRADE },
    { { "trailer", 7 }, FIELD_TRAILER },
    { { "connection", 10 }, FIELD_CONNECTION },
    { { "keep-alive", 10 }, FIELD_KEEP_ALIVE },
    { { "x-request-id", 12 }, FIELD_X_REQUEST_ID },
    { { "content-length", 14 }, FIELD_CONTENT_LENGTH },
    { { "content_length", 14 }, FIELD_FRAMING_TWIN },
    { { "http2-settings", 14 }, FIELD_HTTP2_SETTINGS },
    { { "proxy-connection", 16 }, FIELD_PROXY_CONNECTION },
    { { "transfer-encoding", 17 }, FIELD_TRANSFER_ENCODING },
    { { "transfer_encoding", 17 }, FIELD_FRAMING_TWIN },
    { { "proxy-authenticate", 18 }, FIELD_PROXY_AUTHENTICATE },
    { { "proxy-authorization", 19 }, FIELD_PROXY_AUTHORIZATION },
};

enum field_id
field_id_of(struct gs_slice name)
{
    /* Most fields are none of ours: their length or first letter says so at once. */
    for (size_t i = 0; i < GS_COUNT(known); i++) {
        if (known[i].name.len == name.len && (known[i].name.ptr[0] | 32) == (name.ptr[0] | 32) &&
            gs_slice_eq_nocase(known[i].name, name))
            return known[i].id;
    }
    if (name.len > 9 && (name.ptr[0] | 32) == 'g' &&
        gs_slice_eq_nocase(gs_slice_head(name, 9), GS_SLICE("gossamer-")))
        return FIELD_GOSSAMER;
    return FIELD_OTHER;
}

const struct field *
head_find(const struct head *h, struct gs_slice name)
{
    for (size_t i = 0; i < h->count; i++) {
        if (gs_slice_eq_nocase(h->fields[i].name, name))
            return &h->fields[i];
    }
    return NULL;
}

void
head_keep(struct head *h, struct gs_arena *arena)
{
    struct field *fields = gs_arena_alloc(arena, h->count * sizeof(*fields));

    GS_ASSERT(h->count <= HEAD_FIELDS_MAX);
    h->method = gs_arena_copy(arena, h->method);
    h->target = gs_arena_copy(arena, h->target);
    h->authority = gs_arena_copy(arena, h->authority);
    h->path = gs_arena_copy(arena, h->path);
    h->phrase = gs_arena_copy(arena, h->phrase);
    for (size_t i = 0; i < h->count; i++) {
        fields[i] = h->fields[i];
        fields[i].name = gs_arena_copy(arena, fields[i].name);
        fields[i].value = gs_arena_copy(arena, fields[i].value);
    }
    h->fields = fields;
}

/* ---- authority ---- */

static bool
host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
           c == '~' || c == '!' || c == '$' || c == '&' || c == '\'' || c == '(' || c == ')' ||
           c == '*' || c == '+' || c == ';' || c == '=' || c == '%';
}

/* The end of the host part: the colon of a port, or the whole length. 0: malformed. */
static size_t
host_end(struct gs_slice a)
{
    size_t at = 0;

    if (a.len > 0 && a.ptr[0] == '[') { /* an IPv6 literal */
        ptrdiff_t close = gs_slice_find(a, ']');

        if (close < 3)
            return 0;
        for (ptrdiff_t i = 1; i < close; i++) {
            char c = (char)(a.ptr[i] | 32);

            if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || a.ptr[i] == ':' ||
                  a.ptr[i] == '.'))
                return 0;
        }
        return (size_t)close + 1;
    }
    while (at < a.len && a.ptr[at] != ':') {
        char c = a.ptr[at] >= 'A' && a.ptr[at] <= 'Z' ? (char)(a.ptr[at] | 32) : a.ptr[at];

        if (!host_char(c))
            return 0;
        at++;
    }
    return at;
}

bool
head_split_authority(struct gs_slice a, char *out, size_t *len, uint16_t *port)
{
    size_t end = host_end(a);
    uint64_t number = 80;

    if (end == 0 || end > HOST_BYTES_MAX)
        return false;
    if (end < a.len) {
        struct gs_slice digits = gs_slice_from(a, end + 1);

        if (a.ptr[end] != ':')
            return false;
        /* "host:" with nothing behind is legal (RFC 3986 3.2.3) and means the default. */
        if (digits.len > 5 || (digits.len > 0 && !gs_slice_to_u64(digits, &number)))
            return false;
        if (number == 0 || number > 65535)
            return false;
    }
    for (size_t i = 0; i < end; i++)
        out[i] = a.ptr[i] >= 'A' && a.ptr[i] <= 'Z' ? (char)(a.ptr[i] | 32) : a.ptr[i];
    if (end > 1 && out[end - 1] == '.') /* a rooted name is the same name */
        end--;
    GS_ASSERT(end > 0);
    GS_ASSERT(end <= HOST_BYTES_MAX); /* out has one byte more */
    GS_ASSERT(number > 0 && number <= UINT16_MAX);
    out[end] = '\0';
    *len = end;
    *port = (uint16_t)number;
    return true;
}

/* ---- one pass over the fields ---- */

struct facts { /* what the fields say, before it is judged */
    const struct field *host, *length, *coding, *upgrade;
    unsigned hosts, lengths, codings;
    bool twin;
};

static bool
token_is(struct gs_slice t, const char *word)
{
    return gs_slice_eq_nocase(t, gs_slice_str(word));
}

static void
drop_named(struct head *h, struct gs_slice name)
{
    for (size_t i = 0; i < h->count; i++) {
        if (gs_slice_eq_nocase(h->fields[i].name, name))
            h->fields[i].dropped = true;
    }
}

/* Connection: its own words, and names of further fields that are for this hop only. False when
 * it names a field that framing or routing rests on. */
static bool
read_connection(struct head *h, struct gs_slice value)
{
    struct gs_slice part;

    while (gs_slice_cut(&value, ',', &part)) {
        part = gs_slice_trim(part);
        if (part.len == 0)
            continue;
        if (token_is(part, "close"))
            h->keep_alive = false;
        else if (token_is(part, "keep-alive"))
            h->keep_alive = h->keep_alive || h->minor == 0;
        else if (token_is(part, "content-length") || token_is(part, "transfer-encoding") ||
                 token_is(part, "host"))
            return false;
        else
            drop_named(h, part);
    }
    return true;
}

static bool
says_close(const struct head *h)
{
    for (size_t i = 0; i < h->count; i++) {
        struct gs_slice value = h->fields[i].value;
        struct gs_slice part;

        if (h->fields[i].id != FIELD_CONNECTION)
            continue;
        while (gs_slice_cut(&value, ',', &part)) {
            if (token_is(gs_slice_trim(part), "close"))
                return true;
        }
    }
    return false;
}

static bool
has_token(struct gs_slice value, const char *word)
{
    struct gs_slice part;

    while (gs_slice_cut(&value, ',', &part)) {
        if (token_is(gs_slice_trim(part), word))
            return true;
    }
    return false;
}

static void
gather_one(struct head *h, struct field *f, struct facts *facts)
{
    switch (f->id) {
    case FIELD_HOST:
        facts->host = f;
        facts->hosts++;
        break;
    case FIELD_CONTENT_LENGTH:
        facts->length = f;
        facts->lengths++;
        f->dropped = true;
        break;
    case FIELD_TRANSFER_ENCODING:
        facts->coding = f;
        facts->codings++;
        f->dropped = true;
        break;
    case FIELD_FRAMING_TWIN:
        facts->twin = true;
        break;
    case FIELD_UPGRADE:
        facts->upgrade = f;
        f->dropped = true;
        break;
    case FIELD_TE:
        h->te_trailers = has_token(f->value, "trailers");
        f->dropped = true;
        break;
    case FIELD_EXPECT:
        h->expects_100 = token_is(f->value, "100-continue");
        break;
    case FIELD_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_PROXY_AUTHORIZATION:
    case FIELD_HTTP2_SETTINGS:
    case FIELD_GOSSAMER:
        f->dropped = true;
        break;
    case FIELD_TRAILER:
    case FIELD_PROXY_AUTHENTICATE:
    case FIELD_X_REQUEST_ID:
    case FIELD_OTHER:
        break;
    }
}

/* False: a Connection field names what it must not. */
static bool
gather(struct head *h, struct facts *facts)
{
    bool sane = true;

    h->keep_alive = h->minor >= 1;
    for (size_t i = 0; i < h->count; i++)
        gather_one(h, &h->fields[i], facts);
    for (size_t i = 0; i < h->count; i++) {
        if (h->fields[i].id == FIELD_CONNECTION)
            sane = read_connection(h, h->fields[i].value) && sane;
    }
    /* Names of dropped fields may have hit these; they are never hop by hop. */
    if (says_close(h))
        h->keep_alive = false;
    return sane;
}

static enum reason
refuse(struct gs_why *why, enum reason r, const char *text)
{
    snprintf(why->text, sizeof(why->text), "%s", text);
    return r;
}

/* ---- framing ---- */

static bool
coding_known(struct gs_slice c)
{
    static const char *const words[] = { "gzip",     "x-gzip",     "deflate",
                                         "compress", "x-compress", "identity" };

    for (size_t i = 0; i < GS_COUNT(words); i++) {
        if (token_is(c, words[i]))
            return true;
    }
    return false;
}

/* Transfer-Encoding is `chunked` and nothing else, or refused. */
static enum reason
judge_coding(struct gs_slice value, struct gs_why *why)
{
    struct gs_slice rest = value;
    struct gs_slice part;
    struct gs_slice last = GS_SLICE_NONE;
    unsigned count = 0;
    bool unknown = false;

    if (value.len == 0)
        return refuse(why, REASON_BAD_HEAD, "empty Transfer-Encoding");
    while (gs_slice_cut(&rest, ',', &part)) {
        last = gs_slice_trim(part);
        count++;
        if (last.len == 0)
            return refuse(why, REASON_BAD_HEAD, "empty element in Transfer-Encoding");
        unknown = unknown || (!token_is(last, "chunked") && !coding_known(last));
    }
    if (value.ptr[value.len - 1] == ',')
        return refuse(why, REASON_BAD_HEAD, "empty element in Transfer-Encoding");
    if (unknown)
        return refuse(why, REASON_UNKNOWN_CODING, "transfer coding not known");
    if (!token_is(last, "chunked"))
        return refuse(why, REASON_BAD_HEAD, "the last transfer coding is not chunked");
    if (count > 1)
        return refuse(why, REASON_UNKNOWN_CODING, "a transfer coding before chunked");
    return REASON_NONE;
}

static enum reason
judge_framing(struct head *h, const struct facts *f, struct gs_why *why)
{
    if (f->twin)
        return refuse(why, REASON_BAD_HEAD, "a field that imitates a framing field");
    if (f->codings > 0 && f->lengths > 0)
        return refuse(why, REASON_BAD_HEAD, "Transfer-Encoding with Content-Length");
    if (f->codings > 1)
        return refuse(why, REASON_BAD_HEAD, "two Transfer-Encoding fields");
    if (f->lengths > 1)
        return refuse(why, REASON_BAD_HEAD, "two Content-Length fields");
    if (f->codings > 0) {
        if (h->minor == 0)
            return refuse(why, REASON_BAD_HEAD, "Transfer-Encoding in HTTP/1.0");
        GS_ASSERT(f->coding);
        h->framing = FRAMING_CHUNKED;
        return judge_coding(f->coding->value, why);
    }
    if (f->lengths > 0) {
        GS_ASSERT(f->length);
        if (!gs_slice_to_u64(f->length->value, &h->length) || h->length > INT64_MAX)
            return refuse(why, REASON_BAD_HEAD, "Content-Length is not a number");
        h->has_length = true;
        h->framing = FRAMING_LENGTH;
    }
    return REASON_NONE;
}

/* ---- requests ---- */

static bool
method_idempotent(struct gs_slice m)
{
    static const struct gs_slice words[] = { { "GET", 3 },    { "HEAD", 4 },    { "PUT", 3 },
                                             { "DELETE", 6 }, { "OPTIONS", 7 }, { "TRACE", 5 } };

    for (size_t i = 0; i < GS_COUNT(words); i++) {
        if (gs_slice_eq(words[i], m))
            return true;
    }
    return false;
}

/* "http://host:port/path": authority and path. The scheme's default port stays out of it. */
static bool
split_absolute(struct head *h, size_t scheme_len)
{
    struct gs_slice rest = gs_slice_from(h->target, scheme_len);
    size_t end = 0;

    while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?')
        end++;
    GS_ASSERT(end <= rest.len);
    h->authority = gs_slice_head(rest, end);
    h->path = gs_slice_from(rest, end);
    if (h->path.len == 0)
        h->path = GS_SLICE("/");
    return end > 0;
}

static enum reason
judge_target(struct head *h, struct gs_why *why)
{
    static const struct gs_slice http = { "http://", 7 };

    if (gs_slice_eq(h->method, GS_SLICE("CONNECT")))
        return refuse(why, REASON_NOT_OFFERED, "CONNECT is not offered here");
    if (h->target.ptr[0] == '/') {
        h->path = h->target;
        return REASON_NONE;
    }
    if (gs_slice_eq(h->target, GS_SLICE("*"))) {
        if (gs_slice_eq(h->method, GS_SLICE("OPTIONS")))
            return refuse(why, REASON_NOT_OFFERED, "OPTIONS * is not offered here");
        return refuse(why, REASON_BAD_HEAD, "the target * is for OPTIONS only");
    }
    if (h->target.len > http.len && gs_slice_eq_nocase(gs_slice_head(h->target, http.len), http) &&
        split_absolute(h, http.len))
        return REASON_NONE;
    return refuse(why, REASON_BAD_HEAD, "the target is neither a path nor an http:// address");
}

static enum reason
judge_host(struct head *h, const struct facts *f, struct gs_why *why)
{
    char host[HOST_BYTES_MAX + 1];
    size_t len;
    uint16_t port;

    if (f->hosts > 1)
        return refuse(why, REASON_BAD_HEAD, "two Host fields");
    if (f->hosts == 0 && h->minor >= 1)
        return refuse(why, REASON_BAD_HEAD, "no Host field");
    if (f->hosts == 1 && !head_split_authority(f->host->value, host, &len, &port))
        return refuse(why, REASON_BAD_HEAD, "malformed Host");
    if (h->authority.len == 0 && f->hosts == 1)
        h->authority = f->host->value;
    if (h->authority.len > 0 && !head_split_authority(h->authority, host, &len, &port))
        return refuse(why, REASON_BAD_HEAD, "malformed authority in the target");
    return REASON_NONE;
}

static enum reason
judge_upgrade(struct head *h, const struct facts *f, struct gs_why *why)
{
    struct gs_slice rest;
    struct gs_slice part;

    if (!f->upgrade)
        return REASON_NONE;
    rest = f->upgrade->value;
    while (gs_slice_cut(&rest, ',', &part)) {
        if (!token_is(gs_slice_trim(part), "h2c"))
            h->upgrade_asked = true;
    }
    if (h->upgrade_asked && (h->framing == FRAMING_CHUNKED || h->length > 0))
        return refuse(why, REASON_BAD_HEAD, "Upgrade with a body");
    return REASON_NONE;
}

enum reason
head_judge_request(struct head *h, struct gs_why *why)
{
    struct facts f = { 0 };
    enum reason r;

    GS_ASSERT(h->method.len > 0);
    GS_ASSERT(h->target.len > 0);
    h->is_request = true;
    h->framing = FRAMING_NONE;
    h->is_head = gs_slice_eq(h->method, GS_SLICE("HEAD"));
    h->idempotent = method_idempotent(h->method);
    if (!gather(h, &f))
        return refuse(why, REASON_BAD_HEAD, "Connection names a field it must not");
    if ((r = judge_target(h, why)) != REASON_NONE)
        return r;
    if ((r = judge_host(h, &f, why)) != REASON_NONE)
        return r;
    if ((r = judge_framing(h, &f, why)) != REASON_NONE)
        return r;
    GS_ASSERT(h->path.len > 0);
    GS_ASSERT(h->framing != FRAMING_CLOSE); /* a request has no such end */
    GS_ASSERT(h->framing != FRAMING_LENGTH || h->has_length);
    return judge_upgrade(h, &f, why);
}

/* ---- answers ---- */

enum reason
head_judge_answer(struct head *h, const struct head_context *ctx, struct gs_why *why)
{
    struct facts f = { 0 };

    h->is_request = false;
    h->framing = FRAMING_NONE;
    if (h->status < 100 || h->status > 999)
        return refuse(why, REASON_UPSTREAM_HEAD, "status is not three digits from 100");
    if (!gather(h, &f))
        return refuse(why, REASON_UPSTREAM_HEAD, "Connection names a field it must not");
    if (judge_framing(h, &f, why) != REASON_NONE)
        return REASON_UPSTREAM_HEAD;
    if (h->status == 101 && !ctx->upgrade_allowed)
        return refuse(why, REASON_UPSTREAM_UPGRADE, "upstream switched protocols unasked");
    if (h->status < 200 || h->status == 204) {
        h->framing = FRAMING_NONE;
        h->has_length = false;
        h->length = 0;
    } else if (h->status == 304 || ctx->request_is_head) {
        h->framing = FRAMING_NONE; /* has_length stays: it is told, without a body */
    } else if (f.codings == 0 && f.lengths == 0) {
        h->framing = FRAMING_CLOSE;
        h->keep_alive = false;
    }
    GS_ASSERT(h->framing == FRAMING_NONE || !ctx->request_is_head);
    GS_ASSERT(h->framing != FRAMING_LENGTH || h->has_length);
    return REASON_NONE;
}

void
head_judge_trailers(struct head *t)
{
    for (size_t i = 0; i < t->count; i++) {
        switch (t->fields[i].id) {
        case FIELD_OTHER:
        case FIELD_X_REQUEST_ID:
            break;
        default:
            t->fields[i].dropped = true;
        }
    }
}
