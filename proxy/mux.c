/* mux.c - the home of nghttp2: one connection between two nodes. Frames in become calls of
 * mux_stream.c and mux_call.c; what they have to send is made into frames once per loop turn.
 *
 *   below.data ─▶ library ─▶ on_header, on_frame, on_chunk ─▶ streams
 *   streams ─▶ mux_wire_* ─▶ library's queue ─▶ on_flush (end of turn) ─▶ one write below
 *
 * The library may be asked for frames from inside its callbacks, but not fed or drained there, and
 * it keeps what it is told until the next drain: so only on_flush drains it. */
#include <gossamer/mux.h>

#include <stdio.h>

#include <nghttp2/nghttp2.h>

#include "proxy/mux_parts.h"

static void
off_wire(struct mux_stream *ms)
{
    struct mux *m = ms->mux;

    GS_ASSERT(m->count > 0);
    m->count--;
    if (m->count == 0)
        m->idle_ms = m->loop->now_ms;
    gs_loop_defer(m->loop, &m->news);
    mux_stream_off_wire(ms);
}

static void
on_wire(struct mux_stream *ms, int32_t id)
{
    GS_ASSERT(!ms->on_wire);
    GS_ASSERT(id > 0);
    ms->id = id;
    ms->on_wire = true;
    ms->mux->count++;
}

/* ---- output ---- */

static void
out(struct mux *m)
{
    if (m->gathered > 0)
        stream_write_slice(m->below, gs_slice(m->loop->scratch, m->gathered));
    m->gathered = 0;
}

static bool
below_full(const struct mux *m)
{
    return m->below->queue.bytes >= MUX_OUT_HIGH_BYTES;
}

static void
gather(struct mux *m, const void *bytes, size_t len)
{
    if (m->gathered + len > LOOP_SCRATCH_BYTES)
        out(m);
    GS_ASSERT(len <= LOOP_SCRATCH_BYTES);
    memcpy(m->loop->scratch + m->gathered, bytes, len);
    m->gathered += len;
}

static ssize_t
on_read(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length, uint32_t *flags,
        nghttp2_data_source *source, void *arg)
{
    struct mux_stream *ms = source->ptr;
    size_t n = ms->base.queue.bytes;

    (void)session;
    (void)id;
    (void)buf;
    (void)arg;
    if (n == 0 && !ms->shut_asked) {
        ms->waiting = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (n > length)
        n = length;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n == ms->base.queue.bytes && ms->shut_asked)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

#define FRAME_HEAD_BYTES 9

static int
on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *framehd, size_t length,
             nghttp2_data_source *source, void *arg)
{
    struct mux *m = arg;
    struct mux_stream *ms = source->ptr;
    size_t left = length;

    (void)session;
    GS_ASSERT(frame->data.padlen == 0);
    GS_ASSERT(length <= ms->base.queue.bytes);
    if (m->gathered + FRAME_HEAD_BYTES + length > LOOP_SCRATCH_BYTES) {
        out(m);
        if (below_full(m))
            return NGHTTP2_ERR_WOULDBLOCK;
    }
    gather(m, framehd, FRAME_HEAD_BYTES);
    while (left > 0) {
        struct iovec iov;
        size_t n;

        (void)gs_blocks_iov(&ms->base.queue, &iov, 1);
        n = iov.iov_len < left ? iov.iov_len : left;
        gather(m, iov.iov_base, n);
        mux_stream_sent(ms, n);
        left -= n;
    }
    return 0;
}

/* All frames of this turn, as far as the peer takes them. */
void
mux_wire_flush(struct gs_turn_end *t)
{
    struct mux *m = GS_CONTAINER(t, struct mux, flush);
    const uint8_t *bytes;
    ssize_t n = 1;

    GS_ASSERT(m->gathered == 0);
    if (!mux_running(m))
        return;
    GS_ASSERT(m->below);
    while (!below_full(m) && (n = nghttp2_session_mem_send(m->session, &bytes)) > 0)
        gather(m, bytes, (size_t)n);
    out(m);
    stream_flush(m->below);
    if (n < 0) {
        mux_end(m, REASON_OWN_FAULT, stream_abort);
        return;
    }
    if (!nghttp2_session_want_write(m->session))
        m->blocked_ms = 0;
    else if (below_full(m) && m->blocked_ms == 0)
        m->blocked_ms = m->loop->now_ms;
    /* What it asks to be ended by its own GOAWAY is closed behind it. */
    if (!nghttp2_session_want_read(m->session) && !nghttp2_session_want_write(m->session))
        mux_end(m, m->violation, stream_close);
}

