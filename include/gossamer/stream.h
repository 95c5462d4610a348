/* stream.h - the operations all byte streams obey: TCP, later TLS and a stream of a mux, and the
 * tests' memory stream. A codec never learns which one it sits on.
 *
 *     bytes in:  poll ─▶ sink.room() ─▶ recv ─▶ sink.data(slice)     the sink consumes all of it
 *     bytes out: stream_write ─▶ the kernel at once, or joined with the rest of this turn;
 *                what does not fit is queued, and sink.drained() tells when it is low again
 *
 * How much is read is decided before reading (room), never after. The slice is borrowed until the
 * call returns. Events come only from the loop, never from inside a call made on the stream, so
 * writing may not close the caller under its own feet: a failed write is told by sink.closed. */
#pragma once

#include <sys/uio.h>

#include <gossamer/addr.h>
#include <gossamer/loop.h>

struct stream;

enum stream_end {
    STREAM_EOF,     /* the peer sent FIN: no more bytes in; writing may go on */
    STREAM_RESET,   /* the connection is gone */
    STREAM_REFUSED, /* connect failed */
};

struct stream_sink_ops {
    size_t (*room)(void *sink); /* bytes it can take now; 0 pauses reading */
    void (*data)(void *sink, struct gs_slice bytes);
    void (*ended)(void *sink, enum stream_end how); /* EOF once, or RESET/REFUSED as the last */
    void (*drained)(void *sink);                    /* the queue fell to STREAM_LOW_BYTES */
    void (*connected)(void *sink);                  /* client streams only; may be NULL */
    void (*closed)(void *sink); /* after stream_close: last touch, the stream is freed next */
};

struct stream_ops {
    void (*write)(struct stream *s, const struct iovec *iov, int count);
    void (*flush)(struct stream *s);
    void (*shutdown)(struct stream *s); /* FIN behind what is queued */
    void (*resume)(struct stream *s);   /* room came back */
    void (*close)(struct stream *s);    /* FIN; queued output is lost */
    void (*abort)(struct stream *s);    /* RST, so that the peer cannot take it for an end */
    bool (*stale)(struct stream *s);
    bool (*unread)(const struct stream *s, uint64_t since); /* NULL: nobody can tell */
};

struct stream {
    const struct stream_ops *ops;
    const struct stream_sink_ops *sink_ops;
    void *sink;
    struct gs_loop *loop;
    struct gs_blocks queue; /* output the kernel has not taken */
    uint64_t sent;          /* bytes the kernel has taken so far */
    struct gs_list dirty;   /* member of loop->dirty while a flush is due */
    uint8_t closing;        /* close or abort was called; no more events but closed */
};

void stream_write(struct stream *s, const struct iovec *iov, int count);
void stream_write_slice(struct stream *s, struct gs_slice bytes);
void stream_flush(struct stream *s);
void stream_shutdown(struct stream *s);
void stream_resume(struct stream *s);
void stream_close(struct stream *s); /* any state, twice is fine; ends in sink.closed */
void stream_abort(struct stream *s);
/* True when the idle peer has sent an end, bytes or an error that no event has told yet, or when
 * nothing new should be sent there: not to be used again. */
bool stream_stale(struct stream *s);
/* After its end: is it certain that the peer has got nothing of what was written behind the first
 * `since` bytes? */
bool stream_was_unread(const struct stream *s, uint64_t since);
/* Who gets the events from now on. */
static inline void
stream_attach(struct stream *s, const struct stream_sink_ops *ops, void *sink)
{
    s->sink_ops = ops;
    s->sink = sink;
}
/* What may still be written before the writer should stop reading its source: all of the scratch
 * while nothing is queued and the loop is under half its budget, else up to STREAM_HIGH_BYTES. */
size_t stream_room(const struct stream *s);

/* ---- TCP and unix sockets (stream_uv.c) ---- */

/* Take an accepted, non-blocking descriptor. */
struct stream *stream_tcp_accept(struct gs_loop *loop, int fd, const struct stream_sink_ops *ops,
                                 void *sink);
/* Start connecting. Events: connected, or ended(REFUSED). NULL when no socket could be had
 * (descriptors); errno tells. */
struct stream *stream_tcp_connect(struct gs_loop *loop, const struct gs_addr *to,
                                  const struct stream_sink_ops *ops, void *sink);
/* One whose connecting fails: ended(REFUSED), from the loop. NULL as above. */
struct stream *stream_tcp_unreachable(struct gs_loop *loop, const struct stream_sink_ops *ops,
                                      void *sink);
/* For connections that live long beside others: a peer whose host is gone is noticed within
 * STREAM_DEAD_MS, whether something waits to be sent or not. */
void stream_tcp_watch_peer(struct stream *s);
