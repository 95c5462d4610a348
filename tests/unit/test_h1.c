/* test_h1.c - the HTTP/1 codec: what it takes, what it refuses (the 23 rows of the head policy),
 * and that no way of splitting the input changes either. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include <gossamer/h1.h>

static struct h1_pool *pool;

struct seen { /* what a sink was told, as text */
    struct gs_buf text;
    unsigned heads, ends;
    struct head last; /* flags and numbers only */
};

static void
on_head(void *sink, struct head *h)
{
    struct seen *s = sink;

    s->heads++;
    s->last = *h;
    if (h->is_request)
        gs_buf_printf(&s->text, "%.*s %.*s %.*s\n", GS_SLICE_FMT(h->method),
                      GS_SLICE_FMT(h->authority), GS_SLICE_FMT(h->path));
    else
        gs_buf_printf(&s->text, "%u %.*s\n", h->status, GS_SLICE_FMT(h->phrase));
    for (size_t i = 0; i < h->count; i++)
        gs_buf_printf(&s->text, "%s%.*s=%.*s\n", h->fields[i].dropped ? "-" : "",
                      GS_SLICE_FMT(h->fields[i].name), GS_SLICE_FMT(h->fields[i].value));
}

static void
on_data(void *sink, struct gs_slice bytes)
{
    gs_buf_put_slice(&((struct seen *)sink)->text, bytes);
}

static void
on_trailers(void *sink, struct head *t)
{
    struct seen *s = sink;

    for (size_t i = 0; i < t->count; i++)
        gs_buf_printf(&s->text, "%strailer %.*s=%.*s\n", t->fields[i].dropped ? "-" : "",
                      GS_SLICE_FMT(t->fields[i].name), GS_SLICE_FMT(t->fields[i].value));
}

static void
on_end(void *sink)
{
    struct seen *s = sink;

    s->ends++;
    gs_buf_put_str(&s->text, "|");
}

static const struct h1_sink_ops ops = { on_head, on_data, on_trailers, on_end };

static void
seen_init(struct seen *s)
{
    *s = (struct seen){ 0 };
    gs_buf_init(&s->text, 1u << 20);
}

/* Feed `in` in two pieces, each in memory of its own so that a kept pointer is caught. */
static enum reason
feed_split(struct seen *s, enum h1_role role, bool is_head, const char *in, size_t len, size_t cut)
{
    struct h1 c;
    struct gs_why why = { "" };
    enum reason r = REASON_NONE;
    size_t pieces[2] = { cut, len - cut };
    const char *at = in;

    h1_init(&c, role, pool, &ops, s);
    if (role == H1_ANSWERS)
        h1_expect(&c, is_head);
    for (int i = 0; i < 2 && r == REASON_NONE; i++) {
        size_t used = 0;
        char *copy = test_malloc(pieces[i] + 1);

        memcpy(copy, at, pieces[i]);
        at += pieces[i];
        while (r == REASON_NONE && used < pieces[i]) {
            size_t n = 0;

            r = h1_feed(&c, gs_slice(copy + used, pieces[i] - used), &n, &why);
            used += n;
            if (r == REASON_NONE && h1_done(&c)) {
                if (role == H1_ANSWERS) /* the caller decides; here: stop */
                    break;
                h1_next(&c);
            }
        }
        memset(copy, 'Z', pieces[i]);
        test_free(copy);
    }
    if (r == REASON_NONE && role == H1_ANSWERS)
        r = h1_feed_eof(&c, &why);
    h1_fini(&c);
    return r;
}

/* The same outcome for every split, and it is the expected one. */
static void
check_reason(enum h1_role role, const char *in, size_t len, enum reason want)
{
    for (size_t cut = 0; cut <= len; cut++) {
        struct seen s;
        enum reason r;

        seen_init(&s);
        r = feed_split(&s, role, false, in, len, cut);
        if (r != want)
            fail_msg("cut %zu: %s instead of %s for:\n%.*s", cut, reason_info(r)->name,
                     reason_info(want)->name, (int)len, in);
        gs_buf_fini(&s.text);
    }
}