/* ---- frames, asked for by streams ---- */

void
mux_wire_reset(struct mux_stream *ms, uint32_t code)
{
    if (!ms->on_wire || !mux_running(ms->mux))
        return;
    (void)nghttp2_submit_rst_stream(ms->mux->session, NGHTTP2_FLAG_NONE, ms->id, code);
    mux_flush_later(ms->mux);
}

void
mux_wire_more(struct mux_stream *ms)
{
    if (!ms->on_wire || !mux_running(ms->mux))
        return;
    if (ms->waiting)
        (void)nghttp2_session_resume_data(ms->mux->session, ms->id);
    ms->waiting = false;
    mux_flush_later(ms->mux);
}

/* Its sink took bytes: the peer may send as many more. The window grows while the reader keeps up
 * with all of it and memory is plenty. */
void
mux_wire_taken(struct mux_stream *ms, size_t bytes)
{
    struct mux *m = ms->mux;
    bool tight = m->loop->blocks.used_bytes > LOOP_BUDGET_BYTES / 2;

    if (!ms->on_wire || !mux_running(m))
        return;
    GS_ASSERT(bytes > 0);
    (void)nghttp2_session_consume_stream(m->session, ms->id, bytes);
    ms->delivered += bytes;
    if (ms->delivered >= 2 * (uint64_t)ms->window && ms->window < MUX_WINDOW_MAX && !tight &&
        ms->in.bytes == 0) {
        ms->window *= 2;
        GS_ASSERT(ms->window <= MUX_WINDOW_MAX);
        ms->delivered = 0;
        (void)nghttp2_session_set_local_window_size(m->session, NGHTTP2_FLAG_NONE, ms->id,
                                                    (int32_t)ms->window);
    }
    mux_flush_later(m);
}

static nghttp2_nv
nv(struct gs_slice name, struct gs_slice value)
{
    return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name.ptr,
                         .namelen = name.len,
                         .value = (uint8_t *)(uintptr_t)value.ptr,
                         .valuelen = value.len };
}

#define FIELDS_SENT_MAX (MUX_HEADER_FIELDS_MAX + 2)

/* HTTP/2 wants names in lower case; those of an HTTP/1 head are as they were written. */
static size_t
put_fields(const struct head *h, struct gs_arena *a, nghttp2_nv *out, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < h->count && n < max; i++) {
        const struct field *f = &h->fields[i];
        char *low;

        if (f->dropped || f->id == FIELD_HOST)
            continue;
        GS_ASSERT(f->name.len > 0);
        low = gs_arena_bytes(a, f->name.len);
        for (size_t k = 0; k < f->name.len; k++)
            low[k] = f->name.ptr[k] >= 'A' && f->name.ptr[k] <= 'Z' ? (char)(f->name.ptr[k] | 32)
                                                                    : f->name.ptr[k];
        out[n++] = nv(gs_slice(low, f->name.len), f->value);
    }
    if (h->has_length && n < max) {
        const char *text = gs_arena_printf(a, "%llu", (unsigned long long)h->length);

        out[n++] = nv(GS_SLICE("content-length"), gs_slice_str(text));
    }
    return n;
}

void
mux_wire_answer(struct mux_stream *ms, unsigned status, const struct head *h)
{
    nghttp2_data_provider body = { .source.ptr = ms, .read_callback = on_read };
    nghttp2_nv fields[FIELDS_SENT_MAX];
    struct gs_arena arena;
    char text[12];
    size_t n = 1;

    if (!ms->on_wire || !mux_running(ms->mux))
        return;
    snprintf(text, sizeof(text), "%u", status);
    fields[0] = nv(GS_SLICE(":status"), gs_slice_str(text));
    gs_arena_init(&arena, NULL, 0, 1024);
    if (h)
        n += put_fields(h, &arena, fields + 1, GS_COUNT(fields) - 1);
    (void)nghttp2_submit_response(ms->mux->session, ms->id, fields, n, &body);
    gs_arena_fini(&arena);
    mux_flush_later(ms->mux);
}

void
mux_wire_refuse(struct mux_stream *ms, unsigned status, enum mux_outcome outcome)
{
    nghttp2_nv fields[2];
    char text[12];
    size_t n = 1;

    if (!ms->on_wire || !mux_running(ms->mux))
        return;
    snprintf(text, sizeof(text), "%u", status);
    fields[0] = nv(GS_SLICE(":status"), gs_slice_str(text));
    if (outcome != OUTCOME_NONE)
        fields[n++] = nv(GS_SLICE("gossamer-outcome"), gs_slice_str(mux_outcome_text(outcome)));
    /* The reset that ends the peer's side as well goes behind it: on_frame_sent. */
    (void)nghttp2_submit_response(ms->mux->session, ms->id, fields, n, NULL);
    mux_flush_later(ms->mux);
}

