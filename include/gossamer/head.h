/* head.h - the head of an HTTP message, independent of the protocol version, and the policy that
 * judges it (reference/reliability 3.4). Framing is decided once, here; writers re-serialise from
 * `framing` and never copy a framing field. */
#pragma once

#include <gossamer/arena.h>
#include <gossamer/err.h>
#include <gossamer/limits.h>
#include <gossamer/reason.h>
#include <gossamer/slice.h>

/* The fields the proxy itself acts on. */
enum field_id {
    FIELD_OTHER,
    FIELD_HOST,
    FIELD_CONTENT_LENGTH,
    FIELD_TRANSFER_ENCODING,
    FIELD_CONNECTION,
    FIELD_KEEP_ALIVE,
    FIELD_PROXY_CONNECTION,
    FIELD_PROXY_AUTHORIZATION,
    FIELD_PROXY_AUTHENTICATE,
    FIELD_TE,
    FIELD_TRAILER,
    FIELD_UPGRADE,
    FIELD_HTTP2_SETTINGS,
    FIELD_EXPECT,
    FIELD_X_REQUEST_ID,
    FIELD_FRAMING_TWIN, /* content_length: what a lax server might read as framing */
    FIELD_GOSSAMER,     /* gossamer-*: between nodes only, never from or to applications */
};

struct field {
    struct gs_slice name, value;
    enum field_id id;
    bool dropped; /* hop by hop: not written on */
};

enum framing {
    FRAMING_NONE,    /* no body */
    FRAMING_LENGTH,  /* exactly `length` bytes */
    FRAMING_CHUNKED, /* or HTTP/2 without a length */
    FRAMING_CLOSE,   /* answers only: until the connection ends */
};

struct head {
    /* requests */
    struct gs_slice method;
    struct gs_slice target;    /* as written */
    struct gs_slice authority; /* of an absolute target, else Host; host[:port] */
    struct gs_slice path;      /* path and query; "/" when an absolute target has none */
    /* answers */
    unsigned status;
    struct gs_slice phrase;

    uint8_t minor; /* HTTP/1.minor; 1 for anything newer */
    bool is_request;
    bool is_head;       /* method HEAD: the answer has no body */
    bool idempotent;    /* RFC 9110 9.2.2 */
    bool keep_alive;    /* of this connection, by version and Connection */
    bool close_after;   /* answers: the client's connection ends with it */
    bool upgrade_asked; /* an Upgrade other than h2c was there and stripped */
    bool expects_100;
    bool te_trailers;
    bool has_length; /* `length` is known; with HEAD and 304 it is told without a body */
    enum framing framing;
    uint64_t length;

    struct field *fields;
    size_t count;
};

/* What one message's head may be judged by. */
struct head_context {
    bool request_is_head; /* answers: the request was HEAD */
    bool upgrade_allowed; /* answers: a 101 was asked for */
};

enum field_id field_id_of(struct gs_slice name);

/* Judge a parsed head: fill framing, authority, path and flags, mark hop-by-hop fields dropped.
 * returns REASON_NONE, or why it is refused (with one sentence in *why). Requests: the reason's
 * status goes to the client. Answers: UPSTREAM_*. */
enum reason head_judge_request(struct head *h, struct gs_why *why);
enum reason head_judge_answer(struct head *h, const struct head_context *ctx, struct gs_why *why);
/* Trailers: drops what must not be there (framing, Host, hop by hop). */
void head_judge_trailers(struct head *t);

const struct field *head_find(const struct head *h, struct gs_slice name); /* first, or NULL */
/* Copy everything the head points to into the arena (it was borrowed from a read). */
void head_keep(struct head *h, struct gs_arena *arena);
/* "host:port" or "host" with the port 80; lower case into out (of HOST_BYTES_MAX + 1).
 * False when malformed. */
bool head_split_authority(struct gs_slice authority, char *out, size_t *len, uint16_t *port);