static void
check_text(enum h1_role role, bool is_head, const char *in, const char *want)
{
    size_t len = strlen(in);

    for (size_t cut = 0; cut <= len; cut++) {
        struct seen s;

        seen_init(&s);
        assert_int_equal(feed_split(&s, role, is_head, in, len, cut), REASON_NONE);
        assert_string_equal(gs_buf_cstr(&s.text), want);
        gs_buf_fini(&s.text);
    }
}

/* ---- what is taken ---- */

static void
test_requests(void **state)
{
    (void)state;
    check_text(H1_REQUESTS, false, "GET /a?b HTTP/1.1\r\nHost: Svc:80\r\nX-A:  b c \r\n\r\n",
               "GET Svc:80 /a?b\nHost=Svc:80\nX-A=b c\n|");
    check_text(H1_REQUESTS, false, "\r\nGET http://s.ns/x HTTP/1.0\r\n\r\n", "GET s.ns /x\n|");
    check_text(H1_REQUESTS, false, "GET http://s?q HTTP/1.1\r\nHost: other\r\n\r\n",
               "GET s ?q\nHost=other\n|");
    check_text(H1_REQUESTS, false,
               "POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 5\r\n\r\nhello"
               "GET /2 HTTP/1.1\r\nHost: s\r\n\r\n",
               "POST s /\nHost=s\n-Content-Length=5\nhello|GET s /2\nHost=s\n|");
    check_text(H1_REQUESTS, false,
               "PUT / HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n"
               "3;a=b\r\nabc\r\n0a\r\n0123456789\r\n0\r\nX-T: v\r\nHost: no\r\n\r\n",
               "PUT s /\nHost=s\n-Transfer-Encoding=chunked\nabc0123456789"
               "trailer X-T=v\n-trailer Host=no\n|");
    check_text(H1_REQUESTS, false, "GET / HTTP/1.7\r\nHost: s\r\nX: \r\n\r\n",
               "GET s /\nHost=s\nX=\n|");
    check_text(H1_REQUESTS, false,
               "GET / HTTP/1.1\r\nHost: s\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\n"
               "gossamer-caller: me\r\n\r\n",
               "GET s /\nHost=s\n-Connection=X-Hop, close\n-X-Hop=1\n-gossamer-caller=me\n|");
}

static void
test_upgrade_is_stripped(void **state)
{
    (void)state;
    check_text(H1_REQUESTS, false,
               "GET / HTTP/1.1\r\nHost: s\r\nConnection: Upgrade, HTTP2-Settings\r\n"
               "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\nGET /2 HTTP/1.1\r\nHost: s\r\n\r\n",
               "GET s /\nHost=s\n-Connection=Upgrade, HTTP2-Settings\n-Upgrade=h2c\n"
               "-HTTP2-Settings=AAMAAABk\n|GET s /2\nHost=s\n|");
    check_text(H1_REQUESTS, false,
               "POST / HTTP/1.1\r\nHost: s\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
               "Content-Length: 2\r\n\r\nhi",
               "POST s /\nHost=s\n-Connection=Upgrade\n-Upgrade=h2c\n-Content-Length=2\nhi|");
}

static void
test_answers(void **state)
{
    (void)state;
    check_text(H1_ANSWERS, false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
               "200 OK\n-Content-Length=2\nok|");
    check_text(H1_ANSWERS, false, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 \r\n\r\nall",
               "100 Continue\n200 \nall|");
    check_text(H1_ANSWERS, true, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
               "200 OK\n-Content-Length=99\n|");
    check_text(H1_ANSWERS, false, "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
               "304 Not Modified\n-Content-Length=99\n|");
    check_text(H1_ANSWERS, false, "HTTP/1.1 204\r\n\r\n", "204 \n|");
    check_text(H1_ANSWERS, false,
               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
               "200 OK\n-Transfer-Encoding=chunked\nhi|");
}