static struct mux_stream *
submit(struct mux *m, const nghttp2_nv *fields, size_t count, bool with_body)
{
    struct mux_stream *ms;
    nghttp2_data_provider body = { .read_callback = on_read };
    int32_t id;

    if (mux_open_room(m) == 0)
        return NULL;
    ms = mux_stream_new(m, MS_OPENING);
    body.source.ptr = ms;
    id = nghttp2_submit_request(m->session, NULL, fields, count, with_body ? &body : NULL, ms);
    if (id <= 0) { /* all numbers are used up: another connection is needed */
        m->going = true;
        mux_stream_drop(ms);
        return NULL;
    }
    on_wire(ms, id);
    mux_flush_later(m);
    return ms;
}

struct stream *
mux_open(struct mux *m, const struct mux_request *r, const struct stream_sink_ops *ops, void *sink)
{
    nghttp2_nv fields[] = { nv(GS_SLICE(":method"), GS_SLICE("CONNECT")),
                            nv(GS_SLICE(":authority"), r->authority),
                            nv(GS_SLICE("gossamer-service"), r->service),
                            nv(GS_SLICE("gossamer-stream"), GS_SLICE("1")),
                            nv(GS_SLICE("gossamer-caller"), r->caller),
                            nv(MUX_NODE_FIELD, m->node) };
    struct mux_stream *ms;

    GS_ASSERT(m->role == MUX_CLIENT);
    ms = submit(m, fields, GS_COUNT(fields) - (m->node.len == 0), true);
    if (!ms)
        return NULL;
    stream_attach(&ms->base, ops, sink);
    return &ms->base;
}

struct mux_stream *
mux_wire_ask(struct mux *m, struct gs_slice authority, struct gs_slice path)
{
    nghttp2_nv fields[] = { nv(GS_SLICE(":method"), GS_SLICE("GET")),
                            nv(GS_SLICE(":scheme"), GS_SLICE("http")),
                            nv(GS_SLICE(":authority"), authority), nv(GS_SLICE(":path"), path),
                            nv(MUX_NODE_FIELD, m->node) };

    GS_ASSERT(m->role == MUX_CLIENT);
    return submit(m, fields, GS_COUNT(fields) - (m->node.len == 0), false);
}

/* ---- headers in ---- */

static struct mux_stream *
stream_by_id(struct mux *m, int32_t id)
{
    return nghttp2_session_get_stream_user_data(m->session, id);
}

static int
on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct mux *m = arg;
    struct mux_stream *ms;

    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    if (m->role == MUX_SERVER && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        ms = mux_stream_new(m, MS_HEADING);
        on_wire(ms, frame->hd.stream_id);
        (void)nghttp2_session_set_stream_user_data(session, ms->id, ms);
        mux_head_start(ms);
    } else if (m->role == MUX_CLIENT) {
        ms = stream_by_id(m, frame->hd.stream_id);
        if (ms && gs_fsm_is(&ms->fsm, MS_OPENING))
            mux_head_start(ms); /* again for the one behind an interim answer */
    }
    return 0;
}

static int
on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t namelen,
          const uint8_t *value, size_t valuelen, uint8_t flags, void *arg)
{
    struct mux *m = arg;
    struct mux_stream *ms = stream_by_id(m, frame->hd.stream_id);

    (void)session;
    (void)flags;
    if (!ms || !ms->head)
        return 0;
    if (!mux_head_put(ms, gs_slice(name, namelen), gs_slice(value, valuelen)))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
    return 0;
}

