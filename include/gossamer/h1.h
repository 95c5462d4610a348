/* h1.h - HTTP/1.x as a codec: bytes in, parts of messages out, and the reverse. It knows no
 * socket, no exchange and no policy beyond head.h; the proxy, the admin API, health checks and
 * the command line all use it.
 *
 *     h1_feed(bytes) ─▶ guard (a strict grammar) ─▶ llhttp ─▶ sink.head, data, trailers, end
 *
 * Two parsers read every byte of framing and must agree; the guard alone holds what llhttp's
 * version or leniency leaves open. */
#pragma once

#include <gossamer/buf.h>
#include <gossamer/head.h>

struct h1;

struct h1_sink_ops {
    /* A judged head. h and its slices are borrowed until the call returns (head_keep copies).
     * 1xx answers come here too (status < 200), followed by the final head. */
    void (*head)(void *sink, struct head *h);
    void (*data)(void *sink, struct gs_slice bytes); /* of the body, framing removed */
    void (*trailers)(void *sink, struct head *t);    /* only if there are any */
    void (*end)(void *sink);                         /* the message is whole */
};

enum h1_role { H1_REQUESTS, H1_ANSWERS };

/* Owned by the caller; opaque but for its size, so that it can be embedded. */
#define H1_BYTES 256
struct h1 {
    _Alignas(8) unsigned char opaque[H1_BYTES];
};

/* pool: shared by all codecs of a loop; holds the head storage of those in the middle of one. */
struct h1_pool;
struct h1_pool *h1_pool_new(void);
void h1_pool_free(struct h1_pool *p);
struct gs_buf *h1_pool_buf(struct h1_pool *p); /* empty; borrowed until the next call */

void h1_init(struct h1 *c, enum h1_role role, struct h1_pool *pool, const struct h1_sink_ops *ops,
             void *sink);
void h1_fini(struct h1 *c);
/* Answers: what the request was, before its answer is fed. */
void h1_expect(struct h1 *c, bool request_is_head);
/* Feed bytes. Stops after the end of one message (the rest is a next message or an error, as the
 * caller's state says): *used tells how many were taken, all of them otherwise.
 * returns REASON_NONE, or why the bytes are refused (sentence in *why, nothing more may be fed). */
enum reason h1_feed(struct h1 *c, struct gs_slice bytes, size_t *used, struct gs_why *why);
/* The connection ended. REASON_NONE if that is a legal end (between messages, or of a body that
 * lasts until the close: sink.end was called). */
enum reason h1_feed_eof(struct h1 *c, struct gs_why *why);
void h1_next(struct h1 *c);       /* ready for the next message; only after end */
bool h1_done(const struct h1 *c); /* end was called, h1_next not yet */

/* ---- writing ---- */

/* Append a head. framing says what follows; Content-Length and Transfer-Encoding come from it
 * alone. extra: further lines of our own, each with its CRLF (may be empty). */
void h1_write_request(struct gs_buf *out, const struct head *h, struct gs_slice host,
                      struct gs_slice extra);
/* to_minor: version of the client: 0 gets no chunked and no 1xx. keep: connection persists. */
void h1_write_answer(struct gs_buf *out, const struct head *h, unsigned to_minor, bool keep,
                     enum framing framing, struct gs_slice extra);
#define H1_CHUNK_LINE 20
size_t h1_write_chunk_line(char out[H1_CHUNK_LINE], size_t bytes); /* "1a\r\n" */
void h1_write_last_chunk(struct gs_buf *out,
                         const struct head *trailers); /* trailers may be NULL */