static void
test_flags(void **state)
{
    static const struct {
        const char *in;
        bool keep;
        enum framing framing;
    } rows[] = {
        { "GET / HTTP/1.1\r\nHost: s\r\n\r\n", true, FRAMING_NONE },
        { "GET / HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n", false, FRAMING_NONE },
        { "GET / HTTP/1.0\r\nHost: s\r\n\r\n", false, FRAMING_NONE },
        { "GET / HTTP/1.0\r\nHost: s\r\nConnection: keep-alive\r\n\r\n", true, FRAMING_NONE },
        { "GET / HTTP/1.0\r\nHost: s\r\nConnection: keep-alive, close\r\n\r\n", false,
          FRAMING_NONE },
        { "POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 0\r\n\r\n", true, FRAMING_LENGTH },
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(rows); i++) {
        struct seen s;

        seen_init(&s);
        assert_int_equal(feed_split(&s, H1_REQUESTS, false, rows[i].in, strlen(rows[i].in), 3),
                         REASON_NONE);
        assert_int_equal(s.ends, 1);
        assert_int_equal(s.last.keep_alive, rows[i].keep);
        assert_int_equal(s.last.framing, rows[i].framing);
        gs_buf_fini(&s.text);
    }
}

/* ---- what is refused: numbers are rows of the head policy ---- */

#define H "Host: s\r\n"
#define POST "POST / HTTP/1.1\r\n" H
#define GET "GET / HTTP/1.1\r\n" H