static int
headers_came(struct mux *m, const nghttp2_frame *frame)
{
    struct mux_stream *ms = stream_by_id(m, frame->hd.stream_id);

    if (!ms)
        return 0;
    if (ms->head && m->role == MUX_SERVER && !mux_head_is_welcome(ms)) {
        m->violation = REASON_MUX_CUT;
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (ms->head) {
        mux_head_came(ms);
        mux_head_done(ms);
    }
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        mux_stream_ended(ms);
    return 0;
}

/* ---- frames in ---- */

static int
on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *arg)
{
    struct mux *m = arg;

    (void)session;
    switch (hd->type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION:  /* the library counts them */
    case NGHTTP2_WINDOW_UPDATE: /* comes with our data */
    case NGHTTP2_RST_STREAM:    /* the library counts them */
        return 0;
    case NGHTTP2_DATA:
        if (hd->length > 0 || (hd->flags & NGHTTP2_FLAG_END_STREAM))
            return 0;
        break;
    default:
        break;
    }
    if (mux_spend_idle_frame(m))
        return 0;
    m->violation = REASON_MUX_FLOOD;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* Frames of kinds that we do not know are counted, and dropped. */
static int
on_extension(nghttp2_session *session, void **payload, const nghttp2_frame_hd *hd, void *arg)
{
    (void)session;
    (void)payload;
    (void)hd;
    (void)arg;
    return NGHTTP2_ERR_CANCEL;
}

static int
on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct mux *m = arg;
    struct mux_stream *ms;

    (void)session;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        return headers_came(m, frame);
    case NGHTTP2_DATA:
        ms = stream_by_id(m, frame->hd.stream_id);
        if (ms && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
            mux_stream_ended(ms);
        break;
    case NGHTTP2_SETTINGS:
        m->hello = true;
        gs_loop_defer(m->loop, &m->news);
        break;
    case NGHTTP2_GOAWAY:
        m->going = true;
        gs_loop_defer(m->loop, &m->news);
        break;
    default:
        break;
    }
    return 0;
}

static int
on_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
         void *arg)
{
    struct mux *m = arg;
    struct mux_stream *ms = stream_by_id(m, id);

    (void)flags;
    (void)nghttp2_session_consume_connection(session, len);
    if (ms)
        mux_stream_data(ms, gs_slice(data, len));
    return 0;
}

static int
on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    struct mux_stream *ms = stream_by_id(arg, id);

    (void)session;
    if (!ms || !ms->on_wire) /* its request never left: on_not_sent came first */
        return 0;
    if (gs_fsm_is(&ms->fsm, MS_OPENING) && code == NGHTTP2_REFUSED_STREAM)
        ms->refusal = (struct mux_refusal){ 503, OUTCOME_NOT_PROCESSED };
    off_wire(ms);
    return 0;
}

/* A request that never left: the peer is going, or its stream was reset first. */
static int
on_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int err, void *arg)
{
    struct mux *m = arg;

    (void)session;
    (void)err;
    if (frame->hd.type != NGHTTP2_HEADERS || m->role != MUX_CLIENT)
        return 0;
    GS_LIST_EACH_SAFE(n, &m->streams) {
        struct mux_stream *ms = GS_LIST_ENTRY(n, struct mux_stream, link);

        if (ms->id == frame->hd.stream_id && ms->on_wire) {
            off_wire(ms);
            break;
        }
    }
    return 0;
}

static enum reason
blame_of(uint32_t code)
{
    switch (code) {
    case NGHTTP2_NO_ERROR:
        return REASON_NONE;
    case NGHTTP2_FLOW_CONTROL_ERROR:
        return REASON_MUX_FLOW;
    case NGHTTP2_COMPRESSION_ERROR:
        return REASON_MUX_COMPRESSION;
    case NGHTTP2_ENHANCE_YOUR_CALM:
    case NGHTTP2_INTERNAL_ERROR: /* its answer to resets above the limit */
        return REASON_MUX_FLOOD;
    default:
        return REASON_MUX_PROTOCOL;
    }
}

static int
on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct mux *m = arg;
    struct mux_stream *ms;

    switch (frame->hd.type) {
    case NGHTTP2_GOAWAY:
        m->violation = blame_of(frame->goaway.error_code);
        if (m->violation != REASON_NONE)
            mux_refused(m, m->violation);
        break;
    case NGHTTP2_HEADERS:
        /* A refusal is out; the peer's side of the stream ends with it. */
        ms = stream_by_id(m, frame->hd.stream_id);
        if (ms && m->role == MUX_SERVER && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
            !ms->eof_in)
            (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                            NGHTTP2_NO_ERROR);
        break;
    default:
        break;
    }
    return 0;
}

/* ---- in and out ---- */

enum reason
mux_wire_feed(struct mux *m, struct gs_slice bytes)
{
    ssize_t n = nghttp2_session_mem_recv(m->session, (const uint8_t *)bytes.ptr, bytes.len);

    if (n == NGHTTP2_ERR_BAD_CLIENT_MAGIC)
        return REASON_MUX_PREFACE;
    if (n == NGHTTP2_ERR_CALLBACK_FAILURE && m->violation != REASON_NONE)
        return m->violation;
    if (n == NGHTTP2_ERR_FLOODED ||
        nghttp2_session_get_outbound_queue_size(m->session) > MUX_FRAMES_QUEUED_MAX)
        return REASON_MUX_FLOOD;
    return n < 0 ? REASON_MUX_PROTOCOL : REASON_NONE;
}

