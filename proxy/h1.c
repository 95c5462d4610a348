/* h1.c - the home of llhttp. Each read goes through the guard, then through llhttp, whose spans
 * become the fields of a head; a head that straddles reads is copied once. Bodies with a length or
 * until close pass by the parser; chunked ones go through both.
 *
 *   HEAD ──judged──▶ LENGTH | CHUNKS | CLOSE ──▶ DONE ──h1_next──▶ HEAD
 *     └── no body ─────────────────────────────▶
 */
#include <gossamer/h1.h>

#include <assert.h>
#include <stdio.h>

#include <llhttp.h>

#include <gossamer/alloc.h>
#include <gossamer/check.h>

#include "proxy/h1_guard.h"

enum h1_state { H1_HEAD, H1_LENGTH, H1_CHUNKS, H1_CLOSE, H1_DONE };

/* What a head in the making needs; lent from the pool only while there is one. */
struct h1_store {
    struct h1_store *next;
    struct gs_arena arena;
    struct gs_slice *span; /* in the making, or NULL */
    size_t span_cap;       /* of the arena piece it lies in; 0: it is borrowed */
    size_t kept;           /* fields before this one are no longer borrowed */
    size_t names_kept;     /* nor are the names before this one */
    bool line_kept;
    bool too_many;
    struct gs_slice trailers; /* their lines, gathered */
    struct head head;
    struct field fields[HEAD_FIELDS_MAX];
};

#define STORES_KEPT_MAX 16

struct h1_pool {
    struct h1_store *free;
    unsigned free_count;
    struct gs_buf buf; /* heads on their way out */
};

#define POOL_BUF_KEPT 16384

struct codec { /* lies in struct h1 */
    llhttp_t parser;
    struct h1_guard guard;
    struct h1_pool *pool;
    struct h1_store *store;
    const struct h1_sink_ops *ops;
    void *sink;
    struct gs_why *why; /* of the present feed */
    uint64_t left;      /* H1_LENGTH */
    uint8_t state;
    uint8_t role;
    uint8_t interim; /* 1xx seen for this request */
    uint8_t refused; /* enum reason set inside a callback */
    uint8_t doomed;  /* the parser gave up in the first line; the guard reads it to its end */
    bool request_is_head;
    bool complete; /* llhttp saw the end of the message */
    bool started;  /* a byte of this message was seen */
    bool in_line;  /* the bytes now parsed are of the first line */
};

static_assert(sizeof(struct codec) <= H1_BYTES, "H1_BYTES");
static_assert(REASON_COUNT < 256, "a reason fits a byte");

static struct codec *
codec_of(struct h1 *c)
{
    return (struct codec *)(void *)c->opaque;
}

/* ---- storage ---- */

struct h1_pool *
h1_pool_new(void)
{
    struct h1_pool *p = gs_zalloc(sizeof(*p));

    gs_buf_init(&p->buf, HEAD_BYTES_MAX * 4);
    return p;
}

struct gs_buf *
h1_pool_buf(struct h1_pool *p)
{
    if (p->buf.cap > POOL_BUF_KEPT) { /* an odd, huge head: give its memory back */
        gs_buf_fini(&p->buf);
        gs_buf_init(&p->buf, HEAD_BYTES_MAX * 4);
    }
    gs_buf_clear(&p->buf);
    return &p->buf;
}

void
h1_pool_free(struct h1_pool *p)
{
    if (!p)
        return;
    while (p->free) {
        struct h1_store *s = p->free;

        p->free = s->next;
        gs_free(s);
    }
    gs_buf_fini(&p->buf);
    gs_free(p);
}

static struct h1_store *
store_take(struct codec *c)
{
    struct h1_pool *p = c->pool;
    struct h1_store *s = p->free;

    GS_ASSERT(!c->store);
    if (s) {
        GS_ASSERT(p->free_count > 0);
        p->free = s->next;
        p->free_count--;
    } else {
        s = gs_alloc(sizeof(*s));
    }
    gs_arena_init(&s->arena, NULL, 0, 2048);
    s->span = NULL;
    s->span_cap = 0;
    s->kept = s->names_kept = 0;
    s->line_kept = s->too_many = false;
    s->trailers = GS_SLICE_NONE;
    memset(&s->head, 0, sizeof(s->head));
    s->head.fields = s->fields;
    c->store = s;
    return s;
}

