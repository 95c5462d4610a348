/* mux_parts.h - what the files of the mux share: mux.c (HTTP/2), mux_life.c (start, end and time),
 * mux_head.c (headers), mux_stream.c (CONNECT streams as struct stream), mux_call.c (ordinary
 * requests as sides). */
#pragma once

#include <gossamer/alloc.h>
#include <gossamer/fsm.h>
#include <gossamer/mux.h>

/* A stream as its sink sees it.
 *
 *   HEADING ──accepted──▶ OPEN ◀──200── OPENING     HEADING: its header is coming (server)
 *      │                    │ peer reset  │ refused   OPENING: no answer to its header yet (client)
 *      │ refused            ▼             ▼
 *      │                   LOST ◀─────────┘           LOST: the sink is told, or will be
 *      └──────▶ CLOSING ◀───┴── the sink closes       CLOSING: no sink any more
 */
enum mux_stream_state { MS_HEADING, MS_OPENING, MS_OPEN, MS_LOST, MS_CLOSING, MS_STATES };

struct mux_head { /* a header in the making */
    struct gs_arena arena;
    struct gs_slice method, authority, path;
    struct field fields[MUX_HEADER_FIELDS_MAX];
    size_t count;
    size_t bytes;
    unsigned status;
    bool too_large;
};

struct mux_stream {
    struct stream base;
    struct mux *mux;
    struct gs_list link;   /* mux->streams */
    struct gs_defer work;  /* tells the sink what is due */
    struct gs_grave grave; /* last */
    struct gs_blocks in;   /* came and was not taken yet */
    struct mux_head *head; /* while it is read */
    struct mux_call *call; /* NULL: a CONNECT stream */
    struct gs_fsm fsm;
    struct mux_refusal refusal;
    int32_t id;
    uint32_t window;    /* what we let the peer send ahead */
    uint64_t delivered; /* since the window last grew */
    uint64_t closed_ms; /* when the sink closed it */
    enum stream_end lost;
    bool on_wire;   /* HTTP/2 knows it */
    bool waiting;   /* HTTP/2 waits for more of our data */
    bool connected; /* to be told */
    bool eof_in;    /* the peer has ended its side */
    bool eof_told;
    bool cut; /* the peer's side ended well, but it reads no more */
    bool lost_told;
    bool shut_asked;   /* END_STREAM goes behind the queue */
    bool owes_drained; /* the queue passed STREAM_LOW_BYTES */
    bool closed_told;  /* or there never was a sink */
    bool refused;      /* server: answered by a status, its input is dropped */
};

struct mux {
    struct gs_loop *loop;
    const struct mux_events *events;
    void *arg;
    struct http_handler *calls;
    struct gs_slice node;
    struct nghttp2_session *session;
    struct stream *below; /* NULL before start and after its end */
    struct gs_list streams;
    struct gs_turn_end flush;
    struct gs_defer news; /* tells `changed` */
    struct gs_grave grave;
    struct gs_fsm fsm;
    enum mux_role role;
    enum reason why;         /* it ends */
    enum reason violation;   /* noticed inside a callback of the library */
    uint32_t count;          /* streams that HTTP/2 knows */
    uint32_t heading;        /* of those, whose header is incomplete */
    uint32_t idle_frames;    /* tokens left */
    uint64_t idle_frames_ms; /* when they were last filled */
    uint64_t started_ms;
    uint64_t idle_ms; /* since when there is no stream */
    uint64_t heading_ms;
    uint64_t blocked_ms;   /* since when not all could be sent; 0: all is */
    uint64_t stalled_ms;   /* since when the peer has taken nothing of what waits for it */
    uint64_t stalled_sent; /* below->sent then */
    size_t gathered;       /* bytes in the loop's scratch that go out with this turn */
    bool hello;            /* the peer's first SETTINGS came */
    bool going;            /* no new streams */
};

/* mux_life.c, for the others */
void mux_life_init(struct mux *m, const struct mux_options *o);
bool mux_running(const struct mux *m);
void mux_flush_later(struct mux *m);
void mux_end(struct mux *m, enum reason why, void (*close)(struct stream *s));
void mux_blame(struct mux *m, enum reason why);   /* the peer broke a rule: counted, and the end */
void mux_refused(struct mux *m, enum reason why); /* counted only */
/* A frame that carries nothing costs a token, and they come back with time; false: none is left. */
bool mux_spend_idle_frame(struct mux *m);

/* mux.c, for the others */
void mux_wire_hello(struct mux *m);
void mux_wire_flush(struct gs_turn_end *t); /* all frames, as far as the peer takes them */
enum reason mux_wire_feed(struct mux *m, struct gs_slice bytes); /* or why the peer is to blame */
void mux_wire_notice(struct mux *m);  /* "open no more", taking back nothing */
void mux_wire_goodbye(struct mux *m); /* it ends behind this */
void mux_wire_free(struct mux *m);
/* Frames, to leave at the turn's end. */
void mux_wire_reset(struct mux_stream *ms, uint32_t code);
void mux_wire_more(struct mux_stream *ms); /* there is data, or the end, to send */
void mux_wire_taken(struct mux_stream *ms, size_t bytes);
void mux_wire_answer(struct mux_stream *ms, unsigned status, const struct head *h);
void mux_wire_refuse(struct mux_stream *ms, unsigned status, enum mux_outcome outcome);
struct mux_stream *mux_wire_ask(struct mux *m, struct gs_slice authority, struct gs_slice path);
void mux_stream_freed(struct mux *m); /* one less */
/* Of HTTP/2 (RFC 9113 7). */
#define MUX_CODE_NONE 0x0
#define MUX_CODE_PROTOCOL 0x1
#define MUX_CODE_CANCEL 0x8
#define MUX_CODE_CALM 0xb

/* mux_stream.c, for mux.c */
struct mux_stream *mux_stream_new(struct mux *m, enum mux_stream_state state);
void mux_stream_data(struct mux_stream *ms, struct gs_slice bytes);
void mux_stream_ended(struct mux_stream *ms); /* END_STREAM came */
void mux_stream_answered(struct mux_stream *ms, struct mux_refusal answer);
void mux_stream_off_wire(struct mux_stream *ms);           /* HTTP/2 forgot it */
void mux_stream_sent(struct mux_stream *ms, size_t bytes); /* left the queue */
/* Nobody has it and nobody will: freed at the end of the turn. */
void mux_stream_drop(struct mux_stream *ms);
static inline struct mux_stream *
mux_stream_of(struct stream *s)
{
    return GS_CONTAINER(s, struct mux_stream, base);
}

/* mux_head.c, for mux.c */
#define MUX_NODE_FIELD GS_SLICE("gossamer-node") /* which node opens the stream, in its own words */
void mux_head_start(struct mux_stream *ms);      /* again, of one that is being read: nothing */
/* false: it is too large, or has no name; the stream is to be reset. */
bool mux_head_put(struct mux_stream *ms, struct gs_slice name, struct gs_slice value);
void mux_head_came(struct mux_stream *ms);             /* it is whole */
bool mux_head_is_welcome(const struct mux_stream *ms); /* by the node that it says it is from */
void mux_head_done(struct mux_stream *ms);             /* what was read of it is freed */

/* mux_call.c, for mux_head.c */
void mux_call_begin(struct mux_stream *ms);  /* a request's header is whole */
void mux_call_answer(struct mux_stream *ms); /* an answer's is */