void
mux_wire_goodbye(struct mux *m)
{
    (void)nghttp2_session_terminate_session(m->session, NGHTTP2_NO_ERROR);
    mux_flush_later(m);
}

void
mux_wire_notice(struct mux *m)
{
    (void)nghttp2_submit_shutdown_notice(m->session);
    mux_flush_later(m);
}

void
mux_wire_free(struct mux *m)
{
    nghttp2_session_del(m->session);
}

/* ---- making one ---- */

static void *
mem_alloc(size_t size, void *arg)
{
    (void)arg;
    return gs_alloc(size);
}

static void
mem_free(void *p, void *arg)
{
    (void)arg;
    gs_free(p);
}

static void *
mem_calloc(size_t n, size_t size, void *arg)
{
    (void)arg;
    return gs_calloc(n, size);
}

static void *
mem_realloc(void *p, size_t size, void *arg)
{
    (void)arg;
    return gs_realloc(p, size);
}

static nghttp2_session_callbacks *
callbacks_new(void)
{
    nghttp2_session_callbacks *c;

    GS_ASSERT(nghttp2_session_callbacks_new(&c) == 0);
    nghttp2_session_callbacks_set_send_data_callback(c, on_send_data);
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
    nghttp2_session_callbacks_set_unpack_extension_callback(c, on_extension);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(c, on_not_sent);
    return c;
}

static nghttp2_option *
options_new(void)
{
    nghttp2_option *o;

    GS_ASSERT(nghttp2_option_new(&o) == 0);
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_max_outbound_ack(o, MUX_ACKS_MAX);
    nghttp2_option_set_max_settings(o, MUX_SETTINGS_MAX);
    nghttp2_option_set_peer_max_concurrent_streams(o, MUX_STREAMS_MAX); /* until it says */
    for (unsigned type = NGHTTP2_ALTSVC; type <= UINT8_MAX; type++) /* else they are not counted */
        nghttp2_option_set_user_recv_extension_type(o, (uint8_t)type);
#ifdef GS_NGHTTP2_LIMITS /* Debian 12's security update of 1.52, and 1.61 */
    nghttp2_option_set_stream_reset_rate_limit(o, MUX_RESETS_BURST, MUX_RESETS_PER_S);
    nghttp2_option_set_max_continuations(o, MUX_CONTINUATIONS_MAX);
#endif
    return o;
}

struct mux *
mux_new(const struct mux_options *o)
{
    struct mux *m = gs_zalloc(sizeof(*m));
    nghttp2_session_callbacks *callbacks = callbacks_new();
    nghttp2_option *options = options_new();
    nghttp2_mem mem = { NULL, mem_alloc, mem_free, mem_calloc, mem_realloc };
    int (*make)(nghttp2_session **, const nghttp2_session_callbacks *, void *,
                const nghttp2_option *, nghttp2_mem *) =
        o->role == MUX_SERVER ? nghttp2_session_server_new3 : nghttp2_session_client_new3;

    GS_ASSERT(make(&m->session, callbacks, m, options, &mem) == 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(options);
    mux_life_init(m, o);
    return m;
}

void
mux_wire_hello(struct mux *m)
{
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, MUX_WINDOW_BYTES },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, MUX_HEADER_BYTES_MAX },
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, m->role == MUX_SERVER ? MUX_STREAMS_MAX : 0 },
        { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 }, /* last: clients only */
    };
    size_t count = GS_COUNT(settings) - (m->role == MUX_SERVER ? 1 : 0);

    GS_ASSERT(nghttp2_submit_settings(m->session, NGHTTP2_FLAG_NONE, settings, count) == 0);
    GS_ASSERT(nghttp2_session_set_local_window_size(m->session, NGHTTP2_FLAG_NONE, 0,
                                                    MUX_CONNECTION_WINDOW) == 0);
    mux_flush_later(m);
}

uint32_t
mux_open_room(const struct mux *m)
{
    uint32_t most = MUX_STREAMS_MAX;
    uint32_t theirs;

    if (m->going || !mux_running(m))
        return 0;
    theirs = m->hello ? nghttp2_session_get_remote_settings(m->session,
                                                            NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
                      : most;
    if (theirs < most)
        most = theirs;
    return m->count < most ? most - m->count : 0;
}