static void
store_give(struct codec *c)
{
    struct h1_pool *p = c->pool;
    struct h1_store *s = c->store;

    if (!s)
        return;
    gs_arena_fini(&s->arena);
    c->store = NULL;
    if (p->free_count >= STORES_KEPT_MAX) {
        gs_free(s);
        return;
    }
    s->next = p->free;
    p->free = s;
    p->free_count++;
}

/* ---- spans ---- */

/* Move a span into arena memory with room to grow, so that bytes dribbling in one at a time cost
 * a constant each. */
static void
span_own(struct h1_store *s, struct gs_slice *span, size_t room)
{
    char *p = gs_arena_bytes(&s->arena, room);

    GS_ASSERT(span->len <= room);
    if (span->len > 0)
        memcpy(p, span->ptr, span->len);
    span->ptr = p;
    s->span_cap = room;
}

static void
span_add(struct h1_store *s, struct gs_slice *span, const char *at, size_t len)
{
    if (s->span != span) {
        s->span = span;
        s->span_cap = 0;
    }
    if (!span->ptr) {
        *span = gs_slice(at, len);
        return;
    }
    if (s->span_cap == 0 && span->ptr + span->len == at) {
        span->len += len;
        return;
    }
    if (span->len + len > s->span_cap)
        span_own(s, span, (span->len + len) * 2 + 64);
    GS_ASSERT(span->len + len <= s->span_cap);
    memcpy((char *)(uintptr_t)span->ptr + span->len, at, len);
    span->len += len;
}

static void
span_keep(struct h1_store *s, struct gs_slice *span)
{
    if (!span->ptr)
        return;
    if (s->span == span) {
        if (s->span_cap == 0)
            span_own(s, span, span->len * 2 + 64);
        return;
    }
    *span = gs_arena_copy(&s->arena, *span);
}

/* The read ends inside a head: what is still borrowed from it is copied. */
static void
keep_spans(struct h1_store *s)
{
    struct head *h = &s->head;

    if (!s->line_kept) {
        span_keep(s, &h->method);
        span_keep(s, &h->target);
        span_keep(s, &h->phrase);
        s->line_kept = h->count > 0;
    }
    for (size_t i = s->kept; i < h->count; i++) {
        if (i >= s->names_kept) /* once: a name of 32 KiB before a dribbled value */
            span_keep(s, &h->fields[i].name);
        span_keep(s, &h->fields[i].value);
    }
    GS_ASSERT(s->kept <= h->count);
    GS_ASSERT(s->names_kept <= h->count);
    s->names_kept = h->count;
    /* The last one may still be growing. */
    s->kept = h->count > 0 ? h->count - 1 : 0;
}

/* ---- llhttp callbacks ---- */

static struct codec *
codec_at(llhttp_t *p)
{
    return GS_CONTAINER(p, struct codec, parser);
}

static int
on_method(llhttp_t *p, const char *at, size_t len)
{
    struct codec *c = codec_at(p);

    span_add(c->store, &c->store->head.method, at, len);
    return 0;
}

static int
on_url(llhttp_t *p, const char *at, size_t len)
{
    struct codec *c = codec_at(p);

    span_add(c->store, &c->store->head.target, at, len);
    return 0;
}

static int
on_status(llhttp_t *p, const char *at, size_t len)
{
    struct codec *c = codec_at(p);

    span_add(c->store, &c->store->head.phrase, at, len);
    return 0;
}

static int
on_field(llhttp_t *p, const char *at, size_t len)
{
    struct codec *c = codec_at(p);
    struct h1_store *s = c->store;
    struct head *h = &s->head;

    /* A name after a value (or the first) begins a field. */
    if (h->count == 0 || h->fields[h->count - 1].value.ptr) {
        if (h->count == HEAD_FIELDS_MAX) {
            s->too_many = true;
            return -1;
        }
        h->fields[h->count++] = (struct field){ 0 };
    }
    span_add(s, &h->fields[h->count - 1].name, at, len);
    return 0;
}

static int
on_value(llhttp_t *p, const char *at, size_t len)
{
    struct codec *c = codec_at(p);
    struct h1_store *s = c->store;

    GS_ASSERT(s->head.count > 0);
    span_add(s, &s->head.fields[s->head.count - 1].value, at, len);
    return 0;
}

static int
on_value_complete(llhttp_t *p)
{
    struct codec *c = codec_at(p);
    struct field *f = &c->store->head.fields[c->store->head.count - 1];

    GS_ASSERT(c->store->head.count > 0);
    if (!f->value.ptr)
        f->value = GS_SLICE(""); /* an empty value is a value */
    f->value = gs_slice_trim(f->value);
    f->id = field_id_of(f->name);
    c->store->span = NULL;
    return 0;
}