static const struct {
    const char *in;
    enum reason want;
} refused_requests[] = {
    /* 1 */ { POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", REASON_BAD_HEAD },
    /* 1 */ { POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", REASON_BAD_HEAD },
    /* 2 */
    { POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", REASON_BAD_HEAD },
    /* 2 */ { POST "Transfer-Encoding: \r\n\r\n", REASON_BAD_HEAD },
    /* 2 */ { POST "Transfer-Encoding: ,chunked\r\n\r\n", REASON_BAD_HEAD },
    /* 2 */ { POST "Transfer-Encoding: chunked, identity\r\n\r\n", REASON_BAD_HEAD },
    /* 2 */ { POST "Transfer-Encoding: gzip\r\n\r\n", REASON_BAD_HEAD },
    /* 3 */ { POST "Transfer-Encoding: gzip, chunked\r\n\r\n", REASON_UNKNOWN_CODING },
    /* 3 */ { POST "Transfer-Encoding: xchunked\r\n\r\n", REASON_UNKNOWN_CODING },
    /* 4 */ { "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", REASON_BAD_HEAD },
    /* 5 */ { POST "Content-Length: \r\n\r\n", REASON_BAD_HEAD },
    /* 5 */ { POST "Content-Length: +5\r\n\r\n", REASON_BAD_HEAD },
    /* 5 */ { POST "Content-Length: -5\r\n\r\n", REASON_BAD_HEAD },
    /* 5 */ { POST "Content-Length: 5x\r\n\r\n", REASON_BAD_HEAD },
    /* 5 */ { POST "Content-Length: 9223372036854775808\r\n\r\n", REASON_BAD_HEAD },
    /* 5 */ { POST "Content-Length: 99999999999999999999999\r\n\r\n", REASON_BAD_HEAD },
    /* 5 */ { POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", REASON_BAD_HEAD },
    /* 5 */ { POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", REASON_BAD_HEAD },
    /* 5 */ { POST "Content-Length: 3, 3\r\n\r\n", REASON_BAD_HEAD },
    /* 6 */ { POST "Content_Length: 3\r\n\r\n", REASON_BAD_HEAD },
    /* 6 */ { POST "transfer_encoding: chunked\r\n\r\n", REASON_BAD_HEAD },
    /* 7 */ { POST "Connection: content-length\r\nContent-Length: 3\r\n\r\n", REASON_BAD_HEAD },
    /* 7 */ { GET "Connection: close, Host\r\n\r\n", REASON_BAD_HEAD },
    /* 7 */ { GET "Connection: Transfer-Encoding\r\n\r\n", REASON_BAD_HEAD },
    /* 8 */ { "GET / HTTP/1.1\r\n\r\n", REASON_BAD_HEAD },
    /* 8 */ { GET "host: s\r\n\r\n", REASON_BAD_HEAD },
    /* 8 */ { "GET / HTTP/1.1\r\nHost: u@s\r\n\r\n", REASON_BAD_HEAD },
    /* 8 */ { "GET / HTTP/1.1\r\nHost: s/x\r\n\r\n", REASON_BAD_HEAD },
    /* 8 */ { "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", REASON_BAD_HEAD },
    /* 8 */ { "GET / HTTP/1.1\r\nHost: s:http\r\n\r\n", REASON_BAD_HEAD },
    /* 8 */ { "GET / HTTP/1.1\r\nHost: s:65536\r\n\r\n", REASON_BAD_HEAD },
    /* 8 */ { "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", REASON_BAD_HEAD },
    /* 8 */ { "GET / HTTP/1.1\r\nHost:\r\n\r\n", REASON_BAD_HEAD },
    /* 8 */ { "GET http://u@s/ HTTP/1.1\r\n" H "\r\n", REASON_BAD_HEAD },
    /* 9 */ { GET "X: a\r\n b\r\n\r\n", REASON_BAD_HEAD },
    /* 9 */ { GET "\tX: a\r\n\r\n", REASON_BAD_HEAD },
    /* 10 */ { GET ": a\r\n\r\n", REASON_BAD_HEAD },
    /* 10 */ { GET "X Y: a\r\n\r\n", REASON_BAD_HEAD },
    /* 10 */ { GET "X : a\r\n\r\n", REASON_BAD_HEAD },
    /* 10 */ { GET "X\r\n\r\n", REASON_BAD_HEAD },
    /* 11 */ { GET "X: a\rb\r\n\r\n", REASON_BAD_HEAD },
    /* 11 */ { GET "X:\rContent-Length: 3\r\n\r\n", REASON_BAD_HEAD },
    /* 11 */ { GET "X: a\n\r\n", REASON_BAD_HEAD },
    /* 11 */ { "GET / HTTP/1.1\nHost: s\r\n\r\n", REASON_BAD_HEAD },
    /* 11 */ { GET "X: a\x01\r\n\r\n", REASON_BAD_HEAD },
    /* 11 */ { GET "X: a\x7f\r\n\r\n", REASON_BAD_HEAD },
    /* 11 */ { GET "\n", REASON_BAD_HEAD },
    /* 11 */ { GET "\rX", REASON_BAD_HEAD },
    /* 12 */ { "GET  / HTTP/1.1\r\n" H "\r\n", REASON_BAD_HEAD },
    /* 12 */ { "GET /  HTTP/1.1\r\n" H "\r\n", REASON_BAD_HEAD },
    /* 12 */ { "GET\t/ HTTP/1.1\r\n" H "\r\n", REASON_BAD_HEAD },
    /* 12 */ { "GET /\tHTTP/1.1\r\n" H "\r\n", REASON_BAD_HEAD },
    /* 12 */ { "\r\n\r\n" GET "\r\n", REASON_BAD_HEAD },
    /* 12 */ { "\n" GET "\r\n", REASON_BAD_HEAD },
    /* 13 */ { "GET /#x HTTP/1.1\r\n" H "\r\n", REASON_BAD_HEAD },
    /* 13 */ { "GET /\x01 HTTP/1.1\r\n" H "\r\n", REASON_BAD_HEAD },
    /* 13 */ { "GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n", REASON_BAD_HEAD },
    /* 14 */ { "GET * HTTP/1.1\r\n" H "\r\n", REASON_BAD_HEAD },
    /* 14 */ { "OPTIONS * HTTP/1.1\r\n" H "\r\n", REASON_NOT_OFFERED },
    /* 14 */ { "CONNECT s:80 HTTP/1.1\r\n" H "\r\n", REASON_NOT_OFFERED },
    /* 15 */ { "GET /\r\n", REASON_HTTP_VERSION },
    /* 15 */ { "GET / HTTP/2.0\r\n" H "\r\n", REASON_HTTP_VERSION },
    /* 15 */ { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", REASON_HTTP_VERSION },
    /* 15 */ { "GET / HTTP/0.9\r\n" H "\r\n", REASON_HTTP_VERSION },
    /* 15 */ { "GET / http/1.1\r\n" H "\r\n", REASON_BAD_HEAD },
    /* 15 */ { "GET / HTTP/1.11\r\n" H "\r\n", REASON_BAD_HEAD },
    /* 16 */ { "G@T / HTTP/1.1\r\n" H "\r\n", REASON_BAD_HEAD },
    /* 16 */ { "BREW / HTTP/1.1\r\n" H "\r\n", REASON_UNKNOWN_METHOD },
    /* 16 */ { "get / HTTP/1.1\r\n" H "\r\n", REASON_UNKNOWN_METHOD },
    /* 17 */
    { POST "Transfer-Encoding: chunked\r\n\r\n00000000000000001\r\na\r\n0\r\n\r\n",
      REASON_BAD_FRAMING },
    /* 17 */ { POST "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", REASON_BAD_FRAMING },
    /* 17 */ { POST "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n", REASON_BAD_FRAMING },
    /* 17 */ { POST "Transfer-Encoding: chunked\r\n\r\n \r\n", REASON_BAD_FRAMING },
    /* 17 */ { POST "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", REASON_BAD_FRAMING },
    /* 17 */ { POST "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", REASON_BAD_FRAMING },
    /* 17 */ { POST "Transfer-Encoding: chunked\r\n\r\n1;x\na\r\n0\r\n\r\n", REASON_BAD_FRAMING },
    /* 17 */ { POST "Transfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n", REASON_BAD_FRAMING },
    /* 19 */ { POST "Transfer-Encoding: chunked\r\n\r\n0\r\nX : a\r\n\r\n", REASON_BAD_FRAMING },
    /* 19 */
    { POST "Transfer-Encoding: chunked\r\n\r\n0\r\nX: a\r\n b\r\n\r\n", REASON_BAD_FRAMING },
    /* 22 */
    { POST "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx",
      REASON_BAD_HEAD },
};

static void
test_refused_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < GS_COUNT(refused_requests); i++)
        check_reason(H1_REQUESTS, refused_requests[i].in, strlen(refused_requests[i].in),
                     refused_requests[i].want);
    check_reason(H1_REQUESTS, GET "X: a\0b\r\n\r\n", sizeof(GET "X: a\0b\r\n\r\n") - 1,
                 REASON_BAD_HEAD);
}

static const struct {
    const char *in;
    enum reason want;
} refused_answers[] = {
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
      REASON_UPSTREAM_HEAD },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", REASON_UPSTREAM_HEAD },
    { "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", REASON_UPSTREAM_HEAD },
    { "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", REASON_UPSTREAM_HEAD },
    { "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", REASON_UPSTREAM_HEAD },
    { "HTTP/1.1 200 OK\r\nX: a\n\r\n", REASON_UPSTREAM_HEAD },
    { "HTTP/1.1 200 OK\r\nX: a\r\n\n", REASON_UPSTREAM_HEAD },
    { "HTTP/2.0 200 OK\r\n\r\n", REASON_UPSTREAM_HEAD },
    { "HTTP/1.1 20 OK\r\n\r\n", REASON_UPSTREAM_HEAD },
    { "HTTP/1.1 2000 OK\r\n\r\n", REASON_UPSTREAM_HEAD },
    { "HTTP/1.1 099 OK\r\n\r\n", REASON_UPSTREAM_HEAD },
    { "HTTP/1.1 abc OK\r\n\r\n", REASON_UPSTREAM_HEAD },
    { "\r\nHTTP/1.1 200 OK\r\n\r\n", REASON_UPSTREAM_HEAD },
    { "GET / HTTP/1.1\r\n\r\n", REASON_UPSTREAM_HEAD },
    { "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
      REASON_UPSTREAM_UPGRADE },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", REASON_UPSTREAM_FRAMING },
    { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", REASON_UPSTREAM_CUT },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", REASON_UPSTREAM_CUT },
};

static void
test_refused_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < GS_COUNT(refused_answers); i++)
        check_reason(H1_ANSWERS, refused_answers[i].in, strlen(refused_answers[i].in),
                     refused_answers[i].want);
}

/* Row 23: bytes that an answer has no place for, when they came with it. */
static void
test_bytes_after_answer(void **state)
{
    static const char *const rows[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokX",
        "HTTP/1.1 204 No\r\n\r\nX",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(rows); i++) {
        struct seen s;

        seen_init(&s);
        assert_int_equal(feed_split(&s, H1_ANSWERS, false, rows[i], strlen(rows[i]), 0),
                         REASON_UPSTREAM_FRAMING);
        assert_int_equal(s.heads, 0);
        gs_buf_fini(&s.text);
    }
}

/* ---- limits ---- */

static enum reason
feed_all(enum h1_role role, const struct gs_buf *in)
{
    struct seen s;
    enum reason r;

    seen_init(&s);
    s.text.max = 64u << 20;
    r = feed_split(&s, role, false, in->ptr, in->len, in->len / 2);
    gs_buf_fini(&s.text);
    return r;
}

static void
test_limits(void **state)
{
    struct gs_buf in;

    (void)state;
    gs_buf_init(&in, 1u << 20);
    gs_buf_put_str(&in, "GET /");
    for (int i = 0; i < HEAD_LINE_MAX; i++)
        gs_buf_put(&in, "a", 1);
    assert_int_equal(feed_all(H1_REQUESTS, &in), REASON_LINE_TOO_LONG);

    gs_buf_clear(&in);
    gs_buf_put_str(&in, GET "X: ");
    for (int i = 0; i < HEAD_BYTES_MAX; i++)
        gs_buf_put(&in, "a", 1);
    assert_int_equal(feed_all(H1_REQUESTS, &in), REASON_HEAD_TOO_LARGE);

    gs_buf_clear(&in);
    gs_buf_put_str(&in, GET);
    for (int i = 1; i < HEAD_FIELDS_MAX; i++)
        gs_buf_put_str(&in, "X: a\r\n");
    gs_buf_put_str(&in, "\r\n");
    assert_int_equal(feed_all(H1_REQUESTS, &in), REASON_NONE);
    in.len -= 2;
    gs_buf_put_str(&in, "X: a\r\n\r\n");
    assert_int_equal(feed_all(H1_REQUESTS, &in), REASON_HEAD_TOO_LARGE);

    gs_buf_clear(&in); /* row 18: extensions of all chunks together */
    gs_buf_put_str(&in, POST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < CHUNK_EXT_BYTES_MAX / 100 + 1; i++)
        gs_buf_printf(&in, "1;%0100d\r\na\r\n", 0);
    assert_int_equal(feed_all(H1_REQUESTS, &in), REASON_BAD_FRAMING);

    gs_buf_clear(&in); /* row 19 */
    gs_buf_put_str(&in, POST "Transfer-Encoding: chunked\r\n\r\n0\r\nX: ");
    for (int i = 0; i < TRAILER_BYTES_MAX; i++)
        gs_buf_put(&in, "a", 1);
    assert_int_equal(feed_all(H1_REQUESTS, &in), REASON_BAD_FRAMING);

    gs_buf_clear(&in);
    for (int i = 0; i <= INTERIM_MAX; i++)
        gs_buf_put_str(&in, "HTTP/1.1 102 x\r\n\r\n");
    assert_int_equal(feed_all(H1_ANSWERS, &in), REASON_UPSTREAM_HEAD);
    gs_buf_fini(&in);
}

/* A head that dribbles in byte by byte costs memory in proportion, and comes out whole. */
static void
test_one_byte_at_a_time(void **state)
{
    struct gs_buf in;
    struct seen s;
    struct h1 c;
    struct gs_why why;

    (void)state;
    gs_buf_init(&in, 1u << 20);
    gs_buf_put_str(&in, "GET /path HTTP/1.1\r\nHost: s\r\nX: ");
    for (int i = 0; i < 30000; i++)
        gs_buf_put(&in, "ab", 2);
    gs_buf_put_str(&in, "\r\n\r\n");
    seen_init(&s);
    h1_init(&c, H1_REQUESTS, pool, &ops, &s);
    for (size_t i = 0; i < in.len; i++) {
        size_t used = 0;
        char byte = in.ptr[i];

        assert_int_equal(h1_feed(&c, gs_slice(&byte, 1), &used, &why), REASON_NONE);
        assert_int_equal(used, 1);
    }
    assert_int_equal(s.ends, 1);
    assert_true(s.text.len > 60000);
    assert_memory_equal(s.text.ptr, "GET s /path\nHost=s\nX=abab", 25);
    h1_fini(&c);
    gs_buf_fini(&s.text);
    gs_buf_fini(&in);
}

/* ---- writing ---- */

static void
write_again(void *sink, struct head *h)
{
    struct gs_buf *out = sink;

    if (h->is_request)
        h1_write_request(out, h, h->authority, GS_SLICE("x-own: 1\r\n"));
    else
        h1_write_answer(out, h, 1, h->keep_alive, h->framing, GS_SLICE(""));
}

static void
ignore_data(void *sink, struct gs_slice bytes)
{
    (void)sink;
    (void)bytes;
}

static void
ignore_end(void *sink)
{
    (void)sink;
}

static void
test_writing(void **state)
{
    static const struct h1_sink_ops writer = { write_again, ignore_data, NULL, ignore_end };
    static const struct {
        enum h1_role role;
        const char *in, *out;
    } rows[] = {
        { H1_REQUESTS,
          "POST http://svc:80/p?q HTTP/1.0\r\nHost: x\r\nAccept: a\r\nConnection: keep-alive, "
          "foo\r\n"
          "foo: 1\r\nTE: trailers, gzip\r\nContent-Length: 3\r\n\r\n",
          "POST /p?q HTTP/1.1\r\nhost: svc:80\r\nAccept: a\r\ncontent-length: 3\r\n"
          "te: trailers\r\nconnection: te\r\nx-own: 1\r\n\r\n" },
        { H1_REQUESTS, "GET http://svc?a HTTP/1.1\r\nHost: x\r\n\r\n",
          "GET /?a HTTP/1.1\r\nhost: svc\r\nx-own: 1\r\n\r\n" },
        { H1_ANSWERS, "HTTP/1.0 200 Fine\r\nX: y\r\nContent-Length: 0\r\n\r\n",
          "HTTP/1.1 200 Fine\r\nX: y\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" },
        { H1_ANSWERS, "HTTP/1.1 304 NM\r\nContent-Length: 7\r\n\r\n",
          "HTTP/1.1 304 NM\r\ncontent-length: 7\r\n\r\n" },
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(rows); i++) {
        struct gs_buf out;
        struct h1 c;
        struct gs_why why;
        size_t used;

        gs_buf_init(&out, 4096);
        h1_init(&c, rows[i].role, pool, &writer, &out);
        if (rows[i].role == H1_ANSWERS)
            h1_expect(&c, false);
        assert_int_equal(h1_feed(&c, gs_slice_str(rows[i].in), &used, &why), REASON_NONE);
        assert_string_equal(gs_buf_cstr(&out), rows[i].out);
        h1_fini(&c);
        gs_buf_fini(&out);
    }
}

static void
test_chunk_line(void **state)
{
    char line[H1_CHUNK_LINE];

    (void)state;
    assert_int_equal(h1_write_chunk_line(line, 0x1a2), 5);
    assert_memory_equal(line, "1a2\r\n", 5);
    assert_int_equal(h1_write_chunk_line(line, SIZE_MAX), 18);
}

static int
setup(void **state)
{
    (void)state;
    pool = h1_pool_new();
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    h1_pool_free(pool);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_upgrade_is_stripped),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_refused_requests),
        cmocka_unit_test(test_refused_answers),
        cmocka_unit_test(test_bytes_after_answer),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_one_byte_at_a_time),
        cmocka_unit_test(test_writing),
        cmocka_unit_test(test_chunk_line),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