static int
on_head(llhttp_t *p)
{
    struct codec *c = codec_at(p);
    struct head *h = &c->store->head;
    struct head_context ctx = { .request_is_head = c->request_is_head };

    GS_ASSERT(c->state == H1_HEAD);
    GS_ASSERT(h->count <= HEAD_FIELDS_MAX);
    h->minor = c->guard.minor == 0 ? 0 : 1;
    if (c->role == H1_REQUESTS) {
        c->refused = (uint8_t)head_judge_request(h, c->why);
    } else {
        h->status = (unsigned)p->status_code;
        c->refused = (uint8_t)head_judge_answer(h, &ctx, c->why);
    }
    if (c->refused != REASON_NONE)
        return -1;
    return h->framing == FRAMING_CHUNKED ? 0 : 1; /* 1: the parser looks for no body */
}

static int
on_body(llhttp_t *p, const char *at, size_t len)
{
    struct codec *c = codec_at(p);

    GS_ASSERT(c->state == H1_CHUNKS); /* other bodies pass it by */
    c->ops->data(c->sink, gs_slice(at, len));
    return 0;
}

static int
on_complete(llhttp_t *p)
{
    codec_at(p)->complete = true;
    return 0;
}

static const llhttp_settings_t settings = {
    .on_method = on_method,
    .on_url = on_url,
    .on_status = on_status,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

/* ---- life ---- */

static void
message_start(struct codec *c)
{
    llhttp_init(&c->parser, c->role == H1_REQUESTS ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
    h1_guard_init(&c->guard, c->role == H1_ANSWERS);
    c->state = H1_HEAD;
    c->complete = false;
    c->started = c->in_line = false;
    c->refused = c->doomed = REASON_NONE;
}

void
h1_init(struct h1 *h, enum h1_role role, struct h1_pool *pool, const struct h1_sink_ops *ops,
        void *sink)
{
    struct codec *c = codec_of(h);

    memset(c, 0, sizeof(*c));
    c->role = (uint8_t)role;
    c->pool = pool;
    c->ops = ops;
    c->sink = sink;
    message_start(c);
}

void
h1_fini(struct h1 *h)
{
    store_give(codec_of(h));
}

void
h1_expect(struct h1 *h, bool request_is_head)
{
    struct codec *c = codec_of(h);

    GS_ASSERT(c->role == H1_ANSWERS);
    c->request_is_head = request_is_head;
    c->interim = 0;
}

void
h1_next(struct h1 *h)
{
    struct codec *c = codec_of(h);

    GS_ASSERT(c->state == H1_DONE);
    store_give(c);
    message_start(c);
}

bool
h1_done(const struct h1 *h)
{
    return ((const struct codec *)(const void *)h->opaque)->state == H1_DONE;
}

/* ---- feeding ---- */

static enum reason
refuse(struct codec *c, enum reason r, const char *text)
{
    snprintf(c->why->text, sizeof(c->why->text), "%s", text);
    if (c->role == H1_ANSWERS)
        r = r == REASON_BAD_FRAMING      ? REASON_UPSTREAM_FRAMING
            : r == REASON_HEAD_TOO_LARGE ? REASON_UPSTREAM_HEAD_LARGE
                                         : REASON_UPSTREAM_HEAD;
    return r;
}

/* llhttp over bytes that the guard has passed. */
static enum reason
parse(struct codec *c, const char *p, size_t len)
{
    llhttp_errno_t e;

    if (len == 0 || c->doomed != REASON_NONE)
        return REASON_NONE;
    e = llhttp_execute(&c->parser, p, len);
    if (e == HPE_OK || e == HPE_PAUSED_UPGRADE) /* an Upgrade that we strip: the message is over */
        return REASON_NONE;
    if (c->refused != REASON_NONE)
        return (enum reason)c->refused;
    if (c->store && c->store->too_many)
        return refuse(c, REASON_HEAD_TOO_LARGE, "too many fields");
    if (c->role == H1_REQUESTS && c->in_line) {
        /* Refused by the parser, fine so far for the guard, which reads the line to its end. The
         * guard has seen "HTTP/": a constant that is not as expected is the method. */
        c->doomed = e == HPE_INVALID_METHOD || e == HPE_INVALID_CONSTANT ? REASON_UNKNOWN_METHOD
                                                                         : REASON_BAD_HEAD;
        return REASON_NONE;
    }
    return refuse(c, c->state == H1_CHUNKS ? REASON_BAD_FRAMING : REASON_BAD_HEAD,
                  llhttp_get_error_reason(&c->parser) ? llhttp_get_error_reason(&c->parser)
                                                      : "refused by the parser");
}

/* The parser must see HTTP/1.1 where a later minor version stands. */
static enum reason
parse_patched(struct codec *c, struct gs_slice bytes, size_t patch)
{
    enum reason r;

    if (patch == SIZE_MAX)
        return parse(c, bytes.ptr, bytes.len);
    GS_ASSERT(patch < bytes.len);
    r = parse(c, bytes.ptr, patch);
    if (r == REASON_NONE)
        r = parse(c, "1", 1);
    if (r == REASON_NONE)
        r = parse(c, bytes.ptr + patch + 1, bytes.len - patch - 1);
    return r;
}

static void
message_end(struct codec *c)
{
    GS_ASSERT(c->state != H1_DONE);
    c->state = H1_DONE;
    store_give(c);
    c->ops->end(c->sink);
}

/* Bytes of this read that an answer's framing leaves no place for. What has come already is
 * refused with the whole answer; what comes later only costs the connection. */
static bool
bytes_beyond(const struct codec *c, const struct head *h, size_t rest)
{
    if (c->role != H1_ANSWERS || h->status < 200)
        return false;
    return (h->framing == FRAMING_NONE && rest > 0) ||
           (h->framing == FRAMING_LENGTH && rest > h->length);
}

/* A judged head is told; its framing says how the rest is read. */
static enum reason
head_done(struct codec *c, size_t rest)
{
    struct head *h = &c->store->head;
    enum framing framing = h->framing;
    uint64_t length = h->length;
    unsigned status = h->status;

    GS_ASSERT(c->state == H1_HEAD);
    GS_ASSERT(framing != FRAMING_CLOSE || c->role == H1_ANSWERS);
    if (c->role == H1_ANSWERS && status < 200) {
        if (++c->interim > INTERIM_MAX)
            return refuse(c, REASON_BAD_HEAD, "too many interim answers");
        c->ops->head(c->sink, h);
        store_give(c);
        message_start(c);
        return REASON_NONE;
    }
    if (bytes_beyond(c, h, rest))
        return refuse(c, REASON_BAD_FRAMING, "bytes after the end of the answer");
    c->ops->head(c->sink, h);
    store_give(c);
    if (framing == FRAMING_LENGTH && length > 0) {
        c->state = H1_LENGTH;
        c->left = length;
    } else if (framing == FRAMING_CHUNKED) {
        c->state = H1_CHUNKS;
        h1_guard_start_chunks(&c->guard);
    } else if (framing == FRAMING_CLOSE) {
        c->state = H1_CLOSE;
    } else {
        message_end(c);
    }
    return REASON_NONE;
}

static enum reason
feed_head(struct codec *c, struct gs_slice bytes, size_t *used)
{
    bool done = false;
    size_t patch = SIZE_MAX;
    enum reason r;
    enum reason guard;

    if (!c->store)
        store_take(c);
    c->started = true;
    c->in_line = h1_guard_in_first_line(&c->guard);
    guard = h1_guard_head(&c->guard, bytes, used, &done, &patch, c->why);
    if (guard != REASON_NONE)
        return guard;
    r = parse_patched(c, gs_slice_head(bytes, *used), patch);
    if (r != REASON_NONE)
        return r;
    if (c->doomed != REASON_NONE && !h1_guard_in_first_line(&c->guard))
        return refuse(c, (enum reason)c->doomed,
                      c->doomed == REASON_UNKNOWN_METHOD ? "method not known"
                                                         : "a target that is not allowed");
    if (!done) {
        keep_spans(c->store);
        return REASON_NONE;
    }
    /* Both must see the end here; chunked goes on in the parser, the others are over for it. */
    if (!c->complete && c->store->head.framing != FRAMING_CHUNKED)
        return refuse(c, REASON_BAD_HEAD, "the parsers disagree about the head");
    return head_done(c, bytes.len - *used);
}

/* One field line of trailers; the guard has seen to its form. */
static gs_err
add_trailer(struct h1_store *s, struct gs_slice line)
{
    ptrdiff_t colon = gs_slice_find(line, ':');
    struct field *f;

    GS_ASSERT(colon > 0);
    if (s->head.count == HEAD_FIELDS_MAX)
        return GS_E_LIMIT;
    f = &s->fields[s->head.count++];
    f->name = gs_slice_head(line, (size_t)colon);
    f->value = gs_slice_trim(gs_slice_from(line, (size_t)colon + 1));
    f->id = field_id_of(f->name);
    f->dropped = false;
    return GS_E_OK;
}

static enum reason
tell_trailers(struct codec *c)
{
    struct h1_store *s = c->store;
    struct gs_slice rest = s->trailers;
    struct gs_slice line;

    while (gs_slice_cut(&rest, '\n', &line)) {
        if (line.len > 1 && add_trailer(s, gs_slice_head(line, line.len - 1)) != GS_E_OK)
            return refuse(c, REASON_BAD_FRAMING, "too many trailers");
    }
    head_judge_trailers(&s->head);
    if (s->head.count > 0 && c->ops->trailers)
        c->ops->trailers(c->sink, &s->head);
    return REASON_NONE;
}

/* The last chunk and its trailers are through; the parser is shown the end without them. */
static enum reason
chunks_end(struct codec *c)
{
    enum reason r = parse(c, "\r\n", 2);

    if (r == REASON_NONE && !c->complete)
        r = refuse(c, REASON_BAD_FRAMING, "the parsers disagree about the end of the body");
    if (r == REASON_NONE)
        r = tell_trailers(c);
    if (r == REASON_NONE)
        message_end(c);
    return r;
}

static enum reason
feed_chunks(struct codec *c, struct gs_slice bytes, size_t *used)
{
    bool done = false;
    enum h1_run run;
    enum reason r = h1_guard_chunks(&c->guard, bytes, used, &run, &done, c->why);

    if (r != REASON_NONE)
        return r;
    if (run == H1_RUN_FRAMING) {
        r = parse(c, bytes.ptr, *used);
        if (r == REASON_NONE && c->complete)
            r = refuse(c, REASON_BAD_FRAMING, "the parsers disagree about a chunk");
        return r;
    }
    if (run == H1_RUN_EXTENSION)
        return REASON_NONE;
    if (!c->store)
        store_take(c);
    span_add(c->store, &c->store->trailers, bytes.ptr, *used);
    if (done)
        return chunks_end(c);
    span_keep(c->store, &c->store->trailers);
    return REASON_NONE;
}

static void
feed_length(struct codec *c, struct gs_slice bytes, size_t *used)
{
    size_t n = bytes.len;

    GS_ASSERT(c->left > 0);
    if (n > c->left)
        n = (size_t)c->left;
    c->left -= n;
    *used = n;
    c->ops->data(c->sink, gs_slice_head(bytes, n));
    if (c->left == 0)
        message_end(c);
}

enum reason
h1_feed(struct h1 *h, struct gs_slice bytes, size_t *used, struct gs_why *why)
{
    struct codec *c = codec_of(h);
    enum reason r = REASON_NONE;

    c->why = why;
    *used = 0;
    while (*used < bytes.len && c->state != H1_DONE && r == REASON_NONE) {
        struct gs_slice rest = gs_slice_from(bytes, *used);
        size_t n = 0;

        switch ((enum h1_state)c->state) {
        case H1_HEAD:
            r = feed_head(c, rest, &n);
            break;
        case H1_LENGTH:
            feed_length(c, rest, &n);
            break;
        case H1_CHUNKS:
            r = feed_chunks(c, rest, &n);
            break;
        case H1_CLOSE:
            n = rest.len;
            c->ops->data(c->sink, rest);
            break;
        case H1_DONE:
            GS_UNREACHABLE("h1_feed after the end");
        }
        *used += n;
        GS_ASSERT(*used <= bytes.len);
    }
    if (r != REASON_NONE)
        store_give(c);
    return r;
}

enum reason
h1_feed_eof(struct h1 *h, struct gs_why *why)
{
    struct codec *c = codec_of(h);

    c->why = why;
    if (c->state == H1_DONE || (c->state == H1_HEAD && !c->started))
        return REASON_NONE;
    if (c->state == H1_CLOSE) {
        message_end(c);
        return REASON_NONE;
    }
    snprintf(why->text, sizeof(why->text), "the connection ended inside a message");
    return c->role == H1_ANSWERS ? REASON_UPSTREAM_CUT : REASON_CLIENT_LEFT;
}
